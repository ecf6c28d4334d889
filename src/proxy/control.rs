//! What the filters and the session wrapper share about one exchange: attempt, deadlines, hold, gate, and whether the
//! client is still there. The filters (synchronous) decide; the wrapper (`downstream.rs`, asynchronous) acts.

use parking_lot::{Mutex, MutexGuard};
use pingora::protocols::http::ServerSession;
use pingora::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Awaited before the next bytes go to the client: the journal has the record that those bytes rest on.
pub(super) type Gate = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A deadline that never comes, for settings that are off.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How one exchange treats its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct DownstreamPolicy {
    /// From the answer's head until what was held goes out without a token.
    pub(super) hold: Duration,
    /// A client that takes no bytes for this long counts as gone.
    pub(super) write_timeout: Duration,
    /// Read on after the client left; `None`: abort.
    pub(super) drain: Option<DrainLimits>,
}

/// Bounds of reading on after the client left.
#[derive(Clone, Copy, Debug)]
pub(super) struct DrainLimits {
    pub(super) time_max: Duration,
    pub(super) bytes_max: usize,
}

/// Counts the exchanges that read on for a client that left; over the limit the next one aborts.
#[derive(Debug, Default)]
pub(super) struct Drains {
    running: AtomicUsize,
}

/// One running drain; gives its place back when dropped.
pub(super) struct Drain(Arc<Drains>);

impl Drains {
    fn start(self: &Arc<Self>, drains_max: usize) -> Option<Drain> {
        self.running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| (running < drains_max).then_some(running + 1))
            .ok()
            .map(|_| Drain(self.clone()))
    }

    /// Drains that run now.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The client left: since when, what came in since, and the place among the drains that reading on takes.
pub(super) struct Gone {
    pub(super) since: Instant,
    pub(super) drained_bytes: usize,
    pub(super) limits: DrainLimits,
    _place: Drain,
}

/// The shared state. Locked for a few instructions at a time, never across an await.
pub(super) struct State {
    policy: DownstreamPolicy,
    drains: Arc<Drains>,
    drains_max: usize,
    /// Counts attempts: what an earlier attempt left in the wrapper is void.
    pub(super) attempt: u32,
    /// The upstream must have moved by then (first token, next piece, whole answer).
    pub(super) deadline: Instant,
    /// A stream has begun: from each batch of it to the next, this long at most.
    pub(super) stream_idle: Option<Duration>,
    /// What is held goes out by then, token or not.
    pub(super) hold_until: Instant,
    /// The filters have seen enough: bytes may go out.
    pub(super) released: bool,
    /// Bytes have gone out: no other attempt is possible.
    pub(super) committed: bool,
    pub(super) gate: Option<Gate>,
    /// The exchange is settled: for a client that leaves now, there is nothing to read on for.
    pub(super) settled: bool,
    /// A filter that cannot fail itself found this: the wrapper fails instead.
    pub(super) verdict: Option<Box<Error>>,
    /// An answer without a body may go out as it is.
    pub(super) passes_bodiless: bool,
    /// The client got bytes of the answer.
    delivered: bool,
    pub(super) gone: Option<Gone>,
    /// The client left, and reading on is not wanted or has no place.
    pub(super) aborted: bool,
    /// Where the wrapper leaves the real session when it is taken off.
    pub(super) returned: Option<Box<ServerSession>>,
}

/// What the wrapper must know to pass a batch on.
pub(super) struct Batch {
    pub(super) attempt: u32,
    pub(super) verdict: Option<Box<Error>>,
    pub(super) committed: bool,
    /// Only of a committed answer: before, the batch may yet be held.
    pub(super) gate: Option<Gate>,
    pub(super) gone: bool,
    pub(super) write_timeout: Duration,
}

impl State {
    /// A batch of the answer is here.
    pub(super) fn begin_batch(&mut self) -> Batch {
        Batch {
            attempt: self.attempt,
            verdict: self.verdict.take(),
            committed: self.committed,
            gate: if self.committed { self.gate.take() } else { None },
            gone: self.gone.is_some() || self.aborted,
            write_timeout: self.policy.write_timeout,
        }
    }

    /// A batch with so many bytes of body has been passed on, or swallowed. False: a drain has had its share.
    pub(super) fn end_batch(&mut self, bytes: usize) -> bool {
        if let Some(idle) = self.stream_idle.filter(|_| bytes > 0) {
            self.deadline = Instant::now() + idle;
        }
        match self.gone.as_mut() {
            Some(gone) => {
                gone.drained_bytes += bytes;
                gone.drained_bytes <= gone.limits.bytes_max
            }
            None => {
                self.delivered |= !self.aborted;
                true
            }
        }
    }

    /// When the wrapper must look at the clock again.
    pub(super) fn next_wake(&self, holding: bool) -> Instant {
        let mut at = self.deadline;
        if let Some(gone) = &self.gone {
            at = at.min(gone.since + gone.limits.time_max);
        } else if holding && !self.committed {
            at = at.min(self.hold_until);
        }
        at
    }

    /// Whether the held bytes may go out now.
    pub(super) fn may_commit(&self, now: Instant) -> bool {
        self.released || now >= self.hold_until
    }

    /// The client is gone. True: read on (drain); false: abort.
    pub(super) fn client_left(&mut self, now: Instant) -> bool {
        if self.gone.is_some() {
            return true;
        }
        let drain = self.policy.drain.filter(|_| !self.settled);
        let place = drain.and_then(|limits| Some((limits, self.drains.start(self.drains_max)?)));
        match place {
            Some((limits, place)) => {
                self.gone = Some(Gone { since: now, drained_bytes: 0, limits, _place: place });
                true
            }
            None => {
                self.aborted = true;
                false
            }
        }
    }
}

/// A handle on the shared state: one in the exchange, one in the wrapper.
#[derive(Clone)]
pub(super) struct Control(Arc<Mutex<State>>);

impl Control {
    pub(super) fn new(policy: DownstreamPolicy, drains: Arc<Drains>, drains_max: usize) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            policy,
            drains,
            drains_max,
            attempt: 0,
            deadline: now + NEVER,
            stream_idle: None,
            hold_until: now + NEVER,
            released: false,
            committed: false,
            gate: None,
            settled: false,
            verdict: None,
            passes_bodiless: false,
            delivered: false,
            gone: None,
            aborted: false,
            returned: None,
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// A new attempt starts; its first token (or whole answer) is due within `limit`.
    pub(super) fn begin_attempt(&self, limit: Duration) {
        let mut state = self.state();
        state.attempt += 1;
        state.gate = None;
        state.verdict = None;
        state.passes_bodiless = false;
        state.released = false;
        state.stream_idle = None;
        let now = Instant::now();
        state.deadline = now + limit;
        state.hold_until = now + NEVER;
    }

    /// The head of the answer is here: what follows is held until [`Control::release`] or the hold time is over.
    pub(super) fn begin_hold(&self) {
        let mut state = self.state();
        state.hold_until = Instant::now() + state.policy.hold;
    }

    /// Nothing need be held any more.
    pub(super) fn release(&self) {
        self.state().released = true;
    }

    /// The exchange is settled.
    pub(super) fn settled(&self) {
        self.state().settled = true;
    }

    /// The next piece is due within `limit`.
    pub(super) fn due_within(&self, limit: Duration) {
        self.state().deadline = Instant::now() + limit;
    }

    /// The stream has begun: each batch is due within `idle` of the one before.
    pub(super) fn begin_stream(&self, idle: Duration) {
        let mut state = self.state();
        state.released = true;
        state.stream_idle = Some(idle);
        state.deadline = Instant::now() + idle;
    }

    /// The next bytes wait for this, and for what they waited for already.
    pub(super) fn gate(&self, gate: Gate) {
        let mut state = self.state();
        state.gate = Some(match state.gate.take() {
            None => gate,
            Some(earlier) => Box::pin(async move {
                earlier.await?;
                gate.await
            }),
        });
    }

    /// The answer failed where no filter can say so.
    pub(super) fn fail(&self, error: Box<Error>) {
        self.state().verdict = Some(error);
    }

    /// An answer without a body may go out as it is: there is no other candidate.
    pub(super) fn pass_bodiless(&self) {
        self.state().passes_bodiless = true;
    }

    /// The client got bytes of the answer.
    pub(super) fn note_delivered(&self) {
        self.state().delivered = true;
    }

    pub(super) fn delivered(&self) -> bool {
        self.state().delivered
    }

    /// Whether another attempt is still possible: no byte went out and the client waits.
    pub(super) fn untouched(&self) -> bool {
        let state = self.state();
        !state.committed && state.gone.is_none() && !state.aborted
    }

    pub(super) fn committed(&self) -> bool {
        self.state().committed
    }

    pub(super) fn client_gone(&self) -> bool {
        let state = self.state();
        state.gone.is_some() || state.aborted
    }
}
