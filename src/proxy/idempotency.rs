//! A client's idempotency keys, as an upstream sees them. To a provider, all keys of ours that share an upstream are one account,
//! and so one namespace: a client that draws (or guesses) what another one used would be given the other's answer. Each key of
//! ours has a namespace of its own instead.

use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tollgate_plugin_api::Key;
use uuid::Builder;

/// The field, as the vendors' SDKs and some vendors' own pages name it.
const FIELDS: [HeaderName; 2] =
    [HeaderName::from_static("idempotency-key"), HeaderName::from_static("x-idempotency-key")];

/// Puts every idempotency key into its caller's namespace: the same for every attempt and every time the client tries again.
pub(super) fn separate(key: &Key, headers: &mut HeaderMap) {
    for field in FIELDS {
        if let http::header::Entry::Occupied(mut values) = headers.entry(field) {
            values.iter_mut().for_each(|value| *value = separated(key, value));
        }
    }
}

/// A digest of both, written as a UUID: every vendor takes what looks like one, however long the client's was.
fn separated(key: &Key, value: &HeaderValue) -> HeaderValue {
    let mut digest = Sha256::new();
    digest.update(b"tollgate idempotency key\0");
    digest.update(key.id.to_be_bytes());
    // Ids begin anew with every store; names have no such byte.
    digest.update(key.name.as_bytes());
    digest.update(b"\0");
    digest.update(value.as_bytes());
    let digest: [u8; 32] = digest.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    let mut text = [0; 36];
    // Version 8 is for digests of one's own (RFC 9562, section 5.8).
    let text = Builder::from_custom_bytes(half).into_uuid().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}
