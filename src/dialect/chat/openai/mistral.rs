//! What Mistral's models want of a conversation that others do not, wherever they are asked: its own checks of requests refuse
//! all else (github.com/mistralai/mistral-common, `protocol/instruct/validator.py`; its API with the codes 3280, "Tool call id was …
//! but must be a-z, A-Z, 0-9, with a length of 9", 3230, "Unexpected role 'user' after role 'tool'", and "Expected last role User or
//! Tool (or Assistant with prefix True)").

use crate::dialect::chat::write::Members;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// How long an id of a call is.
const CALL_ID_CHARS: usize = 9;
/// What the model said between a result and the user's words, where it said nothing.
const ACKNOWLEDGED: &str = "OK.";

/// An id of a call as Mistral has them: its own as it is, another one's digest. The same for a call and its result.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if id.len() == CALL_ID_CHARS && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
    Sha256::digest(id.as_bytes()).into_iter().take(CALL_ID_CHARS).map(letter).collect::<String>().into()
}

/// Whose the message before is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nobody,
    Instructions,
    User,
    Model,
    Tool,
}

/// The order of turns.
pub(super) struct Order {
    /// False: any.
    is_strict: bool,
    before: Before,
}

impl Order {
    pub(super) fn new(is_strict: bool) -> Self {
        Self { is_strict, before: Before::Nobody }
    }

    /// The role that a message of this role is written with; what must stand before it is written.
    pub(super) fn role<'r>(&mut self, role: &'r str, list: &mut Members<'_>) -> &'r str {
        let role = match (role, self.before) {
            // Instructions stand at the start, or where the user has spoken; elsewhere they are the user's.
            ("system", Before::Model | Before::Tool) if self.is_strict => "user",
            _ => role,
        };
        if self.is_strict && self.before == Before::Tool && role == "user" {
            list.object_element(|entry| {
                entry.member("role", "assistant");
                entry.member("content", ACKNOWLEDGED);
            });
        }
        self.before = match role {
            "user" => Before::User,
            "assistant" => Before::Model,
            "tool" => Before::Tool,
            _ => Before::Instructions,
        };
        role
    }
}
