//! Alibaba Cloud's DashScope: its text and multimodal generation (Alibaba Cloud Model Studio's reference of the DashScope API,
//! autumn of 2026). The two differ in what a message's content is: a text, or a list of parts.
//!
//! Of tools it calls one at a time, unless it is told otherwise; it can be made to call one that is named.

mod answer_reader;
#[cfg(test)]
mod tests;

use super::super::fields::Field;
use super::super::members::write_plain;
use super::super::request::{ChatRequest, Format, MediaKind, Options, Reasoning, Tool, ToolChoice};
use super::super::wire::{Inexpressible, Manner, Wire};
use super::super::write::{Members, object};
use super::turns::{BETWEEN, Outcome, Piece, Spoken, Turn, joined, turns};
use super::{function_tools, leave_out_strict, offered, thinking_budget, upstreams_own, url};
use crate::dialect::endpoint::is_multimodal;
use crate::dialect::{Answer, DialectId};

pub(super) static WIRE: Wire = Wire {
    closed_schemas: true,
    ..upstreams_own(DialectId::DashScope, Answer::Generation, write_request, answer_reader::reader)
};

/// What a schema is called where the client gave it no name.
const SCHEMA_NAME: &str = "answer";

fn write_request(
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<Vec<u8>, Inexpressible> {
    let options = &request.options;
    let turns = turns(request, DialectId::DashScope, unused)?;
    let tools = offered(&request.tools, options.tool_choice.as_ref().filter(|choice| **choice != ToolChoice::None));
    leave_out_strict(&tools, unused);
    let choice = tool_choice(options, &tools)?;
    let form =
        if is_multimodal(DialectId::DashScope, manner.model, request.has_media()) { Form::Parts } else { Form::Text };
    let mut out = Vec::new();
    object(&mut out, |body| {
        body.member("model", manner.model);
        body.object("input", |input| {
            input.array("messages", |list| turns.iter().try_for_each(|turn| write_turn(list, turn, form)))
        })?;
        body.object("parameters", |parameters| {
            parameters.member("result_format", "message");
            if request.stream {
                parameters.member("incremental_output", &true);
            }
            write_plain(DialectId::DashScope, "parameters", &[], options, parameters);
            if !options.stop.is_empty() {
                parameters.member("stop", &options.stop);
            }
            write_tools(parameters, &tools, choice, options.parallel_tool_calls.unwrap_or(true));
            write_format(parameters, options.format.as_ref());
            write_thinking(parameters, options);
            if let Some(alternatives) = options.logprobs {
                parameters.member("logprobs", &true);
                parameters.member("top_logprobs", &alternatives);
            }
        });
        Ok(())
    })?;
    Ok(out)
}

/// What a message's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Of the text operation.
    Text,
    /// Of the multimodal one.
    Parts,
}

fn write_turn(list: &mut Members<'_>, turn: &Turn<'_>, form: Form) -> Result<(), Inexpressible> {
    list.object_element(|message| match turn {
        Turn::System(texts) => {
            message.member("role", "system");
            write_text(message, &texts.join(BETWEEN), form);
            Ok(())
        }
        Turn::User(pieces) => {
            message.member("role", "user");
            write_content(message, pieces, form)
        }
        Turn::Assistant(spoken) => {
            write_spoken(message, spoken, form);
            Ok(())
        }
        Turn::Tool(outcome) => {
            write_outcome(message, outcome, form);
            Ok(())
        }
    })
}

fn write_text(message: &mut Members<'_>, text: &str, form: Form) {
    match form {
        Form::Text => message.member("content", text),
        Form::Parts => message.array("content", |list| {
            if !text.is_empty() {
                list.object_element(|part| part.member("text", text));
            }
        }),
    }
}

fn write_content(message: &mut Members<'_>, pieces: &[Piece<'_>], form: Form) -> Result<(), Inexpressible> {
    if let Some(text) = joined(pieces) {
        write_text(message, &text, form);
        return Ok(());
    }
    message.array("content", |list| pieces.iter().try_for_each(|piece| write_piece(list, piece)))
}

fn write_piece(list: &mut Members<'_>, piece: &Piece<'_>) -> Result<(), Inexpressible> {
    let media = match piece {
        Piece::Text(text) => {
            list.object_element(|part| part.member("text", text));
            return Ok(());
        }
        Piece::Media(media) => media,
    };
    let (name, likely) = match media.kind {
        MediaKind::Image => ("image", "image/png"),
        MediaKind::Audio => ("audio", "audio/wav"),
        MediaKind::Video => ("video", "video/mp4"),
        MediaKind::Document => return Err(Inexpressible::new(Field::Messages, "a document")),
    };
    let address =
        url(media, likely).ok_or_else(|| Inexpressible::new(Field::Messages, "a file that another provider keeps"))?;
    list.object_element(|part| part.member(name, &address));
    Ok(())
}

fn write_spoken(message: &mut Members<'_>, spoken: &Spoken<'_>, form: Form) {
    message.member("role", "assistant");
    write_text(message, &spoken.texts.join(BETWEEN), form);
    if !spoken.thoughts.is_empty() {
        message.member("reasoning_content", &spoken.thoughts.join(BETWEEN));
    }
    if spoken.calls.is_empty() {
        return;
    }
    message.array("tool_calls", |list| {
        for (index, call) in spoken.calls.iter().enumerate() {
            list.object_element(|element| {
                element.member("id", &call.id);
                element.member("type", "function");
                element.member("index", &index);
                element.object("function", |function| {
                    function.member("name", &call.name);
                    function.member("arguments", &call.arguments);
                });
            });
        }
    });
}

fn write_outcome(message: &mut Members<'_>, outcome: &Outcome<'_>, form: Form) {
    message.member("role", "tool");
    message.member("tool_call_id", outcome.id);
    message.some("name", outcome.name);
    write_text(message, &outcome.text, form);
}

/// DashScope's word for the choice, or the one tool that must be called.
enum Choice<'r> {
    None,
    Function(&'r str),
}

fn tool_choice<'r>(options: &Options<'_>, tools: &[&'r Tool<'_>]) -> Result<Option<Choice<'r>>, Inexpressible> {
    match (&options.tool_choice, tools) {
        (None | Some(ToolChoice::Auto), _) | (Some(ToolChoice::None), []) => Ok(None),
        (Some(ToolChoice::None), _) => Ok(Some(Choice::None)),
        // Of one tool it is the same.
        (Some(ToolChoice::Required | ToolChoice::Named(_)), [tool]) => Ok(Some(Choice::Function(&tool.name))),
        (Some(ToolChoice::Required | ToolChoice::Named(_)), _) => {
            Err(Inexpressible::new(Field::ToolChoice, "a call of any of several tools"))
        }
    }
}

fn write_tools(parameters: &mut Members<'_>, tools: &[&Tool<'_>], choice: Option<Choice<'_>>, parallel: bool) {
    if tools.is_empty() {
        return;
    }
    function_tools(parameters, tools);
    match choice {
        None => {}
        Some(Choice::None) => parameters.member("tool_choice", "none"),
        Some(Choice::Function(name)) => parameters.object("tool_choice", |choice| {
            choice.member("type", "function");
            choice.object("function", |function| function.member("name", name));
        }),
    }
    parameters.member("parallel_tool_calls", &parallel);
}

fn write_format(parameters: &mut Members<'_>, format: Option<&Format<'_>>) {
    match format {
        None => {}
        Some(Format::JsonObject) => parameters.object("response_format", |format| format.member("type", "json_object")),
        Some(Format::Schema { name, description, schema, strict }) => {
            parameters.object("response_format", |format| {
                format.member("type", "json_schema");
                format.object("json_schema", |definition| {
                    definition.member("name", name.as_deref().unwrap_or(SCHEMA_NAME));
                    definition.some("description", description.as_deref());
                    definition.raw("schema", schema);
                    definition.some("strict", strict.as_ref());
                });
            });
        }
    }
}

fn write_thinking(parameters: &mut Members<'_>, options: &Options<'_>) {
    // Who wants thoughts to be shown that there may be does not make it think: it costs more, and `qwen` does not either.
    let asked = options.reasoning.map(|asked| Reasoning { visible: None, ..asked });
    let Some(budget) = asked.and_then(thinking_budget) else { return };
    parameters.member("enable_thinking", &(budget != Some(0)));
    parameters.some("thinking_budget", budget.filter(|tokens| *tokens > 0).as_ref());
}
