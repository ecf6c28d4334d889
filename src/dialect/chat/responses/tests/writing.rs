use super::super::answer_writer;
use super::asked;
use crate::dialect::chat::frames::{Frame, Frames};
use crate::dialect::chat::{Annotation, Answer, Begin, Event, FinishReason, ReasoningKind, Refusal, Signature, Sink};
use crate::dialect::{DialectId, Framing};
use serde_json::{Value, json};
use tollgate_plugin_api::{Metered, Usage};

fn text(piece: &'static str) -> Event<'static> {
    Event::Text { choice: 0, text: piece.into(), logprobs: None }
}

fn thought(piece: &'static str) -> Event<'static> {
    Event::Reasoning { choice: 0, text: piece.into(), kind: ReasoningKind::Full }
}

fn signed(maker: DialectId, made: &'static str) -> Signature<'static> {
    Signature::new(maker, made)
}

fn call(call: u32, id: &'static str, name: &'static str) -> Event<'static> {
    Event::ToolCall { choice: 0, call, id: id.into(), name: name.into(), signature: None }
}

fn arguments(call: u32, json: &'static str) -> Event<'static> {
    Event::Arguments { choice: 0, call, json: json.into() }
}

fn finish(reason: FinishReason<'static>) -> Event<'static> {
    Event::Finish { choice: 0, reason }
}

fn used() -> Event<'static> {
    let usage = Usage { input_tokens: 11, cached_input_tokens: 4, output_tokens: 3, ..Usage::default() };
    Event::End(Some(Metered { usage, ..Metered::default() }))
}

/// The stream's text, with a beginning before the events.
fn written(body: &'static str, events: &[Event<'_>]) -> String {
    let (mut writer, mut out) = (answer_writer::new(asked(Framing::Sse, body)), Vec::new());
    let begin = Begin { id: Some("msg_1".into()), model: Some("claude".into()), created_s: None };
    writer.event(&Event::Begin(begin), &mut out);
    events.iter().for_each(|event| writer.event(event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

/// The stream's events; their numbers and names are as they must be.
fn events(body: &'static str, events: &[Event<'_>]) -> Vec<Value> {
    let (mut got, mut frames) = (Vec::new(), Frames::new(Framing::Sse));
    let mut take = |frame: Frame<'_>| {
        if let Frame::Value(name, json) = frame {
            let event: Value = serde_json::from_str(json).expect("JSON");
            assert_eq!(event["type"], name);
            assert_eq!(event["sequence_number"], got.len());
            got.push(event);
        }
        Ok(())
    };
    frames.push(written(body, events).as_bytes(), &mut take).expect("frames");
    frames.finish(&mut take).expect("whole frames");
    got
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().skip(2).map(|event| event["type"].as_str().expect("a type").trim_start_matches("response.")).collect()
}

/// The terminal event's response, which every item's own event agrees with.
fn last(events: &[Value]) -> &Value {
    let response = &events.last().expect("events")["response"];
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    let items: Vec<&Value> = done.map(|event| &event["item"]).collect();
    assert_eq!(response["output"].as_array().expect("items").iter().collect::<Vec<_>>(), items);
    let places = events.iter().filter(|event| event["type"] == "response.output_item.added");
    for (index, event) in places.enumerate() {
        assert_eq!(event["output_index"], index);
        assert_eq!(event["item"]["id"], items[index]["id"]);
    }
    response
}

#[test]
fn text_comes_in_the_order_that_the_sdks_expect() {
    let got = events("{}", &[text("Hello"), Event::Ping, text(" there."), finish(FinishReason::Stop), used()]);
    assert_eq!(
        kinds(&got),
        [
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    let response = last(&got);
    assert_eq!(response["id"], "resp_01990000000070008000000000000001");
    assert_eq!((&response["status"], &response["model"]), (&json!("completed"), &json!("claude")));
    let usage = json!({
        "input_tokens": 11, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 14,
    });
    assert_eq!(response["usage"], usage);
    let part = json!({"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello there."});
    assert_eq!(response["output"][0]["content"], json!([part]));
}

#[test]
fn what_comes_between_the_pieces_of_a_call_does_not_cut_it_off() {
    let pieces = [
        call(0, "c0", "f"),
        arguments(0, "{\"a\""),
        text("\n"),
        arguments(0, ":[1"),
        thought("Hm"),
        call(1, "c1", "g"),
        arguments(1, "{}"),
        arguments(0, "]}"),
        text("Done."),
        finish(FinishReason::ToolCalls),
        used(),
    ];
    let got = events("{}", &pieces);
    let response = &got.last().expect("events")["response"];
    let items = response["output"].as_array().expect("items");
    let types: Vec<&str> = items.iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(types, ["function_call", "message", "reasoning", "function_call", "message"]);
    assert_eq!((&items[0]["arguments"], &items[0]["status"]), (&json!("{\"a\":[1]}"), &json!("completed")));
    for (index, item) in items.iter().enumerate() {
        let of = |kind: &str| {
            let kind = format!("response.output_item.{kind}");
            let found: Vec<&Value> =
                got.iter().filter(|event| event["type"] == kind && event["output_index"] == index).collect();
            assert_eq!(found.len(), 1, "{kind} of {index}");
            found[0]["item"].clone()
        };
        assert_eq!((&of("added")["id"], &of("done")), (&item["id"], item));
    }
    // A call that never becomes whole is said to be so.
    let got = events("{}", &[call(0, "c0", "f"), arguments(0, "{"), text("x"), finish(FinishReason::Length), used()]);
    let item = &got.last().expect("events")["response"]["output"][0];
    assert_eq!((&item["arguments"], &item["status"]), (&json!("{"), &json!("incomplete")));
}

#[test]
fn the_first_piece_is_not_delayed_and_pings_are_comments() {
    let got = written("{}", &[text("Hello")]);
    assert!(got.contains("\"delta\":\"Hello\""));
    assert!(written("{}", &[Event::Ping]).ends_with("\n\n: \n\n"));
}

#[test]
fn the_response_repeats_what_was_asked() {
    let body = r#"{"instructions":"Be brief.","temperature":0.5,"tools":[{"type":"function","name":"f","parameters":{}}],
        "tool_choice":"required","parallel_tool_calls":false,"max_output_tokens":7,"metadata":{"a":"b"},"store":true,
        "text":{"verbosity":"low"},"reasoning":{"effort":"high"},"top_p":null}"#;
    let got = events(body, &[finish(FinishReason::Stop), Event::End(None)]);
    for response in [&got[0]["response"], &got[1]["response"], last(&got)] {
        assert_eq!(response["instructions"], "Be brief.");
        assert_eq!(response["temperature"], 0.5);
        assert_eq!(response["top_p"], 1.0);
        assert_eq!(response["tools"][0]["name"], "f");
        assert_eq!(response["tool_choice"], "required");
        assert_eq!(response["parallel_tool_calls"], false);
        assert_eq!(response["max_output_tokens"], 7);
        assert_eq!(response["metadata"], json!({"a": "b"}));
        assert_eq!(response["text"], json!({"format": {"type": "text"}, "verbosity": "low"}));
        assert_eq!(response["reasoning"], json!({"effort": "high", "summary": null}));
        assert_eq!(response["store"], false, "nothing is kept");
    }
}

#[test]
fn thoughts_are_summaries_and_their_signatures_encrypted_content() {
    let end = |signature| Event::ReasoningEnd { choice: 0, signature };
    let anthropic = || Some(signed(DialectId::Anthropic, "c2ln"));
    let got = events("{}", &[thought("Hm,"), thought(" so"), end(anthropic()), end(anthropic()), text("Yes."), used()]);
    assert_eq!(
        kinds(&got)[..9],
        [
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "output_item.done"
        ]
    );
    let output = &last(&got)["output"];
    assert_eq!(output[0]["summary"], json!([{"type": "summary_text", "text": "Hm, so"}]));
    assert_eq!(output[0]["encrypted_content"], "tollgate.anthropic.c2ln");
    assert_eq!(
        (&output[1]["summary"], &output[1]["encrypted_content"]),
        (&json!([]), &json!("tollgate.anthropic.c2ln"))
    );
    assert_eq!(output[2]["content"][0]["text"], "Yes.");
}

#[test]
fn interleaved_calls_are_items_of_their_own() {
    let got = events(
        "{}",
        &[
            call(0, "call_1", "f"),
            arguments(0, "{\"a\""),
            call(1, "call_2", "g"),
            arguments(1, "{}"),
            arguments(0, ":1}"),
            call(2, "call_3", "h"),
            finish(FinishReason::ToolCalls),
            used(),
        ],
    );
    let output = last(&got)["output"].as_array().expect("items").clone();
    let calls: Vec<_> = output.iter().map(|item| (&item["call_id"], &item["name"], &item["arguments"])).collect();
    let [a, b, c] = [["call_1", "f", "{\"a\":1}"], ["call_2", "g", "{}"], ["call_3", "h", "{}"]]
        .map(|[id, name, arguments]| (json!(id), json!(name), json!(arguments)));
    assert_eq!(calls, [(&a.0, &a.1, &a.2), (&b.0, &b.1, &b.2), (&c.0, &c.1, &c.2)]);
    let pieces: String = got
        .iter()
        .filter(|event| event["type"] == "response.function_call_arguments.delta" && event["output_index"] == 0)
        .map(|event| event["delta"].as_str().expect("a piece"))
        .collect();
    assert_eq!(pieces, "{\"a\":1}");
}

#[test]
fn custom_tools_and_namespaces_get_their_own_names_back() {
    let body = r#"{"tools":[{"type":"custom","name":"apply_patch"},
        {"type":"namespace","name":"files","tools":[{"type":"function","name":"read"}]}]}"#;
    let patch = [arguments(0, "{\"input\":\"a"), arguments(0, "\\nb\"}")];
    let [first, second] = patch;
    let got = events(body, &[call(0, "c1", "apply_patch"), first, second, call(1, "c2", "files__read"), used()]);
    let output = &last(&got)["output"];
    let custom = json!({"id": output[0]["id"], "type": "custom_tool_call", "status": "completed", "call_id": "c1",
        "name": "apply_patch", "input": "a\nb"});
    assert_eq!(output[0], custom);
    assert_eq!((&output[1]["name"], &output[1]["namespace"]), (&json!("read"), &json!("files")));
    assert_eq!(
        kinds(&got)[2..4],
        ["custom_tool_call_input.delta", "custom_tool_call_input.done"],
        "its input is known when its arguments are whole"
    );
}

#[test]
fn ends_that_are_none_are_said_as_this_dialect_says_them() {
    let end = |reason| {
        let got = events("{}", &[text("x"), finish(reason), used()]);
        let response = last(&got).clone();
        (got.last().expect("events")["type"].as_str().expect("a type").to_owned(), response)
    };
    for (reason, name, word) in [
        (FinishReason::Length, "reason", "max_output_tokens"),
        (FinishReason::ContentFilter, "reason", "content_filter"),
        (FinishReason::Other("MALFORMED_FUNCTION_CALL".into()), "native_finish_reason", "MALFORMED_FUNCTION_CALL"),
    ] {
        let (kind, response) = end(reason);
        assert_eq!((&*kind, &response["status"]), ("response.incomplete", &json!("incomplete")));
        assert_eq!(response["incomplete_details"], json!({name: word}));
        assert_eq!(response["output"][0]["status"], "incomplete");
    }
    let (kind, response) = end(FinishReason::Refusal);
    assert_eq!(kind, "response.completed");
    assert_eq!(response["output"][0]["content"][1]["type"], "refusal");
}

#[test]
fn an_error_ends_the_stream_twice_and_nothing_follows() {
    let refusal =
        Refusal { status: 429, message: "slow \"down\"".into(), code: None, param: None, retry_after_s: None };
    let got = events("{}", &[text("Hel"), Event::Error(refusal), text("lo"), finish(FinishReason::Stop), used()]);
    assert_eq!(kinds(&got)[3..], ["error", "failed"]);
    let error = &got[got.len() - 2];
    assert_eq!(error["message"], "slow \"down\"");
    assert_eq!(error["error"]["type"], "rate_limit_error");
    let response = &got[got.len() - 1]["response"];
    assert_eq!((&response["status"], &response["error"]["code"]), (&json!("failed"), &json!("rate_limit_exceeded")));
}

#[test]
fn citations_stand_in_their_part() {
    let cited = |url: Option<&'static str>, range| Annotation {
        url: url.map(Into::into),
        title: Some("T".into()),
        cited_text: None,
        range,
        native: None,
    };
    let annotation = |annotation| Event::Annotation { choice: 0, annotation };
    let got = events(
        "{}",
        &[
            text("éé"),
            thought("hm"),
            text("abc"),
            annotation(cited(Some("https://x.example"), Some((2, 4)))),
            annotation(cited(None, None)),
            used(),
        ],
    );
    let expected = json!([
        {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://x.example", "title": "T"},
        {"type": "file_citation", "file_id": "", "filename": "T", "index": 3},
    ]);
    assert_eq!(last(&got)["output"][2]["content"][0]["annotations"], expected);
}

#[test]
fn an_answer_in_one_document_is_what_its_stream_ends_with() {
    let all = [
        thought("Hm"),
        Event::ReasoningEnd { choice: 0, signature: Some(signed(DialectId::Gemini, "QQ")) },
        text("a"),
        Event::TextSigned { choice: 0, signature: signed(DialectId::Gemini, "Qg") },
        Event::ToolCall {
            choice: 0,
            call: 0,
            id: "c".into(),
            name: "f".into(),
            signature: Some(signed(DialectId::Gemini, "Qw")),
        },
        arguments(0, "{}"),
        Event::Media { choice: 0, mime_type: "image/png".into(), base64: "iVBORw0KGgo=".into() },
        finish(FinishReason::ToolCalls),
        used(),
    ];
    let mut answer = Answer { model: Some("claude".into()), ..Answer::default() };
    all.iter().for_each(|event| answer.event(event.clone()));
    let document = answer_writer::new(asked(Framing::JsonDocument, "{}")).document(&answer);
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    let got = events("{}", &all);
    assert_eq!(document, *last(&got));
    let marks: Vec<_> =
        document["output"].as_array().expect("items").iter().map(|item| &item["encrypted_content"]).collect();
    assert_eq!(marks[2], "last.tollgate.gemini.Qg");
    assert_eq!(marks[3], "next.tollgate.gemini.Qw");
    assert_eq!(document["output"][5]["result"], "iVBORw0KGgo=");
}

#[test]
fn an_answer_beyond_what_is_kept_fails_as_a_stream() {
    let piece: &'static str = "x".repeat(12 * 1024 * 1024).leak();
    let got = written("{}", &[text(piece), text(piece), text(piece), text("more"), used()]);
    assert!(got.contains("event: response.failed\n") && !got.contains("more") && !got.contains("response.completed"));
}
