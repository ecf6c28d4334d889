//! What Anthropic's usage comes to.

use tollgate_plugin_api::Usage;

use super::{MESSAGES, MESSAGES_JSON};

/// Where nothing counts any more.
const STOP: &str = "event: message_stop\n";

fn messages(start: &str, delta: &str) -> String {
    format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"m\",\"content\":[],\"usage\":{start}}}}}\n\n\
         event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"Hi\"}}}}\n\n\
         event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{delta}}}\n\n\
         event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
    )
}

#[test]
fn anthropics_input_leaves_the_cache_out() {
    let usage = r#"{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":300,
        "cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":15},"output_tokens":21,
        "output_tokens_details":{"thinking_tokens":8},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}}"#;
    let metered = MESSAGES_JSON.whole(&format!(r#"{{"type":"message","usage":{usage}}}"#)).metered().unwrap();
    assert_eq!(super::five(&metered.usage), [330, 300, 20, 21, 8]);
    assert_eq!((metered.detail.cache_write_1h_tokens, metered.detail.web_searches), (15, 2));
    let split_only = r#"{"type":"message","usage":{"input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":6},"output_tokens":1}}"#;
    assert_eq!(MESSAGES_JSON.counts(split_only), Some([7, 0, 6, 1, 0]));
}

#[test]
fn a_message_delta_replaces_field_by_field() {
    let start =
        r#"{"input_tokens":2039,"cache_read_input_tokens":7,"cache_creation_input_tokens":0,"output_tokens":4}"#;
    assert_eq!(MESSAGES.counts(&messages(start, r#"{"output_tokens":510}"#)), Some([2046, 7, 0, 510, 0]));
    let all = r#"{"input_tokens":10423,"output_tokens":510,"cache_read_input_tokens":null}"#;
    assert_eq!(MESSAGES.counts(&messages(start, all)), Some([10430, 7, 0, 510, 0]));
    assert_eq!(MESSAGES.counts(&messages(start, r#"{"output_tokens":0}"#)), Some([2046, 7, 0, 0, 0]), "zero is zero");
    // Nothing but zeros takes nothing back; what is less does (a conversation that was compacted).
    let zeros = r#"{"input_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":5}"#;
    assert_eq!(MESSAGES.counts(&messages(start, zeros)), Some([2046, 7, 0, 5, 0]));
    let compacted = r#"{"input_tokens":181,"cache_read_input_tokens":0,"output_tokens":8}"#;
    assert_eq!(MESSAGES.counts(&messages(start, compacted)), Some([181, 0, 0, 8, 0]));
    for nothing in ["null", "{}"] {
        let scanner = MESSAGES.whole(&messages(start, nothing));
        assert_eq!(scanner.metered().unwrap().usage.output_tokens, 4, "{nothing}");
        assert!(!scanner.is_final(), "the placeholder of the start");
    }
    assert!(MESSAGES.whole(&messages(start, r#"{"output_tokens":510}"#)).is_final());
}

#[test]
fn anthropic_counts_that_are_not_believed() {
    let start = r#"{"input_tokens":20,"output_tokens":1}"#;
    for delta in [r#"{"output_tokens":-5}"#, r#"{"output_tokens":1e99}"#, r#"{"output_tokens":5,"output_tokens":6}"#] {
        let stream = messages(start, delta);
        let scanner = MESSAGES.whole(&stream);
        assert_eq!(scanner.metered(), None, "{delta}");
        assert!(scanner.disbelieved());
        let later = "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":9}}\n\n";
        let mended = stream.replace(STOP, &[later, STOP].concat());
        assert_eq!(MESSAGES.counts(&mended), Some([20, 0, 0, 9, 0]), "{delta}");
    }
}

#[test]
fn iterations_that_are_billed_on_top() {
    let iteration = |kind: &str, input: u64, output: u64| {
        format!(
            r#"{{"type":"{kind}","model":null,"input_tokens":{input},"output_tokens":{output},"cache_read_input_tokens":3}}"#
        )
    };
    let usage = |input: u64, iterations: &[String]| {
        format!(r#"{{"input_tokens":{input},"output_tokens":8,"iterations":[{}]}}"#, iterations.join(","))
    };
    let extras = |usage: &str| {
        let scanner = MESSAGES.whole(&messages(r#"{"input_tokens":1,"output_tokens":1}"#, usage));
        let metered = scanner.metered().unwrap();
        metered.extras.iter().map(|extra| (extra.kind.clone(), extra.usage)).collect::<Vec<_>>()
    };
    let compaction = iteration("compaction", 100, 83);
    let counts = Usage { input_tokens: 103, cached_input_tokens: 3, output_tokens: 83, ..Usage::default() };
    let with_message = usage(5, &[compaction.clone(), iteration("message", 2, 8)]);
    assert_eq!(extras(&with_message), [("compaction".to_owned(), counts)]);
    assert_eq!(extras(&usage(5, &[iteration("message", 2, 8)])), []);
    let unknown = iteration("reflection", 100, 83);
    assert_eq!(
        extras(&usage(2, &[unknown.clone(), iteration("message", 2, 8)])),
        [],
        "it may be within the top counts"
    );
    let on_top = usage(2, &[unknown, iteration("message", 2, 8)])
        .replace("\"output_tokens\":8,\"iter", "\"cache_read_input_tokens\":3,\"output_tokens\":8,\"iter");
    assert_eq!(extras(&on_top), [("reflection".to_owned(), counts)]);
    let advisor =
        r#"{"type":"advisor_message","model":"claude-opus-4-7","input_tokens":9,"output_tokens":1}"#.to_owned();
    let scanner = MESSAGES_JSON.whole(&format!(r#"{{"usage":{}}}"#, usage(2, &[advisor])));
    assert_eq!(scanner.metered().unwrap().extras[0].model.as_deref(), Some("claude-opus-4-7"));
    let written = r#"{"type":"compaction","input_tokens":9,"output_tokens":1,"cache_creation_input_tokens":7,
        "cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4}}"#;
    for (text, wanted) in [
        (written.to_owned(), Some((7, 4))),
        (written.replace("\"cache_creation_input_tokens\":7,", ""), Some((7, 4))),
        (written.replace(":4}", ":40}"), Some((7, 7))),
        (written.replace(":4}", ":-4}"), None),
    ] {
        let scanner = MESSAGES_JSON.whole(&format!(r#"{{"usage":{}}}"#, usage(2, std::slice::from_ref(&text))));
        let read = scanner.metered().map(|metered| {
            let extra = &metered.extras[0];
            (extra.usage.cache_write_tokens, extra.cache_write_1h_tokens)
        });
        assert_eq!(read, wanted, "{text}");
    }
    let many = usage(2, &vec![compaction; 300]);
    let scanner = MESSAGES_JSON.whole(&format!(r#"{{"usage":{many}}}"#));
    assert!(scanner.metered().is_none() && scanner.disbelieved());
}

#[test]
fn anthropic_says_where_a_model_had_to_run() {
    let usage = |geo: &str| format!(r#"{{"input_tokens":1,"output_tokens":1{geo}}}"#);
    let (us, global) = (r#","inference_geo":"us""#, r#","inference_geo":"global""#);
    for (begin, end, wanted) in
        [(us, "", Some("us")), ("", us, Some("us")), (us, global, None), (global, us, Some("us")), ("", "", None)]
    {
        let scanner = MESSAGES.whole(&messages(&usage(begin), &usage(end)));
        assert_eq!(scanner.metered().unwrap().inference_geo.as_deref(), wanted, "{begin} {end}");
    }
    let whole = MESSAGES_JSON.whole(&format!(r#"{{"usage":{}}}"#, usage(us)));
    assert_eq!(whole.metered().unwrap().inference_geo.as_deref(), Some("us"));
}
