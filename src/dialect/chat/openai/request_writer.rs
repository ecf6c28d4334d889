//! A request for a chat completion, for an upstream.

use super::message_writer;
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::json::Json;
use crate::dialect::chat::members::write_plain;
use crate::dialect::chat::request::{ChatRequest, Effort, Format, Options, Reasoning, Tool, ToolChoice};
use crate::dialect::chat::wire::{Inexpressible, Manner, ReasoningForm};
use crate::dialect::chat::write::{self, Members};

/// Where a JSON schema has no name: OpenAI must have one.
const SCHEMA_NAME: &str = "answer";
/// Plain options that are written in a form of their own.
const FORMED: [Field; 4] = [Field::OutputTokens, Field::ServiceTier, Field::Modalities, Field::Seed];
/// The tiers that OpenAI and its like can be asked for.
const TIERS: [&str; 6] = ["default", "flex", "priority", "scale", "fast", "ultrafast"];

/// Writes it.
///
/// # Errors
/// It has something that chat completions have not.
pub(super) fn write(
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<Vec<u8>, Inexpressible> {
    let (mut out, mut outcome) = (Vec::new(), Ok(()));
    write::object(&mut out, |members| {
        members.member("model", manner.model);
        members.array("messages", |list| outcome = message_writer::write(list, request, manner, unused));
        if request.stream {
            members.member("stream", &true);
            if manner.asks_for_usage {
                members.object("stream_options", |options| options.member("include_usage", &true));
            }
        }
        let limit = if manner.rules.names_newer_limit(manner.model) { "max_completion_tokens" } else { "max_tokens" };
        if let Some(tokens) = request.options.plain(Field::OutputTokens) {
            members.raw(limit, tokens);
        }
        if let Some(seed) = request.options.plain(Field::Seed) {
            members.raw(if manner.rules.random_seed { "random_seed" } else { "seed" }, seed);
        }
        write_plain(DialectId::OpenAi, "", &FORMED, &request.options, members);
        tools(members, request, unused);
        options(members, &request.options, unused);
        if let Some(asked) = &request.options.reasoning {
            reasoning(members, asked, manner.reasoning_form());
        }
    });
    outcome.map(|()| out)
}

fn options(members: &mut Members<'_>, options: &Options<'_>, unused: &mut Vec<Field>) {
    if !options.stop.is_empty() {
        members.member("stop", &options.stop);
    }
    if let Some(alternatives) = options.logprobs {
        members.member("logprobs", &true);
        members.some("top_logprobs", Some(alternatives).filter(|count| *count > 0).as_ref());
    }
    if let Some(format) = &options.format {
        members.object("response_format", |members| response_format(members, format));
    }
    if let Some(tier) = options.plain(Field::ServiceTier).map(Json::value) {
        match tier.as_str().and_then(|word| TIERS.iter().find(|tier| tier.eq_ignore_ascii_case(word))) {
            Some(tier) => members.member("service_tier", tier),
            None => unused.push(Field::ServiceTier),
        }
    }
    // Gemini's words are the same in upper case.
    if let Some(wanted) = options.plain(Field::Modalities) {
        let wanted: Vec<String> = serde_json::from_str(wanted.as_str()).unwrap_or_default();
        let wanted: Vec<String> = wanted.iter().map(|word| word.to_ascii_lowercase()).collect();
        members.member("modalities", &wanted);
    }
}

fn response_format(members: &mut Members<'_>, format: &Format<'_>) {
    match format {
        Format::JsonObject => members.member("type", "json_object"),
        Format::Schema { name, description, schema, strict } => {
            members.member("type", "json_schema");
            members.object("json_schema", |members| {
                members.member("name", name.as_deref().unwrap_or(SCHEMA_NAME));
                members.some("description", description.as_ref());
                members.raw("schema", schema);
                members.some("strict", strict.as_ref());
            });
        }
    }
}

/// Tools, and what is said of them: providers refuse that without tools.
fn tools(members: &mut Members<'_>, request: &ChatRequest<'_>, unused: &mut Vec<Field>) {
    if request.tools.is_empty() {
        return;
    }
    members.array("tools", |list| {
        for tool in &request.tools {
            list.object_element(|entry| {
                entry.member("type", "function");
                entry.object("function", |members| function(members, tool));
            });
        }
    });
    if request.tools.iter().any(|tool| tool.cache_mark.is_some()) {
        unused.push(Field::CacheMark);
    }
    if let Some(choice) = &request.options.tool_choice {
        tool_choice(members, choice);
    }
    if request.options.parallel_tool_calls == Some(false) {
        members.member("parallel_tool_calls", &false);
    }
}

fn function(members: &mut Members<'_>, tool: &Tool<'_>) {
    members.member("name", &tool.name);
    members.some("description", tool.description.as_ref());
    match &tool.parameters {
        Some(schema) if !schema.is_empty_object() => members.raw("parameters", schema),
        // Some vendors want a schema even where there is nothing to say, and OpenAI one of an object.
        _ => members.object("parameters", |schema| {
            schema.member("type", "object");
            schema.object("properties", |_| {});
        }),
    }
    // Not so is the default.
    members.some("strict", tool.strict.filter(|strict| *strict).as_ref());
}

fn tool_choice(members: &mut Members<'_>, choice: &ToolChoice<'_>) {
    let named = |entry: &mut Members<'_>, name: &str| {
        entry.member("type", "function");
        entry.object("function", |function| function.member("name", name));
    };
    match choice {
        ToolChoice::Auto => members.member("tool_choice", "auto"),
        ToolChoice::None => members.member("tool_choice", "none"),
        ToolChoice::Required => members.member("tool_choice", "required"),
        ToolChoice::Named(names) => match &**names {
            [name] => members.object("tool_choice", |choice| named(choice, name)),
            names => members.object("tool_choice", |choice| {
                choice.member("type", "allowed_tools");
                choice.object("allowed_tools", |allowed| {
                    allowed.member("mode", "required");
                    allowed.array("tools", |list| {
                        names.iter().for_each(|name| list.object_element(|entry| named(entry, name)));
                    });
                });
            }),
        },
    }
}

/// How hard to think, in the vendor's way. Whether thoughts are shown has no place but OpenRouter's.
fn reasoning(members: &mut Members<'_>, asked: &Reasoning, form: ReasoningForm) {
    let effort = asked.wanted();
    let is_on = effort.map(|effort| effort != Effort::None);
    match form {
        ReasoningForm::Effort => members.some("reasoning_effort", effort.map(Effort::as_str)),
        ReasoningForm::Object => members.object("reasoning", |object| {
            match (asked.budget_tokens, asked.effort) {
                (Some(tokens), None) if tokens > 0 => object.member("max_tokens", &tokens),
                _ => object.some("effort", effort.map(Effort::as_str)),
            }
            object.some("exclude", asked.visible.map(|visible| !visible).as_ref());
        }),
        ReasoningForm::Thinking | ReasoningForm::Switch => {
            if let Some(is_on) = is_on {
                members.object("thinking", |object| object.member("type", if is_on { "enabled" } else { "disabled" }));
                // DeepSeek's own word for most is `max`.
                let said = effort.filter(|_| is_on && form == ReasoningForm::Thinking);
                members.some("reasoning_effort", said.map(Effort::as_str));
            }
        }
        ReasoningForm::EnableThinking => {
            members.some("enable_thinking", is_on.as_ref());
            let budget = asked.budget_tokens.or(asked.effort.map(Effort::budget_tokens));
            members.some("thinking_budget", budget.filter(|tokens| *tokens > 0).as_ref());
        }
    }
}
