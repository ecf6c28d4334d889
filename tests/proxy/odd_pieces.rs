//! What is billed by the piece where answers and requests are not as OpenAI's are, break off, or are killed.

use crate::calls::{Wire, assert_record, serving, serving_keys, stepped};
use crate::endpoints::post_form;
use crate::support::answers::data;
use crate::support::client::{Body, Request};
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break, Delimited};
use serde_json::{Value, json};

const FEES: &str = "image = 0.04, image_hd = 0.08, audio_hour = 0.36, character = 0.000015";
const SSE: &str = "text/event-stream";
const JSON: &str = "application/json";

fn prices() -> String {
    format!("[[model]]\nname = \"m\"\ninput = 0\noutput = 0\nfees = {{ {FEES} }}\n")
}

/// The record of one request that is answered so.
async fn billed(request: Request, answer: Answer) -> Value {
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&prices());
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1000"])]).await;
    let answer = gateway.send(&request.key(&key.key)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let record = gateway.record_of(&answer).await;
    gateway.finish(&[&key]).await;
    record
}

fn images(rest: Value) -> Request {
    let mut body = json!({"model": "m", "prompt": "a cat"});
    body.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
    Request::post("/v1/images/generations", &body)
}

fn speech(rest: Value) -> Request {
    let mut body = json!({"model": "m", "voice": "alloy"});
    body.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
    Request::post("/v1/audio/speech", &body)
}

fn sound(bytes: usize) -> Request {
    post_form("/v1/audio/transcriptions", &[("model", b"m"), ("file", &vec![7; bytes])])
}

/// A form, each part with a name, a value, and whether it has a file's name.
fn form(parts: &[Part<'_>]) -> Request {
    let mut body = Vec::new();
    for (name, value, is_file) in parts {
        let file = if *is_file { "; filename=\"a.mp3\"" } else { "" };
        body.extend(format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend_from_slice(value);
        body.extend(b"\r\n");
    }
    body.extend(b"--XX--\r\n");
    Request::new("POST", "/v1/audio/transcriptions")
        .field("content-type", "multipart/form-data; boundary=XX")
        .body(Body::Length(body.into()))
}

/// A part of a form: its name, its bytes, and whether it is a file.
type Part<'p> = (&'p str, &'p [u8], bool);

fn stream(events: &[Value]) -> Answer {
    Answer::stream(events.iter().map(data))
}

fn extras(record: &Value) -> Vec<(String, u64)> {
    let extras = record["extras"].as_array().expect("a list");
    let pair = |extra: &Value| (extra["kind"].as_str().unwrap_or("").to_owned(), extra["times"].as_u64().unwrap_or(0));
    extras.iter().map(pair).collect()
}

fn bill(cost: i64, source: &str) -> Value {
    json!({"cost_nanos": cost, "usage_source": source, "price_missing": false, "disbelieved": false})
}

#[tokio::test]
async fn subtitles_are_believed_beyond_what_the_bytes_are_at_the_slowest() {
    let srt = "1\n00:00:00,000 --> 00:02:00,000\nHi.\n";
    let record = billed(sound(1_000), Answer::new(200, "text/plain", srt)).await;
    assert_record(&record, bill(12_000_000, "estimated"));
}

#[tokio::test]
async fn a_recording_that_is_elsewhere_or_has_no_file_name_is_held_for() {
    let hour = || Answer::json(200, &json!({"text": "hi", "duration": 3600}));
    let elsewhere = 17_660_227_400_i64;
    let model: Part<'_> = ("model", b"m", false);
    let dummy: (&str, &[u8], bool) = ("x", b"1", true);
    let long = vec![7; 95_000];
    let cases: [(&str, Vec<Part<'_>>, i64); 7] = [
        ("file_url", vec![model, ("file_url", b"https://x/a.mp3", false), dummy], elsewhere),
        ("file_id", vec![model, ("file_id", b"abc", false), dummy], elsewhere),
        ("audioUri", vec![model, ("audioUri", b"abc", false), dummy], elsewhere),
        ("a value", vec![model, ("source", b"s3://x/a.mp3", false), dummy], elsewhere),
        ("no file name", vec![model, ("file", &long, false), dummy], 16_000_200),
        ("plain fields alone", vec![model, ("prompt", b"https://x", false), ("language", b"en", false)], elsewhere),
        ("a prompt is none", vec![model, ("prompt", b"https://x", false), ("file", &long, true)], 16_000_000),
    ];
    for (what, parts, held) in cases {
        let record = billed(form(&parts), hour()).await;
        assert_eq!(record["held_nanos"], json!(held), "{what}");
        assert_record(&record, bill(360_000_000, "reported"));
    }
}

#[tokio::test]
async fn images_that_came_before_a_document_broke_off_are_billed() {
    let image = json!({"b64_json": "QUJD".repeat(100_000)});
    let body = json!({"created": 1, "data": [image, image, image, image]}).to_string();
    // In the third.
    let answer = Answer::new(200, JSON, body).cut(1_000_000, Break::Fin);
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&prices());
    let (gateway, key) = serving(&setup).await;
    let mut exchange = gateway.open(&images(json!({"n": 4})).key(&key.key)).await;
    exchange.until_bytes(300_000).await;
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"outcome": "upstream_error", "cost_nanos": 120_000_000}));
    assert_eq!(extras(&record), [("image".to_owned(), 3)]);
    gateway.finish(&[&key]).await;
}

/// The record of an answer in two pieces, the gateway killed when so many bytes of the first are out.
async fn killed(request: Request, answer: Answer, bytes: usize) -> Value {
    let (answer, steps) = stepped(answer);
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&prices());
    let (mut gateway, key) = serving(&setup).await;
    steps.go(1);
    let mut exchange = gateway.open(&request.key(&key.key)).await;
    exchange.until_bytes(bytes).await;
    gateway.kill().await;
    gateway.serve().await;
    let record = gateway.wait_record().await;
    gateway.finish(&[&key]).await;
    record
}

#[tokio::test]
async fn sound_that_a_kill_cut_off_is_billed() {
    let mut answer = Answer::new(200, "audio/mpeg", "").delimited(Delimited::Chunked);
    answer.pieces = vec!["ID3sound".into(), "sound".into()];
    let record = killed(speech(json!({"input": "seven c"})), answer, 8).await;
    assert_record(&record, json!({"outcome": "interrupted", "cost_nanos": 105_000, "usage_source": "estimated"}));
}

#[tokio::test]
async fn images_of_a_document_that_a_kill_cut_off_are_billed() {
    let image = json!({"b64_json": "QUJD".repeat(80_000)});
    let body = json!({"data": [image, {"b64_json": "REVG", "revised_prompt": "until here"}, image]}).to_string();
    let at = body.find("until here").expect("it is there") + 10;
    let mut answer = Answer::new(200, JSON, "");
    answer.pieces = vec![body[..at].to_owned().into(), body[at..].to_owned().into()];
    let record = killed(images(json!({"n": 3})), answer, 300_000).await;
    // But for the last checkpoint's worth.
    assert_record(&record, json!({"outcome": "interrupted", "usage_source": "estimated"}));
    let cost = record["cost_nanos"].as_i64().unwrap_or(0);
    assert!((40_000_000..=80_000_000).contains(&cost), "{record}");
}

#[tokio::test]
async fn every_image_of_a_stream_is_billed_by_its_own_quality() {
    let image = |quality: &str| json!({"type": "image_generation.completed", "b64_json": "QUJD", "quality": quality});
    let answer = || stream(&[image("hd"), image("low"), image("hd")]);
    for asked in [json!({"stream": true, "max_images": 3}), json!({"stream": true, "n": 3})] {
        let record = billed(images(asked), answer()).await;
        assert_record(&record, json!({"outcome": "ok"}));
        assert_record(&record, bill(200_000_000, "reported"));
        assert_eq!(extras(&record), [("image_hd".to_owned(), 2), ("image_low".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn what_failed_is_no_image_and_a_vendors_own_count_counts() {
    let failed = json!({"error": {"code": "x", "message": "no"}});
    let succeeded = |n: u64| json!({"type": "image_generation.partial_succeeded", "image_index": n, "url": "a"});
    let done = json!({"type": "image_generation.completed", "usage": {"generated_images": 2, "output_tokens": 9, "total_tokens": 9}});
    for (what, answer, count) in [
        ("an element", Answer::json(200, &json!({"data": [{"url": "a"}, failed, {"url": "b", "error": null}]})), 2),
        ("a count", Answer::json(200, &json!({"data": [{"url": "a"}, {"x": 1}], "usage": {"generated_images": 1}})), 1),
        ("a stream", stream(&[succeeded(0), succeeded(1), done]), 2),
    ] {
        let record = billed(images(json!({"n": 3, "stream": what == "a stream"})), answer).await;
        assert_eq!(extras(&record), [("image".to_owned(), count)], "{what}: {record}");
        assert_record(&record, json!({"cost_nanos": count * 40_000_000, "usage_source": "reported"}));
    }
}

#[tokio::test]
async fn images_in_places_that_nobody_knows_are_estimated() {
    for answer in [
        Answer::json(200, &json!({"images": [{"url": "a"}, {"url": "b"}]})),
        Answer::json(200, &json!({"data": {"image_urls": ["a", "b"]}})),
        Answer::json(200, &json!([{"url": "a"}])),
        Answer::new(200, "image/png", "\u{89}PNG"),
        Answer::new(200, SSE, "data: {\"b64_json\":\"QUJD\"}\n\ndata: [DONE]\n\n"),
    ] {
        let record = billed(images(json!({"n": 2})), answer).await;
        assert_record(&record, bill(80_000_000, "estimated"));
    }
}

#[tokio::test]
async fn text_that_is_spoken_is_counted_wherever_it_is() {
    let mp3 = || Answer::new(200, "audio/mpeg", "ID3 and sound");
    for rest in [json!({"input": 12345678}), json!({"input": {"text": "hello"}}), json!({"text": "hello world"})] {
        let request = speech(rest.clone());
        let mut body = json!({"model": "m", "voice": "alloy"});
        body.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        let cost = body.to_string().chars().count() as i64 * 15_000;
        let record = billed(request, mp3()).await;
        assert_record(&record, bill(cost, "estimated"));
        assert_eq!(record["held_nanos"], json!(cost));
    }
    let mixed = json!({"input": ["a", {"text": "a long text"}]});
    let record = billed(speech(mixed), mp3()).await;
    assert!(record["cost_nanos"].as_i64() > Some(20 * 15_000), "{record}");
    let listed = json!({"input": ["ab", "cd"]});
    assert_record(&billed(speech(listed), mp3()).await, bill(60_000, "estimated"));
    let events = "data: {\"type\":\"audio\",\"data\":\"QUJD\"}\n\ndata: [DONE]\n\n";
    let record = billed(speech(json!({"input": "seven c", "stream": true})), Answer::new(200, SSE, events)).await;
    assert_record(&record, bill(105_000, "estimated"));
}

#[tokio::test]
async fn lengths_are_found_where_others_tell_them() {
    let answer = |body: &str| Answer::new(200, JSON, body.to_owned());
    for (body, ms, source) in [
        // 15 bytes at 900 a minute.
        (r#""fifteen letters""#, 1_000, "estimated"),
        (r#"{"text":"hi","segments":[{"start":0,"end":3.25},{"start":3.25,"end":30.5}]}"#, 30_500, "estimated"),
        (r#"{"text":"hi","duration":9,"segments":[{"end":30.5}]}"#, 9_000, "reported"),
        (r#"{"text":"hi","duration":8,"duration":0.001}"#, 8_000, "reported"),
        (r#"{"text":"hi","duration":8,"duration":-1}"#, 8_000, "reported"),
        // Silence in FLAC: an hour in some 12 KB.
        (r#"{"text":"","duration":3600}"#, 3_600_000, "reported"),
    ] {
        let record = billed(sound(12_500), answer(body)).await;
        assert_eq!(extras(&record), [("audio_ms".to_owned(), ms)], "{body}: {record}");
        assert_record(&record, bill(ms as i64 * 100, source));
    }
    // No codec has a hundred hours in so few bytes.
    let record = billed(sound(12_500), answer(r#"{"text":"fifteen letters","duration":360000}"#)).await;
    assert_record(&record, json!({"cost_nanos": 100_000, "usage_source": "estimated", "disbelieved": true}));
}
