//! A request's tools and options.

use super::super::super::fields::Field;
use super::super::super::members::write_plain;
use super::super::super::request::{ChatRequest, Effort, Format, Reasoning, ToolChoice};
use super::super::super::write::Members;
use super::super::{DIALECT, OUTPUT_TOKENS_MIN};

/// Tiers by OpenAI's words.
const TIERS: [&str; 6] = ["\"default\"", "\"flex\"", "\"priority\"", "\"fast\"", "\"scale\"", "\"ultrafast\""];

/// The tools, and which of them must be called.
pub(super) fn tools(request: &ChatRequest<'_>, unused: &mut Vec<Field>, body: &mut Members<'_>) {
    if !request.tools.is_empty() {
        body.array("tools", |list| {
            for tool in &request.tools {
                list.object_element(|item| {
                    item.member("type", "function");
                    item.member("name", &tool.name);
                    item.some("description", tool.description.as_deref());
                    match &tool.parameters {
                        Some(schema) if !schema.is_empty_object() => item.raw("parameters", schema),
                        _ => item.written("parameters", r#"{"type":"object","properties":{}}"#),
                    }
                    // Left out, it would mean `true`.
                    item.member("strict", &tool.strict.unwrap_or(false));
                });
            }
        });
    }
    if request.tools.iter().any(|tool| tool.cache_mark.is_some()) && !unused.contains(&Field::CacheMark) {
        unused.push(Field::CacheMark);
    }
    let named = |item: &mut Members<'_>, name: &str| {
        item.member("type", "function");
        item.member("name", name);
    };
    match &request.options.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => body.member("tool_choice", "auto"),
        Some(ToolChoice::None) => body.member("tool_choice", "none"),
        Some(ToolChoice::Required) => body.member("tool_choice", "required"),
        Some(ToolChoice::Named(names)) if names.len() == 1 => {
            body.object("tool_choice", |choice| names.iter().for_each(|name| named(choice, name)));
        }
        Some(ToolChoice::Named(names)) => body.object("tool_choice", |choice| {
            choice.member("type", "allowed_tools");
            choice.member("mode", "required");
            choice.array("tools", |list| names.iter().for_each(|name| list.object_element(|tool| named(tool, name))));
        }),
    }
}

/// Everything beside conversation and tools.
pub(super) fn options(request: &ChatRequest<'_>, unused: &mut Vec<Field>, body: &mut Members<'_>) {
    let options = &request.options;
    write_plain(DIALECT, "", &[Field::OutputTokens, Field::ServiceTier], options, body);
    if let Some(limit) = options.plain(Field::OutputTokens) {
        if limit.value().as_u64().is_some_and(|limit| limit < OUTPUT_TOKENS_MIN) {
            body.member("max_output_tokens", &OUTPUT_TOKENS_MIN);
            unused.push(Field::OutputTokens);
        } else {
            body.raw("max_output_tokens", limit);
        }
    }
    if let Some(tier) = options.plain(Field::ServiceTier) {
        if TIERS.contains(&tier.as_str()) {
            body.raw("service_tier", tier);
        } else {
            unused.push(Field::ServiceTier);
        }
    }
    body.some("parallel_tool_calls", options.parallel_tool_calls.as_ref());
    if options.format.is_some() || options.plain(Field::Verbosity).is_some() {
        body.object("text", |text| {
            if let Some(format) = &options.format {
                text.object("format", |members| write_format(format, members));
            }
            write_plain(DIALECT, "text", &[], options, text);
        });
    }
    if let Some(reasoning) = &options.reasoning {
        write_reasoning(reasoning, body);
    }
    if let Some(alternatives) = options.logprobs.filter(|alternatives| *alternatives > 0) {
        body.member("top_logprobs", &alternatives);
    }
    let thinks = options.reasoning.is_some_and(|asked| asked.wanted() != Some(Effort::None));
    let wanted =
        [(thinks, "reasoning.encrypted_content"), (options.logprobs.is_some(), "message.output_text.logprobs")];
    if wanted.iter().any(|(is_wanted, _)| *is_wanted) {
        body.array("include", |list| {
            wanted.iter().filter(|(is_wanted, _)| *is_wanted).for_each(|(_, name)| list.element(name));
        });
    }
    // Nobody but a client of this dialect expects the provider to keep the answer.
    if options.plain(Field::Store).is_none() {
        body.member("store", &false);
    }
}

fn write_format(format: &Format<'_>, members: &mut Members<'_>) {
    match format {
        Format::JsonObject => members.member("type", "json_object"),
        Format::Schema { name, description, schema, strict } => {
            members.member("type", "json_schema");
            members.member("name", name.as_deref().unwrap_or("answer"));
            members.some("description", description.as_deref());
            members.raw("schema", schema);
            members.some("strict", strict.as_ref());
        }
    }
}

fn write_reasoning(asked: &Reasoning, body: &mut Members<'_>) {
    body.object("reasoning", |members| {
        members.some("effort", asked.wanted().map(Effort::as_str));
        if asked.visible == Some(true) {
            members.member("summary", "auto");
        }
    });
}
