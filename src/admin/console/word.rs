//! A word of a list, in queries and bodies.

use serde::de::{EnumAccess, Error, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use tollgate_plugin_api::Worded;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A value that is given by its word. (In a structure with a schema it stands by a name of its own, as `type ByWord = Word<UsageBy>`: that
/// derive asks for the schema of whatever stands in brackets.)
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<T>(pub(super) T);

impl<'de, T: Worded> Deserialize<'de> for Word<T> {
    /// As serde reads an enum: whoever asks says what the words are.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Word", T::NAMES, Words(PhantomData))
    }
}

struct Words<T>(PhantomData<T>);

impl<'de, T: Worded> Visitor<'de> for Words<T> {
    type Value = Word<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", T::NAMES.join(", "))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Word<T>, A::Error> {
        let (word, rest) = access.variant::<String>()?;
        rest.unit_variant()?;
        T::of_word(&word).map(Word).ok_or_else(|| A::Error::unknown_variant(&word, T::NAMES))
    }
}

impl<T: Worded> PartialSchema for Word<T> {
    fn schema() -> RefOr<Schema> {
        RefOr::T(
            ObjectBuilder::new().schema_type(Type::String).enum_values(Some(T::NAMES.iter().copied())).build().into(),
        )
    }
}

impl<T: Worded> ToSchema for Word<T> {}
