//! What every connection is set to: how it waits, how durable its commits are, and that it gives way to requests.

use super::rollup;
use crate::ledger::Durability;
use crate::store::{Result, StoreErrorKind};
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// How long a locked database is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The write-ahead log is cut back to this after a long reader has kept it from being emptied.
const LOG_BYTES_MAX: i64 = 64 << 20;

/// The write-ahead log goes into the database when it has this many pages (32 MiB): a page that changes often, as the last
/// of each index does, is then written there once, not over and over.
const LOG_PAGES_TO_CHECKPOINT: i64 = 8192;

/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 64;

/// Steps of SQLite's machine (some 50 ns each) after which others may go first.
const STEPS_BETWEEN_YIELDS: i32 = 100;

/// Pause between attempts where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Lets threads go first that have something to do for a request: whoever computes for long is otherwise interrupted only by
/// the kernel's tick, milliseconds later.
fn give_way() -> bool {
    std::thread::yield_now();
    false
}

/// How durable a connection's commits are.
pub(super) fn synchronize(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    // NORMAL never damages the file and survives kill -9; a commit that must survive a loss of power needs FULL.
    let synchronous = match durability {
        Durability::Process => "NORMAL",
        Durability::Power => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

/// What every connection needs.
pub(super) fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    synchronize(connection, durability)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_TO_CHECKPOINT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.progress_handler(STEPS_BETWEEN_YIELDS, Some(give_way))?;
    rollup::install(connection)
}

/// Tries until the database is not locked, for as long as is reasonable: where SQLite does not wait by itself.
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match attempt() {
            Err(error) if error.kind == StoreErrorKind::Busy && Instant::now() < until => {
                std::thread::sleep(BUSY_PAUSE)
            }
            done => return done,
        }
    }
}
