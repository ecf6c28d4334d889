//! Any client to any provider: chat requests and answers in one canonical form.
//!
//! Each wire format is one reader and one writer of each side; nothing is written for a pair of formats.
//!
//! * A request is read into a [`ChatRequest`] and written from it. What the two formats call the same thing stands in one
//!   table ([`fields`]), which also says what happens where one of them has no such thing: it is refused by name, or, where
//!   that is harmless, left out and said so.
//! * An answer is read as a sequence of [`Event`]s and written from them, as they come. An answer that is one document is
//!   the same events, put together ([`Answer`]).
//!
//! What is billed is read elsewhere, from the upstream's own bytes, before any of this.

mod answer;
mod anthropic;
mod beyond;
mod by_model;
mod closed;
mod data_url;
mod efforts;
mod error;
mod event;
pub mod fields;
mod file_name;
mod foreign;
mod frames;
mod gemini;
mod halves;
mod hints;
mod json;
mod members;
mod native;
mod nesting;
mod openai;
mod request;
mod responses;
mod signature;
mod tools_or_format;
mod translated;
mod translation;
mod untaken;
mod wire;
mod write;

pub use answer::{Answer, Block, Choice};
pub use beyond::{BeyondLimit, OutputLimits, Rest, Thinks};
pub use by_model::ByModel;
pub use efforts::Efforts;
pub use error::Refusal;
pub use event::{Annotation, Begin, Event, FinishReason, ReasoningKind, Sink};
pub use foreign::without_foreign_thoughts;
pub use json::{Json, Text};
pub use request::{
    ChatRequest, Effort, Format, Media, MediaKind, Message, Options, Part, Reasoning, Role, Source, Tool, ToolCall,
    ToolChoice, ToolResult,
};
pub use responses::OUTPUT_TOKENS_MIN as RESPONSES_OUTPUT_TOKENS_MIN;
pub use signature::{Signature, may_hold_foreign_signature};
pub use translated::{Translated, translate_for, translate_request};
pub use translation::{Asked, Translation, error_body};
pub use untaken::Untaken;
pub use wire::{
    AnswerReader, AnswerWriter, ChatRules, ForcedCalls, Inexpressible, Lacks, MakeWriter, Manner, ReadRequest,
    ReasoningForm, Unreadable, Wire, WriteRequest, wire,
};

#[cfg(test)]
mod tests;
