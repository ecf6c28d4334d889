//! What may stand where in a message: the letters of RFC 3986, and times as RFC 3339 writes them.

use jiff::Timestamp;

fn is_unreserved(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || b"-._~".contains(&letter)
}

fn is_sub_delimiter(letter: u8) -> bool {
    b"!$&'()*+,;=".contains(&letter)
}

fn is_reserved(letter: u8) -> bool {
    is_sub_delimiter(letter) || b":/?#[]@".contains(&letter)
}

/// Every letter is one of these, or of an escape.
fn is_made_of(text: &str, may_stand: fn(u8) -> bool) -> bool {
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            (letter, tail) if may_stand(*letter) => tail,
            _ => return false,
        };
    }
    true
}

/// `scheme`
pub(crate) fn is_scheme(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || b"+-.".contains(&letter))
}

/// `authority`, which is not empty here.
pub(crate) fn is_authority(text: &str) -> bool {
    let may_stand = |letter| is_unreserved(letter) || is_sub_delimiter(letter) || b":@[]".contains(&letter);
    !text.is_empty() && is_made_of(text, may_stand)
}

/// `URI`: with a scheme and something behind it.
pub(crate) fn is_uri(text: &str) -> bool {
    let may_stand = |letter| is_unreserved(letter) || is_reserved(letter);
    text.split_once(':')
        .is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty() && is_made_of(rest, may_stand))
}

/// `*pchar`
pub(crate) fn is_segment(text: &str) -> bool {
    is_made_of(text, |letter| is_unreserved(letter) || is_sub_delimiter(letter) || b":@".contains(&letter))
}

/// A statement: letters of URIs, not escaped, and spaces.
pub(crate) fn is_statement(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|letter| is_unreserved(letter) || is_reserved(letter) || letter == b' ')
}

/// `date-time`, as milliseconds since 1970.
pub(crate) fn time_ms(text: &str) -> Option<i64> {
    const SECONDS: &str = "dddd-dd-ddTdd:dd:dd";
    let fits = |text: &str, shape: &str| {
        let fits_one = |(letter, of_shape): (u8, u8)| letter == of_shape || of_shape == b'd' && letter.is_ascii_digit();
        text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits_one)
    };
    let (seconds, rest) = text.split_at_checked(SECONDS.len())?;
    let zone_at = rest.find(|letter: char| letter != '.' && !letter.is_ascii_digit())?;
    let (fraction, zone) = rest.split_at(zone_at);
    let has_fraction = (2..=10).contains(&fraction.len())
        && fraction.strip_prefix('.').is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let is_zone = zone == "Z" || fits(zone, "+dd:dd") || fits(zone, "-dd:dd");
    if !fits(seconds, SECONDS) || !(fraction.is_empty() || has_fraction) || !is_zone {
        return None;
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}
