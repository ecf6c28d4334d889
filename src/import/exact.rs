//! What a column of another program's has, read exactly. What cannot be is an error that says why, never a default: a limit that
//! is not understood is not "no limit".

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most of a text that an error shows, in characters.
const SHOWN_MAX: usize = 40;

/// A row's columns, by name.
pub(super) trait Columns {
    /// What stands there.
    fn column(&self, name: &str) -> Option<&Value>;
}

impl Columns for BTreeMap<String, Value> {
    fn column(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }
}

impl Columns for Map<String, Value> {
    fn column(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }
}

/// What stands there, if it is not null.
pub(super) fn value<'r>(row: &'r impl Columns, name: &str) -> Option<&'r Value> {
    row.column(name).filter(|value| !value.is_null())
}

/// Why a column is not taken.
pub(super) fn wrong(name: &str, found: &Value, expected: &str) -> String {
    let found = match found {
        Value::String(text) => format!("{:?}", text.chars().take(SHOWN_MAX).collect::<String>()),
        Value::Array(_) | Value::Object(_) => kind(found).to_owned(),
        plain => plain.to_string(),
    };
    format!("its `{name}` cannot be read: found {found}, expected {expected}")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A text without the space around it; none and null are empty. An error never says what stands there: it may be a key.
pub(super) fn text<'r>(row: &'r impl Columns, name: &str) -> Result<&'r str, String> {
    match value(row, name) {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text.trim()),
        Some(other) => Err(format!("its `{name}` cannot be read: found {}, expected text", kind(other))),
    }
}

/// A whole number, also one that is written as text; true is 1.
pub(super) fn number(row: &impl Columns, name: &str) -> Result<Option<i64>, String> {
    let Some(found) = value(row, name) else { return Ok(None) };
    let read = match found {
        // Copied by way of a float it is whole all the same.
        Value::Number(number) => number.to_string().trim_end_matches(".0").parse().ok(),
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    read.map(Some).ok_or_else(|| wrong(name, found, "a whole number"))
}

/// Yes or no, as databases and the tools that copy them write it.
pub(super) fn flag(row: &impl Columns, name: &str) -> Result<Option<bool>, String> {
    const WORDS: [(&str, bool); 6] =
        [("true", true), ("t", true), ("1", true), ("false", false), ("f", false), ("0", false)];
    let Some(found) = value(row, name) else { return Ok(None) };
    let word = match found {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        other => other.to_string(),
    };
    let read = WORDS.iter().find(|(known, _)| *known == word).map(|(_, flag)| *flag);
    read.map(Some).ok_or_else(|| wrong(name, found, "true or false"))
}

/// How much of something is allowed; none: as much as one likes.
pub(super) fn limit(row: &impl Columns, name: &str) -> Result<Option<u64>, String> {
    let Some(found) = value(row, name) else { return Ok(None) };
    let read =
        number(row, name).ok().flatten().and_then(|number| u64::try_from(number).ok()).filter(|limit| *limit > 0);
    read.map(Some).ok_or_else(|| wrong(name, found, "a whole number from 1, or null"))
}

/// A point in time, in milliseconds of Unix time. Without an offset it is UTC, as databases keep it.
pub(super) fn time(row: &impl Columns, name: &str) -> Result<Option<i64>, String> {
    let Some(found) = value(row, name) else { return Ok(None) };
    let read = found.as_str().map(str::trim).and_then(|text| {
        let with_offset = text.parse::<jiff::Timestamp>().ok();
        // A time zone's name would be passed over.
        let plain = || {
            let read: jiff::civil::DateTime = (!text.contains('[')).then(|| text.parse().ok())??;
            Some(read.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        };
        with_offset.or_else(plain)
    });
    let read = read.map(jiff::Timestamp::as_millisecond);
    read.map(Some).ok_or_else(|| wrong(name, found, "a time such as 2026-12-31T18:00:00Z, or null"))
}

/// Seconds of Unix time, in milliseconds.
pub(super) fn milliseconds(name: &str, seconds: i64) -> Result<i64, String> {
    let read = jiff::Timestamp::from_second(seconds).map(jiff::Timestamp::as_millisecond);
    read.map_err(|_| wrong(name, &seconds.into(), "seconds of Unix time"))
}

/// An amount in USD, by its digits; what is less than a nano-USD is left out.
pub(super) fn usd(row: &impl Columns, name: &str) -> Result<Option<i64>, String> {
    let Some(found) = value(row, name) else { return Ok(None) };
    nanos(found).map(Some).ok_or_else(|| wrong(name, found, "an amount in USD, or null"))
}

fn nanos(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let (text, exponent) = match text.split_once(['e', 'E']) {
        Some((text, exponent)) => (text.to_owned(), exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let shift = exponent.checked_add(9)?.checked_sub(i32::try_from(part.len()).ok()?)?;
    let nanos = match 10_i128.checked_pow(shift.unsigned_abs()) {
        Some(scale) if shift < 0 => digits / scale,
        Some(scale) => digits.checked_mul(scale)?,
        // Of so little there is nothing left, of nothing there is nothing.
        None if shift < 0 || digits == 0 => 0,
        None => return None,
    };
    i64::try_from(nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_by_their_digits() {
        for (json, expected) in [
            ("10", Some(10_000_000_000)),
            ("0.1", Some(100_000_000)),
            ("1.5e-7", Some(150)),
            ("\"2.50\"", Some(2_500_000_000)),
            ("null", None),
            ("1e-12", Some(0)),
            ("1e-300", Some(0)),
            ("1e99", None),
            ("\"1e2147483647\"", None),
            ("\"0.5e-2147483648\"", Some(0)),
            ("\"10 USD\"", None),
            ("\"\"", None),
            ("true", None),
        ] {
            assert_eq!(nanos(&serde_json::from_str(json).unwrap()), expected, "{json}");
        }
    }
}
