//! A conversation, message by message.

use super::chunk::{Extra, Loose};
use super::part_reader;
use super::reasoning_details::{Detail, shown};
use crate::dialect::chat::event::ReasoningKind;
use crate::dialect::chat::json::{Text, text_or_json};
use crate::dialect::chat::members::{Object, invalid, read as typed, untranslatable};
use crate::dialect::chat::request::{ChatRequest, Message, Part, Role, ToolCall, ToolResult};
use crate::dialect::chat::signature::Signature;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tollgate_plugin_api::Reject;

/// What clients send back with the answers they got, and what concerns nobody.
const HARMLESS: [&str; 4] = ["annotations", "parsed", "provider_specific_fields", "provider_metadata"];

/// `messages`
pub(super) fn read<'a>(value: &'a RawValue, request: &mut ChatRequest<'a>) -> Result<(), Reject> {
    let list: Vec<&RawValue> = typed(value, "messages")?;
    let mut called = Called::default();
    for (index, raw) in list.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        message(Object::read(raw.get(), &path)?, &path, index, &mut called, request)?;
    }
    Ok(())
}

/// The last `function_call`: OpenAI's first form of a call, which has no id.
#[derive(Debug, Default)]
struct Called<'a> {
    id: Cow<'a, str>,
}

fn message<'a>(
    object: Object<'a>,
    path: &str,
    index: usize,
    called: &mut Called<'a>,
    request: &mut ChatRequest<'a>,
) -> Result<(), Reject> {
    let role = object.get("role").ok_or_else(|| invalid(&format!("{path}.role"), "it is missing"))?;
    let role: Text<'a> = typed(role, &format!("{path}.role"))?;
    let read = Reader { object: &object, path, request };
    match role.as_str() {
        "system" => read.plain(Role::System),
        "developer" => read.plain(Role::Developer),
        "user" => read.plain(Role::User),
        "assistant" => read.assistant(index, called),
        "tool" => read.result(None),
        "function" => read.result(Some(called.id.clone())),
        _ => Err(invalid(&format!("{path}.role"), "system, developer, user, assistant or tool is expected")),
    }
}

/// Reads one message.
struct Reader<'r, 'a> {
    object: &'r Object<'a>,
    path: &'r str,
    request: &'r mut ChatRequest<'a>,
}

impl<'a> Reader<'_, 'a> {
    fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Reject> {
        let Some(value) = self.object.get(name) else { return Ok(None) };
        Ok(Some(typed::<Text<'a>>(value, &self.path(name))?.0))
    }

    fn content(&self) -> Result<Vec<Part<'a>>, Reject> {
        let Some(content) = self.object.get("content") else { return Ok(Vec::new()) };
        part_reader::content(content, &self.path("content"))
    }

    /// Refuses members that nobody knows, unless they say nothing.
    fn known(&mut self, names: &[&str]) -> Result<(), Reject> {
        for (name, value) in &self.object.0 {
            let name = &**name;
            let says_nothing = matches!(value.get(), "null" | "false" | "\"\"" | "[]" | "{}");
            if says_nothing || names.contains(&name) || matches!(name, "role" | "content" | "name") {
                continue;
            }
            if name == "cache_control" || HARMLESS.contains(&name) {
                let name = Cow::Owned(format!("messages.{name}"));
                if !self.request.left_out.contains(&name) {
                    self.request.left_out.push(name);
                }
                continue;
            }
            return Err(untranslatable(&self.path(name)));
        }
        Ok(())
    }

    fn plain(mut self, role: Role) -> Result<(), Reject> {
        self.known(&[])?;
        let (name, parts) = (self.text("name")?, self.content()?);
        match self.request.messages.last_mut() {
            // Results and what the user says of them are one turn.
            Some(last) if role == Role::User && name.is_none() && only_results(last) => last.parts.extend(parts),
            _ => self.request.messages.push(Message { role, name, parts }),
        }
        Ok(())
    }

    fn result(mut self, legacy_id: Option<Cow<'a, str>>) -> Result<(), Reject> {
        self.known(&["tool_call_id"])?;
        let missing = || invalid(&self.path("tool_call_id"), "it is missing");
        let id = self.text("tool_call_id")?.or(legacy_id).ok_or_else(missing)?;
        let (name, parts) = (self.text("name")?, self.content()?);
        let result = Part::ToolResult(ToolResult { id, name, parts, is_error: false });
        match self.request.messages.last_mut() {
            Some(last) if only_results(last) => last.parts.push(result),
            _ => self.request.messages.push(Message { role: Role::User, name: None, parts: vec![result] }),
        }
        Ok(())
    }

    fn assistant(mut self, index: usize, called: &mut Called<'a>) -> Result<(), Reject> {
        self.known(&[
            "refusal",
            "tool_calls",
            "function_call",
            "reasoning_content",
            "reasoning",
            "reasoning_details",
            "images",
            "extra_content",
        ])?;
        let mut parts = self.thoughts()?;
        parts.extend(self.content()?);
        self.sign(&mut parts)?;
        parts.extend(self.text("refusal")?.filter(|text| !text.is_empty()).map(Part::Refusal));
        if let Some(images) = self.object.get("images") {
            parts.extend(part_reader::content(images, &self.path("images"))?);
        }
        if let Some(calls) = self.object.get("tool_calls") {
            let calls: Vec<&RawValue> = typed(calls, &self.path("tool_calls"))?;
            for (index, raw) in calls.into_iter().enumerate() {
                parts.push(Part::ToolCall(tool_call(raw, &format!("{}.tool_calls[{index}]", self.path))?));
            }
        }
        if let Some(function) = self.object.get("function_call") {
            called.id = Cow::Owned(format!("call_{index}"));
            let function: Function<'a> = typed(function, &self.path("function_call"))?;
            parts.push(Part::ToolCall(function.call(called.id.clone(), None)));
        }
        let name = self.text("name")?;
        self.request.messages.push(Message { role: Role::Assistant, name, parts });
        Ok(())
    }

    /// Blocks with their signatures where they came back, else what there is of text.
    fn thoughts(&self) -> Result<Vec<Part<'a>>, Reject> {
        let mut parts: Vec<Part<'a>> = Vec::new();
        if let Some(details) = self.object.get("reasoning_details") {
            let details: Vec<Detail<'a>> = typed(details, &self.path("reasoning_details"))?;
            details.into_iter().for_each(|detail| add_detail(&mut parts, detail));
        }
        let has_words = |part: &Part<'_>| matches!(part, Part::Reasoning { text, .. } if !text.is_empty());
        if parts.iter().any(has_words) {
            return Ok(parts);
        }
        let filled = |text: Option<Cow<'a, str>>| text.filter(|text| !text.is_empty());
        let plain = filled(self.text("reasoning_content")?).or(filled(self.text("reasoning")?));
        match (plain, &mut *parts) {
            (None, _) => {}
            // The text of the one block whose signature alone came back.
            (Some(plain), [Part::Reasoning { text, .. }]) => *text = plain,
            (Some(text), _) => {
                parts.insert(0, Part::Reasoning { text, kind: ReasoningKind::Full, signature: None });
            }
        }
        Ok(parts)
    }

    /// The signature of the message's text.
    fn sign(&self, parts: &mut Vec<Part<'a>>) -> Result<(), Reject> {
        let Some(extra) = self.object.get("extra_content") else { return Ok(()) };
        let mut extra: Loose<Extra<'a>> = typed(extra, &self.path("extra_content"))?;
        let Some(signed) = extra.signature().map(shown) else { return Ok(()) };
        match parts.iter_mut().rev().find(|part| matches!(part, Part::Text { .. })) {
            Some(Part::Text { signature, .. }) => *signature = Some(signed),
            _ => parts.push(Part::Text { text: Cow::Borrowed(""), signature: Some(signed) }),
        }
        Ok(())
    }
}

fn only_results(message: &Message<'_>) -> bool {
    !message.parts.is_empty() && message.parts.iter().all(|part| matches!(part, Part::ToolResult(_)))
}

/// An entry with a proof alone is that of the entry before it, if that has none.
fn add_detail<'a>(parts: &mut Vec<Part<'a>>, mut detail: Detail<'a>) {
    let (words, signed) = (detail.words(), detail.signature(shown));
    match (words, signed, parts.last_mut()) {
        (None, None, _) => {}
        (None, Some(signed), Some(Part::Reasoning { signature: signature @ None, .. })) => *signature = Some(signed),
        (words, signature, _) => {
            let (text, kind) = words.unwrap_or_default();
            parts.push(Part::Reasoning { text, kind, signature });
        }
    }
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    /// A text; some clients send the object itself.
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl<'a> Function<'a> {
    fn call(self, id: Cow<'a, str>, signature: Option<Signature<'a>>) -> ToolCall<'a> {
        let arguments = self.arguments.map(text_or_json).filter(|text| !text.trim_ascii().is_empty());
        ToolCall { id, name: self.name.0, arguments: arguments.unwrap_or(Cow::Borrowed("{}")), signature }
    }
}

fn tool_call<'a>(raw: &'a RawValue, path: &str) -> Result<ToolCall<'a>, Reject> {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow)]
        id: Text<'a>,
        #[serde(borrow, default, rename = "type")]
        kind: Option<Text<'a>>,
        #[serde(borrow, default)]
        function: Option<Function<'a>>,
        #[serde(borrow, default)]
        extra_content: Loose<Extra<'a>>,
    }
    let mut said: Said<'a> = typed(raw, path)?;
    let is_function = said.kind.is_none_or(|kind| kind.as_str() == "function");
    let function = said.function.filter(|_| is_function).ok_or_else(|| untranslatable(&format!("{path}.type")))?;
    Ok(function.call(said.id.0, said.extra_content.signature().map(shown)))
}
