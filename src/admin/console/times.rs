//! Points in time, as the API has them: RFC 3339 in UTC.

use super::refusal::Refusal;
use jiff::Timestamp;

/// Reads one.
///
/// # Errors
/// It is none.
pub(super) fn parse(field: &str, text: &str) -> Result<i64, Refusal> {
    let time = text.parse::<Timestamp>();
    time.map(|time| time.as_millisecond())
        .map_err(|_| Refusal::field(field, "expected a time as in `2026-12-31T18:00:00Z`"))
}
