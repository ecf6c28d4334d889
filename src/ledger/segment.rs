//! A journal's files: one folder for each writer, in it numbered segments of a fixed size.
//!
//! ```text
//! segment = magic [8] | writer id [16] | number u64 | sequence of its first record u64 | crc u32 | record…
//! ```
//! What was written to a segment ends at the first empty record. The rest is reserved space.

use super::wire::{self, Decoded, Unreadable};
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const MAGIC: [u8; 8] = *b"TGJRNL1\n";

/// Bytes before the first record.
pub(super) const HEADER_BYTES: usize = 44;

/// Ending of a segment's file name.
const EXTENSION: &str = "seg";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Whose it is.
    pub(super) writer_id: Uuid,
    /// The writer's first segment is 1.
    pub(super) number: u64,
    /// Sequence of its first record.
    pub(super) first_sequence: u64,
}

impl Header {
    /// Its bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(self.writer_id.as_bytes());
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_sequence.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads it from a segment's bytes; `None` if it is damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>()?;
        let crc = u32::from_le_bytes(*bytes.last_chunk()?);
        if bytes[..8] != MAGIC || crc != crc32fast::hash(&bytes[..40]) {
            return None;
        }
        Some(Self {
            writer_id: Uuid::from_bytes(*bytes[8..].first_chunk()?),
            number: u64::from_le_bytes(*bytes[24..].first_chunk()?),
            first_sequence: u64::from_le_bytes(*bytes[32..].first_chunk()?),
        })
    }
}

/// Path of a segment in its writer's folder.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016}.{EXTENSION}"))
}

/// The numbers of the segments in a writer's folder, in order.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(EXTENSION)?.strip_suffix('.')?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A stretch of a segment that holds no readable record, though records follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Offset in the segment of its first byte.
    pub(super) from: usize,
    /// Offset of the record behind it.
    pub(super) to: usize,
}

/// One step through a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record, and the offset behind it.
    Record(Decoded, usize),
    /// Something unreadable in the middle.
    Damage(Damage),
    /// A record in a format that this binary does not know, and its offset.
    UnknownFormat(u8, usize),
    /// The end. `torn`: the last thing written is no whole record, as when a process is killed while it writes.
    End { torn: bool },
}

/// Steps through the records in `bytes`.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    seed: u32,
}

impl<'a> Scan<'a> {
    /// From offset `at` of a segment.
    pub(super) fn new(bytes: &'a [u8], at: usize, seed: u32) -> Self {
        Self { bytes, at, seed }
    }

    /// The next step. After [`Step::End`] and [`Step::UnknownFormat`] comes the same again.
    pub(super) fn step(&mut self) -> Step {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match wire::decode(rest, self.seed) {
            Ok(decoded) => {
                self.at += decoded.bytes;
                Step::Record(decoded, self.at)
            }
            Err(Unreadable::UnknownFormat(format)) => Step::UnknownFormat(format, self.at),
            Err(unreadable) => self.resume(rest, unreadable),
        }
    }

    /// Looks for a record behind bytes that are none: if there is one, they were damaged later; if not, they are the
    /// end.
    fn resume(&mut self, rest: &[u8], unreadable: Unreadable) -> Step {
        let from = self.at;
        let mut skipped = 1;
        while skipped < rest.len() {
            // Most of a segment is empty, and no record begins in it: its length would be zero.
            if rest[skipped..].first_chunk() == Some(&[0; 4]) {
                match rest[skipped + 4..].iter().position(|byte| *byte != 0) {
                    Some(zeros) => skipped += zeros + 1,
                    None => break,
                }
                continue;
            }
            if matches!(wire::decode(&rest[skipped..], self.seed), Ok(_) | Err(Unreadable::UnknownFormat(_))) {
                self.at = from + skipped;
                return Step::Damage(Damage { from, to: self.at });
            }
            skipped += 1;
        }
        Step::End { torn: unreadable == Unreadable::Damaged || rest.iter().any(|byte| *byte != 0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::wire::Event;

    const SEED: u32 = 77;

    /// A segment with `count` records and some reserved space; with the offset of each record and of the end.
    fn segment(count: u64) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let mut offsets = vec![0];
        for sequence in 1..=count {
            let request_id = Uuid::from_u128(u128::from(sequence) << 64 | 1);
            wire::encode(&Event::Void { request_id }, sequence, SEED, &mut bytes).unwrap();
            offsets.push(bytes.len());
        }
        bytes.extend_from_slice(&[0; 100]);
        (bytes, offsets)
    }

    fn scan(bytes: &[u8]) -> (Vec<u64>, Vec<Damage>, bool) {
        let mut scan = Scan::new(bytes, 0, SEED);
        let (mut sequences, mut damages) = (Vec::new(), Vec::new());
        loop {
            match scan.step() {
                Step::Record(decoded, _) => sequences.push(decoded.sequence),
                Step::Damage(damage) => damages.push(damage),
                Step::UnknownFormat(format, _) => panic!("format {format}"),
                Step::End { torn } => return (sequences, damages, torn),
            }
        }
    }

    #[test]
    fn a_header_is_read_back_and_any_flipped_bit_in_it_is_noticed() {
        let header = Header { writer_id: Uuid::from_u128(3), number: 9, first_sequence: 1_000 };
        let mut bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), None);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_segment_cut_anywhere_gives_every_record_before_the_cut() {
        let (bytes, offsets) = segment(10);
        for cut in 0..bytes.len() {
            let mut torn_bytes = bytes.clone();
            torn_bytes[cut..].fill(0);
            let whole = offsets[1..].iter().filter(|end| **end <= cut).count() as u64;
            let (sequences, damages, torn) = scan(&torn_bytes);
            // A cut in the zero bytes that end a record takes nothing away.
            let zeros = torn_bytes == bytes;
            assert!(
                sequences.iter().copied().eq(1..=if zeros { 10 } else { whole }) || sequences.len() as u64 == whole + 1
            );
            assert_eq!(damages, []);
            assert_eq!(torn, !zeros && !offsets.contains(&cut) && sequences.len() as u64 == whole, "cut {cut}");
            assert_eq!(scan(&bytes[..cut]).0.len() as u64, whole, "a shorter file");
        }
    }

    #[test]
    fn a_flipped_byte_anywhere_costs_one_record_and_is_reported() {
        let (bytes, offsets) = segment(10);
        for at in 0..offsets[10] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            let hit = offsets.iter().filter(|start| **start <= at).count() as u64;
            let (sequences, damages, torn) = scan(&flipped);
            assert!(sequences.iter().copied().eq((1..=10).filter(|sequence| *sequence != hit)), "byte {at}");
            if hit == 10 {
                assert!(damages.is_empty() && torn, "byte {at}");
            } else {
                let (from, to) = (offsets[hit as usize - 1], offsets[hit as usize]);
                assert_eq!(damages, [Damage { from, to }], "byte {at}");
            }
        }
    }

    #[test]
    fn names_are_read_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for number in [10, 2, 1] {
            std::fs::write(path(folder.path(), number), b"").unwrap();
        }
        std::fs::write(folder.path().join("lock"), b"").unwrap();
        std::fs::write(folder.path().join("x.seg"), b"").unwrap();
        assert_eq!(numbers(folder.path()).unwrap(), [1, 2, 10]);
    }
}
