//! What is kept for good: keys, the ledger, balances. The only module that knows SQL; the rest of the gateway knows the
//! traits [`Store`] and [`People`]. Every method may wait for the disk, so none belongs on a request's path.

mod foreign;
mod limits;
mod people;
mod reading;
mod sqlite;
mod tally;

use crate::keyring::Touched;
use crate::ledger::{ClaimTag, Durability, LedgerRecord, Opening, Progress};
use std::sync::Arc;
use tollgate_plugin_api::{CredentialDigest, Key};
use uuid::Uuid;

pub use foreign::ForeignDatabase;
pub use limits::{BudgetPeriod, Limits, PersonLimits};
pub use people::{
    Act, AuditRow, Budget, CodeRow, NewPerson, Page, People, Period, Person, PersonChange, PersonListing, Role,
    SecretDigest,
};
pub use reading::{
    LedgerFilter, OVERVIEW_TOP_MAX, Overview, OverviewRange, RecordCursor, RecordPage, UsageBy, UsageSum,
};
pub use sqlite::SqliteStore;
pub use tally::{Latencies, Tally};

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

// === keys ===

/// A key to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// Its name: 1 to 128 bytes without control characters, not a number, unique among the keys that are not deleted.
    pub name: String,
    /// The person or team it belongs to.
    pub user: Option<String>,
    /// The group whose upstreams it may use.
    pub group: String,
    /// Models it may use; empty: every model of its group.
    pub models: Vec<String>,
    /// Unix time in milliseconds from which it is refused; may be in the past.
    pub expires_at_ms: Option<i64>,
    /// What it may spend in nano-USD; `None`: unlimited.
    pub quota_nanos: Option<i64>,
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Requests at once.
    pub concurrency: Option<u64>,
}

/// A key's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// What it may do.
    pub key: Key,
    /// Digest of its credential; `None`: it is deleted.
    pub digest: Option<CredentialDigest>,
    /// Version of the key table in which it last changed.
    pub version: i64,
    /// Unix time in milliseconds.
    pub created_at_ms: i64,
    /// Sum of its costs as far as they are in the store, in nano-USD.
    pub spent_nanos: i64,
}

/// A key as listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyListing {
    /// What it may do.
    pub key: Key,
    /// Unix time in milliseconds.
    pub created_at_ms: i64,
    /// Sum of its costs, in nano-USD.
    pub spent_nanos: i64,
    /// What running requests hold, in nano-USD.
    pub held_nanos: i64,
    /// Unix time in milliseconds of its last use.
    pub accessed_at_ms: Option<i64>,
}

/// Which key: names are never numbers, so both can be typed in the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRef {
    /// By id.
    Id(i64),
    /// By name.
    Name(String),
}

impl KeyRef {
    /// A number is an id, anything else a name.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

/// Changes to a key. `None` leaves a field as it is; the inner `None` of an optional field clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// [`NewKey::name`].
    pub name: Option<String>,
    /// [`NewKey::user`].
    pub user: Option<Option<String>>,
    /// [`NewKey::group`].
    pub group: Option<String>,
    /// [`NewKey::models`].
    pub models: Option<Vec<String>>,
    /// False: refused.
    pub enabled: Option<bool>,
    /// [`NewKey::expires_at_ms`].
    pub expires_at_ms: Option<Option<i64>>,
    /// [`NewKey::quota_nanos`].
    pub quota_nanos: Option<Option<i64>>,
    /// [`NewKey::rpm`].
    pub rpm: Option<Option<u64>>,
    /// [`NewKey::tpm`].
    pub tpm: Option<Option<u64>>,
    /// [`NewKey::concurrency`].
    pub concurrency: Option<Option<u64>>,
}

// === what the ledger writes ===

/// A point in a writer's journal: everything before it is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the segment.
    pub segment: u64,
    /// Bytes into it.
    pub offset: u64,
    /// Number of the record that comes next.
    pub sequence: u64,
}

/// A gateway process that writes, or wrote, a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Made anew by every process.
    pub id: Uuid,
    /// Absolute path of the folder that holds its journal folder.
    pub journal_dir: String,
    /// How far its journal is in the store.
    pub position: Position,
}

/// A hold that is neither settled nor voided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHold {
    /// What was known at admission.
    pub opening: Opening,
    /// What is held, in nano-USD.
    pub held_nanos: i64,
    /// How far the request has got.
    pub progress: Option<Progress>,
}

/// What one stretch of a journal changes: written as one transaction, together with the position it ends at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Whose journal.
    pub writer_id: Uuid,
    /// Where the stretch ends.
    pub position: Position,
    /// Holds that are still open where the stretch ends.
    pub opened: Vec<OpenHold>,
    /// Progress of holds that were opened in an earlier stretch.
    pub progressed: Vec<(Uuid, Progress)>,
    /// Holds of an earlier stretch that were settled or voided in this one.
    pub closed: Vec<Uuid>,
    /// Rows for the ledger, in the order of the journal.
    pub settled: Vec<LedgerRecord>,
    /// Idempotency keys that were taken in this stretch, in the order of the journal.
    pub claims: Vec<TakenClaim>,
    /// What routing decided for requests, as JSON.
    pub trails: Vec<(Uuid, String)>,
}

/// An idempotency key that was taken for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenClaim {
    /// The key, and what was asked.
    pub tag: ClaimTag,
    /// For which request.
    pub request_id: Uuid,
    /// Unix time in milliseconds at which it arrived.
    pub started_at_ms: i64,
}

/// An idempotency key as the store has it: taken for a request, and what became of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredClaim {
    /// [`TakenClaim::tag`].
    pub tag: ClaimTag,
    /// [`TakenClaim::request_id`].
    pub request_id: Uuid,
    /// [`TakenClaim::started_at_ms`].
    pub started_at_ms: i64,
    /// What became of it.
    pub stands: Stands,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It runs.
    Open,
    /// Something was billed or delivered, as its record says.
    Served,
    /// It came to nothing, or was never sent.
    Nowhere,
}

/// A moment in the life of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Version of the key table; 0: before the first key.
    pub key_version: i64,
    /// Number of the ledger's last row.
    pub sequence: i64,
}

/// What [`Store::balances_since`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalanceRow {
    /// A key that changed, with what it has spent; one that is deleted, too.
    Key(KeyRow),
    /// What a key has spent that has further rows in the ledger: its id, and nano-USD.
    Spent(i64, i64),
    /// What a user's keys have spent together: the user's name, and nano-USD.
    UserSpent(Arc<str>, i64),
    /// An open hold, and whose journal it is in.
    Open(Uuid, OpenHold),
}

/// A hold that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedHold {
    /// Whose it was.
    pub request_id: Uuid,
    /// What its record says, in nano-USD; `None`: it was voided and left no record.
    pub cost_nanos: Option<i64>,
    /// Something was billed or delivered.
    pub served: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows added to the ledger and to the balances.
    pub rows: usize,
    /// Rows that were there already; they changed nothing.
    pub duplicates: usize,
}

// === what is verified ===

/// A row of the ledger with its place in the chain of hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedRow {
    /// Its number: 1 for the first, without gaps.
    pub sequence: i64,
    /// What it says.
    pub record: LedgerRecord,
    /// Hash of it and of all rows before it.
    pub hash: [u8; 32],
}

/// Everything in the store that must agree with the ledger's rows, as of the same moment.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Number of the last row.
    pub head_sequence: i64,
    /// Hash of the last row.
    pub head_hash: [u8; 32],
    /// What each key has spent: (id, nano-USD).
    pub balances: Vec<(i64, i64)>,
    /// What each user's keys have spent: (name, nano-USD); `None`: there are rows that are not summed up yet.
    pub user_balances: Option<Vec<(String, i64)>>,
    /// Every open hold with its writer, or why it cannot be read.
    pub open_holds: Vec<std::result::Result<(Uuid, OpenHold), String>>,
    /// Every writer that has not ended cleanly.
    pub writers: Vec<Writer>,
    /// What the database itself found wrong with its pages and indexes.
    pub integrity: Vec<String>,
    /// Sums that are kept beside the rows and do not agree with them.
    pub sums: Vec<String>,
}

/// Called with each row of an [`Audit`], or with why a row cannot be read.
pub type EachChainedRow<'a> = dyn FnMut(std::result::Result<ChainedRow, String>) + 'a;

/// Everything that is kept for good. Several processes may use one store at the same time.
pub trait Store: Send + Sync {
    /// What the console keeps here.
    fn people(&self) -> &dyn People;

    /// What limits people's spending.
    fn limits(&self) -> &dyn Limits;

    /// True: its tables are as this version has them. Nothing else can be read or written before they are.
    ///
    /// # Errors
    /// The store.
    fn is_up_to_date(&self) -> Result<bool>;

    /// Makes its tables, or brings them up to date.
    ///
    /// # Errors
    /// The store; then it is as it was.
    fn bring_up_to_date(&self) -> Result<()>;

    /// Makes a key with this credential.
    ///
    /// # Errors
    /// The name is taken or a value is not acceptable; otherwise the store.
    fn key_create(&self, new: &NewKey, digest: &CredentialDigest, now_ms: i64) -> Result<KeyRow>;

    /// The key, unless it is deleted.
    ///
    /// # Errors
    /// The store.
    fn key_find(&self, which: &KeyRef) -> Result<Option<KeyListing>>;

    /// Changes a key.
    ///
    /// # Errors
    /// No such key, the new name is taken, a value is not acceptable; otherwise the store.
    fn key_change(&self, id: i64, change: &KeyChange) -> Result<KeyRow>;

    /// Gives a key another credential; the old one is refused from then on.
    ///
    /// # Errors
    /// No such key; otherwise the store.
    fn key_rotate(&self, id: i64, digest: &CredentialDigest) -> Result<KeyRow>;

    /// Deletes a key. Its rows in the ledger stay, with its name.
    ///
    /// # Errors
    /// No such key; otherwise the store.
    fn key_delete(&self, id: i64, now_ms: i64) -> Result<()>;

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
    /// may be written twice.
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

    /// Writers that have not been forgotten.
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

    /// A page of records, those that arrived last first: the first one, or the one behind a cursor. Of the filter's key, a
    /// number is meant. It takes a bounded time, however many rows there are and however few of them match.
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

/// Opens the store at a URL, makes it if it is not there, and brings it up to date: `sqlite:PATH`, where a relative path
/// starts from the working directory.
///
/// # Errors
/// The URL is not understood, or the store cannot be opened; the message says why.
pub fn open(url: &str, durability: Durability) -> Result<Arc<dyn Store>> {
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
pub fn open_as_it_is(url: &str, durability: Durability, missing: Missing) -> Result<Arc<dyn Store>> {
    let invalid = |message: String| Err(StoreError::new(StoreErrorKind::Invalid, message));
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(SqliteStore::open_as_it_is(path.as_ref(), durability, missing)?)),
        Some(("postgres" | "postgresql", _)) => {
            invalid("store URL: PostgreSQL is not built into this binary; use sqlite:PATH".into())
        }
        // Not quoted back as a whole: a URL may hold a password.
        Some((scheme, _)) => invalid(format!("store URL: unknown scheme `{scheme}`, expected sqlite:PATH")),
        None => invalid(format!("store URL: `{url}` has no scheme, expected sqlite:PATH")),
    }
}
