//! The journal: a queue of records, and whose turn it is to write what has gathered there as one group (`writer`).
//!
//! With `durability = "process"` a write goes to the operating system's cache and takes a few
//! microseconds, less than waking a thread; so who waits for a record writes the group itself, if nobody else does at the
//! moment. The writer's own thread has the rest: syncing (`power`), retries, and records that nobody waits for.
//!
//! The queue has no bound of its own: a request brings the slots for its records, taken at admission, so that what is
//! promised always fits. A record that cannot be written stays first in line, in the same bytes, until the disk takes
//! it: a group that a failed write left half on the disk is simply written over.

mod current;
mod thread;
mod writer;

use super::Durability;
use super::disk::Disk;
use super::state::State;
use super::ticket::Ticket;
use super::wire::Event;
use crate::clock::steady_ms;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use thread::{Bell, WriterThread};
use uuid::Uuid;
use writer::JournalWriter;

/// When nothing was written for longer, nobody knows whether it can be.
const KNOWN_FOR_MS: i64 = 2;

/// So long whoever wants to know waits for another's write to end; not for one that has taken longer by then.
const FIND_OUT_MAX: Duration = Duration::from_millis(5);

/// Who hears of a record when it is written.
pub(super) enum Notify {
    /// Whoever waits for it.
    Ticket(Arc<Ticket>),
    /// Nobody.
    Nobody,
}

enum Command {
    Append(Event, Notify),
    Stop,
}

/// The queue's end at which requests stand.
pub(super) struct Journal {
    commands: Sender<Command>,
    writer: Arc<Mutex<JournalWriter>>,
    bell: Arc<Bell>,
    /// Waiters may write themselves.
    shares_turns: bool,
    /// How long [`Journal::find_out`] waits for another's turn; a write that takes longer has stalled.
    patience: Duration,
    /// Shared with the threads.
    pub(super) state: Arc<State>,
}

/// What a writer needs to know.
pub(super) struct WriterSetup {
    pub(super) writer_id: Uuid,
    /// The writer's own folder.
    pub(super) folder: PathBuf,
    pub(super) durability: Durability,
    pub(super) segment_bytes: u64,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) state: Arc<State>,
}

impl Journal {
    /// A journal, and the writer to be run on a thread of its own.
    pub(super) fn new(setup: WriterSetup) -> (Self, WriterThread) {
        let (commands, queue) = channel();
        let state = Arc::clone(&setup.state);
        let shares_turns = setup.durability == Durability::Process;
        let writer = Arc::new(Mutex::new(JournalWriter::new(setup, queue)));
        let bell = Arc::<Bell>::default();
        let thread = WriterThread { writer: Arc::clone(&writer), bell: Arc::clone(&bell), state: Arc::clone(&state) };
        (Self { commands, writer, bell, shares_turns, patience: FIND_OUT_MAX, state }, thread)
    }

    /// Queues a record on a slot that the caller has taken.
    pub(super) fn append(&self, event: Event, notify: Notify) {
        self.state.sent_records.fetch_add(1, Ordering::AcqRel);
        // The queue's other end lives as long as this one.
        let _ = self.commands.send(Command::Append(event, notify));
        // Behind it: either this sees that the writer has ended, or the writer, when it ends, finds the record there.
        if self.state.journal_has_ended() {
            self.state.set_journal_error(Some("the journal is closed".to_owned()));
            self.writer.lock().give_up_queued();
        }
        // Either this sees that the thread dozes, or the thread sees the record before it does.
        fence(Ordering::SeqCst);
        if self.bell.dozing.load(Ordering::Relaxed) {
            self.bell.ring();
        }
    }

    /// Somebody waits for a record, and writes it with all that is queued, unless it is another's turn.
    pub(super) fn take_turn(&self) {
        if self.shares_turns
            && let Some(mut writer) = self.writer.try_lock()
        {
            writer.take_turn();
        }
    }

    /// Writes what waits, unless something was written a moment ago: then it is known whether that can be done. Where another
    /// has the turn, its outcome is what is to be known, or it came too early for what waits.
    pub(super) fn find_out(&self) {
        let written_at_ms = self.state.written_at_ms.load(Ordering::Acquire);
        if !self.shares_turns || steady_ms().saturating_sub(written_at_ms) <= KNOWN_FOR_MS {
            return;
        }
        let patience = if self.is_stalled() { Duration::ZERO } else { self.patience };
        if let Some(mut writer) = self.writer.try_lock_for(patience) {
            writer.take_turn();
        }
    }

    /// A write has been under way for longer than anybody waits for another's turn.
    pub(super) fn is_stalled(&self) -> bool {
        match self.state.writing_since_ms.load(Ordering::Acquire) {
            0 => false,
            since_ms => steady_ms().saturating_sub(since_ms) >= self.patience.as_millis() as i64,
        }
    }

    /// Whether waiters may write themselves.
    pub(super) fn shares_turns(&self) -> bool {
        self.shares_turns
    }

    /// Has the writer's thread look at the queue.
    pub(super) fn ring(&self) {
        self.bell.ring();
    }

    /// Somebody has begun to wait for a record; with `is_first` nobody did before. The writer's thread is to look at the queue, unless
    /// it waits for more such records itself and is not through with that.
    pub(super) fn is_waited_for(&self, is_first: bool) {
        if is_first {
            self.state.waited_for.fetch_add(1, Ordering::SeqCst);
        }
        if !self.bell.is_waiting_for_others() || thread::is_worth_a_sync(&self.state) {
            self.bell.ring();
        }
    }

    /// Lets the writer end when it has written what is queued.
    pub(super) fn stop(&self) {
        // It may have ended already.
        let _ = self.commands.send(Command::Stop);
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::FileSystem;
    use super::super::wire::Event;
    use super::*;
    use std::sync::mpsc;

    /// Of somebody who waits too long, or not at all.
    const HANGS: Duration = Duration::from_secs(60);

    /// A journal that can make no segment, and so knows at once what comes of a write.
    fn journal_with(patience: Duration) -> Journal {
        let setup = WriterSetup {
            writer_id: Uuid::nil(),
            folder: PathBuf::from("/dev/null/journal"),
            durability: Durability::Process,
            segment_bytes: 1 << 20,
            disk: Arc::new(FileSystem),
            state: Arc::new(State::new(100, u64::MAX)),
        };
        Journal { patience, ..Journal::new(setup).0 }
    }

    /// Asks while another has the turn, who gives it back when the asker has gone on, or after so long. Whether the asker has
    /// gone on by then, and whether it knows.
    fn asks_during_anothers_turn(journal: &Journal, given_back_after: Duration) -> (bool, bool) {
        let ticket = Arc::<Ticket>::default();
        let (tells, is_told) = mpsc::channel();
        let has_gone_on = std::thread::scope(|scope| {
            let turn = journal.writer.lock();
            scope.spawn(|| {
                journal.append(Event::Void { request_id: Uuid::nil() }, Notify::Ticket(Arc::clone(&ticket)));
                tells.send("asks").unwrap();
                journal.find_out();
                tells.send("has gone on").unwrap();
            });
            is_told.recv().unwrap();
            let told = is_told.recv_timeout(given_back_after);
            drop(turn);
            told.is_ok()
        });
        (has_gone_on, ticket.is_decided())
    }

    #[test]
    fn who_has_no_patience_goes_on_without_knowing() {
        let journal = journal_with(Duration::ZERO);
        assert_eq!(asks_during_anothers_turn(&journal, HANGS), (true, false));
    }

    #[test]
    fn who_has_patience_waits_for_whoever_has_the_turn_and_knows() {
        let journal = journal_with(Duration::from_secs(3_600));
        // Time enough to go on without knowing, for whoever would.
        let (_, knows) = asks_during_anothers_turn(&journal, Duration::from_millis(50));
        assert!(knows);
    }

    #[test]
    fn nobody_waits_for_a_turn_that_takes_longer_than_there_is_patience() {
        let journal = journal_with(HANGS);
        let began_ms = steady_ms() - HANGS.as_millis() as i64 - 1;
        journal.state.writing_since_ms.store(began_ms, Ordering::Release);
        assert_eq!(asks_during_anothers_turn(&journal, HANGS / 2), (true, false));
    }
}
