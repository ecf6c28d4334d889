//! When to come back, in the forms in which upstreams say it.

use http::HeaderMap;
use jiff::fmt::rfc2822::DateTimeParser;
use std::str::FromStr;

/// Nothing keeps an upstream away for longer on its own word, in milliseconds.
pub const RETRY_AFTER_MS_MAX: u64 = 3_600_000;
/// The longest value that is read, in bytes.
const VALUE_BYTES_MAX: usize = 64;

/// An HTTP date is a mail date; a wrong weekday in it is forgiven.
static HTTP_DATE: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// The time that an answer's head names, in the form of a `retry-after` header: `retry-after-ms` (OpenAI, Azure) where it
/// is there and readable, because it is more exact, else `retry-after` as it is.
pub(super) fn retry_after_header(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let exact = text("retry-after-ms").and_then(decimal_thousandths).map(|thousandths| thousandths / 1000);
    match exact {
        Some(ms) => Some(format!("{}.{:03}", ms / 1000, ms % 1000)),
        None => text("retry-after").filter(|value| value.len() <= VALUE_BYTES_MAX).map(str::to_string),
    }
}

/// Reads a `retry-after` value, seconds (with a fraction, too) or an HTTP date, as milliseconds from `unix_now_ms` on; at most
/// [`RETRY_AFTER_MS_MAX`], a date in the past is 0. `None`: unreadable.
pub fn parse_retry_after(value: &str, unix_now_ms: u64) -> Option<u64> {
    let value = value.trim();
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return None;
    }
    if value.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return decimal_thousandths(value).map(|ms| ms.min(RETRY_AFTER_MS_MAX));
    }
    let at_ms = HTTP_DATE.parse_timestamp(value).ok()?.as_millisecond();
    let at_ms = u64::try_from(at_ms).unwrap_or(0);
    Some(at_ms.saturating_sub(unix_now_ms).min(RETRY_AFTER_MS_MAX))
}

/// Google's `RetryInfo.retryDelay`, a protobuf duration in JSON: `"37s"`, `"0.25s"`.
pub(super) fn retry_delay_ms(value: &str) -> Option<u64> {
    decimal_thousandths(value.strip_suffix('s')?).map(|ms| ms.min(RETRY_AFTER_MS_MAX))
}

/// A decimal number times 1000, rounded down; what does not fit is the largest number. No sign, no exponent.
fn decimal_thousandths(value: &str) -> Option<u64> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) || value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { u64::from_str(whole).unwrap_or(u64::MAX) };
    let thousandths = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(whole.saturating_mul(1000).saturating_add(thousandths))
}

#[cfg(test)]
mod tests {
    use super::{RETRY_AFTER_MS_MAX, parse_retry_after, retry_after_header, retry_delay_ms};
    use http::HeaderMap;
    use proptest::prelude::*;

    /// 2026-11-20T00:00:00Z
    const NOW_MS: u64 = 1_795_132_800_000;

    #[test]
    fn seconds_fractions_and_dates() {
        for (value, expected) in [
            ("0", Some(0)),
            ("20", Some(20_000)),
            (" 1.5 ", Some(1_500)),
            (".25", Some(250)),
            ("1.", Some(1_000)),
            ("0.0009", Some(0)),
            ("86400", Some(RETRY_AFTER_MS_MAX)),
            ("99999999999999999999999", Some(RETRY_AFTER_MS_MAX)),
            ("Fri, 20 Nov 2026 00:00:42 GMT", Some(42_000)),
            ("Fri, 20 Nov 2020 00:00:00 GMT", Some(0)),
            ("Fri, 20 Nov 2126 00:00:00 GMT", Some(RETRY_AFTER_MS_MAX)),
            ("-1", None),
            ("1e9", None),
            ("NaN", None),
            (".", None),
            ("1.2.3", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(value, NOW_MS), expected, "{value:?}");
        }
    }

    #[test]
    fn the_more_exact_header_wins() {
        let said = |headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            retry_after_header(&map).and_then(|value| parse_retry_after(&value, NOW_MS))
        };
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[("retry-after", "2")]), Some(2_000));
        assert_eq!(said(&[("retry-after", "2"), ("retry-after-ms", "1234")]), Some(1_234));
        assert_eq!(said(&[("retry-after", "2"), ("retry-after-ms", "17.5")]), Some(17));
        assert_eq!(said(&[("retry-after", "2"), ("retry-after-ms", "x")]), Some(2_000));
        assert_eq!(said(&[("retry-after-ms", "99999999999999999999")]), Some(RETRY_AFTER_MS_MAX));
    }

    #[test]
    fn googles_durations() {
        assert_eq!(retry_delay_ms("37s"), Some(37_000));
        assert_eq!(retry_delay_ms("0.250s"), Some(250));
        assert_eq!(retry_delay_ms("3600000s"), Some(RETRY_AFTER_MS_MAX));
        assert_eq!(retry_delay_ms("37"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_is_too_long(value in "\\PC{0,80}", now in any::<u64>()) {
            prop_assert!(parse_retry_after(&value, now).is_none_or(|ms| ms <= RETRY_AFTER_MS_MAX));
        }

        #[test]
        fn whole_seconds_are_exact(seconds in 0u64..3600) {
            prop_assert_eq!(parse_retry_after(&seconds.to_string(), NOW_MS), Some(seconds * 1000));
        }
    }
}
