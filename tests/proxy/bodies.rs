//! Request bodies: every framing, up to the limit, replayed on every attempt; and bodies that are too long, too slow, or
//! never come to their end.

use crate::calls::{Wire, assert_record, plain_chat, serving};
use crate::support::client::{Body, Client, Ended, Request};
use crate::support::gateway::{Gateway, Setup, Upstream};
use crate::support::provider::{ClosedPort, Provider};
use crate::support::script::{Answer, Break};
use crate::support::wire::Framing;
use crate::support::{PATIENCE, h2c, sha256, until};
use bytes::Bytes;
use serde_json::json;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
const LIMIT: usize = 32 * MIB;

/// A chat request's body of exactly so many bytes.
fn chat_of(bytes: usize) -> Bytes {
    let (head, tail) = (r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":""#, r#""}]}"#);
    let mut body = String::with_capacity(bytes);
    body.push_str(head);
    let fill = bytes - head.len() - tail.len();
    for index in 0..fill {
        body.push(char::from(b'a' + (index * 7 / 3 % 26) as u8));
    }
    body.push_str(tail);
    body.into()
}

fn chat(body: Body) -> Request {
    Request::new("POST", "/v1/chat/completions").field("content-type", "application/json").body(body)
}

/// Three upstreams in three tiers: two that fail, each in its own way, and one that works.
fn three(provider: &Provider) -> Setup {
    let tier = |name: &str, priority: u32| {
        Upstream::new(name, "openai", provider.url(&format!("/{name}/v1"))).with(&format!("priority = {priority}"))
    };
    Setup::new([tier("one", 0), tier("two", 1), tier("three", 2)]).set("breaker.failures_to_open", "200")
}

async fn failing_twice() -> Provider {
    Provider::start(|_, request| match request.target.as_bytes().get(1) {
        Some(b'o') => Answer::new(500, "text/plain", "no"),
        Some(b't') if request.target.starts_with("/two") => Answer::nothing(Break::Fin),
        _ => Wire::Chat.whole("x"),
    })
    .await
}

#[tokio::test]
async fn a_body_in_any_framing_arrives_whole_on_every_attempt() {
    let provider = failing_twice().await;
    let (gateway, key) = serving(&three(&provider)).await;
    let mut seen = 0;
    for bytes in [200, 64 * 1024 + 1, 2 * MIB] {
        let body = chat_of(bytes);
        let hash = sha256(&body);
        let framings =
            [Body::Length(body.clone()), Body::Chunked(body.clone(), 1 + bytes / 3), Body::Expect(body.clone())];
        for framing in framings {
            let expects = matches!(framing, Body::Expect(_));
            let answer = gateway.send(&chat(framing).key(&key.key)).await;
            assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("3")), "{}", answer.text());
            assert_eq!(answer.informational.contains(&100), expects);
        }
        for framing in [Body::Length(body.clone()), Body::Chunked(body.clone(), 0)] {
            let answer = h2c::send(gateway.address, &chat(framing).key(&key.key)).await;
            assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("3")), "{}", answer.text());
        }
        let received = provider.received();
        assert_eq!(received.len(), seen + 15, "three attempts at each of five");
        for request in &received[seen..] {
            assert_eq!((request.body_bytes, &request.body_sha256), (bytes, &hash), "{}", request.target);
            assert_eq!(request.framing, Framing::Length(bytes));
        }
        seen = received.len();
    }
    for record in gateway.wait_records(15).await {
        assert_record(&record, json!({"attempts": 3, "upstream": "three", "outcome": "ok"}));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_connection_is_used_again_after_an_interim_answer_and_ends_where_its_end_is_the_answers() {
    let provider = Provider::start(|_, request| Wire::Chat.answer(crate::calls::wants_stream(request))).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let expecting = chat(Body::Expect(chat_of(200))).key(&key.key);
    let client = Client::connect(gateway.address).await.expect("the gateway listens");
    let (answer, client) = client.send_and_keep(&expecting).await;
    assert_eq!((answer.status, answer.informational, answer.ended), (200, vec![100], Ended::Whole));
    assert_eq!(client.send(&expecting).await.status, 200, "on the same connection");

    for (stream, ends) in [(false, "keep-alive"), (true, "close")] {
        let body = format!(r#"{{"model":"m","messages":[],"stream":{stream}}}"#);
        let request = format!(
            "POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            key.key,
            body.len()
        );
        let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
        client.write(request.as_bytes()).await.expect("it is sent");
        let answer = client.receive().await;
        assert_eq!((answer.status, answer.field("connection")), (200, Some(ends)), "{}", answer.text());
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let provider = failing_twice().await;
    let (gateway, key) = serving(&three(&provider)).await;
    let body = chat_of(LIMIT);
    let hash = sha256(&body);
    let ways = [Body::Length(body.clone()), Body::Chunked(body.clone(), 1 + LIMIT / 5)];
    for way in ways {
        let answer = gateway.send(&chat(way).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("3")), "{}", answer.text());
    }
    let received = provider.received();
    assert_eq!(received.len(), 6);
    for request in &received {
        assert_eq!((request.body_bytes, &request.body_sha256), (LIMIT, &hash), "{}", request.target);
    }
    let over = chat_of(LIMIT + 1);
    for way in [Body::Length(over.clone()), Body::Chunked(over, 1 + LIMIT / 5)] {
        let answer = gateway.send(&chat(way).key(&key.key)).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (413, "REQUEST_TOO_LARGE"));
    }
    assert_eq!(provider.received().len(), 6);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_so_that_the_client_can_read_why() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let body = chat_of(33 * MIB);
    let ways = [Body::Length(body.clone()), Body::Chunked(body.clone(), MIB), Body::Expect(body.clone())];
    for (way, dialect) in ways.into_iter().zip([Wire::Chat, Wire::Messages, Wire::GeminiEvents]) {
        let mut request = chat(way).key(&key.key);
        request.target = dialect.target("m", false);
        let answer = gateway.send(&request).await;
        assert_eq!((answer.status, answer.ended), (413, Ended::Whole), "{dialect:?}");
        assert!(answer.text().contains("larger than 33554432 bytes"), "{}", answer.text());
        // Who asks before sending is told before sending.
        assert!(answer.informational.is_empty());
        assert!(answer.field("x-request-id").is_some());
    }
    // Many clients read only after they have sent everything: the connection must stay until then.
    let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        key.key,
        body.len()
    );
    client.write(head.as_bytes()).await.expect("the gateway reads");
    client.write(&body).await.expect("the gateway reads on, though it has refused");
    let answer = client.receive().await;
    assert_eq!((answer.status, answer.error_code().as_str()), (413, "REQUEST_TOO_LARGE"));
    let over_http2 = h2c::send(gateway.address, &chat(Body::Length(body.clone())).key(&key.key)).await;
    assert_eq!((over_http2.status, over_http2.error_code().as_str()), (413, "REQUEST_TOO_LARGE"));
    let over_http2 = h2c::send(gateway.address, &chat(Body::Chunked(body, 0)).key(&key.key)).await;
    assert_eq!((over_http2.status, over_http2.error_code().as_str()), (413, "REQUEST_TOO_LARGE"));
    assert!(provider.received().is_empty() && gateway.records().is_empty());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_body_that_comes_slowly_is_waited_for_and_one_that_stops_short_goes_nowhere() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let body = chat_of(300);
    let answer = gateway.send(&chat(Body::Drip(body.clone(), 20, 20)).key(&key.key)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(provider.only().body, body);
    // Half of what was promised, then the end: refused if the client still listens, and never sent on.
    let short = chat(Body::Short(body.slice(..150), 300)).key(&key.key);
    let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 300\r\n\r\n",
        short.target, key.key
    );
    client.write(head.as_bytes()).await.expect("the gateway reads");
    client.write(&body[..150]).await.expect("the gateway reads");
    drop(client);
    // A chunked body that breaks off in a chunk, and one whose chunk size is nonsense.
    for rest in ["12c\r\n{\"model\":", "zz\r\n{}\r\n0\r\n\r\n"] {
        let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\n\r\n{rest}",
            short.target, key.key
        );
        client.write(head.as_bytes()).await.expect("the gateway reads");
        drop(client);
    }
    // What came before is dealt with by the time that this is answered; nothing of it went on.
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    assert_eq!(gateway.wait_records(2).await.len(), 2);
    assert_eq!(provider.received().len(), 2);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn the_limit_is_the_configured_one() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("server.request_body_bytes_max", "300");
    let (gateway, key) = serving(&setup).await;
    assert_eq!(gateway.send(&chat(Body::Length(chat_of(300))).key(&key.key)).await.status, 200);
    assert_eq!(gateway.send(&chat(Body::Length(chat_of(301))).key(&key.key)).await.status, 413);
    assert_eq!(gateway.send(&chat(Body::Chunked(chat_of(301), 50)).key(&key.key)).await.status, 413);
    gateway.finish(&[&key]).await;
}

/// Waits until this gateway is ready, or is not; what it says then.
async fn until_ready(gateway: &Gateway, status: u16) -> crate::support::client::Answer {
    let started = Instant::now();
    loop {
        let answer = gateway.send(&Request::get("/health/readiness")).await;
        if answer.status == status {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{}\n{}", answer.text(), gateway.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn server_memory_bytes_max_refuses_requests_while_nearly_all_is_taken() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    // By default it is what the machine has, but for some.
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("server.memory_bytes_max", "0");
    let (gateway, key) = serving(&setup).await;
    let request = plain_chat(false).key(&key.key);
    assert_eq!(gateway.send(&request).await.status, 200);
    assert!(gateway.metric("tollgate_memory_bytes_max", &[]).await > 100e6);
    let config = gateway.read("tollgate.toml");
    // The process takes more than that.
    gateway.write("tollgate.toml", &config.replace("memory_bytes_max = 0", "memory_bytes_max = 16777216"));
    let ready = until_ready(&gateway, 503).await;
    assert_eq!(ready.json()["checks"]["memory"], "unavailable", "{}", ready.text());
    let refused = gateway.send(&request).await;
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")), "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "OVERLOADED");
    // What brings nothing takes nothing, and an operator has his pages.
    assert_eq!(gateway.send(&Request::get("/v1/models").key(&key.key)).await.status, 200);
    assert_eq!(gateway.send(&Request::get("/console")).await.status, 200);
    let login = Request::post("/console/api/session", &json!({"name": "nobody", "password": "wrong"}));
    let login = login.field("origin", &format!("http://{}", gateway.address));
    assert!([401, 403].contains(&gateway.send(&login).await.status), "it is looked at");
    assert_eq!(gateway.metric("tollgate_memory_bytes_max", &[]).await, 16_777_216.0);
    assert!(gateway.metric("process_resident_memory_bytes", &[]).await > 16_777_216.0);
    until("a word of it", || gateway.said().contains("nearly all memory is taken").then_some(())).await;
    gateway.write("tollgate.toml", &config);
    until_ready(&gateway, 200).await;
    assert_eq!(gateway.send(&request).await.status, 200);
    assert_eq!(gateway.metric("tollgate_request_bodies_bytes", &[]).await, 0.0);
    assert_eq!(gateway.wait_records(2).await.len(), 2, "who is refused has no record");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_upstream_that_answers_before_it_has_read_the_body_is_heard() {
    // A refusal that comes early, with the connection closed behind it, is an answer like any other.
    let provider = Provider::start(|_, request| {
        if request.target.starts_with("/early") {
            Answer::json(429, &json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})).early()
        } else {
            Wire::Chat.whole("x")
        }
    })
    .await;
    let port = ClosedPort::new();
    let setup = Setup::new([
        Upstream::new("early", "openai", provider.url("/early/v1")).models(r#"["m", "only"]"#),
        Upstream::new("closed", "openai", format!("http://{}/v1", port.address)).with("priority = 1"),
        Upstream::new("good", "openai", provider.url("/v1")).with("priority = 2"),
    ])
    .set("pricing.unknown_model", "\"allow\"");
    let (gateway, key) = serving(&setup).await;
    let body = chat_of(4 * MIB);
    let answer = gateway.send(&chat(Body::Length(body.clone())).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("3")), "{}", answer.text());
    assert_eq!(provider.received().last().map(|request| request.body_sha256.clone()), Some(sha256(&body)));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_body_that_comes_packed_is_refused_by_the_name_of_its_packing() {
    /// How every gzip file begins.
    const PACKED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let send = async |coding: &str, body: Bytes| {
        gateway.send(&chat(Body::Length(body)).field("content-encoding", coding).key(&key.key)).await
    };
    for (coding, named) in [("gzip", "`gzip`"), ("identity, X-Thing", "`X-Thing`")] {
        let answer = send(coding, Bytes::from_static(PACKED)).await;
        assert_eq!((answer.status, &*answer.error_code()), (400, "INVALID_REQUEST"), "{}", answer.text());
        let said = answer.text();
        assert!(said.contains(&format!("the content-encoding {named}: send the body uncompressed")), "{said}");
        assert!(!said.contains("UTF-8"), "{said}");
    }
    let answer = send("identity", Bytes::from_static(PACKED)).await;
    assert!(answer.status == 400 && answer.text().contains("not UTF-8"), "{}", answer.text());
    assert_eq!(send("identity", chat_of(200)).await.status, 200);
    gateway.finish(&[&key]).await;
}
