//! JSON whose numbers keep the text in which they are written.

use super::number::Decimal;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A value, not taken apart yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'t>(&'t RawValue);

impl<'t> Json<'t> {
    /// A whole text.
    pub(super) fn parse(text: &'t str) -> Result<Self, String> {
        serde_json::from_str(text).map(Self).map_err(|error| format!("not JSON: {error}"))
    }

    /// Its keys and values, if it is an object. The later of two values of one key counts.
    pub(super) fn object(self) -> Option<BTreeMap<String, Json<'t>>> {
        let raw: BTreeMap<String, &'t RawValue> = serde_json::from_str(self.0.get()).ok()?;
        Some(raw.into_iter().map(|(key, value)| (key, Self(value))).collect())
    }

    /// Its elements; empty if it is no array.
    pub(super) fn array(self) -> Vec<Json<'t>> {
        let raw: Vec<&'t RawValue> = serde_json::from_str(self.0.get()).unwrap_or_default();
        raw.into_iter().map(Self).collect()
    }

    /// A value inside an object.
    pub(super) fn get(self, key: &str) -> Option<Json<'t>> {
        self.object()?.get(key).copied()
    }

    pub(super) fn text(self) -> Option<String> {
        serde_json::from_str(self.0.get()).ok()
    }

    /// As it is written.
    pub(super) fn source(self) -> &'t str {
        self.0.get()
    }

    pub(super) fn is_null(self) -> bool {
        self.0.get() == "null"
    }

    /// A number, also one in a string.
    pub(super) fn decimal(self) -> Result<Decimal, String> {
        match self.text() {
            Some(text) => Decimal::parse(&text),
            None => Decimal::parse(self.0.get()),
        }
    }

    /// A whole number, at least 1.
    pub(super) fn whole(self) -> Option<u64> {
        self.0.get().parse().ok().filter(|number| *number > 0)
    }
}
