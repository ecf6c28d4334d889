//! Chunks of a chat completion, as OpenAI's SDKs put them together.

mod calls;

use super::BETWEEN_BLOCKS;
use super::answer_members::{self, logprobs_member, served, signed};
use super::document_writer;
use super::finish_words;
use super::reasoning_details;
use crate::dialect::DialectId;
use crate::dialect::chat::answer::Answer;
use crate::dialect::chat::event::{Annotation, Begin, Event, FinishReason, ReasoningKind};
use crate::dialect::chat::json::Json;
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::translation::Asked;
use crate::dialect::chat::wire::AnswerWriter;
use crate::dialect::chat::write::{self, Members};
use calls::Calls;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::Arc;
use tollgate_plugin_api::Metered;

/// The most choices that are told apart: OpenAI's limit.
const CHOICES_MAX: usize = 128;
/// Thoughts that wait for their signature; more go out without it, as the first piece of the same entry.
const THOUGHTS_BYTES_MAX: usize = 64 * 1024;

/// Writes an answer.
#[derive(Debug)]
pub(super) struct Writer {
    asked: Arc<Asked>,
    /// The members that every chunk begins with.
    head: String,
    /// The client knows `functions` only, not `tools`.
    is_legacy: bool,
    is_over: bool,
    choices: Vec<Choice>,
}

/// What a choice's next chunk depends on.
#[derive(Debug, Default)]
struct Choice {
    has_role: bool,
    is_finished: bool,
    has_refused: bool,
    thoughts: Thoughts,
    calls: Calls,
    annotations: u64,
    images: u64,
}

/// The block of thoughts that is open.
#[derive(Debug, Default)]
struct Thoughts {
    text: String,
    kind: ReasoningKind,
    is_open: bool,
    /// There were others before it.
    has_others: bool,
    /// The next entry of `reasoning_details`.
    index: u64,
}

impl Thoughts {
    fn close(&mut self) {
        self.text = String::new();
        self.has_others |= std::mem::take(&mut self.is_open);
    }
}

impl AnswerWriter for Writer {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            Event::Begin(begin) => self.head = head(&self.asked, begin),
            Event::Text { choice, text, logprobs } => {
                let Some(said) = self.choice(*choice) else { return };
                said.thoughts.close();
                self.say(out, *choice, logprobs.as_ref(), |delta| delta.member("content", text));
            }
            Event::TextSigned { choice, signature } => {
                self.say(out, *choice, None, |delta| signed(delta, signature));
            }
            Event::Refusal { choice, text } => {
                let Some(said) = self.choice(*choice) else { return };
                said.has_refused = true;
                self.say(out, *choice, None, |delta| delta.member("refusal", text));
            }
            Event::Reasoning { choice, text, kind } => self.reason(out, *choice, text, *kind),
            Event::ReasoningEnd { choice, signature } => self.reason_end(out, *choice, signature.as_ref()),
            Event::ToolCall { choice, call, id, name, signature } => {
                self.call(out, *choice, *call, id, name, signature.as_ref());
            }
            Event::Arguments { choice, call, json } => self.argue(out, *choice, *call, json),
            Event::Annotation { choice, annotation } => self.annotate(out, *choice, annotation),
            Event::Media { choice, mime_type, base64 } => self.media(out, *choice, mime_type, base64),
            Event::Finish { choice, reason } => self.finish(out, *choice, reason),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Error(refusal) => {
                self.is_over = true;
                let members = refusal.members(DialectId::OpenAi, true, &self.asked.request_id);
                out.extend_from_slice(format!("data: {{{members}}}\n\n").as_bytes());
            }
            Event::End(metered) => self.end(out, metered.as_ref()),
        }
    }

    fn document(&mut self, answer: &Answer) -> Vec<u8> {
        document_writer::write(&self.asked, self.is_legacy, answer)
    }
}

impl Writer {
    /// For a client that asked this.
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        let (head, is_legacy) = (head(&asked, &Begin::default()), is_legacy(&asked.body));
        Self { asked: asked.without_body(), head, is_legacy, is_over: false, choices: Vec::new() }
    }

    fn choice(&mut self, number: u32) -> Option<&mut Choice> {
        let at = number as usize;
        if at >= CHOICES_MAX {
            return None;
        }
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        self.choices.get_mut(at).filter(|choice| !choice.is_finished)
    }

    /// A chunk with something new of a choice. The first one says whose words they are.
    fn say(
        &mut self,
        out: &mut Vec<u8>,
        number: u32,
        logprobs: Option<&Json<'_>>,
        delta: impl FnOnce(&mut Members<'_>),
    ) {
        let Some(choice) = self.choice(number) else { return };
        let is_first = !std::mem::replace(&mut choice.has_role, true);
        self.chunk(out, number, logprobs, None, |members| {
            members.some("role", is_first.then_some("assistant"));
            delta(members);
        });
    }

    fn chunk(
        &self,
        out: &mut Vec<u8>,
        number: u32,
        logprobs: Option<&Json<'_>>,
        finish: Option<(&str, Option<&str>)>,
        delta: impl FnOnce(&mut Members<'_>),
    ) {
        self.data(out, |chunk| {
            chunk.array("choices", |choices| {
                choices.object_element(|choice| {
                    choice.member("index", &number);
                    choice.object("delta", delta);
                    logprobs_member(choice, logprobs.map(Json::as_str));
                    choice.member("finish_reason", &finish.map(|(word, _)| word));
                    choice.some("native_finish_reason", finish.and_then(|(_, native)| native));
                });
            });
            if self.asked.include_usage {
                chunk.member("usage", &None::<u8>);
            }
        });
    }

    fn data(&self, out: &mut Vec<u8>, members: impl FnOnce(&mut Members<'_>)) {
        out.extend_from_slice(b"data: ");
        write::line(out, |chunk| {
            chunk.spliced(&self.head);
            members(chunk);
        });
        out.extend_from_slice(b"\n\n");
    }

    fn reason(&mut self, out: &mut Vec<u8>, number: u32, text: &str, kind: ReasoningKind) {
        let Some(choice) = self.choice(number) else { return };
        let thoughts = &mut choice.thoughts;
        if thoughts.kind != kind {
            thoughts.close();
        }
        let is_next = !std::mem::replace(&mut thoughts.is_open, true) && thoughts.has_others;
        thoughts.kind = kind;
        let (mut early, index) = (String::new(), thoughts.index);
        if thoughts.text.len() + text.len() > THOUGHTS_BYTES_MAX {
            early = std::mem::take(&mut thoughts.text);
        }
        if text.len() > THOUGHTS_BYTES_MAX {
            early.push_str(text);
        } else {
            thoughts.text.push_str(text);
        }
        self.say(out, number, None, |delta| {
            if is_next {
                delta.member("reasoning_content", &format_args!("{BETWEEN_BLOCKS}{text}"));
            } else {
                delta.member("reasoning_content", text);
            }
            if !early.is_empty() {
                let entries = |e: &mut Members<'_>| reasoning_details::write(e, &mut index.clone(), &early, kind, None);
                delta.array("reasoning_details", entries);
            }
        });
    }

    fn reason_end(&mut self, out: &mut Vec<u8>, number: u32, signature: Option<&Signature<'_>>) {
        let Some(choice) = self.choice(number) else { return };
        let thoughts = &mut choice.thoughts;
        let (text, kind, mut index) = (std::mem::take(&mut thoughts.text), thoughts.kind, thoughts.index);
        thoughts.close();
        if let Some(signature) = signature {
            self.say(out, number, None, |delta| {
                delta.array("reasoning_details", |entries| {
                    reasoning_details::write(entries, &mut index, &text, kind, Some(signature));
                });
            });
        }
        if let Some(choice) = self.choice(number) {
            // An entry that went out early without its signature counts as well.
            choice.thoughts.index = index.max(choice.thoughts.index + 1);
        }
    }

    fn annotate(&mut self, out: &mut Vec<u8>, number: u32, annotation: &Annotation<'_>) {
        let Some(choice) = self.choice(number) else { return };
        let Some(written) = answer_members::annotation(annotation) else { return };
        let index = choice.annotations;
        choice.annotations += 1;
        self.say(out, number, None, |delta| {
            delta.array("annotations", |list| {
                list.object_element(|entry| {
                    entry.member("index", &index);
                    entry.spliced(&written);
                });
            });
        });
    }

    fn media(&mut self, out: &mut Vec<u8>, number: u32, mime_type: &str, base64: &str) {
        let Some(choice) = self.choice(number) else { return };
        choice.thoughts.close();
        let index = choice.images;
        choice.images += 1;
        let asked = self.asked.clone();
        self.say(out, number, None, |delta| {
            if mime_type.starts_with("audio/") {
                delta.object("audio", |audio| answer_members::audio(audio, &asked, base64));
            } else {
                delta.array("images", |list| {
                    list.object_element(|entry| {
                        entry.member("index", &index);
                        answer_members::image(entry, mime_type, base64);
                    });
                });
            }
        });
    }

    fn finish(&mut self, out: &mut Vec<u8>, number: u32, reason: &FinishReason<'_>) {
        let Some(choice) = self.choice(number) else { return };
        choice.thoughts = Thoughts::default();
        self.end_calls(out, number);
        let Some(choice) = self.choice(number) else { return };
        let is_first = !std::mem::replace(&mut choice.has_role, true);
        choice.is_finished = true;
        let (word, native) = finish_words(reason, choice.has_refused);
        let word = if self.is_legacy && word == "tool_calls" { "function_call" } else { word };
        self.chunk(out, number, None, Some((word, native)), |delta| {
            if is_first {
                delta.member("role", "assistant");
                delta.member("content", "");
            }
        });
    }

    fn end(&mut self, out: &mut Vec<u8>, metered: Option<&Metered>) {
        let count = u32::try_from(self.choices.len().max(1)).unwrap_or(1);
        for number in 0..count {
            let Some(choice) = self.choice(number) else { continue };
            let reason = if choice.calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
            self.finish(out, number, &reason);
        }
        if let Some(metered) = metered.filter(|_| self.asked.include_usage) {
            self.data(out, |chunk| {
                chunk.array("choices", |_| {});
                served(chunk, metered);
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.is_over = true;
    }
}

/// Whether a request has the `functions` of OpenAI's first tool calls.
fn is_legacy(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Has {
        #[serde(default)]
        functions: Option<Vec<IgnoredAny>>,
    }
    let may_have = memchr::memmem::find(body, b"\"functions\"").is_some();
    may_have && serde_json::from_slice::<Has>(body).is_ok_and(|has| has.functions.is_some_and(|list| !list.is_empty()))
}

fn head(asked: &Asked, begin: &Begin<'_>) -> String {
    let mut object = Vec::new();
    let (id, model) = (begin.id.as_deref(), begin.model.as_deref());
    write::object(&mut object, |members| {
        answer_members::head(members, "chat.completion.chunk", asked, id, model, begin.created_s);
    });
    // What is written is UTF-8; without its braces it stands in every chunk.
    let inside = object.get(1..object.len() - 1).unwrap_or_default();
    String::from_utf8_lossy(inside).into_owned()
}
