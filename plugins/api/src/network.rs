//! IP networks, as configurations name them.

use std::fmt;
use std::net::IpAddr;

/// An IP network: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Reads `ADDRESS/BITS` or `ADDRESS`.
    ///
    /// # Errors
    /// What is wrong with it, without the text itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| "not an IP address or network".to_string())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            None => most,
            Some(bits) => bits
                .parse::<u8>()
                .ok()
                .filter(|n| *n <= most && !bits.starts_with('+'))
                .ok_or_else(|| format!("the prefix length is not a number from 0 to {most}"))?,
        };
        let network = Self { address, prefix_bits };
        if network.contains(address) && significant(address) & !network.mask() != 0 {
            return Err(format!("bits are set behind the prefix, did you mean `{}`?", network.base()));
        }
        Ok(network)
    }

    /// True if the address lies in it. An IPv4 address in its IPv6 form (`::ffff:a.b.c.d`) counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && significant(address) & self.mask() == significant(self.address) & self.mask()
    }

    /// Ones where the prefix is, aligned as [`significant`].
    fn mask(&self) -> u128 {
        match self.prefix_bits {
            0 => 0,
            bits => u128::MAX << (128 - u32::from(bits)),
        }
    }

    /// The same network without the bits behind its prefix.
    fn base(&self) -> Self {
        let bits = significant(self.address) & self.mask();
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(((bits >> 96) as u32).into()),
            IpAddr::V6(_) => IpAddr::V6(bits.into()),
        };
        Self { address, ..*self }
    }
}

/// The address's bits, the first one topmost.
fn significant(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn contains_what_the_prefix_covers() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("::1", "::1", "::2"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{outside} not in {network}");
        }
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in
            ["", "10", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "ten/8", "10.0.0.0/-1", "10.0.0.0/8/8"]
        {
            assert!(Network::parse(text).is_err(), "{text}");
        }
        assert!(Network::parse("10.1.0.0/8").unwrap_err().contains("`10.0.0.0/8`"));
        assert!(Network::parse("fd01::/8").unwrap_err().contains("`fd00::/8`"));
    }
}
