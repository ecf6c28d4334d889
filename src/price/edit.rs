//! Changing a price in the text, so that its comments, order and everything else stay as they are.

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::book::{PriceBook, folded};
use super::cost::PRICE_DECIMALS;
use super::decimal;
use super::fees::FEES_KEY;
use super::parse::{READS_ELSEWHERE_KEY, USD, price_keys};
use super::sheet::Class;
use super::tariff::{ONCE, PRICE_NANOS_MAX};

/// How [`set_price`] is told of a fee, before its name.
pub const FEE_PREFIX: &str = "fees.";

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
/// key (`input`, `output`, `cached_input` …, `per_request`, `web_search_per_thousand`; a fee as `fees.image`, which leaves the others
/// as they are) and a decimal number in `currency`; `None`: USD. `provider`: the row for that provider; `None`: the row for all that have none of their own.
///
/// # Errors
/// A sentence: the text does not parse, a key or number is wrong, a new row lacks `input` or `output`, the row is in another
/// currency, the name is another row's alias (a row of its own would have none of that one's tiers and windows), or the model has
/// several rows, of which only the operator can know which one is meant.
pub fn set_price(
    text: &str,
    provider: Option<&str>,
    model: &str,
    currency: Option<&str>,
    prices: &[(&str, &str)],
) -> Result<PriceEdit, String> {
    let mut editor = Editor::new(text)?;
    let prices = prices.iter().map(|(key, number)| checked(key, number)).collect::<Result<Vec<_>, _>>()?;
    let (fees, mut prices): (Vec<_>, Vec<_>) = prices.into_iter().partition(|(key, _)| key.starts_with(FEE_PREFIX));
    if let Some(row) = editor.row_with_alias(provider, model) {
        return Err(format!(
            "`{model}` is an alias of `{row}` and has its price: set the price of `{row}`, or take `{model}` out of its \
             `aliases` first, for a row of its own"
        ));
    }
    if !fees.is_empty() {
        let row = editor.row(provider, model)?;
        let own = row.as_deref().and_then(|table| table.get(FEES_KEY)).and_then(Item::as_table_like);
        let fees = fees.iter().map(|(key, value)| (&key[FEE_PREFIX.len()..], value.clone()));
        prices.push((FEES_KEY.to_owned(), fees_beside(own, fees)));
    }
    let (created, kept) = editor.put(provider, model, currency.unwrap_or(USD), &prices)?;
    Ok(PriceEdit { text: editor.finish()?, created, kept })
}

/// A price book's text in which rows change, one after the other.
pub(super) struct Editor<'t> {
    before: &'t str,
    pub(super) book: PriceBook,
    pub(super) document: DocumentMut,
    /// Whether the rows that were there have changed.
    changed: bool,
    created: Vec<String>,
}

impl<'t> Editor<'t> {
    /// # Errors
    /// The text does not parse, or its rows cannot be changed one by one.
    pub(super) fn new(text: &'t str) -> Result<Self, String> {
        let wrong = |error: String| format!("the price book does not parse: {error}");
        let book = PriceBook::parse(text).map_err(|errors| wrong(listed(&errors)))?;
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| wrong(error.to_string()))?;
        if document.get("model").is_some_and(|models| models.as_array_of_tables().is_none()) {
            return Err("the models are in one array, expected rows that begin with [[model]]".into());
        }
        Ok(Self { before: text, book, document, changed: false, created: Vec::new() })
    }

    fn rows(&mut self) -> impl Iterator<Item = &mut Table> {
        self.document
            .get_mut("model")
            .and_then(Item::as_array_of_tables_mut)
            .into_iter()
            .flat_map(|rows| rows.iter_mut())
    }

    /// The row of that name and provider; an error if there are several.
    pub(super) fn row(&mut self, provider: Option<&str>, model: &str) -> Result<Option<&mut Table>, String> {
        let mut found = self.rows().filter(|table| names(table, "name", model) && sold_by(table, provider));
        let first = found.next();
        match found.count() {
            0 => Ok(first),
            more => {
                Err(format!("`{model}` has {} rows with different `valid_from`: change the text by hand", more + 1))
            }
        }
    }

    /// The name of the row of that provider that has this alias.
    fn row_with_alias(&mut self, provider: Option<&str>, model: &str) -> Option<String> {
        let mut rows = self.rows().filter(|table| sold_by(table, provider));
        let row = rows.find(|table| {
            let aliases = table.get("aliases").and_then(Item::as_array);
            aliases
                .into_iter()
                .flatten()
                .any(|alias| alias.as_str().is_some_and(|alias| folded(alias) == folded(model)))
        })?;
        row.get("name").and_then(Item::as_str).map(str::to_owned)
    }

    /// Sets keys of the row, or makes one with them at the end. Says whether it was made, and which further keys of it have
    /// to do with prices and were left as they were. A row can be put once.
    pub(super) fn put(
        &mut self,
        provider: Option<&str>,
        model: &str,
        currency: &str,
        entries: &[(String, Value)],
    ) -> Result<(bool, Vec<String>), String> {
        if let Some(table) = self.row(provider, model)? {
            let written_in = currency_of(table);
            if written_in != currency {
                return Err(format!(
                    "the row of `{model}` is in {written_in}, expected amounts in {written_in} (`--currency {written_in}`)"
                ));
            }
            let kept = change_row(table, entries);
            self.changed = true;
            return Ok((false, kept));
        }
        let row = new_row(&self.book, provider, model, currency, entries)?;
        // All of them: the rows of one model may repeat it.
        let sellers = self.rows().filter(|table| sold_by(table, provider));
        let freed = sellers.filter_map(|table| remove_alias(table, model).then_some(())).count() > 0;
        self.changed |= freed;
        self.created.push(row);
        Ok((true, Vec::new()))
    }

    /// The new text, which parses.
    pub(super) fn finish(self) -> Result<String, String> {
        let mut text = self.before.to_owned();
        if self.changed {
            text = line_ends_as_in(self.before, &self.document.to_string());
        }
        for row in self.created {
            text = appended(&text, &row);
        }
        PriceBook::parse(&text).map_err(|errors| format!("the result would not parse: {}", listed(&errors)))?;
        Ok(text)
    }
}

/// What a row's prices are written in.
pub(super) fn currency_of(table: &Table) -> &str {
    table.get("currency").and_then(Item::as_str).unwrap_or(USD)
}

/// Fees as a row has them that had these, with further ones or others of the same names.
pub(super) fn fees_beside<'f>(own: Option<&dyn TableLike>, further: impl Iterator<Item = (&'f str, Value)>) -> Value {
    let mut fees = InlineTable::new();
    for (name, item) in own.into_iter().flat_map(TableLike::iter) {
        fees.extend(item.as_value().map(|value| (name, value.clone())));
    }
    fees.extend(further);
    // Each anew: who was the last may be no more.
    fees.fmt();
    Value::InlineTable(fees)
}

/// A key and its number as they will stand in the text.
fn checked(key: &str, number: &str) -> Result<(String, Value), String> {
    let is_class = Class::ALL.iter().any(|class| class.key() == key);
    if !is_class && !ONCE.iter().any(|(once, _)| *once == key) && !key.starts_with(FEE_PREFIX) {
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
    currency: &str,
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
    if currency != USD {
        row.push_str(&format!("currency = {}\n", Value::from(currency)));
    }
    // Limits are the model's, not the price's: they go with the name, as its last row has them.
    if let Some(before) = book.find(provider.unwrap_or(""), model, model).map(|price| price.limits(i64::MAX)) {
        let limits = [("context_tokens", before.context_tokens), ("max_output_tokens", before.output_tokens_max)];
        for (key, tokens) in limits.into_iter().filter_map(|(key, tokens)| Some((key, tokens?))) {
            if prices.iter().any(|(named, _)| named == key) {
                continue;
            }
            row.push_str(&format!("{key} = {tokens}\n"));
        }
        if before.reads_elsewhere {
            row.push_str(&format!("{READS_ELSEWHERE_KEY} = true\n"));
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
pub(super) fn change_row(table: &mut Table, prices: &[(String, Value)]) -> Vec<String> {
    for (key, new) in prices {
        match (table.get_mut(key), new) {
            (Some(Item::Value(value)), _) => {
                let decor = value.decor().clone();
                *value = new.clone();
                *value.decor_mut() = decor;
            }
            // A table in lines of its own stays one.
            (Some(Item::Table(own)), Value::InlineTable(new)) => {
                let entries: Vec<_> = new.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
                change_row(own, &entries);
            }
            _ => {
                table.insert(key, Item::Value(new.clone()));
            }
        }
    }
    let counts = |key: &&str| table.contains_key(key) && !prices.iter().any(|(named, _)| named == key);
    price_keys().filter(counts).map(str::to_owned).collect()
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
