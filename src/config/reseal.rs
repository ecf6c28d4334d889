//! Seals what is sealed in a file again, under the first master key. Everything else in the file stays as it is.

use super::error::{ConfigError, Positions};
use super::seal::{MasterKeys, PREFIX};
use secrecy::ExposeSecret;
use std::path::Path;
use toml::de::DeTable;
use toml_edit::{DocumentMut, Item, TableLike, Value};

/// The file's text with every sealed value sealed anew, and how many there were.
///
/// # Errors
/// The file is no TOML, or values do not open: all of them, and nothing is sealed then.
pub(crate) fn reseal(text: &str, file: &Path, keys: &MasterKeys) -> Result<(String, usize), Vec<ConfigError>> {
    let broken = |message: String| vec![Positions::none(Some(file)).error("", message)];
    let table = DeTable::parse(text).map_err(|error| broken(error.message().to_owned()))?;
    let positions = Positions::of(file, text, table.get_ref());
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| broken(error.to_string()))?;
    let (mut count, mut wrong) = (0, Vec::new());
    for (index, upstream) in upstreams(&mut document).into_iter().enumerate() {
        let name = upstream.get("name").and_then(Item::as_str).unwrap_or_default().to_owned();
        let Some(value) = upstream.get_mut("api_key").and_then(Item::as_value_mut) else { continue };
        let Some(sealed) = value.as_str().filter(|text| text.starts_with(PREFIX)) else { continue };
        let key = format!("upstream[{index}].api_key");
        match keys.open(sealed, &name) {
            Ok(secret) => {
                let sealed = keys.seal(secret.expose_secret(), &name).expect("no longer than it was");
                let decor = value.decor().clone();
                *value = Value::from(sealed);
                *value.decor_mut() = decor;
                count += 1;
            }
            Err(message) => wrong.push(positions.error(&key, message)),
        }
    }
    if wrong.is_empty() { Ok((document.to_string(), count)) } else { Err(wrong) }
}

/// The names of the file's upstreams, whatever else is wrong with them.
pub(crate) fn upstream_names(text: &str) -> Vec<String> {
    let Ok(mut document) = text.parse::<DocumentMut>() else { return Vec::new() };
    let name = |table: &mut dyn TableLike| table.get("name").and_then(Item::as_str).map(str::to_owned);
    upstreams(&mut document).into_iter().filter_map(name).collect()
}

/// `[[upstream]]`, or `upstream = [{ … }]`.
fn upstreams(document: &mut DocumentMut) -> Vec<&mut dyn TableLike> {
    match document.get_mut("upstream") {
        Some(Item::ArrayOfTables(tables)) => tables.iter_mut().map(|table| table as &mut dyn TableLike).collect(),
        Some(Item::Value(Value::Array(items))) => items
            .iter_mut()
            .filter_map(|item| item.as_inline_table_mut().map(|table| table as &mut dyn TableLike))
            .collect(),
        _ => Vec::new(),
    }
}
