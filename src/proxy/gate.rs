//! What bytes wait for before they go to the client: the journal has the records that they rest on.

use super::settle::BILLING_UNAVAILABLE;
use super::timer::{self, Timer};
use crate::ledger::Journaled;
use pingora::{Error, Result};
use smallvec::{SmallVec, smallvec};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes wait this long for a record, then the request is refused, or the record is left to the journal.
const JOURNAL_WAIT_MAX: Duration = Duration::from_secs(5);

/// What the bytes have to do with a record that the journal does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing of the request is in the journal: no byte goes out.
    Must,
    /// The hold is in the journal, so nothing is lost: the bytes go out, the journal goes on trying.
    Wish,
    /// It is how far a stream has got: the stream does not break for want of it.
    Checkpoint,
}

/// Awaited before the next bytes go out.
pub(super) struct Gate(SmallVec<[Step; 2]>);

/// One thing to wait for.
enum Step {
    Record(Journaled, Need),
    /// A settlement that is still being made, and its record.
    Settlement(Pin<Box<dyn Future<Output = Result<()>> + Send>>),
}

impl Gate {
    /// Waits for a record.
    pub(super) fn record(record: Journaled, need: Need) -> Self {
        Self(smallvec![Step::Record(record, need)])
    }

    /// Waits for a settlement to be made and journaled.
    pub(super) fn settlement(settlement: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        Self(smallvec![Step::Settlement(Box::pin(settlement))])
    }

    /// Waits for this, and then for what `later` waits for.
    pub(super) fn and(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Waits for as long as is reasonable.
    ///
    /// # Errors
    /// [`BILLING_UNAVAILABLE`]: the journal does not take a record without which nothing may go out.
    pub(super) async fn pass(self) -> Result<()> {
        match self.take_turn().await {
            None => Ok(()),
            Some(left) => left.wait(&mut None).await,
        }
    }

    /// Passes what the journal has, or takes at once; what is left is to be waited for.
    ///
    /// Whoever waits for the journal writes to it (see there). Before that, the other exchanges that this thread has work
    /// for have theirs: their records go out in the same write.
    pub(super) async fn take_turn(mut self) -> Option<Self> {
        if self.0.iter().any(Step::is_written_by_who_waits) {
            tokio::task::yield_now().await;
        }
        self.0.retain(|step| !step.is_passed());
        (!self.0.is_empty()).then_some(self)
    }

    /// Waits for what [`Gate::take_turn`] left, by this clock.
    ///
    /// # Errors
    /// As [`Gate::pass`].
    pub(super) async fn wait(self, timer: &mut Option<Timer>) -> Result<()> {
        for step in self.0 {
            match step {
                Step::Record(record, need) => wait_for(record, need, timer).await?,
                Step::Settlement(settlement) => settlement.await?,
            }
        }
        Ok(())
    }
}

impl Step {
    fn is_written_by_who_waits(&self) -> bool {
        matches!(self, Self::Record(record, _) if record.is_written_by_who_waits())
    }

    fn is_passed(&self) -> bool {
        match self {
            Self::Record(record, _) => record.look() == Poll::Ready(Ok(())),
            Self::Settlement(_) => false,
        }
    }
}

async fn wait_for(record: Journaled, need: Need, timer: &mut Option<Timer>) -> Result<()> {
    if matches!(timer::by(Instant::now() + JOURNAL_WAIT_MAX, timer, pin!(record)).await, Some(Ok(()))) {
        return Ok(());
    }
    match need {
        Need::Must => return Error::e_explain(BILLING_UNAVAILABLE, "the journal takes no records"),
        Need::Wish => tracing::error!("the journal is slow: an answer goes out before its record is written"),
        Need::Checkpoint => {
            tracing::debug!("a stream goes on without its checkpoint: the journal is slow, or takes no records");
        }
    }
    Ok(())
}
