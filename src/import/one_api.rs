//! One API and new-api: one database, of which the second has changed the numbers of providers and has added columns.

mod kinds;

use super::exact::{self, number, text};
use super::{Found, FoundKey, FoundSecret, FoundUpstream, WITHOUT_BASE_URL, free_name, people, upstream_name};
use crate::keyring::digest_of;
use kinds::Kind;
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
/// The time at which a token ends that does not.
const NEVER: i64 = -1;
/// Keys of one channel that become upstreams.
const KEYS_MAX: usize = 100;

/// Reads what the tables have.
///
/// # Errors
/// What a unit of quota is worth there cannot be read: then no amount can be.
pub(crate) fn read(flavour: Flavour, tables: &Tables, now_ms: i64) -> Result<Found, String> {
    let mut found = Found::default();
    let units = units_per_usd(tables)?;
    upstreams(flavour, &tables.channels, &mut found);
    people::people(tables, units, &mut found);
    people::codes(tables, units, now_ms, &mut found);
    keys(tables, units, &mut found);
    prices(tables, &mut found);
    Ok(found)
}

fn units_per_usd(tables: &Tables) -> Result<i128, String> {
    let is_it = |row: &&Row| text(*row, "key") == Ok("QuotaPerUnit");
    let Some(option) = tables.options.iter().find(is_it) else { return Ok(UNITS_PER_USD) };
    let found = exact::value(option, "value").cloned().unwrap_or_default();
    let whole = match &found {
        Value::String(text) => {
            let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
            Some(whole).filter(|_| part.bytes().all(|digit| digit == b'0')).and_then(|whole| whole.parse().ok())
        }
        other => other.as_i64().map(i128::from),
    };
    let expected = "a whole number from 1: the units of quota in a USD";
    whole.filter(|units| *units > 0).ok_or_else(|| exact::wrong("QuotaPerUnit", &found, expected))
}

/// Whether a channel, a token, a person or a code may be used. Where there is no such column, it may.
pub(super) fn is_enabled(row: &Row) -> Result<bool, String> {
    Ok(number(row, "status")?.unwrap_or(ENABLED) == ENABLED)
}

fn words(list: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty() && seen.insert(*word));
    words.map(str::to_owned).collect()
}

fn upstreams(flavour: Flavour, channels: &Table, found: &mut Found) {
    // There, the highest priority is tried first.
    let priority = |row: &Row| number(row, "priority").ok().flatten().unwrap_or(0);
    let priorities: BTreeSet<i64> = channels.iter().map(priority).collect();
    let rank = |priority: i64| priorities.iter().rev().position(|other| *other == priority).unwrap_or(0);
    for row in channels {
        let name = text(row, "name").unwrap_or_default();
        if let Err(why) = upstream(flavour, row, rank(priority(row)), found) {
            found.leave("upstream", name, why);
        }
    }
}

fn upstream(flavour: Flavour, row: &Row, rank: usize, found: &mut Found) -> Result<(), String> {
    let name = text(row, "name")?;
    let kind = number(row, "type")?.unwrap_or(0);
    number(row, "priority")?;
    if !is_enabled(row)? {
        return Err("it is switched off there".into());
    }
    let known = Kind::of(flavour, kind);
    let known = known.ok_or_else(|| format!("its type {kind} has no counterpart: set it by hand"))?;
    let base_url = known.base_url(row)?;
    if base_url.is_none() && WITHOUT_BASE_URL.contains(&known.provider) {
        return Err("it has no base URL".into());
    }
    let mapping = model_mapping(row)?;
    let upstream_model = |model: String| {
        let mapped = known.upstream_model(flavour, row, mapping.get(&model).unwrap_or(&model))?;
        Ok::<_, String>((model, mapped))
    };
    let models = words(text(row, "models")?).into_iter().map(upstream_model).collect::<Result<Vec<_>, _>>()?;
    if models.is_empty() {
        return Err("it has no models".into());
    }
    let groups = match words(text(row, "group")?) {
        groups if groups.is_empty() => vec!["default".to_owned()],
        groups => groups,
    };
    let weight = number(row, "weight").unwrap_or_else(|why| {
        found.leave("setting", format!("{name}: weight"), why);
        None
    });
    let secrets: Vec<&str> = text(row, "key")?.lines().map(str::trim).filter(|key| !key.is_empty()).collect();
    if secrets.len() > KEYS_MAX {
        found.leave("upstream", name, format!("{} of its keys: {KEYS_MAX} are taken", secrets.len() - KEYS_MAX));
    }
    let secrets = if secrets.is_empty() { vec![""] } else { secrets };
    for secret in secrets.into_iter().take(KEYS_MAX) {
        found.upstreams.push(FoundUpstream {
            name: upstream_name(name, known.provider, &found.upstreams),
            name_there: name.to_owned(),
            provider: known.provider,
            base_url: base_url.clone(),
            secret: if secret.is_empty() { FoundSecret::Nothing } else { FoundSecret::Value(secret.into()) },
            models: models.clone(),
            groups: groups.clone(),
            weight: u32::try_from(weight.unwrap_or(0).max(1)).unwrap_or(u32::MAX),
            priority: u32::try_from(rank).unwrap_or(u32::MAX),
        });
    }
    Ok(())
}

/// The upstream's names of models, by the clients'.
fn model_mapping(row: &Row) -> Result<BTreeMap<String, String>, String> {
    match text(row, "model_mapping")? {
        "" => Ok(BTreeMap::new()),
        mapping => serde_json::from_str(mapping)
            .map_err(|error| format!("its `model_mapping` cannot be read: {error}, expected names by names")),
    }
}

fn keys(tables: &Tables, units: i128, found: &mut Found) {
    let id = |row: &Row| number(row, "id").ok().flatten();
    let users: BTreeMap<i64, &Row> = tables.users.iter().filter_map(|row| Some((id(row)?, row))).collect();
    for row in &tables.tokens {
        let name = text(row, "name").unwrap_or_default();
        match key(row, &users, units, found) {
            Ok(mut key) => {
                for column in ["allow_ips", "subnet"].into_iter().filter(|column| text(row, column) != Ok("")) {
                    key.enabled = false;
                    let why = "its limit to addresses is not imported, so the key is disabled: `tollgate key enable` \
                               enables it without the limit";
                    found.leave("setting", format!("{}: {column}", key.name), why);
                }
                found.keys.push(key);
            }
            Err(why) => found.leave("key", name, why),
        }
    }
}

fn key(row: &Row, users: &BTreeMap<i64, &Row>, units: i128, found: &Found) -> Result<FoundKey, String> {
    let name = text(row, "name")?;
    let key = text(row, "key")?.trim_start_matches("sk-");
    if key.is_empty() || people::is_deleted(row) {
        return Err("it is deleted there, or empty".into());
    }
    let user = number(row, "user_id")?.and_then(|id| users.get(&id));
    // Without users there is nobody to ask for.
    if user.is_none() && !users.is_empty() {
        return Err("its user is not there".into());
    }
    if user.is_some_and(|user| people::is_gone(user)) {
        return Err("its user is deleted there".into());
    }
    let username = user.map_or(Ok(""), |user| text(*user, "username"))?;
    // What its user may spend bounds it.
    if user.is_some() && !found.people.iter().any(|person| person.name == username) {
        return Err("its user is not taken".into());
    }
    let own_group = Some(text(row, "group")?).filter(|group| !matches!(*group, "" | "auto"));
    let of_user = user.map_or(Ok(""), |user| text(*user, "group"))?;
    let is_unlimited = exact::flag(row, "unlimited_quota")? == Some(true);
    let rest_nanos = people::nanos(number(row, "remain_quota")?.unwrap_or(0), units);
    let expires_s = number(row, "expired_time")?.ok_or("its `expired_time` is not there, expected seconds, or -1")?;
    Ok(FoundKey {
        name: free_name(name, |name| found.keys.iter().any(|key| key.name == name)),
        digest: digest_of(&format!("sk-{key}")),
        user: Some(username).filter(|name| !name.is_empty()).map(str::to_owned),
        group: own_group.or(Some(of_user).filter(|group| !group.is_empty())).unwrap_or("default").to_owned(),
        models: key_models(row)?,
        enabled: is_enabled(row)?,
        expires_at_ms: match expires_s {
            NEVER => None,
            seconds => Some(exact::milliseconds("expired_time", seconds)?),
        },
        quota_nanos: (!is_unlimited).then_some(rest_nanos),
        rpm: None,
        tpm: None,
        concurrency: None,
    })
}

/// The models a token may use; none: every one.
fn key_models(row: &Row) -> Result<Vec<String>, String> {
    let limited = exact::flag(row, "model_limits_enabled")? == Some(true);
    let list = text(row, if limited { "model_limits" } else { "models" })?;
    let models = words(list);
    // No word means every model only where there is no list at all.
    if models.is_empty() && (limited || !list.is_empty()) {
        return Err("it may use no model there".into());
    }
    Ok(models)
}

/// The options that have to do with prices, as the import of prices reads them.
fn prices(tables: &Tables, found: &mut Found) {
    let is_price = |key: &str| key.ends_with("Ratio") && key != "GroupRatio" || key == "ModelPrice";
    let pairs = tables.options.iter().filter_map(|row| Some((text(row, "key").ok()?, text(row, "value").ok()?)));
    let pairs: Vec<(&str, &str)> = pairs.collect();
    let options = pairs.iter().filter(|(key, value)| is_price(key) && !value.is_empty());
    let options: Vec<Value> = options.map(|(key, value)| json!({"key": key, "value": value})).collect();
    if options.iter().any(|option| matches!(option["key"].as_str(), Some("ModelRatio" | "ModelPrice"))) {
        found.prices = Some(Value::from(options).to_string());
    } else {
        found.leave("price", "all", "it has no options with prices: `tollgate price import` reads them from its API");
    }
    if let Some((_, ratios)) = pairs.iter().find(|(key, _)| *key == "GroupRatio") {
        let ratios: Map<String, Value> = serde_json::from_str(ratios).unwrap_or_default();
        for (group, _) in ratios.iter().filter(|(_, ratio)| ratio.as_f64() != Some(1.0)) {
            found.leave("price", format!("group {group}"), "prices by group are not taken: see `price_multiplier`");
        }
    }
}
