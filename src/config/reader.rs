//! Reads values out of a parsed file. Whatever is wrong becomes an error with a position, and reading goes on with the
//! default, so that one pass finds everything.

use super::error::{ConfigError, Positions};
use super::schema;
use super::template;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use tollgate_plugin_api::{did_you_mean, join, one_of};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How the message of a missing key begins.
pub(super) const MISSING: &str = "is missing";

/// The most entries of a list of addresses, networks or groups.
const ENTRIES_MAX: usize = 1_000;

/// What reading a file needs, and the errors found so far.
pub(super) struct Reader<'a> {
    /// Looks up environment variables.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// Relative paths start here.
    pub(super) folder: &'a Path,
    /// Where each key stands.
    pub(super) positions: &'a Positions,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'a> Reader<'a> {
    /// A reader without errors.
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>, folder: &'a Path, positions: &'a Positions) -> Self {
        Self { env, folder, positions, errors: RefCell::new(Vec::new()) }
    }

    /// The value of `key` is wrong.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>) {
        self.errors.borrow_mut().push(self.positions.error(key, message));
    }

    /// `key` itself is wrong.
    pub(super) fn wrong_key(&self, key: &str, message: impl Into<String>) {
        self.errors.borrow_mut().push(self.positions.error_at_key(key, message));
    }

    /// All errors, in the order of the file.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by(|a, b| (a.line, a.column, &a.key).cmp(&(b.line, b.column, &b.key)));
        errors.dedup();
        errors
    }

    /// A path of the file system, from the config file's folder.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    /// A string value with its variables replaced.
    pub(super) fn string(&self, key: &str, value: &DeValue<'_>) -> Option<String> {
        let DeValue::String(text) = value else {
            self.wrong(key, format!("expected a string, found {}", kind(value)));
            return None;
        };
        template::expand(text, self.env).map_err(|message| self.wrong(key, message)).ok()
    }

    /// A value of a plugin's table, with the variables of its strings replaced. What cannot be read keeps its place: it is not
    /// missing, and the others of a list keep their numbers.
    pub(super) fn free_value(&self, key: &str, value: &Spanned<DeValue<'_>>) -> toml::Value {
        let unreadable = |message: &str| {
            self.wrong(key, message);
            toml::Value::String(String::new())
        };
        match value.get_ref() {
            DeValue::String(_) => toml::Value::String(self.string(key, value.get_ref()).unwrap_or_default()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => toml::Value::Integer(number),
                Err(_) => unreadable("the number is too large"),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => toml::Value::Float(number),
                Err(_) => unreadable("expected a number"),
            },
            DeValue::Boolean(flag) => toml::Value::Boolean(*flag),
            DeValue::Datetime(time) => toml::Value::Datetime(*time),
            DeValue::Array(items) => {
                let read = |(index, item)| self.free_value(&format!("{key}[{index}]"), item);
                toml::Value::Array(items.iter().enumerate().map(read).collect())
            }
            DeValue::Table(table) => toml::Value::Table(self.free_table(key, table)),
        }
    }

    /// A plugin's table.
    pub(super) fn free_table(&self, key: &str, table: &DeTable<'_>) -> toml::Table {
        let read = |(name, value): (&Spanned<_>, _)| {
            let name: &str = AsRef::<str>::as_ref(name.get_ref());
            (name.to_string(), self.free_value(&join(key, name), value))
        };
        table.iter().map(read).collect()
    }
}

/// One table of the file, with a fixed set of keys.
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// Its path, for messages.
    pub(super) path: String,
    table: Option<&'a DeTable<'a>>,
}

impl<'a> Section<'a> {
    /// Opens a table and reports its unknown keys. Absent: every key has its default.
    pub(super) fn open(reader: &'a Reader<'a>, path: String, table: Option<&'a DeTable<'a>>) -> Self {
        let section = Self { reader, path, table };
        section.report_unknown_keys();
        section
    }

    /// The path of one of its keys.
    pub(super) fn key(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// The path of an entry of one of its arrays.
    pub(super) fn item(&self, key: &str, index: usize) -> String {
        format!("{}[{index}]", self.key(key))
    }

    /// A value, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(schema::keys_of(&self.path).contains(&key), "{} is in no table", self.key(key));
        self.table?.get(key)
    }

    /// A table inside; absent or no table: empty.
    pub(super) fn section(&self, key: &str) -> Section<'a> {
        Section::open(self.reader, self.key(key), self.table(key))
    }

    /// A table inside.
    pub(super) fn table(&self, key: &str) -> Option<&'a DeTable<'a>> {
        match self.get(key)?.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                let head = self.key(key);
                self.wrong(key, format!("expected a table `[{head}]`, found {}", kind(other)));
                None
            }
        }
    }

    /// A string that is not empty; absent or wrong: none.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text = self.reader.string(&self.key(key), self.get(key)?.get_ref())?;
        if text.is_empty() {
            self.wrong(key, "is empty, expected a string that is not");
            return None;
        }
        Some(text)
    }

    /// A path of the file system.
    pub(super) fn file_path(&self, key: &str, default: &Path) -> PathBuf {
        self.text(key).map_or_else(|| self.reader.path(default), |text| self.reader.path(text))
    }

    /// A whole number within limits. `unit` is said in the message: `milliseconds`.
    pub(super) fn number<N>(&self, key: &str, range: RangeInclusive<u64>, default: N) -> N
    where
        N: TryFrom<u64>,
    {
        let Some(value) = self.get(key) else { return default };
        let unit = match key {
            _ if key.ends_with("_ms") || key.contains("_ms_") => " of milliseconds",
            _ if key.contains("bytes") => " of bytes",
            _ => "",
        };
        let expected = format!("expected a whole number{unit} from {} to {}", range.start(), range.end());
        let number = match value.get_ref() {
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) if text.trim().parse::<u64>().is_ok() => {
                self.wrong(key, format!("{expected}, found a string: write it without quotes"));
                return default;
            }
            other => {
                self.wrong(key, format!("{expected}, found {}", kind(other)));
                return default;
            }
        };
        let inside = number.and_then(|number| u64::try_from(number).ok()).filter(|number| range.contains(number));
        match inside.and_then(|number| N::try_from(number).ok()) {
            Some(number) => number,
            None => {
                let side =
                    if number.is_some_and(|number| number < i128::from(*range.start())) { "small" } else { "large" };
                self.wrong(key, format!("the number is too {side}, {expected}"));
                default
            }
        }
    }

    /// True or false.
    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        match self.get(key).map(|value| value.get_ref()) {
            None => default,
            Some(DeValue::Boolean(flag)) => *flag,
            Some(other) => {
                self.wrong(key, format!("expected `true` or `false`, found {}", kind(other)));
                default
            }
        }
    }

    /// One word of a list.
    pub(super) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(key) else { return default };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meant)) => *meant,
            None => {
                let known = || words.iter().map(|(word, _)| *word);
                let guess = did_you_mean(&text, known());
                self.wrong(key, format!("unknown word, expected {}{guess}", one_of(known())));
                default
            }
        }
    }

    /// An array; absent or no array: none. `of` says what of, with an example.
    pub(super) fn array(&self, key: &str, of: &str) -> Option<&'a [Spanned<DeValue<'a>>]> {
        match self.get(key)?.get_ref() {
            DeValue::Array(items) => Some(items),
            other => {
                let hint = if matches!(other, DeValue::String(_)) { ": put it in brackets" } else { "" };
                self.wrong(key, format!("expected an array of {of}, found {}{hint}", kind(other)));
                None
            }
        }
    }

    /// An array of strings, each read by `parse`; absent: none. What is wrong is left out.
    pub(super) fn strings<T>(&self, key: &str, of: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let items = self.array(key, of)?;
        if items.len() > ENTRIES_MAX {
            self.wrong(key, format!("has too many entries, expected at most {ENTRIES_MAX}"));
            return None;
        }
        let mut read = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let key = self.item(key, index);
            let Some(text) = self.reader.string(&key, item.get_ref()) else { continue };
            match parse(&text) {
                Ok(value) => read.push(value),
                Err(message) => self.reader.wrong(&key, message),
            }
        }
        Some(read)
    }

    /// The value of one of its keys is wrong.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>) {
        self.reader.wrong(&self.key(key), message);
    }

    /// A key that must be there is not.
    pub(super) fn missing(&self, key: &str, expected: &str) {
        if self.get(key).is_none() {
            self.wrong(key, format!("{MISSING}, expected {expected}"));
        }
    }

    fn report_unknown_keys(&self) {
        let known = schema::keys_of(&self.path);
        let strangers = self.table.into_iter().flatten().map(|(key, _)| AsRef::<str>::as_ref(key.get_ref()));
        for key in strangers.filter(|key| !known.contains(key)) {
            let near = did_you_mean(key, known.iter().copied());
            let hint = match schema::home_of(key) {
                _ if !near.is_empty() => near,
                Some(home) => format!(", it belongs to {}", schema::header(home)),
                None => String::new(),
            };
            let expected = one_of(known.iter().copied());
            self.reader.wrong_key(&self.key(key), format!("unknown key, expected {expected}{hint}"));
        }
    }
}

/// A value's type, for "found …".
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
