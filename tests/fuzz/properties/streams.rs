//! Streams that break off: what is put behind them.

use super::input::Input;
use super::json::is_json;
use tollgate::dialect::answer::{Tail, stream_error_event};
use tollgate::dialect::{DialectId, Framing};

/// However the bytes were cut, the end is the same; a JSON array that was one so far is one then.
pub(crate) fn broken_off(input: &Input<'_>) {
    let framing = input.choose(&[Framing::Sse, Framing::NdJson, Framing::JsonArray, Framing::JsonDocument]);
    for client in DialectId::ALL {
        let end = |pieces: Vec<bytes::Bytes>| {
            let mut tail = Tail::new(framing);
            pieces.iter().for_each(|piece| tail.push(piece));
            stream_error_event(client, framing, "broken \"off\"\n", "UPSTREAM_BROKE_OFF", "r1", &tail)
        };
        let whole = end(input.whole());
        assert_eq!(whole, end(input.pieces()), "{client} {framing:?}");
        // It may begin with what makes a cut letter whole; the rest is text.
        let begins = whole.iter().position(|byte| byte & 0xC0 != 0x80).unwrap_or(whole.len());
        assert!(begins < 4 && std::str::from_utf8(&whole[begins..]).is_ok(), "{client} {framing:?}: {whole:?}");
        if input.body.is_empty() && framing == Framing::JsonArray {
            assert!(is_json(&whole), "{client}: {whole:?}");
        }
        if framing == Framing::Sse {
            assert!(whole.ends_with(b"\n"), "{client}: {whole:?}");
        }
    }
}
