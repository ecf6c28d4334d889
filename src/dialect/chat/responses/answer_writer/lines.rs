//! The events of a stream, numbered.

use super::super::super::write::{self, Members};
use super::super::output::Place;

/// Writes events.
pub(super) struct Lines {
    /// False: the answer is one document.
    pub(super) streams: bool,
    pub(super) sequence: u64,
}

impl Lines {
    pub(super) fn say(&mut self, out: &mut Vec<u8>, kind: &str, members: impl FnOnce(&mut Members<'_>)) {
        if !self.streams {
            return;
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        write::line(out, |event| {
            event.member("type", kind);
            event.member("sequence_number", &self.sequence);
            members(event);
        });
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }

    /// An event of an item.
    pub(super) fn say_item(&mut self, out: &mut Vec<u8>, kind: &str, index: u64, item: &str) {
        self.say(out, kind, |event| {
            event.member("output_index", &index);
            event.written("item", item);
        });
    }

    /// An event of a part of an item.
    pub(super) fn say_part(
        &mut self,
        out: &mut Vec<u8>,
        kind: &str,
        (place, of, part): (&Place, &str, u64),
        members: impl FnOnce(&mut Members<'_>),
    ) {
        self.say(out, kind, |event| {
            event.member("item_id", &place.id);
            event.member("output_index", &place.index);
            event.member(of, &part);
            members(event);
        });
    }
}
