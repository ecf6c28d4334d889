//! From a row's table to its prices: classes, tiers, service tiers, windows.

use std::ops::Range;
use std::sync::Arc;

use tollgate_plugin_api::{INFERENCE_GEO_BYTES_MAX, is_inference_geo};
use toml::de::{DeTable, DeValue};

use super::cost::{PRICE_DECIMALS, Place, SERVICE_TIERS, Tariff};
use super::currency::Currency;
use super::fees::{FEES_KEY, Fee, fees};
use super::limits::Limits;
use super::pieces::AUDIO_HOUR;
use super::reader::{Reader, Value, join};
use super::sheet::{Change, Class, MULTIPLIER_DECIMALS, MULTIPLIER_MAX, Named, Sheet};
use super::window::{self, ALL_DAYS, DAY_SECONDS, DAYS, Window};

/// Tiers of one table, windows of one row.
const TIERS_MAX: usize = 16;
const WINDOWS_MAX: usize = 32;
/// Places of one row.
const PLACES_MAX: usize = 32;
/// Their key.
pub(super) const INFERENCE_GEO_KEY: &str = "inference_geo";
/// The least of audio that a request is charged for, and the most that this can be: an hour.
pub(super) const AUDIO_MIN_KEY: &str = "audio_seconds_min";
const AUDIO_SECONDS_MIN_MAX: u64 = 3_600;
const WANTED_AUDIO_MIN: &str = "whole seconds as 10, at most 3600";
/// The largest price: 1,000,000,000 USD, in nano-USD.
pub(super) const PRICE_NANOS_MAX: u64 = 1_000_000_000_000_000_000;

const WANTED_PRICE: &str = "USD per million tokens as 2.5 or \"2.5\", with at most nine decimals";
const WANTED_MULTIPLIER: &str = "a multiplier as 0.5, with at most four decimals and at most 1000";
/// Prices that are not per token, and what they look like.
pub(super) const ONCE: [(&str, &str); 2] = [
    ("per_request", "USD per request as 0.005, with at most nine decimals"),
    ("web_search_per_thousand", "USD per thousand searches as 10, with at most nine decimals"),
];
/// The prompt length above which a tier applies.
pub(super) const TIER_KEY: &str = "above_prompt_tokens";

/// The prices of a row.
pub(super) fn tariff<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    place: &Range<usize>,
    valid_from_ms: Option<i64>,
    currency: Option<Arc<Currency>>,
) -> Tariff {
    let own = currency.as_deref();
    let base = named(reader, table, path, own);
    for key in ["input", "output"].into_iter().filter(|key| !table.contains_key(*key)) {
        let message = format!("no `{key}`, expected {}; 0 if it is free", wanted(WANTED_PRICE, own));
        reader.error(place, path, message);
    }
    let tiers = tiers(reader, table, path, own);
    let has_tiers = tiers.as_ref().is_some_and(|tiers| !tiers.is_empty());
    let change = |reader: &mut Reader<'t>, table: &DeTable<'t>, path: &str, place: &Range<usize>| {
        reprice(reader, table, path, place, own, (&base, has_tiers)).map(Change::Reprice)
    };
    let service_tiers = SERVICE_TIERS.map(|(key, _)| {
        let (value, path) = (table.get(key)?, join(path, key));
        let DeValue::Table(prices) = value.get_ref() else {
            let wanted = format!("{WANTED_MULTIPLIER}, or a table of prices");
            let multiplier = reader.decimal(value, &path, MULTIPLIER_DECIMALS, MULTIPLIER_MAX, &wanted);
            return multiplier.map(Change::Multiply);
        };
        reader.unknown_keys(prices, &path, &override_keys(&[]));
        change(reader, prices, &path, &value.span())
    });
    let windows = windows(reader, table, path, change);
    let reprices = |change: &Change| matches!(change, Change::Reprice(_));
    if service_tiers.iter().flatten().any(reprices) && windows.iter().any(|window: &Window| reprices(&window.change)) {
        let message = "both `windows` and a service tier name prices, expected a multiplier in one of them";
        reader.error(place, path, message);
    }
    let [per_request, web_search_per_thousand] = ONCE.map(|(key, text)| {
        let price = table.get(key).and_then(|value| price(reader, value, &join(path, key), text, own));
        own.zip(price).map_or(price, |(currency, price)| Some(currency.to_usd(price))).unwrap_or(0)
    });
    let standard = Sheet::new(&base, &tiers.unwrap_or_default(), own);
    let places = places(reader, table, path);
    let fees = fees(reader, table, path, currency.as_ref());
    let audio_seconds_min = audio_seconds_min(reader, table, path, &fees);
    Tariff {
        limits: Limits::default(),
        valid_from_ms,
        standard,
        windows,
        service_tiers,
        places,
        per_request,
        web_search_per_thousand,
        fees,
        audio_seconds_min,
        currency,
    }
}

/// The `audio_seconds_min` of a row with these fees.
fn audio_seconds_min<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>, path: &str, fees: &[Fee]) -> u64 {
    let Some(value) = table.get(AUDIO_MIN_KEY) else { return 0 };
    let path = join(path, AUDIO_MIN_KEY);
    if !fees.iter().any(|fee| *fee.kind == *AUDIO_HOUR) {
        let message = format!("a least of audio, and no fee for it, expected `{AUDIO_HOUR}` in `{FEES_KEY}`");
        reader.error(&value.span(), &path, message);
    }
    reader.decimal(value, &path, 0, AUDIO_SECONDS_MIN_MAX, WANTED_AUDIO_MIN).unwrap_or(0)
}

/// The `inference_geo` of a row: places and multipliers.
fn places<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>, path: &str) -> Vec<Place> {
    let Some(value) = table.get(INFERENCE_GEO_KEY) else { return Vec::new() };
    let path = join(path, INFERENCE_GEO_KEY);
    let Some(places) = reader.table(value, &path, "a table of places and multipliers as { us = 1.1 }") else {
        return Vec::new();
    };
    if places.len() > PLACES_MAX {
        reader.error(&value.span(), &path, format!("{} places, expected at most {PLACES_MAX}", places.len()));
        return Vec::new();
    }
    let mut read = Vec::new();
    for (place, value) in places {
        let name: &str = place.get_ref();
        let path = join(&path, name);
        if !is_inference_geo(name) {
            let message = "no place, expected its name as answers have it: `us`, at most";
            reader.error(&place.span(), &path, format!("{message} {INFERENCE_GEO_BYTES_MAX} bytes"));
        }
        let multiplier = reader.decimal(value, &path, MULTIPLIER_DECIMALS, MULTIPLIER_MAX, WANTED_MULTIPLIER);
        read.extend(multiplier.map(|multiplier| Place { name: name.into(), multiplier }));
    }
    read
}

/// The `windows` of a row. `change` reads prices of a window's own.
fn windows<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    change: impl Fn(&mut Reader<'t>, &DeTable<'t>, &str, &Range<usize>) -> Option<Change>,
) -> Vec<Window> {
    let mut windows = Vec::new();
    if let Some(value) = table.get("windows") {
        let path = join(path, "windows");
        for value in reader.array(value, &path, "an array of tables", WINDOWS_MAX).unwrap_or(&[]) {
            let Some(table) = reader.table(value, &path, "a table with `time_zone` and a `multiplier` or prices")
            else {
                continue;
            };
            reader.unknown_keys(table, &path, &override_keys(&["days", "from", "to", "time_zone", "multiplier"]));
            let change = match table.get("multiplier") {
                None => change(reader, table, &path, &value.span()),
                Some(value) => multiplier(reader, value, table, &path),
            };
            windows.extend(window(reader, table, &path, &value.span(), change));
        }
    }
    windows
}

/// One price, in the row's currency.
pub(super) fn price(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    path: &str,
    text: &str,
    currency: Option<&Currency>,
) -> Option<u64> {
    let max = currency.map_or(PRICE_NANOS_MAX, |currency| currency.price_max(PRICE_NANOS_MAX));
    reader.decimal(value, path, PRICE_DECIMALS, max, &wanted(text, currency))
}

/// What is expected, in the row's currency.
fn wanted(text: &str, currency: Option<&Currency>) -> String {
    currency.map_or_else(|| text.to_owned(), |currency| text.replacen("USD", &currency.code, 1))
}

/// The keys of a table that changes prices.
fn override_keys(further: &[&'static str]) -> Vec<&'static str> {
    Class::ALL.into_iter().map(Class::key).chain(["tiers"]).chain(further.iter().copied()).collect()
}

/// The token prices that a table names.
fn named<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>, path: &str, currency: Option<&Currency>) -> Named {
    Named(Class::ALL.map(|class| {
        let value = table.get(class.key())?;
        price(reader, value, &join(path, class.key()), WANTED_PRICE, currency)
    }))
}

/// The `tiers` of a table; `None` if it has none.
fn tiers<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    currency: Option<&Currency>,
) -> Option<Vec<(u64, Named)>> {
    let (value, path) = (table.get("tiers")?, join(path, "tiers"));
    let mut tiers: Vec<(u64, Named)> = Vec::new();
    for value in reader.array(value, &path, "an array of tables", TIERS_MAX).unwrap_or(&[]) {
        let Some(table) = reader.table(value, &path, "a table with `above_prompt_tokens` and prices") else { continue };
        let known: Vec<&str> = Class::ALL.into_iter().map(Class::key).chain([TIER_KEY]).collect();
        reader.unknown_keys(table, &path, &known);
        let named = named(reader, table, &path, currency);
        if named.is_empty() {
            reader.error(&value.span(), &path, "no price, expected at least one beside `above_prompt_tokens`");
        }
        let Some(above) = table.get(TIER_KEY) else {
            reader.error(
                &value.span(),
                &path,
                "no `above_prompt_tokens`, expected the prompt length above which it applies",
            );
            continue;
        };
        let Some(above_tokens) = reader.tokens(above, &join(&path, TIER_KEY)) else { continue };
        if tiers.iter().any(|(other, _)| *other == above_tokens) {
            reader.error(&above.span(), &join(&path, TIER_KEY), "two tiers begin there, expected one");
        }
        tiers.push((above_tokens, named));
    }
    Some(tiers)
}

/// Prices that take the place of the row's, and whether that has tiers.
fn reprice<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    place: &Range<usize>,
    currency: Option<&Currency>,
    (base, base_has_tiers): (&Named, bool),
) -> Option<Sheet> {
    let own = named(reader, table, path, currency);
    let tiers = tiers(reader, table, path, currency);
    if own.is_empty() && tiers.as_ref().is_none_or(Vec::is_empty) {
        reader.error(place, path, "no price, expected a multiplier or at least one price");
        return None;
    }
    if base_has_tiers && tiers.is_none() {
        let message = "prices without `tiers` in a row that has some, expected `tiers` of its own, `[]` for none";
        reader.error(place, path, message);
        return None;
    }
    Some(Sheet::new(&own.over(base), &tiers.unwrap_or_default(), currency))
}

/// The `multiplier` of a window, which then names no prices.
fn multiplier<'t>(reader: &mut Reader<'t>, value: &Value<'t>, table: &DeTable<'t>, path: &str) -> Option<Change> {
    for key in override_keys(&[]).into_iter().filter(|key| table.contains_key(*key)) {
        let place = table.get_key_value(key).map(|(key, _)| key.span()).unwrap_or_default();
        reader.error(&place, &join(path, key), "beside a `multiplier`, expected one or the other");
    }
    let path = join(path, "multiplier");
    reader.decimal(value, &path, MULTIPLIER_DECIMALS, MULTIPLIER_MAX, WANTED_MULTIPLIER).map(Change::Multiply)
}

/// When a window applies.
fn window<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    place: &Range<usize>,
    change: Option<Change>,
) -> Option<Window> {
    let zone = match table.get("time_zone") {
        None => {
            reader.error(place, path, "no `time_zone`, expected an IANA name as UTC or Asia/Shanghai");
            None
        }
        Some(value) => {
            let path = join(path, "time_zone");
            let name = reader.text(value, &path, "an IANA name as UTC or Asia/Shanghai");
            let zone = name.and_then(window::zone);
            if let (Some(name), None) = (name, &zone) {
                reader.error(
                    &value.span(),
                    &path,
                    format!("unknown time zone `{name}`, expected an IANA name as UTC or Asia/Shanghai"),
                );
            }
            zone
        }
    };
    let [from, to] = ["from", "to"].map(|key| table.get(key).map(|value| clock(reader, value, &join(path, key))));
    let (from_second, to_second) = match (from, to) {
        (None, None) => (0, DAY_SECONDS),
        (Some(from), Some(to)) => (from?, to?),
        _ => {
            reader.error(place, path, "only one of `from` and `to`, expected both, or none for the whole day");
            return None;
        }
    };
    if from_second == to_second || from_second == DAY_SECONDS {
        reader.error(
            place,
            path,
            "an empty window, expected `from` and `to` to differ; leave out both for the whole day",
        );
    }
    let days = table.get("days").map_or(Some(ALL_DAYS), |value| days(reader, value, &join(path, "days")))?;
    Some(Window { days, from_second, to_second, zone: zone?, change: change? })
}

fn clock(reader: &mut Reader<'_>, value: &Value<'_>, path: &str) -> Option<u32> {
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        _ => String::new(),
    };
    let second = window::second_of_day(&text);
    if second.is_none() {
        reader.error(&value.span(), path, "expected a time of day as \"16:30\", \"24:00\" being the day's end");
    }
    second
}

fn days<'t>(reader: &mut Reader<'t>, value: &Value<'t>, path: &str) -> Option<u8> {
    let names = reader.array(value, path, "an array of days", DAYS.len())?;
    let mut days = 0;
    for name in names {
        match DAYS.iter().position(|day| name.get_ref().as_str() == Some(*day)) {
            Some(day) => days |= 1 << day,
            None => reader.error(&name.span(), path, format!("expected days out of {}", DAYS.join(", "))),
        }
    }
    if names.is_empty() {
        reader.error(&value.span(), path, "no day, expected at least one; leave it out for every day");
    }
    Some(days)
}
