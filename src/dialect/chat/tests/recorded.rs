//! What SDKs wrote, as other projects' tests have recorded it, and other vendors would have refused.

use crate::dialect::DialectId::{self, Anthropic, Cohere, Gemini, OpenAi, OpenAiResponses};
use crate::dialect::chat::{ChatRules, Manner, Translated, translate_request};
use serde_json::{Value, json};
use tollgate_plugin_api::Reject;

fn translated(client: DialectId, target: DialectId, body: &Value) -> Result<Translated, Reject> {
    let rules = ChatRules::default();
    let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules };
    translate_request(client, target, &body.to_string(), false, &manner)
}

/// What a target is sent, and what was left out.
fn sent(client: DialectId, target: DialectId, body: &Value) -> (Value, Vec<String>) {
    let translated = translated(client, target, body).expect("it can be translated");
    (serde_json::from_slice(&translated.body).expect("JSON"), translated.left_out)
}

/// Google's SDK for Python writes bytes in the URL-safe alphabet.
#[test]
fn media_of_a_gemini_client_are_in_the_alphabet_that_all_others_take() {
    let parts = |data: &str| {
        let inline = json!({"inlineData": {"mimeType": "image/jpeg", "data": data}});
        json!({"contents": [{"role": "user", "parts": [inline, {"text": "What is it?"}]}]})
    };
    for (written, standard) in [("_9j-4A==", "/9j+4A=="), ("_9j-4A", "/9j+4A=="), ("/9j+4A==", "/9j+4A=="), ("", "")] {
        let (body, _) = sent(Gemini, OpenAi, &parts(written));
        let url = format!("data:image/jpeg;base64,{standard}");
        assert_eq!(body.pointer("/messages/0/content/0/image_url/url"), Some(&json!(url)), "{written}");
        let (body, _) = sent(Gemini, Cohere, &parts(written));
        assert_eq!(body.pointer("/messages/0/content/0/image_url/url"), Some(&json!(url)), "{written}");
    }
    // Nor does a missing type change what it is.
    let untold = json!({"contents": [{"parts": [{"inlineData": {"data": "_9j_4AAQ"}}]}]});
    let (body, _) = sent(Gemini, Anthropic, &untold);
    assert_eq!(body.pointer("/messages/0/content/0/source/media_type"), Some(&json!("image/jpeg")));
    assert_eq!(body.pointer("/messages/0/content/0/source/data"), Some(&json!("/9j/4AAQ")));
}

#[test]
fn a_file_without_a_name_gets_one_of_its_type() {
    let csv = json!({"inlineData": {"mimeType": "text/csv", "data": "YSxi"}});
    let body = json!({"contents": [{"role": "user", "parts": [csv, {"text": "Sum it up."}]}]});
    let (chat, _) = sent(Gemini, OpenAi, &body);
    assert_eq!(chat.pointer("/messages/0/content/0/file/filename"), Some(&json!("document.csv")));
    let (responses, _) = sent(Gemini, OpenAiResponses, &body);
    assert_eq!(responses.pointer("/input/0/content/0/filename"), Some(&json!("document.csv")));
}

/// The two have a field of this name, and mean different things.
#[test]
fn what_is_to_be_forgotten_is_each_vendors_own() {
    let edits = json!({"edits": [{"type": "compact_20260112"}]});
    let messages =
        json!({"max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}], "context_management": edits});
    let (body, left_out) = sent(Anthropic, OpenAiResponses, &messages);
    assert_eq!((body.get("context_management"), left_out), (None, vec!["context_management".to_owned()]));
    let compaction = json!([{"type": "compaction", "compact_threshold": 10_000}]);
    let responses = json!({"input": "Hi", "context_management": compaction});
    let refused =
        translated(OpenAiResponses, Anthropic, &responses).expect_err("its answer would have another meaning");
    assert_eq!(refused.param.as_deref(), Some("context_management"));
    let (body, left_out) = sent(OpenAiResponses, Anthropic, &json!({"input": "Hi", "context_management": []}));
    assert_eq!((body.get("context_management"), left_out), (None, vec![]));
}

/// "Response input messages must contain the word 'json' in some form", and `instructions` are none.
#[test]
fn who_asks_for_json_by_a_word_of_the_system_is_heard_where_openai_looks_for_it() {
    let chat = |more: Value| {
        let messages =
            [json!({"role": "system", "content": "Answer in JSON."}), json!({"role": "user", "content": "Hi"})];
        let mut body = json!({"messages": messages});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        sent(OpenAi, OpenAiResponses, &body).0
    };
    let body = chat(json!({"response_format": {"type": "json_object"}}));
    assert_eq!(body.get("instructions"), None);
    assert_eq!(body["input"][0], json!({"role": "system", "content": "Answer in JSON."}));
    let schema = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}});
    for more in [json!({}), json!({"response_format": schema})] {
        assert_eq!(chat(more)["instructions"], "Answer in JSON.");
    }
}

/// The SDKs send back what they got, of which OpenAI has kept the rest.
#[test]
fn thoughts_that_only_openai_has_are_said_to_be_left_out() {
    let thoughts = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let body =
        json!({"input": [{"role": "user", "content": "Hi"}, thoughts, {"role": "assistant", "content": "Yes?"}]});
    for target in [Anthropic, OpenAi, Gemini] {
        assert_eq!(sent(OpenAiResponses, target, &body).1, ["input.reasoning"], "{target}");
    }
}

#[test]
fn a_function_that_takes_nothing_has_a_schema_of_an_object() {
    let function = json!({"name": "f", "parametersJsonSchema": {}});
    let contents = json!([{"role": "user", "parts": [{"text": "Hi"}]}]);
    let body = json!({"contents": contents, "tools": [{"functionDeclarations": [function]}]});
    let nothing = json!({"type": "object", "properties": {}});
    assert_eq!(sent(Gemini, OpenAi, &body).0.pointer("/tools/0/function/parameters"), Some(&nothing));
    assert_eq!(sent(Gemini, OpenAiResponses, &body).0.pointer("/tools/0/parameters"), Some(&nothing));
}
