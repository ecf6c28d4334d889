//! Addresses of wallets, written with their checksum (EIP-55).

use sha3::{Digest, Keccak256};

const BYTES: usize = 20;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

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
        bytes_of(text.strip_prefix("0x")?)?.try_into().ok().map(Self)
    }

    /// As it is to be written: a letter is a capital where the digit of the hash says so.
    pub(crate) fn text(self) -> String {
        let digits: Vec<u8> = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15].map(digit)).collect();
        let hash = Keccak256::digest(&digits);
        let mut text = String::from("0x");
        for (at, digit) in digits.iter().enumerate() {
            let of_hash = if at % 2 == 0 { hash[at / 2] >> 4 } else { hash[at / 2] & 15 };
            text.push(char::from(if of_hash >= 8 { digit.to_ascii_uppercase() } else { *digit }));
        }
        text
    }
}

fn digit(value: u8) -> u8 {
    DIGITS[usize::from(value & 15)]
}

/// Bytes as hexadecimal digits, two each.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|value| char::from(digit(value)))).collect()
}

/// The bytes of hexadecimal digits of either case.
pub(crate) fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?)).collect())?
}
