//! What all exchanges of a gateway share.

use super::console::Console;
use super::control::Drains;
use super::memory::Memory;
use super::pages;
use super::reloads::{AskedBy, ReloadRequest, Reloaded, Reloads};
use super::upstream::Connections;
use crate::clock::steady_unsigned_ms;
use crate::keyring::Keys;
use crate::ledger::Ledger;
use crate::machine;
use crate::metrics::{BreakersShown, Metrics};
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tollgate_plugin_api::Reply;

/// Snapshots whose exchanges are waited for. Each was in force once, so there is one more with every reload while a stream
/// runs.
const SUPERSEDED_MAX: usize = 64;
/// How long the ledger may take to write what is in memory.
const LEDGER_CLOSE_MAX: Duration = Duration::from_secs(10);

/// The parts of a gateway that live as long as the process. A reload swaps `snapshot`; keys change one at a time.
pub struct Shared {
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Every key, by the digest of its credential.
    pub keys: Arc<Keys>,
    /// Holds and records.
    pub ledger: Arc<Ledger>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    pub(super) drains: Arc<Drains>,
    pub(super) connections: Arc<Connections>,
    pub(super) memory: Arc<Memory>,
    pub(super) reloads: Reloads,
    /// The store could not be read when it was last asked for changed keys.
    store_unreadable: AtomicBool,
    /// What answers at `/console`; none: nothing does.
    console: RwLock<Option<Arc<dyn Console>>>,
    /// People who may know why an upstream was chosen.
    admins: ArcSwap<Vec<String>>,
    stopping: watch::Sender<bool>,
    /// Snapshots that are not in force any more, oldest first, until their last exchange has ended and their plugins are
    /// closed.
    superseded: Mutex<Vec<Arc<Snapshot>>>,
    lingering: AtomicBool,
}

impl Shared {
    /// Puts the parts together.
    pub fn new(snapshot: Snapshot, keys: Arc<Keys>, ledger: Arc<Ledger>, metrics: Arc<Metrics>) -> Arc<Self> {
        let memory = Arc::new(Memory::new(snapshot.config.server.memory_bytes_max));
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            keys,
            ledger,
            metrics,
            drains: Arc::new(Drains::default()),
            connections: Arc::new(Connections::new()),
            memory,
            reloads: Reloads::default(),
            store_unreadable: AtomicBool::new(false),
            console: RwLock::new(None),
            admins: ArcSwap::default(),
            stopping: watch::Sender::new(false),
            superseded: Mutex::default(),
            lingering: AtomicBool::new(false),
        })
    }

    /// Closes pooled connections to upstreams that have idled for too long, or were closed over there.
    pub fn sweep_connections(&self) {
        self.connections.sweep();
    }

    /// What clients ask to be looked at again, for the one who answers them; `None`: somebody has them already.
    pub fn take_reload_requests(&self) -> Option<mpsc::Receiver<ReloadRequest>> {
        self.reloads.take_requests()
    }

    /// Says what answers at `/console`, until the gateway is closed.
    pub fn set_console(&self, console: Arc<dyn Console>) {
        *self.console.write() = Some(console);
    }

    /// What answers at `/console`, if it is there and switched on.
    pub(super) fn console(&self, snapshot: &Snapshot) -> Option<Arc<dyn Console>> {
        self.console.read().clone().filter(|_| snapshot.config.console.enabled)
    }

    /// Asks whoever reads configurations to read them again, for the console. `None`: nobody does here, or not now.
    pub async fn reload(&self) -> Option<Reloaded> {
        self.reloads.files(AskedBy::Console).await
    }

    /// Asks them to put the store's weights in force. `None`: nobody does here, or not now.
    pub async fn reload_weights(&self) -> Option<()> {
        self.reloads.weights().await
    }

    /// Notes whether the store could be read just now. True: that is news.
    pub fn note_store_readable(&self, readable: bool) -> bool {
        self.store_unreadable.swap(!readable, Ordering::AcqRel) == readable
    }

    /// Whether the store takes the ledger's records and can be read, as far as the last use of it tells.
    pub fn store_is_well(&self) -> bool {
        !self.store_unreadable.load(Ordering::Acquire) && self.ledger.lag().store_error.is_none()
    }

    /// Puts a snapshot in force. What runs goes on with the one before.
    pub fn supersede(&self, snapshot: Snapshot) {
        self.memory.set_bytes_max(snapshot.config.server.memory_bytes_max);
        let before = self.snapshot.swap(Arc::new(snapshot));
        self.superseded.lock().push(before);
    }

    /// Closes the plugins of snapshots whose exchanges have all ended; of the oldest ones also before that, if there are too
    /// many: what their exchanges have to say after that is counted as lost. It may wait, so never on a request's path.
    pub fn close_superseded(&self) {
        let done: Vec<_> = {
            let mut superseded = self.superseded.lock();
            let too_many = superseded.len().saturating_sub(SUPERSEDED_MAX);
            let mut nth = 0;
            superseded
                .extract_if(.., |snapshot| {
                    nth += 1;
                    nth <= too_many || Arc::strong_count(snapshot) == 1
                })
                .collect()
        };
        for snapshot in done {
            snapshot.plugins.close();
        }
    }

    /// The process ends: writes what is still in memory, the journal and what plugins have gathered. True: nothing is left for the
    /// next start to finish.
    pub fn close(&self) -> bool {
        let is_whole = self.ledger.shutdown(LEDGER_CLOSE_MAX);
        self.close_plugins();
        is_whole
    }

    /// Those of every snapshot, the oldest first.
    fn close_plugins(&self) {
        // It refers to all of this in turn.
        *self.console.write() = None;
        let superseded = std::mem::take(&mut *self.superseded.lock());
        for snapshot in superseded {
            snapshot.plugins.close();
        }
        self.snapshot.load().plugins.close();
    }

    /// Says who is an admin, in order.
    pub fn set_admins(&self, mut names: Vec<String>) {
        names.sort_unstable();
        if names != **self.admins.load() {
            self.admins.store(Arc::new(names));
        }
    }

    /// Whether this user is an admin, as far as is known.
    pub(super) fn is_admin(&self, user: &str) -> bool {
        self.admins.load().binary_search_by(|name| name.as_str().cmp(user)).is_ok()
    }

    /// Drops what still runs. From here on, exchanges that are dropped were cut off by the end of the process.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits for [`Shared::stop`].
    pub(super) async fn stopped(&self) {
        // The sender lives as long as this.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Whether connections that are open when accepting ends are answered for a while yet.
    pub fn set_lingering(&self, lingering: bool) {
        self.lingering.store(lingering, Ordering::Release);
    }

    /// See [`Shared::set_lingering`].
    pub fn lingers(&self) -> bool {
        self.lingering.load(Ordering::Acquire)
    }

    /// The answer of a health page, for other ports than the clients'.
    pub fn health_page(&self, path: &str) -> Option<Reply> {
        pages::health_page(self, path)
    }

    /// Brings the gauges that are read, not counted, up to date.
    pub fn refresh_gauges(&self) {
        self.metrics.drains.set(i64::try_from(self.drains.running()).unwrap_or(i64::MAX));
        self.metrics.memory_bytes_max.set(i64::try_from(self.memory.bytes_max()).unwrap_or(i64::MAX));
        self.metrics.request_bodies_bytes.set(i64::try_from(self.memory.bodies_bytes()).unwrap_or(i64::MAX));
        if let Some(figures) = machine::process() {
            self.metrics.process(&figures);
        }
        let lag = self.ledger.lag();
        self.metrics.holds.set(i64::try_from(lag.open_holds).unwrap_or(i64::MAX));
        self.metrics.inherited_holds.set(i64::try_from(lag.inherited_holds).unwrap_or(i64::MAX));
        self.metrics.journal_pending_records.set(i64::try_from(lag.queued_records).unwrap_or(i64::MAX));
        self.metrics.journal_bytes.set(i64::try_from(self.ledger.journal_bytes()).unwrap_or(i64::MAX));
        self.metrics.applier_lag_bytes.set(i64::try_from(lag.unapplied_bytes).unwrap_or(i64::MAX));
        self.metrics.applier_lag_records.set(i64::try_from(lag.unapplied_records).unwrap_or(i64::MAX));
        self.metrics.store_healthy.set(i64::from(lag.store_error.is_none()));
        self.metrics.journal_healthy.set(i64::from(self.ledger.healthy()));
        let now_ms = steady_unsigned_ms();
        let snapshot = self.snapshot.load();
        let states = snapshot.upstreams.iter().map(|upstream| BreakersShown {
            upstream: &upstream.name,
            severity: upstream.breakers.state(now_ms).severity(),
            models_limited: upstream.breakers.models_limited(now_ms),
        });
        self.metrics.breaker_states(&states.collect::<Vec<_>>());
    }
}
