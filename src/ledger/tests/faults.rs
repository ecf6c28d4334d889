//! Disks and stores that fail for a while.

use super::*;
use crate::ledger::disk::faulty::{Faults, FaultyDisk};
use std::sync::atomic::Ordering;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// Runs requests while calls `first` to `first + count` of the journal fail; every request that was admitted must be a
/// row, and the ledger must admit again by itself.
fn run_through(durability: Durability, first: u64, count: u64, errno: i32, torn_percent: usize) {
    let place = Place::with_key(Some(1_000_000));
    let disk = FaultyDisk::default();
    let running = place.open_with(LedgerOptions { durability, ..place.options() }, Arc::new(disk.clone()));
    *disk.0.lock() = Faults { fail: first..first + count, torn_percent, errno, ..Faults::default() };
    let (mut admitted, mut refused) = (0, 0);
    let mut open = Vec::new();
    // On until some requests have been admitted after the fault.
    until(|| {
        match running.try_hold(10) {
            Ok(hold) => {
                admitted += 1;
                open.push(hold);
            }
            Err(HoldError::BillingUnavailable) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
        if open.len() > 3 {
            let hold = open.remove(0);
            let told = record(&hold, 7);
            // The balance is changed at once, whatever the journal says.
            let _ = wait(hold.settle(told));
        }
        admitted >= 12 && disk.0.lock().calls > first + count
    });
    for hold in open.drain(..) {
        let told = record(&hold, 7);
        drop(hold.settle(told));
    }
    running.settle_down();
    assert!(running.ledger.healthy());
    assert_eq!(running.ledger.lag().journal_error, None);
    assert_eq!(running.ledger.journal.state.waited_for.load(Ordering::SeqCst), 0, "nobody is thought to wait");
    assert_eq!(running.rows().len(), admitted, "call {first}: {admitted} admitted, {refused} refused");
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    let report = place.assert_clean();
    assert_eq!(report.notes, Vec::<String>::new(), "no segment was set aside");
    assert_eq!(report.cost_nanos, admitted as i128 * 7);
    assert_eq!(running.entry().account.balance().held_nanos, 0);
}

#[test]
fn a_disk_that_fails_at_any_call_costs_no_record() {
    // Making a segment, its header, groups of records; with `Power` also the syncs between.
    for first in 1..=8 * scale() as u64 {
        for durability in [Durability::Process, Durability::Power] {
            // Once, and often enough that a new segment is tried.
            for count in [1, 3] {
                let (errno, torn_percent) = (if count == 1 { ENOSPC } else { EIO }, [0, 33, 100][first as usize % 3]);
                run_through(durability, first, count, errno, torn_percent);
            }
        }
    }
}

#[test]
fn a_failed_journal_refuses_at_once_and_keeps_what_it_promised() {
    let place = Place::with_key(None);
    let disk = FaultyDisk::default();
    let running = place.open_with(place.options(), Arc::new(disk.clone()));
    let (mut one, other) = (running.hold(0), running.hold(0));
    let calls = disk.0.lock().calls;
    *disk.0.lock() = Faults { calls, fail: 0..u64::MAX, errno: ENOSPC, torn_percent: 10, hangs: false };
    one.sent();
    let told = record(&other, 9);
    let settled = other.settle(told);
    assert_eq!(wait(settled), Err(BillingUnavailable));
    assert_eq!(running.try_hold(0).unwrap_err(), HoldError::BillingUnavailable);
    assert!(!running.ledger.healthy());
    assert!(running.ledger.lag().journal_error.is_some());
    drop(one);
    assert_eq!(running.ledger.lag().queued_records, 2);
    disk.0.lock().fail = 0..0;
    until(|| running.ledger.healthy());
    running.settle_down();
    assert_eq!(running.rows().len(), 2);
    assert!(running.try_hold(0).is_ok());
}

#[test]
fn a_hold_that_was_queued_when_the_disk_failed_is_told_so() {
    let place = Place::with_key(Some(100));
    let disk = FaultyDisk::default();
    disk.0.lock().fail = 0..u64::MAX;
    let running = place.open_with(place.options(), Arc::new(disk.clone()));
    let hold = running.try_hold(10).unwrap();
    assert_eq!(wait(hold.journaled()), Err(BillingUnavailable));
    drop(hold);
    assert_eq!(running.entry().account.balance().held_nanos, 0);
    disk.0.lock().fail = 0..0;
    until(|| running.ledger.healthy());
    running.settle_down();
    assert!(running.rows().is_empty());
}

#[test]
fn a_disk_that_has_failed_since_the_last_write_is_found_out_by_who_asks() {
    let place = Place::with_key(None);
    let disk = FaultyDisk::default();
    let running = place.open_with(place.options(), Arc::new(disk.clone()));
    for _ in 0..20 {
        disk.0.lock().fail = 0..0;
        until(|| running.ledger.healthy());
        drop(running.hold(0));
        // Its end is the last write, whenever the journal's own thread gets round to it …
        running.settle_down();
        // … and this is longer than what that told is known for.
        std::thread::sleep(Duration::from_millis(10));
        disk.0.lock().fail = 0..u64::MAX;
        let hold = running.try_hold(0).unwrap();
        assert!(hold.has_failed(), "it would be billed, and its answer refused");
    }
    disk.0.lock().fail = 0..0;
    until(|| running.ledger.healthy());
}

#[test]
fn a_write_that_does_not_come_back_is_known_of_every_hold_that_is_not_journaled() {
    for durability in [Durability::Process, Durability::Power] {
        let place = Place::with_key(None);
        let disk = FaultyDisk::default();
        let running = place.open_with(LedgerOptions { durability, ..place.options() }, Arc::new(disk.clone()));
        let journaled = running.hold(0);
        running.settle_down();
        disk.0.lock().hangs = true;
        let hold = running.try_hold(0).unwrap();
        until(|| hold.is_stalled());
        let behind = running.try_hold(0).unwrap();
        assert!(behind.is_stalled() && !journaled.is_stalled(), "{durability:?}");
        assert!(!hold.has_failed() && !behind.has_failed(), "{durability:?}: it may still come");
        disk.0.lock().hangs = false;
        for hold in [hold, behind] {
            wait(hold.journaled()).unwrap();
            assert!(!hold.is_stalled());
        }
        drop(journaled);
        assert!(running.ledger.shutdown(Duration::from_secs(30)));
    }
}

#[test]
fn a_store_that_is_gone_for_a_while_misses_nothing() {
    let place = Place::with_key(None);
    let running = place.open();
    let aside = place.folder.path().join("aside.db");
    let settle = |count: usize| {
        for _ in 0..count {
            let hold = running.hold(0);
            let told = record(&hold, 1);
            wait(hold.settle(told)).unwrap();
        }
    };
    settle(5);
    running.settle_down();
    std::fs::rename(place.database(), &aside).unwrap();
    settle(50);
    until(|| running.ledger.lag().store_error.is_some());
    let lag = running.ledger.lag();
    assert!(lag.store_error.as_ref().unwrap().contains("the database is gone"), "{lag:?}");
    assert!(lag.unapplied_records > 0 && lag.unapplied_bytes > 0, "{lag:?}");
    assert!(running.ledger.healthy(), "the journal goes on");
    std::fs::rename(&aside, place.database()).unwrap();
    running.settle_down();
    assert_eq!(running.ledger.lag().store_error, None);
    assert_eq!(running.rows().len(), 55);
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    place.assert_clean();
}

/// More than the applier is passed in memory: it has to read files, and then finds what was passed later.
#[test]
fn a_store_that_is_far_behind_misses_nothing() {
    let place = Place::with_key(None);
    let running = place.open();
    let aside = place.folder.path().join("aside.db");
    let settle = |count: usize| {
        for _ in 0..count {
            let hold = running.try_hold(0).unwrap();
            let told = record(&hold, 1);
            drop(hold.settle(told));
        }
    };
    for round in 1..=3 {
        std::fs::rename(place.database(), &aside).unwrap();
        settle(10_000);
        until(|| running.ledger.lag().queued_records == 0);
        std::fs::rename(&aside, place.database()).unwrap();
        settle(10);
        running.settle_down();
        assert_eq!(running.rows().len(), 10_010 * round);
    }
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    assert_eq!(place.assert_clean().cost_nanos, 3 * 10_010);
}

#[test]
fn a_store_that_stays_away_is_made_up_for_at_the_next_start() {
    let place = Place::with_key(None);
    let running = place.open();
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.database(), &aside).unwrap();
    for _ in 0..20 {
        let hold = running.hold(0);
        let told = record(&hold, 1);
        wait(hold.settle(told)).unwrap();
    }
    assert!(!running.ledger.shutdown(Duration::from_millis(100)));
    drop(running);
    std::fs::rename(&aside, place.database()).unwrap();
    let again = place.open();
    assert_eq!((again.ledger.recovered().rows, again.ledger.recovered().interrupted), (20, 0));
    assert_eq!(again.entry().account.balance().spent_nanos, 20);
    assert!(again.ledger.shutdown(Duration::from_secs(30)));
    place.assert_clean();
}

#[test]
fn a_journal_that_waits_for_the_store_too_long_refuses_new_requests_only() {
    let place = Place::with_key(None);
    let running = place.open_with(LedgerOptions { journal_bytes_max: 10_000, ..place.options() }, Arc::new(FileSystem));
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.database(), &aside).unwrap();
    let mut holds = Vec::new();
    until(|| match running.try_hold(0) {
        Ok(hold) => {
            holds.push(hold);
            false
        }
        Err(error) => error == HoldError::BillingUnavailable,
    });
    let admitted = holds.len();
    for hold in holds {
        let told = record(&hold, 1);
        wait(hold.settle(told)).unwrap();
    }
    assert!(running.try_hold(0).is_err());
    std::fs::rename(&aside, place.database()).unwrap();
    until(|| running.ledger.healthy());
    running.settle_down();
    assert_eq!(running.rows().len(), admitted);
}

#[test]
fn a_journal_of_another_folder_or_another_place_is_finished_too() {
    let place = Place::with_key(None);
    let leave_one = |place: &Place| {
        let running = place.open();
        let mut hold = running.hold(0);
        hold.sent();
        running.settle_down();
        assert!(!running.ledger.shutdown(Duration::from_millis(20)));
        std::mem::forget(hold);
    };
    leave_one(&place);
    // The folder was moved, and the configuration with it.
    std::fs::rename(place.journal_dir(), place.folder.path().join("moved")).unwrap();
    let moved = LedgerOptions::new(place.folder.path().join("moved"));
    let running = place.open_with(moved, Arc::new(FileSystem));
    assert_eq!(running.ledger.recovered().interrupted, 1);
    drop(running);
    leave_one(&place);
    // Only the configuration was changed.
    let running = place.open_with(LedgerOptions::new(place.folder.path().join("third")), Arc::new(FileSystem));
    assert_eq!(running.ledger.recovered().interrupted, 1);
    drop(running);
    assert_eq!(folder::writers(&place.journal_dir()).unwrap().len(), 0);
    place.assert_clean();
}
