//! What Claude's generations take in a request, and refuse.
//!
//! The table has the generations before the newest, so it need not grow: a model that is in none is of the newest, and what
//! is not Claude at all (other vendors have endpoints of this dialect) is sent what was asked for.
//!
//! platform.claude.com: thinking, extended, adaptive and preserved, effort, and the migration guides of 4.1, 4.7, Opus 5 and 5.5,
//! Sonnet 5.5, Haiku 5.5, Fable 5 and 5.1. Mythos is Fable for approved customers.

use super::super::fields::Field;
use super::super::request::ToolChoice;
use super::super::wire::Inexpressible;

/// How a model can be told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect::chat) enum Thinking {
    /// It does not think.
    Never,
    /// In tokens.
    Budget,
    /// In tokens, or by an effort.
    Either,
    /// By an effort.
    Effort,
}

/// How a model is told not to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect::chat) enum Off {
    /// By no word about thinking: it does none unless asked. (Amazon refuses `disabled` of Opus 4.7.)
    Unsaid,
    /// `thinking.type` is `disabled`.
    Disabled,
    /// `thinking.type` is `between_tools`: what it notes between calls of tools is all that it thinks.
    BetweenTools,
    /// It cannot but think; the least is the effort `low`.
    Never,
}

/// What of `temperature` and `top_p` a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect::chat) enum Sampling {
    /// Both.
    Both,
    /// One of them.
    One,
    /// Neither, nor `top_k`.
    Neither,
}

/// A generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect::chat) struct Model {
    pub(in crate::dialect::chat) thinking: Thinking,
    pub(in crate::dialect::chat) sampling: Sampling,
    /// It knows the effort `xhigh`; otherwise there is none between `high` and `max`.
    pub(in crate::dialect::chat) extra_high: bool,
    pub(in crate::dialect::chat) off: Off,
    /// Its thoughts are refused where anything before them has changed: tools, instructions, messages. It takes instructions
    /// in their place among the messages, so that these need not change.
    pub(in crate::dialect::chat) binds_thoughts: bool,
    /// `tool_choice` may be `any` or `tool`.
    forced_calls: bool,
}

impl Model {
    /// Whether it takes the choice of tools.
    ///
    /// # Errors
    /// It answers 400 where a tool must be called.
    pub(in crate::dialect::chat) fn check_choice(self, choice: Option<&ToolChoice<'_>>) -> Result<(), Inexpressible> {
        let must_call = matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        if must_call && !self.forced_calls {
            return Err(Inexpressible::new(Field::ToolChoice, "a call that this model must make"));
        }
        Ok(())
    }
}

/// By the last version of each generation, ascending. What is newer is one of [`SINCE_5`].
#[rustfmt::skip]
const GENERATIONS: [((u32, u32), Model); 5] = [
    ((3, 6), Model { thinking: Thinking::Never, off: Off::Unsaid, ..OLDER }),
    ((4, 0), OLDER),
    ((4, 5), Model { sampling: Sampling::One, ..OLDER }),
    ((4, 6), Model { thinking: Thinking::Either, sampling: Sampling::One, ..OLDER }),
    ((4, 8), Model { off: Off::Unsaid, ..NEWER }),
];
/// By a part of the name and the version. Any other is of the newest generation: it thinks always, by an effort, is not
/// sampled, and calls what it will.
const SINCE_5: [(&str, (u32, u32), Model); 6] = [
    ("opus", (5, 0), Model { off: Off::Disabled, ..NEWER }),
    ("sonnet", (5, 0), Model { off: Off::Disabled, ..NEWER }),
    ("fable", (5, 0), NEWER),
    ("mythos", (5, 0), NEWER),
    ("sonnet", (5, 5), Model { off: Off::BetweenTools, ..NEWEST }),
    ("haiku", (5, 5), Model { off: Off::Disabled, forced_calls: true, ..NEWEST }),
];
const NEWEST: Model = Model {
    thinking: Thinking::Effort,
    sampling: Sampling::Neither,
    extra_high: true,
    off: Off::Never,
    binds_thoughts: true,
    forced_calls: false,
};
const NEWER: Model = Model { binds_thoughts: false, forced_calls: true, ..NEWEST };
const OLDER: Model = Model {
    thinking: Thinking::Budget,
    sampling: Sampling::Both,
    extra_high: false,
    off: Off::Disabled,
    binds_thoughts: false,
    forced_calls: true,
};
/// An alias without a version: what it can be told in a way that all newer ones take, it is; whether it must call a tool, it says
/// itself.
const UNKNOWN: Model = Model { forced_calls: true, ..NEWEST };
const NOT_CLAUDE: Model = Model { thinking: Thinking::Either, extra_high: true, ..OLDER };
/// What is longer is a date.
const VERSION_DIGITS_MAX: usize = 2;

/// The generation of a model.
pub(in crate::dialect::chat) fn model(name: &str) -> Model {
    let Some((_, rest)) = name.split_once("claude") else { return NOT_CLAUDE };
    let Some(version) = version(rest) else { return UNKNOWN };
    let generation = GENERATIONS.iter().find(|(last, _)| version <= *last).map(|(_, model)| *model);
    let is_it = |(part, own, _): &&(&str, (u32, u32), Model)| *own == version && rest.contains(part);
    generation.or_else(|| SINCE_5.iter().find(is_it).map(|(.., model)| *model)).unwrap_or(NEWEST)
}

/// The first number of a name, and what follows it directly: `-sonnet-4-5-20250929-v1:0`, `-4.5-sonnet`, `-opus-4@20250514`,
/// `-v2:1`. Clouds and routers put the rest in any order.
fn version(name: &str) -> Option<(u32, u32)> {
    let short = |word: &&str| word.len() <= VERSION_DIGITS_MAX;
    let number = |word: &str| word.parse::<u32>().ok();
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let major =
        words.by_ref().find_map(|word| Some(word.strip_prefix('v').unwrap_or(word)).filter(short).and_then(number))?;
    Some((major, words.next().filter(short).and_then(number).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_of_its_generation_whatever_a_cloud_calls_it() {
        let of = |name| (model(name).thinking, model(name).sampling);
        assert_eq!(of("claude-opus-4-20250514"), (Thinking::Budget, Sampling::Both));
        assert_eq!(of("claude-sonnet-4@20250514"), (Thinking::Budget, Sampling::Both));
        assert_eq!(of("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), (Thinking::Budget, Sampling::One));
        assert_eq!(of("anthropic/claude-opus-4.6"), (Thinking::Either, Sampling::One));
        assert_eq!(of("claude-opus-4-7"), (Thinking::Effort, Sampling::Neither));
        assert_eq!(of("claude-sonnet-9"), (Thinking::Effort, Sampling::Neither));
        assert_eq!(of("claude-3-5-haiku-20241022"), (Thinking::Never, Sampling::Both));
        assert_eq!(of("kimi-k3"), (Thinking::Either, Sampling::Both));
        for name in [
            "claude-sonnet-4",
            "anthropic/claude-opus-4",
            "anthropic/claude-sonnet-4:thinking",
            "claude-4-sonnet",
            "anthropic/claude-4-opus-20250522",
            "anthropic.claude-sonnet-4-20250514-v1:0",
            "claude-3-7-sonnet-latest",
        ] {
            assert_eq!(of(name), (Thinking::Budget, Sampling::Both), "{name}");
        }
        assert_eq!(of("anthropic/claude-4.5-sonnet-20250929"), (Thinking::Budget, Sampling::One));
        assert_eq!(of("anthropic.claude-v2:1"), (Thinking::Never, Sampling::Both));
        assert_eq!(of("claude-sonnet-latest"), (Thinking::Effort, Sampling::Neither));
    }

    #[test]
    fn a_call_that_must_be_made_is_refused_for_models_that_are_known_to_refuse_it() {
        let takes = |name| model(name).check_choice(Some(&ToolChoice::Required)).is_ok();
        for name in ["claude-opus-4-8", "claude-opus-5", "claude-haiku-5-5", "claude-sonnet-latest", "kimi-k3"] {
            assert!(takes(name), "{name}");
        }
        for name in ["claude-opus-5-5", "claude-fable-5-1", "claude-sonnet-9"] {
            assert!(!takes(name), "{name}");
        }
    }
}
