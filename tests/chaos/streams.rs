//! Answers of every kind for the tests that break them: short ones, written for this, and the recordings of real ones
//! where they are present (`TOLLGATE_RECORDINGS`, or beside the checkout).

use crate::support::answers::{self, chat_usage, data, event};
use crate::support::script::{Answer, Delimited};
use crate::support::wire::chunk;
use crate::wire::Wire;
use bytes::Bytes;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Longest recording that is used.
const RECORDING_BYTES_MAX: usize = 64 << 10;
const WORDS: [&str; 4] = ["One", " twö", " three", " four"];
const INPUT: u64 = 10;

/// One answer of a provider.
pub(crate) struct Stream {
    pub(crate) name: String,
    /// What the client speaks.
    pub(crate) wire: Wire,
    pub(crate) stream: bool,
    /// The upstream speaks DashScope's own API, and the answer is translated.
    pub(crate) native: bool,
    pub(crate) answer: Answer,
}

impl Stream {
    fn new(name: &str, wire: Wire, pieces: Vec<Bytes>) -> Self {
        let mut answer = Answer::stream(pieces);
        answer.fields = vec![("content-type".to_owned(), wire.content_type(true).to_owned())];
        Self { name: name.to_owned(), wire, stream: true, native: false, answer }
    }

    fn document(name: &str, wire: Wire, body: &Value) -> Self {
        Self { name: name.to_owned(), wire, stream: false, native: false, answer: Answer::json(200, body) }
    }

    fn native(mut self) -> Self {
        self.native = true;
        self
    }

    /// Everything that goes over the network.
    fn bytes(&self) -> Vec<u8> {
        let mut out = self.answer.head();
        for piece in self.answer.sent_pieces() {
            out.extend_from_slice(if self.stream { chunk(&piece) } else { piece }.as_ref());
        }
        if self.stream {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        out
    }

    /// How many bytes that are.
    pub(crate) fn length(&self) -> usize {
        self.bytes().len()
    }

    /// Cut before the first of these bytes it is not whole; from the second on it is. Between them that is not laid down.
    pub(crate) fn whole(&self) -> (usize, usize) {
        let bytes = self.bytes();
        let total = bytes.len();
        let behind = |at: usize| (at, (at + 6).min(total));
        match self.wire {
            _ if !self.stream => (total, total),
            _ if self.native => (memchr::memrchr(b'}', &bytes).unwrap_or(total), total),
            Wire::Chat => memchr::memmem::rfind(&bytes, b"data: [DONE]")
                .or_else(|| memchr::memmem::rfind(&bytes, b"data:[DONE]"))
                .map_or((total, total), |at| (at, (at + 18).min(total))),
            Wire::Messages | Wire::Responses => memchr::memrchr(b'}', &bytes).map_or((total, total), behind),
            _ => (total, total),
        }
    }

    /// What the provider has reported in so many bytes: tokens in, and out.
    pub(crate) fn reported(&self, bytes: usize) -> (u64, u64) {
        let mut end = self.answer.head().len();
        let mut reported = (0, 0);
        for piece in self.answer.sent_pieces() {
            end += if self.stream { chunk(&piece).len() } else { piece.len() };
            if end > bytes {
                break;
            }
            let text = String::from_utf8_lossy(&piece);
            let values = text.lines().filter_map(|line| {
                let line = line.trim_start_matches("data:").trim_start_matches(['[', ',']).trim();
                serde_json::from_str::<Value>(line.strip_suffix(']').unwrap_or(line)).ok()
            });
            values.for_each(|value| self.read(&value, &mut reported));
        }
        reported
    }

    fn read(&self, value: &Value, reported: &mut (u64, u64)) {
        let places = match self.wire {
            Wire::Responses => [&value["response"]["usage"], &value["usage"]],
            Wire::Messages => [&value["message"]["usage"], &value["usage"]],
            Wire::GeminiEvents | Wire::GeminiArray => [&value["usageMetadata"], &Value::Null],
            Wire::Chat | Wire::Embeddings => [&value["usage"], &Value::Null],
        };
        for usage in places {
            let sum = |names: &[&str]| {
                let known: Vec<u64> = names.iter().filter_map(|name| usage[name].as_u64()).collect();
                (!known.is_empty()).then(|| known.iter().sum())
            };
            let (input, output): (&[&str], &[&str]) = match self.wire {
                Wire::GeminiEvents | Wire::GeminiArray => (&["promptTokenCount"], &["candidatesTokenCount"]),
                Wire::Messages => {
                    (&["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"], &["output_tokens"])
                }
                _ => (&["prompt_tokens", "input_tokens"], &["completion_tokens", "output_tokens"]),
            };
            reported.0 = sum(input).unwrap_or(reported.0);
            reported.1 = sum(output).unwrap_or(reported.1);
        }
    }
}

fn delta(delta: Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn done(usage: Option<Value>) -> Vec<Bytes> {
    let mut last = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    if let Some(usage) = usage {
        last["usage"] = usage;
    }
    vec![data(&last), Bytes::from_static(b"data: [DONE]\n\n")]
}

fn chat_streams() -> Vec<Stream> {
    let plain = answers::chat_pieces(&WORDS, Some((INPUT, 4)));
    let crlf = plain.iter().map(|piece| String::from_utf8_lossy(piece).replace('\n', "\r\n").into()).collect();
    let tight = plain.iter().map(|piece| String::from_utf8_lossy(piece).replace("data: ", "data:").into()).collect();
    let growing = (1..=4).map(|n| {
        let mut piece = delta(json!({"content": "word "}));
        piece["usage"] = chat_usage(INPUT, n);
        data(&piece)
    });
    let deepseek = ["Hm", ", so"].iter().map(|text| data(&delta(json!({"reasoning_content": text, "content": null}))));
    let deepseek = deepseek.chain([answers::chat_token("Yes.")]).chain(done(Some(chat_usage(INPUT, 5))));
    let call = |part: Value| data(&delta(json!({"tool_calls": [part]})));
    let tools = [
        call(json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}})),
        call(json!({"index": 0, "function": {"arguments": "{\"usage\":{\"prompt_tokens\":1,"}})),
        call(json!({"index": 0, "function": {"arguments": "\"completion_tokens\":1}}"}})),
    ];
    let spoof = answers::chat_token("\"usage\":{\"prompt_tokens\":0}}\n\ndata: [DONE]\n\n");
    let comments = [Bytes::from_static(b": PROCESSING\n\n"), answers::chat_token("a"), Bytes::from_static(b": x\n\n")];
    let chat = |name, pieces| Stream::new(name, Wire::Chat, pieces);
    vec![
        chat("chat", plain),
        chat("chat without usage", answers::chat_pieces(&WORDS, None)),
        chat("chat, CRLF", crlf),
        chat("DashScope's compatible chat", tight),
        chat("chat, usage in every chunk", growing.chain(done(Some(chat_usage(INPUT, 4)))).collect()),
        chat("DeepSeek", deepseek.collect()),
        chat("chat with a tool", tools.into_iter().chain(done(Some(chat_usage(INPUT, 6)))).collect()),
        chat("chat with a spoof", [spoof].into_iter().chain(done(Some(chat_usage(INPUT, 6)))).collect()),
        chat("chat with comments", comments.into_iter().chain(done(None)).collect()),
        Stream::document("chat in one", Wire::Chat, &answers::chat_body("Hello", INPUT, 2)),
    ]
}

fn other_streams() -> Vec<Stream> {
    let block = |part: Value| event(&json!({"type": "content_block_delta", "index": 0, "delta": part}));
    let start = event(&json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
        "model": "m", "content": [], "usage": {"input_tokens": 3, "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 3, "output_tokens": 1}}}));
    let end = [
        event(&json!({"type": "content_block_stop", "index": 0})),
        event(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}})),
        event(&json!({"type": "message_stop"})),
    ];
    let open = |kind: Value| event(&json!({"type": "content_block_start", "index": 0, "content_block": kind}));
    let thinking = [
        start.clone(),
        open(json!({"type": "thinking", "thinking": "", "signature": ""})),
        block(json!({"type": "thinking_delta", "thinking": "Hm"})),
        block(json!({"type": "signature_delta", "signature": "abcd"})),
    ];
    let tool = [
        start,
        open(json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})),
        block(json!({"type": "input_json_delta", "partial_json": "{\"usage\":{\"output_tokens\":0"})),
        block(json!({"type": "input_json_delta", "partial_json": "}}"})),
    ];
    let gemini = |parts: Value, output: u64, thoughts: u64, done: bool| {
        let mut value = answers::gemini_body("", INPUT, output, done);
        value["candidates"][0]["content"]["parts"] = parts;
        value["usageMetadata"]["thoughtsTokenCount"] = json!(thoughts);
        Bytes::from(format!("data: {value}\r\n\r\n"))
    };
    let thoughts = vec![
        gemini(json!([{"text": "Hm", "thought": true}]), 0, 3, false),
        gemini(
            json!([{"functionCall": {"name": "f", "args": {"usageMetadata": {"promptTokenCount": 1}}}}]),
            4,
            3,
            true,
        ),
    ];
    let array: Vec<Bytes> = (1..=4)
        .map(|n| {
            format!("{}{}\n", if n == 1 { "[" } else { ",\r\n" }, answers::gemini_body("w", INPUT, n, n == 4)).into()
        })
        .chain([Bytes::from_static(b"]")])
        .collect();
    let dashscope = |text: &str, finish: &str, output: u64| {
        let value = json!({"output": {"choices": [{"message": {"content": text, "role": "assistant"},
            "finish_reason": finish}]}, "usage": {"input_tokens": INPUT, "output_tokens": output,
            "total_tokens": INPUT + output}, "request_id": "r"});
        Bytes::from(format!("id:1\nevent:result\n:HTTP_STATUS/200\ndata:{value}\n\n"))
    };
    let native = vec![dashscope("Hé", "null", 1), dashscope(" there", "null", 2), dashscope("", "stop", 3)];
    let response = json!({"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [{"type": "message", "id": "x", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}],
        "usage": {"input_tokens": INPUT, "output_tokens": 2, "total_tokens": INPUT + 2}});
    let called = [
        event(&json!({"type": "response.created", "response": {"id": "r", "status": "in_progress", "usage": null}})),
        event(&json!({"type": "response.function_call_arguments.delta", "item_id": "f", "output_index": 0,
            "delta": "{\"usage\":{\"input_tokens\":1}}"})),
        event(&json!({"type": "response.completed", "response": response})),
    ];
    let embeddings = json!({"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0,
        "embedding": [0.5, -0.25]}], "usage": {"prompt_tokens": INPUT, "total_tokens": INPUT}});
    vec![
        Stream::new("Responses", Wire::Responses, answers::responses_pieces(&WORDS, INPUT, 4)),
        Stream::new("Responses with a call", Wire::Responses, called.to_vec()),
        Stream::document("Responses in one", Wire::Responses, &response),
        Stream::new("Messages", Wire::Messages, answers::message_pieces(&WORDS, INPUT, 4)),
        Stream::new("Messages with thoughts", Wire::Messages, [&thinking[..], &end].concat()),
        Stream::new("Messages with a tool", Wire::Messages, [&tool[..], &end].concat()),
        Stream::document("Messages in one", Wire::Messages, &answers::message_body("Hello", INPUT, 2)),
        Stream::new("Gemini", Wire::GeminiEvents, answers::gemini_pieces(&WORDS, INPUT)),
        Stream::new("Gemini with thoughts", Wire::GeminiEvents, thoughts),
        Stream::new("Gemini's array", Wire::GeminiArray, array),
        Stream::document("Gemini in one", Wire::GeminiEvents, &answers::gemini_body("Hello", INPUT, 2, true)),
        Stream::document("Embeddings", Wire::Embeddings, &embeddings),
        Stream::new("DashScope", Wire::Chat, native).native(),
    ]
}

/// Those that are written here.
pub(crate) fn written() -> Vec<Stream> {
    chat_streams().into_iter().chain(other_streams()).collect()
}

/// Recorded streams; none where there are no recordings.
pub(crate) fn recorded() -> Vec<Stream> {
    let set = std::env::var_os("TOLLGATE_RECORDINGS").map(PathBuf::from);
    let folder = set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings"));
    let Ok(manifest) = std::fs::read_to_string(folder.join("manifest.jsonl")) else { return Vec::new() };
    let rows = manifest.lines().map(|line| serde_json::from_str::<Value>(line).expect("a row of the manifest"));
    rows.filter_map(|row| {
        let file = row["file"].as_str()?;
        // An error inside of a 200 is another matter.
        if row["streaming"] != true || row["status"] != 200 || file.contains("error") || row["usage_reported"] != true {
            return None;
        }
        let (wire, native) = match (row["provider"].as_str()?, row["api"].as_str()?) {
            ("dashscope", "native") => (Wire::Chat, true),
            (_, "chat_completions" | "compatible_chat") => (Wire::Chat, false),
            (_, "responses") => (Wire::Responses, false),
            (_, "messages") => (Wire::Messages, false),
            (_, "streamGenerateContent") if file.ends_with(".sse") => (Wire::GeminiEvents, false),
            (_, "streamGenerateContent") => (Wire::GeminiArray, false),
            _ => return None,
        };
        let body = std::fs::read(folder.join(file)).ok().filter(|body| body.len() <= RECORDING_BYTES_MAX)?;
        let mut stream = Stream::new(file, wire, pieces(wire, &body));
        stream.native = native;
        Some(stream)
    })
    .collect()
}

/// A body in pieces that end with an event; an array's, with a line.
fn pieces(wire: Wire, body: &[u8]) -> Vec<Bytes> {
    let (mut pieces, mut piece) = (Vec::new(), Vec::new());
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        piece.extend_from_slice(line);
        if line.trim_ascii().is_empty() || wire == Wire::GeminiArray {
            pieces.push(Bytes::from(std::mem::take(&mut piece)));
        }
    }
    pieces.push(Bytes::from(piece));
    pieces
}

#[test]
fn there_are_enough_of_them() {
    let written = written();
    assert!(written.len() >= 20, "{}", written.len());
    for stream in written.iter().chain(&recorded()) {
        assert!(stream.answer.delimited != Delimited::Close && stream.whole().0 > stream.answer.head().len());
        if stream.name != "chat without usage" && stream.name != "chat with comments" {
            assert!(stream.reported(stream.length()).0 > 0 || !stream.name.contains(' '), "{}", stream.name);
        }
    }
}
