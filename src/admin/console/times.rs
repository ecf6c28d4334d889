//! Points in time, as the API has them: RFC 3339 in UTC.

use super::refusal::Refusal;
use jiff::Timestamp;
use serde::Deserialize;

const EXPECTED: &str = "expected a time as in `2026-12-31T18:00:00Z`";

/// A point in time in a query, in Unix milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Time(pub(super) i64);

impl TryFrom<String> for Time {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let time = text.parse::<Timestamp>();
        time.map(|time| Self(time.as_millisecond())).map_err(|_| EXPECTED)
    }
}

/// Reads one.
///
/// # Errors
/// It is none.
pub(super) fn parse(field: &str, text: &str) -> Result<i64, Refusal> {
    Time::try_from(text.to_owned()).map(|time| time.0).map_err(|expected| Refusal::field(field, expected))
}
