//! The journal's writer: takes records off a queue and writes what has gathered there as one group.
//!
//! Whose turn it is to write: with `durability = "process"` a write goes to the operating system's cache and takes a few
//! microseconds, less than waking a thread; so who waits for a record writes the group itself, if nobody else does at the
//! moment. The writer's own thread has the rest: syncing (`power`), retries, and records that nobody waits for.
//!
//! The queue has no bound of its own: a request brings the slots for its records, taken at admission, so that what is
//! promised always fits. A record that cannot be written stays first in line, in the same bytes, until the disk takes
//! it: a group that a failed write left half on the disk is simply written over.

mod current;
mod thread;

use super::Durability;
use super::disk::Disk;
use super::room::Calls;
use super::segment::{self, Header};
use super::state::{State, Written, steady_ms};
use super::ticket::Ticket;
use super::wire::{self, Event};
use current::Current;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use thread::{Bell, WriterThread};
use uuid::Uuid;

/// Most bytes gathered before they are written.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// When nothing was written for longer, nobody knows whether it can be.
const KNOWN_FOR_MS: i64 = 2;

/// After so many failures in a row, a new segment is tried.
const FAILURES_TO_ROTATE: u32 = 2;

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
        let thread = WriterThread { writer: Arc::clone(&writer), bell: Arc::clone(&bell), syncs: !shares_turns };
        (Self { commands, writer, bell, shares_turns, state }, thread)
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

    /// Writes what waits, unless something was written a moment ago: then it is known whether that can be done.
    pub(super) fn find_out(&self) {
        let written_at_ms = self.state.written_at_ms.load(Ordering::Acquire);
        if steady_ms().saturating_sub(written_at_ms) > KNOWN_FOR_MS {
            self.take_turn();
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

    /// Lets the writer end when it has written what is queued.
    pub(super) fn stop(&self) {
        // It may have ended already.
        let _ = self.commands.send(Command::Stop);
        self.bell.ring();
    }
}

/// What came of a look at the queue.
struct Turn {
    /// The disk took it all.
    is_taken: bool,
    /// So much was taken off the queue.
    gathered: usize,
    /// So many records that were written were waited for.
    waiters: usize,
}

/// Records that are encoded but not yet written.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    records: VecDeque<Record>,
    /// Sequence of the first.
    first_sequence: u64,
}

/// A record that is encoded but not yet written.
struct Record {
    bytes: usize,
    notify: Notify,
    /// For the applier; not while the journal fails, for then it would be held twice for long.
    event: Option<Event>,
}

/// See the module.
pub(super) struct JournalWriter {
    setup: WriterSetup,
    queue: Receiver<Command>,
    seed: u32,
    next_sequence: u64,
    pending: Pending,
    current: Option<Current>,
    /// Failures since the last success.
    failures: u32,
    stopping: bool,
    ended: bool,
}

impl JournalWriter {
    fn new(setup: WriterSetup, queue: Receiver<Command>) -> Self {
        let seed = wire::seed_of(setup.writer_id);
        let pending = Pending { first_sequence: 1, ..Pending::default() };
        Self {
            setup,
            queue,
            seed,
            next_sequence: 1,
            pending,
            current: None,
            failures: 0,
            stopping: false,
            ended: false,
        }
    }

    /// Writes what is queued, on a waiter's thread. A journal that fails is left to its own thread, which has patience.
    fn take_turn(&mut self) {
        if self.failures == 0 && !self.ended {
            self.write_queued();
        }
    }

    /// Writes everything that is queued; what comes while a group is synced is left for the next turn, so that more may come.
    fn write_queued(&mut self) -> Turn {
        let mut turn = Turn { is_taken: true, gathered: 0, waiters: 0 };
        loop {
            turn.gathered += self.gather();
            if self.pending.records.is_empty() {
                return turn;
            }
            let is_all = self.pending.bytes.len() < GROUP_BYTES_MAX;
            match self.write_group() {
                Ok(waiters) => turn.waiters += waiters,
                Err(error) => {
                    self.fail(&error);
                    return Turn { is_taken: false, ..turn };
                }
            }
            if self.syncs() && is_all && self.pending.records.is_empty() && !self.stopping {
                return turn;
            }
        }
    }

    /// What is written is on the disk before anybody hears of it.
    fn syncs(&self) -> bool {
        self.setup.durability == Durability::Power
    }

    /// Nothing is written any more.
    fn end(&mut self) {
        self.ended = true;
        self.state().end_journal();
        self.give_up_queued();
        self.state().publish(|tail| tail.stopped = true);
    }

    /// Nothing more is written: tells so whoever waits. What was journaled of these requests is settled by the next start.
    fn give_up_queued(&mut self) {
        let mut left = 0_usize;
        let queued = self.queue.try_iter().filter_map(|command| match command {
            Command::Append(_, notify) => Some(notify),
            Command::Stop => None,
        });
        for notify in self.pending.records.drain(..).map(|record| record.notify).chain(queued) {
            left += 1;
            if let Notify::Ticket(ticket) = notify {
                ticket.failed();
            }
        }
        if left > 0 {
            tracing::error!(records = left, "the journal was given up with records unwritten");
        }
    }

    fn state(&self) -> &State {
        &self.setup.state
    }

    /// Takes what is queued, up to a group's size; how much that was.
    fn gather(&mut self) -> usize {
        let mut gathered = 0;
        while self.failures > 0 || self.pending.bytes.len() < GROUP_BYTES_MAX {
            match self.queue.try_recv() {
                Ok(command) => self.accept(command),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.stopping = true;
                    break;
                }
            }
            gathered += 1;
        }
        gathered
    }

    fn accept(&mut self, command: Command) {
        let Command::Append(event, notify) = command else {
            self.stopping = true;
            return;
        };
        let before = self.pending.bytes.len();
        if let Err(error) = wire::encode(&event, self.next_sequence, self.seed, &mut self.pending.bytes) {
            // Every event can be encoded into memory; should one not, its hold stays open and is settled at recovery.
            tracing::error!(%error, "a ledger event cannot be encoded");
            self.state().give_slots(1);
            return;
        }
        self.next_sequence += 1;
        if let (true, Notify::Ticket(ticket)) = (self.failures > 0, &notify) {
            ticket.failed();
        }
        let event = (self.failures == 0).then_some(event);
        self.pending.records.push_back(Record { bytes: self.pending.bytes.len() - before, notify, event });
    }

    /// Writes as much of what is pending as fits into one segment. How many records of it were waited for.
    fn write_group(&mut self) -> io::Result<usize> {
        let began_ms = steady_ms();
        self.state().writing_since_ms.store(began_ms, Ordering::Release);
        let written = self.try_write_group();
        self.state().writing_since_ms.store(0, Ordering::Release);
        let (count, bytes) = written?;
        self.state().written_at_ms.store(began_ms, Ordering::Release);
        Ok(self.settle_group(count, bytes))
    }

    fn try_write_group(&mut self) -> io::Result<(usize, usize)> {
        let room = self.room();
        let first_bytes = self.pending.records.front().map_or(0, |record| record.bytes);
        let broken = self.failures >= FAILURES_TO_ROTATE && self.current.as_ref().is_some_and(Current::has_records);
        if room < first_bytes || broken {
            self.rotate()?;
        }
        let room = self.room();
        let (mut count, mut bytes) = (0, 0);
        for record in &self.pending.records {
            if bytes + record.bytes > room {
                break;
            }
            (count, bytes) = (count + 1, bytes + record.bytes);
        }
        let syncs = self.syncs();
        let Some(current) = &mut self.current else { return Err(io::ErrorKind::NotFound.into()) };
        let synced_to = syncs.then_some(self.setup.segment_bytes);
        current.write(&self.pending.bytes[..bytes], synced_to)?;
        Ok((count, bytes))
    }

    /// Bytes that still fit into the current segment.
    fn room(&self) -> usize {
        let room = self.current.as_ref().map_or(0, |current| self.setup.segment_bytes.saturating_sub(current.end));
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Seals the current segment where its last good record ends, and begins the next.
    fn rotate(&mut self) -> io::Result<()> {
        let number = self.current.as_ref().map_or(1, |current| current.number + 1);
        let setup = &self.setup;
        let mut file = setup.disk.create(&segment::path(&setup.folder, number), setup.segment_bytes)?;
        let first_sequence = self.pending.first_sequence;
        file.write_at(&Header { writer_id: setup.writer_id, number, first_sequence }.encode(), 0)?;
        if self.syncs() {
            file.sync()?;
            setup.disk.sync_folder(&setup.folder)?;
        }
        let current = Current::new(number, file);
        let end = current.end;
        self.current = Some(current);
        self.state().publish(|tail| {
            if let Some(last) = tail.segments.back_mut() {
                last.sealed = true;
            }
            tail.segments.push_back(Written { number, end, sealed: false });
        });
        Ok(())
    }

    /// The first `count` records are written: the applier may have them, their slots are free, and waiters go on. How many of
    /// the records were waited for.
    fn settle_group(&mut self, count: usize, bytes: usize) -> usize {
        if self.failures > 0 {
            self.failures = 0;
            self.state().set_journal_error(None);
            tracing::warn!("the journal can be written again");
        }
        let state = &self.setup.state;
        state.written_bytes.fetch_add(bytes as u64, Ordering::AcqRel);
        state.written_records.fetch_add(count as u64, Ordering::AcqRel);
        if let Some(current) = &self.current {
            let mut from = current.end - bytes as u64;
            state.publish(|tail| {
                if let Some(last) = tail.segments.back_mut() {
                    last.end = current.end;
                }
                for record in self.pending.records.range_mut(..count) {
                    if let Some(event) = record.event.take() {
                        tail.passed.push(current.number, from, record.bytes, event);
                    }
                    from += record.bytes as u64;
                }
            });
        }
        self.pending.bytes.drain(..bytes);
        self.pending.first_sequence += count as u64;
        state.give_slots(count as i64);
        let (mut calls, mut waited_for) = (Calls::default(), 0);
        for record in self.pending.records.drain(..count) {
            if let Notify::Ticket(ticket) = record.notify {
                waited_for += usize::from(ticket.written(&mut calls));
            }
        }
        calls.call();
        waited_for
    }

    fn fail(&mut self, error: &io::Error) {
        self.failures = self.failures.saturating_add(1);
        if self.state().set_journal_error(Some(error.to_string())) {
            tracing::error!(%error, "the journal cannot be written; new requests are refused until it can");
        }
        for record in &mut self.pending.records {
            record.event = None;
            if let Notify::Ticket(ticket) = &record.notify {
                ticket.failed();
            }
        }
    }
}
