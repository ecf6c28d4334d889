//! What a request asks for, and the few bytes of it that are changed.

use super::input::Input;
use super::json::{assert_object, is_json};
use bytes::Bytes;
use http::{HeaderMap, Method};
use tollgate::dialect::answer::reject_body;
use tollgate::dialect::endpoint::{RequestShape, target};
use tollgate::dialect::request::{prompt_text, read_request, splice};

const PATHS: [&str; 20] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/gemini-3-pro:generateContent",
    "/v1beta/models/gemini-3-pro:streamGenerateContent",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/images/variations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/moderations",
    "/v1/rerank",
    "/v1/responses/compact",
    "/v1/responses/input_tokens",
    "/v1/messages/count_tokens",
    "/v1beta/models/gemini-embedding-001:embedContent",
    "/v1beta/models/gemini-embedding-001:batchEmbedContents",
];

/// What is read can be written: after a splice the model is the upstream's, the usage chunk is asked for, and all else is as it
/// was; and a splice of what is spliced changes nothing.
pub(crate) fn read_and_splice(input: &Input<'_>) {
    let path = input.choose(&PATHS);
    let target = target(&Method::POST, path, None, &HeaderMap::new()).expect("an operation");
    let endpoint = target.endpoint;
    let is_form = endpoint.request == RequestShape::Multipart && input.says(0);
    let content_type = if is_form { "multipart/form-data; boundary=X" } else { "application/json" };
    let body = Bytes::copy_from_slice(input.body);
    let prompt = prompt_text(endpoint, &body, 100).once;
    let (text, total) = (prompt.beginning(), prompt.bytes());
    assert!(text.len() <= 100 + 3 && text.len() as u64 <= total.max(100), "{path}: {} of {total}", text.len());
    let facts = match read_request(endpoint, &target, Some(content_type), &body) {
        Ok(facts) => facts,
        Err(refusal) => return assert_object(&reject_body(endpoint.dialect, &refusal, "r1"), path),
    };
    assert!(
        facts.choices >= 1 && facts.input_tokens_bound(1 << 20, 3) >= facts.media_tokens + 3 * facts.images,
        "{path}: {facts:?}"
    );
    assert!(is_form || is_json(&body), "{path}: what is no JSON was taken");
    assert!(is_form || splice(&facts, &body, facts.model.as_deref(), false).len() >= body.len());
    let spliced = splice(&facts, &body, Some("another \"model\""), true);
    assert!(is_form || is_json(&spliced), "{path}: {}", String::from_utf8_lossy(&spliced));
    let mut named = target.clone();
    if named.model_in_path.is_some() {
        named.model_in_path = Some("another \"model\"".to_owned());
    }
    let again = read_request(endpoint, &named, Some(content_type), &spliced)
        .unwrap_or_else(|refusal| panic!("{path}: {refusal:?}: {}", String::from_utf8_lossy(&spliced)));
    assert_eq!(again.model.as_deref(), facts.model.as_deref().map(|_| "another \"model\""), "{path}");
    assert!(!endpoint.has_usage_chunk() || !facts.stream || again.wants_usage_chunk, "{path}");
    let same = |facts: &tollgate::dialect::request::RequestFacts| {
        (
            facts.stream,
            facts.output_tokens_max,
            facts.choices,
            facts.media_tokens,
            facts.images,
            facts.media_parts,
            facts.service_tier,
        )
    };
    assert_eq!(same(&again), same(&facts), "{path}");
    assert_eq!(splice(&again, &spliced, Some("another \"model\""), true), spliced, "{path}");
}
