//! Who spent what: sums by key, user, model, upstream or day.

use super::Desk;
use super::access::USER;
use super::query::Asked;
use super::refusal::Refusal;
use super::routes::{Route, Verb};
use super::session::Caller;
use super::times::Time;
use super::word::Word;
use crate::shown::SumJson;
use crate::shown::rfc3339;
use crate::store::{LedgerFilter, UsageBy};
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
type ByWord = Word<UsageBy>;

/// Which sums.
#[derive(Debug, Deserialize, ToSchema)]
struct UsageQuery {
    #[schema(inline)]
    by: ByWord,
    /// From the hour on that this is in.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Time>,
    /// Up to the end of the hour that this is in.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
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

async fn sums(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Asked(query): Asked<UsageQuery>,
) -> Result<Json<UsageJson>, Refusal> {
    let since_ms = query.since.map(|Time(ms)| ms.div_euclid(HOUR_MS) * HOUR_MS);
    let until_ms = query.until.map(|Time(ms)| (ms - 1).div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS);
    let Word(by) = query.by;
    let user = caller.owner().map(str::to_owned);
    let filter = LedgerFilter { since_ms, until_ms, user, ..LedgerFilter::default() };
    let sums = desk.ask(move |store| store.usage_sums(by, &filter)).await?;
    Ok(Json(UsageJson {
        items: sums.into_iter().map(SumJson::of).collect(),
        since_at: since_ms.map(rfc3339),
        until_at: until_ms.map(rfc3339),
    }))
}
