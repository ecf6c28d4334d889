//! What LiteLLM's list charges for by the piece: images, also by size and quality, which stand before the model's name
//! (`hd/1024-x-1792/dall-e-3`); seconds of audio; characters.

use super::Published;
use super::json::Json;
use super::number::Decimal;
use super::offer::{Offer, Unread};
use crate::price::Piece;
use std::collections::BTreeMap;

/// Seconds of an hour.
const HOUR: u32 = 3_600;
/// A price by the second of fewer digits is taken to be exact.
const SECOND_PRICE_DIGITS_MIN: usize = 3;
/// A price by the pixel is that of an image, divided and cut to a few digits: multiplied again, it is worth as many digits as it has,
/// and no more than these.
const PIXEL_PRICE_DIGITS_MAX: usize = 3;
/// What images are where nothing is said (LiteLLM's cost calculator goes by the same): prices of these are those of plain images.
const DEFAULTS: [&str; 2] = ["standard", "1024x1024"];
/// Words for qualities that stand before a model's name.
const QUALITIES: [&str; 6] = ["standard", "hd", "low", "medium", "high", "auto"];

/// By what models are billed, by their `mode`: keys, of which a list has one or several with the same price.
const KEYS: [(&str, Piece, &[&str]); 4] = [
    ("image_generation", Piece::Image, &["output_cost_per_image", "input_cost_per_image"]),
    ("image_edit", Piece::Image, &["output_cost_per_image", "input_cost_per_image"]),
    ("audio_transcription", Piece::AudioMs, &["input_cost_per_second", "output_cost_per_second"]),
    ("audio_speech", Piece::Character, &["input_cost_per_character"]),
];
const BY_PIXEL: &str = "input_cost_per_pixel";

/// A model's name, and what stands before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) model: String,
    quality: Option<String>,
    /// Width and height.
    size: Option<(u64, u64)>,
}

impl Named {
    /// `hd/1024-x-1792/dall-e-3`
    pub(super) fn read(name: &str, mode: &str) -> Self {
        let mut named = Self { model: name.to_owned(), ..Self::default() };
        if !mode.starts_with("image_") {
            return named;
        }
        while let Some((word, rest)) = named.model.split_once('/') {
            match (size(word), QUALITIES.contains(&word)) {
                (Some(size), _) => named.size = Some(size),
                (None, true) => named.quality = Some(word.to_owned()),
                (None, false) => break,
            }
            named.model = rest.to_owned();
        }
        named
    }

    /// The fee's name.
    fn fee(&self, piece: Piece) -> String {
        let size = self.size.map(|(width, height)| format!("{width}x{height}"));
        let particular = |word: &Option<String>| word.clone().filter(|word| !DEFAULTS.contains(&&**word));
        match piece {
            Piece::AudioMs => "audio_hour".to_owned(),
            _ => piece.kind(particular(&self.quality).as_deref(), particular(&size).as_deref()),
        }
    }

    /// It is the price of some images only.
    pub(super) fn is_particular(&self) -> bool {
        self.quality.is_some() || self.size.is_some()
    }
}

fn size(word: &str) -> Option<(u64, u64)> {
    let (width, height) = word.split_once("-x-")?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// The fee of a model that is billed by the piece and not by tokens, and which keys say so.
///
/// # Errors
/// Its keys name no single price.
pub(super) fn fee(
    named: &Named,
    mode: &str,
    facts: &BTreeMap<String, Json<'_>>,
) -> Result<Option<(String, Decimal, Vec<String>)>, String> {
    let Some((_, piece, keys)) = KEYS.iter().find(|(theirs, ..)| *theirs == mode) else { return Ok(None) };
    let mut found: Option<(&str, Decimal)> = None;
    let mut known = Vec::new();
    for key in *keys {
        let Some(value) = facts.get(*key).filter(|value| !value.is_null()) else { continue };
        let cost = value.decimal().map_err(|why| format!("{key}: {why}"))?;
        known.push((*key).to_owned());
        if cost.is_zero() {
            continue;
        }
        match found {
            Some((other, before)) if before != cost => return Err(format!("{other} and {key}, which are two prices")),
            _ => found = Some((key, cost)),
        }
    }
    let by_pixel = facts.get(BY_PIXEL).filter(|_| found.is_none() && *piece == Piece::Image).zip(named.size);
    if let Some((value, (width, height))) = by_pixel {
        let cost = value.decimal().map_err(|why| format!("{BY_PIXEL}: {why}"))?;
        let pixels = Decimal::new(u128::from(width) * u128::from(height), 0);
        known.push(BY_PIXEL.to_owned());
        let of_image = cost.times(pixels)?.with_digits(cost.digits_count().min(PIXEL_PRICE_DIGITS_MAX));
        found = Some((BY_PIXEL, of_image)).filter(|_| !cost.is_zero());
    }
    let Some((_, cost)) = found else { return Ok(None) };
    let cost = if *piece == Piece::AudioMs { of_hour(cost)? } else { cost };
    Ok(Some((named.fee(*piece), cost, known)))
}

/// The price of an hour. That of a second is mostly a quotient of it that was cut to a few digits: it is the round number of which
/// these digits are the quotient's, where there is one.
fn of_hour(of_second: Decimal) -> Result<Decimal, String> {
    let digits = of_second.digits_count();
    let exact = of_second.times(Decimal::new(HOUR.into(), 0))?;
    let round = exact.with_digits(digits);
    let is_quotient = digits >= SECOND_PRICE_DIGITS_MIN
        && round.digits_count() < digits
        && round.divided(HOUR, digits).is_some_and(|quotient| quotient.is_same(of_second));
    Ok(if is_quotient { round } else { exact })
}

/// Puts the fees of particular images into the model's own offer. Where that is by tokens, they say the same once more.
pub(super) fn merge(published: &mut Published, particular: Vec<Offer>) {
    for offer in particular {
        let is_it = |other: &&mut Offer| other.seller == offer.seller && other.model == offer.model;
        let unread = published.unread.iter().any(|other| other.seller == offer.seller && other.model == offer.model);
        match published.offers.iter_mut().find(is_it) {
            Some(own) if own.standard.base.values().any(|nanos| *nanos > 0) => {}
            Some(own) => {
                for (fee, nanos) in offer.fees {
                    own.fees.entry(fee).or_insert(nanos);
                }
                own.rounded |= offer.rounded;
            }
            None if unread => {
                let why = "the prices of its sizes, without one of its own that can be read".to_owned();
                published.unread.push(Unread { seller: offer.seller, model: offer.model, why });
            }
            None => published.offers.push(offer),
        }
    }
}
