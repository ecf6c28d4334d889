//! What must hold when things go wrong all at once: a gateway that is killed in the middle of its work, a thousand
//! requests for the last amount on a key, a day's worth of broken connections in a few seconds, an upstream that breaks at
//! any byte, a store or a disk that is out of reach, prices and clocks that change while streams run.
//!
//! Nothing is asserted about time. What is random is drawn from a seed that is printed with every failure:
//! `TOLLGATE_CHAOS_SEED=N` draws the same again, `TOLLGATE_CHAOS_RUNS=200` kills the gateway so many times (5 without it).

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod clock;
mod cuts;
mod join;
mod kill;
mod leaks;
mod limits;
mod parallel;
mod plan;
mod prices;
mod provider;
mod reloads;
mod soak;
mod stalls;
mod store_faults;
mod streams;
mod tally;
mod upgrades;
mod wire;

use tokio::sync::{Mutex, MutexGuard};

/// One test at a time: each of them needs the machine.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

/// A number from the environment.
fn number_from(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// Where everything random comes from.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    number_from("TOLLGATE_CHAOS_SEED").unwrap_or(now.as_secs() % 1_000_000_000)
}
