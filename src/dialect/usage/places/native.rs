//! The places of answers that upstreams alone give.

use super::Slot::{
    Code, Error, Finish, Generated, InnerType, InputCount, Last, Message, OutputCount, Text, Tier, Type, Usage,
};
use super::Take::{self, Capture, Presence, Raw};
use super::{Rows, Table};
use crate::dialect::shape::Answer;

/// DashScope: usage in every event, cumulative; an error has its parts at the top. What is generated comes in increments, as it
/// is asked for.
const GENERATION: Rows = &[
    ("usage", Usage, Capture),
    ("code", Code, Capture),
    ("message", Message, Capture),
    ("output.choices.*.finish_reason", Finish, Capture),
    ("output.finish_reason", Finish, Capture),
    ("output.text", Text, Take::Text),
];

const GENERATION_MESSAGE: Rows = &[
    ("content", Text, Take::Text),
    ("content.*.text", Text, Take::Text),
    ("content.*.image", Generated, Presence),
    ("content.*.audio", Generated, Presence),
    ("reasoning_content", Text, Take::Text),
    ("tool_calls", Generated, Presence),
    ("tool_calls.*.function.name", Text, Take::Text),
    ("tool_calls.*.function.arguments", Text, Take::Text),
];

/// Cohere's stream: the type says what an event is for, the usage stands in the last one.
const COHERE_EVENT: Rows = &[
    ("type", Type, Capture),
    ("delta.usage", Usage, Capture),
    ("delta.finish_reason", Finish, Capture),
    ("delta.error", Error, Capture),
    ("error", Error, Capture),
    ("message", Message, Capture),
];

const COHERE_DELTA: Rows = &[
    ("content.type", InnerType, Capture),
    ("content.text", Text, Take::Text),
    ("content.thinking", Text, Take::Text),
    ("tool_plan", Text, Take::Text),
    ("tool_calls.function.name", Text, Take::Text),
    ("tool_calls.function.arguments", Text, Take::Text),
];

const COHERE_DOCUMENT: Rows = &[
    ("usage", Usage, Capture),
    ("finish_reason", Finish, Capture),
    ("error", Error, Capture),
    ("message.tool_plan", Text, Take::Text),
    ("message.content.*.text", Text, Take::Text),
    ("message.content.*.thinking", Text, Take::Text),
    ("message.tool_calls.*.function.name", Text, Take::Text),
    ("message.tool_calls.*.function.arguments", Text, Take::Text),
];

/// Ollama: the same in a line and in a document; the last line is `done` and has the counts.
const OLLAMA: Rows = &[
    ("prompt_eval_count", InputCount, Capture),
    ("eval_count", OutputCount, Capture),
    ("done_reason", Finish, Capture),
    ("done", Last, Presence),
    ("error", Error, Capture),
    ("message.content", Text, Take::Text),
    ("message.thinking", Text, Take::Text),
    ("message.tool_calls", Generated, Presence),
    ("message.tool_calls.*.function.name", Text, Take::Text),
    ("message.tool_calls.*.function.arguments", Text, Raw),
];

/// Bedrock's stream: each kind of frame has members of its own, so that its kind need not be known. The last one, `metadata`,
/// has usage and metrics.
const CONVERSE_FRAME: Rows = &[
    ("usage", Usage, Capture),
    ("metrics", Last, Presence),
    ("serviceTier.type", Tier, Capture),
    ("stopReason", Finish, Capture),
    ("message", Message, Capture),
    ("start.toolUse.name", Text, Take::Text),
    ("start.image", Generated, Presence),
    ("delta.text", Text, Take::Text),
    ("delta.toolUse.input", Text, Take::Text),
    ("delta.reasoningContent.text", Text, Take::Text),
    ("delta.reasoningContent.redactedContent", Generated, Presence),
    ("delta.image", Generated, Presence),
];

const CONVERSE_DOCUMENT: Rows =
    &[("usage", Usage, Capture), ("serviceTier.type", Tier, Capture), ("stopReason", Finish, Capture)];

const CONVERSE_CONTENT: Rows = &[
    ("text", Text, Take::Text),
    ("reasoningContent.reasoningText.text", Text, Take::Text),
    ("toolUse.name", Text, Take::Text),
    ("toolUse.input", Text, Raw),
    ("citationsContent.content.*.text", Text, Take::Text),
];

pub(super) static TABLES: [Table; 6] = [
    (&[Answer::Generation], true, &[("", GENERATION), ("output.choices.*.message", GENERATION_MESSAGE)]),
    (&[Answer::CohereChat], true, &[("", COHERE_EVENT), ("delta.message", COHERE_DELTA)]),
    (&[Answer::CohereChat], false, &[("", COHERE_DOCUMENT)]),
    (&[Answer::OllamaChat], true, &[("", OLLAMA)]),
    (&[Answer::Converse], true, &[("", CONVERSE_FRAME)]),
    (&[Answer::Converse], false, &[("", CONVERSE_DOCUMENT), ("output.message.content.*", CONVERSE_CONTENT)]),
];
