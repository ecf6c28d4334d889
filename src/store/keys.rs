//! Keys, as they are made, kept, listed and changed.

use tollgate_plugin_api::{CredentialDigest, Key};

/// A key to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// Its name: 1 to 128 bytes without control characters and without spaces around it, not a number, unique among the keys that are not deleted.
    pub name: String,
    /// Nobody more than a user chose the name: no token or wallet finds it so.
    pub named_by_user: bool,
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
