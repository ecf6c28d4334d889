//! Gemini's `generateContent` and its kin.

use super::call::{Call, Fault, FaultKind, Reply};
use super::text::{self, Ended, Generated};
use super::tools::{Offer, signature};
use bytes::Bytes;
use serde_json::{Value, json};

/// Tokens of one image, sound or file in a prompt.
const MEDIA_TOKENS: u64 = 258;
/// Tokens of any cached content that a request refers to.
const CACHED_CONTENT_TOKENS: u64 = 512;
/// Tokens that go out in one event.
const TOKENS_PER_EVENT: usize = 3;
/// What is signed of a text: nobody has said that it must be its words.
const SIGNED_TEXT: &str = "text";
/// Candidates of one request at most.
const CANDIDATES_MAX: u64 = 8;

/// A field in either spelling: Gemini takes `camelCase` and `snake_case`.
fn field<'a>(object: &'a Value, camel: &str) -> &'a Value {
    object.get(camel).or_else(|| object.get(snake(camel))).unwrap_or(&Value::Null)
}

fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn parts(content: &Value) -> &[Value] {
    list(&content["parts"])
}

/// The texts of a content's parts.
pub(super) fn content_text(content: &Value) -> String {
    parts(content).iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

fn content_tokens(content: &Value) -> u64 {
    let part = |part: &Value| match part["text"].as_str() {
        Some(text) => text::count(text),
        None if field(part, "inlineData").is_null() && field(part, "fileData").is_null() => {
            text::count(&part.to_string())
        }
        None => MEDIA_TOKENS,
    };
    parts(content).iter().map(part).sum()
}

/// The tokens of a whole request body, without cached contents.
fn prompt_tokens(body: &Value) -> u64 {
    let contents: u64 = list(&body["contents"]).iter().map(content_tokens).sum();
    let tools: u64 = list(&body["tools"]).iter().map(|tool| text::count(&tool.to_string())).sum();
    contents + tools + content_tokens(field(body, "systemInstruction"))
}

/// What the model says.
struct Answer<'a> {
    call: &'a Call<'a>,
    model: &'static str,
    thought: Option<Generated>,
    candidates: Vec<Said>,
    prompt: u64,
    cached: u64,
}

enum Said {
    Text(Generated),
    Tools(Vec<(String, Value)>),
}

impl Said {
    fn count(&self) -> u64 {
        match self {
            Self::Text(text) => text.count(),
            Self::Tools(calls) => {
                calls.iter().map(|(name, arguments)| text::count(name) + text::count(&arguments.to_string())).sum()
            }
        }
    }

    fn finish_reason(&self) -> &'static str {
        match self {
            Self::Text(Generated { ended: Ended::Length, .. }) => "MAX_TOKENS",
            _ => "STOP",
        }
    }
}

impl<'a> Answer<'a> {
    fn new(call: &'a Call<'a>) -> Result<Self, Fault> {
        let model = call.model("gemini", Some(call.capture))?;
        let contents = list(&call.json["contents"]);
        let last = contents.last().ok_or_else(|| Fault::invalid("contents", "contents is not specified"))?;
        let asked = contents.iter().rfind(|c| c["role"] != "model" && !content_text(c).is_empty()).unwrap_or(last);
        let prompt = content_text(asked);
        let settings = field(&call.json, "generationConfig");
        let thinking = field(settings, "thinkingConfig");
        let thinks = thinking.is_object() && field(thinking, "thinkingBudget") != &json!(0);
        let thought = thinks.then(|| text::limited(&text::reasoning(&prompt), None, &[]));
        let number = field(settings, "candidateCount").as_u64().unwrap_or(1);
        if !(1..=CANDIDATES_MAX).contains(&number) {
            return Err(Fault::invalid("candidateCount", format!("candidateCount must be from 1 to {CANDIDATES_MAX}")));
        }
        let answered = parts(last).iter().any(|part| !field(part, "functionResponse").is_null());
        check_signatures(contents)?;
        let candidates = (0..number).map(|n| say(call, settings, &prompt, n, answered)).collect();
        let cached = if field(&call.json, "cachedContent").is_string() { CACHED_CONTENT_TOKENS } else { 0 };
        Ok(Self { call, model, thought, candidates, prompt: prompt_tokens(&call.json) + cached, cached })
    }

    fn thoughts(&self) -> u64 {
        self.thought.as_ref().map_or(0, Generated::count)
    }

    fn output(&self) -> u64 {
        self.candidates.iter().map(Said::count).sum()
    }

    /// The counts once so many tokens of the answer are out.
    fn usage(&self, output: u64) -> Value {
        let modality = |tokens: u64| json!([{"modality": "TEXT", "tokenCount": tokens}]);
        let mut usage = json!({"promptTokenCount": self.prompt, "promptTokensDetails": modality(self.prompt),
            "totalTokenCount": self.prompt + output + self.thoughts()});
        let counts = [
            ("candidatesTokenCount", output),
            ("thoughtsTokenCount", self.thoughts()),
            ("cachedContentTokenCount", self.cached),
        ];
        for (name, count) in counts {
            // As the real one does, what is 0 is left out.
            if count > 0 {
                usage[name] = json!(count);
            }
        }
        usage
    }

    fn wants_thoughts(&self) -> bool {
        let settings = field(&self.call.json, "generationConfig");
        field(field(settings, "thinkingConfig"), "includeThoughts") == &json!(true)
    }

    fn frame(&self, candidates: Vec<Value>, output: u64) -> Value {
        json!({"candidates": candidates, "usageMetadata": self.usage(output), "modelVersion": self.model,
            "responseId": self.call.id("")})
    }

    fn candidate(&self, index: usize, parts: Value, reason: Option<&str>) -> Value {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": index});
        if let Some(reason) = reason {
            candidate["finishReason"] = json!(reason);
        }
        candidate
    }

    fn thought_part(&self) -> Option<Value> {
        let thought = self.thought.as_ref().filter(|_| self.wants_thoughts())?;
        Some(json!({"text": thought.text(), "thought": true}))
    }

    /// As the real one does, a text is signed if the model thought, and of several calls the first.
    fn said_parts(&self, said: &Said) -> Vec<Value> {
        match said {
            Said::Text(text) => vec![self.signed_text(&text.text())],
            Said::Tools(calls) => {
                let part = |(at, (name, arguments)): (usize, &(String, Value))| {
                    let mut part = json!({"functionCall": {"name": name, "args": arguments}});
                    if at == 0 {
                        part["thoughtSignature"] = json!(signature(name));
                    }
                    part
                };
                calls.iter().enumerate().map(part).collect()
            }
        }
    }

    fn signed_text(&self, text: &str) -> Value {
        let mut part = json!({"text": text});
        if self.thought.is_some() {
            part["thoughtSignature"] = json!(signature(SIGNED_TEXT));
        }
        part
    }

    fn whole(&self) -> Value {
        let candidate = |(index, said): (usize, &Said)| {
            let parts: Vec<Value> = self.thought_part().into_iter().chain(self.said_parts(said)).collect();
            self.candidate(index, json!(parts), Some(said.finish_reason()))
        };
        self.frame(self.candidates.iter().enumerate().map(candidate).collect(), self.output())
    }

    /// The same, in events: the counts in each are those up to it.
    fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        if let Some(part) = self.thought_part() {
            events.push(self.frame(vec![self.candidate(0, json!([part]), None)], 0));
        }
        let mut output = 0;
        for (index, said) in self.candidates.iter().enumerate() {
            let Said::Text(text) = said else {
                output += said.count();
                let parts = json!(self.said_parts(said));
                events.push(self.frame(vec![self.candidate(index, parts, Some(said.finish_reason()))], output));
                continue;
            };
            for group in text.tokens.chunks(TOKENS_PER_EVENT) {
                output += group.len() as u64;
                events.push(self.frame(vec![self.candidate(index, json!([{"text": group.concat()}]), None)], output));
            }
            let parts = json!([self.signed_text("")]);
            events.push(self.frame(vec![self.candidate(index, parts, Some(said.finish_reason()))], output));
        }
        events
    }
}

fn schema_of(tool: &Value) -> &Value {
    let schema = field(tool, "parameters");
    if schema.is_null() { field(tool, "parametersJsonSchema") } else { schema }
}

/// What is signed must come back as it was. And in the turn that goes on, the first call of each step must be signed, or
/// have one of the two texts that stand for a signature (ai.google.dev/gemini-api/docs/thought-signatures).
fn check_signatures(contents: &[Value]) -> Result<(), Fault> {
    const PLACEHOLDERS: [&str; 2] = ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];
    let speaks = |content: &Value| content["role"] != "model" && !content_text(content).is_empty();
    let turn = contents.iter().rposition(speaks).unwrap_or(0);
    for (place, content) in contents.iter().enumerate().filter(|(_, content)| content["role"] == "model") {
        let mut is_first_call = place > turn;
        for part in parts(content) {
            let (call, signed) = (field(part, "functionCall"), field(part, "thoughtSignature").as_str());
            let words = if call.is_null() { SIGNED_TEXT } else { call["name"].as_str().unwrap_or("") };
            // Google's own SDK writes the other alphabet.
            let own = signed.is_some_and(|signed| signed.replace('-', "+").replace('_', "/") == signature(words));
            let fits = own || signed.is_some_and(|signed| PLACEHOLDERS.contains(&signed));
            let is_missing = signed.is_none() && !call.is_null() && is_first_call;
            if is_missing || signed.is_some() && !fits {
                let message =
                    format!("Function call or text is missing its thought_signature: `{words}`, position {place}");
                return Err(Fault::invalid("contents", message));
            }
            is_first_call &= call.is_null();
        }
    }
    Ok(())
}

fn say(call: &Call<'_>, settings: &Value, prompt: &str, variant: u64, answered: bool) -> Said {
    let calling = field(field(&call.json, "toolConfig"), "functionCallingConfig");
    let mode = calling["mode"].as_str().unwrap_or("AUTO");
    let tools = list(&call.json["tools"]).iter().flat_map(|tool| list(field(tool, "functionDeclarations")));
    let allowed = list(field(calling, "allowedFunctionNames"));
    let tools = tools.filter(|tool| mode != "NONE" && (allowed.is_empty() || allowed.contains(&tool["name"])));
    let name_of = |value: &'_ Value| value["name"].as_str().unwrap_or("").to_owned();
    let tools: Vec<(String, &Value)> = tools.map(|tool| (name_of(tool), schema_of(tool))).collect();
    let before = list(&call.json["contents"]).iter().flat_map(parts).map(|part| name_of(field(part, "functionCall")));
    let before: Vec<String> = before.collect();
    let offer = Offer {
        tools: tools.iter().map(|(name, schema)| (name.as_str(), *schema)).collect(),
        must: mode == "ANY",
        single: false,
        answered,
        called: before.iter().map(String::as_str).collect(),
    };
    let wanted = offer.wanted(prompt);
    if !wanted.is_empty() {
        let call = |(name, schema): &(&str, &Value)| ((*name).to_owned(), text::example(schema, prompt));
        return Said::Tools(wanted.iter().map(call).collect());
    }
    let schema =
        [field(settings, "responseSchema"), field(settings, "responseJsonSchema")].into_iter().find(|s| !s.is_null());
    let answer = match (schema, field(settings, "responseMimeType") == "application/json") {
        (Some(schema), _) => text::example(schema, prompt).to_string(),
        (None, true) => json!({"answer": text::answer(prompt, variant)}).to_string(),
        (None, false) => text::answer(prompt, variant),
    };
    let stops: Vec<String> =
        list(field(settings, "stopSequences")).iter().filter_map(|s| s.as_str().map(str::to_owned)).collect();
    Said::Text(text::limited(&answer, field(settings, "maxOutputTokens").as_u64(), &stops))
}

/// `POST …:generateContent`.
pub(super) fn generate(call: &Call<'_>) -> Result<Reply, Fault> {
    let answer = Answer::new(call)?;
    Ok(Reply::json(&answer.whole(), answer.output() + answer.thoughts()))
}

/// `POST …:streamGenerateContent`: events with `alt=sse`, else one JSON list that arrives element by element.
pub(super) fn stream(call: &Call<'_>) -> Result<Reply, Fault> {
    let events = Answer::new(call)?.events();
    if call.query.split('&').any(|pair| pair == "alt=sse") {
        let pieces = events.iter().map(|event| Bytes::from(format!("data: {event}\r\n\r\n"))).collect();
        return Ok(Reply::Pieces { content_type: "text/event-stream", pieces });
    }
    let element = |(index, event): (usize, &Value)| {
        let before = if index == 0 { "[" } else { ",\r\n" };
        let after = if index + 1 == events.len() { "\n]" } else { "\n" };
        Bytes::from(format!("{before}{event:#}{after}"))
    };
    let pieces = events.iter().enumerate().map(element).collect();
    Ok(Reply::Pieces { content_type: "application/json; charset=UTF-8", pieces })
}

/// `POST …:countTokens`: for `contents`, or for a whole request in `generateContentRequest`.
pub(super) fn count_tokens(call: &Call<'_>) -> Result<Reply, Fault> {
    call.model("gemini", Some(call.capture))?;
    let request = field(&call.json, "generateContentRequest");
    let total = prompt_tokens(if request.is_object() { request } else { &call.json });
    let details = json!([{"modality": "TEXT", "tokenCount": total}]);
    Ok(Reply::json(&json!({"totalTokens": total, "promptTokensDetails": details}), 0))
}

/// A refusal in Gemini's shape.
pub(super) fn fault(fault: &Fault, _: &Call<'_>) -> Value {
    let status = match fault.kind {
        FaultKind::Invalid | FaultKind::TooLarge => "INVALID_ARGUMENT",
        FaultKind::NoModel | FaultKind::NoPath => "NOT_FOUND",
    };
    json!({"error": {"code": fault.status(), "message": fault.message, "status": status}})
}
