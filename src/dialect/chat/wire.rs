//! What a wire format is to translation: one reader and one writer of requests and of answers.

use super::answer::Answer;
use super::beyond::BeyondLimit;
use super::by_model::ByModel;
use super::efforts::Efforts;
use super::event::{Event, Sink};
use super::fields::{Field, FieldSet};
use super::request::ChatRequest;
use super::translation::Asked;
use super::untaken::Untaken;
use crate::dialect::{self, DialectId};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use tollgate_plugin_api::{Metered, Reject};

/// An upstream's answer is not what its dialect says, or beyond a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with it.
    pub message: Cow<'static, str>,
}

impl Unreadable {
    /// With these words.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into() }
    }
}

impl From<serde_json::Error> for Unreadable {
    /// serde's own words may repeat content; its place does not.
    fn from(error: serde_json::Error) -> Self {
        Self::new(format!("an event of the answer cannot be read (column {})", error.column()))
    }
}

/// A request has something that the target cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inexpressible {
    /// What it belongs to; the client is told its own name of it.
    pub field: Field,
    /// What it is: `a film`, `tool arguments that are no JSON object`.
    pub what: Cow<'static, str>,
}

impl Inexpressible {
    /// With these words.
    pub fn new(field: Field, what: impl Into<Cow<'static, str>>) -> Self {
        Self { field, what: what.into() }
    }
}

/// What OpenAI-compatible vendors do differently in requests; the `chat` table of a provider row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatRules {
    /// The output limit is `max_completion_tokens` (OpenAI's newer name, the only one its reasoning models take); elsewhere
    /// `max_tokens`.
    pub max_completion_tokens: ByModel<bool>,
    /// What models think beyond `max_tokens`, where that limits the answer alone.
    pub thinks_beyond_limit: ByModel<BeyondLimit>,
    /// A limit of 0 is no limit in legacy completions either (Ollama, whose runner stops at `numPredict > 0` alone).
    pub zero_is_no_limit: bool,
    /// The role `developer` is known; elsewhere it is `system`.
    pub developer_role: bool,
    /// The model's thoughts of earlier turns are taken back as `reasoning_content` (DeepSeek, which wants them while tools
    /// are called; Moonshot, Zhipu, vLLM …); elsewhere they are left out.
    pub takes_reasoning: bool,
    /// How the request says how hard the model is to think.
    pub reasoning: ByModel<ReasoningForm>,
    /// The seed is called `random_seed` (Mistral).
    pub random_seed: bool,
    /// The models are OpenAI's own: what each takes of thinking is known from its name, and it is asked for no more.
    pub openai_models: bool,
    /// Which efforts the vendor's models take, by how their names begin; a model that is not listed is asked for none.
    pub efforts: Efforts,
    /// What models refuse of sampling, of ends and of numbers of answers, whether they think or not.
    pub untaken: ByModel<Untaken>,
    /// Which models take it that a tool must be called.
    pub forced_calls: ByModel<ForcedCalls>,
    /// A schema that the answer must fit is taken in Responses alone; chat completions know JSON, but no schema (DeepSeek).
    pub schemas_in_responses: bool,
    /// The models are Mistral's, who wants ids of calls, the order of turns and an answer's beginning otherwise than others.
    pub mistral_models: ByModel<bool>,
    /// Calls of functions and their results have no `id`: Vertex AI's version of Gemini's API refuses it ("Unknown name \"id\"").
    pub anonymous_calls: bool,
    /// Hints that the vendor refuses a request for, by OpenAI's names: they are left out, and the answer says so.
    pub refuses: FieldSet,
}

/// How OpenAI-compatible vendors are told to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningForm {
    /// `reasoning_effort`: OpenAI, xAI, Groq, Mistral, Google's compatible API.
    #[default]
    Effort,
    /// `reasoning: {effort | max_tokens, exclude}`: OpenRouter, Vercel's AI Gateway.
    Object,
    /// `thinking: {type: enabled | disabled}`, and `reasoning_effort` beside it: DeepSeek, Moonshot, Zhipu.
    Thinking,
    /// The same without an effort, which is refused beside it: Moonshot's Kimi K2.
    Switch,
    /// `enable_thinking` and `thinking_budget`: DashScope, SiliconFlow.
    EnableThinking,
}

/// Whether a model takes it that a tool must be called, any or one of some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForcedCalls {
    /// It does.
    #[default]
    Taken,
    /// Any tool, but none by its name: then it is offered no others.
    Unnamed,
    /// While it does not think, which it does unless it is told not to.
    AtRest,
    /// While it does not think, which it does when it is asked to.
    Unasked,
    /// Never: it always thinks.
    Refused,
}

/// How a request is to be written for one upstream.
#[derive(Clone, Debug)]
pub struct Manner<'m> {
    /// The upstream's name of the model.
    pub model: &'m str,
    /// The output limit where the request has none and the dialect must have one (Anthropic).
    pub output_tokens_default: u64,
    /// The stream must be asked for its usage (`stream_options.include_usage`).
    pub asks_for_usage: bool,
    /// The vendor's own.
    pub rules: ChatRules,
}

impl Manner<'_> {
    /// How its model is told to think.
    pub(super) fn reasoning_form(&self) -> ReasoningForm {
        self.rules.reasoning.of(self.model).copied().unwrap_or_default()
    }

    /// Whether its model is one of Mistral's.
    pub(super) fn is_mistral(&self) -> bool {
        self.rules.mistral_models.of(self.model) == Some(&true)
    }
}

/// Reads an upstream's answer.
pub trait AnswerReader: Send + Sync {
    /// One event of a stream: the name that its `event:` line gives it (or empty), and its data.
    ///
    /// # Errors
    /// It is not what the dialect says.
    fn event(&mut self, name: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable>;

    /// The whole answer in one document. [`Event::End`] need not be delivered.
    ///
    /// # Errors
    /// It is not what the dialect says.
    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable>;

    /// The stream has ended as it should: what only the end tells (Gemini's last finish reason). [`Event::End`] follows.
    fn end(&mut self, _sink: &mut dyn Sink) {}
}

/// Writes an answer for a client.
pub trait AnswerWriter: Send + Sync {
    /// Writes what the client's stream says of this: whole frames in the client's framing ([`Asked::framing`]), or nothing.
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>);

    /// Before [`Event::Begin`], for who begins with what the prompt came to: `said` is what the upstream's first event says that was
    /// used by then, if it does.
    fn counted(&mut self, _said: &dyn Fn() -> Option<Metered>) {}

    /// The whole answer as one document.
    fn document(&mut self, answer: &Answer) -> Vec<u8>;
}

/// Reads a request's body. Model and stream may stand elsewhere: the caller knows them.
pub type ReadRequest = for<'a> fn(&'a str) -> Result<ChatRequest<'a>, Reject>;
/// Writes a request's body; what is left out because it is of no use to the target is added to the list.
pub type WriteRequest = fn(&ChatRequest<'_>, &Manner<'_>, &mut Vec<Field>) -> Result<Vec<u8>, Inexpressible>;

/// What a request of one model says that a dialect has no place for, though another of the vendor's may have; none: nothing.
pub type Lacks = fn(&ChatRequest<'_>, &Manner<'_>) -> Option<Field>;

/// Makes the writer of one answer.
pub type MakeWriter = fn(Arc<Asked>) -> Box<dyn AnswerWriter>;

/// A wire format. Clients can speak it if it has a reader of requests and a writer of answers; upstreams if it has the others.
pub struct Wire {
    /// Which one.
    pub dialect: DialectId,
    /// What its answers are, for who counts what they say was used.
    pub answer: dialect::Answer,
    /// A client's request.
    pub read_request: Option<ReadRequest>,
    /// A request to an upstream.
    pub write_request: WriteRequest,
    /// An upstream's answer.
    pub answer_reader: fn() -> Box<dyn AnswerReader>,
    /// An answer to a client.
    pub answer_writer: Option<MakeWriter>,
    /// What of a client's request its answer writer needs; none: nothing.
    pub repeats: Option<fn(&str) -> Vec<u8>>,
    /// What some models can be asked for in another of their vendor's dialects alone; none: nothing.
    pub lacks: Option<Lacks>,
    /// That what a model writes fits its schema is guaranteed of schemas that say everything alone; a request that asks for it of
    /// another is refused.
    pub closed_schemas: bool,
}

/// Every wire format.
static WIRES: [&Wire; 4] =
    [&super::anthropic::WIRE, &super::gemini::WIRE, &super::openai::WIRE, &super::responses::WIRE];

/// The wire format of a dialect; `None`: it is not translated.
pub fn wire(dialect: DialectId) -> Option<&'static Wire> {
    WIRES.iter().chain(&super::native::WIRES).copied().find(|wire| wire.dialect == dialect)
}
