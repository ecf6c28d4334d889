//! The upstream's side of an attempt: a pooled connection, and one request and its answer on it, over HTTP/1.1 or HTTP/2.

use super::http1::{AnswerHead, Http1, RequestHead};
use super::peer;
use super::pool::{Home, Place, Pool, Pooled};
use super::timer::Timer;
use crate::config::HttpVersion;
use crate::snapshot::Upstream;
use bytes::Bytes;
use http::{Version, header};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::prelude::HttpPeer;
use pingora::protocols::Stream;
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v2;
use pingora::protocols::http::v2::client::Http2Session as Http2;
use pingora::upstreams::peer::Peer;
use pingora::{Error, ErrorType, OrErr, Result};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Idle HTTP/2 connections that are kept, of all upstreams.
const HTTP2_POOL_SIZE: usize = 1024;

/// The connections to all upstreams: of HTTP/1.1, idle ones wait in a pool of ours; of HTTP/2, in Pingora's.
pub(super) struct Connections {
    connector: Connector,
    pool: Pool,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { connector: Connector::new(Some(ConnectorOptions::new(HTTP2_POOL_SIZE))), pool: Pool::default() }
    }

    /// A connection of HTTP/1.1 to an upstream that idles.
    pub(super) fn idle(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        address: SocketAddr,
        timeout: Duration,
    ) -> Option<Conversation> {
        let place = Place::of(upstream, address);
        let (Pooled { http1, timer, home }, borrows_often) = self.pool.take(place)?;
        if borrows_often {
            self.make_beforehand(upstream, place, timeout);
        }
        Some(Conversation { timer, home, ..Conversation::begin(Wire::Http1(http1), place, upstream) })
    }

    /// A new connection to an upstream, or one of HTTP/2 that can take one more request; and whether it is one that was there.
    ///
    /// # Errors
    /// What Pingora says of connecting, as the upstream's.
    pub(super) async fn connect(
        &self,
        upstream: &Upstream,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<(Conversation, bool)> {
        let place = Place::of(upstream, address);
        let peer = Box::new(peer::peer(upstream, address, timeout));
        // Seldom, and large.
        let connecting = Box::pin(self.connector.get_http_session(&*peer));
        let (session, reused) = connecting.await.map_err(|error| explained(error.into_up(), upstream.http_version))?;
        let wire = match session {
            HttpSession::H1(http1) => Wire::Http1(Http1::new(http1.into_inner())),
            HttpSession::H2(http2) => Wire::Http2(Box::new(http2), peer),
            HttpSession::Custom(()) => return Error::e_explain(ErrorType::InternalError, "no such protocol"),
        };
        Ok((Conversation::begin(wire, place, upstream), reused))
    }

    /// Makes a connection for later exchanges on this thread; none waits for it.
    fn make_beforehand(self: &Arc<Self>, upstream: &Arc<Upstream>, place: Place, timeout: Duration) {
        let (connections, upstream) = (self.clone(), upstream.clone());
        tokio::spawn(async move {
            let peer = peer::peer(&upstream, place.address, timeout);
            match connections.connector.get_http_session(&peer).await {
                Ok((HttpSession::H1(http1), _)) => {
                    let http1 = Http1::new(http1.into_inner());
                    connections.pool.put(place, Pooled { http1, timer: None, home: Home::here() });
                }
                Ok((HttpSession::H2(http2), _)) => connections.release(Box::new(http2), &peer).await,
                Ok((HttpSession::Custom(()), _)) => {}
                // Whoever needs one says it.
                Err(error) => tracing::debug!("upstream {}: {error}", upstream.name),
            }
        });
    }

    /// The conversation came to its end: its connection is kept, if it can be used again.
    pub(super) async fn keep(&self, conversation: Conversation) {
        match conversation.wire {
            Wire::Http1(http1) => {
                let reusable = http1.into_reusable().filter(|_| conversation.unsent.is_none());
                if let Some(http1) = reusable {
                    self.pool
                        .put(conversation.place, Pooled { http1, timer: conversation.timer, home: conversation.home });
                }
            }
            Wire::Http2(http2, peer) => self.release(http2, &peer).await,
        }
    }

    /// The conversation is given up in its middle; the upstream is told.
    pub(super) async fn give_up(&self, conversation: Conversation) {
        match conversation.wire {
            Wire::Http1(http1) => http1.close(),
            Wire::Http2(mut http2, peer) => {
                http2.shutdown();
                self.release(http2, &peer).await;
            }
        }
    }

    /// The connection of an HTTP/2 stream goes on; its place for a stream comes back.
    async fn release(&self, http2: Box<Http2>, peer: &HttpPeer) {
        Box::pin(self.connector.release_http_session(HttpSession::H2(*http2), peer, peer.idle_timeout())).await;
    }

    /// Closes what has idled for too long, or was closed by the upstream.
    pub(super) fn sweep(&self) {
        self.pool.sweep();
    }
}

/// What rustls says of a server that speaks nothing of what it was offered (RFC 7301, 3.2).
const NOTHING_IN_COMMON: &str = "NoApplicationProtocol";

fn explained(error: Box<Error>, offered: HttpVersion) -> Box<Error> {
    let is_about_that = error.context.as_ref().is_some_and(|context| context.as_str().contains(NOTHING_IN_COMMON));
    match offered {
        HttpVersion::Http1 if is_about_that => {
            error.more_context("it does not speak HTTP/1.1, expected `http_version = \"2\"` in its `[[upstream]]`")
        }
        _ => error,
    }
}

/// One request and its answer on one connection.
pub(super) struct Conversation {
    wire: Wire,
    place: Place,
    home: Home,
    tls: bool,
    /// The clock of whoever converses; it goes with the connection from one exchange to the next.
    pub(super) timer: Option<Timer>,
    /// Why the request did not go out whole: an upstream may answer before it has read it all, and close.
    unsent: Option<Box<Error>>,
    /// Found behind bytes that were good.
    failed: Option<Box<Error>>,
    /// It ended, and nothing shows that the upstream got the request.
    is_unheard: bool,
}

enum Wire {
    Http1(Http1<Stream>),
    Http2(Box<Http2>, Box<HttpPeer>),
}

impl Conversation {
    fn begin(wire: Wire, place: Place, upstream: &Upstream) -> Self {
        let (home, tls) = (Home::here(), upstream.tls);
        Self { wire, place, home, tls, timer: None, unsent: None, failed: None, is_unheard: false }
    }

    /// Sends the request and reads the head of its answer. The exchange's deadlines are the caller's business.
    ///
    /// # Errors
    /// Whatever keeps a whole head from coming, as the upstream's.
    pub(super) async fn ask(&mut self, head: RequestHead, body: Bytes) -> Result<AnswerHead> {
        let answered = match &mut self.wire {
            Wire::Http1(http1) => {
                // Also when this fails, an answer may be there to be read.
                self.unsent = http1.send(&head, &body, peer::WRITE_TIMEOUT).await.err();
                http1.read_head().await
            }
            Wire::Http2(http2, _) => Box::pin(ask_http2(http2, head, body, self.tls, &mut self.unsent)).await,
        };
        if let (Wire::Http2(http2, _), Err(error)) = (&self.wire, &answered)
            && is_unprocessed(error)
        {
            // The next try is on another one.
            http2.conn.mark_shutdown();
        }
        answered.map_err(|error| {
            self.is_unheard = match &self.wire {
                Wire::Http1(http1) => is_end(&error) && !http1.is_heard(),
                Wire::Http2(..) => is_reset_connection(&error),
            };
            // Who does not process a request mostly does not read it either, and says the former.
            let unsent = self.unsent.take().filter(|_| !is_unprocessed(&error));
            unsent.unwrap_or(error).into_up()
        })
    }

    /// Whether asking failed because the connection ended without a sign that the upstream got the request: one that had idled was
    /// dead, by the looks of it.
    pub(super) fn is_unheard(&self) -> bool {
        self.is_unheard
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
            Wire::Http1(http1) => http1.piece().await,
            Wire::Http2(http2, _) => read_http2(http2).await,
        };
        piece.map_err(Error::into_up)
    }

    /// Whether the answer is over. If it is not by its end, the next [`Conversation::piece`] says so.
    pub(super) fn is_over(&mut self) -> bool {
        match &mut self.wire {
            Wire::Http1(http1) => http1.is_over(),
            Wire::Http2(http2, _) => http2.check_response_end_or_error().unwrap_or_else(|error| {
                self.failed = Some(error.into_up());
                false
            }),
        }
    }
}

/// Whether an upstream says that it has not processed a request, and will not: it refused the stream, or its GOAWAY names an earlier
/// one as the last, whatever the reason (RFC 9113, sections 8.7 and 6.8; of the streams on a connection, `h2` tells a peer's GOAWAY
/// to those alone). To be asked before there is an answer.
pub(super) fn is_unprocessed(error: &Error) -> bool {
    let said = error.root_cause().downcast_ref::<h2::Error>().filter(|said| said.is_remote());
    said.is_some_and(|said| said.is_go_away() || said.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// Whether reading failed because the connection ended.
fn is_end(error: &Error) -> bool {
    matches!(error.etype(), ErrorType::ReadError | ErrorType::ConnectionClosed)
}

/// Whether a connection of HTTP/2 was reset, as whoever knows nothing of it does. All else shows that somebody was there: a stream's
/// reset, whatever its code, or an end in order, before which a GOAWAY says what is not processed (RFC 9113, section 6.8). One that
/// says that the request is processed cannot be told from none here, as `h2` keeps it to itself.
fn is_reset_connection(error: &Error) -> bool {
    let io = error.root_cause().downcast_ref::<h2::Error>().and_then(h2::Error::get_io);
    io.is_some_and(|io| matches!(io.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted))
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
    head: RequestHead,
    body: Bytes,
    tls: bool,
    unsent: &mut Option<Box<Error>>,
) -> Result<AnswerHead> {
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
    let Some(answer) = http2.response_header() else {
        return Error::e_explain(ErrorType::H2Error, "an answer without a head");
    };
    let (status, headers) = (answer.status, answer.headers.clone());
    if !sent && status.is_success() {
        *unsent = sending.await.err();
    }
    Ok(AnswerHead { status, version: Version::HTTP_2, reason: None, headers })
}

/// HTTP/2 has the host in the target.
fn http2_head(head: RequestHead, tls: bool) -> Result<RequestHeader> {
    let RequestHead { method, target, mut headers } = head;
    let host = headers.remove(header::HOST);
    let target = http::Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(host.as_ref().map_or(&b""[..], |host| host.as_bytes()))
        .path_and_query(target);
    let (mut parts, ()) = http::Request::new(()).into_parts();
    (parts.method, parts.version, parts.headers) = (method, Version::HTTP_2, headers);
    parts.uri = target.build().or_err(ErrorType::InvalidHTTPHeader, "a target that cannot be sent")?;
    Ok(RequestHeader::from(parts))
}
