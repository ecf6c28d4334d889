//! Decimal numbers as integers, digit by digit: no float comes near a price.

use std::fmt;

/// More digits than any price has; a longer number is refused before it is read.
const DIGITS_MAX: usize = 36;

/// Why a text is not a usable amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecimalError {
    /// No decimal number at all: `inf`, `nan`, `0x10`, `$2`, an empty text.
    NotANumber,
    /// Below zero.
    Negative,
    /// More decimals than can be kept exactly.
    TooFine(u32),
    /// Above the limit.
    TooLarge,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => f.write_str("not a decimal number"),
            Self::Negative => f.write_str("negative"),
            Self::TooFine(decimals) => write!(f, "more than {decimals} decimals"),
            Self::TooLarge => f.write_str("too large"),
        }
    }
}

/// Reads a number that is not negative in units of 10^-`decimals`: `parse("2.5", 9, …)` is 2,500,000,000. Exact, or an error.
pub(super) fn parse(text: &str, decimals: u32, max: u64) -> Result<u64, DecimalError> {
    let text = match text.as_bytes().first() {
        Some(b'-') => {
            return Err(if is_number(&text[1..]) { DecimalError::Negative } else { DecimalError::NotANumber });
        }
        Some(b'+') => &text[1..],
        _ => text,
    };
    let (mantissa, exponent) = split(text).ok_or(DecimalError::NotANumber)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // Zeros at either end say nothing, and any number of them is fine.
    let fraction = fraction.trim_end_matches('0');
    let mut digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
    if digits.is_empty() {
        return Ok(0);
    }
    let mut scale = i64::from(decimals) + i64::from(exponent) - fraction.len() as i64;
    while scale < 0 && digits.ends_with('0') {
        digits.pop();
        scale += 1;
    }
    if scale < 0 {
        return Err(DecimalError::TooFine(decimals));
    }
    if digits.len() > DIGITS_MAX {
        return Err(DecimalError::TooLarge);
    }
    let mut value = 0_u128;
    for digit in digits.bytes() {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u128::from(digit - b'0')))
            .ok_or(DecimalError::TooLarge)?;
    }
    for _ in 0..scale {
        value = value.checked_mul(10).ok_or(DecimalError::TooLarge)?;
    }
    u64::try_from(value).ok().filter(|value| *value <= max).ok_or(DecimalError::TooLarge)
}

/// The shortest decimal text of `value` × 10^-`decimals`: `format(2_500_000_000, 9)` is `2.5`.
pub(super) fn format(value: u128, decimals: u32) -> String {
    let digits = format!("{value:0>width$}", width = decimals as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals as usize);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

fn is_number(text: &str) -> bool {
    split(text).is_some()
}

/// Mantissa and exponent, if the text is `digits[.digits][e[±]digits]`.
fn split(text: &str) -> Option<(&str, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let size = all_digits(digits).then(|| digits.parse::<i32>().unwrap_or(i32::MAX))?;
            (mantissa, if exponent.starts_with('-') { -size } else { size })
        }
    };
    let fits = match mantissa.split_once('.') {
        None => all_digits(mantissa),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
    };
    fits.then_some((mantissa, exponent))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{DecimalError, format, parse};

    const MAX: u64 = 10_u64.pow(18);

    #[test]
    fn reads_exactly() {
        for (text, nanos) in [
            ("0", 0),
            ("000.000", 0),
            ("2.5", 2_500_000_000),
            ("+2.50", 2_500_000_000),
            ("15", 15_000_000_000),
            ("0.000000001", 1),
            ("0.00000000100000000000", 1),
            ("0.1", 100_000_000),
            ("1e-9", 1),
            ("1E-3", 1_000_000),
            ("25e-1", 2_500_000_000),
            ("1.5e3", 1_500_000_000_000),
            ("1e+2", 100_000_000_000),
            ("0e99", 0),
            (&format!("1{}e-110", "0".repeat(110)), 1_000_000_000),
            (&format!("0.{}1e110", "0".repeat(109)), 1_000_000_000),
            ("0.0000000000000000000000000000000000000000000000e99", 0),
            ("1000000000", MAX),
            ("100e-11", 1),
            ("00000000000000000000000000000000000000000001", 1_000_000_000),
        ] {
            assert_eq!(parse(text, 9, MAX), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_exact_or_not_a_price() {
        for (text, error) in [
            ("", DecimalError::NotANumber),
            ("inf", DecimalError::NotANumber),
            ("nan", DecimalError::NotANumber),
            ("-inf", DecimalError::NotANumber),
            ("$2", DecimalError::NotANumber),
            ("1,5", DecimalError::NotANumber),
            ("1.", DecimalError::NotANumber),
            (".5", DecimalError::NotANumber),
            ("1e", DecimalError::NotANumber),
            ("1e1.5", DecimalError::NotANumber),
            ("1_000", DecimalError::NotANumber),
            ("٣", DecimalError::NotANumber),
            ("-1", DecimalError::Negative),
            ("-0.5e3", DecimalError::Negative),
            ("0.0000000001", DecimalError::TooFine(9)),
            ("1.0000000001", DecimalError::TooFine(9)),
            ("1e-10", DecimalError::TooFine(9)),
            ("1e-999999999999", DecimalError::TooFine(9)),
            ("1000000000.000000001", DecimalError::TooLarge),
            ("1e99", DecimalError::TooLarge),
            ("1e99999999999", DecimalError::TooLarge),
            ("99999999999999999999999999999999999999999999", DecimalError::TooLarge),
        ] {
            assert_eq!(parse(text, 9, MAX), Err(error), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for (value, text) in [(0, "0"), (1, "0.000000001"), (2_500_000_000, "2.5"), (15_000_000_000, "15")] {
            assert_eq!(format(value, 9), text);
            assert_eq!(parse(text, 9, MAX), Ok(value as u64));
        }
        assert_eq!(format(1700, 4), "0.17");
        assert_eq!(format(7, 0), "7");
    }
}
