//! Pages of records. A page looks at a bounded number of rows: where few of them match, it goes from one stretch of time that
//! has a match to the next, going by the sums, and after a while it gives what it has and says where to go on.

use super::called::{Meant, meant};
use super::rollup::{DAY, EVERYBODY, HOUR, MINUTE, bucket};
use super::row;
use crate::ledger::{LedgerRecord, Outcome};
use crate::store::{KeyRef, LedgerFilter, RecordCursor, RecordPage, Result};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

/// Records of a page when the filter does not say, and at most.
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 1_000;
/// Rows that a page looks at.
const LOOKED_AT_MAX: usize = 20_000;
/// Rows without a match after which the sums are asked where the next one is.
const PATIENCE_ROWS: usize = 200;
/// Keys of one user, or of one name, whose rows are looked for one key at a time; those of more are looked for among all.
const KEYS_MAX: usize = 64;

/// [`Store::ledger_page`](crate::store::Store::ledger_page).
pub(super) fn page(
    connection: &mut Connection,
    filter: &LedgerFilter,
    after: Option<RecordCursor>,
) -> Result<RecordPage> {
    let transaction = connection.transaction()?;
    let limit = filter.limit.map_or(PAGE_DEFAULT, |limit| usize::try_from(limit).unwrap_or(PAGE_MAX)).min(PAGE_MAX);
    let keys = match (&filter.key, &filter.user) {
        (Some(KeyRef::Id(id)), _) => Some(Meant { now: vec![*id], any: Some(vec![*id]) }),
        (Some(KeyRef::Name(name)), _) => Some(meant(&transaction, name)?),
        (None, _) => None,
    };
    let along = match (&keys, &filter.user) {
        (Some(Meant { any, .. }), _) => any.clone().filter(|any| any.len() <= KEYS_MAX),
        (None, Some(user)) => keys_of(&transaction, user)?,
        (None, None) => None,
    };
    let mut search = Search { connection: &transaction, filter, keys, limit, looked_at: 0, found: Vec::new() };
    let from = after.unwrap_or(RecordCursor { started_at_ms: i64::MAX, sequence: i64::MAX });
    let stopped_at = match along.as_deref() {
        Some([id]) => search.walk(&Along::Key(*id), from)?,
        Some(ids) => search.walk_keys(ids, from)?,
        None => search.walk_all(from)?,
    };
    Ok(RecordPage { records: search.found.into_iter().map(|(_, record)| record).collect(), next: stopped_at })
}

/// Which index rows are walked along.
enum Along {
    All,
    Failed,
    Key(i64),
}

struct Search<'a> {
    connection: &'a Connection,
    filter: &'a LedgerFilter,
    /// Whose records the filter means; none: anybody's.
    keys: Option<Meant>,
    limit: usize,
    looked_at: usize,
    found: Vec<(RecordCursor, LedgerRecord)>,
}

/// How a stretch ended.
enum Stretch {
    /// No more rows.
    Through,
    /// Enough, or too many looked at: it goes on behind this one.
    Stopped(RecordCursor),
    /// Many rows without a match, the last of which is this.
    Barren(RecordCursor),
}

impl Search<'_> {
    /// Walks along one index; tells where the next page begins.
    fn walk(&mut self, along: &Along, from: RecordCursor) -> Result<Option<RecordCursor>> {
        match self.stretch(along, from, i64::MIN, usize::MAX)? {
            Stretch::Stopped(at) => Ok(Some(at)),
            Stretch::Through | Stretch::Barren(_) => Ok(None),
        }
    }

    fn walk_all(&mut self, from: RecordCursor) -> Result<Option<RecordCursor>> {
        let failed = self.filter.outcome.is_some_and(|outcome| outcome != Outcome::Ok)
            || self.filter.status.is_some_and(|status| status != 200);
        if failed {
            return self.walk(&Along::Failed, from);
        }
        if self.filter.model.is_none() && self.filter.upstream.is_none() {
            return self.walk(&Along::All, from);
        }
        let mut from = from;
        let mut floor_ms = i64::MIN;
        loop {
            match self.stretch(&Along::All, from, floor_ms, PATIENCE_ROWS)? {
                Stretch::Stopped(at) => return Ok(Some(at)),
                Stretch::Barren(at) => from = at,
                Stretch::Through if floor_ms == i64::MIN => return Ok(None),
                Stretch::Through => {
                    let started_at_ms = floor_ms.saturating_sub(1);
                    from = RecordCursor { started_at_ms, sequence: i64::MAX };
                }
            }
            let Some(minute) = self.last_minute(from.started_at_ms)? else { return Ok(None) };
            let start_ms = minute.saturating_mul(MINUTE);
            let end_ms = start_ms.saturating_add(MINUTE - 1);
            if end_ms < from.started_at_ms {
                from = RecordCursor { started_at_ms: end_ms, sequence: i64::MAX };
            }
            floor_ms = start_ms;
            // A search among what has no match is one, too.
            self.looked_at += 1;
        }
    }

    /// Rows of several keys: of each as many as may be wanted, then the latest of all.
    fn walk_keys(&mut self, keys: &[i64], from: RecordCursor) -> Result<Option<RecordCursor>> {
        let mut all = Vec::new();
        // Below the latest place at which one of them stopped, not all rows are known.
        let mut known_from = None;
        for key_id in keys {
            self.looked_at = 0;
            let share = LOOKED_AT_MAX / keys.len().max(1);
            let stopped = self.stretch_within(&Along::Key(*key_id), from, share)?;
            known_from = known_from.max(stopped.map(|at| (at.started_at_ms, at.sequence)));
            all.append(&mut self.found);
        }
        all.sort_by_key(|(at, _)| std::cmp::Reverse((at.started_at_ms, at.sequence)));
        let is_known = |at: &RecordCursor| known_from.is_none_or(|known| (at.started_at_ms, at.sequence) >= known);
        let known = all.iter().take_while(|(at, _)| is_known(at)).count();
        let has_more = all.len() > self.limit;
        all.truncate(known.min(self.limit));
        let next = match all.last() {
            Some((at, _)) if has_more && all.len() == self.limit => Some(*at),
            _ => known_from.map(|(started_at_ms, sequence)| RecordCursor { started_at_ms, sequence }),
        };
        self.found = all;
        Ok(next)
    }

    fn stretch_within(&mut self, along: &Along, from: RecordCursor, rows: usize) -> Result<Option<RecordCursor>> {
        self.looked_at = LOOKED_AT_MAX.saturating_sub(rows.max(PATIENCE_ROWS));
        self.walk(along, from)
    }

    /// Walks behind `from`, down to a time.
    fn stretch(&mut self, along: &Along, from: RecordCursor, floor_ms: i64, patience: usize) -> Result<Stretch> {
        let (index, own) = match along {
            Along::All => ("ledger_started", ""),
            Along::Failed => ("ledger_failed", "(outcome <> 'ok' OR status <> 200) AND "),
            Along::Key(_) => ("ledger_key", "key_id = ? AND "),
        };
        let until_ms = self.filter.until_ms.map_or(i64::MAX, |until_ms| until_ms.saturating_sub(1));
        let floor_ms = floor_ms.max(self.filter.since_ms.unwrap_or(i64::MIN));
        let sql = format!(
            "SELECT {} FROM ledger INDEXED BY {index} WHERE {own} (started_at_ms, sequence) < (?, ?) \
             AND started_at_ms <= ? AND started_at_ms >= ? ORDER BY started_at_ms DESC, sequence DESC",
            row::COLUMNS
        );
        let key: Option<i64> = if let Along::Key(id) = along { Some(*id) } else { None };
        let rest = [from.started_at_ms, from.sequence, until_ms, floor_ms];
        let values = key.into_iter().chain(rest).map(Value::from);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut barren = 0;
        let mut last = from;
        while let Some(row) = rows.next()? {
            // Looked at here: what follows is not empty.
            if self.found.len() >= self.limit || self.looked_at >= LOOKED_AT_MAX {
                return Ok(Stretch::Stopped(last));
            }
            if barren >= patience {
                return Ok(Stretch::Barren(last));
            }
            self.looked_at += 1;
            last = RecordCursor { started_at_ms: row.get(2)?, sequence: row.get(0)? };
            if matches(row, self.filter, self.keys.as_ref())? {
                self.found.push((last, row::record_of(row)?));
                barren = 0;
            } else {
                barren += 1;
            }
        }
        Ok(Stretch::Through)
    }

    /// The latest minute up to a time in which a row has the filter's model and upstream, by the sums.
    fn last_minute(&self, until_ms: i64) -> Result<Option<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT bucket FROM rollup WHERE span = ?1 AND scope = ?2 AND bucket <= ?3 AND bucket >= ?4 \
             AND (?5 IS NULL OR model = ?5) AND (?6 IS NULL OR upstream = ?6) ORDER BY bucket DESC LIMIT 1",
        )?;
        let (model, upstream) = (&self.filter.model, &self.filter.upstream);
        let mut last = |span: i64, most: i64, least: i64| -> Result<Option<i64>> {
            let found = statement.query_row(params![span, EVERYBODY, most, least, model, upstream], |row| row.get(0));
            Ok(found.optional()?)
        };
        let mut most_ms = until_ms;
        // The day and the hour that the time is in may have it only behind the time.
        loop {
            let Some(day) = last(DAY, bucket(most_ms, DAY), i64::MIN)? else { return Ok(None) };
            let hours = (day.saturating_mul(24), day.saturating_mul(24).saturating_add(23));
            let mut most_hour = bucket(most_ms, HOUR).min(hours.1);
            while let Some(hour) = last(HOUR, most_hour, hours.0)? {
                let minutes = (hour.saturating_mul(60), hour.saturating_mul(60).saturating_add(59));
                if let Some(minute) = last(MINUTE, bucket(most_ms, MINUTE).min(minutes.1), minutes.0)? {
                    return Ok(Some(minute));
                }
                most_hour = hour - 1;
            }
            most_ms = day.saturating_mul(DAY).saturating_sub(1);
        }
    }
}

/// The keys that have rows of this user; none: there are too many.
fn keys_of(connection: &Connection, user: &str) -> Result<Option<Vec<i64>>> {
    let sql = "SELECT DISTINCT key_id FROM rollup_key WHERE span = ? AND user = ? LIMIT ?";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(KEYS_MAX + 1).unwrap_or(i64::MAX);
    let keys = statement.query_map(params![DAY, user, limit], |row| row.get(0))?;
    let keys: Vec<i64> = keys.collect::<rusqlite::Result<_>>()?;
    Ok((keys.len() <= KEYS_MAX).then_some(keys))
}

/// Whether a row is one that the filter means; its times are seen to elsewhere.
fn matches(row: &Row<'_>, filter: &LedgerFilter, keys: Option<&Meant>) -> rusqlite::Result<bool> {
    let is = |column: usize, wanted: Option<&str>| -> rusqlite::Result<bool> {
        let Some(wanted) = wanted else { return Ok(true) };
        Ok(matches!(row.get_ref(column)?, ValueRef::Text(text) if text == wanted.as_bytes()))
    };
    let key_id: i64 = row.get(3)?;
    let is_of = |keys: &Meant| keys.now.binary_search(&key_id).is_ok();
    let key = match (keys, &filter.key) {
        (Some(keys), Some(KeyRef::Name(name))) => is_of(keys) || is(4, Some(name))?,
        (Some(keys), _) => is_of(keys),
        (None, _) => true,
    };
    let status = match filter.status {
        Some(status) => row.get::<_, i64>(13)? == i64::from(status),
        None => true,
    };
    Ok(key
        && status
        && is(5, filter.user.as_deref())?
        && is(9, filter.model.as_deref())?
        && is(10, filter.upstream.as_deref())?
        && is(14, filter.outcome.map(Outcome::as_str))?)
}
