//! A conversation as most of these formats have it: one message for what each side says, one for each tool's result.

use super::super::fields::Field;
use super::super::request::{ChatRequest, Media, Message, Part, Role, Source, ToolCall, ToolResult};
use super::super::wire::Inexpressible;
use crate::dialect::DialectId;
use std::borrow::Cow;
use std::collections::HashMap;

/// One message.
pub(super) enum Turn<'r> {
    /// Instructions.
    System(Vec<&'r str>),
    /// The user's.
    User(Vec<Piece<'r>>),
    /// The model's.
    Assistant(Spoken<'r>),
    /// What came of a call.
    Tool(Outcome<'r>),
}

/// Text, or a medium that is not text.
pub(super) enum Piece<'r> {
    Text(Cow<'r, str>),
    Media(&'r Media<'r>),
}

/// What the model said in one turn.
#[derive(Default)]
pub(super) struct Spoken<'r> {
    pub(super) thoughts: Vec<&'r str>,
    pub(super) texts: Vec<&'r str>,
    pub(super) calls: Vec<&'r ToolCall<'r>>,
}

/// What came of a call.
pub(super) struct Outcome<'r> {
    pub(super) id: &'r str,
    /// The tool's name, where it is known.
    pub(super) name: Option<&'r str>,
    pub(super) text: String,
}

/// Between texts that stood apart.
pub(super) const BETWEEN: &str = "\n\n";
/// What a result says that is media alone.
const SEE_BELOW: &str = "See the next message.";
/// What a result begins with that is a failure, and what one says that has no words: none of these formats has another way to
/// say it.
const FAILED: [&str; 2] = ["Error: ", "Error"];

/// Sorts a request's messages; the model's neighbouring ones are put together. Thoughts that another dialect's provider signed
/// are its own, and of no use to `target`.
///
/// # Errors
/// Media where there is a place for text alone.
pub(super) fn turns<'r>(
    request: &'r ChatRequest<'r>,
    target: DialectId,
    unused: &mut Vec<Field>,
) -> Result<Vec<Turn<'r>>, Inexpressible> {
    let mut turns = Vec::with_capacity(request.messages.len());
    // For each call so far its tool's name. Ids may come again in later turns: the last one counts.
    let mut names = HashMap::new();
    for message in &request.messages {
        unused.extend(message.name.is_some().then_some(Field::ParticipantName));
        match message.role {
            Role::System | Role::Developer => turns.push(Turn::System(texts(message, unused)?)),
            Role::User => add_users(message, &names, target, &mut turns, unused)?,
            Role::Assistant => {
                names.extend(message.parts.iter().filter_map(|part| match part {
                    Part::ToolCall(call) => Some((&*call.id, &*call.name)),
                    _ => None,
                }));
                match turns.last_mut() {
                    Some(Turn::Assistant(spoken)) => spoken.add(message, target, unused)?,
                    _ => {
                        let mut spoken = Spoken::default();
                        spoken.add(message, target, unused)?;
                        turns.push(Turn::Assistant(spoken));
                    }
                }
            }
        }
    }
    asked_by_somebody(&mut turns);
    Ok(turns)
}

/// A conversation of instructions alone is the user's: these formats want somebody to answer.
fn asked_by_somebody(turns: &mut Vec<Turn<'_>>) {
    if turns.iter().any(|turn| !matches!(turn, Turn::System(_))) {
        return;
    }
    let instructions = std::mem::take(turns).into_iter().filter_map(|turn| match turn {
        Turn::System(texts) => Some(texts),
        _ => None,
    });
    let pieces: Vec<Piece<'_>> = instructions.flatten().map(|text| Piece::Text(Cow::Borrowed(text))).collect();
    turns.extend((!pieces.is_empty()).then_some(Turn::User(pieces)));
}

/// The pieces as one text; `None`: some are no text.
pub(super) fn joined(pieces: &[Piece<'_>]) -> Option<String> {
    let texts: Option<Vec<&str>> = pieces.iter().map(Piece::text).collect();
    texts.map(|texts| texts.join(BETWEEN))
}

impl<'r> Piece<'r> {
    fn of(media: &'r Media<'r>, target: DialectId, unused: &mut Vec<Field>) -> Self {
        unused.extend(media.name.is_some().then_some(Field::MediaName));
        let details = media.detail.as_deref().is_some_and(|detail| detail != "auto");
        unused.extend((details && target != DialectId::Cohere).then_some(Field::ImageDetail));
        match &media.source {
            Source::Text(text) => Self::Text(Cow::Borrowed(text)),
            _ => Self::Media(media),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Media(_) => None,
        }
    }
}

fn texts<'r>(message: &'r Message<'r>, unused: &mut Vec<Field>) -> Result<Vec<&'r str>, Inexpressible> {
    let mut texts = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => texts.push(&**text),
            Part::CacheMark(_) => unused.push(Field::CacheMark),
            _ => return Err(Inexpressible::new(Field::Instructions, "an instruction that is not of text")),
        }
    }
    Ok(texts)
}

fn add_users<'r>(
    message: &'r Message<'r>,
    names: &HashMap<&'r str, &'r str>,
    target: DialectId,
    turns: &mut Vec<Turn<'r>>,
    unused: &mut Vec<Field>,
) -> Result<(), Inexpressible> {
    let (mut pieces, mut pictured) = (Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => pieces.push(Piece::Text(Cow::Borrowed(text))),
            Part::Media(media) => pieces.push(Piece::of(media, target, unused)),
            Part::ToolResult(result) => {
                if !pieces.is_empty() {
                    turns.push(Turn::User(std::mem::take(&mut pieces)));
                }
                let (outcome, media) = outcome(result, names, target, unused)?;
                turns.push(Turn::Tool(outcome));
                pictured.extend(media);
            }
            Part::CacheMark(_) => unused.push(Field::CacheMark),
            Part::Reasoning { .. } | Part::ToolCall(_) => {
                return Err(Inexpressible::new(Field::Messages, "a call of a tool in the user's turn"));
            }
        }
    }
    // Results are of text alone: their media follow, before what the user says of them.
    pictured.append(&mut pieces);
    if !pictured.is_empty() {
        turns.push(Turn::User(pictured));
    }
    Ok(())
}

/// A result's text, and what goes into the user's turn behind it.
fn outcome<'r>(
    result: &'r ToolResult<'r>,
    names: &HashMap<&'r str, &'r str>,
    target: DialectId,
    unused: &mut Vec<Field>,
) -> Result<(Outcome<'r>, Vec<Piece<'r>>), Inexpressible> {
    let (mut texts, mut media) = (Vec::new(), Vec::new());
    for part in &result.parts {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => texts.push(text.to_string()),
            Part::Media(medium) => match Piece::of(medium, target, unused) {
                Piece::Text(text) => texts.push(text.into_owned()),
                piece => media.push(piece),
            },
            Part::CacheMark(_) => unused.push(Field::CacheMark),
            _ => return Err(Inexpressible::new(Field::Messages, "a tool's result that is not of text and media")),
        }
    }
    let mut text = texts.join(BETWEEN);
    let name = result.name.as_deref().or_else(|| names.get(&*result.id).copied());
    if !media.is_empty() {
        let named = name.map(|name| format!(" ({name})")).unwrap_or_default();
        media.insert(0, Piece::Text(format!("From the result of call {}{named}:", result.id).into()));
        if text.is_empty() {
            SEE_BELOW.clone_into(&mut text);
        }
    }
    if result.is_error && !text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error")) {
        text.insert_str(0, FAILED[usize::from(text.is_empty())]);
    }
    Ok((Outcome { id: &result.id, name, text }, media))
}

impl<'r> Spoken<'r> {
    fn add(
        &mut self,
        message: &'r Message<'r>,
        target: DialectId,
        unused: &mut Vec<Field>,
    ) -> Result<(), Inexpressible> {
        for part in &message.parts {
            match part {
                Part::Text { text, .. } | Part::Refusal(text) => {
                    self.texts.extend((!text.is_empty()).then_some(&**text));
                }
                Part::Reasoning { text, signature, .. } => {
                    let is_foreign = signature.as_ref().is_some_and(|made| made.maker != target);
                    unused.extend(is_foreign.then_some(Field::Thoughts));
                    self.thoughts.extend((!text.is_empty() && !is_foreign).then_some(&**text));
                }
                Part::ToolCall(call) => self.calls.push(call),
                Part::CacheMark(_) => unused.push(Field::CacheMark),
                Part::Media(_) => return Err(Inexpressible::new(Field::Messages, "media in the model's own turn")),
                Part::ToolResult(_) => {
                    return Err(Inexpressible::new(Field::Messages, "a tool's result in the model's own turn"));
                }
            }
        }
        Ok(())
    }
}
