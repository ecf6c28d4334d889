//! What a request says of thinking, and how many tokens may come of it beyond the limit.

use super::RequestFacts;
use crate::dialect::chat::{OutputLimits, Rest, Thinks};

/// What an answer may have beyond its limit of answer and thoughts, and thoughts beyond theirs: "the actual number may deviate from
/// `max_completion_tokens` by up to 10 tokens" (Alibaba Cloud Model Studio, OpenAI-compatible chat, summer of 2026).
const TOLERANCE_TOKENS: u64 = 10;

/// What a request says of thinking, in whichever words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedThinking {
    /// `enable_thinking`.
    pub(super) switch: Option<bool>,
    /// `thinking.type`: whether it is another one than `disabled`.
    pub(super) mode: Option<bool>,
    /// An effort, or other words for it: whether some is wanted.
    pub(super) effort: Option<bool>,
    /// The most tokens that are to be thought. 0: none.
    pub(super) budget_tokens: Option<u64>,
}

impl AskedThinking {
    /// This, beside what may take its place or mean nothing to whoever gets it: only what asks for more counts of that.
    pub(super) fn raised_by(self, other: Self) -> Self {
        let raised = |own: Option<bool>, other: Option<bool>| other.filter(|asks| *asks).or(own);
        let budget = other.budget_tokens.unwrap_or(0);
        Self {
            switch: raised(self.switch, other.switch),
            mode: raised(self.mode, other.mode),
            effort: raised(self.effort, other.effort.or((budget > 0).then_some(true))),
            // Alone it limits nothing.
            budget_tokens: self.budget_tokens.map(|own| own.max(budget)),
        }
    }

    /// Whether anything in the request may make a model think that does not by itself.
    fn is_asked(self) -> bool {
        let said = [self.switch, self.mode, self.effort];
        said.contains(&Some(true)) || self.budget_tokens.is_some_and(|tokens| tokens > 0)
    }

    /// Whether a model is told not to think that is told so like this.
    fn is_refused(self, rest: Rest) -> bool {
        match rest {
            Rest::Never => false,
            Rest::Switch => self.switch == Some(false) && self.effort != Some(true),
            Rest::Mode => self.mode == Some(false),
            Rest::Translated => {
                let is_said =
                    [self.switch, self.mode, self.effort].contains(&Some(false)) || self.budget_tokens == Some(0);
                is_said && !self.is_asked()
            }
        }
    }
}

impl RequestFacts {
    /// The most output tokens that can come of it at a candidate, by which it is held and its counts are judged: its own limit, else the
    /// model's, else `otherwise`, and what the model may think beyond that; for each of the answers.
    pub fn output_tokens_bound(&self, limits: &OutputLimits, of_model: Option<u64>, otherwise: u64) -> u64 {
        let most = of_model.unwrap_or(otherwise);
        let own = self.output_tokens_max.filter(|_| !(limits.zero_is_no_limit && self.limit_is_zero));
        let beyond = self.tokens_beyond(limits, most);
        own.map_or(most, |own| own.max(limits.least)).saturating_add(beyond).saturating_mul(self.answers_max())
    }

    /// What the model may generate beyond the limit.
    fn tokens_beyond(&self, limits: &OutputLimits, most: u64) -> u64 {
        let OutputLimits { beyond, rest, has_whole_limit, .. } = *limits;
        let Some(asked) = self.thinking.filter(|_| beyond.thinks != Thinks::Never) else { return 0 };
        if has_whole_limit && self.output_tokens_max.is_some() && !self.limits_answer_alone {
            return TOLERANCE_TOKENS;
        }
        let thinks = match beyond.thinks {
            Thinks::Never => false,
            Thinks::Asked => asked.is_asked(),
            Thinks::UnlessTold => !asked.is_refused(rest),
            Thinks::Always => true,
        };
        let most = beyond.tokens.unwrap_or(most);
        match asked.budget_tokens.filter(|_| beyond.heeds_budget) {
            _ if !thinks => 0,
            Some(budget) => most.min(budget.saturating_add(TOLERANCE_TOKENS)),
            None => most,
        }
    }
}
