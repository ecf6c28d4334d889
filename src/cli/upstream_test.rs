//! `tollgate upstream test`: a real call of a few tokens to each upstream.

use super::args::{Command, UpstreamTest};
use super::price_file::read_book;
use super::terminal::{Failure, Outcome, Terminal, plain};
use crate::clock::millis;
use crate::config::{self, Config, Model};
use crate::proxy::{Trial, model_to_probe, probe};
use crate::snapshot::{Snapshot, Upstream};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tollgate_plugin_api::Ports;

/// The operation that is asked for where the model's own would make a picture or needs a voice.
const LIST: &str = "models";

/// So much of an upstream's words is shown, in characters.
const WORDS_CHARS_MAX: usize = 300;

#[derive(Serialize)]
struct TestJson<'a> {
    upstream: &'a str,
    provider: &'a str,
    model: &'a str,
    endpoint: &'static str,
    ok: bool,
    status: Option<u16>,
    duration_ms: u64,
    message: String,
}

pub(super) fn test(arguments: &UpstreamTest, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.config(terminal)?;
    let snapshot = snapshot(&config)?;
    let chosen = chosen(arguments, &config, &snapshot)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Runtime(format!("no runtime: {error}")))?;
    let mut failed = 0;
    for (upstream, model) in &chosen {
        let tried = runtime.block_on(probe(&snapshot, upstream, model));
        failed += usize::from(!tried.is_answer);
        show(upstream, model, &tried, arguments.json, terminal)?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Runtime(format!("{failed} of {} upstreams failed", chosen.len()))),
    }
}

fn snapshot(config: &Config) -> Result<Snapshot, Failure> {
    let ports = Ports::to_nothing();
    Ok(config::build(config, Arc::new(read_book(config)?), &ports, None)?)
}

/// The upstreams to be called, each with its model.
fn chosen(
    arguments: &UpstreamTest,
    config: &Config,
    snapshot: &Snapshot,
) -> Result<Vec<(Arc<Upstream>, Model)>, Failure> {
    let usage = |message: String| Failure::Usage(vec![format!("tollgate: {message}")]);
    // The snapshot has them in the order of the file.
    let rows = config.upstreams.iter().zip(&snapshot.upstreams);
    let wanted = |name: &str| arguments.name.as_deref().is_none_or(|wanted| wanted == name);
    let serves = |model: &&Model| arguments.model.as_deref().is_none_or(|wanted| wanted == model.name);
    let mut named = 0;
    let mut chosen = Vec::new();
    for (row, upstream) in rows.filter(|(row, _)| wanted(&row.name)) {
        named += 1;
        let model = model_to_probe(row.models.iter().filter(serves), &upstream.provider.dialects);
        chosen.extend(model.map(|model| (upstream.clone(), model.clone())));
    }
    match (chosen.is_empty(), named, &arguments.name) {
        (false, ..) => Ok(chosen),
        (true, 0, Some(name)) => Err(usage(format!("there is no upstream `{name}`; see `tollgate upstream list`"))),
        (true, 0, None) => Err(usage("there is no upstream".into())),
        (true, ..) => {
            let model = arguments.model.as_deref().unwrap_or_default();
            Err(usage(format!("no such upstream serves the model `{model}`; see `tollgate upstream list`")))
        }
    }
}

/// The message of an error answer, wherever it has one; else its beginning.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let message = ["/error/message", "/0/error/message", "/message", "/error", "/detail"]
        .iter()
        .find_map(|place| document.pointer(place)?.as_str().map(str::to_owned));
    plain(&message.unwrap_or_else(|| text.into_owned())).chars().take(WORDS_CHARS_MAX).collect()
}

fn show(upstream: &Upstream, model: &Model, tried: &Trial, json: bool, terminal: &mut Terminal<'_>) -> Outcome {
    let ok = tried.is_answer;
    let duration_ms = millis(tried.duration);
    let message = match &tried.status {
        Ok(_) if ok => String::new(),
        Ok(status) if status / 100 == 2 => format!("no answer of this API: {}", words(&tried.body)),
        Ok(_) => words(&tried.body),
        Err(why) => plain(why),
    };
    if json {
        return terminal.json(&TestJson {
            upstream: &upstream.name,
            provider: &upstream.provider.name,
            model: &model.name,
            endpoint: tried.operation,
            ok,
            status: tried.status.as_ref().ok().copied(),
            duration_ms,
            message,
        });
    }
    let found = match &tried.status {
        Ok(status) if ok && tried.operation == LIST => format!("ok ({status}, its list of models)"),
        Ok(status) if ok => format!("ok ({status})"),
        Ok(status) => format!("answered {status}: {message}"),
        Err(_) => format!("no answer: {message}"),
    };
    writeln!(terminal.out, "{}  {}  {found}  {duration_ms} ms", upstream.name, plain(&model.name))?;
    // Each as soon as it is known.
    Ok(terminal.out.flush()?)
}
