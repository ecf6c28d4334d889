//! Who has signed a message (EIP-191, `personal_sign`): secp256k1 gives the signer's public key back, and its hash the address.

use crate::address::Address;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};

/// `r` and `s`.
const POINT_BYTES: usize = 64;
/// With `v`.
const SIGNATURE_BYTES: usize = 65;
/// `v` says which of two keys it is, counted from 27; some wallets of hardware count from 0.
const FIRST_V: [u8; 2] = [27, 0];

/// The address whose wallet has signed this, `None`: this is no signature, or one that could be written otherwise.
pub(crate) fn signer(message: &str, signature: &str) -> Option<Address> {
    let bytes = hex::decode(signature.strip_prefix("0x")?).ok().filter(|bytes| bytes.len() == SIGNATURE_BYTES)?;
    let (point, v) = bytes.split_at(POINT_BYTES);
    let signature = Signature::from_slice(point).ok()?;
    // For each signature there is a second one, which anybody can make of it: EIP-2 has the one with the lower `s`.
    if signature.normalize_s() != signature {
        return None;
    }
    let v = v.first()?;
    let which = FIRST_V.iter().find_map(|first| v.checked_sub(*first).filter(|which| *which <= 1))?;
    let key = VerifyingKey::recover_from_prehash(&hash(message), &signature, RecoveryId::from_byte(which)?).ok()?;
    let point = key.to_sec1_point(false);
    // Without the byte that says how it is written.
    let hashed = Keccak256::digest(point.as_bytes().get(1..)?);
    hashed[12..].try_into().ok().map(Address)
}

fn hash(message: &str) -> [u8; 32] {
    let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
    Keccak256::digest(prefixed.as_bytes()).into()
}
