//! A usage object that was found, in the terms of its wire format.

use serde::de::DeserializeOwned;

use super::anthropic::AnthropicUsage;
use super::bedrock::BedrockUsage;
use super::cohere::CohereUsage;
use super::count::Count;
use super::gemini::GeminiUsage;
use super::ollama::OllamaUsage;
use super::openai::OpenAiUsage;
use super::reading::Reading;
use super::rules::UsageRules;
use crate::dialect::shape::DialectId;

/// One report of usage. It is always boxed, so its size is that of the largest.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
pub(super) enum Report {
    OpenAi(OpenAiUsage),
    Anthropic(AnthropicUsage),
    Gemini(GeminiUsage),
    Cohere(CohereUsage),
    Ollama(OllamaUsage),
    Bedrock(BedrockUsage),
    /// It cannot be read: an object that is too large, that has a key twice, that is not JSON.
    Unreadable,
}

impl Report {
    /// The report in the value of a usage field; `None` if that is not an object.
    pub(super) fn parse(dialect: DialectId, json: &[u8]) -> Option<Self> {
        if json.first() != Some(&b'{') {
            return None;
        }
        Some(match dialect {
            DialectId::OpenAi | DialectId::OpenAiResponses | DialectId::DashScope => read(json, Self::OpenAi),
            DialectId::Cohere => read(json, Self::Cohere),
            DialectId::Bedrock => read(json, Self::Bedrock),
            // Its counts stand in no object.
            DialectId::Ollama => return None,
            DialectId::Anthropic => read(json, Self::Anthropic),
            DialectId::Gemini => read(json, Self::Gemini),
        })
    }

    /// The report of counts that stand by themselves.
    pub(super) fn of_counts(input: Count, output: Count) -> Option<Self> {
        let usage = OllamaUsage { input, output };
        usage.is_report().then_some(Self::Ollama(usage))
    }

    /// It says something about tokens: `{}` does not, nor does a mere cost or a duration.
    pub(super) fn is_report(&self) -> bool {
        match self {
            Self::OpenAi(usage) => usage.is_report(),
            Self::Anthropic(usage) => usage.is_report(),
            Self::Gemini(usage) => usage.is_report(),
            Self::Cohere(usage) => usage.is_report(),
            Self::Ollama(usage) => usage.is_report(),
            Self::Bedrock(usage) => usage.is_report(),
            Self::Unreadable => true,
        }
    }

    /// It says how often something was done, and counts no token.
    pub(super) fn has_units_alone(&self) -> bool {
        matches!(self, Self::OpenAi(usage) if usage.has_units_alone())
    }

    /// It counts the runs of the vendor's own tools.
    pub(super) fn counts_runs(&self) -> bool {
        matches!(self, Self::OpenAi(usage) if usage.counts_runs())
    }

    /// With what the other says was done so often.
    pub(super) fn with_units_of(mut self: Box<Self>, other: &Self) -> Box<Self> {
        if let (Self::OpenAi(usage), Self::OpenAi(other)) = (&mut *self, other) {
            usage.take_units(other);
        }
        self
    }

    /// It counts nothing at all, and is of a wire on which some send that before they count, or after.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::OpenAi(usage) if usage.is_nothing())
    }

    /// It counts nothing yet, where something is generated.
    pub(super) fn is_placeholder(&self) -> bool {
        matches!(self, Self::OpenAi(usage) if usage.is_placeholder())
    }

    /// A count of what was generated is among its own: it is not merely left for a total to say, or for a later report.
    pub(super) fn counts_output(&self) -> bool {
        match self {
            Self::OpenAi(usage) => usage.counts_output(),
            Self::Gemini(usage) => usage.counts_output(),
            Self::Anthropic(usage) => usage.has_output(),
            Self::Cohere(usage) => usage.counts_output(),
            Self::Bedrock(usage) => usage.counts_output(),
            // It reports once, at the end.
            Self::Ollama(_) | Self::Unreadable => true,
        }
    }

    /// What was generated is told by its kinds.
    pub(super) fn details_output(&self) -> bool {
        match self {
            Self::OpenAi(usage) => usage.details_output(),
            _ => true,
        }
    }

    /// What was thought is counted apart, and nothing else that was generated.
    pub(super) fn counts_thoughts_alone(&self) -> bool {
        matches!(self, Self::Gemini(usage) if usage.counts_thoughts_alone())
    }

    /// The prompt is counted, or a total is there that leaves it something.
    pub(super) fn counts_input(&self) -> bool {
        match self {
            Self::OpenAi(usage) => usage.counts_input(),
            Self::Anthropic(usage) => usage.counts_input(),
            Self::Gemini(usage) => usage.counts_input(),
            Self::Cohere(usage) => usage.counts_input(),
            Self::Bedrock(usage) => usage.counts_input(),
            // It leaves out a prompt that it had in its cache.
            Self::Ollama(_) | Self::Unreadable => true,
        }
    }

    /// None of its counts is impossible.
    pub(super) fn is_believable(&self) -> bool {
        match self {
            Self::OpenAi(usage) => usage.is_believable(),
            Self::Anthropic(usage) => usage.is_believable(),
            Self::Gemini(usage) => usage.is_believable(),
            Self::Cohere(usage) => usage.is_believable(),
            Self::Ollama(usage) => usage.is_believable(),
            Self::Bedrock(usage) => usage.is_believable(),
            Self::Unreadable => false,
        }
    }

    /// The counts.
    pub(super) fn reading(&self, rules: &UsageRules, of_gemini: bool) -> Reading {
        match self {
            Self::OpenAi(usage) => usage.read(rules, of_gemini),
            Self::Anthropic(usage) => usage.read(),
            Self::Gemini(usage) => usage.read(),
            Self::Cohere(usage) => usage.read(),
            Self::Ollama(usage) => usage.read(),
            Self::Bedrock(usage) => usage.read(),
            Self::Unreadable => Reading::default(),
        }
    }
}

fn read<T: DeserializeOwned>(json: &[u8], make: fn(T) -> Report) -> Report {
    // Once for all, and not for every key.
    let read = match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(json),
    };
    read.map_or(Report::Unreadable, make)
}
