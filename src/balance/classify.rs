//! From what an upstream answered to what that means. The status decides, unless the error object says it better: vendors
//! report an empty account as 400, 402, 403 or 429. Only codes, and messages by their beginnings, are believed: a message
//! may quote the client's own text, which must never open a breaker.

use super::error_head::ErrorHead;
use super::failure::Failure;
use super::retry_after::{parse_retry_after, retry_delay_ms};
use super::wording::{self, Means};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A longer body is judged by its status alone, in bytes.
pub const ERROR_BODY_BYTES_MAX: usize = 64 * 1024;
/// The most entries of an error's `details` that are looked at.
const DETAILS_MAX: usize = 16;

/// Codes that one vendor has borrowed for something else, in lower case, each with the one whose meaning it has there.
pub type Borrowed = BTreeMap<String, String>;

/// What an answer other than a success means. `unix_now_ms` is the wall clock, for dates in its head. For a success status the
/// body is one that no model gives: an error object or a web page.
pub fn classify(status: u16, head: &ErrorHead, body: &[u8], borrowed: &Borrowed, unix_now_ms: u64) -> Failure {
    judged(status, head, (body, true), borrowed, unix_now_ms)
}

/// The same of an answer of whose body only this has come.
pub fn classify_cut(status: u16, head: &ErrorHead, begun: &[u8], borrowed: &Borrowed, unix_now_ms: u64) -> Failure {
    judged(status, head, (begun, false), borrowed, unix_now_ms)
}

fn judged(
    status: u16,
    head: &ErrorHead,
    (body, is_whole): (&[u8], bool),
    borrowed: &Borrowed,
    unix_now_ms: u64,
) -> Failure {
    let mut error = ErrorObject::read(body);
    if let Some(code) = &head.code {
        error.get_or_insert_default().codes.insert(0, code.clone());
    }
    let retry_after_ms = head
        .retry_after
        .as_deref()
        .and_then(|value| parse_retry_after(value, unix_now_ms))
        .or_else(|| error.as_ref().and_then(|error| error.retry_delay_ms));
    let means = error.as_ref().and_then(|error| wording::means(status, &own(&error.codes, borrowed), &error.message));
    let failure = match means {
        Some(means) => means.failure(),
        None => by_status(
            status,
            Body { is_page: is_page(body), has_error: error.is_some_and(|error| error.says_something()), is_whole },
        ),
    };
    timed(failure, status, retry_after_ms)
}

/// What an error event inside a stream means: its codes (`type`, `code`, `status`, any order), the HTTP status it names if
/// any, and its message.
pub fn classify_event(codes: &[&str], status: Option<u16>, message: &str, borrowed: &Borrowed) -> Failure {
    let codes: Vec<String> = codes.iter().map(|code| code.to_ascii_lowercase()).collect();
    let named =
        status.or_else(|| codes.iter().find_map(|code| code.parse().ok())).filter(|status| (400..600).contains(status));
    let codes = own(&codes, borrowed);
    let failure = match wording::means(named.unwrap_or(200), &codes, message) {
        Some(means) => means.failure(),
        None => named.map_or(Failure::ErrorEvent, |status| {
            by_status(status, Body { is_page: false, has_error: true, is_whole: true })
        }),
    };
    timed(failure, named.unwrap_or(200), None)
}

/// The codes with those that are borrowed read as what they stand for.
fn own(codes: &[String], borrowed: &Borrowed) -> Vec<String> {
    codes.iter().map(|code| borrowed.get(code).unwrap_or(code).clone()).collect()
}

/// Puts the time into a rate limit, and tells an upstream that names a time from one that just fails.
fn timed(failure: Failure, status: u16, retry_after_ms: Option<u64>) -> Failure {
    match failure {
        Failure::RateLimited { .. } => Failure::RateLimited { retry_after_ms },
        Failure::ServerError => match (status, retry_after_ms) {
            (429, Some(_)) => Failure::RateLimited { retry_after_ms },
            (503 | 529, Some(retry_after_ms)) => Failure::Overloaded { retry_after_ms },
            _ => failure,
        },
        other => other,
    }
}

/// What an error object calls its codes, the most telling one first. `reason`: Novita, whose `code` is the status.
const NAMES: [&str; 5] = ["code", "error_type", "type", "status", "reason"];

/// OpenRouter's codes, whose `code` is the status: in `metadata`, the most telling one first
/// (openrouter.ai/docs/api_reference/limits).
const METADATA: [&str; 3] = ["reason", "error_type", "limit_source"];

/// What an answer's body is, where its words say nothing that is known.
struct Body {
    /// A web page: a proxy or a wrong base URL answered, not the vendor's API.
    is_page: bool,
    /// It gives a reason.
    has_error: bool,
    /// Nothing of it is missing, in which it might give one.
    is_whole: bool,
}

fn by_status(status: u16, Body { is_page, has_error, is_whole }: Body) -> Failure {
    match status {
        200..=299 if is_page => Failure::ServerError,
        200..=299 => Failure::ErrorEvent,
        400 | 403 if is_page => Failure::ServerError,
        413 if is_page => Failure::ModelMissing,
        // A front end forbids what stands in one request, too; and a reason that is not known may be the request's.
        403 => Failure::Denied,
        401 if has_error || !is_whole => Failure::Denied,
        // 498: Cohere, invalid token.
        401 | 498 => Failure::KeyDead,
        // Or this one request is too dear for what is left.
        402 if !is_whole => Failure::Denied,
        402 => Failure::QuotaExhausted,
        404 | 405 | 410 | 501 => Failure::ModelMissing,
        // 522, 524: Cloudflare could not reach the vendor in time.
        408 | 504 | 522 | 524 => Failure::Timeout,
        429 => Failure::RateLimited { retry_after_ms: None },
        // 425: we send no early data; 499: the vendor's own front end gave up.
        425 | 499 => Failure::ServerError,
        // 409 too: two requests of one client at one conversation.
        400..=499 => Failure::Client,
        // Redirects are never followed: a base URL that redirects is wrong.
        _ => Failure::ServerError,
    }
}

fn is_page(body: &[u8]) -> bool {
    let text = body.trim_ascii_start();
    let begins = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    begins(b"<!doctype") || begins(b"<html") || begins(b"<head")
}

/// What the vendors' error objects have in common.
#[derive(Default)]
struct ErrorObject {
    /// Codes, types, reasons in lower case; the most telling ones first.
    codes: Vec<String>,
    message: String,
    retry_delay_ms: Option<u64>,
}

impl ErrorObject {
    /// `{"error":{…}}`, the same in an array (Gemini's stream), or the object itself (DashScope, SiliconFlow, Mistral, vLLM).
    fn read(body: &[u8]) -> Option<Self> {
        if body.len() > ERROR_BODY_BYTES_MAX {
            return None;
        }
        let value: Value = serde_json::from_slice(body).ok()?;
        let root = match &value {
            Value::Array(items) => items.first()?.as_object()?,
            Value::Object(root) => root,
            _ => return None,
        };
        let inner = root.get("error").and_then(Value::as_object);
        let object = inner.unwrap_or(root);
        let details = details(object);
        let mut codes: Vec<String> = wording::implied(object).map(str::to_owned).collect();
        codes.extend(details.clone().filter_map(|detail| word(detail.get("reason"))));
        let metadata = object.get("metadata").and_then(Value::as_object);
        codes.extend(METADATA.iter().filter_map(|name| word(metadata?.get(*name))));
        codes.extend(NAMES.iter().filter_map(|name| word(object.get(*name))));
        if inner.is_some() {
            codes.extend(["code", "type"].iter().filter_map(|name| word(root.get(*name))));
        }
        Some(Self {
            codes,
            message: message(root, object).unwrap_or_default().to_string(),
            retry_delay_ms: details.filter_map(|detail| detail.get("retryDelay")?.as_str()).find_map(retry_delay_ms),
        })
    }
}

impl ErrorObject {
    fn says_something(&self) -> bool {
        !self.message.is_empty() || !self.codes.is_empty()
    }
}

fn details(object: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> + Clone {
    let items = object.get("details").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.iter().take(DETAILS_MAX).filter_map(Value::as_object)
}

fn message<'a>(root: &'a Map<String, Value>, object: &'a Map<String, Value>) -> Option<&'a str> {
    [object.get("message"), root.get("error"), root.get("detail"), root.get("message")]
        .into_iter()
        .flatten()
        .find_map(Value::as_str)
}

fn word(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.to_ascii_lowercase()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Means {
    fn failure(self) -> Failure {
        match self {
            Self::KeyDead => Failure::KeyDead,
            Self::QuotaExhausted => Failure::QuotaExhausted,
            Self::RateLimited => Failure::RateLimited { retry_after_ms: None },
            Self::ServerError => Failure::ServerError,
            Self::ModelMissing => Failure::ModelMissing,
            Self::Elsewhere => Failure::Elsewhere,
            Self::Client => Failure::Client,
        }
    }
}

#[cfg(test)]
mod tests;
