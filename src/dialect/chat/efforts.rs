//! Which efforts a vendor's models take: a table of its row, by how the names of models begin.

use super::by_model::ByModel;
use super::request::{Effort, Reasoning};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// What the models of one vendor take; of one that is not listed, none. A vendor whose table is empty is asked for what the client
/// asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Efforts(ByModel<Vec<Effort>>);

impl Efforts {
    /// Whether nothing is known of this vendor's models.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a model is to be told: the nearest that it takes. `None`: nothing, for it takes no such thing, or none but `none`,
    /// and thinks as hard as it does anyway.
    pub(super) fn fitted(&self, model: &str, asked: Reasoning) -> Option<Reasoning> {
        let taken = self.0.of(model).filter(|taken| !taken.is_empty())?;
        let Some(wanted) = asked.wanted() else { return Some(asked) };
        let is_fit = |effort: &&Effort| wanted == Effort::None || **effort != Effort::None;
        let taken = || taken.iter().copied().filter(|effort| is_fit(&effort));
        let nearest = taken().filter(|effort| *effort <= wanted).max().or_else(|| taken().min());
        Some(Reasoning { effort: Some(nearest?), ..asked })
    }
}

impl<'de> Deserialize<'de> for Effort {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        Self::parse(&word).ok_or_else(|| D::Error::custom(format!("`{word}` is no effort")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DialectId::{Anthropic, OpenAi, OpenAiResponses};
    use crate::dialect::chat::{Manner, translate_request};
    use crate::provider::providers;
    use serde_json::{Value, json};

    /// What a vendor's model is told of this, and what the client hears of it.
    fn told(vendor: &str, model: &str, word: &str) -> (Value, Vec<String>) {
        let rules = providers()[vendor].chat.clone();
        let manner = Manner { model, output_tokens_default: 1, asks_for_usage: false, rules };
        let body = json!({"input": "Hi", "reasoning": {"effort": word}}).to_string();
        let translated = translate_request(OpenAiResponses, OpenAi, &body, false, &manner).expect("it can be");
        let written: Value = serde_json::from_slice(&translated.body).expect("JSON");
        (written.get("reasoning_effort").cloned().unwrap_or_default(), translated.left_out)
    }

    #[test]
    fn a_model_gets_the_nearest_effort_that_its_vendors_row_lists() {
        for (vendor, model, asked, expected) in [
            ("groq", "openai/gpt-oss-120b", "none", "low"),
            ("groq", "openai/gpt-oss-20b", "medium", "medium"),
            ("groq", "openai/gpt-oss-120b", "max", "high"),
            ("groq", "qwen/qwen3-32b", "none", "none"),
            ("mistral", "mistral-small-latest", "medium", "high"),
            ("mistral", "mistral-medium-3-5", "none", "none"),
            ("xai", "grok-4.7", "minimal", "low"),
            ("xai", "grok-4.6", "max", "xhigh"),
            ("xai", "grok-4.5", "xhigh", "high"),
            ("xai", "grok-4.3", "none", "none"),
            ("xai", "grok-9", "none", "low"),
            ("cerebras", "gpt-oss-120b", "none", "low"),
            ("cerebras", "qwen-3.8-27b", "none", "none"),
            ("moonshot", "kimi-k3.1-pro", "medium", "low"),
            ("together", "zai-org/GLM-5.3", "minimal", "minimal"),
        ] {
            assert_eq!(told(vendor, model, asked), (json!(expected), vec![]), "{vendor} {model} {asked}");
        }
    }

    #[test]
    fn a_model_that_takes_none_is_told_nothing() {
        for (vendor, model) in [
            ("groq", "llama-3.3-70b-versatile"),
            ("groq", "qwen/qwen3-32b"),
            ("mistral", "mistral-large-latest"),
            ("mistral", "codestral-latest"),
            ("mistral", "mistral-small-2506"),
            ("xai", "grok-4-1-fast-reasoning"),
            ("xai", "grok-code-fast-1"),
            ("xai", "grok-build-0.1"),
            ("moonshot", "kimi-k2.7-code"),
        ] {
            let (said, left_out) = told(vendor, model, "high");
            assert_eq!((said, left_out), (Value::Null, vec!["reasoning".to_owned()]), "{vendor} {model}");
        }
        // It does not think anyway: nothing is lost.
        assert_eq!(told("mistral", "mistral-large-latest", "none"), (Value::Null, vec![]));
    }

    #[test]
    fn a_budget_is_an_effort_where_only_these_are_taken() {
        let rules = providers()["mistral"].chat.clone();
        let manner = Manner { model: "mistral-small-latest", output_tokens_default: 1, asks_for_usage: false, rules };
        let body = json!({"max_tokens": 40_000, "thinking": {"type": "enabled", "budget_tokens": 2_000},
            "messages": [{"role": "user", "content": "Hi"}]});
        let translated = translate_request(Anthropic, OpenAi, &body.to_string(), false, &manner).expect("it can be");
        let written: Value = serde_json::from_slice(&translated.body).expect("JSON");
        assert_eq!(written["reasoning_effort"], "high");
    }

    #[test]
    fn words_that_are_no_efforts_are_refused_and_the_longer_beginning_counts() {
        let read = |text: &str| serde_json::from_str::<Efforts>(text);
        assert!(read(r#"{"m":["default"]}"#).is_err());
        let efforts = read(r#"{"m":["low"],"m-1":["high"]}"#).expect("efforts");
        let asked = Reasoning { effort: Some(Effort::Medium), ..Reasoning::default() };
        let told = |model| efforts.fitted(model, asked).and_then(|told| told.effort);
        assert_eq!((told("m-2"), told("m-1b"), told("n")), (Some(Effort::Low), Some(Effort::High), None));
    }
}
