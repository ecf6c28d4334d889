//! Reads DashScope's events and whole answers: the same object, of which events bring increments.

use crate::dialect::chat::Refusal;
use crate::dialect::chat::event::{Begin, Event, FinishReason, Sink};
use crate::dialect::chat::json::{Json, Text, filled};
use crate::dialect::chat::native::told::{Calls, Function, argue, tell, think};
use crate::dialect::chat::wire::{AnswerReader, Unreadable};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// More answers to one prompt than this are passed over; DashScope gives four at most.
const CHOICES_MAX: usize = 128;

pub(super) fn reader() -> Box<dyn AnswerReader> {
    Box::new(Reader::default())
}

#[derive(Default)]
struct Reader {
    begun: bool,
    choices: Vec<Progress>,
}

/// How far one choice has come.
#[derive(Default)]
struct Progress {
    calls: Calls,
    finished: bool,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    output: Option<Output<'a>>,
    request_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    /// Where `result_format` is not heeded.
    text: Option<Text<'a>>,
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    finish_reason: Option<Text<'a>>,
    logprobs: Option<Logprobs<'a>>,
}

#[derive(Deserialize)]
struct Logprobs<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    reasoning_content: Option<Text<'a>>,
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    #[serde(borrow)]
    Text(Text<'a>),
    Parts(Vec<Said<'a>>),
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    function: Option<Function<'a>>,
}

impl AnswerReader for Reader {
    fn event(&mut self, name: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        if name == "error" {
            sink.event(Event::Error(Refusal::read(None, json.as_bytes())));
            return Ok(());
        }
        self.document(json, sink)
    }

    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let part: Part<'_> = serde_json::from_str(without_mark(json))?;
        let Some(output) = part.output else {
            sink.event(Event::Error(Refusal::read(None, json.as_bytes())));
            return Ok(());
        };
        if !std::mem::replace(&mut self.begun, true) {
            let id = part.request_id.map(|id| id.0);
            sink.event(Event::Begin(Begin { id, model: None, created_s: None }));
        }
        let bare = (output.text, output.finish_reason);
        match output.choices {
            Some(choices) => {
                for (place, choice) in choices.into_iter().enumerate() {
                    self.choice(choice.index.unwrap_or(place), choice, sink);
                }
            }
            None => {
                let (text, finish_reason) = bare;
                tell(0, text, None, sink);
                self.finish(0, finish_reason, sink);
            }
        }
        Ok(())
    }
}

impl Reader {
    fn choice(&mut self, index: usize, choice: Choice<'_>, sink: &mut dyn Sink) {
        let (Some(number), true) = (u32::try_from(index).ok(), index < CHOICES_MAX) else { return };
        if let Some(message) = choice.message {
            think(number, message.reasoning_content, sink);
            let logprobs = choice.logprobs.and_then(|logprobs| logprobs.content).map(Json::raw);
            match message.content {
                Some(Content::Text(text)) => tell(number, Some(text), logprobs, sink),
                Some(Content::Parts(parts)) => {
                    let mut logprobs = logprobs;
                    parts.into_iter().for_each(|part| tell(number, part.text, logprobs.take(), sink));
                }
                None => {}
            }
            for (place, call) in (0..).zip(message.tool_calls.into_iter().flatten()) {
                self.call(number, place, call, sink);
            }
        }
        self.finish(index, choice.finish_reason, sink);
    }

    fn progress(&mut self, choice: usize) -> Option<&mut Progress> {
        if choice >= CHOICES_MAX {
            return None;
        }
        if self.choices.len() <= choice {
            self.choices.resize_with(choice + 1, Progress::default);
        }
        self.choices.get_mut(choice)
    }

    /// Of a call that has begun, only arguments count: some models repeat its id and name.
    fn call(&mut self, choice: u32, place: u64, call: Call<'_>, sink: &mut dyn Sink) {
        let Some(progress) = self.progress(choice as usize) else { return };
        let index = call.index.unwrap_or(place);
        let function = call.function.unwrap_or_default();
        let number = match progress.calls.find(index) {
            Some(known) => known,
            None => {
                let number = progress.calls.begin(index);
                let id = filled(call.id).unwrap_or_else(|| Cow::Owned(format!("call_{choice}_{number}")));
                let name = function.name.unwrap_or_default().0;
                sink.event(Event::ToolCall { choice, call: number, id, name, signature: None });
                number
            }
        };
        argue(choice, number, function.arguments, sink);
    }

    /// `"null"` is DashScope's word for not yet.
    fn finish(&mut self, choice: usize, word: Option<Text<'_>>, sink: &mut dyn Sink) {
        let Some(word) = word.map(|word| word.0).filter(|word| !matches!(&**word, "null" | "")) else { return };
        let Some(progress) = self.progress(choice) else { return };
        if std::mem::replace(&mut progress.finished, true) {
            return;
        }
        let reason = match &*word {
            "stop" if progress.calls.any() => FinishReason::ToolCalls,
            "stop" => FinishReason::Stop,
            "tool_calls" => FinishReason::ToolCalls,
            "length" => FinishReason::Length,
            "content_filter" => FinishReason::ContentFilter,
            _ => FinishReason::Other(word),
        };
        sink.event(Event::Finish { choice: u32::try_from(choice).unwrap_or(u32::MAX), reason });
    }
}

/// Some proxies put a byte-order mark before a document.
fn without_mark(json: &str) -> &str {
    json.strip_prefix('\u{feff}').unwrap_or(json)
}
