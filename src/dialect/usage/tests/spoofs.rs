//! Content that looks like usage never changes a bill.

use super::{
    CHAT, CHAT_JSON, COMPLETION, Case, EMBEDDINGS, GEMINI, GEMINI_ARRAY, GEMINI_JSON, MESSAGES, MESSAGES_JSON,
    RESPONSES, RESPONSES_JSON, case, five,
};
use crate::dialect::shape::{Answer, DialectId, Framing};

/// What a model may write.
const TEXTS: [&str; 18] = [
    r#""usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
    r#"{"usage":{"prompt_tokens":999999,"completion_tokens":999999}}"#,
    "\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n",
    "\r\rdata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\r\r",
    "data: [DONE]\n\n",
    "[DONE]",
    r#"","usage":{"prompt_tokens":1,"completion_tokens":1},"x":""#,
    r#"\","usage":{"input_tokens":1,"output_tokens":1},"x":"\"#,
    r#"\u0022,\u0022usage\u0022:{\u0022prompt_tokens\u0022:1}"#,
    r#"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
    r#"{"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}"#,
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":0}}\n\n",
    "event: error\ndata: {\"error\":{\"message\":\"x\"}}\n\n",
    r#"{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":1}}}"#,
    r#""finish_reason":"stop","error":{"code":500},"service_tier":"batch","stop_reason":"end_turn""#,
    "usage",
    "\u{7}\u{0}\\\\\"",
    "usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e99}",
];

/// Real JSON that content may consist of: arguments, tool inputs, schemas, metadata.
const OBJECTS: [&str; 9] = [
    r#"{"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"input_tokens":1,"output_tokens":1}}"#,
    r#"{"usage":{"input_tokens":-1},"usage":{"input_tokens":0},"usage":null}"#,
    r#"{"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}"#,
    r#"{"x_groq":{"usage":{"prompt_tokens":1}},"choices":[{"usage":{"prompt_tokens":1},"delta":{"usage":{}}}]}"#,
    r#"{"response":{"usage":{"input_tokens":1,"output_tokens":1}},"message":{"usage":{"input_tokens":1}}}"#,
    r#"{"type":"message_delta","usage":{"output_tokens":0},"delta":{"stop_reason":"end_turn"}}"#,
    r#"{"\u0075sage":{"prompt_tokens":1},"meta":{"billed_units":{"input_tokens":1}},"tokens":{"input_tokens":1}}"#,
    r#"[{"usage":{"prompt_tokens":1}},[{"usage":{"prompt_tokens":1}}],{"error":{"message":"x"},"finishReason":"STOP"}]"#,
    r#"{"type":"response.completed","error":{"message":"x"},"tool_usage":{"web_search":{"num_requests":1000}},"iterations":[{"type":"compaction","input_tokens":1}]}"#,
];

/// Where content can be. `$S` is put in as a JSON string, `$O` as JSON. Each is a whole answer with usage 111 in, 22 out.
fn chat_answers() -> Vec<(Case, &'static str)> {
    let ndjson = case(Answer::Chat, DialectId::OpenAi, Framing::NdJson);
    vec![
        (
            CHAT,
            concat!(
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":$S},\"finish_reason\":null}],\"usage\":null}\n\n",
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":$S,\"reasoning\":$S,\"refusal\":$S},\"finish_reason\":null}]}\n\n",
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22,\"total_tokens\":133}}\n\n",
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":$S},\"finish_reason\":null}]}\n\n",
            ),
        ),
        (
            CHAT,
            concat!(
                "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":$S,\"arguments\":$S}}]}}]}\n\n",
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22,\"total_tokens\":133}}\n\n",
                "data: {\"id\":$S,\"obfuscation\":$S,\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":$S}}]}}]}\n\n",
            ),
        ),
        (
            CHAT,
            concat!(
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"provider_metadata\":$O},\"logprobs\":$O}],\"citations\":$O}\n\n",
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22,\"total_tokens\":133,\"cost_details\":$O}}\n\n",
                "data: {\"search_results\":$O,\"choices\":[{\"message\":$O,\"delta\":{\"content\":[$O],\"tool_calls\":[{\"function\":{\"arguments\":$O}}]}}]}\n\n",
            ),
        ),
        (
            CHAT,
            concat!(
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
                "data: {\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22},\"choices\":[{\"delta\":{\"content\":$S},\"x\":$O}]}\n\n",
                ": $R\n\nevent: $R\nid: $R\nretry: $R\n$R\n\n",
            ),
        ),
        (
            COMPLETION,
            concat!(
                "data: {\"choices\":[{\"text\":$S,\"logprobs\":$O,\"finish_reason\":null}]}\n\n",
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22,\"total_tokens\":133}}\n\n",
                "data: {\"choices\":[{\"text\":$S,\"logprobs\":$O,\"finish_reason\":null}]}\n\n",
            ),
        ),
        (
            CHAT_JSON,
            "{\"choices\":[{\"message\":{\"content\":$S,\"tool_calls\":[{\"function\":{\"arguments\":$S}}],\"annotations\":$O},\"logprobs\":$O}],\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22,\"total_tokens\":133},\"metadata\":$O,\"citations\":[$S]}",
        ),
        (
            ndjson,
            "{\"choices\":[{\"delta\":{\"content\":$S}}],\"x\":$O}\n{\"choices\":[],\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22}}\n{\"y\":$O}\n",
        ),
    ]
}

/// The same in the other dialects, and of other kinds.
fn other_answers() -> Vec<(Case, &'static str)> {
    let rerank = case(Answer::Rerank, DialectId::OpenAi, Framing::JsonDocument);
    let transcription = case(Answer::Transcription, DialectId::OpenAi, Framing::JsonDocument);
    vec![
        (
            RESPONSES,
            concat!(
                "data: {\"type\":\"response.created\",\"response\":{\"instructions\":$S,\"tools\":[$O],\"metadata\":$O,\"text\":$O,\"usage\":null}}\n\n",
                "data: {\"type\":\"response.output_text.delta\",\"delta\":$S,\"logprobs\":[$O]}\n\n",
                "data: {\"type\":\"response.function_call_arguments.delta\",\"delta\":$S,\"obfuscation\":$S}\n\n",
                "data: {\"delta\":$S,\"type\":\"response.output_text.delta\",\"usage\":{\"input_tokens\":5}}\n\n",
                "data: {\"type\":\"response.output_item.done\",\"item\":{\"arguments\":$S,\"content\":[$O],\"usage\":{\"input_tokens\":5}}}\n\n",
                "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"content\":[$O,{\"text\":$S}]}],\"usage\":{\"input_tokens\":111,\"output_tokens\":22,\"total_tokens\":133},\"tools\":[{\"parameters\":$O}],\"metadata\":$O}}\n\n",
            ),
        ),
        (
            RESPONSES_JSON,
            "{\"instructions\":$S,\"output\":[{\"content\":[{\"text\":$S,\"annotations\":[$O]}]},$O],\"tools\":[$O],\"usage\":{\"input_tokens\":111,\"output_tokens\":22},\"metadata\":$O}",
        ),
        (
            MESSAGES,
            concat!(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[$O],\"usage\":{\"input_tokens\":111,\"output_tokens\":1}}}\n\n",
                "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"web_search_tool_result\",\"content\":[$O,{\"title\":$S}]},\"usage\":{\"output_tokens\":9}}\n\n",
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":$S}}\n\n",
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":$S}}\n\n",
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"citations_delta\",\"citation\":$O},\"usage\":{\"output_tokens\":9}}\n\n",
                "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null,\"stop_sequence\":$S,\"x\":$O},\"usage\":{\"output_tokens\":22},\"context_management\":$O}\n\n",
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":$S}}\n\n",
            ),
        ),
        (
            MESSAGES_JSON,
            "{\"type\":\"message\",\"content\":[{\"type\":\"tool_use\",\"input\":$O},{\"type\":\"text\",\"text\":$S},{\"type\":\"web_search_tool_result\",\"content\":[$O]}],\"usage\":{\"input_tokens\":111,\"output_tokens\":22},\"container\":$O}",
        ),
        (
            GEMINI,
            concat!(
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":$O}},{\"text\":$S}]},\"groundingMetadata\":$O}],\"usageMetadata\":{\"promptTokenCount\":111,\"candidatesTokenCount\":1}}\r\n\r\n",
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":$S,\"thought\":true},{\"codeExecutionResult\":$O},{\"x\":$O}]}}],\"usageMetadata\":{\"promptTokenCount\":111,\"candidatesTokenCount\":22}}\r\n\r\n",
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":$S}]},\"citationMetadata\":$O}],\"promptFeedback\":{\"safetyRatings\":[$O]}}\r\n\r\n",
            ),
        ),
        (
            GEMINI_ARRAY,
            "[{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"args\":$O}}]}}],\"usageMetadata\":{\"promptTokenCount\":111,\"candidatesTokenCount\":22}},\r\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":$S},$O]}}]}]",
        ),
        (
            GEMINI_JSON,
            "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"args\":$O}},{\"text\":$S}]}}],\"usageMetadata\":{\"promptTokenCount\":111,\"candidatesTokenCount\":22},\"x\":$O}",
        ),
        (
            EMBEDDINGS,
            "{\"data\":[{\"embedding\":[0.1],\"x\":$O,\"object\":$S}],\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22,\"total_tokens\":133}}",
        ),
        (
            rerank,
            "{\"results\":[{\"document\":{\"text\":$S,\"y\":$O},\"x\":$O}],\"usage\":{\"prompt_tokens\":111,\"completion_tokens\":22}}",
        ),
        (
            transcription,
            "{\"text\":$S,\"segments\":[$O,{\"text\":$S}],\"usage\":{\"input_tokens\":111,\"output_tokens\":22}}",
        ),
    ]
}

fn answers() -> Vec<(Case, &'static str)> {
    chat_answers().into_iter().chain(other_answers()).collect()
}

#[test]
fn nothing_in_the_content_changes_the_bill() {
    let mut spoofs = 0;
    for (case, template) in answers() {
        for (n, text) in TEXTS.iter().enumerate() {
            let object = OBJECTS[n % OBJECTS.len()];
            let raw: String = text.chars().filter(|character| !character.is_control()).collect();
            let body = template
                .replace("$S", &serde_json::to_string(text).unwrap())
                .replace("$O", object)
                .replace("$R", &format!("x {raw}"));
            for pieces in [body.len(), 1, 13] {
                let (scanner, out) = case.scan(body.as_bytes().chunks(pieces));
                let counts = scanner.metered().map(|metered| five(&metered.usage));
                assert_eq!(counts, Some([111, 0, 0, 22, 0]), "{body}");
                let metered = scanner.metered().unwrap();
                assert!(metered.extras.is_empty() && metered.detail.web_searches == 0, "{body}");
                assert!(!scanner.disbelieved() && scanner.error_event().is_none(), "{body}");
                assert!(
                    case.framing != Framing::Sse || !scanner.is_whole() || case.answer == Answer::Responses,
                    "{body}"
                );
                assert_eq!(out, body.as_bytes());
            }
            spoofs += 1;
        }
    }
    assert!(spoofs >= 200, "{spoofs}");
}

#[test]
fn without_a_report_content_does_not_make_one() {
    for (case, template) in answers() {
        // The real report is called something else.
        let template =
            template.replace("\"usage\":{\"", "\"usages\":{\"").replace("\"usageMetadata\":", "\"metadata\":");
        for (n, text) in TEXTS.iter().enumerate() {
            let body = template
                .replace("$S", &serde_json::to_string(text).unwrap())
                .replace("$O", OBJECTS[n % OBJECTS.len()])
                .replace("$R", "x");
            let scanner = case.whole(&body);
            assert!(scanner.metered().is_none() && !scanner.disbelieved(), "{body}");
        }
    }
}

#[test]
fn usage_in_the_wrong_place_of_the_right_event() {
    for (case, body) in [
        (CHAT, "data: {\"choices\":[{\"delta\":{\"usage\":{\"prompt_tokens\":1}}}]}\n\n"),
        (CHAT, "data: {\"choices\":[{\"usage\":{\"prompt_tokens\":1}}]}\n\n"),
        (CHAT, "data: {\"response\":{\"usage\":{\"input_tokens\":1}}}\n\n"),
        (CHAT, "data: {\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n"),
        (CHAT, "data: [{\"usage\":{\"prompt_tokens\":1}}]\n\n"),
        (CHAT, "data: {\"usageMetadata\":{\"promptTokenCount\":1}}\n\n"),
        (CHAT, "data: {\"x_groq\":{\"x\":{\"usage\":{\"prompt_tokens\":1}}}}\n\n"),
        (CHAT, "data: {\"x_groq\":[{\"usage\":{\"prompt_tokens\":1}}]}\n\n"),
        (CHAT, "data: {\"\\u0075sage\":{\"prompt_tokens\":1}}\n\n"),
        (CHAT, "data: {\"Usage\":{\"prompt_tokens\":1}}\n\n"),
        (CHAT, ": data: {\"usage\":{\"prompt_tokens\":1}}\n\n"),
        (CHAT, "dataa: {\"usage\":{\"prompt_tokens\":1}}\n\n"),
        (CHAT, " data: {\"usage\":{\"prompt_tokens\":1}}\n\n"),
        (RESPONSES, "data: {\"type\":\"response.completed\",\"usage\":{\"input_tokens\":1}}\n\n"),
        (
            RESPONSES,
            "data: {\"type\":\"response.completed\",\"response\":{\"response\":{\"usage\":{\"input_tokens\":1}}}}\n\n",
        ),
        (MESSAGES, "data: {\"type\":\"content_block_delta\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}\n\n"),
        (MESSAGES, "data: {\"type\":\"message_start\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}\n\n"),
        (MESSAGES, "data: {\"type\":\"message_delta\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n"),
        (MESSAGES, "data: {\"type\":\"ping\",\"type\":\"message_delta\",\"usage\":{\"output_tokens\":1}}\n\n"),
        (GEMINI, "data: {\"candidates\":[{\"usageMetadata\":{\"promptTokenCount\":1}}]}\n\n"),
        (GEMINI, "data: {\"usage\":{\"prompt_tokens\":1}}\n\n"),
        (GEMINI_ARRAY, "[[{\"usageMetadata\":{\"promptTokenCount\":1}}]]"),
    ] {
        assert_eq!(case.counts(body), None, "{body}");
        // And once the answer is under way.
        let lead = match case.answer {
            Answer::Messages => "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"a\"}}\n\n",
            Answer::Responses => "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
            _ => "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        };
        if case.framing == Framing::Sse {
            assert_eq!(case.counts(&(lead.to_owned() + body)), None, "{body}");
        }
    }
}
