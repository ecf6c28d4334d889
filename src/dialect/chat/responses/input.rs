//! The items of a request's `input`.

use super::super::members::{self, Object, invalid, untranslatable};
use super::super::request::{ChatRequest, Media, MediaKind, Message, Part, Role, Source, ToolCall, ToolResult};
use super::super::{ReasoningKind, Signature, Text};
use super::request_reader::{need, only, text};
use super::tools::{arguments_of_input, carried_name};
use super::{FAILED, Signed, parts, unshow};
use serde_json::value::RawValue;
use std::borrow::Cow;
use tollgate_plugin_api::{Reject, RejectCode};

/// Members of every item that say nothing elsewhere: ours or another provider's names of it, how it ended, and whose it is.
const ANY: [&str; 5] = ["type", "id", "status", "caller", "created_by"];
/// An item that is only named, by its id: whoever kept it knows what it says (platform.openai.com/docs/api-reference/responses/create).
const REFERENCE: &str = "item_reference";

/// Reads the conversation.
pub(super) fn read<'a>(value: &'a RawValue, request: &mut ChatRequest<'a>) -> Result<(), Reject> {
    if value.get().starts_with('"') {
        let text = members::read::<Text<'a>>(value, "input")?.0;
        request.messages.push(Message { role: Role::User, name: None, parts: vec![Part::text(text)] });
        return Ok(());
    }
    let mut conversation = Conversation { request, signature: None };
    for (index, item) in members::read::<Vec<&RawValue>>(value, "input")?.into_iter().enumerate() {
        let path = format!("input[{index}]");
        conversation.item(&Object::read(item.get(), &path)?, &path)?;
    }
    Ok(())
}

struct Conversation<'r, 'a> {
    request: &'r mut ChatRequest<'a>,
    /// The signature of the item that comes next.
    signature: Option<Signature<'a>>,
}

impl<'a> Conversation<'_, 'a> {
    fn item(&mut self, item: &Object<'a>, path: &str) -> Result<(), Reject> {
        // Both kinds may go without their type.
        let is_said = item.get("role").is_some() || item.get("content").is_some() || item.get("id").is_none();
        let kind = text(item, "type", path)?.unwrap_or(Cow::Borrowed(if is_said { "message" } else { REFERENCE }));
        match &*kind {
            "message" => self.message(item, path),
            "reasoning" => self.reasoning(item, path),
            "function_call" => self.call(item, "arguments", path),
            "custom_tool_call" => self.call(item, "input", path),
            "function_call_output" | "custom_tool_call_output" => self.result(item, path),
            "image_generation_call" => self.image(item, path),
            // What the provider's own tools did in an earlier turn; what came of it stands in the answer behind it.
            "web_search_call" | "file_search_call" => {
                self.leave_out(&format!("input.{kind}"));
                Ok(())
            }
            REFERENCE if text(item, "id", path)?.is_some_and(|id| is_own_thought(&id)) => {
                self.leave_out("input.item_reference");
                Ok(())
            }
            REFERENCE => Err(unkept(&format!("{path}.type"))),
            _ => Err(untranslatable(&format!("{path}.type"))),
        }
    }

    fn leave_out(&mut self, name: &str) {
        self.request.left_out.push(name.to_owned().into());
    }

    /// An image that the model made, as our own answers and OpenAI's have it. How it was made says nothing elsewhere.
    fn image(&mut self, item: &Object<'a>, path: &str) -> Result<(), Reject> {
        let Some(base64) = text(item, "result", path)?.filter(|base64| !base64.is_empty()) else {
            self.leave_out("input.image_generation_call");
            return Ok(());
        };
        let format = text(item, "output_format", path)?.unwrap_or(Cow::Borrowed("png"));
        let (source, mime_type) = (Source::Base64(base64), Some(format!("image/{format}").into()));
        self.said(vec![Part::Media(Media { kind: MediaKind::Image, source, mime_type, name: None, detail: None })]);
        Ok(())
    }

    fn message(&mut self, item: &Object<'a>, path: &str) -> Result<(), Reject> {
        only(item, &[&ANY[..], &["role", "content", "phase"]].concat(), path)?;
        if item.get("phase").is_some() {
            self.leave_out("input.phase");
        }
        let role = match &*need(item, "role", path)? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => return Err(invalid(&format!("{path}.role"), "no such role is known")),
        };
        let path = format!("{path}.content");
        let content = item.get("content").ok_or_else(|| invalid(&path, "it is missing"))?;
        let mut parts = parts::read(content, &path, &mut self.request.left_out)?;
        let first = parts.iter_mut().find_map(|part| match part {
            Part::Text { signature, .. } => Some(signature),
            _ => None,
        });
        if let Some(place) = first.filter(|_| role == Role::Assistant) {
            *place = self.signature.take();
        }
        if role == Role::Assistant {
            self.said(parts);
        } else {
            self.request.messages.push(Message { role, name: None, parts });
        }
        Ok(())
    }

    /// Neighbouring items of the model's are one message.
    fn said(&mut self, parts: Vec<Part<'a>>) {
        match self.request.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.parts.extend(parts),
            _ => self.request.messages.push(Message { role: Role::Assistant, name: None, parts }),
        }
    }

    fn reasoning(&mut self, item: &Object<'a>, path: &str) -> Result<(), Reject> {
        only(item, &[&ANY[..], &["summary", "content", "encrypted_content"]].concat(), path)?;
        let id = text(item, "id", path)?;
        let encrypted = text(item, "encrypted_content", path)?.filter(|encrypted| !encrypted.is_empty());
        let shown = encrypted.map(|encrypted| unshow(id.as_deref(), encrypted));
        let signature = match shown {
            Some((signature, Signed::Next)) => {
                self.signature = Some(signature);
                return Ok(());
            }
            Some((signature, Signed::Last)) => {
                self.sign_last(signature);
                return Ok(());
            }
            Some((signature, Signed::Itself)) => Some(signature),
            None => None,
        };
        let own = parts::thoughts(item, "content", path)?;
        let summary = parts::thoughts(item, "summary", path)?;
        // Other providers' thoughts went out as summaries, because there every client looks for them.
        let foreign = signature.as_ref().is_some_and(|signature| signature.maker != super::DIALECT);
        let kind = if own.is_some() || foreign { ReasoningKind::Full } else { ReasoningKind::Summary };
        let text = own.or(summary).unwrap_or_default();
        if !text.is_empty() || signature.is_some() {
            self.said(vec![Part::Reasoning { text, kind, signature }]);
        } else {
            // Only who has kept it knows what it is.
            self.leave_out("input.reasoning");
        }
        Ok(())
    }

    fn sign_last(&mut self, made: Signature<'a>) {
        let last = self.request.messages.last_mut().filter(|last| last.role == Role::Assistant);
        match last.and_then(|last| last.parts.last_mut()) {
            Some(Part::Text { signature, .. }) if signature.is_none() => *signature = Some(made),
            _ => self.said(vec![Part::Text { text: Cow::Borrowed(""), signature: Some(made) }]),
        }
    }

    fn call(&mut self, item: &Object<'a>, what: &str, path: &str) -> Result<(), Reject> {
        // The SDKs' parsers add what they made of the arguments (openai-node: `ParsedResponseFunctionToolCall`).
        only(item, &[&ANY[..], &["call_id", "name", "namespace", "async", "parsed_arguments", what]].concat(), path)?;
        let said = need(item, what, path)?;
        let namespace = text(item, "namespace", path)?;
        let call = ToolCall {
            id: need(item, "call_id", path)?,
            name: carried_name(namespace.as_deref(), need(item, "name", path)?),
            arguments: if what == "input" { arguments_of_input(&said).into() } else { said },
            signature: self.signature.take(),
        };
        self.said(vec![Part::ToolCall(call)]);
        Ok(())
    }

    fn result(&mut self, item: &Object<'a>, path: &str) -> Result<(), Reject> {
        only(item, &[&ANY[..], &["call_id", "output", "name", "namespace"]].concat(), path)?;
        let output = format!("{path}.output");
        let said = item.get("output").ok_or_else(|| invalid(&output, "it is missing"))?;
        let namespace = text(item, "namespace", path)?;
        let mut result = ToolResult {
            id: need(item, "call_id", path)?,
            name: text(item, "name", path)?.map(|name| carried_name(namespace.as_deref(), name)),
            parts: parts::read(said, &output, &mut self.request.left_out)?,
            is_error: text(item, "status", path)?.is_some_and(|status| status == "incomplete"),
        };
        if let Some(Part::Text { text, .. }) = result.parts.first_mut().filter(|_| result.is_error) {
            *text = without_mark(std::mem::take(text));
        }
        let result = Part::ToolResult(result);
        match self.request.messages.last_mut() {
            Some(last) if matches!(last.parts.last(), Some(Part::ToolResult(_))) => last.parts.push(result),
            _ => self.request.messages.push(Message { role: Role::User, name: None, parts: vec![result] }),
        }
        Ok(())
    }
}

/// Whether an id is one that answers written here have for thoughts (`rs_`, the request's id, a number): another provider's, which
/// are of no use to this one.
fn is_own_thought(id: &str) -> bool {
    let own = id.strip_prefix("rs_").and_then(|rest| rest.split_once('_'));
    own.is_some_and(|(request, number)| {
        request.len() == 32
            && request.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The refusal of an item that only who kept it could know.
fn unkept(path: &str) -> Reject {
    Reject::new(RejectCode::InvalidRequest)
        .message(format!(
            "`{path}`: an `{REFERENCE}` names an item of an earlier answer, and the provider of this model keeps no answers: send the \
             item itself (AI SDK: `providerOptions.openai.store = false`)"
        ))
        .param(path.to_owned())
}

/// What failed says so without the word before its text.
fn without_mark(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(FAILED).unwrap_or(text)),
        Cow::Owned(text) => Cow::Owned(text.strip_prefix(FAILED).unwrap_or(&text).to_owned()),
    }
}
