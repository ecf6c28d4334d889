//! Nonces: each for one login, within five minutes. What is given out is not kept, so those who only ask fill nothing: a nonce
//! says itself until when it is good, under a key of this process's own. Kept is what was used, a few for each wallet.

use crate::address::Address;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq;
use tollgate_plugin_api::{Reject, RejectCode};

/// A nonce is good for so long.
pub(crate) const NONCE_LIFE_MS: i64 = 5 * 60_000;
/// Logins of one wallet within that time.
const LOGINS_MAX: usize = 64;
/// Wallets whose used nonces are kept before those whose time is over are looked for.
const WALLETS_KEPT: usize = 1024;

const EXPIRY_BYTES: usize = 8;
const RANDOM_BYTES: usize = 16;
const BODY_BYTES: usize = EXPIRY_BYTES + RANDOM_BYTES;
const TAG_BYTES: usize = 16;

/// One that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Nonce {
    random: [u8; RANDOM_BYTES],
    /// By the steady clock.
    expires_at_ms: i64,
}

/// All of a process: a reload changes nothing.
pub(crate) struct Nonces {
    /// `None`: there was no randomness.
    key: Option<hmac::Key>,
    random: SystemRandom,
    used: Mutex<Used>,
}

/// Nonces that were used and whose time is not over yet.
#[derive(Default)]
struct Used {
    all: HashSet<Nonce>,
    by_wallet: HashMap<Address, Vec<Nonce>>,
}

impl Used {
    /// Forgets what nobody can come with any more.
    fn forget(&mut self, wallet: Address, steady_ms: i64) {
        let Some(own) = self.by_wallet.get_mut(&wallet) else { return };
        for over in own.extract_if(.., |nonce| nonce.expires_at_ms <= steady_ms) {
            self.all.remove(&over);
        }
        if own.is_empty() {
            self.by_wallet.remove(&wallet);
        }
    }
}

impl Default for Nonces {
    fn default() -> Self {
        let random = SystemRandom::new();
        Self { key: hmac::Key::generate(hmac::HMAC_SHA256, &random).ok(), random, used: Mutex::default() }
    }
}

impl Nonces {
    /// A new one; `None`: there is no randomness.
    pub(crate) fn make(&self, steady_ms: i64) -> Option<String> {
        let mut body = [0; BODY_BYTES];
        let (expiry, random) = body.split_at_mut(EXPIRY_BYTES);
        expiry.copy_from_slice(&steady_ms.saturating_add(NONCE_LIFE_MS).to_be_bytes());
        self.random.fill(random).ok()?;
        let tag = hmac::sign(self.key.as_ref()?, &body);
        Some(hex::encode([&body[..], &tag.as_ref()[..TAG_BYTES]].concat()))
    }

    /// `None`: it is none of ours, or its time is over.
    pub(crate) fn read(&self, text: &str, steady_ms: i64) -> Option<Nonce> {
        let bytes = hex::decode(text).ok().filter(|bytes| bytes.len() == BODY_BYTES + TAG_BYTES)?;
        // One way to write it.
        if hex::encode(&bytes) != text {
            return None;
        }
        let (body, tag) = bytes.split_at(BODY_BYTES);
        let right = hmac::sign(self.key.as_ref()?, body);
        let is_ours = bool::from(right.as_ref()[..TAG_BYTES].ct_eq(tag));
        let (expiry, random) = body.split_at(EXPIRY_BYTES);
        let expires_at_ms = i64::from_be_bytes(expiry.try_into().ok()?);
        (is_ours && steady_ms < expires_at_ms).then_some(Nonce { random: random.try_into().ok()?, expires_at_ms })
    }

    /// Takes it for this wallet: of all who come with it, one succeeds.
    ///
    /// # Errors
    /// It was used; or the wallet has logged in too often (429).
    pub(crate) fn take(&self, nonce: Nonce, wallet: Address, steady_ms: i64) -> Result<(), Reject> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget(wallet, steady_ms);
        if used.by_wallet.len() >= WALLETS_KEPT {
            let wallets: Vec<Address> = used.by_wallet.keys().copied().collect();
            wallets.into_iter().for_each(|wallet| used.forget(wallet, steady_ms));
        }
        if used.all.contains(&nonce) {
            return Err(Reject::new(RejectCode::AuthInvalidToken).message("The nonce was used"));
        }
        let own = used.by_wallet.entry(wallet).or_default();
        if own.len() >= LOGINS_MAX {
            let wait_ms = own.iter().map(|nonce| nonce.expires_at_ms).min().unwrap_or(steady_ms) - steady_ms;
            let wait_s = u64::try_from(wait_ms / 1000).unwrap_or(0) + 1;
            return Err(Reject::new(RejectCode::RateLimitExceeded)
                .message("This wallet has logged in too often")
                .retry_after_s(wait_s));
        }
        own.push(nonce);
        used.all.insert(nonce);
        Ok(())
    }
}
