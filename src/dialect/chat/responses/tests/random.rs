use super::super::{answer_reader, answer_writer, request_reader};
use super::{Seen, answer_to, asked};
use crate::dialect::Framing;
use crate::dialect::chat::{Answer, Begin, Event, FinishReason, ReasoningKind, Sink};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Names and words of this dialect, so that random values come near to what is read.
const WORDS: [&str; 40] = [
    "type",
    "input",
    "role",
    "user",
    "assistant",
    "content",
    "text",
    "input_text",
    "output_text",
    "function_call",
    "call_id",
    "name",
    "arguments",
    "function_call_output",
    "output",
    "reasoning",
    "summary",
    "encrypted_content",
    "next.tollgate.gemini.x",
    "tools",
    "function",
    "custom",
    "namespace",
    "format",
    "tool_choice",
    "include",
    "response",
    "response.output_text.delta",
    "response.output_item.done",
    "response.completed",
    "response.failed",
    "item",
    "delta",
    "output_index",
    "message",
    "status",
    "incomplete",
    "error",
    "annotations",
    "data:;base64,",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(&WORDS[..]).prop_map(str::to_owned), "\\PC{0,6}"]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Pieces of an answer that this dialect says as they are.
fn piece() -> impl Strategy<Value = Event<'static>> {
    let reasoning = |text: String| Event::Reasoning { choice: 0, text: text.into(), kind: ReasoningKind::Summary };
    prop_oneof![
        "\\PC{1,8}".prop_map(|text| Event::Text { choice: 0, text: text.into(), logprobs: None }),
        "\\PC{1,8}".prop_map(|text| Event::Refusal { choice: 0, text: text.into() }),
        "\\PC{1,8}".prop_map(reasoning),
        Just(Event::ReasoningEnd { choice: 0, signature: None }),
        "[a-z]{1,8}".prop_map(|name| Event::ToolCall {
            choice: 0,
            call: 0,
            id: format!("call_{name}").into(),
            name: name.into(),
            signature: None
        }),
        "\\PC{1,8}".prop_map(|json| Event::Arguments { choice: 0, call: 0, json: json.into() }),
    ]
}

/// Calls are counted, and their arguments follow them.
fn numbered(pieces: Vec<Event<'static>>) -> Vec<Event<'static>> {
    let (mut calls, mut in_call, mut events) = (0, false, Vec::new());
    for mut event in pieces {
        match &mut event {
            Event::ToolCall { call, .. } => {
                (*call, in_call) = (calls, true);
                calls += 1;
                events.push(event);
                events.push(Event::Arguments { choice: 0, call: calls - 1, json: "{".into() });
                continue;
            }
            Event::Arguments { call, .. } if in_call => *call = calls - 1,
            Event::Arguments { .. } => continue,
            _ => in_call = false,
        }
        events.push(event);
    }
    let refuses = events.iter().any(|event| matches!(event, Event::Refusal { .. }));
    let reason = match (refuses, calls) {
        (true, _) => FinishReason::Refusal,
        (_, 0) => FinishReason::Stop,
        _ => FinishReason::ToolCalls,
    };
    events.push(Event::Finish { choice: 0, reason });
    events.push(Event::End(None));
    events
}

/// What an answer says; how it was put together is its own matter.
fn said_in(answer: &Answer) -> String {
    let choices: Vec<_> = answer.choices.iter().map(|choice| (&choice.blocks, &choice.finish)).collect();
    format!("{:?} {:?} {:?} {choices:?}", answer.id, answer.model, answer.created_s)
}

proptest! {
    #[test]
    fn any_value_is_read_or_refused(value in json(), names in prop::collection::vec((word(), json()), 0..4)) {
        let body = Value::Object(names.into_iter().collect::<Map<_, _>>()).to_string();
        let _ = request_reader::read(&body);
        let text = format!("{{\"input\":[{value}],\"tools\":[{value}],\"tool_choice\":{value}}}");
        let _ = request_reader::read(&text);
    }

    #[test]
    fn any_event_is_read_or_refused(values in prop::collection::vec((word(), json()), 0..8)) {
        let (mut reader, mut seen) = (answer_reader::new(), Seen(Vec::new()));
        for (name, value) in &values {
            let _ = reader.event(name, &value.to_string(), &mut seen);
        }
        for (_, value) in &values {
            let _ = answer_reader::new().document(&value.to_string(), &mut seen);
        }
    }

    #[test]
    fn what_is_written_is_read_again(pieces in prop::collection::vec(piece(), 0..12)) {
        let (mut writer, mut out, mut expected) =
            (answer_writer::new(asked(Framing::Sse, "{}")), Vec::new(), Answer::default());
        let begin = Begin { id: Some("resp_1".into()), model: Some("m".into()), created_s: Some(7) };
        for event in std::iter::once(Event::Begin(begin)).chain(numbered(pieces)) {
            writer.event(&event, &mut out);
            expected.event(event);
        }
        let said = String::from_utf8(out).expect("UTF-8");
        prop_assert_eq!(said_in(&answer_to(&said, Framing::Sse)), said_in(&expected));
        let document = answer_writer::new(asked(Framing::JsonDocument, "{}")).document(&expected);
        let said = String::from_utf8(document).expect("UTF-8");
        prop_assert_eq!(said_in(&answer_to(&said, Framing::JsonDocument)), said_in(&expected));
    }
}
