//! Writes a request to Messages.
//!
//! Where Anthropic refuses two things together, this one yields, and the answer says so:
//!
//! * thinking, where a tool must be called (what was asked for is a call), where its budget does not fit below
//!   the output limit (the limit is the client's money), and where the answer is begun without it (a prefill);
//! * `temperature`, `top_k` and a low `top_p`, where the model thinks; `top_p` beside `temperature`; all three where
//!   the model takes none of them. A temperature above 1 is 1.

mod media;
pub(in crate::dialect::chat) mod sampling;
pub(in crate::dialect::chat) mod thinking;
mod turns;
pub(in crate::dialect::chat) mod unique;

use super::super::fields::Field;
use super::super::json::Json;
use super::super::members::write_plain;
use super::super::request::{ChatRequest, Format, Options, Tool, ToolChoice};
use super::super::wire::{Inexpressible, Manner};
use super::super::write::{Members, object};
use super::{models, schema};
use crate::dialect::DialectId;
use sampling::Sampled;
use std::collections::HashSet;
use turns::{Block, Side, Turn};

/// The longest name of a tool.
const NAME_CHARS_MAX: usize = 128;
/// What is not written along the table.
const OWN: [Field; 5] = [Field::OutputTokens, Field::Temperature, Field::TopP, Field::TopK, Field::ServiceTier];

/// Writes a request's body.
///
/// # Errors
/// It has something that Messages cannot express.
pub(super) fn write_request(
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<Vec<u8>, Inexpressible> {
    let options = &request.options;
    let model = models::model(manner.model);
    let tools = offered(request)?;
    let format = enforced_format(options)?;
    model.check_choice(options.tool_choice.as_ref())?;
    let choice = tool_choice(options, &tools)?;
    if options.stop.iter().any(|stop| stop.trim().is_empty()) {
        return Err(Inexpressible::new(Field::Stop, "a stop sequence of white space alone"));
    }
    let mut conversation = turns::conversation(request, model.binds_thoughts, unused)?;
    let limit = options.plain(Field::OutputTokens).cloned().unwrap_or_else(|| Json::of(&manner.output_tokens_default));
    // The thoughts are of a conversation with all of the tools.
    if model.binds_thoughts && tools.len() < request.tools.len() && conversation.has_thoughts() {
        return Err(Inexpressible::new(Field::ToolChoice, "a choice among several tools behind thoughts"));
    }
    let asked = thinking::Asked {
        limit: limit.as_str().parse().unwrap_or(manner.output_tokens_default),
        must_call: matches!(choice, Some(Choice { kind: "any" | "tool", .. })),
        began_without: conversation.calls_began_without_thoughts(),
        is_prefilled: conversation.is_prefilled_without_thoughts(),
    };
    let plan = thinking::plan(options.reasoning, model, &asked, unused);
    conversation.end_for(plan.thinks());
    let sampled = Sampled::of(options, model.sampling, plan.thinks(), unused);
    let tier = service_tier(options, unused);

    let mut out = Vec::new();
    object(&mut out, |body| {
        body.member("model", manner.model);
        body.raw("max_tokens", &limit);
        if request.stream {
            body.member("stream", &true);
        }
        write_system(body, &conversation.system);
        body.array("messages", |list| {
            conversation.turns.iter().for_each(|turn| list.object_element(|message| write_turn(message, turn)));
        });
        write_tools(body, &tools, choice.as_ref(), unused);
        plan.write_thinking(body);
        write_output_config(body, plan.effort, format.as_ref());
        if options.plain(Field::User).is_some() {
            body.object("metadata", |group| write_plain(DialectId::Anthropic, "metadata", &OWN, options, group));
        }
        sampled.write(body);
        body.some("service_tier", tier);
        if !options.stop.is_empty() {
            body.member("stop_sequences", &options.stop);
        }
        write_plain(DialectId::Anthropic, "", &OWN, options, body);
    });
    Ok(out)
}

/// Anthropic knows whether capacity that is paid for in advance may be used; other tiers are no words of its.
fn service_tier(options: &Options<'_>, unused: &mut Vec<Field>) -> Option<&'static str> {
    match options.plain(Field::ServiceTier)?.as_str().trim_matches('"') {
        "auto" | "priority" => Some("auto"),
        "default" | "standard" | "standard_only" => Some("standard_only"),
        _ => {
            unused.push(Field::ServiceTier);
            None
        }
    }
}

/// The schema of the answer, which Anthropic always enforces.
fn enforced_format<'r>(options: &'r Options<'_>) -> Result<Option<Json<'r>>, Inexpressible> {
    let Some(Format::Schema { schema, description, .. }) = &options.format else { return Ok(None) };
    let enforced = schema::enforced(schema, description.as_deref());
    enforced.map(Some).map_err(|_| Inexpressible::new(Field::JsonSchema, schema::OPEN))
}

fn write_output_config(body: &mut Members<'_>, effort: Option<&'static str>, format: Option<&Json<'_>>) {
    if effort.is_none() && format.is_none() {
        return;
    }
    body.object("output_config", |config| {
        config.some("effort", effort);
        if let Some(schema) = format {
            config.object("format", |format| {
                format.member("type", "json_schema");
                format.raw("schema", schema);
            });
        }
    });
}

/// Instructions of one text are one text; so is a message's content.
fn write_content(owner: &mut Members<'_>, name: &str, blocks: &[Block<'_>]) {
    match blocks {
        [Block::Text { text, mark: None }] => owner.member(name, text),
        _ => owner.array(name, |list| {
            blocks.iter().for_each(|block| list.object_element(|element| write_block(element, block)));
        }),
    }
}

fn write_system(body: &mut Members<'_>, system: &[Block<'_>]) {
    if !system.is_empty() {
        write_content(body, "system", system);
    }
}

fn write_turn(message: &mut Members<'_>, turn: &Turn<'_>) {
    let role = match turn.side {
        Side::User => "user",
        Side::Model => "assistant",
        Side::Operator => "system",
    };
    message.member("role", role);
    write_content(message, "content", &turn.blocks);
}

fn write_block(element: &mut Members<'_>, block: &Block<'_>) {
    match block {
        Block::Text { text, .. } => {
            element.member("type", "text");
            element.member("text", text);
        }
        Block::Media { media, .. } => media.write(element),
        Block::Thinking { text, signature } => {
            element.member("type", "thinking");
            element.member("thinking", text);
            element.member("signature", signature);
        }
        Block::Redacted { data } => {
            element.member("type", "redacted_thinking");
            element.member("data", data);
        }
        Block::Call { id, name, input, .. } => {
            element.member("type", "tool_use");
            element.member("id", id);
            element.member("name", name);
            element.raw("input", input);
        }
        Block::Result { id, content, is_error, .. } => {
            element.member("type", "tool_result");
            element.member("tool_use_id", id);
            if !content.is_empty() {
                write_content(element, "content", content);
            }
            if *is_error {
                element.member("is_error", &true);
            }
        }
    }
    if let Some(mark) = block.mark() {
        element.raw("cache_control", mark);
    }
}

/// The tools that the model may call. Where it must call one of several, it is offered these alone.
fn offered<'r, 'a>(request: &'r ChatRequest<'a>) -> Result<Vec<&'r Tool<'a>>, Inexpressible> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let named: Option<HashSet<&str>> = match &request.options.tool_choice {
        Some(ToolChoice::Named(names)) if names.len() > 1 => Some(names.iter().map(|name| &**name).collect()),
        _ => None,
    };
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        if tool.name.is_empty() || tool.name.len() > NAME_CHARS_MAX || !tool.name.chars().all(fits) {
            let what = "a name of a tool that is not of letters, digits, _ and -";
            return Err(Inexpressible::new(Field::Tools, what));
        }
        if named.as_ref().is_none_or(|named| named.contains(&*tool.name)) {
            tools.push(tool);
        }
    }
    Ok(tools)
}

struct Choice<'r> {
    kind: &'static str,
    name: Option<&'r str>,
    one_at_a_time: bool,
}

fn tool_choice<'r>(options: &'r Options<'_>, tools: &[&Tool<'_>]) -> Result<Option<Choice<'r>>, Inexpressible> {
    let one_at_a_time = options.parallel_tool_calls == Some(false);
    let (kind, name) = match &options.tool_choice {
        Some(_) if tools.is_empty() => return Err(Inexpressible::new(Field::ToolChoice, "a call without tools")),
        None if !one_at_a_time => return Ok(None),
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(names)) => match &**names {
            [name] => ("tool", Some(&**name)),
            _ => ("any", None),
        },
    };
    Ok(Some(Choice { kind, name, one_at_a_time: one_at_a_time && kind != "none" }))
}

fn write_tools(body: &mut Members<'_>, tools: &[&Tool<'_>], choice: Option<&Choice<'_>>, unused: &mut Vec<Field>) {
    if tools.is_empty() {
        return;
    }
    body.array("tools", |list| {
        tools.iter().for_each(|tool| list.object_element(|element| write_tool(element, tool, unused)));
    });
    if let Some(choice) = choice {
        body.object("tool_choice", |object| {
            object.member("type", choice.kind);
            object.some("name", choice.name);
            if choice.one_at_a_time {
                object.member("disable_parallel_tool_use", &true);
            }
        });
    }
}

fn write_tool(element: &mut Members<'_>, tool: &Tool<'_>, unused: &mut Vec<Field>) {
    let asked = tool.strict == Some(true);
    let described = schema::of_tool(tool.parameters.as_ref(), asked);
    if asked && !described.strict {
        unused.push(Field::ToolStrict);
    }
    element.member("name", &tool.name);
    element.some("description", described.description(tool.description.as_deref()).as_ref());
    element.raw("input_schema", &described.schema);
    if described.strict {
        element.member("strict", &true);
    }
    if let Some(mark) = &tool.cache_mark {
        element.raw("cache_control", mark);
    }
}
