//! Why an answer ended: Google's words (ai.google.dev/api/generate-content#FinishReason, and Vertex AI's).

use crate::dialect::chat::FinishReason;
use std::borrow::Cow;

/// What a word means.
enum Meaning {
    Stop,
    Length,
    /// A filter cut the answer off.
    Filter,
    /// Not an end, and nothing that others have a word for.
    Other,
}

use Meaning::{Filter, Length, Other, Stop};

const WORDS: [(&str, Meaning); 24] = [
    ("STOP", Stop),
    ("MAX_TOKENS", Length),
    ("CONTINUATION", Length),
    ("SAFETY", Filter),
    ("RECITATION", Filter),
    ("LANGUAGE", Filter),
    ("BLOCKLIST", Filter),
    ("PROHIBITED_CONTENT", Filter),
    ("SPII", Filter),
    ("IMAGE_SAFETY", Filter),
    ("IMAGE_PROHIBITED_CONTENT", Filter),
    ("IMAGE_RECITATION", Filter),
    ("ESCALATION", Filter),
    ("PUP_LIMITED_DISABLED", Filter),
    ("MODEL_ARMOR", Filter),
    ("OTHER", Other),
    ("IMAGE_OTHER", Other),
    ("NO_IMAGE", Other),
    (MALFORMED_CALL, Other),
    ("UNEXPECTED_TOOL_CALL", Other),
    ("TOO_MANY_TOOL_CALLS", Other),
    ("MISSING_THOUGHT_SIGNATURE", Other),
    ("MALFORMED_RESPONSE", Other),
    ("FINISH_REASON_UNSPECIFIED", Other),
];

/// Words as numbers, which clients may ask Google for (`$alt=json;enum-encoding=int`): as far as its APIs agree on them.
const NUMBERS: [(&str, &str); 4] = [("1", "STOP"), ("2", "MAX_TOKENS"), ("3", "SAFETY"), ("4", "RECITATION")];

/// The model's call is no call: its arguments are no JSON object.
pub(super) const MALFORMED_CALL: &str = "MALFORMED_FUNCTION_CALL";

/// What a word says.
pub(super) fn read(word: &str) -> FinishReason<'static> {
    let word = NUMBERS.iter().find(|(number, _)| *number == word).map_or(word, |(_, word)| *word);
    match WORDS.iter().find(|(known, _)| *known == word) {
        Some((_, Stop)) => FinishReason::Stop,
        Some((_, Length)) => FinishReason::Length,
        Some((_, Filter)) => FinishReason::ContentFilter,
        Some((known, Other)) => FinishReason::Other(Cow::Borrowed(known)),
        None => FinishReason::Other(Cow::Owned(word.to_owned())),
    }
}

/// The word for it. Calls are no reason of their own; a refusal is the nearest thing to one.
pub(super) fn word(reason: &FinishReason<'_>) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::Refusal | FinishReason::ContentFilter => "SAFETY",
        FinishReason::Pause => "OTHER",
        FinishReason::Other(word) => WORDS.iter().find(|(known, _)| known == word).map_or("OTHER", |(known, _)| *known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_meaning() {
        for (said, again) in [
            ("STOP", "STOP"),
            ("2", "MAX_TOKENS"),
            ("MAX_TOKENS", "MAX_TOKENS"),
            ("RECITATION", "SAFETY"),
            (MALFORMED_CALL, MALFORMED_CALL),
            ("NEW_WORD", "OTHER"),
        ] {
            assert_eq!(word(&read(said)), again, "{said}");
        }
        assert_eq!(word(&FinishReason::ToolCalls), "STOP");
        assert_eq!(read("SAFETY"), FinishReason::ContentFilter);
        assert_eq!(read("NEW_WORD"), FinishReason::Other("NEW_WORD".into()));
    }
}
