//! The usage of Cohere's Chat, version 2: what is billed, and beside it what was counted, templates and all.

use serde::Deserialize;
use tollgate_plugin_api::Usage;

use super::count::{Count, Object};
use super::reading::{Reading, part_of};

/// What was written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CohereUsage {
    billed_units: Object<Tokens>,
    tokens: Object<Tokens>,
    /// Of `tokens`: nothing is said of how many of them are billed.
    cached_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Count,
    output_tokens: Count,
    reasoning_tokens: Count,
}

impl Tokens {
    fn counts(self) -> [Count; 3] {
        [self.input_tokens, self.output_tokens, self.reasoning_tokens]
    }

    fn are_there(self) -> bool {
        [self.input_tokens, self.output_tokens].iter().any(|&count| count != Count::Absent)
    }
}

impl CohereUsage {
    /// It has at least one of the counts that make a report.
    pub(super) fn is_report(&self) -> bool {
        self.billed_units.0.are_there() || self.tokens.0.are_there()
    }

    /// The prompt is counted.
    pub(super) fn counts_input(&self) -> bool {
        self.billed_units.0.input_tokens.or(self.tokens.0.input_tokens) != Count::Absent
    }

    /// What was generated is counted.
    pub(super) fn counts_output(&self) -> bool {
        self.billed_units.0.output_tokens.or(self.tokens.0.output_tokens) != Count::Absent
    }

    /// No count that is read is an impossible one.
    pub(super) fn is_believable(&self) -> bool {
        let mut counts = self.billed_units.0.counts().into_iter().chain(self.tokens.0.counts());
        counts.all(|count| count != Count::Bad) && self.cached_tokens != Count::Bad
    }

    /// Of either side what is billed, where that is said; else what was counted, of which the cached part is known then.
    pub(super) fn read(&self) -> Reading {
        let (billed, counted) = (self.billed_units.0, self.tokens.0);
        let cached = if billed.input_tokens == Count::Absent { self.cached_tokens } else { Count::Absent };
        let input = billed.input_tokens.or(counted.input_tokens).get().unwrap_or(0);
        let output = billed.output_tokens.or(counted.output_tokens).get().unwrap_or(0);
        let usage = Usage {
            input_tokens: input,
            cached_input_tokens: part_of(input, cached.get()),
            cache_write_tokens: 0,
            output_tokens: output,
            reasoning_tokens: part_of(output, billed.reasoning_tokens.or(counted.reasoning_tokens).get()),
        };
        Reading { usage, ..Reading::default() }
    }
}
