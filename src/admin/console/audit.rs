//! Who changed what.

use super::Desk;
use super::access::ADMIN;
use super::extract::{Listed, Part};
use super::query::Asked;
use super::refusal::Refusal;
use super::routes::{Route, Verb};
use crate::shown::rfc3339;
use crate::store::AuditRow;
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ROUTES: &[Route] = &[Route::new(
    Verb::Get,
    "/api/audit",
    ADMIN,
    |verb| on(verb, list),
    "Every change, through the console and by the command line, the latest first.",
)
.asks::<Part>()
.lists::<AuditJson>()];

/// A change.
#[derive(Serialize, ToSchema)]
struct AuditJson {
    id: i64,
    at: String,
    /// A person's name; or the program's own, which begin with `tollgate `, as no person's does: `tollgate serve` is the gateway
    /// itself, what else there is the command line: a command, and whose process it was, as in `tollgate key (ann, uid 1000)`.
    actor: String,
    /// key.create, person.change …
    action: String,
    /// What it was done to.
    object: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl AuditJson {
    fn of(row: AuditRow) -> Self {
        let read = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            id: row.id,
            at: rfc3339(row.at_ms),
            actor: row.actor,
            action: row.action,
            object: row.object,
            before: read(row.before),
            after: read(row.after),
        }
    }
}

async fn list(State(desk): State<Arc<Desk>>, Asked(part): Asked<Part>) -> Result<Json<Listed<AuditJson>>, Refusal> {
    let page = part.page();
    let rows = desk.ask(move |store| store.people().audit_rows(page, None)).await?;
    Ok(Json(Listed::of(rows, page, |row| row.id, AuditJson::of)))
}
