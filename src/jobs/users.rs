//! What users may spend: their quota, and what is left of the budget of this day, week or month. People change in the store;
//! here they get into the balances, and periods begin.

use crate::keyring::Keys;
use crate::ledger::Owner;
use crate::store::{Budget, BudgetPeriod, Limits, Period, PersonLimits, StoreError};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use std::collections::HashSet;
use std::sync::Arc;

/// What is known of users' limits.
#[derive(Debug, Default)]
pub struct Users {
    /// Of the store; `None`: nothing was read yet.
    version: Option<i64>,
    /// Unix time in milliseconds at which the next period begins.
    next_ms: Option<i64>,
    /// Who has limits.
    limited: HashSet<Arc<str>>,
}

impl Users {
    /// Brings what changed into the balances, and begins the periods that are due. Only for the process that has the balances.
    ///
    /// # Errors
    /// The store; what was in force stays so.
    pub fn look(&mut self, store: &dyn Limits, keys: &Keys, now_ms: i64) -> Result<(), StoreError> {
        let version = store.limits_version()?;
        let is_due = self.next_ms.is_some_and(|next_ms| next_ms <= now_ms);
        if self.version == Some(version) && !is_due {
            return Ok(());
        }
        let is_first = self.version.is_none();
        let (mut next_ms, mut limited) = (None::<i64>, HashSet::new());
        for limits in store.person_limits()? {
            let owner = keys.owner(&limits.name);
            let budget = match &limits.budget {
                None => None,
                Some(budget) => {
                    let span = span_of(budget, now_ms);
                    next_ms = Some(next_ms.map_or(span.end_ms, |next_ms| next_ms.min(span.end_ms)));
                    let base_nanos = base_of(store, &owner, &limits, span, is_first)?;
                    Some(base_nanos.saturating_add(budget.amount_nanos))
                }
            };
            // Whichever is less; `None` is more than anything.
            let quota_nanos = limits.quota_nanos.into_iter().chain(budget).min();
            owner.account.set_quota(quota_nanos);
            owner.set_enabled(limits.enabled);
            limited.insert(owner.name.clone());
        }
        for name in self.limited.difference(&limited) {
            let owner = keys.owner(name);
            owner.account.set_quota(None);
            owner.set_enabled(true);
        }
        (self.version, self.next_ms, self.limited) = (Some(version), next_ms, limited);
        Ok(())
    }
}

/// What the user had spent when the period began.
fn base_of(
    store: &dyn Limits,
    owner: &Owner,
    limits: &PersonLimits,
    span: Span,
    is_first: bool,
) -> Result<i64, StoreError> {
    if let Some(begun) = limits.begun.filter(|begun| begun.start_ms == span.start_ms) {
        return Ok(begun.base_nanos);
    }
    let spent_nanos = owner.account.balance().spent_nanos;
    // It began while nobody looked, or the budget is new: then its rows tell. Else it begins now.
    let began_just_now = !is_first && limits.begun.is_some_and(|begun| begun.start_ms < span.start_ms);
    let since_nanos = if began_just_now { 0 } else { store.user_spent_since(&limits.name, span.start_ms)? };
    let base_nanos = spent_nanos.saturating_sub(since_nanos);
    store.begin_period(limits.person_id, BudgetPeriod { start_ms: span.start_ms, base_nanos })?;
    Ok(base_nanos)
}

/// A day, week or month, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start_ms: i64,
    end_ms: i64,
}

/// The period that it is now. A time zone that is not known (any more) is UTC.
fn span_of(budget: &Budget, now_ms: i64) -> Span {
    let zone = TimeZone::get(&budget.time_zone).unwrap_or(TimeZone::UTC);
    let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone);
    let found = bounds(&now, budget.period);
    let (start, end) = found.unwrap_or_else(|_| (now.clone(), now));
    Span { start_ms: start.timestamp().as_millisecond(), end_ms: end.timestamp().as_millisecond() }
}

/// Where clocks leave midnight out, a day begins with its first moment.
fn bounds(now: &Zoned, period: Period) -> Result<(Zoned, Zoned), jiff::Error> {
    let today = now.date();
    let (first, next) = match period {
        Period::Daily => (today, today.checked_add(1.day())?),
        Period::Weekly => {
            let days = today.weekday().since(Weekday::Monday);
            let monday = today.checked_sub(i64::from(days).days())?;
            (monday, monday.checked_add(7.days())?)
        }
        Period::Monthly => (today.first_of_month(), today.first_of_month().checked_add(1.month())?),
    };
    let zone = now.time_zone();
    Ok((first.to_zoned(zone.clone())?.start_of_day()?, next.to_zoned(zone.clone())?.start_of_day()?))
}

#[cfg(test)]
mod tests;
