//! Keys: the virtual credentials that Tollgate issues, and the port through which a plugin looks one up.

use crate::RejectCode;
use std::sync::Arc;

/// SHA-256 of a credential: the only form in which one is stored or looked up.
pub type CredentialDigest = [u8; 32];

/// What a key may do: the immutable view of one row. Balances are not here; they are the ledger's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The row's id.
    pub id: i64,
    /// What it is called.
    pub name: Arc<str>,
    /// Somebody more than a user has called it so: only then it is found by its name ([`KeyRing::find_by_name`]).
    pub named_by_operator: bool,
    /// The person or team it belongs to, if any.
    pub user: Option<Arc<str>>,
    /// The group whose upstreams it may use.
    pub group: Arc<str>,
    /// Models it may use; empty: every model of its group.
    pub models: Vec<String>,
    /// False: refused with `AUTH_INVALID_TOKEN`.
    pub enabled: bool,
    /// Unix time in milliseconds from which it is refused with `TOKEN_EXPIRED`; `None`: never.
    pub expires_at_ms: Option<i64>,
    /// What it may spend in nano-USD; `None`: unlimited.
    pub quota_nanos: Option<i64>,
    /// Requests a minute; `None`: no limit.
    pub rpm: Option<u64>,
    /// Tokens a minute; `None`: no limit.
    pub tpm: Option<u64>,
    /// Requests at once; `None`: no limit.
    pub concurrency: Option<u64>,
}

impl Key {
    /// Whether a request may come with it now, however its caller has shown that it is theirs.
    ///
    /// # Errors
    /// It is disabled, or its time is over.
    pub fn check(&self, now_ms: i64) -> Result<(), RejectCode> {
        if !self.enabled {
            Err(RejectCode::AuthInvalidToken)
        } else if self.expires_at_ms.is_some_and(|at| at <= now_ms) {
            Err(RejectCode::TokenExpired)
        } else {
            Ok(())
        }
    }
}

/// A key that was looked up for a request, with whatever state the gateway keeps beside it.
pub trait KeyHandle: Send + Sync {
    /// The row as it is in force now.
    fn key(&self) -> Arc<Key>;

    /// Whether it may be used at that Unix time in milliseconds.
    ///
    /// # Errors
    /// As [`Key::check`] says.
    fn check(&self, now_ms: i64) -> Result<(), RejectCode> {
        self.key().check(now_ms)
    }

    /// Downcast for the gateway, which made it.
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// Port: finds the key of a credential. Never waits: keys are in memory.
pub trait KeyRing: Send + Sync {
    /// The key whose credential has this digest.
    fn find(&self, digest: &CredentialDigest) -> Option<Arc<dyn KeyHandle>>;

    /// The key with this name, for callers who show by other means who they are; none that is not [`Key::named_by_operator`]: users
    /// name their own keys, and none of these is what another's token means. None before [`KeyRing::index_names`].
    fn find_by_name(&self, _name: &str) -> Option<Arc<dyn KeyHandle>> {
        None
    }

    /// To be called when a plugin is made that looks keys up by name: of a million keys an index is made only where one does.
    fn index_names(&self) {}
}

/// Port: the time, so that plugins can be tested without waiting.
pub trait Clock: Send + Sync {
    /// Unix time in milliseconds, as the machine has it: it jumps when somebody sets the machine's clock.
    fn now_ms(&self) -> i64;

    /// Milliseconds that pass as time does, whatever becomes of the machine's clock; for how long ago something was.
    fn steady_ms(&self) -> i64 {
        self.now_ms()
    }
}
