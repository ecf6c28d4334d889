//! What "well formed" means for what is written.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tollgate::dialect::Framing;

/// True: one JSON value and nothing else.
pub(crate) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Checks that this is one JSON object.
pub(crate) fn assert_object(text: &[u8], what: &str) {
    let object = serde_json::from_slice::<BTreeMap<String, &RawValue>>(text);
    assert!(object.is_ok(), "{what}: {:?}: {}", object.err(), String::from_utf8_lossy(text));
}

/// Checks that this is what a client of this framing can read. `whole`: to its end.
pub(crate) fn assert_framed(framing: Framing, out: &[u8], whole: bool, what: &str) {
    match framing {
        Framing::JsonDocument if out.is_empty() => assert!(!whole, "{what}: nothing was written"),
        Framing::JsonDocument => assert_object(out, what),
        Framing::JsonArray if whole => {
            let elements = serde_json::from_slice::<Vec<BTreeMap<String, &RawValue>>>(out);
            assert!(elements.is_ok(), "{what}: {:?}: {}", elements.err(), String::from_utf8_lossy(out));
        }
        Framing::Sse => assert_events(out, what),
        Framing::JsonArray | Framing::NdJson | Framing::Opaque | Framing::EventStream => {}
    }
}

/// Every event has at most one name and exactly one line of data, which is a JSON object or the end's mark; all are ended, but
/// for a comment behind the last one. Gemini's lines end as Google's do.
fn assert_events(out: &[u8], what: &str) {
    let text = std::str::from_utf8(out).unwrap_or_else(|error| panic!("{what}: {error}")).replace("\r\n", "\n");
    assert!(!text.contains('\r'), "{what}: a carriage return: {text}");
    let mut blocks: Vec<&str> = text.split("\n\n").collect();
    let last = blocks.pop().unwrap_or_default();
    assert!(last.lines().all(|line| line.starts_with(':')), "{what}: the last event is not ended: {text}");
    for block in blocks {
        let lines = block.split('\n').filter(|line| !line.starts_with(':'));
        let (names, data): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("event: "));
        let [data] = data[..] else {
            assert!(names.is_empty() && data.is_empty(), "{what}: {} lines of data: {block}", data.len());
            continue;
        };
        assert!(names.len() <= 1, "{what}: {block}");
        let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("{what}: {block}"));
        if data != "[DONE]" {
            assert_object(data.as_bytes(), what);
        }
    }
}
