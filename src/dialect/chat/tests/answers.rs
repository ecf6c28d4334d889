use super::{dialects, features, read};
use crate::dialect::chat::{Asked, Translation};
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

/// What a client of `to` gets of this answer, cut into pieces of `size` bytes.
fn translated(said: &str, from: DialectId, to: DialectId, framing: Framing, size: usize) -> String {
    let mut scanner = Scanner::new(answer_of(from), from, framing, UsageRules::default(), false);
    let mut translation = Translation::new(asked(to, framing), from, framing).expect("both are translated");
    let mut out = Vec::new();
    for piece in said.as_bytes().chunks(size) {
        let passed = scanner.push(Bytes::copy_from_slice(piece));
        out.extend_from_slice(&translation.push(&passed, || scanner.metered()).expect("it is readable"));
    }
    let rest = scanner.finish();
    out.extend_from_slice(&translation.push(&rest, || scanner.metered()).expect("it is readable"));
    let whole = scanner.is_whole() || framing == Framing::JsonDocument;
    out.extend_from_slice(&translation.finish(whole, || scanner.metered()).expect("it is readable"));
    String::from_utf8(out).expect("UTF-8")
}

/// What is wrong with this pair, if anything.
fn pair(folder: &Path, from: DialectId, to: DialectId, framing: Framing) -> Option<String> {
    let ending = if framing == Framing::Sse { "sse" } else { "json" };
    let said = read(folder, &format!("{from}.{ending}"))?;
    let name = format!("{from}-to-{to}.{ending}");
    let got = translated(&said, from, to, framing, usize::MAX);
    for size in [1, 7, 64, 1000] {
        assert_eq!(translated(&said, from, to, framing, size), got, "{name} in pieces of {size}");
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
        for from in dialects() {
            for to in dialects().filter(|to| *to != from) {
                wrong.extend([Framing::Sse, Framing::JsonDocument].iter().filter_map(|f| pair(&folder, from, to, *f)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
