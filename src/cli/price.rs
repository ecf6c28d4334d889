//! `tollgate price …`

mod explain;
mod import;
mod show;

use super::args::{Command, PriceSet, PriceVerb};
use super::price_file::{default_prices, read_book, read_text, unwritten};
use super::terminal::{Failure, Outcome, Terminal, plain};
use crate::config::Config;
use crate::price::{Price, PriceBook, further, set_price};
use crate::replace::Turn;
use serde::Serialize;
use std::collections::BTreeMap;
use tollgate_plugin_api::did_you_mean;

/// A price as `--json` shows it. Amounts are exact decimals, so they are strings.
#[derive(Serialize)]
struct PriceJson<'a> {
    model: &'a str,
    provider: Option<&'a str>,
    aliases: Vec<&'a str>,
    context_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    /// What the row is written in; none: USD.
    currency: Option<&'a str>,
    usd_per_unit: Option<String>,
    usd_per_million: BTreeMap<&'static str, String>,
}

pub(super) fn run(verb: &PriceVerb, command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config = command.places(terminal)?;
    match verb {
        PriceVerb::List(listing) => list(listing.json, &config, terminal),
        PriceVerb::Show(arguments) => show::show(arguments, &config, terminal),
        PriceVerb::Set(arguments) => set(arguments, &config, terminal),
        PriceVerb::Explain(arguments) => explain::explain(arguments, &config, terminal),
        PriceVerb::Import(arguments) => import::import(arguments, &config, terminal),
    }
}

fn list(json: bool, config: &Config, terminal: &mut Terminal<'_>) -> Outcome {
    let book = read_book(config)?;
    if json {
        return book.iter().try_for_each(|price| terminal.json(&object(price, terminal.now_ms)));
    }
    if book.is_empty() {
        let file = config.pricing.file.display();
        return terminal.remark(&format!(
            "There are no prices in {file}. Set one: tollgate price set MODEL --input USD --output USD"
        ));
    }
    let now_ms = terminal.now_ms;
    let rows = book.iter().map(|price| {
        let rates: BTreeMap<_, _> = price.rates_usd(now_ms).into_iter().collect();
        let rate = |class: &str| rates.get(class).cloned().unwrap_or_default();
        vec![
            plain(&price.model),
            price.provider.as_deref().map(plain).unwrap_or_default(),
            rate("input"),
            rate("cached_input"),
            rate("output"),
            price.limits(now_ms).context_tokens.map(|tokens| tokens.to_string()).unwrap_or_default(),
            further(&price.versions(now_ms)).join(", "),
        ]
    });
    let columns = ["model", "provider", "input $/M", "cached", "output $/M", "context", "and prices of"];
    terminal.table(&columns, &[2, 3, 4, 5], rows)
}

fn object(price: &Price, now_ms: i64) -> PriceJson<'_> {
    let (currency, usd_per_unit) = price.currency(now_ms).unzip();
    PriceJson {
        model: &price.model,
        provider: price.provider.as_deref(),
        aliases: price.aliases.iter().map(AsRef::as_ref).collect(),
        context_tokens: price.limits(now_ms).context_tokens,
        max_output_tokens: price.limits(now_ms).output_tokens_max,
        currency,
        usd_per_unit,
        usd_per_million: price.rates_usd(now_ms).into_iter().collect(),
    }
}

/// Every row of this name, whatever its provider.
fn named<'b>(book: &'b PriceBook, model: &str) -> Vec<&'b Price> {
    let is = |name: &str| name.eq_ignore_ascii_case(model);
    let rows = book.iter().filter(|price| is(&price.model) || price.aliases.iter().any(|alias| is(alias)));
    let mut rows: Vec<&Price> = rows.map(AsRef::as_ref).collect();
    if rows.is_empty() {
        rows.extend(book.find("", model, model).map(AsRef::as_ref));
    }
    rows
}

fn missing(model: &str, book: &PriceBook, config: &Config) -> Failure {
    let guess = did_you_mean(model, book.iter().map(|price| &*price.model));
    let file = config.pricing.file.display();
    Failure::Runtime(format!(
        "{file} has no price for `{0}`{guess}\nSet one: tollgate price set {0} --input USD --output USD",
        plain(model)
    ))
}

fn set(arguments: &PriceSet, config: &Config, terminal: &mut Terminal<'_>) -> Outcome {
    let file = &config.pricing.file;
    let turn = Turn::take(file).map_err(|error| unwritten(file, &error))?;
    let before = read_text(file)?;
    let text = before.as_deref().unwrap_or_else(|| default_prices(config));
    // A file with a mistake in it is shown with the mistake's place.
    PriceBook::parse(text).map_err(|errors| super::price_file::listed(file, &errors))?;
    let given = [
        ("input", Some(&arguments.input)),
        ("output", Some(&arguments.output)),
        ("cached_input", arguments.cached_input.as_ref()),
        ("cache_write", arguments.cache_write.as_ref()),
        ("reasoning", arguments.reasoning.as_ref()),
        ("per_request", arguments.per_request.as_ref()),
    ];
    let fees = arguments.fees.iter().map(|(key, usd)| (key.as_str(), Some(usd)));
    let prices: Vec<(&str, &str)> =
        given.into_iter().chain(fees).filter_map(|(key, usd)| Some((key, usd?.as_str()))).collect();
    let edit = set_price(text, arguments.provider.as_deref(), &arguments.model, arguments.currency.as_deref(), &prices)
        .map_err(|message| Failure::Usage(vec![format!("tollgate: {message}")]))?;
    turn.replace(&edit.text).map_err(|error| unwritten(file, &error))?;
    drop(turn);
    let what = match (&before, edit.created) {
        (None, _) => "made with",
        (_, true) => "has a new row for",
        _ => "has new prices for",
    };
    writeln!(terminal.out, "{} {what} {}", file.display(), plain(&arguments.model))?;
    if !edit.kept.is_empty() {
        terminal.remark(&format!("Note: left as they were: {}", edit.kept.join(", ")))?;
    }
    Ok(())
}
