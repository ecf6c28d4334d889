//! Protobuf's wire format (protobuf.dev/programming-guides/encoding), as far as spans need it. Written straight into bytes: a
//! span is made for every request, and a tree of values on the way to it costs more than the rest.

/// Kinds of fields.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
/// Bytes of a length that is only known when the message is written: up to 2 MiB.
const LATE_LENGTH_BYTES: usize = 3;
const LATE_LENGTH_MAX: usize = (1 << (7 * LATE_LENGTH_BYTES)) - 1;

/// The members of a message, as they are written. Numbers of fields are below 16: their tag is one byte.
pub(crate) struct Message<'a>(&'a mut Vec<u8>);

/// How a field with this number begins.
const fn tag(field: u8, kind: u8) -> u8 {
    assert!(field < 16);
    field << 3 | kind
}

/// How many bytes a number takes.
fn varint_bytes(number: u64) -> usize {
    // Seven bits a byte; zero takes one, too.
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

impl<'a> Message<'a> {
    /// What is written stands behind what is there.
    pub(crate) fn behind(bytes: &'a mut Vec<u8>) -> Self {
        Self(bytes)
    }

    fn number(&mut self, mut number: u64) {
        // Nearly always.
        if number < 0x80 {
            return self.0.push(number as u8);
        }
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A number or a choice.
    pub(crate) fn varint(&mut self, field: u8, number: u64) {
        self.0.push(tag(field, VARINT));
        self.number(number);
    }

    /// A number in eight bytes.
    pub(crate) fn fixed(&mut self, field: u8, number: u64) {
        self.0.push(tag(field, FIXED_64));
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// A text, bytes, or a message that is written already.
    pub(crate) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.begin(field, bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// A text of several parts.
    pub(crate) fn text_of<const PARTS: usize>(&mut self, field: u8, parts: [&str; PARTS]) {
        self.begin(field, parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| self.0.extend_from_slice(part.as_bytes()));
    }

    /// The beginning of a field that goes on for so many bytes.
    pub(crate) fn begin(&mut self, field: u8, bytes: usize) {
        self.0.push(tag(field, BYTES));
        self.number(bytes as u64);
    }

    /// A message whose length is known when it is written. Of more than 2 MiB nothing stays.
    pub(crate) fn message(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.push(tag(field, BYTES));
        self.0.extend_from_slice(&[0; LATE_LENGTH_BYTES]);
        let body = self.0.len();
        write(self);
        let length = self.0.len() - body;
        if length > LATE_LENGTH_MAX {
            self.0.truncate(start);
            return;
        }
        // Longer than it must be: a byte that is not the last one says that another follows.
        for (at, byte) in self.0[start + 1..body].iter_mut().enumerate() {
            let more = if at + 1 < LATE_LENGTH_BYTES { 0x80 } else { 0 };
            *byte = (length >> (7 * at)) as u8 & 0x7f | more;
        }
    }

    /// An attribute that is a text.
    #[inline(always)]
    pub(crate) fn text_attribute(&mut self, field: u8, key: Key, text: &str) {
        if text.len() > SHORT_BYTES_MAX {
            return self.long_attribute(field, key, text);
        }
        // All lengths are one byte: 2 before the text, as many more as the name has, and one for the value's length.
        let length = text.len() as u8;
        self.0.extend_from_slice(&[tag(field, BYTES), length + 3 + key.0.len() as u8]);
        self.0.extend_from_slice(key.0);
        self.0.extend_from_slice(&[length + 2, tag(VALUE_TEXT, BYTES), length]);
        self.0.extend_from_slice(text.as_bytes());
    }

    #[inline(never)]
    fn long_attribute(&mut self, field: u8, key: Key, text: &str) {
        self.attribute(field, key, 1 + varint_bytes(text.len() as u64) + text.len());
        self.bytes(VALUE_TEXT, text.as_bytes());
    }

    /// An attribute that is a number.
    #[inline(always)]
    pub(crate) fn number_attribute(&mut self, field: u8, key: Key, number: u64) {
        self.attribute(field, key, 1 + varint_bytes(number));
        self.varint(VALUE_NUMBER, number);
    }

    /// An attribute up to its value.
    #[inline(always)]
    fn attribute(&mut self, field: u8, key: Key, value_bytes: usize) {
        self.begin(field, key.0.len() + varint_bytes(value_bytes as u64) + value_bytes);
        self.0.extend_from_slice(key.0);
        self.number(value_bytes as u64);
    }
}

/// Fields of `KeyValue` and `AnyValue` (opentelemetry-proto's common.proto).
const KEY: u8 = 1;
const VALUE: u8 = 2;
const VALUE_TEXT: u8 = 1;
const VALUE_NUMBER: u8 = 3;

/// A text of which the whole attribute has a length of one byte.
const SHORT_BYTES_MAX: usize = 127 - 3 - KEY_BYTES_MAX;
/// The longest name of an attribute, with what stands around it.
const KEY_BYTES_MAX: usize = 64;

/// The name of an attribute as it stands in one (`KeyValue`), up to the length of its value. See [`key!`].
#[derive(Clone, Copy)]
pub(crate) struct Key(pub(crate) &'static [u8]);

/// The name of an attribute, written when the program is compiled.
macro_rules! key {
    ($name:literal) => {{
        const BYTES: [u8; $name.len() + 3] = $crate::protobuf::key_bytes($name);
        $crate::protobuf::Key(&BYTES)
    }};
}
pub(crate) use key;

/// What [`key!`] is made of.
pub(crate) const fn key_bytes<const BYTES_MAX: usize>(name: &str) -> [u8; BYTES_MAX] {
    assert!(BYTES_MAX == name.len() + 3 && BYTES_MAX <= KEY_BYTES_MAX);
    let mut bytes = [tag(VALUE, BYTES); BYTES_MAX];
    bytes[0] = tag(KEY, BYTES);
    bytes[1] = name.len() as u8;
    let mut at = 0;
    while at < name.len() {
        bytes[at + 2] = name.as_bytes()[at];
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message as _;

    #[test]
    fn numbers_take_as_many_bytes_as_they_say() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            Message::behind(&mut bytes).number(number);
            assert_eq!(bytes.len(), varint_bytes(number), "{number}");
            let read = bytes.iter().rev().fold(0_u64, |read, byte| read << 7 | u64::from(byte & 0x7f));
            assert_eq!(read, number);
        }
    }

    #[test]
    fn attributes_are_read_as_they_were_written_however_long_they_are() {
        for length in [0, 1, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, 127, 128, 300, 20_000] {
            let text = "x".repeat(length);
            let mut bytes = Vec::new();
            let mut message = Message::behind(&mut bytes);
            message.text_attribute(1, key!("a.text"), &text);
            message.number_attribute(1, key!("a.number"), length as u64);
            let resource = Resource::decode(&*bytes).unwrap();
            let read: Vec<_> = resource.attributes.into_iter().map(|one| (one.key, one.value.unwrap().value)).collect();
            let written = [("a.text", Value::StringValue(text)), ("a.number", Value::IntValue(length as i64))];
            assert_eq!(read, written.map(|(key, value)| (key.to_owned(), Some(value))));
        }
    }

    #[test]
    fn what_is_too_long_for_its_length_is_not_there() {
        let mut bytes = Vec::new();
        let mut message = Message::behind(&mut bytes);
        message.message(1, |inner| inner.bytes(1, &vec![0; LATE_LENGTH_MAX]));
        assert!(message.0.is_empty());
        message.message(1, |inner| inner.varint(1, 5));
        assert_eq!(bytes, [0x0a, 0x82, 0x80, 0x00, 0x08, 0x05]);
    }
}
