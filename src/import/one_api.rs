//! One API and new-api: one database, of which the second has changed the numbers of providers and has added columns.

use super::{Found, FoundKey, FoundSecret, FoundUpstream, free_name, people};
use crate::keyring::digest_of;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    OneApi,
    NewApi,
}

/// A row of a table, by column.
pub(crate) type Row = BTreeMap<String, Value>;
pub(crate) type Table = Vec<Row>;

/// The tables that are read.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) channels: Table,
    pub(crate) tokens: Table,
    pub(crate) users: Table,
    pub(crate) redemptions: Table,
    pub(crate) options: Table,
}

/// Units of quota in a USD, unless an option says otherwise.
const UNITS_PER_USD: i128 = 500_000;
pub(super) const NANOS_PER_USD: i128 = 1_000_000_000;
/// What a channel, a token, a person or a code is when it may be used.
pub(super) const ENABLED: i64 = 1;
/// Keys of one channel that become upstreams.
const KEYS_MAX: usize = 100;

/// Providers by their number: in One API, in new-api, ours, and what stands between their base URL and ours.
#[rustfmt::skip]
const PROVIDERS: &[(&[i64], &[i64], &str, &str)] = &[
    (&[1], &[1], "openai", "/v1"),
    (&[14], &[14], "anthropic", ""),
    (&[24], &[24], "gemini", ""),
    (&[16], &[16, 26], "zhipu", "/api/paas/v4"),
    (&[17], &[17], "qwen", "/compatible-mode/v1"),
    (&[20], &[20], "openrouter", "/v1"),
    (&[25], &[25], "moonshot", "/v1"),
    (&[28], &[42], "mistral", "/v1"),
    (&[29], &[], "groq", "/openai/v1"),
    (&[30], &[4], "ollama", "/v1"),
    (&[35], &[34], "cohere", ""),
    (&[36], &[43], "deepseek", "/v1"),
    (&[39], &[], "together", "/v1"),
    (&[44], &[40], "siliconflow", "/v1"),
    (&[45], &[48], "xai", "/v1"),
    (&[], &[27], "perplexity", ""),
    // They speak OpenAI's dialect, at the base URL that the channel has.
    (&[4, 5, 6, 7, 8, 9, 10, 12, 13, 22, 50], &[6, 7, 8, 9, 10, 12, 13, 22], "openai-compatible", "/v1"),
];

/// Reads what the tables have.
pub(crate) fn read(flavour: Flavour, tables: &Tables, now_ms: i64) -> Found {
    let mut found = Found::default();
    let units = units_per_usd(tables);
    upstreams(flavour, &tables.channels, &mut found);
    people::people(tables, units, &mut found);
    people::codes(tables, units, now_ms, &mut found);
    keys(tables, units, &mut found);
    prices(tables, &mut found);
    found
}

fn units_per_usd(tables: &Tables) -> i128 {
    let option = tables.options.iter().find(|row| text(row, "key") == "QuotaPerUnit").map(|row| text(row, "value"));
    let units = option.and_then(|value| value.split('.').next()?.parse().ok());
    units.filter(|units| *units > 0).unwrap_or(UNITS_PER_USD)
}

pub(super) fn text<'t>(row: &'t Row, column: &str) -> &'t str {
    row.get(column).and_then(Value::as_str).map(str::trim).unwrap_or_default()
}

pub(super) fn number(row: &Row, column: &str) -> Option<i64> {
    row.get(column).and_then(|value| value.as_i64().or_else(|| value.as_bool().map(i64::from)))
}

fn words(list: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty() && seen.insert(*word));
    words.map(str::to_owned).collect()
}

fn upstreams(flavour: Flavour, channels: &Table, found: &mut Found) {
    // There, the highest priority is tried first.
    let priorities: BTreeSet<i64> = channels.iter().map(|row| number(row, "priority").unwrap_or(0)).collect();
    let rank = |priority: i64| priorities.iter().rev().position(|other| *other == priority).unwrap_or(0);
    for row in channels {
        let name = text(row, "name");
        let kind = number(row, "type").unwrap_or(0);
        if number(row, "status").unwrap_or(ENABLED) != ENABLED {
            found.leave("upstream", name, "it is switched off there");
            continue;
        }
        let of_flavour = |row: &&(&[i64], &[i64], &str, &str)| match flavour {
            Flavour::OneApi => row.0.contains(&kind),
            Flavour::NewApi => row.1.contains(&kind),
        };
        let Some(&(_, _, provider, path)) = PROVIDERS.iter().find(of_flavour) else {
            found.leave("upstream", name, format!("its type {kind} has no counterpart: set it by hand"));
            continue;
        };
        let base_url = match text(row, "base_url").trim_end_matches('/') {
            "" if provider == "openai-compatible" => {
                found.leave("upstream", name, "it has no base URL");
                continue;
            }
            "" => None,
            url if url.ends_with("/v1") || path.is_empty() => Some(url.to_owned()),
            url => Some(format!("{url}{path}")),
        };
        let mapping = model_mapping(text(row, "model_mapping"));
        let upstream_model = |model: String| {
            let mapped = mapping.get(&model).and_then(Value::as_str).unwrap_or(&model).to_owned();
            (model, mapped)
        };
        let models: Vec<_> = words(text(row, "models")).into_iter().map(upstream_model).collect();
        if models.is_empty() {
            found.leave("upstream", name, "it has no models");
            continue;
        }
        let groups = match words(text(row, "group")) {
            groups if groups.is_empty() => vec!["default".to_owned()],
            groups => groups,
        };
        let secrets: Vec<&str> = text(row, "key").lines().map(str::trim).filter(|key| !key.is_empty()).collect();
        if secrets.len() > KEYS_MAX {
            found.leave("upstream", name, format!("{} of its keys: {KEYS_MAX} are taken", secrets.len() - KEYS_MAX));
        }
        let secrets = if secrets.is_empty() { vec![""] } else { secrets };
        for secret in secrets.into_iter().take(KEYS_MAX) {
            let name = free_name(name, |name| found.upstreams.iter().any(|upstream| upstream.name == name));
            found.upstreams.push(FoundUpstream {
                name,
                provider,
                base_url: base_url.clone(),
                secret: if secret.is_empty() { FoundSecret::Nothing } else { FoundSecret::Value(secret.into()) },
                models: models.clone(),
                groups: groups.clone(),
                weight: number(row, "weight").and_then(|weight| u32::try_from(weight).ok()).unwrap_or(0).max(1),
                priority: u32::try_from(rank(number(row, "priority").unwrap_or(0))).unwrap_or(0),
            });
        }
    }
}

fn model_mapping(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn keys(tables: &Tables, units: i128, found: &mut Found) {
    let users: BTreeMap<i64, &Row> = tables.users.iter().filter_map(|row| Some((number(row, "id")?, row))).collect();
    for row in &tables.tokens {
        let name = text(row, "name");
        let key = text(row, "key").trim_start_matches("sk-");
        if key.is_empty() || people::is_deleted(row) {
            found.leave("key", name, "it is deleted there, or empty");
            continue;
        }
        let user = number(row, "user_id").and_then(|id| users.get(&id));
        if user.is_some_and(|user| people::is_gone(user)) {
            found.leave("key", name, "its user is deleted there");
            continue;
        }
        let own_group = Some(text(row, "group")).filter(|group| !matches!(*group, "" | "auto"));
        let group = own_group.or_else(|| user.map(|user| text(user, "group"))).filter(|group| !group.is_empty());
        let models = match (number(row, "model_limits_enabled"), text(row, "models")) {
            (Some(1), _) => words(text(row, "model_limits")),
            (_, models) => words(models),
        };
        let is_unlimited = number(row, "unlimited_quota").unwrap_or(0) != 0;
        let rest_nanos = people::nanos(number(row, "remain_quota").unwrap_or(0), units);
        let expires_s = number(row, "expired_time").filter(|seconds| *seconds > 0);
        for column in ["allow_ips", "subnet"] {
            if !text(row, column).is_empty() {
                found.leave("key", name, "its limit to addresses is not taken");
            }
        }
        found.keys.push(FoundKey {
            name: free_name(name, |name| found.keys.iter().any(|key| key.name == name)),
            digest: digest_of(&format!("sk-{key}")),
            user: user.map(|user| text(user, "username").to_owned()).filter(|name| !name.is_empty()),
            group: group.unwrap_or("default").to_owned(),
            models,
            enabled: number(row, "status").unwrap_or(ENABLED) == ENABLED,
            expires_at_ms: expires_s.map(|seconds| seconds.saturating_mul(1000)),
            quota_nanos: (!is_unlimited).then_some(rest_nanos),
            rpm: None,
            tpm: None,
            concurrency: None,
        });
    }
}

/// The options that have to do with prices, as the import of prices reads them.
fn prices(tables: &Tables, found: &mut Found) {
    let is_price = |key: &str| key.ends_with("Ratio") && key != "GroupRatio" || key == "ModelPrice";
    let options = tables.options.iter().filter(|row| is_price(text(row, "key")) && !text(row, "value").is_empty());
    let options: Vec<Value> =
        options.map(|row| json!({"key": text(row, "key"), "value": text(row, "value")})).collect();
    if options.iter().any(|option| matches!(option["key"].as_str(), Some("ModelRatio" | "ModelPrice"))) {
        found.prices = Some(Value::from(options).to_string());
    } else {
        found.leave("price", "all", "it has no options with prices: `tollgate price import` reads them from its API");
    }
    if let Some(row) = tables.options.iter().find(|row| text(row, "key") == "GroupRatio") {
        let ratios: Map<String, Value> = serde_json::from_str(text(row, "value")).unwrap_or_default();
        for (group, _) in ratios.iter().filter(|(_, ratio)| ratio.as_f64() != Some(1.0)) {
            found.leave("price", format!("group {group}"), "prices by group are not taken: see `price_multiplier`");
        }
    }
}
