//! What a request asks for, read in one pass and without a copy of it; and the few bytes of it that may be changed.
//!
//! The bound on what its prompt can cost rests on two facts: a tokenizer makes at most one token of a byte (of the text in its
//! normal form, which may be longer: `normal`), and what is not text stands in known places. Only a string in such a place is
//! ever taken off the byte count; the same string anywhere else (a tool's schema, a tool call's arguments, an unknown field) is text.

mod media;
mod multipart;
mod normal;
mod output;
mod pieces;
mod places;
mod rules;
mod splice;
#[cfg(test)]
mod tests;
mod text_sink;
mod thinking;
mod walk;

pub use media::image_tokens_bound;
pub use multipart::form_parts;
pub use pieces::AskedPieces;
pub use splice::splice;
pub use text_sink::PromptText;
pub use thinking::AskedThinking;

use super::endpoint::{Endpoint, ModelPlace, RequestShape, Target};
use super::shape::Answer;
use crate::dialect::Passed;
use bytes::Bytes;
use http::HeaderValue;
use places::Place;
use splice::{Edits, ModelEdit, UsageEdit};
use tollgate_plugin_api::{Reject, RejectCode, ServiceTier};
use walk::Walk;

/// How deep a body may be nested.
const DEPTH_MAX: usize = 64;
/// An output limit above this is a mistake: no answer is that long, and no count above it is believed.
const OUTPUT_TOKENS_MAX: u64 = 1_000_000_000;
/// The most answers to one prompt (OpenAI's own limit for chat).
const CHOICES_MAX: u64 = 128;
/// The longest name of a model, in bytes.
pub(crate) const MODEL_BYTES_MAX: usize = 256;
/// What is put in front of a conversation, at most, by what stands in a model's name, in small letters. Seen are 686 tokens of "Hi" to
/// Grok 4 (doc.302.ai/api-263332597); recorded are 384 of a body of 76 bytes (Voxtral at Bedrock), 213 of 220 bytes (Grok Code), 74 of
/// 111 bytes (gpt-oss, whose template has a system message of its own: OpenAI's harmony format). What tools bring is counted apart.
const FRONT_PROMPTS: [(&str, u64); 3] = [("grok", 1_024), ("voxtral", 512), ("gpt-oss", 128)];
/// The most requests in one of Gemini's batches; Google takes 100.
const BATCH_MAX: usize = 1024;

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts {
    /// The model, wherever the request names it; the provider's documented default where it does not name one. `None`: the
    /// request is not about one model.
    pub model: Option<String>,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// Whether the client itself asked for a last chunk with the usage (`stream_options.include_usage`).
    pub wants_usage_chunk: bool,
    /// The most tokens of one answer, thinking included; 0 for operations that generate none. `None`: no limit given, or 0.
    pub output_tokens_max: Option<u64>,
    /// That limit is `max_tokens` of a chat completion, which some vendors do not hold thoughts to.
    pub limits_answer_alone: bool,
    /// That limit is 0 in a legacy completion, which may mean that there is none.
    pub limit_is_zero: bool,
    /// What is said of thinking. `None`: it is no conversation.
    pub thinking: Option<AskedThinking>,
    /// How many answers are generated: `n`, `best_of` or `candidateCount`, times the prompts of a legacy completion. At least 1.
    pub choices: u64,
    /// How many prompts there are in a list of them, each of which has a context window of its own: inputs of embeddings,
    /// documents of a rerank, requests of a batch. 0: there is no such list.
    pub prompts: u64,
    /// As how many requests it may be billed at most, where that goes by what is in it: a rerank of many documents. 0: as one.
    pub requests_billed_max: u64,
    /// Upper bound of the prompt's text in tokens: the body's bytes without recognised media, plus what the provider adds
    /// for its own tools. What is read more than once (a rerank's query) counts as often.
    pub prompt_text_bytes: u64,
    /// Upper bound of the recognised media in tokens, without [`images`](Self::images).
    pub media_tokens: u64,
    /// How many images are read of those that are in the body. What one is in tokens goes by the dialect in which a model gets it
    /// and by its name ([`image_tokens_bound`]), which need not be the client's.
    pub images: u64,
    /// How many media (images, sounds, documents) are in the body.
    pub media_parts: u32,
    /// The prompt has content whose size the body does not tell: URLs, file ids, cached contents, previous responses, stored
    /// prompts, documents and videos, tools that the provider runs. Then context windows are the bound.
    pub refers_elsewhere: bool,
    /// How many of [`prompts`](Self::prompts) do so themselves, where nothing does that they share.
    pub prompts_elsewhere: u64,
    /// What of it may be billed by the piece.
    pub pieces: AskedPieces,
    /// The tier that is asked for; prices have a multiplier for each. Anthropic's fast mode counts as priority.
    pub service_tier: ServiceTier,
    /// It is named, be it the standard one, and not left to the account.
    pub names_tier: bool,
    /// How many values the body has, in all of its lists and objects.
    pub values: u64,
    /// What separates the parts of a form. `None`: the body is JSON.
    form_boundary: Option<String>,
    edits: Edits,
}

/// What is put in front of a conversation with this model of an upstream's, in tokens, at most.
pub fn front_prompt_tokens(upstream_model: &str) -> u64 {
    let name = upstream_model.to_ascii_lowercase();
    FRONT_PROMPTS.iter().find(|(word, _)| name.contains(word)).map_or(0, |(_, tokens)| *tokens)
}

impl RequestFacts {
    /// Whether it is part of a conversation.
    pub fn is_conversation(&self) -> bool {
        self.thinking.is_some()
    }

    /// How the body was read, and is to be read by whoever gets it: a client's own `content-type` can say more than one thing, or
    /// another one.
    pub fn content_type(&self) -> HeaderValue {
        let form = self.form_boundary.as_deref().and_then(multipart::content_type);
        form.unwrap_or(HeaderValue::from_static("application/json"))
    }

    /// Upper bound of the prompt in tokens, for a model with this context window to which an image is so many tokens at most.
    pub fn input_tokens_bound(&self, context_tokens: u64, image_tokens: u64) -> u64 {
        let images = self.images.saturating_mul(image_tokens);
        let counted = self.prompt_text_bytes.saturating_add(self.media_tokens).saturating_add(images);
        match (self.refers_elsewhere, self.prompts_elsewhere) {
            (false, _) => counted,
            (true, some) if 0 < some && some < self.prompts => {
                counted.saturating_add(context_tokens.saturating_mul(some))
            }
            // Each of them does, or what they share.
            (true, _) => counted.max(context_tokens.saturating_mul(self.prompts.max(1))),
        }
    }

    /// How many answers there are at most, each image being one: [`choices`](Self::choices), times the images that vendors' own fields ask
    /// for.
    pub fn answers_max(&self) -> u64 {
        self.choices.saturating_mul(self.pieces.images_max())
    }
}

/// Reads a request's body.
///
/// # Errors
/// `INVALID_REQUEST`, naming the field as `param`: what is not JSON in UTF-8 (or not `multipart/form-data` where that is
/// due), is nested too deeply, has no model where one is needed, has a field that we act on twice or in another spelling or
/// with a wrong type or an absurd value; and what could not be billed: background responses, lists of fallback models.
pub fn read_request(
    endpoint: &Endpoint,
    target: &Target,
    content_type: Option<&str>,
    body: &Bytes,
) -> Result<RequestFacts, Reject> {
    let mut facts = match endpoint.request {
        RequestShape::Empty => RequestFacts { choices: 1, ..RequestFacts::default() },
        RequestShape::Multipart if !is_json(content_type) => multipart::read(endpoint, target, content_type, body)?,
        RequestShape::Json | RequestShape::Multipart => read_json(endpoint, target, body)?,
    };
    if !generates(endpoint.answer) {
        facts.output_tokens_max = Some(0);
        facts.stream = false;
    }
    facts.stream |= target.streams_by_path;
    facts.thinking = facts.thinking.filter(|_| endpoint.is_chat());
    if let Some(named) = target.model_in_path.as_ref().filter(|_| endpoint.model != ModelPlace::Nowhere) {
        let may_differ = matches!(endpoint.model, ModelPlace::Body | ModelPlace::BodyOr(_));
        facts.edits.is_overruled = may_differ && facts.model.as_ref().is_some_and(|own| own != named);
        facts.model = Some(named.clone());
    }
    match endpoint.model {
        ModelPlace::Nowhere => facts.model = None,
        ModelPlace::BodyOr(default) if facts.model.is_none() => facts.model = Some(default.to_owned()),
        ModelPlace::Body if facts.model.is_none() => {
            return Err(refusal("model", "The request names no model: give `model` as a string"));
        }
        ModelPlace::Body | ModelPlace::BodyOr(_) | ModelPlace::Path => {}
    }
    Ok(facts)
}

/// The text of a request's prompt for a tokenizer, of which so many bytes of the beginning are kept. The body is one that
/// [`read_request`] took.
pub fn prompt_text(endpoint: &Endpoint, body: &[u8], beginning_bytes_max: usize) -> PromptText {
    let sink = Passed::keeping(beginning_bytes_max);
    let Ok(text) = std::str::from_utf8(body) else { return multipart::prompt_text(body, sink) };
    if endpoint.request == RequestShape::Multipart && !text.trim_start().starts_with('{') {
        return multipart::prompt_text(body, sink);
    }
    let mut walk = Walk::new(endpoint.dialect, text, None).collecting(sink);
    // A body that was taken before is taken again; of any other the text up to the mistake is an estimate still.
    let _ = walk.run(Place::root(endpoint.answer, endpoint.dialect));
    walk.into_text()
}

/// Whether an answer of this kind has generated tokens.
fn generates(answer: Answer) -> bool {
    match answer {
        Answer::Chat
        | Answer::Completion
        | Answer::Responses
        | Answer::Image
        | Answer::Speech
        | Answer::Transcription
        | Answer::Messages
        | Answer::GenerateContent
        | Answer::Generation
        | Answer::CohereChat
        | Answer::OllamaChat
        | Answer::Converse => true,
        Answer::Embeddings
        | Answer::Moderation
        | Answer::Rerank
        | Answer::CountTokens
        | Answer::CountGeminiTokens
        | Answer::EmbedContent
        | Answer::BatchEmbedContents
        | Answer::ModelList => false,
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

fn read_json(endpoint: &Endpoint, target: &Target, body: &Bytes) -> Result<RequestFacts, Reject> {
    let text = std::str::from_utf8(body)
        .map_err(|error| invalid(&format!("The body is not UTF-8 (at byte {})", error.valid_up_to())))?;
    if text.trim_ascii_start().is_empty() {
        return Err(invalid("The body is empty: a JSON object is expected"));
    }
    let path_model = target.model_in_path.as_deref().filter(|_| endpoint.model == ModelPlace::Path);
    let mut walk = Walk::new(endpoint.dialect, text, path_model);
    walk.run(Place::root(endpoint.answer, endpoint.dialect))?;
    let mut facts = walk.into_facts();
    if endpoint.answer == Answer::Transcription {
        facts.pieces.hears_elsewhere();
    }
    if endpoint.answer == Answer::Speech {
        facts.pieces.speaks_of(text);
    }
    facts.limit_is_zero = endpoint.answer == Answer::Completion && facts.output_tokens_max == Some(0);
    // A limit of zero means nothing to some vendors and no limit to others (Ollama's runner stops at `numPredict > 0` alone; Go's
    // `omitempty` drops it on the way), so that nothing may rest on it. But who scores text asks for none of legacy completions, and
    // who fills a cache none of Anthropic.
    let may_be_no_limit = matches!(endpoint.answer, Answer::Chat | Answer::Responses | Answer::GenerateContent);
    facts.output_tokens_max = facts.output_tokens_max.filter(|limit| *limit > 0 || !may_be_no_limit);
    if endpoint.has_usage_chunk() && facts.edits.usage == UsageEdit::Never {
        facts.edits.usage = UsageEdit::Absent;
    }
    if facts.model.is_none() && is_named_elsewhere(endpoint, target) && facts.edits.model == ModelEdit::Never {
        facts.edits.model = ModelEdit::Insert;
    }
    Ok(facts)
}

fn invalid(message: &str) -> Reject {
    Reject::new(RejectCode::InvalidRequest).message(message)
}

fn refusal(param: &str, message: &str) -> Reject {
    invalid(message).param(param)
}

/// Whether a body may name no model, though an upstream's names one: the path does, or there is a default.
fn is_named_elsewhere(endpoint: &Endpoint, target: &Target) -> bool {
    match endpoint.model {
        ModelPlace::BodyOr(_) => true,
        ModelPlace::Body => target.model_in_path.is_some(),
        ModelPlace::Path | ModelPlace::Nowhere => false,
    }
}

/// Checks the name of a model.
fn check_model(name: &str) -> Result<(), Reject> {
    if name.trim().is_empty() {
        Err(refusal("model", "`model` is empty"))
    } else if name.len() > MODEL_BYTES_MAX {
        Err(refusal("model", "`model` is too long"))
    } else if name.chars().any(char::is_control) {
        Err(refusal("model", "`model` has a control character"))
    } else {
        Ok(())
    }
}

/// The tier that a request's `service_tier` means. Words that are nobody's are the provider's to refuse.
pub(crate) fn tier(word: &str) -> ServiceTier {
    match word.to_ascii_lowercase().trim_start_matches("service_tier_") {
        "flex" => ServiceTier::Flex,
        "priority" | "fast" => ServiceTier::Priority,
        "ultrafast" => ServiceTier::Ultrafast,
        "batch" => ServiceTier::Batch,
        _ => ServiceTier::Standard,
    }
}
