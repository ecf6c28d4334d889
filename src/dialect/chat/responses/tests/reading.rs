use super::{Seen, answer_to, golden, read_into};
use crate::dialect::chat::{Answer, Block, FinishReason, ReasoningKind, Signature};
use crate::dialect::{DialectId, Framing};

fn text(text: &str) -> Block {
    Block::Text { text: text.into(), annotations: Vec::new(), logprobs: Vec::new(), signature: None }
}

fn call(id: &str, arguments: &str) -> Block {
    Block::ToolCall { id: id.into(), name: "get_weather".into(), arguments: arguments.into(), signature: None }
}

fn stream(events: &str) -> Answer {
    let events: String = events.lines().map(|json| format!("data: {json}\n\n")).collect();
    answer_to(&events, Framing::Sse)
}

fn only(answer: &Answer) -> (&[Block], Option<&FinishReason<'static>>) {
    let [choice] = &answer.choices[..] else { panic!("one choice: {answer:?}") };
    (&choice.blocks, choice.finish.as_ref())
}

#[test]
fn an_answer_in_events_and_in_one_document_is_the_same() {
    let thought = Block::Reasoning {
        text: "Hm, let me see.".into(),
        kind: ReasoningKind::Summary,
        signature: Some(Signature::new(DialectId::OpenAiResponses, "rs_68e7b0c5008190a1b2c3d4e5f60718:c2ln")),
    };
    let calls = [text("Let me look."), call("call_1", r#"{"city":"Paris"}"#), call("call_2", r#"{"city":"Rome"}"#)];
    for (feature, blocks, reason) in [
        ("text", &[text("Hello there.")][..], FinishReason::Stop),
        ("tools", &calls, FinishReason::ToolCalls),
        ("reasoning", &[thought, text("Yes.")], FinishReason::Stop),
        ("length", &[text("Once upon")], FinishReason::Length),
        ("filtered", &[text("I")], FinishReason::ContentFilter),
    ] {
        for (ending, framing) in [("sse", Framing::Sse), ("json", Framing::JsonDocument)] {
            let answer = answer_to(&golden(feature, ending), framing);
            assert_eq!(only(&answer), (blocks, Some(&reason)), "{feature}.{ending}");
            assert_eq!(answer.id.as_deref(), Some("resp_68e7b0c4d1a88190a1b2c3d4e5f60718"));
            assert_eq!(answer.model.as_deref(), Some("gpt-5-mini-2025-08-07"));
            assert_eq!(answer.created_s, Some(1_760_000_000));
        }
    }
}

/// Perplexity's own search is announced as a call that is complete; some relays announce a client's call so, too.
#[test]
fn a_call_that_is_announced_as_complete_is_one_if_it_ends_as_one() {
    let item = r#""output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"get_weather","status":"completed","arguments":"{\"city\":\"Paris\"}"}}"#;
    let announced = format!(r#"{{"type":"response.output_item.added",{item}"#);
    let results = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"search_results","queries":["x"],"results":[]}}"#;
    let message = r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"It rains."}"#;
    let end = r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"search_results"},{"type":"message","content":[{"type":"output_text","text":"It rains."}]}]}}"#;
    let answer = stream(&[&*announced, results, message, end].join("\n"));
    assert_eq!(only(&answer), (&[text("It rains.")][..], Some(&FinishReason::Stop)));
    let done = format!(r#"{{"type":"response.output_item.done",{item}"#);
    let end = r#"{"type":"response.completed","response":{"status":"completed"}}"#;
    let answer = stream(&[&*announced, &*done, end].join("\n"));
    assert_eq!(only(&answer), (&[call("call_1", r#"{"city":"Paris"}"#)][..], Some(&FinishReason::ToolCalls)));
}

#[test]
fn any_cut_gives_the_same_events() {
    for feature in ["text", "tools", "reasoning", "length", "filtered", "error"] {
        let said = golden(feature, "sse");
        let mut whole = Seen(Vec::new());
        read_into(&said, Framing::Sse, usize::MAX, &mut whole);
        for size in [1, 7, 64, 1000] {
            let mut seen = Seen(Vec::new());
            read_into(&said, Framing::Sse, size, &mut seen);
            assert_eq!(seen.0, whole.0, "{feature} in pieces of {size}");
        }
    }
}

#[test]
fn an_error_is_said_once_with_its_own_status() {
    let answer = answer_to(&golden("error", "sse"), Framing::Sse);
    assert_eq!(only(&answer), (&[text("Hel")][..], None));
    let error = answer.error.expect("an error");
    assert_eq!((error.status, &*error.message), (503, "Overloaded"));
    let failed = r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"}}}"#;
    let error = stream(failed).error.expect("an error");
    assert_eq!((error.status, &*error.message, error.code.as_deref()), (429, "slow", Some("rate_limit_exceeded")));
    let flat = r#"{"type":"error","code":"server_error","message":"x","param":null,"sequence_number":3}"#;
    assert_eq!(stream(flat).error.expect("an error").status, 500);
    for document in [r#"{"id":"resp_1","status":"queued","output":[]}"#, r#"{"status":"cancelled","error":null}"#] {
        let error = answer_to(document, Framing::JsonDocument).error.expect("an error");
        assert!(error.message.contains("is not there"), "{error:?}");
    }
    let answer = answer_to(r#"{"error":{"message":"no","type":"rate_limit_error"}}"#, Framing::JsonDocument);
    assert_eq!(answer.error.expect("an error").status, 429);
}

#[test]
fn what_vendors_do_not_send_in_pieces_is_taken_whole() {
    let answer = stream(
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"m","content":[]}}
{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"whole"}
{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"whole"}]}}
{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"get_weather","arguments":"{}"}}
{"type":"response.function_call_arguments.done","output_index":1,"arguments":"{}"}
{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"whole"}]}]}}"#,
    );
    assert_eq!(only(&answer), (&[text("whole"), call("call_1", "{}")][..], Some(&FinishReason::ToolCalls)));
    let completed = r#"{"type":"response.completed","response":{"id":"x","output":[{"type":"message","content":[{"type":"refusal","refusal":"No."}]}]}}"#;
    let answer = stream(completed);
    assert_eq!(only(&answer), (&[Block::Refusal("No.".into())][..], Some(&FinishReason::Refusal)));
}

#[test]
fn parts_of_a_summary_are_one_text_and_thoughts_themselves_are_told_apart() {
    let answer = stream(
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"a"}
{"type":"response.reasoning_summary_text.done","output_index":0,"summary_index":0,"text":"a"}
{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"b"}
{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[{"text":"a"},{"text":"b"}]}}
{"type":"response.reasoning_text.delta","output_index":1,"content_index":0,"delta":"c"}
{"type":"response.output_item.done","output_index":1,"item":{"type":"reasoning","content":[{"text":"c"}],"summary":[]}}
{"type":"response.completed","response":{}}"#,
    );
    let thoughts = |text: &str, kind| Block::Reasoning { text: text.into(), kind, signature: None };
    let blocks = [thoughts("a\n\nb", ReasoningKind::Summary), thoughts("c", ReasoningKind::Full)];
    assert_eq!(only(&answer), (&blocks[..], Some(&FinishReason::Stop)));
}

#[test]
fn annotations_count_characters_of_the_whole_text() {
    let answer = stream(
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"éé"}
{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"abc"}
{"type":"response.output_text.annotation.added","output_index":1,"content_index":0,"annotation":{"type":"url_citation","url":"https://x.example","title":"X","start_index":0,"end_index":3}}
{"type":"response.output_item.done","output_index":1,"item":{"type":"message","content":[{"type":"output_text","text":"abc","annotations":[{"type":"url_citation"}]}]}}
{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"steered"}}}"#,
    );
    let (blocks, reason) = only(&answer);
    let [Block::Text { annotations, .. }] = blocks else { panic!("{blocks:?}") };
    let [annotation] = &annotations[..] else { panic!("{annotations:?}") };
    assert_eq!((annotation.url.as_deref(), annotation.range), (Some("https://x.example"), Some((2, 5))));
    assert_eq!(reason, Some(&FinishReason::Other("steered".into())));
}
