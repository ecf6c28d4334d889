//! Puts a gateway together from a configuration and runs it in a Pingora server until a signal ends it.

mod certificate;
mod shutdown;

pub use certificate::LiveCertificate;

use crate::admin::MetricsPage;
use crate::config::{self, Config, StoreUrl};
use crate::jobs::{Jobs, Sources};
use crate::keyring::Keys;
use crate::ledger::{Ledger, LedgerOptions};
use crate::metrics::Metrics;
use crate::price::PriceBook;
use crate::proxy::{Gateway, GatewayServer, Shared};
use crate::store::{self, Store};
use pingora::listeners::tls::TlsSettings;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::prelude::{Opt, Server};
use pingora::server::RunArgs;
use pingora::server::configuration::ServerConf;
use pingora::services::background::background_service;
use pingora::services::listening::Service;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tollgate_plugin_api::{Clock, Ports};

/// Read ahead from a client's connection. Small: it is kept for as long as a stream is open.
const CLIENT_READ_BUFFER_BYTES: usize = 4096;
/// How often it is looked whether the listeners are open.
const LISTENING_LOOK: Duration = Duration::from_millis(5);
/// What Pingora waits at most, at shutdown, for tasks that its own runtimes still hold.
const RUNTIME_SHUTDOWN_SECONDS: u64 = 1;

/// The time as the machine has it.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        crate::proxy::unix_ms()
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

/// Runs the gateway until it is told to stop. `started` is called when it listens.
///
/// # Errors
/// Whatever keeps it from starting, in words for the operator.
pub fn run(config: Config, origin: Origin, started: impl FnOnce(&Shared)) -> Result<(), String> {
    let listens = config.server.listen.iter().chain(&config.server.metrics_listen);
    for address in listens {
        check_free(*address)?;
    }
    forgo_huge_pages();
    let parts = open(&config, &origin)?;
    let conf = server_conf(&config);
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, conf);
    server.bootstrap();
    let (shared, closing) = (parts.shared.clone(), parts.closing(origin.scratch_folder.clone()));
    let certificate = config.server.tls.as_ref().map(LiveCertificate::load).transpose()?;
    server.add_service(gateway_service(&config, &shared, certificate.as_ref())?);
    if let Some(address) = config.server.metrics_listen {
        let mut metrics = Service::new("metrics".into(), MetricsPage::app(shared.clone()));
        metrics.threads = Some(1);
        metrics.add_tcp(&address.to_string());
        server.add_service(metrics);
    }
    let sources = Sources { config_file: origin.config_file, default_prices: origin.default_prices, certificate };
    let jobs = Jobs::new(config.clone(), sources, parts.ports, parts.store, shared.clone());
    server.add_service(background_service("jobs", jobs));
    let limit = Duration::from_millis(config.server.shutdown_ms);
    shutdown::end_when_idle(server.watch_execution_phase(), closing.clone(), limit);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| server.run(RunArgs { shutdown_signal: Box::new(shutdown::Signals) }));
        wait_until_listening(&config.server.listen, || running.is_finished());
        started(&shared);
        // A panic of the server's was printed already.
        let _ = running.join();
    });
    closing.close();
    Ok(())
}

/// The allocator asks for huge pages. With them, every buffer of which a stream uses the beginning is resident as a whole.
fn forgo_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("huge pages stay on: {error}");
    }
}

/// Pingora opens its listeners in the background and does not say when: asks them, until all answer or `ended`.
fn wait_until_listening(addresses: &[SocketAddr], ended: impl Fn() -> bool) {
    for address in addresses {
        let mut address = *address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        while TcpStream::connect_timeout(&address, LISTENING_LOOK).is_err() && !ended() {
            std::thread::sleep(LISTENING_LOOK);
        }
    }
}

/// What is open while the gateway runs.
struct Parts {
    store: Arc<dyn Store>,
    ports: Ports,
    shared: Arc<Shared>,
}

impl Parts {
    fn closing(&self, scratch_folder: Option<PathBuf>) -> shutdown::Closing {
        shutdown::Closing { store: self.store.clone(), shared: self.shared.clone(), scratch_folder }
    }
}

fn open(config: &Config, origin: &Origin) -> Result<Parts, String> {
    let store = open_store(config)?;
    let keys = Arc::new(Keys::new());
    let durability = config.ledger.durability;
    let options = LedgerOptions { durability, ..LedgerOptions::new(&config.ledger.journal_dir) };
    let ledger = Ledger::open(options, store.clone(), keys.clone()).map_err(|error| error.to_string())?;
    let ports = Ports { keys: keys.clone(), clock: Arc::new(SystemClock), memory: Arc::default() };
    let prices = load_prices(config, origin.default_prices)?;
    let snapshot = config::build(config, Arc::new(prices), &ports, None).map_err(|errors| listed(&errors))?;
    let metrics = Arc::new(Metrics::new().map_err(|error| error.to_string())?);
    let shared = Shared::new(snapshot, keys, ledger, metrics);
    Ok(Parts { store, ports, shared })
}

/// A gateway on what a configuration names, for a Pingora server of one's own (`http_proxy_service(&conf, gateway)`). What
/// runs beside the requests in `tollgate serve` (reloads, keys changed by other processes) is [`Jobs`], a background service.
///
/// # Errors
/// Whatever keeps it from opening, in words for the operator.
pub fn gateway(config: &Config) -> Result<Gateway, String> {
    let origin = Origin { config_file: None, default_prices: "", scratch_folder: None };
    open(config, &origin).map(|parts| Gateway::new(parts.shared))
}

/// Opens the store that a configuration names.
///
/// # Errors
/// What the store says.
pub fn open_store(config: &Config) -> Result<Arc<dyn Store>, String> {
    let StoreUrl::Sqlite(path) = &config.store.url;
    store::open(&format!("sqlite:{}", path.display()), config.ledger.durability).map_err(|error| error.to_string())
}

/// Reads the price book that a configuration names; a missing file is the default one.
///
/// # Errors
/// Everything that is wrong in it, `file:line:col` each.
pub fn load_prices(config: &Config, default_prices: &str) -> Result<PriceBook, String> {
    let path = &config.pricing.file;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => default_prices.to_owned(),
        Err(error) => return Err(format!("{}: cannot be read: {error}", path.display())),
    };
    PriceBook::parse(&text).map_err(|errors| {
        let lines = errors.iter().map(|error| {
            format!("{}:{}:{}: {}: {}", path.display(), error.line, error.column, error.key, error.message)
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Errors one a line.
pub(crate) fn listed<E: std::fmt::Display>(errors: &[E]) -> String {
    errors.iter().map(E::to_string).collect::<Vec<_>>().join("\n")
}

/// Pingora panics when it cannot listen; this says it better.
fn check_free(address: SocketAddr) -> Result<(), String> {
    TcpListener::bind(address).map(drop).map_err(|error| format!("cannot listen on {address}: {error}"))
}

fn server_conf(config: &Config) -> ServerConf {
    let threads = match config.server.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    ServerConf {
        threads,
        grace_period_seconds: Some(config.server.shutdown_ms.div_ceil(1000)),
        graceful_shutdown_timeout_seconds: Some(RUNTIME_SHUTDOWN_SECONDS),
        ..ServerConf::default()
    }
}

fn gateway_service(
    config: &Config,
    shared: &Arc<Shared>,
    certificate: Option<&Arc<LiveCertificate>>,
) -> Result<Service<GatewayServer>, String> {
    let mut service = Service::new("gateway".into(), GatewayServer::new(Gateway::new(shared.clone())));
    for address in &config.server.listen {
        let buffer = L4BufferSettings::default().read(CLIENT_READ_BUFFER_BYTES);
        let mut listener = ListenerConfig::tcp(address.to_string()).l4_buffer(buffer);
        if let Some(certificate) = certificate {
            // Where there is a resolver, Pingora reads no files.
            let mut settings = TlsSettings::intermediate("", "").map_err(|error| format!("server.tls: {error}"))?;
            settings.set_cert_resolver(certificate.clone());
            settings.enable_h2();
            listener = listener.tls(settings);
        }
        service.add_listener(listener);
    }
    Ok(service)
}
