use super::{asked, metered, text, written};
use crate::dialect::chat::answer::Answer;
use crate::dialect::chat::event::{Annotation, Begin, Event, FinishReason, ReasoningKind, Sink};
use crate::dialect::chat::openai::WIRE;
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::{Json, Refusal};
use crate::dialect::{DialectId, Framing};
use serde_json::{Value, json};

fn thought(piece: &str) -> Event<'_> {
    Event::Reasoning { choice: 0, text: piece.into(), kind: ReasoningKind::Full }
}

fn call(call: u32) -> Event<'static> {
    let signature = (call == 0).then(|| Signature::new(DialectId::Gemini, "s"));
    Event::ToolCall { choice: 0, call, id: format!("id{call}").into(), name: "f".into(), signature }
}

fn finish(reason: FinishReason<'static>) -> Event<'static> {
    Event::Finish { choice: 0, reason }
}

/// Every chunk's data.
fn chunks(written: &str) -> Vec<Value> {
    let data = written.split("\n\n").filter_map(|event| event.strip_prefix("data: {"));
    data.map(|rest| serde_json::from_str(&format!("{{{rest}")).unwrap()).collect()
}

fn choices(written: &str) -> Vec<Value> {
    chunks(written).into_iter().filter_map(|chunk| chunk["choices"].get(0).cloned()).collect()
}

fn of_deltas(written: &str) -> Vec<Value> {
    choices(written).into_iter().map(|choice| choice["delta"].clone()).collect()
}

fn whole<'e>(body: &'static str, events: impl IntoIterator<Item = Event<'e>>) -> Value {
    let mut answer = Answer::default();
    events.into_iter().for_each(|event| answer.event(event));
    let mut writer = WIRE.answer_writer.unwrap()(asked(Framing::JsonDocument, body));
    serde_json::from_slice(&writer.document(&answer)).unwrap()
}

#[test]
fn a_text_in_chunks() {
    let begin = Begin { id: Some("msg_1".into()), model: Some("claude".into()), created_s: None };
    let got = written(
        "{}",
        [
            Event::Begin(begin),
            Event::Ping,
            text("Hel"),
            text("lo"),
            finish(FinishReason::Stop),
            Event::End(Some(metered())),
        ],
    );
    let head = r#"{"id":"chatcmpl-01990000000070008000000000000001","object":"chat.completion.chunk","created":1760000000,"model":"claude","#;
    let choice = |delta: &str, finish: &str| {
        format!(
            "data: {head}\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
    };
    let usage = r#""usage":{"prompt_tokens":11,"completion_tokens":12,"total_tokens":23,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":9,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;
    let expected = [
        ": ping\n\n".to_owned(),
        choice(r#"{"role":"assistant","content":"Hel"}"#, "null"),
        choice(r#"{"content":"lo"}"#, "null"),
        choice("{}", "\"stop\""),
        format!("data: {head}\"choices\":[],{usage}}}\n\ndata: [DONE]\n\n"),
    ];
    assert_eq!(got, expected.concat());
}

#[test]
fn thoughts_go_out_as_they_come_and_once_more_with_their_signature() {
    let signature = |text: &'static str| Some(Signature::new(DialectId::Anthropic, text));
    let events = || {
        [
            thought("a"),
            thought("b"),
            Event::ReasoningEnd { choice: 0, signature: signature("s") },
            Event::ReasoningEnd { choice: 0, signature: signature("redacted") },
            thought("c"),
            text("x"),
            finish(FinishReason::Stop),
            Event::End(None),
        ]
    };
    let details = json!([
        {"type": "reasoning.text", "text": "ab", "format": "anthropic-claude-v1", "signature": "tollgate.anthropic.s", "index": 0},
        {"type": "reasoning.text", "format": "anthropic-claude-v1", "signature": "tollgate.anthropic.redacted", "index": 1},
    ]);
    let got = of_deltas(&written("{}", events()));
    assert_eq!(got[0], json!({"role": "assistant", "reasoning_content": "a"}));
    assert_eq!(got[1], json!({"reasoning_content": "b"}));
    assert_eq!(got[2], json!({"reasoning_details": [details[0]]}));
    assert_eq!(got[3], json!({"reasoning_details": [details[1]]}));
    assert_eq!(got[4], json!({"reasoning_content": "\n\nc"}));
    let message = whole("{}", events())["choices"][0]["message"].clone();
    assert_eq!(message["reasoning_content"], "ab\n\nc");
    assert_eq!(message["reasoning_details"], details);
    assert_eq!(message["content"], "x");
}

#[test]
fn long_thoughts_do_not_wait_for_their_signature() {
    let piece = "x".repeat(40_000);
    let signature = Some(Signature::new(DialectId::Anthropic, "s"));
    let got = of_deltas(&written(
        "{}",
        [
            thought(&piece),
            thought(&piece),
            Event::ReasoningEnd { choice: 0, signature },
            thought("n"),
            Event::ReasoningEnd { choice: 0, signature: Some(Signature::new(DialectId::Anthropic, "t")) },
        ],
    ));
    let entries: Vec<&Value> = got.iter().filter_map(|delta| delta["reasoning_details"].get(0)).collect();
    let lengths: Vec<usize> = entries.iter().map(|entry| entry["text"].as_str().unwrap().len()).collect();
    assert_eq!(lengths, [40_000, 40_000, 1]);
    let indexes: Vec<&Value> = entries.iter().map(|entry| &entry["index"]).collect();
    assert_eq!(indexes, [0, 0, 1]);
    assert_eq!(entries[0].get("signature"), None);
    assert_eq!(entries[1]["signature"], "tollgate.anthropic.s");
}

#[test]
fn calls_are_counted_and_always_have_arguments() {
    let arguments = |call: u32, json: &'static str| Event::Arguments { choice: 0, call, json: json.into() };
    let events = || {
        [
            call(0),
            call(1),
            arguments(0, "{\"a\""),
            arguments(0, ":1}"),
            finish(FinishReason::ToolCalls),
            Event::End(None),
        ]
    };
    let signed = json!({"google": {"thought_signature": "tollgate.gemini.s"}});
    let got = choices(&written("{}", events()));
    let first = json!({"index": 0, "id": "id0", "type": "function", "function": {"name": "f", "arguments": ""}, "extra_content": signed});
    assert_eq!(got[0]["delta"], json!({"role": "assistant", "tool_calls": [first]}));
    assert_eq!(got[2]["delta"], json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}));
    assert_eq!(got[3]["delta"]["tool_calls"][0]["id"], "id1", "which waits for the one before it");
    assert_eq!(got[4]["delta"], json!({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}));
    assert_eq!(got[5]["finish_reason"], "tool_calls");
    let choice = whole("{}", events())["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    assert_eq!(
        choice["message"]["tool_calls"],
        json!([
            {"id": "id0", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}, "extra_content": signed},
            {"id": "id1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ])
    );
    let legacy = r#"{"functions":[{"name":"f"}]}"#;
    let got = choices(&written(legacy, events()));
    assert_eq!(got[0]["delta"], json!({"role": "assistant", "function_call": {"name": "f", "arguments": ""}}));
    assert_eq!(got.last().unwrap()["finish_reason"], "function_call");
    let choice = whole(legacy, events())["choices"][0].clone();
    assert_eq!(choice["message"]["function_call"], json!({"name": "f", "arguments": "{\"a\":1}"}));
    assert_eq!(choice["finish_reason"], "function_call");
}

/// OpenAI's SDK parses a call's arguments when the next call begins.
#[test]
fn a_call_has_its_arguments_before_the_next_one_begins() {
    let arguments = |call: u32, json: &'static str| Event::Arguments { choice: 0, call, json: json.into() };
    for events in [
        vec![call(0), call(1), call(2), arguments(2, "{}")],
        vec![call(0), arguments(0, ""), call(1), arguments(1, "{\"a\":1}"), call(2)],
        vec![call(0), call(1), arguments(1, "{}"), arguments(0, "too late"), text("x"), call(2)],
    ] {
        let events = events.into_iter().chain([finish(FinishReason::ToolCalls), Event::End(None)]);
        let (mut said, mut running) = (Vec::<String>::new(), 0);
        for delta in of_deltas(&written("{}", events)) {
            let Some(piece) = delta["tool_calls"].get(0) else { continue };
            let index = piece["index"].as_u64().unwrap() as usize;
            if index != running {
                assert!(serde_json::from_str::<Value>(&said[running]).is_ok(), "{running} of {said:?}");
            }
            running = index;
            if said.len() == index {
                said.push(String::new());
            }
            said[index].push_str(piece["function"]["arguments"].as_str().unwrap());
        }
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|json| serde_json::from_str::<Value>(json).is_ok()), "{said:?}");
    }
}

#[test]
fn every_end_has_a_word_that_sdks_know() {
    let word = |refused: bool, reason: FinishReason<'static>| {
        let refusal = Event::Refusal { choice: 0, text: "No.".into() };
        let events = || refused.then(|| refusal.clone()).into_iter().chain([finish(reason.clone()), Event::End(None)]);
        let streamed = choices(&written("{}", events())).pop().unwrap();
        let choice = whole("{}", events())["choices"][0].clone();
        assert_eq!(streamed["finish_reason"], choice["finish_reason"]);
        assert_eq!(streamed.get("native_finish_reason"), choice.get("native_finish_reason"));
        let native = choice.get("native_finish_reason").and_then(Value::as_str).map(str::to_owned);
        (choice["finish_reason"].as_str().unwrap().to_owned(), native)
    };
    let check = |refused: bool, reason: FinishReason<'static>, expected: &str, native: Option<&str>| {
        assert_eq!(word(refused, reason), (expected.to_owned(), native.map(str::to_owned)));
    };
    check(false, FinishReason::StopSequence(Some("END".into())), "stop", None);
    check(false, FinishReason::Length, "length", None);
    check(false, FinishReason::ContentFilter, "content_filter", None);
    check(false, FinishReason::Refusal, "content_filter", None);
    check(true, FinishReason::Refusal, "stop", None);
    check(false, FinishReason::Pause, "stop", Some("pause_turn"));
    check(
        false,
        FinishReason::Other("MALFORMED_FUNCTION_CALL".into()),
        "content_filter",
        Some("MALFORMED_FUNCTION_CALL"),
    );
}

#[test]
fn an_error_ends_the_stream_without_done() {
    let refusal = Refusal { status: 503, message: "Overloaded".into(), code: None, param: None, retry_after_s: None };
    let got = written("{}", [text("Hel"), Event::Error(refusal), text("x"), Event::End(None)]);
    let error =
        r#"data: {"error":{"message":"Overloaded","type":"service_unavailable_error","param":null,"code":null}}"#;
    assert!(got.ends_with(&format!("{error}\n\n")), "{got}");
    assert_eq!(chunks(&got).len(), 2);
}

#[test]
fn an_answer_that_says_nothing_is_still_one() {
    let got = choices(&written("{}", [Event::End(None)]));
    assert_eq!(got[0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(got[0]["finish_reason"], "stop");
    let document = whole("{}", [Event::End(None)]);
    assert_eq!(document["choices"][0]["message"]["content"], "");
    assert_eq!(document["choices"][0]["finish_reason"], "stop");
    assert_eq!(document["id"], "chatcmpl-01990000000070008000000000000001");
}

#[test]
fn probabilities_pages_and_pictures_have_their_places() {
    let page = Annotation { url: Some("u".into()), title: None, cited_text: None, range: Some((0, 1)), native: None };
    let document = Annotation { url: None, ..page.clone() };
    let logprobs = |json: &'static str| Json::parse(json.into());
    let events = || {
        [
            Event::Text { choice: 0, text: "a".into(), logprobs: logprobs(r#"[{"token":"a","top_logprobs":[]}]"#) },
            Event::Text { choice: 0, text: "b".into(), logprobs: logprobs(r#"[{"token":"b","top_logprobs":[]}]"#) },
            Event::Annotation { choice: 0, annotation: page.clone() },
            Event::Annotation { choice: 0, annotation: document.clone() },
            Event::Media { choice: 0, mime_type: "image/png".into(), base64: "AAAA".into() },
            Event::End(None),
        ]
    };
    let cited = json!({"url": "u", "title": "u", "start_index": 0, "end_index": 1});
    let picture = json!({"url": "data:image/png;base64,AAAA"});
    let got = choices(&written("{}", events()));
    assert_eq!(got[1]["logprobs"], json!({"content": [{"token": "b", "top_logprobs": []}], "refusal": null}));
    assert_eq!(got[2]["delta"], json!({"annotations": [{"index": 0, "type": "url_citation", "url_citation": cited}]}));
    assert_eq!(got[3]["delta"], json!({"images": [{"index": 0, "type": "image_url", "image_url": picture}]}));
    let choice = whole("{}", events())["choices"][0].clone();
    let both = json!([{"token": "a", "top_logprobs": []}, {"token": "b", "top_logprobs": []}]);
    assert_eq!(choice["logprobs"]["content"], both);
    assert_eq!(choice["message"]["annotations"], json!([{"type": "url_citation", "url_citation": cited}]));
    assert_eq!(choice["message"]["images"], json!([{"type": "image_url", "image_url": picture}]));
}
