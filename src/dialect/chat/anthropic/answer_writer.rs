//! Writes an answer as Messages has it: events that the SDKs put together to a message, or the message.
//!
//! The usage stands in `message_delta`, for only then it is known; the SDKs take it from there. What the upstream's first event says
//! of the prompt (Gemini's does) stands in `message_start`, too: LangChain.js looks there alone. A call's block ends when its
//! arguments are whole, so that its like may begin before another one's end.

mod blocks;
mod usage;
mod whole;

use super::super::answer::{Answer, Block};
use super::super::error::Refusal;
use super::super::event::{Begin, Event, FinishReason};
use super::super::json::Json;
use super::super::signature::Signature;
use super::super::translation::Asked;
use super::super::wire::AnswerWriter;
use super::super::write::{Members, line, object};
use super::{Sealed, no_end, stop_reason};
use crate::dialect::DialectId;
use blocks::{
    citation, is_sealed, media, start_of_call, start_of_redacted, start_of_text, start_of_thinking, write_block,
};
use std::sync::Arc;
use tollgate_plugin_api::{Metered, Usage, UsageDetail};
use usage::{tier, write_usage};
use whole::Whole;

/// How the ids of Anthropic's messages begin.
const ID_PREFIX: &str = "msg_";
/// The stop reason, and the type of its details, of a message that is none.
const REFUSAL: &str = "refusal";

/// The block that takes what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Thinking,
}

/// A call whose arguments are not whole.
#[derive(Debug)]
struct OpenCall {
    call: u32,
    index: u32,
    arguments: Whole,
}

/// Writes one answer.
pub(super) struct Writer {
    asked: Arc<Asked>,
    begun: bool,
    over: bool,
    open: Open,
    /// The open thoughts have their signature.
    signed: bool,
    calls: Vec<OpenCall>,
    called: bool,
    /// Blocks so far: the next one's index.
    blocks: u32,
    finish: Option<(&'static str, Option<String>)>,
    /// Of the text before. It is written when something follows: clients take an answer's last block for what it says
    /// (Claude Code's `result`), and Google wants back the signatures of calls alone.
    text_signature: Option<Signature<'static>>,
    /// What the prompt came to, if that is known at the beginning.
    prompt: Option<Metered>,
}

impl Writer {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        let (open, calls) = (Open::Nothing, Vec::new());
        Self {
            asked: asked.without_body(),
            begun: false,
            over: false,
            open,
            signed: false,
            calls,
            called: false,
            blocks: 0,
            finish: None,
            text_signature: None,
            prompt: None,
        }
    }

    fn id(&self, own: Option<&str>) -> String {
        match own.filter(|id| id.starts_with(ID_PREFIX)) {
            Some(id) => id.to_owned(),
            None => format!("{ID_PREFIX}{}", self.asked.request_id.replace('-', "")),
        }
    }

    fn begin(&mut self, begin: &Begin<'_>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let (id, model) = (self.id(begin.id.as_deref()), begin.model.as_deref().unwrap_or(&self.asked.model));
        let prompt = self.prompt.take();
        frame(out, "message_start", |event| {
            event.object("message", |message| {
                head(message, &id, model);
                message.array("content", |_| {});
                message.member("stop_reason", &None::<&str>);
                message.member("stop_sequence", &None::<&str>);
                message.object("usage", |usage| write_usage(usage, prompt.as_ref()));
            });
        });
    }

    /// A block begins; `members` are those of its beginning.
    fn start(&mut self, out: &mut Vec<u8>, members: impl FnOnce(&mut Members<'_>)) -> u32 {
        let index = self.blocks;
        self.blocks += 1;
        frame(out, "content_block_start", |event| {
            event.member("index", &index);
            event.object("content_block", members);
        });
        index
    }

    /// The block before ends, and so do calls whose arguments are whole (`all`: or not).
    fn stop(&mut self, all: bool, out: &mut Vec<u8>) {
        let ended = std::mem::replace(&mut self.open, Open::Nothing);
        if ended == Open::Thinking && !std::mem::take(&mut self.signed) {
            let nobody = Signature::of_nobody();
            self.delta(out, "signature_delta", "signature", &nobody.shown_in(DialectId::Anthropic));
        }
        if ended != Open::Nothing {
            stop(out, self.blocks - 1);
        }
        self.calls.retain(|call| {
            let ends = all || call.arguments.is_whole();
            if ends {
                stop(out, call.index);
            }
            !ends
        });
    }

    /// Makes this the block that takes what comes.
    fn switch(&mut self, to: Open, out: &mut Vec<u8>) {
        if self.open == to {
            return;
        }
        self.stop(false, out);
        match to {
            Open::Text => _ = self.start(out, |block| start_of_text(block, "")),
            Open::Thinking => _ = self.start(out, |block| start_of_thinking(block, "", "")),
            Open::Nothing => {}
        }
        self.open = to;
    }

    /// A piece of the open block.
    fn delta(&self, out: &mut Vec<u8>, kind: &str, name: &str, content: &str) {
        delta(out, self.blocks.saturating_sub(1), kind, |delta| delta.member(name, content));
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.switch(Open::Text, out);
            self.delta(out, "text_delta", "text", text);
        }
    }

    fn end_reasoning(&mut self, signature: Option<&Signature<'_>>, out: &mut Vec<u8>) {
        if self.open != Open::Thinking {
            let Some(signature) = signature else { return };
            if is_sealed(signature) {
                return self.sealed(&Sealed::Thoughts(signature.clone()), out);
            }
            self.switch(Open::Thinking, out);
        }
        if let Some(signature) = signature {
            self.delta(out, "signature_delta", "signature", &signature.shown_in(DialectId::Anthropic));
            self.signed = true;
        }
        self.stop(false, out);
    }

    fn sealed(&mut self, sealed: &Sealed<'_>, out: &mut Vec<u8>) {
        self.stop(false, out);
        let index = self.start(out, |block| start_of_redacted(block, &sealed.data()));
        stop(out, index);
    }

    fn call(&mut self, call: u32, id: &str, name: &str, signature: Option<&Signature<'_>>, out: &mut Vec<u8>) {
        self.stop(false, out);
        self.called = true;
        if let Some(signature) = signature {
            self.sealed(&Sealed::Call(signature.clone()), out);
        }
        let empty = Json::of(&serde_json::Map::new());
        let index = self.start(out, |block| start_of_call(block, id, name, &empty));
        self.calls.push(OpenCall { call, index, arguments: Whole::default() });
    }

    fn argue(&mut self, call: u32, json: &str, out: &mut Vec<u8>) {
        if let Some(open) = self.calls.iter_mut().find(|open| open.call == call && !json.is_empty()) {
            open.arguments.push(json);
            delta(out, open.index, "input_json_delta", |delta| delta.member("partial_json", json));
        }
    }

    fn end(&mut self, metered: Option<&Metered>, out: &mut Vec<u8>) {
        self.begin(&Begin::default(), out);
        self.stop(true, out);
        let (reason, sequence) = self.finish.take().unwrap_or_else(|| (said(&FinishReason::Stop, self.called), None));
        frame(out, "message_delta", |event| {
            event.object("delta", |delta| {
                delta.member("stop_reason", reason);
                delta.member("stop_sequence", &sequence);
            });
            event.object("usage", |usage| write_usage(usage, metered));
        });
        frame(out, "message_stop", |_| {});
    }

    fn fail(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        self.over = true;
        let members = refusal.members(DialectId::Anthropic, true, &self.asked.request_id);
        out.extend_from_slice(format!("event: error\ndata: {{{members}}}\n\n").as_bytes());
    }

    /// What happens in the only choice that there is.
    fn happens(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if follows(event)
            && let Some(signature) = self.text_signature.take()
        {
            self.sealed(&Sealed::Text(signature), out);
        }
        match event {
            Event::Text { choice: 0, text, .. } | Event::Refusal { choice: 0, text } => self.text(text, out),
            Event::TextSigned { choice: 0, signature } => {
                self.text_signature = Some(Signature::new(signature.maker, signature.text.clone().into_owned()));
            }
            Event::Reasoning { choice: 0, text, .. } if !text.is_empty() => {
                self.switch(Open::Thinking, out);
                self.delta(out, "thinking_delta", "thinking", text);
            }
            Event::ReasoningEnd { choice: 0, signature } => self.end_reasoning(signature.as_ref(), out),
            Event::ToolCall { choice: 0, call, id, name, signature } => {
                self.call(*call, id, name, signature.as_ref(), out);
            }
            Event::Arguments { choice: 0, call, json } => self.argue(*call, json, out),
            Event::Annotation { choice: 0, annotation } => {
                if let Some(citation) = citation(annotation) {
                    self.switch(Open::Text, out);
                    let index = self.blocks - 1;
                    delta(out, index, "citations_delta", |delta| delta.raw("citation", &citation));
                }
            }
            Event::Media { choice: 0, mime_type, base64 } => self.text(&media(mime_type, base64), out),
            Event::Finish { choice: 0, reason } => {
                self.stop(true, out);
                match no_end(reason) {
                    Some(words) => self.fail(
                        &Refusal { status: 500, message: words.into(), code: None, param: None, retry_after_s: None },
                        out,
                    ),
                    None => self.finish = Some((said(reason, self.called), sequence(reason).map(str::to_owned))),
                }
            }
            _ => {}
        }
    }
}

/// Whether an event writes something behind the text before it.
fn follows(event: &Event<'_>) -> bool {
    match event {
        Event::Text { text, .. } | Event::Reasoning { text, .. } => !text.is_empty(),
        Event::ReasoningEnd { signature, .. } => signature.is_some(),
        Event::Refusal { .. } | Event::ToolCall { .. } | Event::Media { .. } => true,
        _ => false,
    }
}

impl AnswerWriter for Writer {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Begin(begin) => self.begin(begin, out),
            Event::Ping => frame(out, "ping", |_| {}),
            Event::Error(refusal) => self.fail(refusal, out),
            Event::End(metered) => {
                self.over = true;
                self.end(metered.as_ref(), out);
            }
            event => {
                self.begin(&Begin::default(), out);
                self.happens(event, out);
            }
        }
    }

    fn counted(&mut self, said: &dyn Fn() -> Option<Metered>) {
        self.prompt = said().map(|metered| {
            let usage = Usage { output_tokens: 0, reasoning_tokens: 0, ..metered.usage };
            let cache_write_1h_tokens = metered.detail.cache_write_1h_tokens;
            Metered {
                usage,
                detail: UsageDetail { cache_write_1h_tokens, ..UsageDetail::default() },
                ..Metered::default()
            }
        });
    }

    fn document(&mut self, answer: &Answer) -> Vec<u8> {
        let choice = answer.choices.first();
        let blocks = choice.map(|choice| &*choice.blocks).unwrap_or_default();
        let finish = choice.and_then(|choice| choice.finish.clone()).unwrap_or(FinishReason::Stop);
        let called = blocks.iter().any(|block| matches!(block, Block::ToolCall { .. }));
        let (id, model) = (self.id(answer.id.as_deref()), answer.model.as_deref().unwrap_or(&self.asked.model));
        let mut out = Vec::new();
        object(&mut out, |message| {
            head(message, &id, model);
            message.array("content", |list| {
                let last = blocks.len().saturating_sub(1);
                let each = |(at, block)| write_block(list, block, at == last);
                blocks.iter().enumerate().for_each(each);
            });
            message.member("stop_reason", said(&finish, called));
            message.member("stop_sequence", &sequence(&finish));
            if let Some(words) = no_end(&finish) {
                message.object("stop_details", |details| {
                    details.member("type", REFUSAL);
                    details.member("category", &None::<&str>);
                    details.member("explanation", &words);
                });
            }
            message.object("usage", |usage| {
                write_usage(usage, answer.metered.as_ref());
                usage.some("service_tier", answer.metered.as_ref().map(|metered| tier(metered.tier)));
            });
        });
        out
    }
}

/// An event.
fn frame(out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Members<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    line(out, |event| {
        event.member("type", name);
        members(event);
    });
    out.extend_from_slice(b"\n\n");
}

fn delta(out: &mut Vec<u8>, index: u32, kind: &str, members: impl FnOnce(&mut Members<'_>)) {
    frame(out, "content_block_delta", |event| {
        event.member("index", &index);
        event.object("delta", |delta| {
            delta.member("type", kind);
            members(delta);
        });
    });
}

fn stop(out: &mut Vec<u8>, index: u32) {
    frame(out, "content_block_stop", |event| event.member("index", &index));
}

fn head(message: &mut Members<'_>, id: &str, model: &str) {
    message.member("id", id);
    message.member("type", "message");
    message.member("role", "assistant");
    message.member("model", model);
}

fn sequence<'f>(reason: &'f FinishReason<'_>) -> Option<&'f str> {
    match reason {
        FinishReason::StopSequence(which) => which.as_deref(),
        _ => None,
    }
}

/// The stop reason. Some vendors end with an ordinary end where they wait for results; Anthropic's clients look at the reason
/// alone.
fn said(reason: &FinishReason<'_>, called: bool) -> &'static str {
    let reason = if called && *reason == FinishReason::Stop { &FinishReason::ToolCalls } else { reason };
    stop_reason(reason).unwrap_or(REFUSAL)
}
