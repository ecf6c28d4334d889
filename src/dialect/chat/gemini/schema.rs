//! Google's `Schema` (a part of OpenAPI 3.0's) as JSON Schema: ai.google.dev/api/caching#Schema.

use super::spelling::{list, object, text, word};
use crate::dialect::chat::Json;
use crate::dialect::chat::members::{Object, invalid};
use crate::dialect::chat::write::{self, Members};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use tollgate_plugin_api::Reject;

/// Schemas are nested this deep at most.
const DEPTH_MAX: usize = 64;

/// Members that Google's JSON has as texts, because they are 64 bits wide.
const COUNTS: [&str; 6] = ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// google/ai/generativelanguage's `Type`, in the order of its numbers.
const TYPES: [&str; 8] = ["TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// The schema as JSON Schema. What is JSON Schema already comes through as it is.
pub(super) fn to_json_schema(value: &RawValue, path: &str) -> Result<Json<'static>, Reject> {
    let mut out = Vec::new();
    convert(value, path, 0, &mut out)?;
    let text = String::from_utf8(out).unwrap_or_default();
    Json::parse(text.into()).ok_or_else(|| invalid(path, "a schema is expected"))
}

fn convert(value: &RawValue, path: &str, depth: usize, out: &mut Vec<u8>) -> Result<(), Reject> {
    if depth > DEPTH_MAX {
        return Err(invalid(path, "the schema is nested too deeply"));
    }
    let schema = object(value, path)?;
    let nullable = schema.get("nullable").is_some_and(|value| value.get() == "true");
    let order = order(&schema, path)?;
    let mut refusal = Ok(());
    write::object(out, |members| {
        for (name, value) in &schema.0 {
            if refusal.is_ok() {
                refusal = member(name, value, nullable, &order, path, depth, members);
            }
        }
    });
    refusal
}

/// For each property its place in the order that they are to be generated in.
type Order<'a> = HashMap<Cow<'a, str>, usize>;

fn order<'a>(schema: &Object<'a>, path: &str) -> Result<Order<'a>, Reject> {
    let mut order = Order::new();
    let Some(named) = schema.get("propertyOrdering") else { return Ok(order) };
    for (place, name) in list(named, path)?.into_iter().enumerate() {
        order.entry(text(name, path)?).or_insert(place);
    }
    Ok(order)
}

fn member(
    name: &str,
    value: &RawValue,
    nullable: bool,
    order: &Order<'_>,
    path: &str,
    depth: usize,
    members: &mut Members<'_>,
) -> Result<(), Reject> {
    match name {
        "nullable" | "propertyOrdering" => {}
        "type" if !value.get().starts_with('[') => {
            let kind = word(value, &TYPES, path)?.to_ascii_lowercase();
            match (kind.as_str(), nullable) {
                ("type_unspecified", _) => {}
                (kind, true) if kind != "null" => members.member("type", &[kind, "null"]),
                (kind, _) => members.member("type", kind),
            }
        }
        // Marks a text with an `enum`; no format that JSON Schema knows.
        "format" if value.get() == "\"enum\"" => {}
        "enum" if nullable => members.array("enum", |elements| {
            let known = list(value, path).unwrap_or_default();
            known.iter().for_each(|element| elements.raw_element(&Json::raw(element)));
            if known.iter().all(|element| element.get() != "null") {
                elements.element(&());
            }
        }),
        "example" => members.array("examples", |elements| elements.raw_element(&Json::raw(value))),
        "ref" => members.raw("$ref", &Json::raw(value)),
        "items" | "additionalProperties" if value.get().starts_with('{') => {
            members.raw(name, &nested(value, path, depth)?);
        }
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
            let mut nested_schemas = Vec::new();
            for schema in list(value, path)? {
                nested_schemas.push(nested(schema, path, depth)?);
            }
            members.array(name, |elements| {
                nested_schemas.iter().for_each(|schema| elements.raw_element(schema));
                if nullable && name == "anyOf" {
                    elements.object_element(|null| null.member("type", "null"));
                }
            });
        }
        "properties" | "defs" | "$defs" | "definitions" => {
            let mut named = Vec::new();
            for (name, schema) in Object::read(value.get(), path)?.0 {
                named.push((name, nested(schema, path, depth)?));
            }
            // Those that the order does not name come last, as they are.
            named.sort_by_key(|(name, _)| order.get(name).copied().unwrap_or(usize::MAX));
            let name = if name == "defs" { "$defs" } else { name };
            members.object(name, |members| named.iter().for_each(|(name, schema)| members.raw(name, schema)));
        }
        _ if COUNTS.contains(&name) && value.get().starts_with('"') => {
            let count: u64 = text(value, path)?.parse().map_err(|_| invalid(path, "a number is expected"))?;
            members.member(name, &count);
        }
        _ => members.raw(name, &Json::raw(value)),
    }
    Ok(())
}

/// A schema inside; `true` and `false` are schemas too.
fn nested(value: &RawValue, path: &str, depth: usize) -> Result<Json<'static>, Reject> {
    let mut out = Vec::new();
    match value.get() {
        "true" | "false" => out.extend_from_slice(value.get().as_bytes()),
        _ => convert(value, path, depth + 1, &mut out)?,
    }
    let text = String::from_utf8(out).unwrap_or_default();
    Json::parse(text.into()).ok_or_else(|| invalid(path, "a schema is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(schema: &'static str) -> String {
        let raw: &RawValue = serde_json::from_str(schema).unwrap();
        to_json_schema(raw, "p").unwrap().as_str().to_owned()
    }

    #[test]
    fn googles_schema_becomes_json_schema() {
        assert_eq!(
            converted(
                r#"{"type":6,"properties":{"b_c":{"type":"STRING","nullable":true,"format":"enum","enum":["x"]},
                "a":{"type":"ARRAY","items":{"type":"INTEGER","format":"int32"},"min_items":"1","maxItems":3}},
                "required":["a"],"property_ordering":["a","b_c"],"description":"d"}"#
            ),
            r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer","format":"int32"},"minItems":1,"maxItems":3},"b_c":{"type":["string","null"],"enum":["x",null]}},"required":["a"],"description":"d"}"#
        );
        assert_eq!(
            converted(
                r##"{"any_of":[{"type":"STRING"},{"ref":"#/$defs/n"}],"nullable":true,"defs":{"n":{"type":"NUMBER"}}}"##
            ),
            r##"{"anyOf":[{"type":"string"},{"$ref":"#/$defs/n"},{"type":"null"}],"$defs":{"n":{"type":"number"}}}"##
        );
    }

    #[test]
    fn very_many_properties_are_ordered() {
        const COUNT: usize = 20_000;
        let each = |write: fn(usize) -> String| (0..COUNT).map(write).collect::<Vec<_>>().join(",");
        let (named, order) = (each(|n| format!("\"p{n}\":true")), each(|n| format!("\"p{}\"", COUNT - 1 - n)));
        let text = format!(r#"{{"properties":{{{named}}},"required":[{order}],"propertyOrdering":[{order}]}}"#);
        let converted = to_json_schema(serde_json::from_str(&text).unwrap(), "p").unwrap().value();
        let first = converted["properties"].as_object().unwrap().keys().next().cloned();
        assert_eq!(first, Some(format!("p{}", COUNT - 1)));
    }

    #[test]
    fn json_schema_comes_through_as_it_is() {
        let schema = r#"{"type":["string","null"],"additionalProperties":false,"const":1.50,"properties":{"x":true}}"#;
        assert_eq!(converted(schema), schema);
    }

    #[test]
    fn a_schema_without_end_is_refused() {
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        let raw: &RawValue = serde_json::from_str(&deep).unwrap();
        assert!(to_json_schema(raw, "p").is_err());
    }
}
