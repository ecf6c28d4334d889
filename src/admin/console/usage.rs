//! Who spent what: sums by key, user, model, upstream or day.

use super::access::USER;
use super::extract::Asked;
use super::refusal::Refusal;
use super::routes::{Route, Verb};
use super::session::Caller;
use super::{Desk, times};
use crate::store::{LedgerFilter, UsageBy, UsageSum};
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Ranges begin and end at whole hours, whose sums are kept.
const HOUR_MS: i64 = 3_600_000;

pub(super) const ROUTES: &[Route] =
    &[Route::new(Verb::Get, "/api/usage", USER, |verb| on(verb, sums), "Sums over records; over a user's own.")
        .asks::<UsageQuery>()
        .gives::<UsageJson>()];

/// What sums are grouped by.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    Key,
    User,
    Model,
    Upstream,
    Day,
}

/// Which sums.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UsageQuery {
    #[schema(inline)]
    by: By,
    /// From the hour on that this is in.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Up to the end of the hour that this is in.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Sums, the dearest first; days in order.
#[derive(Serialize, ToSchema)]
struct UsageJson {
    items: Vec<SumJson>,
    /// The first hour's beginning; null: all.
    since_at: Option<String>,
    /// The last hour's end; null: all.
    until_at: Option<String>,
}

/// Sums over one group.
#[derive(Serialize, ToSchema)]
pub(super) struct SumJson {
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
    pub(super) fn of(sum: UsageSum) -> Self {
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

async fn sums(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Asked(query): Asked<UsageQuery>,
) -> Result<Json<UsageJson>, Refusal> {
    let time = |field: &str, text: &Option<String>| text.as_deref().map(|text| times::parse(field, text)).transpose();
    let since_ms = time("since", &query.since)?.map(|ms| ms.div_euclid(HOUR_MS) * HOUR_MS);
    let until_ms = time("until", &query.until)?.map(|ms| (ms - 1).div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS);
    let by = match query.by {
        By::Key => UsageBy::Key,
        By::User => UsageBy::User,
        By::Model => UsageBy::Model,
        By::Upstream => UsageBy::Upstream,
        By::Day => UsageBy::Day,
    };
    let user = caller.owner().map(str::to_owned);
    let filter = LedgerFilter { since_ms, until_ms, user, ..LedgerFilter::default() };
    let sums = desk.ask(move |store| store.usage_sums(by, &filter)).await?;
    Ok(Json(UsageJson {
        items: sums.into_iter().map(SumJson::of).collect(),
        since_at: since_ms.map(times::rfc3339),
        until_at: until_ms.map(times::rfc3339),
    }))
}
