//! What the runs of a test came to.

use std::ops::AddAssign;

/// Problems that are told one by one.
const TOLD_MAX: usize = 20;

/// Sums over runs, and everything that was not as it must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// A byte of an answer came.
    pub(crate) answered: u64,
    pub(crate) whole: u64,
    pub(crate) left: u64,
    pub(crate) refused: u64,
    /// Answers without a record, and with more than one.
    pub(crate) missing: u64,
    pub(crate) duplicate: u64,
    /// Records of requests that the gateway's death cut off: all, and those whose client had got text.
    pub(crate) interrupted: u64,
    pub(crate) interrupted_with_text: u64,
    /// Of these: billed nothing, for want of a first checkpoint.
    pub(crate) interrupted_for_nothing: u64,
    /// Of these: more text than one checkpoint, begun more than a second before.
    pub(crate) bills_compared: u64,
    /// Of these: billed within 256 tokens; the others are within a second of delivery.
    pub(crate) bills_within_tokens: u64,
    /// Bytes of text beyond the bill, at most.
    pub(crate) unbilled_bytes_max: u64,
    problems: Vec<String>,
}

impl Tally {
    pub(crate) fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.problem(what());
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// # Panics
    /// If anything was not as it must be.
    pub(crate) fn assert_clean(&self, context: &str) {
        let told = self.problems.iter().take(TOLD_MAX).map(|problem| format!("\n- {problem}")).collect::<String>();
        assert!(self.problems.is_empty(), "{context}: {} problems{told}", self.problems.len());
    }

    /// The figures.
    pub(crate) fn figures(&self) -> String {
        format!(
            "{} requests, {} answered ({} whole, {} left early), {} refused; {} missing, {} duplicate; {} interrupted, {} of \
             them with text ({} billed nothing), {} bills compared ({} within 256 tokens, at most {} bytes of text unbilled)",
            self.requests,
            self.answered,
            self.whole,
            self.left,
            self.refused,
            self.missing,
            self.duplicate,
            self.interrupted,
            self.interrupted_with_text,
            self.interrupted_for_nothing,
            self.bills_compared,
            self.bills_within_tokens,
            self.unbilled_bytes_max
        )
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.requests, other.requests),
            (&mut self.answered, other.answered),
            (&mut self.whole, other.whole),
            (&mut self.left, other.left),
            (&mut self.refused, other.refused),
            (&mut self.missing, other.missing),
            (&mut self.duplicate, other.duplicate),
            (&mut self.interrupted, other.interrupted),
            (&mut self.interrupted_with_text, other.interrupted_with_text),
            (&mut self.interrupted_for_nothing, other.interrupted_for_nothing),
            (&mut self.bills_compared, other.bills_compared),
            (&mut self.bills_within_tokens, other.bills_within_tokens),
        ] {
            *sum += more;
        }
        self.unbilled_bytes_max = self.unbilled_bytes_max.max(other.unbilled_bytes_max);
        self.problems.extend(other.problems);
    }
}
