//! The environment variables that a file's text names, and where.

use super::template;
use toml_edit::{DocumentMut, Item, Value};

/// A variable that stands somewhere in the file.
pub(crate) struct VariableUse {
    pub(crate) name: String,
    /// The row of `[[upstream]]` it stands in; none: elsewhere.
    pub(crate) upstream: Option<NamedUpstream>,
}

/// What a row says of itself, as it is written.
#[derive(Clone)]
pub(crate) struct NamedUpstream {
    pub(crate) name: String,
    pub(crate) provider: String,
    pub(crate) base_url: Option<String>,
}

/// Each variable in each place.
pub(crate) fn variable_uses(text: &str) -> Vec<VariableUse> {
    let Ok(document) = text.parse::<DocumentMut>() else { return Vec::new() };
    let mut uses = Vec::new();
    for (key, item) in document.iter() {
        match item {
            Item::ArrayOfTables(rows) if key == "upstream" => {
                for row in rows {
                    let text = |key: &str| row.get(key).and_then(Item::as_str).map(str::to_owned);
                    let [name, provider] = ["name", "provider"].map(|key| text(key).unwrap_or_default());
                    let upstream = NamedUpstream { name, provider, base_url: text("base_url") };
                    row.iter().for_each(|(_, item)| walk(item, Some(&upstream), &mut uses));
                }
            }
            item => walk(item, None, &mut uses),
        }
    }
    uses
}

fn walk(item: &Item, upstream: Option<&NamedUpstream>, uses: &mut Vec<VariableUse>) {
    match item {
        Item::None => {}
        Item::Value(value) => walk_value(value, upstream, uses),
        Item::Table(table) => table.iter().for_each(|(_, item)| walk(item, upstream, uses)),
        Item::ArrayOfTables(tables) => {
            tables.iter().flat_map(|table| table.iter()).for_each(|(_, item)| walk(item, upstream, uses));
        }
    }
}

fn walk_value(value: &Value, upstream: Option<&NamedUpstream>, uses: &mut Vec<VariableUse>) {
    match value {
        Value::String(text) => {
            let names = template::names(text.value());
            uses.extend(names.into_iter().map(|name| VariableUse { name, upstream: upstream.cloned() }));
        }
        Value::Array(items) => items.iter().for_each(|item| walk_value(item, upstream, uses)),
        Value::InlineTable(table) => table.iter().for_each(|(_, value)| walk_value(value, upstream, uses)),
        _ => {}
    }
}
