//! Waiting for a record to be in the journal.

use super::journal::Journal;
use super::room::{Calls, Place, Room};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

/// The journal could not take the record when it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillingUnavailable;

impl std::fmt::Display for BillingUnavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the billing journal cannot be written")
    }
}

impl std::error::Error for BillingUnavailable {}

/// How often a record is looked for before its waiter sleeps: some microseconds, less than being woken takes.
const LOOKS: usize = 100;

const PENDING: u8 = 0;
const WRITTEN: u8 = 1;
const FAILED: u8 = 2;

/// One record's state, shared by the journal's thread and whoever waits.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    state: AtomicU8,
    /// Where somebody waits for it.
    rooms: Mutex<SmallVec<[Arc<Room>; 1]>>,
}

impl Ticket {
    /// The record is in the journal; who waits for it is to be called. Whether there is anybody.
    pub(super) fn written(&self, calls: &mut Calls) -> bool {
        let rooms = self.advance(WRITTEN);
        let is_waited_for = !rooms.is_empty();
        calls.add(rooms);
        is_waited_for
    }

    /// It is not, and whoever waits should not wait on. The record is still kept, and may be written later. Whether anybody
    /// waited.
    pub(super) fn failed(&self) -> bool {
        if self.state.load(Ordering::Acquire) != PENDING {
            return false;
        }
        let rooms = self.advance(FAILED);
        let is_waited_for = !rooms.is_empty();
        let mut calls = Calls::default();
        calls.add(rooms);
        calls.call();
        is_waited_for
    }

    /// Whether the record is in the journal.
    pub(super) fn is_written(&self) -> bool {
        self.state.load(Ordering::Acquire) == WRITTEN
    }

    /// Whether the journal could not take the record so far.
    pub(super) fn has_failed(&self) -> bool {
        self.state.load(Ordering::Acquire) == FAILED
    }

    /// Nobody waits for it any longer.
    pub(super) fn is_decided(&self) -> bool {
        self.state.load(Ordering::Acquire) != PENDING
    }

    fn advance(&self, state: u8) -> SmallVec<[Arc<Room>; 1]> {
        self.state.store(state, Ordering::Release);
        std::mem::take(&mut *self.rooms.lock())
    }

    /// Somebody has begun to wait in this room. With what is known by then, whether nobody did before.
    fn is_waited_for_in(&self, room: &Arc<Room>) -> (Poll<Result<(), BillingUnavailable>>, bool) {
        let mut rooms = self.rooms.lock();
        // Under the lock: the journal sets the state first and takes the rooms after.
        let outcome = self.outcome();
        let is_first = outcome.is_pending() && rooms.is_empty();
        if outcome.is_pending() && !rooms.iter().any(|known| Arc::ptr_eq(known, room)) {
            rooms.push(Arc::clone(room));
        }
        (outcome, is_first)
    }

    fn outcome(&self) -> Poll<Result<(), BillingUnavailable>> {
        match self.state.load(Ordering::Acquire) {
            PENDING => Poll::Pending,
            FAILED => Poll::Ready(Err(BillingUnavailable)),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Resolves when a record is in the journal (with `durability = "power"`: on the disk), or when the journal failed. It
/// never times out by itself.
#[must_use = "nothing is known of the record before this was awaited"]
pub struct Journaled {
    ticket: Arc<Ticket>,
    journal: Option<Arc<Journal>>,
    /// Where it is waited for, once it is.
    place: Option<Place>,
}

impl Journaled {
    /// `journal`: is told to hurry when somebody waits.
    pub(super) fn new(ticket: Arc<Ticket>, journal: Option<Arc<Journal>>) -> Self {
        Self { ticket, journal, place: None }
    }

    /// What is known of the record by now, after a look at whose turn it is to write. Nobody is woken later for that.
    pub fn look(&self) -> Poll<Result<(), BillingUnavailable>> {
        self.look_so_often(LOOKS)
    }

    fn look_so_often(&self, looks: usize) -> Poll<Result<(), BillingUnavailable>> {
        let mut outcome = self.ticket.outcome();
        let Some(journal) = self.journal.as_ref().filter(|journal| journal.shares_turns()) else { return outcome };
        // Whoever has the turn is done in a few microseconds, and has written this record too, as a rule.
        for _ in 0..looks {
            if outcome.is_ready() {
                break;
            }
            journal.take_turn();
            outcome = self.ticket.outcome();
            if outcome.is_pending() {
                std::hint::spin_loop();
            }
        }
        outcome
    }

    /// The record is still to be written, and whoever waits for it does that: it goes together with what others have
    /// brought by then.
    pub fn is_written_by_who_waits(&self) -> bool {
        self.ticket.outcome().is_pending() && self.journal.as_ref().is_some_and(|journal| journal.shares_turns())
    }
}

impl Future for Journaled {
    type Output = Result<(), BillingUnavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.look_so_often(if self.place.is_none() { LOOKS } else { 1 });
        if outcome.is_ready() {
            self.place = None;
            return outcome;
        }
        let is_first = match &self.place {
            Some(place) => {
                place.stay(context.waker());
                // Whoever was woken by the waker before need not be this one.
                let outcome = self.ticket.outcome();
                if outcome.is_ready() {
                    self.place = None;
                    return outcome;
                }
                false
            }
            None => {
                let place = Place::take(&self.ticket, context.waker());
                let (outcome, is_first) = self.ticket.is_waited_for_in(place.room());
                if outcome.is_ready() {
                    return outcome;
                }
                self.place = Some(place);
                is_first
            }
        };
        // If waiters write: it is another's turn, who may have looked at the queue before this record was there.
        if let Some(journal) = &self.journal {
            journal.is_waited_for(is_first);
        }
        Poll::Pending
    }
}

/// Waits on this thread.
#[cfg(test)]
pub(super) fn wait(journaled: Journaled) -> Result<(), BillingUnavailable> {
    use std::task::Waker;
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut journaled = std::pin::pin!(journaled);
    loop {
        match journaled.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn every_waiter_is_woken() {
        let (rounds, waiters) = (3_000, 3);
        let tickets: Vec<_> = (0..rounds).map(|_| Arc::<Ticket>::default()).collect();
        let barrier = Barrier::new(waiters + 1);
        std::thread::scope(|scope| {
            for _ in 0..waiters {
                scope.spawn(|| {
                    for ticket in &tickets {
                        barrier.wait();
                        assert_eq!(wait(Journaled::new(Arc::clone(ticket), None)), Ok(()));
                    }
                });
            }
            for ticket in &tickets {
                barrier.wait();
                let mut calls = Calls::default();
                assert!(ticket.written(&mut calls) || ticket.is_written());
                calls.call();
            }
        });
    }

    #[test]
    fn a_failure_is_told_and_does_not_undo_what_was_written() {
        let ticket = Arc::new(Ticket::default());
        ticket.failed();
        assert_eq!(wait(Journaled::new(Arc::clone(&ticket), None)), Err(BillingUnavailable));
        ticket.written(&mut Calls::default());
        ticket.failed();
        assert_eq!(wait(Journaled::new(ticket, None)), Ok(()));
    }
}
