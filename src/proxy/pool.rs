//! Idle HTTP/1.1 connections to upstreams. Pingora's own pool keeps a task for each of them, to notice when it is closed; here
//! it is looked at when it is taken, and now and then.

use super::downstream::Timer;
use super::http1::Http1;
use super::peer::POOLED_IDLE_MAX;
use crate::quick::QuickMap;
use parking_lot::Mutex;
use pingora::protocols::Stream;
use std::net::SocketAddr;
use std::time::Instant;

/// Idle connections to one address of one account; more are closed.
const IDLE_MAX: usize = 1024;
/// Parts of the pool with a lock of their own.
const PARTS: usize = 16;

/// Where a connection goes, and whose it is: two accounts never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) account: u64,
    pub(super) address: SocketAddr,
}

/// See the module.
#[derive(Default)]
pub(super) struct Pool {
    parts: [Mutex<QuickMap<Place, Vec<Idle>>>; PARTS],
}

/// A connection with what the next exchange on it need not make again.
pub(super) struct Pooled {
    pub(super) http1: Http1<Stream>,
    pub(super) timer: Option<Timer>,
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
    fn part(&self, place: Place) -> &Mutex<QuickMap<Place, Vec<Idle>>> {
        &self.parts[place.account as usize % PARTS]
    }

    /// The connection that was used last.
    pub(super) fn take(&self, place: Place) -> Option<Pooled> {
        loop {
            let mut idle = self.part(place).lock().get_mut(&place)?.pop()?;
            if idle.is_usable() {
                return Some(idle.pooled);
            }
        }
    }

    /// Keeps a connection.
    pub(super) fn put(&self, place: Place, pooled: Pooled) {
        let idle = Idle { pooled, since: Instant::now() };
        let mut part = self.part(place).lock();
        let waiting = part.entry(place).or_default();
        if waiting.len() < IDLE_MAX {
            waiting.push(idle);
        }
    }

    /// Closes what is of no use any more, and gives back the memory of what idles.
    pub(super) fn sweep(&self) {
        for part in &self.parts {
            let mut places = part.lock();
            places.retain(|_, waiting| {
                waiting.retain_mut(Idle::is_usable);
                waiting.iter_mut().for_each(|idle| idle.pooled.http1.free_buffer());
                !waiting.is_empty()
            });
        }
    }
}
