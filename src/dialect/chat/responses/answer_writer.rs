//! An answer to a client.

mod calls;
mod lines;
mod response;
mod thoughts;

use super::super::Json;
use super::super::answer::{Answer, Block, owned_reason};
use super::super::error::Refusal;
use super::super::event::{Annotation, Begin, Event, FinishReason};
use super::super::translation::Asked;
use super::super::wire::AnswerWriter;
use super::super::write;
use super::Signed;
use super::echo::Echo;
use super::output::{self, Call, Message, Open, Place, TextPart, add};
use lines::Lines;
use response::{Outcome, response};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_plugin_api::Metered;

/// The most that is kept of a stream: its terminal event repeats the whole answer. A million tokens of text are a seventh
/// of it; a longer answer ends as failed, because its terminal event could not be true.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What declines where the provider says that the model declined, but not with which words.
const DECLINED: &str = "The model declined to answer.";

pub(super) fn new(asked: Arc<Asked>) -> Box<dyn AnswerWriter> {
    let echo = Echo::of(&asked.body);
    let base = asked.request_id.replace('-', "");
    let (created_s, model) = (asked.started_s, asked.model.clone());
    let lines = Lines { streams: true, sequence: 0 };
    Box::new(Writer {
        head: Head { id: format!("resp_{base}"), created_s, model, echo },
        asked: asked.without_body(),
        base,
        lines,
        begun: false,
        over: false,
        open: Open::Nothing,
        calls: Vec::new(),
        index: 0,
        output: BTreeMap::new(),
        kept: 0,
        text_chars: 0,
        declined: false,
        finish: None,
    })
}

struct Writer {
    asked: Arc<Asked>,
    head: Head,
    /// What ids are made of.
    base: String,
    lines: Lines,
    begun: bool,
    over: bool,
    open: Open,
    /// Calls whose arguments may go on, whatever comes between their pieces.
    calls: Vec<Call>,
    /// The next item's.
    index: u64,
    /// Complete items, as JSON, by their place.
    output: BTreeMap<u64, String>,
    /// Bytes of the answer so far.
    kept: usize,
    /// Characters of text in complete parts.
    text_chars: u64,
    /// The model's words for declining were written.
    declined: bool,
    finish: Option<FinishReason<'static>>,
}

/// What every form of the response begins with.
struct Head {
    id: String,
    created_s: i64,
    model: String,
    echo: Echo,
}

impl AnswerWriter for Writer {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if matches!(event, Event::Ping) {
            out.extend_from_slice(b": \n\n");
            return;
        }
        self.begin(event, out);
        match event {
            Event::Text { choice: 0, text, logprobs } => self.text(text, logprobs.as_ref(), out),
            Event::TextSigned { choice: 0, signature } => self.signature(signature, Signed::Last, out),
            Event::Refusal { choice: 0, text } => self.decline(text, out),
            Event::Reasoning { choice: 0, text, .. } => self.think(text, out),
            Event::ReasoningEnd { choice: 0, signature } => self.end_thoughts(signature.as_ref(), out),
            Event::ToolCall { choice: 0, call, id, name, signature } => {
                if let Some(signature) = signature {
                    self.signature(signature, Signed::Next, out);
                }
                self.call(*call, id, name, out);
            }
            Event::Arguments { choice: 0, call, json } => self.argue(*call, json, out),
            Event::Annotation { choice: 0, annotation } => self.annotate(annotation, out),
            Event::Media { choice: 0, mime_type, base64 } => self.media(mime_type, base64, out),
            Event::Finish { choice: 0, reason } => self.finish = Some(owned_reason(reason.clone())),
            Event::Error(refusal) => self.fail(refusal, out),
            Event::End(metered) => self.end(metered.as_ref(), out),
            // One prompt has one answer in this dialect.
            _ => {}
        }
        if self.kept > KEPT_BYTES_MAX && self.lines.streams && !self.over {
            let message = Cow::Borrowed("the answer is larger than this gateway passes on in this dialect");
            self.fail(&Refusal { status: 500, message, code: None, param: None, retry_after_s: None }, out);
        }
    }

    fn document(&mut self, answer: &Answer) -> Vec<u8> {
        self.lines.streams = false;
        let (mut out, mut calls) = (Vec::new(), 0);
        let begin = Begin { id: borrow(&answer.id), model: borrow(&answer.model), created_s: answer.created_s };
        self.event(&Event::Begin(begin), &mut out);
        if let Some(choice) = answer.choices.first() {
            choice.blocks.iter().for_each(|block| self.block(block, &mut calls, &mut out));
            self.finish.clone_from(&choice.finish);
        }
        self.event(&Event::End(answer.metered.clone()), &mut out);
        out
    }
}

fn borrow(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(Cow::Borrowed)
}

impl Writer {
    /// A block of a whole answer, as the events that it would come in.
    fn block(&mut self, block: &Block, calls: &mut u32, out: &mut Vec<u8>) {
        match block {
            Block::Text { text, annotations, logprobs, signature } => {
                self.text(text, logprobs.first(), out);
                logprobs.iter().skip(1).for_each(|more| self.text("", Some(more), out));
                annotations.iter().for_each(|annotation| self.annotate(annotation, out));
                if let Some(signature) = signature {
                    self.signature(signature, Signed::Last, out);
                }
            }
            Block::Refusal(text) => self.decline(text, out),
            Block::Reasoning { text, signature, .. } => {
                self.think(text, out);
                self.end_thoughts(signature.as_ref(), out);
            }
            Block::ToolCall { id, name, arguments, signature } => {
                if let Some(signature) = signature {
                    self.signature(signature, Signed::Next, out);
                }
                self.call(*calls, id, name, out);
                self.argue(*calls, arguments, out);
                *calls += 1;
            }
            Block::Media { mime_type, base64 } => self.media(mime_type, base64, out),
        }
    }

    fn begin(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        if let Event::Begin(begin) = event {
            if let Some(id) = begin.id.as_deref().filter(|id| id.starts_with("resp_")) {
                self.head.id = id.to_owned();
            }
            if let Some(model) = begin.model.as_deref().filter(|model| !model.is_empty()) {
                self.head.model = model.to_owned();
            }
            self.head.created_s = begin.created_s.unwrap_or(self.head.created_s);
        }
        for kind in ["response.created", "response.in_progress"] {
            let head = &self.head;
            self.lines.say(out, kind, |event| event.object("response", |r| response(r, head, &Outcome::Running)));
        }
    }

    /// The next item's place.
    fn place(&mut self, prefix: &str) -> Place {
        let index = self.index;
        self.index += 1;
        Place { index, id: format!("{prefix}_{}_{index}", self.base) }
    }

    /// An item is complete.
    fn done(&mut self, index: u64, item: String, out: &mut Vec<u8>) {
        self.lines.say_item(out, "response.output_item.done", index, &item);
        self.output.insert(index, item);
    }

    /// The complete items, in their order, as JSON with commas.
    fn output(&self) -> String {
        self.output.values().map(String::as_str).collect::<Vec<_>>().join(",")
    }

    fn text(&mut self, text: &str, logprobs: Option<&Json<'_>>, out: &mut Vec<u8>) {
        let is_new = !matches!(&self.open, Open::Message(message) if message.part.is_some());
        if text.is_empty() && logprobs.is_none() && is_new {
            return;
        }
        self.open_part(false, out);
        let Open::Message(Message { place, parts, part: Some(part), .. }) = &mut self.open else { return };
        let likely = logprobs.map_or("", Json::elements);
        self.kept += text.len() + likely.len();
        part.text.push_str(text);
        part.chars += text.chars().count() as u64;
        add(&mut part.logprobs, likely);
        self.lines.say_part(out, "response.output_text.delta", (place, "content_index", *parts), |event| {
            event.member("delta", text);
            event.written("logprobs", logprobs.map_or("[]", Json::as_str));
        });
    }

    fn decline(&mut self, text: &str, out: &mut Vec<u8>) {
        self.declined = true;
        self.open_part(true, out);
        let Open::Message(Message { place, parts, part: Some(part), .. }) = &mut self.open else { return };
        self.kept += text.len();
        part.text.push_str(text);
        self.lines.say_part(out, "response.refusal.delta", (place, "content_index", *parts), |event| {
            event.member("delta", text);
        });
    }

    /// Makes sure that a part of this kind is open.
    fn open_part(&mut self, is_refusal: bool, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Message(_)) {
            self.close("completed", out);
            let message = Message { place: self.place("msg"), content: String::new(), parts: 0, part: None };
            let item = message.item("in_progress");
            self.lines.say_item(out, "response.output_item.added", message.place.index, &item);
            self.open = Open::Message(message);
        }
        if matches!(&self.open, Open::Message(Message { part: Some(part), .. }) if part.is_refusal != is_refusal) {
            self.close_part(out);
        }
        let Open::Message(message) = &mut self.open else { return };
        if message.part.is_none() {
            let part = message.part.insert(TextPart { is_refusal, ..TextPart::default() }).json();
            let at = (&message.place, "content_index", message.parts);
            self.lines.say_part(out, "response.content_part.added", at, |event| event.written("part", &part));
        }
    }

    fn close_part(&mut self, out: &mut Vec<u8>) {
        let Open::Message(message) = &mut self.open else { return };
        let Some(part) = message.part.take() else { return };
        let at = (&message.place, "content_index", message.parts);
        if part.is_refusal {
            self.lines.say_part(out, "response.refusal.done", at, |event| event.member("refusal", &part.text));
        } else {
            self.lines.say_part(out, "response.output_text.done", at, |event| {
                event.member("text", &part.text);
                event.written("logprobs", &output::list(&part.logprobs));
            });
        }
        let whole = part.json();
        self.lines.say_part(out, "response.content_part.done", at, |event| event.written("part", &whole));
        add(&mut message.content, &whole);
        message.parts += 1;
        self.text_chars += part.chars;
    }

    fn annotate(&mut self, annotation: &Annotation<'_>, out: &mut Vec<u8>) {
        self.open_part(false, out);
        let from = self.text_chars;
        let Open::Message(Message { place, parts, part: Some(part), .. }) = &mut self.open else { return };
        let json = output::annotation(annotation, from, part.chars);
        self.kept += json.len();
        let number = part.annotation_count;
        self.lines.say_part(out, "response.output_text.annotation.added", (place, "content_index", *parts), |event| {
            event.member("annotation_index", &number);
            event.written("annotation", &json);
        });
        add(&mut part.annotations, &json);
        part.annotation_count += 1;
    }

    fn media(&mut self, mime_type: &str, base64: &str, out: &mut Vec<u8>) {
        // Sounds have no place in a response; no request of this dialect can ask for one.
        if !mime_type.starts_with("image/") {
            return;
        }
        self.close("completed", out);
        self.kept += base64.len();
        let place = self.place("ig");
        let added = output::image(&place, mime_type, None, "in_progress");
        self.lines.say_item(out, "response.output_item.added", place.index, &added);
        self.lines.say(out, "response.image_generation_call.completed", |event| {
            event.member("item_id", &place.id);
            event.member("output_index", &place.index);
        });
        self.done(place.index, output::image(&place, mime_type, Some(base64), "completed"), out);
    }

    /// What is open is complete, or will not be; calls, if their arguments are whole.
    fn close(&mut self, status: &str, out: &mut Vec<u8>) {
        self.close_open(status, out);
        self.close_calls(|call| call.nesting.is_closed(), status, out);
    }

    /// The same for what is no call.
    fn close_open(&mut self, status: &str, out: &mut Vec<u8>) {
        self.close_part(out);
        match std::mem::take(&mut self.open) {
            Open::Nothing => {}
            Open::Message(message) => self.done(message.place.index, message.item(status), out),
            Open::Reasoning(place, text) => self.close_thoughts(&place, &text, None, out),
        }
    }

    fn end(&mut self, metered: Option<&Metered>, out: &mut Vec<u8>) {
        let finish = self.finish.take().unwrap_or(FinishReason::Stop);
        if finish == FinishReason::Refusal && !self.declined {
            self.decline(DECLINED, out);
        }
        let cut_by = match &finish {
            FinishReason::Length => Some(("reason", "max_output_tokens")),
            FinishReason::ContentFilter => Some(("reason", "content_filter")),
            // The SDKs' types list the reasons.
            FinishReason::Other(word) => Some(("native_finish_reason", &**word)),
            _ => None,
        };
        let status = if cut_by.is_some() { "incomplete" } else { "completed" };
        self.close_open(status, out);
        self.close_calls(|_| true, status, out);
        self.over = true;
        let output = self.output();
        let outcome = Outcome::Whole { output: &output, cut_by, metered };
        let head = &self.head;
        if !self.lines.streams {
            write::object(out, |document| response(document, head, &outcome));
            return;
        }
        let kind = if cut_by.is_some() { "response.incomplete" } else { "response.completed" };
        self.lines.say(out, kind, |event| event.object("response", |r| response(r, head, &outcome)));
    }

    /// The error's event, and the response as failed: some clients look at the one, some at the other.
    fn fail(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        self.over = true;
        let error = refusal.members(self.asked.client, false, &self.asked.request_id);
        self.lines.say(out, "error", |event| {
            event.member("code", &refusal.code);
            event.member("message", &refusal.message);
            event.member("param", &refusal.param);
            event.spliced(&error);
        });
        let (head, output) = (&self.head, self.output());
        let outcome = Outcome::Failed { output: &output, refusal };
        self.lines.say(out, "response.failed", |event| event.object("response", |r| response(r, head, &outcome)));
    }
}
