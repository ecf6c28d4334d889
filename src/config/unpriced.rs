//! Models without a price, and what becomes of their requests: said at the start, by `check`, and of every reload.

use super::{Config, UnknownModel};
use crate::price::PriceBook;
use std::collections::BTreeSet;

/// Names of one remark; further ones are counted.
const NAMES_MAX: usize = 20;

impl Config {
    /// Every model that some upstream serves.
    pub fn models(&self) -> BTreeSet<&str> {
        self.upstreams.iter().flat_map(|row| &row.models).map(|model| &*model.name).collect()
    }

    /// Models that some upstream serves and the book has no price for.
    pub fn unpriced(&self, book: &PriceBook) -> BTreeSet<&str> {
        let offers = self.upstreams.iter().flat_map(|row| row.models.iter().map(move |model| (row, model)));
        offers.filter(|(row, model)| row.price(book, model).is_none()).map(|(_, model)| &*model.name).collect()
    }

    /// What there is to say of models without a price; `None`: all have one.
    pub(crate) fn price_remark(&self, book: &PriceBook) -> Option<String> {
        let unpriced = self.unpriced(book);
        if unpriced.is_empty() {
            return None;
        }
        let names = listed(unpriced.iter().copied());
        if book.is_empty() {
            return Some(no_prices(self, &names));
        }
        let fate = match self.pricing.unknown_model {
            UnknownModel::RejectIfQuota => "keys with a quota are refused, others pass unbilled",
            UnknownModel::Reject => "requests are refused",
            UnknownModel::Allow => "requests pass unbilled",
        };
        Some(format!("models without a price ({fate}): {names}"))
    }
}

/// What it means that there are no prices at all.
fn no_prices(config: &Config, names: &str) -> String {
    let file = &config.pricing.file;
    let what = match file.exists() {
        true => format!("there are no prices: {} has none", file.display()),
        false => format!("there is no price file: {} is not there", file.display()),
    };
    let fate = match config.pricing.unknown_model {
        UnknownModel::RejectIfQuota => {
            "every request of a key with a quota is refused (400 PRICE_MISSING), because its cost is unknown; those of other \
             keys pass unbilled"
        }
        UnknownModel::Reject => "every request is refused (400 PRICE_MISSING), because its cost is unknown",
        UnknownModel::Allow => "every request passes unbilled",
    };
    format!(
        "{what}. So {fate}. `tollgate price set MODEL --input D --output D` sets one price, `tollgate price import FILE --write` \
         many; `pricing.unknown_model` says what happens without one. Without a price: {names}"
    )
}

/// Names with commas between, the first ones if there are many. They are a configuration's, which have no control characters.
pub(crate) fn listed<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let count = names.len();
    let mut text = names.take(NAMES_MAX).collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = count.checked_sub(NAMES_MAX) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
