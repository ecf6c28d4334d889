//! Where the collector is, kept for a while: ureq asks before every call, also of one for which it has a connection, and
//! each time on a thread that it starts for that.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Then the collector may have moved.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// See the module. Clones know the same.
pub(crate) struct Addresses<R = DefaultResolver> {
    resolver: Arc<R>,
    known: Arc<Mutex<Option<Known>>>,
}

struct Known {
    of: Authority,
    addresses: Vec<SocketAddr>,
    since: Instant,
}

impl<R> Addresses<R> {
    /// Nothing is known yet; what is to be known is asked of this.
    pub(crate) fn of(resolver: R) -> Self {
        Self { resolver: Arc::new(resolver), known: Arc::default() }
    }

    /// Nobody was there.
    pub(crate) fn forget(&self) {
        *self.known() = None;
    }

    /// Whether the next call asks nobody.
    #[cfg(test)]
    pub(crate) fn are_known(&self) -> bool {
        self.known().is_some()
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        // It is whole at every moment.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Clone for Addresses<R> {
    fn clone(&self) -> Self {
        Self { resolver: self.resolver.clone(), known: self.known.clone() }
    }
}

impl<R: Resolver> Resolver for Addresses<R> {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let is_it = |known: &&Known| Some(&known.of) == uri.authority() && known.since.elapsed() < KNOWN_FOR;
        if let Some(known) = self.known().as_ref().filter(is_it) {
            let mut addresses = self.empty();
            known.addresses.iter().for_each(|address| addresses.push(*address));
            return Ok(addresses);
        }
        let addresses = self.resolver.resolve(uri, config, timeout)?;
        *self.known() = uri.authority().map(|authority| Known {
            of: authority.clone(),
            addresses: addresses.to_vec(),
            since: Instant::now(),
        });
        Ok(addresses)
    }
}

impl<R> fmt::Debug for Addresses<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Addresses")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU16, Ordering};

    /// Knows every host but one, at another port each time.
    #[derive(Debug, Default)]
    struct Asked(AtomicU16);

    impl Resolver for Asked {
        fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let times = self.0.fetch_add(1, Ordering::Relaxed);
            if uri.host() == Some("nowhere") {
                return Err(ureq::Error::HostNotFound);
            }
            let mut addresses = self.empty();
            addresses.push(([127, 0, 0, 1], times).into());
            Ok(addresses)
        }
    }

    #[test]
    fn a_host_is_asked_for_once_and_again_when_nobody_was_there() {
        let addresses = Addresses::of(Asked::default());
        let same = addresses.clone();
        let port = |host: &str| {
            let uri: Uri = format!("http://{host}/v1/traces").parse().unwrap();
            let timeout =
                NextTimeout { after: Duration::ZERO.into(), reason: ureq::Timeout::Resolve, ..Default::default() };
            same.resolve(&uri, &Config::default(), timeout).ok().map(|addresses| addresses[0].port())
        };
        assert_eq!([port("a"), port("a")], [Some(0); 2]);
        assert_eq!([port("b"), port("b"), port("a")], [Some(1), Some(1), Some(2)], "one host at a time");
        addresses.forget();
        assert_eq!([port("a"), port("a")], [Some(3); 2]);
        assert_eq!([port("nowhere"), port("nowhere")], [None; 2]);
        assert_eq!(addresses.resolver.0.load(Ordering::Relaxed), 6, "that there is none is not remembered");
        assert_eq!(port("a"), Some(3), "nor does it take away what is known");
    }
}
