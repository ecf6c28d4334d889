//! `tollgate check`

use super::args::Command;
use super::price_file::read_book;
use super::remarks::{remarks, unusable};
use super::terminal::{Failure, Outcome, Terminal, plain};
use crate::config::{self, Config, ConfigError};
use crate::price::PriceBook;
use crate::provider::providers;
use std::collections::BTreeSet;
use std::sync::Arc;
use tollgate_plugin_api::Ports;

pub(super) fn check(command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let mut wrong = Vec::new();
    let config = collect(command.config(terminal), &mut wrong)?;
    if let Some(nothing) = config.as_ref().and_then(|config| nothing_to_serve(config, terminal.env)) {
        return Err(nothing);
    }
    // Places and prices are looked at even if something else in the file is wrong.
    let places = match &config {
        Some(config) => Some(config.clone()),
        None => command.places(terminal).ok(),
    };
    let book = match &places {
        Some(config) => {
            collect(check_places(config), &mut wrong)?;
            collect(read_book(config), &mut wrong)?
        }
        None => None,
    };
    if let Some(config) = &config {
        // An empty book says nothing of what is configured.
        collect(cross_check(config, book.as_ref().unwrap_or(&PriceBook::default())), &mut wrong)?;
    }
    match (config, book) {
        (Some(config), Some(book)) if wrong.is_empty() => summary(&config, &book, terminal),
        _ => Err(Failure::Usage(wrong)),
    }
}

/// The same checks before serving.
pub(super) fn validate(config: &Config) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    collect(check_places(config), &mut wrong)?;
    let book = collect(read_book(config), &mut wrong)?.unwrap_or_default();
    collect(cross_check(config, &book), &mut wrong)?;
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Usage(wrong)) }
}

/// Why there is nothing to serve, if there is not even a config file.
pub(super) fn nothing_to_serve(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Option<Failure> {
    if config.file.is_some() || !config.upstreams.is_empty() {
        return None;
    }
    let ready = providers().values().filter(|row| !row.default_models.is_empty());
    let mut variables: Vec<&str> = ready.filter_map(|row| row.env.as_deref()).collect();
    variables.sort_unstable();
    let mut lines = vec![
        "tollgate: there is nothing to serve: no config file (tollgate.toml, or -c FILE) and no provider's key.".into(),
        format!("Set one of {},", variables.join(", ")),
        "write a tollgate.toml with an [[upstream]], or try `tollgate demo`, which needs no account.".into(),
    ];
    lines.extend(unusable(env).into_iter().map(|remark| format!("Note: {remark}")));
    Some(Failure::Usage(lines))
}

/// Everything that `check` finds wrong with a configuration that could be read, and with what it names.
pub(super) fn errors(config: &Config) -> Vec<ConfigError> {
    let mut errors = config.place_errors();
    let book = read_book(config).unwrap_or_else(|failure| {
        errors.push(config.error("pricing.file", failure.to_string()));
        PriceBook::default()
    });
    errors.extend(cross_errors(config, &book));
    errors
}

/// Keeps what is wrong for later, so that all of it comes at once.
fn collect<T>(result: Result<T, Failure>, wrong: &mut Vec<String>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Usage(lines)) => {
            wrong.extend(lines);
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// Everything that `serve` would build.
fn cross_check(config: &Config, book: &PriceBook) -> Result<(), Failure> {
    let errors = cross_errors(config, book);
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}

fn cross_errors(config: &Config, book: &PriceBook) -> Vec<ConfigError> {
    let built = config::build(config, Arc::new(book.clone()), &Ports::to_nothing(), None);
    let mut errors = built.err().unwrap_or_default();
    errors.extend(config.certificate_error());
    errors
}

/// Where `serve` would put what it writes.
fn check_places(config: &Config) -> Result<(), Failure> {
    let errors = config.place_errors();
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}

fn summary(config: &Config, book: &PriceBook, terminal: &mut Terminal<'_>) -> Outcome {
    let models = config.models();
    let groups: BTreeSet<&str> = config.upstreams.iter().flat_map(|row| &row.groups).map(String::as_str).collect();
    let names: Vec<&str> = config.upstreams.iter().map(|row| &*row.name).collect();
    let unpriced = config.unpriced(book);
    let listed = |names: &[&str]| if names.is_empty() { "none".into() } else { plain(&names.join(", ")) };
    let store = config.store.url.file();
    let file = &config.pricing.file;
    let prices = match (book.iter().count(), file.exists()) {
        (0, false) => format!("none: there is no {}", file.display()),
        (count, true) => format!("{count} in {} (version {})", file.display(), book.version()),
        (count, false) => format!("{count} built in (version {}): there is no {}", book.version(), file.display()),
    };
    let listen: Vec<String> = config.server.listen.iter().map(ToString::to_string).collect();
    let source = config.file.as_ref().map_or_else(|| "environment variables".into(), |file| file.display().to_string());
    terminal.pairs(&[
        ("config", source),
        ("listen", listen.join(", ")),
        ("upstreams", format!("{}: {}", names.len(), listed(&names))),
        ("groups", listed(&groups.into_iter().collect::<Vec<_>>())),
        ("models", format!("{}, {} of them without a price", models.len(), unpriced.len())),
        ("prices", prices),
        ("store", store.display().to_string()),
        ("journal", config.ledger.journal_dir.display().to_string()),
    ])?;
    // A store that is there is not opened: that could change it.
    for remark in remarks(config, book, (!store.exists()).then_some(false), terminal.env) {
        terminal.remark(&remark)?;
    }
    Ok(writeln!(terminal.out, "Everything is in order.")?)
}
