//! `tollgate price …`, as it is typed.

use super::super::amount::{Milliseconds, decimal, fee, seconds};
use super::super::time::{Since, parse_since};
use super::Listing;
use crate::price::import::FORMATS;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use tollgate_plugin_api::ServiceTier;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PriceVerb {
    /// List all prices
    List(Listing),
    /// Show one model's price in full
    Show(PriceShow),
    /// Set a model's price in the pricing file
    Set(PriceSet),
    /// Show how a cost comes about
    Explain(PriceExplain),
    /// Compare the pricing file with published prices, or take them over
    Import(PriceImport),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PriceShow {
    /// The model
    pub(in crate::cli) model: String,
    /// One JSON object a line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PriceSet {
    /// The model, as the provider calls it
    pub(in crate::cli) model: String,
    /// The price at this provider only
    #[arg(long)]
    pub(in crate::cli) provider: Option<String>,
    /// What the amounts are in, if not USD: one of the file's [currency]
    #[arg(long, value_name = "CODE")]
    pub(in crate::cli) currency: Option<String>,
    /// USD per million input tokens
    #[arg(long, value_name = "USD", value_parser = decimal, allow_hyphen_values = true)]
    pub(in crate::cli) input: String,
    /// USD per million output tokens
    #[arg(long, value_name = "USD", value_parser = decimal, allow_hyphen_values = true)]
    pub(in crate::cli) output: String,
    /// USD per million input tokens read from the provider's cache
    #[arg(long, value_name = "USD", value_parser = decimal, allow_hyphen_values = true)]
    pub(in crate::cli) cached_input: Option<String>,
    /// USD per million input tokens written to the provider's cache
    #[arg(long, value_name = "USD", value_parser = decimal, allow_hyphen_values = true)]
    pub(in crate::cli) cache_write: Option<String>,
    /// USD per million reasoning tokens
    #[arg(long, value_name = "USD", value_parser = decimal, allow_hyphen_values = true)]
    pub(in crate::cli) reasoning: Option<String>,
    /// USD for each request
    #[arg(long, value_name = "USD", value_parser = decimal, allow_hyphen_values = true)]
    pub(in crate::cli) per_request: Option<String>,
    /// USD for what is billed by the piece or by the time: image_hd=0.08, audio_hour=0.36; may be given several times
    #[arg(long = "fee", value_name = "NAME=USD", value_parser = fee)]
    pub(in crate::cli) fees: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PriceExplain {
    /// The model
    pub(in crate::cli) model: String,
    /// The provider, where prices differ by provider
    #[arg(long, conflicts_with = "upstream")]
    pub(in crate::cli) provider: Option<String>,
    /// What it costs at this upstream of the config file, with its price_provider and price_multiplier
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) upstream: Option<String>,
    /// Input tokens, cached ones included
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) input: u64,
    /// Of these, read from the provider's cache
    #[arg(long, value_name = "N", default_value_t = 0, alias = "cached")]
    pub(in crate::cli) cached_input: u64,
    /// Of the cached ones, audio
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) cached_audio: u64,
    /// Of these, written to the provider's cache
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) cache_write: u64,
    /// Of the written ones, those that stay for an hour
    #[arg(long = "cache-write-1h", value_name = "N", default_value_t = 0)]
    pub(in crate::cli) cache_write_1h: u64,
    /// Of the input, audio that was not cached
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) input_audio: u64,
    /// Of the input, images that were not cached
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) input_image: u64,
    /// Output tokens, reasoning included
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) output: u64,
    /// Of these, reasoning
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) reasoning: u64,
    /// Of these, audio
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) output_audio: u64,
    /// Of these, images
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) output_image: u64,
    /// Searches on the web that the provider ran
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) web_searches: u64,
    /// Images that were made
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) images: u64,
    /// Their size: 1024x1792
    #[arg(long, requires = "images")]
    pub(in crate::cli) size: Option<String>,
    /// Their quality: hd
    #[arg(long, requires = "images")]
    pub(in crate::cli) quality: Option<String>,
    /// Seconds of audio that were heard; may have decimals
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0", hide_default_value = true)]
    pub(in crate::cli) audio_seconds: Milliseconds,
    /// Characters of the text that was spoken
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) characters: u64,
    /// The service tier
    #[arg(long, default_value = "standard", value_parser = super::word::<ServiceTier>())]
    pub(in crate::cli) tier: ServiceTier,
    /// Where the model has to run, as answers say it: us
    #[arg(long, value_name = "PLACE")]
    pub(in crate::cli) inference_geo: Option<String>,
    /// When (2026-12-31T18:00:00Z, 1h ago as 1h) [default: now]
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub(in crate::cli) at: Option<Since>,
    /// One JSON object a line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PriceImport {
    /// The published prices: a JSON file
    pub(in crate::cli) file: PathBuf,
    /// Whose format it is [default: what it looks like]
    #[arg(long, value_parser = PossibleValuesParser::new(FORMATS.iter().map(|format| format.name)))]
    pub(in crate::cli) format: Option<String>,
    /// Only these models, with * for any letters; may be given several times
    #[arg(long = "model", value_name = "NAME")]
    pub(in crate::cli) models: Vec<String>,
    /// Only this provider, as the file or as Tollgate calls it; for prices without providers: whose rows they become
    #[arg(long)]
    pub(in crate::cli) provider: Option<String>,
    /// Write the pricing file; without it, nothing is changed
    #[arg(long)]
    pub(in crate::cli) write: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
