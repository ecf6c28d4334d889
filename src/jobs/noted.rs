//! Reloads that came by no console, for the audit: of a changed file, a signal, or a request with the reload secret. (The console notes
//! its own.) No reload waits for the store: rows wait for it here.

use crate::clock::unix_ms;
use crate::store::{Act, Store};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::VecDeque;

/// How the audit calls a reload, and what was read again.
const ACTION: &str = "reload";
const OBJECT: &str = "configuration";
/// Rows that wait for the store at once; of more, the oldest are not noted. (The log has all.)
const WAITING_MAX: usize = 64;

/// What the audit does not have yet.
#[derive(Default)]
pub(super) struct Unnoted {
    rows: Mutex<VecDeque<(Act, String)>>,
}

impl Unnoted {
    /// A reload by this has changed what is in force; of prices, this version is now.
    pub(super) fn reloaded(&self, by: &str, price_version: &str) {
        self.add(by, json!({"status": "reloaded", "price_version": price_version}));
    }

    /// A reload by this was refused.
    pub(super) fn refused(&self, by: &str) {
        self.add(by, json!({"status": "refused", "price_version": null}));
    }

    fn add(&self, by: &str, after: serde_json::Value) {
        let mut rows = self.rows.lock();
        if rows.len() == WAITING_MAX {
            rows.pop_front();
        }
        rows.push_back((Act::of_command("serve", by, unix_ms()), after.to_string()));
    }

    /// Notes them, as far as the store takes them now; the others wait.
    pub(super) fn note(&self, store: &dyn Store) {
        loop {
            let Some((act, after)) = self.rows.lock().front().cloned() else { return };
            if let Err(error) = store.people().note(&act, ACTION, OBJECT, None, Some(&after)) {
                return tracing::debug!("the audit does not have a reload yet: {error}");
            }
            let mut rows = self.rows.lock();
            if rows.front().is_some_and(|(first, _)| *first == act) {
                rows.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Durability;
    use crate::store::{Page, StoreUrl, open};

    #[test]
    fn what_waits_is_noted_once_and_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&StoreUrl::Sqlite(folder.path().join("t.db")), Durability::Process).unwrap();
        let unnoted = Unnoted::default();
        for nth in 0..=WAITING_MAX {
            unnoted.refused(&format!("file {nth}"));
        }
        unnoted.reloaded("signal", "abc");
        unnoted.note(&*store);
        unnoted.note(&*store);
        let rows = store.people().audit_rows(Page { after: None, limit: 1000 }, Some(OBJECT)).unwrap();
        assert_eq!(rows.len(), WAITING_MAX, "the oldest two are left out");
        assert_eq!((&*rows[0].actor, &*rows[1].actor), ("tollgate serve (signal)", "tollgate serve (file 64)"));
        assert_eq!(rows[0].after.as_deref(), Some(r#"{"status":"reloaded","price_version":"abc"}"#));
        assert!(rows.iter().all(|row| row.action == ACTION && row.before.is_none()));
    }
}
