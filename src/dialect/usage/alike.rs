//! Events that are written like one before them, but for their text: nearly all of a stream's. One that is, byte for byte around
//! the text, says what that one said; to compare takes a fraction of what reading does, and is the same for every vendor.

use super::places::Slot;
use crate::dialect::json::{StringEnd, string_end};
use memchr::memchr2;
use std::ops::Range;

/// An event with more than this around its text is not remembered.
const AROUND_BYTES_MAX: usize = 1024;
/// So many events in a row are remembered without one that is like them; then it is given up: each may have a number of its own.
const TRIES: u8 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Alike {
    /// What stands around the text: before it, and from its closing quote on. Empty: nothing is remembered.
    around: Vec<u8>,
    /// Where in it the text was.
    text_at: usize,
    /// Where in it the last member's value was, if that is a string: vendors pad their events with it (OpenAI's `obfuscation`,
    /// Mistral's `p`), and nobody reads it.
    padding_at: Option<usize>,
    slot: Slot,
    tries_left: u8,
}

/// What [`Alike::text_at_front`] found.
pub(super) struct Found<'e> {
    pub(super) slot: Slot,
    pub(super) text: &'e [u8],
    /// The event's length.
    pub(super) bytes: usize,
}

impl Alike {
    pub(super) const fn new() -> Self {
        Self { around: Vec::new(), text_at: 0, padding_at: None, slot: Slot::Text, tries_left: TRIES }
    }

    /// The text of an event that is written like the one that is remembered, and its place.
    pub(super) fn text<'e>(&mut self, event: &'e [u8]) -> Option<(Slot, &'e [u8])> {
        self.text_at_front(event).filter(|found| found.bytes == event.len()).map(|found| (found.slot, found.text))
    }

    /// The same of one that these bytes begin with.
    pub(super) fn text_at_front<'e>(&mut self, bytes: &'e [u8]) -> Option<Found<'e>> {
        if self.around.is_empty() {
            return None;
        }
        let (before, behind) = self.around.split_at(self.text_at);
        let (text, mut rest) = string(bytes.strip_prefix(before)?)?;
        let mut last = behind;
        if let Some(at) = self.padding_at {
            (_, rest) = string(rest.strip_prefix(&behind[..at])?)?;
            last = &behind[at..];
        }
        let rest = rest.strip_prefix(last)?;
        self.tries_left = TRIES;
        Some(Found { slot: self.slot, text, bytes: bytes.len() - rest.len() })
    }

    /// Remembers an event that brings nothing but this text.
    pub(super) fn remember(&mut self, event: &[u8], slot: Slot, text: Range<usize>) {
        self.around.clear();
        if self.tries_left == 0 || event.len() - text.len() > AROUND_BYTES_MAX {
            return;
        }
        self.tries_left -= 1;
        let (before, behind) = (&event[..text.start], &event[text.end..]);
        self.around.extend_from_slice(before);
        (self.text_at, self.slot) = (before.len(), slot);
        let padding = padding(behind);
        self.padding_at = padding.as_ref().map(|padding| padding.start);
        let padding = padding.unwrap_or(behind.len()..behind.len());
        self.around.extend_from_slice(&behind[..padding.start]);
        self.around.extend_from_slice(&behind[padding.end..]);
    }
}

/// The rest of a string up to its closing quote, and what follows from there on. `None`, too, if a line ends in it.
fn string(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    match string_end(rest, false) {
        StringEnd::Closed(end) if memchr2(b'\n', b'\r', &rest[..end]).is_none() => Some(rest.split_at(end)),
        _ => None,
    }
}

/// The value of the event's last member, if that is a string in which nothing is escaped.
fn padding(behind: &[u8]) -> Option<Range<usize>> {
    let before_end = behind.strip_suffix(b"\"}")?;
    let start = memchr::memrchr2(b'"', b'\\', before_end)? + 1;
    // It is a value, and not the text itself, whose closing quote comes first.
    let is_value =
        start > 1 && before_end[start - 1] == b'"' && before_end[..start - 1].trim_ascii_end().ends_with(b":");
    is_value.then_some(start..before_end.len())
}

#[cfg(test)]
mod tests {
    use super::super::reader::Reader;
    use super::super::rules::UsageRules;
    use super::*;
    use crate::dialect::shape::{Answer, DialectId, Framing};
    use proptest::prelude::*;

    fn event(text: &str, more: &str) -> Vec<u8> {
        format!("{{\"id\":\"1\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]{more}}}").into_bytes()
    }

    fn remembering(text: &str, more: &str) -> Alike {
        let (mut alike, event) = (Alike::new(), event(text, more));
        let start = memchr::memmem::find(&event, b"content\":\"").unwrap() + 10;
        alike.remember(&event, Slot::Text, start..start + text.len());
        alike
    }

    #[track_caller]
    fn assert_text(alike: &mut Alike, event: &[u8], text: Option<&str>) {
        assert_eq!(alike.text(event).map(|(_, text)| text), text.map(str::as_bytes), "{}", event.escape_ascii());
    }

    #[test]
    fn only_the_text_may_be_another() {
        for more in ["", ",\"usage\":null", ",\"tier\":\"a\",\"n\":1"] {
            let mut alike = remembering("first", more);
            for text in ["", "x", "more text", "a \\\"quote\\\" and \\\\", "\\u0022", "é"] {
                assert_text(&mut alike, &event(text, more), Some(text));
            }
            assert_text(&mut alike, &event("x", ",\"usage\":{}"), None);
            assert_text(&mut alike, &event("x\"}}],\"usage\":{},\"y\":[{\"z\":{\"a\":\"", more), None);
            assert_text(&mut alike, &event("x", more)[1..], None);
            assert_text(&mut alike, &[&event("x", more)[..], b" "].concat(), None);
            assert_text(&mut alike, &event("x\\", more), None);
        }
    }

    #[test]
    fn a_last_string_may_be_another_too() {
        for blank in ["", " "] {
            let more = |padding: &str| format!(",\"usage\":null,\"p\":{blank}\"{padding}\"");
            let mut alike = remembering("first", &more("abcdef"));
            for padding in ["", "x", "a longer one", "\\\"", "\\\\"] {
                assert_text(&mut alike, &event("x", &more(padding)), Some("x"));
            }
            assert_text(&mut alike, &event("x", &more("\",\"usage\":{\"a\":1},\"p\":\"")), None);
            assert_text(&mut alike, &event("x", ",\"usage\":null,\"q\":\"x\""), None);
        }
        // One in which something is escaped is no padding, and must be the same.
        let mut alike = remembering("first", ",\"p\":\"a\\\"b\"");
        assert_text(&mut alike, &event("x", ",\"p\":\"a\\\"b\""), Some("x"));
        assert_text(&mut alike, &event("x", ",\"p\":\"a\\\"c\""), None);
    }

    #[test]
    fn the_text_itself_is_no_padding() {
        let mut alike = Alike::new();
        alike.remember(b"{\"delta\":\"ab\"}", Slot::Text, 10..12);
        assert_eq!(alike.padding_at, None);
        assert_text(&mut alike, b"{\"delta\":\"c\"}", Some("c"));
        assert_text(&mut alike, b"{\"delta\":\"c\",\"x\":\"y\"}", None);
    }

    /// Events of all kinds, in OpenAI's and in Anthropic's form.
    fn events(answer: Answer, kind: u8, text: &str, number: u8) -> Vec<u8> {
        let chat = |delta: &str, finish: &str, more: &str| {
            format!("{{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]{more}}}")
        };
        let messages = |kind: &str, more: &str| format!("{{\"type\":\"{kind}\"{more}}}");
        let delta = |delta: &str| messages("content_block_delta", &format!(",\"index\":0,\"delta\":{delta}"));
        let content = format!("{{\"content\":\"{text}\"}}");
        let event = match (answer, kind % 9) {
            (Answer::Messages, 0..=3) => delta(&format!("{{\"type\":\"text_delta\",\"text\":\"{text}\"}}")),
            (Answer::Messages, 4) => delta(&format!("{{\"type\":\"thinking_delta\",\"thinking\":\"{text}\"}}")),
            (Answer::Messages, 5) => delta(&format!("{{\"type\":\"signature_delta\",\"signature\":\"{text}\"}}")),
            (Answer::Messages, 6) => {
                messages("message_delta", &format!(",\"delta\":{{}},\"usage\":{{\"output_tokens\":{number}}}"))
            }
            (Answer::Messages, 7) => messages("message_start", ",\"message\":{\"usage\":{\"input_tokens\":9}}"),
            (Answer::Messages, _) => messages("error", &format!(",\"error\":{{\"message\":\"{text}\"}}")),
            (_, 0..=2) => chat(&content, "null", ",\"usage\":null"),
            (_, 3) => chat(&content, "null", &format!(",\"usage\":null,\"obfuscation\":\"{text}\"")),
            (_, 4) => chat(&format!("{{\"reasoning\":\"{text}\"}}"), "null", ""),
            (_, 5) => chat(&format!("{{\"content\":\"{text}\",\"x\":{number}}}"), "null", ""),
            (_, 6) => chat("{}", "\"stop\"", ",\"usage\":null"),
            (_, 7) => {
                chat(&content, "null", &format!(",\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":{number}}}"))
            }
            (_, _) => chat(&content, "null", &format!(",\"error\":{{\"message\":\"{text}\"}}")),
        };
        event.into_bytes()
    }

    proptest! {
        /// Whatever comes after whatever, what is remembered changes nothing.
        #[test]
        fn nothing_is_read_otherwise_for_it(
            is_messages in any::<bool>(),
            drawn in prop::collection::vec((any::<u8>(), 0_usize..8, any::<u8>()), 1..60),
        ) {
            const TEXTS: [&str; 8] = ["", "x", " more", "\\n", "\\\"", "\\\\", "\\u0022usage\\u0022", "\\\"usage\\\":{"];
            let (answer, dialect) = match is_messages {
                true => (Answer::Messages, DialectId::Anthropic),
                false => (Answer::Chat, DialectId::OpenAi),
            };
            let reader = || Reader::new(answer, dialect, Framing::Sse, UsageRules::default());
            let (mut one, mut other) = (reader(), reader());
            other.alike.tries_left = 0;
            for (kind, text, number) in drawn {
                let event = events(answer, kind, TEXTS[text], number);
                one.event(&event);
                other.event(&event);
                prop_assert_eq!(one.metered(), other.metered());
                prop_assert_eq!(one.delivered().total_bytes(), other.delivered().total_bytes());
                prop_assert_eq!(one.has_ended(), other.has_ended());
                prop_assert_eq!(one.token_seen(), other.token_seen());
                prop_assert_eq!(one.error_event().is_some(), other.error_event().is_some());
            }
        }
    }

    #[test]
    fn events_that_are_never_alike_are_given_up_and_long_ones_are_not_kept() {
        let mut alike = Alike::new();
        for number in 0..TRIES {
            let event = event("x", &format!(",\"n\":{number}"));
            assert_text(&mut alike, &event, None);
            alike.remember(&event, Slot::Text, 42..43);
            assert!(!alike.around.is_empty());
        }
        alike.remember(&event("x", ""), Slot::Text, 42..43);
        assert!(alike.around.is_empty());
        let long = ",\"long\":1".repeat(AROUND_BYTES_MAX);
        assert!(remembering("x", &long).around.is_empty());
    }
}
