//! The journal's own thread: syncs, tries again, and writes what nobody waits for.

use super::JournalWriter;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// First and longest pause between attempts to write.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How often the thread looks for records that nobody waits for, while there are any …
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// … and how long there must be none before it sleeps until it is rung for.
const DOZE_AFTER: Duration = Duration::from_millis(200);

/// Wakes the writer's thread.
#[derive(Default)]
pub(super) struct Bell {
    thread: OnceLock<Thread>,
    /// The thread sleeps until it is rung for.
    pub(super) dozing: AtomicBool,
}

impl Bell {
    pub(super) fn ring(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// The writer's own thread.
pub(in crate::ledger) struct WriterThread {
    pub(super) writer: Arc<Mutex<JournalWriter>>,
    pub(super) bell: Arc<Bell>,
}

impl WriterThread {
    /// Writes until it is told to stop and nothing is left, or everything is abandoned.
    pub(in crate::ledger) fn run(self) {
        // A thread of its own runs this once.
        let _ = self.bell.thread.set(std::thread::current());
        let mut retry = RETRY.0;
        let mut quiet_since = Instant::now();
        while let Some((taken, gathered)) = self.turn() {
            if !taken {
                std::thread::park_timeout(retry);
                retry = (retry * 2).min(RETRY.1);
                continue;
            }
            retry = RETRY.0;
            if gathered > 0 {
                quiet_since = Instant::now();
            }
            if quiet_since.elapsed() < DOZE_AFTER {
                std::thread::park_timeout(LOOK_EVERY);
            } else {
                self.doze();
                quiet_since = Instant::now();
            }
        }
    }

    /// One look at the queue: whether the disk took it all, and how much it was. `None`: the end.
    fn turn(&self) -> Option<(bool, usize)> {
        let mut writer = self.writer.lock();
        let outcome = writer.write_queued();
        let nothing_left = writer.stopping && writer.pending.records.is_empty();
        if nothing_left || writer.state().is_abandoned() {
            writer.end();
            return None;
        }
        Some(outcome)
    }

    /// Sleeps until it is rung for.
    fn doze(&self) {
        self.bell.dozing.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let is_quiet = self.turn().is_some_and(|(taken, gathered)| taken && gathered == 0);
        if is_quiet {
            std::thread::park();
        }
        self.bell.dozing.store(false, Ordering::Relaxed);
    }
}
