//! Where vendors want something else than others that speak their dialect.

use crate::calls::{INPUT, OUTPUT, TOKENS, Wire, serving, wants_stream};
use crate::support::client::Request;
use crate::support::gateway::{Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::translate::{text_of, usage_of};
use serde_json::json;

#[tokio::test]
async fn openais_newer_models_are_asked_for_tools_and_thoughts_by_responses() {
    let provider = Provider::start(|_, request| Wire::Responses.answer(wants_stream(request))).await;
    let models = r#"[{ name = "m", upstream_model = "gpt-5.5" }]"#;
    let openai = Upstream::new("u", "openai", provider.url("/v1")).models(models);
    let (gateway, key) = serving(&Setup::new([openai])).await;
    for (index, stream) in [false, true].into_iter().enumerate() {
        let body = json!({"model": "m", "max_tokens": 32_000, "stream": stream,
            "thinking": {"type": "enabled", "budget_tokens": 31_999},
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": "Say something."}]});
        let answer = gateway.send(&Request::post("/v1/messages", &body).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-left-out")), (200, None), "{}", answer.text());
        assert_eq!(answer.field("x-tollgate-translated"), Some("openai-responses"));
        let expected = if stream { TOKENS.concat() } else { "Hello there.".to_owned() };
        assert_eq!(text_of(Wire::Messages, &answer.text(), stream), expected);
        assert_eq!(usage_of(Wire::Messages, &answer.text(), stream), (INPUT, OUTPUT));
        let sent = &provider.received()[index];
        assert_eq!(sent.target, "/v1/responses");
        assert_eq!(
            (&sent.json()["reasoning"]["effort"], &sent.json()["tools"][0]["name"]),
            (&json!("high"), &json!("f"))
        );
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn azures_own_client_reaches_its_models_by_the_paths_that_it_writes() {
    let provider = Provider::start(|_, request| Wire::Chat.answer(wants_stream(request))).await;
    let models = r#"[{ name = "d", upstream_model = "theirs" }]"#;
    let azure = Upstream::new("u", "azure-openai", provider.url("/openai/v1")).models(models);
    let (gateway, key) = serving(&Setup::new([azure])).await;
    let says = json!([{"role": "user", "content": "Say something."}]);
    let bodies = [
        json!({"model": "d", "messages": says}),
        json!({"messages": says}),
        json!({"model": "gpt-4o", "messages": says}),
    ];
    for (index, body) in bodies.iter().enumerate() {
        let target = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
        let answer = gateway.send(&Request::post(target, body).field("api-key", &key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(text_of(Wire::Chat, &answer.text(), false), "Hello there.");
        let sent = &provider.received()[index];
        assert_eq!((&*sent.target, &sent.json()["model"]), ("/openai/v1/chat/completions", &json!("theirs")));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_only_one_vendor_refuses_is_the_next_ones_to_answer() {
    let said = "Tool call id was toolu_01 but must be a-z, A-Z, 0-9, with a length of 9.";
    let refusing = Provider::start(move |_, _| {
        let error = json!({"object": "error", "message": said, "type": "invalid_function_call", "code": "3280"});
        Answer::json(400, &error)
    });
    let refusing = refusing.await;
    let provider = Provider::start(|_, request| Wire::Chat.answer(wants_stream(request))).await;
    let first = Upstream::new("first", "openai-compatible", refusing.url("/v1")).models(r#"["m"]"#);
    let second =
        Upstream::new("second", "openai-compatible", provider.url("/v1")).models(r#"["m"]"#).with("priority = 1");
    let (gateway, key) = serving(&Setup::new([first, second])).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Say something."}]});
    for _ in 0..3 {
        let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("second")), "{}", answer.text());
    }
    // It says nothing about the first one's health.
    assert_eq!(refusing.received().len(), 3);
    gateway.finish(&[&key]).await;
}
