//! How the gateway is, for those who keep it running.

use super::Desk;
use super::access::{Access, OPERATOR};
use super::refusal::Refusal;
use super::routes::{Route, Verb};
use super::upstreams::BreakerJson;
use crate::clock::{steady_ms, steady_unsigned_ms};
use crate::store::Role;
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Get,
        "/internal/health",
        Access::RoleOrSecret(Role::Operator),
        |verb| on(verb, health),
        "How the gateway is: for an operator, or for whoever shows the reload secret as a bearer.",
    )
    .gives::<HealthJson>(),
    Route::new(Verb::Get, "/api/metrics/summary", OPERATOR, |verb| on(verb, metrics), "What runs, in numbers.")
        .gives::<MetricsJson>(),
];

/// How the gateway is.
#[derive(Serialize, ToSchema)]
struct HealthJson {
    journal: JournalJson,
    store: StoreJson,
    applier: ApplierJson,
    holds: HoldsJson,
    upstreams: Vec<UpstreamHealth>,
    version: &'static str,
    uptime_s: i64,
}

/// What requests are admitted with.
#[derive(Serialize, ToSchema)]
struct JournalJson {
    /// Records that wait for it.
    lag: u64,
    /// What it takes of the disk.
    bytes: u64,
    healthy: bool,
    error: Option<String>,
}

/// Where records end up.
#[derive(Serialize, ToSchema)]
struct StoreJson {
    healthy: bool,
    error: Option<String>,
}

/// What takes records from one to the other.
#[derive(Serialize, ToSchema)]
struct ApplierJson {
    lag_records: u64,
    lag_bytes: u64,
}

/// What runs.
#[derive(Serialize, ToSchema)]
struct HoldsJson {
    open: u64,
    /// Of the process that handed over to this one.
    inherited: u64,
    held_nanos: i64,
}

/// An upstream.
#[derive(Serialize, ToSchema)]
struct UpstreamHealth {
    name: String,
    breaker: BreakerJson,
}

async fn health(State(desk): State<Arc<Desk>>) -> Result<Json<HealthJson>, Refusal> {
    let shared = desk.shared.clone();
    // A look at every key.
    let held = desk.beside(move || shared.keys.held_nanos()).await?;
    let (ledger, snapshot) = (&desk.shared.ledger, desk.shared.snapshot.load_full());
    let lag = ledger.lag();
    let upstream = |upstream: &Arc<crate::snapshot::Upstream>| UpstreamHealth {
        name: upstream.name.to_string(),
        breaker: BreakerJson::of(upstream),
    };
    Ok(Json(HealthJson {
        journal: JournalJson {
            lag: lag.queued_records,
            bytes: ledger.journal_bytes(),
            healthy: ledger.healthy(),
            error: lag.journal_error,
        },
        store: StoreJson { healthy: desk.shared.store_is_well(), error: lag.store_error },
        applier: ApplierJson { lag_records: lag.unapplied_records, lag_bytes: lag.unapplied_bytes },
        holds: HoldsJson {
            open: lag.open_holds,
            inherited: lag.inherited_holds,
            held_nanos: i64::try_from(held).unwrap_or(i64::MAX),
        },
        upstreams: snapshot.upstreams.iter().map(upstream).collect(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: (steady_ms() - desk.started_ms) / 1000,
    }))
}

/// What runs, in numbers. All that there is stands at `/metrics`.
#[derive(Serialize, ToSchema)]
struct MetricsJson {
    /// Requests that run now, this one too.
    in_flight: i64,
    /// Answers read on for a client that left.
    drains: i64,
    open_holds: i64,
    journal_pending_records: i64,
    journal_bytes: i64,
    applier_lag_records: i64,
    keys: usize,
    upstreams: usize,
    upstreams_available: usize,
    price_version: String,
}

async fn metrics(State(desk): State<Arc<Desk>>) -> Json<MetricsJson> {
    desk.shared.refresh_gauges();
    let (metrics, snapshot) = (&desk.shared.metrics, desk.shared.snapshot.load_full());
    let now_ms = steady_unsigned_ms();
    Json(MetricsJson {
        in_flight: metrics.in_flight.get(),
        drains: metrics.drains.get(),
        open_holds: metrics.holds.get(),
        journal_pending_records: metrics.journal_pending_records.get(),
        journal_bytes: metrics.journal_bytes.get(),
        applier_lag_records: metrics.applier_lag_records.get(),
        keys: desk.shared.keys.len(),
        upstreams: snapshot.upstreams.len(),
        upstreams_available: snapshot.upstreams.iter().filter(|upstream| upstream.breakers.available(now_ms)).count(),
        price_version: snapshot.prices.version().to_string(),
    })
}
