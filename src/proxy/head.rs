//! The head of an upstream's answer: what kind of answer it is, how long it may take, and what of it the client gets.

use super::collected::Collected;
use super::exchange::{Answer, Attempt, Checkpoint, ErrorAnswer, Exchange, impossible};
use super::form::{self, ContentKind, Form, Told, content_kind};
use super::http1::{AnswerHead, nominated};
use super::mask;
use super::packing::Packing;
use super::reject::{ANTHROPIC_REQUEST_ID, REQUEST_ID};
use super::trail;
use super::veil::Veil;
use crate::balance::ErrorHead;
use crate::dialect::Answer as AnswerKind;
use crate::dialect::DialectId;
use crate::dialect::answer::Tail;
use crate::dialect::chat::Asked;
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Version, header};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use tollgate_plugin_api::Allowances;
use tollgate_plugin_api::answer_fields::{ATTEMPTS, UPSTREAM, UPSTREAM_REQUEST_ID};

/// What the upstream says to the holder of its account, about its own address, or for this one connection, not to our client.
const NOT_PASSED_ON: [&str; 22] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "set-cookie",
    "alt-svc",
    "location",
    "content-location",
    "refresh",
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
pub(super) const OF_THE_BYTES: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
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
    let kind = content_kind(head.headers.get(header::CONTENT_TYPE));
    let (form, endpoint) = form::by_head(exchange, kind)?;
    let Form { framing, client_framing, scanner, translation, asked } = form;
    let packing = Packing::of(&head.headers);
    let is_packed = !matches!(packing, Packing::Plain);
    let (error, told) = match error_answer(&head, kind, endpoint.answer, &packing) {
        Some((error, told)) => (Some(error), told),
        None => (None, Some(form::told(exchange, framing, kind, endpoint.answer))),
    };
    let (failed, is_told_anew) = (error.is_some(), error.as_ref().is_some_and(|error| error.is_told_anew));
    let unpacker = if let Packing::Known(unpacker) = packing { Some(unpacker) } else { None };
    let Some(attempt) = exchange.attempt.as_mut() else { return impossible("nothing is attempted") };
    attempt.answer = Some(Box::new(Answer {
        status,
        framing,
        client_framing,
        scanner,
        translation,
        collected: Collected::default(),
        unsent: Bytes::new(),
        tail: Tail::new(client_framing),
        told,
        veil: Veil::default(),
        unpacker,
        error,
        first_token: None,
        first_token_after: None,
        ended: false,
        delimited: head.headers.contains_key(header::CONTENT_LENGTH)
            || head.headers.contains_key(header::TRANSFER_ENCODING)
            || head.version == http::Version::HTTP_2,
        is_error_told: false,
        checkpoint: Checkpoint::at(now.into_std()),
    }));
    let started = tokio::time::Instant::from(attempt.tries.started);
    let takes_out = attempt.takes_out_usage_chunk;
    let streams = attempt.answer.as_ref().is_some_and(|answer| answer.streams());
    let is_collected = attempt.answer.as_ref().is_some_and(|answer| answer.is_collected());
    let changes = Changes {
        asked: asked.as_deref(),
        bytes: asked.is_some() || is_packed || is_told_anew,
        // By its first byte it may be found to be a stream, of which something is taken out.
        length: ((streams || takes_out) && !failed) || asked.is_some() || is_packed || is_told_anew,
    };
    let passed = pass_on(head, request, exchange, failed, &changes)?;
    let routing = &exchange.snapshot.routing;
    match (failed, streams) {
        // Judged at its end, which is due soon.
        (true, _) => exchange.control.due_by(now + routing.idle_timeout),
        (false, true) => {}
        // Not the first token's time-out: this answer has none.
        (false, false) => exchange.control.due_by(started + routing.response_timeout),
    }
    // Of what is translated as a whole, nothing but the head could go out before there is something in it: a client gains nothing by
    // that, and loses the next candidate, or the error's own status.
    if !failed && !is_collected {
        exchange.control.begin_hold(now);
    }
    Ok(passed)
}

/// What of an answer is an error by its head. A page where an API's answer is due is some proxy's, whatever its status says; what
/// comes in a coding that nobody here reads cannot be billed. One that is only called a page may turn out to be none.
fn error_answer(
    head: &AnswerHead,
    kind: ContentKind,
    due: AnswerKind,
    packing: &Packing,
) -> Option<(ErrorAnswer, Option<Told>)> {
    let is_unreadable = matches!(packing, Packing::Unknown);
    let is_called_page = kind == ContentKind::Page && due != AnswerKind::Transcription;
    let has_failed = head.status.as_u16() >= 300;
    let error = (has_failed || is_called_page || is_unreadable).then(|| ErrorAnswer {
        body: BytesMut::new(),
        head: ErrorHead::read(&head.headers),
        is_told_anew: is_unreadable || head.status.as_u16() < 400,
    })?;
    Some((error, (!has_failed && !is_unreadable).then_some(Told::Page)))
}

/// Whether the client gets the answer in another dialect than the upstream's.
pub(super) fn is_translated(attempt: &Attempt) -> bool {
    attempt.lane.as_ref().is_some_and(|lane| lane.translates_answer())
}

/// What of an answer the client gets in another form than the upstream's.
struct Changes<'a> {
    /// Its dialect.
    asked: Option<&'a Asked>,
    /// Its bytes, from the first to the last.
    bytes: bool,
    /// Its length, or it is not known yet.
    length: bool,
}

/// What the client is told of its limits.
pub(super) fn allowances(exchange: &Exchange) -> Allowances {
    Allowances::of(exchange.admitted.iter().flat_map(|admitted| &admitted.leases))
}

/// What the client gets of the upstream's head.
fn pass_on(
    head: AnswerHead,
    request: &RequestHeader,
    exchange: &Exchange,
    failed: bool,
    changes: &Changes<'_>,
) -> Result<Box<ResponseHeader>> {
    let AnswerHead { status, reason, mut headers, .. } = head;
    let nominated = nominated(&headers);
    let tells_limits = !allowances(exchange).is_empty();
    // An answer has few fields, and hardly ever one of these.
    let ends_here = |name: &HeaderName| {
        (tells_limits && Allowances::is_told_by(name))
            || NOT_PASSED_ON.contains(&name.as_str())
            || (nominated.contains(name) && !FRAMES.contains(name))
            || (changes.length && *name == header::CONTENT_LENGTH)
            || (changes.bytes && OF_THE_BYTES.contains(name))
    };
    let ended: Vec<HeaderName> = headers.keys().filter(|name| ends_here(name)).cloned().collect();
    for name in ended {
        headers.remove(name);
    }
    // An upstream may echo our key here as well as in its error's body.
    if let Some(attempt) = &exchange.attempt {
        mask::mask_fields(&mut headers, &attempt.upstream.secret_fragments, failed);
    }
    if let Some(theirs) = headers.insert(REQUEST_ID, exchange.request_id_header()) {
        headers.insert(UPSTREAM_REQUEST_ID, theirs);
    }
    if exchange.dialect == DialectId::Anthropic {
        // The upstream's own stays.
        headers.entry(ANTHROPIC_REQUEST_ID).or_insert(exchange.request_id_header());
    }
    if let Some(attempt) = &exchange.attempt {
        if let Some(lane) = &attempt.lane {
            lane.tell(changes.asked, failed, &mut headers);
        }
        headers.insert(UPSTREAM, attempt.upstream.name_header.clone());
        headers.insert(ATTEMPTS, HeaderValue::from(exchange.attempts.count));
    }
    trail::tell(exchange, &request.headers, if failed { "failed" } else { "answers" }, &mut headers);
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
