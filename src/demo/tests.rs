//! The simulated provider over a real socket: what it streams is what it answers whole, and the counts agree.

use super::*;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;

fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| spawn_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Duration::ZERO).unwrap())
}

/// Status and body (chunks put together) of one request.
fn ask(method: &str, target: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address()).unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    if !head.contains("transfer-encoding: chunked") {
        return (status, body.to_owned());
    }
    let (mut rest, mut out) = (body.as_bytes(), Vec::new());
    loop {
        let line_end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line_end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (status, String::from_utf8(out).unwrap());
        }
        out.extend_from_slice(&rest[line_end + 2..line_end + 2 + size]);
        rest = &rest[line_end + 2 + size + 2..];
    }
}

fn post(target: &str, body: &Value) -> Value {
    let (status, text) = ask("POST", target, "", body.to_string().as_bytes());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The data of every event, `[DONE]` left out.
fn stream(target: &str, body: &Value) -> Vec<Value> {
    let (status, text) = ask("POST", target, "", body.to_string().as_bytes());
    assert_eq!(status, 200, "{text}");
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|line| *line != "[DONE]");
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer).and_then(Value::as_str)).collect()
}

const WEATHER: &str = "What is the weather in Oslo?";

#[test]
fn chat_streams_what_it_answers_whole() {
    let mut body =
        json!({"model": "demo-gpt", "messages": [{"role": "user", "content": WEATHER}], "reasoning_effort": "low"});
    let whole = post("/v1/chat/completions", &body);
    body["stream"] = json!(true);
    let without = stream("/v1/chat/completions", &body);
    assert!(without.iter().all(|event| event.get("usage").is_none()));
    body["stream_options"] = json!({"include_usage": true});
    let events = stream("/v1/chat/completions", &body);
    assert_eq!(joined(&events, "/choices/0/delta/content"), whole["choices"][0]["message"]["content"]);
    assert_eq!(events.last().unwrap()["usage"], whole["usage"]);
    assert!(events[0].get("usage").is_some_and(Value::is_null));
    let usage = &whole["usage"];
    let tokens = text::count(whole["choices"][0]["message"]["content"].as_str().unwrap());
    let reasoning = usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap();
    assert!(reasoning > 0);
    assert_eq!(usage["completion_tokens"], tokens + reasoning);
}

#[test]
fn chat_calls_a_tool_and_then_answers() {
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}}}});
    let mut body = json!({"model": "demo-gpt", "tools": [tool], "messages": [{"role": "user", "content": WEATHER}]});
    let message = &post("/v1/chat/completions", &body)["choices"][0]["message"];
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"city":"Oslo"}"#);
    body["stream"] = json!(true);
    let events = stream("/v1/chat/completions", &body);
    assert_eq!(joined(&events, "/choices/0/delta/tool_calls/0/function/arguments"), r#"{"city":"Oslo"}"#);
    body["stream"] = json!(false);
    body["messages"] = json!([{"role": "user", "content": WEATHER}, message, {"role": "tool", "content": "rain"}]);
    assert_eq!(post("/v1/chat/completions", &body)["choices"][0]["finish_reason"], "stop");
}

#[test]
fn choices_limits_and_stops_are_kept() {
    let body = json!({"model": "demo-gpt", "n": 3, "max_tokens": 5, "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "Hi"}]});
    let events = stream("/v1/chat/completions", &body);
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 15);
    let finished = events.iter().filter(|event| event["choices"][0]["finish_reason"] == "length").count();
    assert_eq!(finished, 3);
    let body = json!({"model": "demo-claude", "max_tokens": 99, "stop_sequences": ["simulated"],
        "messages": [{"role": "user", "content": "Hi"}]});
    let message = post("/v1/messages", &body);
    assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&json!("stop_sequence"), &json!("simulated")));
    assert_eq!(message["content"][0]["text"], "This is a ");
}

#[test]
fn the_tokens_of_a_prompt_are_counted_as_they_are_billed() {
    let body = json!({"model": "demo-gpt", "input": WEATHER, "instructions": "Be brief."});
    let counted = post("/v1/responses/input_tokens", &body);
    assert_eq!(counted["object"], "response.input_tokens");
    assert_eq!(counted["input_tokens"], post("/v1/responses", &body)["usage"]["input_tokens"]);
}

#[test]
fn responses_ends_with_the_object_it_answers_whole() {
    let mut body = json!({"model": "demo-gpt", "input": WEATHER, "reasoning": {"effort": "low"}});
    let whole = post("/v1/responses", &body);
    body["stream"] = json!(true);
    let events = stream("/v1/responses", &body);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["usage"], whole["usage"]);
    let texts: Vec<Value> = events.iter().filter(|e| e["type"] == "response.output_text.delta").cloned().collect();
    assert_eq!(joined(&texts, "/delta"), whole["output"][1]["content"][0]["text"]);
    assert!(events.iter().enumerate().all(|(number, event)| event["sequence_number"] == number));
}

#[test]
fn messages_stream_what_they_answer_whole() {
    let marked =
        |ttl: &str| json!({"type": "text", "text": "long ago", "cache_control": {"type": "ephemeral", "ttl": ttl}});
    let mut body = json!({"model": "demo-claude", "max_tokens": 500, "thinking": {"type": "enabled", "budget_tokens": 1024},
        "system": [marked("5m")], "messages": [{"role": "user", "content": [{"type": "text", "text": WEATHER}, marked("1h")]}]});
    let whole = post("/v1/messages", &body);
    let usage = &whole["usage"];
    assert_eq!((&usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]), (&json!(2), &json!(2)));
    assert_eq!(usage["cache_creation"]["ephemeral_1h_input_tokens"], 2);
    body["stream"] = json!(true);
    let events = stream("/v1/messages", &body);
    assert_eq!(joined(&events, "/delta/thinking"), whole["content"][0]["thinking"]);
    assert_eq!(joined(&events, "/delta/text"), whole["content"][1]["text"]);
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], usage["output_tokens"]);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], usage["input_tokens"]);
    let counted = post("/v1/messages/count_tokens", &body);
    assert_eq!(counted["input_tokens"], usage["input_tokens"].as_u64().unwrap() + 4);
}

#[test]
fn gemini_streams_what_it_answers_whole_in_both_forms() {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": WEATHER}]}], "cachedContent": "cachedContents/1",
        "generationConfig": {"thinkingConfig": {"includeThoughts": false}}});
    let whole = post("/v1beta/models/demo-gemini:generateContent", &body);
    let usage = &whole["usageMetadata"];
    let sum: u64 = ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"]
        .iter()
        .map(|n| usage[n].as_u64().unwrap())
        .sum();
    assert_eq!(usage["totalTokenCount"], sum);
    assert_eq!(usage["cachedContentTokenCount"], 512);
    let events = stream("/v1beta/models/demo-gemini:streamGenerateContent?alt=sse", &body);
    let list = post("/v1beta/models/demo-gemini:streamGenerateContent", &body);
    for events in [&events, list.as_array().unwrap()] {
        assert_eq!(
            joined(events, "/candidates/0/content/parts/0/text"),
            whole["candidates"][0]["content"]["parts"][0]["text"]
        );
        assert_eq!(events.last().unwrap()["usageMetadata"], *usage);
        assert_eq!(events.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    }
}

#[test]
fn a_form_is_read() {
    let form = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\ndemo-transcribe\r\n--b\r\ncontent-disposition: \
                form-data; name=\"file\"; filename=\"a.wav\"\r\ncontent-type: audio/wav\r\n\r\nRIFF\r\n\r\nx\r\n--b--\r\n";
    let (status, body) =
        ask("POST", "/v1/audio/transcriptions", "content-type: multipart/form-data; boundary=b\r\n", form.as_bytes());
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["text"], "This recording, a.wav, was not listened to: it is 9 bytes long.");
    assert_eq!(body["usage"], json!({"type": "duration", "seconds": 1}));
}

#[test]
fn refusals_are_in_the_dialect_of_the_path() {
    let fault = |target: &str, headers: &str, body: &str| {
        let (status, text) = ask("POST", target, headers, body.as_bytes());
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, body) = fault("/v1/chat/completions", "", r#"{"model":"nope","messages":[1]}"#);
    assert_eq!((status, &body["error"]["code"]), (404, &json!("model_not_found")));
    let (status, body) = fault("/v1/messages", "", r#"{"model":"demo-claude","messages":[1]}"#);
    assert_eq!((status, &body["error"]["type"]), (400, &json!("invalid_request_error")));
    let (status, body) = fault("/v1beta/models/demo-gemini:generateContent", "", "{");
    assert_eq!((status, &body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    let (status, body) = fault("/v1/nothing", "anthropic-version: 1\r\n", "");
    assert_eq!((status, &body["error"]["type"]), (404, &json!("not_found_error")));
}

#[test]
fn lists_have_the_shape_that_was_asked_for() {
    let list =
        |target: &str, headers: &str| serde_json::from_str::<Value>(&ask("GET", target, headers, b"").1).unwrap();
    assert_eq!(list("/v1/models", "")["data"][0]["id"], "demo-gpt");
    assert_eq!(list("/v1/models", "anthropic-version: 1\r\n")["first_id"], "demo-claude");
    assert_eq!(list("/v1/models/demo-claude", "anthropic-version: 1\r\n")["type"], "model");
    assert_eq!(list("/v1/models/demo-claude", "")["error"]["code"], "model_not_found");
    assert_eq!(list("/v1/models", "x-goog-api-key: k\r\n")["models"][0]["name"], "models/demo-gemini");
    assert_eq!(list("/v1beta/models", "")["models"][0]["name"], "models/demo-gemini");
}

#[test]
fn it_stops_when_told_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, shutdown) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, shutdown));
        stop.send(true).unwrap();
        serving.await.unwrap();
    });
}

#[test]
fn every_model_has_one_price() {
    let names: Vec<&str> =
        PRICES.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert_eq!(names, models().iter().map(|model| model.name).collect::<Vec<_>>());
}
