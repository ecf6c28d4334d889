//! A secret that callers must know: only its digest is kept, and it is shown nowhere. And what else is a secret, by its name.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// Parts of names whose values are secrets. (`headers`: some of them are.)
const NAMES: [&str; 9] = ["auth", "key", "token", "secret", "password", "cookie", "signature", "credential", "headers"];

/// Whether what this names is a secret, as far as a name tells: of a key of a plugin's table, or of a header.
pub(crate) fn is_named_as_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part))
}

/// A secret that callers must know.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    /// The secret with this text.
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether this is the secret. How long it takes tells neither its length nor how much of a guess is right.
    pub fn is(&self, guess: &[u8]) -> bool {
        let guess: [u8; 32] = Sha256::digest(guess).into();
        self.0.ct_eq(&guess).into()
    }
}

/// Of a secret that can be guessed, a digest gives away as much as the secret itself.
impl fmt::Debug for SharedSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SharedSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::SharedSecret;

    #[test]
    fn is_itself_alone_and_shows_nothing() {
        let secret = SharedSecret::new("open sesame");
        assert!(secret.is(b"open sesame"));
        for guess in ["", "open sesam", "open sesame ", "Open sesame"] {
            assert!(!secret.is(guess.as_bytes()), "{guess}");
        }
        assert_eq!(format!("{secret:?}"), "SharedSecret(…)");
    }
}
