//! What Claude's generations take in a request, and refuse.
//!
//! The table names generations that exist, so it need not grow: a model that is in no row is of the newest, and what
//! is not Claude at all (other vendors have endpoints of this dialect) is sent what was asked for.
//!
//! docs.anthropic.com: extended thinking, adaptive thinking, effort, and the migration guides of 4.1 and 4.7.

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
}

/// By a part of the name (clouds put their own before and behind), dots as dashes; the first that is found.
#[rustfmt::skip]
const MODELS: [(&str, Thinking, Sampling); 17] = [
    ("claude-opus-4-6",   Thinking::Either, Sampling::One),
    ("claude-sonnet-4-6", Thinking::Either, Sampling::One),
    ("claude-opus-4-5",   Thinking::Budget, Sampling::One),
    ("claude-sonnet-4-5", Thinking::Budget, Sampling::One),
    ("claude-haiku-4-5",  Thinking::Budget, Sampling::One),
    ("claude-opus-4-1",   Thinking::Budget, Sampling::One),
    ("claude-opus-4-0",   Thinking::Budget, Sampling::Both),
    ("claude-opus-4-2",   Thinking::Budget, Sampling::Both),
    ("claude-opus-4@",    Thinking::Budget, Sampling::Both),
    ("claude-sonnet-4-0", Thinking::Budget, Sampling::Both),
    ("claude-sonnet-4-2", Thinking::Budget, Sampling::Both),
    ("claude-sonnet-4@",  Thinking::Budget, Sampling::Both),
    ("claude-3-7",        Thinking::Budget, Sampling::Both),
    ("claude-3",          Thinking::Never,  Sampling::Both),
    ("claude-2",          Thinking::Never,  Sampling::Both),
    ("claude",            Thinking::Effort, Sampling::Neither),
    ("",                  Thinking::Either, Sampling::Both),
];

/// The generation of a model.
pub(in crate::dialect::chat) fn model(name: &str) -> Model {
    let name = name.replace('.', "-");
    let row = MODELS.iter().find(|(part, ..)| name.contains(part));
    let (_, thinking, sampling) = row.copied().unwrap_or(("", Thinking::Either, Sampling::Both));
    Model { thinking, sampling }
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
    }
}
