//! Changes of keys by a test, whose name stands in the audit.

use super::{Act, KeyChange, KeyListing, NewKey, Result, Store};
use tollgate_plugin_api::CredentialDigest;

/// What tests change.
pub(crate) trait ByTest: Store {
    /// [`People::key_create_by`](super::People::key_create_by).
    fn key_create(&self, new: &NewKey, digest: &CredentialDigest, now_ms: i64) -> Result<KeyListing> {
        self.people().key_create_by(&test(now_ms), new, digest)
    }

    /// [`People::key_change_by`](super::People::key_change_by).
    fn key_change(&self, id: i64, change: &KeyChange) -> Result<KeyListing> {
        self.people().key_change_by(&test(0), id, None, change)
    }

    /// [`People::key_rotate_by`](super::People::key_rotate_by).
    fn key_rotate(&self, id: i64, digest: &CredentialDigest) -> Result<KeyListing> {
        self.people().key_rotate_by(&test(0), id, None, digest)
    }

    /// [`People::key_delete_by`](super::People::key_delete_by).
    fn key_delete(&self, id: i64, now_ms: i64) -> Result<()> {
        self.people().key_delete_by(&test(now_ms), id, None)
    }
}

impl<S: Store + ?Sized> ByTest for S {}

fn test(at_ms: i64) -> Act {
    Act::of_command("test", "nobody", at_ms)
}
