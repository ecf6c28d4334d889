//! What limits people's spending.

use super::person::budget_of;
use super::{SqliteStore, sums};
use crate::store::{BudgetPeriod, Limits, PersonLimits, Result, StoreErrorKind};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

impl Limits for SqliteStore {
    fn limits_version(&self) -> Result<i64> {
        // Every change to people has its row there.
        let last = |connection: &mut Connection| -> Result<i64> {
            let sql = "SELECT coalesce(max(id), 0) FROM audit";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        };
        self.read(last)
    }

    fn person_limits(&self) -> Result<Vec<PersonLimits>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT person.id, person.name, person.enabled, person.quota_nanos, budget.amount_nanos, budget.period, \
                 budget.time_zone, budget_period.start_ms, budget_period.base_nanos FROM person \
                 LEFT JOIN budget ON budget.person_id = person.id \
                 LEFT JOIN budget_period ON budget_period.person_id = person.id",
            )?;
            let limits = statement.query_map([], limits_of)?;
            Ok(limits.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn spent_outside(&self, spans: &[(&str, Range<i64>)]) -> Result<Vec<i64>> {
        self.read(|connection| {
            // One transaction: all that was spent, and what of it within the span, are of the same rows.
            let transaction = connection.transaction()?;
            let mut all = transaction.prepare_cached("SELECT spent_nanos FROM user_account WHERE user = ?")?;
            let mut within = Within { connection: &transaction, of_rows: HashMap::new() };
            let outside = |(user, span): &(&str, Range<i64>)| -> Result<i64> {
                let spent_nanos: Option<i64> = all.query_row([user], |row| row.get(0)).optional()?;
                Ok(spent_nanos.unwrap_or(0).saturating_sub(within.spent(user, span)?))
            };
            spans.iter().map(outside).collect()
        })
    }

    fn begin_periods(&self, periods: &[(i64, BudgetPeriod)]) -> Result<()> {
        self.write(|transaction| {
            let mut begin = transaction.prepare_cached(
                "INSERT INTO budget_period (person_id, start_ms, base_nanos) VALUES (?, ?, ?) \
                 ON CONFLICT (person_id) DO UPDATE SET start_ms = excluded.start_ms, base_nanos = excluded.base_nanos",
            )?;
            for (person_id, BudgetPeriod { start_ms, base_nanos }) in periods {
                begin.execute(params![person_id, start_ms, base_nanos])?;
            }
            Ok(())
        })
    }
}

/// What users' requests within spans of time cost: from the sums that are kept, and at the edges of hours from rows, which are gone
/// through once for all users.
struct Within<'c> {
    connection: &'c Connection,
    /// By times and user, in nano-USD.
    of_rows: HashMap<(i64, i64), HashMap<String, i64>>,
}

impl Within<'_> {
    fn spent(&mut self, user: &str, span: &Range<i64>) -> Result<i64> {
        let (mut spent_nanos, edges) = match sums::kept_cost(self.connection, user, span) {
            // `ledger verify` tells. Nobody is to be kept from spending for that: the rows say it, too.
            Err(error) if error.kind == StoreErrorKind::Damaged => (0, vec![(span.start, span.end)]),
            kept => kept?,
        };
        for edge in edges {
            let by_user = match self.of_rows.entry(edge) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(spent_by_user(self.connection, edge)?),
            };
            spent_nanos = spent_nanos.saturating_add(by_user.get(user).copied().unwrap_or(0));
        }
        Ok(spent_nanos)
    }
}

fn spent_by_user(connection: &Connection, (from_ms, until_ms): (i64, i64)) -> Result<HashMap<String, i64>> {
    let sql = "SELECT user, cost_nanos FROM ledger WHERE started_at_ms >= ? AND started_at_ms < ? AND user IS NOT NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let mut costs = statement.query([from_ms, until_ms])?;
    let mut spent = HashMap::<String, i64>::new();
    while let Some(row) = costs.next()? {
        let spent_nanos = spent.entry(row.get(0)?).or_default();
        *spent_nanos = spent_nanos.saturating_add(row.get(1)?);
    }
    Ok(spent)
}

fn limits_of(row: &Row<'_>) -> rusqlite::Result<PersonLimits> {
    let start_ms: Option<i64> = row.get(7)?;
    let begun = match start_ms {
        Some(start_ms) => Some(BudgetPeriod { start_ms, base_nanos: row.get(8)? }),
        None => None,
    };
    Ok(PersonLimits {
        person_id: row.get(0)?,
        name: row.get(1)?,
        enabled: row.get(2)?,
        quota_nanos: row.get(3)?,
        budget: budget_of(row, 4)?,
        begun,
    })
}
