//! What the ledger writes and reads again, and what `ledger verify` goes through.

use super::KeyRow;
use crate::ledger::{ClaimTag, LedgerRecord, Opening, Progress};
use std::sync::Arc;
use uuid::Uuid;

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
    /// Those of requests that arrived before this Unix time in milliseconds are old, and deleted.
    pub claims_before_ms: Option<i64>,
    /// What routing decided for requests, as JSON.
    pub trails: Vec<(Uuid, String)>,
    /// A loss of power may take it, whatever the store's durability is: the journal has it until a batch comes that must stay.
    pub may_be_lost: bool,
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

/// What [`Store::balances_since`](super::Store::balances_since) tells.
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
