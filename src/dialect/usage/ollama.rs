//! The counts of Ollama's last line. The prompt's is not there when all of the prompt was cached.

use tollgate_plugin_api::Usage;

use super::count::Count;
use super::reading::Reading;

/// What was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct OllamaUsage {
    /// `prompt_eval_count`
    pub(super) input: Count,
    /// `eval_count`
    pub(super) output: Count,
}

impl OllamaUsage {
    /// It has at least one count.
    pub(super) fn is_report(&self) -> bool {
        [self.input, self.output].iter().any(|&count| count != Count::Absent)
    }

    /// No count is an impossible one.
    pub(super) fn is_believable(&self) -> bool {
        ![self.input, self.output].contains(&Count::Bad)
    }

    /// The counts.
    pub(super) fn read(&self) -> Reading {
        let usage = Usage {
            input_tokens: self.input.get().unwrap_or(0),
            output_tokens: self.output.get().unwrap_or(0),
            ..Usage::default()
        };
        Reading { usage, ..Reading::default() }
    }
}
