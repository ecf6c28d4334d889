//! What a usage object says of tools that the vendor itself ran for the answer: how often, and which of them a bill has.

use serde::Deserialize;

use crate::dialect::usage::count::{Count, Object};

/// Anthropic's name for it, on OpenAI's wire.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerToolUse {
    pub(super) web_search_requests: Count,
}

/// DashScope's own API.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Plugins {
    pub(super) search: Object<Searches>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Searches {
    pub(super) count: Count,
}

/// Perplexity's agent (docs.perplexity.ai/docs/getting-started/pricing, "Tools").
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolCalls {
    #[serde(alias = "web_search")]
    search_web: Object<Invocations>,
    fetch_url: Object<Invocations>,
    image_search: Object<Invocations>,
    people_search: Object<Invocations>,
    finance_search: Object<Invocations>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Invocations {
    invocation: Count,
}

impl ToolCalls {
    /// Searches of the web.
    pub(super) fn searches(&self) -> Count {
        self.search_web.0.invocation
    }

    /// Others, by the names that fees have.
    pub(super) fn billed(&self) -> [(&'static str, Count); 4] {
        [
            ("fetch_url", self.fetch_url.0.invocation),
            ("image_search", self.image_search.0.invocation),
            ("people_search", self.people_search.0.invocation),
            ("finance_search", self.finance_search.0.invocation),
        ]
    }
}

/// Runs of xAI's own tools that are billed by the time (docs.x.ai/developers/pricing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ToolRuns {
    pub(super) web_search_calls: Count,
    x_search_calls: Count,
    code_interpreter_calls: Count,
    file_search_calls: Count,
    document_search_calls: Count,
}

impl ToolRuns {
    /// By the names that fees have.
    pub(super) fn billed(&self) -> [(&'static str, Count); 4] {
        [
            ("x_search", self.x_search_calls),
            ("code_interpreter", self.code_interpreter_calls),
            ("file_search", self.file_search_calls),
            ("document_search", self.document_search_calls),
        ]
    }
}

/// The size of a search's context, where that is billed (docs.perplexity.ai, "Pricing"); nothing for any other word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ContextSize(pub(super) Option<&'static str>);

/// The fees' names of the sizes.
const CONTEXT_SIZES: [(&str, &str); 3] =
    [("low", "search_context_low"), ("medium", "search_context_medium"), ("high", "search_context_high")];

impl<'de> Deserialize<'de> for ContextSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = serde_json::Value::deserialize(deserializer)?;
        let size = CONTEXT_SIZES.iter().find(|(size, _)| word.as_str() == Some(size));
        Ok(Self(size.map(|(_, fee)| *fee)))
    }
}
