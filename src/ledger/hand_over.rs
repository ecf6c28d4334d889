//! Handing the balances over to another process, and taking them back while that has not begun. The lock on the journals'
//! folder says who has them. Who gives it up admits nothing, and everything that it still has open is in the store, where the
//! next one finds it; it then finishes what runs through its own journal, whose folder stays locked until it ends.

use super::admission::Successor;
use super::folder::{self, Locking};
use super::{Ledger, LedgerError, recover};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often it is looked whether the store has everything.
const LOOK_EVERY: Duration = Duration::from_millis(1);

impl Ledger {
    /// The folder of the journals.
    pub fn journal_dir(&self) -> &Path {
        &self.journal_dir
    }

    /// Waits until all that was journaled up to now is in the store, which from now on gets everything at once, until
    /// [`Ledger::resume`]. False: not within `limit`.
    pub fn wait_for_store(&self, limit: Duration) -> bool {
        let state = &self.journal.state;
        let sent = state.sent_records.load(Ordering::Acquire);
        let until = Instant::now() + limit;
        state.set_hurried(true);
        self.journal.ring();
        while state.applied_records.load(Ordering::Acquire) < sent {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// No request is admitted from now on: they wait for [`Ledger::resume`] or [`Ledger::yield_to`].
    pub fn pause(&self) {
        self.admission.pause();
    }

    /// Admission goes on here. The balances must not have been given up, or be taken back.
    pub fn resume(&self) {
        self.journal.state.set_hurried(false);
        self.admission.resume();
    }

    /// Gives the balances up. Admission is paused, and the store has everything.
    pub fn give_up(&self) {
        drop(self.dir_lock.lock().take());
    }

    /// Takes the balances back from a process that has ended without having admitted anything.
    ///
    /// # Errors
    /// Somebody else has them by now ([`LedgerError::FolderInUse`]), or nobody, because the folder cannot be locked
    /// ([`LedgerError::Io`]).
    pub fn take_back(&self) -> Result<(), LedgerError> {
        let in_dir = |error| LedgerError::io(&self.journal_dir, error);
        match folder::lock(&self.journal_dir).map_err(in_dir)? {
            Locking::Ours(lock) => *self.dir_lock.lock() = Some(lock),
            Locking::Taken(process) => {
                return Err(LedgerError::FolderInUse { journal_dir: self.journal_dir.clone(), process });
            }
        }
        // It may have begun a journal. What cannot be read of one is left to the next start; the balances are whole without.
        if let Err(error) = recover::recover(&self.journal_dir, &*self.store) {
            tracing::warn!(%error, "a journal in the folder cannot be finished");
        }
        Ok(())
    }

    /// Admission goes on in the process that has the balances now.
    pub fn yield_to(&self, successor: Arc<dyn Successor>) {
        self.admission.yield_to(successor);
    }
}
