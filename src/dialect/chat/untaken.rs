//! What some models refuse a whole request for, though their dialect has it: how the next token is drawn, and what an answer would
//! not be the same without.

use super::fields::{Field, Otherwise, find};
use super::request::Options;
use crate::dialect::DialectId;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Each with what becomes of it there, and values that say what is so anyway.
const ROWS: [(Field, Otherwise, &[&str]); 8] = [
    (Field::Temperature, Otherwise::LeftOut, &["1"]),
    (Field::TopP, Otherwise::LeftOut, &["1"]),
    (Field::FrequencyPenalty, Otherwise::LeftOut, &[]),
    (Field::PresencePenalty, Otherwise::LeftOut, &[]),
    (Field::Choices, Otherwise::Refused, &[]),
    (Field::Stop, Otherwise::Refused, &[]),
    (Field::Logprobs, Otherwise::Refused, &[]),
    (Field::LogitBias, Otherwise::Refused, &[]),
];

/// Some of them, by OpenAI's names: what a vendor's row says of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Untaken(Vec<Field>);

/// What OpenAI's models refuse while they think. (The guide to reasoning; the API reference of `stop`; Azure's page of reasoning
/// models.)
pub(super) const BY_OPENAI_WHILE_THINKING: &[Field] = &[
    Field::Temperature,
    Field::TopP,
    Field::FrequencyPenalty,
    Field::PresencePenalty,
    Field::Stop,
    Field::Logprobs,
    Field::LogitBias,
];

impl Untaken {
    /// What the model does not take.
    pub(super) fn fields(&self) -> &[Field] {
        &self.0
    }
}

/// Takes those of a request's options off that may be left out. What was said by them; or what may not be left out.
pub(super) fn take_off(untaken: &[Field], options: &mut Options<'_>) -> Result<Vec<Field>, Field> {
    let set: Vec<Field> = options.set().filter(|field| untaken.contains(field)).collect();
    let mut left_out = Vec::with_capacity(set.len());
    for (field, otherwise, usual) in ROWS.into_iter().filter(|(field, ..)| set.contains(field)) {
        if otherwise == Otherwise::Refused {
            return Err(field);
        }
        let says = |value: &super::Json<'_>| !super::fields::is_one_of(usual, value.as_str());
        left_out.extend(options.plain(field).is_some_and(says).then_some(field));
        options.plain.retain(|(own, _)| *own != field);
    }
    Ok(left_out)
}

impl<'de> Deserialize<'de> for Untaken {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let field = |name: String| {
            let field = find(DialectId::OpenAi, &name).map(|row| row.field);
            let known = field.filter(|field| ROWS.iter().any(|(own, ..)| own == field));
            known.ok_or_else(|| D::Error::custom(format!("`{name}` is nothing that models are known to refuse")))
        };
        Vec::<String>::deserialize(from)?.into_iter().map(field).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_openais_and_of_the_table() {
        let read = |text: &str| serde_json::from_str::<Untaken>(text).map(|untaken| untaken.0);
        assert_eq!(
            read(r#"["temperature","stop","n"]"#).expect("names"),
            [Field::Temperature, Field::Stop, Field::Choices]
        );
        assert!(read(r#"["messages"]"#).is_err() && read(r#"["nothing"]"#).is_err());
        let rows = ROWS.map(|(field, ..)| field);
        assert!(BY_OPENAI_WHILE_THINKING.iter().all(|field| rows.contains(field)));
    }
}
