//! Schemas that values are to fit for certain: where that is guaranteed of some schemas only, the others go without.

use super::dialects;
use crate::dialect::DialectId::{self, Anthropic, DashScope, Gemini, OpenAi, OpenAiResponses};
use crate::dialect::chat::{ChatRules, Manner, translate_request};
use serde_json::{Value, json};

/// Everything is said: every object has all its properties and no others.
fn closed() -> Value {
    json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}},
        "required": ["name", "age"], "additionalProperties": false})
}

/// As Anthropic's SDK makes it of a model with `age: int | None = None`.
fn with_optional_property() -> Value {
    json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}},
        "required": ["name"], "additionalProperties": false})
}

/// A client's request for answer and arguments by this schema, for certain where its dialect leaves the choice.
fn asks(client: DialectId, schema: &Value) -> Value {
    let messages = json!([{"role": "user", "content": "Hi"}]);
    match client {
        Anthropic => json!({"max_tokens": 100, "messages": messages,
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
            "tools": [{"name": "f", "input_schema": schema, "strict": true}]}),
        Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}}),
        OpenAiResponses => json!({"input": "Hi",
            "text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}},
            "tools": [{"type": "function", "name": "f", "parameters": schema, "strict": true}]}),
        _ => json!({"messages": messages,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema, "strict": true}}]}),
    }
}

/// What is written, and what was left out.
fn written(client: DialectId, target: DialectId, schema: &Value) -> (Value, Vec<String>) {
    let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules: ChatRules::default() };
    let body = asks(client, schema).to_string();
    let translated = translate_request(client, target, &body, false, &manner).expect("it can be translated");
    (serde_json::from_slice(&translated.body).expect("JSON"), translated.left_out)
}

/// The format and the tool in it.
fn places(target: DialectId) -> [&'static str; 2] {
    match target {
        OpenAiResponses => ["/text/format", "/tools/0"],
        DashScope => ["/parameters/response_format/json_schema", "/parameters/tools/0/function"],
        _ => ["/response_format/json_schema", "/tools/0/function"],
    }
}

/// What each says of being strict; absent and `false` are the same.
fn strict(target: DialectId, written: &Value) -> [bool; 2] {
    places(target).map(|place| written.pointer(place).is_some_and(|own| own["strict"] == true))
}

#[test]
fn a_schema_that_leaves_something_open_is_sent_to_openai_without_the_guarantee_and_that_is_said() {
    for target in [OpenAi, OpenAiResponses, DashScope] {
        for (client, names) in [
            (Anthropic, &["tools.strict", "output_config.format"][..]),
            (Gemini, &["generationConfig.responseJsonSchema"]),
        ] {
            let (sent, left_out) = written(client, target, &with_optional_property());
            assert_eq!(strict(target, &sent), [false; 2], "{client} {target}");
            assert_eq!(left_out, names, "{client} {target}");
            let schema = sent.pointer(places(target)[0]).map(|format| &format["schema"]);
            assert_eq!(schema, Some(&with_optional_property()), "{client} {target}");
        }
    }
}

#[test]
fn a_schema_that_says_everything_keeps_the_guarantee() {
    for target in [OpenAi, OpenAiResponses] {
        let (sent, left_out) = written(Anthropic, target, &closed());
        assert_eq!((strict(target, &sent), left_out), ([true; 2], vec![]), "{target}");
        let (sent, left_out) = written(Gemini, target, &closed());
        assert_eq!((strict(target, &sent), left_out), ([true, false], vec![]), "{target}");
    }
}

#[test]
fn who_has_the_same_rule_is_told_of_it_by_the_vendor() {
    for (client, target) in [(OpenAi, OpenAiResponses), (OpenAiResponses, OpenAi)] {
        let (sent, left_out) = written(client, target, &with_optional_property());
        assert_eq!((strict(target, &sent), left_out), ([true; 2], vec![]), "{client} {target}");
    }
}

#[test]
fn where_every_schema_is_enforced_nothing_is_left_out_of_it() {
    for client in dialects() {
        let (sent, left_out) = written(client, Anthropic, &with_optional_property());
        assert_eq!(sent["output_config"]["format"]["schema"], with_optional_property(), "{client}");
        assert!(left_out.is_empty(), "{client}: {left_out:?}");
    }
}
