//! Stage 4, `upstream_response_filter` and `response_body_filter`: classify, fail over while nothing went out, scan the
//! usage as the bytes pass.

use super::exchange::{Answer, Checkpoint, ErrorAnswer, Exchange, now_ms};
use super::mask;
use super::reject::REQUEST_ID;
use super::route::{self, judge_failure, judge_success};
use super::settle::{self, End};
use crate::balance::{Failure, classify, classify_event, retry_after_header};
use crate::dialect::answer::Tail;
use crate::dialect::usage::{ErrorEvent, Scanner};
use crate::dialect::{Answer as AnswerKind, Framing, answer};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

/// The attempt failed, its breaker knows, and there is a next candidate.
pub(super) const ATTEMPT_FAILED: ErrorType = ErrorType::Custom("AttemptFailed");
/// The answer ended in its middle; nothing of it went out, and there is no next candidate.
pub(super) const ANSWER_CUT: ErrorType = ErrorType::Custom("AnswerCut");
/// Error answers are collected up to here to be judged and masked as a whole.
const ERROR_BODY_BYTES_MAX: usize = 1024 * 1024;

const UPSTREAM: HeaderName = HeaderName::from_static("x-tollgate-upstream");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-upstream-request-id");
/// What the upstream says to the holder of its account or about its own address, not to our client.
const NOT_PASSED_ON: [HeaderName; 4] = [
    header::SET_COOKIE,
    header::ALT_SVC,
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("openai-organization"),
];

/// No answer can be read without these, whatever its `connection` says.
const FRAMES: [HeaderName; 3] = [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::TRANSFER_ENCODING];

/// The head of an answer is here.
pub(super) fn head(head: &mut ResponseHeader, session: &Session, exchange: &mut Exchange) -> Result<()> {
    let status = head.status.as_u16();
    let (Some(admitted), Some(attempt)) = (&exchange.admitted, exchange.attempt.as_mut()) else { return Ok(()) };
    let endpoint = admitted.target.endpoint;
    let kind = content_kind(head.headers.get(header::CONTENT_TYPE));
    let framing = match kind {
        ContentKind::Json if admitted.facts.stream && endpoint.answer == AnswerKind::GenerateContent => {
            Framing::JsonArray
        }
        ContentKind::Json => Framing::JsonDocument,
        ContentKind::Events => Framing::Sse,
        ContentKind::Lines => Framing::NdJson,
        ContentKind::Page | ContentKind::Other => Framing::Opaque,
    };
    // A page where an API's answer is due is some proxy's, whatever its status says.
    let failed = status >= 300 || (kind == ContentKind::Page && endpoint.answer != AnswerKind::Transcription);
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
        checkpoint: Checkpoint::default(),
    });
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
            let left = routing.response_timeout.saturating_sub(exchange.started.elapsed());
            control.due_within(left);
        }
    }
    if !failed && let Some(gate) = settle::hold_gate(exchange) {
        control.gate(gate);
    }
    if failed && head.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length == "0") {
        return error_ended(exchange).map(drop);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ContentKind {
    Json,
    Events,
    Lines,
    Page,
    Other,
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
    head.insert_header(REQUEST_ID, exchange.request_id_text())?;
    head.insert_header(UPSTREAM, &*attempt.upstream.name)?;
    head.insert_header(ATTEMPTS, exchange.attempts.count.to_string())?;
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

/// A piece of the answer's body; `end`: the last one.
pub(super) fn body(body: &mut Option<Bytes>, end: bool, exchange: &mut Exchange) -> Result<()> {
    let Some(answer) = exchange.attempt.as_mut().and_then(|attempt| attempt.answer.as_mut()) else { return Ok(()) };
    if answer.ended {
        return Ok(());
    }
    let piece = body.take().unwrap_or_default();
    let passed = if answer.error.is_some() {
        error_piece(piece, end, exchange)?
    } else {
        piece_of_answer(piece, end, exchange)?
    };
    // An empty piece would end a chunked body early.
    *body = (!passed.is_empty()).then_some(passed);
    Ok(())
}

fn error_piece(piece: Bytes, end: bool, exchange: &mut Exchange) -> Result<Bytes> {
    let Some(attempt) = exchange.attempt.as_mut() else { return Ok(piece) };
    let Some(error) = attempt.answer.as_mut().and_then(|answer| answer.error.as_mut()) else { return Ok(piece) };
    error.body.extend_from_slice(&piece);
    if end {
        return error_ended(exchange);
    }
    if error.body.len() <= ERROR_BODY_BYTES_MAX {
        return Ok(Bytes::new());
    }
    let mut passed = error.body.split();
    mask::mask(&mut passed, &attempt.upstream.secret_fragments);
    Ok(passed.freeze())
}

/// An error answer is complete: the next candidate's turn, or the client gets it as it is.
fn error_ended(exchange: &mut Exchange) -> Result<Bytes> {
    let Some(attempt) = exchange.attempt.as_mut() else { return Ok(Bytes::new()) };
    let Some(answer) = attempt.answer.as_mut() else { return Ok(Bytes::new()) };
    answer.ended = true;
    let status = answer.status;
    let Some(error) = answer.error.as_mut() else { return Ok(Bytes::new()) };
    let failure = if status < 400 {
        // A redirect or a page: no provider answers so.
        Failure::ServerError
    } else {
        classify(status, error.retry_after.as_deref(), &error.body, super::exchange::now_ms())
    };
    let mut passed = error.body.split();
    mask::mask(&mut passed, &attempt.upstream.secret_fragments);
    judge_failure(exchange, failure);
    if failure.tries_next() && route::has_next(exchange) {
        return Err(failed_attempt());
    }
    settle_with_gate(exchange, End::Refused(status));
    Ok(passed.freeze())
}

fn failed_attempt() -> Box<Error> {
    Error::explain(ATTEMPT_FAILED, "the next candidate takes over").into_up()
}

/// What a piece of an answer brought.
enum Seen {
    /// Nothing that changes anything: before the first token, or a document's next piece.
    Nothing,
    /// The first token of a stream, or the first byte of what is no text.
    FirstToken,
    /// More of a stream that has begun.
    More,
    /// An error event instead of a first token.
    Error(Failure),
}

fn piece_of_answer(piece: Bytes, end: bool, exchange: &mut Exchange) -> Result<Bytes> {
    let Some(answer) = exchange.attempt.as_mut().and_then(|attempt| attempt.answer.as_mut()) else { return Ok(piece) };
    let mut passed = answer.scanner.push(piece);
    if end {
        passed = joined(passed, answer.scanner.finish());
    }
    if answer.streams() {
        answer.tail.push(&passed);
    }
    match seen(answer, &passed) {
        Seen::Nothing => {}
        Seen::FirstToken => token_passed(exchange),
        Seen::More => more_passed(exchange),
        Seen::Error(failure) => {
            judge_failure(exchange, failure);
            if failure.tries_next() && route::has_next(exchange) {
                return Err(failed_attempt());
            }
            // The last attempt's answer goes to the client as it is.
            if let Some(control) = &exchange.control {
                control.release();
            }
        }
    }
    if end {
        return ended(passed, exchange);
    }
    settle_at_terminal_event(exchange);
    Ok(passed)
}

fn seen(answer: &Answer, passed: &Bytes) -> Seen {
    if answer.first_token.is_some() {
        return Seen::More;
    }
    match (answer.framing, answer.scanner.error_event()) {
        (_, Some(event)) => Seen::Error(meaning(event)),
        // A JSON document is held to its end, within the hold's limits: one that dies in the middle can fail over.
        (Framing::JsonDocument, None) => Seen::Nothing,
        (Framing::Opaque, None) if !passed.is_empty() => Seen::FirstToken,
        (_, None) if answer.scanner.token_seen() => Seen::FirstToken,
        (_, None) => Seen::Nothing,
    }
}

/// The first token: what was held may go out.
fn token_passed(exchange: &mut Exchange) {
    let elapsed = exchange.started.elapsed();
    let Some(attempt) = exchange.attempt.as_mut() else { return };
    let since_attempt = attempt.started.elapsed();
    let Some(answer) = attempt.answer.as_mut() else { return };
    answer.first_token = Some(elapsed);
    answer.first_token_after = Some(since_attempt);
    if attempt.pick.permit.is_probe() {
        // The upstream is well: the next request need not wait for the end of this answer.
        attempt.upstream.breaker.success(attempt.pick.permit, now_ms());
    }
    if let Some(control) = &exchange.control {
        control.release();
        control.due_within(exchange.snapshot.routing.idle_timeout);
    }
}

fn more_passed(exchange: &mut Exchange) {
    let Some(control) = &exchange.control else { return };
    control.due_within(exchange.snapshot.routing.idle_timeout);
    if control.committed() {
        free_bodies(exchange);
    }
}

/// Many clients leave at the terminal event, without waiting for the body's end: they have it all.
fn settle_at_terminal_event(exchange: &mut Exchange) {
    let Some(answer) = exchange.attempt.as_ref().and_then(|attempt| attempt.answer.as_ref()) else { return };
    if !answer.streams() || exchange.settled {
        return;
    }
    if answer.scanner.has_terminal() && answer.scanner.error_event().is_none() {
        judge_success(exchange);
        settle_with_gate(exchange, End::Whole);
    } else if answer.first_token.is_some() {
        settle::progress(exchange);
    }
}

fn joined(first: Bytes, second: Bytes) -> Bytes {
    if second.is_empty() {
        return first;
    }
    if first.is_empty() {
        return second;
    }
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(&first);
    both.extend_from_slice(&second);
    both.freeze()
}

/// No other attempt is possible: the request body is not needed any more.
fn free_bodies(exchange: &mut Exchange) {
    let (Some(admitted), Some(attempt)) = (exchange.admitted.as_mut(), exchange.attempt.as_mut()) else { return };
    if !admitted.body.is_empty() {
        admitted.prompt.shrink(admitted.target.endpoint);
        admitted.body = Bytes::new();
        attempt.body = Bytes::new();
    }
}

/// What an error event says of the upstream.
fn meaning(event: &ErrorEvent) -> Failure {
    let codes: Vec<&str> = [&event.kind, &event.code].into_iter().flatten().map(String::as_str).collect();
    classify_event(&codes, event.status, &event.message)
}

/// The answer's body ended, cleanly as HTTP sees it.
fn ended(passed: Bytes, exchange: &mut Exchange) -> Result<Bytes> {
    let request_id = exchange.request_id_text();
    let dialect = exchange.dialect;
    let Some(answer) = exchange.attempt.as_mut().and_then(|attempt| attempt.answer.as_mut()) else { return Ok(passed) };
    answer.ended = true;
    let framing = answer.framing;
    let whole = answer.scanner.is_whole() || (framing == Framing::JsonDocument && answer.delimited);
    let error_event = answer.scanner.error_event().map(meaning);
    if whole && error_event.is_none() {
        judge_success(exchange);
        settle_with_gate(exchange, End::Whole);
        return Ok(passed);
    }
    judge_failure(exchange, error_event.unwrap_or(Failure::Connect));
    if error_event.is_none() {
        let untouched = exchange.control.as_ref().is_some_and(super::control::Control::untouched);
        if untouched && route::has_next(exchange) {
            return Err(failed_attempt());
        }
        if untouched && framing == Framing::JsonDocument {
            return Error::e_explain(ANSWER_CUT, "the answer ended in its middle").map_err(Error::into_up);
        }
    }
    settle_with_gate(exchange, End::Broken);
    if error_event.is_some() || framing == Framing::JsonDocument {
        return Ok(passed);
    }
    let Some(answer) = exchange.attempt.as_ref().and_then(|attempt| attempt.answer.as_ref()) else { return Ok(passed) };
    let last = answer::stream_error_event(
        dialect,
        framing,
        "The upstream broke off its answer",
        "UPSTREAM_BROKE_OFF",
        &request_id,
        &answer.tail,
    );
    Ok(joined(passed, last))
}

/// Settles now; the bytes of this batch wait for the journal.
fn settle_with_gate(exchange: &mut Exchange, end: End) {
    let gate = settle::settle(exchange, end);
    if let Some(control) = &exchange.control {
        control.release();
        control.settled();
        if let Some(gate) = gate {
            control.gate(gate);
        }
    }
}
