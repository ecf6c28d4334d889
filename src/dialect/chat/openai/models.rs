//! How hard OpenAI's models can be told to think. They refuse a whole request for an effort that is not one of theirs
//! (`unsupported_value`), those that do not think refuse any, and those that do refuse to be sampled meanwhile
//! (`unsupported_parameter`).
//!
//! The table need not grow: a model that is in none of its families is sent what was asked for.
//!
//! developers.openai.com: the guide to reasoning, that to the latest model ("When reasoning effort is not `none`, remove
//! `temperature`, `top_p`, and `top_logprobs`"), the pages of the models; what these leave open, as the API's own refusals have
//! it ("Supported values are: …").

use crate::dialect::DialectId;
use crate::dialect::chat::request::{ChatRequest, Effort, Reasoning};
use crate::dialect::chat::wire::Manner;
use Effort::{ExtraHigh, High, Low, Max, Medium, Minimal};

/// What a family of models takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Nothing.
    Nothing,
    /// An effort between these; they cannot but think.
    Always(Effort, Effort),
    /// The same, or `none`; without a word they think.
    OrNone(Effort, Effort),
    /// The same, or `none`, which is what they do without a word.
    IfAsked(Effort, Effort),
}
use Takes::{Always, IfAsked, Nothing, OrNone};

/// By how a model's name begins, and what it has behind that; the first that fits. (Of `-chat` some take `medium`, which is
/// theirs anyway.)
#[rustfmt::skip]
const FAMILIES: [(&str, &str, Takes); 37] = [
    ("gpt-", "-chat", Nothing), ("chatgpt-", "", Nothing), ("gpt-audio", "", Nothing), ("gpt-5", "-search", Nothing),
    ("gpt-3.5", "", Nothing), ("gpt-35", "", Nothing), ("gpt-4", "", Nothing), ("gpt-4o", "", Nothing),
    ("gpt-4.1", "", Nothing), ("gpt-4.5", "", Nothing), ("o1", "-mini", Nothing), ("o1", "-preview", Nothing),
    ("o3", "-deep-research", Always(Medium, Medium)), ("o4", "-deep-research", Always(Medium, Medium)),
    ("o1", "", Always(Low, High)), ("o3", "", Always(Low, High)), ("o4", "", Always(Low, High)),
    ("codex-mini", "", Always(Low, High)),
    ("gpt-5", "-pro", Always(High, High)), ("gpt-5", "-codex", Always(Low, High)), ("gpt-5", "", Always(Minimal, High)),
    ("gpt-5.1", "-codex-max", Always(Low, ExtraHigh)), ("gpt-5.1", "-codex", Always(Low, High)),
    ("gpt-5.1", "", IfAsked(Low, High)),
    ("gpt-5.2", "-pro", Always(Medium, ExtraHigh)), ("gpt-5.2", "-codex", Always(Low, ExtraHigh)),
    ("gpt-5.2", "", IfAsked(Low, ExtraHigh)), ("gpt-5.3", "-codex", Always(Low, ExtraHigh)),
    ("gpt-5.4", "-pro", Always(Medium, ExtraHigh)), ("gpt-5.4", "", IfAsked(Low, ExtraHigh)),
    ("gpt-5.5", "-pro", Always(Medium, ExtraHigh)), ("gpt-5.5", "", OrNone(Low, ExtraHigh)),
    ("gpt-5.6", "", OrNone(Low, Max)), ("gpt-6", "-astra", Always(Low, Max)), ("gpt-6", "", OrNone(Low, Max)),
    ("gpt-6.1", "-sol", Always(Low, Max)), ("gpt-6.1", "", OrNone(Low, Max)),
];
/// Of these, by how their names begin, chat completions take no tools while they think ("Function tools with reasoning_effort
/// are not supported … To use function tools, use /v1/responses or set reasoning_effort to 'none'").
const TOOLS_ELSEWHERE: [&str; 5] = ["gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6", "gpt-6.1"];
/// Before the name of a model that somebody has trained further.
const FINE_TUNED: &str = "ft:";

/// What this model is to be told; `None`: nothing, for it takes no such thing.
pub(in crate::dialect::chat) fn fitted(model: &str, target: DialectId, asked: Reasoning) -> Option<Reasoning> {
    let (least, most, off) = match takes(model) {
        None => return Some(asked),
        Some(Nothing) => return None,
        Some(Always(least, most)) => (least, most, false),
        Some(OrNone(least, most) | IfAsked(least, most)) => (least, most, true),
    };
    // Chat completions refuse `max` of every model, Responses do not.
    let most = if target == DialectId::OpenAi { most.min(ExtraHigh) } else { most };
    let effort =
        asked.wanted().map(|effort| if off && effort == Effort::None { effort } else { effort.clamp(least, most) });
    Some(Reasoning { effort, ..asked })
}

/// Whether the tools of a request are taken in Responses alone, where the model is told what was asked for.
pub(in crate::dialect::chat) fn has_tools_elsewhere(request: &ChatRequest<'_>, manner: &Manner<'_>) -> bool {
    let is_of = |(beginning, ..): (&str, &str, Takes)| TOOLS_ELSEWHERE.contains(&beginning);
    let asked = request.options.reasoning;
    let told = || asked.and_then(|asked| fitted(manner.model, DialectId::OpenAiResponses, asked));
    manner.rules.openai_models
        && !request.tools.is_empty()
        && family(manner.model).is_some_and(is_of)
        && thinks(manner.model, told())
}

/// Whether this model can be told not to think.
pub(in crate::dialect::chat) fn can_rest(model: &str) -> bool {
    matches!(takes(model), Some(OrNone(..) | IfAsked(..)))
}

/// Whether this model thinks, where it is told this.
pub(in crate::dialect::chat) fn thinks(model: &str, told: Option<Reasoning>) -> bool {
    let effort = told.and_then(|told| told.wanted());
    match takes(model) {
        None | Some(Nothing) => false,
        Some(Always(..)) => true,
        Some(OrNone(..)) => effort != Some(Effort::None),
        Some(IfAsked(..)) => effort.is_some_and(|effort| effort != Effort::None),
    }
}

fn takes(model: &str) -> Option<Takes> {
    family(model).map(|(.., takes)| takes)
}

fn family(model: &str) -> Option<(&'static str, &'static str, Takes)> {
    let name = model.strip_prefix(FINE_TUNED).unwrap_or(model);
    let is_of = |(beginning, part, _): &(&str, &str, Takes)| {
        let rest = name.strip_prefix(beginning).filter(|rest| beginning.ends_with('-') || is_end(rest));
        rest.is_some_and(|rest| {
            rest.match_indices(part).any(|(at, _)| is_end(&rest[at + part.len()..]) || part.is_empty())
        })
    };
    FAMILIES.into_iter().find(is_of)
}

/// Whether a word ends before this: `gpt-5.1` is no `gpt-5`, and a deployment `gpt-5-prod` no `gpt-5-pro`.
fn is_end(rest: &str) -> bool {
    !rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '.')
}

#[cfg(test)]
mod tests {
    use super::Effort;
    use crate::dialect::DialectId::{self, Anthropic, Gemini, OpenAi, OpenAiResponses};
    use crate::dialect::chat::{ChatRules, Manner, translate_request};
    use serde_json::{Value, json};

    /// What a model is told, and what the client hears of it.
    fn told(client: DialectId, target: DialectId, model: &str, body: &Value) -> (Value, Vec<String>) {
        let rules = ChatRules { openai_models: true, ..ChatRules::default() };
        with_rules(client, target, model, body, rules)
    }

    fn with_rules(
        client: DialectId,
        target: DialectId,
        model: &str,
        body: &Value,
        rules: ChatRules,
    ) -> (Value, Vec<String>) {
        let manner = Manner { model, output_tokens_default: 1, asks_for_usage: false, rules };
        let translated = translate_request(client, target, &body.to_string(), false, &manner).expect("it can be");
        let mut written: Value = serde_json::from_slice(&translated.body).expect("JSON");
        let members = written.as_object_mut().expect("an object");
        let said = [&["reasoning_effort"][..], &["reasoning", "include"]].concat();
        let said: Vec<_> = said.iter().filter_map(|name| members.remove_entry(*name)).collect();
        (Value::from_iter(said), translated.left_out)
    }

    /// A conversation of a client of each dialect, with this to say of thinking.
    fn request(client: DialectId, thinking: Value) -> Value {
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let mut body = match client {
            Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
            OpenAiResponses => json!({"input": "Hi"}),
            Anthropic => json!({"max_tokens": 100, "messages": messages}),
            _ => json!({"messages": messages}),
        };
        let members = thinking.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(members);
        body
    }

    fn effort(word: &str) -> Value {
        request(OpenAiResponses, json!({"reasoning": {"effort": word}}))
    }

    #[test]
    fn a_model_that_does_not_think_is_told_nothing() {
        let none = json!({});
        let off = [
            (Anthropic, json!({"thinking": {"type": "disabled"}})),
            (Gemini, json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}})),
        ];
        let on = [
            (Anthropic, json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}), "thinking"),
            (Anthropic, json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}), "thinking"),
            (
                Gemini,
                json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}}),
                "generationConfig.thinkingConfig",
            ),
        ];
        let models = [
            "gpt-4o",
            "gpt-4o-mini-2024-07-18",
            "gpt-4",
            "gpt-4-turbo",
            "gpt-4.1-nano",
            "gpt-4.5-preview",
            "gpt-3.5-turbo",
            "gpt-35-turbo",
            "chatgpt-4o-latest",
            "gpt-5-chat-latest",
            "gpt-5.3-chat-latest",
            "o1-mini",
            "ft:gpt-4.1-mini-2025-04-14:acme::1",
        ];
        for model in models {
            for target in [OpenAi, OpenAiResponses] {
                for (client, thinking) in &off {
                    // That is how it is: nothing is lost.
                    let (said, left_out) = told(*client, target, model, &request(*client, thinking.clone()));
                    assert_eq!((said, left_out), (none.clone(), Vec::new()), "{client} {target} {model}");
                }
                for (client, thinking, name) in &on {
                    let (said, left_out) = told(*client, target, model, &request(*client, thinking.clone()));
                    assert_eq!((said, left_out), (none.clone(), vec![(*name).to_owned()]), "{client} {target} {model}");
                }
            }
        }
    }

    #[test]
    fn a_model_that_thinks_gets_the_nearest_that_it_takes() {
        for (model, asked, in_chat, in_responses) in [
            ("gpt-5", "none", "minimal", "minimal"),
            ("gpt-5-mini-2025-08-07", "xhigh", "high", "high"),
            ("gpt-5-codex", "none", "low", "low"),
            ("gpt-5-pro", "none", "high", "high"),
            ("gpt-5-prod", "none", "minimal", "minimal"),
            ("o1", "none", "low", "low"),
            ("o3-2025-04-16", "max", "high", "high"),
            ("o4-mini", "minimal", "low", "low"),
            ("o4-mini-deep-research", "high", "medium", "medium"),
            ("gpt-5.1", "none", "none", "none"),
            ("gpt-5.1", "minimal", "low", "low"),
            ("gpt-5.1-2025-11-13", "xhigh", "high", "high"),
            ("gpt-5.1-codex-max", "max", "xhigh", "xhigh"),
            ("gpt-5.2", "max", "xhigh", "xhigh"),
            ("gpt-5.4-pro", "none", "medium", "medium"),
            ("gpt-5.4-mini", "none", "none", "none"),
            ("gpt-5.6-sol", "max", "xhigh", "max"),
            ("gpt-6-astra", "none", "low", "low"),
            ("gpt-6-luna", "none", "none", "none"),
            // Nothing is known of these.
            ("gpt-7", "none", "none", "none"),
            ("gpt-5.9", "minimal", "minimal", "minimal"),
            ("our-deployment", "max", "max", "max"),
        ] {
            let (chat, left_out) = told(OpenAiResponses, OpenAi, model, &effort(asked));
            assert_eq!((&chat["reasoning_effort"], left_out), (&json!(in_chat), Vec::new()), "{model} {asked}");
            let client = request(OpenAi, json!({"reasoning_effort": asked}));
            let (responses, left_out) = told(OpenAi, OpenAiResponses, model, &client);
            assert_eq!((&responses["reasoning"]["effort"], left_out), (&json!(in_responses), Vec::new()), "{model}");
            // Thoughts come back where it thinks.
            assert_eq!(responses.get("include").is_some(), in_responses != "none", "{model}");
        }
        let budget = request(Anthropic, json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}));
        assert_eq!(told(Anthropic, OpenAi, "gpt-5-pro", &budget).0, json!({"reasoning_effort": "high"}));
        let off = request(Anthropic, json!({"thinking": {"type": "disabled"}}));
        assert_eq!(told(Anthropic, OpenAi, "o3", &off).0, json!({"reasoning_effort": "low"}));
    }

    #[test]
    fn a_model_that_thinks_is_not_sampled() {
        let asks = |members: Value| {
            let mut body = request(OpenAi, json!({"temperature": 0.2, "top_p": 0.95, "presence_penalty": 1}));
            body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
            body
        };
        let none = json!({"reasoning_effort": "none"});
        let rules = || ChatRules { openai_models: true, ..ChatRules::default() };
        for (model, members, is_sampled) in [
            ("gpt-4o", json!({}), true),
            ("gpt-5-chat-latest", json!({}), true),
            ("our-deployment", json!({"reasoning_effort": "high"}), true),
            ("gpt-5-mini", json!({}), false),
            ("o3", json!({}), false),
            ("gpt-5.2-codex", json!({}), false),
            ("gpt-5.1", json!({}), true),
            ("gpt-5.1", none.clone(), true),
            ("gpt-5.1", json!({"reasoning_effort": "low"}), false),
            ("gpt-5.4-mini", json!({}), true),
            ("gpt-5.6-sol", json!({}), false),
            ("gpt-6-luna", none, true),
        ] {
            let manner = Manner { model, output_tokens_default: 1, asks_for_usage: false, rules: rules() };
            let body = asks(members).to_string();
            let names = ["temperature", "top_p", "presence_penalty"];
            let chat = translate_request(OpenAi, OpenAi, &body, false, &manner).expect("it can be");
            let written: Value = serde_json::from_slice(&chat.body).expect("JSON");
            assert!(names.iter().all(|name| written.get(*name).is_some() == is_sampled), "{model}: {written}");
            assert_eq!(chat.left_out, if is_sampled { vec![] } else { names.map(str::to_owned).to_vec() }, "{model}");
        }
    }

    #[test]
    fn a_client_that_samples_every_request_reaches_a_model_that_thinks() {
        // As Gemini CLI has them.
        let sampling = json!({"temperature": 1, "topP": 0.95, "topK": 64});
        let body = request(Gemini, json!({"generationConfig": sampling})).to_string();
        for target in [OpenAi, OpenAiResponses] {
            let rules = ChatRules { openai_models: true, ..ChatRules::default() };
            let manner = Manner { model: "gpt-5", output_tokens_default: 1, asks_for_usage: false, rules };
            let translated = translate_request(Gemini, target, &body, false, &manner).expect("it can be");
            let written: Value = serde_json::from_slice(&translated.body).expect("JSON");
            assert_eq!((written.get("temperature"), written.get("top_p")), (None, None), "{target}");
            // 1 is what it is anyway.
            assert_eq!(translated.left_out, ["generationConfig.topP"], "{target}");
        }
    }

    #[test]
    fn what_a_model_that_thinks_cannot_answer_is_refused() {
        for (field, value) in
            [("stop", json!(["END"])), ("logprobs", json!(true)), ("logit_bias", json!({"50256": -100}))]
        {
            let refused = |model: &str| {
                let rules = ChatRules { openai_models: true, ..ChatRules::default() };
                let manner = Manner { model, output_tokens_default: 1, asks_for_usage: false, rules };
                let body = request(OpenAi, json!({field: value})).to_string();
                translate_request(OpenAi, OpenAi, &body, false, &manner).err().and_then(|refusal| refusal.param)
            };
            assert_eq!(refused("gpt-5").as_deref(), Some(field));
            assert_eq!((refused("gpt-4o"), refused("gpt-5.1")), (None, None), "{field}");
        }
    }

    #[test]
    fn other_vendors_models_are_told_what_was_asked_for_whatever_their_names() {
        for word in [Effort::None, Effort::Minimal, Effort::Max].map(Effort::as_str) {
            let rules = ChatRules::default();
            let (said, left_out) = with_rules(OpenAiResponses, OpenAi, "gpt-4o", &effort(word), rules);
            assert_eq!((said, left_out), (json!({"reasoning_effort": word}), Vec::new()));
        }
    }
}
