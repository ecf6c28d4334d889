//! Sends spans away, on a thread of its own: OTLP over HTTP as protobuf (opentelemetry.io/docs/specs/otlp). Nobody waits for it:
//! what does not fit its queue, or cannot be delivered, is dropped and said.

use crate::PLUGIN;
use crate::protobuf::{Message, key};
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
/// Buffers of a call, made and emptied for each: the answer is short, and a call goes out in pieces of this size.
const ANSWER_BUFFER_BYTES: usize = 8 * 1024;
const CALL_BUFFER_BYTES: usize = 64 * 1024;
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
            entries_max: if captures { CONTENT_QUEUE_MAX } else { QUEUE_MAX },
            batch_entries_max: BATCH_MAX,
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

    /// Queues a span, as a member of its scope's list.
    pub(crate) fn send(&self, span: &[u8]) {
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
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(self.target.timeout))
            .input_buffer_size(ANSWER_BUFFER_BYTES)
            .output_buffer_size(CALL_BUFFER_BYTES);
        let agent: ureq::Agent = config.build().into();
        let mut batch = Batch::default();
        while self.outbox.take(&mut batch) {
            if batch.count > 0 {
                self.deliver(&agent, &batch.bytes, batch.count);
            }
            if batch.dropped > 0 {
                tracing::warn!(dropped = batch.dropped, "spans were dropped: the collector is too slow");
            }
        }
    }

    fn deliver(&self, agent: &ureq::Agent, spans: &[u8], count: u64) {
        let head = head(&self.target.service_name, spans.len());
        let body = [&head, spans];
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
    fn call(&self, agent: &ureq::Agent, body: [&[u8]; 2]) -> Result<(), ureq::Error> {
        let length: usize = body.iter().map(|part| part.len()).sum();
        let mut request = agent.post(&self.target.url).header("content-type", "application/x-protobuf");
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        let [head, spans] = body;
        let mut reader = head.chain(spans);
        request.header("content-length", length).send(ureq::SendBody::from_reader(&mut reader)).map(drop)
    }
}

/// Fields of `ExportTraceServiceRequest`, `ResourceSpans`, `Resource`, `ScopeSpans` and `InstrumentationScope`.
mod field {
    pub(super) const RESOURCE_SPANS: u8 = 1;
    pub(super) const RESOURCE: u8 = 1;
    pub(super) const RESOURCE_ATTRIBUTES: u8 = 1;
    pub(super) const SCOPE_SPANS: u8 = 2;
    pub(super) const SCOPE: u8 = 1;
    pub(super) const SCOPE_NAME: u8 = 1;
    pub(super) const SCOPE_VERSION: u8 = 2;
}

/// What stands before the spans, which are the last members of all that they stand in.
fn head(service_name: &str, spans_bytes: usize) -> Vec<u8> {
    let mut scope = Message::with_capacity(64);
    scope.message(field::SCOPE, |scope| {
        scope.bytes(field::SCOPE_NAME, b"tollgate");
        scope.bytes(field::SCOPE_VERSION, env!("CARGO_PKG_VERSION").as_bytes());
    });
    let scope = scope.into_bytes();
    let mut resource = Message::with_capacity(128);
    resource.message(field::RESOURCE, |resource| {
        resource.text_attribute(field::RESOURCE_ATTRIBUTES, key!("service.name"), service_name);
    });
    resource.begin(field::SCOPE_SPANS, scope.len() + spans_bytes);
    let resource = resource.into_bytes();
    let mut request = Message::with_capacity(256);
    request.begin(field::RESOURCE_SPANS, resource.len() + scope.len() + spans_bytes);
    let mut head = request.into_bytes();
    head.extend_from_slice(&resource);
    head.extend_from_slice(&scope);
    head
}
