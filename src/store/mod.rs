//! What is kept for good: keys, the ledger, balances. The only module that knows SQL; the rest of the gateway knows the
//! traits [`Store`] and [`People`]. Every method may wait for the disk, so none belongs on a request's path.

#[cfg(test)]
pub(crate) mod by_test;
mod foreign;
mod keys;
mod limits;
mod people;
mod reading;
mod sqlite;
mod tally;
mod url;
mod writing;

use crate::keyring::Touched;
use crate::ledger::{Durability, LedgerRecord};
use std::sync::Arc;
use uuid::Uuid;

pub use foreign::ForeignDatabase;
pub use keys::{KeyChange, KeyListing, KeyRef, KeyRow, NewKey};
pub use limits::{BudgetPeriod, Limits, PersonLimits};
pub use people::{
    Act, AuditRow, Budget, CodeRow, Images, NewPerson, Page, People, Period, Person, PersonChange, PersonListing, Role,
    SESSION_AGE_MS_MAX, SecretDigest, Session,
};
pub use reading::{
    LedgerFilter, OVERVIEW_TOP_MAX, Overview, OverviewRange, RecordCursor, RecordPage, UsageBy, UsageSum,
};
pub use sqlite::SqliteStore;
pub use tally::{Counts, Latencies, Tally};
pub use url::StoreUrl;
pub use writing::{
    Applied, Audit, BalanceRow, Batch, ChainedRow, ClosedHold, EachChainedRow, Moment, OpenHold, Position, Stands,
    StoredClaim, TakenClaim, Writer,
};

/// What kind of thing went wrong; decides what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No such key.
    NotFound,
    /// The name belongs to another key.
    NameTaken,
    /// What there is does not allow it: the last admin, a code that was redeemed.
    Conflict,
    /// A value or a URL that cannot be accepted.
    Invalid,
    /// Locked by somebody else for longer than we wait; trying again may help.
    Busy,
    /// Not a database of ours, or one that is damaged.
    Damaged,
    /// Made by a newer Tollgate.
    TooNew,
    /// The file is gone, or was replaced while it was open.
    Missing,
    /// The disk, the file system, permissions.
    Unavailable,
}

/// The store did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What kind of thing.
    pub kind: StoreErrorKind,
    /// What exactly, for people.
    pub message: String,
}

impl StoreError {
    pub(crate) fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}

/// What a store returns.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Everything that is kept for good. Several processes may use one store at the same time.
pub trait Store: Send + Sync {
    /// What changes with an audit row: keys too; and what the console keeps.
    fn people(&self) -> &dyn People;

    /// What limits people's spending.
    fn limits(&self) -> &dyn Limits;

    /// True: its tables are as this version has them. Nothing else than its writers can be read or written before they are.
    ///
    /// # Errors
    /// The store.
    fn is_up_to_date(&self) -> Result<bool>;

    /// Makes its tables, or brings them up to date.
    ///
    /// # Errors
    /// The store; then it is as it was.
    fn bring_up_to_date(&self) -> Result<()>;

    /// Brings a part of what is kept beside the ledger's rows up to date, where another version added rows without it. Cheap where
    /// nothing is left to do.
    ///
    /// # Errors
    /// The store.
    fn catch_up(&self) -> Result<()>;

    /// The key, unless it is deleted.
    ///
    /// # Errors
    /// The store.
    fn key_find(&self, which: &KeyRef) -> Result<Option<KeyListing>>;

    /// Every key that is not deleted, by id.
    ///
    /// # Errors
    /// The store.
    fn key_list(&self, each: &mut dyn FnMut(KeyListing)) -> Result<()>;

    /// Every row of the key table that changed after `version`, deleted ones too, and the version reached. Cheap when
    /// nothing changed.
    ///
    /// # Errors
    /// The store.
    fn keys_changed_since(&self, version: i64, each: &mut dyn FnMut(KeyRow)) -> Result<i64>;

    /// Notes when keys were last used.
    ///
    /// # Errors
    /// The store.
    fn write_accessed(&self, touched: &[Touched]) -> Result<()>;

    /// Writes one stretch of a journal. A row whose `request_id` is in the ledger already changes nothing, so a stretch
    /// may be written twice. One that stays takes those before it along.
    ///
    /// # Errors
    /// The store; then nothing of it is written.
    fn apply(&self, batch: &Batch) -> Result<Applied>;

    /// Registers a writer before its first record.
    ///
    /// # Errors
    /// The store.
    fn writer_open(&self, writer: &Writer) -> Result<()>;

    /// Forgets a writer whose journal is in the store as a whole.
    ///
    /// # Errors
    /// The store.
    fn writer_close(&self, id: Uuid) -> Result<()>;

    /// Writers that have not been forgotten; also of a store that an older version made, or that is not made yet.
    ///
    /// # Errors
    /// The store.
    fn writers(&self) -> Result<Vec<Writer>>;

    /// Holds of a writer that are open as far as its journal is in the store; not more than `limit`.
    ///
    /// # Errors
    /// The store.
    fn open_holds(&self, writer_id: Uuid, limit: usize) -> Result<Vec<OpenHold>>;

    /// What keys and balances are made of: what changed since a moment, and every open hold, all as of one moment, which
    /// is returned: what is spent and what is still open never overlap.
    ///
    /// # Errors
    /// The store.
    fn balances_since(&self, since: Moment, each: &mut dyn FnMut(BalanceRow)) -> Result<Moment>;

    /// Of these requests, whose holds were open once in the journals of these writers, those whose are no longer. It
    /// costs one pass over what is open, and one look-up for each that is not.
    ///
    /// # Errors
    /// The store.
    fn closed_holds(&self, writers: &[Uuid], request_ids: &[Uuid]) -> Result<Vec<ClosedHold>>;

    /// Idempotency keys of requests that arrived at this Unix time in milliseconds or later, the latest first; not more than
    /// `limit`.
    ///
    /// # Errors
    /// The store.
    fn claims_since(&self, since_ms: i64, limit: usize) -> Result<Vec<StoredClaim>>;

    /// Rows of the ledger, those that arrived last first.
    ///
    /// # Errors
    /// The store.
    fn ledger_rows(&self, filter: &LedgerFilter, each: &mut dyn FnMut(LedgerRecord)) -> Result<()>;

    /// A page of records, those that arrived last first: the first one, or the one behind a cursor. It
    /// takes a bounded time, however many rows there are and however few of them match.
    ///
    /// # Errors
    /// The store.
    fn ledger_page(&self, filter: &LedgerFilter, after: Option<RecordCursor>) -> Result<RecordPage>;

    /// The row of one request.
    ///
    /// # Errors
    /// The store.
    fn ledger_find(&self, request_id: Uuid) -> Result<Option<LedgerRecord>>;

    /// Sums over the rows that the filter lets through (its limit is not used), dearest group first; days in order.
    ///
    /// # Errors
    /// The store.
    fn usage_sums(&self, by: UsageBy, filter: &LedgerFilter) -> Result<Vec<UsageSum>>;

    /// What happened in the range that ends now, to everybody or to one user. Sums whose buckets are finer than those that are
    /// kept may begin earlier where there are too many rows to look at.
    ///
    /// # Errors
    /// The store.
    fn overview(&self, range: OverviewRange, user: Option<&str>, now_ms: i64) -> Result<Overview>;

    /// Names of the admins who may sign in.
    ///
    /// # Errors
    /// The store.
    fn admin_names(&self) -> Result<Vec<String>>;

    /// What routing decided for a request, as JSON; none: the first candidate was taken, and it was good.
    ///
    /// # Errors
    /// The store.
    fn trail(&self, request_id: Uuid) -> Result<Option<String>>;

    /// Walks the whole ledger in the order of its chain, for `ledger verify`.
    ///
    /// # Errors
    /// The store cannot be read at all; a row that cannot be read is told to `each`.
    fn audit(&self, each: &mut EachChainedRow<'_>) -> Result<Audit>;
}

/// Opens a store, makes it if it is not there, and brings it up to date.
///
/// # Errors
/// It cannot be opened; the message says why.
pub fn open(url: &StoreUrl, durability: Durability) -> Result<Arc<dyn Store>> {
    let store = open_as_it_is(url, durability, Missing::IsMade)?;
    store.bring_up_to_date()?;
    Ok(store)
}

/// What becomes of a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// An empty one is made.
    IsMade,
    /// That is an error.
    IsRefused,
}

/// The same, but that the tables stay as they are: for whoever is not yet sure to serve from it.
///
/// # Errors
/// As of [`open`].
pub fn open_as_it_is(url: &StoreUrl, durability: Durability, missing: Missing) -> Result<Arc<dyn Store>> {
    match url {
        StoreUrl::Sqlite(path) => Ok(Arc::new(SqliteStore::open_as_it_is(path, durability, missing)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_store_is_where_its_path_says_also_where_that_is_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(OsStr::from_bytes(b"of \xFF")).join("t.db");
        let url = StoreUrl::Sqlite(path.clone());
        assert!(open_as_it_is(&url, Durability::Process, Missing::IsRefused).is_err());
        open(&url, Durability::Process).unwrap();
        assert!(path.metadata().unwrap().len() > 0);
        assert!(open_as_it_is(&url, Durability::Process, Missing::IsRefused).unwrap().is_up_to_date().unwrap());
    }
}
