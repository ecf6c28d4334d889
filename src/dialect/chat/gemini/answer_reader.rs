//! Reads `GenerateContentResponse`s: each event of a stream is one, as is the whole answer.

use super::finish;
use super::grounding::{CitationMetadata, GroundingMetadata};
use super::offsets::Offsets;
use super::spelling::compact;
use super::{PLACEHOLDERS, call_id, logprobs};
use crate::dialect::DialectId;
use crate::dialect::chat::{
    AnswerReader, Begin, Event, FinishReason, ReasoningKind, Refusal, Signature, Sink, Text, Unreadable,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The most candidates of an answer that are read.
const CHOICES_MAX: usize = 128;
/// So much of an answer's id stands in its calls' ids.
const RESPONSE_ID_BYTES_MAX: usize = 32;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(borrow)]
    model_version: Option<Text<'a>>,
    #[serde(borrow)]
    response_id: Option<Text<'a>>,
    #[serde(borrow)]
    create_time: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback<'a> {
    #[serde(borrow)]
    block_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    citation_metadata: Option<CitationMetadata<'a>>,
    #[serde(borrow)]
    grounding_metadata: Option<GroundingMetadata<'a>>,
    #[serde(borrow)]
    logprobs_result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

/// What a part says to a client. What the provider's own tools did in between (`executableCode`, `toolCall` …) is not here:
/// they are never asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    thought: Option<bool>,
    #[serde(borrow)]
    thought_signature: Option<Text<'a>>,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
    #[serde(borrow)]
    inline_data: Option<Blob<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCall<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    /// Vertex AI's arguments in pieces, which are never asked for.
    #[serde(borrow)]
    partial_args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    #[serde(borrow)]
    mime_type: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
}

/// Reads one answer.
#[derive(Default)]
pub(super) struct Reader {
    /// What ids of calls without one begin with; empty until the answer begins.
    prefix: String,
    choices: Vec<Choice>,
}

#[derive(Default)]
struct Choice {
    calls: u32,
    offsets: Offsets,
    /// Some models say STOP in every event: which one is the last is known at the end.
    finish: Option<FinishReason<'static>>,
}

impl AnswerReader for Reader {
    fn event(&mut self, _name: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let response: Response<'_> = serde_json::from_str(json)?;
        if response.error.is_some() {
            sink.event(Event::Error(Refusal::read(None, json.as_bytes())));
            return Ok(());
        }
        self.begin(&response, json, sink);
        let blocked = response.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        let candidates = response.candidates.unwrap_or_default();
        if blocked && candidates.is_empty() {
            choice_at(&mut self.choices, 0)
                .iter_mut()
                .for_each(|choice| choice.finish = Some(FinishReason::ContentFilter));
        }
        for (place, candidate) in candidates.into_iter().enumerate() {
            self.candidate(place, candidate, sink)?;
        }
        Ok(())
    }

    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        self.event("", json, sink)?;
        self.end(sink);
        Ok(())
    }

    fn end(&mut self, sink: &mut dyn Sink) {
        for (choice, state) in (0..).zip(&mut self.choices) {
            let Some(reason) = state.finish.take() else { continue };
            // What an answer with calls stopped for are its calls.
            let waits = reason == FinishReason::Stop && state.calls > 0;
            sink.event(Event::Finish { choice, reason: if waits { FinishReason::ToolCalls } else { reason } });
        }
    }
}

impl Reader {
    fn begin(&mut self, response: &Response<'_>, json: &str, sink: &mut dyn Sink) {
        if !self.prefix.is_empty() {
            return;
        }
        let id = response.response_id.as_ref().map(Text::as_str).filter(|id| !id.is_empty());
        self.prefix = id.map_or_else(
            || format!("call_{:016x}", fingerprint(json)),
            |id| format!("call_{}", id.get(..RESPONSE_ID_BYTES_MAX).unwrap_or(id)),
        );
        let created = response.create_time.as_ref().and_then(|time| time.as_str().parse::<jiff::Timestamp>().ok());
        sink.event(Event::Begin(Begin {
            id: id.map(Cow::Borrowed),
            model: response.model_version.as_ref().map(|model| Cow::Borrowed(model.as_str())),
            created_s: created.map(jiff::Timestamp::as_second),
        }));
    }

    fn candidate(&mut self, place: usize, candidate: Candidate<'_>, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let index = candidate.index.unwrap_or(place);
        let Self { prefix, choices } = self;
        let Some(state) = choice_at(choices, index) else { return Ok(()) };
        let choice = u32::try_from(index).unwrap_or(0);
        let mut logprobs = candidate.logprobs_result.and_then(logprobs::read);
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            let signature = part.thought_signature;
            let signature = signature.filter(|text| !text.0.is_empty() && !PLACEHOLDERS.contains(&text.as_str()));
            let signature = signature.map(|text| Signature::new(DialectId::Gemini, text.0));
            if let Some(call) = part.function_call {
                state.call(choice, prefix, call, signature, sink)?;
            } else if part.thought == Some(true) {
                thought(choice, part.text, signature, sink);
            } else if let Some(blob) = part.inline_data {
                let (mime_type, base64) = (blob.mime_type.unwrap_or_default().0, blob.data.unwrap_or_default().0);
                sink.event(Event::Media { choice, mime_type, base64 });
            } else {
                let text = part.text.unwrap_or_default().0;
                if !text.is_empty() {
                    state.offsets.push(&text);
                    sink.event(Event::Text { choice, text, logprobs: logprobs.take() });
                }
                signature.into_iter().for_each(|signature| sink.event(Event::TextSigned { choice, signature }));
            }
        }
        if logprobs.is_some() {
            sink.event(Event::Text { choice, text: Cow::Borrowed(""), logprobs });
        }
        if let Some(citations) = candidate.citation_metadata {
            citations.deliver(choice, &state.offsets, sink);
        }
        if let Some(grounding) = candidate.grounding_metadata {
            grounding.deliver(choice, &state.offsets, sink);
        }
        if let Some(word) = candidate.finish_reason.filter(|word| word.get() != "null") {
            state.finish = Some(finish::read(word.get().trim_matches('"')));
        }
        Ok(())
    }
}

fn choice_at(choices: &mut Vec<Choice>, index: usize) -> Option<&mut Choice> {
    if index < CHOICES_MAX && choices.len() <= index {
        choices.resize_with(index + 1, Choice::default);
    }
    choices.get_mut(index)
}

impl Choice {
    fn call(
        &mut self,
        choice: u32,
        prefix: &str,
        called: FunctionCall<'_>,
        signature: Option<Signature<'_>>,
        sink: &mut dyn Sink,
    ) -> Result<(), Unreadable> {
        if called.partial_args.is_some() {
            return Err(Unreadable::new("the arguments of a call come in pieces that were not asked for"));
        }
        let (call, name) = (self.calls, called.name.unwrap_or_default().0);
        self.calls += 1;
        let given = called.id.filter(|id| !id.as_str().is_empty());
        let id = given.map_or_else(
            || {
                let prefix = if choice == 0 { prefix.to_owned() } else { format!("{prefix}-{choice}") };
                Cow::Owned(call_id(&prefix, call as usize, &name))
            },
            |id| id.0,
        );
        sink.event(Event::ToolCall { choice, call, id, name, signature });
        let json = called.args.map_or(Cow::Borrowed("{}"), |args| compact(args.get()));
        sink.event(Event::Arguments { choice, call, json });
        Ok(())
    }
}

/// Google shows summaries of the model's thoughts.
fn thought(choice: u32, text: Option<Text<'_>>, signature: Option<Signature<'_>>, sink: &mut dyn Sink) {
    let text = text.unwrap_or_default().0;
    if !text.is_empty() {
        sink.event(Event::Reasoning { choice, text, kind: ReasoningKind::Summary });
    }
    if signature.is_some() {
        sink.event(Event::ReasoningEnd { choice, signature });
    }
}

/// Tells answers without an id apart: FNV-1a of the first event.
fn fingerprint(json: &str) -> u64 {
    json.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
