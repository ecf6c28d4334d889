use super::{Reader, Told, answer_of_document, answer_of_stream, asked, golden, manner, read_request, streamed};
use crate::dialect::chat::anthropic::answer_writer::Writer;
use crate::dialect::chat::anthropic::request_writer::write_request;
use crate::dialect::chat::{Answer, AnswerReader, AnswerWriter, Event, FinishReason, ReasoningKind, Signature, Sink};
use crate::dialect::{DialectId, Framing};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Words of the dialect, so that random values come into its readers' every corner.
const NAMES: [&str; 40] = [
    "type",
    "messages",
    "role",
    "content",
    "text",
    "system",
    "tools",
    "name",
    "input_schema",
    "input",
    "id",
    "tool_use_id",
    "source",
    "data",
    "media_type",
    "url",
    "thinking",
    "signature",
    "budget_tokens",
    "output_config",
    "effort",
    "format",
    "schema",
    "tool_choice",
    "cache_control",
    "is_error",
    "citations",
    "stop_sequences",
    "max_tokens",
    "temperature",
    "message",
    "content_block",
    "delta",
    "partial_json",
    "citation",
    "stop_reason",
    "stop_details",
    "usage",
    "title",
    "strict",
];
const WORDS: [&str; 32] = [
    "user",
    "assistant",
    "system",
    "text",
    "image",
    "document",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "search_result",
    "base64",
    "url",
    "content",
    "compaction",
    "adaptive",
    "enabled",
    "disabled",
    "high",
    "json_schema",
    "auto",
    "any",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "text_delta",
    "input_json_delta",
    "citations_delta",
    "end_turn",
    "call:x",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        proptest::sample::select(&WORDS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        let member = (proptest::sample::select(&NAMES[..]), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            proptest::collection::vec(member, 0..6).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// What stands in an answer: a kind, a text, and for calls an argument.
fn any_events() -> impl Strategy<Value = Vec<(u8, String)>> {
    proptest::collection::vec((0_u8..5, "[a-zé\"\\\\{}\n ]{1,8}"), 0..8)
}

/// The events of it; `Begin` and `Finish` around them.
fn events(of: &[(u8, String)]) -> Vec<Event<'_>> {
    let (choice, mut calls, mut events) = (0, 0, Vec::new());
    for (kind, text) in of {
        let words = text.as_str().into();
        match kind {
            0 => events.push(Event::Text { choice, text: words, logprobs: None }),
            1 => {
                events.push(Event::Reasoning { choice, text: words, kind: ReasoningKind::Full });
                let signature = Some(Signature::new(DialectId::Anthropic, "c2ln"));
                events.push(Event::ReasoningEnd { choice, signature });
            }
            2 => {
                let signature = Signature::new(DialectId::OpenAiResponses, text.as_str());
                events.push(Event::ReasoningEnd { choice, signature: Some(signature) });
            }
            3 => {
                let signature = Signature::new(DialectId::Anthropic, "redacted:data");
                events.push(Event::ReasoningEnd { choice, signature: Some(signature) });
            }
            _ => {
                let (call, json) = (calls, serde_json::json!({ "a": text }).to_string().into());
                calls += 1;
                events.push(Event::ToolCall { choice, call, id: words, name: "f".into(), signature: None });
                events.push(Event::Arguments { choice, call, json });
            }
        }
    }
    let reason = if calls > 0 { FinishReason::ToolCalls } else { FinishReason::Length };
    events.push(Event::Finish { choice, reason });
    events
}

proptest! {
    #[test]
    fn random_values_are_read_or_refused(value in any_json(), bare in ".{0,40}") {
        for json in [value.to_string(), bare] {
            if let Ok(request) = read_request(&json) {
                let _ = write_request(&request, &manner("m"), &mut Vec::new());
            }
            let mut told = Told::default();
            let _ = Reader::default().event("", &json, &mut told);
            let _ = Reader::default().document(&json, &mut told);
        }
    }

    #[test]
    fn random_messages_and_blocks_are_read_or_refused(content in any_json(), kind in proptest::sample::select(&WORDS[..])) {
        let mut block = content.clone();
        if let Value::Object(members) = &mut block {
            members.insert("type".to_owned(), kind.into());
        }
        for role in ["user", "assistant"] {
            let json = serde_json::json!({"messages": [{"role": role, "content": [block]}], "thinking": content}).to_string();
            if let Ok(request) = read_request(&json) {
                let _ = write_request(&request, &manner("claude-haiku-4-5"), &mut Vec::new());
            }
        }
        let (mut reader, mut told) = (Reader::default(), Told::default());
        for name in ["message_start", "content_block_start", "content_block_delta", "message_delta"] {
            let json = serde_json::json!({"type": name, "message": block, "content_block": block, "delta": block}).to_string();
            let _ = reader.event(name, &json, &mut told);
        }
    }

    #[test]
    fn what_is_written_is_read_again(of in any_events()) {
        let mut answer = Answer::default();
        events(&of).into_iter().for_each(|event| answer.event(event));
        let again = answer_of_stream(&streamed(events(&of).into_iter().chain([Event::End(None)])));
        prop_assert_eq!(&again.choices, &answer.choices);
        let whole = Writer::new(asked(Framing::JsonDocument)).document(&answer);
        let again = answer_of_document(std::str::from_utf8(&whole).unwrap());
        let blocks = |answer: &Answer| answer.choices.iter().map(|choice| format!("{:?}", choice.blocks)).collect::<Vec<_>>();
        prop_assert_eq!(blocks(&again), blocks(&answer));
    }
}

#[test]
fn a_stream_that_is_written_for_a_client_of_the_same_dialect_is_the_same_answer() {
    for name in ["text", "tools", "reasoning", "length", "filtered"] {
        let sse = golden(&format!("answers/{name}/anthropic.sse"));
        let mut writer = Writer::new(asked(Framing::Sse));
        let mut again = Vec::new();
        struct Through<'w>(&'w mut Writer, &'w mut Vec<u8>);
        impl Sink for Through<'_> {
            fn event(&mut self, event: Event<'_>) {
                self.0.event(&event, self.1);
            }
        }
        let mut reader = Reader::default();
        for event in sse.split_terminator("\n\n") {
            let json = event.split_once("\ndata: ").unwrap().1;
            reader.event("", json, &mut Through(&mut writer, &mut again)).unwrap();
        }
        let again = String::from_utf8(again).unwrap();
        assert_eq!(answer_of_stream(&again), answer_of_stream(&sse), "{name}");
    }
}
