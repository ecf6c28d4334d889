//! Masks credentials where they must not be read: our own provider key where an upstream echoes it, or a part of it, in an
//! error answer, and whatever looks like a key in the words of a client that plugins are told.

use http::{HeaderMap, HeaderValue};
use std::borrow::Cow;

/// Shorter parts are not masked: they tell nothing, and occur by chance.
const FRAGMENT_BYTES: usize = 8;

/// What a client chose is cut off here, in characters.
const CLIENT_CHARS_MAX: usize = 512;
/// How provider keys and ours begin; what so begins and goes on for a while is masked wherever a client may have put it.
const SECRET_PREFIX: &str = "sk-";
/// Its last byte: few texts have one.
const SECRET_PREFIX_END: u8 = b'-';
const SECRET_CHARS_MIN: usize = 12;

/// Every part of some secrets of that length, sorted. No `Debug`: they are the secrets.
#[derive(Clone, Default)]
pub struct Fragments {
    parts: Vec<[u8; FRAGMENT_BYTES]>,
    /// The length of the shortest secret; zero: there is none.
    secret_bytes_min: usize,
}

impl Fragments {
    /// The parts of these secrets.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets: Vec<&[u8]> =
            secrets.into_iter().map(str::as_bytes).filter(|secret| secret.len() >= FRAGMENT_BYTES).collect();
        let windows = secrets.iter().flat_map(|secret| secret.windows(FRAGMENT_BYTES));
        let mut parts: Vec<_> = windows.filter_map(|window| window.try_into().ok()).collect();
        parts.sort_unstable();
        parts.dedup();
        Self { parts, secret_bytes_min: secrets.iter().map(|secret| secret.len()).min().unwrap_or(0) }
    }
}

/// Replaces every part of the secret by asterisks; the length stays.
pub(super) fn mask(text: &mut [u8], fragments: &Fragments) {
    if fragments.parts.is_empty() {
        return;
    }
    let mut masked_to = 0;
    let mut found = Vec::new();
    for (at, window) in text.windows(FRAGMENT_BYTES).enumerate() {
        if fragments.parts.binary_search_by(|part| part.as_slice().cmp(window)).is_ok() {
            found.push(at.max(masked_to)..at + FRAGMENT_BYTES);
            masked_to = at + FRAGMENT_BYTES;
        }
    }
    for range in found {
        text[range].fill(b'*');
    }
}

/// The same in the fields of a head. `failed`: of an error, which may tell parts of a secret; else only what has room for a
/// whole one is looked at.
pub(super) fn mask_fields(headers: &mut HeaderMap, fragments: &Fragments, failed: bool) {
    let bytes_min = if failed { FRAGMENT_BYTES } else { fragments.secret_bytes_min };
    if bytes_min == 0 {
        return;
    }
    for value in headers.values_mut().filter(|value| value.len() >= bytes_min) {
        let mut text = value.as_bytes().to_vec();
        mask(&mut text, fragments);
        // Asterisks can stand wherever what they replace stood.
        if text != value.as_bytes()
            && let Ok(masked) = HeaderValue::from_bytes(&text)
        {
            *value = masked;
        }
    }
}

/// What a client chose, short, and without anything that looks like a credential.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let is_short = text.len() <= CLIENT_CHARS_MAX;
    let end = if is_short { None } else { text.char_indices().nth(CLIENT_CHARS_MAX) };
    without_credentials(end.map_or(text, |(end, _)| &text[..end]))
}

/// A text with everything masked that looks like a credential.
pub(super) fn without_credentials(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if !memchr::memchr_iter(SECRET_PREFIX_END, bytes).any(|at| bytes[..=at].ends_with(SECRET_PREFIX.as_bytes())) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(SECRET_PREFIX) {
        let (before, found) = rest.split_at(at);
        let tail = found.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let found = &found[..found.len() - tail.len()];
        out.push_str(before);
        let is_secret = found.len() >= SECRET_PREFIX.len() + SECRET_CHARS_MIN;
        out.push_str(if is_secret { "sk-***" } else { found });
        rest = tail;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{CLIENT_CHARS_MAX, Fragments, harmless, mask};

    fn masked(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        mask(&mut bytes, &Fragments::of(["sk-live-0123456789"]));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_key_and_its_parts_are_masked_and_nothing_else_is() {
        assert_eq!(masked("bad key sk-live-0123456789!"), "bad key ******************!");
        assert_eq!(masked("sk-live-****6789 56789 01234567x"), "********".to_owned() + "****6789 56789 ********x");
        assert_eq!(masked("nothing here"), "nothing here");
        assert_eq!(masked("short"), "short");
    }

    #[test]
    fn without_a_key_nothing_is_masked() {
        let mut bytes = b"some text".to_vec();
        mask(&mut bytes, &Fragments::of([""]));
        assert_eq!(bytes, b"some text");
    }

    #[test]
    fn what_looks_like_a_credential_is_masked() {
        for (text, shown) in [
            ("/v1/models", "/v1/models"),
            ("/sk-tg-0123456789abcdef/v1", "/sk-***/v1"),
            ("/sk-ant-api03-0123456789/sk-proj-0123456789ab?", "/sk-***/sk-***?"),
            ("task-force", "task-force"),
            ("é/sk-short/é", "é/sk-short/é"),
        ] {
            assert_eq!(harmless(text), shown);
        }
        assert_eq!(harmless(&"é".repeat(5000)).chars().count(), CLIENT_CHARS_MAX);
    }
}
