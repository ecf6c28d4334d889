//! The bare Pingora passthrough: one `ProxyHttp` that names its upstream and does nothing else.

use crate::Failure;
use async_trait::async_trait;
use pingora::Result;
use pingora::prelude::{HttpPeer, Server};
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::configuration::ServerConf;
use std::net::SocketAddr;

struct Passthrough {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Passthrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

/// Proxies from one address to the other until it is told to stop. `work_stealing`: as Pingora comes; without, each thread keeps
/// the connections that it got, as Tollgate's do.
pub(crate) fn run(listen: &str, upstream: &str, work_stealing: bool) -> Result<(), Failure> {
    let conf = ServerConf {
        threads: crate::proxies::THREADS,
        upstream_keepalive_pool_size: 1024,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        work_stealing,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Passthrough { upstream: upstream.parse()? });
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever()
}
