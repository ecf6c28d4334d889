//! What models may think beyond a request's limit: at some vendors `max_tokens` limits the answer alone.

use super::wire::{ChatRules, ReasoningForm};
use serde::Deserialize;

/// When a model thinks beyond the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thinks {
    /// Never: it does not think, or the limit holds for its thoughts, too.
    #[default]
    Never,
    /// When the request asks for it.
    Asked,
    /// Unless the request tells it not to.
    UnlessTold,
    /// Whatever the request says.
    Always,
}

/// What a vendor's row says of models whose thoughts `max_tokens` does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeyondLimit {
    /// When they think.
    pub thinks: Thinks,
    /// How many tokens they think at most. `None`: as many as the price row says that the model generates, else the configured default.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Whether `thinking_budget` limits their thoughts.
    #[serde(default)]
    pub heeds_budget: bool,
}

/// How a model can be told not to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    /// It cannot, as far as is known.
    #[default]
    Never,
    /// By `enable_thinking`.
    Switch,
    /// By `thinking.type`.
    Mode,
    /// By what the client's dialect has for it, which is translated.
    Translated,
}

/// How the output of one candidate is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// What it thinks beyond `max_tokens`.
    pub beyond: BeyondLimit,
    /// How it is told not to.
    pub rest: Rest,
    /// Whether it takes `max_completion_tokens`, which limits answer and thoughts.
    pub has_whole_limit: bool,
    /// A limit of 0 is none, in legacy completions too.
    pub zero_is_no_limit: bool,
    /// A smaller limit goes out as this.
    pub least: u64,
}

impl ChatRules {
    /// Whether a model's output limit is called `max_completion_tokens`.
    pub fn names_newer_limit(&self, model: &str) -> bool {
        self.max_completion_tokens.of(model) == Some(&true)
    }

    /// How the output of a model is limited where it gets a request as its vendor's own clients write it, or one that is translated.
    pub fn output_limits(&self, model: &str, is_translated: bool) -> OutputLimits {
        let form = self.reasoning.of(model).copied().unwrap_or_default();
        let rest = match (is_translated, form) {
            // What becomes of a wish for no thoughts is known of these forms alone.
            (true, ReasoningForm::EnableThinking | ReasoningForm::Thinking | ReasoningForm::Switch) => Rest::Translated,
            (true, ReasoningForm::Effort | ReasoningForm::Object) => Rest::Never,
            (false, ReasoningForm::Thinking | ReasoningForm::Switch) => Rest::Mode,
            (false, ReasoningForm::EnableThinking | ReasoningForm::Effort | ReasoningForm::Object) => Rest::Switch,
        };
        let beyond = self.thinks_beyond_limit.of(model).copied().unwrap_or_default();
        // Other forms have no word for a budget: it is not passed on.
        let heeds_budget = beyond.heeds_budget && (!is_translated || form == ReasoningForm::EnableThinking);
        OutputLimits {
            beyond: BeyondLimit { heeds_budget, ..beyond },
            rest,
            has_whole_limit: self.names_newer_limit(model),
            zero_is_no_limit: self.zero_is_no_limit,
            least: 0,
        }
    }
}
