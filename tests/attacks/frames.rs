//! R5: frames that cost the other side more than they cost to send. Memory stays within a limit, the connection ends or is
//! held within its limits, others are served, and the processor is idle again afterwards.

use crate::flood::{Frames, block, flags, frame, kind};
use crate::stage::Stage;

/// What a flood may cost in memory: the gate of this promise.
const GROWN_MIB_MAX: u64 = 64;
/// Frames in one write.
const BATCH: usize = 256;

/// What a connection sends, frame by frame.
type Attack = fn(usize, &str) -> Vec<u8>;

fn stream_of(number: usize) -> u32 {
    u32::try_from(number * 2 + 1).unwrap_or(u32::MAX >> 1) & (u32::MAX >> 1)
}

fn head(key: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/chat/completions"),
        (":authority", "gateway.test"),
        ("authorization", key),
    ];
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    block(&fields.iter().chain(more).map(own).collect::<Vec<_>>())
}

fn rapid_reset(number: usize, key: &str) -> Vec<u8> {
    let stream = stream_of(number);
    [
        frame(kind::HEADERS, flags::END_HEADERS, stream, &head(key, &[])),
        frame(kind::RST_STREAM, flags::NONE, stream, &8_u32.to_be_bytes()),
    ]
    .concat()
}

/// Makes the server reset: by a window that grows by nothing, or by data behind the end.
fn made_you_reset(number: usize, key: &str) -> Vec<u8> {
    let stream = stream_of(number);
    let wrong = match number % 3 {
        0 => frame(kind::WINDOW_UPDATE, flags::NONE, stream, &0_u32.to_be_bytes()),
        1 => frame(kind::WINDOW_UPDATE, flags::NONE, stream, &(u32::MAX >> 1).to_be_bytes()),
        _ => frame(kind::DATA, flags::NONE, stream, b"behind the end"),
    };
    [frame(kind::HEADERS, flags::END_HEADERS | flags::END_STREAM, stream, &head(key, &[])), wrong].concat()
}

fn continuation(number: usize, key: &str) -> Vec<u8> {
    match number {
        0 => frame(kind::HEADERS, flags::NONE, 1, &head(key, &[])),
        _ => frame(kind::CONTINUATION, flags::NONE, 1, &block(&[(format!("x-{number}"), "y".repeat(1000))])),
    }
}

fn empty_continuation(number: usize, key: &str) -> Vec<u8> {
    match number {
        0 => frame(kind::HEADERS, flags::NONE, 1, &head(key, &[])),
        _ => frame(kind::CONTINUATION, flags::NONE, 1, b""),
    }
}

fn empty_data(number: usize, key: &str) -> Vec<u8> {
    match number {
        0 => frame(kind::HEADERS, flags::END_HEADERS, 1, &head(key, &[])),
        _ => frame(kind::DATA, flags::NONE, 1, b""),
    }
}

fn settings(_: usize, _: &str) -> Vec<u8> {
    frame(kind::SETTINGS, flags::NONE, 0, &[0, 4, 0, 0, 0xff, 0xff])
}

fn ping(number: usize, _: &str) -> Vec<u8> {
    frame(kind::PING, flags::NONE, 0, &(number as u64).to_be_bytes())
}

/// A field of 4,000 bytes is remembered, and named again and again by one byte.
fn references(number: usize, key: &str) -> Vec<u8> {
    let mut block = head(key, &[]);
    if number == 0 {
        block.push(0x40);
        crate::flood::literal(&mut block, b"x");
        crate::flood::literal(&mut block, &[b'y'; 4000]);
    }
    block.extend([0xbe; 12_000]);
    frame(kind::HEADERS, flags::END_HEADERS | flags::END_STREAM, stream_of(number), &block)
}

/// The head of a request, whose body never comes.
fn unfinished(number: usize, key: &str) -> Vec<u8> {
    frame(kind::HEADERS, flags::END_HEADERS, stream_of(number), &head(key, &[]))
}

fn window_updates(_: usize, _: &str) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, flags::NONE, 0, &0_u32.to_be_bytes())
}

fn unknown_kinds(number: usize, _: &str) -> Vec<u8> {
    frame(0xbb, flags::ACK, u32::try_from(number).unwrap_or(1), &[0; 64])
}

/// Name, the attack, how many frames of it in the short form, and whether the connection must have ended then.
const ATTACKS: [(&str, Attack, usize, bool); 11] = [
    ("rapid reset", rapid_reset, 10_000, true),
    ("made you reset", made_you_reset, 10_000, true),
    ("continuations", continuation, 20_000, true),
    ("empty continuations", empty_continuation, 100_000, true),
    ("empty data", empty_data, 200_000, false),
    ("settings", settings, 100_000, true),
    ("pings", ping, 100_000, true),
    ("references", references, 500, false),
    ("unfinished requests", unfinished, 2_000, false),
    ("windows that grow by nothing", window_updates, 1_000, true),
    ("unknown frames", unknown_kinds, 100_000, true),
];

#[tokio::test]
async fn frames_that_cost_more_than_they_send_cost_little() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let bearer = format!("Bearer {}", stage.key.key);
    for (name, attack, count, must_end) in ATTACKS {
        let before_kib = stage.resident_kib();
        let mut frames = Frames::open(stage.gateway.address).await;
        let (count, mut sent) = (crate::times(count), 0);
        // Nothing is read of what the other side says: it has to keep that within limits, too.
        while sent < count {
            let batch: Vec<u8> = (sent..count.min(sent + BATCH)).flat_map(|number| attack(number, &bearer)).collect();
            if !frames.send(&batch).await {
                break;
            }
            sent += BATCH;
        }
        stage.assert_grown(name, before_kib, GROWN_MIB_MAX);
        stage.assert_serves(name).await;
        let all = sent >= count;
        assert!(!must_end || frames.until_over().await, "{name}: the connection goes on");
        let busy_for = stage.wait_idle(name).await;
        let then = if all { "" } else { ", then no more" };
        eprintln!("{name}: {sent} of {count} frames were taken{then}; idle after {busy_for:?}");
    }
    stage.finish().await;
}
