//! The quick look at an event once the answer is under way: nearly all of them bring a little text and nothing else.
//!
//! A needle only decides that an event needs no full reading, and only where no spelling of anything that counts could
//! escape it: what is looked for are keys as they are written, and inside a string their quotes would be escaped.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::alike::Alike;
use super::facts::TextMeter;
use super::places::Slot;
use crate::dialect::json::{StringEnd, Walker, string_end};
use crate::dialect::shape::Answer;

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
/// MiniMax's errors.
static BASE_RESP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"base_resp\""));
/// What tells of a vendor's own tools (`executed`).
static TOOLS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["\"executed_tools\"", "\"web_search\"", "\"$web_search\""].map(Finder::new));
static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"delta\""));
static PARTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"parts\""));
static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"text\""));

/// Keys of a Gemini event that bring more than text.
static GEMINI_KEYS: LazyLock<[Finder<'static>; 8]> = LazyLock::new(|| {
    [
        "\"usageMetadata\"",
        "\"finishReason\"",
        "\"blockReason\"",
        "\"error\"",
        "\"webSearchQueries\"",
        "\"maps\"",
        "\"thought\"",
        "\"inlineData\"",
    ]
    .map(Finder::new)
});

/// Whether the event is one that brings nothing but text; if so, that text has been counted. `walker` looks out for the
/// places inside a `delta`, or among the `parts`; `alike` knows how the events before were written.
pub(super) fn skim(
    answer: Answer,
    event: &[u8],
    alike: &mut Alike,
    walker: &mut Walker<Slot>,
    meter: &mut TextMeter,
) -> bool {
    if let Some((slot, text)) = alike.text(event) {
        meter.whole_string(slot, text);
        return true;
    }
    let mut deltas = || {
        if let Some((slot, text)) = containers_after(&DELTA, b'{', event, walker, meter) {
            alike.remember(event, slot, text);
        }
    };
    match answer {
        Answer::Chat if is_plain_chunk(event) => deltas(),
        Answer::Completion if is_plain_chunk(event) => strings_after(&TEXT, event, meter),
        Answer::Messages => match type_at_front(event) {
            Some(b"content_block_delta") => deltas(),
            Some(b"content_block_stop" | b"ping") => {}
            _ => return false,
        },
        Answer::Responses => match type_at_front(event) {
            Some(b"response.audio.delta" | b"response.output_audio.delta") | None => return false,
            Some(word) if word.starts_with(b"response.") && word.ends_with(b".delta") => {
                strings_after(&DELTA, event, meter);
            }
            Some(_) => return false,
        },
        Answer::GenerateContent if GEMINI_KEYS.iter().all(|key| key.find(event).is_none()) => {
            let _ = containers_after(&PARTS, b'[', event, walker, meter);
        }
        _ => return false,
    }
    true
}

/// No usage object, no finish reason, no error, no tool of the vendor's own is in this chunk.
fn is_plain_chunk(event: &[u8]) -> bool {
    let value_of = |finder: &Finder<'_>, at: usize| value_at(event, at + finder.needle().len());
    !USAGE.find_iter(event).any(|at| value_of(&USAGE, at).is_some_and(|value| event[value] == b'{'))
        && !FINISH.find_iter(event).any(|at| value_of(&FINISH, at).is_some_and(|value| event[value] != b'n'))
        && !ERROR.find_iter(event).any(|at| value_of(&ERROR, at).is_none_or(|value| event[value] != b'n'))
        && TOOLS.iter().all(|tool| tool.find(event).is_none())
        && !BASE_RESP.find_iter(event).any(|at| value_of(&BASE_RESP, at).is_some_and(|value| event[value] == b'{'))
}

/// Where the value begins whose key ended before `at`; `None` if it was no key.
fn value_at(event: &[u8], at: usize) -> Option<usize> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    let colon = at + event.get(at..)?.iter().position(|byte| !blank(byte))?;
    let value = colon + 1 + event.get(colon + 1..)?.iter().position(|byte| !blank(byte))?;
    (event[colon] == b':').then_some(value)
}

/// The value of `type`, where that is the first key of the event: at the protocol's own depth for certain.
fn type_at_front(event: &[u8]) -> Option<&[u8]> {
    let key = event.strip_prefix(b"{")?.trim_ascii_start();
    let rest = key.strip_prefix(b"\"type\"")?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let word = rest.strip_prefix(b"\"")?;
    match string_end(word, false) {
        StringEnd::Closed(end) => Some(&word[..end]),
        StringEnd::Open { .. } => None,
    }
}

/// Counts the text in every container of this kind that stands under this key. If there is one, with one string in it and nothing
/// else: where that stands in the event.
fn containers_after(
    key: &Finder<'_>,
    open: u8,
    event: &[u8],
    walker: &mut Walker<Slot>,
    meter: &mut TextMeter,
) -> Option<(Slot, Range<usize>)> {
    let (mut at, mut containers, mut lone) = (0, 0, None);
    while let Some(found) = event.get(at..).and_then(|rest| key.find(rest)) {
        at += found + key.needle().len();
        if let Some(value) = value_at(event, at).filter(|&value| event[value] == open) {
            containers += 1;
            at = match lone_string(&event[value..]) {
                Some((slot, inside)) => {
                    let text = value + inside.start..value + inside.end;
                    meter.whole_string(slot, &event[text.clone()]);
                    lone = Some((slot, text));
                    value
                }
                None => {
                    walker.reset();
                    value + walker.feed(&event[value..], meter)
                }
            };
        }
    }
    lone.filter(|_| containers == 1)
}

/// Where the text is of a `delta` that is written without blanks and has nothing else in it, as most are.
fn lone_string(object: &[u8]) -> Option<(Slot, Range<usize>)> {
    let (prefix, slot) = LONE_STRINGS.iter().find(|(prefix, _)| object.starts_with(prefix))?;
    let inside = &object[prefix.len()..];
    match string_end(inside, false) {
        StringEnd::Closed(end) if inside.get(end + 1) == Some(&b'}') => Some((*slot, prefix.len()..prefix.len() + end)),
        _ => None,
    }
}

const LONE_STRINGS: [(&[u8], Slot); 6] = [
    (b"{\"content\":\"", Slot::Text),
    (b"{\"type\":\"text_delta\",\"text\":\"", Slot::Text),
    (b"{\"type\":\"thinking_delta\",\"thinking\":\"", Slot::Text),
    (b"{\"type\":\"input_json_delta\",\"partial_json\":\"", Slot::Text),
    (b"{\"reasoning_content\":\"", Slot::ReasoningContent),
    (b"{\"reasoning\":\"", Slot::Reasoning),
];

/// Counts the text of every string that stands under this key.
fn strings_after(key: &Finder<'_>, event: &[u8], meter: &mut TextMeter) {
    let mut at = 0;
    while let Some(found) = event.get(at..).and_then(|rest| key.find(rest)) {
        at += found + key.needle().len();
        if let Some(value) = value_at(event, at).filter(|&value| event[value] == b'"') {
            let inside = &event[value + 1..];
            let StringEnd::Closed(end) = string_end(inside, false) else {
                return;
            };
            meter.whole_string(Slot::Text, &inside[..end]);
            at = value + end + 2;
        }
    }
}
