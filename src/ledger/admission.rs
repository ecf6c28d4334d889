//! Who admits requests: this process; for a moment nobody; and then, if another process has taken over, that one, which is
//! asked for what still comes in here.
//!
//! Balances are in one process's memory at a time. A request that comes to the one that has handed over is held in that
//! one's journal first, and when the hold is in the store, the other is asked to book it: whoever has the balances, now or
//! after any end of either, finds every hold that something is done on.

use super::booking::Booking;
use super::claims::Claim;
use super::hold::Hold;
use super::record::Opening;
use super::state::HOLD_SLOTS;
use super::{HoldError, Ledger};
use crate::clock::unix_ms;
use crate::keyring::KeyEntry;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tollgate_plugin_api::KeyHandle;
use uuid::Uuid;

/// Until the other process has answered; the way through the store included.
const LATE_MAX: Duration = Duration::from_secs(5);

/// A hold that another process is asked to book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Whose.
    pub request_id: Uuid,
    /// On which key.
    pub key_id: i64,
    /// How much, in nano-USD; `None`: neither the key nor its user had a quota where that was asked.
    pub amount_nanos: Option<i64>,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Granting {
    /// It is booked.
    Granted,
    /// The key's balance does not cover it.
    Insufficient,
    /// There is a quota, and nobody has said how much it takes of that.
    QuotaSet,
    /// It cannot say: it no longer has the balances, or the key is not accepted there.
    Unavailable,
}

/// The process that has taken over.
pub trait Successor: Send + Sync {
    /// Asks it. Without an answer the sender is dropped.
    fn ask(&self, ask: Ask) -> oneshot::Receiver<Granting>;
}

/// Who admits.
#[derive(Clone)]
enum Who {
    We,
    /// It is being decided; requests wait.
    Nobody,
    They(Arc<dyn Successor>),
}

/// See the module.
pub(super) struct Admission {
    /// `who` is [`Who::We`].
    is_ours: AtomicBool,
    /// Requests between their look at `is_ours` and the end of their admission.
    entering: AtomicI64,
    who: watch::Sender<Who>,
}

/// A request that is being admitted here.
struct Entering<'a>(&'a AtomicI64);

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Admission {
    pub(super) fn new() -> Self {
        Self { is_ours: AtomicBool::new(true), entering: AtomicI64::new(0), who: watch::Sender::new(Who::We) }
    }

    /// Begins an admission. `None`: not here.
    fn enter(&self) -> Option<Entering<'_>> {
        self.entering.fetch_add(1, Ordering::SeqCst);
        let entering = Entering(&self.entering);
        self.is_ours.load(Ordering::SeqCst).then_some(entering)
    }

    /// Nobody admits from now on; returns when nothing is being admitted any more.
    pub(super) fn pause(&self) {
        self.who.send_replace(Who::Nobody);
        self.is_ours.store(false, Ordering::SeqCst);
        while self.entering.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    /// Admission goes on here.
    pub(super) fn resume(&self) {
        self.is_ours.store(true, Ordering::SeqCst);
        self.who.send_replace(Who::We);
    }

    /// It goes on there.
    pub(super) fn yield_to(&self, successor: Arc<dyn Successor>) {
        self.who.send_replace(Who::They(successor));
    }

    /// Waits until it is decided. `None`: we.
    async fn decided(&self) -> Option<Arc<dyn Successor>> {
        let mut who = self.who.subscribe();
        // The sender lives as long as this.
        let decided = who.wait_for(|who| !matches!(who, Who::Nobody)).await.ok()?;
        match &*decided {
            Who::They(successor) => Some(Arc::clone(successor)),
            Who::We | Who::Nobody => None,
        }
    }
}

/// Books the most that a request can cost on a key that is accepted now, however long ago the request has found it. `None`:
/// nobody has asked what it can cost, for there was no quota.
fn take(entry: &Arc<KeyEntry>, amount_nanos: Option<i64>) -> Result<Booking, HoldError> {
    let booking = Booking::take(entry, amount_nanos.unwrap_or(0)).map_err(|_| HoldError::QuotaInsufficient)?;
    // Behind the booking: nobody slips through who is disabled first and has no limit any more then.
    let refusal = match entry.accepts(unix_ms()) {
        Err(code) => HoldError::Refused(code),
        Ok(()) if amount_nanos.is_none() && booking.is_limited() => HoldError::QuotaSet,
        Ok(()) => return Ok(booking),
    };
    booking.void();
    Err(refusal)
}

impl Ledger {
    /// Whether this process has the balances.
    pub fn has_balances(&self) -> bool {
        self.admission.is_ours.load(Ordering::SeqCst)
    }

    /// Admits a request: books `amount_nanos`, the most it can cost, on the key and its user, and journals that; `None`: neither had
    /// a quota when that was asked. It waits while another process takes over, and for that one's answer when it has; else
    /// never. `claim`: its idempotency key, which is taken for it.
    ///
    /// # Errors
    /// Why it is not admitted; then nothing was booked.
    pub async fn admit(
        &self,
        entry: &Arc<KeyEntry>,
        amount_nanos: Option<i64>,
        opening: Opening,
        claim: Option<Arc<Claim>>,
    ) -> Result<Hold, HoldError> {
        let mut opening = Some(opening);
        let successor = loop {
            if let Some(admitted) = self.admit_here(entry, amount_nanos, &mut opening, claim.as_ref()) {
                return admitted;
            }
            if let Some(successor) = self.admission.decided().await {
                break successor;
            }
        };
        if claim.is_some() {
            return Err(HoldError::ClaimedElsewhere);
        }
        // It is still here: nothing here has admitted it.
        let opening = opening.ok_or(HoldError::BillingUnavailable)?;
        let late = self.admit_there(&*successor, entry, amount_nanos, opening);
        tokio::time::timeout(LATE_MAX, late).await.unwrap_or(Err(HoldError::BillingUnavailable))
    }

    /// The same, at once, for tests: refused where another process takes over.
    #[cfg(test)]
    pub(super) fn hold(&self, entry: &Arc<KeyEntry>, amount_nanos: i64, opening: Opening) -> Result<Hold, HoldError> {
        self.admit_here(entry, Some(amount_nanos), &mut Some(opening), None)
            .unwrap_or(Err(HoldError::BillingUnavailable))
    }

    /// `None`: admission is not here now, and `opening` is left for whoever asks.
    fn admit_here(
        &self,
        entry: &Arc<KeyEntry>,
        amount_nanos: Option<i64>,
        opening: &mut Option<Opening>,
        claim: Option<&Arc<Claim>>,
    ) -> Option<Result<Hold, HoldError>> {
        let _entering = self.admission.enter()?;
        let mut opening = opening.take()?;
        let state = &self.journal.state;
        if !state.admits() || !state.take_slots(HOLD_SLOTS, 0) {
            return Some(Err(HoldError::BillingUnavailable));
        }
        let booking = match take(entry, amount_nanos) {
            Ok(booking) => booking,
            Err(refusal) => {
                state.give_slots(HOLD_SLOTS);
                return Some(Err(refusal));
            }
        };
        opening.key_id = entry.key().id;
        opening.user = booking.user().cloned();
        opening.bound();
        Some(Ok(Hold::new(&self.journal, booking, opening, claim.cloned())))
    }

    /// A hold that is dropped on the way is voided: it was not sent.
    async fn admit_there(
        &self,
        successor: &dyn Successor,
        entry: &Arc<KeyEntry>,
        amount_nanos: Option<i64>,
        mut opening: Opening,
    ) -> Result<Hold, HoldError> {
        let state = &self.journal.state;
        if !state.admits() || !state.take_slots(HOLD_SLOTS, 0) {
            return Err(HoldError::BillingUnavailable);
        }
        opening.key_id = entry.key().id;
        opening.bound();
        let ask = Ask { request_id: opening.request_id, key_id: opening.key_id, amount_nanos };
        // Our own account decides nothing any more.
        let booking = Booking::inherit(Some(Arc::clone(entry)), entry.owner(), amount_nanos.unwrap_or(0));
        opening.user = booking.user().cloned();
        let hold = Hold::new(&self.journal, booking, opening, None);
        hold.journaled().await.map_err(|_| HoldError::BillingUnavailable)?;
        state.applied_up_to(state.sent_records.load(Ordering::Acquire)).await;
        let refusal = match successor.ask(ask).await {
            Ok(Granting::Granted) => return Ok(hold),
            Ok(Granting::Insufficient) => HoldError::QuotaInsufficient,
            Ok(Granting::QuotaSet) => HoldError::QuotaSet,
            Ok(Granting::Unavailable) | Err(_) => HoldError::BillingUnavailable,
        };
        // A journal that cannot be written has no say in what the client is told.
        let _ = hold.void_journaled().await;
        Err(refusal)
    }

    /// Books a hold for a process that has handed over to this one and finishes what came to it. The hold is in the store
    /// already.
    pub fn grant(&self, ask: Ask) -> Granting {
        // Not while these balances go on to yet another process.
        let Some(_entering) = self.admission.enter() else { return Granting::Unavailable };
        let Some(entry) = self.keys.get(ask.key_id) else { return Granting::Unavailable };
        let booking = match take(&entry, ask.amount_nanos) {
            Ok(booking) => booking,
            Err(HoldError::QuotaSet) => return Granting::QuotaSet,
            Err(HoldError::QuotaInsufficient) => return Granting::Insufficient,
            Err(_) => return Granting::Unavailable,
        };
        match self.inheritance.add(ask.request_id, booking) {
            Ok(()) => Granting::Granted,
            Err(booking) => {
                booking.void();
                Granting::Unavailable
            }
        }
    }
}
