//! Reads a request to Messages.

mod content;

use super::super::fields::Field;
use super::super::json::{Json, Text};
use super::super::members::{Object, invalid, read, schema, sort, untranslatable};
use super::super::request::{ChatRequest, Effort, Format, Message, Part, Reasoning, Role, Tool, ToolChoice};
use crate::dialect::DialectId;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tollgate_plugin_api::Reject;

/// The caller knows them, or they say which version of the dialect is spoken (in bodies made for clouds).
const PASSED_OVER: [&str; 3] = ["model", "stream", "anthropic_version"];
/// Members at the top that change no answer's meaning, and that Anthropic alone knows.
const HINTS: [&str; 8] = [
    "anthropic_beta",
    "diagnostics",
    "speed",
    "fallbacks",
    "fallback_credit_token",
    "user_profile_id",
    "workspace_id",
    "billing_policy",
];
/// Of a tool: examples for the model, when to load it, how to stream its input.
const TOOL_HINTS: [&str; 3] = ["input_examples", "defer_loading", "eager_input_streaming"];
/// Claude Code's first instruction is for Anthropic's accounting, and another one in each request: elsewhere it would
/// only keep the prompt's beginning from being found in a cache.
const ACCOUNTING: &str = "x-anthropic-billing-header:";

/// What is put together from several members.
#[derive(Default)]
struct Seen<'a> {
    system: Option<Message<'a>>,
    thinking: Option<Reasoning>,
    effort: Option<Effort>,
    cache_mark: Option<Json<'a>>,
}

/// Reads a request's body.
///
/// # Errors
/// `INVALID_REQUEST`: it is not what the dialect says, or has something that only Anthropic understands.
pub(super) fn read_request(body: &str) -> Result<ChatRequest<'_>, Reject> {
    let mut object = Object::read(body, "body")?;
    let (mut request, mut seen) = (ChatRequest::default(), Seen::default());
    request.options.include_usage = true;
    let output_config = object.get("output_config");
    object.0.retain(|(name, value)| {
        if HINTS.contains(&&**name) && !matches!(value.get(), "null" | "\"standard\"") {
            leave_out(&mut request, name.clone().into_owned());
        }
        let own = name == "output_config" || HINTS.contains(&&**name) || PASSED_OVER.contains(&&**name);
        !own
    });
    sort(DialectId::Anthropic, &["metadata"], object, &mut request, &mut |request, field, path, value| {
        take(request, &mut seen, field, path, value)
    })?;
    if let Some(config) = output_config {
        read_output_config(&mut request, &mut seen, config)?;
    }
    finish(&mut request, seen);
    Ok(request)
}

fn finish<'a>(request: &mut ChatRequest<'a>, seen: Seen<'a>) {
    if let Some(system) = seen.system {
        request.messages.insert(0, system);
    }
    if let (Some(mark), Some(last)) = (seen.cache_mark, request.messages.last_mut()) {
        last.parts.push(Part::CacheMark(mark));
    }
    request.options.reasoning = match (seen.thinking, seen.effort) {
        (Some(Reasoning { effort: Some(Effort::None), .. }), Some(_)) => {
            leave_out(request, "output_config.effort");
            seen.thinking
        }
        (Some(thinking), effort) => Some(Reasoning { effort: thinking.effort.or(effort), ..thinking }),
        (None, Some(effort)) => Some(Reasoning { effort: Some(effort), ..Reasoning::default() }),
        (None, None) => None,
    };
}

fn leave_out(request: &mut ChatRequest<'_>, name: impl Into<Cow<'static, str>>) {
    let name = name.into();
    if !request.left_out.contains(&name) {
        request.left_out.push(name);
    }
}

/// Looks at an object's members: `known` ones are read by the caller, `hints` (also by their path in `name`) are left
/// out.
fn only<'a>(
    request: &mut ChatRequest<'_>,
    object: &Object<'a>,
    path: &str,
    name: &str,
    known: &[&str],
    hints: &[&str],
) -> Result<(), Reject> {
    for (member, value) in &object.0 {
        if value.get() == "null" || known.contains(&&**member) {
            continue;
        }
        if !hints.contains(&&**member) {
            return Err(untranslatable(&format!("{path}.{member}")));
        }
        if !matches!(value.get(), "false" | "[]") {
            leave_out(request, format!("{name}.{member}"));
        }
    }
    Ok(())
}

/// A member that must be there.
fn needed<'a, T: Deserialize<'a>>(object: &Object<'a>, path: &str, name: &str) -> Result<T, Reject> {
    let path = format!("{path}.{name}");
    read(object.get(name).ok_or_else(|| invalid(&path, "it is missing"))?, &path)
}

/// A member that may be there.
fn maybe<'a, T: Deserialize<'a>>(object: &Object<'a>, path: &str, name: &str) -> Result<Option<T>, Reject> {
    object.get(name).map(|value| read(value, &format!("{path}.{name}"))).transpose()
}

fn needed_text<'a>(object: &Object<'a>, path: &str, name: &str) -> Result<Cow<'a, str>, Reject> {
    needed::<Text<'a>>(object, path, name).map(|text| text.0)
}

fn maybe_text<'a>(object: &Object<'a>, path: &str, name: &str) -> Result<Option<Cow<'a, str>>, Reject> {
    maybe::<Text<'a>>(object, path, name).map(|text| text.map(|text| text.0))
}

fn take<'a>(
    request: &mut ChatRequest<'a>,
    seen: &mut Seen<'a>,
    field: Field,
    path: &str,
    value: &'a RawValue,
) -> Result<(), Reject> {
    match field {
        Field::Messages => content::read_messages(request, value),
        Field::Instructions => {
            let parts = content::read_parts(request, value, path, content::IN_SYSTEM)?;
            let is_accounting =
                |part: &Part<'_>| matches!(part, Part::Text { text, .. } if text.starts_with(ACCOUNTING));
            let count = parts.len();
            let parts: Vec<Part<'a>> = parts.into_iter().filter(|part| !is_accounting(part)).collect();
            if parts.len() < count {
                leave_out(request, "system.x-anthropic-billing-header");
            }
            seen.system = (!parts.is_empty()).then_some(Message { role: Role::System, name: None, parts });
            Ok(())
        }
        Field::Tools => {
            let tools: Vec<&'a RawValue> = read(value, path)?;
            for (index, tool) in tools.into_iter().enumerate() {
                read_tool(request, tool, &format!("{path}[{index}]"))?;
            }
            Ok(())
        }
        Field::ToolChoice => read_tool_choice(request, value, path),
        Field::Stop => {
            let stop: Vec<Text<'a>> = read(value, path)?;
            request.options.stop = stop.into_iter().map(|text| text.0).collect();
            Ok(())
        }
        Field::Reasoning => {
            seen.thinking = Some(read_thinking(value, path)?);
            Ok(())
        }
        Field::JsonSchema => read_format(request, value, path),
        Field::ServiceTier => match &*read::<Text<'a>>(value, path)?.0 {
            "standard_only" => {
                request.options.plain.push((Field::ServiceTier, Json::of(&"default")));
                Ok(())
            }
            _ => Err(invalid(path, "`auto` or `standard_only` is expected")),
        },
        Field::CacheMark => {
            seen.cache_mark = Some(Json::raw(value));
            Ok(())
        }
        _ => Err(untranslatable(path)),
    }
}

fn read_output_config<'a>(
    request: &mut ChatRequest<'a>,
    seen: &mut Seen<'a>,
    value: &'a RawValue,
) -> Result<(), Reject> {
    let path = "output_config";
    let config = Object::read(value.get(), path)?;
    only(request, &config, path, path, &["effort", "format"], &["task_budget"])?;
    if let Some(word) = maybe_text(&config, path, "effort")? {
        let effort = Effort::parse(&word);
        seen.effort = Some(effort.ok_or_else(|| invalid("output_config.effort", "an effort is expected"))?);
    }
    match config.get("format") {
        Some(format) => read_format(request, format, "output_config.format"),
        None => Ok(()),
    }
}

/// `{type: json_schema, schema}`; always enforced.
fn read_format<'a>(request: &mut ChatRequest<'a>, value: &'a RawValue, path: &str) -> Result<(), Reject> {
    let format = Object::read(value.get(), path)?;
    only(request, &format, path, path, &["type", "schema"], &[])?;
    if needed_text(&format, path, "type")? != "json_schema" {
        return Err(untranslatable(&format!("{path}.type")));
    }
    let schema = schema(needed(&format, path, "schema")?, &format!("{path}.schema"))?;
    request.options.format = Some(Format::Schema { name: None, description: None, schema, strict: Some(true) });
    Ok(())
}

fn read_thinking(value: &RawValue, path: &str) -> Result<Reasoning, Reject> {
    let object = Object::read(value.get(), path)?;
    only(&mut ChatRequest::default(), &object, path, path, &["type", "budget_tokens", "display"], &[])?;
    let visible = match maybe_text(&object, path, "display")?.as_deref() {
        Some("omitted") => Some(false),
        Some(_) => Some(true),
        None => None,
    };
    match &*needed_text(&object, path, "type")? {
        "disabled" => Ok(Reasoning { effort: Some(Effort::None), ..Reasoning::default() }),
        "enabled" => {
            // Models that know budgets show their thoughts unless they are told not to.
            let budget_tokens = Some(needed(&object, path, "budget_tokens")?);
            Ok(Reasoning { effort: None, budget_tokens, visible: visible.or(Some(true)) })
        }
        "adaptive" | "between_tools" => Ok(Reasoning { visible, ..Reasoning::default() }),
        _ => Err(untranslatable(&format!("{path}.type"))),
    }
}

/// How the types of the provider's own search of the web begin; a date follows.
const SEARCHES: [&str; 2] = ["web_search_", "web_fetch_"];

fn read_tool<'a>(request: &mut ChatRequest<'a>, value: &'a RawValue, path: &str) -> Result<(), Reject> {
    let tool = Object::read(value.get(), path)?;
    match maybe_text(&tool, path, "type")?.as_deref() {
        None | Some("custom") => {}
        Some(kind) if SEARCHES.iter().any(|search| kind.starts_with(search)) => {
            request.searches.push(format!("{path}.type"));
            return Ok(());
        }
        Some(_) => return Err(untranslatable(&format!("{path}.type"))),
    }
    // A tool that only the provider's own sandbox may call is none for another provider's model.
    if let Some(callers) = maybe::<Vec<Text<'a>>>(&tool, path, "allowed_callers")? {
        if !callers.iter().any(|caller| caller.as_str() == "direct") {
            return Err(untranslatable(&format!("{path}.allowed_callers")));
        }
        if callers.len() > 1 {
            leave_out(request, "tools.allowed_callers");
        }
    }
    let known = ["type", "name", "description", "input_schema", "strict", "cache_control", "allowed_callers"];
    only(request, &tool, path, "tools", &known, &TOOL_HINTS)?;
    request.tools.push(Tool {
        name: needed_text(&tool, path, "name")?,
        description: maybe_text(&tool, path, "description")?,
        parameters: tool.get("input_schema").map(|value| schema(value, &format!("{path}.input_schema"))).transpose()?,
        strict: maybe(&tool, path, "strict")?,
        cache_mark: tool.get("cache_control").map(Json::raw),
    });
    Ok(())
}

fn read_tool_choice<'a>(request: &mut ChatRequest<'a>, value: &'a RawValue, path: &str) -> Result<(), Reject> {
    let choice = Object::read(value.get(), path)?;
    only(request, &choice, path, path, &["type", "name", "disable_parallel_tool_use"], &[])?;
    let one_at_a_time = maybe(&choice, path, "disable_parallel_tool_use")?.unwrap_or(false);
    if one_at_a_time {
        request.options.parallel_tool_calls = Some(false);
    }
    request.options.tool_choice = match &*needed_text(&choice, path, "type")? {
        // It is there for the sake of the other member.
        "auto" if one_at_a_time => None,
        "auto" => Some(ToolChoice::Auto),
        "any" => Some(ToolChoice::Required),
        "none" => Some(ToolChoice::None),
        "tool" => Some(ToolChoice::Named(vec![needed_text(&choice, path, "name")?])),
        _ => return Err(untranslatable(&format!("{path}.type"))),
    };
    Ok(())
}
