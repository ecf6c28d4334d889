//! When an answer has begun, how it ended, what went wrong in it, and what it delivered.

use super::{
    CHAT, CHAT_JSON, COMPLETION, Case, EMBEDDINGS, GEMINI, GEMINI_ARRAY, MESSAGES, MESSAGES_JSON, RESPONSES,
    RESPONSES_JSON, case,
};
use crate::dialect::shape::{Answer, DialectId, Framing};
use bytes::Bytes;

pub(super) fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}

#[test]
fn the_first_token() {
    let chunk = |delta: &str| event(&format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#));
    let tokens: [(Case, String, bool); 38] = [
        (CHAT, chunk(r#"{"role":"assistant","content":""}"#), false),
        (
            CHAT,
            chunk(r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[],"reasoning_details":[]}"#),
            false,
        ),
        (CHAT, ": OPENROUTER PROCESSING\n\n".to_owned(), false),
        (CHAT, event(r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#), false),
        (CHAT, event(r#"{"choices":[],"usage":null}"#), false),
        (CHAT, event(r#"{"choices":[],"usage":{}}"#), false),
        (CHAT, event(r#"{"error":{"message":"x"}}"#), false),
        (CHAT, event(r#"{"choices":[{"delta":{},"finish_reason":""}]}"#), false),
        (CHAT, chunk(r#"{"content":"x"}"#), true),
        (CHAT, chunk(r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"x"}]}]}"#), true),
        (CHAT, chunk(r#"{"reasoning_content":"x"}"#), true),
        (CHAT, chunk(r#"{"reasoning":"x"}"#), true),
        (CHAT, chunk(r#"{"refusal":"x"}"#), true),
        (CHAT, chunk(r#"{"tool_calls":[{"index":1,"id":"a","function":{"name":"f","arguments":""}}]}"#), true),
        (CHAT, chunk(r#"{"audio":{"id":"a"}}"#), true),
        (CHAT, event(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#), true),
        (CHAT, event(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#), true),
        (COMPLETION, event(r#"{"choices":[{"text":"","finish_reason":null}]}"#), false),
        (COMPLETION, event(r#"{"choices":[{"text":"x","finish_reason":null}]}"#), true),
        (
            MESSAGES,
            event(r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}"#),
            false,
        ),
        (MESSAGES, event(r#"{"type":"ping"}"#), false),
        (
            MESSAGES,
            event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#),
            false,
        ),
        (
            MESSAGES,
            event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t"}}"#),
            true,
        ),
        (MESSAGES, event(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#), true),
        (MESSAGES, event(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#), true),
        (MESSAGES, event(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#), false),
        (RESPONSES, event(r#"{"type":"response.created","response":{"usage":null}}"#), false),
        (RESPONSES, event(r#"{"type":"response.in_progress","response":{"usage":null}}"#), false),
        (RESPONSES, event(r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#), false),
        (RESPONSES, event(r#"{"type":"response.output_item.added","item":{"type":"function_call"}}"#), true),
        (RESPONSES, event(r#"{"type":"response.content_part.added","part":{"type":"output_text"}}"#), false),
        (RESPONSES, event(r#"{"type":"response.output_text.delta","delta":"x"}"#), true),
        (RESPONSES, event(r#"{"type":"error","code":"server_error","message":"x"}"#), false),
        (
            RESPONSES,
            event(r#"{"type":"response.failed","response":{"error":{"code":"server_error"},"usage":null}}"#),
            false,
        ),
        (GEMINI, event(r#"{"candidates":[{"content":{"parts":[{"text":""}]}}]}"#), false),
        (GEMINI, event(r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]}}]}"#), true),
        (GEMINI, event(r#"{"candidates":[{"finishReason":1}]}"#), true),
        (EMBEDDINGS, r#"{"data":[]}"#.to_owned(), true),
    ];
    for (case, text, token) in tokens {
        assert_eq!(case.whole(&text).token_seen(), token, "{text}");
    }
}

#[test]
fn the_end_of_a_stream() {
    for (case, text, whole) in [
        (CHAT, r#"{"choices":[{"delta":{"content":"x"},"finish_reason":null}]}"#, false),
        (CHAT, r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, true),
        (CHAT, r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""},"finish_reason":null}]}"#, false),
        (CHAT, r#"{"choices":[{"delta":{},"finish_reason":"null"}]}"#, false),
        (CHAT, "[DONE]", true),
        (CHAT, r#"{"choices":[{"delta":{"content":"data: [DONE]\n\n"}}]}"#, false),
        (MESSAGES, r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":1}}"#, false),
        (MESSAGES, r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}"#, true),
        (MESSAGES, r#"{"type":"message_stop"}"#, true),
        (MESSAGES, "[DONE]", false),
        (MESSAGES, r#"{"type":"error","error":{"type":"api_error"}}"#, false),
        (RESPONSES, r#"{"type":"response.output_text.done","text":"x"}"#, false),
        (RESPONSES, r#"{"type":"response.completed","response":{}}"#, true),
        (RESPONSES, r#"{"type":"response.incomplete","response":{}}"#, true),
        (RESPONSES, r#"{"type":"response.failed","response":{}}"#, true),
        (GEMINI, r#"{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":1}}"#, false),
        (GEMINI, r#"{"candidates":[{"finishReason":"STOP"}]}"#, true),
        (GEMINI, r#"{"candidates":[{"finishReason":2}]}"#, true),
        (GEMINI, r#"{"candidates":[{"finishReason":0}]}"#, false),
        (GEMINI, r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, true),
    ] {
        assert_eq!(case.whole(&event(text)).is_whole(), whole, "{text}");
        // The same once the answer is under way, where an event is only glanced at.
        let under_way = match case.answer {
            Answer::Messages => r#"{"type":"content_block_delta","delta":{"text":"a"}}"#,
            Answer::Responses => r#"{"type":"response.output_text.delta","delta":"a"}"#,
            _ => r#"{"choices":[{"delta":{"content":"a"}}],"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
        };
        let scanner = case.whole(&(event(under_way) + &event(text)));
        assert!(scanner.token_seen());
        assert_eq!(scanner.is_whole(), whole, "{text}, under way");
    }
}

/// Some servers send no `[DONE]`: then every answer that has begun must have its reason.
#[test]
fn the_end_of_several_answers_to_one_prompt() {
    let chunk = |index: u32, finish: &str| {
        let text = format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"a"}},"finish_reason":{finish}}}],
            "candidates":[{{"index":{index},"content":{{"parts":[{{"text":"a"}}]}},"finishReason":{finish}}}]}}"#
        );
        event(&text.replace('\n', ""))
    };
    for case in [CHAT, GEMINI] {
        let scanner = |said: &[(u32, &str)]| {
            let mut scanner = case.scanner().of_choices(2);
            for (index, finish) in said {
                scanner.push(Bytes::from(chunk(*index, finish)));
            }
            scanner.finish();
            scanner.is_whole()
        };
        let (first, second) = ((0, "\"stop\""), (1, "\"length\""));
        assert!(!scanner(&[(0, "null"), (1, "null"), first]), "{case:?}");
        assert!(scanner(&[(0, "null"), (1, "null"), first, second]), "{case:?}");
        assert!(scanner(&[(0, "null"), first]), "{case:?}: a server that gives one alone");
        assert!(!scanner(&[first, (1, "null")]), "{case:?}");
        assert!(scanner(&[first, (4_000_000_000, "null")]), "{case:?}: no such answer");
    }
}

#[test]
fn the_end_of_a_document() {
    for (case, text, whole) in [
        (CHAT_JSON, r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, true),
        (CHAT_JSON, r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}"#, false),
        (GEMINI_ARRAY, "[{\"usageMetadata\":{\"promptTokenCount\":1}}\n,\r\n{}]", true),
        (GEMINI_ARRAY, "[{\"usageMetadata\":{\"promptTokenCount\":1}}\n,\r\n", false),
        (
            GEMINI_ARRAY,
            "[{\"usageMetadata\":{\"promptTokenCount\":1},\"candidates\":[{\"finishReason\":\"STOP\"}]}",
            true,
        ),
    ] {
        let scanner = case.whole(text);
        assert_eq!(scanner.is_whole(), whole, "{text}");
        assert!(scanner.metered().is_some(), "{text}: what was reported counts");
    }
    let ndjson = case(Answer::Chat, DialectId::OpenAi, Framing::NdJson);
    let text = "{\"choices\":[]}\n{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n";
    assert_eq!(ndjson.counts(text), Some([1, 0, 0, 2, 0]));
}

#[test]
fn the_delivered_text() {
    let chunk = |delta: &str| {
        event(&format!(r#"{{"choices":[{{"index":0,"delta":{delta},"message":{{"content":"so far"}}}}]}}"#))
    };
    // Read in full and at a glance it is the same text.
    let deltas = [
        r#"{"content":"a\u00e9"}"#,
        r#"{"role":"assistant", "content": "b" }"#,
        r#"{"reasoning":"c","reasoning_content":"c","reasoning_details":[{"text":"c"}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"id","type":"function","function":{"name":"d","arguments":"{\"e\":1}"}}]}"#,
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"f"}]},{"type":"text","text":"g"}]}"#,
        r#"{"content":"\""}"#,
    ];
    let text: String = deltas.iter().map(|delta| chunk(delta)).collect();
    assert_eq!(CHAT.whole(&text).delivered().sample(), "a\u{e9}bcd{\"e\":1}fg\"");
    for delta in deltas {
        let first = CHAT.whole(&chunk(delta));
        let second = CHAT.whole(&(chunk(r#"{"content":"x"}"#) + &chunk(delta)));
        assert_eq!(format!("x{}", first.delivered().sample()), second.delivered().sample(), "{delta}");
    }
    let texts = [
        (COMPLETION, event(r#"{"choices":[{"text":"ab","logprobs":{"tokens":["ab"]}}]}"#), "ab"),
        (CHAT_JSON, r#"{"choices":[{"message":{"content":"a","reasoning_content":"b","tool_calls":[{"function":{"name":"c","arguments":"d"}}]}}]}"#.to_owned(), "abcd"),
        (MESSAGES, event(r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}"#), "{\"a"),
        (MESSAGES, event(r#"{"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"zzz"}}"#), ""),
        (MESSAGES_JSON, r#"{"content":[{"type":"thinking","thinking":"a"},{"type":"text","text":"b"},{"type":"tool_use","input":{"c":1}}]}"#.to_owned(), "ab{\"c\":1}"),
        (RESPONSES, event(r#"{"type":"response.output_text.delta","delta":"a"}"#) + &event(r#"{"type":"response.output_text.done","text":"a"}"#), "a"),
        (RESPONSES, event(r#"{"type":"response.audio.delta","delta":"AAAA"}"#), ""),
        (RESPONSES_JSON, r#"{"output":[{"summary":[{"text":"a"}]},{"content":[{"text":"b"}]},{"arguments":"c"}]}"#.to_owned(), "abc"),
        (GEMINI, event(r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"b","args":{"c":"d"}}}]}}]}"#), "ab{\"c\":\"d\"}"),
        (GEMINI_ARRAY, r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},{"candidates":[{"content":{"parts":[{"text":"b"}]}}]}]"#.to_owned(), "ab"),
        (case(Answer::Transcription, DialectId::OpenAi, Framing::Opaque), "plain".to_owned(), "plain"),
        (case(Answer::Speech, DialectId::OpenAi, Framing::Opaque), "bytes".to_owned(), ""),
    ];
    for (case, text, wanted) in texts {
        let under_way = case.whole(&(text.clone() + &text));
        let scanner = case.whole(&text);
        assert_eq!(scanner.delivered().sample(), wanted, "{text}");
        assert_eq!(scanner.delivered().total_bytes(), wanted.len() as u64);
        if case.framing == Framing::Sse {
            assert_eq!(under_way.delivered().sample(), wanted.repeat(2), "{text}");
        }
    }
}

#[test]
fn the_boundary_between_events() {
    let boundary = |case: Case, pieces: &[&str]| {
        let mut scanner = case.scanner();
        pieces.iter().for_each(|piece| drop(scanner.push(bytes::Bytes::copy_from_slice(piece.as_bytes()))));
        scanner.at_event_boundary()
    };
    for (text, at_boundary) in [
        ("", true),
        ("d", false),
        ("data: {}", false),
        ("data: {}\n", false),
        ("data: {}\n\n", true),
        ("data: {}\r\n\r", true),
        ("event: a\n", false),
        (": ping\n", true),
        (": pi", false),
        ("id: 1\n\n", true),
    ] {
        assert_eq!(boundary(CHAT, &[text]), at_boundary, "{text:?}");
        assert_eq!(boundary(CHAT, &["data: {}\n\n", text]), at_boundary, "{text:?}");
    }
    for (text, at_boundary) in
        [("", true), ("[", true), ("[{", false), ("[{}", true), ("[{},", true), ("[{},{\"a\"", false)]
    {
        assert_eq!(boundary(GEMINI_ARRAY, &[text]), at_boundary, "{text:?}");
    }
}

#[test]
fn audio_and_plain_text_pass_as_they_are() {
    let speech = case(Answer::Speech, DialectId::OpenAi, Framing::Opaque);
    let (scanner, out) = speech.scan([b"data: {\"usage\":".as_slice(), b"{\"prompt_tokens\":1}}\n\n"]);
    assert_eq!(out, b"data: {\"usage\":{\"prompt_tokens\":1}}\n\n");
    assert!(scanner.metered().is_none() && scanner.token_seen() && scanner.is_whole());
    assert!(!speech.scanner().token_seen());
}

/// The exchange is settled at its terminal event: what comes behind it must not count only because it came in the same piece.
#[test]
fn nothing_counts_behind_the_terminal_event() {
    let counted = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let later = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}\n\n";
    let error = "data: {\"error\":{\"message\":\"No\"}}\n\n";
    let (scanner, _) = CHAT.scan([[counted, later, error].concat().as_bytes()]);
    assert_eq!(scanner.metered().map(|metered| metered.usage.output_tokens), Some(2));
    assert!(scanner.error_event().is_none() && scanner.is_whole());
}

#[test]
fn a_number_or_a_word_in_a_run_of_values_is_one_however_it_is_cut() {
    for text in ["[12,{}", "tru[", "12 {\"a\""] {
        let (whole, _) = GEMINI_ARRAY.scan([text.as_bytes()]);
        let (cut, _) = GEMINI_ARRAY.scan(text.as_bytes().chunks(1));
        assert_eq!(cut.at_event_boundary(), whole.at_event_boundary(), "{text}");
        assert_eq!(cut.is_whole(), whole.is_whole(), "{text}");
    }
}

/// Some servers put no blank line between events; where the name of the next one stands, the one before is over.
#[test]
fn an_event_ends_where_the_next_ones_name_stands() {
    let mut scanner = MESSAGES.scanner();
    let _ = scanner.push("data: {\"type\":\"message_stop\"}\n".into());
    assert!(!scanner.is_whole());
    let _ = scanner.push("event: ping\n".into());
    assert!(scanner.is_whole());
}
