//! What a piece of JSON that breaks off leaves open, and the shortest text that closes it.

/// The deepest nesting that can be closed again.
const DEPTH_MAX: u8 = 128;

/// Where in the grammar the text stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before a value: at the start, after a colon, after a comma in an array.
    #[default]
    Value,
    /// After `[`.
    FirstValue,
    /// After `{`.
    FirstKey,
    /// After a comma in an object.
    Key,
    /// After a key.
    Colon,
    AfterValue,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    Unicode {
        key: bool,
        digits: u8,
        unit: u16,
    },
    /// Inside `true`, `false` or `null`: what is missing.
    Literal(&'static str),
    Number {
        complete: bool,
    },
    /// The whole value is there.
    Done,
    /// This is not JSON, or nested too deeply.
    Broken,
}

/// Follows JSON byte by byte in constant memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unclosed {
    state: State,
    depth: u8,
    /// One bit a level: set for an object.
    objects: u128,
    /// Continuation bytes that a UTF-8 sequence lacks, and the least that the next may be.
    lacking: (u8, u8),
    /// The escape before was the first half of a surrogate pair.
    half_pair: bool,
}

/// How a text can go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closing {
    /// Closes what is open below the container that stays open.
    pub(super) text: Vec<u8>,
    /// Whether a further member needs a comma first.
    pub(super) needs_comma: bool,
}

impl Unclosed {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.step(byte);
        }
    }

    /// Nothing but white space so far.
    pub(super) fn is_empty(&self) -> bool {
        self.depth == 0 && self.state == State::Value
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Inside an object that is the whole value.
    pub(super) fn is_object(&self) -> bool {
        self.state != State::Broken && self.depth > 0 && self.objects & 1 == 1
    }

    /// Inside an array that is the whole value.
    pub(super) fn is_array(&self) -> bool {
        self.state != State::Broken && self.depth > 0 && self.objects & 1 == 0
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects >> (self.depth - 1) & 1 == 1
    }

    fn step(&mut self, byte: u8) {
        self.state = match self.state {
            State::Text { key } => return self.text(byte, key),
            State::Escape { key } => {
                self.half_pair &= byte == b'u';
                match byte {
                    b'u' => State::Unicode { key, digits: 0, unit: 0 },
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::Text { key },
                    _ => State::Broken,
                }
            }
            State::Unicode { key, digits, unit } => match char::from(byte).to_digit(16) {
                // A digit is below 16.
                Some(digit) => self.unicode(key, digits + 1, unit << 4 | digit as u16),
                None => State::Broken,
            },
            State::Literal(missing) => match missing.as_bytes() {
                [expected] if *expected == byte => self.after_value(),
                [expected, ..] if *expected == byte => State::Literal(&missing[1..]),
                _ => State::Broken,
            },
            State::Number { .. } if matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') => {
                State::Number { complete: byte.is_ascii_digit() }
            }
            State::Number { .. } => {
                self.state = self.after_value();
                return self.step(byte);
            }
            same if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => same,
            State::Value => self.value(byte),
            State::FirstValue if byte == b']' => self.leave(),
            State::FirstValue => self.value(byte),
            State::FirstKey if byte == b'}' => self.leave(),
            State::FirstKey | State::Key if byte == b'"' => State::Text { key: true },
            State::Colon if byte == b':' => State::Value,
            State::AfterValue => match (byte, self.in_object()) {
                (b',', true) => State::Key,
                (b',', false) => State::Value,
                (b'}', true) | (b']', false) => self.leave(),
                _ => State::Broken,
            },
            State::FirstKey | State::Key | State::Colon | State::Done | State::Broken => State::Broken,
        };
    }

    fn text(&mut self, byte: u8, key: bool) {
        if self.lacking.0 > 0 {
            self.lacking = (self.lacking.0 - 1, 0x80);
            return;
        }
        if byte == b'\\' {
            self.state = State::Escape { key };
            return;
        }
        self.half_pair = false;
        match byte {
            b'"' => self.state = if key { State::Colon } else { self.after_value() },
            0xC2..=0xDF => self.lacking = (1, 0x80),
            0xE0 => self.lacking = (2, 0xA0),
            0xE1..=0xEF => self.lacking = (2, 0x80),
            0xF0 => self.lacking = (3, 0x90),
            0xF1..=0xF4 => self.lacking = (3, 0x80),
            _ => {}
        }
    }

    fn unicode(&mut self, key: bool, digits: u8, unit: u16) -> State {
        if digits < 4 {
            return State::Unicode { key, digits, unit };
        }
        self.half_pair = !self.half_pair && (0xD800..0xDC00).contains(&unit);
        State::Text { key }
    }

    fn value(&mut self, byte: u8) -> State {
        match byte {
            b'{' => self.enter(true),
            b'[' => self.enter(false),
            b'"' => State::Text { key: false },
            b't' => State::Literal("rue"),
            b'f' => State::Literal("alse"),
            b'n' => State::Literal("ull"),
            b'-' => State::Number { complete: false },
            b'0'..=b'9' => State::Number { complete: true },
            _ => State::Broken,
        }
    }

    fn enter(&mut self, object: bool) -> State {
        if self.depth == DEPTH_MAX {
            return State::Broken;
        }
        let bit = 1_u128 << self.depth;
        self.objects = if object { self.objects | bit } else { self.objects & !bit };
        self.depth += 1;
        if object { State::FirstKey } else { State::FirstValue }
    }

    fn leave(&mut self) -> State {
        self.depth -= 1;
        self.after_value()
    }

    fn after_value(&self) -> State {
        if self.depth == 0 { State::Done } else { State::AfterValue }
    }

    /// How to close everything but the outermost `levels` containers. A missing value becomes null, which typed
    /// clients take for an absent one; what is missing of a character becomes padding. `None`: this is not JSON, or not that deep.
    pub(super) fn close(&self, levels: u8) -> Option<Closing> {
        if self.state == State::Broken || self.depth < levels {
            return None;
        }
        let at_level = self.depth == levels && levels > 0;
        let mut text = Vec::new();
        let needs_comma = match self.state {
            State::FirstKey | State::FirstValue => !at_level,
            State::Key if at_level => false,
            State::Value if at_level && !self.in_object() => false,
            _ => {
                self.finish_value(&mut text);
                true
            }
        };
        for level in (levels..self.depth).rev() {
            text.push(if self.objects >> level & 1 == 1 { b'}' } else { b']' });
        }
        Some(Closing { text, needs_comma })
    }

    fn finish_value(&self, out: &mut Vec<u8>) {
        match self.state {
            State::Key => out.extend_from_slice(b"\"\":null"),
            State::Colon => out.extend_from_slice(b":null"),
            State::Value => out.extend_from_slice(b"null"),
            State::Number { complete: false } => out.push(b'0'),
            State::Literal(missing) => out.extend_from_slice(missing.as_bytes()),
            State::Text { key } | State::Escape { key } | State::Unicode { key, .. } => {
                self.finish_text(out);
                out.extend_from_slice(if key { b"\":null" } else { b"\"" });
            }
            State::Number { complete: true }
            | State::FirstValue
            | State::FirstKey
            | State::AfterValue
            | State::Done
            | State::Broken => {}
        }
    }

    /// Completes the character that the text breaks off in.
    fn finish_text(&self, out: &mut Vec<u8>) {
        // The least second half of a surrogate pair.
        const LOW: &[u8] = b"dc00";
        let mut half_pair = self.half_pair;
        match self.state {
            State::Escape { .. } if half_pair => out.push(b'u'),
            State::Escape { .. } => out.push(b'/'),
            State::Unicode { digits, unit, .. } => {
                let padding = if half_pair { LOW } else { b"0000" };
                out.extend_from_slice(&padding[usize::from(digits)..]);
                let unit = if digits == 0 { 0 } else { unit << (4 * (4 - digits)) };
                if half_pair || !(0xD800..0xDC00).contains(&unit) {
                    return;
                }
                half_pair = true;
            }
            _ => {}
        }
        if half_pair {
            if !matches!(self.state, State::Escape { .. }) {
                out.extend_from_slice(b"\\u");
            }
            out.extend_from_slice(LOW);
        }
        let (lacking, least) = self.lacking;
        out.extend((0..lacking).map(|index| if index == 0 { least } else { 0x80 }));
    }
}

#[cfg(test)]
mod tests {
    use super::Unclosed;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn unclosed(text: &[u8]) -> Unclosed {
        let mut unclosed = Unclosed::default();
        unclosed.push(text);
        unclosed
    }

    #[test]
    fn text_cut_anywhere_becomes_json_again() {
        let whole =
            r#"{"a\"b":[1,-2.5e+3,true,false,null,{"é":"日本 𝄞 ࠀ𐀀 \ud834\udd1e \u00e9 \\ \n"},[],{}],"z":"end"}"#
                .as_bytes();
        for cut in 1..whole.len() {
            let unclosed = unclosed(&whole[..cut]);
            let closed = [&whole[..cut], &unclosed.close(0).unwrap().text].concat();
            let parsed: Result<Value, _> = serde_json::from_slice(&closed);
            assert!(parsed.is_ok(), "{cut}: {}", String::from_utf8_lossy(&closed));

            assert!(unclosed.is_object());
            let open = unclosed.close(1).unwrap();
            let comma: &[u8] = if open.needs_comma { b"," } else { b"" };
            let with_member = [&whole[..cut], &open.text, comma, br#""error":7}"#].concat();
            let parsed: Value = serde_json::from_slice(&with_member)
                .unwrap_or_else(|error| panic!("{cut}: {error}: {}", String::from_utf8_lossy(&with_member)));
            assert_eq!(parsed["error"], json!(7));
        }
        let done = unclosed(whole);
        assert!(done.is_done() && done.close(0).unwrap().text.is_empty() && done.close(1).is_none());
    }

    #[test]
    fn what_is_not_json_is_not_closed() {
        for text in ["[DO", "{1", "{\"a\" 1", "]", "nul1", "{}{", "\"\\x", "[1 2"] {
            assert_eq!(unclosed(text.as_bytes()).close(0), None, "{text}");
        }
        assert_eq!(unclosed("[".repeat(200).as_bytes()).close(0), None);
        assert!(unclosed(b" \r\n").is_empty());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(|number: f64| json!(number)),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_prefix_of_any_json_can_be_closed(value in any_json(), cut in any::<prop::sample::Index>(), pretty: bool) {
            let whole = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            let cut = cut.index(whole.len()) + 1;
            let closing = unclosed(&whole[..cut]).close(0).unwrap();
            let closed = [&whole[..cut], &closing.text].concat();
            prop_assert!(serde_json::from_slice::<Value>(&closed).is_ok(), "{}", String::from_utf8_lossy(&closed));
        }
    }
}
