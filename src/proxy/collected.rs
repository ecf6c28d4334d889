//! What is kept of an answer until it is whole: a client that gets it in another dialect gets it as one document, as large as its
//! upstream makes it. It takes room of the memory, as requests do, and has that until the client has it all; who takes it slowly loses it
//! once others need the room.

use super::memory::{Memory, Room, Share};
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;

/// There is no room for an answer.
pub(super) const NO_ROOM: ErrorType = ErrorType::Custom("NoRoom");

/// While room is short, a client that has taken an answer for longer than this …
const GRACE: Duration = Duration::from_secs(60);
/// … has taken so many bytes of it for each second beyond.
const BYTES_PER_S_MIN: u64 = 64 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Collected {
    bytes: u64,
    room: Option<Room>,
}

impl Collected {
    /// So many bytes more are kept.
    ///
    /// # Errors
    /// [`NO_ROOM`].
    pub(super) fn more(&mut self, bytes: usize, memory: &Arc<Memory>) -> Result<()> {
        let no_room = |_| Error::explain(NO_ROOM, "there is no memory for the answer");
        self.bytes += bytes as u64;
        let room = match &mut self.room {
            Some(room) => room,
            room => room.insert(memory.room(Share::Answers, 0).map_err(no_room)?),
        };
        room.widen(self.bytes).map_err(no_room)
    }

    /// Whether a client may take more of it, which has taken so many bytes in so long. (Of an answer without room, always.)
    pub(super) fn may_go_on(&self, bytes: usize, taking: Duration) -> bool {
        let is_short = self.room.as_ref().is_some_and(Room::is_short);
        !is_short || taking <= GRACE + Duration::from_secs(bytes as u64 / BYTES_PER_S_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_an_answer_slowly_goes_on_unless_others_need_the_room() {
        const KIB: usize = 1 << 10;
        // A quarter for answers: half of that is 100 KiB.
        let memory = Arc::new(Memory::new(800 * KIB as u64));
        let kept = |kib: usize| {
            let mut collected = Collected::default();
            collected.more(kib * KIB, &memory).unwrap();
            collected
        };
        let second = Duration::from_secs(1);
        let slow = kept(60);
        assert!(slow.may_go_on(1, 1000 * second));
        let other = kept(40);
        assert!(slow.may_go_on(1, 1000 * second), "half is left");
        let another = kept(17);
        assert!(slow.may_go_on(0, GRACE) && !slow.may_go_on(0, GRACE + second));
        assert!(slow.may_go_on(640 * KIB, GRACE + 10 * second) && !slow.may_go_on(640 * KIB, GRACE + 11 * second));
        assert!(kept(1).may_go_on(0, 1000 * second), "a small one has no room that others could have");
        drop((other, another));
        let alone = slow;
        assert!(alone.may_go_on(0, 1000 * second));
        drop(alone);
        let alone = kept(150);
        assert!(alone.may_go_on(0, 1000 * second), "nobody else has any");
        assert!(Collected::default().more(80 * KIB, &memory).is_err());
        assert!(!alone.may_go_on(0, 1000 * second), "nobody else can have any");
    }
}
