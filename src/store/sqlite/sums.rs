//! Sums that people read: from what is kept beside the rows as far as that reaches, from the rows themselves where a range
//! begins or ends within an hour.

use super::rollup::{DAY, EVERYBODY, HOUR, MINUTE, bucket, scope_of};
use super::{read, row};
use crate::ledger::{LedgerRecord, Outcome};
use crate::quick::QuickMap;
use crate::store::tally::{Counts, Sum, Tally};
use crate::store::{
    LedgerFilter, OVERVIEW_TOP_MAX, Overview, OverviewRange, Result, StoreError, StoreErrorKind, UsageBy, UsageSum,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use std::ops::Range;
use tollgate_plugin_api::UsageSource;

/// Rows that an overview looks at one by one; where there are more, it begins with the hour.
const ROWS_MAX: i64 = 40_000;

/// Where the sums of a range come from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    /// What is kept: a span, the first bucket, and the one behind the last.
    kept: Vec<(i64, i64, i64)>,
    /// Times whose rows are summed up: from, and up to.
    rows: Vec<(i64, i64)>,
}

impl Parts {
    /// A range by these spans, the longest first. The earliest and the latest time there is are no edges.
    fn cut(from_ms: i64, until_ms: i64, spans: &[i64]) -> Self {
        let mut parts = Self::default();
        parts.add(from_ms, until_ms, spans);
        parts
    }

    fn add(&mut self, from_ms: i64, until_ms: i64, spans: &[i64]) {
        if from_ms >= until_ms {
            return;
        }
        let Some((&span, finer)) = spans.split_first() else {
            self.rows.push((from_ms, until_ms));
            return;
        };
        let first = match from_ms {
            i64::MIN => i64::MIN,
            _ => bucket(from_ms, span) + i64::from(from_ms.rem_euclid(span) != 0),
        };
        let end = if until_ms == i64::MAX { i64::MAX } else { bucket(until_ms, span) };
        if first >= end {
            return self.add(from_ms, until_ms, finer);
        }
        if first != i64::MIN {
            self.add(from_ms, first.saturating_mul(span), finer);
        }
        self.kept.push((span, first, end));
        if end != i64::MAX {
            self.add(end.saturating_mul(span), until_ms, finer);
        }
    }

    /// Has whole hours instead of rows where there are too many of those.
    fn bound(mut self, connection: &Connection) -> Result<Self> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM ledger WHERE started_at_ms >= ? AND started_at_ms < ? LIMIT ?)";
        let mut count = connection.prepare_cached(sql)?;
        for (from_ms, until_ms) in std::mem::take(&mut self.rows) {
            let rows: i64 = count.query_row([from_ms, until_ms, ROWS_MAX + 1], |row| row.get(0))?;
            match rows > ROWS_MAX {
                true => self.kept.push((HOUR, bucket(from_ms, HOUR), bucket(until_ms - 1, HOUR) + 1)),
                false => self.rows.push((from_ms, until_ms)),
            }
        }
        Ok(self)
    }
}

/// Sums by a name, or by a number: a key's id, or a bucket's beginning.
#[derive(Default)]
struct Groups<S> {
    named: QuickMap<String, usize>,
    numbered: QuickMap<i64, usize>,
    /// Of all of them, by their places.
    sums: Vec<S>,
}

/// Groups with their sums, in no order.
type Parted<G, S> = Vec<(G, S)>;

impl<S: Sum> Groups<S> {
    fn name(&mut self, name: &str) -> &mut S {
        let place = self.named.get(name).copied();
        let place = place.unwrap_or_else(|| *self.named.entry(name.to_owned()).or_insert(self.sums.len()));
        self.at(place)
    }

    fn number(&mut self, number: i64) -> &mut S {
        let place = *self.numbered.entry(number).or_insert(self.sums.len());
        self.at(place)
    }

    fn at(&mut self, place: usize) -> &mut S {
        if place == self.sums.len() {
            self.sums.push(S::default());
        }
        &mut self.sums[place]
    }

    /// Those with a name, and those with a number.
    fn into_parts(mut self) -> (Parted<String, S>, Parted<i64, S>) {
        let mut take = |place: usize| std::mem::take(&mut self.sums[place]);
        let named = self.named.into_iter().map(|(name, place)| (name, take(place))).collect();
        let numbered = self.numbered.into_iter().map(|(number, place)| (number, take(place))).collect();
        (named, numbered)
    }
}

/// What is grouped by, as the tables have it.
#[derive(Clone, Copy)]
enum By {
    Named(UsageBy),
    /// The beginnings of spans of time.
    Time(i64),
}

/// [`Store::usage_sums`](crate::store::Store::usage_sums).
pub(super) fn usage_sums(connection: &Connection, by: UsageBy, filter: &LedgerFilter) -> Result<Vec<UsageSum>> {
    let by_time = if by == UsageBy::Day { By::Time(DAY) } else { By::Named(by) };
    let plain = LedgerFilter {
        since_ms: filter.since_ms,
        until_ms: filter.until_ms,
        user: filter.user.clone(),
        limit: filter.limit,
        ..LedgerFilter::default()
    };
    let mut groups = Groups::default();
    let (from_ms, until_ms) = (filter.since_ms.unwrap_or(i64::MIN), filter.until_ms.unwrap_or(i64::MAX));
    if *filter == plain {
        let parts = Parts::cut(from_ms, until_ms, &[DAY, HOUR]);
        gather(connection, by_time, filter.user.as_deref(), &parts, &mut groups)?;
    } else {
        gather_rows(connection, by_time, filter, &mut groups)?;
    }
    named_sums(connection, by, groups)
}

/// Sums with their names, in order.
fn named_sums(connection: &Connection, by: UsageBy, groups: Groups<Counts>) -> Result<Vec<UsageSum>> {
    let (named, mut numbered) = groups.into_parts();
    let mut sums: Vec<UsageSum> = named.into_iter().map(|(name, counts)| sum_of(name, None, &counts)).collect();
    numbered.sort_by_key(|(number, _)| *number);
    for (number, counts) in numbered {
        sums.push(match by {
            UsageBy::Day => sum_of(day_name(number), None, &counts),
            _ => sum_of(String::new(), Some(number), &counts),
        });
    }
    if by != UsageBy::Day {
        sums.sort_by(|a, b| b.cost_nanos.cmp(&a.cost_nanos).then(a.key_id.cmp(&b.key_id)).then(a.name.cmp(&b.name)));
    }
    Ok(sums.into_iter().filter(|sum| sum.requests > 0).collect::<Vec<_>>())
        .and_then(|sums| with_key_names(connection, sums))
}

fn with_key_names(connection: &Connection, mut sums: Vec<UsageSum>) -> Result<Vec<UsageSum>> {
    // A key that is deleted keeps its row; one that another database had is only in the ledger.
    let mut name = connection.prepare_cached(
        "SELECT coalesce((SELECT name FROM key WHERE id = ?1), (SELECT key_name FROM ledger WHERE key_id = ?1 \
         ORDER BY started_at_ms DESC, sequence DESC LIMIT 1))",
    )?;
    for sum in &mut sums {
        if let Some(key_id) = sum.key_id {
            let found: Option<Option<String>> = name.query_row([key_id], |row| row.get(0)).optional()?;
            sum.name = found.flatten().unwrap_or_default();
        }
    }
    Ok(sums)
}

fn sum_of(name: String, key_id: Option<i64>, counts: &Counts) -> UsageSum {
    UsageSum {
        name,
        key_id,
        requests: counts.requests,
        errors: counts.errors,
        usage: counts.usage,
        cost_nanos: counts.cost_nanos_i64(),
        estimated: counts.estimated,
        price_missing: counts.price_missing,
    }
}

fn day_name(at_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(at_ms);
    time.map(|time| time.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// Adds what all parts come to.
fn gather<S: Sum>(
    connection: &Connection,
    by: By,
    user: Option<&str>,
    parts: &Parts,
    groups: &mut Groups<S>,
) -> Result<()> {
    for &(span, first, end) in &parts.kept {
        match by {
            By::Named(UsageBy::Key | UsageBy::User) => gather_keys(connection, by, user, (span, first, end), groups)?,
            _ => gather_models(connection, by, user, (span, first, end), groups)?,
        }
    }
    for &(from_ms, until_ms) in &parts.rows {
        let filter = LedgerFilter {
            since_ms: Some(from_ms),
            until_ms: Some(until_ms),
            user: user.map(Into::into),
            ..LedgerFilter::default()
        };
        gather_rows(connection, by, &filter, groups)?;
    }
    Ok(())
}

fn gather_models<S: Sum>(
    connection: &Connection,
    by: By,
    user: Option<&str>,
    (span, first, end): (i64, i64, i64),
    groups: &mut Groups<S>,
) -> Result<()> {
    let sql =
        "SELECT bucket, model, upstream, tally FROM rollup WHERE span = ? AND scope = ? AND bucket >= ? AND bucket < ?";
    let mut statement = connection.prepare_cached(sql)?;
    let scope = user.map_or_else(|| EVERYBODY.to_owned(), scope_of);
    let mut rows = statement.query(params![span, scope, first, end])?;
    while let Some(row) = rows.next()? {
        let group = match by {
            By::Named(UsageBy::Model) => groups.name(text(row, 1)?),
            By::Named(_) => groups.name(text(row, 2)?),
            By::Time(unit) => {
                let at_ms = row.get::<_, i64>(0)?.saturating_mul(span);
                groups.number(start_of(at_ms, unit))
            }
        };
        add(group, row, 3)?;
    }
    Ok(())
}

fn gather_keys<S: Sum>(
    connection: &Connection,
    by: By,
    user: Option<&str>,
    (span, first, end): (i64, i64, i64),
    groups: &mut Groups<S>,
) -> Result<()> {
    // Each row is read with no more work than it needs: these are most of what people wait for.
    let group = if matches!(by, By::Named(UsageBy::User)) { "user" } else { "key_id" };
    let whose = if user.is_some() { "user = ?" } else { "? IS NULL" };
    let sql =
        format!("SELECT {group}, tally FROM rollup_key WHERE span = ? AND bucket >= ? AND bucket < ? AND {whose}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![span, first, end, user])?;
    while let Some(row) = rows.next()? {
        let group = match by {
            By::Named(UsageBy::User) => groups.name(text(row, 0)?),
            _ => groups.number(row.get(0)?),
        };
        add(group, row, 1)?;
    }
    Ok(())
}

/// The columns that a row is counted by.
const COUNTED: &str = "started_at_ms, key_id, user, model, upstream, outcome, usage_source, price_missing, cost_nanos, \
     input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, ttft_ms, duration_ms";

fn gather_rows<S: Sum>(connection: &Connection, by: By, filter: &LedgerFilter, groups: &mut Groups<S>) -> Result<()> {
    let (condition, values) = read::condition(filter);
    let mut statement = connection.prepare(&format!("SELECT {COUNTED} FROM ledger WHERE {condition}"))?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let group = match by {
            By::Named(UsageBy::Key) => groups.number(row.get(1)?),
            By::Named(UsageBy::User) => groups.name(text(row, 2)?),
            By::Named(UsageBy::Model) => groups.name(text(row, 3)?),
            By::Named(_) => groups.name(text(row, 4)?),
            By::Time(unit) => groups.number(start_of(row.get(0)?, unit)),
        };
        group.add_record(&counted(row)?);
    }
    Ok(())
}

/// As much of a record as is counted.
fn counted(row: &Row<'_>) -> rusqlite::Result<LedgerRecord> {
    let mut record = LedgerRecord {
        outcome: Outcome::parse(text(row, 5)?).ok_or_else(|| row::unreadable(5, "an unknown outcome"))?,
        price_missing: row.get(7)?,
        cost_nanos: row.get(8)?,
        ttft_ms: row.get(14)?,
        duration_ms: row.get(15)?,
        ..LedgerRecord::default()
    };
    record.metered.source = UsageSource::parse(text(row, 6)?).ok_or_else(|| row::unreadable(6, "an unknown source"))?;
    let usage = &mut record.metered.usage;
    usage.input_tokens = row.get(9)?;
    usage.cached_input_tokens = row.get(10)?;
    usage.cache_write_tokens = row.get(11)?;
    usage.output_tokens = row.get(12)?;
    usage.reasoning_tokens = row.get(13)?;
    Ok(record)
}

/// A column's text without a copy; NULL is empty.
fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(""),
        value => value.as_str().map_err(|error| row::unreadable(column, error)),
    }
}

/// Adds what is kept in a column.
fn add(sum: &mut impl Sum, row: &Row<'_>, column: usize) -> Result<()> {
    let bytes = row.get_ref(column)?.as_blob().unwrap_or_default();
    let unreadable = || StoreError::new(StoreErrorKind::Damaged, "database: sums of the ledger cannot be read");
    sum.add_encoded(bytes).ok_or_else(unreadable)
}

/// What a user's requests within a span cost, in nano-USD, as far as that is kept; and the times whose rows are not in it.
pub(super) fn kept_cost(connection: &Connection, user: &str, span: &Range<i64>) -> Result<(i64, Vec<(i64, i64)>)> {
    let Parts { kept, rows } = Parts::cut(span.start, span.end, &[DAY, HOUR]);
    let mut groups = Groups::<Counts>::default();
    // By model: those are found by the user's name.
    gather(connection, By::Named(UsageBy::Model), Some(user), &Parts { kept, rows: Vec::new() }, &mut groups)?;
    let mut counts = Counts::default();
    groups.sums.iter().for_each(|sum| counts.add(sum));
    Ok((counts.cost_nanos_i64(), rows))
}

fn start_of(at_ms: i64, unit: i64) -> i64 {
    bucket(at_ms, unit).saturating_mul(unit)
}

/// [`Store::overview`](crate::store::Store::overview).
pub(super) fn overview(
    connection: &mut Connection,
    range: OverviewRange,
    user: Option<&str>,
    now_ms: i64,
) -> Result<Overview> {
    // One transaction: totals, series and groups are of the same rows.
    let transaction = connection.transaction()?;
    let (unit, count) = range.buckets();
    let end_ms = start_of(now_ms, unit).saturating_add(unit);
    let from_ms = end_ms.saturating_sub(unit.saturating_mul(count));
    // Minutes are kept for everybody alone, and not by key.
    let by_model = Parts::cut(from_ms, end_ms, if user.is_none() { &[DAY, HOUR, MINUTE] } else { &[DAY, HOUR] });
    let by_key = Parts::cut(from_ms, end_ms, &[DAY, HOUR]).bound(&transaction)?;
    let units = [unit];
    let by_time = Parts::cut(from_ms, end_ms, if user.is_none() || unit >= HOUR { &units } else { &[] });
    let (by_model, by_time) = (by_model.bound(&transaction)?, by_time.bound(&transaction)?);

    let mut times = Groups::<Tally>::default();
    gather(&transaction, By::Time(unit), user, &by_time, &mut times)?;
    let mut series: Vec<(i64, Tally)> = (0..count).map(|at| (from_ms + at * unit, Tally::default())).collect();
    let mut totals = Tally::default();
    for (at_ms, tally) in times.into_parts().1 {
        totals.add(&tally);
        // Hours that stand in for rows may begin before the range.
        let at = (at_ms.saturating_sub(from_ms) / unit).clamp(0, count - 1);
        series[usize::try_from(at).unwrap_or_default()].1.add(&tally);
    }
    let top = |by, parts: &Parts| -> Result<Vec<UsageSum>> {
        let mut groups = Groups::<Counts>::default();
        gather(&transaction, By::Named(by), user, parts, &mut groups)?;
        let (mut named, mut numbered) = groups.into_parts();
        named.sort_by(|(a, x), (b, y)| dearer(x, y).then(a.cmp(b)));
        numbered.sort_by(|(a, x), (b, y)| dearer(x, y).then(a.cmp(b)));
        let named = named.iter().map(|(name, counts)| sum_of(name.clone(), None, counts));
        let numbered = numbered.iter().map(|(id, counts)| sum_of(String::new(), Some(*id), counts));
        with_key_names(&transaction, named.chain(numbered).take(OVERVIEW_TOP_MAX).collect())
    };
    Ok(Overview {
        keys: top(UsageBy::Key, &by_key)?,
        models: top(UsageBy::Model, &by_model)?,
        upstreams: top(UsageBy::Upstream, &by_model)?,
        totals,
        series,
    })
}

/// The dearer one first, then the one with more requests.
fn dearer(one: &Counts, other: &Counts) -> std::cmp::Ordering {
    (other.cost_nanos, other.requests).cmp(&(one.cost_nanos, one.requests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_whole_days_and_hours() {
        let cut = |from_ms, until_ms| Parts::cut(from_ms, until_ms, &[DAY, HOUR]);
        let whole = Parts { kept: vec![(DAY, i64::MIN, i64::MAX)], rows: vec![] };
        assert_eq!(cut(i64::MIN, i64::MAX), whole);
        let parts = cut(DAY - HOUR - 1, 3 * DAY + 2 * HOUR + 5);
        assert_eq!(parts.kept, [(HOUR, 23, 24), (DAY, 1, 3), (HOUR, 72, 74)]);
        assert_eq!(parts.rows, [(DAY - HOUR - 1, DAY - HOUR), (3 * DAY + 2 * HOUR, 3 * DAY + 2 * HOUR + 5)]);
        assert_eq!(cut(5, 7), Parts { kept: vec![], rows: vec![(5, 7)] });
        assert_eq!(cut(7, 7), Parts::default());
        assert_eq!(cut(-1, i64::MAX), Parts { kept: vec![(DAY, 0, i64::MAX)], rows: vec![(-1, 0)] });
    }
}
