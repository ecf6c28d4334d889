//! Upstreams that speak what no client does: DashScope, Cohere, Ollama and Bedrock, in their own APIs.

use crate::calls::{COST, INPUT, OUTPUT, TOKENS, Wire, number, recut, serving, stepped, wants_stream};
use crate::support::aws::{assert_signed, frame, signature};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Key, PROVIDER_KEY, Setup, Upstream};
use crate::support::provider::{Provider, Received};
use crate::support::script::{Answer, Delimited};
use crate::support::sha256;
use crate::translate::{text_of, usage_of};
use bytes::Bytes;
use serde_json::{Value, json};

const ACCESS_KEY_ID: &str = "AKIDEXAMPLE0123456";
const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE/TOKEN==";

/// A dialect that upstreams alone speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Native {
    DashScope,
    Cohere,
    Ollama,
    Bedrock,
}

impl Native {
    const ALL: [Self; 4] = [Self::DashScope, Self::Cohere, Self::Ollama, Self::Bedrock];

    fn dialect(self) -> &'static str {
        ["dashscope", "cohere", "ollama", "bedrock"][self as usize]
    }

    fn upstream(self, name: &str, provider: &Provider) -> Upstream {
        let row = ["dashscope", "cohere-native", "ollama-native", "bedrock"][self as usize];
        let upstream = Upstream::new(name, row, provider.url(""));
        let models = r#"[{ name = "m", upstream_model = "vendor.model-v1:0" }]"#;
        if self == Self::Bedrock { upstream.models(models).with(&bedrock_key("")) } else { upstream }
    }

    fn target(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Self::DashScope, _) => "/api/v1/services/aigc/text-generation/generation",
            (Self::Cohere, _) => "/v2/chat",
            (Self::Ollama, _) => "/api/chat",
            (Self::Bedrock, false) => "/model/vendor.model-v1%3A0/converse",
            (Self::Bedrock, true) => "/model/vendor.model-v1%3A0/converse-stream",
        }
    }

    /// Whether a request asks for a stream, in this dialect's own way.
    fn wants_stream(self, request: &Received) -> bool {
        match self {
            Self::DashScope => request.field("x-dashscope-sse") == Some("enable"),
            Self::Cohere | Self::Ollama => wants_stream(request),
            Self::Bedrock => request.target.ends_with("-stream"),
        }
    }

    fn piece(self, text: &str) -> Bytes {
        match self {
            Self::DashScope => dashscope(
                &json!({"choices": [{"message": {"content": text, "role": "assistant"},
                "finish_reason": "null"}]}),
                INPUT,
                1,
            ),
            Self::Cohere => event(&json!({"type": "content-delta", "index": 0,
                "delta": {"message": {"content": {"text": text}}}})),
            Self::Ollama => line(&json!({"model": "m", "created_at": "2026-01-02T03:04:05Z",
                "message": {"role": "assistant", "content": text}, "done": false})),
            Self::Bedrock => frame(
                "event",
                "contentBlockDelta",
                &json!({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcd"}),
            ),
        }
    }

    /// What comes before the first text, the texts, and what comes behind.
    fn pieces(self, texts: &[&str]) -> Vec<Bytes> {
        let (before, behind) = match self {
            Self::DashScope => (
                vec![],
                vec![dashscope(
                    &json!({"choices": [{"message": {"content": "",
                "role": "assistant"}, "finish_reason": "stop"}]}),
                    INPUT,
                    OUTPUT,
                )],
            ),
            Self::Cohere => (
                vec![event(&json!({"id": "c-1", "type": "message-start", "delta": {"message": {"role": "assistant",
                    "content": [], "tool_calls": [], "citations": []}}}))],
                vec![
                    event(&json!({"type": "content-end", "index": 0})),
                    event(
                        &json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": cohere_usage()}}),
                    ),
                    Bytes::from_static(b"data: [DONE]\n\n"),
                ],
            ),
            Self::Ollama => (
                vec![],
                vec![line(&json!({"model": "m", "created_at": "2026-01-02T03:04:06Z",
                "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
                "prompt_eval_count": INPUT, "eval_count": OUTPUT}))],
            ),
            Self::Bedrock => (
                vec![frame("event", "messageStart", &json!({"role": "assistant"}))],
                vec![
                    frame("event", "contentBlockStop", &json!({"contentBlockIndex": 0})),
                    frame("event", "messageStop", &json!({"stopReason": "end_turn"})),
                    frame("event", "metadata", &json!({"metrics": {"latencyMs": 3}, "usage": bedrock_usage()})),
                ],
            ),
        };
        let texts = texts.iter().map(|text| self.piece(text)).collect();
        [before, texts, behind].concat()
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::DashScope => "text/event-stream;charset=UTF-8",
            Self::Cohere => "text/event-stream",
            Self::Ollama => "application/x-ndjson",
            Self::Bedrock => "application/vnd.amazon.eventstream",
        }
    }

    fn stream_of(self, pieces: Vec<Bytes>) -> Answer {
        let mut answer = Answer::new(200, self.content_type(), "").delimited(Delimited::Chunked);
        answer.pieces = pieces;
        answer
    }

    fn whole(self, text: &str) -> Answer {
        let usage = json!({"input_tokens": INPUT, "output_tokens": OUTPUT});
        let body = match self {
            Self::DashScope => json!({"output": {"choices": [{"message": {"content": text, "role": "assistant"},
                "finish_reason": "stop"}]}, "usage": usage, "request_id": "r-1"}),
            Self::Cohere => json!({"id": "c-1", "message": {"role": "assistant",
                "content": [{"type": "text", "text": text}]}, "finish_reason": "COMPLETE", "usage": cohere_usage()}),
            Self::Ollama => json!({"model": "m", "created_at": "2026-01-02T03:04:05Z",
                "message": {"role": "assistant", "content": text}, "done": true, "done_reason": "stop",
                "prompt_eval_count": INPUT, "eval_count": OUTPUT}),
            Self::Bedrock => json!({"metrics": {"latencyMs": 3}, "output": {"message": {"role": "assistant",
                "content": [{"text": text}]}}, "stopReason": "end_turn", "usage": bedrock_usage()}),
        };
        Answer::json(200, &body)
    }

    fn answer(self, request: &Received) -> Answer {
        if self.wants_stream(request) { self.stream_of(self.pieces(&TOKENS)) } else { self.whole("Hello there.") }
    }

    fn error(self) -> Value {
        match self {
            Self::DashScope => json!({"code": "Throttling", "message": "slow down", "request_id": "r-1"}),
            Self::Cohere => json!({"id": "c-1", "message": "slow down"}),
            Self::Ollama => json!({"error": "slow down"}),
            Self::Bedrock => json!({"message": "slow down"}),
        }
    }

    /// The provider says in mid-stream that it is overloaded.
    fn failure(self) -> Bytes {
        match self {
            Self::DashScope => Bytes::from_static(
                b"id:9\nevent:error\n:HTTP_STATUS/503\ndata:{\"code\":\"ServiceUnavailable\",\"message\":\"Overloaded\"}\n\n",
            ),
            Self::Cohere => event(&json!({"type": "message-end",
                "delta": {"finish_reason": "ERROR", "error": "Overloaded"}})),
            Self::Ollama => line(&json!({"error": "Overloaded"})),
            Self::Bedrock => frame("exception", "serviceUnavailableException", &json!({"message": "Overloaded"})),
        }
    }
}

fn event(value: &Value) -> Bytes {
    crate::support::answers::event(value)
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

fn dashscope(output: &Value, input: u64, so_far: u64) -> Bytes {
    let usage = json!({"total_tokens": input + so_far, "input_tokens": input, "output_tokens": so_far});
    let data = json!({"output": output, "usage": usage, "request_id": "r-1"});
    format!("id:1\nevent:result\n:HTTP_STATUS/200\ndata:{data}\n\n").into()
}

/// What is billed, and what was counted.
fn cohere_usage() -> Value {
    json!({"billed_units": {"input_tokens": INPUT, "output_tokens": OUTPUT},
        "tokens": {"input_tokens": 500, "output_tokens": 60}, "cached_tokens": 100})
}

fn bedrock_usage() -> Value {
    json!({"inputTokens": INPUT, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT, "serverToolUsage": {}})
}

fn bedrock_key(behind: &str) -> String {
    format!("api_key = \"{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}{behind}\"")
}

/// Prices by what the client calls the model.
async fn serving_natives(native: Native, provider: &Provider) -> (Gateway, Key) {
    serving(&Setup::new([native.upstream("u", provider)])).await
}

#[tokio::test]
async fn a_client_of_any_dialect_reaches_them_and_the_ledger_is_exact() {
    for native in Native::ALL {
        let provider = Provider::start(move |_, request| native.answer(request)).await;
        let (gateway, key) = serving_natives(native, &provider).await;
        for client in Wire::ALL {
            for stream in [false, true] {
                let what = format!("{client:?} to {native:?}, stream {stream}");
                let answer = gateway.send(&client.request(stream).key(&key.key)).await;
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                assert_eq!(answer.field("x-tollgate-translated"), Some(native.dialect()), "{what}");
                let expected = if stream { TOKENS.concat() } else { "Hello there.".to_owned() };
                assert_eq!(text_of(client, &answer.text(), stream), expected, "{what}: {}", answer.text());
                assert_eq!(usage_of(client, &answer.text(), stream), (INPUT, OUTPUT), "{what}");
                if let Some(terminal) = client.terminal().filter(|_| stream) {
                    assert!(answer.text().contains(terminal), "{what}: {}", answer.text());
                }
                let record = gateway.record_of(&answer).await;
                let counts = ["input_tokens", "output_tokens", "cost_nanos"].map(|name| number(&record, name));
                assert_eq!(counts, [10, 5, COST], "{what}: {record}");
                assert_eq!((&record["outcome"], &record["usage_source"]), (&json!("ok"), &json!("reported")), "{what}");
                assert_eq!(record["dialect"], client.dialect(), "{what}");
                let sent = provider.received().pop().expect("a request");
                assert_eq!(sent.target, native.target(stream), "{what}");
                assert_eq!(native.wants_stream(&sent), stream, "{what}");
                assert!(String::from_utf8_lossy(&sent.body).contains("Say something."), "{what}");
                assert!(sent.fields.iter().all(|(_, value)| !value.contains(&*key.key)), "{what}");
                if native == Native::Bedrock {
                    assert_signed(&sent, ACCESS_KEY_ID, SECRET_ACCESS_KEY, "us-east-1");
                    assert!(sent.fields.iter().all(|(_, value)| !value.contains(SECRET_ACCESS_KEY)), "{what}");
                } else {
                    assert_eq!(sent.field("authorization"), Some(&*format!("Bearer {PROVIDER_KEY}")), "{what}");
                }
            }
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_stream_is_the_same_however_it_is_cut_and_its_first_token_is_not_held() {
    for native in Native::ALL {
        let sizes = [1, 7, 100];
        let provider =
            Provider::start(move |before, _| native.stream_of(recut(&native.pieces(&TOKENS), sizes[before]))).await;
        let (gateway, key) = serving_natives(native, &provider).await;
        for size in sizes {
            let answer = gateway.send(&Wire::Messages.request(true).key(&key.key)).await;
            let text = text_of(Wire::Messages, &answer.text(), true);
            assert_eq!(text, TOKENS.concat(), "{native:?} in pieces of {size}: {}", answer.text());
            assert_eq!(number(&gateway.record_of(&answer).await, "cost_nanos"), COST, "{native:?}, {size}");
        }
        gateway.finish(&[&key]).await;

        let (answer, steps) = stepped(native.stream_of(native.pieces(&TOKENS)));
        let provider = Provider::always(answer).await;
        let (gateway, key) = serving_natives(native, &provider).await;
        steps.go(2);
        let mut running = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
        running.until(b"Hello").await;
        steps.go_on();
        let (answer, _) = running.rest().await;
        assert_eq!(text_of(Wire::Chat, &answer.text(), true), TOKENS.concat(), "{native:?}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_error_answer_and_one_in_mid_stream_keep_their_meaning() {
    for native in Native::ALL {
        let provider = Provider::sequence(vec![
            native.stream_of([native.pieces(&TOKENS)[..3].to_vec(), vec![native.failure()]].concat()),
            Answer::json(429, &native.error()).field("retry-after", "7"),
        ])
        .await;
        let (gateway, key) = serving_natives(native, &provider).await;
        let broken = gateway.send(&Wire::Messages.request(true).key(&key.key)).await;
        let text = broken.text();
        assert!(
            text.contains("Hello") && text.contains("event: error") && text.contains("Overloaded"),
            "{native:?}: {text}"
        );
        assert!(!text.contains("message_stop"), "{native:?}: {text}");
        assert_eq!(gateway.record_of(&broken).await["outcome"], "upstream_error", "{native:?}");
        let refused = gateway.send(&Wire::Messages.request(true).key(&key.key)).await;
        assert_eq!((refused.status, refused.field("retry-after")), (429, Some("7")), "{native:?}");
        let error = refused.json()["error"].clone();
        assert_eq!(
            (&error["type"], &error["message"]),
            (&json!("rate_limit_error"), &json!("slow down")),
            "{native:?}"
        );
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_answer_that_coheres_last_word_says_failed_is_a_failure_in_the_ledger_too() {
    let failed = event(&json!({"type": "message-end", "delta": {"finish_reason": "ERROR"}}));
    let provider = Provider::always(
        Native::Cohere.stream_of([Native::Cohere.pieces(&TOKENS)[..3].to_vec(), vec![failed]].concat()),
    )
    .await;
    let (gateway, key) = serving_natives(Native::Cohere, &provider).await;
    let answer = gateway.send(&Wire::Messages.request(true).key(&key.key)).await;
    let text = answer.text();
    assert!(text.contains("event: error") && !text.contains("message_stop"), "{text}");
    assert_eq!(gateway.record_of(&answer).await["outcome"], "upstream_error");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_error_before_the_first_token_fails_over_and_so_does_a_broken_frame() {
    let mut flipped = Native::Bedrock.pieces(&TOKENS);
    let mut bytes = flipped[1].to_vec();
    bytes[40] ^= 1;
    flipped[1] = bytes.into();
    for (native, pieces) in
        Native::ALL.map(|native| (native, vec![native.failure()])).into_iter().chain([(Native::Bedrock, flipped)])
    {
        let broken = Provider::always(native.stream_of(pieces)).await;
        let works = Provider::always(Wire::Chat.stream(&TOKENS)).await;
        let other = Upstream::new("works", "nvidia", works.url("/v1")).with("priority = 1");
        let (gateway, key) = serving(&Setup::new([native.upstream("broken", &broken), other])).await;
        let answer = gateway.send(&Wire::Messages.request(true).key(&key.key)).await;
        let what = format!("{native:?}: {}", answer.text());
        assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("works")), "{what}");
        assert_eq!(text_of(Wire::Messages, &answer.text(), true), TOKENS.concat(), "{what}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bedrock_requests_are_signed_with_every_kind_of_key() {
    for (key_line, region, token) in [
        (bedrock_key(""), "us-east-1", None),
        (bedrock_key(&format!(":{SESSION_TOKEN}")), "us-east-1", Some(SESSION_TOKEN)),
    ] {
        let provider = Provider::always(Native::Bedrock.whole("Hello there.")).await;
        let upstream = Upstream::new("u", "bedrock", provider.url("")).with(&key_line);
        let (gateway, key) = serving(&Setup::new([upstream])).await;
        let answer = gateway.send(&Wire::Chat.request(false).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = provider.only();
        assert_signed(&sent, ACCESS_KEY_ID, SECRET_ACCESS_KEY, region);
        assert_eq!(sent.field("x-amz-security-token"), token);
        gateway.finish(&[&key]).await;
    }
    let provider = Provider::always(Native::Bedrock.whole("Hello there.")).await;
    let upstream = Upstream::new("u", "bedrock", provider.url("")).with("api_key = \"ABSKQmVkcm9ja0FQSUtleQ==\"");
    let (gateway, key) = serving(&Setup::new([upstream])).await;
    assert_eq!(gateway.send(&Wire::Chat.request(false).key(&key.key)).await.status, 200);
    assert_eq!(provider.only().field("authorization"), Some("Bearer ABSKQmVkcm9ja0FQSUtleQ=="));
    let tested = gateway.run_json(&["upstream", "test", "--json"]);
    assert_eq!((&tested[0]["ok"], provider.received()[1].target.as_str()), (&json!(true), "/model/m/converse"));
    gateway.finish(&[&key]).await;
}

/// What Amazon's Python SDK computes for the same request; so the check above checks what it should.
#[test]
fn the_check_of_signatures_agrees_with_amazons_sdk() {
    let signed = [
        ("content-type", "application/json"),
        ("host", "bedrock-runtime.us-east-1.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
    ];
    let got = signature(
        SECRET_ACCESS_KEY,
        "20150830/us-east-1/bedrock/aws4_request",
        "20150830T123600Z",
        ("POST", "/model/us.amazon.nova-lite-v1%3A0/converse"),
        &signed,
        &sha256(br#"{"messages":[]}"#),
    );
    assert_eq!(got, "219de9fdc87b4194f316a0d5a2bf87e7761397067868b784b1df82d6e30fc15c");
}

#[tokio::test]
async fn no_part_of_amazons_key_comes_through_and_half_a_key_is_refused_at_the_start() {
    let echo = json!({"message": format!("bad {ACCESS_KEY_ID} {SECRET_ACCESS_KEY} {SESSION_TOKEN} {}", &SESSION_TOKEN[9..20])});
    let provider = Provider::always(Answer::json(403, &echo)).await;
    let upstream = Upstream::new("u", "bedrock", provider.url("")).with(&bedrock_key(&format!(":{SESSION_TOKEN}")));
    let (gateway, key) = serving(&Setup::new([upstream])).await;
    let answer = gateway.send(&Wire::Chat.request(false).key(&key.key)).await;
    let text = answer.text();
    assert!(answer.status == 403 && text.contains("bad ****"), "{text}");
    for part in [ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN, &SESSION_TOKEN[9..20]] {
        assert!(!text.contains(part) && !gateway.said().contains(part), "{text}");
    }
    gateway.finish(&[&key]).await;

    let half = Upstream::new("u", "bedrock", provider.url("")).with("api_key = \"AKIDEXAMPLE0123456:\"");
    let refused = Gateway::prepare(&Setup::new([half])).run(&["check"]);
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("api_key"), "{said}");
    assert!(said.contains("ACCESS_KEY_ID:SECRET_ACCESS_KEY") && !said.contains("AKIDEXAMPLE0123456"), "{said}");
}

#[tokio::test]
async fn what_they_cannot_be_told_is_refused_by_the_clients_name() {
    for (native, field, value) in [
        (Native::Ollama, "n", json!(2)),
        (Native::Cohere, "logprobs", json!(true)),
        (Native::DashScope, "frequency_penalty", json!(1.5)),
        (Native::Bedrock, "presence_penalty", json!(1.5)),
    ] {
        let provider = Provider::start(move |_, request| native.answer(request)).await;
        let (gateway, key) = serving_natives(native, &provider).await;
        let chat = |field: &str, value: Value| {
            let mut body = Wire::Chat.body("m", false);
            body[field] = value;
            Request::post("/v1/chat/completions", &body).key(&key.key)
        };
        let refused = gateway.send(&chat(field, value)).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!(field)), "{native:?}");
        assert!(provider.received().is_empty(), "{native:?}");
        let answer = gateway.send(&chat("user", json!("u1"))).await;
        assert_eq!((answer.status, answer.field("x-tollgate-left-out")), (200, Some("user")), "{native:?}");
        gateway.finish(&[&key]).await;
    }
}
