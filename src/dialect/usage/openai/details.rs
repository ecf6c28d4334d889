//! What a usage object says of the kinds of tokens in its counts, under the names that vendors and the gateways in front of them have for it.

use serde::Deserialize;

use crate::dialect::usage::count::{Count, Object};

/// Of the prompt.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InputDetails {
    cached_tokens: Count,
    /// Perplexity's agent (its OpenAPI file, `ResponsesUsage`; github.com/langchain-ai/langchain/issues/39897).
    cache_read_input_tokens: Count,
    /// OpenAI, OpenRouter.
    cache_write_tokens: Count,
    /// DashScope.
    cache_creation_input_tokens: Count,
    /// new-api before Claude (github.com/QuantumNous/new-api, `buildOpenAIStyleUsageFromClaudeUsage`).
    cached_creation_tokens: Count,
    claude_cache_creation_5_m_tokens: Count,
    claude_cache_creation_1_h_tokens: Count,
    /// LiteLLM before Claude (github.com/BerriAI/litellm, litellm/types/utils.py, `PromptTokensDetailsWrapper`).
    cache_creation_tokens: Count,
    cache_creation_token_details: Object<Written>,
    pub(super) audio_tokens: Count,
    pub(super) image_tokens: Count,
    cached_tokens_details: Object<CachedDetails>,
    /// LiteLLM before Gemini (there, too).
    pub(super) web_search_requests: Count,
    pub(super) google_maps_grounding_requests: Count,
}

/// What was written into a cache, by how long it stays there.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct CachedDetails {
    audio_tokens: Count,
}

/// Of what was generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct OutputDetails {
    pub(super) reasoning_tokens: Count,
    pub(super) audio_tokens: Count,
    pub(super) image_tokens: Count,
}

impl InputDetails {
    /// What was read from a cache.
    pub(super) fn cached(&self) -> Count {
        self.cached_tokens.or_more(self.cache_read_input_tokens)
    }

    /// Of that, sounds.
    pub(super) fn cached_audio(&self) -> Count {
        self.cached_tokens_details.0.audio_tokens
    }

    /// What was written into a cache, for however long.
    pub(super) fn written(&self) -> Count {
        let by_time = [
            self.claude_cache_creation_5_m_tokens.plus(self.claude_cache_creation_1_h_tokens),
            self.cache_creation_token_details
                .0
                .ephemeral_5m_input_tokens
                .plus(self.cache_creation_token_details.0.ephemeral_1h_input_tokens),
        ];
        let whole = [
            self.cache_write_tokens,
            self.cache_creation_input_tokens,
            self.cached_creation_tokens,
            self.cache_creation_tokens,
        ];
        whole.into_iter().chain(by_time).fold(Count::Absent, Count::or_more)
    }

    /// Of that, for an hour.
    pub(super) fn written_for_an_hour(&self) -> Count {
        self.claude_cache_creation_1_h_tokens.or_more(self.cache_creation_token_details.0.ephemeral_1h_input_tokens)
    }

    /// All counts that are read.
    pub(super) fn counts(&self) -> [Count; 15] {
        let Written { ephemeral_5m_input_tokens, ephemeral_1h_input_tokens } = self.cache_creation_token_details.0;
        [
            self.cached_tokens,
            self.cache_read_input_tokens,
            self.cache_write_tokens,
            self.cache_creation_input_tokens,
            self.cached_creation_tokens,
            self.claude_cache_creation_5_m_tokens,
            self.claude_cache_creation_1_h_tokens,
            self.cache_creation_tokens,
            ephemeral_5m_input_tokens,
            ephemeral_1h_input_tokens,
            self.audio_tokens,
            self.image_tokens,
            self.cached_audio(),
            self.web_search_requests,
            self.google_maps_grounding_requests,
        ]
    }
}

impl OutputDetails {
    /// All counts that are read.
    pub(super) fn counts(&self) -> [Count; 3] {
        [self.reasoning_tokens, self.audio_tokens, self.image_tokens]
    }
}
