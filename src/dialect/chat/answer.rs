//! An answer's events, put together.

use super::error::Refusal;
use super::event::{Annotation, Event, FinishReason, ReasoningKind, Sink};
use super::json::Json;
use super::signature::Signature;
use std::borrow::Cow;
use tollgate_plugin_api::Metered;

/// The most choices that an answer can have: OpenAI's limit.
const CHOICES_MAX: usize = 128;
/// The most tool calls of one choice.
const CALLS_MAX: usize = 1024;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// As in [`Begin`](super::Begin).
    pub id: Option<String>,
    /// As in [`Begin`](super::Begin).
    pub model: Option<String>,
    /// As in [`Begin`](super::Begin).
    pub created_s: Option<i64>,
    /// The answers to the prompt, one as a rule.
    pub choices: Vec<Choice>,
    /// What it used.
    pub metered: Option<Metered>,
    /// What the provider said was wrong.
    pub error: Option<Refusal<'static>>,
    /// How much of it is kept, in bytes, about: of an answer in events nothing says beforehand how long it will be.
    pub(super) kept_bytes: usize,
}

/// One answer to the prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What it consists of, in order.
    pub blocks: Vec<Block>,
    /// Why it ended.
    pub finish: Option<FinishReason<'static>>,
    /// For each call, its place in `blocks`.
    calls: Vec<usize>,
    /// The last block of thoughts is complete.
    reasoning_closed: bool,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text.
    Text {
        /// All of it.
        text: String,
        /// What it is based on.
        annotations: Vec<Annotation<'static>>,
        /// Arrays of log probabilities, in order.
        logprobs: Vec<Json<'static>>,
        /// Gemini signs texts.
        signature: Option<Signature<'static>>,
    },
    /// The model's words for declining.
    Refusal(String),
    /// Thoughts.
    Reasoning {
        /// All of them.
        text: String,
        /// Themselves, or a summary.
        kind: ReasoningKind,
        /// The provider's.
        signature: Option<Signature<'static>>,
    },
    /// A call of a tool.
    ToolCall {
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
        /// All of its arguments: a JSON text; empty if nothing came.
        arguments: String,
        /// Gemini's.
        signature: Option<Signature<'static>>,
    },
    /// An image or a sound.
    Media {
        /// `image/png`
        mime_type: String,
        /// Its bytes.
        base64: String,
    },
}

impl Answer {
    fn choice(&mut self, choice: u32) -> Option<&mut Choice> {
        let index = choice as usize;
        if index >= CHOICES_MAX {
            return None;
        }
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        self.choices.get_mut(index)
    }
}

impl Choice {
    fn text(&mut self) -> Option<&mut Block> {
        if !matches!(self.blocks.last(), Some(Block::Text { .. })) {
            let (text, annotations, logprobs) = (String::new(), Vec::new(), Vec::new());
            self.blocks.push(Block::Text { text, annotations, logprobs, signature: None });
        }
        self.blocks.last_mut()
    }

    fn refuse(&mut self, piece: &str) {
        match self.blocks.last_mut() {
            Some(Block::Refusal(text)) => text.push_str(piece),
            _ => self.blocks.push(Block::Refusal(piece.to_owned())),
        }
    }

    fn reason(&mut self, piece: &str, piece_kind: ReasoningKind) {
        match self.blocks.last_mut() {
            Some(Block::Reasoning { text, kind, .. }) if *kind == piece_kind && !self.reasoning_closed => {
                text.push_str(piece);
            }
            _ => self.blocks.push(Block::Reasoning { text: piece.to_owned(), kind: piece_kind, signature: None }),
        }
        self.reasoning_closed = false;
    }

    fn end_reasoning(&mut self, ended_by: Option<Signature<'static>>) {
        match self.blocks.last_mut() {
            Some(Block::Reasoning { signature, .. }) if !self.reasoning_closed => *signature = ended_by,
            _ if ended_by.is_some() => {
                let (text, kind) = (String::new(), ReasoningKind::Full);
                self.blocks.push(Block::Reasoning { text, kind, signature: ended_by });
            }
            _ => {}
        }
        self.reasoning_closed = true;
    }

    fn call(&mut self, call: u32, block: Block) {
        if call as usize == self.calls.len() && self.calls.len() < CALLS_MAX {
            self.calls.push(self.blocks.len());
            self.blocks.push(block);
        }
    }

    fn argue(&mut self, call: u32, json: &str) {
        let place = self.calls.get(call as usize).copied();
        if let Some(Block::ToolCall { arguments, .. }) = place.and_then(|place| self.blocks.get_mut(place)) {
            arguments.push_str(json);
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Text { text: piece, logprobs: piece_logprobs, .. } => {
                if let Some(Block::Text { text, logprobs, .. }) = self.text() {
                    text.push_str(&piece);
                    logprobs.extend(piece_logprobs.map(owned_json));
                }
            }
            Event::TextSigned { signature: signed, .. } => {
                if let Some(Block::Text { signature, .. }) = self.text() {
                    *signature = Some(owned_signature(signed));
                }
            }
            Event::Annotation { annotation, .. } => {
                if let Some(Block::Text { annotations, .. }) = self.text() {
                    annotations.push(owned_annotation(annotation));
                }
            }
            Event::Refusal { text, .. } => self.refuse(&text),
            Event::Reasoning { text, kind, .. } => self.reason(&text, kind),
            Event::ReasoningEnd { signature, .. } => self.end_reasoning(signature.map(owned_signature)),
            Event::ToolCall { call, id, name, signature, .. } => {
                let (id, name, arguments) = (id.into_owned(), name.into_owned(), String::new());
                let signature = signature.map(owned_signature);
                self.call(call, Block::ToolCall { id, name, arguments, signature });
            }
            Event::Arguments { call, json, .. } => self.argue(call, &json),
            Event::Media { mime_type, base64, .. } => {
                self.blocks.push(Block::Media { mime_type: mime_type.into_owned(), base64: base64.into_owned() });
            }
            Event::Finish { reason, .. } => self.finish = Some(owned_reason(reason)),
            Event::Begin(_) | Event::Ping | Event::Error(_) | Event::End(_) => {}
        }
    }
}

impl Sink for Answer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Begin(begin) => {
                self.id = begin.id.map(Cow::into_owned);
                self.model = begin.model.map(Cow::into_owned);
                self.created_s = begin.created_s;
            }
            Event::Ping => {}
            Event::Error(refusal) => self.error = Some(refusal.into_owned()),
            Event::End(metered) => self.metered = metered,
            Event::Text { choice, .. }
            | Event::TextSigned { choice, .. }
            | Event::Refusal { choice, .. }
            | Event::Reasoning { choice, .. }
            | Event::ReasoningEnd { choice, .. }
            | Event::ToolCall { choice, .. }
            | Event::Arguments { choice, .. }
            | Event::Annotation { choice, .. }
            | Event::Media { choice, .. }
            | Event::Finish { choice, .. } => {
                let mut kept = content_bytes(&event);
                if let Some(choice) = self.choice(choice) {
                    let before = choice.blocks.len();
                    choice.take(event);
                    kept += (choice.blocks.len() - before) * size_of::<Block>();
                }
                self.kept_bytes += kept;
            }
        }
    }
}

/// What an event brings that is kept.
fn content_bytes(event: &Event<'_>) -> usize {
    let signed = |signature: &Option<Signature<'_>>| signature.as_ref().map_or(0, |signature| signature.text.len());
    let json = |json: &Json<'_>| json.as_str().len() + size_of::<Json<'_>>();
    match event {
        Event::Text { text, logprobs, .. } => text.len() + logprobs.as_ref().map_or(0, json),
        Event::Refusal { text, .. } | Event::Reasoning { text, .. } => text.len(),
        Event::TextSigned { signature, .. } => signature.text.len(),
        Event::ReasoningEnd { signature, .. } => signed(signature),
        Event::ToolCall { id, name, signature, .. } => id.len() + name.len() + signed(signature),
        Event::Arguments { json, .. } => json.len(),
        Event::Media { base64, .. } => base64.len(),
        Event::Annotation { annotation, .. } => {
            let texts = [&annotation.url, &annotation.title, &annotation.cited_text];
            let native = annotation.native.as_ref().map_or(0, |(_, native)| native.as_str().len());
            texts.into_iter().flatten().map(|text| text.len()).sum::<usize>() + native + size_of::<Annotation<'_>>()
        }
        _ => 0,
    }
}

fn owned_text(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

fn owned_json(json: Json<'_>) -> Json<'static> {
    Json::parse(owned_text(json.as_str().into())).unwrap_or_else(|| Json::of(&()))
}

fn owned_signature(signature: Signature<'_>) -> Signature<'static> {
    Signature { maker: signature.maker, text: owned_text(signature.text) }
}

fn owned_annotation(annotation: Annotation<'_>) -> Annotation<'static> {
    Annotation {
        url: annotation.url.map(owned_text),
        title: annotation.title.map(owned_text),
        cited_text: annotation.cited_text.map(owned_text),
        range: annotation.range,
        native: annotation.native.map(|(dialect, json)| (dialect, owned_json(json))),
    }
}

/// A reason that outlives its event.
pub(super) fn owned_reason(reason: FinishReason<'_>) -> FinishReason<'static> {
    match reason {
        FinishReason::Stop => FinishReason::Stop,
        FinishReason::StopSequence(which) => FinishReason::StopSequence(which.map(owned_text)),
        FinishReason::Length => FinishReason::Length,
        FinishReason::ToolCalls => FinishReason::ToolCalls,
        FinishReason::Refusal => FinishReason::Refusal,
        FinishReason::ContentFilter => FinishReason::ContentFilter,
        FinishReason::Pause => FinishReason::Pause,
        FinishReason::Other(word) => FinishReason::Other(owned_text(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DialectId;

    fn text(piece: &'static str) -> Event<'static> {
        Event::Text { choice: 0, text: piece.into(), logprobs: None }
    }

    fn thought(piece: &'static str) -> Event<'static> {
        Event::Reasoning { choice: 0, text: piece.into(), kind: ReasoningKind::Full }
    }

    fn call(call: u32, name: &'static str) -> Event<'static> {
        Event::ToolCall { choice: 0, call, id: format!("id{call}").into(), name: name.into(), signature: None }
    }

    fn arguments(call: u32, json: &'static str) -> Event<'static> {
        Event::Arguments { choice: 0, call, json: json.into() }
    }

    #[test]
    fn pieces_of_one_kind_are_one_block_and_interleaved_calls_keep_their_arguments_apart() {
        let mut answer = Answer::default();
        let signature = Signature::new(DialectId::Anthropic, "s");
        let events = [
            thought("a"),
            thought("b"),
            Event::ReasoningEnd { choice: 0, signature: Some(signature.clone()) },
            thought("c"),
            text("x"),
            text("y"),
            call(0, "f"),
            arguments(0, "{\"a\""),
            call(1, "g"),
            arguments(1, "{}"),
            arguments(0, ":1}"),
            Event::Finish { choice: 0, reason: FinishReason::ToolCalls },
            Event::End(None),
        ];
        events.into_iter().for_each(|event| answer.event(event));
        let [choice] = &*answer.choices else { panic!("one choice") };
        let reasoning =
            |text: &str, signature| Block::Reasoning { text: text.into(), kind: ReasoningKind::Full, signature };
        let call = |id: &str, name: &str, arguments: &str| Block::ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            signature: None,
        };
        assert_eq!(choice.blocks[0], reasoning("ab", Some(signature)));
        assert_eq!(choice.blocks[1], reasoning("c", None));
        assert!(matches!(&choice.blocks[2], Block::Text { text, .. } if text == "xy"));
        assert_eq!(choice.blocks[3..], [call("id0", "f", "{\"a\":1}"), call("id1", "g", "{}")]);
        assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
    }
}
