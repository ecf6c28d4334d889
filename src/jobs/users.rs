//! What users may spend: their quota, and what is left of the budget of this day, week or month. People change in the store;
//! here they get into the balances, and periods begin.

use crate::keyring::Keys;
use crate::ledger::{Owner, period_ms};
use crate::store::{Budget, BudgetPeriod, Limits, PersonLimits, StoreError};
use std::ops::Range;

/// What is known of users' limits.
#[derive(Debug, Default)]
pub struct Users {
    /// Of the store; `None`: nothing was read yet.
    version: Option<i64>,
    /// The time that all periods in force have in common, in Unix milliseconds: before it and behind it, one of them is another.
    now: Range<i64>,
    /// Not all of them could be put in force.
    is_failing: bool,
}

/// A period that is found so much later than it began, in milliseconds, has just begun: what has been spent in it is nothing. Looks are
/// a quarter of a second apart.
const JUST_NOW_MS: i64 = 2_000;

impl Users {
    /// Brings what changed into the balances, and begins the periods that are due. Only for the process that has the balances.
    ///
    /// # Errors
    /// The store; of those with whom it failed, what was in force stays so.
    pub fn look(&mut self, store: &dyn Limits, keys: &Keys, now_ms: i64) -> Result<(), StoreError> {
        let version = store.limits_version()?;
        if self.version == Some(version) && self.now.contains(&now_ms) {
            return Ok(());
        }
        let is_first = self.version.is_none();
        let (mut now, mut failed) = (i64::MIN..i64::MAX, None);
        for limits in store.person_limits()? {
            let owner = keys.owner(&limits.name);
            // Who is no longer enabled is so before, and who is enabled again behind what limits them.
            owner.set_enabled(limits.enabled && owner.is_enabled());
            let span = limits.budget.as_ref().map(|budget| (budget, span_of(budget, now_ms)));
            let budget = match &span {
                None => Ok(None),
                Some((budget, span)) => {
                    now = now.start.max(span.start)..now.end.min(span.end);
                    let base_nanos = base_of(store, &owner, &limits, span, (now_ms, is_first));
                    base_nanos.map(|base_nanos| Some(base_nanos.saturating_add(budget.amount_nanos)))
                }
            };
            match budget {
                // Whichever is less; `None` is more than anything.
                Ok(budget) => owner.account.set_quota(limits.quota_nanos.into_iter().chain(budget).min()),
                // Others' are to be put in force all the same.
                Err(error) => failed = Some(error),
            }
            owner.set_enabled(limits.enabled);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        (self.version, self.now) = (Some(version), now);
        Ok(())
    }

    /// Notes whether the last look failed. True: that is another thing than the one before.
    pub fn note_failing(&mut self, is_failing: bool) -> bool {
        std::mem::replace(&mut self.is_failing, is_failing) != is_failing
    }
}

/// What the user had spent when the period began.
fn base_of(
    store: &dyn Limits,
    owner: &Owner,
    limits: &PersonLimits,
    span: &Range<i64>,
    (now_ms, is_first): (i64, bool),
) -> Result<i64, StoreError> {
    if let Some(begun) = limits.begun.filter(|begun| begun.start_ms == span.start) {
        return Ok(begun.base_nanos);
    }
    let spent_nanos = owner.account.balance().spent_nanos;
    // It began while nobody looked, or the budget is new: then its rows tell. Else it begins now.
    let is_next = limits.begun.is_some_and(|begun| begun.start_ms < span.start);
    let began_just_now = !is_first && is_next && now_ms - span.start <= JUST_NOW_MS;
    let since_nanos = if began_just_now { 0 } else { store.user_spent_since(&limits.name, span.start)? };
    let base_nanos = spent_nanos.saturating_sub(since_nanos);
    store.begin_period(limits.person_id, BudgetPeriod { start_ms: span.start, base_nanos })?;
    Ok(base_nanos)
}

/// The period that it is now. A time zone that is not known (any more) is UTC.
fn span_of(budget: &Budget, now_ms: i64) -> Range<i64> {
    let of = |time_zone: &str| period_ms(budget.period, time_zone, now_ms);
    of(&budget.time_zone).or_else(|| of("UTC")).unwrap_or(now_ms..now_ms)
}

#[cfg(test)]
mod tests;
