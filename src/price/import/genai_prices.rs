//! The data of genai-prices, `prices/data.json`: an array of providers with their models, USD per million tokens.

use super::json::Json;
use super::number::Decimal;
use super::offer::{Offer, Stepped, Unread};
use super::{Published, Seller, maker, seller};

/// Their ids, and ours. On a name that two makers claim, the first has it.
pub const SELLERS: &[Seller] = &[
    maker("openai", "openai"),
    maker("anthropic", "anthropic"),
    maker("google", "gemini"),
    maker("deepseek", "deepseek"),
    maker("mistral", "mistral"),
    maker("x-ai", "xai"),
    maker("moonshotai", "moonshot"),
    maker("zai", "zai"),
    maker("minimax", "minimax"),
    maker("cohere", "cohere"),
    maker("perplexity", "perplexity"),
    maker("voyageai", "voyage"),
    maker("meta", "meta"),
    seller("azure", "azure-openai"),
    seller("aws", "bedrock"),
    seller("zhipuai", "zhipu"),
    seller("groq", "groq"),
    seller("cerebras", "cerebras"),
    seller("together", "together"),
    seller("fireworks", "fireworks"),
    seller("openrouter", "openrouter"),
    seller("novita", "novita"),
    seller("avian", "avian"),
    seller("cloudflare", "cloudflare"),
    seller("databricks", "databricks"),
];

/// Their keys of prices a million tokens, and ours.
pub const CLASSES: [(&str, &str); 11] = [
    ("input_mtok", "input"),
    ("cache_read_mtok", "cached_input"),
    ("cache_write_mtok", "cache_write"),
    ("cache_write_1h_mtok", "cache_write_1h"),
    ("input_audio_mtok", "input_audio"),
    ("cache_audio_read_mtok", "cached_audio"),
    ("input_image_mtok", "input_image"),
    ("output_mtok", "output"),
    ("output_reasoning_mtok", "reasoning"),
    ("output_audio_mtok", "output_audio"),
    ("output_image_mtok", "output_image"),
];
/// What selects a service tier there: key, value, and ours.
pub const SERVICES: [(&str, &str, &str); 3] =
    [("processing", "batch", "batch"), ("service_tier", "flex", "flex"), ("service_tier", "priority", "priority")];
const ONE: Decimal = Decimal::new(1, 0);
const A_THOUSANDTH: Decimal = Decimal::new(1, -3);
/// What is not per token, and what of theirs is one of ours.
const ONCE: [(&str, &str, Decimal); 2] =
    [("requests_kcount", "per_request", A_THOUSANDTH), ("web_searches_kcount", "web_search_per_thousand", ONE)];

/// What is billed each time that it is done: their key of a thousand times, and our kind of fee.
pub const FEES: [(&str, &str); 1] = [("storage_searches_kcount", "file_search")];

pub(super) fn looks_like(json: Json<'_>) -> bool {
    json.array().first().is_some_and(|provider| provider.get("models").is_some() && provider.get("id").is_some())
}

pub(super) fn read(json: Json<'_>, today: &str) -> Result<Published, String> {
    let providers = json.array();
    if providers.is_empty() {
        return Err("expected an array of providers".into());
    }
    let mut published = Published::default();
    for provider in providers {
        let seller = provider.get("id").and_then(Json::text).ok_or("a provider without an `id`")?;
        for model in provider.get("models").map(Json::array).unwrap_or_default() {
            let Some(id) = model.get("id").and_then(Json::text) else { continue };
            match offer(&seller, &id, model, today) {
                Err(why) => published.unread.push(Unread { seller: seller.clone(), model: id, why }),
                Ok(offer) => {
                    let mut names = vec![id];
                    equal_names(model.get("match"), &mut names);
                    published.offers.extend(names.into_iter().map(|model| Offer { model, ..offer.clone() }));
                }
            }
        }
    }
    Ok(published)
}

/// Further names that are written out in the match rule.
fn equal_names(rule: Option<Json<'_>>, names: &mut Vec<String>) {
    let Some(rule) = rule else { return };
    let rules = rule.get("or").map_or_else(|| vec![rule], Json::array);
    for name in rules.into_iter().filter_map(|rule| rule.get("equals")?.text()) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            names.push(name);
        }
    }
}

fn offer(seller: &str, id: &str, model: Json<'_>, today: &str) -> Result<Offer, String> {
    let mut offer = Offer { seller: seller.into(), model: id.into(), ..Offer::default() };
    offer.context_tokens = model.get("context_window").and_then(Json::whole);
    let prices = model.get("prices").ok_or("no `prices`")?;
    let start = |entry: Json<'_>| entry.get("constraint").and_then(|only| only.get("start_date")).and_then(Json::text);
    let begun = |entry: &Json<'_>| start(*entry).is_none_or(|date| date.as_str() <= today);
    let standard = match prices.object() {
        Some(_) => prices,
        None => {
            let entries = prices.array();
            let daily = |entry: &Json<'_>| entry.get("constraint").is_some_and(|only| only.get("start_time").is_some());
            if entries.iter().any(daily) {
                return Err("prices by the time of day: write `windows` by hand".into());
            }
            for date in entries.iter().filter_map(|entry| start(*entry)).filter(|date| date.as_str() > today) {
                offer.unsaid.insert(format!("prices from {date} on"));
            }
            let current = entries.into_iter().rev().find(begun).and_then(|entry| entry.get("prices"));
            current.ok_or("no price is valid yet")?
        }
    };
    offer.standard = stepped(&mut offer, standard, true)?;
    // Embeddings have no output, and no price of it.
    if offer.standard.base.contains_key("input") {
        offer.standard.base.entry("output").or_insert(0);
    }
    for variant in model.get("price_variants").map(Json::array).unwrap_or_default() {
        let when = variant.get("when").and_then(Json::object).unwrap_or_default();
        let service = SERVICES.iter().find(|(key, value, _)| {
            when.len() == 1 && when.get(*key).and_then(|found| found.text()).as_deref() == Some(*value)
        });
        if let (Some((_, _, service)), Some(prices), true) = (service, variant.get("prices"), begun(&variant)) {
            let own = stepped(&mut offer, prices, false)?;
            // The first that fits counts, as there.
            offer.services.entry(service).or_insert(own);
        }
    }
    Ok(offer)
}

/// Prices and their tiers. `standard`: what is not per token, and what cannot be said, is noted.
fn stepped(offer: &mut Offer, prices: Json<'_>, standard: bool) -> Result<Stepped, String> {
    let mut read = Stepped::default();
    for (key, value) in prices.object().unwrap_or_default() {
        let nanos = |offer: &mut Offer, value: Json<'_>, times: Decimal| -> Result<u64, String> {
            let price = value.decimal().and_then(|price| price.times(times)?.price());
            Ok(offer.keep(price.map_err(|why| format!("{key}: {why}"))?))
        };
        if let Some((_, class)) = CLASSES.iter().find(|(theirs, _)| *theirs == key) {
            read.base.insert(class, nanos(offer, value.get("base").unwrap_or(value), ONE)?);
            for tier in value.get("tiers").map(Json::array).unwrap_or_default() {
                let above = tier.get("start").and_then(Json::whole).ok_or_else(|| format!("{key}: an odd tier"))?;
                let price = tier.get("price").ok_or_else(|| format!("{key}: a tier without a price"))?;
                read.tiers.entry(above).or_default().insert(class, nanos(offer, price, ONE)?);
            }
        } else if let Some((_, ours, times)) = ONCE.iter().find(|(theirs, ..)| standard && *theirs == key) {
            let price = nanos(offer, value, *times)?;
            offer.once.insert(ours, price);
        } else if let Some((_, kind)) = FEES.iter().find(|(theirs, _)| standard && *theirs == key) {
            let price = nanos(offer, value, A_THOUSANDTH)?;
            offer.fees.insert(kind.to_string(), price);
        } else if standard {
            offer.unsaid.insert(key);
        }
    }
    Ok(read)
}
