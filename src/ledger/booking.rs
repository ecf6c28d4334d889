//! What a request holds on its key's account, and on the account of the key's user above it: booked and ended together.

use super::holds::{Account, Grant, Insufficient};
use crate::keyring::KeyEntry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A user whom keys belong to. Users without a quota have an account, too: what was spent counts from the first key on.
#[derive(Debug)]
pub struct Owner {
    /// Its name, as keys have it.
    pub name: Arc<str>,
    /// Its balance: what all its keys have spent. Only the ledger books on it.
    pub account: Account,
    disabled: AtomicBool,
}

impl Owner {
    /// A user who has spent nothing, without a quota.
    pub fn new(name: Arc<str>) -> Self {
        Self { name, account: Account::default(), disabled: AtomicBool::new(false) }
    }

    /// False: none of its keys is served.
    pub fn is_enabled(&self) -> bool {
        !self.disabled.load(Ordering::Relaxed)
    }

    /// See [`Owner::is_enabled`].
    pub fn set_enabled(&self, enabled: bool) {
        self.disabled.store(!enabled, Ordering::Relaxed);
    }
}

/// See the module. It ends with [`Booking::settle`] or [`Booking::void`].
#[derive(Debug)]
pub(super) struct Booking {
    /// `None`: the key is deleted. Nothing can be spent of it any more, but what it has begun is its user's expense.
    own: Option<(Arc<KeyEntry>, Grant)>,
    above: Option<(Arc<Owner>, Grant)>,
}

impl Booking {
    /// Books `amount_nanos` if key and user cover it.
    pub(super) fn take(entry: &Arc<KeyEntry>, amount_nanos: i64) -> Result<Self, Insufficient> {
        let entry = Arc::clone(entry);
        let (grant, above) = match entry.owner() {
            None => (entry.account.hold(amount_nanos)?, None),
            Some(owner) => {
                let (grant, above) = entry.account.hold_under(&owner.account, amount_nanos)?;
                (grant, Some((owner, above)))
            }
        };
        Ok(Self { own: Some((entry, grant)), above })
    }

    /// Books what was decided on elsewhere, whatever the quotas say.
    pub(super) fn inherit(entry: Option<Arc<KeyEntry>>, owner: Option<Arc<Owner>>, amount_nanos: i64) -> Self {
        let own = entry.map(|entry| {
            let grant = entry.account.inherit(amount_nanos);
            (entry, grant)
        });
        let above = owner.map(|owner| {
            let grant = owner.account.inherit(amount_nanos);
            (owner, grant)
        });
        Self { own, above }
    }

    /// Who is billed besides the key.
    pub(super) fn user(&self) -> Option<&Arc<str>> {
        self.above.as_ref().map(|(owner, _)| &owner.name)
    }

    /// What is held, in nano-USD; 0: neither key nor user has a quota.
    pub(super) fn nanos(&self) -> i64 {
        self.booked().map(|(_, grant)| grant.nanos).max().unwrap_or(0)
    }

    /// Whether key or user has a quota.
    pub(super) fn is_limited(&self) -> bool {
        self.booked().any(|(_, grant)| grant.limited)
    }

    /// Turns it into an expense. To be called once, instead of [`Booking::void`].
    pub(super) fn settle(&self, cost_nanos: i64) {
        self.booked().for_each(|(account, grant)| account.settle(grant, cost_nanos));
    }

    /// Gives it back. To be called once, instead of [`Booking::settle`].
    pub(super) fn void(&self) {
        self.booked().for_each(|(account, grant)| account.void(grant));
    }

    fn booked(&self) -> impl Iterator<Item = (&Account, Grant)> {
        let own = self.own.as_ref().map(|(entry, grant)| (&entry.account, *grant));
        let above = self.above.as_ref().map(|(owner, grant)| (&owner.account, *grant));
        own.into_iter().chain(above)
    }
}
