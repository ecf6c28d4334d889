//! What the ledger is told about a request: how it opened, how far it got, how it ended.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use tollgate_plugin_api::{Metered, Usage, UsageSource, words};
use uuid::Uuid;

/// Longest text kept in one field of a record, in bytes; what is longer is cut at a character.
pub const TEXT_BYTES_MAX: usize = 512;

/// The error code of a request that a panic ended.
pub const INTERNAL_ERROR: &str = "INTERNAL_ERROR";

/// Most extra usages kept in one record.
pub const EXTRAS_MAX: usize = 32;

/// What is known of a request at admission: all that recovery needs to write an `interrupted` record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Our id of the request, a UUIDv7; one ledger record exists for it at most.
    pub request_id: Uuid,
    /// Unix time in milliseconds at which the request arrived.
    pub started_at_ms: i64,
    /// Who pays.
    pub key_id: i64,
    /// The key's name at that time.
    pub key_name: Arc<str>,
    /// The key's user at that time.
    pub user: Option<Arc<str>>,
    /// The key's group at that time.
    pub group: Arc<str>,
    /// Name of the endpoint (`chat`, `embeddings` …).
    pub endpoint: Cow<'static, str>,
    /// Name of the caller's dialect.
    pub dialect: Cow<'static, str>,
    /// The model the client asked for.
    pub model: Arc<str>,
    /// True: the client asked for a stream.
    pub stream: bool,
    /// Version of the price book that this request is billed by.
    pub price_version: Arc<str>,
}

/// How far a request has got: what it is billed by if nothing else is heard of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Name of the upstream that is serving it.
    pub upstream: Arc<str>,
    /// The model's name there.
    pub upstream_model: Arc<str>,
    /// Status sent to the client so far; 0: none yet.
    pub status: u16,
    /// What was consumed so far.
    #[serde(with = "super::finer::first")]
    pub metered: Metered,
    /// What that costs, in nano-USD.
    pub cost_nanos: i64,
    /// True: the model has no price.
    pub price_missing: bool,
    /// Upstreams tried so far.
    pub attempts: u32,
    /// Milliseconds from arrival to the first token.
    pub ttft_ms: Option<u64>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer is whole.
    #[default]
    Ok,
    /// The client went away.
    ClientAborted,
    /// The upstream failed, before the answer or in the middle of it.
    UpstreamError,
    /// The gateway itself died, or its handling of this request did.
    Interrupted,
}

words!(Outcome {
    Ok = "ok",
    ClientAborted = "client_aborted",
    UpstreamError = "upstream_error",
    Interrupted = "interrupted",
});

/// One request that was sent towards an upstream: a row of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// Our id of the request, a UUIDv7.
    pub request_id: Uuid,
    /// Unix time in milliseconds at which the request arrived.
    pub started_at_ms: i64,
    /// Who paid.
    pub key_id: i64,
    /// The key's name at that time.
    pub key_name: Arc<str>,
    /// The key's user at that time.
    pub user: Option<Arc<str>>,
    /// The key's group at that time.
    pub group: Arc<str>,
    /// Name of the endpoint.
    pub endpoint: Cow<'static, str>,
    /// Name of the caller's dialect.
    pub dialect: Cow<'static, str>,
    /// The model the client asked for.
    pub model: Arc<str>,
    /// Name of the upstream that served it, or was tried last; empty: unknown.
    pub upstream: Arc<str>,
    /// The model's name there.
    pub upstream_model: Arc<str>,
    /// True: the client asked for a stream.
    pub stream: bool,
    /// What the client got; 0: nothing.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// What was consumed, and where the counts come from.
    #[serde(with = "super::finer::first")]
    pub metered: Metered,
    /// What that cost, in nano-USD; never negative.
    pub cost_nanos: i64,
    /// What was held for it at admission, in nano-USD; the ledger writes this one itself.
    pub held_nanos: i64,
    /// True: it cost more than was held for it; the ledger writes this one itself.
    pub overshoot: bool,
    /// Version of the price book it was billed by.
    pub price_version: Arc<str>,
    /// True: the model has no price.
    pub price_missing: bool,
    /// Upstreams tried.
    pub attempts: u32,
    /// Milliseconds from arrival to the first token.
    pub ttft_ms: Option<u64>,
    /// Milliseconds from arrival to the end; if nobody was there to see that, to the last that was heard of the process.
    pub duration_ms: u64,
    /// What went wrong, as a code.
    pub error_code: Option<String>,
}

/// Whether a request of which a record says this was served: something was billed, or an answer delivered. Only one
/// that was not may come again with its idempotency key.
pub(crate) fn served(cost_nanos: i64, outcome: Outcome, status: u16) -> bool {
    cost_nanos > 0 || (outcome != Outcome::UpstreamError && (200..300).contains(&status))
}

impl LedgerRecord {
    /// A record with what was known at admission, to be completed.
    pub fn from_opening(opening: &Opening) -> Self {
        Self {
            request_id: opening.request_id,
            started_at_ms: opening.started_at_ms,
            key_id: opening.key_id,
            key_name: opening.key_name.clone(),
            user: opening.user.clone(),
            group: opening.group.clone(),
            endpoint: opening.endpoint.clone(),
            dialect: opening.dialect.clone(),
            model: opening.model.clone(),
            stream: opening.stream,
            price_version: opening.price_version.clone(),
            ..Self::default()
        }
    }

    /// The record of a request of which nothing more is heard: billed by its last progress, or not at all if there is
    /// none. `heard_of_at_ms`: Unix time at which it was still running, as far as is known.
    pub fn interrupted(
        opening: &Opening,
        held_nanos: i64,
        progress: Option<&Progress>,
        heard_of_at_ms: Option<i64>,
    ) -> Self {
        let mut record = Self { held_nanos, outcome: Outcome::Interrupted, ..Self::from_opening(opening) };
        if let Some(progress) = progress {
            record.upstream.clone_from(&progress.upstream);
            record.upstream_model.clone_from(&progress.upstream_model);
            record.status = progress.status;
            record.metered = progress.metered.clone();
            record.cost_nanos = progress.cost_nanos;
            record.price_missing = progress.price_missing;
            record.attempts = progress.attempts;
            record.ttft_ms = progress.ttft_ms;
            let nothing = record.metered.usage == Usage::default() && record.cost_nanos == 0;
            record.metered.source = if nothing { UsageSource::None } else { UsageSource::Estimated };
        }
        let ran_ms = heard_of_at_ms.map_or(0, |at_ms| at_ms.saturating_sub(record.started_at_ms));
        record.duration_ms = u64::try_from(ran_ms).unwrap_or(0).max(record.ttft_ms.unwrap_or(0));
        // Where there is a quota, something is held, but for what is free.
        record.overshoot = record.exceeds_hold(held_nanos > 0);
        record
    }

    /// Whether it costs more than was held for it; `is_limited`: there was a quota.
    pub(super) fn exceeds_hold(&self, is_limited: bool) -> bool {
        is_limited && self.cost_nanos > self.held_nanos
    }

    /// Brings every field into its limits, so that any record can be journaled and stored.
    pub(super) fn bound(&mut self) {
        for text in [&mut self.key_name, &mut self.group, &mut self.model, &mut self.upstream, &mut self.upstream_model]
        {
            cut_shared(text);
        }
        cut_shared(&mut self.price_version);
        cut_cow(&mut self.endpoint);
        cut_cow(&mut self.dialect);
        self.user.as_mut().map(cut_shared);
        self.error_code.as_mut().map(cut);
        self.cost_nanos = self.cost_nanos.max(0);
        self.ttft_ms = self.ttft_ms.map(|ms| ms.min(COUNT_MAX));
        self.duration_ms = self.duration_ms.min(COUNT_MAX);
        bound_metered(&mut self.metered);
    }
}

impl Opening {
    /// Brings every field into its limits.
    pub(super) fn bound(&mut self) {
        for text in [&mut self.key_name, &mut self.group, &mut self.model, &mut self.price_version] {
            cut_shared(text);
        }
        cut_cow(&mut self.endpoint);
        cut_cow(&mut self.dialect);
        self.user.as_mut().map(cut_shared);
    }
}

impl Progress {
    /// Brings every field into its limits.
    pub(super) fn bound(&mut self) {
        cut_shared(&mut self.upstream);
        cut_shared(&mut self.upstream_model);
        self.cost_nanos = self.cost_nanos.max(0);
        self.ttft_ms = self.ttft_ms.map(|ms| ms.min(COUNT_MAX));
        bound_metered(&mut self.metered);
    }
}

/// Largest count that a store keeps: SQL integers are signed. A sum of a billion such rows would not fit, so the limit
/// is far lower; believable counts end at 1e9.
const COUNT_MAX: u64 = 1 << 40;

fn bound_metered(metered: &mut Metered) {
    metered.extras.truncate(EXTRAS_MAX);
    bound_usage(&mut metered.usage);
    let detail = &mut metered.detail;
    for count in [
        &mut detail.cache_write_1h_tokens,
        &mut detail.input_audio_tokens,
        &mut detail.cached_audio_tokens,
        &mut detail.input_image_tokens,
        &mut detail.output_audio_tokens,
        &mut detail.output_image_tokens,
        &mut detail.web_searches,
    ] {
        *count = (*count).min(COUNT_MAX);
    }
    metered.inference_geo.as_mut().map(cut);
    for extra in &mut metered.extras {
        let finer = [&mut extra.cache_write_1h_tokens, &mut extra.input_image_tokens, &mut extra.output_image_tokens];
        for count in finer.into_iter().chain([&mut extra.times]) {
            *count = (*count).min(COUNT_MAX);
        }
        cut(&mut extra.kind);
        extra.model.as_mut().map(cut);
        bound_usage(&mut extra.usage);
    }
}

fn bound_usage(usage: &mut Usage) {
    for count in [
        &mut usage.input_tokens,
        &mut usage.cached_input_tokens,
        &mut usage.cache_write_tokens,
        &mut usage.output_tokens,
        &mut usage.reasoning_tokens,
    ] {
        *count = (*count).min(COUNT_MAX);
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
}

fn cut_shared(text: &mut Arc<str>) {
    if text.len() > TEXT_BYTES_MAX {
        *text = text[..text.floor_char_boundary(TEXT_BYTES_MAX)].into();
    }
}

fn cut_cow(text: &mut Cow<'static, str>) {
    if text.len() > TEXT_BYTES_MAX {
        cut(text.to_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_outcomes_are_read_back() {
        for (_, outcome) in Outcome::WORDS {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(*outcome));
        }
        assert_eq!(Outcome::parse("OK"), None);
    }

    #[test]
    fn an_interrupted_record_is_billed_by_its_last_progress() {
        let opening = Opening { key_id: 7, model: "m".into(), ..Opening::default() };
        let nothing = LedgerRecord::interrupted(&opening, 50, None, None);
        assert_eq!((nothing.cost_nanos, nothing.metered.source), (0, UsageSource::None));
        let mut progress = Progress { cost_nanos: 9, attempts: 2, ttft_ms: Some(350), ..Progress::default() };
        progress.metered.usage.output_tokens = 3;
        progress.metered.source = UsageSource::Reported;
        let some = LedgerRecord::interrupted(&opening, 50, Some(&progress), None);
        assert_eq!((some.cost_nanos, some.held_nanos, some.attempts), (9, 50, 2));
        assert_eq!(some.metered.source, UsageSource::Estimated);
        assert_eq!(some.outcome, Outcome::Interrupted);
        assert_eq!((nothing.duration_ms, some.duration_ms), (0, 350), "it lasted no shorter");
        let opening = Opening { started_at_ms: 1_000, ..opening };
        for (heard_of_at_ms, ran_ms) in [(9_000, 8_000), (1_200, 350), (-5, 350), (i64::MIN, 350)] {
            let heard_of = LedgerRecord::interrupted(&opening, 50, Some(&progress), Some(heard_of_at_ms));
            assert_eq!(heard_of.duration_ms, ran_ms, "heard of at {heard_of_at_ms}");
        }
    }

    #[test]
    fn long_text_is_cut_at_a_character_and_counts_are_bounded() {
        let mut record = LedgerRecord { model: "é".repeat(1000).into(), cost_nanos: -5, ..LedgerRecord::default() };
        record.metered.usage.input_tokens = u64::MAX;
        record.bound();
        assert_eq!(record.model.len(), TEXT_BYTES_MAX);
        assert_eq!(record.cost_nanos, 0);
        assert!(record.metered.usage.input_tokens <= COUNT_MAX);
    }
}
