//! `tollgate log …`

use super::amount::usd;
use super::args::{Command, LogList};
use super::open_to_read;
use super::terminal::{Outcome, Terminal, plain};
use super::time::short;
use crate::ledger::LedgerRecord;
use crate::shown::RecordJson;
use crate::store::{KeyRef, LedgerFilter};
use tollgate_plugin_api::UsageSource;

/// Rows that people get when they do not say.
const ROWS_FOR_PEOPLE: u64 = 50;

pub(super) fn list(arguments: &LogList, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.places(terminal)?;
    let Some(store) = open_to_read(&config, terminal)? else { return Ok(()) };
    let filter = LedgerFilter {
        since_ms: arguments.since.map(|since| since.resolve(terminal.now_ms)),
        key: arguments.key.as_deref().map(KeyRef::parse),
        model: arguments.model.clone(),
        limit: arguments.limit.or((!arguments.json).then_some(ROWS_FOR_PEOPLE)),
        ..LedgerFilter::default()
    };
    if arguments.json {
        let mut outcome = Ok(());
        store.ledger_rows(&filter, &mut |record| {
            if outcome.is_ok() {
                outcome = terminal.json(&RecordJson::of(&record));
            }
        })?;
        return outcome;
    }
    let mut rows = Vec::new();
    store.ledger_rows(&filter, &mut |record| rows.push(row(&record)))?;
    if rows.is_empty() {
        let narrowed = filter.since_ms.is_some() || filter.key.is_some() || filter.model.is_some();
        let what =
            if narrowed { "No record matches." } else { "There are no records yet: no request was sent upstream." };
        return terminal.remark(what);
    }
    let shown = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let head = ["time (UTC)", "key", "model", "upstream", "status", "outcome", "input", "output", "cost", "ms"];
    terminal.table(&head, &[4, 6, 7, 8, 9], rows.into_iter())?;
    if arguments.limit.is_none() && shown == ROWS_FOR_PEOPLE {
        terminal.remark(&format!("The latest {ROWS_FOR_PEOPLE}; --limit N shows more."))?;
    }
    Ok(())
}

fn row(record: &LedgerRecord) -> Vec<String> {
    // An estimate is no fact, and must not look like one.
    let about = if record.metered.source == UsageSource::Estimated { "~" } else { "" };
    let outcome = match &record.error_code {
        Some(code) => format!("{}: {}", record.outcome.as_str(), plain(code)),
        None => record.outcome.as_str().into(),
    };
    vec![
        short(record.started_at_ms),
        plain(&record.key_name),
        plain(&record.model),
        plain(if record.upstream.is_empty() { "-" } else { &record.upstream }),
        if record.status == 0 { "-".into() } else { record.status.to_string() },
        outcome,
        format!("{about}{}", record.metered.usage.input_tokens),
        format!("{about}{}", record.metered.usage.output_tokens),
        if record.price_missing { format!("{} (no price)", usd(record.cost_nanos)) } else { usd(record.cost_nanos) },
        record.duration_ms.to_string(),
    ]
}
