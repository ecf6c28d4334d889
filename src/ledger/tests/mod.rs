//! The ledger as a whole: on a real folder and a real store.

mod claims;
mod crash;
mod cut_short;
mod faults;
mod flow;
mod hand_over;
mod images;
mod simulated;
mod tamper;
mod users;

use super::disk::Disk;
use super::ticket::wait;
use super::*;
use crate::keyring::KeyEntry;
use crate::store::by_test::ByTest;
use crate::store::{Batch, LedgerFilter, NewKey, Stands, StoreError, TakenClaim};
use std::io;
use tempfile::TempDir;
use tollgate_plugin_api::UsageSource;

/// A folder with a store and journals.
struct Place {
    folder: TempDir,
}

/// A running ledger.
struct Running {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    ledger: Arc<Ledger>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("t.db")
    }

    fn journal_dir(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn options(&self) -> LedgerOptions {
        LedgerOptions { segment_bytes: 0, ..LedgerOptions::new(self.journal_dir()) }
    }

    fn store(&self) -> Arc<dyn Store> {
        crate::store::open(&crate::store::StoreUrl::Sqlite(self.database()), Durability::Process).unwrap()
    }

    /// A store with one key, whose id is 1.
    fn with_key(quota_nanos: Option<i64>) -> Self {
        let place = Self::new();
        let new = NewKey { name: "k".into(), group: "default".into(), quota_nanos, ..NewKey::default() };
        assert_eq!(place.store().key_create(&new, &[7; 32], 0).unwrap().key.id, 1);
        place
    }

    fn open(&self) -> Running {
        self.open_with(self.options(), Arc::new(FileSystem))
    }

    fn open_with(&self, options: LedgerOptions, disk: Arc<dyn Disk>) -> Running {
        let (store, keys) = (self.store(), Arc::new(Keys::new()));
        let ledger = Ledger::open_on(disk, options, Arc::clone(&store), Arc::clone(&keys)).unwrap();
        Running { store, keys, ledger }
    }

    /// Fails unless `ledger verify` finds nothing wrong.
    fn assert_clean(&self) -> Report {
        let report = verify(&*self.store(), &self.journal_dir()).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        report
    }
}

impl Running {
    fn entry(&self) -> Arc<KeyEntry> {
        self.keys.get(1).unwrap()
    }

    fn try_hold(&self, amount_nanos: i64) -> Result<Hold, HoldError> {
        let opening = Opening { request_id: Uuid::now_v7(), model: "m".into(), ..Opening::default() };
        self.ledger.hold(&self.entry(), amount_nanos, opening)
    }

    fn hold(&self, amount_nanos: i64) -> Hold {
        let hold = self.try_hold(amount_nanos).unwrap();
        wait(hold.journaled()).unwrap();
        hold
    }

    fn rows(&self) -> Vec<LedgerRecord> {
        let mut rows = Vec::new();
        self.store.ledger_rows(&LedgerFilter::default(), &mut |row| rows.push(row)).unwrap();
        rows
    }

    /// Waits until everything that is journaled is in the store.
    fn settle_down(&self) {
        until(|| {
            let lag = self.ledger.lag();
            lag.queued_records == 0 && lag.unapplied_records == 0
        });
    }
}

/// The record that a hold is settled with.
fn record(hold: &Hold, cost_nanos: i64) -> LedgerRecord {
    LedgerRecord { cost_nanos, status: 200, ..LedgerRecord::from_opening(hold.opening()) }
}

/// How much longer than usual the tests by chance run; set for a release.
pub(crate) fn scale() -> usize {
    std::env::var("TOLLGATE_TEST_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Waits for something that must come.
fn until(mut done: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < patience, "it did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}
