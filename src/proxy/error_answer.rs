//! An answer that is an error by its head: it is collected, judged, and goes to the next candidate, to the client as it is, or, where
//! that would be no use to it, in our words.

use super::exchange::{Exchange, impossible};
use super::head::{Refused, is_translated};
use super::lane;
use super::mask::mask;
use super::receive::failed_attempt;
use super::route::{self, judge_failure};
use super::settle::{self, End};
use crate::balance::{Failure, classify};
use crate::clock::unix_unsigned_ms;
use crate::dialect::chat::Refusal;
use bytes::{Bytes, BytesMut};
use pingora::Result;

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
        return ended(exchange);
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

/// An error answer is complete: the next candidate's turn, or the client gets it as it is.
fn ended(exchange: &mut Exchange) -> Result<Bytes> {
    let (upstream, answer) = exchange.answer_mut()?;
    answer.ended = true;
    let status = answer.status;
    let Some(error) = answer.error.as_mut() else { return impossible(NO_ERROR) };
    let failure = if status < 400 {
        // A redirect or a page: no provider answers so.
        Failure::ServerError
    } else {
        classify(status, &error.head, &error.body, &upstream.provider.borrowed_codes, unix_unsigned_ms())
    };
    let (passed, retry_after) = (error.body.split().freeze(), error.head.retry_after.take());
    let is_told_anew = error.is_told_anew;
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
