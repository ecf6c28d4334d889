//! Amazon Bedrock's Converse and ConverseStream (Bedrock Runtime's service model of 2023-09-30, as of autumn 2026): one form of
//! conversations for models of many vendors. What Converse has no field for goes into `additionalModelRequestFields`, in the
//! vendor's own words.

mod answer_reader;
mod blocks;
mod model;
mod schemas;
#[cfg(test)]
mod tests;

use super::super::anthropic::schema::OfTool;
use super::super::fields::Field;
use super::super::json::Json;
use super::super::request::{ChatRequest, Format, Tool, ToolChoice};
use super::super::wire::{Inexpressible, Manner, Wire};
use super::super::write::{Members, object};
use super::{offered, upstreams_own};
use crate::dialect::{Answer, DialectId};
use blocks::{Block, Conversation};
use model::Plan;
use std::borrow::Cow;
use std::collections::HashSet;

pub(super) static WIRE: Wire =
    upstreams_own(DialectId::Bedrock, Answer::Converse, write_request, answer_reader::reader);

fn write_request(
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<Vec<u8>, Inexpressible> {
    let options = &request.options;
    let mut conversation = blocks::conversation(request, manner.model, unused)?;
    let tools = offered_tools(request, &conversation)?;
    let taken = model::schemas(manner.model);
    let described: Vec<OfTool<'_>> =
        tools.iter().map(|tool| schemas::of_tool(tool, taken, unused)).collect::<Result<_, _>>()?;
    let format = Shape::of(options.format.as_ref(), taken)?;
    let plan = Plan::of(request, manner, unused)?;
    conversation.end_for(plan.thinks());
    let tier = service_tier(request, unused);

    let mut out = Vec::new();
    object(&mut out, |body| {
        if !conversation.system.is_empty() {
            body.array("system", |list| conversation.system.iter().for_each(|block| block.write(list)));
        }
        body.array("messages", |list| {
            for turn in &conversation.turns {
                list.object_element(|message| {
                    message.member("role", if turn.by_model { "assistant" } else { "user" });
                    message.array("content", |list| turn.blocks.iter().for_each(|block| block.write(list)));
                });
            }
        });
        plan.write_inference(body, &options.stop);
        let takes_cache_points = model::takes_cache_points(manner.model);
        let tools = tools.iter().map(|tool| &**tool).zip(&described);
        write_tools(body, tools, options.tool_choice.as_ref(), takes_cache_points);
        plan.write_additional(body);
        write_output(body, plan.effort(), format.as_ref());
        if let Some(tier) = tier {
            body.object("serviceTier", |object| object.member("type", tier));
        }
    });
    Ok(out)
}

/// Converse has no word for "no call": then no tools are offered. It wants them, though, where calls stand in the
/// conversation; if the client has none (any more), they are what was called.
fn offered_tools<'r>(
    request: &'r ChatRequest<'r>,
    conversation: &Conversation<'r>,
) -> Result<Vec<Cow<'r, Tool<'r>>>, Inexpressible> {
    let choice = request.options.tool_choice.as_ref();
    let tools = offered(&request.tools, choice);
    match choice {
        None | Some(ToolChoice::Auto | ToolChoice::None) if request.tools.is_empty() => Ok(called_tools(conversation)),
        Some(ToolChoice::None) if conversation.has_calls() => {
            Err(Inexpressible::new(Field::ToolChoice, "a turn without calls behind turns with calls"))
        }
        Some(ToolChoice::Required | ToolChoice::Named(_)) if tools.is_empty() => {
            Err(Inexpressible::new(Field::ToolChoice, "a call without tools"))
        }
        _ => Ok(tools.into_iter().map(Cow::Borrowed).collect()),
    }
}

/// Tools of the names that were called, each once. Nothing more is known of them.
fn called_tools<'r>(conversation: &Conversation<'r>) -> Vec<Cow<'r, Tool<'r>>> {
    let mut seen = HashSet::new();
    let names = conversation.called().filter(|name| seen.insert(*name));
    let tool = |name: &'r str| Tool {
        name: Cow::Borrowed(name),
        description: None,
        parameters: None,
        strict: None,
        cache_mark: None,
    };
    names.map(|name| Cow::Owned(tool(name))).collect()
}

fn write_tools<'t>(
    body: &mut Members<'_>,
    tools: impl ExactSizeIterator<Item = (&'t Tool<'t>, &'t OfTool<'t>)>,
    choice: Option<&ToolChoice<'_>>,
    takes_cache_points: bool,
) {
    if tools.len() == 0 {
        return;
    }
    body.object("toolConfig", |config| {
        config.array("tools", |list| {
            for (tool, described) in tools {
                list.object_element(|element| element.object("toolSpec", |spec| write_tool(spec, tool, described)));
                if let Some(mark) = tool.cache_mark.as_ref().filter(|_| takes_cache_points) {
                    Block::CachePoint(mark).write(list);
                }
            }
        });
        match choice {
            Some(ToolChoice::Named(names)) if names.len() == 1 => {
                config.object("toolChoice", |choice| choice.object("tool", |tool| tool.member("name", &names[0])));
            }
            Some(ToolChoice::Required | ToolChoice::Named(_)) => {
                config.object("toolChoice", |choice| choice.object("any", |_| {}));
            }
            Some(ToolChoice::Auto | ToolChoice::None) | None => {}
        }
    });
}

fn write_tool(spec: &mut Members<'_>, tool: &Tool<'_>, described: &OfTool<'_>) {
    spec.member("name", &tool.name);
    spec.some("description", described.description(tool.description.as_deref()).as_ref());
    spec.object("inputSchema", |schema| schema.raw("json", &described.schema));
    if described.strict {
        spec.member("strict", &true);
    }
}

/// What shape the answer must have, as it is written.
struct Shape<'s> {
    name: Option<&'s str>,
    description: Option<&'s str>,
    schema: Json<'s>,
}

impl<'s> Shape<'s> {
    fn of(format: Option<&'s Format<'_>>, taken: model::Schemas) -> Result<Option<Self>, Inexpressible> {
        let Some(Format::Schema { name, description, schema, .. }) = format else { return Ok(None) };
        let schema = schemas::of_answer(schema, taken)?;
        Ok(Some(Self { name: name.as_deref(), description: description.as_deref(), schema }))
    }
}

fn write_output(body: &mut Members<'_>, effort: Option<&str>, format: Option<&Shape<'_>>) {
    if effort.is_none() && format.is_none() {
        return;
    }
    body.object("outputConfig", |config| {
        config.some("effort", effort);
        let Some(shape) = format else { return };
        config.object("textFormat", |format| {
            format.member("type", "json_schema");
            format.object("structure", |structure| {
                structure.object("jsonSchema", |json| {
                    // A text, not an object.
                    json.member("schema", shape.schema.as_str());
                    json.some("name", shape.name);
                    json.some("description", shape.description);
                });
            });
        });
    });
}

fn service_tier(request: &ChatRequest<'_>, unused: &mut Vec<Field>) -> Option<&'static str> {
    match request.options.plain(Field::ServiceTier)?.as_str().trim_matches('"') {
        "priority" => Some("priority"),
        "flex" => Some("flex"),
        "default" | "standard" | "standard_only" | "auto" => None,
        _ => {
            unused.push(Field::ServiceTier);
            None
        }
    }
}
