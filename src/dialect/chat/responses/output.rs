//! The items of an answer's output, as they are written.

use super::super::Signature;
use super::super::event::Annotation;
use super::super::nesting::Nesting;
use super::super::write::{self, Members};
use super::tools::{Carried, input_of_arguments};
use super::{Signed, show};
use crate::dialect::DialectId;

/// Where an item stands in the output, and its id.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) id: String,
}

/// What is being written, beside calls.
#[derive(Debug, Default)]
pub(super) enum Open {
    #[default]
    Nothing,
    Message(Message),
    Reasoning(Place, String),
}

/// A message of the model's.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) place: Place,
    /// Complete parts, as JSON with commas.
    pub(super) content: String,
    pub(super) parts: u64,
    pub(super) part: Option<TextPart>,
}

/// A part of a message: text, or a refusal.
#[derive(Debug, Default)]
pub(super) struct TextPart {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    pub(super) chars: u64,
    /// As JSON with commas.
    pub(super) annotations: String,
    pub(super) annotation_count: u64,
    /// As JSON with commas.
    pub(super) logprobs: String,
}

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) place: Place,
    pub(super) call: u32,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    /// Whether these are whole.
    pub(super) nesting: Nesting,
    /// Which of the tools that are called otherwise elsewhere it is.
    pub(super) carried: Option<usize>,
}

/// JSON as text.
pub(super) fn json(members: impl FnOnce(&mut Members<'_>)) -> String {
    let mut out = Vec::new();
    write::object(&mut out, members);
    // What the writer makes is UTF-8.
    String::from_utf8(out).unwrap_or_default()
}

/// A list of elements that are written already.
pub(super) fn list(elements: &str) -> String {
    format!("[{elements}]")
}

/// Adds an element to such a list.
pub(super) fn add(elements: &mut String, element: &str) {
    if !elements.is_empty() && !element.is_empty() {
        elements.push(',');
    }
    elements.push_str(element);
}

impl Message {
    /// Its item.
    pub(super) fn item(&self, status: &str) -> String {
        json(|item| {
            item.member("id", &self.place.id);
            item.member("type", "message");
            item.member("status", status);
            item.member("role", "assistant");
            item.written("content", &list(&self.content));
        })
    }
}

impl TextPart {
    /// The part, as it is so far.
    pub(super) fn json(&self) -> String {
        json(|part| {
            if self.is_refusal {
                part.member("type", "refusal");
                part.member("refusal", &self.text);
                return;
            }
            part.member("type", "output_text");
            part.written("annotations", &list(&self.annotations));
            part.written("logprobs", &list(&self.logprobs));
            part.member("text", &self.text);
        })
    }
}

/// A reasoning item. Thoughts of every provider stand in its summary, where every client looks for them.
pub(super) fn reasoning(place: &Place, text: Option<&str>, signature: Option<(&Signature<'_>, Signed)>) -> String {
    json(|item| {
        item.member("id", &place.id);
        item.member("type", "reasoning");
        item.array("summary", |summary| {
            if let Some(text) = text {
                summary.object_element(|part| summary_part(part, text));
            }
        });
        if let Some((signature, signed)) = signature {
            item.member("encrypted_content", &show(signature, &signed));
        }
    })
}

/// The members of a summary's part.
pub(super) fn summary_part(part: &mut Members<'_>, text: &str) {
    part.member("type", "summary_text");
    part.member("text", text);
}

impl Call {
    /// Its item, as it is so far.
    pub(super) fn item(&self, carried: Option<&Carried>, status: &str) -> String {
        json(|item| {
            let is_custom = carried.is_some_and(|tool| tool.is_custom);
            item.member("id", &self.place.id);
            item.member("type", if is_custom { "custom_tool_call" } else { "function_call" });
            item.member("status", status);
            item.member("call_id", &self.id);
            item.member("name", carried.map_or(&*self.name, |tool| &*tool.own_name));
            item.some("namespace", carried.and_then(|tool| tool.namespace.as_deref()));
            if is_custom {
                item.member("input", &self.input());
            } else {
                item.member("arguments", &self.arguments);
            }
        })
    }

    /// What a custom tool gets.
    pub(super) fn input(&self) -> String {
        if self.arguments.is_empty() { String::new() } else { input_of_arguments(&self.arguments).into_owned() }
    }
}

/// An image that the model made.
pub(super) fn image(place: &Place, mime_type: &str, base64: Option<&str>, status: &str) -> String {
    json(|item| {
        item.member("id", &place.id);
        item.member("type", "image_generation_call");
        item.member("status", status);
        item.member("output_format", mime_type.trim_start_matches("image/"));
        item.member("result", &base64);
    })
}

/// An annotation of a part that begins behind `from` characters of the choice's text and has `chars` so far.
pub(super) fn annotation(of: &Annotation<'_>, from: u64, chars: u64) -> String {
    if let Some((DialectId::OpenAiResponses, native)) = &of.native {
        return native.as_str().to_owned();
    }
    json(|members| match &of.url {
        Some(url) => {
            let (start, end) = of.range.unwrap_or((from, from + chars));
            members.member("type", "url_citation");
            members.member("start_index", &start.saturating_sub(from));
            members.member("end_index", &end.saturating_sub(from));
            members.member("url", url);
            members.member("title", of.title.as_deref().unwrap_or_default());
        }
        // A document of the prompt: it has a name, but no id.
        None => {
            members.member("type", "file_citation");
            members.member("file_id", "");
            members.member("filename", of.title.as_deref().unwrap_or_default());
            members.member("index", &of.range.map_or(chars, |(_, end)| end.saturating_sub(from)));
        }
    })
}
