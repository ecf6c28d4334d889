//! `tollgate price show`: one model's price in full.

use super::super::args::PriceShow;
use super::super::price_file::read_book;
use super::super::terminal::{Outcome, Terminal, plain};
use super::{PriceJson, missing, named, object};
use crate::config::{Config, Model, Upstream};
use crate::price::{Changed, ClassPrices, Multiplier, Price, PriceBook, TokenPrices, Version, WindowPrices, per_piece};
use serde::Serialize;

/// A row with everything that it says.
#[derive(Serialize)]
struct FullJson<'a> {
    #[serde(flatten)]
    price: PriceJson<'a>,
    /// Whether names with a date behind them have this price, too.
    dated: bool,
    /// By the time from which they are valid.
    versions: &'a [Version],
    /// Where it is what a configured upstream charges.
    upstreams: Vec<AtUpstream<'a>>,
}

/// A model of an upstream for which a row holds.
#[derive(Serialize)]
struct AtUpstream<'a> {
    upstream: &'a str,
    model: &'a str,
    upstream_model: &'a str,
    /// Whose rows hold there, where that is not the provider.
    price_provider: Option<&'a str>,
    /// What a cost there is multiplied by.
    price_multiplier: String,
}

pub(super) fn show(arguments: &PriceShow, config: &Config, terminal: &mut Terminal<'_>) -> Outcome {
    let book = read_book(config)?;
    let prices = named(&book, &arguments.model);
    if prices.is_empty() {
        return Err(missing(&arguments.model, &book, config));
    }
    for (index, price) in prices.into_iter().enumerate() {
        let versions = price.versions(terminal.now_ms);
        let full = FullJson {
            price: object(price, terminal.now_ms),
            dated: price.dated,
            versions: &versions,
            upstreams: upstreams(price, &book, config),
        };
        if arguments.json {
            terminal.json(&full)?;
            continue;
        }
        if index > 0 {
            writeln!(terminal.out)?;
        }
        let lines = lines(&full);
        let pairs: Vec<(&str, String)> = lines.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        terminal.pairs(&pairs)?;
    }
    Ok(())
}

/// The configured upstreams' models that this row is the price of.
fn upstreams<'c>(price: &Price, book: &PriceBook, config: &'c Config) -> Vec<AtUpstream<'c>> {
    let is_this = |row: &Upstream, model: &Model| {
        // Two rows never begin on one line.
        row.price(book, model).is_some_and(|found| found.line == price.line)
    };
    let offers = config.upstreams.iter().flat_map(|row| row.models.iter().map(move |model| (row, model)));
    let offers = offers.filter(|(row, model)| is_this(row, model));
    let at = |(row, model): (&'c Upstream, &'c Model)| AtUpstream {
        upstream: &row.name,
        model: &model.name,
        upstream_model: &model.upstream_model,
        price_provider: row.price_provider.as_deref(),
        price_multiplier: row.price_multiplier.to_string(),
    };
    offers.map(at).collect()
}

type Lines = Vec<(String, String)>;

/// For people: what is not there is left out.
fn lines(full: &FullJson<'_>) -> Lines {
    let price = &full.price;
    let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    let dated = if full.dated { format!("{}-2026-01-31 and the like", plain(price.model)) } else { String::new() };
    let mut lines: Lines = [
        ("model", plain(price.model)),
        ("provider", price.provider.map_or_else(|| "all without a row of their own".into(), plain)),
        ("aliases", plain(&price.aliases.join(", "))),
        ("names with dates", dated),
        ("context tokens", count(price.context_tokens)),
        ("most output tokens", count(price.max_output_tokens)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for version in full.versions {
        version_lines(version, full.versions.len() > 1, &mut lines);
    }
    for at in &full.upstreams {
        let model = match at.model == at.upstream_model {
            true => plain(at.model),
            false => format!("{} (as {})", plain(at.upstream_model), plain(at.model)),
        };
        let seller = at.price_provider.map(|seller| format!(", as {} charges", plain(seller))).unwrap_or_default();
        let times = match at.price_multiplier == Multiplier::ONE.to_string() {
            true => String::new(),
            false => format!(", all x {}", at.price_multiplier),
        };
        lines.push((format!("at upstream {}", plain(at.upstream)), format!("{model}{seller}{times}")));
    }
    lines
}

/// `is_one_of_many`: it is said from when on it holds.
fn version_lines(version: &Version, is_one_of_many: bool, lines: &mut Lines) {
    let mut line = |name: &str, value: String| lines.push((name.to_owned(), value));
    if is_one_of_many || version.valid_from.is_some() {
        let from = version.valid_from.as_deref().unwrap_or("the beginning");
        line("valid from", format!("{from}{}", if version.in_force { ", in force" } else { "" }));
    }
    if let (Some(code), Some(rate)) = (&version.currency, &version.usd_per_unit) {
        line("written in", format!("{}, {rate} USD each", plain(code)));
    }
    let base = &version.tokens.usd_per_million;
    for (class, rate) in in_order(base) {
        line(class, format!("{rate} USD per million tokens"));
    }
    for (what, price, unit) in [
        ("per request", &version.usd_per_request, "USD"),
        ("web searches", &version.usd_per_thousand_web_searches, "USD per thousand"),
    ] {
        if price != "0" {
            line(what, format!("{price} {unit}"));
        }
    }
    for (done, price) in &version.usd_per_time {
        line(&plain(done), format!("{price} USD {}", per_piece(done).unwrap_or("each time")));
    }
    if let Some(seconds) = version.audio_seconds_min {
        line("least of audio", format!("{seconds} seconds a request"));
    }
    for tier in &version.tokens.tiers {
        let name = format!("above {} tokens", tier.above_prompt_tokens);
        line(&name, difference(&tier.usd_per_million, base));
    }
    for (name, change) in &version.service_tiers {
        change_lines(name, change, &version.tokens, &mut line);
    }
    for (place, multiplier) in &version.inference_geo {
        line(&format!("inference in {}", plain(place)), format!("x {multiplier}"));
    }
    for window in &version.windows {
        change_lines(&window_name(window), &window.change, &version.tokens, &mut line);
    }
}

fn window_name(window: &WindowPrices) -> String {
    let days = if window.days.len() == 7 { "every day".to_owned() } else { window.days.join(" ") };
    let now = if window.in_force { " (now)" } else { "" };
    format!("{days} {}-{} {}{now}", window.from, window.to, window.time_zone)
}

fn change_lines(name: &str, change: &Changed, standard: &TokenPrices, line: &mut impl FnMut(&str, String)) {
    match change {
        Changed::Multiplied { multiplier } => line(name, format!("tokens x {multiplier}")),
        Changed::Repriced(own) => {
            line(name, difference(&own.usd_per_million, &standard.usd_per_million));
            for tier in &own.tiers {
                let name = format!("{name}, above {} tokens", tier.above_prompt_tokens);
                line(&name, difference(&tier.usd_per_million, &own.usd_per_million));
            }
        }
    }
}

/// Only what is another price.
fn difference(prices: &ClassPrices, base: &ClassPrices) -> String {
    let other = in_order(prices).into_iter().filter(|(class, rate)| base.get(class) != Some(rate));
    let named: Vec<String> = other.map(|(class, rate)| format!("{class} {rate}")).collect();
    if named.is_empty() { "the same".to_owned() } else { named.join(", ") }
}

/// As the price file has them: the prompt's classes first.
fn in_order(prices: &ClassPrices) -> Vec<(&'static str, &String)> {
    let of = |class: &'static str| prices.get(class).map(|rate| (class, rate));
    crate::price::CLASS_KEYS.into_iter().filter_map(of).collect()
}
