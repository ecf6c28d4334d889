//! `tollgate explain`: where a finished request went, why, and what it cost.

use super::amount::usd;
use super::args::{Command, ExplainArgs};
use super::open_to_read;
use super::price_file::read_book;
use super::terminal::{Failure, Outcome, Terminal, plain};
use super::time::short;
use crate::explain::Explained;
use crate::ledger::LedgerRecord;

pub(super) fn run(arguments: &ExplainArgs, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.places(terminal)?;
    let book = read_book(&config)?;
    let none = || Failure::Runtime(format!("there is no record of request {}", arguments.request_id));
    let Some(store) = open_to_read(&config, terminal)? else { return Err(none()) };
    let record = store.ledger_find(arguments.request_id)?.ok_or_else(none)?;
    let trail = store.trail(arguments.request_id)?;
    // Providers' keys are not needed; a file that is wrong elsewhere still says which prices are meant.
    let whole = command.config(terminal).unwrap_or(config);
    let explained = Explained::of(&record, trail.as_deref(), &whole, &book);
    if arguments.json {
        return terminal.json(&explained);
    }
    summary(&record, terminal)?;
    routing(&explained, terminal)?;
    arithmetic(&record, &explained, terminal)
}

fn summary(record: &LedgerRecord, terminal: &mut Terminal<'_>) -> Outcome {
    let outcome = match &record.error_code {
        Some(code) => format!("{}: {}", record.outcome.as_str(), plain(code)),
        None => record.outcome.as_str().to_owned(),
    };
    let usage = &record.metered.usage;
    let part = |count: u64, what: &str| if count > 0 { format!(", of which {count} {what}") } else { String::new() };
    let cached = part(usage.cached_input_tokens, "cached") + &part(usage.cache_write_tokens, "written to the cache");
    terminal.pairs(&[
        ("request", record.request_id.to_string()),
        ("arrived", format!("{} UTC", short(record.started_at_ms))),
        ("key", format!("{} ({})", plain(&record.key_name), record.key_id)),
        ("user", record.user.as_deref().map(plain).unwrap_or_default()),
        ("asked for", format!("{} ({}, {})", plain(&record.model), record.endpoint, record.dialect)),
        ("status", if record.status == 0 { String::new() } else { record.status.to_string() }),
        ("outcome", outcome),
        ("first token", record.ttft_ms.map(|ms| format!("after {ms} ms")).unwrap_or_default()),
        ("end", format!("after {} ms", record.duration_ms)),
        ("input", format!("{} tokens{cached}", usage.input_tokens)),
        ("output", format!("{} tokens{}", usage.output_tokens, part(usage.reasoning_tokens, "reasoning"))),
        ("counts", record.metered.source.as_str().to_owned()),
        (
            "cost",
            if record.price_missing {
                format!("{} (no price)", usd(record.cost_nanos))
            } else {
                usd(record.cost_nanos)
            },
        ),
    ])
}

fn routing(explained: &Explained<'_>, terminal: &mut Terminal<'_>) -> Outcome {
    writeln!(terminal.out, "\nAttempts")?;
    let attempts = explained.attempts.iter().map(|attempt| {
        vec![
            plain(&attempt.upstream),
            plain(&attempt.upstream_model),
            attempt.started_ms.to_string(),
            attempt.duration_ms.to_string(),
            plain(&attempt.outcome),
            attempt.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
            attempt.error.as_deref().map(plain).unwrap_or_default(),
        ]
    });
    terminal.table(&["upstream", "model", "from ms", "took ms", "outcome", "status", "error"], &[2, 3, 5], attempts)?;
    writeln!(terminal.out, "\nCandidates")?;
    let candidates = explained.candidates.iter().map(|candidate| {
        let taken = if candidate.taken { "taken" } else { "passed over" };
        vec![plain(&candidate.upstream), taken.to_owned(), plain(&candidate.why)]
    });
    terminal.table(&["upstream", "", "why"], &[], candidates)?;
    if explained.candidates_left_out > 0 {
        writeln!(terminal.out, "and {} more", explained.candidates_left_out)?;
    }
    Ok(())
}

fn arithmetic(record: &LedgerRecord, explained: &Explained<'_>, terminal: &mut Terminal<'_>) -> Outcome {
    if explained.price_lines.is_empty() && explained.price_is_the_same {
        return Ok(());
    }
    writeln!(terminal.out, "\nPrice")?;
    for line in &explained.price_lines {
        let sum = if line.usd.is_empty() { String::new() } else { format!(" = {} USD", line.usd) };
        writeln!(terminal.out, "{}: {}{sum}", line.what, plain(&line.how))?;
    }
    if !explained.price_is_the_same && explained.price_now_nanos == Some(record.cost_nanos) {
        writeln!(terminal.out, "The prices have changed since; by those in force now, it costs the same.")?;
    } else if !explained.price_is_the_same {
        let (billed, version) = (usd(record.cost_nanos), plain(&record.price_version));
        let now = match explained.price_now_nanos.map(usd) {
            Some(now) => format!("these prices are the ones in force now, and come to {now}"),
            None => "there is no price for it any more".to_owned(),
        };
        writeln!(terminal.out, "It was billed {billed} by price version {version}; {now}.")?;
    }
    Ok(())
}
