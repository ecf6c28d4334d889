//! A request as a span (opentelemetry.io/docs/specs/semconv/gen-ai), in OTLP's JSON.

use crate::context::Context;
use serde_json::{Value, json};
use tollgate_plugin_api::Summary;

/// OTLP's numbers.
const KIND_SERVER: u8 = 2;
const STATUS_UNSET: u8 = 0;
const STATUS_ERROR: u8 = 2;

/// A UUID's text as its number.
pub(crate) fn number(request_id: &str) -> Option<u128> {
    let digits: String = request_id.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16).ok()
}

/// The span.
pub(crate) fn span(context: &Context, summary: &Summary<'_>) -> Value {
    let operation = operation(summary.endpoint.unwrap_or("unknown"));
    let name = match summary.model {
        Some(model) => format!("{operation} {model}"),
        None => format!("{} {}", summary.method, operation),
    };
    let start_ms = u64::try_from(summary.started_at_ms).unwrap_or(0);
    let nanos = |ms: u64| (u128::from(ms) * 1_000_000).to_string();
    let failed = summary.status >= 400 || summary.status == 0 || summary.error_code.is_some();
    let mut span = json!({
        "traceId": format!("{:032x}", context.trace_id),
        "spanId": format!("{:016x}", context.span_id),
        "name": name,
        "kind": KIND_SERVER,
        "startTimeUnixNano": nanos(start_ms),
        "endTimeUnixNano": nanos(start_ms.saturating_add(summary.duration_ms)),
        "attributes": attributes(operation, summary),
        "status": {"code": if failed { STATUS_ERROR } else { STATUS_UNSET }},
    });
    if let Some(parent_id) = context.parent_id {
        span["parentSpanId"] = format!("{parent_id:016x}").into();
    }
    span
}

/// The conventions' word for an operation; ours where they have none.
fn operation(endpoint: &str) -> &str {
    match endpoint {
        "chat" | "responses" | "messages" => "chat",
        "completions" => "text_completion",
        "embeddings" | "embed_content" | "batch_embed_contents" => "embeddings",
        "generate_content" | "stream_generate_content" => "generate_content",
        other => other,
    }
}

fn attributes(operation: &str, summary: &Summary<'_>) -> Vec<Value> {
    let usage = &summary.metered.usage;
    let texts = [
        ("gen_ai.operation.name", Some(operation)),
        ("gen_ai.provider.name", summary.provider),
        ("gen_ai.request.model", summary.model),
        ("gen_ai.response.model", summary.upstream_model),
        ("http.request.method", Some(summary.method.as_str())),
        ("url.path", Some(summary.path)),
        ("error.type", summary.error_code),
        ("tollgate.request_id", Some(summary.request_id)),
        ("tollgate.upstream", summary.upstream),
        ("tollgate.outcome", summary.outcome),
    ];
    let ttft_ms = summary.ttft_ms.map(|ms| ms.min(i64::MAX as u64));
    let counts = [
        ("http.response.status_code", Some(u64::from(summary.status))),
        ("gen_ai.usage.input_tokens", Some(usage.input_tokens)),
        ("gen_ai.usage.output_tokens", Some(usage.output_tokens)),
        ("gen_ai.usage.cache_read.input_tokens", (usage.cached_input_tokens > 0).then_some(usage.cached_input_tokens)),
        (
            "gen_ai.usage.cache_creation.input_tokens",
            (usage.cache_write_tokens > 0).then_some(usage.cache_write_tokens),
        ),
        ("tollgate.reasoning_tokens", (usage.reasoning_tokens > 0).then_some(usage.reasoning_tokens)),
        ("tollgate.attempts", Some(u64::from(summary.attempts))),
        ("tollgate.cost_nanos", Some(u64::try_from(summary.cost_nanos).unwrap_or(0))),
        ("tollgate.ttft_ms", ttft_ms),
    ];
    let text = |(key, value): (&str, Option<&str>)| Some(json!({"key": key, "value": {"stringValue": value?}}));
    // 64-bit numbers are text in OTLP's JSON.
    let count =
        |(key, value): (&str, Option<u64>)| Some(json!({"key": key, "value": {"intValue": value?.to_string()}}));
    let mut all: Vec<Value> = texts.into_iter().filter_map(text).chain(counts.into_iter().filter_map(count)).collect();
    if let Some(key) = summary.key {
        all.push(json!({"key": "tollgate.key", "value": {"stringValue": *key.key().name}}));
    }
    if let Some(client) = summary.client {
        all.push(json!({"key": "client.address", "value": {"stringValue": client.to_string()}}));
    }
    all
}
