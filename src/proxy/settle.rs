//! Stage 5: what it cost. The balance changes before the last byte of the answer goes out; the record follows through the
//! journal. Runs once an exchange, from whichever end comes first.

use super::end::{End, came_to_nothing, words};
use super::exchange::{Admitted, Answer, Attempt, Bill, Exchange, Leases};
use super::gate::{Gate, Need};
use super::pieces::{self, Billed};
use super::uncounted::{Uncounted, uncounted};
use super::{route, trail};
use crate::balance::Failure;
use crate::clock::{millis, steady_ms};
use crate::dialect::chat::OutputLimits;
use crate::estimate;
use crate::ledger::{Hold, Journaled, LedgerRecord, Outcome};
use crate::metrics::{Metrics, Observation};
use crate::price::Price;
use crate::provider::Tiers;
use crate::snapshot::{Snapshot, Upstream};
use pingora::{Error, ErrorType};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::SetOnce;
use tollgate_plugin_api::{Amounts, Metered, UsageSource};

/// The journal did not take the record that the first byte waits for.
pub(super) const BILLING_UNAVAILABLE: ErrorType = ErrorType::Custom("BillingUnavailable");

/// All that a settlement needs, taken out of the exchange so that it can move to another thread.
struct Settlement {
    hold: Hold,
    /// The key has a quota.
    limited: bool,
    bill: Option<Arc<SetOnce<Bill>>>,
    leases: Leases,
    record: LedgerRecord,
    /// What the conventions call the operation.
    operation: &'static str,
    /// The upstream has refused what was asked: every other one would, too.
    refused_as_asked: bool,
    /// What the scanner found; completed by an estimate.
    metered: Metered,
    estimate: Option<Uncounted>,
    snapshot: Arc<Snapshot>,
    upstream: Option<Arc<Upstream>>,
    price: Option<Arc<Price>>,
    metrics: Arc<Metrics>,
}

/// Settles the exchange; the returned gate is passed when the record is in the journal. `None`: there is nothing to settle
/// (never admitted, never sent, or settled before).
pub(super) fn settle(exchange: &mut Exchange, end: End) -> Option<Gate> {
    let settlement = prepare(exchange, end)?;
    // An answer that is quicker than the journal's own thread brings hold and record in one write.
    let need = if settlement.hold.is_journaled() { Need::Wish } else { Need::Must };
    if settlement.estimate.is_none() {
        return Some(Gate::record(settlement.finish(), need));
    }
    // Spawned at once: the settlement happens even if nobody waits for it.
    let running = tokio::task::spawn_blocking(move || settlement.finish());
    Some(Gate::settlement(async move {
        match running.await {
            Ok(journaled) => Gate::record(journaled, need).pass().await,
            Err(error) => {
                // The hold settles itself when it is dropped.
                tracing::error!("settlement: {error}");
                Ok(())
            }
        }
    }))
}

/// Settles; the bytes of this batch wait for the journal. Where nothing is out and the hold is in a write that has stalled, nobody
/// knows yet whether they will be given, so only when the hold is journaled it is settled.
///
/// # Errors
/// The journal has failed, and nothing is out: this answer will not be given, so it must not be billed as if it were.
pub(super) fn settle_with_gate(exchange: &mut Exchange, end: End) -> pingora::Result<()> {
    exchange.control.release();
    if !exchange.control.committed {
        check_hold(exchange)?;
        if hold(exchange).is_some_and(Hold::is_stalled) {
            exchange.control.unsettled = Some(end);
            return Ok(());
        }
    }
    settle_now(exchange, end);
    Ok(())
}

/// Settles; what goes out next waits for the journal.
pub(super) fn settle_now(exchange: &mut Exchange, end: End) {
    let gate = settle(exchange, end);
    if let Some(gate) = gate {
        exchange.control.gate(gate);
    }
}

/// The end of an exchange that was dropped in its middle: no runtime may be there, so the text's look stands in for a tokenizer.
pub(super) fn abandoned(exchange: &mut Exchange) -> End {
    let end = match exchange.shared.is_stopping() {
        _ if std::thread::panicking() => End::Panicked,
        true => End::Stopped,
        false => End::Aborted,
    };
    if let Some(mut settlement) = prepare(exchange, end) {
        if let Some(estimate) = settlement.estimate.take() {
            estimate.complete(&mut settlement.metered, |_, text| text.tokens_by_look());
        }
        drop(settlement.finish());
    }
    end
}

/// The first byte waits until the hold is in the journal; `None`: it is.
pub(super) fn hold_gate(exchange: &Exchange) -> Option<Gate> {
    let hold = hold(exchange)?;
    (!hold.is_journaled()).then(|| Gate::record(hold.journaled(), Need::Must))
}

fn hold(exchange: &Exchange) -> Option<&Hold> {
    exchange.admitted.as_ref()?.hold.as_ref()
}

/// Whether the journal may still take the hold.
///
/// # Errors
/// `BILLING_UNAVAILABLE`: it could not.
fn check_hold(exchange: &Exchange) -> pingora::Result<()> {
    if hold(exchange).is_some_and(Hold::has_failed) {
        return Error::e_explain(BILLING_UNAVAILABLE, "the journal takes no records");
    }
    Ok(())
}

fn prepare(exchange: &mut Exchange, end: End) -> Option<Settlement> {
    if exchange.control.settled {
        return None;
    }
    let hold = exchange.admitted.as_mut()?.hold.take()?;
    exchange.control.settled = true;
    if let Some(keeping) = exchange.keeping.as_mut().filter(|_| end == End::Whole) {
        keeping.answer_is_whole();
    }
    if exchange.attempts.count == 0 {
        // Never sent towards an upstream: no record.
        hold.void();
        return None;
    }
    // Nothing is learned of an upstream whose attempt was not judged by now; a probe's place must come back.
    route::judge_nothing(exchange);
    let gone = exchange.client_gone();
    let delivered = exchange.control.delivered;
    let duration_ms = exchange.elapsed_ms();
    let admitted = exchange.admitted.as_mut()?;
    let price = exchange.attempt.as_ref().and_then(|attempt| attempt.price.clone());
    let limits = exchange.attempt.as_ref().map(|attempt| admitted.route.output_limits(&attempt.pick));
    let limits = limits.unwrap_or_default();
    let tiers = exchange.attempt.as_ref().and_then(|attempt| attempt.tiers);
    let answer = exchange.attempt.as_mut().and_then(|attempt| attempt.answer.as_deref_mut());
    let priced = (price.as_deref(), exchange.started_at_ms);
    let output_tokens_max = output_tokens_max(admitted, &limits, priced, &exchange.snapshot);
    let (metered, estimate) = measured(admitted, answer.as_deref(), end, (priced, output_tokens_max), tiers);
    let (outcome, status, error_code) = words(end, (gone, delivered), answer.as_deref());
    let first_token_ms = answer.as_ref().and_then(|answer| answer.first_token).map(millis);
    let mut record = LedgerRecord::from_opening(hold.opening());
    record.outcome = outcome;
    record.status = status;
    record.error_code = error_code;
    record.attempts = exchange.attempts.count;
    record.duration_ms = duration_ms;
    record.ttft_ms = first_token_ms;
    let mut leases = std::mem::take(&mut admitted.leases);
    let (limited, operation) = (admitted.limited, admitted.target.endpoint.conventional_name);
    if let Some(attempt) = exchange.attempt.as_mut() {
        leases.append(&mut attempt.leases);
    }
    if let Some(trail) = trail::kept(exchange, record.outcome.as_str(), record.error_code.as_deref()) {
        hold.trail(&trail);
    }
    let attempt = exchange.attempt.as_ref();
    if let Some(attempt) = attempt {
        record.upstream = attempt.upstream.name.clone();
        record.upstream_model = attempt.upstream_model.clone();
    }
    Some(Settlement {
        hold,
        limited,
        bill: exchange.bill.clone(),
        leases,
        record,
        operation,
        refused_as_asked: attempt.is_some_and(is_refused_as_asked),
        metered,
        estimate,
        snapshot: exchange.snapshot.clone(),
        upstream: attempt.map(|attempt| attempt.upstream.clone()),
        price,
        metrics: exchange.shared.metrics.clone(),
    })
}

/// What the answer came to by what it says, and how to estimate what it does not.
fn measured(
    admitted: &mut Admitted,
    answer: Option<&Answer>,
    end: End,
    (priced, output_tokens_max): ((Option<&Price>, i64), u64),
    tiers: Option<Tiers>,
) -> (Metered, Option<Uncounted>) {
    // What our own refusal took the place of was never delivered: it is not billed.
    let billed = answer.filter(|answer| !matches!(end, End::NoAnswer(_)) && !came_to_nothing(answer, end));
    let Some(answer) = billed else { return Default::default() };
    let (scanner, by_client) = (&answer.scanner, admitted.facts.service_tier);
    let asked = tiers.map_or(by_client, |tiers| tiers.asked(by_client));
    let reported = scanner.metered();
    let has_tokens = reported.is_some();
    let request = (admitted.target.endpoint.answer, &admitted.facts);
    let pieces = pieces::billed(request, answer, priced, has_tokens);
    let needs_estimate = has_tokens || !pieces.as_ref().is_some_and(Billed::stands_alone);
    let counting = || uncounted(admitted, answer, end, reported.as_ref(), output_tokens_max);
    let estimate = needs_estimate.then(counting).flatten();
    // What is estimated costs what the answer said beside counts: its tier, its searches.
    let said = || (estimate.is_some() || pieces.is_some()).then(|| scanner.uncounted(asked));
    let mut metered = Metered { disbelieved: scanner.disbelieved(), ..reported.or_else(said).unwrap_or_default() };
    metered.tier = tiers.map_or(metered.tier, |tiers| tiers.billed(by_client, metered.tier));
    if let Some(pieces) = pieces {
        pieces.add_to(&mut metered, !has_tokens);
    }
    (metered, estimate)
}

/// Whether the upstream refused what was asked, for itself or for all: that is no failure of it. (A model that is not there is one
/// of whoever configured it.)
fn is_refused_as_asked(attempt: &Attempt) -> bool {
    matches!(attempt.failure, Some(Failure::Client | Failure::Elsewhere))
}

impl Settlement {
    /// Estimates if need be, prices, settles, counts.
    fn finish(mut self) -> Journaled {
        if let Some(estimate) = self.estimate.take() {
            estimate.complete(&mut self.metered, estimate::tokens);
        }
        let billed = self.metered.source != UsageSource::None;
        let cost = self.snapshot.prices.cost(self.price.as_deref(), &self.metered, self.record.started_at_ms);
        self.record.cost_nanos = if billed { cost.nanos } else { 0 };
        // Where nothing came that could have had a price, none is missing.
        let answered = billed || self.record.outcome == Outcome::Ok;
        self.record.price_missing = answered && (self.price.is_none() || cost.missing);
        let usage = &self.metered.usage;
        let used = Amounts {
            requests: 1,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_nanos: u64::try_from(self.record.cost_nanos).unwrap_or(0),
        };
        if !self.leases.is_empty() {
            let now_ms = steady_ms();
            self.leases.iter_mut().for_each(|lease| lease.used(used, now_ms));
        }
        // Before the last bytes go out: whoever has the answer finds what is left.
        self.leases.clear();
        self.record.metered = self.metered;
        if let Some(upstream) = &self.upstream {
            let record = &self.record;
            self.metrics.observe(&Observation {
                provider: upstream.provider.conventional_name(),
                model: &record.model,
                upstream: &upstream.name,
                endpoint: &record.endpoint,
                operation: self.operation,
                outcome: record.outcome.as_str(),
                failed: record.outcome == Outcome::UpstreamError && !self.refused_as_asked,
                error_type: record.error_code.as_deref(),
                metered: &record.metered,
                cost_nanos: record.cost_nanos,
                price_missing: record.price_missing,
                overshoot: self.limited && record.cost_nanos > self.hold.held_nanos(),
                duration_seconds: Duration::from_millis(record.duration_ms).as_secs_f64(),
                first_token_seconds: record.ttft_ms.map(|ms| Duration::from_millis(ms).as_secs_f64()),
            });
        }
        if let Some(bill) = &self.bill {
            // Set once: an exchange is settled once.
            let _ = bill.set(Bill {
                metered: self.record.metered.clone(),
                cost_nanos: self.record.cost_nanos,
                status: self.record.status,
                outcome: self.record.outcome.as_str(),
                error_code: self.record.error_code.clone(),
                ttft_ms: self.record.ttft_ms,
            });
        }
        self.hold.settle(self.record)
    }
}

/// The most output tokens that can come of the request at an upstream with this price, as of when it began.
pub(super) fn output_tokens_max(
    admitted: &Admitted,
    limits: &OutputLimits,
    (price, started_at_ms): (Option<&Price>, i64),
    snapshot: &Snapshot,
) -> u64 {
    let of_model = price.and_then(|price| price.limits(started_at_ms).output_tokens_max);
    admitted.facts.output_tokens_bound(limits, of_model, snapshot.routing.output_tokens_default)
}
