//! LiteLLM's `model_prices_and_context_window.json`: one object of models, USD per token.

use super::json::Json;
use super::litellm_pieces::{Named, fee, merge};
use super::number::Decimal;
use super::offer::{Offer, Unread};
use super::{Published, Seller, maker, seller};
use std::collections::BTreeMap;

/// `litellm_provider`, and ours.
pub(super) const SELLERS: &[Seller] = &[
    maker("openai", "openai"),
    maker("text-completion-openai", "openai"),
    maker("anthropic", "anthropic"),
    maker("gemini", "gemini"),
    maker("deepseek", "deepseek"),
    maker("mistral", "mistral"),
    maker("xai", "xai"),
    maker("moonshot", "moonshot"),
    maker("zai", "zai"),
    maker("minimax", "minimax"),
    maker("cohere", "cohere"),
    maker("cohere_chat", "cohere"),
    maker("perplexity", "perplexity"),
    maker("voyage", "voyage"),
    maker("meta_llama", "meta"),
    seller("azure", "azure-openai"),
    seller("groq", "groq"),
    seller("cerebras", "cerebras"),
    seller("together_ai", "together"),
    seller("fireworks_ai", "fireworks"),
    seller("openrouter", "openrouter"),
    seller("dashscope", "qwen"),
    seller("nvidia_nim", "nvidia"),
    seller("vercel_ai_gateway", "vercel"),
    seller("siliconflow", "siliconflow"),
    seller("bigmodel", "zhipu"),
    seller("volcengine", "volcengine"),
    seller("tencent", "tencent"),
    seller("deepinfra", "deepinfra"),
    seller("sambanova", "sambanova"),
    seller("novita", "novita"),
    seller("nebius", "nebius"),
    seller("crusoe", "crusoe"),
    seller("ai21", "ai21"),
    seller("cloudflare", "cloudflare"),
    seller("databricks", "databricks"),
    seller("snowflake", "snowflake"),
];

/// Keys without their suffixes (`_above_200k_tokens`, `_batches`), and our classes.
const CLASSES: [(&str, &str); 11] = [
    ("input_cost_per_token", "input"),
    ("cache_read_input_token_cost", "cached_input"),
    ("cache_creation_input_token_cost", "cache_write"),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h"),
    ("input_cost_per_audio_token", "input_audio"),
    ("cache_read_input_audio_token_cost", "cached_audio"),
    ("input_cost_per_image_token", "input_image"),
    ("output_cost_per_token", "output"),
    ("output_cost_per_reasoning_token", "reasoning"),
    ("output_cost_per_audio_token", "output_audio"),
    ("output_cost_per_image_token", "output_image"),
];
const SERVICES: [(&str, &str); 3] = [("_batches", "batch"), ("_flex", "flex"), ("_priority", "priority")];
/// Models that generate no tokens.
const WITHOUT_OUTPUT: [&str; 3] = ["embedding", "moderation", "rerank"];
const SEARCH: &str = "search_context_cost_per_query";
const THOUSAND: Decimal = Decimal::new(1, 3);
const MILLION: Decimal = Decimal::new(1, 6);

pub(super) fn looks_like(json: Json<'_>) -> bool {
    json.object().is_some_and(|models| models.values().any(|model| model.get("litellm_provider").is_some()))
}

pub(super) fn read(json: Json<'_>, _today: &str) -> Result<Published, String> {
    let models = json.object().ok_or("expected an object of models")?;
    let mut published = Published::default();
    let mut particular = Vec::new();
    for (key, model) in models.into_iter().filter(|(key, _)| key != "sample_spec") {
        let facts = model.object().unwrap_or_default();
        let seller = facts.get("litellm_provider").and_then(|provider| provider.text()).unwrap_or_default();
        // A key is often `provider/model`; what follows is what the provider calls it.
        let name = key.strip_prefix(&seller).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&key).to_owned();
        let mode = facts.get("mode").and_then(|mode| mode.text()).unwrap_or_default();
        let named = Named::read(&name, &mode);
        match offer(&seller, &named, &mode, &facts) {
            Ok(offer) if named.is_particular() => particular.push(offer),
            Ok(offer) => published.offers.push(offer),
            Err(why) => published.unread.push(Unread { seller, model: name, why }),
        }
    }
    merge(&mut published, particular);
    Ok(published)
}

fn offer(seller: &str, named: &Named, mode: &str, facts: &BTreeMap<String, Json<'_>>) -> Result<Offer, String> {
    let mut offer = Offer { seller: seller.into(), model: named.model.clone(), ..Offer::default() };
    let (mut by_piece, mut piece_keys) = (None, Vec::new());
    // A model that is billed by tokens is not billed once more, whatever is said of its pieces.
    let by_piece_only = if is_by_token(facts) { None } else { fee(named, mode, facts)? };
    if let Some((fee, cost, keys)) = by_piece_only {
        let price = cost.price().map_err(|why| format!("{}: {why}", keys.join(", ")))?;
        (by_piece, piece_keys) = (Some((fee, price)), keys);
    }
    for (key, value) in facts.iter().filter(|(_, value)| !value.is_null()) {
        if let Some((class, above, service)) = place(key) {
            let price = value.decimal().and_then(|cost| cost.times(MILLION)?.price());
            let nanos = offer.keep(price.map_err(|why| format!("{key}: {why}"))?);
            // There, 0 often means that nobody knows; here, it would be free.
            if nanos == 0 && !matches!(class, "input" | "output") {
                offer.unsaid.insert(format!("{key} = 0"));
                continue;
            }
            let stepped = match service {
                None => &mut offer.standard,
                Some(service) => offer.services.entry(service).or_default(),
            };
            let prices = above.map_or(&mut stepped.base, |above| stepped.tiers.entry(above).or_default());
            prices.insert(class, nanos);
        } else if key == SEARCH {
            search(&mut offer, *value)?;
        } else if key == "tiered_pricing" {
            return Err("`tiered_pricing`, which names no single price".into());
        } else if !piece_keys.contains(key) && key.contains("cost") && value.decimal().is_ok_and(|cost| !cost.is_zero())
        {
            offer.unsaid.insert(key.clone());
        }
    }
    let whole = |key: &str| facts.get(key).and_then(|value| value.whole());
    offer.context_tokens = whole("max_input_tokens");
    offer.output_tokens_max = whole("max_output_tokens");
    if let Some((fee, price)) = by_piece {
        let nanos = offer.keep(price);
        offer.fees.insert(fee, nanos);
        offer.standard.base.extend([("input", 0), ("output", 0)]);
    }
    if offer.standard.base.contains_key("input") && WITHOUT_OUTPUT.contains(&mode) {
        offer.standard.base.entry("output").or_insert(0);
    }
    Ok(offer)
}

/// Whether a token has a price.
fn is_by_token(facts: &BTreeMap<String, Json<'_>>) -> bool {
    let is_price = |value: &Json<'_>| value.decimal().is_ok_and(|cost| !cost.is_zero());
    facts.iter().any(|(key, value)| matches!(place(key), Some((_, None, None))) && is_price(value))
}

/// Class, prompt length above which it holds, and service tier of a key.
fn place(key: &str) -> Option<(&'static str, Option<u64>, Option<&'static str>)> {
    let (key, service) = SERVICES
        .iter()
        .find_map(|(suffix, service)| Some((key.strip_suffix(suffix)?, Some(*service))))
        .unwrap_or((key, None));
    let tier = || {
        let (base, thousands) = key.strip_suffix("k_tokens")?.rsplit_once("_above_")?;
        Some((base, thousands.parse::<u64>().ok()?.checked_mul(1000)?))
    };
    let (base, above) = tier().map_or((key, None), |(base, above)| (base, Some(above)));
    let (_, class) = CLASSES.iter().find(|(theirs, _)| *theirs == base)?;
    Some((class, above, service))
}

/// USD per search by how much context is searched: one price if all are the same.
fn search(offer: &mut Offer, value: Json<'_>) -> Result<(), String> {
    let costs = value.object().unwrap_or_default();
    let costs = costs.values().map(|cost| cost.decimal()).collect::<Result<Vec<_>, _>>();
    let costs = costs.map_err(|why| format!("{SEARCH}: {why}"))?;
    match costs.split_first() {
        Some((first, rest)) if rest.iter().all(|cost| cost == first) => {
            let price = first.times(THOUSAND)?.price()?;
            let nanos = offer.keep(price);
            if nanos > 0 {
                offer.once.insert("web_search_per_thousand", nanos);
            }
        }
        _ => drop(offer.unsaid.insert(SEARCH.into())),
    }
    Ok(())
}
