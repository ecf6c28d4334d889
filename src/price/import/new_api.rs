//! new-api's ratios (and One API's): its `/api/pricing`, its `/api/ratio_config`, or its option maps. A model ratio of 1 is
//! 2 USD per million input tokens; the other ratios multiply that; `model_price` is USD per request, of some models for a plain image.

use super::json::Json;
use super::number::Decimal;
use super::offer::{Offer, Unread};
use super::{Published, Seller};
use std::collections::BTreeMap;

/// It does not say who sells: the rows are for all providers, or for the one that is named.
pub(super) const SELLERS: &[Seller] = &[];

/// USD per million tokens at a ratio of 1.
const USD_PER_RATIO: Decimal = Decimal::new(2, 0);
/// What a cache write for an hour costs there, relative to one for five minutes: 6 / 3.75.
const HOUR_RATIO: Decimal = Decimal::new(16, -1);

/// The names of one fact: of a model, of a map by model, of an option.
const FACTS: [[&str; 2]; 8] = [
    ["model_ratio", "ModelRatio"],
    ["completion_ratio", "CompletionRatio"],
    ["cache_ratio", "CacheRatio"],
    ["create_cache_ratio", "CreateCacheRatio"],
    ["model_price", "ModelPrice"],
    ["audio_ratio", "AudioRatio"],
    ["audio_completion_ratio", "AudioCompletionRatio"],
    ["image_ratio", "ImageRatio"],
];

pub(super) fn looks_like(json: Json<'_>) -> bool {
    let inside = json.get("data").unwrap_or(json);
    let named = |json: Json<'_>| FACTS[0].iter().chain(&FACTS[4]).any(|name| json.get(name).is_some());
    let listed = inside.array().first().is_some_and(|first| first.get("model_name").is_some());
    let options =
        inside.array().iter().any(|option| option.get("key").and_then(Json::text).as_deref() == Some(FACTS[0][1]));
    listed || options || named(inside)
}

pub(super) fn read(json: Json<'_>, _today: &str) -> Result<Published, String> {
    let inside = json.get("data").unwrap_or(json);
    let listed = inside.array();
    if listed.first().is_some_and(|first| first.get("model_name").is_some()) {
        return Ok(of_models(listed));
    }
    if !listed.is_empty() {
        // Options: a value is JSON in a string.
        let text = |option: &Json<'_>, key: &str| option.get(key).and_then(Json::text);
        let options: Vec<(String, String)> =
            listed.iter().filter_map(|option| Some((text(option, "key")?, text(option, "value")?))).collect();
        return of_maps(|name| options.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()));
    }
    let maps = inside.object().ok_or("expected ratios by model, or an array of models")?;
    of_maps(|name| {
        let map = maps.get(name)?;
        Some(map.text().unwrap_or_else(|| map.source().to_owned()))
    })
}

/// Models whose price by request is that of a plain image there: it is multiplied by the number of images, and by these for their sizes
/// and qualities (github.com/QuantumNous/new-api, dto/openai_image.go).
const IMAGES: [(&str, &[(&str, Decimal)]); 2] = [
    (
        "dall-e-3",
        &[
            ("image", Decimal::new(1, 0)),
            ("image_1024x1792", Decimal::new(2, 0)),
            ("image_1792x1024", Decimal::new(2, 0)),
            ("image_hd", Decimal::new(2, 0)),
            ("image_hd_1024x1792", Decimal::new(3, 0)),
            ("image_hd_1792x1024", Decimal::new(3, 0)),
        ],
    ),
    (
        "dall-e-2",
        &[
            ("image", Decimal::new(1, 0)),
            ("image_256x256", Decimal::new(4, -1)),
            ("image_512x512", Decimal::new(45, -2)),
        ],
    ),
];

/// What one model has of [`FACTS`].
type Facts = [Option<Decimal>; FACTS.len()];

fn of_models(models: Vec<Json<'_>>) -> Published {
    let mut published = Published::default();
    for model in models {
        let Some(name) = model.get("model_name").and_then(Json::text) else { continue };
        let facts = || -> Result<Facts, String> {
            if model.get("billing_mode").and_then(Json::text).is_some_and(|mode| mode.contains("expr")) {
                return Err("billed by an expression, which names no single price".into());
            }
            let mut facts = Facts::default();
            for (fact, [key, _]) in facts.iter_mut().zip(FACTS) {
                let value = model.get(key).filter(|value| !value.is_null());
                *fact = value.map(|value| value.decimal().map_err(|why| format!("{key}: {why}"))).transpose()?;
            }
            // Of price and ratio, `quota_type` says which counts: 1 is by request.
            let by_request = model.get("quota_type").and_then(Json::whole) == Some(1);
            facts[if by_request { 0 } else { 4 }] = None;
            Ok(facts)
        };
        published.add(&name, facts().and_then(|facts| offer(&name, &facts)));
    }
    published
}

fn of_maps(find: impl Fn(&str) -> Option<String>) -> Result<Published, String> {
    let mut models: BTreeMap<String, Result<Facts, String>> = BTreeMap::new();
    for (index, names) in FACTS.iter().enumerate() {
        let Some(text) = names.iter().find_map(|name| find(name)) else { continue };
        let map = Json::parse(&text).map_err(|why| format!("{}: {why}", names[0]))?;
        for (model, value) in map.object().ok_or_else(|| format!("{}: expected ratios by model", names[0]))? {
            let facts = models.entry(model).or_insert_with(|| Ok(Facts::default()));
            match (value.decimal(), &mut *facts) {
                (Ok(number), Ok(known)) => known[index] = Some(number),
                (Err(why), known) => *known = Err(format!("{}: {why}", names[0])),
                (Ok(_), Err(_)) => {}
            }
        }
    }
    let mut published = Published::default();
    for (model, facts) in models {
        // Ratios of ratios alone (a completion ratio) are no price of a model.
        if facts.as_ref().is_ok_and(|facts| facts[0].is_none() && facts[4].is_none()) {
            continue;
        }
        published.add(&model, facts.and_then(|facts| offer(&model, &facts)));
    }
    Ok(published)
}

fn offer(model: &str, facts: &Facts) -> Result<Offer, String> {
    let [ratio, completion, cache, create_cache, price, audio, audio_completion, image] = *facts;
    let mut offer = Offer { model: model.into(), ..Offer::default() };
    // A price by request takes the place of ratios, as there.
    if let Some(price) = price {
        offer.standard.base.extend([("input", 0), ("output", 0)]);
        match IMAGES.iter().find(|(prefix, _)| model.starts_with(prefix)) {
            None => drop(offer.once.insert("per_request", price.price()?.nanos)),
            Some((_, ratios)) => {
                for (fee, ratio) in *ratios {
                    let nanos = offer.keep(price.times(*ratio)?.price()?);
                    offer.fees.insert((*fee).to_owned(), nanos);
                }
            }
        }
        return Ok(offer);
    }
    let input = ratio.ok_or("no ratio and no price")?.times(USD_PER_RATIO)?;
    let output = match completion {
        Some(completion) => input.times(completion)?,
        // new-api has ratios for well-known models in its code; what they are, nobody says here.
        None => return Err("no completion ratio: new-api knows one in its code, set it by hand".into()),
    };
    let mut found = vec![("input", Some(input)), ("output", Some(output))];
    let times = |ratio: Option<Decimal>, of: Decimal| ratio.map(|ratio| of.times(ratio)).transpose();
    let cache_write = times(create_cache, input)?;
    found.push(("cached_input", times(cache, input)?));
    found.push(("cache_write", cache_write));
    found.push(("cache_write_1h", times(cache_write, HOUR_RATIO)?));
    let input_audio = times(audio, input)?;
    found.push(("input_audio", input_audio));
    found.push(("output_audio", input_audio.map(|audio| times(audio_completion, audio)).transpose()?.flatten()));
    found.push(("input_image", times(image, input)?));
    for (class, price) in found {
        if let Some(price) = price {
            let nanos = offer.keep(price.price().map_err(|why| format!("{class}: {why}"))?);
            offer.standard.base.insert(class, nanos);
        }
    }
    Ok(offer)
}

impl Published {
    fn add(&mut self, model: &str, offer: Result<Offer, String>) {
        match offer {
            Ok(offer) => self.offers.push(offer),
            Err(why) => self.unread.push(Unread { seller: String::new(), model: model.into(), why }),
        }
    }
}
