//! Credentials of ours. Only their digests are kept anywhere.

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tollgate_plugin_api::CredentialDigest;
use zeroize::Zeroizing;

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
    let digits = Zeroizing::new(hex::encode(bits));
    let text = [CREDENTIAL_PREFIX, digits.as_str()].concat();
    let digest = digest_of(&text);
    Credential { secret: text.into(), digest }
}

/// The digest by which a credential is stored and found: SHA-256 of the whole text, prefix included.
pub fn digest_of(credential: &str) -> CredentialDigest {
    Sha256::digest(credential.as_bytes()).into()
}
