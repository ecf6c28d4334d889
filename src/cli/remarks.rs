//! What is missing in a configuration that is right: said at the start and by `check`, so that nobody wonders later.

use super::terminal::plain;
use crate::config::{Config, UnknownModel};
use crate::price::PriceBook;
use crate::provider::{AuthScheme, providers};
use std::collections::BTreeSet;

/// Names of one remark; further ones are counted.
const NAMES_MAX: usize = 20;

/// One remark a line. `has_keys`: whether anybody could call; `None`: that is not known.
pub(super) fn remarks(config: &Config, book: &PriceBook, has_keys: Option<bool>) -> Vec<String> {
    let (unpriced, keyless) = (unpriced(config, book), keyless(config));
    let fate = match config.pricing.unknown_model {
        UnknownModel::RejectIfQuota => "keys with a quota are refused, others pass unbilled",
        UnknownModel::Reject => "requests are refused",
        UnknownModel::Allow => "requests pass unbilled",
    };
    let found = [
        (config.upstreams.is_empty(), "there is no upstream, so no request can be answered.".to_owned()),
        (has_keys == Some(false), "there are no keys yet: `tollgate key create NAME` makes one.".to_owned()),
        (book.is_empty() && !config.upstreams.is_empty(), no_prices(config)),
        (
            !book.is_empty() && !unpriced.is_empty(),
            format!("without a price ({fate}): {}", listed(unpriced.iter().copied())),
        ),
        (!keyless.is_empty(), format!("upstreams without a key of ours: {}", listed(keyless.iter().copied()))),
    ];
    found.into_iter().filter(|(applies, _)| *applies).map(|(_, remark)| format!("Note: {remark}")).collect()
}

/// What it means that there are no prices at all.
fn no_prices(config: &Config) -> String {
    let file = &config.pricing.file;
    let what = match file.exists() {
        true => format!("there are no prices: {} has none", file.display()),
        false => format!("there is no price file: {} is not there", file.display()),
    };
    let fate = match config.pricing.unknown_model {
        UnknownModel::RejectIfQuota => {
            "every request of a key with a quota is refused (400 PRICE_MISSING), for nobody knows what it would cost; those of \
             other keys pass unbilled"
        }
        UnknownModel::Reject => "every request is refused (400 PRICE_MISSING), for nobody knows what it would cost",
        UnknownModel::Allow => "every request passes unbilled",
    };
    format!(
        "{what}. So {fate}. `tollgate price set MODEL --input D --output D` makes a price, `tollgate price import FILE --write` \
         many; what is to happen without one says `pricing.unknown_model`."
    )
}

/// Names with commas between, the first ones if there are many.
pub(super) fn listed<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let count = names.len();
    let mut text = plain(&names.take(NAMES_MAX).collect::<Vec<_>>().join(", "));
    if let Some(more @ 1..) = count.checked_sub(NAMES_MAX) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Models that some upstream serves and the book has no price for.
pub(super) fn unpriced<'c>(config: &'c Config, book: &PriceBook) -> BTreeSet<&'c str> {
    let offers = config.upstreams.iter().flat_map(|row| row.models.iter().map(move |model| (row, model)));
    offers.filter(|(row, model)| row.price(book, model).is_none()).map(|(_, model)| &*model.name).collect()
}

/// Every model that some upstream serves.
pub(super) fn models(config: &Config) -> BTreeSet<&str> {
    config.upstreams.iter().flat_map(|row| &row.models).map(|model| &*model.name).collect()
}

/// Upstreams whose provider takes a key, and which have none. (Where it must have one, that is an error.)
fn keyless(config: &Config) -> BTreeSet<&str> {
    let takes_key = |name: &str| providers().get(name).is_some_and(|row| row.auth != AuthScheme::None);
    let rows = config.upstreams.iter().filter(|row| row.api_key.is_none() && takes_key(&row.provider));
    rows.map(|row| &*row.name).collect()
}
