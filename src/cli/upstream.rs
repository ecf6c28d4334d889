//! `tollgate upstream …`

use super::args::Command;
use super::terminal::{Outcome, Terminal, plain};
use crate::config::{Config, Model, Upstream};
use serde::Serialize;

#[derive(Serialize)]
struct UpstreamJson<'a> {
    name: &'a str,
    provider: &'a str,
    base_url: String,
    models: Vec<ModelJson<'a>>,
    weight: u32,
    priority: u32,
    groups: &'a [String],
    has_key: bool,
}

#[derive(Serialize)]
struct ModelJson<'a> {
    name: &'a str,
    upstream_model: &'a str,
}

impl<'a> ModelJson<'a> {
    fn of(model: &'a Model) -> Self {
        Self { name: &model.name, upstream_model: &model.upstream_model }
    }
}

pub(super) fn list(json: bool, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = match command.config_file() {
        Some(file) => Config::load_upstreams(file, terminal.env)?,
        None => Config::from_environment(terminal.env),
    };
    if json {
        // One that is not set where this runs is configured all the same.
        let has_key = |(index, upstream): (usize, &Upstream)| {
            upstream.api_key.is_some() || config.has_upstream_key(index, "api_key")
        };
        let mut upstreams = config.upstreams.iter().enumerate();
        return upstreams.try_for_each(|row| terminal.json(&object(row.1, has_key(row))));
    }
    if config.upstreams.is_empty() {
        return terminal.remark(
            "There are no upstreams. Add one to the config file ([[upstream]]), or set a provider's variable \
             (OPENAI_API_KEY, ANTHROPIC_API_KEY …) and start without a config file.",
        );
    }
    let head = ["name", "provider", "base url", "priority", "weight", "groups", "models"];
    terminal.table(&head, &[3, 4], config.upstreams.iter().map(row))
}

fn object(upstream: &Upstream, has_key: bool) -> UpstreamJson<'_> {
    UpstreamJson {
        name: &upstream.name,
        provider: &upstream.provider,
        base_url: base_url(upstream),
        models: upstream.models.iter().map(ModelJson::of).collect(),
        weight: upstream.weight,
        priority: upstream.priority,
        groups: &upstream.groups,
        has_key,
    }
}

fn row(upstream: &Upstream) -> Vec<String> {
    const SHOWN_MAX: usize = 4;
    let names = upstream.models.iter().take(SHOWN_MAX).map(|model| match model.name == model.upstream_model {
        true => plain(&model.name),
        false => format!("{} ({})", plain(&model.name), plain(&model.upstream_model)),
    });
    let mut models = names.collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = upstream.models.len().checked_sub(SHOWN_MAX) {
        models.push_str(&format!(" and {more} more"));
    }
    vec![
        upstream.name.clone(),
        upstream.provider.clone(),
        base_url(upstream),
        upstream.priority.to_string(),
        upstream.weight.to_string(),
        plain(&upstream.groups.join(", ")),
        models,
    ]
}

fn base_url(upstream: &Upstream) -> String {
    upstream.base_url.to_string().trim_end_matches('/').to_string()
}
