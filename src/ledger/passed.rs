//! Records on their way from the journal's writer to the applier, past the disk: who has just written a record need not
//! read it back. It saves work and nothing else: what does not fit here is read from the journal.

use super::wire::Event;
use crate::store::Position;
use std::collections::VecDeque;

/// Most records that wait here. A store that has fallen further behind reads files.
const RECORDS_MAX: usize = 16_384;

/// A record that is in the journal.
#[derive(Debug)]
struct Written {
    segment: u64,
    /// Where it begins and ends.
    from: u64,
    end: u64,
    event: Event,
}

/// See the module. Oldest first; there may be gaps.
#[derive(Debug, Default)]
pub(super) struct Passed(VecDeque<Written>);

impl Passed {
    /// Takes a record that was written at `from` of a segment, if there is room.
    pub(super) fn push(&mut self, segment: u64, from: u64, bytes: usize, event: Event) {
        if self.0.len() < RECORDS_MAX {
            self.0.push_back(Written { segment, from, end: from + bytes as u64, event });
        }
    }

    /// The records that follow on `position` in its segment without a gap, `count` at most; moves `position` behind them.
    pub(super) fn take(&mut self, position: &mut Position, count: usize) -> Vec<Event> {
        let is_past = |written: &Written| (written.segment, written.from) < (position.segment, position.offset);
        while self.0.pop_front_if(|written| is_past(written)).is_some() {}
        let mut events = Vec::new();
        while events.len() < count
            && let Some(next) =
                self.0.pop_front_if(|next| (next.segment, next.from) == (position.segment, position.offset))
        {
            position.offset = next.end;
            position.sequence += 1;
            events.push(next.event);
        }
        events
    }

    /// Where the first record of a segment begins, if it is here: up to there the file has to be read.
    pub(super) fn first_of(&self, segment: u64) -> Option<u64> {
        self.0.front().filter(|first| first.segment == segment).map(|first| first.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn event(id: u128) -> Event {
        Event::Void { request_id: Uuid::from_u128(id) }
    }

    #[test]
    fn what_follows_without_a_gap_is_taken_and_nothing_else() {
        let mut passed = Passed::default();
        for (segment, from, id) in [(1, 0, 1), (1, 10, 2), (1, 30, 4), (2, 0, 5)] {
            passed.push(segment, from, 10, event(id));
        }
        let mut position = Position { segment: 1, offset: 0, sequence: 7 };
        assert_eq!(passed.take(&mut position, 1), [event(1)]);
        assert_eq!(passed.take(&mut position, 9), [event(2)]);
        assert_eq!(position, Position { segment: 1, offset: 20, sequence: 9 });
        assert_eq!(passed.take(&mut position, 9), [], "the record at 20 is not here");
        assert_eq!(passed.first_of(1), Some(30));
        assert_eq!(passed.first_of(2), None);
        position.offset = 40;
        assert_eq!(passed.take(&mut position, 9), [], "the record at 30 was read from the file");
        assert_eq!(passed.first_of(2), Some(0));
        position = Position { segment: 2, offset: 0, sequence: 11 };
        assert_eq!(passed.take(&mut position, 9), [event(5)]);
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_file() {
        let mut passed = Passed::default();
        let mut position = Position { segment: 1, offset: 0, sequence: 1 };
        for nth in 0..=RECORDS_MAX as u64 {
            passed.push(1, nth, 1, event(u128::from(nth)));
        }
        assert_eq!(passed.take(&mut position, usize::MAX).len(), RECORDS_MAX);
    }
}
