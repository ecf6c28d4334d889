//! Upstreams: how they are configured, how they are, whether they answer; and weights in place of the file's.

use super::Desk;
use super::access::OPERATOR;
use super::extract::{Name, Sent};
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::session::Caller;
use crate::balance::BreakerState;
use crate::clock::{millis, steady_unsigned_ms};
use crate::config::schema::keys_of;
use crate::config::{self, WEIGHT_MAX};
use crate::proxy::probe;
use crate::shown::rfc3339;
use crate::snapshot::{SeenFailure, Snapshot, Upstream};
use crate::store::Act;
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// So much of an upstream's answer to a test is shown, in characters.
const ANSWER_CHARS_MAX: usize = 4_000;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/api/upstreams", OPERATOR, |verb| on(verb, list), "Every upstream, in the file's order.")
        .gives::<Vec<UpstreamJson>>(),
    Route::new(
        Verb::Post,
        "/api/upstreams/{name}/test",
        OPERATOR,
        |verb| on(verb, test),
        "A real call of a few tokens.",
    )
    .takes::<Test>()
    .gives::<Tested>(),
    Route::new(
        Verb::Patch,
        "/api/upstreams/{name}",
        OPERATOR,
        |verb| on(verb, change),
        "Puts a weight in the place of the file's. All else is the file's.",
    )
    .takes::<UpstreamPatch>()
    .gives::<UpstreamJson>()
    .refuses(&[Code::Conflict]),
    Route::new(
        Verb::Delete,
        "/api/upstreams/{name}/override",
        OPERATOR,
        |verb| on(verb, end_override),
        "The file's weight holds again.",
    ),
];

/// An upstream.
#[derive(Serialize, ToSchema)]
struct UpstreamJson {
    name: String,
    provider: String,
    /// What it speaks.
    dialect: Option<&'static str>,
    base_url: String,
    groups: Vec<String>,
    models: Vec<ModelJson>,
    /// The one in force.
    weight: u32,
    priority: u32,
    /// Who has the last word on it: the file.
    owner: &'static str,
    breaker: BreakerJson,
    /// To the first token, or to the end of what does not stream; null: nothing seen yet.
    latency_ms: Option<u64>,
    /// Of the last attempts: 0 to 1; null: nothing seen yet.
    success_rate: Option<f64>,
    /// It has our key.
    key_set: bool,
    /// The weight in place of the file's; null: none.
    weight_override: Option<u32>,
}

/// A model of an upstream.
#[derive(Serialize, ToSchema)]
struct ModelJson {
    name: String,
    upstream_model: String,
    /// Until the upstream lets a request for it through: its breaker is open, or the model is rate-limited there.
    cooldown_ms: u64,
}

/// Whether an upstream may be used. One whose every model is rate-limited is as if its own breaker were open.
#[derive(Serialize, ToSchema)]
pub(super) struct BreakerJson {
    /// closed, open or half_open
    state: &'static str,
    /// Until it lets something through.
    cooldown_ms: u64,
    /// In a row.
    failures: u32,
    last_error: Option<FailureJson>,
}

/// The last failure that counted.
#[derive(Serialize, ToSchema)]
struct FailureJson {
    class: &'static str,
    status: Option<u16>,
    message: String,
    at: String,
}

impl FailureJson {
    fn of(seen: &SeenFailure) -> Self {
        let class = seen.failure.name();
        let message = match seen.status {
            Some(status) => format!("{} (status {status})", class.replace('_', " ")),
            None => class.replace('_', " "),
        };
        Self { class, status: seen.status, message, at: rfc3339(seen.at_ms) }
    }
}

impl BreakerJson {
    /// As it is now.
    pub(super) fn of(upstream: &Upstream) -> Self {
        let now_ms = steady_unsigned_ms();
        let state = match upstream.breakers.state(now_ms) {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        };
        Self {
            state,
            cooldown_ms: upstream.breakers.wait_ms(now_ms),
            failures: upstream.breakers.failures(),
            last_error: upstream.last_failure.load().as_deref().map(FailureJson::of),
        }
    }
}

impl UpstreamJson {
    fn of(row: &config::Upstream, upstream: &Upstream, config: &config::Config) -> Self {
        let now_ms = steady_unsigned_ms();
        let model = |model: &config::Model| ModelJson {
            name: model.name.clone(),
            upstream_model: model.upstream_model.clone(),
            cooldown_ms: upstream.breakers.model_wait_ms(&model.upstream_model, now_ms),
        };
        let per_mille = upstream.observed.seen_success_per_mille().map(|seen| u32::try_from(seen).unwrap_or(1000));
        Self {
            name: row.name.clone(),
            provider: row.provider.clone(),
            dialect: upstream.provider.dialects.first().map(|dialect| dialect.as_str()),
            base_url: row.base_url.to_string(),
            groups: row.groups.clone(),
            models: row.models.iter().map(model).collect(),
            weight: config.weight_of(row),
            priority: row.priority,
            owner: "file",
            breaker: BreakerJson::of(upstream),
            latency_ms: upstream.observed.latency_ms(),
            success_rate: per_mille.map(|seen| f64::from(seen) / 1000.0),
            key_set: row.api_key.is_some(),
            weight_override: config.weights.get(&row.name).copied(),
        }
    }
}

/// The upstream of that name, as it runs and as it is configured.
fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<(&'s config::Upstream, &'s Arc<Upstream>), Refusal> {
    // The snapshot has them in the order of the file.
    let mut rows = snapshot.config.upstreams.iter().zip(&snapshot.upstreams);
    rows.find(|(row, _)| row.name == name).ok_or_else(Refusal::not_found)
}

async fn list(State(desk): State<Arc<Desk>>) -> Json<Vec<UpstreamJson>> {
    let snapshot = desk.shared.snapshot.load_full();
    let rows = snapshot.config.upstreams.iter().zip(&snapshot.upstreams);
    Json(rows.map(|(row, upstream)| UpstreamJson::of(row, upstream, &snapshot.config)).collect())
}

/// What is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Test {
    /// As clients call it; none: the upstream's first.
    model: Option<String>,
}

/// What came of a test.
#[derive(Serialize, ToSchema)]
struct Tested {
    /// The upstream's; null: there was no answer.
    status: Option<u16>,
    /// It was an answer as a client would get it.
    is_answer: bool,
    duration_ms: u64,
    /// The answer's beginning, our key masked; or why there was none.
    body: String,
}

async fn test(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Name(name): Name,
    Sent(Test { model }): Sent<Test>,
) -> Result<Json<Tested>, Refusal> {
    let snapshot = desk.shared.snapshot.load_full();
    let (row, upstream) = find(&snapshot, &name)?;
    let wanted = |found: &&config::Model| model.as_ref().is_none_or(|wanted| *wanted == found.name);
    let model = row.models.iter().find(wanted);
    let model = model.ok_or_else(|| Refusal::field("model", "expected a model of this upstream"))?;
    // Before: it costs something.
    let (act, object) = (Desk::act(&caller), format!("upstream {name}"));
    desk.ask(move |store| store.people().note(&act, "upstream.test", &object, None, None)).await?;
    let tried = probe(&snapshot, upstream, model).await;
    if tried.is_answer {
        upstream.breakers.look_again(steady_unsigned_ms());
    }
    let text = match &tried.status {
        Ok(_) => String::from_utf8_lossy(&tried.body).chars().take(ANSWER_CHARS_MAX).collect(),
        Err(why) => why.clone(),
    };
    Ok(Json(Tested {
        status: tried.status.ok(),
        is_answer: tried.is_answer,
        duration_ms: millis(tried.duration),
        body: text,
    }))
}

/// A change: of the weight alone. `Value`: whoever sends something else is told whose it is.
#[derive(Deserialize, ToSchema)]
struct UpstreamPatch {
    weight: Option<u32>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: serde_json::Map<String, Value>,
}

async fn change(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Name(name): Name,
    Sent(UpstreamPatch { weight, others }): Sent<UpstreamPatch>,
) -> Result<Json<UpstreamJson>, Refusal> {
    find(&desk.shared.snapshot.load_full(), &name)?;
    if let Some(field) = others.keys().next() {
        return Err(match keys_of("upstream").contains(&field.as_str()) {
            true => Refusal::conflict(field, "only the configuration file can change this"),
            false => Refusal::field(field, "there is no such field"),
        });
    }
    let weight = weight.filter(|weight| *weight <= WEIGHT_MAX);
    let weight = weight.ok_or_else(|| Refusal::field("weight", format!("expected a number from 0 to {WEIGHT_MAX}")))?;
    set(&desk, Desk::act(&caller), name.clone(), Some(weight)).await?;
    let snapshot = desk.shared.snapshot.load_full();
    let (row, upstream) = find(&snapshot, &name)?;
    let mut shown = UpstreamJson::of(row, upstream, &snapshot.config);
    // Where nobody could say so, it is in force within a second.
    (shown.weight, shown.weight_override) = (weight, Some(weight));
    Ok(Json(shown))
}

async fn end_override(State(desk): State<Arc<Desk>>, caller: Caller, Name(name): Name) -> Result<StatusCode, Refusal> {
    let weights = desk.ask(|store| store.people().weights()).await?;
    // Also of one that the file does not have any more.
    if !weights.contains_key(&name) {
        find(&desk.shared.snapshot.load_full(), &name)?;
        return Ok(StatusCode::NO_CONTENT);
    }
    set(&desk, Desk::act(&caller), name, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets it, and waits until it is in force: what is looked at with the answer is to show it.
async fn set(desk: &Desk, act: Act, name: String, weight: Option<u32>) -> Result<(), Refusal> {
    desk.ask(move |store| store.people().weight_set(&act, &name, weight)).await?;
    desk.shared.reload_weights().await;
    Ok(())
}
