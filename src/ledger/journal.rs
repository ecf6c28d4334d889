//! The writer thread: takes records off a queue and writes what has gathered there as one group.
//!
//! The queue has no bound of its own: a request brings the slots for its records, taken at admission, so that what is
//! promised always fits. A record that cannot be written stays first in line, in the same bytes, until the disk takes
//! it: a group that a failed write left half on the disk is simply written over.

use super::Durability;
use super::disk::{Disk, DiskFile};
use super::segment::{self, HEADER_BYTES, Header};
use super::state::{State, Written, now_ms};
use super::ticket::Ticket;
use super::wire::{self, Event};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use uuid::Uuid;

/// Most bytes gathered before they are written.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// First and longest pause between attempts to write.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// After so many failures in a row, a new segment is tried.
const FAILURES_TO_ROTATE: u32 = 2;

/// Who hears of a record when it is written.
pub(super) enum Notify {
    /// Whoever waits for it.
    Ticket(Arc<Ticket>),
    /// The hold, which may queue its next progress.
    Progress(Arc<Ticket>),
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
    pub(super) fn new(setup: WriterSetup) -> (Self, JournalWriter) {
        let (commands, queue) = channel();
        let journal = Self { commands, state: Arc::clone(&setup.state) };
        (journal, JournalWriter::new(setup, queue))
    }

    /// Queues a record on a slot that the caller has taken.
    pub(super) fn append(&self, event: Event, notify: Notify) {
        self.state.sent_records.fetch_add(1, Ordering::AcqRel);
        if self.commands.send(Command::Append(event, notify)).is_err() {
            // The writer has ended: with the ledger, or by a fault. What was journaled before is settled by the next
            // start.
            self.state.set_journal_error(Some("the journal is closed".to_owned()));
            tracing::error!("a request ended after the journal was closed; the next start will settle it");
        }
    }

    /// Lets the writer end when it has written what is queued.
    pub(super) fn stop(&self) {
        // It may have ended already.
        let _ = self.commands.send(Command::Stop);
    }
}

/// Records that are encoded but not yet written.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    records: VecDeque<(usize, Notify)>,
    /// Sequence of the first.
    first_sequence: u64,
}

/// The segment that is being written.
struct Current {
    number: u64,
    file: Box<dyn DiskFile>,
    /// Offset behind the last record that is written.
    end: u64,
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
}

impl JournalWriter {
    fn new(setup: WriterSetup, queue: Receiver<Command>) -> Self {
        let seed = wire::seed_of(setup.writer_id);
        let pending = Pending { first_sequence: 1, ..Pending::default() };
        Self { setup, queue, seed, next_sequence: 1, pending, current: None, failures: 0, stopping: false }
    }

    /// Writes until it is told to stop and nothing is left, or everything is abandoned.
    pub(super) fn run(mut self) {
        let mut pause = RETRY.0;
        while !self.state().is_abandoned() {
            self.receive(pause);
            while !self.pending.records.is_empty() {
                match self.write_group() {
                    Ok(()) => pause = RETRY.0,
                    Err(error) => {
                        self.fail(&error);
                        pause = (pause * 2).min(RETRY.1);
                        break;
                    }
                }
            }
            if self.stopping && self.pending.records.is_empty() {
                break;
            }
        }
        let left = self.pending.records.len();
        if left > 0 {
            tracing::error!(records = left, "the journal was given up with records unwritten");
        }
        self.state().publish(|tail| tail.stopped = true);
    }

    fn state(&self) -> &State {
        &self.setup.state
    }

    /// Gathers what is queued. Waits if there is nothing to do: for ever if nothing is pending, else for `pause`.
    fn receive(&mut self, pause: Duration) {
        let first = if self.pending.records.is_empty() && !self.stopping {
            self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            self.queue.recv_timeout(pause)
        };
        match first {
            Ok(command) => self.accept(command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.stopping = true,
        }
        while self.failures > 0 || self.pending.bytes.len() < GROUP_BYTES_MAX {
            let Ok(command) = self.queue.try_recv() else { break };
            self.accept(command);
        }
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
        self.pending.records.push_back((self.pending.bytes.len() - before, notify));
    }

    /// Writes as much of what is pending as fits into one segment.
    fn write_group(&mut self) -> io::Result<()> {
        self.state().writing_since_ms.store(now_ms(), Ordering::Release);
        let written = self.try_write_group();
        self.state().writing_since_ms.store(0, Ordering::Release);
        let (count, bytes) = written?;
        self.settle_group(count, bytes);
        Ok(())
    }

    fn try_write_group(&mut self) -> io::Result<(usize, usize)> {
        let room = self.room();
        let first_bytes = self.pending.records.front().map_or(0, |(bytes, _)| *bytes);
        let broken = self.failures >= FAILURES_TO_ROTATE && self.current.as_ref().is_some_and(Current::has_records);
        if room < first_bytes || broken {
            self.rotate()?;
        }
        let room = self.room();
        let (mut count, mut bytes) = (0, 0);
        for (record_bytes, _) in &self.pending.records {
            if bytes + record_bytes > room {
                break;
            }
            (count, bytes) = (count + 1, bytes + record_bytes);
        }
        let Some(current) = &mut self.current else { return Err(io::ErrorKind::NotFound.into()) };
        current.file.write_at(&self.pending.bytes[..bytes], current.end)?;
        if self.setup.durability == Durability::Power {
            current.file.sync()?;
        }
        current.end += bytes as u64;
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
        if setup.durability == Durability::Power {
            file.sync()?;
            setup.disk.sync_folder(&setup.folder)?;
        }
        let end = HEADER_BYTES as u64;
        self.current = Some(Current { number, file, end });
        self.state().publish(|tail| {
            if let Some(last) = tail.segments.back_mut() {
                last.sealed = true;
            }
            tail.segments.push_back(Written { number, end, sealed: false });
        });
        Ok(())
    }

    /// The first `count` records are written: the applier may have them, their slots are free, and waiters go on.
    fn settle_group(&mut self, count: usize, bytes: usize) {
        if self.failures > 0 {
            self.failures = 0;
            self.state().set_journal_error(None);
            tracing::warn!("the journal can be written again");
        }
        let state = &self.setup.state;
        state.written_bytes.fetch_add(bytes as u64, Ordering::AcqRel);
        state.written_records.fetch_add(count as u64, Ordering::AcqRel);
        if let Some(current) = &self.current {
            state.publish(|tail| {
                if let Some(last) = tail.segments.back_mut() {
                    last.end = current.end;
                }
            });
        }
        self.pending.bytes.drain(..bytes);
        self.pending.first_sequence += count as u64;
        state.give_slots(count as i64);
        for (_, notify) in self.pending.records.drain(..count) {
            match notify {
                Notify::Ticket(ticket) => ticket.written(),
                Notify::Progress(ticket) => ticket.progress_written(),
                Notify::Nobody => {}
            }
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.failures = self.failures.saturating_add(1);
        if self.state().set_journal_error(Some(error.to_string())) {
            tracing::error!(%error, "the journal cannot be written; new requests are refused until it can");
        }
        for (_, notify) in &self.pending.records {
            if let Notify::Ticket(ticket) = notify {
                ticket.failed();
            }
        }
    }
}

impl Current {
    fn has_records(&self) -> bool {
        self.end > HEADER_BYTES as u64
    }
}
