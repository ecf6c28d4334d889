//! People: who there is, what they may do and spend.

use super::access::ADMIN;
use super::extract::{Id, Listed, Part, Sent, given};
use super::query::Asked;
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::session::{Caller, SecretText};
use super::{Desk, password};
use crate::ledger::period_start_ms;
use crate::shown::rfc3339;
use crate::store::{Budget, NewPerson, Period, PersonChange, PersonListing, Role};
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Longest note at a top-up, in bytes.
const NOTE_BYTES_MAX: usize = 1024;

const ALL: &str = "/api/users";
const ONE: &str = "/api/users/{id}";

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, ALL, ADMIN, |verb| on(verb, list), "Everybody, by id.").asks::<Part>().lists::<PersonJson>(),
    Route::new(Verb::Post, ALL, ADMIN, |verb| on(verb, create), "Makes a person; without a password, one is made up.")
        .takes::<PersonNew>()
        .makes::<PersonMade>()
        .refuses(&[Code::Conflict]),
    Route::new(Verb::Get, ONE, ADMIN, |verb| on(verb, show), "A person.").gives::<PersonJson>(),
    Route::new(Verb::Patch, ONE, ADMIN, |verb| on(verb, change), "Changes a person.")
        .takes::<PersonPatch>()
        .gives::<PersonJson>()
        .refuses(&[Code::Conflict]),
    Route::new(Verb::Delete, ONE, ADMIN, |verb| on(verb, delete), "Deletes a person, with all their keys.")
        .refuses(&[Code::Conflict]),
    Route::new(Verb::Post, "/api/users/{id}/topup", ADMIN, |verb| on(verb, topup), "Adds to a person's quota.")
        .takes::<Topup>()
        .gives::<PersonJson>()
        .refuses(&[Code::Conflict]),
];

/// A person.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonJson {
    id: i64,
    name: String,
    /// user, operator or admin
    role: &'static str,
    enabled: bool,
    /// False: they cannot sign in before an admin sets a password.
    has_password: bool,
    /// What all their keys may spend together; null: unlimited.
    quota_nanos: Option<i64>,
    spent_nanos: i64,
    held_nanos: i64,
    budget: Option<BudgetJson>,
    created_at: String,
    last_login_at: Option<String>,
}

impl PersonJson {
    fn of(listing: PersonListing) -> Self {
        let PersonListing { person, budget, spent_nanos, held_nanos, has_password } = listing;
        Self {
            id: person.id,
            name: person.name,
            role: person.role.as_str(),
            enabled: person.enabled,
            has_password,
            quota_nanos: person.quota_nanos,
            spent_nanos,
            held_nanos,
            budget: budget.map(BudgetJson::of),
            created_at: rfc3339(person.created_at_ms),
            last_login_at: person.last_login_at_ms.map(rfc3339),
        }
    }
}

/// What somebody may spend in each period.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetJson {
    amount_nanos: i64,
    /// daily, weekly (from Monday) or monthly
    period: String,
    /// An IANA name: where it is midnight when the period begins.
    time_zone: String,
}

impl BudgetJson {
    pub(super) fn of(budget: Budget) -> Self {
        let Budget { amount_nanos, period, time_zone } = budget;
        Self { amount_nanos, period: period.as_str().to_owned(), time_zone }
    }

    fn read(self) -> Result<Budget, Refusal> {
        let Self { amount_nanos, period, time_zone } = self;
        if amount_nanos < 0 {
            return Err(Refusal::field("budget.amount_nanos", "expected 0 or more"));
        }
        let period = Period::parse(&period)
            .ok_or_else(|| Refusal::field("budget.period", "expected daily, weekly or monthly"))?;
        if period_start_ms(period, &time_zone, 0).is_none() {
            return Err(Refusal::field("budget.time_zone", "expected an IANA name as `Europe/Berlin`"));
        }
        Ok(Budget { amount_nanos, period, time_zone })
    }
}

/// A person to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonNew {
    name: String,
    /// user, operator or admin
    role: String,
    /// At least 8 characters; none: one is made up and shown once.
    #[schema(value_type = Option<String>)]
    password: Option<SecretText>,
    quota_nanos: Option<i64>,
    budget: Option<BudgetJson>,
}

/// A person that was just made.
#[derive(Serialize, ToSchema)]
struct PersonMade {
    user: PersonJson,
    /// Only if it was made up; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// Changes to a person; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonPatch {
    role: Option<String>,
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    quota_nanos: Option<Option<i64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BudgetJson>)]
    budget: Option<Option<BudgetJson>>,
    #[schema(value_type = Option<String>)]
    password: Option<SecretText>,
}

/// An addition to a quota.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Topup {
    amount_nanos: i64,
    /// For the audit.
    #[serde(default)]
    note: String,
}

fn role(word: &str) -> Result<Role, Refusal> {
    Role::parse(word).ok_or_else(|| Refusal::field("role", "expected user, operator or admin"))
}

/// An amount that may be a quota.
///
/// # Errors
/// It may not.
pub(super) fn check_quota(quota_nanos: Option<i64>) -> Result<(), Refusal> {
    match quota_nanos {
        Some(..0) => Err(Refusal::field("quota_nanos", "expected 0 or more, or null for no limit")),
        _ => Ok(()),
    }
}

async fn list(State(desk): State<Arc<Desk>>, Asked(part): Asked<Part>) -> Result<Json<Listed<PersonJson>>, Refusal> {
    let page = part.page();
    let rows = desk.ask(move |store| store.people().persons(page)).await?;
    Ok(Json(Listed::of(rows, page, |row| row.person.id, PersonJson::of)))
}

async fn show(State(desk): State<Arc<Desk>>, Id(id): Id) -> Result<Json<PersonJson>, Refusal> {
    let found = desk.ask(move |store| store.people().person(id)).await?;
    found.map(|listing| Json(PersonJson::of(listing))).ok_or_else(Refusal::not_found)
}

async fn create(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Sent(new): Sent<PersonNew>,
) -> Result<(StatusCode, Json<PersonMade>), Refusal> {
    let PersonNew { name, role: word, password: given, quota_nanos, budget } = new;
    let role = role(&word)?;
    check_quota(quota_nanos)?;
    let budget = budget.map(BudgetJson::read).transpose()?;
    let made_up = given.is_none().then(password::new_password);
    let hash = match given {
        Some(SecretText(chosen)) => hash(&desk, chosen).await?,
        None => desk.hash(made_up.clone().unwrap_or_default()).await?,
    };
    let new = NewPerson { name, role, enabled: true, password_hash: Some(hash), quota_nanos, budget };
    let act = Desk::act(&caller);
    let listing = desk.ask(move |store| store.people().person_create(&act, &new)).await?;
    let password = made_up.map(|password| password.expose_secret().to_owned());
    Ok((StatusCode::CREATED, Json(PersonMade { user: PersonJson::of(listing), password })))
}

async fn hash(desk: &Desk, password: SecretString) -> Result<String, Refusal> {
    password::check("password", password.expose_secret())?;
    desk.hash(password).await
}

async fn change(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Id(id): Id,
    Sent(patch): Sent<PersonPatch>,
) -> Result<Json<PersonJson>, Refusal> {
    let PersonPatch { role: word, enabled, quota_nanos, budget, password } = patch;
    check_quota(quota_nanos.flatten())?;
    let budget = match budget {
        Some(Some(budget)) => Some(Some(budget.read()?)),
        Some(None) => Some(None),
        None => None,
    };
    let role = word.as_deref().map(role).transpose()?;
    let password_hash = match password {
        Some(SecretText(chosen)) => Some(hash(&desk, chosen).await?),
        None => None,
    };
    let change = PersonChange { role, enabled, quota_nanos, budget, password_hash };
    let act = Desk::act(&caller);
    let listing = desk.ask(move |store| store.people().person_change(&act, id, &change)).await?;
    Ok(Json(PersonJson::of(listing)))
}

async fn delete(State(desk): State<Arc<Desk>>, caller: Caller, Id(id): Id) -> Result<StatusCode, Refusal> {
    let act = Desk::act(&caller);
    desk.ask(move |store| store.people().person_delete(&act, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn topup(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Id(id): Id,
    Sent(Topup { amount_nanos, note }): Sent<Topup>,
) -> Result<Json<PersonJson>, Refusal> {
    if amount_nanos == 0 {
        return Err(Refusal::field("amount_nanos", "expected an amount; a negative one is taken back"));
    }
    if note.len() > NOTE_BYTES_MAX {
        return Err(Refusal::field("note", format!("expected at most {NOTE_BYTES_MAX} bytes")));
    }
    let act = Desk::act(&caller);
    let listing = desk.ask(move |store| store.people().person_topup(&act, id, amount_nanos, &note)).await?;
    Ok(Json(PersonJson::of(listing)))
}
