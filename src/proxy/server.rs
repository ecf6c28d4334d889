//! How requests come in: through Pingora's HTTP server, as an application of its own (the binary's way, without what a
//! general proxy prepares for each request and the gateway does not use), or as a `ProxyHttp` in somebody's own server.

use super::Gateway;
use async_trait::async_trait;
use http::Method;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::prelude::HttpPeer;
use pingora::protocols::http::ServerSession;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// An HTTP/2 connection without a stream is closed after this.
const H2_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// So long after another process has taken over, connections to this one are answered as before, but that each answer is their
/// last: clients that use theirs learn of it by an answer, not by a closed connection that crosses their next request.
pub const LINGER: Duration = Duration::from_secs(1);

/// The gateway as an application of Pingora's HTTP server.
pub struct GatewayServer {
    gateway: Gateway,
    options: HttpServerOptions,
    /// Connections between two requests are told that the server ends.
    ending: Notify,
    ended: AtomicBool,
}

impl GatewayServer {
    /// Serves HTTP/1.1 and HTTP/2, over TLS and without.
    pub fn new(gateway: Gateway) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(H2_IDLE_TIMEOUT);
        Self { gateway, options, ending: Notify::new(), ended: AtomicBool::new(false) }
    }

    /// Waits until connections are not waited for any more.
    async fn has_ended(&self) {
        // Before the look, so that nothing is missed between the two.
        let ending = self.ending.notified();
        if !self.ended.load(Ordering::Acquire) {
            ending.await;
        }
    }

    /// Reads the head of a request. False: there is none, or none that can be understood.
    async fn read_head(&self, session: &mut ServerSession) -> bool {
        // What has arrived is answered, also by a server that has ended.
        let read = tokio::select! { biased;
            read = session.read_request() => read,
            () = self.has_ended() => return false,
        };
        let refused = match read {
            Ok(true) if session.req_header().method == Method::CONNECT => 405,
            Ok(read) => return read,
            Err(error) if *error.etype() == ErrorType::InvalidHTTPHeader => 400,
            Err(error) => {
                tracing::debug!("no request: {error}");
                session.shutdown().await;
                return false;
            }
        };
        if let Err(error) = session.respond_error(refused).await {
            tracing::debug!("refusal not sent: {error}");
        }
        session.shutdown().await;
        false
    }
}

#[async_trait]
impl HttpServerApp for GatewayServer {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !self.read_head(&mut session).await {
            return None;
        }
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let shared = self.gateway.shared().clone();
        let is_whole = tokio::select! { biased;
            is_whole = self.gateway.answer(&mut session) => is_whole,
            // It is dropped, which settles it.
            () = shared.stopped() => false,
        };
        if !is_whole {
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let reusable = session.finish().await.ok().flatten();
        reusable.map(|stream| ReusedHttpStream::from_reusable_stream(stream, settings))
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    async fn http_cleanup(&self) {
        if self.gateway.shared().lingers() {
            tokio::time::sleep(LINGER).await;
        }
        self.ended.store(true, Ordering::Release);
        self.ending.notify_waiters();
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
