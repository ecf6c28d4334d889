//! A finished request, explained: its record, where it went and why, and the arithmetic of its price. What the log's page, its
//! listings and `tollgate explain` show.

use crate::config::Config;
use crate::ledger::{LedgerRecord, Trail, TrailAttempt, TrailCandidate};
use crate::price::PriceBook;
use serde::Serialize;
use tollgate_plugin_api::{ExtraUsage, ServiceTier, UsageDetail, UsageSource};
use utoipa::ToSchema;
use uuid::Uuid;

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
            detail: &metered.detail,
            extras: &metered.extras,
        }
    }
}

/// RFC 3339, in UTC, to the millisecond.
pub(crate) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|time| format!("{time:.3}")).unwrap_or_else(|_| ms.to_string())
}

/// See the module.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explained<'a> {
    pub(crate) record: RecordJson<'a>,
    /// The arithmetic of the cost, by the prices that are in force now.
    pub(crate) price_lines: Vec<PriceLine>,
    /// What the same usage costs by the prices in force now; null: there is no price.
    pub(crate) price_now_nanos: Option<i64>,
    /// The request was billed by these very prices.
    pub(crate) price_is_the_same: bool,
    #[schema(value_type = Vec<Object>)]
    pub(crate) attempts: Vec<TrailAttempt>,
    #[schema(value_type = Vec<Object>)]
    pub(crate) candidates: Vec<TrailCandidate>,
    /// How many candidates more there were.
    pub(crate) candidates_left_out: u64,
    pub(crate) timings: Timings,
}

/// A line of a bill.
#[derive(Serialize, ToSchema)]
pub(crate) struct PriceLine {
    pub(crate) what: String,
    pub(crate) how: String,
    /// Exactly, in USD; empty for a line that only says which price applies.
    pub(crate) usd: String,
}

/// How long what took, in milliseconds.
#[derive(Serialize, ToSchema)]
pub(crate) struct Timings {
    /// Until the attempt began that was answered.
    pub(crate) routing_ms: Option<u64>,
    /// Until the first token.
    pub(crate) ttft_ms: Option<u64>,
    /// From the first token to the end.
    pub(crate) streaming_ms: Option<u64>,
    /// From arrival to the end.
    pub(crate) duration_ms: u64,
}

impl<'a> Explained<'a> {
    /// A record, what was kept of its trail, and the prices that are in force.
    pub(crate) fn of(record: &'a LedgerRecord, trail: Option<&str>, config: &Config, book: &PriceBook) -> Self {
        let trail = trail.and_then(Trail::parse).unwrap_or_else(|| Trail::of_record(record));
        let upstream = config.upstreams.iter().find(|upstream| *upstream.name == *record.upstream);
        let model = upstream.and_then(|upstream| {
            let is_it = |name: &str| *name == *record.upstream_model;
            let models = &upstream.models;
            models.iter().find(|model| *model.name == *record.model && is_it(&model.upstream_model))
        });
        let configured = upstream.zip(model).and_then(|(upstream, model)| upstream.price(book, model));
        let price = configured.or_else(|| book.find("", &record.upstream_model, &record.model).cloned());
        let billed = record.metered.source != UsageSource::None;
        let price = price.filter(|_| billed);
        let lines = price.iter().flat_map(|price| book.explain(Some(price), &record.metered, record.started_at_ms));
        let price_lines: Vec<PriceLine> =
            lines.map(|line| PriceLine { usd: line.usd(), what: line.what, how: line.how }).collect();
        let price_now_nanos = price.map(|price| book.cost(Some(&price), &record.metered, record.started_at_ms).nanos);
        let last = trail.attempts.last();
        Self {
            record: RecordJson::of(record),
            price_is_the_same: *book.version() == record.price_version
                && price_now_nanos.unwrap_or(0) == record.cost_nanos,
            price_lines,
            price_now_nanos,
            timings: Timings {
                routing_ms: last.map(|attempt| attempt.started_ms),
                ttft_ms: record.ttft_ms,
                streaming_ms: record.ttft_ms.map(|ttft_ms| record.duration_ms.saturating_sub(ttft_ms)),
                duration_ms: record.duration_ms,
            },
            attempts: trail.attempts,
            candidates: trail.candidates,
            candidates_left_out: trail.candidates_left_out,
        }
    }
}
