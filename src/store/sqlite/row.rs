//! A ledger row as columns. Reading is strict: a value that is not exactly what would be written is an error, so that
//! no change to a row goes unnoticed.

use crate::ledger::{LedgerRecord, Outcome};
use rusqlite::types::{FromSql, Type};
use rusqlite::{Row, Statement, ToSql};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tollgate_plugin_api::{Metered, ServiceTier, Usage, UsageDetail, UsageSource};
use uuid::Uuid;

/// The columns, in the order in which they are written and read.
pub(super) const COLUMNS: &str = "sequence, request_id, started_at_ms, key_id, key_name, user, group_name, endpoint, \
     dialect, model, upstream, upstream_model, stream, status, outcome, input_tokens, cached_input_tokens, \
     cache_write_tokens, output_tokens, reasoning_tokens, usage_source, cost_nanos, held_nanos, overshoot, \
     disbelieved, price_version, price_missing, service_tier, detail, extras, attempts, ttft_ms, \
     duration_ms, error_code, hash";

/// How many there are.
pub(super) const COLUMNS_COUNT: usize = 35;

/// A value that is not what the column may hold.
pub(super) fn unreadable(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// The column of this name: the finer classes, and what was metered that has no column of its own.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Detail {
    #[serde(flatten)]
    classes: UsageDetail,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inference_geo: Option<String>,
}

/// Binds the values of a row, the `nth` of those that the statement adds: every one, whatever was bound before.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    nth: usize,
    sequence: i64,
    record: &LedgerRecord,
    hash: &[u8; 32],
) -> rusqlite::Result<()> {
    let Metered { usage, detail, extras, tier, inference_geo, source, disbelieved } = &record.metered;
    let has_detail = *detail != UsageDetail::default() || inference_geo.is_some();
    let detail =
        has_detail.then(|| json(&Detail { classes: *detail, inference_geo: inference_geo.clone() })).transpose()?;
    let extras = (!extras.is_empty()).then(|| json(extras)).transpose()?;
    let values: [&dyn ToSql; COLUMNS_COUNT] = [
        &sequence,
        record.request_id.as_bytes(),
        &record.started_at_ms,
        &record.key_id,
        &record.key_name,
        &record.user,
        &record.group,
        &record.endpoint.as_ref(),
        &record.dialect.as_ref(),
        &record.model,
        &record.upstream,
        &record.upstream_model,
        &record.stream,
        &record.status,
        &record.outcome.as_str(),
        &count(usage.input_tokens),
        &count(usage.cached_input_tokens),
        &count(usage.cache_write_tokens),
        &count(usage.output_tokens),
        &count(usage.reasoning_tokens),
        &source.as_str(),
        &record.cost_nanos,
        &record.held_nanos,
        &record.overshoot,
        disbelieved,
        &record.price_version,
        &record.price_missing,
        &tier.as_str(),
        &detail,
        &extras,
        &record.attempts,
        &record.ttft_ms.map(count),
        &count(record.duration_ms),
        &record.error_code,
        hash,
    ];
    for (column, value) in values.into_iter().enumerate() {
        statement.raw_bind_parameter(nth * COLUMNS_COUNT + column + 1, value)?;
    }
    Ok(())
}

/// Counts are far below this limit when they come from the ledger; none may stop a batch.
fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// As it is stored. What has no JSON form is not stored as something else: the batch fails.
pub(super) fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Reads the columns of a row.
pub(super) fn record_of(row: &Row<'_>) -> rusqlite::Result<LedgerRecord> {
    let usage = Usage {
        input_tokens: row.get(15)?,
        cached_input_tokens: row.get(16)?,
        cache_write_tokens: row.get(17)?,
        output_tokens: row.get(18)?,
        reasoning_tokens: row.get(19)?,
    };
    let Detail { classes, inference_geo } = parsed(row, 28)?.unwrap_or_default();
    let metered = Metered {
        usage,
        source: word(row, 20, UsageSource::parse)?,
        disbelieved: flag(row, 24)?,
        tier: word(row, 27, ServiceTier::parse)?,
        detail: classes,
        inference_geo,
        extras: parsed(row, 29)?.unwrap_or_default(),
    };
    Ok(LedgerRecord {
        request_id: Uuid::from_bytes(row.get(1)?),
        started_at_ms: row.get(2)?,
        key_id: row.get(3)?,
        key_name: row.get(4)?,
        user: row.get(5)?,
        group: row.get(6)?,
        endpoint: row.get::<_, String>(7)?.into(),
        dialect: row.get::<_, String>(8)?.into(),
        model: row.get(9)?,
        upstream: row.get(10)?,
        upstream_model: row.get(11)?,
        stream: flag(row, 12)?,
        status: row.get(13)?,
        outcome: word(row, 14, Outcome::parse)?,
        metered,
        cost_nanos: row.get(21)?,
        held_nanos: row.get(22)?,
        overshoot: flag(row, 23)?,
        price_version: row.get(25)?,
        price_missing: flag(row, 26)?,
        attempts: row.get(30)?,
        ttft_ms: row.get(31)?,
        duration_ms: row.get(32)?,
        error_code: row.get(33)?,
    })
}

fn flag(row: &Row<'_>, column: usize) -> rusqlite::Result<bool> {
    match row.get::<_, i64>(column)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(unreadable(column, format!("{other} is no flag"))),
    }
}

fn word<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let word: String = row.get(column)?;
    parse(&word).ok_or_else(|| unreadable(column, format!("{word:?} is unknown")))
}

/// JSON that is exactly what would be written for its value.
fn parsed<T: Serialize + DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    Option<String>: FromSql,
{
    let Some(text) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
    let value: T = serde_json::from_str(&text).map_err(|error| unreadable(column, error))?;
    match json(&value)? == text {
        true => Ok(Some(value)),
        false => Err(unreadable(column, "it is not in the form in which it is written")),
    }
}

#[cfg(test)]
mod tests {
    use super::json;
    use std::collections::BTreeMap;

    #[test]
    fn what_has_no_json_form_is_an_error_and_no_empty_text() {
        assert_eq!(json(&BTreeMap::from([("a", 1)])).unwrap(), r#"{"a":1}"#);
        assert!(json(&BTreeMap::from([((1, 2), 3)])).is_err());
    }
}
