//! Wire formats that upstreams alone speak: requests are written into them, answers read from them. What their files share
//! stands here.

mod bedrock;
mod cohere;
mod dashscope;
mod ollama;
#[cfg(test)]
mod tests;
mod told;
mod turns;

use super::fields::Field;
use super::json::Json;
use super::request::{Effort, Media, Reasoning, Source, Tool, ToolCall, ToolChoice};
use super::wire::{AnswerReader, Inexpressible, Wire, WriteRequest};
use super::write::Members;
use crate::dialect::{Answer, DialectId};
use std::borrow::Cow;
use std::collections::HashSet;

/// All of them.
pub(super) static WIRES: [&Wire; 4] = [&bedrock::WIRE, &cohere::WIRE, &dashscope::WIRE, &ollama::WIRE];

/// A format that no client speaks.
const fn upstreams_own(
    dialect: DialectId,
    answer: Answer,
    write_request: WriteRequest,
    answer_reader: fn() -> Box<dyn AnswerReader>,
) -> Wire {
    Wire {
        dialect,
        answer,
        read_request: None,
        write_request,
        answer_reader,
        answer_writer: None,
        repeats: None,
        lacks: None,
        closed_schemas: false,
    }
}

/// The schema of a tool that takes nothing.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// A call's arguments, as the JSON object that they must be here.
fn arguments<'c>(call: &'c ToolCall<'_>) -> Result<Json<'c>, Inexpressible> {
    let text = if call.arguments.trim().is_empty() { "{}" } else { &*call.arguments };
    Json::parse(Cow::Borrowed(text))
        .filter(Json::is_object)
        .ok_or_else(|| Inexpressible::new(Field::Messages, "tool arguments that are no JSON object"))
}

/// A tool's schema; one without takes an empty object.
fn parameters<'t>(tool: &'t Tool<'_>) -> Json<'t> {
    let text = tool.parameters.as_ref().map_or(NO_ARGUMENTS, Json::as_str);
    Json::parse(Cow::Borrowed(text)).unwrap_or_else(|| Json::of(&()))
}

/// Tools as OpenAI's chat has them, and most others too. None of these formats says of one tool that it is strict: whoever
/// writes them leaves that out ([`leave_out_strict`]), or says it of all.
fn function_tools(body: &mut Members<'_>, tools: &[&Tool<'_>]) {
    body.array("tools", |list| {
        for tool in tools {
            list.object_element(|element| {
                element.member("type", "function");
                element.object("function", |function| {
                    function.member("name", &tool.name);
                    function.some("description", tool.description.as_deref());
                    function.raw("parameters", &parameters(tool));
                });
            });
        }
    });
}

/// Notes that no tool's schema is enforced, where that was asked for.
fn leave_out_strict(tools: &[&Tool<'_>], unused: &mut Vec<Field>) {
    unused.extend(tools.iter().any(|tool| tool.strict == Some(true)).then_some(Field::ToolStrict));
}

/// The tools that the model may call: none where it must not, and of several named ones these alone.
fn offered<'r, 'a>(tools: &'r [Tool<'a>], choice: Option<&ToolChoice<'_>>) -> Vec<&'r Tool<'a>> {
    let named: HashSet<&str> = match choice {
        Some(ToolChoice::None) => return Vec::new(),
        Some(ToolChoice::Named(names)) => names.iter().map(|name| &**name).collect(),
        _ => return tools.iter().collect(),
    };
    tools.iter().filter(|tool| named.contains(&*tool.name)).collect()
}

/// The thinking that is asked for, where it is on or off, and has a budget or none; high efforts have none. Outer `None`: nothing is
/// said. A budget of 0: none is wanted.
fn thinking_budget(reasoning: Reasoning) -> Option<Option<u64>> {
    let budget = reasoning.budget_tokens.or_else(|| match reasoning.effort {
        Some(effort) if effort < Effort::High => Some(effort.budget_tokens()),
        _ => None,
    });
    let is_said = budget.is_some() || reasoning.effort.is_some() || reasoning.visible == Some(true);
    is_said.then_some(budget)
}

/// A medium's address: its own, or one that has its bytes in it. `None`: it has neither.
fn url<'m>(media: &'m Media<'_>, mime_type: &str) -> Option<Cow<'m, str>> {
    match &media.source {
        Source::Url(url) => Some(Cow::Borrowed(url)),
        Source::Base64(bytes) => Some(format!("data:{};base64,{bytes}", mime(media, mime_type)).into()),
        Source::Text(_) | Source::File(_) => None,
    }
}

/// What a medium says it is, or what it is likely to be.
fn mime<'m>(media: &'m Media<'_>, likely: &'m str) -> &'m str {
    media.mime_type.as_deref().unwrap_or(likely)
}
