//! The price book: usage × price → amount, in integers.
//!
//! A price book is read from a TOML text (`pricing.toml`); [`SEED`] is the one that comes with this crate. Nothing here
//! knows the time, a file or a float: the time of a request is an argument, prices are read digit by digit.
//!
//! # The format
//!
//! One `[[model]]` table per model. Prices are USD per million tokens, written as a number or a string (`2.5`, `"2.5"`,
//! `3`, `1e-3`), exact to nine decimals.
//!
//! ```toml
//! [currency]                       # optional: USD for one unit, for rows in other currencies
//! CNY = "0.1389"
//!
//! [[model]]
//! name = "gpt-4o"                  # what the provider calls it; upper and lower case are the same
//! provider = "azure"               # optional: this row is the price at that provider only
//! aliases = ["gpt-4o-2024-08-06"]  # optional: other names of the same thing at the same price
//! dated = true                     # optional: so are NAME-2026-01-31, NAME-20260131 and NAME@20260131
//! valid_from = 2026-12-01          # optional: a date (midnight UTC) or a time with an offset
//! currency = "CNY"                 # optional: what this row's prices are written in; else USD
//! context_tokens = 128000          # optional: the context window
//! max_output_tokens = 16384        # optional: the most one answer can have
//! reads_elsewhere = true           # optional: it reads more than the request holds, unasked, up to its context window
//!
//! input = 2.5                      # required (0 = free)
//! cached_input = 1.25              # read from the prompt cache; else as input
//! cache_write = 3.125              # written to it; else as input
//! cache_write_1h = 5               # written for an hour; else as cache_write
//! input_audio = 40                 # else as input
//! cached_audio = 2.5               # else as input_audio if that is given, else as cached_input
//! input_image = 2.5                # else as input
//! output = 10                      # required (0 = free)
//! reasoning = 10                   # else as output
//! output_audio = 80                # else as output
//! output_image = 10                # else as output
//! per_request = 0.005              # USD for each request
//! web_search_per_thousand = 10     # USD for a thousand searches that the provider ran
//! fees = { file_search = 0.0025 }  # USD for each time that the answer says that the provider did this, or by the piece (below)
//! audio_seconds_min = 10           # optional: the least of audio that a request is charged for
//!
//! tiers = [{ above_prompt_tokens = 200000, input = 5, output = 15 }]   # a longer prompt reprices the whole request
//! batch = 0.5                      # answered in that service tier: a multiplier on every token price (four decimals) …
//! flex = { input = 1.25, output = 5 }   # … or prices of its own
//! priority = 1.7                   # dearer, as is `ultrafast`: without one, what such an answer costs is not known
//! inference_geo = { us = 1.1 }     # the answer says that the model had to run there: a multiplier on every token price
//! windows = [                      # the first one that contains the request's start applies
//!     { days = ["mon", "fri"], from = "09:00", to = "12:00", time_zone = "Asia/Shanghai", multiplier = 2 },
//! ]
//! ```
//!
//! **What is not said stays.** A tier, a window or a service tier that names prices changes those and leaves the row's
//! other prices as they are; only then do the fallbacks above apply. Where the row has `tiers`, a window or service tier
//! that names prices must have `tiers` of its own (`[]` for none), because which of the two should win would be a guess.
//! Windows and service tiers of one row may both multiply, but not both name prices.
//!
//! **Service tiers without a price.** `batch` and `flex` are meant to be cheaper and are then billed as the standard tier. `priority` and
//! `ultrafast` are meant to be dearer: then a price is missing ([`Price::has_price_in`]), and the answer is billed as the tier below
//! that has one. A vendor that charges no more for it has `priority = 1`. Anthropic's fast mode is `priority`, too.
//!
//! **Currencies**: a row in another currency is converted when the text is read, every price by itself: price × rate, exact
//! and rounded up to the ninth decimal of USD (with up to nine decimals in both together there is nothing to round). From
//! there on all is USD. A rate has at most nine decimals; it is fixed: no rate is ever fetched, and a new one is an edit of
//! the text, thus another price version.
//!
//! **Fees** go by what the answer says was done, under these names: `file_search`, `code_interpreter` (its containers, where they have
//! names), `x_search`, `document_search`, `google_maps` (once an answer), `visit_website` (Groq's), `fetch_url`, `image_search`,
//! `people_search`, `finance_search` (Perplexity's), and of the request itself: `search_units` (a reranker's) and `search_context_low`,
//! `_medium`, `_high` (Perplexity's). The latter are billed in place of `per_request`, and cost as much where they have no fee: so three
//! units are three requests. So is `web_search_preview` (OpenAI's, of models that do not reason) in place of as many searches. Whatever
//! else was done and has no fee is a price that is missing.
//!
//! **By the piece**, also among the fees: `image` for each image made, or more particular `image_hd`, `image_1024x1792`,
//! `image_hd_1024x1792` (quality, size): the most particular one that the row has applies (of two, the dearer). Quality and size are what
//! the answer says, else what the request asks for; where neither does, plain `image` applies, so that it is the price of what the provider
//! makes by default. A row without it charges the dearest that can have come. `audio_hour` for an hour of audio that was heard, charged by
//! the millisecond, exactly; in a conversation, if its answer tells how long it was. `character` for each character (Unicode code point) of
//! the text to be spoken. Such a row has `input = 0` and `output = 0`, and if it has prices of tokens, these are charged beside. What was
//! made or heard, has no fee and no price by the request, and is not counted in tokens either, is a price that is missing: what is really
//! free has a fee of 0.
//!
//! **Prompt length** is `input_tokens`, cached ones included. Service tiers multiply token prices only, never
//! `per_request`, `web_search_per_thousand` and `fees`.
//!
//! **Places** (`inference_geo`; platform.claude.com, "Data residency") go by what the answer says, not by what was asked for: an
//! account may have a default of its own. A place that the row does not name changes nothing. A price times a place's multiplier is
//! rounded up to the ninth decimal of USD; what a provider ran on another model is multiplied by that model's row.
//!
//! **Windows**: `from` is in, `to` is out; a window over midnight (`from` later than `to`) belongs to the day on which it
//! begins; without `from` and `to` it is the whole day, without `days` every day. `time_zone` is an IANA name.
//!
//! **At an upstream** of `tollgate.toml`, `price_provider` says whose rows are its prices, and `price_multiplier` what the
//! whole sum is multiplied by before it is rounded ([`Price::times`]).
//!
//! **A price change that is known beforehand** is a second row of the same `name` (and `provider`) with a `valid_from`.
//! The latest row that has begun applies; before the first one begins, the first one applies: no date makes a model free.
//! Aliases and `dated` hold for all rows of that name.
//!
//! **Look-up** ([`PriceBook::find`]) goes by the upstream's model name, then by the client's; for each, the row of that
//! provider first, then the row without `provider`. A name fits as it is written or, where `dated` says so, with a date
//! behind it; an exact row always wins over a dated one, and there is no other guessing: a model that is not found has no
//! price. A name may be used once per provider.
//!
//! Everything wrong is reported at once, each with its place; unknown keys are errors. `input` and `output` are required so
//! that a forgotten line gives nothing away. An empty text is a valid book without prices, and a text that ends too soon may be a
//! valid book, too: whoever reads a file sees to it that it was written to its end.

#![deny(clippy::float_arithmetic)]

mod book;
mod cost;
mod currency;
mod decimal;
mod edit;
mod explain;
mod fees;
mod full;
pub mod import;
mod limits;
mod once;
mod parse;
mod pieces;
mod reader;
mod sheet;
mod syntax;
mod tariff;
mod window;
mod worst_case;

pub use book::{Cost, PriceBook};
pub use cost::{Multiplier, Price};
pub use edit::{FEE_PREFIX, PriceEdit, set_price};
pub use explain::ExplainLine;
pub use full::{CLASS_KEYS, Changed, ClassPrices, TierPrices, TokenPrices, Version, WindowPrices, further};
pub use limits::Limits;
pub use pieces::{Charged, Piece, PieceCounts, Said, per_piece};
pub use reader::PriceError;
pub(crate) use syntax::syntax_errors;

/// The price book that comes with this crate: the text of `pricing.toml` in its root.
pub const SEED: &str = include_str!("../../pricing.toml");

#[cfg(test)]
mod tests;
