//! Puts a gateway together from a configuration and runs it in a Pingora server until a signal ends it.

mod accepting;
mod certificate;
mod shutdown;
mod signals;
mod sockets;
mod succession;
mod supervisor;

pub use certificate::LiveCertificate;
pub use succession::is_to_take_over;

use crate::admin::{self, FirstAdmin, MetricsPage};
use crate::clock;
use crate::config::{self, Config};
use crate::jobs::{Jobs, Now, Seen, Sources, Users};
use crate::keyring::Keys;
use crate::ledger::{Ledger, LedgerOptions};
use crate::metrics::Metrics;
use crate::price::PriceBook;
use crate::proxy::{Door, Gateway, GatewayServer, Shared};
use crate::snapshot::Snapshot;
use crate::store::{self, Act, Missing, Store};
use accepting::Accepting;
use pingora::apps::http_app::HttpServer;
use pingora::listeners::tls::TlsSettings;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::prelude::{Opt, Server};
use pingora::server::RunArgs;
use pingora::server::configuration::ServerConf;
use pingora::services::background::background_service;
use pingora::services::listening::Service;
use signals::Heard;
use sockets::Sockets;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use succession::{Predecessor, Succession};
use tokio::sync::watch;
use tollgate_plugin_api::{Clock, Ports};

/// Read ahead from a client's connection. Small: it is kept for as long as a stream is open.
const CLIENT_READ_BUFFER_BYTES: usize = 4096;
/// Threads that do what takes long (counting tokens, reading the store), of all that answer requests together.
const BLOCKING_THREADS_MAX: usize = 512;
/// Pingora drops what runs this much later than the end of its time, at which it is dropped here, and settled as what the end cut off:
/// by then this process has ended, having closed journal, store and logs.
const END_SECONDS_MAX: u64 = 30;
/// What Pingora waits at most, at shutdown, for tasks that its own runtimes still hold.
const RUNTIME_SHUTDOWN_SECONDS: u64 = 1;

/// Most people whom the start names as called like the program.
const NAMES_TOLD_MAX: u32 = 20;

/// The time as the machine has it.
struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        clock::unix_ms()
    }

    fn steady_ms(&self) -> i64 {
        clock::steady_ms()
    }
}

/// Where the configuration came from, so that it can be read again.
pub struct Origin {
    /// The file; `None`: made from environment variables, never reloaded.
    pub config_file: Option<PathBuf>,
    /// Prices that stand in where the pricing file is missing.
    pub default_prices: &'static str,
    /// A folder that goes when the gateway ends.
    pub scratch_folder: Option<PathBuf>,
}

/// Runs the gateway until it is told to stop, or has handed over to another process. `started` is called when it listens.
///
/// # Errors
/// Whatever keeps it from starting, in words for the operator; or that it has ended without having its balances back.
pub fn run(config: Config, origin: Origin, started: impl FnOnce(&Shared, Option<FirstAdmin>)) -> Result<(), String> {
    // Before any of these files is read: what changes meanwhile is seen at the first look.
    let seen = Seen::of(origin.config_file.as_deref(), &config);
    let mut predecessor = Predecessor::of_this_process()?;
    let opened = Opened::new(&config, &origin, predecessor.as_mut());
    if let (Err(why), Some(predecessor)) = (&opened, &mut predecessor) {
        predecessor.fail(why);
    }
    let Opened { sockets, certificate, parts, heard: Heard { hangup, terminate, interrupt, quit } } = opened?;
    if let Some(predecessor) = predecessor {
        predecessor.answer();
    }
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, server_conf(&config));
    server.bootstrap();
    let shared = parts.shared.clone();
    let refused = origin.scratch_folder.is_some().then_some("what lives in a folder of its own ends with it");
    let succession = Succession::new(&config, shared.clone(), sockets.clone(), refused);
    let closing = Arc::new(parts.closing(origin.scratch_folder.clone()));
    server.add_service(gateway_service(&config, &shared, certificate.as_ref(), &succession)?);
    server.add_service(metrics_service(&config, &shared, &succession));
    server.add_service(console_service(&config, &shared, certificate.as_ref(), &succession)?);
    // Whoever has the balances by now makes the admin, if there is nobody yet.
    let first_admin = parts.first_admin(&config);
    parts.warn_of_names();
    let sources = Sources { config_file: origin.config_file, default_prices: origin.default_prices, certificate, seen };
    let jobs = Jobs::new(config.clone(), sources, parts.ports, parts.store, shared.clone()).with_hangup(hangup);
    server.add_service(background_service("jobs", jobs));
    let limit = Duration::from_millis(config.server.shutdown_ms);
    shutdown::end_when_idle(server.watch_execution_phase(), closing.clone(), succession.clone(), limit);
    supervisor::ready();
    started(&shared, first_admin);
    let signals = shutdown::Signals::new(succession.clone(), terminate, interrupt, quit);
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    closing.close();
    succession.lost_balances()
}

/// The allocator asks for huge pages. With them, every buffer of which a stream uses the beginning is resident as a whole.
fn forgo_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("huge pages stay on: {error}");
    }
}

/// What is open while the gateway runs.
struct Parts {
    store: Arc<dyn Store>,
    ports: Ports,
    shared: Arc<Shared>,
}

impl Parts {
    /// The admin of a first start, with whom everything else is set up.
    fn first_admin(&self, config: &Config) -> Option<FirstAdmin> {
        let made = config.console.enabled.then(|| admin::first_admin(&*self.store))?;
        made.inspect_err(|error| tracing::warn!("there may be nobody who can sign in at the console: {error}")).ok()?
    }

    /// Of people whom the audit cannot tell from the program.
    fn warn_of_names(&self) {
        match self.store.people().persons_named_as_programs(NAMES_TOLD_MAX) {
            Ok(names) if names.is_empty() => {}
            Ok(names) => tracing::warn!(
                "people whose names begin with `{}` look like the program in the audit: {names:?}; nobody gets such \
                 a name any more: give each an account of another name, and delete this one",
                Act::PROGRAM
            ),
            Err(error) => {
                tracing::warn!("cannot check whether people's names look like the program in the audit: {error}")
            }
        }
    }

    fn closing(&self, scratch_folder: Option<PathBuf>) -> shutdown::Closing {
        shutdown::Closing::new(self.shared.clone(), scratch_folder)
    }
}

/// Everything that there is before requests are served.
struct Opened {
    sockets: Arc<Sockets>,
    certificate: Option<Arc<LiveCertificate>>,
    parts: Parts,
    heard: Heard,
}

impl Opened {
    /// From a predecessor it has the sockets and, when all else is there, the balances.
    fn new(config: &Config, origin: &Origin, mut predecessor: Option<&mut Predecessor>) -> Result<Self, String> {
        // First: what is not the predecessor's is not even looked at.
        predecessor.as_ref().map_or(Ok(()), |predecessor| predecessor.check_place(config))?;
        let handed = predecessor.as_mut().map(|predecessor| predecessor.take_sockets()).unwrap_or_default();
        let addresses = config.server.listen.iter().chain(&config.server.metrics_listen).chain(&config.console.listen);
        let sockets = Sockets::bind(addresses.copied(), handed)?;
        forgo_huge_pages();
        let certificate = LiveCertificate::load(config)?;
        let missing = if predecessor.is_some() { Missing::IsRefused } else { Missing::IsMade };
        let prepared = Prepared::new(config, origin.default_prices, missing)?;
        if let Some(predecessor) = &mut predecessor {
            predecessor.wait_to_open()?;
        }
        let parts = prepared.open(config)?;
        sockets.listen()?;
        let heard = Heard::begin()?;
        if let Some(predecessor) = predecessor {
            predecessor.wait_to_begin(parts.shared.ledger.clone())?;
        }
        Ok(Self { sockets, certificate, parts, heard })
    }
}

/// Everything that can fail but the ledger, which only one process can have at a time. The store is as it was.
struct Prepared {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    ports: Ports,
    snapshot: Snapshot,
    metrics: Arc<Metrics>,
    /// The prices where there is no file.
    default_prices: &'static str,
}

impl Prepared {
    fn new(config: &Config, default_prices: &'static str, missing: Missing) -> Result<Self, String> {
        let keys = Arc::new(Keys::new());
        let metrics = Arc::new(Metrics::new().map_err(|error| error.to_string())?);
        let ports =
            Ports { keys: keys.clone(), clock: Arc::new(SystemClock), losses: metrics.clone(), ..Ports::to_nothing() };
        let prices = load_prices(config, default_prices)?;
        let store = store::open_as_it_is(&config.store.url, config.ledger.durability, missing)
            .map_err(|error| error.to_string())?;
        let mut config = config.clone();
        if store.is_up_to_date().map_err(|error| error.to_string())? {
            // Once more with the ledger: then only what has changed.
            keys.load(&*store, &mut |_, _| {}).map_err(|error| error.to_string())?;
            config.weights = store.people().weights().map_err(|error| error.to_string())?;
        }
        let snapshot = config::build(&config, Arc::new(prices), &ports, None).map_err(|errors| listed(&errors))?;
        Ok(Self { store, keys, ports, snapshot, metrics, default_prices })
    }

    fn open(self, config: &Config) -> Result<Parts, String> {
        let Self { store, keys, ports, snapshot, metrics, default_prices } = self;
        let options =
            LedgerOptions { durability: config.ledger.durability, ..LedgerOptions::new(&config.ledger.journal_dir) };
        let ledger = Ledger::open(options, store.clone(), keys.clone()).map_err(|error| error.to_string())?;
        // Before the first request.
        Users::default().look(store.limits(), &keys, Now::of(&ledger)).map_err(|error| error.to_string())?;
        let shared = Shared::new(snapshot, keys, ledger, metrics);
        let console = admin::console(shared.clone(), store.clone(), default_prices);
        shared.set_console(console.map_err(|error| format!("the console: {error}"))?);
        Ok(Parts { store, ports, shared })
    }
}

/// A gateway on what a configuration names, for a Pingora server of one's own (`http_proxy_service(&conf, gateway)`). What
/// runs beside the requests in `tollgate serve` (reloads, keys changed by other processes) is [`Jobs`], a background service.
///
/// # Errors
/// Whatever keeps it from opening, in words for the operator.
pub fn gateway(config: &Config) -> Result<Gateway, String> {
    Prepared::new(config, "", Missing::IsMade)?.open(config).map(|parts| Gateway::new(parts.shared))
}

/// Opens the store that a configuration names.
///
/// # Errors
/// What the store says.
pub fn open_store(config: &Config) -> Result<Arc<dyn Store>, String> {
    store::open(&config.store.url, config.ledger.durability).map_err(|error| error.to_string())
}

/// Reads the price book that a configuration names; a missing file is the default one.
///
/// # Errors
/// Everything that is wrong in it, `file:line:col` each.
pub fn load_prices(config: &Config, default_prices: &str) -> Result<PriceBook, String> {
    price_book(config, price_file_text(config)?.as_deref().unwrap_or(default_prices))
}

/// Reads a text as the price book that a configuration names.
///
/// # Errors
/// Everything that is wrong in it, `file:line:col` each.
pub(crate) fn price_book(config: &Config, text: &str) -> Result<PriceBook, String> {
    let path = config.pricing.file.display();
    PriceBook::parse(text).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("{path}:{error}")).collect();
        lines.join("\n")
    })
}

/// The text of the price file that a configuration names. `None`: there is no such file.
///
/// # Errors
/// It cannot be read.
pub(crate) fn price_file_text(config: &Config) -> Result<Option<String>, String> {
    let path = &config.pricing.file;
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|error| format!("{}: cannot be read: {error}", path.display())),
    }
}

/// The text of the price book that a configuration names; of a missing file, the default one.
///
/// # Errors
/// It cannot be read.
pub(crate) fn price_text(config: &Config, default_prices: &str) -> Result<String, String> {
    Ok(price_file_text(config)?.unwrap_or_else(|| default_prices.to_owned()))
}

/// Errors one a line.
pub(crate) fn listed<E: std::fmt::Display>(errors: &[E]) -> String {
    errors.iter().map(E::to_string).collect::<Vec<_>>().join("\n")
}

fn server_conf(config: &Config) -> ServerConf {
    let threads = match config.server.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    ServerConf {
        threads,
        grace_period_seconds: Some(config.server.shutdown_ms.div_ceil(1000).saturating_add(END_SECONDS_MAX)),
        graceful_shutdown_timeout_seconds: Some(RUNTIME_SHUTDOWN_SECONDS),
        // A connection stays with the thread that got it, and so does what it allocates: to hand work around costs a tenth of
        // all requests, and threads that have nothing to do for a moment are no gain beside it. What takes long has a thread of
        // its own.
        work_stealing: false,
        max_blocking_threads: Some((BLOCKING_THREADS_MAX / threads).max(1)),
        ..ServerConf::default()
    }
}

fn gateway_service(
    config: &Config,
    shared: &Arc<Shared>,
    certificate: Option<&Arc<LiveCertificate>>,
    succession: &Succession,
) -> Result<Accepting<GatewayServer>, String> {
    let door = if config.console.listen.is_some() { Door::Clients } else { Door::Everything };
    let gateway = Gateway::new(shared.clone()).behind(door);
    pages_service(("gateway", None), config.server.listen.clone(), gateway, certificate, succession)
}

fn console_service(
    config: &Config,
    shared: &Arc<Shared>,
    certificate: Option<&Arc<LiveCertificate>>,
    succession: &Succession,
) -> Result<Accepting<GatewayServer>, String> {
    let gateway = Gateway::new(shared.clone()).behind(Door::Console);
    let addresses = config.console.listen.into_iter().collect();
    pages_service(("console", Some(1)), addresses, gateway, certificate, succession)
}

fn pages_service(
    (name, threads): (&'static str, Option<usize>),
    addresses: Vec<SocketAddr>,
    gateway: Gateway,
    certificate: Option<&Arc<LiveCertificate>>,
    succession: &Succession,
) -> Result<Accepting<GatewayServer>, String> {
    let (listen, certificate) = (addresses.clone(), certificate.cloned());
    let make = move || {
        let mut service = Service::new(name.into(), GatewayServer::new(gateway.clone()));
        for address in &listen {
            let buffer = L4BufferSettings::default().read(CLIENT_READ_BUFFER_BYTES);
            let mut listener = ListenerConfig::tcp(address.to_string()).l4_buffer(buffer);
            if let Some(certificate) = &certificate {
                // Where there is a resolver, Pingora reads no files.
                let mut settings = TlsSettings::intermediate("", "").map_err(|error| format!("server.tls: {error}"))?;
                settings.set_cert_resolver(certificate.clone());
                settings.enable_h2();
                listener = listener.tls(settings);
            }
            service.add_listener(listener);
        }
        Ok(service)
    };
    // What is wrong with the settings is said at the start.
    make()?;
    Ok(accepting(name, threads, addresses, succession, Box::new(make)))
}

fn metrics_service(
    config: &Config,
    shared: &Arc<Shared>,
    succession: &Succession,
) -> Accepting<HttpServer<MetricsPage>> {
    let addresses: Vec<_> = config.server.metrics_listen.iter().copied().collect();
    let (listen, shared) = (addresses.clone(), shared.clone());
    let make = move || {
        let mut service = Service::new("metrics".into(), MetricsPage::app(shared.clone()));
        for address in &listen {
            service.add_tcp(&address.to_string());
        }
        Ok(service)
    };
    accepting("metrics", Some(1), addresses, succession, Box::new(make))
}

fn accepting<A>(
    name: &'static str,
    threads: Option<usize>,
    addresses: Vec<SocketAddr>,
    succession: &Succession,
    make: accepting::Make<A>,
) -> Accepting<A> {
    let (sockets, gate): (_, watch::Receiver<bool>) = (succession.sockets.clone(), succession.gate.subscribe());
    Accepting { name, threads, addresses, sockets, gate, make }
}
