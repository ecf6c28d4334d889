//! Errors inside an answer whose status was 200, and what is none.

use super::ends::event;
use super::{
    CHAT, CHAT_JSON, COHERE, COHERE_JSON, Case, EMBEDDINGS, GEMINI, GEMINI_ARRAY, GEMINI_JSON, MESSAGES, MESSAGES_JSON,
    RESPONSES, RESPONSES_JSON,
};

/// A stream with an error in it, and what is read of that: kind, status, message.
type Error = (Case, String, Option<&'static str>, Option<u16>, &'static str);

/// As MiniMax says that something is wrong; the total of nothing is no count.
fn minimax(code: u64) -> String {
    format!(
        r#"{{"choices":null,"usage":{{"total_tokens":0,"total_characters":0}},"base_resp":{{"status_code":{code},"status_msg":"m"}}}}"#
    )
}

fn chat_errors() -> Vec<Error> {
    let said = event(r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}"#);
    let named = "event: error\ndata: {\"code\":\"InvalidParameter\",\"message\":\"bad\"}\n\n";
    vec![
        (
            CHAT,
            event(r#"{"error":{"message":"m","type":"server_error"},"choices":[]}"#),
            Some("server_error"),
            Some(500),
            "m",
        ),
        (
            CHAT,
            event(r#"{"error":{"code":502,"message":"m"},"choices":[{"finish_reason":"error"}]}"#),
            None,
            Some(502),
            "m",
        ),
        (CHAT, event(r#"{"error":"m"}"#), None, None, "m"),
        (CHAT, event(r#"{"object":"error","message":"m","code":400}"#), None, Some(400), "m"),
        (CHAT, named.to_owned(), None, None, "bad"),
        (CHAT, format!("id:1\n:HTTP_STATUS/400\n{named}"), None, Some(400), "bad"),
        (CHAT, "event: error\ndata: it broke\n\n".to_owned(), None, None, "it broke"),
        (
            CHAT,
            "{\n  \"error\": {\n    \"code\": 499,\n    \"message\": \"m\"\n  }\n}\n".to_owned(),
            None,
            Some(499),
            "m",
        ),
        (CHAT_JSON, r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#.to_owned(), None, Some(429), "m"),
        (CHAT, event(&minimax(1002)), None, Some(429), "m"),
        (
            CHAT,
            said.clone() + &event(r#"{"choices":null,"base_resp":{"status_code":1002,"status_msg":"m"}}"#),
            None,
            Some(429),
            "m",
        ),
        (CHAT_JSON, minimax(2061), None, Some(404), "m"),
        (CHAT_JSON, minimax(7777), None, None, "m"),
        (CHAT, said + &event(r#"{"choices":[{"delta":{},"finish_reason":"network_error"}]}"#), None, Some(500), ""),
        (
            CHAT_JSON,
            r#"{"choices":[{"message":{"content":"a"},"finish_reason":"insufficient_system_resource"}]}"#.to_owned(),
            None,
            Some(503),
            "",
        ),
    ]
}

fn other_errors() -> Vec<Error> {
    vec![
        (
            MESSAGES,
            event(r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#),
            Some("overloaded_error"),
            Some(529),
            "m",
        ),
        (
            MESSAGES_JSON,
            r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#.to_owned(),
            Some("api_error"),
            Some(500),
            "m",
        ),
        (
            RESPONSES,
            event(r#"{"type":"error","code":"server_error","message":"m","param":null}"#),
            None,
            Some(500),
            "m",
        ),
        (
            RESPONSES,
            event(r#"{"type":"error","error":{"type":"insufficient_quota","message":"m"}}"#),
            Some("insufficient_quota"),
            Some(429),
            "m",
        ),
        (
            RESPONSES,
            event(r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#),
            None,
            Some(500),
            "m",
        ),
        (
            GEMINI,
            event(r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#),
            Some("UNAVAILABLE"),
            Some(503),
            "m",
        ),
        (
            COHERE,
            event(r#"{"type":"message-end","delta":{"finish_reason":"TIMEOUT","usage":{}}}"#),
            None,
            Some(504),
            "",
        ),
        (COHERE, event(r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"m"}}"#), None, None, "m"),
        (COHERE_JSON, r#"{"id":"c","finish_reason":"ERROR"}"#.to_owned(), None, Some(500), ""),
        (GEMINI_ARRAY, r#"[{"candidates":[]},{"error":{"code":503,"message":"m"}}]"#.to_owned(), None, Some(503), "m"),
        (
            GEMINI_JSON,
            r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#.to_owned(),
            Some("INVALID_ARGUMENT"),
            Some(400),
            "m",
        ),
    ]
}

#[test]
fn errors_inside_an_answer() {
    for (case, text, kind, status, message) in chat_errors().into_iter().chain(other_errors()) {
        let scanner = case.whole(&text);
        let error = scanner.error_event().unwrap_or_else(|| panic!("{text}"));
        assert_eq!((error.kind.as_deref(), error.status, error.message.as_str()), (kind, status, message), "{text}");
    }
}

#[test]
fn a_document_in_which_nothing_is_answered_is_an_error() {
    let void = [
        "{}",
        r#"{"code":1113,"msg":"Insufficient balance","success":false}"#,
        r#"{"base_resp":{"status_code":0}}"#,
        r#"{"object":"","choices":null,"usage":null}"#,
        r#"{"choices":[],"content":[],"output":[],"candidates":[]}"#,
    ];
    for case in [CHAT_JSON, RESPONSES_JSON, MESSAGES_JSON, GEMINI_JSON, COHERE_JSON] {
        for text in void {
            assert!(case.whole(text).error_event().is_some(), "{case:?}: {text}");
            assert_eq!(case.whole(&text[..text.len() - 1]).error_event(), None, "cut off, nobody knows: {text}");
        }
    }
    assert!(CHAT_JSON.whole(r#"{"choices":null,"usage":{"total_tokens":0}}"#).error_event().is_some());
    let told = CHAT_JSON.whole(r#"{"code":"insufficient_quota","message":"no money"}"#);
    let error = told.error_event().unwrap();
    assert_eq!(
        (error.code.as_deref(), error.status, &*error.message),
        (Some("insufficient_quota"), Some(429), "no money")
    );
    for (case, text) in [
        (CHAT_JSON, r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#),
        (CHAT_JSON, r#"{"choices":[],"usage":{"prompt_tokens":0}}"#),
        (CHAT_JSON, r#"{"choices":[{"message":{"content":"x"}}]}"#),
        (MESSAGES_JSON, r#"{"content":[],"stop_reason":"end_turn"}"#),
        (GEMINI_JSON, r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#),
        (EMBEDDINGS, r#"{"data":[{"embedding":[1]}]}"#),
        (CHAT, "data: {}\n\n"),
    ] {
        assert_eq!(case.whole(text).error_event(), None, "{text}");
    }
}

#[test]
fn an_error_in_a_choice_is_one_and_its_word_is_no_reason_to_be_whole() {
    let choice =
        r#"{"choices":[{"index":0,"KEY":{"content":""},"finish_reason":"error","error":{"code":502,"message":"Oh"}}]}"#;
    let document = CHAT_JSON.whole(&choice.replace("KEY", "message"));
    let chunk = event(&choice.replace("KEY", "delta"));
    let words = event(r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#);
    for (scanner, has_token) in [(document, false), (CHAT.whole(&chunk), false), (CHAT.whole(&(words + &chunk)), true)]
    {
        let error = scanner.error_event().expect("an error");
        assert_eq!((error.code.as_deref(), error.status, &*error.message), (Some("502"), Some(502), "Oh"));
        assert_eq!(scanner.token_seen(), has_token);
    }
    assert!(!CHAT.whole(&chunk).is_whole());
}

#[test]
fn what_is_no_error() {
    for (case, text) in [
        (CHAT, event(r#"{"error":null,"choices":[{"delta":{"content":"error"}}]}"#)),
        (CHAT, event(r#"{"choices":[{"delta":{"content":"x","error":{"message":"x"}}}]}"#)),
        (
            CHAT,
            event(r#"{"choices":[{"delta":{"content":"x"}}],"base_resp":{"status_code":0,"status_msg":"success"}}"#),
        ),
        (CHAT, event(r#"{"choices":[{"delta":{"content":"x"},"base_resp":{"status_code":1002}}],"base_resp":null}"#)),
        (CHAT, event(r#"{"choices":[{"delta":{"content":"{\"error\":{\"message\":\"x\"}}"}}]}"#)),
        (RESPONSES, event(r#"{"type":"response.completed","response":{"error":null}}"#)),
        (
            RESPONSES_JSON,
            r#"{"error":null,"output":[{"error":{"message":"tool"}}],"usage":{"input_tokens":1}}"#.to_owned(),
        ),
        (
            MESSAGES,
            event(
                r#"{"type":"content_block_start","content_block":{"type":"web_search_tool_result","content":{"type":"error","error":{}}}}"#,
            ),
        ),
    ] {
        assert_eq!(case.whole(&text).error_event(), None, "{text}");
    }
}
