//! The ledger: every request towards an upstream is held, then settled or voided, and none of it can be lost.
//!
//! * [`Account`] decides admission in memory; [`Hold`] is a request's claim, and settles itself if it is dropped.
//! * A writer thread (`journal`) groups what happens into checksummed segments of files (`segment`, `wire`, `disk`).
//! * An applier thread (`apply`) carries them on into the store, which may be slow, locked or full for a while.
//! * `claims` says who of those that come with the same idempotency key is served.
//! * At start, `recover` finishes what processes before this one left behind.
//! * Balances can go on to another process while requests run (`hand_over`, `inherit`); `admission` says who decides.
//! * [`verify`] proves that rows, hashes, balances and journals agree (`chain`).

mod admission;
mod apply;
mod batch;
mod booking;
mod chain;
mod claim_age;
mod claims;
mod disk;
mod error;
mod finer;
mod folder;
mod hand_over;
mod hold;
mod holds;
mod inherit;
mod journal;
mod passed;
mod period;
mod record;
mod recover;
mod room;
mod segment;
mod size;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod ticket;
mod trail;
mod verify;
mod wire;

use crate::clock::unix_ms;
use crate::keyring::Keys;
use crate::store::{Store, Writer};
use admission::Admission;
use apply::{Applier, START};
use disk::{Disk, FileSystem};
use folder::{FolderLock, Locking};
use inherit::Inheritance;
use journal::{Journal, WriterSetup};
use parking_lot::Mutex;
use state::{HOLD_SLOTS, State};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tollgate_plugin_api::RejectCode;
use uuid::Uuid;

pub use admission::{Ask, Granting, Successor};
pub use booking::Owner;
pub use chain::row_hash;
pub use claims::{Claim, ClaimTag, Claiming, Claims, KeptAnswer};
pub use error::LedgerError;
pub use hold::Hold;
pub use holds::{Account, Balance, Grant, Insufficient};
pub use period::{period_ms, period_start_ms};
pub(crate) use record::served;
pub use record::{EXTRAS_MAX, INTERNAL_ERROR, LedgerRecord, Opening, Outcome, Progress, TEXT_BYTES_MAX};
pub use recover::Recovered;
pub use ticket::{BillingUnavailable, Journaled};
pub use trail::{Trail, TrailAttempt, TrailCandidate};
pub use verify::{Report, verify};

/// Smallest segment: any record fits several times.
const SEGMENT_BYTES_MIN: u64 = 4 * wire::RECORD_BYTES_MAX as u64;

/// How long a ledger that is dropped without [`Ledger::shutdown`] tries to finish.
const DROP_DEADLINE: Duration = Duration::from_secs(2);

/// What a record survives once it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of this process, `kill -9` included: it was written to the operating system.
    #[default]
    Process,
    /// A loss of power: it was synced to the disk.
    Power,
}

tollgate_plugin_api::words!(Durability { Process = "process", Power = "power" });

/// How a ledger is opened.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// Folder of the journals; made if it is not there.
    pub journal_dir: PathBuf,
    /// What an acknowledged record survives.
    pub durability: Durability,
    /// Records that may be queued or promised at a time: each open hold takes one, a moment after admission two. With
    /// none left, new requests are refused.
    pub slots_max: u32,
    /// Size of one segment file, reserved at once.
    pub segment_bytes: u64,
    /// With more journal than this waiting for the store, new requests are refused.
    pub journal_bytes_max: u64,
}

impl LedgerOptions {
    /// The defaults, with this folder.
    pub fn new(journal_dir: impl Into<PathBuf>) -> Self {
        Self {
            journal_dir: journal_dir.into(),
            durability: Durability::default(),
            slots_max: 1 << 17,
            segment_bytes: 16 << 20,
            journal_bytes_max: 1 << 30,
        }
    }
}

/// A request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldError {
    /// The key or its user has a quota by now, and nobody said what the request may cost.
    QuotaSet,
    /// The key's balance does not cover it: 402.
    QuotaInsufficient,
    /// The key is not accepted, or not any more: see [`KeyEntry::accepts`](crate::keyring::KeyEntry::accepts).
    Refused(RejectCode),
    /// The journal is full, cannot be written, or is being closed: 503.
    BillingUnavailable,
    /// It has an idempotency key, and another process knows by now what became of that.
    ClaimedElsewhere,
}

/// How far the journal and the store are behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Holds that are neither settled nor voided.
    pub open_holds: u64,
    /// Of a process that has handed over to this one: holds that it has not ended yet.
    pub inherited_holds: u64,
    /// Records that are queued for the journal.
    pub queued_records: u64,
    /// Records that are in the journal and not in the store.
    pub unapplied_records: u64,
    /// Their bytes.
    pub unapplied_bytes: u64,
    /// Slots left; with fewer than two, new requests are refused.
    pub slots_free: u64,
    /// Why the journal cannot be written, if so.
    pub journal_error: Option<String>,
    /// Why the store cannot be written, if so.
    pub store_error: Option<String>,
}

/// See the module.
pub struct Ledger {
    journal: Arc<Journal>,
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    claims: Arc<Claims>,
    admission: Admission,
    inheritance: Arc<Inheritance>,
    writer_id: Uuid,
    journal_dir: PathBuf,
    /// The writer's own.
    folder: PathBuf,
    recovered: Recovered,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Of `journal_dir`: whose it is, has the balances.
    dir_lock: Mutex<Option<FolderLock>>,
    /// Of `folder`; released at the end.
    _writer_lock: FolderLock,
}

/// Brings a store up to date for somebody who does not serve from it: if nobody does, for an older version could not go on with it. Whoever
/// does may have another folder than this one: the store knows where its writers are.
///
/// # Errors
/// Somebody serves, or the store cannot be used.
pub(crate) fn bring_up_to_date(store: &dyn Store, journal_dir: &Path) -> Result<(), LedgerError> {
    let in_dir = |error| LedgerError::io(journal_dir, error);
    let _lock = match folder::lock(journal_dir) {
        Ok(Locking::Ours(lock)) => Some(lock),
        Ok(Locking::Taken(process)) => {
            return Err(LedgerError::FolderInUse { journal_dir: journal_dir.to_owned(), process });
        }
        // Nobody has ever served with it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(in_dir(error)),
    };
    recover::refuse_living(&store.writers()?)?;
    Ok(store.bring_up_to_date()?)
}

impl Ledger {
    /// Locks the folder, brings the store up to date, finishes what was left behind there, loads keys and balances into `keys` (on which nothing is
    /// held yet) and starts to write.
    ///
    /// # Errors
    /// Somebody else serves from the folder or the store, or one of them cannot be used.
    pub fn open(options: LedgerOptions, store: Arc<dyn Store>, keys: Arc<Keys>) -> Result<Arc<Self>, LedgerError> {
        Self::open_on(Arc::new(FileSystem), options, store, keys)
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        options: LedgerOptions,
        store: Arc<dyn Store>,
        keys: Arc<Keys>,
    ) -> Result<Arc<Self>, LedgerError> {
        let in_dir = |error| LedgerError::io(&options.journal_dir, error);
        std::fs::create_dir_all(&options.journal_dir).map_err(in_dir)?;
        let journal_dir = options.journal_dir.canonicalize().map_err(in_dir)?;
        let dir_lock = match folder::lock(&journal_dir).map_err(in_dir)? {
            Locking::Ours(lock) => lock,
            Locking::Taken(process) => return Err(LedgerError::FolderInUse { journal_dir, process }),
        };
        // Only whoever serves changes its tables.
        store.bring_up_to_date()?;
        let (recovered, living) = recover::recover(&journal_dir, &*store)?;
        let claims = Arc::<Claims>::default();
        let inheritance =
            Inheritance::load(journal_dir.clone(), living, Arc::clone(&store), &keys, Arc::clone(&claims))?;
        let inheritance = Arc::new(inheritance);
        // After the holds: what ends in between is done here, and ends there for nobody.
        claims.load(&*store, unix_ms())?;

        let writer_id = Uuid::now_v7();
        let folder = folder::of_writer(&journal_dir, writer_id);
        let in_folder = |error| LedgerError::io(&folder, error);
        std::fs::create_dir(&folder).map_err(in_folder)?;
        let Locking::Ours(writer_lock) = folder::lock(&folder).map_err(in_folder)? else {
            return Err(LedgerError::FolderInUse { journal_dir: folder, process: None });
        };
        if options.durability == Durability::Power {
            disk.sync_folder(&journal_dir).map_err(in_dir)?;
        }
        let dir_text = journal_dir.to_string_lossy().into_owned();
        store.writer_open(&Writer { id: writer_id, journal_dir: dir_text, position: START })?;

        let state = Arc::new(State::new(options.slots_max, options.journal_bytes_max));
        let setup = WriterSetup {
            writer_id,
            folder: folder.clone(),
            durability: options.durability,
            segment_bytes: options.segment_bytes.max(SEGMENT_BYTES_MIN),
            disk,
            state: Arc::clone(&state),
        };
        let (journal, writer) = Journal::new(setup);
        let applier = Applier::new(writer_id, folder.clone(), Arc::clone(&store), Arc::clone(&keys), state);
        let mut threads = vec![spawn("journal", || writer.run())?, spawn("applier", || applier.run())?];
        if !inheritance.is_settled() {
            let inheritance = Arc::clone(&inheritance);
            threads.push(spawn("inheritance", move || inheritance.run())?);
        }
        Ok(Arc::new(Self {
            journal: Arc::new(journal),
            store,
            keys,
            claims,
            admission: Admission::new(),
            inheritance,
            writer_id,
            journal_dir,
            folder,
            recovered,
            threads: Mutex::new(threads),
            dir_lock: Mutex::new(Some(dir_lock)),
            _writer_lock: writer_lock,
        }))
    }

    /// What recovery found when the ledger was opened.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The idempotency keys that are taken or done.
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    /// False: new requests are refused now.
    pub fn healthy(&self) -> bool {
        let state = &self.journal.state;
        state.admits() && state.slots_free() >= HOLD_SLOTS
    }

    /// How far the journal and the store are behind.
    pub fn lag(&self) -> Lag {
        let state = &self.journal.state;
        let applied = state.applied_records.load(Ordering::Acquire);
        let written = state.written_records.load(Ordering::Acquire);
        let sent = state.sent_records.load(Ordering::Acquire);
        Lag {
            inherited_holds: self.inheritance.open_holds() as u64,
            open_holds: u64::try_from(state.open_holds.load(Ordering::Relaxed)).unwrap_or(0),
            queued_records: sent.saturating_sub(written),
            unapplied_records: written.saturating_sub(applied),
            unapplied_bytes: state.unapplied_bytes(),
            slots_free: u64::try_from(state.slots_free()).unwrap_or(0),
            journal_error: state.journal_error(),
            store_error: state.store_error(),
        }
    }

    /// How many records were handed to the journal since the ledger was opened.
    pub fn sent_records(&self) -> u64 {
        self.journal.state.sent_records.load(Ordering::Acquire)
    }

    /// How many of them the store has.
    pub fn applied_records(&self) -> u64 {
        self.journal.state.applied_records.load(Ordering::Acquire)
    }

    /// Refuses new requests, waits until the open ones have ended and everything is in the store, and stops. What is
    /// not finished when `deadline` is over is finished by the next start. True: nothing is left for it.
    pub fn shutdown(&self, deadline: Duration) -> bool {
        let state = &self.journal.state;
        let until = Instant::now() + deadline;
        if !state.close() {
            return false;
        }
        self.inheritance.stop();
        while !state.is_idle() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.journal.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        state.abandon();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the ledger panicked");
            }
        }
        let lag = self.lag();
        let is_whole = lag.open_holds == 0 && lag.queued_records == 0 && lag.unapplied_records == 0;
        // A settlement in its middle is no open hold any more and no record yet, but its slot is still out.
        is_whole && state.is_idle() && state.applied_stays() && self.leave().is_ok()
    }

    /// Removes what only a next start would need.
    fn leave(&self) -> Result<(), LedgerError> {
        let in_folder = |error| LedgerError::io(&self.folder, error);
        for number in segment::numbers(&self.folder).map_err(in_folder)? {
            apply::dispose(&self.folder, number, false).map_err(in_folder)?;
        }
        self.store.writer_close(self.writer_id)?;
        folder::remove(&self.folder).map_err(in_folder)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shutdown(DROP_DEADLINE);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LedgerError> {
    let name = format!("ledger-{name}");
    std::thread::Builder::new().name(name.clone()).spawn(run).map_err(|error| LedgerError::io(Path::new(&name), error))
}
