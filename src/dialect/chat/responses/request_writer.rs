//! A request to an upstream.

mod options;

use super::super::fields::Field;
use super::super::file_name::document_name;
use super::super::request::{ChatRequest, Format, Media, MediaKind, Message, Part, Role, Source, ToolCall, ToolResult};
use super::super::wire::{Inexpressible, Manner};
use super::super::write::{self, Members};
use super::{DIALECT, FAILED, without_id};
use options::{options, tools};
use std::borrow::Cow;

/// Writes a request's body.
pub(super) fn write(
    request: &ChatRequest<'_>,
    manner: &Manner<'_>,
    unused: &mut Vec<Field>,
) -> Result<Vec<u8>, Inexpressible> {
    let (mut out, mut outcome) = (Vec::new(), Ok(()));
    let (instructions, messages) = match request.options.format {
        // OpenAI wants the word "json" in the input, and does not look for it in the instructions.
        Some(Format::JsonObject) => (None, &request.messages[..]),
        _ => split_instructions(&request.messages),
    };
    write::object(&mut out, |body| {
        body.member("model", manner.model);
        body.some("instructions", instructions);
        match messages {
            [Message { role: Role::User, name: None, parts }] if is_one_text(parts) => {
                text_content(parts, "input", body)
            }
            _ => body.array("input", |list| {
                let mut items = Items { list, manner, unused: &mut *unused, waiting: Vec::new() };
                outcome = messages.iter().try_for_each(|message| items.message(message));
            }),
        }
        tools(request, unused, body);
        options(request, unused, body);
        if request.stream {
            body.member("stream", &true);
        }
    });
    outcome.map(|()| out)
}

/// One system text before everything else is what `instructions` are.
fn split_instructions<'r>(messages: &'r [Message<'_>]) -> (Option<&'r str>, &'r [Message<'r>]) {
    match messages {
        [Message { role: Role::System, name: None, parts }, rest @ ..] if !rest.is_empty() => match &parts[..] {
            [Part::Text { text, .. }] => (Some(text), rest),
            _ => (None, messages),
        },
        _ => (None, messages),
    }
}

fn is_one_text(parts: &[Part<'_>]) -> bool {
    matches!(parts, [Part::Text { .. }])
}

fn text_content(parts: &[Part<'_>], name: &str, members: &mut Members<'_>) {
    if let [Part::Text { text, .. }] = parts {
        members.member(name, text);
    }
}

/// Writes the items of the conversation.
struct Items<'w, 'o, 'm> {
    list: &'w mut Members<'o>,
    manner: &'w Manner<'m>,
    unused: &'w mut Vec<Field>,
    /// Parts of the message that is not written yet.
    waiting: Vec<&'w Part<'w>>,
}

impl<'w> Items<'w, '_, '_> {
    fn message(&mut self, message: &'w Message<'w>) -> Result<(), Inexpressible> {
        if message.name.is_some() {
            self.left_out(Field::ParticipantName);
        }
        for part in &message.parts {
            match part {
                Part::CacheMark(_) => self.left_out(Field::CacheMark),
                Part::Text { text, .. } if text.is_empty() && message.role == Role::Assistant => {}
                Part::Text { .. } | Part::Refusal(_) | Part::Media(_) => self.waiting.push(part),
                Part::Reasoning { text, signature, .. } => {
                    // Thoughts that OpenAI did not encrypt are of no use to it.
                    if let Some(packed) = signature.as_ref().and_then(|made| made.for_maker(DIALECT)) {
                        self.flush(message.role)?;
                        self.reasoning(text, packed);
                    } else {
                        self.left_out(Field::Thoughts);
                    }
                }
                Part::ToolCall(call) => {
                    self.flush(message.role)?;
                    self.call(call);
                }
                Part::ToolResult(result) => {
                    self.flush(message.role)?;
                    self.result(result)?;
                }
            }
        }
        self.flush(message.role)
    }

    fn left_out(&mut self, field: Field) {
        if !self.unused.contains(&field) {
            self.unused.push(field);
        }
    }

    /// Writes the parts that wait, as one message.
    fn flush(&mut self, role: Role) -> Result<(), Inexpressible> {
        let parts = std::mem::take(&mut self.waiting);
        if parts.is_empty() {
            return Ok(());
        }
        let word = match role {
            Role::System => "system",
            Role::Developer if self.manner.rules.developer_role => "developer",
            Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        self.list.object_element(|item| {
            item.member("role", word);
            if let [Part::Text { text, .. }] = &parts[..] {
                item.member("content", text);
                return Ok(());
            }
            item.array("content", |list| parts.iter().try_for_each(|part| content(part, role, list)))
        })
    }

    fn reasoning(&mut self, text: &str, packed: &str) {
        let (id, encrypted) = without_id(packed);
        self.list.object_element(|item| {
            item.member("type", "reasoning");
            item.some("id", id);
            item.array("summary", |list| {
                if !text.is_empty() {
                    list.object_element(|part| {
                        part.member("type", "summary_text");
                        part.member("text", text);
                    });
                }
            });
            item.member("encrypted_content", encrypted);
        });
    }

    fn call(&mut self, call: &ToolCall<'_>) {
        self.list.object_element(|item| {
            item.member("type", "function_call");
            item.member("call_id", &call.id);
            item.member("name", &call.name);
            item.member("arguments", if call.arguments.is_empty() { "{}" } else { &call.arguments });
        });
    }

    fn result(&mut self, result: &'w ToolResult<'w>) -> Result<(), Inexpressible> {
        let parts: Vec<&Part<'_>> = result.parts.iter().filter(|part| !matches!(part, Part::CacheMark(_))).collect();
        if parts.len() < result.parts.len() {
            self.left_out(Field::CacheMark);
        }
        // The model sees the text alone, so that has to say it too.
        let says = |text: &str| text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
        let is_said = matches!(parts.first(), Some(Part::Text { text, .. }) if says(text));
        let mark = if result.is_error && !is_said { FAILED } else { "" };
        self.list.object_element(|item| {
            item.member("type", "function_call_output");
            item.member("call_id", &result.id);
            if result.is_error {
                item.member("status", "incomplete");
            }
            match &parts[..] {
                [] => item.member("output", mark.trim_end()),
                [Part::Text { text, .. }] if mark.is_empty() => item.member("output", text),
                [Part::Text { text, .. }] => item.member("output", &format!("{mark}{text}")),
                _ => {
                    return item.array("output", |list| {
                        if !mark.is_empty() {
                            text_part("input_text", mark.trim_end(), list);
                        }
                        parts.iter().try_for_each(|part| content(part, Role::User, list))
                    });
                }
            }
            Ok(())
        })
    }
}

/// One part of a message's content.
fn content(part: &Part<'_>, role: Role, list: &mut Members<'_>) -> Result<(), Inexpressible> {
    match part {
        Part::Text { text, .. } => {
            let kind = if role == Role::Assistant { "output_text" } else { "input_text" };
            text_part(kind, text, list);
            Ok(())
        }
        Part::Refusal(text) => {
            list.object_element(|part| {
                part.member("type", "refusal");
                part.member("refusal", text);
            });
            Ok(())
        }
        Part::Media(_) if role == Role::Assistant => {
            Err(Inexpressible::new(Field::Messages, "an image or sound of the model's"))
        }
        Part::Media(media) => medium(media, list),
        _ => Ok(()),
    }
}

fn text_part(kind: &str, text: &str, list: &mut Members<'_>) {
    list.object_element(|part| {
        part.member("type", kind);
        part.member("text", text);
    });
}

fn medium(media: &Media<'_>, list: &mut Members<'_>) -> Result<(), Inexpressible> {
    let mime = |otherwise: &'static str| media.mime_type.as_deref().unwrap_or(otherwise).to_owned();
    match (media.kind, &media.source) {
        (MediaKind::Image, source) => {
            let (name, value): (_, Cow<'_, str>) = match source {
                Source::Base64(data) => ("image_url", data_url(&mime("image/png"), data).into()),
                Source::Url(url) => ("image_url", Cow::Borrowed(url)),
                Source::File(id) => ("file_id", Cow::Borrowed(id)),
                Source::Text(_) => return Err(Inexpressible::new(Field::Messages, "an image that is text")),
            };
            list.object_element(|part| {
                part.member("type", "input_image");
                part.member(name, &value);
                part.some("detail", media.detail.as_deref());
            });
        }
        (MediaKind::Document, Source::Text(text)) => match &media.name {
            Some(name) => text_part("input_text", &format!("{name}\n\n{text}"), list),
            None => text_part("input_text", text, list),
        },
        (MediaKind::Document, source) => list.object_element(|part| {
            part.member("type", "input_file");
            match source {
                // A file in the request must have a name.
                Source::Base64(data) => {
                    let mime_type = mime("application/pdf");
                    part.member("filename", media.name.as_deref().unwrap_or(document_name(&mime_type)));
                    part.member("file_data", &data_url(&mime_type, data));
                }
                Source::Url(url) => part.member("file_url", url),
                Source::File(id) | Source::Text(id) => part.member("file_id", id),
            }
        }),
        (MediaKind::Audio, _) => return Err(Inexpressible::new(Field::Messages, "a sound")),
        (MediaKind::Video, _) => return Err(Inexpressible::new(Field::Messages, "a film")),
    }
    Ok(())
}

fn data_url(mime: &str, base64: &str) -> String {
    format!("data:{mime};base64,{base64}")
}
