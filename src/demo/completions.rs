//! OpenAI's older text completions.

use super::call::{Call, Fault, Reply};
use super::openai::{Said, choices, finish_reason};
use super::text;
use serde_json::{Value, json};

/// What is generated when the request sets no limit (as OpenAI documents it).
const TOKENS_DEFAULT: u64 = 16;

/// Answers of one request at most: prompts times `n`.
const ANSWERS_MAX: u64 = 128;

/// `POST /v1/completions`.
pub(super) fn completions(call: &Call<'_>) -> Result<Reply, Fault> {
    let model = call.model("openai", call.text("model"))?;
    let (prompts, choices) = (call.texts("prompt"), choices(call)?);
    if prompts.is_empty() || prompts.len() as u64 * choices > ANSWERS_MAX {
        return Err(Fault::invalid(
            "prompt",
            format!("prompt must be a string or a list of strings, {ANSWERS_MAX} at most"),
        ));
    }
    let tokens_max = call.number("max_tokens").unwrap_or(TOKENS_DEFAULT);
    let stops = call.texts("stop");
    let one = |prompt: &str, n| text::limited(&text::answer(prompt, n), Some(tokens_max), &stops);
    let said: Vec<Said> = prompts.iter().flat_map(|prompt| (0..choices).map(|n| Said::Text(one(prompt, n)))).collect();
    let input: u64 = prompts.iter().map(|prompt| text::count(prompt)).sum();
    let output: u64 = said.iter().map(Said::count).sum();
    let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    let id = call.id("cmpl-");
    let frame = |choices: Value| {
        json!({"id": id, "object": "text_completion", "created": call.now_s, "model": model,
        "system_fingerprint": "fp_demo", "choices": choices})
    };
    let choice = |index: usize, text: &str, reason: Value| json!({"text": text, "index": index, "logprobs": null, "finish_reason": reason});
    if !call.flag("stream") {
        let whole = |(index, said): (usize, &Said)| choice(index, &said.tokens().concat(), json!(finish_reason(said)));
        let mut body = frame(said.iter().enumerate().map(whole).collect());
        body["usage"] = usage;
        return Ok(Reply::json(&body, output));
    }
    let mut events = Vec::new();
    for (index, said) in said.iter().enumerate() {
        events.extend(said.tokens().iter().map(|token| frame(json!([choice(index, token, Value::Null)]))));
        events.push(frame(json!([choice(index, "", json!(finish_reason(said)))])));
    }
    if call.json["stream_options"]["include_usage"] == true {
        events.iter_mut().for_each(|event| event["usage"] = Value::Null);
        let mut last = frame(json!([]));
        last["usage"] = usage;
        events.push(last);
    }
    Ok(Reply::events(&events))
}
