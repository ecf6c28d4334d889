//! `ledger verify`: proves that the ledger's rows are the ones that were written, and that balances and journals agree
//! with them. Reads only; a server may be running.

use super::apply::DAMAGED_EXTENSION;
use super::chain::row_hash;
use super::folder;
use super::segment::{self, Header, Scan, Step};
use super::wire::{self, Event};
use crate::store::{Audit, ChainedRow, Position, Result, Store};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use uuid::Uuid;

/// Most problems that are told in words; all are counted.
const PROBLEMS_TOLD_MAX: usize = 100;

/// A segment that is being written may be seen half-way; then it is looked at again.
const LOOKS: u32 = 5;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows of the ledger.
    pub rows: u64,
    /// Sum of their costs, in nano-USD.
    pub cost_nanos: i128,
    /// Records in the journals that were compared with the ledger, or wait for it.
    pub journal_records: u64,
    /// What must not be, in words; the first hundred.
    pub problems: Vec<String>,
    /// How many problems there are.
    pub problems_found: u64,
    /// What is worth knowing and no problem: holds that are open, journals that wait for the next start.
    pub notes: Vec<String>,
}

impl Report {
    /// True: no problem was found.
    pub fn is_clean(&self) -> bool {
        self.problems_found == 0
    }

    fn problem(&mut self, problem: impl Into<String>) {
        self.problems_found += 1;
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(problem.into());
        }
    }
}

/// Verifies the store, and the journals in `journal_dir` against it.
///
/// # Errors
/// The store cannot be read at all. Everything else is told by the report.
pub fn verify(store: &dyn Store, journal_dir: &Path) -> Result<Report> {
    let mut report = Report::default();
    let mut walk = Walk::default();
    let audit = store.audit(&mut |row| walk.row(row, &mut report))?;
    walk.finish(&audit, &mut report);
    check_open_holds(store, &audit, journal_dir, &mut report)?;
    Journals { store, audit: &audit, report: &mut report }.check(journal_dir)?;
    Ok(report)
}

/// The walk along the chain.
#[derive(Default)]
struct Walk {
    sequence: i64,
    hash: [u8; 32],
    /// What each key has spent, going by the rows.
    spent: BTreeMap<i64, i128>,
    /// What each user's keys have.
    spent_by_user: BTreeMap<String, i128>,
}

impl Walk {
    fn row(&mut self, row: std::result::Result<ChainedRow, String>, report: &mut Report) {
        report.rows += 1;
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                report.problem(format!("ledger: a row after row {} cannot be read: {error}", self.sequence));
                return;
            }
        };
        if row.sequence != self.sequence + 1 {
            report.problem(format!("ledger: row {} follows row {}", row.sequence, self.sequence));
        }
        if row.hash != row_hash(&self.hash, row.sequence, &row.record) {
            let request_id = row.record.request_id;
            report.problem(format!("ledger: row {} (request {request_id}) is not what was written", row.sequence));
        }
        report.cost_nanos += i128::from(row.record.cost_nanos);
        *self.spent.entry(row.record.key_id).or_default() += i128::from(row.record.cost_nanos);
        if let Some(user) = row.record.user.as_deref().filter(|user| !user.is_empty()) {
            *self.spent_by_user.entry(user.to_owned()).or_default() += i128::from(row.record.cost_nanos);
        }
        // On with the stored hash: a row that was changed is one problem, not one for every row behind it.
        (self.sequence, self.hash) = (row.sequence, row.hash);
    }

    fn finish(self, audit: &Audit, report: &mut Report) {
        let is_sound = report.is_clean();
        audit.integrity.iter().for_each(|problem| report.problem(format!("database: {problem}")));
        if is_sound {
            // What does not agree with a row that was changed is that row's problem.
            audit.sums.iter().for_each(|problem| report.problem(format!("sums: {problem}")));
        }
        if (self.sequence, self.hash) != (audit.head_sequence, audit.head_hash) {
            let (last, head) = (self.sequence, audit.head_sequence);
            report.problem(format!("ledger: it ends with row {last}, but the end of the chain was row {head}"));
        }
        check_balances("key", &audit.balances, self.spent, report);
        if let Some(balances) = &audit.user_balances {
            check_balances("user", balances, self.spent_by_user, report);
        }
    }
}

/// Whether each balance is the sum of its rows.
fn check_balances<I: Ord + Display>(
    kind: &str,
    balances: &[(I, i64)],
    mut sums: BTreeMap<I, i128>,
    report: &mut Report,
) {
    for (id, spent_nanos) in balances {
        let sum = sums.remove(id).unwrap_or(0);
        if sum.min(i128::from(i64::MAX)) != i128::from(*spent_nanos) {
            report.problem(format!("balance: {kind} {id} has {spent_nanos} nano-USD spent, its rows sum to {sum}"));
        }
    }
    for (id, sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
        report.problem(format!("balance: {kind} {id} has none, its rows sum to {sum} nano-USD"));
    }
}

fn check_open_holds(store: &dyn Store, audit: &Audit, journal_dir: &Path, report: &mut Report) -> Result<()> {
    let mut by_writer = BTreeMap::<Uuid, u64>::new();
    for hold in &audit.open_holds {
        let (writer_id, hold) = match hold {
            Ok((writer_id, hold)) => (*writer_id, hold),
            Err(error) => {
                report.problem(format!("open hold: one cannot be read: {error}"));
                continue;
            }
        };
        *by_writer.entry(writer_id).or_default() += 1;
        let request_id = hold.opening.request_id;
        if store.ledger_find(request_id).is_ok_and(|row| row.is_some()) && is_still_open(store, writer_id, request_id)?
        {
            report.problem(format!("open hold: request {request_id} is still open, and billed already"));
        }
    }
    for (writer_id, count) in by_writer {
        let Some(writer) = audit.writers.iter().find(|writer| writer.id == writer_id) else {
            report.problem(format!("open hold: {count} of writer {writer_id}, which has ended"));
            continue;
        };
        let dir =
            if folder::of_writer(journal_dir, writer_id).is_dir() { journal_dir } else { writer.journal_dir.as_ref() };
        let is_alive = folder::is_taken(&folder::of_writer(dir, writer_id)).unwrap_or(false);
        report.notes.push(match is_alive {
            true => format!("{count} requests hold amounts"),
            false => format!("{count} requests were cut off; the next start settles them"),
        });
    }
    Ok(())
}

/// The audit may be older than the row that was found.
fn is_still_open(store: &dyn Store, writer_id: Uuid, request_id: Uuid) -> Result<bool> {
    let holds = store.open_holds(writer_id, usize::MAX)?;
    Ok(holds.iter().any(|hold| hold.opening.request_id == request_id))
}

/// The journals in a folder, and what the store says of them.
struct Journals<'a> {
    store: &'a dyn Store,
    audit: &'a Audit,
    report: &'a mut Report,
}

impl Journals<'_> {
    fn check(&mut self, journal_dir: &Path) -> Result<()> {
        let writers = match folder::writers(journal_dir) {
            Ok(writers) => writers,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.report.problem(format!("{}: {error}", journal_dir.display()));
                return Ok(());
            }
        };
        self.note_damaged(journal_dir);
        for id in writers {
            let folder = folder::of_writer(journal_dir, id);
            let Ok(numbers) = segment::numbers(&folder) else { continue };
            let last = numbers.last().copied();
            for number in numbers {
                self.check_segment(&folder, id, number, Some(number) == last)?;
            }
            if !folder::is_taken(&folder).unwrap_or(false) {
                self.report.notes.push(format!("journal {id}: its process has ended; the next start finishes it"));
            }
        }
        Ok(())
    }

    /// What recovery could not read is kept for people to look at.
    fn note_damaged(&mut self, journal_dir: &Path) {
        let Ok(entries) = std::fs::read_dir(journal_dir) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|extension| extension == DAMAGED_EXTENSION) {
                self.report.notes.push(format!("{}: a damaged segment that was set aside", path.display()));
            }
        }
    }

    fn check_segment(&mut self, folder: &Path, id: Uuid, number: u64, is_last: bool) -> Result<()> {
        let path = segment::path(folder, number);
        let mut looks = 0;
        let (bytes, problems) = loop {
            // A server removes segments as they get into the store.
            let Ok(bytes) = std::fs::read(&path) else { return Ok(()) };
            let problems = problems_of(&bytes, id, number, is_last);
            looks += 1;
            if problems.is_empty() || looks == LOOKS {
                break (bytes, problems);
            }
        };
        for problem in problems {
            self.report.problem(format!("{}: {problem}", path.display()));
        }
        let position = self.audit.writers.iter().find(|writer| writer.id == id).map(|writer| writer.position);
        self.compare(&bytes, id, position.unwrap_or_default())
    }

    /// Every settlement that the store claims to have must be in the ledger as the journal has it.
    fn compare(&mut self, bytes: &[u8], id: Uuid, position: Position) -> Result<()> {
        let mut scan = Scan::new(bytes, segment::HEADER_BYTES, wire::seed_of(id));
        loop {
            let decoded = match scan.step() {
                Step::Record(decoded, _) => decoded,
                Step::Damage(_) => continue,
                Step::UnknownFormat(..) | Step::End { .. } => return Ok(()),
            };
            self.report.journal_records += 1;
            let Event::Settle(record) = decoded.event else { continue };
            if decoded.sequence >= position.sequence {
                continue;
            }
            // An unreadable row was told by the walk.
            let Ok(row) = self.store.ledger_find(record.request_id) else { continue };
            let request_id = record.request_id;
            if row.is_none() {
                self.report
                    .problem(format!("journal {id}: request {request_id} was settled, and is not in the ledger"));
            } else if row.as_ref() != Some(&*record) {
                self.report.problem(format!("journal {id}: request {request_id} differs from its row in the ledger"));
            }
        }
    }
}

fn problems_of(bytes: &[u8], id: Uuid, number: u64, is_last: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let readable = Header::decode(bytes).is_some_and(|header| header.writer_id == id && header.number == number);
    let is_unwritten = is_last && bytes.iter().all(|byte| *byte == 0);
    if !readable && !is_unwritten {
        problems.push("its header is damaged".to_owned());
    }
    let mut scan = Scan::new(bytes, segment::HEADER_BYTES, wire::seed_of(id));
    let mut next_sequence = None;
    loop {
        match scan.step() {
            Step::Record(decoded, end) => {
                if next_sequence.is_some_and(|next| decoded.sequence > next) {
                    problems.push(format!("records are missing before byte {end}"));
                }
                next_sequence = Some(decoded.sequence + 1);
            }
            Step::Damage(damage) => problems.push(format!("bytes {} to {} are damaged", damage.from, damage.to)),
            Step::UnknownFormat(format, offset) => {
                problems.push(format!("a newer tollgate wrote it (format {format} at byte {offset})"));
                return problems;
            }
            Step::End { .. } => return problems,
        }
    }
}
