//! Reads Ollama's lines; a whole answer is the last one, with everything in it.

use crate::dialect::chat::Refusal;
use crate::dialect::chat::event::{Begin, Event, FinishReason, Sink};
use crate::dialect::chat::json::{Json, Text, filled, text_or_json};
use crate::dialect::chat::native::told::{tell, think};
use crate::dialect::chat::wire::{AnswerReader, Unreadable};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(super) fn reader() -> Box<dyn AnswerReader> {
    Box::new(Reader::default())
}

#[derive(Default)]
struct Reader {
    begun: bool,
    calls: u32,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    created_at: Option<Text<'a>>,
    message: Option<Message<'a>>,
    done: Option<bool>,
    done_reason: Option<Text<'a>>,
    error: Option<&'a RawValue>,
    logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    thinking: Option<Text<'a>>,
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    arguments: Option<&'a RawValue>,
}

impl AnswerReader for Reader {
    fn event(&mut self, _: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        if self.read(json, sink)? {
            sink.event(Event::End(None));
        }
        Ok(())
    }

    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        self.read(json, sink).map(|_| ())
    }
}

impl Reader {
    /// True: it was the last line.
    fn read(&mut self, json: &str, sink: &mut dyn Sink) -> Result<bool, Unreadable> {
        let line: Line<'_> = serde_json::from_str(json)?;
        if line.error.is_some() {
            sink.event(Event::Error(Refusal::read(None, json.as_bytes())));
            return Ok(false);
        }
        if !std::mem::replace(&mut self.begun, true) {
            sink.event(Event::Begin(Begin { id: None, model: line.model.map(|model| model.0), created_s: None }));
        }
        if let Some(message) = line.message {
            let made = line.created_at.as_ref().map_or("", Text::as_str);
            self.message(message, made, line.logprobs, sink);
        }
        let done = line.done == Some(true);
        if done {
            let reason = finish_reason(line.done_reason.map(|word| word.0), self.calls > 0);
            sink.event(Event::Finish { choice: 0, reason });
        }
        Ok(done)
    }

    fn message(&mut self, message: Message<'_>, made: &str, logprobs: Option<&RawValue>, sink: &mut dyn Sink) {
        think(0, message.thinking, sink);
        tell(0, message.content, logprobs.map(Json::raw), sink);
        for call in message.tool_calls.into_iter().flatten() {
            let (number, name) = (self.calls, call.function.name.0);
            self.calls += 1;
            let id = filled(call.id).unwrap_or_else(|| id_of(made, number));
            sink.event(Event::ToolCall { choice: 0, call: number, id, name, signature: None });
            // An object; some models' templates make a text of it.
            let json = call.function.arguments.map_or(Cow::Borrowed("{}"), text_or_json);
            sink.event(Event::Arguments { choice: 0, call: number, json });
        }
    }
}

/// Older servers give calls no ids: the answer's time and the call's number tell it from all others of a conversation.
fn id_of(made: &str, number: u32) -> Cow<'static, str> {
    let digits: String = made.chars().filter(char::is_ascii_digit).collect();
    format!("call_{digits}_{number}").into()
}

fn finish_reason(word: Option<Cow<'_, str>>, has_calls: bool) -> FinishReason<'_> {
    match word.as_deref() {
        Some("length") => FinishReason::Length,
        None | Some("stop" | "" | "load" | "unload") if has_calls => FinishReason::ToolCalls,
        None | Some("stop" | "" | "load" | "unload") => FinishReason::Stop,
        Some(_) => FinishReason::Other(word.unwrap_or_default()),
    }
}
