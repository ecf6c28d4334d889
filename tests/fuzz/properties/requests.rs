//! Requests of one client dialect, for upstreams of every other.

use super::input::Input;
use super::json::assert_object;
use serde_json::Value;
use tollgate::dialect::DialectId;
use tollgate::dialect::answer::reject_body;
use tollgate::dialect::chat::{ChatRules, Manner, ReasoningForm, translate_request};

/// Every dialect that upstreams speak.
pub(crate) fn upstreams() -> impl Iterator<Item = DialectId> {
    DialectId::ALL.into_iter().chain(DialectId::UPSTREAM_ONLY)
}

fn manner(input: &Input<'_>) -> Manner<'static> {
    let forms = [ReasoningForm::Effort, ReasoningForm::Object, ReasoningForm::Thinking, ReasoningForm::EnableThinking];
    let models =
        ["m", "gpt-5", "claude-opus-4-5", "gemini-3-pro", "qwen3.5-plus", "us.anthropic.claude-sonnet-4-5-v1:0"];
    let rules = ChatRules {
        max_completion_tokens: input.says(0).into(),
        developer_role: input.says(1),
        takes_reasoning: input.says(2),
        reasoning: input.choose(&forms).into(),
        openai_models: input.says(5),
        ..ChatRules::default()
    };
    Manner { model: input.choose(&models), output_tokens_default: 4096, asks_for_usage: input.says(3), rules }
}

/// What is written is a JSON object; its own dialect's reader takes it, and it then means the same.
pub(crate) fn translate(client: DialectId, input: &Input<'_>) {
    let Some(body) = input.text() else { return };
    let (manner, stream) = (manner(input), input.says(4));
    for target in upstreams() {
        let what = format!("{client} to {target}");
        let written = match translate_request(client, target, body, stream, &manner) {
            Ok(translated) => translated.body,
            Err(refusal) => {
                assert!(refusal.message.as_deref().is_some_and(|words| !words.is_empty()), "{what}: {refusal:?}");
                assert_object(&reject_body(client, &refusal, "r1"), &what);
                continue;
            }
        };
        assert_object(&written, &what);
        if DialectId::ALL.contains(&target) {
            let text = std::str::from_utf8(&written).expect("UTF-8");
            let again = translate_request(target, target, text, stream, &manner)
                .unwrap_or_else(|refusal| panic!("{what}: {refusal:?}: {text}"));
            // The first reading may add what the dialect takes for granted; there is nothing to add the second time.
            let text = std::str::from_utf8(&again.body).expect("UTF-8");
            let third = translate_request(target, target, text, stream, &manner)
                .unwrap_or_else(|refusal| panic!("{what}: {refusal:?}: {text}"));
            let value = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
            assert_eq!(value(&third.body), value(&again.body), "{what}: another request whenever it is read");
        }
    }
}
