use super::{asked, document, stream, written};
use crate::dialect::chat::answer::{Answer, Block};
use crate::dialect::chat::event::{Begin, Event, FinishReason, ReasoningKind, Sink};
use crate::dialect::chat::openai::WIRE;
use crate::dialect::chat::signature::Signature;
use crate::dialect::{DialectId, Framing};
use proptest::prelude::*;

/// A part of an answer, as events.
fn part(kind: u8, words: String, call: &mut u32) -> Vec<Event<'static>> {
    let thought = |kind| Event::Reasoning { choice: 0, text: words.clone().into(), kind };
    let signed = |kept: &'static str| Event::ReasoningEnd {
        choice: 0,
        signature: Some(Signature::new(DialectId::OpenAi, kept)),
    };
    match kind {
        0 => vec![Event::Text { choice: 0, text: words.into(), logprobs: None }],
        1 => vec![thought(ReasoningKind::Full), signed(r#"{"type":"reasoning.text","format":"a","signature":"x"}"#)],
        2 => vec![thought(ReasoningKind::Summary), signed(r#"{"type":"reasoning.encrypted","id":"b","data":"x"}"#)],
        _ => {
            let number = std::mem::replace(call, *call + 1);
            let id = format!("id{number}").into();
            let begin = Event::ToolCall { choice: 0, call: number, id, name: "f".into(), signature: None };
            let json = serde_json::to_string(&words).unwrap().into();
            vec![begin, Event::Arguments { choice: 0, call: number, json }]
        }
    }
}

/// An answer as the dialect can say it: thoughts, then text, then calls.
fn events(mut parts: Vec<(u8, String)>) -> Vec<Event<'static>> {
    parts.sort_by_key(|(kind, _)| match kind {
        1 | 2 => 0,
        0 => 1,
        _ => 2,
    });
    let (mut call, mut events) = (0, Vec::new());
    events.push(Event::Begin(Begin { id: Some("chatcmpl-1".into()), model: Some("m".into()), created_s: Some(7) }));
    for (kind, words) in parts {
        events.extend(part(kind, words, &mut call));
    }
    let reason = if call > 0 { FinishReason::ToolCalls } else { FinishReason::Length };
    events.push(Event::Finish { choice: 0, reason });
    events
}

/// As they come in a stream: what is a summary is only said after it.
fn of_unknown_kind(blocks: &[Block]) -> Vec<Block> {
    let of = |block: &Block| match block.clone() {
        Block::Reasoning { text, signature, .. } => Block::Reasoning { text, kind: ReasoningKind::Full, signature },
        block => block,
    };
    blocks.iter().map(of).collect()
}

/// JSON that looks like the dialect's, and is not.
fn odd() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1".to_owned()),
        Just("1e9".to_owned()),
        Just("\"\"".to_owned()),
        Just("\"text\"".to_owned()),
        Just("\"data:;base64,\"".to_owned()),
        Just("\"assistant\"".to_owned()),
    ];
    let name = prop::sample::select(vec![
        "id",
        "model",
        "created",
        "choices",
        "index",
        "delta",
        "message",
        "content",
        "role",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "reasoning",
        "reasoning_details",
        "type",
        "text",
        "signature",
        "data",
        "finish_reason",
        "error",
        "logprobs",
        "annotations",
        "url_citation",
        "images",
        "image_url",
        "url",
        "extra_content",
        "google",
        "thought_signature",
        "messages",
        "tools",
        "tool_choice",
        "stop",
        "response_format",
        "json_schema",
        "schema",
        "reasoning_effort",
        "thinking",
        "stream_options",
        "citations",
        "search_results",
        "audio",
        "file",
        "functions",
    ]);
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_answer(parts in prop::collection::vec((0u8..4, ".{1,12}"), 0..6)) {
        let mut answer = Answer::default();
        events(parts.clone()).into_iter().for_each(|event| answer.event(event));
        let mut writer = WIRE.answer_writer.unwrap()(asked(Framing::JsonDocument, "{}"));
        let whole = document(&String::from_utf8(writer.document(&answer)).unwrap()).answer;
        let streamed = stream(&written("{}", events(parts).into_iter().chain([Event::End(None)]))).answer;
        if answer.choices[0].blocks.is_empty() {
            prop_assert_eq!(&whole.choices[0].finish, &answer.choices[0].finish);
        } else {
            prop_assert_eq!(&whole, &answer);
        }
        prop_assert_eq!(&streamed.choices[0].blocks, &of_unknown_kind(&whole.choices[0].blocks));
        prop_assert_eq!(&streamed.choices[0].finish, &whole.choices[0].finish);
    }

    #[test]
    fn no_json_makes_a_reader_panic(values in prop::collection::vec(odd(), 1..6)) {
        struct Nowhere;
        impl Sink for Nowhere {
            fn event(&mut self, _: Event<'_>) {}
        }
        let mut reader = (WIRE.answer_reader)();
        for json in &values {
            let choice = format!("{{\"id\":\"x\",\"choices\":[{{\"delta\":{json},\"finish_reason\":null}}]}}");
            let _ = reader.event("", json, &mut Nowhere);
            let _ = reader.event("", &choice, &mut Nowhere);
            let _ = (WIRE.answer_reader)().document(json, &mut Nowhere);
            let _ = (WIRE.answer_reader)().document(&choice.replace("delta", "message"), &mut Nowhere);
            let _ = WIRE.read_request.unwrap()(json);
            let message = format!("{{\"messages\":[{{\"role\":\"assistant\",\"content\":{json}}},{json}]}}");
            let _ = WIRE.read_request.unwrap()(&message);
        }
    }
}
