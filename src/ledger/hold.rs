//! A request's claim on its key's balance, from admission to the end.

use super::booking::Booking;
use super::claims::Claim;
use super::journal::{Journal, Notify};
use super::record::{INTERNAL_ERROR, LedgerRecord, Opening, Progress, served};
use super::ticket::{Journaled, Ticket};
use super::trail::Trail;
use super::wire::Event;
use crate::clock::unix_ms;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a request was granted. It ends with [`settle`](Self::settle) or [`void`](Self::void); one that is dropped
/// ends by itself: settled as `interrupted` from its last progress if it was [`sent`](Self::sent), else voided. None
/// of these waits, and none can fail: the place in the journal's queue was taken at admission.
#[must_use = "dropping a hold ends the request"]
pub struct Hold {
    journal: Arc<Journal>,
    booking: Booking,
    opening: Arc<Opening>,
    /// Its idempotency key.
    claim: Option<Arc<Claim>>,
    ticket: Arc<Ticket>,
    last_progress: Option<Box<Progress>>,
    /// Of the progress that was queued last.
    checkpoint: Option<Arc<Ticket>>,
    sent: bool,
    open: bool,
}

impl Hold {
    /// Journals a grant. The caller has taken the slots.
    pub(super) fn new(journal: &Arc<Journal>, booking: Booking, opening: Opening, claim: Option<Arc<Claim>>) -> Self {
        let (opening, ticket) = (Arc::new(opening), Arc::<Ticket>::default());
        journal.state.open_holds.fetch_add(1, Ordering::Relaxed);
        let (held_nanos, opened) = (booking.nanos(), Arc::clone(&opening));
        let event = match &claim {
            None => Event::Hold { held_nanos, opening: opened },
            Some(claim) => Event::ClaimedHold { held_nanos, opening: opened, tag: claim.tag() },
        };
        journal.append(event, Notify::Ticket(Arc::clone(&ticket)));
        Self {
            journal: Arc::clone(journal),
            booking,
            opening,
            claim,
            ticket,
            last_progress: None,
            checkpoint: None,
            sent: false,
            open: true,
        }
    }

    /// What was known at admission.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// What is held, in nano-USD; 0: neither the key nor its user has a quota.
    pub fn held_nanos(&self) -> i64 {
        self.booking.nanos()
    }

    /// Resolves when the hold is in the journal. No byte of an answer may go to the client before that.
    pub fn journaled(&self) -> Journaled {
        Journaled::new(Arc::clone(&self.ticket), Some(Arc::clone(&self.journal)))
    }

    /// Whether the hold is in the journal by now.
    pub fn is_journaled(&self) -> bool {
        self.ticket.is_written()
    }

    /// Whether the journal cannot take the hold at the moment. It goes on trying. Asked before something is made of the hold:
    /// so, if nobody has tried lately, it is tried now.
    pub fn has_failed(&self) -> bool {
        let is_known = || self.ticket.has_failed() || self.journal.state.journal_error().is_some();
        if !self.ticket.is_written() && !is_known() {
            self.journal.find_out();
        }
        !self.ticket.is_written() && is_known()
    }

    /// Whether the hold is in a write to the journal that does not come back, or behind one. What becomes of it, only who waits
    /// for it learns. To be asked behind [`Hold::has_failed`].
    pub fn is_stalled(&self) -> bool {
        !self.ticket.is_written() && self.journal.is_stalled()
    }

    /// The request now goes towards an upstream: from here on it leaves a record, whatever happens.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// How far the request has got. What was said last is what it is billed by if it ends without being settled; the
    /// journal has it, too, unless it is busy. For checkpoints (every second, or every few hundred tokens), not for
    /// every piece of a stream.
    pub fn progress(&mut self, mut progress: Progress) {
        progress.bound();
        let state = &self.journal.state;
        // One at a time, so that a journal that is slow is not given more and more of them.
        let is_free = self.checkpoint.as_ref().is_none_or(|ticket| ticket.is_written());
        if is_free && state.take_slots(1, state.slots_reserve()) {
            let event = Event::Progress { request_id: self.opening.request_id, progress: Box::new(progress.clone()) };
            let ticket = Arc::<Ticket>::default();
            self.journal.append(event, Notify::Ticket(Arc::clone(&ticket)));
            self.checkpoint = Some(ticket);
        }
        self.last_progress = Some(Box::new(progress));
    }

    /// Resolves when the progress that was queued last is in the journal; `None`: it is there already.
    pub fn checkpointed(&self) -> Option<Journaled> {
        let ticket = self.checkpoint.as_ref()?;
        (!ticket.is_written()).then(|| Journaled::new(Arc::clone(ticket), Some(Arc::clone(&self.journal))))
    }

    /// What routing decided for it, for whoever asks later. Kept unless the journal is busy.
    pub fn trail(&self, trail: &Trail) {
        let state = &self.journal.state;
        if let Some(trail) = trail.kept()
            && state.take_slots(1, state.slots_reserve())
        {
            let event = Event::Trail { request_id: self.opening.request_id, trail };
            self.journal.append(event, Notify::Nobody);
        }
    }

    /// Bills the request: the balance is changed when this returns, the record is on its way to the journal. Who it
    /// is about (`request_id`, `started_at_ms`, `key_id`, `user`), `held_nanos` and `overshoot` are the hold's, whatever the
    /// record says.
    pub fn settle(mut self, record: LedgerRecord) -> Journaled {
        self.close(record)
    }

    /// Ends a request that was never sent: it costs nothing and leaves no record.
    pub fn void(mut self) {
        self.close_void(Notify::Nobody);
    }

    /// The same, for one whose refusal waits until it is in the journal: a refused request must leave no record, whatever
    /// ends the process then.
    pub(super) fn void_journaled(mut self) -> Journaled {
        let ticket = Arc::<Ticket>::default();
        self.close_void(Notify::Ticket(Arc::clone(&ticket)));
        Journaled::new(ticket, Some(Arc::clone(&self.journal)))
    }

    fn close(&mut self, mut record: LedgerRecord) -> Journaled {
        self.open = false;
        record.request_id = self.opening.request_id;
        record.started_at_ms = self.opening.started_at_ms;
        record.key_id = self.opening.key_id;
        record.user.clone_from(&self.opening.user);
        record.held_nanos = self.booking.nanos();
        record.bound();
        record.overshoot = record.exceeds_hold(self.booking.is_limited());
        self.booking.settle(record.cost_nanos);
        if let Some(claim) = &self.claim {
            claim.settled(served(record.cost_nanos, record.outcome, record.status));
        }
        self.journal.state.open_holds.fetch_sub(1, Ordering::Relaxed);
        let ticket = Arc::<Ticket>::default();
        self.journal.append(Event::Settle(Box::new(record)), Notify::Ticket(Arc::clone(&ticket)));
        Journaled::new(ticket, Some(Arc::clone(&self.journal)))
    }

    fn close_void(&mut self, notify: Notify) {
        self.open = false;
        self.booking.void();
        self.journal.state.open_holds.fetch_sub(1, Ordering::Relaxed);
        self.journal.append(Event::Void { request_id: self.opening.request_id }, notify);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        if !self.sent {
            self.close_void(Notify::Nobody);
            return;
        }
        let (nanos, progress) = (self.booking.nanos(), self.last_progress.as_deref());
        let mut record = LedgerRecord::interrupted(&self.opening, nanos, progress, Some(unix_ms()));
        if std::thread::panicking() {
            record.error_code = Some(INTERNAL_ERROR.to_owned());
        }
        // Nobody is left to wait for it.
        drop(self.close(record));
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (request_id, nanos) = (self.opening.request_id, self.booking.nanos());
        f.debug_struct("Hold").field("request_id", &request_id).field("nanos", &nanos).finish_non_exhaustive()
    }
}
