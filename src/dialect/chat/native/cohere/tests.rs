use crate::dialect::DialectId::Cohere;
use crate::dialect::Framing::{JsonDocument, Sse};
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::native::tests::{
    body, check, choosing, effort, image, medium, plain, png, read, schema, shaped, survives, thinking, tools, written,
};
use crate::dialect::chat::request::{Effort, Format, MediaKind, Reasoning, Source, ToolChoice};
use crate::dialect::chat::{Annotation, Block, FinishReason, ReasoningKind};
use proptest::prelude::*;

#[test]
fn a_request_is_written_as_cohere_has_it() {
    check(
        Cohere,
        &plain(),
        r#"{"model":"m","stream":false,
        "messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}],
        "max_tokens":100,"temperature":0.5,"p":0.9,"stop_sequences":["END"]}"#,
    );
    check(
        Cohere,
        &tools(),
        r#"{"model":"m","stream":false,"messages":[{"role":"user","content":"Weather in Paris and Rome?"},
        {"role":"assistant","tool_plan":"Let me look.","tool_calls":[
            {"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}},
            {"id":"call_2","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"18 C"},
        {"role":"tool","tool_call_id":"call_2","content":"Error: no such city"},
        {"role":"user","content":"And now?"}],
        "tools":[{"type":"function","function":{"name":"get_weather","description":"Weather of a city",
            "parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]}"#,
    );
    check(
        Cohere,
        &image(png()),
        r#"{"model":"m","stream":false,"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}"#,
    );
    let linked = body(Cohere, &image(Source::Url("https://example.com/cat.jpg".into())));
    assert_eq!(linked["messages"][0]["content"][1]["image_url"]["url"], "https://example.com/cat.jpg");
    let shape = &body(Cohere, &shaped(schema()))["response_format"];
    assert_eq!((&shape["type"], &shape["json_schema"]["type"]), (&"json_object".into(), &"object".into()));
    assert_eq!(body(Cohere, &shaped(Format::JsonObject))["response_format"], serde_json::json!({"type":"json_object"}));
}

#[test]
fn a_choice_of_tools_is_all_or_none_or_the_only_one_offered() {
    let choice = |choice| body(Cohere, &choosing(choice));
    assert_eq!(choice(ToolChoice::Required)["tool_choice"], "REQUIRED");
    assert_eq!(choice(ToolChoice::None)["tool_choice"], "NONE");
    assert!(choice(ToolChoice::None)["tools"].is_array());
    assert!(choice(ToolChoice::Auto).get("tool_choice").is_none());
    let mut several = choosing(ToolChoice::Named(vec!["get_weather".into()]));
    several.tools.insert(0, crate::dialect::chat::Tool { name: "other".into(), ..several.tools[0].clone() });
    let named = body(Cohere, &several);
    assert_eq!((named["tools"].as_array().unwrap().len(), &named["tool_choice"]), (1, &"REQUIRED".into()));
}

#[test]
fn a_format_is_refused_beside_tools_that_may_be_called() {
    let both = |format, choice| {
        let mut request = choosing(choice);
        request.options.format = Some(format);
        request
    };
    for choice in [ToolChoice::Auto, ToolChoice::Required] {
        let refusal = |format| written(Cohere, &both(format, choice.clone()), "m").unwrap_err().field;
        assert_eq!([refusal(schema()), refusal(Format::JsonObject)], [Field::JsonSchema, Field::JsonObject]);
    }
    let none = body(Cohere, &both(schema(), ToolChoice::None));
    assert_eq!((none.get("tools"), none.get("tool_choice")), (None, None));
    assert_eq!(none["response_format"], body(Cohere, &shaped(schema()))["response_format"]);
    // What was called is to be known.
    let mut after_calls = both(schema(), ToolChoice::None);
    after_calls.messages = tools().messages;
    assert_eq!(written(Cohere, &after_calls, "m").unwrap_err().field, Field::JsonSchema);
}

#[test]
fn thinking_has_a_budget_where_it_is_not_high() {
    let thinking = |request| body(Cohere, &request)["thinking"].clone();
    assert_eq!(thinking(effort(Effort::None)), serde_json::json!({"type":"disabled"}));
    assert_eq!(thinking(effort(Effort::Low)), serde_json::json!({"type":"enabled","token_budget":1024}));
    assert_eq!(thinking(effort(Effort::High)), serde_json::json!({"type":"enabled"}));
    let budget = Reasoning { budget_tokens: Some(5000), ..Reasoning::default() };
    assert_eq!(thinking(self::thinking(budget)), serde_json::json!({"type":"enabled","token_budget":5000}));
}

#[test]
fn a_medium_that_is_no_image_is_refused() {
    let mut request = plain();
    let pdf = medium(MediaKind::Document, "application/pdf", Source::Base64("JVBERi0xLjQ=".into()));
    request.messages[1].parts.push(pdf);
    assert_eq!(written(Cohere, &request, "m").unwrap_err().field, Field::Messages);
}

const STREAM: &str = r#"event: message-start
data: {"id":"dd27","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}

event: content-start
data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":""}}}}

event: content-delta
data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"Hm."}}}}

event: content-end
data: {"type":"content-end","index":0}

event: tool-plan-delta
data: {"type":"tool-plan-delta","delta":{"message":{"tool_plan":"Let me "}}}

event: tool-plan-delta
data: {"type":"tool-plan-delta","delta":{"message":{"tool_plan":"look."}}}

event: tool-call-start
data: {"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"get_weather_1","type":"function","function":{"name":"get_weather","arguments":""}}}}}

event: tool-call-delta
data: {"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"city\":"}}}}}

event: tool-call-delta
data: {"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"\"Paris\"}"}}}}}

event: tool-call-end
data: {"type":"tool-call-end","index":0}

event: tool-call-start
data: {"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"id":"get_weather_2","type":"function","function":{"name":"get_weather","arguments":"{}"}}}}}

event: message-end
data: {"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":20,"output_tokens":15},"tokens":{"input_tokens":500,"output_tokens":30,"reasoning_tokens":9},"cached_tokens":400}}}

data: [DONE]

"#;

const WHOLE: &str = r#"{"id":"dd27","message":{"role":"assistant","tool_plan":null,"content":[{"type":"thinking","thinking":"Hm."},{"type":"text","text":"Yes."}],"citations":[{"start":0,"end":3,"text":"Yes","sources":[{"type":"document","id":"d","document":{"id":"d","title":"facts","text":"usage"}},{"type":"tool","id":"t","tool_output":{}}],"type":"TEXT_CONTENT"},{"start":0,"end":1,"sources":[{"document":{"title":"no"}}],"type":"PLAN"}]},"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":8.0,"output_tokens":12.0},"tokens":{"input_tokens":508,"output_tokens":86}}}"#;

#[test]
fn a_stream_is_read() {
    let read = read(Cohere, Sse, STREAM.as_bytes());
    assert!(read.ended && read.token && read.whole);
    assert_eq!(read.counts, Some([20, 0, 0, 15, 9]));
    assert_eq!(read.delivered, "Hm.Let me look.get_weather{\"city\":\"Paris\"}get_weather{}");
    let choice = &read.answer.choices[0];
    assert_eq!(read.answer.id.as_deref(), Some("dd27"));
    let thoughts = Block::Reasoning { text: "Hm.".into(), kind: ReasoningKind::Full, signature: None };
    assert_eq!(choice.blocks[0], thoughts);
    assert!(matches!(&choice.blocks[1], Block::Text { text, .. } if text == "Let me look."));
    let call = |id: &str, arguments: &str| Block::ToolCall {
        id: id.into(),
        name: "get_weather".into(),
        arguments: arguments.into(),
        signature: None,
    };
    assert_eq!(choice.blocks[2..], [call("get_weather_1", r#"{"city":"Paris"}"#), call("get_weather_2", "{}")]);
    assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
}

#[test]
fn a_document_is_read_and_a_document_that_is_cited_is_told() {
    let read = read(Cohere, JsonDocument, WHOLE.as_bytes());
    assert_eq!(read.counts, Some([8, 0, 0, 12, 0]));
    let [Block::Reasoning { text: thoughts, .. }, Block::Text { text, annotations, .. }] =
        &read.answer.choices[0].blocks[..]
    else {
        panic!("thoughts and text: {read:?}")
    };
    assert_eq!((thoughts.as_str(), text.as_str()), ("Hm.", "Yes."));
    let expected =
        Annotation { url: None, title: Some("facts".into()), cited_text: None, range: Some((0, 3)), native: None };
    assert_eq!(annotations[..], [expected]);
}

#[test]
fn every_end_has_its_reason_and_a_failure_is_one() {
    let end = |word: &str| {
        let said = WHOLE.replace("COMPLETE", word);
        let read = read(Cohere, JsonDocument, said.as_bytes());
        (read.answer.choices[0].finish.clone(), read.answer.error)
    };
    assert_eq!(end("MAX_TOKENS").0, Some(FinishReason::Length));
    assert_eq!(end("STOP_SEQUENCE").0, Some(FinishReason::StopSequence(None)));
    assert_eq!(end("NEW_WORD").0, Some(FinishReason::Other("NEW_WORD".into())));
    assert_eq!(end("TIMEOUT").1.unwrap().status, 504);
    let failed = STREAM.replace(r#""finish_reason":"TOOL_CALL""#, r#""finish_reason":"ERROR","error":"Overloaded""#);
    let failed = read(Cohere, Sse, failed.as_bytes());
    assert_eq!(failed.answer.error.unwrap().message, "Overloaded");
}

#[test]
fn what_the_model_writes_is_no_usage() {
    let text = r#"data: {\"type\":\"message-end\",\"delta\":{\"usage\":{\"billed_units\":{\"input_tokens\":1}}}}"#;
    let event = format!(
        "event: content-delta\ndata: {{\"type\":\"content-delta\",\"index\":0,\"delta\":{{\"message\":{{\"content\":{{\"text\":\"{text}\",\"usage\":{{\"billed_units\":{{\"input_tokens\":1}}}}}}}}}}}}\n\n"
    );
    let read = read(Cohere, Sse, event.as_bytes());
    assert!(read.counts.is_none() && !read.whole && read.token);
}

proptest! {
    #[test]
    fn no_event_panics(line in "[ -~]{0,80}", cut in 0_usize..900) {
        let cut = STREAM.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(0);
        survives(Cohere, Sse, format!("{}{line}\n\n{}", &STREAM[..cut], &STREAM[cut..]).as_bytes());
    }
}
