//! Writes the conversation of a request: `systemInstruction` and `contents`.

use super::{PLACEHOLDERS, media, thinking};
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::write::Members;
use crate::dialect::chat::{
    ChatRequest, Inexpressible, Json, Manner, Media, MediaKind, Message, Part, Role, Signature, Source, ToolCall,
    ToolResult,
};
use std::borrow::Cow;
use std::collections::HashMap;

/// The conversation, in the order and the turns that Gemini takes.
pub(super) struct Contents<'r> {
    instructions: Vec<&'r str>,
    turns: Vec<Turn<'r>>,
    /// Calls without a signature of the model's own need one in its place.
    placeholders: bool,
    /// Media of results stand beside them: models before Gemini 3 take none inside.
    media_beside: bool,
    /// Calls and results have their ids; where not, they belong together by their order.
    with_ids: bool,
    /// For each id the last call so far that has it: its place among all calls, and its name.
    calls: HashMap<&'r str, (usize, &'r str)>,
    calls_count: usize,
    unused: Vec<Field>,
}

/// Everything that one side says at once.
struct Turn<'r> {
    role: Role,
    parts: Vec<Written<'r>>,
}

/// A part, checked and ready to be written.
enum Written<'r> {
    Text(&'r str, Option<&'r str>),
    Thought(&'r str, &'r str),
    Media(Blob<'r>),
    Call { call: &'r ToolCall<'r>, signature: Option<&'r str> },
    Result { result: &'r ToolResult<'r>, name: &'r str, place: usize, text: Cow<'r, str>, media: Vec<Blob<'r>> },
}

/// A medium and its MIME type.
enum Blob<'r> {
    Inline(&'r str, &'r str),
    File(&'r str, &'r str),
    Text(&'r str),
}

fn inexpressible(what: &'static str) -> Inexpressible {
    Inexpressible::new(Field::Messages, what)
}

impl<'r> Contents<'r> {
    /// Puts it in order.
    ///
    /// # Errors
    /// Something in it has no place.
    pub(super) fn of(request: &'r ChatRequest<'r>, manner: &Manner<'_>) -> Result<Self, Inexpressible> {
        let before_3 = thinking::is_before_3(manner.model);
        let mut contents = Self {
            instructions: Vec::new(),
            turns: Vec::new(),
            placeholders: !before_3,
            media_beside: before_3,
            with_ids: !manner.rules.anonymous_calls,
            calls: HashMap::new(),
            calls_count: 0,
            unused: Vec::new(),
        };
        for message in &request.messages {
            if message.name.is_some() {
                contents.leave_out(Field::ParticipantName);
            }
            match message.role {
                Role::System | Role::Developer => contents.instruct(message)?,
                role => {
                    for part in &message.parts {
                        contents.part(role, part)?;
                    }
                }
            }
        }
        // A conversation of instructions alone is a question: Gemini wants somebody to ask it.
        if contents.turns.is_empty() {
            let parts = contents.instructions.drain(..).map(|text| Written::Text(text, None)).collect();
            contents.turns.push(Turn { role: Role::User, parts });
        }
        contents.turns.iter_mut().for_each(|turn| turn.parts.sort_by_key(Written::rank));
        Ok(contents)
    }

    /// What of it is left out.
    pub(super) fn unused(&self) -> impl Iterator<Item = Field> {
        self.unused.iter().copied()
    }

    /// Later instructions join the first: Gemini has one place for them.
    fn instruct(&mut self, message: &'r Message<'r>) -> Result<(), Inexpressible> {
        for part in &message.parts {
            match part {
                Part::Text { text, .. } if text.is_empty() => {}
                Part::Text { text, .. } => self.instructions.push(text),
                Part::CacheMark(_) => {}
                _ => return Err(Inexpressible::new(Field::Instructions, "anything but text in instructions")),
            }
        }
        Ok(())
    }

    fn part(&mut self, role: Role, part: &'r Part<'r>) -> Result<(), Inexpressible> {
        let written = match part {
            Part::Text { text, signature } => {
                let signature = own(signature);
                if text.is_empty() && signature.is_none() {
                    return Ok(());
                }
                Written::Text(text, signature)
            }
            Part::Refusal(text) if text.is_empty() => return Ok(()),
            Part::Refusal(text) => Written::Text(text, None),
            Part::Media(media) => Written::Media(self.blob(media)?),
            Part::Reasoning { text, signature, .. } => match own(signature) {
                Some(signature) => Written::Thought(text, signature),
                // Another model's thoughts are nothing to this one.
                None => {
                    self.leave_out(Field::Thoughts);
                    return Ok(());
                }
            },
            Part::ToolCall(call) => {
                if arguments(call).is_none() {
                    return Err(inexpressible("tool arguments that are no JSON object"));
                }
                self.calls.insert(&call.id, (self.calls_count, &call.name));
                self.calls_count += 1;
                Written::Call { call, signature: own(&call.signature) }
            }
            Part::ToolResult(result) => self.result(result)?,
            Part::CacheMark(_) => return Ok(()),
        };
        match self.turns.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => turn.parts.push(written),
            None => self.turns.push(Turn { role, parts: vec![written] }),
        }
        Ok(())
    }

    fn result(&mut self, result: &'r ToolResult<'r>) -> Result<Written<'r>, Inexpressible> {
        let (place, called) = self.calls.get(&*result.id).copied().unzip();
        let name = called.or(result.name.as_deref());
        let name = name.ok_or_else(|| inexpressible("a tool's result without the call that it belongs to"))?;
        let (mut texts, mut media) = (Vec::new(), Vec::new());
        for part in &result.parts {
            match part {
                Part::Text { text, .. } | Part::Refusal(text) => texts.push(&**text),
                Part::Media(medium) => match self.blob(medium)? {
                    // A function's response has no parts of text.
                    Blob::Text(text) => texts.push(text),
                    blob => media.push(blob),
                },
                Part::CacheMark(_) => {}
                _ => return Err(inexpressible("calls or thoughts in a tool's result")),
            }
        }
        let text = if let [text] = *texts { Cow::Borrowed(text) } else { texts.join("\n").into() };
        Ok(Written::Result { result, name, place: place.unwrap_or(usize::MAX), text, media })
    }

    fn blob(&mut self, media: &'r Media<'r>) -> Result<Blob<'r>, Inexpressible> {
        let given = media.mime_type.as_deref();
        if media.name.is_some() {
            self.leave_out(Field::MediaName);
        }
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.leave_out(Field::ImageDetail);
        }
        match &media.source {
            Source::Base64(data) => {
                let known = given.or_else(|| media::of_base64(data, Some(media.kind)));
                let named = || media.name.as_deref().and_then(media::of_name);
                let mime_type = known.or_else(named).ok_or_else(|| inexpressible("media of an unknown type"))?;
                Ok(Blob::Inline(mime_type, data))
            }
            Source::Url(url) => match media::of_data_url(url) {
                Some((mime_type, data)) => Ok(Blob::Inline(given.unwrap_or(mime_type), data)),
                None if url.starts_with("data:") => Err(inexpressible("a data URL that is not in base64")),
                None => {
                    let by_name = || media::of_name(url).unwrap_or_else(|| media::usual(media.kind));
                    Ok(Blob::File(given.unwrap_or_else(by_name), url))
                }
            },
            Source::Text(text) => Ok(Blob::Text(text)),
            Source::File(uri) if media::is_googles(uri) => {
                Ok(Blob::File(given.unwrap_or_else(|| media::usual(media.kind)), uri))
            }
            Source::File(_) => Err(inexpressible(match media.kind {
                MediaKind::Image => "an image kept by another provider",
                _ => "a file kept by another provider",
            })),
        }
    }

    fn leave_out(&mut self, field: Field) {
        if !self.unused.contains(&field) {
            self.unused.push(field);
        }
    }

    /// Writes both members.
    pub(super) fn write(&self, body: &mut Members<'_>) {
        if !self.instructions.is_empty() {
            body.object("systemInstruction", |content| {
                content.array("parts", |parts| {
                    let each = |text: &&str| parts.object_element(|part| part.member("text", *text));
                    self.instructions.iter().for_each(each);
                });
            });
        }
        let current = self.current_turn();
        body.array("contents", |contents| {
            for (place, turn) in self.turns.iter().enumerate() {
                contents.object_element(|content| {
                    content.member("role", if turn.role == Role::Assistant { "model" } else { "user" });
                    content.array("parts", |parts| {
                        let mut is_first_call = self.placeholders && place >= current;
                        for part in &turn.parts {
                            part.write(is_first_call, self, parts);
                            is_first_call &= !matches!(part, Written::Call { .. });
                        }
                    });
                });
            }
        });
    }

    /// Where the current turn begins: behind the last time that the user said something, results of tools aside.
    fn current_turn(&self) -> usize {
        let speaks = |turn: &Turn<'_>| {
            turn.role == Role::User && turn.parts.iter().any(|part| !matches!(part, Written::Result { .. }))
        };
        self.turns.iter().rposition(speaks).map_or(0, |place| place + 1)
    }
}

impl Written<'_> {
    /// Results come first, in the order of their calls; everything else stays as it is.
    fn rank(&self) -> (bool, usize) {
        match self {
            Self::Result { place, .. } => (false, *place),
            _ => (true, 0),
        }
    }

    fn write(&self, is_first_call: bool, contents: &Contents<'_>, parts: &mut Members<'_>) {
        let Contents { media_beside, with_ids, .. } = *contents;
        match self {
            Self::Text(text, signature) => parts.object_element(|part| {
                part.member("text", *text);
                part.some("thoughtSignature", *signature);
            }),
            Self::Thought(text, signature) => parts.object_element(|part| {
                part.member("text", *text);
                part.member("thought", &true);
                part.member("thoughtSignature", *signature);
            }),
            Self::Media(blob) => parts.object_element(|part| blob.write(part)),
            Self::Call { call, signature } => parts.object_element(|part| {
                part.object("functionCall", |function| {
                    function.some("id", with_ids.then_some(&*call.id));
                    function.member("name", &call.name);
                    arguments(call).iter().for_each(|arguments| function.raw("args", arguments));
                });
                part.some("thoughtSignature", signature.or(is_first_call.then_some(PLACEHOLDERS[0])));
            }),
            Self::Result { result, name, text, media, .. } => {
                parts.object_element(|part| {
                    part.object("functionResponse", |response| {
                        response.some("id", with_ids.then_some(&*result.id));
                        response.member("name", *name);
                        self::response(text, result.is_error, response);
                        if !media_beside && !media.is_empty() {
                            response.array("parts", |parts| {
                                media.iter().for_each(|blob| parts.object_element(|part| blob.write(part)));
                            });
                        }
                    });
                });
                if media_beside {
                    media.iter().for_each(|blob| parts.object_element(|part| blob.write(part)));
                }
            }
        }
    }
}

impl Blob<'_> {
    fn write(&self, part: &mut Members<'_>) {
        match self {
            Self::Inline(mime_type, data) => part.object("inlineData", |blob| {
                blob.member("mimeType", *mime_type);
                blob.member("data", *data);
            }),
            Self::File(mime_type, uri) => part.object("fileData", |file| {
                file.member("mimeType", *mime_type);
                file.member("fileUri", *uri);
            }),
            Self::Text(text) => part.member("text", *text),
        }
    }
}

/// A signature of Gemini's own.
fn own<'r>(signature: &'r Option<Signature<'_>>) -> Option<&'r str> {
    signature.as_ref()?.for_maker(DialectId::Gemini)
}

/// The arguments as an object; none at all are an empty one.
fn arguments<'r>(call: &'r ToolCall<'_>) -> Option<Json<'r>> {
    let text = if call.arguments.trim_ascii().is_empty() { "{}" } else { &call.arguments };
    Json::parse(text.into()).filter(Json::is_object)
}

/// A function's response is an object: text that is one is taken for it; other text is its `result`, or its `error`.
fn response(text: &str, is_error: bool, response: &mut Members<'_>) {
    let object = Json::parse(text.into()).filter(Json::is_object);
    match (object, is_error) {
        (Some(object), false) => response.raw("response", &object),
        (Some(object), true) => response.object("response", |members| members.raw("error", &object)),
        (None, _) => {
            let name = if is_error { "error" } else { "result" };
            response.object("response", |members| members.member(name, text));
        }
    }
}
