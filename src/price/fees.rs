//! Prices of what is billed by the time: runs of a provider's own tools, and what an answer says that the request was. And of what is
//! billed by the piece ([`pieces`](super::pieces)), which stand beside them.

use std::sync::Arc;

use toml::de::DeTable;

use super::currency::Currency;
use super::pieces::near_name;
use super::reader::{Reader, join};
use super::tariff::price;

/// The key of a row.
pub(super) const FEES_KEY: &str = "fees";
/// Fees of one row, and bytes of one's name.
const FEES_MAX: usize = 64;
const KIND_BYTES_MAX: usize = 64;

const WANTED_FEES: &str =
    "a table of what was done and USD each time as { file_search = 0.0025 }, or for each { image = 0.04 }";
const WANTED_FEE: &str = "USD each time as 0.0025, with at most nine decimals";

/// What else is not billed where something is that has a fee of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InPlaceOf {
    /// The request: Perplexity's `search_context_low`, a reranker's `search_units` say what it was.
    Request,
    /// As many searches of the web, which it says what they were.
    Searches,
}

/// What an answer says that something was which is billed anyway, by the beginnings of its names, and no further thing that was done.
/// Of what no fee is said it costs as much as that.
const IN_PLACE_OF: [(&str, InPlaceOf); 3] = [
    ("search_context_", InPlaceOf::Request),
    ("search_units", InPlaceOf::Request),
    ("web_search_preview", InPlaceOf::Searches),
];

/// Nano-USD for each time.
#[derive(Clone, Debug)]
pub(super) struct Fee {
    /// As the answer's usage has it.
    pub(super) kind: Box<str>,
    pub(super) nanos: u64,
}

/// What something that is billed by the time says of the rest of the bill.
pub(super) fn in_place_of(kind: &str) -> Option<InPlaceOf> {
    IN_PLACE_OF.iter().find(|(begin, _)| kind.starts_with(begin)).map(|(_, what)| *what)
}

/// The fees of a row, in its currency.
pub(super) fn fees<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    path: &str,
    currency: Option<&Arc<Currency>>,
) -> Vec<Fee> {
    let Some(value) = table.get(FEES_KEY) else { return Vec::new() };
    let path = join(path, FEES_KEY);
    let Some(fees) = reader.table(value, &path, WANTED_FEES) else { return Vec::new() };
    if fees.len() > FEES_MAX {
        reader.error(&value.span(), &path, format!("{} fees, expected at most {FEES_MAX}", fees.len()));
        return Vec::new();
    }
    let mut read = Vec::new();
    for (kind, value) in fees {
        let (name, path) = (&**kind.get_ref(), join(&path, kind.get_ref()));
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > KIND_BYTES_MAX || !name.bytes().all(is_name) {
            let message = "expected what was done as answers have it: `file_search`, small letters, digits and `_`";
            reader.error(&kind.span(), &path, format!("{message}, at most {KIND_BYTES_MAX} bytes"));
        }
        if let Some(near) = near_name(name) {
            reader.error(&kind.span(), &path, format!("`{name}` is the name of no fee, expected `{near}`"));
        }
        let own = currency.map(|currency| &**currency);
        let fee = price(reader, value, &path, WANTED_FEE, own);
        let nanos = own.zip(fee).map_or(fee, |(currency, fee)| Some(currency.to_usd(fee)));
        read.extend(nanos.map(|nanos| Fee { kind: name.into(), nanos }));
    }
    read
}
