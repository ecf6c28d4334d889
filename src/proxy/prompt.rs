//! What is kept of a request's prompt for an estimate, while nobody knows whether one will be needed.

use crate::dialect::Passed;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::request::{self, PromptText, RequestFacts};
use crate::estimate;
use bytes::Bytes;
use std::borrow::Cow;

/// The prompt, as far as an estimate needs it.
pub(super) enum Prompt {
    /// The body itself: before the first byte, unless it is large; afterwards of short ones, and where there is room for it.
    Body(Bytes),
    /// What is kept of its text.
    Text(Box<PromptText>),
}

impl Default for Prompt {
    /// Of nothing.
    fn default() -> Self {
        Self::Text(Box::default())
    }
}

impl Prompt {
    /// So much of a prompt's beginning is kept as it is, and bodies up to here are.
    const BEGINNING_BYTES_MAX: usize = 16 * 1024;

    /// The text for a tokenizer.
    pub(super) fn text(&self, endpoint: &Endpoint) -> Cow<'_, PromptText> {
        match self {
            Self::Body(body) => Cow::Owned(request::prompt_text(endpoint, body, Self::BEGINNING_BYTES_MAX)),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    /// Its tokens by its look, at once. A long body is looked at here and there: this is asked for every stream, and needed by few.
    pub(super) fn tokens_by_look(&self, endpoint: &Endpoint, facts: &RequestFacts) -> u64 {
        let sampled = match self {
            Self::Body(body) if body.len() > Self::BEGINNING_BYTES_MAX && facts.media_parts == 0 => {
                estimate::by_sample(body, facts.prompt_text_bytes)
            }
            _ => None,
        };
        sampled.unwrap_or_else(|| self.text(endpoint).tokens(Passed::tokens_by_look))
    }

    /// No more of it than an estimate needs.
    pub(super) fn shrunk(self, endpoint: &Endpoint) -> Self {
        match &self {
            Self::Body(body) if body.len() > Self::BEGINNING_BYTES_MAX => {
                Self::Text(self.text(endpoint).into_owned().into())
            }
            _ => self,
        }
    }
}
