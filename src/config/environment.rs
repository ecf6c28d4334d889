//! A configuration without a file.

use super::base_url::parse_base_url;
use super::error::Positions;
use super::shape::{
    Breaker, Config, Console, GROUP_DEFAULT, HttpVersion, Ledger, Model, PRIORITY_DEFAULT, Pricing, Routing, Server,
    Store, Upstream, WEIGHT_DEFAULT,
};
use super::upstreams::read_key;
use crate::price::Multiplier;
use crate::provider;
use std::collections::BTreeMap;

/// The variables that would be a provider's key and cannot be, each with what is wrong with it: [`Config::from_environment`]
/// goes without them. One that is empty is not set.
pub(crate) fn unusable_keys(env: &dyn Fn(&str) -> Option<String>) -> Vec<(&'static str, &'static str)> {
    let wrong = |variable: &str| read_key(&env(variable).filter(|key| !key.trim().is_empty())?).err();
    let found = provider::from_environment(|variable| wrong(variable).is_some());
    found.into_iter().filter_map(|(_, variable)| Some((variable, wrong(variable)?))).collect()
}

impl Config {
    /// What `serve` uses without a file: one upstream, named as its provider, for each provider whose environment variable
    /// holds a key, with the provider's default models; everything else as by default, paths from the working directory.
    pub fn from_environment(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let key = |variable: &str| env(variable).and_then(|key| read_key(&key).ok());
        let upstreams = provider::from_environment(|variable| key(variable).is_some())
            .into_iter()
            .filter_map(|(provider, variable)| {
                let model = |name: &String| Model { name: name.clone(), upstream_model: name.clone() };
                Some(Upstream {
                    name: provider.name.clone(),
                    provider: provider.name.clone(),
                    api_key: key(variable),
                    base_url: parse_base_url(provider.base_url.as_deref()?).ok()?,
                    http_version: HttpVersion::default(),
                    models: provider.default_models.iter().map(model).collect(),
                    weight: WEIGHT_DEFAULT,
                    priority: PRIORITY_DEFAULT,
                    groups: vec![GROUP_DEFAULT.into()],
                    headers: Vec::new(),
                    price_provider: None,
                    price_multiplier: Multiplier::ONE,
                })
            })
            .collect();
        Self {
            file: None,
            server: Server::default(),
            store: Store::default(),
            ledger: Ledger::default(),
            pricing: Pricing::default(),
            routing: Routing::default(),
            breaker: Breaker::default(),
            console: Console::default(),
            upstreams,
            plugins: BTreeMap::new(),
            weights: BTreeMap::new(),
            positions: Positions::none(None),
            text_hash: 0,
        }
    }
}
