//! Credentials of ours. Only their digests are kept anywhere.

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tollgate_plugin_api::CredentialDigest;

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
