//! Texts to embed that go to an upstream of another dialect than the client's.

use crate::calls::{Wire, number, serving};
use crate::support::client::Request;
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::translate::upstream;
use serde_json::{Value, json};

#[tokio::test]
async fn embeddings_pass_between_openai_and_gemini() {
    let provider = Provider::always(Answer::json(200, &json!({"embeddings": [{"values": [1.0, -0.5]}]}))).await;
    let (gateway, key) = serving(&Setup::new([Wire::GeminiEvents.upstream("u", &provider)])).await;
    let body = json!({"model": "m", "input": "Hello there", "encoding_format": "base64"});
    let answer = gateway.send(&Request::post("/v1/embeddings", &body).key(&key.key)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"][0]["embedding"], "AACAPwAAAL8=");
    assert_eq!(provider.only().target, "/v1beta/models/m:batchEmbedContents");
    assert_eq!(gateway.record_of(&answer).await["usage_source"], "estimated");
    gateway.finish(&[&key]).await;

    let vectors = json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -0.5]}],
        "model": "x", "usage": {"prompt_tokens": 2, "total_tokens": 2}});
    let provider = Provider::always(Answer::json(200, &vectors)).await;
    let (gateway, key) = serving(&Setup::new([upstream(Wire::Chat, "u", &provider)])).await;
    let body = json!({"content": {"parts": [{"text": "Hello there"}]}, "taskType": "RETRIEVAL_QUERY"});
    let answer = gateway.send(&Request::post("/v1beta/models/m:embedContent", &body).key(&key.key)).await;
    assert_eq!(answer.json()["embedding"]["values"], json!([1.0, -0.5]), "{}", answer.text());
    assert_eq!(answer.field("x-tollgate-left-out"), Some("taskType"));
    assert_eq!(provider.only().target, "/v1/embeddings");
    let record = gateway.record_of(&answer).await;
    assert_eq!((number(&record, "input_tokens"), &record["usage_source"]), (2, &json!("reported")));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn who_embeds_is_told_what_is_billed_whether_or_not_the_upstream_counts() {
    let long = "These are many words, and there are more of them than a tokenizer is given. ".repeat(1000);
    let openai = |input: Value| {
        Request::post("/v1/embeddings", &json!({"model": "m", "input": input, "dimensions": 2, "user": "somebody"}))
    };
    let gemini = |text: &str| {
        let body = json!({"content": {"parts": [{"text": text}]}, "outputDimensionality": 2, "title": "None of this is embedded"});
        Request::post("/v1beta/models/m:embedContent", &body)
    };
    let vectors = json!({"embeddings": [{"values": [1.0]}]});
    let counted = json!({"embeddings": [{"values": [1.0]}], "usageMetadata": {"promptTokenCount": 17}});
    let data = json!([{"object": "embedding", "index": 0, "embedding": [1.0]}]);
    let uncounted = json!({"object": "list", "data": data, "model": "x"});
    let of_nothing =
        json!({"object": "list", "data": data, "model": "x", "usage": {"prompt_tokens": 0, "total_tokens": 0}});
    for (wire, request, theirs, tokens) in [
        (Wire::GeminiEvents, openai(json!("Hello there")), &vectors, Some(2)),
        (Wire::GeminiEvents, openai(json!(["a", "b"])), &vectors, None),
        (Wire::GeminiEvents, openai(json!(long)), &vectors, None),
        (Wire::GeminiEvents, openai(json!("Hello there")), &counted, Some(17)),
        (Wire::Chat, gemini("Hello there"), &uncounted, None),
        (Wire::Chat, gemini("Hello there"), &of_nothing, Some(0)),
    ] {
        let provider = Provider::always(Answer::json(200, theirs)).await;
        let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
        let answer = gateway.send(&request.key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (body, places) = (answer.json(), ["/usage/prompt_tokens", "/usageMetadata/promptTokenCount"]);
        let told = places.iter().find_map(|place| body.pointer(place)?.as_i64());
        let billed = number(&gateway.record_of(&answer).await, "input_tokens");
        assert_eq!(told, Some(billed), "{theirs}");
        assert!(tokens.is_none_or(|tokens| billed == tokens), "{billed} instead of {tokens:?}: {theirs}");
        gateway.finish(&[&key]).await;
    }
}
