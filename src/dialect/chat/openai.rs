//! OpenAI's Chat Completions, and everyone who speaks it: DeepSeek, Groq, Mistral, Qwen, OpenRouter, xAI, vLLM, Ollama …
//!
//! The reference is platform.openai.com/docs/api-reference/chat. What is not in it, and is read and written here all the
//! same, is what several vendors do alike: thoughts as `reasoning_content` (DeepSeek) or `reasoning` and
//! `reasoning_details` (OpenRouter), pictures as `images` (OpenRouter), signatures of calls as
//! `extra_content.google.thought_signature` (Google's own compatible API).

mod answer_members;
mod answer_reader;
mod answer_writer;
mod call_reader;
mod chunk;
mod document_writer;
mod message_reader;
mod message_writer;
mod mistral;
pub(super) mod models;
mod option_reader;
mod part_reader;
mod reasoning_details;
mod request_reader;
mod request_writer;
#[cfg(test)]
mod tests;

use super::event::FinishReason;
use super::fields::Field;
use super::request::{ChatRequest, Format};
use super::wire::{Manner, Wire};
use crate::dialect::{Answer, DialectId};
use std::borrow::Cow;

/// The dialect's four pieces.
pub(super) static WIRE: Wire = Wire {
    dialect: DialectId::OpenAi,
    answer: Answer::Chat,
    read_request: Some(request_reader::read),
    write_request: request_writer::write,
    answer_reader: || Box::<answer_reader::Reader>::default(),
    answer_writer: Some(|asked| Box::new(answer_writer::Writer::new(asked))),
    repeats: None,
    lacks: Some(lacks),
    closed_schemas: true,
};

/// What of a request its vendor takes in Responses alone.
fn lacks(request: &ChatRequest<'_>, manner: &Manner<'_>) -> Option<Field> {
    let has_schema = matches!(request.options.format, Some(Format::Schema { .. }));
    let kept = [
        (Field::JsonSchema, has_schema && manner.rules.schemas_in_responses),
        (Field::Tools, models::has_tools_elsewhere(request, manner)),
    ];
    kept.into_iter().find(|(_, is_elsewhere)| *is_elsewhere).map(|(field, _)| field)
}

/// Between texts that are parts of their own elsewhere, and one text here.
const BETWEEN_BLOCKS: &str = "\n\n";

/// Finish reasons, in lower case. The first word for a reason is OpenAI's; the others are vendors'.
const FINISH_REASONS: [(&str, FinishReason<'static>); 22] = [
    ("stop", FinishReason::Stop),
    ("eos", FinishReason::Stop),
    ("end_turn", FinishReason::Stop),
    ("complete", FinishReason::Stop),
    ("stop_sequence", FinishReason::StopSequence(None)),
    ("length", FinishReason::Length),
    ("max_tokens", FinishReason::Length),
    ("model_length", FinishReason::Length),
    ("model_context_window_exceeded", FinishReason::Length),
    ("tool_calls", FinishReason::ToolCalls),
    ("tool_call", FinishReason::ToolCalls),
    ("tool_use", FinishReason::ToolCalls),
    ("function_call", FinishReason::ToolCalls),
    ("content_filter", FinishReason::ContentFilter),
    ("content-filter", FinishReason::ContentFilter),
    ("sensitive", FinishReason::ContentFilter),
    ("safety", FinishReason::ContentFilter),
    ("recitation", FinishReason::ContentFilter),
    ("prohibited_content", FinishReason::ContentFilter),
    ("refusal", FinishReason::Refusal),
    ("pause_turn", FinishReason::Pause),
    ("pause", FinishReason::Pause),
];

/// A vendor's word for why it stopped. `None`: it has not (some say the text `null`).
fn finish_reason(word: &str) -> Option<FinishReason<'_>> {
    if matches!(word, "" | "null") {
        return None;
    }
    let known = FINISH_REASONS.iter().find(|(own, _)| own.eq_ignore_ascii_case(word));
    Some(known.map_or(FinishReason::Other(Cow::Borrowed(word)), |(_, reason)| reason.clone()))
}

/// The word for a client, and the provider's own beside it where OpenAI has no such reason. `refused`: the model's words for
/// declining were written, which OpenAI calls an ordinary end.
fn finish_words<'r>(reason: &'r FinishReason<'_>, refused: bool) -> (&'static str, Option<&'r str>) {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) => ("stop", None),
        FinishReason::Length => ("length", None),
        FinishReason::ToolCalls => ("tool_calls", None),
        FinishReason::Refusal if refused => ("stop", None),
        FinishReason::Refusal | FinishReason::ContentFilter => ("content_filter", None),
        FinishReason::Pause => ("stop", Some("pause_turn")),
        // Not an end, so not `stop`, which agents take for one. Of OpenAI's own words, which strictly typed clients take
        // alone, the SDKs' helpers raise on this one, and nobody goes on as after `length`; OpenRouter's `error` is none.
        FinishReason::Other(word) => ("content_filter", Some(word)),
    }
}
