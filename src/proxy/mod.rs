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
mod relay;
mod route;
mod settle;
mod shared;
mod upstream;

pub use exchange::{Exchange, unix_ms};
pub use mask::Fragments;
pub use peer::Addresses;
pub use shared::Shared;

use async_trait::async_trait;
use pingora::Result;
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::{Error, ErrorSource, ErrorType};
use std::sync::Arc;
use upstream::Upstreams;

/// The gateway as a Pingora `ProxyHttp`, to be mounted in the `tollgate` binary's server or in one's own.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    upstreams: Arc<Upstreams>,
}

impl Gateway {
    /// A gateway on these parts.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, upstreams: Arc::new(Upstreams::new()) }
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

    /// Stages 2 to 4. False: the answer is given, Pingora's own loop has nothing to do.
    async fn proxy_upstream_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        relay::relay(session, exchange, &self.upstreams).await.map(|()| false)
    }

    /// Never asked: the stages choose, and connect, themselves.
    async fn upstream_peer(&self, _session: &mut Session, _exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        Error::e_explain(ErrorType::InternalError, "the gateway has its own upstream connections")
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
