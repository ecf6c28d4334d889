//! JSON as it is written: for texts that are made for every request, so that nothing is built on the way to them.

use std::io::Write;

/// See the module. What is written raw has to make it JSON.
#[derive(Debug)]
pub struct JsonText<'a>(&'a mut Vec<u8>);

/// How a field's name stands in an object, behind another field.
#[macro_export]
macro_rules! json_name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

impl<'a> JsonText<'a> {
    /// What is written stands behind what is there.
    pub fn behind(bytes: &'a mut Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Text as it is.
    #[inline(always)]
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A number.
    pub fn number<N: itoa::Integer>(&mut self, number: N) -> &mut Self {
        self.raw(itoa::Buffer::new().format(number))
    }

    /// Yes or no.
    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.raw(if flag { "true" } else { "false" })
    }

    /// A string.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.raw("\"").escaped(text).raw("\"")
    }

    /// A word of the program's own, or an id, as a string: nothing in it has to be escaped.
    pub fn word(&mut self, word: &str) -> &mut Self {
        debug_assert!(!word.bytes().any(must_be_escaped), "{word:?} is no word");
        self.raw("\"").raw(word).raw("\"")
    }

    /// Within a string.
    pub fn escaped(&mut self, text: &str) -> &mut Self {
        let mut rest = text;
        if some_must_be_escaped(text.as_bytes()) {
            while let Some(at) = rest.bytes().position(must_be_escaped) {
                // Writing to memory cannot fail.
                let _ = write!(self.0, "{}\\u{:04x}", &rest[..at], rest.as_bytes()[at]);
                rest = &rest[at + 1..];
            }
        }
        self.raw(rest)
    }
}

fn must_be_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Whether there is such a byte, found eight at a time: most texts are names of ten or twenty.
fn some_must_be_escaped(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    // Of a text that is long enough, the last eight are looked at instead of the rest.
    match text.last_chunk::<8>() {
        Some(last) => words.iter().chain([last]).any(|word| some_in_word(u64::from_le_bytes(*word))),
        None => rest.iter().any(|byte| must_be_escaped(*byte)),
    }
}

/// The same of eight bytes at once. (A byte's highest bit is set where the difference is below zero, and was not before; what a
/// byte borrows from the next one changes nothing where none is found.)
fn some_in_word(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_string_says_it_is_json() {
        for text in ["", "plain", "\"", "\\", "a\"b\\c\nd\u{1f}e", "\u{2028}é\u{7f}", "\0"] {
            let mut bytes = Vec::new();
            let mut json = JsonText::behind(&mut bytes);
            json.raw("[").text(text).raw(",").number(-7_i64).raw("]");
            let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read, serde_json::json!([text, -7]));
        }
    }

    #[test]
    fn what_must_be_escaped_is_found_wherever_it_stands() {
        for (byte, length) in (0..=u8::MAX).flat_map(|byte| (1..=24).map(move |length| (byte, length))) {
            for (at, around) in
                (0..length).flat_map(|at| [b'a', b' ', b'!', b'#', b'[', 0x7f, 0x80, 0xff].map(|around| (at, around)))
            {
                let mut text = vec![around; length];
                text[at] = byte;
                assert_eq!(
                    some_must_be_escaped(&text),
                    must_be_escaped(byte),
                    "{byte} at {at} of {length}, in {around}"
                );
            }
        }
    }
}
