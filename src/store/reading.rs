//! What people read of the ledger: which rows, which sums, in which order.

use super::{KeyRef, tally::Tally};
use crate::ledger::{LedgerRecord, Outcome};
use tollgate_plugin_api::{Usage, words};

/// Which rows of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerFilter {
    /// Requests that arrived at this Unix time in milliseconds, or later.
    pub since_ms: Option<i64>,
    /// Requests that arrived before this Unix time in milliseconds.
    pub until_ms: Option<i64>,
    /// Of this key. By name: of every key that has it, or had it when it was deleted, under whatever name its requests came; and
    /// those that came under it, whatever their key is called since.
    pub key: Option<KeyRef>,
    /// Of this user, as it was on the key at that time.
    pub user: Option<String>,
    /// For this model, as the client named it.
    pub model: Option<String>,
    /// That went to this upstream last.
    pub upstream: Option<String>,
    /// That ended so.
    pub outcome: Option<Outcome>,
    /// With this status.
    pub status: Option<u16>,
    /// Not more than this many rows.
    pub limit: Option<u64>,
}

/// A place in a list of records, which begins with the one that arrived last: behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordCursor {
    /// When it arrived, in Unix milliseconds.
    pub started_at_ms: i64,
    /// Its number in the ledger.
    pub sequence: i64,
}

/// A page of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// At most as many as the filter's limit. There may be fewer although more follow: a page does not look at more rows than
    /// it has time for.
    pub records: Vec<LedgerRecord>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<RecordCursor>,
}

/// What sums are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageBy {
    /// A key.
    Key,
    /// A user; those without one are a group.
    User,
    /// A model, as clients name it.
    Model,
    /// An upstream.
    Upstream,
    /// A day in UTC, as `2026-01-31`.
    Day,
}

words!(UsageBy { Key = "key", User = "user", Model = "model", Upstream = "upstream", Day = "day" });

/// Sums over the rows of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// The key's latest name, the user, the model, the upstream or the day.
    pub name: String,
    /// The key's id, when grouped by key.
    pub key_id: Option<i64>,
    /// How many requests.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Sums of the five counts.
    pub usage: Usage,
    /// Sum of the costs, in nano-USD.
    pub cost_nanos: i64,
    /// Requests whose counts are estimates.
    pub estimated: u64,
    /// Requests whose model had no price.
    pub price_missing: u64,
}

/// A time that an overview is of, up to now. Each is made of whole buckets, the last of which has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverviewRange {
    /// An hour, by minutes.
    Hour,
    /// A day, by hours.
    Day,
    /// A week, by hours.
    Week,
    /// 30 days, by days.
    Month,
}

impl OverviewRange {
    /// Every range, and the word for it.
    pub const ALL: [(&'static str, Self); 4] =
        [("1h", Self::Hour), ("24h", Self::Day), ("7d", Self::Week), ("30d", Self::Month)];

    /// The range with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == word).map(|(_, range)| range)
    }

    /// How long a bucket is, in milliseconds, and how many there are.
    pub fn buckets(self) -> (i64, i64) {
        const MINUTE_MS: i64 = 60_000;
        match self {
            Self::Hour => (MINUTE_MS, 60),
            Self::Day => (60 * MINUTE_MS, 24),
            Self::Week => (60 * MINUTE_MS, 7 * 24),
            Self::Month => (24 * 60 * MINUTE_MS, 30),
        }
    }
}

/// What happened lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Sums over all of it.
    pub totals: Tally,
    /// Each bucket's beginning in Unix milliseconds, and its sums; empty ones, too.
    pub series: Vec<(i64, Tally)>,
    /// The dearest keys, models and upstreams.
    pub keys: Vec<UsageSum>,
    /// See `keys`.
    pub models: Vec<UsageSum>,
    /// See `keys`.
    pub upstreams: Vec<UsageSum>,
}

/// The most groups that an overview names of each kind.
pub const OVERVIEW_TOP_MAX: usize = 10;
