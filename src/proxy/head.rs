//! The head of an upstream's answer: what kind of answer it is, how long it may take, and what of it the client gets.

use super::exchange::{Answer, Attempt, Checkpoint, ErrorAnswer, Exchange};
use super::http1::{AnswerHead, nominated};
use super::reject::REQUEST_ID;
use super::trail;
use super::{lane, mask};
use crate::balance::retry_after_header;
use crate::dialect::answer::Tail;
use crate::dialect::chat::Asked;
use crate::dialect::usage::Scanner;
use crate::dialect::{Answer as AnswerKind, Framing};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};

const UPSTREAM: HeaderName = HeaderName::from_static("x-tollgate-upstream");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-upstream-request-id");
/// What the upstream says to the holder of its account, about its own address, or for this one connection, not to our client.
const NOT_PASSED_ON: [&str; 19] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "x-tollgate-rejected-by",
    "x-tollgate-explain",
];

/// What belongs to the upstream's own bytes, where the client gets others.
const OF_THE_BYTES: [HeaderName; 6] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LOCATION,
    header::LOCATION,
    header::ETAG,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
];

/// No answer can be read without these, whatever its `connection` says.
const FRAMES: [HeaderName; 3] = [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::TRANSFER_ENCODING];

/// The head of an answer is here; what the client gets of it is returned.
///
/// # Errors
/// Something of it cannot be passed on.
pub(super) fn answer_head(
    head: AnswerHead,
    request: &RequestHeader,
    exchange: &mut Exchange,
) -> Result<Box<ResponseHeader>> {
    let now = tokio::time::Instant::now();
    let status = head.status.as_u16();
    let asked = match (&exchange.admitted, &exchange.attempt) {
        (Some(admitted), Some(attempt)) if is_translated(attempt) => Some(lane::asked(exchange, admitted, attempt)),
        _ => None,
    };
    let (Some(admitted), Some(attempt)) = (&exchange.admitted, exchange.attempt.as_mut()) else {
        return Error::e_explain(ErrorType::InternalError, "nothing is admitted");
    };
    let endpoint = lane::upstream_endpoint(admitted, attempt);
    let kind = content_kind(head.headers.get(header::CONTENT_TYPE));
    let framing = framing(kind, endpoint.answer, admitted.facts.stream);
    // A page where an API's answer is due is some proxy's, whatever its status says. We asked for no encoding: what comes
    // in one cannot be read, so it cannot be billed.
    let failed = status >= 300
        || (kind == ContentKind::Page && endpoint.answer != AnswerKind::Transcription)
        || head.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let retry_after = retry_after_header(&head.headers);
    let client_framing = asked.as_ref().map_or(framing, |asked| asked.framing);
    let translation = match (&asked, &attempt.lane) {
        (Some(asked), Some(lane)) => lane::translating(asked, admitted, lane, framing),
        _ => None,
    };
    attempt.answer = Some(Answer {
        status,
        dialect: endpoint.dialect,
        framing,
        client_framing,
        scanner: Scanner::new(
            endpoint.answer,
            endpoint.dialect,
            framing,
            attempt.upstream.provider.usage,
            attempt.takes_out_usage_chunk,
        )
        .of_choices(admitted.facts.choices),
        translation,
        unsent: Bytes::new(),
        tail: Tail::new(client_framing),
        error: failed.then(|| ErrorAnswer { body: BytesMut::new(), retry_after }),
        first_token: None,
        first_token_after: None,
        ended: false,
        delimited: head.headers.contains_key(header::CONTENT_LENGTH)
            || head.headers.contains_key(header::TRANSFER_ENCODING)
            || head.version == http::Version::HTTP_2,
        checkpoint: Checkpoint { taken: false, at: now.into_std(), delivered_bytes: 0 },
    });
    let started = tokio::time::Instant::from(attempt.started);
    let streams = attempt.answer.as_ref().is_some_and(Answer::streams);
    let removes_length = (streams && !failed) || asked.is_some();
    let passed = pass_on(head, request, exchange, (asked.as_deref(), failed), removes_length)?;
    let routing = &exchange.snapshot.routing;
    match (failed, streams) {
        // Judged at its end, which is due soon.
        (true, _) => exchange.control.due_by(now + routing.idle_timeout),
        (false, true) => exchange.control.begin_hold(now),
        (false, false) => {
            exchange.control.begin_hold(now);
            // Not the first token's time-out: this answer has none.
            exchange.control.due_by(started + routing.response_timeout);
        }
    }
    Ok(passed)
}

/// Whether the client gets the answer in another dialect than the upstream's.
pub(super) fn is_translated(attempt: &Attempt) -> bool {
    attempt.lane.as_ref().is_some_and(|lane| lane.translates_answer())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ContentKind {
    Json,
    Events,
    Lines,
    Frames,
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
        ContentKind::Frames => Framing::EventStream,
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
        "application/vnd.amazon.eventstream" => ContentKind::Frames,
        "text/html" | "application/xhtml+xml" => ContentKind::Page,
        // Servers that do not say what they send nearly always send JSON.
        "application/json" | "" => ContentKind::Json,
        other if other.ends_with("+json") => ContentKind::Json,
        _ => ContentKind::Other,
    }
}

/// What the client gets of the upstream's head.
fn pass_on(
    head: AnswerHead,
    request: &RequestHeader,
    exchange: &Exchange,
    (asked, failed): (Option<&Asked>, bool),
    removes_length: bool,
) -> Result<Box<ResponseHeader>> {
    let AnswerHead { status, reason, mut headers, .. } = head;
    let nominated = nominated(&headers);
    // An answer has few fields, and hardly ever one of these.
    let ends_here = |name: &HeaderName| {
        NOT_PASSED_ON.contains(&name.as_str())
            || (nominated.contains(name) && !FRAMES.contains(name))
            || (removes_length && *name == header::CONTENT_LENGTH)
            || (asked.is_some() && OF_THE_BYTES.contains(name))
    };
    let ended: Vec<HeaderName> = headers.keys().filter(|name| ends_here(name)).cloned().collect();
    for name in ended {
        headers.remove(name);
    }
    // An upstream may echo our key here as well as in its error's body.
    if let Some(attempt) = exchange.attempt.as_ref().filter(|_| failed) {
        mask::mask_fields(&mut headers, &attempt.upstream.secret_fragments);
    }
    if let Some(theirs) = headers.insert(REQUEST_ID, exchange.request_id_header()) {
        headers.insert(UPSTREAM_REQUEST_ID, theirs);
    }
    if let Some(attempt) = &exchange.attempt {
        if let Some(lane) = &attempt.lane {
            lane.tell(asked, failed, &mut headers);
        }
        headers.insert(UPSTREAM, attempt.upstream.name_header.clone());
        headers.insert(ATTEMPTS, HeaderValue::from(exchange.attempts.count));
    }
    trail::tell(exchange, &request.headers, if failed { "failed" } else { "answers" }, &mut headers);
    for lease in exchange.admitted.iter().flat_map(|admitted| &admitted.leases) {
        lease.allowances.write(&mut headers);
    }
    if request.version == Version::HTTP_10 {
        // It knows no chunks: there the end of the connection ends the body (RFC 9112, 6.1).
        headers.remove(header::TRANSFER_ENCODING);
    } else if !headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    for plugin in &exchange.snapshot.plugins.response {
        plugin.response_filter(&request.headers, status, &mut headers);
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    (parts.status, parts.headers) = (status, headers);
    let mut passed = Box::new(ResponseHeader::from(parts));
    // Words of an error's status line are as little to be trusted as its fields.
    if let Some(reason) = reason.filter(|_| !failed) {
        passed.set_reason_phrase(Some(&reason))?;
    }
    Ok(passed)
}

/// An answer that turned out to be an error when its head was held already: the client is told in our words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    /// The error's own status, whatever the upstream's was.
    pub(super) status: u16,
    /// In how many seconds to come again, where the error says.
    pub(super) retry_after_s: Option<u64>,
}

impl Refused {
    /// Says so in the held head.
    ///
    /// # Errors
    /// There is no such status.
    pub(super) fn tell(&self, head: &mut ResponseHeader) -> Result<()> {
        if head.status.as_u16() != self.status {
            head.set_status(self.status)?;
            head.set_reason_phrase(None)?;
        }
        head.insert_header(header::CONTENT_TYPE, "application/json")?;
        if let Some(seconds) = self.retry_after_s.filter(|_| !head.headers.contains_key(header::RETRY_AFTER)) {
            head.insert_header(header::RETRY_AFTER, seconds)?;
        }
        Ok(())
    }
}
