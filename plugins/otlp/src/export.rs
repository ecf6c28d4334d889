//! Sends spans away, on a thread of its own. Nobody waits for it: what does not fit its queue, or cannot be delivered, is
//! dropped, counted and said.

use crate::PLUGIN;
use crate::call::{Caller, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tollgate_plugin_api::{Batch, Losses, OneEach, Outbox, OutboxLimits};

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
/// Pauses before a call is made again, or longer ones if the collector names them; then the spans are given up.
const RETRIES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];
/// For no longer than this, whatever it names: spans that come meanwhile have to wait, too.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where spans go.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// With `/v1/traces`.
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout: Duration,
    pub(crate) service_name: String,
    /// Spans have prompts and answers.
    pub(crate) captures: bool,
}

/// The exporters there are: what waits for a collector to come back waits on through reloads.
pub(crate) type Exporters = OneEach<Target, Exporter>;

/// An exporter, as one plugin has it.
pub(crate) struct Use {
    exporter: Arc<Exporter>,
    has_ended: AtomicBool,
}

impl Use {
    /// One more use of a target's exporter.
    ///
    /// # Errors
    /// Its thread does not start.
    pub(crate) fn of(target: Target, exporters: &Exporters, losses: Arc<dyn Losses>) -> Result<Self, String> {
        let exporter = exporters.of(target, |target| Exporter::start(target.clone(), losses))?;
        exporter.users.fetch_add(1, Ordering::AcqRel);
        Ok(Self { exporter, has_ended: AtomicBool::new(false) })
    }

    /// Queues a span, which `span` appends as a member of its scope's list.
    pub(crate) fn send(&self, span: impl FnOnce(&mut Vec<u8>)) {
        self.exporter.outbox.put(span);
    }

    /// Nothing is sent by this one any more. If nobody else goes on, waits until what is queued is sent, for as long as is reasonable.
    pub(crate) fn end(&self) {
        if self.is_last_to_end() {
            self.exporter.outbox.flush(FLUSH_WAIT_MAX);
        }
    }

    /// Said once.
    fn is_last_to_end(&self) -> bool {
        !self.has_ended.swap(true, Ordering::AcqRel) && self.exporter.users.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.is_last_to_end();
    }
}

/// The near end. Dropped, what is in the outbox is still sent.
pub(crate) struct Exporter {
    outbox: Arc<Outbox>,
    users: AtomicUsize,
}

impl Exporter {
    fn start(target: Target, losses: Arc<dyn Losses>) -> Result<Self, String> {
        let limits = OutboxLimits {
            entries_max: if target.captures { CONTENT_QUEUE_MAX } else { QUEUE_MAX },
            batch_entries_max: BATCH_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
            gather: FLUSH_EVERY,
        };
        let outbox = Arc::new(Outbox::new(PLUGIN.name, limits, losses));
        let thread = Thread { caller: Caller::new(target), outbox: outbox.clone() };
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| format!("its thread does not start: {error}"))?;
        Ok(Self { outbox, users: AtomicUsize::default() })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

struct Thread {
    caller: Caller,
    outbox: Arc<Outbox>,
}

impl Thread {
    fn run(self) {
        let mut batch = Batch::default();
        while self.outbox.take(&mut batch) {
            if batch.count > 0 {
                self.deliver(&batch);
            }
            if batch.dropped > 0 {
                tracing::warn!(dropped = batch.dropped, "spans were dropped: the collector is too slow");
            }
        }
    }

    fn deliver(&self, spans: &Batch) {
        let count = spans.count;
        let mut pauses = RETRIES.iter();
        let (lost, why) = loop {
            match self.caller.call(spans) {
                Outcome::Taken => return,
                Outcome::Partly { rejected, why } => break (rejected.min(count), why),
                Outcome::Refused(why) => break (count, why),
                Outcome::Again { why, after } => match pauses.next() {
                    // Who flushes or closes wants to know now: what is left of the tries is made at once.
                    Some(pause) => self.outbox.pause(after.unwrap_or_default().clamp(*pause, PAUSE_MAX)),
                    None => break (count, why),
                },
            }
        };
        if lost == 0 {
            return tracing::warn!("spans were delivered, but {why}");
        }
        self.outbox.undelivered(lost);
        tracing::warn!(spans = lost, "spans were not delivered: {why}");
    }
}
