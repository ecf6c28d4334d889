//! Codes that are worth quota, once.

use super::apply::is_there;
use super::{audit, person};
use crate::store::{Act, CodeRow, Page, PersonListing, Result, SecretDigest, StoreError, StoreErrorKind};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::{Value, json};

const COLUMNS: &str = "id, amount_nanos, created_at_ms, expires_at_ms, redeemed_at_ms, redeemed_by";

fn code_of(row: &Row<'_>) -> rusqlite::Result<CodeRow> {
    Ok(CodeRow {
        id: row.get(0)?,
        amount_nanos: row.get(1)?,
        created_at_ms: row.get(2)?,
        expires_at_ms: row.get(3)?,
        redeemed_at_ms: row.get(4)?,
        redeemed_by: row.get(5)?,
    })
}

fn image(code: &CodeRow) -> Value {
    json!({ "amount_nanos": code.amount_nanos, "expires_at_ms": code.expires_at_ms })
}

/// [`People::codes_create`](crate::store::People::codes_create).
pub(super) fn create(
    transaction: &Transaction<'_>,
    act: &Act,
    amount_nanos: i64,
    expires_at_ms: Option<i64>,
    digests: &[SecretDigest],
) -> Result<Vec<CodeRow>> {
    let mut codes = Vec::with_capacity(digests.len());
    for digest in digests {
        let made = transaction.execute(
            "INSERT INTO code (digest, amount_nanos, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?)",
            params![digest, amount_nanos, act.at_ms, expires_at_ms],
        );
        made.map_err(|failed| match is_there(&failed) {
            true => error(StoreErrorKind::Conflict, "there is the same code"),
            false => failed.into(),
        })?;
        let id = transaction.last_insert_rowid();
        let (created_at_ms, redeemed_at_ms, redeemed_by) = (act.at_ms, None, None);
        let code = CodeRow { id, amount_nanos, created_at_ms, expires_at_ms, redeemed_at_ms, redeemed_by };
        audit::add_json(transaction, act, "code.create", &format!("code {id}"), (None, Some(image(&code))))?;
        codes.push(code);
    }
    Ok(codes)
}

/// [`People::codes`](crate::store::People::codes).
pub(super) fn list(connection: &Connection, page: Page) -> Result<Vec<CodeRow>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM code WHERE id > ? ORDER BY id LIMIT ?"))?;
    let rows = statement.query_map(params![page.after.unwrap_or(0), page.limit], code_of)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn error(kind: StoreErrorKind, message: &str) -> StoreError {
    StoreError::new(kind, message)
}

/// [`People::code_delete`](crate::store::People::code_delete).
pub(super) fn delete(transaction: &Transaction<'_>, act: &Act, id: i64) -> Result<()> {
    let found = transaction.query_row(&format!("SELECT {COLUMNS} FROM code WHERE id = ?"), [id], code_of).optional()?;
    let code = found.ok_or_else(|| error(StoreErrorKind::NotFound, "there is no such code"))?;
    if code.redeemed_at_ms.is_some() {
        return Err(error(StoreErrorKind::Conflict, "the code was redeemed"));
    }
    transaction.execute("DELETE FROM code WHERE id = ?", [id])?;
    audit::add_json(transaction, act, "code.delete", &format!("code {id}"), (Some(image(&code)), None))
}

/// [`People::code_redeem`](crate::store::People::code_redeem).
pub(super) fn redeem(
    transaction: &Transaction<'_>,
    act: &Act,
    digest: &SecretDigest,
    person_id: i64,
) -> Result<(i64, PersonListing)> {
    let found = transaction.query_row(&format!("SELECT {COLUMNS} FROM code WHERE digest = ?"), [digest], code_of);
    let code = found.optional()?.filter(|code| code.expires_at_ms.is_none_or(|at_ms| act.at_ms < at_ms));
    let code = code.ok_or_else(|| error(StoreErrorKind::NotFound, "there is no such code, or it has expired"))?;
    if code.redeemed_at_ms.is_some() {
        return Err(error(StoreErrorKind::Conflict, "the code was redeemed"));
    }
    let (before, after) = person::add_quota(transaction, person_id, code.amount_nanos)?;
    transaction.execute(
        "UPDATE code SET redeemed_at_ms = ?, redeemed_by = ? WHERE id = ?",
        params![act.at_ms, after.person.name, code.id],
    )?;
    let mut then = audit::person_image(&after);
    then["code"] = code.id.into();
    let images = (Some(audit::person_image(&before)), Some(then));
    audit::add_json(transaction, act, "code.redeem", &format!("person {person_id}"), images)?;
    Ok((code.amount_nanos, after))
}
