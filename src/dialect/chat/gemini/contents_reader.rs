//! Reads the conversation of a request: `contents` and `systemInstruction`.

use super::media;
use super::request_reader::leave_out;
use super::spelling::{compact, list, object, text, word};
use super::{PLACEHOLDERS, call_id};
use crate::dialect::DialectId;
use crate::dialect::chat::data_url::source;
use crate::dialect::chat::members::{Object, invalid, read, untranslatable};
use crate::dialect::chat::{
    ChatRequest, Media, Message, Part, ReasoningKind, Role, Signature, Source, ToolCall, ToolResult,
};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use tollgate_plugin_api::Reject;

/// Members of a part that change nothing of what it says.
const PART_HINTS: [(&str, &str); 2] =
    [("partMetadata", "contents.parts.partMetadata"), ("mediaResolution", "contents.parts.mediaResolution")];

/// The conversation as it is read.
pub(super) struct Conversation<'a, 'r> {
    messages: &'r mut Vec<Message<'a>>,
    left_out: &'r mut Vec<Cow<'static, str>>,
    calls: Calls<'a>,
}

/// The calls of a conversation, and which of them have no result yet.
#[derive(Default)]
struct Calls<'a> {
    /// The id of each, until it has its result.
    open: Vec<Option<Cow<'a, str>>>,
    /// Their places by id and by name, first ones first. What has its result since is passed over.
    by_id: HashMap<Cow<'a, str>, VecDeque<usize>>,
    by_name: HashMap<Cow<'a, str>, VecDeque<usize>>,
    /// No call before this one is open.
    first: usize,
}

impl<'a> Calls<'a> {
    fn add(&mut self, id: Cow<'a, str>, name: Cow<'a, str>) {
        let place = self.open.len();
        self.by_id.entry(id.clone()).or_default().push_back(place);
        self.by_name.entry(name).or_default().push_back(place);
        self.open.push(Some(id));
    }

    /// The first open call of this id or name, or of all, which has its result now.
    fn take(&mut self, id: Option<&str>, name: Option<&str>) -> Option<Cow<'a, str>> {
        let places = match (id, name) {
            (Some(id), _) => self.by_id.get_mut(id)?,
            (None, Some(name)) => self.by_name.get_mut(name)?,
            (None, None) => {
                self.first += self.open.get(self.first..)?.iter().position(Option::is_some)?;
                return self.open[self.first].take();
            }
        };
        while let Some(place) = places.pop_front() {
            if let Some(id) = self.open[place].take() {
                return Some(id);
            }
        }
        None
    }
}

/// A part's members.
#[derive(Default)]
struct Seen<'a> {
    text: Option<Cow<'a, str>>,
    thought: bool,
    signature: Option<Signature<'a>>,
    part: Option<Part<'a>>,
}

impl<'a, 'r> Conversation<'a, 'r> {
    pub(super) fn new(request: &'r mut ChatRequest<'a>) -> Self {
        Self { messages: &mut request.messages, left_out: &mut request.left_out, calls: Calls::default() }
    }

    /// `contents`: a list, one of them, or (as Google's SDKs take it) a text.
    pub(super) fn contents(&mut self, value: &'a RawValue) -> Result<(), Reject> {
        for content in list(value, "contents")? {
            let (role, parts) = self.content(content, "contents")?;
            let role = match role.as_deref() {
                None | Some("USER" | "FUNCTION" | "") => Role::User,
                Some("MODEL") => Role::Assistant,
                Some(_) => return Err(invalid("contents.role", "must be `user` or `model`")),
            };
            if role == Role::User && parts.iter().any(|part| matches!(part, Part::ToolCall(_))) {
                return Err(invalid("contents.parts.functionCall", "its content must be the model's"));
            }
            if role == Role::Assistant && parts.iter().any(|part| matches!(part, Part::ToolResult(_))) {
                return Err(invalid(
                    "contents.parts.functionResponse",
                    "its content must be the user's, not the model's",
                ));
            }
            self.push(role, parts);
        }
        Ok(())
    }

    /// `systemInstruction`; its role means nothing.
    pub(super) fn instructions(&mut self, value: &'a RawValue, path: &str) -> Result<(), Reject> {
        let (_, parts) = self.content(value, path)?;
        if !parts.is_empty() {
            self.messages.push(Message { role: Role::System, name: None, parts });
        }
        Ok(())
    }

    /// Google's SDKs keep a streamed answer as many contents, a piece each: they are one message, and their pieces one part.
    fn push(&mut self, role: Role, parts: Vec<Part<'a>>) {
        let is_new = role != Role::Assistant || self.messages.last().is_none_or(|last| last.role != role);
        if is_new && !parts.is_empty() {
            self.messages.push(Message { role, name: None, parts: Vec::new() });
        }
        let Some(message) = self.messages.last_mut().filter(|_| !parts.is_empty()) else { return };
        for part in parts {
            match message.parts.last_mut() {
                Some(last) if role == Role::Assistant => {
                    if let Some(part) = join(last, part) {
                        message.parts.push(part);
                    }
                }
                _ => message.parts.push(part),
            }
        }
    }

    fn content(&mut self, value: &'a RawValue, path: &str) -> Result<(Option<String>, Vec<Part<'a>>), Reject> {
        if value.get().starts_with('"') {
            return Ok((None, vec![Part::text(text(value, path)?)]));
        }
        let (mut role, mut parts) = (None, Vec::new());
        for (name, value) in object(value, path)?.0 {
            match &*name {
                "role" => role = Some(word(value, &[], "contents.role")?),
                "parts" => {
                    for part in list(value, "contents.parts")? {
                        parts.extend(self.part(part)?);
                    }
                }
                _ => return Err(untranslatable(&format!("{path}.{name}"))),
            }
        }
        Ok((role, parts))
    }

    fn part(&mut self, value: &'a RawValue) -> Result<Option<Part<'a>>, Reject> {
        if value.get().starts_with('"') {
            return Ok(Some(Part::text(text(value, "contents.parts")?)));
        }
        let mut seen = Seen::default();
        for (name, value) in object(value, "contents.parts")?.0 {
            match &*name {
                "text" => seen.text = Some(text(value, "contents.parts.text")?),
                "thought" => seen.thought = read(value, "contents.parts.thought")?,
                "thoughtSignature" => seen.signature = signature(text(value, "contents.parts.thoughtSignature")?),
                "inlineData" => seen.part = Some(Part::Media(inline_data(value, "contents.parts.inlineData")?)),
                "fileData" => seen.part = Some(Part::Media(file_data(value, "contents.parts.fileData")?)),
                "functionCall" => seen.part = Some(Part::ToolCall(self.call(value)?)),
                "functionResponse" => seen.part = Some(Part::ToolResult(self.result(value)?)),
                name => match PART_HINTS.iter().find(|(hint, _)| *hint == name) {
                    Some((_, path)) => leave_out(self.left_out, path),
                    None => return Err(untranslatable(&format!("contents.parts.{name}"))),
                },
            }
        }
        Ok(self.whole(seen))
    }

    fn whole(&mut self, seen: Seen<'a>) -> Option<Part<'a>> {
        let Seen { text, thought, signature, part } = seen;
        match part {
            // A sketch that the model made for itself.
            Some(Part::Media(_)) if thought => {
                leave_out(self.left_out, "contents.parts.thought");
                None
            }
            Some(Part::ToolCall(call)) => Some(Part::ToolCall(ToolCall { signature, ..call })),
            Some(part) => Some(part),
            None if thought => {
                let text = text.unwrap_or_default();
                (!text.is_empty() || signature.is_some()).then(|| Part::Reasoning {
                    text,
                    kind: kind(&signature),
                    signature,
                })
            }
            None => {
                let text = text.unwrap_or_default();
                (!text.is_empty() || signature.is_some()).then_some(Part::Text { text, signature })
            }
        }
    }

    fn call(&mut self, value: &'a RawValue) -> Result<ToolCall<'a>, Reject> {
        let path = "contents.parts.functionCall";
        let call = object(value, path)?;
        known(&call, &["id", "name", "args"], path)?;
        let name = text(call.get("name").ok_or_else(|| invalid(path, "a name is missing"))?, path)?;
        let id = match id(&call, path)? {
            Some(id) => id,
            None => call_id("call", self.calls.open.len(), &name).into(),
        };
        self.calls.add(id.clone(), name.clone());
        let arguments = call.get("args").map_or(Cow::Borrowed("{}"), |args| compact(args.get()));
        if !arguments.starts_with('{') {
            return Err(invalid("contents.parts.functionCall.args", "an object is expected"));
        }
        Ok(ToolCall { id, name, arguments, signature: None })
    }

    fn result(&mut self, value: &'a RawValue) -> Result<ToolResult<'a>, Reject> {
        let path = "contents.parts.functionResponse";
        let said = object(value, path)?;
        known(&said, &["id", "name", "response", "parts", "willContinue", "scheduling"], path)?;
        if said.get("willContinue").is_some_and(|more| more.get() == "true") {
            return Err(untranslatable("contents.parts.functionResponse.willContinue"));
        }
        if said.get("scheduling").is_some() {
            leave_out(self.left_out, "contents.parts.functionResponse.scheduling");
        }
        let name = said.get("name").map(|name| text(name, path)).transpose()?.filter(|name| !name.is_empty());
        let id = self.answered(id(&said, path)?, name.as_deref())?;
        let (mut parts, mut is_error) = (Vec::new(), false);
        if let Some(response) = said.get("response") {
            let (said, failed) = response_text(response)?;
            parts.push(Part::text(said));
            is_error = failed;
        }
        if let Some(media) = said.get("parts") {
            for part in list(media, "contents.parts.functionResponse.parts")? {
                parts.push(Part::Media(result_media(part)?));
            }
        }
        Ok(ToolResult { id, name, parts, is_error })
    }

    /// The call that a result belongs to: by its id, else the first of its name that has no result yet.
    fn answered(&mut self, id: Option<Cow<'a, str>>, name: Option<&str>) -> Result<Cow<'a, str>, Reject> {
        let call = self.calls.take(id.as_deref(), name);
        call.or(id)
            .ok_or_else(|| invalid("contents.parts.functionResponse", "there is no functionCall that it answers"))
    }
}

/// Puts a piece of a streamed answer to the part that it continues; gives it back if it does not.
fn join<'a>(last: &mut Part<'a>, part: Part<'a>) -> Option<Part<'a>> {
    match (last, part) {
        (Part::Text { text, signature: None }, Part::Text { text: more, signature: None }) => {
            text.to_mut().push_str(&more);
            None
        }
        (
            Part::Reasoning { text, signature: ended @ None, kind: whole },
            Part::Reasoning { text: more, signature, kind },
        ) => {
            text.to_mut().push_str(&more);
            (*whole, *ended) = (kind, signature);
            None
        }
        (_, part) => Some(part),
    }
}

fn signature(text: Cow<'_, str>) -> Option<Signature<'_>> {
    let is_real = !text.is_empty() && !PLACEHOLDERS.contains(&&*text);
    is_real.then(|| Signature::read_in(DialectId::Gemini, text))
}

/// What Gemini shows are summaries; Anthropic's thoughts are thoughts.
fn kind(signature: &Option<Signature<'_>>) -> ReasoningKind {
    match signature {
        Some(signature) if signature.maker == DialectId::Anthropic => ReasoningKind::Full,
        _ => ReasoningKind::Summary,
    }
}

fn known(object: &Object<'_>, names: &[&str], path: &str) -> Result<(), Reject> {
    let unknown = object.0.iter().find(|(name, _)| !names.contains(&&**name));
    unknown.map_or(Ok(()), |(name, _)| Err(untranslatable(&format!("{path}.{name}"))))
}

fn id<'a>(object: &Object<'a>, path: &str) -> Result<Option<Cow<'a, str>>, Reject> {
    Ok(object.get("id").map(|id| text(id, path)).transpose()?.filter(|id| !id.is_empty()))
}

/// What a function said, and whether it failed. By the reference its output stands in `output` and what went wrong in `error`;
/// Google's SDKs write `result`. Anything else is the output as a whole.
fn response_text(response: &RawValue) -> Result<(Cow<'_, str>, bool), Reject> {
    let members = Object::read(response.get(), "contents.parts.functionResponse.response")?.0;
    match &*members {
        [(name, value)] if matches!(&**name, "output" | "result" | "error") && value.get() != "null" => {
            let said = if value.get().starts_with('"') { text(value, name)? } else { compact(value.get()) };
            Ok((said, name == "error"))
        }
        _ => Ok((compact(response.get()), false)),
    }
}

fn inline_data<'a>(value: &'a RawValue, path: &str) -> Result<Media<'a>, Reject> {
    let blob = object(value, path)?;
    known(&blob, &["mimeType", "data", "displayName"], path)?;
    let data = media::standard_base64(text(blob.get("data").ok_or_else(|| invalid(path, "data is missing"))?, path)?);
    let mime_type = blob.get("mimeType").map(|mime_type| text(mime_type, path)).transpose()?;
    let mime_type = mime_type.or_else(|| media::of_base64(&data, None).map(Cow::Borrowed));
    Ok(Media {
        kind: media::kind(mime_type.as_deref()),
        source: Source::Base64(data),
        mime_type,
        name: display_name(&blob, path)?,
        detail: None,
    })
}

fn file_data<'a>(value: &'a RawValue, path: &str) -> Result<Media<'a>, Reject> {
    let file = object(value, path)?;
    known(&file, &["mimeType", "fileUri", "displayName"], path)?;
    let uri = text(file.get("fileUri").ok_or_else(|| invalid(path, "fileUri is missing"))?, path)?;
    let mime_type = file.get("mimeType").map(|mime_type| text(mime_type, path)).transpose()?;
    let mime_type = mime_type.or_else(|| media::of_name(&uri).map(Cow::Borrowed));
    let (source, own_type) = if media::is_googles(&uri) { (Source::File(uri), None) } else { source(uri, path)? };
    let mime_type = mime_type.or(own_type);
    Ok(Media {
        kind: media::kind(mime_type.as_deref()),
        source,
        mime_type,
        name: display_name(&file, path)?,
        detail: None,
    })
}

fn display_name<'a>(object: &Object<'a>, path: &str) -> Result<Option<Cow<'a, str>>, Reject> {
    object.get("displayName").map(|name| text(name, path)).transpose()
}

fn result_media(value: &RawValue) -> Result<Media<'_>, Reject> {
    let path = "contents.parts.functionResponse.parts";
    match &*object(value, path)?.0 {
        [(name, value)] if name == "inlineData" => inline_data(value, path),
        [(name, value)] if name == "fileData" => file_data(value, path),
        _ => Err(invalid(path, "inlineData or fileData is expected")),
    }
}
