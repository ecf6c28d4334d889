//! What was said in an exchange, for plugins that ask for it: as messages in the form of OpenTelemetry's GenAI conventions
//! (opentelemetry.io/docs/specs/semconv/gen-ai). Nothing here runs where no plugin asks.

use super::mask::{Fragments, mask, without_credentials};
use crate::dialect::Answer;
use crate::dialect::chat::{ChatRequest, Message, Part, Role, Source, ToolResult, wire};
use crate::dialect::endpoint::Endpoint;
use crate::dialect::request;
use serde_json::{Value, json};

/// Texts of one prompt are kept up to here, in bytes; what stands behind is left out. (Of an answer the scanner keeps 16 KiB.)
const TEXT_BYTES_MAX: usize = 32 * 1024;
/// So many messages and parts of messages are kept.
const PLACES_MAX: usize = 512;

/// The messages of a request. A conversation has its roles and parts; of any other prompt there is the text.
pub(super) fn input(endpoint: &Endpoint, body: &[u8]) -> String {
    let mut room = Room { bytes: TEXT_BYTES_MAX, places: PLACES_MAX };
    let chat = conversation(endpoint, body);
    let messages: Vec<Value> = match &chat {
        Some(chat) => chat.messages.iter().map_while(|of_it| room.message(of_it)).collect(),
        None => {
            let text = request::prompt_text(endpoint, body, TEXT_BYTES_MAX).beginning();
            vec![message("user", vec![room.text("text", &text)])]
        }
    };
    Value::Array(messages).to_string()
}

/// The one message of an answer: its text, with thoughts and arguments of calls, as one.
pub(super) fn output(text: &str, our_key: &Fragments) -> String {
    let mut bytes = without_credentials(text).into_owned().into_bytes();
    mask(&mut bytes, our_key);
    let mut room = Room { bytes: TEXT_BYTES_MAX, places: 1 };
    let text = room.text("text", &String::from_utf8_lossy(&bytes));
    Value::Array(vec![message("assistant", vec![text])]).to_string()
}

fn conversation<'b>(endpoint: &Endpoint, body: &'b [u8]) -> Option<ChatRequest<'b>> {
    let is_chat =
        matches!(endpoint.answer, Answer::Chat | Answer::Responses | Answer::Messages | Answer::GenerateContent);
    let read = wire(endpoint.dialect).filter(|_| is_chat)?.read_request?;
    read(str::from_utf8(body).ok()?).ok()
}

fn message(role: &str, parts: Vec<Value>) -> Value {
    json!({"role": role, "parts": parts})
}

/// What there is room for yet.
struct Room {
    bytes: usize,
    places: usize,
}

impl Room {
    fn message(&mut self, of_it: &Message<'_>) -> Option<Value> {
        let role = match of_it.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        self.take_place()?;
        Some(message(role, of_it.parts.iter().filter_map(|part| self.part(part)).collect()))
    }

    fn take_place(&mut self) -> Option<()> {
        self.places = self.places.checked_sub(1).filter(|_| self.bytes > 0)?;
        Some(())
    }

    fn part(&mut self, part: &Part<'_>) -> Option<Value> {
        self.take_place()?;
        Some(match part {
            Part::Text { text, .. } | Part::Refusal(text) => self.text("text", text),
            Part::Reasoning { text, .. } => self.text("reasoning", text),
            Part::ToolCall(call) => json!({"type": "tool_call", "id": self.cut(&call.id), "name": self.cut(&call.name),
                "arguments": self.cut(&call.arguments)}),
            Part::ToolResult(result) => self.tool_result(result),
            Part::Media(media) => match &media.source {
                Source::Text(text) => self.text("text", text),
                // Its bytes, or where they are, are nothing for a trace.
                _ => json!({"type": "blob", "modality": format!("{:?}", media.kind).to_lowercase()}),
            },
            Part::CacheMark(_) => return None,
        })
    }

    fn tool_result(&mut self, result: &ToolResult<'_>) -> Value {
        let texts = result.parts.iter().filter_map(|part| match part {
            Part::Text { text, .. } => Some(&**text),
            _ => None,
        });
        let text = texts.collect::<Vec<_>>().concat();
        json!({"type": "tool_call_response", "id": self.cut(&result.id), "response": self.cut(&text)})
    }

    fn text(&mut self, kind: &str, text: &str) -> Value {
        json!({"type": kind, "content": self.cut(text)})
    }

    /// The beginning of a text, as far as there is room, in whole characters.
    fn cut(&mut self, text: &str) -> String {
        let cut = &text[..text.floor_char_boundary(self.bytes)];
        // A text that is cut leaves no room, also where its last character did not fit.
        self.bytes = if cut.len() < text.len() { 0 } else { self.bytes - cut.len() };
        without_credentials(cut).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{PLACES_MAX, TEXT_BYTES_MAX, input, output};
    use crate::dialect::endpoint::{Endpoint, target};
    use crate::proxy::Fragments;
    use http::{HeaderMap, Method};
    use serde_json::{Value, json};

    fn endpoint(path: &str) -> &'static Endpoint {
        target(&Method::POST, path, None, &HeaderMap::new()).unwrap().endpoint
    }

    fn said(path: &str, body: &Value) -> Value {
        serde_json::from_str(&input(endpoint(path), body.to_string().as_bytes())).unwrap()
    }

    #[test]
    fn a_conversation_is_told_in_one_form_whatever_its_dialect() {
        let text = |role: &str, text: &str| json!({"role": role, "parts": [{"type": "text", "content": text}]});
        let expected = json!([text("system", "Be brief."), text("user", "Hello")]);
        let user = json!([{"role": "user", "content": "Hello"}]);
        let chat = json!({"model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]});
        let messages = json!({"model": "m", "max_tokens": 9, "system": "Be brief.", "messages": user});
        let responses = json!({"model": "m", "instructions": "Be brief.", "input": user});
        let contents = json!({"systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
        for (path, body) in [
            ("/v1/chat/completions", &chat),
            ("/v1/messages", &messages),
            ("/v1/responses", &responses),
            ("/v1beta/models/m:generateContent", &contents),
        ] {
            assert_eq!(said(path, body), expected, "{path}");
        }
        let embeddings = json!({"model": "m", "input": ["one", "two"]});
        assert_eq!(said("/v1/embeddings", &embeddings)[0]["role"], "user");
        assert!(said("/v1/embeddings", &embeddings).to_string().contains("two"));
    }

    #[test]
    fn calls_and_media_are_told_and_no_bytes_of_a_medium() {
        let call = json!([{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}}]);
        let image = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]);
        let body = json!({"model": "m", "messages": [{"role": "user", "content": image},
            {"role": "assistant", "tool_calls": call}, {"role": "tool", "tool_call_id": "c1", "content": "2"}]});
        let told = said("/v1/chat/completions", &body);
        let parts: Vec<&Value> = told.as_array().unwrap().iter().map(|message| &message["parts"][0]).collect();
        assert_eq!(parts[0], &json!({"type": "blob", "modality": "image"}));
        assert_eq!(parts[1], &json!({"type": "tool_call", "id": "c1", "name": "add", "arguments": "{\"a\":1}"}));
        assert_eq!(parts[2], &json!({"type": "tool_call_response", "id": "c1", "response": "2"}));
    }

    #[test]
    fn what_is_kept_has_limits() {
        let many: Vec<Value> = (0..100_000).map(|_| json!({"role": "assistant", "content": ""})).collect();
        let told = said("/v1/chat/completions", &json!({"model": "m", "messages": many}));
        assert!(told.as_array().unwrap().len() <= PLACES_MAX);
        let long: Vec<Value> = (0..9).map(|_| json!({"role": "user", "content": "\u{1F600}".repeat(2_000)})).collect();
        let told = said("/v1/chat/completions", &json!({"model": "m", "messages": long}));
        let text = |message: &Value| message["parts"][0]["content"].as_str().map_or(0, str::len);
        assert_eq!(told.as_array().unwrap().iter().map(text).sum::<usize>(), TEXT_BYTES_MAX);
        for junk in [&b""[..], b"{", b"\xff\xfe", b"[[[[", b"--x\r\n"] {
            let told: Value = serde_json::from_str(&input(endpoint("/v1/chat/completions"), junk)).unwrap();
            assert!(told.is_array());
        }
    }

    #[test]
    fn keys_are_masked() {
        let key = Fragments::of(["provider-secret-0123456789"]);
        let told = output("you sent provider-secret-0123456789 and sk-ant-0123456789abcdef", &key);
        assert!(told.contains("and sk-***") && !told.contains("provider-secret") && !told.contains("56789"), "{told}");
    }
}
