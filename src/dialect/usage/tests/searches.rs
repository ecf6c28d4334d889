//! Web searches that a provider ran, and what else it bills by the time.

use super::{CHAT, CHAT_JSON, Case, GEMINI, GEMINI_JSON, RERANK, RESPONSES, RESPONSES_JSON};
use tollgate_plugin_api::ServiceTier;

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

/// By whatever name a vendor counts them; a copy of a count is none more.
#[test]
fn searches_are_counted_by_each_vendors_name_for_them() {
    let searches = |case: &Case, said: &str| {
        let usage = format!(r#""usage":{{"prompt_tokens":1,"completion_tokens":1,{said}}}"#);
        case.whole(&format!("{{{usage}}}")).metered().unwrap().detail.web_searches
    };
    let openrouter = r#""server_tool_use_details":{"web_search_requests":2}"#;
    let before = r#""server_tool_use":{"web_search_requests":2}"#;
    assert_eq!(searches(&CHAT_JSON, openrouter), 2);
    assert_eq!(searches(&CHAT_JSON, before), 2);
    assert_eq!(searches(&CHAT_JSON, &format!("{openrouter},{before}")), 2);
    let perplexity =
        r#""tool_calls_details":{"search_web":{"cost_usd":0.001,"invocation":3},"fetch_url":{"invocation":1}}"#;
    assert_eq!(searches(&RESPONSES_JSON, perplexity), 3);
    assert_eq!(searches(&RESPONSES_JSON, &perplexity.replace("search_web", "web_search")), 3);
    let litellm = r#""prompt_tokens_details":{"web_search_requests":2}"#;
    assert_eq!(searches(&CHAT_JSON, litellm), 2);
}

/// Vendors of chat completions that count nothing: what they ran stands in the answer.
#[test]
fn tools_that_an_answer_of_chat_merely_shows_are_counted() {
    let usage = r#""usage":{"prompt_tokens":1,"completion_tokens":1}"#;
    let run = |index: u32, kind: &str, name: &str| {
        format!(r#"{{"index":{index},"type":"{kind}",{name}"arguments":"{{\"type\":\"search\"}}"}}"#)
    };
    let search = run(0, "function", r#""name":"browser.search","#);
    let visit = run(1, "function", r#""name":"browser.open","#);
    let (compound, code) = (run(0, "search", ""), run(1, "python", ""));
    let call = |name: &str| {
        format!(
            r#""tool_calls":[{{"index":0,"id":"t","type":"builtin_function","function":{{"name":"{name}","arguments":"{{}}"}}}}]"#
        )
    };
    let found = r#""web_search":[{"title":"t"},{"title":"u"}],"#;
    let tools = |runs: &[&String]| {
        let runs: Vec<&str> = runs.iter().map(|run| run.as_str()).collect();
        format!(r#""executed_tools":[{}]"#, runs.join(","))
    };
    type Expected<'a> = (u64, &'a [(&'a str, u64)]);
    let cases: [(String, &str, Expected<'_>); 8] = [
        (tools(&[&search, &visit]), "", (1, &[("visit_website", 1)])),
        (tools(&[&compound, &code]), "", (1, &[("code_interpreter", 1)])),
        (tools(&[]), "", (0, &[])),
        (call("$web_search"), "", (1, &[])),
        (call("$web_searcher"), "", (0, &[])),
        (call("web_search"), "", (0, &[])),
        (r#""content":"x""#.to_owned(), found, (1, &[])),
        (r#""content":"\"executed_tools\": [{\"type\":\"search\"}]""#.to_owned(), "", (0, &[])),
    ];
    for (message, beside, (searches, done)) in cases {
        let document = format!(r#"{{{beside}"choices":[{{"message":{{{message}}},"finish_reason":"stop"}}],{usage}}}"#);
        // Once the answer is under way, and each twice, as Groq has them.
        let text = r#"data: {"choices":[{"index":0,"delta":{"content":"x"}}]}"#;
        let chunk = format!(r#"data: {{{beside}"choices":[{{"index":0,"delta":{{{message}}}}}]}}"#);
        let end = format!(r#"data: {{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],{usage}}}"#);
        let again = if message.contains("tool_calls") { text } else { &chunk };
        let stream = [text, text, &chunk, again, text, &end].map(|event| format!("{event}\n\n")).concat();
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        for scanner in [CHAT_JSON.whole(&document), CHAT.whole(&stream), CHAT.scan(bytes).0] {
            let metered = scanner.metered().unwrap();
            let ran: Vec<_> = metered.extras.iter().map(|extra| (extra.kind.as_str(), extra.times)).collect();
            assert_eq!((metered.detail.web_searches, &*ran), (searches, done), "{message}");
        }
    }
}

/// OpenAI's earlier tool costs more with models that do not reason.
#[test]
fn searches_of_openais_preview_are_told_apart() {
    let search = r#"{"type":"web_search_call","action":{"type":"search"}}"#;
    let answer = |model: &str, tools: &[&str]| {
        let tools: Vec<String> = tools.iter().map(|tool| format!(r#"{{"type":"{tool}"}}"#)).collect();
        format!(
            r#"{{"model":"{model}","output":[{search},{search}],"tools":[{}],"usage":{{"input_tokens":1,"output_tokens":1}}}}"#,
            tools.join(",")
        )
    };
    for (model, tools, previews) in [
        ("gpt-4o-mini-2024-07-18", &["web_search_preview"][..], 2),
        ("gpt-4.1", &["function", "web_search_preview_2025_03_11"], 2),
        ("gpt-4.1", &["web_search"], 0),
        ("gpt-4.1", &["web_search", "web_search_preview"], 0),
        ("gpt-5", &["web_search_preview"], 0),
    ] {
        let answer = answer(model, tools);
        let event = format!("data: {{\"type\":\"response.completed\",\"response\":{answer}}}\n\n");
        for metered in
            [RESPONSES_JSON.whole(&answer), RESPONSES.whole(&event)].map(|scanner| scanner.metered().unwrap())
        {
            let told: u64 =
                metered.extras.iter().filter(|extra| extra.kind == "web_search_preview").map(|extra| extra.times).sum();
            assert_eq!((metered.detail.web_searches, told), (2, previews), "{answer}");
        }
    }
}

#[test]
#[rustfmt::skip]
fn what_is_billed_by_the_time_is_counted() {
    let usage = r#""usage":{"input_tokens":1,"output_tokens":1}"#;
    let code = |container: &str| format!(r#"{{"type":"code_interpreter_call","container_id":"{container}","code":"1"}}"#);
    let files = r#"{"type":"file_search_call","queries":["a","b"]}"#;
    let output = [files, &code("c1"), &code("c2"), &code("c1"), files, r#"{"type":"mcp_call"}"#].join(",");
    let bare = r#"{"type":"code_interpreter_call"}"#;
    let xai = r#""usage":{"input_tokens":1,"output_tokens":1,"num_server_side_tools_used":5,"server_side_tool_usage_details":{
        "web_search_calls":2,"x_search_calls":3,"code_interpreter_calls":1,"file_search_calls":0,"mcp_calls":9}}"#;
    let maps = r#"{"candidates":[{"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u"}},{"maps":{"uri":"u"}},{"maps":{}}]}}],
        "usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}"#;
    let sonar = |size: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"x"}},"message":{{"content":"x"}},"finish_reason":"stop"}}],
        "usage":{{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"search_context_size":{size}}}}}"#).replace('\n', "");
    let events = |event: &str| format!("data: {event}\n\ndata: {event}\n\n");
    let web = maps.replace("maps", "web");
    let done = |text: &str| format!(r#"data: {{"type":"response.completed","response":{{"output":[{text}],{usage}}}}}"#) + "\n\n";
    let both = r#"{"results":[],"meta":{"billed_units":{"search_units":2},"tokens":{"input_tokens":7}}}"#;
    type Times<'a> = &'a [(&'a str, u64)];
    let tools: Times<'_> = &[("file_search", 2), ("code_interpreter", 2)];
    let shell = |environment: &str| format!(r#"{{"type":"shell_call","environment":{{{environment}}}}}"#);
    let hosted = shell(r#""type":"container_reference","container_id":"c1""#);
    let cases: [(&Case, String, Times<'_>); 23] = [
        // Containers are billed, whatever runs in them.
        (&RESPONSES_JSON, format!("{{\"output\":[{hosted},{hosted}],{usage}}}"), &[("code_interpreter", 1)]),
        (&RESPONSES, done(&hosted), &[("code_interpreter", 1)]),
        (&RESPONSES_JSON, format!("{{\"output\":[{hosted},{},{}],{usage}}}", code("c1"), code("c2")), &[("code_interpreter", 2)]),
        (&RESPONSES_JSON, format!("{{\"output\":[{}],{usage}}}", shell(r#""type":"local""#)), &[]),
        (&RESPONSES_JSON, format!("{{\"output\":[{output}],{usage}}}"), tools),
        (&RESPONSES, done(&output), tools),
        (&RESPONSES_JSON, format!("{{\"output\":[{bare},{bare}],{usage}}}"), &[("code_interpreter", 2)]),
        (&RESPONSES_JSON, format!("{{\"output\":[{bare},{bare}],{xai}}}"), &[("x_search", 3), ("code_interpreter", 1)]),
        (&RESPONSES_JSON, format!("{{\"output\":[{{\"type\":\"message\",\"content\":[{output}]}}],{usage}}}"), &[]),
        (&GEMINI_JSON, maps.to_owned(), &[("google_maps", 1)]),
        (&GEMINI, events(&maps.replace('\n', "")), &[("google_maps", 1)]),
        (&GEMINI_JSON, web, &[]),
        (&CHAT_JSON, sonar("\"low\""), &[("search_context_low", 1)]),
        (&CHAT, events(&sonar("\"high\"")), &[("search_context_high", 1)]),
        (&CHAT_JSON, sonar("\"huge\""), &[]),
        (&CHAT_JSON, sonar("null"), &[]),
        (&RERANK, r#"{"results":[],"meta":{"billed_units":{"search_units":3}}}"#.to_owned(), &[("search_units", 3)]),
        (&RERANK, r#"{"results":[],"meta":{"billed_units":{"search_units":0},"tokens":{"input_tokens":7}}}"#.to_owned(), &[]),
        (&RERANK, r#"{"results":[],"usage":{"total_tokens":7}}"#.to_owned(), &[]),
        (&RERANK, both.to_owned(), &[("search_units", 2)]),
        (&CHAT_JSON, sonar("null").replace("\"search_context_size\":null", "\"prompt_tokens_details\":{\"google_maps_grounding_requests\":1}"), &[("google_maps", 1)]),
        (
            &RESPONSES_JSON,
            r#"{"output":[],"usage":{"input_tokens":1,"output_tokens":1,"tool_calls_details":{"search_web":{"invocation":1},"fetch_url":{"invocation":2},
                "people_search":{"invocation":1},"finance_search":{"invocation":0}}}}"#.to_owned(),
            &[("fetch_url", 2), ("people_search", 1)],
        ),
        // Runs that failed are items, and are not billed.
        (&RESPONSES_JSON, format!("{{\"output\":[{bare},{bare}],{}}}", xai.replace("interpreter_calls\":1", "interpreter_calls\":0")), &[("x_search", 3)]),
    ];
    for (case, text, expected) in cases {
        let scanner = case.whole(&text);
        let metered = scanner.metered().unwrap_or_else(|| scanner.uncounted(ServiceTier::Standard));
        let done: Vec<_> = metered.extras.iter().map(|extra| (extra.kind.as_str(), extra.times)).collect();
        assert_eq!(done, expected, "{text}");
    }
    let web = RESPONSES_JSON.whole(&format!("{{\"output\":[],{xai}}}")).metered().unwrap();
    assert_eq!(web.detail.web_searches, 2);
    let search = r#"{"type":"web_search_call","action":{"type":"search"}}"#;
    let failed = RESPONSES_JSON.whole(&format!("{{\"output\":[{search},{search},{search}],{xai}}}")).metered().unwrap();
    assert_eq!(failed.detail.web_searches, 2);
    assert_eq!(RERANK.whole(both).metered().unwrap().usage.input_tokens, 7, "what has no units has the counts");
    let absurd = r#"{"results":[],"meta":{"billed_units":{"search_units":-3}}}"#;
    assert!(RERANK.whole(absurd).metered().is_none() && RERANK.whole(absurd).disbelieved());
}
