//! OpenAI's Responses, as its reference has it (platform.openai.com/docs/api-reference/responses and /responses-streaming):
//! a conversation of items in, a response with items out.

mod answer_reader;
mod answer_writer;
mod echo;
mod input;
mod output;
mod parts;
mod request_reader;
mod request_writer;
#[cfg(test)]
mod tests;
mod tools;

use super::Signature;
use super::wire::Wire;
use crate::dialect::{Answer, DialectId};
use std::borrow::Cow;

/// This dialect.
const DIALECT: DialectId = DialectId::OpenAiResponses;

/// The dialect's four pieces.
pub(super) static WIRE: Wire = Wire {
    dialect: DIALECT,
    answer: Answer::Responses,
    read_request: Some(request_reader::read),
    write_request: request_writer::write,
    answer_reader: answer_reader::new,
    answer_writer: Some(answer_writer::new),
    repeats: Some(echo::needed),
    lacks: None,
    closed_schemas: true,
};

/// No smaller output limit is taken: it goes out as this.
pub const OUTPUT_TOKENS_MIN: u64 = 16;

/// Before a signature that is not of the reasoning item which carries it, but of what stands next to it.
const OF_NEXT: &str = "next.";
const OF_LAST: &str = "last.";

/// What a reasoning item's `encrypted_content` signs. Other providers sign texts and calls too; a client of this dialect
/// keeps such signatures as reasoning items of their own.
enum Signed {
    /// The item's own thoughts.
    Itself,
    /// The item behind it.
    Next,
    /// The text before it.
    Last,
}

/// Encrypted thoughts are bound to the id of their item: OpenAI takes them with that id or without any, and refuses them
/// with another one. So the id belongs to what the provider wants back.
fn with_id(id: Option<&str>, encrypted: &str) -> String {
    match id.filter(|id| !id.is_empty() && !id.contains(':')) {
        Some(id) => format!("{id}:{encrypted}"),
        None => encrypted.to_owned(),
    }
}

/// The id, where it is known, and the encrypted thoughts.
fn without_id(text: &str) -> (Option<&str>, &str) {
    text.split_once(':').map_or((None, text), |(id, encrypted)| (Some(id), encrypted))
}

/// A signature as it stands in `encrypted_content`.
fn show(signature: &Signature<'_>, signed: &Signed) -> String {
    let mark = match signed {
        Signed::Itself => "",
        Signed::Next => OF_NEXT,
        Signed::Last => OF_LAST,
    };
    format!("{mark}{}", signature.shown_in(DIALECT))
}

/// What stands in `encrypted_content`, of the item with this id.
fn unshow<'a>(id: Option<&str>, encrypted: Cow<'a, str>) -> (Signature<'a>, Signed) {
    for (mark, signed) in [(OF_NEXT, Signed::Next), (OF_LAST, Signed::Last)] {
        if let Some(rest) = encrypted.strip_prefix(mark) {
            let signature = Signature::read_in(DIALECT, Cow::Owned(rest.to_owned()));
            if signature.maker != DIALECT {
                return (signature, signed);
            }
        }
    }
    let mut signature = Signature::read_in(DIALECT, encrypted);
    if signature.maker == DIALECT {
        signature.text = with_id(id, &signature.text).into();
    }
    (signature, Signed::Itself)
}

/// Between the parts of a summary, where they are one text.
const BETWEEN_SUMMARIES: &str = "\n\n";

/// Before the output of a tool that failed. Outputs have no word for it but the status `incomplete`, which the model is not
/// shown.
const FAILED: &str = "Error: ";
