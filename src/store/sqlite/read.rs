//! What people read of the ledger: rows, sums, and the audit.

use super::called::IS_MEANT;
use super::rollup::Check;
use super::{apply, row};
use crate::ledger::LedgerRecord;
use crate::store::{Audit, ChainedRow, EachChainedRow, KeyRef, LedgerFilter, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use uuid::Uuid;

/// Most findings of the database's own check that are told.
const INTEGRITY_TOLD_MAX: usize = 100;

/// The condition of a filter, and its values.
pub(super) fn condition(filter: &LedgerFilter) -> (String, Vec<Value>) {
    let (mut sql, mut values) = ("true".to_owned(), Vec::new());
    match &filter.key {
        None => {}
        Some(KeyRef::Id(id)) => {
            sql.push_str(" AND key_id = ?");
            values.push(Value::from(*id));
        }
        Some(KeyRef::Name(name)) => {
            sql = format!("{sql} AND {IS_MEANT}");
            values.extend([Value::from(name.clone()), Value::from(name.clone())]);
        }
    }
    let since = filter.since_ms.map(|since_ms| ("started_at_ms >= ?", Value::from(since_ms)));
    let until = filter.until_ms.map(|until_ms| ("started_at_ms < ?", Value::from(until_ms)));
    let user = filter.user.clone().map(|user| ("user = ?", Value::from(user)));
    let model = filter.model.clone().map(|model| ("model = ?", Value::from(model)));
    let upstream = filter.upstream.clone().map(|upstream| ("upstream = ?", Value::from(upstream)));
    let outcome = filter.outcome.map(|outcome| ("outcome = ?", Value::from(outcome.as_str().to_owned())));
    let status = filter.status.map(|status| ("status = ?", Value::from(i64::from(status))));
    for (condition, value) in [since, until, user, model, upstream, outcome, status].into_iter().flatten() {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.push(value);
    }
    (sql, values)
}

/// [`Store::ledger_rows`](crate::store::Store::ledger_rows).
pub(super) fn rows(connection: &Connection, filter: &LedgerFilter, each: &mut dyn FnMut(LedgerRecord)) -> Result<()> {
    let (condition, mut values) = condition(filter);
    values.push(filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1)).into());
    let sql = format!(
        "SELECT {} FROM ledger WHERE {condition} ORDER BY started_at_ms DESC, sequence DESC LIMIT ?",
        row::COLUMNS
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        each(row::record_of(row)?);
    }
    Ok(())
}

/// [`Store::ledger_find`](crate::store::Store::ledger_find).
pub(super) fn find(connection: &Connection, request_id: Uuid) -> Result<Option<LedgerRecord>> {
    let sql = format!("SELECT {} FROM ledger WHERE request_id = ?", row::COLUMNS);
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([request_id.as_bytes()], row::record_of).optional()?)
}

/// [`Store::trail`](crate::store::Store::trail).
pub(super) fn trail(connection: &Connection, request_id: Uuid) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT trail FROM trail WHERE request_id = ?")?;
    Ok(statement.query_row([request_id.as_bytes()], |row| row.get(0)).optional()?)
}

/// [`Store::admin_names`](crate::store::Store::admin_names).
pub(super) fn admin_names(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection
        .prepare_cached("SELECT name FROM person WHERE role = 'admin' AND enabled = 1 AND deleted_at_ms IS NULL")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// [`Store::audit`](crate::store::Store::audit).
pub(super) fn audit(connection: &mut Connection, each: &mut EachChainedRow<'_>) -> Result<Audit> {
    // One transaction: everything is as of the same moment, whatever a server writes meanwhile.
    let transaction = connection.transaction()?;
    let mut audit = Audit { integrity: integrity(&transaction), ..Audit::default() };
    let rolled_up: i64 = transaction.query_row("SELECT rolled_up FROM chain_head", [], |row| row.get(0)).unwrap_or(0);
    let mut check = Check::default();
    walk(&transaction, &mut |row| {
        if let Ok(row) = &row
            && row.sequence <= rolled_up
        {
            check.record(&row.record);
        }
        each(row);
    })?;
    let read = read_rest(&transaction, &mut audit);
    if let Err(error) = read {
        audit.integrity.push(error.message);
    }
    match check.finish(&transaction) {
        Ok(told) => audit.sums = told,
        Err(error) => audit.integrity.push(error.to_string()),
    }
    Ok(audit)
}

/// The database's own check of its pages and indexes.
fn integrity(connection: &Connection) -> Vec<String> {
    let sql = format!("PRAGMA integrity_check({INTEGRITY_TOLD_MAX})");
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(&sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    match check() {
        Ok(lines) => lines.into_iter().filter(|line| line != "ok").collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// Tells every row of the ledger. A page that cannot be read ends the walk; that is told, too.
fn walk(connection: &Connection, each: &mut EachChainedRow<'_>) -> Result<()> {
    // Not by an index: the rows themselves are what is checked.
    let sql = format!("SELECT {} FROM ledger NOT INDEXED ORDER BY sequence", row::COLUMNS);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    loop {
        match rows.next() {
            Ok(Some(row)) => each(chained(row).map_err(|error| error.to_string())),
            Ok(None) => return Ok(()),
            Err(error) => {
                each(Err(error.to_string()));
                return Ok(());
            }
        }
    }
}

fn chained(row: &Row<'_>) -> rusqlite::Result<ChainedRow> {
    let (sequence, hash) = (row.get(0)?, row.get(row::COLUMNS_COUNT - 1)?);
    Ok(ChainedRow { sequence, record: row::record_of(row)?, hash })
}

fn read_rest(connection: &Connection, audit: &mut Audit) -> Result<()> {
    let head = connection.query_row("SELECT sequence, hash FROM chain_head", [], |row| Ok((row.get(0)?, row.get(1)?)));
    (audit.head_sequence, audit.head_hash) = head?;
    let mut statement = connection.prepare("SELECT key_id, spent_nanos FROM account ORDER BY key_id")?;
    let balances = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    audit.balances = balances.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare("SELECT user, spent_nanos FROM user_account ORDER BY user")?;
    let balances = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let balances = balances.collect::<rusqlite::Result<Vec<_>>>()?;
    let is_summed = "SELECT rolled_up = sequence FROM chain_head";
    let is_summed: bool = connection.query_row(is_summed, [], |row| row.get(0))?;
    audit.user_balances = is_summed.then_some(balances);
    let sql = format!("SELECT {} FROM open_hold", apply::OPEN_HOLD_COLUMNS);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        audit.open_holds.push(apply::open_hold_of(row).map_err(|error| error.to_string()));
    }
    audit.writers = apply::writers(connection)?;
    Ok(())
}
