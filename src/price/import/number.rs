//! Numbers of published prices: exact decimals of any fineness, rounded once, where they become prices.

use super::super::cost::PRICE_DECIMALS;
use super::super::tariff::PRICE_NANOS_MAX;

/// More digits than any price or ratio has.
const DIGITS_MAX: usize = 34;
const EXPONENT_MAX: u64 = 60;

/// `digits` × 10^`exponent`; never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u128,
    exponent: i64,
}

/// A price in nano-USD, and whether digits behind the ninth decimal were rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nanos {
    pub(super) nanos: u64,
    pub(super) rounded: bool,
}

impl Decimal {
    /// A small whole number times a power of ten.
    pub(super) const fn new(digits: u128, exponent: i64) -> Self {
        Self { digits, exponent }
    }

    /// Reads JSON's way to write a number: `2.5e-06`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{}` is {why}", super::super::reader::shown(text));
        if text.starts_with('-') {
            return Err(wrong("negative"));
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: String = [whole, fraction].concat();
        let is_number = !whole.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
        let exponent = exponent.parse::<i64>().ok().filter(|_| is_number).ok_or_else(|| wrong("not a number"))?;
        let trimmed = all.trim_start_matches('0').trim_end_matches('0');
        if trimmed.is_empty() {
            return Ok(Self::new(0, 0));
        }
        let zeros = all.len() - all.trim_end_matches('0').len();
        // An exponent may be any number that `i64` has: what is added to it may be one that it has not.
        let exponent = exponent
            .checked_add(zeros as i64 - fraction.len() as i64)
            .filter(|exponent| trimmed.len() <= DIGITS_MAX && exponent.unsigned_abs() <= EXPONENT_MAX)
            .ok_or_else(|| wrong("out of range"))?;
        Ok(Self { digits: trimmed.parse().map_err(|_| wrong("out of range"))?, exponent })
    }

    pub(super) fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// The exact product; an error if it has more digits than can be kept.
    pub(super) fn times(self, other: Self) -> Result<Self, String> {
        let digits = self.digits.checked_mul(other.digits).ok_or("a product has too many digits to be exact")?;
        Ok(Self { digits, exponent: self.exponent + other.exponent })
    }

    /// The quotient, rounded to so many digits; `None`: it cannot be worked out exactly enough.
    pub(super) fn divided(self, divisor: u32, digits: usize) -> Option<Self> {
        // Digits enough that what is cut off behind them rounds nothing that is kept.
        let places = u32::try_from(digits).ok()?.checked_add(10)?;
        let scaled = self.digits.checked_mul(10_u128.checked_pow(places)?)?;
        let quotient = Self::new(scaled / u128::from(divisor), self.exponent - i64::from(places));
        Some(quotient.with_digits(digits))
    }

    /// Whether it is the same number, however it is written.
    pub(super) fn is_same(self, other: Self) -> bool {
        let plain = |of: Self| of.with_digits(of.digits_count());
        plain(self) == plain(other)
    }

    /// How many digits it is written with, zeros at its ends aside.
    pub(super) fn digits_count(self) -> usize {
        self.digits.to_string().trim_end_matches('0').len()
    }

    /// The nearest number of at most so many digits.
    pub(super) fn with_digits(self, count: usize) -> Self {
        let digits = self.digits.to_string();
        let surplus = digits.len().saturating_sub(count);
        let divisor = u32::try_from(surplus).ok().and_then(|surplus| 10_u128.checked_pow(surplus)).unwrap_or(u128::MAX);
        let (quotient, rest) = (self.digits / divisor, self.digits % divisor);
        Self::new(quotient + u128::from(rest >= divisor.div_ceil(2) && rest > 0), self.exponent + surplus as i64)
    }

    /// As a price: to the nearest nano-USD per million tokens, for published numbers carry the noise of floats
    /// (`7.500000000000001e-08`).
    pub(super) fn price(self) -> Result<Nanos, String> {
        let scale = self.exponent + i64::from(PRICE_DECIMALS);
        let power = |of: i64| 10_u128.checked_pow(u32::try_from(of).unwrap_or(u32::MAX));
        let (value, rounded) = if scale >= 0 {
            let value = match self.digits {
                0 => Some(0),
                digits => power(scale).and_then(|power| digits.checked_mul(power)),
            };
            (value, false)
        } else {
            // A divisor that is larger than any number leaves nothing.
            let divisor = power(-scale).unwrap_or(u128::MAX);
            let (quotient, rest) = (self.digits / divisor, self.digits % divisor);
            (Some(quotient + u128::from(rest >= divisor.div_ceil(2))), rest != 0)
        };
        let nanos = value.and_then(|value| u64::try_from(value).ok()).filter(|nanos| *nanos <= PRICE_NANOS_MAX);
        nanos.map(|nanos| Nanos { nanos, rounded }).ok_or_else(|| "a price is too large".into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Nanos};

    #[test]
    fn numbers_are_read_exactly_and_rounded_once() {
        let million = Decimal::new(1, 6);
        for (text, nanos, rounded) in [
            ("2.5e-06", 2_500_000_000, false),
            ("2.5E-6", 2_500_000_000, false),
            ("0.00000015", 150_000_000, false),
            ("1e-05", 10_000_000_000, false),
            ("0.0", 0, false),
            ("0", 0, false),
            ("7.500000000000001e-08", 75_000_000, true),
            ("7.4999999999999e-08", 75_000_000, true),
            ("1.25e-15", 1, true),
            ("4e-16", 0, true),
            ("1e-50", 0, true),
            ("3e+2", 300_000_000_000_000_000, false),
            (&format!("1{}e-72", "0".repeat(70)), 10_000_000_000_000, false),
        ] {
            let price = Decimal::parse(text).unwrap().times(million).unwrap().price();
            assert_eq!(price, Ok(Nanos { nanos, rounded }), "{text}");
        }
        for text in [
            "",
            "-1",
            "x",
            "1e",
            "1e99",
            "0x1",
            "1.2.3",
            "\"1\"",
            "12345678901234567890123456789012345678901",
            "1e-9223372036854775808",
            "1.5e-9223372036854775808",
            "10e9223372036854775807",
            "1e9223372036854775808",
        ] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        assert!(Decimal::parse("1e20").unwrap().price().is_err());
    }
}
