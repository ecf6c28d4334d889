//! Who waits for records, thread by thread. To wake a task of another thread is a system call, and wakes that thread in the middle
//! of the others' calls: so of all whom a write has served, one in each room is called, and calls the others there itself.

use super::ticket::Ticket;
use parking_lot::Mutex;
use slab::Slab;
use smallvec::SmallVec;
use std::sync::Arc;
use std::task::Waker;

/// A room that has had more seats is made anew when nobody is in it.
const SEATS_KEPT_MAX: usize = 64;

/// Those who began to wait on one thread.
#[derive(Debug, Default)]
pub(super) struct Room {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    waiting: Slab<Waiting>,
    next_number: u64,
    /// Who was called, and calls the others when it leaves.
    called: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    /// A seat is used again, a number is not.
    number: u64,
    ticket: Arc<Ticket>,
    waker: Waker,
}

/// A place in a room. To drop it is to leave.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    seat: usize,
    number: u64,
}

/// Rooms in which somebody waits for something that has come.
#[derive(Debug, Default)]
pub(super) struct Calls(SmallVec<[Arc<Room>; 4]>);

impl Room {
    /// This thread's.
    fn here() -> Arc<Self> {
        thread_local!(static HERE: Arc<Room> = Arc::default());
        HERE.with(Arc::clone)
    }

    /// Calls somebody whose record is decided, unless one is called already and has not left.
    fn call(&self) {
        let mut inside = self.inside.lock();
        if inside.called.is_some() {
            return;
        }
        let decided = inside.waiting.iter().map(|(_, waiting)| waiting).find(|waiting| waiting.ticket.is_decided());
        let Some((number, waker)) = decided.map(|waiting| (waiting.number, waiting.waker.clone())) else { return };
        inside.called = Some(number);
        drop(inside);
        waker.wake();
    }
}

impl Place {
    /// Takes one in this thread's room.
    pub(super) fn take(ticket: &Arc<Ticket>, waker: &Waker) -> Self {
        let room = Room::here();
        let (seat, number) = {
            let inside = &mut *room.inside.lock();
            inside.next_number += 1;
            let number = inside.next_number;
            (inside.waiting.insert(Waiting { number, ticket: Arc::clone(ticket), waker: waker.clone() }), number)
        };
        Self { room, seat, number }
    }

    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Who waits here is to be woken by this.
    pub(super) fn stay(&self, waker: &Waker) {
        let before = {
            let inside = &mut *self.room.inside.lock();
            let own = inside.waiting.get_mut(self.seat).filter(|waiting| waiting.number == self.number);
            own.map(|waiting| std::mem::replace(&mut waiting.waker, waker.clone()))
        };
        // Not under the lock: what goes with a waker may have a place here itself.
        drop(before);
    }

    /// Gives the place up; if it was called, those who are to be called by it.
    fn give_up(&self) -> (Option<Waiting>, SmallVec<[Waker; 32]>) {
        let inside = &mut *self.room.inside.lock();
        let is_there = inside.waiting.get(self.seat).is_some_and(|waiting| waiting.number == self.number);
        let own = is_there.then(|| inside.waiting.remove(self.seat));
        let mut others = SmallVec::new();
        if inside.called == Some(self.number) {
            inside.called = None;
            let decided = inside.waiting.iter().filter(|(_, waiting)| waiting.ticket.is_decided());
            let seats: SmallVec<[usize; 32]> = decided.map(|(seat, _)| seat).collect();
            others.extend(seats.into_iter().map(|seat| inside.waiting.remove(seat).waker));
        }
        if inside.waiting.is_empty() && inside.waiting.capacity() > SEATS_KEPT_MAX {
            inside.waiting = Slab::new();
        }
        (own, others)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (own, others) = self.give_up();
        drop(own);
        others.into_iter().for_each(Waker::wake);
    }
}

impl Calls {
    /// Somebody waits in these rooms.
    pub(super) fn add(&mut self, rooms: impl IntoIterator<Item = Arc<Room>>) {
        for room in rooms {
            if !self.0.iter().any(|known| Arc::ptr_eq(known, &room)) {
                self.0.push(room);
            }
        }
    }

    /// Calls one in each.
    pub(super) fn call(self) {
        self.0.iter().for_each(|room| room.call());
    }
}

#[cfg(test)]
mod tests {
    use super::super::ticket::Journaled;
    use super::*;
    use proptest::prelude::*;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One who waits for a record.
    struct Waiter {
        ticket: Arc<Ticket>,
        woken: Arc<Woken>,
        journaled: Option<Journaled>,
    }

    impl Waiter {
        fn new() -> Self {
            let ticket = Arc::<Ticket>::default();
            let journaled = Some(Journaled::new(Arc::clone(&ticket), None));
            let mut waiter = Self { ticket, woken: Arc::default(), journaled };
            assert!(!waiter.poll());
            waiter
        }

        fn poll(&mut self) -> bool {
            let waker = Waker::from(Arc::clone(&self.woken));
            let Some(journaled) = &mut self.journaled else { return true };
            let polled = Pin::new(journaled).poll(&mut Context::from_waker(&waker));
            if polled.is_ready() {
                self.journaled = None;
            }
            polled == Poll::Ready(Ok(()))
        }

        fn is_woken(&self) -> bool {
            self.woken.0.load(Ordering::SeqCst) > 0
        }
    }

    fn write<'w>(waiters: impl IntoIterator<Item = &'w Waiter>) {
        let mut calls = Calls::default();
        for waiter in waiters {
            waiter.ticket.written(&mut calls);
        }
        calls.call();
    }

    fn woken(waiters: &[Waiter]) -> usize {
        waiters.iter().filter(|waiter| waiter.is_woken()).count()
    }

    #[test]
    fn one_is_woken_by_the_writer_and_the_others_of_its_thread_by_that_one() {
        let mut waiters: Vec<_> = (0..10).map(|_| Waiter::new()).collect();
        write(&waiters[..6]);
        assert_eq!(woken(&waiters), 1);
        let first = waiters.iter().position(Waiter::is_woken).unwrap();
        assert!(waiters[first].poll());
        assert_eq!(
            waiters.iter().map(Waiter::is_woken).collect::<Vec<_>>(),
            [[true; 6].as_slice(), &[false; 4]].concat()
        );
        write(&waiters[6..]);
        assert_eq!(woken(&waiters), 7);
    }

    #[test]
    fn who_is_called_and_leaves_without_looking_calls_the_others_too() {
        let mut waiters: Vec<_> = (0..3).map(|_| Waiter::new()).collect();
        write(&waiters);
        let first = waiters.iter().position(Waiter::is_woken).unwrap();
        waiters[first].journaled = None;
        assert_eq!(woken(&waiters), 3);
    }

    proptest! {
        /// Whoever is woken looks, or leaves, some time: then everybody is woken whose record is written.
        #[test]
        fn nobody_is_forgotten(steps in prop::collection::vec((0_u8..6, any::<prop::sample::Index>(), 1_usize..5), 1..80)) {
            let mut waiters = Vec::new();
            for (step, at, count) in steps {
                let at = if waiters.is_empty() { 0 } else { at.index(waiters.len()) };
                match step {
                    0 | 1 => waiters.push(Waiter::new()),
                    2 | 3 if !waiters.is_empty() => write(waiters.iter().cycle().skip(at).take(count)),
                    4 if !waiters.is_empty() => {
                        waiters[at].poll();
                    }
                    5 if !waiters.is_empty() => waiters[at].journaled = None,
                    _ => {}
                }
            }
            while let Some(waiter) = waiters.iter_mut().find(|waiter| waiter.is_woken() && waiter.journaled.is_some()) {
                prop_assert!(waiter.poll(), "nobody is woken in vain");
            }
            for waiter in &waiters {
                prop_assert!(waiter.journaled.is_none() || !waiter.ticket.is_decided());
            }
            prop_assert_eq!(Room::here().inside.lock().waiting.len(), waiters.iter().filter(|waiter| waiter.journaled.is_some()).count());
        }
    }
}
