//! Published prices: the data of other projects, compared with a price book's text and taken over into it.
//!
//! A publication is JSON. Its numbers are read as the text they are written in and become prices by exact arithmetic; what
//! is finer than nine decimals of USD per million tokens is rounded to the nearest, and said. Nothing is guessed: a model
//! whose price cannot be said in `pricing.toml` is left out, with the reason, and what the book says beyond the publication
//! (windows, further classes, tiers) stays.
//!
//! **Rows**: prices of who makes a model belong to the row of all providers, unless the book has one for that provider;
//! prices of other sellers belong to the provider's own rows. A name that a row has already (also as an alias, or with a date
//! behind it) at the same prices is left alone; at others it becomes a row of its own. `context_tokens` and
//! `max_output_tokens` are filled in where a row has none.

mod compare;
pub mod genai_prices;
mod json;
mod litellm;
mod litellm_pieces;
mod new_api;
mod number;
mod offer;

pub use compare::{Import, ImportedRow, KeyChange, Selection, import};
pub use offer::Unread;

use json::Json;
use offer::Offer;

/// A format of published prices.
pub struct Format {
    /// What it is called.
    pub name: &'static str,
    sellers: &'static [Seller],
    looks_like: fn(Json<'_>) -> bool,
    /// The second argument is the day whose prices are wanted: `2026-11-21`.
    read: fn(Json<'_>, &str) -> Result<Published, String>,
}

/// All of them, in the order in which a text is tried.
pub const FORMATS: [Format; 3] = [
    Format {
        name: "genai-prices",
        sellers: genai_prices::SELLERS,
        looks_like: genai_prices::looks_like,
        read: genai_prices::read,
    },
    Format { name: "litellm", sellers: litellm::SELLERS, looks_like: litellm::looks_like, read: litellm::read },
    Format { name: "new-api", sellers: new_api::SELLERS, looks_like: new_api::looks_like, read: new_api::read },
];

/// Who sells models: as a publication says it, and our provider.
pub struct Seller {
    /// Their name.
    pub theirs: &'static str,
    /// Ours.
    pub ours: &'static str,
    /// Makes the models: the prices hold at every provider without a row of its own.
    pub maker: bool,
}

const fn maker(theirs: &'static str, ours: &'static str) -> Seller {
    Seller { theirs, ours, maker: true }
}

const fn seller(theirs: &'static str, ours: &'static str) -> Seller {
    Seller { theirs, ours, maker: false }
}

/// What a publication says.
#[derive(Default)]
struct Published {
    offers: Vec<Offer>,
    unread: Vec<Unread>,
}
