//! Groups, and the models in them.

use super::Desk;
use super::access::{OPERATOR, USER};
use super::prices::rates;
use super::refusal::Refusal;
use super::routes::{Route, Verb};
use super::session::Caller;
use crate::clock::unix_ms;
use crate::price::further;
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;

/// The group of keys of which nobody says another.
pub(super) const DEFAULT: &str = "default";

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/api/groups", OPERATOR, |verb| on(verb, groups), "Every group.").gives::<Vec<GroupJson>>(),
    Route::new(Verb::Get, "/api/models", USER, |verb| on(verb, models), "The models that one may use, with prices.")
        .gives::<Vec<ModelJson>>(),
];

/// A group.
#[derive(Default, Serialize, ToSchema)]
struct GroupJson {
    name: String,
    upstreams: BTreeSet<String>,
    models: BTreeSet<String>,
    /// How many keys have it.
    keys: u64,
}

/// A model as clients call it.
#[derive(Default, Serialize, ToSchema)]
struct ModelJson {
    name: String,
    /// Those of one's groups that have it.
    groups: BTreeSet<String>,
    /// What it costs where it may be sent to, each price once: USD per million tokens, by class; and, where they cost anything, USD
    /// for each request (`per_request`) and for a thousand searches that the provider ran (`web_search_per_thousand`).
    prices: BTreeSet<BTreeMap<&'static str, String>>,
    /// What else there are prices for, in words: long prompts, hours, other dates, service tiers …
    and_prices_of: BTreeSet<&'static str>,
    context_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
}

async fn groups(State(desk): State<Arc<Desk>>) -> Result<Json<Vec<GroupJson>>, Refusal> {
    let counts = desk.ask(|store| store.people().keys_by_group(None)).await?;
    let config = desk.shared.snapshot.load().config.clone();
    let mut groups: BTreeMap<String, GroupJson> = BTreeMap::new();
    for (name, keys) in counts {
        groups.entry(name).or_default().keys = keys;
    }
    for upstream in &config.upstreams {
        for name in &upstream.groups {
            let group = groups.entry(name.clone()).or_default();
            group.upstreams.insert(upstream.name.clone());
            group.models.extend(upstream.models.iter().map(|model| model.name.clone()));
        }
    }
    Ok(Json(groups.into_iter().map(|(name, group)| GroupJson { name, ..group }).collect()))
}

/// The groups that somebody has: those of their keys, and the one that all keys have of which nobody says another.
///
/// # Errors
/// The store.
pub(super) async fn of_person(desk: &Desk, name: &str) -> Result<BTreeSet<String>, Refusal> {
    let name = name.to_owned();
    let counts = desk.ask(move |store| store.people().keys_by_group(Some(&name))).await?;
    Ok(counts.into_keys().chain([DEFAULT.to_owned()]).collect())
}

/// The groups that a user may give to keys of theirs: the one that all keys have, and those of keys in force that others gave them.
/// (Their own keys give none: what somebody takes from a user would be theirs for good.)
///
/// # Errors
/// The store.
pub(super) async fn given_to(desk: &Desk, name: &str) -> Result<BTreeSet<String>, Refusal> {
    let (name, at_ms) = (name.to_owned(), unix_ms());
    let mut given = desk.ask(move |store| store.people().groups_given(&name, at_ms)).await?;
    given.insert(DEFAULT.to_owned());
    Ok(given)
}

async fn models(State(desk): State<Arc<Desk>>, caller: Caller) -> Result<Json<Vec<ModelJson>>, Refusal> {
    let theirs = match caller.owner() {
        Some(owner) => Some(of_person(&desk, owner).await?),
        None => None,
    };
    let snapshot = desk.shared.snapshot.load_full();
    let mut models: BTreeMap<&str, ModelJson> = BTreeMap::new();
    for upstream in &snapshot.config.upstreams {
        let is_theirs = |group: &&String| theirs.as_ref().is_none_or(|theirs| theirs.contains(*group));
        let groups: Vec<&String> = upstream.groups.iter().filter(is_theirs).collect();
        for model in upstream.models.iter().filter(|_| !groups.is_empty()) {
            let shown = models.entry(&model.name).or_default();
            shown.groups.extend(groups.iter().map(|group| (*group).clone()));
            if let Some(price) = upstream.price(&snapshot.prices, model) {
                let now_ms = unix_ms();
                shown.prices.insert(rates(&price, now_ms));
                shown.and_prices_of.extend(further(&price.versions(now_ms)));
                let limits = price.limits(now_ms);
                shown.context_tokens = shown.context_tokens.or(limits.context_tokens);
                shown.max_output_tokens = shown.max_output_tokens.or(limits.output_tokens_max);
            }
        }
    }
    let shown = models.into_iter().map(|(name, model)| ModelJson { name: name.to_owned(), ..model });
    Ok(Json(shown.collect()))
}
