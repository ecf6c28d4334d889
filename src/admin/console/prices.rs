//! The price book in force.

use super::access::USER;
use super::extract::{Listed, Part, Sent};
use super::query::{Asked, Both};
use super::refusal::{Code, Refusal};
use super::routes::{Route, Verb};
use super::{Desk, times};
use crate::clock::unix_ms;
use crate::explain::PriceLine;
use crate::price::{PieceCounts, Price, Version, further};
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_plugin_api::did_you_mean;
use tollgate_plugin_api::{Metered, ServiceTier, Usage, UsageDetail, UsageSource};
use utoipa::ToSchema;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/api/prices", USER, |verb| on(verb, list), "The price book in force.")
        .asks::<Both<PricesAsked, Part>>()
        .lists::<PriceJson>(),
    Route::new(Verb::Post, "/api/prices/explain", USER, |verb| on(verb, explain), "The arithmetic of a cost.")
        .takes::<Explain>()
        .gives::<Explained>()
        .refuses(&[Code::NotFound]),
];

/// Which prices.
#[derive(Deserialize, ToSchema)]
struct PricesAsked {
    /// A part of a model's name, of an alias, or of a provider's name.
    q: Option<String>,
}

/// A price.
#[derive(Serialize, ToSchema)]
struct PriceJson {
    model: String,
    provider: Option<String>,
    /// By class: USD per million tokens, as decimal numbers; of plain requests, now.
    classes: BTreeMap<&'static str, String>,
    /// USD for each request, now.
    usd_per_request: String,
    /// USD for a thousand searches that the provider ran, now.
    usd_per_thousand_web_searches: String,
    /// What else there are prices for, in words: long prompts, hours, other dates, service tiers …
    and_prices_of: Vec<&'static str>,
    /// All of them, the earliest first, those that are still to come included.
    versions: Vec<Version>,
    aliases: Vec<String>,
    context_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    /// Who has the last word on it: the file.
    owner: &'static str,
}

impl PriceJson {
    fn of(price: &Price) -> Self {
        let now_ms = unix_ms();
        let [usd_per_request, usd_per_thousand_web_searches] = price.once_usd(now_ms).map(|(_, usd)| usd);
        let versions = price.versions(now_ms);
        let limits = price.limits(now_ms);
        Self {
            model: price.model.to_string(),
            provider: price.provider.as_ref().map(ToString::to_string),
            classes: price.rates_usd(now_ms).into_iter().collect(),
            usd_per_request,
            usd_per_thousand_web_searches,
            and_prices_of: further(&versions),
            versions,
            aliases: price.aliases.iter().map(ToString::to_string).collect(),
            context_tokens: limits.context_tokens,
            max_output_tokens: limits.output_tokens_max,
            owner: "file",
        }
    }
}

/// USD per million tokens by class; and, where they cost anything, for each request and for a thousand searches, by the price
/// file's keys.
pub(super) fn rates(price: &Price, at_ms: i64) -> BTreeMap<&'static str, String> {
    let once = price.once_usd(at_ms).into_iter().filter(|(_, usd)| usd != "0");
    price.rates_usd(at_ms).into_iter().chain(once).collect()
}

async fn list(
    State(desk): State<Arc<Desk>>,
    Asked(Both(PricesAsked { q }, part)): Asked<Both<PricesAsked, Part>>,
) -> Result<Json<Listed<PriceJson>>, Refusal> {
    let page = part.page();
    let book = desk.shared.snapshot.load().prices.clone();
    let wanted = q.unwrap_or_default().to_lowercase();
    let is_wanted = |price: &Price| {
        let mut names = [&price.model].into_iter().chain(&price.aliases).chain(&price.provider);
        names.any(|name| name.to_lowercase().contains(&wanted))
    };
    // In the order of the file; a row's place is its cursor.
    let from = usize::try_from(page.after.unwrap_or(0)).unwrap_or(0);
    let numbered = (1_i64..).zip(book.iter()).skip(from).filter(|(_, price)| is_wanted(price));
    let rows: Vec<_> = numbered.take(page.limit as usize).collect();
    Ok(Json(Listed::of(rows, page, |(place, _)| *place, |(_, price)| PriceJson::of(price))))
}

/// What is to be priced; what is left out is 0.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Explain {
    model: String,
    /// Whose price; none: that of all who have none of their own.
    provider: Option<String>,
    /// When; none: now.
    at: Option<String>,
    /// standard, batch, flex, priority or ultrafast
    tier: Option<String>,
    /// Where the model has to run, as answers say it: us
    inference_geo: Option<String>,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    cache_write_1h_tokens: u64,
    input_audio_tokens: u64,
    cached_audio_tokens: u64,
    input_image_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    output_audio_tokens: u64,
    output_image_tokens: u64,
    web_searches: u64,
    /// Images that were made.
    images: u64,
    /// Their quality: hd
    quality: Option<String>,
    /// Their size: 1024x1792
    size: Option<String>,
    /// Milliseconds of audio that were heard.
    audio_ms: u64,
    /// Characters of text that were spoken.
    characters: u64,
}

impl Explain {
    fn metered(&self) -> Result<Metered, Refusal> {
        let tier = ServiceTier::parse(self.tier.as_deref().unwrap_or("standard"));
        Ok(Metered {
            usage: Usage {
                input_tokens: self.input_tokens,
                cached_input_tokens: self.cached_input_tokens,
                cache_write_tokens: self.cache_write_tokens,
                output_tokens: self.output_tokens,
                reasoning_tokens: self.reasoning_tokens,
            },
            tier: tier
                .ok_or_else(|| Refusal::field("tier", "expected standard, batch, flex, priority or ultrafast"))?,
            detail: UsageDetail {
                cache_write_1h_tokens: self.cache_write_1h_tokens,
                input_audio_tokens: self.input_audio_tokens,
                cached_audio_tokens: self.cached_audio_tokens,
                input_image_tokens: self.input_image_tokens,
                output_audio_tokens: self.output_audio_tokens,
                output_image_tokens: self.output_image_tokens,
                web_searches: self.web_searches,
            },
            extras: self.pieces().extras(),
            inference_geo: self.inference_geo.clone(),
            source: UsageSource::Reported,
            ..Metered::default()
        })
    }

    /// What is billed by the piece.
    fn pieces(&self) -> PieceCounts<'_> {
        PieceCounts {
            images: self.images,
            quality: self.quality.as_deref(),
            size: self.size.as_deref(),
            audio_ms: self.audio_ms,
            characters: self.characters,
        }
    }

    /// Parts are not more than what they are parts of.
    fn check(&self) -> Result<(), Refusal> {
        let fits = |whole: u64, parts: &[u64]| {
            parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part)).is_some_and(|sum| sum <= whole)
        };
        let cached =
            &[self.cached_input_tokens, self.cache_write_tokens, self.input_audio_tokens, self.input_image_tokens];
        let made = &[self.reasoning_tokens, self.output_audio_tokens, self.output_image_tokens];
        for (field, whole, parts) in [
            ("input_tokens", self.input_tokens, &cached[..]),
            ("cached_input_tokens", self.cached_input_tokens, &[self.cached_audio_tokens]),
            ("cache_write_tokens", self.cache_write_tokens, &[self.cache_write_1h_tokens]),
            ("output_tokens", self.output_tokens, made),
        ] {
            if !fits(whole, parts) {
                return Err(Refusal::field(field, "expected all of them, those included that are counted by kind"));
            }
        }
        Ok(())
    }
}

/// The arithmetic of a cost.
#[derive(Serialize, ToSchema)]
struct Explained {
    lines: Vec<PriceLine>,
    cost_nanos: i64,
    /// Something that was done has no price, and is not in the cost.
    price_missing: bool,
    price_version: String,
}

async fn explain(State(desk): State<Arc<Desk>>, Sent(asked): Sent<Explain>) -> Result<Json<Explained>, Refusal> {
    asked.check()?;
    let metered = asked.metered()?;
    let at_ms = asked.at.as_deref().map_or_else(|| Ok(unix_ms()), |text| times::parse("at", text))?;
    let book = desk.shared.snapshot.load().prices.clone();
    let price = book.find(asked.provider.as_deref().unwrap_or(""), &asked.model, &asked.model);
    let price = price.ok_or_else(|| {
        let guess = did_you_mean(&asked.model, book.iter().map(|price| &*price.model));
        Refusal::new(Code::NotFound, format!("this model has no price there{guess}")).at("model")
    })?;
    let lines = book.explain(Some(price), &metered, at_ms).into_iter().map(PriceLine::of).collect();
    let cost = book.cost(Some(price), &metered, at_ms);
    let (cost_nanos, price_missing) = (cost.nanos, cost.missing);
    Ok(Json(Explained { lines, cost_nanos, price_missing, price_version: book.version().to_string() }))
}
