//! A client's request.

use super::super::fields::Field;
use super::super::members::{self, Object, invalid, untranslatable};
use super::super::request::{ChatRequest, Effort, Format, Message, Part, Reasoning, Role, Tool, ToolChoice};
use super::super::{Json, Text};
use super::tools::{INPUT_SCHEMA, carried_name};
use super::{DIALECT, input};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use tollgate_plugin_api::Reject;

/// What the caller knows already.
const KNOWN: [&str; 3] = ["model", "stream", "stream_options"];

/// Members that can only be read together, or in another order than they come.
#[derive(Default)]
struct Later<'a> {
    input: Option<&'a RawValue>,
    instructions: Option<&'a RawValue>,
    tools: Option<&'a RawValue>,
    tool_choice: Option<&'a RawValue>,
    logprobs: bool,
    top_logprobs: u64,
}

/// Reads a request's body.
pub(super) fn read(body: &str) -> Result<ChatRequest<'_>, Reject> {
    let mut object = Object::read(body, "body")?;
    object.0.retain(|(name, _)| !KNOWN.contains(&&**name));
    let (mut request, mut later) = (ChatRequest::default(), Later::default());
    members::sort(DIALECT, &["text"], object, &mut request, &mut |request, field, path, value| {
        later.take(request, field, path, value)
    })?;
    if let Some(tools) = later.tools {
        read_tools(tools, &mut request)?;
    }
    if let Some(choice) = later.tool_choice {
        request.options.tool_choice = read_choice(choice, &mut request.tools)?;
    }
    if later.logprobs || later.top_logprobs > 0 {
        request.options.logprobs = Some(later.top_logprobs);
    }
    if let Some(instructions) = later.instructions {
        let text = members::read::<Text<'_>>(instructions, "instructions")?.0;
        request.messages.push(Message { role: Role::System, name: None, parts: vec![Part::text(text)] });
    }
    if let Some(items) = later.input {
        input::read(items, &mut request)?;
    }
    // Streams of this dialect always say what was used.
    request.options.include_usage = true;
    Ok(request)
}

impl<'a> Later<'a> {
    fn take(
        &mut self,
        request: &mut ChatRequest<'a>,
        field: Field,
        path: &str,
        value: &'a RawValue,
    ) -> Result<(), Reject> {
        match field {
            Field::Messages => self.input = Some(value),
            Field::Instructions => self.instructions = Some(value),
            Field::Tools => self.tools = Some(value),
            Field::ToolChoice => self.tool_choice = Some(value),
            Field::Logprobs => self.top_logprobs = members::read(value, path)?,
            Field::Include => self.include(value)?,
            Field::ParallelToolCalls => request.options.parallel_tool_calls = Some(members::read(value, path)?),
            Field::JsonObject | Field::JsonSchema => request.options.format = read_format(value, path)?,
            Field::Reasoning => read_reasoning(value, path, request)?,
            Field::ServiceTier => request.options.plain.push((field, Json::raw(value))),
            _ => return Err(untranslatable(path)),
        }
        Ok(())
    }

    /// Encrypted thoughts are in every answer that has them; what else may be included is of tools that are refused, or of
    /// searches that there are none of.
    fn include(&mut self, value: &'a RawValue) -> Result<(), Reject> {
        for (index, wanted) in members::read::<Vec<Text<'_>>>(value, "include")?.iter().enumerate() {
            match wanted.as_str() {
                "reasoning.encrypted_content" => {}
                "message.output_text.logprobs" => self.logprobs = true,
                wanted if wanted.starts_with(SEARCH) => {}
                _ => return Err(untranslatable(&format!("include[{index}]"))),
            }
        }
        Ok(())
    }
}

/// A text member of an object.
pub(super) fn text<'a>(object: &Object<'a>, name: &str, path: &str) -> Result<Option<Cow<'a, str>>, Reject> {
    let read = |value: &'a RawValue| members::read::<Text<'a>>(value, &format!("{path}.{name}"));
    Ok(object.get(name).map(read).transpose()?.map(|text| text.0))
}

/// A text member that must be there.
pub(super) fn need<'a>(object: &Object<'a>, name: &str, path: &str) -> Result<Cow<'a, str>, Reject> {
    text(object, name, path)?.ok_or_else(|| invalid(&format!("{path}.{name}"), "it is missing"))
}

/// Refuses members that are not known.
pub(super) fn only(object: &Object<'_>, known: &[&str], path: &str) -> Result<(), Reject> {
    let unknown = object.0.iter().find(|(name, value)| value.get() != "null" && !known.contains(&&**name));
    unknown.map_or(Ok(()), |(name, _)| Err(untranslatable(&format!("{path}.{name}"))))
}

fn read_format<'a>(value: &'a RawValue, path: &str) -> Result<Option<Format<'a>>, Reject> {
    let object = Object::read(value.get(), path)?;
    match &*need(&object, "type", path)? {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => {
            only(&object, &["type", "name", "description", "schema", "strict"], path)?;
            let schema = object.get("schema").ok_or_else(|| invalid(&format!("{path}.schema"), "it is missing"))?;
            let strict = object.get("strict").map(|strict| members::read(strict, &format!("{path}.strict")));
            Ok(Some(Format::Schema {
                name: text(&object, "name", path)?,
                description: text(&object, "description", path)?,
                schema: members::schema(schema, &format!("{path}.schema"))?,
                strict: strict.transpose()?,
            }))
        }
        _ => Err(untranslatable(&format!("{path}.type"))),
    }
}

fn read_reasoning<'a>(value: &'a RawValue, path: &str, request: &mut ChatRequest<'a>) -> Result<(), Reject> {
    let object = Object::read(value.get(), path)?;
    only(&object, &["effort", "summary", "generate_summary", "context", "mode"], path)?;
    let mut reasoning = Reasoning::default();
    if let Some(word) = text(&object, "effort", path)? {
        let unknown = || invalid(&format!("{path}.effort"), "no such effort is known");
        reasoning.effort = Some(Effort::parse(&word).ok_or_else(unknown)?);
    }
    for name in ["generate_summary", "summary"] {
        let Some(word) = text(&object, name, path)? else { continue };
        reasoning.visible = Some(word != "none");
        if !matches!(&*word, "auto" | "none") {
            request.left_out.push(format!("{path}.{name}").into());
        }
    }
    for (name, neutral) in [("context", "auto"), ("mode", "standard")] {
        if text(&object, name, path)?.is_some_and(|word| word != neutral) {
            request.left_out.push(format!("{path}.{name}").into());
        }
    }
    if reasoning != Reasoning::default() {
        request.options.reasoning = Some(reasoning);
    }
    Ok(())
}

/// How the types of the provider's own search of the web begin: `web_search`, `web_search_preview`, and with dates.
const SEARCH: &str = "web_search";

fn read_tools<'a>(value: &'a RawValue, request: &mut ChatRequest<'a>) -> Result<(), Reject> {
    for (index, tool) in members::read::<Vec<&RawValue>>(value, "tools")?.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        let object = Object::read(tool.get(), &path)?;
        match &*need(&object, "type", &path)? {
            "namespace" => {}
            kind if kind.starts_with(SEARCH) => {
                request.searches.push(format!("{path}.type"));
                continue;
            }
            _ => {
                read_tool(&object, None, &path, request)?;
                continue;
            }
        }
        only(&object, &["type", "name", "description", "tools"], &path)?;
        let namespace = need(&object, "name", &path)?;
        if object.get("description").is_some() {
            request.left_out.push(format!("{path}.description").into());
        }
        let inner = object.get("tools").ok_or_else(|| invalid(&format!("{path}.tools"), "it is missing"))?;
        for (index, tool) in members::read::<Vec<&RawValue>>(inner, &path)?.into_iter().enumerate() {
            let path = format!("{path}.tools[{index}]");
            read_tool(&Object::read(tool.get(), &path)?, Some(&namespace), &path, request)?;
        }
    }
    Ok(())
}

fn read_tool<'a>(
    object: &Object<'a>,
    namespace: Option<&str>,
    path: &str,
    request: &mut ChatRequest<'a>,
) -> Result<(), Reject> {
    let mut tool = Tool {
        name: Cow::Borrowed(""),
        description: text(object, "description", path)?,
        parameters: None,
        strict: None,
        cache_mark: None,
    };
    // A tool that is called at once, and by the model itself, is as every tool elsewhere.
    for (name, neutral) in [("defer_loading", "false"), ("async", "false"), ("allowed_callers", "[\"direct\"]")] {
        if object.get(name).is_some_and(|value| value.get() != neutral) {
            return Err(untranslatable(&format!("{path}.{name}")));
        }
    }
    const SHARED: [&str; 6] = ["type", "name", "description", "defer_loading", "async", "allowed_callers"];
    match &*need(object, "type", path)? {
        "function" => {
            only(object, &[&SHARED[..], &["parameters", "strict", "output_schema"]].concat(), path)?;
            let schema = object.get("parameters");
            tool.parameters = schema.map(|value| members::schema(value, &format!("{path}.parameters"))).transpose()?;
            // Unlike elsewhere, `false` must be said here.
            let strict = object.get("strict").map(|strict| members::read::<bool>(strict, &format!("{path}.strict")));
            tool.strict = strict.transpose()?.filter(|strict| *strict);
            if object.get("output_schema").is_some() {
                request.left_out.push(format!("{path}.output_schema").into());
            }
        }
        "custom" => {
            only(object, &[&SHARED[..], &["format"]].concat(), path)?;
            tool.parameters = Json::parse(INPUT_SCHEMA.into());
            read_grammar(object, path, &mut tool, request)?;
        }
        _ => return Err(untranslatable(&format!("{path}.type"))),
    }
    tool.name = carried_name(namespace, need(object, "name", path)?);
    request.tools.push(tool);
    Ok(())
}

/// A custom tool's grammar, which no other provider enforces, is told to the model in the tool's description.
fn read_grammar<'a>(
    object: &Object<'a>,
    path: &str,
    tool: &mut Tool<'a>,
    request: &mut ChatRequest<'a>,
) -> Result<(), Reject> {
    let path = format!("{path}.format");
    let Some(format) = object.get("format") else { return Ok(()) };
    let format = Object::read(format.get(), &path)?;
    match &*need(&format, "type", &path)? {
        "text" => Ok(()),
        "grammar" => {
            let (syntax, definition) = (need(&format, "syntax", &path)?, need(&format, "definition", &path)?);
            let description = tool.description.take().unwrap_or_default();
            let told = format!("{description}\n\nThe input must match this grammar ({syntax}):\n{definition}");
            tool.description = Some(told.trim_start().to_owned().into());
            request.left_out.push(path.into());
            Ok(())
        }
        _ => Err(untranslatable(&format!("{path}.type"))),
    }
}

fn read_choice<'a>(value: &'a RawValue, tools: &mut Vec<Tool<'a>>) -> Result<Option<ToolChoice<'a>>, Reject> {
    const PATH: &str = "tool_choice";
    let by_word = |word: &str| match word {
        "auto" => Ok(Some(ToolChoice::Auto)),
        "none" => Ok(Some(ToolChoice::None)),
        "required" => Ok(Some(ToolChoice::Required)),
        _ => Err(invalid(PATH, "`auto`, `none`, `required` or an object is expected")),
    };
    if !value.get().starts_with('{') {
        return by_word(&members::read::<Text<'_>>(value, PATH)?.0);
    }
    let object = Object::read(value.get(), PATH)?;
    match &*need(&object, "type", PATH)? {
        "function" | "custom" => Ok(Some(ToolChoice::Named(vec![chosen(&object, PATH)?]))),
        "allowed_tools" => {
            let path = "tool_choice.tools";
            let allowed = object.get("tools").ok_or_else(|| invalid(path, "it is missing"))?;
            let mut names = Vec::new();
            for (index, tool) in members::read::<Vec<&RawValue>>(allowed, path)?.into_iter().enumerate() {
                let path = format!("{path}[{index}]");
                let tool = Object::read(tool.get(), &path)?;
                if !matches!(&*need(&tool, "type", &path)?, "function" | "custom") {
                    return Err(untranslatable(&format!("{path}.type")));
                }
                names.push(chosen(&tool, &path)?);
            }
            match &*need(&object, "mode", PATH)? {
                "required" => Ok(Some(ToolChoice::Named(names))),
                "auto" => {
                    // What may not be called is not offered.
                    let names: HashSet<Cow<'_, str>> = names.into_iter().collect();
                    tools.retain(|tool| names.contains(&tool.name));
                    Ok(Some(ToolChoice::Auto))
                }
                _ => Err(invalid("tool_choice.mode", "`auto` or `required` is expected")),
            }
        }
        _ => Err(untranslatable("tool_choice.type")),
    }
}

fn chosen<'a>(object: &Object<'a>, path: &str) -> Result<Cow<'a, str>, Reject> {
    let namespace = text(object, "namespace", path)?;
    Ok(carried_name(namespace.as_deref(), need(object, "name", path)?))
}
