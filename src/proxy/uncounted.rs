//! What nobody counted of an answer, and what it comes to: usage that was not reported, or only one side of it.

use super::exchange::{Admitted, Answer};
use super::prompt::Prompt;
use super::settle::End;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::usage::Unreported;
use crate::dialect::{Answer as AnswerKind, Passed};
use crate::estimate;
use std::sync::Arc;
use tollgate_plugin_api::{Metered, Usage, UsageSource};

/// What an estimate is made from.
pub(super) struct Uncounted {
    unreported: Unreported,
    model: Arc<str>,
    endpoint: &'static Endpoint,
    prompt: Prompt,
    delivered: Passed,
    /// What was delivered is the prompt, spoken.
    is_spoken: bool,
    /// Strings that it came in.
    delivered_pieces: u64,
    thoughts_alone: Option<u64>,
    /// What the upstream was asked for at most.
    output_tokens_max: u64,
}

/// What an estimate of so many tokens is billed by: no more than was asked for at most, as no hold is. Unless more pieces than that
/// have come: then the limit has not been kept to, or not for thoughts, and what was delivered is not free.
pub(super) fn within(output_tokens_max: u64, tokens: u64, pieces: u64) -> u64 {
    if pieces > output_tokens_max { tokens } else { tokens.min(output_tokens_max) }
}

/// What was generated where so many tokens, in so many bytes, were delivered. `thoughts_alone`: what was thought is counted apart, and so
/// many of the bytes are of that; nobody has counted the others. (As many tokens of them as there are bytes: it is an estimate.)
pub(super) fn beside_thoughts(usage: &Usage, tokens: u64, bytes: u64, thoughts_alone: Option<u64>) -> u64 {
    let Some(thought_bytes) = thoughts_alone else { return tokens };
    let thought = u128::from(tokens) * u128::from(thought_bytes.min(bytes)) / u128::from(bytes.max(1));
    let thought = u64::try_from(thought).unwrap_or(tokens);
    thought.max(usage.reasoning_tokens).saturating_add(tokens - thought)
}

/// What an estimate is made from, if one is needed: an answer was on its way, and its usage is not (wholly) reported.
pub(super) fn uncounted(
    admitted: &mut Admitted,
    answer: &Answer,
    end: End,
    reported: Option<&Metered>,
    output_tokens_max: u64,
) -> Option<Uncounted> {
    let endpoint = admitted.target.endpoint;
    if answer.status >= 400 || answer.error.is_some() || !endpoint.answer.uses_tokens() {
        return None;
    }
    let unreported = match reported {
        Some(reported) => answer.scanner.unreported(&reported.usage, end != End::Whole),
        None => Unreported { input: true, output: true },
    };
    if unreported == Unreported::default() {
        return None;
    }
    let delivered = answer.scanner.delivered();
    Some(Uncounted {
        unreported,
        model: admitted.route.model.clone(),
        endpoint,
        prompt: std::mem::take(&mut admitted.prompt),
        delivered: delivered.passed().clone(),
        delivered_pieces: delivered.pieces(),
        thoughts_alone: answer.scanner.thoughts_alone(),
        is_spoken: endpoint.answer == AnswerKind::Speech && answer.scanner.token_seen(),
        output_tokens_max,
    })
}

impl Uncounted {
    /// Fills in what was not reported: the prompt, and what was delivered, of which there is no less than pieces came. `count` counts
    /// the tokens of a model's text.
    pub(super) fn complete(self, metered: &mut Metered, count: impl Fn(&str, &Passed) -> u64) {
        let usage = &mut metered.usage;
        if self.unreported.output {
            let delivered = match self.is_spoken {
                true => estimate::spoken(self.prompt.text(self.endpoint).bytes()),
                false => count(&self.model, &self.delivered).max(self.delivered_pieces),
            };
            let all = beside_thoughts(usage, delivered, self.delivered.bytes(), self.thoughts_alone);
            let all = within(self.output_tokens_max, all, self.delivered_pieces);
            usage.output_tokens = usage.output_tokens.max(all);
        }
        if self.unreported.input && usage.input_tokens == 0 {
            usage.input_tokens = self.prompt.text(self.endpoint).tokens(|text| count(&self.model, text));
        }
        metered.source = UsageSource::Estimated;
    }
}
