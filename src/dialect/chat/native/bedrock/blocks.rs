//! The conversation as Converse wants it: instructions apart, turns of user and model in alternation, results of tools first in
//! theirs, nothing empty.

use super::super::{arguments, mime};
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::json::Json;
use crate::dialect::chat::request::{ChatRequest, Media, MediaKind, Message, Part, Role, Source, ToolCall, ToolResult};
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::wire::Inexpressible;
use crate::dialect::chat::write::Members;
use std::borrow::Cow;

/// Before thoughts that came encrypted, so that they are told from a signature (which is base64 and has no colon).
pub(super) const REDACTED: &str = "redacted:";
/// The longest id of a call.
const ID_CHARS_MAX: usize = 64;
/// The longest name of a document.
const NAME_CHARS_MAX: usize = 200;

/// Converse's words for what media are: by kind, the MIME type and the format.
#[rustfmt::skip]
const FORMATS: [(MediaKind, &str, &str); 26] = [
    (MediaKind::Image, "image/png", "png"), (MediaKind::Image, "image/jpeg", "jpeg"), (MediaKind::Image, "image/jpg", "jpeg"),
    (MediaKind::Image, "image/gif", "gif"), (MediaKind::Image, "image/webp", "webp"),
    (MediaKind::Document, "application/pdf", "pdf"), (MediaKind::Document, "text/csv", "csv"),
    (MediaKind::Document, "application/msword", "doc"), (MediaKind::Document, "text/html", "html"),
    (MediaKind::Document, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    (MediaKind::Document, "application/vnd.ms-excel", "xls"),
    (MediaKind::Document, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    (MediaKind::Document, "text/plain", "txt"), (MediaKind::Document, "text/markdown", "md"),
    (MediaKind::Audio, "audio/wav", "wav"), (MediaKind::Audio, "audio/x-wav", "wav"), (MediaKind::Audio, "audio/mpeg", "mp3"),
    (MediaKind::Audio, "audio/mp3", "mp3"), (MediaKind::Audio, "audio/flac", "flac"), (MediaKind::Audio, "audio/ogg", "ogg"),
    (MediaKind::Audio, "audio/aac", "aac"), (MediaKind::Audio, "audio/mp4", "mp4"),
    (MediaKind::Video, "video/mp4", "mp4"), (MediaKind::Video, "video/quicktime", "mov"), (MediaKind::Video, "video/webm", "webm"),
    (MediaKind::Video, "video/x-matroska", "mkv"),
];

/// A block of content.
pub(super) enum Block<'r> {
    Text(&'r str),
    Media {
        kind: &'static str,
        format: &'static str,
        name: Option<String>,
        source: &'r Source<'r>,
    },
    Thoughts {
        text: &'r str,
        signature: &'r str,
    },
    Redacted(&'r str),
    Call {
        id: Cow<'r, str>,
        name: &'r str,
        input: Json<'r>,
    },
    Result {
        id: Cow<'r, str>,
        content: Vec<Block<'r>>,
        is_error: bool,
    },
    /// Anthropic's mark, which says how long.
    CachePoint(&'r Json<'r>),
}

/// What one side says before the other.
pub(super) struct Turn<'r> {
    pub(super) by_model: bool,
    pub(super) blocks: Vec<Block<'r>>,
}

/// All of it.
#[derive(Default)]
pub(super) struct Conversation<'r> {
    pub(super) system: Vec<Block<'r>>,
    pub(super) turns: Vec<Turn<'r>>,
}

impl Conversation<'_> {
    /// Whether tools were called in it.
    pub(super) fn has_calls(&self) -> bool {
        let is_of_call = |block: &Block<'_>| matches!(block, Block::Call { .. } | Block::Result { .. });
        self.turns.iter().flat_map(|turn| &turn.blocks).any(is_of_call)
    }
}

/// Sorts the messages.
///
/// # Errors
/// A part that Converse does not take.
pub(super) fn conversation<'r>(
    request: &'r ChatRequest<'r>,
    takes_cache_points: bool,
    unused: &mut Vec<Field>,
) -> Result<Conversation<'r>, Inexpressible> {
    let mut conversation = Conversation::default();
    for message in &request.messages {
        unused.extend(message.name.is_some().then_some(Field::ParticipantName));
        let mut blocks = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            match part {
                Part::CacheMark(_) if !takes_cache_points => unused.push(Field::CacheMark),
                part => blocks.extend(block(message, part, unused)?),
            }
        }
        let by_model = message.role == Role::Assistant;
        if matches!(message.role, Role::System | Role::Developer) {
            conversation.system.extend(blocks);
            continue;
        }
        match conversation.turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some(turn) if turn.by_model == by_model => turn.blocks.extend(blocks),
            _ => conversation.turns.push(Turn { by_model, blocks }),
        }
    }
    if !takes_cache_points && request.tools.iter().any(|tool| tool.cache_mark.is_some()) {
        unused.push(Field::CacheMark);
    }
    for turn in &mut conversation.turns {
        turn.blocks.sort_by_key(|block| !matches!(block, Block::Result { .. }));
    }
    Ok(conversation)
}

fn block<'r>(
    message: &'r Message<'r>,
    part: &'r Part<'r>,
    unused: &mut Vec<Field>,
) -> Result<Option<Block<'r>>, Inexpressible> {
    Ok(match part {
        Part::Text { text, .. } | Part::Refusal(text) => said(text),
        Part::CacheMark(mark) => Some(Block::CachePoint(mark)),
        Part::Media(media) if message.role == Role::User => Some(medium(media, unused)?),
        Part::Media(_) if message.role == Role::Assistant => {
            return Err(Inexpressible::new(Field::Messages, "media in the model's own turn"));
        }
        Part::Media(_) => return Err(Inexpressible::new(Field::Instructions, "an instruction that is not of text")),
        Part::Reasoning { text, signature, .. } => {
            unused.extend((!is_ours(signature.as_ref())).then_some(Field::Thoughts));
            thoughts(text, signature.as_ref())
        }
        Part::ToolCall(call) => Some(called(call)?),
        Part::ToolResult(result) => Some(came_of(result, unused)?),
    })
}

/// Nothing may be empty.
fn said(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text(text))
}

/// Thoughts go back to where they came from alone: models want theirs signed.
fn thoughts<'r>(text: &'r str, signature: Option<&'r Signature<'_>>) -> Option<Block<'r>> {
    let made = signature?.for_maker(DialectId::Bedrock)?;
    Some(match made.strip_prefix(REDACTED) {
        Some(bytes) => Block::Redacted(bytes),
        None => Block::Thoughts { text, signature: made },
    })
}

/// Whether thoughts with this signature are written.
pub(super) fn is_ours(signature: Option<&Signature<'_>>) -> bool {
    signature.is_some_and(|made| made.for_maker(DialectId::Bedrock).is_some())
}

fn called<'r>(call: &'r ToolCall<'r>) -> Result<Block<'r>, Inexpressible> {
    Ok(Block::Call { id: fitting(&call.id), name: &call.name, input: arguments(call)? })
}

fn came_of<'r>(result: &'r ToolResult<'r>, unused: &mut Vec<Field>) -> Result<Block<'r>, Inexpressible> {
    let mut content = Vec::with_capacity(result.parts.len());
    for part in &result.parts {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => content.extend(said(text)),
            Part::Media(media) => content.push(medium(media, unused)?),
            // It cannot stand within a result.
            Part::CacheMark(_) => unused.push(Field::CacheMark),
            _ => {
                return Err(Inexpressible::new(Field::Messages, "a tool's result that is not of text and media"));
            }
        }
    }
    if content.is_empty() {
        content.push(Block::Text(if result.is_error { "error" } else { "(empty)" }));
    }
    Ok(Block::Result { id: fitting(&result.id), content, is_error: result.is_error })
}

fn medium<'r>(media: &'r Media<'r>, unused: &mut Vec<Field>) -> Result<Block<'r>, Inexpressible> {
    let (kind, likely) = match media.kind {
        MediaKind::Image => ("image", "image/png"),
        MediaKind::Document if matches!(media.source, Source::Text(_)) => ("document", "text/plain"),
        MediaKind::Document => ("document", "application/pdf"),
        MediaKind::Audio => ("audio", "audio/wav"),
        MediaKind::Video => ("video", "video/mp4"),
    };
    let mime_type = mime(media, likely);
    let known = FORMATS.iter().find(|(kind, own, _)| *kind == media.kind && *own == mime_type);
    let (.., format) =
        known.ok_or_else(|| Inexpressible::new(Field::Messages, format!("a medium of the type `{mime_type}`")))?;
    match &media.source {
        Source::Base64(_) | Source::Text(_) => {}
        Source::Url(url) if url.starts_with("s3://") => {}
        Source::Url(_) | Source::File(_) => {
            return Err(Inexpressible::new(Field::Messages, "a medium that is neither in the request nor in S3"));
        }
    }
    let details = media.detail.as_deref().is_some_and(|detail| detail != "auto");
    unused.extend(details.then_some(Field::ImageDetail));
    let name = (media.kind == MediaKind::Document).then(|| document_name(media.name.as_deref()));
    Ok(Block::Media { kind, format, name, source: &media.source })
}

/// Letters, digits, single blanks, hyphens, parentheses and brackets.
fn document_name(name: Option<&str>) -> String {
    let mut fits = String::new();
    for letter in name.unwrap_or_default().chars().take(NAME_CHARS_MAX) {
        let letter = if letter.is_whitespace() { ' ' } else { letter };
        let taken = letter.is_ascii_alphanumeric() || "-()[] ".contains(letter);
        if !(letter == ' ' && fits.ends_with(' ')) {
            fits.push(if taken { letter } else { '-' });
        }
    }
    if fits.trim().is_empty() { "document".to_owned() } else { fits }
}

/// The id in letters, digits, `_`, `.`, `:` and `-`.
fn fitting(id: &str) -> Cow<'_, str> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
    if !id.is_empty() && id.len() <= ID_CHARS_MAX && id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    // What tells ids apart is mostly at their end.
    let start = id.char_indices().rev().nth(ID_CHARS_MAX - 1).map_or(0, |(at, _)| at);
    let fitted: String = id[start..].chars().map(|letter| if fits(letter) { letter } else { '_' }).collect();
    if fitted.is_empty() { Cow::Borrowed("call") } else { Cow::Owned(fitted) }
}

impl Block<'_> {
    /// Writes it as an element of content.
    pub(super) fn write(&self, list: &mut Members<'_>) {
        list.object_element(|element| match self {
            Self::Text(text) => element.member("text", text),
            Self::Media { kind, format, name, source } => element.object(kind, |media| {
                media.member("format", format);
                media.some("name", name.as_ref());
                media.object("source", |out| write_source(out, source));
            }),
            Self::Thoughts { text, signature } => element.object("reasoningContent", |content| {
                content.object("reasoningText", |thoughts| {
                    thoughts.member("text", text);
                    thoughts.member("signature", signature);
                });
            }),
            Self::Redacted(bytes) => {
                element.object("reasoningContent", |content| content.member("redactedContent", bytes));
            }
            Self::Call { id, name, input } => element.object("toolUse", |call| {
                call.member("toolUseId", id);
                call.member("name", name);
                call.raw("input", input);
            }),
            Self::Result { id, content, is_error } => element.object("toolResult", |result| {
                result.member("toolUseId", id);
                result.array("content", |list| content.iter().for_each(|block| block.write(list)));
                if *is_error {
                    result.member("status", "error");
                }
            }),
            Self::CachePoint(mark) => element.object("cachePoint", |point| {
                point.member("type", "default");
                point.some("ttl", mark.value().get("ttl"));
            }),
        });
    }
}

fn write_source(out: &mut Members<'_>, source: &Source<'_>) {
    match source {
        Source::Base64(bytes) => out.member("bytes", bytes),
        Source::Text(text) => out.member("text", text),
        Source::Url(url) | Source::File(url) => out.object("s3Location", |place| place.member("uri", url)),
    }
}
