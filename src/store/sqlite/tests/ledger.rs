use super::*;
use crate::ledger::{Opening, Progress};

#[test]
fn a_row_changes_a_balance_once() {
    let place = Place::new();
    let store = place.open();
    let batch = settled([record(1, 1, 10), record(2, 2, 20), record(3, 1, 30)]);
    assert_eq!(store.apply(&batch).unwrap(), Applied { rows: 3, duplicates: 0 });
    assert_eq!(store.apply(&batch).unwrap(), Applied { rows: 0, duplicates: 3 });
    let again = settled([record(2, 2, 999), record(4, 2, 5), record(4, 2, 6)]);
    assert_eq!(store.apply(&again).unwrap(), Applied { rows: 1, duplicates: 2 });
    let audit = store.audit(&mut |row| assert!(row.is_ok())).unwrap();
    assert_eq!(audit.balances, [(1, 40), (2, 25)]);
    assert_eq!(audit.head_sequence, 4);
    assert_eq!(store.ledger_find(Uuid::from_u128(4)).unwrap().unwrap().cost_nanos, 5);
    assert_eq!(store.ledger_find(Uuid::from_u128(5)).unwrap(), None);
}

#[test]
fn no_amount_stops_a_batch() {
    let place = Place::new();
    let store = place.open();
    for id in 1..=3 {
        assert_eq!(store.apply(&settled([record(id, 1, i64::MAX), record(id + 10, 1, i64::MAX)])).unwrap().rows, 2);
    }
    let audit = store.audit(&mut |row| assert!(row.is_ok())).unwrap();
    assert_eq!(audit.balances, [(1, i64::MAX)]);
    assert!(crate::ledger::verify(&store, place.folder.path()).unwrap().is_clean());
}

#[test]
fn a_batch_is_written_as_a_whole_or_not_at_all() {
    let place = Place::new();
    let store = place.open();
    let id = Uuid::from_u128(7);
    let position = Position { segment: 1, offset: 44, sequence: 1 };
    store.writer_open(&Writer { id, journal_dir: "/j".into(), position }).unwrap();
    let batch = Batch {
        writer_id: id,
        position: Position { segment: 1, offset: u64::MAX, sequence: 2 },
        ..settled([record(1, 1, 10)])
    };
    assert!(store.apply(&batch).is_err(), "the offset does not fit");
    assert!(rows(&store, &LedgerFilter::default()).is_empty());
    assert_eq!(store.writers().unwrap()[0].position, position);
}

#[test]
fn only_what_may_be_lost_is_less_durable_than_the_store() {
    let synchronous = |transaction: &Transaction<'_>| -> Result<i64> {
        Ok(transaction.pragma_query_value(None, "synchronous", |row| row.get(0))?)
    };
    for (durability, normal_or_full) in [(Durability::Process, 1), (Durability::Power, 2)] {
        let place = Place::new();
        let store = SqliteStore::open(&place.path(), durability).unwrap();
        let batch = |may_be_lost| Batch { may_be_lost, ..Batch::default() };
        assert_eq!(store.durability_of(&batch(false)), durability);
        assert_eq!(store.durability_of(&batch(true)), Durability::Process);
        for lost in [false, true, true, false] {
            store.apply(&Batch { may_be_lost: lost, ..settled([record(u128::from(lost), 1, 4)]) }).unwrap();
            let expected = if lost { 1 } else { normal_or_full };
            assert_eq!(store.write_for(store.durability_of(&batch(lost)), synchronous).unwrap(), expected);
            // On the same connection.
            assert_eq!(store.write(synchronous).unwrap(), normal_or_full);
        }
    }
}

#[test]
fn open_holds_come_and_go_with_their_writer() {
    let place = Place::new();
    let store = place.open();
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for id in [one, other] {
        store.writer_open(&Writer { id, journal_dir: "/j".into(), position: Position::default() }).unwrap();
    }
    let hold = |id: u128, held_nanos| OpenHold {
        opening: Opening { request_id: Uuid::from_u128(id), key_id: 1, user: Some("u".into()), ..Opening::default() },
        held_nanos,
        progress: None,
    };
    let opened = Batch { writer_id: one, opened: vec![hold(10, 5), hold(11, 6)], ..Batch::default() };
    store.apply(&opened).unwrap();
    store.apply(&Batch { writer_id: other, opened: vec![hold(20, 100)], ..Batch::default() }).unwrap();
    assert_eq!(store.key_find(&KeyRef::Id(1)).unwrap().unwrap().held_nanos, 111);
    let progress = Progress { cost_nanos: 3, upstream: "u".into(), ..Progress::default() };
    let position = Position { segment: 2, offset: 3, sequence: 4 };
    let later = Batch {
        writer_id: one,
        position,
        progressed: vec![(Uuid::from_u128(10), progress.clone()), (Uuid::from_u128(99), progress.clone())],
        closed: vec![Uuid::from_u128(11), Uuid::from_u128(98)],
        ..Batch::default()
    };
    store.apply(&later).unwrap();
    assert_eq!(store.open_holds(one, 10).unwrap(), [OpenHold { progress: Some(progress), ..hold(10, 5) }]);
    assert_eq!(store.open_holds(other, 10).unwrap(), [hold(20, 100)]);
    assert_eq!(store.open_holds(other, 0).unwrap(), []);
    assert_eq!(store.writers().unwrap()[0].position, position);
    // Voided, and held again.
    let (closed, opened) = (vec![Uuid::from_u128(10)], vec![hold(10, 7)]);
    let again = Batch { writer_id: one, position, closed, opened, ..Batch::default() };
    store.apply(&again).unwrap();
    assert_eq!(store.open_holds(one, 10).unwrap(), [hold(10, 7)]);
    store.writer_close(one).unwrap();
    assert_eq!(store.writers().unwrap().len(), 1);
}

#[test]
fn listings_are_filtered_newest_first() {
    let place = Place::new();
    let store = place.open();
    let row = |id: u128, key_id: i64, model: &str, started_at_ms: i64| LedgerRecord {
        model: model.into(),
        started_at_ms,
        key_name: format!("key-{key_id}").into(),
        ..record(id, key_id, 1)
    };
    // Settled in another order than they arrived in.
    store
        .apply(&settled([row(1, 1, "a", 300), row(2, 2, "b", 100), row(3, 1, "b", 200), row(4, 1, "a", 200)]))
        .unwrap();
    let ids = |filter: LedgerFilter| -> Vec<u128> {
        rows(&store, &filter).iter().map(|row| row.request_id.as_u128()).collect()
    };
    let all = LedgerFilter::default();
    assert_eq!(ids(all.clone()), [1, 4, 3, 2]);
    assert_eq!(ids(LedgerFilter { limit: Some(2), ..all.clone() }), [1, 4]);
    assert_eq!(ids(LedgerFilter { limit: Some(u64::MAX), ..all.clone() }).len(), 4);
    assert_eq!(ids(LedgerFilter { since_ms: Some(200), ..all.clone() }), [1, 4, 3]);
    assert_eq!(ids(LedgerFilter { model: Some("b".into()), ..all.clone() }), [3, 2]);
    assert_eq!(ids(LedgerFilter { key: Some(KeyRef::Id(2)), ..all.clone() }), [2]);
    let key = Some(KeyRef::Name("key-1".into()));
    assert_eq!(
        ids(LedgerFilter { key, model: Some("a".into()), since_ms: Some(250), limit: Some(9), ..all.clone() }),
        [1]
    );
    assert_eq!(ids(LedgerFilter { model: Some("%".into()), ..all }), [0; 0]);
}

#[test]
fn sums_are_grouped() {
    let place = Place::new();
    let store = place.open();
    let day_ms = 86_400_000;
    let mut batch = Vec::new();
    for (id, key_id, model, upstream, day, cost) in [
        (1, 1, "a", "x", 20_000, 5),
        (2, 1, "a", "y", 20_000, 10),
        (3, 2, "b", "y", 20_001, 100),
        (4, 1, "b", "y", 20_001, 1),
    ] {
        let mut row = record(id, key_id, cost);
        row.key_name = format!("name-{id}").into();
        row.model = model.into();
        row.upstream = upstream.into();
        row.started_at_ms = day * day_ms + 1;
        row.metered.usage.input_tokens = 10;
        row.metered.usage.output_tokens = 1;
        row.metered.source = if id == 4 { UsageSource::Estimated } else { UsageSource::Reported };
        row.price_missing = id == 3;
        batch.push(row);
    }
    store.apply(&settled(batch)).unwrap();
    let all = LedgerFilter::default();
    let sums = |by| -> Vec<(String, Option<i64>, u64, i64)> {
        let sums = store.usage_sums(by, &all).unwrap();
        sums.into_iter().map(|sum| (sum.name, sum.key_id, sum.requests, sum.cost_nanos)).collect()
    };
    assert_eq!(sums(UsageBy::Key), [("name-3".into(), Some(2), 1, 100), ("name-4".into(), Some(1), 3, 16)]);
    assert_eq!(sums(UsageBy::Model), [("b".into(), None, 2, 101), ("a".into(), None, 2, 15)]);
    assert_eq!(sums(UsageBy::Upstream), [("y".into(), None, 3, 111), ("x".into(), None, 1, 5)]);
    assert_eq!(sums(UsageBy::Day), [("2024-10-04".into(), None, 2, 15), ("2024-10-05".into(), None, 2, 101)]);
    let of_key = LedgerFilter { key: Some(KeyRef::Id(1)), limit: Some(1), ..all };
    let sum = &store.usage_sums(UsageBy::Key, &of_key).unwrap()[0];
    assert_eq!((sum.usage.input_tokens, sum.usage.output_tokens, sum.estimated, sum.price_missing), (30, 3, 1, 0));
    let none = LedgerFilter { since_ms: Some(i64::MAX), ..LedgerFilter::default() };
    assert_eq!(store.usage_sums(UsageBy::Day, &none).unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_record_is_read_back_as_it_was_written(records in prop::collection::vec(any_record(), 1..6)) {
        let place = Place::new();
        let store = place.open();
        store.apply(&settled(records.clone())).unwrap();
        for record in &records {
            let row = store.ledger_find(record.request_id).unwrap();
            prop_assert_eq!(row.as_ref(), Some(record));
        }
        let report = crate::ledger::verify(&store, &place.folder.path().join("journal")).unwrap();
        prop_assert_eq!(report.problems, Vec::<String>::new());
    }
}

#[test]
fn balances_are_told_from_the_beginning_or_from_a_moment_on() {
    let place = Place::new();
    let store = place.open();
    for (name, digest) in [("a", [1; 32]), ("b", [2; 32]), ("c", [3; 32])] {
        store.key_create(&new_key(name), &digest, 0).unwrap();
    }
    store.apply(&settled([record(1, 1, 10), record(2, 2, 20)])).unwrap();
    let told = |since| {
        let mut rows = Vec::new();
        let moment = store
            .balances_since(since, &mut |row| {
                rows.push(match row {
                    BalanceRow::Key(row) => ("key", row.key.id, row.spent_nanos),
                    BalanceRow::UserSpent(_, nanos) => ("user", 0, nanos),
                    BalanceRow::Spent(id, nanos) => ("spent", id, nanos),
                    BalanceRow::Open(_, hold) => ("open", hold.opening.key_id, hold.held_nanos),
                })
            })
            .unwrap();
        (rows, moment)
    };
    let (rows, moment) = told(Moment::default());
    assert_eq!(rows, [("key", 1, 10), ("key", 2, 20), ("key", 3, 0)]);
    assert_eq!(told(moment), (vec![], moment));
    store.apply(&settled([record(3, 2, 5), record(4, 2, 6)])).unwrap();
    store.key_rotate(3, &[4; 32]).unwrap();
    let opening = Opening { request_id: Uuid::from_u128(9), key_id: 1, ..Opening::default() };
    let opened = vec![OpenHold { opening, held_nanos: 7, progress: None }];
    store.apply(&Batch { opened, ..settled([]) }).unwrap();
    let (rows, later) = told(moment);
    assert_eq!(rows, [("key", 3, 0), ("spent", 2, 31), ("open", 1, 7)]);
    assert_eq!((later.key_version, later.sequence), (moment.key_version + 1, 4));
}

#[test]
fn a_hold_that_is_closed_has_a_cost_or_none() {
    let place = Place::new();
    let store = place.open();
    let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
    let opened = ids.iter().map(|id| OpenHold {
        opening: Opening { request_id: *id, key_id: 1, ..Opening::default() },
        held_nanos: 5,
        progress: None,
    });
    store.apply(&Batch { opened: opened.collect(), ..settled([]) }).unwrap();
    let writers = [Uuid::from_u128(9), Batch::default().writer_id];
    assert_eq!(store.closed_holds(&writers, &ids).unwrap(), []);
    store.apply(&Batch { closed: ids[..2].to_vec(), ..settled([record(1, 1, 4)]) }).unwrap();
    let closed =
        |request_id, cost_nanos: Option<i64>| ClosedHold { request_id, cost_nanos, served: cost_nanos.is_some() };
    assert_eq!(store.closed_holds(&writers, &ids).unwrap(), [closed(ids[0], Some(4)), closed(ids[1], None)]);
}
