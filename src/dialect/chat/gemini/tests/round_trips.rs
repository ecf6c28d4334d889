use super::{WIRE, answer_of, asked, read, write};
use crate::dialect::chat::{
    Answer, Begin, Block, ChatRequest, Event, FinishReason, Message, Part, ReasoningKind, Role, Signature, Sink,
    ToolCall, ToolResult, Translation,
};
use crate::dialect::{DialectId, Framing};
use proptest::prelude::*;
use serde_json::Value;

fn signature() -> impl Strategy<Value = Option<Signature<'static>>> {
    proptest::option::of("[A-Za-z0-9]{4,12}".prop_map(|text| Signature::new(DialectId::Gemini, text)))
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        ("\\PC{1,12}", signature()).prop_map(|(text, signature)| Block::Text {
            text,
            annotations: Vec::new(),
            logprobs: Vec::new(),
            signature
        }),
        ("\\PC{1,12}", signature()).prop_map(|(text, signature)| Block::Reasoning {
            text,
            kind: ReasoningKind::Summary,
            signature
        }),
        ("[a-z]{1,8}", "[a-z_]{1,8}", "\\PC{0,8}", signature()).prop_map(|(id, name, value, signature)| {
            let arguments = format!("{{\"a\":{}}}", Value::from(value));
            Block::ToolCall { id, name, arguments, signature }
        }),
        "[A-Za-z0-9]{4}".prop_map(|base64| Block::Media { mime_type: "image/png".into(), base64 }),
    ]
}

/// The events of one choice's blocks; what follows a block of its own kind would be one with it, and is left away.
fn events(blocks: &[Block], reason: FinishReason<'static>) -> Vec<Event<'static>> {
    let begin = Begin { id: Some("i".into()), model: Some("m".into()), created_s: Some(1_760_000_000) };
    let mut events = vec![Event::Begin(begin)];
    let (mut call, mut last) = (0, None);
    for block in blocks {
        if last.replace(std::mem::discriminant(block)) == Some(std::mem::discriminant(block))
            && !matches!(block, Block::ToolCall { .. })
        {
            continue;
        }
        match block.clone() {
            Block::Text { text, signature, .. } => {
                events.push(Event::Text { choice: 0, text: text.into(), logprobs: None });
                events.extend(signature.map(|signature| Event::TextSigned { choice: 0, signature }));
            }
            Block::Reasoning { text, kind, signature } => {
                events.push(Event::Reasoning { choice: 0, text: text.into(), kind });
                let signed = signature.map(|signature| Event::ReasoningEnd { choice: 0, signature: Some(signature) });
                events.extend(signed);
            }
            Block::ToolCall { id, name, arguments, signature } => {
                events.push(Event::ToolCall { choice: 0, call, id: id.into(), name: name.into(), signature });
                let (one, two) = arguments.split_at(3);
                for piece in [one, two] {
                    events.push(Event::Arguments { choice: 0, call, json: piece.to_owned().into() });
                }
                call += 1;
            }
            Block::Media { mime_type, base64 } => {
                events.push(Event::Media { choice: 0, mime_type: mime_type.into(), base64: base64.into() });
            }
            Block::Refusal(_) => {}
        }
    }
    let waits = call > 0 && reason == FinishReason::Stop;
    events.push(Event::Finish { choice: 0, reason: if waits { FinishReason::ToolCalls } else { reason } });
    events
}

fn folded(events: &[Event<'_>]) -> Answer {
    let mut answer = Answer::default();
    events.iter().for_each(|event| answer.event(event.clone()));
    answer
}

/// What a client of the stream puts together.
fn through(bytes: &[u8], framing: Framing, size: usize) -> Answer {
    let mut translation =
        Translation::new(asked(Framing::JsonDocument), DialectId::Gemini, framing).expect("it is spoken");
    for piece in bytes.chunks(size) {
        assert!(translation.push(piece, || None).expect("it is readable").is_empty());
    }
    let whole = translation.finish(true, || None).expect("it is readable");
    answer_of([std::str::from_utf8(&whole).expect("UTF-8")])
}

/// Any JSON, with the words of the dialect in it.
fn json() -> impl Strategy<Value = String> {
    let words = [
        "contents",
        "parts",
        "role",
        "text",
        "functionCall",
        "functionResponse",
        "name",
        "args",
        "response",
        "inlineData",
        "tools",
        "functionDeclarations",
        "parameters",
        "type",
        "properties",
        "generationConfig",
        "candidates",
        "content",
        "finishReason",
        "index",
        "thoughtSignature",
        "thought",
        "systemInstruction",
        "groundingMetadata",
        "logprobsResult",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        "\\PC{0,6}".prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        let member = (proptest::sample::select(words.to_vec()), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            proptest::collection::vec(member, 0..5).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn an_answer_comes_back_as_it_was_written(
        blocks in proptest::collection::vec(block(), 1..8),
        reason in proptest::sample::select(vec![FinishReason::Stop, FinishReason::Length, FinishReason::ContentFilter]),
        size in 1usize..200,
        is_array in any::<bool>(),
    ) {
        let mut events = events(&blocks, reason);
        let answer = folded(&events);
        let framing = if is_array { Framing::JsonArray } else { Framing::Sse };
        events.push(Event::End(None));
        let bytes = super::stream(&events, framing);
        prop_assert_eq!(through(bytes.as_bytes(), framing, size), answer.clone());
        let document = (WIRE.answer_writer.unwrap())(asked(Framing::JsonDocument)).document(&answer);
        prop_assert_eq!(answer_of([std::str::from_utf8(&document).unwrap()]), answer);
    }

    #[test]
    fn a_conversation_comes_back_as_it_was_written(
        turns in proptest::collection::vec(("\\PC{1,12}", "[a-z]{1,8}", "\\PC{1,8}", any::<bool>(), signature()), 1..5),
    ) {
        let mut messages = vec![Message { role: Role::System, name: None, parts: vec![Part::text("Be brief.")] }];
        for (place, (said, name, value, is_error, signature)) in turns.iter().enumerate() {
            let (id, name) = (format!("c{place}"), name.as_str());
            let arguments = format!("{{\"a\":{}}}", Value::from(value.as_str())).into();
            let call = ToolCall { id: id.clone().into(), name: name.into(), arguments, signature: signature.clone() };
            let result =
                ToolResult { id: id.into(), name: Some(name.into()), parts: vec![Part::text(format!("x{value}"))], is_error: *is_error };
            for (role, part) in [(Role::User, Part::text(said.as_str())), (Role::Assistant, Part::ToolCall(call)),
                (Role::User, Part::ToolResult(result)), (Role::Assistant, Part::text(said.as_str()))] {
                messages.push(Message { role, name: None, parts: vec![part] });
            }
        }
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let body = write(&request, "gemini-3.5-flash").unwrap().0.to_string();
        prop_assert_eq!(read(&body).unwrap(), request);
    }

    #[test]
    fn nothing_makes_a_reader_panic(json in json()) {
        let _ = read(&json);
        let mut answer = Answer::default();
        let mut reader = (WIRE.answer_reader)();
        let _ = reader.event("", &json, &mut answer);
        let _ = reader.document(&json, &mut answer);
        reader.end(&mut answer);
        if let Ok(request) = read(&json) {
            let _ = write(&request, "m");
        }
    }
}
