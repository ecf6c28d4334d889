//! Turns a stretch of the journal into one batch for the store. A hold that opens and ends within the stretch leaves
//! nothing but its ledger row.

use super::record::{Opening, Progress};
use super::wire::Event;
use crate::store::{Batch, OpenHold, Position, TakenClaim};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Most events in one batch. Many: what is running where a batch ends costs two statements more.
pub(super) const EVENTS_MAX: usize = 4_000;

/// A batch that is being gathered.
#[derive(Default)]
pub(super) struct Gather {
    opened: BTreeMap<Uuid, Opened>,
    progressed: BTreeMap<Uuid, Progress>,
    closed: Vec<Uuid>,
    settled: Vec<super::LedgerRecord>,
    claims: Vec<TakenClaim>,
    trails: Vec<(Uuid, String)>,
    events: usize,
}

/// A hold that has not ended within the stretch.
struct Opened {
    opening: Arc<Opening>,
    held_nanos: i64,
    /// Boxed, so that holds are small: nearly all of them come and go while others are looked up.
    progress: Option<Box<Progress>>,
}

impl Gather {
    /// Adds the next event of the journal.
    pub(super) fn push(&mut self, event: Event) {
        self.events += 1;
        match event {
            Event::Hold { held_nanos, opening } => {
                self.opened.insert(opening.request_id, Opened { opening, held_nanos, progress: None });
            }
            Event::ClaimedHold { held_nanos, opening, tag } => {
                let Opening { request_id, started_at_ms, .. } = *opening;
                self.claims.push(TakenClaim { tag, request_id, started_at_ms });
                self.opened.insert(request_id, Opened { opening, held_nanos, progress: None });
            }
            Event::Progress { request_id, progress } => match self.opened.get_mut(&request_id) {
                Some(hold) => hold.progress = Some(progress),
                None => {
                    self.progressed.insert(request_id, *progress);
                }
            },
            Event::Settle(record) => {
                self.close(record.request_id);
                self.settled.push(*record);
            }
            Event::Void { request_id } => self.close(request_id),
            Event::Trail { request_id, trail } => self.trails.push((request_id, trail)),
        }
    }

    fn close(&mut self, request_id: Uuid) {
        self.progressed.remove(&request_id);
        if self.opened.remove(&request_id).is_none() {
            self.closed.push(request_id);
        }
    }

    /// True: enough for one batch.
    pub(super) fn is_full(&self) -> bool {
        self.events >= EVENTS_MAX
    }

    /// How many events are in it.
    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// The batch, which ends at `position`, and stays.
    pub(super) fn finish(self, writer_id: Uuid, position: Position) -> Batch {
        Batch {
            writer_id,
            position,
            opened: self.opened.into_values().map(Opened::finish).collect(),
            progressed: self.progressed.into_iter().collect(),
            closed: self.closed,
            settled: self.settled,
            claims: self.claims,
            claims_before_ms: None,
            trails: self.trails,
            may_be_lost: false,
        }
    }
}

impl Opened {
    fn finish(self) -> OpenHold {
        let Self { opening, held_nanos, progress } = self;
        OpenHold { opening: Arc::unwrap_or_clone(opening), held_nanos, progress: progress.map(|progress| *progress) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerRecord;

    fn hold(id: u128) -> Event {
        let opening = Opening { request_id: Uuid::from_u128(id), ..Opening::default() };
        Event::Hold { held_nanos: 5, opening: Arc::new(opening) }
    }

    fn progress(id: u128, attempts: u32) -> Event {
        let progress = Box::new(Progress { attempts, ..Progress::default() });
        Event::Progress { request_id: Uuid::from_u128(id), progress }
    }

    fn settle(id: u128) -> Event {
        Event::Settle(Box::new(LedgerRecord { request_id: Uuid::from_u128(id), ..LedgerRecord::default() }))
    }

    #[test]
    fn only_what_crosses_the_ends_of_a_stretch_touches_the_open_holds() {
        let mut gather = Gather::default();
        let void = |id| Event::Void { request_id: Uuid::from_u128(id) };
        for event in [
            hold(1),
            progress(1, 1),
            settle(1),
            hold(2),
            void(2),
            hold(3),
            progress(3, 1),
            progress(3, 2),
            progress(4, 7),
            progress(5, 1),
            settle(5),
            void(6),
        ] {
            gather.push(event);
        }
        assert_eq!(gather.events(), 12);
        let batch = gather.finish(Uuid::nil(), Position::default());
        let ids = |ids: &[Uuid]| ids.iter().map(Uuid::as_u128).collect::<Vec<_>>();
        assert_eq!(batch.opened.len(), 1);
        assert_eq!(batch.opened[0].opening.request_id.as_u128(), 3);
        assert_eq!(batch.opened[0].progress.as_ref().unwrap().attempts, 2);
        assert_eq!(batch.progressed.len(), 1);
        assert_eq!(batch.progressed[0].0.as_u128(), 4);
        assert_eq!(ids(&batch.closed), [5, 6]);
        assert_eq!(batch.settled.iter().map(|record| record.request_id.as_u128()).collect::<Vec<_>>(), [1, 5]);
    }
}
