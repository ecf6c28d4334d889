//! What a process that has handed over still has open. Its requests run on over there and are settled through its own
//! journal; here, what they hold stays held until the store shows what became of them.

use super::LedgerError;
use super::booking::Booking;
use super::claims::Claims;
use super::recover::{self, Recovered};
use crate::keyring::Keys;
use crate::store::{OpenHold, Store};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often the store is asked what became of the holds.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// First and longest pause between attempts to finish a journal that could not be finished.
const RETRY: (Duration, Duration) = (LOOK_EVERY, Duration::from_secs(5));

/// See the module.
pub(super) struct Inheritance {
    journal_dir: PathBuf,
    store: Arc<dyn Store>,
    claims: Arc<Claims>,
    left: Mutex<Left>,
    changed: Condvar,
}

#[derive(Default)]
struct Left {
    /// Who still runs, as far as is known.
    writers: Vec<Uuid>,
    /// Of these, those that have ended and whose journals could not be finished yet.
    failing: HashMap<Uuid, Failing>,
    /// Holds of other processes on accounts of ours.
    holds: HashMap<Uuid, Booking>,
    stopped: bool,
}

/// When a journal that could not be finished is tried again, and the pause after that.
struct Failing {
    next: Instant,
    pause: Duration,
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
        claims: Arc<Claims>,
    ) -> Result<Self, LedgerError> {
        let mut open = Vec::new();
        keys.load(&*store, &mut |writer_id, hold: OpenHold| {
            if writers.contains(&writer_id) {
                open.push(hold);
            }
        })?;
        let mut holds = HashMap::new();
        for OpenHold { opening, held_nanos, .. } in open {
            let owner = opening.user.as_deref().map(|user| keys.owner(user));
            holds.insert(opening.request_id, Booking::inherit(keys.get(opening.key_id), owner, held_nanos));
        }
        let left = Mutex::new(Left { writers, holds, ..Left::default() });
        Ok(Self { journal_dir, store, claims, left, changed: Condvar::new() })
    }

    /// True: nobody runs any more, and nothing is held.
    pub(super) fn is_settled(&self) -> bool {
        self.left.lock().is_settled()
    }

    /// True: somebody has ended whose journal could not be finished yet.
    #[cfg(test)]
    pub(super) fn is_failing(&self) -> bool {
        !self.left.lock().failing.is_empty()
    }

    /// How many holds are still open.
    pub(super) fn open_holds(&self) -> usize {
        self.left.lock().holds.len()
    }

    /// Takes a hold that is in the store already and was granted just now. It comes back if nobody runs who could have asked.
    pub(super) fn add(&self, request_id: Uuid, booking: Booking) -> Result<(), Booking> {
        let mut left = self.left.lock();
        if left.writers.is_empty() {
            return Err(booking);
        }
        left.holds.insert(request_id, booking);
        Ok(())
    }

    /// Looks until everything is settled, or [`Inheritance::stop`].
    pub(super) fn run(&self) {
        let mut told = String::new();
        loop {
            if let Err(error) = self.look() {
                let said = error.to_string();
                if said != told {
                    tracing::error!("requests of the previous process cannot be settled yet, and stay held: {said}");
                    told = said;
                }
            }
            let mut left = self.left.lock();
            if left.is_settled() {
                tracing::info!("all requests of the previous process are settled");
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

    /// One look: finishes the journals of those who have ended, and books what became of the holds. What cannot be finished
    /// keeps its own holds, and nobody else's.
    fn look(&self) -> Result<(), LedgerError> {
        let (writers, request_ids) = {
            let left = self.left.lock();
            (left.writers.clone(), left.holds.keys().copied().collect::<Vec<_>>())
        };
        let mut failed = None;
        for id in &writers {
            if let Err(error) = self.finish_if_ended(*id) {
                failed.get_or_insert(error);
            }
        }
        for closed in self.store.closed_holds(&writers, &request_ids)? {
            self.claims.ended_elsewhere(closed.request_id, closed.served);
            let Some(booking) = self.left.lock().holds.remove(&closed.request_id) else { continue };
            match closed.cost_nanos {
                Some(cost_nanos) => booking.settle(cost_nanos),
                None => booking.void(),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Finishes the journal of a writer that has ended, unless that failed just now.
    fn finish_if_ended(&self, id: Uuid) -> Result<(), LedgerError> {
        if self.left.lock().failing.get(&id).is_some_and(|failing| Instant::now() < failing.next) {
            return Ok(());
        }
        let ended = recover::recover_ended(&self.journal_dir, id, &*self.store);
        let mut left = self.left.lock();
        match ended {
            Ok(None) => Ok(()),
            Ok(Some(Recovered { rows, interrupted, .. })) => {
                left.writers.retain(|writer| *writer != id);
                left.failing.remove(&id);
                tracing::info!(rows, interrupted, "the previous process has ended");
                Ok(())
            }
            Err(error) => {
                let pause = left.failing.get(&id).map_or(RETRY.0, |failing| failing.pause);
                left.failing.insert(id, Failing { next: Instant::now() + pause, pause: (pause * 2).min(RETRY.1) });
                Err(error)
            }
        }
    }
}

impl Left {
    fn is_settled(&self) -> bool {
        self.writers.is_empty() && self.holds.is_empty()
    }
}
