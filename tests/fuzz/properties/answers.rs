//! Answers of one upstream dialect, for clients of every other.

use super::input::Input;
use super::json::{assert_framed, assert_object};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use std::sync::Arc;
use tollgate::dialect::chat::{Asked, Refusal, Translation, error_body};
use tollgate::dialect::usage::{Scanner, UsageRules};
use tollgate::dialect::{Answer, DialectId, Framing};

/// How the answers of an upstream's dialect come, and how they are scanned.
fn forms(upstream: DialectId) -> (Answer, &'static [Framing]) {
    use Framing::{EventStream, JsonArray, JsonDocument, NdJson, Sse};
    match upstream {
        DialectId::OpenAi => (Answer::Chat, &[Sse, JsonDocument]),
        DialectId::OpenAiResponses => (Answer::Responses, &[Sse, JsonDocument]),
        DialectId::Anthropic => (Answer::Messages, &[Sse, JsonDocument]),
        DialectId::Gemini => (Answer::GenerateContent, &[Sse, JsonDocument, JsonArray]),
        DialectId::DashScope => (Answer::Generation, &[Sse, JsonDocument]),
        DialectId::Cohere => (Answer::CohereChat, &[Sse, JsonDocument]),
        DialectId::Ollama => (Answer::OllamaChat, &[NdJson, JsonDocument]),
        DialectId::Bedrock => (Answer::Converse, &[EventStream, JsonDocument]),
    }
}

/// How clients of a dialect want theirs.
fn wanted(client: DialectId) -> &'static [Framing] {
    match client {
        DialectId::Gemini => &[Framing::Sse, Framing::JsonDocument, Framing::JsonArray],
        _ => &[Framing::Sse, Framing::JsonDocument],
    }
}

/// What a client got, up to where the answer could not be read any more.
#[derive(PartialEq)]
struct Got {
    out: Vec<u8>,
    unreadable: Option<String>,
    whole: bool,
}

impl std::fmt::Debug for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let out = String::from_utf8_lossy(&self.out);
        write!(f, "whole: {}, unreadable: {:?}\n{out}", self.whole, self.unreadable)
    }
}

fn asked(client: DialectId, framing: Framing, input: &Input<'_>) -> Arc<Asked> {
    Arc::new(Asked {
        client,
        framing,
        include_usage: input.says(0),
        request_id: "01990000-0000-7000-8000-000000000001".to_owned(),
        started_s: 1_760_000_000,
        model: "m".to_owned(),
        body: Bytes::from_static(b"{\"model\":\"m\",\"tools\":[]}"),
    })
}

/// Leads an answer through, as the gateway does.
fn through(asked: &Arc<Asked>, upstream: DialectId, framing: Framing, pieces: Vec<Bytes>) -> Got {
    let mut scanner = Scanner::new(forms(upstream).0, upstream, framing, UsageRules::default(), false);
    let mut translation = Translation::new(asked.clone(), upstream, framing).expect("both are translated");
    let mut got = Got { out: Vec::new(), unreadable: None, whole: false };
    for piece in pieces {
        let passed = scanner.push(piece);
        match translation.push(&passed, || scanner.metered()) {
            Ok(translated) => got.out.extend_from_slice(&translated),
            Err(unreadable) => {
                got.out.extend_from_slice(&translation.rest());
                return Got { unreadable: Some(unreadable.message.into()), ..got };
            }
        }
    }
    let held = scanner.finish();
    assert!(held.is_empty());
    got.whole = scanner.is_whole() || framing == Framing::JsonDocument;
    match translation.finish(got.whole, || scanner.metered()) {
        Ok(translated) => got.out.extend_from_slice(&translated),
        Err(unreadable) => {
            got.out.extend_from_slice(&translation.rest());
            got.unreadable = Some(unreadable.message.into());
        }
    }
    got
}

/// The bytes of Amazon's frames have checksums, which no mutation meets: lines of `KIND NAME PAYLOAD` become frames, other
/// lines are bytes as they are.
fn frames(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let parts = || std::str::from_utf8(line).ok()?.split_once(' ');
        let Some((kind @ ("event" | "exception" | "error"), rest)) = parts() else {
            bytes.extend_from_slice(line);
            continue;
        };
        let (name, payload) = rest.split_once(' ').unwrap_or((rest, ""));
        let header = |name: String, text: &str| Header::new(name, HeaderValue::String(text.to_owned().into()));
        let name_of = if kind == "error" { ":error-code".to_owned() } else { format!(":{kind}-type") };
        let message = Message::new(payload.as_bytes().to_vec())
            .add_header(header(name_of, name))
            .add_header(header(":message-type".to_owned(), kind));
        // A name that is too long for a header makes no frame.
        let _ = write_message_to(&message, &mut bytes);
    }
    bytes
}

/// However the bytes are cut, every client gets the same; what it gets is well formed, and its own dialect's reader takes it.
pub(crate) fn translate(upstream: DialectId, input: &Input<'_>) {
    let framing = input.choose(forms(upstream).1);
    let framed = (framing == Framing::EventStream).then(|| frames(input.body));
    let input = input.with(framed.as_deref().unwrap_or(input.body));
    for client in DialectId::ALL {
        for wanted in wanted(client) {
            let asked = asked(client, *wanted, &input);
            let what = format!("{upstream} ({framing:?}) to {client} ({wanted:?})");
            let got = through(&asked, upstream, framing, input.whole());
            let cut = through(&asked, upstream, framing, input.pieces());
            assert!(got == cut, "{what}: in pieces: {cut:?}\nin one: {got:?}");
            let whole = got.whole && got.unreadable.is_none();
            assert_framed(*wanted, &got.out, whole, &what);
            let again = through(&asked, client, *wanted, input.with(&got.out).whole());
            let cannot = again.unreadable.filter(|_| *wanted != Framing::JsonDocument || whole);
            assert!(cannot.is_none(), "{what}: {cannot:?}: {got:?}");
        }
    }
}

/// An error of any shape is one in every client's dialect.
pub(crate) fn error(input: &Input<'_>) {
    let status = input.choose(&[None, Some(400), Some(429), Some(500), Some(599), Some(1)]);
    let refusal = Refusal::read(status, input.body);
    for client in DialectId::ALL {
        assert_object(&error_body(client, &refusal, "r1"), client.as_str());
        assert_object(format!("{{{}}}", refusal.members(client, true, "r1")).as_bytes(), client.as_str());
    }
}
