//! What operators do to the gateway as a whole: read its files again, check its ledger, look at its settings.

use super::access::{ADMIN, OPERATOR};
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::session::Caller;
use super::{Desk, settings};
use crate::ledger;
use crate::store::Act;
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Post, "/api/reload", OPERATOR, |verb| on(verb, reload), "Reads configuration and prices again.")
        .gives::<ReloadJson>(),
    Route::new(
        Verb::Get,
        "/api/ledger/verify",
        ADMIN,
        |verb| on(verb, verify),
        "Compares records, hashes, balances and journals. It takes as long as the ledger is.",
    )
    .gives::<VerifyJson>()
    .refuses(&[Code::Conflict]),
    Route::new(
        Verb::Get,
        "/api/settings",
        ADMIN,
        |verb| on(verb, show_settings),
        "The configuration in force, without secrets.",
    )
    .gives_raw(&["application/json"]),
];

/// What came of a reload.
#[derive(Serialize, ToSchema)]
struct ReloadJson {
    /// reloaded, or refused: then the old configuration stays in force
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_version: Option<String>,
    /// Everything that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

async fn reload(State(desk): State<Arc<Desk>>, caller: Caller) -> Result<Json<ReloadJson>, Refusal> {
    // Before: what cannot be noted is not done.
    note(&desk, Desk::act(&caller), "reload.asked", None).await?;
    let reloaded = desk.shared.reload().await;
    let reloaded =
        reloaded.ok_or_else(|| Refusal::new(Code::Unavailable, "a reload is not possible here, or not now"))?;
    let told = match reloaded {
        Ok(version) => ReloadJson { status: "reloaded", price_version: Some(version.to_string()), errors: Vec::new() },
        Err(wrong) => {
            let errors = wrong.lines().map(str::to_owned).collect();
            ReloadJson { status: "refused", price_version: None, errors }
        }
    };
    // It is done, whether or not that can be noted, too. (The log says why not.)
    let after = json!({ "status": told.status, "price_version": told.price_version });
    let _ = note(&desk, Desk::act(&caller), "reload", Some(after.to_string())).await;
    Ok(Json(told))
}

async fn note(desk: &Desk, act: Act, action: &'static str, after: Option<String>) -> Result<(), Refusal> {
    desk.ask(move |store| store.people().note(&act, action, "configuration", None, after.as_deref())).await
}

/// What a verification found.
#[derive(Serialize, ToSchema)]
struct VerifyJson {
    sound: bool,
    /// What must not be; the first hundred.
    findings: Vec<String>,
    findings_count: u64,
    /// What is worth knowing, and no finding.
    notes: Vec<String>,
    rows: u64,
    /// The journals' records that were compared, or wait for the ledger.
    journal_records: u64,
}

async fn verify(State(desk): State<Arc<Desk>>) -> Result<Json<VerifyJson>, Refusal> {
    let Ok(_turn) = desk.verifying.try_lock() else {
        return Err(Refusal::new(Code::Conflict, "the ledger is already being verified"));
    };
    let journal_dir = desk.shared.snapshot.load().config.ledger.journal_dir.clone();
    let report = desk.ask(move |store| ledger::verify(store, &journal_dir)).await?;
    Ok(Json(VerifyJson {
        sound: report.is_clean(),
        findings: report.problems,
        findings_count: report.problems_found,
        notes: report.notes,
        rows: report.rows,
        journal_records: report.journal_records,
    }))
}

async fn show_settings(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(settings::shown(&desk.shared.snapshot.load().config))
}
