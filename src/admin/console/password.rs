//! Passwords: Argon2id, beside the runtime's threads; and the first admin's, which is made up.

use super::Desk;
use super::refusal::{Code, Refusal};
use crate::clock::unix_ms;
use crate::store::{Act, NewPerson, PersonChange, Role, Store, StoreError, StoreErrorKind};
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use secrecy::{ExposeSecret, SecretString};
use std::sync::LazyLock;

/// Characters of the shortest password that somebody may choose.
const CHARS_MIN: usize = 8;
/// Bytes of the longest one.
const BYTES_MAX: usize = 1024;
/// The name of the person that a first start makes.
const FIRST_NAME: &str = "admin";

/// What is compared where there is nobody: it takes as long.
static NOBODYS: LazyLock<String> = LazyLock::new(|| hash("nobody's").unwrap_or_default());

/// A hash, as PHC writes it.
fn hash(password: &str) -> Result<String, String> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(|error| error.to_string())?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

fn is(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A password that nobody guesses: 160 random bits.
pub(super) fn new_password() -> SecretString {
    let bits: [u8; 20] = rand::random();
    let letters = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut text = String::with_capacity(bits.len() * 8 / 5);
    for five in bits.chunks(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for at in (0..8).rev() {
            text.push(char::from(letters[(bits >> (5 * at) & 31) as usize]));
        }
    }
    text.into()
}

/// Whether somebody may have this password.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(field: &str, password: &str) -> Result<(), Refusal> {
    match () {
        () if password.chars().count() < CHARS_MIN => {
            Err(Refusal::field(field, format!("expected at least {CHARS_MIN} characters")))
        }
        () if password.len() > BYTES_MAX => Err(Refusal::field(field, format!("expected at most {BYTES_MAX} bytes"))),
        () => Ok(()),
    }
}

impl Desk {
    async fn hashing<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let unavailable = |message: String| Refusal::new(Code::Unavailable, message);
        let _leave = self.hashing.acquire().await.map_err(|error| unavailable(error.to_string()))?;
        self.backstage.run(run).await.map_err(|error| unavailable(error.to_string()))
    }

    /// The hash of a password.
    ///
    /// # Errors
    /// It could not be made.
    pub(super) async fn hash(&self, password: SecretString) -> Result<String, Refusal> {
        let hashed = self.hashing(move || hash(password.expose_secret())).await?;
        hashed.map_err(|error| Refusal::new(Code::Unavailable, error))
    }

    /// Whether this is the password with that hash; where there is none, it takes as long to say no.
    ///
    /// # Errors
    /// It could not be compared.
    pub(super) async fn is_password(&self, password: SecretString, hash: Option<String>) -> Result<bool, Refusal> {
        if password.expose_secret().len() > BYTES_MAX {
            return Ok(false);
        }
        self.hashing(move || {
            let compared = hash.as_ref().unwrap_or(&NOBODYS);
            is(password.expose_secret(), compared) && hash.is_some()
        })
        .await
    }
}

/// A password that nobody has chosen, and its hash.
fn made_up() -> Result<(SecretString, String), StoreError> {
    let password = new_password();
    let hash = hash(password.expose_secret())
        .map_err(|error| StoreError { kind: StoreErrorKind::Unavailable, message: error })?;
    Ok((password, hash))
}

/// Gives somebody another password, which is made up; all their sessions end.
///
/// # Errors
/// Nobody has that id; otherwise the store.
pub fn reset_password(store: &dyn Store, act: &Act, id: i64) -> Result<SecretString, StoreError> {
    let (password, password_hash) = made_up()?;
    let change = PersonChange { password_hash: Some(password_hash), ..PersonChange::default() };
    store.people().person_change(act, id, &change)?;
    Ok(password)
}

/// The admin of a first start: name and password.
pub struct FirstAdmin {
    /// What to sign in with.
    pub name: String,
    /// To be shown once.
    pub password: SecretString,
}

/// Makes an admin where there is nobody who can sign in.
///
/// # Errors
/// The store.
pub fn first_admin(store: &dyn Store) -> Result<Option<FirstAdmin>, StoreError> {
    if store.people().has_password()? {
        return Ok(None);
    }
    let (password, password_hash) = made_up()?;
    let act = Act { at_ms: unix_ms(), actor: Act::GATEWAY.into() };
    let (name, role, password_hash) = (FIRST_NAME.to_owned(), Role::Admin, Some(password_hash));
    let new = NewPerson { name, role, enabled: true, password_hash, quota_nanos: None, budget: None };
    Ok(store.people().person_first(&act, &new)?.map(|made| FirstAdmin { name: made.person.name, password }))
}

#[cfg(test)]
mod tests {
    use super::{hash, is, new_password};
    use secrecy::ExposeSecret;

    #[test]
    fn a_password_is_itself_alone() {
        let hashed = hash("open sesame").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(is("open sesame", &hashed));
        for guess in ["", "open sesam", "open sesame ", "Open sesame"] {
            assert!(!is(guess, &hashed), "{guess}");
        }
        assert_ne!(hash("open sesame").unwrap(), hashed, "the salt is its own");
        assert!(!is("x", "no hash"));
    }

    #[test]
    fn a_password_that_is_made_up_is_long_and_never_the_same() {
        let (one, other) = (new_password(), new_password());
        assert_eq!(one.expose_secret().len(), 32);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
