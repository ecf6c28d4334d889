//! The process's memory. What requests bring shares a part of it, and what is kept of answers another one; and when nearly all is taken,
//! new requests are refused so that those that run can end: a process that the kernel kills ends them all.

use crate::clock::steady_ms;
use crate::machine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use tollgate_plugin_api::{Reject, RejectCode};

/// What this process takes of its memory is looked at so often at most, when a request comes.
const LOOK_EVERY_MS: i64 = 20;
/// Of what the machine has, the process may take so many tenths unless that is configured: the kernel needs some, too.
const TENTHS: u64 = 9;
/// Above this share of what it may take, in hundredths, requests are refused …
const REFUSE_ABOVE: u64 = 98;
/// … until no more than this is taken. (What is freed, the allocator gives back within some seconds.)
const TAKE_UP_TO: u64 = 95;
/// Bodies up to here are not counted one by one, which would cost them most: what is taken in all has them in it.
const SMALL_BODY_BYTES_MAX: u64 = 16 * 1024;
/// One that is alone has this part of all memory at most.
const ALONE_PART: u64 = 2;
/// When more than this part of a share is taken, it is short.
const SHORT_PART: u64 = 2;
/// Where somebody found no room, it is short for so long.
const SHORT_MS: i64 = 60_000;
/// Who is refused may come again after so long.
const RETRY_AFTER_S: u64 = 1;

/// Whose body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// A request's of somebody with a key.
    Requests,
    /// What is kept of an upstream's answer until it is whole.
    Answers,
    /// A request's that nobody needs any more, but an estimate, if there will be one.
    Kept,
    /// One for a page of ours: the console's, a plugin's. Nobody may be known yet who sends it, so it takes nothing away from
    /// requests; and an operator has his pages also while requests are refused.
    Pages,
}

impl Share {
    /// Bodies have this part of all memory. (A request is made into others, translated or renamed, while its body is there.)
    fn part(self) -> u64 {
        match self {
            Self::Requests | Self::Answers => 4,
            Self::Kept => 8,
            Self::Pages => 64,
        }
    }
}

/// See the module.
pub(crate) struct Memory {
    /// What the process may take.
    bytes_max: AtomicU64,
    /// Of bodies that are here, or announced; by their share.
    bodies_bytes: [AtomicU64; 4],
    /// When somebody found no room, by share.
    refused_at_ms: [AtomicI64; 4],
    looked_at_ms: AtomicI64,
    is_full: AtomicBool,
}

/// Room that a body has. Dropped, others have it.
pub(super) struct Room {
    memory: Arc<Memory>,
    share: Share,
    /// Zero for a small one.
    bytes: u64,
}

impl Memory {
    /// `bytes_max`: what may be taken; 0: what the machine, or the container, has, but for some.
    pub(super) fn new(bytes_max: u64) -> Self {
        let memory = Self {
            bytes_max: AtomicU64::default(),
            bodies_bytes: Default::default(),
            refused_at_ms: std::array::from_fn(|_| AtomicI64::new(i64::MIN / 2)),
            looked_at_ms: AtomicI64::new(i64::MIN / 2),
            is_full: AtomicBool::default(),
        };
        memory.set_bytes_max(bytes_max);
        memory
    }

    /// As in [`new`](Self::new), from now on; a container's limit may have changed, too.
    pub(super) fn set_bytes_max(&self, bytes_max: u64) {
        let machine_bytes = machine::memory_bytes().unwrap_or(u64::MAX);
        if bytes_max > machine_bytes {
            tracing::warn!(bytes_max, machine_bytes, "server.memory_bytes_max is more than the machine has");
        }
        let bytes_max = if bytes_max == 0 { machine_bytes / 10 * TENTHS } else { bytes_max.min(machine_bytes) };
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// What may be taken, in bytes.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// What bodies of requests take of it, in bytes.
    pub(super) fn bodies_bytes(&self) -> u64 {
        self.bodies_bytes[Share::Requests as usize].load(Ordering::Relaxed)
    }

    /// Whether nearly all is taken, so that requests are refused.
    pub(super) fn is_full(&self) -> bool {
        self.look(steady_ms());
        self.is_full.load(Ordering::Relaxed)
    }

    /// Room for a body, of which so many bytes are known.
    ///
    /// # Errors
    /// `OVERLOADED`: there is none, or, for requests, nearly all memory is taken.
    pub(super) fn room(self: &Arc<Self>, share: Share, bytes: u64) -> Result<Room, Reject> {
        if share == Share::Requests && self.is_full() {
            return Err(overloaded());
        }
        let mut room = Room { memory: self.clone(), share, bytes: 0 };
        room.widen(bytes)?;
        Ok(room)
    }

    /// Looks at what is taken, if it is time.
    fn look(&self, now_ms: i64) {
        let looked_at_ms = self.looked_at_ms.load(Ordering::Relaxed);
        let is_due = now_ms - looked_at_ms >= LOOK_EVERY_MS;
        if !is_due
            || self.looked_at_ms.compare_exchange(looked_at_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        if let Some(taken) = machine::resident_bytes() {
            self.judge(taken);
        }
    }

    fn judge(&self, taken: u64) {
        let was_full = self.is_full.load(Ordering::Relaxed);
        let is_full = self.is_above(if was_full { TAKE_UP_TO } else { REFUSE_ABOVE }, taken);
        self.is_full.store(is_full, Ordering::Relaxed);
        let bytes_max = self.bytes_max();
        match (was_full, is_full) {
            (false, true) => tracing::error!(taken, bytes_max, "nearly all memory is taken: requests are refused"),
            (true, false) => tracing::warn!(taken, bytes_max, "there is memory again: requests are accepted"),
            _ => {}
        }
    }

    fn refused_lately(&self, share: usize, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.refused_at_ms[share].load(Ordering::Relaxed)) < SHORT_MS
    }

    fn is_above(&self, hundredths: u64, taken: u64) -> bool {
        u128::from(taken) * 100 > u128::from(self.bytes_max()) * u128::from(hundredths)
    }
}

impl Room {
    /// Room for so many bytes, if it is not that wide yet. A body that is alone has room beyond the share.
    ///
    /// # Errors
    /// `OVERLOADED`: there is none, or, for requests, nearly all memory is taken by now.
    pub(super) fn widen(&mut self, bytes: u64) -> Result<(), Reject> {
        let more = bytes.saturating_sub(self.bytes);
        if bytes <= SMALL_BODY_BYTES_MAX || more == 0 {
            return Ok(());
        }
        if self.share == Share::Requests && self.memory.is_full() {
            return Err(overloaded());
        }
        let bytes_max = self.memory.bytes_max();
        let widened = |taken: u64| {
            let (is_alone, wider) = (taken == self.bytes, taken.saturating_add(more));
            let has_alone = is_alone && self.share != Share::Kept;
            let limit = bytes_max / if has_alone { ALONE_PART } else { self.share.part() };
            (wider <= limit).then_some(wider)
        };
        let all = &self.memory.bodies_bytes[self.share as usize];
        if all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, widened).is_err() {
            self.memory.refused_at_ms[self.share as usize].store(steady_ms(), Ordering::Relaxed);
            return Err(overloaded());
        }
        self.bytes += more;
        Ok(())
    }
}

impl Room {
    /// Whether others, too, have of its share, and there is little left; or somebody found none a while ago.
    pub(super) fn is_short(&self) -> bool {
        let share = self.share as usize;
        let taken = self.memory.bodies_bytes[share].load(Ordering::Relaxed);
        let part = self.memory.bytes_max() / self.share.part();
        let is_shared = taken > self.bytes && taken > part / SHORT_PART;
        self.bytes > 0 && (is_shared || self.memory.refused_lately(share, steady_ms()))
    }

    /// As much room among what is [`Kept`](Share::Kept), instead of this. `None`: there is none, or nearly all memory is taken.
    pub(super) fn kept(self) -> Option<Self> {
        let mut kept = Self { memory: self.memory.clone(), share: Share::Kept, bytes: 0 };
        kept.widen(self.bytes).ok().filter(|()| !self.memory.is_full.load(Ordering::Relaxed))?;
        Some(kept)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.bodies_bytes[self.share as usize].fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

fn overloaded() -> Reject {
    Reject::new(RejectCode::Overloaded).retry_after_s(RETRY_AFTER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;

    /// So that bodies of requests have so many KiB. (The process takes more than that in all: nobody looks.)
    fn with_bodies_max(kib: u64) -> Arc<Memory> {
        let memory = Memory::new(Share::Requests.part() * kib * KIB);
        Arc::new(Memory { looked_at_ms: AtomicI64::new(i64::MAX), ..memory })
    }

    fn room(memory: &Arc<Memory>, kib: u64) -> Option<Room> {
        memory.room(Share::Requests, kib * KIB).ok()
    }

    #[test]
    fn bodies_share_their_part_and_what_is_dropped_is_there_again() {
        let memory = with_bodies_max(100);
        let mut first = room(&memory, 60).unwrap();
        assert!(room(&memory, 41).is_none());
        assert_eq!(memory.bodies_bytes(), 60 * KIB, "a refusal takes nothing");
        let second = room(&memory, 40).unwrap();
        assert!(first.widen(61 * KIB).is_err() && first.widen(60 * KIB).is_ok());
        assert_eq!(memory.bodies_bytes(), 100 * KIB);
        assert!(room(&memory, 16).is_some(), "a small one takes nothing");
        drop(second);
        first.widen(100 * KIB).unwrap();
        drop(first);
        assert_eq!(memory.bodies_bytes(), 0);
    }

    #[test]
    fn what_is_kept_takes_nothing_from_those_that_come() {
        let memory = with_bodies_max(100);
        let kept = room(&memory, 50).unwrap().kept().unwrap();
        assert_eq!(memory.bodies_bytes(), 0);
        assert!(room(&memory, 18).unwrap().kept().is_none(), "there is half as much for it, and no more for one alone");
        drop(kept);
        assert!(room(&memory, 51).unwrap().kept().is_none());
        let kept = room(&memory, 18).unwrap().kept();
        assert!(kept.is_some() && room(&memory, 200).is_some());
        memory.is_full.store(true, Ordering::Relaxed);
        assert!(Room { memory, share: Share::Requests, bytes: 0 }.kept().is_none());
    }

    #[test]
    fn a_body_that_is_alone_has_half_of_all_and_then_nobody_else_has_any() {
        let memory = with_bodies_max(100);
        let mut alone = room(&memory, 90).unwrap();
        alone.widen(200 * KIB).unwrap();
        assert!(alone.widen(200 * KIB + 1).is_err());
        assert!(room(&memory, 17).is_none());
    }

    #[test]
    fn pages_have_a_share_of_their_own_also_while_requests_are_refused() {
        let memory = with_bodies_max(1600);
        let page = memory.room(Share::Pages, 60 * KIB).unwrap();
        assert!(memory.room(Share::Pages, 60 * KIB).is_err());
        assert_eq!(memory.bodies_bytes(), 0);
        drop(page);
        memory.judge(memory.bytes_max());
        assert!(room(&memory, 1).is_none());
        assert!(memory.room(Share::Pages, 60 * KIB).is_ok());
    }

    #[test]
    fn answers_have_a_share_of_their_own_also_while_requests_are_refused() {
        let memory = with_bodies_max(100);
        let _request = room(&memory, 100).unwrap();
        memory.judge(memory.bytes_max());
        let mut answer = memory.room(Share::Answers, 0).unwrap();
        answer.widen(60 * KIB).unwrap();
        let mut other = memory.room(Share::Answers, 0).unwrap();
        assert!(other.widen(41 * KIB).is_err() && other.widen(40 * KIB).is_ok());
    }

    #[test]
    fn a_body_that_grows_is_refused_when_nearly_all_is_taken_meanwhile() {
        let memory = with_bodies_max(100);
        let mut begun = room(&memory, 17).unwrap();
        memory.judge(memory.bytes_max());
        assert!(begun.widen(18 * KIB).is_err() && begun.widen(17 * KIB).is_ok());
    }

    #[test]
    fn never_more_than_their_part_is_given_to_many_at_once() {
        let memory = with_bodies_max(2_000);
        let given = std::thread::scope(|scope| {
            let threads = [(); 8].map(|()| {
                let memory = &memory;
                scope.spawn(move || (0..500).filter_map(|_| room(memory, 20)).collect::<Vec<_>>())
            });
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(given.iter().flatten().count(), 100);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn requests_are_refused_while_nearly_all_is_taken() {
        let memory = Arc::new(Memory::new(1 << 20));
        let refused = memory.room(Share::Requests, 1).err().expect("the process takes more than this");
        assert_eq!((refused.code, refused.retry_after_s), (RejectCode::Overloaded, Some(RETRY_AFTER_S)));
        memory.set_bytes_max(0);
        let there_is = machine::memory_bytes().unwrap();
        assert!(memory.bytes_max() < there_is && memory.bytes_max() > there_is / 2);
        memory.look(steady_ms() + LOOK_EVERY_MS);
        assert!(memory.room(Share::Requests, 1).is_ok());
        memory.set_bytes_max(u64::MAX);
        assert_eq!(memory.bytes_max(), there_is, "no more than there is");
    }

    #[test]
    fn who_was_full_is_so_until_there_is_some_room_and_nothing_overflows() {
        let memory = Memory::new(1_000);
        let judged = |taken: u64| {
            memory.judge(taken);
            memory.is_full.load(Ordering::Relaxed)
        };
        assert_eq!([980, 981, 960, 951, 950, 980].map(judged), [false, true, true, true, false, false]);
        memory.bytes_max.store(u64::MAX, Ordering::Relaxed);
        assert_eq!([u64::MAX / 100 * 98, u64::MAX].map(judged), [false, true]);
    }
}
