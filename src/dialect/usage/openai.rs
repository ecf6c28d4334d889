//! The usage object of OpenAI's APIs and of everyone who copies them.
//!
//! Chat and its like say `prompt_tokens` / `completion_tokens`, Responses, images and audio `input_tokens` /
//! `output_tokens`; the counts include their details (cached, reasoning) unless the vendor's [`UsageRules`] say
//! otherwise.

mod details;
mod tools;

use serde::Deserialize;
use tollgate_plugin_api::{ExtraUsage, Usage, UsageDetail};

use self::details::{InputDetails, OutputDetails};
use self::tools::{ContextSize, Plugins, ServerToolUse, ToolCalls, ToolRuns};
use super::count::{Count, Object, Tier};
use super::millis::Millis;
use super::reading::{Reading, part_of};
use super::rules::{CitationTokens, Placement, UsageRules};

/// What a vendor wrote. A field that is not listed is not read; a repeated one makes the object unreadable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OpenAiUsage {
    prompt_tokens: Count,
    input_tokens: Count,
    completion_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Object<InputDetails>,
    input_tokens_details: Object<InputDetails>,
    /// OpenAI's transcriptions.
    input_token_details: Object<InputDetails>,
    completion_tokens_details: Object<OutputDetails>,
    output_tokens_details: Object<OutputDetails>,
    output_token_details: Object<OutputDetails>,
    /// Perplexity.
    reasoning_tokens: Count,
    /// Together, Moonshot, Hugging Face's router.
    cached_tokens: Count,
    /// Mistral.
    num_cached_tokens: Count,
    /// DeepSeek.
    prompt_cache_hit_tokens: Count,
    /// LiteLLM, Vercel: Anthropic's names on OpenAI's wire.
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    citation_tokens: Count,
    num_search_queries: Count,
    server_tool_use: Object<ServerToolUse>,
    /// OpenRouter's newer name of the same (recorded in github.com/pydantic/pydantic-ai, tests/models/cassettes/test_openrouter).
    server_tool_use_details: Object<ServerToolUse>,
    /// Perplexity's agent (recorded in github.com/vercel/ai, packages/perplexity, `agent-web-search.json`).
    tool_calls_details: Object<ToolCalls>,
    /// DashScope's own API.
    plugins: Object<Plugins>,
    service_tier: Tier,
    /// Perplexity: what its fee for the request goes by (docs.perplexity.ai, "Pricing").
    search_context_size: ContextSize,
    /// OpenAI's transcriptions that are billed by their length (platform.openai.com/docs/api-reference/audio/json-object).
    seconds: Millis,
    /// Mistral's, beside tokens.
    prompt_audio_seconds: Millis,
    /// Volcengine Ark's, of images (apidoc.cometapi.com, "ByteDance image generation").
    generated_images: Count,
    /// Cohere's rerank, in `meta.billed_units`.
    search_units: Count,
    /// xAI (docs.x.ai/developers/tools/tool-usage-details).
    server_side_tool_usage_details: Object<ToolRuns>,
}

impl OpenAiUsage {
    /// It has at least one of the counts that make a report (`{}`, or a mere cost, or seconds of audio, does not).
    pub(super) fn is_report(&self) -> bool {
        // Where it is billed by units, there need be nothing else.
        self.has_units() || self.has_tokens()
    }

    fn has_units(&self) -> bool {
        !matches!(self.search_units, Count::Absent | Count::Good(0))
    }

    fn has_tokens(&self) -> bool {
        let tokens =
            [self.prompt_tokens, self.input_tokens, self.completion_tokens, self.output_tokens, self.total_tokens];
        tokens.iter().any(|&count| count != Count::Absent)
    }

    /// It has units, and no token.
    pub(super) fn has_units_alone(&self) -> bool {
        self.has_units() && !self.has_tokens()
    }

    /// How long the audio is that was heard: as OpenAI says it, and as Mistral does.
    pub(super) fn audio(&self) -> [Millis; 2] {
        [self.seconds, self.prompt_audio_seconds]
    }

    /// How many images were made.
    pub(super) fn images(&self) -> Count {
        self.generated_images
    }

    /// It counts the runs of the vendor's own tools.
    pub(super) fn counts_runs(&self) -> bool {
        self.server_side_tool_usage_details.0 != ToolRuns::default()
    }

    /// Takes another's units.
    pub(super) fn take_units(&mut self, other: &Self) {
        self.search_units = other.search_units;
    }

    /// Runs of the vendor's tools, by the names that fees have, but for searches of the web.
    fn runs(&self) -> impl Iterator<Item = (&'static str, Count)> {
        let maps = self.input_detail(|details| details.google_maps_grounding_requests);
        let [xai, perplexity] = [self.server_side_tool_usage_details.0.billed(), self.tool_calls_details.0.billed()];
        xai.into_iter().chain(perplexity).chain([("google_maps", maps)])
    }

    /// What is billed by the time.
    fn extras(&self) -> Vec<ExtraUsage> {
        let done = self
            .runs()
            .chain([("search_units", self.search_units)])
            .map(|(kind, count)| (kind, count.get().unwrap_or(0)));
        let done = done.chain(self.search_context_size.0.map(|kind| (kind, 1)));
        done.filter(|(_, times)| *times > 0).map(|(kind, times)| ExtraUsage::of_times(kind, times)).collect()
    }

    /// A total of nothing, and no other count: MiniMax has it in every chunk up to the last, which has the counts
    /// (platform.minimax.io/docs, "Text Generation"), and in its errors.
    pub(super) fn is_placeholder(&self) -> bool {
        let others = [self.prompt_tokens, self.input_tokens, self.completion_tokens, self.output_tokens];
        self.total_tokens == Count::Good(0) && others.iter().all(|&count| count == Count::Absent)
    }

    /// What was generated has a count of its own, or is in one that is of all there was.
    pub(super) fn counts_output(&self) -> bool {
        let is_total_alone = self.prompt_tokens.or(self.input_tokens) == Count::Absent && self.counts_input();
        is_total_alone || self.completion_tokens.or(self.output_tokens) != Count::Absent
    }

    /// It says what kinds of output there were.
    pub(super) fn details_output(&self) -> bool {
        [self.completion_tokens_details, self.output_tokens_details, self.output_token_details]
            .iter()
            .any(|Object(details)| *details != OutputDetails::default())
    }

    /// It counts nothing at all.
    pub(super) fn is_nothing(&self) -> bool {
        let tokens =
            [self.prompt_tokens, self.input_tokens, self.completion_tokens, self.output_tokens, self.total_tokens];
        !self.has_units() && tokens.iter().all(|count| matches!(count, Count::Absent | Count::Good(0)))
    }

    /// What was asked has a count, or the total tells.
    pub(super) fn counts_input(&self) -> bool {
        self.prompt_tokens.or(self.input_tokens).or(self.total_tokens) != Count::Absent
    }

    /// No count that is read is an impossible one.
    pub(super) fn is_believable(&self) -> bool {
        let inputs = [self.prompt_tokens_details, self.input_tokens_details, self.input_token_details];
        let outputs = [self.completion_tokens_details, self.output_tokens_details, self.output_token_details];
        let inputs = inputs.iter().flat_map(|Object(details)| details.counts());
        let outputs = outputs.iter().flat_map(|Object(details)| details.counts());
        let own = [
            self.prompt_tokens,
            self.input_tokens,
            self.completion_tokens,
            self.output_tokens,
            self.total_tokens,
            self.reasoning_tokens,
            self.cached_tokens,
            self.num_cached_tokens,
            self.prompt_cache_hit_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            self.citation_tokens,
            self.num_search_queries,
            self.server_tool_use.0.web_search_requests,
            self.server_tool_use_details.0.web_search_requests,
            self.tool_calls_details.0.searches(),
            self.plugins.0.search.0.count,
            self.search_units,
            self.server_side_tool_usage_details.0.web_search_calls,
        ];
        let runs = self.runs().map(|(_, count)| count);
        own.into_iter().chain(runs).chain(inputs).chain(outputs).all(|count| count != Count::Bad)
    }

    fn input_detail(&self, pick: impl Fn(&InputDetails) -> Count) -> Count {
        pick(&self.prompt_tokens_details.0).or(pick(&self.input_tokens_details.0)).or(pick(&self.input_token_details.0))
    }

    fn output_detail(&self, pick: impl Fn(&OutputDetails) -> Count) -> Count {
        pick(&self.completion_tokens_details.0)
            .or(pick(&self.output_tokens_details.0))
            .or(pick(&self.output_token_details.0))
    }

    /// The five counts and their finer classes. `of_gemini`: the answer's model is a Gemini.
    pub(super) fn read(&self, rules: &UsageRules, of_gemini: bool) -> Reading {
        let detailed = self.output_detail(|details| details.reasoning_tokens);
        let reasoning_beside = detailed == Count::Absent;
        let reasoning = detailed.or(self.reasoning_tokens).get().unwrap_or(0);
        let audio = self.input_detail(|details| details.audio_tokens).get().unwrap_or(0);
        let (mut input, mut output) = self.sides();
        let total = self.total_tokens.get();

        let beyond = total.map_or(0, |total| total.saturating_sub(input.saturating_add(output)));
        let in_total = total == Some(input.saturating_add(output));
        let outside = |placement: Placement, part: u64, whole: u64, other: u64| match placement {
            Placement::Inside => false,
            Placement::Outside => true,
            Placement::ByTotal => part > 0 && (beyond == part || (other > 0 && beyond == part.saturating_add(other))),
            Placement::OutsideInChat => part > 0 && !in_total && self.completion_tokens != Count::Absent,
            Placement::OutsideIfBeside => reasoning_beside,
            Placement::OutsideForGemini => of_gemini || part > whole,
        };
        let reasoning_outside = outside(rules.reasoning, reasoning, output, audio);
        // What is beyond is one thing only: audio, where it is not already reasoning of the same size.
        let audio_explains = !(reasoning_outside && rules.prompt_audio == Placement::ByTotal && beyond == reasoning);
        let audio_outside = audio_explains && outside(rules.prompt_audio, audio, input, reasoning);
        output = output.saturating_add(if reasoning_outside { reasoning } else { 0 });
        input = input.saturating_add(if audio_outside { audio } else { 0 });

        let mut reasoning = reasoning;
        if rules.hidden_in_total {
            let hidden = total.map_or(0, |total| total.saturating_sub(input.saturating_add(output)));
            output = output.saturating_add(hidden);
            reasoning = reasoning.max(hidden);
        }
        if rules.citation_tokens == CitationTokens::Input {
            input = input.saturating_add(self.citation_tokens.get().unwrap_or(0));
        }
        let usage = self.usage(input, output, reasoning);
        let (detail, extras) = (self.detail(&usage, audio), self.extras());
        Reading { usage, detail, extras, tier: self.service_tier.0, ..Reading::default() }
    }

    /// Prompt and output as reported; one that is missing is what the total leaves for it (Voyage reports a total
    /// alone).
    fn sides(&self) -> (u64, u64) {
        let total = self.total_tokens.get();
        let input = self.prompt_tokens.or(self.input_tokens).get();
        let output = self.completion_tokens.or(self.output_tokens).get();
        match (input, output) {
            (Some(input), Some(output)) => (input, output),
            (Some(input), None) => (input, total.map_or(0, |total| total.saturating_sub(input))),
            (None, Some(output)) => (total.map_or(0, |total| total.saturating_sub(output)), output),
            (None, None) => (total.unwrap_or(0), 0),
        }
    }

    fn usage(&self, input: u64, output: u64, reasoning: u64) -> Usage {
        let cached =
            [self.prompt_cache_hit_tokens, self.cached_tokens, self.num_cached_tokens, self.cache_read_input_tokens];
        let cached = cached.into_iter().fold(self.input_detail(InputDetails::cached), Count::or_more);
        let written = self.input_detail(InputDetails::written).or_more(self.cache_creation_input_tokens);
        // More cached than there was prompt has been seen (Grok on Azure): never more than there is to discount.
        let cached = part_of(input, cached.get());
        Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            cache_write_tokens: part_of(input - cached, written.get()),
            output_tokens: output,
            reasoning_tokens: reasoning.min(output),
        }
    }

    fn detail(&self, usage: &Usage, audio: u64) -> UsageDetail {
        let cached_audio = self.input_detail(InputDetails::cached_audio).get();
        let cached_audio = part_of(usage.cached_input_tokens.min(audio), cached_audio);
        let uncached = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens;
        let input_audio = (audio - cached_audio).min(uncached);
        let visible = usage.output_tokens - usage.reasoning_tokens;
        let output_audio = part_of(visible, self.output_detail(|details| details.audio_tokens).get());
        let searches = self.server_tool_use.0.web_search_requests;
        let searches = searches.or(self.server_tool_use_details.0.web_search_requests).or(self.num_search_queries);
        let searches = searches.or(self.tool_calls_details.0.searches()).or(self.plugins.0.search.0.count);
        let searches = searches.or(self.server_side_tool_usage_details.0.web_search_calls);
        let searches = searches.or(self.input_detail(|details| details.web_search_requests));
        UsageDetail {
            cache_write_1h_tokens: part_of(
                usage.cache_write_tokens,
                self.input_detail(InputDetails::written_for_an_hour).get(),
            ),
            input_audio_tokens: input_audio,
            cached_audio_tokens: cached_audio,
            input_image_tokens: part_of(uncached - input_audio, self.input_detail(|d| d.image_tokens).get()),
            output_audio_tokens: output_audio,
            output_image_tokens: part_of(visible - output_audio, self.output_detail(|d| d.image_tokens).get()),
            web_searches: searches.get().unwrap_or(0),
        }
    }
}
