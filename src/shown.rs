//! How keys, records and sums are shown to programs: by `--json` and by the console's API alike.

use crate::ledger::LedgerRecord;
use crate::store::{KeyListing, UsageSum};
use serde::Serialize;
use tollgate_plugin_api::{ExtraUsage, ServiceTier, UsageDetail};
use utoipa::ToSchema;
use uuid::Uuid;

/// RFC 3339, in UTC, to the millisecond.
pub(crate) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|time| format!("{time:.3}")).unwrap_or_else(|_| ms.to_string())
}

/// A key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyJson {
    id: i64,
    name: String,
    /// Whether a token or a wallet finds it by that name: only if somebody more than a user has called it so.
    found_by_name: bool,
    user: Option<String>,
    group: String,
    /// Empty: all of its group.
    models: Vec<String>,
    enabled: bool,
    /// null: unlimited
    quota_nanos: Option<i64>,
    spent_nanos: i64,
    held_nanos: i64,
    expires_at: Option<String>,
    accessed_at: Option<String>,
    rpm: Option<u64>,
    tpm: Option<u64>,
    concurrency: Option<u64>,
    created_at: String,
}

impl KeyJson {
    /// Of this key.
    pub(crate) fn of(listing: KeyListing) -> Self {
        let KeyListing { key, created_at_ms, spent_nanos, held_nanos, accessed_at_ms } = listing;
        Self {
            id: key.id,
            name: key.name.to_string(),
            found_by_name: key.named_by_operator,
            user: key.user.map(|user| user.to_string()),
            group: key.group.to_string(),
            models: key.models,
            enabled: key.enabled,
            quota_nanos: key.quota_nanos,
            spent_nanos,
            held_nanos,
            expires_at: key.expires_at_ms.map(rfc3339),
            accessed_at: accessed_at_ms.map(rfc3339),
            rpm: key.rpm,
            tpm: key.tpm,
            concurrency: key.concurrency,
            created_at: rfc3339(created_at_ms),
        }
    }
}

/// A record as JSON: the contract's fields, then what else the ledger knows.
#[derive(Serialize, ToSchema)]
#[schema(as = Record)]
pub(crate) struct RecordJson<'a> {
    #[schema(value_type = String)]
    request_id: Uuid,
    started_at: String,
    key_id: i64,
    key_name: &'a str,
    user: Option<&'a str>,
    group: &'a str,
    endpoint: &'a str,
    dialect: &'a str,
    model: &'a str,
    upstream: Option<&'a str>,
    upstream_model: Option<&'a str>,
    stream: bool,
    status: u16,
    outcome: &'static str,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    usage_source: &'static str,
    cost_nanos: i64,
    price_version: &'a str,
    price_missing: bool,
    attempts: u32,
    ttft_ms: Option<u64>,
    duration_ms: u64,
    error_code: Option<&'a str>,
    held_nanos: i64,
    overshoot: bool,
    disbelieved: bool,
    #[schema(value_type = String)]
    service_tier: ServiceTier,
    inference_geo: Option<&'a str>,
    #[schema(value_type = Object)]
    detail: &'a UsageDetail,
    #[schema(value_type = Vec<Object>)]
    extras: &'a [ExtraUsage],
}

impl<'a> RecordJson<'a> {
    /// Of this record.
    pub(crate) fn of(record: &'a LedgerRecord) -> Self {
        let known = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        let metered = &record.metered;
        Self {
            request_id: record.request_id,
            started_at: rfc3339(record.started_at_ms),
            key_id: record.key_id,
            key_name: &record.key_name,
            user: record.user.as_deref(),
            group: &record.group,
            endpoint: &record.endpoint,
            dialect: &record.dialect,
            model: &record.model,
            upstream: known(&record.upstream),
            upstream_model: known(&record.upstream_model),
            stream: record.stream,
            status: record.status,
            outcome: record.outcome.as_str(),
            input_tokens: metered.usage.input_tokens,
            cached_input_tokens: metered.usage.cached_input_tokens,
            cache_write_tokens: metered.usage.cache_write_tokens,
            output_tokens: metered.usage.output_tokens,
            reasoning_tokens: metered.usage.reasoning_tokens,
            usage_source: metered.source.as_str(),
            cost_nanos: record.cost_nanos,
            price_version: &record.price_version,
            price_missing: record.price_missing,
            attempts: record.attempts,
            ttft_ms: record.ttft_ms,
            duration_ms: record.duration_ms,
            error_code: record.error_code.as_deref(),
            held_nanos: record.held_nanos,
            overshoot: record.overshoot,
            disbelieved: metered.disbelieved,
            service_tier: metered.tier,
            inference_geo: metered.inference_geo.as_deref(),
            detail: &metered.detail,
            extras: &metered.extras,
        }
    }
}

/// Sums over one group.
#[derive(Serialize, ToSchema)]
pub(crate) struct SumJson {
    /// The key's, user's, model's or upstream's name, or the day; empty: there was none.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<i64>,
    requests: u64,
    errors: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    cost_nanos: i64,
    /// Requests whose counts are estimates.
    estimated: u64,
    /// Requests whose model had no price.
    price_missing: u64,
}

impl SumJson {
    /// Of these sums.
    pub(crate) fn of(sum: UsageSum) -> Self {
        Self {
            name: sum.name,
            key_id: sum.key_id,
            requests: sum.requests,
            errors: sum.errors,
            input_tokens: sum.usage.input_tokens,
            cached_input_tokens: sum.usage.cached_input_tokens,
            cache_write_tokens: sum.usage.cache_write_tokens,
            output_tokens: sum.usage.output_tokens,
            reasoning_tokens: sum.usage.reasoning_tokens,
            cost_nanos: sum.cost_nanos,
            estimated: sum.estimated,
            price_missing: sum.price_missing,
        }
    }
}
