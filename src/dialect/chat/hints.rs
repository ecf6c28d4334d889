//! What of a request's hints goes to one upstream, and in which form: vendors refuse whole requests for what changes no answer.

use super::fields::{self, Field, FieldSet, Otherwise};
use super::json::Json;
use super::openai::models;
use super::request::{ChatRequest, Effort, Options, Reasoning, ToolChoice};
use super::wire::{ChatRules, Manner};
use crate::dialect::DialectId::{self, OpenAi, OpenAiResponses};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fmt::Write;
use tollgate_plugin_api::Reject;

/// OpenAI takes no longer names of users and of caches; a digest of SHA-256 in hexadecimal digits is just as long.
const NAME_CHARS_MAX: usize = 64;

/// What names somebody or something for the provider alone: what it says is of no matter, as long as it is always the same.
/// Whether only letters, digits, `_` and `-` are taken everywhere (DeepSeek refuses others in names of users).
const NAMES: [(Field, bool); 3] =
    [(Field::User, true), (Field::SafetyIdentifier, true), (Field::PromptCacheKey, false)];

/// What OpenAI's models refuse while they think, but for these values: how the next token is drawn, which is left out, and what
/// an answer would not be the same without. (The guide to reasoning; the API reference of `stop`; Azure's page of reasoning
/// models.)
const NOT_WHILE_THINKING: [(Field, Otherwise, &[&str]); 7] = [
    (Field::Temperature, Otherwise::LeftOut, &["1"]),
    (Field::TopP, Otherwise::LeftOut, &["1"]),
    (Field::FrequencyPenalty, Otherwise::LeftOut, &[]),
    (Field::PresencePenalty, Otherwise::LeftOut, &[]),
    (Field::Stop, Otherwise::Refused, &[]),
    (Field::Logprobs, Otherwise::Refused, &[]),
    (Field::LogitBias, Otherwise::Refused, &[]),
];

/// Takes off what is said of tools where there are none: it changes nothing, and providers refuse it (Google: "Function calling
/// config is set without function_declarations"; OpenAI: "'tool_choice' is only allowed when 'tools' are specified"). That one
/// must be called stays, and is refused.
pub(super) fn leave_tools_unsaid(request: &mut ChatRequest<'_>) {
    if request.tools.is_empty() {
        request.options.parallel_tool_calls = None;
        request.options.tool_choice.take_if(|choice| matches!(choice, ToolChoice::Auto | ToolChoice::None));
    }
}

/// Takes off what this vendor refuses; the names of that are added to `left_out`.
pub(super) fn leave_out(options: &mut Options<'_>, refused: FieldSet, client: DialectId, left_out: &mut Vec<String>) {
    options.set().filter(|field| refused.contains(*field)).for_each(|field| fields::push(left_out, field, client));
    options.plain.retain(|(field, _)| !refused.contains(*field));
    if refused.contains(Field::ParallelToolCalls) {
        options.parallel_tool_calls = None;
    }
    if refused.contains(Field::Reasoning) {
        options.reasoning = None;
    }
}

/// Asks models of which it is known for such thinking as they take; where one takes none and some was asked for, that is added
/// to `left_out`.
pub(super) fn fit_reasoning(
    options: &mut Options<'_>,
    manner: &Manner<'_>,
    target: DialectId,
    client: DialectId,
    left_out: &mut Vec<String>,
) {
    let Some(asked) = options.reasoning else { return };
    options.reasoning = match &manner.rules {
        ChatRules { openai_models: true, .. } => models::fitted(manner.model, target, asked),
        ChatRules { efforts, .. } if !efforts.is_empty() => efforts.fitted(manner.model, asked),
        _ => return,
    };
    if options.reasoning.is_none() && wants_some(&asked) {
        fields::push(left_out, Field::Reasoning, client);
    }
}

/// Where there are no thoughts, nothing is lost of a wish for none.
fn wants_some(asked: &Reasoning) -> bool {
    asked.wanted().map_or(asked.visible == Some(true), |effort| effort != Effort::None)
}

/// Whether all of a request can be said by Responses alone: OpenAI's newer models take no tools in chat completions while they
/// think.
pub(super) fn needs_responses(request: &ChatRequest<'_>, manner: &Manner<'_>) -> bool {
    let told = request.options.reasoning;
    let told = told.and_then(|asked| models::fitted(manner.model, OpenAiResponses, asked));
    manner.rules.openai_models && !request.tools.is_empty() && models::needs_responses(manner.model, told)
}

/// Where tools go to chat completions nevertheless, the model is told not to think; what was asked for is added to `left_out`.
/// [`fit_reasoning`] comes first.
///
/// # Errors
/// `INVALID_REQUEST`, naming the tools: it cannot but think.
pub(super) fn fit_tools(
    request: &mut ChatRequest<'_>,
    manner: &Manner<'_>,
    target: DialectId,
    client: DialectId,
    left_out: &mut Vec<String>,
) -> Result<(), Reject> {
    if target != OpenAi || !needs_responses(request, manner) {
        return Ok(());
    }
    if !models::can_rest(manner.model) {
        return Err(fields::refused(Field::Tools, client, target, Some("tools of a model that always thinks")));
    }
    if request.options.reasoning.as_ref().is_some_and(wants_some) {
        fields::push(left_out, Field::Reasoning, client);
    }
    request.options.reasoning = Some(Reasoning { effort: Some(Effort::None), ..Reasoning::default() });
    Ok(())
}

/// Takes off what OpenAI's models refuse while they think; [`fit_reasoning`] comes first. The names of that are added to
/// `left_out`, unless it is so anyway.
///
/// # Errors
/// `INVALID_REQUEST`, naming the field that may not be left out.
pub(super) fn fit_sampling(
    options: &mut Options<'_>,
    manner: &Manner<'_>,
    target: DialectId,
    client: DialectId,
    left_out: &mut Vec<String>,
) -> Result<(), Reject> {
    if !manner.rules.openai_models || !models::thinks(manner.model, options.reasoning) {
        return Ok(());
    }
    let set: Vec<Field> = options.set().collect();
    for (field, otherwise, usual) in NOT_WHILE_THINKING.into_iter().filter(|(field, ..)| set.contains(field)) {
        if otherwise == Otherwise::Refused {
            return Err(fields::refused(field, client, target, Some("what this model refuses while it thinks")));
        }
        if options.plain(field).is_some_and(|value| !fields::is_one_of(usual, value.as_str())) {
            fields::push(left_out, field, client);
        }
        options.plain.retain(|(own, _)| *own != field);
    }
    Ok(())
}

/// Gives names a form that the target takes: Claude Code's `user_id` is a JSON text of 150 characters.
pub(super) fn shorten_names(request: &mut ChatRequest<'_>, target: DialectId) {
    if !matches!(target, OpenAi | OpenAiResponses) {
        return;
    }
    for (field, value) in &mut request.options.plain {
        let Some((_, is_strict)) = NAMES.iter().find(|(own, _)| own == field) else { continue };
        let Ok(name) = serde_json::from_str::<String>(value.as_str()) else { continue };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let is_taken = name.chars().count() <= NAME_CHARS_MAX && (!is_strict || name.chars().all(is_plain));
        if !is_taken {
            *value = Json::of(&digest(&name));
        }
    }
}

fn digest(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().fold(String::with_capacity(NAME_CHARS_MAX), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
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
