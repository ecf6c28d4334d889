//! Pages of records, against the rows themselves.

use super::*;
use crate::store::{KeyRef, RecordCursor};

const WRITE_AS_BEFORE: &str = "DELETE FROM key_called; UPDATE chain_head SET called = 0";

/// 3,000 rows, ten to a minute, in no order; some rare.
fn filled() -> (Place, SqliteStore, Vec<LedgerRecord>) {
    let place = Place::new();
    let store = place.open();
    let mut rows = Vec::new();
    for id in 0..3_000_i64 {
        let mut row = record(id as u128, id % 7, id);
        row.started_at_ms = (id * 1_777 % 3_000) / 10 * 60_000;
        row.user = (id % 7 < 3).then(|| "ann".into());
        row.model = if id % 1_000 == 3 { "rare" } else { "common" }.into();
        row.upstream = format!("u{}", id % 2).into();
        row.status = 200;
        if id % 500 == 9 {
            (row.outcome, row.status) = (Outcome::UpstreamError, 503);
        }
        rows.push(row);
    }
    for batch in rows.chunks(1_000) {
        store.apply(&settled(batch.to_vec())).unwrap();
    }
    // The latest first; of the same time, the one that was written last.
    let mut order: Vec<(i64, usize)> = rows.iter().enumerate().map(|(at, row)| (row.started_at_ms, at)).collect();
    order.sort_by_key(|place| std::cmp::Reverse(*place));
    let rows = order.iter().map(|(_, at)| rows[*at].clone()).collect();
    (place, store, rows)
}

/// All pages, one behind the other, and how many there were.
fn pages(store: &SqliteStore, filter: &LedgerFilter) -> (Vec<LedgerRecord>, usize) {
    let (mut all, mut after, mut count) = (Vec::new(), None::<RecordCursor>, 0);
    loop {
        let page = store.ledger_page(filter, after).unwrap();
        assert!(page.records.len() as u64 <= filter.limit.unwrap_or(50));
        all.extend(page.records);
        count += 1;
        assert!(count < 10_000, "it goes on for ever");
        match page.next {
            Some(next) => {
                let place = |cursor: RecordCursor| (cursor.started_at_ms, cursor.sequence);
                assert!(after.is_none_or(|after| place(next) < place(after)), "it goes on");
                after = Some(next);
            }
            None => return (all, count),
        }
    }
}

#[test]
fn pages_are_the_rows_in_order_without_gaps() {
    let (_place, store, rows) = filled();
    let any = LedgerFilter::default();
    let is = |text: &str| Some(text.to_owned());
    let minute = |at: i64| Some(at * 60_000);
    for (filter, pages_max) in [
        (any.clone(), 61),
        (LedgerFilter { limit: Some(1_000), ..any.clone() }, 4),
        (LedgerFilter { since_ms: minute(100), until_ms: minute(200), ..any.clone() }, 21),
        (LedgerFilter { key: Some(KeyRef::Id(3)), ..any.clone() }, 10),
        (LedgerFilter { key: Some(KeyRef::Name("k".into())), ..any.clone() }, 61),
        (LedgerFilter { user: is("ann"), ..any.clone() }, 30),
        (LedgerFilter { user: is("ann"), key: Some(KeyRef::Id(3)), ..any.clone() }, 2),
        (LedgerFilter { user: is("nobody"), ..any.clone() }, 1),
        (LedgerFilter { model: is("rare"), ..any.clone() }, 1),
        (LedgerFilter { model: is("rare"), upstream: is("u1"), since_ms: minute(50), ..any.clone() }, 1),
        (LedgerFilter { model: is("rare"), limit: Some(1), ..any.clone() }, 4),
        (LedgerFilter { model: is("none"), ..any.clone() }, 1),
        (LedgerFilter { upstream: is("u0"), ..any.clone() }, 31),
        (LedgerFilter { outcome: Some(Outcome::UpstreamError), ..any.clone() }, 1),
        (LedgerFilter { outcome: Some(Outcome::Ok), until_ms: minute(9), ..any.clone() }, 3),
        (LedgerFilter { status: Some(503), limit: Some(4), ..any.clone() }, 2),
        (LedgerFilter { status: Some(404), ..any.clone() }, 1),
    ] {
        let meant = |row: &&LedgerRecord| {
            let named = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
            row.started_at_ms >= filter.since_ms.unwrap_or(i64::MIN)
                && row.started_at_ms < filter.until_ms.unwrap_or(i64::MAX)
                && (filter.key != Some(KeyRef::Id(3)) || row.key_id == 3)
                && named(&filter.user, row.user.as_deref().unwrap_or_default())
                && named(&filter.model, &row.model)
                && named(&filter.upstream, &row.upstream)
                && filter.outcome.is_none_or(|outcome| outcome == row.outcome)
                && filter.status.is_none_or(|status| status == row.status)
        };
        let expected: Vec<LedgerRecord> = rows.iter().filter(meant).cloned().collect();
        let (found, count) = pages(&store, &filter);
        assert_eq!(ids(&found), ids(&expected), "{filter:?}");
        assert!(count <= pages_max, "{count} pages of {filter:?}");
    }
}

fn ids(rows: &[LedgerRecord]) -> Vec<u128> {
    rows.iter().map(|row| row.request_id.as_u128()).collect()
}

/// Records of keys that were renamed, deleted and made again, two of each at a time, and of one that is in no table: it was
/// another database's. Told by the hundreds: the time before a change and the one behind it.
fn renamed() -> (Place, SqliteStore) {
    let place = Place::new();
    let store = place.open();
    let rename = |id: i64, name: &str| {
        store.key_change(id, &KeyChange { name: Some(name.into()), ..KeyChange::default() }).unwrap();
    };
    let make = |nth: u8, name: &str| store.key_create(&new_key(name), &[nth; 32], 0).unwrap();
    let used = |hundred: u128, keys: &[(i64, &str)]| {
        let two = |(nth, (key_id, name)): (usize, &(i64, &str))| {
            [1, 2].map(|half| LedgerRecord {
                key_name: (*name).into(),
                started_at_ms: half * 10,
                ..record(hundred + (nth as u128 + 1) * 10 + half as u128, *key_id, 1)
            })
        };
        store.apply(&settled(keys.iter().enumerate().flat_map(two))).unwrap();
    };
    for (nth, name) in [(1, "old"), (2, "team"), (3, "x")] {
        make(nth, name);
    }
    used(100, &[(1, "old"), (2, "team"), (3, "x"), (77, "team")]);
    rename(1, "new");
    rename(3, "y");
    store.key_delete(1, 0).unwrap();
    store.key_delete(2, 0).unwrap();
    make(4, "team");
    make(5, "x");
    used(200, &[(3, "y"), (4, "team"), (5, "x")]);
    (place, store)
}

#[test]
fn a_name_means_the_same_records_wherever_it_is_asked_for() {
    let (place, store) = renamed();
    let told = |store: &SqliteStore, when: &str| {
        for (name, meant) in [
            ("old", vec![112, 111]),
            ("new", vec![112, 111]),
            ("team", vec![222, 142, 122, 221, 141, 121]),
            ("x", vec![232, 132, 231, 131]),
            ("y", vec![212, 132, 211, 131]),
            ("nobody", vec![]),
        ] {
            for limit in [1, 2, 50] {
                let key = Some(KeyRef::Name(name.into()));
                let filter = LedgerFilter { key, limit: Some(limit), ..LedgerFilter::default() };
                assert_eq!(ids(&pages(store, &filter).0), meant, "{when}, pages of {limit}: {name}");
            }
            let filter = LedgerFilter { key: Some(KeyRef::Name(name.into())), ..LedgerFilter::default() };
            assert_eq!(ids(&rows(store, &filter)), meant, "{when}: {name}");
            let summed: u64 = store.usage_sums(UsageBy::Day, &filter).unwrap().iter().map(|sum| sum.requests).sum();
            assert_eq!(summed, meant.len() as u64, "{when}: {name}");
        }
        // What stands beside a name in the sums is among its records.
        for sum in store.usage_sums(UsageBy::Key, &LedgerFilter::default()).unwrap() {
            let by_name = LedgerFilter { key: Some(KeyRef::Name(sum.name.clone())), ..LedgerFilter::default() };
            let of_key = pages(store, &by_name).0.iter().filter(|row| Some(row.key_id) == sum.key_id).count();
            assert_eq!(of_key as u64, sum.requests, "{when}: {}", sum.name);
        }
    };
    told(&store, "at once");
    // A version before adds rows, and knows nothing of their names.
    rusqlite::Connection::open(place.path()).unwrap().execute_batch(WRITE_AS_BEFORE).unwrap();
    told(&store, "with rows of a version before");
    let number = |store: &SqliteStore, sql: &str| -> i64 {
        store.read(|connection| Ok(connection.query_row(sql, [], |row| row.get(0))?)).unwrap()
    };
    // They are caught up with by and by, a few at each batch.
    let mut batches = 0;
    while number(&store, "SELECT sequence - called FROM chain_head") > 0 {
        store.apply(&settled([record(900 + batches, 99, 1)])).unwrap();
        told(&store, "while they are caught up with");
        batches += 1;
        assert!((1..=9).contains(&batches), "it ends");
    }
    assert!(batches > 2, "not all at once");
    assert_eq!(number(&store, "SELECT count(*) FROM key_called"), 8, "a row for each name of a key");
    rusqlite::Connection::open(place.path()).unwrap().execute_batch(WRITE_AS_BEFORE).unwrap();
    drop(store);
    let store = place.open();
    assert!(number(&store, "SELECT called FROM chain_head") > 0, "and at each start");
    told(&store, "after a start");
    // Where nothing is settled, they are caught up with all the same.
    let mut parts = 0;
    while number(&store, "SELECT sequence - called FROM chain_head") > 0 {
        store.catch_up().unwrap();
        told(&store, "while they are caught up with, and nothing is settled");
        parts += 1;
        assert!((1..=9).contains(&parts), "it ends");
    }
    assert!(parts > 1, "not all at once");
    // Where nothing is left to do, nobody is waited for.
    let mut other = rusqlite::Connection::open(place.path()).unwrap();
    let _lock = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    store.catch_up().unwrap();
}

/// Whatever another version added: a page does not look for a name among all of it.
#[test]
fn what_a_name_means_is_searched_for_within_bounds() {
    let (place, store) = renamed();
    let known = |store: &SqliteStore| store.read(|connection| Ok(called::meant(connection, "x")?.any)).unwrap();
    assert_eq!(known(&store), Some(vec![3, 5]));
    rusqlite::Connection::open(place.path()).unwrap().execute_batch(WRITE_AS_BEFORE).unwrap();
    assert_eq!(known(&store), None, "there are too many rows to look at");
    store.catch_up().unwrap();
    assert_eq!(known(&store), None, "and still");
    store.catch_up().unwrap();
    assert_eq!(known(&store), Some(vec![3, 5]), "few are left");
}

#[test]
fn a_name_that_many_keys_had_is_looked_for_among_all() {
    let place = Place::new();
    let store = place.open();
    let mut expected = Vec::new();
    for nth in 0..70_u8 {
        let id = store.key_create(&new_key("again"), &[nth; 32], 0).unwrap().key.id;
        // Others in between.
        for (key_id, name) in [(id, "again"), (1_000, "other")] {
            let request = u128::from(nth) * 2 + u128::from(key_id == 1_000);
            let row =
                LedgerRecord { key_name: name.into(), started_at_ms: request as i64, ..record(request, key_id, 1) };
            store.apply(&settled([row])).unwrap();
        }
        expected.insert(0, u128::from(nth) * 2);
        store.key_delete(id, 0).unwrap();
    }
    let key = Some(KeyRef::Name("again".into()));
    let filter = LedgerFilter { key, limit: Some(9), ..LedgerFilter::default() };
    assert_eq!(ids(&pages(&store, &filter).0), expected);
}

#[test]
fn trails_are_kept_with_their_rows() {
    let place = Place::new();
    let store = place.open();
    let trails = vec![(Uuid::from_u128(1), "{}".to_owned())];
    let batch = Batch { trails, ..settled([record(1, 1, 0)]) };
    for _ in 0..2 {
        store.apply(&batch).unwrap();
    }
    assert_eq!(store.trail(Uuid::from_u128(1)).unwrap().as_deref(), Some("{}"));
    assert_eq!(store.trail(Uuid::from_u128(2)).unwrap(), None);
}
