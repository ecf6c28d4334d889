//! How an upstream's URL is put together, and the conversation as it is asked for in every upstream's dialect, those that no
//! client speaks included.

use super::{CHATS, ENDPOINTS, Endpoint, GEMINI_VERSION, STREAM_ACTION, Target, path, post, resource};
use crate::dialect::shape::Answer;
use crate::dialect::shape::DialectId::{self, Anthropic, Bedrock, Cohere, DashScope, Gemini, Ollama};
use http::{HeaderName, HeaderValue};

use super::ModelPlace::{Body, Path};
use super::RequestShape::Json;

/// Operations that upstreams alone have: no client's path means one of them. By docs.cohere.com/reference/chat,
/// docs.ollama.com/api, Amazon Bedrock's API reference (Converse, ConverseStream), and Alibaba Cloud Model Studio's reference of
/// the DashScope API.
#[rustfmt::skip]
static NATIVE: [Endpoint; 6] = [
    post(DashScope, TEXT, "api/v1/services/aigc/text-generation/generation", Answer::Generation, Json, Body),
    post(DashScope, MULTIMODAL, "api/v1/services/aigc/multimodal-generation/generation", Answer::Generation, Json, Body),
    post(Cohere, "chat", "v2/chat", Answer::CohereChat, Json, Body),
    post(Ollama, "chat", "api/chat", Answer::OllamaChat, Json, Body),
    post(Bedrock, WHOLE, "model/{model}/converse", Answer::Converse, Json, Path),
    post(Bedrock, STREAM, "model/{model}/converse-stream", Answer::Converse, Json, Path),
];

const TEXT: &str = "text_generation";
const MULTIMODAL: &str = "multimodal_generation";
const WHOLE: &str = "converse";
const STREAM: &str = "converse_stream";

/// Parts of the names of DashScope's models that only its multimodal operation serves: those that see and hear, and the general
/// ones since Qwen 3.5 (help.aliyun.com/en/model-studio/qwen-api-via-dashscope, autumn of 2026).
const MULTIMODAL_NAMES: [&str; 11] =
    ["-vl", "omni", "qvq", "-ocr", "-asr", "audio", "qwen3.5", "qwen3.6", "qwen3.7", "kimi-k2.5", "kimi-k2.6"];

/// Whether DashScope's multimodal operation serves this request; its text operation takes text alone.
pub fn is_multimodal(model: &str, has_media: bool) -> bool {
    let is_text_alone = model.contains("-max") && !model.contains("-vl");
    has_media || (!is_text_alone && MULTIMODAL_NAMES.iter().any(|part| model.contains(part)))
}

/// The conversation in an upstream's dialect, for a request that is translated into it. `has_media`: something of it is no text.
pub fn chat_target(dialect: DialectId, stream: bool, upstream_model: &str, has_media: bool) -> Target {
    let streams_by_path = stream && dialect == Gemini;
    let name = match dialect {
        DashScope if is_multimodal(upstream_model, has_media) => MULTIMODAL,
        DashScope => TEXT,
        Bedrock if stream => STREAM,
        Bedrock => WHOLE,
        _ => "chat",
    };
    let row = |row: &&Endpoint| match streams_by_path {
        true => row.path == STREAM_ACTION,
        false => row.dialect == dialect && (CHATS.contains(&(dialect, row.name)) || row.name == name),
    };
    let endpoint = ENDPOINTS.iter().chain(&NATIVE).find(row).unwrap_or(&ENDPOINTS[0]);
    let upstream_path = match dialect {
        Gemini => format!("/{GEMINI_VERSION}/{{model}}:{}", endpoint.path),
        Anthropic => format!("/v1/{}", endpoint.path),
        _ => format!("/{}", endpoint.path),
    };
    let query = streams_by_path.then(|| "alt=sse".to_owned());
    Target { endpoint, model_in_path: None, streams_by_path, upstream_path, query }
}

/// The header field that asks for a stream, where neither body nor path does.
pub fn stream_field(dialect: DialectId) -> Option<(HeaderName, HeaderValue)> {
    (dialect == DashScope).then(|| (HeaderName::from_static("x-dashscope-sse"), HeaderValue::from_static("enable")))
}

/// How much of the path's beginning the base URL has already: its version, where the operator wrote it too. Gemini's may be
/// another one: the operator's wins.
pub(super) fn repeated(target: &Target, base: &str) -> usize {
    let path = &target.upstream_path;
    let version = match target.endpoint.dialect {
        Gemini if base.split('/').any(path::is_gemini_version) => &path[..path[1..].find('/').map_or(0, |end| end + 1)],
        Anthropic if base.ends_with("/v1") => "/v1",
        Cohere if base.ends_with("/v2") => "/v2",
        Ollama if base.ends_with("/api") => "/api",
        DashScope if base.ends_with("/api/v1") => "/api/v1",
        _ => "",
    };
    if path.starts_with(version) { version.len() } else { 0 }
}

/// Writes the model as its dialect has it in a path.
pub(super) fn put_model(dialect: DialectId, model: &str, out: &mut String) {
    if dialect == Gemini {
        let (collection, name) = resource(model);
        out.push_str(collection);
        out.push('/');
        path::encode_segment(name, out);
        return;
    }
    // As Amazon's SDKs have it, for the signature: nothing but the unreserved stays.
    let start = out.len();
    path::encode_segment(model, out);
    let strict = out[start..].replace(':', "%3A").replace('@', "%40");
    out.truncate(start);
    out.push_str(&strict);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_its_conversation_and_a_version_is_put_there_once() {
        for (dialect, stream, model, media, base, expected) in [
            (DialectId::OpenAi, true, "m", false, "/v1", "/v1/chat/completions"),
            (DialectId::OpenAiResponses, false, "m", false, "", "/responses"),
            (Anthropic, true, "m", false, "", "/v1/messages"),
            (Anthropic, true, "m", false, "/x/v1", "/x/v1/messages"),
            (Gemini, false, "m", false, "", "/v1beta/models/m:generateContent"),
            (Gemini, true, "m", false, "/v1", "/v1/models/m:streamGenerateContent?alt=sse"),
            (Cohere, true, "m", false, "", "/v2/chat"),
            (Cohere, false, "m", false, "/v2", "/v2/chat"),
            (Ollama, true, "m", false, "", "/api/chat"),
            (Ollama, true, "m", false, "/api/", "/api/chat"),
            (DashScope, true, "qwen-plus", false, "", "/api/v1/services/aigc/text-generation/generation"),
            (DashScope, true, "qwen-plus", true, "/api/v1", "/api/v1/services/aigc/multimodal-generation/generation"),
            (DashScope, true, "qwen3-vl-plus", false, "", "/api/v1/services/aigc/multimodal-generation/generation"),
            (Bedrock, false, "us.amazon.nova-lite-v1:0", false, "", "/model/us.amazon.nova-lite-v1%3A0/converse"),
            (Bedrock, true, "arn:aws:x/y", false, "", "/model/arn%3Aaws%3Ax%2Fy/converse-stream"),
        ] {
            let target = chat_target(dialect, stream, model, media);
            assert_eq!(target.endpoint.dialect, dialect);
            assert_eq!(target.upstream_path_and_query(base, model), expected);
        }
    }

    #[test]
    fn no_clients_path_means_what_upstreams_alone_have() {
        for row in &NATIVE {
            let path = format!("/{}", row.path);
            let found = super::super::target(&http::Method::POST, &path, None, &http::HeaderMap::new());
            assert!(found.is_err(), "{path}");
        }
    }
}
