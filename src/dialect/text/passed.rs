//! A text that has passed: what of it is kept, whatever its length, and what all of it comes to.

use super::look::Look;
use std::borrow::Cow;

/// How much of a text's beginning is kept, in bytes, unless somebody wants another.
pub(in crate::dialect) const BEGINNING_BYTES_MAX: usize = 16 * 1024;
/// What is kept of the rest: pieces of so many bytes, so many at most.
const WINDOW_BYTES: usize = 256;
const WINDOWS_MAX: usize = 32;

/// Its beginning, windows spread over the rest, its look and its length. A text is not alike all over, and who sends it says what comes
/// first: so all of it is looked at, and a tokenizer, which sees what is kept, only corrects what the look of the rest comes to.
#[derive(Clone, Debug)]
pub struct Passed {
    beginning: Vec<u8>,
    beginning_bytes_max: usize,
    windows: Windows,
    look: Look,
    bytes: u64,
}

impl Default for Passed {
    fn default() -> Self {
        Self::keeping(BEGINNING_BYTES_MAX)
    }
}

impl Passed {
    /// Of nothing yet; so many bytes of its beginning will be kept.
    pub fn keeping(beginning_bytes_max: usize) -> Self {
        Self {
            beginning: Vec::new(),
            beginning_bytes_max,
            windows: Windows::default(),
            look: Look::default(),
            bytes: 0,
        }
    }

    /// An empty one that keeps as much.
    pub(in crate::dialect) fn another(&self) -> Self {
        Self::keeping(self.beginning_bytes_max)
    }

    /// A further piece, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.look.push(bytes);
        let room = bytes.len().min(self.beginning_bytes_max - self.beginning.len());
        let (first, rest) = bytes.split_at(room);
        self.beginning.extend_from_slice(first);
        self.windows.push(rest);
    }

    /// The beginning of the text, as much as is kept of it, whole characters only.
    pub fn beginning(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.beginning) {
            Ok(text) => Cow::Borrowed(text),
            Err(error) if error.error_len().is_none() => {
                String::from_utf8_lossy(&self.beginning[..error.valid_up_to()])
            }
            Err(_) => String::from_utf8_lossy(&self.beginning),
        }
    }

    /// Whether the beginning is all.
    pub fn is_whole(&self) -> bool {
        self.bytes == self.beginning.len() as u64
    }

    /// Pieces of what is behind the beginning, whole characters only.
    pub fn windows(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.windows.kept.chunks(WINDOW_BYTES).map(|window| {
            let start = window.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
            let window = &window[start..];
            match std::str::from_utf8(window) {
                Err(error) if error.error_len().is_none() => String::from_utf8_lossy(&window[..error.valid_up_to()]),
                _ => String::from_utf8_lossy(window),
            }
        })
    }

    /// Its whole length, in bytes of UTF-8.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its tokens, by its look.
    pub fn tokens_by_look(&self) -> u64 {
        self.look.tokens()
    }
}

/// Tokens of a text by its look.
pub fn by_look(text: &str) -> u64 {
    let mut look = Look::default();
    look.push_str(text);
    look.tokens()
}

/// Windows on a text: one in each stretch of so many, wherever chance has it, and stretches grow with the text. Chance is a digest of
/// the place: the same text has the same windows however it is cut, and one that repeats itself is not always met in the same place.
#[derive(Clone, Debug, Default)]
struct Windows {
    /// One behind the other, the last one perhaps in part.
    kept: Vec<u8>,
    bytes: u64,
    /// A stretch has two to the power of this of windows, of which one is kept.
    stretch_bits: u32,
}

impl Windows {
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (number, within) = (self.bytes / WINDOW_BYTES as u64, (self.bytes % WINDOW_BYTES as u64) as usize);
            let piece = &bytes[..bytes.len().min(WINDOW_BYTES - within)];
            if within == 0 && number == (WINDOWS_MAX as u64) << self.stretch_bits {
                self.halve();
            }
            let stretch = number >> self.stretch_bits;
            if number == (stretch << self.stretch_bits) + chance(stretch, self.stretch_bits) {
                if self.kept.capacity() == 0 {
                    self.kept.reserve_exact(WINDOWS_MAX * WINDOW_BYTES);
                }
                self.kept.extend_from_slice(piece);
            }
            self.bytes = self.bytes.saturating_add(piece.len() as u64);
            bytes = &bytes[piece.len()..];
        }
    }

    /// Stretches are twice as long from here on: of two, one's window stays.
    fn halve(&mut self) {
        self.stretch_bits += 1;
        for pair in 0..WINDOWS_MAX / 2 {
            let one = 2 * pair + (chance(pair as u64, self.stretch_bits) >> (self.stretch_bits - 1)) as usize;
            self.kept.copy_within(one * WINDOW_BYTES..(one + 1) * WINDOW_BYTES, pair * WINDOW_BYTES);
        }
        self.kept.truncate(WINDOWS_MAX / 2 * WINDOW_BYTES);
    }
}

/// Which window of a stretch: so many bits of a digest of its place.
fn chance(stretch: u64, stretch_bits: u32) -> u64 {
    // Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.
    let mut mixed = (stretch ^ u64::from(stretch_bits) << 56).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ mixed >> 31) & ((1 << stretch_bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::{BEGINNING_BYTES_MAX, Passed, WINDOW_BYTES, WINDOWS_MAX};
    use proptest::prelude::*;

    fn passed<'t>(pieces: impl IntoIterator<Item = &'t [u8]>) -> Passed {
        let mut passed = Passed::default();
        pieces.into_iter().for_each(|piece| passed.push(piece));
        passed
    }

    #[test]
    fn windows_are_spread_over_the_whole_text_and_never_more_than_so_many() {
        for kib in [17_usize, 40, 100, 1_000, 5_000] {
            let text: String = (0..kib * 64).map(|line| format!("{:015}\n", line * 16)).collect();
            let passed = passed([text.as_bytes()]);
            let rest = text.len() - BEGINNING_BYTES_MAX;
            let windows: Vec<String> = passed.windows().map(|window| window.into_owned()).collect();
            assert!(
                (rest / WINDOW_BYTES).min(WINDOWS_MAX / 2) <= windows.len() && windows.len() <= WINDOWS_MAX,
                "{kib}"
            );
            let places: Vec<usize> = windows.iter().map(|window| window[..15].parse().unwrap()).collect();
            let widest = places.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(0);
            assert!(widest <= (2 * rest / (WINDOWS_MAX / 2)).max(WINDOW_BYTES), "{kib}: {places:?}");
            assert!(
                places[0] >= BEGINNING_BYTES_MAX
                    && rest - (places[places.len() - 1] - BEGINNING_BYTES_MAX) <= 2 * rest / 16 + WINDOW_BYTES
            );
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(
            parts in prop::collection::vec("(\\PC{0,60}| {0,300}|[a-z]{0,80}|\n{0,9}|=*)", 0..200),
            invalid in prop::collection::vec(any::<u8>(), 0..9),
            size in 1_usize..5_000,
        ) {
            let mut text = parts.concat().into_bytes();
            text.extend(invalid);
            text.extend_from_slice(parts.concat().repeat(5).as_bytes());
            let (whole, cut) = (passed([text.as_slice()]), passed(text.chunks(size)));
            prop_assert_eq!(whole.beginning(), cut.beginning());
            prop_assert_eq!(whole.bytes(), cut.bytes());
            prop_assert_eq!(whole.tokens_by_look(), cut.tokens_by_look());
            prop_assert!(whole.windows().eq(cut.windows()));
        }
    }
}
