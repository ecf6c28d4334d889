//! Places in an answer's text: Google counts bytes, everybody else characters.

/// The text from its first letter beyond ASCII on is kept up to here; places beyond are not known.
const KEPT_BYTES_MAX: usize = 128 * 1024;

/// An answer's text so far, as far as its places need it. As long as it is ASCII, nothing of it is kept.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    ascii: u64,
    rest: String,
    is_lost: bool,
}

impl Offsets {
    /// More text.
    pub(super) fn push(&mut self, piece: &str) {
        if self.is_lost {
            return;
        }
        let ascii = if self.rest.is_empty() { piece.bytes().take_while(u8::is_ascii).count() } else { 0 };
        self.ascii += ascii as u64;
        if self.rest.len() + piece.len() - ascii > KEPT_BYTES_MAX {
            (self.is_lost, self.rest) = (true, String::new());
            return;
        }
        self.rest.push_str(piece.get(ascii..).unwrap_or_default());
    }

    /// Which character begins at this byte.
    pub(super) fn char_at(&self, byte: u64) -> Option<u64> {
        let Some(beyond) = byte.checked_sub(self.ascii).filter(|beyond| *beyond > 0) else { return Some(byte) };
        let before = self.rest.get(..usize::try_from(beyond).ok()?)?;
        Some(self.ascii + before.chars().count() as u64)
    }

    /// Which byte this character begins at.
    pub(super) fn byte_at(&self, place: u64) -> Option<u64> {
        let Some(beyond) = place.checked_sub(self.ascii).filter(|beyond| *beyond > 0) else { return Some(place) };
        let before = self.rest.char_indices().nth(usize::try_from(beyond).ok()? - 1)?;
        Some(self.ascii + (before.0 + before.1.len_utf8()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_characters_are_told_apart() {
        let mut offsets = Offsets::default();
        ["ab", "c", "dé", "😀x"].iter().for_each(|piece| offsets.push(piece));
        for (place, byte) in [(0, 0), (3, 3), (4, 4), (5, 6), (6, 10), (7, 11)] {
            assert_eq!(offsets.byte_at(place), Some(byte));
            assert_eq!(offsets.char_at(byte), Some(place));
        }
        assert_eq!((offsets.char_at(5), offsets.char_at(12), offsets.byte_at(8)), (None, None, None));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut offsets = Offsets::default();
        offsets.push("ab");
        offsets.push(&"é".repeat(KEPT_BYTES_MAX));
        offsets.push("c");
        assert_eq!((offsets.char_at(2), offsets.char_at(4)), (Some(2), None));
        assert!(offsets.rest.is_empty());
    }
}
