//! Reads a plugin's table. Whatever is wrong becomes a mistake with its key, and reading goes on with the default, so that one
//! pass finds everything.

use crate::mistakes::{Mistakes, join};
use crate::near::{did_you_mean, one_of};
use std::ops::RangeInclusive;
use toml::{Table, Value};

/// One table with a fixed set of keys: `[plugins.NAME]`, or one of a list inside it.
pub struct Settings<'t> {
    path: String,
    keys: &'static [&'static str],
    table: &'t Table,
    mistakes: &'t Mistakes,
}

impl<'t> Settings<'t> {
    /// Opens `[plugins.NAME]` and notes its unknown keys.
    pub fn open(table: &'t Table, keys: &'static [&'static str], mistakes: &'t Mistakes) -> Self {
        Self::open_at(String::new(), table, keys, mistakes)
    }

    fn open_at(path: String, table: &'t Table, keys: &'static [&'static str], mistakes: &'t Mistakes) -> Self {
        let settings = Self { path, keys, table, mistakes };
        for key in table.keys().filter(|key| !keys.contains(&key.as_str())) {
            let guess = did_you_mean(key, keys.iter().copied());
            let message = match one_of(keys.iter().copied()) {
                _ if keys.is_empty() => "unknown key: there are none here".to_owned(),
                expected => format!("unknown key, expected {expected}{guess}"),
            };
            mistakes.wrong_key(&settings.key(key), message);
        }
        settings
    }

    fn key(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// A value, if it is there.
    pub fn get(&self, key: &str) -> Option<&'t Value> {
        debug_assert!(self.keys.contains(&key), "{key} is not among the keys");
        self.table.get(key)
    }

    /// What stands at `key` is wrong.
    pub fn wrong(&self, key: &str, message: impl Into<String>) {
        self.mistakes.wrong(&self.key(key), message);
    }

    /// An entry of the list at `key` is wrong.
    pub fn wrong_item(&self, key: &str, index: usize, message: impl Into<String>) {
        self.mistakes.wrong(&format!("{}[{index}]", self.key(key)), message);
    }

    /// What stands at `name` in the table at `key` is wrong.
    pub fn wrong_entry(&self, key: &str, name: &str, message: impl Into<String>) {
        self.mistakes.wrong(&join(&self.key(key), name), message);
    }

    fn unexpected(&self, key: &str, expected: &str, value: &Value) {
        self.wrong(key, format!("expected {expected}, found {}", kind(value)));
    }

    /// Notes it if a key that must be there is not.
    pub fn must_have(&self, key: &str, expected: &str) {
        if self.get(key).is_none() {
            self.wrong(key, format!("is missing, expected {expected}"));
        }
    }

    /// A text that is not empty; absent or wrong: none.
    pub fn text(&self, key: &str, expected: &str) -> Option<&'t str> {
        match self.get(key)? {
            Value::String(text) if text.is_empty() => self.wrong(key, format!("is empty, expected {expected}")),
            Value::String(text) => return Some(text),
            other => self.unexpected(key, expected, other),
        }
        None
    }

    /// A text that must be there. If it is not, that is noted, and what is returned is of no use.
    pub fn needed_text(&self, key: &str, expected: &str) -> &'t str {
        self.must_have(key, expected);
        self.text(key, expected).unwrap_or_default()
    }

    /// A whole number within limits. `unit` is said in the message: ` of seconds`, or nothing.
    pub fn number(&self, key: &str, unit: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let expected = format!("a whole number{unit} from {} to {}", range.start(), range.end());
        match value {
            Value::Integer(number) => match u64::try_from(*number).ok().filter(|number| range.contains(number)) {
                Some(number) => return number,
                None => {
                    let is_small = i128::from(*number) < i128::from(*range.start());
                    let side = if is_small { "small" } else { "large" };
                    self.wrong(key, format!("the number is too {side}, expected {expected}"));
                }
            },
            Value::String(text) if text.trim().parse::<u64>().is_ok() => {
                self.wrong(key, format!("expected {expected}, found a string: write it without quotes"));
            }
            other => self.unexpected(key, &expected, other),
        }
        default
    }

    /// True or false.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            None => default,
            Some(Value::Boolean(flag)) => *flag,
            Some(other) => {
                self.unexpected(key, "`true` or `false`", other);
                default
            }
        }
    }

    /// One word of a list; absent or wrong: none.
    pub fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let known = || words.iter().map(|(word, _)| *word);
        let text = self.text(key, &one_of(known()))?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
        if found.is_none() {
            let guess = did_you_mean(text, known());
            self.wrong(key, format!("unknown word, expected {}{guess}", one_of(known())));
        }
        found
    }

    /// The entries of a list; absent or no list: none. `of` says what of.
    pub fn list(&self, key: &str, of: &str) -> &'t [Value] {
        match self.get(key) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(other) => {
                let hint = if matches!(other, Value::String(_)) { ": put it in brackets" } else { "" };
                self.wrong(key, format!("expected an array of {of}, found {}{hint}", kind(other)));
                &[]
            }
        }
    }

    /// A list of texts, each read by `read`. What is wrong is left out.
    pub fn texts<T>(&self, key: &str, of: &str, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let one = |(index, item): (usize, &Value)| {
            let text = item.as_str().ok_or_else(|| format!("expected a string, found {}", kind(item)));
            text.and_then(&read).map_err(|message| self.wrong_item(key, index, message)).ok()
        };
        self.list(key, of).iter().enumerate().filter_map(one).collect()
    }

    /// A list of tables (`[[plugins.NAME.KEY]]`), each with these keys. What is no table is noted and left out.
    pub fn tables(&self, key: &str, keys: &'static [&'static str]) -> Vec<Settings<'t>> {
        let one = |(index, item): (usize, &'t Value)| match item {
            Value::Table(table) => {
                Some(Settings::open_at(format!("{}[{index}]", self.key(key)), table, keys, self.mistakes))
            }
            other => {
                self.wrong_item(key, index, format!("expected a table, found {}", kind(other)));
                None
            }
        };
        self.list(key, "tables").iter().enumerate().filter_map(one).collect()
    }

    /// A table whose keys are free; absent or no table: none.
    pub fn table(&self, key: &str, expected: &str) -> Option<&'t Table> {
        match self.get(key)? {
            Value::Table(table) => Some(table),
            other => {
                self.unexpected(key, expected, other);
                None
            }
        }
    }
}

/// A value's type, for "found …".
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}
