//! What is compared, and how each of them is set up: on a free port, two threads, in a folder of the run's own.

use crate::Failure;
use crate::kinds::Kind;
use crate::load::{self, Load};
use crate::others;
use crate::processes::{Running, free_address};
use crate::rows;
use crate::wire::{self, Case};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};
use tollgate::ledger::Durability;

/// Threads of each proxy; of nginx, processes.
pub(crate) const THREADS: usize = 2;
/// What a client sends to a proxy that passes it on.
const PROVIDER_KEY: &str = "sk-provider-side-by-side";
/// The folder, within the run's, of the one whose console is read.
const CONSOLE: &str = "console";

/// Something that runs and takes the load.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// What clients authenticate with.
    pub(crate) key: String,
    pub(crate) running: Running,
    /// What stands between it and the provider, which is another's cost.
    _behind: Option<Box<Proxy>>,
}

/// One Tollgate: its folder's name, its provider, and what its configuration has beside that.
struct Setup<'a> {
    name: &'a str,
    base_url: String,
    api_key: &'a str,
    more: &'a str,
    environment: &'a [(&'a str, PathBuf)],
}

impl<'a> Setup<'a> {
    fn new(name: &'a str, provider: SocketAddr, more: &'a str) -> Self {
        Self { name, base_url: format!("http://{provider}/v1"), api_key: PROVIDER_KEY, more, environment: &[] }
    }
}

/// Where everything is.
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) tollgate: PathBuf,
    /// The other build.
    pub(crate) earlier: Option<PathBuf>,
}

impl Site {
    /// Starts one of them and waits until it answers. For `Direct`, starts the provider.
    pub(crate) fn start(&self, kind: Kind, provider: SocketAddr) -> Result<Proxy, Failure> {
        let started = match kind {
            Kind::Direct => self.provider(),
            Kind::Nginx => self.nginx(provider),
            Kind::Envoy => self.envoy(provider),
            Kind::Bare => self.bare(kind, "bare", provider),
            Kind::BarePinned => self.bare(kind, "bare-pinned", provider),
            Kind::Secured => self.secured(kind, provider, "1.1"),
            Kind::SecuredHttp2 => self.secured(kind, provider, "2"),
            // The stand-in takes the spans, too: it answers everything.
            Kind::Watched => self.tollgate(kind, &Setup::new("watched", provider, &watching(provider))),
            Kind::Durable => {
                self.tollgate(kind, &Setup::new("durable", provider, "[ledger]\ndurability = \"power\"\n"))
            }
            Kind::Tollgate | Kind::Earlier | Kind::BesideSyncs | Kind::Translated => {
                self.tollgate(kind, &Setup::new(kind.name(), provider, ""))
            }
        };
        self.answering(started.map_err(|failure| format!("{}: {failure}", kind.title()))?)
    }

    /// Tollgate with so many records in its ledger.
    pub(crate) fn start_with_records(&self, provider: SocketAddr, rows: usize) -> Result<Proxy, Failure> {
        let fill = |store: &Path| {
            let store = tollgate::store::open(&tollgate::store::StoreUrl::Sqlite(store.into()), Durability::Process)?;
            let now_ms = i64::try_from(UNIX_EPOCH.elapsed()?.as_millis())?;
            rows::fill(&*store, rows, now_ms)?;
            Ok(())
        };
        self.answering(self.tollgate_with(Kind::Tollgate, &Setup::new(CONSOLE, provider, ""), fill)?)
    }

    /// Tollgate whose key may have so many requests at once.
    pub(crate) fn start_with_room(&self, provider: SocketAddr, room: usize) -> Result<Proxy, Failure> {
        let rule =
            format!("[plugins.rate-limit]\nrules = [{{ per = \"key\", limit = \"concurrency\", max = {room} }}]\n");
        self.answering(self.tollgate(Kind::Tollgate, &Setup::new("overload", provider, &rule))?)
    }

    /// What the gateway of [`Site::start_with_records`] has printed.
    pub(crate) fn console_log(&self) -> PathBuf {
        self.folder.join(format!("{CONSOLE}.log"))
    }

    fn answering(&self, mut proxy: Proxy) -> Result<Proxy, Failure> {
        let kind = proxy.kind;
        proxy.running.wait_for(proxy.address).map_err(|failure| format!("{}: {failure}", kind.title()))?;
        eprintln!("{} listens on {} (process {})", kind.title(), proxy.address, proxy.running.pids()[0]);
        Ok(proxy)
    }

    fn provider(&self) -> Result<Proxy, Failure> {
        let this = std::env::current_exe()?;
        let mut running = Running::start(this, ["role", "provider"], self.folder.join("provider.log"))?;
        let port: u16 = running.first_line()?.trim().parse()?;
        Ok(Proxy {
            kind: Kind::Direct,
            address: ([127, 0, 0, 1], port).into(),
            key: PROVIDER_KEY.into(),
            running,
            _behind: None,
        })
    }

    fn bare(&self, kind: Kind, role: &str, provider: SocketAddr) -> Result<Proxy, Failure> {
        let address = free_address()?;
        let arguments = ["role", role, &address.to_string(), &provider.to_string()];
        let log = self.folder.join(format!("{role}.log"));
        let running = Running::start(std::env::current_exe()?, arguments, log)?;
        Ok(Proxy { kind, address, key: PROVIDER_KEY.into(), running, _behind: None })
    }

    fn nginx(&self, provider: SocketAddr) -> Result<Proxy, Failure> {
        let address = free_address()?;
        let folder = self.folder.join("nginx");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("nginx.conf"), others::nginx_conf(&folder, address, provider))?;
        let (prefix, log) = (folder.display().to_string(), folder.join("error.log").display().to_string());
        let arguments = ["-p", &prefix, "-c", "nginx.conf", "-e", &log];
        let running = Running::start("nginx", arguments, self.folder.join("nginx.log"))?;
        Ok(Proxy { kind: Kind::Nginx, address, key: PROVIDER_KEY.into(), running, _behind: None })
    }

    /// The binary that `TOLLGATE_ENVOY` names, or the one on the PATH.
    fn envoy(&self, provider: SocketAddr) -> Result<Proxy, Failure> {
        let address = free_address()?;
        let config = self.folder.join("envoy.yaml");
        fs::write(&config, others::envoy_yaml(address, provider))?;
        let program = std::env::var_os("TOLLGATE_ENVOY").unwrap_or_else(|| "envoy".into());
        let arguments = others::envoy_arguments(&config);
        let running = Running::start(program, arguments, self.folder.join("envoy.log"))?;
        Ok(Proxy { kind: Kind::Envoy, address, key: PROVIDER_KEY.into(), running, _behind: None })
    }

    /// Another Tollgate stands in front of the provider, and speaks TLS.
    fn secured(&self, kind: Kind, provider: SocketAddr, http_version: &str) -> Result<Proxy, Failure> {
        let certificate =
            format!("[server.tls]\ncertificate = {:?}\nkey = {:?}\n", tls("certificate.pem"), tls("key.pem"));
        let folder = format!("behind-{}", kind.name());
        let behind = self.answering(self.tollgate(Kind::Tollgate, &Setup::new(&folder, provider, &certificate))?)?;
        let base_url = format!("https://localhost:{}/v1", behind.address.port());
        let version = format!("http_version = \"{http_version}\"\n");
        let trusts = [("SSL_CERT_FILE", tls("authority.pem"))];
        let setup = Setup { name: kind.name(), base_url, api_key: &behind.key, more: &version, environment: &trusts };
        let proxy = self.tollgate(kind, &setup)?;
        Ok(Proxy { _behind: Some(Box::new(behind)), ..proxy })
    }

    fn tollgate(&self, kind: Kind, setup: &Setup<'_>) -> Result<Proxy, Failure> {
        self.tollgate_with(kind, setup, |_| Ok(()))
    }

    /// Everything is on: the key has a quota, so that every request is priced, held and settled. `fill` is given the
    /// store's path before the start.
    fn tollgate_with(
        &self,
        kind: Kind,
        setup: &Setup<'_>,
        fill: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<Proxy, Failure> {
        let (address, metrics) = (free_address()?, free_address()?);
        let name = setup.name;
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let config = self.config(name);
        fs::write(&config, tollgate_toml(address, metrics, setup))?;
        let program = self.program(kind)?;
        let created =
            self.json(program, name, &["key", "create", "side-by-side", "--quota-usd", "1000000", "--json"])?;
        let key = created["key"].as_str().ok_or("`key create` showed no key")?.to_owned();
        fill(&folder.join("data/tollgate.db"))?;
        let arguments = ["serve", "-c", &config.display().to_string()];
        let running =
            Running::start_with(setup.environment, program, arguments, self.folder.join(format!("{name}.log")))?;
        Ok(Proxy { kind, address, key, running, _behind: None })
    }

    /// Which build it is.
    fn program(&self, kind: Kind) -> Result<&Path, Failure> {
        match kind {
            Kind::Earlier => self.earlier.as_deref().ok_or_else(|| "which one? --earlier PATH".into()),
            _ => Ok(&self.tollgate),
        }
    }

    fn config(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("tollgate.toml")
    }

    /// Runs a command of Tollgate's that prints one JSON object.
    fn json(&self, program: &Path, name: &str, arguments: &[&str]) -> Result<Value, Failure> {
        let output = Command::new(program).args(arguments).arg("-c").arg(self.config(name)).output()?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(format!("tollgate {}: {}", arguments.join(" "), said()).into());
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|_| format!("tollgate {}: {}", arguments.join(" "), said()).into())
    }

    /// Proves that all of it was billed: one record for each answer, with the usage that the provider reported.
    pub(crate) fn audit(&self, billed: &Billed) -> Result<String, Failure> {
        let sum = self.json(&self.tollgate, Kind::Tollgate.name(), &["usage", "--by", "key", "--json"])?;
        let wanted = [
            ("requests", billed.requests),
            ("input_tokens", billed.input_tokens),
            ("output_tokens", billed.output_tokens),
            ("estimated", 0),
            ("price_missing", 0),
        ];
        for (name, wanted) in wanted {
            if sum[name].as_u64() != Some(wanted) {
                return Err(format!("the ledger has {name} = {}, expected {wanted}", sum[name]).into());
            }
        }
        let verified = Command::new(&self.tollgate)
            .args(["ledger", "verify", "-c"])
            .arg(self.config(Kind::Tollgate.name()))
            .output()?;
        if !verified.status.success() {
            return Err(format!("ledger verify: {}", String::from_utf8_lossy(&verified.stdout)).into());
        }
        let cost = sum["cost_nanos"].as_i64().unwrap_or_default() as f64 / 1e9;
        Ok(format!("{} records, {cost:.6} USD, one for each answer; `ledger verify` agrees", billed.requests))
    }
}

/// What the ledger must have at the end.
#[derive(Default)]
pub(crate) struct Billed {
    requests: u64,
    input_tokens: u64,
    output_tokens: u64,
}

impl Billed {
    pub(crate) fn add(&mut self, case: Case, answers: u64) {
        let (input, output) = wire::usage(case);
        self.requests += answers;
        self.input_tokens += answers * input;
        self.output_tokens += answers * output;
    }
}

impl Proxy {
    /// Whether it asks for usage chunks that its client has not asked for.
    pub(crate) fn splices(&self) -> bool {
        matches!(
            self.kind,
            Kind::Tollgate | Kind::Earlier | Kind::Durable | Kind::Watched | Kind::Secured | Kind::SecuredHttp2
        )
    }

    /// Puts one round of load on it.
    pub(crate) fn load(&self, case: Case, connections: usize, duration: Duration) -> Result<load::Outcome, Failure> {
        self.load_at(None, case, connections, duration)
    }

    /// The same at so many requests a second.
    pub(crate) fn load_at(
        &self,
        rate: Option<u32>,
        case: Case,
        connections: usize,
        duration: Duration,
    ) -> Result<load::Outcome, Failure> {
        let (request, expected) = match self.kind {
            Kind::Translated => {
                let request = wire::translated_request(case, &self.key);
                let expected = load::learn(self.address, &request)?;
                (request, expected)
            }
            _ => (wire::request(case, &self.key), wire::expected(case, self.splices())),
        };
        let warm_up = Duration::from_millis(300);
        let load = Load {
            address: self.address,
            request: &request,
            expected: &expected,
            connections,
            warm_up,
            duration,
            rate,
        };
        load::run(load).map_err(|failure| format!("{}, {case:?}: {failure}", self.kind.title()).into())
    }
}

/// Everything that looks at a request and that a key with a price can do without.
fn watching(collector: SocketAddr) -> String {
    format!(
        "[plugins.rate-limit]\nrules = [{{ per = \"key\", limit = \"requests\", max = 1000000000 }}, \
         {{ per = \"key\", limit = \"tokens\", max = 1000000000000 }}, \
         {{ per = \"key\", limit = \"concurrency\", max = 100000 }}]\n\
         [plugins.access-log]\noutput = \"file\"\npath = \"access.log\"\n\
         [plugins.otlp]\nendpoint = \"http://{collector}\"\n"
    )
}

/// A file of the tests' own authority, which vouches for `localhost`.
fn tls(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls").join(name)
}

fn tollgate_toml(listen: SocketAddr, metrics: SocketAddr, setup: &Setup<'_>) -> String {
    let Setup { base_url, api_key, more, .. } = setup;
    let prices = Path::new(env!("CARGO_MANIFEST_DIR")).join("pricing.toml");
    format!(
        "[server]\nlisten = [\"{listen}\"]\nmetrics_listen = \"{metrics}\"\nthreads = {THREADS}\nshutdown_ms = 2000\n\
         [pricing]\nfile = \"{}\"\n\
         [[upstream]]\nname = \"standin\"\nprovider = \"openai\"\napi_key = \"{api_key}\"\n\
         base_url = \"{base_url}\"\nmodels = [\"gpt-4o\"]\n{more}",
        prices.display()
    )
}
