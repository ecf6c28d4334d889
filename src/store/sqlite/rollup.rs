//! The sums that are kept beside the ledger's rows: one upsert for each group of a batch, in the batch's transaction.

use super::{apply, row};
use crate::ledger::LedgerRecord;
use crate::store::Result;
use crate::store::tally::{Sum, Tally};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeMap;

/// The spans of time that sums are kept for, in milliseconds.
pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// The scope of everybody.
pub(super) const EVERYBODY: &str = "";

/// The scope of one user.
pub(super) fn scope_of(user: &str) -> String {
    format!("={user}")
}

/// Rows that are caught up with at once: what they come to is in memory.
const CAUGHT_UP_ROWS: i64 = 50_000;

/// Number of the bucket that a time is in.
pub(super) fn bucket(at_ms: i64, span: i64) -> i64 {
    at_ms.div_euclid(span)
}

/// What the rows of one batch come to, by the finest spans; the longer ones are summed up at the end.
#[derive(Default)]
pub(super) struct Rollup<'r> {
    /// By minute, model and upstream.
    all: BTreeMap<(i64, &'r str, &'r str), Tally>,
    /// By user, hour, model and upstream.
    users: BTreeMap<(&'r str, i64, &'r str, &'r str), Tally>,
    /// By hour, key and user.
    keys: BTreeMap<(i64, i64, &'r str), Tally>,
    /// What each user's keys have spent, in nano-USD.
    spent: BTreeMap<&'r str, i64>,
}

impl<'r> Rollup<'r> {
    /// Counts a row in.
    pub(super) fn add(&mut self, record: &'r LedgerRecord) {
        let LedgerRecord { started_at_ms, key_id, user, model, upstream, .. } = record;
        let (minute, hour) = (bucket(*started_at_ms, MINUTE), bucket(*started_at_ms, HOUR));
        let user = user.as_deref().unwrap_or_default();
        self.all.entry((minute, model, upstream)).or_default().add_record(record);
        if !user.is_empty() {
            self.users.entry((user, hour, model, upstream)).or_default().add_record(record);
            let spent_nanos = self.spent.entry(user).or_default();
            *spent_nanos = spent_nanos.saturating_add(record.cost_nanos);
        }
        self.keys.entry((hour, *key_id, user)).or_default().add_record(record);
    }

    /// Adds it to what is kept.
    pub(super) fn write(self, transaction: &Transaction<'_>) -> Result<()> {
        apply::book(transaction, "user_account", "user", self.spent)?;
        let mut add = transaction.prepare_cached(
            "INSERT INTO rollup (span, scope, bucket, model, upstream, tally) VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET tally = tally_add(tally, excluded.tally)",
        )?;
        let mut level = self.all;
        for span in [MINUTE, HOUR, DAY] {
            for ((bucket, model, upstream), tally) in &level {
                add.execute(params![span, EVERYBODY, bucket, model, upstream, tally.encode()])?;
            }
            let parts = if span == MINUTE { HOUR / MINUTE } else { DAY / HOUR };
            level = coarser(level, |(bucket, model, upstream)| (bucket.div_euclid(parts), model, upstream));
        }
        let mut level = self.users;
        for span in [HOUR, DAY] {
            for ((user, bucket, model, upstream), tally) in &level {
                add.execute(params![span, scope_of(user), bucket, model, upstream, tally.encode()])?;
            }
            let day = |hour: i64| hour.div_euclid(DAY / HOUR);
            level = coarser(level, |(user, bucket, model, upstream)| (user, day(bucket), model, upstream));
        }
        let mut add = transaction.prepare_cached(
            "INSERT INTO rollup_key (span, bucket, key_id, user, tally) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET tally = tally_add(tally, excluded.tally)",
        )?;
        let mut level = self.keys;
        for span in [HOUR, DAY] {
            for ((bucket, key_id, user), tally) in &level {
                add.execute(params![span, bucket, key_id, user, tally.encode()])?;
            }
            level = coarser(level, |(bucket, key_id, user)| (bucket.div_euclid(DAY / HOUR), key_id, user));
        }
        Ok(())
    }
}

/// The same sums by fewer groups.
fn coarser<K: Ord>(groups: BTreeMap<K, Tally>, group: impl Fn(K) -> K) -> BTreeMap<K, Tally> {
    let mut coarse = BTreeMap::<K, Tally>::new();
    for (key, tally) in groups {
        coarse.entry(group(key)).or_default().add(&tally);
    }
    coarse
}

/// `tally_add(kept, more)`, for statements. What is kept and cannot be read counts as nothing: no batch may be refused for
/// it, and `ledger verify` tells.
pub(super) fn install(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("tally_add", 2, flags, |context: &Context<'_>| {
        let read = |at| context.get_raw(at).as_blob().ok().and_then(Tally::decode).unwrap_or_default();
        let mut sum = read(0);
        sum.add(&read(1));
        Ok(sum.encode())
    })
}

/// Adds the rows that another version added without sums. Costs nothing where there are none.
pub(super) fn catch_up(transaction: &Transaction<'_>) -> Result<()> {
    let head = "SELECT rolled_up, sequence FROM chain_head";
    let (mut rolled_up, last): (i64, i64) = transaction.query_row(head, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    while rolled_up < last {
        let until = last.min(rolled_up.saturating_add(CAUGHT_UP_ROWS));
        let records = unsummed(transaction, rolled_up, until)?;
        let mut rollup = Rollup::default();
        records.iter().for_each(|record| rollup.add(record));
        rollup.write(transaction)?;
        rolled_up = until;
        transaction.execute("UPDATE chain_head SET rolled_up = ?", [rolled_up])?;
    }
    Ok(())
}

/// The rows behind `after` up to `until`; what cannot be read is `ledger verify`'s to tell.
fn unsummed(connection: &Connection, after: i64, until: i64) -> Result<Vec<LedgerRecord>> {
    let sql = format!("SELECT {} FROM ledger WHERE sequence > ? AND sequence <= ?", row::COLUMNS);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([after, until])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.extend(row::record_of(row).ok());
    }
    Ok(records)
}

/// Whether what is kept agrees with the rows: for each kind of sum and each day a number into which every group goes with
/// its own weight. It takes as much memory as there are days, however many groups there are.
#[derive(Default)]
pub(super) struct Check {
    sums: BTreeMap<(Kind, i64), u64>,
}

/// A kind of sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Of a span, by model and upstream.
    Model(i64),
    /// Of a span, by key.
    Key(i64),
}

impl Check {
    /// A row of the ledger.
    pub(super) fn record(&mut self, record: &LedgerRecord) {
        let mut tally = Tally::default();
        tally.add_record(record);
        let fingerprint = tally.fingerprint();
        let at = |span| bucket(record.started_at_ms, span);
        let (model, upstream) = (record.model.as_bytes(), record.upstream.as_bytes());
        let user = record.user.as_deref().unwrap_or_default();
        for span in [MINUTE, HOUR, DAY] {
            self.add(Kind::Model(span), at(span), &[EVERYBODY.as_bytes(), model, upstream], fingerprint);
        }
        for span in [HOUR, DAY] {
            if !user.is_empty() {
                self.add(Kind::Model(span), at(span), &[scope_of(user).as_bytes(), model, upstream], fingerprint);
            }
            self.add(Kind::Key(span), at(span), &[&record.key_id.to_le_bytes(), user.as_bytes()], fingerprint);
        }
    }

    fn add(&mut self, kind: Kind, bucket: i64, group: &[&[u8]], fingerprint: u64) {
        let (Kind::Model(span) | Kind::Key(span)) = kind;
        let day = bucket.div_euclid(DAY / span);
        let sum = self.sums.entry((kind, day)).or_default();
        *sum = sum.wrapping_add(weight(bucket, group).wrapping_mul(fingerprint));
    }

    /// Takes away what is kept; what is left over does not agree.
    pub(super) fn finish(mut self, connection: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare("SELECT span, bucket, scope, model, upstream, tally FROM rollup")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (span, bucket): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (scope, model, upstream): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let group = [scope.as_bytes(), model.as_bytes(), upstream.as_bytes()];
            self.take(Kind::Model(span), bucket, &group, row.get_ref(5)?.as_blob().unwrap_or_default());
        }
        let mut statement = connection.prepare("SELECT span, bucket, key_id, user, tally FROM rollup_key")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (span, bucket, key_id): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let user: String = row.get(3)?;
            let group: [&[u8]; 2] = [&key_id.to_le_bytes(), user.as_bytes()];
            self.take(Kind::Key(span), bucket, &group, row.get_ref(4)?.as_blob().unwrap_or_default());
        }
        let wrong = self.sums.into_iter().filter(|(_, sum)| *sum != 0);
        Ok(wrong.map(|((kind, day), _)| told(kind, day)).collect())
    }

    fn take(&mut self, kind: Kind, bucket: i64, group: &[&[u8]], tally: &[u8]) {
        let (Kind::Model(span) | Kind::Key(span)) = kind;
        if !matches!(span, MINUTE | HOUR | DAY) {
            // None of ours: it agrees with nothing.
            self.sums.insert((kind, bucket), 1);
            return;
        }
        let fingerprint = Tally::decode(tally).map_or(1, |tally| tally.fingerprint());
        self.add(kind, bucket, group, fingerprint.wrapping_neg());
    }
}

fn told(kind: Kind, day: i64) -> String {
    let (by, span) = match kind {
        Kind::Model(span) => ("model and upstream", span),
        Kind::Key(span) => ("key", span),
    };
    let date = jiff::Timestamp::from_millisecond(day.saturating_mul(DAY));
    let date = date.map_or_else(|_| format!("day {day}"), |date| date.strftime("%Y-%m-%d").to_string());
    let (count, unit) = if span < HOUR { (span / MINUTE, "minute") } else { (span / HOUR, "hour") };
    format!("the sums of {count} {unit}(s) by {by} do not agree with the rows of {date}")
}

/// A number that belongs to a group.
fn weight(bucket: i64, group: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bucket.to_le_bytes().into_iter().for_each(&mut mix);
    for part in group {
        part.len().to_le_bytes().into_iter().chain(part.iter().copied()).for_each(&mut mix);
    }
    // Odd, so that no sum vanishes in it.
    (hash ^ (hash >> 32)) | 1
}
