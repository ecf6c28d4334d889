//! What fuzzing found: answers that go wrong, which must be the same however they were cut, and requests that a reader took and
//! its own dialect would not.

use super::answers::asked;
use crate::dialect::chat::{ChatRules, Manner, Translation, translate_request};
use crate::dialect::{DialectId, Framing};

const DELTA: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const BROKEN: &str = "data: {\"choices\":}\n\n";

/// What a client of Anthropic's dialect has of this, and whether it was readable.
fn had(said: &str, size: usize) -> (String, bool) {
    let asked = asked(DialectId::Anthropic, Framing::Sse);
    let mut translation = Translation::new(asked, DialectId::OpenAi, Framing::Sse).expect("both are translated");
    let (mut out, mut readable) = (Vec::new(), true);
    for piece in said.as_bytes().chunks(size) {
        match translation.push(piece, || None) {
            Ok(bytes) => out.extend_from_slice(&bytes),
            Err(_) => {
                out.extend_from_slice(&translation.rest());
                readable = false;
                break;
            }
        }
    }
    (String::from_utf8(out).expect("UTF-8"), readable)
}

#[test]
fn events_before_an_unreadable_one_reach_the_client_though_they_came_in_one_piece() {
    let said = [DELTA, BROKEN, DELTA].concat();
    let (whole, readable) = had(&said, usize::MAX);
    assert!(whole.contains("Hel") && !readable, "{whole}");
    assert_eq!(had(&said, 1), (whole, false));
}

#[test]
fn what_follows_the_end_neither_takes_it_back_nor_is_said() {
    for rest in [BROKEN, DELTA, ": comment\n\n"] {
        let said = [DELTA, DONE, rest].concat();
        let (whole, readable) = had(&said, usize::MAX);
        assert!(readable && whole.ends_with("data: {\"type\":\"message_stop\"}\n\n"), "{rest}: {whole}");
        assert_eq!(had(&said, 1), (whole, true));
    }
}

#[test]
fn a_schema_that_is_no_object_is_refused_in_every_dialect() {
    let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules: ChatRules::default() };
    for (client, body) in [
        (
            DialectId::OpenAi,
            r#"{"messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":[1]}}]}"#,
        ),
        (
            DialectId::OpenAiResponses,
            r#"{"store":false,"input":"Hi","tools":[{"type":"function","name":"f","parameters":[1]}]}"#,
        ),
        (
            DialectId::OpenAiResponses,
            r#"{"store":false,"input":"Hi","text":{"format":{"type":"json_schema","name":"f","schema":[1]}}}"#,
        ),
        (DialectId::Anthropic, r#"{"max_tokens":1,"messages":[],"tools":[{"name":"f","input_schema":[1]}]}"#),
        (
            DialectId::Anthropic,
            r#"{"max_tokens":1,"messages":[],"output_config":{"format":{"type":"json_schema","schema":[1]}}}"#,
        ),
        (
            DialectId::Gemini,
            r#"{"contents":[],"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":[1]}]}]}"#,
        ),
        (
            DialectId::Gemini,
            r#"{"contents":[],"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":[1]}}"#,
        ),
    ] {
        for target in DialectId::ALL {
            let refusal = translate_request(client, target, body, false, &manner).expect_err(body);
            assert!(
                refusal.message.unwrap_or_default().contains("an object is expected"),
                "{client} to {target}: {body}"
            );
        }
    }
}

#[test]
fn a_tool_without_a_name_is_refused_in_every_dialect() {
    let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules: ChatRules::default() };
    for (client, body) in [
        (DialectId::OpenAi, r#"{"messages":[],"tools":[{"type":"function","function":{"name":""}}]}"#),
        (DialectId::OpenAiResponses, r#"{"store":false,"input":"Hi","tools":[{"type":"function","name":""}]}"#),
        (DialectId::Anthropic, r#"{"max_tokens":1,"messages":[],"tools":[{"name":"","input_schema":{}}]}"#),
        (DialectId::Gemini, r#"{"contents":[],"tools":[{"functionDeclarations":[{"name":""}]}]}"#),
    ] {
        for target in DialectId::ALL {
            let refusal = translate_request(client, target, body, false, &manner).expect_err(body);
            assert!(refusal.param.unwrap_or_default().contains("tools"), "{client} to {target}");
        }
    }
}

#[test]
fn a_result_among_the_models_own_parts_is_refused() {
    let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules: ChatRules::default() };
    let of = |role: &str| {
        format!(
            r#"{{"contents":[{{"role":"model","parts":[{{"functionCall":{{"name":"f","args":{{}}}}}}]}},{{"role":"{role}","parts":[{{"functionResponse":{{"name":"f","response":{{}}}}}}]}}]}}"#
        )
    };
    let calls = of("model").replacen(r#""role":"model""#, r#""role":"user""#, 1);
    let refusal = translate_request(DialectId::Gemini, DialectId::Anthropic, &calls, false, &manner);
    assert_eq!(refusal.expect_err("it is the model's").param.as_deref(), Some("contents.parts.functionCall"));
    let translated = |role| translate_request(DialectId::Gemini, DialectId::Anthropic, &of(role), false, &manner);
    assert!(translated("user").is_ok() && translated("function").is_ok());
    let param = translated("model").expect_err("it is the user's").param;
    assert_eq!(param.as_deref(), Some("contents.parts.functionResponse"));
}

#[test]
fn a_mime_type_that_is_none_is_refused_in_every_dialect() {
    let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules: ChatRules::default() };
    for (client, body) in [
        (
            DialectId::Anthropic,
            r#"{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/p,ng","data":"AA=="}}]}]}"#,
        ),
        (DialectId::Gemini, r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/p,ng","data":"AA=="}}]}]}"#),
    ] {
        for target in DialectId::ALL {
            let refusal = translate_request(client, target, body, false, &manner).expect_err(body);
            assert!(refusal.message.unwrap_or_default().contains("MIME"), "{client} to {target}");
        }
    }
}
