//! The text of an address, without the formatting machinery: it is written for every request, several times.

use crate::short::ShortText;
use std::fmt::Write;
use std::net::IpAddr;

/// The longest: eight groups of four digits, the last two as an IPv4 address.
const BYTES_MAX: usize = 45;

/// How an address is displayed.
pub struct AddressText(ShortText<BYTES_MAX>);

impl AddressText {
    /// The text of this one.
    pub fn of(address: IpAddr) -> Self {
        let mut text = ShortText::default();
        match address {
            IpAddr::V4(address) => {
                let mut number = itoa::Buffer::new();
                let [first, rest @ ..] = address.octets();
                text.put(number.format(first));
                for octet in rest {
                    text.put(".");
                    text.put(number.format(octet));
                }
            }
            // It always fits.
            IpAddr::V6(address) => drop(write!(text, "{address}")),
        }
        Self(text)
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_displayed() {
        for address in [
            "192.0.2.7",
            "0.0.0.0",
            "255.255.255.255",
            "2001:db8::7",
            "::ffff:1.2.3.4",
            "1111:2222:3333:4444:5555:6666:7777:8888",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(AddressText::of(address).as_str(), address.to_string());
        }
    }
}
