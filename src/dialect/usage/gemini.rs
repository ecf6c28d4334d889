//! `usageMetadata` of Google's Gemini API and of Vertex AI.
//!
//! Thoughts are not in the candidates' count and the tool-use prompt is not in the prompt's; the cached part is in the
//! prompt. Zero counts may be left out, as everywhere in Google's JSON.

use serde::Deserialize;
use tollgate_plugin_api::{Usage, UsageDetail};

use super::count::{Count, Object, Tier};
use super::reading::{Reading, part_of};

/// More entries than this in a list of modalities are not believed (there are six modalities).
const MODALITIES_MAX: usize = 64;

/// What was written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GeminiUsage {
    prompt_token_count: Count,
    candidates_token_count: Count,
    thoughts_token_count: Count,
    tool_use_prompt_token_count: Count,
    cached_content_token_count: Count,
    total_token_count: Count,
    prompt_tokens_details: Option<Vec<Object<Modality>>>,
    /// So in answers of `gemini-embedding-2` (recorded in github.com/vercel/ai, packages/google, `google-embedding-2-multimodal-batch`).
    prompt_token_details: Option<Vec<Object<Modality>>>,
    cache_tokens_details: Option<Vec<Object<Modality>>>,
    candidates_tokens_details: Option<Vec<Object<Modality>>>,
    service_tier: Tier,
    /// Vertex's word for the tier (an integer where enums are asked for as integers: the standard tier then).
    traffic_type: Tier,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Modality {
    modality: serde_json::Value,
    token_count: Count,
}

/// `modality` by name and by number (`alt=json;enum-encoding=int`).
const AUDIO: (&str, u64) = ("AUDIO", 4);
const IMAGE: (&str, u64) = ("IMAGE", 2);

impl GeminiUsage {
    fn counts(&self) -> [Count; 6] {
        [
            self.prompt_token_count,
            self.candidates_token_count,
            self.thoughts_token_count,
            self.tool_use_prompt_token_count,
            self.cached_content_token_count,
            self.total_token_count,
        ]
    }

    fn details(&self) -> [&[Object<Modality>]; 3] {
        let prompt = self.prompt_tokens_details.as_ref().or(self.prompt_token_details.as_ref());
        [prompt, self.cache_tokens_details.as_ref(), self.candidates_tokens_details.as_ref()]
            .map(|details| details.map(Vec::as_slice).unwrap_or_default())
    }

    /// It has at least one count.
    pub(super) fn is_report(&self) -> bool {
        self.counts().iter().any(|&count| count != Count::Absent)
    }

    /// What was generated, beside thoughts, has a count of its own. (The first events of a stream often have none.)
    pub(super) fn counts_output(&self) -> bool {
        self.candidates_token_count != Count::Absent
    }

    /// The prompt is counted. (What a total leaves for it is more than nothing.)
    pub(super) fn counts_input(&self) -> bool {
        self.prompt_token_count != Count::Absent
    }

    /// What was thought is counted, and nothing else that was generated: nor does a total tell.
    pub(super) fn counts_thoughts_alone(&self) -> bool {
        let thoughts = self.thoughts_token_count.get();
        thoughts.is_some_and(|thoughts| thoughts > 0 && self.read().usage.output_tokens <= thoughts)
            && !self.counts_output()
    }

    /// No count that is read is an impossible one.
    pub(super) fn is_believable(&self) -> bool {
        let details = self.details();
        let mut counts = self.counts().into_iter().chain(details.iter().copied().flatten().map(|d| d.0.token_count));
        details.iter().all(|list| list.len() <= MODALITIES_MAX) && counts.all(|count| count != Count::Bad)
    }

    /// The five counts and their finer classes.
    pub(super) fn read(&self) -> Reading {
        let [prompt, candidates, thoughts, tools, cached, total] = self.counts().map(Count::get);
        let (thoughts, tools) = (thoughts.unwrap_or(0), tools.unwrap_or(0));
        let rest = |known: u64| {
            total.map_or(0, |total| total.saturating_sub(known).saturating_sub(thoughts).saturating_sub(tools))
        };
        // The one that is left out is what the total leaves for it: zero, as a rule.
        let (prompt, candidates) = match (prompt, candidates) {
            (Some(prompt), Some(candidates)) => (prompt, candidates),
            (Some(prompt), None) => (prompt, rest(prompt)),
            (None, Some(candidates)) => (rest(candidates), candidates),
            (None, None) => (rest(0), 0),
        };
        // Previews of Gemini 2.5 counted them there, too, as the total tells (recorded in crewAIInc/crewAI, `gemini-2.5-flash-preview-04-17`).
        let are_inside =
            thoughts <= candidates && total == Some(prompt.saturating_add(tools).saturating_add(candidates));
        let candidates = if are_inside { candidates - thoughts } else { candidates };
        let cached = part_of(prompt, cached);
        let usage = Usage {
            input_tokens: prompt.saturating_add(tools),
            cached_input_tokens: cached,
            cache_write_tokens: 0,
            output_tokens: candidates.saturating_add(thoughts),
            reasoning_tokens: thoughts,
        };
        let [in_prompt, in_cache, in_output] = self.details();
        let cached_audio = of(in_cache, AUDIO).min(cached);
        let input_audio = of(in_prompt, AUDIO).saturating_sub(cached_audio).min(prompt - cached);
        let input_image = of(in_prompt, IMAGE).saturating_sub(of(in_cache, IMAGE)).min(prompt - cached - input_audio);
        let output_audio = of(in_output, AUDIO).min(candidates);
        let detail = UsageDetail {
            input_audio_tokens: input_audio,
            cached_audio_tokens: cached_audio,
            input_image_tokens: input_image,
            output_audio_tokens: output_audio,
            output_image_tokens: of(in_output, IMAGE).min(candidates - output_audio),
            ..UsageDetail::default()
        };
        Reading { usage, detail, tier: self.service_tier.or(self.traffic_type).0, ..Reading::default() }
    }
}

/// The tokens of one modality in a list.
fn of(details: &[Object<Modality>], (name, number): (&str, u64)) -> u64 {
    let is_it = |modality: &serde_json::Value| modality.as_str() == Some(name) || modality.as_u64() == Some(number);
    details
        .iter()
        .filter(|entry| is_it(&entry.0.modality))
        .fold(0, |sum, entry| sum.saturating_add(entry.0.token_count.get().unwrap_or(0)))
}
