//! An upstream's answer.

mod shapes;

use super::super::error::Refusal;
use super::super::event::{Annotation, Begin, Event, FinishReason, ReasoningKind, Sink};
use super::super::wire::{AnswerReader, Unreadable};
use super::super::{Json, Signature};
use super::{BETWEEN_SUMMARIES, DIALECT, with_id};
use serde_json::value::RawValue;
use shapes::{Cited, Code, Details, Frame, Output, Part, Response, logprobs, number, read, text};
use std::borrow::Cow;

/// The most items of one answer: a thousand calls, and thoughts before each of them.
const ITEMS_MAX: usize = 4096;

pub(super) fn new() -> Box<dyn AnswerReader> {
    Box::new(Reader::default())
}

#[derive(Default)]
struct Reader {
    begun: bool,
    over: bool,
    items: Vec<Item>,
    calls: u32,
    refused: bool,
    /// Characters of text so far.
    text_chars: u64,
}

/// An item of the output, as far as it came.
#[derive(Default)]
struct Item {
    index: u64,
    /// The part that comes now, and whether any of it came in pieces. Vendors leave out pieces, or everything but them.
    part: Option<(Kind, u64)>,
    said: bool,
    /// Where in the choice's text the part begins.
    starts_at: u64,
    call: Option<u32>,
    annotated: bool,
    done: bool,
}

/// What a part consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thoughts,
    Summary,
    Arguments,
}

impl AnswerReader for Reader {
    fn event(&mut self, name: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        // Some vendors end their streams as chat completions end.
        if self.over || json.trim_ascii() == "[DONE]" {
            return Ok(());
        }
        let frame: Frame<'_> = serde_json::from_str(json)?;
        let kind = text(frame.kind).unwrap_or(Cow::Borrowed(name));
        let part = (number(frame.output_index), number(frame.content_index.or(frame.summary_index)));
        match &*kind {
            "response.created" | "response.queued" | "response.in_progress" => {
                self.begin(&read(frame.response), sink);
            }
            "response.output_item.added" => self.announced(part.0, &read(frame.item), sink)?,
            "response.output_item.done" => self.close(part.0, &read(frame.item), sink)?,
            "response.output_text.annotation.added" => {
                if let Some(annotation) = frame.annotation {
                    self.annotate(part.0, annotation, sink)?;
                }
            }
            "response.completed" => self.ended(&read(frame.response), "completed", sink)?,
            "response.incomplete" => self.ended(&read(frame.response), "incomplete", sink)?,
            "response.failed" => self.ended(&read(frame.response), "failed", sink)?,
            "response.cancelled" => self.ended(&read(frame.response), "cancelled", sink)?,
            "error" => self.fail(json, None, sink),
            _ => self.pieces(&kind, part, &frame, sink)?,
        }
        Ok(())
    }

    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let response: Response<'_> = serde_json::from_str(json)?;
        if response.output.is_none() && response.error.is_some() {
            self.fail(json, None, sink);
            return Ok(());
        }
        let status = text(response.status).unwrap_or(Cow::Borrowed("completed"));
        self.ended(&response, &status, sink)
    }
}

impl Reader {
    fn begin(&mut self, response: &Response<'_>, sink: &mut dyn Sink) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let time = response.created_at.and_then(|time| serde_json::from_str::<f64>(time.get()).ok());
        let created_s = time.filter(|time| *time >= 0.0).map(|time| time as i64);
        sink.event(Event::Begin(Begin { id: text(response.id), model: text(response.model), created_s }));
    }

    /// The item of an index.
    fn item(&mut self, index: u64) -> Result<&mut Item, Unreadable> {
        let place = match self.items.iter().rposition(|item| item.index == index) {
            Some(place) => place,
            None if self.items.len() >= ITEMS_MAX => return Err(Unreadable::new("the answer has too many items")),
            None => {
                self.items.push(Item { index, ..Item::default() });
                self.items.len() - 1
            }
        };
        Ok(&mut self.items[place])
    }

    /// Pieces of parts, and parts as a whole.
    fn pieces(
        &mut self,
        kind: &str,
        (index, part): (u64, u64),
        frame: &Frame<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), Unreadable> {
        let (kind, is_whole, said) = match kind {
            "response.output_text.delta" => (Kind::Text, false, frame.delta),
            "response.output_text.done" => (Kind::Text, true, frame.text),
            "response.refusal.delta" => (Kind::Refusal, false, frame.delta),
            "response.refusal.done" => (Kind::Refusal, true, frame.refusal),
            "response.reasoning_text.delta" => (Kind::Thoughts, false, frame.delta),
            "response.reasoning_text.done" => (Kind::Thoughts, true, frame.text),
            "response.reasoning_summary_text.delta" => (Kind::Summary, false, frame.delta),
            "response.reasoning_summary_text.done" => (Kind::Summary, true, frame.text),
            "response.function_call_arguments.delta" => (Kind::Arguments, false, frame.delta),
            "response.function_call_arguments.done" => (Kind::Arguments, true, frame.arguments),
            _ => return Ok(()),
        };
        let Some(said) = text(said) else { return Ok(()) };
        self.piece(index, (kind, part), is_whole, said, logprobs(frame.logprobs), sink)
    }

    /// A piece of a part; or all of it, which is passed over if it came in pieces.
    fn piece(
        &mut self,
        index: u64,
        part: (Kind, u64),
        is_whole: bool,
        text: Cow<'_, str>,
        logprobs: Option<Json<'_>>,
        sink: &mut dyn Sink,
    ) -> Result<(), Unreadable> {
        self.begin(&Response::default(), sink);
        let text_chars = self.text_chars;
        let item = self.item(index)?;
        let before = item.part;
        if before != Some(part) {
            (item.part, item.starts_at) = (Some(part), text_chars);
            let is_next = part.0 == Kind::Summary && before.is_some_and(|(kind, _)| kind == Kind::Summary);
            if is_next && item.said && !text.is_empty() {
                let text = Cow::Borrowed(BETWEEN_SUMMARIES);
                sink.event(Event::Reasoning { choice: 0, text, kind: ReasoningKind::Summary });
            }
            item.said = false;
        }
        if text.is_empty() || (is_whole && item.said) {
            return Ok(());
        }
        item.said = true;
        let call = item.call;
        match part.0 {
            Kind::Text => {
                self.text_chars += text.chars().count() as u64;
                sink.event(Event::Text { choice: 0, text, logprobs });
            }
            Kind::Refusal => {
                self.refused = true;
                sink.event(Event::Refusal { choice: 0, text });
            }
            Kind::Thoughts => sink.event(Event::Reasoning { choice: 0, text, kind: ReasoningKind::Full }),
            Kind::Summary => sink.event(Event::Reasoning { choice: 0, text, kind: ReasoningKind::Summary }),
            Kind::Arguments => {
                if let Some(call) = call {
                    sink.event(Event::Arguments { choice: 0, call, json: text });
                }
            }
        }
        Ok(())
    }

    /// An item begins. A call that is complete by then is told when it ends: Perplexity announces its own searches as such calls, and
    /// ends them as items of another type (recorded in llm-perplexity, 2026-09).
    fn announced(&mut self, index: u64, output: &Output<'_>, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let is_complete = text(output.status).as_deref() == Some("completed");
        if is_complete && text(output.arguments).is_some_and(|arguments| !arguments.is_empty()) {
            self.begin(&Response::default(), sink);
            return self.item(index).map(|_| ());
        }
        self.added(index, output, sink)
    }

    fn added(&mut self, index: u64, output: &Output<'_>, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        self.begin(&Response::default(), sink);
        let calls = self.calls;
        let item = self.item(index)?;
        let Some(name) = text(output.name) else { return Ok(()) };
        if text(output.kind).as_deref() != Some("function_call") || item.call.is_some() {
            return Ok(());
        }
        item.call = Some(calls);
        self.calls += 1;
        let id = text(output.call_id).or_else(|| text(output.id)).unwrap_or_else(|| format!("call_{calls}").into());
        sink.event(Event::ToolCall { choice: 0, call: calls, id, name, signature: None });
        Ok(())
    }

    /// An item is complete: says what of it did not come in pieces.
    fn close(&mut self, index: u64, output: &Output<'_>, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        self.begin(&Response::default(), sink);
        let item = self.item(index)?;
        if std::mem::replace(&mut item.done, true) {
            return Ok(());
        }
        let came = item.part.is_some();
        match text(output.kind).as_deref() {
            Some("message") => self.message(index, output, came, sink),
            Some("function_call") => {
                self.added(index, output, sink)?;
                let arguments = text(output.arguments).unwrap_or_default();
                let part = self.item(index)?.part.unwrap_or((Kind::Arguments, 0));
                self.piece(index, part, true, arguments, None, sink)
            }
            Some("reasoning") => {
                let summary = [(Kind::Thoughts, output.content), (Kind::Summary, output.summary)];
                for (kind, parts) in summary.into_iter().filter(|_| !came) {
                    for (at, part) in read::<Vec<&RawValue>>(parts).into_iter().enumerate() {
                        let said = text(read::<Part<'_>>(Some(part)).text).unwrap_or_default();
                        self.piece(index, (kind, at as u64), true, said, None, sink)?;
                    }
                }
                let encrypted = text(output.encrypted_content).filter(|encrypted| !encrypted.is_empty());
                let id = text(output.id);
                let signature = encrypted.map(|encrypted| Signature::new(DIALECT, with_id(id.as_deref(), &encrypted)));
                sink.event(Event::ReasoningEnd { choice: 0, signature });
                Ok(())
            }
            Some("image_generation_call") => {
                if let Some(base64) = text(output.result) {
                    let format = text(output.output_format).unwrap_or(Cow::Borrowed("png"));
                    let mime_type = format!("image/{format}").into();
                    sink.event(Event::Media { choice: 0, mime_type, base64 });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn message(&mut self, index: u64, output: &Output<'_>, came: bool, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let annotated = self.item(index)?.annotated;
        for (at, part) in read::<Vec<&RawValue>>(output.content).into_iter().enumerate() {
            let part: Part<'_> = read(Some(part));
            if !came {
                let refusal = text(part.refusal).map(|said| (Kind::Refusal, said));
                let said = text(part.text).map(|said| (Kind::Text, said)).or(refusal);
                if let Some((kind, said)) = said {
                    self.piece(index, (kind, at as u64), true, said, logprobs(part.logprobs), sink)?;
                }
            }
            if !annotated {
                for annotation in read::<Vec<&RawValue>>(part.annotations) {
                    self.annotate(index, annotation, sink)?;
                }
            }
        }
        Ok(())
    }

    fn annotate(&mut self, index: u64, json: &RawValue, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        if !json.get().starts_with('{') {
            return Ok(());
        }
        let item = self.item(index)?;
        item.annotated = true;
        let from = item.starts_at;
        let cited: Cited<'_> = read(Some(json));
        let range = cited
            .end_index
            .map(|end| (from.saturating_add(number(cited.start_index)), from.saturating_add(number(Some(end)))));
        let annotation = Annotation {
            url: text(cited.url),
            title: text(cited.title).or_else(|| text(cited.filename)),
            cited_text: None,
            range,
            native: Some((DIALECT, Json::raw(json))),
        };
        sink.event(Event::Annotation { choice: 0, annotation });
        Ok(())
    }

    /// The response is over, one way or another.
    fn ended(&mut self, response: &Response<'_>, status: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        self.begin(response, sink);
        let status = text(response.status).unwrap_or(Cow::Owned(status.to_owned()));
        if !matches!(&*status, "completed" | "incomplete") {
            let unfinished = format!(r#"{{"message":"the answer is not there: it is {}"}}"#, status.escape_default());
            let error = response.error.filter(|error| error.get() != "null");
            self.fail(error.map_or(&*unfinished, RawValue::get), error.map(|_| ()), sink);
            return Ok(());
        }
        // A stream whose items did not come one by one, or a document.
        if self.items.is_empty() {
            for (index, item) in read::<Vec<&RawValue>>(response.output).into_iter().enumerate() {
                self.close(index as u64, &read(Some(item)), sink)?;
            }
        }
        let details: Details<'_> = read(response.incomplete_details);
        let reason = match text(details.reason).or_else(|| text(details.native_finish_reason)) {
            Some(word) if status == "incomplete" => match &*word {
                "max_output_tokens" | "max_messages" => FinishReason::Length,
                "content_filter" => FinishReason::ContentFilter,
                _ => FinishReason::Other(word),
            },
            None if status == "incomplete" => FinishReason::Other("incomplete".into()),
            _ if self.refused => FinishReason::Refusal,
            _ if self.calls > 0 => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        self.over = true;
        sink.event(Event::Finish { choice: 0, reason });
        sink.event(Event::End(None));
        Ok(())
    }

    /// The provider says that something is wrong.
    fn fail(&mut self, json: &str, in_response: Option<()>, sink: &mut dyn Sink) {
        self.over = true;
        let code = in_response.and_then(|()| text(serde_json::from_str::<Code<'_>>(json).ok()?.code));
        // Of the codes of a response's error these have no status of their own anywhere.
        let status = code.filter(|code| code.contains("image")).map(|_| 400);
        sink.event(Event::Error(Refusal::read(status, json.as_bytes())));
    }
}
