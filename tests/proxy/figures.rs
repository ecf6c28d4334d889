//! `/metrics` and spans agree on a request, and on whose fault an error was.

use crate::calls::{Wire, serving, wants_stream};
use crate::support::gateway::Setup;
use crate::support::provider::{ClosedPort, Provider};
use crate::support::script::Answer;
use crate::traces::{attribute, spans};
use serde_json::{Value, json};

/// A provider that refuses what is asked of `refused` and, as another account's, of `foreign`, lacks `missing`, and has a fault of its own when it is asked for `broken`.
async fn provider(wire: Wire) -> Provider {
    Provider::start(move |_, request| {
        let said = format!("{} {}", request.target, String::from_utf8_lossy(&request.body));
        let asked = |model: &str| said.contains(model);
        match () {
            () if asked("refused") => Answer::json(400, &json!({"error": {"message": "max_tokens is too large"}})),
            () if asked("foreign") => Answer::json(400, &json!({"error": {"code": "invalid_encrypted_content"}})),
            () if asked("missing") => Answer::json(400, &json!({"error": {"code": "model_not_found"}})),
            () if asked("broken") => Answer::json(500, &json!({"error": {"message": "oh"}})),
            () => wire.answer(wants_stream(request)),
        }
    })
    .await
}

const MODELS: &str = r#"["m", "refused", "foreign", "missing", "broken"]"#;

#[tokio::test]
async fn metrics_and_spans_name_operation_provider_and_error_alike_and_as_the_conventions_do() {
    for (wire, operation, provider_name) in [
        (Wire::Chat, "chat", "openai"),
        (Wire::Responses, "chat", "openai"),
        (Wire::Messages, "chat", "anthropic"),
        (Wire::GeminiEvents, "generate_content", "gcp.gemini"),
    ] {
        let upstream = provider(wire).await;
        let collector = Provider::always(Answer::json(200, &json!({}))).await;
        let setup = Setup::new([wire.upstream("u", &upstream).models(MODELS)])
            .set("plugins.otlp.endpoint", &format!("\"{}\"", collector.url("/otel/")))
            .set("plugins.otlp.service_name", "\"edge\"")
            .set("breaker.failures_to_open", "100")
            .set("pricing.unknown_model", "\"allow\"");
        let (gateway, key) = serving(&setup).await;
        let asked = [("m", false, None), ("m", true, None), ("broken", false, Some("UPSTREAM_STATUS_500"))];
        for (model, stream, error) in asked {
            let answer = gateway.send(&wire.request_for(model, stream).key(&key.key)).await;
            assert_eq!(answer.status, if error.is_some() { 500 } else { 200 }, "{wire:?} {}", answer.text());
        }
        for (span, (model, _, error)) in spans(&collector, asked.len()).await.iter().zip(asked) {
            for (name, value) in [
                ("gen_ai.operation.name", json!(operation)),
                ("gen_ai.provider.name", json!(provider_name)),
                ("gen_ai.request.model", json!(model)),
                ("error.type", json!(error)),
                // What was asked for is not what an answer says that it is of; where there is none, nothing is.
                ("gen_ai.response.model", Value::Null),
                ("tollgate.upstream_model", json!(model)),
            ] {
                assert_eq!(attribute(span, name), value, "{wire:?}: {name} of {span}");
            }
        }
        let page = gateway.metrics().await;
        let of = |model: &str| {
            let operation = format!(r#"gen_ai_operation_name="{operation}""#);
            format!(r#"{operation},gen_ai_provider_name="{provider_name}",gen_ai_request_model="{model}""#)
        };
        let (good, broken) = (of("m"), of("broken"));
        for line in [
            format!("gen_ai_client_operation_duration_seconds_count{{{good}}} 2"),
            format!(r#"gen_ai_client_operation_duration_seconds_count{{error_type="UPSTREAM_STATUS_500",{broken}}} 1"#),
            format!("gen_ai_server_time_to_first_token_seconds_count{{{good}}} 1"),
            format!("gen_ai_server_time_per_output_token_seconds_count{{{good}}} 1"),
            format!(r#"gen_ai_client_token_usage_count{{{good},gen_ai_token_type="output"}} 2"#),
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{wire:?}: {line} is not in\n{page}");
        }
        assert!(!page.contains("=\"\""), "a label without a value\n{page}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn what_an_upstream_refuses_for_what_was_asked_is_no_failure_of_its() {
    let upstream = provider(Wire::Chat).await;
    let closed = ClosedPort::new();
    let setup = Setup::new([
        Wire::Chat.upstream("u", &upstream).models(MODELS),
        Wire::Chat.upstream_at("nowhere", closed.address).models(r#"["nowhere"]"#),
    ])
    .set("breaker.failures_to_open", "100")
    .set("pricing.unknown_model", "\"allow\"");
    let (gateway, key) = serving(&setup).await;
    assert!(
        gateway.metrics().await.contains("\ntollgate_requests_failed_total 0\n"),
        "so that the first is an increase"
    );
    let mut failed = 0.0;
    for (model, status, is_failure) in [
        ("m", 200, false),
        ("refused", 400, false),
        ("foreign", 400, false),
        ("missing", 400, true),
        ("broken", 500, true),
        ("nowhere", 503, true),
    ] {
        assert_eq!(gateway.send(&Wire::Chat.request_for(model, false).key(&key.key)).await.status, status);
        failed += f64::from(u8::from(is_failure));
        assert_eq!(gateway.metric("tollgate_requests_failed_total", &[]).await, failed, "{model}");
    }
    assert_eq!(gateway.metric("tollgate_requests_total", &["outcome=\"upstream_error\""]).await, 5.0);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_price_is_missing_where_something_was_answered_and_not_where_nothing_came() {
    let upstream = Provider::start(|_, request| Wire::Chat.answer(wants_stream(request))).await;
    let closed = ClosedPort::new();
    let setup = Setup::new([
        Wire::Chat.upstream("u", &upstream).models(r#"["unpriced"]"#),
        Wire::Chat.upstream_at("nowhere", closed.address).models(r#"["unpriced-nowhere"]"#),
    ])
    .set("pricing.unknown_model", "\"allow\"");
    let (gateway, key) = serving(&setup).await;
    for (model, status, is_missing) in [("unpriced", 200, true), ("unpriced-nowhere", 503, false)] {
        let answer = gateway.send(&Wire::Chat.request_for(model, false).key(&key.key)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(gateway.record_of(&answer).await["price_missing"], is_missing, "{model}");
        let label = format!("gen_ai_request_model=\"{model}\"");
        let counted = gateway.metric("tollgate_price_missing_total", &[&label]).await;
        assert_eq!(counted, f64::from(u8::from(is_missing)), "{model}");
    }
    gateway.finish(&[&key]).await;
}
