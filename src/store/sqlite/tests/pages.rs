//! Pages of records, against the rows themselves.

use super::*;
use crate::store::{KeyRef, RecordCursor};

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
        let expected: Vec<u128> = rows.iter().filter(meant).map(|row| row.request_id.as_u128()).collect();
        let (found, count) = pages(&store, &filter);
        let found: Vec<u128> = found.iter().map(|row| row.request_id.as_u128()).collect();
        assert_eq!(found, expected, "{filter:?}");
        assert!(count <= pages_max, "{count} pages of {filter:?}");
    }
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
