//! TLS with HTTP/1.1 and HTTP/2 towards clients, and towards upstreams.

use crate::calls::{COST, TOKENS, Wire, assert_record, plain_chat, serving, stepped};
use crate::support::client::{Body, Client, Ended, Request};
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break};
use crate::support::{h2c, sha256, tls};
use bytes::Bytes;
use serde_json::json;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

fn with_certificate(setup: Setup) -> Setup {
    let path = |name: &str| format!("{:?}", tls::file(name).to_string_lossy());
    setup.set("server.tls.certificate", &path("certificate.pem")).set("server.tls.key", &path("key.pem"))
}

/// Waits until the gateway answers over TLS.
async fn start(setup: &Setup) -> (Gateway, Key) {
    let mut gateway = Gateway::prepare(&with_certificate(setup.clone()));
    let key = gateway.key("tester", &[]).await;
    gateway.serve_tls().await;
    (gateway, key)
}

#[tokio::test]
async fn clients_speak_http1_or_http2_over_tls() {
    let provider = Provider::start(|_, request| Wire::Chat.answer(crate::calls::wants_stream(request))).await;
    let (gateway, key) = start(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    for protocol in ["h2", "http/1.1"] {
        let (stream, chosen) = tls::connect(gateway.address, &[protocol]).await;
        assert_eq!(chosen, protocol);
        let request = Wire::Chat.request(true).key(&key.key);
        let answer = if protocol == "h2" {
            h2c::Connection::over(stream).await.open(&request).await.rest().await
        } else {
            Client::over(stream).send(&request).await
        };
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{protocol}");
        assert_eq!(answer.body(), Wire::Chat.pieces(&TOKENS).concat(), "{protocol}");
    }
    let (_, chosen) = tls::connect(gateway.address, &["h2", "http/1.1"]).await;
    assert_eq!(chosen, "h2", "preferred where both are offered");
    // Without TLS there is nothing on this port.
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!(answer.status, 0, "{}", answer.text());
    for record in gateway.wait_records(2).await {
        assert_record(&record, json!({"outcome": "ok", "cost_nanos": COST}));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_a_bad_one_changes_nothing() {
    let (answer, steps) = stepped(Wire::Chat.stream(&TOKENS));
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("server.tls.certificate", "\"served.pem\"")
        .set("server.tls.key", "\"served-key.pem\"");
    let mut gateway = Gateway::prepare(&setup);
    let put = |gateway: &Gateway, served: &str, source: &str| {
        gateway.write(served, &std::fs::read_to_string(tls::file(source)).expect("a file"));
    };
    put(&gateway, "served.pem", "certificate.pem");
    put(&gateway, "served-key.pem", "key.pem");
    let key = gateway.key("tester", &[]).await;
    gateway.serve_tls().await;
    assert!(tls::shown(gateway.address, "certificate.pem").await);
    steps.go(2);
    let (stream, _) = tls::connect(gateway.address, &["http/1.1"]).await;
    let mut running = Client::over(stream).open(&Wire::Chat.request(true).key(&key.key)).await;
    running.piece().await.expect("the first token");
    // A key that is not the certificate's.
    put(&gateway, "served.pem", "second.pem");
    let reloads = async |result: &str| gateway.metric("tollgate_reloads_total", &[result]).await;
    while reloads("refused").await < 1.0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(gateway.said().contains("served-key.pem"), "{}", gateway.said());
    assert!(tls::shown(gateway.address, "certificate.pem").await);
    put(&gateway, "served-key.pem", "second-key.pem");
    while !tls::shown(gateway.address, "second.pem").await {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    steps.go_on();
    assert_eq!(running.rest().await.0.ended, Ended::Whole, "what was open goes on");
    gateway.finish(&[&key]).await;
}

const HTTP2: &str = "http_version = \"2\"";

/// A gateway that believes the tests' certificate, in front of a provider that speaks these protocols over TLS.
pub(super) async fn over(protocols: &[&str], provider: &Provider, upstream: &str, more: Setup) -> (Gateway, Key) {
    let address = tls::in_front_of(provider.address, protocols).await;
    let url = format!("https://localhost:{}/v1", address.port());
    let setup = more
        .upstream(Upstream::new("u", "openai", url).with(upstream))
        .environment("SSL_CERT_FILE", &tls::file("authority.pem").to_string_lossy());
    serving(&setup).await
}

#[tokio::test]
async fn upstreams_are_reached_over_tls_with_http1_or_http2() {
    for protocol in ["http/1.1", "h2"] {
        let provider = Provider::start(|_, request| Wire::Chat.answer(crate::calls::wants_stream(request))).await;
        let (gateway, key) = over(&[protocol], &provider, HTTP2, Setup::new([])).await;
        for stream in [true, false, true] {
            let answer = gateway.send(&Wire::Chat.request(stream).key(&key.key)).await;
            assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{protocol}: {}", answer.text());
            assert_eq!(answer.body(), Wire::Chat.answer(stream).body(), "{protocol}");
        }
        // A body far over every window, from a client of each kind.
        let text = format!(r#"{{"model":"m","messages":[],"x":"{}"}}"#, "y".repeat(3 << 20));
        let big = Request::post_raw("/v1/chat/completions", text.clone()).key(&key.key);
        assert_eq!(gateway.send(&big).await.status, 200, "{protocol}");
        assert_eq!(h2c::send(gateway.address, &big.body(Body::Chunked(text.clone().into(), 0))).await.status, 200);
        let received = provider.received();
        assert_eq!(received.len(), 5, "{protocol}");
        assert_eq!(received[4].body_sha256, sha256(text.as_bytes()), "{protocol}");
        let by = if protocol == "h2" { Some("h2") } else { None };
        assert!(received.iter().all(|request| request.field("x-arrived-by") == by), "{protocol}");
        for record in gateway.wait_records(5).await {
            assert_record(&record, json!({"outcome": "ok", "cost_nanos": COST, "attempts": 1}));
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn upstream_http_version_is_what_is_spoken_where_a_provider_speaks_both() {
    let provider = Provider::start(|_, _| Wire::Chat.whole("x")).await;
    let (gateway, key) = over(&["h2", "http/1.1"], &provider, "", Setup::new([])).await;
    let config = gateway.read("tollgate.toml");
    let mut arrived_by = Vec::new();
    // Connections of each are idle when the next is chosen.
    for (reloads, choice, by) in [(0, "", None), (1, HTTP2, Some("h2")), (2, "http_version = \"1.1\"", None)] {
        if reloads > 0 {
            gateway.write("tollgate.toml", &config.replace("name = \"u\"", &format!("name = \"u\"\n{choice}")));
            gateway.reloaded(reloads).await;
        }
        for _ in 0..2 {
            assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200, "{choice}");
            arrived_by.push(by);
        }
        let received = provider.received();
        let seen: Vec<_> = received.iter().map(|request| request.field("x-arrived-by")).collect();
        assert_eq!(seen, arrived_by, "{choice}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_connection_without_tls_is_not_used_for_an_address_that_is_to_be_reached_with_it() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (address, with_tls) = tls::counted_in_front_of(provider.address, &["http/1.1"]).await;
    let upstream = Upstream::new("u", "openai", format!("http://localhost:{}/v1", address.port()));
    let authority = tls::file("authority.pem");
    let (gateway, key) =
        serving(&Setup::new([upstream]).environment("SSL_CERT_FILE", &authority.to_string_lossy())).await;
    let config = gateway.read("tollgate.toml");
    // The other one's connection is idle at each change.
    for (reloads, scheme, handshakes) in [(0, "http", 0), (1, "https", 1), (2, "http", 1), (3, "https", 1)] {
        if reloads > 0 {
            gateway.write("tollgate.toml", &config.replace("http://localhost", &format!("{scheme}://localhost")));
            gateway.reloaded(reloads).await;
        }
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200, "{scheme}");
        assert_eq!(with_tls.load(Ordering::SeqCst), handshakes, "{scheme}, {reloads} reloads");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_http2_alone_is_told_how_to_be_reached() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, key) = over(&["h2"], &provider, "", Setup::new([])).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.error_code().as_str()), (503, "UPSTREAM_UNAVAILABLE"));
    let told = "it does not speak HTTP/1.1, expected `http_version = \"2\"`";
    assert!(gateway.said().contains(told), "{}", gateway.said());
    let tested = gateway.run(&["upstream", "test"]);
    let printed = String::from_utf8_lossy(&[tested.stdout, tested.stderr].concat()).into_owned();
    assert!(printed.contains(told), "{printed}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_upstream_that_breaks_over_http2_is_an_upstream_that_breaks() {
    let pieces = Wire::Chat.pieces(&TOKENS)[..4].to_vec();
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let (dying, steps) = stepped(Wire::Chat.stream_of(pieces.clone()).cut(length, Break::Rst));
    let provider = Provider::start(move |before, _| match before {
        0 => Answer::nothing(Break::Fin),
        _ => dying.clone(),
    })
    .await;
    let fallback = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("next", &fallback).with("priority = 1")]);
    let (gateway, key) = over(&["h2"], &provider, HTTP2, setup).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("2")), "{}", answer.text());
    steps.go(pieces.len());
    let mut exchange = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    exchange.until_bytes(length).await;
    steps.go(1);
    let (answer, _) = exchange.rest().await;
    assert_eq!(answer.ended, Ended::Whole);
    Wire::Chat.error_at_end(&answer.text());
    let record = gateway.record_of(&answer).await;
    assert_record(&record, json!({"outcome": "upstream_error", "attempts": 1}));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_upstream_whose_certificate_nobody_vouches_for_is_not_talked_to() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let address = tls::in_front_of(provider.address, &["http/1.1"]).await;
    let upstream = Upstream::new("u", "openai", format!("https://localhost:{}/v1", address.port()));
    let (gateway, key) = serving(&Setup::new([upstream])).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.error_code().as_str()), (503, "UPSTREAM_UNAVAILABLE"));
    assert!(gateway.said().contains("UnknownIssuer"), "the log says why");
    assert!(provider.received().is_empty());
    gateway.finish(&[&key]).await;
}

/// A server that reads the head of a request, writes this, and then neither reads nor closes.
async fn stubborn(answer: &'static [u8]) -> std::net::SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a small buffer");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let listener = socket.listen(16).expect("a listener");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 64];
            stream.read_exact(&mut head).await.expect("a head");
            stream.write_all(answer).await.expect("a client that reads");
            open.push(stream);
        }
    });
    address
}

/// More than the buffers on the way take.
const LARGE: usize = 16 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_reads_no_body_is_heard_or_given_up_and_the_next_one_asked() {
    const REFUSAL: &[u8] = b"HTTP/1.1 429 X\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    for (answer, result) in [(REFUSAL, "rate_limited"), (b"", "timeout")] {
        let plain = stubborn(answer).await;
        let secure = tls::in_front_of(plain, &["http/1.1"]).await;
        for url in [format!("http://{plain}/v1"), format!("https://localhost:{}/v1", secure.port())] {
            let provider = Provider::always(Wire::Chat.whole("x")).await;
            let setup = Setup::new([
                Upstream::new("stubborn", "openai", &*url),
                Wire::Chat.upstream("next", &provider).with("priority = 1"),
            ])
            // Who says nothing is given up after this; who says something is heard long before. The next one has to read it all.
            .set("routing.response_timeout_ms", if answer.is_empty() { "6000" } else { "25000" })
            .environment("SSL_CERT_FILE", &tls::file("authority.pem").to_string_lossy());
            let (gateway, key) = serving(&setup).await;
            let body = format!(r#"{{"model":"m","messages":[],"x":"{}"}}"#, "y".repeat(LARGE));
            let answer = gateway.send(&Request::post_raw("/v1/chat/completions", body).key(&key.key)).await;
            let served = (answer.status, answer.field("x-tollgate-upstream"), answer.field("x-tollgate-attempts"));
            assert_eq!(served, (200, Some("next"), Some("2")), "{url} {result}: {}", answer.text());
            let label = format!("result=\"{result}\"");
            assert_eq!(gateway.metric("tollgate_attempts_total", &[&label]).await, 1.0, "{url} {result}");
            assert_record(&gateway.wait_record().await, json!({"outcome": "ok", "attempts": 2, "cost_nanos": COST}));
            gateway.finish(&[&key]).await;
        }
    }
}
