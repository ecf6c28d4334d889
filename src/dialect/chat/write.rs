//! Writes JSON into a buffer, member by member, without building it first.

use super::json::Json;
use serde::Serialize;

/// Writes the members of one object, or the elements of one array.
pub(super) struct Members<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

/// Writes an object; what its writer returns is returned.
pub(super) fn object<R>(out: &mut Vec<u8>, members: impl FnOnce(&mut Members<'_>) -> R) -> R {
    enclosed(out, b"{}", members)
}

/// Writes an object on one line, as an event must have it. What is carried as somebody else wrote it may have line ends between
/// its values. (In texts they are escaped.)
pub(super) fn line(out: &mut Vec<u8>, members: impl FnOnce(&mut Members<'_>)) {
    let start = out.len();
    object(out, members);
    out[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
}

/// Writes an array, likewise.
pub(super) fn array<R>(out: &mut Vec<u8>, elements: impl FnOnce(&mut Members<'_>) -> R) -> R {
    enclosed(out, b"[]", elements)
}

/// A value as JSON. (What cannot be JSON, a map with keys that are no texts, is never given.)
pub(super) fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"null");
    }
}

fn enclosed<R>(out: &mut Vec<u8>, brackets: &[u8; 2], inside: impl FnOnce(&mut Members<'_>) -> R) -> R {
    out.push(brackets[0]);
    let returned = inside(&mut Members { out, first: true });
    out.push(brackets[1]);
    returned
}

impl Members<'_> {
    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    fn name(&mut self, name: &str) {
        self.comma();
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            // Nearly all are: nothing to escape.
            self.out.push(b'"');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
            return;
        }
        value(self.out, name);
        self.out.push(b':');
    }

    /// A member: anything that serde writes (texts, numbers, `Option`s as `null`, [`Json`] as it is).
    pub(super) fn member(&mut self, name: &str, content: &(impl Serialize + ?Sized)) {
        self.name(name);
        value(self.out, content);
    }

    /// A member, if there is something to write.
    pub(super) fn some(&mut self, name: &str, content: Option<&(impl Serialize + ?Sized)>) {
        if let Some(content) = content {
            self.member(name, content);
        }
    }

    /// A member as it is written already.
    pub(super) fn raw(&mut self, name: &str, json: &Json<'_>) {
        self.name(name);
        self.out.extend_from_slice(json.as_str().as_bytes());
    }

    /// A member whose JSON this module wrote before.
    pub(super) fn written(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.extend_from_slice(json.as_bytes());
    }

    /// Members that are written already, without braces and commas around them; nothing if empty.
    pub(super) fn spliced(&mut self, members: &str) {
        if !members.is_empty() {
            self.comma();
            self.out.extend_from_slice(members.as_bytes());
        }
    }

    /// A member that is an object; what its writer returns is returned.
    pub(super) fn object<R>(&mut self, name: &str, members: impl FnOnce(&mut Members<'_>) -> R) -> R {
        self.name(name);
        object(self.out, members)
    }

    /// A member that is an array, likewise.
    pub(super) fn array<R>(&mut self, name: &str, elements: impl FnOnce(&mut Members<'_>) -> R) -> R {
        self.name(name);
        array(self.out, elements)
    }

    /// An element.
    pub(super) fn element(&mut self, content: &(impl Serialize + ?Sized)) {
        self.comma();
        value(self.out, content);
    }

    /// An element that is written already.
    pub(super) fn raw_element(&mut self, json: &Json<'_>) {
        self.comma();
        self.out.extend_from_slice(json.as_str().as_bytes());
    }

    /// An element that is an object, likewise.
    pub(super) fn object_element<R>(&mut self, members: impl FnOnce(&mut Members<'_>) -> R) -> R {
        self.comma();
        object(self.out, members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_one_line_whatever_it_carries() {
        let mut out = b"data: ".to_vec();
        line(&mut out, |o| {
            o.raw("raw", &Json::parse("[1,\r\n \"a\\n\",\r2]".into()).unwrap());
        });
        assert_eq!(String::from_utf8(out).unwrap(), r#"data: {"raw":[1,   "a\n", 2]}"#);
    }

    #[test]
    fn nested_values_are_json() {
        let mut out = Vec::new();
        object(&mut out, |o| {
            o.member("a\"", "x\n");
            o.some("none", None::<&str>);
            o.raw("raw", &Json::parse(" [1.50] ".into()).unwrap());
            o.object("empty", |_| {});
            o.spliced("\"k\":1,\"l\":2");
            o.array("list", |l| {
                l.element(&1);
                l.object_element(|o| o.member("b", &None::<u8>));
                l.raw_element(&Json::of(&true));
            });
        });
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"{"a\"":"x\n","raw":[1.50],"empty":{},"k":1,"l":2,"list":[1,{"b":null},true]}"#);
    }
}
