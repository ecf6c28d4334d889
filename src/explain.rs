//! A finished request, explained: its record, where it went and why, and the arithmetic of its price. What the log's page, its
//! listings and `tollgate explain` show.

use crate::config::Config;
use crate::ledger::{LedgerRecord, Trail, TrailAttempt, TrailCandidate};
use crate::price::{ExplainLine, PriceBook};
use crate::shown::RecordJson;
use serde::Serialize;
use tollgate_plugin_api::UsageSource;
use utoipa::ToSchema;

/// See the module.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explained<'a> {
    pub(crate) record: RecordJson<'a>,
    /// The arithmetic of the cost, by the prices that are in force now.
    pub(crate) price_lines: Vec<PriceLine>,
    /// What the same usage costs by the prices in force now; null: there is no price, or nothing was counted.
    pub(crate) price_now_nanos: Option<i64>,
    /// The request was billed by these very prices, or by none, then as now.
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
    /// What it is for.
    pub(crate) what: String,
    /// The factors.
    pub(crate) how: String,
    /// The product, exactly, in USD; empty for a line that only says which price applies.
    pub(crate) usd: String,
}

impl PriceLine {
    /// A line of the book's.
    pub(crate) fn of(line: ExplainLine) -> Self {
        Self { usd: line.usd(), what: line.what, how: line.how }
    }
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
        let price_lines: Vec<PriceLine> = lines.map(PriceLine::of).collect();
        let price_now_nanos = price.map(|price| book.cost(Some(&price), &record.metered, record.started_at_ms).nanos);
        // What was not counted is billed by no prices, and what had none may have none still: that is no change of them.
        let is_by_none = !billed || record.price_missing && price_now_nanos.is_none();
        let is_by_these = *book.version() == record.price_version && price_now_nanos.unwrap_or(0) == record.cost_nanos;
        let last = trail.attempts.last();
        Self {
            record: RecordJson::of(record),
            price_is_the_same: is_by_none || is_by_these,
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
