//! Upstreams over HTTP/2 that take no more requests on a connection, and say so: what they have not processed is sent again, on another
//! connection, and nobody counts it.

use crate::calls::{COST, TOKENS, Wire, assert_record, plain_chat, serving, wants_stream};
use crate::support::client::{Ended, Request};
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::tls;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Types of frames (RFC 9113, section 6), and codes of errors (section 7).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// Of `DATA`.
const END_STREAM: u8 = 1;
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short one").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What is said of a request, by the number of its stream.
type Says = fn(u32) -> Vec<u8>;

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// The next frame's type, flags and stream; `None`: the connection has ended.
async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, u8, u32)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
}

/// Reads frames up to the next request's head. Its stream; `None`: the connection has ended.
async fn next_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<u32> {
    loop {
        match next_frame(stream).await? {
            (HEADERS, _, id) => return Some(id),
            (SETTINGS, 0, _) => stream.write_all(&frame(SETTINGS, 1, 0, b"")).await.ok()?,
            _ => {}
        }
    }
}

/// The same, up to the end of the request's body.
async fn next_whole_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<u32> {
    let id = next_request(stream).await?;
    while !matches!(next_frame(stream).await?, (DATA, flags, _) if flags & END_STREAM != 0) {}
    Some(id)
}

/// Begins as a server of HTTP/2.
async fn begin(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.read_exact(&mut [0; 24]).await.expect("a preface");
    stream.write_all(&frame(SETTINGS, 0, 0, b"")).await.expect("a client that reads");
}

/// TLS in front of a plain address, whose first connections say this of every request, and stay open. Where it is, and how many
/// requests were so refused.
async fn refusing(plain: SocketAddr, connections: usize, says: Says) -> (SocketAddr, Arc<AtomicUsize>) {
    let acceptor = tls::acceptor(&["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if number >= connections {
                    return tls::serve_http2(stream, plain).await;
                }
                begin(&mut stream).await;
                while let Some(id) = next_request(&mut stream).await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    if stream.write_all(&says(id)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, refused)
}

async fn in_front_of(address: SocketAddr, more: Setup) -> (Gateway, Key) {
    let upstream = Upstream::new("u", "openai", format!("https://localhost:{}/v1", address.port()));
    let setup = more
        .upstream(upstream.with("http_version = \"2\""))
        .environment("SSL_CERT_FILE", &tls::file("authority.pem").to_string_lossy());
    serving(&setup).await
}

async fn failures(gateway: &Gateway) -> f64 {
    gateway.metric("tollgate_attempts_total", &["upstream=\"u\"", "result=\"connect\""]).await
}

const UNPROCESSED: [Says; 3] = [
    |stream| reset(stream, REFUSED_STREAM),
    |stream| goaway(stream - 1, NO_ERROR),
    // Whatever the reason: no later stream is processed (RFC 9113, section 6.8).
    |stream| goaway(stream - 1, ENHANCE_YOUR_CALM),
];

#[tokio::test]
async fn what_an_upstream_has_not_processed_is_sent_again_and_no_failure() {
    for says in UNPROCESSED {
        // A body that fits, and one that waits for room that never comes.
        for padding in [1, 1 << 20] {
            let provider = Provider::start(|_, request| Wire::Chat.answer(wants_stream(request))).await;
            let (address, refused) = refusing(provider.address, 2, says).await;
            let (gateway, key) = in_front_of(address, Setup::new([])).await;
            let body = format!(r#"{{"model":"m","messages":[],"x":"{}"}}"#, "y".repeat(padding));
            let answer = gateway.send(&Request::post_raw("/v1/chat/completions", body).key(&key.key)).await;
            let served = (answer.status, answer.field("x-tollgate-attempts"));
            assert_eq!(served, (200, Some("1")), "{:?}, {padding}: {}", says(1), answer.text());
            assert_eq!((refused.load(Ordering::SeqCst), provider.received().len()), (2, 1), "{:?}", says(1));
            assert_eq!(failures(&gateway).await, 0.0, "{:?}", says(1));
            assert_record(&gateway.wait_record().await, json!({"outcome": "ok", "attempts": 1, "cost_nanos": COST}));
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn who_processes_nothing_again_and_again_and_who_ends_it_otherwise_has_failed() {
    let ended: Says = |stream| reset(stream, INTERNAL_ERROR);
    for (says, times) in UNPROCESSED.map(|says| (says, 3)).into_iter().chain([(ended, 1)]) {
        let next = Provider::always(Wire::Chat.whole("x")).await;
        let (address, refused) = refusing(next.address, usize::MAX, says).await;
        let setup = Setup::new([Wire::Chat.upstream("next", &next).with("priority = 1")]);
        let (gateway, key) = in_front_of(address, setup).await;
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        let served = (answer.status, answer.field("x-tollgate-upstream"), answer.field("x-tollgate-attempts"));
        assert_eq!(served, (200, Some("next"), Some("2")), "{:?}: {}", says(1), answer.text());
        assert_eq!(refused.load(Ordering::SeqCst), times, "{:?}", says(1));
        assert_eq!(failures(&gateway).await, 1.0, "{:?}", says(1));
        gateway.finish(&[&key]).await;
    }
}

/// The head of an answer: `:status: 200` by its number, and a `content-type` (RFC 7541, sections 6.1, 6.2.2 and appendix A).
fn answer_head(content_type: &str) -> Vec<u8> {
    [&[0x88, 0x0f, 0x10, u8::try_from(content_type.len()).expect("a short one")], content_type.as_bytes()].concat()
}

#[tokio::test]
async fn a_connection_that_ends_with_its_last_stream_gets_no_other_and_is_no_failure() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let acceptor = tls::acceptor(&["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (leave, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (leaves, ends, plain) = (Arc::clone(&leave), Arc::clone(&end), provider.address);
    let pieces = Wire::Chat.pieces(&TOKENS);
    let sent = pieces.clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut stream = acceptor.accept(stream).await.expect("TLS");
        begin(&mut stream).await;
        let id = next_request(&mut stream).await.expect("a request");
        let data = |piece: &[u8], flags| frame(DATA, flags, id, piece);
        let head = frame(HEADERS, 4, id, &answer_head("text/event-stream"));
        stream.write_all(&[head, data(&sent[..3].concat(), 0)].concat()).await.expect("a client that reads");
        leaves.notified().await;
        let leaving = [goaway(id, ENHANCE_YOUR_CALM), data(&sent[3], 0)].concat();
        stream.write_all(&leaving).await.expect("a client that reads");
        let (other, _) = listener.accept().await.expect("another connection");
        let other = acceptor.accept(other).await.expect("TLS");
        tokio::spawn(tls::serve_http2(other, plain));
        ends.notified().await;
        stream.write_all(&data(&sent[4..].concat(), 1)).await.expect("a client that reads");
        while next_request(&mut stream).await.is_some() {}
    });
    let (gateway, key) = in_front_of(address, Setup::new([])).await;
    let mut running = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    running.until_bytes(pieces[..3].concat().len()).await;
    leave.notify_one();
    // What comes behind it tells that it is known.
    running.until_bytes(pieces[..4].concat().len()).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("1")), "{}", answer.text());
    end.notify_one();
    let (answer, _) = running.rest().await;
    assert_eq!((answer.ended, answer.body()), (Ended::Whole, pieces.concat()));
    assert_eq!(failures(&gateway).await, 0.0);
    gateway.finish(&[&key]).await;
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    StaysOpen,
    Ends,
    IsReset,
}

/// Answers the first request of each connection; of the second it says this, and then this becomes of the connection. Where it is,
/// and how many requests came.
async fn lively(says: Says, then: Then) -> (SocketAddr, Arc<AtomicUsize>) {
    let acceptor = tls::acceptor(&["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.expect("TLS");
                begin(&mut stream).await;
                let Some(id) = next_whole_request(&mut stream).await else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                let head = frame(HEADERS, 4, id, &answer_head("application/json"));
                let answer = [head, frame(DATA, END_STREAM, id, &Wire::Chat.whole("x").body())].concat();
                stream.write_all(&answer).await.expect("a client that reads");
                let Some(id) = next_whole_request(&mut stream).await else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                if then == Then::IsReset {
                    stream.get_ref().0.set_zero_linger().expect("a socket");
                    return;
                }
                stream.write_all(&says(id)).await.expect("a client that reads");
                if then == Then::Ends {
                    stream.shutdown().await.expect("a client that reads");
                }
                while next_frame(&mut stream).await.is_some() {}
            });
        }
    });
    (address, received)
}

#[tokio::test]
async fn what_an_upstream_has_on_a_connection_that_lives_is_not_sent_again_in_the_same_attempt() {
    let nothing: Says = |_| Vec::new();
    let cases: [(Says, Then); 6] = [
        (|stream| reset(stream, INTERNAL_ERROR), Then::StaysOpen),
        (|stream| reset(stream, CANCEL), Then::StaysOpen),
        (|stream| reset(stream, ENHANCE_YOUR_CALM), Then::StaysOpen),
        (|stream| reset(stream, NO_ERROR), Then::StaysOpen),
        // The last stream that is processed is this one.
        (|stream| goaway(stream, NO_ERROR), Then::Ends),
        (nothing, Then::Ends),
    ];
    for (says, then) in cases {
        let (address, received) = lively(says, then).await;
        let (gateway, key) = in_front_of(address, Setup::new([]).set("routing.attempts_max", "1")).await;
        let request = plain_chat(false).key(&key.key);
        assert_eq!(gateway.send(&request).await.status, 200);
        let answer = gateway.send(&request).await;
        assert_eq!((answer.status, received.load(Ordering::SeqCst)), (503, 2), "{:?}, {then:?}", says(3));
        assert_eq!(failures(&gateway).await, 1.0, "{:?}, {then:?}", says(3));
        gateway.finish(&[&key]).await;
    }
    // Who knows nothing of a connection resets it: that one was dead.
    let (address, received) = lively(nothing, Then::IsReset).await;
    let (gateway, key) = in_front_of(address, Setup::new([])).await;
    for _ in 0..2 {
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("1")), "{}", answer.text());
    }
    assert_eq!((received.load(Ordering::SeqCst), failures(&gateway).await), (3, 0.0));
    gateway.finish(&[&key]).await;
}
