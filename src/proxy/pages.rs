//! The pages of the clients' port that need no key: health, for load balancers and orchestrators, and the reload, which
//! has a secret of its own.

use super::console;
use super::exchange::Exchange;
use super::reloads::AskedBy;
use super::shared::Shared;
use crate::clock::steady_unsigned_ms;
use http::{HeaderMap, Method, StatusCode, header};
use pingora::http::RequestHeader;
use serde_json::json;
use tollgate_plugin_api::{Reject, RejectCode, Reply};

const BEARER: &[u8] = b"Bearer ";

/// Something that must be well for a page to say so.
struct Check {
    name: &'static str,
    is_well: fn(&Shared) -> bool,
}

/// New requests are admitted only while the journal takes records.
const JOURNAL: Check = Check { name: "journal", is_well: |shared| shared.ledger.healthy() };
/// Nor while nearly all memory is taken.
const MEMORY: Check = Check { name: "memory", is_well: |shared| !shared.memory.is_full() };
/// Without the store requests are served on, and their records wait in the journal; keys no longer change.
const STORE: Check = Check { name: "store", is_well: Shared::store_is_well };
/// Some upstream's breakers let requests through.
const UPSTREAMS: Check = Check {
    name: "upstreams",
    is_well: |shared| {
        let now_ms = steady_unsigned_ms();
        shared.snapshot.load().upstreams.iter().any(|upstream| upstream.breakers.available(now_ms))
    },
};

/// A page and what it depends on.
struct Page {
    path: &'static str,
    checks: &'static [Check],
}

/// Health: whether new requests are admitted. Liveliness: whether the process answers at all, so that it is restarted only
/// when that helps. Readiness: whether requests should be sent here.
const PAGES: [Page; 5] = [
    Page { path: "/v1/health", checks: &[JOURNAL, MEMORY] },
    Page { path: "/health", checks: &[JOURNAL, MEMORY] },
    Page { path: "/health/liveliness", checks: &[] },
    Page { path: "/health/liveness", checks: &[] },
    Page { path: "/health/readiness", checks: &[JOURNAL, MEMORY, STORE, UPSTREAMS] },
];

/// Reads configuration and prices again.
const RELOAD_PATH: &str = "/console/internal/reload";

/// The answer, if this is one of the pages.
///
/// # Errors
/// A page that this caller may not have.
pub(super) async fn page(exchange: &Exchange, request: &RequestHeader) -> Result<Option<Reply>, Reject> {
    let (method, path) = (&request.method, request.uri.path());
    if path == RELOAD_PATH {
        // Its secret is nobody's to guess who may not even connect.
        if let Some(reply) = console::kept_out(exchange, request).await? {
            return Ok(Some(reply));
        }
        return reload(exchange, method, &request.headers).await.map(Some);
    }
    let reads = *method == Method::GET || *method == Method::HEAD;
    Ok(if reads { health_page(&exchange.shared, path) } else { None })
}

/// The answer, if this is the path of a health page.
pub(super) fn health_page(shared: &Shared, path: &str) -> Option<Reply> {
    // As with every other path: one slash at the end more says nothing else.
    let path = path.strip_suffix('/').unwrap_or(path);
    let page = PAGES.iter().find(|page| page.path == path)?;
    Some(health(shared, page.checks))
}

fn health(shared: &Shared, checks: &[Check]) -> Reply {
    let word = |is_well: bool| if is_well { "ok" } else { "unavailable" };
    let found: Vec<(&str, bool)> = checks.iter().map(|check| (check.name, (check.is_well)(shared))).collect();
    let is_well = found.iter().all(|(_, is_well)| *is_well);
    let checks: serde_json::Map<String, serde_json::Value> =
        found.iter().map(|(name, is_well)| ((*name).to_owned(), word(*is_well).into())).collect();
    let body = json!({"status": word(is_well), "version": env!("CARGO_PKG_VERSION"), "checks": checks});
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, &body)
}

/// Without a configured secret there is no such page, for nobody.
async fn reload(exchange: &Exchange, method: &Method, headers: &HeaderMap) -> Result<Reply, Reject> {
    let secret = exchange.snapshot.reload_secret.as_ref().filter(|_| *method == Method::POST);
    let secret = secret.ok_or(RejectCode::NotFound)?;
    let shown = headers.get(header::AUTHORIZATION).ok_or(RejectCode::AuthMissingToken)?.as_bytes();
    let (scheme, guess) = shown.split_at_checked(BEARER.len()).ok_or(RejectCode::AuthInvalidToken)?;
    if !scheme.eq_ignore_ascii_case(BEARER) || !secret.is(guess.trim_ascii()) {
        return Err(Reject::new(RejectCode::AuthInvalidToken).message("Invalid reload secret"));
    }
    Ok(match exchange.shared.reloads.files(AskedBy::Secret).await {
        Some(Ok(version)) => Reply::json(StatusCode::OK, &json!({"status": "reloaded", "price_version": version})),
        Some(Err(wrong)) => {
            let errors: Vec<&str> = wrong.lines().collect();
            Reply::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({"status": "refused", "errors": errors}))
        }
        None => Reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "unavailable"})),
    })
}
