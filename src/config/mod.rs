//! The configuration: `tollgate.toml` or environment variables → [`Config`] (this module) → snapshot (`build`). One pass
//! finds every error and says where it is.

mod build;
mod environment;
mod error;
pub(crate) mod near;
mod pricing;
mod reader;
mod reseal;
mod schema;
mod seal;
mod secret;
mod sections;
mod shape;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod upstreams;

pub use crate::ledger::Durability;
pub use build::build;
pub use error::ConfigError;
pub(crate) use reseal::{reseal, upstream_names};
pub(crate) use seal::{MasterKeys, SECRET_BYTES_MAX as SEALED_SECRET_BYTES_MAX};
pub use secret::SharedSecret;
pub use shape::{
    Breaker, Config, Console, Ledger, Model, OnClientDisconnect, Pricing, Routing, Server, Store, StoreUrl, Tls,
    UnknownModel, Upstream,
};
pub use tollgate_plugin_api::Network;
pub(crate) use upstreams::WEIGHT_MAX;

use error::Positions;
use reader::{MISSING, Reader, Section};
use std::collections::BTreeMap;
use std::path::Path;
use toml::de::DeTable;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

impl Config {
    /// Reads and checks a file. `env` looks up the variables of `${VAR}`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigError>> {
        Self::parse(&text_of(path)?, path, env)
    }

    /// Reads a file for a command that needs no more than `[store]`, `[ledger]`, `[pricing]` and what upstreams say of
    /// prices: other errors are let pass (the variables of the upstreams' keys are seldom set where such a command runs), and upstreams that
    /// have one are left out. The result is not fit to serve.
    ///
    /// # Errors
    /// What is wrong with those tables, and with the top of the file.
    pub fn load_places(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigError>> {
        let (config, mut errors) = Self::parse_all(&text_of(path)?, path, env)?;
        errors.retain(|error| {
            let table = error.key.split(['.', '[']).next().unwrap_or("");
            let priced = table == "upstream" && error.key.contains("].price_");
            table == error.key || priced || ["store", "ledger", "pricing"].contains(&table)
        });
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// Checks a file's text. `file` is named in errors, and relative paths start from its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(text: &str, file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigError>> {
        let (config, errors) = Self::parse_all(text, file, env)?;
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// What could be read, and everything that is wrong. `Err`: the text is not TOML at all.
    fn parse_all(
        text: &str,
        file: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<ConfigError>), Vec<ConfigError>> {
        let (table, found) = DeTable::parse_recoverable(text);
        let table = table.get_ref();
        let positions = Positions::of(file, text, table);
        let (syntax, believable) = syntax::errors(text, &positions, &found);
        if !believable {
            return Err(syntax);
        }
        let reader = Reader::new(env, file.parent().unwrap_or(Path::new("")), &positions);
        let config = read(&reader, table, file);
        let mut errors = reader.into_errors();
        if !syntax.is_empty() {
            // A broken line leaves nothing, or something else, in the table: what follows from that says nothing.
            errors.retain(|error| !syntax.iter().any(|s| s.line == error.line) && !error.message.starts_with(MISSING));
            errors.extend(syntax);
            errors.sort_by_key(|error| (error.line, error.column));
        }
        Ok((Self { positions, text_hash: shape::hash_of(text), ..config }, errors))
    }
}

fn text_of(path: &Path) -> Result<String, Vec<ConfigError>> {
    let whole = |message: String| vec![Positions::none(Some(path)).error("", message)];
    match std::fs::metadata(path) {
        Err(error) => return Err(whole(format!("cannot be read: {error}"))),
        Ok(file) if file.is_dir() => return Err(whole("is a folder, expected a file".into())),
        Ok(file) if file.len() > FILE_BYTES_MAX => {
            return Err(whole(format!("is too large, expected at most {FILE_BYTES_MAX} bytes")));
        }
        Ok(_) => {}
    }
    let bytes = std::fs::read(path).map_err(|error| whole(format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let place = error::places(&before, &[before.len()])[0];
        vec![Positions::none(Some(path)).at(Some(place), "", "is not UTF-8, expected UTF-8 text")]
    })
}

fn read(reader: &Reader<'_>, table: &DeTable<'_>, file: &Path) -> Config {
    let top = Section::open(reader, String::new(), Some(table));
    let server = sections::server(&top);
    let keys = upstreams::KeyRing::find(&top, &server);
    Config {
        file: Some(file.to_owned()),
        store: sections::store(&top),
        ledger: sections::ledger(&top),
        pricing: sections::pricing(&top),
        routing: sections::routing(&top, &crate::balance::STRATEGIES.map(|strategy| strategy.name())),
        breaker: sections::breaker(&top),
        console: sections::console(&top, &server),
        upstreams: upstreams::upstreams(&top, &keys),
        plugins: sections::plugins(&top, &crate::plugins::names()),
        weights: BTreeMap::new(),
        server,
        positions: Positions::none(Some(file)),
        text_hash: 0,
    }
}
