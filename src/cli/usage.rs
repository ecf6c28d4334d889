//! `tollgate usage`

use super::amount::usd;
use super::args::{Command, UsageArgs};
use super::open_to_read;
use super::terminal::{Outcome, Terminal, plain};
use crate::shown::SumJson;
use crate::store::{KeyRef, LedgerFilter, UsageBy, UsageSum};
use serde::Serialize;

/// A sum as `--json` shows it.
#[derive(Serialize)]
struct Summed {
    by: &'static str,
    #[serde(flatten)]
    sum: SumJson,
}

pub(super) fn run(arguments: &UsageArgs, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.places(terminal)?;
    let Some(store) = open_to_read(&config, terminal)? else { return Ok(()) };
    let (by, word) = (arguments.by, arguments.by.as_str());
    let filter = LedgerFilter {
        since_ms: arguments.since.map(|since| since.resolve(terminal.now_ms)),
        key: arguments.key.as_deref().map(KeyRef::parse),
        model: arguments.model.clone(),
        ..LedgerFilter::default()
    };
    let sums = store.usage_sums(by, &filter)?;
    if arguments.json {
        return sums.into_iter().try_for_each(|sum| terminal.json(&Summed { by: word, sum: SumJson::of(sum) }));
    }
    if sums.is_empty() {
        return terminal.remark("There is nothing to sum up: no record matches.");
    }
    let head = [word, "requests", "input", "cached", "output", "cost", ""];
    let total = total(&sums);
    // A key may be nobody's; everything else has a name, unless it was never known.
    let nameless = if by == UsageBy::User { "(none)" } else { "(unknown)" };
    let rows = sums.iter().chain((sums.len() > 1).then_some(&total)).map(|sum| row(sum, nameless));
    terminal.table(&head, &[1, 2, 3, 4, 5], rows)
}

fn row(sum: &UsageSum, nameless: &str) -> Vec<String> {
    let remarks = [(sum.estimated, "estimated"), (sum.price_missing, "without a price")];
    let remarks = remarks.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    vec![
        if sum.name.is_empty() { nameless.into() } else { plain(&sum.name) },
        sum.requests.to_string(),
        sum.usage.input_tokens.to_string(),
        sum.usage.cached_input_tokens.to_string(),
        sum.usage.output_tokens.to_string(),
        usd(sum.cost_nanos),
        remarks.collect::<Vec<_>>().join(", "),
    ]
}

fn total(sums: &[UsageSum]) -> UsageSum {
    let mut total = UsageSum { name: "total".into(), ..UsageSum::default() };
    for sum in sums {
        total.requests = total.requests.saturating_add(sum.requests);
        total.usage.input_tokens = total.usage.input_tokens.saturating_add(sum.usage.input_tokens);
        total.usage.cached_input_tokens = total.usage.cached_input_tokens.saturating_add(sum.usage.cached_input_tokens);
        total.usage.output_tokens = total.usage.output_tokens.saturating_add(sum.usage.output_tokens);
        total.cost_nanos = total.cost_nanos.saturating_add(sum.cost_nanos);
        total.estimated = total.estimated.saturating_add(sum.estimated);
        total.price_missing = total.price_missing.saturating_add(sum.price_missing);
    }
    total
}
