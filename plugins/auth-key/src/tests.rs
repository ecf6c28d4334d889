use super::*;
use http::{HeaderMap, HeaderValue, Method};
use std::any::Any;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tollgate_plugin_api::{CredentialDigest, Key, KeyHandle};

struct OneKey(Arc<Key>, CredentialDigest);

impl KeyHandle for OneKey {
    fn key(&self) -> Arc<Key> {
        self.0.clone()
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

struct Ring(Arc<OneKey>);

impl KeyRing for Ring {
    fn find(&self, digest: &CredentialDigest) -> Option<Arc<dyn KeyHandle>> {
        (*digest == self.0.1).then(|| self.0.clone() as Arc<dyn KeyHandle>)
    }
}

struct At(i64);

impl Clock for At {
    fn now_ms(&self) -> i64 {
        self.0
    }
}

fn key(enabled: bool, expires_at_ms: Option<i64>) -> Key {
    Key {
        id: 7,
        name: "k".into(),
        user: None,
        group: "default".into(),
        models: Vec::new(),
        enabled,
        expires_at_ms,
        quota_nanos: None,
        rpm: None,
        tpm: None,
        concurrency: None,
    }
}

/// The plugin's verdict on a request with this credential, at time 1000.
fn verdict(key: Key, credential: Option<&'static str>) -> Result<i64, RejectCode> {
    let digest = Sha256::digest(b"sk-tg-right").into();
    let keys = Arc::new(Ring(Arc::new(OneKey(Arc::new(key), digest))));
    let plugin = build(toml::Table::new(), &Ports { keys, clock: Arc::new(At(1000)), ..Ports::to_nothing() }).unwrap();
    let mut headers = HeaderMap::new();
    if let Some(credential) = credential {
        headers.insert("x-api-key", HeaderValue::from_static(credential));
    }
    let mut head = RequestHead {
        method: &Method::POST,
        path: "/v1/messages",
        query: None,
        headers: &headers,
        client: None,
        key: None,
    };
    let outcome = match pin!(plugin.request_filter(&mut head)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("looking a key up never waits"),
    };
    outcome.map_err(|reject| reject.code)?;
    Ok(head.key.expect("an accepted request has a key").key().id)
}

#[test]
fn a_live_key_passes() {
    assert_eq!(verdict(key(true, None), Some("sk-tg-right")), Ok(7));
    assert_eq!(verdict(key(true, Some(1001)), Some("sk-tg-right")), Ok(7));
}

#[test]
fn everything_else_is_refused_with_its_own_code() {
    assert_eq!(verdict(key(true, None), None), Err(RejectCode::AuthMissingToken));
    assert_eq!(verdict(key(true, None), Some("sk-tg-wrong")), Err(RejectCode::AuthInvalidToken));
    assert_eq!(verdict(key(false, None), Some("sk-tg-right")), Err(RejectCode::AuthInvalidToken));
    assert_eq!(verdict(key(true, Some(1000)), Some("sk-tg-right")), Err(RejectCode::TokenExpired));
}

#[test]
fn unknown_settings_are_named() {
    let keys = Arc::new(Ring(Arc::new(OneKey(Arc::new(key(true, None)), [0; 32]))));
    let table = "realm = 1".parse().unwrap();
    let error = build(table, &Ports { keys, clock: Arc::new(At(0)), ..Ports::to_nothing() }).err().unwrap().to_string();
    assert!(error.contains("realm"), "{error}");
}
