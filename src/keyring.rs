//! Keys in memory: found by the digest of a credential, changed one at a time, with the balance beside each.

mod credential;
mod entry;

pub use credential::{CREDENTIAL_PREFIX, Credential, digest_of, new_credential};
pub use entry::{KeyEntry, Touched};

use crate::ledger::Owner;
use crate::store::{BalanceRow, KeyRow, Moment, OpenHold, Store, StoreError};
use entry::TouchedIds;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tollgate_plugin_api::{CredentialDigest, Key, KeyHandle, KeyRing};
use uuid::Uuid;

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

/// The name by which others than whoever has its credential may mean a key.
fn identity(key: &Key) -> Option<&Arc<str>> {
    key.named_by_operator.then_some(&key.name)
}

/// Every key that is not deleted. Look-ups take no lock; a change costs the same whether there are ten keys or a
/// million.
#[derive(Default)]
pub struct Keys {
    by_digest: ByDigest,
    /// Also the lock under which keys change.
    by_id: RwLock<HashMap<i64, (CredentialDigest, Arc<KeyEntry>)>>,
    /// Users whom keys belong to, or once did.
    owners: RwLock<HashMap<Arc<str>, Arc<Owner>>>,
    /// Ids by name, of those that an operator named, from when somebody looks keys up so. Taken after `by_id`, where both are.
    by_name: RwLock<Option<HashMap<Arc<str>, i64>>>,
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

    /// The user of this name, whom keys belong to.
    pub fn owner(&self, user: &str) -> Arc<Owner> {
        if let Some(owner) = self.owners.read().get(user) {
            return Arc::clone(owner);
        }
        let mut owners = self.owners.write();
        let name: Arc<str> = user.into();
        Arc::clone(owners.entry(Arc::clone(&name)).or_insert_with(|| Arc::new(Owner::new(name))))
    }

    /// The key that an operator named so; none before [`Keys::index_names`].
    pub fn find_by_name(&self, name: &str) -> Option<Arc<KeyEntry>> {
        let id = *self.by_name.read().as_ref()?.get(name)?;
        // It may have been renamed in between.
        self.get(id).filter(|entry| identity(&entry.key.load()).is_some_and(|identity| **identity == *name))
    }

    /// From here on keys are found by name.
    pub fn index_names(&self) {
        let by_id = self.by_id.read();
        let name = |(id, (_, entry)): (&i64, &(CredentialDigest, Arc<KeyEntry>))| {
            identity(&entry.key.load()).map(|name| (name.clone(), *id))
        };
        self.by_name.write().get_or_insert_with(|| by_id.iter().filter_map(name).collect());
    }

    /// How many keys are not found by name, if somebody looks keys up so. It looks at each, so never on a request's path.
    pub fn not_found_by_name(&self) -> usize {
        let by_id = self.by_id.read();
        let is_nameless = |(_, entry): &&(CredentialDigest, Arc<KeyEntry>)| identity(&entry.key.load()).is_none();
        self.by_name.read().as_ref().map_or(0, |_| by_id.values().filter(is_nameless).count())
    }

    /// Notes the name of a key that is new, renamed or deleted.
    fn note_name(&self, id: i64, before: Option<&Key>, now: Option<&Key>) {
        let (before, now) = (before.and_then(identity), now.and_then(identity));
        if before == now {
            return;
        }
        if let Some(names) = self.by_name.write().as_mut() {
            // Another key may have it by now: of many changes at once only what came of them is told.
            if let Some(before) = before.filter(|name| names.get(&***name) == Some(&id)) {
                names.remove(&**before);
            }
            names.extend(now.map(|name| (name.clone(), id)));
        }
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
            BalanceRow::UserSpent(user, spent_nanos) => self.owner(&user).account.set_spent(spent_nanos),
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
            if let Some((digest, entry)) = by_id.remove(&id) {
                by_digest.remove(&digest);
                self.note_name(id, Some(&entry.key.load()), None);
                // Requests have it whose bodies are still arriving.
                entry.key.store(Arc::new(Key { enabled: false, ..row.key }));
            }
            return;
        };
        let owner = row.key.user.as_deref().map(|user| self.owner(user));
        let Some((old_digest, entry)) = by_id.get_mut(&id) else {
            self.note_name(id, None, Some(&row.key));
            let entry = Arc::new(KeyEntry::new(row.key, owner, row.spent_nanos, Arc::clone(&self.touched)));
            by_digest.insert(digest, Arc::clone(&entry));
            by_id.insert(id, (digest, entry));
            return;
        };
        entry.account.set_quota(row.key.quota_nanos);
        entry.owner.store(owner);
        self.note_name(id, Some(&entry.key.load()), Some(&row.key));
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

    fn find_by_name(&self, name: &str) -> Option<Arc<dyn KeyHandle>> {
        Keys::find_by_name(self, name).map(|entry| entry as Arc<dyn KeyHandle>)
    }

    fn index_names(&self) {
        Keys::index_names(self);
    }
}

#[cfg(test)]
mod tests;
