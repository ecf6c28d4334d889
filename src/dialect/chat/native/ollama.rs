//! Ollama's own chat (docs.ollama.com/api, autumn of 2026): a value a line, tool arguments as objects, images in base64 alone.

mod answer_reader;
#[cfg(test)]
mod tests;

use super::super::fields::Field;
use super::super::members::write_plain;
use super::super::request::{ChatRequest, Effort, Format, MediaKind, Options, Reasoning, Source, ToolChoice};
use super::super::wire::{Inexpressible, Manner, Wire};
use super::super::write::{Members, object};
use super::turns::{BETWEEN, Outcome, Piece, Spoken, Turn, turns};
use super::{arguments, function_tools, leave_out_strict, offered, upstreams_own};
use crate::dialect::{Answer, DialectId};

pub(super) static WIRE: Wire =
    upstreams_own(DialectId::Ollama, Answer::OllamaChat, write_request, answer_reader::reader);

fn write_request(
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<Vec<u8>, Inexpressible> {
    let options = &request.options;
    if let Some(ToolChoice::Required | ToolChoice::Named(_)) = options.tool_choice {
        return Err(Inexpressible::new(Field::ToolChoice, "a call that the model must make"));
    }
    let turns = turns(request, DialectId::Ollama, unused)?;
    let tools = offered(&request.tools, options.tool_choice.as_ref());
    leave_out_strict(&tools, unused);
    let mut out = Vec::new();
    object(&mut out, |body| {
        body.member("model", manner.model);
        body.array("messages", |list| turns.iter().try_for_each(|turn| write_turn(list, turn)))?;
        // Without a word about it, Ollama streams.
        body.member("stream", &request.stream);
        if !tools.is_empty() {
            function_tools(body, &tools);
        }
        match &options.format {
            Some(Format::JsonObject) => body.member("format", "json"),
            Some(Format::Schema { schema, description, .. }) => {
                body.raw("format", &schema.described(description.as_deref()));
            }
            None => {}
        }
        write_think(body, options.reasoning);
        if let Some(alternatives) = options.logprobs {
            body.member("logprobs", &true);
            body.member("top_logprobs", &alternatives);
        }
        write_options(body, options);
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
        Turn::Assistant(spoken) => write_spoken(message, spoken),
        Turn::Tool(outcome) => {
            write_outcome(message, outcome);
            Ok(())
        }
    })
}

/// A message has one text, and images beside it.
fn write_content(message: &mut Members<'_>, pieces: &[Piece<'_>]) -> Result<(), Inexpressible> {
    let texts: Vec<&str> = pieces.iter().filter_map(Piece::text).collect();
    let mut images = Vec::new();
    for piece in pieces {
        if let Piece::Media(media) = piece {
            match (&media.kind, &media.source) {
                (MediaKind::Image, Source::Base64(bytes)) => images.push(bytes),
                (MediaKind::Image, _) => {
                    return Err(Inexpressible::new(Field::Messages, "an image that is not in the request itself"));
                }
                _ => return Err(Inexpressible::new(Field::Messages, "a medium that is no image")),
            }
        }
    }
    message.member("content", &texts.join(BETWEEN));
    if !images.is_empty() {
        message.member("images", &images);
    }
    Ok(())
}

fn write_spoken(message: &mut Members<'_>, spoken: &Spoken<'_>) -> Result<(), Inexpressible> {
    message.member("role", "assistant");
    message.member("content", &spoken.texts.join(BETWEEN));
    if !spoken.thoughts.is_empty() {
        message.member("thinking", &spoken.thoughts.join(BETWEEN));
    }
    if spoken.calls.is_empty() {
        return Ok(());
    }
    let inputs = spoken.calls.iter().map(|call| arguments(call)).collect::<Result<Vec<_>, _>>()?;
    message.array("tool_calls", |list| {
        for (call, input) in spoken.calls.iter().zip(&inputs) {
            list.object_element(|element| {
                element.member("id", &call.id);
                element.object("function", |function| {
                    function.member("name", &call.name);
                    function.raw("arguments", input);
                });
            });
        }
    });
    Ok(())
}

fn write_outcome(message: &mut Members<'_>, outcome: &Outcome<'_>) {
    message.member("role", "tool");
    message.some("tool_name", outcome.name);
    message.member("tool_call_id", outcome.id);
    message.member("content", &outcome.text);
}

/// Models that know levels take these words; others take any of them as a yes.
fn write_think(body: &mut Members<'_>, reasoning: Option<Reasoning>) {
    let effort = reasoning.and_then(|asked| asked.effort.or_else(|| asked.budget_tokens.map(Effort::from_budget)));
    match effort {
        None if reasoning.is_some_and(|asked| asked.visible == Some(true)) => body.member("think", &true),
        None => {}
        Some(Effort::None) => body.member("think", &false),
        Some(Effort::Minimal | Effort::Low) => body.member("think", "low"),
        Some(Effort::Medium) => body.member("think", "medium"),
        Some(Effort::High | Effort::ExtraHigh | Effort::Max) => body.member("think", "high"),
    }
}

fn write_options(body: &mut Members<'_>, options: &Options<'_>) {
    let mut inside = Vec::new();
    object(&mut inside, |group| {
        write_plain(DialectId::Ollama, "options", &[], options, group);
        if !options.stop.is_empty() {
            group.member("stop", &options.stop);
        }
    });
    if let Ok(text) = std::str::from_utf8(&inside[1..inside.len() - 1])
        && !text.is_empty()
    {
        body.object("options", |group| group.spliced(text));
    }
}
