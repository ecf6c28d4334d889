//! What a process that has handed over still has open. Its requests run on over there and are settled through its own
//! journal; here, what they hold stays held until the store shows what became of them.

use super::LedgerError;
use super::holds::Grant;
use super::recover;
use crate::keyring::{KeyEntry, Keys};
use crate::store::{OpenHold, Store};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often the store is asked what became of the holds.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Inheritance {
    journal_dir: PathBuf,
    store: Arc<dyn Store>,
    left: Mutex<Left>,
    changed: Condvar,
}

#[derive(Default)]
struct Left {
    /// Who still runs, as far as is known.
    writers: Vec<Uuid>,
    holds: HashMap<Uuid, Inherited>,
    stopped: bool,
}

/// A hold of another process on an account of ours.
struct Inherited {
    entry: Arc<KeyEntry>,
    grant: Grant,
}

impl Inheritance {
    /// Loads `keys`, and books on them what is open of `writers`, which still run: what they had open when they handed
    /// over is in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn load(
        journal_dir: PathBuf,
        writers: Vec<Uuid>,
        store: Arc<dyn Store>,
        keys: &Keys,
    ) -> Result<Self, LedgerError> {
        let mut open = Vec::new();
        keys.load(&*store, &mut |writer_id, hold: OpenHold| {
            if writers.contains(&writer_id) {
                open.push((hold.opening.request_id, hold.opening.key_id, hold.held_nanos));
            }
        })?;
        let mut holds = HashMap::new();
        for (request_id, key_id, held_nanos) in open {
            // Of a deleted key nothing can be spent any more.
            if let Some(entry) = keys.get(key_id) {
                let grant = entry.account.inherit(held_nanos);
                holds.insert(request_id, Inherited { entry, grant });
            }
        }
        let left = Mutex::new(Left { writers, holds, stopped: false });
        Ok(Self { journal_dir, store, left, changed: Condvar::new() })
    }

    /// True: nobody runs any more, and nothing is held.
    pub(super) fn is_settled(&self) -> bool {
        self.left.lock().is_settled()
    }

    /// How many holds are still open.
    pub(super) fn open_holds(&self) -> usize {
        self.left.lock().holds.len()
    }

    /// Takes a hold that is in the store already and was granted just now. False: nobody runs who could have asked.
    pub(super) fn add(&self, request_id: Uuid, entry: &Arc<KeyEntry>, grant: Grant) -> bool {
        let mut left = self.left.lock();
        if left.writers.is_empty() {
            return false;
        }
        left.holds.insert(request_id, Inherited { entry: Arc::clone(entry), grant });
        true
    }

    /// Looks until everything is settled, or [`Inheritance::stop`].
    pub(super) fn run(&self) {
        let mut told = false;
        loop {
            match self.look() {
                Ok(()) => told = false,
                Err(error) if !std::mem::replace(&mut told, true) => {
                    tracing::error!(%error, "what the process before this one left cannot be settled; it stays held");
                }
                Err(_) => {}
            }
            let mut left = self.left.lock();
            if left.is_settled() {
                tracing::info!("everything that the process before this one had begun is settled");
                return;
            }
            if !left.stopped {
                self.changed.wait_for(&mut left, LOOK_EVERY);
            }
            if left.stopped {
                return;
            }
        }
    }

    /// Ends [`Inheritance::run`]. What is open stays so in the store, and the next start finds it.
    pub(super) fn stop(&self) {
        self.left.lock().stopped = true;
        self.changed.notify_all();
    }

    /// One look: finishes the journals of those who have ended, and books what became of the holds.
    fn look(&self) -> Result<(), LedgerError> {
        let (writers, request_ids) = {
            let left = self.left.lock();
            (left.writers.clone(), left.holds.keys().copied().collect::<Vec<_>>())
        };
        for id in writers {
            if let Some(recovered) = recover::recover_ended(&self.journal_dir, id, &*self.store)? {
                self.left.lock().writers.retain(|writer| *writer != id);
                tracing::info!(
                    rows = recovered.rows,
                    interrupted = recovered.interrupted,
                    "the process before this one has ended"
                );
            }
        }
        for closed in self.store.closed_holds(&request_ids)? {
            let Some(Inherited { entry, grant }) = self.left.lock().holds.remove(&closed.request_id) else { continue };
            match closed.cost_nanos {
                Some(cost_nanos) => entry.account.settle(grant, cost_nanos),
                None => entry.account.void(grant),
            }
        }
        Ok(())
    }
}

impl Left {
    fn is_settled(&self) -> bool {
        self.writers.is_empty() && self.holds.is_empty()
    }
}
