//! Which operations there are: one row each. Which one a request means, what of its URL may go upstream, and how the
//! upstream's URL is put together.

mod path;
#[cfg(test)]
mod tests;
mod upstream;

use super::shape::{Answer, DialectId};
use super::{chat, embed};
use crate::quick::QuickMap;
use http::{HeaderMap, Method};
use path::Decoded;
use std::sync::LazyLock;
use tollgate_plugin_api::{Reject, RejectCode};

pub use upstream::{chat_target, is_multimodal, is_vertex, stream_field};

/// How the request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestShape {
    /// One JSON object.
    Json,
    /// `multipart/form-data`; where the provider takes it too, one JSON object.
    Multipart,
    /// No body.
    Empty,
}

/// Where the request names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelPlace {
    /// The body's `model`.
    Body,
    /// The body's `model`, or the provider's documented default if there is none. The gateway prices what it names, so it
    /// always sends the name.
    BodyOr(&'static str),
    /// The path.
    Path,
    /// Nowhere: the request is not about one model.
    Nowhere,
}

/// An operation of a dialect.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name in ledger records and metrics; with `dialect`, unique.
    pub name: &'static str,
    /// What OpenTelemetry's GenAI conventions call it (`gen_ai.operation.name`); its name where they have no word.
    pub conventional_name: &'static str,
    /// Whose operation it is.
    pub dialect: DialectId,
    /// What it answers.
    pub answer: Answer,
    /// What it takes.
    pub request: RequestShape,
    /// Where the model is named.
    pub model: ModelPlace,
    /// POST, or GET (which HEAD is taken for too).
    post: bool,
    /// The path below the version; for a POST of Gemini's, what stands behind the model's colon. A last segment `{id}`
    /// takes all that follows.
    path: &'static str,
}

impl Endpoint {
    const fn known_as(self, conventional_name: &'static str) -> Self {
        Self { conventional_name, ..self }
    }

    /// How it is asked for. (HEAD is taken for GET.)
    pub fn method(&self) -> Method {
        if self.post { Method::POST } else { Method::GET }
    }

    /// Whether it is a conversation, which every dialect has an operation for: what is translated.
    pub fn is_chat(&self) -> bool {
        upstream::row(self.dialect).has_chat(self.name)
    }

    /// The dialects of upstreams that it can be translated for, its own aside.
    pub fn translates_into(&self, upstream: DialectId) -> bool {
        match self.answer {
            Answer::Embeddings | Answer::EmbedContent | Answer::BatchEmbedContents => {
                embed::counterpart(self.dialect) == Some(upstream)
            }
            _ => self.is_chat() && chat::wire(self.dialect).is_some() && chat::wire(upstream).is_some(),
        }
    }

    /// Whether it says how many tokens a prompt has.
    pub fn counts_tokens(&self) -> bool {
        matches!(self.answer, Answer::CountTokens | Answer::CountGeminiTokens)
    }

    /// Whether a stream of it can end with a chunk that has nothing but the usage (`stream_options.include_usage`).
    pub fn has_usage_chunk(&self) -> bool {
        self.dialect == DialectId::OpenAi && matches!(self.answer, Answer::Chat | Answer::Completion)
    }
}

const fn post(
    dialect: DialectId,
    name: &'static str,
    path: &'static str,
    answer: Answer,
    request: RequestShape,
    model: ModelPlace,
) -> Endpoint {
    Endpoint { name, conventional_name: name, dialect, answer, request, model, post: true, path }
}

const fn get(dialect: DialectId, name: &'static str, path: &'static str, model: ModelPlace) -> Endpoint {
    let (answer, request) = (Answer::ModelList, RequestShape::Empty);
    Endpoint { name, conventional_name: name, dialect, answer, request, model, post: false, path }
}

use DialectId::{Anthropic, Gemini, OpenAi, OpenAiResponses};
use ModelPlace::{Body, BodyOr, Nowhere, Path};
use RequestShape::{Json, Multipart};

/// Every operation. The defaults of moderations and images are those of OpenAI's API reference; what is known by another name is so
/// in open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-spans.md.
#[rustfmt::skip]
pub static ENDPOINTS: &[Endpoint] = &[
    post(OpenAi, "chat", "chat/completions", Answer::Chat, Json, Body),
    post(OpenAi, "completions", "completions", Answer::Completion, Json, Body).known_as("text_completion"),
    post(OpenAi, "embeddings", "embeddings", Answer::Embeddings, Json, Body),
    post(OpenAi, "images_generations", "images/generations", Answer::Image, Json, BodyOr("dall-e-2")),
    post(OpenAi, "images_edits", "images/edits", Answer::Image, Multipart, BodyOr("dall-e-2")),
    post(OpenAi, "images_variations", "images/variations", Answer::Image, Multipart, BodyOr("dall-e-2")),
    post(OpenAi, "audio_speech", "audio/speech", Answer::Speech, Json, Body),
    post(OpenAi, "audio_transcriptions", "audio/transcriptions", Answer::Transcription, Multipart, Body),
    post(OpenAi, "audio_translations", "audio/translations", Answer::Transcription, Multipart, Body),
    post(OpenAi, "moderations", "moderations", Answer::Moderation, Json, BodyOr("omni-moderation-latest")),
    post(OpenAi, "rerank", "rerank", Answer::Rerank, Json, Body),
    get(OpenAi, "models", "models", Nowhere),
    get(OpenAi, "model", "models/{id}", Path),
    post(OpenAiResponses, "responses", "responses", Answer::Responses, Json, Body).known_as("chat"),
    post(OpenAiResponses, "responses_compact", "responses/compact", Answer::Responses, Json, Body),
    post(OpenAiResponses, "responses_input_tokens", "responses/input_tokens", Answer::CountTokens, Json, Body),
    post(Anthropic, "messages", "messages", Answer::Messages, Json, Body).known_as("chat"),
    post(Anthropic, "count_tokens", "messages/count_tokens", Answer::CountTokens, Json, Body),
    get(Anthropic, "models", "models", Nowhere),
    get(Anthropic, "model", "models/{id}", Path),
    post(Gemini, "generate_content", "generateContent", Answer::GenerateContent, Json, Path),
    post(Gemini, "stream_generate_content", "streamGenerateContent", Answer::GenerateContent, Json, Path)
        .known_as("generate_content"),
    post(Gemini, "count_tokens", "countTokens", Answer::CountGeminiTokens, Json, Path),
    post(Gemini, "embed_content", "embedContent", Answer::EmbedContent, Json, Path).known_as("embeddings"),
    post(Gemini, "batch_embed_contents", "batchEmbedContents", Answer::BatchEmbedContents, Json, Path).known_as("embeddings"),
    get(Gemini, "models", "models", Nowhere),
    get(Gemini, "model", "models/{id}", Path),
];

/// Gemini's collections of models; a name in the second keeps its collection, in the first it does not.
const GEMINI_COLLECTIONS: [&str; 2] = ["models", "tunedModels"];
/// The most characters of a client's path that an error message repeats.
const SHOWN_CHARS_MAX: usize = 200;

/// What a request's method, path and query mean.
#[derive(Clone, Debug)]
pub struct Target {
    /// The operation.
    pub endpoint: &'static Endpoint,
    /// The model that the path names, decoded; Gemini's without `models/`. Where bodies name it, too (Azure's deployments), the
    /// path's counts.
    pub model_in_path: Option<String>,
    /// True: the path asks for a stream (Gemini's `streamGenerateContent`, Bedrock's `converse-stream`).
    pub streams_by_path: bool,
    /// The path relative to what one gives the vendor's own SDK as its base URL. Gemini's has `{model}` where the model's
    /// resource name (`models/x`) goes.
    pub upstream_path: String,
    /// What of the query may go upstream: all but credentials, as it was written.
    pub query: Option<String>,
}

impl Target {
    /// The path and query for an upstream whose base URL has the path `base_path`. A version that both have is put there
    /// once; for Gemini and Anthropic the base URL's wins, since it is the operator who wrote it.
    pub fn upstream_path_and_query(&self, base_path: &str, upstream_model: &str) -> String {
        let base = base_path.trim_end_matches('/');
        let path = &self.upstream_path[upstream::repeated(self, base)..];
        let mut whole = String::with_capacity(base.len() + path.len() + upstream_model.len() + 16);
        whole.push_str(base);
        match path.split_once("{model}") {
            Some((before, after)) => {
                whole.push_str(before);
                upstream::put_model(self.endpoint.dialect, upstream_model, &mut whole);
                whole.push_str(after);
            }
            None => whole.push_str(path),
        }
        let pairs = self.query.iter().flat_map(|query| query.split('&'));
        for (index, pair) in pairs.filter(|pair| path::is_for_upstream(pair, base)).enumerate() {
            whole.push(if index == 0 { '?' } else { '&' });
            whole.push_str(pair);
        }
        whole
    }
}

/// A Gemini model's collection and name in it.
pub(super) fn resource(model: &str) -> (&'static str, &str) {
    let split = |collection: &'static str| {
        let name = model.strip_prefix(collection)?.strip_prefix('/')?;
        (!name.is_empty()).then_some((collection, name))
    };
    GEMINI_COLLECTIONS.into_iter().find_map(split).unwrap_or((GEMINI_COLLECTIONS[0], model))
}

/// The name under which clients and configuration know a Gemini model: without `models/`.
pub(super) fn model_name(resource: &str) -> &str {
    resource.strip_prefix("models/").unwrap_or(resource)
}

/// Embeddings in an upstream's dialect, likewise.
pub fn embeddings_target(dialect: DialectId) -> Target {
    let wanted = if dialect == Gemini { Answer::BatchEmbedContents } else { Answer::Embeddings };
    target_of(ENDPOINTS.iter().find(|row| row.answer == wanted).unwrap_or(&ENDPOINTS[0]))
}

/// The first operation that a dialect has with this answer, as an upstream is asked for it. `None`: there is none.
pub fn operation_target(dialect: DialectId, answer: Answer) -> Option<Target> {
    ENDPOINTS.iter().find(|row| row.dialect == dialect && row.answer == answer).map(target_of)
}

fn target_of(endpoint: &'static Endpoint) -> Target {
    let upstream = upstream::row(endpoint.dialect);
    let upstream_path = upstream.path(upstream.version(None), endpoint);
    Target { endpoint, model_in_path: None, streams_by_path: false, upstream_path, query: None }
}

/// Finds the operation that a request means. Forgiven: a prefix written twice (a base URL with a version given to an SDK
/// that adds its own), none at all, `/api`, `/openai` and `/anthropic` before it, double and trailing slashes.
///
/// # Errors
/// `NOT_FOUND`: no such operation, or not with this method (SDKs know what to do with a 404, not all with a 405).
/// `INVALID_REQUEST`: a path that two servers could read differently (dot segments, backslashes, control characters, broken
/// escapes), or a query that would hide from the gateway what it must bill.
pub fn target(method: &Method, path: &str, query: Option<&str>, headers: &HeaderMap) -> Result<Target, Reject> {
    if method == Method::POST
        && query.is_none()
        && let Some(target) = USUAL.get(path)
    {
        refuse_field_mask(headers)?;
        return Ok(target.clone());
    }
    read_target(method, path, query, headers)
}

/// The targets that most requests have, read once: `POST /v1/…` as it is documented, which means one operation whatever
/// the fields say.
static USUAL: LazyLock<QuickMap<String, Target>> = LazyLock::new(|| {
    let plain = ENDPOINTS.iter().filter(|row| row.post && row.dialect != Gemini);
    let paths = plain.map(|row| format!("/v1/{}", row.path));
    paths
        .filter_map(|path| Some((path.clone(), read_target(&Method::POST, &path, None, &HeaderMap::new()).ok()?)))
        .collect()
});

fn read_target(method: &Method, path: &str, query: Option<&str>, headers: &HeaderMap) -> Result<Target, Reject> {
    let decoded = path::decode(path)?;
    let post = method == Method::POST;
    let get = method == Method::GET || method == Method::HEAD;
    let found = find(&decoded, headers);
    let Some(matched) = found.iter().find(|matched| if matched.endpoint.post { post } else { get }) else {
        // What stands behind a colon is an action: the path then is not that of a model.
        let has_action = |matched: &&Matched| matched.model.as_deref().is_some_and(|model| post && model.contains(':'));
        let other = found.iter().find(|matched| !has_action(matched));
        return Err(not_found(method, path, other.map(|matched| matched.endpoint)));
    };
    if post {
        refuse_field_mask(headers)?;
    }
    let endpoint = matched.endpoint;
    let query = path::query_for_upstream(query, post)?;
    let upstream = upstream::row(endpoint.dialect);
    let version = upstream.version(decoded.version);
    // The end of a GET's path may be a name.
    let upstream_path =
        if post { upstream.path(version, endpoint) } else { format!("{version}/{}", decoded.encoded_rest()) };
    Ok(Target {
        endpoint,
        model_in_path: matched.model.clone(),
        streams_by_path: upstream.streams_by(endpoint.name),
        upstream_path,
        query,
    })
}

/// The dialect that a request most likely speaks, for answers to requests that no operation is found for.
pub fn dialect_of(path: &str, headers: &HeaderMap) -> DialectId {
    if let Ok(decoded) = path::decode(path) {
        if let Some(matched) = find(&decoded, headers).first() {
            return matched.endpoint.dialect;
        }
        if decoded.dialects.len() < DialectId::ALL.len() {
            return decoded.dialects[0];
        }
    }
    if headers.contains_key("anthropic-version") {
        Anthropic
    } else if headers.contains_key("x-goog-api-key") {
        Gemini
    } else {
        OpenAi
    }
}

/// An operation whose path fits, whatever its method.
struct Matched {
    endpoint: &'static Endpoint,
    model: Option<String>,
}

/// The operations whose path this is, the likeliest dialect first.
fn find(decoded: &Decoded, headers: &HeaderMap) -> Vec<Matched> {
    let mut found: Vec<Matched> = ENDPOINTS
        .iter()
        .filter(|row| decoded.dialects.contains(&row.dialect))
        .filter_map(|row| fits(row, decoded))
        .collect();
    // Three dialects list models under the same path; without a prefix that tells, a header does.
    let listed_first = if headers.contains_key("anthropic-version") {
        Anthropic
    } else if headers.contains_key("x-goog-api-key") && !headers.contains_key(http::header::AUTHORIZATION) {
        Gemini
    } else {
        OpenAi
    };
    found.sort_by_key(|matched| !matched.endpoint.post && matched.endpoint.dialect != listed_first);
    found
}

fn fits(row: &'static Endpoint, decoded: &Decoded) -> Option<Matched> {
    let rest = decoded.rest.as_str();
    if decoded.in_deployment {
        let name = rest.strip_suffix(row.path)?.strip_suffix('/').filter(|name| !name.is_empty())?;
        let named = row.post && matches!(row.model, Body | BodyOr(_));
        return named.then(|| Matched { endpoint: row, model: Some(name.to_owned()) });
    }
    if row.dialect == Gemini && row.post {
        let (name, action) = rest.rsplit_once(':')?;
        let (collection, _) = name.split_once('/')?;
        let named = GEMINI_COLLECTIONS.contains(&collection) && name.len() > collection.len() + 1;
        return (named && action == row.path)
            .then(|| Matched { endpoint: row, model: Some(model_name(name).to_owned()) });
    }
    let Some(parent) = row.path.strip_suffix("{id}") else {
        return (rest == row.path).then_some(Matched { endpoint: row, model: None });
    };
    let tuned = row.dialect == Gemini && rest.starts_with("tunedModels/");
    let id = if tuned { rest } else { rest.strip_prefix(parent)? };
    (!id.is_empty()).then(|| Matched { endpoint: row, model: Some(id.to_owned()) })
}

fn not_found(method: &Method, path: &str, with_other_method: Option<&Endpoint>) -> Reject {
    let shown: String = path.chars().take(SHOWN_CHARS_MAX).collect();
    let message = match with_other_method {
        Some(endpoint) => {
            format!("{method} {shown} is not supported: this path takes {}", if endpoint.post { "POST" } else { "GET" })
        }
        None => format!("There is no {method} {shown}"),
    };
    Reject::new(RejectCode::NotFound).message(message)
}

/// Google's field mask can leave the usage out of an answer; no SDK sends one with these operations.
fn refuse_field_mask(headers: &HeaderMap) -> Result<(), Reject> {
    const FIELD_MASK: &str = "x-goog-fieldmask";
    match headers.get(FIELD_MASK) {
        Some(mask) if !mask.is_empty() => Err(Reject::new(RejectCode::InvalidRequest)
            .message(format!("The header {FIELD_MASK} is not supported: the answer's usage must stay in it"))
            .param(FIELD_MASK)),
        _ => Ok(()),
    }
}
