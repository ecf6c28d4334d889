//! Where OpenAI's newer models take tools and think as well: in Responses alone.

use crate::dialect::DialectId::{self, Anthropic, Gemini, OpenAi, OpenAiResponses};
use crate::dialect::chat::{ChatRules, Manner, Translated, translate_for};
use serde_json::{Value, json};
use tollgate_plugin_api::Reject;

const BOTH: [DialectId; 2] = [OpenAi, OpenAiResponses];

/// Which of these dialects a model of OpenAI's is asked in, and how.
fn translated(
    client: DialectId,
    targets: &[DialectId],
    model: &str,
    body: &Value,
) -> Result<(DialectId, Translated), Reject> {
    let rules = ChatRules { openai_models: true, max_completion_tokens: true.into(), ..ChatRules::default() };
    let manner = Manner { model, output_tokens_default: 1, asks_for_usage: false, rules };
    translate_for(client, targets, &body.to_string(), false, &manner)
}

/// The dialect, the effort there, and what was left out.
fn told(targets: &[DialectId], model: &str, body: &Value) -> (DialectId, Value, Vec<String>) {
    let (target, translated) = translated(Anthropic, targets, model, body).expect("it can be translated");
    let written: Value = serde_json::from_slice(&translated.body).expect("JSON");
    assert!(written["tools"].is_array(), "{written}");
    let effort = if target == OpenAi { &written["reasoning_effort"] } else { &written["reasoning"]["effort"] };
    (target, effort.clone(), translated.left_out)
}

/// As Claude Code asks, with this beside.
fn asks(members: Value) -> Value {
    let mut body = json!({"max_tokens": 32_000, "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    body
}

fn thinking() -> Value {
    json!({"thinking": {"type": "enabled", "budget_tokens": 31_999}})
}

#[test]
fn a_model_that_thinks_gets_its_tools_in_responses() {
    let (thinks, says_nothing) = (asks(thinking()), asks(json!({})));
    for model in ["gpt-5.4", "gpt-5.4-pro", "gpt-5.5-2026-04-23", "gpt-5.6-terra", "gpt-6-luna", "gpt-6.1-terra"] {
        assert_eq!(told(&BOTH, model, &thinks), (OpenAiResponses, json!("high"), vec![]), "{model}");
    }
    for model in ["gpt-5", "gpt-5.1", "gpt-5.2", "o3"] {
        assert_eq!(told(&BOTH, model, &thinks), (OpenAi, json!("high"), vec![]), "{model}");
    }
    // Without a word these think, too; 5.4 does not.
    assert_eq!(told(&BOTH, "gpt-5.6-sol", &says_nothing), (OpenAiResponses, Value::Null, vec![]));
    assert_eq!(told(&BOTH, "gpt-5.4", &says_nothing), (OpenAi, Value::Null, vec![]));
    let off = asks(json!({"thinking": {"type": "disabled"}}));
    assert_eq!(told(&BOTH, "gpt-6-sol", &off), (OpenAi, json!("none"), vec![]));
    // Without tools there is nothing that chat completions refuse.
    let mut no_tools = thinks;
    no_tools["tools"] = json!([]);
    let (target, _) = translated(Anthropic, &BOTH, "gpt-6-sol", &no_tools).expect("it can be translated");
    assert_eq!(target, OpenAi);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}});
    let (target, _) = translated(Gemini, &BOTH, "gpt-5.5", &gemini).expect("it can be translated");
    assert_eq!(target, OpenAiResponses);
}

#[test]
fn what_responses_cannot_say_goes_to_chat_completions_without_thinking() {
    let mut body = asks(thinking());
    body["stop_sequences"] = json!(["END"]);
    let lost = vec!["thinking".to_owned()];
    assert_eq!(told(&BOTH, "gpt-5.5", &body), (OpenAi, json!("none"), lost.clone()));
    assert_eq!(told(&[OpenAi], "gpt-5.5", &asks(thinking())), (OpenAi, json!("none"), lost));
    // Nothing was asked for that is lost.
    assert_eq!(told(&[OpenAi], "gpt-5.6-sol", &asks(json!({}))), (OpenAi, json!("none"), vec![]));
    // One that cannot but think takes tools nowhere else: what is refused is what Responses lack.
    let refusal = translated(Anthropic, &BOTH, "gpt-6.1-sol", &body).expect_err("it cannot be said");
    assert_eq!(refusal.param.as_deref(), Some("stop_sequences"));
    let refusal = translated(Anthropic, &[OpenAi], "gpt-6.1-sol", &asks(thinking())).expect_err("it cannot be said");
    assert_eq!(refusal.param.as_deref(), Some("tools"));
}
