//! Gemini's `generateContent` (ai.google.dev/api/generate-content, and the types of its SDK google-genai, autumn of 2026).
//!
//! What is not obvious:
//!
//! * Calls may have no ids. Readers make some up: of a request, of the call's place in the conversation; of an answer, of the
//!   answer's id, so that no two answers of a conversation have the same.
//! * What one side says at once is one content: results of tools come first in it, in the order of their calls. Instructions in
//!   mid-conversation go to `systemInstruction` with the others. A conversation of instructions alone is the user's.
//! * Foreign signatures stand in `thoughtSignature` as base64, for Google's SDKs take it for bytes. Thoughts without one
//!   of Gemini's own do not go to Gemini; a call of the current turn without one gets a placeholder ([`PLACEHOLDERS`]).
//! * What models of one generation take and others do not (levels, budgets, media in results) goes by the model's name
//!   ([`thinking`]).
//! * A stream has no end of its own: the last event has the finish reason, and is known as the last when the stream has ended.

mod answer_reader;
mod answer_writer;
mod chunk;
mod contents_reader;
mod contents_writer;
mod finish;
mod grounding;
mod logprobs;
mod media;
mod offsets;
mod request_reader;
mod request_writer;
mod schema;
mod spelling;
mod thinking;

use super::wire::Wire;
use crate::dialect::{Answer, DialectId};

pub(super) static WIRE: Wire = Wire {
    dialect: DialectId::Gemini,
    answer: Answer::GenerateContent,
    read_request: Some(request_reader::read_request),
    write_request: request_writer::write_request,
    answer_reader: || Box::new(answer_reader::Reader::default()),
    answer_writer: Some(|asked| Box::new(answer_writer::Writer::new(asked))),
    repeats: None,
    lacks: None,
    closed_schemas: false,
};

/// What stands in a signature's place where the model did not make one: Gemini 3 refuses a call in the current turn without
/// (ai.google.dev/gemini-api/docs/thought-signatures). The first is the one that is written.
const PLACEHOLDERS: [&str; 2] = ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// The same for a model that wants one.
pub(super) fn placeholder(model: &str) -> Option<&'static str> {
    (!thinking::is_before_3(model)).then_some(PLACEHOLDERS[0])
}

/// The longest id that every dialect takes.
const ID_CHARS_MAX: usize = 64;

/// An id for a call that has none: of letters that every dialect takes in one.
fn call_id(prefix: &str, place: usize, name: &str) -> String {
    let taken = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let id = format!("{prefix}_{place}_{name}");
    id.chars().take(ID_CHARS_MAX).map(|letter| if taken(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests;
