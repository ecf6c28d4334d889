//! What is missing in a configuration that is right: said at the start and by `check`, so that nobody wonders later.

use crate::config::{Config, Upstream, listed, unusable_keys};
use crate::price::PriceBook;
use crate::provider::{AuthScheme, providers};
use std::collections::BTreeSet;

/// What looks up environment variables.
type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// One remark a line. `has_keys`: whether anybody could call; `None`: that is not known.
pub(super) fn remarks(config: &Config, book: &PriceBook, has_keys: Option<bool>, env: Env<'_>) -> Vec<String> {
    let of_environment =
        if config.file.is_none() { [unusable(env), unread_addresses(config, env)].concat() } else { Vec::new() };
    let keyless = keyless(config);
    let no_upstream =
        config.upstreams.is_empty().then(|| "there is no upstream, so no request can be answered.".into());
    let no_key =
        (has_keys == Some(false)).then(|| "there are no keys yet: `tollgate key create NAME` makes one.".to_owned());
    let keyless =
        (!keyless.is_empty()).then(|| format!("upstreams without a key of ours: {}", listed(keyless.iter().copied())));
    let found = [no_upstream, no_key, config.price_remark(book), keyless];
    found.into_iter().flatten().chain(of_environment).map(|remark| format!("Note: {remark}")).collect()
}

/// What the start says of keys that no token and no wallet finds, where these look for keys by name.
pub(super) fn nameless(keys: usize) -> Option<String> {
    let what = "keys that no token or wallet finds by name, because no operator named them";
    let which = "`found_by_name` in `tollgate key list --json`";
    let how = "`tollgate key set NAME --name NAME` confirms a name";
    (keys > 0).then(|| format!("Note: {what}: {keys} ({which}); {how}."))
}

/// Providers' keys that a start without a config file finds in the environment and cannot use. Never with the value.
pub(super) fn unusable(env: Env<'_>) -> Vec<String> {
    let found = unusable_keys(env).into_iter();
    found.map(|(variable, wrong)| format!("the key in {variable} is left out: it {wrong}.")).collect()
}

/// Addresses that the vendors' SDKs read beside these keys, and that a start without a config file does not: who starts the gateway
/// where applications run has them set to the gateway itself. Never with the value, which may hold a secret.
fn unread_addresses(config: &Config, env: Env<'_>) -> Vec<String> {
    let unread = |upstream: &Upstream| {
        let key = providers().get(&upstream.provider)?.env.as_deref()?;
        let variable = format!("{}_BASE_URL", key.strip_suffix("_API_KEY")?);
        env(&variable).filter(|address| !address.is_empty())?;
        let why = format!("{variable} is not read: what {key} is for goes to {}.", upstream.base_url);
        Some(format!("{why} For another address, write a tollgate.toml with an [[upstream]] and its `base_url`."))
    };
    config.upstreams.iter().filter_map(unread).collect()
}

/// Upstreams whose provider takes a key, and which have none. (Where it must have one, that is an error.)
fn keyless(config: &Config) -> BTreeSet<&str> {
    let takes_key = |name: &str| providers().get(name).is_some_and(|row| row.auth != AuthScheme::None);
    let rows = config.upstreams.iter().filter(|row| row.api_key.is_none() && takes_key(&row.provider));
    rows.map(|row| &*row.name).collect()
}
