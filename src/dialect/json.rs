//! An incremental walk over one JSON value that hands out what stands in known places and skips the rest.
//!
//! It takes the bytes in pieces cut anywhere, keeps none of them, and does not allocate, so that an answer of any size
//! passes in constant memory. A place is a path from the top of the value (`choices.*.delta.content`, `*` being each
//! element of an array): the same key deeper down, or inside a string, is never in it. Keys are compared as they are
//! written; one that is spelled with escapes is nobody's. What is handed out is judged by serde later; the walk itself
//! only follows the structure and gives up on a value whose structure is broken.

mod table;

pub(super) use table::{Group, Places, Take};

use memchr::memchr2;
use table::{NOWHERE, STEPS_MAX};

/// Longer keys than this are in no table; only this much of a key is kept.
const KEY_BYTES_MAX: usize = 32;

/// Where the walk delivers. `S` names a place. What a table does not ask for need not be received.
pub(super) trait Sink<S> {
    /// The value in this place is not empty ([`Take::Presence`]).
    fn present(&mut self, slot: S) {
        let _ = slot;
    }
    /// The value in this place is `null` or an empty array ([`Take::Presence`]).
    fn nothing(&mut self, slot: S) {
        let _ = slot;
    }
    /// A piece of a string's inside, escapes as they are written ([`Take::Text`]).
    fn text(&mut self, slot: S, piece: &[u8]);
    /// That string has ended.
    fn text_end(&mut self, slot: S);
    /// A piece of a value as it is written ([`Take::Raw`]).
    fn raw(&mut self, slot: S, piece: &[u8]);
    /// A piece of a value as it is written ([`Take::Capture`]).
    fn capture(&mut self, slot: S, piece: &[u8]) {
        let _ = (slot, piece);
    }
    /// That value is complete.
    fn captured(&mut self, slot: S) {
        let _ = slot;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lex {
    Value,
    FirstValue,
    FirstKey,
    Key,
    InKey,
    InKeyEscape,
    Colon,
    Next,
    InString,
    InStringEscape,
    InScalar,
    Skip,
    SkipString,
    SkipStringEscape,
    Done,
    Dead,
}

/// The walk over one value.
#[derive(Debug)]
pub(super) struct Walker<S: 'static> {
    places: &'static Places<S>,
    lex: Lex,
    /// Open containers that are followed (those in which a place can be).
    depth: usize,
    /// The node of each of them.
    nodes: [u16; STEPS_MAX],
    /// One bit for each of them: it is an object.
    objects: u16,
    /// One bit for each of them: nothing has been in it yet.
    fresh: u16,
    /// The node of the value that comes next or is being read.
    child: u16,
    /// What is being handed out.
    taking: Option<(S, Take)>,
    /// Open containers within a value that is not followed.
    skipped: u32,
    key: [u8; KEY_BYTES_MAX],
    /// `usize::MAX`: a key that cannot be in any table.
    key_len: usize,
}

/// Bytes that matter between the strings of a value that is not followed.
const STRUCTURAL: [bool; 256] = {
    let mut table = [false; 256];
    table[b'"' as usize] = true;
    table[b'{' as usize] = true;
    table[b'}' as usize] = true;
    table[b'[' as usize] = true;
    table[b']' as usize] = true;
    table
};

impl<S: Copy + 'static> Walker<S> {
    /// A walk that looks out for these places.
    pub(super) fn new(places: &'static Places<S>) -> Self {
        Self {
            places,
            lex: Lex::Value,
            depth: 0,
            nodes: [NOWHERE; STEPS_MAX],
            objects: 0,
            fresh: 0,
            child: 0,
            taking: None,
            skipped: 0,
            key: [0; KEY_BYTES_MAX],
            key_len: 0,
        }
    }

    /// Starts over with a new value.
    pub(super) fn reset(&mut self) {
        self.lex = Lex::Value;
        self.depth = 0;
        self.child = 0;
        self.taking = None;
        self.skipped = 0;
    }

    /// The value is complete (and nothing but blanks has come after it).
    pub(super) fn is_closed(&self) -> bool {
        self.lex == Lex::Done || (self.lex == Lex::InScalar && self.depth == 0)
    }

    /// The value is complete whatever follows: that of a number or a word is known only from what is behind it.
    pub(super) fn is_ended(&self) -> bool {
        self.lex == Lex::Done
    }

    /// The value's structure is broken.
    pub(super) fn is_dead(&self) -> bool {
        self.lex == Lex::Dead
    }

    /// What came is no longer part of a sound value, whatever follows.
    pub(super) fn kill(&mut self) {
        self.lex = Lex::Dead;
    }

    /// Walks on through `bytes`; says how many of them belong to the value: fewer than there are when it ended.
    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink<S>) -> usize {
        let mut at = 0;
        // A value that is handed out whole started in an earlier piece.
        let mut from = 0;
        while at < bytes.len() && !matches!(self.lex, Lex::Done | Lex::Dead) {
            at = match self.lex {
                Lex::InString | Lex::InStringEscape => self.in_string(bytes, at, &mut from, sink),
                Lex::Skip | Lex::SkipString | Lex::SkipStringEscape => self.skip(bytes, at, &mut from, sink),
                Lex::InKey | Lex::InKeyEscape => self.in_key(bytes, at),
                Lex::InScalar => self.in_scalar(bytes, at, &mut from, sink),
                _ => self.between(bytes, at, &mut from, sink),
            };
        }
        if !matches!(self.lex, Lex::Done | Lex::Dead) {
            self.hand_out(&bytes[from.min(bytes.len())..], sink);
        }
        at
    }

    /// Hands out a piece of the value that is being taken whole.
    fn hand_out(&self, piece: &[u8], sink: &mut impl Sink<S>) {
        match self.taking {
            Some((slot, Take::Capture)) if !piece.is_empty() => sink.capture(slot, piece),
            Some((slot, Take::Raw)) if !piece.is_empty() => sink.raw(slot, piece),
            _ => {}
        }
    }

    /// The value in hand ended before `end`; `from` is where this piece's part of it began.
    fn end_value(&mut self, bytes: &[u8], from: usize, end: usize, sink: &mut impl Sink<S>) {
        self.hand_out(&bytes[from..end], sink);
        if let Some((slot, Take::Capture)) = self.taking {
            sink.captured(slot);
        }
        self.taking = None;
        self.lex = if self.depth == 0 { Lex::Done } else { Lex::Next };
    }

    /// Goes on behind a value to the next key at once, where it follows as nearly every one does: written without blanks.
    fn next_member(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.lex != Lex::Next || !self.in_object() || !bytes[at..].starts_with(b",\"") {
            return at;
        }
        self.key_len = 0;
        self.lex = Lex::InKey;
        at + 2
    }

    /// One byte between keys and values.
    fn between(&mut self, bytes: &[u8], at: usize, from: &mut usize, sink: &mut impl Sink<S>) -> usize {
        let byte = bytes[at];
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return at + 1;
        }
        match (self.lex, byte) {
            (Lex::FirstKey | Lex::Key, b'"') => {
                self.note_first(sink);
                self.key_len = 0;
                self.lex = Lex::InKey;
            }
            (Lex::Colon, b':') => self.lex = Lex::Value,
            (Lex::Next, b',') if self.in_object() => self.lex = Lex::Key,
            (Lex::Next, b',') => {
                self.child = self.element();
                self.lex = Lex::Value;
            }
            (Lex::Next | Lex::FirstKey, b'}') if self.in_object() => self.close(sink),
            (Lex::Next | Lex::FirstValue, b']') if !self.in_object() => self.close(sink),
            (Lex::Value | Lex::FirstValue, _) => {
                if self.lex == Lex::FirstValue {
                    self.note_first(sink);
                    self.child = self.element();
                }
                *from = at;
                return self.start_value(byte, at, sink);
            }
            _ => self.lex = Lex::Dead,
        }
        at + 1
    }

    fn in_object(&self) -> bool {
        self.objects & (1 << (self.depth - 1)) != 0
    }

    /// The node of an element of the innermost array.
    fn element(&self) -> u16 {
        self.places.node(self.nodes[self.depth - 1]).map_or(NOWHERE, |node| node.each)
    }

    /// Something is in the innermost container.
    fn note_first(&mut self, sink: &mut impl Sink<S>) {
        let bit = 1 << (self.depth - 1);
        if self.fresh & bit != 0 {
            self.fresh &= !bit;
            let node = self.places.node(self.nodes[self.depth - 1]);
            if let Some((slot, Take::Presence)) = node.and_then(|node| node.take) {
                sink.present(slot);
            }
        }
    }

    fn close(&mut self, sink: &mut impl Sink<S>) {
        let bit = 1 << (self.depth - 1);
        if self.fresh & bit != 0 && self.objects & bit == 0 {
            let node = self.places.node(self.nodes[self.depth - 1]);
            if let Some((slot, Take::Presence)) = node.and_then(|node| node.take) {
                sink.nothing(slot);
            }
        }
        self.depth -= 1;
        self.lex = if self.depth == 0 { Lex::Done } else { Lex::Next };
    }

    /// A value's first byte.
    fn start_value(&mut self, byte: u8, at: usize, sink: &mut impl Sink<S>) -> usize {
        let node = self.places.node(self.child);
        self.taking = match (node.and_then(|node| node.take), byte) {
            (Some((slot, Take::Text)), b'{') if node.is_some_and(|node| node.keys.is_empty()) => {
                Some((slot, Take::Raw))
            }
            (take, _) => take,
        };
        match byte {
            b'"' => {
                self.lex = Lex::InString;
                // Text is handed out without its quotes.
            }
            b'{' | b'[' => {
                let whole = matches!(self.taking, Some((_, Take::Capture | Take::Raw)));
                let followed = node.is_some_and(|node| match byte {
                    b'{' => !node.keys.is_empty() || node.take.is_some(),
                    _ => node.each != NOWHERE || node.take.is_some(),
                });
                if followed && !whole && self.depth < STEPS_MAX {
                    self.open(byte);
                } else {
                    if !whole {
                        self.taking = None;
                    }
                    self.skipped = 1;
                    self.lex = Lex::Skip;
                }
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                match (self.taking, byte) {
                    (Some((slot, Take::Presence)), b'n') => sink.nothing(slot),
                    (Some((_, Take::Presence)), b'f') => {}
                    (Some((slot, Take::Presence)), _) => sink.present(slot),
                    _ => {}
                }
                self.lex = Lex::InScalar;
            }
            _ => self.lex = Lex::Dead,
        }
        at + 1
    }

    fn open(&mut self, byte: u8) {
        let bit = 1 << self.depth;
        self.nodes[self.depth] = self.child;
        self.fresh |= bit;
        self.taking = None;
        if byte == b'{' {
            self.objects |= bit;
            self.lex = Lex::FirstKey;
        } else {
            self.objects &= !bit;
            self.lex = Lex::FirstValue;
        }
        self.depth += 1;
    }

    /// The node of the member with this key, of the innermost object.
    fn node_of(&self, key: &[u8]) -> u16 {
        let keys = self.places.node(self.nodes[self.depth - 1]).map_or(&[][..], |node| &node.keys);
        keys.iter().find(|(name, _)| name.as_bytes() == key).map_or(NOWHERE, |&(_, next)| next)
    }

    fn in_key(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.lex == Lex::InKeyEscape {
            self.lex = Lex::InKey;
            return at + 1;
        }
        let rest = &bytes[at..];
        let stop = rest.iter().position(|&byte| byte == b'"' || byte == b'\\');
        if let (0, Some(stop)) = (self.key_len, stop)
            && rest[stop] == b'"'
        {
            // It is here as a whole, as nearly every key is.
            self.child = self.node_of(&rest[..stop]);
            let colon_follows = rest.get(stop + 1) == Some(&b':');
            self.lex = if colon_follows { Lex::Value } else { Lex::Colon };
            return at + stop + 1 + usize::from(colon_follows);
        }
        let part = &rest[..stop.unwrap_or(rest.len())];
        let room = self.key.get_mut(self.key_len..).and_then(|free| free.get_mut(..part.len()));
        match room {
            Some(room) => {
                room.copy_from_slice(part);
                self.key_len += part.len();
            }
            None => self.key_len = usize::MAX,
        }
        let Some(stop) = stop else { return bytes.len() };
        if rest[stop] == b'\\' {
            self.key_len = usize::MAX;
            self.lex = Lex::InKeyEscape;
        } else {
            self.child = self.key.get(..self.key_len).map_or(NOWHERE, |key| self.node_of(key));
            self.lex = Lex::Colon;
        }
        at + stop + 1
    }

    fn in_scalar(&mut self, bytes: &[u8], at: usize, from: &mut usize, sink: &mut impl Sink<S>) -> usize {
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b':' | b'"');
        match bytes[at..].iter().position(ends) {
            None => bytes.len(),
            Some(stop) => {
                self.end_value(bytes, *from, at + stop, sink);
                self.next_member(bytes, at + stop)
            }
        }
    }

    fn in_string(&mut self, bytes: &[u8], at: usize, from: &mut usize, sink: &mut impl Sink<S>) -> usize {
        let (end, closed) = match string_end(&bytes[at..], self.lex == Lex::InStringEscape) {
            StringEnd::Closed(length) => (at + length, true),
            StringEnd::Open { escape } => {
                self.lex = if escape { Lex::InStringEscape } else { Lex::InString };
                (bytes.len(), false)
            }
        };
        match self.taking {
            Some((slot, Take::Text)) => {
                if end > at {
                    sink.text(slot, &bytes[at..end]);
                }
                if closed {
                    sink.text_end(slot);
                }
            }
            Some((slot, Take::Presence)) if end > at => {
                sink.present(slot);
                self.taking = None;
            }
            _ => {}
        }
        if !closed {
            return bytes.len();
        }
        self.end_value(bytes, *from, end + 1, sink);
        self.next_member(bytes, end + 1)
    }

    /// Through a container that is not followed, to its end.
    fn skip(&mut self, bytes: &[u8], mut at: usize, from: &mut usize, sink: &mut impl Sink<S>) -> usize {
        while at < bytes.len() {
            if self.lex != Lex::Skip {
                match string_end(&bytes[at..], self.lex == Lex::SkipStringEscape) {
                    StringEnd::Closed(length) => at += length + 1,
                    StringEnd::Open { escape } => {
                        self.lex = if escape { Lex::SkipStringEscape } else { Lex::SkipString };
                        return bytes.len();
                    }
                }
                self.lex = Lex::Skip;
            }
            let Some(stop) = bytes[at..].iter().position(|&byte| STRUCTURAL[usize::from(byte)]) else {
                return bytes.len();
            };
            at += stop + 1;
            match bytes[at - 1] {
                b'"' => self.lex = Lex::SkipString,
                b'{' | b'[' => self.skipped = self.skipped.saturating_add(1),
                _ => {
                    self.skipped -= 1;
                    if self.skipped == 0 {
                        self.end_value(bytes, *from, at, sink);
                        return self.next_member(bytes, at);
                    }
                }
            }
        }
        at
    }
}

/// Where a string ends, seen from its inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StringEnd {
    /// The closing quote is at this offset.
    Closed(usize),
    /// It is not in these bytes; `escape`: they end with a backslash that is not itself escaped.
    Open { escape: bool },
}

/// Finds the end of a string whose inside starts (or goes on) at `bytes`; `escape`: the byte before was an unescaped
/// backslash.
pub(super) fn string_end(bytes: &[u8], escape: bool) -> StringEnd {
    let mut at = usize::from(escape);
    while let Some(stop) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += stop;
        if bytes[at] == b'"' {
            return StringEnd::Closed(at);
        }
        at += 2;
    }
    StringEnd::Open { escape: at > bytes.len() }
}

#[cfg(test)]
mod tests;
