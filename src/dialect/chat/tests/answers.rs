use super::{dialects, features, read};
use crate::dialect::chat::{Asked, Translation};
use crate::dialect::event_frames::tests::frame;
use crate::dialect::usage::{Scanner, UsageRules};
use crate::dialect::{Answer, DialectId, Framing};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

fn answer_of(dialect: DialectId) -> Answer {
    match dialect {
        DialectId::OpenAi => Answer::Chat,
        DialectId::OpenAiResponses => Answer::Responses,
        DialectId::Anthropic => Answer::Messages,
        DialectId::Gemini => Answer::GenerateContent,
        DialectId::DashScope => Answer::Generation,
        DialectId::Cohere => Answer::CohereChat,
        DialectId::Ollama => Answer::OllamaChat,
        DialectId::Bedrock => Answer::Converse,
    }
}

pub(super) fn asked(client: DialectId, framing: Framing) -> Arc<Asked> {
    Arc::new(Asked {
        client,
        framing,
        include_usage: true,
        request_id: "01990000-0000-7000-8000-000000000001".to_owned(),
        started_s: 1_760_000_000,
        model: "m".to_owned(),
        body: Bytes::from_static(b"{\"model\":\"m\"}"),
    })
}

/// How an upstream of this dialect frames its events.
fn streaming(dialect: DialectId) -> Framing {
    match dialect {
        DialectId::Ollama => Framing::NdJson,
        DialectId::Bedrock => Framing::EventStream,
        _ => Framing::Sse,
    }
}

/// An upstream's answer, and how it is framed. Frames, which are bytes, stand in their file as events: their name, their data.
struct Said {
    from: DialectId,
    framing: Framing,
    bytes: Vec<u8>,
}

impl Said {
    /// Of a golden file, if there is one.
    fn read(folder: &Path, from: DialectId, is_stream: bool) -> Option<Self> {
        let framing = if is_stream { streaming(from) } else { Framing::JsonDocument };
        let ending = match framing {
            Framing::JsonDocument => "json",
            Framing::NdJson => "ndjson",
            _ => "sse",
        };
        let text = read(folder, &format!("{from}.{ending}"))?;
        let bytes = if framing == Framing::EventStream { frames(&text) } else { text.into_bytes() };
        Some(Self { from, framing, bytes })
    }
}

fn frames(text: &str) -> Vec<u8> {
    let frames = text.split("\n\n").filter(|event| !event.trim().is_empty()).map(|event| {
        let (name, data) = event.trim().split_once("\ndata: ").expect("a name and data");
        match name.strip_prefix("exception: ") {
            Some(name) => frame("exception", name, data),
            None => frame("event", name.strip_prefix("event: ").expect("an event"), data),
        }
    });
    frames.collect::<Vec<_>>().concat()
}

/// What a client of `to` gets of this answer, cut into pieces of `size` bytes.
fn translated(said: &Said, to: DialectId, size: usize) -> String {
    let Said { from, framing, bytes } = said;
    let wanted = if *framing == Framing::JsonDocument { Framing::JsonDocument } else { Framing::Sse };
    let mut scanner = Scanner::new(answer_of(*from), *from, *framing, UsageRules::default(), false);
    let mut translation = Translation::new(asked(to, wanted), *from, *framing).expect("both are translated");
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        let passed = scanner.push(Bytes::copy_from_slice(piece));
        out.extend_from_slice(&translation.push(&passed, || scanner.metered()).expect("it is readable"));
    }
    let rest = scanner.finish();
    out.extend_from_slice(&translation.push(&rest, || scanner.metered()).expect("it is readable"));
    let whole = scanner.is_whole() || *framing == Framing::JsonDocument;
    out.extend_from_slice(&translation.finish(whole, || scanner.metered()).expect("it is readable"));
    String::from_utf8(out).expect("UTF-8")
}

/// What is wrong with this pair, if anything.
fn pair(folder: &Path, from: DialectId, to: DialectId, is_stream: bool) -> Option<String> {
    let said = Said::read(folder, from, is_stream)?;
    let name = format!("{from}-to-{to}.{}", if is_stream { "sse" } else { "json" });
    let got = translated(&said, to, usize::MAX);
    for size in [1, 7, 64, 1000] {
        assert_eq!(translated(&said, to, size), got, "{name} in pieces of {size}");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(folder.join(&name), &got).expect("it can be written");
    }
    let expected = read(folder, &name).unwrap_or_default();
    (got != expected).then(|| format!("{}: {name}:\n{got}\nexpected:\n{expected}", folder.display()))
}

#[test]
fn an_answer_reaches_every_dialects_clients_however_it_is_cut() {
    let mut wrong = Vec::new();
    for folder in features("answers") {
        for from in dialects().chain(DialectId::UPSTREAM_ONLY) {
            for to in dialects().filter(|to| *to != from) {
                wrong.extend([true, false].into_iter().filter_map(|is_stream| pair(&folder, from, to, is_stream)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
