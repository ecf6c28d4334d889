//! An upgrade without a broken stream: on SIGQUIT the process starts its own executable anew, which may be another one by
//! then, and hands over to it.
//!
//! ```text
//! old                                   new
//! starts it, sends the sockets  ──────►  prepares all that can fail: configuration, prices, certificate, store
//!                               ◄ ready
//! stops accepting and admitting,
//! the store has all it holds,
//! gives the balances up          go ──►  takes the balances, with what the old one still holds
//!                               ◄ opened
//!                             begin ──►  accepts and admits
//! finishes what runs            ask ──►  books what still comes in over old connections
//! ```
//!
//! Up to `begin` the old one can go on as if nothing had happened, and does so when the new one ends, says nothing in time, or
//! is killed. From `go` on the new one goes on alone if the old one is killed. Which of them has the balances is never a matter
//! of messages: it is who has the lock on the journals' folder ([`crate::ledger`]).

mod asker;
mod channel;
mod container;
mod executable;
mod predecessor;
mod successor;

pub(super) use predecessor::Predecessor;
pub(super) use successor::Succession;

use crate::config::Config;
use crate::ledger::{Ask, Granting};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Tells a process that its standard input is a channel to the one before it.
const VARIABLE: &str = "TOLLGATE_SUCCESSOR";

/// True: this process was started to take over from another one.
pub fn is_to_take_over() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Of this process.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Of the messages here. Another one is refused, so that they can change.
const PROTOCOL: u32 = 1;

/// The first message, with which the sockets come.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    protocol: u32,
    /// In the order of the sockets.
    listeners: Vec<SocketAddr>,
    place: Place,
    /// Of the old process; empty: one that did not say it.
    #[serde(default)]
    version: String,
}

/// Where the money is: what is handed over is only there.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    store: PathBuf,
    journal_dir: PathBuf,
}

impl Place {
    fn of(config: &Config) -> Self {
        // One that cannot be resolved is another one, or there is nothing.
        let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self { store: resolved(config.store.url.file()), journal_dir: resolved(&config.ledger.journal_dir) }
    }
}

/// What the old process says after that.
#[derive(Debug, Serialize, Deserialize)]
enum FromOld {
    Go,
    Begin,
    Ask(Ask),
}

/// What the new one says.
#[derive(Debug, Serialize, Deserialize)]
enum FromNew {
    Ready,
    Opened,
    /// It ends, for this reason.
    Failed(String),
    Answer(Granting),
}
