//! What must hold of every reader for any bytes: one function a target. They are run by the fuzz targets (`tests/fuzz`, with
//! libFuzzer) and, over a corpus and its mutations, by `tests/fuzzed`.

mod answers;
mod embeddings;
mod facts;
pub(crate) mod input;
mod journal;
mod json;
mod places;
mod requests;
mod streams;
mod texts;
mod usage;

use input::Input;
use tollgate::dialect::DialectId;

/// A reader, and what must hold of it.
pub(crate) struct Target {
    /// The fuzz target's name.
    pub(crate) name: &'static str,
    /// Panics if it does not hold.
    pub(crate) holds: fn(&Input<'_>),
}

const fn target(name: &'static str, holds: fn(&Input<'_>)) -> Target {
    Target { name, holds }
}

/// Every reader.
pub(crate) const TARGETS: &[Target] = &[
    target("request-openai", |input| requests::translate(DialectId::OpenAi, input)),
    target("request-openai-responses", |input| requests::translate(DialectId::OpenAiResponses, input)),
    target("request-anthropic", |input| requests::translate(DialectId::Anthropic, input)),
    target("request-gemini", |input| requests::translate(DialectId::Gemini, input)),
    target("answer-openai", |input| answers::translate(DialectId::OpenAi, input)),
    target("answer-openai-responses", |input| answers::translate(DialectId::OpenAiResponses, input)),
    target("answer-anthropic", |input| answers::translate(DialectId::Anthropic, input)),
    target("answer-gemini", |input| answers::translate(DialectId::Gemini, input)),
    target("answer-dashscope", |input| answers::translate(DialectId::DashScope, input)),
    target("answer-cohere", |input| answers::translate(DialectId::Cohere, input)),
    target("answer-ollama", |input| answers::translate(DialectId::Ollama, input)),
    target("answer-bedrock", |input| answers::translate(DialectId::Bedrock, input)),
    target("error", answers::error),
    target("broken-off", streams::broken_off),
    target("usage", usage::scan),
    target("embedding-request", embeddings::request),
    target("embedding-answer", embeddings::answer),
    target("facts", facts::read_and_splice),
    target("endpoint", places::endpoint),
    target("journal", journal::recover),
    target("config", texts::config),
    target("prices", texts::prices),
    target("published-prices", texts::published_prices),
];

/// The target of that name.
pub(crate) fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
