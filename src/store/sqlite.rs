//! The store in one SQLite file. WAL: readers never wait for the writer, and several processes may use the file.

mod apply;
mod audit;
mod called;
mod claims;
mod codes;
mod connection;
mod given;
mod keys;
mod limits;
mod page;
mod people;
mod person;
mod read;
mod rollup;
mod row;
mod schema;
mod session;
mod sums;
#[cfg(test)]
mod tests;

use super::{
    Applied, Audit, BalanceRow, Batch, ClosedHold, EachChainedRow, KeyListing, KeyRef, KeyRow, LedgerFilter, Limits,
    Missing, Moment, OpenHold, Overview, OverviewRange, People, RecordCursor, RecordPage, Result, Store, StoreError,
    StoreErrorKind, StoredClaim, UsageBy, UsageSum, Writer,
};
use crate::keyring::Touched;
use crate::ledger::{Durability, LedgerRecord};
use crate::owner;
use connection::{configure, patiently, synchronize};
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use schema::{MIGRATIONS, check, migrate};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Connections kept for the next use. A store has few users: the applier, the poll for changed keys, an operator.
const IDLE_MAX: usize = 4;

/// Who may read and write a new file, as far as the process's mask lets them: as SQLite has it.
const FILE_MODE: u32 = 0o644;

/// See the module.
pub struct SqliteStore {
    path: PathBuf,
    /// Device and inode of the file that was opened.
    identity: (u64, u64),
    durability: Durability,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteStore {
    /// Opens the file, or makes it and its folder, and brings its tables up to date.
    ///
    /// # Errors
    /// The file cannot be used, is none of ours, is damaged, or was made by a newer Tollgate.
    pub fn open(path: &Path, durability: Durability) -> Result<Self> {
        let store = Self::open_as_it_is(path, durability, Missing::IsMade)?;
        store.bring_up_to_date()?;
        Ok(store)
    }

    /// Opens the file, or makes an empty one and its folder.
    ///
    /// # Errors
    /// The file cannot be used, is none of ours, is damaged, or was made by a newer Tollgate.
    pub fn open_as_it_is(path: &Path, durability: Durability, missing: Missing) -> Result<Self> {
        if path.as_os_str().is_empty() || path.to_string_lossy().contains(":memory:") {
            return Err(StoreError::new(StoreErrorKind::Invalid, "store URL: sqlite:PATH needs the path of a file"));
        }
        let of_path = |error: StoreError| of_path(path, error);
        let unavailable =
            |error: std::io::Error| of_path(StoreError::new(StoreErrorKind::Unavailable, error.to_string()));
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if missing == Missing::IsMade {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder).map_err(unavailable)?;
            }
            // The files beside it get its owner from SQLite.
            owner::make(path, FILE_MODE);
        }
        // Absolute, so that it is the same file whatever becomes of the working directory.
        let path = &std::path::absolute(path).map_err(unavailable)?;
        let first = Connection::open_with_flags(path, flags).map_err(StoreError::from).map_err(of_path)?;
        configure(&first, durability).map_err(StoreError::from).map_err(of_path)?;
        patiently(|| check(&first)).map_err(of_path)?;
        let identity = identity(path).map_err(unavailable)?;
        Ok(Self { path: path.clone(), identity, durability, idle: Mutex::new(vec![first]) })
    }

    /// Runs `run` on a connection of its own. One that failed is not used again.
    fn with_connection<T>(&self, run: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().pop();
        let mut connection = idle.map_or_else(|| self.connect(), Ok)?;
        let done = run(&mut connection)?;
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(done)
    }

    fn connect(&self) -> Result<Connection> {
        // Without CREATE: a file that has vanished must not be taken for a new one.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        configure(&connection, self.durability)?;
        Ok(connection)
    }

    /// Reads.
    fn read<T>(&self, run: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        self.with_connection(run)
    }

    /// Runs `run` as one transaction that writes: all of it happens, or nothing.
    fn write<T>(&self, run: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.write_for(self.durability, run)
    }

    /// The same, as durable as this; what is more durable takes along what was written before.
    fn write_for<T>(&self, durability: Durability, run: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.check_identity()?;
        self.with_connection(|connection| {
            if durability != self.durability {
                synchronize(connection, durability)?;
            }
            // Takes the write lock at once: a transaction that begins by reading could not wait for it later.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = run(&transaction)?;
            transaction.commit()?;
            // (A connection that failed is not used again.)
            if durability != self.durability {
                synchronize(connection, self.durability)?;
            }
            Ok(done)
        })
    }

    fn durability_of(&self, batch: &Batch) -> Durability {
        if batch.may_be_lost { Durability::Process } else { self.durability }
    }

    /// A file that was removed or replaced can still be written through an open connection, and all of it would be
    /// lost.
    fn check_identity(&self) -> Result<()> {
        let missing =
            |what: String| Err(StoreError::new(StoreErrorKind::Missing, format!("{}: {what}", self.path.display())));
        match identity(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => missing("the database was replaced while it was open; restart to use the new one".into()),
            Err(error) => missing(format!("the database is gone: {error}")),
        }
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn of_path(path: &Path, error: StoreError) -> StoreError {
    StoreError { message: format!("{}: {}", path.display(), error.message), ..error }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Damaged,
            Some(_) => StoreErrorKind::Unavailable,
            // A value of another type than the table's.
            None => StoreErrorKind::Damaged,
        };
        Self::new(kind, format!("database: {error}"))
    }
}

impl Store for SqliteStore {
    fn people(&self) -> &dyn People {
        self
    }

    fn limits(&self) -> &dyn Limits {
        self
    }

    fn is_up_to_date(&self) -> Result<bool> {
        let pending = |connection: &mut Connection| Ok(MIGRATIONS.pending_migrations(connection));
        self.read(pending).map(|pending| pending.is_ok_and(|pending| pending == 0))
    }

    fn bring_up_to_date(&self) -> Result<()> {
        let migrated = self.with_connection(|connection| patiently(|| migrate(connection)));
        migrated.map_err(|error| of_path(&self.path, error))?;
        patiently(|| self.write(apply::catch_up)).map_err(|error| of_path(&self.path, error))
    }

    fn catch_up(&self) -> Result<()> {
        // Asked first: whoever reads keeps nobody from writing.
        if self.read(|connection| apply::is_behind(connection))? {
            self.write(apply::catch_up)?;
        }
        Ok(())
    }

    fn key_find(&self, which: &KeyRef) -> Result<Option<KeyListing>> {
        self.read(|connection| keys::find(connection, which))
    }

    fn key_list(&self, each: &mut dyn FnMut(KeyListing)) -> Result<()> {
        self.read(|connection| keys::list(connection, each))
    }

    fn keys_changed_since(&self, version: i64, each: &mut dyn FnMut(KeyRow)) -> Result<i64> {
        self.check_identity()?;
        self.read(|connection| keys::changed_since(connection, version, each))
    }

    fn write_accessed(&self, touched: &[Touched]) -> Result<()> {
        self.write(|transaction| keys::write_accessed(transaction, touched))
    }

    fn apply(&self, batch: &Batch) -> Result<Applied> {
        self.write_for(self.durability_of(batch), |transaction| apply::apply(transaction, batch))
    }

    fn writer_open(&self, writer: &Writer) -> Result<()> {
        self.write(|transaction| apply::writer_open(transaction, writer))
    }

    fn writer_close(&self, id: Uuid) -> Result<()> {
        self.write(|transaction| apply::writer_close(transaction, id))
    }

    fn writers(&self) -> Result<Vec<Writer>> {
        self.read(|connection| apply::writers(connection))
    }

    fn open_holds(&self, writer_id: Uuid, limit: usize) -> Result<Vec<OpenHold>> {
        self.read(|connection| apply::open_holds(connection, writer_id, limit))
    }

    fn balances_since(&self, since: Moment, each: &mut dyn FnMut(BalanceRow)) -> Result<Moment> {
        self.read(|connection| {
            // One transaction: a hold that is settled meanwhile is either open or spent.
            let transaction = connection.transaction()?;
            let key_version =
                keys::changed_since(&transaction, since.key_version, &mut |row| each(BalanceRow::Key(row)))?;
            let sequence = apply::head_sequence(&transaction)?;
            // From the beginning on, every key has told what it has spent.
            if since.key_version > 0 {
                keys::spent_since(&transaction, since.sequence, &mut |id, nanos| each(BalanceRow::Spent(id, nanos)))?;
            }
            let mut each_user = |user, nanos| each(BalanceRow::UserSpent(user, nanos));
            let behind = (since.key_version > 0).then_some(since.sequence);
            keys::users_spent_since(&transaction, behind, &mut each_user)?;
            apply::every_open_hold(&transaction, &mut |writer_id, hold| each(BalanceRow::Open(writer_id, hold)))?;
            Ok(Moment { key_version, sequence })
        })
    }

    fn closed_holds(&self, writers: &[Uuid], request_ids: &[Uuid]) -> Result<Vec<ClosedHold>> {
        self.read(|connection| apply::closed_holds(connection, writers, request_ids))
    }

    fn claims_since(&self, since_ms: i64, limit: usize) -> Result<Vec<StoredClaim>> {
        self.read(|connection| claims::since(connection, since_ms, limit))
    }

    fn ledger_rows(&self, filter: &LedgerFilter, each: &mut dyn FnMut(LedgerRecord)) -> Result<()> {
        self.read(|connection| read::rows(connection, filter, each))
    }

    fn ledger_find(&self, request_id: Uuid) -> Result<Option<LedgerRecord>> {
        self.read(|connection| read::find(connection, request_id))
    }

    fn usage_sums(&self, by: UsageBy, filter: &LedgerFilter) -> Result<Vec<UsageSum>> {
        self.read(|connection| sums::usage_sums(connection, by, filter))
    }

    fn ledger_page(&self, filter: &LedgerFilter, after: Option<RecordCursor>) -> Result<RecordPage> {
        self.read(|connection| page::page(connection, filter, after))
    }

    fn overview(&self, range: OverviewRange, user: Option<&str>, now_ms: i64) -> Result<Overview> {
        self.read(|connection| sums::overview(connection, range, user, now_ms))
    }

    fn admin_names(&self) -> Result<Vec<String>> {
        self.read(|connection| read::admin_names(connection))
    }

    fn trail(&self, request_id: Uuid) -> Result<Option<String>> {
        self.read(|connection| read::trail(connection, request_id))
    }

    fn audit(&self, each: &mut EachChainedRow<'_>) -> Result<Audit> {
        self.read(|connection| read::audit(connection, each))
    }
}
