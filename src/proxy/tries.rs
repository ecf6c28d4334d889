//! An attempt may be begun again: at another address of its host, or with another connection instead of a dead one or one that took
//! no more requests. It counts as one attempt, and has its time once.

use std::time::{Duration, Instant};

/// So many addresses of a host are tried in one attempt. (A host may have addresses of a family that this machine has no way to.)
const ADDRESSES_MAX: u32 = 3;

/// A pooled connection that is dead says so within a round trip; later, the upstream may have worked on the request already, at a
/// price, and it is not asked again as if nothing had been (RFC 9110, section 9.2.2): that is another attempt. (The
/// longest ways around the earth take some 0.35 s.)
const STALE_WITHIN: Duration = Duration::from_millis(400);

/// So often a request that its upstream has not processed is sent again. (Connections that end with a restart may be several; who
/// takes nothing on the third one takes nothing.)
const UNPROCESSED_MAX: u32 = 2;

/// What an attempt has behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    pub(super) started: Instant,
    /// Addresses that gave no connection.
    addresses_failed: u32,
    /// Connections on which the request was not processed.
    unprocessed: u32,
    /// A pooled connection turned out dead: others may be, too, and are not tried.
    pub(super) found_stale: bool,
}

impl Tries {
    pub(super) fn begin() -> Self {
        Self { started: Instant::now(), addresses_failed: 0, unprocessed: 0, found_stale: false }
    }

    /// An address gave no connection. True: another one may be tried, if there is one.
    pub(super) fn another_address(&mut self) -> bool {
        self.addresses_failed += 1;
        self.addresses_failed < ADDRESSES_MAX
    }

    /// A pooled connection was dead, by the looks of it. True: that may be, and a new one is to be tried.
    pub(super) fn another_connection(&mut self) -> bool {
        let is_first = !std::mem::replace(&mut self.found_stale, true);
        is_first && self.started.elapsed() < STALE_WITHIN
    }

    /// The upstream says that it has not processed the request. True: it may be sent again, whenever that was said.
    pub(super) fn after_unprocessed(&mut self) -> bool {
        self.unprocessed += 1;
        self.unprocessed <= UNPROCESSED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_addresses_are_tried_and_one_connection_for_a_dead_one() {
        let mut tries = Tries::begin();
        assert_eq!([(); 4].map(|()| tries.another_address()), [true, true, false, false]);
        assert_eq!([(); 2].map(|()| tries.another_connection()), [true, false]);
        assert_eq!([(); 4].map(|()| tries.after_unprocessed()), [true, true, false, false]);
        let long_ago = Instant::now().checked_sub(STALE_WITHIN).expect("a machine that runs for a while");
        assert!(!Tries { started: long_ago, ..Tries::begin() }.another_connection(), "it may have been worked on");
    }
}
