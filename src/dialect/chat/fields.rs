//! What the dialects call the same thing, and what happens to it where a dialect has no such thing.
//!
//! The names are those of the providers' API references (autumn of 2026): platform.openai.com/docs/api-reference (chat and
//! responses), docs.anthropic.com/en/api/messages, ai.google.dev/api/generate-content.

mod native;
mod set;

pub use set::FieldSet;

use super::members::{invalid, untranslatable};
use super::request::ChatRequest;
use crate::dialect::DialectId::{self, Anthropic, Gemini, OpenAi, OpenAiResponses};
use tollgate_plugin_api::{Reject, RejectCode};

/// What a request can say, in no dialect's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[rustfmt::skip]
#[allow(missing_docs, reason = "the table says what each is")]
pub enum Field {
    Messages, Instructions, Tools, OutputTokens, Temperature, TopP, TopK, MinP, FrequencyPenalty, PresencePenalty, RepetitionPenalty,
    Seed, Stop, Choices, Logprobs, LogitBias, ToolChoice, ParallelToolCalls, JsonObject, JsonSchema, Reasoning, Verbosity,
    User, SafetyIdentifier, Metadata, Store, ServiceTier, PromptCacheKey, PromptCacheRetention, CacheMark, Prediction, Modalities,
    AudioOutput, WebSearch, Truncation, MaxToolCalls, Include, SafetySettings, CachedContent, PreviousResponse, Conversation,
    StoredPrompt, ContextManagement, Compaction, InferenceRegion, McpServers, Thread, Container, MediaResolution, SpeechConfig, ImageConfig, Moderation,
    Labels, RequestLogging, MediaName, ImageDetail, ParticipantName, Thoughts,
    Background, PromptCacheOptions, ClientMetadata, ToolStrict,
}

/// What happens to a field that the target has no name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The request is refused, and the field named: the answer would not be what was asked for.
    Refused,
    /// It is left out, and the answer says so: it changes no answer's meaning.
    LeftOut,
}

/// One thing that a request can say.
#[derive(Debug)]
pub struct Row {
    /// What.
    pub field: Field,
    /// Its paths in the dialects that have it. The first of several in one dialect is the one that is written.
    pub names: &'static [(DialectId, &'static str)],
    /// Paths that clients of a dialect may use for it, and that are never written: what only some of the vendors take who
    /// speak it.
    pub aliases: &'static [(DialectId, &'static str)],
    /// What happens elsewhere.
    pub otherwise: Otherwise,
    /// Values, as JSON, that say what is so anyway: as good as none.
    pub neutral: &'static [&'static str],
    /// Values, as JSON, that say what is so anyway where there is no such thing. Where there is, it may be something else if
    /// nothing is said (Ollama repeats less by itself), so they are carried over.
    pub harmless: &'static [&'static str],
    /// True: the value is the same in every dialect that has it, and is carried as it is written. False: readers and
    /// writers know its forms.
    pub plain: bool,
}

const fn plain(field: Field, otherwise: Otherwise, names: &'static [(DialectId, &'static str)]) -> Row {
    Row { field, names, aliases: &[], otherwise, neutral: &[], harmless: &[], plain: true }
}

const fn formed(field: Field, otherwise: Otherwise, names: &'static [(DialectId, &'static str)]) -> Row {
    Row { field, names, aliases: &[], otherwise, neutral: &[], harmless: &[], plain: false }
}

impl Row {
    const fn neutral(mut self, neutral: &'static [&'static str]) -> Self {
        self.neutral = neutral;
        self
    }

    const fn harmless(mut self, harmless: &'static [&'static str]) -> Self {
        self.harmless = harmless;
        self
    }

    const fn aliases(mut self, aliases: &'static [(DialectId, &'static str)]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Its name in a dialect; of several the one that is written.
    pub fn name(&self, dialect: DialectId) -> Option<&'static str> {
        self.names.iter().find(|(own, _)| *own == dialect).map(|(_, name)| *name)
    }

    /// What a client of a dialect calls it.
    fn said(&self, client: DialectId) -> Option<&'static str> {
        self.name(client).or_else(|| self.aliases.iter().find(|(own, _)| *own == client).map(|(_, name)| *name))
    }
}

use Otherwise::{LeftOut, Refused};

/// Everything that a request can say at its top, or in the objects there that only group options.
#[rustfmt::skip]
pub static FIELDS: &[Row] = &[
    formed(Field::Messages, Refused, &[(OpenAi, "messages"), (OpenAiResponses, "input"), (Anthropic, "messages"), (Gemini, "contents")]),
    formed(Field::Instructions, Refused, &[(OpenAi, "messages"), (OpenAiResponses, "instructions"), (Anthropic, "system"), (Gemini, "systemInstruction")]),
    formed(Field::Tools, Refused, &[(OpenAi, "tools"), (OpenAiResponses, "tools"), (Anthropic, "tools"), (Gemini, "tools"), (OpenAi, "functions")]),
    formed(Field::ToolChoice, Refused, &[(OpenAi, "tool_choice"), (OpenAiResponses, "tool_choice"), (Anthropic, "tool_choice"), (Gemini, "toolConfig"), (OpenAi, "function_call")]),
    formed(Field::ParallelToolCalls, LeftOut, &[(OpenAi, "parallel_tool_calls"), (OpenAiResponses, "parallel_tool_calls"), (Anthropic, "tool_choice.disable_parallel_tool_use")]),
    plain(Field::OutputTokens, Refused, &[(OpenAi, "max_completion_tokens"), (OpenAi, "max_tokens"), (OpenAiResponses, "max_output_tokens"), (Anthropic, "max_tokens"), (Gemini, "generationConfig.maxOutputTokens")]),
    plain(Field::Temperature, Refused, &[(OpenAi, "temperature"), (OpenAiResponses, "temperature"), (Anthropic, "temperature"), (Gemini, "generationConfig.temperature")]),
    plain(Field::TopP, Refused, &[(OpenAi, "top_p"), (OpenAiResponses, "top_p"), (Anthropic, "top_p"), (Gemini, "generationConfig.topP")]),
    plain(Field::TopK, Refused, &[(Anthropic, "top_k")]).aliases(&[(OpenAi, "top_k")]).harmless(&["0", "-1"]),
    // Gemini's models take 64 where nothing is said, and its own clients say it every time.
    plain(Field::TopK, Refused, &[(Gemini, "generationConfig.topK")]).neutral(&["64"]),
    plain(Field::FrequencyPenalty, Refused, &[(OpenAi, "frequency_penalty"), (Gemini, "generationConfig.frequencyPenalty")]).neutral(&["0"]),
    plain(Field::PresencePenalty, Refused, &[(OpenAi, "presence_penalty"), (Gemini, "generationConfig.presencePenalty")]).neutral(&["0"]),
    plain(Field::MinP, Refused, &[]).aliases(&[(OpenAi, "min_p")]).harmless(&["0"]),
    plain(Field::RepetitionPenalty, Refused, &[]).aliases(&[(OpenAi, "repetition_penalty")]).harmless(&["1"]),
    plain(Field::Seed, LeftOut, &[(OpenAi, "seed"), (Gemini, "generationConfig.seed")]).aliases(&[(OpenAi, "random_seed")]),
    formed(Field::Stop, Refused, &[(OpenAi, "stop"), (Anthropic, "stop_sequences"), (Gemini, "generationConfig.stopSequences")]).neutral(&["[]", "\"\""]),
    plain(Field::Choices, Refused, &[(OpenAi, "n"), (Gemini, "generationConfig.candidateCount")]).neutral(&["1"]),
    formed(Field::Logprobs, Refused, &[(OpenAi, "logprobs"), (OpenAi, "top_logprobs"), (OpenAiResponses, "top_logprobs"), (Gemini, "generationConfig.responseLogprobs"), (Gemini, "generationConfig.logprobs")]).neutral(&["false"]),
    plain(Field::LogitBias, Refused, &[(OpenAi, "logit_bias")]).neutral(&["{}"]),
    formed(Field::JsonObject, Refused, &[(OpenAi, "response_format"), (OpenAiResponses, "text.format"), (Gemini, "generationConfig.responseMimeType")]),
    formed(Field::JsonSchema, Refused, &[(OpenAi, "response_format"), (OpenAiResponses, "text.format"), (Anthropic, "output_config.format"), (Gemini, "generationConfig.responseJsonSchema"), (Gemini, "generationConfig.responseSchema"), (Anthropic, "output_format")]),
    formed(Field::Reasoning, LeftOut, &[(OpenAi, "reasoning_effort"), (OpenAi, "reasoning"), (OpenAiResponses, "reasoning"), (Anthropic, "thinking"), (Anthropic, "output_config.effort"), (Gemini, "generationConfig.thinkingConfig")])
        .aliases(&[(OpenAi, "thinking"), (OpenAi, "enable_thinking"), (OpenAi, "thinking_budget"), (OpenAi, "chat_template_kwargs"), (OpenAi, "include_reasoning"), (OpenAi, "reasoning_format")]),
    plain(Field::Verbosity, LeftOut, &[(OpenAi, "verbosity"), (OpenAiResponses, "text.verbosity")]),
    plain(Field::User, LeftOut, &[(OpenAi, "user"), (OpenAiResponses, "user"), (Anthropic, "metadata.user_id")]),
    plain(Field::SafetyIdentifier, LeftOut, &[(OpenAi, "safety_identifier"), (OpenAiResponses, "safety_identifier")]),
    plain(Field::Metadata, LeftOut, &[(OpenAi, "metadata"), (OpenAiResponses, "metadata")]).neutral(&["{}"]),
    plain(Field::Store, LeftOut, &[(OpenAi, "store")]).neutral(&["false"]),
    plain(Field::Store, LeftOut, &[(OpenAiResponses, "store")]).neutral(&["false"]),
    formed(Field::ServiceTier, LeftOut, &[(OpenAi, "service_tier"), (OpenAiResponses, "service_tier"), (Anthropic, "service_tier"), (Gemini, "serviceTier")]).neutral(&["\"auto\"", "\"default\"", "\"standard\""]),
    plain(Field::PromptCacheKey, LeftOut, &[(OpenAi, "prompt_cache_key"), (OpenAiResponses, "prompt_cache_key")]),
    plain(Field::PromptCacheRetention, LeftOut, &[(OpenAi, "prompt_cache_retention"), (OpenAiResponses, "prompt_cache_retention")]),
    formed(Field::CacheMark, LeftOut, &[(Anthropic, "cache_control")]).aliases(&[(OpenAi, "cache_control")]),
    formed(Field::ToolStrict, LeftOut, &[(OpenAi, "tools.function.strict"), (OpenAiResponses, "tools.strict"), (Anthropic, "tools.strict"), (Gemini, "toolConfig.functionCallingConfig.mode")]),
    plain(Field::Prediction, LeftOut, &[(OpenAi, "prediction")]),
    plain(Field::Modalities, Refused, &[(OpenAi, "modalities")]).neutral(&["[\"text\"]", "[]"]),
    plain(Field::Modalities, Refused, &[(Gemini, "generationConfig.responseModalities")]).neutral(&["[\"TEXT\"]", "[]"]),
    plain(Field::AudioOutput, Refused, &[(OpenAi, "audio")]),
    plain(Field::SpeechConfig, Refused, &[(Gemini, "generationConfig.speechConfig")]),
    plain(Field::ImageConfig, Refused, &[(Gemini, "generationConfig.imageConfig")]),
    plain(Field::MediaResolution, LeftOut, &[(Gemini, "generationConfig.mediaResolution")]),
    plain(Field::WebSearch, Refused, &[(OpenAi, "web_search_options")]),
    plain(Field::Moderation, LeftOut, &[(OpenAi, "moderation"), (OpenAiResponses, "moderation")]),
    plain(Field::Truncation, Refused, &[(OpenAiResponses, "truncation")]).neutral(&["\"disabled\""]),
    plain(Field::MaxToolCalls, LeftOut, &[(OpenAiResponses, "max_tool_calls")]),
    formed(Field::Include, Refused, &[(OpenAiResponses, "include")]).neutral(&["[]"]),
    plain(Field::PreviousResponse, Refused, &[(OpenAiResponses, "previous_response_id")]),
    plain(Field::Conversation, Refused, &[(OpenAiResponses, "conversation")]),
    plain(Field::StoredPrompt, Refused, &[(OpenAiResponses, "prompt")]),
    plain(Field::SafetySettings, LeftOut, &[(Gemini, "safetySettings")]).neutral(&["[]"]),
    plain(Field::Labels, LeftOut, &[(Gemini, "labels")]).neutral(&["{}"]),
    plain(Field::RequestLogging, LeftOut, &[(Gemini, "store")]),
    formed(Field::MediaName, LeftOut, &[(OpenAi, "messages.content.file.filename"), (OpenAiResponses, "input.content.filename"), (Anthropic, "messages.content.title"), (Gemini, "contents.parts.inlineData.displayName")]),
    formed(Field::ImageDetail, LeftOut, &[(OpenAi, "messages.content.image_url.detail"), (OpenAiResponses, "input.content.detail")]),
    formed(Field::ParticipantName, LeftOut, &[(OpenAi, "messages.name")]),
    // Earlier turns' thoughts: only the provider that signed them wants them back.
    formed(Field::Thoughts, LeftOut, &[(OpenAi, "messages.reasoning_content"), (OpenAiResponses, "input.reasoning"), (Anthropic, "messages.content.thinking"), (Gemini, "contents.parts.thought")]),
    plain(Field::CachedContent, Refused, &[(Gemini, "cachedContent")]),
    plain(Field::ContextManagement, LeftOut, &[(Anthropic, "context_management")]),
    plain(Field::Compaction, Refused, &[(OpenAiResponses, "context_management")]).neutral(&["[]"]),
    plain(Field::Background, Refused, &[(OpenAiResponses, "background")]).neutral(&["false"]),
    plain(Field::PromptCacheOptions, LeftOut, &[(OpenAi, "prompt_cache_options"), (OpenAiResponses, "prompt_cache_options")]),
    plain(Field::ClientMetadata, LeftOut, &[(OpenAiResponses, "client_metadata")]),
    plain(Field::InferenceRegion, Refused, &[(Anthropic, "inference_geo")]),
    plain(Field::Thread, Refused, &[(Anthropic, "thread")]),
    plain(Field::McpServers, Refused, &[(Anthropic, "mcp_servers")]).neutral(&["[]"]),
    plain(Field::Container, Refused, &[(Anthropic, "container")]),
];

/// The row of what a client calls so: a path as `generationConfig.topK`.
pub fn find(dialect: DialectId, path: &str) -> Option<&'static Row> {
    FIELDS.iter().find(|row| row.names.iter().chain(row.aliases).any(|(own, name)| *own == dialect && *name == path))
}

/// What a dialect calls a field; of several names the one that is written.
pub fn name(field: Field, dialect: DialectId) -> Option<&'static str> {
    let of_row = FIELDS.iter().filter(|row| row.field == field).find_map(|row| row.name(dialect));
    of_row.or_else(|| native::name(field, dialect))
}

/// What a client calls a field.
fn said(field: Field, client: DialectId) -> Option<&'static str> {
    FIELDS.iter().filter(|row| row.field == field).find_map(|row| row.said(client))
}

/// What has no place in the target, by the client's names: what is left out. What readers left out comes first.
///
/// A search beside the client's own functions is an offer that its model may pass over, and agents make it with every
/// request (Codex): it is left out. Alone, it is what the answer is to come from.
///
/// # Errors
/// `INVALID_REQUEST`, naming the first field that may not be left out.
pub fn check(request: &ChatRequest<'_>, client: DialectId, target: DialectId) -> Result<Vec<String>, Reject> {
    let mut left_out: Vec<String> = request.left_out.iter().map(|name| name.clone().into_owned()).collect();
    match request.searches.first() {
        Some(path) if request.tools.is_empty() => return Err(untranslatable(path)),
        _ => left_out.extend(request.searches.iter().cloned()),
    }
    if request.tools.iter().any(|tool| tool.name.is_empty()) {
        return Err(invalid(said(Field::Tools, client).unwrap_or("tools"), "a tool has no name"));
    }
    let types = request.media().filter_map(|media| media.mime_type.as_deref());
    if types.into_iter().any(|mime_type| !is_mime_type(mime_type)) {
        return Err(invalid(said(Field::Messages, client).unwrap_or("messages"), "a medium's type is no MIME type"));
    }
    if request.tools.is_empty() && request.options.tool_choice.is_some() {
        return Err(refused(Field::ToolChoice, client, target, Some("a call without tools")));
    }
    for field in request.options.set() {
        if name(field, target).is_some() {
            continue;
        }
        let row = FIELDS.iter().find(|row| row.field == field && row.said(client).is_some());
        if row.is_some_and(|row| {
            request.options.plain(field).is_some_and(|value| is_one_of(row.harmless, value.as_str()))
        }) {
            continue;
        }
        if row.is_none_or(|row| row.otherwise == Refused) {
            return Err(refused(field, client, target, None));
        }
        push(&mut left_out, field, client);
    }
    Ok(left_out)
}

/// Whether a value is one of these: `0.0` is `0`.
pub(super) fn is_one_of(values: &[&str], value: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    values.iter().any(|own| *own == value || number(own).is_some_and(|own| number(value) == Some(own)))
}

/// What can be put into a `data:` URL and be read from it again.
fn is_mime_type(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_control() || c == ',')
}

/// Adds a field to what is left out, by the client's name.
pub(super) fn push(left_out: &mut Vec<String>, field: Field, client: DialectId) {
    left_out.push(said(field, client).map_or_else(|| format!("{field:?}"), str::to_owned));
}

/// The refusal of a request that the target cannot express; `what` in the field, if it is not the field itself.
pub(super) fn refused(field: Field, client: DialectId, target: DialectId, what: Option<&str>) -> Reject {
    let name = said(field, client).unwrap_or("messages");
    let message = match what {
        Some(what) => format!("`{name}`: {what} cannot be sent to the provider of this model, which speaks {target}"),
        None => format!("`{name}` has no counterpart at the provider of this model, which speaks {target}"),
    };
    Reject::new(RejectCode::InvalidRequest).message(message).param(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::chat::{Json, Options};

    #[test]
    fn a_path_is_one_field_in_a_dialect() {
        for dialect in DialectId::ALL {
            let mut paths: Vec<(&str, Field)> = FIELDS
                .iter()
                .flat_map(|row| row.names.iter().chain(row.aliases).map(move |(own, name)| (*own, *name, row.field)))
                .filter(|(own, ..)| *own == dialect)
                .map(|(_, name, field)| (name, field))
                .collect();
            paths.sort_by_key(|(name, _)| *name);
            let shared = ["messages", "response_format", "text.format"];
            for pair in paths.windows(2) {
                assert!(pair[0].0 != pair[1].0 || shared.contains(&pair[0].0), "{dialect}: {pair:?}");
            }
        }
    }

    #[test]
    fn a_search_is_left_out_beside_functions_alone() {
        let mut request = ChatRequest { searches: vec!["tools[0].type".to_owned()], ..ChatRequest::default() };
        let refusal = check(&request, OpenAiResponses, Anthropic).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("tools[0].type"));
        let function = super::super::Tool {
            name: "f".into(),
            description: None,
            parameters: None,
            strict: None,
            cache_mark: None,
        };
        request.tools.push(function);
        assert_eq!(check(&request, OpenAiResponses, Anthropic).unwrap(), ["tools[0].type"]);
    }

    #[test]
    fn what_a_target_lacks_is_left_out_or_refused_by_the_clients_name() {
        let request = |field| {
            let plain = vec![(field, Json::of(&3))];
            ChatRequest { options: Options { plain, ..Options::default() }, ..ChatRequest::default() }
        };
        assert_eq!(check(&request(Field::Seed), Gemini, OpenAi).unwrap(), [""; 0]);
        assert_eq!(check(&request(Field::Seed), Gemini, Anthropic).unwrap(), ["generationConfig.seed"]);
        let refusal = check(&request(Field::TopK), Gemini, OpenAi).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("generationConfig.topK"));
        assert_eq!(check(&request(Field::MinP), OpenAi, DialectId::Ollama).unwrap(), [""; 0]);
        let refusal = check(&request(Field::MinP), OpenAi, Anthropic).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("min_p"));
        assert_eq!(refusal.code, RejectCode::InvalidRequest);
    }

    #[test]
    fn what_changes_nothing_is_refused_nowhere_and_carried_over_where_it_has_a_name() {
        let request = |field, value: &'static str| {
            let plain = vec![(field, Json::parse(value.into()).unwrap())];
            ChatRequest { options: Options { plain, ..Options::default() }, ..ChatRequest::default() }
        };
        for (field, harmless, other) in [
            (Field::MinP, ["0", "0.0"], "0.05"),
            (Field::RepetitionPenalty, ["1", "1.0"], "1.1"),
            (Field::TopK, ["0", "-1"], "1"),
        ] {
            for value in harmless {
                assert_eq!(
                    check(&request(field, value), OpenAi, OpenAiResponses).unwrap(),
                    [""; 0],
                    "{field:?} {value}"
                );
            }
            assert!(check(&request(field, other), OpenAi, OpenAiResponses).is_err(), "{field:?} {other}");
        }
        assert_eq!(name(Field::RepetitionPenalty, DialectId::Ollama), Some("options.repeat_penalty"));
    }
}
