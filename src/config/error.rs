//! Errors with a position, and the positions of all keys of a file.

use super::template::NOT_SET;
use super::upstreams::NO_MASTER_KEY;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use tollgate_plugin_api::join;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a configuration. Never holds a value from the file or the environment that could be a
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named; `environment` without one.
    pub file: String,
    /// Line, from 1; 0: no position (the file cannot be read, there is no file).
    pub line: usize,
    /// Column in characters, from 1; 0 with line 0.
    pub column: usize,
    /// The key's whole path: `upstream[0].models[1].name`. Empty: the file as a whole.
    pub key: String,
    /// What is wrong, what was expected, and a guess at what was meant.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file)?;
        if self.line > 0 {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(out, ": {}", self.key)?;
        }
        write!(out, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// Whether nothing is wrong with the file: what it needs is set where it is served, and not here.
    pub(crate) fn is_of_environment(&self) -> bool {
        self.message.ends_with(NOT_SET) || self.message.starts_with(NO_MASTER_KEY)
    }
}

/// Line and column, both from 1.
pub(super) type Place = (usize, usize);

/// Where a key and its value begin.
#[derive(Clone, Copy)]
struct Spot {
    key: Place,
    value: Place,
}

/// Where each key of a file stands.
#[derive(Clone, Default)]
pub(super) struct Positions {
    file: Option<PathBuf>,
    spots: HashMap<String, Spot>,
}

impl fmt::Debug for Positions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Positions({} keys)", self.spots.len())
    }
}

impl Positions {
    /// All keys of a parsed file.
    pub(super) fn of(file: &Path, text: &str, table: &DeTable<'_>) -> Self {
        let mut offsets = Vec::new();
        walk_table("", table, &mut offsets);
        let flat: Vec<usize> = offsets.iter().flat_map(|(_, key, value)| [*key, *value]).collect();
        let places = places(text, &flat);
        let spots = offsets
            .into_iter()
            .zip(places.chunks_exact(2))
            .map(|((path, _, _), pair)| (path, Spot { key: pair[0], value: pair[1] }))
            .collect();
        Self { file: Some(file.to_owned()), spots }
    }

    /// A file of which nothing is known.
    pub(super) fn none(file: Option<&Path>) -> Self {
        Self { file: file.map(Path::to_owned), spots: HashMap::new() }
    }

    /// An error where the value of `key` begins, or the nearest table around it.
    pub(super) fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        self.at(self.nearest(key).map(|spot| spot.value), key, message)
    }

    /// An error where `key` itself begins.
    pub(super) fn error_at_key(&self, key: &str, message: impl Into<String>) -> ConfigError {
        self.at(self.nearest(key).map(|spot| spot.key), key, message)
    }

    /// An error at a place, or at the file as a whole.
    pub(super) fn at(&self, place: Option<Place>, key: &str, message: impl Into<String>) -> ConfigError {
        let file = self.file.as_ref().map_or_else(|| "environment".to_string(), |file| file.display().to_string());
        let (line, column) = match place {
            Some(place) => place,
            None if self.spots.is_empty() => (0, 0),
            None => (1, 1),
        };
        ConfigError { file, line, column, key: key.to_string(), message: message.into() }
    }

    /// The line on which the value of `key` begins.
    pub(super) fn line(&self, key: &str) -> Option<usize> {
        self.spots.get(key).map(|spot| spot.value.0)
    }

    fn nearest(&self, key: &str) -> Option<&Spot> {
        let mut key = key;
        loop {
            if let Some(spot) = self.spots.get(key) {
                return Some(spot);
            }
            key = &key[..key.rfind(['.', '['])?];
        }
    }
}

/// Line and column of each byte offset. One sweep over the text, whatever the order of the offsets.
pub(super) fn places(text: &str, offsets: &[usize]) -> Vec<Place> {
    let mut order: Vec<usize> = (0..offsets.len()).collect();
    order.sort_unstable_by_key(|index| offsets[*index]);
    let mut found = vec![(1, 1); offsets.len()];
    let (mut line, mut column) = (1, 1);
    let mut chars = text.char_indices().peekable();
    for index in order {
        while let Some((at, c)) = chars.peek().copied() {
            if at >= offsets[index] {
                break;
            }
            chars.next();
            match c {
                '\n' => (line, column) = (line + 1, 1),
                '\u{feff}' if at == 0 => {}
                _ => column += 1,
            }
        }
        found[index] = (line, column);
    }
    found
}

fn walk_table(path: &str, table: &DeTable<'_>, out: &mut Vec<(String, usize, usize)>) {
    for (key, value) in table {
        let path = join(path, key.get_ref());
        out.push((path.clone(), key.span().start, value.span().start));
        walk_value(&path, value, out);
    }
}

fn walk_value(path: &str, value: &Spanned<DeValue<'_>>, out: &mut Vec<(String, usize, usize)>) {
    match value.get_ref() {
        DeValue::Table(table) => walk_table(path, table, out),
        DeValue::Array(array) => {
            for (index, item) in array.iter().enumerate() {
                let path = format!("{path}[{index}]");
                out.push((path.clone(), item.span().start, item.span().start));
                walk_value(&path, item, out);
            }
        }
        _ => {}
    }
}
