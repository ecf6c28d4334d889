//! What of a request's hints goes to one upstream, and in which form: vendors refuse whole requests for what changes no answer.

use super::closed;
use super::fields::{self, Field};
use super::json::Json;
use super::openai::models;
use super::request::{ChatRequest, Effort, Format, Reasoning, ToolChoice};
use super::untaken::{self, Untaken};
use super::wire::{ChatRules, ForcedCalls, Manner, Wire, wire};
use crate::dialect::DialectId::{self, OpenAi, OpenAiResponses};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use tollgate_plugin_api::Reject;

/// OpenAI takes no longer names of users and of caches; a digest of SHA-256 in hexadecimal digits is just as long.
const NAME_CHARS_MAX: usize = 64;

/// What names somebody or something for the provider alone: what it says is of no matter, as long as it is always the same.
/// Whether only letters, digits, `_` and `-` are taken everywhere (DeepSeek refuses others in names of users).
const NAMES: [(Field, bool); 3] =
    [(Field::User, true), (Field::SafetyIdentifier, true), (Field::PromptCacheKey, false)];

/// Takes off what is said of tools where there are none: it changes nothing, and providers refuse it (Google: "Function calling
/// config is set without function_declarations"; OpenAI: "'tool_choice' is only allowed when 'tools' are specified"). That one
/// must be called stays, and is refused.
pub(super) fn leave_tools_unsaid(request: &mut ChatRequest<'_>) {
    if request.tools.is_empty() {
        request.options.parallel_tool_calls = None;
        request.options.tool_choice.take_if(|choice| matches!(choice, ToolChoice::Auto | ToolChoice::None));
    }
}

/// A request on its way to one upstream.
struct Fitting<'f, 'r> {
    request: &'f mut ChatRequest<'r>,
    manner: &'f Manner<'f>,
    client: DialectId,
    /// What it is to be written in.
    target: &'static Wire,
    /// What was left out of it, by the client's names.
    left_out: Vec<String>,
}

impl Fitting<'_, '_> {
    fn leave_out(&mut self, field: Field) {
        fields::push(&mut self.left_out, field, self.client);
    }

    fn refused(&self, field: Field, what: &str) -> Reject {
        fields::refused(field, self.client, self.target.dialect, Some(what))
    }

    /// Whether the target has no place for this.
    fn lacks(&self, field: Field) -> bool {
        self.target.lacks.and_then(|lacks| lacks(self.request, self.manner)) == Some(field)
    }

    /// The model is told not to think; that it was asked to is named.
    fn rest(&mut self) {
        if self.request.options.reasoning.as_ref().is_some_and(wants_some) {
            self.leave_out(Field::Reasoning);
        }
        self.request.options.reasoning = Some(Reasoning { effort: Some(Effort::None), ..Reasoning::default() });
    }
}

/// Makes one thing of a request fit.
///
/// # Errors
/// `INVALID_REQUEST`, naming a field that may not be left out.
type Step = fn(&mut Fitting<'_, '_>) -> Result<(), Reject>;

/// All of them, each with what those before it have left.
const STEPS: [Step; 7] = [
    // What the vendor is not told decides nothing.
    leave_refused_out,
    // Calls may cost the model its thoughts, and what it is to be told then is to fit, too.
    fit_forced_calls,
    fit_reasoning,
    // Tools may cost the model its thoughts; one that does not think in the end is sampled.
    fit_tools,
    fit_sampling,
    fit_schemas,
    shorten_names,
];

/// Fits a request to what vendor and model take; what is left out of it, by the client's names, with what was before.
///
/// # Errors
/// `INVALID_REQUEST`, naming the field that may not be left out.
pub(super) fn fit(
    request: &mut ChatRequest<'_>,
    manner: &Manner<'_>,
    client: DialectId,
    target: &'static Wire,
    left_out: Vec<String>,
) -> Result<Vec<String>, Reject> {
    let mut fitting = Fitting { request, manner, client, target, left_out };
    STEPS.iter().try_for_each(|step| step(&mut fitting))?;
    Ok(fitting.left_out)
}

/// Takes off what this vendor refuses.
fn leave_refused_out(fitting: &mut Fitting<'_, '_>) -> Result<(), Reject> {
    let refused = fitting.manner.rules.refuses;
    let set: Vec<Field> = fitting.request.options.set().filter(|field| refused.contains(*field)).collect();
    set.into_iter().for_each(|field| fitting.leave_out(field));
    let options = &mut fitting.request.options;
    options.plain.retain(|(field, _)| !refused.contains(*field));
    if refused.contains(Field::ParallelToolCalls) {
        options.parallel_tool_calls = None;
    }
    if refused.contains(Field::Reasoning) {
        options.reasoning = None;
    }
    Ok(())
}

/// Asks models of which it is known for such thinking as they take; one that takes none, for none.
fn fit_reasoning(fitting: &mut Fitting<'_, '_>) -> Result<(), Reject> {
    let Some(asked) = fitting.request.options.reasoning else { return Ok(()) };
    let told = match &fitting.manner.rules {
        ChatRules { openai_models: true, .. } => models::fitted(fitting.manner.model, fitting.target.dialect, asked),
        ChatRules { efforts, .. } if !efforts.is_empty() => efforts.fitted(fitting.manner.model, asked),
        _ => return Ok(()),
    };
    fitting.request.options.reasoning = told;
    if told.is_none() && wants_some(&asked) {
        fitting.leave_out(Field::Reasoning);
    }
    Ok(())
}

/// Where there are no thoughts, nothing is lost of a wish for none.
fn wants_some(asked: &Reasoning) -> bool {
    asked.wanted().map_or(asked.visible == Some(true), |effort| effort != Effort::None)
}

/// Where a tool must be called: a model that takes that at rest alone is told not to think, one that takes no names is offered no
/// other tools.
fn fit_forced_calls(fitting: &mut Fitting<'_, '_>) -> Result<(), Reject> {
    let taken = fitting.manner.rules.forced_calls.of(fitting.manner.model).copied().unwrap_or_default();
    let request = &mut *fitting.request;
    let asks = request.options.reasoning.as_ref().is_some_and(wants_some);
    let names = match &request.options.tool_choice {
        Some(ToolChoice::Required) => None,
        Some(ToolChoice::Named(names)) => Some(names.clone()),
        Some(ToolChoice::Auto | ToolChoice::None) | None => return Ok(()),
    };
    match (taken, names) {
        (ForcedCalls::Refused, _) => {
            return Err(fitting.refused(Field::ToolChoice, "a call that must be made by a model that always thinks"));
        }
        // A name that is none of theirs is the vendor's to refuse.
        (ForcedCalls::Unnamed, Some(names)) if request.tools.iter().any(|tool| names.contains(&tool.name)) => {
            request.tools.retain(|tool| names.contains(&tool.name));
            request.options.tool_choice = Some(ToolChoice::Required);
        }
        (ForcedCalls::AtRest, _) => fitting.rest(),
        (ForcedCalls::Unasked, _) if asks => fitting.rest(),
        (ForcedCalls::Taken | ForcedCalls::Unnamed | ForcedCalls::Unasked, _) => {}
    }
    Ok(())
}

/// Where tools go to a dialect that takes none while the model thinks, it is told not to. One that cannot but think is refused.
fn fit_tools(fitting: &mut Fitting<'_, '_>) -> Result<(), Reject> {
    if !fitting.lacks(Field::Tools) {
        return Ok(());
    }
    if !models::can_rest(fitting.manner.model) {
        return Err(fitting.refused(Field::Tools, "tools of a model that always thinks"));
    }
    fitting.rest();
    Ok(())
}

/// Takes off what the model refuses; it is named, unless it is so anyway.
fn fit_sampling(fitting: &mut Fitting<'_, '_>) -> Result<(), Reject> {
    let Manner { model, rules, .. } = fitting.manner;
    let thinks = rules.openai_models && models::thinks(model, fitting.request.options.reasoning);
    let (untaken, when) = match rules.untaken.of(model).map(Untaken::fields) {
        _ if thinks => (untaken::BY_OPENAI_WHILE_THINKING, "what this model refuses while it thinks"),
        Some(fields) => (fields, "what this model refuses"),
        None => return Ok(()),
    };
    let left_out =
        untaken::take_off(untaken, &mut fitting.request.options).map_err(|field| fitting.refused(field, when))?;
    left_out.into_iter().for_each(|field| fitting.leave_out(field));
    Ok(())
}

/// Sends schemas that leave something open without a guarantee where that would be refused; what of them was guaranteed is named. A client
/// whose own dialect has that rule, too, is told of it by the vendor.
///
/// # Errors
/// The dialect has no place for the answer's schema, and there is no other.
fn fit_schemas(fitting: &mut Fitting<'_, '_>) -> Result<(), Reject> {
    if fitting.lacks(Field::JsonSchema) {
        return Err(fitting.refused(Field::JsonSchema, "a schema that the answer must fit"));
    }
    let has_rule_itself = wire(fitting.client).is_some_and(|own| own.closed_schemas);
    if !fitting.target.closed_schemas || has_rule_itself {
        return Ok(());
    }
    let is_open = |schema: Option<&Json<'_>>| !schema.is_some_and(closed::is_closed);
    let mut open_tools = 0;
    for tool in fitting.request.tools.iter_mut().filter(|tool| tool.strict == Some(true)) {
        if is_open(tool.parameters.as_ref()) {
            tool.strict = None;
            open_tools += 1;
        }
    }
    if open_tools > 0 {
        fitting.leave_out(Field::ToolStrict);
    }
    if let Some(Format::Schema { schema, strict: strict @ Some(true), .. }) = &mut fitting.request.options.format
        && is_open(Some(schema))
    {
        *strict = None;
        fitting.leave_out(Field::JsonSchema);
    }
    Ok(())
}

/// Gives names a form that the target takes: Claude Code's `user_id` is a JSON text of 150 characters.
fn shorten_names(fitting: &mut Fitting<'_, '_>) -> Result<(), Reject> {
    if !matches!(fitting.target.dialect, OpenAi | OpenAiResponses) {
        return Ok(());
    }
    for (field, value) in &mut fitting.request.options.plain {
        let Some((_, is_strict)) = NAMES.iter().find(|(own, _)| own == field) else { continue };
        let Ok(name) = serde_json::from_str::<String>(value.as_str()) else { continue };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let is_taken = name.chars().count() <= NAME_CHARS_MAX && (!is_strict || name.chars().all(is_plain));
        if !is_taken {
            *value = Json::of(&digest(&name));
        }
    }
    Ok(())
}

fn digest(name: &str) -> String {
    hex::encode(Sha256::digest(name.as_bytes()))
}

/// Each name once, whatever elements of lists it was in: `tools.format` for `tools[0].format` and `tools[7].format`.
pub(super) fn distinct(names: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(names.len());
    names.into_iter().map(without_indices).filter(|name| seen.insert(name.clone())).collect()
}

fn without_indices(name: String) -> String {
    if !name.contains('[') {
        return name;
    }
    let mut parts = name.split('[');
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => short.push_str(rest),
            _ => short.extend(["[", part]),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::chat::translate_request;
    use serde_json::Value;

    const ASKS: &str = r#""messages":[{"role":"user","content":"Hi"}]"#;

    fn written(client: DialectId, target: DialectId, body: &str, rules: ChatRules) -> (Value, Vec<String>) {
        let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules };
        let translated = translate_request(client, target, body, false, &manner).expect("it can be translated");
        (serde_json::from_slice(&translated.body).expect("JSON"), translated.left_out)
    }

    #[test]
    fn names_of_users_are_such_as_every_vendor_takes_and_always_the_same() {
        let of_claude_code = format!(r#"{{\"device_id\":\"{}\",\"session_id\":\"1\"}}"#, "0".repeat(64));
        for (name, is_kept) in [("user-1_A", true), ("a@example.com", false), (&*of_claude_code, false)] {
            for target in [OpenAi, OpenAiResponses] {
                let body = format!(r#"{{"max_tokens":100,"metadata":{{"user_id":"{name}"}},{ASKS}}}"#);
                let (first, left_out) = written(DialectId::Anthropic, target, &body, ChatRules::default());
                let (second, _) = written(DialectId::Anthropic, target, &body, ChatRules::default());
                let user = first["user"].as_str().expect("a user").to_owned();
                assert_eq!((&second["user"], left_out), (&first["user"], Vec::new()));
                assert_eq!(user == name, is_kept, "{user}");
                assert!(
                    user.len() <= NAME_CHARS_MAX
                        && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
                );
            }
        }
        let body = format!(r#"{{"prompt_cache_key":"a:b","safety_identifier":"{}",{ASKS}}}"#, "x".repeat(65));
        let (chat, _) = written(OpenAi, OpenAiResponses, &body, ChatRules::default());
        assert_eq!(chat["prompt_cache_key"], "a:b");
        assert_eq!(chat["safety_identifier"].as_str().map(str::len), Some(64));
    }

    #[test]
    fn what_a_vendor_refuses_is_left_out_and_said_and_its_seed_has_its_name() {
        let rules: ChatRules =
            serde_json::from_str(r#"{"refuses":["user","metadata","prompt_cache_key","parallel_tool_calls","reasoning_effort"],"random_seed":true}"#)
                .expect("rules");
        let body = r#"{"user":"u","metadata":{"a":"b"},"prompt_cache_key":"k","parallel_tool_calls":false,"seed":5,
            "reasoning_effort":"low","temperature":1,"tools":[{"type":"function","function":{"name":"f"}}],
            "messages":[{"role":"user","content":"Hi"}]}"#;
        let (sent, left_out) = written(OpenAi, OpenAi, body, rules);
        let mut names: Vec<&str> = sent.as_object().expect("an object").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["messages", "model", "random_seed", "temperature", "tools"]);
        let mut left_out: Vec<&str> = left_out.iter().map(String::as_str).collect();
        left_out.sort_unstable();
        assert_eq!(left_out, ["metadata", "parallel_tool_calls", "prompt_cache_key", "reasoning_effort", "user"]);
    }

    #[test]
    fn a_model_that_cannot_be_told_to_think_is_sampled() {
        let body = format!(r#"{{"reasoning_effort":"high","temperature":0.2,{ASKS}}}"#);
        for (refuses, kept, lost) in
            [("[]", "reasoning_effort", "temperature"), (r#"["reasoning_effort"]"#, "temperature", "reasoning_effort")]
        {
            let rules = format!(r#"{{"openai_models":true,"refuses":{refuses}}}"#);
            let rules = serde_json::from_str(&rules).expect("rules");
            let manner = Manner { model: "gpt-5.1", output_tokens_default: 1, asks_for_usage: false, rules };
            let translated = translate_request(OpenAi, OpenAi, &body, false, &manner).expect("it can be translated");
            let sent: Value = serde_json::from_slice(&translated.body).expect("JSON");
            assert_eq!((sent.get(kept).is_some(), sent.get(lost)), (true, None), "{sent}");
            assert_eq!(translated.left_out, [lost]);
        }
    }

    #[test]
    fn without_tools_nothing_is_said_of_them_and_none_must_be_called() {
        let compaction = |choice: &str| {
            format!(r#"{{"input":"Hi","tools":[],"tool_choice":{choice},"parallel_tool_calls":false,"store":false}}"#)
        };
        let targets = || DialectId::ALL.into_iter().chain(DialectId::UPSTREAM_ONLY);
        for choice in [r#""auto""#, r#""none""#] {
            for target in targets().filter(|target| *target != OpenAiResponses) {
                let (sent, left_out) = written(OpenAiResponses, target, &compaction(choice), ChatRules::default());
                let sent = sent.to_string();
                let said = ["tool", "functionCalling"].map(|word| sent.contains(word));
                assert_eq!((said, left_out), ([false; 2], Vec::new()), "{target}: {sent}");
            }
            let body = format!(r#"{{"tool_choice":{choice},"parallel_tool_calls":true,{ASKS}}}"#);
            let (sent, _) = written(OpenAi, OpenAiResponses, &body, ChatRules::default());
            assert!(!sent.to_string().contains("tool"), "{sent}");
        }
        for choice in [r#""required""#, r#"{"type":"function","name":"f"}"#] {
            for target in targets().filter(|target| *target != OpenAiResponses) {
                let rules = ChatRules::default();
                let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules };
                let refusal = translate_request(OpenAiResponses, target, &compaction(choice), false, &manner);
                let refusal = refusal.expect_err("there is nothing to call");
                assert_eq!(refusal.param.as_deref(), Some("tool_choice"), "{target}");
            }
        }
    }

    #[test]
    fn what_is_left_out_of_many_elements_is_named_once() {
        let names = ["tools[0].format", "seed", "tools[12].format", "input[3].content[0].detail", "a[x].b", "seed"];
        let distinct = distinct(names.map(str::to_owned).to_vec());
        assert_eq!(distinct, ["tools.format", "seed", "input.content.detail", "a[x].b"]);
    }
}
