//! USD amounts as people write them, to and from nano-USD. No floats.

use crate::price::FEE_PREFIX;

const NANOS_PER_USD: i64 = 1_000_000_000;
/// The longest audio of one answer that is believed.
const SECONDS_MAX: u64 = 1_000_000;

/// Reads an amount in USD that is not negative, to the nano-USD.
///
/// # Errors
/// What was expected.
pub(super) fn parse_usd(text: &str) -> Result<i64, String> {
    let text = text.strip_prefix('$').unwrap_or(text);
    if text.starts_with('-') {
        return Err("an amount is not negative; leave it out, or give --unlimited, for no quota".into());
    }
    let (whole, fraction) = split(text).ok_or("expected an amount in USD such as `5` or `0.25`")?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err("expected at most 9 decimals: the smallest amount is a nano-USD".into());
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| "expected digits")?;
    whole
        .parse::<i64>()
        .ok()
        .and_then(|usd| usd.checked_mul(NANOS_PER_USD)?.checked_add(nanos))
        .ok_or_else(|| format!("the amount is too large, expected at most {}", i64::MAX / NANOS_PER_USD))
}

/// Checks a price: a decimal number that is not negative, returned as it was written.
///
/// # Errors
/// What was expected.
pub(super) fn decimal(text: &str) -> Result<String, String> {
    if text.starts_with('-') {
        return Err("a price is not negative".into());
    }
    split(text).map(|_| text.to_string()).ok_or_else(|| "expected USD per million tokens, such as `2.5`".into())
}

/// Reads a fee: its key as a price is set by it, and its amount as it was written.
///
/// # Errors
/// What was expected.
pub(super) fn fee(text: &str) -> Result<(String, String), String> {
    let expected = "expected a name and USD, such as `image_hd=0.08`";
    let (name, usd) = text.split_once('=').ok_or(expected)?;
    split(usd).map(|_| (format!("{FEE_PREFIX}{name}"), usd.to_owned())).ok_or_else(|| expected.to_owned())
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Milliseconds(pub(super) u64);

/// Reads seconds, to the millisecond.
///
/// # Errors
/// What was expected.
pub(super) fn seconds(text: &str) -> Result<Milliseconds, String> {
    let (whole, fraction) = split(text).ok_or("expected seconds such as `90` or `8.47`")?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 3 {
        return Err("expected at most 3 decimals: milliseconds are what is counted".into());
    }
    let ms = format!("{whole}{fraction:0<3}").parse().ok().filter(|ms| *ms <= SECONDS_MAX * 1000);
    ms.map(Milliseconds).ok_or_else(|| format!("expected at most {SECONDS_MAX} seconds"))
}

/// `$0.015000000`
pub(super) fn usd(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let unit = NANOS_PER_USD.unsigned_abs();
    let nanos = nanos.unsigned_abs();
    format!("{sign}${}.{:09}", nanos / unit, nanos % unit)
}

/// The digits before and behind the point, if it is a plain decimal number.
fn split(text: &str) -> Option<(&str, &str)> {
    let (whole, fraction) = match text.split_once('.') {
        None => (text, "0"),
        Some(parts) => parts,
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then_some((whole, fraction))
}

#[cfg(test)]
mod tests {
    use super::{Milliseconds, decimal, parse_usd, seconds, usd};
    use proptest::prelude::*;

    #[test]
    fn reads_usd_exactly() {
        for (text, nanos) in [
            ("5", 5_000_000_000),
            ("0.25", 250_000_000),
            ("$0.000000001", 1),
            ("0", 0),
            ("0.1000000000000", 100_000_000),
            ("9223372036.854775807", i64::MAX),
        ] {
            assert_eq!(parse_usd(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in
            ["", ".", "1.", ".5", "1e3", "-1", "1,5", "+1", "0.0000000001", "9223372036.854775808", "٣", "$", "NaN"]
        {
            assert!(parse_usd(text).is_err(), "{text}");
        }
        assert!(parse_usd("-1").unwrap_err().contains("--unlimited"));
        assert!(decimal("-1").is_err() && decimal("x").is_err());
        assert_eq!(decimal("2.50").as_deref(), Ok("2.50"));
    }

    #[test]
    fn reads_seconds_to_the_millisecond() {
        for (text, ms) in [("90", 90_000), ("8.47", 8_470), ("0.001", 1), ("1.5000", 1_500), ("1000000", 1_000_000_000)]
        {
            assert_eq!(seconds(text), Ok(Milliseconds(ms)), "{text}");
        }
        for text in ["", "-1", "1e3", "0.0001", "1000000.001", "99999999999999999999", "."] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanos in 0..=i64::MAX) {
            prop_assert_eq!(parse_usd(&usd(nanos)), Ok(nanos));
            prop_assert_eq!(usd(-nanos).replace('-', ""), usd(nanos));
        }
    }
}
