//! Reads a `GenerateContentRequest`.

use super::contents_reader::Conversation;
use super::schema::to_json_schema;
use super::spelling::{list, object, object_of, text, word};
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::members::{Object, invalid, read, schema, sort, untranslatable};
use crate::dialect::chat::{ChatRequest, Effort, Format, Json, Message, Reasoning, Role, Tool, ToolChoice};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use tollgate_plugin_api::Reject;

const CONFIG: &str = "generationConfig";
const CALLING: &str = "toolConfig.functionCallingConfig";
const FUNCTION: &str = "tools.functionDeclarations";

/// Members of a function that say nothing to the model of another provider.
const FUNCTION_HINTS: [(&str, &str); 3] = [
    ("response", "tools.functionDeclarations.response"),
    ("responseJsonSchema", "tools.functionDeclarations.responseJsonSchema"),
    ("behavior", "tools.functionDeclarations.behavior"),
];

/// `FunctionCallingConfig`'s modes, in the order of their numbers.
const MODES: [&str; 5] = ["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"];
/// Plain values that are whole numbers.
const COUNTS: [Field; 4] = [Field::OutputTokens, Field::TopK, Field::Seed, Field::Choices];
/// Plain values that are other numbers.
const NUMBERS: [Field; 4] = [Field::Temperature, Field::TopP, Field::FrequencyPenalty, Field::PresencePenalty];

/// What stands in several members and is put together at the end.
#[derive(Default)]
struct Seen<'a> {
    instructions: Option<Message<'a>>,
    mime_type: Option<String>,
    schema: Option<Json<'a>>,
    wants_logprobs: bool,
    logprobs: Option<u64>,
    /// With the mode VALIDATED: the only functions that may be called, if any must be.
    allowed: Vec<Cow<'a, str>>,
}

/// Reads the body. The model stands in the path, as does whether the answer is to come in events.
pub(super) fn read_request(body: &str) -> Result<ChatRequest<'_>, Reject> {
    let (mut request, mut seen) = (ChatRequest::default(), Seen::default());
    sort(DialectId::Gemini, &[], flat(body)?, &mut request, &mut |request, field, path, value| {
        formed(request, &mut seen, field, path, value)
    })?;
    if let Some(instructions) = seen.instructions.take() {
        request.messages.insert(0, instructions);
    }
    request.options.format = format(&mut seen)?;
    request.options.logprobs = match (seen.wants_logprobs, seen.logprobs) {
        (false, Some(_)) => return Err(invalid("generationConfig.logprobs", "only with responseLogprobs")),
        (wants, count) => wants.then(|| count.unwrap_or(0)),
    };
    if !seen.allowed.is_empty() {
        let allowed: HashSet<&str> = seen.allowed.iter().map(|name| &**name).collect();
        request.tools.retain(|tool| allowed.contains(&*tool.name));
    }
    plain_values(&mut request);
    Ok(request)
}

/// The members, those of the configuration under their paths.
fn flat(body: &str) -> Result<Object<'_>, Reject> {
    let mut members = Vec::new();
    for (name, value) in object_of(body, "body")?.0 {
        match &*name {
            "model" => {}
            CONFIG => {
                let inner = object(value, CONFIG)?.0;
                // `_responseJsonSchema` is what the field was called at first.
                let path = |name: Cow<'_, str>| format!("{CONFIG}.{}", name.trim_start_matches('_')).into();
                members.extend(inner.into_iter().map(|(name, value)| (path(name), value)));
            }
            _ => members.push((name, value)),
        }
    }
    Ok(Object(members))
}

fn formed<'a>(
    request: &mut ChatRequest<'a>,
    seen: &mut Seen<'a>,
    field: Field,
    path: &str,
    value: &'a RawValue,
) -> Result<(), Reject> {
    match field {
        Field::Messages => Conversation::new(request).contents(value)?,
        Field::Instructions => seen.instructions = instructions(value)?,
        Field::Tools => tools(request, value)?,
        Field::ToolChoice => tool_choice(request, seen, value)?,
        Field::Stop => {
            let stops = list(value, path)?.into_iter().map(|stop| text(stop, path));
            request.options.stop = stops.collect::<Result<_, _>>()?;
        }
        Field::JsonObject => seen.mime_type = Some(text(value, path)?.to_ascii_lowercase()),
        Field::JsonSchema if path.ends_with("responseSchema") => seen.schema = Some(to_json_schema(value, path)?),
        Field::JsonSchema => seen.schema = Some(schema(value, path)?),
        Field::Logprobs if path.ends_with("responseLogprobs") => seen.wants_logprobs = read(value, path)?,
        Field::Logprobs => seen.logprobs = Some(read(value, path)?),
        Field::Reasoning => request.options.reasoning = reasoning(value)?,
        // OpenAI's words for it; `unspecified` is the default.
        Field::ServiceTier => match text(value, path)?.to_ascii_lowercase().trim_start_matches("service_tier_") {
            "unspecified" | "standard" => {}
            tier => request.options.plain.push((field, Json::of(&tier))),
        },
        _ => return Err(untranslatable(path)),
    }
    Ok(())
}

fn instructions(value: &RawValue) -> Result<Option<Message<'_>>, Reject> {
    let path = "systemInstruction";
    if value.get().starts_with('"') {
        let parts = vec![crate::dialect::chat::Part::text(text(value, path)?)];
        return Ok(Some(Message { role: Role::System, name: None, parts }));
    }
    let mut apart = ChatRequest::default();
    Conversation::new(&mut apart).instructions(value, path)?;
    Ok(apart.messages.pop())
}

fn format<'a>(seen: &mut Seen<'a>) -> Result<Option<Format<'a>>, Reject> {
    let schema = seen.schema.take();
    match (seen.mime_type.as_deref(), schema) {
        (Some("application/json"), None) => Ok(Some(Format::JsonObject)),
        (Some("application/json"), Some(schema)) => {
            Ok(Some(Format::Schema { name: None, description: None, schema, strict: Some(true) }))
        }
        (None | Some("" | "text/plain"), None) => Ok(None),
        (None | Some("" | "text/plain"), Some(_)) => {
            Err(invalid("generationConfig.responseMimeType", "application/json belongs to a schema"))
        }
        // `text/x.enum`: one word of a list, without quotes.
        (Some(_), _) => Err(untranslatable("generationConfig.responseMimeType")),
    }
}

fn reasoning(value: &RawValue) -> Result<Option<Reasoning>, Reject> {
    let path = "generationConfig.thinkingConfig";
    let mut reasoning = Reasoning::default();
    for (name, value) in object(value, path)?.0 {
        match &*name {
            "includeThoughts" => reasoning.visible = Some(read(value, path)?),
            // -1: as much as the model likes.
            "thinkingBudget" => match read::<i64>(value, path)? {
                0 => reasoning.effort = Some(Effort::None),
                tokens => reasoning.budget_tokens = u64::try_from(tokens).ok(),
            },
            "thinkingLevel" => match word(value, &[], path)?.trim_start_matches("THINKING_LEVEL_") {
                "UNSPECIFIED" => {}
                level => {
                    let effort = Effort::parse(&level.to_ascii_lowercase());
                    reasoning.effort = Some(effort.ok_or_else(|| invalid(path, "an unknown thinkingLevel"))?);
                }
            },
            _ => return Err(untranslatable(&format!("{path}.{name}"))),
        }
    }
    Ok((reasoning != Reasoning::default()).then_some(reasoning))
}

/// Google's own searches of the web.
const SEARCHES: [&str; 3] = ["googleSearch", "googleSearchRetrieval", "urlContext"];

fn tools<'a>(request: &mut ChatRequest<'a>, value: &'a RawValue) -> Result<(), Reject> {
    for tool in list(value, "tools")? {
        for (name, value) in object(tool, "tools")?.0 {
            match &*name {
                "functionDeclarations" => {}
                name if SEARCHES.contains(&name) => {
                    request.searches.push(format!("tools.{name}"));
                    continue;
                }
                name => return Err(untranslatable(&format!("tools.{name}"))),
            }
            for function in list(value, FUNCTION)? {
                request.tools.push(tool_of(function, &mut request.left_out)?);
            }
        }
    }
    Ok(())
}

fn tool_of<'a>(value: &'a RawValue, left_out: &mut Vec<Cow<'static, str>>) -> Result<Tool<'a>, Reject> {
    let mut tool = Tool { name: "".into(), description: None, parameters: None, strict: None, cache_mark: None };
    for (name, value) in object(value, FUNCTION)?.0 {
        match &*name {
            "name" => tool.name = text(value, FUNCTION)?,
            "description" => tool.description = Some(text(value, FUNCTION)?),
            "parameters" => tool.parameters = Some(to_json_schema(value, "tools.functionDeclarations.parameters")?),
            "parametersJsonSchema" => {
                tool.parameters = Some(schema(value, "tools.functionDeclarations.parametersJsonSchema")?);
            }
            name => match FUNCTION_HINTS.iter().find(|(hint, _)| *hint == name) {
                Some((_, path)) => leave_out(left_out, path),
                None => return Err(untranslatable(&format!("{FUNCTION}.{name}"))),
            },
        }
    }
    if tool.name.is_empty() {
        return Err(invalid("tools.functionDeclarations.name", "a name is missing"));
    }
    Ok(tool)
}

/// Notes a hint that has no place, once.
pub(super) fn leave_out(left_out: &mut Vec<Cow<'static, str>>, path: &'static str) {
    if !left_out.iter().any(|known| known == path) {
        left_out.push(path.into());
    }
}

fn tool_choice<'a>(request: &mut ChatRequest<'a>, seen: &mut Seen<'a>, value: &'a RawValue) -> Result<(), Reject> {
    for (name, value) in object(value, "toolConfig")?.0 {
        match (&*name, value.get()) {
            ("functionCallingConfig", _) => calling(request, seen, value)?,
            ("includeServerSideToolInvocations", "false") => {}
            _ => return Err(untranslatable(&format!("toolConfig.{name}"))),
        }
    }
    Ok(())
}

fn calling<'a>(request: &mut ChatRequest<'a>, seen: &mut Seen<'a>, value: &'a RawValue) -> Result<(), Reject> {
    let (mut mode, mut names) = (String::new(), Vec::new());
    for (name, value) in object(value, CALLING)?.0 {
        match &*name {
            "mode" => mode = word(value, &MODES, CALLING)?,
            "allowedFunctionNames" => {
                let named = list(value, CALLING)?.into_iter().map(|name| text(name, CALLING));
                names = named.collect::<Result<_, _>>()?;
            }
            "streamFunctionCallArguments" => {
                leave_out(&mut request.left_out, "toolConfig.functionCallingConfig.streamFunctionCallArguments");
            }
            _ => return Err(untranslatable(&format!("{CALLING}.{name}"))),
        }
    }
    let choice = match mode.as_str() {
        "" | "MODE_UNSPECIFIED" => return Ok(()),
        "AUTO" => ToolChoice::Auto,
        "NONE" => ToolChoice::None,
        "ANY" if names.is_empty() => ToolChoice::Required,
        "ANY" => ToolChoice::Named(names),
        // As AUTO, and arguments fit the schema for certain: what others promise for some schemas only.
        "VALIDATED" => {
            leave_out(&mut request.left_out, "toolConfig.functionCallingConfig.mode");
            seen.allowed = names;
            ToolChoice::Auto
        }
        _ => return Err(invalid("toolConfig.functionCallingConfig.mode", "an unknown mode")),
    };
    request.options.tool_choice = Some(choice);
    Ok(())
}

/// Puts plain values into the one form that every dialect takes: Google's clients send whole numbers as `40.0` and numbers as
/// texts (proto3's JSON mapping), and the words of lists in capitals.
fn plain_values(request: &mut ChatRequest<'_>) {
    for (field, json) in &mut request.options.plain {
        if *field == Field::Modalities {
            *json = Json::parse(json.as_str().to_ascii_lowercase().into()).unwrap_or_else(|| Json::of(&()));
            continue;
        }
        let unquoted = json.as_str().trim_matches('"');
        let number: Option<serde_json::Number> = serde_json::from_str(unquoted).ok();
        let Some(number) = number.filter(|_| COUNTS.contains(field) || NUMBERS.contains(field)) else { continue };
        let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15);
        match whole {
            Some(whole) if COUNTS.contains(field) && !number.is_u64() => *json = Json::of(&(whole as i64)),
            _ if unquoted.len() < json.as_str().len() => *json = Json::of(&number),
            _ => {}
        }
    }
    let text_alone = Json::of(&["text"]);
    request.options.plain.retain(|(field, json)| *field != Field::Modalities || *json != text_alone);
    request.options.plain.retain(|(field, json)| *field != Field::Choices || json.as_str() != "1");
}
