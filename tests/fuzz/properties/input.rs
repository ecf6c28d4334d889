//! A fuzzer's bytes: four that choose, and the rest, which is read.

use bytes::Bytes;

/// How many bytes choose.
pub(crate) const CHOICE_BYTES: usize = 4;

/// One input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    /// What the target chooses by (framings, operations), and behind it what the cuts are made of.
    choices: [u8; CHOICE_BYTES],
    /// What is read.
    pub(crate) body: &'a [u8],
}

impl<'a> Input<'a> {
    /// Of a fuzzer's bytes; what is missing of the first four is zero.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let (first, body) = bytes.split_at(bytes.len().min(CHOICE_BYTES));
        let mut choices = [0; CHOICE_BYTES];
        choices[..first.len()].copy_from_slice(first);
        Self { choices, body }
    }

    /// The same choices for another body.
    pub(crate) fn with<'b>(&self, body: &'b [u8]) -> Input<'b> {
        Input { choices: self.choices, body }
    }

    /// One of several, by the first byte.
    pub(crate) fn choose<T: Copy>(&self, from: &[T]) -> T {
        from[usize::from(self.choices[0]) % from.len()]
    }

    /// A yes or no, by a bit of the second byte.
    pub(crate) fn says(&self, bit: u8) -> bool {
        self.choices[1] >> (bit % 8) & 1 == 1
    }

    /// The body as text; `None`: it is not UTF-8.
    pub(crate) fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.body).ok()
    }

    /// The body in one piece.
    pub(crate) fn whole(&self) -> Vec<Bytes> {
        vec![Bytes::copy_from_slice(self.body)]
    }

    /// The body in pieces, as the last two bytes say: short ones, long ones, one byte each.
    pub(crate) fn pieces(&self) -> Vec<Bytes> {
        let mut state = u64::from(self.choices[2]) << 8 | u64::from(self.choices[3]);
        let largest = [1, 3, 17, 256, 20_000][usize::from(self.choices[2]) % 5];
        let (mut pieces, mut rest) = (Vec::new(), self.body);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + next(&mut state) as usize % largest).min(rest.len()));
            pieces.push(Bytes::copy_from_slice(piece));
            rest = after;
        }
        pieces
    }
}

/// The next of a row of numbers that look random (SplitMix64).
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
