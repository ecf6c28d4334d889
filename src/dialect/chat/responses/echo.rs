//! What a response repeats of the request it answers: the SDKs' types want most of it.

use super::super::members::Object;
use super::super::write;
use super::tools::{Carried, carried};
use serde_json::value::RawValue;

/// What is repeated, and what stands there if the request does not say it.
const REPEATED: [(&str, &str); 17] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("prompt_cache_retention", "null"),
    ("safety_identifier", "null"),
    ("temperature", "1.0"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];
const REASONING: [(&str, &str); 2] = [("effort", "null"), ("summary", "null")];
const TEXT: [(&str, &str); 2] = [("format", "{\"type\":\"text\"}"), ("verbosity", "\"medium\"")];

/// What of a request [`Echo::of`] needs, as a request that says nothing else: much less than all, as a rule.
pub(super) fn needed(request: &str) -> Vec<u8> {
    let request = Object::read(request, "").unwrap_or_else(|_| Object(Vec::new()));
    let mut out = Vec::new();
    write::object(&mut out, |members| {
        for name in REPEATED.iter().map(|(name, _)| *name).chain(["reasoning", "text"]) {
            if let Some(value) = request.get(name) {
                members.written(name, value.get());
            }
        }
    });
    out
}

/// What a response repeats.
#[derive(Debug)]
pub(super) struct Echo {
    /// Members, without braces.
    pub(super) members: String,
    /// The tools whose calls are written in a way of their own.
    pub(super) tools: Vec<Carried>,
}

impl Echo {
    /// Of this request.
    pub(super) fn of(body: &[u8]) -> Self {
        let body = std::str::from_utf8(body).unwrap_or("{}");
        let request = Object::read(body, "").unwrap_or_else(|_| Object(Vec::new()));
        let mut out = Vec::new();
        write::object(&mut out, |members| {
            repeat(members, Some(&request), &REPEATED);
            // Nothing is kept here: a later request cannot refer to this response.
            members.member("store", &false);
            for (name, inner) in [("reasoning", REASONING), ("text", TEXT)] {
                let asked = request.get(name).and_then(|value| Object::read(value.get(), "").ok());
                members.object(name, |members| repeat(members, asked.as_ref(), &inner));
            }
        });
        let text = String::from_utf8(out).unwrap_or_default();
        let members = text.trim_start_matches('{').strip_suffix('}').unwrap_or_default().to_owned();
        Self { members, tools: request.get("tools").map(carried).unwrap_or_default() }
    }
}

fn repeat(members: &mut write::Members<'_>, asked: Option<&Object<'_>>, names: &[(&str, &str)]) {
    for (name, otherwise) in names {
        let value = asked.and_then(|object| object.get(name)).map_or(*otherwise, RawValue::get);
        members.written(name, value);
    }
}
