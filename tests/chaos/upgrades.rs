//! Upgrades under load: no stream breaks, no request is refused, every record is right; and what is written is right, too,
//! when one of the two processes is killed in the middle of it.

use crate::clients::Seen;
use crate::join::{join, quiet};
use crate::kill::Life;
use crate::plan::{PRICES, Plan};
use crate::provider::Provider;
use crate::support::client::{Client, Request};
use crate::support::gateway::{Gateway, Key, Process, Setup};
use crate::support::{PATIENCE, until};
use crate::wire::Wire;
use crate::{clients, number_from};
use rand::RngExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Streams at a time, of about 70 ms each: 500 a second.
const LANES: usize = 40;
const TOKENS: u64 = 40;
const PAUSE_US: u64 = 7_000;
/// Load before the first upgrade, and after each.
const BETWEEN: Duration = Duration::from_millis(1_500);

/// A load of streams that goes on until it is stopped.
struct Streams {
    lanes: JoinSet<Vec<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Streams {
    fn start(address: SocketAddr, key: &Key) -> Self {
        let (next, stop) = (Arc::new(AtomicU64::new(100_000)), Arc::new(AtomicBool::new(false)));
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            let (next, stop, credential) = (Arc::clone(&next), Arc::clone(&stop), key.key.clone());
            lanes.spawn(async move {
                let (mut seen, mut kept) = (Vec::new(), None);
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let plan = Plan { stream: true, pause_us: PAUSE_US, ..Plan::chat(number, TOKENS) };
                    seen.push(clients::send(address, plan, &credential, &mut kept).await);
                }
                seen
            });
        }
        Self { lanes, stop }
    }

    async fn seen(mut self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Vec::new();
        while let Some(done) = self.lanes.join_next().await {
            seen.extend(done.expect("no client panics"));
        }
        seen
    }
}

fn assert_unbroken(seen: &[Seen], gateway: &Gateway) {
    let broken: Vec<_> = seen.iter().filter(|seen| !seen.whole || seen.status != 200).collect();
    assert!(broken.is_empty(), "{} of {}: {:?}\n{}", broken.len(), seen.len(), broken[0], gateway.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_break_no_stream() {
    let _alone = crate::alone().await;
    let provider = Provider::start(true).await;
    let setup = Setup::new(Wire::upstreams("u", provider.address, "")).prices(PRICES);
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("k", &["--quota-usd", "1000"]).await;
    gateway.serve().await;
    let streams = Streams::start(gateway.address, &key);
    tokio::time::sleep(BETWEEN).await;
    let upgrades = number_from("TOLLGATE_CHAOS_RUNS").unwrap_or(2);
    for _ in 0..upgrades {
        let mut old = gateway.upgrade().await;
        tokio::time::sleep(BETWEEN).await;
        until("the old process to end", || old.ended()).await;
    }
    let seen = streams.seen().await;
    quiet(&gateway).await;
    assert_unbroken(&seen, &gateway);
    join(&gateway, &seen, &[&provider]).assert_clean("upgrades");
    eprintln!("{} streams, {upgrades} upgrades", seen.len());
    gateway.finish(&[&key]).await;
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Old,
    New,
}

/// Upgrades of one folder's gateway that are cut short.
const CUT_PER_FOLDER: u64 = 8;
/// From the start of the new process to the kill: the hand-over itself is over long before, what runs is not.
const KILL_WITHIN_MS: u64 = 900;

/// An upgrade in which one of the two is killed, and what an operator's supervisor does then.
async fn cut_short(life: &mut Life) -> (Victim, &'static str) {
    let gateway = &mut life.gateway;
    let victim = if life.draw.random_bool(0.5) { Victim::Old } else { Victim::New };
    let before = gateway.logged().len();
    let mut new = Process::Successor(gateway.begin_upgrade().await);
    // Half of them while the new process starts and takes over.
    let within_ms = if life.draw.random_bool(0.5) { KILL_WITHIN_MS } else { KILL_WITHIN_MS / 3 };
    tokio::time::sleep(Duration::from_millis(life.draw.random_range(0..within_ms))).await;
    let ended = match victim {
        Victim::Old => {
            gateway.kill().await;
            serves_or_ends(gateway, &mut new).await
        }
        Victim::New => {
            new.signal("KILL");
            until("the new process to end", || new.ended()).await;
            let said = |gateway: &Gateway, words: &str| gateway.logged()[before..].contains(words);
            let outcome = until("the old process to notice", || {
                let outcomes = [("this one goes on", "not yet"), (" has taken over", "taken over")];
                outcomes.into_iter().find(|(words, _)| said(gateway, words)).map(|(_, outcome)| outcome)
            });
            if outcome.await == "not yet" {
                return (victim, "the old one goes on");
            }
            // The old one still finishes what runs, when its listeners are closed: the third one goes on from there.
            life.draining.extend(gateway.release());
            let started = Instant::now();
            while Client::connect(gateway.address).await.is_ok() {
                assert!(started.elapsed() < PATIENCE, "{}", gateway.said());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            true
        }
    };
    if ended {
        gateway.serve().await;
        return (victim, "a third one starts");
    }
    gateway.follow(new.id());
    std::mem::forget(new);
    (victim, "the new one goes on")
}

/// Waits until the new process serves. True: it has ended instead.
async fn serves_or_ends(gateway: &Gateway, new: &mut Process) -> bool {
    let started = Instant::now();
    while new.ended().is_none() {
        assert!(started.elapsed() < PATIENCE, "{}", gateway.said());
        if let Ok(client) = Client::connect(gateway.address).await {
            // The connection waits until it is accepted, or is cut off with who was to accept it.
            if client.send(&Request::get("/v1/health")).await.status == 200 {
                return false;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_may_be_cut_short_by_kill_9_on_either_side() {
    let _alone = crate::alone().await;
    let seed = crate::seed();
    println!("TOLLGATE_CHAOS_SEED={seed}");
    let mut life = Life::begin(seed).await;
    for run in 0..number_from("TOLLGATE_CHAOS_RUNS").unwrap_or(CUT_PER_FOLDER) {
        let load = life.loaded().await;
        let outcome = cut_short(&mut life).await;
        println!("run {run}: {outcome:?}");
        life.end(load).await;
        for mut old in std::mem::take(&mut life.draining) {
            until("what drains to end", || old.ended()).await;
        }
        let tally = life.compare().await;
        println!("{}", tally.figures());
        tally.assert_clean(&format!("TOLLGATE_CHAOS_SEED={seed} run {run}"));
    }
    life.finish().await.assert_clean(&format!("TOLLGATE_CHAOS_SEED={seed}"));
}
