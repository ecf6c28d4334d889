//! Writes an answer for Google's clients: `GenerateContentResponse`s, one an event, or one in all.

use super::offsets::Offsets;
use super::{chunk, finish, grounding, logprobs};
use crate::dialect::answer::GEMINI_LAST_COMMENT;
use crate::dialect::chat::write::{self, Members};
use crate::dialect::chat::{
    Annotation, Answer, AnswerWriter, Asked, Begin, Block, Choice as AnswerChoice, Event, FinishReason, Json, Refusal,
    Signature,
};
use crate::dialect::{DialectId, Framing};
use std::sync::Arc;
use tollgate_plugin_api::Metered;

/// The most choices of an answer.
const CHOICES_MAX: usize = 128;
/// The most calls of a choice that are gathered at once.
const CALLS_MAX: usize = 1024;
/// The arguments that are gathered at once: a call goes out whole.
const ARGUMENTS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most annotations of a choice: they go out at its end.
const ANNOTATIONS_MAX: usize = 4096;

/// Writes one answer.
pub(super) struct Writer {
    asked: Arc<Asked>,
    /// Model, id and time, as they stand in every event.
    identity: String,
    /// An array's first element is written.
    is_begun: bool,
    is_over: bool,
    /// How many bytes of arguments are gathered.
    gathered: usize,
    choices: Vec<Choice>,
}

#[derive(Default)]
struct Choice {
    calls: Vec<Call>,
    offsets: Offsets,
    annotations: Vec<Annotation<'static>>,
    finish: Option<&'static str>,
    has_content: bool,
    has_called: bool,
    /// A call's arguments were no JSON object, or beyond the limit.
    is_malformed: bool,
}

/// A call whose arguments are still coming.
struct Call {
    call: u32,
    id: String,
    name: String,
    signature: Option<Signature<'static>>,
    arguments: String,
}

impl AnswerWriter for Writer {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            Event::Begin(begin) => self.identity = identity(&self.asked, begin),
            Event::Ping => self.stay_alive(out),
            Event::Error(refusal) => self.refuse(refusal, out),
            Event::End(metered) => self.end(metered.as_ref(), out),
            Event::Text { choice, text, logprobs } => {
                self.content(*choice, logprobs.as_ref(), out, |parts| chunk::text(text, false, None, parts));
                self.choice(*choice).offsets.push(text);
            }
            Event::Refusal { choice, text } => {
                self.content(*choice, None, out, |parts| chunk::text(text, false, None, parts));
                self.choice(*choice).offsets.push(text);
            }
            Event::TextSigned { choice, signature } => {
                self.content(*choice, None, out, |parts| chunk::text("", false, Some(signature), parts));
            }
            Event::Reasoning { choice, text, .. } => {
                self.content(*choice, None, out, |parts| chunk::text(text, true, None, parts));
            }
            Event::ReasoningEnd { choice, signature: Some(signature) } => {
                self.content(*choice, None, out, |parts| chunk::text("", true, Some(signature), parts));
            }
            Event::ReasoningEnd { .. } => {}
            Event::Media { choice, mime_type, base64 } => {
                self.content(*choice, None, out, |parts| chunk::media(mime_type, base64, parts));
            }
            Event::ToolCall { choice, call, id, name, signature } => {
                self.flush(*choice, false, out);
                let (id, name) = (id.clone().into_owned(), name.clone().into_owned());
                let signature = signature.as_ref().map(owned);
                let state = self.choice(*choice);
                if state.calls.len() < CALLS_MAX {
                    state.calls.push(Call { call: *call, id, name, signature, arguments: String::new() });
                }
            }
            Event::Arguments { choice, call, json } => self.gather(*choice, *call, json),
            Event::Annotation { choice, annotation } => self.choice(*choice).annotate(annotation),
            Event::Finish { choice, reason } => {
                self.flush(*choice, true, out);
                self.choice(*choice).finish = Some(finish::word(reason));
            }
        }
    }

    fn document(&mut self, answer: &Answer) -> Vec<u8> {
        let begin = Begin {
            id: answer.id.as_deref().map(Into::into),
            model: answer.model.as_deref().map(Into::into),
            created_s: answer.created_s,
        };
        // Events that say nothing are an empty answer; a document without a candidate would be none.
        let nothing = [AnswerChoice::default()];
        let choices = if answer.choices.is_empty() { &nothing } else { answer.choices.as_slice() };
        let mut out = Vec::with_capacity(1024);
        write::object(&mut out, |response| {
            if answer.choices.iter().all(|choice| choice.blocks.is_empty()) && is_blocked(answer) {
                blocked(response);
            } else {
                response.array("candidates", |candidates| {
                    for (index, choice) in choices.iter().enumerate() {
                        candidates.object_element(|candidate| whole(index, choice, candidate));
                    }
                });
            }
            chunk::usage(answer.metered.as_ref(), response);
            response.spliced(&identity(&self.asked, &begin));
        });
        out
    }
}

impl Writer {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        let identity = identity(&asked, &Begin::default());
        Self {
            asked: asked.without_body(),
            identity,
            is_begun: false,
            is_over: false,
            gathered: 0,
            choices: Vec::new(),
        }
    }

    /// The state of a choice; those beyond the limit share the last.
    fn choice(&mut self, choice: u32) -> &mut Choice {
        let index = (choice as usize).min(CHOICES_MAX - 1);
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        &mut self.choices[index]
    }

    /// One event of the stream.
    fn frame(&mut self, out: &mut Vec<u8>, members: impl FnOnce(&mut Members<'_>)) {
        let is_array = self.asked.framing == Framing::JsonArray;
        match (self.asked.framing, std::mem::replace(&mut self.is_begun, true)) {
            (Framing::JsonArray, false) => out.push(b'['),
            (Framing::JsonArray, true) => out.extend_from_slice(b",\r\n"),
            (Framing::Sse, _) => out.extend_from_slice(b"data: "),
            _ => {}
        }
        write::line(out, members);
        out.extend_from_slice(if is_array { b"\n" } else { b"\r\n\r\n" });
    }

    /// An event with content: what was gathered before goes out first.
    fn content(
        &mut self,
        choice: u32,
        logprobs: Option<&Json<'_>>,
        out: &mut Vec<u8>,
        parts: impl FnOnce(&mut Members<'_>),
    ) {
        self.flush(choice, true, out);
        self.choice(choice).has_content = true;
        let identity = std::mem::take(&mut self.identity);
        self.frame(out, |response| {
            response.array("candidates", |candidates| {
                candidates.object_element(|candidate| {
                    candidate.object("content", |content| {
                        content.array("parts", parts);
                        content.member("role", "model");
                    });
                    candidate.member("index", &choice);
                    logprobs.iter().for_each(|logprobs| self::logprobs::write(&[logprobs], candidate));
                });
            });
            response.spliced(&identity);
        });
        self.identity = identity;
    }

    fn gather(&mut self, choice: u32, call: u32, json: &str) {
        let is_too_much = self.gathered.saturating_add(json.len()) > ARGUMENTS_BYTES_MAX;
        let state = self.choice(choice);
        if is_too_much {
            state.is_malformed = true;
        } else if let Some(open) = state.calls.iter_mut().find(|open| open.call == call) {
            open.arguments.push_str(json);
            self.gathered += json.len();
        }
    }

    /// Writes the calls that are whole, in their order; `all`: nothing more comes of any.
    fn flush(&mut self, choice: u32, all: bool, out: &mut Vec<u8>) {
        loop {
            let state = self.choice(choice);
            let Some(first) = state.calls.first() else { return };
            let is_whole = !first.arguments.is_empty() && chunk::args(&first.arguments).is_some();
            if !all && !is_whole {
                return;
            }
            let call = state.calls.remove(0);
            self.gathered = self.gathered.saturating_sub(call.arguments.len());
            match chunk::args(&call.arguments) {
                Some(args) => {
                    let rest = std::mem::take(&mut self.choice(choice).calls);
                    let is_first = !std::mem::replace(&mut self.choice(choice).has_called, true);
                    self.content(choice, None, out, |parts| {
                        chunk::call(&call.id, &call.name, &args, (call.signature.as_ref(), is_first), parts);
                    });
                    self.choice(choice).calls = rest;
                }
                None => self.choice(choice).is_malformed = true,
            }
        }
    }

    /// Between an array's elements there may be white space. Google's SDKs fail on whatever an event stream could have there.
    fn stay_alive(&self, out: &mut Vec<u8>) {
        if self.asked.framing == Framing::JsonArray && self.is_begun {
            out.push(b'\n');
        }
    }

    fn refuse(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        let members = refusal.members(DialectId::Gemini, true, &self.asked.request_id);
        self.frame(out, |error| error.spliced(&members));
        self.close(out);
        if self.asked.framing == Framing::Sse {
            out.extend_from_slice(GEMINI_LAST_COMMENT.as_bytes());
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.asked.framing == Framing::JsonArray {
            out.push(b']');
        }
        self.is_over = true;
    }

    /// The last event: why each choice ended, and what was used. It has a part without text, as Google's has: the SDKs' chats
    /// keep no answer whose last content has no parts.
    fn end(&mut self, metered: Option<&Metered>, out: &mut Vec<u8>) {
        let count = u32::try_from(self.choices.len()).unwrap_or(u32::MAX);
        (0..count).for_each(|choice| self.flush(choice, true, out));
        self.choice(0);
        let (identity, choices) = (std::mem::take(&mut self.identity), std::mem::take(&mut self.choices));
        let is_empty = choices.iter().all(|choice| !choice.has_content);
        let is_blocked = is_empty && choices.iter().any(|choice| choice.finish == Some("SAFETY"));
        self.frame(out, |response| {
            if is_blocked {
                blocked(response);
            } else {
                response.array("candidates", |candidates| {
                    for (index, choice) in choices.iter().enumerate() {
                        candidates.object_element(|candidate| choice.end(index, candidate));
                    }
                });
            }
            chunk::usage(metered, response);
            response.spliced(&identity);
        });
        self.close(out);
    }
}

impl Choice {
    fn annotate(&mut self, annotation: &Annotation<'_>) {
        if self.annotations.len() < ANNOTATIONS_MAX {
            let own = |text: &Option<std::borrow::Cow<'_, str>>| text.clone().map(|text| text.into_owned().into());
            let (url, title, cited_text) = (own(&annotation.url), own(&annotation.title), own(&annotation.cited_text));
            self.annotations.push(Annotation { url, title, cited_text, range: annotation.range, native: None });
        }
    }

    fn end(&self, index: usize, candidate: &mut Members<'_>) {
        candidate.object("content", |content| {
            content.array("parts", |parts| chunk::text("", false, None, parts));
            content.member("role", "model");
        });
        candidate.member("finishReason", reason(self.finish, self.is_malformed));
        candidate.member("index", &index);
        grounding::write(self.annotations.iter(), &self.offsets, candidate);
    }
}

/// A call that is none is what was wrong only where nothing else was: the output limit cuts calls off, too.
fn reason(finish: Option<&'static str>, is_malformed: bool) -> &'static str {
    match finish {
        None | Some("STOP") if is_malformed => finish::MALFORMED_CALL,
        finish => finish.unwrap_or("STOP"),
    }
}

fn identity(asked: &Asked, begin: &Begin<'_>) -> String {
    let model = begin.model.as_deref().filter(|model| !model.is_empty()).unwrap_or(&asked.model);
    let id = begin.id.as_deref().filter(|id| !id.is_empty()).unwrap_or(&asked.request_id);
    let mut out = Vec::new();
    write::object(&mut out, |response| chunk::identity(model, id, begin.created_s, response));
    String::from_utf8(out).unwrap_or_default().trim_start_matches('{').trim_end_matches('}').to_owned()
}

fn owned(signature: &Signature<'_>) -> Signature<'static> {
    Signature::new(signature.maker, signature.text.clone().into_owned())
}

/// Nothing came, because something was filtered: as Google says it, the prompt was.
fn is_blocked(answer: &Answer) -> bool {
    let filtered =
        |choice: &AnswerChoice| matches!(choice.finish, Some(FinishReason::ContentFilter | FinishReason::Refusal));
    answer.choices.iter().any(filtered)
}

fn blocked(response: &mut Members<'_>) {
    response.object("promptFeedback", |feedback| feedback.member("blockReason", "SAFETY"));
}

/// A whole candidate.
fn whole(index: usize, choice: &AnswerChoice, candidate: &mut Members<'_>) {
    let (mut offsets, mut annotations, mut logprobs) = (Offsets::default(), Vec::new(), Vec::new());
    let (mut is_malformed, mut is_first) = (false, true);
    candidate.object("content", |content| {
        if !choice.blocks.is_empty() {
            content.array("parts", |parts| {
                for block in &choice.blocks {
                    match block {
                        Block::Text { text, annotations: said, logprobs: probable, signature } => {
                            chunk::text(text, false, signature.as_ref(), parts);
                            offsets.push(text);
                            annotations.extend(said);
                            logprobs.extend(probable);
                        }
                        Block::Refusal(text) => {
                            chunk::text(text, false, None, parts);
                            offsets.push(text);
                        }
                        Block::Reasoning { text, signature, .. } => chunk::text(text, true, signature.as_ref(), parts),
                        Block::ToolCall { id, name, arguments, signature } => match chunk::args(arguments) {
                            Some(args) => {
                                let is_first = std::mem::take(&mut is_first);
                                chunk::call(id, name, &args, (signature.as_ref(), is_first), parts);
                            }
                            None => is_malformed = true,
                        },
                        Block::Media { mime_type, base64 } => chunk::media(mime_type, base64, parts),
                    }
                }
            });
        }
        content.member("role", "model");
    });
    let finish = choice.finish.as_ref().map(finish::word);
    candidate.member("finishReason", reason(finish, is_malformed));
    candidate.member("index", &index);
    logprobs::write(&logprobs, candidate);
    grounding::write(annotations.into_iter(), &offsets, candidate);
}
