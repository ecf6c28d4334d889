//! What limits people's spending, for the process that has their balances.

use super::{Budget, Result};
use std::ops::Range;

/// What somebody may spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonLimits {
    /// The person's id.
    pub person_id: i64,
    /// The name, which keys have as their `user`.
    pub name: String,
    /// False: no key of theirs is served.
    pub enabled: bool,
    /// In all, in nano-USD; `None`: unlimited.
    pub quota_nanos: Option<i64>,
    /// In each period; `None`: no such limit.
    pub budget: Option<Budget>,
    /// The period that was begun last.
    pub begun: Option<BudgetPeriod>,
}

/// A period of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetPeriod {
    /// Unix time in milliseconds.
    pub start_ms: i64,
    /// What had been spent when it began, in nano-USD.
    pub base_nanos: i64,
}

/// See the module.
pub trait Limits: Send + Sync {
    /// A number that changes with every change to people.
    ///
    /// # Errors
    /// The store.
    fn limits_version(&self) -> Result<i64>;

    /// Everybody's. Who was deleted stays among them, not enabled: nobody else ever gets the name.
    ///
    /// # Errors
    /// The store.
    fn person_limits(&self) -> Result<Vec<PersonLimits>>;

    /// What the requests of each of these users' keys cost that arrived outside of a span of Unix time in milliseconds, in nano-USD.
    /// However long the span is, it takes little time.
    ///
    /// # Errors
    /// The store.
    fn spent_outside(&self, spans: &[(&str, Range<i64>)]) -> Result<Vec<i64>>;

    /// Notes that these people's periods have begun: all of them, or none.
    ///
    /// # Errors
    /// The store.
    fn begin_periods(&self, periods: &[(i64, BudgetPeriod)]) -> Result<()>;
}
