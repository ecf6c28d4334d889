use super::{Kept, WIRE, answer_of, asked, stream, values};
use crate::dialect::chat::{
    Annotation, Answer, AnswerReader, Begin, Block, Event, FinishReason, Json, ReasoningKind, Refusal, Signature, Sink,
};
use crate::dialect::{DialectId, Framing};
use serde_json::{Value, json};
use std::path::Path;
use tollgate_plugin_api::{Metered, Usage};

fn text(piece: &'static str) -> Event<'static> {
    Event::Text { choice: 0, text: piece.into(), logprobs: None }
}

fn call(call: u32) -> Event<'static> {
    Event::ToolCall { choice: 0, call, id: format!("c{call}").into(), name: "f".into(), signature: None }
}

fn arguments(call: u32, json: &'static str) -> Event<'static> {
    Event::Arguments { choice: 0, call, json: json.into() }
}

const fn finish(reason: FinishReason<'static>) -> Event<'static> {
    Event::Finish { choice: 0, reason }
}

fn metered() -> Metered {
    let usage = Usage {
        input_tokens: 20,
        cached_input_tokens: 5,
        cache_write_tokens: 0,
        output_tokens: 9,
        reasoning_tokens: 4,
    };
    Metered { usage, ..Metered::default() }
}

fn golden(feature: &str, ending: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat/answers").join(feature);
    std::fs::read_to_string(folder.join(format!("gemini.{ending}"))).expect("a golden file")
}

fn parts(value: &Value) -> &Value {
    &value["candidates"][0]["content"]["parts"]
}

#[test]
fn an_answer_is_the_same_whole_and_in_events() {
    for feature in ["text", "tools", "reasoning", "length", "filtered"] {
        let (events, whole) = (golden(feature, "sse"), golden(feature, "json"));
        let streamed = answer_of(events.split("\r\n\r\n").filter_map(|event| event.strip_prefix("data: ")));
        let mut answer = Answer::default();
        (WIRE.answer_reader)().document(&whole, &mut answer).unwrap();
        assert_eq!(streamed, answer, "{feature}");
        // Written as one document and read again it is the same.
        let written = (WIRE.answer_writer.unwrap())(asked(Framing::JsonDocument)).document(&answer);
        assert_eq!(answer_of([std::str::from_utf8(&written).unwrap()]), answer, "{feature}");
    }
}

#[test]
fn googles_answers_are_read() {
    let of = |feature| answer_of([&*golden(feature, "json")]);
    let tools = of("tools");
    assert_eq!((tools.id.as_deref(), tools.created_s), (Some("hlP6ae3uJuqGz7IP6e9iA0"), None));
    let signature = Some(Signature::new(DialectId::Gemini, "c2ln"));
    let call = |id: &str, city: &str, signature| Block::ToolCall {
        id: id.into(),
        name: "get_weather".into(),
        arguments: format!(r#"{{"city":"{city}"}}"#),
        signature,
    };
    assert_eq!(
        tools.choices[0].blocks[1..],
        [call("dv8szvqe", "Paris", signature.clone()), call("j80tal12", "Rome", None)]
    );
    assert_eq!(tools.choices[0].finish, Some(FinishReason::ToolCalls));
    let reasoning = of("reasoning");
    let [thought, said] = &*reasoning.choices[0].blocks else { panic!("two parts") };
    assert!(
        matches!(thought, Block::Reasoning { text, kind: ReasoningKind::Summary, .. } if text == "Hm, let me see.")
    );
    assert!(matches!(said, Block::Text { text, signature: signed, .. } if text == "Yes." && *signed == signature));
    assert_eq!(of("length").choices[0].finish, Some(FinishReason::Length));
    assert_eq!(of("filtered").choices[0].finish, Some(FinishReason::ContentFilter));
}

#[test]
fn an_error_in_mid_stream_is_one() {
    let events = golden("error", "sse");
    let answer = answer_of(events.split("\r\n\r\n").filter_map(|event| event.strip_prefix("data: ")));
    let refusal = answer.error.unwrap();
    assert_eq!((refusal.status, &*refusal.message), (503, "Overloaded"));
    assert_eq!(answer.choices[0].finish, None);
}

#[test]
fn calls_without_ids_get_ids_that_no_other_answer_has() {
    let of = |head: &str| {
        let call = r#"{"functionCall":{"name":"f.g"}}"#;
        let json = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{call},{call}]}}}},{{"index":1,"content":{{"parts":[{call}]}}}}]{head}}}"#
        );
        let answer = answer_of([&*json]);
        let ids = answer.choices.iter().flat_map(|choice| &choice.blocks).map(|block| match block {
            Block::ToolCall { id, .. } => id.clone(),
            _ => panic!("a call"),
        });
        ids.collect::<Vec<_>>()
    };
    assert_eq!(
        of(r#","responseId":"r-1_"}"#.trim_end_matches('}')),
        ["call_r-1__0_f_g", "call_r-1__1_f_g", "call_r-1_-1_0_f_g"]
    );
    let (one, other) = (of(""), of(r#","modelVersion":"x""#));
    assert!(one.iter().all(|id| !other.contains(id)));
}

#[test]
fn a_blocked_prompt_is_a_filtered_answer_without_content() {
    let answer = answer_of([r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"modelVersion":"m"}"#]);
    assert_eq!(answer.choices.len(), 1);
    assert_eq!((&*answer.choices[0].blocks, &answer.choices[0].finish), (&[][..], &Some(FinishReason::ContentFilter)));
    let written = values(&[finish(FinishReason::ContentFilter), Event::End(Some(metered()))]);
    assert_eq!(written[0]["promptFeedback"], json!({"blockReason": "SAFETY"}));
    assert_eq!(written[0].get("candidates"), None);
    let document = (WIRE.answer_writer.unwrap())(asked(Framing::JsonDocument)).document(&answer);
    assert_eq!(answer_of([std::str::from_utf8(&document).unwrap()]).choices, answer.choices);
}

#[test]
fn a_stop_in_every_event_ends_the_answer_once() {
    let piece = |text: &str| {
        format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"STOP"}}]}}"#)
    };
    let (mut kept, mut reader) = (Kept::default(), (WIRE.answer_reader)());
    ["a", "b"].iter().for_each(|text| reader.event("", &piece(text), &mut kept).unwrap());
    reader.end(&mut kept);
    let finishes: Vec<usize> =
        kept.0.iter().enumerate().filter(|(_, event)| event.starts_with("Finish")).map(|(place, _)| place).collect();
    assert_eq!(finishes, [kept.0.len() - 1]);
}

#[test]
fn sources_and_probabilities_come_through_both_ways() {
    let json = r#"{"candidates":[{"content":{"parts":[{"text":"é is e"}]},"finishReason":"STOP",
        "citationMetadata":{"citationSources":[{"startIndex":3,"endIndex":5,"uri":"https://c"}]},
        "groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"web":{"uri":"https://b"}}],
            "groundingSupports":[{"segment":{"endIndex":2},"groundingChunkIndices":[0,1,7]}]},
        "logprobsResult":{"chosenCandidates":[{"token":"é","logProbability":-1.5}]}}]}"#;
    let answer = answer_of([json]);
    let Block::Text { annotations, logprobs, .. } = &answer.choices[0].blocks[0] else { panic!("a text") };
    let said: Vec<_> = annotations.iter().map(|a| (a.url.as_deref().unwrap(), a.title.as_deref(), a.range)).collect();
    assert_eq!(
        said,
        [("https://c", None, Some((2, 4))), ("https://a", Some("A"), Some((0, 1))), ("https://b", None, Some((0, 1)))]
    );
    assert_eq!(logprobs[0].value()[0]["logprob"], -1.5);
    let document = (WIRE.answer_writer.unwrap())(asked(Framing::JsonDocument)).document(&answer);
    assert_eq!(
        answer_of([std::str::from_utf8(&document).unwrap()]),
        Answer { id: Some("r1".into()), model: Some("m".into()), ..answer }
    );
}

#[test]
fn a_stream_says_what_google_says() {
    let begin = Begin { id: Some("id".into()), model: Some("gpt".into()), created_s: Some(1_760_000_000) };
    let foreign = Signature::new(DialectId::Anthropic, "x");
    let events = [
        Event::Begin(begin),
        Event::Reasoning { choice: 0, text: "Hm".into(), kind: ReasoningKind::Full },
        Event::ReasoningEnd { choice: 0, signature: Some(foreign.clone()) },
        Event::Ping,
        text("A\n"),
        finish(FinishReason::Length),
        Event::End(Some(metered())),
        text("late"),
    ];
    let said = values(&events);
    assert_eq!(said.len(), 4);
    assert_eq!(
        said[0],
        json!({"candidates": [{"content": {"parts": [{"text": "Hm", "thought": true}], "role": "model"}, "index": 0}],
            "modelVersion": "gpt", "responseId": "id", "createTime": "2025-10-09T08:53:20Z"})
    );
    let signature = foreign.shown_in(DialectId::Gemini);
    assert_eq!(*parts(&said[1]), json!([{"text": "", "thought": true, "thoughtSignature": signature}]));
    assert_eq!(*parts(&said[2]), json!([{"text": "A\n"}]));
    assert_eq!(said[3]["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(
        said[3]["usageMetadata"],
        json!({"promptTokenCount": 20, "cachedContentTokenCount": 5, "candidatesTokenCount": 5, "thoughtsTokenCount": 4,
            "totalTokenCount": 29})
    );
}

#[test]
fn calls_go_out_whole_and_in_order_however_their_pieces_come() {
    let events = [
        call(0),
        arguments(0, "{\"a\":"),
        call(1),
        arguments(1, "{}"),
        arguments(0, "\n1}"),
        call(2),
        text("t"),
        finish(FinishReason::ToolCalls),
        Event::End(None),
    ];
    let all = stream(&events, Framing::Sse);
    assert_eq!(all.matches('\n').count(), 2 * all.matches("data: ").count());
    let said = values(&events);
    let called = |place: usize| parts(&said[place])[0]["functionCall"].clone();
    assert_eq!(called(0), json!({"id": "c0", "name": "f", "args": {"a": 1}}));
    assert_eq!(called(1), json!({"id": "c1", "name": "f", "args": {}}));
    assert_eq!(called(2), json!({"id": "c2", "name": "f", "args": {}}));
    assert_eq!((said.len(), &said[4]["candidates"][0]["finishReason"]), (5, &json!("STOP")));
}

#[test]
fn a_call_whose_arguments_are_no_object_is_googles_malformed_call() {
    let events = [text("t"), call(0), arguments(0, "{\"a\":"), finish(FinishReason::ToolCalls), Event::End(None)];
    let said = values(&events);
    assert_eq!((said.len(), &said[1]["candidates"][0]["finishReason"]), (2, &json!("MALFORMED_FUNCTION_CALL")));
    let mut answer = Answer::default();
    events.iter().for_each(|event| answer.event(event.clone()));
    let document = (WIRE.answer_writer.unwrap())(asked(Framing::JsonDocument)).document(&answer);
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
    assert_eq!(*parts(&document), json!([{"text": "t"}]));
}

#[test]
fn arguments_without_end_are_not_kept() {
    let mut writer = (WIRE.answer_writer.unwrap())(asked(Framing::Sse));
    let mut out = Vec::new();
    let piece = " ".repeat(1024 * 1024);
    writer.event(&call(0), &mut out);
    for _ in 0..20 {
        writer.event(&Event::Arguments { choice: 0, call: 0, json: piece.as_str().into() }, &mut out);
    }
    writer.event(&finish(FinishReason::ToolCalls), &mut out);
    writer.event(&Event::End(None), &mut out);
    assert!(String::from_utf8(out).unwrap().contains("MALFORMED_FUNCTION_CALL"));
}

#[test]
fn an_array_is_one_json_value_to_its_end() {
    let json = Json::parse("[{\"token\":\"x\",\n\"logprob\":-1}]".into()).unwrap();
    let said = Event::Text { choice: 0, text: "x".into(), logprobs: Some(json) };
    let array = stream(&[said.clone(), Event::Ping, text("y"), Event::End(None)], Framing::JsonArray);
    let array: Value = serde_json::from_str(&array).unwrap();
    assert_eq!(array.as_array().unwrap().len(), 3);
    assert_eq!(array[0]["candidates"][0]["logprobsResult"]["chosenCandidates"][0]["logProbability"], -1);
    let refusal = Refusal { status: 503, message: "Overloaded".into(), code: None, param: None, retry_after_s: None };
    let broken = [said, Event::Error(refusal), Event::End(None)];
    let array: Value = serde_json::from_str(&stream(&broken, Framing::JsonArray)).unwrap();
    assert_eq!((array.as_array().unwrap().len(), &array[1]["error"]["code"]), (2, &json!(503)));
    let events = stream(&broken, Framing::Sse);
    assert!(events.contains("data: {\"error\":{\"code\":503") && events.ends_with("\n: the stream was broken off\n"));
    assert_eq!(stream(&[Event::End(None)], Framing::JsonArray).matches("STOP").count(), 1);
}

#[test]
fn documents_of_the_prompt_are_sources_too() {
    let annotation = Annotation {
        url: None,
        title: Some("T".into()),
        cited_text: Some("c".into()),
        range: Some((0, 1)),
        native: None,
    };
    let said = values(&[text("é"), Event::Annotation { choice: 0, annotation }, Event::End(None)]);
    assert_eq!(
        said[1]["candidates"][0]["groundingMetadata"],
        json!({"groundingChunks": [{"retrievedContext": {"title": "T", "text": "c"}}],
            "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 2}, "groundingChunkIndices": [0]}]})
    );
}

#[test]
fn arguments_that_were_not_asked_for_in_pieces_are_an_error() {
    let json = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","partialArgs":[]}}]}}]}"#;
    let mut reader: Box<dyn AnswerReader> = (WIRE.answer_reader)();
    assert!(reader.event("", json, &mut Kept::default()).is_err());
}

#[test]
fn a_call_that_the_output_limit_cut_is_cut_by_the_limit() {
    for (reason, word) in [
        (FinishReason::Length, "MAX_TOKENS"),
        (FinishReason::ContentFilter, "SAFETY"),
        (FinishReason::Stop, "MALFORMED_FUNCTION_CALL"),
        (FinishReason::ToolCalls, "MALFORMED_FUNCTION_CALL"),
    ] {
        let events = [text("Let me look."), call(0), arguments(0, "{\"city\": \"Pa"), finish(reason), Event::End(None)];
        let last = values(&events).pop().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], word);
        let mut answer = Answer::default();
        events.into_iter().for_each(|event| answer.event(event));
        let whole = (WIRE.answer_writer.unwrap())(asked(Framing::JsonDocument)).document(&answer);
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(whole["candidates"][0]["finishReason"], word);
    }
}
