//! Recovery that is cut short anywhere, and begun again.

use super::*;
use crate::keyring::Touched;
use crate::store::{
    Applied, Audit, BalanceRow, Batch, ClosedHold, EachChainedRow, KeyListing, KeyRef, KeyRow, Limits, Moment,
    OpenHold, Overview, OverviewRange, People, RecordCursor, RecordPage, Result, StoreErrorKind, StoredClaim, UsageBy,
    UsageSum,
};
use std::sync::atomic::{AtomicBool, AtomicI64};

/// A store whose writes fail from the n-th on: before they are done, or after. Or those that must stay do.
struct FailingStore {
    inner: Arc<dyn Store>,
    left: AtomicI64,
    fails_after: bool,
    refuses_to_stay: AtomicBool,
}

impl FailingStore {
    fn new(inner: Arc<dyn Store>, left: i64, fails_after: bool) -> Self {
        Self { inner, left: AtomicI64::new(left), fails_after, refuses_to_stay: AtomicBool::new(false) }
    }

    fn write<T>(&self, write: impl FnOnce(&dyn Store) -> Result<T>) -> Result<T> {
        let failed = Err(StoreError::new(StoreErrorKind::Unavailable, "as if the process had died"));
        match self.left.fetch_sub(1, Ordering::Relaxed) {
            1 if self.fails_after => write(&*self.inner).and(failed),
            left if left <= 1 => failed,
            _ => write(&*self.inner),
        }
    }
}

impl Store for FailingStore {
    fn limits(&self) -> &dyn Limits {
        self.inner.limits()
    }

    fn people(&self) -> &dyn People {
        self.inner.people()
    }
    fn is_up_to_date(&self) -> Result<bool> {
        self.inner.is_up_to_date()
    }
    fn bring_up_to_date(&self) -> Result<()> {
        self.inner.bring_up_to_date()
    }
    fn catch_up(&self) -> Result<()> {
        self.inner.catch_up()
    }
    fn key_find(&self, which: &KeyRef) -> Result<Option<KeyListing>> {
        self.inner.key_find(which)
    }
    fn key_list(&self, each: &mut dyn FnMut(KeyListing)) -> Result<()> {
        self.inner.key_list(each)
    }
    fn keys_changed_since(&self, version: i64, each: &mut dyn FnMut(KeyRow)) -> Result<i64> {
        self.inner.keys_changed_since(version, each)
    }
    fn write_accessed(&self, touched: &[Touched]) -> Result<()> {
        self.inner.write_accessed(touched)
    }
    fn apply(&self, batch: &Batch) -> Result<Applied> {
        if self.refuses_to_stay.load(Ordering::Relaxed) && !batch.may_be_lost {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "as if the disk did not sync"));
        }
        self.write(|inner| inner.apply(batch))
    }
    fn writer_open(&self, writer: &Writer) -> Result<()> {
        self.write(|inner| inner.writer_open(writer))
    }
    fn writer_close(&self, id: Uuid) -> Result<()> {
        self.write(|inner| inner.writer_close(id))
    }
    fn writers(&self) -> Result<Vec<Writer>> {
        self.inner.writers()
    }
    fn open_holds(&self, writer_id: Uuid, limit: usize) -> Result<Vec<OpenHold>> {
        self.inner.open_holds(writer_id, limit)
    }
    fn balances_since(&self, since: Moment, each: &mut dyn FnMut(BalanceRow)) -> Result<Moment> {
        self.inner.balances_since(since, each)
    }
    fn closed_holds(&self, writers: &[Uuid], request_ids: &[Uuid]) -> Result<Vec<ClosedHold>> {
        self.inner.closed_holds(writers, request_ids)
    }
    fn claims_since(&self, since_ms: i64, limit: usize) -> Result<Vec<StoredClaim>> {
        self.inner.claims_since(since_ms, limit)
    }
    fn ledger_rows(&self, filter: &LedgerFilter, each: &mut dyn FnMut(LedgerRecord)) -> Result<()> {
        self.inner.ledger_rows(filter, each)
    }
    fn ledger_find(&self, request_id: Uuid) -> Result<Option<LedgerRecord>> {
        self.inner.ledger_find(request_id)
    }
    fn usage_sums(&self, by: UsageBy, filter: &LedgerFilter) -> Result<Vec<UsageSum>> {
        self.inner.usage_sums(by, filter)
    }
    fn ledger_page(&self, filter: &LedgerFilter, after: Option<RecordCursor>) -> Result<RecordPage> {
        self.inner.ledger_page(filter, after)
    }
    fn overview(&self, range: OverviewRange, user: Option<&str>, now_ms: i64) -> Result<Overview> {
        self.inner.overview(range, user, now_ms)
    }
    fn admin_names(&self) -> Result<Vec<String>> {
        self.inner.admin_names()
    }
    fn trail(&self, request_id: Uuid) -> Result<Option<String>> {
        self.inner.trail(request_id)
    }
    fn audit(&self, each: &mut EachChainedRow<'_>) -> Result<Audit> {
        self.inner.audit(each)
    }
}

/// A dead process's journal: 4,000 requests settled, 2,000 running, some with progress, in two segments or more.
fn left_behind() -> Place {
    let place = Place::with_key(None);
    let running = place.open();
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.database(), &aside).unwrap();
    for turn in 0..6_000_u32 {
        let mut hold = running.try_hold(0).unwrap();
        if !turn.is_multiple_of(3) {
            let told = LedgerRecord { upstream: "u".repeat(200).into(), ..record(&hold, 10) };
            drop(hold.settle(told));
            continue;
        }
        if turn.is_multiple_of(2) {
            hold.progress(Progress { cost_nanos: 1, ..Progress::default() });
        }
        std::mem::forget(hold);
    }
    until(|| running.ledger.lag().queued_records == 0);
    assert!(!running.ledger.shutdown(Duration::from_millis(20)));
    drop(running);
    std::fs::rename(aside, place.database()).unwrap();
    place
}

#[test]
fn recovery_may_be_cut_short_at_any_write() {
    let mut writes = 0;
    for fails_after in [false, true] {
        let place = left_behind();
        // Each attempt gets one write further than the one before, and dies.
        for left in 1.. {
            let store = FailingStore::new(place.store(), left, fails_after);
            let opened = Ledger::open(place.options(), Arc::new(store), Arc::new(Keys::new()));
            writes += 1;
            if let Ok(ledger) = opened {
                ledger.shutdown(Duration::ZERO);
                break;
            }
        }
        let running = place.open();
        assert_eq!(running.ledger.recovered().damage, Vec::<String>::new());
        let rows = running.rows();
        let interrupted: Vec<_> = rows.iter().filter(|row| row.outcome == Outcome::Interrupted).collect();
        assert_eq!((rows.len(), interrupted.len()), (6_000, 2_000));
        let sum = 40_000 + interrupted.iter().map(|row| row.cost_nanos).sum::<i64>();
        assert!(sum > 40_000, "some had got somewhere");
        assert_eq!(running.entry().account.balance().spent_nanos, sum);
        assert!(running.ledger.shutdown(Duration::from_secs(30)));
        let report = place.assert_clean();
        assert_eq!((report.cost_nanos, report.notes.len()), (i128::from(sum), 0));
    }
    assert!(writes > 8, "{writes} writes are too few to tell anything");
}

#[test]
fn a_journals_files_go_when_the_store_has_them_for_good_and_no_sooner() {
    let place = Place::with_key(None);
    let store = Arc::new(FailingStore::new(place.store(), i64::MAX, false));
    let refuse = |refuses| store.refuses_to_stay.store(refuses, Ordering::Relaxed);
    refuse(true);
    let keys = Arc::new(Keys::new());
    let ledger = Ledger::open(place.options(), store.clone(), Arc::clone(&keys)).unwrap();
    let running = Running { store: place.store(), keys, ledger };
    let settle = |requests: usize| {
        for _ in 0..requests {
            let hold = running.try_hold(0).unwrap();
            let told = LedgerRecord { upstream: "u".repeat(200).into(), ..record(&hold, 10) };
            drop(hold.settle(told));
        }
    };
    let writer = running.store.writers().unwrap()[0].id;
    let segments = || segment::numbers(&folder::of_writer(&place.journal_dir(), writer)).unwrap();
    settle(4_000);
    until(|| running.ledger.lag().queued_records == 0);
    let written = segments();
    assert!(written.len() > 2, "{written:?}: a file is full, and another one");
    until(|| running.ledger.lag().store_error.is_some());
    assert!(!running.rows().is_empty(), "the store has rows, and could lose them");
    assert_eq!(segments(), written);
    refuse(false);
    until(|| segments().len() == 1);
    running.settle_down();
    settle(10);
    running.settle_down();
    refuse(true);
    assert!(!running.ledger.shutdown(Duration::from_millis(100)));
    assert!(!segments().is_empty(), "the last rows could be lost");
    drop(running);
    let running = place.open();
    assert_eq!((running.rows().len(), running.entry().account.balance().spent_nanos), (4_010, 40_100));
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    place.assert_clean();
}
