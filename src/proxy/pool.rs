//! Idle HTTP/1.1 connections to upstreams. Pingora's own pool keeps a task for each of them, to notice when it is closed; here
//! it is looked at when it is taken, and now and then.

use super::http1::Http1;
use super::peer::POOLED_IDLE_MAX;
use super::timer::Timer;
use crate::config::HttpVersion;
use crate::quick::QuickMap;
use crate::snapshot::Upstream;
use parking_lot::Mutex;
use pingora::protocols::Stream;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Idle connections to one address of one account, made on one thread; more are closed.
const IDLE_MAX: usize = 1024;
/// Parts of the pool with a lock of their own. Threads have one each, up to so many.
const PARTS: usize = 64;

/// Where a connection goes, and whose it is: two accounts never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    account: u64,
    pub(super) address: SocketAddr,
    /// What was offered. Another choice is for new connections, and these are not used any more.
    http_version: HttpVersion,
}

impl Place {
    pub(super) fn of(upstream: &Upstream, address: SocketAddr) -> Self {
        Self { account: upstream.group_key, address, http_version: upstream.http_version }
    }
}

/// A thread that has borrowed so often has a use for a connection of its own. To make one takes long, and a thread that has
/// little to do would hardly use it before it is too old.
const BORROWED_MAX: u32 = 64;

/// See the module.
pub(super) struct Pool {
    parts: [Mutex<QuickMap<Place, Waiting>>; PARTS],
}

/// What waits in one part of the pool.
#[derive(Default)]
struct Waiting {
    idle: Vec<Idle>,
    /// How often there was none, and another part had one.
    borrowed: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()) }
    }
}

/// A part of the pool: that of the thread on which a connection was made. What happens to its socket is heard there, and would
/// wake whoever waits for it on another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home(usize);

impl Home {
    /// The part that is this thread's.
    pub(super) fn here() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HERE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS);
        Self(HERE.with(|here| *here))
    }
}

/// A connection with what the next exchange on it need not make again.
pub(super) struct Pooled {
    pub(super) http1: Http1<Stream>,
    pub(super) timer: Option<Timer>,
    pub(super) home: Home,
}

struct Idle {
    pooled: Pooled,
    since: Instant,
}

impl Idle {
    fn is_usable(&mut self) -> bool {
        self.since.elapsed() < POOLED_IDLE_MAX && self.pooled.http1.is_quiet()
    }
}

impl Pool {
    /// The connection that this thread made and used last, or if there is none, one of another thread's. True: it borrows so
    /// often that it should have one more of its own.
    pub(super) fn take(&self, place: Place) -> Option<(Pooled, bool)> {
        let Home(here) = Home::here();
        if let Some(own) = self.take_from(here, place) {
            return Some((own, false));
        }
        let borrowed = (1..PARTS).find_map(|nth| self.take_from((here + nth) % PARTS, place))?;
        let mut part = self.parts[here].lock();
        let waiting = part.entry(place).or_default();
        waiting.borrowed += 1;
        let borrows_often = waiting.borrowed >= BORROWED_MAX;
        if borrows_often {
            waiting.borrowed = 0;
        }
        Some((borrowed, borrows_often))
    }

    fn take_from(&self, part: usize, place: Place) -> Option<Pooled> {
        loop {
            let mut idle = self.parts[part].lock().get_mut(&place)?.idle.pop()?;
            if idle.is_usable() {
                return Some(idle.pooled);
            }
        }
    }

    /// Keeps a connection, where it was made.
    pub(super) fn put(&self, place: Place, pooled: Pooled) {
        let mut part = self.parts[pooled.home.0].lock();
        let waiting = &mut part.entry(place).or_default().idle;
        if waiting.len() < IDLE_MAX {
            waiting.push(Idle { pooled, since: Instant::now() });
        }
    }

    /// Closes what is of no use any more, and gives back the memory of what idles.
    pub(super) fn sweep(&self) {
        for part in &self.parts {
            let mut places = part.lock();
            places.retain(|_, Waiting { idle, .. }| {
                idle.retain_mut(Idle::is_usable);
                idle.iter_mut().for_each(|idle| idle.pooled.http1.free_buffer());
                !idle.is_empty()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_thread_has_its_own_connections_first_and_then_those_of_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http_version = HttpVersion::Http1;
        let place = Place { account: 1, address: listener.local_addr().unwrap(), http_version };
        // The other one first: this thread is not the first of all.
        let (pool, there, here) = (Pool::default(), thread::spawn(Home::here).join().unwrap(), Home::here());
        assert_ne!(here, there);
        let mut other_ends = Vec::new();
        for home in [there, here, there] {
            let stream = TcpStream::connect(place.address).await.unwrap();
            let stream: Stream = Box::new(pingora::protocols::l4::stream::Stream::from(stream));
            other_ends.push(listener.accept().await.unwrap());
            pool.put(place, Pooled { http1: Http1::new(stream), timer: None, home });
        }
        let taken: Vec<_> = std::iter::from_fn(|| pool.take(place)).collect();
        assert_eq!(taken.iter().map(|(pooled, _)| pooled.home).collect::<Vec<_>>(), [here, there, there]);
        assert!(pool.take(Place { account: 2, ..place }).is_none(), "another account's");
        assert!(pool.take(Place { http_version: HttpVersion::Http2, ..place }).is_none(), "for another protocol");
        // Lent, not given: the next one is its own again, and then there are none but others'.
        taken.into_iter().for_each(|(pooled, _)| pool.put(place, pooled));
        assert_eq!(pool.take(place).map(|(pooled, _)| pooled.home), Some(here));
        let borrow = || {
            let (pooled, borrows_often) = pool.take(place).unwrap();
            assert_eq!(pooled.home, there);
            pool.put(place, pooled);
            borrows_often
        };
        let often: Vec<_> = (0..2 * BORROWED_MAX).map(|_| borrow()).collect();
        // Two of them were before.
        let told: Vec<_> = (1..).zip(often).filter(|(_, often)| *often).map(|(nth, _)| nth + 2).collect();
        assert_eq!(told, [BORROWED_MAX, 2 * BORROWED_MAX]);
    }
}
