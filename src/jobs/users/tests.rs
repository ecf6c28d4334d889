use super::*;
use crate::ledger::Durability;
use crate::store::{Act, NewKey, NewPerson, Period, PersonChange, Role, Store, StoreErrorKind};
use jiff::Timestamp;
use std::sync::Arc;
use tollgate_plugin_api::RejectCode;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn budget(amount_nanos: i64, period: Period, time_zone: &str) -> Budget {
    Budget { amount_nanos, period, time_zone: time_zone.to_owned() }
}

#[test]
fn periods_begin_at_midnight_where_the_person_is() {
    for (period, zone, now, start, end) in [
        (Period::Daily, "UTC", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        (Period::Daily, "UTC", "2026-03-01T23:59:59.999Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        (Period::Daily, "Asia/Kolkata", "2026-03-01T18:30:00Z", "2026-03-01T18:30:00Z", "2026-03-02T18:30:00Z"),
        // Clocks go forward: a day of 23 hours.
        (Period::Daily, "Europe/Berlin", "2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        // There is no midnight on that day.
        (Period::Daily, "Africa/Cairo", "2026-04-24T10:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"),
        (Period::Weekly, "UTC", "2026-03-01T12:00:00Z", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
        (Period::Weekly, "UTC", "2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"),
        (Period::Monthly, "UTC", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Period::Monthly, "America/New_York", "2026-12-31T23:00:00Z", "2026-12-01T05:00:00Z", "2027-01-01T05:00:00Z"),
        (Period::Daily, "Nowhere/At_all", "2026-03-01T10:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
    ] {
        let span = span_of(&budget(1, period, zone), ms(now));
        assert_eq!(span, ms(start)..ms(end), "{period:?} {zone} {now}");
    }
}

struct Place {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    keys: Keys,
    act: Act,
    /// Of `u`.
    id: i64,
    /// Of `admin`.
    admin: i64,
}

impl Place {
    /// A store with an admin and somebody called `u`, who has a key.
    fn new(quota_nanos: Option<i64>, budget: Option<Budget>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("t.db").display());
        let store = crate::store::open(&url, Durability::Process).unwrap();
        let act = Act { at_ms: 0, actor: "test".to_owned() };
        let person = |name: &str, role, quota_nanos, budget| {
            let new = NewPerson {
                name: name.to_owned(),
                role,
                enabled: true,
                password_hash: Some("a hash".into()),
                quota_nanos,
                budget,
            };
            store.people().person_create(&act, &new).unwrap().person.id
        };
        let admin = person("admin", Role::Admin, None, None);
        let id = person("u", Role::User, quota_nanos, budget);
        let key = NewKey { name: "k".into(), user: Some("u".into()), group: "default".into(), ..NewKey::default() };
        store.key_create(&key, &[1; 32], 0).unwrap();
        let keys = Keys::new();
        keys.poll(&*store).unwrap();
        Self { folder, store, keys, act, id, admin }
    }

    fn change(&self, change: &PersonChange) {
        self.store.people().person_change(&self.act, self.id, change).unwrap();
    }

    fn quota(&self) -> Option<i64> {
        self.keys.owner("u").account.balance().quota_nanos
    }

    fn spend(&self, cost_nanos: i64) {
        let account = &self.keys.owner("u").account;
        let grant = account.hold(0).unwrap();
        account.settle(grant, cost_nanos);
    }
}

#[test]
fn changes_of_a_quota_are_in_force_at_the_next_look() {
    let place = Place::new(Some(100), None);
    let mut users = Users::default();
    let mut look = || users.look(place.store.limits(), &place.keys, 0).unwrap();
    look();
    assert_eq!(place.quota(), Some(100));
    assert!(place.keys.get(1).unwrap().is_limited());
    place.change(&PersonChange { quota_nanos: Some(Some(70)), ..PersonChange::default() });
    look();
    assert_eq!(place.quota(), Some(70));
    place.change(&PersonChange { enabled: Some(false), quota_nanos: Some(None), ..PersonChange::default() });
    look();
    assert_eq!(place.quota(), None);
    assert!(!place.keys.owner("u").is_enabled());
    place.change(&PersonChange { enabled: Some(true), ..PersonChange::default() });
    look();
    assert!(place.keys.owner("u").is_enabled());
}

/// The keys go in the same transaction, and may be looked at before or later.
#[test]
fn the_keys_of_somebody_who_is_deleted_are_not_accepted() {
    let place = Place::new(Some(100), None);
    let (entry, mut users) = (place.keys.get(1).unwrap(), Users::default());
    users.look(place.store.limits(), &place.keys, 0).unwrap();
    assert_eq!(entry.accepts(0), Ok(()));
    place.store.people().person_delete(&place.act, place.id).unwrap();
    for mut users in [users, Users::default()] {
        users.look(place.store.limits(), &place.keys, 0).unwrap();
        assert_eq!(entry.accepts(0), Err(RejectCode::Forbidden));
        assert_eq!(place.quota(), Some(100));
    }
}

#[test]
fn a_budget_begins_anew_and_never_goes_above_the_quota() {
    let place = Place::new(Some(250), Some(budget(100, Period::Daily, "UTC")));
    let mut users = Users::default();
    let mut look = |now: &str| users.look(place.store.limits(), &place.keys, ms(now)).unwrap();
    look("2026-03-01T10:00:00Z");
    assert_eq!(place.quota(), Some(100));
    place.spend(60);
    look("2026-03-01T23:59:59Z");
    assert_eq!(place.quota(), Some(100), "the same day");
    look("2026-03-02T00:00:00Z");
    assert_eq!(place.quota(), Some(160));
    place.spend(100);
    look("2026-03-03T00:00:00Z");
    assert_eq!(place.quota(), Some(250), "what is left of the quota is less");
    place.change(&PersonChange { budget: Some(Some(budget(10, Period::Daily, "UTC"))), ..PersonChange::default() });
    look("2026-03-03T01:00:00Z");
    assert_eq!(place.quota(), Some(170));
    place.change(&PersonChange { budget: Some(None), ..PersonChange::default() });
    look("2026-03-03T02:00:00Z");
    assert_eq!(place.quota(), Some(250));
}

#[test]
fn a_period_goes_on_through_a_restart() {
    let place = Place::new(None, Some(budget(100, Period::Daily, "UTC")));
    let mut users = Users::default();
    users.look(place.store.limits(), &place.keys, ms("2026-03-01T10:00:00Z")).unwrap();
    place.spend(60);
    // Another process, which finds what was spent.
    let keys = Keys::new();
    keys.poll(&*place.store).unwrap();
    keys.owner("u").account.set_spent(60);
    Users::default().look(place.store.limits(), &keys, ms("2026-03-01T11:00:00Z")).unwrap();
    assert_eq!(keys.owner("u").account.balance().quota_nanos, Some(100));
    drop(place.folder);
}

/// What was spent in the period that it is then is in the rows.
#[test]
fn periods_follow_a_clock_that_is_set_in_either_direction() {
    let place = Place::new(None, Some(budget(100, Period::Daily, "UTC")));
    let mut users = Users::default();
    let mut look = |now: &str, spent_nanos: i64| {
        let store = Odd { inner: place.store.limits(), is_full: false, spent_nanos };
        users.look(&store, &place.keys, ms(now)).unwrap();
        place.quota()
    };
    assert_eq!(look("2026-03-01T10:00:00Z", 0), Some(100));
    place.spend(60);
    assert_eq!(look("2027-03-01T10:00:00Z", 0), Some(160), "a year on");
    place.spend(5);
    assert_eq!(look("2026-03-01T10:00:02Z", 65), Some(100), "put right");
    assert_eq!(look("2026-03-01T23:59:59Z", 65), Some(100));
    assert_eq!(look("2026-03-02T00:00:00Z", 0), Some(165), "midnight");
    place.spend(7);
    assert_eq!(look("2025-03-02T10:00:00Z", 0), Some(172), "a year back");
    assert_eq!(look("2026-03-02T10:00:00Z", 7), Some(165), "put right");
    assert_eq!(look("2026-03-03T00:00:00Z", 0), Some(172), "midnight");
}

/// A store in which periods may not begin, and whose rows of this period come to so much.
struct Odd<'s> {
    inner: &'s dyn Limits,
    is_full: bool,
    spent_nanos: i64,
}

impl Limits for Odd<'_> {
    fn limits_version(&self) -> Result<i64, StoreError> {
        self.inner.limits_version()
    }

    fn person_limits(&self) -> Result<Vec<PersonLimits>, StoreError> {
        self.inner.person_limits()
    }

    fn user_spent_since(&self, _user: &str, _since_ms: i64) -> Result<i64, StoreError> {
        Ok(self.spent_nanos)
    }

    fn begin_period(&self, person_id: i64, period: BudgetPeriod) -> Result<(), StoreError> {
        if self.is_full {
            return Err(StoreError::new(StoreErrorKind::Busy, "no room"));
        }
        self.inner.begin_period(person_id, period)
    }
}

#[test]
fn a_period_that_begins_late_has_what_was_spent_in_it_and_keeps_nobody_else_waiting() {
    let place = Place::new(None, Some(budget(100, Period::Daily, "UTC")));
    let mut users = Users::default();
    let mut look = |now: &str, is_full: bool, spent_nanos: i64| {
        users.look(&Odd { inner: place.store.limits(), is_full, spent_nanos }, &place.keys, ms(now))
    };
    look("2026-03-01T10:00:00Z", false, 0).unwrap();
    place.spend(60);
    let change = PersonChange { quota_nanos: Some(Some(7)), ..PersonChange::default() };
    place.store.people().person_change(&place.act, place.admin, &change).unwrap();
    look("2026-03-02T00:00:00Z", true, 0).unwrap_err();
    assert_eq!(place.quota(), Some(100), "as before");
    assert_eq!(place.keys.owner("admin").account.balance().quota_nanos, Some(7));
    place.spend(30);
    look("2026-03-02T00:30:00Z", false, 30).unwrap();
    assert_eq!(place.quota(), Some(160), "of this day, thirty are spent");
}
