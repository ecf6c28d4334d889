//! Reads the conversation: messages and their blocks.

use super::super::super::data_url;
use super::super::super::json::{Json, Text};
use super::super::super::members::{Object, invalid, read, untranslatable};
use super::super::super::request::{ChatRequest, Media, MediaKind, Message, Part, Role, Source, ToolCall, ToolResult};
use super::super::super::signature::Signature;
use super::super::Sealed;
use super::{leave_out, maybe, maybe_text, needed, needed_text, only};
use crate::dialect::DialectId;
use crate::dialect::chat::ReasoningKind;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tollgate_plugin_api::Reject;

/// Blocks of instructions.
pub(super) const IN_SYSTEM: &[&str] = &["text"];
const IN_USER: &[&str] = &["text", "image", "document", "search_result", "tool_result"];
const IN_ASSISTANT: &[&str] =
    &["text", "image", "document", "thinking", "redacted_thinking", "tool_use", "compaction", "fallback"];
const IN_RESULT: &[&str] = &["text", "image", "document", "search_result", "tool_reference"];

/// Reads `messages`.
pub(super) fn read_messages<'a>(request: &mut ChatRequest<'a>, value: &'a RawValue) -> Result<(), Reject> {
    let messages: Vec<&'a RawValue> = read(value, "messages")?;
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let object = Object::read(message.get(), &path)?;
        let (role, kinds) = match &*needed_text(&object, &path, "role")? {
            "user" => (Role::User, IN_USER),
            "assistant" => (Role::Assistant, IN_ASSISTANT),
            "system" => (Role::System, IN_SYSTEM),
            _ => return Err(invalid(&format!("{path}.role"), "`user`, `assistant` or `system` is expected")),
        };
        // How long an instruction stands, and the effort from there on.
        let hints: &[&str] = if role == Role::System { &["clear_at", "output_config"] } else { &[] };
        only(request, &object, &path, "messages", &["role", "content"], hints)?;
        let Some(content) = object.get("content") else {
            if role == Role::System {
                continue;
            }
            return Err(invalid(&format!("{path}.content"), "it is missing"));
        };
        let parts = read_parts(request, content, &format!("{path}.content"), kinds)?;
        request.messages.push(Message { role, name: None, parts });
    }
    Ok(())
}

/// Reads a text or a list of blocks of these kinds.
pub(super) fn read_parts<'a>(
    request: &mut ChatRequest<'a>,
    value: &'a RawValue,
    path: &str,
    kinds: &[&str],
) -> Result<Vec<Part<'a>>, Reject> {
    let mut parts = Vec::new();
    if value.get().starts_with('"') {
        push_text(&mut parts, read::<Text<'a>>(value, path)?.0);
        return Ok(parts);
    }
    let blocks: Vec<&'a RawValue> = read(value, path)?;
    let mut reading = Reading { request, parts, text: None, call_signature: None };
    for (index, block) in blocks.into_iter().enumerate() {
        reading.block(block, &format!("{path}[{index}]"), kinds)?;
    }
    Ok(reading.parts)
}

/// Empty texts are no parts: some clients send them, no provider wants them.
fn push_text<'a>(parts: &mut Vec<Part<'a>>, text: Cow<'a, str>) {
    if !text.is_empty() {
        parts.push(Part::text(text));
    }
}

/// The path without places: how a hint is called.
fn name_of(path: &str) -> String {
    let mut name = String::new();
    let mut inside = false;
    for letter in path.chars() {
        inside = letter == '[' || inside && letter != ']';
        if !inside && letter != ']' {
            name.push(letter);
        }
    }
    name
}

struct Reading<'a, 'r> {
    request: &'r mut ChatRequest<'a>,
    parts: Vec<Part<'a>>,
    /// The place of the last text among the parts.
    text: Option<usize>,
    /// Of the call that follows.
    call_signature: Option<Signature<'a>>,
}

impl<'a> Reading<'a, '_> {
    fn block(&mut self, value: &'a RawValue, path: &str, kinds: &[&str]) -> Result<(), Reject> {
        let object = Object::read(value.get(), path)?;
        let kind = needed_text(&object, path, "type")?;
        if !kinds.contains(&&*kind) {
            return Err(untranslatable(&format!("{path}.type")));
        }
        let (known, hints): (&[&str], &[&str]) = match &*kind {
            "text" => (&["text"], &["citations"]),
            "image" => (&["source"], &["transformations"]),
            "document" => (&["source", "title", "context", "citations"], &[]),
            "search_result" => (&["source", "title", "content", "citations"], &[]),
            "thinking" => (&["thinking", "signature"], &[]),
            "redacted_thinking" => (&["data"], &[]),
            "tool_use" => (&["id", "name", "input", "caller"], &[]),
            "tool_result" => (&["tool_use_id", "content", "is_error"], &[]),
            "tool_reference" => (&["tool_name"], &[]),
            "compaction" => (&["content"], &["encrypted_content", "signature", "tool_changes"]),
            _ => (&["from", "to", "trigger"], &[]),
        };
        let known: Vec<&str> = known.iter().copied().chain(["type", "cache_control"]).collect();
        only(self.request, &object, path, &name_of(path), &known, hints)?;
        self.citations(&object, path)?;
        match &*kind {
            "text" => {
                push_text(&mut self.parts, needed_text(&object, path, "text")?);
                if let Some(Part::Text { .. }) = self.parts.last() {
                    self.text = self.parts.len().checked_sub(1);
                }
            }
            "image" => self.media(MediaKind::Image, None, &object, path)?,
            "document" => self.document(&object, path)?,
            "search_result" => self.search_result(&object, path)?,
            "thinking" => self.thinking(&object, path)?,
            "redacted_thinking" => self.sealed(needed_text(&object, path, "data")?),
            "tool_use" => self.tool_call(&object, path)?,
            "tool_result" => self.tool_result(&object, path)?,
            "compaction" => self.compaction(&object, path)?,
            // A tool that was found, and is offered from here on: here it was all along.
            "tool_reference" => self.parts.push(Part::text(needed_text(&object, path, "tool_name")?)),
            // A mark where another model of the provider's took over.
            _ => {}
        }
        if let Some(mark) = object.get("cache_control") {
            self.parts.push(Part::CacheMark(Json::raw(mark)));
        }
        Ok(())
    }

    /// Citations are wished for with the document; elsewhere they cannot be had.
    fn citations(&mut self, object: &Object<'a>, path: &str) -> Result<(), Reject> {
        let config = object.get("citations").filter(|config| config.get().starts_with('{'));
        let Some(config) = config else { return Ok(()) };
        let path = format!("{path}.citations");
        if maybe(&Object::read(config.get(), &path)?, &path, "enabled")? == Some(true) {
            leave_out(self.request, name_of(&path));
        }
        Ok(())
    }

    fn media(
        &mut self,
        kind: MediaKind,
        title: Option<Cow<'a, str>>,
        object: &Object<'a>,
        path: &str,
    ) -> Result<(), Reject> {
        let path = format!("{path}.source");
        let from = Object::read(object.get("source").ok_or_else(|| invalid(&path, "it is missing"))?.get(), &path)?;
        let mut mime_type = maybe_text(&from, &path, "media_type")?;
        let source = match (&*needed_text(&from, &path, "type")?, kind) {
            ("base64", _) => Source::Base64(needed_text(&from, &path, "data")?),
            ("url", _) => {
                let (source, own_type) = data_url::source(needed_text(&from, &path, "url")?, &format!("{path}.url"))?;
                mime_type = mime_type.or(own_type);
                source
            }
            ("file", _) => Source::File(needed_text(&from, &path, "file_id")?),
            ("text", MediaKind::Document) => Source::Text(needed_text(&from, &path, "data")?),
            ("content", MediaKind::Document) => {
                let content = needed(&from, &path, "content")?;
                let parts = read_parts(self.request, content, &format!("{path}.content"), &["text", "image"])?;
                // It has no part of its own that could have the title.
                push_text(&mut self.parts, title.unwrap_or_default());
                self.parts.extend(parts);
                return Ok(());
            }
            _ => return Err(untranslatable(&format!("{path}.type"))),
        };
        if kind == MediaKind::Document && matches!(source, Source::Url(_)) {
            // Only of PDFs.
            mime_type = mime_type.or(Some("application/pdf".into()));
        }
        self.parts.push(Part::Media(Media { kind, source, mime_type, name: title, detail: None }));
        Ok(())
    }

    fn document(&mut self, object: &Object<'a>, path: &str) -> Result<(), Reject> {
        // What the model is told about the document, but may not cite.
        if let Some(context) = maybe_text(object, path, "context")? {
            push_text(&mut self.parts, context);
        }
        let title = maybe_text(object, path, "title")?;
        self.media(MediaKind::Document, title, object, path)
    }

    /// What was found for the model, by the application itself: text with its title and address.
    fn search_result(&mut self, object: &Object<'a>, path: &str) -> Result<(), Reject> {
        let mut text = needed_text(object, path, "title")?.into_owned();
        text.push('\n');
        text.push_str(&needed_text(object, path, "source")?);
        text.push('\n');
        let content = needed(object, path, "content")?;
        for part in read_parts(self.request, content, &format!("{path}.content"), &["text"])? {
            if let Part::Text { text: piece, .. } = part {
                text.push('\n');
                text.push_str(&piece);
            }
        }
        self.parts.push(Part::text(text));
        Ok(())
    }

    fn thinking(&mut self, object: &Object<'a>, path: &str) -> Result<(), Reject> {
        let text = needed_text(object, path, "thinking")?;
        let signature = maybe_text(object, path, "signature")?.filter(|signature| !signature.is_empty());
        let signature = signature.map(|signature| Signature::read_in(DialectId::Anthropic, signature));
        if !text.is_empty() || signature.is_some() {
            self.parts.push(Part::Reasoning { text, kind: ReasoningKind::Full, signature });
        }
        Ok(())
    }

    fn sealed(&mut self, data: Cow<'a, str>) {
        match Sealed::read(data) {
            Sealed::Call(signature) => self.call_signature = Some(signature),
            Sealed::Text(signed) => {
                let last = self.text.and_then(|place| self.parts.get_mut(place));
                if let Some(Part::Text { signature, .. }) = last {
                    *signature = Some(signed);
                }
            }
            Sealed::Thoughts(signature) => {
                let (text, kind) = (Cow::Borrowed(""), ReasoningKind::Full);
                self.parts.push(Part::Reasoning { text, kind, signature: Some(signature) });
            }
        }
    }

    fn tool_call(&mut self, object: &Object<'a>, path: &str) -> Result<(), Reject> {
        if let Some(caller) = object.get("caller") {
            let path = format!("{path}.caller");
            if needed_text(&Object::read(caller.get(), &path)?, &path, "type")? != "direct" {
                return Err(untranslatable(&path));
            }
        }
        self.parts.push(Part::ToolCall(ToolCall {
            id: needed_text(object, path, "id")?,
            name: needed_text(object, path, "name")?,
            arguments: object.get("input").map_or("{}", RawValue::get).into(),
            signature: self.call_signature.take(),
        }));
        Ok(())
    }

    fn tool_result(&mut self, object: &Object<'a>, path: &str) -> Result<(), Reject> {
        let parts = match object.get("content") {
            Some(content) => read_parts(self.request, content, &format!("{path}.content"), IN_RESULT)?,
            None => Vec::new(),
        };
        self.parts.push(Part::ToolResult(ToolResult {
            id: needed_text(object, path, "tool_use_id")?,
            name: None,
            parts,
            is_error: maybe(object, path, "is_error")?.unwrap_or(false),
        }));
        Ok(())
    }

    /// The provider's summary stands for all that was before it, instructions excepted.
    fn compaction(&mut self, object: &Object<'a>, path: &str) -> Result<(), Reject> {
        let summary = maybe_text(object, path, "content")?.ok_or_else(|| untranslatable(&format!("{path}.content")))?;
        self.request.messages.retain(|message| message.role == Role::System);
        self.parts.clear();
        self.text = None;
        let parts = vec![Part::text(summary)];
        self.request.messages.push(Message { role: Role::User, name: None, parts });
        Ok(())
    }
}
