//! A single call to one upstream, as a request's would be: same connector, address, path, credential and headers. For
//! operators; no key, no hold, no record.

use super::failure::said;
use super::forward;
use super::http1::{AnswerHead, RequestHead};
use super::mask::mask;
use super::peer;
use super::upstream::Connections;
use crate::dialect::endpoint::Target;
use crate::dialect::usage::Scanner;
use crate::dialect::{Answer, Framing};
use crate::snapshot::{Snapshot, Upstream};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An operator waits no longer for a call of a few tokens.
const TRIAL_TIME_MAX: Duration = Duration::from_secs(60);
/// So much of an answer is read: some providers list hundreds of models, with much about each.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What shows that a document is an answer and no error: one of these places has something.
static PROOFS: [(Answer, &[&str]); 6] = [
    (Answer::Embeddings, &["/data/0/embedding/0"]),
    (Answer::BatchEmbedContents, &["/embeddings/0/values/0"]),
    // Cohere's and Jina's; Voyage's.
    (Answer::Rerank, &["/results/0", "/data/0"]),
    (Answer::Moderation, &["/results/0"]),
    (Answer::Transcription, &["/text"]),
    (Answer::ModelList, &["/data"]),
];

/// What is sent.
#[derive(Default)]
pub(super) struct Question {
    /// None: nothing is.
    pub(super) content_type: Option<String>,
    /// As the upstream's dialect has it; the model that the upstream is asked for stands in it already.
    pub(super) body: Bytes,
}

impl Question {
    /// One JSON object.
    pub(super) fn json(body: Bytes) -> Self {
        Self { content_type: Some("application/json".to_owned()), body }
    }
}

/// What came of a call.
pub struct Trial {
    /// The operation that was asked for, as ledger records call it.
    pub operation: &'static str,
    /// The upstream's status, or why there is none.
    pub status: Result<u16, String>,
    /// It was an answer, as a client would get it: whole, in this dialect, no error and no page.
    pub is_answer: bool,
    /// The answer's beginning, our key masked.
    pub body: Vec<u8>,
    /// From the look-up of its address to the answer's end.
    pub duration: Duration,
}

/// Sends this to an upstream.
pub(super) async fn trial(
    snapshot: &Snapshot,
    upstream: &Arc<Upstream>,
    target: &Target,
    upstream_model: &str,
    question: Question,
) -> Trial {
    let started = Instant::now();
    let mut answer = Vec::new();
    let asking = ask(snapshot, upstream, target, upstream_model, question, &mut answer);
    let time_max = snapshot.routing.response_timeout.min(TRIAL_TIME_MAX);
    let (status, is_answer) = match tokio::time::timeout(time_max, asking).await {
        Ok(Ok(head)) => (Ok(head.status.as_u16()), is_answer(&head, target, upstream, &answer)),
        Ok(Err(error)) => (Err(said(&error, &upstream.secret_fragments)), false),
        Err(_) => (Err(format!("no whole answer within {} ms", time_max.as_millis())), false),
    };
    mask(&mut answer, &upstream.secret_fragments);
    Trial { operation: target.endpoint.name, status, is_answer, body: answer, duration: started.elapsed() }
}

/// Whether it would do for a request: some proxy's page and an error are none, whatever their status says.
fn is_answer(head: &AnswerHead, target: &Target, upstream: &Upstream, body: &[u8]) -> bool {
    let field = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let is_page = field(header::CONTENT_TYPE).to_ascii_lowercase().contains("html");
    let is_encoded = !matches!(field(header::CONTENT_ENCODING), "" | "identity");
    head.status.is_success() && !is_page && !is_encoded && says_something(target, upstream, body)
}

/// Whether a body is a whole answer to this, and no error.
fn says_something(target: &Target, upstream: &Upstream, body: &[u8]) -> bool {
    let endpoint = target.endpoint;
    if let Some((_, places)) = PROOFS.iter().find(|(answer, _)| *answer == endpoint.answer) {
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        return places.iter().any(|place| document.pointer(place).is_some_and(|found| !found.is_null()));
    }
    let mut scanner =
        Scanner::new(endpoint.answer, endpoint.dialect, Framing::JsonDocument, upstream.provider.usage, false);
    scanner.push(Bytes::copy_from_slice(body));
    scanner.finish();
    scanner.is_whole() && scanner.token_seen() && scanner.error_event().is_none()
}

async fn ask(
    snapshot: &Snapshot,
    upstream: &Arc<Upstream>,
    target: &Target,
    upstream_model: &str,
    Question { content_type, body }: Question,
    answer: &mut Vec<u8>,
) -> pingora::Result<AnswerHead> {
    let content = content_type.and_then(|text| Some((HeaderValue::try_from(text).ok()?, body.len())));
    let method = target.endpoint.method();
    let target = target.upstream_path_and_query(&upstream.base_path, upstream_model);
    let headers = forward::fields(&HeaderMap::new(), upstream, content);
    let head = forward::signed(RequestHead { method, target, headers }, upstream, &body)?;
    let timeout = snapshot.routing.connect_timeout;
    let address = peer::address(upstream, timeout).await?;
    let connections = Arc::new(Connections::new());
    let (mut conversation, _) = connections.connect(upstream, address, timeout).await?;
    let head = conversation.ask(head, body).await?;
    while !conversation.is_over() && answer.len() < ANSWER_BYTES_MAX {
        match conversation.piece().await? {
            Some(piece) => answer.extend_from_slice(&piece),
            None => break,
        }
    }
    connections.give_up(conversation).await;
    Ok(head)
}
