//! What happened lately: totals, their course, and who and what was dearest.

use super::Desk;
use super::access::USER;
use super::query::Asked;
use super::refusal::Refusal;
use super::routes::{Route, Verb};
use super::session::Caller;
use crate::clock::unix_ms;
use crate::shown::SumJson;
use crate::store::{Overview, OverviewRange, Tally};
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ROUTES: &[Route] = &[Route::new(
    Verb::Get,
    "/api/overview",
    USER,
    |verb| on(verb, show),
    "What happened lately; to a user's own keys.",
)
.asks::<OverviewQuery>()
.gives::<OverviewJson>()];

/// How far back.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
enum Range {
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "24h")]
    Day,
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
}

#[derive(Debug, Deserialize, ToSchema)]
struct OverviewQuery {
    #[schema(inline)]
    range: Range,
}

/// What happened.
#[derive(Serialize, ToSchema)]
struct OverviewJson {
    totals: TotalsJson,
    series: SeriesJson,
    top: TopJson,
}

#[derive(Serialize, ToSchema)]
struct TotalsJson {
    requests: u64,
    cost_nanos: i64,
    input_tokens: u64,
    output_tokens: u64,
    errors: u64,
    /// Half of the requests took no longer; null: there were none.
    p50_ms: Option<u64>,
    p95_ms: Option<u64>,
    ttft_p50_ms: Option<u64>,
}

/// One value for each bucket of time.
#[derive(Serialize, ToSchema)]
struct SeriesJson {
    /// Where buckets begin, in Unix seconds.
    at: Vec<i64>,
    requests: Vec<u64>,
    cost_nanos: Vec<i64>,
    tokens: Vec<u64>,
    errors: Vec<u64>,
    p50_ms: Vec<Option<u64>>,
}

/// The dearest.
#[derive(Serialize, ToSchema)]
struct TopJson {
    keys: Vec<SumJson>,
    models: Vec<SumJson>,
    upstreams: Vec<SumJson>,
}

async fn show(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Asked(query): Asked<OverviewQuery>,
) -> Result<Json<OverviewJson>, Refusal> {
    let range = match query.range {
        Range::Hour => OverviewRange::Hour,
        Range::Day => OverviewRange::Day,
        Range::Week => OverviewRange::Week,
        Range::Month => OverviewRange::Month,
    };
    let user = caller.owner().map(str::to_owned);
    let overview = desk.ask(move |store| store.overview(range, user.as_deref(), unix_ms())).await?;
    Ok(Json(OverviewJson::of(overview)))
}

impl OverviewJson {
    fn of(overview: Overview) -> Self {
        let Overview { totals, series, keys, models, upstreams } = overview;
        let of = |sums: Vec<_>| sums.into_iter().map(SumJson::of).collect();
        Self {
            totals: TotalsJson {
                requests: totals.counts.requests,
                cost_nanos: totals.counts.cost_nanos_i64(),
                input_tokens: totals.counts.usage.input_tokens,
                output_tokens: totals.counts.usage.output_tokens,
                errors: totals.counts.errors,
                p50_ms: totals.duration.percentile_ms(50),
                p95_ms: totals.duration.percentile_ms(95),
                ttft_p50_ms: totals.ttft.percentile_ms(50),
            },
            series: SeriesJson {
                at: series.iter().map(|(at_ms, _)| at_ms.div_euclid(1000)).collect(),
                requests: each(&series, |tally| tally.counts.requests),
                cost_nanos: each(&series, |tally| tally.counts.cost_nanos_i64()),
                tokens: each(&series, |tally| {
                    tally.counts.usage.input_tokens.saturating_add(tally.counts.usage.output_tokens)
                }),
                errors: each(&series, |tally| tally.counts.errors),
                p50_ms: each(&series, |tally| tally.duration.percentile_ms(50)),
            },
            top: TopJson { keys: of(keys), models: of(models), upstreams: of(upstreams) },
        }
    }
}

fn each<T>(series: &[(i64, Tally)], value: impl Fn(&Tally) -> T) -> Vec<T> {
    series.iter().map(|(_, tally)| value(tally)).collect()
}
