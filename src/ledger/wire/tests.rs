use super::*;
use crate::ledger::Outcome;
use tollgate_plugin_api::{ExtraUsage, ServiceTier, Usage, UsageDetail, UsageSource};

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
            extras: vec![ExtraUsage {
                kind: "compaction".into(),
                model: Some("m".into()),
                usage,
                ..ExtraUsage::default()
            }],
            tier: ServiceTier::Priority,
            inference_geo: None,
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
    Event::ClaimedHold { held_nanos: 77, opening: Arc::new(opening), tag: ClaimTag { key: [3; 16], request: [4; 16] } }
}

/// A request's end and its progress, with all that format 1 lacks.
fn finer_events() -> Vec<Event> {
    let mut record = full_record();
    record.metered.inference_geo = Some("us".into());
    let extra = &mut record.metered.extras[0];
    (extra.cache_write_1h_tokens, extra.input_image_tokens, extra.output_image_tokens) = (7, 8, 9);
    let progress = Progress { metered: record.metered.clone(), ..Progress::default() };
    vec![
        Event::Settle(Box::new(record)),
        Event::Progress { request_id: Uuid::from_u128(5), progress: Box::new(progress) },
    ]
}

fn all_events() -> Vec<Event> {
    let mut events = events();
    events.push(claimed_hold());
    events.extend(finer_events());
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
    let hex = |event: &Event| -> String {
        let mut bytes = postcard::to_stdvec(event).unwrap();
        let finer = event.metered().and_then(Finer::of);
        bytes.extend(finer.into_iter().flat_map(|finer| postcard::to_stdvec(&finer).unwrap()));
        hex::encode(bytes)
    };
    let opening = Opening { request_id: Uuid::from_u128(5), model: "m".into(), ..Opening::default() };
    let hold = Event::Hold { held_nanos: 77, opening: Arc::new(opening) };
    let all: Vec<Event> = events().into_iter().chain([hold]).rev().collect();
    for (name, events) in [("events", all), ("finer", finer_events())] {
        let lines: Vec<String> = events.iter().map(hex).collect();
        let file = format!("{}/tests/fuzz/corpus/journal/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, lines.join("\n")).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), lines.join("\n"));
    }
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

/// As an older gateway wrote it: formats 1 and what stood behind that in format 4.
fn in_format_4(event: &Event, finer: &FinerOfFormat4) -> Vec<u8> {
    let mut bytes = [0; 8].to_vec();
    bytes.extend_from_slice(&1_u64.to_le_bytes());
    bytes.push(4);
    bytes.extend(postcard::to_stdvec(event).unwrap());
    bytes.extend(postcard::to_stdvec(finer).unwrap());
    let length = ((bytes.len() - 8) as u32).to_le_bytes();
    let crc = checksum(9, length, &bytes[8..]);
    bytes[..4].copy_from_slice(&length);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn format_4_is_read_still() {
    let finer = FinerOfFormat4 { inference_geo: Some("us".into()), cache_write_1h_tokens: vec![7] };
    let mut record = full_record();
    let bytes = in_format_4(&Event::Settle(Box::new(record.clone())), &finer);
    assert_eq!((bytes.len(), crc32fast::hash(&bytes)), (FORMAT_4_BYTES, FORMAT_4_CRC), "as it was");
    record.metered.inference_geo = Some("us".into());
    record.metered.extras[0].cache_write_1h_tokens = 7;
    assert_eq!(decode(&bytes, 9).unwrap().event, Event::Settle(Box::new(record)));
}

#[test]
fn format_5_has_not_changed_and_is_for_what_is_finer_alone() {
    let mut bytes = Vec::new();
    for (sequence, event) in (1..).zip(finer_events()) {
        let start = bytes.len();
        encode(&event, sequence, 9, &mut bytes).unwrap();
        assert_eq!(bytes[start + 16], 5);
    }
    assert_eq!((bytes.len(), crc32fast::hash(&bytes)), (FORMAT_5_BYTES, FORMAT_5_CRC));
}

#[test]
fn what_is_finer_is_of_its_event_and_says_something_that_is_known() {
    let mut record = full_record();
    for (geo, extras) in [
        (None, vec![vec![]]),
        (None, vec![vec![(1, 0)]]),
        (Some("us"), vec![]),
        (Some("us"), vec![vec![(1, 5)], vec![]]),
        (Some("us"), vec![vec![(1, 5), (9, 5)]]),
    ] {
        let told = format!("{geo:?} {extras:?}");
        let bytes = postcard::to_stdvec(&(geo, extras)).unwrap();
        let finer: Finer = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(finer.add_to(&mut record.metered), None, "{told}");
        assert_eq!(record, full_record());
    }
}

#[test]
fn what_is_billed_by_the_time_is_of_a_format_that_older_gateways_refuse() {
    let mut record = full_record();
    record.metered.extras = vec![ExtraUsage::default(), ExtraUsage::of_times("file_search", 2)];
    let event = Event::Settle(Box::new(record));
    let mut bytes = Vec::new();
    encode(&event, 1, 9, &mut bytes).unwrap();
    assert_eq!(bytes[16], 6);
    assert_eq!(decode(&bytes, 9).unwrap().event, event);
}

#[test]
fn as_json_nothing_is_lost_and_what_older_gateways_wrote_is_read() {
    for event in events().into_iter().chain(finer_events()) {
        let Event::Progress { progress, .. } = event else { continue };
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), *progress);
        assert_eq!(text.contains("inference_geo"), progress.metered.inference_geo.is_some(), "{text}");
        assert_eq!(text.contains("cache_write_1h_tokens\":7"), progress.metered.inference_geo.is_some(), "{text}");
    }
}

const FORMAT_5_BYTES: usize = 278;
const FORMAT_5_CRC: u32 = 3_469_757_809;
const FORMAT_4_BYTES: usize = 181;
const FORMAT_4_CRC: u32 = 522_906_927;
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
    record.metered.inference_geo = Some(long.clone());
    let most = Usage { input_tokens: u64::MAX, cache_write_tokens: u64::MAX, ..Usage::default() };
    let extra = ExtraUsage {
        kind: long.clone(),
        model: Some(long),
        usage: most,
        cache_write_1h_tokens: u64::MAX,
        input_image_tokens: u64::MAX,
        output_image_tokens: u64::MAX,
        times: u64::MAX,
    };
    record.metered.extras = vec![extra; 1_000];
    record.bound();
    let mut bytes = Vec::new();
    encode(&Event::Settle(Box::new(record)), 1, 0, &mut bytes).unwrap();
    assert!(bytes.len() <= RECORD_BYTES_MAX);
}
