//! A request as a span (opentelemetry.io/docs/specs/semconv/gen-ai), in OTLP's JSON.

use crate::context::Context;
use std::fmt::Write;
use tollgate_plugin_api::Summary;

/// OTLP's numbers.
const KIND_SERVER: u64 = 2;
const STATUS_UNSET: u64 = 0;
const STATUS_ERROR: u64 = 2;
/// Room for most of them.
const SPAN_BYTES: usize = 2048;

/// A UUID's text as its number.
pub(crate) fn number(request_id: &str) -> Option<u128> {
    let digits: String = request_id.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16).ok()
}

/// The span, as text: one for each request, so nothing is built on the way to it.
pub(crate) fn span(context: &Context, summary: &Summary<'_>) -> String {
    let operation = operation(summary.endpoint.unwrap_or("unknown"));
    let start_ms = u64::try_from(summary.started_at_ms).unwrap_or(0);
    let end_ms = start_ms.saturating_add(summary.duration_ms);
    let failed = summary.status >= 400 || summary.status == 0 || summary.error_code.is_some();
    let mut out = Json(String::with_capacity(SPAN_BYTES));
    out.raw("{\"traceId\":\"").hex(context.trace_id, 32).raw("\",\"spanId\":\"").hex(context.span_id.into(), 16);
    if let Some(parent_id) = context.parent_id {
        out.raw("\",\"parentSpanId\":\"").hex(parent_id.into(), 16);
    }
    out.raw("\",\"name\":");
    match summary.model {
        Some(model) => out.texts(&[operation, " ", model]),
        None => out.texts(&[summary.method.as_str(), " ", operation]),
    };
    // Times in nanoseconds, as text.
    out.raw(",\"kind\":").number(KIND_SERVER).raw(",\"startTimeUnixNano\":\"").number(start_ms);
    out.raw("000000\",\"endTimeUnixNano\":\"").number(end_ms).raw("000000\",\"status\":{\"code\":");
    out.number(if failed { STATUS_ERROR } else { STATUS_UNSET }).raw("},\"attributes\":[");
    attributes(&mut out, operation, summary);
    out.raw("]}");
    out.0
}

/// JSON as it is written.
struct Json(String);

impl Json {
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{number}");
        self
    }

    fn hex(&mut self, number: u128, digits: usize) -> &mut Self {
        let _ = write!(self.0, "{number:0digits$x}");
        self
    }

    /// Texts one behind the other, as one string.
    fn texts(&mut self, texts: &[&str]) -> &mut Self {
        self.0.push('"');
        for text in texts {
            for c in text.chars() {
                match c {
                    '"' | '\\' => self.0.extend(['\\', c]),
                    c if c < ' ' => drop(write!(self.0, "\\u{:04x}", u32::from(c))),
                    c => self.0.push(c),
                }
            }
        }
        self.0.push('"');
        self
    }

    fn attribute(&mut self, key: &str, kind: &str) -> &mut Self {
        if !self.0.ends_with('[') {
            self.0.push(',');
        }
        self.raw("{\"key\":\"").raw(key).raw("\",\"value\":{\"").raw(kind).raw("\":")
    }

    fn text(&mut self, key: &str, text: &str) {
        self.attribute(key, "stringValue").texts(&[text]).raw("}}");
    }

    /// 64-bit numbers are text in OTLP's JSON.
    fn count(&mut self, key: &str, count: u64) {
        self.attribute(key, "intValue").raw("\"").number(count).raw("\"}}");
    }
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

fn attributes(out: &mut Json, operation: &str, summary: &Summary<'_>) {
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
    let some = |count: u64| Some(count).filter(|count| *count > 0);
    let counts = [
        ("http.response.status_code", Some(u64::from(summary.status))),
        ("gen_ai.usage.input_tokens", Some(usage.input_tokens)),
        ("gen_ai.usage.output_tokens", Some(usage.output_tokens)),
        ("gen_ai.usage.cache_read.input_tokens", some(usage.cached_input_tokens)),
        ("gen_ai.usage.cache_creation.input_tokens", some(usage.cache_write_tokens)),
        ("tollgate.reasoning_tokens", some(usage.reasoning_tokens)),
        ("tollgate.attempts", Some(u64::from(summary.attempts))),
        ("tollgate.cost_nanos", Some(u64::try_from(summary.cost_nanos).unwrap_or(0))),
        ("tollgate.ttft_ms", summary.ttft_ms),
    ];
    for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text?))) {
        out.text(key, text);
    }
    for (key, count) in counts.into_iter().filter_map(|(key, count)| Some((key, count?))) {
        out.count(key, count);
    }
    if let Some(key) = summary.key {
        out.text("tollgate.key", &key.key().name);
    }
    if let Some(client) = summary.client {
        out.text("client.address", &client.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};
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
            method: &Method::POST,
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
        };
        let id = number(summary.request_id).unwrap();
        let text = span(&Context::of(id, &headers, 1 << 32), &summary);
        let span: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
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
