use super::{CHAT, GEMINI, at, facts};
use crate::dialect::request::{read_request, splice};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

fn spliced(path: &str, body: &str, model: Option<&str>, usage: bool) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let target = at(path);
    let facts = read_request(target.endpoint, &target, Some("application/json"), &body).unwrap();
    String::from_utf8(splice(&facts, &body, model, usage).to_vec()).unwrap()
}

#[test]
fn a_body_without_a_change_is_not_copied() {
    let body = Bytes::from_static(br#"{"model":"m\u0031","stream":true,"stream_options":{"include_usage":true}}"#);
    let target = at(CHAT);
    let facts = read_request(target.endpoint, &target, None, &body).unwrap();
    for (model, usage) in [(None, false), (Some("m1"), false), (None, true), (Some("m1"), true)] {
        assert_eq!(splice(&facts, &body, model, usage).as_ptr(), body.as_ptr());
    }
    let unstreamed = Bytes::from_static(br#"{"model":"m"}"#);
    let facts = read_request(target.endpoint, &target, None, &unstreamed).unwrap();
    assert_eq!(splice(&facts, &unstreamed, None, true), unstreamed, "OpenAI refuses stream_options without stream");
}

#[test]
fn the_model_is_replaced() {
    for (body, expected) in [
        (r#"{"model":"a"}"#, r#"{"model":"b\"\n"}"#),
        (
            " {\n \"x\" : \"model\" , \"model\"\t:\r\n\"\\u0061\" , \"y\":{\"model\":\"a\"}}\n",
            " {\n \"x\" : \"model\" , \"model\"\t:\r\n\"b\\\"\\n\" , \"y\":{\"model\":\"a\"}}\n",
        ),
    ] {
        assert_eq!(spliced(CHAT, body, Some("b\"\n"), false), expected);
    }
    assert_eq!(spliced(GEMINI, r#"{"contents":[]}"#, Some("h"), false), r#"{"contents":[]}"#);
    assert_eq!(
        spliced(
            "/v1beta/models/g:batchEmbedContents",
            r#"{"requests":[{"model":"models/g","content":{}},{"model":"g"}]}"#,
            Some("h"),
            false
        ),
        r#"{"requests":[{"model":"models/h","content":{}},{"model":"models/h"}]}"#
    );
    assert_eq!(
        spliced(
            "/v1beta/models/g:countTokens",
            r#"{"generateContentRequest":{"model":"models/g"}}"#,
            Some("tunedModels/h"),
            false
        ),
        r#"{"generateContentRequest":{"model":"tunedModels/h"}}"#
    );
}

#[test]
fn a_deployment_that_the_path_names_counts_whatever_the_body_says() {
    const DEPLOYMENT: &str = "/openai/deployments/d/chat/completions";
    for (body, expected, as_named) in [
        (r#"{"x":1}"#, r#"{"model":"u","x":1}"#, r#"{"model":"d","x":1}"#),
        (r#"{"model":null}"#, r#"{"model":"u"}"#, r#"{"model":"d"}"#),
        (r#"{"model":"d"}"#, r#"{"model":"u"}"#, r#"{"model":"d"}"#),
        (r#"{"model":"other"}"#, r#"{"model":"u"}"#, r#"{"model":"d"}"#),
    ] {
        assert_eq!(facts(DEPLOYMENT, body).model.as_deref(), Some("d"));
        assert_eq!(spliced(DEPLOYMENT, body, Some("u"), false), expected);
        assert_eq!(spliced(DEPLOYMENT, body, None, false), as_named);
    }
    // A path that alone names it stays so.
    assert_eq!(spliced(GEMINI, r#"{"model":"models/g"}"#, None, false), r#"{"model":"models/g"}"#);
}

#[test]
fn a_default_model_is_always_named() {
    let path = "/v1/images/generations";
    assert_eq!(spliced(path, r#" {"prompt":"x"}"#, None, false), r#" {"model":"dall-e-2","prompt":"x"}"#);
    assert_eq!(spliced(path, r#"{"model":null,"prompt":"x"}"#, None, false), r#"{"model":"dall-e-2","prompt":"x"}"#);
    assert_eq!(spliced(path, r#"{"prompt":"x","model":null}"#, Some("y"), false), r#"{"prompt":"x","model":"y"}"#);
    assert_eq!(spliced("/v1/moderations", "{ }", None, false), r#"{"model":"omni-moderation-latest" }"#);
    assert_eq!(spliced(path, r#"{"model":"dall-e-2"}"#, None, false), r#"{"model":"dall-e-2"}"#);
}

#[test]
#[rustfmt::skip]
fn the_usage_chunk_is_asked_for() {
    const ASKED: &str = r#""stream_options":{"include_usage":true}"#;
    for (body, expected) in [
        (r#"{"model":"m","stream":true}"#, format!(r#"{{{ASKED},"model":"m","stream":true}}"#)),
        ("\n{ \"model\":\"m\",\"stream\":true}", format!("\n{{{ASKED}, \"model\":\"m\",\"stream\":true}}")),
        (r#"{"stream_options":null,"model":"m","stream":true}"#, format!(r#"{{{ASKED},"model":"m","stream":true}}"#)),
        (r#"{"model":"m","stream":true,"stream_options":{}}"#, format!(r#"{{"model":"m","stream":true,{ASKED}}}"#)),
        (r#"{"model":"m","stream":true,"stream_options" : { } }"#, r#"{"model":"m","stream":true,"stream_options" : {"include_usage":true } }"#.to_owned()),
        (r#"{"model":"m","stream":true,"stream_options":{"include_usage": false}}"#, r#"{"model":"m","stream":true,"stream_options":{"include_usage": true}}"#.to_owned()),
        (r#"{"model":"m","stream":true,"stream_options":{"include_usage":null,"x":1}}"#, r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}"#.to_owned()),
        (r#"{"model":"m","stream":true,"stream_options":{"x":{"include_usage":false}}}"#, r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":{"include_usage":false}}}"#.to_owned()),
    ] {
        assert_eq!(spliced(CHAT, body, None, true), expected);
        assert_eq!(spliced(CHAT, body, None, false), body);
    }
}

#[test]
fn both_edits_go_together() {
    assert_eq!(
        spliced(CHAT, r#"{"stream_options":{"include_usage":false},"model":"a","stream":true}"#, Some("b"), true),
        r#"{"stream_options":{"include_usage":true},"model":"b","stream":true}"#
    );
}

/// A request as it is written: members in any order, with or without white space and escapes.
#[derive(Clone, Debug)]
struct Written {
    members: Vec<(&'static str, String)>,
    space: &'static str,
    escaped: bool,
}

impl Written {
    fn text(&self) -> String {
        let space = self.space;
        let members: Vec<String> = self
            .members
            .iter()
            .map(|(key, value)| {
                let key = if self.escaped { escape(key) } else { format!("\"{key}\"") };
                format!("{space}{key}{space}:{space}{value}{space}")
            })
            .collect();
        format!("{space}{{{}}}{space}", members.join(","))
    }

    fn value(&mut self, wanted: &str) -> Option<&mut String> {
        self.members.iter_mut().find(|(key, _)| *key == wanted).map(|(_, value)| value)
    }
}

fn escape(key: &str) -> String {
    format!("\"{}\"", key.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let key = prop_oneof![
            Just("model".to_owned()),
            Just("stream_options".to_owned()),
            Just("include_usage".to_owned()),
            "[a-z\"\\\\]{0,4}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// `stream_options` as it is written, and as it is to be written.
fn any_options() -> impl Strategy<Value = Option<(String, String)>> {
    const ASKED: &str = r#"{"include_usage":true}"#;
    let aside = || any_value().prop_map(|value| format!(r#""aside":{value}"#));
    let include = prop_oneof![Just("null"), Just("true"), Just("false")];
    prop_oneof![
        Just(None),
        Just(Some(("null".to_owned(), ASKED.to_owned()))),
        Just(Some(("{}".to_owned(), ASKED.to_owned()))),
        aside().prop_map(|aside| Some((format!("{{{aside}}}"), format!(r#"{{"include_usage":true,{aside}}}"#)))),
        (aside(), include).prop_map(|(aside, include)| {
            let written = |include: &str| format!(r#"{{{aside}, "include_usage" : {include} }}"#);
            Some((written(include), written("true")))
        }),
    ]
}

fn any_request() -> impl Strategy<Value = (Written, Option<String>)> {
    let space = prop_oneof![Just(""), Just(" "), Just("\r\n\t")];
    let members = (any_options(), any_value(), any_value()).prop_flat_map(|(options, one, other)| {
        let mut members = vec![
            ("model", "\"m\\u0031\"".to_owned()),
            ("stream", "true".to_owned()),
            ("one", one.to_string()),
            ("messages", other.to_string()),
        ];
        let edited = options.map(|(before, after)| {
            members.push(("stream_options", before));
            after
        });
        (Just(members).prop_shuffle(), Just(edited))
    });
    (members, space, any::<bool>())
        .prop_map(|((members, edited), space, escaped)| (Written { members, space, escaped }, edited))
}

proptest! {
    #[test]
    fn splicing_is_the_same_as_writing_the_edited_request(
        (request, options) in any_request(),
        // (A name of nothing but spaces is none, and refused.)
        name in prop::option::of("[^\\p{C}\\s][^\\p{C}]{0,7}"),
        usage: bool,
    ) {
        let text = request.text();
        let mut edited = request.clone();
        if let (Some(name), Some(model)) = (&name, edited.value("model")) {
            *model = Value::from(name.as_str()).to_string();
        }
        if let (true, Some(after), Some(value)) = (usage, options, edited.value("stream_options")) {
            *value = after;
        }
        let mut expected = edited.text();
        if usage && edited.value("stream_options").is_none() {
            expected = expected.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
        }
        let got = spliced(CHAT, &text, name.as_deref(), usage);
        prop_assert_eq!(&got, &expected);
        prop_assert!(serde_json::from_str::<Value>(&got).is_ok());
        let (before, after) = (facts(CHAT, &text), facts(CHAT, &got));
        prop_assert_eq!(after.wants_usage_chunk, usage || before.wants_usage_chunk);
        prop_assert_eq!(after.model.as_deref(), name.as_deref().or(Some("m1")));
    }
}
