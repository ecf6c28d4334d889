//! Points in time as people write them, to and from Unix milliseconds.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// When a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    Never,
    /// Milliseconds from now.
    In(i64),
    /// Unix time in milliseconds; may be in the past.
    At(i64),
}

impl Expiry {
    /// Unix time in milliseconds, if it ends.
    pub(super) fn resolve(self, now_ms: i64) -> Option<i64> {
        match self {
            Self::Never => None,
            Self::In(ms) => Some(now_ms.saturating_add(ms)),
            Self::At(ms) => Some(ms),
        }
    }
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Milliseconds before now.
    Ago(i64),
    /// Unix time in milliseconds.
    At(i64),
}

impl Since {
    /// Unix time in milliseconds.
    pub(super) fn resolve(self, now_ms: i64) -> i64 {
        match self {
            Self::Ago(ms) => now_ms.saturating_sub(ms),
            Self::At(ms) => ms,
        }
    }
}

const FORMS: &str = "`30d`, `12h`, a date `2026-12-31` or a time `2026-12-31T18:00:00Z`";

/// Reads `--expires`.
///
/// # Errors
/// What was expected.
pub(super) fn parse_expiry(text: &str) -> Result<Expiry, String> {
    if matches!(text, "never" | "-1") {
        return Ok(Expiry::Never);
    }
    if let Some(ms) = span_ms(text) {
        return Ok(Expiry::In(ms));
    }
    point_ms(text).map(Expiry::At).ok_or_else(|| format!("expected {FORMS}, or `never`"))
}

/// Reads `--since`.
///
/// # Errors
/// What was expected.
pub(super) fn parse_since(text: &str) -> Result<Since, String> {
    if let Some(ms) = span_ms(text) {
        return Ok(Since::Ago(ms));
    }
    point_ms(text).map(Since::At).ok_or_else(|| format!("expected {FORMS}"))
}

/// `30d` in milliseconds.
fn span_ms(text: &str) -> Option<i64> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return None,
    };
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A thousand years is as good as for ever, and stays within what can be shown.
    let ms = count.parse::<i64>().ok()?.checked_mul(seconds * 1000)?;
    (ms <= 1000 * 366 * 24 * 3600 * 1000).then_some(ms)
}

/// A date (its midnight in UTC) or a time with an offset.
fn point_ms(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = text.parse::<Date>().ok().filter(|_| plain)?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// For people: `2026-12-31 18:00:00`, in UTC.
pub(super) fn short(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_else(|_| ms.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shown::rfc3339;

    #[test]
    fn reads_what_people_write() {
        for (text, expiry) in [
            ("30d", Expiry::In(2_592_000_000)),
            ("12h", Expiry::In(43_200_000)),
            ("0s", Expiry::In(0)),
            ("2w", Expiry::In(1_209_600_000)),
            ("never", Expiry::Never),
            ("-1", Expiry::Never),
            ("1970-01-02", Expiry::At(86_400_000)),
            ("1970-01-01T00:00:01Z", Expiry::At(1000)),
            ("1970-01-01T02:00:00.5+02:00", Expiry::At(500)),
            ("1969-12-31T23:59:59Z", Expiry::At(-1000)),
        ] {
            assert_eq!(parse_expiry(text), Ok(expiry), "{text}");
        }
        assert_eq!(parse_since("90m"), Ok(Since::Ago(5_400_000)));
        assert_eq!(parse_since("1970-01-02"), Ok(Since::At(86_400_000)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "d",
            "30",
            "30x",
            "-2",
            "-30d",
            "1.5h",
            "tomorrow",
            "2026-13-01",
            "2026-01-01T00:00:00",
            "é",
            "30é",
            "99999999999999999999d",
            "999999999999d",
        ] {
            assert!(parse_expiry(text).is_err(), "{text}");
            assert!(parse_since(text).is_err(), "{text}");
        }
        assert!(parse_since("never").is_err());
    }

    #[test]
    fn shows_time() {
        assert_eq!(rfc3339(1_500), "1970-01-01T00:00:01.500Z");
        assert_eq!(short(86_400_000), "1970-01-02 00:00:00");
        assert_eq!(parse_since(&rfc3339(1_234_567_890_123)), Ok(Since::At(1_234_567_890_123)));
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }
}
