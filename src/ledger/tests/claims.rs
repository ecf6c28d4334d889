//! Idempotency keys through the ends of processes: what was taken is done, or free, as the records say.

use super::hand_over::{LIMIT, give_up};
use super::*;
use crate::clock::{steady_ms, unix_ms};
use crate::ledger::claims::CLAIM_AGE_MAX_MS;

/// What one finds who comes with a key.
fn stands(running: &Running, key: u8) -> &'static str {
    match running.ledger.claims().claim(tag(key), Uuid::now_v7()) {
        Claiming::Taken(_) => "free",
        Claiming::Running => "runs",
        Claiming::Done(..) => "done",
        Claiming::Mismatch => "mismatch",
    }
}

fn tag(key: u8) -> ClaimTag {
    ClaimTag { key: [key; 16], request: [7; 16] }
}

/// A request with this idempotency key.
fn claimed(running: &Running, key: u8) -> Hold {
    let request_id = Uuid::now_v7();
    let Claiming::Taken(claim) = running.ledger.claims().claim(tag(key), request_id) else {
        panic!("{key} is not free");
    };
    let opening = Opening { request_id, started_at_ms: unix_ms(), ..Opening::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hold = runtime.block_on(running.ledger.admit(&running.entry(), Some(10), opening, Some(claim))).unwrap();
    wait(hold.journaled()).unwrap();
    hold
}

/// Keys 1 and 2 end as served, 3 to 5 came to nothing; 6 and 7 still run, the latter without an answer.
fn begin(running: &Running) -> [Hold; 2] {
    let hold = claimed(running, 1);
    let told = record(&hold, 5);
    wait(hold.settle(told)).unwrap();
    let hold = claimed(running, 2);
    let told = LedgerRecord { status: 499, outcome: Outcome::ClientAborted, ..record(&hold, 5) };
    wait(hold.settle(told)).unwrap();
    let hold = claimed(running, 3);
    let told = LedgerRecord { status: 500, outcome: Outcome::UpstreamError, ..record(&hold, 0) };
    wait(hold.settle(told)).unwrap();
    let hold = claimed(running, 4);
    let told = LedgerRecord { outcome: Outcome::UpstreamError, ..record(&hold, 0) };
    wait(hold.settle(told)).unwrap();
    claimed(running, 5).void();
    let (mut answering, mut silent) = (claimed(running, 6), claimed(running, 7));
    answering.sent();
    answering.progress(Progress { status: 200, cost_nanos: 3, ..Progress::default() });
    silent.sent();
    [answering, silent]
}

const RUNNING: [&str; 8] = ["free", "done", "done", "free", "free", "free", "runs", "runs"];
const ENDED: [&str; 8] = ["free", "done", "done", "free", "free", "free", "done", "free"];

fn all_stand(running: &Running) -> [&'static str; 8] {
    std::array::from_fn(|key| stands(running, key as u8))
}

#[test]
fn keys_survive_the_end_of_their_process() {
    for applied in [false, true] {
        let place = Place::with_key(None);
        let running = place.open();
        let aside = place.folder.path().join("aside.db");
        if !applied {
            std::fs::rename(place.database(), &aside).unwrap();
        }
        let holds = begin(&running);
        assert_eq!(all_stand(&running), RUNNING);
        until(|| running.ledger.lag().queued_records == 0);
        if applied {
            running.settle_down();
        }
        // As after kill -9: nothing more comes of what runs.
        holds.into_iter().for_each(std::mem::forget);
        assert!(!running.ledger.shutdown(Duration::from_millis(20)));
        drop(running);
        if !applied {
            std::fs::rename(aside, place.database()).unwrap();
        }
        for _ in 0..2 {
            let next = place.open();
            assert_eq!(all_stand(&next), ENDED, "applied: {applied}");
            assert!(next.ledger.shutdown(LIMIT));
        }
        place.assert_clean();
    }
}

#[test]
fn what_runs_in_the_process_before_is_taken_in_the_next_until_it_ends_there() {
    let place = Place::with_key(None);
    let old = place.open();
    let [answering, silent] = begin(&old);
    give_up(&old);
    let new = place.open();
    assert_eq!(all_stand(&new), RUNNING);
    drop((answering, silent));
    until(|| new.ledger.lag().inherited_holds == 0);
    assert_eq!(all_stand(&new), ENDED);
    assert!(old.ledger.shutdown(LIMIT) && new.ledger.shutdown(LIMIT));
    place.assert_clean();
}

/// Nobody comes with the idempotency keys of a deleted key any more; they end all the same.
#[test]
fn what_a_deleted_key_has_taken_in_the_process_before_ends_there_too() {
    let place = Place::with_key(None);
    let old = place.open();
    let holds = begin(&old);
    old.store.key_delete(1, 0).unwrap();
    give_up(&old);
    let new = place.open();
    assert_eq!(all_stand(&new), RUNNING);
    drop(holds);
    until(|| new.ledger.inheritance.open_holds() == 0 && new.rows().len() == 6);
    assert_eq!(all_stand(&new), ENDED);
    assert!(old.ledger.shutdown(LIMIT) && new.ledger.shutdown(LIMIT));
    place.assert_clean();
}

#[test]
fn a_key_that_was_free_again_is_the_later_requests_and_old_ones_are_forgotten() {
    let place = Place::with_key(None);
    let running = place.open();
    for cost_nanos in [0, 5] {
        let hold = claimed(&running, 1);
        let status = if cost_nanos == 0 { 500 } else { 200 };
        let told = LedgerRecord { status, ..record(&hold, cost_nanos) };
        wait(hold.settle(told)).unwrap();
    }
    running.settle_down();
    let all = || running.store.claims_since(0, 10).unwrap();
    assert_eq!(all().iter().map(|claim| claim.stands).collect::<Vec<_>>(), [Stands::Served]);
    let started_at_ms = unix_ms() + CLAIM_AGE_MAX_MS + 60_000;
    let ahead = TakenClaim { tag: tag(2), request_id: Uuid::nil(), started_at_ms };
    running.store.apply(&Batch { claims: vec![ahead], ..Batch::default() }).unwrap();
    assert_eq!(all().iter().map(|claim| claim.stands).collect::<Vec<_>>(), [Stands::Nowhere, Stands::Served]);
    running.store.apply(&Batch { claims_before_ms: Some(started_at_ms), ..Batch::default() }).unwrap();
    assert_eq!(all().iter().map(|claim| claim.stands).collect::<Vec<_>>(), [Stands::Nowhere]);
    assert!(running.ledger.shutdown(LIMIT));
}

/// The clock was put back since.
#[test]
fn a_key_that_was_taken_at_a_later_date_is_remembered_for_a_day_as_any_other() {
    let place = Place::with_key(None);
    let running = place.open();
    let (request_id, started_at_ms) = (Uuid::now_v7(), unix_ms() + 30 * CLAIM_AGE_MAX_MS);
    let claims = vec![TakenClaim { tag: tag(1), request_id, started_at_ms }];
    let settled = vec![LedgerRecord { request_id, started_at_ms, key_id: 1, status: 200, ..LedgerRecord::default() }];
    running.store.apply(&Batch { claims, settled, ..Batch::default() }).unwrap();
    assert!(running.ledger.shutdown(LIMIT));
    drop(running);
    let next = place.open();
    assert_eq!(stands(&next, 1), "done");
    let claim = |steady_ms| next.ledger.claims().claim_at(steady_ms, tag(1), Uuid::now_v7());
    assert!(matches!(claim(steady_ms() + CLAIM_AGE_MAX_MS / 2), Claiming::Done(..)));
    assert!(matches!(claim(steady_ms() + CLAIM_AGE_MAX_MS + 1), Claiming::Taken(_)));
    assert!(next.ledger.shutdown(LIMIT));
}
