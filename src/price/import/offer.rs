//! What a publication says of one model, in our own keys.

use super::super::edit::fees_beside;
use super::super::fees::FEES_KEY;
use super::super::sheet::Class;
use super::number::Nanos;
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{Array, InlineTable, TableLike, Value};

/// Token prices by class, in nano-USD per million.
pub(super) type Prices = BTreeMap<&'static str, u64>;

/// Prices, and those that differ above a prompt length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stepped {
    pub(super) base: Prices,
    pub(super) tiers: BTreeMap<u64, Prices>,
}

/// One model at one seller.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    /// Who sells it, as the publication calls them; empty: it does not say.
    pub(super) seller: String,
    pub(super) model: String,
    pub(super) standard: Stepped,
    /// `batch`, `flex`, `priority`: the prices that differ.
    pub(super) services: BTreeMap<&'static str, Stepped>,
    /// `per_request`, `web_search_per_thousand`.
    pub(super) once: Prices,
    /// By kind, in nano-USD each time, or for each piece.
    pub(super) fees: BTreeMap<String, u64>,
    pub(super) context_tokens: Option<u64>,
    pub(super) output_tokens_max: Option<u64>,
    /// What it charges for and `pricing.toml` has no key for.
    pub(super) unsaid: BTreeSet<String>,
    /// Some price was finer than nine decimals.
    pub(super) rounded: bool,
}

/// A model that cannot be taken over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Who sells it, as the publication calls them; empty: it does not say.
    pub seller: String,
    /// The model.
    pub model: String,
    /// A sentence.
    pub why: String,
}

impl Offer {
    /// A price, noting whether it was rounded.
    pub(super) fn keep(&mut self, price: Nanos) -> u64 {
        self.rounded |= price.rounded;
        price.nanos
    }

    /// Its fees, beside those that a row has.
    pub(super) fn fees_beside(&self, row: Option<&dyn TableLike>) -> Option<(String, Value)> {
        if self.fees.is_empty() {
            return None;
        }
        let fees = self.fees.iter().map(|(kind, nanos)| (&**kind, number(*nanos)));
        Some((FEES_KEY.to_owned(), fees_beside(row, fees)))
    }

    /// The keys of its row, with their values, but for its fees.
    pub(super) fn entries(&self) -> Vec<(String, Value)> {
        let mut entries: Vec<(String, Value)> = classes(&self.standard.base);
        entries.retain(|(key, _)| !IMPLIED.iter().any(|(class, general)| class == key && self.follows(class, general)));
        entries.extend(self.once.iter().map(|(key, nanos)| ((*key).to_owned(), number(*nanos))));
        let own_tiers = tiers(&self.standard);
        if !own_tiers.is_empty() {
            entries.push(("tiers".into(), Value::Array(own_tiers)));
        }
        for (service, own) in &self.services {
            let over = self.standard.under(own);
            let mut table = InlineTable::new();
            let standard = &self.standard.base;
            let differs = over.base.iter().filter(|(class, nanos)| standard.get(*class) != Some(*nanos));
            for (class, value) in classes(&differs.map(|(class, nanos)| (*class, *nanos)).collect()) {
                table.insert(&class, value);
            }
            if !self.standard.tiers.is_empty() || !over.tiers.is_empty() {
                table.insert("tiers", Value::Array(tiers(&over)));
            }
            if over != self.standard && !table.is_empty() {
                entries.push(((*service).to_owned(), Value::InlineTable(table)));
            }
        }
        entries
    }
}

/// Classes that cost what the more general one does where they are not named.
const IMPLIED: [(&str, &str); 5] = [
    ("reasoning", "output"),
    ("output_audio", "output"),
    ("output_image", "output"),
    ("input_audio", "input"),
    ("input_image", "input"),
];

impl Offer {
    /// Whether a class costs what the more general one does, everywhere: named, it would stay at that in a service tier
    /// where the general one is cheaper.
    fn follows(&self, class: &str, general: &str) -> bool {
        let same = |prices: &Prices| prices.get(class) == prices.get(general);
        let unnamed =
            |own: &Stepped| !own.base.contains_key(class) && own.tiers.values().all(|tier| !tier.contains_key(class));
        same(&self.standard.base) && self.standard.tiers.values().all(same) && self.services.values().all(unnamed)
    }
}

impl Stepped {
    /// These prices, with those of `own` where it has some.
    fn under(&self, own: &Self) -> Self {
        let mut over = self.clone();
        over.base.extend(&own.base);
        for (above, prices) in &own.tiers {
            over.tiers.entry(*above).or_default().extend(prices);
        }
        // Where a class has a price of its own without tiers, the standard's tiers say nothing about it.
        for class in own.base.keys().filter(|class| !own.tiers.values().any(|tier| tier.contains_key(*class))) {
            for tier in over.tiers.values_mut() {
                tier.remove(class);
            }
        }
        over.tiers.retain(|_, tier| !tier.is_empty());
        over
    }
}

/// In the order in which rows show them.
fn classes(prices: &Prices) -> Vec<(String, Value)> {
    let keys = Class::ALL.into_iter().map(Class::key);
    keys.filter_map(|key| Some((key.to_owned(), number(*prices.get(key)?)))).collect()
}

/// A price that a tier does not name would fall back to the row's: each tier names all that is in force there.
fn tiers(stepped: &Stepped) -> Array {
    let mut in_force = Prices::new();
    let mut array = Array::new();
    for (above, prices) in &stepped.tiers {
        in_force.extend(prices);
        let mut table = InlineTable::new();
        table.insert("above_prompt_tokens", Value::from(i64::try_from(*above).unwrap_or(i64::MAX)));
        for (key, value) in classes(&in_force) {
            table.insert(&key, value);
        }
        array.push(table);
    }
    array
}

fn number(nanos: u64) -> Value {
    let text = super::super::decimal::format(nanos.into(), super::super::cost::PRICE_DECIMALS);
    text.parse().unwrap_or_else(|_| Value::from(text))
}
