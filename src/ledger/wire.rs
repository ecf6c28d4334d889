//! The journal's records as bytes.
//!
//! ```text
//! record = length u32 | crc u32 | sequence u64 | format u8 | event (postcard)     all numbers little endian
//!          length: bytes after the crc; 0 marks the end of what was written
//!          crc: over length, sequence, format and event, seeded with a number of the writer's own
//! ```
//! The seed ties a record to its writer, so that no text inside a record can pass for a record. The sequence counts a
//! writer's records from 1 without gaps, so that what is missing, or there twice, can be named.

use super::claims::ClaimTag;
use super::record::{LedgerRecord, Opening, Progress};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// The newest format. A change to any type inside [`Event`] needs a new number, and the old ones must stay readable. An event
/// is written in the oldest one that has it, so that an older gateway can finish what it knows.
///
/// 1: all but the following. 2: [`Event::ClaimedHold`], too. 3: [`Event::Trail`], too.
const FORMAT: u8 = 3;

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

/// The seed of a writer's checksums.
pub(super) fn seed_of(writer_id: Uuid) -> u32 {
    crc32fast::hash(writer_id.as_bytes())
}

/// Appends a record to `out`.
pub(super) fn encode(event: &Event, sequence: u64, seed: u32, out: &mut Vec<u8>) -> Result<(), postcard::Error> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.push(format_of(event));
    if let Err(error) = postcard::serialize_with_flavor(event, Behind(out)) {
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
    let (event, left_over) = postcard::take_from_bytes(event).map_err(|_| Unreadable::Damaged)?;
    if !left_over.is_empty() {
        return Err(Unreadable::Damaged);
    }
    Ok(Decoded { sequence: u64::from_le_bytes(*sequence), event, bytes: PREFIX_BYTES + body_bytes })
}

fn checksum(seed: u32, length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ledger::Outcome;
    use tollgate_plugin_api::{ExtraUsage, Metered, ServiceTier, Usage, UsageDetail, UsageSource};

    pub(in crate::ledger) fn full_record() -> LedgerRecord {
        let usage = Usage {
            input_tokens: 300,
            cached_input_tokens: 20,
            cache_write_tokens: 10,
            output_tokens: 5,
            reasoning_tokens: 1,
        };
        LedgerRecord {
            request_id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
            started_at_ms: 1_760_000_000_000,
            key_id: 42,
            key_name: "team-é".into(),
            user: Some("ann".into()),
            group: "default".into(),
            endpoint: "chat".into(),
            dialect: "openai".into(),
            model: "gpt-4o".into(),
            upstream: "openai-main".into(),
            upstream_model: "gpt-4o-2024-08-06".into(),
            stream: true,
            status: 200,
            outcome: Outcome::ClientAborted,
            metered: Metered {
                usage,
                detail: UsageDetail { web_searches: 2, ..UsageDetail::default() },
                extras: vec![ExtraUsage { kind: "compaction".into(), model: Some("m".into()), usage }],
                tier: ServiceTier::Priority,
                source: UsageSource::Reported,
                disbelieved: true,
            },
            cost_nanos: 123_456,
            held_nanos: 200_000,
            overshoot: true,
            price_version: "a1b2".into(),
            price_missing: true,
            attempts: 2,
            ttft_ms: Some(350),
            duration_ms: 9_000,
            error_code: Some("X".into()),
        }
    }

    fn events() -> Vec<Event> {
        let opening = Opening { model: "m".into(), user: Some("u".into()), ..Opening::default() };
        vec![
            Event::Hold { held_nanos: 77, opening: Arc::new(opening) },
            Event::Progress { request_id: Uuid::from_u128(5), progress: Box::default() },
            Event::Settle(Box::new(full_record())),
            Event::Void { request_id: Uuid::from_u128(5) },
        ]
    }

    fn claimed_hold() -> Event {
        let opening = Opening { model: "m".into(), user: Some("u".into()), ..Opening::default() };
        Event::ClaimedHold {
            held_nanos: 77,
            opening: Arc::new(opening),
            tag: ClaimTag { key: [3; 16], request: [4; 16] },
        }
    }

    fn all_events() -> Vec<Event> {
        let mut events = events();
        events.push(claimed_hold());
        events
    }

    #[test]
    fn every_event_is_read_back() {
        for (sequence, event) in (1..).zip(all_events()) {
            let mut bytes = vec![0xaa; 3];
            encode(&event, sequence, 9, &mut bytes).unwrap();
            let decoded = decode(&bytes[3..], 9).unwrap();
            assert_eq!(decoded, Decoded { sequence, event, bytes: bytes.len() - 3 });
        }
    }

    #[test]
    fn every_flipped_bit_every_cut_and_every_other_seed_is_noticed() {
        for event in all_events() {
            let mut bytes = Vec::new();
            encode(&event, 3, 9, &mut bytes).unwrap();
            assert_eq!(decode(&bytes, 8), Err(Unreadable::Damaged));
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut], 9).is_err());
            }
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode(&bytes, 9), Err(Unreadable::Damaged), "bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn nothing_is_told_from_damage_and_from_another_format() {
        assert_eq!(decode(&[], 9), Err(Unreadable::Empty));
        assert_eq!(decode(&[0; 64], 9), Err(Unreadable::Empty));
        assert_eq!(decode(&[0, 0, 0, 0, 1, 0, 0, 0, 0], 9), Err(Unreadable::Damaged));
        let mut bytes = Vec::new();
        encode(&events()[3], 3, 9, &mut bytes).unwrap();
        bytes[16] = FORMAT + 1;
        let crc = checksum(9, bytes[..4].try_into().unwrap(), &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode(&bytes, 9), Err(Unreadable::UnknownFormat(FORMAT + 1)));
    }

    /// The bytes that the formats had when they were introduced. If this fails, a type inside `Event` has changed: raise
    /// `FORMAT`, and keep the old types to read what older gateways left behind.
    #[test]
    fn format_1_has_not_changed() {
        let mut bytes = Vec::new();
        for (sequence, event) in (1..).zip(events()) {
            encode(&event, sequence, 9, &mut bytes).unwrap();
        }
        assert_eq!((bytes.len(), crc32fast::hash(&bytes)), (FORMAT_1_BYTES, FORMAT_1_CRC));
    }

    /// What fuzzing starts from (`tests/fuzz`, target `journal`), an event a line; `UPDATE_GOLDEN=1` writes it anew.
    #[test]
    fn the_seeds_of_fuzzing_are_events() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/journal/events");
        let hex = |event: &Event| -> String {
            let bytes = postcard::to_stdvec(event).unwrap();
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let opening = Opening { request_id: Uuid::from_u128(5), model: "m".into(), ..Opening::default() };
        let hold = Event::Hold { held_nanos: 77, opening: Arc::new(opening) };
        let lines: Vec<String> = events().iter().chain([&hold]).rev().map(hex).collect();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, lines.join("\n")).unwrap();
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), lines.join("\n"));
    }

    #[test]
    fn format_2_has_not_changed_and_is_for_what_format_1_has_not() {
        let mut bytes = Vec::new();
        encode(&claimed_hold(), 1, 9, &mut bytes).unwrap();
        assert_eq!((bytes[16], bytes.len(), crc32fast::hash(&bytes)), (2, FORMAT_2_BYTES, FORMAT_2_CRC));
        bytes.clear();
        encode(&events()[0], 1, 9, &mut bytes).unwrap();
        assert_eq!(bytes[16], 1);
    }

    #[test]
    fn format_3_has_not_changed_and_is_for_trails_alone() {
        let mut bytes = Vec::new();
        let trail = Event::Trail { request_id: Uuid::from_u128(5), trail: "{}".into() };
        encode(&trail, 1, 9, &mut bytes).unwrap();
        assert_eq!((bytes[16], bytes.len()), (3, FORMAT_3_BYTES));
        assert_eq!(decode(&bytes, 9).unwrap().event, trail);
    }

    const FORMAT_3_BYTES: usize = 38;
    const FORMAT_2_BYTES: usize = 82;
    const FORMAT_2_CRC: u32 = 2_996_001_885;
    const FORMAT_1_BYTES: usize = 318;
    const FORMAT_1_CRC: u32 = 3_496_880_477;

    #[test]
    fn the_longest_record_fits() {
        let mut record = full_record();
        let long = "x".repeat(100_000);
        for text in [&mut record.key_name, &mut record.group, &mut record.model, &mut record.upstream] {
            *text = long.as_str().into();
        }
        record.upstream_model = long.as_str().into();
        record.price_version = long.as_str().into();
        record.endpoint = long.clone().into();
        record.dialect = long.clone().into();
        (record.user, record.error_code) = (Some(long.as_str().into()), Some(long.clone()));
        let extra = ExtraUsage { kind: long.clone(), model: Some(long), usage: Usage::default() };
        record.metered.extras = vec![extra; 1_000];
        record.bound();
        let mut bytes = Vec::new();
        encode(&Event::Settle(Box::new(record)), 1, 0, &mut bytes).unwrap();
        assert!(bytes.len() <= RECORD_BYTES_MAX);
    }
}
