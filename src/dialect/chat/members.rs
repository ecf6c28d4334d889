//! The members of a request's objects, along the table of fields.

use super::fields::{self, Field, Row};
use super::json::Json;
use super::request::{ChatRequest, Options};
use super::write::Members;
use crate::dialect::DialectId;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use tollgate_plugin_api::{Reject, RejectCode};

/// An object's members, in order, unread. `null` is kept.
#[derive(Debug)]
pub(super) struct Object<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads an object; `path` names it in the refusal.
    pub(super) fn read(json: &'a str, path: &str) -> Result<Self, Reject> {
        serde_json::from_str(json).map_err(|_| invalid(path, "an object is expected"))
    }

    /// A member that is not `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(own, value)| own == name && value.get() != "null").map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<super::json::Text<'de>, &'de RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(Object(members))
            }
        }
        from.deserialize_map(Walk)
    }
}

/// Reads a value as serde has it; `path` names it in the refusal.
///
/// # Errors
/// `INVALID_REQUEST`: it is of another type.
pub(super) fn read<'a, T: Deserialize<'a>>(value: &'a RawValue, path: &str) -> Result<T, Reject> {
    serde_json::from_str(value.get()).map_err(|error| invalid(path, &without_place(&error.to_string())))
}

/// A JSON Schema, of arguments or of an answer: every dialect has it as an object. Providers refuse anything else, and so do we,
/// by the client's name of it.
///
/// # Errors
/// `INVALID_REQUEST`: it is no object.
pub(super) fn schema<'a>(value: &'a RawValue, path: &str) -> Result<Json<'a>, Reject> {
    let schema = Json::raw(value);
    if schema.is_object() { Ok(schema) } else { Err(invalid(path, "an object is expected")) }
}

/// serde's words end with a place within the value, which means nothing to the client.
fn without_place(words: &str) -> String {
    words.split(" at line ").next().unwrap_or(words).to_owned()
}

/// The refusal of a field that cannot be read.
pub(super) fn invalid(path: &str, what: &str) -> Reject {
    Reject::new(RejectCode::InvalidRequest).message(format!("`{path}`: {what}")).param(path.to_owned())
}

/// The refusal of something that only requests to the provider itself can have.
pub(super) fn untranslatable(path: &str) -> Reject {
    Reject::new(RejectCode::InvalidRequest)
        .message(format!("`{path}` cannot be translated for the provider of this model, which speaks another dialect"))
        .param(path.to_owned())
}

/// Takes a member that is not plain: which field, at which path, with which value.
pub(super) type Formed<'f, 'a> = dyn FnMut(&mut ChatRequest<'a>, Field, &str, &'a RawValue) -> Result<(), Reject> + 'f;

/// Sorts an object's members along the table: plain ones are taken, neutral ones and `null` passed over; `formed` gets the
/// others with their path. Members of a group (`generationConfig`) are those of their own paths.
///
/// # Errors
/// `INVALID_REQUEST`: a member that no row knows, and what `formed` refuses.
pub(super) fn sort<'a>(
    client: DialectId,
    groups: &[&str],
    object: Object<'a>,
    request: &mut ChatRequest<'a>,
    formed: &mut Formed<'_, 'a>,
) -> Result<(), Reject> {
    sort_below(client, "", groups, object, request, formed)
}

fn sort_below<'a>(
    client: DialectId,
    prefix: &str,
    groups: &[&str],
    object: Object<'a>,
    request: &mut ChatRequest<'a>,
    formed: &mut Formed<'_, 'a>,
) -> Result<(), Reject> {
    for (name, value) in object.0 {
        if value.get() == "null" {
            continue;
        }
        let path = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}.{name}") };
        if groups.contains(&path.as_str()) {
            sort_below(client, &path, groups, Object::read(value.get(), &path)?, request, formed)?;
            continue;
        }
        let row = fields::find(client, &path).ok_or_else(|| untranslatable(&path))?;
        if is_neutral(row, value) {
            continue;
        }
        if row.plain {
            request.options.plain.push((row.field, Json::raw(value)));
        } else {
            formed(request, row.field, &path, value)?;
        }
    }
    Ok(())
}

fn is_neutral(row: &Row, value: &RawValue) -> bool {
    fields::is_one_of(row.neutral, value.get())
}

/// Writes the plain options that the target has directly in the object `prefix` (`""`: the top), but for `except`.
pub(super) fn write_plain(
    target: DialectId,
    prefix: &str,
    except: &[Field],
    options: &Options<'_>,
    members: &mut Members<'_>,
) {
    for (field, value) in &options.plain {
        let path = fields::name(*field, target).filter(|_| !except.contains(field));
        let Some(path) = path else { continue };
        let (group, name) = path.rsplit_once('.').unwrap_or(("", path));
        if group == prefix {
            members.raw(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_along_the_table() {
        let body = r#"{"generationConfig":{"topK":4,"candidateCount":1,"seed":null,"stopSequences":["x"]},"safetySettings":[1]}"#;
        let (mut request, mut seen) = (ChatRequest::default(), Vec::new());
        let object = Object::read(body, "").unwrap();
        sort(DialectId::Gemini, &["generationConfig"], object, &mut request, &mut |_, field, path, value| {
            seen.push((field, path.to_owned(), value.get().to_owned()));
            Ok(())
        })
        .unwrap();
        let four = Json::of(&4);
        assert_eq!(request.options.plain(Field::TopK), Some(&four));
        assert_eq!(request.options.plain.len(), 2);
        assert_eq!(seen, [(Field::Stop, "generationConfig.stopSequences".to_owned(), "[\"x\"]".to_owned())]);
        let mut out = Vec::new();
        super::super::write::object(&mut out, |members| {
            write_plain(DialectId::Anthropic, "", &[], &request.options, members);
        });
        assert_eq!(String::from_utf8(out).unwrap(), "{\"top_k\":4}");
    }

    #[test]
    fn an_unknown_member_is_refused_by_its_path() {
        let refuse = |body: &'static str| {
            let object = Object::read(body, "").unwrap();
            let mut formed = |_: &mut ChatRequest<'static>, _: Field, _: &str, _: &'static RawValue| Ok(());
            sort(DialectId::Gemini, &["generationConfig"], object, &mut ChatRequest::default(), &mut formed)
                .unwrap_err()
        };
        assert_eq!(refuse(r#"{"generationConfig":{"topKk":4}}"#).param.as_deref(), Some("generationConfig.topKk"));
        assert_eq!(refuse(r#"{"generationConfig":4}"#).param.as_deref(), Some("generationConfig"));
    }
}
