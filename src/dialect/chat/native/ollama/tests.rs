use crate::dialect::DialectId::Ollama;
use crate::dialect::Framing::{JsonDocument, NdJson};
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::native::tests::{
    Read, body, check, choosing, effort, image, medium, plain, png, read, schema, shaped, survives, thinking, tools,
    written,
};
use crate::dialect::chat::request::{Effort, Format, MediaKind, Part, Reasoning, Source, ToolChoice};
use crate::dialect::chat::{Block, FinishReason, ReasoningKind};
use proptest::prelude::*;

#[test]
fn a_request_is_written_as_ollama_has_it() {
    check(
        Ollama,
        &plain(),
        r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}],
        "stream":false,"options":{"num_predict":100,"temperature":0.5,"top_p":0.9,"stop":["END"]}}"#,
    );
    check(
        Ollama,
        &tools(),
        r#"{"model":"m","stream":false,"messages":[{"role":"user","content":"Weather in Paris and Rome?"},
        {"role":"assistant","content":"Let me look.","tool_calls":[
            {"id":"call_1","function":{"name":"get_weather","arguments":{"city":"Paris"}}},
            {"id":"call_2","function":{"name":"get_weather","arguments":{"city":"Rome"}}}]},
        {"role":"tool","tool_name":"get_weather","tool_call_id":"call_1","content":"18 C"},
        {"role":"tool","tool_name":"get_weather","tool_call_id":"call_2","content":"Error: no such city"},
        {"role":"user","content":"And now?"}],
        "tools":[{"type":"function","function":{"name":"get_weather","description":"Weather of a city",
            "parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]}"#,
    );
    check(
        Ollama,
        &image(png()),
        r#"{"model":"m","stream":false,
        "messages":[{"role":"user","content":"What is this?","images":["iVBORw0KGgo="]}]}"#,
    );
    assert_eq!(body(Ollama, &shaped(schema()))["format"]["properties"]["n"]["type"], "integer");
    assert_eq!(body(Ollama, &shaped(Format::JsonObject))["format"], "json");
}

#[test]
fn thinking_is_a_word_or_a_yes_or_no() {
    assert_eq!(body(Ollama, &effort(Effort::None))["think"], false);
    assert_eq!(body(Ollama, &effort(Effort::Minimal))["think"], "low");
    assert_eq!(body(Ollama, &effort(Effort::Max))["think"], "high");
    let budget = |tokens| thinking(Reasoning { budget_tokens: Some(tokens), ..Reasoning::default() });
    assert_eq!(body(Ollama, &budget(0))["think"], false);
    assert_eq!(body(Ollama, &budget(5_000))["think"], "medium");
    let shown = thinking(Reasoning { visible: Some(true), ..Reasoning::default() });
    assert_eq!(body(Ollama, &shown)["think"], true);
}

#[test]
fn what_ollama_cannot_do_is_refused_or_said() {
    let refused = |request| written(Ollama, &request, "m").unwrap_err().field;
    assert_eq!(refused(choosing(ToolChoice::Required)), Field::ToolChoice);
    assert_eq!(refused(choosing(ToolChoice::Named(vec!["get_weather".into()]))), Field::ToolChoice);
    assert_eq!(refused(image(Source::Url("https://example.com/cat.jpg".into()))), Field::Messages);
    let mut pdf = plain();
    pdf.messages[1].parts.push(medium(MediaKind::Document, "application/pdf", Source::Base64("JVBERi0xLjQ=".into())));
    assert_eq!(refused(pdf), Field::Messages);
    let none = body(Ollama, &choosing(ToolChoice::None));
    assert!(none.get("tools").is_none());
    assert!(body(Ollama, &choosing(ToolChoice::Auto))["tools"].is_array());
    let mut marked = plain();
    marked.messages[0].parts.push(Part::CacheMark(crate::dialect::chat::Json::of(&1)));
    assert_eq!(written(Ollama, &marked, "m").unwrap().1, [Field::CacheMark]);
}

fn lines(last: &str) -> String {
    format!(
        "{}\n{}\n{}\n{last}\n",
        r#"{"model":"qwen3","created_at":"2026-08-07T06:08:11.017589Z","message":{"role":"assistant","content":"","thinking":"Hm, "},"done":false}"#,
        r#"{"model":"qwen3","created_at":"2026-08-07T06:08:11.117589Z","message":{"role":"assistant","content":"","thinking":"\u00e9."},"done":false}"#,
        r#"{"model":"qwen3","created_at":"2026-08-07T06:08:11.217589Z","message":{"role":"assistant","content":"Let me look.","tool_calls":[{"function":{"name":"get_weather","arguments":{"city":"Paris"}}},{"id":"call_x","function":{"index":1,"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},"done":false}"#,
    )
}

const LAST: &str = r#"{"model":"qwen3","created_at":"2026-08-07T06:08:12Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":1,"prompt_eval_count":20,"eval_count":15}"#;

#[test]
fn a_stream_and_a_document_are_the_same_answer() {
    let streamed = read(Ollama, NdJson, lines(LAST).as_bytes());
    let document = read(
        Ollama,
        JsonDocument,
        br#"{"model":"qwen3","created_at":"2026-08-07T06:08:11.217589Z","message":{"role":"assistant","content":"Let me look.","thinking":"Hm, \u00e9.","tool_calls":[{"function":{"name":"get_weather","arguments":{"city":"Paris"}}},{"id":"call_x","function":{"index":1,"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},"done":true,"done_reason":"stop","prompt_eval_count":20,"eval_count":15}"#,
    );
    assert_eq!(streamed.answer, document.answer);
    assert!(streamed.ended && !document.ended);
    for Read { answer, counts, token, whole, delivered, .. } in [streamed, document] {
        assert_eq!(counts, Some([20, 0, 0, 15, 0]));
        assert!(token && whole && delivered.contains("Let me look.") && delivered.contains("Paris"), "{delivered}");
        let call = |id: &str, arguments: &str| Block::ToolCall {
            id: id.into(),
            name: "get_weather".into(),
            arguments: arguments.into(),
            signature: None,
        };
        assert_eq!(answer.model.as_deref(), Some("qwen3"));
        let choice = &answer.choices[0];
        let thoughts = Block::Reasoning { text: "Hm, é.".into(), kind: ReasoningKind::Full, signature: None };
        assert_eq!(choice.blocks[0], thoughts);
        assert!(matches!(&choice.blocks[1], Block::Text { text, .. } if text == "Let me look."));
        let made = "call_20260807060811217589_0";
        assert_eq!(choice.blocks[2..], [call(made, r#"{"city":"Paris"}"#), call("call_x", r#"{"city":"Rome"}"#)]);
        assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
    }
}

#[test]
fn an_end_by_the_limit_a_missing_count_and_an_error_are_told() {
    let length = lines(&LAST.replace("\"stop\"", "\"length\"").replace("\"prompt_eval_count\":20,", ""));
    let length = read(Ollama, NdJson, length.as_bytes());
    assert_eq!(length.answer.choices[0].finish, Some(FinishReason::Length));
    assert_eq!(length.counts, Some([0, 0, 0, 15, 0]));
    let failed = read(Ollama, NdJson, lines("{\"error\":\"Overloaded\"}").as_bytes());
    assert_eq!(failed.answer.error.unwrap().message, "Overloaded");
    assert!(!failed.whole && failed.counts.is_none());
}

#[test]
fn what_the_model_writes_is_no_usage() {
    let spoof = r#"{"model":"m","message":{"role":"assistant","content":"{\"prompt_eval_count\":9,\"eval_count\":9,\"done\":true}","tool_calls":[{"function":{"name":"f","arguments":{"eval_count":9,"done":true,"error":"x"}}}]},"done":false}"#;
    let read = read(Ollama, NdJson, format!("{spoof}\n").as_bytes());
    assert!(read.counts.is_none() && !read.whole && read.token && read.answer.error.is_none());
    let bad = read_last(r#"{"message":{},"done":true,"prompt_eval_count":-1,"eval_count":1}"#);
    assert_eq!(bad.counts, None);
}

fn read_last(line: &str) -> Read {
    read(Ollama, NdJson, line.as_bytes())
}

proptest! {
    #[test]
    fn no_line_panics(line in "[ -~]{0,80}", cut in 0_usize..200) {
        let whole = lines(LAST);
        let cut = whole.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(0);
        survives(Ollama, NdJson, format!("{}{line}\n{}", &whole[..cut], &whole[cut..]).as_bytes());
    }
}
