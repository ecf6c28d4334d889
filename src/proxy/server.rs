//! How requests come in: through Pingora's HTTP server, as an application of its own (the binary's way, without what a
//! general proxy prepares for each request and the gateway does not use), or as a `ProxyHttp` in somebody's own server.

use super::downstream::CLIENT_WRITE_TIMEOUT;
use super::gathered::Gathered;
use super::timer::within;
use super::{Gateway, farewell, patience, reject, sound};
use crate::dialect::{DialectId, answer};
use async_trait::async_trait;
use http::header;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::http::ResponseHeader;
use pingora::prelude::HttpPeer;
use pingora::protocols::http::ServerSession;
use pingora::protocols::{ALPN, Stream};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType, Result};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tollgate_plugin_api::Reject;
use uuid::Uuid;

/// So long after another process has taken over, or after an answer that had begun by then, a connection to this one is answered as
/// before, but that its next answer is its last: clients that use theirs learn of it by an answer, not by a closed connection
/// that crosses their next request.
pub const LINGER: Duration = Duration::from_secs(1);

/// The gateway as an application of Pingora's.
pub struct GatewayServer {
    http1: Arc<Http>,
    http2: Arc<Http>,
    ending: Arc<Ending>,
}

impl GatewayServer {
    /// Serves HTTP/1.1 and HTTP/2, over TLS and without.
    pub fn new(gateway: Gateway) -> Self {
        let ending = Arc::new(Ending::default());
        let http = |h2c| {
            let mut options = HttpServerOptions::default();
            options.h2c = h2c;
            Arc::new(Http { gateway: gateway.clone(), options, ending: ending.clone() })
        };
        Self { http1: http(false), http2: http(true), ending }
    }
}

/// Looks at how a connection begins, and leaves it to the HTTP server that it is for.
#[async_trait]
impl ServerApp for GatewayServer {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // Under TLS the client has said it in the handshake.
        let is_agreed = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        if is_agreed || (stream.get_ssl_digest().is_none() && patience::begins_as_http2(&mut stream).await?) {
            let mut http2 = Gathered::http2(stream);
            if is_agreed {
                http2.begin_http2().await.inspect_err(|error| tracing::debug!("no HTTP/2: {error}")).ok()?;
            }
            let last_written = http2.last_written();
            return farewell::serve(&self.http2, Box::new(http2), last_written, shutdown).await;
        }
        self.http1.process_new(Box::new(Gathered::new(stream)), shutdown).await
    }

    async fn cleanup(&self) {
        if self.http1.gateway.shared().lingers() {
            tokio::time::sleep(LINGER).await;
        }
        self.ending.come();
    }
}

/// Tells connections between two requests that the server ends.
#[derive(Default)]
struct Ending {
    notify: Notify,
    has_come: AtomicBool,
}

impl Ending {
    fn come(&self) {
        self.has_come.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Waits until connections are not waited for any more.
    async fn has_come(&self) {
        // Before the look, so that nothing is missed between the two.
        let notified = self.notify.notified();
        if !self.has_come.load(Ordering::Acquire) {
            notified.await;
        }
    }
}

/// The gateway as an application of Pingora's HTTP server.
struct Http {
    gateway: Gateway,
    options: HttpServerOptions,
    ending: Arc<Ending>,
}

/// What came instead of a request, or before it.
enum Head {
    /// A request.
    Whole,
    /// One that the HTTP server does not understand, as far as it could be read.
    Unsound,
    /// Nothing.
    None,
}

impl Http {
    /// Waits until a connection is not waited for any more on which there is nothing to do since then.
    async fn is_over(&self, idle_since: Instant) {
        self.ending.has_come().await;
        if self.gateway.shared().lingers() {
            // Its last answer may have begun before the end, and not have said that it is the last.
            tokio::time::sleep_until(idle_since + LINGER).await;
        }
    }

    /// Reads the head of a request.
    async fn read_head(&self, session: &mut ServerSession) -> Head {
        let idle_since = Instant::now();
        // What has arrived is answered, also by a server that has ended.
        let read = {
            let mut reading = pin!(patience::head(session));
            tokio::select! { biased;
                read = &mut reading => read,
                () = self.is_over(idle_since) => return Head::None,
            }
        };
        match read {
            Ok(true) => return Head::Whole,
            Ok(false) => return Head::None,
            Err(error) if *error.etype() == ErrorType::InvalidHTTPHeader => {
                // Pingora gives no request back that it could not read, and panics when asked for it; but this it tells.
                if !session.request_summary().starts_with("- ") {
                    return Head::Unsound;
                }
                self.refuse_unread(session, &sound::unread(&error)).await;
            }
            Err(error) => tracing::debug!("no request: {error}"),
        }
        let _ = within(CLIENT_WRITE_TIMEOUT, pin!(session.shutdown())).await;
        Head::None
    }

    /// Refuses what could not be read. Nobody knows whose dialect it would be in.
    async fn refuse_unread(&self, session: &mut ServerSession, refusal: &Reject) {
        let row = refusal.code.row();
        self.gateway.shared().metrics.rejected(row.code);
        let id = Uuid::now_v7().to_string();
        let answer = pin!(async {
            let mut head = ResponseHeader::build(row.status, Some(4))?;
            let body = answer::reject_body(DialectId::OpenAi, refusal, &id);
            head.insert_header(header::CONTENT_TYPE, "application/json")?;
            head.insert_header(header::CONTENT_LENGTH, body.len())?;
            head.insert_header(reject::REQUEST_ID, &id)?;
            session.write_error_response(head, body).await
        });
        if let Ok(Err(error)) = within(CLIENT_WRITE_TIMEOUT, answer).await {
            tracing::debug!("refusal not sent: {error}");
        }
    }
}

impl Http {
    /// Answers one request. With it, the connection if it can be used again.
    async fn serve(&self, mut session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        let unsound = match self.read_head(&mut session).await {
            Head::Whole => None,
            Head::Unsound => Some(sound::refusal("it can be read in more than one way")),
            Head::None => return None,
        };
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let shared = self.gateway.shared();
        // Where it is made is where it stays: `select!` would copy all of it. Dropped in its middle, it is settled.
        let is_whole = {
            let mut answering = pin!(self.gateway.answer_as(&mut session, unsound));
            tokio::select! { biased;
                is_whole = &mut answering => is_whole,
                () = shared.stopped() => false,
            }
        };
        if !is_whole {
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let reusable = finished(pin!(session.finish())).await;
        reusable.map(|stream| ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

/// The connection, if it can be used again. Under TLS even its end is written, and waits for a client that does not read.
async fn finished<T>(finishing: Pin<&mut impl Future<Output = Result<Option<T>>>>) -> Option<T> {
    within(CLIENT_WRITE_TIMEOUT, finishing).await.ok()?.ok().flatten()
}

/// What a connection is served by, once a request.
type Serving<'a> = Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'a>>;

impl HttpServerApp for Http {
    fn process_new_http<'gateway, 'watch, 'serving>(
        self: &'gateway Arc<Self>,
        session: ServerSession,
        shutdown: &'watch ShutdownWatch,
    ) -> Serving<'serving>
    where
        'gateway: 'serving,
        'watch: 'serving,
        Self: 'serving,
    {
        // In its place from the beginning: `Box::pin` would make these kilobytes on the stack, and copy all of them.
        let in_place = Box::write(Box::new_uninit(), self.serve(session, shutdown));
        Box::into_pin(in_place)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// All five stages run in `request_filter`; Pingora's proxy loop has nothing to do.
#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> Result<bool> {
        if self.answer(session.as_mut()).await {
            return Ok(true);
        }
        Error::e_explain(ErrorType::ConnectionClosed, "the connection ends with its request").map_err(Error::into_down)
    }

    /// Never asked: the gateway has its own connections to its upstreams.
    async fn upstream_peer(&self, _session: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Error::e_explain(ErrorType::InternalError, "the gateway chooses its upstreams itself")
    }

    /// Whatever there was to say has been said.
    async fn fail_to_proxy(&self, _session: &mut Session, _error: &Error, (): &mut ()) -> FailToProxy {
        FailToProxy { error_code: 0, can_reuse_downstream: false }
    }

    /// What goes wrong is logged where it is judged, once.
    fn suppress_error_log(&self, _session: &Session, (): &(), _error: &Error) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::FutureExt;
    use tokio::io::AsyncWriteExt;

    #[tokio::test(start_paused = true)]
    async fn the_end_of_an_answer_that_its_client_does_not_read_is_not_waited_for_for_ever() {
        let (mut client, ours) = tokio::io::duplex(256);
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut session = ServerSession::new_http1(Box::new(ours));
        assert!(session.read_request().await.unwrap());
        let mut head = ResponseHeader::build(200, None).unwrap();
        head.insert_header(header::TRANSFER_ENCODING, "chunked").unwrap();
        session.write_response_header(Box::new(head)).await.unwrap();
        let written = session.write_response_body(Bytes::from(vec![0; 1024]), false).now_or_never();
        assert!(written.is_none(), "there is no room for it");
        let finishing = pin!(session.finish());
        let finished = tokio::time::timeout(10 * CLIENT_WRITE_TIMEOUT, finished(finishing)).await;
        assert!(finished.expect("an end").is_none());
    }
}
