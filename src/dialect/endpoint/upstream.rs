//! How upstreams are asked, a row a dialect (those that no client speaks, too): which operation a conversation is, and how its
//! URL is put together.

use super::{ENDPOINTS, Endpoint, Target, path, post, resource};
use crate::dialect::shape::Answer;
use crate::dialect::shape::DialectId::{
    self, Anthropic, Bedrock, Cohere, DashScope, Gemini, Ollama, OpenAi, OpenAiResponses,
};
use http::{HeaderName, HeaderValue};

use super::ModelPlace::{Body, Path};
use super::RequestShape::Json;

/// Operations that upstreams alone have: no client's path means one of them. By docs.cohere.com/reference/chat,
/// docs.ollama.com/api, Amazon Bedrock's API reference (Converse, ConverseStream), and Alibaba Cloud Model Studio's reference of
/// the DashScope API.
#[rustfmt::skip]
static NATIVE: [Endpoint; 6] = [
    post(DashScope, "text_generation", "services/aigc/text-generation/generation", Answer::Generation, Json, Body),
    post(DashScope, "multimodal_generation", "services/aigc/multimodal-generation/generation", Answer::Generation, Json, Body),
    post(Cohere, "chat", "chat", Answer::CohereChat, Json, Body),
    post(Ollama, "chat", "chat", Answer::OllamaChat, Json, Body),
    post(Bedrock, "converse", "model/{model}/converse", Answer::Converse, Json, Path),
    post(Bedrock, "converse_stream", "model/{model}/converse-stream", Answer::Converse, Json, Path),
];

/// How upstreams of a dialect are asked.
pub(super) struct Upstream {
    dialect: DialectId,
    /// The name of the operation that a conversation is.
    chat: &'static str,
    /// Another one, which takes more than text.
    multimodal: Option<Multimodal>,
    /// How a stream is asked for.
    stream: Stream,
    /// What may stand before an operation's path; first, what does unless client or operator have another. None: the base URL
    /// has it.
    versions: &'static [&'static str],
    /// Base URLs may go on behind their version.
    version_is_anywhere: bool,
    /// What stands between the version and an operation's path.
    before_path: &'static str,
    /// Writes the model where the path has `{model}`.
    put_model: fn(&str, &mut String),
}

/// An operation for media, and for the models that no other one serves.
struct Multimodal {
    name: &'static str,
    models: &'static [(&'static str, Serves)],
}

/// What serves a model where a request is of text alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serves {
    /// The operation for text.
    Text,
    /// The multimodal one.
    Multimodal,
}

enum Stream {
    /// In the body.
    Body,
    /// In a header field, too.
    Field(&'static str, &'static str),
    /// By an operation of its own, with this query.
    Operation(&'static str, Option<&'static str>),
}

/// By a part of the name of DashScope's models; the first that is found. The multimodal operation alone serves those that see
/// and hear, and the general ones since Qwen 3.5 but the largest (help.aliyun.com/en/model-studio/qwen-api-via-dashscope, autumn
/// of 2026); what is not here is of text.
#[rustfmt::skip]
static DASHSCOPE_MODELS: [(&str, Serves); 12] = [
    ("-vl", Serves::Multimodal),
    ("-max", Serves::Text),
    ("omni", Serves::Multimodal),
    ("qvq", Serves::Multimodal),
    ("-ocr", Serves::Multimodal),
    ("-asr", Serves::Multimodal),
    ("audio", Serves::Multimodal),
    ("qwen3.5", Serves::Multimodal),
    ("qwen3.6", Serves::Multimodal),
    ("qwen3.7", Serves::Multimodal),
    ("kimi-k2.5", Serves::Multimodal),
    ("kimi-k2.6", Serves::Multimodal),
];

/// OpenAI's, and what most have in common with it.
const PLAIN: Upstream = Upstream {
    dialect: OpenAi,
    chat: "chat",
    multimodal: None,
    stream: Stream::Body,
    versions: &[],
    version_is_anywhere: false,
    before_path: "/",
    put_model: put_unreserved,
};

/// A row a dialect. Google's versions are those of Vertex AI too, whose base URLs have the project behind theirs.
static UPSTREAMS: [Upstream; DialectId::ALL.len() + DialectId::UPSTREAM_ONLY.len()] = [
    PLAIN,
    Upstream { dialect: OpenAiResponses, chat: "responses", ..PLAIN },
    Upstream { dialect: Anthropic, chat: "messages", versions: &["/v1"], ..PLAIN },
    Upstream {
        dialect: Gemini,
        chat: "generate_content",
        stream: Stream::Operation("stream_generate_content", Some("alt=sse")),
        versions: &["/v1beta", "/v1", "/v1alpha", "/v1beta1"],
        version_is_anywhere: true,
        before_path: "/{model}:",
        put_model: put_resource,
        ..PLAIN
    },
    Upstream {
        dialect: DashScope,
        chat: "text_generation",
        multimodal: Some(Multimodal { name: "multimodal_generation", models: &DASHSCOPE_MODELS }),
        stream: Stream::Field("x-dashscope-sse", "enable"),
        versions: &["/api/v1"],
        ..PLAIN
    },
    Upstream { dialect: Cohere, versions: &["/v2"], ..PLAIN },
    Upstream { dialect: Ollama, versions: &["/api"], ..PLAIN },
    Upstream { dialect: Bedrock, chat: "converse", stream: Stream::Operation("converse_stream", None), ..PLAIN },
];

/// The row of a dialect.
pub(super) fn row(dialect: DialectId) -> &'static Upstream {
    UPSTREAMS.iter().find(|row| row.dialect == dialect).unwrap_or(&PLAIN)
}

impl Upstream {
    /// Whether the operation of this name is a conversation.
    pub(super) fn has_chat(&self, name: &str) -> bool {
        let multimodal = self.multimodal.as_ref().is_some_and(|operation| operation.name == name);
        self.chat == name || self.streams_by(name) || multimodal
    }

    /// Whether the operation of this name asks for a stream.
    pub(super) fn streams_by(&self, name: &str) -> bool {
        matches!(self.stream, Stream::Operation(own, _) if own == name)
    }

    /// What stands before an operation's path: what the client had there, if the dialect has that version, else its own one.
    pub(super) fn version(&self, clients: Option<&'static str>) -> &'static str {
        let clients = clients.filter(|version| self.versions.contains(version));
        clients.or_else(|| self.versions.first().copied()).unwrap_or_default()
    }

    /// An operation's path behind a version.
    pub(super) fn path(&self, version: &str, endpoint: &Endpoint) -> String {
        [version, self.before_path, endpoint.path].concat()
    }

    fn multimodal(&self, model: &str, has_media: bool) -> Option<&'static str> {
        let operation = self.multimodal.as_ref()?;
        let serves = operation.models.iter().find(|(part, _)| model.contains(part)).map(|(_, serves)| *serves);
        (has_media || serves == Some(Serves::Multimodal)).then_some(operation.name)
    }

    /// Whether a base URL has a version.
    fn has_version(&self, base: &str) -> bool {
        let is_segment = |version: &str| base.split('/').any(|segment| version.strip_prefix('/') == Some(segment));
        self.versions.iter().any(|version| base.ends_with(version) || (self.version_is_anywhere && is_segment(version)))
    }
}

/// Whether a base URL's path is one of Vertex AI's, where Gemini's models are a publisher's, in a project or in none.
pub fn is_vertex(base_path: &str) -> bool {
    base_path.split('/').any(|segment| matches!(segment, "projects" | "publishers"))
}

/// Whether a dialect's multimodal operation serves this request; the other one takes text alone.
pub fn is_multimodal(dialect: DialectId, model: &str, has_media: bool) -> bool {
    row(dialect).multimodal(model, has_media).is_some()
}

/// The conversation in an upstream's dialect, for a request that is translated into it. `has_media`: something of it is no text.
pub fn chat_target(dialect: DialectId, stream: bool, upstream_model: &str, has_media: bool) -> Target {
    let upstream = row(dialect);
    let (streaming, query) = match upstream.stream {
        Stream::Operation(name, query) if stream => (Some(name), query.map(str::to_owned)),
        _ => (None, None),
    };
    let name = upstream.multimodal(upstream_model, has_media).or(streaming).unwrap_or(upstream.chat);
    let is_meant = |row: &&Endpoint| row.dialect == dialect && row.name == name;
    let endpoint = ENDPOINTS.iter().chain(&NATIVE).find(is_meant).unwrap_or(&ENDPOINTS[0]);
    let upstream_path = upstream.path(upstream.version(None), endpoint);
    Target { endpoint, model_in_path: None, streams_by_path: streaming.is_some(), upstream_path, query }
}

/// The header field that asks for a stream, where neither body nor path does.
pub fn stream_field(dialect: DialectId) -> Option<(HeaderName, HeaderValue)> {
    match row(dialect).stream {
        Stream::Field(name, value) => Some((HeaderName::from_static(name), HeaderValue::from_static(value))),
        Stream::Body | Stream::Operation(..) => None,
    }
}

/// How much of the path's beginning the base URL has already: its version, where the operator wrote it too. Gemini's may be
/// another one: the operator's wins.
pub(super) fn repeated(target: &Target, base: &str) -> usize {
    let (upstream, path) = (row(target.endpoint.dialect), &target.upstream_path);
    let begins = |version: &&str| path.strip_prefix(*version).is_some_and(|rest| rest.starts_with('/'));
    let own = upstream.versions.iter().copied().find(begins).filter(|_| upstream.has_version(base));
    own.map_or(0, str::len)
}

/// Writes the model as its dialect has it in a path.
pub(super) fn put_model(dialect: DialectId, model: &str, out: &mut String) {
    (row(dialect).put_model)(model, out);
}

/// As Gemini names it, with its collection.
fn put_resource(model: &str, out: &mut String) {
    let (collection, name) = resource(model);
    out.push_str(collection);
    out.push('/');
    path::encode_segment(name, out);
}

/// As Amazon's SDKs have it, for the signature: nothing but the unreserved stays.
fn put_unreserved(model: &str, out: &mut String) {
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
            (
                Gemini,
                false,
                "m",
                false,
                "/v1beta1/projects/p/google",
                "/v1beta1/projects/p/google/models/m:generateContent",
            ),
            (Gemini, false, "tunedModels/m", false, "/v1x", "/v1x/v1beta/tunedModels/m:generateContent"),
            (Anthropic, false, "m", false, "/v1/x", "/v1/x/v1/messages"),
            (DashScope, true, "qwen-plus", false, "/api", "/api/api/v1/services/aigc/text-generation/generation"),
        ] {
            let target = chat_target(dialect, stream, model, media);
            assert_eq!(target.endpoint.dialect, dialect);
            assert_eq!(target.upstream_path_and_query(base, model), expected);
        }
        let fields = DialectId::ALL.into_iter().chain(DialectId::UPSTREAM_ONLY).filter_map(stream_field);
        let fields: Vec<_> = fields.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert_eq!(fields, ["x-dashscope-sse: enable"]);
    }

    #[test]
    fn vertex_is_known_by_its_paths() {
        assert!(is_vertex("/v1/projects/p/locations/global/publishers/google"));
        assert!(is_vertex("/v1beta1/publishers/google"));
        assert!(!is_vertex("") && !is_vertex("/v1beta") && !is_vertex("/my-projects/v1"));
    }

    #[test]
    fn every_row_is_its_dialects_and_names_operations_that_there_are() {
        for dialect in DialectId::ALL.into_iter().chain(DialectId::UPSTREAM_ONLY) {
            assert_eq!(UPSTREAMS.iter().filter(|row| row.dialect == dialect).count(), 1);
            for (stream, has_media) in [(false, false), (false, true), (true, false), (true, true)] {
                let target = chat_target(dialect, stream, "m", has_media);
                assert_eq!(target.endpoint.dialect, dialect);
                assert!(target.endpoint.is_chat(), "{dialect}");
            }
        }
    }

    #[test]
    fn media_and_models_that_take_them_are_for_the_multimodal_operation() {
        let names = |has_media| {
            let models =
                ["qwen-plus", "qwen3-max", "qwen3.5-max", "qwen3.5-plus", "qwen-vl-max", "qwen3-omni-flash", "qwq"];
            models.into_iter().filter(|model| is_multimodal(DashScope, model, has_media)).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["qwen3.5-plus", "qwen-vl-max", "qwen3-omni-flash"]);
        assert_eq!(names(true).len(), 7);
        assert!(!is_multimodal(OpenAi, "qwen-vl-max", true));
        // The first part that is found decides, so none may hide a longer one behind it.
        for (at, (part, _)) in DASHSCOPE_MODELS.iter().enumerate() {
            assert!(!DASHSCOPE_MODELS[..at].iter().any(|(before, _)| part.contains(before)), "{part}");
        }
    }

    #[test]
    fn no_clients_path_means_what_upstreams_alone_have() {
        for native in &NATIVE {
            let upstream = row(native.dialect);
            let path = upstream.path(upstream.version(None), native);
            let found = super::super::target(&http::Method::POST, &path, None, &http::HeaderMap::new());
            assert!(found.is_err(), "{path}");
        }
    }
}
