//! Stage 4 (its head is in `head`, errors by their head in `error_answer`): fail over while nothing went out, scan the usage as the
//! bytes pass.

use super::end::{Cut, End};
use super::exchange::{Answer, Attempt, Exchange};
use super::lane::Translating;
use super::mask::{self, Fragments};
use super::memory::Room;
use super::prompt::Prompt;
use super::route::{self, judge_failure, judge_success};
use super::settle;
use super::{checkpoint, error_answer, form};
use crate::balance::{Failure, classify_event};
use crate::clock::steady_unsigned_ms;
use crate::dialect::chat::{Refusal, Unreadable};
use crate::dialect::usage::ErrorEvent;
use crate::dialect::{DialectId, Framing, answer};
use crate::provider::Provider;
use crate::snapshot::Upstream;
use bytes::{Bytes, BytesMut};
use pingora::{Error, ErrorType, Result};

/// The attempt failed, its breaker knows, and there is a next candidate.
pub(super) const ATTEMPT_FAILED: ErrorType = ErrorType::Custom("AttemptFailed");
/// The answer ended in its middle; nothing of it went out, and there is no next candidate.
pub(super) const ANSWER_CUT: ErrorType = ErrorType::Custom("AnswerCut");

/// An answer came without a body: nothing of it can go to the client, unless it says what is wrong by its status.
///
/// # Errors
/// The attempt failed by that.
pub(super) fn bodiless(exchange: &mut Exchange) -> Result<Bytes> {
    if exchange.answer()?.error.is_some() {
        return error_answer::piece(Bytes::new(), true, exchange);
    }
    judge_failure(exchange, Failure::ServerError);
    if route::has_next(exchange) {
        return Err(failed_attempt());
    }
    Error::e_explain(ANSWER_CUT, "an answer without a body").map_err(Error::into_up)
}

/// A piece of the answer's body; `end`: the last one. What of it may go to the client is returned.
///
/// # Errors
/// The attempt failed, and the next candidate takes over; or nobody does, and nothing of it went out.
pub(super) fn body(piece: Bytes, end: bool, exchange: &mut Exchange) -> Result<Bytes> {
    if !piece.is_empty() {
        exchange.control.heard();
    }
    let (_, answer) = exchange.answer_mut()?;
    let piece = match &mut answer.unpacker {
        Some(unpacker) if !answer.ended => match unpacker.push(&piece) {
            Ok(unpacked) => unpacked,
            Err(unreadable) => return unreadable_answer(exchange, Bytes::new(), &unreadable),
        },
        _ => piece,
    };
    if answer.told.is_some() && !piece.is_empty() {
        form::by_first_byte(&piece, exchange)?;
    }
    match exchange.answer()? {
        Answer { ended: true, .. } => Ok(Bytes::new()),
        Answer { error: Some(_), .. } => error_answer::piece(piece, end, exchange),
        _ => piece_of_answer(piece, end, exchange),
    }
}

pub(super) fn failed_attempt() -> Box<Error> {
    Error::explain(ATTEMPT_FAILED, "the next candidate takes over").into_up()
}

/// What a piece of an answer brought.
enum Seen {
    /// Nothing that changes anything: before the first token, after it, or a document's next piece.
    Nothing,
    /// The first token of a stream, or the first byte of what is no text.
    FirstToken,
    /// An error event instead of a first token.
    Error(Failure),
}

fn piece_of_answer(piece: Bytes, end: bool, exchange: &mut Exchange) -> Result<Bytes> {
    let client_gone = exchange.client_gone();
    if let Some(Attempt { answer: Some(answer), .. }) = &mut exchange.attempt
        && answer.is_collected()
    {
        answer.collected.more(piece.len(), &exchange.shared.memory)?;
    }
    let (upstream, answer) = exchange.answer_mut()?;
    let mut passed = answer.scanner.push(piece);
    if end {
        passed = joined(passed, answer.scanner.finish());
    }
    if answer.translation.is_none() {
        let last = if end { Last::Ended } else { Last::No };
        passed = veiled(answer, passed, last, &upstream.secret_fragments);
    }
    let seen = seen(answer, &passed, upstream.provider);
    if let Some(translation) = &mut answer.translation {
        match translation.push(&passed, || answer.scanner.metered()) {
            Ok(translated) => passed = translated,
            Err(unreadable) => return unreadable_answer(exchange, Bytes::new(), &unreadable),
        }
    }
    let is_refusal = answer.translation.as_ref().is_some_and(|translation| translation.refusal().is_some());
    let has_failed = is_refusal || answer.scanner.error_event().is_some();
    answer.is_error_told |= has_failed && !client_gone;
    if answer.goes_out_in_events() {
        answer.tail.push(&passed);
    }
    if has_failed && answer.translation.is_some() {
        passed = masked(passed, upstream);
    }
    match seen {
        Seen::Nothing => {}
        Seen::FirstToken => token_passed(exchange)?,
        Seen::Error(failure) => {
            judge_failure(exchange, failure);
            if failure.tries_next() && route::has_next(exchange) {
                return Err(failed_attempt());
            }
            // The last attempt's answer goes to the client as it is, but for our key.
            if !is_told_at_its_end(exchange.answer()?) {
                exchange.control.release();
            }
        }
    }
    if end {
        return ended(passed, exchange);
    }
    settle_at_terminal_event(exchange)?;
    Ok(passed)
}

/// Whether this is the last of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    /// Its body has ended.
    Ended,
    /// It breaks off.
    Broken,
}

/// What of this, the next of an answer that passes as it is, goes on now; at its end all that waits does.
fn veiled(answer: &mut Answer, next: Bytes, last: Last, secrets: &Fragments) -> Bytes {
    let (open, has_error) = (answer.scanner.open_bytes(), answer.scanner.error_event().is_some());
    // An event may end with the body instead of a blank line. It has been read, and is no error.
    let is_read = last == Last::Ended && answer.scanner.is_whole() && answer.veil.is_closed_by(&next);
    let passed = answer.veil.push(next, if is_read { 0 } else { open }, has_error, secrets);
    if last == Last::No { passed } else { joined(passed, answer.veil.rest(secrets)) }
}

/// What had come of an answer that breaks off, or ends behind its terminal event, and had not gone on.
pub(super) fn rest(attempt: &mut Attempt) -> Bytes {
    let Some(answer) = &mut attempt.answer else { return Bytes::new() };
    if answer.translation.is_some() {
        return std::mem::take(&mut answer.unsent);
    }
    let held = answer.scanner.finish();
    let rest = veiled(answer, held, Last::Broken, &attempt.upstream.secret_fragments);
    answer.tail.push(&rest);
    rest
}

/// The upstream's answer is not what its dialect says: it failed. What went out already ends as that of one that broke off.
/// `passed` is what was translated of its last piece.
fn unreadable_answer(exchange: &mut Exchange, passed: Bytes, unreadable: &Unreadable) -> Result<Bytes> {
    let (upstream, answer) = exchange.answer_mut()?;
    tracing::warn!("upstream {}: {}", upstream.name, unreadable.message);
    let rest = answer.translation.as_mut().map(Translating::rest).unwrap_or_default();
    answer.tail.push(&rest);
    answer.unsent = joined(passed, rest);
    judge_failure(exchange, Failure::ServerError);
    if exchange.control.untouched() && route::has_next(exchange) {
        return Err(failed_attempt());
    }
    Error::e_explain(ANSWER_CUT, "the answer cannot be translated").map_err(Error::into_up)
}

fn masked(passed: Bytes, upstream: &Upstream) -> Bytes {
    let mut masked = BytesMut::from(passed);
    mask::mask(&mut masked, &upstream.secret_fragments);
    masked.freeze()
}

fn seen(answer: &Answer, passed: &Bytes, provider: &Provider) -> Seen {
    if answer.first_token.is_some() {
        return Seen::Nothing;
    }
    match (answer.framing, answer.scanner.error_event()) {
        (_, Some(event)) => Seen::Error(meaning(event, provider)),
        // A JSON document is held to its end, within the hold's limits: one that dies in the middle can fail over.
        (Framing::JsonDocument, None) => Seen::Nothing,
        (Framing::Opaque, None) if !passed.is_empty() => Seen::FirstToken,
        (_, None) if answer.scanner.token_seen() => Seen::FirstToken,
        (_, None) => Seen::Nothing,
    }
}

/// Whether an error in the answer is an HTTP answer of its own, as long as the head is held: the client gets it in another
/// dialect, and it comes as JSON, goes out as one document, or stands where the first token should. (Upstreams that are to be
/// translated are asked for events; an array is what Google says an error in.)
fn is_told_at_its_end(answer: &Answer) -> bool {
    let came_as_json = matches!(answer.framing, Framing::JsonDocument | Framing::JsonArray);
    let stands_first = !answer.scanner.token_seen();
    answer.translation.is_some() && (came_as_json || stands_first || answer.client_framing == Framing::JsonDocument)
}

/// What a client gets of an answer that turned out to be an error.
fn told(passed: Bytes, refusal: Option<&Refusal<'_>>, exchange: &mut Exchange) -> Result<Bytes> {
    let Some(refusal) = refusal else { return Ok(passed) };
    let passed = match is_told_at_its_end(exchange.answer()?) && !exchange.control.committed {
        true => error_answer::refuse(exchange, refusal)?,
        false => passed,
    };
    let (upstream, _) = exchange.answer_mut()?;
    Ok(masked(passed, upstream))
}

/// The first token: what was held may go out.
fn token_passed(exchange: &mut Exchange) -> Result<()> {
    let elapsed = exchange.started.elapsed();
    let (_, attempt) = exchange.attempted()?;
    let since_attempt = attempt.tries.started.elapsed();
    if attempt.pick.permits.is_probe() {
        // It is well: the next request need not wait for the end of this answer.
        attempt.breakers.answered(attempt.pick.permits, steady_unsigned_ms());
    }
    let (_, answer) = exchange.answer_mut()?;
    answer.first_token = Some(elapsed);
    answer.first_token_after = Some(since_attempt);
    exchange.control.begin_stream(exchange.snapshot.routing.idle_timeout);
    Ok(())
}

/// Many clients leave at the terminal event, without waiting for the body's end: they have it all.
fn settle_at_terminal_event(exchange: &mut Exchange) -> Result<()> {
    if exchange.control.settled {
        return Ok(());
    }
    let answer = exchange.answer()?;
    if !answer.streams() {
        // Sound, and whatever else is no text, from its first byte; a document once it is too long to be held.
        if answer.first_token.is_some() {
            checkpoint::progress(exchange);
        } else if exchange.control.committed {
            checkpoint::document_progress(exchange);
        }
        return Ok(());
    }
    if answer.scanner.has_terminal() && answer.scanner.error_event().is_none() {
        judge_success(exchange);
        settle::settle_with_gate(exchange, End::Whole)?;
    } else if answer.first_token.is_some() {
        checkpoint::progress(exchange);
    }
    Ok(())
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

/// No other attempt is possible: the request body is not needed any more, but by an estimate, if there will be one. To take what that needs
/// of a long body costs as much as all else that is done for the request: where there is room, the body stays for it.
pub(super) fn free_bodies(exchange: &mut Exchange) {
    let (Some(admitted), Some(attempt)) = (exchange.admitted.as_mut(), exchange.attempt.as_mut()) else { return };
    if !admitted.body.is_empty() {
        let room = admitted.room.take();
        match &admitted.prompt {
            _ if exchange.control.settled => admitted.prompt = Prompt::default(),
            Prompt::Text(_) => {}
            Prompt::Body(_) => admitted.room = room.and_then(Room::kept),
        }
        if admitted.room.is_none() {
            admitted.prompt = std::mem::take(&mut admitted.prompt).shrunk(admitted.target.endpoint);
        }
        admitted.body = Bytes::new();
        attempt.body = Bytes::new();
        if let Some(lane) = &mut attempt.lane {
            lane.body = Bytes::new();
        }
    }
}

/// What an error event says of the upstream.
fn meaning(event: &ErrorEvent, provider: &Provider) -> Failure {
    let codes: Vec<&str> = [&event.kind, &event.code].into_iter().flatten().map(String::as_str).collect();
    classify_event(&codes, event.status, &event.message, &provider.borrowed_codes)
}

/// What an attempt's answer itself says of what is wrong with its upstream, if it has said so.
pub(super) fn failure_told(attempt: &Attempt) -> Option<Failure> {
    let (answer, provider) = (attempt.answer.as_deref()?, attempt.upstream.provider);
    let event = answer.scanner.error_event().map(|event| meaning(event, provider));
    // What the reader of the dialect finds, the scanner may have passed over: it looks for what is billed.
    event.or_else(|| answer.translation.as_ref()?.refusal().map(|refusal| meaning_of(refusal, provider)))
}

/// The same, as its dialect's reader found it.
fn meaning_of(refusal: &Refusal<'_>, provider: &Provider) -> Failure {
    let codes: Vec<&str> = refusal.code.as_deref().into_iter().collect();
    classify_event(&codes, Some(refusal.status), &refusal.message, &provider.borrowed_codes)
}

/// The answer's body ended, cleanly as HTTP sees it.
fn ended(passed: Bytes, exchange: &mut Exchange) -> Result<Bytes> {
    let (_, answer) = exchange.answer_mut()?;
    answer.ended = true;
    // Where HTTP says that all of a document is here, and it is none, nothing is wrong with the connection.
    let is_no_document = answer.framing == Framing::JsonDocument && answer.delimited;
    let cut = if is_no_document { Failure::ServerError } else { Failure::Connect };
    let whole = answer.scanner.is_whole();
    let has_error_event = answer.scanner.error_event().is_some();
    let passed = match &mut answer.translation {
        None => passed,
        Some(translation) => match translation.finish(whole, || answer.scanner.metered()) {
            Ok(rest) => {
                if answer.goes_out_in_events() {
                    answer.tail.push(&rest);
                }
                joined(passed, rest)
            }
            Err(unreadable) => return unreadable_answer(exchange, passed, &unreadable),
        },
    };
    let refusal = exchange.answered().and_then(|answer| answer.translation.as_ref()?.refusal().cloned());
    let failure = exchange.attempt.as_ref().and_then(failure_told);
    if whole && failure.is_none() {
        judge_success(exchange);
        settle::settle_with_gate(exchange, End::Whole)?;
        return Ok(passed);
    }
    judge_failure(exchange, failure.unwrap_or(cut));
    let is_found_late = !has_error_event && failure.is_some_and(Failure::tries_next);
    if is_found_late && exchange.control.untouched() && route::has_next(exchange) {
        return Err(failed_attempt());
    }
    if failure.is_none() && exchange.control.untouched() && !has_begun(exchange) {
        if route::has_next(exchange) {
            return Err(failed_attempt());
        }
        return Error::e_explain(ANSWER_CUT, "the answer was cut short").map_err(Error::into_up);
    }
    let passed = told(passed, refusal.as_ref(), exchange)?;
    settle::settle_with_gate(exchange, End::Broken(Cut::BrokeOff))?;
    if failure.is_some() {
        return Ok(passed);
    }
    let last = cut_off(Cut::BrokeOff, exchange.dialect, exchange.answer()?, &exchange.request_id_text());
    Ok(joined(passed, last))
}

/// The error event that ends a stream whose upstream has cut it off.
pub(super) fn cut_off(cut: Cut, dialect: DialectId, answer: &Answer, request_id: &str) -> Bytes {
    answer::stream_error_event(dialect, answer.client_framing, cut.message(), cut.code(), request_id, &answer.tail)
}

/// A stream's first token is here. It is the client's, be it that the end has come in the same piece.
fn has_begun(exchange: &Exchange) -> bool {
    exchange.answered().is_some_and(|answer| answer.first_token.is_some() && answer.goes_out_in_events())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, StoreUrl};

    #[test]
    fn bytes_of_an_answer_that_nobody_reads_go_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::from_environment(&|_| None);
        config.store.url = StoreUrl::Sqlite(folder.path().join("tollgate.db"));
        config.ledger.journal_dir = folder.path().join("journal");
        config.pricing.file = folder.path().join("pricing.toml");
        let gateway = crate::serve::gateway(&config).unwrap();
        let mut exchange = Exchange::new(gateway.shared().clone());
        let piece = Bytes::from_static(b"data: {}\n\n");
        for outcome in [
            body(piece.clone(), false, &mut exchange),
            body(piece.clone(), true, &mut exchange),
            piece_of_answer(piece.clone(), false, &mut exchange),
            ended(piece.clone(), &mut exchange),
            error_answer::piece(piece.clone(), false, &mut exchange),
            error_answer::piece(piece, true, &mut exchange),
            bodiless(&mut exchange),
        ] {
            assert_eq!(*outcome.unwrap_err().etype(), ErrorType::InternalError);
        }
        drop(exchange);
        assert!(gateway.close());
    }
}
