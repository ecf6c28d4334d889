//! An issuer's public keys (JWK Set, RFC 7517, 5). What is not for checking signatures, or of a kind that is not used here, is
//! passed over, as that RFC asks.

use crate::algorithm::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;
use std::ops::RangeInclusive;

/// A set is no larger …
pub(crate) const SET_BYTES_MAX: usize = 256 * 1024;
/// … and has no more keys.
const KEYS_MAX: usize = 64;
/// A key's id is no longer.
const KEY_ID_BYTES_MAX: usize = 256;
/// RSA: 2048 to 8192 bits.
const MODULUS_BYTES: RangeInclusive<usize> = 256..=1024;
const EXPONENT_BYTES_MAX: usize = 8;
/// P-256.
const COORDINATE_BYTES: usize = 32;
/// How a point begins that is not compressed (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// What signatures are checked with.
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point, not compressed.
    P256(Vec<u8>),
}

/// One key.
pub(crate) struct PublicKey {
    id: Option<String>,
    material: Material,
}

impl PublicKey {
    /// `None`: not for us.
    fn read(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).map(|value| value.as_str().unwrap_or_default());
        let material = match text("kty")? {
            "RSA" => {
                let (modulus, exponent) = (number(text("n")?)?, number(text("e")?)?);
                let fits = MODULUS_BYTES.contains(&modulus.len()) && exponent.len() <= EXPONENT_BYTES_MAX;
                fits.then_some(Material::Rsa { modulus, exponent })?
            }
            "EC" if text("crv") == Some("P-256") => {
                let mut point = vec![UNCOMPRESSED];
                for name in ["x", "y"] {
                    let coordinate = URL_SAFE_NO_PAD.decode(text(name)?).ok()?;
                    point.extend((coordinate.len() == COORDINATE_BYTES).then_some(coordinate)?);
                }
                Material::P256(point)
            }
            _ => return None,
        };
        let id = text("kid");
        let found = Self { id: id.map(str::to_owned), material };
        let is_named = id.is_none_or(|id| !id.is_empty() && id.len() <= KEY_ID_BYTES_MAX);
        let is_for_signatures = text("use").is_none_or(|purpose| purpose == "sig")
            && text("alg").is_none_or(|name| name == found.algorithm().name())
            && key
                .get("key_ops")
                .is_none_or(|all| all.as_array().is_some_and(|all| all.iter().any(|op| op == "verify")));
        (is_named && is_for_signatures).then_some(found)
    }

    /// The one that it is for: a key's type decides, never a token.
    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
        }
    }

    /// Whether this is the signature of its owner.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let checked = match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature),
        };
        checked.is_ok()
    }
}

/// A number without leading zeros (RFC 7518, 2).
fn number(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.first().is_some_and(|first| *first != 0))
}

/// The keys of an issuer.
pub(crate) struct KeySet(Vec<PublicKey>);

impl KeySet {
    /// # Errors
    /// It is no set, has no key that is of use, or two under one name.
    pub(crate) fn read(json: &[u8]) -> Result<Self, String> {
        if json.len() > SET_BYTES_MAX {
            return Err(format!("it has more than {SET_BYTES_MAX} bytes"));
        }
        let set: Value = serde_json::from_slice(json).map_err(|_| "it is no JSON, expected a JWK set".to_owned())?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("it has no list `keys`, expected a JWK set")?;
        if keys.len() > KEYS_MAX {
            return Err(format!("it has more than {KEYS_MAX} keys"));
        }
        let found: Vec<PublicKey> = keys.iter().filter_map(PublicKey::read).collect();
        if found.is_empty() {
            return Err("it has no key for RS256 or ES256".to_owned());
        }
        for (at, key) in found.iter().enumerate() {
            let is_same = |other: &PublicKey| other.algorithm() == key.algorithm() && other.id == key.id;
            if key.id.is_some() && found[..at].iter().any(is_same) {
                return Err("it has two keys with one `kid`".to_owned());
            }
        }
        Ok(Self(found))
    }

    /// The key of this name; without a name, the only one that there is. It is looked for here and nowhere else.
    pub(crate) fn find(&self, algorithm: Algorithm, id: Option<&str>) -> Option<&PublicKey> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm() == algorithm);
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}
