//! Whole values out of an answer's bytes, however they were cut.

use super::nesting::Nesting;
use super::wire::Unreadable;
use crate::dialect::Framing;
use crate::dialect::event_frames::{BrokenFrame, EventFrames};
use crate::dialect::sse::{Field, Lines, field};

/// The largest event, or document: an image in base64, a whole batch of them.
const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A buffer that has grown beyond this is given back when it is empty.
const KEEP_BYTES_MAX: usize = 16 * 1024;

/// A comment of DashScope's that states the event's HTTP status.
const STATUS: &[u8] = b"HTTP_STATUS/";

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// An event, line or element: its name, where it has one, and what it carries.
    Value(&'a str, &'a str),
    /// A comment.
    Comment,
    /// What says what is wrong, apart from its own form: a binary frame of that kind, an event whose comment states a status
    /// (DashScope); and the HTTP status that it has or would have had.
    Exception(Option<u16>, &'a [u8]),
}

/// Puts them together.
#[derive(Debug)]
pub(super) struct Frames {
    framing: Framing,
    lines: Lines,
    /// The line, value or event that is not complete.
    open: Vec<u8>,
    /// The long line that comes in parts.
    long: Vec<u8>,
    name: String,
    /// The HTTP status that a comment in the event states.
    status: Option<u16>,
    /// The open value stands in lines of its own, without any field: so Google breaks off a stream of events.
    bare: bool,
    nesting: Nesting,
    /// How much of the open event the nesting is known of.
    nested_bytes: usize,
    /// The open event is no JSON, whatever follows.
    is_hopeless: bool,
    /// How deep an array's elements stand: not at all, where a value comes without any array (an error of Google's).
    element_depth: usize,
    binary: EventFrames,
}

impl Frames {
    pub(super) fn new(framing: Framing) -> Self {
        let (lines, open, long) = (Lines::default(), Vec::new(), Vec::new());
        let (name, nesting, binary) = (String::new(), Nesting::default(), EventFrames::default());
        let element_depth = 1;
        Self {
            framing,
            lines,
            open,
            long,
            name,
            status: None,
            bare: false,
            nesting,
            nested_bytes: 0,
            is_hopeless: false,
            element_depth,
            binary,
        }
    }

    /// More bytes; `take` gets what became whole.
    ///
    /// # Errors
    /// A frame is too large, or not UTF-8; or `take` fails.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        take: &mut dyn FnMut(Frame<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        match self.framing {
            Framing::Sse | Framing::NdJson => {
                let mut at = 0;
                let mut lines = std::mem::take(&mut self.lines);
                let mut outcome = Ok(());
                while let Some(line) = lines.next(piece, &mut at) {
                    outcome = self.part(line.bytes, line.ended, take);
                    if outcome.is_err() {
                        break;
                    }
                }
                self.lines = lines;
                outcome
            }
            Framing::JsonArray => self.elements(piece, take),
            Framing::EventStream => self.binary.push(piece, &mut |frame| {
                if frame.is_error() {
                    return take(Frame::Exception(frame.status(), frame.payload()));
                }
                take(Frame::Value(frame.name(), text(frame.payload())?))
            }),
            Framing::JsonDocument | Framing::Opaque => self.keep(piece),
        }
    }

    /// The body has ended.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(super) fn finish(
        &mut self,
        take: &mut dyn FnMut(Frame<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        match self.framing {
            Framing::Sse | Framing::NdJson => {
                let mut lines = std::mem::take(&mut self.lines);
                if let Some(line) = lines.finish() {
                    self.part(line.bytes, true, take)?;
                }
                // Some servers do not end their last event with a blank line.
                self.line(b"", take)
            }
            Framing::JsonArray | Framing::EventStream => Ok(()),
            Framing::JsonDocument | Framing::Opaque => self.deliver(take),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        if self.open.len() + bytes.len() > FRAME_BYTES_MAX {
            return Err(Unreadable::new("an event of the answer is too large"));
        }
        self.open.extend_from_slice(bytes);
        Ok(())
    }

    /// A line, or a part of a long one.
    fn part(
        &mut self,
        bytes: &[u8],
        ended: bool,
        take: &mut dyn FnMut(Frame<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        if ended && self.long.is_empty() {
            return self.line(bytes, take);
        }
        if self.long.len() + bytes.len() > FRAME_BYTES_MAX {
            return Err(Unreadable::new("a line of the answer is too large"));
        }
        self.long.extend_from_slice(bytes);
        if !ended {
            return Ok(());
        }
        let long = std::mem::take(&mut self.long);
        self.line(&long, take)
    }

    fn line(
        &mut self,
        line: &[u8],
        take: &mut dyn FnMut(Frame<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        if self.framing == Framing::NdJson {
            let text = text(line)?;
            return if text.trim_ascii().is_empty() { Ok(()) } else { take(Frame::Value("", text)) };
        }
        let field = field(line);
        if !self.bare && matches!(field, Field::Data(_) | Field::Event(_)) {
            self.deliver_unended(take)?;
        }
        match field {
            Field::Blank => self.deliver(take),
            _ if self.bare => self.keep(line),
            Field::Other if self.open.is_empty() && line.first() == Some(&b'{') => {
                self.bare = true;
                self.keep(line)
            }
            Field::Data(data) => {
                if !self.open.is_empty() {
                    self.keep(b"\n")?;
                }
                self.keep(data)
            }
            Field::Event(name) => {
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(name));
                Ok(())
            }
            Field::Comment(text) => match text.strip_prefix(STATUS) {
                Some(status) => {
                    self.status = std::str::from_utf8(status).ok().and_then(|status| status.trim().parse().ok());
                    Ok(())
                }
                None => take(Frame::Comment),
            },
            Field::Other => Ok(()),
        }
    }

    /// Some servers put no blank line between events: where a whole value is there, what follows is another one.
    fn deliver_unended(&mut self, take: &mut dyn FnMut(Frame<'_>) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
        if self.is_whole() { self.deliver(take) } else { Ok(()) }
    }

    /// Whether the open event is a whole value. It is parsed once at most, when all its brackets are closed: what is no JSON
    /// then does not become any by what follows.
    fn is_whole(&mut self) -> bool {
        let new = self.open.get(self.nested_bytes..).unwrap_or_default();
        self.nested_bytes = self.open.len();
        self.nesting.push(new);
        if self.is_hopeless || !self.nesting.is_level() {
            return false;
        }
        let is_whole = serde_json::from_slice::<serde::de::IgnoredAny>(&self.open).is_ok();
        self.is_hopeless = !is_whole;
        is_whole
    }

    fn deliver(&mut self, take: &mut dyn FnMut(Frame<'_>) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
        self.bare = false;
        let text = text(&self.open)?;
        let outcome = match self.status.take().filter(|status| *status >= 400) {
            _ if text.trim_ascii().is_empty() => Ok(()),
            Some(status) => take(Frame::Exception(Some(status), text.as_bytes())),
            None => take(Frame::Value(&self.name, text)),
        };
        self.open.clear();
        self.open.shrink_to(KEEP_BYTES_MAX);
        self.name.clear();
        if self.nested_bytes > 0 {
            (self.nesting, self.nested_bytes, self.is_hopeless) = (Nesting::default(), 0, false);
        }
        outcome
    }

    /// The elements of one array, or values without one.
    fn elements(
        &mut self,
        piece: &[u8],
        take: &mut dyn FnMut(Frame<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let mut start = 0;
        for (at, byte) in piece.iter().enumerate() {
            let before = self.nesting.depth();
            self.nesting.step(*byte);
            if before == 0 && self.nesting.depth() == 1 {
                self.element_depth = usize::from(*byte == b'[');
            }
            let (outside, inside) = (self.element_depth, self.element_depth + 1);
            if before == outside && self.nesting.depth() == inside {
                start = at;
            } else if before == inside && self.nesting.depth() == outside {
                self.keep(&piece[start..=at])?;
                start = at + 1;
                self.deliver(take)?;
            }
        }
        if self.nesting.depth() > self.element_depth { self.keep(&piece[start..]) } else { Ok(()) }
    }
}

impl From<BrokenFrame> for Unreadable {
    fn from(_: BrokenFrame) -> Self {
        Self::new("a frame of the answer is broken, or too large")
    }
}

fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|_| Unreadable::new("an event of the answer is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framing: Framing, pieces: &[&[u8]]) -> Vec<(String, String)> {
        let (mut frames, mut got) = (Frames::new(framing), Vec::new());
        let mut take = |frame: Frame<'_>| {
            got.push(match frame {
                Frame::Value(name, json) => (name.to_owned(), json.to_owned()),
                Frame::Comment => (":".to_owned(), String::new()),
                Frame::Exception(status, words) => {
                    (format!("!{status:?}"), String::from_utf8_lossy(words).into_owned())
                }
            });
            Ok(())
        };
        for piece in pieces {
            frames.push(piece, &mut take).unwrap();
        }
        frames.finish(&mut take).unwrap();
        got
    }

    fn check(framing: Framing, text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, json)| ((*name).to_owned(), (*json).to_owned())).collect();
        for cut in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(cut);
            assert_eq!(frames(framing, &[left, right]), expected, "cut at {cut}");
        }
        assert_eq!(frames(framing, &text.as_bytes().chunks(1).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn events_lines_elements_and_documents_are_whole_at_any_cut() {
        check(
            Framing::Sse,
            ": hi\r\n\r\nevent: a\ndata: {\"x\":\ndata: 1}\n\ndata:{}\n\nid: 7\n\ndata: [DONE]",
            &[(":", ""), ("a", "{\"x\":\n1}"), ("", "{}"), ("", "[DONE]")],
        );
        check(Framing::Sse, "event:a\ndata:{}\nevent:b\ndata:{\"x\":\ndata:1}\n", &[("a", "{}"), ("b", "{\"x\":\n1}")]);
        check(
            Framing::Sse,
            "event:error\n:HTTP_STATUS/429\ndata:{}\n\n:HTTP_STATUS/200\ndata:{}\n\n",
            &[("!Some(429)", "{}"), ("", "{}")],
        );
        check(Framing::NdJson, "{\"a\":1}\n\n{\"b\":2}", &[("", "{\"a\":1}"), ("", "{\"b\":2}")]);
        check(
            Framing::JsonArray,
            "[{\"a\":\"]}\\\"\"}\n, {\"b\":[{}]}\n]",
            &[("", "{\"a\":\"]}\\\"\"}"), ("", "{\"b\":[{}]}")],
        );
        check(Framing::JsonArray, " {\"a\":[{}]}\n{}", &[("", "{\"a\":[{}]}"), ("", "{}")]);
        check(Framing::JsonDocument, " {\"a\":[1]}\n", &[("", " {\"a\":[1]}\n")]);
    }

    #[test]
    fn a_bare_object_among_events_is_one() {
        check(
            Framing::Sse,
            "data: {}\n\n{\n  \"error\": {\n    \"data\": 1}\n}\n\nretry: 1\n\n",
            &[("", "{}"), ("", "{  \"error\": {    \"data\": 1}}")],
        );
    }

    /// Each further line was a reason to parse all of them again.
    #[test]
    fn what_is_no_json_is_not_parsed_line_by_line() {
        let text = "x".repeat(1_000_000);
        for (beginning, line) in [
            (format!("{{\"a\":\"{text}\"}} x"), "data:x\n"),
            (format!("[\"{text}\""), "data:x\n"),
            (" ".repeat(1_000_000), "data:\n"),
        ] {
            let text = format!("data:{beginning}\n{}\n\ndata:{{}}\n\n", line.repeat(20_000));
            let got = frames(Framing::Sse, &[text.as_bytes()]);
            assert!(got.len() <= 2 && got.last().is_some_and(|(_, json)| json == "{}"), "{} events", got.len());
        }
    }

    #[test]
    fn a_long_event_is_put_together() {
        let long = "x".repeat(50_000);
        let text = format!("data: {{\"a\":\"{long}\"}}\n\ndata: 1\n\n");
        for size in [1_000, 16_384, 70_000] {
            let got = frames(Framing::Sse, &text.as_bytes().chunks(size).collect::<Vec<_>>());
            assert_eq!(got.len(), 2);
            assert_eq!(got[0].1, format!("{{\"a\":\"{long}\"}}"));
        }
    }
}
