//! A client's request for a chat completion.

use super::{message_reader, option_reader};
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::members::{self, Object, read as typed};
use crate::dialect::chat::request::{ChatRequest, ToolChoice};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use tollgate_plugin_api::Reject;

/// Reads it.
///
/// # Errors
/// `INVALID_REQUEST`, naming the field that cannot be read, or that only this dialect's own providers can have.
pub(super) fn read(body: &str) -> Result<ChatRequest<'_>, Reject> {
    let mut request = ChatRequest::default();
    let mut tools = Tools::default();
    let object = passed_over(Object::read(body, "body")?, &mut request)?;
    members::sort(DialectId::OpenAi, &[], object, &mut request, &mut |request, field, path, value| {
        formed(request, &mut tools, field, path, value)
    })?;
    tools.finish(&mut request);
    last_of_each(&mut request);
    Ok(request)
}

/// What concerns the answer's way alone is taken off; what the caller knows already as well.
fn passed_over<'a>(object: Object<'a>, request: &mut ChatRequest<'a>) -> Result<Object<'a>, Reject> {
    #[derive(Deserialize)]
    struct StreamOptions {
        include_usage: Option<bool>,
    }
    #[derive(Deserialize)]
    struct OpenRouterUsage {
        include: Option<bool>,
    }
    let has_newer_limit = object.get("max_completion_tokens").is_some();
    let mut rest = Vec::with_capacity(object.0.len());
    for (name, value) in object.0 {
        let is_null = value.get() == "null";
        match &*name {
            "model" | "stream" => {}
            "max_tokens" if has_newer_limit => {}
            "stream_options" if !is_null => {
                request.options.include_usage |=
                    typed::<StreamOptions>(value, "stream_options")?.include_usage == Some(true);
            }
            "usage" if !is_null => {
                request.options.include_usage |= typed::<OpenRouterUsage>(value, "usage")?.include == Some(true);
            }
            _ => rest.push((name, value)),
        }
    }
    Ok(Object(rest))
}

/// What is said of tools in several places.
#[derive(Debug, Default)]
struct Tools<'a> {
    /// `functions`: one call at most.
    are_legacy: bool,
    /// Only these may be called.
    allowed: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Tools<'a> {
    fn finish(self, request: &mut ChatRequest<'a>) {
        if self.are_legacy {
            request.options.parallel_tool_calls = Some(false);
        }
        if let Some(allowed) = self.allowed {
            request.tools.retain(|tool| allowed.contains(&tool.name));
        }
    }
}

fn formed<'a>(
    request: &mut ChatRequest<'a>,
    tools: &mut Tools<'a>,
    field: Field,
    path: &str,
    value: &'a RawValue,
) -> Result<(), Reject> {
    match field {
        Field::Messages => message_reader::read(value, request)?,
        Field::Tools if path == "functions" => {
            tools.are_legacy = true;
            option_reader::functions(value, request)?;
        }
        Field::Tools => option_reader::tools(value, request)?,
        Field::ToolChoice => match option_reader::tool_choice(value, path)? {
            option_reader::Chosen::Tool(choice) => request.options.tool_choice = Some(choice),
            option_reader::Chosen::Among(allowed) => {
                request.options.tool_choice = Some(ToolChoice::Auto);
                tools.allowed = Some(allowed.into_iter().collect());
            }
        },
        Field::ParallelToolCalls => request.options.parallel_tool_calls = Some(typed(value, path)?),
        Field::Stop => request.options.stop = option_reader::stop(value, path)?,
        Field::Logprobs => option_reader::logprobs(value, path, request)?,
        Field::JsonObject | Field::JsonSchema => request.options.format = option_reader::format(value, path)?,
        Field::Reasoning => option_reader::reasoning(value, path, request)?,
        Field::ServiceTier => option_reader::service_tier(value, path, request)?,
        _ => return Err(members::untranslatable(path)),
    }
    Ok(())
}

/// A member that stands twice counts once, as everywhere: the last one.
fn last_of_each(request: &mut ChatRequest<'_>) {
    let (plain, mut seen) = (&mut request.options.plain, HashSet::new());
    plain.reverse();
    plain.retain(|(field, _)| seen.insert(*field));
    plain.reverse();
}
