//! A request as a span (opentelemetry.io/docs/specs/semconv/gen-ai), in OTLP's protobuf (opentelemetry-proto's trace.proto).

use crate::context::Context;
use crate::protobuf::{Message, key};
use tollgate_plugin_api::Summary;

/// OTLP's numbers.
const KIND_SERVER: u64 = 2;
const STATUS_ERROR: u64 = 2;
const NANOS_A_MS: u64 = 1_000_000;
/// Where spans stand in `ScopeSpans`.
pub(crate) const SPANS: u8 = 2;

/// Fields of `Span` and `Status`.
mod field {
    pub(super) const TRACE_ID: u8 = 1;
    pub(super) const SPAN_ID: u8 = 2;
    pub(super) const PARENT_SPAN_ID: u8 = 4;
    pub(super) const NAME: u8 = 5;
    pub(super) const KIND: u8 = 6;
    pub(super) const START: u8 = 7;
    pub(super) const END: u8 = 8;
    pub(super) const ATTRIBUTES: u8 = 9;
    pub(super) const STATUS: u8 = 15;
    pub(super) const STATUS_CODE: u8 = 3;
}

/// Appends the span, as a member of its scope's list.
pub(crate) fn write(span: &mut Vec<u8>, context: &Context, summary: &Summary<'_>) {
    Message::behind(span).message(SPANS, |out| fields(out, context, summary));
}

fn fields(out: &mut Message<'_>, context: &Context, summary: &Summary<'_>) {
    let operation = summary.conventional_operation.unwrap_or("unknown");
    let start_ms = u64::try_from(summary.started_at_ms).unwrap_or(0);
    let end_ms = start_ms.saturating_add(summary.duration_ms);
    let failed = summary.status >= 400 || summary.error_code.is_some();
    out.bytes(field::TRACE_ID, &context.trace_id.to_be_bytes());
    out.bytes(field::SPAN_ID, &context.span_id.to_be_bytes());
    if let Some(parent_id) = context.parent_id {
        out.bytes(field::PARENT_SPAN_ID, &parent_id.to_be_bytes());
    }
    let (first, second) = match summary.model {
        Some(model) => (operation, model),
        None => (summary.method, operation),
    };
    out.text_of(field::NAME, [first, " ", second]);
    out.varint(field::KIND, KIND_SERVER);
    out.fixed(field::START, start_ms.saturating_mul(NANOS_A_MS));
    out.fixed(field::END, end_ms.saturating_mul(NANOS_A_MS));
    out.text_attribute(field::ATTRIBUTES, key!("gen_ai.operation.name"), operation);
    attributes(out, summary);
    if failed {
        out.message(field::STATUS, |status| status.varint(field::STATUS_CODE, STATUS_ERROR));
    }
}

fn attributes(out: &mut Message<'_>, summary: &Summary<'_>) {
    /// One by one, and not from a table: a name that is known when this is compiled is written in two or three steps.
    macro_rules! put {
        ($write:ident, $name:literal, $value:expr) => {
            if let Some(value) = $value {
                out.$write(field::ATTRIBUTES, key!($name), value);
            }
        };
    }
    let usage = &summary.metered.usage;
    let some = |count: u64| Some(count).filter(|count| *count > 0);
    put!(text_attribute, "gen_ai.provider.name", summary.conventional_provider);
    put!(text_attribute, "gen_ai.request.model", summary.model);
    put!(text_attribute, "http.request.method", Some(summary.method));
    put!(text_attribute, "url.path", Some(summary.path));
    put!(text_attribute, "error.type", summary.error_code);
    put!(text_attribute, "tollgate.upstream", summary.upstream);
    // What was asked for there; `gen_ai.response.model` is what an answer says of itself.
    put!(text_attribute, "tollgate.upstream_model", summary.upstream_model);
    put!(text_attribute, "tollgate.request_id", Some(summary.request_id));
    put!(text_attribute, "tollgate.outcome", summary.outcome);
    put!(text_attribute, "tollgate.key", summary.key.map(|key| &*key.name));
    put!(number_attribute, "http.response.status_code", Some(u64::from(summary.status)));
    put!(number_attribute, "gen_ai.usage.input_tokens", Some(usage.input_tokens));
    put!(number_attribute, "gen_ai.usage.output_tokens", Some(usage.output_tokens));
    put!(number_attribute, "gen_ai.usage.cache_read.input_tokens", some(usage.cached_input_tokens));
    put!(number_attribute, "gen_ai.usage.cache_creation.input_tokens", some(usage.cache_write_tokens));
    put!(number_attribute, "tollgate.reasoning_tokens", some(usage.reasoning_tokens));
    put!(number_attribute, "tollgate.attempts", Some(u64::from(summary.attempts)));
    put!(number_attribute, "tollgate.cost_nanos", Some(u64::try_from(summary.cost_nanos).unwrap_or(0)));
    put!(number_attribute, "tollgate.ttft_ms", summary.ttft_ms);
    if let Some(content) = summary.content {
        out.text_attribute(field::ATTRIBUTES, key!("gen_ai.input.messages"), content.input);
        if let Some(output) = content.output {
            out.text_attribute(field::ATTRIBUTES, key!("gen_ai.output.messages"), output);
        }
    }
    put!(text_attribute, "client.address", summary.client);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
    use prost::Message as _;
    use tollgate_plugin_api::Metered;

    #[test]
    fn whatever_a_client_says_it_is_in_its_span() {
        let (headers, metered) = (HeaderMap::new(), Metered::default());
        let model = "m\"\\\n\u{1}\u{2028}é";
        let id = 0x0192_0000_0000_7000_8000_0000_0000_0001;
        let summary = Summary {
            request_id: "01920000-0000-7000-8000-000000000001",
            request_number: id,
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
            conventional_operation: Some("chat"),
            model: Some(model),
            stream: None,
            provider: None,
            conventional_provider: None,
            upstream: None,
            upstream_model: None,
            attempts: 0,
            outcome: None,
            error_code: Some("MODEL_NOT_FOUND"),
            rejected_by: None,
            content: None,
        };
        let mut span = Vec::new();
        write(&mut span, &Context::of(id, &headers, 1 << 32), &summary);
        let scope = ScopeSpans::decode(&*span).unwrap();
        let [span] = &*scope.spans else { panic!("{scope:?}") };
        assert_eq!(span.name, format!("chat {model}"));
        assert_eq!(span.trace_id, u128::to_be_bytes(id));
        assert_eq!(span.start_time_unix_nano, 1_700_000_000_123_000_000);
        assert_eq!(span.end_time_unix_nano, 1_700_000_000_130_000_000);
        assert_eq!(span.status.as_ref().unwrap().code, 2);
        let attribute = |key: &str| {
            let found = span.attributes.iter().find(|one| one.key == key);
            found.and_then(|one| one.value.clone()?.value).unwrap_or_else(|| panic!("{key} in {span:?}"))
        };
        assert_eq!(attribute("gen_ai.request.model"), Value::StringValue(model.to_owned()));
        assert_eq!(attribute("url.path"), Value::StringValue("/v1/\"x".to_owned()));
        assert_eq!(attribute("tollgate.cost_nanos"), Value::IntValue(0));
        assert_eq!(attribute("http.response.status_code"), Value::IntValue(404));
    }
}
