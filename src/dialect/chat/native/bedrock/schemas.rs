//! Schemas of tools and of answers, as the models of each vendor take them.

use super::model::Schemas;
use crate::dialect::chat::anthropic::schema::{self, OfTool};
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::json::Json;
use crate::dialect::chat::request::Tool;
use crate::dialect::chat::wire::Inexpressible;
use serde_json::{Map, Value};

/// What a tool's schema has at its top for Nova: "Only three fields are supported in the top-level Object" (Amazon Nova's user
/// guide, "Tool use", the definition of a tool). Anything else is an "extraneous key".
const TOP_OF_NOVA: [&str; 3] = ["type", "properties", "required"];
/// What else at the top of an object's schema bounds its values, and so is said in words.
const BOUNDS: [&str; 12] = [
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "dependentSchemas",
    "not",
    "if",
    "then",
    "else",
];
/// Where schemas stand to be referred to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// A tool's schema. Converse wants one of an object, and what stands behind it (Claude, Nova) no variants at its top: as
/// Anthropic's own API has it.
///
/// # Errors
/// The model has no place for a part of it.
pub(super) fn of_tool<'t>(
    tool: &'t Tool<'_>,
    taken: Schemas,
    unused: &mut Vec<Field>,
) -> Result<OfTool<'t>, Inexpressible> {
    let is_asked = tool.strict == Some(true);
    let mut described = schema::of_tool(tool.parameters.as_ref(), is_asked && taken == Schemas::AsAnthropics);
    match taken {
        Schemas::AsAnthropics | Schemas::NeverEnforced => {}
        Schemas::AsTheyAre => described.strict = is_asked,
        Schemas::Bare => lay_bare(&mut described, tool.parameters.as_ref())?,
    }
    if is_asked && !described.strict {
        unused.push(Field::ToolStrict);
    }
    Ok(described)
}

/// The schema of the answer. What it is for is said beside it.
///
/// # Errors
/// It cannot be enforced.
pub(super) fn of_answer<'s>(schema: &'s Json<'_>, taken: Schemas) -> Result<Json<'s>, Inexpressible> {
    if taken != Schemas::AsAnthropics {
        return Ok(schema.clone());
    }
    schema::enforced(schema, None).map_err(|_| Inexpressible::new(Field::JsonSchema, schema::OPEN))
}

/// Takes off what Nova refuses at the top of a schema.
///
/// # Errors
/// The schema refers to what would not be there any more.
fn lay_bare(described: &mut OfTool<'_>, own: Option<&Json<'_>>) -> Result<(), Inexpressible> {
    let Value::Object(map) = described.schema.value() else { return Ok(()) };
    let (top, mut rest): (Map<_, _>, Map<_, _>) =
        map.into_iter().partition(|(name, _)| TOP_OF_NOVA.contains(&name.as_str()));
    if rest.is_empty() {
        return Ok(());
    }
    // The client's own: variants at its top stand in words already.
    if own.is_some_and(|schema| refers_away(&without_definitions(schema.value()))) {
        return Err(Inexpressible::new(Field::Tools, "a schema of a tool that refers to its definitions"));
    }
    rest.retain(|name, value| BOUNDS.contains(&name.as_str()) && !value.is_boolean());
    let bounds = (!rest.is_empty()).then(|| format!("The input must also match {}", Value::Object(rest)));
    let words: Vec<String> = described.words.take().into_iter().chain(bounds).collect();
    described.words = (!words.is_empty()).then(|| words.join("\n\n"));
    described.schema = Json::of(&top);
    Ok(())
}

fn without_definitions(mut schema: Value) -> Value {
    if let Some(map) = schema.as_object_mut() {
        map.retain(|name, _| !DEFINITIONS.contains(&name.as_str()));
    }
    schema
}

/// Whether anything in a schema refers to what is neither the whole of it nor one of its properties. (A property may be called
/// `$ref`: then it is a schema and no text.)
fn refers_away(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.iter().any(|(name, value)| match value {
            Value::String(place) => name == "$ref" && place != "#" && !place.starts_with("#/properties/"),
            value => refers_away(value),
        }),
        Value::Array(list) => list.iter().any(refers_away),
        _ => false,
    }
}
