//! From an upstream to a Pingora peer. Names are resolved off Pingora's path (its own resolver blocks and panics), kept,
//! and refreshed in the background.

use crate::clock::steady_unsigned_ms;
use crate::config::HttpVersion;
use crate::snapshot::Upstream;
use arc_swap::ArcSwapOption;
use pingora::Result;
use pingora::prelude::HttpPeer;
use pingora::protocols::TcpKeepalive;
use pingora::{Error, ErrorType};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Addresses older than this are looked up again, beside the request that noticed.
const FRESH_FOR: Duration = Duration::from_secs(30);
/// An address that did not connect is passed over for so long, while the host has another one.
const BAD_FOR_MS: u64 = 60_000;
/// A pooled connection that idles longer is closed.
pub(super) const POOLED_IDLE_MAX: Duration = Duration::from_secs(90);
/// A write that an upstream does not take for this long fails.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// HTTP/2 streams on one upstream connection.
const H2_STREAMS_MAX: usize = 100;
/// A provider closes HTTP/2 connections that are dead on the way only if someone asks.
const H2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// A connection on which nothing has come for so long is asked whether its other end is still there …
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// … and again, if it does not say.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_COUNT: usize = 3;

/// What notices that the way to an upstream has gone: a balancer that has forgotten a connection tells nobody.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive {
        idle: KEEPALIVE_IDLE,
        interval: KEEPALIVE_INTERVAL,
        count: KEEPALIVE_COUNT,
        // What was sent and is not even acknowledged.
        #[cfg(target_os = "linux")]
        user_timeout: WRITE_TIMEOUT,
    }
}

/// The resolved addresses of one upstream's host.
#[derive(Default)]
pub struct Addresses {
    known: ArcSwapOption<Resolved>,
    refreshing: AtomicBool,
    next: AtomicUsize,
}

struct Resolved {
    addresses: Vec<Address>,
    at: Instant,
}

struct Address {
    socket: SocketAddr,
    /// Unix time in milliseconds until which it is passed over; 0: it is not.
    bad_until_ms: AtomicU64,
}

impl Addresses {
    /// No connection to this address: it is passed over for a while. True: there is another one to try.
    pub(super) fn mark_bad(&self, address: SocketAddr) -> bool {
        let now_ms = steady_unsigned_ms();
        let Some(known) = self.known.load_full() else { return false };
        for known in known.addresses.iter().filter(|known| known.socket == address) {
            known.bad_until_ms.store(now_ms + BAD_FOR_MS, Ordering::Relaxed);
        }
        known.addresses.iter().any(|known| known.is_good(now_ms))
    }
}

impl Address {
    fn is_good(&self, now_ms: u64) -> bool {
        self.bad_until_ms.load(Ordering::Relaxed) <= now_ms
    }
}

/// The peer that an upstream is at an address.
pub(super) fn peer(upstream: &Upstream, address: SocketAddr, connect: Duration) -> HttpPeer {
    let mut peer = HttpPeer::new(address, upstream.tls, upstream.host.clone());
    // Connections of two accounts are never shared, even to the same address.
    peer.group_key = upstream.group_key;
    let options = &mut peer.options;
    options.connection_timeout = Some(connect);
    options.total_connection_timeout = Some(connect);
    options.idle_timeout = Some(POOLED_IDLE_MAX);
    options.tcp_keepalive = Some(keepalive());
    match upstream.http_version {
        // Offered alone: who is offered both mostly takes HTTP/2.
        HttpVersion::Http1 => options.set_http_version(1, 1),
        HttpVersion::Http2 => {
            options.set_http_version(2, 1);
            options.max_h2_streams = H2_STREAMS_MAX;
            options.h2_ping_interval = Some(H2_PING_INTERVAL);
        }
    }
    peer
}

/// Where to reach an upstream now.
///
/// # Errors
/// `ConnectError` or `ConnectTimedout` when the name does not resolve.
pub(super) async fn address(upstream: &Arc<Upstream>, limit: Duration) -> Result<SocketAddr> {
    if let Ok(ip) = upstream.host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, upstream.port));
    }
    let addresses = &upstream.addresses;
    if let Some(known) = addresses.known.load_full() {
        if known.at.elapsed() > FRESH_FOR && !addresses.refreshing.swap(true, Ordering::AcqRel) {
            let upstream = upstream.clone();
            tokio::spawn(async move {
                // A failed refresh keeps the old addresses: they may well still work.
                let _ = resolve(&upstream, limit).await;
                upstream.addresses.refreshing.store(false, Ordering::Release);
            });
        }
        return Ok(known.choose(addresses));
    }
    resolve(upstream, limit).await.map(|resolved| resolved.choose(addresses))
}

async fn resolve(upstream: &Upstream, limit: Duration) -> Result<Arc<Resolved>> {
    let lookup = tokio::net::lookup_host((&*upstream.host, upstream.port));
    let found = match tokio::time::timeout(limit, lookup).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => return Error::e_explain(ErrorType::ConnectError, format!("{}: {error}", upstream.host)),
        Err(_) => return Error::e_explain(ErrorType::ConnectTimedout, format!("{}: no answer", upstream.host)),
    };
    if found.is_empty() {
        return Error::e_explain(ErrorType::ConnectError, format!("{}: no address", upstream.host));
    }
    let before = upstream.addresses.known.load_full();
    let bad_until_ms = |socket: &SocketAddr| {
        let before = before.as_ref()?.addresses.iter().find(|before| before.socket == *socket)?;
        Some(before.bad_until_ms.load(Ordering::Relaxed))
    };
    let addresses = found
        .into_iter()
        .map(|socket| Address { bad_until_ms: bad_until_ms(&socket).unwrap_or(0).into(), socket })
        .collect();
    let resolved = Arc::new(Resolved { addresses, at: Instant::now() });
    upstream.addresses.known.store(Some(resolved.clone()));
    Ok(resolved)
}

impl Resolved {
    /// One after the other among those that can be reached; never empty. (A host may have addresses of a family that this
    /// machine has no way to.)
    fn choose(&self, state: &Addresses) -> SocketAddr {
        let now_ms = steady_unsigned_ms();
        let start = state.next.fetch_add(1, Ordering::Relaxed);
        let nth = |step: usize| &self.addresses[start.wrapping_add(step) % self.addresses.len()];
        let good = (0..self.addresses.len()).map(nth).find(|address| address.is_good(now_ms));
        good.unwrap_or_else(|| nth(0)).socket
    }
}
