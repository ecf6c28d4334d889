//! The message that a wallet signs (EIP-4361, "ABNF message format"), line by line. What is not exactly of the form is none:
//! what the wallet has shown to its owner and what is read here must be the same.

use crate::address::Address;
use crate::grammar;
use std::iter::Peekable;
use std::str::Split;

const FIRST_LINE_END: &str = " wants you to sign in with your Ethereum account:";
const NONCE_LETTERS: std::ops::RangeInclusive<usize> = 8..=128;
/// The only version that there is.
const VERSION: &str = "1";

/// What it says, as far as it matters here.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) scheme: Option<&'a str>,
    pub(crate) domain: &'a str,
    pub(crate) address: Address,
    pub(crate) uri: &'a str,
    pub(crate) chain_id: u64,
    pub(crate) nonce: &'a str,
    pub(crate) issued_at_ms: i64,
    pub(crate) expires_at_ms: Option<i64>,
    pub(crate) not_before_ms: Option<i64>,
}

/// The lines, and what is said of one that is wrong.
struct Lines<'a>(Peekable<Split<'a, char>>);

impl<'a> Lines<'a> {
    fn next(&mut self, expected: &str) -> Result<&'a str, String> {
        self.0.next().ok_or_else(|| wrong(expected))
    }

    fn empty(&mut self) -> Result<(), String> {
        let expected = "an empty line";
        if self.next(expected)?.is_empty() { Ok(()) } else { Err(wrong(expected)) }
    }

    /// What stands behind `name` on the next line, if it stands there.
    fn optional(&mut self, name: &str) -> Option<&'a str> {
        let value = self.0.peek()?.strip_prefix(name)?;
        self.0.next();
        Some(value)
    }

    /// The same, where it must, and be what `read` takes.
    fn field<T>(&mut self, name: &str, read: impl Fn(&'a str) -> Option<T>) -> Result<T, String> {
        self.optional_field(name, read)?.ok_or_else(|| wrong(&format!("a line `{name}…`")))
    }

    fn optional_field<T>(&mut self, name: &str, read: impl Fn(&'a str) -> Option<T>) -> Result<Option<T>, String> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong(&format!("another value behind `{name}`, as EIP-4361 has it")))
    }
}

/// Never with what stands there instead.
fn wrong(expected: &str) -> String {
    format!("message: expected {expected}")
}

impl<'a> Message<'a> {
    /// # Errors
    /// What was expected.
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        let mut lines = Lines(text.split('\n').peekable());
        let (scheme, domain) = first_line(lines.next("a first line")?)?;
        let address = Address::read(lines.next("an address")?);
        let address = address.ok_or_else(|| wrong("an address with its EIP-55 checksum on the second line"))?;
        lines.empty()?;
        let statement = lines.next("a statement or an empty line")?;
        if !statement.is_empty() {
            if !grammar::is_statement(statement) {
                return Err(wrong("another statement, as EIP-4361 has it"));
            }
            lines.empty()?;
        }
        let uri = lines.field("URI: ", |value| grammar::is_uri(value).then_some(value))?;
        lines.field("Version: ", |value| (value == VERSION).then_some(()))?;
        let message = Self {
            scheme,
            domain,
            address,
            uri,
            chain_id: lines.field("Chain ID: ", number)?,
            nonce: lines.field("Nonce: ", nonce)?,
            issued_at_ms: lines.field("Issued At: ", grammar::time_ms)?,
            expires_at_ms: lines.optional_field("Expiration Time: ", grammar::time_ms)?,
            not_before_ms: lines.optional_field("Not Before: ", grammar::time_ms)?,
        };
        lines.optional_field("Request ID: ", |value| grammar::is_segment(value).then_some(()))?;
        if lines.optional_field("Resources:", |value| value.is_empty().then_some(()))?.is_some() {
            while lines.optional_field("- ", |value| grammar::is_uri(value).then_some(()))?.is_some() {}
        }
        if lines.0.next().is_some() { Err(wrong("no further line")) } else { Ok(message) }
    }
}

fn first_line(line: &str) -> Result<(Option<&str>, &str), String> {
    let place = line.strip_suffix(FIRST_LINE_END).ok_or_else(|| wrong(&format!("`…{FIRST_LINE_END}`")))?;
    let (scheme, domain) = match place.split_once("://") {
        Some((scheme, domain)) => (Some(scheme), domain),
        None => (None, place),
    };
    if scheme.is_some_and(|scheme| !grammar::is_scheme(scheme)) || !grammar::is_authority(domain) {
        return Err(wrong("a domain at its beginning"));
    }
    Ok((scheme, domain))
}

/// Written in one way only.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|digit| digit.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn nonce(text: &str) -> Option<&str> {
    let fits = NONCE_LETTERS.contains(&text.len()) && text.bytes().all(|letter| letter.is_ascii_alphanumeric());
    fits.then_some(text)
}
