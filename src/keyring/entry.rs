//! One key in memory.

use crate::ledger::{Account, Owner};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tollgate_plugin_api::{Key, KeyHandle, RejectCode};

/// When a key was last used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which key.
    pub key_id: i64,
    /// Unix time in milliseconds.
    pub accessed_at_ms: i64,
}

/// Ids of keys that were used since somebody last asked.
pub(super) type TouchedIds = Mutex<Vec<i64>>;

/// One key: its row, its balance, and when it was last used.
pub struct KeyEntry {
    pub(super) key: ArcSwap<Key>,
    /// The balance. Only the ledger books on it.
    pub account: Account,
    /// Whom it belongs to.
    pub(super) owner: ArcSwapOption<Owner>,
    pub(super) accessed_at_ms: AtomicI64,
    /// True: its id is in `touched`.
    pub(super) queued: AtomicBool,
    touched: Arc<TouchedIds>,
}

impl KeyEntry {
    pub(super) fn new(key: Key, owner: Option<Arc<Owner>>, spent_nanos: i64, touched: Arc<TouchedIds>) -> Self {
        let account = Account::new(key.quota_nanos, spent_nanos);
        Self {
            key: ArcSwap::from_pointee(key),
            account,
            owner: ArcSwapOption::new(owner),
            accessed_at_ms: AtomicI64::new(0),
            queued: AtomicBool::new(false),
            touched,
        }
    }

    /// The row as it is in force now, for a moment: nothing is counted that other threads count, too. Not to be held for long.
    pub fn row(&self) -> Guard<Arc<Key>> {
        self.key.load()
    }

    /// The user whom it belongs to, whose balance is above its own.
    pub fn owner(&self) -> Option<Arc<Owner>> {
        self.owner.load_full()
    }

    /// Whether it, or its user, has a quota.
    pub fn is_limited(&self) -> bool {
        let has_quota = |account: &Account| account.balance().quota_nanos.is_some();
        self.key.load().quota_nanos.is_some()
            || self.owner.load().as_ref().is_some_and(|owner| has_quota(&owner.account))
    }

    /// Whether a request may be admitted on it at that Unix time in milliseconds.
    ///
    /// # Errors
    /// As [`Key::check`] says, or `FORBIDDEN`: its user is disabled.
    pub fn accepts(&self, now_ms: i64) -> Result<(), RejectCode> {
        self.row().check(now_ms)?;
        let is_disabled = self.owner.load().as_ref().is_some_and(|owner| !owner.is_enabled());
        if is_disabled { Err(RejectCode::Forbidden) } else { Ok(()) }
    }

    /// Notes that the key was used. One store, but for the first use since the last [`Keys::take_touched`](super::Keys::take_touched).
    pub fn touch(&self, now_ms: i64) {
        self.accessed_at_ms.store(now_ms, Ordering::Relaxed);
        if !self.queued.load(Ordering::Relaxed) && !self.queued.swap(true, Ordering::AcqRel) {
            self.touched.lock().push(self.key.load().id);
        }
    }
}

impl KeyHandle for KeyEntry {
    fn key(&self) -> Arc<Key> {
        self.key.load_full()
    }

    fn check(&self, now_ms: i64) -> Result<(), RejectCode> {
        self.row().check(now_ms)
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

/// Shows no balance and no digest.
impl std::fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyEntry").field("id", &self.key.load().id).finish_non_exhaustive()
    }
}
