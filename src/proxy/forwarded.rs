//! Who calls through proxies: X-Forwarded-For, as far as proxies that are trusted have written it.

use http::HeaderMap;
use http::header::HeaderName;
use std::net::{IpAddr, SocketAddr};
use tollgate_plugin_api::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: from the peer backwards, the first one that is no trusted proxy; if all are, the first of the chain.
/// `None`: a trusted proxy named its peer in words that are no address. Nobody knows then who called, and the proxy itself,
/// which may be allowed more, did not.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    // As bytes: a field that is no text must not vanish with what a proxy has put behind it.
    let fields = headers.get_all(X_FORWARDED_FOR).into_iter().rev();
    let hops = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    let mut hops = hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty());
    while is_trusted(client) {
        let Some(hop) = hops.next() else { break };
        client = address(hop)?;
    }
    Some(client)
}

/// An address; some proxies write the port behind it, and some put version 6 in brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::{Network, client_address};
    use http::{HeaderMap, HeaderValue};

    /// Proxies are 10/8, fd00::/8 and one of version 4; callers are let in from 10/8 and 192.0.2.0/24: the proxies' own network,
    /// too, as it is where everything inside is one network.
    const TRUSTED: [&str; 3] = ["10.0.0.0/8", "fd00::/8", "203.0.113.9"];
    const LET_IN: [&str; 2] = ["10.0.0.0/8", "192.0.2.0/24"];

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    /// The client of a request from this peer with these fields; and whether ip-allow would let it in.
    fn of(peer: &str, fields: &[&[u8]]) -> (Option<String>, bool) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(field).unwrap());
        }
        let client = client_address(peer.parse().unwrap(), &headers, &networks(&TRUSTED));
        let let_in = client.is_some_and(|client| networks(&LET_IN).iter().any(|network| network.contains(client)));
        (client.map(|client| client.to_string()), let_in)
    }

    /// What somebody outside may write to pass for somebody inside.
    const FORGED: [&[u8]; 34] = [
        b"10.0.0.1",
        b"192.0.2.1",
        b"10.0.0.1, 10.0.0.2",
        b"192.0.2.1, 10.0.0.1",
        b"10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5",
        b"127.0.0.1",
        b"::1",
        b"::ffff:10.0.0.1",
        b"[::ffff:10.0.0.1]",
        b"[::1]:80",
        b"fd00::1",
        b"203.0.113.9",
        b"10.0.0.1:80",
        b"010.0.0.1",
        b"0x0a.0.0.1",
        b"167772161",
        b"10.1",
        b"10.0.0.1%eth0",
        b"unknown",
        b"_hidden",
        b"localhost",
        b"",
        b" ",
        b",",
        b", ,",
        b"10.0.0.1,",
        b",10.0.0.1",
        b"\"10.0.0.1\"",
        b"for=10.0.0.1",
        b"\xff",
        b"10.0.0.1, \xff",
        b"\xff, 10.0.0.1",
        b"10.0.0.1\t",
        b"10.0.0.1;10.0.0.2",
    ];

    #[test]
    fn nobody_outside_passes_for_somebody_inside_whatever_they_write() {
        let mut tried = 0;
        for forged in FORGED {
            // Straight: what is written is not read.
            assert_eq!(of("6.6.6.6", &[forged]), (Some("6.6.6.6".into()), false));
            // Through a proxy that appends to the field, or adds one; through two; through one that writes the port.
            for (appended, ours) in
                [("6.6.6.6", ""), ("6.6.6.6", ", 10.0.0.9"), ("6.6.6.6:4711", ""), ("[2001:db8::6]", "")]
            {
                let behind = format!("{appended}{ours}");
                let joined = [forged, b", ", behind.as_bytes()].concat();
                for fields in
                    [&[&joined[..]][..], &[forged, behind.as_bytes()], &[forged, b"10.0.0.1", behind.as_bytes()]]
                {
                    for peer in ["10.0.0.8", "fd00::8", "203.0.113.9", "::ffff:10.0.0.8"] {
                        let (client, let_in) = of(peer, fields);
                        let expected = if appended.starts_with('[') { "2001:db8::6" } else { "6.6.6.6" };
                        assert_eq!((client.as_deref(), let_in), (Some(expected), false), "{peer}: {fields:?}");
                        tried += 1;
                    }
                }
            }
            // Through a proxy that names its peer in words: nobody knows who it is, and nobody is let in.
            for word in ["unknown", "_p1", "\u{ff}", "6.6.6.6 10.0.0.1", "6.6.6"] {
                let joined = [forged, b", ", word.as_bytes()].concat();
                assert_eq!(of("10.0.0.8", &[&joined]), (None, false), "{word}");
                tried += 1;
            }
        }
        assert!(tried > 1_000, "{tried}");
    }

    #[test]
    fn who_is_inside_is_known_through_any_number_of_proxies() {
        for (peer, field, client) in [
            ("192.0.2.7", None, "192.0.2.7"),
            ("10.0.0.8", None, "10.0.0.8"),
            ("10.0.0.8", Some("192.0.2.7"), "192.0.2.7"),
            ("10.0.0.8", Some("192.0.2.7, 10.0.0.9"), "192.0.2.7"),
            ("10.0.0.8", Some("6.6.6.6, 192.0.2.7,10.0.0.9 , fd00::1"), "192.0.2.7"),
            ("10.0.0.8", Some("10.0.0.7, 10.0.0.9"), "10.0.0.7"),
            ("10.0.0.8", Some("192.0.2.7:5000"), "192.0.2.7"),
            ("fd00::8", Some("192.0.2.7,"), "192.0.2.7"),
        ] {
            let fields: Vec<&[u8]> = field.iter().map(|field| field.as_bytes()).collect();
            assert_eq!(of(peer, &fields), (Some(client.to_owned()), true), "{peer}: {field:?}");
        }
    }
}
