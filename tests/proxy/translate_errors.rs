//! Errors of an upstream that speaks another dialect than its client, in whatever way it says them.

use crate::calls::{TOKENS, Wire, number, serving, wants_stream};
use crate::support::answers::{data, event};
use crate::support::client::Request;
use crate::support::gateway::{PROVIDER_KEY, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::translate::{error_of, pairs, upstream};
use serde_json::{Value, json};

fn is_gemini(wire: Wire) -> bool {
    matches!(wire, Wire::GeminiEvents | Wire::GeminiArray)
}

/// What is wrong, as a wire's error object.
fn said(wire: Wire, message: &str) -> Value {
    match wire {
        Wire::Chat => json!({"error": {"message": message, "type": "invalid_request_error"}}),
        Wire::Responses | Wire::Messages => {
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
        }
        _ => json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}),
    }
}

#[tokio::test]
async fn an_error_document_under_200_reaches_the_client_with_the_errors_own_status_and_without_our_key() {
    for (client, wire) in pairs() {
        let body = said(wire, &format!("no such, {PROVIDER_KEY}"));
        let provider = Provider::always(Answer::json(200, &body)).await;
        let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
        for stream in [false, true] {
            let answer = gateway.send(&client.request(stream).key(&key.key)).await;
            let what = format!("{client:?} to {wire:?}, stream {stream}: {}", answer.text());
            assert_eq!((answer.status, answer.field("content-type")), (400, Some("application/json")), "{what}");
            let (message, kind) = error_of(client, &answer);
            assert!(message.starts_with("no such, ****"), "{what}");
            assert!(!answer.text().contains(PROVIDER_KEY), "{what}");
            assert_eq!(kind, if is_gemini(client) { "INVALID_ARGUMENT" } else { "invalid_request_error" }, "{what}");
            let record = gateway.record_of(&answer).await;
            assert_eq!((&record["outcome"], number(&record, "cost_nanos")), (&json!("upstream_error"), 0), "{what}");
            assert_eq!((number(&record, "status"), &record["error_code"]), (400, &json!("UPSTREAM_ERROR_EVENT")));
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_error_event_before_the_first_token_is_an_answer_of_its_own() {
    for (client, wire) in pairs() {
        let error = said(wire, &format!("no such, {PROVIDER_KEY}"));
        let event = if matches!(wire, Wire::Messages | Wire::Responses) { event(&error) } else { data(&error) };
        // An answer had begun already, as far as its dialect goes.
        let begun = wire.pieces(&TOKENS)[..wire.pieces_to_first_token() - 1].to_vec();
        for pieces in [vec![event.clone()], [begun, vec![event]].concat()] {
            let provider = Provider::always(wire.stream_of(pieces)).await;
            let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
            let answer = gateway.send(&client.request(true).key(&key.key)).await;
            let what = format!("{client:?} to {wire:?}: {}", answer.text());
            assert_eq!((answer.status, answer.field("content-type")), (400, Some("application/json")), "{what}");
            let (message, _) = error_of(client, &answer);
            assert!(message.starts_with("no such, ****"), "{what}");
            let record = gateway.record_of(&answer).await;
            assert_eq!((&record["outcome"], number(&record, "cost_nanos")), (&json!("upstream_error"), 0), "{record}");
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn a_page_or_a_redirect_instead_of_an_answer_is_a_bad_gateway_in_any_dialect() {
    let page = Answer::new(200, "text/html", "<html>Welcome</html>");
    let redirect = Answer::new(307, "text/plain", "elsewhere")
        .field("location", "https://example.com/")
        .field("refresh", "0; url=https://example.com/");
    let packed = Answer::json(200, &json!({})).field("content-encoding", "compress");
    for answer in [page, redirect, packed] {
        let (theirs, provider) = (answer.status, Provider::always(answer).await);
        // The last one is the upstream's own: what would pass as it is does not, for its client would follow, with our key.
        for client in [Wire::Chat, Wire::Responses, Wire::GeminiEvents, Wire::Messages] {
            let (gateway, key) = serving(&Setup::new([upstream(Wire::Messages, "u", &provider)])).await;
            for stream in [false, true] {
                let answer = gateway.send(&client.request(stream).key(&key.key)).await;
                let what = format!("{client:?}, stream {stream}, {theirs}: {}", answer.text());
                assert_eq!((answer.status, answer.field("content-type")), (502, Some("application/json")), "{what}");
                for field in ["location", "refresh", "content-encoding"] {
                    assert_eq!(answer.field(field), None, "{what}");
                }
                let kind = match client {
                    Wire::GeminiEvents => "INTERNAL",
                    Wire::Messages => "api_error",
                    _ => "server_error",
                };
                assert_eq!(error_of(client, &answer).1, kind, "{what}");
                assert_eq!(
                    answer.text().contains("redirect (status 307), which is not followed"),
                    theirs == 307,
                    "{what}"
                );
                if is_gemini(client) {
                    assert_eq!(answer.json()["error"]["code"], 502, "{what}");
                }
                let record = gateway.record_of(&answer).await;
                assert_eq!(record["error_code"], format!("UPSTREAM_STATUS_{theirs}"), "{what}");
                assert_eq!(number(&record, "status"), 502, "{what}");
            }
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn an_error_that_only_the_dialects_reader_finds_is_one_and_fails_over() {
    let failed = json!({"id": "resp_1", "object": "response", "status": "failed", "output": [],
        "error": {"code": "rate_limit_exceeded", "message": "slow down"}});
    let fails = Provider::always(Answer::json(200, &failed)).await;
    let works = Provider::start(|_, request| Wire::Chat.answer(wants_stream(request))).await;
    let first = upstream(Wire::Responses, "fails", &fails);
    let second = upstream(Wire::Chat, "works", &works).with("priority = 1");
    let (gateway, key) = serving(&Setup::new([first.clone(), second])).await;
    let answer = gateway.send(&Wire::Messages.request(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("works")), "{}", answer.text());
    gateway.finish(&[&key]).await;
    let (gateway, key) = serving(&Setup::new([first])).await;
    let answer = gateway.send(&Wire::Messages.request(false).key(&key.key)).await;
    assert_eq!((answer.status, error_of(Wire::Messages, &answer).1), (429, "rate_limit_error".to_owned()));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_error_in_mid_stream_does_not_show_our_key() {
    for (client, wire) in pairs() {
        let mut pieces = wire.pieces(&["Hello", " there"])[..=wire.pieces_to_first_token()].to_vec();
        let name = if wire == Wire::Messages { "event: error\n" } else { "" };
        pieces.push(format!("{name}data: {}\n\n", said(wire, &format!("bad {PROVIDER_KEY}"))).into());
        let provider = Provider::always(wire.stream_of(pieces)).await;
        let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
        let answer = gateway.send(&client.request(true).key(&key.key)).await;
        let what = format!("{client:?} to {wire:?}: {}", answer.text());
        assert!(answer.text().contains("bad ****") && !answer.text().contains(PROVIDER_KEY), "{what}");
        assert_eq!(gateway.record_of(&answer).await["outcome"], "upstream_error", "{what}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn when_to_come_again_is_told_as_each_client_looks_for_it() {
    const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
    let detail = json!({"@type": RETRY_INFO, "retryDelay": "6.5s"});
    let body = json!({"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": [detail]}});
    let provider = Provider::always(Answer::json(429, &body)).await;
    for client in [Wire::Chat, Wire::Responses, Wire::Messages] {
        let (gateway, key) = serving(&Setup::new([upstream(Wire::GeminiEvents, "u", &provider)])).await;
        let answer = gateway.send(&client.request(false).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("retry-after")), (429, Some("7")), "{client:?}");
        gateway.finish(&[&key]).await;
    }
    for (field, value) in [("retry-after", "7"), ("retry-after-ms", "6500")] {
        let answer = Answer::json(429, &said(Wire::Messages, "slow")).field(field, value);
        let provider = Provider::always(answer).await;
        let (gateway, key) = serving(&Setup::new([upstream(Wire::Messages, "u", &provider)])).await;
        let answer = gateway.send(&Wire::GeminiEvents.request(false).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("retry-after")), (429, Some("7")), "{field}");
        let details = json!([{"@type": RETRY_INFO, "retryDelay": "7s"}]);
        assert_eq!(answer.json()["error"]["details"], details, "{field}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_request_that_one_cannot_be_told_and_the_other_could_later_is_to_be_asked_again() {
    let dead =
        Provider::always(Answer::json(401, &json!({"error": {"message": "no such key", "code": "invalid_api_key"}})))
            .await;
    let well = Provider::always(Wire::Chat.whole("Hello there.")).await;
    let messages = Provider::always(Wire::Messages.whole("Hello there.")).await;
    let rule = r#"[{ per = "upstream", limit = "requests", max = 1, names = ["chat"], window_ms = 3600000 }]"#;
    let mut untellable = Wire::Chat.body("m", false);
    untellable["logit_bias"] = json!({"1": 2});
    // What keeps the one away that can be told: its breaker; its limit.
    for (provider, status, code) in [(&dead, 503, "UPSTREAM_UNAVAILABLE"), (&well, 429, "RATE_LIMIT_EXCEEDED")] {
        let upstreams = [upstream(Wire::Chat, "chat", provider), upstream(Wire::Messages, "messages", &messages)];
        let setup = Setup::new(upstreams).set("plugins.rate-limit.rules", rule);
        let (gateway, key) = serving(&setup).await;
        let ask = async |body: &Value| gateway.send(&Request::post("/v1/chat/completions", body).key(&key.key)).await;
        assert_eq!(ask(&Wire::Chat.body("m", false)).await.status, 200);
        let refused = ask(&untellable).await;
        assert_eq!((refused.status, &*refused.error_code()), (status, code), "{}", refused.text());
        assert!(refused.field("retry-after").is_some(), "{:?}", refused.fields);
        gateway.finish(&[&key]).await;
    }
}
