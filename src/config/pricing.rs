//! What a model costs at an upstream: the price book's row, and what the upstream's own keys make of it.

use super::{Config, ConfigError, Model, Upstream};
use crate::price::{Multiplier, Price, PriceBook};
use crate::provider;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_plugin_api::{did_you_mean, one_of};

/// Providers that an error names.
const PROVIDERS_NAMED_MAX: usize = 12;

impl Config {
    /// Where upstreams and the price book do not fit together.
    pub fn price_errors(&self, book: &PriceBook) -> Vec<ConfigError> {
        errors(self, book)
    }
}

impl Upstream {
    /// Whose rows of the price book hold here: `price_provider`, else the provider.
    pub fn seller(&self) -> &str {
        self.price_provider.as_deref().unwrap_or(&self.provider)
    }

    /// The price of one of its models. `None`: the book has none.
    pub fn price(&self, book: &PriceBook, model: &Model) -> Option<Arc<Price>> {
        Prices::new(book).at(self, &model.upstream_model, &model.name)
    }
}

/// Prices at upstreams. Those with a multiplier are made once for all upstreams with the same.
pub(super) struct Prices<'a> {
    book: &'a PriceBook,
    multiplied: RefCell<HashMap<(usize, Multiplier), Arc<Price>>>,
}

impl<'a> Prices<'a> {
    /// The prices of a book.
    pub(super) fn new(book: &'a PriceBook) -> Self {
        Self { book, multiplied: RefCell::default() }
    }

    /// Whose rows hold for a model of these names: where its own provider has none, those of the same vendor's other API.
    fn seller<'u>(&self, upstream: &'u Upstream, (upstream_model, model): (&str, &str)) -> &'u str {
        let own = upstream.seller();
        let is_own = [upstream_model, model].iter().any(|name| self.book.has_row(own, name));
        let other = provider::providers().get(&upstream.provider).and_then(|row| row.priced_like.as_deref());
        match other.filter(|other| {
            upstream.price_provider.is_none() && !is_own && self.book.find(other, upstream_model, model).is_some()
        }) {
            Some(other) => other,
            None => own,
        }
    }

    /// The price of a model at an upstream.
    pub(super) fn at(&self, upstream: &Upstream, upstream_model: &str, model: &str) -> Option<Arc<Price>> {
        let price = self.book.find(self.seller(upstream, (upstream_model, model)), upstream_model, model)?;
        if upstream.price_multiplier == Multiplier::ONE {
            return Some(price.clone());
        }
        let key = (Arc::as_ptr(price).addr(), upstream.price_multiplier);
        let mut multiplied = self.multiplied.borrow_mut();
        Some(multiplied.entry(key).or_insert_with(|| Arc::new(price.times(upstream.price_multiplier))).clone())
    }
}

/// A `price_provider` that no row names would change nothing, or leave models without the price that was meant. An empty
/// book says nothing about it.
fn errors(config: &Config, book: &PriceBook) -> Vec<ConfigError> {
    let known = book.providers();
    let mut errors = Vec::new();
    for (index, row) in config.upstreams.iter().enumerate() {
        let Some(seller) = row.price_provider.as_deref() else { continue };
        if book.is_empty() || known.iter().any(|known| known.eq_ignore_ascii_case(seller)) {
            continue;
        }
        let guess = did_you_mean(seller, known.iter().copied());
        let expected = match known.len() {
            0 => "expected a provider that has rows there, but none has any".to_owned(),
            _ => {
                format!("expected a provider that has, as {}", one_of(known.iter().copied().take(PROVIDERS_NAMED_MAX)))
            }
        };
        let message = format!("no row of the price book has `provider = \"{seller}\"`, {expected}{guess}");
        errors.push(config.error(&format!("upstream[{index}].price_provider"), message));
    }
    errors
}
