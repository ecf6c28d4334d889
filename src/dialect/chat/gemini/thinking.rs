//! How hard Gemini's models think: by level since Gemini 3, by a budget of tokens before (ai.google.dev/gemini-api/docs/thinking,
//! "Thinking levels and budgets").

use crate::dialect::chat::write::Members;
use crate::dialect::chat::{Effort, Reasoning};

/// What a family of models takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Nothing: they do not think.
    Nothing,
    /// A budget within these bounds; whether 0 turns thinking off.
    Budget { least: u64, most: u64, off: bool },
    /// A level; the least of them.
    Level(Effort),
    /// A name that says nothing: levels, which every newer model takes, and 0, which turns thinking off where that can be.
    Anything,
}

/// By how a model's name begins; the first that fits.
const FAMILIES: [(&str, Takes); 7] = [
    ("gemini-1", Takes::Nothing),
    ("gemini-2.0", Takes::Nothing),
    ("gemini-2.5-pro", Takes::Budget { least: 128, most: 32_768, off: false }),
    ("gemini-2.5-flash-lite", Takes::Budget { least: 512, most: 24_576, off: true }),
    ("gemini-2", Takes::Budget { least: 1, most: 24_576, off: true }),
    ("gemma", Takes::Nothing),
    ("", Takes::Anything),
];

fn takes(model: &str) -> Takes {
    let name = short_name(model);
    // Gemini 3 and later; of these, Pro cannot think less than `LOW`.
    let generation = name.strip_prefix("gemini-").and_then(|rest| rest.bytes().next());
    if matches!(generation, Some(b'3'..=b'9')) {
        return Takes::Level(if name.contains("-pro") { Effort::Low } else { Effort::Minimal });
    }
    let family = FAMILIES.iter().find(|(beginning, _)| name.starts_with(beginning));
    family.map_or(Takes::Anything, |(_, takes)| *takes)
}

/// `models/gemini-2.5-pro` and `publishers/google/models/gemini-2.5-pro` are `gemini-2.5-pro`.
fn short_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Models before Gemini 3: they want no signatures back, and take neither media in a function's response nor functions beside a
/// format of the answer.
pub(super) fn is_before_3(model: &str) -> bool {
    ["gemini-1", "gemini-2"].iter().any(|beginning| short_name(model).starts_with(beginning))
}

/// Writes `thinkingConfig`'s members. False: the model does not think, and something else was asked for.
pub(super) fn write(model: &str, reasoning: &Reasoning, members: &mut Members<'_>) -> bool {
    let wanted = match (reasoning.effort, reasoning.budget_tokens) {
        (None, Some(0)) => Some(Effort::None),
        (effort, _) => effort,
    };
    match takes(model) {
        Takes::Nothing => {
            return wanted == Some(Effort::None) || (wanted.is_none() && reasoning.budget_tokens.is_none());
        }
        Takes::Budget { least, most, off } => {
            let tokens = reasoning.budget_tokens.or(wanted.map(Effort::budget_tokens));
            let tokens = match (tokens, wanted) {
                (_, Some(Effort::None)) => Some(if off { 0 } else { least }),
                (tokens, _) => tokens.map(|tokens| tokens.clamp(least, most)),
            };
            members.some("thinkingBudget", tokens.as_ref());
        }
        Takes::Level(least) => {
            let effort = wanted.or(reasoning.budget_tokens.map(Effort::from_budget));
            members.some("thinkingLevel", effort.map(|effort| level(effort.max(least))));
        }
        Takes::Anything => match (wanted, reasoning.budget_tokens) {
            (Some(Effort::None), _) => members.member("thinkingBudget", &0),
            (Some(effort), _) => members.member("thinkingLevel", level(effort)),
            (None, tokens) => members.some("thinkingBudget", tokens.as_ref()),
        },
    }
    members.some("includeThoughts", reasoning.visible.as_ref());
    true
}

/// Google's word for it. `XHIGH` is one of its words, but of few models: what is more than `HIGH` is `HIGH`.
const fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High | Effort::ExtraHigh | Effort::Max => "HIGH",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::chat::write::object;

    fn written(model: &str, effort: Option<Effort>, budget_tokens: Option<u64>) -> String {
        let mut out = Vec::new();
        let reasoning = Reasoning { effort, budget_tokens, visible: None };
        let mut known = true;
        object(&mut out, |members| known = write(model, &reasoning, members));
        if known { String::from_utf8(out).unwrap() } else { "left out".to_owned() }
    }

    #[test]
    fn each_family_gets_what_it_takes() {
        let (none, high) = (Some(Effort::None), Some(Effort::High));
        for (model, effort, budget, expected) in [
            ("m", high, None, r#"{"thinkingLevel":"HIGH"}"#),
            ("m", none, None, r#"{"thinkingBudget":0}"#),
            ("m", None, Some(777), r#"{"thinkingBudget":777}"#),
            ("gemini-3.5-flash", none, None, r#"{"thinkingLevel":"MINIMAL"}"#),
            ("models/gemini-3.1-pro-preview", none, None, r#"{"thinkingLevel":"LOW"}"#),
            ("gemini-3.5-flash", None, Some(9_000), r#"{"thinkingLevel":"HIGH"}"#),
            ("gemini-4-argon", Some(Effort::Max), None, r#"{"thinkingLevel":"HIGH"}"#),
            ("gemini-2.5-flash", none, None, r#"{"thinkingBudget":0}"#),
            ("gemini-2.5-pro", none, None, r#"{"thinkingBudget":128}"#),
            ("gemini-2.5-pro", Some(Effort::Max), None, r#"{"thinkingBudget":32768}"#),
            ("gemini-2.5-flash-lite-preview", None, Some(10), r#"{"thinkingBudget":512}"#),
            ("gemini-2.5-flash", None, Some(0), r#"{"thinkingBudget":0}"#),
            ("gemini-2.0-flash", none, None, "{}"),
            ("gemini-2.0-flash", high, None, "left out"),
        ] {
            assert_eq!(written(model, effort, budget), expected, "{model} {effort:?} {budget:?}");
        }
    }
}
