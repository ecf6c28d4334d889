//! Sends spans away, on a thread of its own: OTLP over HTTP as JSON (opentelemetry.io/docs/specs/otlp). Nobody waits for it:
//! what does not fit its queue, or cannot be delivered, is dropped and said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Spans that wait to be sent.
const QUEUE_MAX: usize = 8_192;
/// Spans of one call.
const BATCH_MAX: usize = 512;
/// A span waits so long for others.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
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

/// The near end of the queue. Dropped, what is in it is still sent.
pub(crate) struct Exporter {
    spans: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    pub(crate) fn start(target: Target) -> Result<Self, String> {
        let (spans, queue) = sync_channel(QUEUE_MAX);
        let dropped = Arc::<AtomicU64>::default();
        let thread = Thread { target, queue, dropped: Arc::clone(&dropped) };
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| format!("its thread does not start: {error}"))?;
        Ok(Self { spans, dropped })
    }

    /// Queues a span.
    pub(crate) fn send(&self, span: String) {
        if let Err(TrySendError::Full(_)) = self.spans.try_send(span) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Thread {
    target: Target,
    queue: Receiver<String>,
    dropped: Arc<AtomicU64>,
}

impl Thread {
    fn run(self) {
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(self.target.timeout)).build().into();
        loop {
            let (batch, over) = self.batch();
            if !batch.is_empty() {
                self.deliver(&agent, batch);
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(dropped, "spans were dropped: the collector is too slow");
            }
            if over {
                return;
            }
        }
    }

    /// What comes within a moment; true: it was the last.
    fn batch(&self) -> (Vec<String>, bool) {
        let Ok(first) = self.queue.recv() else { return (Vec::new(), true) };
        let (mut batch, until) = (vec![first], Instant::now() + FLUSH_EVERY);
        while batch.len() < BATCH_MAX {
            match self.queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(span) => batch.push(span),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return (batch, true),
            }
        }
        (batch, false)
    }

    fn deliver(&self, agent: &ureq::Agent, batch: Vec<String>) {
        let count = batch.len();
        let service_name = serde_json::Value::from(&*self.target.service_name);
        let body = format!(
            "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":\
             {{\"stringValue\":{service_name}}}}}]}},\"scopeSpans\":[{{\"scope\":{{\"name\":\"tollgate\",\"version\":\"{}\"}},\
             \"spans\":[{}]}}]}}]}}",
            env!("CARGO_PKG_VERSION"),
            batch.join(","),
        );
        let mut error = match self.call(agent, &body) {
            Ok(()) => return,
            Err(error) => error,
        };
        for pause in RETRIES {
            std::thread::sleep(pause);
            match self.call(agent, &body) {
                Ok(()) => return,
                Err(again) => error = again,
            }
        }
        tracing::warn!(spans = count, "spans were not delivered: {error}");
    }

    fn call(&self, agent: &ureq::Agent, body: &str) -> Result<(), ureq::Error> {
        let mut request = agent.post(&self.target.url).header("content-type", "application/json");
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        request.send(body).map(drop)
    }
}
