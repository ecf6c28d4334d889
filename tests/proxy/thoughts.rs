//! Vendors whose limit is one of the answer alone: what the model thinks beyond it is held for, too.

use crate::calls::{assert_record, number, serving_keys};
use crate::support::answers::{chat_body, chat_pieces};
use crate::support::client::Request;
use crate::support::gateway::{Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use serde_json::{Value, json};

const PRICES: &str = "[[model]]\nname = \"qwen3.7-max\"\ninput = 0\noutput = 2\n";
/// Tokens that this model thinks at most.
const THOUGHTS: i64 = 262_144;

fn setup(provider: &Provider) -> Setup {
    Setup::new([Upstream::new("u", "qwen", provider.url("/v1")).models(r#"["qwen3.7-max"]"#)]).prices(PRICES)
}

fn asking(path: &str, limit: Value) -> Request {
    let mut body = json!({"model": "qwen3.7-max", "messages": [{"role": "user", "content": "Prove it."}]});
    body.as_object_mut().expect("an object").extend(limit.as_object().expect("an object").clone());
    Request::post(path, &body)
}

#[tokio::test]
async fn thoughts_beyond_the_limit_fit_what_was_held() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 12, 16 + THOUGHTS as u64))).await;
    let quota = 2_000 * (16 + THOUGHTS);
    let quota = format!("{}.{:09}", quota / 1_000_000_000, quota % 1_000_000_000);
    let (gateway, [key]) = serving_keys(&setup(&provider), [("k", &["--quota-usd", &quota])]).await;
    let answer = gateway.send(&asking("/v1/chat/completions", json!({"max_tokens": 17})).key(&key.key)).await;
    assert_eq!(answer.status, 402, "one token more than there is money for: {}", answer.text());
    let answer = gateway.send(&asking("/v1/chat/completions", json!({"max_tokens": 16})).key(&key.key)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let record = gateway.record_of(&answer).await;
    assert_record(&record, json!({"held_nanos": 2_000 * (16 + THOUGHTS), "overshoot": false}));
    assert_eq!(record["cost_nanos"], record["held_nanos"]);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_limit_of_both_is_the_hold_and_is_what_a_translated_limit_becomes() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 12, 16))).await;
    let (gateway, [key]) = serving_keys(&setup(&provider), [("k", &["--quota-usd", "1"])]).await;
    for (path, limit) in [("/v1/chat/completions", "max_completion_tokens"), ("/v1/messages", "max_tokens")] {
        let answer = gateway.send(&asking(path, json!({limit: 16})).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // The vendor allows itself ten more.
        assert_eq!(number(&gateway.record_of(&answer).await, "held_nanos"), 2_000 * 26, "{path}");
    }
    for request in provider.received() {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(16), None), "{body}");
    }
    gateway.finish(&[&key]).await;
}

/// Of thoughts that nobody counted, an estimate is not cut off at the answer's limit.
#[tokio::test]
async fn thoughts_that_nobody_counted_are_estimated_beyond_the_limit() {
    let text = " word".repeat(500);
    let provider = Provider::always(Answer::stream(chat_pieces(&[&text], None))).await;
    let (gateway, [key]) = serving_keys(&setup(&provider), [("k", &["--quota-usd", "1"])]).await;
    let limit = json!({"max_tokens": 100, "stream": true});
    let answer = gateway.send(&asking("/v1/chat/completions", limit).key(&key.key)).await;
    let record = gateway.record_of(&answer).await;
    assert_record(&record, json!({"output_tokens": 500, "usage_source": "estimated", "overshoot": false}));
    gateway.finish(&[&key]).await;
}
