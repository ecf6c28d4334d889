//! What must hold when clients attack: ambiguous requests, fields that smuggle others in, bodies that are bombs, connections
//! that are held without use, frames that cost more than they send, and overload.
//!
//! Nothing is asserted about speed, but about what arrives upstream, order, counts, and memory within generous, named limits.
//! `TOLLGATE_ATTACKS_LONG=1` makes the floods ten times as long.

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod choices;
mod corpus;
mod corpus_heads;
mod flood;
mod frames;
mod injection;
mod others;
mod overload;
mod slow;
mod smuggling;
mod smuggling_http2;
mod stage;

use tokio::sync::{Mutex, MutexGuard};

/// One test at a time: their memory is measured, and each of them needs the machine.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

/// A count, ten times as high in the long form.
fn times(short: usize) -> usize {
    if std::env::var_os("TOLLGATE_ATTACKS_LONG").is_some() { short * 10 } else { short }
}
