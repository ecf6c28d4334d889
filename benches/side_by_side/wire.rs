//! What is asked and what is answered: the same bytes for every proxy.

use crate::prompt::{self, Wording};
use std::sync::OnceLock;
use std::time::Duration;

/// Events of a stream, the role, the finish reason and the usage included, `[DONE]` not.
const EVENTS: usize = 102;

/// In the request's `user` field: write every event on its own.
const USER_PIECES: &str = "one-write-an-event";
/// In the request's `user` field: send the first token and no more.
const USER_IDLE: &str = "idle";
/// In the request's `user` field: think for a while.
const USER_SLOW: &str = "takes-its-time";

const SYSTEM: &str = "You answer in one short paragraph.";
const QUESTION: &str = "Why does the sky look blue at noon and red in the evening? Say it so that a child of ten \
    understands it.";

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// A small chat completion.
    Json,
    /// The same answer to a long conversation with tools.
    JsonLong,
    /// A stream whose client asks for the usage chunk.
    Sse,
    /// A stream whose client does not: Tollgate asks for the usage chunk itself, and takes it out again.
    SseSpliced,
    /// As `Sse`, but the provider writes every event on its own, as tokens come from a model.
    SsePieces,
}

/// Every case: name on the command line, title in the report.
pub(crate) const CASES: [(Case, &str, &str); 5] = [
    (Case::Json, "json", "JSON"),
    (Case::JsonLong, "json-long", "JSON, a prompt of 64 KiB"),
    (Case::Sse, "sse", "SSE, 102 events at once"),
    (Case::SseSpliced, "sse-spliced", "SSE, 102 events at once, usage not asked for by the client"),
    (Case::SsePieces, "sse-pieces", "SSE, 102 events one after the other"),
];

/// What the provider does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Json,
    /// After [`THINKING`].
    Slow,
    Stream {
        usage: bool,
        pieces: bool,
    },
    Idle,
}

/// How long an answer of the slow kind takes.
pub(crate) const THINKING: Duration = Duration::from_millis(50);

/// The provider's whole knowledge: five needles in the request's body.
pub(crate) fn asked(body: &[u8]) -> Asked {
    let has = |needle: &str| memchr::memmem::find(body, needle.as_bytes()).is_some();
    if !has("\"stream\":true") {
        if has(USER_SLOW) { Asked::Slow } else { Asked::Json }
    } else if has(USER_IDLE) {
        Asked::Idle
    } else {
        Asked::Stream { usage: has("\"include_usage\":true"), pieces: has(USER_PIECES) }
    }
}

/// The request of a case, head and body.
pub(crate) fn request(case: Case, key: &str) -> Vec<u8> {
    let tail = match case {
        Case::Json | Case::JsonLong => "",
        Case::Sse => ",\"stream\":true,\"stream_options\":{\"include_usage\":true}",
        Case::SseSpliced => ",\"stream\":true",
        Case::SsePieces => {
            ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"one-write-an-event\""
        }
    };
    post(key, case == Case::JsonLong, tail)
}

/// The request whose answer stays open after its first token.
pub(crate) fn idle_request(key: &str) -> Vec<u8> {
    let tail = format!(",\"stream\":true,\"stream_options\":{{\"include_usage\":true}},\"user\":\"{USER_IDLE}\"");
    post(key, false, &tail)
}

/// The request whose answer takes a while.
pub(crate) fn slow_request(key: &str) -> Vec<u8> {
    post(key, false, &format!(",\"user\":\"{USER_SLOW}\""))
}

/// The same question in Anthropic's dialect.
pub(crate) fn translated_request(case: Case, key: &str) -> Vec<u8> {
    let tail = match case {
        Case::Json | Case::JsonLong => "",
        Case::Sse | Case::SseSpliced => ",\"stream\":true",
        Case::SsePieces => ",\"stream\":true,\"metadata\":{\"user_id\":\"one-write-an-event\"}",
    };
    let first = format!("{{\"role\":\"user\",\"content\":\"{QUESTION}\"}}");
    let conversation = conversation(&prompt::ANTHROPIC, case == Case::JsonLong, &first);
    let body = format!(
        "{{\"model\":\"gpt-4o\",\"system\":\"{SYSTEM}\",{conversation},\"temperature\":0.7,\"max_tokens\":256{tail}}}"
    );
    head("/v1/messages", key, body)
}

/// What is asked: `first`, and behind it many turns, if it is a long conversation.
fn conversation(wording: &Wording, long: bool, first: &str) -> String {
    if long { prompt::long(wording, first) } else { format!("\"messages\":[{first}]") }
}

fn post(key: &str, long: bool, tail: &str) -> Vec<u8> {
    let first =
        format!("{{\"role\":\"system\",\"content\":\"{SYSTEM}\"}},{{\"role\":\"user\",\"content\":\"{QUESTION}\"}}");
    let conversation = conversation(&prompt::OPENAI, long, &first);
    let body = format!("{{\"model\":\"gpt-4o\",{conversation},\"temperature\":0.7,\"max_tokens\":256{tail}}}");
    head("/v1/chat/completions", key, body)
}

fn head(path: &str, key: &str, body: String) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway.example\r\nuser-agent: OpenAI/Python 2.8.1\r\n\
         accept: application/json\r\naccept-encoding: identity\r\ncontent-type: application/json\r\n\
         authorization: Bearer {key}\r\nx-stainless-lang: python\r\nx-stainless-retry-count: 0\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The body that the client must get, byte for byte. `splices`: through a proxy that asks for the usage chunk itself.
pub(crate) fn expected(case: Case, splices: bool) -> Vec<u8> {
    match case {
        Case::Json | Case::JsonLong => JSON_BODY.into(),
        Case::Sse | Case::SsePieces => joined(&events(true)),
        Case::SseSpliced if splices => {
            let mut events = events(true);
            // `[DONE]` is the last, the usage chunk the one before.
            events.remove(events.len() - 2);
            joined(&events)
        }
        Case::SseSpliced => joined(&events(false)),
    }
}

/// Input and output tokens that the provider reports.
pub(crate) fn usage(case: Case) -> (u64, u64) {
    if matches!(case, Case::Json | Case::JsonLong) { (52, 44) } else { (52, 99) }
}

/// The beginning of every stream up to the first token.
pub(crate) fn first_events() -> Vec<u8> {
    joined(&events(true)[..2])
}

fn joined(events: &[String]) -> Vec<u8> {
    events.concat().into_bytes()
}

const JSON_BODY: &str = concat!(
    r#"{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"#,
    r#""model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"Light from the sun has"#,
    r#" all colours. Air throws the blue part about more than the red, so blue comes from everywhere. In the evening the "#,
    r#"light has a longer way, and red is what is left.","refusal":null,"annotations":[]},"logprobs":null,"#,
    r#""finish_reason":"stop"}],"usage":{"prompt_tokens":52,"completion_tokens":44,"total_tokens":96,"#,
    r#""prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"#,
    r#""audio_tokens":0}},"service_tier":"default"}"#
);

/// OpenAI's stream: with `usage`, every chunk has the field, and one chunk more has it filled.
fn events(usage: bool) -> Vec<String> {
    let chunk = |choices: &str, field: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\",\
             \"created\":1741569952,\"model\":\"gpt-4o\",\"choices\":[{choices}]{field}}}\n\n"
        )
    };
    let field = if usage { ",\"usage\":null" } else { "" };
    let choice = |delta: &str, finish: &str| format!("{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}");
    let mut events = vec![chunk(&choice("{\"role\":\"assistant\",\"content\":\"\"}", "null"), field)];
    while events.len() < EVENTS - 2 {
        events.push(chunk(&choice("{\"content\":\" colours\"}", "null"), field));
    }
    events.push(chunk(&choice("{}", "\"stop\""), field));
    if usage {
        events.push(chunk(
            "",
            ",\"usage\":{\"prompt_tokens\":52,\"completion_tokens\":99,\"total_tokens\":151,\
             \"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
        ));
    }
    events.push("data: [DONE]\n\n".into());
    events
}

/// What the provider writes: each piece with one call.
pub(crate) fn answer(asked: Asked) -> &'static [Vec<u8>] {
    static ANSWERS: OnceLock<[Vec<Vec<u8>>; 6]> = OnceLock::new();
    let answers = ANSWERS.get_or_init(|| {
        let [with, without] = [events(true), events(false)];
        let whole = |events: &[String]| vec![stream_pieces(events, true).concat()];
        [
            vec![json_answer()],
            whole(&with),
            whole(&without),
            stream_pieces(&with, true),
            stream_pieces(&without, true),
            vec![stream_pieces(&with[..2], false).concat()],
        ]
    });
    &answers[match asked {
        Asked::Json | Asked::Slow => 0,
        Asked::Stream { usage: true, pieces: false } => 1,
        Asked::Stream { usage: false, pieces: false } => 2,
        Asked::Stream { usage: true, pieces: true } => 3,
        Asked::Stream { usage: false, pieces: true } => 4,
        Asked::Idle => 5,
    }]
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ndate: Tue, 10 Mar 2026 10:00:00 GMT\r\nopenai-processing-ms: 312\r\n\
    openai-version: 2020-10-01\r\nx-ratelimit-remaining-requests: 9999\r\nx-ratelimit-remaining-tokens: 29999\r\n";

fn json_answer() -> Vec<u8> {
    let length = JSON_BODY.len();
    format!("{HEAD}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{JSON_BODY}").into_bytes()
}

/// The head, then each event as an HTTP chunk of its own, as providers send them.
fn stream_pieces(events: &[String], ends: bool) -> Vec<Vec<u8>> {
    let head = format!("{HEAD}content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunks = events.iter().map(|event| format!("{:x}\r\n{event}\r\n", event.len()).into_bytes());
    let mut pieces: Vec<Vec<u8>> = std::iter::once(head.into_bytes()).chain(chunks).collect();
    if ends {
        pieces.push(b"0\r\n\r\n".to_vec());
    }
    pieces
}
