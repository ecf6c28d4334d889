//! The JSON Schemas that Anthropic takes.
//!
//! A tool's must be of an object, without `anyOf` and its like at its top. One that is enforced (`strict`, and the
//! format of an answer) knows fewer words yet: the others go into the description, where the model reads them, as
//! Anthropic's own SDK has it (`transform_schema`). What cannot be said in words either is an object with members of any name
//! (a map): enforced it would be one without members. Such a schema is not enforced.
//!
//! Properties keep their order: models write them in it, and what is to be thought of first stands first.

use crate::dialect::chat::Json;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

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

/// What an enforced schema cannot say: that an object has members of any name.
pub(in crate::dialect::chat) const OPEN: &str = "a schema of an object whose members are not all named";

/// A schema leaves an object open, which one that is enforced cannot.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dialect::chat) struct IsOpen;

/// How a tool is described.
pub(in crate::dialect::chat) struct OfTool<'j> {
    pub(in crate::dialect::chat) schema: Json<'j>,
    /// What of the schema must be said in words.
    pub(in crate::dialect::chat) words: Option<String>,
    /// The schema is enforced: it was asked for, and can be.
    pub(in crate::dialect::chat) strict: bool,
}

impl OfTool<'_> {
    /// What is said of the tool: the client's own description, and those words.
    pub(in crate::dialect::chat) fn description(&self, own: Option<&str>) -> Option<String> {
        let said: Vec<&str> = own.into_iter().chain(self.words.as_deref()).filter(|text| !text.is_empty()).collect();
        (!said.is_empty()).then(|| said.join("\n\n"))
    }
}

/// The schema of a tool's arguments.
pub(in crate::dialect::chat) fn of_tool<'j>(schema: Option<&Json<'j>>, strict: bool) -> OfTool<'j> {
    let Some((schema, Value::Object(mut map))) = schema.map(|schema| (schema, schema.value())) else {
        let nothing = Json::of(&json!({"type": "object", "properties": {}}));
        return OfTool { schema: nothing, words: None, strict };
    };
    let original = map.clone();
    let combined: Map<String, Value> =
        COMBINED.iter().filter_map(|word| map.shift_remove(*word).map(|value| ((*word).to_owned(), value))).collect();
    if map.get("type").and_then(Value::as_str) != Some("object") {
        map.insert("type".to_owned(), "object".into());
        map.entry("properties").or_insert_with(|| json!({}));
    }
    for (word, variants) in &combined {
        join(&mut map, variants, word == "allOf");
    }
    let enforced = strict.then(|| map.clone()).and_then(|mut map| enforceable(&mut map).is_ok().then_some(map));
    let strict = enforced.is_some();
    let words = (!combined.is_empty()).then(|| format!("The input must also match {}", Value::Object(combined)));
    OfTool { schema: changed(schema, &original, enforced.unwrap_or(map)), words, strict }
}

/// A schema that is enforced; `description` goes into it, if it has none.
///
/// # Errors
/// It cannot be.
pub(in crate::dialect::chat) fn enforced<'j>(schema: &Json<'j>, description: Option<&str>) -> Result<Json<'j>, IsOpen> {
    let Value::Object(mut map) = schema.value() else { return Ok(schema.clone()) };
    let original = map.clone();
    if let Some(description) = description {
        map.entry("description").or_insert_with(|| description.into());
    }
    enforceable(&mut map)?;
    Ok(changed(schema, &original, map))
}

/// As it is written, where it need not change.
fn changed<'j>(schema: &Json<'j>, original: &Map<String, Value>, map: Map<String, Value>) -> Json<'j> {
    if *original == map { schema.clone() } else { Json::of(&map) }
}

fn required_by(schema: &Map<String, Value>) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
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
    // How many variants require each.
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for one in &variants {
        let names: HashSet<&str> = required_by(one).collect();
        names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
    }
    let is_required = |name: &str| is_all || counts.get(name) == Some(&variants.len());
    let mut known: HashSet<String> = required_by(map).map(str::to_owned).collect();
    let required = map.entry("required").or_insert_with(|| json!([]));
    let Some(required) = required.as_array_mut() else { return };
    for name in variants.iter().flat_map(|one| required_by(one)) {
        if is_required(name) && known.insert(name.to_owned()) {
            required.push(name.into());
        }
    }
    if required.is_empty() {
        map.shift_remove("required");
    }
}

/// An object that may have members which are not named. Nothing said of others is not meant so where some are named: Pydantic
/// and Zod say no more of their models. An object of which nothing is said is any object.
fn is_open(map: &Map<String, Value>) -> bool {
    let says = |word: &str| map.get(word).is_some_and(|value| value.as_object().is_none_or(|map| !map.is_empty()));
    let is_object = map.get("type").is_some_and(is_object_type);
    match map.get("additionalProperties") {
        Some(Value::Bool(false)) => says("patternProperties"),
        Some(_) => true,
        None => {
            let is_told = ["properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
            says("patternProperties") || is_object && !is_told.iter().any(|word| map.contains_key(*word))
        }
    }
}

fn is_object_type(kind: &Value) -> bool {
    kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
}

fn enforceable(map: &mut Map<String, Value>) -> Result<(), IsOpen> {
    if is_open(map) {
        return Err(IsOpen);
    }
    let mut words = Vec::new();
    if let Some(variants) = map.shift_remove("oneOf") {
        match map.get("anyOf") {
            Some(_) => words.push(format!("oneOf: {variants}")),
            None => _ = map.insert("anyOf".to_owned(), variants),
        }
    }
    map.shift_remove("$schema");
    for word in NOT_ENFORCED {
        words.extend(map.shift_remove(word).map(|value| format!("{word}: {value}")));
    }
    let is_unknown = |format: &Value| !format.as_str().is_some_and(|format| FORMATS.contains(&format));
    if map.get("format").is_some_and(is_unknown) {
        words.extend(map.shift_remove("format").map(|value| format!("format: {value}")));
    }
    if map.get("minItems").is_some_and(|items| items.as_u64().is_none_or(|items| items > 1)) {
        words.extend(map.shift_remove("minItems").map(|value| format!("minItems: {value}")));
    }
    if !words.is_empty() {
        let before = map.get("description").and_then(Value::as_str).map(|text| format!("{text}\n\n"));
        map.insert("description".to_owned(), format!("{}{{{}}}", before.unwrap_or_default(), words.join(", ")).into());
    }
    if map.contains_key("properties") || map.get("type").is_some_and(is_object_type) {
        map.insert("additionalProperties".to_owned(), false.into());
    }
    for group in ["$defs", "definitions", "properties"] {
        let inside = map.get_mut(group).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
        inside.filter_map(Value::as_object_mut).try_for_each(enforceable)?;
    }
    for list in ["anyOf", "allOf"] {
        let inside = map.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        inside.filter_map(Value::as_object_mut).try_for_each(enforceable)?;
    }
    map.get_mut("items").and_then(Value::as_object_mut).map_or(Ok(()), enforceable)
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
        let of_tool = |schema: Option<&Json<'static>>| {
            let tool = super::of_tool(schema, false);
            (tool.schema, tool.words)
        };
        assert_eq!(of_tool(Some(&plain)), (plain.clone(), None));
        let empty = parse(r#"{"type":"object","properties":{}}"#);
        assert_eq!(of_tool(None).0, empty);
        assert_eq!(of_tool(Some(&parse("{}"))).0, empty);
        let variants = parse(
            r#"{"anyOf":[{"properties":{"a":{"type":"string"}},"required":["a","c"]},{"properties":{"b":{}},"required":["c"]}]}"#,
        );
        let (joined, words) = of_tool(Some(&variants));
        assert_eq!(joined, parse(r#"{"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["c"]}"#));
        assert!(words.unwrap().starts_with("The input must also match {\"anyOf\":[{"));
    }

    #[test]
    fn what_is_not_enforced_is_said_in_words() {
        let schema = parse(
            r#"{"type":"object","properties":{"n":{"type":"integer","minimum":1,"description":"A number"},
            "l":{"type":"array","items":{"type":"string","format":"date"},"minItems":2},
            "o":{"oneOf":[{"type":"object","properties":{}},{"type":"string","format":"odd"}]}}}"#,
        );
        let expected = parse(
            r#"{"type":"object","additionalProperties":false,"properties":{
            "n":{"type":"integer","description":"A number\n\n{minimum: 1}"},
            "l":{"type":"array","items":{"type":"string","format":"date"},"description":"{minItems: 2}"},
            "o":{"anyOf":[{"type":"object","properties":{},"additionalProperties":false},{"type":"string","description":"{format: \"odd\"}"}]}}}"#,
        );
        assert_eq!(enforced(&schema, None).unwrap(), expected);
        let described = enforced(&parse(r#"{"type":"string"}"#), Some("What it is")).unwrap();
        assert_eq!(described, parse(r#"{"type":"string","description":"What it is"}"#));
    }

    #[test]
    fn an_object_with_members_of_any_name_is_never_closed() {
        for open in [
            r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
            r#"{"type":"object","properties":{"a":{}},"additionalProperties":true}"#,
            r#"{"type":"object","patternProperties":{"^x":{}},"additionalProperties":false}"#,
            r#"{"type":["object","null"]}"#,
        ] {
            let nested = format!(r#"{{"type":"object","properties":{{"map":{open}}}}}"#);
            for schema in [open, &nested, &format!(r#"{{"type":"array","items":{{"anyOf":[{nested}]}}}}"#)] {
                assert_eq!(enforced(&parse(schema), None), Err(IsOpen), "{schema}");
            }
            let nested = parse(&nested);
            let tool = of_tool(Some(&nested), true);
            assert!(!tool.strict && tool.schema == nested, "{open}");
        }
        let closed = parse(r##"{"type":"object","properties":{"a":{"$ref":"#/x"}}}"##);
        assert!(of_tool(Some(&closed), true).strict);
    }

    #[test]
    fn very_many_requirements_are_joined() {
        const COUNT: usize = 20_000;
        let names = |first: usize| (first..first + COUNT).map(|n| format!("\"p{n}\"")).collect::<Vec<_>>().join(",");
        let text = format!(r#"{{"anyOf":[{{"required":[{}]}},{{"required":[{}]}}]}}"#, names(0), names(COUNT / 2));
        let joined = of_tool(Some(&Json::parse(text.into()).unwrap()), false).schema.value();
        assert_eq!(joined["required"].as_array().unwrap().len(), COUNT / 2);
    }

    #[test]
    fn properties_keep_their_order_where_a_schema_changes() {
        let text = r#"{"type":"object","$schema":"x","properties":{"reasoning":{"type":"string","maxLength":9},"answer":{"type":"string"}},"title":"t"}"#;
        assert_eq!(
            enforced(&parse(text), None).unwrap().as_str(),
            r#"{"type":"object","properties":{"reasoning":{"type":"string","description":"{maxLength: 9}"},"answer":{"type":"string"}},"title":"t","additionalProperties":false}"#
        );
        let combined = parse(r#"{"anyOf":[{"properties":{"z":{},"a":{}}}],"title":"t"}"#);
        let joined = of_tool(Some(&combined), false).schema.as_str().to_owned();
        assert_eq!(joined, r#"{"title":"t","type":"object","properties":{"z":{},"a":{}}}"#);
    }
}
