//! Anthropic's Messages: docs.anthropic.com/en/api/messages, and the types of its Python SDK (autumn of 2026).
//!
//! What is not obvious:
//!
//! * Instructions in mid-conversation go to `system` with the others: every model takes them there, and with the same
//!   authority; only the newest take them in their place. (Anthropic's own OpenAI endpoint does the same.) A
//!   conversation of instructions alone becomes the user's, for one of theirs there must be.
//! * Thoughts go back to Anthropic only with Anthropic's signature. Encrypted thoughts without words are
//!   `redacted_thinking`, and so is the signature of another provider's call or text on its way through a client
//!   ([`Sealed`]).
//! * What models of one generation take and others refuse (budgets, sampling) stands in one table ([`models`]).

mod answer_reader;
mod answer_writer;
pub(super) mod models;
mod request_reader;
pub(super) mod request_writer;
pub(super) mod schema;
#[cfg(test)]
mod tests;

use super::event::FinishReason;
use super::signature::Signature;
use super::wire::Wire;
use crate::dialect::{Answer, DialectId};
use std::borrow::Cow;

/// Anthropic's Messages.
pub(super) static WIRE: Wire = Wire {
    dialect: DialectId::Anthropic,
    answer: Answer::Messages,
    read_request: Some(request_reader::read_request),
    write_request: request_writer::write_request,
    answer_reader: || Box::new(answer_reader::Reader::default()),
    answer_writer: Some(|asked| Box::new(answer_writer::Writer::new(asked))),
    repeats: None,
    lacks: None,
    closed_schemas: false,
};

/// Stop reasons, and what they mean. Of several with one meaning the first is the one that is written.
const STOP_REASONS: [(&str, FinishReason<'static>); 9] = [
    ("end_turn", FinishReason::Stop),
    ("max_tokens", FinishReason::Length),
    ("model_context_window_exceeded", FinishReason::Length),
    ("stop_sequence", FinishReason::StopSequence(None)),
    ("tool_use", FinishReason::ToolCalls),
    ("pause_turn", FinishReason::Pause),
    ("compaction", FinishReason::Pause),
    ("refusal", FinishReason::Refusal),
    ("refusal", FinishReason::ContentFilter),
];

/// What a stop reason means; `sequence`: the stop sequence, where it was one.
fn finish_reason<'a>(word: Cow<'a, str>, sequence: Option<Cow<'a, str>>) -> FinishReason<'a> {
    match STOP_REASONS.iter().find(|(own, _)| *own == word) {
        Some((_, FinishReason::StopSequence(_))) => FinishReason::StopSequence(sequence),
        Some((_, reason)) => reason.clone(),
        None => FinishReason::Other(word),
    }
}

/// The stop reason for it. `None`: Anthropic has none, because it is no end ([`FinishReason::Other`]).
fn stop_reason(reason: &FinishReason<'_>) -> Option<&'static str> {
    let same = |own: &FinishReason<'_>| std::mem::discriminant(own) == std::mem::discriminant(reason);
    STOP_REASONS.iter().find(|(_, own)| same(own)).map(|(word, _)| *word)
}

/// What is told of an answer that ended without an end. Any stop reason would make clients go on with what there is: an agent
/// whose model failed to write a call would take its turn for done. In a stream it is an error, which the SDKs raise and
/// Claude Code tries again after; a message, which SDKs do not look for errors in, was refused, with these words as the
/// explanation.
fn no_end(reason: &FinishReason<'_>) -> Option<String> {
    match reason {
        FinishReason::Other(word) => Some(format!("The provider broke its answer off: {word}")),
        _ => None,
    }
}

/// Before the data of a `redacted_thinking` block of Anthropic's own, so that it is told from a `thinking` block whose
/// words are left out. (Neither signatures nor data have a colon.)
const REDACTED: &str = "redacted:";
/// Before the signature of the call that follows.
const CALL: &str = "call:";
/// Before the signature of the text before it.
const TEXT: &str = "text:";

/// What the data of a `redacted_thinking` block is, as clients see it.
#[derive(Debug, PartialEq, Eq)]
enum Sealed<'a> {
    /// Thoughts without words.
    Thoughts(Signature<'a>),
    /// The signature of the `tool_use` block that follows (Gemini wants it back).
    Call(Signature<'a>),
    /// The signature of the `text` block before it.
    Text(Signature<'a>),
}

impl<'a> Sealed<'a> {
    fn read(data: Cow<'a, str>) -> Self {
        for (mark, kind) in [(CALL, Sealed::Call as fn(Signature<'a>) -> Self), (TEXT, Sealed::Text)] {
            if let Some(rest) = data.strip_prefix(mark) {
                let signature = Signature::read_in(DialectId::Anthropic, rest.to_owned().into());
                return kind(signature);
            }
        }
        let mut signature = Signature::read_in(DialectId::Anthropic, data);
        if signature.maker == DialectId::Anthropic {
            signature.text = format!("{REDACTED}{}", signature.text).into();
        }
        Self::Thoughts(signature)
    }

    /// The block's data.
    fn data(&self) -> Cow<'_, str> {
        match self {
            Self::Call(signature) => format!("{CALL}{}", signature.shown_in(DialectId::Anthropic)).into(),
            Self::Text(signature) => format!("{TEXT}{}", signature.shown_in(DialectId::Anthropic)).into(),
            Self::Thoughts(signature) => match redacted(signature) {
                Some(data) => data.into(),
                None => signature.shown_in(DialectId::Anthropic),
            },
        }
    }
}

/// The data of Anthropic's own `redacted_thinking` block, if this is of one.
fn redacted<'s>(signature: &'s Signature<'_>) -> Option<&'s str> {
    signature.for_maker(DialectId::Anthropic)?.strip_prefix(REDACTED)
}
