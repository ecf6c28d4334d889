use super::chunks::plain_size;
use super::{AnswerHead, Http1, RequestHead};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Method, Version};
use pingora::{ErrorType, Result};
use proptest::prelude::*;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

/// As long may an upstream take nothing.
const LIMIT: Duration = Duration::from_secs(30);

/// A connection that gives these pieces, one a read, and then is closed.
struct Pieces(std::collections::VecDeque<Bytes>);

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let here = piece.split_to(piece.len().min(to.remaining()));
            to.put_slice(&here);
            if !piece.is_empty() {
                self.0.push_front(piece);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(from.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Read {
    head: AnswerHead,
    body: Vec<u8>,
    reusable: bool,
}

fn read(pieces: &[&[u8]]) -> Result<Read> {
    let pieces = pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| Bytes::copy_from_slice(piece)).collect();
    let mut http1 = Http1::new(Pieces(pieces));
    futures::executor::block_on(async {
        let head = http1.read_head().await?;
        let mut body = Vec::new();
        while let Some(piece) = http1.piece().await? {
            assert!(!piece.is_empty());
            body.extend_from_slice(&piece);
        }
        assert!(http1.is_over());
        Ok(Read { head, body, reusable: http1.into_reusable().is_some() })
    })
}

/// What came at once goes on at once, and who waits for more has no memory for it.
#[test]
fn a_piece_is_what_was_read_and_takes_its_memory_along() {
    // The first read ends in the middle of a chunk's frame.
    let chunks = "1f4\r\n".to_owned() + &"x".repeat(500) + "\r\n";
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let pieces =
        [head + &chunks.repeat(100) + "1", "f4\r\n".to_owned() + &chunks.repeat(121)[5..], "0\r\n\r\n".to_owned()];
    let mut http1 = Http1::new(Pieces(pieces.map(Bytes::from).into()));
    futures::executor::block_on(async {
        http1.read_head().await.unwrap();
        for (bytes, kept) in [(100 * 500, 1), (121 * 500, 0)] {
            let piece = http1.piece().await.unwrap().unwrap();
            assert_eq!((piece.len(), http1.buffer.capacity()), (bytes, kept));
            assert!(piece.is_unique());
        }
        assert_eq!(http1.piece().await.unwrap(), None);
    });
}

/// Answer, its body, and whether its connection can be used again.
const ANSWERS: [(&str, &str, bool); 13] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true),
    ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\ncontent-length: 5\r\n\r\nhello", "hello", true),
    ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", true),
    ("HTTP/1.1 204 No Content\r\n\r\n", "", true),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
        "hello world",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00b\r\nhello world\r\n0\r\nx: y\r\n\r\n",
        "hello world",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "hello",
        false,
    ),
    ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", false),
    ("HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 1\r\n\r\n!", "!", false),
    ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n!", "!", false),
    ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\n!", "!", true),
    ("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!", "!", true),
    ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!HTTP/1.1 200 OK\r\n", "!", false),
];

#[test]
fn an_answer_is_the_same_wherever_it_is_cut() {
    for (answer, body, reusable) in ANSWERS {
        let bytes = answer.as_bytes();
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let read = read(&[first, second]).unwrap_or_else(|error| panic!("{answer:?} cut at {cut}: {error}"));
            assert_eq!(read.body, body.as_bytes(), "{answer:?} cut at {cut}");
            // What comes behind an answer may not have come when its end is read.
            if !answer.contains("!HTTP") {
                assert_eq!(read.reusable, reusable, "{answer:?} cut at {cut}");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single).expect(answer).body, body.as_bytes());
    }
    assert!(!read(&[ANSWERS[12].0.as_bytes()]).unwrap().reusable, "somebody speaks out of turn");
}

#[test]
fn an_answer_that_ends_early_or_could_be_read_in_two_ways_is_none() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n;x\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello",
        "HTTP/1.1 200 OK\r\nfolded: a\r\n b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad value: \u{7f}\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "<html>",
    ] {
        assert!(read(&[answer.as_bytes()]).is_err(), "{answer:?}");
    }
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20) + ANSWERS[0].0;
    assert!(read(&[hints.as_bytes()]).is_err());
}

#[test]
fn what_never_ends_is_given_up() {
    for endless in [
        format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(100_000)),
        format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(400_000)),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;{}", "y".repeat(100_000)),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{}", "y".repeat(100_000)),
    ] {
        let pieces: Vec<&[u8]> = endless.as_bytes().chunks(1000).collect();
        let error = read(&pieces).err().expect("it has no end");
        assert_eq!(*error.etype(), pingora::ErrorType::InvalidHTTPHeader, "{error}");
    }
}

#[test]
fn heads_come_as_they_are() {
    let read =
        read(&[b"HTTP/1.1 429 Slow Down\r\nX-Two: 1\r\nx-two: 2\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"])
            .unwrap();
    assert_eq!((read.head.status.as_u16(), read.head.reason.as_deref()), (429, Some("Slow Down")));
    assert_eq!(read.head.version, Version::HTTP_11);
    assert_eq!(read.head.headers.get_all("x-two").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(read.head.headers["retry-after"], "7");
}

#[test]
fn a_length_that_is_said_again_goes_on_once() {
    for lengths in ["content-length: 1, 1", "content-length: 1\r\ncontent-length: 1", "content-length: 1,\t1"] {
        for status in ["200 OK", "400 Bad Request"] {
            let read = read(&[format!("HTTP/1.1 {status}\r\n{lengths}\r\n\r\n!").as_bytes()]).unwrap();
            let told: Vec<_> = read.head.headers.get_all(CONTENT_LENGTH).iter().collect();
            assert_eq!(told, ["1"], "{lengths}");
        }
    }
}

#[test]
fn a_request_goes_out_whole_whatever_its_size() {
    for length in [0, 10, super::sending::COPIED_BODY_BYTES_MAX, super::sending::COPIED_BODY_BYTES_MAX + 1, 1_000_000] {
        let body = vec![b'x'; length];
        let headers = HeaderMap::from_iter([(HOST, "h".parse().unwrap()), (CONTENT_LENGTH, length.into())]);
        let head = RequestHead { method: Method::POST, target: "/v1/x?y=z".into(), headers };
        let (ours, mut theirs) = tokio::io::duplex(2_000_000);
        let sent = futures::executor::block_on(async {
            Http1::new(ours).send(&head, &body, LIMIT).await.unwrap();
            let mut sent = Vec::new();
            theirs.read_to_end(&mut sent).await.unwrap();
            sent
        });
        let wanted = format!("POST /v1/x?y=z HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n");
        assert!(sent == [wanted.as_bytes(), &body].concat());
    }
}

#[test]
fn a_target_with_a_line_end_in_it_is_not_sent() {
    for target in ["/x HTTP/1.1\r\nhost: evil\r\n\r\n", "/x\ny", "/x y", "/\u{7f}"] {
        let head = RequestHead { method: Method::POST, target: target.into(), headers: HeaderMap::new() };
        let sent = futures::executor::block_on(Http1::new(Pieces([].into())).send(&head, b"", LIMIT));
        assert!(sent.is_err(), "{target:?}");
    }
}

#[test]
fn a_plain_size_is_what_httparse_says() {
    let sizes = ["0", "1", "7f", "00b", "c3", "fffffff", "1234567", "12345678", "", "g", "1g", "1 ", "1;x=y", "7F"];
    let mut plain = 0;
    for size in sizes {
        for end in ["\r\n", "\r\nx", "\n", "\r", "", "\rx"] {
            let line = format!("{size}{end}");
            if let Some(said) = plain_size(line.as_bytes()) {
                assert_eq!(Ok(said), httparse::parse_chunk_size(line.as_bytes()), "{line:?}");
                plain += 1;
            }
        }
    }
    assert_eq!(plain, 7 * 2);
}

proptest! {
    #[test]
    fn chunks_of_any_size_cut_anywhere_are_the_body(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
        at.extend([0, wire.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &wire[ends[0]..ends[1]]).collect();
        let read = read(&pieces).unwrap();
        prop_assert_eq!(read.body, chunks.concat());
        prop_assert!(read.reusable);
    }

    #[test]
    fn no_bytes_whatever_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), chunked: bool) {
        let mut wire = if chunked { b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec() } else { Vec::new() };
        wire.extend_from_slice(&bytes);
        drop(read(&[&wire]));
    }
}

fn upload() -> RequestHead {
    let headers = HeaderMap::from_iter([(HOST, "h".parse().unwrap()), (CONTENT_LENGTH, "100000".parse().unwrap())]);
    RequestHead { method: Method::POST, target: "/x".into(), headers }
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_may_take_long_and_one_that_stands_still_may_not() {
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let begun = Instant::now();
    let reading = async {
        let mut piece = [0; 5000];
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            theirs.read_exact(&mut piece).await.unwrap();
        }
        // The rest is not read.
        tokio::time::sleep(Duration::from_secs(3600)).await;
    };
    let mut http1 = Http1::new(ours);
    let (head, body) = (upload(), [b'x'; 100_000]);
    let sent = tokio::select! { sent = http1.send(&head, &body, LIMIT) => sent, () = reading => panic!("it waits") };
    assert_eq!(*sent.unwrap_err().etype(), ErrorType::WriteTimedout);
    assert_eq!(begun.elapsed().as_secs(), 4 * 20 + 30);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_heard_while_the_request_is_still_sent() {
    // What says no ends the sending, what says go on or yes does not; so does an end without a word.
    for (answer, expected) in [
        (&b"HTTP/1.1 429 X\r\ncontent-length: 0\r\n\r\n"[..], ErrorType::WriteError),
        (b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 413 X\r\ncontent-length: 0\r\n\r\n", ErrorType::WriteError),
        (b"nonsense\r\n\r\n", ErrorType::WriteError),
        (b"", ErrorType::WriteError),
        (b"HTTP/1.1 100 X\r\n\r\n", ErrorType::WriteTimedout),
        (b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n", ErrorType::WriteTimedout),
        (b"HTTP/1.1 429 X\r\ncontent-", ErrorType::WriteTimedout),
    ] {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let begun = Instant::now();
        let mut http1 = Http1::new(ours);
        let answering = async {
            theirs.write_all(answer).await.unwrap();
            if answer.is_empty() {
                theirs.shutdown().await.unwrap();
            }
        };
        let (head, body) = (upload(), [b'x'; 100_000]);
        let (sent, ()) = tokio::join!(http1.send(&head, &body, LIMIT), answering);
        assert_eq!(*sent.unwrap_err().etype(), expected, "{answer:?}");
        assert_eq!(begun.elapsed().as_secs(), if expected == ErrorType::WriteError { 0 } else { 30 }, "{answer:?}");
        if answer.ends_with(b"\r\n\r\n") && !answer.ends_with(b"100 X\r\n\r\n") && !answer.starts_with(b"n") {
            let head = http1.read_head().await.unwrap();
            assert!([200, 413, 429].contains(&head.status.as_u16()), "it is read afterwards");
        }
    }
}
