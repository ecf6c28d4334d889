//! Error events in a stream that passes as it is: their upstream may echo our key in them, and they come in pieces.

use super::mask::{Fragments, mask};
use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// Stands, so written, in every error event and in no text that a model writes: there its quotes are escaped.
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

/// An event that is longer than this waits no longer.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// What may be the beginning of an error event waits for its end.
#[derive(Default)]
pub(super) struct Veil {
    held: BytesMut,
}

impl Veil {
    /// What of a piece goes on. `has_error`: an error event has come, with this piece or before; `is_whole`: the piece ends
    /// between two events, or is the last.
    pub(super) fn push(&mut self, piece: Bytes, has_error: bool, is_whole: bool, secrets: &Fragments) -> Bytes {
        let may_go_on = || !is_whole && (!self.held.is_empty() || ERROR.find(&piece).is_some());
        if may_go_on() && self.held.len() + piece.len() <= HELD_BYTES_MAX {
            self.held.extend_from_slice(&piece);
            return Bytes::new();
        }
        let piece = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(&piece);
            self.held.split().freeze()
        };
        if !has_error {
            return piece;
        }
        let mut masked = BytesMut::from(piece);
        mask(&mut masked, secrets);
        masked.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-live-0123456789";

    /// What goes on of pieces, each with whether an error has come by then and whether it ends an event.
    fn passed(pieces: &[(&str, bool, bool)]) -> Vec<String> {
        let (mut veil, secrets) = (Veil::default(), Fragments::of([SECRET]));
        let mut push = |(piece, has_error, is_whole): (&str, bool, bool)| {
            let passed = veil.push(Bytes::copy_from_slice(piece.as_bytes()), has_error, is_whole, &secrets);
            String::from_utf8(passed.to_vec()).unwrap()
        };
        pieces.iter().map(|piece| push(*piece)).collect()
    }

    #[test]
    fn an_error_event_is_masked_however_it_is_cut() {
        let event = format!("data: {{\"error\":{{\"message\":\"bad key {SECRET}\"}}}}\n\n");
        let masked = event.replace(SECRET, &"*".repeat(SECRET.len()));
        for cut in 0..=event.len() {
            let (left, right) = event.split_at(cut);
            let is_whole = right.is_empty() || left.is_empty();
            let out = passed(&[("data: 1\n\n", false, true), (left, right.is_empty(), is_whole), (right, true, true)]);
            assert_eq!(out.concat(), format!("data: 1\n\n{masked}"), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_error_goes_on_as_it_is_and_at_once() {
        let text = format!("data: {{\"content\":\"{SECRET}, \\\"error\\\"");
        assert_eq!(passed(&[(&text, false, false), ("}\n\n", false, true)]), [text.as_str(), "}\n\n"]);
        let null = "data: {\"error\":null,";
        assert_eq!(
            passed(&[(null, false, false), ("\"a\":1}\n\n", false, true)]),
            ["", "data: {\"error\":null,\"a\":1}\n\n"]
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let long = format!("data: {{\"error\":\"{}", "x".repeat(HELD_BYTES_MAX));
        assert_eq!(passed(&[(&long, false, false)]), [long.as_str()]);
        let half = format!("data: {{\"error\":\"{}", "x".repeat(HELD_BYTES_MAX / 2));
        assert_eq!(passed(&[(&half, false, false), (&half, false, false)]), [String::new(), half.repeat(2)]);
    }
}
