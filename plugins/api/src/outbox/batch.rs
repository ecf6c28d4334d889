//! Entries on their way: what one thread wrote, and what is sent on together.

use std::io::{self, Read};

/// Entries that one thread wrote, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// How many there are.
    pub(super) count: u64,
}

/// Entries that are sent on together.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) pieces: Vec<Piece>,
    /// How many there are.
    pub count: u64,
    /// Entries that were dropped since the batch before.
    pub dropped: u64,
}

impl Batch {
    /// All entries, whole ones in each piece.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &*piece.bytes)
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// All of them, to be read one behind the other.
    pub fn reader(&self) -> impl Read + '_ {
        Reader { piece: &[], rest: self.pieces() }
    }
}

/// See [`Batch::reader`].
struct Reader<'a, I> {
    piece: &'a [u8],
    rest: I,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Read for Reader<'a, I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.rest.next() else { return Ok(0) };
            self.piece = piece;
        }
        self.piece.read(into)
    }
}
