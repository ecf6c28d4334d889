//! A client on a bare socket: it sends requests in every way that HTTP allows (and some that it does not), and sees every
//! piece of the answer.

use super::PATIENCE;
use super::wire::{Fields, Framing, Reader, chunk, field};
use bytes::Bytes;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

/// How a request's body is sent.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// None, and no field that says so.
    Nothing,
    /// With a `content-length`.
    Length(Bytes),
    /// In chunks of so many bytes.
    Chunked(Bytes, usize),
    /// With a `content-length`, after `100 Continue` (or another answer) has come.
    Expect(Bytes),
    /// With a `content-length`, so many bytes at a time with a pause of so many milliseconds between.
    Drip(Bytes, usize, u64),
    /// With a `content-length` that promises more than is sent.
    Short(Bytes, usize),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Fields,
    pub(crate) body: Body,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let fields = vec![("host".to_owned(), "gateway.test".to_owned())];
        Self { method: method.to_owned(), target: target.to_owned(), fields, body: Body::Nothing }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A JSON request.
    pub(crate) fn post(target: &str, body: &Value) -> Self {
        Self::post_raw(target, body.to_string())
    }

    /// A request whose body is said to be JSON.
    pub(crate) fn post_raw(target: &str, body: impl Into<Bytes>) -> Self {
        Self::new("POST", target).field("content-type", "application/json").body(Body::Length(body.into()))
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As `Authorization: Bearer`.
    pub(crate) fn key(self, key: &str) -> Self {
        self.field("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The whole request as it is sent.
    ///
    /// # Panics
    /// If its body is not one that is sent at once.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let Body::Length(body) = &self.body else { panic!("no body with a length: {:?}", self.body) };
        [self.head().as_bytes(), body].concat()
    }

    fn head(&self) -> String {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            out += &format!("{name}: {value}\r\n");
        }
        match &self.body {
            Body::Nothing => {}
            Body::Length(body) | Body::Drip(body, ..) => out += &format!("content-length: {}\r\n", body.len()),
            Body::Expect(body) => out += &format!("content-length: {}\r\nexpect: 100-continue\r\n", body.len()),
            Body::Short(_, length) => out += &format!("content-length: {length}\r\n"),
            Body::Chunked(..) => out += "transfer-encoding: chunked\r\n",
        }
        out + "\r\n"
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As its framing says.
    Whole,
    /// The connection ended or was reset before that.
    Broken,
    /// We stopped reading.
    Left,
}

/// An answer, or what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Statuses of the interim answers before it.
    pub(crate) informational: Vec<u16>,
    /// 0: the connection ended before any answer.
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    /// Each piece, and when it came (counted from when the request began to be sent).
    pub(crate) pieces: Vec<(Duration, Bytes)>,
    pub(crate) ended: Ended,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }

    /// The whole body.
    pub(crate) fn body(&self) -> Vec<u8> {
        self.pieces.iter().flat_map(|(_, piece)| piece.iter().copied()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// # Panics
    /// If the body is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_else(|e| panic!("{e}: status {} {:?}", self.status, self.text()))
    }

    /// `error.code` of a refusal in OpenAI's shape.
    pub(crate) fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("").to_owned()
    }
}

/// A connection to the gateway.
pub(crate) struct Client {
    reader: Reader<Source>,
    sink: Sink,
}

type Source = Box<dyn AsyncRead + Send + Unpin>;

/// The writing half of a connection.
enum Sink {
    Plain(OwnedWriteHalf),
    Other(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Sink {
    fn get(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::Plain(sink) => sink,
            Self::Other(sink) => sink,
        }
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (source, sink) = stream.into_split();
        Ok(Self { reader: Reader::new(Box::new(source)), sink: Sink::Plain(sink) })
    }

    /// On a connection that was made otherwise.
    pub(crate) fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (source, sink) = tokio::io::split(stream);
        Self { reader: Reader::new(Box::new(source)), sink: Sink::Other(Box::new(sink)) }
    }

    /// Bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.get().write_all(bytes).await
    }

    /// Tells the other side that nothing more will be sent.
    pub(crate) async fn half_close(&mut self) {
        let _ = self.sink.get().shutdown().await;
    }

    /// Sends a request and reads the head of its answer, also while the body is still being sent.
    ///
    /// # Panics
    /// If that takes longer than any test should.
    pub(crate) async fn open(self, request: &Request) -> Exchange {
        let head = request.head();
        self.begin(request, head.as_bytes()).await
    }

    async fn begin(mut self, request: &Request, head: &[u8]) -> Exchange {
        let started = Instant::now();
        let mut answer = Answer {
            informational: Vec::new(),
            status: 0,
            fields: Fields::new(),
            pieces: Vec::new(),
            ended: Ended::Left,
        };
        let opening = async {
            if self.sink.get().write_all(head).await.is_err() {
                return None;
            }
            if matches!(request.body, Body::Expect(_)) {
                let (status, fields) = interim_or_final(&mut self.reader).await?;
                if status != 100 {
                    return Some((status, fields));
                }
                answer.informational.push(status);
            }
            let (sink, reader) = (self.sink.get(), &mut self.reader);
            let reading = async {
                loop {
                    let (status, fields) = interim_or_final(reader).await?;
                    if status >= 200 || status == 101 {
                        return Some((status, fields));
                    }
                    answer.informational.push(status);
                }
            };
            // An answer may come before the request is out, and a peer that refuses may close: neither is our error.
            let sending = async {
                let _ = send_body(&request.body, sink).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                head = reading => head,
                () = sending => None,
            }
        };
        let head = tokio::time::timeout(PATIENCE, opening).await.expect("an answer in time");
        let mut framing = Framing::Nothing;
        if let Some((status, fields)) = head {
            let has_body = request.method != "HEAD" && status != 204 && status != 304;
            framing = if has_body { Framing::of(&fields, Framing::Close) } else { Framing::Nothing };
            (answer.status, answer.fields) = (status, fields);
        } else {
            answer.ended = Ended::Broken;
        }
        Exchange { client: self, answer, framing, started }
    }

    /// Sends the head of a request, and waits until the other side asks for the body, which is then to be written.
    ///
    /// # Panics
    /// If it does not.
    pub(crate) async fn announce(mut self, request: &Request) -> Self {
        self.write(request.head().as_bytes()).await.expect("a connection");
        let told = tokio::time::timeout(PATIENCE, interim_or_final(&mut self.reader)).await.expect("an answer in time");
        assert_eq!(told.map(|(status, _)| status), Some(100));
        self
    }

    /// Reads the whole answer to a request that was written by hand.
    pub(crate) async fn receive(self) -> Answer {
        self.answered().await.rest().await.0
    }

    /// Reads the head of the answer to a request that was written by hand.
    pub(crate) async fn answered(self) -> Exchange {
        // Nothing more is sent: an empty request in front of the answer.
        let nothing =
            Request { method: String::new(), target: String::new(), fields: Fields::new(), body: Body::Nothing };
        self.begin(&nothing, b"").await
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(self, request: &Request) -> Answer {
        self.open(request).await.rest().await.0
    }

    /// The same, on a connection that can be used again afterwards.
    pub(crate) async fn send_and_keep(self, request: &Request) -> (Answer, Self) {
        self.open(request).await.rest().await
    }
}

async fn interim_or_final(reader: &mut Reader<Source>) -> Option<(u16, Fields)> {
    let (line, fields) = reader.head().await.ok()??;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    Some((status, fields))
}

async fn send_body(body: &Body, sink: &mut (dyn AsyncWrite + Send + Unpin)) -> io::Result<()> {
    match body {
        Body::Nothing => Ok(()),
        Body::Length(body) | Body::Expect(body) | Body::Short(body, _) => sink.write_all(body).await,
        Body::Chunked(body, size) => {
            for part in body.chunks(*size) {
                sink.write_all(&chunk(part)).await?;
            }
            sink.write_all(b"0\r\n\r\n").await
        }
        Body::Drip(body, size, pause_ms) => {
            for part in body.chunks(*size) {
                sink.write_all(part).await?;
                tokio::time::sleep(Duration::from_millis(*pause_ms)).await;
            }
            Ok(())
        }
    }
}

/// An answer that is being read.
pub(crate) struct Exchange {
    client: Client,
    /// What has come so far.
    pub(crate) answer: Answer,
    framing: Framing,
    started: Instant,
}

impl Exchange {
    /// The next piece; `None`: it is over, in whichever way [`Answer::ended`] says.
    ///
    /// # Panics
    /// If nothing comes for longer than any test should take.
    pub(crate) async fn piece(&mut self) -> Option<Bytes> {
        if self.answer.ended != Ended::Left {
            return None;
        }
        let piece = self.client.reader.piece(&mut self.framing);
        match tokio::time::timeout(PATIENCE, piece).await.expect("a piece in time") {
            Ok(Some(piece)) => {
                self.answer.pieces.push((self.started.elapsed(), piece.clone()));
                Some(piece)
            }
            Ok(None) => {
                self.answer.ended = Ended::Whole;
                None
            }
            Err(_) => {
                self.answer.ended = Ended::Broken;
                None
            }
        }
    }

    /// Reads until the body so far contains these bytes.
    pub(crate) async fn until(&mut self, wanted: &[u8]) {
        while !self.answer.body().windows(wanted.len()).any(|part| part == wanted) {
            assert!(self.piece().await.is_some(), "the answer ended before {:?}", String::from_utf8_lossy(wanted));
        }
    }

    /// Reads until so many bytes have come.
    pub(crate) async fn until_bytes(&mut self, bytes: usize) {
        while self.answer.body().len() < bytes {
            assert!(self.piece().await.is_some(), "the answer ended before byte {bytes}: {:?}", self.answer.text());
        }
    }

    /// Reads to the end.
    pub(crate) async fn rest(mut self) -> (Answer, Client) {
        while self.piece().await.is_some() {}
        (self.answer, self.client)
    }

    /// Closes the connection.
    pub(crate) fn close(self) -> Answer {
        self.answer
    }

    /// Resets the connection.
    pub(crate) fn reset(self) -> Answer {
        if let Sink::Plain(sink) = &self.client.sink {
            sink.as_ref().set_zero_linger().expect("an open socket");
        }
        self.answer
    }

    /// Tells the other side that nothing more will be sent, and goes on reading.
    pub(crate) async fn half_close(&mut self) {
        self.client.half_close().await;
    }
}

/// Sends one request on a connection of its own.
///
/// # Panics
/// If the gateway cannot be reached.
pub(crate) async fn send(address: SocketAddr, request: &Request) -> Answer {
    Client::connect(address).await.expect("the gateway listens").send(request).await
}
