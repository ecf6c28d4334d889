//! Signing in and out. The cookie's value is 256 random bits, of which only the digest is kept.

use super::access::{NOBODY, USER};
use super::extract::Sent;
use super::people::BudgetJson;
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::{Desk, Remote, password, trial};
use crate::clock::unix_ms;
use crate::config::Upstream;
use crate::store::{Act, Person, PersonListing, SecretDigest, Session};
use axum::extract::{FromRequestParts, State};
use axum::routing::on;
use axum::{Extension, Json};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::ToSchema;

/// The cookie's name.
pub(super) const COOKIE: &str = "tollgate_session";
/// The same where the browser came by HTTPS: it takes one of such a name from this very host alone, for all its paths.
const COOKIE_BY_HTTPS: &str = "__Host-tollgate_session";
/// Cookies of that name which are looked at: a neighbour (another port, a sibling's domain) may have planted some.
const COOKIES_MAX: usize = 32;
/// Where everybody signs in.
const PATH: &str = "/api/session";

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Post, PATH, NOBODY, |verb| on(verb, begin), "Signs in: a session in a cookie.")
        .takes::<SignIn>()
        .gives::<SignedIn>()
        .refuses(&[Code::Unauthenticated, Code::TooMany]),
    Route::new(Verb::Get, PATH, USER, |verb| on(verb, show), "Who is signed in.").gives::<SessionJson>(),
    Route::new(Verb::Delete, PATH, USER, |verb| on(verb, end), "Signs out."),
    Route::new(
        Verb::Put,
        "/api/session/password",
        USER,
        |verb| on(verb, change_password),
        "Changes one's own password; all one's sessions end, and this one goes on anew.",
    )
    .takes::<PasswordChange>()
    .refuses(&[Code::TooMany]),
];

/// Who asks.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) person: Person,
    /// Of their session.
    pub(super) digest: SecretDigest,
}

impl Caller {
    /// Whose things they may see: their own, unless they are more than a user.
    pub(super) fn owner(&self) -> Option<&str> {
        (self.person.role == crate::store::Role::User).then_some(&*self.person.name)
    }
}

/// There is one behind every row of the table that asks for a role.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unauthenticated)
    }
}

fn unauthenticated() -> Refusal {
    Refusal::new(Code::Unauthenticated, "nobody is signed in")
}

/// Who is signed in with this request's cookie.
///
/// # Errors
/// Nobody.
pub(super) async fn caller(desk: &Desk, remote: Remote, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let shown = shown(headers, remote);
    if shown.is_empty() {
        return Err(unauthenticated());
    }
    let idle_ms_max = desk.idle_ms_max();
    let found = desk.ask(move |store| store.people().session_find(&shown, unix_ms(), idle_ms_max)).await?;
    let Session { person, digest, is_use_news } = found.ok_or_else(unauthenticated)?;
    if is_use_news && desk.uses.add(digest) {
        let (uses, store) = (desk.uses.clone(), desk.store.clone());
        // Nobody waits for it.
        desk.backstage.run(move || uses.write(&*store, idle_ms_max));
    }
    Ok(Caller { person, digest })
}

fn cookie_name(remote: Remote) -> &'static str {
    if remote.is_secure { COOKIE_BY_HTTPS } else { COOKIE }
}

/// The digests of what the cookies of our name say.
fn shown(headers: &HeaderMap, remote: Remote) -> Vec<SecretDigest> {
    let pairs =
        headers.get_all(header::COOKIE).into_iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let ours =
        pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(cookie_name(remote).as_bytes())?.strip_prefix(b"="));
    ours.take(COOKIES_MAX).map(digest_of).collect()
}

fn digest_of(value: &[u8]) -> SecretDigest {
    Sha256::digest(value).into()
}

/// A new session: its digest, and the field that gives it to the browser.
fn new_session(remote: Remote) -> (SecretDigest, [(HeaderName, HeaderValue); 1]) {
    let bits: [u8; 32] = rand::random();
    let value = hex::encode(bits);
    (digest_of(value.as_bytes()), cookie(&value, remote, ""))
}

fn cookie(value: &str, remote: Remote, more: &str) -> [(HeaderName, HeaderValue); 1] {
    // (Its name asks for that path.)
    let (path, secure) = if remote.is_secure { ("/", "; Secure") } else { ("/console", "") };
    let name = cookie_name(remote);
    let text = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Strict{secure}{more}");
    // Hex and our own words always make a value.
    [(header::SET_COOKIE, HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")))]
}

/// What one signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    name: String,
    #[schema(value_type = String)]
    password: SecretText,
}

/// A secret that is read from JSON and written nowhere.
pub(super) struct SecretText(pub(super) SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(text.into()))
    }
}

/// Who is signed in now.
#[derive(Serialize, ToSchema)]
struct SignedIn {
    person: SelfJson,
}

/// A person, to themselves.
#[derive(Serialize, ToSchema)]
pub(super) struct SelfJson {
    id: i64,
    name: String,
    role: &'static str,
    /// What all one's keys may spend together; null: unlimited.
    quota_nanos: Option<i64>,
    spent_nanos: i64,
    held_nanos: i64,
    /// What they may spend in each period, beside the quota; null: no such limit.
    budget: Option<BudgetJson>,
}

impl SelfJson {
    fn of(listing: PersonListing) -> Self {
        let PersonListing { person, budget, spent_nanos, held_nanos, .. } = listing;
        let Person { id, name, role, quota_nanos, .. } = person;
        let budget = budget.map(BudgetJson::of);
        Self { id, name, role: role.as_str(), quota_nanos, spent_nanos, held_nanos, budget }
    }
}

async fn begin(
    State(desk): State<Arc<Desk>>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    Sent(SignIn { name, password }): Sent<SignIn>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<SignedIn>), Refusal> {
    let (person, compared) = trial::sign_in(&desk, remote, name, password.0).await?;
    let (digest, cookie) = new_session(remote);
    let act = Act { at_ms: unix_ms(), actor: person.name.clone() };
    let instead_of = shown(&headers, remote);
    let begun =
        desk.ask(move |store| store.people().session_begin(&act, person.id, &compared, &digest, &instead_of)).await;
    let listing = begun.map_err(|refusal| if refusal.code() == Code::NotFound { trial::wrong() } else { refusal })?;
    Ok((cookie, Json(SignedIn { person: SelfJson::of(listing) })))
}

async fn end(
    State(desk): State<Arc<Desk>>,
    Extension(remote): Extension<Remote>,
    caller: Caller,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1]), Refusal> {
    let (act, name) = (Desk::act(&caller), caller.person.name);
    desk.ask(move |store| store.people().session_end(&act, &caller.digest)).await?;
    tracing::info!("console: {name:?} has signed out");
    Ok((StatusCode::NO_CONTENT, cookie("", remote, "; Max-Age=0")))
}

/// Who is signed in, and what this gateway has.
#[derive(Serialize, ToSchema)]
struct SessionJson {
    person: SelfJson,
    version: &'static str,
    features: Features,
}

/// What this gateway has.
#[derive(Serialize, ToSchema)]
struct Features {
    /// Its configuration is a file, which can be read again.
    reload: bool,
    /// Requests go nowhere but to a simulated provider.
    demo: bool,
}

async fn show(State(desk): State<Arc<Desk>>, caller: Caller) -> Result<Json<SessionJson>, Refusal> {
    let id = caller.person.id;
    let listing = desk.ask(move |store| store.people().person(id)).await?.ok_or_else(unauthenticated)?;
    let config = desk.shared.snapshot.load().config.clone();
    // Of its own making, on this machine.
    let is_simulated = |upstream: &Upstream| {
        let host = upstream.base_url.host().unwrap_or_default();
        upstream.name.starts_with("demo-") && host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    };
    let demo = !config.upstreams.is_empty() && config.upstreams.iter().all(is_simulated);
    let features = Features { reload: config.file.is_some(), demo };
    Ok(Json(SessionJson { person: SelfJson::of(listing), version: env!("CARGO_PKG_VERSION"), features }))
}

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    #[schema(value_type = String)]
    current: SecretText,
    /// At least 8 characters.
    #[schema(value_type = String)]
    new: SecretText,
}

async fn change_password(
    State(desk): State<Arc<Desk>>,
    Extension(remote): Extension<Remote>,
    caller: Caller,
    Sent(PasswordChange { current, new }): Sent<PasswordChange>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1]), Refusal> {
    password::check("new", secrecy::ExposeSecret::expose_secret(&new.0))?;
    let compared = trial::once_more(&desk, &caller, current.0).await;
    let not_it = || Refusal::field("current", "this is not the password");
    let (person, compared) =
        compared.map_err(|refusal| if refusal.code() == Code::Unauthenticated { not_it() } else { refusal })?;
    let hash = desk.hash(new.0).await?;
    let (digest, cookie) = new_session(remote);
    let act = Desk::act(&caller);
    desk.ask(move |store| store.people().password_change(&act, person.id, &compared, &hash, &digest)).await?;
    Ok((StatusCode::NO_CONTENT, cookie))
}
