//! Usage: what one answer consumed, in the five counts every provider is brought to, and the finer classes that some
//! prices need.

use crate::words;
use serde::{Deserialize, Serialize};

/// The five counts of one answer, in tokens (LLM tokens). The same meaning for every provider:
/// `cached_input_tokens` and `cache_write_tokens` are parts of `input_tokens`, `reasoning_tokens` of `output_tokens`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Every prompt-side token: text, media, cache reads and writes, tool-use prompts.
    pub input_tokens: u64,
    /// Read from the provider's prompt cache; part of `input_tokens`.
    pub cached_input_tokens: u64,
    /// Written to the provider's prompt cache (any lifetime); part of `input_tokens`.
    pub cache_write_tokens: u64,
    /// Every generated token, reasoning included.
    pub output_tokens: u64,
    /// Hidden or visible reasoning; part of `output_tokens`.
    pub reasoning_tokens: u64,
}

/// Finer classes that have prices of their own. Each token count is part of one of the five counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageDetail {
    /// Cache writes with a lifetime of one hour; part of `cache_write_tokens`.
    pub cache_write_1h_tokens: u64,
    /// Audio in the prompt, not read from the cache; part of `input_tokens`.
    pub input_audio_tokens: u64,
    /// Audio in the prompt, read from the cache; part of `cached_input_tokens`.
    pub cached_audio_tokens: u64,
    /// Images in the prompt, not read from the cache; part of `input_tokens`.
    pub input_image_tokens: u64,
    /// Generated audio; part of `output_tokens`.
    pub output_audio_tokens: u64,
    /// Generated images; part of `output_tokens`.
    pub output_image_tokens: u64,
    /// Searches the provider ran on the web for this answer (a count, not tokens).
    pub web_searches: u64,
}

/// What a provider bills on top of the five counts: Anthropic's compaction and advisor iterations; or what it bills by the time:
/// runs of its own tools, a reranker's searches; or by the piece: images (`image_hd_1024x1792`), milliseconds of audio (`audio_ms`),
/// characters (`character`). As JSON, what is zero of its finer classes is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraUsage {
    /// The provider's own name for it: `compaction`, `advisor_message`, `file_search` …
    pub kind: String,
    /// The model it ran on, where that is another one than the answer's.
    pub model: Option<String>,
    /// Its own counts.
    pub usage: Usage,
    /// Cache writes with a lifetime of one hour; part of `usage.cache_write_tokens`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_1h_tokens: u64,
    /// Tokens of images in the prompt; part of `usage.input_tokens`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_image_tokens: u64,
    /// Tokens of images made; part of `usage.output_tokens`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub output_image_tokens: u64,
    /// How often it was done, or how many pieces there were, where it is billed by that and not by tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub times: u64,
}

impl ExtraUsage {
    /// Something that was done so often.
    pub fn of_times(kind: impl Into<String>, times: u64) -> Self {
        Self { kind: kind.into(), times, ..Self::default() }
    }

    /// Its finer classes, as those of an answer.
    pub fn detail(&self) -> UsageDetail {
        UsageDetail {
            cache_write_1h_tokens: self.cache_write_1h_tokens,
            input_image_tokens: self.input_image_tokens,
            output_image_tokens: self.output_image_tokens,
            ..UsageDetail::default()
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Which of the provider's service tiers the answer says it was served in; prices have a multiplier for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// The default tier.
    #[default]
    Standard,
    /// Asynchronous batch processing.
    Batch,
    /// Slower and cheaper (OpenAI's flex).
    Flex,
    /// Faster and dearer: OpenAI's, Google's and xAI's priority, which OpenAI also calls fast, and Anthropic's fast mode.
    Priority,
    /// The fastest and dearest (OpenAI's).
    Ultrafast,
}

impl ServiceTier {
    /// How much dearer than the standard tier it is meant to be: 0 for that one and what is cheaper, then 1, 2. An upstream that is
    /// asked for a tier serves in that one or in one less dear.
    pub const fn dearness(self) -> u8 {
        match self {
            Self::Standard | Self::Batch | Self::Flex => 0,
            Self::Priority => 1,
            Self::Ultrafast => 2,
        }
    }

    /// Dearer than the standard tier: without a price of its own, what it costs is not known.
    pub const fn is_dearer(self) -> bool {
        self.dearness() > 0
    }
}

// The ledger's rows are hashed with these: a word stays.
words!(ServiceTier {
    Standard = "standard",
    Batch = "batch",
    Flex = "flex",
    Priority = "priority",
    Ultrafast = "ultrafast",
});

/// The longest name of a place in [`Metered::inference_geo`], in bytes.
pub const INFERENCE_GEO_BYTES_MAX: usize = 32;

/// Whether a word that an answer has for where its model ran names a place: not one for anywhere, nor for a model that knows no
/// places (platform.claude.com, "Data residency"; recordings).
pub fn is_inference_geo(word: &str) -> bool {
    (1..=INFERENCE_GEO_BYTES_MAX).contains(&word.len()) && !matches!(word, "global" | "not_available")
}

/// Where the counts come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider reported them.
    Reported,
    /// The provider did not report any: counted here with a tokenizer. Or it did not report what is billed by the piece.
    Estimated,
    /// Nothing was delivered and nothing reported.
    #[default]
    None,
}

words!(UsageSource { Reported = "reported", Estimated = "estimated", None = "none" });

/// Everything about one answer that a price can depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metered {
    /// The five counts.
    pub usage: Usage,
    /// Finer classes of them.
    pub detail: UsageDetail,
    /// What is billed on top.
    pub extras: Vec<ExtraUsage>,
    /// The tier the provider says it served.
    pub tier: ServiceTier,
    /// Where the provider says the model ran, if it had to be there: `us` (Anthropic's `inference_geo`). `None`: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_geo: Option<String>,
    /// Where the counts come from.
    pub source: UsageSource,
    /// The provider sent a count that is not believed (negative, fractional, above 1,000,000,000).
    pub disbelieved: bool,
}
