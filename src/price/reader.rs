//! Reading TOML with a place and a sentence for everything that is wrong.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{decimal, syntax_errors};

/// No more errors than this are reported: nobody reads further.
const ERRORS_MAX: usize = 100;

/// Something wrong in a price book's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Which key, after its model's name: `gpt-4o.output`; where the text is no TOML, after its number: `model[0].output`, or empty.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PriceError {}

/// A value and its place.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Collects errors while a text is read.
pub(super) struct Reader<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    errors: Vec<PriceError>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let begins = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(begins).collect(), errors: Vec::new() }
    }

    /// The text as a table; syntax errors are noted, and then what was read cannot be trusted.
    pub(super) fn document(&mut self) -> Option<Spanned<DeTable<'t>>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in syntax_errors(self.text, &errors).0 {
            self.error(&(error.offset..error.offset), &error.key, error.message);
        }
        errors.is_empty().then_some(document)
    }

    pub(super) fn error(&mut self, place: &Range<usize>, key: &str, message: impl Into<String>) {
        let (line, column) = self.position(place.start);
        self.errors.push(PriceError { line, column, key: key.into(), message: message.into() });
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at)
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let before = self.text.get(self.lines[line - 1]..at).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// All errors in the order of the text, if there are any.
    pub(super) fn finish(mut self) -> Result<(), Vec<PriceError>> {
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.sort_by_key(|error| (error.line, error.column));
        self.errors.dedup();
        self.errors.truncate(ERRORS_MAX);
        Err(self.errors)
    }

    /// Notes every key of `table` that is not one of `known`.
    pub(super) fn unknown_keys(&mut self, table: &DeTable<'_>, path: &str, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&&**key.get_ref())) {
            let hint = match nearest(key.get_ref(), known) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("expected one of {}", known.join(", ")),
            };
            self.error(&key.span(), &join(path, key.get_ref()), format!("unknown key, {hint}"));
        }
    }

    /// An amount in units of 10^-`decimals`.
    pub(super) fn decimal(
        &mut self,
        value: &Value<'_>,
        path: &str,
        decimals: u32,
        max: u64,
        wanted: &str,
    ) -> Option<u64> {
        let text = match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            DeValue::String(text) => text.trim(),
            other => {
                self.error(&value.span(), path, format!("expected {wanted}, found {}", kind(other)));
                return None;
            }
        };
        match decimal::parse(text, decimals, max) {
            Ok(amount) => Some(amount),
            Err(error) => {
                self.error(&value.span(), path, format!("`{}` is {error}, expected {wanted}", shown(text)));
                None
            }
        }
    }

    /// A whole number of tokens, at least 1.
    pub(super) fn tokens(&mut self, value: &Value<'_>, path: &str) -> Option<u64> {
        let count = match value.get_ref() {
            DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let count = count.filter(|count| (1..=i64::MAX.unsigned_abs()).contains(count));
        if count.is_none() {
            self.error(&value.span(), path, "expected a whole number of tokens, at least 1");
        }
        count
    }

    /// A text that is not empty.
    pub(super) fn text<'v>(&mut self, value: &'v Value<'_>, path: &str, wanted: &str) -> Option<&'v str> {
        let DeValue::String(text) = value.get_ref() else {
            self.error(&value.span(), path, format!("expected {wanted}, found {}", kind(value.get_ref())));
            return None;
        };
        if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
            self.error(&value.span(), path, format!("expected {wanted}, without spaces around it"));
            return None;
        }
        Some(text)
    }

    /// The elements of an array of at most `max`.
    pub(super) fn array<'v>(
        &mut self,
        value: &'v Value<'t>,
        path: &str,
        wanted: &str,
        max: usize,
    ) -> Option<&'v [Value<'t>]> {
        match value.get_ref() {
            DeValue::Array(array) if array.len() <= max => Some(array),
            DeValue::Array(array) => {
                self.error(&value.span(), path, format!("{} entries, expected at most {max}", array.len()));
                None
            }
            other => {
                self.error(&value.span(), path, format!("expected {wanted}, found {}", kind(other)));
                None
            }
        }
    }

    /// A table.
    pub(super) fn table<'v>(&mut self, value: &'v Value<'t>, path: &str, wanted: &str) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.error(&value.span(), path, format!("expected {wanted}, found {}", kind(value.get_ref())));
        }
        table
    }
}

/// `path.key`, as errors name it.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A value's kind, with its article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The beginning of a text, for a message.
pub(super) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The known word that was most likely meant: one with few letters to change, or one that contains the other.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    const LETTERS_MAX: usize = 40;
    let plain = |word: &str| word.to_lowercase().replace(['-', ' ', '.'], "_");
    let word = plain(word);
    if word.len() > LETTERS_MAX {
        return None;
    }
    let score = |known: &&&str| {
        let known = &known.to_lowercase();
        let apart = edits(&word, known);
        let contained = word.len() >= 4 && (known.contains(&word) || word.contains(&**known));
        let close = apart <= known.len() / 3;
        (close || contained).then_some(apart)
    };
    known
        .iter()
        .filter_map(|known| Some((score(&known)?, *known)))
        .min_by_key(|(score, _)| *score)
        .map(|(_, known)| known)
}

/// How many letters to insert, take out or replace.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[to.len()]
}
