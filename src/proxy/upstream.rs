//! The upstream's side of an attempt: a pooled connection, the request in as few writes as it takes, the answer in pieces
//! as large as they are there.

use super::downstream::HOLD_BYTES_MAX;
use super::peer;
use super::pool::{Place, Pool};
use crate::snapshot::Upstream;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::{StatusCode, Version, header};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::HttpPeer;
use pingora::protocols::Stream;
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v1::client::{HttpSession as Http1, http_req_header_to_wire};
use pingora::protocols::http::v2;
use pingora::protocols::http::v2::client::Http2Session as Http2;
use pingora::upstreams::peer::Peer;
use pingora::{Error, ErrorType, OrErr, Result};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Idle HTTP/2 connections that are kept, of all upstreams.
const HTTP2_POOL_SIZE: usize = 1024;
/// A body up to here is copied behind its head, so that both go out with one write (one TLS record, one packet).
const COPIED_BODY_BYTES_MAX: usize = 64 * 1024;
/// What is there already is joined up to here: many chunks cost one pass instead of one each.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// A write that an upstream does not take for this long fails.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Heads of 1xx that an upstream may send before its answer.
const INFORMATIONAL_MAX: usize = 16;

/// The connections to all upstreams: of HTTP/1.1, idle ones wait in a pool of ours; of HTTP/2, in Pingora's.
pub(super) struct Connections {
    connector: Connector,
    pool: Pool,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { connector: Connector::new(Some(ConnectorOptions::new(HTTP2_POOL_SIZE))), pool: Pool::default() }
    }

    /// A connection to an upstream, and whether it was used before.
    ///
    /// # Errors
    /// What Pingora says of connecting, as the upstream's.
    pub(super) async fn connect(
        &self,
        upstream: &Upstream,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<(Conversation, bool)> {
        let place = Place { account: upstream.group_key, address };
        let begun = |wire, peer| Conversation { wire, place, tls: upstream.tls, peer, unsent: None, failed: None };
        if let Some(stream) = self.pool.take(place) {
            return Ok((begun(Wire::Unasked(Some(stream)), None), true));
        }
        let peer = Box::new(peer::peer(upstream, address, timeout));
        let (session, reused) = self.connector.get_http_session(&*peer).await.map_err(Error::into_up)?;
        match session {
            HttpSession::H1(http1) => Ok((begun(Wire::Unasked(Some(http1.into_inner())), None), reused)),
            HttpSession::H2(http2) => Ok((begun(Wire::Http2(Box::new(http2)), Some(peer)), reused)),
            HttpSession::Custom(()) => Error::e_explain(ErrorType::InternalError, "no such protocol"),
        }
    }

    /// The conversation came to its end: its connection is kept, if it can be used again.
    pub(super) async fn keep(&self, conversation: Conversation) {
        match conversation.wire {
            Wire::Http1(mut http1) if conversation.unsent.is_none() => {
                http1.respect_keepalive();
                if let Some(stream) = http1.reuse().await {
                    self.pool.put(conversation.place, stream);
                }
            }
            Wire::Http1(_) | Wire::Unasked(_) => {}
            Wire::Http2(http2) => self.release(http2, conversation.peer).await,
        }
    }

    /// The conversation is given up in its middle; the upstream is told.
    pub(super) async fn give_up(&self, conversation: Conversation) {
        match conversation.wire {
            Wire::Http1(mut http1) => http1.shutdown().await,
            Wire::Unasked(_) => {}
            Wire::Http2(mut http2) => {
                http2.shutdown();
                self.release(http2, conversation.peer).await;
            }
        }
    }

    /// The connection of an HTTP/2 stream goes on; its place for a stream comes back.
    async fn release(&self, http2: Box<Http2>, peer: Option<Box<HttpPeer>>) {
        if let Some(peer) = peer {
            self.connector.release_http_session(HttpSession::H2(*http2), &*peer, peer.idle_timeout()).await;
        }
    }

    /// Closes what has idled for too long, or was closed by the upstream.
    pub(super) fn sweep(&self) {
        self.pool.sweep();
    }
}

/// One request and its answer on one connection.
pub(super) struct Conversation {
    wire: Wire,
    place: Place,
    tls: bool,
    /// Of HTTP/2.
    peer: Option<Box<HttpPeer>>,
    /// Why the request did not go out whole: an upstream may answer before it has read it all, and close.
    unsent: Option<Box<Error>>,
    /// Found behind bytes that were good.
    failed: Option<Box<Error>>,
}

enum Wire {
    /// HTTP/1.1, before the request; empty while it is sent.
    Unasked(Option<Stream>),
    Http1(Box<Http1>),
    Http2(Box<Http2>),
}

impl Conversation {
    /// Sends the request and reads the head of its answer. The exchange's deadlines are the caller's business.
    ///
    /// # Errors
    /// Whatever keeps a whole head from coming, as the upstream's.
    pub(super) async fn ask(&mut self, head: RequestHeader, body: Bytes) -> Result<()> {
        let answered = match &mut self.wire {
            Wire::Unasked(stream) => {
                let stream = stream.take().ok_or_else(|| Error::explain(ErrorType::InternalError, "no connection"))?;
                let (http1, unsent) = send_http1(stream, &head, &body).await;
                self.unsent = unsent;
                self.wire = Wire::Http1(Box::new(http1));
                let Wire::Http1(http1) = &mut self.wire else { return Ok(()) };
                read_http1_head(http1).await
            }
            Wire::Http1(_) => Error::e_explain(ErrorType::InternalError, "asked twice"),
            Wire::Http2(http2) => ask_http2(http2, head, body, self.tls, &mut self.unsent).await,
        };
        match (answered, &mut self.unsent) {
            (Ok(()), _) => Ok(()),
            (Err(error), unsent) => Err(unsent.take().unwrap_or(error).into_up()),
        }
    }

    /// The head of the answer, after [`Conversation::ask`].
    pub(super) fn head(&self) -> Option<&ResponseHeader> {
        match &self.wire {
            Wire::Unasked(_) => None,
            Wire::Http1(http1) => http1.resp_header(),
            Wire::Http2(http2) => http2.response_header(),
        }
    }

    /// The next piece of the answer's body, as large as is there; `None`: it is over.
    ///
    /// # Errors
    /// The connection broke, or what came is no HTTP.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let piece = match &mut self.wire {
            Wire::Unasked(_) => Ok(None),
            Wire::Http1(http1) => read_http1(http1, &mut self.failed).await,
            Wire::Http2(http2) => read_http2(http2).await,
        };
        piece.map_err(Error::into_up)
    }

    /// Whether the answer is over. If it is not by its end, the next [`Conversation::piece`] says so.
    pub(super) fn is_over(&mut self) -> bool {
        if self.failed.is_some() {
            return false;
        }
        match &mut self.wire {
            Wire::Unasked(_) => false,
            Wire::Http1(http1) => http1.is_body_done(),
            Wire::Http2(http2) => http2.check_response_end_or_error().unwrap_or_else(|error| {
                self.failed = Some(error.into_up());
                false
            }),
        }
    }
}

/// Sends a request; also when that fails, an answer may be there to be read.
async fn send_http1(mut stream: Stream, head: &RequestHeader, body: &Bytes) -> (Http1, Option<Box<Error>>) {
    let sent = tokio::time::timeout(WRITE_TIMEOUT, write_http1(&mut stream, head, body)).await;
    let unsent = match sent {
        Ok(sent) => sent.err(),
        Err(_) => Some(Error::explain(ErrorType::WriteTimedout, "the upstream takes no bytes")),
    };
    (Http1::new(stream), unsent)
}

async fn write_http1(stream: &mut Stream, head: &RequestHeader, body: &Bytes) -> Result<()> {
    let mut wire = http_req_header_to_wire(head)
        .ok_or_else(|| Error::explain(ErrorType::InvalidHTTPHeader, "a request line that cannot be sent"))?;
    let rest = if body.len() <= COPIED_BODY_BYTES_MAX {
        wire.extend_from_slice(body);
        &[][..]
    } else {
        &body[..]
    };
    stream.write_all(&wire).await.or_err(ErrorType::WriteError, "sending a request")?;
    stream.write_all(rest).await.or_err(ErrorType::WriteError, "sending a request's body")?;
    stream.flush().await.or_err(ErrorType::WriteError, "sending a request")
}

async fn read_http1_head(http1: &mut Http1) -> Result<()> {
    for _ in 0..INFORMATIONAL_MAX {
        http1.read_response().await?;
        match http1.resp_header() {
            // Nobody asked for another protocol.
            Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => break,
            // 103 and the like belong to this connection, not to the answer.
            Some(head) if head.status.is_informational() => {}
            Some(_) => return Ok(()),
            None => break,
        }
    }
    Error::e_explain(ErrorType::InvalidHTTPHeader, "no answer but 1xx")
}

async fn read_http1(http1: &mut Http1, failed: &mut Option<Box<Error>>) -> Result<Option<Bytes>> {
    let Some(first) = http1.read_body_bytes().await? else { return Ok(None) };
    let mut joined: Option<BytesMut> = None;
    let mut bytes = first.len();
    while bytes < PIECE_BYTES_MAX && !http1.is_body_done() {
        match http1.read_body_ref().now_or_never() {
            Some(Ok(Some(more))) => {
                bytes += more.len();
                let joined = joined.get_or_insert_with(|| {
                    let mut joined = BytesMut::with_capacity(PIECE_BYTES_MAX);
                    joined.extend_from_slice(&first);
                    joined
                });
                joined.extend_from_slice(more);
            }
            // What is good goes first.
            Some(Err(error)) => {
                *failed = Some(error.into_up());
                break;
            }
            Some(Ok(None)) | None => break,
        }
    }
    Ok(Some(joined.map_or(first, BytesMut::freeze)))
}

async fn read_http2(http2: &mut Http2) -> Result<Option<Bytes>> {
    loop {
        match http2.read_response_body().await? {
            Some(piece) if piece.is_empty() && !http2.response_finished() => {}
            Some(piece) => return Ok(Some(piece)),
            None => {
                // No API says anything in trailers; a stream that was reset says it here.
                http2.read_trailers().await?;
                return Ok(None);
            }
        }
    }
}

/// Sends the request while the answer may come already: an upstream need not read all of a body to refuse it.
async fn ask_http2(
    http2: &mut Http2,
    head: RequestHeader,
    body: Bytes,
    tls: bool,
    unsent: &mut Option<Box<Error>>,
) -> Result<()> {
    http2.write_request_header(Box::new(http2_head(head, tls)?), body.is_empty())?;
    let writer = http2.take_request_body_writer().filter(|_| !body.is_empty());
    let mut sending = pin!(async {
        match writer {
            Some(mut writer) => v2::write_body(&mut writer, body, true, None).await,
            None => Ok(()),
        }
    });
    let mut sent = false;
    {
        let mut reading = pin!(http2.read_response_header());
        loop {
            tokio::select! { biased;
                outcome = &mut sending, if !sent => {
                    sent = true;
                    *unsent = outcome.err();
                }
                outcome = &mut reading => break outcome?,
            }
        }
    }
    if !sent && http2.response_header().is_some_and(|head| head.status.is_success()) {
        *unsent = sending.await.err();
    }
    Ok(())
}

/// HTTP/2 has the host in the target, and no fields of a connection's own.
fn http2_head(mut head: RequestHeader, tls: bool) -> Result<RequestHeader> {
    head.set_version(Version::HTTP_2);
    let host = head.remove_header(&header::HOST);
    let authority = host.as_ref().map_or(&b""[..], |host| host.as_bytes());
    let target = http::Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(authority)
        .path_and_query(head.uri.path_and_query().map_or("/", |target| target.as_str()));
    head.set_uri(target.build().or_err(ErrorType::InvalidHTTPHeader, "a target that cannot be sent")?);
    Ok(head)
}

const _: () = assert!(PIECE_BYTES_MAX < HOLD_BYTES_MAX, "a piece fits into what is held");
