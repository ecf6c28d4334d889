//! Web searches that a provider ran.

use super::{Case, GEMINI, GEMINI_JSON, RESPONSES, RESPONSES_JSON};

#[test]
fn searches_are_counted_where_no_count_of_them_is_told() {
    let searches = |case: &Case, text: &str| case.whole(text).metered().unwrap().detail.web_searches;
    let call = |action: &str| format!(r#"{{"id":"ws_1","type":"web_search_call","action":{{"type":"{action}"}}}}"#);
    let usage = r#""usage":{"input_tokens":1,"output_tokens":1}"#;
    let items = [&call("search"), &call("open_page"), &call("search"), &call("find_in_page"), r#"{"type":"message"}"#];
    let output = items.join(",");
    assert_eq!(searches(&RESPONSES_JSON, &format!("{{\"output\":[{output}],{usage}}}")), 2);
    let bare = r#"{"type":"web_search_call","status":"completed"}"#;
    assert_eq!(searches(&RESPONSES_JSON, &format!("{{\"output\":[{bare}],{usage}}}")), 1, "before there were actions");
    let told = r#""tool_usage":{"web_search":{"num_requests":7}}"#;
    assert_eq!(searches(&RESPONSES_JSON, &format!("{{\"output\":[{output}],{told},{usage}}}")), 7);
    let stream =
        format!("data: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{output}],{usage}}}}}\n\n");
    assert_eq!(searches(&RESPONSES, &stream), 2);
    // Google's: by the query, and up to Gemini 2.5 by the prompt.
    for (model, wanted) in [("gemini-3-flash-preview", 2), ("gemini-2.5-flash", 1), ("gemini-1.5-pro-002", 1)] {
        let event = format!(
            r#"{{"candidates":[{{"groundingMetadata":{{"webSearchQueries":["","a","b \"c\""]}}}}],"usageMetadata":{{"promptTokenCount":1,"candidatesTokenCount":1}},"modelVersion":"{model}"}}"#
        );
        assert_eq!(searches(&GEMINI_JSON, &event), wanted, "{model}");
        assert_eq!(searches(&GEMINI, &format!("data: {event}\r\n\r\ndata: {event}\r\n\r\n")), wanted, "{model}");
    }
    // Each query once, whichever answer it was for; an empty one is none.
    let candidate = |queries: &str| format!(r#"{{"groundingMetadata":{{"webSearchQueries":[{queries}]}}}}"#);
    let candidates = [candidate(r#""a","a","","b""#), candidate(r#""b","a","c"," ""#)].join(",");
    let again = format!(
        r#"{{"candidates":[{candidates}],"usageMetadata":{{"promptTokenCount":1,"candidatesTokenCount":1}},"modelVersion":"gemini-3-pro"}}"#
    );
    assert_eq!(searches(&GEMINI_JSON, &again), 3);
    let spoof = r#"{"output":[{"type":"message","content":[{"type":"web_search_call","text":"web_search_call"}]}],"#;
    assert_eq!(searches(&RESPONSES_JSON, &format!("{spoof}{usage}}}")), 0);
}
