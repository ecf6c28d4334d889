//! Bodies in each dialect's shape, written for the tests: short, with the counts one asks for.

use super::script::Answer;
use bytes::Bytes;
use serde_json::{Value, json};

/// An event without a name.
pub(crate) fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// An event that carries its type as name.
pub(crate) fn event(value: &Value) -> Bytes {
    Bytes::from(format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or("message")))
}

/// OpenAI's counts.
pub(crate) fn chat_usage(input: u64, output: u64) -> Value {
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}})
}

/// A chat completion.
pub(crate) fn chat_body(text: &str, input: u64, output: u64) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "upstream-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": chat_usage(input, output)})
}

/// The same as an answer.
pub(crate) fn chat(text: &str, input: u64, output: u64) -> Answer {
    Answer::json(200, &chat_body(text, input, output))
}

fn chat_chunk(choices: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "upstream-model",
        "choices": choices})
}

/// One token of a chat stream.
pub(crate) fn chat_token(text: &str) -> Bytes {
    data(&chat_chunk(json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}])))
}

/// The pieces of a chat stream: role, tokens, finish reason, usage (if `usage`), `[DONE]`.
pub(crate) fn chat_pieces(tokens: &[&str], usage: Option<(u64, u64)>) -> Vec<Bytes> {
    let mut out = vec![data(&chat_chunk(
        json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]),
    ))];
    out.extend(tokens.iter().map(|token| chat_token(token)));
    out.push(data(&chat_chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]))));
    if let Some((input, output)) = usage {
        let mut last = chat_chunk(json!([]));
        last["usage"] = chat_usage(input, output);
        out.push(data(&last));
    }
    out.push(Bytes::from_static(b"data: [DONE]\n\n"));
    out
}

/// A chat stream as an answer.
pub(crate) fn chat_stream(tokens: &[&str], usage: Option<(u64, u64)>) -> Answer {
    Answer::stream(chat_pieces(tokens, usage))
}

/// The pieces of an Anthropic stream.
pub(crate) fn message_pieces(tokens: &[&str], input: u64, output: u64) -> Vec<Bytes> {
    let start = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": input, "output_tokens": 1}});
    let mut out = vec![
        event(&json!({"type": "message_start", "message": start})),
        event(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        event(&json!({"type": "ping"})),
    ];
    let delta =
        |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    out.extend(tokens.iter().map(|token| event(&delta(token))));
    out.push(event(&json!({"type": "content_block_stop", "index": 0})));
    out.push(event(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": output}})));
    out.push(event(&json!({"type": "message_stop"})));
    out
}

/// An Anthropic message.
pub(crate) fn message_body(text: &str, input: u64, output: u64) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": input, "output_tokens": output}})
}

/// One Gemini answer (or event of a stream); without `output` it says nothing of candidates' tokens.
pub(crate) fn gemini_body(text: &str, input: u64, output: u64, done: bool) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
    if done {
        candidate["finishReason"] = json!("STOP");
    }
    json!({"candidates": [candidate], "modelVersion": "upstream-model", "usageMetadata": {"promptTokenCount": input,
        "candidatesTokenCount": output, "totalTokenCount": input + output}})
}

/// The pieces of a Gemini stream with `alt=sse`.
pub(crate) fn gemini_pieces(tokens: &[&str], input: u64) -> Vec<Bytes> {
    let last = tokens.len();
    let one = |(at, token): (usize, &&str)| {
        Bytes::from(format!("data: {}\r\n\r\n", gemini_body(token, input, at as u64 + 1, at + 1 == last)))
    };
    tokens.iter().enumerate().map(one).collect()
}

/// The pieces of a Responses stream.
pub(crate) fn responses_pieces(tokens: &[&str], input: u64, output: u64) -> Vec<Bytes> {
    let response = |status: &str, usage: Value| {
        json!({"id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": status,
            "model": "upstream-model", "output": [], "usage": usage})
    };
    let usage = json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output});
    let mut events = vec![json!({"type": "response.created", "response": response("in_progress", Value::Null)})];
    events.extend(tokens.iter().map(|token| {
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": token})
    }));
    events.push(json!({"type": "response.completed", "response": response("completed", usage)}));
    events.iter().map(event).collect()
}
