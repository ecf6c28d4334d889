use super::{Reader, Told, answer_of_document, answer_of_stream, asked, golden};
use crate::dialect::chat::anthropic::answer_writer::Writer;
use crate::dialect::chat::{
    Annotation, Answer, AnswerReader, AnswerWriter, Block, Event, FinishReason, ReasoningKind, Signature, Sink,
};
use crate::dialect::{DialectId, Framing};
use serde_json::{Value, json};
use tollgate_plugin_api::Metered;

fn words(text: &str) -> Block {
    Block::Text { text: text.into(), annotations: vec![], logprobs: vec![], signature: None }
}

fn call(id: &str, arguments: &str) -> Block {
    Block::ToolCall { id: id.into(), name: "get_weather".into(), arguments: arguments.into(), signature: None }
}

fn blocks(answer: &Answer) -> (Vec<Block>, Option<FinishReason<'static>>) {
    let [choice] = &*answer.choices else { panic!("one choice: {answer:?}") };
    (choice.blocks.clone(), choice.finish.clone())
}

#[test]
fn whole_or_in_events_an_answer_is_the_same() {
    let thoughts = Block::Reasoning {
        text: "Hm, let me see.".into(),
        kind: ReasoningKind::Full,
        signature: Some(Signature::new(DialectId::Anthropic, "c2ln")),
    };
    let look = || words("Let me look.");
    let cases = [
        ("text", vec![words("Hello there.")], FinishReason::Stop),
        ("reasoning", vec![thoughts, words("Yes.")], FinishReason::Stop),
        ("length", vec![words("Once upon")], FinishReason::Length),
        ("filtered", vec![words("I")], FinishReason::Refusal),
    ];
    for (name, expected, finish) in cases {
        let expected = (expected, Some(finish));
        let (sse, json) =
            (golden(&format!("answers/{name}/anthropic.sse")), golden(&format!("answers/{name}/anthropic.json")));
        assert_eq!(blocks(&answer_of_stream(&sse)), expected, "{name}");
        let answer = answer_of_document(&json);
        assert_eq!(blocks(&answer), expected, "{name}");
        assert_eq!(answer.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
        assert!(answer.id.unwrap().starts_with("msg_01Golden"));
    }
    let calls = [look(), call("toolu_01A", r#"{"city": "Paris"}"#), call("toolu_01B", r#"{"city": "Rome"}"#)];
    let streamed = answer_of_stream(&golden("answers/tools/anthropic.sse"));
    assert_eq!(blocks(&streamed), (calls.to_vec(), Some(FinishReason::ToolCalls)));
    let whole = blocks(&answer_of_document(&golden("answers/tools/anthropic.json"))).0;
    let Block::ToolCall { arguments, .. } = &whole[1] else { panic!("{whole:?}") };
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), json!({"city": "Paris"}));
}

#[test]
fn an_error_in_mid_stream_keeps_its_words() {
    let answer = answer_of_stream(&golden("answers/error/anthropic.sse"));
    let error = answer.error.clone().unwrap();
    assert_eq!((error.status, &*error.message), (503, "Overloaded"));
    assert_eq!(blocks(&answer), (vec![words("Hel")], None));
    let whole = answer_of_document(r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#);
    assert_eq!(whole.error.unwrap().status, 429);
}

fn told(events: &[&str]) -> Vec<String> {
    let (mut reader, mut told) = (Reader::default(), Told::default());
    events.iter().for_each(|json| reader.event("", json, &mut told).unwrap());
    told.0
}

#[test]
fn what_the_providers_own_tools_did_is_passed_over() {
    let told = told(&[
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result","tool_use_id":"s","content":{"text":[]},"name":5}}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"compaction","content":null}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"compaction_delta","content":"short"}}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"fallback","from":{"model":"a"},"to":{"model":"b"}}}"#,
        r#"{"type":"something_new","text":4}"#,
        "[DONE]",
    ]);
    assert_eq!(told, [""; 0]);
}

#[test]
fn citations_become_annotations_of_their_block() {
    let told = told(&[
        r#"{"type":"content_block_start","content_block":{"type":"text","text":"Só. "}}"#,
        r#"{"type":"content_block_stop"}"#,
        r#"{"type":"content_block_start","content_block":{"type":"text","text":"","citations":[]}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://e.x","title":"T","cited_text":"c","encrypted_index":"i"}}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Yes"}}"#,
        r#"{"type":"content_block_stop"}"#,
    ]);
    assert_eq!(told.len(), 3);
    assert!(told[2].contains("range: Some((4, 7))") && told[2].contains("https://e.x"), "{}", told[2]);
}

#[test]
fn a_call_without_arguments_has_an_empty_object_and_one_that_came_whole_is_kept() {
    let start = |input: &str| {
        format!(
            r#"{{"type":"content_block_start","content_block":{{"type":"tool_use","id":"a","name":"f","input":{input}}}}}"#
        )
    };
    let stop = r#"{"type":"content_block_stop"}"#;
    let empty = r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":""}}"#;
    let piece = r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"b\":2}"}}"#;
    let arguments = |events: &[&str]| {
        let mut answer = Answer::default();
        let mut reader = Reader::default();
        events.iter().for_each(|json| reader.event("", json, &mut answer).unwrap());
        match &blocks(&answer).0[0] {
            Block::ToolCall { arguments, .. } => arguments.clone(),
            block => panic!("{block:?}"),
        }
    };
    assert_eq!(arguments(&[&start("{}"), empty, stop]), "{}");
    assert_eq!(arguments(&[&start("{\"a\":1}"), stop]), "{\"a\":1}");
    assert_eq!(arguments(&[&start("{\"a\":1}"), piece, stop]), "{\"b\":2}");
    assert_eq!(arguments(&[&start("null"), r#"{"type":"message_stop"}"#]), "{}");
}

#[test]
fn an_answer_that_begins_again_in_the_middle_of_a_call_is_none() {
    let begin = r#"{"type":"message_start","message":{"id":"msg_1"}}"#;
    let call = r#"{"type":"content_block_start","content_block":{"type":"tool_use","id":"a","name":"f"}}"#;
    let (mut reader, mut told) = (Reader::default(), Told::default());
    for json in [begin, begin, call] {
        reader.event("", json, &mut told).unwrap();
    }
    assert_eq!(told.0.len(), 2);
    assert!(reader.event("", begin, &mut told).is_err());
}

#[test]
fn a_refusal_has_the_words_that_come_with_it() {
    let event = r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"bio","explanation":"No."}}}"#;
    let told = told(&[event, event]);
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("Refusal") && told[1].contains("reason: Refusal"), "{told:?}");
}

#[test]
fn stop_reasons_mean_the_same_both_ways() {
    use super::super::{finish_reason, stop_reason};
    for word in ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"] {
        assert_eq!(stop_reason(&finish_reason(word.into(), None)), Some(word));
    }
    assert_eq!(finish_reason("model_context_window_exceeded".into(), None), FinishReason::Length);
    let which = || Some("END".into());
    assert_eq!(finish_reason("stop_sequence".into(), which()), FinishReason::StopSequence(which()));
    assert_eq!(finish_reason("odd".into(), None), FinishReason::Other("odd".into()));
    assert_eq!(stop_reason(&FinishReason::ContentFilter), Some("refusal"));
    assert_eq!(stop_reason(&FinishReason::Other("odd".into())), None);
}

fn document(events: Vec<Event<'_>>) -> Value {
    let mut answer = Answer::default();
    events.into_iter().for_each(|event| answer.event(event));
    serde_json::from_slice(&Writer::new(asked(Framing::JsonDocument)).document(&answer)).unwrap()
}

#[test]
fn a_whole_message_has_everything_that_sdks_need() {
    let mut metered = Metered::default();
    metered.usage.input_tokens = 100;
    metered.usage.cached_input_tokens = 60;
    metered.usage.cache_write_tokens = 30;
    metered.usage.output_tokens = 9;
    metered.usage.reasoning_tokens = 4;
    metered.detail.cache_write_1h_tokens = 10;
    metered.detail.web_searches = 2;
    let foreign = || Some(Signature::new(DialectId::Gemini, "g"));
    let annotation =
        Annotation { url: Some("https://e.x".into()), title: None, cited_text: None, range: None, native: None };
    let message = document(vec![
        Event::Reasoning { choice: 0, text: "Hm".into(), kind: ReasoningKind::Summary },
        Event::ReasoningEnd { choice: 0, signature: foreign() },
        Event::ReasoningEnd { choice: 0, signature: foreign() },
        Event::Text { choice: 0, text: "Hi".into(), logprobs: None },
        Event::Annotation { choice: 0, annotation },
        Event::ToolCall { choice: 0, call: 0, id: "c".into(), name: "f".into(), signature: foreign() },
        Event::Arguments { choice: 0, call: 0, json: "{\"a\":".into() },
        Event::Media { choice: 0, mime_type: "image/png".into(), base64: "AA==".into() },
        Event::Finish { choice: 0, reason: FinishReason::Stop },
        Event::End(Some(metered)),
    ]);
    let citation = json!({"type": "web_search_result_location", "cited_text": "", "encrypted_index": "", "title": null, "url": "https://e.x"});
    let expected = json!({
        "id": "msg_01990000000070008000000000000001", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "tollgate.gemini.g"},
            {"type": "redacted_thinking", "data": "tollgate.gemini.g"},
            {"type": "text", "text": "Hi", "citations": [citation]},
            {"type": "redacted_thinking", "data": "call:tollgate.gemini.g"},
            {"type": "tool_use", "id": "c", "name": "f", "input": {"arguments": "{\"a\":"}},
            {"type": "text", "text": "![image/png](data:image/png;base64,AA==)"},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {
            "input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 60,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
            "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}, "service_tier": "standard",
        },
    });
    assert_eq!(message, expected);
}

#[test]
fn an_answer_that_has_no_end_has_no_clean_one() {
    let events = |called: bool| {
        let call = Event::ToolCall { choice: 0, call: 0, id: "c".into(), name: "f".into(), signature: None };
        let text = Event::Text { choice: 0, text: "Let me".into(), logprobs: None };
        let reason = FinishReason::Other("MALFORMED_FUNCTION_CALL".into());
        let finish = Event::Finish { choice: 0, reason };
        std::iter::once(text).chain(called.then_some(call)).chain([finish, Event::End(None)]).collect::<Vec<_>>()
    };
    for called in [false, true] {
        let streamed = super::streamed(events(called));
        let last = streamed.trim_end().rsplit("\n\n").next().unwrap();
        let error = json!({"type": "error", "error": {"type": "api_error",
            "message": "The provider broke its answer off: MALFORMED_FUNCTION_CALL"},
            "request_id": "01990000-0000-7000-8000-000000000001"});
        let (name, said) = last.split_once("\ndata: ").unwrap();
        assert_eq!((name, serde_json::from_str::<Value>(said).unwrap()), ("event: error", error));
        assert!(!streamed.contains("message_delta") && !streamed.contains("message_stop"));
        let message = document(events(called));
        assert_eq!(message["stop_reason"], "refusal");
        assert_eq!(
            message["stop_details"]["explanation"],
            "The provider broke its answer off: MALFORMED_FUNCTION_CALL"
        );
    }
}
