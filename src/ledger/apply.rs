//! The applier thread: carries the journal on into the store. It may fall behind for as long as the store is locked,
//! read-only or full; the journal waits in its files, and nothing is given up. As long as it has them, a loss of power may take
//! what the store has of them: with `durability = "power"`, the store is synced once for each file and not for each batch.

use super::batch::{EVENTS_MAX, Gather};
use super::claim_age::ClaimAge;
use super::segment::{self, Damage, HEADER_BYTES, Scan, Step};
use super::state::{State, Written};
use super::wire::{self, RECORD_BYTES_MAX};
use crate::clock::steady_ms;
use crate::keyring::Keys;
use crate::store::{Batch, Position, Store};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Shortest time between two transactions while there is little to write: a lone record shows at once, a steady trickle
/// is bundled.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Most bytes read at once; a record is far shorter.
const READ_BYTES_MAX: u64 = 4 << 20;

/// How often the times of last use are written.
const TOUCHED_EVERY: Duration = Duration::from_secs(1);

/// First and longest pause between attempts to write to the store.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Where a journal's first record is.
pub(super) const START: Position = Position { segment: 1, offset: HEADER_BYTES as u64, sequence: 1 };

/// See the module.
pub(super) struct Applier {
    writer_id: Uuid,
    folder: PathBuf,
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    state: Arc<State>,
    /// Everything before it is in the store.
    position: Position,
    file: Option<(u64, File)>,
    flushed_at: Instant,
    claim_age: ClaimAge,
    touched: HashMap<i64, i64>,
    touched_at: Instant,
    /// True: the segment at `position` was found damaged, and stays on the disk.
    damaged: bool,
}

impl Applier {
    pub(super) fn new(
        writer_id: Uuid,
        folder: PathBuf,
        store: Arc<dyn Store>,
        keys: Arc<Keys>,
        state: Arc<State>,
    ) -> Self {
        let now = Instant::now();
        Self {
            writer_id,
            folder,
            store,
            keys,
            state,
            position: START,
            file: None,
            flushed_at: now,
            claim_age: ClaimAge::new(steady_ms()),
            touched: HashMap::new(),
            touched_at: now,
            damaged: false,
        }
    }

    /// Applies until the writer has stopped and nothing is left, or everything is abandoned.
    pub(super) fn run(mut self) {
        loop {
            self.write_touched();
            let waiting = self.wait();
            if self.state.is_abandoned() {
                return;
            }
            match waiting {
                Some(written) if self.position.offset < written.end => self.apply_written(written),
                Some(written) if written.sealed => self.leave_segment(),
                _ if self.state.tail(|tail| tail.stopped) => break,
                _ => {}
            }
        }
        self.write_touched_now();
        if self.damaged {
            // Set aside, for the ledger removes what is left.
            self.leave_segment();
        } else {
            self.make_applied_stay();
        }
    }

    /// Waits for something to do; the segment at the front, if there is one by then.
    fn wait(&mut self) -> Option<Written> {
        let offset = self.position.offset;
        let has_work = |written: Written| written.sealed || written.end > offset;
        self.state
            .wait_for_tail(TOUCHED_EVERY, |tail| tail.stopped || tail.segments.front().copied().is_some_and(has_work));
        // Bundles what trickles in. Asleep, not waiting: to be woken for each group only to look costs more than the group.
        let rest = FLUSH_EVERY.checked_sub(self.flushed_at.elapsed());
        let is_wanted = || self.state.is_hurried() || self.state.tail(|tail| tail.stopped);
        if let Some(rest) = rest.filter(|_| !is_wanted()) {
            std::thread::sleep(rest);
        }
        let front = self.state.tail(|tail| tail.segments.front().copied())?;
        debug_assert_eq!(front.number, self.position.segment);
        Some(front)
    }

    fn apply_written(&mut self, written: Written) {
        if !self.apply_passed() {
            self.apply_from_file(written);
        }
    }

    /// Carries what the writer passed on into the store. False: what comes next is only in the file.
    fn apply_passed(&mut self) -> bool {
        let mut has_some = false;
        loop {
            let mut next = self.position;
            let events = self.state.tail(|tail| tail.passed.take(&mut next, EVENTS_MAX));
            let is_last = events.len() < EVENTS_MAX;
            has_some |= !events.is_empty();
            let mut gather = Gather::default();
            events.into_iter().for_each(|event| gather.push(event));
            if (next != self.position && !self.commit(gather, next)) || is_last {
                return has_some;
            }
        }
    }

    /// Reads what is written of a segment, up to what the writer passed on, and carries it into the store, batch by
    /// batch.
    fn apply_from_file(&mut self, mut written: Written) {
        let from = self.position.offset;
        if let Some(passed) = self.state.tail(|tail| tail.passed.first_of(written.number)) {
            written.end = written.end.min(passed);
        }
        let bytes = match self.read(written) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.report_fault(&format!("the journal cannot be read: {error}"));
                std::thread::sleep(RETRY.1);
                return;
            }
        };
        let mut scan = Scan::new(&bytes, 0, wire::seed_of(self.writer_id));
        let mut gather = Gather::default();
        let mut next = self.position;
        loop {
            match scan.step() {
                Step::Record(decoded, end) => {
                    next = Position { offset: from + end as u64, sequence: decoded.sequence + 1, ..next };
                    gather.push(decoded.event);
                    if gather.is_full() && !self.commit(std::mem::take(&mut gather), next) {
                        return;
                    }
                }
                Step::Damage(damage) => self.report_damage(from, damage),
                Step::End { .. } | Step::UnknownFormat(..) => {
                    let read_end = from + bytes.len() as u64;
                    let is_cut = read_end < written.end;
                    let is_whole = if is_cut { next.offset > from } else { next.offset == written.end };
                    if !is_whole {
                        // What was read back is not what was written.
                        self.report_damage(from, Damage { from: (next.offset - from) as usize, to: bytes.len() });
                        next.offset = if is_cut { read_end - RECORD_BYTES_MAX as u64 } else { written.end };
                    }
                    // A record that reaches beyond what was read comes with the next read.
                    break;
                }
            }
        }
        if next != self.position {
            self.commit(gather, next);
        }
    }

    fn read(&mut self, written: Written) -> io::Result<Vec<u8>> {
        if self.file.as_ref().is_none_or(|(number, _)| *number != written.number) {
            self.file = Some((written.number, File::open(segment::path(&self.folder, written.number))?));
        }
        let Some((_, file)) = &self.file else { return Ok(Vec::new()) };
        let bytes = (written.end - self.position.offset).min(READ_BYTES_MAX);
        let mut buffer = vec![0; bytes as usize];
        file.read_exact_at(&mut buffer, self.position.offset)?;
        Ok(buffer)
    }

    /// Carries what was gathered into the store. False: everything was abandoned first.
    fn commit(&mut self, gather: Gather, position: Position) -> bool {
        let events = gather.events() as u64;
        self.state.set_applied_stays(false);
        let batch = gather.finish(self.writer_id, position);
        let claims_before_ms = self.claim_age.before_ms(&batch.claims, steady_ms());
        if !self.write(&Batch { may_be_lost: true, claims_before_ms, ..batch }) {
            return false;
        }
        let bytes = position.offset - self.position.offset;
        self.state.add_applied(events, bytes);
        self.position = position;
        self.flushed_at = Instant::now();
        true
    }

    /// What was applied stays in the store from now on, whatever happens. False: everything was abandoned first.
    fn make_applied_stay(&mut self) -> bool {
        let last = Batch { writer_id: self.writer_id, position: self.position, ..Batch::default() };
        let stays = self.state.applied_stays() || self.write(&last);
        self.state.set_applied_stays(stays);
        stays
    }

    /// Writes a batch, however long the store takes. False: everything was abandoned first.
    fn write(&self, batch: &Batch) -> bool {
        let mut pause = RETRY.0;
        let applied = loop {
            match self.store.apply(batch) {
                Ok(applied) => break applied,
                Err(error) => self.report_fault(&error.to_string()),
            }
            self.state.wait_for_tail(pause, |_| false);
            if self.state.is_abandoned() {
                return false;
            }
            pause = (pause * 2).min(RETRY.1);
        };
        if self.state.set_store_error(None) {
            tracing::warn!("the store can be written again");
        }
        if applied.duplicates > 0 {
            tracing::error!(rows = applied.duplicates, "request ids were used twice; the later rows were not billed");
        }
        true
    }

    /// The segment is in the store as a whole: goes on to the next, and removes its file.
    fn leave_segment(&mut self) {
        if !self.make_applied_stay() {
            return;
        }
        self.file = None;
        let number = self.position.segment;
        if let Err(error) = dispose(&self.folder, number, std::mem::take(&mut self.damaged)) {
            // It takes room until the next start, which skips it: the position says that it is applied.
            tracing::warn!(%error, number, "an applied journal segment cannot be removed");
        }
        self.state.tail(|tail| tail.segments.pop_front());
        self.position = Position { segment: number + 1, offset: START.offset, ..self.position };
    }

    fn report_damage(&mut self, from: u64, damage: Damage) {
        self.damaged = true;
        let (start, end) = (from + damage.from as u64, from + damage.to as u64);
        tracing::error!(segment = self.position.segment, start, end, "the journal is damaged; the segment is kept");
    }

    fn report_fault(&self, message: &str) {
        if self.state.set_store_error(Some(message.to_owned())) {
            tracing::error!(error = message, "the ledger cannot be written to the store; the journal keeps it");
        }
    }

    // === times of last use ===

    fn write_touched(&mut self) {
        if self.touched_at.elapsed() >= TOUCHED_EVERY {
            self.write_touched_now();
        }
    }

    fn write_touched_now(&mut self) {
        self.touched_at = Instant::now();
        self.touched
            .extend(self.keys.take_touched().into_iter().map(|touched| (touched.key_id, touched.accessed_at_ms)));
        if self.touched.is_empty() {
            return;
        }
        let touched: Vec<_> = self
            .touched
            .iter()
            .map(|(&key_id, &accessed_at_ms)| crate::keyring::Touched { key_id, accessed_at_ms })
            .collect();
        match self.store.write_accessed(&touched) {
            Ok(()) => self.touched.clear(),
            // It is tried again with the next; that a store cannot be written `commit` reports, if there is anything else to write.
            Err(error) => tracing::debug!("times of last use are not written: {error}"),
        }
    }
}

/// Ending of a segment that was applied, but for what was damaged in it.
pub(super) const DAMAGED_EXTENSION: &str = "damaged";

/// Removes a segment that is in the store, or sets it aside if a part of it could not be read.
pub(super) fn dispose(folder: &Path, number: u64, damaged: bool) -> io::Result<()> {
    let path = segment::path(folder, number);
    if !damaged {
        return std::fs::remove_file(path);
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.with_file_name(format!("{name}-{number}.{DAMAGED_EXTENSION}"));
    std::fs::rename(path, aside)
}
