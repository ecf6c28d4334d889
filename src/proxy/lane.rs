//! The translate lane: a conversation, or texts to embed, that go to an upstream of another dialect than the client's. Everything that such
//! an attempt needs beside what passes through as it is; without one, a request is in the passthrough lane.

mod writing;

use super::exchange::{Admitted, Attempt, Exchange};
use crate::balance::parse_retry_after;
use crate::clock::unix_unsigned_ms;
use crate::dialect::chat::{self, Asked, Refusal, Translated, Translation, Unreadable};
use crate::dialect::embed;
use crate::dialect::endpoint::{self, Endpoint, Target};
use crate::dialect::{DialectId, Framing};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::sync::Arc;
use tollgate_plugin_api::{Metered, answer_fields};
pub(super) use writing::Writing;

/// Names what of the request had no counterpart at the upstream and changes nothing that matters.
const LEFT_OUT: HeaderName = answer_fields::LEFT_OUT;
/// The most names that it names; how many more there are is said.
const LEFT_OUT_NAMES_MAX: usize = 32;
/// The most characters that it has.
const LEFT_OUT_CHARS_MAX: usize = 2048;
/// Names the dialect that the upstream speaks, where it is not the client's.
const TRANSLATED: HeaderName = answer_fields::TRANSLATED;
/// What of a client's fields means the same to every provider. The others are vendors' own.
const FORWARDED: [&str; 6] =
    ["user-agent", "traceparent", "tracestate", "baggage", "idempotency-key", "x-idempotency-key"];

/// The status of an answer that is no API's: there is nothing behind this gateway to be reached.
const NO_API: u16 = 502;

/// What becomes of the answer.
#[derive(Clone, Copy)]
enum AnswerLane {
    /// It passes as it is: the upstream speaks the client's dialect, only its request had to be written anew.
    Passes,
    /// A conversation's.
    Chat,
    /// Embeddings, in the shape that the client wants, of a prompt that was found to have so many tokens.
    Embeddings { shape: embed::Shape, input_tokens_counted: u64 },
}

/// A request in the upstream's dialect.
pub(super) struct Lane {
    /// The upstream's operation.
    pub(super) target: Target,
    /// The body, model and all; freed with the client's.
    pub(super) body: Bytes,
    /// The answer is to come in events.
    stream: bool,
    /// As [`LEFT_OUT`] names it.
    left_out: Option<HeaderValue>,
    /// What the client's dialect repeats of a request in its answer.
    repeated: Bytes,
    answer: AnswerLane,
}

/// The largest answer of embeddings, in bytes.
const EMBEDDINGS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An answer on its way into the client's dialect.
pub(super) enum Translating {
    /// A conversation's.
    Chat(Box<Translation>),
    /// Embeddings: collected to their end.
    Embeddings { body: Vec<u8>, shape: embed::Shape, model: String, input_tokens_counted: u64 },
}

impl Translating {
    /// What the client gets of a piece of the upstream's answer.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        metered: impl FnOnce() -> Option<Metered>,
    ) -> Result<Bytes, Unreadable> {
        match self {
            Self::Chat(translation) => translation.push(piece, metered),
            Self::Embeddings { body, .. } if body.len() + piece.len() > EMBEDDINGS_BYTES_MAX => {
                Err(Unreadable::new("the answer is too large"))
            }
            Self::Embeddings { body, .. } => {
                body.extend_from_slice(piece);
                Ok(Bytes::new())
            }
        }
    }

    /// After an error: what it gets of what was readable.
    pub(super) fn rest(&mut self) -> Bytes {
        match self {
            Self::Chat(translation) => translation.rest(),
            Self::Embeddings { .. } => Bytes::new(),
        }
    }

    /// What the upstream said was wrong, instead of an answer or in its middle.
    pub(super) fn refusal(&self) -> Option<&Refusal<'static>> {
        match self {
            Self::Chat(translation) => translation.refusal(),
            Self::Embeddings { .. } => None,
        }
    }

    /// What it gets at the answer's end; `whole`: as it should be.
    pub(super) fn finish(
        &mut self,
        whole: bool,
        metered: impl FnOnce() -> Option<Metered>,
    ) -> Result<Bytes, Unreadable> {
        match self {
            Self::Chat(translation) => translation.finish(whole, metered),
            Self::Embeddings { .. } if !whole => Ok(Bytes::new()),
            Self::Embeddings { body, shape, model, input_tokens_counted } => {
                let text = std::str::from_utf8(body).map_err(|_| Unreadable::new("the answer is not UTF-8"))?;
                // What is billed, be it reported or counted.
                let input_tokens = metered().map_or(*input_tokens_counted, |metered| metered.usage.input_tokens);
                embed::translate_answer(text, *shape, model, input_tokens)
            }
        }
    }
}

impl Lane {
    fn new(target: Target, translated: Translated, answer: AnswerLane, stream: bool) -> Box<Self> {
        let left_out = left_out(&translated.left_out);
        Box::new(Self { target, body: translated.body, stream, left_out, repeated: translated.repeated, answer })
    }

    /// Whether the answer must be translated.
    pub(super) fn translates_answer(&self) -> bool {
        !matches!(self.answer, AnswerLane::Passes)
    }

    /// What a client's header fields come to at the upstream, if they do not go along as they are.
    pub(super) fn forwarded(&self, client: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(FORWARDED.len() + 1);
        for name in FORWARDED {
            if let Some(value) = client.get(name) {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
        headers.extend(endpoint::stream_field(self.target.endpoint.dialect).filter(|_| self.stream));
        headers
    }

    /// What the answer's head says of it.
    pub(super) fn tell(&self, asked: Option<&Asked>, failed: bool, headers: &mut HeaderMap) {
        if let Some(asked) = asked {
            let content_type = if failed { "application/json" } else { asked.content_type() };
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(TRANSLATED, HeaderValue::from_static(self.target.endpoint.dialect.as_str()));
        }
        if let Some(left_out) = &self.left_out {
            headers.insert(LEFT_OUT, left_out.clone());
        }
    }
}

/// What was left out, as the header says it.
fn left_out(names: &[String]) -> Option<HeaderValue> {
    let mut shown = names[..names.len().min(LEFT_OUT_NAMES_MAX)].join(", ");
    if names.len() > LEFT_OUT_NAMES_MAX {
        shown.push_str(&format!(" and {} more", names.len() - LEFT_OUT_NAMES_MAX));
    }
    let cut: String = shown.chars().take(LEFT_OUT_CHARS_MAX).map(|c| if is_shown(c) { c } else { '?' }).collect();
    HeaderValue::from_str(&cut).ok().filter(|_| !names.is_empty())
}

/// Whether a header's value can have it.
fn is_shown(c: char) -> bool {
    c.is_ascii_graphic() || c == ' '
}

/// The operation that the attempt's upstream is asked for.
pub(super) fn upstream_endpoint(admitted: &Admitted, attempt: &Attempt) -> &'static Endpoint {
    attempt.lane.as_ref().map_or(admitted.target.endpoint, |lane| lane.target.endpoint)
}

/// What a translated answer must be like.
pub(super) fn asked(exchange: &Exchange, admitted: &Admitted, attempt: &Attempt) -> Arc<Asked> {
    let client = admitted.target.endpoint.dialect;
    let events = client != DialectId::Gemini || admitted.target.query.as_deref().is_some_and(wants_events);
    Arc::new(Asked {
        client,
        framing: match (admitted.facts.stream, events) {
            (false, _) => Framing::JsonDocument,
            (true, true) => Framing::Sse,
            (true, false) => Framing::JsonArray,
        },
        include_usage: admitted.facts.wants_usage_chunk,
        request_id: exchange.request_id_text(),
        started_s: exchange.started_at_ms.div_euclid(1000),
        model: attempt.upstream_model.to_string(),
        body: attempt.lane.as_ref().map(|lane| lane.repeated.clone()).unwrap_or_default(),
    })
}

fn wants_events(query: &str) -> bool {
    query.split('&').any(|pair| pair.eq_ignore_ascii_case("alt=sse") || pair.eq_ignore_ascii_case("$alt=sse"))
}

/// The translation of an answer with this framing.
pub(super) fn translating(asked: &Arc<Asked>, lane: &Lane, framing: Framing) -> Option<Translating> {
    if let AnswerLane::Embeddings { shape, input_tokens_counted } = lane.answer {
        let (body, model) = (Vec::new(), asked.model.clone());
        return Some(Translating::Embeddings { body, shape, model, input_tokens_counted });
    }
    Translation::new(asked.clone(), lane.target.endpoint.dialect, framing).map(|chat| Translating::Chat(Box::new(chat)))
}

/// What an error answer of the upstream's says. One without an error's status (a redirect, a page) is some proxy's.
pub(super) fn refusal(status: u16, retry_after: Option<&str>, body: &[u8]) -> Refusal<'static> {
    let refusal = Refusal::read(Some(if status < 400 { NO_API } else { status }), body);
    let told_ms = retry_after.and_then(|value| parse_retry_after(value, unix_unsigned_ms()));
    let message = in_words(status, &refusal.message).map_or(refusal.message, Into::into);
    Refusal { retry_after_s: told_ms.map(|ms| ms.div_ceil(1000)).or(refusal.retry_after_s), message, ..refusal }
}

/// What is to be said of an answer whose own words, if it has any, do not say it.
fn in_words(status: u16, said: &str) -> Option<String> {
    let said = said.trim();
    let what = match status {
        300..400 => format!("The upstream answered with a redirect (status {status}), which is not followed"),
        _ if said.is_empty() => format!("The upstream answered status {status} and said nothing more"),
        _ => return None,
    };
    Some(if said.is_empty() { what } else { format!("{what}: {said}") })
}

/// The same, as the client's dialect has it.
pub(super) fn error_body(exchange: &Exchange, refusal: &Refusal<'_>) -> Bytes {
    chat::error_body(exchange.dialect, refusal, &exchange.request_id_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_says_nothing_is_told_in_words() {
        for (status, body, expected) in [
            (302, "", "The upstream answered with a redirect (status 302), which is not followed"),
            (307, " elsewhere", "The upstream answered with a redirect (status 307), which is not followed: elsewhere"),
            (503, "", "The upstream answered status 503 and said nothing more"),
            (503, r#"{"error":{"message":" "}}"#, "The upstream answered status 503 and said nothing more"),
            (503, "busy", "busy"),
        ] {
            let refusal = refusal(status, None, body.as_bytes());
            assert_eq!(refusal.message, expected);
            assert_eq!(refusal.status, if status < 400 { NO_API } else { status });
        }
    }

    #[test]
    fn what_is_left_out_fits_into_a_header() {
        let shown = |names: &[String]| left_out(names).map(|value| value.to_str().unwrap_or_default().to_owned());
        let names = |count: usize| (0..count).map(|at| format!("f{at}")).collect::<Vec<_>>();
        assert_eq!(shown(&[]), None);
        assert_eq!(shown(&names(2)).as_deref(), Some("f0, f1"));
        let all = names(LEFT_OUT_NAMES_MAX);
        assert_eq!(shown(&all), Some(all.join(", ")));
        let more = shown(&names(LEFT_OUT_NAMES_MAX + 3)).unwrap();
        assert_eq!(more, format!("{} and 3 more", all.join(", ")));
        assert_eq!(shown(&["\u{e9}\n".to_owned()]).as_deref(), Some("??"));
        assert_eq!(shown(&["x".repeat(100_000)]).map(|text| text.len()), Some(LEFT_OUT_CHARS_MAX));
    }
}
