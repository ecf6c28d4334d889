//! The conversation as Anthropic wants it: instructions apart, turns of user and model in alternation, results of tools
//! first in theirs, nothing empty, every call with an id of its own.
//!
//! Where thoughts are bound to what was before them, instructions that came later stay where they came, behind the user's turn
//! (platform.claude.com, "Change tools or instructions without failing the prefix check").

use super::super::super::fields::Field;
use super::super::super::json::Json;
use super::super::super::members::Object;
use super::super::super::request::{ChatRequest, Media, Message, Part, Role, ToolCall, ToolResult};
use super::super::super::signature::Signature;
use super::super::super::wire::Inexpressible;
use super::super::redacted;
use super::media::Sent;
use super::unique::CallIds;
use crate::dialect::DialectId;
use std::borrow::Cow;
use std::fmt::Write;

/// How far back a block is looked for that the prompt may be cached up to: thoughts cannot be marked.
const MARK_REACH: usize = 64;

/// A block of content, and whether the prompt up to it may be cached.
pub(super) enum Block<'r> {
    Text { text: &'r str, mark: Option<&'r Json<'r>> },
    Media { media: Sent<'r>, mark: Option<&'r Json<'r>> },
    Thinking { text: &'r str, signature: &'r str },
    Redacted { data: &'r str },
    Call { id: String, name: &'r str, input: Json<'r>, mark: Option<&'r Json<'r>> },
    Result { id: String, content: Vec<Block<'r>>, is_error: bool, mark: Option<&'r Json<'r>> },
}

impl<'r> Block<'r> {
    pub(super) fn mark(&self) -> Option<&'r Json<'r>> {
        match self {
            Self::Text { mark, .. }
            | Self::Media { mark, .. }
            | Self::Call { mark, .. }
            | Self::Result { mark, .. } => *mark,
            Self::Thinking { .. } | Self::Redacted { .. } => None,
        }
    }

    /// False: it cannot be marked.
    fn set_mark(&mut self, set: &'r Json<'r>) -> bool {
        match self {
            Self::Text { mark, .. }
            | Self::Media { mark, .. }
            | Self::Call { mark, .. }
            | Self::Result { mark, .. } => {
                *mark = Some(set);
                true
            }
            Self::Thinking { .. } | Self::Redacted { .. } => false,
        }
    }

    fn is_result(&self) -> bool {
        matches!(self, Self::Result { .. })
    }

    fn is_thought(&self) -> bool {
        matches!(self, Self::Thinking { .. } | Self::Redacted { .. })
    }
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    User,
    Model,
    /// Who runs all this, in the middle of it.
    Operator,
}

/// What one side says before the other.
pub(super) struct Turn<'r> {
    pub(super) side: Side,
    pub(super) blocks: Vec<Block<'r>>,
}

/// All of it.
pub(super) struct Conversation<'r> {
    pub(super) system: Vec<Block<'r>>,
    pub(super) turns: Vec<Turn<'r>>,
    /// Instructions that wait for the end of the user's turn.
    later: Vec<Block<'r>>,
}

/// Sorts the messages. `in_place`: instructions behind the first turn stay there.
///
/// # Errors
/// A part that Messages does not take.
pub(super) fn conversation<'r>(
    request: &'r ChatRequest<'_>,
    in_place: bool,
    unused: &mut Vec<Field>,
) -> Result<Conversation<'r>, Inexpressible> {
    let mut conversation = Conversation { system: Vec::new(), turns: Vec::new(), later: Vec::new() };
    let mut sorting = Sorting { ids: CallIds::new(fitting, usize::MAX), unused };
    let mut before_is_system = false;
    for message in &request.messages {
        let mut blocks = Vec::new();
        sorting.unused.extend(message.name.is_some().then_some(Field::ParticipantName));
        for part in &message.parts {
            if let Part::CacheMark(mark) = part {
                let before = match conversation.later.is_empty() {
                    _ if !before_is_system => conversation.turns.last_mut().map(|turn| &mut turn.blocks),
                    true => Some(&mut conversation.system),
                    false => Some(&mut conversation.later),
                };
                let candidates = before.into_iter().flatten().chain(&mut blocks);
                sorting.mark_last(candidates, mark);
            } else {
                blocks.extend(sorting.block(message, part)?);
            }
        }
        before_is_system = matches!(message.role, Role::System | Role::Developer);
        match message.role {
            Role::System | Role::Developer if in_place && !conversation.turns.is_empty() => {
                conversation.later.extend(blocks);
            }
            Role::System | Role::Developer => conversation.system.extend(blocks),
            Role::User => conversation.extend(Side::User, blocks),
            Role::Assistant => conversation.extend(Side::Model, blocks),
        }
    }
    conversation.instruct();
    if conversation.turns.is_empty() {
        let blocks = std::mem::take(&mut conversation.system);
        conversation.extend(Side::User, blocks);
    }
    if conversation.turns.is_empty() {
        return Err(Inexpressible::new(Field::Messages, "a conversation without content"));
    }
    for turn in &mut conversation.turns {
        // Anthropic wants results right behind their calls.
        turn.blocks.sort_by_key(|block| !block.is_result());
    }
    Ok(conversation)
}

impl<'r> Conversation<'r> {
    fn extend(&mut self, side: Side, blocks: Vec<Block<'r>>) {
        if side == Side::Model && !blocks.is_empty() {
            self.instruct();
        }
        match self.turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some(turn) if turn.side == side => turn.blocks.extend(blocks),
            _ => self.turns.push(Turn { side, blocks }),
        }
    }

    /// Instructions are taken behind a turn of the user's alone; behind the model's they are one.
    fn instruct(&mut self) {
        let blocks = std::mem::take(&mut self.later);
        let follows_user = self.turns.last().is_some_and(|turn| turn.side == Side::User);
        self.extend(if follows_user { Side::Operator } else { Side::User }, blocks);
    }

    /// The model goes on with calls that it made without (what is left of) thoughts.
    pub(super) fn calls_began_without_thoughts(&self) -> bool {
        let is_own = |turn: &&Turn<'_>| turn.side == Side::User && !turn.blocks.iter().any(Block::is_result);
        let start = self.turns.iter().rposition(|turn| is_own(&turn)).unwrap_or(0);
        let mut going_on = self.turns[start..].iter().filter(|turn| turn.side == Side::Model);
        let began = going_on.clone().next().and_then(|turn| turn.blocks.first());
        let calls = going_on.any(|turn| turn.blocks.iter().any(|block| matches!(block, Block::Call { .. })));
        calls && !began.is_some_and(Block::is_thought)
    }

    /// It ends with an answer that is to be gone on with, and that did not begin with thoughts.
    pub(super) fn is_prefilled_without_thoughts(&self) -> bool {
        let begun = self.turns.last().filter(|turn| turn.side == Side::Model);
        begun.is_some_and(|turn| !turn.blocks.first().is_some_and(Block::is_thought))
    }

    /// Whether it holds thoughts of the model's.
    pub(super) fn has_thoughts(&self) -> bool {
        self.turns.iter().any(|turn| turn.blocks.iter().any(Block::is_thought))
    }

    /// What Anthropic refuses at the very end: the model's words with white space behind, and its thoughts where it
    /// is not to think.
    pub(super) fn end_for(&mut self, thinks: bool) {
        let Some(last) = self.turns.last_mut().filter(|turn| turn.side == Side::Model) else { return };
        if !thinks {
            last.blocks.retain(|block| !block.is_thought());
        }
        if let Some(Block::Text { text, .. }) = last.blocks.last_mut() {
            *text = text.trim_end();
            if text.is_empty() {
                last.blocks.pop();
            }
        }
        if last.blocks.is_empty() {
            self.turns.pop();
        }
    }
}

struct Sorting<'r, 'u> {
    ids: CallIds<'r>,
    unused: &'u mut Vec<Field>,
}

impl<'r> Sorting<'r, '_> {
    fn mark_last<'b>(&mut self, blocks: impl DoubleEndedIterator<Item = &'b mut Block<'r>>, mark: &'r Json<'r>)
    where
        'r: 'b,
    {
        if !blocks.rev().take(MARK_REACH).any(|block| block.set_mark(mark)) {
            self.unused.push(Field::CacheMark);
        }
    }

    fn block(&mut self, message: &'r Message<'_>, part: &'r Part<'_>) -> Result<Option<Block<'r>>, Inexpressible> {
        let (field, apart) = match message.role {
            Role::System | Role::Developer => (Field::Instructions, "an instruction that is not of text"),
            Role::Assistant => (Field::Messages, "media in the model's own turn"),
            Role::User => (Field::Messages, ""),
        };
        Ok(match part {
            Part::Text { text, .. } | Part::Refusal(text) => text_block(text),
            Part::Media(media) if apart.is_empty() => {
                let media = self.media(media)?;
                Some(Block::Media { media, mark: None })
            }
            Part::Media(_) => return Err(Inexpressible::new(field, apart)),
            Part::Reasoning { text, signature, .. } => {
                let thought = thought(text, signature.as_ref());
                if thought.is_none() {
                    self.unused.push(Field::Thoughts);
                }
                thought
            }
            Part::ToolCall(call) => Some(self.call(call)?),
            Part::ToolResult(result) => Some(self.result(result)?),
            Part::CacheMark(_) => None,
        })
    }

    fn media(&mut self, media: &'r Media<'_>) -> Result<Sent<'r>, Inexpressible> {
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.unused.push(Field::ImageDetail);
        }
        Sent::of(media)
    }

    fn call(&mut self, call: &'r ToolCall<'_>) -> Result<Block<'r>, Inexpressible> {
        let arguments = if call.arguments.trim().is_empty() { "{}" } else { &*call.arguments };
        let input = Json::parse(Cow::Borrowed(arguments)).filter(|_| Object::read(arguments, "").is_ok());
        let no_object = || Inexpressible::new(Field::Messages, "tool arguments that are no JSON object");
        let id = self.ids.of_call(&call.id);
        Ok(Block::Call { id, name: &call.name, input: input.ok_or_else(no_object)?, mark: None })
    }

    fn result(&mut self, result: &'r ToolResult<'_>) -> Result<Block<'r>, Inexpressible> {
        let mut content = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text { text, .. } | Part::Refusal(text) => content.extend(text_block(text)),
                Part::Media(media) => {
                    let media = self.media(media)?;
                    content.push(Block::Media { media, mark: None });
                }
                Part::CacheMark(mark) => self.mark_last(content.iter_mut(), mark),
                Part::Reasoning { .. } | Part::ToolCall(_) | Part::ToolResult(_) => {
                    return Err(Inexpressible::new(Field::Messages, "a tool's result that is not of text and media"));
                }
            }
        }
        if content.is_empty() && result.is_error {
            // Without a word of it Anthropic takes no failure.
            content.push(Block::Text { text: "error", mark: None });
        }
        Ok(Block::Result { id: self.ids.of_result(&result.id), content, is_error: result.is_error, mark: None })
    }
}

fn text_block(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text { text, mark: None })
}

/// Anthropic's own thoughts alone: it takes none without its signature.
fn thought<'r>(text: &'r str, signature: Option<&'r Signature<'_>>) -> Option<Block<'r>> {
    let signature = signature?;
    if let Some(data) = redacted(signature) {
        return Some(Block::Redacted { data });
    }
    let signature = signature.for_maker(DialectId::Anthropic)?;
    Some(Block::Thinking { text, signature })
}

/// The id in letters, digits, `_` and `-`: others by their number.
fn fitting(id: &str) -> String {
    let mut fits = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            fits.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(fits, "-{byte:02x}");
        }
    }
    if fits.is_empty() { "call".to_owned() } else { fits }
}
