//! `tollgate price import`

use super::super::args::PriceImport;
use super::super::price_file::{default_prices, read_text, unwritten};
use super::super::terminal::{Failure, Outcome, Terminal, plain};
use crate::config::Config;
use crate::price::PriceBook;
use crate::price::import::{self, Import, ImportedRow, Selection, Unread};
use crate::replace::Turn;
use std::collections::BTreeMap;

/// Models that are named for one reason.
const NAMES_MAX: usize = 5;

pub(super) fn import(arguments: &PriceImport, config: &Config, terminal: &mut Terminal<'_>) -> Outcome {
    let file = &config.pricing.file;
    let turn = arguments.write.then(|| Turn::take(file).map_err(|error| unwritten(file, &error))).transpose()?;
    let before = read_text(file)?;
    let text = before.as_deref().unwrap_or_else(|| default_prices(config));
    // A file with a mistake in it is shown with the mistake's place.
    PriceBook::parse(text).map_err(|errors| super::super::price_file::listed(file, &errors))?;
    let wrong = |why: String| Failure::Usage(vec![format!("{}: {why}", arguments.file.display())]);
    let published = read_text(&arguments.file)?.ok_or_else(|| wrong("there is no such file".into()))?;
    let today = jiff::Timestamp::from_millisecond(terminal.now_ms).unwrap_or_default().strftime("%F").to_string();
    let selection = Selection {
        format: arguments.format.as_deref(),
        models: &arguments.models,
        provider: arguments.provider.as_deref(),
        today: &today,
    };
    let import = import::import(text, &published, &selection).map_err(wrong)?;
    let turn = turn.filter(|_| !import.rows.is_empty());
    if let Some(turn) = &turn {
        turn.replace(&import.text).map_err(|error| unwritten(file, &error))?;
    }
    let writes = turn.is_some();
    drop(turn);
    if arguments.json {
        return objects(&import, writes, terminal);
    }
    for row in &import.rows {
        writeln!(terminal.out, "{}", line(row))?;
    }
    unread(&import.unread, terminal)?;
    let count = |created: bool| import.rows.iter().filter(|row| row.created == created).count();
    let (added, changed, unchanged, left) = (count(true), count(false), import.unchanged, import.unread.len());
    writeln!(
        terminal.out,
        "{}: {added} new, {changed} changed, {unchanged} as they are, {left} not read",
        import.format
    )?;
    match (writes, import.rows.is_empty()) {
        (true, _) => writeln!(terminal.out, "{} is written", file.display())?,
        (_, true) => terminal.remark("There is nothing to change.")?,
        _ => terminal.remark(&format!("Nothing is written. To change {}: --write", file.display()))?,
    }
    Ok(())
}

fn line(row: &ImportedRow) -> String {
    let mut line = format!("{} {}", if row.created { "+" } else { "~" }, plain(&row.model));
    if let Some(provider) = &row.provider {
        line.push_str(&format!(" at {}", plain(provider)));
    }
    let keys = row.keys.iter().map(|change| match &change.old {
        Some(old) => format!("{} {} -> {}", change.key, plain(old), plain(&change.new)),
        None => format!("{} {}", change.key, plain(&change.new)),
    });
    line.push_str(&format!(": {}", keys.collect::<Vec<_>>().join(", ")));
    if !row.kept.is_empty() {
        line.push_str(&format!(" (stays: {})", row.kept.join(", ")));
    }
    if !row.notes.is_empty() {
        line.push_str(&format!(" ({})", plain(&row.notes.join("; "))));
    }
    line
}

/// What could not be read, by the reason.
fn unread(unread: &[Unread], terminal: &mut Terminal<'_>) -> Outcome {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Unread { seller, model, why } in unread {
        let name = if seller.is_empty() { plain(model) } else { format!("{}/{}", plain(seller), plain(model)) };
        reasons.entry(why).or_default().push(name);
    }
    for (why, names) in reasons {
        let more = names.len().saturating_sub(NAMES_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let names = names.into_iter().take(NAMES_MAX).collect::<Vec<_>>().join(", ");
        writeln!(terminal.out, "! {}: {names}{more}", plain(why))?;
    }
    Ok(())
}

fn objects(import: &Import, written: bool, terminal: &mut Terminal<'_>) -> Outcome {
    for row in &import.rows {
        let keys: BTreeMap<&str, _> = row
            .keys
            .iter()
            .map(|change| (&*change.key, serde_json::json!({ "old": change.old, "new": change.new })))
            .collect();
        let change = if row.created { "added" } else { "changed" };
        terminal.json(&serde_json::json!({
            "change": change, "model": row.model, "provider": row.provider, "keys": keys,
            "kept": row.kept, "notes": row.notes,
        }))?;
    }
    for Unread { seller, model, why } in &import.unread {
        terminal.json(&serde_json::json!({ "change": "unread", "model": model, "seller": seller, "why": why }))?;
    }
    let count = |created: bool| import.rows.iter().filter(|row| row.created == created).count();
    terminal.json(&serde_json::json!({
        "change": "summary", "format": import.format, "added": count(true), "changed": count(false),
        "unchanged": import.unchanged, "unread": import.unread.len(), "written": written,
    }))
}
