//! `tollgate ledger …`

use super::args::Command;
use super::open_to_read;
use super::terminal::{Failure, Outcome, Terminal, plain};
use crate::ledger;
use serde::Serialize;

/// A report as `--json` shows it.
#[derive(Serialize)]
struct ReportJson<'a> {
    ok: bool,
    rows: u64,
    cost_nanos: i128,
    journal_records: u64,
    problems_found: u64,
    problems: &'a [String],
    notes: &'a [String],
}

pub(super) fn verify(json: bool, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.places(terminal)?;
    let Some(store) = open_to_read(&config, terminal)? else {
        return Err(Failure::Runtime("there is no ledger to verify".into()));
    };
    let report = ledger::verify(store.as_ref(), &config.ledger.journal_dir)?;
    if json {
        terminal.json(&ReportJson {
            ok: report.is_clean(),
            rows: report.rows,
            cost_nanos: report.cost_nanos,
            journal_records: report.journal_records,
            problems_found: report.problems_found,
            problems: &report.problems,
            notes: &report.notes,
        })?;
    } else {
        let (rows, cost, journal) = (report.rows, usd(report.cost_nanos), report.journal_records);
        writeln!(terminal.out, "{rows} records, {cost} in all; {journal} journal records")?;
        for note in &report.notes {
            writeln!(terminal.out, "note: {}", plain(note))?;
        }
        for problem in &report.problems {
            writeln!(terminal.out, "PROBLEM: {}", plain(problem))?;
        }
    }
    if !report.is_clean() {
        return Err(Failure::Runtime(format!(
            "the ledger does not agree with itself: {} problems",
            report.problems_found
        )));
    }
    if !json {
        writeln!(terminal.out, "Records, hashes, balances and journals agree.")?;
    }
    Ok(())
}

/// A sum over a whole ledger may be more than one amount can be.
fn usd(nanos: i128) -> String {
    i64::try_from(nanos).map_or_else(|_| format!("{nanos} nano-USD"), super::amount::usd)
}
