//! Traces: a span for each request, to an OpenTelemetry collector, with the GenAI semantic conventions' names. Prompts and
//! answers are in it only on request. A caller's trace is continued, and the upstream gets our span as its parent.

mod addresses;
mod call;
mod context;
mod export;
mod protobuf;
mod span;

use async_trait::async_trait;
use context::{Context, TRACEPARENT, TRACESTATE};
use export::{Exporters, Target, Use};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tollgate_plugin_api::{Mistakes, Phases, Plugin, PluginRow, Ports, Settings, Summary};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "otlp", always: false, paths: &[], build };

/// Shares are of this.
const WHOLE: u64 = 1 << 32;

/// `[plugins.otlp]`
const KEYS: &[&str] = &[
    // The collector, as `OTEL_EXPORTER_OTLP_ENDPOINT` names it: `/v1/traces` is added.
    "endpoint",
    // Sent with every call: a credential, as a rule.
    "headers",
    "service_name",
    // Of the traces that begin here, this share is recorded: 0 to 1. A caller's own decision stands.
    "sample_ratio",
    "timeout_ms",
    // Spans say what was asked and answered.
    "capture_content",
];
const SERVICE_NAME_DEFAULT: &str = "tollgate";
const TIMEOUT_MS_DEFAULT: u64 = 10_000;
const TIMEOUT_MS_MAX: u64 = 24 * 3600 * 1000;

fn build(table: toml::Table, ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
    let mistakes = Mistakes::default();
    let settings = Settings::open(&table, KEYS, &mistakes);
    let url = url(&settings);
    let headers = headers(&settings);
    let service_name = settings.text("service_name", "a name").unwrap_or(SERVICE_NAME_DEFAULT).to_owned();
    let share = share(&settings);
    let timeout_ms = settings.number("timeout_ms", " of milliseconds", 0..=TIMEOUT_MS_MAX, TIMEOUT_MS_DEFAULT);
    let captures = settings.flag("capture_content", false);
    mistakes.into_result()?;
    let target = Target { url, headers, timeout: Duration::from_millis(timeout_ms.max(1)), service_name, captures };
    let exporter = Use::of(target, &ports.memory.get::<Exporters>(), ports.losses.clone())?;
    Ok(Arc::new(Otlp { exporter, share, captures }))
}

/// Where spans are sent to.
fn url(settings: &Settings<'_>) -> String {
    const EXPECTED: &str = "the collector's URL as http://127.0.0.1:4318";
    let endpoint = settings.needed_text("endpoint", EXPECTED);
    let uri = endpoint.parse::<http::Uri>().ok();
    let is_url = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if !endpoint.is_empty() && !is_url {
        // Not the address itself: it may have a secret in it.
        settings.wrong("endpoint", format!("is no URL, expected {EXPECTED}"));
    }
    let base = endpoint.trim_end_matches('/');
    if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") }
}

fn headers(settings: &Settings<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value) in settings.table("headers", "a table of header fields").into_iter().flatten() {
        let value = value.as_str().filter(|value| HeaderValue::try_from(*value).is_ok());
        match value.filter(|_| http::HeaderName::try_from(name).is_ok()) {
            Some(value) => headers.push((name.clone(), value.to_owned())),
            // Not the value: it may be a secret.
            None => settings.wrong_entry("headers", name, "cannot stand in a header, expected a field's name and text"),
        }
    }
    headers
}

/// Of [`WHOLE`].
fn share(settings: &Settings<'_>) -> u64 {
    let ratio = match settings.get("sample_ratio") {
        None => 1.0,
        Some(toml::Value::Float(ratio)) => *ratio,
        Some(toml::Value::Integer(0)) => 0.0,
        Some(toml::Value::Integer(1)) => 1.0,
        Some(_) => f64::NAN,
    };
    if !(0.0..=1.0).contains(&ratio) {
        settings.wrong("sample_ratio", "expected a number from 0 to 1");
    }
    (ratio * WHOLE as f64) as u64
}

struct Otlp {
    exporter: Use,
    share: u64,
    /// What is said, too.
    captures: bool,
}

#[async_trait]
impl Plugin for Otlp {
    fn name(&self) -> &'static str {
        PLUGIN.name
    }

    fn phases(&self) -> Phases {
        Phases { upstream_request: true, logging: true, content: self.captures, ..Phases::default() }
    }

    fn upstream_request_filter(&self, request_id: u128, request_headers: &HeaderMap, headers: &mut HeaderMap) {
        let context = Context::of(request_id, request_headers, self.share);
        if let Ok(value) = HeaderValue::from_bytes(&context.traceparent()) {
            headers.insert(TRACEPARENT, value);
        }
        if context.parent_id.is_none() {
            // It belongs to a trace that this one does not go on with.
            headers.remove(TRACESTATE);
        }
    }

    fn logging(&self, summary: &Summary<'_>) {
        // Load balancers ask for pages of ours every second.
        let is_page = summary.endpoint.is_none() && summary.error_code.is_none();
        if is_page {
            return;
        }
        let context = Context::of(summary.request_number, summary.headers, self.share);
        if context.sampled {
            self.exporter.send(|span| span::write(span, &context, summary));
        }
    }

    fn close(&self) {
        self.exporter.end();
    }
}
