//! Keys in memory: found by the digest of a credential, changed one at a time, with the balance beside each.

use crate::ledger::Account;
use crate::store::{BalanceRow, KeyRow, Moment, OpenHold, Store, StoreError};
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tollgate_plugin_api::{CredentialDigest, Key, KeyHandle, KeyRing};
use uuid::Uuid;

/// What every credential of ours begins with.
pub const CREDENTIAL_PREFIX: &str = "sk-tg-";

/// A credential that was just made. Only its digest is kept anywhere.
pub struct Credential {
    /// What the client sends; shown once.
    pub secret: SecretString,
    /// What is stored and looked up.
    pub digest: CredentialDigest,
}

/// A new credential: `sk-tg-` and 256 random bits in hex.
pub fn new_credential() -> Credential {
    let bits: [u8; 32] = rand::random();
    let mut text = String::with_capacity(CREDENTIAL_PREFIX.len() + 2 * bits.len());
    text.push_str(CREDENTIAL_PREFIX);
    for byte in bits {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    let digest = digest_of(&text);
    Credential { secret: text.into(), digest }
}

/// The digest by which a credential is stored and found: SHA-256 of the whole text, prefix included.
pub fn digest_of(credential: &str) -> CredentialDigest {
    Sha256::digest(credential.as_bytes()).into()
}

/// When a key was last used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which key.
    pub key_id: i64,
    /// Unix time in milliseconds.
    pub accessed_at_ms: i64,
}

/// Ids of keys that were used since somebody last asked.
type TouchedIds = Mutex<Vec<i64>>;

/// One key: its row, its balance, and when it was last used.
pub struct KeyEntry {
    key: ArcSwap<Key>,
    /// The balance. Only the ledger books on it.
    pub account: Account,
    accessed_at_ms: AtomicI64,
    /// True: its id is in `touched`.
    queued: AtomicBool,
    touched: Arc<TouchedIds>,
}

impl KeyEntry {
    fn new(key: Key, spent_nanos: i64, touched: Arc<TouchedIds>) -> Self {
        let account = Account::new(key.quota_nanos, spent_nanos);
        Self {
            key: ArcSwap::from_pointee(key),
            account,
            accessed_at_ms: AtomicI64::new(0),
            queued: AtomicBool::new(false),
            touched,
        }
    }

    /// Notes that the key was used. One store, but for the first use since the last [`Keys::take_touched`].
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

/// Hashes a digest by taking eight bytes of it. A digest is uniform already, and clients cannot put entries into the
/// map.
#[derive(Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*head);
        }
    }

    /// The length prefix of an array says nothing.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

type ByDigest = papaya::HashMap<CredentialDigest, Arc<KeyEntry>, BuildHasherDefault<DigestHasher>>;

/// Every key that is not deleted. Look-ups take no lock; a change costs the same whether there are ten keys or a
/// million.
#[derive(Default)]
pub struct Keys {
    by_digest: ByDigest,
    /// Also the lock under which keys change.
    by_id: RwLock<HashMap<i64, (CredentialDigest, Arc<KeyEntry>)>>,
    touched: Arc<TouchedIds>,
    version: AtomicI64,
    /// What [`Keys::load`] has read.
    loaded: Mutex<Moment>,
}

impl Keys {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key whose credential has this digest.
    pub fn find(&self, digest: &CredentialDigest) -> Option<Arc<KeyEntry>> {
        self.by_digest.pin().get(digest).cloned()
    }

    /// The key with this id.
    pub fn get(&self, id: i64) -> Option<Arc<KeyEntry>> {
        self.by_id.read().get(&id).map(|(_, entry)| Arc::clone(entry))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.read().len()
    }

    /// What requests that run hold of all keys, in nano-USD. It looks at each, so never on a request's path.
    pub fn held_nanos(&self) -> i128 {
        self.by_id.read().values().map(|(_, entry)| i128::from(entry.account.balance().held_nanos)).sum()
    }

    /// True: none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Brings in what changed in the store since the last call; returns how many rows changed. One indexed look-up when
    /// nothing did. It waits for the store, so never on a request's path.
    ///
    /// # Errors
    /// The store cannot be read; the keys in memory stay as they are.
    pub fn poll(&self, store: &dyn Store) -> Result<usize, StoreError> {
        let mut changed = 0;
        let version = store.keys_changed_since(self.version.load(Ordering::Acquire), &mut |row| {
            self.apply_change(row);
            changed += 1;
        })?;
        self.version.fetch_max(version, Ordering::AcqRel);
        Ok(changed)
    }

    /// Loads every key and balance, and tells `each_hold` the holds that are open at that moment, with their writers. Only
    /// before anything is held: what is spent is set to what the store has. The second time only what changed is read;
    /// so whoever takes over a million keys in a moment reads them before.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn load(&self, store: &dyn Store, each_hold: &mut dyn FnMut(Uuid, OpenHold)) -> Result<(), StoreError> {
        let set_spent = |id: i64, spent_nanos: i64| {
            if let Some((_, entry)) = self.by_id.read().get(&id) {
                entry.account.set_spent(spent_nanos);
            }
        };
        let mut loaded = self.loaded.lock();
        *loaded = store.balances_since(*loaded, &mut |row| match row {
            BalanceRow::Key(row) => {
                let (id, spent_nanos) = (row.key.id, row.spent_nanos);
                self.apply_change(row);
                set_spent(id, spent_nanos);
            }
            BalanceRow::Spent(id, spent_nanos) => set_spent(id, spent_nanos),
            BalanceRow::Open(writer_id, hold) => each_hold(writer_id, hold),
        })?;
        self.version.fetch_max(loaded.key_version, Ordering::AcqRel);
        Ok(())
    }

    /// Takes over a row as the store has it: a key that is new, changed, rotated or deleted. The balance of a key
    /// that is already here is not touched: the one in memory is ahead of the store's.
    pub fn apply_change(&self, row: KeyRow) {
        let mut by_id = self.by_id.write();
        let by_digest = self.by_digest.pin();
        let id = row.key.id;
        let Some(digest) = row.digest else {
            if let Some((digest, _)) = by_id.remove(&id) {
                by_digest.remove(&digest);
            }
            return;
        };
        let Some((old_digest, entry)) = by_id.get_mut(&id) else {
            let entry = Arc::new(KeyEntry::new(row.key, row.spent_nanos, Arc::clone(&self.touched)));
            by_digest.insert(digest, Arc::clone(&entry));
            by_id.insert(id, (digest, entry));
            return;
        };
        entry.account.set_quota(row.key.quota_nanos);
        entry.key.store(Arc::new(row.key));
        if *old_digest != digest {
            by_digest.insert(digest, Arc::clone(entry));
            by_digest.remove(old_digest);
            *old_digest = digest;
        }
    }

    /// The keys used since the last call, and when. A use at the very moment of the call may be reported with the next
    /// one.
    pub fn take_touched(&self) -> Vec<Touched> {
        let ids = std::mem::take(&mut *self.touched.lock());
        let by_id = self.by_id.read();
        ids.into_iter()
            .filter_map(|key_id| {
                let (_, entry) = by_id.get(&key_id)?;
                entry.queued.store(false, Ordering::Release);
                Some(Touched { key_id, accessed_at_ms: entry.accessed_at_ms.load(Ordering::Relaxed) })
            })
            .collect()
    }
}

impl KeyRing for Keys {
    fn find(&self, digest: &CredentialDigest) -> Option<Arc<dyn KeyHandle>> {
        Keys::find(self, digest).map(|entry| entry as Arc<dyn KeyHandle>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn key(id: i64) -> Key {
        Key {
            id,
            name: format!("key-{id}").into(),
            user: None,
            group: "default".into(),
            models: Vec::new(),
            enabled: true,
            expires_at_ms: None,
            quota_nanos: Some(100),
            rpm: None,
            tpm: None,
            concurrency: None,
        }
    }

    fn row(id: i64, digest: Option<CredentialDigest>) -> KeyRow {
        KeyRow { key: key(id), digest, version: 1, created_at_ms: 0, spent_nanos: 7 }
    }

    #[test]
    fn a_credential_is_found_by_its_digest_alone() {
        let (one, other) = (new_credential(), new_credential());
        assert!(one.secret.expose_secret().starts_with(CREDENTIAL_PREFIX));
        assert_eq!(one.secret.expose_secret().len(), CREDENTIAL_PREFIX.len() + 64);
        assert_eq!(digest_of(one.secret.expose_secret()), one.digest);
        assert_ne!(one.digest, other.digest);
        let keys = Keys::new();
        keys.apply_change(row(1, Some(one.digest)));
        assert_eq!(keys.find(&one.digest).unwrap().key().id, 1);
        assert!(keys.find(&other.digest).is_none());
    }

    #[test]
    fn a_change_keeps_the_balance_and_rotation_ends_the_old_credential() {
        let keys = Keys::new();
        keys.apply_change(row(1, Some([1; 32])));
        let entry = keys.find(&[1; 32]).unwrap();
        let grant = entry.account.hold(50).unwrap();
        let mut changed = row(1, Some([2; 32]));
        changed.key.quota_nanos = Some(60);
        changed.spent_nanos = 0;
        keys.apply_change(changed);
        assert!(keys.find(&[1; 32]).is_none());
        assert!(Arc::ptr_eq(&entry, &keys.find(&[2; 32]).unwrap()));
        let balance = entry.account.balance();
        assert_eq!((balance.quota_nanos, balance.spent_nanos, balance.held_nanos), (Some(60), 7, 50));
        entry.account.void(grant);
        keys.apply_change(row(1, None));
        assert!(keys.find(&[2; 32]).is_none() && keys.get(1).is_none() && keys.is_empty());
    }

    #[test]
    fn uses_are_reported_once_with_the_latest_time() {
        let keys = Keys::new();
        keys.apply_change(row(1, Some([1; 32])));
        keys.apply_change(row(2, Some([2; 32])));
        let entry = keys.get(1).unwrap();
        entry.touch(10);
        entry.touch(20);
        assert_eq!(keys.take_touched(), [Touched { key_id: 1, accessed_at_ms: 20 }]);
        assert_eq!(keys.take_touched(), []);
        entry.touch(30);
        keys.get(2).unwrap().touch(5);
        keys.apply_change(row(2, None));
        assert_eq!(keys.take_touched(), [Touched { key_id: 1, accessed_at_ms: 30 }]);
    }

    #[test]
    fn keys_change_while_they_are_looked_up() {
        let keys = Keys::new();
        keys.apply_change(row(0, Some([0; 32])));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for id in 1..=2_000_i64 {
                    let mut digest = [0; 32];
                    digest[..8].copy_from_slice(&id.to_le_bytes());
                    keys.apply_change(row(id, Some(digest)));
                    if id % 2 == 0 {
                        keys.apply_change(row(id, None));
                    }
                }
            });
            scope.spawn(|| (0..20_000).for_each(|_| assert!(keys.find(&[0; 32]).is_some())));
        });
        assert_eq!(keys.len(), 1_001);
    }
}
