//! Takes the usage chunk out of a stream whose client did not ask for it.
//!
//! The chunk is a block of lines of its own: its list of choices is empty (or `null`) and it carries usage. Everything else goes on
//! byte for byte and at once; only the beginning of a block that may still become that chunk waits for the rest of it.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::events::{Block, Events};
use super::reader::Reader;
use crate::dialect::sse::{Field, Lines, field};

/// A block that is longer than this is not the usage chunk: it waits no longer.
const HELD_BYTES_MAX: usize = 16 * 1024;
/// A buffer that has grown beyond this is given back when it is empty.
const KEEP_BYTES_MAX: usize = 4 * 1024;

/// What is being held back.
#[derive(Debug, Default)]
pub(super) struct TakeOut {
    held: Vec<u8>,
    /// Some of the running block has gone on already: the rest must follow.
    let_go: bool,
    /// The block that was taken out ended with a CR at the end of a piece: an LF that comes next goes with it.
    drop_lf: bool,
}

/// How far one piece has been dealt with.
#[derive(Debug)]
pub(super) struct Cut {
    piece: Bytes,
    /// What goes on, once it is no longer simply the piece.
    out: Option<BytesMut>,
    /// The part of the piece up to here is in `out`, or has been taken out.
    done: usize,
    /// Where in the piece the running block begins.
    block: usize,
}

impl TakeOut {
    /// The beginning of a block waits.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Begins a piece. `lines`: as they stood before it.
    pub(super) fn begin(&mut self, piece: Bytes, lines: &Lines) -> Cut {
        let belongs_to_last = usize::from(lines.swallows_lf() && piece.first() == Some(&b'\n'));
        let dropped =
            if piece.is_empty() { 0 } else { usize::from(std::mem::take(&mut self.drop_lf)) * belongs_to_last };
        let out = (dropped > 0).then(BytesMut::new);
        let mut cut = Cut { piece, out, done: dropped, block: belongs_to_last };
        if belongs_to_last > dropped && !self.held.is_empty() {
            // The held block's own line end: it is held with it.
            cut.block = 0;
        }
        cut
    }

    /// A comment line ended before `end`, and nothing of a block has come yet: it is no part of one.
    pub(super) fn comment(&mut self, cut: &mut Cut, end: usize) {
        if self.held.is_empty() {
            self.let_go = false;
            cut.block = end;
        }
    }

    /// A block ended before `end`.
    pub(super) fn block(&mut self, cut: &mut Cut, block: Block, end: usize, lines: &Lines) {
        let length = self.held.len() + end.saturating_sub(cut.block.max(cut.done));
        if block.is_usage_chunk && !self.let_go && length <= HELD_BYTES_MAX {
            let before = cut.piece.slice(cut.done..cut.block.max(cut.done));
            cut.out.get_or_insert_default().extend_from_slice(&before);
            cut.done = end;
            self.held.clear();
            self.drop_lf = lines.swallows_lf();
        } else {
            self.release(cut);
        }
        self.let_go = false;
        cut.block = end;
    }

    /// What was held from earlier pieces goes on after all.
    fn release(&mut self, cut: &mut Cut) {
        if !self.held.is_empty() {
            let out = cut.out.get_or_insert_default();
            out.extend_from_slice(&self.held);
            self.held.clear();
            self.held.shrink_to(KEEP_BYTES_MAX);
        }
    }

    /// Ends a piece: what of it goes on.
    pub(super) fn end(&mut self, mut cut: Cut, lines: &Lines, events: &Events, reader: &Reader) -> Bytes {
        let length = cut.piece.len();
        let from = cut.block.max(cut.done);
        let running = length.saturating_sub(from) + self.held.len();
        let holds = !self.let_go && running <= HELD_BYTES_MAX && may_be_usage_chunk(lines, events, reader);
        let keep = if holds { from } else { length };
        if !holds {
            self.release(&mut cut);
            self.let_go = running > 0;
        }
        let out = match cut.out {
            None => cut.piece.slice(..keep),
            Some(mut out) => {
                out.extend_from_slice(&cut.piece[cut.done.min(keep)..keep]);
                out.freeze()
            }
        };
        self.held.extend_from_slice(&cut.piece[keep..]);
        out
    }

    /// Ends the stream: what was held, unless it was the usage chunk after all.
    pub(super) fn finish(&mut self, last: Block) -> Bytes {
        let held = std::mem::take(&mut self.held);
        if last.is_usage_chunk && !self.let_go { Bytes::new() } else { Bytes::from(held) }
    }
}

/// Whether what has come of the running block may still become the usage chunk.
fn may_be_usage_chunk(lines: &Lines, events: &Events, reader: &Reader) -> bool {
    if reader.named_error {
        return false;
    }
    if events.is_running() {
        return !reader.has_choices();
    }
    if !events.pending().is_empty() {
        return data_may_be_usage_chunk(events.pending());
    }
    let partial = lines.partial();
    if partial.is_empty() {
        // Nothing has come, or a long line that is being handed on.
        return events.in_block() && lines.at_line_start();
    }
    match field(partial) {
        Field::Comment(_) => events.in_block(),
        Field::Data(data) => data_may_be_usage_chunk(data),
        Field::Blank | Field::Event(_) | Field::Other => true,
    }
}

/// Whether this may be (the beginning of) an object whose list of choices is empty or `null`.
fn data_may_be_usage_chunk(data: &[u8]) -> bool {
    let data = data.trim_ascii_start();
    if !data.is_empty() && data[0] != b'{' {
        return false;
    }
    let Some(at) = memmem::find(data, b"\"choices\"") else {
        return true;
    };
    let mut rest = data[at + b"\"choices\"".len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
    match [rest.next(), rest.next(), rest.next()] {
        [None | Some(b':'), None | Some(b'['), None | Some(b']')] => true,
        [Some(b':'), next, ..] => next == Some(&b'n'),
        _ => false,
    }
}
