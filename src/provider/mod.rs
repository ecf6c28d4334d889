//! The vendors: `providers.toml` is the table, a compatible vendor is one row of it. A row says what the gateway must
//! know to talk to a vendor and to read its usage; the wire formats themselves are code, in `dialect`.

mod row;
#[cfg(test)]
mod tests;
mod tiers;

pub use row::{AuthScheme, Provider, StreamUsage, UnusableSecret};
pub use tiers::{Tiers, UnaskedTier, asks_for_dearer};

use serde::de::Error as _;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static PROVIDERS: LazyLock<BTreeMap<String, Provider>> = LazyLock::new(|| {
    // Cannot fail outside development: the table is compiled in, and the unit tests parse it.
    parse(include_str!("providers.toml")).expect("providers.toml is compiled in and tested")
});

/// Every vendor by name. Parsed once.
pub fn providers() -> &'static BTreeMap<String, Provider> {
    &PROVIDERS
}

/// The vendors that a start without a config file can use, in order of name, each with the name of the environment
/// variable that holds its key: those that have a base URL and default models of their own, and for which `is_set` says
/// that the variable holds something.
pub fn from_environment(is_set: impl Fn(&str) -> bool) -> Vec<(&'static Provider, &'static str)> {
    let ready = |provider: &&Provider| provider.base_url.is_some() && !provider.default_models.is_empty();
    let with_key = |provider: &'static Provider| Some((provider, provider.env_names().find(|name| is_set(name))?));
    providers().values().filter(ready).filter_map(with_key).collect()
}

fn parse(text: &str) -> Result<BTreeMap<String, Provider>, toml::de::Error> {
    let mut rows: BTreeMap<String, Provider> = toml::from_str(text)?;
    for (name, row) in &mut rows {
        row.name.clone_from(name);
    }
    for row in rows.values() {
        if row.priced_like.as_ref().is_some_and(|like| !rows.contains_key(like)) {
            return Err(toml::de::Error::custom(format!("{}.priced_like: no such row", row.name)));
        }
    }
    let alike = rows.values().filter_map(|row| Some((row.name.clone(), row.thinks_like.clone()?)));
    for (name, like) in alike.collect::<Vec<_>>() {
        let other =
            rows.get(&like).ok_or_else(|| toml::de::Error::custom(format!("{name}.thinks_like: no such row")))?;
        let table = other.chat.thinks_beyond_limit.clone();
        rows.entry(name).and_modify(|row| row.chat.thinks_beyond_limit = table);
    }
    Ok(rows)
}
