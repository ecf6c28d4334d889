//! S11 and S12: bodies that are too large, too deep, too wide, no text, or larger than they look. Each is refused or passed
//! on as it is; memory stays within a limit; others are served meanwhile.

use crate::stage::{Stage, chat, repeated};
use crate::support::answers;
use crate::support::client::{Body, Client, Request};
use crate::support::gateway::{Gateway, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use bytes::Bytes;
use serde_json::json;

/// The limit of these tests, small enough to be reached often.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A body may cost this many times its size, and what the allocator keeps besides.
const BODY_TIMES_MAX: u64 = 3;
const KEPT_MIB_MAX: u64 = 48;

fn around(model: &str, inner: &str) -> String {
    format!(r#"{{"model":"{model}","max_tokens":10,"messages":[{{"role":"user","content":"x"}}],"extra":{inner}}}"#)
}

async fn stage() -> Stage {
    let script = |_: usize, _: &crate::support::provider::Received| Answer::json(200, &answers::chat_body("x", 10, 5));
    Stage::new(script, |setup| setup.set("server.request_body_bytes_max", &BODY_BYTES_MAX.to_string())).await
}

/// Name, body, and what may become of it.
fn bombs() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let nested = |open: &str, close: &str, count: usize| open.repeat(count) + "1" + &close.repeat(count);
    let wide = format!("[{}1]", "1,".repeat(1_000_000));
    let members: String = (0..1 << 18).map(|number| format!("\"{number:x}\":1,")).collect();
    let same = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(1 << 19));
    let messages = format!("[{}{{}}]", r#"{"role":"user","content":""},"#.repeat(50_000));
    const EITHER: &[u16] = &[200, 400];
    const REFUSED: &[u16] = &[400];
    vec![
        ("nested arrays", around("m", &nested("[", "]", 100_000)).into(), EITHER),
        ("nested objects", around("m", &nested("{\"a\":", "}", 100_000)).into(), EITHER),
        ("arrays that do not end", around("m", &"[".repeat(1_000_000)).into(), REFUSED),
        ("nested messages", format!(r#"{{"model":"m","messages":{}}}"#, nested("[", "]", 100_000)).into(), EITHER),
        ("a wide array", around("m", &wide).into(), EITHER),
        ("tiny members", around("m", &format!("{{{members}\"a\":1}}")).into(), EITHER),
        ("the same member", around("m", &same).into(), EITHER),
        ("many messages", format!(r#"{{"model":"m","messages":{messages}}}"#).into(), EITHER),
        (
            "two models",
            br#"{"model":"m","model":"other","messages":[{"role":"user","content":"x"}]}"#.to_vec(),
            &[400, 404],
        ),
        ("a lone surrogate", around("m", r#""\ud800""#).into(), EITHER),
        ("a lone surrogate in the model", around(r"\ud800", "1").into(), &[400, 404]),
        ("no UTF-8", [around("m", "\"").into_bytes(), vec![0xff, 0xfe], b"\"}".to_vec()].concat(), REFUSED),
        (
            "no UTF-8 in a string",
            around("m", "\"@\"").into_bytes().into_iter().map(|byte| if byte == b'@' { 0xff } else { byte }).collect(),
            EITHER,
        ),
        ("NUL", vec![0; 1 << 20], REFUSED),
        ("blanks", vec![b' '; 1 << 20], REFUSED),
        ("a long number", around("m", &"9".repeat(1 << 20)).into(), EITHER),
        ("a long exponent", around("m", "1e999999999").into(), EITHER),
        ("a long string", around("m", &format!("\"{}\"", "a".repeat(3 << 20))).into(), EITHER),
        ("escapes", around("m", &format!("\"{}\"", r"\u0061".repeat(500_000))).into(), EITHER),
        ("quotes", around("m", &format!("\"{}\"", "\\\"".repeat(1 << 20))).into(), EITHER),
        ("a BOM", ["\u{feff}".as_bytes(), around("m", "1").as_bytes()].concat(), EITHER),
        ("two documents", [around("m", "1"), around("m", "1")].concat().into(), REFUSED),
        ("a number", b"1".to_vec(), REFUSED),
        ("an array", b"[]".to_vec(), REFUSED),
    ]
}

#[tokio::test]
async fn bombs_of_json_cost_no_more_than_their_bytes() {
    let _alone = crate::alone().await;
    let stage = stage().await;
    // What the first requests leave behind is not theirs.
    stage
        .gateway
        .send(&Request::post_raw("/v1/chat/completions", chat(&"x".repeat(1 << 20))).key(&stage.key.key))
        .await;
    for (name, body, allowed) in bombs() {
        for target in ["/v1/chat/completions", "/v1/messages"] {
            stage.forget_peak();
            let (before_kib, bytes) = (stage.resident_kib(), body.len());
            let before = stage.provider.received().len();
            let request = Request::post_raw(target, body.clone()).key(&stage.key.key);
            let health = Request::get("/v1/health");
            let (answer, others) = tokio::join!(stage.gateway.send(&request), stage.gateway.send(&health));
            assert_eq!(others.status, 200, "{name}: others wait");
            let native = target == "/v1/chat/completions";
            let is_allowed = allowed.contains(&answer.status) || (!native && [400, 404, 422].contains(&answer.status));
            assert!(is_allowed, "{name} {target}: {} {}", answer.status, answer.text());
            if native && answer.status == 200 {
                let sent = &stage.provider.received()[before];
                assert_eq!(sent.body_sha256, crate::support::sha256(&body), "{name}: passed on as it is");
            }
            let grown_mib = stage.peak_kib().saturating_sub(before_kib) / 1024;
            let max_mib = bytes as u64 * BODY_TIMES_MAX / (1 << 20) + KEPT_MIB_MAX;
            assert!(grown_mib <= max_mib, "{name} {target}: grown by {grown_mib} MiB for {bytes} bytes");
        }
    }
    eprintln!("resident memory afterwards: {} MiB", stage.resident_kib() / 1024);
    stage.finish().await;
}

/// A request of many tiny values costs many times its bytes while it is translated: of these there is a limit.
#[tokio::test]
async fn a_request_of_very_many_values_is_not_translated() {
    let _alone = crate::alone().await;
    let provider = Provider::always(Answer::json(200, &answers::message_body("x", 10, 5))).await;
    let upstream = Upstream::new("u", "anthropic", provider.url(""));
    let mut gateway = Gateway::prepare(&Setup::new([upstream]));
    let key = gateway.key("attacker", &[]).await;
    gateway.serve().await;
    let stage = Stage { gateway, provider, key };
    let of = |parts: usize| {
        let parts = "\"\",".repeat(parts);
        format!(r#"{{"model":"m","max_tokens":10,"messages":[{{"role":"user","content":[{parts}"x"]}}]}}"#)
    };
    for (parts, status) in [(1, 200), (200_000, 200), (300_000, 400), (1_300_000, 400)] {
        stage.forget_peak();
        let (before_kib, body) = (stage.resident_kib(), of(parts));
        let bytes = body.len() as u64;
        let answer = stage.gateway.send(&Request::post_raw("/v1/chat/completions", body).key(&stage.key.key)).await;
        assert_eq!(answer.status, status, "{parts}: {}", answer.text());
        assert!(status == 200 || answer.text().contains("can be translated"), "{}", answer.text());
        let grown_mib = stage.peak_kib().saturating_sub(before_kib) / 1024;
        let max_mib = bytes * BODY_TIMES_MAX / (1 << 20) + KEPT_MIB_MAX;
        eprintln!("{parts} parts, {bytes} bytes: grown by {grown_mib} MiB at most");
        assert!(grown_mib <= max_mib, "{parts} parts: grown by {grown_mib} MiB for {bytes} bytes");
    }
    assert_eq!(stage.provider.received().len(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn a_body_at_the_limit_passes_and_one_byte_more_is_refused_early() {
    let _alone = crate::alone().await;
    let stage = stage().await;
    let of = |bytes: usize| {
        let empty = around("m", "\"\"").len();
        around("m", &format!("\"{}\"", "a".repeat(bytes - empty)))
    };
    for (bytes, status) in [(BODY_BYTES_MAX - 1, 200), (BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413)] {
        let body = Bytes::from(of(bytes));
        for way in [Body::Length(body.clone()), Body::Chunked(body.clone(), 60_000), Body::Expect(body)] {
            let request = Request::new("POST", "/v1/chat/completions").field("content-type", "application/json");
            let answer = stage.gateway.send(&request.key(&stage.key.key).body(way)).await;
            assert_eq!(answer.status, status, "{bytes}: {}", answer.text());
            let continued = answer.informational.contains(&100);
            assert!(status == 200 || !continued, "nobody is asked for a body that is too large");
        }
    }
    // The limit is announced: nothing of the body has to be there.
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        stage.key.key,
        BODY_BYTES_MAX + 1
    );
    let mut client = Client::connect(stage.gateway.address).await.expect("the gateway listens");
    client.write(head.as_bytes()).await.expect("an open connection");
    assert_eq!(client.answered().await.answer.status, 413);
    // Chunks without an end: no more is read than the limit.
    let mut client = Client::connect(stage.gateway.address).await.expect("the gateway listens");
    let before_kib = stage.resident_kib();
    let head = head.replace(&format!("content-length: {}", BODY_BYTES_MAX + 1), "transfer-encoding: chunked");
    client.write(head.as_bytes()).await.expect("an open connection");
    let piece = crate::support::wire::chunk(&[b' '; 64 * 1024]);
    for _ in 0..crate::times(1024) {
        if client.write(&piece).await.is_err() {
            break;
        }
    }
    stage.assert_grown("chunks without an end", before_kib, KEPT_MIB_MAX);
    stage.gateway.send(&Request::get("/v1/health")).await;
    stage.finish().await;
}

/// A gzip head and a block behind it. It matters only that nobody unpacks it: the bytes are as good as any.
fn packed() -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xed, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf];
    bytes.resize(4096, 0);
    bytes
}

#[tokio::test]
async fn nothing_packed_is_unpacked() {
    let _alone = crate::alone().await;
    let stage = stage().await;
    for coding in ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x-gzip"] {
        let (before, before_kib) = (stage.provider.received().len(), stage.resident_kib());
        let request = Request::post_raw("/v1/chat/completions", packed()).field("content-encoding", coding);
        let answer = stage.gateway.send(&request.key(&stage.key.key)).await;
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (400, "INVALID_REQUEST"),
            "{coding}: {}",
            answer.text()
        );
        assert_eq!(stage.provider.received().len(), before, "{coding}");
        stage.assert_grown(coding, before_kib, KEPT_MIB_MAX);
    }
    stage.finish().await;
}

#[tokio::test]
async fn an_answer_that_comes_packed_unasked_is_a_failure_and_costs_little() {
    let _alone = crate::alone().await;
    for (name, bytes) in [("a small one", packed()), ("a large one", packed().repeat(4000))] {
        let answer = Answer::new(200, "application/json", bytes).field("content-encoding", "gzip");
        let stage = Stage::new(move |_, _| answer.clone(), |setup| setup).await;
        let before_kib = stage.resident_kib();
        let got = stage.gateway.send(&stage.request("x")).await;
        stage.assert_grown(name, before_kib, 2 * KEPT_MIB_MAX);
        // What nobody can read is no answer: another upstream's turn, if there is one, and never a guess at what it said.
        let record = stage.gateway.record_of(&got).await;
        assert_eq!(
            (&record["outcome"], &record["cost_nanos"]),
            (&"upstream_error".into(), &0.into()),
            "{name}: {record}"
        );
        assert!([200, 502, 503].contains(&got.status), "{name}: {}", got.status);
        let asked = stage.provider.received().pop().expect("a request");
        assert_eq!(asked.field("accept-encoding"), Some("identity"));
        stage.finish().await;
    }
}

#[tokio::test]
async fn hostile_bodies_at_once_leave_room_for_others() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let body = Bytes::from(around("m", &format!("[{}1]", "[1],".repeat(100_000))));
    let request = Request::post_raw("/v1/chat/completions", body).key(&stage.key.key);
    let address = stage.gateway.address;
    let attackers: Vec<_> = (0..crate::times(8))
        .map(|_| {
            let request = request.clone();
            tokio::spawn(async move { crate::support::client::send(address, &request).await.status })
        })
        .collect();
    for number in 0..20 {
        let says = format!("honest {number}");
        let answer = stage.gateway.send(&stage.request(&says)).await;
        assert_eq!(repeated(&answer), Some(says), "{}", answer.text());
    }
    for attacker in attackers {
        let status = attacker.await.expect("no attacker panics");
        assert!([200, 400, 413].contains(&status), "{status}");
    }
    let health = stage.gateway.send(&Request::post("/v1/embeddings", &json!({"model": "m"})).key(&stage.key.key)).await;
    assert!(health.status < 500, "{}", health.text());
    stage.finish().await;
}
