//! OpenAI's chat completions and errors.

use super::call::{Call, Fault, FaultKind, Reply};
use super::text::{self, Ended, Generated};
use super::tools::Offer;
use serde_json::{Value, json};

/// Choices of one request at most.
const CHOICES_MAX: u64 = 16;
/// Tokens around each message.
const MESSAGE_TOKENS: u64 = 3;
/// Tokens that every prompt has beside its messages.
const PROMPT_TOKENS: u64 = 3;
/// Tokens of one image in a prompt (the price of a low-detail one).
pub(super) const IMAGE_TOKENS: u64 = 85;
/// Prompts from this length on are served partly from the cache, in whole blocks.
const CACHED_FROM_TOKENS: u64 = 1_024;
/// Size of such a block.
const CACHE_BLOCK_TOKENS: u64 = 128;

/// What a model "says": text, or calls of tools.
pub(super) enum Said {
    /// Text.
    Text(Generated),
    /// Calls of tools: their names, and their arguments as JSON.
    Tools(Vec<(String, Generated)>),
}

impl Said {
    /// Calls of these tools, with arguments that fit.
    pub(super) fn calls(tools: &[(&str, &Value)], prompt: &str) -> Self {
        let call = |(name, schema): &(&str, &Value)| {
            let arguments = text::example(schema, prompt).to_string();
            ((*name).to_owned(), text::limited(&arguments, None, &[]))
        };
        Self::Tools(tools.iter().map(call).collect())
    }

    /// The tokens of a text.
    pub(super) fn tokens(&self) -> &[String] {
        match self {
            Self::Text(text) => &text.tokens,
            Self::Tools(_) => &[],
        }
    }

    /// Generated tokens, without reasoning; a call has its name and two tokens of frame.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Text(text) => text.count(),
            Self::Tools(calls) => calls.iter().map(|(name, arguments)| text::count(name) + arguments.count() + 2).sum(),
        }
    }
}

/// How many tokens the prompt and the answer had, for any of OpenAI's endpoints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// The prompt.
    pub(super) input: u64,
    /// The answer, with reasoning.
    pub(super) output: u64,
    /// Reasoning alone.
    pub(super) reasoning: u64,
}

impl Counts {
    /// The part of the prompt that counts as read from the cache: for long prompts all but the last block begun.
    pub(super) fn cached(&self) -> u64 {
        if self.input < CACHED_FROM_TOKENS { 0 } else { (self.input - 1) / CACHE_BLOCK_TOKENS * CACHE_BLOCK_TOKENS }
    }

    fn chat_usage(&self) -> Value {
        json!({
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached(), "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        })
    }
}

/// The text of a message's or an item's content: a string, or parts of which those with a `text` count.
pub(super) fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// Parts of a content that are not text.
pub(super) fn media_parts(content: &Value) -> u64 {
    content.as_array().map_or(0, |parts| parts.iter().filter(|part| part.get("text").is_none()).count() as u64)
}

fn prompt_tokens(call: &Call<'_>) -> u64 {
    let message = |m: &Value| {
        let calls = m.get("tool_calls").map_or(0, |calls| text::count(&calls.to_string()));
        MESSAGE_TOKENS + text::count(&content_text(&m["content"])) + media_parts(&m["content"]) * IMAGE_TOKENS + calls
    };
    let tools: u64 = call.list("tools").iter().map(|tool| text::count(&tool.to_string())).sum();
    PROMPT_TOKENS + tools + call.list("messages").iter().map(message).sum::<u64>()
}

fn offer<'a>(call: &'a Call<'_>, last_role: &str) -> Offer<'a> {
    let choice = call.json.get("tool_choice").unwrap_or(&Value::Null);
    if choice == "none" {
        return Offer::default();
    }
    let named = choice["function"]["name"].as_str();
    let name_of = |tool: &'a Value| tool["function"]["name"].as_str().unwrap_or("");
    let tools = call.list("tools").iter().filter(|tool| named.is_none_or(|name| name_of(tool) == name));
    let called = call.list("messages").iter().filter_map(|message| message["tool_calls"].as_array()).flatten();
    Offer {
        tools: tools.map(|tool| (name_of(tool), &tool["function"]["parameters"])).collect(),
        must: named.is_some() || choice == "required",
        single: call.json["parallel_tool_calls"] == false,
        answered: last_role == "tool",
        called: called.map(name_of).collect(),
    }
}

/// What one choice says.
fn say(call: &Call<'_>, prompt: &str, last_role: &str, variant: u64, tokens_max: Option<u64>) -> Said {
    let tools = offer(call, last_role).wanted(prompt);
    if !tools.is_empty() {
        return Said::calls(&tools, prompt);
    }
    let format = call.json.get("response_format").unwrap_or(&Value::Null);
    let answer = match format["type"].as_str() {
        Some("json_schema") => text::example(&format["json_schema"]["schema"], prompt).to_string(),
        Some("json_object") => json!({"answer": text::answer(prompt, variant)}).to_string(),
        _ => text::answer(prompt, variant),
    };
    Said::Text(text::limited(&answer, tokens_max, &call.texts("stop")))
}

/// The word for why a text ended.
pub(super) fn finish_reason(said: &Said) -> &'static str {
    match said {
        Said::Tools(_) => "tool_calls",
        Said::Text(Generated { ended: Ended::Length, .. }) => "length",
        Said::Text(_) => "stop",
    }
}

/// `n`, within bounds.
pub(super) fn choices(call: &Call<'_>) -> Result<u64, Fault> {
    match call.json.get("n") {
        None | Some(Value::Null) => Ok(1),
        Some(n) => n
            .as_u64()
            .filter(|n| (1..=CHOICES_MAX).contains(n))
            .ok_or_else(|| Fault::invalid("n", format!("n must be a whole number from 1 to {CHOICES_MAX}"))),
    }
}

/// What the answer's head repeats of the request.
pub(super) fn service_tier<'a>(call: &'a Call<'_>) -> &'a str {
    call.text("service_tier").filter(|tier| *tier != "auto").unwrap_or("default")
}

/// `POST /v1/chat/completions`.
pub(super) fn chat(call: &Call<'_>) -> Result<Reply, Fault> {
    let model = call.model("openai", call.text("model"))?;
    let messages = call.list("messages");
    let last =
        messages.last().ok_or_else(|| Fault::invalid("messages", "messages must be a list that is not empty"))?;
    let asked = messages.iter().rfind(|m| m["role"] == "user").unwrap_or(last);
    let prompt = content_text(&asked["content"]);
    let role = last["role"].as_str().unwrap_or("user");
    let tokens_max = call.number("max_completion_tokens").or_else(|| call.number("max_tokens"));
    let thinks = call.text("reasoning_effort").is_some_and(|effort| effort != "none");
    let reasoning = if thinks { text::count(&text::reasoning(&prompt)) } else { 0 };
    let said: Vec<Said> = (0..choices(call)?).map(|n| say(call, &prompt, role, n, tokens_max)).collect();
    let output = said.iter().map(|s| s.count() + reasoning).sum();
    let counts = Counts { input: prompt_tokens(call), output, reasoning: reasoning * said.len() as u64 };
    let head = Head { call, model, id: call.id("chatcmpl-") };
    Ok(if call.flag("stream") { head.stream(&said, counts) } else { head.whole(&said, counts) })
}

/// What all parts of one answer have in common.
struct Head<'a> {
    call: &'a Call<'a>,
    model: &'static str,
    id: String,
}

impl Head<'_> {
    /// A call as it begins in a stream (without arguments), or whole.
    fn tool_call(&self, choice: usize, at: usize, call: &(String, Generated), whole: bool) -> Value {
        let id = format!("call_{}{choice}{at}", &self.id[self.id.len() - 20..]);
        let arguments = if whole { call.1.text() } else { String::new() };
        json!({"id": id, "type": "function", "function": {"name": call.0, "arguments": arguments}})
    }

    /// What a choice says in a stream, piece by piece.
    fn deltas(&self, choice: usize, said: &Said) -> Vec<Value> {
        let calls = match said {
            Said::Text(text) => {
                let role = json!({"role": "assistant", "content": "", "refusal": null});
                return std::iter::once(role)
                    .chain(text.tokens.iter().map(|token| json!({"content": token})))
                    .collect();
            }
            Said::Tools(calls) => calls,
        };
        let mut deltas = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let mut begun = self.tool_call(choice, at, call, false);
            begun["index"] = json!(at);
            deltas.push(json!({"tool_calls": [begun]}));
            let piece = |token: &String| json!({"tool_calls": [{"index": at, "function": {"arguments": token}}]});
            deltas.extend(call.1.tokens.iter().map(piece));
        }
        if let Some(first) = deltas.first_mut().and_then(Value::as_object_mut) {
            first.extend([("role".to_owned(), json!("assistant")), ("content".to_owned(), Value::Null)]);
        }
        deltas
    }

    fn whole(&self, said: &[Said], counts: Counts) -> Reply {
        let choice = |(index, said): (usize, &Said)| {
            let message = match said {
                Said::Text(text) => {
                    json!({"role": "assistant", "content": text.text(), "refusal": null, "annotations": []})
                }
                Said::Tools(calls) => {
                    let each = |(at, call): (usize, &(String, Generated))| self.tool_call(index, at, call, true);
                    json!({"role": "assistant", "content": null, "refusal": null, "annotations": [],
                        "tool_calls": calls.iter().enumerate().map(each).collect::<Vec<_>>()})
                }
            };
            json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason(said)})
        };
        let choices: Vec<Value> = said.iter().enumerate().map(choice).collect();
        let body = json!({
            "id": self.id, "object": "chat.completion", "created": self.call.now_s, "model": self.model,
            "choices": choices, "usage": counts.chat_usage(), "service_tier": service_tier(self.call),
            "system_fingerprint": "fp_demo",
        });
        Reply::json(&body, counts.output)
    }

    fn chunk(&self, choices: Value, usage: Option<Value>) -> Value {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.call.now_s, "model": self.model,
            "service_tier": service_tier(self.call), "system_fingerprint": "fp_demo", "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        chunk
    }

    /// Role, then the tokens of all choices in turn, then the finish reasons, then (if asked for) the usage.
    fn stream(&self, said: &[Said], counts: Counts) -> Reply {
        let wants_usage = self.call.json["stream_options"]["include_usage"] == true;
        let none_yet = wants_usage.then_some(Value::Null);
        let mut events = Vec::new();
        let mut add = |index: usize, delta: Value, reason: Value| {
            let choice = json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": reason}]);
            events.push(self.chunk(choice, none_yet.clone()));
        };
        let deltas: Vec<Vec<Value>> = said.iter().enumerate().map(|(index, said)| self.deltas(index, said)).collect();
        for at in 0..deltas.iter().map(Vec::len).max().unwrap_or(0) {
            for (index, deltas) in deltas.iter().enumerate() {
                deltas.get(at).into_iter().for_each(|delta| add(index, delta.clone(), Value::Null));
            }
        }
        for (index, said) in said.iter().enumerate() {
            add(index, json!({}), json!(finish_reason(said)));
        }
        if wants_usage {
            events.push(self.chunk(json!([]), Some(counts.chat_usage())));
        }
        Reply::events(&events)
    }
}

/// A refusal in OpenAI's shape.
pub(super) fn fault(fault: &Fault, _: &Call<'_>) -> Value {
    let code = match fault.kind {
        FaultKind::NoModel => json!("model_not_found"),
        _ => Value::Null,
    };
    json!({"error": {"message": fault.message, "type": "invalid_request_error", "param": fault.param, "code": code}})
}
