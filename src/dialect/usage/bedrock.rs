//! The usage of Amazon Bedrock's Converse: the input leaves out what the cache read and wrote.

use serde::Deserialize;
use tollgate_plugin_api::{Usage, UsageDetail};

use super::count::{Count, Object};
use super::reading::Reading;

/// More entries than this in the list of cache writes are not believed (there are two lifetimes).
const CACHE_DETAILS_MAX: usize = 64;
/// The longer of the two.
const ONE_HOUR: &str = "1h";

/// What was written. (Some models' answers repeat the cache counts as `…TokenCount`.)
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BedrockUsage {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_write_input_tokens: Count,
    cache_details: Option<Vec<Object<CacheDetail>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CacheDetail {
    ttl: serde_json::Value,
    input_tokens: Count,
}

impl BedrockUsage {
    fn counts(&self) -> [Count; 4] {
        [self.input_tokens, self.output_tokens, self.cache_read_input_tokens, self.cache_write_input_tokens]
    }

    /// It has at least one count.
    pub(super) fn is_report(&self) -> bool {
        self.counts().iter().any(|&count| count != Count::Absent)
    }

    /// The prompt is counted, or a part of it.
    pub(super) fn counts_input(&self) -> bool {
        let [input, _, read, written] = self.counts();
        input.or(read).or(written) != Count::Absent
    }

    /// What was generated is counted.
    pub(super) fn counts_output(&self) -> bool {
        self.output_tokens != Count::Absent
    }

    /// No count that is read is an impossible one.
    pub(super) fn is_believable(&self) -> bool {
        let details = self.cache_details.as_deref().unwrap_or_default();
        let mut counts = self.counts().into_iter().chain(details.iter().map(|detail| detail.0.input_tokens));
        details.len() <= CACHE_DETAILS_MAX && counts.all(|count| count != Count::Bad)
    }

    /// The five counts, and which writes live longer.
    pub(super) fn read(&self) -> Reading {
        let [uncached, output, read, written] = self.counts().map(|count| count.get().unwrap_or(0));
        let details = self.cache_details.as_deref().unwrap_or_default().iter().map(|detail| &detail.0);
        let long = details
            .filter(|detail| detail.ttl.as_str() == Some(ONE_HOUR))
            .fold(0_u64, |sum, detail| sum.saturating_add(detail.input_tokens.get().unwrap_or(0)));
        let usage = Usage {
            input_tokens: uncached.saturating_add(read).saturating_add(written),
            cached_input_tokens: read,
            cache_write_tokens: written,
            output_tokens: output,
            reasoning_tokens: 0,
        };
        let detail = UsageDetail { cache_write_1h_tokens: long.min(written), ..UsageDetail::default() };
        Reading { usage, detail, ..Reading::default() }
    }
}
