//! Reports of one side of an answer: what they leave out is not zero.

use super::{BEDROCK_JSON, CHAT, CHAT_JSON, COHERE_JSON, GEMINI, GEMINI_JSON, MESSAGES, MESSAGES_JSON};
use crate::dialect::usage::{Scanner, Unreported};

#[test]
fn a_side_that_a_report_leaves_out_is_not_zero() {
    let unreported = |scanner: &Scanner, is_cut: bool| scanner.unreported(&scanner.metered().unwrap().usage, is_cut);
    let document = |usage: &str| {
        format!(r#"{{"choices":[{{"message":{{"content":"hi there"}},"finish_reason":"stop"}}],"usage":{usage}}}"#)
    };
    let left_out = |usage: &str| unreported(&CHAT_JSON.whole(&document(usage)), false);
    let (output, input) = (Unreported { input: false, output: true }, Unreported { input: true, output: false });
    assert_eq!(left_out(r#"{"prompt_tokens":10}"#), output);
    assert_eq!(left_out(r#"{"prompt_tokens":10,"total_tokens":10}"#), output);
    assert_eq!(left_out(r#"{"completion_tokens":10}"#), input);
    for usage in [
        r#"{"prompt_tokens":10,"completion_tokens":0}"#,
        r#"{"prompt_tokens":0,"completion_tokens":3}"#,
        r#"{"prompt_tokens":10,"total_tokens":13}"#,
        r#"{"total_tokens":13}"#,
    ] {
        assert_eq!(left_out(usage), Unreported::default(), "{usage}");
    }
    let start = concat!(
        r#"data: {"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        "\n\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi there"}}"#,
        "\n\n",
    );
    let stop = |usage: &str| {
        let delta = format!("{{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}}{usage}}}");
        format!("{start}data: {delta}\n\ndata: {{\"type\":\"message_stop\"}}\n\n")
    };
    assert_eq!(unreported(&MESSAGES.whole(&stop("")), false), output);
    assert_eq!(unreported(&MESSAGES.whole(&stop(",\"usage\":null")), false), output);
    assert_eq!(unreported(&MESSAGES.whole(&stop(",\"usage\":{\"output_tokens\":3}")), false), Unreported::default());
    assert_eq!(unreported(&MESSAGES.whole(start), true), output);
    // The final count is there, whatever becomes of the rest.
    assert_eq!(unreported(&MESSAGES.whole(&stop(",\"usage\":{\"output_tokens\":3}")), true), Unreported::default());
    let gemini = |usage: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"hi"}}]}},"finishReason":"STOP"}}],"usageMetadata":{usage}}}"#
        )
    };
    let told = |usage: &str, is_cut: bool| unreported(&GEMINI_JSON.whole(&gemini(usage)), is_cut);
    assert_eq!(told(r#"{"promptTokenCount":10}"#, false), output);
    assert_eq!(told(r#"{"promptTokenCount":10,"totalTokenCount":12}"#, false), Unreported::default());
    assert_eq!(told(r#"{"candidatesTokenCount":5}"#, false), input);
    assert_eq!(told(r#"{"candidatesTokenCount":5,"totalTokenCount":12}"#, false), Unreported::default());
    // What was thought may be all that was generated; while it goes on, the text is to be counted yet.
    let thoughts = r#"{"promptTokenCount":10,"thoughtsTokenCount":5,"totalTokenCount":15}"#;
    assert_eq!((told(thoughts, false), told(thoughts, true)), (Unreported::default(), output));
}

/// Z.ai's beginning, MiniMax's and LiteLLM's: what counts comes at the end, if it comes.
#[test]
fn zeros_at_the_beginning_of_a_stream_are_no_report_of_its_prompt() {
    let start = |usage: &str| format!(r#"{{"type":"message_start","message":{{"usage":{usage}}}}}"#);
    let zeros = start(r#"{"input_tokens":0,"output_tokens":0}"#);
    let text = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi there"}}"#;
    let delta = |usage: &str| format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}}{usage}}}"#);
    let unreported = |events: &[&str], is_cut: bool| {
        let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let scanner = MESSAGES.whole(&events);
        scanner.unreported(&scanner.metered().unwrap().usage, is_cut)
    };
    let (none, both) = (Unreported::default(), Unreported { input: true, output: true });
    assert_eq!(unreported(&[&zeros, text], true), both);
    assert_eq!(unreported(&[&zeros], true), both, "it has read the prompt");
    assert_eq!(unreported(&[&zeros, text, &delta("")], false), both, "a whole one that never tells");
    for cached in [r#"{"input_tokens":0,"cache_read_input_tokens":9,"output_tokens":1}"#, r#"{"input_tokens":3}"#] {
        let output = Unreported { input: false, output: true };
        assert_eq!(unreported(&[&start(cached), text], true), output, "{cached}");
    }
    let told = delta(r#","usage":{"input_tokens":7,"output_tokens":3}"#);
    assert_eq!(unreported(&[&zeros, text, &told], false), none);
    let told = delta(r#","usage":{"output_tokens":3}"#);
    let input = Unreported { input: true, output: false };
    assert_eq!(unreported(&[&zeros, text, &told], true), input, "Ollama's, and whoever knows no more at the end");
    assert_eq!(unreported(&[&zeros, text, &told], false), input);
    let told = delta(r#","usage":{"input_tokens":0,"output_tokens":3}"#);
    assert_eq!(unreported(&[&zeros, text, &told], false), none, "a zero that is told twice is one");
}

/// What StepFun begins with, LiteLLM and GitHub's Copilot send in every chunk, OpenCode's gateway at the end.
#[test]
fn zeros_beside_counts_are_none_and_a_chat_that_breaks_off_with_zeros_has_no_report() {
    let chunk =
        |usage: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"hi there"}}}}],"usage":{usage}}}"#);
    let end =
        |usage: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],"usage":{usage}}}"#);
    let zeros = r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    let counts = r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}"#;
    let scanner = |events: &[String]| {
        let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        CHAT.whole(&events)
    };
    let told = |events: &[String]| super::five(&scanner(events).metered().unwrap().usage);
    assert_eq!(told(&[chunk(zeros), end(counts)]), [10, 0, 0, 2, 0]);
    assert_eq!(
        told(&[
            chunk("null"),
            end(counts),
            r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#.to_owned()
        ]),
        [10, 0, 0, 2, 0]
    );
    assert_eq!(told(&[chunk(zeros), end(zeros)]), [0; 5], "zero that is said at the end is zero");
    let unreported = |events: &[String], is_cut: bool| {
        let scanner = scanner(events);
        scanner.unreported(&scanner.metered().unwrap().usage, is_cut)
    };
    let both = Unreported { input: true, output: true };
    assert_eq!(unreported(&[chunk(zeros)], true), both);
    assert_eq!(unreported(&[chunk(zeros), end(zeros)], false), Unreported::default());
    assert_eq!(unreported(&[chunk(counts)], true), Unreported::default());
}

#[test]
fn a_side_that_other_dialects_reports_leave_out_is_not_zero_either() {
    let (none, output, input) =
        (Unreported::default(), Unreported { input: false, output: true }, Unreported { input: true, output: false });
    let unreported = |scanner: &Scanner| scanner.unreported(&scanner.metered().unwrap().usage, false);
    for (usage, left_out) in [
        (r#"{"output_tokens":5}"#, input),
        (r#"{"input_tokens":null,"output_tokens":5}"#, input),
        (r#"{"input_tokens":8000}"#, output),
        (r#"{"input_tokens":0,"output_tokens":5}"#, none),
        (r#"{"cache_creation":{"ephemeral_1h_input_tokens":0},"output_tokens":5}"#, none),
    ] {
        let document =
            format!(r#"{{"content":[{{"type":"text","text":"hi there"}}],"stop_reason":"end_turn","usage":{usage}}}"#);
        assert_eq!(unreported(&MESSAGES_JSON.whole(&document)), left_out, "{usage}");
    }
    let stream = |start: &str, end: &str| {
        let text = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi there"}}"#;
        let start = format!(r#"{{"type":"message_start","message":{{"id":"x"{start}}}}}"#);
        let end = format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{end}}}"#);
        [&*start, text, &*end, r#"{"type":"message_stop"}"#].map(|event| format!("data: {event}\n\n")).concat()
    };
    for start in ["", r#","usage":null"#, r#","usage":{}"#, r#","usage":{"output_tokens":1}"#] {
        assert_eq!(unreported(&MESSAGES.whole(&stream(start, r#"{"output_tokens":5}"#))), input, "{start}");
        let later = stream(start, r#"{"input_tokens":3,"output_tokens":5}"#);
        assert_eq!(unreported(&MESSAGES.whole(&later)), none, "{start}");
    }
    let cohere = |usage: &str| {
        let text = r#""message":{"role":"assistant","content":[{"type":"text","text":"hi there"}]}"#;
        COHERE_JSON.whole(&format!(r#"{{"id":"x","finish_reason":"COMPLETE",{text},"usage":{usage}}}"#))
    };
    assert_eq!(unreported(&cohere(r#"{"billed_units":{"output_tokens":7}}"#)), input);
    assert_eq!(unreported(&cohere(r#"{"billed_units":{"input_tokens":7}}"#)), output);
    let both = cohere(r#"{"billed_units":{"output_tokens":7},"tokens":{"input_tokens":300,"output_tokens":9}}"#);
    assert_eq!(unreported(&both), none);
    let usage = both.metered().unwrap().usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (300, 7), "of each side what is billed, or was counted");
    let bedrock = |usage: &str| {
        let text = r#""output":{"message":{"role":"assistant","content":[{"text":"hi there"}]}}"#;
        BEDROCK_JSON.whole(&format!(r#"{{{text},"stopReason":"end_turn","usage":{usage}}}"#))
    };
    assert_eq!(unreported(&bedrock(r#"{"outputTokens":5}"#)), input);
    assert_eq!(unreported(&bedrock(r#"{"inputTokens":5}"#)), output);
    assert_eq!(unreported(&bedrock(r#"{"inputTokens":5,"outputTokens":5}"#)), none);
}

#[test]
fn thoughts_that_are_counted_alone_are_told_from_the_answers_text() {
    let event = |parts: &str, usage: &str| {
        format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{parts}]}}}}]{usage}}}\n\n")
    };
    let usage = |rest: &str| format!(r#","usageMetadata":{{"promptTokenCount":9,"thoughtsTokenCount":540{rest}}}"#);
    let (thought, text) = (r#"{"text":"Let me see.","thought":true}"#, r#"{"text":"The answer.","thought":false}"#);
    let scanned = |events: [String; 2]| GEMINI.whole(&events.concat()).thoughts_alone();
    assert_eq!(scanned([event(thought, &usage("")), event(text, "")]), Some(11));
    assert_eq!(scanned([event(thought, ""), event(text, &usage(""))]), Some(11), "whichever event counts");
    assert_eq!(scanned([event(text, &usage("")), event(text, &usage(""))]), Some(0));
    // Somebody has counted the answer.
    assert_eq!(scanned([event(thought, &usage("")), event(text, &usage(r#","candidatesTokenCount":3"#))]), None);
    assert_eq!(scanned([event(thought, &usage("")), event(text, &usage(r#","totalTokenCount":560"#))]), None);
    assert_eq!(scanned([event(thought, ""), event(text, "")]), None);
}

#[test]
fn text_that_stands_in_a_blocks_beginning_or_in_details_alone_has_passed() {
    let opening = |text: &str| {
        let block =
            format!(r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"text","text":"{text}"}}}}"#);
        MESSAGES.whole(&format!("data: {block}\n\n"))
    };
    assert!(!opening("").token_seen());
    assert!(opening("Hello").token_seen());
    assert_eq!(opening("Hello").delivered().total_bytes(), 5);
    // Cloudflare's, by a schema.
    let object =
        r#"{"choices":[{"message":{"content":{"title":"Apples","author":"Wickham"}},"finish_reason":"stop"}]}"#;
    assert_eq!(CHAT_JSON.whole(object).delivered().total_bytes(), 37);
    let parts = r#"{"choices":[{"message":{"content":[{"type":"text","text":"Hello"}]},"finish_reason":"stop"}]}"#;
    assert_eq!(CHAT_JSON.whole(parts).delivered().total_bytes(), 5);
    let chunk = |delta: &str| CHAT.whole(&format!("data: {{\"choices\":[{{\"delta\":{{{delta}}}}}]}}\n\n"));
    let details = r#""reasoning_details":[{"type":"reasoning.text","text":"I think"}]"#;
    assert_eq!(chunk(details).delivered().total_bytes(), 7);
    // OpenRouter says it twice.
    assert_eq!(chunk(&format!(r#""reasoning":"I think",{details}"#)).delivered().total_bytes(), 7);
    assert_eq!(chunk(&format!(r#"{details},"reasoning":"I think""#)).delivered().total_bytes(), 7);
}
