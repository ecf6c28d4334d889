//! What happens when something fails: another attempt, a refusal, an error event at the end of a broken stream; and the
//! last step of every exchange.

use super::downstream::UPSTREAM_SILENT;
use super::exchange::{Chosen, Exchange};
use super::receive::{ANSWER_CUT, ATTEMPT_FAILED};
use super::reject;
use super::route::{self, judge_failure};
use super::settle::{self, BILLING_UNAVAILABLE, End};
use crate::balance::Failure;
use crate::dialect::answer;
use bytes::Bytes;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource, ErrorType};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tollgate_plugin_api::{KeyHandle, Metered, Reject, RejectCode, Summary};

/// A pooled connection that is dead says so at once; later, the upstream may have worked on the request already.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// The connection to an upstream failed: the next candidate's turn.
pub(super) fn while_connecting(address: SocketAddr, exchange: &mut Exchange, mut error: Box<Error>) -> Box<Error> {
    if exchange.attempt.as_ref().is_some_and(|attempt| attempt.upstream.addresses.mark_bad(address)) {
        // Another address of the same host: the same candidate again, not counted.
        again(exchange);
        error.set_retry(true);
        return error;
    }
    fail(exchange, &error);
    error.set_retry(route::has_next(exchange));
    error
}

/// The exchange with an upstream failed: the next candidate's turn, if nothing went out yet.
pub(super) fn while_proxying(exchange: &mut Exchange, mut error: Box<Error>, reused: bool) -> Box<Error> {
    if *error.esource() != ErrorSource::Upstream {
        error.set_retry(false);
        return error;
    }
    let untouched = exchange.control.untouched();
    let answered = exchange.attempt.as_ref().is_some_and(|attempt| attempt.answer.is_some());
    let soon = exchange.attempt.as_ref().is_some_and(|attempt| attempt.started.elapsed() < STALE_WITHIN);
    if reused && soon && untouched && !answered && is_stale(&error) && !exchange.attempts.stale_connection {
        // A pooled connection that the upstream had closed meanwhile: the same candidate again, not counted.
        exchange.attempts.stale_connection = true;
        again(exchange);
        error.set_retry(true);
        return error;
    }
    fail(exchange, &error);
    error.set_retry(route::has_next(exchange));
    error
}

/// The same candidate once more, as if the attempt had not been.
fn again(exchange: &mut Exchange) {
    exchange.attempts.count -= 1;
    exchange.attempts.next =
        exchange.attempt.take().map(|attempt| Chosen { pick: attempt.pick, leases: attempt.leases });
}

fn is_stale(error: &Error) -> bool {
    matches!(
        error.etype(),
        ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed | ErrorType::H2Error
    )
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
        tracing::warn!("upstream {}: {:?}", attempt.upstream.name, error.etype());
    }
    judge_failure(exchange, if timed_out { Failure::Timeout } else { Failure::Connect });
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

/// No further attempt: refuse, or end a broken stream. Nothing is said to a client that is gone.
pub(super) async fn at_last(session: &mut ServerSession, error: &Error, exchange: &mut Exchange) {
    if exchange.client_gone() || *error.esource() == ErrorSource::Downstream {
        return;
    }
    if exchange.control.committed {
        break_off(session, exchange).await;
        return;
    }
    let refusal = refusal(error, exchange);
    if let Some(gate) = settle::settle(exchange, End::NoAnswer(refusal.code)) {
        // Whether the journal took it is the journal's to keep trying; the client gets its refusal.
        let _ = gate.await;
    }
    if let Err(error) = reject::reject(session, exchange, refusal).await {
        tracing::debug!("refusal not sent: {error}");
    }
}

fn refusal(error: &Error, exchange: &Exchange) -> Reject {
    if *error.etype() == BILLING_UNAVAILABLE {
        return Reject::new(RejectCode::BillingUnavailable).retry_after_s(1);
    }
    exchange.upstream_refusal()
}

/// Part of a stream is out and its upstream died: an error event in the caller's dialect, then a clean end.
async fn break_off(session: &mut ServerSession, exchange: &mut Exchange) {
    if exchange.settled {
        // The terminal event is out already: the answer is whole, only the body's end is missing.
        if let Err(error) = session.write_response_body(Bytes::new(), true).await {
            tracing::debug!("end not sent: {error}");
        }
        return;
    }
    if let Some(gate) = settle::settle(exchange, End::Broken) {
        let _ = gate.await;
    }
    let request_id = exchange.request_id_text();
    let dialect = exchange.dialect;
    let Some(answer) = exchange.attempt.as_mut().and_then(|attempt| attempt.answer.as_mut()) else { return };
    if answer.ended || !answer.streams() {
        return;
    }
    answer.ended = true;
    let held = answer.scanner.finish();
    answer.tail.push(&held);
    let event = answer::stream_error_event(
        dialect,
        answer.framing,
        "The upstream broke off its answer",
        "UPSTREAM_BROKE_OFF",
        &request_id,
        &answer.tail,
    );
    if !held.is_empty() && session.write_response_body(held, false).await.is_err() {
        return;
    }
    if let Err(error) = session.write_response_body(event, true).await {
        tracing::debug!("error event not sent: {error}");
    }
}

/// A settlement that somebody else began is waited for this long, to tell plugins what it came to.
const BILL_WAIT_MAX: Duration = Duration::from_secs(5);

/// The last step, always: settles what is not settled, tells the plugins.
pub(super) async fn logging(session: &mut ServerSession, error: Option<&Error>, exchange: &mut Exchange) {
    let answered = exchange.attempt.as_ref().is_some_and(|attempt| attempt.answer.is_some());
    let broken = error.is_some_and(|error| *error.esource() == ErrorSource::Upstream);
    let end = if answered && broken { End::Broken } else { End::Aborted };
    if let Some(gate) = settle::settle(exchange, end) {
        let _ = gate.await;
    }
    if exchange.snapshot.plugins.logging.is_empty() {
        return;
    }
    if let Some(bill) = exchange.bill.as_ref().filter(|_| exchange.settled && exchange.attempts.count > 0) {
        let _ = tokio::time::timeout(BILL_WAIT_MAX, bill.wait()).await;
    }
    tell_plugins(session, exchange);
}

fn tell_plugins(session: &ServerSession, exchange: &Exchange) {
    let request = session.req_header();
    let request_id = exchange.request_id_text();
    let none = Metered::default();
    let bill = exchange.bill.as_ref().and_then(|bill| bill.get());
    let key = exchange.caller.as_ref().map(|key| key.clone() as Arc<dyn KeyHandle>);
    let asked = exchange.asked.as_ref();
    let attempt = exchange.attempt.as_ref();
    let rejected = exchange.rejected.map(|code| code.row());
    let summary = Summary {
        request_id: &request_id,
        key: key.as_ref(),
        status: session.response_written().map_or(0, |head| head.status.as_u16()),
        metered: bill.map_or(&none, |bill| &bill.metered),
        cost_nanos: bill.map_or(0, |bill| bill.cost_nanos),
        started_at_ms: exchange.started_at_ms,
        duration_ms: exchange.elapsed_ms(),
        ttft_ms: bill.and_then(|bill| bill.ttft_ms),
        client: exchange.client,
        method: &request.method,
        path: request.uri.path(),
        dialect: exchange.dialect.as_str(),
        endpoint: asked.map(|asked| asked.endpoint),
        model: asked.map(|asked| &*asked.model),
        stream: asked.map(|asked| asked.stream),
        headers: &request.headers,
        provider: attempt.map(|attempt| &*attempt.upstream.provider.name),
        upstream: attempt.map(|attempt| &*attempt.upstream.name),
        upstream_model: attempt.map(|attempt| &*attempt.upstream_model),
        attempts: exchange.attempts.count,
        outcome: bill.map(|bill| bill.outcome),
        error_code: rejected.map(|row| row.code).or_else(|| bill.and_then(|bill| bill.error_code.as_deref())),
        rejected_by: rejected.and_then(|row| row.rejected_by),
    };
    for plugin in &exchange.snapshot.plugins.logging {
        plugin.logging(&summary);
    }
}
