//! Anthropic's messages.

use super::call::{Call, Fault, FaultKind, Reply};
use super::text::{self, Ended, Generated};
use super::tools::{Offer, signature};
use serde_json::{Value, json};

/// Tokens around each message.
const MESSAGE_TOKENS: u64 = 4;
/// Tokens of one image or document in a prompt.
const MEDIA_TOKENS: u64 = 120;
/// A `ping` follows this event of a stream.
const PING_AFTER: usize = 1;

/// One block of the answer.
enum Block {
    Thinking(Generated),
    Text(Generated),
    ToolUse { name: String, input: Value, written: Generated },
}

impl Block {
    fn tokens(&self) -> &[String] {
        match self {
            Self::Thinking(text) | Self::Text(text) | Self::ToolUse { written: text, .. } => &text.tokens,
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::ToolUse { name, written, .. } => text::count(name) + written.count() + 2,
            Self::Thinking(text) | Self::Text(text) => text.count(),
        }
    }
}

/// The prompt's tokens in Anthropic's three disjoint classes.
#[derive(Clone, Copy, Default)]
struct Prompt {
    plain: u64,
    cache_read: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
}

impl Prompt {
    /// What a block counts, and as what: a marked system block is read from the cache, any other marked one is written
    /// to it.
    fn add(&mut self, block: &Value, is_system: bool) {
        let tokens = match block {
            Value::String(text) => text::count(text),
            _ => match (block["text"].as_str(), block["type"].as_str()) {
                (Some(text), _) => text::count(text),
                (None, Some("image" | "document")) => MEDIA_TOKENS,
                (None, _) => text::count(&block.to_string()),
            },
        };
        let class = match (block.get("cache_control").filter(|mark| !mark.is_null()), is_system) {
            (None, _) => &mut self.plain,
            (Some(_), true) => &mut self.cache_read,
            (Some(mark), false) if mark["ttl"] == "1h" => &mut self.cache_write_1h,
            (Some(_), false) => &mut self.cache_write_5m,
        };
        *class += tokens;
    }

    fn read(call: &Call<'_>) -> Self {
        let mut prompt = Self::default();
        for block in blocks(call.json.get("system")) {
            prompt.add(&block, true);
        }
        for message in call.list("messages") {
            prompt.plain += MESSAGE_TOKENS;
            blocks(message.get("content")).iter().for_each(|block| prompt.add(block, false));
        }
        call.list("tools").iter().for_each(|tool| prompt.add(tool, false));
        prompt
    }

    fn total(self) -> u64 {
        self.plain + self.cache_read + self.cache_write_5m + self.cache_write_1h
    }

    fn usage(self, output: u64, thinking: u64) -> Value {
        json!({
            "input_tokens": self.plain, "cache_read_input_tokens": self.cache_read,
            "cache_creation_input_tokens": self.cache_write_5m + self.cache_write_1h,
            "cache_creation": {"ephemeral_5m_input_tokens": self.cache_write_5m,
                "ephemeral_1h_input_tokens": self.cache_write_1h},
            "output_tokens": output, "output_tokens_details": {"thinking_tokens": thinking},
            "service_tier": "standard",
        })
    }
}

/// A content as a list of blocks.
fn blocks(content: Option<&Value>) -> Vec<Value> {
    match content {
        Some(text @ Value::String(_)) => vec![text.clone()],
        Some(Value::Array(blocks)) => blocks.clone(),
        _ => Vec::new(),
    }
}

/// The text of the last message that a user wrote, and whether a tool has just answered.
fn asked(call: &Call<'_>) -> (String, bool) {
    let texts = |message: &Value| {
        let text = |block: &Value| block.as_str().or_else(|| block["text"].as_str()).map(str::to_owned);
        blocks(message.get("content")).iter().filter_map(text).collect::<Vec<_>>().join("\n")
    };
    let users = call.list("messages").iter().rev().filter(|m| m["role"] == "user");
    let prompt = users.map(texts).find(|text| !text.is_empty()).unwrap_or_default();
    let last = call.list("messages").last().map(|m| blocks(m.get("content"))).unwrap_or_default();
    (prompt, last.iter().any(|block| block["type"] == "tool_result"))
}

fn offer<'a>(call: &'a Call<'_>, answered: bool) -> Offer<'a> {
    let choice = call.json.get("tool_choice").unwrap_or(&Value::Null);
    if choice["type"] == "none" {
        return Offer::default();
    }
    let name_of = |value: &'a Value| value["name"].as_str().unwrap_or("");
    let is_wanted = |tool: &&'a Value| choice["name"].as_str().is_none_or(|name| name_of(tool) == name);
    // Only tools with a schema are the client's own; the others run at the provider.
    let own = call.list("tools").iter().filter(|tool| tool.get("input_schema").is_some());
    let before = call.list("messages").iter().filter_map(|message| message["content"].as_array()).flatten();
    Offer {
        tools: own.filter(is_wanted).map(|tool| (name_of(tool), &tool["input_schema"])).collect(),
        must: matches!(choice["type"].as_str(), Some("any" | "tool")),
        single: choice["disable_parallel_tool_use"] == true,
        answered,
        called: before.filter(|block| block["type"] == "tool_use").map(name_of).collect(),
    }
}

/// Thoughts that come back must be signed as they were. And where a turn goes on with a tool's result while the model
/// thinks by a budget, it must have begun with thoughts (docs.anthropic.com, "Extended thinking", "Preserving thinking
/// blocks").
fn check_thoughts(call: &Call<'_>, answered: bool) -> Result<(), Fault> {
    let assistant = || call.list("messages").iter().filter(|message| message["role"] == "assistant");
    let blocks = assistant().filter_map(|message| message["content"].as_array()).flatten();
    for block in blocks.filter(|block| block["type"] == "thinking") {
        if block["signature"].as_str() != Some(&signature(block["thinking"].as_str().unwrap_or(""))) {
            return Err(Fault::invalid("messages", "messages: Invalid `signature` in `thinking` block"));
        }
    }
    let first = assistant().next_back().map_or(&Value::Null, |message| &message["content"][0]["type"]);
    if answered && call.json["thinking"]["type"] == "enabled" && first != "thinking" && first != "redacted_thinking" {
        let message = format!("messages: Expected `thinking` or `redacted_thinking`, but found `{first}`");
        return Err(Fault::invalid("messages", message));
    }
    Ok(())
}

fn check(call: &Call<'_>) -> Result<&'static str, Fault> {
    let model = call.model("anthropic", call.text("model"))?;
    if call.json["thread"].is_object() {
        return Err(Fault::invalid("thread", "thread: conversations are not kept here"));
    }
    if call.list("messages").is_empty() {
        return Err(Fault::invalid("messages", "messages: at least one message is required"));
    }
    Ok(model)
}

/// The answer's text, by the schema that was asked for.
fn written_answer(call: &Call<'_>, prompt: &str) -> String {
    match &call.json["output_config"]["format"]["schema"] {
        Value::Null => text::answer(prompt, 0),
        schema => text::example(schema, prompt).to_string(),
    }
}

/// `POST /v1/messages`.
pub(super) fn messages(call: &Call<'_>) -> Result<Reply, Fault> {
    let model = check(call)?;
    let tokens_max = call.number("max_tokens").filter(|max| *max > 0);
    let tokens_max = tokens_max.ok_or_else(|| Fault::invalid("max_tokens", "max_tokens: Field required"))?;
    let (prompt, answered) = asked(call);
    check_thoughts(call, answered)?;
    let thinks = call.json["thinking"]["type"].as_str().is_some_and(|kind| kind != "disabled");
    let mut said = Vec::new();
    if thinks {
        said.push(Block::Thinking(text::limited(&text::reasoning(&prompt), Some(tokens_max), &[])));
    }
    let left = tokens_max - said.iter().map(Block::count).sum::<u64>();
    let tools = offer(call, answered).wanted(&prompt);
    said.extend(tools.iter().map(|(name, schema)| {
        let input = text::example(schema, &prompt);
        let written = text::limited(&input.to_string(), None, &[]);
        Block::ToolUse { name: (*name).to_owned(), input, written }
    }));
    if tools.is_empty() {
        said.push(Block::Text(text::limited(
            &written_answer(call, &prompt),
            Some(left),
            &call.texts("stop_sequences"),
        )));
    }
    let message = Message { call, model, said, prompt: Prompt::read(call) };
    Ok(if call.flag("stream") { message.stream() } else { message.whole() })
}

struct Message<'a> {
    call: &'a Call<'a>,
    model: &'static str,
    said: Vec<Block>,
    prompt: Prompt,
}

impl Message<'_> {
    /// `stop_reason` and `stop_sequence`.
    fn stop(&self) -> (&'static str, Value) {
        match self.said.last() {
            Some(Block::ToolUse { .. }) => ("tool_use", Value::Null),
            Some(Block::Text(Generated { ended: Ended::Length, .. })) => ("max_tokens", Value::Null),
            Some(Block::Text(Generated { ended: Ended::Sequence(sequence), .. })) => ("stop_sequence", json!(sequence)),
            _ => ("end_turn", Value::Null),
        }
    }

    fn thinking_tokens(&self) -> u64 {
        self.said.iter().filter(|block| matches!(block, Block::Thinking(_))).map(Block::count).sum()
    }

    fn usage(&self) -> Value {
        self.prompt.usage(self.said.iter().map(Block::count).sum(), self.thinking_tokens())
    }

    fn frame(&self, content: Value, stop: (Value, Value), usage: Value) -> Value {
        json!({"id": self.call.id("msg_"), "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": stop.0, "stop_sequence": stop.1, "usage": usage})
    }

    /// A block as it begins in a stream (empty), or whole.
    fn block(&self, index: usize, block: &Block, whole: bool) -> Value {
        let text = |text: &Generated| if whole { text.text() } else { String::new() };
        match block {
            Block::Thinking(thought) => json!({"type": "thinking", "thinking": text(thought),
                "signature": if whole { signature(&thought.text()) } else { String::new() }}),
            Block::Text(said) => json!({"type": "text", "text": text(said)}),
            Block::ToolUse { name, input, .. } => {
                json!({"type": "tool_use", "id": format!("{}{index}", self.call.id("toolu_")), "name": name,
                "input": if whole { input.clone() } else { json!({}) }})
            }
        }
    }

    fn whole(&self) -> Reply {
        let (reason, sequence) = self.stop();
        let content: Vec<Value> =
            self.said.iter().enumerate().map(|(index, block)| self.block(index, block, true)).collect();
        let tokens = self.said.iter().map(Block::count).sum();
        Reply::json(&self.frame(json!(content), (json!(reason), sequence), self.usage()), tokens)
    }

    fn stream(&self) -> Reply {
        let nothing_yet = self.prompt.usage(1, 0);
        let start = self.frame(json!([]), (Value::Null, Value::Null), nothing_yet);
        let mut events = vec![json!({"type": "message_start", "message": start})];
        for (index, block) in self.said.iter().enumerate() {
            events.push(
                json!({"type": "content_block_start", "index": index, "content_block": self.block(index, block, false)}),
            );
            let delta = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
            events.extend(block.tokens().iter().map(|token| {
                delta(match block {
                    Block::Thinking(_) => json!({"type": "thinking_delta", "thinking": token}),
                    Block::Text(_) => json!({"type": "text_delta", "text": token}),
                    Block::ToolUse { .. } => json!({"type": "input_json_delta", "partial_json": token}),
                })
            }));
            if let Block::Thinking(thought) = block {
                events.push(delta(json!({"type": "signature_delta", "signature": signature(&thought.text())})));
            }
            events.push(json!({"type": "content_block_stop", "index": index}));
        }
        events.insert(PING_AFTER + 1, json!({"type": "ping"}));
        let (reason, sequence) = self.stop();
        let mut usage = self.usage();
        if let Some(counts) = usage.as_object_mut() {
            // The end of a stream says less than its start.
            counts.retain(|name, _| name.ends_with("_tokens") || name == "output_tokens_details");
        }
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": sequence}, "usage": usage}));
        events.push(json!({"type": "message_stop"}));
        Reply::named_events(&events)
    }
}

/// `POST /v1/messages/count_tokens`.
pub(super) fn count_tokens(call: &Call<'_>) -> Result<Reply, Fault> {
    check(call)?;
    Ok(Reply::json(&json!({"input_tokens": Prompt::read(call).total()}), 0))
}

/// A refusal in Anthropic's shape.
pub(super) fn fault(fault: &Fault, call: &Call<'_>) -> Value {
    let kind = match fault.kind {
        FaultKind::Invalid => "invalid_request_error",
        FaultKind::NoModel | FaultKind::NoPath => "not_found_error",
        FaultKind::TooLarge => "request_too_large",
    };
    let mut error = json!({"type": kind, "message": fault.message});
    if fault.param.as_deref() == Some("thread") {
        error["details"] = json!({"error_code": "thread_unsupported_request", "unsupported": ["thread"]});
    }
    json!({"type": "error", "error": error, "request_id": call.id("req_")})
}
