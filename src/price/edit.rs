//! Changing a price in the text, so that its comments, order and everything else stay as they are.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value};

use super::book::{PriceBook, folded};
use super::cost::{PRICE_DECIMALS, SERVICE_TIERS};
use super::decimal;
use super::parse::PRICE_NANOS_MAX;
use super::sheet::Class;

/// Prices that are not per token.
const ONCE: [&str; 2] = ["per_request", "web_search_per_thousand"];

/// What [`set_price`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceEdit {
    /// The whole new text; it parses.
    pub text: String,
    /// There was no row of that name: it was put at the end.
    pub created: bool,
    /// Keys of the row that have to do with prices and were left as they were.
    pub kept: Vec<String>,
}

/// Sets prices of one model in the text of a price book: changes its row, or puts one at the end. `prices` are pairs of a
/// key (`input`, `output`, `cached_input` …, `per_request`, `web_search_per_thousand`) and a decimal number of USD.
/// `provider`: the row for that provider; `None`: the row for all that have none of their own. A name that was another
/// row's alias becomes a row of its own, with that row's limits.
///
/// # Errors
/// A sentence: the text does not parse, a key or number is wrong, a new row lacks `input` or `output`, or the model has
/// several rows, of which only the operator can know which one is meant.
pub fn set_price(
    text: &str,
    provider: Option<&str>,
    model: &str,
    prices: &[(&str, &str)],
) -> Result<PriceEdit, String> {
    let book =
        PriceBook::parse(text).map_err(|errors| format!("the price book does not parse: {}", listed(&errors)))?;
    let prices = prices.iter().map(|(key, number)| checked(key, number)).collect::<Result<Vec<_>, _>>()?;
    let mut document: DocumentMut = text.parse().map_err(|error| format!("the price book does not parse: {error}"))?;
    let mut none = ArrayOfTables::new();
    let rows = match document.get_mut("model") {
        None => &mut none,
        Some(item) => item
            .as_array_of_tables_mut()
            .ok_or("the models are in one array, expected rows that begin with [[model]]")?,
    };
    let fits = |table: &Table| names(table, "name", model) && sold_by(table, provider);
    let edit = match rows.iter().filter(|table| fits(table)).count() {
        0 => {
            let created = new_row(&book, provider, model, &prices)?;
            let sellers = rows.iter_mut().filter(|table| sold_by(table, provider));
            // All of them: the rows of one model may repeat it.
            let freed = sellers.filter_map(|table| remove_alias(table, model).then_some(())).count() > 0;
            let before = if freed { line_ends_as_in(text, &document.to_string()) } else { text.to_owned() };
            PriceEdit { text: appended(&before, &created), created: true, kept: Vec::new() }
        }
        1 => {
            let kept =
                rows.iter_mut().filter(|table| fits(table)).flat_map(|table| change_row(table, &prices)).collect();
            PriceEdit { text: line_ends_as_in(text, &document.to_string()), created: false, kept }
        }
        several => {
            return Err(format!("`{model}` has {several} rows with different `valid_from`: change the text by hand"));
        }
    };
    PriceBook::parse(&edit.text).map_err(|errors| format!("the result would not parse: {}", listed(&errors)))?;
    Ok(edit)
}

/// A key and its number as they will stand in the text.
fn checked(key: &str, number: &str) -> Result<(String, Value), String> {
    if !Class::ALL.iter().any(|class| class.key() == key) && !ONCE.contains(&key) {
        return Err(format!("`{key}` is not a price"));
    }
    let nanos = decimal::parse(number.trim(), PRICE_DECIMALS, PRICE_NANOS_MAX)
        .map_err(|error| format!("{key}: `{number}` is {error}, expected USD as 2.5, with at most nine decimals"))?;
    let text = decimal::format(nanos.into(), PRICE_DECIMALS);
    let value = text.parse::<Value>().map_err(|error| format!("{key}: {error}"))?;
    Ok((key.to_owned(), value))
}

fn new_row(
    book: &PriceBook,
    provider: Option<&str>,
    model: &str,
    prices: &[(String, Value)],
) -> Result<String, String> {
    for key in ["input", "output"] {
        if !prices.iter().any(|(named, _)| named == key) {
            return Err(format!("`{model}` has no row yet: `{key}` is needed, 0 if it is free"));
        }
    }
    let mut row = format!("[[model]]\nname = {}\n", Value::from(model));
    if let Some(provider) = provider {
        row.push_str(&format!("provider = {}\n", Value::from(provider)));
    }
    // Limits are the model's, not the price's: they go with the name.
    if let Some(before) = book.find(provider.unwrap_or(""), model, model) {
        let limits = [("context_tokens", before.context_tokens), ("max_output_tokens", before.output_tokens_max)];
        for (key, tokens) in limits.into_iter().filter_map(|(key, tokens)| Some((key, tokens?))) {
            row.push_str(&format!("{key} = {tokens}\n"));
        }
    }
    for (key, value) in prices {
        row.push_str(&format!("{key} = {value}\n"));
    }
    Ok(row)
}

/// `after`, whose lines end in `\n`, with the line ends of `before`.
fn line_ends_as_in(before: &str, after: &str) -> String {
    let after = after.replace("\r\n", "\n");
    if before.contains("\r\n") { after.replace('\n', "\r\n") } else { after }
}

fn appended(text: &str, row: &str) -> String {
    let (line_end, row) = (line_ends_as_in(text, "\n"), line_ends_as_in(text, row));
    let gap = match text {
        "" => String::new(),
        _ if text.ends_with('\n') => line_end,
        _ => line_end.repeat(2),
    };
    format!("{text}{gap}{row}")
}

/// Changes or adds the prices; tells which further keys still count.
fn change_row(table: &mut Table, prices: &[(String, Value)]) -> Vec<String> {
    for (key, new) in prices {
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(value) => {
                let decor = value.decor().clone();
                *value = new.clone();
                *value.decor_mut() = decor;
            }
            None => {
                table.insert(key, Item::Value(new.clone()));
            }
        }
    }
    let classes = Class::ALL.iter().map(|class| class.key());
    let further = ["tiers", "windows"].into_iter().chain(SERVICE_TIERS.iter().map(|(key, _)| *key)).chain(ONCE);
    let counts = |key: &&str| table.contains_key(key) && !prices.iter().any(|(named, _)| named == key);
    classes.chain(further).filter(counts).map(str::to_owned).collect()
}

/// Takes a name out of the aliases; true if it was there.
fn remove_alias(table: &mut Table, model: &str) -> bool {
    let Some(aliases) = table.get_mut("aliases").and_then(Item::as_array_mut) else { return false };
    let before = aliases.len();
    aliases.retain(|alias| alias.as_str().is_none_or(|alias| folded(alias) != folded(model)));
    let removed = aliases.len() < before;
    // The space after the comma of the one that went.
    if let Some(first) = aliases.iter_mut().next().filter(|_| removed) {
        let space = first
            .decor()
            .prefix()
            .and_then(|prefix| prefix.as_str())
            .is_some_and(|prefix| prefix.trim_matches(' ').is_empty());
        if space {
            first.decor_mut().set_prefix("");
        }
    }
    if aliases.is_empty() {
        table.remove("aliases");
    }
    removed
}

fn names(table: &Table, key: &str, name: &str) -> bool {
    table.get(key).and_then(Item::as_str).is_some_and(|found| folded(found) == folded(name))
}

fn sold_by(table: &Table, provider: Option<&str>) -> bool {
    provider.map_or_else(|| !table.contains_key("provider"), |provider| names(table, "provider", provider))
}

fn listed(errors: &[super::PriceError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
