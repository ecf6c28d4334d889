//! OpenAI's Responses API, with the whole sequence of events.

use super::call::{Call, Fault, Reply};
use super::openai::{Counts, IMAGE_TOKENS, Said, content_text, media_parts, service_tier};
use super::text::{self, Ended, Generated};
use super::tools::{Offer, signature};
use serde_json::{Value, json};

/// Tokens around each input item.
const ITEM_TOKENS: u64 = 4;

/// `POST /v1/responses`.
pub(super) fn responses(call: &Call<'_>) -> Result<Reply, Fault> {
    let model = call.model("openai", call.text("model"))?;
    let input = input(call)?;
    let prompt = asked(input);
    check_reasoning(input)?;
    let said = say(call, &prompt);
    let thinks = call.json["reasoning"]["effort"].as_str().is_some_and(|effort| effort != "none");
    let reasoning = if thinks { text::count(&text::reasoning(&prompt)) } else { 0 };
    let counts = Counts { input: input_tokens(call, input), output: said.count() + reasoning, reasoning };
    let answer = Answer::new(call, model, said, counts, thinks.then(|| text::reasoning(&prompt)));
    Ok(if call.flag("stream") { answer.stream() } else { Reply::json(&answer.response(true), counts.output) })
}

/// `POST /v1/responses/input_tokens`.
pub(super) fn count_tokens(call: &Call<'_>) -> Result<Reply, Fault> {
    call.model("openai", call.text("model"))?;
    let tokens = input_tokens(call, input(call)?);
    Ok(Reply::json(&json!({"object": "response.input_tokens", "input_tokens": tokens}), 0))
}

fn input<'c>(call: &'c Call<'_>) -> Result<&'c Value, Fault> {
    let input = call.json.get("input").unwrap_or(&Value::Null);
    if !(input.is_string() || input.as_array().is_some_and(|items| !items.is_empty())) {
        return Err(Fault::invalid("input", "input must be a string, or a list that is not empty"));
    }
    Ok(input)
}

/// Encrypted thoughts must come back as they were: these follow from what a user said, so they can be told.
fn check_reasoning(input: &Value) -> Result<(), Fault> {
    let items = input.as_array().map_or(&[][..], Vec::as_slice);
    let texts = items.iter().filter(|item| item["role"] == "user").map(|item| content_text(&item["content"]));
    let known: Vec<String> = texts.map(|prompt| signature(&text::reasoning(&prompt))).collect();
    for item in items.iter().filter(|item| item["type"] == "reasoning") {
        if item["encrypted_content"].as_str().is_some_and(|sealed| !known.iter().any(|own| own == sealed)) {
            let message = "The encrypted content could not be verified: it could not be decrypted or parsed.";
            return Err(Fault::invalid("input", message));
        }
    }
    Ok(())
}

/// What the user said last.
fn asked(input: &Value) -> String {
    let is_user = |item: &&Value| item["role"] == "user";
    match input.as_array() {
        Some(items) => items.iter().rfind(is_user).map(|item| content_text(&item["content"])).unwrap_or_default(),
        None => content_text(input),
    }
}

fn input_tokens(call: &Call<'_>, input: &Value) -> u64 {
    let item = |item: &Value| match item.get("content") {
        Some(content) => ITEM_TOKENS + text::count(&content_text(content)) + media_parts(content) * IMAGE_TOKENS,
        None => ITEM_TOKENS + text::count(&item.to_string()),
    };
    let items = match input.as_array() {
        Some(items) => items.iter().map(item).sum(),
        None => ITEM_TOKENS + text::count(&content_text(input)),
    };
    let tools: u64 = call.list("tools").iter().map(|tool| text::count(&tool.to_string())).sum();
    items + tools + text::count(call.text("instructions").unwrap_or(""))
}

fn offer<'a>(call: &'a Call<'_>) -> Offer<'a> {
    let choice = call.json.get("tool_choice").unwrap_or(&Value::Null);
    if choice == "none" {
        return Offer::default();
    }
    let name_of = |value: &'a Value| value["name"].as_str().unwrap_or("");
    let is_wanted = |tool: &&'a Value| choice["name"].as_str().is_none_or(|name| name_of(tool) == name);
    let functions = call.list("tools").iter().filter(|tool| tool["type"] == "function");
    Offer {
        tools: functions.filter(is_wanted).map(|tool| (name_of(tool), &tool["parameters"])).collect(),
        must: choice["name"].is_string() || choice == "required",
        single: call.json["parallel_tool_calls"] == false,
        answered: call.list("input").last().is_some_and(|item| item["type"] == "function_call_output"),
        called: call.list("input").iter().filter(|item| item["type"] == "function_call").map(name_of).collect(),
    }
}

fn say(call: &Call<'_>, prompt: &str) -> Said {
    let tools = offer(call).wanted(prompt);
    if !tools.is_empty() {
        return Said::calls(&tools, prompt);
    }
    let format = &call.json["text"]["format"];
    let answer = match format["type"].as_str() {
        Some("json_schema") => text::example(&format["schema"], prompt).to_string(),
        Some("json_object") => json!({"answer": text::answer(prompt, 0)}).to_string(),
        _ => text::answer(prompt, 0),
    };
    Said::Text(text::limited(&answer, call.number("max_output_tokens"), &[]))
}

struct Answer<'a> {
    call: &'a Call<'a>,
    model: &'static str,
    said: Said,
    counts: Counts,
    /// The ids of the response, of its reasoning item, and what its other items' ids begin with.
    id: String,
    reasoning_id: String,
    item_id: String,
    /// What was thought, if anything was.
    thought: Option<String>,
}

impl<'a> Answer<'a> {
    fn new(call: &'a Call<'a>, model: &'static str, said: Said, counts: Counts, thought: Option<String>) -> Self {
        let item_id = call.id(if matches!(said, Said::Text(_)) { "msg_" } else { "fc_" });
        Self { call, model, said, counts, id: call.id("resp_"), reasoning_id: call.id("rs_"), item_id, thought }
    }

    fn is_cut(&self) -> bool {
        matches!(&self.said, Said::Text(Generated { ended: Ended::Length, .. }))
    }

    fn usage(&self) -> Value {
        json!({
            "input_tokens": self.counts.input, "input_tokens_details": {"cached_tokens": self.counts.cached()},
            "output_tokens": self.counts.output, "output_tokens_details": {"reasoning_tokens": self.counts.reasoning},
            "total_tokens": self.counts.input + self.counts.output,
        })
    }

    /// The response object, while it runs or when it is done.
    fn response(&self, done: bool) -> Value {
        let status = match (done, self.is_cut()) {
            (false, _) => "in_progress",
            (true, true) => "incomplete",
            (true, false) => "completed",
        };
        let asked = |name: &str, default: Value| self.call.json.get(name).cloned().unwrap_or(default);
        let items = (0..self.items()).map(|at| self.item(at, true));
        let output: Vec<Value> = self.reasoning_item(true).into_iter().chain(items).collect();
        json!({
            "id": self.id, "object": "response", "created_at": self.call.now_s, "status": status, "background": false,
            "error": null, "model": self.model, "output": if done { json!(output) } else { json!([]) },
            "incomplete_details": if done && self.is_cut() { json!({"reason": "max_output_tokens"}) } else { Value::Null },
            "instructions": asked("instructions", Value::Null), "max_output_tokens": asked("max_output_tokens", Value::Null),
            "metadata": asked("metadata", json!({})), "parallel_tool_calls": asked("parallel_tool_calls", json!(true)),
            "previous_response_id": asked("previous_response_id", Value::Null),
            "reasoning": asked("reasoning", json!({"effort": null, "summary": null})),
            "service_tier": service_tier(self.call), "store": asked("store", json!(true)),
            "temperature": asked("temperature", json!(1.0)), "text": asked("text", json!({"format": {"type": "text"}})),
            "tool_choice": asked("tool_choice", json!("auto")), "tools": asked("tools", json!([])),
            "top_p": asked("top_p", json!(1.0)), "truncation": "disabled", "user": null,
            "usage": if done { self.usage() } else { Value::Null },
        })
    }

    /// The summary of what was thought, if it was asked for.
    fn summary(&self) -> Option<&str> {
        self.thought.as_deref().filter(|_| self.call.json["reasoning"]["summary"].is_string())
    }

    /// The reasoning item, if there is one: as it begins, or whole, with the thoughts encrypted if that was asked for.
    fn reasoning_item(&self, done: bool) -> Option<Value> {
        let thought = self.thought.as_ref()?;
        let summary = self.summary().filter(|_| done).map(|text| json!({"type": "summary_text", "text": text}));
        let summary: Vec<Value> = summary.into_iter().collect();
        let mut item = json!({"id": self.reasoning_id, "type": "reasoning", "summary": summary});
        if call_includes(self.call, "reasoning.encrypted_content") {
            item["encrypted_content"] = json!(signature(thought));
        }
        Some(item)
    }

    /// How many items there are beside it.
    fn items(&self) -> usize {
        match &self.said {
            Said::Text(_) => 1,
            Said::Tools(calls) => calls.len(),
        }
    }

    fn id_of(&self, at: usize) -> String {
        if at == 0 { self.item_id.clone() } else { format!("{}{at}", self.item_id) }
    }

    /// One of them, when it begins or when it is done.
    fn item(&self, at: usize, done: bool) -> Value {
        let status = match (done, self.is_cut()) {
            (false, _) => "in_progress",
            (true, true) => "incomplete",
            (true, false) => "completed",
        };
        let id = self.id_of(at);
        match &self.said {
            Said::Text(text) => json!({"id": id, "type": "message", "status": status, "role": "assistant",
                "content": if done { json!([part(&text.text())]) } else { json!([]) }}),
            Said::Tools(calls) => json!({"id": id, "type": "function_call", "status": status,
                "call_id": format!("call_{}", &id[3..]), "name": calls[at].0,
                "arguments": if done { calls[at].1.text() } else { String::new() }}),
        }
    }

    fn stream(&self) -> Reply {
        let mut events = vec![
            json!({"type": "response.created", "response": self.response(false)}),
            json!({"type": "response.in_progress", "response": self.response(false)}),
        ];
        let mut index = 0;
        if let (Some(begun), Some(done)) = (self.reasoning_item(false), self.reasoning_item(true)) {
            events.push(json!({"type": "response.output_item.added", "output_index": 0, "item": begun}));
            self.summary().into_iter().for_each(|text| self.summary_events(&mut events, text));
            events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": done}));
            index += 1;
        }
        for at in 0..self.items() {
            let item = self.item(at, false);
            events.push(json!({"type": "response.output_item.added", "output_index": index, "item": item}));
            match &self.said {
                Said::Text(text) => self.text_events(&mut events, index, text),
                Said::Tools(calls) => self.tool_events(&mut events, index, at, &calls[at].1),
            }
            let item = self.item(at, true);
            events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
            index += 1;
        }
        let last = if self.is_cut() { "response.incomplete" } else { "response.completed" };
        events.push(json!({"type": last, "response": self.response(true)}));
        for (number, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        Reply::named_events(&events)
    }

    fn summary_events(&self, events: &mut Vec<Value>, text: &str) {
        let mut add = |kind: &str, name: &str, value: Value| {
            let mut event = json!({"type": format!("response.reasoning_summary_{kind}"), "item_id": self.reasoning_id,
                "output_index": 0, "summary_index": 0});
            event[name] = value;
            events.push(event);
        };
        add("part.added", "part", json!({"type": "summary_text", "text": ""}));
        text::tokens(text).for_each(|token| add("text.delta", "delta", json!(token)));
        add("text.done", "text", json!(text));
        add("part.done", "part", json!({"type": "summary_text", "text": text}));
    }

    fn text_events(&self, events: &mut Vec<Value>, index: u64, text: &Generated) {
        let event =
            |kind: &str| json!({"type": kind, "item_id": self.item_id, "output_index": index, "content_index": 0});
        let mut add = |kind: &str, name: &str, value: Value| {
            let mut event = event(kind);
            event[name] = value;
            events.push(event);
        };
        add("response.content_part.added", "part", part(""));
        for token in &text.tokens {
            add("response.output_text.delta", "delta", json!(token));
        }
        add("response.output_text.done", "text", json!(text.text()));
        add("response.content_part.done", "part", part(&text.text()));
        for event in
            events.iter_mut().filter(|e| e["type"].as_str().is_some_and(|t| t.starts_with("response.output_text")))
        {
            event["logprobs"] = json!([]);
        }
    }

    fn tool_events(&self, events: &mut Vec<Value>, index: u64, at: usize, arguments: &Generated) {
        let event = |kind: &str, name: &str, value: &str| {
            let mut event = json!({"type": kind, "item_id": self.id_of(at), "output_index": index});
            event[name] = json!(value);
            event
        };
        let deltas = arguments.tokens.iter();
        events.extend(deltas.map(|token| event("response.function_call_arguments.delta", "delta", token)));
        events.push(event("response.function_call_arguments.done", "arguments", &arguments.text()));
    }
}

fn call_includes(call: &Call<'_>, what: &str) -> bool {
    call.list("include").iter().any(|wanted| wanted == what)
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}
