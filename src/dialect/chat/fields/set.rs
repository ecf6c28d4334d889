//! A few fields of many, by OpenAI's names: what a vendor's row says of them.

use super::{Field, Otherwise, find};
use crate::dialect::DialectId;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Fields that may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(u128);

impl FieldSet {
    /// Whether this is one of them.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & Self::bit(field) != 0
    }

    const fn bit(field: Field) -> u128 {
        1 << field as u32
    }
}

impl<'de> Deserialize<'de> for FieldSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut set = 0;
        for name in Vec::<String>::deserialize(from)? {
            let row = find(DialectId::OpenAi, &name).filter(|row| row.otherwise == Otherwise::LeftOut);
            let row = row.ok_or_else(|| D::Error::custom(format!("`{name}` is no field that may be left out")))?;
            set |= Self::bit(row.field);
        }
        Ok(Self(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_openais_and_only_hints_may_stand_there() {
        let read = |json: &str| serde_json::from_str::<FieldSet>(json).ok();
        let set = read(r#"["user","prompt_cache_key"]"#).expect("both are hints");
        assert!(set.contains(Field::User) && set.contains(Field::PromptCacheKey) && !set.contains(Field::Seed));
        assert_eq!(read("[]"), Some(FieldSet::default()));
        assert_eq!((read(r#"["tools"]"#), read(r#"["nobody"]"#)), (None, None));
        // The last variant has its bit, too.
        assert!(FieldSet(FieldSet::bit(Field::ClientMetadata)).contains(Field::ClientMetadata));
    }
}
