//! Masks credentials where they must not be read: our own provider key where an upstream echoes it, or a part of it, in an
//! error answer, and whatever looks like a key in the words of a client that plugins are told.

use http::{HeaderMap, HeaderValue};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

/// Shorter parts are not masked: they tell nothing, and occur by chance.
pub(super) const FRAGMENT_BYTES: usize = 8;
/// So many bytes are looked at to know that no part stands around them …
const PROBE_BYTES: usize = 4;
/// … every so many bytes: a part that stands anywhere has such bytes.
const PROBE_EVERY: usize = FRAGMENT_BYTES - PROBE_BYTES + 1;
/// The words of a table of what these bytes may be; a power of two.
const PROBE_WORDS: usize = 32;

/// What a client chose is cut off here, in characters.
const CLIENT_CHARS_MAX: usize = 512;
/// How provider keys and ours begin; what so begins and goes on for a while is masked wherever a client may have put it.
const SECRET_PREFIX: &str = "sk-";
/// Its last byte: few texts have one.
const SECRET_PREFIX_END: u8 = b'-';
const SECRET_CHARS_MIN: usize = 12;

/// Every part of some secrets of that length, sorted, also as JSON may have them, and JSON that is a text within JSON. No `Debug`: they
/// are the secrets.
#[derive(Clone, Default)]
pub struct Fragments {
    parts: Vec<[u8; FRAGMENT_BYTES]>,
    /// A bit for whatever four bytes a part has, by their hash.
    probes: [u64; PROBE_WORDS],
    /// The length of the shortest secret; zero: there is none.
    secret_bytes_min: usize,
}

impl Fragments {
    /// The parts of these secrets.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets: Vec<&str> = secrets.into_iter().filter(|secret| secret.len() >= FRAGMENT_BYTES).collect();
        let once: BTreeSet<String> = secrets.iter().flat_map(|secret| written(secret)).collect();
        let twice: BTreeSet<String> = once.iter().flat_map(|text| written(text)).collect();
        let texts = secrets.iter().copied().chain(twice.iter().map(String::as_str));
        let windows = texts.flat_map(|text| text.as_bytes().windows(FRAGMENT_BYTES));
        let mut parts: Vec<[u8; FRAGMENT_BYTES]> = windows.filter_map(|window| window.try_into().ok()).collect();
        parts.sort_unstable();
        parts.dedup();
        let mut probes = [0; PROBE_WORDS];
        for probe in parts.iter().flat_map(|part| part.windows(PROBE_BYTES)) {
            let (word, bit) = place(probe);
            probes[word] |= bit;
        }
        Self { parts, probes, secret_bytes_min: secrets.iter().map(|secret| secret.len()).min().unwrap_or(0) }
    }

    /// Where the first part begins that stands in this text.
    pub(super) fn first_in(&self, text: &[u8]) -> Option<usize> {
        let probed = (PROBE_EVERY - 1..).step_by(PROBE_EVERY);
        probed.map_while(|at| Some((at, text.get(at..at + PROBE_BYTES)?))).find_map(|(at, probe)| {
            let mut around = at + 1 - PROBE_EVERY..=at;
            self.may_have(probe).then(|| around.find(|start| self.has(&text[*start..])))?
        })
    }

    /// How many bytes at the end of this text may be the beginning of a part, if at least so many are.
    pub(super) fn begun_in(&self, text: &[u8], bytes_min: usize) -> usize {
        let bytes_max = text.len().min(FRAGMENT_BYTES - 1);
        let last = text.last_chunk::<PROBE_BYTES>().filter(|_| bytes_min >= PROBE_BYTES);
        if last.is_some_and(|probe| !self.may_have(probe)) {
            return 0;
        }
        let begins = |begun: &[u8]| {
            let next = self.parts.partition_point(|part| part.as_slice() < begun);
            self.parts.get(next).is_some_and(|part| part.starts_with(begun))
        };
        (bytes_min..=bytes_max).rev().find(|bytes| begins(&text[text.len() - bytes..])).unwrap_or(0)
    }

    fn has(&self, text: &[u8]) -> bool {
        text.first_chunk().is_some_and(|window| self.parts.binary_search(window).is_ok())
    }

    fn may_have(&self, probe: &[u8]) -> bool {
        let (word, bit) = place(probe);
        self.probes[word] & bit != 0
    }
}

/// How writers of JSON write a character of a string that need not be escaped.
type Escaping = fn(char) -> Option<String>;

/// Most escape nothing; PHP escapes the slash; Go, .NET and what writes JSON into pages what HTML knows, .NET also the plus.
const ESCAPINGS: [Escaping; 6] = [
    |_| None,
    |c| (c == '/').then(|| r"\/".to_owned()),
    |c| "<>&".contains(c).then(|| format!(r"\u{:04x}", u32::from(c))),
    |c| "<>&+'`".contains(c).then(|| format!(r"\u{:04X}", u32::from(c))),
    |c| "<>&=+'/".contains(c).then(|| format!(r"\u{:04x}", u32::from(c))),
    |c| "<>&=+'/".contains(c).then(|| format!(r"\u{:04X}", u32::from(c))),
];

/// A text as such a writer writes it, within a string.
fn escaped(text: &str, escape: Escaping) -> String {
    let written = |c| match c {
        '\\' | '"' => format!(r"\{c}"),
        c => escape(c).unwrap_or_else(|| c.to_string()),
    };
    text.chars().map(written).collect()
}

/// The same, of each writer.
fn written(text: &str) -> [String; ESCAPINGS.len()] {
    ESCAPINGS.map(|escape| escaped(text, escape))
}

/// Where in the table the bit of these four bytes is.
fn place(probe: &[u8]) -> (usize, u64) {
    let bytes = probe.first_chunk::<PROBE_BYTES>().copied().unwrap_or_default();
    let hash = (u64::from(u32::from_le_bytes(bytes)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
    (hash / 64 % PROBE_WORDS, 1 << (hash % 64))
}

/// Replaces every part of the secret by asterisks; the length stays. What is JSON stays JSON, also within JSON: with the end of an
/// escape all of it goes, and its beginning stays with what is escaped.
pub(super) fn mask(text: &mut [u8], fragments: &Fragments) {
    if fragments.parts.is_empty() {
        return;
    }
    let mut found: Vec<Range<usize>> = Vec::new();
    for at in fragments.first_in(text).unwrap_or(text.len())..text.len() {
        if fragments.has(&text[at..]) {
            match found.last_mut().filter(|last| last.end >= at) {
                Some(last) => last.end = at + FRAGMENT_BYTES,
                None => found.push(at..at + FRAGMENT_BYTES),
            }
        }
    }
    for Range { start, end } in found {
        let start = start_of_escape(text, start);
        // What begins an escape stays with what is escaped: it is not the secret's.
        let end = end - backslashes(text[start..end].iter().rev());
        text[start..end].fill(b'*');
    }
}

/// So many digits has an escape by number.
const HEX_DIGITS: usize = 4;

/// Where the escape begins that this byte is in, with all backslashes before it: within JSON within JSON, an escape has several. It is in
/// none: there.
fn start_of_escape(text: &[u8], at: usize) -> usize {
    let digits = text[..at].iter().rev().take(HEX_DIGITS - 1).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let by_number = (0..=digits).find_map(|digits| text[..at - digits].strip_suffix(b"u"));
    let before = by_number.filter(|before| before.ends_with(br"\")).unwrap_or(&text[..at]);
    before.len() - backslashes(before.iter().rev())
}

/// How many of these come first.
fn backslashes<'t>(bytes: impl Iterator<Item = &'t u8>) -> usize {
    bytes.take_while(|byte| **byte == b'\\').count()
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
    use super::{CLIENT_CHARS_MAX, ESCAPINGS, Escaping, FRAGMENT_BYTES, Fragments, escaped, harmless, mask};
    use proptest::prelude::*;

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
    fn a_key_is_found_as_json_may_write_it_and_the_json_stays_whole() {
        let secret = "ab/cd+ef==gh&ij";
        let fragments = Fragments::of([secret]);
        for written in [
            r"ab\/cd+ef==gh&ij",
            r"ab/cd+ef==gh\u0026ij",
            r"ab/cd\u002Bef==gh\u0026ij",
            r"ab\u002fcd\u002bef\u003d\u003dgh\u0026ij",
            r"ab\u002Fcd\u002Bef\u003D\u003Dgh\u0026ij",
        ] {
            let mut text = format!(r#"{{"error":"wrong: {written}, or the like"}}"#).into_bytes();
            mask(&mut text, &fragments);
            let text = String::from_utf8(text).unwrap();
            let read: serde_json::Value = serde_json::from_str(&text).expect(&text);
            assert_eq!(read["error"], format!("wrong: {}, or the like", "*".repeat(written.len())), "{text}");
        }
    }

    /// A text as a string of JSON.
    fn quoted(text: &str, escape: Escaping) -> String {
        let written = |c| match c {
            '\n' => r"\n".to_owned(),
            c => escaped(&c.to_string(), escape),
        };
        format!("\"{}\"", text.chars().map(written).collect::<String>())
    }

    /// What a client reads of an error in which another one stands as text, as these write them.
    fn read_within(told: &str, fragments: &Fragments, (inner, outer): (Escaping, Escaping)) -> String {
        let inner = format!(r#"{{"error":{}}}"#, quoted(told, inner));
        let mut text = format!(r#"{{"error":{{"message":{}}}}}"#, quoted(&inner, outer)).into_bytes();
        mask(&mut text, fragments);
        let text = String::from_utf8(text).unwrap();
        let outer: serde_json::Value = serde_json::from_str(&text).expect(&text);
        let message = outer["error"]["message"].as_str().unwrap();
        let inner: serde_json::Value = serde_json::from_str(message).expect(&text);
        inner["error"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_key_is_found_in_json_within_json_and_both_stay_whole() {
        const SECRET: &str = "ab/cd+ef==gh&ij/k";
        let fragments = Fragments::of([SECRET]);
        for ways in ESCAPINGS.iter().flat_map(|inner| ESCAPINGS.map(|outer| (*inner, outer))) {
            for from in 0..SECRET.len() - FRAGMENT_BYTES {
                for to in from + FRAGMENT_BYTES..=SECRET.len() {
                    // What stands around it may be half of what a part has.
                    let told = format!("wrong:\n{}/\\\"é<{}", &SECRET[from..to], &SECRET[..5]);
                    let read = read_within(&told, &fragments, ways);
                    assert!(fragments.first_in(read.as_bytes()).is_none(), "{told}: {read}");
                    assert!(read.starts_with("wrong:\n*"), "{told}: {read}");
                }
            }
        }
    }

    #[test]
    fn half_an_escape_is_never_left() {
        let fragments = Fragments::of(["ab/cd==ef/gh"]);
        for (text, expected) in [
            // A part begins within another character's escape, or behind what escapes a character by itself.
            (r#""\u103d\u003d.""#, r#""************.""#),
            (r#""\\\\\/cd==ef/.""#, r#""*************.""#),
            (r#""\ncd==ef/gh""#, r#""\n*********""#),
            (r#""\u00e9cd==ef/gh""#, r#""\u00e9*********""#),
            // One ends within one.
            (r#""/cd==ef\"x""#, r#""*******\"x""#),
            (r#""/cd==ef\\""#, r#""*******\\""#),
            (r#""d==ef\/g\"""#, r#""********\"""#),
        ] {
            let mut masked = text.as_bytes().to_vec();
            mask(&mut masked, &fragments);
            assert_eq!(String::from_utf8(masked).unwrap(), expected);
            for json in [text, expected] {
                serde_json::from_str::<String>(json).expect(json);
            }
        }
    }

    #[test]
    fn without_a_key_nothing_is_masked() {
        let mut bytes = b"some text".to_vec();
        mask(&mut bytes, &Fragments::of([""]));
        assert_eq!(bytes, b"some text");
    }

    proptest! {
        /// Against the plain definition, in texts of few characters, so that parts and their beginnings are frequent.
        #[test]
        fn parts_and_their_beginnings_are_found(secret in "[ab]{7,12}", text in "[abc]{0,40}", bytes_min in 1_usize..8) {
            let fragments = Fragments::of([secret.as_str()]);
            let parts: Vec<&[u8]> = secret.as_bytes().windows(8).collect();
            let first = text.as_bytes().windows(8).position(|window| parts.contains(&window));
            prop_assert_eq!(fragments.first_in(text.as_bytes()), first);
            let begins = |bytes: usize| parts.iter().any(|part| text.as_bytes().ends_with(&part[..bytes]));
            let begun = (bytes_min..8).rev().find(|bytes| begins(*bytes)).unwrap_or(0);
            prop_assert_eq!(fragments.begun_in(text.as_bytes(), bytes_min), begun);
        }
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
