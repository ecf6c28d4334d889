//! Addresses of wallets, written with their checksum (EIP-55).

use sha3::{Digest, Keccak256};

const BYTES: usize = 20;

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address(pub(crate) [u8; BYTES]);

impl Address {
    /// `None`: it is none, or its checksum is not right. Without capitals where there should be some it has none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::without_checksum(text).filter(|address| address.text() == text)
    }

    /// The same, whatever its capitals.
    pub(crate) fn without_checksum(text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok().map(|()| Self(bytes))
    }

    /// As it is to be written: a letter is a capital where the digit of the hash says so.
    pub(crate) fn text(self) -> String {
        let digits = hex::encode(self.0);
        let hash = Keccak256::digest(&digits);
        let mut text = String::from("0x");
        for (at, digit) in digits.chars().enumerate() {
            let of_hash = if at % 2 == 0 { hash[at / 2] >> 4 } else { hash[at / 2] & 15 };
            text.push(if of_hash >= 8 { digit.to_ascii_uppercase() } else { digit });
        }
        text
    }
}
