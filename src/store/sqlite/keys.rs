//! The key table, and what the server notes beside it.

use crate::keyring::Touched;
use crate::store::{KeyChange, KeyListing, KeyRef, KeyRow, NewKey, Result, StoreError, StoreErrorKind};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use std::sync::Arc;
use tollgate_plugin_api::{CredentialDigest, Key};

/// Longest name of a key, user or group, and of a model in a key's list, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Most models in a key's list.
const MODELS_MAX: usize = 1_000;

const KEY_COLUMNS: &str = "key.id, key.name, key.user, key.group_name, key.models, key.enabled, key.expires_at_ms, \
     key.quota_nanos, key.rpm, key.tpm, key.concurrency, key.identity IS key.name, key.created_at_ms";

/// The next version of the table; inside a transaction that writes, nobody else takes the same.
const NEXT_VERSION: &str = "(SELECT coalesce(max(version), 0) + 1 FROM key)";

// === what is acceptable ===

pub(super) fn invalid(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, message)
}

pub(super) fn check_word(what: &str, word: &str) -> Result<()> {
    if word.is_empty() || word.len() > NAME_BYTES_MAX || word.chars().any(char::is_control) {
        let expected = format!("expected 1 to {NAME_BYTES_MAX} bytes without control characters");
        return Err(invalid(format!("{what} {word:?}: {expected}")));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    check_word("key name", name)?;
    if name.trim() != name {
        return Err(invalid(format!("key name {name:?}: expected no spaces around it")));
    }
    match KeyRef::parse(name) {
        KeyRef::Id(_) => Err(invalid(format!("key name {name:?}: a number would be taken for an id"))),
        KeyRef::Name(_) => Ok(()),
    }
}

fn check_models(models: &[String]) -> Result<()> {
    if models.len() > MODELS_MAX {
        return Err(invalid(format!("models: {} given, expected not more than {MODELS_MAX}", models.len())));
    }
    models.iter().try_for_each(|model| check_word("model", model))
}

fn check_limit(what: &str, limit: Option<u64>) -> Result<()> {
    match limit {
        Some(limit) if i64::try_from(limit).is_err() => Err(invalid(format!("{what} {limit}: too large"))),
        _ => Ok(()),
    }
}

pub(super) fn check_quota(quota_nanos: Option<i64>) -> Result<()> {
    match quota_nanos {
        Some(nanos) if nanos < 0 => Err(invalid(format!("quota of {nanos} nano-USD: expected 0 or more"))),
        _ => Ok(()),
    }
}

/// Whose name this was is gone: keys that say it would never be accepted.
fn check_user(transaction: &Transaction<'_>, user: Option<&str>) -> Result<()> {
    let sql = "SELECT 1 FROM person WHERE name = ? AND deleted_at_ms IS NOT NULL";
    let Some(user) = user else { return Ok(()) };
    if transaction.prepare_cached(sql)?.exists([user])? {
        return Err(invalid(format!("user {user:?}: was deleted, and its name is not given again; expected another")));
    }
    Ok(())
}

/// The limits of [`NewKey`].
pub(super) fn check_new(new: &NewKey) -> Result<()> {
    check_name(&new.name)?;
    new.user.as_deref().map_or(Ok(()), |user| check_word("user", user))?;
    check_word("group", &new.group)?;
    check_models(&new.models)?;
    check_quota(new.quota_nanos)?;
    check_limit("rpm", new.rpm)?;
    check_limit("tpm", new.tpm)?;
    check_limit("concurrency", new.concurrency)
}

/// The same for what is changed.
pub(super) fn check_change(change: &KeyChange) -> Result<()> {
    change.name.as_deref().map_or(Ok(()), check_name)?;
    change.user.iter().flatten().try_for_each(|user| check_word("user", user))?;
    change.group.as_deref().map_or(Ok(()), |group| check_word("group", group))?;
    change.models.as_deref().map_or(Ok(()), check_models)?;
    check_quota(change.quota_nanos.flatten())?;
    check_limit("rpm", change.rpm.flatten())?;
    check_limit("tpm", change.tpm.flatten())?;
    check_limit("concurrency", change.concurrency.flatten())
}

// === writing ===

/// [`People::key_create_by`](crate::store::People::key_create_by), without the row in the audit.
pub(super) fn create(
    transaction: &Transaction<'_>,
    new: &NewKey,
    digest: &CredentialDigest,
    now_ms: i64,
) -> Result<KeyRow> {
    check_user(transaction, new.user.as_deref())?;
    let sql = format!(
        "INSERT INTO key (name, user, group_name, models, enabled, expires_at_ms, quota_nanos, rpm, tpm, concurrency, \
         digest, created_at_ms, identity, version) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, {NEXT_VERSION})"
    );
    let models = models_json(&new.models);
    let values = params![
        new.name,
        new.user,
        new.group,
        models,
        new.expires_at_ms,
        new.quota_nanos,
        new.rpm,
        new.tpm,
        new.concurrency,
        digest,
        now_ms,
        (!new.named_by_user).then_some(&new.name),
    ];
    transaction.execute(&sql, values).map_err(|error| name_taken(error, &new.name))?;
    row_of(transaction, transaction.last_insert_rowid())
}

/// [`People::key_change_by`](crate::store::People::key_change_by), without the row in the audit. `identity`: the name by which others than whoever has its credential may
/// mean it from now on; `None`: this stays.
pub(super) fn change(
    transaction: &Transaction<'_>,
    id: i64,
    change: &KeyChange,
    identity: Option<Option<&str>>,
) -> Result<KeyRow> {
    let KeyChange { name, user, group, models, enabled, expires_at_ms, quota_nanos, rpm, tpm, concurrency } = change;
    let count = |limit: Option<u64>| limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let fields: [(&str, Option<Value>); 11] = [
        ("name", name.clone().map(Value::from)),
        ("identity", identity.map(|identity| identity.map(str::to_owned).into())),
        ("user", user.clone().map(Value::from)),
        ("group_name", group.clone().map(Value::from)),
        ("models", models.as_deref().map(|models| models_json(models).into())),
        ("enabled", enabled.map(Value::from)),
        ("expires_at_ms", expires_at_ms.map(Value::from)),
        ("quota_nanos", quota_nanos.map(Value::from)),
        ("rpm", rpm.map(|limit| count(limit).into())),
        ("tpm", tpm.map(|limit| count(limit).into())),
        ("concurrency", concurrency.map(|limit| count(limit).into())),
    ];
    check_user(transaction, change.user.as_ref().and_then(Option::as_deref))?;
    let mut sql = format!("UPDATE key SET version = {NEXT_VERSION}");
    let mut values = Vec::new();
    for (column, value) in fields {
        if let Some(value) = value {
            sql.push_str(&format!(", {column} = ?"));
            values.push(value);
        }
    }
    sql.push_str(" WHERE id = ? AND deleted_at_ms IS NULL");
    values.push(id.into());
    let changed = transaction
        .execute(&sql, params_from_iter(values))
        .map_err(|error| name_taken(error, name.as_deref().unwrap_or_default()))?;
    found(changed, id)?;
    row_of(transaction, id)
}

/// [`People::key_rotate_by`](crate::store::People::key_rotate_by), without the row in the audit.
pub(super) fn rotate(transaction: &Transaction<'_>, id: i64, digest: &CredentialDigest) -> Result<KeyRow> {
    let sql = format!("UPDATE key SET digest = ?, version = {NEXT_VERSION} WHERE id = ? AND deleted_at_ms IS NULL");
    found(transaction.execute(&sql, params![digest, id])?, id)?;
    row_of(transaction, id)
}

/// [`People::key_delete_by`](crate::store::People::key_delete_by), without the row in the audit.
pub(super) fn delete(transaction: &Transaction<'_>, id: i64, now_ms: i64) -> Result<()> {
    let sql = format!(
        "UPDATE key SET digest = NULL, enabled = 0, deleted_at_ms = ?, version = {NEXT_VERSION} \
         WHERE id = ? AND deleted_at_ms IS NULL"
    );
    found(transaction.execute(&sql, params![now_ms, id])?, id)
}

/// [`Store::write_accessed`](crate::store::Store::write_accessed).
pub(super) fn write_accessed(transaction: &Transaction<'_>, touched: &[Touched]) -> Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO account (key_id, accessed_at_ms) VALUES (?, ?) ON CONFLICT (key_id) DO UPDATE \
         SET accessed_at_ms = max(coalesce(accessed_at_ms, 0), excluded.accessed_at_ms)",
    )?;
    for touched in touched {
        statement.execute(params![touched.key_id, touched.accessed_at_ms])?;
    }
    Ok(())
}

fn found(changed: usize, id: i64) -> Result<()> {
    match changed {
        0 => Err(StoreError::new(StoreErrorKind::NotFound, format!("no key has the id {id}"))),
        _ => Ok(()),
    }
}

fn name_taken(error: rusqlite::Error, name: &str) -> StoreError {
    match &error {
        rusqlite::Error::SqliteFailure(_, Some(message)) if message.contains("key.name") => {
            StoreError::new(StoreErrorKind::NameTaken, format!("a key named {name:?} exists already"))
        }
        _ => error.into(),
    }
}

fn models_json(models: &[String]) -> String {
    serde_json::Value::from(models).to_string()
}

// === reading ===

fn key_of(row: &Row<'_>) -> rusqlite::Result<Key> {
    let models: String = row.get(4)?;
    Ok(Key {
        id: row.get(0)?,
        name: row.get(1)?,
        user: row.get(2)?,
        group: row.get(3)?,
        models: serde_json::from_str(&models).map_err(|error| super::row::unreadable(4, error))?,
        enabled: row.get(5)?,
        expires_at_ms: row.get(6)?,
        quota_nanos: row.get(7)?,
        rpm: row.get(8)?,
        tpm: row.get(9)?,
        concurrency: row.get(10)?,
        named_by_operator: row.get(11)?,
    })
}

fn key_row_of(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        key: key_of(row)?,
        created_at_ms: row.get(12)?,
        digest: row.get(13)?,
        version: row.get(14)?,
        spent_nanos: row.get(15)?,
    })
}

pub(super) fn listing_of(row: &Row<'_>) -> rusqlite::Result<KeyListing> {
    Ok(KeyListing {
        key: key_of(row)?,
        created_at_ms: row.get(12)?,
        spent_nanos: row.get(13)?,
        accessed_at_ms: row.get(14)?,
        held_nanos: row.get(15)?,
    })
}

fn key_row_sql(condition: &str) -> String {
    format!(
        "SELECT {KEY_COLUMNS}, key.digest, key.version, coalesce(account.spent_nanos, 0) \
         FROM key LEFT JOIN account ON account.key_id = key.id WHERE {condition}"
    )
}

pub(super) fn listing_sql(condition: &str) -> String {
    format!(
        "SELECT {KEY_COLUMNS}, coalesce(account.spent_nanos, 0), account.accessed_at_ms, coalesce(held.nanos, 0) \
         FROM key LEFT JOIN account ON account.key_id = key.id \
         LEFT JOIN (SELECT key_id, sum(held_nanos) AS nanos FROM open_hold GROUP BY key_id) AS held \
         ON held.key_id = key.id WHERE key.deleted_at_ms IS NULL AND {condition}"
    )
}

fn row_of(connection: &Connection, id: i64) -> Result<KeyRow> {
    Ok(connection.query_row(&key_row_sql("key.id = ?"), [id], key_row_of)?)
}

/// [`Store::key_find`](crate::store::Store::key_find).
pub(super) fn find(connection: &Connection, which: &KeyRef) -> Result<Option<KeyListing>> {
    let found = match which {
        KeyRef::Id(id) => connection.query_row(&listing_sql("key.id = ?"), [id], listing_of),
        KeyRef::Name(name) => connection.query_row(&listing_sql("key.name = ?"), [name], listing_of),
    };
    Ok(found.optional()?)
}

/// [`Store::key_list`](crate::store::Store::key_list).
pub(super) fn list(connection: &Connection, each: &mut dyn FnMut(KeyListing)) -> Result<()> {
    let mut statement = connection.prepare_cached(&listing_sql("true ORDER BY key.id"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(listing_of(row)?);
    }
    Ok(())
}

/// [`Store::keys_changed_since`](crate::store::Store::keys_changed_since).
pub(super) fn changed_since(connection: &Connection, version: i64, each: &mut dyn FnMut(KeyRow)) -> Result<i64> {
    let mut statement = connection.prepare_cached(&key_row_sql("key.version > ? ORDER BY key.version"))?;
    let mut rows = statement.query([version])?;
    let mut reached = version;
    while let Some(row) = rows.next()? {
        let row = key_row_of(row)?;
        reached = row.version;
        each(row);
    }
    Ok(reached)
}

/// What users' keys have spent: of those that have rows in the ledger behind a sequence, or of all.
pub(super) fn users_spent_since(
    connection: &Connection,
    sequence: Option<i64>,
    each: &mut dyn FnMut(Arc<str>, i64),
) -> Result<()> {
    let mut statement = connection.prepare(
        "SELECT user, spent_nanos FROM user_account \
         WHERE ?1 IS NULL OR user IN (SELECT user FROM ledger WHERE sequence > ?1)",
    )?;
    let mut rows = statement.query([sequence])?;
    while let Some(row) = rows.next()? {
        each(row.get::<_, String>(0)?.into(), row.get(1)?);
    }
    Ok(())
}

/// What keys have spent that have rows in the ledger behind `sequence`.
pub(super) fn spent_since(connection: &Connection, sequence: i64, each: &mut dyn FnMut(i64, i64)) -> Result<()> {
    let mut statement = connection.prepare(
        "SELECT key_id, spent_nanos FROM account WHERE key_id IN (SELECT key_id FROM ledger WHERE sequence > ?)",
    )?;
    let mut rows = statement.query([sequence])?;
    while let Some(row) = rows.next()? {
        each(row.get(0)?, row.get(1)?);
    }
    Ok(())
}
