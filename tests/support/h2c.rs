//! A client that speaks HTTP/2 with prior knowledge, without TLS.

use super::PATIENCE;
use super::client::{Answer, Body, Ended, Request};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Sends one request on a connection of its own; of the ways to send a body there are `Length`, with a `content-length`,
/// and `Chunked`, without.
///
/// # Panics
/// If the connection cannot be made, or nothing comes for longer than any test should take.
pub(crate) async fn send(address: SocketAddr, request: &Request) -> Answer {
    open(address, request).await.rest().await
}

/// The same, but for the head of the answer alone.
pub(crate) async fn open(address: SocketAddr, request: &Request) -> Exchange {
    Connection::new(address).await.open(request).await
}

/// A connection that takes many requests at once.
#[derive(Clone)]
pub(crate) struct Connection {
    client: h2::client::SendRequest<Bytes>,
}

impl Connection {
    pub(crate) async fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("a socket");
        Self::over(stream).await
    }

    /// On a connection that was made otherwise.
    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (client, connection) = h2::client::handshake(stream).await.expect("the gateway speaks HTTP/2");
        tokio::spawn(connection);
        Self { client }
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn open(&self, request: &Request) -> Exchange {
        let begun = tokio::time::timeout(PATIENCE, begin(self.client.clone(), request));
        begun.await.expect("an answer in time").expect("an HTTP/2 answer")
    }
}

/// An answer that is being read. Dropping it resets the stream.
pub(crate) struct Exchange {
    /// What has come so far.
    pub(crate) answer: Answer,
    body: h2::RecvStream,
    started: Instant,
    /// Keeps the connection open.
    _client: h2::client::SendRequest<Bytes>,
}

impl Exchange {
    /// The next piece; `None`: it is over, in whichever way [`Answer::ended`] says.
    pub(crate) async fn piece(&mut self) -> Option<Bytes> {
        if self.answer.ended != Ended::Left {
            return None;
        }
        match tokio::time::timeout(PATIENCE, self.body.data()).await.expect("a piece in time") {
            Some(Ok(piece)) => {
                // An error means that the stream is over, which the next call tells.
                let _ = self.body.flow_control().release_capacity(piece.len());
                self.answer.pieces.push((self.started.elapsed(), piece.clone()));
                Some(piece)
            }
            Some(Err(_)) => {
                self.answer.ended = Ended::Broken;
                None
            }
            None => {
                self.answer.ended = Ended::Whole;
                None
            }
        }
    }

    /// Reads until so many bytes have come.
    pub(crate) async fn until_bytes(&mut self, bytes: usize) {
        while self.answer.body().len() < bytes {
            assert!(self.piece().await.is_some(), "the answer ended before byte {bytes}");
        }
    }

    /// Reads to the end.
    pub(crate) async fn rest(mut self) -> Answer {
        while self.piece().await.is_some() {}
        self.answer
    }
}

async fn begin(client: h2::client::SendRequest<Bytes>, request: &Request) -> Result<Exchange, h2::Error> {
    let mut client = client.ready().await?;
    let started = Instant::now();
    let mut builder =
        http::Request::builder().method(request.method.as_str()).uri(format!("http://gateway.test{}", request.target));
    for (name, value) in request.fields.iter().filter(|(name, _)| name != "host") {
        builder = builder.header(name, value);
    }
    let body = match &request.body {
        Body::Length(body) => {
            builder = builder.header("content-length", body.len());
            Some(body.clone())
        }
        Body::Chunked(body, _) => Some(body.clone()),
        _ => None,
    };
    let (response, mut sink) = client.send_request(builder.body(()).expect("a valid request"), body.is_none())?;
    if let Some(body) = body {
        tokio::spawn(async move { send_body(&mut sink, body).await });
    }
    let (head, body) = response.await?.into_parts();
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let answer = Answer {
        informational: Vec::new(),
        status: head.status.as_u16(),
        fields: head.headers.iter().map(field).collect(),
        pieces: Vec::new(),
        ended: Ended::Left,
    };
    Ok(Exchange { answer, body, started, _client: client })
}

/// Sends as the window allows. A peer that answers early may reset the stream: that is not our error.
async fn send_body(sink: &mut h2::SendStream<Bytes>, body: Bytes) -> Option<()> {
    send_piece(sink, body).await?;
    sink.send_data(Bytes::new(), true).ok()
}

/// The same, without an end.
pub(crate) async fn send_piece(sink: &mut h2::SendStream<Bytes>, mut body: Bytes) -> Option<()> {
    while !body.is_empty() {
        sink.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| sink.poll_capacity(cx)).await?.ok()?;
        if room == 0 {
            tokio::task::yield_now().await;
            continue;
        }
        let part = body.split_to(room.min(body.len()));
        sink.send_data(part, false).ok()?;
    }
    Some(())
}
