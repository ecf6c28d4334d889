//! The conversation as Converse wants it: instructions apart, turns of user and model in alternation, results of tools first in
//! theirs, or in turns of their own, nothing empty.

use super::super::{arguments, mime};
use super::model;
use crate::dialect::DialectId;
use crate::dialect::chat::anthropic::request_writer::unique::{CallIds, Unique};
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::json::Json;
use crate::dialect::chat::request::{ChatRequest, Media, MediaKind, Message, Part, Role, Source, ToolResult};
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::wire::Inexpressible;
use crate::dialect::chat::write::Members;

/// Before thoughts that came encrypted, so that they are told from a signature (which is base64 and has no colon).
pub(super) const REDACTED: &str = "redacted:";
/// The longest id of a call.
const ID_CHARS_MAX: usize = 64;
/// What a side said between two turns of the other's, where it said nothing: the model behind results, the user before calls.
const ACKNOWLEDGED: &str = "OK.";
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
        id: String,
        name: &'r str,
        input: Json<'r>,
    },
    Result {
        id: String,
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

impl<'r> Conversation<'r> {
    fn extend(&mut self, by_model: bool, blocks: Vec<Block<'r>>) {
        match self.turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some(turn) if turn.by_model == by_model => turn.blocks.extend(blocks),
            _ => self.turns.push(Turn { by_model, blocks }),
        }
    }

    /// What is written last so far.
    fn last(&mut self, is_system: bool) -> Option<&mut Vec<Block<'r>>> {
        let place = if is_system { Some(&mut self.system) } else { self.turns.last_mut().map(|turn| &mut turn.blocks) };
        place.filter(|blocks| !blocks.is_empty())
    }

    /// What is refused at the very end: the model's words with white space behind, and its thoughts where it is not to think.
    pub(super) fn end_for(&mut self, thinks: bool) {
        let Some(last) = self.turns.last_mut().filter(|turn| turn.by_model) else { return };
        if !thinks {
            last.blocks.retain(|block| !matches!(block, Block::Thoughts { .. } | Block::Redacted(_)));
        }
        let mut spoken = last.blocks.iter_mut().rev().skip_while(|block| matches!(block, Block::CachePoint(_)));
        if let Some(Block::Text(text)) = spoken.next() {
            *text = text.trim_end();
        }
        if last.blocks.is_empty() {
            self.turns.pop();
        }
    }

    /// Puts results of tools, and calls, into turns of their own: results first, calls last.
    fn take_tools_apart(&mut self) {
        for Turn { by_model, blocks } in std::mem::take(&mut self.turns) {
            let (first, last): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|block| block.is_of_tools() != by_model);
            let between = if first.is_empty() || last.is_empty() { vec![] } else { vec![Block::Text(ACKNOWLEDGED)] };
            self.extend(by_model, first);
            self.extend(!by_model, between);
            self.extend(by_model, last);
        }
    }

    /// The names of the tools that were called in it.
    pub(super) fn called(&self) -> impl Iterator<Item = &'r str> {
        self.turns.iter().flat_map(|turn| &turn.blocks).filter_map(|block| match block {
            Block::Call { name, .. } => Some(*name),
            _ => None,
        })
    }

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
    model: &str,
    unused: &mut Vec<Field>,
) -> Result<Conversation<'r>, Inexpressible> {
    let takes_cache_points = model::takes_cache_points(model);
    let mut conversation = Conversation::default();
    let mut sorting = Sorting {
        ids: CallIds::new(fitting, ID_CHARS_MAX),
        names: Unique::new(NAME_CHARS_MAX, true),
        takes_cache_points,
        unused,
    };
    let mut before_is_system = false;
    for message in &request.messages {
        sorting.unused.extend(message.name.is_some().then_some(Field::ParticipantName));
        let mut blocks = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            match sorting.block(message, part)? {
                // It concerns what is before it.
                Some(point @ Block::CachePoint(_)) if blocks.is_empty() => {
                    if let Some(before) = conversation.last(before_is_system) {
                        before.push(point);
                    }
                }
                block => blocks.extend(block),
            }
        }
        before_is_system = matches!(message.role, Role::System | Role::Developer);
        match before_is_system {
            true => conversation.system.extend(blocks),
            false => conversation.extend(message.role == Role::Assistant, blocks),
        }
    }
    if !takes_cache_points && request.tools.iter().any(|tool| tool.cache_mark.is_some()) {
        sorting.unused.push(Field::CacheMark);
    }
    // A conversation of instructions alone is the user's, for one of theirs there must be.
    if conversation.turns.is_empty() {
        let blocks = std::mem::take(&mut conversation.system);
        conversation.extend(false, blocks);
    }
    if conversation.turns.is_empty() {
        return Err(Inexpressible::new(Field::Messages, "a conversation without content"));
    }
    for turn in &mut conversation.turns {
        turn.blocks.sort_by_key(|block| !matches!(block, Block::Result { .. }));
    }
    if model::has_tools_apart(model) {
        conversation.take_tools_apart();
    }
    Ok(conversation)
}

struct Sorting<'r, 'u> {
    ids: CallIds<'r>,
    /// Documents' names: Converse wants them different, whatever their case.
    names: Unique,
    takes_cache_points: bool,
    unused: &'u mut Vec<Field>,
}

impl<'r> Sorting<'r, '_> {
    fn block(&mut self, message: &'r Message<'r>, part: &'r Part<'r>) -> Result<Option<Block<'r>>, Inexpressible> {
        Ok(match part {
            Part::Text { text, .. } | Part::Refusal(text) => said(text),
            Part::CacheMark(mark) if self.takes_cache_points => Some(Block::CachePoint(mark)),
            Part::CacheMark(_) => {
                self.unused.push(Field::CacheMark);
                None
            }
            Part::Media(media) if message.role == Role::User => Some(self.medium(media)?),
            Part::Media(_) if message.role == Role::Assistant => {
                return Err(Inexpressible::new(Field::Messages, "media in the model's own turn"));
            }
            Part::Media(_) => {
                return Err(Inexpressible::new(Field::Instructions, "an instruction that is not of text"));
            }
            Part::Reasoning { text, signature, .. } => {
                self.unused.extend((!is_ours(signature.as_ref())).then_some(Field::Thoughts));
                thoughts(text, signature.as_ref())
            }
            Part::ToolCall(call) => {
                let input = arguments(call)?;
                Some(Block::Call { id: self.ids.of_call(&call.id), name: &call.name, input })
            }
            Part::ToolResult(result) => Some(self.came_of(result)?),
        })
    }

    fn came_of(&mut self, result: &'r ToolResult<'r>) -> Result<Block<'r>, Inexpressible> {
        let mut content = Vec::with_capacity(result.parts.len());
        for part in &result.parts {
            match part {
                Part::Text { text, .. } | Part::Refusal(text) => content.extend(said(text)),
                Part::Media(media) if media.kind == MediaKind::Audio => {
                    return Err(Inexpressible::new(Field::Messages, "a sound in a tool's result"));
                }
                Part::Media(media) => content.push(self.medium(media)?),
                // It cannot stand within a result.
                Part::CacheMark(_) => self.unused.push(Field::CacheMark),
                _ => {
                    return Err(Inexpressible::new(Field::Messages, "a tool's result that is not of text and media"));
                }
            }
        }
        if content.is_empty() {
            content.push(Block::Text(if result.is_error { "error" } else { "(empty)" }));
        }
        Ok(Block::Result { id: self.ids.of_result(&result.id), content, is_error: result.is_error })
    }

    fn medium(&mut self, media: &'r Media<'r>) -> Result<Block<'r>, Inexpressible> {
        let (kind, format) = kind_and_format(media)?;
        match &media.source {
            Source::Base64(_) | Source::Text(_) => {}
            Source::Url(url) if url.starts_with("s3://") => {}
            Source::Url(_) | Source::File(_) => {
                return Err(Inexpressible::new(Field::Messages, "a medium that is neither in the request nor in S3"));
            }
        }
        let details = media.detail.as_deref().is_some_and(|detail| detail != "auto");
        self.unused.extend(details.then_some(Field::ImageDetail));
        let is_document = media.kind == MediaKind::Document;
        let name = is_document.then(|| self.names.give(document_name(media.name.as_deref())));
        Ok(Block::Media { kind, format, name, source: &media.source })
    }
}

/// Converse's words for what it is.
fn kind_and_format(media: &Media<'_>) -> Result<(&'static str, &'static str), Inexpressible> {
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
    Ok((kind, format))
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
fn fitting(id: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
    // What tells ids apart is mostly at their end.
    let start = id.char_indices().rev().nth(ID_CHARS_MAX - 1).map_or(0, |(at, _)| at);
    let fitted: String = id[start..].chars().map(|letter| if fits(letter) { letter } else { '_' }).collect();
    if fitted.is_empty() { "call".to_owned() } else { fitted }
}

impl Block<'_> {
    /// Whether it is a call or what came of one.
    fn is_of_tools(&self) -> bool {
        matches!(self, Self::Call { .. } | Self::Result { .. })
    }

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
