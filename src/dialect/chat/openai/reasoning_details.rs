//! OpenRouter's `reasoning_details`: thoughts in blocks, with what their provider wants back (openrouter.ai/docs, "Preserving
//! reasoning blocks"). Each entry has an `index`, along which SDKs put the pieces of a stream together.

use super::chunk::Loose;
use crate::dialect::DialectId;
use crate::dialect::chat::event::ReasoningKind;
use crate::dialect::chat::json::Text;
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::write::{self, Members};
use serde::Deserialize;
use std::borrow::Cow;

/// One entry, or a piece of one.
#[derive(Debug, Deserialize)]
pub(super) struct Detail<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Loose<Text<'a>>,
    #[serde(borrow, default)]
    text: Loose<Text<'a>>,
    #[serde(borrow, default)]
    summary: Loose<Text<'a>>,
    #[serde(borrow, default)]
    signature: Loose<Text<'a>>,
    #[serde(borrow, default)]
    data: Loose<Text<'a>>,
    #[serde(borrow, default)]
    format: Loose<Text<'a>>,
    #[serde(borrow, default)]
    id: Loose<Text<'a>>,
    #[serde(default)]
    pub(super) index: Loose<u64>,
}

impl<'a> Detail<'a> {
    /// The thoughts, or their summary.
    pub(super) fn words(&mut self) -> Option<(Cow<'a, str>, ReasoningKind)> {
        let full = self.text.filled().map(|text| (text, ReasoningKind::Full));
        full.or_else(|| self.summary.filled().map(|text| (text, ReasoningKind::Summary)))
    }

    /// Whether there are any.
    pub(super) fn has_words(&self) -> bool {
        [&self.text, &self.summary].iter().any(|text| text.0.as_ref().is_some_and(|text| !text.0.is_empty()))
    }

    /// What the provider wants back: with the entry's type, format and id, where it has them.
    pub(super) fn signature(&mut self, read: fn(Cow<'a, str>) -> Signature<'a>) -> Option<Signature<'a>> {
        let (name, sealed) = match self.signature.filled() {
            Some(signature) => ("signature", signature),
            None => ("data", self.data.filled()?),
        };
        let read = read(sealed);
        let (format, id) = (self.format.filled(), self.id.filled());
        let plain = name == "signature" && format.is_none() && id.is_none();
        if plain || read.maker != DialectId::OpenAi {
            return Some(read);
        }
        let mut entry = Vec::new();
        write::object(&mut entry, |entry| {
            entry.some("type", self.kind.filled().as_deref());
            entry.some("format", format.as_deref());
            entry.some("id", id.as_deref());
            entry.member(name, &read.text);
        });
        Some(Signature::new(DialectId::OpenAi, String::from_utf8(entry).unwrap_or_default()))
    }
}

/// What an upstream of this dialect made.
pub(super) fn made(text: Cow<'_, str>) -> Signature<'_> {
    Signature::new(DialectId::OpenAi, text)
}

/// What a client shows again.
pub(super) fn shown(text: Cow<'_, str>) -> Signature<'_> {
    Signature::read_in(DialectId::OpenAi, text)
}

/// Writes a block of thoughts, as one entry or two (a summary's proof has one of its own); `index` is the next entry's.
pub(super) fn write(
    entries: &mut Members<'_>,
    index: &mut u64,
    text: &str,
    kind: ReasoningKind,
    signature: Option<&Signature<'_>>,
) {
    let seal = signature.map(Seal::of);
    let is_whole = seal.as_ref().is_none_or(|seal| seal.name == "signature");
    if !text.is_empty() {
        let (name, member) = match kind {
            ReasoningKind::Full => ("reasoning.text", "text"),
            ReasoningKind::Summary => ("reasoning.summary", "summary"),
        };
        let in_one = is_whole && kind == ReasoningKind::Full;
        entries.object_element(|entry| {
            entry.member("type", name);
            entry.member(member, text);
            if let Some(seal) = seal.as_ref().filter(|_| in_one) {
                seal.write(entry);
            }
            entry.member("index", index);
        });
        *index += 1;
        if in_one {
            return;
        }
    }
    if let Some(seal) = &seal {
        entries.object_element(|entry| {
            entry.member("type", seal.kind());
            seal.write(entry);
            entry.member("index", index);
        });
        *index += 1;
    }
}

/// A signature as an entry shows it.
struct Seal<'s> {
    name: &'static str,
    text: Cow<'s, str>,
    format: Option<Cow<'s, str>>,
    id: Option<Cow<'s, str>>,
}

/// An entry of this dialect, as [`Detail::signature`] keeps it.
#[derive(Deserialize)]
struct Kept<'s> {
    #[serde(borrow)]
    format: Option<Cow<'s, str>>,
    #[serde(borrow)]
    id: Option<Cow<'s, str>>,
    #[serde(borrow)]
    signature: Option<Cow<'s, str>>,
    #[serde(borrow)]
    data: Option<Cow<'s, str>>,
}

impl<'s> Seal<'s> {
    fn of(signature: &'s Signature<'_>) -> Self {
        let kept = signature.for_maker(DialectId::OpenAi).and_then(|text| serde_json::from_str::<Kept<'_>>(text).ok());
        match kept {
            Some(Kept { format, id, signature: Some(text), .. }) => Self { name: "signature", text, format, id },
            Some(Kept { format, id, data: Some(text), .. }) => Self { name: "data", text, format, id },
            _ => {
                let format = match signature.maker {
                    DialectId::Anthropic => Some("anthropic-claude-v1".into()),
                    DialectId::OpenAiResponses => Some("openai-responses-v1".into()),
                    DialectId::Gemini => Some("google-gemini-v1".into()),
                    _ => None,
                };
                // What Responses and Gemini give back is the thoughts themselves, encrypted.
                let is_data = matches!(signature.maker, DialectId::OpenAiResponses | DialectId::Gemini);
                let name = if is_data { "data" } else { "signature" };
                Self { name, text: signature.shown_in(DialectId::OpenAi), format, id: None }
            }
        }
    }

    fn kind(&self) -> &'static str {
        if self.name == "data" { "reasoning.encrypted" } else { "reasoning.text" }
    }

    fn write(&self, entry: &mut Members<'_>) {
        entry.some("format", self.format.as_deref());
        entry.some("id", self.id.as_deref());
        entry.member(self.name, &self.text);
    }
}
