//! What users may spend: their quota, and what is left of the budget of this day, week or month. People change in the store;
//! here they get into the balances, and periods begin.
//!
//! A period begins in memory, at the first look in it, and is in force from there, whatever becomes of the store. If the last look was
//! just before it, it begins from what the balance says is spent. Of one that nobody saw begin (the process has just started, the
//! budget is new, the clock was set) the store says what was spent outside of it, for good when it has what was journaled up to the
//! look: what it does not have counts as spent in the period. The store is told of periods apart from the looks, and for the process
//! alone that comes after this one.

use crate::clock::{steady_ms, unix_ms};
use crate::keyring::Keys;
use crate::ledger::{Ledger, Owner, period_ms};
use crate::store::{Budget, BudgetPeriod, Limits, PersonLimits, StoreError};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// What is spent between two looks that are no further apart, in milliseconds, is nothing. They are a quarter of a second apart.
const GAP_MS_MAX: i64 = 2_000;

/// When a look takes place.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the machine's clock.
    unix_ms: i64,
    /// By one that nobody sets.
    steady_ms: i64,
    /// How many records were journaled up to here.
    sent_records: u64,
    /// How many of them the store has.
    applied_records: u64,
}

impl Now {
    /// It is now.
    pub fn of(ledger: &Ledger) -> Self {
        let sent_records = ledger.sent_records();
        Self { unix_ms: unix_ms(), steady_ms: steady_ms(), sent_records, applied_records: ledger.applied_records() }
    }
}

/// A period that is in force.
#[derive(Debug)]
struct Begun {
    span: Range<i64>,
    /// What had been spent when it began, in nano-USD.
    base_nanos: i64,
    base: Base,
}

/// How well that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    /// Not at all.
    Unknown,
    /// As far as the store had been told; it is asked again when it has so many records.
    SoFar(u64),
    /// For good.
    Known,
}

/// Somebody whose limits are in force.
#[derive(Debug)]
struct Person {
    /// As the store has them.
    limits: PersonLimits,
    owner: Arc<Owner>,
    begun: Option<Begun>,
    /// What was in force before that: a clock that goes over midnight may come back.
    before: Option<Begun>,
}

/// What is known of users' limits.
#[derive(Debug, Default)]
pub struct Users {
    /// Of the store; `None`: nothing was read yet.
    version: Option<i64>,
    people: Vec<Person>,
    /// The time that all periods in force have in common, in Unix milliseconds: before it and behind it, one of them is another.
    common: Range<i64>,
    /// It is not known for good what all of them began from.
    is_unsure: bool,
    /// The store may not have all of them.
    is_unwritten: bool,
    /// The last look.
    looked: Option<Now>,
    /// What failed the last time.
    looks_fail: bool,
    writes_fail: bool,
}

impl Users {
    /// Brings what changed into the balances, and begins the periods that are due. Only for the process that has the balances. It
    /// reads in the store, and waits for nobody who writes there.
    ///
    /// # Errors
    /// The store could not be read: what it had said before is in force.
    pub fn look(&mut self, store: &dyn Limits, keys: &Keys, now: Now) -> Result<(), StoreError> {
        let read = self.read_people(store, keys);
        let looked = self.looked.replace(now);
        if read != Ok(true) && self.common.contains(&now.unix_ms) && !self.is_unsure {
            return read.map(drop);
        }
        // By both clocks: where one was set the other way, somebody may have been there before.
        let looked = looked.filter(|looked| {
            let gaps_ms = [(now.unix_ms, looked.unix_ms), (now.steady_ms, looked.steady_ms)];
            gaps_ms.into_iter().all(|(now_ms, looked_ms)| now_ms.saturating_sub(looked_ms) <= GAP_MS_MAX)
        });
        self.common = i64::MIN..i64::MAX;
        for person in &mut self.people {
            person.begin(now.unix_ms, looked.map(|looked| looked.unix_ms));
            if let Some(Begun { span, .. }) = &person.begun {
                self.common = self.common.start.max(span.start)..self.common.end.min(span.end);
            }
        }
        let asked = self.ask(store, now);
        self.people.iter().for_each(Person::put_in_force);
        self.is_unwritten = true;
        read.and(asked)
    }

    /// True: people have changed.
    fn read_people(&mut self, store: &dyn Limits, keys: &Keys) -> Result<bool, StoreError> {
        let version = store.limits_version()?;
        if self.version == Some(version) {
            return Ok(false);
        }
        let people = store.person_limits()?;
        let periods_of = |person: Person| (person.limits.person_id, (person.begun, person.before));
        let mut known: HashMap<_, _> = self.people.drain(..).map(periods_of).collect();
        let person = |limits: PersonLimits| {
            let (begun, before) = known.remove(&limits.person_id).unwrap_or_default();
            Person { owner: keys.owner(&limits.name), limits, begun, before }
        };
        self.people = people.into_iter().map(person).collect();
        self.version = Some(version);
        Ok(true)
    }

    /// Asks the store what periods began from of which that is not known for good.
    fn ask(&mut self, store: &dyn Limits, now: Now) -> Result<(), StoreError> {
        let is_due = |base: Base| match base {
            Base::Unknown => true,
            Base::SoFar(records) => records <= now.applied_records,
            Base::Known => false,
        };
        let mut asked: Vec<(&str, &mut Begun)> = Vec::new();
        for Person { limits, begun, .. } in &mut self.people {
            let (name, begun) = (&*limits.name, begun.as_mut().filter(|begun| is_due(begun.base)));
            asked.extend(begun.map(|begun| (name, begun)));
        }
        let spans: Vec<_> = asked.iter().map(|(name, begun)| (*name, begun.span.clone())).collect();
        let told = if spans.is_empty() { Ok(Vec::new()) } else { store.spent_outside(&spans) };
        for ((_, begun), base_nanos) in asked.into_iter().zip(told.iter().flatten()) {
            let records = if let Base::SoFar(records) = begun.base { records } else { now.sent_records };
            begun.base_nanos = *base_nanos;
            begun.base = if records <= now.applied_records { Base::Known } else { Base::SoFar(records) };
        }
        let mut in_force = self.people.iter().filter_map(|person| person.begun.as_ref());
        self.is_unsure = in_force.any(|begun| begun.base != Base::Known);
        told.map(drop)
    }

    /// Periods that have begun and that the store does not have, with the ids of those whose they are.
    pub fn unwritten(&mut self) -> Vec<(i64, BudgetPeriod)> {
        let periods =
            if self.is_unwritten { self.people.iter().filter_map(Person::unwritten).collect() } else { Vec::new() };
        self.is_unwritten = !periods.is_empty();
        periods
    }

    /// The store has these, or not. True: that is another thing than the last time.
    pub fn note_written(&mut self, periods: &[(i64, BudgetPeriod)], are_there: bool) -> bool {
        if are_there {
            let periods: HashMap<i64, BudgetPeriod> = periods.iter().copied().collect();
            for limits in self.people.iter_mut().map(|person| &mut person.limits) {
                limits.begun = periods.get(&limits.person_id).copied().or(limits.begun);
            }
        }
        std::mem::replace(&mut self.writes_fail, !are_there) == are_there
    }

    /// Notes whether the last look failed. True: that is another thing than the one before.
    pub fn note_failing(&mut self, is_failing: bool) -> bool {
        std::mem::replace(&mut self.looks_fail, is_failing) != is_failing
    }
}

impl Person {
    /// Begins the period that it is now, unless that is in force. `looked_ms`: when the last look was, if that was just now.
    fn begin(&mut self, now_ms: i64, looked_ms: Option<i64>) {
        let Some(span) = self.limits.budget.as_ref().map(|budget| span_of(budget, now_ms)) else {
            self.before = self.begun.take().or(self.before.take());
            return;
        };
        if self.begun.as_ref().is_none_or(|begun| begun.span.start != span.start) {
            std::mem::swap(&mut self.begun, &mut self.before);
        }
        if let Some(begun) = self.begun.as_mut().filter(|begun| begun.span.start == span.start) {
            // A day and a week may have begun together.
            begun.span = span;
            return;
        }
        let kept = self.limits.begun.filter(|kept| kept.start_ms == span.start).map(|kept| kept.base_nanos);
        let seen =
            looked_ms.filter(|looked_ms| *looked_ms < span.start).map(|_| self.owner.account.balance().spent_nanos);
        let (base_nanos, base) = match kept.or(seen) {
            Some(base_nanos) => (base_nanos, Base::Known),
            // Should the store say nothing: all that was spent since a period before began.
            None => (self.before_nanos(), Base::Unknown),
        };
        self.begun = Some(Begun { span, base_nanos, base });
    }

    /// What had been spent when a period before began; 0 if there was none.
    fn before_nanos(&self) -> i64 {
        let in_force = self.before.as_ref().map(|begun| begun.base_nanos);
        in_force.or(self.limits.begun.map(|kept| kept.base_nanos)).unwrap_or(0)
    }

    fn put_in_force(&self) {
        let Self { limits, owner, begun, .. } = self;
        let budget = limits.budget.as_ref().zip(begun.as_ref());
        let budget_nanos = budget.map(|(budget, begun)| begun.base_nanos.saturating_add(budget.amount_nanos));
        // Who is no longer enabled is so before, and who is enabled again behind what limits them.
        owner.set_enabled(limits.enabled && owner.is_enabled());
        // Whichever is less; `None` is more than anything.
        owner.account.set_quota(limits.quota_nanos.into_iter().chain(budget_nanos).min());
        owner.set_enabled(limits.enabled);
    }

    fn unwritten(&self) -> Option<(i64, BudgetPeriod)> {
        let begun = self.begun.as_ref().filter(|begun| begun.base == Base::Known)?;
        let period = BudgetPeriod { start_ms: begun.span.start, base_nanos: begun.base_nanos };
        (self.limits.begun != Some(period)).then_some((self.limits.person_id, period))
    }
}

/// The period that it is now. A time zone that is not known (any more) is UTC; a time that no calendar knows is in a period of all times.
fn span_of(budget: &Budget, now_ms: i64) -> Range<i64> {
    let of = |time_zone: &str| period_ms(budget.period, time_zone, now_ms);
    of(&budget.time_zone).or_else(|| of("UTC")).unwrap_or(i64::MIN..i64::MAX)
}

#[cfg(test)]
mod tests;
