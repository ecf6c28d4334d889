//! A request's tools and options, as far as they have a form of their own.

use crate::dialect::chat::fields::Field;
use crate::dialect::chat::json::{Json, Text};
use crate::dialect::chat::members::{Object, invalid, read as typed, schema, untranslatable};
use crate::dialect::chat::request::{ChatRequest, Effort, Format, Reasoning, Tool, ToolChoice};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tollgate_plugin_api::Reject;

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    description: Option<Text<'a>>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

/// A thing of some type, whose description stands under that type's name.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    function: Option<&'a RawValue>,
    #[serde(borrow, default)]
    allowed_tools: Option<&'a RawValue>,
    /// As OpenRouter and LiteLLM mark what Anthropic is to cache.
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

fn function<'a>(value: &'a RawValue, path: &str) -> Result<Tool<'a>, Reject> {
    let Function { name, description, parameters, strict } = typed(value, path)?;
    let parameters = parameters.map(|value| schema(value, &format!("{path}.parameters"))).transpose()?;
    let description = description.map(|text| text.0);
    Ok(Tool { name: name.0, description, parameters, strict, cache_mark: None })
}

/// `tools`
pub(super) fn tools<'a>(value: &'a RawValue, request: &mut ChatRequest<'a>) -> Result<(), Reject> {
    let list: Vec<&RawValue> = typed(value, "tools")?;
    for (index, raw) in list.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        let said: Typed<'_> = typed(raw, &path)?;
        let ("function", Some(described)) = (said.kind.as_str(), said.function) else {
            return Err(untranslatable(&format!("{path}.type")));
        };
        let mut tool = function(described, &format!("{path}.function"))?;
        tool.cache_mark = said.cache_control.map(Json::raw);
        request.tools.push(tool);
    }
    Ok(())
}

/// `functions`: OpenAI's first form of tools.
pub(super) fn functions<'a>(value: &'a RawValue, request: &mut ChatRequest<'a>) -> Result<(), Reject> {
    let list: Vec<&RawValue> = typed(value, "functions")?;
    for (index, raw) in list.into_iter().enumerate() {
        request.tools.push(function(raw, &format!("functions[{index}]"))?);
    }
    Ok(())
}

/// What `tool_choice` says.
pub(super) enum Chosen<'a> {
    /// Which must be called.
    Tool(ToolChoice<'a>),
    /// Only these may be called, as the model likes.
    Among(Vec<Cow<'a, str>>),
}

/// `tool_choice`, and `function_call` before it.
pub(super) fn tool_choice<'a>(value: &'a RawValue, path: &str) -> Result<Chosen<'a>, Reject> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Text<'a>,
    }
    if value.get().starts_with('"') {
        let word: Text<'_> = typed(value, path)?;
        return Ok(Chosen::Tool(match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            // `any` is Mistral's.
            "required" | "any" => ToolChoice::Required,
            _ => return Err(untranslatable(path)),
        }));
    }
    if path == "function_call" {
        let named: Named<'_> = typed(value, path)?;
        return Ok(Chosen::Tool(ToolChoice::Named(vec![named.name.0])));
    }
    let said: Typed<'_> = typed(value, path)?;
    match (said.kind.as_str(), said.function, said.allowed_tools) {
        ("function", Some(described), _) => {
            let named: Named<'_> = typed(described, &format!("{path}.function"))?;
            Ok(Chosen::Tool(ToolChoice::Named(vec![named.name.0])))
        }
        ("allowed_tools", _, Some(allowed)) => among(allowed, &format!("{path}.allowed_tools")),
        _ => Err(untranslatable(&format!("{path}.type"))),
    }
}

fn among<'a>(value: &'a RawValue, path: &str) -> Result<Chosen<'a>, Reject> {
    #[derive(Deserialize)]
    struct Allowed<'a> {
        #[serde(borrow)]
        mode: Text<'a>,
        #[serde(borrow)]
        tools: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        function: Inner<'a>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        name: Text<'a>,
    }
    let allowed: Allowed<'_> = typed(value, path)?;
    let names = allowed.tools.into_iter().enumerate().map(|(index, tool)| {
        let named: Named<'_> = typed(tool, &format!("{path}.tools[{index}]"))?;
        Ok(named.function.name.0)
    });
    let names = names.collect::<Result<Vec<_>, Reject>>()?;
    match allowed.mode.as_str() {
        "auto" => Ok(Chosen::Among(names)),
        "required" => Ok(Chosen::Tool(ToolChoice::Named(names))),
        _ => Err(untranslatable(&format!("{path}.mode"))),
    }
}

/// `stop`: one or several.
pub(super) fn stop<'a>(value: &'a RawValue, path: &str) -> Result<Vec<Cow<'a, str>>, Reject> {
    if value.get().starts_with('"') {
        return Ok(vec![typed::<Text<'_>>(value, path)?.0]);
    }
    let list: Vec<Text<'_>> = typed(value, path)?;
    Ok(list.into_iter().map(|text| text.0).filter(|text| !text.is_empty()).collect())
}

/// `logprobs` and `top_logprobs`
pub(super) fn logprobs(value: &RawValue, path: &str, request: &mut ChatRequest<'_>) -> Result<(), Reject> {
    let wanted = match path {
        "logprobs" => u64::from(!typed::<bool>(value, path)?),
        _ => match typed(value, path)? {
            // No alternatives: whether they are wanted at all, `logprobs` says.
            0 => return Ok(()),
            alternatives => alternatives,
        },
    };
    let before = request.options.logprobs.unwrap_or(0);
    request.options.logprobs = Some(wanted.max(before));
    Ok(())
}

/// `response_format`
pub(super) fn format<'a>(value: &'a RawValue, path: &str) -> Result<Option<Format<'a>>, Reject> {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow, rename = "type")]
        kind: Text<'a>,
        #[serde(borrow, default)]
        json_schema: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Schema<'a> {
        #[serde(borrow, default)]
        name: Option<Text<'a>>,
        #[serde(borrow, default)]
        description: Option<Text<'a>>,
        #[serde(borrow, default)]
        schema: Option<&'a RawValue>,
        #[serde(default)]
        strict: Option<bool>,
    }
    let said: Said<'_> = typed(value, path)?;
    match (said.kind.as_str(), said.json_schema) {
        ("text", _) => Ok(None),
        ("json_object", _) => Ok(Some(Format::JsonObject)),
        ("json_schema", Some(inside)) => {
            let path = format!("{path}.json_schema");
            let Schema { name, description, schema: shape, strict } = typed(inside, &path)?;
            let Some(shape) = shape else { return Ok(Some(Format::JsonObject)) };
            let schema = schema(shape, &format!("{path}.schema"))?;
            let text = |text: Option<Text<'a>>| text.map(|text| text.0);
            Ok(Some(Format::Schema { name: text(name), description: text(description), schema, strict }))
        }
        _ => Err(untranslatable(&format!("{path}.type"))),
    }
}

/// Every name that vendors have for thinking.
pub(super) fn reasoning(value: &RawValue, path: &str, request: &mut ChatRequest<'_>) -> Result<(), Reject> {
    let mut asked = request.options.reasoning.unwrap_or_default();
    match path {
        "reasoning_effort" => asked.effort = Some(effort(value, path)?),
        "enable_thinking" => enable(&mut asked, typed(value, path)?),
        "thinking_budget" => budget(&mut asked, typed(value, path)?),
        "include_reasoning" => asked.visible = Some(typed(value, path)?),
        "reasoning_format" => match typed::<Text<'_>>(value, path)?.as_str() {
            "parsed" => asked.visible = Some(true),
            "hidden" => asked.visible = Some(false),
            _ => return Err(untranslatable(path)),
        },
        // OpenRouter's `reasoning`; `thinking` of DeepSeek, Zhipu and others; vLLM's arguments of the chat template.
        _ => {
            for (name, value) in Object::read(value.get(), path)?.0 {
                let path = format!("{path}.{name}");
                match &*name {
                    _ if value.get() == "null" => {}
                    // What becomes of the thoughts of earlier turns (Zhipu, Moonshot): others have rules of their own.
                    "clear_thinking" | "keep" => request.left_out.push(Cow::Owned(path)),
                    name => reasoning_member(value, name, &path, &mut asked)?,
                }
            }
        }
    }
    request.options.reasoning = Some(asked);
    Ok(())
}

fn reasoning_member(value: &RawValue, name: &str, path: &str, asked: &mut Reasoning) -> Result<(), Reject> {
    match name {
        "effort" => asked.effort = Some(effort(value, path)?),
        "max_tokens" | "budget_tokens" | "thinking_budget" => budget(asked, typed(value, path)?),
        "enabled" | "enable_thinking" | "thinking" => enable(asked, typed(value, path)?),
        "exclude" => asked.visible = Some(!typed::<bool>(value, path)?),
        "type" => match typed::<Text<'_>>(value, path)?.as_str() {
            "enabled" | "adaptive" => enable(asked, true),
            "disabled" => enable(asked, false),
            "auto" => {}
            _ => return Err(untranslatable(path)),
        },
        _ => return Err(untranslatable(path)),
    }
    Ok(())
}

fn effort(value: &RawValue, path: &str) -> Result<Effort, Reject> {
    let word: Text<'_> = typed(value, path)?;
    Effort::parse(word.as_str())
        .ok_or_else(|| invalid(path, "none, minimal, low, medium, high, xhigh or max is expected"))
}

/// To think is the usual effort, unless more is said.
fn enable(asked: &mut Reasoning, is_on: bool) {
    match is_on {
        false => *asked = Reasoning { effort: Some(Effort::None), budget_tokens: None, visible: asked.visible },
        true if asked.effort.is_none() && asked.budget_tokens.is_none() => asked.effort = Some(Effort::Medium),
        true => {}
    }
}

fn budget(asked: &mut Reasoning, tokens: u64) {
    match tokens {
        0 => enable(asked, false),
        // An effort that only stands for `on` gives way.
        _ if asked.effort == Some(Effort::None) => {}
        tokens => *asked = Reasoning { effort: None, budget_tokens: Some(tokens), visible: asked.visible },
    }
}

/// `service_tier`: kept in OpenAI's words.
pub(super) fn service_tier(value: &RawValue, path: &str, request: &mut ChatRequest<'_>) -> Result<(), Reject> {
    let word: Text<'_> = typed(value, path)?;
    request.options.plain.push((Field::ServiceTier, Json::of(&word.as_str().to_ascii_lowercase())));
    Ok(())
}
