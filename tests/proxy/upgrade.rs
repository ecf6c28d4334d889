//! SIGQUIT: another process takes over, or does not. Streams under way, amounts held, and everything that listens.

use crate::calls::{COST, TOKENS, Wire, assert_record, number, plain_chat, serving, serving_keys, stepped};
use crate::support::client::{Answer as Got, Client, Ended, Exchange, Request};
use crate::support::gateway::{Gateway, Key, Process, Setup};
use crate::support::provider::Provider;
use crate::support::script::Steps;
use crate::support::{PATIENCE, h2c, tls, until};
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) const GOES_ON: &str = "no other process takes over, this one goes on";

/// Waits for words in the log.
pub(super) async fn said(gateway: &Gateway, words: &str) {
    until(words, || gateway.logged().contains(words).then_some(())).await;
}

/// Streams that stop after the first token until the test lets them all go on; each answers one request.
pub(super) struct Stopping {
    provider: Provider,
    steps: Vec<Steps>,
}

impl Stopping {
    pub(super) async fn start() -> Self {
        let (answers, steps): (Vec<_>, _) = (0..8).map(|_| stepped(Wire::Chat.stream(&TOKENS))).unzip();
        Self { provider: Provider::sequence(answers).await, steps }
    }

    pub(super) fn setup(&self) -> Setup {
        Setup::new([Wire::Chat.upstream("u", &self.provider)])
    }

    /// The next request gets its first token.
    pub(super) fn begin_next(&self) {
        self.steps[self.provider.received().len()].go(Wire::Chat.pieces_to_first_token());
    }

    pub(super) fn go_on(&self) {
        self.steps.iter().for_each(Steps::go_on);
    }
}

/// A stream that has begun and goes no further.
pub(super) async fn begun(gateway: &Gateway, key: &Key, streams: &Stopping) -> Exchange {
    begun_with(gateway, &Wire::Chat.request(true).key(&key.key), streams).await
}

/// The same with a request of one's own.
pub(super) async fn begun_with(gateway: &Gateway, request: &Request, streams: &Stopping) -> Exchange {
    streams.begin_next();
    let mut stream = gateway.open(request).await;
    stream.piece().await.expect("the first token");
    stream
}

pub(super) async fn assert_whole(stream: Exchange) -> Got {
    let (answer, _) = stream.rest().await;
    assert_eq!((answer.ended, answer.body()), (Ended::Whole, Wire::Chat.pieces(&TOKENS).concat()));
    answer
}

/// A request whose body is not all sent yet.
struct Upload {
    client: Client,
    rest: Vec<u8>,
}

impl Upload {
    async fn begin(gateway: &Gateway, key: &Key) -> Self {
        let request = Wire::Chat.request(true).key(&key.key).wire();
        // In the middle of its body.
        let (first, rest) = request.split_at(request.len() - 20);
        let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
        client.write(first).await.expect("an open connection");
        // Its head has been read when the request is one of those that run.
        Self { client, rest: rest.to_vec() }
    }

    async fn end(mut self) -> Client {
        self.client.write(&self.rest).await.expect("an open connection");
        self.client
    }
}

async fn wait_metric(gateway: &Gateway, name: &str, is_wanted: impl Fn(f64) -> bool) {
    let started = Instant::now();
    loop {
        let value = gateway.metric(name, &[]).await;
        if is_wanted(value) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{name} stays {value}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) async fn ended(mut old: Process) {
    until("the old process to end", || old.ended()).await;
}

/// Nano-USD as the command line takes them.
fn usd(nanos: i64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

#[tokio::test]
async fn what_the_old_process_holds_counts_in_the_new_one_and_comes_back() {
    let streams = Stopping::start().await;
    let (mut gateway, [key]) = serving_keys(&streams.setup(), [("k", &["--quota-usd", "1"])]).await;
    let running = begun(&gateway, &key, &streams).await;
    let held = until("the hold", || Some(number(&gateway.key_row("k"), "held_nanos")).filter(|held| *held > 0)).await;
    assert!(held > COST, "the test needs a hold that is more than the cost: {held}");
    // Two begin over there, of which one is still sent, and two here.
    let (late, refused) = (Upload::begin(&gateway, &key).await, Upload::begin(&gateway, &key).await);
    wait_metric(&gateway, "tollgate_requests_in_flight", |running| running >= 3.0).await;
    gateway.run_json(&["key", "set", "k", "--quota-usd", &usd(3 * held), "--json"]);
    let old = gateway.upgrade().await;
    assert_eq!(gateway.key_row("k")["held_nanos"], held);
    assert_eq!(gateway.metric("tollgate_holds_inherited", &[]).await, 1.0);
    let here = begun(&gateway, &key, &streams).await;
    streams.begin_next();
    let late = late.end().await.answered().await;
    assert_eq!(late.answer.status, 200, "granted by the process that has the balances");
    let over = refused.end().await.receive().await;
    assert_eq!((over.status, &*over.error_code()), (402, "QUOTA_INSUFFICIENT"));
    let over = gateway.send(&Wire::Chat.request(true).key(&key.key)).await;
    assert_eq!((over.status, &*over.error_code()), (402, "QUOTA_INSUFFICIENT"));
    gateway.verify();
    streams.go_on();
    for stream in [running, here, late] {
        assert_whole(stream).await;
    }
    ended(old).await;
    // What the old one's streams cost, and not what they held.
    wait_metric(&gateway, "tollgate_holds_inherited", |holds| holds == 0.0).await;
    gateway.run_json(&["key", "set", "k", "--quota-usd", &usd(3 * COST + held), "--json"]);
    let answer = until_admitted(&gateway, &key).await;
    assert_eq!(answer.ended, Ended::Whole);
    assert_eq!(gateway.wait_records(4).await.len(), 4);
    assert_eq!(gateway.key_row("k")["spent_nanos"], 4 * COST);
    gateway.finish(&[&key]).await;
}

/// The versions of an installation that is a link to one of them.
struct Versions<'g>(&'g Gateway);

impl Versions<'_> {
    fn at(&self, version: &str) -> PathBuf {
        self.0.path(version).join("tollgate")
    }

    fn file(&self, version: &str) -> PathBuf {
        self.at(version).canonicalize().expect("it was installed")
    }

    fn install(&self, version: &str) {
        std::fs::create_dir(self.0.path(version)).expect("a writable folder");
        // By another process: what this one has open to write, while another test starts something, cannot be started.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_tollgate")).arg(self.at(version)).status();
        assert!(copied.expect("cp runs").success());
    }

    fn link(&self, version: &str) {
        let next = self.0.path("next");
        symlink(self.0.path(version), &next).expect("a writable folder");
        std::fs::rename(next, self.0.path("current")).expect("a writable folder");
    }

    fn runs(&self, process: u32, version: &str) {
        let executable = std::fs::read_link(format!("/proc/{process}/exe")).expect("a process of ours");
        assert_eq!(executable, self.file(version));
    }
}

#[tokio::test]
async fn an_upgrade_starts_what_the_path_names_by_then() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let mut gateway = Gateway::prepare(&Setup::new([Wire::Chat.upstream("u", &provider)]));
    let versions = Versions(&gateway);
    versions.install("v1");
    versions.install("v2");
    versions.link("v1");
    gateway.program = gateway.path("current/tollgate");
    gateway.serve().await;
    Versions(&gateway).runs(gateway.pid(), "v1");
    for version in ["v2", "v1"] {
        Versions(&gateway).link(version);
        let before = gateway.logged().len();
        let old = gateway.upgrade().await;
        Versions(&gateway).runs(gateway.pid(), version);
        let said = gateway.logged()[before..].to_owned();
        let file = Versions(&gateway).file(version);
        assert!(said.contains(&format!("process {} ({}) is to take over", gateway.pid(), file.display())), "{said}");
        assert!(said.contains(concat!("this is version ", env!("CARGO_PKG_VERSION"))), "{said}");
        ended(old).await;
    }
    gateway.finish(&[]).await;
}

/// One more request, as soon as the new quota is in force.
async fn until_admitted(gateway: &Gateway, key: &Key) -> Got {
    let started = Instant::now();
    loop {
        let answer = gateway.send(&Wire::Chat.request(true).key(&key.key)).await;
        if answer.status == 200 {
            return answer;
        }
        assert_eq!(answer.status, 402, "{}", answer.text());
        assert!(started.elapsed() < PATIENCE, "the new quota never admits one");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn streams_of_an_old_process_that_is_killed_are_billed_by_the_new_one() {
    let streams = Stopping::start().await;
    let (mut gateway, [key]) = serving_keys(&streams.setup(), [("k", &["--quota-usd", "1"])]).await;
    let first = begun(&gateway, &key, &streams).await;
    let held = until("the hold", || Some(number(&gateway.key_row("k"), "held_nanos")).filter(|held| *held > 0)).await;
    let running = [first, begun(&gateway, &key, &streams).await];
    // The new process begins with it: once anything is spent, it is too little for one more.
    gateway.run_json(&["key", "set", "k", "--quota-usd", &usd(held), "--json"]);
    let old = gateway.upgrade().await;
    assert_eq!(gateway.metric("tollgate_holds_inherited", &[]).await, 2.0);
    old.signal("KILL");
    ended(old).await;
    for stream in running {
        assert_ne!(stream.rest().await.0.ended, Ended::Whole);
    }
    let records = gateway.wait_records(2).await;
    for record in &records {
        assert_record(record, json!({"outcome": "interrupted", "usage_source": "estimated"}));
    }
    wait_metric(&gateway, "tollgate_holds_inherited", |holds| holds == 0.0).await;
    let spent: i64 = records.iter().map(|record| number(record, "cost_nanos")).sum();
    let row = gateway.key_row("k");
    assert_eq!((number(&row, "spent_nanos"), number(&row, "held_nanos")), (spent, 0));
    gateway.verify();
    // Nothing of it is held in memory either: a quota of what was spent and one more hold admits one more.
    streams.go_on();
    assert_eq!(gateway.send(&Wire::Chat.request(true).key(&key.key)).await.status, 402);
    gateway.run_json(&["key", "set", "k", "--quota-usd", &usd(spent + held), "--json"]);
    until_admitted(&gateway, &key).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_new_process_that_cannot_start_changes_nothing() {
    let streams = Stopping::start().await;
    let (gateway, key) = serving(&streams.setup()).await;
    let running = begun(&gateway, &key, &streams).await;
    let config = gateway.read("tollgate.toml");
    let pid = gateway.pid();
    for (what, config) in [
        ("expected", config.replace("[server]", "[server]\nthread = 2")),
        ("ledger.journal_dir is not what", config.replace("data/journal", "data/another")),
        ("store.url is not what", config.replace("data/tollgate.db", "data/another.db")),
    ] {
        let before = gateway.logged().len();
        gateway.write("tollgate.toml", &config);
        gateway.signal("QUIT");
        until(GOES_ON, || gateway.logged()[before..].contains(GOES_ON).then_some(())).await;
        assert!(gateway.logged()[before..].contains(what), "{what}: {}", gateway.logged());
    }
    for made in ["data/another", "data/another.db"] {
        assert!(!gateway.path(made).exists(), "{made}");
    }
    gateway.write("tollgate.toml", &config);
    streams.go_on();
    assert_whole(running).await;
    assert_eq!(gateway.send(&Wire::Chat.request(true).key(&key.key)).await.status, 200);
    assert_eq!((gateway.pid(), gateway.wait_records(2).await.len()), (pid, 2));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn everything_that_listens_is_handed_over() {
    let streams = Stopping::start().await;
    let second = crate::support::gateway::free_address();
    let path = |name: &str| format!("{:?}", tls::file(name).to_string_lossy());
    let setup = streams
        .setup()
        .set("server.tls.certificate", &path("certificate.pem"))
        .set("server.tls.key", &path("key.pem"))
        .set("server.shutdown_ms", "600000");
    let mut gateway = Gateway::prepare(&setup);
    let both = format!("[\"{}\", \"{second}\"]", gateway.address);
    let listen = gateway.address;
    gateway.write("tollgate.toml", &setup.clone().set("server.listen", &both).config(listen, gateway.metrics_address));
    let key = gateway.key("tester", &[]).await;
    gateway.serve_tls().await;
    streams.begin_next();
    let (stream, _) = tls::connect(second, &["h2"]).await;
    let mut running = h2c::Connection::over(stream).await.open(&Wire::Chat.request(true).key(&key.key)).await;
    running.piece().await.expect("the first token");
    let old = gateway.upgrade().await;
    // The old one still runs: what is accepted is accepted by the new one, for it alone has no exchange running.
    assert_eq!(gateway.metric("tollgate_requests_in_flight", &[]).await, 0.0);
    streams.go_on();
    for address in [gateway.address, second] {
        for protocol in ["h2", "http/1.1"] {
            let (stream, chosen) = tls::connect(address, &[protocol]).await;
            assert_eq!(chosen, protocol);
            let request = Wire::Chat.request(true).key(&key.key);
            let answer = match protocol {
                "h2" => h2c::Connection::over(stream).await.open(&request).await.rest().await,
                _ => Client::over(stream).send(&request).await,
            };
            assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{protocol}");
        }
    }
    let answer = running.rest().await;
    assert_eq!((answer.ended, answer.body()), (Ended::Whole, Wire::Chat.pieces(&TOKENS).concat()));
    ended(old).await;
    assert_eq!(gateway.metric("tollgate_requests_total", &["ok"]).await, 4.0, "the old one's metrics ended with it");
    gateway.wait_records(5).await;
    gateway.finish(&[&key]).await;
}

/// A gateway whose binary is then replaced by a program that becomes the built one when there is a file named `go`.
async fn serving_a_copy(setup: &Setup) -> (Gateway, Key) {
    let mut gateway = Gateway::prepare(setup);
    let installed = gateway.path("installed");
    let built = std::mem::replace(&mut gateway.program, installed);
    std::fs::copy(&built, &gateway.program).expect("room for a copy");
    let key = gateway.key("tester", &[]).await;
    gateway.serve().await;
    let script = format!("#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.05; done\nexec {built:?} \"$@\"\n");
    gateway.write("installed", &script);
    std::fs::set_permissions(&gateway.program, PermissionsExt::from_mode(0o755)).expect("our file");
    (gateway, key)
}

#[tokio::test]
async fn the_binary_may_have_been_replaced_and_a_second_signal_meanwhile_is_ignored() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving_a_copy(&streams.setup()).await;
    let new = gateway.begin_upgrade().await;
    gateway.signal("QUIT");
    said(&gateway, "SIGQUIT: ignored").await;
    gateway.write("go", "");
    said(&gateway, &format!("process {new} has taken over")).await;
    let old = gateway.follow(new).expect("the old process");
    streams.go_on();
    assert_eq!(gateway.send(&Wire::Chat.request(true).key(&key.key)).await.status, 200);
    ended(old).await;
    assert_eq!(gateway.logged().matches("is to take over").count(), 1);
    gateway.wait_records(1).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_process_that_is_told_to_end_sends_the_new_one_away() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving_a_copy(&streams.setup()).await;
    let running = begun(&gateway, &key, &streams).await;
    let mut new = Process::Successor(gateway.begin_upgrade().await);
    gateway.signal("TERM");
    until("the new process to end", || new.ended()).await;
    streams.go_on();
    assert_whole(running).await;
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.said());
    // The commands below are the built binary's again.
    gateway.write("go", "");
    gateway.wait_records(1).await;
    gateway.finish(&[&key]).await;
}

fn heard_at(socket: &std::os::unix::net::UnixDatagram) -> Option<String> {
    let mut text = [0; 100];
    let bytes = socket.recv(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text[..bytes]).into_owned())
}

#[tokio::test]
async fn systemd_is_told_which_process_to_look_after() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let told = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    told.set_nonblocking(true).expect("a socket");
    let next = async || until("what systemd is told", || heard_at(&told)).await;
    let streams = Stopping::start().await;
    let setup = streams.setup().environment("NOTIFY_SOCKET", path.to_str().expect("UTF-8"));
    let (mut gateway, key) = serving(&setup).await;
    assert_eq!(next().await, "READY=1");
    ended(gateway.upgrade().await).await;
    let mut said = [next().await, next().await];
    said.sort();
    assert_eq!(said, [format!("MAINPID={}", gateway.pid()), "READY=1".to_owned()]);
    gateway.finish(&[&key]).await;
}

/// The signals that a process does something of its own about, as a mask: the first signal is its lowest bit.
fn caught(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_process_says_that_it_serves_when_no_signal_can_kill_it_by_mistake() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let told = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    let streams = Stopping::start().await;
    let setup = streams.setup().environment("NOTIFY_SOCKET", path.to_str().expect("UTF-8"));
    let (mut gateway, key) = serving(&setup).await;
    assert_eq!(heard_at(&told).as_deref(), Some("READY=1"));
    // Nothing more can be said to systemd, so whoever says something waits.
    let full = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    full.set_nonblocking(true).expect("a socket");
    while full.send_to(b"x", &path).is_ok() {}
    let new = gateway.begin_upgrade().await;
    let (hangup, interrupt, quit, terminate) = (1 << 0, 1 << 1, 1 << 2, 1 << 14);
    let wanted = hangup | interrupt | quit | terminate;
    until("all signals to be heard", || (caught(new) & wanted == wanted).then_some(())).await;
    told.set_nonblocking(true).expect("a socket");
    let mut heard = Vec::new();
    until("both to be heard", || {
        heard.extend(std::iter::from_fn(|| heard_at(&told)));
        ["READY=1", &format!("MAINPID={new}")].iter().all(|word| heard.iter().any(|text| text == word)).then_some(())
    })
    .await;
    said(&gateway, "has taken over").await;
    let old = gateway.follow(new).expect("the old process");
    assert_eq!(gateway.send(&Request::get("/v1/health")).await.status, 200);
    ended(old).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn when_the_new_process_cannot_open_the_balances_are_taken_back() {
    let streams = Stopping::start().await;
    let (gateway, key) = serving(&streams.setup()).await;
    let running = begun(&gateway, &key, &streams).await;
    // A journal that nobody can read: a folder stands where its segment should be.
    let journal = gateway.path("data/journal/00000000-0000-7000-8000-000000000001");
    std::fs::create_dir_all(journal.join("0000000000000001.seg")).expect("a writable folder");
    // Some of these come while nobody admits, and wait.
    streams.go_on();
    let (stop, during) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asking = async {
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(gateway.send(&plain_chat(true).key(&key.key)).await.status, 200);
            during.fetch_add(1, Ordering::Relaxed);
        }
    };
    let failing = async {
        gateway.signal("QUIT");
        said(&gateway, GOES_ON).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(asking, failing);
    assert_whole(running).await;
    assert_eq!(gateway.send(&plain_chat(true).key(&key.key)).await.status, 200);
    std::fs::remove_dir_all(journal).expect("our folder");
    for record in gateway.wait_records(during.into_inner() + 2).await {
        assert_record(&record, json!({"outcome": "ok", "cost_nanos": COST}));
    }
    gateway.finish(&[&key]).await;
}
