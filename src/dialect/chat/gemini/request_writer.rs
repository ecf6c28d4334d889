//! Writes a `GenerateContentRequest`.

use super::contents_writer::Contents;
use super::thinking;
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::members::write_plain;
use crate::dialect::chat::tools_or_format::tools_or_format;
use crate::dialect::chat::write::{self, Members};
use crate::dialect::chat::{
    ChatRequest, Format, Inexpressible, Json, Manner, Options, Part, Reasoning, Tool, ToolChoice,
};

/// OpenAI's words for a service tier, and Google's.
const TIERS: [(&str, &str); 3] = [("default", "standard"), ("flex", "flex"), ("priority", "priority")];

/// Writes the body; the model stands in the path.
pub(super) fn write_request(
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<Vec<u8>, Inexpressible> {
    let contents = Contents::of(request, manner)?;
    let functions = functions(request, manner.model)?;
    let mut out = Vec::with_capacity(1024);
    write::object(&mut out, |body| {
        contents.write(body);
        write_tools(functions, body);
        tool_choice(functions, request.options.tool_choice.as_ref(), body);
        config(request, manner, body, unused);
        write_plain(DialectId::Gemini, "", &[Field::ServiceTier], &request.options, body);
        if let Some(tier) = request.options.plain(Field::ServiceTier) {
            let tier = TIERS.iter().find(|(word, _)| *tier == Json::of(word)).map(|(_, tier)| *tier);
            match tier {
                Some(tier) => body.member("serviceTier", tier),
                None => unused.push(Field::ServiceTier),
            }
        }
    });
    unused.extend(contents.unused());
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let marked = parts().any(|part| matches!(part, Part::CacheMark(_)));
    if marked || request.tools.iter().any(|tool| tool.cache_mark.is_some()) {
        unused.push(Field::CacheMark);
    }
    Ok(out)
}

/// The functions that are offered. Models before Gemini 3 take none beside a format of the answer: "Function calling with a response
/// mime type: 'application/json' is unsupported" (github.com/googleapis/python-genai/issues/867).
fn functions<'r, 'a>(request: &'r ChatRequest<'a>, model: &str) -> Result<&'r [Tool<'a>], Inexpressible> {
    if thinking::is_before_3(model) { tools_or_format(request) } else { Ok(&request.tools) }
}

fn write_tools(tools: &[Tool<'_>], body: &mut Members<'_>) {
    if tools.is_empty() {
        return;
    }
    body.array("tools", |list| {
        list.object_element(|tool| {
            tool.array("functionDeclarations", |functions| {
                for tool in tools {
                    functions.object_element(|function| {
                        function.member("name", &tool.name);
                        function.some("description", tool.description.as_ref());
                        if let Some(schema) = &tool.parameters {
                            function.raw("parametersJsonSchema", schema);
                        }
                    });
                }
            });
        });
    });
}

/// The mode. A function whose arguments are to fit its schema for certain asks for VALIDATED; under ANY they always do.
fn tool_choice(tools: &[Tool<'_>], choice: Option<&ToolChoice<'_>>, body: &mut Members<'_>) {
    let strict = tools.iter().any(|tool| tool.strict == Some(true));
    let (mode, names) = match choice {
        None | Some(ToolChoice::Auto) if strict => ("VALIDATED", None),
        None => return,
        Some(ToolChoice::None) if tools.is_empty() => return,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Named(names)) => ("ANY", Some(names)),
    };
    body.object("toolConfig", |config| {
        config.object("functionCallingConfig", |calling| {
            calling.member("mode", mode);
            calling.some("allowedFunctionNames", names);
        });
    });
}

fn config(request: &ChatRequest<'_>, manner: &Manner<'_>, body: &mut Members<'_>, unused: &mut Vec<Field>) {
    let options = &request.options;
    let mut config = Vec::new();
    write::object(&mut config, |config| {
        write_plain(DialectId::Gemini, "generationConfig", &[Field::Modalities], options, config);
        if let Some(modalities) = options.plain(Field::Modalities) {
            let upper = Json::parse(modalities.as_str().to_ascii_uppercase().into());
            upper.iter().for_each(|upper| config.raw("responseModalities", upper));
        }
        if !options.stop.is_empty() {
            config.member("stopSequences", &options.stop);
        }
        shape(options, config);
        if let Some(count) = options.logprobs {
            config.member("responseLogprobs", &true);
            config.some("logprobs", (count > 0).then_some(&count));
        }
        if let Some(reasoning) = &options.reasoning {
            thinking_config(manner.model, reasoning, config, unused);
        }
    });
    if config != b"{}" {
        let config = String::from_utf8(config).ok().and_then(|config| Json::parse(config.into()));
        config.iter().for_each(|config| body.raw("generationConfig", config));
    }
}

fn shape(options: &Options<'_>, config: &mut Members<'_>) {
    let Some(format) = &options.format else { return };
    config.member("responseMimeType", "application/json");
    if let Format::Schema { description, schema, .. } = format {
        config.raw("responseJsonSchema", &schema.described(description.as_deref()));
    }
}

fn thinking_config(model: &str, reasoning: &Reasoning, config: &mut Members<'_>, unused: &mut Vec<Field>) {
    let (mut out, mut is_said) = (Vec::new(), true);
    write::object(&mut out, |members| is_said = thinking::write(model, reasoning, members));
    if !is_said {
        unused.push(Field::Reasoning);
    }
    let text = String::from_utf8(out).unwrap_or_default();
    if let Some(thinking) = Json::parse(text.into()).filter(|thinking| thinking.as_str() != "{}") {
        config.raw("thinkingConfig", &thinking);
    }
}
