//! Codes that whoever has them can redeem for quota, once.

use super::access::{ADMIN, USER};
use super::extract::{Id, Listed, Part, Sent};
use super::query::Asked;
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::session::{Caller, SecretText};
use super::{Desk, password, times};
use crate::shown::rfc3339;
use crate::store::{CodeRow, SecretDigest};
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use utoipa::ToSchema;

/// What every code begins with.
const PREFIX: &str = "tg-";
/// Codes that are made at once.
const COUNT_MAX: u32 = 1000;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Post, "/api/codes", ADMIN, |verb| on(verb, create), "Makes codes, which are shown this once.")
        .takes::<CodesNew>()
        .makes::<CodesMade>(),
    Route::new(Verb::Get, "/api/codes", ADMIN, |verb| on(verb, list), "Every code, by id.")
        .asks::<Part>()
        .lists::<CodeJson>(),
    Route::new(Verb::Delete, "/api/codes/{id}", ADMIN, |verb| on(verb, delete), "Deletes a code that nobody redeemed.")
        .refuses(&[Code::Conflict]),
    Route::new(Verb::Post, "/api/codes/redeem", USER, |verb| on(verb, redeem), "Adds a code's amount to one's quota.")
        .takes::<Redeem>()
        .gives::<Redeemed>()
        .refuses(&[Code::NotFound, Code::Conflict]),
];

/// Codes to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodesNew {
    /// What each is worth.
    amount_nanos: i64,
    /// How many; 1 to 1000.
    count: u32,
    /// From when they are worth nothing; none: never.
    expires_at: Option<String>,
}

/// Codes that were just made.
#[derive(Serialize, ToSchema)]
struct CodesMade {
    codes: Vec<String>,
}

/// A code, which itself is shown only when it is made.
#[derive(Serialize, ToSchema)]
struct CodeJson {
    id: i64,
    amount_nanos: i64,
    created_at: String,
    expires_at: Option<String>,
    redeemed_at: Option<String>,
    redeemed_by: Option<String>,
}

impl CodeJson {
    fn of(code: CodeRow) -> Self {
        Self {
            id: code.id,
            amount_nanos: code.amount_nanos,
            created_at: rfc3339(code.created_at_ms),
            expires_at: code.expires_at_ms.map(rfc3339),
            redeemed_at: code.redeemed_at_ms.map(rfc3339),
            redeemed_by: code.redeemed_by,
        }
    }
}

/// A code to be redeemed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Redeem {
    #[schema(value_type = String)]
    code: SecretText,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
struct Redeemed {
    amount_nanos: i64,
    quota_nanos: Option<i64>,
}

fn digest_of(code: &str) -> SecretDigest {
    Sha256::digest(code.as_bytes()).into()
}

async fn create(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Sent(CodesNew { amount_nanos, count, expires_at }): Sent<CodesNew>,
) -> Result<(StatusCode, Json<CodesMade>), Refusal> {
    if amount_nanos <= 0 {
        return Err(Refusal::field("amount_nanos", "expected more than 0"));
    }
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(Refusal::field("count", format!("expected a number from 1 to {COUNT_MAX}")));
    }
    let expires_at_ms = expires_at.map(|text| times::parse("expires_at", &text)).transpose()?;
    let new_code = |_| format!("{PREFIX}{}", password::new_password().expose_secret());
    let codes: Vec<String> = (0..count).map(new_code).collect();
    let digests: Vec<SecretDigest> = codes.iter().map(|code| digest_of(code)).collect();
    let act = Desk::act(&caller);
    desk.ask(move |store| store.people().codes_create(&act, amount_nanos, expires_at_ms, &digests)).await?;
    Ok((StatusCode::CREATED, Json(CodesMade { codes })))
}

async fn list(State(desk): State<Arc<Desk>>, Asked(part): Asked<Part>) -> Result<Json<Listed<CodeJson>>, Refusal> {
    let page = part.page();
    let rows = desk.ask(move |store| store.people().codes(page)).await?;
    Ok(Json(Listed::of(rows, page, |row| row.id, CodeJson::of)))
}

async fn delete(State(desk): State<Arc<Desk>>, caller: Caller, Id(id): Id) -> Result<StatusCode, Refusal> {
    let act = Desk::act(&caller);
    desk.ask(move |store| store.people().code_delete(&act, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn redeem(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Sent(Redeem { code }): Sent<Redeem>,
) -> Result<Json<Redeemed>, Refusal> {
    let digest = digest_of(code.0.expose_secret().trim());
    let (act, id) = (Desk::act(&caller), caller.person.id);
    let (amount_nanos, listing) = desk.ask(move |store| store.people().code_redeem(&act, &digest, id)).await?;
    Ok(Json(Redeemed { amount_nanos, quota_nanos: listing.person.quota_nanos }))
}
