//! What vendors' own models refuse of requests that others take: the rows of `providers.toml`, as requests by translation show them.

use crate::dialect::DialectId::{self, Anthropic, Gemini, OpenAi, OpenAiResponses};
use crate::dialect::chat::{Manner, translate_for};
use crate::provider::providers;
use serde_json::{Value, json};
use tollgate_plugin_api::Reject;

/// What a vendor's model is sent: in which dialect, what, and what was left out.
fn sent(vendor: &str, model: &str, client: DialectId, body: &Value) -> Result<(DialectId, Value, Vec<String>), Reject> {
    let provider = &providers()[vendor];
    let rules = provider.chat.clone();
    let manner = Manner { model, output_tokens_default: 1, asks_for_usage: false, rules };
    let (dialect, translated) = translate_for(client, &provider.dialects, &body.to_string(), false, &manner)?;
    Ok((dialect, serde_json::from_slice(&translated.body).expect("JSON"), translated.left_out))
}

/// An Anthropic client's request with these members.
fn with(members: Value) -> Value {
    let mut body = json!({"max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    body
}

/// The same where one of two tools must be called: this one or any.
fn forced(name: Option<&str>, members: Value) -> Value {
    let mut body = with(members);
    body["tools"] = ["f", "g"].map(|name| json!({"name": name, "input_schema": {"type": "object"}})).into();
    body["tool_choice"] = name.map_or(json!({"type": "any"}), |name| json!({"type": "tool", "name": name}));
    body
}

fn refused(vendor: &str, model: &str, body: &Value) -> Option<String> {
    sent(vendor, model, Anthropic, body).expect_err("it is refused").param.map(|param| param.to_string())
}

#[test]
fn a_call_that_must_be_made_costs_a_model_its_thoughts_where_it_takes_none_with_them() {
    let (nothing, left_out): (_, Vec<String>) = (json!({}), vec![]);
    let at_rest = json!({"thinking": {"type": "disabled"}});
    let not_enabled = json!({"enable_thinking": false});
    for (vendor, model, expected) in [
        ("deepseek", "deepseek-v4-pro", &at_rest),
        ("moonshot", "kimi-k2.6", &at_rest),
        ("qwen", "qwen3.7-plus", &not_enabled),
        ("qwen", "qwen-plus", &nothing),
        ("zhipu", "glm-5.3", &nothing),
    ] {
        for name in [Some("f"), None] {
            let (dialect, body, unsaid) = sent(vendor, model, Anthropic, &forced(name, json!({}))).expect(model);
            assert_eq!((dialect, &unsaid), (OpenAi, &left_out), "{model}");
            for member in ["thinking", "enable_thinking"] {
                assert_eq!(body.get(member), expected.get(member), "{model}");
            }
            let choice = &body["tool_choice"];
            assert_eq!(choice.pointer("/function/name").or(Some(choice)), Some(&json!(name.unwrap_or("required"))));
        }
    }
    // That it was asked to think is told.
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}, "max_tokens": 4_000});
    for (vendor, model) in [("deepseek", "deepseek-flash"), ("moonshot", "kimi-k2.5"), ("qwen", "qwen-plus")] {
        let (_, body, unsaid) = sent(vendor, model, Anthropic, &forced(None, thinking.clone())).expect(model);
        let told = body.get("enable_thinking").or(body.pointer("/thinking/type")).cloned();
        assert!(told == Some(json!(false)) || told == Some(json!("disabled")), "{model}: {body}");
        assert_eq!(unsaid, ["thinking"], "{model}");
    }
    // Who may call or not, thinks.
    let free = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto"}});
    let (_, body, _) = sent("deepseek", "deepseek-flash", Anthropic, &with(free)).expect("it is taken");
    assert_eq!((body.get("thinking"), &body["tool_choice"]), (None, &json!("auto")));
}

#[test]
fn a_model_that_always_thinks_is_offered_one_tool_or_none_can_be_forced() {
    let (_, body, unsaid) = sent("moonshot", "kimi-k3", Anthropic, &forced(Some("g"), json!({}))).expect("it is taken");
    assert_eq!((&body["tool_choice"], unsaid), (&json!("required"), Vec::<String>::new()));
    assert_eq!(body["tools"].as_array().expect("tools").len(), 1);
    assert_eq!((&body["tools"][0]["function"]["name"], body.get("thinking")), (&json!("g"), None));
    let (_, body, _) = sent("moonshot", "kimi-k3", Anthropic, &forced(None, json!({}))).expect("it is taken");
    assert_eq!(body["tools"].as_array().expect("tools").len(), 2);
    // One that is not offered is the vendor's to refuse.
    let (_, body, _) =
        sent("moonshot", "kimi-k3", Anthropic, &forced(Some("other"), json!({}))).expect("it is written");
    assert_eq!(body["tools"].as_array().expect("tools").len(), 2);
    assert_eq!(body["tool_choice"]["function"]["name"], "other");
    assert_eq!(refused("moonshot", "kimi-k2.7-code", &forced(None, json!({}))).as_deref(), Some("tool_choice"));
}

#[test]
fn a_schema_that_chat_completions_do_not_know_goes_by_responses() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let (dialect, body, unsaid) = sent("deepseek", "deepseek-v4-pro", Anthropic, &with(format.clone())).expect("it is");
    assert_eq!((dialect, unsaid), (OpenAiResponses, vec![]));
    assert_eq!((&body["text"]["format"]["type"], &body["text"]["format"]["schema"]), (&json!("json_schema"), &schema));
    // JSON of no schema, and schemas elsewhere, stay where they were.
    let json = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"responseMimeType": "application/json"}});
    assert_eq!(sent("deepseek", "deepseek-v4-pro", Gemini, &json).expect("it is").0, OpenAi);
    assert_eq!(sent("xai", "grok-4.7", Anthropic, &with(format.clone())).expect("it is").0, OpenAi);
    // Responses have no ends of the client's: nobody can say all of it.
    let mut both = with(format);
    both["stop_sequences"] = json!(["x"]);
    assert_eq!(refused("deepseek", "deepseek-v4-pro", &both).as_deref(), Some("stop_sequences"));
}

#[test]
fn what_models_refuse_of_sampling_is_left_out_or_refused_by_name() {
    let sampled = with(json!({"temperature": 0.2, "top_p": 1}));
    for (vendor, model, kept) in [
        ("moonshot", "kimi-k2.6", false),
        ("moonshot", "kimi-k3.1-pro", false),
        ("moonshot", "moonshot-v1-8k", true),
        ("xai", "grok-4.7", true),
    ] {
        let (_, body, unsaid) = sent(vendor, model, Anthropic, &sampled).expect(model);
        assert_eq!((body.get("temperature").is_some(), body.get("top_p").is_some()), (kept, kept), "{model}");
        assert_eq!(unsaid, if kept { vec![] } else { vec!["temperature"] }, "{model}");
    }
    let ends = with(json!({"stop_sequences": ["x"]}));
    assert_eq!(refused("xai", "grok-4-1-fast-reasoning", &ends).as_deref(), Some("stop_sequences"));
    let (_, body, _) = sent("xai", "grok-4-1-fast-non-reasoning", Anthropic, &ends).expect("it is taken");
    assert_eq!(body["stop"], json!(["x"]));
    let penalties = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"presencePenalty": 0.5, "temperature": 0.5}});
    let (_, body, unsaid) = sent("xai", "grok-4.5", Gemini, &penalties).expect("it is taken");
    assert_eq!((body.get("presence_penalty"), &body["temperature"]), (None, &json!(0.5)));
    assert_eq!(unsaid, ["generationConfig.presencePenalty"]);
}

#[test]
fn each_of_moonshots_models_is_told_to_think_as_it_can_be() {
    let asked = |effort: &str| with(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}));
    let off = with(json!({"thinking": {"type": "disabled"}}));
    for (model, body, expected) in [
        ("kimi-k2.6", asked("low"), json!({"thinking": {"type": "enabled"}})),
        ("kimi-k2.6", off.clone(), json!({"thinking": {"type": "disabled"}})),
        ("kimi-k3", asked("low"), json!({"reasoning_effort": "low"})),
        ("kimi-k3", off.clone(), json!({"reasoning_effort": "low"})),
        ("kimi-k2.7-code", off, json!({})),
    ] {
        let (_, written, _) = sent("moonshot", model, Anthropic, &body).expect(model);
        for member in ["thinking", "reasoning_effort"] {
            assert_eq!(written.get(member), expected.get(member), "{model}");
        }
    }
}

/// Who switches thoughts on and off alone, and whose models know some efforts, as the rows have it.
#[test]
fn other_vendors_models_are_told_to_think_as_they_can_be() {
    let asked = |effort: &str| with(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}));
    let off = with(json!({"thinking": {"type": "disabled"}}));
    let (nothing, enabled, disabled) =
        (json!({}), json!({"thinking": {"type": "enabled"}}), json!({"thinking": {"type": "disabled"}}));
    let effort = |word: &str| json!({"reasoning_effort": word});
    for (vendor, model, body, expected) in [
        ("minimax", "MiniMax-M3", &off, &disabled),
        ("minimax", "MiniMax-M3", &asked("high"), &nothing),
        ("minimax", "MiniMax-M3.1-Flash", &off, &nothing),
        ("minimax", "MiniMax-M2.7", &off, &nothing),
        ("volcengine", "doubao-seed-1-6-250615", &asked("low"), &enabled),
        ("volcengine", "ep-20260101-x", &off, &disabled),
        ("tencent", "hy3-preview", &asked("low"), &enabled),
        ("tencent", "hy3-preview", &off, &disabled),
        ("tencent", "minimax-m3", &asked("high"), &nothing),
        ("tencent", "minimax-m3", &off, &disabled),
        ("tencent", "minimax-m2.7", &off, &nothing),
        ("qianfan", "ernie-x1", &off, &json!({"enable_thinking": false})),
        ("zai", "glm-5.3", &off, &disabled),
        ("stepfun", "step-3.7-flash", &asked("max"), &effort("high")),
        ("stepfun", "step-3.5-flash-2603", &asked("medium"), &effort("low")),
        ("stepfun", "step-3.5-flash", &asked("medium"), &nothing),
        ("deepinfra", "zai-org/GLM-5.2", &off, &effort("none")),
        ("deepinfra", "zai-org/GLM-5.2", &asked("max"), &effort("high")),
        ("nebius", "openai/gpt-oss-120b", &asked("low"), &effort("low")),
    ] {
        let (_, written, _) = sent(vendor, model, Anthropic, body).expect(model);
        for member in ["thinking", "reasoning_effort", "enable_thinking"] {
            assert_eq!(written.get(member), expected.get(member), "{vendor} {model} {member}");
        }
    }
}

#[test]
fn the_limit_has_the_name_that_the_vendor_knows() {
    for (vendor, newer) in [
        ("minimax", true),
        ("qianfan", true),
        ("snowflake", true),
        ("volcengine", false),
        ("deepinfra", false),
        ("cloudflare", false),
    ] {
        let (_, body, _) = sent(vendor, "m", Anthropic, &with(json!({}))).expect("it is taken");
        let has = |name: &str| body.get(name) == Some(&json!(100));
        assert_eq!((has("max_completion_tokens"), has("max_tokens")), (newer, !newer), "{vendor}: {body}");
    }
    // One that limits thoughts, too, where only some models know it.
    for (vendor, model, newer) in [
        ("qwen", "qwen3.7-max", true),
        ("qwen", "qwen3.6-flash", false),
        ("qwen", "qwen-plus", false),
        ("volcengine", "doubao-seed-1-6-250615", true),
        ("volcengine", "ep-20260101-x", false),
    ] {
        let (_, body, _) = sent(vendor, model, Anthropic, &with(json!({}))).expect("it is taken");
        assert_eq!(body.get("max_completion_tokens").is_some(), newer, "{vendor} {model}: {body}");
        assert_eq!(body.get("max_tokens").is_some(), !newer, "{vendor} {model}: {body}");
    }
}

#[test]
fn mistrals_models_get_ids_turns_and_beginnings_as_their_own_checks_want_them() {
    let body = with(json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Let me look"},
            {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "f", "input": {}},
            {"type": "tool_use", "id": "abcDEF012", "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_01A09q90qw90lq917835lq9", "content": "15"},
            {"type": "tool_result", "tool_use_id": "abcDEF012", "content": "16"},
            {"type": "text", "text": "And now?"}]},
        {"role": "assistant", "content": "It is"}]}));
    let roles = |messages: &Value| -> Vec<String> {
        let role = |message: &Value| message["role"].as_str().unwrap_or_default().to_owned();
        messages.as_array().expect("messages").iter().map(role).collect()
    };
    for (vendor, model) in [
        ("mistral", "mistral-large-latest"),
        ("openrouter", "mistralai/mistral-large-2512"),
        ("nvidia", "mistralai/mistral-small-4-119b-2603"),
    ] {
        let (_, sent, left_out) = sent(vendor, model, Anthropic, &body).expect(model);
        let messages = &sent["messages"];
        assert_eq!(roles(messages), ["user", "assistant", "tool", "tool", "assistant", "user", "assistant"], "{model}");
        let id = messages[1]["tool_calls"][0]["id"].as_str().expect("an id").to_owned();
        assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        assert_eq!(messages[2]["tool_call_id"], *id);
        assert_eq!(messages[1]["tool_calls"][1]["id"], "abcDEF012");
        assert_eq!(messages[3]["tool_call_id"], "abcDEF012");
        assert!(messages[4]["content"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!((&messages[6]["content"], &messages[6]["prefix"]), (&json!("It is"), &json!(true)));
        assert_eq!((messages[1].get("prefix"), left_out), (None, vec![]));
    }
    let (_, sent, _) = sent("openrouter", "openai/gpt-4o", Anthropic, &body).expect("it is taken");
    assert_eq!(roles(&sent["messages"]), ["user", "assistant", "tool", "tool", "user", "assistant"]);
    assert_eq!(sent["messages"][2]["tool_call_id"], "toolu_01A09q90qw90lq917835lq9");
}

#[test]
fn instructions_behind_a_models_words_are_the_users_for_mistrals_models() {
    let body = json!({"input": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "developer", "content": "Be kind."},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
        {"role": "developer", "content": "Be quick."}]});
    for (vendor, model, last) in [("mistral", "mistral-large-latest", "user"), ("groq", "openai/gpt-oss-20b", "system")]
    {
        let rules = providers()[vendor].chat.clone();
        let manner = Manner { model, output_tokens_default: 1, asks_for_usage: false, rules };
        let translated =
            crate::dialect::chat::translate_request(OpenAiResponses, OpenAi, &body.to_string(), false, &manner);
        let sent: Value = serde_json::from_slice(&translated.expect("it is taken").body).expect("JSON");
        let roles: Vec<&Value> = sent["messages"].as_array().expect("messages").iter().map(|m| &m["role"]).collect();
        assert_eq!(roles, ["system", "user", "system", "assistant", last], "{vendor}");
    }
}
