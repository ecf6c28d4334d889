//! What a query asks for: each parameter read as its type says, all others refused. Whatever cannot be read is refused by its name,
//! with what was expected and what was given.

use super::refusal::Refusal;
use super::schema::Form;
use axum::extract::FromRequestParts;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt::{self, Display};
use tollgate_plugin_api::{did_you_mean, one_of};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Parameters of a query: more than any endpoint has. Each is compared with those before it.
const PARAMETERS_MAX: usize = 32;
/// So much of a value is said again, in characters.
const GIVEN_CHARS_MAX: usize = 64;

/// What the query asks for.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: Query> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let mut given = Given::of(parts.uri.query().unwrap_or_default())?;
        let asked = T::read(&mut given)?;
        given.check_names()?;
        Ok(Self(asked))
    }
}

/// Parameters of a query: the fields of a structure, or of several.
pub(super) trait Query: Sized {
    /// The structures.
    fn forms() -> Vec<Form>;

    /// # Errors
    /// One of the parameters cannot be read, or is missing.
    fn read(given: &mut Given) -> Result<Self, Refusal>;
}

impl<T: DeserializeOwned + ToSchema> Query for T {
    fn forms() -> Vec<Form> {
        vec![Form::of::<T>()]
    }

    fn read(given: &mut Given) -> Result<Self, Refusal> {
        Ok(T::deserialize(given)?)
    }
}

/// The parameters of both, in one query: how what is asked for in several ways is written once. (What serde itself calls flattening
/// lets unknown names pass, and numbers not.)
pub(super) struct Both<A, B>(pub(super) A, pub(super) B);

impl<A: Query, B: Query> Query for Both<A, B> {
    fn forms() -> Vec<Form> {
        A::forms().into_iter().chain(B::forms()).collect()
    }

    fn read(given: &mut Given) -> Result<Self, Refusal> {
        Ok(Self(A::read(given)?, B::read(given)?))
    }
}

/// A query's parameters as they were given.
pub(super) struct Given {
    /// Names and values.
    parameters: Vec<(String, String)>,
    /// What the structures that were read call theirs.
    known: Vec<&'static str>,
}

impl Given {
    fn of(query: &str) -> Result<Self, Refusal> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            if parameters.len() == PARAMETERS_MAX {
                return Err(Refusal::field("", format!("expected at most {PARAMETERS_MAX} parameters")));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decoded(name).ok_or_else(|| Refusal::field("", "a parameter's name is not UTF-8"))?;
            let value = decoded(value).ok_or_else(|| Refusal::field(&cut(&name), "expected UTF-8"))?;
            if parameters.iter().any(|(before, _)| *before == name) {
                return Err(Refusal::field(&cut(&name), "expected one value, not several"));
            }
            parameters.push((name, value));
        }
        Ok(Self { parameters, known: Vec::new() })
    }

    fn check_names(&self) -> Result<(), Refusal> {
        let Some((name, _)) = self.parameters.iter().find(|(name, _)| !self.known.contains(&&**name)) else {
            return Ok(());
        };
        let name = cut(name);
        let (expected, guess) = (one_of(self.known.iter().copied()), did_you_mean(&name, self.known.iter().copied()));
        Err(Refusal::field(&name, format!("unknown parameter, expected {expected}{guess}")))
    }
}

/// As forms encode it; `None`: it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    Some(percent_decode_str(&text).decode_utf8().ok()?.into_owned())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(GIVEN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What is wrong, and with which parameter.
#[derive(Debug)]
pub(super) struct Wrong {
    name: &'static str,
    message: String,
}

impl Wrong {
    fn new(message: impl Display) -> Self {
        Self { name: "", message: message.to_string() }
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        Self::field(wrong.name, wrong.message)
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl serde::de::Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }
}

impl<'de> Deserializer<'de> for &mut Given {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::new("a query is read as a structure"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.known.extend(fields);
        visitor.visit_map(Fields { given: self, rest: fields, next: None })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Every field of a structure, given or not.
struct Fields<'g> {
    given: &'g Given,
    rest: &'static [&'static str],
    next: Option<&'static str>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((&name, rest)) = self.rest.split_first() else { return Ok(None) };
        (self.rest, self.next) = (rest, Some(name));
        let name: StrDeserializer<'_, Wrong> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let name = self.next.take().unwrap_or_default();
        let text = self.given.parameters.iter().find(|(given, _)| given == name).map(|(_, text)| &**text);
        let read = seed.deserialize(Field { text });
        read.map_err(|Wrong { message, .. }| match text {
            Some(text) => Wrong { name, message: format!("cannot read `{}`, {message}", cut(text)) },
            None => Wrong { name, message: format!("missing, {message}") },
        })
    }
}

/// One field's value; `None`: it is not given.
struct Field<'t> {
    text: Option<&'t str>,
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.text.ok_or_else(|| Wrong::new("expected a value")).and_then(|text| visitor.visit_str(text))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.text {
            Some(_) => visitor.visit_some(self),
            None => visitor.visit_none(),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let word = self.text.unwrap_or_default();
        if !words.contains(&word) {
            let (expected, guess) = (one_of(words.iter().copied()), did_you_mean(word, words.iter().copied()));
            return Err(Wrong::new(format!("expected {expected}{guess}")));
        }
        let word: StrDeserializer<'_, Wrong> = word.into_deserializer();
        visitor.visit_enum(word)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Whole<const LEAST: i64, const MOST: i64>(pub(super) i64);

impl<const LEAST: i64, const MOST: i64> TryFrom<String> for Whole<LEAST, MOST> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number));
        number.map(Self).ok_or_else(|| format!("expected a whole number from {LEAST} to {MOST}"))
    }
}

impl<const LEAST: i64, const MOST: i64> PartialSchema for Whole<LEAST, MOST> {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(LEAST)).maximum(Some(MOST));
        RefOr::T(number.build().into())
    }
}

impl<const LEAST: i64, const MOST: i64> ToSchema for Whole<LEAST, MOST> {}
