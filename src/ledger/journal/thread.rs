//! The journal's own thread: syncs, tries again, and writes what nobody waits for.

use super::super::state::State;
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

/// With `durability = "power"`, and as long as several requests wait for one sync: the next begins no later after it, and no sooner
/// either, unless [`is_worth_a_sync`] says so. A disk that syncs in a tenth of this would else be asked to for nearly every record.
const SYNC_PERIOD: Duration = Duration::from_millis(4);

/// A sync is worth it when so many times as many requests wait for it as are open and may come to that soon.
const WAITING_FOR_EACH_OPEN: i64 = 3;

/// Wakes the writer's thread.
#[derive(Default)]
pub(super) struct Bell {
    thread: OnceLock<Thread>,
    /// The thread sleeps until it is rung for.
    pub(super) dozing: AtomicBool,
    /// The thread has something to sync, and sleeps until there is more.
    waiting_for_others: AtomicBool,
}

impl Bell {
    pub(super) fn ring(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn is_waiting_for_others(&self) -> bool {
        self.waiting_for_others.load(Ordering::SeqCst)
    }
}

/// The writer's own thread.
pub(in crate::ledger) struct WriterThread {
    pub(super) writer: Arc<Mutex<JournalWriter>>,
    pub(super) bell: Arc<Bell>,
    pub(super) state: Arc<State>,
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
                self.wait_for_others(pause);
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

    /// Sleeps for so long, or until a sync is worth it.
    fn wait_for_others(&self, longest: Duration) {
        let until = Instant::now() + longest;
        self.bell.waiting_for_others.store(true, Ordering::SeqCst);
        // Behind it: either this sees who has begun to wait, or whoever does sees that this thread sleeps.
        while !is_worth_a_sync(&self.state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        self.bell.waiting_for_others.store(false, Ordering::SeqCst);
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

/// Of those who may come to ask for a sync, nearly all wait for it by now. With streams, which are open for long, that is hardly ever so.
pub(super) fn is_worth_a_sync(state: &State) -> bool {
    let waited_for = state.waited_for.load(Ordering::SeqCst);
    waited_for > 0 && waited_for >= state.open_holds.load(Ordering::SeqCst).saturating_mul(WAITING_FOR_EACH_OPEN)
}

#[cfg(test)]
mod tests {
    use super::super::super::disk::FileSystem;
    use super::super::{Journal, WriterSetup};
    use super::*;
    use crate::ledger::Durability;
    use std::path::PathBuf;
    use uuid::Uuid;

    #[test]
    fn only_who_is_not_alone_waits_for_others_and_for_the_rest_of_a_period() {
        let tenth = SYNC_PERIOD / 10;
        assert_eq!(pause(0, tenth), None);
        assert_eq!(pause(1, tenth), None);
        assert_eq!(pause(2, tenth), Some(tenth * 9));
        assert_eq!(pause(2, SYNC_PERIOD), None);
        assert_eq!(pause(9, SYNC_PERIOD * 2), None);
    }

    fn thread() -> (Arc<Journal>, WriterThread) {
        let setup = WriterSetup {
            writer_id: Uuid::nil(),
            folder: PathBuf::new(),
            durability: Durability::Power,
            segment_bytes: 0,
            disk: Arc::new(FileSystem),
            state: Arc::new(State::new(100, u64::MAX)),
        };
        let (journal, thread) = Journal::new(setup);
        (Arc::new(journal), thread)
    }

    #[test]
    fn a_sync_is_worth_it_when_nearly_all_wait_for_it() {
        let state = State::new(100, u64::MAX);
        for (waiting, open, is_worth_it) in
            [(0, 0, false), (1, 0, true), (3, 1, true), (2, 1, false), (29, 10, false), (30, 10, true)]
        {
            state.waited_for.store(waiting, Ordering::SeqCst);
            state.open_holds.store(open, Ordering::SeqCst);
            assert_eq!(is_worth_a_sync(&state), is_worth_it, "{waiting} wait, {open} are open");
        }
    }

    #[test]
    fn who_makes_a_sync_worth_it_ends_the_wait_for_others_and_nobody_else_does() {
        let (journal, thread) = thread();
        let state = Arc::clone(&journal.state);
        state.open_holds.store(2, Ordering::SeqCst);
        let (ended, has_ended) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            thread.bell.thread.set(std::thread::current()).unwrap();
            thread.wait_for_others(Duration::from_secs(3_600));
            ended.send(()).unwrap();
        });
        while !journal.bell.is_waiting_for_others() {
            std::thread::yield_now();
        }
        for _ in 0..5 {
            journal.is_waited_for(true);
            // Whoever is woken looks again, and waits on; so does whoever is woken for nothing.
            journal.bell.ring();
            journal.is_waited_for(false);
        }
        assert!(has_ended.recv_timeout(Duration::from_millis(50)).is_err(), "five wait, two are open");
        journal.is_waited_for(true);
        has_ended.recv_timeout(Duration::from_secs(60)).expect("six wait, two are open");
        waiting.join().unwrap();
        assert!(!journal.bell.is_waiting_for_others());
    }
}
