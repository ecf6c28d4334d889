//! What form an answer has, and how it is read: by what its head says, and by its first byte, since not every server says what
//! it sends.

use super::exchange::{Attempt, Exchange, impossible};
use super::head::is_translated;
use super::lane::{self, Translating};
use crate::dialect::answer::Tail;
use crate::dialect::chat::Asked;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::usage::Scanner;
use crate::dialect::{Answer as AnswerKind, Framing};
use http::HeaderValue;
use pingora::Result;
use std::sync::Arc;

/// How an answer is read.
pub(super) struct Form {
    /// The upstream's.
    pub(super) framing: Framing,
    /// The client's.
    pub(super) client_framing: Framing,
    pub(super) scanner: Scanner,
    pub(super) translation: Option<Translating>,
    /// What the client asked for, where it gets the answer in another dialect.
    pub(super) asked: Option<Arc<Asked>>,
}

/// The form that the head tells of, and what was asked of the upstream.
///
/// # Errors
/// Nothing was.
pub(super) fn by_head(exchange: &Exchange, kind: ContentKind) -> Result<(Form, &'static Endpoint)> {
    let (admitted, attempt) = exchange.attempted()?;
    let endpoint = lane::upstream_endpoint(admitted, attempt);
    Ok((form(exchange, framing(kind, endpoint.answer, admitted.facts.stream))?, endpoint))
}

fn form(exchange: &Exchange, framing: Framing) -> Result<Form> {
    let (admitted, attempt) = exchange.attempted()?;
    let Attempt { upstream, lane, takes_out_usage_chunk, .. } = attempt;
    let endpoint = lane::upstream_endpoint(admitted, attempt);
    let asked = is_translated(attempt).then(|| lane::asked(exchange, admitted, attempt));
    let translation = match (&asked, lane) {
        (Some(asked), Some(lane)) => match lane::translating(asked, lane, framing) {
            None => return impossible("nothing translates the answer"),
            translation => translation,
        },
        _ => None,
    };
    let scanner =
        Scanner::new(endpoint.answer, endpoint.dialect, framing, upstream.provider.usage, *takes_out_usage_chunk)
            .of_choices(admitted.facts.choices);
    let client_framing = asked.as_ref().map_or(framing, |asked| asked.framing);
    Ok(Form { framing, client_framing, scanner, translation, asked })
}

/// Looks at the first bytes of an answer: one that cannot be what its head says is read as what it is.
///
/// # Errors
/// No answer has begun.
pub(super) fn by_first_byte(piece: &[u8], exchange: &mut Exchange) -> Result<()> {
    let (_, answer) = exchange.answer_mut()?;
    // Blanks, or a byte-order mark, come before either.
    let blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0xEF | 0xBB | 0xBF);
    let Some(&first) = piece.iter().find(|byte| !blank(byte)) else { return Ok(()) };
    let Some(told) = answer.told.take() else { return Ok(()) };
    let streams = streams(exchange);
    let Some(framing) = is_really(told, first, streams) else { return Ok(()) };
    let form = form(exchange, framing)?;
    let routing = &exchange.snapshot.routing;
    let limit = if framing == Framing::Sse { routing.first_token_timeout } else { routing.response_timeout };
    let (_, attempt) = exchange.attempted()?;
    exchange.control.due_by(tokio::time::Instant::from(attempt.tries.started) + limit);
    let (upstream, answer) = exchange.answer_mut()?;
    tracing::debug!("upstream {}: an answer that is not what its content-type says", upstream.name);
    answer.tail = Tail::new(form.client_framing);
    (answer.framing, answer.client_framing) = (form.framing, form.client_framing);
    (answer.scanner, answer.translation) = (form.scanner, form.translation);
    let is_collected = answer.is_collected();
    if answer.error.take().is_some() && !is_collected {
        exchange.control.begin_hold(tokio::time::Instant::now());
    }
    Ok(())
}

/// What an answer is by its head.
#[derive(Clone, Copy)]
pub(super) enum Told {
    Framing(Framing),
    /// An error, if it is one. Servers in PHP call everything so that nobody has called something else.
    Page,
    /// Nothing that says whether it is JSON, where bytes may be due as well: an image, sound, a text.
    Anything,
}

/// What an answer is that is no error by its head, and is read so.
pub(super) fn told(exchange: &Exchange, framing: Framing, kind: ContentKind, due: AnswerKind) -> Told {
    let may_be_due = matches!(due, AnswerKind::Speech | AnswerKind::Transcription | AnswerKind::Image);
    let is_called_json = !matches!(kind, ContentKind::Other | ContentKind::Unsaid);
    if framing == Framing::JsonDocument && may_be_due && !is_called_json && !streams(exchange) {
        return Told::Anything;
    }
    Told::Framing(framing)
}

fn streams(exchange: &Exchange) -> bool {
    exchange.admitted.as_ref().is_some_and(|admitted| admitted.facts.stream)
}

/// The framing of an answer that begins so, where it is not the one that was told.
fn is_really(told: Told, first: u8, streams: bool) -> Option<Framing> {
    use Told::Page;
    match (told, first) {
        (Told::Anything, b'{' | b'[') => None,
        (Told::Anything, _) => Some(Framing::Opaque),
        // A comment, or the fields that events have: `data`, `event`, `id`, `retry`. No JSON begins so, and no page.
        (Told::Framing(Framing::JsonDocument | Framing::JsonArray) | Page, b':' | b'd' | b'e' | b'i' | b'r') => {
            Some(Framing::Sse)
        }
        (Told::Framing(Framing::Sse) | Page, b'{') => Some(Framing::JsonDocument),
        (Told::Framing(Framing::Sse) | Page, b'[') if streams => Some(Framing::JsonArray),
        (Told::Framing(Framing::Sse) | Page, b'[') => Some(Framing::JsonDocument),
        _ => None,
    }
}

/// What an answer is by name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentKind {
    Json,
    Events,
    Lines,
    Frames,
    Page,
    Other,
    /// It is not said.
    Unsaid,
}

fn framing(kind: ContentKind, answer: AnswerKind, stream: bool) -> Framing {
    let bytes_are_due = matches!(answer, AnswerKind::Speech | AnswerKind::Transcription);
    match kind {
        // Sound may begin with any byte.
        ContentKind::Unsaid if answer == AnswerKind::Speech && !stream => Framing::Opaque,
        // Servers that do not say what they send nearly always send JSON.
        ContentKind::Json | ContentKind::Unsaid if stream && answer == AnswerKind::GenerateContent => {
            Framing::JsonArray
        }
        ContentKind::Json | ContentKind::Unsaid => Framing::JsonDocument,
        ContentKind::Events => Framing::Sse,
        ContentKind::Lines => Framing::NdJson,
        ContentKind::Frames => Framing::EventStream,
        ContentKind::Page => Framing::Opaque,
        ContentKind::Other if bytes_are_due => Framing::Opaque,
        // Some servers do not say what they send: what was asked for is what comes.
        ContentKind::Other if stream => Framing::Sse,
        ContentKind::Other => Framing::JsonDocument,
    }
}

/// What the `content-type` says.
pub(super) fn content_kind(content_type: Option<&HeaderValue>) -> ContentKind {
    let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" => ContentKind::Events,
        "application/x-ndjson" | "application/jsonl" | "application/stream+json" => ContentKind::Lines,
        "application/vnd.amazon.eventstream" => ContentKind::Frames,
        "text/html" | "application/xhtml+xml" => ContentKind::Page,
        "application/json" => ContentKind::Json,
        "" => ContentKind::Unsaid,
        other if other.ends_with("+json") => ContentKind::Json,
        _ => ContentKind::Other,
    }
}
