//! Keys: one's own, or everybody's for those who are more than a user. What belongs to somebody else is not there for a user.

use super::access::USER;
use super::extract::{Id, Listed, Part, Sent, given};
use super::people::check_quota;
use super::query::{Asked, Both};
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::session::Caller;
use super::{Desk, groups, times};
use crate::keyring::new_credential;
use crate::shown::KeyJson;
use crate::store::{KeyChange, KeyListing, KeyRef, NewKey};
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Keys that a user can make; operators make as many as they like.
const KEYS_OF_USER_MAX: u64 = 1000;

const ALL: &str = "/api/keys";
const ONE: &str = "/api/keys/{id}";

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, ALL, USER, |verb| on(verb, list), "Keys, by id: one's own, or everybody's.")
        .asks::<Both<KeysAsked, Part>>()
        .lists::<KeyJson>(),
    Route::new(Verb::Post, ALL, USER, |verb| on(verb, create), "Makes a key, whose secret is shown this once.")
        .takes::<KeyNew>()
        .makes::<KeyMade>()
        .refuses(&[Code::Conflict]),
    Route::new(Verb::Get, ONE, USER, |verb| on(verb, show), "A key.").gives::<KeyJson>(),
    Route::new(Verb::Patch, ONE, USER, |verb| on(verb, change), "Changes a key.")
        .takes::<KeyPatch>()
        .gives::<KeyJson>()
        .refuses(&[Code::Conflict]),
    Route::new(Verb::Delete, ONE, USER, |verb| on(verb, delete), "Deletes a key; its records stay in the ledger."),
    Route::new(
        Verb::Post,
        "/api/keys/{id}/rotate",
        USER,
        |verb| on(verb, rotate),
        "Gives a key another secret, which is shown this once; the old one is refused from then on.",
    )
    .gives::<KeyMade>(),
];

/// A key whose secret is new.
#[derive(Serialize, ToSchema)]
struct KeyMade {
    key: KeyJson,
    /// Shown this once.
    secret: String,
}

/// Which keys.
#[derive(Deserialize, ToSchema)]
struct KeysAsked {
    /// Of this person; for those who are more than a user.
    user: Option<String>,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyNew {
    name: String,
    /// The person it belongs to; for those who are more than a user. A user's keys are their own.
    user: Option<String>,
    /// A user has `default`, and the groups of the keys in force that others gave them.
    group: Option<String>,
    #[serde(default)]
    models: Vec<String>,
    quota_nanos: Option<i64>,
    expires_at: Option<String>,
    rpm: Option<u64>,
    tpm: Option<u64>,
    concurrency: Option<u64>,
}

/// Changes to a key; what is left out stays. Limits that somebody else has set, a user makes no wider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyPatch {
    name: Option<String>,
    /// For those who are more than a user.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    user: Option<Option<String>>,
    group: Option<String>,
    models: Option<Vec<String>>,
    /// For those who are more than a user.
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    quota_nanos: Option<Option<i64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    expires_at: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    rpm: Option<Option<u64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    tpm: Option<Option<u64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    concurrency: Option<Option<u64>>,
}

/// A field that is not a user's to set.
fn not_theirs(caller: &Caller, field: &str, is_given: bool) -> Result<(), Refusal> {
    match caller.owner() {
        Some(_) if is_given => Err(Refusal::field(field, "this is not a user's to set")),
        _ => Ok(()),
    }
}

/// A user stays within the groups that others gave them.
async fn check_group(desk: &Desk, caller: &Caller, group: Option<&str>) -> Result<(), Refusal> {
    let (Some(owner), Some(group)) = (caller.owner(), group) else { return Ok(()) };
    match groups::given_to(desk, owner).await?.contains(group) {
        true => Ok(()),
        false => Err(Refusal::field(
            "group",
            "expected `default`, or a group of a key that you were given and that is in force",
        )),
    }
}

async fn check_count(desk: &Desk, caller: &Caller) -> Result<(), Refusal> {
    let Some(owner) = caller.owner().map(str::to_owned) else { return Ok(()) };
    let counts = desk.ask(move |store| store.people().keys_by_group(Some(&owner))).await?;
    match counts.values().sum::<u64>() < KEYS_OF_USER_MAX {
        true => Ok(()),
        false => Err(Refusal::new(Code::Conflict, format!("a user has at most {KEYS_OF_USER_MAX} keys"))),
    }
}

async fn list(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Asked(Both(KeysAsked { user }, part)): Asked<Both<KeysAsked, Part>>,
) -> Result<Json<Listed<KeyJson>>, Refusal> {
    not_theirs(&caller, "user", user.is_some())?;
    let user = caller.owner().map(str::to_owned).or(user);
    let page = part.page();
    let rows = desk.ask(move |store| store.people().keys_of(user.as_deref(), page)).await?;
    Ok(Json(Listed::of(rows, page, |row| row.key.id, KeyJson::of)))
}

async fn show(State(desk): State<Arc<Desk>>, caller: Caller, Id(id): Id) -> Result<Json<KeyJson>, Refusal> {
    let found = desk.ask(move |store| store.key_find(&KeyRef::Id(id))).await?;
    let is_theirs = |key: &KeyListing| caller.owner().is_none_or(|owner| key.key.user.as_deref() == Some(owner));
    found.filter(is_theirs).map(|listing| Json(KeyJson::of(listing))).ok_or_else(Refusal::not_found)
}

async fn create(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Sent(new): Sent<KeyNew>,
) -> Result<(StatusCode, Json<KeyMade>), Refusal> {
    not_theirs(&caller, "user", new.user.is_some())?;
    check_quota(new.quota_nanos)?;
    check_group(&desk, &caller, new.group.as_deref()).await?;
    check_count(&desk, &caller).await?;
    let KeyNew { name, user, group, models, quota_nanos, expires_at, rpm, tpm, concurrency } = new;
    let (user, named_by_user) = (caller.owner().map(str::to_owned).or(user), caller.owner().is_some());
    let group = group.unwrap_or_else(|| groups::DEFAULT.to_owned());
    let expires_at_ms = expires_at.map(|text| times::parse("expires_at", &text)).transpose()?;
    let new = NewKey { name, named_by_user, user, group, models, expires_at_ms, quota_nanos, rpm, tpm, concurrency };
    let (act, credential) = (Desk::act(&caller), new_credential());
    let digest = credential.digest;
    let listing = desk.ask(move |store| store.people().key_create_by(&act, &new, &digest)).await?;
    let secret = credential.secret.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Json(KeyMade { key: KeyJson::of(listing), secret })))
}

async fn change(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Id(id): Id,
    Sent(patch): Sent<KeyPatch>,
) -> Result<Json<KeyJson>, Refusal> {
    not_theirs(&caller, "user", patch.user.is_some())?;
    not_theirs(&caller, "enabled", patch.enabled.is_some())?;
    check_quota(patch.quota_nanos.flatten())?;
    let before = desk.ask(move |store| store.key_find(&KeyRef::Id(id))).await?;
    let is_new = |group: &&str| before.as_ref().is_none_or(|before| *before.key.group != **group);
    check_group(&desk, &caller, patch.group.as_deref().filter(is_new)).await?;
    let KeyPatch { name, user, group, models, enabled, quota_nanos, expires_at, rpm, tpm, concurrency } = patch;
    let expires_at_ms = match expires_at {
        Some(Some(text)) => Some(Some(times::parse("expires_at", &text)?)),
        Some(None) => Some(None),
        None => None,
    };
    let change = KeyChange { name, user, group, models, enabled, expires_at_ms, quota_nanos, rpm, tpm, concurrency };
    let (act, owner) = (Desk::act(&caller), caller.owner().map(str::to_owned));
    let listing = desk.ask(move |store| store.people().key_change_by(&act, id, owner.as_deref(), &change)).await?;
    Ok(Json(KeyJson::of(listing)))
}

async fn delete(State(desk): State<Arc<Desk>>, caller: Caller, Id(id): Id) -> Result<StatusCode, Refusal> {
    let (act, owner) = (Desk::act(&caller), caller.owner().map(str::to_owned));
    desk.ask(move |store| store.people().key_delete_by(&act, id, owner.as_deref())).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(State(desk): State<Arc<Desk>>, caller: Caller, Id(id): Id) -> Result<Json<KeyMade>, Refusal> {
    let (act, owner) = (Desk::act(&caller), caller.owner().map(str::to_owned));
    let credential = new_credential();
    let digest = credential.digest;
    let listing = desk.ask(move |store| store.people().key_rotate_by(&act, id, owner.as_deref(), &digest)).await?;
    Ok(Json(KeyMade { key: KeyJson::of(listing), secret: credential.secret.expose_secret().to_owned() }))
}
