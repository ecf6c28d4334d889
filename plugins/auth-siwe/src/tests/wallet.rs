//! A wallet.

use k256::ecdsa::{Signature, SigningKey};
use sha3::{Digest, Keccak256};

pub(super) struct Wallet(SigningKey);

impl Wallet {
    /// The wallet of this number, always the same.
    pub(super) fn new(number: u8) -> Self {
        Self(SigningKey::from_slice(&[number; 32]).unwrap())
    }

    pub(super) fn address(&self) -> String {
        let point = self.0.verifying_key().to_sec1_point(false);
        let hash = Keccak256::digest(&point.as_bytes()[1..]);
        crate::address::Address(hash[12..].try_into().unwrap()).text()
    }

    /// As `personal_sign` does.
    pub(super) fn sign(&self, message: &str) -> String {
        self.sign_bytes(format!("\x19Ethereum Signed Message:\n{}{message}", message.len()).as_bytes())
    }

    /// Without what `personal_sign` puts before it.
    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> String {
        let (signature, id) = self.0.sign_prehash_recoverable(&Keccak256::digest(bytes));
        written(&signature, 27 + id.to_byte())
    }
}

fn written(signature: &Signature, v: u8) -> String {
    format!("0x{}{v:02x}", hex::encode(signature.to_bytes()))
}

/// The other signature that is right for the same message and wallet.
pub(super) fn other_s(signature: &str) -> String {
    let bytes = hex::decode(&signature[2..]).unwrap();
    let given = Signature::from_slice(&bytes[..64]).unwrap();
    let other = Signature::from_scalars(given.r().to_bytes(), (-*given.s()).to_bytes()).unwrap();
    written(&other, 27 + 28 - bytes[64])
}
