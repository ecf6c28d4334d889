//! What was used, in Anthropic's words.

use super::super::super::write::Members;
use tollgate_plugin_api::{Metered, ServiceTier};

pub(super) fn tier(tier: ServiceTier) -> &'static str {
    match tier {
        ServiceTier::Standard | ServiceTier::Flex => "standard",
        ServiceTier::Batch => "batch",
        ServiceTier::Priority | ServiceTier::Ultrafast => "priority",
    }
}

/// Anthropic counts what the cache read and wrote apart from the rest of the input.
pub(super) fn write_usage(members: &mut Members<'_>, metered: Option<&Metered>) {
    let metered = metered.cloned().unwrap_or_default();
    let (usage, detail) = (metered.usage, metered.detail);
    let (cached, written) = (usage.cached_input_tokens, usage.cache_write_tokens);
    members.member("input_tokens", &usage.input_tokens.saturating_sub(cached).saturating_sub(written));
    members.member("cache_creation_input_tokens", &written);
    members.member("cache_read_input_tokens", &cached);
    if written > 0 {
        let one_hour = detail.cache_write_1h_tokens.min(written);
        members.object("cache_creation", |split| {
            split.member("ephemeral_5m_input_tokens", &(written - one_hour));
            split.member("ephemeral_1h_input_tokens", &one_hour);
        });
    }
    members.member("output_tokens", &usage.output_tokens);
    if usage.reasoning_tokens > 0 {
        members.object("output_tokens_details", |details| details.member("thinking_tokens", &usage.reasoning_tokens));
    }
    if detail.web_searches > 0 {
        members.object("server_tool_use", |used| {
            used.member("web_search_requests", &detail.web_searches);
            used.member("web_fetch_requests", &0);
        });
    }
}
