//! Events out of the lines of a stream.
//!
//! An event that is one short line is read where it lies. One that is cut is put together, and one of several data
//! lines, or of a long one, is walked through as it comes, without being kept. Two habits of real servers are forgiven:
//! data lines that are each a whole event with no blank line between them, and a bare JSON error after the events.

use super::reader::Reader;
use crate::dialect::sse::{Field, Line, Part, field};

/// A buffer that has grown beyond this is given back when it is empty.
const KEEP_BYTES_MAX: usize = 4 * 1024;

/// What has come of the running event's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Payload {
    #[default]
    None,
    /// One whole line, kept in `pending`.
    Pending,
    /// The reader is in the middle of it.
    Running,
}

/// Puts events together.
#[derive(Debug, Default)]
pub(super) struct Events {
    pending: Vec<u8>,
    data: Payload,
    /// Events that were read since the last blank line.
    read: u32,
    /// A field has come since the last blank line.
    in_block: bool,
    /// The lines are those of a bare JSON value, not fields.
    bare: bool,
    /// The long line that is coming in parts is data.
    long_is_data: bool,
}

/// What a blank line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// All there was in it is the usage chunk.
    pub(super) is_usage_chunk: bool,
}

impl Events {
    /// Between two events.
    pub(super) fn at_boundary(&self) -> bool {
        !self.in_block
    }

    /// A field has come since the last blank line.
    pub(super) fn in_block(&self) -> bool {
        self.in_block
    }

    /// The event's data as far as it is kept: a whole line of it.
    pub(super) fn pending(&self) -> &[u8] {
        if self.data == Payload::Pending { &self.pending } else { &[] }
    }

    /// The event's data is being read without being kept.
    pub(super) fn is_running(&self) -> bool {
        self.data == Payload::Running
    }

    /// The next line, or part of a line. `blank_follows`: the line after it is in the same piece and empty. Says when a
    /// block of lines ended.
    pub(super) fn line(&mut self, line: Line<'_>, blank_follows: bool, reader: &mut Reader) -> Option<Block> {
        match line.part {
            Part::Whole if line.bytes.is_empty() => return Some(self.end_block(reader)),
            Part::Whole => {
                let data = self.data_of(line.bytes, reader)?;
                if blank_follows && self.data == Payload::None {
                    reader.event(data);
                    self.read += 1;
                } else {
                    self.add(data, reader);
                }
            }
            Part::First => {
                let data = self.data_of(line.bytes, reader);
                self.long_is_data = data.is_some();
                if let Some(data) = data {
                    self.add_running(data, reader);
                }
            }
            Part::More if self.long_is_data => {
                reader.feed(line.bytes);
            }
            Part::More => {}
        }
        None
    }

    /// The data of a line, if it has any; takes note of the other fields.
    fn data_of<'a>(&mut self, line: &'a [u8], reader: &mut Reader) -> Option<&'a [u8]> {
        let field = field(line);
        if let Field::Comment(comment) = field {
            let status = comment.strip_prefix(b"HTTP_STATUS/").and_then(|status| std::str::from_utf8(status).ok());
            reader.stated_status = status.and_then(|status| status.trim().parse().ok()).or(reader.stated_status);
            return None;
        }
        self.in_block = true;
        match field {
            Field::Data(data) => Some(data),
            Field::Event(name) => {
                // Some servers put no blank line between events: where a whole value is there, what follows is another one.
                if self.data == Payload::Pending {
                    self.run_pending(reader);
                }
                if self.data == Payload::Running && reader.is_closed() {
                    self.end_event(reader);
                }
                reader.named_error = name == b"error";
                None
            }
            _ if self.bare || (self.data == Payload::None && matches!(line.first(), Some(b'{' | b'['))) => {
                self.bare = true;
                Some(line)
            }
            _ => None,
        }
    }

    /// A whole line of data whose event may go on.
    fn add(&mut self, data: &[u8], reader: &mut Reader) {
        match self.data {
            Payload::None => self.keep(data),
            Payload::Pending => {
                self.run_pending(reader);
                self.add(data, reader);
            }
            Payload::Running if reader.is_closed() => {
                self.end_event(reader);
                self.keep(data);
            }
            Payload::Running => {
                reader.feed(b"\n");
                reader.feed(data);
            }
        }
    }

    /// The first part of a long line of data.
    fn add_running(&mut self, data: &[u8], reader: &mut Reader) {
        if self.data == Payload::Pending {
            self.run_pending(reader);
        }
        if self.data == Payload::Running && reader.is_closed() {
            self.end_event(reader);
        }
        if self.data == Payload::None {
            reader.begin();
        } else {
            reader.feed(b"\n");
        }
        self.data = Payload::Running;
        reader.feed(data);
    }

    fn keep(&mut self, data: &[u8]) {
        self.pending.clear();
        self.pending.extend_from_slice(data);
        self.data = Payload::Pending;
    }

    /// The event goes on after its first line: from here on it is read as it comes. A line that is no beginning of a
    /// JSON value (`[DONE]`, plain words) is an event of its own.
    fn run_pending(&mut self, reader: &mut Reader) {
        let pending = std::mem::take(&mut self.pending);
        reader.begin();
        reader.feed(&pending);
        if reader.is_dead() {
            self.data = Payload::None;
            reader.event(&pending);
            self.read += 1;
        } else {
            self.data = Payload::Running;
        }
        self.pending = pending;
    }

    fn end_event(&mut self, reader: &mut Reader) {
        match self.data {
            Payload::None => return,
            Payload::Pending => reader.event(&self.pending),
            Payload::Running => reader.end(),
        }
        self.read += 1;
        self.data = Payload::None;
        self.pending.clear();
        self.pending.shrink_to(KEEP_BYTES_MAX);
    }

    /// A blank line, or the end of the stream.
    pub(super) fn end_block(&mut self, reader: &mut Reader) -> Block {
        self.end_event(reader);
        let block = Block { is_usage_chunk: self.read == 1 && !self.bare && reader.was_usage_chunk };
        self.read = 0;
        self.in_block = false;
        self.bare = false;
        reader.named_error = false;
        reader.stated_status = None;
        block
    }
}
