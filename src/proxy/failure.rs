//! What happens when something fails: another attempt, a refusal, an error event at the end of a broken stream.

use super::attempts::{Chosen, Next};
use super::collected::NO_ROOM;
use super::downstream::UPSTREAM_SILENT;
use super::end::{Cut, End};
use super::error_answer;
use super::exchange::Exchange;
use super::mask::{Fragments, mask};
use super::receive::{self, ANSWER_CUT, ATTEMPT_FAILED};
use super::reject;
use super::route::{self, judge_failure};
use super::settle::{self, BILLING_UNAVAILABLE};
use super::upstream::is_unprocessed;
use crate::balance::Failure;
use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource, ErrorType};
use std::net::SocketAddr;
use tollgate_plugin_api::{Reject, RejectCode};

/// The connection to an upstream failed: another address of its host, or the next candidate's turn.
pub(super) fn while_connecting(address: SocketAddr, exchange: &mut Exchange, mut error: Box<Error>) -> Box<Error> {
    let is_upstreams = *error.esource() == ErrorSource::Upstream;
    // A pooled connection of HTTP/2 that takes no more requests says nothing of its address.
    let Some(attempt) = exchange.attempt.as_mut().filter(|_| is_upstreams && !is_unprocessed(&error)) else {
        return while_proxying(exchange, error, false);
    };
    let has_another = attempt.upstream.addresses.mark_bad(address);
    if has_another && attempt.tries.another_address() && *error.etype() != UPSTREAM_SILENT {
        let (name, said) = (&attempt.upstream.name, said(&error, &attempt.upstream.secret_fragments));
        tracing::warn!("upstream {name}: {said}; another address of its host is tried");
        again(exchange);
        error.set_retry(true);
        return error;
    }
    fail(exchange, &error);
    error.set_retry(route::may_have_next(exchange));
    error
}

/// The exchange with an upstream failed: the next candidate's turn, if nothing went out yet. `was_dead`: by the looks of it, its pooled
/// connection had ended before the request.
pub(super) fn while_proxying(exchange: &mut Exchange, mut error: Box<Error>, was_dead: bool) -> Box<Error> {
    if *error.esource() != ErrorSource::Upstream {
        if *error.etype() == ErrorType::InternalError {
            // Nobody's fault but ours.
            let no_secrets = Fragments::default();
            let secrets = exchange.attempt.as_ref().map_or(&no_secrets, |attempt| &attempt.upstream.secret_fragments);
            tracing::error!("request {}: {}", exchange.request_id_text(), said(&error, secrets));
        }
        error.set_retry(false);
        return error;
    }
    let is_untouched = exchange.control.untouched();
    let attempt = exchange.attempt.as_mut().filter(|attempt| is_untouched && attempt.answer.is_none());
    let is_again = attempt.is_some_and(|attempt| match is_unprocessed(&error) {
        true => attempt.tries.after_unprocessed(),
        false => was_dead && attempt.tries.another_connection(),
    });
    if is_again {
        again(exchange);
        error.set_retry(true);
        return error;
    }
    fail(exchange, &error);
    error.set_retry(route::may_have_next(exchange));
    error
}

/// The same attempt once more, not counted again.
fn again(exchange: &mut Exchange) {
    exchange.attempts.count -= 1;
    exchange.attempts.next = exchange.attempt.take().map(|attempt| {
        let tries = Some(attempt.tries);
        let chosen = Chosen { pick: attempt.pick, leases: attempt.leases, lane: attempt.lane, tries };
        Next::Chosen(Box::new(chosen))
    });
}

/// Tells the breaker what kind of failure it was, unless it was told already.
fn fail(exchange: &mut Exchange, error: &Error) {
    // Judged where it was found.
    if matches!(*error.etype(), ATTEMPT_FAILED | ANSWER_CUT) {
        exchange.attempts.timed_out = false;
        return;
    }
    let timed_out = is_timeout(error.etype());
    exchange.attempts.timed_out = timed_out;
    if let Some(attempt) = &exchange.attempt {
        tracing::warn!("upstream {}: {}", attempt.upstream.name, said(error, &attempt.upstream.secret_fragments));
    }
    let silent = if timed_out { Failure::Timeout } else { Failure::Connect };
    // An upstream that has said what is wrong need not end its answer well.
    let attempt = exchange.attempt.as_ref();
    let told = attempt
        .and_then(|attempt| receive::failure_told(attempt).or_else(|| error_answer::failure_told(attempt, true)));
    judge_failure(exchange, told.unwrap_or(silent));
}

/// So much is said of why something failed: an upstream has a word in it (a certificate's names, HTTP/2's last words).
const SAID_CHARS_MAX: usize = 512;

/// What went wrong, for an operator: its kind, and what is known of why; these secrets masked.
pub(super) fn said(error: &Error, secrets: &Fragments) -> String {
    let mut said = error.etype().as_str().to_owned();
    let mut inner = Some(error);
    while let Some(error) = inner {
        let cause = error.cause.as_deref();
        inner = cause.and_then(|cause| Some(&**cause.downcast_ref::<Box<Error>>()?));
        let root = cause.filter(|_| inner.is_none()).map(ToString::to_string);
        for part in error.context.iter().map(|context| context.as_str()).chain(root.as_deref()) {
            said.push_str(": ");
            said.push_str(part);
        }
    }
    let mut bytes = said.into_bytes();
    mask(&mut bytes, secrets);
    String::from_utf8_lossy(&bytes).chars().filter(|char| !char.is_control()).take(SAID_CHARS_MAX).collect()
}

fn is_timeout(kind: &ErrorType) -> bool {
    *kind == UPSTREAM_SILENT
        || matches!(
            kind,
            ErrorType::ConnectTimedout
                | ErrorType::ReadTimedout
                | ErrorType::WriteTimedout
                | ErrorType::TLSHandshakeTimedout
        )
}

/// No further attempt: refuse, or end a broken stream. Nothing is said to a client that is gone. True: what was said is
/// whole, and the connection can be used again, as its head promised; a client that keeps connections would run into its end.
pub(super) async fn at_last(session: &mut ServerSession, error: &Error, exchange: &mut Exchange) -> bool {
    if exchange.client_gone() || *error.esource() == ErrorSource::Downstream {
        return false;
    }
    if exchange.control.committed {
        let cut = if is_timeout(error.etype()) { Cut::TimedOut } else { Cut::BrokeOff };
        return break_off(cut, session, exchange).await && is_chunked(session);
    }
    let refusal = refusal(error, exchange);
    let gate = settle::settle(exchange, End::NoAnswer(refusal.code));
    // Who is refused because of the journal has waited for it.
    if let Some(gate) = gate.filter(|_| refusal.code != RejectCode::BillingUnavailable) {
        // Whether the journal took it is the journal's to keep trying; the client gets its refusal.
        let _ = gate.pass().await;
    }
    let sent = reject::reject(session, exchange, refusal).await;
    sent.inspect_err(|error| tracing::debug!("refusal not sent: {error}")).is_ok()
}

/// Whether the answer's body ends by itself, whatever its upstream had announced.
fn is_chunked(session: &ServerSession) -> bool {
    session.response_written().is_some_and(|head| head.headers.contains_key(TRANSFER_ENCODING))
}

fn refusal(error: &Error, exchange: &Exchange) -> Reject {
    if *error.etype() == BILLING_UNAVAILABLE {
        return Reject::new(RejectCode::BillingUnavailable).retry_after_s(1);
    }
    if *error.etype() == NO_ROOM {
        return Reject::new(RejectCode::Overloaded).retry_after_s(1);
    }
    exchange.upstream_refusal()
}

/// Part of a stream is out and its upstream died: an error event in the caller's dialect, unless the upstream's own is out, then a
/// clean end. True: the end is out.
async fn break_off(cut: Cut, session: &mut ServerSession, exchange: &mut Exchange) -> bool {
    if exchange.control.settled {
        // The terminal event is out already: the answer is whole, only the body's end is missing.
        let rest = exchange.attempt.as_mut().map(receive::rest).unwrap_or_default();
        let ended = session.write_response_body(rest, true).await;
        return ended.inspect_err(|error| tracing::debug!("end not sent: {error}")).is_ok();
    }
    if let Some(gate) = settle::settle(exchange, End::Broken(cut)) {
        let _ = gate.pass().await;
    }
    exchange.keeping = None;
    let request_id = exchange.request_id_text();
    let dialect = exchange.dialect;
    let Some(attempt) = exchange.attempt.as_mut() else { return false };
    let Some(answer) = attempt.answer.as_ref().filter(|answer| !answer.ended) else { return false };
    let is_told = match &answer.translation {
        Some(translation) => translation.refusal().is_some(),
        None => answer.scanner.error_event().is_some(),
    };
    let held = receive::rest(attempt);
    let Some(answer) = attempt.answer.as_mut() else { return false };
    answer.ended = true;
    let goes_out_in_events = answer.goes_out_in_events();
    let event = match is_told {
        true => Bytes::new(),
        false => receive::cut_off(cut, dialect, answer, &request_id),
    };
    if !held.is_empty() && session.write_response_body(held, false).await.is_err() {
        return false;
    }
    // Where nothing can be said, the missing end says it.
    if !goes_out_in_events {
        return false;
    }
    let ended = session.write_response_body(event, true).await;
    ended.inspect_err(|error| tracing::debug!("error event not sent: {error}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_failure_is_whole_short_and_without_secrets() {
        let secrets = Fragments::of(["sk-provider-0123456789"]);
        let inner = Error::because(ErrorType::ReadError, "reading", std::io::Error::other("no\nroute"));
        let error = Error::because(ErrorType::ConnectError, "with sk-provider-0123456789", inner);
        assert_eq!(said(&error, &secrets), "ConnectError: with **********************: reading: noroute");
        let long = Error::explain(ErrorType::H2Error, "é".repeat(10_000));
        assert_eq!(said(&long, &secrets).chars().count(), SAID_CHARS_MAX);
    }
}
