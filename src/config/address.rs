//! Addresses to listen on.

use std::net::SocketAddr;

const EXPECTED: &str = "expected an IP address and a port: `127.0.0.1:3000`, `[::1]:3000`, `0.0.0.0:3000` for all";

/// # Errors
/// What is wrong with it, and what was expected.
pub(super) fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let guess = match text.rsplit_once(':') {
        None if text.parse::<std::net::IpAddr>().is_ok() => ": the port is missing",
        None if text.parse::<u16>().is_ok() => ": the address is missing",
        Some(("" | "*", _)) => ", did you mean `0.0.0.0` before the port?",
        Some(("localhost", _)) => ", did you mean `127.0.0.1`?",
        Some((host, port)) if host.parse::<std::net::IpAddr>().is_ok() && port.parse::<u16>().is_err() => {
            ": the port is not a number from 0 to 65535"
        }
        _ => "",
    };
    Err(format!("not an address{guess} ({EXPECTED})"))
}

/// Whether nobody can listen on both: they are the same, or one is all addresses of the machine.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_same = one.ip() == other.ip() || takes(one, other) || takes(other, one);
    one.port() != 0 && one.port() == other.port() && is_same
}

/// Whether `all` is all addresses, those of the other one's kind among them.
fn takes(all: SocketAddr, other: SocketAddr) -> bool {
    let kind = all.is_ipv4() == other.is_ipv4() || all.is_ipv6() && ipv6_takes_ipv4();
    all.ip().is_unspecified() && kind
}

/// Whether who listens on `[::]` listens on all of IPv4, too: so it is, unless the system says otherwise.
fn ipv6_takes_ipv4() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|only| only.trim() == "0")
}
