//! The journal's own thread: syncs, tries again, and writes what nobody waits for.

use super::writer::{JournalWriter, Turn};
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

/// With `durability = "power"`, and as long as several requests wait for one sync: the next begins no sooner after it. A disk that
/// syncs in a fifth of this would else be asked to for nearly every record.
const SYNC_PERIOD: Duration = Duration::from_micros(500);

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
        loop {
            let began = Instant::now();
            let Some(Turn { is_taken, gathered, synced_for }) = self.turn() else { break };
            if !is_taken {
                std::thread::park_timeout(retry);
                retry = (retry * 2).min(RETRY.1);
                continue;
            }
            retry = RETRY.0;
            if gathered > 0 {
                quiet_since = Instant::now();
            }
            if let Some(pause) = pause(synced_for, began.elapsed()) {
                // Whoever rings meanwhile need not wake this thread.
                std::thread::sleep(pause);
                continue;
            }
            if quiet_since.elapsed() < DOZE_AFTER {
                std::thread::park_timeout(LOOK_EVERY);
            } else {
                self.doze();
                quiet_since = Instant::now();
            }
        }
    }

    /// One look at the queue. `None`: the end.
    fn turn(&self) -> Option<Turn> {
        let mut writer = self.writer.lock();
        let outcome = writer.write_queued();
        if writer.is_done() {
            writer.end();
            return None;
        }
        Some(outcome)
    }

    /// Sleeps until it is rung for.
    fn doze(&self) {
        self.bell.dozing.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let is_quiet = self.turn().is_some_and(|turn| turn.is_taken && turn.gathered == 0);
        if is_quiet {
            std::thread::park();
        }
        self.bell.dozing.store(false, Ordering::Relaxed);
    }
}

/// How long other requests' records are waited for until the next sync, after one that so many waited for and that began so long
/// ago. A request that is alone does not wait for others.
fn pause(synced_for: usize, since: Duration) -> Option<Duration> {
    let pause = SYNC_PERIOD.saturating_sub(since);
    (synced_for > 1 && !pause.is_zero()).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_not_alone_waits_for_others_and_for_the_rest_of_a_period() {
        let tenth = SYNC_PERIOD / 10;
        assert_eq!(pause(0, tenth), None);
        assert_eq!(pause(1, tenth), None);
        assert_eq!(pause(2, tenth), Some(tenth * 9));
        assert_eq!(pause(2, SYNC_PERIOD), None);
        assert_eq!(pause(9, SYNC_PERIOD * 2), None);
    }
}
