//! Balances that go from one ledger to another, as between two processes: a lock belongs to who opened the file.

use super::*;
use crate::ledger::{Ask, Granting, Successor};
use std::sync::atomic::AtomicBool;
use tokio::sync::oneshot;

/// Long enough for any store.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Everything up to the moment at which another one may open.
pub(super) fn give_up(old: &Running) {
    assert!(old.ledger.wait_for_store(LIMIT));
    old.ledger.pause();
    assert!(old.ledger.wait_for_store(LIMIT));
    old.ledger.give_up();
}

/// The other ledger, as the one that has given up asks it.
struct Other(Arc<Ledger>);

impl Successor for Other {
    fn ask(&self, ask: Ask) -> oneshot::Receiver<Granting> {
        let (reply, answer) = oneshot::channel();
        let _ = reply.send(self.0.grant(ask));
        answer
    }
}

fn balance(running: &Running) -> (i64, i64) {
    let balance = running.entry().account.balance();
    (balance.spent_nanos, balance.held_nanos)
}

fn admit(running: &Running, amount_nanos: i64) -> Result<Hold, HoldError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let opening = Opening { request_id: Uuid::now_v7(), model: "m".into(), ..Opening::default() };
    runtime.block_on(running.ledger.admit(&running.entry(), Some(amount_nanos), opening, None))
}

#[test]
fn what_is_open_goes_along_and_becomes_what_its_record_says() {
    let place = Place::with_key(Some(100));
    let old = place.open();
    drop(old.hold(10).settle(record(&old.hold(0), 7)));
    let (settled, voided, kept) = (old.hold(20), old.hold(30), old.hold(40));
    give_up(&old);
    let new = place.open();
    assert_eq!(balance(&new), (7, 90));
    assert_eq!(new.ledger.lag().inherited_holds, 3);
    assert_eq!(new.try_hold(4).unwrap_err(), HoldError::QuotaInsufficient);
    let here = new.hold(3);
    let told = record(&settled, 25);
    drop(settled.settle(told));
    voided.void();
    until(|| new.ledger.lag().inherited_holds == 1);
    assert_eq!(balance(&new), (32, 43));
    let told = record(&kept, 1);
    drop(kept.settle(told));
    let told = record(&here, 3);
    drop(here.settle(told));
    assert!(old.ledger.shutdown(LIMIT));
    until(|| new.ledger.lag().inherited_holds == 0);
    assert_eq!(balance(&new), (36, 0));
    new.settle_down();
    assert!(new.ledger.shutdown(LIMIT));
    assert_eq!(place.assert_clean().cost_nanos, 36);
}

#[test]
fn what_comes_to_the_old_one_is_admitted_by_the_new_one() {
    let place = Place::with_key(Some(100));
    let old = place.open();
    give_up(&old);
    assert_eq!(old.try_hold(1).unwrap_err(), HoldError::BillingUnavailable, "at once there is nobody");
    let decided = AtomicBool::new(false);
    let new = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let admitted = admit(&old, 60);
            assert!(decided.load(Ordering::SeqCst), "it has waited");
            admitted
        });
        // Nobody is left that it could wait for, but the one that comes.
        let new = place.open();
        let blocker = new.hold(50);
        decided.store(true, Ordering::SeqCst);
        old.ledger.yield_to(Arc::new(Other(Arc::clone(&new.ledger))));
        assert_eq!(waiting.join().unwrap().unwrap_err(), HoldError::QuotaInsufficient);
        blocker.void();
        new
    });
    // The one that was refused leaves no record, whoever dies now: the journal has its end.
    let lag = old.ledger.lag();
    assert_eq!((lag.open_holds, lag.queued_records), (0, 0));
    let late = admit(&old, 60).unwrap();
    assert_eq!(balance(&new), (0, 60));
    assert_eq!(new.try_hold(41).unwrap_err(), HoldError::QuotaInsufficient);
    // Should the new one end now, the next finds it in the store.
    let listed = new.store.key_find(&crate::store::KeyRef::Id(1)).unwrap().unwrap();
    assert_eq!(listed.held_nanos, 60);
    let told = record(&late, 55);
    drop(late.settle(told));
    until(|| balance(&new) == (55, 0));
    assert!(old.ledger.shutdown(LIMIT));
    until(|| new.ledger.lag().inherited_holds == 0);
    assert!(new.ledger.shutdown(LIMIT));
    assert_eq!(place.assert_clean().cost_nanos, 55);
}

#[test]
fn what_an_old_one_that_died_had_open_is_settled_by_the_new_one() {
    let place = Place::with_key(Some(100));
    let old = place.open();
    let mut sent = old.hold(20);
    sent.sent();
    sent.progress(Progress { cost_nanos: 5, attempts: 1, ..Progress::default() });
    let unsent = old.hold(30);
    give_up(&old);
    let new = place.open();
    assert_eq!(balance(&new), (0, 50));
    // As if it had been killed: nothing more is written, and its locks are gone.
    std::mem::forget((sent, unsent));
    until(|| old.ledger.lag().queued_records == 0);
    assert!(!old.ledger.shutdown(Duration::ZERO));
    drop(old);
    until(|| new.ledger.lag().inherited_holds == 0);
    assert_eq!(balance(&new), (5, 0));
    let outcomes: Vec<_> = new.rows().iter().map(|row| (row.outcome, row.cost_nanos)).collect();
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert!(outcomes.iter().all(|(outcome, _)| *outcome == Outcome::Interrupted));
    assert!(new.ledger.shutdown(LIMIT));
    place.assert_clean();
}

#[test]
fn what_is_given_up_can_be_taken_back_from_one_that_died() {
    let place = Place::with_key(Some(100));
    let old = place.open();
    let kept = old.hold(60);
    give_up(&old);
    let new = place.open();
    assert!(matches!(old.ledger.take_back(), Err(LedgerError::FolderInUse { .. })), "it lives");
    drop(new);
    old.ledger.take_back().unwrap();
    old.ledger.resume();
    assert!(matches!(
        Ledger::open(place.options(), place.store(), Arc::default()),
        Err(LedgerError::FolderInUse { .. })
    ));
    assert_eq!(old.try_hold(41).unwrap_err(), HoldError::QuotaInsufficient);
    old.hold(40).void();
    let told = record(&kept, 60);
    drop(kept.settle(told));
    assert_eq!(balance(&old), (60, 0));
    assert!(old.ledger.shutdown(LIMIT));
    place.assert_clean();
}

#[test]
fn a_third_one_inherits_from_two() {
    let place = Place::with_key(Some(100));
    let first = place.open();
    let one = first.hold(10);
    give_up(&first);
    let second = place.open();
    let two = second.hold(20);
    give_up(&second);
    let third = place.open();
    assert_eq!(balance(&third), (0, 30));
    assert_eq!(
        second.ledger.grant(Ask { request_id: Uuid::now_v7(), key_id: 1, amount_nanos: Some(1) }),
        Granting::Unavailable
    );
    for (hold, cost_nanos) in [(one, 4), (two, 5)] {
        let told = record(&hold, cost_nanos);
        drop(hold.settle(told));
    }
    assert!(first.ledger.shutdown(LIMIT) && second.ledger.shutdown(LIMIT));
    until(|| third.ledger.inheritance.is_settled());
    assert_eq!(balance(&third), (9, 0));
    let nobody = third.ledger.grant(Ask { request_id: Uuid::now_v7(), key_id: 1, amount_nanos: Some(1) });
    assert_eq!((nobody, balance(&third)), (Granting::Unavailable, (9, 0)), "nobody is left who could ask");
    assert!(third.ledger.shutdown(LIMIT));
    place.assert_clean();
}

#[test]
fn a_journal_that_cannot_be_finished_keeps_its_own_holds_and_nobody_elses() {
    let place = Place::with_key(Some(100));
    let first = place.open();
    let dead = first.hold(10);
    give_up(&first);
    let second = place.open();
    let alive = second.hold(20);
    give_up(&second);
    let third = place.open();
    assert_eq!(balance(&third), (0, 30));
    // The first one dies, and a folder stands where one of its segments should be.
    let journal = folder::of_writer(&place.journal_dir(), first.ledger.writer_id);
    let unreadable = segment::path(&journal, 9);
    std::fs::create_dir(&unreadable).unwrap();
    std::mem::forget(dead);
    assert!(!first.ledger.shutdown(Duration::ZERO));
    drop(first);
    until(|| third.ledger.inheritance.is_failing());
    let told = record(&alive, 7);
    drop(alive.settle(told));
    assert!(second.ledger.shutdown(LIMIT));
    until(|| balance(&third) == (7, 10));
    std::fs::remove_dir(unreadable).unwrap();
    until(|| third.ledger.inheritance.is_settled());
    assert_eq!(balance(&third), (7, 0));
    assert!(third.ledger.shutdown(LIMIT));
    place.assert_clean();
}

/// What is refused over there, since there is a quota that this one did not know of, asks again at once, by the same id.
#[test]
fn a_request_that_is_held_again_is_open_when_the_store_has_both_at_once() {
    let place = Place::with_key(Some(100));
    let running = place.open();
    let opening = Opening { request_id: Uuid::now_v7(), model: "m".into(), ..Opening::default() };
    let hold = |amount_nanos| running.ledger.hold(&running.entry(), amount_nanos, opening.clone()).unwrap();
    let refused = hold(10);
    running.settle_down();
    // The end of the first hold, and the second, are in the journal alone, and come into the store by recovery.
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.database(), &aside).unwrap();
    refused.void();
    let mut granted = hold(20);
    granted.sent();
    granted.progress(Progress { cost_nanos: 5, attempts: 1, ..Progress::default() });
    until(|| running.ledger.lag().queued_records == 0);
    std::mem::forget(granted);
    assert!(!running.ledger.shutdown(Duration::ZERO));
    drop(running);
    std::fs::rename(&aside, place.database()).unwrap();
    let next = place.open();
    assert_eq!(next.ledger.recovered().interrupted, 1);
    assert_eq!(balance(&next), (5, 0));
    assert!(next.ledger.shutdown(LIMIT));
    place.assert_clean();
}
