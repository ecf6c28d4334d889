//! Where a caller's credential stands in a request.

use http::HeaderMap;
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Header fields that hold nothing but the credential, in the order in which they are tried after `Authorization`:
/// Anthropic's SDK, Google's, Azure's.
const BARE_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// The credential of a request: the first of `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key`, `?key=`.
/// A place without a value has none, and the next one is looked at. How long it can be is the server's limit on heads.
pub fn credential<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<Cow<'a, [u8]>> {
    let bearer = headers.get(http::header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let bare = |name: &&str| headers.get(*name).map(|value| value.as_bytes().trim_ascii());
    std::iter::once(bearer)
        .chain(BARE_HEADERS.iter().map(bare))
        .flatten()
        .find(|found| !found.is_empty())
        .map(Cow::Borrowed)
        .or_else(|| query.and_then(in_query))
}

/// What follows `Bearer ` (the scheme's case does not matter: RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

fn in_query(query: &str) -> Option<Cow<'_, [u8]>> {
    let value = query.split('&').filter_map(|pair| pair.strip_prefix("key=")).find(|value| !value.is_empty())?;
    // A broken percent sequence stays as it is, and so matches no key.
    Some(percent_decode(value.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::credential;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn found(pairs: &[(&'static str, &'static str)], query: Option<&str>) -> Option<String> {
        credential(&headers(pairs), query).map(|secret| String::from_utf8(secret.into_owned()).unwrap())
    }

    #[test]
    fn the_first_place_that_has_one_wins() {
        let places = [("x-api-key", "b"), ("x-goog-api-key", "c"), ("api-key", "d")];
        assert_eq!(found(&[("authorization", "Bearer a"), places[0]], Some("key=e")).as_deref(), Some("a"));
        for (from, want) in [(0, "b"), (1, "c"), (2, "d")] {
            assert_eq!(found(&places[from..], Some("key=e")).as_deref(), Some(want));
        }
        assert_eq!(found(&[], Some("alt=sse&key=e")).as_deref(), Some("e"));
        assert_eq!(found(&[], Some("monkey=e")), None);
        assert_eq!(found(&[], None), None);
    }

    #[test]
    fn the_scheme_is_read_as_http_reads_it() {
        assert_eq!(found(&[("authorization", "bearer  a ")], None).as_deref(), Some("a"));
        assert_eq!(found(&[("authorization", "Basic YTpi"), ("api-key", "d")], None).as_deref(), Some("d"));
    }

    #[test]
    fn a_place_without_a_value_hides_none() {
        let empty = [("authorization", "Bearer "), ("x-api-key", ""), ("x-goog-api-key", " ")];
        for from in 0..empty.len() {
            let headers = [&empty[from..], &[("api-key", "d")]].concat();
            assert_eq!(found(&headers, Some("key=e")).as_deref(), Some("d"), "{headers:?}");
            assert_eq!(found(&empty[from..], Some("key=&key=e")).as_deref(), Some("e"));
            assert_eq!(found(&empty[from..], Some("key=")), None);
        }
    }

    #[test]
    fn percent_sequences_in_the_query_are_read() {
        assert_eq!(found(&[], Some("key=sk%2Dtg")).as_deref(), Some("sk-tg"));
        assert_eq!(found(&[], Some("key=sk%2")).as_deref(), Some("sk%2"));
        assert_eq!(found(&[], Some("key=%zz")).as_deref(), Some("%zz"));
    }
}
