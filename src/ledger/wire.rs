//! The journal's records as bytes.
//!
//! ```text
//! record = length u32 | crc u32 | sequence u64 | format u8 | event (postcard) | finer (postcard; from format 4 on)
//!          all numbers little endian
//!          length: bytes after the crc; 0 marks the end of what was written
//!          crc: over length and all that is behind it, seeded with a number of the writer's own
//! ```
//! The seed ties a record to its writer, so that no text inside a record can pass for a record. The sequence counts a
//! writer's records from 1 without gaps, so that what is missing, or there twice, can be named.

use super::claims::ClaimTag;
use super::finer::{Finer, FinerOfFormat4};
use super::record::{LedgerRecord, Opening, Progress};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tollgate_plugin_api::Metered;
use uuid::Uuid;

/// The newest format. A change to any type inside [`Event`] needs a new number, and the old ones must stay readable. An event
/// is written in the oldest one that has it, so that an older gateway can finish what it knows, and refuses what it does not.
///
/// 1: all but the following. 2: [`Event::ClaimedHold`], too. 3: [`Event::Trail`], too. 4: what an event has of
/// [`FinerOfFormat4`] stands behind it; is not written any more. 5: what it has of [`Finer`] does. 6: there may be more classes in that.
const FORMAT: u8 = 6;

/// Bytes of `length` and `crc`.
const PREFIX_BYTES: usize = 8;

/// Bytes of `sequence` and `format`.
const HEAD_BYTES: usize = 9;

/// Longest record. The limits of its fields keep it below.
pub(super) const RECORD_BYTES_MAX: usize = 64 * 1024;

/// What the journal tells of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Event {
    /// It was admitted.
    Hold { held_nanos: i64, opening: Arc<Opening> },
    /// It has got this far.
    Progress { request_id: Uuid, progress: Box<Progress> },
    /// It ended and is billed.
    Settle(Box<LedgerRecord>),
    /// It ended without anything to bill.
    Void { request_id: Uuid },
    /// It was admitted, and has an idempotency key.
    ClaimedHold { held_nanos: i64, opening: Arc<Opening>, tag: ClaimTag },
    /// What routing decided for it: JSON.
    Trail { request_id: Uuid, trail: String },
}

/// The oldest format that has the event.
fn format_of(event: &Event) -> u8 {
    match event {
        Event::Hold { .. } | Event::Progress { .. } | Event::Settle(_) | Event::Void { .. } => 1,
        Event::ClaimedHold { .. } => 2,
        Event::Trail { .. } => 3,
    }
}

impl Event {
    /// What it says was consumed.
    fn metered(&self) -> Option<&Metered> {
        match self {
            Self::Progress { progress, .. } => Some(&progress.metered),
            Self::Settle(record) => Some(&record.metered),
            Self::Hold { .. } | Self::Void { .. } | Self::ClaimedHold { .. } | Self::Trail { .. } => None,
        }
    }

    fn metered_mut(&mut self) -> Option<&mut Metered> {
        match self {
            Self::Progress { progress, .. } => Some(&mut progress.metered),
            Self::Settle(record) => Some(&mut record.metered),
            Self::Hold { .. } | Self::Void { .. } | Self::ClaimedHold { .. } | Self::Trail { .. } => None,
        }
    }
}

/// The seed of a writer's checksums.
pub(super) fn seed_of(writer_id: Uuid) -> u32 {
    crc32fast::hash(writer_id.as_bytes())
}

/// Appends a record to `out`.
pub(super) fn encode(event: &Event, sequence: u64, seed: u32, out: &mut Vec<u8>) -> Result<(), postcard::Error> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    out.extend_from_slice(&sequence.to_le_bytes());
    let finer = event.metered().and_then(Finer::of);
    out.push(finer.as_ref().map_or_else(|| format_of(event), Finer::format));
    let written = postcard::serialize_with_flavor(event, Behind(out));
    let written =
        written.and_then(|()| finer.map_or(Ok(()), |finer| postcard::serialize_with_flavor(&finer, Behind(out))));
    if let Err(error) = written {
        out.truncate(start);
        return Err(error);
    }
    let body_bytes = out.len() - start - PREFIX_BYTES;
    debug_assert!(body_bytes <= RECORD_BYTES_MAX);
    // Fields are bounded, so that a record stays far below 4 GiB.
    let length = (body_bytes as u32).to_le_bytes();
    let crc = checksum(seed, length, &out[start + PREFIX_BYTES..]);
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + PREFIX_BYTES].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// What an event's bytes are added to.
struct Behind<'v>(&'v mut Vec<u8>);

impl Flavor for Behind<'_> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// A record that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Its number.
    pub(super) sequence: u64,
    /// What it tells.
    pub(super) event: Event,
    /// All its bytes.
    pub(super) bytes: usize,
}

/// Why there is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Nothing was written here.
    Empty,
    /// What is here is no record: torn, flipped, or of another writer.
    Damaged,
    /// A whole record in a format that this binary does not know.
    UnknownFormat(u8),
}

/// Reads the record that `bytes` begins with.
pub(super) fn decode(bytes: &[u8], seed: u32) -> Result<Decoded, Unreadable> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Err(Unreadable::Empty) };
    let body_bytes = u32::from_le_bytes(*length) as usize;
    if body_bytes == 0 && rest.iter().take(4).all(|byte| *byte == 0) {
        return Err(Unreadable::Empty);
    }
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or(Unreadable::Damaged)?;
    if !(HEAD_BYTES..=RECORD_BYTES_MAX).contains(&body_bytes) {
        return Err(Unreadable::Damaged);
    }
    let body = rest.get(..body_bytes).ok_or(Unreadable::Damaged)?;
    if checksum(seed, *length, body) != u32::from_le_bytes(*crc) {
        return Err(Unreadable::Damaged);
    }
    let (sequence, body) = body.split_first_chunk::<8>().ok_or(Unreadable::Damaged)?;
    let (format, event) = body.split_first().ok_or(Unreadable::Damaged)?;
    if !(1..=FORMAT).contains(format) {
        return Err(Unreadable::UnknownFormat(*format));
    }
    let (mut event, mut left_over) = postcard::take_from_bytes::<Event>(event).map_err(|_| Unreadable::Damaged)?;
    if let Some(finer) = finer(*format, &mut left_over)? {
        let metered = event.metered_mut().ok_or(Unreadable::Damaged)?;
        finer.add_to(metered).ok_or(Unreadable::Damaged)?;
    }
    if !left_over.is_empty() {
        return Err(Unreadable::Damaged);
    }
    Ok(Decoded { sequence: u64::from_le_bytes(*sequence), event, bytes: PREFIX_BYTES + body_bytes })
}

/// Takes what stands behind an event in this format.
fn finer(format: u8, left_over: &mut &[u8]) -> Result<Option<Finer>, Unreadable> {
    fn take<'b, T: Deserialize<'b>>(left_over: &mut &'b [u8]) -> Result<T, Unreadable> {
        let (taken, rest) = postcard::take_from_bytes(left_over).map_err(|_| Unreadable::Damaged)?;
        *left_over = rest;
        Ok(taken)
    }
    match format {
        ..=3 => Ok(None),
        4 => take::<FinerOfFormat4>(left_over).map(|finer| Some(finer.into())),
        _ => take(left_over).map(Some),
    }
}

fn checksum(seed: u32, length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
pub(super) mod tests;
