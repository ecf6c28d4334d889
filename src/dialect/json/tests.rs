use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Places, Sink, StringEnd, Take, Walker, string_end};

static PLACES: LazyLock<Places<u8>> = LazyLock::new(|| {
    Places::new(&[
        ("", &[("a", 1, Take::Capture), ("b", 2, Take::Presence), ("b.*.t", 3, Take::Text), ("r", 4, Take::Raw)]),
        ("d", &[("a", 5, Take::Capture), ("b", 6, Take::Text), ("b.*.a", 7, Take::Capture)]),
    ])
});

/// Everything that was delivered, in words.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    said: Vec<String>,
    open: Vec<u8>,
    /// Its pieces have no end that is told.
    raw: Vec<u8>,
}

impl Sink<u8> for Heard {
    fn present(&mut self, slot: u8) {
        self.said.push(format!("{slot} present"));
    }
    fn nothing(&mut self, slot: u8) {
        self.said.push(format!("{slot} empty"));
    }
    fn text(&mut self, _: u8, piece: &[u8]) {
        self.open.extend_from_slice(piece);
    }
    fn text_end(&mut self, slot: u8) {
        self.captured(slot);
    }
    fn raw(&mut self, _: u8, piece: &[u8]) {
        self.raw.extend_from_slice(piece);
    }
    fn capture(&mut self, _: u8, piece: &[u8]) {
        self.open.extend_from_slice(piece);
    }
    fn captured(&mut self, slot: u8) {
        let open = std::mem::take(&mut self.open);
        self.said.push(format!("{slot} {}", String::from_utf8_lossy(&open)));
    }
}

fn heard(pieces: &[&[u8]]) -> (Heard, bool, usize) {
    let (mut walker, mut heard, mut used) = (Walker::new(&PLACES), Heard::default(), 0);
    for piece in pieces {
        used += walker.feed(piece, &mut heard);
    }
    (heard, walker.is_closed(), used)
}

fn said(text: &str) -> Vec<String> {
    heard(&[text.as_bytes()]).0.said
}

#[test]
fn values_are_handed_out_of_their_places_only() {
    assert_eq!(said(r#"{"a":{"a":1, "x":[{}]}}"#), [r#"1 {"a":1, "x":[{}]}"#]);
    assert_eq!(said(r#"{"x":{"a":1},"y":[{"a":2}],"a" : "q\"}" }"#), [r#"1 "q\"}""#]);
    assert_eq!(said(r#"[{"a":1}]"#), [""; 0]);
    assert_eq!(said(r#"{"d":{"a":-1.5e3,"b":"t\n"},"a":null}"#), ["5 -1.5e3", r"6 t\n", "1 null"]);
    assert_eq!(said(r#"{"d":{"b":[{"a":true},3,{"a":[]}]}}"#), ["7 true", "7 []"]);
    assert_eq!(said(r#"{"d":{"b":{"a":1}}}"#), [""; 0], "an object is no array");
    assert_eq!(said(r#"{"b":[{"t":"x"},{"t":""}]}"#), ["2 present", "3 x", "3 "]);
}

#[test]
fn a_key_that_is_spelled_with_escapes_is_nobodys() {
    assert_eq!(said(r#"{"\u0061":1,"a\u0000":2,"\"a":3,"a":4}"#), ["1 4"]);
}

#[test]
fn presence_is_more_than_being_there() {
    for (value, wanted) in [
        ("null", vec!["2 empty"]),
        ("false", vec![]),
        ("\"\"", vec![]),
        ("{}", vec![]),
        ("[ ]", vec!["2 empty"]),
        ("[0]", vec!["2 present"]),
        ("{\"x\":null}", vec!["2 present"]),
        ("\"\\n\"", vec!["2 present"]),
        ("0", vec!["2 present"]),
    ] {
        assert_eq!(said(&format!("{{\"b\":{value}}}")), wanted, "{value}");
    }
}

#[test]
fn a_broken_value_is_given_up() {
    for text in ["{a:1}", r#"{"a":1,"x"}"#, r#"{"x":1]"#, r#"{"x":}"#, "}", r#"{"x":1 "a":2}"#, ","] {
        let (heard, closed, _) = heard(&[text.as_bytes()]);
        assert!(!closed && !heard.said.contains(&"1 2".to_owned()), "{text}: {heard:?}");
    }
}

#[test]
fn the_value_ends_where_it_ends() {
    let (_, closed, used) = heard(&[br#"{"x":[1]} {"a":2}"#]);
    assert!(closed);
    assert_eq!(used, 9);
    let (heard, closed, _) = heard(&[br#"{"x":[1],"a":2"#]);
    assert!(!closed);
    assert!(heard.said.is_empty(), "a number has no end of its own");
}

#[test]
fn deep_nesting_is_walked_without_a_stack() {
    let text = format!("{{\"x\":{}{},\"a\":1}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(said(&text), ["1 1"]);
}

#[test]
fn the_end_of_a_string() {
    assert_eq!(string_end(br#"ab"c"#, false), StringEnd::Closed(2));
    assert_eq!(string_end(br#"a\"b\\"c"#, false), StringEnd::Closed(6));
    assert_eq!(string_end(br#""x"#, true), StringEnd::Open { escape: false });
    assert_eq!(string_end(b"a\\", false), StringEnd::Open { escape: true });
    assert_eq!(string_end(b"", true), StringEnd::Open { escape: true });
    assert_eq!(string_end(b"a\\\\", false), StringEnd::Open { escape: false });
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-d\\\\\"{}\\[\\]:,\u{e9}\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(vec!["a", "b", "d", "t", "r", "x", "a\"", "\\"]), inner), 0..5)
                .prop_map(|pairs| {
                    Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
                }),
        ]
    })
}

/// What serde finds in the places that are captured.
fn captured(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Value::Object(top) = value {
        for (key, value) in top {
            match (key.as_str(), value) {
                ("a", value) => found.push(format!("1 {value}")),
                ("d", Value::Object(inner)) => {
                    for (key, value) in inner {
                        match (key.as_str(), value) {
                            ("a", value) => found.push(format!("5 {value}")),
                            ("b", Value::Array(items)) => {
                                found.extend(items.iter().filter_map(|item| Some(format!("7 {}", item.get("a")?))));
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
    found
}

proptest! {
    #[test]
    fn what_is_captured_is_what_serde_finds(value in any_json()) {
        let text = value.to_string();
        let (heard, closed, used) = heard(&[text.as_bytes()]);
        prop_assert!(closed);
        prop_assert_eq!(used, text.len());
        let said: Vec<_> = heard.said.into_iter().filter(|said| ["1 ", "5 ", "7 "].iter().any(|it| said.starts_with(it)))
            .collect();
        prop_assert_eq!(said, captured(&value));
    }

    #[test]
    fn every_cut_says_the_same(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let whole = heard(&[text.as_bytes()]);
        for cut in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(cut);
            prop_assert_eq!(&heard(&[left, right]), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec("[\\{\\}\\[\\]:,\"\\\\a-d0-9 n\u{e9}-]{0,12}", 0..8)) {
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        let _ = heard(&pieces);
    }
}

#[test]
fn serde_and_the_walk_agree_on_an_example() {
    let value = json!({"d": {"b": [{"a": {"t": 1}}], "a": "x"}, "a": [1, {"a": 2}]});
    assert_eq!(captured(&value).len(), 3);
}
