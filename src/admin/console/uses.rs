//! When sessions were last used, on its way to the store. Who uses one never waits for that: what can be read is answered while nothing
//! can be written. A use that gets lost ends a session sooner, never later.

use crate::clock::{steady_ms, unix_ms};
use crate::store::{SecretDigest, Store};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Sessions that wait to be noted.
const WAITING_MAX: usize = 10_000;
/// After a write that failed, the next one comes so many milliseconds later at the soonest.
const PAUSE_MS: i64 = 5_000;

#[derive(Default)]
struct Waiting {
    used_at_ms: HashMap<SecretDigest, i64>,
    /// Somebody writes; one is enough, however long the store takes.
    is_written: bool,
    not_before_ms: i64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Uses(Mutex<Waiting>);

impl Uses {
    /// Notes that a session is used now. True: nobody writes, so the caller sees to it that [`Uses::write`] is called.
    #[must_use]
    pub(super) fn add(&self, digest: SecretDigest) -> bool {
        let mut waiting = self.0.lock();
        if waiting.used_at_ms.len() < WAITING_MAX || waiting.used_at_ms.contains_key(&digest) {
            waiting.used_at_ms.insert(digest, unix_ms());
        }
        let is_writer = !waiting.is_written && steady_ms() >= waiting.not_before_ms;
        waiting.is_written |= is_writer;
        is_writer
    }

    /// Writes what waits, until nothing does.
    pub(super) fn write(&self, store: &dyn Store, idle_ms_max: i64) {
        loop {
            let used: Vec<(SecretDigest, i64)> = {
                let mut waiting = self.0.lock();
                waiting.is_written = !waiting.used_at_ms.is_empty();
                waiting.used_at_ms.drain().collect()
            };
            if used.is_empty() {
                return;
            }
            if let Err(error) = store.people().sessions_used(&used, unix_ms(), idle_ms_max) {
                tracing::warn!("console: the times when sessions were used will be noted later: {error}");
                let mut waiting = self.0.lock();
                (waiting.is_written, waiting.not_before_ms) = (false, steady_ms() + PAUSE_MS);
                for (digest, used_at_ms) in used {
                    waiting.used_at_ms.entry(digest).or_insert(used_at_ms);
                }
                return;
            }
        }
    }
}
