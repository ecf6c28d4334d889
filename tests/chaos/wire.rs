//! The wire formats: requests, and answers in the pieces in which a provider sends them.

use crate::plan::Plan;
use crate::support::answers::{self, event};
use crate::support::gateway::Upstream;
use bytes::Bytes;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A wire format, and how its streams are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Chat,
    Responses,
    Messages,
    /// Gemini with `alt=sse`.
    GeminiEvents,
    /// Gemini without: one JSON array.
    GeminiArray,
    /// OpenAI's, never a stream.
    Embeddings,
}

/// A stream: what comes before the text, and after it.
pub(crate) struct Frame {
    pub(crate) before: Vec<Bytes>,
    pub(crate) after: Vec<Bytes>,
}

impl Wire {
    pub(crate) const STREAMS: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Messages, Self::GeminiEvents, Self::GeminiArray];
    pub(crate) const ALL: [Self; 6] =
        [Self::Chat, Self::Responses, Self::Messages, Self::GeminiEvents, Self::GeminiArray, Self::Embeddings];

    pub(crate) fn is_gemini(self) -> bool {
        matches!(self, Self::GeminiEvents | Self::GeminiArray)
    }

    /// Upstreams at one address that serve the model `m` in all of them; `more` is said of each.
    pub(crate) fn upstreams(name: &str, address: SocketAddr, more: &str) -> [Upstream; 3] {
        [("openai", "/v1"), ("anthropic", ""), ("gemini", "")].map(|(row, path)| {
            Upstream::new(&format!("{name}-{row}"), row, format!("http://{address}{path}")).with(more)
        })
    }

    pub(crate) fn target(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions",
            (Self::Responses, _) => "/v1/responses",
            (Self::Messages, _) => "/v1/messages",
            (Self::Embeddings, _) => "/v1/embeddings",
            (_, false) => "/v1beta/models/m:generateContent",
            (Self::GeminiEvents, true) => "/v1beta/models/m:streamGenerateContent?alt=sse",
            (Self::GeminiArray, true) => "/v1beta/models/m:streamGenerateContent",
        }
    }

    /// A request's body; `limit` is the most tokens of output.
    pub(crate) fn body(self, said: &str, stream: bool, limit: Option<u64>) -> Value {
        let message = json!([{"role": "user", "content": said}]);
        let (mut body, limit_name) = match self {
            Self::Chat => (json!({"model": "m", "messages": message}), "max_tokens"),
            Self::Responses => (json!({"model": "m", "input": said}), "max_output_tokens"),
            Self::Messages => (json!({"model": "m", "messages": message}), "max_tokens"),
            Self::Embeddings => return json!({"model": "m", "input": said}),
            Self::GeminiEvents | Self::GeminiArray => {
                let mut body = json!({"contents": [{"role": "user", "parts": [{"text": said}]}]});
                if let Some(limit) = limit {
                    body["generationConfig"] = json!({"maxOutputTokens": limit});
                }
                return body;
            }
        };
        if let Some(limit) = limit {
            body[limit_name] = json!(limit);
        }
        if stream {
            body["stream"] = json!(true);
        }
        body
    }

    pub(crate) fn content_type(self, stream: bool) -> &'static str {
        if stream && self != Self::GeminiArray { "text/event-stream" } else { "application/json" }
    }

    /// What a stream has around its text. OpenAI's chats report usage only to those who ask.
    pub(crate) fn frame(self, plan: &Plan, wants_usage: bool) -> Frame {
        let (input, output) = (plan.input, plan.tokens);
        let (mut before, split) = match self {
            Self::Chat => (answers::chat_pieces(&[], wants_usage.then_some((input, output))), 1),
            Self::Responses => (answers::responses_pieces(&[], input, output), 1),
            Self::Messages => (answers::message_pieces(&[], input, output), 3),
            Self::GeminiArray => (vec![Bytes::from_static(b"]")], 0),
            Self::GeminiEvents | Self::Embeddings => (Vec::new(), 0),
        };
        let after = before.split_off(split);
        Frame { before, after }
    }

    /// One piece with text; `so_far` is the number of tokens with it, `first` and `last` its place among them.
    pub(crate) fn text_piece(self, plan: &Plan, text: &str, so_far: u64, first: bool) -> Bytes {
        let gemini = || answers::gemini_body(text, plan.input, so_far, so_far == plan.tokens);
        match self {
            Self::Chat => answers::chat_token(text),
            Self::Responses => event(&json!({"type": "response.output_text.delta", "item_id": "msg_1",
                "output_index": 0, "content_index": 0, "delta": text})),
            Self::Messages | Self::Embeddings => event(&json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": text}})),
            Self::GeminiEvents => format!("data: {}\r\n\r\n", gemini()).into(),
            Self::GeminiArray => format!("{}{}\n", if first { "[" } else { ",\r\n" }, gemini()).into(),
        }
    }

    /// A whole answer in one document.
    pub(crate) fn document(self, plan: &Plan) -> Value {
        let (text, input, output) = (plan.text(plan.tokens), plan.input, plan.tokens);
        match self {
            Self::Chat => answers::chat_body(&text, input, output),
            Self::Messages => answers::message_body(&text, input, output),
            Self::GeminiEvents | Self::GeminiArray => answers::gemini_body(&text, input, output, true),
            Self::Responses => json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
                "model": "upstream-model", "output": [{"id": "msg_1", "type": "message", "role": "assistant",
                    "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}],
                "usage": {"input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
                    "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": input + output}}),
            Self::Embeddings => json!({"object": "list", "model": "upstream-model",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -2e-3]}],
                "usage": {"prompt_tokens": input, "total_tokens": input}}),
        }
    }

    /// Whether a client that has read this much of a stream has all of it. `clean`: its HTTP body has ended as it should.
    pub(crate) fn is_whole(self, body: &[u8], clean: bool) -> bool {
        let has = |needle: &[u8]| memchr::memmem::find(body, needle).is_some();
        match self {
            Self::Chat => body.ends_with(b"data: [DONE]\n\n"),
            Self::Responses => has(b"event: response.completed\n") && body.ends_with(b"}\n\n"),
            Self::Messages => has(b"event: message_stop\n") && body.ends_with(b"}\n\n"),
            Self::GeminiEvents | Self::GeminiArray => clean && has(b"\"finishReason\"") && !has(b"\"error\""),
            Self::Embeddings => clean,
        }
    }
}
