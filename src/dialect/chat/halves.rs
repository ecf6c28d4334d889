//! Characters beyond the Basic Multilingual Plane that a provider cut in two: JSON writes them as two escapes (`\ud83d\ude00`), and
//! whoever splits texts by UTF-16 units puts the halves into two pieces of a stream. No half can be read by itself, so they are
//! put together here, before the events are read; one that stays alone becomes U+FFFD.

use std::borrow::Cow;
use std::ops::RangeInclusive;

/// First halves, and second ones (Unicode 3.9, table 3-5).
const HIGH: RangeInclusive<u16> = 0xD800..=0xDBFF;
const LOW: RangeInclusive<u16> = 0xDC00..=0xDFFF;
/// A backslash, `u` and four digits.
const ESCAPE_BYTES: usize = 6;
/// U+FFFD, as an escape.
const REPLACEMENT: &str = "\\ufffd";

/// What the event before left.
#[derive(Debug, Default)]
pub(super) struct Halves {
    /// The first half that a text of it ended with.
    high: Option<u16>,
}

impl Halves {
    /// An event's JSON without halves. What a text of it ends with is kept for the event that follows, unless the text is all
    /// there is (`is_document`).
    pub(super) fn mend<'j>(&mut self, json: &'j str, is_document: bool) -> Cow<'j, str> {
        let bytes = json.as_bytes();
        let (mut at, mut copied) = (0, 0);
        let mut mended = String::new();
        let (mut kept, mut is_used) = (None, false);
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
            at += found;
            let Some(unit) = unit_at(bytes, at) else {
                at += 2;
                continue;
            };
            let end = at + ESCAPE_BYTES;
            if HIGH.contains(&unit) && unit_at(bytes, end).is_some_and(|next| LOW.contains(&next)) {
                at = end + ESCAPE_BYTES;
                continue;
            }
            if HIGH.contains(&unit) || LOW.contains(&unit) {
                mended.push_str(&json[copied..at]);
                copied = end;
                let ends_text = bytes.get(end) == Some(&b'"');
                let begins_text = at > 0 && bytes[at - 1] == b'"';
                match self.high.filter(|_| begins_text && LOW.contains(&unit)) {
                    Some(high) => {
                        is_used = true;
                        mended.push_str(&format!("\\u{high:04x}\\u{unit:04x}"));
                    }
                    None if ends_text && HIGH.contains(&unit) && !is_document => kept = Some(unit),
                    None => mended.push_str(REPLACEMENT),
                }
            }
            at = end;
        }
        // An event without text may stand between.
        self.high = kept.or(self.high.filter(|_| !is_used));
        if copied == 0 {
            return Cow::Borrowed(json);
        }
        mended.push_str(&json[copied..]);
        Cow::Owned(mended)
    }
}

/// The UTF-16 unit that is written as an escape here.
fn unit_at(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_in_two_events_are_one_character() {
        let mut halves = Halves::default();
        assert_eq!(halves.mend(r#"{"t":"a\ud83d"}"#, false), r#"{"t":"a"}"#);
        assert_eq!(halves.mend(r#"{"ping":1}"#, false), r#"{"ping":1}"#);
        // The same text under two names.
        assert_eq!(
            halves.mend(r#"{"t":"\uDE00b","r":"\uDE00b"}"#, false),
            r#"{"t":"\ud83d\ude00b","r":"\ud83d\ude00b"}"#
        );
        assert_eq!(halves.mend(r#"{"t":"\ude00"}"#, false), r#"{"t":"\ufffd"}"#, "used once");
    }

    #[test]
    fn a_half_alone_is_replaced() {
        for (json, mended) in [
            (r#"{"t":"\ud83d x"}"#, r#"{"t":"\ufffd x"}"#),
            (r#"{"t":"x\ude00"}"#, r#"{"t":"x\ufffd"}"#),
            (r#"{"t":"\ud83d\ud83d\ude00"}"#, r#"{"t":"\ufffd\ud83d\ude00"}"#),
            (r#"{"t":"\ud83d\n"}"#, r#"{"t":"\ufffd\n"}"#),
        ] {
            assert_eq!(Halves::default().mend(json, false), mended);
        }
        assert_eq!(Halves::default().mend(r#"{"t":"x\ud83d"}"#, true), r#"{"t":"x\ufffd"}"#);
    }

    #[test]
    fn everything_else_is_left_as_it_is() {
        for json in [r#"{"t":"\ud83d\ude00 \u00e9 \\ud83d\" \u12"}"#, "", "\\", "{\"t\":\"\\\\\"}", "\\u", "\\ud8"] {
            assert!(matches!(Halves::default().mend(json, false), Cow::Borrowed(same) if same == json), "{json}");
        }
    }
}
