//! Reads Cohere's events, and its whole answers.

use crate::dialect::DialectId;
use crate::dialect::chat::Refusal;
use crate::dialect::chat::event::{Annotation, Begin, Event, FinishReason, Sink};
use crate::dialect::chat::json::Text;
use crate::dialect::chat::native::told::{Calls, Function, argue, tell, think};
use crate::dialect::chat::wire::{AnswerReader, Unreadable};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The type of citations of what is told, not of thoughts or plans.
const OF_TEXT: &str = "TEXT_CONTENT";

pub(super) fn reader() -> Box<dyn AnswerReader> {
    Box::new(Reader::default())
}

#[derive(Default)]
struct Reader {
    calls: Calls,
    /// Nothing can follow: the answer's end has come, or an error.
    is_over: bool,
}

#[derive(Deserialize)]
struct Streamed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    id: Option<Text<'a>>,
    index: Option<u64>,
    delta: Option<Delta<'a>>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    message: Option<Piece<'a>>,
    finish_reason: Option<Text<'a>>,
    error: Option<Text<'a>>,
}

/// What an event brings. At the start the lists are there, empty; later they are objects.
#[derive(Default, Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    content: Option<OneOf<Content<'a>>>,
    tool_plan: Option<Text<'a>>,
    tool_calls: Option<OneOf<Call<'a>>>,
    citations: Option<OneOf<Citation<'a>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOf<T> {
    One(T),
    Other(IgnoredAny),
}

impl<T> OneOf<T> {
    fn one(this: Option<Self>) -> Option<T> {
        match this {
            Some(Self::One(one)) => Some(one),
            Some(Self::Other(_)) | None => None,
        }
    }
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    thinking: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Citation<'a> {
    start: Option<u64>,
    end: Option<u64>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    sources: Option<Vec<Cited<'a>>>,
}

#[derive(Deserialize)]
struct Cited<'a> {
    #[serde(borrow)]
    document: Option<Document<'a>>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    title: Option<Text<'a>>,
    url: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    message: Option<Message<'a>>,
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Vec<Content<'a>>>,
    tool_plan: Option<Text<'a>>,
    tool_calls: Option<Vec<Call<'a>>>,
    citations: Option<Vec<Citation<'a>>>,
}

impl AnswerReader for Reader {
    fn event(&mut self, _: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        if self.is_over || json.trim_ascii() == "[DONE]" {
            return Ok(());
        }
        let streamed: Streamed<'_> = serde_json::from_str(json)?;
        let delta = streamed.delta.unwrap_or_default();
        let index = streamed.index.unwrap_or(0);
        match streamed.kind.as_ref().map_or("", Text::as_str) {
            "message-start" => begin(streamed.id, sink),
            "content-start" | "content-delta" | "tool-plan-delta" => {
                let piece = delta.message.unwrap_or_default();
                if let Some(content) = OneOf::one(piece.content) {
                    say(content, sink);
                }
                tell(0, piece.tool_plan, None, sink);
            }
            "tool-call-start" => {
                if let Some(call) = delta.message.and_then(|piece| OneOf::one(piece.tool_calls)) {
                    self.call(index, call, sink);
                }
            }
            "tool-call-delta" => {
                let call = delta.message.and_then(|piece| OneOf::one(piece.tool_calls));
                if let Some(number) = self.calls.find(index) {
                    argue(0, number, call.and_then(|call| call.function?.arguments), sink);
                }
            }
            "citation-start" => {
                if let Some(citation) = delta.message.and_then(|piece| OneOf::one(piece.citations)) {
                    cite(citation, sink);
                }
            }
            "message-end" => {
                self.is_over = true;
                let failed = finish(delta.finish_reason, delta.error, sink);
                if !failed {
                    sink.event(Event::End(None));
                }
            }
            "" => {
                self.is_over = true;
                sink.event(Event::Error(Refusal::read(None, json.as_bytes())));
            }
            _ => {}
        }
        Ok(())
    }

    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let whole: Whole<'_> = serde_json::from_str(json)?;
        begin(whole.id, sink);
        if let Some(message) = whole.message {
            tell(0, message.tool_plan, None, sink);
            message.content.into_iter().flatten().for_each(|content| say(content, sink));
            message.citations.into_iter().flatten().for_each(|citation| cite(citation, sink));
            for (index, call) in (0..).zip(message.tool_calls.into_iter().flatten()) {
                self.call(index, call, sink);
            }
        }
        finish(whole.finish_reason, None, sink);
        Ok(())
    }
}

impl Reader {
    fn call(&mut self, index: u64, call: Call<'_>, sink: &mut dyn Sink) {
        let number = self.calls.begin(index);
        let function = call.function.unwrap_or_default();
        let id = call.id.map_or_else(|| format!("call_{number}").into(), |id| id.0);
        let name = function.name.unwrap_or_default().0;
        sink.event(Event::ToolCall { choice: 0, call: number, id, name, signature: None });
        argue(0, number, function.arguments, sink);
    }
}

fn begin(id: Option<Text<'_>>, sink: &mut dyn Sink) {
    sink.event(Event::Begin(Begin { id: id.map(|id| id.0), model: None, created_s: None }));
}

fn say(content: Content<'_>, sink: &mut dyn Sink) {
    think(0, content.thinking, sink);
    tell(0, content.text, None, sink);
}

/// What has neither title nor address (a tool's result) nobody could show.
fn cite(citation: Citation<'_>, sink: &mut dyn Sink) {
    if citation.kind.as_ref().is_some_and(|kind| kind.as_str() != OF_TEXT) {
        return;
    }
    let range = citation.start.zip(citation.end);
    for document in citation.sources.into_iter().flatten().filter_map(|source| source.document) {
        let (title, url) = (document.title.map(|title| title.0), document.url.map(|url| url.0));
        if title.is_some() || url.is_some() {
            let annotation = Annotation { url, title, cited_text: None, range, native: None };
            sink.event(Event::Annotation { choice: 0, annotation });
        }
    }
}

/// True: the answer failed.
fn finish(word: Option<Text<'_>>, error: Option<Text<'_>>, sink: &mut dyn Sink) -> bool {
    let word = word.map(|word| word.0);
    let failure = word.as_deref().and_then(|word| Refusal::of_finish(DialectId::Cohere, word));
    let failure = match error {
        Some(Text(message)) => Some(Refusal { message, ..failure.unwrap_or_else(|| Refusal::new(500, "")) }),
        None => failure,
    };
    if let Some(refusal) = failure {
        sink.event(Event::Error(refusal));
        return true;
    }
    let reason = match word.as_deref() {
        None | Some("COMPLETE") => FinishReason::Stop,
        Some("STOP_SEQUENCE") => FinishReason::StopSequence(None),
        Some("MAX_TOKENS" | "ERROR_LIMIT") => FinishReason::Length,
        Some("TOOL_CALL") => FinishReason::ToolCalls,
        Some("ERROR_TOXIC") => FinishReason::ContentFilter,
        Some(_) => FinishReason::Other(word.unwrap_or_default()),
    };
    sink.event(Event::Finish { choice: 0, reason });
    false
}
