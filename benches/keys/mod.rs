//! A key as the store has it.

use tollgate::store::KeyRow;
use tollgate_plugin_api::Key;

/// The key with this number, whose credential has this digest.
pub(crate) fn key(id: i64, digest: [u8; 32]) -> KeyRow {
    let key = Key {
        id,
        name: format!("key-{id}").into(),
        named_by_operator: true,
        user: None,
        group: "default".into(),
        models: Vec::new(),
        enabled: true,
        expires_at_ms: None,
        quota_nanos: Some(1_000_000_000),
        rpm: None,
        tpm: None,
        concurrency: None,
    };
    KeyRow { key, digest: Some(digest), version: id, created_at_ms: 0, spent_nanos: 0 }
}
