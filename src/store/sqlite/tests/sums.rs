//! The sums beside the rows agree with them, and are what people read.

use super::*;
use crate::store::sqlite::rollup::{DAY, HOUR, MINUTE};
use crate::store::{OverviewRange, UsageBy, UsageSum};
use std::ops::Range;

/// 2026-01-31T12:34:56Z
const NOW_MS: i64 = 1_769_862_896_000;

/// Rows of a few keys, users, models and upstreams over the month before `NOW_MS`, always the same.
fn month(count: u64) -> Vec<LedgerRecord> {
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let records = (0..count).map(|id| {
        let key_id = next(5) as i64 + 1;
        let mut record = record(u128::from(id), key_id, next(1_000) as i64);
        record.started_at_ms = NOW_MS - next(30 * DAY as u64) as i64;
        record.key_name = format!("key-{key_id}").into();
        record.user = (key_id > 1).then(|| format!("user-{}", key_id / 2).into());
        record.model = format!("model-{}", next(3)).into();
        record.upstream = format!("upstream-{}", next(2)).into();
        record.outcome = if next(20) == 0 { Outcome::UpstreamError } else { Outcome::Ok };
        record.status = if record.outcome == Outcome::Ok { 200 } else { 502 };
        record.metered.usage.input_tokens = next(100);
        record.metered.usage.output_tokens = next(50);
        record.metered.source = UsageSource::Reported;
        record.duration_ms = next(5_000);
        record.ttft_ms = (next(2) == 0).then_some(next(900));
        record
    });
    records.collect()
}

/// Sums of these rows, by a name.
fn summed(rows: &[LedgerRecord], name: impl Fn(&LedgerRecord) -> String) -> Vec<(String, u64, i64, u64)> {
    let mut sums = std::collections::BTreeMap::<String, (u64, i64, u64)>::new();
    for row in rows {
        let sum = sums.entry(name(row)).or_default();
        *sum = (sum.0 + 1, sum.1 + row.cost_nanos, sum.2 + u64::from(row.outcome != Outcome::Ok));
    }
    sums.into_iter().map(|(name, (requests, cost, errors))| (name, requests, cost, errors)).collect()
}

fn by_name(sums: Vec<UsageSum>) -> Vec<(String, u64, i64, u64)> {
    let mut sums: Vec<_> = sums.into_iter().map(|sum| (sum.name, sum.requests, sum.cost_nanos, sum.errors)).collect();
    sums.sort();
    sums
}

/// What a row is grouped by.
type NameOf = fn(&LedgerRecord) -> String;

fn written(count: u64) -> (Place, SqliteStore, Vec<LedgerRecord>) {
    let place = Place::new();
    let store = place.open();
    let rows = month(count);
    for batch in rows.chunks(70) {
        store.apply(&settled(batch.to_vec())).unwrap();
    }
    (place, store, rows)
}

fn problems(place: &Place, store: &SqliteStore) -> Vec<String> {
    crate::ledger::verify(store, &place.folder.path().join("journal")).unwrap().problems
}

#[test]
fn sums_of_any_range_are_those_of_its_rows() {
    let (place, store, rows) = written(600);
    assert_eq!(problems(&place, &store), [""; 0]);
    let names: [(UsageBy, NameOf); 4] = [
        (UsageBy::Key, |row| row.key_name.to_string()),
        (UsageBy::User, |row| row.user.as_deref().unwrap_or_default().to_owned()),
        (UsageBy::Model, |row| row.model.to_string()),
        (UsageBy::Upstream, |row| row.upstream.to_string()),
    ];
    let ranges = [
        (None, None),
        (Some(NOW_MS - 40 * MINUTE), None),
        (Some(NOW_MS - 9 * DAY - 5), Some(NOW_MS - 3 * HOUR)),
        (None, Some(NOW_MS - 20 * DAY)),
        (Some(NOW_MS - 5 * HOUR), Some(NOW_MS - 4 * HOUR - 30 * MINUTE)),
    ];
    for (since_ms, until_ms) in ranges {
        for user in [None, Some("user-2"), Some("nobody")] {
            let filter = LedgerFilter { since_ms, until_ms, user: user.map(Into::into), ..LedgerFilter::default() };
            let inside = |row: &&LedgerRecord| {
                row.started_at_ms >= since_ms.unwrap_or(i64::MIN)
                    && row.started_at_ms < until_ms.unwrap_or(i64::MAX)
                    && (user.is_none() || row.user.as_deref() == user)
            };
            let inside: Vec<LedgerRecord> = rows.iter().filter(inside).cloned().collect();
            for (by, name) in names {
                let sums = by_name(store.usage_sums(by, &filter).unwrap());
                assert_eq!(sums, summed(&inside, name), "{by:?} {filter:?}");
            }
            let day = |row: &LedgerRecord| {
                let time = jiff::Timestamp::from_millisecond(row.started_at_ms).unwrap();
                time.strftime("%Y-%m-%d").to_string()
            };
            assert_eq!(by_name(store.usage_sums(UsageBy::Day, &filter).unwrap()), summed(&inside, day));
        }
    }
}

#[test]
fn an_overview_adds_up() {
    let (_place, store, rows) = written(600);
    for (word, range) in OverviewRange::ALL {
        let (unit, count) = range.buckets();
        let from_ms = NOW_MS.div_euclid(unit) * unit + unit - unit * count;
        for user in [None, Some("user-2")] {
            let inside =
                |row: &&LedgerRecord| row.started_at_ms >= from_ms && (user.is_none() || row.user.as_deref() == user);
            let inside: Vec<LedgerRecord> = rows.iter().filter(inside).cloned().collect();
            let overview = store.overview(range, user, NOW_MS).unwrap();
            assert_eq!(overview.series.len() as i64, count);
            assert_eq!(overview.totals.counts.requests, inside.len() as u64, "{word}");
            for (at_ms, tally) in &overview.series {
                let here = inside.iter().filter(|row| (*at_ms..at_ms + unit).contains(&row.started_at_ms)).count();
                assert_eq!(tally.counts.requests, here as u64, "{word} {at_ms} {user:?}");
            }
            assert_eq!(by_name(overview.models), summed(&inside, |row| row.model.to_string()));
            assert_eq!(by_name(overview.upstreams), summed(&inside, |row| row.upstream.to_string()));
            assert_eq!(by_name(overview.keys), summed(&inside, |row| row.key_name.to_string()));
        }
    }
    let month = store.overview(OverviewRange::Month, None, NOW_MS).unwrap();
    assert!(month.keys.is_sorted_by(|a, b| a.cost_nanos >= b.cost_nanos));
    let p50_ms = month.totals.duration.percentile_ms(50).unwrap();
    assert!((2_000..3_000).contains(&p50_ms), "{p50_ms}");
    assert!(month.totals.ttft.percentile_ms(95).unwrap() > 700);
}

#[test]
fn sums_that_do_not_agree_are_told() {
    for (change, told) in [
        ("DELETE FROM rollup WHERE rowid_of = 0", None),
        ("DELETE FROM rollup WHERE span = 3600000 AND scope = '' AND model = 'model-1'", Some("1 hour(s) by model")),
        ("UPDATE rollup SET model = 'other' WHERE span = 60000", Some("1 minute(s) by model")),
        (
            "UPDATE rollup SET bucket = bucket + 100 WHERE span = 86400000 AND scope = '=user-2'",
            Some("24 hour(s) by model"),
        ),
        ("UPDATE rollup_key SET key_id = key_id + 9 WHERE span = 3600000", Some("1 hour(s) by key")),
        ("UPDATE rollup_key SET tally = x'00'", Some("by key")),
        ("INSERT INTO rollup_key VALUES (5, 5, 5, '', x'')", Some("by key")),
    ] {
        let (place, store, _) = written(60);
        let changed = Connection::open(place.path()).unwrap().execute(change, []);
        let Some(told) = told else {
            assert!(changed.is_err(), "a change that is none");
            continue;
        };
        assert!(changed.unwrap() > 0, "{change}");
        let problems = problems(&place, &store);
        assert!(problems.iter().any(|problem| problem.starts_with("sums: ") && problem.contains(told)), "{problems:?}");
        // What cannot be read stops no batch.
        store.apply(&settled([record(1_000_000, 1, 1)])).unwrap();
    }
}

/// A version without sums may have added rows before this one, or may still: they are caught up with.
#[test]
fn rows_that_came_without_sums_are_caught_up_with() {
    let (place, store, _) = written(100);
    let forget =
        "DELETE FROM rollup; DELETE FROM rollup_key; DELETE FROM user_account; UPDATE chain_head SET rolled_up = 0";
    Connection::open(place.path()).unwrap().execute_batch(forget).unwrap();
    assert_eq!(problems(&place, &store), [""; 0], "what is not summed up yet is nothing wrong");
    store.bring_up_to_date().unwrap();
    let requests = |store: &SqliteStore| -> u64 {
        let sums = store.usage_sums(UsageBy::Model, &LedgerFilter::default()).unwrap();
        sums.iter().map(|sum| sum.requests).sum()
    };
    assert_eq!(requests(&store), 100);
    Connection::open(place.path()).unwrap().execute_batch(forget).unwrap();
    store.apply(&settled([record(1_000, 1, 5), record(1, 1, 5)])).unwrap();
    assert_eq!((requests(&store), problems(&place, &store)), (101, Vec::new()));
}

#[test]
fn a_users_balance_that_was_changed_is_found() {
    let (place, store, _) = written(100);
    let change = "UPDATE user_account SET spent_nanos = 6 WHERE user = 'user-1'";
    assert_eq!(Connection::open(place.path()).unwrap().execute(change, []).unwrap(), 1);
    let problems = problems(&place, &store);
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.starts_with("balance: user user-1 has 6 nano-USD spent"), "{problem}");
}

/// What `spent_outside` is to say: what these rows cost a user outside of a span.
fn outside(rows: &[LedgerRecord], user: &str, span: &Range<i64>) -> i64 {
    let is_outside = |row: &&LedgerRecord| row.user.as_deref() == Some(user) && !span.contains(&row.started_at_ms);
    rows.iter().filter(is_outside).map(|row| row.cost_nanos).sum()
}

#[test]
fn what_users_spent_outside_of_a_span_is_that_of_the_rows() {
    let (_place, store, rows) = written(600);
    let day = NOW_MS - NOW_MS.rem_euclid(DAY);
    let mut asked = vec![("nobody", 0..NOW_MS), ("user-1", i64::MIN..i64::MAX)];
    for user in ["user-1", "user-2"] {
        // Midnight in London, Shanghai and Kathmandu; a month there; a time that is over.
        for east_ms in [0, 8 * HOUR, 5 * HOUR + 45 * MINUTE] {
            asked.push((user, day - east_ms..day - east_ms + DAY));
            asked.push((user, day - 30 * DAY - east_ms..day + DAY - east_ms));
            asked.push((user, day - 9 * DAY - east_ms..day - 8 * DAY - east_ms));
        }
    }
    let wanted: Vec<i64> = asked.iter().map(|(user, span)| outside(&rows, user, span)).collect();
    assert_eq!(store.spent_outside(&asked).unwrap(), wanted);
}

/// Of a month, for each of many people, that would take too long.
#[test]
fn rows_are_looked_at_where_there_are_no_sums_for_them_alone() {
    let (place, store, mut rows) = written(600);
    let day = NOW_MS - NOW_MS.rem_euclid(DAY);
    let asked = [("user-1", day - 10 * DAY - 30 * MINUTE..day + DAY - 30 * MINUTE)];
    let change = |sql: &str| Connection::open(place.path()).unwrap().execute_batch(sql).unwrap();
    // Each row is another one now; the sums, which are of hours, are not.
    change("UPDATE ledger SET cost_nanos = cost_nanos + 1000000");
    let is_edge = |row: &LedgerRecord| (asked[0].1.start..asked[0].1.start + 30 * MINUTE).contains(&row.started_at_ms);
    let edges = rows.iter().filter(|row| row.user.as_deref() == Some("user-1") && is_edge(row)).count() as i64;
    let before = outside(&rows, "user-1", &asked[0].1);
    assert_eq!(store.spent_outside(&asked).unwrap(), [before - edges * 1_000_000]);
    // What is kept cannot be read: then they all are.
    change("UPDATE rollup SET tally = x'00' WHERE scope = '=user-1' AND span = 86400000");
    rows.retain(|row| row.user.as_deref() == Some("user-1"));
    let all: i64 = rows.iter().map(|row| row.cost_nanos).sum();
    rows.iter_mut().for_each(|row| row.cost_nanos += 1_000_000);
    let within: i64 = rows.iter().filter(|row| asked[0].1.contains(&row.started_at_ms)).map(|row| row.cost_nanos).sum();
    assert_eq!(store.spent_outside(&asked).unwrap(), [all - within]);
}
