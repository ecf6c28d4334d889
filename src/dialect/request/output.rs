//! How much is to be generated, and how, as a request says it: its limits, what it says of thinking, and whether it names a tier.

use super::RequestFacts;
use super::thinking::AskedThinking;
use crate::dialect::DialectId;

/// What one object says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AskedOutput {
    /// The largest of its limits.
    pub(super) tokens_max: Option<u64>,
    /// One of them may be of the answer alone.
    pub(super) limits_answer_alone: bool,
    /// The limit that llama.cpp goes by, and nobody else.
    pub(super) predicted: u64,
    /// That was given, and is none.
    pub(super) is_unlimited: bool,
    pub(super) thinking: AskedThinking,
    /// Anthropic's kind of thinking that heeds a budget.
    pub(super) thinks_by_budget: bool,
    /// A service tier is named, be it the standard one, and not left to the account.
    pub(super) names_tier: bool,
}

impl AskedOutput {
    /// This, beside what may take its place or mean nothing to whoever gets it: whichever asks for more.
    pub(super) fn raised_by(self, other: Self) -> Self {
        Self {
            tokens_max: match (self.tokens_max, other.tokens_max) {
                // Zero may be no limit.
                (Some(0), Some(1..)) => None,
                // Alone it limits nothing.
                (own, other) => own.map(|own| own.max(other.unwrap_or(0))),
            },
            limits_answer_alone: self.limits_answer_alone || other.limits_answer_alone,
            predicted: self.predicted.max(other.predicted),
            is_unlimited: self.is_unlimited || other.is_unlimited,
            thinking: self.thinking.raised_by(other.thinking),
            thinks_by_budget: self.thinks_by_budget,
            names_tier: self.names_tier,
        }
    }

    /// Notes it in what is known of a request of this dialect.
    pub(super) fn note(self, dialect: DialectId, facts: &mut RequestFacts) {
        // llama.cpp's overrules the others there; alone it limits nothing elsewhere.
        let own = self.tokens_max.filter(|_| !self.is_unlimited);
        facts.output_tokens_max = own.map(|limit| limit.max(self.predicted));
        facts.limits_answer_alone = self.limits_answer_alone;
        facts.names_tier = self.names_tier;
        let heeds_budget = dialect != DialectId::Anthropic || self.thinks_by_budget;
        let budget_tokens = self.thinking.budget_tokens.filter(|_| heeds_budget);
        facts.thinking = Some(AskedThinking { budget_tokens, ..self.thinking });
    }
}
