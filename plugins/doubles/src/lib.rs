//! Stand-ins for the gateway in the tests of its plugins: keys, a clock that the test sets, and a caller. No released code
//! depends on it.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use tollgate_plugin_api::{Clock, CredentialDigest, Key, KeyHandle, KeyRing};

/// A key with this name that may do everything; its id is 7.
pub fn key(name: &str) -> Key {
    Key {
        id: 7,
        name: name.into(),
        named_by_operator: true,
        user: None,
        group: "default".into(),
        models: Vec::new(),
        enabled: true,
        expires_at_ms: None,
        quota_nanos: None,
        rpm: None,
        tpm: None,
        concurrency: None,
    }
}

struct Handle(Arc<Key>);

impl KeyHandle for Handle {
    fn key(&self) -> Arc<Key> {
        self.0.clone()
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A key as the gateway hands it out.
pub fn handle(key: Key) -> Arc<dyn KeyHandle> {
    Arc::new(Handle(Arc::new(key)))
}

/// The keys that there are.
#[derive(Default)]
pub struct Ring {
    keys: Vec<(Option<CredentialDigest>, Key)>,
}

impl Ring {
    /// Keys that are found by their names, and by no credential.
    pub fn named(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { keys: keys.into_iter().map(|key| (None, key)).collect() }
    }

    /// One key, which this credential has, too.
    pub fn of(digest: CredentialDigest, key: Key) -> Self {
        Self { keys: vec![(Some(digest), key)] }
    }

    fn first(&self, is_it: impl Fn(&Option<CredentialDigest>, &Key) -> bool) -> Option<Arc<dyn KeyHandle>> {
        let found = self.keys.iter().find(|(digest, key)| is_it(digest, key));
        found.map(|(_, key)| handle(key.clone()))
    }
}

impl KeyRing for Ring {
    fn find(&self, digest: &CredentialDigest) -> Option<Arc<dyn KeyHandle>> {
        self.first(|known, _| known.as_ref() == Some(digest))
    }

    fn find_by_name(&self, name: &str) -> Option<Arc<dyn KeyHandle>> {
        self.first(|_, key| *key.name == *name && key.named_by_operator)
    }
}

/// A clock that shows what the test sets, in Unix milliseconds.
#[derive(Debug)]
pub struct Hands(AtomicI64);

impl Hands {
    /// It shows this.
    pub fn at(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// So much time passes.
    pub fn pass_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What comes of something that must not wait.
///
/// # Panics
/// It waits.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("nothing here may wait"),
    }
}
