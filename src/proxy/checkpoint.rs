//! How far an answer has got, journaled now and then: what it is billed by if this process dies.

use super::exchange::{Answer, Exchange};
use super::gate::{Gate, Need};
use super::pieces;
use super::settle::output_tokens_max;
use super::uncounted::Delivered;
use crate::clock::millis;
use crate::dialect::Framing;
use crate::ledger::Progress;
use std::time::{Duration, Instant};
use tollgate_plugin_api::UsageSource;

/// Progress is journaled after so many delivered bytes of text (about 256 tokens) …
const CHECKPOINT_TEXT_BYTES: u64 = 1024;
/// … so many pieces with text, which are a token each at least …
const CHECKPOINT_PIECES: u64 = 256;
/// … or so much time.
const CHECKPOINT_TIME: Duration = Duration::from_secs(1);

/// The same for a document that passes as it is and goes out before it has ended: a killed process may have given most of it.
pub(super) fn document_progress(exchange: &mut Exchange) {
    let is_document = |answer: &Answer| {
        answer.framing == Framing::JsonDocument && answer.translation.is_none() && answer.error.is_none()
    };
    if !exchange.control.settled && exchange.answered().is_some_and(is_document) {
        progress(exchange);
    }
}

/// Journals how far an answer has got, now and then: what it is billed by if this process dies.
pub(super) fn progress(exchange: &mut Exchange) {
    let count = exchange.attempts.count;
    let (Some(admitted), Some(attempt)) = (exchange.admitted.as_mut(), exchange.attempt.as_mut()) else { return };
    let limits = admitted.route.output_limits(&attempt.pick);
    let priced = (attempt.price.as_deref(), exchange.started_at_ms);
    let output_tokens_max = output_tokens_max(admitted, &limits, priced, &exchange.snapshot);
    let admitted = &mut **admitted;
    let (Some(hold), Some(answer)) = (admitted.hold.as_mut(), attempt.answer.as_deref_mut()) else { return };
    if !admitted.target.endpoint.answer.uses_tokens() {
        return;
    }
    let delivered = answer.scanner.delivered();
    let delivered_bytes = delivered.total_bytes();
    let checkpoint = &mut answer.checkpoint;
    // With the first token, whatever it costs: who served it, and the prompt, are known from then on.
    let due = !checkpoint.taken
        || checkpoint.at.elapsed() >= CHECKPOINT_TIME
        || delivered_bytes >= checkpoint.delivered_bytes + CHECKPOINT_TEXT_BYTES
        || delivered.pieces() >= checkpoint.delivered_pieces + CHECKPOINT_PIECES;
    if !due {
        return;
    }
    checkpoint.taken = true;
    checkpoint.at = Instant::now();
    checkpoint.delivered_bytes = delivered_bytes;
    checkpoint.delivered_pieces = delivered.pieces();
    let by_client = admitted.facts.service_tier;
    let asked = attempt.tiers.map_or(by_client, |tiers| tiers.asked(by_client));
    let mut metered = answer.scanner.metered().unwrap_or_else(|| answer.scanner.uncounted(asked));
    metered.tier = attempt.tiers.map_or(metered.tier, |tiers| tiers.billed(by_client, metered.tier));
    let (tokens, delivered) = (delivered.passed().tokens_by_look(), Delivered::of(&answer.scanner));
    delivered.count_into(&mut metered, delivered.at_least(tokens), output_tokens_max);
    if metered.usage.input_tokens == 0 {
        let looked = || admitted.prompt.tokens_by_look(admitted.target.endpoint, &admitted.facts);
        metered.usage.input_tokens = *checkpoint.prompt_tokens.get_or_insert_with(looked);
    }
    let priced = (attempt.price.as_deref(), exchange.started_at_ms);
    let request = (admitted.target.endpoint.answer, &admitted.facts);
    if let Some(pieces) = pieces::billed(request, answer, priced, answer.scanner.has_counted()) {
        pieces.add_to(&mut metered, true);
    }
    metered.source = UsageSource::Estimated;
    let cost = exchange.snapshot.prices.cost(attempt.price.as_deref(), &metered, exchange.started_at_ms);
    hold.progress(Progress {
        upstream: attempt.upstream.name.clone(),
        upstream_model: attempt.upstream_model.clone(),
        status: answer.status,
        metered,
        cost_nanos: cost.nanos,
        price_missing: attempt.price.is_none() || cost.missing,
        attempts: count,
        ttft_ms: answer.first_token.map(millis),
    });
    // It is in the journal before the bytes that it counts go out, also while the disk is slow: what a killed process has
    // delivered is billed but for the last checkpoint's worth.
    if let Some(journaled) = hold.checkpointed() {
        exchange.control.gate(Gate::record(journaled, Need::Checkpoint));
    }
}
