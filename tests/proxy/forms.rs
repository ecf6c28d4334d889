//! Answers in another form than they should have, or than they say: packed, or under another type's name. Whatever reaches
//! the client is read, and billed by what was read.

use crate::calls::{INPUT, OUTPUT, TOKENS, Wire, assert_record, one, serving, stepped};
use crate::support::gateway::{PROVIDER_KEY, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write;

/// Each piece packed so that it can be unpacked when it is there.
fn gzipped(pieces: &[Bytes]) -> Vec<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut packed = Vec::new();
    for piece in pieces {
        encoder.write_all(piece).and_then(|()| encoder.flush()).unwrap();
        packed.push(std::mem::take(encoder.get_mut()).into());
    }
    packed.push(encoder.finish().unwrap().into());
    packed
}

fn gzipped_answer(answer: &Answer) -> Answer {
    Answer { pieces: gzipped(&answer.pieces), ..answer.clone() }.field("content-encoding", "gzip")
}

#[tokio::test]
async fn an_answer_that_comes_packed_unasked_is_unpacked_read_and_billed() {
    for wire in Wire::ALL {
        for stream in [true, false] {
            let plain = wire.answer(stream);
            let packed = gzipped_answer(&plain).field("etag", "\"of what was packed\"");
            let (_provider, gateway, key) = one(wire, move |_, _| packed.clone()).await;
            let answer = gateway.send(&wire.request(stream).key(&key.key)).await;
            let what = format!("{wire:?}, stream {stream}");
            assert_eq!((answer.status, answer.text()), (200, String::from_utf8(plain.body()).unwrap()), "{what}");
            assert_eq!((answer.field("content-encoding"), answer.field("etag")), (None, None), "{what}");
            let billed =
                json!({"outcome": "ok", "usage_source": "reported", "input_tokens": INPUT, "output_tokens": OUTPUT});
            assert_record(&gateway.record_of(&answer).await, billed);
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn a_packed_error_is_judged_and_masked_like_any_other() {
    let body =
        json!({"error": {"message": format!("Incorrect API key provided: {PROVIDER_KEY}"), "code": "invalid_api_key"}});
    let packed = gzipped_answer(&Answer::json(401, &body));
    let provider = Provider::always(packed).await;
    let next = Provider::always(Wire::Chat.whole("x")).await;
    let upstreams = [Wire::Chat.upstream("u", &provider), Wire::Chat.upstream("next", &next).with("priority = 1")];
    let (gateway, key) = serving(&Setup::new(upstreams)).await;
    let answer = gateway.send(&Wire::Chat.request(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("2")), "the next one takes over");
    gateway.finish(&[&key]).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let answer = gateway.send(&Wire::Chat.request(false).key(&key.key)).await;
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("Incorrect API key provided: ****"), "{}", answer.text());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_nobody_here_can_unpack_reaches_nobody_and_costs_nothing() {
    let broken = Answer::json(200, &json!({"no": "gzip"})).field("content-encoding", "gzip");
    let other = Wire::Chat.whole("free").field("content-encoding", "compress");
    for stream in [true, false] {
        for (answer, status) in [(broken.clone(), 503), (other.clone(), 502)] {
            let provider = Provider::always(answer).await;
            let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
            let answer = gateway.send(&Wire::Chat.request(stream).key(&key.key)).await;
            assert_eq!((answer.status, answer.field("content-encoding")), (status, None), "{}", answer.text());
            assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
            let record = gateway.record_of(&answer).await;
            assert_record(&record, json!({"outcome": "upstream_error", "status": status, "cost_nanos": 0}));
            gateway.finish(&[&key]).await;
        }
    }
}

fn named(mut answer: Answer, content_type: Option<&str>) -> Answer {
    answer.fields.retain(|(name, _)| name != "content-type");
    match content_type {
        Some(content_type) => answer.field("content-type", content_type),
        None => answer,
    }
}

#[tokio::test]
async fn an_answer_is_read_as_what_it_is_whatever_it_is_called() {
    let names = [
        Some("application/json"),
        None,
        Some("text/event-stream"),
        Some("text/plain"),
        Some("binary/octet-stream"),
        Some("text/html; charset=UTF-8"),
    ];
    for wire in Wire::ALL {
        for name in names {
            // Events where events were asked for, and a document all the same.
            for plain in [wire.stream(&TOKENS), wire.whole("Hello there.")] {
                let (_provider, gateway, key) = one(wire, {
                    let sent = named(plain.clone(), name);
                    move |_, _| sent.clone()
                })
                .await;
                let answer = gateway.send(&wire.request(true).key(&key.key)).await;
                let what = format!("{wire:?} as {name:?}: {}", answer.text());
                assert_eq!((answer.status, answer.body()), (200, plain.body()), "{what}");
                let billed = json!({"outcome": "ok", "usage_source": "reported", "input_tokens": INPUT, "output_tokens": OUTPUT});
                assert_record(&gateway.record_of(&answer).await, billed);
                gateway.finish(&[&key]).await;
            }
        }
    }
}

#[tokio::test]
async fn a_stream_tells_our_key_neither_in_an_error_in_its_middle_nor_in_its_head() {
    for wire in Wire::ALL {
        let mut pieces = wire.pieces(&TOKENS);
        pieces.truncate(wire.pieces_to_first_token() + 1);
        let error = json!({"type": "error", "error": {"type": "x", "message": format!("bad key {PROVIDER_KEY}"), "status": "X"}});
        let event = match wire {
            Wire::Messages | Wire::Responses => format!("event: error\ndata: {error}\n\n"),
            Wire::GeminiArray => format!(",\r\n{error}]"),
            Wire::Chat | Wire::GeminiEvents => format!("data: {error}\n\n"),
        };
        let in_key = event.find(PROVIDER_KEY).unwrap() + 5;
        pieces.push(event[..in_key].to_owned().into());
        pieces.push(event[in_key..].to_owned().into());
        let sent = pieces.concat();
        let (answer, steps) = stepped(wire.stream_of(pieces).field("x-echo", format!("Bearer {PROVIDER_KEY}")));
        let (_provider, gateway, key) = one(wire, move |_, _| answer.clone()).await;
        steps.go_on();
        let answer = gateway.send(&wire.request(true).key(&key.key)).await;
        let stars = "*".repeat(PROVIDER_KEY.len());
        assert_eq!(answer.text(), String::from_utf8(sent).unwrap().replace(PROVIDER_KEY, &stars), "{wire:?}");
        assert_eq!(answer.field("x-echo"), Some(format!("Bearer {stars}").as_str()), "{wire:?}");
        gateway.finish(&[&key]).await;
    }
}
