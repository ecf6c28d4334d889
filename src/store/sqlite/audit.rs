//! Who changed what, through the console and by the command line; and the weights of upstreams, which nobody else changes.

use crate::store::{Act, AuditRow, KeyListing, Page, PersonListing, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Adds a row to the audit, in the transaction of what it tells of.
pub(super) fn add(
    transaction: &Transaction<'_>,
    act: &Act,
    action: &str,
    object: &str,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<()> {
    let mut statement = transaction
        .prepare_cached("INSERT INTO audit (at_ms, actor, action, object, before, after) VALUES (?, ?, ?, ?, ?, ?)")?;
    statement.execute(params![act.at_ms, act.actor, action, object, before, after])?;
    Ok(())
}

/// The same for what has a JSON form.
pub(super) fn add_json(
    transaction: &Transaction<'_>,
    act: &Act,
    action: &str,
    object: &str,
    (before, after): (Option<Value>, Option<Value>),
) -> Result<()> {
    let (before, after) = (before.map(|value| value.to_string()), after.map(|value| value.to_string()));
    add(transaction, act, action, object, before.as_deref(), after.as_deref())
}

/// [`People::audit_rows`](crate::store::People::audit_rows).
pub(super) fn rows(connection: &Connection, page: Page, object: Option<&str>) -> Result<Vec<AuditRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at_ms, actor, action, object, before, after FROM audit WHERE id < ?1 AND (?3 IS NULL OR object = ?3) ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![page.after.unwrap_or(i64::MAX), page.limit, object], |row| {
        Ok(AuditRow {
            id: row.get(0)?,
            at_ms: row.get(1)?,
            actor: row.get(2)?,
            action: row.get(3)?,
            object: row.get(4)?,
            before: row.get(5)?,
            after: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A key as the audit has it.
pub(super) fn key_image(listing: &KeyListing) -> Value {
    let key = &listing.key;
    json!({
        "name": &*key.name,
        "found_by_name": key.named_by_operator,
        "user": key.user.as_deref(),
        "group": &*key.group,
        "models": key.models,
        "enabled": key.enabled,
        "quota_nanos": key.quota_nanos,
        "expires_at_ms": key.expires_at_ms,
        "rpm": key.rpm,
        "tpm": key.tpm,
        "concurrency": key.concurrency,
    })
}

/// A person as the audit has it.
pub(super) fn person_image(listing: &PersonListing) -> Value {
    let person = &listing.person;
    let budget = listing.budget.as_ref().map(|budget| {
        json!({
            "amount_nanos": budget.amount_nanos,
            "period": budget.period.as_str(),
            "time_zone": budget.time_zone,
        })
    });
    json!({
        "name": person.name,
        "role": person.role.as_str(),
        "enabled": person.enabled,
        "quota_nanos": person.quota_nanos,
        "budget": budget,
    })
}

/// [`People::weights`](crate::store::People::weights).
pub(super) fn weights(connection: &Connection) -> Result<BTreeMap<String, u32>> {
    let mut statement = connection.prepare_cached("SELECT upstream, weight FROM upstream_weight")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`People::weight_set`](crate::store::People::weight_set).
pub(super) fn weight_set(transaction: &Transaction<'_>, act: &Act, upstream: &str, weight: Option<u32>) -> Result<()> {
    let before: Option<u32> = transaction
        .query_row("SELECT weight FROM upstream_weight WHERE upstream = ?", [upstream], |row| row.get(0))
        .optional()?;
    match weight {
        Some(weight) => transaction.execute(
            "INSERT INTO upstream_weight (upstream, weight) VALUES (?1, ?2) \
             ON CONFLICT (upstream) DO UPDATE SET weight = excluded.weight",
            params![upstream, weight],
        )?,
        None => transaction.execute("DELETE FROM upstream_weight WHERE upstream = ?", [upstream])?,
    };
    let image = |weight: Option<u32>| weight.map(|weight| json!({ "weight": weight }));
    add_json(transaction, act, "upstream.weight", &format!("upstream {upstream}"), (image(before), image(weight)))
}
