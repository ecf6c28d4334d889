//! Where one exchange stands: attempt, deadlines, hold, gate, and whether the client is still there. The stages decide; the
//! client's side (`downstream`) acts.

use super::end::End;
use super::gate::Gate;
use super::head::Refused;
use crate::config::OnClientDisconnect;
use crate::snapshot::Routing;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A deadline that never comes, for settings that are off.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

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

/// The client, as far as it has shown itself.
enum Client {
    /// It waits for its answer.
    Here,
    /// It left, and the answer is read on.
    Gone(Gone),
    /// It left, and reading on is not wanted or has no place.
    Aborted,
}

/// Since when it is gone, what came in since, and the place among the drains that reading on takes.
struct Gone {
    since: Instant,
    drained_bytes: usize,
    limits: DrainLimits,
    _place: Drain,
}

impl Gone {
    /// When enough was read.
    fn until(&self) -> Instant {
        self.since + self.limits.time_max
    }
}

/// The state that stages and client's side share.
pub(super) struct Control {
    /// From the answer's head until what was held goes out without a token.
    hold: Duration,
    /// Read on after the client left; `None`: abort.
    drain: Option<DrainLimits>,
    drains: Arc<Drains>,
    drains_max: usize,
    /// The upstream must have moved by then (first token, next piece, whole answer).
    deadline: Instant,
    /// A stream has begun: from each piece of it to the next, this long at most.
    stream_idle: Option<Duration>,
    /// What is held goes out by then, token or not.
    hold_until: Instant,
    /// Enough was seen: bytes may go out.
    released: bool,
    /// Bytes have gone out: no other attempt is possible.
    pub(super) committed: bool,
    /// (A mutex only because an exchange must be `Sync`; it is never locked.)
    gate: Mutex<Option<Gate>>,
    /// What the held head must say instead.
    pub(super) refused: Option<Refused>,
    /// The attempt's request goes to its upstream. Before, there is nothing to read on for.
    pub(super) is_asked: bool,
    /// The answer has come to this end, and is settled when its hold is journaled.
    pub(super) unsettled: Option<End>,
    /// Stage 5 is done: the record is on its way. For a client that leaves now, there is nothing to read on for.
    pub(super) settled: bool,
    /// The client got bytes of the answer.
    pub(super) delivered: bool,
    client: Client,
}

impl Control {
    pub(super) fn new(routing: &Routing, drains: Arc<Drains>, now: Instant) -> Self {
        let never = now + NEVER;
        let drain = (routing.on_client_disconnect == OnClientDisconnect::Drain)
            .then_some(DrainLimits { time_max: routing.drain_time_max, bytes_max: routing.drain_bytes_max });
        Self {
            hold: routing.first_token_hold,
            drain,
            drains,
            drains_max: routing.drains_max,
            deadline: never,
            stream_idle: None,
            hold_until: never,
            released: false,
            committed: false,
            gate: Mutex::new(None),
            refused: None,
            is_asked: false,
            unsettled: None,
            settled: false,
            delivered: false,
            client: Client::Here,
        }
    }

    /// A new attempt starts; its first token (or whole answer) is due within `limit`.
    pub(super) fn begin_attempt(&mut self, limit: Duration, now: Instant) {
        *self.gate.get_mut() = None;
        self.refused = None;
        self.is_asked = false;
        self.released = false;
        self.stream_idle = None;
        self.deadline = now + limit;
        self.hold_until = now + NEVER;
    }

    /// The head of the answer is here: what follows is held until [`Control::release`] or the hold time is over.
    pub(super) fn begin_hold(&mut self, now: Instant) {
        self.hold_until = now + self.hold;
    }

    /// Nothing need be held any more.
    pub(super) fn release(&mut self) {
        self.released = true;
    }

    /// The next piece is due by then.
    pub(super) fn due_by(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// The stream has begun: each piece is due within `idle` of the one before.
    pub(super) fn begin_stream(&mut self, idle: Duration) {
        self.released = true;
        self.stream_idle = Some(idle);
        self.deadline = Instant::now() + idle;
    }

    /// A piece came from the upstream, whatever becomes of it: translation and the taking out of usage keep some to themselves.
    pub(super) fn heard(&mut self) {
        if let Some(idle) = self.stream_idle {
            self.deadline = Instant::now() + idle;
        }
    }

    /// A client took so long to take what it got: that is not the upstream's time, where it has one for the whole answer.
    pub(super) fn waited_for_client(&mut self, waited: Duration) {
        self.deadline += waited;
    }

    /// The next bytes wait for this, and for what they waited for already.
    pub(super) fn gate(&mut self, gate: Gate) {
        match self.gate.get_mut() {
            Some(waiting) => waiting.and(gate),
            waiting => *waiting = Some(gate),
        }
    }

    /// What the next bytes wait for.
    pub(super) fn take_gate(&mut self) -> Option<Gate> {
        self.gate.get_mut().take()
    }

    /// So many bytes of body have been passed on, or swallowed. False: a drain has had its share.
    pub(super) fn passed(&mut self, bytes: usize) -> bool {
        if bytes > 0 {
            // Nor is the time that the journal took.
            self.heard();
        }
        match &mut self.client {
            Client::Gone(gone) => {
                gone.drained_bytes += bytes;
                gone.drained_bytes <= gone.limits.bytes_max
            }
            Client::Aborted => true,
            Client::Here => {
                self.delivered = true;
                true
            }
        }
    }

    /// When the clock must be looked at again; `holding`: something is held back.
    pub(super) fn next_wake(&self, holding: bool) -> Instant {
        match &self.client {
            Client::Gone(gone) => self.deadline.min(gone.until()),
            _ if holding && !self.committed => self.deadline.min(self.hold_until),
            _ => self.deadline,
        }
    }

    /// Whether what is held may go out now.
    pub(super) fn may_commit(&self) -> bool {
        self.committed || self.released || Instant::now() >= self.hold_until
    }

    /// The upstream was silent for longer than it may be.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    /// The client left long ago: enough was read.
    pub(super) fn is_drained(&self, now: Instant) -> bool {
        matches!(&self.client, Client::Gone(gone) if now >= gone.until())
    }

    /// The client is gone. True: read on (drain); false: abort.
    pub(super) fn client_left(&mut self) -> bool {
        if matches!(self.client, Client::Here) {
            let drain = self.drain.filter(|_| self.is_asked && !self.settled);
            let place = drain.and_then(|limits| Some((limits, self.drains.start(self.drains_max)?)));
            self.client = place.map_or(Client::Aborted, |(limits, place)| {
                Client::Gone(Gone { since: Instant::now(), drained_bytes: 0, limits, _place: place })
            });
        }
        matches!(self.client, Client::Gone(_))
    }

    /// Whether another attempt is still possible: no byte went out and the client waits.
    pub(super) fn untouched(&self) -> bool {
        !self.committed && !self.client_gone()
    }

    pub(super) fn client_gone(&self) -> bool {
        !matches!(self.client, Client::Here)
    }
}
