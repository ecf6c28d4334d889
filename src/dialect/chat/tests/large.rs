//! Requests as large as they may be, made of whatever costs most: the work is in proportion. (Were it not, these would not
//! come to their end.)

use crate::dialect::DialectId::{self, OpenAi, OpenAiResponses};
use crate::dialect::chat::{ChatRules, Manner, translate_request};
use serde_json::{Value, json};

const MANY: usize = 60_000;

fn translated(client: DialectId, target: DialectId, body: &str) -> Value {
    let rules = ChatRules::default();
    let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules };
    let translated = translate_request(client, target, body, false, &manner).expect("it can be translated");
    serde_json::from_slice(&translated.body).expect("JSON")
}

fn many(element: impl Fn(usize) -> String) -> String {
    (0..MANY).map(element).collect::<Vec<_>>().join(",")
}

const HI: &str = r#"{"role":"user","content":"Hi"}"#;

#[test]
fn members_that_stand_many_times_count_once() {
    let seeds = many(|at| format!(r#""seed":{at},"temperature":{at}"#));
    let sent = translated(OpenAi, OpenAi, &format!(r#"{{{seeds},"messages":[{HI}]}}"#));
    assert_eq!((&sent["seed"], &sent["temperature"]), (&json!(MANY - 1), &json!(MANY - 1)));
}

#[test]
fn allowed_tools_are_found_among_many() {
    let name = "a_name_that_begins_as_all_the_others_do";
    let tools = many(|at| format!(r#"{{"type":"function","function":{{"name":"{name}{at}"}}}}"#));
    let allowed = format!(r#"{{"mode":"auto","tools":[{tools}]}}"#);
    let choice = format!(r#"{{"type":"allowed_tools","allowed_tools":{allowed}}}"#);
    let body = format!(r#"{{"messages":[{HI}],"tools":[{tools}],"tool_choice":{choice}}}"#);
    assert_eq!(translated(OpenAi, OpenAi, &body)["tools"].as_array().map(Vec::len), Some(MANY));

    let tools = many(|at| format!(r#"{{"type":"function","name":"{name}{at}"}}"#));
    let choice = format!(r#"{{"type":"allowed_tools","mode":"auto","tools":[{tools}]}}"#);
    let body = format!(r#"{{"input":"Hi","tools":[{tools}],"tool_choice":{choice}}}"#);
    assert_eq!(translated(OpenAiResponses, OpenAi, &body)["tools"].as_array().map(Vec::len), Some(MANY));
}

#[test]
fn a_summary_of_many_parts_is_one_text() {
    let parts = many(|_| r#"{"type":"summary_text","text":"a thought of some length, and then some more"}"#.to_owned());
    let body = format!(r#"{{"input":[{{"type":"reasoning","summary":[{parts}],"encrypted_content":"x"}}]}}"#);
    let sent = translated(OpenAiResponses, OpenAiResponses, &body);
    let text = sent["input"][0]["summary"][0]["text"].as_str().expect("one text");
    assert_eq!(text.matches("thought").count(), MANY);
}

#[test]
fn results_with_media_find_their_calls_among_many() {
    let call = |at| format!(r#"{{"type":"function_call","call_id":"c{at}","name":"f{at}","arguments":"{{}}"}}"#);
    let image = r#"{"type":"input_image","image_url":"data:image/png;base64,AA=="}"#;
    let result = |at| format!(r#"{{"type":"function_call_output","call_id":"c{at}","output":[{image}]}}"#);
    let searches = many(|_| r#"{"type":"web_search_call","id":"x"}"#.to_owned());
    let body = format!(r#"{{"input":[{},{},{searches}]}}"#, many(call), many(result));
    let sent = translated(OpenAiResponses, OpenAi, &body);
    let last = &sent["messages"].as_array().and_then(|messages| messages.last()).expect("messages")["content"];
    let parts = last.as_array().expect("parts");
    assert_eq!(parts.len(), 2 * MANY);
    assert_eq!(parts[2 * MANY - 2]["text"], format!("From the result of call c{0} (f{0}):", MANY - 1));
}
