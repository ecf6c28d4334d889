//! What differs from vendor to vendor in how the OpenAI wire reports usage, as data.

use serde::{Deserialize, Serialize};

/// How one vendor's usage is to be read; the `usage` table of a provider row. The default is right for OpenAI and for
/// every vendor that counts as OpenAI does. The Anthropic and Gemini dialects have no such differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsageRules {
    /// Whether the reported reasoning is part of the reported output.
    pub reasoning: Placement,
    /// Whether the reported audio is part of the reported prompt (Mistral: it is not).
    pub prompt_audio: Placement,
    /// What the total has beyond prompt and output was generated, and is named nowhere else (Gemini's thinking behind
    /// its OpenAI-compatible API).
    pub hidden_in_total: bool,
    /// The usage may stand in `choices[0].usage` (Moonshot).
    pub usage_in_choice: bool,
    /// What `citation_tokens` are (Perplexity's deep research bills them as input, and has them in no other count).
    pub citation_tokens: CitationTokens,
}

/// Whether a reported part is in the count it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// It is outside exactly when the reported total is the sum with it, and inside otherwise. No answer that counts it
    /// inside can look like that, so this is safe for vendors who differ from API to API (xAI: outside in chat, inside
    /// in responses).
    #[default]
    ByTotal,
    /// By the total, where that is the sum with it or without it; else it is outside in chat (`completion_tokens`) and inside in
    /// responses (xAI; recordings).
    OutsideInChat,
    /// It is always part of the count.
    Inside,
    /// It is never part of the count.
    Outside,
    /// It is outside where it is a count beside the others, and inside where it is a detail of one (Perplexity: in Sonar's chat,
    /// and in responses).
    OutsideIfBeside,
    /// It is outside when the answer's model is a Gemini, or when it is larger than the count (Vercel's AI Gateway,
    /// whose totals leave it out).
    OutsideForGemini,
}

/// What `citation_tokens` are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CitationTokens {
    /// Nothing that is billed.
    #[default]
    Ignored,
    /// Input, on top of the prompt.
    Input,
}

#[cfg(test)]
mod tests {
    use super::{CitationTokens, Placement, UsageRules};

    #[test]
    fn a_rows_table_is_read_and_an_unknown_key_is_an_error() {
        let rules: UsageRules =
            toml::from_str("reasoning = \"outside_for_gemini\"\nhidden_in_total = true\ncitation_tokens = \"input\"")
                .unwrap();
        assert_eq!(rules.reasoning, Placement::OutsideForGemini);
        assert_eq!(rules.citation_tokens, CitationTokens::Input);
        assert!(rules.hidden_in_total && !rules.usage_in_choice);
        assert_eq!(toml::from_str::<UsageRules>("").unwrap(), UsageRules::default());
        assert!(toml::from_str::<UsageRules>("reasonning = \"inside\"").is_err());
        assert!(toml::from_str::<UsageRules>("reasoning = \"around\"").is_err());
    }
}
