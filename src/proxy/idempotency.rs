//! A client's idempotency keys. Of the requests that come with the same one, one is served and charged (`ledger` says which);
//! the others get its answer again, as far as it was kept, or are told how it stands.
//!
//! To a provider, all keys of ours that share an upstream are one account, and so one namespace: a client that draws (or
//! guesses) what another one used would be given the other's answer. Each key of ours has a namespace of its own instead,
//! here and there.

use super::aside::reading;
use super::exchange::Exchange;
use crate::dialect::endpoint::Target;
use crate::dialect::request::form_parts;
use crate::ledger::{Claim, ClaimTag, Claiming, KeptAnswer};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tollgate_plugin_api::{Key, Reject, RejectCode, Reply, answer_fields};
use uuid::{Builder, Uuid};

/// The field, as the vendors' SDKs and some vendors' own pages name it.
const FIELDS: [HeaderName; 2] =
    [HeaderName::from_static("idempotency-key"), HeaderName::from_static("x-idempotency-key")];

/// The request whose answer is given again.
const REPLAYED: HeaderName = answer_fields::REPLAYED;

/// Takes the request's idempotency key for it, if it has one and is charged. The answer, if it was served before.
///
/// # Errors
/// The key is taken, or its answer cannot be given again.
pub(super) async fn claim(
    exchange: &mut Exchange,
    request: &RequestHeader,
    target: &Target,
    key: &Key,
    body: &Bytes,
) -> Result<Option<Reply>, Reject> {
    if request.method != Method::POST || target.endpoint.counts_tokens() {
        return Ok(None);
    }
    let said = FIELDS.iter().find_map(|field| request.headers.get(field)).filter(|value| !value.is_empty());
    let Some(said) = said else { return Ok(None) };
    let of_key = digest([&key.id.to_be_bytes()[..], said.as_bytes()]);
    let tag = ClaimTag { key: of_key, request: asked(request, body).await? };
    match exchange.shared.ledger.claims().claim(tag, exchange.request_id) {
        Claiming::Taken(claim) => {
            exchange.keeping = Some(Box::new(Keeping::new(claim)));
            Ok(None)
        }
        Claiming::Running => Err(in_progress()),
        Claiming::Mismatch => Err(RejectCode::IdempotencyMismatch.into()),
        Claiming::Done(request_id, None) => Err(already_done(request_id)),
        Claiming::Done(request_id, Some(answer)) => {
            exchange.shared.metrics.replayed.inc();
            Ok(Some(replay(request_id, &answer)))
        }
    }
}

/// All that the request asks for. (A credential in the query is none of it: it may have been rotated. Nor is the boundary of a form,
/// which clients draw anew for every try.)
async fn asked(request: &RequestHeader, body: &Bytes) -> Result<[u8; 16], Reject> {
    let query = request.uri.query().unwrap_or_default();
    let query = query.split('&').filter(|pair| !pair.starts_with("key=")).collect::<Vec<_>>().join("&");
    let (path, body) = (request.uri.path().to_owned(), body.clone());
    let content_type = request.headers.get(header::CONTENT_TYPE).cloned();
    reading(body.len(), move || {
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
        let form = form_parts(content_type, &body);
        let whole = form.is_none().then_some(0..body.len());
        let parts = form.into_iter().flatten().chain(whole).map(|part| &body[part]);
        digest([path.as_bytes(), query.as_bytes()].into_iter().chain(parts))
    })
    .await
}

/// Half of SHA-256 over the parts and their lengths.
fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 16] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&digest.finalize()[..16]);
    half
}

/// The refusal while the request that has the key is served.
pub(super) fn in_progress() -> Reject {
    Reject::new(RejectCode::IdempotencyInProgress).retry_after_s(1)
}

fn already_done(request_id: Uuid) -> Reject {
    let message =
        format!("The request {request_id} with this idempotency key has been served; its answer was not kept");
    // A 409 is one that SDKs try again.
    Reject::new(RejectCode::IdempotencyAlreadyDone).message(message).not_again()
}

fn replay(request_id: Uuid, answer: &KeptAnswer) -> Reply {
    let content_type =
        answer.content_type.as_ref().and_then(|value| HeaderValue::from_maybe_shared(value.clone()).ok());
    let mut headers: Vec<_> = content_type.into_iter().map(|value| (header::CONTENT_TYPE, value)).collect();
    headers.extend(HeaderValue::from_str(&request_id.to_string()).ok().map(|value| (REPLAYED, value)));
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    Reply { status, headers, body: answer.body.clone() }
}

/// A request's idempotency key, and its answer as it passes. With this the exchange lets go of the key.
pub(super) struct Keeping {
    claim: Arc<Claim>,
    status: u16,
    content_type: Option<Bytes>,
    body: Vec<u8>,
    /// The ledger has it that the answer is whole …
    is_whole: bool,
    /// … and it is all here.
    is_complete: bool,
    /// There was no room for it.
    is_given_up: bool,
}

impl Keeping {
    fn new(claim: Arc<Claim>) -> Self {
        Self {
            claim,
            status: 0,
            content_type: None,
            body: Vec::new(),
            is_whole: false,
            is_complete: false,
            is_given_up: false,
        }
    }

    /// The key, for the hold.
    pub(super) fn claim(&self) -> Arc<Claim> {
        self.claim.clone()
    }

    /// The answer is settled as a whole one; what comes of it with the next pieces is its end.
    pub(super) fn answer_is_whole(&mut self) {
        self.is_whole = true;
    }

    /// What goes to the client, or would if it were there still.
    pub(super) fn keep(&mut self, head: Option<&ResponseHeader>, pieces: &[Bytes]) {
        if let Some(head) = head {
            self.status = head.status.as_u16();
            let content_type = head.headers.get(header::CONTENT_TYPE);
            self.content_type = content_type.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        }
        for piece in pieces {
            if !self.is_given_up && self.claim.reserve(piece.len()) {
                self.body.extend_from_slice(piece);
            } else {
                self.is_given_up = true;
                self.body = Vec::new();
            }
        }
        self.is_complete = self.is_whole;
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if self.is_complete && !self.is_given_up {
            let (content_type, body) = (self.content_type.take(), std::mem::take(&mut self.body).into());
            self.claim.answered(KeptAnswer { status: self.status, content_type, body });
        }
    }
}

/// Puts every idempotency key into its caller's namespace: the same for every attempt and every time the client tries again.
pub(super) fn separate(key: &Key, headers: &mut HeaderMap) {
    for field in FIELDS {
        if let http::header::Entry::Occupied(mut values) = headers.entry(field) {
            values.iter_mut().for_each(|value| *value = separated(key, value));
        }
    }
}

/// A digest of both, written as a UUID: every vendor takes what looks like one, however long the client's was.
fn separated(key: &Key, value: &HeaderValue) -> HeaderValue {
    let mut digest = Sha256::new();
    digest.update(b"tollgate idempotency key\0");
    digest.update(key.id.to_be_bytes());
    // Ids begin anew with every store; names have no such byte.
    digest.update(key.name.as_bytes());
    digest.update(b"\0");
    digest.update(value.as_bytes());
    let digest: [u8; 32] = digest.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    let mut text = [0; 36];
    // Version 8 is for digests of one's own (RFC 9562, section 5.8).
    let text = Builder::from_custom_bytes(half).into_uuid().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}
