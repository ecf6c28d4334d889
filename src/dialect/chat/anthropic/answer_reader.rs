//! Reads an answer of Messages: its events, or the message in one document.
//!
//! What the provider's own tools did (`server_tool_use` and their results), compactions and marks of a fallback are
//! passed over: the text that came of them follows. What text cites becomes annotations, when its block ends.

use super::super::error::Refusal;
use super::super::event::{Annotation, Begin, Event, ReasoningKind, Sink};
use super::super::json::{Json, Text};
use super::super::signature::Signature;
use super::super::wire::{AnswerReader, Unreadable};
use super::{Sealed, finish_reason};
use crate::dialect::DialectId;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The most citations of one block that wait for its end.
const CITATIONS_MAX: usize = 256;

/// An event, or a message.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
}

/// What stands in a block, a delta or a message, unread: members of kinds that are not known may be anything.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_sequence: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
    #[serde(borrow)]
    explanation: Option<&'a RawValue>,
}

impl<'a> Parts<'a> {
    fn read(value: Option<&'a RawValue>) -> Result<Self, Unreadable> {
        value.map_or_else(|| Ok(Self::default()), |value| Ok(serde_json::from_str(value.get())?))
    }
}

/// A text that is there, is one, and is not empty.
fn text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let text = serde_json::from_str::<Text<'_>>(value?.get()).ok()?.0;
    (!text.is_empty()).then_some(text)
}

/// The block that is open.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    Text,
    Thinking(Option<String>),
    Call {
        call: u32,
        /// What some vendors write at once, instead of in pieces.
        input: Option<String>,
        came: bool,
    },
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    begun: bool,
    finished: bool,
    open: Open,
    /// Calls so far.
    calls: u32,
    /// Characters of text so far, and before the open block.
    chars: u64,
    chars_before: u64,
    /// Citations of the open block, as they are written.
    citations: Vec<String>,
}

impl AnswerReader for Reader {
    fn event(&mut self, name: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        if json.trim_ascii() == "[DONE]" {
            return Ok(());
        }
        let event: Envelope<'_> = serde_json::from_str(json)?;
        match event.kind.as_ref().map_or(name, Text::as_str) {
            "message_start" => self.begin(&Parts::read(event.message)?, sink)?,
            "content_block_start" => self.start(&Parts::read(event.content_block)?, sink),
            "content_block_delta" => self.delta(&Parts::read(event.delta)?, sink),
            "content_block_stop" => self.stop(sink),
            "message_delta" => self.finish(&Parts::read(event.delta)?, sink)?,
            "message_stop" => {
                self.stop(sink);
                sink.event(Event::End(None));
            }
            "ping" => sink.event(Event::Ping),
            "error" => sink.event(Event::Error(Refusal::read(None, json.as_bytes()))),
            _ => {}
        }
        Ok(())
    }

    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let message: Parts<'_> = serde_json::from_str(json)?;
        if text(message.kind).is_some_and(|kind| kind == "error") {
            sink.event(Event::Error(Refusal::read(None, json.as_bytes())));
            return Ok(());
        }
        self.begin(&message, sink)?;
        let blocks: Vec<Parts<'_>> = match message.content {
            Some(content) => serde_json::from_str(content.get())?,
            None => Vec::new(),
        };
        for block in &blocks {
            self.start(block, sink);
            self.stop(sink);
        }
        self.finish(&message, sink)
    }
}

impl Reader {
    /// A second beginning (of streams that were put together on their way) begins nothing; but half a call is none.
    fn begin(&mut self, message: &Parts<'_>, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        if matches!(self.open, Open::Call { .. }) {
            return Err(Unreadable::new("the answer begins again in the middle of a call"));
        }
        if !std::mem::replace(&mut self.begun, true) {
            sink.event(Event::Begin(Begin { id: text(message.id), model: text(message.model), created_s: None }));
        }
        Ok(())
    }

    fn start(&mut self, block: &Parts<'_>, sink: &mut dyn Sink) {
        self.stop(sink);
        match &*text(block.kind).unwrap_or_default() {
            "text" => {
                self.open = Open::Text;
                let cited = block.citations.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
                cited.into_iter().flatten().for_each(|citation| self.cite(citation, sink));
                self.text(block, sink);
            }
            "thinking" => {
                self.open = Open::Thinking(None);
                think(block, sink);
                self.sign(block);
            }
            "redacted_thinking" => {
                if let Some(Sealed::Thoughts(signature)) = text(block.data).map(Sealed::read) {
                    sink.event(Event::ReasoningEnd { choice: 0, signature: Some(signature) });
                }
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let (id, name) = (text(block.id).unwrap_or_default(), text(block.name).unwrap_or_default());
                sink.event(Event::ToolCall { choice: 0, call, id, name, signature: None });
                let input = block.input.map(RawValue::get).filter(|input| *input != "null");
                self.open = Open::Call { call, input: input.map(str::to_owned), came: false };
            }
            _ => {}
        }
    }

    fn delta(&mut self, delta: &Parts<'_>, sink: &mut dyn Sink) {
        match &*text(delta.kind).unwrap_or_default() {
            "text_delta" => self.text(delta, sink),
            "thinking_delta" => think(delta, sink),
            "signature_delta" => self.sign(delta),
            "citations_delta" => {
                if let Some(citation) = delta.citation {
                    self.cite(citation, sink);
                }
            }
            "input_json_delta" => {
                if let (Open::Call { call, came, .. }, Some(json)) = (&mut self.open, text(delta.partial_json)) {
                    *came = true;
                    sink.event(Event::Arguments { choice: 0, call: *call, json });
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, from: &Parts<'_>, sink: &mut dyn Sink) {
        if let Some(text) = text(from.text) {
            self.chars += text.chars().count() as u64;
            sink.event(Event::Text { choice: 0, text, logprobs: None });
        }
    }

    fn sign(&mut self, from: &Parts<'_>) {
        if let (Open::Thinking(signature), Some(text)) = (&mut self.open, text(from.signature)) {
            *signature = Some(text.into_owned());
        }
    }

    /// Citations come before the text that they belong to: they wait for its end.
    fn cite(&mut self, citation: &RawValue, sink: &mut dyn Sink) {
        if self.citations.len() < CITATIONS_MAX {
            self.citations.push(citation.get().to_owned());
        } else {
            self.annotate(citation.get(), sink);
        }
    }

    fn annotate(&self, citation: &str, sink: &mut dyn Sink) {
        let range = Some((self.chars_before, self.chars));
        if let Some(annotation) = annotation(citation, range) {
            sink.event(Event::Annotation { choice: 0, annotation });
        }
    }

    /// The open block ends.
    fn stop(&mut self, sink: &mut dyn Sink) {
        match std::mem::take(&mut self.open) {
            Open::Nothing => {}
            Open::Text => {
                for citation in std::mem::take(&mut self.citations) {
                    self.annotate(&citation, sink);
                }
                self.chars_before = self.chars;
            }
            Open::Thinking(signature) => {
                let signature = signature.map(|text| Signature::read_in(DialectId::Anthropic, text.into()));
                sink.event(Event::ReasoningEnd { choice: 0, signature });
            }
            Open::Call { call, input, came } => {
                if !came {
                    let json = input.unwrap_or_else(|| "{}".to_owned()).into();
                    sink.event(Event::Arguments { choice: 0, call, json });
                }
            }
        }
    }

    fn finish(&mut self, from: &Parts<'_>, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let Some(word) = text(from.stop_reason) else { return Ok(()) };
        self.stop(sink);
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let details = from.stop_details.filter(|details| details.get().starts_with('{'));
        if let Some(words) = text(Parts::read(details)?.explanation) {
            sink.event(Event::Refusal { choice: 0, text: words });
        }
        sink.event(Event::Finish { choice: 0, reason: finish_reason(word, text(from.stop_sequence)) });
        Ok(())
    }
}

fn think(from: &Parts<'_>, sink: &mut dyn Sink) {
    if let Some(text) = text(from.thinking) {
        sink.event(Event::Reasoning { choice: 0, text, kind: ReasoningKind::Full });
    }
}

/// Of a citation's several forms: a page, a result of a search, a place in a document.
fn annotation(citation: &str, range: Option<(u64, u64)>) -> Option<Annotation<'_>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Citation<'a> {
        #[serde(borrow)]
        url: Option<&'a RawValue>,
        #[serde(borrow)]
        source: Option<&'a RawValue>,
        #[serde(borrow)]
        title: Option<&'a RawValue>,
        #[serde(borrow)]
        document_title: Option<&'a RawValue>,
        #[serde(borrow)]
        cited_text: Option<&'a RawValue>,
    }
    let read: Citation<'_> = serde_json::from_str(citation).ok()?;
    let native = Json::parse(citation.into()).map(|json| (DialectId::Anthropic, json));
    Some(Annotation {
        url: text(read.url).or_else(|| text(read.source)),
        title: text(read.title).or_else(|| text(read.document_title)),
        cited_text: text(read.cited_text),
        range,
        native,
    })
}
