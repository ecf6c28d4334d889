//! At start: what processes before this one left in their journals goes into the store, and the requests that were
//! running when they died are settled from their last progress. Every step may be cut short and done again: rows are
//! told apart by their request id, and a journal's position is stored together with what it stands for.

use super::LedgerError;
use super::apply::{START, dispose};
use super::batch::Gather;
use super::folder::{self, FolderLock, Locking};
use super::record::LedgerRecord;
use super::segment::{self, Header, Scan, Step};
use super::wire;
use crate::store::{Batch, Position, Store, Writer};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use uuid::Uuid;

/// Open holds that are settled in one transaction.
const INTERRUPTED_AT_ONCE: usize = 500;

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Processes whose journals were finished.
    pub writers: usize,
    /// Rows that were in a journal, but not in the store.
    pub rows: usize,
    /// Requests that were running, and are settled now.
    pub interrupted: usize,
    /// What could not be read, in words. The segments are kept beside the journals.
    pub damage: Vec<String>,
}

/// Finishes every journal that no living process holds: those in `journal_dir`, and those the store knows of
/// elsewhere on this machine. With it, the writers in `journal_dir` that still live: they have handed over, and finish what
/// they had begun.
pub(super) fn recover(journal_dir: &Path, store: &dyn Store) -> Result<(Recovered, Vec<Uuid>), LedgerError> {
    let known = store.writers()?;
    refuse_second_server(journal_dir, &known)?;
    refuse_journals_of_another_store(journal_dir, &known, store)?;
    recover_all(journal_dir, &known, store)
}

/// The same, without asking who else serves from the store.
pub(super) fn recover_all(
    journal_dir: &Path,
    known: &[Writer],
    store: &dyn Store,
) -> Result<(Recovered, Vec<Uuid>), LedgerError> {
    let (mut recovered, mut living) = (Recovered::default(), Vec::new());
    let here = folder::writers(journal_dir).map_err(|error| LedgerError::io(journal_dir, error))?;
    let elsewhere = known.iter().filter(|writer| !here.contains(&writer.id));
    let elsewhere: Vec<_> = elsewhere.map(|writer| (PathBuf::from(&writer.journal_dir), writer.id)).collect();
    for (dir, id) in here.iter().map(|id| (journal_dir.to_owned(), *id)).chain(elsewhere) {
        let position = known.iter().find(|writer| writer.id == id).map(|writer| writer.position);
        if recover_writer(&dir, id, position, dir == journal_dir, store, &mut recovered)? {
            continue;
        }
        // It has come since the look above, and has handed nothing over.
        if dir != journal_dir {
            return Err(LedgerError::StoreInUse { journal_dir: dir });
        }
        living.push(id);
    }
    Ok((recovered, living))
}

/// Finishes the journal of a process that was alive when this one began. `None`: it still is.
pub(super) fn recover_ended(journal_dir: &Path, id: Uuid, store: &dyn Store) -> Result<Option<Recovered>, LedgerError> {
    let mut recovered = Recovered::default();
    let Some(writer) = store.writers()?.into_iter().find(|writer| writer.id == id) else {
        // It has ended as it should, and left nothing.
        return Ok(Some(recovered));
    };
    let is_finished = recover_writer(journal_dir, id, Some(writer.position), true, store, &mut recovered)?;
    Ok(is_finished.then_some(recovered))
}

/// Balances are kept in memory, so one store cannot be served twice, not even with two journal folders.
fn refuse_second_server(journal_dir: &Path, known: &[Writer]) -> Result<(), LedgerError> {
    refuse_living(known.iter().filter(|writer| Path::new(&writer.journal_dir) != journal_dir))
}

/// Whoever lives of these serves from the store, or finishes what it had begun there.
pub(super) fn refuse_living<'w>(writers: impl IntoIterator<Item = &'w Writer>) -> Result<(), LedgerError> {
    for writer in writers {
        let dir = Path::new(&writer.journal_dir);
        let folder = folder::of_writer(dir, writer.id);
        if folder::is_taken(&folder).map_err(|error| LedgerError::io(&folder, error))? {
            return Err(LedgerError::StoreInUse { journal_dir: dir.to_owned() });
        }
    }
    Ok(())
}

/// A journal speaks of keys. A store that never had one is not where it belongs: the right one is not mounted, or was moved,
/// and whatever is carried into this one will be missing there.
fn refuse_journals_of_another_store(
    journal_dir: &Path,
    known: &[Writer],
    store: &dyn Store,
) -> Result<(), LedgerError> {
    let in_dir = |error| LedgerError::io(journal_dir, error);
    let unknown: Vec<_> = folder::writers(journal_dir).map_err(in_dir)?;
    let mut unknown = unknown.into_iter().filter(|id| !known.iter().any(|writer| writer.id == *id));
    let holds_records = |id: Uuid| {
        let numbers = segment::numbers(&folder::of_writer(journal_dir, id)).unwrap_or_default();
        !numbers.is_empty()
    };
    if unknown.any(holds_records) && store.keys_changed_since(0, &mut |_| {})? == 0 {
        return Err(LedgerError::OtherStore { journal_dir: journal_dir.to_owned() });
    }
    Ok(())
}

/// False: a living process has it.
fn recover_writer(
    journal_dir: &Path,
    id: Uuid,
    position: Option<Position>,
    is_ours: bool,
    store: &dyn Store,
    recovered: &mut Recovered,
) -> Result<bool, LedgerError> {
    let folder = folder::of_writer(journal_dir, id);
    let _lock: Option<FolderLock> = if folder.is_dir() {
        // Asked first: one look is enough to see that it is taken, and a process that takes over has no time to lose.
        if folder::is_taken(&folder).map_err(|error| LedgerError::io(&folder, error))? {
            return Ok(false);
        }
        match folder::lock(&folder).map_err(|error| LedgerError::io(&folder, error))? {
            Locking::Ours(lock) => Some(lock),
            Locking::Taken(_) => return Ok(false),
        }
    } else if is_ours || journal_dir.is_dir() {
        // The folder is gone. What of it was in the store can still be finished.
        None
    } else {
        // Perhaps a disk that is not mounted now.
        recovered.damage.push(format!("the journal folder {} cannot be found", folder.display()));
        return Ok(true);
    };
    let from = position.unwrap_or(START);
    let mut journal = DeadJournal { id, folder, position: from, wrote_at_ms: None, store, recovered };
    if position.is_none() {
        // Without it, a start that is cut short would not remember how far it got.
        let journal_dir = journal_dir.to_string_lossy().into_owned();
        store.writer_open(&Writer { id, journal_dir, position: START })?;
    }
    journal.finish(position.is_some())?;
    Ok(true)
}

/// Unix time at which a file was last written to, as the disk has it.
fn written_at_ms(path: &Path) -> Option<i64> {
    let written = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    i64::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// The journal of a process that has ended.
struct DeadJournal<'a> {
    id: Uuid,
    folder: PathBuf,
    position: Position,
    /// Unix time at which it last wrote there: from then on, nobody has heard of its requests. Journals tell no time themselves.
    wrote_at_ms: Option<i64>,
    store: &'a dyn Store,
    recovered: &'a mut Recovered,
}

impl DeadJournal<'_> {
    fn finish(&mut self, is_known: bool) -> Result<(), LedgerError> {
        let numbers = match segment::numbers(&self.folder) {
            Ok(numbers) => numbers,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(LedgerError::io(&self.folder, error)),
        };
        let mut read = Vec::new();
        let last = numbers.last().copied();
        self.wrote_at_ms = last.and_then(|number| written_at_ms(&segment::path(&self.folder, number)));
        for number in numbers {
            let damaged = number >= self.position.segment && self.apply_segment(number, Some(number) == last)?;
            read.push((number, damaged));
        }
        self.settle_open_holds()?;
        // Only now: as long as anything is left to do, everything it needs is still there.
        for (number, damaged) in read {
            dispose(&self.folder, number, damaged).map_err(|error| LedgerError::io(&self.folder, error))?;
        }
        self.store.writer_close(self.id)?;
        if self.folder.is_dir() {
            folder::remove(&self.folder).map_err(|error| LedgerError::io(&self.folder, error))?;
        }
        self.recovered.writers += usize::from(is_known || last.is_some());
        Ok(())
    }

    /// Applies what the store does not have of one segment. True: a part of it cannot be read.
    fn apply_segment(&mut self, number: u64, is_last: bool) -> Result<bool, LedgerError> {
        let path = segment::path(&self.folder, number);
        let bytes = std::fs::read(&path).map_err(|error| LedgerError::io(&path, error))?;
        let mut damaged = self.check_header(number, &bytes, is_last);
        if number > self.position.segment {
            self.position = Position { segment: number, offset: START.offset, ..self.position };
        }
        let from = usize::try_from(self.position.offset).unwrap_or(usize::MAX);
        let mut scan = Scan::new(&bytes, from, wire::seed_of(self.id));
        let mut gather = Gather::default();
        let mut next = self.position;
        loop {
            match scan.step() {
                Step::Record(decoded, end) => {
                    next.offset = end as u64;
                    // A group whose write failed may be in two segments; the second copy is passed over.
                    if decoded.sequence < next.sequence {
                        continue;
                    }
                    damaged |= self.check_sequence(number, next.sequence, decoded.sequence);
                    next.sequence = decoded.sequence + 1;
                    gather.push(decoded.event);
                    if gather.is_full() {
                        self.commit(std::mem::take(&mut gather), next)?;
                    }
                }
                Step::Damage(damage) => {
                    damaged = true;
                    self.report(number, &format!("bytes {} to {} are damaged", damage.from, damage.to));
                }
                Step::UnknownFormat(format, offset) => {
                    return Err(LedgerError::TooNew { path, format, offset });
                }
                Step::End { torn } => {
                    // A failed write may leave this behind; what it was to write is then in the next segment.
                    damaged |= torn && !is_last;
                    break;
                }
            }
        }
        self.commit(gather, next)?;
        Ok(damaged)
    }

    /// True: the header cannot be read. The last segment's may not have been written before the end.
    fn check_header(&mut self, number: u64, bytes: &[u8], is_last: bool) -> bool {
        let fits = |header: Header| header.writer_id == self.id && header.number == number;
        let readable = Header::decode(bytes).is_some_and(fits);
        let is_unwritten = is_last && bytes.iter().all(|byte| *byte == 0);
        if !readable && !is_unwritten {
            self.report(number, "its header is damaged");
        }
        !readable && !is_unwritten
    }

    fn check_sequence(&mut self, number: u64, expected: u64, found: u64) -> bool {
        if found > expected {
            self.report(number, &format!("records {expected} to {} are missing", found - 1));
        }
        found > expected
    }

    fn report(&mut self, number: u64, what: &str) {
        let path = segment::path(&self.folder, number);
        tracing::error!(path = %path.display(), "journal: {what}");
        self.recovered.damage.push(format!("{}: {what}", path.display()));
    }

    fn commit(&mut self, gather: Gather, position: Position) -> Result<(), LedgerError> {
        if position == self.position && gather.events() == 0 {
            return Ok(());
        }
        self.recovered.rows += self.store.apply(&gather.finish(self.id, position))?.rows;
        self.position = position;
        Ok(())
    }

    /// Bills what was running when the process died.
    fn settle_open_holds(&mut self) -> Result<(), LedgerError> {
        loop {
            let holds = self.store.open_holds(self.id, INTERRUPTED_AT_ONCE)?;
            if holds.is_empty() {
                return Ok(());
            }
            let mut batch = Batch { writer_id: self.id, position: self.position, ..Batch::default() };
            for hold in holds {
                let progress = hold.progress.as_ref();
                let mut record = LedgerRecord::interrupted(&hold.opening, hold.held_nanos, progress, self.wrote_at_ms);
                record.bound();
                batch.closed.push(record.request_id);
                batch.settled.push(record);
            }
            self.recovered.interrupted += self.store.apply(&batch)?.rows;
        }
    }
}
