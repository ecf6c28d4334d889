//! Reads ConverseStream's frames, and Converse's whole answers.

use super::blocks::REDACTED;
use crate::dialect::DialectId;
use crate::dialect::chat::event::{Annotation, Begin, Event, FinishReason, ReasoningKind, Sink};
use crate::dialect::chat::json::{Text, text_or_json};
use crate::dialect::chat::native::told::{self, Calls};
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::wire::{AnswerReader, Unreadable};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The most citations of one block that wait for its end.
const CITATIONS_MAX: usize = 256;

pub(super) fn reader() -> Box<dyn AnswerReader> {
    Box::new(Reader::default())
}

#[derive(Default)]
struct Reader {
    /// By the index of their block.
    calls: Calls,
    /// The thoughts that are running, with what has come of their signature.
    thinking: Option<String>,
    /// The format of the image that is coming.
    image_format: String,
    /// Characters of text so far, and before the running block.
    chars: u64,
    chars_before: u64,
    /// What the running block's text is based on: all of the text, so its end must be known.
    citations: Vec<Annotation<'static>>,
}

/// What frames carry: each kind has its own members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    content_block_index: Option<u64>,
    #[serde(borrow)]
    start: Option<Start<'a>>,
    delta: Option<Delta<'a>>,
    stop_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    image: Option<Image<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(borrow)]
    tool_use_id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    /// A piece of a text in a delta, an object in a whole answer.
    input: Option<&'a RawValue>,
    #[serde(rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<Reasoning<'a>>,
    citation: Option<Citation<'a>>,
    image: Option<Image<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    signature: Option<Text<'a>>,
    redacted_content: Option<Text<'a>>,
    reasoning_text: Option<ReasoningText<'a>>,
}

#[derive(Deserialize)]
struct ReasoningText<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    signature: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Citation<'a> {
    #[serde(borrow)]
    title: Option<Text<'a>>,
    source_content: Option<Vec<Cited<'a>>>,
    location: Option<Location<'a>>,
}

#[derive(Deserialize)]
struct Cited<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Location<'a> {
    #[serde(borrow)]
    web: Option<Web<'a>>,
}

#[derive(Deserialize)]
struct Web<'a> {
    #[serde(borrow)]
    url: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    format: Option<Text<'a>>,
    source: Option<Bytes<'a>>,
}

#[derive(Deserialize)]
struct Bytes<'a> {
    #[serde(borrow)]
    bytes: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(borrow)]
    output: Option<Output<'a>>,
    stop_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Vec<Block<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<Reasoning<'a>>,
    citations_content: Option<Citations<'a>>,
    image: Option<Image<'a>>,
}

#[derive(Deserialize)]
struct Citations<'a> {
    #[serde(borrow)]
    content: Option<Vec<Cited<'a>>>,
    citations: Option<Vec<Citation<'a>>>,
}

impl AnswerReader for Reader {
    fn event(&mut self, name: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let frame: Frame<'_> = serde_json::from_str(json)?;
        let index = frame.content_block_index.unwrap_or(0);
        match name {
            "messageStart" => sink.event(Event::Begin(Begin::default())),
            "contentBlockStart" => {
                if let Some(start) = frame.start {
                    if let Some(call) = start.tool_use {
                        self.call(index, call, sink);
                    }
                    self.image(start.image, sink);
                }
            }
            "contentBlockDelta" => {
                if let Some(delta) = frame.delta {
                    self.delta(index, delta, sink);
                }
            }
            "contentBlockStop" => self.end_block(sink),
            "messageStop" => {
                self.end_block(sink);
                finish(frame.stop_reason, sink);
            }
            "metadata" => sink.event(Event::End(None)),
            _ => {}
        }
        Ok(())
    }

    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let whole: Whole<'_> = serde_json::from_str(json)?;
        sink.event(Event::Begin(Begin::default()));
        let content = whole.output.and_then(|output| output.message?.content);
        for (index, block) in (0..).zip(content.into_iter().flatten()) {
            self.block(index, block, sink);
        }
        finish(whole.stop_reason, sink);
        Ok(())
    }
}

impl Reader {
    fn delta(&mut self, index: u64, delta: Delta<'_>, sink: &mut dyn Sink) {
        self.tell(delta.text, sink);
        if let Some(reasoning) = delta.reasoning_content {
            self.think(reasoning, sink);
        }
        if let Some(call) = delta.tool_use {
            self.argue(index, call.input, sink);
        }
        if let Some(citation) = delta.citation {
            self.cite(citation, sink);
        }
        self.image(delta.image, sink);
    }

    fn block(&mut self, index: u64, block: Block<'_>, sink: &mut dyn Sink) {
        self.tell(block.text, sink);
        if let Some(reasoning) = block.reasoning_content {
            self.think(reasoning, sink);
        }
        if let Some(mut call) = block.tool_use {
            let input = call.input.take();
            self.call(index, call, sink);
            self.argue(index, input, sink);
        }
        if let Some(cited) = block.citations_content {
            cited.content.into_iter().flatten().for_each(|piece| self.tell(piece.text, sink));
            cited.citations.into_iter().flatten().for_each(|citation| self.cite(citation, sink));
        }
        self.image(block.image, sink);
        self.end_block(sink);
    }

    fn tell(&mut self, text: Option<Text<'_>>, sink: &mut dyn Sink) {
        self.chars += text.as_ref().map_or(0, |text| text.as_str().chars().count()) as u64;
        told::tell(0, text, None, sink);
    }

    fn cite(&mut self, citation: Citation<'_>, sink: &mut dyn Sink) {
        let own = |text: Text<'_>| Cow::Owned(text.0.into_owned());
        let url = citation.location.and_then(|location| location.web?.url).map(own);
        let cited_text = citation.source_content.into_iter().flatten().find_map(|piece| piece.text).map(own);
        let annotation = Annotation { url, title: citation.title.map(own), cited_text, range: None, native: None };
        if self.citations.len() < CITATIONS_MAX {
            self.citations.push(annotation);
        } else {
            self.annotate(annotation, sink);
        }
    }

    fn annotate(&self, annotation: Annotation<'static>, sink: &mut dyn Sink) {
        let range = Some((self.chars_before, self.chars));
        sink.event(Event::Annotation { choice: 0, annotation: Annotation { range, ..annotation } });
    }

    fn end_block(&mut self, sink: &mut dyn Sink) {
        self.end_thoughts(sink);
        std::mem::take(&mut self.citations).into_iter().for_each(|annotation| self.annotate(annotation, sink));
        self.chars_before = self.chars;
    }

    /// Calls that Bedrock answers itself are not the client's.
    fn call(&mut self, index: u64, call: ToolUse<'_>, sink: &mut dyn Sink) {
        if call.kind.as_ref().is_some_and(|kind| kind.as_str() == "server_tool_use") {
            return;
        }
        let number = self.calls.begin(index);
        let id = call.tool_use_id.map_or_else(|| format!("tooluse_{number}").into(), |id| id.0);
        let name = call.name.unwrap_or_default().0;
        sink.event(Event::ToolCall { choice: 0, call: number, id, name, signature: None });
    }

    fn argue(&mut self, index: u64, input: Option<&RawValue>, sink: &mut dyn Sink) {
        let (Some(call), Some(input)) = (self.calls.find(index), input) else { return };
        told::argue(0, call, Some(Text(text_or_json(input))), sink);
    }

    fn think(&mut self, reasoning: Reasoning<'_>, sink: &mut dyn Sink) {
        let (whole, signed) = reasoning.reasoning_text.map_or((None, None), |whole| (whole.text, whole.signature));
        for Text(text) in [reasoning.text, whole].into_iter().flatten().filter(|text| !text.as_str().is_empty()) {
            self.thinking.get_or_insert_default();
            sink.event(Event::Reasoning { choice: 0, text, kind: ReasoningKind::Full });
        }
        for piece in [reasoning.signature, signed].into_iter().flatten() {
            self.thinking.get_or_insert_default().push_str(piece.as_str());
        }
        if let Some(bytes) = reasoning.redacted_content {
            let running = self.thinking.get_or_insert_default();
            if running.is_empty() {
                running.push_str(REDACTED);
            }
            running.push_str(bytes.as_str());
        }
    }

    fn end_thoughts(&mut self, sink: &mut dyn Sink) {
        if let Some(signed) = self.thinking.take() {
            let signature = (!signed.is_empty()).then(|| Signature::new(DialectId::Bedrock, signed));
            sink.event(Event::ReasoningEnd { choice: 0, signature });
        }
    }

    fn image(&mut self, image: Option<Image<'_>>, sink: &mut dyn Sink) {
        let Some(image) = image else { return };
        if let Some(format) = image.format {
            self.image_format = format.0.into_owned();
        }
        if let Some(Text(base64)) = image.source.and_then(|source| source.bytes) {
            let mime_type = format!("image/{}", self.image_format).into();
            sink.event(Event::Media { choice: 0, mime_type, base64 });
        }
    }
}

fn finish(word: Option<Text<'_>>, sink: &mut dyn Sink) {
    let word = word.unwrap_or_default().0;
    let reason = match &*word {
        "end_turn" | "" => FinishReason::Stop,
        "tool_use" => FinishReason::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "stop_sequence" => FinishReason::StopSequence(None),
        "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        _ => FinishReason::Other(word),
    };
    sink.event(Event::Finish { choice: 0, reason });
}
