//! Idempotency keys: which request each was taken for last.

use super::row;
use crate::ledger::{ClaimTag, Outcome, served};
use crate::store::{Batch, Result, Stands, StoredClaim, TakenClaim};
use rusqlite::{Connection, Row, Transaction, params};
use uuid::Uuid;

/// Notes what was taken, and deletes what is old.
pub(super) fn change(transaction: &Transaction<'_>, batch: &Batch) -> Result<()> {
    let mut add = transaction.prepare_cached(
        "INSERT OR REPLACE INTO claim (digest, request_digest, request_id, started_at_ms) VALUES (?, ?, ?, ?)",
    )?;
    for TakenClaim { tag, request_id, started_at_ms } in &batch.claims {
        add.execute(params![tag.key, tag.request, request_id.as_bytes(), started_at_ms])?;
    }
    if let Some(before_ms) = batch.claims_before_ms {
        transaction.prepare_cached("DELETE FROM claim WHERE started_at_ms < ?")?.execute([before_ms])?;
    }
    Ok(())
}

/// [`Store::claims_since`](crate::store::Store::claims_since).
pub(super) fn since(connection: &Connection, since_ms: i64, limit: usize) -> Result<Vec<StoredClaim>> {
    let mut statement = connection.prepare(
        "SELECT digest, request_digest, request_id, claim.started_at_ms, cost_nanos, outcome, status, \
         EXISTS (SELECT 1 FROM open_hold WHERE open_hold.request_id = claim.request_id) \
         FROM claim LEFT JOIN ledger USING (request_id) WHERE claim.started_at_ms >= ? \
         ORDER BY claim.started_at_ms DESC LIMIT ?",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let claims = statement.query_map(params![since_ms, limit], claim_of)?;
    Ok(claims.collect::<rusqlite::Result<_>>()?)
}

/// What a record says whose cost, outcome and status stand from this column on.
pub(super) fn is_served(row: &Row<'_>, first: usize) -> rusqlite::Result<bool> {
    let outcome: String = row.get(first + 1)?;
    let outcome = Outcome::parse(&outcome).ok_or_else(|| row::unreadable(first + 1, "an unknown outcome"))?;
    Ok(served(row.get(first)?, outcome, row.get(first + 2)?))
}

fn claim_of(row: &Row<'_>) -> rusqlite::Result<StoredClaim> {
    let has_record = row.get::<_, Option<i64>>(4)?.is_some();
    let stands = match row.get(7)? {
        _ if has_record && is_served(row, 4)? => Stands::Served,
        true if !has_record => Stands::Open,
        _ => Stands::Nowhere,
    };
    Ok(StoredClaim {
        tag: ClaimTag { key: row.get(0)?, request: row.get(1)? },
        request_id: Uuid::from_bytes(row.get(2)?),
        started_at_ms: row.get(3)?,
        stands,
    })
}
