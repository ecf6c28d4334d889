//! From the text to models: the keys of `pricing.toml`, and every check.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::de::{DeTable, DeValue};

use super::book::folded;
use super::cost::{Price, SERVICE_TIERS, Tariff};
use super::currency::{Currency, RATE_DECIMALS, RATE_MAX};
use super::fees::FEES_KEY;
use super::limits::Limits;
use super::reader::{PriceError, Reader, Value, join, kind, nearest};
use super::sheet::Class;
use super::tariff::{AUDIO_MIN_KEY, INFERENCE_GEO_KEY, ONCE, tariff};

/// The longest text that is read.
const TEXT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Models of one text.
const MODELS_MAX: usize = 100_000;
/// Other names of one row.
const ALIASES_MAX: usize = 256;
/// Currencies of one text, and letters of one's name.
const CURRENCIES_MAX: usize = 256;
const CODE_BYTES_MAX: usize = 16;
/// The currency that needs no rate.
pub(super) const USD: &str = "USD";

const WANTED_RATE: &str = "USD for one unit as \"0.1389\", above 0, with at most nine decimals";
const NAMES: [&str; 9] = [
    "name",
    "provider",
    "aliases",
    "dated",
    "valid_from",
    "currency",
    "context_tokens",
    "max_output_tokens",
    READS_ELSEWHERE_KEY,
];
/// The key of a row whose model reads more than what the request holds.
pub(super) const READS_ELSEWHERE_KEY: &str = "reads_elsewhere";

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
    reader.unknown_keys(document, "", &["currency", "model"]);
    let currencies = document.get("currency").map(|value| currencies(&mut reader, value)).unwrap_or_default();
    let mut rows = Vec::new();
    if let Some(model) = document.get("model") {
        let tables = reader.array(model, "model", "rows that begin with [[model]]", MODELS_MAX).unwrap_or(&[]);
        rows = tables
            .iter()
            .enumerate()
            .filter_map(|(index, table)| row(&mut reader, table, index, &currencies))
            .collect();
    }
    let models = assemble(&mut reader, rows);
    reader.finish().map(|()| models)
}

/// The `[currency]` table: what one unit is in USD.
fn currencies<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Vec<Arc<Currency>> {
    let Some(table) = reader.table(value, "currency", "a table `[currency]` of rates") else { return Vec::new() };
    if table.len() > CURRENCIES_MAX {
        reader.error(&value.span(), "currency", format!("expected at most {CURRENCIES_MAX} currencies"));
        return Vec::new();
    }
    let mut read = Vec::new();
    for (code, value) in table {
        let (code, place) = (&**code.get_ref(), code.span());
        let path = join("currency", code);
        if code == USD {
            reader.error(&place, &path, "USD is what the others are converted to, expected another currency");
            continue;
        }
        if code.is_empty() || code.len() > CODE_BYTES_MAX || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            reader.error(&place, &path, format!("expected at most {CODE_BYTES_MAX} letters and digits, as CNY"));
            continue;
        }
        match reader.decimal(value, &path, RATE_DECIMALS, RATE_MAX, WANTED_RATE) {
            None => {}
            Some(0) => reader.error(&value.span(), &path, format!("`0` would make it free, expected {WANTED_RATE}")),
            Some(rate) => read.push(Arc::new(Currency { code: code.into(), rate })),
        }
    }
    read
}

/// The `currency` of a row; `None`: USD, or unknown, which is an error.
fn currency<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    currencies: &[Arc<Currency>],
) -> Option<Arc<Currency>> {
    let (value, path) = (table.get("currency")?, join(path, "currency"));
    let code = reader.text(value, &path, "a currency with a rate in [currency]")?;
    let found = currencies.iter().find(|currency| *currency.code == *code);
    if found.is_none() && code != USD {
        let known: Vec<&str> = currencies.iter().map(|currency| &*currency.code).chain([USD]).collect();
        let hint = match nearest(code, &known) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("expected one of {}, or a line as `{code} = \"0.1389\"` there", known.join(", ")),
        };
        reader.error(&value.span(), &path, format!("`{code}` has no rate in [currency], {hint}"));
    }
    found.cloned()
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
    let mut limits: Vec<Limits> = rows.iter().map(|row| row.tariff.limits).collect();
    Limits::fill_in(&mut limits);
    for (row, limits) in rows.iter_mut().zip(limits) {
        row.tariff.limits = limits;
    }
    let mut tariffs = rows.into_iter().map(|row| row.tariff);
    let mut price = Price::new(model, provider, line, tariffs.next()?, tariffs.collect());
    (price.aliases, price.dated) = (aliases, dated);
    Some(Model { price, names })
}

/// Reads one row; `None` if it has no name to go on with.
fn row<'t>(reader: &mut Reader<'t>, value: &Value<'t>, index: usize, currencies: &[Arc<Currency>]) -> Option<Row> {
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
    let mut is_set = |key: &str| match table.get(key).map(|value| (value.get_ref(), value.span())) {
        None => false,
        Some((DeValue::Boolean(set), _)) => *set,
        Some((other, place)) => {
            reader.error(&place, &join(path, key), format!("expected true or false, found {}", kind(other)));
            false
        }
    };
    let (dated, reads_elsewhere) = (is_set("dated"), is_set(READS_ELSEWHERE_KEY));
    let valid_from_ms = table.get("valid_from").and_then(|value| valid_from(reader, value, &join(path, "valid_from")));
    let mut tokens = |key: &str| table.get(key).and_then(|value| reader.tokens(value, &join(path, key)));
    let (output_tokens_max, context_tokens) = (tokens("max_output_tokens"), tokens("context_tokens"));
    let currency = currency(reader, table, path, currencies);
    let limits = Limits { output_tokens_max, context_tokens, reads_elsewhere };
    let tariff = Tariff { limits, ..tariff(reader, table, path, &value.span(), valid_from_ms, currency) };
    Some(Row { name: name?.into(), place: value.span(), provider: provider.map(Arc::from), aliases, dated, tariff })
}

fn row_keys() -> Vec<&'static str> {
    NAMES.into_iter().chain(price_keys()).collect()
}

/// The keys of a row that say what something costs.
pub(super) fn price_keys() -> impl Iterator<Item = &'static str> {
    let classes = Class::ALL.into_iter().map(Class::key);
    let service_tiers = SERVICE_TIERS.into_iter().map(|(key, _)| key);
    let once = ONCE.into_iter().map(|(key, _)| key);
    classes
        .chain(["tiers", "windows"])
        .chain(service_tiers)
        .chain([INFERENCE_GEO_KEY, FEES_KEY, AUDIO_MIN_KEY])
        .chain(once)
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
