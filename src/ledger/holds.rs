//! One balance, of a key or of the user above it: what it may spend, has spent, and has promised to requests that still run.

use parking_lot::Mutex;

/// The key cannot cover the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insufficient;

/// A balance as it was at one moment, in nano-USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What may be spent; `None`: unlimited.
    pub quota_nanos: Option<i64>,
    /// What was spent.
    pub spent_nanos: i64,
    /// What is promised to requests that still run.
    pub held_nanos: i64,
}

/// What a request was granted at admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Held for it, in nano-USD; 0 under an unlimited key.
    pub nanos: i64,
    /// True: there was a quota.
    pub limited: bool,
}

impl Balance {
    /// What is held when `amount_nanos` more is; `None`: there is no quota, and nothing is held.
    fn covers(&self, amount_nanos: i64) -> Result<Option<i64>, Insufficient> {
        let Some(quota_nanos) = self.quota_nanos else { return Ok(None) };
        if self.spent_nanos >= quota_nanos {
            return Err(Insufficient);
        }
        let held_nanos = self.held_nanos.checked_add(amount_nanos).ok_or(Insufficient)?;
        let promised_nanos = self.spent_nanos.checked_add(held_nanos).ok_or(Insufficient)?;
        if promised_nanos > quota_nanos { Err(Insufficient) } else { Ok(Some(held_nanos)) }
    }

    fn book(&mut self, held_nanos: Option<i64>, amount_nanos: i64) -> Grant {
        let Some(held_nanos) = held_nanos else { return Grant { nanos: 0, limited: false } };
        self.held_nanos = held_nanos;
        Grant { nanos: amount_nanos, limited: true }
    }
}

/// The balance of one key in memory: the only place where admission is decided.
///
/// A hold compares the sum of two numbers with a third that the operator may change at any moment, so all three sit
/// behind one lock: the decision and its booking are one step, and no interleaving can overspend. The lock is one byte,
/// the section a few additions without a call or an allocation; packing the numbers into one atomic would lose either
/// the range or the live change of the quota.
#[derive(Debug, Default)]
pub struct Account {
    balance: Mutex<Balance>,
}

impl Account {
    /// A balance with nothing held.
    pub fn new(quota_nanos: Option<i64>, spent_nanos: i64) -> Self {
        Self { balance: Mutex::new(Balance { quota_nanos, spent_nanos, held_nanos: 0 }) }
    }

    /// Books `amount_nanos` if the quota covers what was spent, what is held, and this. An unlimited one holds nothing.
    ///
    /// # Errors
    /// The quota does not cover it. A quota that is used up refuses every amount, zero too.
    pub fn hold(&self, amount_nanos: i64) -> Result<Grant, Insufficient> {
        let amount_nanos = amount_nanos.max(0);
        let mut balance = self.balance.lock();
        let held_nanos = balance.covers(amount_nanos)?;
        Ok(balance.book(held_nanos, amount_nanos))
    }

    /// Books it here and on the account above, if both cover it, in one step: what is above refuses never takes room here.
    ///
    /// # Errors
    /// One of them does not cover it; nothing is booked.
    pub fn hold_under(&self, above: &Self, amount_nanos: i64) -> Result<(Grant, Grant), Insufficient> {
        let amount_nanos = amount_nanos.max(0);
        // Always the one above first.
        let mut above = above.balance.lock();
        let mut own = self.balance.lock();
        let (held_nanos, held_above_nanos) = (own.covers(amount_nanos)?, above.covers(amount_nanos)?);
        Ok((own.book(held_nanos, amount_nanos), above.book(held_above_nanos, amount_nanos)))
    }

    /// Books a hold that was decided on elsewhere: it is there, whatever the quota says.
    pub fn inherit(&self, amount_nanos: i64) -> Grant {
        let mut balance = self.balance.lock();
        // As much as the sum can take, so that what is given back later is what was booked.
        let nanos = amount_nanos.clamp(0, i64::MAX - balance.held_nanos.max(0));
        balance.held_nanos += nanos;
        Grant { nanos, limited: nanos > 0 || balance.quota_nanos.is_some() }
    }

    /// Turns a hold into an expense. The cost may be more than was held.
    pub fn settle(&self, grant: Grant, cost_nanos: i64) {
        let mut balance = self.balance.lock();
        balance.held_nanos -= grant.nanos;
        balance.spent_nanos = balance.spent_nanos.saturating_add(cost_nanos.max(0));
    }

    /// Gives a hold back.
    pub fn void(&self, grant: Grant) {
        self.balance.lock().held_nanos -= grant.nanos;
    }

    /// Changes the quota for every later hold; what is held stays held.
    pub fn set_quota(&self, quota_nanos: Option<i64>) {
        self.balance.lock().quota_nanos = quota_nanos;
    }

    /// Sets what was spent, as the store has it: at start, before anything is held.
    pub fn set_spent(&self, spent_nanos: i64) {
        self.balance.lock().spent_nanos = spent_nanos;
    }

    /// The balance at this moment.
    pub fn balance(&self) -> Balance {
        *self.balance.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// `threads` threads at once try `tries` holds each; how many were granted.
    fn granted(account: &Account, threads: usize, tries: usize, amount: i64) -> usize {
        let barrier = Barrier::new(threads);
        let granted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..tries {
                        if account.hold(amount).is_ok() {
                            granted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        granted.into_inner()
    }

    #[test]
    fn a_thousand_holds_at_once_admit_exactly_what_fits() {
        for room in [1, 7, 100, 999] {
            let account = Account::new(Some(room * 10 + 9), 0);
            assert_eq!(granted(&account, 50, 20, 10), room as usize);
            assert_eq!(account.balance().held_nanos, room * 10);
        }
    }

    #[test]
    fn keys_of_one_user_together_never_spend_more_than_the_user_has() {
        let user = Account::new(Some(100), 0);
        let keys: Vec<Account> = (0..8).map(|_| Account::new(Some(40), 0)).collect();
        let granted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for key in &keys {
                scope.spawn(|| {
                    for _ in 0..20 {
                        if let Ok((own, above)) = key.hold_under(&user, 10) {
                            assert_eq!((own.nanos, above.nanos), (10, 10));
                            granted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(granted.into_inner(), 10);
        assert_eq!(user.balance().held_nanos, 100);
        let held: i64 = keys.iter().map(|key| key.balance().held_nanos).sum();
        assert_eq!(held, 100, "what the user's account refused takes no room in the key's");
        assert!(keys.iter().all(|key| key.balance().held_nanos <= 40));
    }

    #[test]
    fn an_unlimited_key_is_limited_by_its_user_and_an_unlimited_user_by_nothing() {
        let (key, user) = (Account::new(None, 0), Account::new(Some(10), 0));
        let (own, above) = key.hold_under(&user, 7).unwrap();
        assert_eq!((own.nanos, above.nanos), (0, 7));
        assert_eq!(key.hold_under(&user, 4), Err(Insufficient));
        user.set_quota(None);
        assert!(key.hold_under(&user, i64::MAX).is_ok());
    }

    #[test]
    fn the_quota_may_change_while_holds_are_taken() {
        let account = Account::new(Some(0), 0);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..=500).for_each(|quota| account.set_quota(Some(quota))));
            scope.spawn(|| {
                while account.balance().held_nanos < 500 {
                    let _ = account.hold(1);
                    let balance = account.balance();
                    assert!(Some(balance.held_nanos + balance.spent_nanos) <= balance.quota_nanos);
                }
            });
        });
        assert_eq!(account.hold(1), Err(Insufficient));
    }

    #[test]
    fn an_expense_above_the_hold_blocks_the_key() {
        let account = Account::new(Some(100), 0);
        let grant = account.hold(40).unwrap();
        account.settle(grant, 130);
        assert_eq!(account.balance(), Balance { quota_nanos: Some(100), spent_nanos: 130, held_nanos: 0 });
        assert_eq!(account.hold(0), Err(Insufficient));
        account.set_quota(Some(131));
        assert!(account.hold(1).is_ok());
        assert_eq!(account.hold(1), Err(Insufficient));
        assert!(account.hold(0).is_ok(), "held, not spent: a free request may pass");
    }

    #[test]
    fn an_unlimited_key_holds_nothing_and_a_hold_survives_a_change_of_quota() {
        let account = Account::new(None, 5);
        let unlimited = account.hold(i64::MAX).unwrap();
        assert_eq!(unlimited, Grant { nanos: 0, limited: false });
        account.set_quota(Some(10));
        let limited = account.hold(5).unwrap();
        account.set_quota(None);
        account.void(limited);
        account.settle(unlimited, 3);
        assert_eq!(account.balance(), Balance { quota_nanos: None, spent_nanos: 8, held_nanos: 0 });
    }

    #[test]
    fn absurd_amounts_neither_overflow_nor_give_credit() {
        let account = Account::new(Some(i64::MAX), 1);
        assert_eq!(account.hold(i64::MAX), Err(Insufficient));
        let grant = account.hold(-5).unwrap();
        account.settle(grant, -5);
        assert_eq!(account.balance().spent_nanos, 1);
        account.settle(grant, i64::MAX);
        assert_eq!(account.balance().spent_nanos, i64::MAX);
    }
}
