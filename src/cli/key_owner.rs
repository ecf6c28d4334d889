//! What limits the person whose key it is: all keys of one person share a quota and a budget, whatever the keys' own quotas are.

use super::amount::usd;
use super::terminal::{Failure, plain};
use crate::ledger::period_start_ms;
use crate::store::{Budget, BudgetPeriod, KeyListing, PersonListing, Store};

/// What a key's user may spend, and what is left of it. Nothing for a name that is nobody's in the console.
///
/// # Errors
/// The store.
pub(super) fn pairs(
    listing: &KeyListing,
    store: &dyn Store,
    now_ms: i64,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let Some(name) = &listing.key.user else { return Ok(Vec::new()) };
    let limits = store.limits().person_limits()?.into_iter().find(|limits| *limits.name == **name);
    let Some(limits) = limits else { return Ok(Vec::new()) };
    // Whose keys went with them.
    let Some(person) = store.people().person(limits.person_id)? else { return Ok(Vec::new()) };
    let quota = person.person.quota_nanos.map(|quota| format!("{}, {} left", usd(quota), usd(left(quota, &person))));
    let budget = person.budget.as_ref().map(|budget| of_budget(budget, limits.begun, &person, now_ms));
    Ok(vec![
        ("its user", if person.person.enabled { "enabled" } else { "disabled" }.into()),
        ("its user's quota", quota.unwrap_or_else(|| "unlimited".into())),
        ("its user's budget", budget.unwrap_or_else(|| "none".into())),
    ])
}

/// The budget, and what is left of it in the period that now is.
fn of_budget(budget: &Budget, begun: Option<BudgetPeriod>, person: &PersonListing, now_ms: i64) -> String {
    let Budget { amount_nanos, period, time_zone } = budget;
    let start_ms = period_start_ms(*period, time_zone, now_ms);
    // A period that the server has not begun yet has all of its amount.
    let base_nanos =
        begun.filter(|begun| Some(begun.start_ms) == start_ms).map_or(person.spent_nanos, |begun| begun.base_nanos);
    let left = left(base_nanos.saturating_add(*amount_nanos), person);
    format!("{} {} ({}), {} left", usd(*amount_nanos), period.as_str(), plain(time_zone), usd(left))
}

fn left(limit_nanos: i64, person: &PersonListing) -> i64 {
    limit_nanos.saturating_sub(person.spent_nanos).saturating_sub(person.held_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Period, Person, Role};

    #[test]
    fn a_budget_is_as_of_the_period_that_now_is() {
        let ann = Person {
            id: 1,
            name: "ann".into(),
            role: Role::User,
            enabled: true,
            quota_nanos: None,
            created_at_ms: 0,
            last_login_at_ms: None,
        };
        let budget = Budget { amount_nanos: 5_000_000_000, period: Period::Daily, time_zone: "UTC".into() };
        let (spent_nanos, held_nanos) = (7_000_000_000, 500_000_000);
        let person = PersonListing { person: ann, budget: None, spent_nanos, held_nanos, has_password: false };
        let (day_ms, begun) = (86_400_000, Some(BudgetPeriod { start_ms: 86_400_000, base_nanos: 4_000_000_000 }));
        let said = |begun, now_ms| of_budget(&budget, begun, &person, now_ms);
        let today = said(begun, day_ms + 1);
        assert!(today.starts_with("$5.0") && today.contains("daily (UTC), $1.50"), "{today}");
        for (begun, now_ms) in [(begun, 2 * day_ms), (None, day_ms)] {
            let whole = said(begun, now_ms);
            assert!(whole.contains("daily (UTC), $4.50"), "{whole}: nothing is spent in it yet");
        }
    }
}
