//! The process's memory. What requests bring shares a part of it; and when nearly all is taken, new requests are refused so that
//! those that run can end: a process that the kernel kills ends them all.

use super::exchange::steady_ms;
use crate::machine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use tollgate_plugin_api::{Reject, RejectCode};

/// What this process takes of its memory is looked at so often at most, when a request comes.
const LOOK_EVERY_MS: i64 = 20;
/// Above this share, in hundredths, requests are refused …
const REFUSE_ABOVE: u64 = 98;
/// … until no more than this is taken. (What is freed, the allocator gives back within some seconds.)
const TAKE_UP_TO: u64 = 95;
/// Bodies up to here are not counted: they are what is taken in all, and to count them would cost them most.
const SMALL_BODY_BYTES_MAX: u64 = 16 * 1024;
/// The others have this part of all memory: a request is made into others (translated, renamed, read) while it is there.
const BODIES_PART: u64 = 4;
/// Who is refused may come again after so long.
const RETRY_AFTER_S: u64 = 1;

/// See the module.
pub(crate) struct Memory {
    /// What the machine has for this process.
    machine_bytes: u64,
    /// What it may take.
    bytes_max: AtomicU64,
    /// Of bodies that are here, or announced.
    bodies_bytes: AtomicU64,
    looked_at_ms: AtomicI64,
    is_full: AtomicBool,
}

/// Room that a request's body has. Dropped, others have it.
#[derive(Default)]
pub(super) struct Room(Option<Taken>);

/// What a body takes.
struct Taken {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Memory {
    /// `bytes_max`: what may be taken; 0: what the machine, or the container, has.
    pub(super) fn new(bytes_max: u64) -> Self {
        let memory = Self {
            machine_bytes: machine::memory_bytes().unwrap_or(u64::MAX),
            bytes_max: AtomicU64::default(),
            bodies_bytes: AtomicU64::default(),
            looked_at_ms: AtomicI64::new(i64::MIN / 2),
            is_full: AtomicBool::default(),
        };
        memory.set_bytes_max(bytes_max);
        memory
    }

    /// As in [`new`](Self::new), from now on.
    pub(super) fn set_bytes_max(&self, bytes_max: u64) {
        let bytes_max = if bytes_max == 0 { self.machine_bytes } else { bytes_max };
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// What may be taken, in bytes.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// What bodies take of it, in bytes.
    pub(super) fn bodies_bytes(&self) -> u64 {
        self.bodies_bytes.load(Ordering::Relaxed)
    }

    /// Room for a body, of which so many bytes are known.
    ///
    /// # Errors
    /// `OVERLOADED`: there is none, or nearly all memory is taken.
    pub(super) fn room(self: &Arc<Self>, bytes: u64) -> Result<Room, Reject> {
        self.look(steady_ms());
        if self.is_full.load(Ordering::Relaxed) {
            return Err(overloaded());
        }
        let mut room = Room::default();
        room.widen(bytes, self)?;
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
            (true, false) => tracing::warn!(taken, bytes_max, "there is memory again: requests are taken"),
            _ => {}
        }
    }

    fn is_above(&self, hundredths: u64, taken: u64) -> bool {
        u128::from(taken) * 100 > u128::from(self.bytes_max()) * u128::from(hundredths)
    }
}

impl Room {
    /// Room for so many bytes, if it is not that wide yet. A body that is alone always has room.
    ///
    /// # Errors
    /// `OVERLOADED`: there is none.
    pub(super) fn widen(&mut self, bytes: u64, memory: &Arc<Memory>) -> Result<(), Reject> {
        if bytes <= SMALL_BODY_BYTES_MAX {
            return Ok(());
        }
        self.0.get_or_insert_with(|| Taken { memory: memory.clone(), bytes: 0 }).widen(bytes)
    }
}

impl Taken {
    fn widen(&mut self, bytes: u64) -> Result<(), Reject> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let bodies_max = self.memory.bytes_max() / BODIES_PART;
        let all = &self.memory.bodies_bytes;
        let widened = |taken: u64| {
            let (is_alone, wider) = (taken == self.bytes, taken.saturating_add(more));
            (is_alone || wider <= bodies_max).then_some(wider)
        };
        all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, widened).map_err(|_| overloaded())?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.memory.bodies_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn overloaded() -> Reject {
    Reject::new(RejectCode::Overloaded).retry_after_s(RETRY_AFTER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    const KIB: u64 = 1 << 10;

    /// So that bodies have so many KiB.
    fn with_bodies_max(kib: u64) -> Arc<Memory> {
        Arc::new(Memory::new(BODIES_PART * kib * KIB))
    }

    fn room(memory: &Arc<Memory>, kib: u64) -> Option<Room> {
        let mut room = Room::default();
        room.widen(kib * KIB, memory).ok().map(|()| room)
    }

    #[test]
    fn bodies_share_their_part_and_what_is_dropped_is_there_again() {
        let memory = with_bodies_max(100);
        let mut first = room(&memory, 60).unwrap();
        assert!(room(&memory, 41).is_none());
        assert_eq!(memory.bodies_bytes(), 60 * KIB, "a refusal takes nothing");
        let second = room(&memory, 40).unwrap();
        assert!(first.widen(61 * KIB, &memory).is_err() && first.widen(60 * KIB, &memory).is_ok());
        assert_eq!(memory.bodies_bytes(), 100 * KIB);
        assert!(room(&memory, 16).is_some(), "a small one takes nothing");
        drop(second);
        first.widen(100 * KIB, &memory).unwrap();
        drop(first);
        assert_eq!(memory.bodies_bytes(), 0);
    }

    #[test]
    fn a_body_that_is_alone_has_room_however_large_it_is() {
        let memory = with_bodies_max(100);
        let mut alone = room(&memory, 90).unwrap();
        alone.widen(1_000 * KIB, &memory).unwrap();
        assert!(room(&memory, 17).is_none());
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
    fn requests_are_refused_while_nearly_all_is_taken() {
        let memory = Arc::new(Memory::new(MIB));
        let refused = memory.room(1).err().expect("the process takes more than this");
        assert_eq!((refused.code, refused.retry_after_s), (RejectCode::Overloaded, Some(RETRY_AFTER_S)));
        memory.set_bytes_max(0);
        assert!(memory.bytes_max() > MIB);
        memory.look(steady_ms() + LOOK_EVERY_MS);
        assert!(memory.room(1).is_ok());
    }

    #[test]
    fn who_was_full_is_so_until_there_is_some_room_and_nothing_overflows() {
        let memory = Memory::new(1_000);
        let judged = |taken: u64| {
            memory.judge(taken);
            memory.is_full.load(Ordering::Relaxed)
        };
        assert_eq!([980, 981, 960, 951, 950, 980].map(judged), [false, true, true, true, false, false]);
        memory.set_bytes_max(u64::MAX);
        assert_eq!([u64::MAX / 100 * 98, u64::MAX].map(judged), [false, true]);
    }
}
