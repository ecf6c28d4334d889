//! The fields of our own that answers have: named here once, for whoever sets them and for whoever lets a page's script read them.

use http::{HeaderName, header};

macro_rules! fields {
    ($($(#[$says:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$says])* pub const $name: HeaderName = HeaderName::from_static($text);)*

        /// All that have one name whatever is told.
        fn named() -> Vec<HeaderName> {
            vec![$($name),*]
        }
    };
}

fields! {
    /// Which request this was; in every answer.
    REQUEST_ID = "x-request-id";
    /// The same as Anthropic's SDKs read it.
    ANTHROPIC_REQUEST_ID = "request-id";
    /// Who answered.
    UPSTREAM = "x-tollgate-upstream";
    /// How many were asked.
    ATTEMPTS = "x-tollgate-attempts";
    /// Which request it was there.
    UPSTREAM_REQUEST_ID = "x-tollgate-upstream-request-id";
    /// From which dialect into which the answer is translated.
    TRANSLATED = "x-tollgate-translated";
    /// What of the request could not be said there.
    LEFT_OUT = "x-tollgate-left-out";
    /// The counts are estimates.
    ESTIMATED = "x-tollgate-estimated";
    /// It is the answer that this idempotency key had before.
    REPLAYED = "x-tollgate-replayed";
    /// Why this upstream was chosen.
    EXPLAIN = "x-tollgate-explain";
    /// What part of the gateway refused.
    REJECTED_BY = "x-tollgate-rejected-by";
    /// Whether it is of use to come again.
    SHOULD_RETRY = "x-should-retry";
}

/// The end of the names that tell of requests at once.
pub const CONCURRENCY: &str = "concurrency";
/// The end of the names that tell of spending.
pub const SPEND_USD: &str = "spend-usd";

/// What limits are told of: each by three fields, `x-ratelimit-limit-requests` and the like.
const LIMITED: [&str; 4] = ["requests", "tokens", CONCURRENCY, SPEND_USD];

/// Every field of our own that an answer may have.
pub fn answer_fields() -> impl Iterator<Item = String> {
    let named = named().into_iter().chain([header::RETRY_AFTER]).map(|name| name.to_string());
    let limits = LIMITED
        .iter()
        .flat_map(|unit| ["limit", "remaining", "reset"].map(|what| format!("{}{what}-{unit}", crate::lease::PREFIX)));
    named.chain(limits)
}
