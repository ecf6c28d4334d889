//! A request as a span (opentelemetry.io/docs/specs/semconv/gen-ai), in OTLP's JSON.

use crate::context::{Context, hex};
use tollgate_plugin_api::{JsonText, Summary};

/// OTLP's numbers.
const KIND_SERVER: u64 = 2;
const STATUS_UNSET: u64 = 0;
const STATUS_ERROR: u64 = 2;
/// Room for most of them.
const SPAN_BYTES: usize = 2048;

/// A UUID's text as its number.
pub(crate) fn number(request_id: &str) -> Option<u128> {
    let digits = request_id.chars().filter(|c| *c != '-');
    digits.into_iter().try_fold(0_u128, |number, c| Some(number.checked_mul(16)? + u128::from(c.to_digit(16)?)))
}

fn text(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}

/// How an attribute stands in a list, behind another one, up to its value.
macro_rules! attribute {
    ($key:literal, $kind:literal) => {
        concat!(",{\"key\":\"", $key, "\",\"value\":{\"", $kind, "\":")
    };
}

/// The span, as text that follows another.
pub(crate) fn span(context: &Context, summary: &Summary<'_>) -> JsonText {
    let operation = operation(summary.endpoint.unwrap_or("unknown"));
    let start_ms = u64::try_from(summary.started_at_ms).unwrap_or(0);
    let end_ms = start_ms.saturating_add(summary.duration_ms);
    let failed = summary.status >= 400 || summary.error_code.is_some();
    let mut out = JsonText::with_capacity(SPAN_BYTES);
    out.raw(",{\"traceId\":\"").raw(text(&hex::<32>(context.trace_id)));
    out.raw("\",\"spanId\":\"").raw(text(&hex::<16>(context.span_id.into())));
    if let Some(parent_id) = context.parent_id {
        out.raw("\",\"parentSpanId\":\"").raw(text(&hex::<16>(parent_id.into())));
    }
    out.raw("\",\"name\":\"");
    match summary.model {
        Some(model) => out.raw(operation).raw(" ").escaped(model),
        None => out.escaped(summary.method).raw(" ").raw(operation),
    };
    // Times in nanoseconds, as text.
    out.raw("\",\"kind\":").number(KIND_SERVER).raw(",\"startTimeUnixNano\":\"").number(start_ms);
    out.raw("000000\",\"endTimeUnixNano\":\"").number(end_ms).raw("000000\",\"status\":{\"code\":");
    out.number(if failed { STATUS_ERROR } else { STATUS_UNSET });
    out.raw("},\"attributes\":[{\"key\":\"gen_ai.operation.name\",\"value\":{\"stringValue\":").word(operation);
    out.raw("}}");
    attributes(&mut out, summary);
    out.raw("]}");
    out
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

fn attributes(out: &mut JsonText, summary: &Summary<'_>) {
    let usage = &summary.metered.usage;
    let texts = [
        (attribute!("gen_ai.provider.name", "stringValue"), summary.provider),
        (attribute!("gen_ai.request.model", "stringValue"), summary.model),
        (attribute!("gen_ai.response.model", "stringValue"), summary.upstream_model),
        (attribute!("http.request.method", "stringValue"), Some(summary.method)),
        (attribute!("url.path", "stringValue"), Some(summary.path)),
        (attribute!("tollgate.upstream", "stringValue"), summary.upstream),
    ];
    // The gateway's own.
    let words = [
        (attribute!("error.type", "stringValue"), summary.error_code),
        (attribute!("tollgate.request_id", "stringValue"), Some(summary.request_id)),
        (attribute!("tollgate.outcome", "stringValue"), summary.outcome),
    ];
    let some = |count: u64| Some(count).filter(|count| *count > 0);
    let counts = [
        (attribute!("http.response.status_code", "intValue"), Some(u64::from(summary.status))),
        (attribute!("gen_ai.usage.input_tokens", "intValue"), Some(usage.input_tokens)),
        (attribute!("gen_ai.usage.output_tokens", "intValue"), Some(usage.output_tokens)),
        (attribute!("gen_ai.usage.cache_read.input_tokens", "intValue"), some(usage.cached_input_tokens)),
        (attribute!("gen_ai.usage.cache_creation.input_tokens", "intValue"), some(usage.cache_write_tokens)),
        (attribute!("tollgate.reasoning_tokens", "intValue"), some(usage.reasoning_tokens)),
        (attribute!("tollgate.attempts", "intValue"), Some(u64::from(summary.attempts))),
        (attribute!("tollgate.cost_nanos", "intValue"), Some(u64::try_from(summary.cost_nanos).unwrap_or(0))),
        (attribute!("tollgate.ttft_ms", "intValue"), summary.ttft_ms),
    ];
    for (start, text) in texts.into_iter().filter_map(|(start, text)| Some((start, text?))) {
        out.raw(start).text(text).raw("}}");
    }
    for (start, word) in words.into_iter().filter_map(|(start, word)| Some((start, word?))) {
        out.raw(start).word(word).raw("}}");
    }
    for (start, count) in counts.into_iter().filter_map(|(start, count)| Some((start, count?))) {
        // 64-bit numbers are text in OTLP's JSON.
        out.raw(start).raw("\"").number(count).raw("\"}}");
    }
    if let Some(key) = summary.key {
        out.raw(attribute!("tollgate.key", "stringValue")).text(&key.key().name).raw("}}");
    }
    if let Some(content) = summary.content {
        out.raw(attribute!("gen_ai.input.messages", "stringValue")).text(content.input).raw("}}");
        if let Some(output) = content.output {
            out.raw(attribute!("gen_ai.output.messages", "stringValue")).text(output).raw("}}");
        }
    }
    if let Some(client) = summary.client {
        out.raw(attribute!("client.address", "stringValue")).address(client).raw("}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use tollgate_plugin_api::Metered;

    #[test]
    fn whatever_a_client_says_it_is_json() {
        let (headers, metered) = (HeaderMap::new(), Metered::default());
        let model = "m\"\\\n\u{1}\u{2028}é";
        let summary = Summary {
            request_id: "01920000-0000-7000-8000-000000000001",
            key: None,
            status: 404,
            metered: &metered,
            cost_nanos: -1,
            started_at_ms: 1_700_000_000_123,
            duration_ms: 7,
            ttft_ms: None,
            client: None,
            method: "POST",
            headers: &headers,
            path: "/v1/\"x",
            dialect: "openai",
            endpoint: Some("responses"),
            model: Some(model),
            stream: None,
            provider: None,
            upstream: None,
            upstream_model: None,
            attempts: 0,
            outcome: None,
            error_code: Some("MODEL_NOT_FOUND"),
            rejected_by: None,
            content: None,
        };
        let id = number(summary.request_id).unwrap();
        let text = span(&Context::of(id, &headers, 1 << 32), &summary);
        let text = text.as_str().strip_prefix(',').unwrap();
        let span: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(span["name"], format!("chat {model}"));
        assert_eq!(span["traceId"], "01920000000070008000000000000001");
        assert_eq!(span["startTimeUnixNano"], "1700000000123000000");
        assert_eq!(span["endTimeUnixNano"], "1700000000130000000");
        assert_eq!(span["status"]["code"], 2);
        let all = span["attributes"].as_array().unwrap();
        assert!(all.iter().any(|one| one["key"] == "url.path" && one["value"]["stringValue"] == "/v1/\"x"));
        assert!(all.iter().any(|one| one["key"] == "tollgate.cost_nanos" && one["value"]["intValue"] == "0"));
    }
}
