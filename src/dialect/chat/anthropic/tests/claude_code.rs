//! A request as Claude Code sends it, and what comes back to it.

use super::{read_request, written};
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{Json, Part, Reasoning, Role, Signature};
use serde_json::{Value, json};

const BODY: &str = r#"{
 "model": "claude-opus-4-8", "stream": true, "max_tokens": 32000,
 "system": [
  {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=0a1b2;"},
  {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
  {"type": "text", "text": "Be careful.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
 ],
 "messages": [
  {"role": "user", "content": [{"type": "text", "text": "<reminder>"}, {"type": "text", "text": "Fix it"}]},
  {"role": "assistant", "content": [
   {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
   {"type": "redacted_thinking", "data": "ZGF0YQ=="},
   {"type": "thinking", "thinking": "unsigned", "signature": ""},
   {"type": "redacted_thinking", "data": "call:tollgate.gemini.R0VN"},
   {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file": "a.rs"}, "caller": {"type": "direct"}},
   {"type": "tool_use", "id": "toolu_2", "name": "Read", "input": {}}
  ]},
  {"role": "user", "content": [
   {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "fn main() {}"}]},
   {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no such file", "is_error": true,
    "cache_control": {"type": "ephemeral"}}
  ]},
  {"role": "system", "content": "The file has changed."}
 ],
 "tools": [
  {"name": "Read", "description": "Reads", "input_schema": {"$schema": "x", "type": "object", "properties": {}},
   "eager_input_streaming": true, "cache_control": {"type": "ephemeral"}}
 ],
 "metadata": {"user_id": "{\"device_id\":\"d\"}"},
 "thinking": {"type": "adaptive", "display": "summarized"},
 "output_config": {"effort": "high"},
 "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
 "temperature": 1
}"#;

#[test]
fn all_of_it_is_read() {
    let request = read_request(BODY).unwrap();
    assert_eq!(request.left_out, ["system.x-anthropic-billing-header", "tools.eager_input_streaming"]);
    let effort = Some(super::super::super::Effort::High);
    assert_eq!(request.options.reasoning, Some(Reasoning { effort, budget_tokens: None, visible: Some(true) }));
    assert!(request.options.plain(Field::ContextManagement).is_some());
    assert_eq!(request.options.plain(Field::User), Some(&Json::of(&r#"{"device_id":"d"}"#)));
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User, Role::System]);
    let [Part::Text { text, .. }, Part::CacheMark(mark), _, Part::CacheMark(_)] = &*request.messages[0].parts else {
        panic!("{:?}", request.messages[0].parts)
    };
    assert_eq!((&**text, mark.as_str()), ("You are Claude Code.", "{\"type\": \"ephemeral\"}"));
    let turn = &request.messages[2].parts;
    let signature = |part: &Part<'_>| match part {
        Part::Reasoning { signature, .. } => {
            signature.clone().map(|signature| (signature.maker, signature.text.into_owned()))
        }
        _ => None,
    };
    assert_eq!(signature(&turn[0]), Some((DialectId::Anthropic, "c2ln".to_owned())));
    assert_eq!(signature(&turn[1]), Some((DialectId::Anthropic, "redacted:ZGF0YQ==".to_owned())));
    assert_eq!(signature(&turn[2]), None);
    let Part::ToolCall(call) = &turn[3] else { panic!("{turn:?}") };
    assert_eq!(call.arguments, "{\"file\": \"a.rs\"}");
    assert_eq!(call.signature, Some(Signature::new(DialectId::Gemini, "R0VN")));
    assert!(matches!(&turn[4], Part::ToolCall(call) if call.signature.is_none()));
}

#[test]
fn it_comes_back_to_anthropic_as_it_was_but_for_what_is_not_anthropics() {
    let request = read_request(BODY).unwrap();
    let (body, unused) = written(&request, "claude-opus-4-8").unwrap();
    let original: Value = serde_json::from_str(BODY).unwrap();
    assert_eq!(unused, [Field::Thoughts]);
    for same in ["max_tokens", "metadata", "thinking", "output_config", "context_management"] {
        assert_eq!(body[same], original[same], "{same}");
    }
    let system =
        [&original["system"][1], &original["system"][2], &json!({"type": "text", "text": "The file has changed."})];
    assert_eq!(body["system"], json!(system));
    let turn = &original["messages"][1]["content"];
    let mut call = turn[4].clone();
    call.as_object_mut().unwrap().remove("caller");
    assert_eq!(body["messages"][1]["content"], json!([turn[0], turn[1], call, turn[5]]));
    let mut results = original["messages"][2].clone();
    results["content"][0]["content"] = "fn main() {}".into();
    assert_eq!(body["messages"][2], results);
    let mut tools = original["tools"].clone();
    tools[0].as_object_mut().unwrap().remove("eager_input_streaming");
    assert_eq!(body["tools"], tools);
}
