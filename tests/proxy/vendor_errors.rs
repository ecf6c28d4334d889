//! How vendors say that something is wrong, each in its own way, and what follows from it.

use crate::calls::{COST, INPUT, OUTPUT, TOKENS, Wire, assert_record, number, plain_chat, serving, wants_stream};
use crate::support::answers::{chat_body, chat_token, chat_usage, data};
use crate::support::client::{Ended, Request};
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break};
use crate::translate::{error_of, text_of};
use bytes::Bytes;
use serde_json::{Value, json};

/// Two models at one upstream, and somebody else who has only the first.
const BOTH: &str = r#"["m", "other"]"#;

/// A gateway whose first upstream, of this vendor, serves two models, and whose second one, where the first fails, `m`.
async fn with_a_second(row: &str, first: &Provider, second: &Provider) -> (Gateway, Key) {
    let first = Upstream::new("first", row, first.url("/v1")).models(BOTH);
    serving(&Setup::new([first, Upstream::new("second", "nvidia", second.url("/v1")).with("priority = 1")])).await
}

fn chat(model: &str) -> Request {
    Request::post("/v1/chat/completions", &Wire::Chat.body(model, false))
}

/// One error answer, and what it is: what the metrics call it, and whether the vendor is asked for another model right after.
struct Case {
    answer: Answer,
    result: &'static str,
    serves_others: bool,
}

fn case(answer: Answer, result: &'static str, serves_others: bool) -> Case {
    Case { answer, result, serves_others }
}

/// Each error is the next upstream's turn, is called what it is, and keeps its upstream away from other models only where it is
/// of the whole account.
async fn assert_judged(row: &str, cases: Vec<Case>) {
    for Case { answer, result, serves_others } in cases {
        let what = format!("{row}: {}", String::from_utf8_lossy(&answer.body()));
        let well = if row == "bedrock" { converse("Hello there.") } else { Wire::Chat.whole("Hello there.") };
        let first = Provider::sequence(vec![answer, well]).await;
        let second = Provider::always(Wire::Chat.whole("Hello there.")).await;
        let (gateway, key) = with_a_second(row, &first, &second).await;
        let answer = gateway.send(&chat("m").key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("second")), "{what}");
        let result = format!("result=\"{result}\"");
        assert_eq!(gateway.metric("tollgate_attempts_total", &["upstream=\"first\"", &result]).await, 1.0, "{what}");
        let status = gateway.send(&chat("other").key(&key.key)).await.status;
        assert_eq!(status, if serves_others { 200 } else { 503 }, "{what}");
        gateway.finish(&[&key]).await;
    }
}

fn converse(text: &str) -> Answer {
    let usage = json!({"inputTokens": INPUT, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT});
    Answer::json(
        200,
        &json!({"output": {"message": {"role": "assistant", "content": [{"text": text}]}},
            "stopReason": "end_turn", "metrics": {"latencyMs": 3}, "usage": usage}),
    )
}

#[tokio::test]
async fn amazon_names_an_error_in_its_head() {
    let error = |status: u16, name: &str, message: &str| {
        let address = format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/");
        Answer::json(status, &json!({"message": message})).field("x-amzn-errortype", address)
    };
    let on_demand = "Invocation of model ID m with on-demand throughput isn\u{2019}t supported. Retry your request with the ID or ARN of an inference profile that contains this model.";
    let unknown = "The security token included in the request is invalid.";
    assert_judged(
        "bedrock",
        vec![
            case(
                error(400, "ServiceQuotaExceededException", "You can resubmit your request later."),
                "rate_limited",
                true,
            ),
            case(error(400, "ValidationException", "The provided model identifier is invalid."), "model_missing", true),
            case(error(400, "ValidationException", on_demand), "model_missing", true),
            case(error(424, "ModelErrorException", "The model failed."), "model_missing", true),
            case(error(403, "UnrecognizedClientException", unknown), "key_dead", false),
            case(
                error(403, "ExpiredTokenException", "The security token included in the request is expired"),
                "key_dead",
                false,
            ),
            case(error(403, "AccessDeniedException", "You don't have access to the model."), "denied", true),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_code_that_a_vendor_has_borrowed_means_there_what_the_vendor_means_by_it() {
    let code = "insufficient_quota";
    let error =
        json!({"error": {"message": "You exceeded your current quota", "type": code, "param": null, "code": code}});
    let refused = Answer::json(429, &error);
    // Under a success, too.
    let told = || Answer::json(200, &error);
    assert_judged("qwen", vec![case(refused.clone(), "rate_limited", true), case(told(), "rate_limited", true)]).await;
    assert_judged("nvidia", vec![case(refused, "quota_exhausted", false), case(told(), "quota_exhausted", false)])
        .await;
}

#[tokio::test]
async fn openrouter_says_beside_a_status_what_it_is_for() {
    let error = |status: u16, metadata: Value| {
        Answer::json(status, &json!({"error": {"code": status, "message": "no", "metadata": metadata}}))
    };
    let in_flight = json!({"reason": "in_flight_budget_exhausted", "limit_source": "openrouter_in_flight_budget", "remedy_hint": "x"});
    let too_dear = json!({"reason": "weight_exceeds_budget", "limit_source": "openrouter_credits"});
    assert_judged(
        "openrouter",
        vec![
            case(error(402, in_flight).field("retry-after", "2"), "rate_limited", true),
            case(error(402, too_dear), "model_missing", true),
            case(error(402, json!({"limit_source": "openrouter_key_limit"})), "quota_exhausted", false),
            case(error(403, json!({"limit_source": "openrouter_workspace_budget"})), "quota_exhausted", false),
            case(error(402, json!({})), "quota_exhausted", false),
        ],
    )
    .await;
}

/// MiniMax's usage in every chunk but the last, and in its errors.
fn nothing_yet() -> Value {
    json!({"total_tokens": 0, "total_characters": 0})
}

fn minimax_chunk(text: &str) -> Bytes {
    data(&json!({"id": "04ec", "object": "chat.completion.chunk", "created": 1_755_153_383, "model": "MiniMax-M3",
        "choices": [{"index": 0, "delta": {"role": "assistant", "name": "MiniMax AI", "content": text}}],
        "usage": nothing_yet(), "input_sensitive": false, "output_sensitive": false}))
}

/// The last event of a stream, which has all of it once more.
fn minimax_whole() -> Value {
    let mut body = chat_body("Hello there, friend.", INPUT, OUTPUT);
    body["usage"]["total_characters"] = json!(0);
    body["base_resp"] = json!({"status_code": 0, "status_msg": ""});
    body
}

fn minimax_error(code: u64, message: &str) -> Value {
    json!({"id": "0637", "object": "chat.completion", "created": 1_776_858_387, "model": "MiniMax-M3", "choices": null,
        "usage": nothing_yet(), "base_resp": {"status_code": code, "status_msg": message}})
}

fn minimax(provider: &Provider) -> Setup {
    Setup::new([Upstream::new("u", "openai-compatible", provider.url("/v1"))])
}

#[tokio::test]
async fn a_total_of_nothing_in_every_chunk_is_no_count_of_what_was_delivered() {
    let words = TOKENS.map(minimax_chunk).to_vec();
    let length = words.iter().map(Bytes::len).sum();
    let never_sent = [words.clone(), vec![Bytes::from_static(b"never sent")]].concat();
    let done = Bytes::from_static(b"data: [DONE]\n\n");
    let whole = [words.clone(), vec![data(&minimax_whole())]].concat();
    let answers = vec![
        Answer::stream(never_sent).cut(length, Break::Fin),
        Answer::stream([words, vec![done]].concat()),
        Answer::stream(whole),
    ];
    let provider = Provider::sequence(answers).await;
    let (gateway, key) = serving(&minimax(&provider)).await;
    for (outcome, source) in [("upstream_error", "estimated"), ("ok", "estimated"), ("ok", "reported")] {
        let answer = gateway.send(&plain_chat(true).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = gateway.record_of(&answer).await;
        assert_record(&record, json!({"outcome": outcome, "usage_source": source}));
        let (input, output) = (number(&record, "input_tokens"), number(&record, "output_tokens"));
        assert!((1..=20).contains(&input) && (4..=6).contains(&output), "{record}");
        assert_eq!(number(&record, "cost_nanos"), input * 1_000 + output * 2_000, "{record}");
        assert!(source == "estimated" || number(&record, "cost_nanos") == COST, "{record}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn minimaxs_errors_under_200_are_what_their_codes_say() {
    let error = |code: u64, message: &str| Answer::json(200, &minimax_error(code, message));
    assert_judged(
        "openai-compatible",
        vec![
            case(error(1002, "rate limit exceeded(RPM)"), "rate_limited", true),
            case(error(1008, "insufficient balance"), "quota_exhausted", false),
            case(error(2049, "invalid api key"), "key_dead", false),
            case(error(2056, "usage limit exceeded"), "quota_exhausted", false),
            case(error(2061, "your current token plan not support model"), "model_missing", true),
            case(error(1033, "system error"), "server_error", true),
            case(error(7777, "what nobody knows"), "error_event", true),
        ],
    )
    .await;
}

#[tokio::test]
async fn minimaxs_errors_under_200_reach_the_client_in_words_and_cost_nothing() {
    let body = minimax_error(2061, "your current token plan not support model, MiniMax-M3");
    for stream in [false, true] {
        let answer = if stream { Answer::stream([data(&body)]) } else { Answer::json(200, &body) };
        let (sent, provider) = (answer.body(), Provider::always(answer).await);
        let (gateway, key) = serving(&minimax(&provider)).await;
        let passed = gateway.send(&plain_chat(stream).key(&key.key)).await;
        assert_eq!((passed.status, passed.ended), (200, Ended::Whole));
        assert_eq!(passed.body(), sent, "it passes as it is: {}", passed.text());
        let translated = gateway.send(&Wire::Messages.request(stream).key(&key.key)).await;
        assert_eq!(translated.status, 404, "{}", translated.text());
        let (message, kind) = error_of(Wire::Messages, &translated);
        assert_eq!((&*kind, &*message), ("not_found_error", "your current token plan not support model, MiniMax-M3"));
        for answer in [passed, translated] {
            assert_record(
                &gateway.record_of(&answer).await,
                json!({"outcome": "upstream_error", "error_code": "UPSTREAM_ERROR_EVENT", "cost_nanos": 0, "usage_source": "none"}),
            );
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn minimaxs_errors_in_mid_stream_are_seen_among_chunks_without_usage() {
    let mut error = minimax_error(1002, "rate limit exceeded");
    error["usage"] = Value::Null;
    let pieces = [TOKENS.map(chat_token).to_vec(), vec![data(&error)]].concat();
    let provider = Provider::always(Answer::stream(pieces)).await;
    let (gateway, key) = serving(&minimax(&provider)).await;
    let passed = gateway.send(&plain_chat(true).key(&key.key)).await;
    assert!(passed.text().ends_with(&format!("data: {error}\n\n")), "nothing is added: {}", passed.text());
    let record = gateway.record_of(&passed).await;
    assert_record(&record, json!({"outcome": "upstream_error", "error_code": "UPSTREAM_ERROR_EVENT"}));
    assert!(number(&record, "output_tokens") > 0, "{record}");
    gateway.finish(&[&key]).await;
}

/// Finish reasons that are failures: the vendor's row, the word, and the status that it stands for.
const FAILURES: [(&str, &str, u16); 3] =
    [("zhipu", "network_error", 500), ("deepseek", "insufficient_system_resource", 503), ("mistral", "error", 500)];

/// A document that ends so, with this text.
fn ending(word: &str, text: &str) -> Value {
    let mut body = chat_body(text, INPUT, OUTPUT);
    body["choices"][0]["finish_reason"] = json!(word);
    body
}

#[tokio::test]
async fn a_finish_reason_that_is_a_failure_is_the_next_upstreams_turn_as_long_as_nothing_went_out() {
    for (row, word, _) in FAILURES {
        let first_event = data(&json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": word}]}));
        for (stream, answer) in [
            (false, Answer::json(200, &ending(word, ""))),
            (false, Answer::json(200, &ending(word, "Half an"))),
            (true, Answer::stream([first_event, Bytes::from_static(b"data: [DONE]\n\n")])),
        ] {
            let first = Provider::always(answer).await;
            let second = Provider::start(|_, request| Wire::Chat.answer(wants_stream(request))).await;
            let (gateway, key) = with_a_second(row, &first, &second).await;
            let answer = gateway.send(&plain_chat(stream).key(&key.key)).await;
            let what = format!("{word}, stream {stream}: {}", answer.text());
            assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("second")), "{what}");
            let labels = ["upstream=\"first\"", "result=\"server_error\""];
            assert_eq!(gateway.metric("tollgate_attempts_total", &labels).await, 1.0, "{what}");
            assert_record(&gateway.record_of(&answer).await, json!({"outcome": "ok", "attempts": 2}));
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn a_finish_reason_that_is_a_failure_is_told_in_every_dialect_and_costs_what_is_reported() {
    for (row, word, status) in FAILURES {
        let last = data(&json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {}, "finish_reason": word}], "usage": chat_usage(INPUT, OUTPUT)}));
        let end = vec![last, Bytes::from_static(b"data: [DONE]\n\n")];
        let pieces = [TOKENS.map(chat_token).to_vec(), end].concat();
        let sent = pieces.concat();
        let provider = Provider::start(move |_, request| {
            let stream = wants_stream(request);
            if stream { Answer::stream(pieces.clone()) } else { Answer::json(200, &ending(word, "Half an")) }
        })
        .await;
        let (gateway, key) = serving(&Setup::new([Upstream::new("u", row, provider.url("/v1"))])).await;
        let passed = gateway.send(&plain_chat(true).key(&key.key)).await;
        assert_eq!(passed.body(), sent, "{word}: it passes as it is: {}", passed.text());
        let told = gateway.send(&Wire::Messages.request(true).key(&key.key)).await;
        let text = told.text();
        assert_eq!(text_of(Wire::Messages, &text, true), TOKENS.concat(), "{text}");
        assert!(text.contains("event: error") && text.contains(word) && !text.contains("message_stop"), "{text}");
        let refused = gateway.send(&Wire::Messages.request(false).key(&key.key)).await;
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(error_of(Wire::Messages, &refused).0.contains(word), "{}", refused.text());
        for answer in [passed, told, refused] {
            assert_record(
                &gateway.record_of(&answer).await,
                json!({"outcome": "upstream_error", "error_code": "UPSTREAM_ERROR_EVENT", "cost_nanos": COST,
                    "usage_source": "reported"}),
            );
        }
        gateway.finish(&[&key]).await;
    }
}
