//! The bearer token of a login. It says itself whose it is and until when, under a key made of the configured secret: nothing is
//! kept, and a restart ends none.

use crate::address::Address;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// What every such token begins with. (It is masked wherever a key of ours is.)
const PREFIX: &str = "sk-tgw-";
/// What the key that signs them is made for; another number, when their form changes.
const PURPOSE: &[u8] = b"tollgate auth-siwe session 1";

const EXPIRY_BYTES: usize = 8;
const ADDRESS_BYTES: usize = 20;
/// Two logins in one second are two tokens.
const RANDOM_BYTES: usize = 16;
const BODY_BYTES: usize = EXPIRY_BYTES + ADDRESS_BYTES + RANDOM_BYTES;
const TAG_BYTES: usize = 32;

/// A login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) address: Address,
    /// Unix time in seconds.
    pub(crate) expires_at_s: i64,
}

/// Makes tokens and reads them. No `Debug`: it has the key.
pub(crate) struct Sessions(hmac::Key);

/// Whether a credential is to be read as such a token.
pub(crate) fn looks_like_one(credential: &[u8]) -> bool {
    credential.starts_with(PREFIX.as_bytes())
}

impl Sessions {
    pub(crate) fn new(secret: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, PURPOSE).as_ref()))
    }

    /// The token; `None`: there is no randomness.
    pub(crate) fn issue(&self, session: &Session) -> Option<String> {
        let mut random = [0; RANDOM_BYTES];
        SystemRandom::new().fill(&mut random).ok()?;
        let body = [&session.expires_at_s.to_be_bytes()[..], &session.address.0, &random].concat();
        let tag = hmac::sign(&self.0, &body);
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&body[..], tag.as_ref()].concat())))
    }

    /// `None`: not of ours.
    pub(crate) fn read(&self, token: &[u8]) -> Option<Session> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX.as_bytes())?).ok()?;
        if bytes.len() != BODY_BYTES + TAG_BYTES {
            return None;
        }
        let (body, tag) = bytes.split_at(BODY_BYTES);
        hmac::verify(&self.0, body, tag).ok()?;
        let (expiry, rest) = body.split_at(EXPIRY_BYTES);
        let address = Address(rest.get(..ADDRESS_BYTES)?.try_into().ok()?);
        Some(Session { address, expires_at_s: i64::from_be_bytes(expiry.try_into().ok()?) })
    }
}
