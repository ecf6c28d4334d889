//! What is written for every request, a line or a span, on its way out to a thread of the plugin's own: many threads put, one
//! takes. Nobody who puts ever waits, and the one who takes is not woken for each entry: that costs more than the entry does.

use crate::{Loss, Losses};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much waits, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// Entries that wait to be taken; more are dropped.
    pub entries_max: u64,
    /// A batch ends with so many entries …
    pub batch_entries_max: u64,
    /// … or before it would have more bytes than this, if it has an entry at all.
    pub batch_bytes_max: usize,
    /// A batch that is not full waits so long for further entries.
    pub gather: Duration,
}

/// Entries that are sent on together, one behind the other.
#[derive(Debug, Default)]
pub struct Batch {
    /// All of them.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub count: u64,
    /// Entries that were dropped since the batch before.
    pub dropped: u64,
}

/// See the module.
pub struct Outbox {
    plugin: &'static str,
    losses: Arc<dyn Losses>,
    limits: OutboxLimits,
    state: Mutex<State>,
    /// For the one who takes.
    changed: Condvar,
    /// For those who flush.
    flushed: Condvar,
}

#[derive(Default)]
struct State {
    full: VecDeque<Batch>,
    /// Entries are added to it.
    open: Batch,
    /// What was taken and is used up: its memory serves again.
    spare: Batch,
    waiting: u64,
    dropped: u64,
    /// The one who takes waits for a first entry.
    idle: bool,
    flushes_asked: u64,
    /// Done as soon as the batch that is being dealt with is.
    flushes_due: u64,
    flushes_done: u64,
    closed: bool,
}

impl Outbox {
    /// An empty one of this plugin's. What is dropped is counted.
    pub fn new(plugin: &'static str, limits: OutboxLimits, losses: Arc<dyn Losses>) -> Self {
        // So that a counter is there before it counts: what begins above zero shows no increase.
        Loss::ALL.into_iter().for_each(|loss| losses.lost(plugin, loss, 0));
        Self { plugin, losses, limits, state: Mutex::default(), changed: Condvar::new(), flushed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is in it is whole at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry in, or drops it. Never waits.
    pub fn put(&self, entry: &[u8]) {
        let mut state = self.state();
        if state.waiting >= self.limits.entries_max || state.closed {
            state.dropped += 1;
            let loss = if state.closed { Loss::Undelivered } else { Loss::QueueFull };
            drop(state);
            self.losses.lost(self.plugin, loss, 1);
            return;
        }
        let open = &state.open;
        let is_full = open.count >= self.limits.batch_entries_max
            || open.count > 0 && open.bytes.len() + entry.len() > self.limits.batch_bytes_max;
        if is_full {
            let empty = std::mem::take(&mut state.spare);
            let full = std::mem::replace(&mut state.open, empty);
            state.full.push_back(full);
        }
        state.open.bytes.extend_from_slice(entry);
        state.open.count += 1;
        state.waiting += 1;
        let wakes = std::mem::replace(&mut state.idle, false) || is_full;
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
    }

    /// Waits until what was put in before is taken and dealt with, or for as long as is reasonable.
    pub fn flush(&self, wait_max: Duration) {
        let until = Instant::now() + wait_max;
        let mut state = self.state();
        state.flushes_asked += 1;
        let asked = state.flushes_asked;
        self.changed.notify_one();
        while state.flushes_done < asked {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.flushed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// For the one who takes, between two tries: waits for so long, or until somebody closes or flushes.
    pub fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut state = self.state();
        while !state.closed && state.flushes_done == state.flushes_asked {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// So many of those that were taken could not be delivered.
    pub fn undelivered(&self, count: u64) {
        self.losses.lost(self.plugin, Loss::Undelivered, count);
    }

    /// Nothing is put in any more; what is there is still taken.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next batch, which takes the place of the one that has been dealt with. An empty one says that somebody
    /// waits until all before it is dealt with. False: closed, and all is taken.
    pub fn take(&self, batch: &mut Batch) -> bool {
        batch.bytes.clear();
        batch.count = 0;
        let mut until: Option<Instant> = None;
        let mut state = self.state();
        state.spare = std::mem::take(batch);
        if state.flushes_done < state.flushes_due {
            state.flushes_done = state.flushes_due;
            self.flushed.notify_all();
        }
        loop {
            let is_asked = state.flushes_done < state.flushes_asked;
            let is_due = is_asked || state.closed || until.is_some_and(|until| until <= Instant::now());
            if let Some(full) = state.full.pop_front() {
                *batch = full;
            } else if state.open.count > 0 && is_due {
                let empty = std::mem::take(&mut state.spare);
                *batch = std::mem::replace(&mut state.open, empty);
            }
            if batch.count > 0 || is_asked || state.closed {
                if batch.count == 0 {
                    state.flushes_due = state.flushes_asked;
                }
                state.waiting -= batch.count;
                batch.dropped = std::mem::take(&mut state.dropped);
                return batch.count > 0 || is_asked;
            }
            state.idle = state.open.count == 0;
            state = if state.idle {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                let until = until.get_or_insert_with(|| Instant::now() + self.limits.gather);
                let left = until.saturating_duration_since(Instant::now());
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ports;

    fn outbox(limits: OutboxLimits) -> Outbox {
        Outbox::new("x", limits, Ports::to_nothing().losses)
    }

    #[derive(Default)]
    struct Counted(Mutex<Vec<(Loss, u64)>>);

    impl Losses for Counted {
        fn lost(&self, plugin: &'static str, loss: Loss, count: u64) {
            assert_eq!(plugin, "x");
            self.0.lock().unwrap().push((loss, count));
        }
    }

    #[test]
    fn what_is_lost_is_counted_from_zero_by_its_reason() {
        let losses = Arc::<Counted>::default();
        let outbox = Outbox::new("x", OutboxLimits { entries_max: 1, ..LIMITS }, losses.clone());
        outbox.put(b"taken");
        outbox.put(b"lost");
        outbox.undelivered(1);
        outbox.close();
        outbox.put(b"too late");
        let [full, undelivered] = Loss::ALL;
        let expected = [(full, 0), (undelivered, 0), (full, 1), (undelivered, 1), (undelivered, 1)];
        let counted = losses.0.lock().unwrap().clone();
        assert_eq!(counted, expected);
    }
    use std::sync::Arc;

    /// Longer than any test runs: what is taken is taken for another reason.
    const NEVER: Duration = Duration::from_secs(3600);
    const LIMITS: OutboxLimits =
        OutboxLimits { entries_max: 6, batch_entries_max: 3, batch_bytes_max: 10, gather: NEVER };

    fn taken(outbox: &Outbox) -> Option<(String, u64, u64)> {
        let mut batch = Batch::default();
        outbox.take(&mut batch).then_some((String::from_utf8(batch.bytes).unwrap(), batch.count, batch.dropped))
    }

    #[test]
    fn batches_are_full_by_entries_or_by_bytes_and_what_does_not_fit_is_counted() {
        let outbox = outbox(LIMITS);
        for text in ["a", "b", "c", "d", "0123456789+", "e", "lost", "lost"] {
            outbox.put(text.as_bytes());
        }
        assert_eq!(taken(&outbox), Some(("abc".to_owned(), 3, 2)));
        outbox.put(b"f");
        outbox.close();
        outbox.put(b"too late");
        assert_eq!(taken(&outbox), Some(("d".to_owned(), 1, 1)));
        assert_eq!(taken(&outbox), Some(("0123456789+".to_owned(), 1, 0)));
        assert_eq!(taken(&outbox), Some(("ef".to_owned(), 2, 0)));
        assert_eq!(taken(&outbox), None);
    }

    #[test]
    fn a_batch_is_gathered_for_a_while_and_no_longer() {
        let outbox = outbox(OutboxLimits { gather: Duration::from_millis(1), ..LIMITS });
        outbox.put(b"a");
        assert_eq!(taken(&outbox), Some(("a".to_owned(), 1, 0)));
    }

    #[test]
    fn a_flush_ends_when_all_before_it_is_dealt_with() {
        let outbox = Arc::new(outbox(LIMITS));
        let dealt_with = Arc::new(Mutex::new(String::new()));
        let thread = std::thread::spawn({
            let (outbox, dealt_with) = (outbox.clone(), dealt_with.clone());
            move || {
                let mut batch = Batch::default();
                while outbox.take(&mut batch) {
                    dealt_with.lock().unwrap().push_str(str::from_utf8(&batch.bytes).unwrap());
                }
            }
        });
        for number in 0..100 {
            outbox.put(number.to_string().as_bytes());
            outbox.flush(NEVER);
            assert!(dealt_with.lock().unwrap().ends_with(&number.to_string()));
        }
        outbox.close();
        thread.join().unwrap();
    }

    #[test]
    fn a_pause_ends_by_itself_and_by_who_flushes_or_closes() {
        outbox(LIMITS).pause(Duration::from_millis(1));
        for end in [Outbox::close, |outbox: &Outbox| outbox.flush(Duration::ZERO)] {
            let outbox = outbox(LIMITS);
            std::thread::scope(|scope| {
                let pausing = scope.spawn(|| outbox.pause(NEVER));
                // What is put in meanwhile wakes nobody for long.
                (0..5).for_each(|_| outbox.put(b"0123456789"));
                end(&outbox);
                pausing.join().unwrap();
            });
        }
    }

    #[test]
    fn a_flush_that_nobody_answers_is_given_up() {
        let outbox = outbox(LIMITS);
        outbox.put(b"a");
        outbox.flush(Duration::from_millis(1));
        assert_eq!(taken(&outbox), Some(("a".to_owned(), 1, 0)));
    }
}
