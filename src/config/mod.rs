//! The configuration: `tollgate.toml` or environment variables → [`Config`] (this module) → snapshot (`build`). One pass
//! finds every error and says where it is.

mod address;
mod base_url;
mod build;
mod certificate;
mod environment;
mod error;
mod plugins;
mod pricing;
mod reader;
mod reseal;
pub(crate) mod schema;
mod seal;
mod secret;
mod sections;
mod shape;
mod start;
mod template;
#[cfg(test)]
mod tests;
mod unpriced;
mod upstreams;
mod variables;

pub use crate::ledger::Durability;
pub use crate::store::StoreUrl;
pub use build::build;
pub(crate) use environment::unusable_keys;
pub use error::ConfigError;
pub(crate) use reseal::{reseal, upstream_names};
pub(crate) use seal::{MasterKeys, SECRET_BYTES_MAX as SEALED_SECRET_BYTES_MAX};
pub use secret::SharedSecret;
pub(crate) use secret::is_named_as_secret;
pub use shape::{
    Breaker, Config, Console, GROUP_DEFAULT, HttpVersion, Ledger, Model, OnClientDisconnect, PRIORITY_DEFAULT, Pricing,
    Routing, Server, Store, Tls, UnknownModel, Upstream, WEIGHT_DEFAULT,
};
pub use tollgate_plugin_api::Network;
pub(crate) use unpriced::listed;
pub(crate) use upstreams::WEIGHT_MAX;
pub(crate) use variables::variable_uses;

use crate::price::syntax_errors;
use error::{Positions, places};
use reader::{MISSING, Reader, Section};
use std::collections::BTreeMap;
use std::path::Path;
use toml::de::DeTable;

/// The largest file that is read, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

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
        Self::load_part(path, env, |table, field| match table {
            "upstream" => field.starts_with("price_"),
            table => ["store", "ledger", "pricing"].contains(&table),
        })
    }

    /// Reads a file for a command that lists upstreams, and needs none of their keys: what is wrong with those, or elsewhere, is let
    /// pass. The result is not fit to serve.
    ///
    /// # Errors
    /// What else is wrong with upstreams, and with the top of the file.
    pub fn load_upstreams(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigError>> {
        let is_secret = |field: &str| field == "api_key" || field == "headers" || field.starts_with("headers.");
        Self::load_part(path, env, |table, field| table == "upstream" && !is_secret(field))
    }

    /// Whether an upstream's row in the file has this key, whatever is wrong with its value. (The rows of all upstreams are there.)
    pub(crate) fn has_upstream_key(&self, index: usize, key: &str) -> bool {
        self.positions.line(&format!("upstream[{index}].{key}")).is_some()
    }

    /// Reads a file in which some errors do not matter: `matters` is asked with a table's name and the key in it (of an array's table:
    /// behind the index).
    fn load_part(
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
        matters: impl Fn(&str, &str) -> bool,
    ) -> Result<Self, Vec<ConfigError>> {
        let Parsed { config, mut errors, .. } = Self::parse_all(&text_of(path)?, path, env)?;
        errors.retain(|error| {
            let table = error.key.split(['.', '[']).next().unwrap_or("");
            let field = error.key[table.len()..].trim_start_matches(|c| c != '.').trim_start_matches('.');
            table == error.key || matters(table, field)
        });
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// Checks a file's text. `file` is named in errors, and relative paths start from its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(text: &str, file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigError>> {
        let Parsed { config, mut errors, broken_lines } = Self::parse_all(text, file, env)?;
        if errors.is_empty() {
            return Ok(config);
        }
        // What is right is built, and there the rest of what is wrong is said.
        let mut further = config.further_errors(&errors, &broken_lines);
        retain_believable(&mut further, &broken_lines);
        errors.extend(further);
        errors.sort_by_key(|error| (error.line, error.column));
        Err(errors)
    }

    /// What could be read, and what is wrong. `Err`: the text is not TOML at all.
    fn parse_all(text: &str, file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Parsed, Vec<ConfigError>> {
        let (table, found) = DeTable::parse_recoverable(text);
        let table = table.get_ref();
        let positions = Positions::of(file, text, table);
        let (syntax, believable) = syntax_errors(text, &found);
        let places = places(text, &syntax.iter().map(|error| error.offset).collect::<Vec<_>>());
        let syntax: Vec<ConfigError> =
            syntax.into_iter().zip(places).map(|(e, place)| positions.at(Some(place), &e.key, e.message)).collect();
        if !believable {
            return Err(syntax);
        }
        let reader = Reader::new(env, file.parent().unwrap_or(Path::new("")), &positions);
        let config = read(&reader, table, file);
        let mut errors = reader.into_errors();
        let broken_lines: Vec<usize> = syntax.iter().map(|error| error.line).collect();
        if !syntax.is_empty() {
            retain_believable(&mut errors, &broken_lines);
            errors.extend(syntax);
            errors.sort_by_key(|error| (error.line, error.column));
        }
        let config = Self { positions, text_hash: shape::hash_of(text), ..config };
        Ok(Parsed { config, errors, broken_lines })
    }

    /// What would be found later in a file in which these things are wrong. Where a value could not be read, that has been
    /// said already.
    fn further_errors(&self, found: &[ConfigError], broken_lines: &[usize]) -> Vec<ConfigError> {
        // An upstream may be left out, or stand in a table of another name.
        let may_lack_one = |error: &ConfigError| error.key.starts_with("upstream") || !error.key.contains('.');
        let are_upstreams_whole = broken_lines.is_empty() && !found.iter().any(may_lack_one);
        let mut errors = self.plugin_errors(are_upstreams_whole);
        errors.extend(self.certificate_error());
        errors.retain(|error| {
            let is_same = |other: &ConfigError| {
                let behind = other.key.strip_prefix(&error.key);
                behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['.', '[']))
            };
            !found.iter().any(is_same)
        });
        errors
    }
}

/// A file that is TOML, or nearly.
struct Parsed {
    config: Config,
    errors: Vec<ConfigError>,
    /// Lines that are not TOML.
    broken_lines: Vec<usize>,
}

/// A broken line leaves nothing, or something else, in its table: what follows from that says nothing.
fn retain_believable(errors: &mut Vec<ConfigError>, broken_lines: &[usize]) {
    if !broken_lines.is_empty() {
        errors.retain(|error| !broken_lines.contains(&error.line) && !error.message.starts_with(MISSING));
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
        plugins: sections::plugins(&top, &crate::plugins::all()),
        weights: BTreeMap::new(),
        server,
        positions: Positions::none(Some(file)),
        text_hash: 0,
    }
}
