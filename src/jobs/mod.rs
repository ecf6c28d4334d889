//! What runs beside the requests: keys that the command line changed, what users may spend, files that an operator edited.

mod files;
mod noted;
mod prices;
mod reload;
mod users;
mod writers;

pub use files::Seen;
pub use reload::Sources;
pub use users::{Now, Users};

use crate::config::Config;
use crate::proxy::{ReloadRequest, Shared};
use crate::store::Store;
use async_trait::async_trait;
use noted::Unnoted;
use parking_lot::Mutex;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use prices::Editions;
use reload::{Asked, Reload};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tollgate_plugin_api::Ports;

/// How often the store is asked for changed keys, and files for changes: a change is in force within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Every so many looks, idle connections are looked at, and a part of what another version added to the
/// ledger is caught up with.
const LOOKS_TO_TIDY: u32 = 20;

/// The background work of one gateway.
pub struct Jobs {
    reload: Arc<Mutex<Reload>>,
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    users: Arc<Mutex<Users>>,
    editions: Arc<Mutex<Editions>>,
    unnoted: Arc<Unnoted>,
    /// What clients ask to be looked at again; taken when the work begins.
    reload_requests: Mutex<Option<Receiver<ReloadRequest>>>,
    /// SIGHUP, if it has been heard since before.
    hangup: Mutex<Option<Signal>>,
}

impl Jobs {
    /// Work for a gateway that was built from `config`.
    pub fn new(config: Config, sources: Sources, ports: Ports, store: Arc<dyn Store>, shared: Arc<Shared>) -> Self {
        let editions = Arc::new(Mutex::new(Editions::new(sources.default_prices)));
        let unnoted = Arc::<Unnoted>::default();
        let reload = Reload::new(config, sources, ports, shared.clone(), store.clone(), unnoted.clone());
        let reload_requests = Mutex::new(shared.take_reload_requests());
        let (reload, users) = (Arc::new(Mutex::new(reload)), Arc::default());
        Self { reload, store, shared, users, editions, unnoted, reload_requests, hangup: Mutex::default() }
    }

    /// With a SIGHUP that is heard already: what came before the work begins counts, too.
    #[must_use]
    pub fn with_hangup(self, hangup: Signal) -> Self {
        *self.hangup.lock() = Some(hangup);
        self
    }
}

#[async_trait]
impl BackgroundService for Jobs {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let reload = self.reload.clone();
        let heard = self.hangup.lock().take();
        let mut hangup = heard.or_else(|| signal(SignalKind::hangup()).ok());
        // The first may wait for what takes lines and spans, the others for the store's lock.
        let [mut closing, mut writing, mut noting] = [const { Beside(None) }; 3];
        let mut requests = self.reload_requests.lock().take();
        let mut looks = 0_u32;
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => Asked::Nobody,
                () = next_signal(&mut hangup) => Asked::Signal,
                request = next_request(&mut requests) => Asked::Request(request),
                _ = shutdown.changed() => return,
            };
            looks = looks.wrapping_add(1);
            let shared = self.shared.clone();
            closing.run(move || shared.close_superseded());
            let (store, shared, users) = (self.store.clone(), self.shared.clone(), self.users.clone());
            writing.run(move || write_periods(&*store, &shared, &users));
            let is_tidying = looks.is_multiple_of(LOOKS_TO_TIDY);
            let (store, shared, editions) = (self.store.clone(), self.shared.clone(), self.editions.clone());
            let unnoted = self.unnoted.clone();
            noting.run(move || {
                if shared.ledger.has_balances() {
                    unnoted.note(&*store);
                    editions.lock().look(&*store, &shared, is_tidying);
                    if is_tidying {
                        catch_up(&*store);
                    }
                }
            });
            let (store, shared, users) = (self.store.clone(), self.shared.clone(), self.users.clone());
            let keys = tokio::task::spawn_blocking(move || {
                // Before the keys, so that none is in force before what its user may spend; and behind them, for users who came
                // with theirs in between.
                poll_users(&*store, &shared, &mut users.lock());
                poll_keys(&*store, &shared);
                poll_users(&*store, &shared, &mut users.lock());
                poll_admins(&*store, &shared);
                if is_tidying {
                    shared.sweep_connections();
                }
            });
            let files = tokio::task::spawn_blocking({
                let reload = reload.clone();
                move || reload.lock().look(asked)
            });
            // A panic in one look must not end the next ones: a disabled key would stay in force.
            for error in [keys.await.err(), files.await.err()].into_iter().flatten() {
                tracing::error!("background work failed: {error}");
            }
        }
    }
}

/// Waits for the next signal; for ever where none can be heard.
async fn next_signal(signals: &mut Option<Signal>) {
    let heard = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending().await
    }
}

/// Waits for the next request; for ever where nobody can ask any more.
async fn next_request(requests: &mut Option<Receiver<ReloadRequest>>) -> ReloadRequest {
    let asked = match requests {
        Some(requests) => requests.recv().await,
        None => None,
    };
    match asked {
        Some(request) => request,
        None => std::future::pending().await,
    }
}

/// Work that no look waits for.
struct Beside(Option<JoinHandle<()>>);

impl Beside {
    /// Begins it, unless it still runs.
    fn run(&mut self, work: impl FnOnce() + Send + 'static) {
        if self.0.as_ref().is_none_or(JoinHandle::is_finished) {
            self.0 = Some(tokio::task::spawn_blocking(work));
        }
    }
}

fn poll_keys(store: &dyn Store, shared: &Shared) {
    let polled = shared.keys.poll(store);
    let is_news = shared.note_store_readable(polled.is_ok());
    match polled {
        // Asked again four times a second: once is enough to say it.
        Err(error) if is_news => tracing::warn!("keys are not read: {error}"),
        Ok(_) if is_news => tracing::warn!("keys are read again"),
        _ => {}
    }
}

fn poll_users(store: &dyn Store, shared: &Shared, users: &mut Users) {
    if !shared.ledger.has_balances() {
        return;
    }
    let looked = users.look(store.limits(), &shared.keys, Now::of(&shared.ledger));
    let is_news = users.note_failing(looked.is_err());
    match looked {
        // Asked again four times a second: once is enough to say it.
        Err(error) if is_news => tracing::warn!("users' limits are not all in force: {error}"),
        Ok(()) if is_news => tracing::warn!("users' limits are in force again"),
        _ => {}
    }
}

fn write_periods(store: &dyn Store, shared: &Shared, users: &Mutex<Users>) {
    if !shared.ledger.has_balances() {
        return;
    }
    let periods = users.lock().unwritten();
    if periods.is_empty() {
        return;
    }
    // Without the users: the next look is not to wait for it.
    let written = store.limits().begin_periods(&periods);
    let is_news = users.lock().note_written(&periods, written.is_ok());
    match written {
        // Tried again at once: once is enough to say it.
        Err(error) if is_news => tracing::warn!("budget periods have begun, but are not in the store yet: {error}"),
        Ok(()) if is_news => tracing::warn!("the store has all periods of budgets"),
        _ => {}
    }
}

fn catch_up(store: &dyn Store) {
    // Nothing that money or safety hangs on: what is not caught up with is read from the rows.
    if let Err(error) = store.catch_up() {
        tracing::debug!("sums and names of another version's records are not complete yet: {error}");
    }
}

fn poll_admins(store: &dyn Store, shared: &Shared) {
    // Nothing that money or safety hangs on: who is unknown is no admin.
    match store.admin_names() {
        Ok(names) => shared.set_admins(names),
        Err(error) => tracing::debug!("admins are not read: {error}"),
    }
}
