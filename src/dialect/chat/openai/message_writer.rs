//! A conversation, for an upstream.
//!
//! Results of tools are messages of their own here, and text alone: what else they have goes into a user message right
//! behind them. Content that is all text is one string, which every vendor takes.

use super::BETWEEN_BLOCKS;
use super::answer_members::function;
use super::mistral::{self, Order};
use super::reasoning_details;
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::file_name::document_name;
use crate::dialect::chat::request::{ChatRequest, Media, MediaKind, Message, Part, Role, Source, ToolCall, ToolResult};
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::wire::{ChatRules, Inexpressible, Manner};
use crate::dialect::chat::write::Members;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// OpenAI takes no longer ids of calls.
const CALL_ID_CHARS_MAX: usize = 40;
/// What a result says that only has media.
const SEE_BELOW: &str = "See the next message.";

/// The messages so far.
struct Messages<'l, 'o, 'm> {
    list: &'l mut Members<'o>,
    rules: &'m ChatRules,
    order: Order,
    /// An id that the vendor takes; the same for a call and its result.
    call_id: fn(&str) -> Cow<'_, str>,
}

/// What a user message is made of.
enum Piece<'r> {
    Text(Cow<'r, str>),
    Media(&'r Media<'r>),
}

/// Writes the messages.
///
/// # Errors
/// A part has no place in them.
pub(super) fn write(
    list: &mut Members<'_>,
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<(), Inexpressible> {
    let (rules, is_mistral) = (&manner.rules, manner.is_mistral());
    let call_id = if is_mistral { mistral::call_id } else { call_id };
    let mut list = Messages { list, rules, order: Order::new(is_mistral), call_id };
    let marked = |message: &Message<'_>| message.parts.iter().any(|part| matches!(part, Part::CacheMark(_)));
    if request.messages.iter().any(marked) {
        unused.push(Field::CacheMark);
    }
    let named = |part: &Part<'_>| matches!(part, Part::Media(media) if media.kind != MediaKind::Document && media.name.is_some());
    if request.messages.iter().flat_map(|message| &message.parts).any(named) {
        unused.push(Field::MediaName);
    }
    if request.messages.iter().flat_map(|message| &message.parts).any(|part| is_forgotten(part, rules)) {
        unused.push(Field::Thoughts);
    }
    // Media of results wait until all the results are written.
    let (mut waiting, mut tools) = (Vec::new(), None);
    for (index, message) in request.messages.iter().enumerate() {
        match message.role {
            Role::Developer if rules.developer_role => list.plain("developer", message, &pieces(&message.parts)?),
            Role::System | Role::Developer => list.plain("system", message, &pieces(&message.parts)?),
            Role::Assistant => list.assistant(message, is_mistral && index + 1 == request.messages.len())?,
            Role::User => {
                for part in &message.parts {
                    if let Part::ToolResult(result) = part {
                        list.tool(result, &mut || called(&mut tools, request, &result.id), &mut waiting)?;
                    }
                }
                waiting.extend(pieces(&message.parts)?);
                let next = request.messages.get(index + 1);
                if !next.is_some_and(|next| matches!(next.parts.first(), Some(Part::ToolResult(_)))) {
                    list.plain("user", message, &std::mem::take(&mut waiting));
                }
            }
        }
    }
    Ok(())
}

impl Messages<'_, '_, '_> {
    fn plain(&mut self, role: &str, message: &Message<'_>, pieces: &[Piece<'_>]) {
        if pieces.is_empty() {
            return;
        }
        let role = self.order.role(role, self.list);
        self.list.object_element(|entry| {
            entry.member("role", role);
            entry.some("name", message.name.as_ref());
            content(entry, pieces);
        });
    }

    /// `is_begun`: it is the last message, and the vendor is to be told that the model goes on with it.
    fn assistant(&mut self, message: &Message<'_>, is_begun: bool) -> Result<(), Inexpressible> {
        let (mut text, mut refusal, mut thoughts) = (None::<String>, None::<String>, None::<String>);
        let (mut calls, mut signed_text) = (Vec::new(), None);
        for part in &message.parts {
            match part {
                Part::Text { text: piece, signature } => {
                    text.get_or_insert_default().push_str(piece);
                    signed_text = own(signature.as_ref()).or(signed_text);
                }
                Part::Refusal(piece) => refusal.get_or_insert_default().push_str(piece),
                Part::Reasoning { text: piece, .. } if !piece.is_empty() && self.rules.takes_reasoning => {
                    match &mut thoughts {
                        Some(all) => all.extend([BETWEEN_BLOCKS, piece]),
                        None => thoughts = Some(piece.clone().into_owned()),
                    }
                }
                Part::Reasoning { .. } | Part::CacheMark(_) => {}
                Part::ToolCall(call) => calls.push(call),
                Part::Media(_) => {
                    return Err(Inexpressible::new(Field::Messages, "a medium in an answer of the model's"));
                }
                Part::ToolResult(_) => {
                    return Err(Inexpressible::new(Field::Messages, "a result among the model's words"));
                }
            }
        }
        // DeepSeek and Moonshot refuse a call without its thoughts, be they empty.
        if self.rules.takes_reasoning && !calls.is_empty() {
            thoughts.get_or_insert_default();
        }
        let is_signed =
            |part: &Part<'_>| matches!(part, Part::Reasoning { signature, .. } if own(signature.as_ref()).is_some());
        let has_details = message.parts.iter().any(is_signed);
        if text.is_none() && refusal.is_none() && calls.is_empty() && !has_details {
            return Ok(());
        }
        let role = self.order.role("assistant", self.list);
        let call_id = self.call_id;
        self.list.object_element(|entry| {
            entry.member("role", role);
            entry.some("name", message.name.as_ref());
            entry.member("content", &text);
            entry.some("refusal", refusal.as_ref());
            entry.some("reasoning_content", thoughts.as_ref());
            if has_details {
                entry.array("reasoning_details", |entries| {
                    let mut index = 0;
                    for part in message.parts.iter().filter(|part| is_signed(part)) {
                        let Part::Reasoning { text, kind, signature } = part else { continue };
                        reasoning_details::write(entries, &mut index, text, *kind, signature.as_ref());
                    }
                });
            }
            if !calls.is_empty() {
                entry.array("tool_calls", |list| {
                    calls
                        .iter()
                        .for_each(|call| list.object_element(|entry| tool_call(entry, call, &call_id(&call.id))));
                });
            }
            if is_begun && calls.is_empty() {
                entry.member("prefix", &true);
            }
            extra_content(entry, signed_text);
        });
        Ok(())
    }

    /// A result's text; its media come later. `called` says which tool it is of.
    fn tool<'r>(
        &mut self,
        result: &'r ToolResult<'_>,
        called: &mut dyn FnMut() -> Option<&'r str>,
        waiting: &mut Vec<Piece<'r>>,
    ) -> Result<(), Inexpressible> {
        let (mut texts, mut media) = (Vec::new(), Vec::new());
        for piece in pieces(&result.parts)? {
            match piece {
                Piece::Text(text) => texts.push(text),
                media_piece @ Piece::Media(_) => media.push(media_piece),
            }
        }
        let mut text = texts.join(BETWEEN_BLOCKS);
        if text.is_empty() && !media.is_empty() {
            SEE_BELOW.clone_into(&mut text);
        }
        if result.is_error && !text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error")) {
            text.insert_str(0, "Error: ");
        }
        let id = (self.call_id)(&result.id);
        if !media.is_empty() {
            let name = result.name.as_deref().or_else(called);
            let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
            waiting.push(Piece::Text(Cow::Owned(format!("From the result of call {id}{name}:"))));
            waiting.append(&mut media);
        }
        let role = self.order.role("tool", self.list);
        self.list.object_element(|entry| {
            entry.member("role", role);
            entry.member("tool_call_id", &id);
            entry.member("content", &text);
        });
        Ok(())
    }
}

/// What is text or media among the parts.
fn pieces<'r>(parts: &'r [Part<'_>]) -> Result<Vec<Piece<'r>>, Inexpressible> {
    let piece = |part: &'r Part<'_>| match part {
        Part::Text { text, .. } | Part::Refusal(text) => Some(Ok(Piece::Text(Cow::Borrowed(&**text)))),
        Part::Media(media) => Some(medium(media)),
        Part::Reasoning { .. } | Part::ToolCall(_) | Part::ToolResult(_) | Part::CacheMark(_) => None,
    };
    parts.iter().filter_map(piece).collect()
}

fn medium<'r>(media: &'r Media<'_>) -> Result<Piece<'r>, Inexpressible> {
    let refuse = |what: &'static str| Err(Inexpressible::new(Field::Messages, what));
    match (media.kind, &media.source) {
        (MediaKind::Video, _) => refuse("a film"),
        (_, Source::Base64(_)) | (MediaKind::Image, Source::Url(_)) => Ok(Piece::Media(media)),
        // OpenAI's own ids; the files of others are not known there.
        (MediaKind::Document, Source::File(id)) if id.starts_with("file-") => Ok(Piece::Media(media)),
        (_, Source::Text(text)) => Ok(Piece::Text(match &media.name {
            Some(name) => Cow::Owned(format!("{name}:\n\n{text}")),
            None => Cow::Borrowed(text),
        })),
        (_, Source::File(_)) => refuse("a file that another provider keeps"),
        (MediaKind::Document, _) => refuse("a document behind a URL"),
        (_, Source::Url(_)) => refuse("a sound behind a URL"),
    }
}

fn content(entry: &mut Members<'_>, pieces: &[Piece<'_>]) {
    let texts: Option<Vec<&str>> = pieces.iter().map(Piece::text).collect();
    match texts.as_deref() {
        Some([text]) => entry.member("content", text),
        Some(texts) => entry.member("content", &texts.join(BETWEEN_BLOCKS)),
        None => entry.array("content", |parts| {
            for piece in pieces {
                parts.object_element(|part| match piece {
                    Piece::Text(text) => {
                        part.member("type", "text");
                        part.member("text", text);
                    }
                    Piece::Media(media) => media_part(part, media),
                });
            }
        }),
    }
}

impl Piece<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Media(_) => None,
        }
    }
}

fn media_part(part: &mut Members<'_>, media: &Media<'_>) {
    let mime_type = media.mime_type.as_deref();
    match (media.kind, &media.source) {
        (MediaKind::Audio, Source::Base64(base64)) => {
            part.member("type", "input_audio");
            part.object("input_audio", |sound| {
                sound.member("data", base64);
                sound.member("format", audio_format(mime_type.unwrap_or_default()));
            });
        }
        (MediaKind::Document, source) => {
            part.member("type", "file");
            part.object("file", |file| match source {
                Source::Base64(base64) => {
                    let mime_type = mime_type.unwrap_or("application/pdf");
                    file.member("filename", media.name.as_deref().unwrap_or(document_name(mime_type)));
                    file.member("file_data", &format_args!("data:{mime_type};base64,{base64}"));
                }
                Source::File(text) | Source::Url(text) | Source::Text(text) => file.member("file_id", text),
            });
        }
        (_, source) => {
            part.member("type", "image_url");
            part.object("image_url", |image| {
                match source {
                    Source::Base64(base64) => {
                        let mime_type = mime_type.unwrap_or("image/png");
                        image.member("url", &format_args!("data:{mime_type};base64,{base64}"));
                    }
                    Source::Url(text) | Source::File(text) | Source::Text(text) => image.member("url", text),
                }
                image.some("detail", media.detail.as_ref());
            });
        }
    }
}

/// OpenAI's word for a kind of sound: `wav`, `mp3`; for others the usual one, which some vendors take.
fn audio_format(mime_type: &str) -> &str {
    let kind = mime_type.split([';', ' ']).next().unwrap_or_default();
    match kind.strip_prefix("audio/").unwrap_or(kind) {
        "" | "wav" | "x-wav" | "wave" | "vnd.wave" => "wav",
        "mpeg" | "mp3" | "mpeg3" | "x-mpeg" => "mp3",
        "x-flac" => "flac",
        "mp4" | "x-m4a" => "m4a",
        other => other,
    }
}

/// Thoughts that this vendor is not sent.
fn is_forgotten(part: &Part<'_>, rules: &ChatRules) -> bool {
    let Part::Reasoning { text, signature, .. } = part else { return false };
    own(signature.as_ref()).is_none() && (text.is_empty() || !rules.takes_reasoning)
}

/// What a vendor of this dialect signed.
fn own<'s>(signature: Option<&'s Signature<'_>>) -> Option<&'s str> {
    signature.and_then(|signature| signature.for_maker(DialectId::OpenAi))
}

fn extra_content(entry: &mut Members<'_>, signature: Option<&str>) {
    if let Some(signature) = signature {
        entry.object("extra_content", |extra| {
            extra.object("google", |google| google.member("thought_signature", signature));
        });
    }
}

fn tool_call(entry: &mut Members<'_>, call: &ToolCall<'_>, id: &str) {
    entry.member("id", id);
    entry.member("type", "function");
    entry.object("function", |members| function(members, Some(&call.name), &call.arguments));
    extra_content(entry, own(call.signature.as_ref()));
}

/// An id that OpenAI takes; the same for a call and its result.
fn call_id(id: &str) -> Cow<'_, str> {
    if id.chars().count() <= CALL_ID_CHARS_MAX {
        return Cow::Borrowed(id);
    }
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let tail: String = id.chars().filter(char::is_ascii_alphanumeric).rev().take(16).collect();
    Cow::Owned(format!("call_{:016x}{tail}", hasher.finish()))
}

/// The tool of an earlier call. `tools` are found once, if any are asked for.
fn called<'r>(
    tools: &mut Option<HashMap<&'r str, &'r str>>,
    request: &'r ChatRequest<'_>,
    id: &str,
) -> Option<&'r str> {
    let known = tools.get_or_insert_with(|| {
        let parts = request.messages.iter().rev().flat_map(|message| message.parts.iter().rev());
        // Of several with one id the first one counts: it comes last.
        let calls = parts.filter_map(|part| match part {
            Part::ToolCall(call) => Some((&*call.id, &*call.name)),
            _ => None,
        });
        calls.collect()
    });
    known.get(id).copied()
}
