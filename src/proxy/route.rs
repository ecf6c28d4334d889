//! Stage 2: candidates, breaker, strategy, peer. Entered again for every attempt.

use super::admit;
use super::attempts::{Chosen, Next};
use super::exchange::{Admitted, Attempt, Exchange, Leases};
use super::lane::{Lane, Writing};
use super::tries::Tries;
use super::{peer, trail};
use crate::balance::{Concerns, Failure, Pick, Refused};
use crate::clock::{millis, steady_ms, steady_unsigned_ms, unix_ms};
use crate::dialect::request;
use crate::provider::StreamUsage;
use crate::snapshot::{SeenFailure, Upstream};
use bytes::Bytes;
use pingora::{Error, ErrorType};
use std::net::SocketAddr;
use std::sync::Arc;
use tollgate_plugin_api::{Amounts, KeyHandle, Reject};

/// Chooses the next candidate and its address. A candidate whose name does not resolve counts as a failed attempt, and
/// the next one is tried at once.
pub(super) async fn route(exchange: &mut Exchange) -> pingora::Result<(Arc<Upstream>, SocketAddr)> {
    if exchange.control.settled {
        return Error::e_explain(ErrorType::InternalError, "the exchange is settled");
    }
    loop {
        let Some(chosen) = next_pick(exchange).await else {
            return Error::e_explain(ErrorType::HTTPStatus(503), "no candidate is available");
        };
        begin(exchange, chosen);
        let Some(attempt) = &exchange.attempt else { continue };
        let upstream = attempt.upstream.clone();
        match peer::address(&upstream, exchange.snapshot.routing.connect_timeout).await {
            Ok(address) => return Ok((upstream, address)),
            Err(error) => {
                tracing::warn!("upstream {}: {error}", upstream.name);
                let timed_out = matches!(error.etype(), ErrorType::ConnectTimedout);
                exchange.attempts.timed_out = timed_out;
                judge_failure(exchange, if timed_out { Failure::Timeout } else { Failure::Connect });
            }
        }
    }
}

/// The candidate for the next attempt, if attempts are left and one is available.
async fn next_pick(exchange: &mut Exchange) -> Option<Chosen> {
    if exchange.attempts.count >= exchange.snapshot.routing.attempts_max {
        return None;
    }
    loop {
        let pick = match exchange.attempts.next.take() {
            Some(Next::Chosen(chosen)) => return Some(*chosen),
            Some(Next::Candidate(pick)) => pick,
            None => candidate(exchange)?,
        };
        let Some(leases) = leased(exchange, &pick) else { continue };
        let written = match writing(exchange, &pick) {
            // Should the exchange be dropped meanwhile, its place is given back as that of any candidate taken ahead.
            Ok(Some(writing)) => {
                exchange.attempts.next = Some(Next::Candidate(pick));
                let written = writing.write_aside().await;
                exchange.attempts.next = None;
                written
            }
            Ok(None) => Ok(None),
            Err(refused) => Err(refused),
        };
        if let Some(chosen) = chosen(exchange, pick, leases, written) {
            return Some(chosen);
        }
    }
}

/// The same ahead of the next attempt, at once: whether there is one decides what becomes of an answer.
fn pick(exchange: &mut Exchange) -> Option<Chosen> {
    loop {
        let pick = candidate(exchange)?;
        let Some(leases) = leased(exchange, &pick) else { continue };
        let written = writing(exchange, &pick).and_then(|writing| writing.map_or(Ok(None), Writing::write));
        if let Some(chosen) = chosen(exchange, pick, leases, written) {
            return Some(chosen);
        }
    }
}

/// An untried candidate that is available.
fn candidate(exchange: &mut Exchange) -> Option<Pick> {
    let strategy = exchange.snapshot.strategy;
    let admitted = exchange.admitted.as_ref()?;
    let pick = admitted.route.plan.pick(strategy, &exchange.attempts.tried, steady_unsigned_ms(), rand::random());
    trail::note_unavailable(exchange, pick.as_ref());
    let pick = pick?;
    exchange.attempts.tried.insert(&pick);
    Some(pick)
}

/// What of the request has to be written anew for it.
fn writing(exchange: &Exchange, pick: &Pick) -> Result<Option<Writing>, Reject> {
    exchange.admitted.as_ref().map_or(Ok(None), |admitted| Writing::of(exchange, admitted, pick))
}

/// What the attempt takes of the candidate's limits, if it has a place within them. Asked first: to write the request takes longer.
fn leased(exchange: &mut Exchange, pick: &Pick) -> Option<Leases> {
    lease(exchange, pick).map_err(|refused| pass_over(exchange, pick, (refused, Refused::Limit))).ok()
}

/// The candidate, if the request can be written for it.
fn chosen(
    exchange: &mut Exchange,
    pick: Pick,
    leases: Leases,
    written: Result<Option<Box<Lane>>, Reject>,
) -> Option<Chosen> {
    match written {
        Ok(lane) => Some(Chosen { leases, lane, pick, tries: None }),
        Err(refused) => {
            pass_over(exchange, &pick, (refused, Refused::Writing));
            None
        }
    }
}

/// The candidate cannot be used for this request.
fn pass_over(exchange: &mut Exchange, pick: &Pick, (refused, at): (Reject, Refused)) {
    release(exchange, pick);
    exchange.attempts.tried.refuse(pick, at);
    trail::note_refused(exchange, pick, &refused);
    exchange.attempts.refuse(refused);
}

/// What the attempt takes of the upstream's limits.
fn lease(exchange: &Exchange, pick: &Pick) -> Result<Leases, Reject> {
    let mut leases = Leases::new();
    let plugins = &exchange.snapshot.plugins.upstream;
    let (false, Some(admitted)) = (plugins.is_empty(), &exchange.admitted) else { return Ok(leases) };
    let Some(candidate) = admitted.route.plan.candidate(pick) else { return Ok(leases) };
    let upstream = &exchange.snapshot.upstreams[candidate.upstream as usize];
    let Some(key) = exchange.caller.as_ref().map(|caller| caller.key()) else { return Ok(leases) };
    // What it costs there, not where it is dearest: the limit is this upstream's.
    let charges = admitted.route.charges(pick);
    let cost_nanos_max = || admit::worst_case_nanos(exchange, &admitted.target, &admitted.facts, charges);
    let intent = admit::intent(&key, &admitted.facts, &cost_nanos_max);
    for plugin in plugins {
        leases.extend(plugin.upstream_filter(&upstream.name, &intent)?);
    }
    Ok(leases)
}

/// Gives back the place of a candidate that was not tried.
fn release(exchange: &Exchange, pick: &Pick) {
    let Some(admitted) = &exchange.admitted else { return };
    if let Some(candidate) = admitted.route.plan.candidate(pick) {
        candidate.breakers.release(pick.permits, steady_unsigned_ms());
    }
}

/// Whether there is another candidate; if so it is kept for the next attempt. Asked when an answer that failed is to be
/// passed on or not.
pub(super) fn has_next(exchange: &mut Exchange) -> bool {
    take_ahead(exchange, |exchange| Some(Next::Chosen(Box::new(pick(exchange)?))))
}

/// Whether there is another candidate, be it that it cannot be asked what is asked. Asked when there is no answer: then there is
/// nothing to lose.
pub(super) fn may_have_next(exchange: &mut Exchange) -> bool {
    take_ahead(exchange, |exchange| Some(Next::Candidate(candidate(exchange)?)))
}

fn take_ahead(exchange: &mut Exchange, take: impl FnOnce(&mut Exchange) -> Option<Next>) -> bool {
    if !exchange.may_fail_over() {
        return false;
    }
    if exchange.attempts.next.is_none() {
        exchange.attempts.next = take(exchange);
    }
    exchange.attempts.next.is_some()
}

/// Whether the usage of a stream must be asked for, because the client did not.
fn asks_for_usage(admitted: &Admitted, upstream: &Upstream) -> bool {
    let streams_text = admitted.facts.stream && admitted.target.endpoint.has_usage_chunk();
    streams_text && !admitted.facts.wants_usage_chunk && upstream.provider.stream_usage == StreamUsage::OptIn
}

/// The client's body, as an upstream of its dialect gets it.
pub(super) fn spliced(admitted: &Admitted, upstream_model: &str, upstream: &Upstream) -> Bytes {
    let renamed = (*upstream_model != *admitted.route.model).then_some(upstream_model);
    request::splice(&admitted.facts, &admitted.body, renamed, asks_for_usage(admitted, upstream))
}

fn begin(exchange: &mut Exchange, Chosen { pick, leases, lane, tries }: Chosen) {
    exchange.attempts.count += 1;
    if let Some(before) = &mut exchange.attempt {
        // It was sent, and nothing came of it.
        let used = Amounts { requests: 1, ..Amounts::default() };
        before.leases.iter_mut().for_each(|lease| lease.used(used, steady_ms()));
    }
    let Some(admitted) = exchange.admitted.as_mut() else { return };
    if let Some(hold) = admitted.hold.as_mut() {
        hold.sent();
    }
    let Some(candidate) = admitted.route.plan.candidate(&pick) else { return };
    let upstream = exchange.snapshot.upstreams[candidate.upstream as usize].clone();
    let asks_for_usage = asks_for_usage(admitted, &upstream);
    let body = match &lane {
        Some(lane) => lane.body.clone(),
        None if admitted.body.is_empty() => Bytes::new(),
        None => spliced(admitted, &candidate.upstream_model, &upstream),
    };
    let charges = admitted.route.charges(&pick);
    let routing = &exchange.snapshot.routing;
    let limit = if admitted.facts.stream { routing.first_token_timeout } else { routing.response_timeout };
    let tries = tries.unwrap_or_else(Tries::begin);
    exchange.control.begin_attempt(limit, tries.started.into());
    exchange.attempt = Some(Attempt {
        upstream_model: candidate.upstream_model.clone(),
        breakers: candidate.breakers.clone(),
        price: charges.and_then(|charges| charges.price.clone()),
        tiers: charges.map(|charges| charges.tiers),
        pick,
        leases,
        upstream,
        body,
        takes_out_usage_chunk: asks_for_usage && !lane.as_ref().is_some_and(|lane| lane.translates_answer()),
        lane,
        tries,
        judged: false,
        failure: None,
        answer: None,
    });
}

/// Tells breakers and metrics that the attempt failed.
pub(super) fn judge_failure(exchange: &mut Exchange, failure: Failure) {
    let Some(attempt) = exchange.attempt.as_mut() else { return };
    if std::mem::replace(&mut attempt.judged, true) {
        return;
    }
    attempt.failure = Some(failure);
    let upstream = &attempt.upstream;
    // What ended without an answer was told where it was found.
    let concerns = failure.row().concerns;
    if let Some(answer) = attempt.answer.as_ref().filter(|_| failure.tries_next()) {
        let (name, failure, status) = (&upstream.name, failure.name(), answer.status);
        match concerns {
            Concerns::Model => {
                tracing::warn!("upstream {name}: {failure} for {} (status {status})", attempt.upstream_model)
            }
            _ => tracing::warn!("upstream {name}: {failure} (status {status})"),
        }
    }
    attempt.breakers.failure(attempt.pick.permits, steady_unsigned_ms(), failure);
    if concerns == Concerns::Upstream {
        // How well a limited model does is no matter of the others': its breaker keeps requests away from it.
        upstream.observed.observe(elapsed_ms(attempt), false);
    }
    if concerns != Concerns::Neither {
        let status = attempt.answer.as_ref().map(|answer| answer.status);
        upstream.last_failure.store(Some(Arc::new(SeenFailure { failure, status, at_ms: unix_ms() })));
    }
    exchange.shared.metrics.attempt(&upstream.name, failure.name());
    trail::note_failed(exchange, failure.name());
}

/// Tells breakers and metrics that the attempt succeeded.
pub(super) fn judge_success(exchange: &mut Exchange) {
    let Some(attempt) = exchange.attempt.as_mut() else { return };
    if std::mem::replace(&mut attempt.judged, true) {
        return;
    }
    let upstream = &attempt.upstream;
    attempt.breakers.success(attempt.pick.permits, steady_unsigned_ms());
    upstream.observed.observe(elapsed_ms(attempt), true);
    exchange.shared.metrics.attempt(&upstream.name, "ok");
}

/// How fast the attempt was: to its first token where it streams, else to its end.
fn elapsed_ms(attempt: &Attempt) -> u64 {
    let to_first_token = attempt.answer.as_ref().and_then(|answer| answer.first_token_after);
    millis(to_first_token.unwrap_or_else(|| attempt.tries.started.elapsed()))
}

/// Tells the breakers that the attempt ended for a reason of the client's, so that a probe is not left open.
pub(super) fn judge_nothing(exchange: &mut Exchange) {
    let Some(attempt) = exchange.attempt.as_mut() else { return };
    if std::mem::replace(&mut attempt.judged, true) {
        return;
    }
    attempt.breakers.release(attempt.pick.permits, steady_unsigned_ms());
    exchange.shared.metrics.attempt(&attempt.upstream.name, "client");
}

/// Gives back the place of a candidate that was taken ahead and never tried.
pub(super) fn drop_next(exchange: &mut Exchange) {
    if let Some(next) = exchange.attempts.next.take() {
        release(exchange, next.pick());
    }
}
