//! The prompt's text, for a tokenizer.

use crate::dialect::Passed;

/// A prompt: what is read once, and what is read with each of several others.
#[derive(Clone, Debug, Default)]
pub struct PromptText {
    /// Read once.
    pub once: Passed,
    /// Read so often: a rerank's query with each of its documents.
    pub repeated: Option<(Box<Passed>, u64)>,
}

impl PromptText {
    /// Its length as it is read, in bytes.
    pub fn bytes(&self) -> u64 {
        let repeated = self.repeated.as_ref().map_or(0, |(text, times)| text.bytes().saturating_mul(*times));
        self.once.bytes().saturating_add(repeated)
    }

    /// Its beginning, as far as it is kept: what is repeated stands there once.
    pub fn beginning(&self) -> String {
        let repeated = self.repeated.iter().map(|(text, _)| text.beginning());
        repeated.chain([self.once.beginning()]).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// What it comes to, from what each of its texts does.
    pub fn tokens(&self, count: impl Fn(&Passed) -> u64) -> u64 {
        let repeated = self.repeated.as_ref().map_or(0, |(text, times)| count(text).saturating_mul(*times));
        count(&self.once).saturating_add(repeated)
    }
}

/// Adds a text, on a line of its own.
pub(super) fn push_line(passed: &mut Passed, text: &str) {
    if passed.bytes() > 0 {
        passed.push(b"\n");
    }
    passed.push(text.as_bytes());
}
