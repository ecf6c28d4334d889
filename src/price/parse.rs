//! From the text to models: the keys of `pricing.toml`, and every check.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::de::{DeTable, DeValue};

use super::book::folded;
use super::cost::{PRICE_DECIMALS, Price, SERVICE_TIERS, Tariff};
use super::reader::{PriceError, Reader, Value, join, kind};
use super::sheet::{Change, Class, MULTIPLIER_DECIMALS, MULTIPLIER_ONE, Named, Sheet};
use super::window::{self, ALL_DAYS, DAY_SECONDS, DAYS, Window};

/// The longest text that is read.
const TEXT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Models of one text.
const MODELS_MAX: usize = 100_000;
/// Other names of one row.
const ALIASES_MAX: usize = 256;
/// Tiers of one table, windows of one row.
const TIERS_MAX: usize = 16;
const WINDOWS_MAX: usize = 32;
/// The largest price: 1,000,000,000 USD, in nano-USD.
pub(super) const PRICE_NANOS_MAX: u64 = 1_000_000_000_000_000_000;
/// The largest multiplier.
const MULTIPLIER_MAX: u64 = 1000 * MULTIPLIER_ONE;

const WANTED_PRICE: &str = "USD per million tokens as 2.5 or \"2.5\", with at most nine decimals";
const WANTED_MULTIPLIER: &str = "a multiplier as 0.5, with at most four decimals and at most 1000";
const NAMES: [&str; 8] =
    ["name", "provider", "aliases", "dated", "valid_from", "context_tokens", "max_output_tokens", "tiers"];
const ONCE: [(&str, &str); 2] = [
    ("per_request", "USD per request as 0.005, with at most nine decimals"),
    ("web_search_per_thousand", "USD per thousand searches as 10, with at most nine decimals"),
];
const TIER_KEY: &str = "above_prompt_tokens";

/// A model's price with all names (in lower case) by which it is found.
pub(super) struct Model {
    pub(super) price: Price,
    pub(super) names: Vec<String>,
}

/// One `[[model]]` table.
struct Row {
    name: Arc<str>,
    place: Range<usize>,
    provider: Option<Arc<str>>,
    aliases: Vec<(Arc<str>, Range<usize>)>,
    dated: bool,
    output_tokens_max: Option<u64>,
    context_tokens: Option<u64>,
    tariff: Tariff,
}

/// Reads a whole text.
pub(super) fn models(text: &str) -> Result<Vec<Model>, Vec<PriceError>> {
    let mut reader = Reader::new(text);
    if text.len() > TEXT_BYTES_MAX {
        reader.error(&(0..0), "", format!("{} bytes, expected at most {TEXT_BYTES_MAX}", text.len()));
        return reader.finish().map(|()| Vec::new());
    }
    let Some(document) = reader.document() else { return reader.finish().map(|()| Vec::new()) };
    let document = document.get_ref();
    reader.unknown_keys(document, "", &["model"]);
    let mut rows = Vec::new();
    if let Some(model) = document.get("model") {
        let tables = reader.array(model, "model", "rows that begin with [[model]]", MODELS_MAX).unwrap_or(&[]);
        rows = tables.iter().enumerate().filter_map(|(index, table)| row(&mut reader, table, index)).collect();
    }
    let models = assemble(&mut reader, rows);
    reader.finish().map(|()| models)
}

/// Rows of one provider and name are one model; every other use of a name is an error.
fn assemble(reader: &mut Reader<'_>, rows: Vec<Row>) -> Vec<Model> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut by_name: HashMap<(String, String), usize> = HashMap::new();
    for row in rows {
        let key = (folded(row.provider.as_deref().unwrap_or("")).into_owned(), folded(&row.name).into_owned());
        let group = *by_name.entry(key).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(row);
    }
    let mut taken: HashMap<(String, String), (usize, usize)> = HashMap::new();
    for (key, group) in by_name {
        taken.insert(key, (group, groups[group][0].place.start));
    }
    groups.into_iter().enumerate().filter_map(|(group, rows)| model(reader, rows, group, &mut taken)).collect()
}

/// `taken`: who has which name, by provider and name: the model's number, and where it says so.
fn model(
    reader: &mut Reader<'_>,
    mut rows: Vec<Row>,
    group: usize,
    taken: &mut HashMap<(String, String), (usize, usize)>,
) -> Option<Model> {
    let provider = rows[0].provider.clone();
    let seller = folded(provider.as_deref().unwrap_or("")).into_owned();
    let mut names = vec![folded(&rows[0].name).into_owned()];
    let mut aliases: Vec<Arc<str>> = Vec::new();
    for row in &rows {
        let mut here: Vec<String> = vec![names[0].clone()];
        for (alias, place) in &row.aliases {
            let name = folded(alias).into_owned();
            let (owner, at) = *taken.entry((seller.clone(), name.clone())).or_insert((group, place.start));
            if owner != group || here.contains(&name) {
                let line = reader.line(at);
                let key = format!("{}.aliases", row.name);
                reader.error(
                    place,
                    &key,
                    format!("`{alias}` already has a price since line {line}, expected a name of its own"),
                );
            }
            if !names.contains(&name) {
                names.push(name.clone());
                aliases.push(alias.clone());
            }
            here.push(name);
        }
    }
    // A row that says a date before rows of the same date: the order of the text decides which one is the duplicate.
    rows.sort_by_key(|row| row.tariff.valid_from_ms);
    for pair in rows.windows(2).filter(|pair| pair[0].tariff.valid_from_ms == pair[1].tariff.valid_from_ms) {
        let line = reader.line(pair[0].place.start);
        let message =
            format!("already has a price since line {line}, expected one row, or a `valid_from` of its own for each");
        reader.error(&pair[1].place, &pair[1].name, message);
    }
    let line = rows.iter().map(|row| reader.line(row.place.start)).min()?;
    let model = rows.iter().min_by_key(|row| row.place.start)?.name.clone();
    let dated = rows.iter().any(|row| row.dated);
    let output_tokens_max = rows.iter().rev().find_map(|row| row.output_tokens_max);
    let context_tokens = rows.iter().rev().find_map(|row| row.context_tokens);
    let mut tariffs = rows.into_iter().map(|row| row.tariff);
    let mut price = Price::new(model, provider, line, tariffs.next()?, tariffs.collect());
    (price.aliases, price.dated) = (aliases, dated);
    (price.output_tokens_max, price.context_tokens) = (output_tokens_max, context_tokens);
    Some(Model { price, names })
}

/// Reads one row; `None` if it has no name to go on with.
fn row<'t>(reader: &mut Reader<'t>, value: &Value<'t>, index: usize) -> Option<Row> {
    let nameless = format!("model {}", index + 1);
    let table = reader.table(value, &nameless, "a row that begins with [[model]]")?;
    let name = match table.get("name") {
        Some(name) => reader.text(name, &join(&nameless, "name"), "the model's name"),
        None => {
            reader.error(&value.span(), &nameless, "no `name`, expected the provider's name for the model");
            None
        }
    };
    let path = name.unwrap_or(&nameless);
    reader.unknown_keys(table, path, &row_keys());
    let provider =
        table.get("provider").and_then(|value| reader.text(value, &join(path, "provider"), "a provider's name"));
    let aliases = aliases(reader, table, path);
    let dated = match table.get("dated").map(|value| (value.get_ref(), value.span())) {
        None => false,
        Some((DeValue::Boolean(dated), _)) => *dated,
        Some((other, place)) => {
            reader.error(&place, &join(path, "dated"), format!("expected true or false, found {}", kind(other)));
            false
        }
    };
    let valid_from_ms = table.get("valid_from").and_then(|value| valid_from(reader, value, &join(path, "valid_from")));
    let mut tokens = |key: &str| table.get(key).and_then(|value| reader.tokens(value, &join(path, key)));
    let (output_tokens_max, context_tokens) = (tokens("max_output_tokens"), tokens("context_tokens"));
    let tariff = tariff(reader, table, path, &value.span(), valid_from_ms);
    Some(Row {
        name: name?.into(),
        place: value.span(),
        provider: provider.map(Arc::from),
        aliases,
        dated,
        output_tokens_max,
        context_tokens,
        tariff,
    })
}

fn row_keys() -> Vec<&'static str> {
    let classes = Class::ALL.into_iter().map(Class::key);
    let service_tiers = SERVICE_TIERS.into_iter().map(|(key, _)| key);
    NAMES
        .into_iter()
        .chain(classes)
        .chain(ONCE.into_iter().map(|(key, _)| key))
        .chain(service_tiers)
        .chain(["windows"])
        .collect()
}

fn aliases<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>, path: &str) -> Vec<(Arc<str>, Range<usize>)> {
    let path = join(path, "aliases");
    let Some(value) = table.get("aliases") else { return Vec::new() };
    let names = reader.array(value, &path, "an array of names", ALIASES_MAX).unwrap_or(&[]);
    let alias = |value: &Value<'t>| Some((reader.text(value, &path, "a model's name")?.into(), value.span()));
    names.iter().filter_map(alias).collect()
}

/// A date, or a time with an offset; as TOML's own type or in a string.
fn valid_from(reader: &mut Reader<'_>, value: &Value<'_>, path: &str) -> Option<i64> {
    let text = match value.get_ref() {
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => String::new(),
    };
    let moment = match text.parse::<Date>() {
        Ok(date) if text.len() == "2026-12-01".len() => {
            date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).ok()
        }
        _ => text.parse::<Timestamp>().ok(),
    };
    if moment.is_none() {
        reader.error(
            &value.span(),
            path,
            "expected a date as 2026-12-01 (midnight UTC) or a time as 2026-12-01T09:00:00+08:00",
        );
    }
    moment.map(Timestamp::as_millisecond)
}

/// The prices of a row.
fn tariff<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    place: &Range<usize>,
    valid_from_ms: Option<i64>,
) -> Tariff {
    let base = named(reader, table, path);
    for key in ["input", "output"].into_iter().filter(|key| !table.contains_key(*key)) {
        let message = format!("no `{key}`, expected {WANTED_PRICE}; 0 if it is free");
        reader.error(place, path, message);
    }
    let tiers = tiers(reader, table, path);
    let has_tiers = tiers.as_ref().is_some_and(|tiers| !tiers.is_empty());
    let change = |reader: &mut Reader<'t>, table: &DeTable<'t>, path: &str, place: &Range<usize>| {
        reprice(reader, table, path, place, &base, has_tiers).map(Change::Reprice)
    };
    let service_tiers = SERVICE_TIERS.map(|(key, _)| {
        let (value, path) = (table.get(key)?, join(path, key));
        let DeValue::Table(own) = value.get_ref() else {
            let wanted = format!("{WANTED_MULTIPLIER}, or a table of prices");
            let multiplier = reader.decimal(value, &path, MULTIPLIER_DECIMALS, MULTIPLIER_MAX, &wanted);
            return multiplier.map(Change::Multiply);
        };
        reader.unknown_keys(own, &path, &override_keys(&[]));
        change(reader, own, &path, &value.span())
    });
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
    let reprices = |change: &Change| matches!(change, Change::Reprice(_));
    if service_tiers.iter().flatten().any(reprices) && windows.iter().any(|window: &Window| reprices(&window.change)) {
        let message = "both `windows` and a service tier name prices, expected a multiplier in one of them";
        reader.error(place, path, message);
    }
    let [per_request, web_search_per_thousand] = ONCE.map(|(key, wanted)| {
        let value = table.get(key);
        value
            .and_then(|value| reader.decimal(value, &join(path, key), PRICE_DECIMALS, PRICE_NANOS_MAX, wanted))
            .unwrap_or(0)
    });
    let standard = Sheet::new(&base, &tiers.unwrap_or_default());
    Tariff { valid_from_ms, standard, windows, service_tiers, per_request, web_search_per_thousand }
}

/// The keys of a table that changes prices.
fn override_keys(further: &[&'static str]) -> Vec<&'static str> {
    Class::ALL.into_iter().map(Class::key).chain(["tiers"]).chain(further.iter().copied()).collect()
}

/// The token prices that a table names.
fn named<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>, path: &str) -> Named {
    Named(Class::ALL.map(|class| {
        let value = table.get(class.key())?;
        reader.decimal(value, &join(path, class.key()), PRICE_DECIMALS, PRICE_NANOS_MAX, WANTED_PRICE)
    }))
}

/// The `tiers` of a table; `None` if it has none.
fn tiers<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>, path: &str) -> Option<Vec<(u64, Named)>> {
    let (value, path) = (table.get("tiers")?, join(path, "tiers"));
    let mut tiers: Vec<(u64, Named)> = Vec::new();
    for value in reader.array(value, &path, "an array of tables", TIERS_MAX).unwrap_or(&[]) {
        let Some(table) = reader.table(value, &path, "a table with `above_prompt_tokens` and prices") else { continue };
        let known: Vec<&str> = Class::ALL.into_iter().map(Class::key).chain([TIER_KEY]).collect();
        reader.unknown_keys(table, &path, &known);
        let named = named(reader, table, &path);
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

/// Prices that take the place of the row's.
fn reprice<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    place: &Range<usize>,
    base: &Named,
    base_has_tiers: bool,
) -> Option<Sheet> {
    let own = named(reader, table, path);
    let tiers = tiers(reader, table, path);
    if own.is_empty() && tiers.as_ref().is_none_or(Vec::is_empty) {
        reader.error(place, path, "no price, expected a multiplier or at least one price");
        return None;
    }
    if base_has_tiers && tiers.is_none() {
        let message = "prices without `tiers` in a row that has some, expected `tiers` of its own, `[]` for none";
        reader.error(place, path, message);
        return None;
    }
    Some(Sheet::new(&own.over(base), &tiers.unwrap_or_default()))
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
