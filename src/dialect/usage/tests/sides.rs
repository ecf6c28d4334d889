//! Reports of one side of an answer: what they leave out is not zero.

use super::{CHAT_JSON, GEMINI_JSON, MESSAGES};
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
    // What was thought may be all that was generated; while it goes on, the text is to be counted yet.
    let thoughts = r#"{"promptTokenCount":10,"thoughtsTokenCount":5,"totalTokenCount":15}"#;
    assert_eq!((told(thoughts, false), told(thoughts, true)), (Unreported::default(), output));
}
