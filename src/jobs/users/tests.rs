use super::*;
use crate::ledger::{Durability, LedgerRecord};
use crate::store::by_test::ByTest;
use crate::store::{Act, Batch, NewKey, NewPerson, Period, PersonChange, Role, Store, StoreErrorKind};
use jiff::Timestamp;
use tollgate_plugin_api::RejectCode;
use uuid::Uuid;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// Both clocks say the same, and the store has everything.
fn at(text: &str) -> Now {
    Now { unix_ms: ms(text), steady_ms: ms(text), sent_records: 0, applied_records: 0 }
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
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    keys: Keys,
    act: Act,
    /// Of `u`.
    id: i64,
    /// Of `other`, an operator.
    other: i64,
}

impl Place {
    /// A store with an admin and somebody called `u`, who has a key.
    fn new(quota_nanos: Option<i64>, budget: Option<Budget>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = crate::store::StoreUrl::Sqlite(folder.path().join("t.db"));
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
        person("admin", Role::Admin, None, None);
        let other = person("other", Role::Operator, None, None);
        let id = person("u", Role::User, quota_nanos, budget);
        let key = NewKey { name: "k".into(), user: Some("u".into()), group: "default".into(), ..NewKey::default() };
        store.key_create(&key, &[1; 32], 0).unwrap();
        let keys = Keys::new();
        keys.poll(&*store).unwrap();
        Self { _folder: folder, store, keys, act, id, other }
    }

    fn change(&self, change: &PersonChange) {
        self.store.people().person_change(&self.act, self.id, change).unwrap();
    }

    fn quota(&self) -> Option<i64> {
        self.keys.owner("u").account.balance().quota_nanos
    }

    /// Something is spent that the store has not been told of.
    fn spend(&self, cost_nanos: i64) {
        let account = &self.keys.owner("u").account;
        let grant = account.hold(0).unwrap();
        account.settle(grant, cost_nanos);
    }

    /// The store is told of something that was spent.
    fn apply(&self, at: &str, cost_nanos: i64) {
        let (request_id, user) = (Uuid::now_v7(), Some("u".into()));
        let record = LedgerRecord { request_id, user, started_at_ms: ms(at), cost_nanos, ..LedgerRecord::default() };
        self.store.apply(&Batch { settled: vec![record], ..Batch::default() }).unwrap();
    }

    /// Looks without a failure, and returns what `u` may spend in all.
    fn look(&self, users: &mut Users, now: Now) -> Option<i64> {
        users.look(self.store.limits(), &self.keys, now).unwrap();
        self.quota()
    }

    fn write(&self, users: &mut Users) {
        let periods = users.unwritten();
        self.store.limits().begin_periods(&periods).unwrap();
        users.note_written(&periods, true);
        assert_eq!(users.unwritten(), []);
    }

    /// What `u` may spend in another process that begins then, and finds what was spent.
    fn quota_of_the_next(&self, now: &str, spent_nanos: i64) -> Option<i64> {
        let keys = Keys::new();
        keys.poll(&*self.store).unwrap();
        keys.owner("u").account.set_spent(spent_nanos);
        Users::default().look(self.store.limits(), &keys, at(now)).unwrap();
        keys.owner("u").account.balance().quota_nanos
    }
}

#[test]
fn changes_of_a_quota_are_in_force_at_the_next_look() {
    let place = Place::new(Some(100), None);
    let mut users = Users::default();
    let mut look = || place.look(&mut users, at("2026-03-01T10:00:00Z"));
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
    place.look(&mut users, at("2026-03-01T10:00:00Z"));
    assert_eq!(entry.accepts(0), Ok(()));
    place.store.people().person_delete(&place.act, place.id).unwrap();
    for mut users in [users, Users::default()] {
        assert_eq!(place.look(&mut users, at("2026-03-01T10:00:00Z")), Some(100));
        assert_eq!(entry.accepts(0), Err(RejectCode::Forbidden));
    }
}

#[test]
fn a_budget_begins_anew_and_never_goes_above_the_quota() {
    let place = Place::new(Some(250), Some(budget(100, Period::Daily, "UTC")));
    let mut users = Users::default();
    let mut look = |now: &str| place.look(&mut users, at(now));
    assert_eq!(look("2026-03-01T10:00:00Z"), Some(100));
    place.spend(60);
    assert_eq!(look("2026-03-01T23:59:59Z"), Some(100), "the same day");
    assert_eq!(look("2026-03-02T00:00:00Z"), Some(160));
    place.spend(100);
    assert_eq!(look("2026-03-02T23:59:59Z"), Some(160));
    assert_eq!(look("2026-03-03T00:00:00Z"), Some(250), "what is left of the quota is less");
    place.change(&PersonChange { budget: Some(Some(budget(10, Period::Daily, "UTC"))), ..PersonChange::default() });
    assert_eq!(look("2026-03-03T01:00:00Z"), Some(170));
    place.change(&PersonChange { budget: Some(None), ..PersonChange::default() });
    assert_eq!(look("2026-03-03T02:00:00Z"), Some(250));
}

#[test]
fn a_period_goes_on_in_the_next_process_whether_the_store_was_told_of_it_or_not() {
    let place = Place::new(None, Some(budget(100, Period::Daily, "UTC")));
    let mut users = Users::default();
    place.look(&mut users, at("2026-03-01T23:59:59Z"));
    place.spend(60);
    place.apply("2026-03-01T23:59:59Z", 60);
    place.spend(5);
    place.apply("2026-03-01T23:59:59Z", 5);
    assert_eq!(place.look(&mut users, at("2026-03-02T00:00:00Z")), Some(165));
    place.spend(20);
    place.apply("2026-03-02T08:00:00Z", 20);
    assert_eq!(place.quota_of_the_next("2026-03-02T11:00:00Z", 85), Some(165));
    place.write(&mut users);
    assert_eq!(place.quota_of_the_next("2026-03-02T12:00:00Z", 85), Some(165));
    assert_eq!(place.quota_of_the_next("2026-03-03T12:00:00Z", 85), Some(185), "the day after");
}

/// From before midnight until long after it nothing can be written.
#[test]
fn a_period_begins_at_its_time_whatever_becomes_of_the_store() {
    let place = Place::new(None, Some(budget(100, Period::Daily, "UTC")));
    let mut users = Users::default();
    place.look(&mut users, at("2026-03-01T23:55:00Z"));
    place.write(&mut users);
    place.spend(100);
    place.look(&mut users, at("2026-03-01T23:59:59Z"));
    assert_eq!(place.look(&mut users, at("2026-03-02T00:00:00Z")), Some(200), "yesterday's is used up");
    place.spend(70);
    let periods = users.unwritten();
    assert!(users.note_written(&periods, false) && !users.note_written(&periods, false), "it is news once");
    assert_eq!(place.look(&mut users, at("2026-03-02T00:10:00Z")), Some(200));
    // It can be written again, and is told of all that was spent, in the order in which that happens to be.
    assert_eq!(users.unwritten(), periods);
    place.apply("2026-03-01T23:56:00Z", 100);
    place.apply("2026-03-02T00:05:00Z", 70);
    place.write(&mut users);
    assert_eq!(place.quota_of_the_next("2026-03-02T00:11:00Z", 170), Some(200));
}

/// What the store does not have counts as spent in the period, until it has it.
#[test]
fn a_budget_that_is_new_begins_from_what_was_spent_before_its_period() {
    let place = Place::new(None, None);
    let mut users = Users::default();
    place.look(&mut users, at("2026-03-02T09:59:59Z"));
    for (at, cost_nanos) in [("2026-03-01T08:00:00Z", 1_000), ("2026-03-02T08:00:00Z", 30)] {
        place.spend(cost_nanos);
        place.apply(at, cost_nanos);
    }
    place.spend(7);
    place.change(&PersonChange {
        budget: Some(Some(budget(100, Period::Daily, "UTC"))),
        quota_nanos: Some(Some(5_000)),
        ..PersonChange::default()
    });
    let now = Now { sent_records: 3, applied_records: 2, ..at("2026-03-02T10:00:00Z") };
    assert_eq!(place.look(&mut users, now), Some(1_100), "the seven may be today's");
    assert_eq!(users.unwritten(), [], "that is not known for good");
    place.apply("2026-03-01T09:00:00Z", 7);
    let now = Now { sent_records: 9, applied_records: 3, ..at("2026-03-02T10:00:01Z") };
    assert_eq!(place.look(&mut users, now), Some(1_107), "they were yesterday's");
    place.write(&mut users);
}

#[test]
fn a_store_that_does_not_say_what_was_spent_keeps_no_other_limit_out_of_force() {
    let place = Place::new(None, None);
    let mut users = Users::default();
    place.look(&mut users, at("2026-03-02T09:59:59Z"));
    place.apply("2026-03-01T08:00:00Z", 1_000);
    place.change(&PersonChange { budget: Some(Some(budget(100, Period::Daily, "UTC"))), ..PersonChange::default() });
    let change = PersonChange { quota_nanos: Some(Some(7)), enabled: Some(false), ..PersonChange::default() };
    place.store.people().person_change(&place.act, place.other, &change).unwrap();
    let mute = Mute(place.store.limits());
    users.look(&mute, &place.keys, at("2026-03-02T10:00:00Z")).unwrap_err();
    assert_eq!(place.quota(), Some(100), "all that was ever spent counts");
    let other = place.keys.owner("other");
    assert_eq!((other.account.balance().quota_nanos, other.is_enabled()), (Some(7), false));
    users.look(&mute, &place.keys, at("2026-03-02T10:00:01Z")).unwrap_err();
    assert_eq!(place.look(&mut users, at("2026-03-02T10:00:02Z")), Some(1_100));
}

/// A store that does not say what was spent.
struct Mute<'s>(&'s dyn Limits);

impl Limits for Mute<'_> {
    fn limits_version(&self) -> Result<i64, StoreError> {
        self.0.limits_version()
    }

    fn person_limits(&self) -> Result<Vec<PersonLimits>, StoreError> {
        self.0.person_limits()
    }

    fn spent_outside(&self, _spans: &[(&str, Range<i64>)]) -> Result<Vec<i64>, StoreError> {
        Err(StoreError::new(StoreErrorKind::Unavailable, "mute"))
    }

    fn begin_periods(&self, periods: &[(i64, BudgetPeriod)]) -> Result<(), StoreError> {
        self.0.begin_periods(periods)
    }
}

#[test]
fn periods_follow_a_clock_that_is_set_in_either_direction() {
    let place = Place::new(None, Some(budget(100, Period::Daily, "UTC")));
    let mut users = Users::default();
    let mut steady_ms = 0;
    let mut look = |users: &mut Users, now: &str, (sent_records, applied_records): (u64, u64)| {
        steady_ms += 250;
        let quota = place.look(users, Now { unix_ms: ms(now), steady_ms, sent_records, applied_records });
        place.write(users);
        quota
    };
    let spend = |at: &str, cost_nanos: i64| {
        place.spend(cost_nanos);
        place.apply(at, cost_nanos);
    };
    assert_eq!(look(&mut users, "2026-03-01T10:00:00Z", (0, 0)), Some(100));
    spend("2026-03-01T10:00:00Z", 50);
    place.spend(10);
    assert_eq!(
        look(&mut users, "2027-03-01T10:00:00Z", (2, 1)),
        Some(150),
        "a year on; the store does not have the ten"
    );
    spend("2027-03-01T10:00:01Z", 5);
    place.apply("2026-03-01T10:00:00Z", 10);
    assert_eq!(look(&mut users, "2026-03-01T10:00:02Z", (3, 3)), Some(100), "put right");
    assert_eq!(look(&mut users, "2026-03-01T23:59:59Z", (3, 3)), Some(100));
    assert_eq!(look(&mut users, "2026-03-02T00:00:00Z", (3, 3)), Some(165), "midnight");
    spend("2026-03-02T00:00:01Z", 7);
    assert_eq!(look(&mut users, "2025-03-02T10:00:00Z", (4, 4)), Some(172), "a year back");
    spend("2025-03-02T10:00:01Z", 3);
    assert_eq!(look(&mut users, "2026-03-02T10:00:00Z", (5, 5)), Some(165), "put right");
    assert_eq!(look(&mut users, "2026-03-02T23:59:59Z", (5, 5)), Some(165));
    assert_eq!(look(&mut users, "2026-03-03T00:00:00Z", (5, 5)), Some(175), "midnight");
    // Half a second back, and over midnight once more.
    spend("2026-03-03T00:00:00Z", 4);
    assert_eq!(look(&mut users, "2026-03-02T23:59:59.500Z", (6, 6)), Some(165));
    assert_eq!(look(&mut users, "2026-03-03T00:00:00Z", (6, 6)), Some(175));
    // A process that begins while the clock is wrong.
    let mut users = Users::default();
    assert_eq!(look(&mut users, "2025-03-02T10:00:00Z", (0, 0)), Some(176), "three are of that day");
    assert_eq!(look(&mut users, "2026-03-03T10:00:00Z", (0, 0)), Some(175), "four are of this one");
}
