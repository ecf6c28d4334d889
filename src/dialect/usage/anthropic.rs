//! The usage object of Anthropic's Messages.
//!
//! `input_tokens` leaves out what the cache read and wrote; a stream reports twice, and what `message_delta` says
//! replaces, field by field, what `message_start` said. Iterations that are not part of the message (compaction,
//! advisor) are billed but in none of the top-level counts.

use serde::Deserialize;
use tollgate_plugin_api::{ExtraUsage, ServiceTier, Usage, UsageDetail};

use super::count::{Count, Geo, Object, Tier};
use super::reading::{Reading, part_of};

/// More iterations than this in one answer are not believed.
const ITERATIONS_MAX: usize = 256;
/// Kinds of iteration that the top-level counts leave out.
const EXTRA_KINDS: [&str; 2] = ["compaction", "advisor_message"];
/// The kind of iteration that the top-level counts are the sum of.
const MESSAGE_KIND: &str = "message";

/// What was written, in the last place where each field was.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnthropicUsage {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_creation: Object<CacheCreation>,
    output_tokens_details: Object<OutputDetails>,
    server_tool_use: Object<ServerToolUse>,
    iterations: Option<Vec<Iteration>>,
    service_tier: Tier,
    /// The speed that was used (platform.claude.com, "Fast mode").
    speed: Tier,
    /// Where inference ran (platform.claude.com, "Data residency").
    inference_geo: Geo,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct ServerToolUse {
    web_search_requests: Count,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Iteration {
    #[serde(rename = "type")]
    kind: Option<String>,
    model: Option<String>,
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_creation: Object<CacheCreation>,
    output_tokens_details: Object<OutputDetails>,
}

impl CacheCreation {
    /// All that was written, and what of it stays for an hour. `total`: if the vendor says it.
    fn written(self, total: Count) -> (u64, u64) {
        let one_hour = self.ephemeral_1h_input_tokens.get().unwrap_or(0);
        let five_minutes = self.ephemeral_5m_input_tokens.get().unwrap_or(0);
        let written = total.get().unwrap_or(one_hour.saturating_add(five_minutes));
        (written, one_hour.min(written))
    }
}

impl AnthropicUsage {
    /// It has at least one of the counts that make a report.
    pub(super) fn is_report(&self) -> bool {
        [self.input_tokens, self.output_tokens, self.cache_read_input_tokens, self.cache_creation_input_tokens]
            .iter()
            .any(|&count| count != Count::Absent)
    }

    /// The prompt is counted, or a part of it.
    pub(super) fn counts_input(&self) -> bool {
        let CacheCreation { ephemeral_5m_input_tokens, ephemeral_1h_input_tokens } = self.cache_creation.0;
        let written = self.cache_creation_input_tokens.or(ephemeral_5m_input_tokens).or(ephemeral_1h_input_tokens);
        self.input_tokens.or(self.cache_read_input_tokens).or(written) != Count::Absent
    }

    /// The output count is there (in a stream's start it is a placeholder).
    pub(super) fn has_output(&self) -> bool {
        self.output_tokens.get().is_some()
    }

    /// No count that is read is an impossible one.
    pub(super) fn is_believable(&self) -> bool {
        let own = [
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            self.cache_creation.0.ephemeral_5m_input_tokens,
            self.cache_creation.0.ephemeral_1h_input_tokens,
            self.output_tokens_details.0.thinking_tokens,
            self.server_tool_use.0.web_search_requests,
        ];
        let iterations = self.iterations.as_deref().unwrap_or_default();
        let counts = iterations.iter().flat_map(Iteration::counts);
        iterations.len() <= ITERATIONS_MAX && own.into_iter().chain(counts).all(|count| count != Count::Bad)
    }

    /// Takes over every field that a later report has. (What is compacted is in none of the counts at the end, so that one may be
    /// zero that was not. Nothing but zeros takes nothing back: gateways end streams with them, github.com/envoyproxy/ai-gateway/pull/1631.)
    pub(super) fn replace_with(&mut self, mut later: Self) {
        if later.read().usage.input_tokens == 0 && later.is_believable() {
            later.forget_input();
        }
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        let (mine, theirs) = (&mut self.cache_creation.0, later.cache_creation.0);
        mine.ephemeral_5m_input_tokens = theirs.ephemeral_5m_input_tokens.or(mine.ephemeral_5m_input_tokens);
        mine.ephemeral_1h_input_tokens = theirs.ephemeral_1h_input_tokens.or(mine.ephemeral_1h_input_tokens);
        let (mine, theirs) = (&mut self.output_tokens_details.0, later.output_tokens_details.0);
        mine.thinking_tokens = theirs.thinking_tokens.or(mine.thinking_tokens);
        let (mine, theirs) = (&mut self.server_tool_use.0, later.server_tool_use.0);
        mine.web_search_requests = theirs.web_search_requests.or(mine.web_search_requests);
        self.iterations = later.iterations.or(self.iterations.take());
        self.service_tier = later.service_tier.or(self.service_tier);
        self.speed = later.speed.or(self.speed);
        self.inference_geo = later.inference_geo.or(std::mem::take(&mut self.inference_geo));
    }

    fn forget_input(&mut self) {
        let none = Count::Absent;
        (self.input_tokens, self.cache_read_input_tokens, self.cache_creation_input_tokens) = (none, none, none);
        self.cache_creation = Object::default();
    }

    /// The five counts and their finer classes.
    pub(super) fn read(&self) -> Reading {
        let (written, one_hour) = self.cache_creation.0.written(self.cache_creation_input_tokens);
        let usage = usage(
            self.input_tokens,
            self.cache_read_input_tokens,
            written,
            self.output_tokens,
            self.output_tokens_details.0.thinking_tokens,
        );
        let detail = UsageDetail {
            cache_write_1h_tokens: one_hour,
            web_searches: self.server_tool_use.0.web_search_requests.get().unwrap_or(0),
            ..UsageDetail::default()
        };
        // Fast answers are dear in whichever tier.
        let is_fast = self.speed.0 == Some(ServiceTier::Priority);
        let tier = if is_fast { self.speed } else { self.service_tier };
        Reading {
            usage,
            detail,
            extras: self.extras(&usage),
            tier: tier.0,
            inference_geo: self.inference_geo.place().map(str::to_owned),
        }
    }

    /// The iterations that are billed on top. A kind that is not known is on top when the message's own iterations
    /// already make up the top-level counts.
    fn extras(&self, top: &Usage) -> Vec<ExtraUsage> {
        let iterations = self.iterations.as_deref().unwrap_or_default();
        let messages = iterations.iter().filter(|iteration| iteration.kind() == MESSAGE_KIND).map(Iteration::usage);
        let (input, output) = messages.fold((0_u64, 0_u64), |(input, output), message| {
            (input.saturating_add(message.input_tokens), output.saturating_add(message.output_tokens))
        });
        let messages_are_all = (input, output) == (top.input_tokens, top.output_tokens);
        iterations
            .iter()
            .filter(|iteration| {
                let kind = iteration.kind();
                EXTRA_KINDS.contains(&kind) || (kind != MESSAGE_KIND && messages_are_all)
            })
            .map(|iteration| ExtraUsage {
                kind: iteration.kind().to_owned(),
                model: iteration.model.clone(),
                usage: iteration.usage(),
                cache_write_1h_tokens: iteration.written().1,
                ..ExtraUsage::default()
            })
            .filter(|extra| extra.usage != Usage::default())
            .collect()
    }
}

impl Iteration {
    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(MESSAGE_KIND)
    }

    fn counts(&self) -> [Count; 7] {
        [
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            self.cache_creation.0.ephemeral_5m_input_tokens,
            self.cache_creation.0.ephemeral_1h_input_tokens,
            self.output_tokens_details.0.thinking_tokens,
        ]
    }

    /// As of [`CacheCreation::written`].
    fn written(&self) -> (u64, u64) {
        self.cache_creation.0.written(self.cache_creation_input_tokens)
    }

    fn usage(&self) -> Usage {
        usage(
            self.input_tokens,
            self.cache_read_input_tokens,
            self.written().0,
            self.output_tokens,
            self.output_tokens_details.0.thinking_tokens,
        )
    }
}

fn usage(uncached: Count, cached: Count, written: u64, output: Count, thinking: Count) -> Usage {
    let cached = cached.get().unwrap_or(0);
    let output = output.get().unwrap_or(0);
    Usage {
        input_tokens: uncached.get().unwrap_or(0).saturating_add(cached).saturating_add(written),
        cached_input_tokens: cached,
        cache_write_tokens: written,
        output_tokens: output,
        reasoning_tokens: part_of(output, thinking.get()),
    }
}
