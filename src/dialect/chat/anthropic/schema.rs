//! The JSON Schemas that Anthropic takes.
//!
//! A tool's must be of an object, without `anyOf` and its like at its top. One that is enforced (`strict`, and the
//! format of an answer) knows fewer words yet: the others go into the description, where the model reads them, as
//! Anthropic's own SDK has it (`transform_schema`).

use crate::dialect::chat::Json;
use serde_json::{Map, Value, json};

/// Schemas beside one another; not at the top of a tool's.
const COMBINED: [&str; 3] = ["anyOf", "oneOf", "allOf"];
/// Words that an enforced schema may not have.
const NOT_ENFORCED: [&str; 26] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "prefixItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
];
/// The formats of texts that are enforced.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// The schema of a tool's arguments, and what of it must be said in words.
pub(super) fn of_tool<'j>(schema: Option<&Json<'j>>, strict: bool) -> (Json<'j>, Option<String>) {
    let Some((schema, Value::Object(mut map))) = schema.map(|schema| (schema, schema.value())) else {
        return (Json::of(&json!({"type": "object", "properties": {}})), None);
    };
    let original = map.clone();
    let combined: Map<String, Value> =
        COMBINED.iter().filter_map(|word| map.remove(*word).map(|value| ((*word).to_owned(), value))).collect();
    if map.get("type").and_then(Value::as_str) != Some("object") {
        map.insert("type".to_owned(), "object".into());
        map.entry("properties").or_insert_with(|| json!({}));
    }
    for (word, variants) in &combined {
        join(&mut map, variants, word == "allOf");
    }
    if strict {
        enforceable(&mut map);
    }
    let words = (!combined.is_empty()).then(|| format!("The input must also match {}", Value::Object(combined)));
    (changed(schema, &original, map), words)
}

/// A schema that is enforced; `description` goes into it, if it has none.
pub(super) fn enforced<'j>(schema: &Json<'j>, description: Option<&str>) -> Json<'j> {
    let Value::Object(mut map) = schema.value() else { return schema.clone() };
    let original = map.clone();
    if let Some(description) = description {
        map.entry("description").or_insert_with(|| description.into());
    }
    enforceable(&mut map);
    changed(schema, &original, map)
}

/// As it is written, where it need not change.
fn changed<'j>(schema: &Json<'j>, original: &Map<String, Value>, map: Map<String, Value>) -> Json<'j> {
    if *original == map { schema.clone() } else { Json::of(&map) }
}

/// Properties of all variants; required is what all of them (or, of `allOf`, any of them) require.
fn join(map: &mut Map<String, Value>, variants: &Value, is_all: bool) {
    let variants: Vec<&Map<String, Value>> =
        variants.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let properties = map.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else { return };
    for (name, property) in variants.iter().filter_map(|one| one.get("properties")?.as_object()).flatten() {
        properties.entry(name.as_str()).or_insert_with(|| property.clone());
    }
    let requires = |one: &Map<String, Value>, name: &Value| {
        one.get("required").and_then(Value::as_array).is_some_and(|list| list.contains(name))
    };
    let named: Vec<Value> =
        variants.iter().filter_map(|one| one.get("required")?.as_array()).flatten().cloned().collect();
    let required = map.entry("required").or_insert_with(|| json!([]));
    let Some(required) = required.as_array_mut() else { return };
    for name in named {
        if !required.contains(&name) && (is_all || variants.iter().all(|one| requires(one, &name))) {
            required.push(name);
        }
    }
    if required.is_empty() {
        map.remove("required");
    }
}

fn enforceable(map: &mut Map<String, Value>) {
    if let Some(variants) = map.remove("oneOf") {
        map.entry("anyOf").or_insert(variants);
    }
    map.remove("$schema");
    let mut words = Vec::new();
    for word in NOT_ENFORCED {
        words.extend(map.remove(word).map(|value| format!("{word}: {value}")));
    }
    let is_unknown = |format: &Value| !format.as_str().is_some_and(|format| FORMATS.contains(&format));
    if map.get("format").is_some_and(is_unknown) {
        words.extend(map.remove("format").map(|value| format!("format: {value}")));
    }
    if map.get("minItems").is_some_and(|items| items.as_u64().is_none_or(|items| items > 1)) {
        words.extend(map.remove("minItems").map(|value| format!("minItems: {value}")));
    }
    if !words.is_empty() {
        let before = map.get("description").and_then(Value::as_str).map(|text| format!("{text}\n\n"));
        map.insert("description".to_owned(), format!("{}{{{}}}", before.unwrap_or_default(), words.join(", ")).into());
    }
    let is_object =
        |kind: &Value| kind == "object" || kind.as_array().is_some_and(|kinds| kinds.contains(&"object".into()));
    if map.contains_key("properties") || map.get("type").is_some_and(is_object) {
        map.insert("additionalProperties".to_owned(), false.into());
    }
    for group in ["$defs", "definitions", "properties"] {
        let inside = map.get_mut(group).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
        inside.filter_map(Value::as_object_mut).for_each(enforceable);
    }
    for list in ["anyOf", "allOf"] {
        let inside = map.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        inside.filter_map(Value::as_object_mut).for_each(enforceable);
    }
    if let Some(items) = map.get_mut("items").and_then(Value::as_object_mut) {
        enforceable(items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Json<'_> {
        Json::parse(text.into()).unwrap()
    }

    #[test]
    fn a_tools_schema_is_of_an_object_and_has_no_variants_at_its_top() {
        let plain = parse(r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"string"}]}}}"#);
        assert_eq!(of_tool(Some(&plain), false), (plain.clone(), None));
        let empty = parse(r#"{"type":"object","properties":{}}"#);
        assert_eq!(of_tool(None, false).0, empty);
        assert_eq!(of_tool(Some(&parse("{}")), false).0, empty);
        let variants = parse(
            r#"{"anyOf":[{"properties":{"a":{"type":"string"}},"required":["a","c"]},{"properties":{"b":{}},"required":["c"]}]}"#,
        );
        let (joined, words) = of_tool(Some(&variants), false);
        assert_eq!(joined, parse(r#"{"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["c"]}"#));
        assert!(words.unwrap().starts_with("The input must also match {\"anyOf\":[{"));
    }

    #[test]
    fn what_is_not_enforced_is_said_in_words() {
        let schema = parse(
            r#"{"type":"object","properties":{"n":{"type":"integer","minimum":1,"description":"A number"},
            "l":{"type":"array","items":{"type":"string","format":"date"},"minItems":2},
            "o":{"oneOf":[{"type":"object"},{"type":"string","format":"odd"}]}}}"#,
        );
        let expected = parse(
            r#"{"type":"object","additionalProperties":false,"properties":{
            "n":{"type":"integer","description":"A number\n\n{minimum: 1}"},
            "l":{"type":"array","items":{"type":"string","format":"date"},"description":"{minItems: 2}"},
            "o":{"anyOf":[{"type":"object","additionalProperties":false},{"type":"string","description":"{format: \"odd\"}"}]}}}"#,
        );
        assert_eq!(enforced(&schema, None), expected);
        let described = enforced(&parse(r#"{"type":"string"}"#), Some("What it is"));
        assert_eq!(described, parse(r#"{"type":"string","description":"What it is"}"#));
    }
}
