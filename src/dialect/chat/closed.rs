//! Schemas that say everything, of which alone some dialects guarantee that what a model writes fits.
//!
//! By developers.openai.com, "Structured model outputs", the supported schemas: the whole is an object; every object has all of
//! its properties and no others; every value has a type. Words that bound values (`pattern`, `format`, `minimum`, `minItems`) are not among
//! those that may stand there, though OpenAI takes some of them: its models that were trained further do not, nor does Azure,
//! and a request that asks for a guarantee which cannot be given is refused as a whole.

use super::json::Json;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Words that say what a value is; one of them must be there.
const SAY_WHAT: [&str; 3] = ["type", "anyOf", "$ref"];
/// Words that close nothing and open nothing.
const SAY_NO_MORE: [&str; 6] = ["enum", "const", "description", "title", "required", "$schema"];

/// Whether a schema says everything.
pub(super) fn is_closed(schema: &Json<'_>) -> bool {
    let schema = schema.value();
    let is_of_object = schema.get("type").is_some_and(|kind| kind == "object");
    is_of_object && schema.get("anyOf").is_none() && says_everything(&schema)
}

fn says_everything(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else { return false };
    if !SAY_WHAT.iter().any(|word| members.contains_key(*word)) {
        return false;
    }
    // What stands beside a reference is refused.
    if members.contains_key("$ref") && members.len() > 1 {
        return false;
    }
    let holds_anything = may_be(members, "array") && !members.contains_key("items");
    let all = |schemas: &Value| schemas.as_object().is_some_and(|named| named.values().all(says_everything));
    let leaves_names_open = (may_be(members, "object") || members.contains_key("properties")) && !names_all(members);
    !holds_anything
        && !leaves_names_open
        && members.iter().all(|(name, value)| match name.as_str() {
            "properties" | "$defs" | "definitions" => all(value),
            "additionalProperties" => *value == false,
            "items" => says_everything(value),
            "anyOf" => value.as_array().is_some_and(|any| any.iter().all(says_everything)),
            name => SAY_WHAT.contains(&name) || SAY_NO_MORE.contains(&name),
        })
}

/// Whether a value may be of this type.
fn may_be(members: &Map<String, Value>, kind: &str) -> bool {
    let is_it = |own: &Value| own == kind;
    members.get("type").is_some_and(|own| is_it(own) || own.as_array().is_some_and(|kinds| kinds.iter().any(is_it)))
}

/// All of an object's properties are named, and required.
fn names_all(members: &Map<String, Value>) -> bool {
    let required = members.get("required").and_then(Value::as_array);
    let required: HashSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = members.get("properties").and_then(Value::as_object);
    members.contains_key("additionalProperties")
        && properties.is_some_and(|named| named.keys().all(|name| required.contains(name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = r#"{"type":"object","properties":{"n":{"type":["integer","null"]}},"required":["n"],"additionalProperties":false}"#;

    fn closed(schema: &str) -> bool {
        is_closed(&Json::parse(schema.to_owned().into()).expect("JSON"))
    }

    /// An object with one property of this schema.
    fn with(property: &str) -> String {
        OBJECT.replace(r#"{"type":["integer","null"]}"#, property)
    }

    #[test]
    fn a_closed_schema_says_everything() {
        assert!(closed(OBJECT) && closed(&with(OBJECT)));
        for property in [
            &format!(r#"{{"type":"array","items":{{"anyOf":[{OBJECT},{{"type":"null"}}]}}}}"#),
            r#"{"type":"string","enum":["a","b"],"description":"d","title":"t"}"#,
            r#"{"type":"string","const":"a"}"#,
            &OBJECT.replace("\"object\"", r#"["object","null"]"#),
            r##"{"$ref":"#/$defs/x"}"##,
        ] {
            assert!(closed(&with(property)), "{property}");
        }
        for property in [
            r#"{"type":"object"}"#,
            r#"{"type":["object","null"]}"#,
            r#"{"properties":{"a":{"type":"string"}}}"#,
            r#"{"type":"string","pattern":"a"}"#,
            r#"{"type":"string","default":"a"}"#,
            r#"{"type":"array","items":{}}"#,
            r#"{"type":["array","null"]}"#,
            r##"{"$ref":"#/$defs/x","description":"d"}"##,
            r#"{"enum":["a",1]}"#,
            "{}",
            "true",
        ] {
            assert!(!closed(&with(property)), "{property}");
        }
        assert!(!closed(&OBJECT.replace(r#","additionalProperties":false"#, "")));
        assert!(!closed(&OBJECT.replace(r#"["n"]"#, "[]")));
    }

    #[test]
    fn the_whole_is_an_object() {
        assert!(!closed(r#"{"type":"string"}"#));
        assert!(!closed(&format!(r#"{{"type":"array","items":{OBJECT}}}"#)));
        assert!(!closed(&format!(r#"{{"anyOf":[{OBJECT},{OBJECT}]}}"#)));
        assert!(!closed(r##"{"$ref":"#/$defs/x","$defs":{"x":{"type":"string"}}}"##));
        // As zod writes them, too: OpenAI's own SDK sends what it makes as it is.
        for named in [r#""$defs""#, r#""$schema":"http://json-schema.org/draft-07/schema#","definitions""#] {
            let defined = OBJECT.replacen('{', &format!(r#"{{{named}:{{"x":{{"type":"string"}}}},"#), 1);
            assert!(closed(&defined) && !closed(&defined.replace(r#"{"type":"string"}"#, "{}")), "{defined}");
        }
    }

    #[test]
    fn very_many_properties_are_looked_at() {
        const COUNT: usize = 20_000;
        let each = |write: fn(usize) -> String| (0..COUNT).map(write).collect::<Vec<_>>().join(",");
        let (named, required) =
            (each(|n| format!("\"p{n}\":{{\"type\":\"string\"}}")), each(|n| format!("\"p{}\"", COUNT - 1 - n)));
        assert!(closed(&format!(
            r#"{{"type":"object","properties":{{{named}}},"required":[{required}],"additionalProperties":false}}"#
        )));
    }
}
