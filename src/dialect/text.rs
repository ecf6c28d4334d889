//! The text that an answer delivered, counted as it passes: what an estimate starts from when nothing is reported.

mod look;
mod passed;

pub use passed::{Passed, by_look};

use memchr::memchr;
use std::borrow::Cow;

/// Text, reasoning and tool arguments that passed, in UTF-8 after the JSON escapes are resolved.
#[derive(Debug, Default)]
pub struct DeliveredText {
    passed: Passed,
    /// Strings that had text, and whether the one that runs has.
    pieces: u64,
    in_piece: bool,
    escape: Escape,
    high_surrogate: Option<u16>,
}

/// Where in a JSON escape the text was cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Backslash,
    Hex {
        digits: u8,
        value: u16,
    },
}

impl DeliveredText {
    /// All of the text, as far as it is kept.
    pub fn passed(&self) -> &Passed {
        &self.passed
    }

    /// The beginning of the text, at most 16 KiB of it, whole characters only.
    pub fn sample(&self) -> Cow<'_, str> {
        self.passed.beginning()
    }

    /// All of the text, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.passed.bytes()
    }

    /// How many strings with text have ended: vendors send whole tokens, so there were no fewer.
    pub fn pieces(&self) -> u64 {
        self.pieces
    }

    /// Counts bytes that are text as they are.
    pub(super) fn push_plain(&mut self, bytes: &[u8]) {
        self.in_piece |= !bytes.is_empty();
        self.passed.push(bytes);
    }

    /// Counts a piece of a JSON string's inside, as it is written; it may be cut anywhere, an escape included.
    pub(super) fn push_string(&mut self, mut raw: &[u8]) {
        while !raw.is_empty() {
            if self.escape != Escape::None {
                self.escaped(raw[0]);
                raw = &raw[1..];
                continue;
            }
            let run = memchr(b'\\', raw).unwrap_or(raw.len());
            if run > 0 {
                self.lone_surrogate();
                self.push_plain(&raw[..run]);
            }
            if run == raw.len() {
                return;
            }
            self.escape = Escape::Backslash;
            raw = &raw[run + 1..];
        }
    }

    /// The string ended: what is half an escape stays uncounted.
    pub(super) fn end_string(&mut self) {
        self.escape = Escape::None;
        self.lone_surrogate();
        self.pieces += u64::from(std::mem::take(&mut self.in_piece));
    }

    fn escaped(&mut self, byte: u8) {
        self.escape = match self.escape {
            Escape::Backslash if byte == b'u' => Escape::Hex { digits: 0, value: 0 },
            Escape::Hex { digits, value } => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0) as u16;
                let value = value << 4 | digit;
                if digits < 3 {
                    Escape::Hex { digits: digits + 1, value }
                } else {
                    self.code_unit(value);
                    Escape::None
                }
            }
            Escape::Backslash | Escape::None => {
                self.lone_surrogate();
                self.push_plain(&[match byte {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'f' => 12,
                    other => other,
                }]);
                Escape::None
            }
        };
    }

    /// One UTF-16 code unit of a `\u` escape.
    fn code_unit(&mut self, unit: u16) {
        let pair = self.high_surrogate.take();
        match (pair, unit) {
            (Some(high), 0xDC00..=0xDFFF) => {
                let code = 0x10000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(unit) - 0xDC00);
                self.push_char(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (lone, _) => {
                if lone.is_some() {
                    self.push_char(char::REPLACEMENT_CHARACTER);
                }
                if (0xD800..0xDC00).contains(&unit) {
                    self.high_surrogate = Some(unit);
                } else {
                    self.push_char(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
        }
    }

    fn lone_surrogate(&mut self) {
        if self.high_surrogate.take().is_some() {
            self.push_char(char::REPLACEMENT_CHARACTER);
        }
    }

    fn push_char(&mut self, character: char) {
        self.push_plain(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::DeliveredText;
    use super::passed::BEGINNING_BYTES_MAX;

    fn delivered(pieces: &[&[u8]]) -> DeliveredText {
        let mut text = DeliveredText::default();
        pieces.iter().for_each(|piece| text.push_string(piece));
        text.end_string();
        text
    }

    #[test]
    fn escapes_are_resolved() {
        let text = delivered(&[br#"a\n\"\\\/\u00e9\ud83d\ude00\u4e2d."#]);
        assert_eq!(text.sample(), "a\n\"\\/\u{e9}\u{1F600}\u{4e2d}.");
        assert_eq!(text.total_bytes(), text.sample().len() as u64);
    }

    #[test]
    fn lone_surrogates_and_half_escapes_do_not_panic() {
        assert_eq!(delivered(&[br"\ud83dx"]).sample(), "\u{FFFD}x");
        assert_eq!(delivered(&[br"\ud83d\ud83d\ude00"]).sample(), "\u{FFFD}\u{1F600}");
        assert_eq!(delivered(&[br"\ud83d\n"]).sample(), "\u{FFFD}\n");
        assert_eq!(delivered(&[br"ok\u12"]).sample(), "ok");
        assert_eq!(delivered(&[br"\ude00\uZZZZ"]).sample(), "\u{FFFD}\0");
    }

    #[test]
    fn strings_with_text_are_pieces() {
        let mut text = DeliveredText::default();
        for (string, pieces) in [("a", 1), ("", 1), ("b c", 2), (r"\u0041", 3), (r"\u00", 3)] {
            text.push_string(string.as_bytes());
            text.end_string();
            assert_eq!(text.pieces(), pieces, "{string}");
        }
    }

    #[test]
    fn beyond_the_sample_text_is_only_counted() {
        let text = delivered(&[&vec![b'a'; BEGINNING_BYTES_MAX - 1], "\u{4e2d}\u{4e2d}".as_bytes(), b"tail"]);
        assert_eq!(text.sample().len(), BEGINNING_BYTES_MAX - 1, "no half character");
        assert_eq!(text.total_bytes(), BEGINNING_BYTES_MAX as u64 - 1 + 6 + 4);
    }

    proptest! {
        #[test]
        fn any_cut_of_any_json_string_counts_what_serde_reads(text in "\\PC{0,40}", ascii in any::<bool>(), cut in 0usize..400) {
            let mut written = serde_json::to_string(&text).unwrap();
            if ascii {
                written = written.chars().map(|c| match c {
                    c if c.is_ascii() => c.to_string(),
                    c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
                }).collect();
            }
            let inside = &written.as_bytes()[1..written.len() - 1];
            let (left, right) = inside.split_at(cut.min(inside.len()));
            let counted = delivered(&[left, right]);
            prop_assert_eq!(counted.sample(), text.as_str());
            prop_assert_eq!(counted.total_bytes(), text.len() as u64);
        }
    }
}
