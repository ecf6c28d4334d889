//! The head of an upstream's answer: what kind of answer it is, how long it may take, and what of it the client gets.

use super::exchange::{Answer, Checkpoint, ErrorAnswer, Exchange};
use super::reject::{REJECTED_BY, REQUEST_ID};
use super::{route, settle};
use crate::balance::retry_after_header;
use crate::dialect::answer::Tail;
use crate::dialect::usage::Scanner;
use crate::dialect::{Answer as AnswerKind, Framing};
use bytes::BytesMut;
use http::{HeaderName, HeaderValue, header};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

const UPSTREAM: HeaderName = HeaderName::from_static("x-tollgate-upstream");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-upstream-request-id");
/// What the upstream says to the holder of its account or about its own address, not to our client.
const NOT_PASSED_ON: [HeaderName; 11] = [
    header::SET_COOKIE,
    header::ALT_SVC,
    header::STRICT_TRANSPORT_SECURITY,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("anthropic-organization-id"),
    REJECTED_BY,
];

/// No answer can be read without these, whatever its `connection` says.
const FRAMES: [HeaderName; 3] = [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::TRANSFER_ENCODING];

/// The head of an answer is here.
pub(super) fn answer_head(head: &mut ResponseHeader, session: &Session, exchange: &mut Exchange) -> Result<()> {
    let status = head.status.as_u16();
    let (Some(admitted), Some(attempt)) = (&exchange.admitted, exchange.attempt.as_mut()) else { return Ok(()) };
    let endpoint = admitted.target.endpoint;
    let kind = content_kind(head.headers.get(header::CONTENT_TYPE));
    let framing = framing(kind, endpoint.answer, admitted.facts.stream);
    // A page where an API's answer is due is some proxy's, whatever its status says. We asked for no encoding: what comes
    // in one cannot be read, so it cannot be billed.
    let failed = status >= 300
        || (kind == ContentKind::Page && endpoint.answer != AnswerKind::Transcription)
        || head.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let retry_after = retry_after_header(&head.headers);
    attempt.answer = Some(Answer {
        status,
        framing,
        scanner: Scanner::new(
            endpoint.answer,
            endpoint.dialect,
            framing,
            attempt.upstream.provider.usage,
            attempt.takes_out_usage_chunk,
        ),
        tail: Tail::new(framing),
        error: failed.then(|| ErrorAnswer { body: BytesMut::new(), retry_after }),
        first_token: None,
        first_token_after: None,
        ended: false,
        delimited: head.headers.contains_key(header::CONTENT_LENGTH)
            || head.headers.contains_key(header::TRANSFER_ENCODING)
            || head.version == http::Version::HTTP_2,
        checkpoint: Checkpoint { taken: false, at: std::time::Instant::now(), delivered_bytes: 0 },
    });
    let attempt_elapsed = attempt.started.elapsed();
    let streams = attempt.answer.as_ref().is_some_and(Answer::streams);
    pass_on(head, session, exchange, streams && !failed)?;
    let routing = &exchange.snapshot.routing;
    let Some(control) = &exchange.control else { return Ok(()) };
    match (failed, streams) {
        // Judged at its end, which is due soon.
        (true, _) => control.due_within(routing.idle_timeout),
        (false, true) => control.begin_hold(),
        (false, false) => {
            control.begin_hold();
            // Not the first token's time-out: this answer has none.
            let left = routing.response_timeout.saturating_sub(attempt_elapsed);
            control.due_within(left);
        }
    }
    if !failed && let Some(gate) = settle::hold_gate(exchange) {
        control.gate(gate);
    }
    if failed
        && may_be_bodiless(head)
        && !route::has_next(exchange)
        && let Some(control) = &exchange.control
    {
        control.pass_bodiless();
    }
    Ok(())
}

/// An answer that says no length may have no body at all (HTTP/2).
fn may_be_bodiless(head: &ResponseHeader) -> bool {
    match head.headers.get(header::CONTENT_LENGTH) {
        Some(length) => length == "0",
        None => !head.headers.contains_key(header::TRANSFER_ENCODING),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ContentKind {
    Json,
    Events,
    Lines,
    Page,
    Other,
}

fn framing(kind: ContentKind, answer: AnswerKind, stream: bool) -> Framing {
    let bytes_are_due = matches!(answer, AnswerKind::Speech | AnswerKind::Transcription);
    match kind {
        ContentKind::Json if stream && answer == AnswerKind::GenerateContent => Framing::JsonArray,
        ContentKind::Json => Framing::JsonDocument,
        ContentKind::Events => Framing::Sse,
        ContentKind::Lines => Framing::NdJson,
        ContentKind::Page => Framing::Opaque,
        ContentKind::Other if bytes_are_due => Framing::Opaque,
        // Some servers do not say what they send: what was asked for is what comes.
        ContentKind::Other if stream => Framing::Sse,
        ContentKind::Other => Framing::JsonDocument,
    }
}

fn content_kind(content_type: Option<&HeaderValue>) -> ContentKind {
    let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" => ContentKind::Events,
        "application/x-ndjson" | "application/jsonl" | "application/stream+json" => ContentKind::Lines,
        "text/html" | "application/xhtml+xml" => ContentKind::Page,
        // Servers that do not say what they send nearly always send JSON.
        "application/json" | "" => ContentKind::Json,
        other if other.ends_with("+json") => ContentKind::Json,
        _ => ContentKind::Other,
    }
}

/// Makes the upstream's head fit for the client.
fn pass_on(head: &mut ResponseHeader, session: &Session, exchange: &Exchange, removes_length: bool) -> Result<()> {
    let Some(attempt) = &exchange.attempt else { return Ok(()) };
    // What `connection` names concerns this connection alone (RFC 9110, 7.6.1).
    let options = head.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let options = options.flat_map(|text| text.split(',')).filter_map(|name| name.trim().parse::<HeaderName>().ok());
    for name in options.filter(|name| !FRAMES.contains(name)).collect::<Vec<_>>() {
        head.remove_header(&name);
    }
    for name in &NOT_PASSED_ON {
        head.remove_header(name);
    }
    if removes_length {
        head.remove_header(&header::CONTENT_LENGTH);
    }
    if let Some(id) = head.remove_header(&REQUEST_ID) {
        head.insert_header(UPSTREAM_REQUEST_ID, id)?;
    }
    head.insert_header(REQUEST_ID, &*exchange.request_id.as_hyphenated().encode_lower(&mut [0; 36]))?;
    head.insert_header(UPSTREAM, attempt.upstream.name_header.clone())?;
    head.insert_header(ATTEMPTS, HeaderValue::from(exchange.attempts.count))?;
    if exchange.snapshot.plugins.response.is_empty() {
        return Ok(());
    }
    let mut headers = head.headers.clone();
    for plugin in &exchange.snapshot.plugins.response {
        plugin.response_filter(&session.req_header().headers, head.status, &mut headers);
    }
    let before: Vec<HeaderName> = head.headers.keys().cloned().collect();
    for name in before.iter().filter(|name| !headers.contains_key(*name)) {
        head.remove_header(name);
    }
    for name in headers.keys() {
        if headers.get_all(name).iter().ne(head.headers.get_all(name).iter()) {
            head.remove_header(name);
            for value in headers.get_all(name) {
                head.append_header(name.clone(), value)?;
            }
        }
    }
    Ok(())
}
