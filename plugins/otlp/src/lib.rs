//! Traces: a span for each request, to an OpenTelemetry collector, with the GenAI semantic conventions' names and, unless that is
//! asked for, without a word of prompt or answer. A caller's trace goes on, and the upstream is told of ours.

mod context;
mod export;
mod protobuf;
mod span;

use async_trait::async_trait;
use context::{Context, TRACEPARENT, TRACESTATE};
use export::{Exporter, Target};
use http::{HeaderMap, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tollgate_plugin_api::{Phases, Plugin, PluginRow, Ports, Summary};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "otlp", always: false, build };

/// Shares are of this.
const WHOLE: u64 = 1 << 32;

/// `[plugins.otlp]`
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The collector, as `OTEL_EXPORTER_OTLP_ENDPOINT` names it: `/v1/traces` is added.
    endpoint: String,
    /// Sent with every call: a credential, as a rule.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "service_name_default")]
    service_name: String,
    /// Of the traces that begin here, this share is recorded: 0 to 1. A caller's own decision stands.
    #[serde(default = "sample_ratio_default")]
    sample_ratio: f64,
    #[serde(default = "timeout_ms_default")]
    timeout_ms: u64,
    /// Spans say what was asked and answered.
    #[serde(default)]
    capture_content: bool,
}

fn service_name_default() -> String {
    "tollgate".to_owned()
}

fn sample_ratio_default() -> f64 {
    1.0
}

fn timeout_ms_default() -> u64 {
    10_000
}

fn build(table: toml::Table, ports: &Ports) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let uri: http::Uri = settings.endpoint.parse().map_err(|_| wrong_endpoint(&settings.endpoint))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(wrong_endpoint(&settings.endpoint));
    }
    if !(0.0..=1.0).contains(&settings.sample_ratio) {
        return Err(format!("sample_ratio: {}, expected 0 to 1", settings.sample_ratio));
    }
    for (name, value) in &settings.headers {
        let fits = http::HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
        // Not the value: it may be a secret.
        fits.then_some(()).ok_or_else(|| format!("headers.{name}: cannot stand in a header"))?;
    }
    let base = settings.endpoint.trim_end_matches('/');
    let url = if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") };
    let target = Target {
        url,
        headers: settings.headers.into_iter().collect(),
        timeout: Duration::from_millis(settings.timeout_ms.max(1)),
        service_name: settings.service_name,
    };
    let captures = settings.capture_content;
    let exporter = Exporter::start(target, captures, ports.losses.clone())?;
    Ok(Arc::new(Otlp { exporter, share: (settings.sample_ratio * WHOLE as f64) as u64, captures }))
}

fn wrong_endpoint(endpoint: &str) -> String {
    format!("endpoint: `{endpoint}`, expected the collector's URL as http://127.0.0.1:4318")
}

struct Otlp {
    exporter: Exporter,
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
            self.exporter.send(&span::span(&context, summary));
        }
    }

    fn close(&self) {
        self.exporter.flush();
    }
}
