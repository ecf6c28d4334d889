//! `tollgate log …`

use super::amount::usd;
use super::args::{Command, LogList};
use super::open_to_read;
use super::terminal::{Outcome, Terminal, plain};
use super::time::{rfc3339, short};
use crate::ledger::LedgerRecord;
use crate::store::{KeyRef, LedgerFilter};
use serde::Serialize;
use tollgate_plugin_api::{ExtraUsage, ServiceTier, UsageDetail, UsageSource};
use uuid::Uuid;

/// Rows that people get when they do not say.
const ROWS_FOR_PEOPLE: u64 = 50;

/// A record as `--json` shows it: the contract's fields, then what else the ledger knows.
#[derive(Serialize)]
struct RecordJson<'a> {
    request_id: Uuid,
    started_at: String,
    key_id: i64,
    key_name: &'a str,
    user: Option<&'a str>,
    group: &'a str,
    endpoint: &'a str,
    dialect: &'a str,
    model: &'a str,
    upstream: Option<&'a str>,
    upstream_model: Option<&'a str>,
    stream: bool,
    status: u16,
    outcome: &'static str,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    usage_source: &'static str,
    cost_nanos: i64,
    price_version: &'a str,
    price_missing: bool,
    attempts: u32,
    ttft_ms: Option<u64>,
    duration_ms: u64,
    error_code: Option<&'a str>,
    held_nanos: i64,
    overshoot: bool,
    disbelieved: bool,
    service_tier: ServiceTier,
    detail: &'a UsageDetail,
    extras: &'a [ExtraUsage],
}

impl<'a> RecordJson<'a> {
    fn of(record: &'a LedgerRecord) -> Self {
        let known = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        let metered = &record.metered;
        Self {
            request_id: record.request_id,
            started_at: rfc3339(record.started_at_ms),
            key_id: record.key_id,
            key_name: &record.key_name,
            user: record.user.as_deref(),
            group: &record.group,
            endpoint: &record.endpoint,
            dialect: &record.dialect,
            model: &record.model,
            upstream: known(&record.upstream),
            upstream_model: known(&record.upstream_model),
            stream: record.stream,
            status: record.status,
            outcome: record.outcome.as_str(),
            input_tokens: metered.usage.input_tokens,
            cached_input_tokens: metered.usage.cached_input_tokens,
            cache_write_tokens: metered.usage.cache_write_tokens,
            output_tokens: metered.usage.output_tokens,
            reasoning_tokens: metered.usage.reasoning_tokens,
            usage_source: metered.source.as_str(),
            cost_nanos: record.cost_nanos,
            price_version: &record.price_version,
            price_missing: record.price_missing,
            attempts: record.attempts,
            ttft_ms: record.ttft_ms,
            duration_ms: record.duration_ms,
            error_code: record.error_code.as_deref(),
            held_nanos: record.held_nanos,
            overshoot: record.overshoot,
            disbelieved: metered.disbelieved,
            service_tier: metered.tier,
            detail: &metered.detail,
            extras: &metered.extras,
        }
    }
}

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
