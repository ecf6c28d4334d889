//! JSON as it is written: for texts that are made for every request, so that nothing is built on the way to them.

use crate::AddressText;
use std::fmt::Write;
use std::net::IpAddr;

/// See the module. What is written raw has to make it JSON.
#[derive(Debug, Default)]
pub struct JsonText(String);

/// How a field's name stands in an object, behind another field.
#[macro_export]
macro_rules! json_name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

impl JsonText {
    /// An empty one with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Text as it is.
    #[inline(always)]
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
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

    /// An address, as a string.
    pub fn address(&mut self, address: IpAddr) -> &mut Self {
        self.word(AddressText::of(address).as_str())
    }

    /// Within a string.
    pub fn escaped(&mut self, text: &str) -> &mut Self {
        let mut rest = text;
        // To look at all of it, byte by byte without a way out, is what the compiler makes quickest.
        if text.bytes().fold(false, |some, byte| some | must_be_escaped(byte)) {
            while let Some(at) = rest.bytes().position(must_be_escaped) {
                // Writing to a string cannot fail.
                let _ = write!(self.0, "{}\\u{:04x}", &rest[..at], rest.as_bytes()[at]);
                rest = &rest[at + 1..];
            }
        }
        self.raw(rest)
    }

    /// All that was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn must_be_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_string_says_it_is_json() {
        for text in ["", "plain", "\"", "\\", "a\"b\\c\nd\u{1f}e", "\u{2028}é\u{7f}", "\0"] {
            let mut json = JsonText::with_capacity(8);
            json.raw("[").text(text).raw(",").number(-7_i64).raw("]");
            let read: serde_json::Value = serde_json::from_str(json.as_str()).unwrap();
            assert_eq!(read, serde_json::json!([text, -7]));
        }
    }
}
