//! Tools that only this dialect has, and what they are called elsewhere, where every tool is a function of one flat list.

use super::super::members::Object;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The one argument of a function that stands for a custom tool.
const INPUT: &str = "input";
/// Its arguments' schema.
pub(super) const INPUT_SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// A tool of the client's that is called otherwise elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// Its name elsewhere.
    pub(super) name: String,
    /// The namespace that it stands in.
    pub(super) namespace: Option<String>,
    /// Its own name.
    pub(super) own_name: String,
    /// It takes any text instead of JSON.
    pub(super) is_custom: bool,
}

/// What the tool of a namespace is called elsewhere.
pub(super) fn carried_name<'a>(namespace: Option<&str>, name: Cow<'a, str>) -> Cow<'a, str> {
    match namespace {
        Some(namespace) => format!("{namespace}__{name}").into(),
        None => name,
    }
}

/// A custom tool's input as arguments.
pub(super) fn arguments_of_input(input: &str) -> String {
    format!("{{\"{INPUT}\":{}}}", serde_json::Value::from(input))
}

/// Arguments as a custom tool's input. What a model made otherwise is its input as it stands.
pub(super) fn input_of_arguments(arguments: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        input: String,
    }
    serde_json::from_str::<Arguments>(arguments).map_or(Cow::Borrowed(arguments), |known| known.input.into())
}

/// The tools in a request that are called otherwise elsewhere. (It was read before: what is wrong with it was said then.)
pub(super) fn carried(tools: &RawValue) -> Vec<Carried> {
    let mut found = Vec::new();
    collect(None, tools, &mut found);
    found
}

fn collect(namespace: Option<&str>, tools: &RawValue, found: &mut Vec<Carried>) {
    for tool in serde_json::from_str::<Vec<&RawValue>>(tools.get()).unwrap_or_default() {
        let Ok(tool) = Object::read(tool.get(), "tools") else { continue };
        let text = |name: &str| tool.get(name).and_then(|text| serde_json::from_str::<String>(text.get()).ok());
        let (kind, Some(own_name)) = (text("type").unwrap_or_default(), text("name")) else { continue };
        if kind == "namespace" && namespace.is_none() {
            if let Some(inner) = tool.get("tools") {
                collect(Some(&own_name), inner, found);
            }
            continue;
        }
        let is_custom = kind == "custom";
        if is_custom || namespace.is_some() {
            let name = carried_name(namespace, Cow::Borrowed(&own_name)).into_owned();
            found.push(Carried { name, namespace: namespace.map(str::to_owned), own_name, is_custom });
        }
    }
}
