//! `GET /v1/user`: whom the caller's credential stands for, whatever kind it is, and what is left to spend. Never the
//! credential.

use crate::keyring::KeyEntry;
use crate::ledger::Balance;
use crate::shown::rfc3339;
use http::{Method, StatusCode};
use pingora::http::RequestHeader;
use serde_json::{Value, json};
use tollgate_plugin_api::{KeyHandle, Reply};

const PATH: &str = "/v1/user";

/// Whether the request is for this page.
pub(super) fn is_asked_for(request: &RequestHeader) -> bool {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    reads && request.uri.path().trim_end_matches('/') == PATH
}

/// The page of this caller.
pub(super) fn page(entry: &KeyEntry) -> Reply {
    Reply::json(StatusCode::OK, &described(entry))
}

/// What was billed above a hold is in `spent_nanos`; less than nothing cannot be spent.
fn remaining_nanos(balance: Balance) -> Option<i64> {
    let committed = balance.spent_nanos.saturating_add(balance.held_nanos);
    balance.quota_nanos.map(|quota| quota.saturating_sub(committed).max(0))
}

fn described(entry: &KeyEntry) -> Value {
    let (key, balance) = (entry.key(), entry.account.balance());
    // Of the user above it, whichever is less.
    let above = entry.owner().and_then(|owner| remaining_nanos(owner.account.balance()));
    let remaining_nanos = remaining_nanos(balance).into_iter().chain(above).min();
    let expires_at = key.expires_at_ms.map(rfc3339);
    json!({
        "id": key.id,
        "name": &*key.name,
        "user": key.user.as_deref(),
        "group": &*key.group,
        "models": key.models,
        "quota_nanos": balance.quota_nanos,
        "spent_nanos": balance.spent_nanos,
        "held_nanos": balance.held_nanos,
        "remaining_nanos": remaining_nanos,
        "expires_at": expires_at,
        "rpm": key.rpm,
        "tpm": key.tpm,
        "concurrency": key.concurrency,
    })
}
