//! As long as no byte of an answer went out, a failure at one upstream leads to the next one. A client's own mistake leads to
//! none. The client sees the last answer.

use crate::calls::{
    COST, TOKENS, Wire, assert_record, number, one, plain_chat, send_all, serving, stepped, wants_stream,
};
use crate::support::answers::{chat_pieces, data, event};
use crate::support::client::{self, Ended, Request};
use crate::support::gateway::{PROVIDER_KEY, Setup, Upstream};
use crate::support::provider::{ClosedPort, FullQueue, Provider, Received};
use crate::support::script::{Answer, Break, Delimited};
use crate::support::{PATIENCE, until};
use crate::tls;
use crate::translate::upstream;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// One way in which an upstream fails before its first token.
struct Way {
    name: &'static str,
    /// Whether it can happen to a stream, to a document.
    to: (bool, bool),
    answer: fn(Wire, bool) -> Answer,
    /// What the metrics call it.
    result: &'static str,
    /// Whether the breaker opens at once.
    opens: bool,
}

const BOTH: (bool, bool) = (true, true);
const STREAM: (bool, bool) = (true, false);
const DOCUMENT: (bool, bool) = (false, true);

const fn way(
    name: &'static str,
    to: (bool, bool),
    result: &'static str,
    opens: bool,
    answer: fn(Wire, bool) -> Answer,
) -> Way {
    Way { name, to, answer, result, opens }
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"message": message, "type": code, "code": code, "param": null}}))
}

/// The pieces before the first token.
fn preamble(wire: Wire) -> Vec<Bytes> {
    let mut pieces = wire.pieces(&TOKENS);
    pieces.truncate(wire.pieces_to_first_token() - 1);
    pieces.insert(0, if wire == Wire::GeminiArray { "[".into() } else { ": waiting\n\n".into() });
    pieces
}

fn died_early(wire: Wire, how: Break) -> Answer {
    let answer = wire.stream_of(preamble(wire));
    let length = answer.body().len();
    answer.cut(length, how)
}

fn error_event(wire: Wire) -> Answer {
    let error =
        json!({"error": {"message": "Overloaded", "type": "overloaded_error", "code": 503, "status": "UNAVAILABLE"}});
    let typed = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let mut pieces = preamble(wire);
    pieces.push(match wire {
        Wire::Chat | Wire::GeminiEvents => data(&error),
        Wire::Responses => event(
            &json!({"type": "error", "code": "server_error", "message": "Oh", "param": null, "sequence_number": 1}),
        ),
        Wire::Messages => event(&typed),
        Wire::GeminiArray => format!("{error}]").into(),
    });
    wire.stream_of(pieces)
}

const PAGE: &str = "<!DOCTYPE html>\n<html><body><h1>Sign in to the hotel's network</h1></body></html>";

#[rustfmt::skip]
const WAYS: &[Way] = &[
    way("fin", BOTH, "connect", false, |_, _| Answer::nothing(Break::Fin)),
    way("rst", BOTH, "connect", false, |_, _| Answer::nothing(Break::Rst)),
    way("stall", BOTH, "timeout", false, |_, _| Answer::nothing(Break::Stall)),
    way("head-fin", BOTH, "connect", false, |wire, stream| wire.answer(stream).cut(0, Break::Fin)),
    way("head-rst", BOTH, "connect", false, |wire, stream| wire.answer(stream).cut(0, Break::Rst)),
    way("head-stall", BOTH, "timeout", false, |wire, stream| wire.answer(stream).cut(0, Break::Stall)),
    way("early-fin", STREAM, "connect", false, |wire, _| died_early(wire, Break::Fin)),
    way("early-rst", STREAM, "connect", false, |wire, _| died_early(wire, Break::Rst)),
    way("early-stall", STREAM, "timeout", false, |wire, _| died_early(wire, Break::Stall)),
    way("early-end", STREAM, "connect", false, |wire, _| wire.stream_of(preamble(wire))),
    way("empty", STREAM, "connect", false, |wire, _| wire.stream_of(Vec::new())),
    way("closed", STREAM, "connect", false, |wire, _| died_early(wire, Break::Fin).delimited(Delimited::Close)),
    way("error-event", STREAM, "", false, |wire, _| error_event(wire)),
    way("cut-length", DOCUMENT, "connect", false, |wire, _| wire.whole("x").cut(60, Break::Fin)),
    way("cut-reset", DOCUMENT, "connect", false, |wire, _| wire.whole("x").cut(60, Break::Rst)),
    way("cut-chunks", DOCUMENT, "connect", false, |wire, _| wire.whole("x").delimited(Delimited::Chunked).cut(60, Break::Fin)),
    way("cut-close", DOCUMENT, "connect", false, |wire, _| wire.whole("x").delimited(Delimited::Close).cut(60, Break::Fin)),
    way("cut-stall", DOCUMENT, "timeout", false, |wire, _| wire.whole("x").cut(60, Break::Stall)),
    way("error-body", DOCUMENT, "", false, |_, _| error(200, "server_error", "The server had an error")),
    way("error-of-their-own", BOTH, "", false, |_, _| Answer::json(200, &json!({"code": 1113, "msg": "Insufficient balance", "success": false}))),
    way("nothing", BOTH, "", false, |_, _| Answer::json(200, &json!({"choices": null, "content": [], "output": [], "usage": null}))),
    way("401", BOTH, "key_dead", true, |_, _| error(401, "invalid_api_key", "Incorrect API key provided")),
    way("401-why", BOTH, "denied", false, |_, _| error(401, "no_reason_that_is_known", "no")),
    way("401-scope", BOTH, "model_missing", false, |_, _| error(401, "missing_scope", "You have insufficient permissions")),
    way("401-bare", BOTH, "key_dead", true, |_, _| Answer::new(401, "text/plain", "")),
    way("403", BOTH, "denied", false, |_, _| error(403, "no_reason_that_is_known", "no")),
    way("400-key", BOTH, "key_dead", true, |_, _| Answer::json(400, &json!({"error": {"code": 400,
        "message": "API key not valid.", "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}))),
    way("402", BOTH, "quota_exhausted", true, |_, _| error(402, "insufficient_balance", "Insufficient Balance")),
    way("429", BOTH, "rate_limited", true, |_, _| error(429, "slow_down", "Slow down").field("retry-after", "600")),
    way("429-quota", BOTH, "quota_exhausted", true, |_, _| error(429, "insufficient_quota", "You exceeded your quota")),
    way("404", BOTH, "model_missing", false, |_, _| error(404, "model_not_found", "no such model")),
    way("500", BOTH, "server_error", false, |_, _| error(500, "server_error", "Oh")),
    way("502", BOTH, "server_error", false, |_, _| Answer::new(502, "text/html", PAGE)),
    way("503-empty", BOTH, "server_error", false, |_, _| Answer::new(503, "text/plain", "")),
    way("529", BOTH, "server_error", false, |_, _| error(529, "overloaded_error", "Overloaded")),
    way("page", BOTH, "server_error", false, |_, _| Answer::new(200, "text/html; charset=utf-8", PAGE)),
    way("no-document", DOCUMENT, "server_error", false, |_, _| Answer::new(200, "application/json", "{\"id\":")),
    way("redirect", BOTH, "server_error", false, |_, _| Answer::new(307, "text/plain", "").field("location", "/elsewhere")),
];

#[tokio::test]
async fn whatever_goes_wrong_before_the_first_token_is_the_next_upstreams_turn() {
    for gateway in Wire::ALL.map(|wire| tokio::spawn(fails_over(wire))) {
        gateway.await.expect("no assertion fails");
    }
}

async fn fails_over(wire: Wire) {
    let cases: Vec<(&Way, bool)> = WAYS
        .iter()
        .flat_map(|way| [(way, true), (way, false)])
        // Without a stream Gemini's two forms are one.
        .filter(|(way, stream)| if *stream { way.to.0 } else { way.to.1 && wire != Wire::GeminiArray })
        .collect();
    let name = |way: &Way, stream: bool| format!("{}-{}", way.name, if stream { "stream" } else { "document" });
    let bad = Provider::start(move |_, request: &Received| {
        let first = request.target.split('/').nth(1).unwrap_or_default();
        let (way, stream) = first.rsplit_once('-').expect("the upstream's name");
        let way = WAYS.iter().find(|known| known.name == way).expect("a way");
        (way.answer)(wire, stream == "stream")
    })
    .await;
    let good = Provider::start(move |_, request| wire.answer(wants_stream(request))).await;
    let closed = ClosedPort::new();
    let model = |name: &str| format!("[{{ name = \"{name}\", upstream_model = \"m\" }}]");
    let mut models: Vec<String> = vec![model("refused")];
    let mut setup = Setup::new([wire.upstream_at("refused", closed.address).models(&models[0])])
        .set("routing.first_token_timeout_ms", "1500")
        .set("routing.response_timeout_ms", "1500");
    for (way, stream) in &cases {
        let name = name(way, *stream);
        let base = match wire {
            Wire::Chat | Wire::Responses => bad.url(&format!("/{name}/v1")),
            _ => bad.url(&format!("/{name}")),
        };
        setup = setup.upstream(Upstream::new(&name, wire.row_name(), base).models(&model(&name)));
        models.push(model(&name));
    }
    let all = format!("[{}]", models.iter().map(|one| &one[1..one.len() - 1]).collect::<Vec<_>>().join(", "));
    setup = setup.upstream(wire.upstream("good", &good).models(&all).with("priority = 1"));
    let (gateway, key) = serving(&setup).await;
    let requests: Vec<Request> = std::iter::once(wire.request_for("refused", true).key(&key.key))
        .chain(cases.iter().map(|(way, stream)| wire.request_for(&name(way, *stream), *stream).key(&key.key)))
        .collect();
    let count = requests.len();
    let answers = send_all(&gateway, requests, 12).await;
    let records = gateway.wait_records(count).await;
    let page = gateway.metrics().await;
    let kinds = std::iter::once(("refused".to_owned(), true, "connect", false))
        .chain(cases.iter().map(|(way, stream)| (name(way, *stream), *stream, way.result, way.opens)));
    for ((name, stream, result, opens), answer) in kinds.zip(&answers) {
        let told = format!("{wire:?} {name}: {} {}", answer.status, answer.text());
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{told}");
        assert_eq!(answer.body(), wire.answer(stream).body(), "{told}");
        assert_eq!(answer.field("x-tollgate-upstream"), Some("good"), "{told}");
        assert_eq!(answer.field("x-tollgate-attempts"), Some("2"), "{told}");
        let id = answer.field("x-request-id").unwrap_or_default();
        let own: Vec<&Value> = records.iter().filter(|record| record["request_id"] == id).collect();
        assert_eq!(own.len(), 1, "{told}: one record");
        assert_record(
            own[0],
            json!({"attempts": 2, "upstream": "good", "outcome": "ok", "status": 200, "cost_nanos": COST, "model": name}),
        );
        let attempt =
            |line: &&str| line.starts_with("tollgate_attempts_total") && line.contains(&format!("upstream=\"{name}\""));
        let attempts: Vec<&str> = page.lines().filter(attempt).collect();
        assert_eq!(attempts.len(), 1, "{told}: {attempts:?}");
        assert!(
            attempts[0].contains(&format!("result=\"{result}")) && attempts[0].ends_with(" 1"),
            "{told}: {attempts:?}"
        );
        assert!(!attempts[0].contains("result=\"ok\"") && !attempts[0].contains("result=\"client\""), "{attempts:?}");
        let state = format!("tollgate_breaker_state{{upstream=\"{name}\"}} {}", if opens { 2 } else { 0 });
        assert!(page.contains(&state), "{told}: not {state}");
    }
    assert!(bad.received().iter().all(|request| !request.target.contains("elsewhere")), "a redirect is not followed");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn the_clients_own_faults_are_not_retried_and_nobodys_breaker_minds() {
    let faults = [
        error(400, "context_length_exceeded", "This model's maximum context length is 8192 tokens."),
        error(400, "invalid_request_error", "messages: at least one message is required"),
        error(422, "unprocessable", "no"),
        error(413, "request_too_large", "too large"),
        error(400, "content_policy_violation", "no"),
        error(409, "conflict", "no"),
    ];
    let count = faults.len();
    let answers = faults.clone();
    let provider = Provider::start(move |before, _| answers[before % answers.len()].clone()).await;
    let next = Provider::always(Wire::Chat.whole("x")).await;
    let setup =
        Setup::new([Wire::Chat.upstream("first", &provider), Wire::Chat.upstream("next", &next).with("priority = 1")])
            .set("breaker.failures_to_open", "1");
    let (gateway, key) = serving(&setup).await;
    for stream in [false, true] {
        for fault in &faults {
            let answer = gateway.send(&plain_chat(stream).key(&key.key)).await;
            assert_eq!((answer.status, answer.body()), (fault.status, fault.body()));
            assert_eq!(answer.field("x-tollgate-attempts"), Some("1"));
        }
    }
    assert!(next.received().is_empty());
    assert!(gateway.metrics().await.contains("tollgate_breaker_state{upstream=\"first\"} 0"));
    for record in gateway.wait_records(2 * count).await {
        let code = format!("UPSTREAM_STATUS_{}", record["status"]);
        assert_record(
            &record,
            json!({"outcome": "upstream_error", "attempts": 1, "cost_nanos": 0, "usage_source": "none", "error_code": code}),
        );
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn the_last_answer_reaches_the_client_as_it_is_but_for_our_own_key() {
    let echo = |status: u16| {
        let text = format!(
            "{{\"error\": {{\n\t\"message\":\"Incorrect API key provided: {PROVIDER_KEY}, or {}***6789\",\"x\":1e2}}}}\r\n",
            &PROVIDER_KEY[..12]
        );
        Answer::new(status, "application/json; charset=utf-8", text).field("www-authenticate", "Bearer realm=\"x\"")
    };
    let first = Provider::always(Answer::new(500, "text/plain", "first")).await;
    let last = Provider::start(move |before, _| echo([401, 418, 403][before % 3])).await;
    let setup =
        Setup::new([Wire::Chat.upstream("first", &first), Wire::Chat.upstream("last", &last).with("priority = 1")])
            .set("breaker.open_ms", "1");
    let (gateway, key) = serving(&setup).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    let expected = String::from_utf8(echo(401).body()).unwrap();
    let masked =
        expected.replace(PROVIDER_KEY, &"*".repeat(PROVIDER_KEY.len())).replace("provider-sec", "************");
    assert_eq!((answer.status, answer.ended), (401, Ended::Whole));
    assert_eq!(answer.text(), masked);
    for line in ["upstream first: server_error (status 500)", "upstream last: key_dead (status 401)"] {
        assert!(gateway.said().contains(line), "the operator hears of it: {}", gateway.said());
    }
    assert_eq!(answer.field("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.field("content-length"), Some(masked.len().to_string().as_str()));
    assert_eq!(answer.field("x-tollgate-rejected-by"), None, "not ours");
    assert_eq!((answer.field("x-tollgate-upstream"), answer.field("x-tollgate-attempts")), (Some("last"), Some("2")));
    assert_record(
        &gateway.wait_record().await,
        json!({"status": 401, "outcome": "upstream_error", "attempts": 2, "upstream": "last", "cost_nanos": 0}),
    );
    gateway.finish(&[&key]).await;
}

/// An account that goes on from its own answers alone.
async fn account(name: &'static str) -> Provider {
    Provider::start(move |_, request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match body["previous_response_id"].as_str() {
            Some(id) if id != format!("resp_{name}") => {
                error(400, "previous_response_not_found", &format!("Previous response with id '{id}' not found."))
            }
            _ => Wire::Responses.whole("Hello there."),
        }
    })
    .await
}

#[tokio::test]
async fn what_another_account_keeps_is_looked_for_there() {
    let (a, b) = (account("a").await, account("b").await);
    let setup = Setup::new([Wire::Responses.upstream("a", &a), Wire::Responses.upstream("b", &b)])
        .set("breaker.failures_to_open", "1");
    let (gateway, key) = serving(&setup).await;
    let go_on = |from: &str| {
        let mut body = Wire::Responses.body("m", false);
        body["previous_response_id"] = json!(format!("resp_{from}"));
        Request::post("/v1/responses", &body).key(&key.key)
    };
    for from in ["a", "b", "a", "b", "a", "b"] {
        let answer = gateway.send(&go_on(from)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some(from)), "{}", answer.text());
    }
    let answer = gateway.send(&go_on("c")).await;
    assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (400, Some("2")), "{}", answer.text());
    assert_eq!(answer.error_code(), "previous_response_not_found");
    assert_eq!(gateway.metric("tollgate_requests_failed_total", &[]).await, 0.0);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_error_inside_a_200_that_nobody_can_take_over_is_passed_on() {
    for wire in Wire::ALL {
        let (_provider, gateway, key) = one(wire, move |_, _| error_event(wire)).await;
        let answer = gateway.send(&wire.request(true).key(&key.key)).await;
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{wire:?}");
        assert_eq!(answer.text(), String::from_utf8_lossy(&error_event(wire).body()), "{wire:?}");
        let record = gateway.wait_record().await;
        assert_record(&record, json!({"outcome": "upstream_error", "status": 200, "attempts": 1}));
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_document_in_which_nothing_is_answered_is_passed_on_and_costs_nothing() {
    let text = r#"{"done":false,"why":"insufficient balance"}"#;
    for wire in Wire::ALL {
        let (_provider, gateway, key) = one(wire, move |_, _| Answer::new(200, "application/json", text)).await;
        for stream in [false, true] {
            let answer = gateway.send(&wire.request(stream).key(&key.key)).await;
            // A stream of Gemini's is documents, of which this would be the first.
            let status = if stream && matches!(wire, Wire::GeminiEvents | Wire::GeminiArray) { 503 } else { 200 };
            assert_eq!((answer.status, answer.ended), (status, Ended::Whole), "{wire:?} {stream}");
            assert!(status == 503 || answer.text() == text, "{wire:?} {stream}: {}", answer.text());
            assert_record(
                &gateway.record_of(&answer).await,
                json!({"outcome": "upstream_error", "status": status, "cost_nanos": 0, "usage_source": "none", "input_tokens": 0}),
            );
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn attempts_are_counted_and_limited_and_tiers_are_tried_in_order() {
    let provider = Provider::always(Answer::new(500, "text/plain", "no")).await;
    let tier = |name: &str, priority: u32| {
        Upstream::new(name, "openai", provider.url(&format!("/{name}/v1"))).with(&format!("priority = {priority}"))
    };
    for attempts in [1, 2, 3, 5] {
        let setup = Setup::new([tier("d", 9), tier("b", 1), tier("a", 0), tier("c", 2), tier("b2", 1)])
            .set("routing.attempts_max", &attempts.to_string());
        let before = provider.received().len();
        let (gateway, key) = serving(&setup).await;
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        assert_eq!((answer.status, answer.text().as_str()), (500, "no"));
        assert_eq!(answer.field("x-tollgate-attempts"), Some(attempts.to_string().as_str()));
        let received = provider.received();
        let mut order: Vec<&str> =
            received[before..].iter().filter_map(|request| request.target.split('/').nth(1)).collect();
        if let Some(tier) = order.get_mut(1..3) {
            tier.sort_unstable();
        }
        if attempts == 2 {
            assert!(["b", "b2"].contains(&order[1]), "{order:?}");
            order[1] = "b";
        }
        assert_eq!(order, ["a", "b", "b2", "c", "d"][..attempts]);
        assert_eq!(number(&gateway.wait_record().await, "attempts"), attempts as i64);
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn what_is_held_goes_out_after_the_hold_time_and_then_nothing_fails_over() {
    let role = chat_pieces(&[], None).swap_remove(0);
    let silent = Answer::stream([role.clone(), Bytes::from_static(b"never sent")]);
    let (silent, steps) = crate::calls::stepped(silent.cut(role.len(), Break::Rst));
    let first = Provider::start(move |_, _| silent.clone()).await;
    let next = Provider::always(Wire::Chat.stream(&["a"])).await;
    let setup =
        Setup::new([Wire::Chat.upstream("first", &first), Wire::Chat.upstream("next", &next).with("priority = 1")])
            .set("routing.first_token_hold_ms", "200");
    let (gateway, key) = serving(&setup).await;
    steps.go(1);
    // Nothing but the hold time can let this out: the provider says no more.
    let mut exchange = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    assert_eq!(exchange.answer.status, 200);
    exchange.until(&role).await;
    steps.go_on();
    let (answer, _) = exchange.rest().await;
    assert_eq!(answer.ended, Ended::Whole);
    Wire::Chat.error_at_end(&answer.text());
    assert!(answer.body().starts_with(&role) && next.received().is_empty());
    assert_record(
        &gateway.wait_record().await,
        json!({"outcome": "upstream_error", "attempts": 1, "upstream": "first"}),
    );
    gateway.finish(&[&key]).await;
}

/// DeepSeek and OpenRouter send blanks while a model thinks.
#[tokio::test]
async fn of_what_is_translated_as_a_whole_no_head_goes_out_before_there_is_something_in_it() {
    let blanks = [Bytes::from_static(b"\n"), Bytes::from_static(b"never sent")];
    let silent = Answer { pieces: blanks.into(), ..Answer::json(200, &json!({})) };
    let (silent, steps) = stepped(silent.delimited(Delimited::Chunked).cut(1, Break::Rst));
    let first = Provider::start(move |_, _| silent.clone()).await;
    let next = Provider::always(Wire::Chat.whole("hello")).await;
    let later = upstream(Wire::Chat, "next", &next).with("priority = 1");
    let setup = Setup::new([upstream(Wire::Chat, "first", &first), later]).set("routing.first_token_hold_ms", "50");
    let (gateway, key) = serving(&setup).await;
    let request = Wire::Messages.request(false).key(&key.key);
    let sending = gateway.send(&request);
    let breaking = async {
        steps.go(1);
        // Long past the hold time, which lets out what passes as it is.
        tokio::time::sleep(Duration::from_millis(400)).await;
        steps.go_on();
    };
    let (answer, ()) = tokio::join!(sending, breaking);
    assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("2")), "{}", answer.text());
    assert!(answer.text().contains("hello"));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_pooled_connection_that_the_provider_closed_costs_no_attempt() {
    // The provider closes after each answer without saying so: the next request finds a dead connection in the pool.
    for (how, over_tls) in [Break::Fin, Break::Rst].into_iter().flat_map(|how| [(how, false), (how, true)]) {
        let provider = Provider::start(move |_, _| {
            let answer = Wire::Chat.whole("x");
            let length = answer.body().len();
            answer.cut(length, how)
        })
        .await;
        let (gateway, key) = match over_tls {
            true => tls::over(&["http/1.1"], &provider, "", Setup::new([])).await,
            false => serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await,
        };
        for _ in 0..30 {
            let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
            let served = (answer.status, answer.field("x-tollgate-attempts"));
            assert_eq!(served, (200, Some("1")), "{how:?}, TLS {over_tls}: {}", answer.text());
        }
        for record in gateway.wait_records(30).await {
            assert_record(&record, json!({"outcome": "ok", "attempts": 1, "cost_nanos": COST}));
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_pooled_connection_that_ends_while_the_provider_works_costs_an_attempt() {
    // Longer than a round trip takes: the provider may have worked, and wants its money.
    let provider = Provider::start(|number, _| match number {
        0 => Wire::Chat.whole("x"),
        _ => Answer::nothing(Break::Rst).head_after_ms(600),
    })
    .await;
    let (gateway, key) =
        serving(&Setup::new([Wire::Chat.upstream("u", &provider)]).set("routing.attempts_max", "1")).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 503);
    assert_eq!(provider.received().len(), 2, "it is not asked again");
    let records = gateway.wait_records(2).await;
    let failed = records.iter().find(|record| record["outcome"] != "ok").expect("one failed");
    assert_record(failed, json!({"outcome": "upstream_error", "attempts": 1}));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_pooled_connection_that_ends_behind_a_first_byte_costs_an_attempt() {
    // Whoever begins an answer has the request, and may want its money.
    let whole = Wire::Chat.whole("x");
    let hinted = |status| {
        let answer = whole.clone().informational(status, vec![("link".to_owned(), "x".to_owned())]);
        let hint_bytes = answer.head().len() - whole.head().len();
        answer.cut_head(hint_bytes, Break::Fin)
    };
    let begun = [1, 25].map(|bytes| whole.clone().cut_head(bytes, Break::Fin));
    for begun in begun.into_iter().chain([102, 103].map(hinted)) {
        let case = format!("{:?}", begun.cut);
        let provider = Provider::sequence(vec![whole.clone(), begun, whole.clone()]).await;
        let (gateway, key) =
            serving(&Setup::new([Wire::Chat.upstream("u", &provider)]).set("routing.attempts_max", "1")).await;
        let request = plain_chat(false).key(&key.key);
        assert_eq!(gateway.send(&request).await.status, 200, "{case}");
        assert_eq!(gateway.send(&request).await.status, 503, "{case}");
        assert_eq!(provider.received().len(), 2, "{case}: it is not asked again");
        // What ended is forgotten with its connection.
        assert_eq!(gateway.send(&request).await.status, 200, "{case}");
        gateway.wait_records(3).await;
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_attempt_has_its_time_also_while_there_is_no_connection() {
    let (full, next) = (FullQueue::new().await, Provider::always(Wire::Chat.whole("x")).await);
    let setup = Setup::new([
        Wire::Chat.upstream_at("full", full.address),
        Wire::Chat.upstream("next", &next).with("priority = 1"),
    ])
    // Longer than anything is waited for here.
    .set("routing.connect_timeout_ms", "600000")
    .set("routing.response_timeout_ms", "500");
    let (gateway, key) = serving(&setup).await;
    let answer = tokio::time::timeout(PATIENCE, gateway.send(&plain_chat(false).key(&key.key))).await;
    let answer = answer.expect("it is given up");
    assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("2")), "{}", answer.text());
    assert_eq!(gateway.metric("tollgate_attempts_total", &["upstream=\"full\"", "result=\"timeout\""]).await, 1.0);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn the_kernel_watches_over_connections_to_upstreams() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    // proc(5): the other end's address and port, the state (1: established), and the timer (2: it asks whether anybody is there).
    let other_end = format!("0100007F:{:04X}", provider.address.port());
    let connections = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let fields = connections.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_the_gateway: Vec<_> = fields.filter(|fields| fields[2] == other_end && fields[3] == "01").collect();
    assert!(!of_the_gateway.is_empty(), "the connection is kept:\n{connections}");
    assert!(of_the_gateway.iter().all(|fields| fields[5].starts_with("02:")), "{of_the_gateway:?}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn all_pooled_connections_may_be_dead_at_once_and_it_costs_no_attempt() {
    // As behind a balancer that has forgotten them: each is reset as soon as something is sent on it again.
    const AT_ONCE: usize = 4;
    let (whole, steps) = stepped(Wire::Chat.whole("x"));
    let firsts = Mutex::new(HashMap::new());
    let provider = Provider::start(move |number, request| {
        let first = *firsts.lock().expect("no script panics").entry(request.connection).or_insert(number);
        if first == number { whole.clone() } else { Answer::nothing(Break::Rst) }
    })
    .await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let request = plain_chat(false).key(&key.key);
    let begun = (0..AT_ONCE).map(|_| {
        let (request, address) = (request.clone(), gateway.address);
        tokio::spawn(async move { client::send(address, &request).await })
    });
    let begun: Vec<_> = begun.collect();
    until("all of them", || (provider.received().len() == AT_ONCE).then_some(())).await;
    steps.go(1000);
    for running in begun {
        assert_eq!(running.await.expect("no client panics").status, 200);
    }
    for _ in 0..AT_ONCE {
        let answer = gateway.send(&request).await;
        assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("1")), "{}", answer.text());
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_request_that_failed_over_is_charged_once_at_the_price_of_the_upstream_that_served_it() {
    let dear = Provider::always(Answer::new(500, "text/plain", "no")).await;
    let cheap = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([
        Wire::Chat.upstream("dear", &dear).models(r#"[{ name = "m", upstream_model = "big" }]"#),
        Wire::Chat
            .upstream("cheap", &cheap)
            .models(r#"[{ name = "m", upstream_model = "small" }]"#)
            .with("priority = 1"),
    ])
    .prices(
        "[[model]]\nname = \"big\"\ninput = 100\noutput = 200\n[[model]]\nname = \"small\"\ninput = 1\noutput = 2\n",
    );
    let (gateway, [key]) = crate::calls::serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!(answer.status, 200);
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"cost_nanos": COST, "upstream_model": "small", "attempts": 2, "overshoot": false}));
    // The hold covers the dearest: 100 tokens at 200 USD per million alone are 20,000,000.
    assert!(number(&record, "held_nanos") > 20_000_000, "{record}");
    assert_eq!(gateway.key_row("k")["spent_nanos"], COST);
    gateway.finish(&[&key]).await;
}
