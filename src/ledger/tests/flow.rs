//! What requests see when nothing fails but the requests themselves.

use super::*;

#[test]
fn a_settled_request_is_a_row_and_an_expense() {
    let place = Place::with_key(Some(1_000));
    let running = place.open();
    let hold = running.hold(600);
    assert_eq!(running.entry().account.balance().held_nanos, 600);
    let mut told = record(&hold, 250);
    told.key_id = 99;
    told.overshoot = true;
    let request_id = hold.opening().request_id;
    wait(hold.settle(told)).unwrap();
    running.settle_down();
    let rows = running.rows();
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.request_id, row.key_id, row.cost_nanos, row.held_nanos), (request_id, 1, 250, 600));
    assert_eq!((row.overshoot, row.outcome, row.status), (false, Outcome::Ok, 200));
    let listing = running.store.key_find(&crate::store::KeyRef::Id(1)).unwrap().unwrap();
    assert_eq!((listing.spent_nanos, listing.held_nanos), (250, 0));
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    assert_eq!(folder::writers(&place.journal_dir()).unwrap().len(), 0);
    drop(running);
    assert_eq!(place.assert_clean().rows, 1);
    let again = place.open();
    assert_eq!(*again.ledger.recovered(), Recovered::default());
    assert_eq!(again.entry().account.balance().spent_nanos, 250);
}

#[test]
fn an_open_hold_shows_in_the_listing_and_a_voided_one_leaves_nothing() {
    let place = Place::with_key(Some(1_000));
    let running = place.open();
    let hold = running.hold(600);
    running.settle_down();
    let held = || running.store.key_find(&crate::store::KeyRef::Id(1)).unwrap().unwrap().held_nanos;
    assert_eq!(held(), 600);
    assert_eq!(place.assert_clean().notes, ["1 requests hold amounts"]);
    hold.void();
    running.settle_down();
    assert_eq!(held(), 0);
    assert!(running.rows().is_empty());
    assert_eq!(running.entry().account.balance().held_nanos, 0);
}

#[test]
fn quotas_hold_under_many_requests_at_once() {
    for room in [1, 7, 100, 999] {
        let place = Place::with_key(Some(room * 10));
        let running = place.open();
        let admitted: Vec<Hold> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..20)
                .map(|_| scope.spawn(|| (0..50).filter_map(|_| running.try_hold(10).ok()).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(admitted.len() as i64, room);
        assert_eq!(running.try_hold(1).unwrap_err(), HoldError::QuotaInsufficient);
        for hold in admitted {
            let told = record(&hold, 10);
            drop(hold.settle(told));
        }
        assert!(running.ledger.shutdown(Duration::from_secs(30)));
        let balance = running.entry().account.balance();
        assert_eq!((balance.spent_nanos, balance.held_nanos), (room * 10, 0));
        assert_eq!(place.assert_clean().cost_nanos, i128::from(room) * 10);
    }
}

#[test]
fn a_cost_above_the_hold_is_billed_flagged_and_blocks_the_key() {
    let place = Place::with_key(Some(100));
    let running = place.open();
    let hold = running.hold(10);
    let told = record(&hold, 5_000);
    wait(hold.settle(told)).unwrap();
    assert_eq!(running.try_hold(0).unwrap_err(), HoldError::QuotaInsufficient);
    running.settle_down();
    assert!(running.rows()[0].overshoot);
}

/// The same of one that ends without being settled, by itself or by the next start.
#[test]
fn a_cost_above_the_hold_is_flagged_also_where_the_last_progress_is_what_is_billed() {
    let overshot = |quota_nanos, is_killed| {
        let place = Place::with_key(quota_nanos);
        let running = place.open();
        for cost_nanos in [10, 11] {
            let mut hold = running.hold(10);
            hold.sent();
            hold.progress(Progress { cost_nanos, ..Progress::default() });
            match is_killed {
                true => std::mem::forget(hold),
                false => drop(hold),
            }
        }
        running.settle_down();
        let deadline = if is_killed { Duration::ZERO } else { Duration::from_secs(30) };
        assert_eq!(running.ledger.shutdown(deadline), !is_killed);
        drop(running);
        let mut rows = place.open().rows();
        rows.sort_by_key(|row| row.cost_nanos);
        rows.iter().map(|row| (row.cost_nanos, row.overshoot)).collect::<Vec<_>>()
    };
    for is_killed in [false, true] {
        assert_eq!(overshot(Some(100), is_killed), [(10, false), (11, true)], "killed: {is_killed}");
        assert_eq!(overshot(None, is_killed), [(10, false), (11, false)], "killed: {is_killed}");
    }
}

#[test]
fn an_unlimited_key_holds_nothing_and_never_overshoots() {
    let place = Place::with_key(None);
    let running = place.open();
    let hold = running.hold(10);
    assert_eq!(hold.held_nanos(), 0);
    let told = record(&hold, 5_000);
    wait(hold.settle(told)).unwrap();
    running.settle_down();
    assert!(!running.rows()[0].overshoot);
    assert_eq!(running.entry().account.balance().spent_nanos, 5_000);
}

#[test]
fn a_dropped_request_is_billed_by_its_last_progress_if_it_was_sent() {
    let place = Place::with_key(Some(1_000));
    let running = place.open();
    drop(running.hold(10));
    let mut silent = running.hold(10);
    silent.sent();
    drop(silent);
    let mut halfway = running.hold(10);
    halfway.sent();
    for cost_nanos in [1, 2, 3] {
        halfway.progress(Progress { cost_nanos, upstream: "u".into(), attempts: 1, ..Progress::default() });
    }
    let panicked = std::thread::spawn(move || {
        let _halfway = halfway;
        std::panic::resume_unwind(Box::new("as a panic would, but without the message"));
    });
    assert!(panicked.join().is_err());
    running.settle_down();
    let mut rows = running.rows();
    rows.sort_by_key(|row| row.cost_nanos);
    let told: Vec<_> = rows.iter().map(|row| (row.cost_nanos, row.outcome, row.metered.source)).collect();
    assert_eq!(told, [(0, Outcome::Interrupted, UsageSource::None), (3, Outcome::Interrupted, UsageSource::Estimated)]);
    assert_eq!(rows[1].error_code.as_deref(), Some("INTERNAL_ERROR"));
    assert_eq!(&*rows[1].upstream, "u");
    let balance = running.entry().account.balance();
    assert_eq!((balance.spent_nanos, balance.held_nanos), (3, 0));
}

#[test]
fn without_slots_new_requests_are_refused_and_open_ones_still_end() {
    let place = Place::with_key(Some(1_000));
    let running = place.open_with(LedgerOptions { slots_max: 4, ..place.options() }, Arc::new(FileSystem));
    let mut holds = Vec::new();
    let refused = loop {
        // An open hold keeps the slot of its settlement.
        until(|| running.ledger.lag().slots_free == 4 - holds.len() as u64);
        match running.try_hold(1) {
            Ok(hold) => holds.push(hold),
            Err(refused) => break refused,
        }
    };
    assert_eq!((refused, holds.len()), (HoldError::BillingUnavailable, 3));
    assert!(!running.ledger.healthy());
    assert_eq!(running.entry().account.balance().held_nanos, 3, "what is refused holds nothing");
    holds[0].progress(Progress { cost_nanos: 1, ..Progress::default() });
    for hold in holds {
        let told = record(&hold, 1);
        wait(hold.settle(told)).unwrap();
    }
    assert!(running.ledger.healthy());
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    assert_eq!(place.assert_clean().rows, 3);
}

#[test]
fn a_folder_and_a_store_are_served_once() {
    let place = Place::with_key(None);
    let running = place.open();
    let open = |journal_dir: &Path| {
        let options = LedgerOptions::new(journal_dir);
        Ledger::open(options, place.store(), Arc::new(Keys::new())).err().map(|error| error.to_string())
    };
    let error = open(&place.journal_dir()).unwrap();
    assert!(error.contains("another tollgate serves from the journal folder"), "{error}");
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    let error = open(&place.folder.path().join("other")).unwrap();
    assert!(error.contains("another tollgate serves from this store"), "{error}");
    drop(running);
    assert_eq!(open(&place.journal_dir()), None);
}

#[test]
fn who_cannot_serve_does_not_bring_the_store_up_to_date() {
    let place = Place::with_key(None);
    let _running = place.open();
    let url = crate::store::StoreUrl::Sqlite(place.folder.path().join("older.db"));
    let older = crate::store::open_as_it_is(&url, Durability::Process, crate::store::Missing::IsMade).unwrap();
    let opened = Ledger::open(place.options(), Arc::clone(&older), Arc::default());
    assert!(matches!(opened, Err(LedgerError::FolderInUse { .. })));
    assert!(!older.is_up_to_date().unwrap());
    let elsewhere = LedgerOptions::new(place.folder.path().join("other"));
    let served = Ledger::open(elsewhere, Arc::clone(&older), Arc::default()).unwrap();
    assert!(older.is_up_to_date().unwrap());
    assert!(served.shutdown(Duration::from_secs(30)));
}

#[test]
fn a_command_does_not_bring_the_store_up_to_date_beside_a_gateway_with_whatever_folder() {
    let place = Place::with_key(None);
    let running = place.open();
    std::fs::create_dir(place.folder.path().join("other")).unwrap();
    for dir in ["journal", "other", "nowhere"] {
        let refused = bring_up_to_date(&*running.store, &place.folder.path().join(dir));
        let expected = matches!(refused, Err(LedgerError::FolderInUse { .. } | LedgerError::StoreInUse { .. }));
        assert!(expected, "{dir}: {refused:?}");
    }
    // One that was cut off has left its writer behind, and does not live.
    let writers = running.store.writers().unwrap();
    drop(running);
    let store = place.store();
    store.writer_open(&writers[0]).unwrap();
    for dir in ["journal", "other", "nowhere"] {
        bring_up_to_date(&*store, &place.folder.path().join(dir)).unwrap();
    }
}

#[test]
fn a_store_that_is_not_made_yet_has_no_writers() {
    let place = Place::new();
    let url = crate::store::StoreUrl::Sqlite(place.database());
    let store = crate::store::open_as_it_is(&url, Durability::Process, crate::store::Missing::IsMade).unwrap();
    assert!(store.writers().unwrap().is_empty());
    bring_up_to_date(&*store, &place.journal_dir()).unwrap();
    assert!(store.is_up_to_date().unwrap());
}

#[test]
fn who_begins_to_serve_from_the_store_elsewhere_is_no_predecessor() {
    let place = Place::with_key(None);
    let running = place.open();
    let elsewhere = place.folder.path().join("other");
    std::fs::create_dir(&elsewhere).unwrap();
    // As if it had come after it was looked whether there is one.
    let recovered = recover::recover_all(&elsewhere, &running.store.writers().unwrap(), &*running.store);
    assert!(matches!(recovered, Err(LedgerError::StoreInUse { .. })), "{recovered:?}");
}

#[test]
fn a_record_that_comes_after_the_end_of_the_journal_is_told_so() {
    let place = Place::with_key(None);
    let running = place.open();
    let hold = running.hold(0);
    assert!(!running.ledger.shutdown(Duration::ZERO));
    let told = record(&hold, 1);
    assert!(wait(hold.settle(told)).is_err());
    assert_eq!(running.ledger.lag().journal_error.as_deref(), Some("the journal is closed"));
}

#[test]
fn a_closed_ledger_admits_nothing_and_waits_for_those_that_run() {
    let place = Place::with_key(None);
    let running = place.open();
    let hold = running.hold(0);
    std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| running.ledger.shutdown(Duration::from_secs(30)));
        until(|| running.try_hold(0).is_err());
        let told = record(&hold, 5);
        wait(hold.settle(told)).unwrap();
        assert!(shutdown.join().unwrap());
    });
    assert_eq!(running.rows().len(), 1);
}

#[test]
fn what_outlives_the_shutdown_is_settled_by_the_next_start() {
    let place = Place::with_key(None);
    let running = place.open();
    let mut hold = running.hold(0);
    hold.sent();
    hold.progress(Progress { cost_nanos: 4, attempts: 1, ..Progress::default() });
    running.settle_down();
    assert!(!running.ledger.shutdown(Duration::from_millis(50)));
    drop(hold);
    drop(running);
    let report = place.assert_clean();
    assert!(report.notes.iter().any(|note| note.contains("the next start settles them")), "{:?}", report.notes);
    let again = place.open();
    assert_eq!((again.ledger.recovered().writers, again.ledger.recovered().interrupted), (1, 1));
    assert_eq!(again.rows()[0].cost_nanos, 4);
    assert_eq!(again.entry().account.balance().spent_nanos, 4);
    assert!(again.ledger.shutdown(Duration::from_secs(30)));
    place.assert_clean();
}

/// Journals tell no time: their file says when the process was last heard of.
#[test]
fn what_a_killed_process_left_lasted_until_it_was_last_heard_of() {
    const STARTED_AT_MS: i64 = 1_790_000_000_000;
    for (last_write_ms, duration_ms) in [(1_600, 1_600), (3, 40), (-5_000, 40)] {
        let place = Place::with_key(None);
        let running = place.open();
        let opening = Opening { request_id: Uuid::now_v7(), started_at_ms: STARTED_AT_MS, ..Opening::default() };
        let mut hold = running.ledger.hold(&running.entry(), 0, opening).unwrap();
        hold.sent();
        hold.progress(Progress { cost_nanos: 4, ttft_ms: Some(40), ..Progress::default() });
        running.settle_down();
        std::mem::forget(hold);
        assert!(!running.ledger.shutdown(Duration::ZERO));
        drop(running);
        let [writer] = folder::writers(&place.journal_dir()).unwrap()[..] else { panic!("one has left something") };
        let folder = folder::of_writer(&place.journal_dir(), writer);
        let last = *segment::numbers(&folder).unwrap().last().unwrap();
        let since = Duration::from_millis(u64::try_from(STARTED_AT_MS + last_write_ms).unwrap());
        let file = std::fs::OpenOptions::new().write(true).open(segment::path(&folder, last)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + since).unwrap();
        let row = place.open().rows().remove(0);
        assert_eq!((row.outcome, row.duration_ms, row.ttft_ms), (Outcome::Interrupted, duration_ms, Some(40)));
    }
}

#[test]
fn a_shutdown_in_the_middle_of_a_settlement_leaves_it_to_the_next_start() {
    let place = Place::with_key(None);
    let running = place.open();
    let mut hold = running.hold(0);
    hold.sent();
    running.settle_down();
    // As it is between the end of the hold and its record, and where the applier has just left a segment.
    let state = &running.ledger.journal.state;
    state.open_holds.fetch_sub(1, Ordering::Relaxed);
    state.set_applied_stays(true);
    assert!(!running.ledger.shutdown(Duration::ZERO));
    std::mem::forget(hold);
    drop(running);
    let again = place.open();
    assert_eq!(again.ledger.recovered().interrupted, 1);
    assert!(again.ledger.shutdown(Duration::from_secs(30)));
    place.assert_clean();
}

#[test]
fn uses_of_keys_and_changes_to_them_go_both_ways() {
    let place = Place::with_key(Some(10));
    let running = place.open();
    running.entry().touch(123);
    let accessed = || running.store.key_find(&crate::store::KeyRef::Id(1)).unwrap().unwrap().accessed_at_ms;
    until(|| accessed() == Some(123));
    let change = crate::store::KeyChange { quota_nanos: Some(Some(5)), ..Default::default() };
    place.store().key_change(1, &change).unwrap();
    assert_eq!(running.keys.poll(&*running.store).unwrap(), 1);
    assert_eq!(running.keys.poll(&*running.store).unwrap(), 0);
    assert_eq!(running.try_hold(6).unwrap_err(), HoldError::QuotaInsufficient);
    assert!(running.try_hold(5).is_ok());
}

#[test]
fn many_segments_are_written_applied_and_removed() {
    let place = Place::with_key(None);
    let running = place.open();
    for _ in 0..40 {
        let holds: Vec<_> = (0..40).map(|_| running.try_hold(0).unwrap()).collect();
        for hold in holds {
            let told = LedgerRecord { upstream_model: "x".repeat(500).into(), ..record(&hold, 1) };
            drop(hold.settle(told));
        }
    }
    running.settle_down();
    until(|| segment::numbers(&running.ledger.folder).unwrap().len() == 1);
    assert!(segment::numbers(&running.ledger.folder).unwrap()[0] > 3);
    assert_eq!(running.rows().len(), 1_600);
    place.assert_clean();
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    assert_eq!(place.assert_clean().cost_nanos, 1_600);
}
