//! A length of time that an answer tells in seconds, as milliseconds: read digit by digit, rounded up.

use super::count::COUNT_MAX;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// More digits than any length has.
const DIGITS_MAX: usize = 30;
/// A larger exponent is of no length.
const EXPONENT_MAX: i32 = 30;

/// A length as a provider wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Millis {
    /// Not there, `null`, or nothing: no audio has no length.
    #[default]
    Absent,
    /// At most [`COUNT_MAX`]: eleven days.
    Good(u64),
    /// Anything else: negative, too long, not a number.
    Bad,
}

impl Millis {
    /// The length, if it is there and believed.
    pub(super) fn get(self) -> Option<u64> {
        match self {
            Self::Good(ms) => Some(ms),
            Self::Absent | Self::Bad => None,
        }
    }

    /// The longer of two that are told of one sound; one that is believed before one that is not.
    pub(super) fn longer(self, other: Self) -> Self {
        match (self, other) {
            (Self::Good(ms), Self::Good(other)) => Self::Good(ms.max(other)),
            (Self::Good(_), _) | (Self::Bad, Self::Absent) => self,
            _ => other,
        }
    }

    /// This one, or if it is absent the other.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Absent { other } else { self }
    }

    /// Of a JSON value in seconds: a number, or one in a string (as OpenAI's API reference once had it).
    pub(super) fn of_seconds(json: &[u8]) -> Self {
        let text = std::str::from_utf8(json).unwrap_or("?").trim_ascii();
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        match text {
            "null" => Self::Absent,
            text => match ms_of(text) {
                Some(0) => Self::Absent,
                Some(ms) if ms <= COUNT_MAX => Self::Good(ms),
                _ => Self::Bad,
            },
        }
    }
}

/// `digits[.digits][e[±]digits]` seconds in milliseconds. `None`: it is no such number, or one beyond all lengths.
fn ms_of(text: &str) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.abs() <= EXPONENT_MAX)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.len() + fraction.len() > DIGITS_MAX {
        return None;
    }
    let digits: u128 = [whole, fraction].concat().parse().ok()?;
    // Three more decimals are milliseconds.
    let scale = exponent + 3 - i32::try_from(fraction.len()).ok()?;
    let power = 10_u128.checked_pow(scale.unsigned_abs());
    let ms = match (scale >= 0, power) {
        (true, Some(power)) => digits.checked_mul(power)?,
        (true, None) => return (digits == 0).then_some(0),
        (false, Some(power)) => digits.div_ceil(power),
        (false, None) => u128::from(digits > 0),
    };
    u64::try_from(ms).ok()
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As it is written: a number that serde reads is a float.
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self::of_seconds(raw.get().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::Millis;
    use proptest::prelude::*;

    #[test]
    fn seconds_are_read_digit_by_digit() {
        for (text, ms) in [
            ("7", Millis::Good(7_000)),
            ("8.470000267028809", Millis::Good(8_471)),
            ("8.47", Millis::Good(8_470)),
            ("\"8.47\"", Millis::Good(8_470)),
            ("0.0001", Millis::Good(1)),
            ("1e-9", Millis::Good(1)),
            ("1.5e1", Millis::Good(15_000)),
            ("1E+3", Millis::Good(1_000_000)),
            ("1000000", Millis::Good(1_000_000_000)),
            ("1000000.0001", Millis::Bad),
            ("1e30", Millis::Bad),
            ("1e99", Millis::Bad),
            ("-1", Millis::Bad),
            ("true", Millis::Bad),
            ("[1]", Millis::Bad),
            ("{}", Millis::Bad),
            ("\"\"", Millis::Bad),
            ("1.", Millis::Bad),
            ("NaN", Millis::Bad),
            ("0.1234567890123456789012345678901234567890", Millis::Bad),
            ("0", Millis::Absent),
            ("0.0", Millis::Absent),
            ("null", Millis::Absent),
        ] {
            assert_eq!(Millis::of_seconds(text.as_bytes()), ms, "{text}");
        }
        assert_eq!(serde_json::from_str::<Millis>("0.30000000000000004").unwrap(), Millis::Good(301));
    }

    proptest! {
        // A failing case is printed whole; no folder of seeds in the project.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_rounded_up(whole in 0_u64..1_000_000, fraction in 0_u64..1_000_000_000) {
            let text = format!("{whole}.{fraction:09}");
            let exact = whole * 1_000 + fraction.div_ceil(1_000_000);
            let read = Millis::of_seconds(text.as_bytes()).get().unwrap_or(0);
            prop_assert_eq!(read, exact, "{}", text);
        }
    }
}
