//! What is kept of an answer until it is whole: a client that gets it in another dialect gets it as one document, as large as its
//! upstream makes it. It takes room of the memory, as requests do, and has that until the client has it all.

use super::memory::{Memory, Room, Share};
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;

/// There is no room for an answer.
pub(super) const NO_ROOM: ErrorType = ErrorType::Custom("NoRoom");

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
}
