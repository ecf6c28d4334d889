//! The data plane: five stages in the order of a request. Only here is Pingora's proxy known.
//!
//! admit → route → forward → receive → settle; failover alone goes back, to route. Stages meet only in [`Exchange`].

mod admit;
mod body;
mod control;
mod downstream;
mod exchange;
mod failure;
mod forward;
mod head;
mod mask;
mod models;
mod peer;
mod receive;
mod reject;
mod route;
mod settle;
mod shared;

pub use exchange::{Exchange, unix_ms};
pub use mask::Fragments;
pub use peer::Addresses;
pub use shared::Shared;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::{Error, ErrorSource, ErrorType};
use std::sync::Arc;
use std::time::Duration;

/// The gateway as a Pingora `ProxyHttp`, to be mounted in the `tollgate` binary's server or in one's own. The server's
/// `max_retries` must be at least the configuration's `attempts_max` plus one.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// A gateway on these parts.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// What its exchanges share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::new(self.shared.clone())
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        admit::admit(session, exchange).await
    }

    async fn upstream_peer(&self, _session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        route::route(exchange).await
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        forward::request_head(request, exchange)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        forward::request_body(body, exchange);
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if head.status.is_informational() { Ok(()) } else { head::answer_head(head, session, exchange) }
    }

    /// HTTP/1.0 knows no chunks: there the end of the connection ends the body (RFC 9112, 6.1).
    async fn response_filter(&self, session: &mut Session, head: &mut ResponseHeader, _: &mut Exchange) -> Result<()> {
        if session.req_header().version == http::Version::HTTP_10 {
            head.remove_header(&http::header::TRANSFER_ENCODING);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        receive::body(body, end, exchange).map(|()| None)
    }

    async fn response_trailer_filter(
        &self,
        _session: &mut Session,
        _trailers: &mut HeaderMap,
        exchange: &mut Exchange,
    ) -> Result<Option<Bytes>> {
        Ok(receive::trailers(exchange))
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        peer: &HttpPeer,
        exchange: &mut Exchange,
        error: Box<Error>,
    ) -> Box<Error> {
        failure::while_connecting(peer, exchange, error)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        _session: &mut Session,
        error: Box<Error>,
        exchange: &mut Exchange,
        reused: bool,
    ) -> Box<Error> {
        failure::while_proxying(exchange, error, reused)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        failure::at_last(session, error, exchange).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        failure::logging(session, error, exchange).await;
    }

    /// Pingora's own one has the query, and in it may be the caller's credential.
    fn request_summary(&self, session: &Session, exchange: &Exchange) -> String {
        let request = session.req_header();
        format!("{} {} {}", exchange.request_id, request.method, request.uri.path())
    }

    /// Failed attempts are logged where they are judged, once.
    fn suppress_error_log(&self, _session: &Session, _exchange: &Exchange, error: &Error) -> bool {
        matches!(error.esource(), ErrorSource::Downstream | ErrorSource::Upstream)
            || matches!(error.etype(), ErrorType::HTTPStatus(_))
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _exchange: &Exchange,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
