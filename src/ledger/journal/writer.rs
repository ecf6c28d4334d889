//! Takes records off the queue, encodes them, and writes what has gathered as one group.

use super::current::Current;
use super::{Command, Notify, WriterSetup};
use crate::clock::steady_ms;
use crate::ledger::Durability;
use crate::ledger::room::Calls;
use crate::ledger::segment::{self, Header};
use crate::ledger::state::{State, Written};
use crate::ledger::ticket::Ticket;
use crate::ledger::wire::{self, Event};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};

/// Most bytes gathered before they are written.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// After so many failures in a row, a new segment is tried.
const FAILURES_TO_ROTATE: u32 = 2;

/// What came of a look at the queue.
pub(super) struct Turn {
    /// The disk took it all.
    pub(super) is_taken: bool,
    /// So much was taken off the queue.
    pub(super) gathered: usize,
    /// So many waited for the disk to sync. Where none is synced, nobody.
    pub(super) synced_for: usize,
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
    pub(super) fn new(setup: WriterSetup, queue: Receiver<Command>) -> Self {
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
    pub(super) fn take_turn(&mut self) {
        if self.failures == 0 && !self.ended {
            self.write_queued();
        }
    }

    /// Writes everything that is queued; what comes while a group is synced is left for the next turn, so that more may come.
    pub(super) fn write_queued(&mut self) -> Turn {
        let mut turn = Turn { is_taken: true, gathered: 0, synced_for: 0 };
        loop {
            turn.gathered += self.gather();
            if self.pending.records.is_empty() {
                return turn;
            }
            let is_all = self.pending.bytes.len() < GROUP_BYTES_MAX;
            match self.write_group() {
                Ok(waiters) if self.syncs() => turn.synced_for += waiters,
                Ok(_) => {}
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

    /// It has been told to stop, and nothing is left to do; or it is to leave what there is.
    pub(super) fn is_done(&self) -> bool {
        self.stopping && self.pending.records.is_empty() || self.state().is_abandoned()
    }

    /// What is written is on the disk before anybody hears of it.
    fn syncs(&self) -> bool {
        self.setup.durability == Durability::Power
    }

    /// Nothing is written any more.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.state().end_journal();
        self.give_up_queued();
        self.state().publish(|tail| tail.stopped = true);
    }

    /// Nothing more is written: tells so whoever waits. What was journaled of these requests is settled by the next start.
    pub(super) fn give_up_queued(&mut self) {
        let mut left = 0_usize;
        let queued = self.queue.try_iter().filter_map(|command| match command {
            Command::Append(_, notify) => Some(notify),
            Command::Stop => None,
        });
        for notify in self.pending.records.drain(..).map(|record| record.notify).chain(queued) {
            left += 1;
            if let Notify::Ticket(ticket) = notify {
                fail_ticket(&ticket, &self.setup.state);
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
            if let Notify::Ticket(ticket) = &notify {
                fail_ticket(ticket, self.state());
            }
            return;
        }
        self.next_sequence += 1;
        if let (true, Notify::Ticket(ticket)) = (self.failures > 0, &notify) {
            fail_ticket(ticket, self.state());
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
        state.waited_for.fetch_sub(waited_for as i64, Ordering::SeqCst);
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
                fail_ticket(ticket, &self.setup.state);
            }
        }
    }
}

/// Whoever waits for the record should not wait on.
fn fail_ticket(ticket: &Ticket, state: &State) {
    if ticket.failed() {
        state.waited_for.fetch_sub(1, Ordering::SeqCst);
    }
}
