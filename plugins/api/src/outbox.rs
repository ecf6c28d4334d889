//! What is written for every request, a line or a span, on its way out to a thread of the plugin's own: many threads put, one
//! takes. Nobody who puts ever waits for the one who takes, who is not woken for each entry: that costs more than the entry does.
//! A thread writes its entries where they stay, into a piece of its own; only whole pieces pass through what all of them share.

mod batch;
#[cfg(test)]
mod tests;

use self::batch::Piece;
use crate::{Loss, Losses};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use self::batch::Batch;

/// Threads that write side by side; of more, some share a lane.
const LANES: usize = 16;
/// So many pieces make a batch, if they are full.
const PIECES_A_BATCH: u64 = 8;
/// A thread keeps so much memory for its next entry: more than one has that says nothing of what was asked.
const ENTRY_BYTES_KEPT: usize = 16 * 1024;
/// Pieces that are used up and kept for those to come.
const SPARES_MAX: usize = 2 * PIECES_A_BATCH as usize;

/// How much waits, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// Entries that wait to be taken; more are dropped. (What other threads are about to hand over is not counted: an eighth of a
    /// batch each at most.)
    pub entries_max: u64,
    /// A batch ends with so many entries at most …
    pub batch_entries_max: u64,
    /// … or before it would have more bytes than this. (Entries that are larger than an eighth of it may have it exceeded by one.)
    pub batch_bytes_max: usize,
    /// A batch that is not full waits so long for further entries.
    pub gather: Duration,
}

/// See the module.
pub struct Outbox {
    plugin: &'static str,
    losses: Arc<dyn Losses>,
    limits: OutboxLimits,
    lanes: [Lane; LANES],
    /// Handed over, and not taken.
    waiting: AtomicU64,
    dropped: AtomicU64,
    /// The one who takes waits for a first entry.
    idle: AtomicBool,
    closed: AtomicBool,
    /// Nobody who has it waits for a lane.
    state: Mutex<State>,
    /// For the one who takes.
    changed: Condvar,
    /// For those who flush.
    flushed: Condvar,
}

/// Where a thread writes. Lanes of two threads have nothing in common, no line of the processor's cache either.
#[derive(Default)]
#[repr(align(128))]
struct Lane(Mutex<Piece>);

struct State {
    full: VecDeque<Piece>,
    /// When there was nothing in any lane, at last: who put first since has waited no longer.
    gathering_since: Instant,
    /// Of all pieces that are full.
    entries: u64,
    bytes: usize,
    /// What was taken and is used up: its memory serves again.
    spare: Vec<Piece>,
    flushes_asked: u64,
    /// So many of them are done when so many pieces more are dealt with.
    flushes_due: Option<(u64, usize)>,
    flushes_done: u64,
}

impl State {
    fn new() -> Self {
        Self {
            full: VecDeque::new(),
            gathering_since: Instant::now(),
            entries: 0,
            bytes: 0,
            spare: Vec::new(),
            flushes_asked: 0,
            flushes_due: None,
            flushes_done: 0,
        }
    }

    fn push(&mut self, piece: Piece) {
        self.entries += piece.count;
        self.bytes += piece.bytes.len();
        self.full.push_back(piece);
    }

    fn has_batch(&self, limits: &OutboxLimits) -> bool {
        self.entries >= limits.batch_entries_max || self.bytes >= limits.batch_bytes_max
    }

    /// Takes pieces for as long as they fit.
    fn pop_batch(&mut self, limits: &OutboxLimits, batch: &mut Batch) {
        let mut bytes = 0;
        while let Some(next) = self.full.front() {
            let fits = batch.count + next.count <= limits.batch_entries_max
                && bytes + next.bytes.len() <= limits.batch_bytes_max;
            if !fits && batch.count > 0 {
                break;
            }
            let Some(piece) = self.full.pop_front() else { break };
            self.entries -= piece.count;
            self.bytes -= piece.bytes.len();
            bytes += piece.bytes.len();
            batch.count += piece.count;
            batch.pieces.push(piece);
            if let Some((_, pieces)) = &mut self.flushes_due {
                *pieces = pieces.saturating_sub(1);
            }
        }
    }

    /// The batch before is dealt with.
    fn recycle(&mut self, batch: &mut Batch, piece_bytes_max: usize) {
        for mut piece in batch.pieces.drain(..) {
            if self.spare.len() < SPARES_MAX && piece.bytes.capacity() <= 2 * piece_bytes_max {
                piece.bytes.clear();
                self.spare.push(Piece { bytes: piece.bytes, ..Piece::default() });
            }
        }
        batch.count = 0;
    }

    /// Somebody waits who is not told yet when it is done.
    fn is_asked(&self) -> bool {
        self.flushes_done < self.flushes_asked && self.flushes_due.is_none()
    }
}

/// Which lane is this thread's.
fn lane() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    LANE.get().unwrap_or_else(|| {
        let lane = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
        LANE.set(Some(lane));
        lane
    })
}

/// Has an entry written where this thread writes all of them, and handed on when it is whole. A piece's memory was last in the hands
/// of another processor: it is waited for once, and not with each of the many short parts of an entry.
fn with_entry(write: impl FnOnce(&mut Vec<u8>), whole: impl FnOnce(&[u8])) {
    thread_local! {
        static ENTRY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // A thread that ends may have something to say after its own things are gone.
    let mut entry = ENTRY.try_with(Cell::take).unwrap_or_default();
    entry.clear();
    write(&mut entry);
    whole(&entry);
    if entry.capacity() <= ENTRY_BYTES_KEPT {
        let _ = ENTRY.try_with(|place| place.set(entry));
    }
}

impl Outbox {
    /// An empty one of this plugin's. What is dropped is counted.
    pub fn new(plugin: &'static str, limits: OutboxLimits, losses: Arc<dyn Losses>) -> Self {
        // So that a counter is there before it counts: what begins above zero shows no increase.
        Loss::ALL.into_iter().for_each(|loss| losses.lost(plugin, loss, 0));
        Self {
            plugin,
            losses,
            limits,
            lanes: Default::default(),
            waiting: AtomicU64::default(),
            dropped: AtomicU64::default(),
            idle: AtomicBool::default(),
            closed: AtomicBool::default(),
            state: Mutex::new(State::new()),
            changed: Condvar::new(),
            flushed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is in it is whole at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece_bytes_max(&self) -> usize {
        self.limits.batch_bytes_max / PIECES_A_BATCH as usize
    }

    /// Puts an entry in, which `write` appends, or drops it.
    pub fn put(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut piece = self.lanes[lane()].0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_closed = self.closed.load(Ordering::Relaxed);
        if is_closed || self.waiting.load(Ordering::Relaxed) + piece.count >= self.limits.entries_max {
            drop(piece);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            let loss = if is_closed { Loss::Undelivered } else { Loss::QueueFull };
            return self.losses.lost(self.plugin, loss, 1);
        }
        with_entry(write, |entry| piece.bytes.extend_from_slice(entry));
        piece.count += 1;
        let is_full = piece.count >= self.limits.batch_entries_max / PIECES_A_BATCH
            || piece.bytes.len() >= self.piece_bytes_max();
        if is_full {
            self.hand_over(&mut piece);
        }
        drop(piece);
        if self.idle.load(Ordering::Relaxed) && self.idle.swap(false, Ordering::Relaxed) {
            self.wake();
        }
    }

    /// With its lane's lock: what is put behind it comes behind it.
    fn hand_over(&self, piece: &mut Piece) {
        self.waiting.fetch_add(piece.count, Ordering::Relaxed);
        let mut state = self.state();
        let empty = state.spare.pop().unwrap_or_default();
        let full = std::mem::replace(piece, empty);
        state.push(full);
        let wakes = state.has_batch(&self.limits);
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
    }

    /// Wakes the one who takes: it is waiting by now, or sees what was changed before.
    fn wake(&self) {
        drop(self.state());
        self.changed.notify_one();
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
        while !self.is_closed() && state.flushes_done == state.flushes_asked {
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
        self.closed.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Waits for the next batch, which takes the place of the one that has been dealt with. An empty one says that somebody
    /// waits until all before it is dealt with. False: closed, and all is taken.
    pub fn take(&self, batch: &mut Batch) -> bool {
        let mut state = self.state();
        state.recycle(batch, self.piece_bytes_max());
        if let Some((asked, 0)) = state.flushes_due {
            (state.flushes_done, state.flushes_due) = (asked, None);
            self.flushed.notify_all();
        }
        loop {
            let (is_asked, is_closed) = (state.is_asked(), self.is_closed());
            let left = self.limits.gather.saturating_sub(state.gathering_since.elapsed());
            let is_late = is_asked || is_closed || left.is_zero();
            if is_late {
                let asked = state.flushes_asked;
                state = self.drain(state);
                if is_asked {
                    state.flushes_due = Some((asked, state.full.len()));
                }
            }
            if is_late || state.flushes_due.is_some() || state.has_batch(&self.limits) {
                state.pop_batch(&self.limits, batch);
            }
            if batch.count > 0 || is_asked || is_closed {
                self.waiting.fetch_sub(batch.count, Ordering::Relaxed);
                batch.dropped = self.dropped.swap(0, Ordering::Relaxed);
                return batch.count > 0 || is_asked;
            }
            state = if is_late {
                self.wait_for_first(state)
            } else {
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }

    /// Takes what is in the lanes. They are not waited for with the state's lock: who has theirs may wait for it.
    fn drain<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.gathering_since = Instant::now();
        drop(state);
        for lane in &self.lanes {
            let mut piece = lane.0.lock().unwrap_or_else(PoisonError::into_inner);
            if piece.count > 0 {
                self.hand_over(&mut piece);
            }
        }
        self.state()
    }

    /// Waits until somebody puts, flushes or closes.
    fn wait_for_first<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if !state.full.is_empty() {
            return state;
        }
        drop(state);
        // Who puts from here on finds it set; what was put before is found.
        self.idle.store(true, Ordering::Relaxed);
        let is_empty = |lane: &Lane| lane.0.lock().unwrap_or_else(PoisonError::into_inner).count == 0;
        let is_idle = self.lanes.iter().all(is_empty);
        let mut state = self.state();
        // A whole piece may have come before that was set.
        while is_idle
            && state.full.is_empty()
            && self.idle.load(Ordering::Relaxed)
            && !state.is_asked()
            && !self.is_closed()
        {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.idle.store(false, Ordering::Relaxed);
        state.gathering_since = Instant::now();
        state
    }
}
