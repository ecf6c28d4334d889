//! The blocks of a message: how they begin in a stream, and whole.

use super::super::super::answer::Block;
use super::super::super::event::Annotation;
use super::super::super::json::Json;
use super::super::super::members::Object;
use super::super::super::signature::Signature;
use super::super::super::write::{Members, object};
use super::super::{Sealed, redacted};
use crate::dialect::DialectId;
use std::borrow::Cow;

pub(super) fn start_of_text(block: &mut Members<'_>, text: &str) {
    block.member("type", "text");
    block.member("text", text);
}

pub(super) fn start_of_thinking(block: &mut Members<'_>, text: &str, signature: &str) {
    block.member("type", "thinking");
    block.member("thinking", text);
    block.member("signature", signature);
}

pub(super) fn start_of_redacted(block: &mut Members<'_>, data: &str) {
    block.member("type", "redacted_thinking");
    block.member("data", data);
}

pub(super) fn start_of_call(block: &mut Members<'_>, id: &str, name: &str, input: &Json<'_>) {
    block.member("type", "tool_use");
    block.member("id", id);
    block.member("name", name);
    block.raw("input", input);
}

/// Without words: another provider's, or Anthropic's own redacted ones. (Anthropic's own without words may also be
/// thoughts that it was asked not to show.)
pub(super) fn is_sealed(signature: &Signature<'_>) -> bool {
    signature.maker != DialectId::Anthropic || redacted(signature).is_some()
}

/// A block of the whole answer; as the last one without the signature of its text, as in a stream.
pub(super) fn write_block(list: &mut Members<'_>, block: &Block, is_last: bool) {
    match block {
        Block::Text { text, annotations, signature, .. } => {
            if !text.is_empty() || !annotations.is_empty() {
                list.object_element(|block| {
                    start_of_text(block, text);
                    let citations: Vec<Json<'_>> = annotations.iter().filter_map(citation).collect();
                    if !citations.is_empty() {
                        block.array("citations", |list| citations.iter().for_each(|one| list.raw_element(one)));
                    }
                });
            }
            if let Some(signature) = signature.as_ref().filter(|_| !is_last) {
                list.object_element(|block| start_of_redacted(block, &Sealed::Text(signature.clone()).data()));
            }
        }
        Block::Refusal(text) => list.object_element(|block| start_of_text(block, text)),
        Block::Reasoning { text, signature, .. } => list.object_element(|block| match signature {
            Some(signature) if text.is_empty() && is_sealed(signature) => {
                start_of_redacted(block, &Sealed::Thoughts(signature.clone()).data());
            }
            Some(signature) => start_of_thinking(block, text, &signature.shown_in(DialectId::Anthropic)),
            None => start_of_thinking(block, text, &Signature::of_nobody().shown_in(DialectId::Anthropic)),
        }),
        Block::ToolCall { id, name, arguments, signature } => {
            if let Some(signature) = signature {
                list.object_element(|block| start_of_redacted(block, &Sealed::Call(signature.clone()).data()));
            }
            list.object_element(|block| start_of_call(block, id, name, &input(arguments)));
        }
        Block::Media { mime_type, base64 } => {
            list.object_element(|block| start_of_text(block, &media(mime_type, base64)));
        }
    }
}

/// Anthropic's input is an object: what is none (a call that was cut off) stands in one, as a text.
fn input(arguments: &str) -> Json<'_> {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    match Json::parse(arguments.into()) {
        Some(json) if Object::read(arguments, "").is_ok() => json,
        _ => Json::of(&serde_json::json!({ "arguments": arguments })),
    }
}

/// Messages has no media in answers; as text (Markdown) it is not lost.
pub(super) fn media(mime_type: &str, base64: &str) -> String {
    format!("![{mime_type}](data:{mime_type};base64,{base64})")
}

/// Anthropic's own as it is, a page as its web search would have it. What names no page has no place here: Anthropic
/// counts documents of the prompt, and others do not.
pub(super) fn citation<'a>(annotation: &'a Annotation<'_>) -> Option<Json<'a>> {
    if let Some((DialectId::Anthropic, json)) = &annotation.native {
        return Json::parse(Cow::Borrowed(json.as_str()));
    }
    let url = annotation.url.as_deref()?;
    let mut out = Vec::new();
    object(&mut out, |citation| {
        citation.member("type", "web_search_result_location");
        citation.member("cited_text", annotation.cited_text.as_deref().unwrap_or_default());
        citation.member("encrypted_index", "");
        citation.member("title", &annotation.title);
        citation.member("url", url);
    });
    Json::parse(String::from_utf8(out).ok()?.into())
}
