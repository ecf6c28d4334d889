//! The built gateway as a process of its own, in a folder of its own.

use super::client::{self, Request};
use super::{PATIENCE, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// An upstream of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    name: String,
    provider: String,
    base_url: String,
    models: String,
    more: String,
}

impl Upstream {
    /// `provider` is a row of `providers.toml`; it serves the model `m` under that name.
    pub(crate) fn new(name: &str, provider: &str, base_url: impl Into<String>) -> Self {
        let (name, provider, base_url) = (name.to_owned(), provider.to_owned(), base_url.into());
        Self { name, provider, base_url, models: r#"["m"]"#.to_owned(), more: String::new() }
    }

    /// The list of models, as it stands in the configuration.
    pub(crate) fn models(mut self, models: &str) -> Self {
        self.models = models.to_owned();
        self
    }

    /// Further lines of its table.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.more += line;
        self.more += "\n";
        self
    }
}

/// The key that upstreams get, unless the test says otherwise: it must show up nowhere.
pub(crate) const PROVIDER_KEY: &str = "provider-secret-0123456789";

/// What a gateway is started with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    upstreams: Vec<Upstream>,
    /// By table and key.
    settings: BTreeMap<String, BTreeMap<String, String>>,
    prices: Option<String>,
    environment: Vec<(String, String)>,
}

impl Setup {
    pub(crate) fn new(upstreams: impl IntoIterator<Item = Upstream>) -> Self {
        Self { upstreams: upstreams.into_iter().collect(), ..Self::default() }
            .set("server.threads", "2")
            .set("server.shutdown_ms", "10000")
            .set("store.url", r#""sqlite:data/tollgate.db""#)
            .set("ledger.journal_dir", r#""data/journal""#)
            .set("pricing.file", r#""pricing.toml""#)
    }

    /// A setting as it stands in the file: `routing.attempts_max`, `2`.
    pub(crate) fn set(mut self, path: &str, value: &str) -> Self {
        let (table, key) = path.rsplit_once('.').expect("a table and a key");
        self.settings.entry(table.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// Takes a setting out of the file.
    pub(crate) fn unset(mut self, path: &str) -> Self {
        let (table, key) = path.rsplit_once('.').expect("a table and a key");
        self.settings.entry(table.to_owned()).or_default().remove(key);
        self
    }

    /// One more upstream.
    pub(crate) fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstreams.push(upstream);
        self
    }

    /// The price book; without it `m` costs 1 USD per million tokens in, 2 out.
    pub(crate) fn prices(mut self, text: &str) -> Self {
        self.prices = Some(text.to_owned());
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The configuration file.
    pub(crate) fn config(&self, listen: SocketAddr, metrics: SocketAddr) -> String {
        let mut settings = self.settings.clone();
        let server = settings.entry("server".to_owned()).or_default();
        server.entry("listen".to_owned()).or_insert_with(|| format!("[\"{listen}\"]"));
        server.entry("metrics_listen".to_owned()).or_insert_with(|| format!("\"{metrics}\""));
        let mut out = String::new();
        for (table, keys) in &settings {
            out += &format!("[{table}]\n");
            out.extend(keys.iter().map(|(key, value)| format!("{key} = {value}\n")));
        }
        for upstream in &self.upstreams {
            let Upstream { name, provider, base_url, models, more } = upstream;
            let key = if more.contains("api_key") { String::new() } else { format!("api_key = \"{PROVIDER_KEY}\"\n") };
            out += &format!(
                "[[upstream]]\nname = \"{name}\"\nprovider = \"{provider}\"\nbase_url = \"{base_url}\"\nmodels = {models}\n{key}{more}"
            );
        }
        out
    }
}

/// The default prices.
pub(crate) const PRICES: &str =
    "[[model]]\nname = \"m\"\ncontext_tokens = 100000\nmax_output_tokens = 1000\ninput = 1\noutput = 2\n";

/// A virtual key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// The credential itself.
    pub(crate) key: String,
}

/// A gateway: its folder, and its process while it runs.
pub(crate) struct Gateway {
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) metrics_address: SocketAddr,
    environment: Vec<(String, String)>,
    /// The built binary, or what a test has put in its place.
    pub(crate) program: PathBuf,
    /// A shell command line that goes before `exec tollgate …`.
    pub(crate) first: Option<&'static str>,
    process: Option<Process>,
}

/// A process that serves.
pub(crate) enum Process {
    /// The one that was started here.
    Ours(Child),
    /// One that was started by the one before it.
    Successor(u32),
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        match self {
            Self::Ours(child) => child.id(),
            Self::Successor(id) => *id,
        }
    }

    /// How it ended, if it has; of a successor only that.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Ours(child) => child.try_wait().expect("a child"),
            Self::Successor(id) => {
                let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
                // Behind the name: the state. Nobody may be there to bury it.
                let runs = stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'));
                (!runs).then(ExitStatus::default)
            }
        }
    }

    /// Sends a signal, without waiting.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal("KILL");
            if let Self::Ours(child) = self {
                let _ = child.wait();
            }
        }
    }
}

/// A port that is free now, below those that the system gives to outgoing connections: nobody takes it by chance.
pub(crate) fn free_address() -> SocketAddr {
    const PORTS: std::ops::Range<u16> = 10_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() % u32::from(PORTS.end - PORTS.start);
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = (start * 37 + step) % u32::from(PORTS.end - PORTS.start);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS.start + u16::try_from(offset).unwrap_or(0)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Gateway {
    /// Writes the configuration, starts nothing yet: keys that are made now are there from the first request on.
    pub(crate) fn prepare(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (address, metrics_address) = (free_address(), free_address());
        let gateway = Self {
            folder,
            address,
            metrics_address,
            environment: setup.environment.clone(),
            program: env!("CARGO_BIN_EXE_tollgate").into(),
            first: None,
            process: None,
        };
        gateway.write("pricing.toml", setup.prices.as_deref().unwrap_or(PRICES));
        gateway.write("tollgate.toml", &setup.config(address, metrics_address));
        gateway
    }

    /// Writes the configuration, starts the process, and waits until it answers.
    pub(crate) async fn start(setup: &Setup) -> Self {
        let mut gateway = Self::prepare(setup);
        gateway.serve().await;
        gateway
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in its folder, all at once.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let next = self.path(&format!("{name}.next"));
        std::fs::write(&next, text).expect("a writable folder");
        std::fs::rename(next, self.path(name)).expect("a writable folder");
    }

    /// Reads a file in its folder.
    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("-c").arg(self.path("tollgate.toml")).current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("the built binary runs")
    }

    /// The same, with this on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        self.write("input", input);
        let input = File::open(self.path("input")).expect("it was just written");
        let output = self.command(arguments).stdin(input).output().expect("the built binary runs");
        std::fs::remove_file(self.path("input")).expect("it was just written");
        output
    }

    /// The same; it must succeed, and print one JSON object a line.
    pub(crate) fn run_json(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tollgate {arguments:?}: {said}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Panics
    /// If it does not, with what it said.
    pub(crate) async fn serve(&mut self) {
        self.spawn();
        let started = Instant::now();
        loop {
            self.assert_running(started);
            if let Ok(client) = client::Client::connect(self.address).await
                && client.send(&Request::get("/v1/health")).await.status == 200
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The same, for one whose clients speak TLS: waits until it listens.
    pub(crate) async fn serve_tls(&mut self) {
        self.spawn();
        let started = Instant::now();
        while client::Client::connect(self.address).await.is_err() {
            self.assert_running(started);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn spawn(&mut self) {
        let log =
            |name: &str| File::options().create(true).append(true).open(self.path(name)).expect("a writable folder");
        let mut command = self.command(&["serve"]);
        if let Some(first) = self.first {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("{first}; exec \"$0\" \"$@\"")).arg(command.get_program());
            shell.args(command.get_args()).current_dir(self.folder.path());
            shell.envs(self.environment.iter().map(|(name, value)| (name, value)));
            command = shell;
        }
        command.stdin(Stdio::null()).stdout(log("stdout.log")).stderr(log("stderr.log"));
        self.process = Some(Process::Ours(command.spawn().expect("the built binary starts")));
    }

    fn assert_running(&mut self, started: Instant) {
        if let Some(status) = self.process.as_mut().and_then(Process::ended) {
            panic!("tollgate serve ended: {status}\n{}", self.said());
        }
        assert!(started.elapsed() < PATIENCE, "tollgate serve does not answer\n{}", self.said());
    }

    /// Everything that the process has printed.
    pub(crate) fn said(&self) -> String {
        self.read("stdout.log") + &self.read("stderr.log")
    }

    /// What its processes have logged, one after the other.
    pub(crate) fn logged(&self) -> String {
        self.read("stderr.log")
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running gateway").id()
    }

    /// Sends a signal, without waiting.
    pub(crate) fn signal(&self, name: &str) {
        self.process.as_ref().expect("a running gateway").signal(name);
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("a running gateway");
        until("the gateway to end", || process.ended()).await
    }

    /// SIGQUIT, and waits until another process has taken over. The one before may still finish what runs.
    pub(crate) async fn upgrade(&mut self) -> Process {
        let before = self.logged().len();
        let id = self.begin_upgrade().await;
        until("another process to take over", || self.logged()[before..].contains(" has taken over").then_some(()))
            .await;
        self.follow(id).expect("a running gateway")
    }

    /// SIGQUIT, and waits until there is another process, which may then take over: its id.
    pub(crate) async fn begin_upgrade(&self) -> u32 {
        let before = self.logged().len();
        self.signal("QUIT");
        until("another process", || {
            let said = self.logged();
            let (_, id) = said[before..].split_once("SIGQUIT: process ")?;
            id.split_once(' ')?.0.parse().ok()
        })
        .await
    }

    /// Leaves the process to its end: it is not the one that serves any more.
    pub(crate) fn release(&mut self) -> Option<Process> {
        self.process.take()
    }

    /// From now on this is the process that serves. Returns the one that was.
    pub(crate) fn follow(&mut self, id: u32) -> Option<Process> {
        self.process.replace(Process::Successor(id))
    }

    /// SIGTERM, and waits until it has ended.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// SIGKILL: it has no chance to do anything.
    pub(crate) async fn kill(&mut self) {
        self.signal("KILL");
        self.ended().await;
    }

    /// Makes a key, with these further arguments; beside a running server it waits until the key is known there.
    pub(crate) async fn key(&self, name: &str, arguments: &[&str]) -> Key {
        let rows = self.run_json(&[&["key", "create", name, "--json"], arguments].concat());
        let row = rows.first().expect("one object");
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let key = Key { id: row["id"].as_i64().expect("a number"), name: text("name"), key: text("key") };
        assert!(key.key.starts_with("sk-tg-"), "{row}");
        let started = Instant::now();
        while self.process.is_some() {
            let answer = client::send(self.address, &Request::get("/v1/models").key(&key.key)).await;
            if answer.status != 401 || answer.error_code() != "AUTH_INVALID_TOKEN" {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "the running server does not learn of the new key");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        key
    }

    /// The row of a key in `key list`.
    pub(crate) fn key_row(&self, name: &str) -> Value {
        let mut rows = self.run_json(&["key", "list", "--json"]).into_iter();
        rows.find(|row| row["name"] == name).unwrap_or_else(|| panic!("no key {name}"))
    }

    /// Every record of the ledger.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.run_json(&["log", "list", "--json", "--limit", "1000000"])
    }

    /// Waits until the ledger has that many records.
    ///
    /// # Panics
    /// If it has more, or does not get there.
    pub(crate) async fn wait_records(&self, count: usize) -> Vec<Value> {
        let records = until("the ledger's records", || Some(self.records()).filter(|all| all.len() >= count)).await;
        assert_eq!(records.len(), count, "{records:#?}");
        records
    }

    /// Waits for the only record of the ledger.
    pub(crate) async fn wait_record(&self) -> Value {
        self.wait_records(1).await.remove(0)
    }

    /// The record of one answer, found by its `x-request-id`.
    pub(crate) async fn record_of(&self, answer: &client::Answer) -> Value {
        let id = answer.field("x-request-id").expect("x-request-id on every answer").to_owned();
        until("the answer's record", || self.records().into_iter().find(|record| record["request_id"] == *id)).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, request: &Request) -> client::Answer {
        client::send(self.address, request).await
    }

    /// Sends a request and reads the head of the answer.
    pub(crate) async fn open(&self, request: &Request) -> client::Exchange {
        client::Client::connect(self.address).await.expect("the gateway listens").open(request).await
    }

    /// Ends the process as an operator does, and checks what must hold after everything: a clean end, records and
    /// balances that agree, nothing held, and no secret in anything that was printed.
    pub(crate) async fn finish(mut self, keys: &[&Key]) {
        if self.process.is_some() {
            let status = self.stop().await;
            assert!(status.success(), "tollgate serve ended with {status}\n{}", self.said());
        }
        self.verify();
        for row in self.run_json(&["key", "list", "--json"]) {
            assert_eq!(row["held_nanos"], 0, "{row}");
        }
        let said = self.said();
        for secret in keys.iter().map(|key| key.key.as_str()).chain([PROVIDER_KEY]) {
            assert!(!said.contains(&secret[..16]), "a secret was printed");
        }
    }

    /// `ledger verify` must find nothing.
    pub(crate) fn verify(&self) {
        let output = self.run(&["ledger", "verify"]);
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "ledger verify: {}", String::from_utf8_lossy(&said));
    }

    /// The metrics page.
    pub(crate) async fn metrics(&self) -> String {
        let answer = client::send(self.metrics_address, &Request::get("/metrics").field("connection", "close")).await;
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// Waits until the configuration has been read again so often, since the start, and was good.
    pub(crate) async fn reloaded(&self, times: u32) {
        let started = Instant::now();
        while self.metric("tollgate_reloads_total", &["ok"]).await < f64::from(times) {
            assert!(started.elapsed() < PATIENCE, "no reload\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The sum of a metric's samples whose labels contain all of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.metrics().await;
        let samples = page.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or("x");
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        });
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.process.take());
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            eprintln!("--- the gateway said ---\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}
