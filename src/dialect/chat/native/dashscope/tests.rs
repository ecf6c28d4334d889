use crate::dialect::DialectId::DashScope;
use crate::dialect::Framing::{JsonDocument, Sse};
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::native::tests::{
    body, check, choosing, effort, image, medium, plain, png, read, schema, shaped, survives, thinking, tool, tools,
    written,
};
use crate::dialect::chat::request::{Effort, MediaKind, Reasoning, Source, Tool, ToolChoice};
use crate::dialect::chat::{Block, FinishReason, ReasoningKind};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn a_request_is_written_as_dashscope_has_it() {
    check(
        DashScope,
        &plain(),
        r#"{"model":"m","input":{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]},
        "parameters":{"result_format":"message","max_tokens":100,"temperature":0.5,"top_p":0.9,"stop":["END"]}}"#,
    );
    check(
        DashScope,
        &tools(),
        r#"{"model":"m","input":{"messages":[{"role":"user","content":"Weather in Paris and Rome?"},
        {"role":"assistant","content":"Let me look.","tool_calls":[
            {"id":"call_1","type":"function","index":0,"function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}},
            {"id":"call_2","type":"function","index":1,"function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},
        {"role":"tool","tool_call_id":"call_1","name":"get_weather","content":"18 C"},
        {"role":"tool","tool_call_id":"call_2","name":"get_weather","content":"Error: no such city"},
        {"role":"user","content":"And now?"}]},
        "parameters":{"result_format":"message","parallel_tool_calls":true,
        "tools":[{"type":"function","function":{"name":"get_weather","description":"Weather of a city",
            "parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]}}"#,
    );
    let mut pictured = image(png());
    pictured.messages.insert(0, plain().messages.remove(0));
    pictured.stream = true;
    check(
        DashScope,
        &pictured,
        r#"{"model":"m","input":{"messages":[{"role":"system","content":[{"text":"Be brief."}]},
        {"role":"user","content":[{"text":"What is this?"},{"image":"data:image/png;base64,iVBORw0KGgo="}]}]},
        "parameters":{"result_format":"message","incremental_output":true}}"#,
    );
    let seeing = written(DashScope, &plain(), "qwen3-vl-plus").unwrap().0;
    assert_eq!(seeing["input"]["messages"][1]["content"], json!([{"text":"Hello"}]));
    let format = &body(DashScope, &shaped(schema()))["parameters"]["response_format"];
    assert_eq!((&format["type"], &format["json_schema"]["name"]), (&json!("json_schema"), &json!("answer")));
}

#[test]
fn a_tool_that_must_be_called_is_named_or_refused() {
    let choice = |choice| body(DashScope, &choosing(choice))["parameters"]["tool_choice"].clone();
    let named = json!({"type":"function","function":{"name":"get_weather"}});
    assert_eq!(choice(ToolChoice::Named(vec!["get_weather".into()])), named);
    assert_eq!(choice(ToolChoice::Required), named);
    assert_eq!(choice(ToolChoice::None), "none");
    assert_eq!(choice(ToolChoice::Auto), json!(null));
    let mut several = choosing(ToolChoice::Required);
    several.tools.push(Tool { name: "other".into(), ..tool() });
    assert_eq!(written(DashScope, &several, "m").unwrap_err().field, Field::ToolChoice);
    let mut one_at_a_time = choosing(ToolChoice::Auto);
    one_at_a_time.options.parallel_tool_calls = Some(false);
    assert_eq!(body(DashScope, &one_at_a_time)["parameters"]["parallel_tool_calls"], false);
}

#[test]
fn thinking_is_on_or_off_with_a_budget() {
    let parameters = |request| {
        let parameters = body(DashScope, &request)["parameters"].clone();
        (parameters["enable_thinking"].clone(), parameters["thinking_budget"].clone())
    };
    assert_eq!(parameters(effort(Effort::None)), (json!(false), json!(null)));
    assert_eq!(parameters(effort(Effort::Low)), (json!(true), json!(1024)));
    assert_eq!(parameters(effort(Effort::High)), (json!(true), json!(null)));
    let budget = Reasoning { budget_tokens: Some(77), ..Reasoning::default() };
    assert_eq!(parameters(thinking(budget)), (json!(true), json!(77)));
    // Who wants to see thoughts need not make a model think that does not.
    let shown = |budget_tokens| Reasoning { visible: Some(true), budget_tokens, ..Reasoning::default() };
    assert_eq!(parameters(thinking(shown(None))), (json!(null), json!(null)));
    assert_eq!(parameters(thinking(shown(Some(77)))), (json!(true), json!(77)));
    let mut document = plain();
    let pdf = medium(MediaKind::Document, "application/pdf", Source::Base64("JVBERi0=".into()));
    document.messages[1].parts.push(pdf);
    assert_eq!(written(DashScope, &document, "m").unwrap_err().field, Field::Messages);
}

const STREAM: &str = r#"id:1
event:result
:HTTP_STATUS/200
data:{"output":{"choices":[{"message":{"content":[],"reasoning_content":"Hm, ","role":"assistant"},"finish_reason":"null"}]},"usage":{},"request_id":"0d95e615"}

id:2
event:result
:HTTP_STATUS/200
data:{"output":{"choices":[{"message":{"content":"","reasoning_content":"so.","role":"assistant"},"finish_reason":"null"}]},"usage":{"total_tokens":30,"input_tokens":20,"output_tokens":10},"request_id":"0d95e615"}

id:3
event:result
:HTTP_STATUS/200
data:{"output":{"choices":[{"message":{"content":[{"text":"Let me look."}],"role":"assistant"},"finish_reason":"null"}]},"usage":{"total_tokens":31,"input_tokens":20,"output_tokens":11},"request_id":"0d95e615"}

id:4
event:result
:HTTP_STATUS/200
data:{"output":{"choices":[{"message":{"content":"","tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":"{\"city\":"}}],"role":"assistant"},"finish_reason":"null"}]},"usage":{"total_tokens":33,"input_tokens":20,"output_tokens":13},"request_id":"0d95e615"}

id:5
event:result
:HTTP_STATUS/200
data:{"output":{"choices":[{"message":{"content":"","tool_calls":[{"index":0,"id":"","type":"function","function":{"arguments":"\"Paris\"}"}},{"index":1,"id":"call_b","type":"function","function":{"name":"get_weather","arguments":"{}"}}],"role":"assistant"},"finish_reason":"tool_calls"}]},"usage":{"total_tokens":35,"input_tokens":20,"output_tokens":15,"output_tokens_details":{"reasoning_tokens":9},"prompt_tokens_details":{"cached_tokens":4},"plugins":{"search":{"count":2}}},"request_id":"0d95e615"}

"#;

#[test]
fn a_stream_is_read() {
    let read = read(DashScope, Sse, STREAM.as_bytes());
    assert_eq!(read.counts, Some([20, 4, 0, 15, 9]));
    assert!(read.token && read.whole && !read.ended);
    assert_eq!(read.delivered, "Hm, so.Let me look.get_weather{\"city\":\"Paris\"}get_weather{}");
    assert_eq!(read.answer.id.as_deref(), Some("0d95e615"));
    let choice = &read.answer.choices[0];
    let thoughts = Block::Reasoning { text: "Hm, so.".into(), kind: ReasoningKind::Full, signature: None };
    assert_eq!(choice.blocks[0], thoughts);
    assert!(matches!(&choice.blocks[1], Block::Text { text, .. } if text == "Let me look."));
    let call = |id: &str, arguments: &str| Block::ToolCall {
        id: id.into(),
        name: "get_weather".into(),
        arguments: arguments.into(),
        signature: None,
    };
    assert_eq!(choice.blocks[2..], [call("call_a", r#"{"city":"Paris"}"#), call("call_b", "{}")]);
    assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
}

#[test]
fn documents_choices_and_bare_texts_are_read() {
    let two = r#"{"output":{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"A"},"logprobs":{"content":[{"token":"A","logprob":-0.5}]}},{"index":1,"finish_reason":"length","message":{"role":"assistant","content":"B"}}]},"usage":{"input_tokens":8,"output_tokens":12},"request_id":"r"}"#;
    let got = read(DashScope, JsonDocument, two.as_bytes());
    assert_eq!(got.counts, Some([8, 0, 0, 12, 0]));
    assert_eq!(got.answer.choices[1].finish, Some(FinishReason::Length));
    assert!(matches!(&got.answer.choices[0].blocks[0], Block::Text { logprobs, .. } if logprobs.len() == 1));
    let bare = r#"{"output":{"finish_reason":"stop","text":"A"},"usage":{"input_tokens":1,"output_tokens":2}}"#;
    let got = read(DashScope, JsonDocument, bare.as_bytes());
    assert_eq!((got.delivered.as_str(), &got.answer.choices[0].finish), ("A", &Some(FinishReason::Stop)));
}

#[test]
fn an_error_in_mid_stream_has_the_status_that_its_comment_states() {
    let failed = format!(
        "{}id:9\nevent:error\n:HTTP_STATUS/429\ndata:{{\"code\":\"Throttling\",\"message\":\"Overloaded\",\"request_id\":\"r\"}}\n\n",
        &STREAM[..STREAM.find("id:3").unwrap()]
    );
    let error = read(DashScope, Sse, failed.as_bytes()).answer.error.unwrap();
    assert_eq!((error.status, &*error.message, error.code.as_deref()), (429, "Overloaded", Some("Throttling")));
}

#[test]
fn what_the_model_writes_is_no_usage() {
    let spoof = r#"data:{"output":{"choices":[{"message":{"content":"{\"usage\":{\"input_tokens\":1}}","usage":{"input_tokens":9,"output_tokens":9},"role":"assistant"},"finish_reason":"null"}]},"request_id":"r"}"#;
    let read = read(DashScope, Sse, format!("{spoof}\n\n").as_bytes());
    assert!(read.counts.is_none() && !read.whole && read.token);
}

proptest! {
    #[test]
    fn no_event_panics(line in "[ -~]{0,80}", cut in 0_usize..900) {
        let cut = STREAM.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(0);
        survives(DashScope, Sse, format!("{}{line}\n\n{}", &STREAM[..cut], &STREAM[cut..]).as_bytes());
    }
}
