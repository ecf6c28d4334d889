//! `tollgate price explain`

use super::super::amount::usd;
use super::super::args::PriceExplain;
use super::super::price_file::read_book;
use super::super::terminal::{Failure, Outcome, Terminal, plain};
use super::{missing, named};
use crate::config::Config;
use crate::price::{PieceCounts, Price, PriceBook};
use std::sync::Arc;
use tollgate_plugin_api::did_you_mean;
use tollgate_plugin_api::{Metered, Usage, UsageDetail, UsageSource};

pub(super) fn explain(arguments: &PriceExplain, config: &Config, terminal: &mut Terminal<'_>) -> Outcome {
    check(arguments)?;
    let book = read_book(config)?;
    let price = match &arguments.upstream {
        Some(name) => at_upstream(name, arguments, &book, config)?,
        None => {
            let provider = arguments.provider.as_deref().unwrap_or("");
            book.find(provider, &arguments.model, &arguments.model).cloned()
        }
    };
    let Some(price) = price.as_deref() else { return Err(elsewhere(arguments, &book, config)) };
    let metered = metered(arguments);
    let at_ms = arguments.at.map_or(terminal.now_ms, |at| at.resolve(terminal.now_ms));
    let cost = book.cost(Some(price), &metered, at_ms);
    let lines = book.explain(Some(price), &metered, at_ms);
    if arguments.json {
        for line in &lines {
            terminal.json(&serde_json::json!({ "what": line.what, "how": line.how, "usd": line.usd() }))?;
        }
        let version = book.version();
        let cost = serde_json::json!({
            "what": "cost", "cost_nanos": cost.nanos, "price_missing": cost.missing, "price_version": version
        });
        return terminal.json(&cost);
    }
    for line in &lines {
        writeln!(terminal.out, "{line}")?;
    }
    // That a service tier has no price stands in a line of its own.
    let names: Vec<String> = metered.extras.iter().map(|extra| extra.kind.clone()).collect();
    if cost.missing && !names.is_empty() {
        let names = names.join(", ");
        terminal.remark(&format!("Something among {names} has no fee in this row, and is not in this cost."))?;
    }
    Ok(writeln!(terminal.out, "cost: {} ({} nano-USD), price version {}", usd(cost.nanos), cost.nanos, book.version())?)
}

/// Parts are not more than what they are parts of.
fn check(arguments: &PriceExplain) -> Result<(), Failure> {
    let sum = |parts: &[u64]| parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part));
    let fits = |parts: &[u64], whole: u64| sum(parts).is_some_and(|parts| parts <= whole);
    let a = arguments;
    let input = fits(&[a.cached_input, a.cache_write, a.input_audio, a.input_image], a.input);
    let cached = fits(&[a.cached_audio], a.cached_input) && fits(&[a.cache_write_1h], a.cache_write);
    if input && cached && fits(&[a.reasoning, a.output_audio, a.output_image], a.output) {
        return Ok(());
    }
    let message = "tollgate: --input is all input, with --cached-input, --cache-write, --input-audio and --input-image as \
                   parts of it, --cached-audio as a part of --cached-input and --cache-write-1h of --cache-write; \
                   --output is all output, with --reasoning, --output-audio and --output-image as parts of it";
    Err(Failure::Usage(vec![message.into()]))
}

/// The price at an upstream of the config file, by the client's or the upstream's own name for the model.
fn at_upstream(
    name: &str,
    arguments: &PriceExplain,
    book: &PriceBook,
    config: &Config,
) -> Result<Option<Arc<Price>>, Failure> {
    let wrong = config.price_errors(book);
    if !wrong.is_empty() {
        return Err(wrong.into());
    }
    let Some(upstream) = config.upstreams.iter().find(|upstream| upstream.name == name) else {
        let guess = did_you_mean(name, config.upstreams.iter().map(|upstream| &*upstream.name));
        return Err(Failure::Runtime(format!("there is no upstream `{}`{guess}", plain(name))));
    };
    let models = &upstream.models;
    let called = models.iter().find(|model| model.name == arguments.model);
    let Some(model) = called.or_else(|| models.iter().find(|model| model.upstream_model == arguments.model)) else {
        let guess = did_you_mean(&arguments.model, models.iter().map(|model| &*model.name));
        let message = format!("upstream `{}` has no model `{}`{guess}", plain(name), plain(&arguments.model));
        return Err(Failure::Runtime(message));
    };
    Ok(upstream.price(book, model))
}

/// There is no such price; perhaps there is one at a provider.
fn elsewhere(arguments: &PriceExplain, book: &PriceBook, config: &Config) -> Failure {
    let rows = named(book, &arguments.model);
    let providers: Vec<String> = rows.iter().filter_map(|price| price.provider.as_deref().map(plain)).collect();
    if providers.is_empty() {
        return missing(&arguments.model, book, config);
    }
    let message =
        format!("`{}` has prices by provider: give --provider {}", plain(&arguments.model), providers.join(" or "));
    Failure::Runtime(message)
}

/// What is billed by the piece.
fn pieces(arguments: &PriceExplain) -> PieceCounts<'_> {
    PieceCounts {
        images: arguments.images,
        quality: arguments.quality.as_deref(),
        size: arguments.size.as_deref(),
        audio_ms: arguments.audio_seconds.0,
        characters: arguments.characters,
    }
}

fn metered(arguments: &PriceExplain) -> Metered {
    Metered {
        usage: Usage {
            input_tokens: arguments.input,
            cached_input_tokens: arguments.cached_input,
            cache_write_tokens: arguments.cache_write,
            output_tokens: arguments.output,
            reasoning_tokens: arguments.reasoning,
        },
        tier: arguments.tier,
        detail: UsageDetail {
            cache_write_1h_tokens: arguments.cache_write_1h,
            input_audio_tokens: arguments.input_audio,
            cached_audio_tokens: arguments.cached_audio,
            input_image_tokens: arguments.input_image,
            output_audio_tokens: arguments.output_audio,
            output_image_tokens: arguments.output_image,
            web_searches: arguments.web_searches,
        },
        extras: pieces(arguments).extras(),
        inference_geo: arguments.inference_geo.clone(),
        source: UsageSource::Reported,
        ..Metered::default()
    }
}
