//! An answer that is an error by its head: it is collected, judged, and goes to the next candidate, to the client as it is, or, where
//! that would be no use to it, in our words.

use super::end::End;
use super::exchange::{Attempt, Exchange, impossible};
use super::head::{OF_THE_BYTES, Refused, is_translated};
use super::lane;
use super::mask::mask;
use super::receive::failed_attempt;
use super::route::{self, judge_failure};
use super::settle;
use crate::balance::{Failure, classify, classify_cut};
use crate::clock::unix_unsigned_ms;
use crate::dialect::chat::Refusal;
use bytes::{Bytes, BytesMut};
use http::header;
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorSource, Result};

/// Error answers are collected up to here to be judged and masked as a whole.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const NO_ERROR: &str = "an answer that is no error is collected as one";

/// The next piece of one: it is collected, to be judged as a whole.
///
/// # Errors
/// The attempt failed by it, and the next candidate takes over.
pub(super) fn piece(piece: Bytes, end: bool, exchange: &mut Exchange) -> Result<Bytes> {
    let (_, attempt) = exchange.attempted()?;
    let is_translated = is_translated(attempt);
    let (upstream, answer) = exchange.answer_mut()?;
    let Some(error) = answer.error.as_mut() else { return impossible(NO_ERROR) };
    let is_told_anew = is_translated || error.is_told_anew;
    error.body.extend_from_slice(&piece);
    if end {
        return over(exchange, false);
    }
    if error.body.len() <= BODY_BYTES_MAX {
        return Ok(Bytes::new());
    }
    if is_told_anew {
        // Nobody's error is that long; its beginning says what there is to say.
        error.body.truncate(BODY_BYTES_MAX);
        return Ok(Bytes::new());
    }
    let passed = error.body.split().freeze();
    Ok(answer.veil.push(passed, usize::MAX, true, &upstream.secret_fragments))
}

/// Whether this is the end of an answer that is an error by its head, and nothing of it is out: nothing is wrong with what its head says.
pub(super) fn is_cut(error: &Error, exchange: &Exchange) -> bool {
    let is_error = exchange.answered().is_some_and(|answer| answer.error.is_some() && !answer.ended);
    is_error && *error.esource() == ErrorSource::Upstream && !exchange.control.committed
}

/// An error breaks off in its body, or its rest does not come: its status and what has come of it say what is wrong. Likewise, but the
/// client is told in our words, as is said in what is held of the head.
///
/// # Errors
/// The attempt failed by it, and the next candidate takes over.
pub(super) fn cut(head: Option<&mut ResponseHeader>, exchange: &mut Exchange) -> Result<Bytes> {
    let told = over(exchange, true)?;
    if let Some(head) = head {
        for name in OF_THE_BYTES.iter().chain([&header::TRANSFER_ENCODING]) {
            head.remove_header(name);
        }
        head.insert_header(header::CONTENT_LENGTH, told.len())?;
    }
    Ok(told)
}

/// What an answer that is an error by its head says of what is wrong, by what has come of it. `is_cut`: that is not all of it.
pub(super) fn failure_told(attempt: &Attempt, is_cut: bool) -> Option<Failure> {
    let answer = attempt.answer.as_deref()?;
    let error = answer.error.as_ref()?;
    if answer.status < 400 {
        // A redirect or a page: no provider answers so.
        return Some(Failure::ServerError);
    }
    let borrowed = &attempt.upstream.provider.borrowed_codes;
    let classify = if is_cut { classify_cut } else { classify };
    Some(classify(answer.status, &error.head, &error.body, borrowed, unix_unsigned_ms()))
}

/// No more of an error answer comes: the next candidate's turn, or the client gets it as it is, but for one that `is_cut`.
fn over(exchange: &mut Exchange, is_cut: bool) -> Result<Bytes> {
    let Some(failure) = exchange.attempt.as_ref().and_then(|attempt| failure_told(attempt, is_cut)) else {
        return impossible(NO_ERROR);
    };
    let (upstream, answer) = exchange.answer_mut()?;
    answer.ended = true;
    let status = answer.status;
    let Some(error) = answer.error.as_mut() else { return impossible(NO_ERROR) };
    let (passed, retry_after) = (error.body.split().freeze(), error.head.retry_after.take());
    let is_told_anew = error.is_told_anew || is_cut;
    let mut passed = answer.veil.push(passed, 0, true, &upstream.secret_fragments);
    judge_failure(exchange, failure);
    if failure.tries_next() && route::has_next(exchange) {
        return Err(failed_attempt());
    }
    if is_told_anew || exchange.attempt.as_ref().is_some_and(is_translated) {
        let refusal = lane::refusal(status, retry_after.as_deref(), &passed);
        passed = refuse(exchange, &refusal)?;
    }
    settle::settle_with_gate(exchange, End::Refused(status))?;
    Ok(passed)
}

/// The client gets an error of its own dialect, with the status that it has there. What there is of the head is held still.
///
/// # Errors
/// No answer has begun.
pub(super) fn refuse(exchange: &mut Exchange, refusal: &Refusal<'_>) -> Result<Bytes> {
    let (_, answer) = exchange.answer_mut()?;
    answer.status = refusal.status;
    exchange.control.refused = Some(Refused { status: refusal.status, retry_after_s: refusal.retry_after_s });
    let mut body = BytesMut::from(lane::error_body(exchange, refusal));
    // What was masked as it came may have had our key in it still, its letters written as JSON's escapes.
    if let Some(attempt) = &exchange.attempt {
        mask(&mut body, &attempt.upstream.secret_fragments);
    }
    Ok(body.freeze())
}
