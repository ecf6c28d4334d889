//! What a vendor's row says of its models: the same of all of them, or of each by how its name begins.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value for models; in a row, one value for all of them or a table `{ "beginning of names" = value }`, of which of two
/// beginnings that fit the longer one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByModel<T>(Arc<[(String, T)]>);

impl<T> ByModel<T> {
    /// Whether nothing is said of any model.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said of this model.
    pub fn of(&self, model: &str) -> Option<&T> {
        self.0.iter().rfind(|(beginning, _)| model.starts_with(&**beginning)).map(|(_, value)| value)
    }
}

impl<T> Default for ByModel<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> From<T> for ByModel<T> {
    /// The same for every model.
    fn from(value: T) -> Self {
        Self([(String::new(), value)].into())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said<T> {
    OfAll(T),
    OfEach(BTreeMap<String, T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByModel<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Said::<T>::deserialize(from)? {
            Said::OfAll(value) => Self::from(value),
            // In the order of their beginnings, so that a longer one comes behind its own beginning.
            Said::OfEach(rows) => Self(rows.into_iter().collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_counts_and_a_value_alone_is_every_models() {
        let read = |text: &str| serde_json::from_str::<ByModel<u8>>(text).expect("values");
        let some = read(r#"{"m-1":2,"m":1,"m-1b":3}"#);
        assert_eq!(
            ["m", "m-2", "m-1", "m-1c", "m-1b-x", "n"].map(|model| some.of(model).copied()),
            [Some(1), Some(1), Some(2), Some(2), Some(3), None]
        );
        assert_eq!((read("7").of("whatever"), read("{}").is_empty()), (Some(&7), true));
        assert!(serde_json::from_str::<ByModel<u8>>(r#"{"m":"x"}"#).is_err());
    }
}
