//! Balances of users, above those of their keys.

use super::hand_over::give_up;
use super::*;
use crate::store::KeyChange;

/// A store with two unlimited keys of one user, and a third of nobody's.
fn place() -> Place {
    let place = Place::new();
    for (id, (name, user)) in (1..).zip([("a", Some("u")), ("b", Some("u")), ("c", None)]) {
        let user = user.map(str::to_owned);
        let new = NewKey { name: name.into(), user, group: "default".into(), ..NewKey::default() };
        assert_eq!(place.store().key_create(&new, &[id; 32], 0).unwrap().key.id, i64::from(id));
    }
    place
}

fn hold(running: &Running, key_id: i64, amount_nanos: i64) -> Result<Hold, HoldError> {
    let opening = Opening { request_id: Uuid::now_v7(), model: "m".into(), ..Opening::default() };
    running.ledger.hold(&running.keys.get(key_id).unwrap(), amount_nanos, opening)
}

fn settle(hold: Hold, cost_nanos: i64) {
    let told = record(&hold, cost_nanos);
    wait(hold.settle(told)).unwrap();
}

/// What the user has spent, and what is held.
fn balance(running: &Running) -> (i64, i64) {
    let balance = running.keys.owner("u").account.balance();
    (balance.spent_nanos, balance.held_nanos)
}

#[test]
fn the_keys_of_a_user_share_a_quota_that_outlives_the_process() {
    let place = place();
    let running = place.open();
    running.keys.owner("u").account.set_quota(Some(100));
    assert!(running.keys.get(1).unwrap().is_limited() && !running.keys.get(3).unwrap().is_limited());
    let first = hold(&running, 1, 60).unwrap();
    assert_eq!(first.held_nanos(), 60);
    assert_eq!(hold(&running, 2, 41).unwrap_err(), HoldError::QuotaInsufficient);
    let second = hold(&running, 2, 40).unwrap();
    settle(hold(&running, 3, 1_000).unwrap(), 1_000);
    settle(first, 59);
    second.void();
    assert_eq!(balance(&running), (59, 0));
    settle(hold(&running, 2, 41).unwrap(), 45);
    running.settle_down();
    let rows = running.rows();
    let overshot: Vec<bool> = rows.iter().map(|row| row.overshoot).collect();
    assert_eq!(overshot.iter().filter(|overshot| **overshot).count(), 1, "{rows:?}");
    assert_eq!(hold(&running, 1, 0).unwrap_err(), HoldError::QuotaInsufficient, "all of it is spent");
    drop(running);
    place.assert_clean();
    let again = place.open();
    assert_eq!(balance(&again), (104, 0));
}

#[test]
fn what_is_open_at_a_hand_over_is_held_for_the_user_too() {
    let place = place();
    let old = place.open();
    old.keys.owner("u").account.set_quota(Some(100));
    let (settled, voided) = (hold(&old, 1, 30).unwrap(), hold(&old, 2, 20).unwrap());
    wait(settled.journaled()).unwrap();
    wait(voided.journaled()).unwrap();
    give_up(&old);
    let new = place.open();
    new.keys.owner("u").account.set_quota(Some(100));
    assert_eq!(balance(&new), (0, 50));
    assert_eq!(hold(&new, 2, 51).unwrap_err(), HoldError::QuotaInsufficient);
    settle(settled, 25);
    voided.void();
    until(|| new.ledger.lag().inherited_holds == 0);
    assert_eq!(balance(&new), (25, 0));
    drop((old, new));
    place.assert_clean();
}

#[test]
fn what_a_deleted_key_has_open_at_a_hand_over_is_held_for_its_user() {
    let place = place();
    let old = place.open();
    let (settled, voided, nobodys) = (hold(&old, 1, 0).unwrap(), hold(&old, 1, 0).unwrap(), hold(&old, 3, 0).unwrap());
    old.keys.owner("u").account.set_quota(Some(100));
    let held = hold(&old, 1, 30).unwrap();
    for id in [1, 3] {
        old.store.key_delete(id, 0).unwrap();
    }
    give_up(&old);
    let new = place.open();
    assert!(new.keys.get(1).is_none());
    new.keys.owner("u").account.set_quota(Some(100));
    assert_eq!((balance(&new), new.ledger.lag().inherited_holds), ((0, 30), 4));
    assert_eq!(hold(&new, 2, 71).unwrap_err(), HoldError::QuotaInsufficient);
    settle(held, 25);
    settle(settled, 4);
    settle(nobodys, 1_000);
    voided.void();
    until(|| new.ledger.lag().inherited_holds == 0);
    assert_eq!(balance(&new), (29, 0));
    drop((old, new));
    place.assert_clean();
}

#[test]
fn a_key_that_goes_to_somebody_else_takes_nothing_along() {
    let place = place();
    let running = place.open();
    let begun = hold(&running, 1, 10).unwrap();
    let change = KeyChange { user: Some(Some("v".into())), ..KeyChange::default() };
    place.store().key_change(1, &change).unwrap();
    running.keys.poll(&*running.store).unwrap();
    settle(begun, 7);
    settle(hold(&running, 1, 10).unwrap(), 5);
    assert_eq!(balance(&running), (7, 0));
    assert_eq!(running.keys.owner("v").account.balance().spent_nanos, 5);
    running.settle_down();
    drop(running);
    place.assert_clean();
    let again = place.open();
    assert_eq!(balance(&again), (7, 0));
    assert_eq!(again.keys.owner("v").account.balance().spent_nanos, 5);
}

/// Whoever found no quota has not asked what the request may cost; by the time of the hold there may be one.
#[test]
fn a_quota_that_is_set_between_look_and_hold_holds() {
    let place = place();
    let running = place.open();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let admit = |amount_nanos| {
        let opening = Opening { request_id: Uuid::now_v7(), model: "m".into(), ..Opening::default() };
        runtime.block_on(running.ledger.admit(&running.keys.get(1).unwrap(), amount_nanos, opening, None))
    };
    admit(None).unwrap().void();
    running.keys.owner("u").account.set_quota(Some(100));
    assert_eq!(admit(None).unwrap_err(), HoldError::QuotaSet);
    assert_eq!(balance(&running), (0, 0), "nothing is booked");
    assert_eq!(admit(Some(60)).unwrap().held_nanos(), 60);
}

/// The same of a process that has taken over.
#[test]
fn a_quota_that_the_one_before_knew_nothing_of_holds() {
    let place = place();
    let running = place.open();
    let owner = running.keys.owner("u");
    let grant = |amount_nanos| running.ledger.grant(Ask { request_id: Uuid::now_v7(), key_id: 1, amount_nanos });
    owner.account.set_quota(Some(100));
    assert_eq!(grant(None), Granting::QuotaSet);
    assert_eq!(grant(Some(101)), Granting::Insufficient);
    assert_eq!(balance(&running), (0, 0), "nothing is booked");
    owner.set_enabled(false);
    assert_eq!(grant(Some(60)), Granting::Unavailable);
    // Nor here, however long ago the request has found the key.
    assert_eq!(hold(&running, 1, 60).unwrap_err(), HoldError::Refused(RejectCode::Forbidden));
    assert_eq!(balance(&running), (0, 0), "nothing is booked");
}
