//! Cohere's Chat, version 2 (docs.cohere.com/reference/chat, autumn of 2026).
//!
//! What the model says beside calls of tools is their plan. One named tool that must be called is the only one that is offered.
//! A format of the answer is not: `response_format` "is not supported when used in combinations with the `documents` or `tools`
//! parameters".

mod answer_reader;
#[cfg(test)]
mod tests;

use super::super::fields::Field;
use super::super::members::write_plain;
use super::super::request::{ChatRequest, Format, MediaKind, Reasoning, Tool, ToolChoice};
use super::super::tools_or_format::tools_or_format;
use super::super::wire::{Inexpressible, Manner, Wire};
use super::super::write::{Members, object};
use super::turns::{BETWEEN, Outcome, Piece, Spoken, Turn, turns};
use super::{function_tools, leave_out_strict, offered, thinking_budget, upstreams_own, url};
use crate::dialect::{Answer, DialectId};

pub(super) static WIRE: Wire =
    upstreams_own(DialectId::Cohere, Answer::CohereChat, write_request, answer_reader::reader);

fn write_request(
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<Vec<u8>, Inexpressible> {
    let options = &request.options;
    let turns = turns(request, DialectId::Cohere, unused)?;
    let choice = options.tool_choice.as_ref();
    let tools = offered(tools_or_format(request)?, choice.filter(|choice| **choice != ToolChoice::None));
    // It is all of them or none.
    let strict = !tools.is_empty() && tools.iter().all(|tool| tool.strict == Some(true));
    if !strict {
        leave_out_strict(&tools, unused);
    }
    let mut out = Vec::new();
    object(&mut out, |body| {
        body.member("model", manner.model);
        body.member("stream", &request.stream);
        body.array("messages", |list| turns.iter().try_for_each(|turn| write_turn(list, turn)))?;
        write_tools(body, &tools, choice, strict);
        match &options.format {
            Some(Format::JsonObject) => body.object("response_format", |format| format.member("type", "json_object")),
            Some(Format::Schema { schema, description, .. }) => body.object("response_format", |format| {
                format.member("type", "json_object");
                format.raw("json_schema", &schema.described(description.as_deref()));
            }),
            None => {}
        }
        if let Some(reasoning) = options.reasoning {
            write_thinking(body, reasoning);
        }
        if !options.stop.is_empty() {
            body.member("stop_sequences", &options.stop);
        }
        write_plain(DialectId::Cohere, "", &[], options, body);
        Ok(())
    })?;
    Ok(out)
}

fn write_turn(list: &mut Members<'_>, turn: &Turn<'_>) -> Result<(), Inexpressible> {
    list.object_element(|message| match turn {
        Turn::System(texts) => {
            message.member("role", "system");
            message.member("content", &texts.join(BETWEEN));
            Ok(())
        }
        Turn::User(pieces) => {
            message.member("role", "user");
            write_content(message, pieces)
        }
        Turn::Assistant(spoken) => {
            write_spoken(message, spoken);
            Ok(())
        }
        Turn::Tool(outcome) => {
            write_outcome(message, outcome);
            Ok(())
        }
    })
}

fn write_content(message: &mut Members<'_>, pieces: &[Piece<'_>]) -> Result<(), Inexpressible> {
    if let [Piece::Text(text)] = pieces {
        message.member("content", text);
        return Ok(());
    }
    message.array("content", |list| pieces.iter().try_for_each(|piece| write_piece(list, piece)))
}

fn write_piece(list: &mut Members<'_>, piece: &Piece<'_>) -> Result<(), Inexpressible> {
    let media = match piece {
        Piece::Text(text) => {
            list.object_element(|element| {
                element.member("type", "text");
                element.member("text", text);
            });
            return Ok(());
        }
        Piece::Media(media) => media,
    };
    let address = url(media, "image/png").filter(|_| media.kind == MediaKind::Image);
    let address = address.ok_or_else(|| Inexpressible::new(Field::Messages, "a medium that is no image"))?;
    list.object_element(|element| {
        element.member("type", "image_url");
        element.object("image_url", |image| {
            image.member("url", &address);
            image.some("detail", media.detail.as_deref());
        });
    });
    Ok(())
}

fn write_spoken(message: &mut Members<'_>, spoken: &Spoken<'_>) {
    message.member("role", "assistant");
    let plans = !spoken.calls.is_empty();
    if plans && !spoken.texts.is_empty() {
        message.member("tool_plan", &spoken.texts.join(BETWEEN));
    }
    if !plans || !spoken.thoughts.is_empty() {
        message.array("content", |list| {
            let mut block = |kind: &str, text: &str| {
                list.object_element(|element| {
                    element.member("type", kind);
                    element.member(kind, text);
                });
            };
            spoken.thoughts.iter().for_each(|text| block("thinking", text));
            spoken.texts.iter().filter(|_| !plans).for_each(|text| block("text", text));
        });
    }
    if plans {
        message.array("tool_calls", |list| {
            for call in &spoken.calls {
                list.object_element(|element| {
                    element.member("id", &call.id);
                    element.member("type", "function");
                    element.object("function", |function| {
                        function.member("name", &call.name);
                        function.member("arguments", &call.arguments);
                    });
                });
            }
        });
    }
}

fn write_outcome(message: &mut Members<'_>, outcome: &Outcome<'_>) {
    message.member("role", "tool");
    message.member("tool_call_id", outcome.id);
    message.member("content", &outcome.text);
}

fn write_tools(body: &mut Members<'_>, tools: &[&Tool<'_>], choice: Option<&ToolChoice<'_>>, strict: bool) {
    if tools.is_empty() {
        return;
    }
    function_tools(body, tools);
    match choice {
        None | Some(ToolChoice::Auto) => {}
        Some(ToolChoice::None) => body.member("tool_choice", "NONE"),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => body.member("tool_choice", "REQUIRED"),
    }
    if strict {
        body.member("strict_tools", &true);
    }
}

fn write_thinking(body: &mut Members<'_>, reasoning: Reasoning) {
    let Some(budget) = thinking_budget(reasoning) else { return };
    body.object("thinking", |thinking| {
        thinking.member("type", if budget == Some(0) { "disabled" } else { "enabled" });
        thinking.some("token_budget", budget.filter(|tokens| *tokens > 0).as_ref());
    });
}
