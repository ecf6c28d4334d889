//! Sends spans away, on a thread of its own: OTLP over HTTP as JSON (opentelemetry.io/docs/specs/otlp). Nobody waits for it:
//! what does not fit its queue, or cannot be delivered, is dropped and said.

use crate::PLUGIN;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tollgate_plugin_api::{Batch, Losses, Outbox, OutboxLimits};

/// Spans that wait to be sent.
const QUEUE_MAX: u64 = 8_192;
/// The same where they have prompts and answers: up to some 300 KiB each, if all has to be escaped.
const CONTENT_QUEUE_MAX: u64 = 256;
/// Spans of one call …
const BATCH_MAX: u64 = 512;
/// … and their bytes: collectors refuse what is large.
const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A span waits so long for others.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// The end of the process waits this long for what is queued.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(2);
/// Pauses before a call is made again; then the spans are given up.
const RETRIES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// Where spans go.
pub(crate) struct Target {
    /// With `/v1/traces`.
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout: Duration,
    pub(crate) service_name: String,
}

/// The near end. Dropped, what is in the outbox is still sent.
pub(crate) struct Exporter(Arc<Outbox>);

impl Exporter {
    /// `captures`: spans have prompts and answers.
    pub(crate) fn start(target: Target, captures: bool, losses: Arc<dyn Losses>) -> Result<Self, String> {
        let limits = OutboxLimits {
            texts_max: if captures { CONTENT_QUEUE_MAX } else { QUEUE_MAX },
            batch_texts_max: BATCH_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
            gather: FLUSH_EVERY,
        };
        let outbox = Arc::new(Outbox::new(PLUGIN.name, limits, losses));
        let thread = Thread { target, outbox: outbox.clone() };
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| format!("its thread does not start: {error}"))?;
        Ok(Self(outbox))
    }

    /// Queues a span, which begins with a comma.
    pub(crate) fn send(&self, span: &str) {
        self.0.put(span);
    }

    /// Waits until what is queued is sent, for as long as is reasonable.
    pub(crate) fn flush(&self) {
        self.0.flush(FLUSH_WAIT_MAX);
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Thread {
    target: Target,
    outbox: Arc<Outbox>,
}

impl Thread {
    fn run(self) {
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(self.target.timeout)).build().into();
        let mut batch = Batch::default();
        while self.outbox.take(&mut batch) {
            if let Some(spans) = batch.text.strip_prefix(',') {
                self.deliver(&agent, spans, batch.count);
            }
            if batch.dropped > 0 {
                tracing::warn!(dropped = batch.dropped, "spans were dropped: the collector is too slow");
            }
        }
    }

    fn deliver(&self, agent: &ureq::Agent, spans: &str, count: u64) {
        let service_name = serde_json::Value::from(&*self.target.service_name);
        let head = format!(
            "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":\
             {{\"stringValue\":{service_name}}}}}]}},\"scopeSpans\":[{{\"scope\":{{\"name\":\"tollgate\",\"version\":\"{}\"}},\
             \"spans\":[",
            env!("CARGO_PKG_VERSION"),
        );
        let body = [&head, spans, "]}]}]}"];
        let mut error = match self.call(agent, body) {
            Ok(()) => return,
            Err(error) => error,
        };
        for pause in RETRIES {
            std::thread::sleep(pause);
            match self.call(agent, body) {
                Ok(()) => return,
                Err(again) => error = again,
            }
        }
        self.outbox.undelivered(count);
        tracing::warn!(spans = count, "spans were not delivered: {error}");
    }

    /// The body is sent as it lies, in its parts.
    fn call(&self, agent: &ureq::Agent, body: [&str; 3]) -> Result<(), ureq::Error> {
        let length: usize = body.iter().map(|part| part.len()).sum();
        let mut request = agent.post(&self.target.url).header("content-type", "application/json");
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        let [head, spans, tail] = body.map(str::as_bytes);
        let mut reader = head.chain(spans).chain(tail);
        request.header("content-length", length).send(ureq::SendBody::from_reader(&mut reader)).map(drop)
    }
}
