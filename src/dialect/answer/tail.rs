//! Where a stream that breaks off has been cut.

use super::unclosed::{Closing, Unclosed};
use crate::dialect::Framing;
use memchr::{memchr2, memrchr_iter};

/// The longest field name of server-sent events that means something, and one byte more.
const FIELD_BYTES_MAX: usize = 6;

/// The line that is not finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Nothing of it is there.
    #[default]
    Start,
    /// Its field's name, so far.
    Name { bytes: [u8; FIELD_BYTES_MAX], length: usize },
    /// The value of `data`.
    Data,
    /// The value of `event`.
    Event,
    /// A comment, or another field's value.
    Other,
}

/// Follows what went to the client, in constant memory, so that a stream which breaks off can be ended well: fed with every
/// byte of the body, it knows what is open. Complete lines cost a search for their end; only an unfinished one is looked into.
#[derive(Clone, Debug)]
pub struct Tail {
    framing: Framing,
    line: Line,
    /// The last byte was a carriage return: a line feed now would belong to it.
    after_return: bool,
    /// The open event has a finished `data` line.
    has_data: bool,
    /// The open event has an `event` line.
    has_name: bool,
    json: Unclosed,
}

/// How what went to the client is to go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Between two events, lines or elements.
    Between,
    /// At the start of a line in an event that has its data.
    AfterData { after_return: bool },
    /// In an event without data yet; `finish` ends its unfinished line.
    BeforeData { finish: &'static str, named: bool },
    /// In the name of a `data` line, or after its colon; `finish` completes the name.
    NoValue { finish: &'static str, named: bool },
    /// In the JSON of the one `data` line, or of a line by itself.
    InValue { named: bool, whole: Vec<u8>, member: Option<Closing> },
    /// In something that is not known or not JSON.
    Unknown,
    /// In the array of all elements: before the first one, after a comma, or after an element that `closing` completes.
    InArray { closing: Vec<u8>, needs_comma: bool },
    /// In the JSON array's place, with nothing there.
    NoArray,
    /// Nothing can follow.
    Ended,
}

impl Tail {
    /// At the start of a body.
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            line: Line::Start,
            after_return: false,
            has_data: false,
            has_name: false,
            json: Unclosed::default(),
        }
    }

    /// More of the body has gone to the client.
    pub fn push(&mut self, piece: &[u8]) {
        match self.framing {
            Framing::Sse => {
                // Whatever came before the last empty line is over, and nothing of it has to be looked at.
                let over = memrchr_iter(b'\n', piece).find(|at| piece[..*at].ends_with(b"\n"));
                let open = over.map_or(piece, |at| {
                    *self = Self::new(self.framing);
                    &piece[at + 1..]
                });
                self.push_lines(open);
            }
            Framing::NdJson => self.push_lines(piece),
            Framing::JsonArray => self.json.push(piece),
            Framing::JsonDocument | Framing::Opaque | Framing::EventStream => {}
        }
    }

    fn push_lines(&mut self, mut piece: &[u8]) {
        while let Some(end) = memchr2(b'\n', b'\r', piece) {
            let second_half = end == 0 && self.after_return && piece[0] == b'\n';
            if !second_half {
                self.end_line(&piece[..end]);
            }
            self.after_return = piece[end] == b'\r';
            piece = &piece[end + 1..];
        }
        if !piece.is_empty() {
            self.after_return = false;
            self.begin_line(piece, true);
        }
    }

    fn end_line(&mut self, rest: &[u8]) {
        if rest.is_empty() && self.line == Line::Start {
            (self.has_data, self.has_name) = (false, false);
            return;
        }
        self.begin_line(rest, false);
        let is = |name: &[u8]| matches!(self.line, Line::Name { bytes, length } if bytes.get(..length) == Some(name));
        self.has_data |= self.line == Line::Data || is(b"data");
        self.has_name |= self.line == Line::Event || is(b"event");
        self.line = Line::Start;
        self.json = Unclosed::default();
    }

    /// More of the unfinished line; its JSON is followed if it may stay unfinished.
    fn begin_line(&mut self, piece: &[u8], unfinished: bool) {
        let mut rest = piece;
        if self.framing == Framing::NdJson {
            self.line = Line::Data;
        }
        while let Line::Start | Line::Name { .. } = self.line {
            let Some((&byte, after)) = rest.split_first() else { return };
            rest = after;
            self.line = named(self.line, byte);
        }
        if unfinished && self.line == Line::Data {
            self.json.push(rest);
        }
    }

    pub(super) fn cut(&self) -> Cut {
        match self.framing {
            Framing::Sse => self.cut_in_event(),
            Framing::NdJson if self.line == Line::Start => Cut::Between,
            Framing::NdJson => self.in_value(false),
            Framing::JsonArray => self.cut_in_array(),
            Framing::JsonDocument | Framing::Opaque | Framing::EventStream => Cut::Ended,
        }
    }

    fn cut_in_event(&self) -> Cut {
        let named = self.has_name || self.line == Line::Event;
        match self.line {
            Line::Start if self.has_data => Cut::AfterData { after_return: self.after_return },
            Line::Start if !self.has_name => Cut::Between,
            Line::Start => Cut::BeforeData { finish: "", named },
            _ if self.has_data => Cut::Unknown,
            Line::Name { bytes, length } => match bytes.get(..length) {
                Some(name) if b"data".starts_with(name) => Cut::NoValue { finish: &"data: "[length..], named },
                // A name without a colon is a field with an empty value; one more letter makes it nobody's.
                _ => Cut::BeforeData { finish: "x\n", named },
            },
            Line::Event | Line::Other => Cut::BeforeData { finish: "\n", named },
            Line::Data if self.json.is_empty() => Cut::NoValue { finish: " ", named },
            Line::Data => self.in_value(named),
        }
    }

    fn in_value(&self, named: bool) -> Cut {
        match self.json.close(0) {
            Some(closing) if self.json.is_object() => {
                Cut::InValue { named, whole: closing.text, member: self.json.close(1) }
            }
            Some(closing) => Cut::InValue { named, whole: closing.text, member: None },
            None => Cut::Unknown,
        }
    }

    fn cut_in_array(&self) -> Cut {
        if self.json.is_done() {
            return Cut::Ended;
        }
        if self.json.is_empty() {
            return Cut::NoArray;
        }
        match self.json.close(1) {
            Some(closing) if self.json.is_array() => {
                Cut::InArray { closing: closing.text, needs_comma: closing.needs_comma }
            }
            _ => Cut::Unknown,
        }
    }
}

/// The line with one byte more of its field's name.
fn named(line: Line, byte: u8) -> Line {
    let (mut bytes, length) = match line {
        Line::Name { bytes, length } => (bytes, length),
        _ => ([0; FIELD_BYTES_MAX], 0),
    };
    if byte == b':' {
        return match bytes.get(..length) {
            Some(b"data") => Line::Data,
            Some(b"event") => Line::Event,
            _ => Line::Other,
        };
    }
    match bytes.get_mut(length) {
        Some(slot) => {
            *slot = byte;
            Line::Name { bytes, length: length + 1 }
        }
        // Longer than any name that means something: what it is no longer matters, only that it has no colon.
        None => Line::Name { bytes, length },
    }
}
