use super::streamed;
use crate::dialect::DialectId;
use crate::dialect::chat::{Begin, Event, FinishReason, ReasoningKind, Refusal, Signature};
use serde_json::Value;
use tollgate_plugin_api::Metered;

fn text(piece: &'static str) -> Event<'static> {
    Event::Text { choice: 0, text: piece.into(), logprobs: None }
}

fn call(call: u32) -> Event<'static> {
    Event::ToolCall { choice: 0, call, id: format!("c{call}").into(), name: "f".into(), signature: None }
}

fn arguments(call: u32, json: &'static str) -> Event<'static> {
    Event::Arguments { choice: 0, call, json: json.into() }
}

fn thought(piece: &'static str) -> Event<'static> {
    Event::Reasoning { choice: 0, text: piece.into(), kind: ReasoningKind::Full }
}

fn signed(maker: DialectId, signature: &'static str) -> Event<'static> {
    Event::ReasoningEnd { choice: 0, signature: Some(Signature::new(maker, signature)) }
}

/// The events in few words: type, index, and the delta's or block's one content.
fn brief(stream: &str) -> Vec<String> {
    let events = stream.split_terminator("\n\n").map(|event| {
        let (name, json) = event.split_once("\ndata: ").expect("an event");
        let event: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(name, format!("event: {}", event["type"].as_str().unwrap()));
        let what = event.get("delta").or(event.get("content_block")).unwrap_or(&Value::Null);
        let content = ["text", "thinking", "signature", "data", "partial_json", "id", "stop_reason"];
        let content: Vec<&str> = content.iter().filter_map(|name| what.get(name)?.as_str()).collect();
        let index = event.get("index").map(Value::to_string).unwrap_or_default();
        let kind = event["type"].as_str().unwrap().trim_start_matches("content_block_");
        format!("{kind} {index} {}", content.join("|")).trim().to_owned()
    });
    events.collect()
}

#[test]
fn blocks_begin_and_end_in_order_and_the_usage_comes_at_the_end() {
    let mut metered = Metered::default();
    metered.usage.input_tokens = 11;
    metered.usage.cached_input_tokens = 4;
    metered.usage.output_tokens = 3;
    let begin = Begin { id: Some("msg_9".into()), model: Some("gpt".into()), created_s: None };
    let stream = streamed([
        Event::Begin(begin),
        thought("Hm"),
        signed(DialectId::Anthropic, "s"),
        Event::Ping,
        text("He"),
        text("llo"),
        call(0),
        arguments(0, "{\"a\":"),
        arguments(0, "1}"),
        Event::Finish { choice: 0, reason: FinishReason::ToolCalls },
        Event::End(Some(metered)),
        text("late"),
    ]);
    let expected = [
        "message_start",
        "start 0 |",
        "delta 0 Hm",
        "delta 0 s",
        "stop 0",
        "ping",
        "start 1",
        "delta 1 He",
        "delta 1 llo",
        "stop 1",
        "start 2 c0",
        "delta 2 {\"a\":",
        "delta 2 1}",
        "stop 2",
        "message_delta  tool_use",
        "message_stop",
    ];
    assert_eq!(brief(&stream), expected);
    assert!(stream.starts_with(concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_9\",\"type\":\"message\",",
        "\"role\":\"assistant\",\"model\":\"gpt\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,",
        "\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}}\n\n"
    )));
    let usage =
        r#""usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3}"#;
    assert!(stream.contains(usage), "{stream}");
}

#[test]
fn calls_whose_arguments_are_interleaved_stay_open_until_they_are_whole() {
    let stream = streamed([
        call(0),
        arguments(0, "{\"a\":\"}"),
        call(1),
        arguments(1, "{}"),
        arguments(0, "\\\"\"}"),
        text("then"),
        Event::Finish { choice: 0, reason: FinishReason::Stop },
        Event::End(None),
    ]);
    let expected = [
        "message_start",
        "start 0 c0",
        "delta 0 {\"a\":\"}",
        "start 1 c1",
        "delta 1 {}",
        "delta 0 \\\"\"}",
        "stop 0",
        "stop 1",
        "start 2",
        "delta 2 then",
        "stop 2",
        "message_delta  tool_use",
        "message_stop",
    ];
    assert_eq!(brief(&stream), expected);
}

#[test]
fn encrypted_thoughts_and_foreign_signatures_are_redacted_blocks() {
    let gemini = || Signature::new(DialectId::Gemini, "g");
    let (id, name) = ("c".into(), "f".into());
    let stream = streamed([
        signed(DialectId::Anthropic, "redacted:d"),
        signed(DialectId::Anthropic, "s"),
        signed(DialectId::OpenAiResponses, "enc"),
        thought("Hm"),
        Event::ReasoningEnd { choice: 0, signature: None },
        thought("So"),
        text("Hi"),
        Event::TextSigned { choice: 0, signature: gemini() },
        Event::ToolCall { choice: 0, call: 0, id, name, signature: Some(gemini()) },
        text("Bye"),
        Event::TextSigned { choice: 0, signature: gemini() },
    ]);
    let expected = [
        "message_start",
        "start 0 d",
        "stop 0",
        "start 1 |",
        "delta 1 s",
        "stop 1",
        "start 2 tollgate.openai-responses.enc",
        "stop 2",
        "start 3 |",
        "delta 3 Hm",
        "delta 3 tollgate.openai.",
        "stop 3",
        "start 4 |",
        "delta 4 So",
        "delta 4 tollgate.openai.",
        "stop 4",
        "start 5",
        "delta 5 Hi",
        "stop 5",
        "start 6 text:tollgate.gemini.g",
        "stop 6",
        "start 7 call:tollgate.gemini.g",
        "stop 7",
        "start 8 c",
        "start 9",
        "delta 9 Bye",
    ];
    assert_eq!(brief(&stream), expected);
}

#[test]
fn nothing_follows_an_error() {
    let refusal = Refusal { status: 529, message: "Overloaded".into(), code: None, param: None, retry_after_s: None };
    let stream = streamed([text("Hel"), Event::Error(refusal), text("lo"), Event::End(None)]);
    let error = concat!(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},",
        "\"request_id\":\"01990000-0000-7000-8000-000000000001\"}\n\n"
    );
    assert!(stream.ends_with(error), "{stream}");
}
