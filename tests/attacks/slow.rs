//! R2 and R3: clients that are slow on purpose. They are disconnected, or cost little; others are served.

use crate::flood::{block, flags, frame, kind};
use crate::stage::{Stage, chat};
use crate::support::client::{Client, Request};
use crate::support::gateway::{Gateway, Setup, Upstream};
use crate::support::provider::{Ended, Provider};
use crate::support::script::Answer;
use crate::support::{PATIENCE, h2c, tls};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections of each kind: five kinds make the gate's thousand in the long form.
const CONNECTIONS: usize = 50;
/// What a slow connection may cost.
const KIB_EACH_MAX: u64 = 256;
/// A byte now and then.
const DRIP: Duration = Duration::from_secs(1);
/// A head is given up within twice ten seconds; the rest is a busy machine's.
const HEADS_END_WITHIN: Duration = Duration::from_secs(45);

/// How a connection is slow.
#[derive(Clone)]
struct Slow {
    name: &'static str,
    /// Comes at once.
    first: Vec<u8>,
    /// Comes byte by byte, again and again; empty: nothing does.
    then: &'static [u8],
}

/// Goes on until the other side has ended the connection.
async fn go_on(address: SocketAddr, slow: Slow) {
    let stream = TcpStream::connect(address).await.expect("the gateway listens");
    go_on_over(stream, slow).await;
}

async fn go_on_over(stream: impl AsyncRead + AsyncWrite, slow: Slow) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let _ = writer.write_all(&slow.first).await;
    let mut bytes = slow.then.iter().cycle();
    let mut answer = [0; 4096];
    loop {
        tokio::select! {
            read = reader.read(&mut answer) => if !matches!(read, Ok(bytes) if bytes > 0) {
                return;
            },
            () = tokio::time::sleep(DRIP) => if let Some(byte) = bytes.next() && writer.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn whoever_takes_long_over_a_head_is_given_up() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let head = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nx: ".to_vec();
    let kept = [b"GET /v1/health HTTP/1.1\r\nhost: a\r\n\r\n".as_slice(), &head].concat();
    let kinds = [
        Slow { name: "half a head", first: head.clone(), then: b"" },
        Slow { name: "a field that does not end", first: head, then: b"y" },
        Slow { name: "fields that do not end", first: b"POST /v1/messages HTTP/1.1\r\n".to_vec(), then: b"x:\r\n" },
        Slow { name: "half a preface", first: b"PRI * HTTP/2.0".to_vec(), then: b"" },
        Slow { name: "a second head, behind an answer", first: kept, then: b"y" },
    ];
    let before_kib = stage.resident_kib();
    let mut running = JoinSet::new();
    for slow in kinds {
        for _ in 0..crate::times(CONNECTIONS) {
            let (address, slow) = (stage.gateway.address, slow.clone());
            running.spawn(async move {
                let over = tokio::time::timeout(HEADS_END_WITHIN, go_on(address, slow.clone())).await;
                over.map_err(|_| slow.name)
            });
        }
    }
    let count = running.len() as u64;
    let max_mib = count * KIB_EACH_MAX / 1024 + 16;
    for number in 0..20 {
        stage.assert_serves(&format!("honest {number}")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.assert_grown("slow heads", before_kib, max_mib);
    while let Some(over) = running.join_next().await {
        assert_eq!(over.expect("no client panics"), Ok(()), "it is held for longer than {HEADS_END_WITHIN:?}");
    }
    stage.finish().await;
}

/// What an HTTP/2 client may begin and leave.
fn slow_frames() -> [Slow; 4] {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings = frame(kind::SETTINGS, flags::NONE, 0, b"");
    let begun = [preface.clone(), settings].concat();
    let fields = [(":method", "GET"), (":scheme", "https"), (":path", "/v1/models"), (":authority", "gateway.test")];
    let fields = block(&fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let head = |flags| [begun.clone(), frame(kind::HEADERS, flags, 1, &fields)].concat();
    let cut = head(flags::END_HEADERS | flags::END_STREAM);
    let cut = cut[..cut.len() - 1].to_vec();
    [
        Slow { name: "half a preface", first: preface[..10].to_vec(), then: b"" },
        Slow { name: "a head without its end", first: head(flags::END_STREAM), then: b"" },
        Slow { name: "a frame without its end", first: cut, then: b"" },
        Slow { name: "half a frame's head", first: [&begun[..], &begun[24..29]].concat(), then: b"" },
    ]
}

#[tokio::test]
async fn whoever_takes_long_over_a_frame_is_given_up_under_tls_too() {
    let _alone = crate::alone().await;
    let path = |name: &str| format!("{:?}", tls::file(name).to_string_lossy());
    let provider = Provider::always(Answer::new(200, "text/plain", "x")).await;
    let setup = Setup::new([Upstream::new("u", "openai", provider.url("/v1"))]);
    let plain = setup.clone();
    let setup = setup.set("server.tls.certificate", &path("certificate.pem")).set("server.tls.key", &path("key.pem"));
    let mut under_tls = Gateway::prepare(&setup);
    under_tls.serve_tls().await;
    let mut in_clear = Gateway::prepare(&plain);
    in_clear.serve().await;
    let (mut running, kept) = (JoinSet::new(), h2c::Connection::new(in_clear.address).await);
    for slow in slow_frames() {
        let (stream, chosen) = tls::connect(under_tls.address, &["h2"]).await;
        assert_eq!(chosen, "h2");
        let over = tokio::time::timeout(HEADS_END_WITHIN, go_on_over(stream, slow.clone()));
        running.spawn(async move { over.await.map_err(|_| ("under TLS", slow.name)) });
        let (slow, address) = (slow, in_clear.address);
        running.spawn(async move {
            let over = tokio::time::timeout(HEADS_END_WITHIN, go_on(address, slow.clone())).await;
            over.map_err(|_| ("in clear", slow.name))
        });
    }
    assert_eq!(kept.open(&Request::get("/v1/health")).await.rest().await.status, 200);
    while let Some(over) = running.join_next().await {
        assert_eq!(over.expect("no client panics"), Ok(()), "it is held for longer than {HEADS_END_WITHIN:?}");
    }
    assert_eq!(kept.open(&Request::get("/v1/health")).await.rest().await.status, 200, "who asks is left alone");
}

#[tokio::test]
async fn slow_bodies_cost_little_and_keep_nobody_waiting() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let head = |framing: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n{framing}\r\n\r\n",
            stage.key.key
        )
    };
    let kinds = [
        Slow { name: "a length", first: head("content-length: 1000000").into(), then: b" " },
        Slow { name: "chunks", first: head("transfer-encoding: chunked").into(), then: b"1\r\n \r\n" },
        Slow { name: "expected", first: head("content-length: 1000000\r\nexpect: 100-continue").into(), then: b" " },
    ];
    let before_kib = stage.resident_kib();
    let mut running = JoinSet::new();
    for slow in kinds {
        for _ in 0..crate::times(CONNECTIONS) {
            running.spawn(go_on(stage.gateway.address, slow.clone()));
        }
    }
    let count = running.len() as u64;
    for number in 0..20 {
        stage.assert_serves(&format!("honest {number}")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.assert_grown("slow bodies", before_kib, count * KIB_EACH_MAX / 1024 + 16);
    if crate::times(1) > 1 {
        // They have a minute, and then a least rate.
        let all = async { while running.join_next().await.is_some() {} };
        tokio::time::timeout(3 * HEADS_END_WITHIN, all).await.expect("every one is given up");
    }
    drop(running);
    stage.finish().await;
}

/// A piece of a stream, and how many of them there are: more than any buffer takes.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES: usize = 1600;
/// What two connections' socket buffers on loopback may take of it, at the kernel's most.
const UNDER_WAY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a stream that nobody reads may cost the process.
const UNREAD_KIB_EACH_MAX: u64 = 1024;
/// A source stands still that has sent nothing at so many looks, one after the other.
const STILL_LOOKS: usize = 10;

fn endless() -> Answer {
    let text = "a".repeat(PIECE_BYTES - 200);
    let event = format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
    );
    Answer::stream(std::iter::repeat_n(Bytes::from(event), PIECES))
}

/// Waits until nothing more is taken of any stream, though everybody has had a turn; how much was, of each.
async fn stand_still(stage: &Stage) -> Vec<usize> {
    let (started, mut sent, mut looks) = (Instant::now(), Vec::new(), 0);
    while looks < STILL_LOOKS {
        assert!(started.elapsed() < PATIENCE, "they go on and on: {sent:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        // However busy the machine is: the gateway runs, and so does the source, which is in this process.
        let answer = stage.gateway.send(&Request::get("/v1/models").key(&stage.key.key)).await;
        assert_eq!(answer.status, 200, "others are served");
        let sent_by_now: Vec<usize> = stage.provider.received().iter().map(|request| request.sent()).collect();
        looks = if sent_by_now == sent { looks + 1 } else { 0 };
        sent = sent_by_now;
    }
    sent
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_held_back_at_its_source() {
    let _alone = crate::alone().await;
    let stage = Stage::new(|_, _| endless(), |setup| setup).await;
    let body = chat("go on").replacen('{', "{\"stream\":true,", 1);
    let request = Request::post_raw("/v1/chat/completions", body).key(&stage.key.key);
    let before_kib = stage.resident_kib();
    let clients = crate::times(8);
    let mut opened = Vec::new();
    let mut opened_http2 = Vec::new();
    for _ in 0..clients {
        let client = Client::connect(stage.gateway.address).await.expect("the gateway listens");
        let mut exchange = client.open(&request).await;
        assert_eq!(exchange.answer.status, 200);
        exchange.piece().await;
        opened.push(exchange);
        opened_http2.push(h2c::open(stage.gateway.address, &request).await);
    }
    // What there is to be filled is full: before that, what is held would be little, whoever held it.
    let sent = stand_still(&stage).await;
    eprintln!("taken of each of {} streams: {} KiB at most", sent.len(), sent.iter().max().unwrap_or(&0) / 1024);
    assert_eq!(sent.len(), 2 * clients);
    assert!(sent.iter().all(|sent| *sent > PIECE_BYTES), "some have hardly begun: {sent:?}");
    let count = 2 * clients as u64;
    stage.assert_grown("streams that nobody reads", before_kib, count * UNREAD_KIB_EACH_MAX / 1024 + 32);
    opened.into_iter().for_each(|exchange| drop(exchange.close()));
    drop(opened_http2);
    for number in 0..2 * clients {
        match stage.provider.ended(number).await {
            Ended::PeerLeft(sent) => {
                assert!(sent <= UNDER_WAY_BYTES_MAX, "{sent} bytes were taken of a stream that nobody read")
            }
            ended => panic!("it was taken whole: {ended:?}"),
        }
    }
    stage.finish().await;
}
