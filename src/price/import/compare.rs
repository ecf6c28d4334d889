//! Which rows a publication changes, and the text with those changes.

use super::json::Json;
use super::offer::{Offer, Stepped, Unread};
use super::{FORMATS, Format, Published, Seller};
use crate::price::book::{PriceBook, folded};
use crate::price::cost::{SERVICE_TIERS, Tariff};
use crate::price::edit::{Editor, change_row, currency_of};
use crate::price::fees::FEES_KEY;
use crate::price::parse::{USD, price_keys};
use crate::price::sheet::{CLASSES, Change, Class, MULTIPLIER_ONE, Sheet};
use std::collections::{BTreeMap, HashSet};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value};

/// How often aliases of changed rows are looked at again; an alias cannot be another row's, so that one time is enough.
const PASSES_MAX: usize = 3;

/// Which of the published prices are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'s> {
    /// A name of [`FORMATS`]; `None`: what the text looks like.
    pub format: Option<&'s str>,
    /// Names, with `*` for any letters; empty: all.
    pub models: &'s [String],
    /// A provider, as the publication or as we call it. Where it names none: whose rows the prices become.
    pub provider: Option<&'s str>,
    /// The day whose prices are wanted: `2026-11-21`.
    pub today: &'s str,
}

/// What taking prices over means.
#[derive(Clone, Debug)]
pub struct Import {
    /// The format's name.
    pub format: &'static str,
    /// Rows that change, and new ones.
    pub rows: Vec<ImportedRow>,
    /// How many models have the published prices already.
    pub unchanged: usize,
    /// What cannot be taken over.
    pub unread: Vec<Unread>,
    /// The whole new text; it parses.
    pub text: String,
}

/// A row that changes, or a new one.
#[derive(Clone, Debug)]
pub struct ImportedRow {
    /// The row's provider.
    pub provider: Option<String>,
    /// The model.
    pub model: String,
    /// It is a new one.
    pub created: bool,
    /// What changes in it.
    pub keys: Vec<KeyChange>,
    /// Keys of the row that have to do with prices, about which nothing was published: they stay.
    pub kept: Vec<String>,
    /// What else is to be said: what the publication charges for and the row cannot say, that prices were rounded.
    pub notes: Vec<String>,
}

/// A key that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// Its value as it stands in the text; `None`: it was not there.
    pub old: Option<String>,
    /// The value that it gets.
    pub new: String,
}

/// Compares published prices with the text of a price book.
///
/// # Errors
/// A sentence: one of the texts cannot be read, or has no known format.
pub fn import(prices: &str, published: &str, selection: &Selection<'_>) -> Result<Import, String> {
    let json = Json::parse(published.trim_start_matches('\u{feff}'))?;
    let format = FORMATS.iter().find(|format| match selection.format {
        Some(name) => format.name == name,
        None => (format.looks_like)(json),
    });
    let format = format.ok_or_else(|| {
        let names = FORMATS.map(|format| format.name).join(", ");
        format!("looks like none of the known formats, expected one of {names} (`--format`)")
    })?;
    let found = (format.read)(json, selection.today).map_err(|why| format!("{}: {why}", format.name))?;
    let mut import = pass(format, &found, selection, prices)?;
    // A row that changed is also the price of its aliases and dated names; those with another price get their own rows.
    for _ in 0..PASSES_MAX {
        let further = pass(format, &found, selection, &import.text)?;
        if further.rows.is_empty() {
            break;
        }
        import.unchanged = further.unchanged.saturating_sub(import.rows.len());
        import.text = further.text;
        import.rows.extend(further.rows);
    }
    Ok(import)
}

/// Compares every offer with a text as it is.
fn pass(format: &Format, found: &Published, selection: &Selection<'_>, prices: &str) -> Result<Import, String> {
    let mut editor = Editor::new(prices)?;
    let today = format!("{}T00:00:00Z", selection.today).parse::<jiff::Timestamp>();
    let today_ms = today.map_or(i64::MAX, jiff::Timestamp::as_millisecond);
    let mut import =
        Import { format: format.name, rows: Vec::new(), unchanged: 0, unread: Vec::new(), text: String::new() };
    let wanted = |seller: &str, model: &str| is_wanted(format, selection, seller, model);
    let unread = found.unread.iter().filter(|unread| wanted(&unread.seller, &unread.model));
    import.unread.extend(unread.cloned());
    let mut seen = HashSet::new();
    for offer in found.offers.iter().filter(|offer| wanted(&offer.seller, &offer.model)) {
        let taken = target(format, selection, &editor.book, offer).and_then(|provider| {
            if !seen.insert((provider.clone(), folded(&offer.model).into_owned())) {
                return Err("the name is there twice: the first one counts".to_owned());
            }
            take(&mut editor, provider, offer, today_ms)
        });
        match taken {
            Ok(Some(row)) => import.rows.push(row),
            Ok(None) => import.unchanged += 1,
            Err(why) => {
                import.unread.push(Unread { seller: offer.seller.clone(), model: offer.model.clone(), why });
            }
        }
    }
    import.text = editor.finish()?;
    Ok(import)
}

fn known<'f>(format: &'f Format, seller: &str) -> Option<&'f Seller> {
    format.sellers.iter().find(|known| known.theirs == seller)
}

fn is_wanted(format: &Format, selection: &Selection<'_>, seller: &str, model: &str) -> bool {
    let by_name = selection.models.is_empty() || selection.models.iter().any(|pattern| fits(pattern, model));
    let by_seller = selection.provider.is_none_or(|wanted| {
        let ours = known(format, seller).map_or("", |known| known.ours);
        seller.is_empty() || wanted.eq_ignore_ascii_case(seller) || wanted.eq_ignore_ascii_case(ours)
    });
    by_name && by_seller
}

/// Whether a name fits a pattern in which `*` stands for any letters; upper and lower case are the same.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (folded(pattern), folded(name));
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The provider of the row that an offer belongs to; `None`: the row for all.
fn target(
    format: &Format,
    selection: &Selection<'_>,
    book: &PriceBook,
    offer: &Offer,
) -> Result<Option<String>, String> {
    if offer.seller.is_empty() {
        return Ok(selection.provider.map(str::to_owned));
    }
    let Some(seller) = known(format, &offer.seller) else {
        return match selection.provider {
            Some(_) => Ok(Some(offer.seller.clone())),
            None => Err("no provider of Tollgate: `--provider` with its name imports it all the same".into()),
        };
    };
    let own = !seller.maker || book.has_row(seller.ours, &offer.model);
    Ok(own.then(|| seller.ours.to_owned()))
}

/// Changes or makes the row of an offer; `None`: nothing to do.
fn take(
    editor: &mut Editor<'_>,
    provider: Option<String>,
    offer: &Offer,
    today_ms: i64,
) -> Result<Option<ImportedRow>, String> {
    for class in ["input", "output"] {
        if !offer.standard.base.contains_key(class) {
            return Err(format!("no price for {class} tokens"));
        }
    }
    let (seller, model) = (provider.as_deref(), &*offer.model);
    let mut entries = offer.entries();
    let mut limits = vec![("context_tokens", offer.context_tokens), ("max_output_tokens", offer.output_tokens_max)];
    let several = "it has several rows with different `valid_from`: change the text by hand";
    let existing = editor.row(seller, model).map_err(|_| several)?.map(|table| table.clone());
    let own_fees = existing.as_ref().and_then(|table| table.get(FEES_KEY)).and_then(Item::as_table_like);
    entries.extend(offer.fees_beside(own_fees));
    let (changes, kept) = match &existing {
        Some(table) => {
            let currency = currency_of(table);
            if currency != USD {
                return Err(format!("its row is in {currency}, but published prices are not"));
            }
            limits.retain(|(key, _)| !table.contains_key(key));
            (changes(table, &entries, offer)?, kept(table, &entries))
        }
        None => {
            let fresh = effective_of(&row_of(&entries))?;
            let found = editor.book.find(seller.unwrap_or(""), model, model);
            if found.is_some_and(|price| effective(price.plain_terms(today_ms).tariff).has_all_of(&fresh)) {
                return Ok(None);
            }
            (entries, Vec::new())
        }
    };
    let limits = limits.into_iter().filter_map(|(key, tokens)| Some((key, i64::try_from(tokens?).ok()?)));
    let limits = limits.map(|(key, tokens)| (key.to_owned(), Value::from(tokens)));
    let changes: Vec<(String, Value)> = limits.chain(changes).collect();
    if changes.is_empty() {
        return Ok(None);
    }
    let keys = changes.iter().map(|(key, value)| KeyChange {
        key: key.clone(),
        old: existing.as_ref().and_then(|table| table.get(key)).map(shown),
        new: value.to_string().trim().to_owned(),
    });
    let keys = keys.collect();
    let (created, _) = editor.put(seller, model, USD, &changes)?;
    let rounded = offer.rounded.then(|| "rounded to nine decimals".to_owned());
    let unsaid = offer.unsaid.iter().map(|key| format!("not in this price: {key}"));
    let notes = unsaid.chain(rounded).collect();
    Ok(Some(ImportedRow { provider, model: model.to_owned(), created, keys, kept, notes }))
}

/// The entries that change what a row charges. (Another way to write the same price is no change.)
fn changes(table: &Table, entries: &[(String, Value)], offer: &Offer) -> Result<Vec<(String, Value)>, String> {
    let mut current = table.clone();
    let mut known = effective_of(&current).ok();
    let mut changed = Vec::new();
    for entry in entries {
        let service = SERVICE_TIERS.iter().position(|(key, _)| *key == entry.0);
        let published = offer.services.get(&*entry.0);
        if let (Some(index), Some(published), Some(known)) = (service, published, &known)
            && agrees(&known.sheets[index + 1], published)
        {
            continue;
        }
        let mut next = current.clone();
        change_row(&mut next, std::slice::from_ref(entry));
        let after = effective_of(&next).ok();
        if after.is_none() || after != known {
            changed.push(entry.clone());
            (current, known) = (next, after.or(known));
        }
    }
    effective_of(&current)?;
    Ok(changed)
}

/// Whether a service tier's steps have the published prices, whatever they say of others.
fn agrees(steps: &Steps, published: &Stepped) -> bool {
    let at = |above: u64| steps.iter().rev().find(|(begin, _)| *begin <= above).map(|(_, rates)| rates);
    let tiers = published.tiers.iter().map(|(above, prices)| (*above, prices));
    let prices = std::iter::once((0, &published.base)).chain(tiers);
    let mut prices = prices.flat_map(|(above, prices)| prices.iter().map(move |(key, nanos)| (above, *key, *nanos)));
    prices.all(|(above, key, nanos)| {
        let class = Class::ALL.into_iter().find(|class| class.key() == key);
        let rate = class.and_then(|class| Some(at(above)?[class as usize]));
        rate == Some(u128::from(nanos) * u128::from(MULTIPLIER_ONE))
    })
}

/// Keys of the row that have to do with prices and that the entries do not name.
fn kept(table: &Table, entries: &[(String, Value)]) -> Vec<String> {
    let stays = |key: &&str| table.contains_key(key) && !entries.iter().any(|(named, _)| named == key);
    price_keys().filter(stays).map(str::to_owned).collect()
}

/// A value without the space and comments around it.
fn shown(item: &Item) -> String {
    item.as_value().map_or_else(|| item.to_string(), |value| value.clone().decorated("", "").to_string())
}

fn row_of(entries: &[(String, Value)]) -> Table {
    let mut table = Table::new();
    table.insert("name", Item::Value(Value::from("m")));
    change_row(&mut table, entries);
    table
}

/// Prompt lengths, and the prices for longer ones, times [`MULTIPLIER_ONE`].
type Steps = Vec<(u64, [u128; CLASSES])>;

/// What a row charges, however it is written: steps by prompt length for the standard tier and each service tier, then what
/// is not per token.
#[derive(PartialEq, Eq)]
struct Effective {
    sheets: Vec<Steps>,
    once: [u64; 2],
    /// By kind.
    fees: BTreeMap<Box<str>, u64>,
}

impl Effective {
    /// Whether it charges what a publication does; of further fees, that one may know nothing.
    fn has_all_of(&self, published: &Self) -> bool {
        self.sheets == published.sheets
            && self.once == published.once
            && published.fees.iter().all(|(kind, nanos)| self.fees.get(kind) == Some(nanos))
    }
}

/// An error: the row does not parse.
fn effective_of(table: &Table) -> Result<Effective, String> {
    let mut rows = ArrayOfTables::new();
    rows.push(table.clone());
    let mut document = DocumentMut::new();
    document.insert("model", Item::ArrayOfTables(rows));
    let book = PriceBook::parse(&document.to_string()).map_err(|errors| {
        format!("its row would be wrong: {}", errors.first().map(|error| &*error.message).unwrap_or(""))
    })?;
    let price = book.iter().next().ok_or("no row")?;
    Ok(effective(price.plain_terms(i64::MAX).tariff))
}

fn effective(tariff: &Tariff) -> Effective {
    let services = tariff.service_tiers.iter().map(Option::as_ref);
    let sheets = std::iter::once(None).chain(services).map(|change| match change {
        None => steps(&tariff.standard, MULTIPLIER_ONE),
        Some(Change::Multiply(multiplier)) => steps(&tariff.standard, *multiplier),
        Some(Change::Reprice(own)) => steps(own, MULTIPLIER_ONE),
    });
    let fees = tariff.fees.iter().map(|fee| (fee.kind.clone(), fee.nanos)).collect();
    Effective { sheets: sheets.collect(), once: [tariff.per_request, tariff.web_search_per_thousand], fees }
}

/// Steps at which some price changes.
fn steps(sheet: &Sheet, multiplier: u64) -> Steps {
    let times = |rate: u64| u128::from(rate) * u128::from(multiplier);
    let mut steps: Steps = sheet.steps().iter().map(|step| (step.above_tokens, step.rates.map(times))).collect();
    steps.dedup_by(|next, before| next.1 == before.1);
    steps
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name) in
            [("gpt-4o", "GPT-4o"), ("gpt-*", "gpt-4o"), ("*", ""), ("*-4*o", "gpt-4-turbo"), ("a*b*c", "aXbYbc")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("gpt-4o", "gpt-4o-mini"), ("gpt-*", "o3"), ("*mini", "gpt-4o"), ("a*b*c", "acb"), ("ab*ba", "aba")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
