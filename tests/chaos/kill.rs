//! `kill -9` under load, again and again on the same folder: no answer without its record, none with two, and every bill
//! what it must be.

use crate::clients::{Load, Seen};
use crate::join::{arrived, join, quiet};
use crate::plan::{PRICES, Plan};
use crate::provider::Provider;
use crate::support::gateway::{Gateway, Key, Process, Setup};
use crate::tally::Tally;
use crate::wire::Wire;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Times that one folder's gateway is killed.
const KILLS_PER_FOLDER: u64 = 5;
/// Longest wait for a load to get going.
const LOAD_PATIENCE: Duration = Duration::from_secs(60);
/// Requests to a gateway that is left alive.
const LAST_REQUESTS: u64 = 100;

/// How fast the disk is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    AsItIs,
    /// Each write takes so many milliseconds longer.
    Slow(u64),
}

/// Makes each write of a process to its files take longer, where `strace` is there and may do so.
fn slow_down(pid: u32, ms: u64) -> Option<Child> {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e"]);
    command.arg(format!("inject=pwrite64:delay_enter={}", ms * 1000));
    command.args(["-p", &pid.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()
}

/// One folder's life.
pub(crate) struct Life {
    seed: u64,
    pub(crate) draw: StdRng,
    provider: Provider,
    pub(crate) gateway: Gateway,
    keys: Vec<Key>,
    seen: Vec<Seen>,
    next: u64,
    kills: u64,
    /// Processes that have handed over and finish what runs.
    pub(crate) draining: Vec<Process>,
}

impl Life {
    pub(crate) async fn begin(seed: u64) -> Self {
        let mut draw = StdRng::seed_from_u64(seed);
        let provider = Provider::start(true).await;
        let on_disconnect = if draw.random_bool(0.5) { "drain" } else { "abort" };
        let durability = if draw.random_bool(0.25) { "power" } else { "process" };
        let setup = Setup::new(Wire::upstreams("u", provider.address, ""))
            .prices(PRICES)
            .set("routing.on_client_disconnect", &format!("\"{on_disconnect}\""))
            .set("ledger.durability", &format!("\"{durability}\""));
        let mut gateway = Gateway::prepare(&setup);
        let mut keys = Vec::new();
        for (name, quota) in [("free", None), ("rich", Some("1000")), ("poor", Some("0.03"))] {
            let arguments: Vec<&str> = quota.into_iter().flat_map(|quota| ["--quota-usd", quota]).collect();
            keys.push(gateway.key(name, &arguments).await);
        }
        gateway.serve().await;
        Self { seed, draw, provider, gateway, keys, seen: Vec::new(), next: 0, kills: 0, draining: Vec::new() }
    }

    fn load(&self) -> Load {
        let (seed, keys) = (self.seed, self.keys.len());
        let credentials: Vec<_> = self.keys.iter().map(|key| key.key.clone()).collect();
        Load::start(self.gateway.address, &credentials, self.next, move |number| Plan::draw(seed, number, keys, false))
    }

    pub(crate) async fn end(&mut self, load: Load) {
        self.next += load.begun();
        let seen = load.seen().await;
        self.next = seen.iter().map(|seen| seen.plan.number + 1).max().unwrap_or_default().max(self.next);
        self.seen.extend(seen);
    }

    /// A load, once it has got going.
    pub(crate) async fn loaded(&mut self) -> Load {
        let load = self.load();
        let (requests, pause_ms) = (self.draw.random_range(300..=600), self.draw.random_range(0..150));
        let started = Instant::now();
        while load.begun() < requests && started.elapsed() < LOAD_PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        load
    }

    /// Load, death, recovery.
    async fn run(&mut self, disk: Disk) -> Tally {
        let slowed = match disk {
            Disk::AsItIs => None,
            Disk::Slow(ms) => slow_down(self.gateway.pid(), ms),
        };
        let load = self.loaded().await;
        self.gateway.kill().await;
        self.kills += 1;
        self.end(load).await;
        if let Some(mut slowed) = slowed {
            slowed.wait().expect("a child, which ends with what it traces");
        }
        while self.draw.random_bool(0.25) {
            self.die_at_start().await;
        }
        self.gateway.serve().await;
        self.compare().await
    }

    /// What was seen against what is written.
    pub(crate) async fn compare(&self) -> Tally {
        quiet(&self.gateway).await;
        self.gateway.verify();
        join(&self.gateway, &self.seen, &[&self.provider])
    }

    /// Starts the gateway and kills it at once: recovery itself is cut short.
    async fn die_at_start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("serve").arg("-c").arg(self.gateway.path("tollgate.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("the built binary starts");
        tokio::time::sleep(Duration::from_millis(self.draw.random_range(0..200))).await;
        process.kill().expect("a child");
        process.wait().expect("a child");
        self.kills += 1;
    }

    /// What came through all this is a gateway like any other, which ends as it should.
    pub(crate) async fn finish(mut self) -> Tally {
        let before = self.seen.len();
        let load = self.load();
        let started = Instant::now();
        while load.begun() < LAST_REQUESTS && started.elapsed() < LOAD_PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.end(load).await;
        quiet(&self.gateway).await;
        arrived(&self.gateway, &self.seen[before..]).await;
        let mut tally = join(&self.gateway, &self.seen, &[&self.provider]);
        for seen in &self.seen[before..] {
            let is_fine = seen.whole || seen.left || seen.refused.is_some() || seen.status == 400;
            tally.check(is_fine, || format!("nobody was killed: {seen:?}"));
        }
        let keys: Vec<&Key> = self.keys.iter().collect();
        if tally.is_clean() {
            self.gateway.finish(&keys).await;
        }
        tally
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_one_record_through_kill_9() {
    let _alone = crate::alone().await;
    let first_seed = crate::seed();
    let runs = crate::number_from("TOLLGATE_CHAOS_RUNS").unwrap_or(KILLS_PER_FOLDER);
    let (mut all, mut done, mut kills) = (Tally::default(), 0, 0);
    for seed in first_seed.. {
        let mut life = Life::begin(seed).await;
        let context = format!("TOLLGATE_CHAOS_SEED={seed} TOLLGATE_CHAOS_RUNS={KILLS_PER_FOLDER}");
        println!("{context}");
        for _ in 0..KILLS_PER_FOLDER.min(runs - done) {
            let tally = life.run(Disk::AsItIs).await;
            println!("run {done}: {}", tally.figures());
            tally.assert_clean(&context);
            done += 1;
        }
        kills += life.kills;
        let tally = life.finish().await;
        tally.assert_clean(&context);
        all += tally;
        if done == runs {
            break;
        }
    }
    println!("{done} runs, {kills} kills, {}", all.figures());
    assert!(all.whole > 50 * runs && all.interrupted_with_text > 2 * runs, "too little happened: {}", all.figures());
    assert!(all.bills_compared > 0, "no bill was put to the test: {}", all.figures());
}

/// The disk takes its time, and what a client gets waits for it: where nothing waited, a record would be missing here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_wait_for_a_slow_disk() {
    let _alone = crate::alone().await;
    let seed = crate::seed();
    println!("TOLLGATE_CHAOS_SEED={seed}");
    let mut life = Life::begin(seed).await;
    // The last is as slow as a disk may be before new requests are refused: streams wait for their checkpoints.
    for ms in [20, 20, 700] {
        let tally = life.run(Disk::Slow(ms)).await;
        println!("{}", tally.figures());
        tally.assert_clean(&format!("TOLLGATE_CHAOS_SEED={seed}"));
    }
    life.finish().await.assert_clean(&format!("TOLLGATE_CHAOS_SEED={seed}"));
}
