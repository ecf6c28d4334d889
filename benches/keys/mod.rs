//! A key as the store has it.

use tollgate::store::KeyRow;
use tollgate_plugin_api::Key;

/// The key with this number, whose credential has this digest.
pub(crate) fn key(id: i64, digest: [u8; 32]) -> KeyRow {
    let key = Key { id, quota_nanos: Some(1_000_000_000), ..tollgate_plugin_doubles::key(&format!("key-{id}")) };
    KeyRow { key, digest: Some(digest), version: id, created_at_ms: 0, spent_nanos: 0 }
}
