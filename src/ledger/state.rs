//! What the journal's two threads and the requests share: slots, the written end of the journal, and what fails.

use super::passed::Passed;
use crate::clock::steady_ms;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// A write that has not come back for this long counts as a failed journal.
const WRITE_MS_MAX: i64 = 1_000;

/// Slots of a hold: its own record, and its settlement's.
pub(super) const HOLD_SLOTS: i64 = 2;

/// A segment of this writer, as far as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Its number.
    pub(super) number: u64,
    /// Offset behind its last record.
    pub(super) end: u64,
    /// True: nothing more will be written to it.
    pub(super) sealed: bool,
}

/// The segments that are not in the store yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Oldest first; the last is being written.
    pub(super) segments: VecDeque<Written>,
    /// What was written last, for whoever comes soon enough.
    pub(super) passed: Passed,
    /// True: the writer has stopped.
    pub(super) stopped: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    slots_max: i64,
    slots_free: AtomicI64,
    journal_bytes_max: u64,
    /// Holds that are neither settled nor voided.
    pub(super) open_holds: AtomicI64,
    /// Records that are not written and that somebody waits for, or has waited for.
    pub(super) waited_for: AtomicI64,
    /// Records handed to the writer, written by it, and carried into the store.
    pub(super) sent_records: AtomicU64,
    pub(super) written_records: AtomicU64,
    pub(super) applied_records: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) applied_bytes: AtomicU64,
    /// When the last write began that went well, by [`steady_ms`]; [`i64::MIN`]: none has.
    pub(super) written_at_ms: AtomicI64,
    /// When the write that now runs began, by [`steady_ms`]; 0: none runs.
    pub(super) writing_since_ms: AtomicI64,
    failed: AtomicBool,
    /// The journal's writer has ended: nothing is written any more.
    ended: AtomicBool,
    closing: AtomicBool,
    /// Somebody waits for the store: what trickles in is not bundled.
    hurried: AtomicBool,
    /// True: the threads end now, whatever is left.
    abandoned: AtomicBool,
    /// What is applied stays in the store: the journal need not have it any more.
    applied_stays: AtomicBool,
    tail: Mutex<Tail>,
    tail_changed: Condvar,
    /// `applied_records` has grown.
    applied: Notify,
    /// Why the journal, and the store, cannot be written.
    journal_error: Mutex<Option<String>>,
    store_error: Mutex<Option<String>>,
}

impl State {
    pub(super) fn new(slots_max: u32, journal_bytes_max: u64) -> Self {
        let slots_max = i64::from(slots_max).max(HOLD_SLOTS);
        Self {
            slots_max,
            slots_free: AtomicI64::new(slots_max),
            journal_bytes_max,
            open_holds: AtomicI64::new(0),
            waited_for: AtomicI64::new(0),
            sent_records: AtomicU64::new(0),
            written_records: AtomicU64::new(0),
            applied_records: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            applied_bytes: AtomicU64::new(0),
            written_at_ms: AtomicI64::new(i64::MIN),
            writing_since_ms: AtomicI64::new(0),
            failed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            hurried: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            applied_stays: AtomicBool::new(true),
            tail: Mutex::default(),
            tail_changed: Condvar::new(),
            applied: Notify::new(),
            journal_error: Mutex::default(),
            store_error: Mutex::default(),
        }
    }

    // === admission ===

    /// True: a new hold would be taken, if there are slots.
    pub(super) fn admits(&self) -> bool {
        let stuck = match self.writing_since_ms.load(Ordering::Relaxed) {
            0 => false,
            since_ms => steady_ms().saturating_sub(since_ms) > WRITE_MS_MAX,
        };
        !stuck
            && !self.failed.load(Ordering::Acquire)
            && !self.closing.load(Ordering::Acquire)
            && self.unapplied_bytes() <= self.journal_bytes_max
    }

    /// Takes slots if, after that, at least `reserve` are left.
    pub(super) fn take_slots(&self, count: i64, reserve: i64) -> bool {
        let take = |free: i64| (free - count >= reserve).then_some(free - count);
        self.slots_free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// Gives slots back.
    pub(super) fn give_slots(&self, count: i64) {
        self.slots_free.fetch_add(count, Ordering::AcqRel);
    }

    /// Slots not taken.
    pub(super) fn slots_free(&self) -> i64 {
        self.slots_free.load(Ordering::Acquire)
    }

    /// Slots that progress records leave to holds.
    pub(super) fn slots_reserve(&self) -> i64 {
        self.slots_max / 4
    }

    /// Bytes of journal that are not in the store yet.
    pub(super) fn unapplied_bytes(&self) -> u64 {
        let applied_bytes = self.applied_bytes.load(Ordering::Acquire);
        self.written_bytes.load(Ordering::Acquire).saturating_sub(applied_bytes)
    }

    // === faults ===

    /// The journal cannot be written (or can again). True: that is news.
    pub(super) fn set_journal_error(&self, error: Option<String>) -> bool {
        self.failed.store(error.is_some(), Ordering::Release);
        std::mem::replace(&mut *self.journal_error.lock(), error.clone()) != error
    }

    /// The store cannot be written (or can again). True: that is news.
    pub(super) fn set_store_error(&self, error: Option<String>) -> bool {
        std::mem::replace(&mut *self.store_error.lock(), error.clone()) != error
    }

    pub(super) fn journal_error(&self) -> Option<String> {
        self.journal_error.lock().clone()
    }

    pub(super) fn store_error(&self) -> Option<String> {
        self.store_error.lock().clone()
    }

    // === the written end ===

    /// Changes the tail and wakes the applier.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Tail)) {
        change(&mut self.tail.lock());
        self.tail_changed.notify_all();
    }

    /// Looks at the tail.
    pub(super) fn tail<T>(&self, look: impl FnOnce(&mut Tail) -> T) -> T {
        look(&mut self.tail.lock())
    }

    /// Waits until `ready` says so of the tail, or the time is over, or everything is abandoned.
    pub(super) fn wait_for_tail(&self, time: Duration, mut ready: impl FnMut(&Tail) -> bool) {
        let mut tail = self.tail.lock();
        let mut unready = |tail: &mut Tail| !ready(tail) && !self.is_abandoned();
        self.tail_changed.wait_while_for(&mut tail, &mut unready, time);
    }

    // === the store ===

    /// So many more records are in the store.
    pub(super) fn add_applied(&self, records: u64, bytes: u64) {
        self.applied_records.fetch_add(records, Ordering::AcqRel);
        self.applied_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.applied.notify_waiters();
    }

    /// Whether somebody waits for the store.
    pub(super) fn set_hurried(&self, hurried: bool) {
        self.hurried.store(hurried, Ordering::Release);
    }

    /// See [`State::set_hurried`].
    pub(super) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire)
    }

    /// Waits until so many records are in the store.
    pub(super) async fn applied_up_to(&self, records: u64) {
        loop {
            let mut applied = pin!(self.applied.notified());
            // Before the look, so that nothing is missed between the two.
            applied.as_mut().enable();
            if self.applied_records.load(Ordering::Acquire) >= records {
                return;
            }
            applied.await;
        }
    }

    // === the end ===

    /// Nothing is journaled any more.
    pub(super) fn end_journal(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// See [`State::end_journal`].
    pub(super) fn journal_has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// No new holds from now on. False: that was so before.
    pub(super) fn close(&self) -> bool {
        !self.closing.swap(true, Ordering::AcqRel)
    }

    /// True: every slot is back, so no hold is open and every record is written.
    pub(super) fn is_idle(&self) -> bool {
        self.slots_free() == self.slots_max
    }

    /// The threads end at the next opportunity, whatever is left.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        drop(self.tail.lock());
        self.tail_changed.notify_all();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Said by who applies.
    pub(super) fn set_applied_stays(&self, stays: bool) {
        self.applied_stays.store(stays, Ordering::Release);
    }

    pub(super) fn applied_stays(&self) -> bool {
        self.applied_stays.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_taken_together_or_not_at_all() {
        let state = State::new(5, 0);
        assert!(state.take_slots(2, 0) && state.take_slots(2, 0));
        assert!(!state.take_slots(2, 0));
        assert!(!state.take_slots(1, 1));
        assert!(state.take_slots(1, 0));
        state.give_slots(5);
        assert!(state.is_idle());
    }

    #[test]
    fn a_failed_full_stuck_or_closing_journal_admits_nothing() {
        let state = State::new(8, 100);
        assert!(state.admits());
        assert!(state.set_journal_error(Some("EIO".into())));
        assert!(!state.set_journal_error(Some("EIO".into())));
        assert!(!state.admits());
        assert!(state.set_journal_error(None));
        state.written_bytes.store(101, Ordering::Release);
        assert!(!state.admits());
        state.applied_bytes.store(1, Ordering::Release);
        assert!(state.admits());
        state.writing_since_ms.store(steady_ms() - WRITE_MS_MAX - 1, Ordering::Release);
        assert!(!state.admits());
        state.writing_since_ms.store(0, Ordering::Release);
        assert!(state.close() && !state.close());
        assert!(!state.admits());
    }
}
