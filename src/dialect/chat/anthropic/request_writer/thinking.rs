//! How the model is told to think.

use super::super::super::fields::Field;
use super::super::super::request::{Effort, Reasoning};
use super::super::super::write::Members;
use super::super::models::{Model, Off, Thinking};

/// Anthropic's smallest budget.
const BUDGET_TOKENS_MIN: u64 = 1024;

/// What of the request bears on it.
pub(in crate::dialect::chat) struct Asked {
    /// The output limit, in tokens.
    pub(in crate::dialect::chat) limit: u64,
    /// A tool must be called.
    pub(in crate::dialect::chat) must_call: bool,
    /// The turn that goes on began without thoughts: a budget is refused there.
    pub(in crate::dialect::chat) began_without: bool,
    /// The answer is begun already, and without thoughts.
    pub(in crate::dialect::chat) is_prefilled: bool,
}

/// `thinking.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Unsaid,
    Disabled,
    BetweenTools,
    Adaptive,
    Enabled(u64),
}

/// What is written of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect::chat) struct Plan {
    mode: Mode,
    display: Option<&'static str>,
    /// `output_config.effort`
    pub(in crate::dialect::chat) effort: Option<&'static str>,
}

impl Plan {
    /// The model may think.
    pub(in crate::dialect::chat) fn thinks(&self) -> bool {
        matches!(self.mode, Mode::BetweenTools | Mode::Adaptive | Mode::Enabled(_))
    }

    pub(in crate::dialect::chat) fn write_thinking(&self, body: &mut Members<'_>) {
        let (word, budget) = match self.mode {
            Mode::Unsaid => return,
            Mode::Disabled => ("disabled", None),
            Mode::BetweenTools => ("between_tools", None),
            Mode::Adaptive => ("adaptive", None),
            Mode::Enabled(budget) => ("enabled", Some(budget)),
        };
        body.object("thinking", |thinking| {
            thinking.member("type", word);
            thinking.some("budget_tokens", budget.as_ref());
            thinking.some("display", self.display);
        });
    }
}

/// Decides on it.
pub(in crate::dialect::chat) fn plan(
    reasoning: Option<Reasoning>,
    model: Model,
    asked: &Asked,
    unused: &mut Vec<Field>,
) -> Plan {
    let nothing = Plan { mode: Mode::Unsaid, display: None, effort: None };
    let Some(reasoning) = reasoning else { return nothing };
    if reasoning.effort == Some(Effort::None) || reasoning.budget_tokens == Some(0) {
        return match model.off {
            Off::Unsaid => nothing,
            Off::Disabled => Plan { mode: Mode::Disabled, ..nothing },
            Off::BetweenTools => Plan { mode: Mode::BetweenTools, ..nothing },
            Off::Never => Plan { effort: Some(word(Effort::Low, model)), ..nothing },
        };
    }
    let knows_effort = matches!(model.thinking, Thinking::Either | Thinking::Effort);
    let effort = reasoning.effort.or_else(|| {
        // The budget says it, where it cannot be said itself.
        let budget = reasoning.budget_tokens.filter(|_| model.thinking == Thinking::Effort);
        budget.map(Effort::from_budget)
    });
    let mut mode = match model.thinking {
        Thinking::Never => Mode::Unsaid,
        Thinking::Effort => Mode::Adaptive,
        Thinking::Either => reasoning.budget_tokens.map_or(Mode::Adaptive, |budget| with_budget(budget, asked)),
        // "Prefilling is only available for non-extended thinking modes." Newer models take none in any case.
        Thinking::Budget if asked.is_prefilled => Mode::Unsaid,
        Thinking::Budget => {
            let of_effort = reasoning.effort.unwrap_or(Effort::Medium).budget_tokens();
            with_budget(reasoning.budget_tokens.unwrap_or(of_effort), asked)
        }
    };
    let mut effort = effort;
    if mode == Mode::Unsaid && model.thinking == Thinking::Either {
        mode = Mode::Adaptive;
        effort = effort.or_else(|| reasoning.budget_tokens.map(Effort::from_budget));
    }
    if asked.must_call {
        mode = Mode::Unsaid;
    }
    let effort = effort.filter(|_| knows_effort).map(|effort| word(effort, model));
    if mode == Mode::Unsaid {
        unused.push(Field::Reasoning);
        return Plan { effort, ..nothing };
    }
    let display = reasoning.visible.map(|visible| if visible { "summarized" } else { "omitted" });
    Plan { mode, display, effort }
}

/// A budget below the limit, with room for an answer if it must be made smaller; where none fits, nothing.
fn with_budget(budget: u64, asked: &Asked) -> Mode {
    let wanted = budget.max(BUDGET_TOKENS_MIN);
    let fits = if wanted < asked.limit { wanted } else { BUDGET_TOKENS_MIN.max(asked.limit / 2) };
    if fits < asked.limit && !asked.began_without { Mode::Enabled(fits) } else { Mode::Unsaid }
}

/// The nearest that there is: Anthropic has no effort below `low`, and `xhigh` only since 4.7.
fn word(effort: Effort, model: Model) -> &'static str {
    match effort.max(Effort::Low) {
        Effort::ExtraHigh if !model.extra_high => Effort::High.as_str(),
        effort => effort.as_str(),
    }
}
