//! What nobody counted of an answer, and what it comes to: usage that was not reported, or only one side of it.

use super::end::End;
use super::exchange::{Admitted, Answer};
use super::prompt::Prompt;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::usage::{MediaTokens, Scanner, Unreported};
use crate::dialect::{Answer as AnswerKind, Passed};
use crate::estimate;
use std::sync::Arc;
use tollgate_plugin_api::{Metered, UsageSource};

/// What an estimate is made from.
pub(super) struct Uncounted {
    unreported: Unreported,
    model: Arc<str>,
    endpoint: &'static Endpoint,
    prompt: Prompt,
    text: Passed,
    delivered: Delivered,
    /// What was delivered is the prompt, spoken.
    is_spoken: bool,
    /// What the upstream was asked for at most.
    output_tokens_max: u64,
}

/// What an estimate of so many tokens is billed by: no more than was asked for at most, as no hold is. Unless more pieces than that
/// have come: then the limit has not been kept to, or not for thoughts, and what was delivered is not free.
fn within(output_tokens_max: u64, tokens: u64, pieces: u64) -> u64 {
    if pieces > output_tokens_max { tokens } else { tokens.min(output_tokens_max) }
}

/// What of an answer was delivered, beside how many tokens its text has.
pub(super) struct Delivered {
    text_bytes: u64,
    /// Strings that the text came in.
    pieces: u64,
    /// What was thought is counted apart, and so many bytes of the text are of that; nobody has counted the others.
    thoughts_alone: Option<u64>,
    media: MediaTokens,
}

impl Delivered {
    /// As far as it has passed.
    pub(super) fn of(scanner: &Scanner) -> Self {
        let text = scanner.delivered();
        Self {
            text_bytes: text.total_bytes(),
            pieces: text.pieces(),
            thoughts_alone: scanner.thoughts_alone(),
            media: scanner.media_tokens(),
        }
    }

    /// There are no fewer tokens of the text than pieces came.
    pub(super) fn at_least(&self, tokens: u64) -> u64 {
        tokens.max(self.pieces)
    }

    /// Sees to it that at least what was delivered counts as generated: text of so many tokens, with what was thought, and media.
    pub(super) fn count_into(&self, metered: &mut Metered, text_tokens: u64, output_tokens_max: u64) {
        let (usage, detail) = (&mut metered.usage, &mut metered.detail);
        let all = self.beside_thoughts(text_tokens, usage.reasoning_tokens).saturating_add(self.media.sum());
        let all = within(output_tokens_max, all, self.pieces);
        if all <= usage.output_tokens {
            return;
        }
        usage.output_tokens = all;
        detail.output_image_tokens = self.media.image.min(all);
        detail.output_audio_tokens = self.media.audio.min(all - detail.output_image_tokens);
    }

    /// As many tokens of the text are thoughts as bytes are: it is an estimate.
    fn beside_thoughts(&self, tokens: u64, thought_tokens: u64) -> u64 {
        let Some(thought_bytes) = self.thoughts_alone else { return tokens };
        let thought = u128::from(tokens) * u128::from(thought_bytes.min(self.text_bytes));
        let thought = u64::try_from(thought / u128::from(self.text_bytes.max(1))).unwrap_or(tokens);
        thought.max(thought_tokens).saturating_add(tokens - thought)
    }
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
    Some(Uncounted {
        unreported,
        model: admitted.route.model.clone(),
        endpoint,
        prompt: std::mem::take(&mut admitted.prompt),
        text: answer.scanner.delivered().passed().clone(),
        delivered: Delivered::of(&answer.scanner),
        is_spoken: endpoint.answer == AnswerKind::Speech && answer.scanner.token_seen(),
        output_tokens_max,
    })
}

impl Uncounted {
    /// Fills in what was not reported: the prompt, and what was delivered, of which there is no less than pieces came. `count` counts
    /// the tokens of a model's text.
    pub(super) fn complete(self, metered: &mut Metered, count: impl Fn(&str, &Passed) -> u64) {
        if self.unreported.output {
            let tokens = match self.is_spoken {
                true => estimate::spoken(self.prompt.text(self.endpoint).bytes()),
                false => self.delivered.at_least(count(&self.model, &self.text)),
            };
            self.delivered.count_into(metered, tokens, self.output_tokens_max);
        }
        let usage = &mut metered.usage;
        if self.unreported.input && usage.input_tokens == 0 {
            usage.input_tokens = self.prompt.text(self.endpoint).tokens(|text| count(&self.model, text));
        }
        metered.source = UsageSource::Estimated;
    }
}
