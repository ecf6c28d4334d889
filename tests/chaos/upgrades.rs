//! Upgrades under load: no stream breaks, no request is refused, every record is right; and what is written is right, too,
//! when one of the two processes is killed in the middle of it.

use crate::clients::{Seen, Streams};
use crate::join::{join, quiet};
use crate::kill::Life;
use crate::number_from;
use crate::plan::PRICES;
use crate::provider::Provider;
use crate::support::client::{Client, Request};
use crate::support::gateway::{Gateway, Process, Setup};
use crate::support::{PATIENCE, until};
use crate::wire::Wire;
use rand::RngExt;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Load before the first upgrade, and after each.
const BETWEEN: Duration = Duration::from_millis(1_500);

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Old,
    New,
}

/// When it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// As soon as there is a new process, which cannot have prepared anything.
    AtOnce,
    /// Somewhere from there to a little after the hand-over.
    Within,
    /// When it has taken over, and the old one drains.
    After,
}

const MOMENTS: [Moment; 3] = [Moment::Within, Moment::AtOnce, Moment::After];

/// Upgrades of one folder's gateway that are cut short.
const CUT_PER_FOLDER: u64 = 9;
/// From the start of the new process, or from the hand-over, to the kill: what runs is not over before.
const KILL_WITHIN_MS: u64 = 300;

const TAKEN_OVER: &str = " has taken over";

/// An upgrade in which one of the two is killed, and what an operator's supervisor does then. Whether the new one had taken
/// over by then, and the outcome.
async fn cut_short(life: &mut Life, victim: Victim, moment: Moment) -> (bool, &'static str) {
    let gateway = &mut life.gateway;
    let before = gateway.logged().len();
    let said = |gateway: &Gateway, words: &str| gateway.logged()[before..].contains(words);
    let mut new = Process::Successor(gateway.begin_upgrade().await);
    if moment == Moment::After {
        until("the new process to take over", || said(gateway, TAKEN_OVER).then_some(())).await;
    }
    if moment != Moment::AtOnce {
        tokio::time::sleep(Duration::from_millis(life.draw.random_range(0..KILL_WITHIN_MS))).await;
    }
    let ended = match victim {
        Victim::Old => {
            gateway.kill().await;
            serves_or_ends(gateway, &mut new).await
        }
        Victim::New => {
            new.signal("KILL");
            until("the new process to end", || new.ended()).await;
            let outcome = until("the old process to notice", || {
                let outcomes = [("this one goes on", false), (TAKEN_OVER, true)];
                outcomes.into_iter().find(|(words, _)| said(gateway, words)).map(|(_, is_over)| is_over)
            });
            if !outcome.await {
                return (false, "the old one goes on");
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
    let had_taken_over = said(gateway, TAKEN_OVER);
    if ended {
        gateway.serve().await;
        return (had_taken_over, "a third one starts");
    }
    gateway.follow(new.id());
    std::mem::forget(new);
    (had_taken_over, "the new one goes on")
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
    let old_first = life.draw.random_bool(0.5);
    let mut seen = BTreeSet::new();
    for (run, moment) in (0..number_from("TOLLGATE_CHAOS_RUNS").unwrap_or(CUT_PER_FOLDER)).zip(MOMENTS.iter().cycle()) {
        // Each moment meets both, in turn; which is first is drawn.
        let is_even = (run / MOMENTS.len() as u64).is_multiple_of(2);
        let victim = if is_even == old_first { Victim::Old } else { Victim::New };
        let load = life.loaded().await;
        let (had_taken_over, outcome) = cut_short(&mut life, victim, *moment).await;
        println!("run {run}: {victim:?} {moment:?}: {outcome}");
        seen.insert((victim, had_taken_over));
        life.end(load).await;
        for mut old in std::mem::take(&mut life.draining) {
            until("what drains to end", || old.ended()).await;
        }
        let tally = life.compare().await;
        println!("{}", tally.figures());
        tally.assert_clean(&format!("TOLLGATE_CHAOS_SEED={seed} run {run}"));
    }
    // Killed before another one had taken over, and after; with fewer runs than it takes, nothing can be said.
    if number_from("TOLLGATE_CHAOS_RUNS").is_none_or(|runs| runs >= CUT_PER_FOLDER) {
        assert_eq!(seen.len(), 4, "TOLLGATE_CHAOS_SEED={seed}: {seen:?}");
    }
    life.finish().await.assert_clean(&format!("TOLLGATE_CHAOS_SEED={seed}"));
}
