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
use crate::dialect::{Answer, Framing, embed};
use crate::snapshot::{Snapshot, Upstream};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An operator waits no longer for a call of a few tokens.
const TRIAL_TIME_MAX: Duration = Duration::from_secs(60);
/// So much of an answer is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What came of a call.
pub struct Trial {
    /// The upstream's status, or why there is none.
    pub status: Result<u16, String>,
    /// It was an answer, as a client would get it: whole, in this dialect, no error and no page.
    pub is_answer: bool,
    /// The answer's beginning, our key masked.
    pub body: Vec<u8>,
    /// From the look-up of its address to the answer's end.
    pub duration: Duration,
}

/// Sends this to an upstream. `body` is as its dialect has it; the model that the upstream is asked for stands in it already.
pub(super) async fn trial(
    snapshot: &Snapshot,
    upstream: &Arc<Upstream>,
    target: &Target,
    upstream_model: &str,
    body: Bytes,
) -> Trial {
    let started = Instant::now();
    let mut answer = Vec::new();
    let asking = ask(snapshot, upstream, target, upstream_model, body, &mut answer);
    let time_max = snapshot.routing.response_timeout.min(TRIAL_TIME_MAX);
    let (status, is_answer) = match tokio::time::timeout(time_max, asking).await {
        Ok(Ok(head)) => (Ok(head.status.as_u16()), is_answer(&head, target, upstream, &answer)),
        Ok(Err(error)) => (Err(said(&error, &upstream.secret_fragments)), false),
        Err(_) => (Err(format!("no whole answer within {} ms", time_max.as_millis())), false),
    };
    mask(&mut answer, &upstream.secret_fragments);
    Trial { status, is_answer, body: answer, duration: started.elapsed() }
}

/// Whether it would do for a request: some proxy's page and an error are none, whatever their status says.
fn is_answer(head: &AnswerHead, target: &Target, upstream: &Upstream, body: &[u8]) -> bool {
    let field = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let is_page = field(header::CONTENT_TYPE).to_ascii_lowercase().contains("html");
    let is_encoded = !matches!(field(header::CONTENT_ENCODING), "" | "identity");
    let endpoint = target.endpoint;
    let mut scanner =
        Scanner::new(endpoint.answer, endpoint.dialect, Framing::JsonDocument, upstream.provider.usage, false);
    scanner.push(Bytes::copy_from_slice(body));
    scanner.finish();
    let says = match endpoint.answer {
        Answer::Embeddings | Answer::BatchEmbedContents => embed::has_vector(body),
        _ => scanner.token_seen(),
    };
    let is_whole = scanner.is_whole() && says && scanner.error_event().is_none();
    head.status.is_success() && !is_page && !is_encoded && is_whole
}

async fn ask(
    snapshot: &Snapshot,
    upstream: &Arc<Upstream>,
    target: &Target,
    upstream_model: &str,
    body: Bytes,
    answer: &mut Vec<u8>,
) -> pingora::Result<AnswerHead> {
    let json = HeaderValue::from_static("application/json");
    let target = target.upstream_path_and_query(&upstream.base_path, upstream_model);
    let headers = forward::fields(&HeaderMap::new(), upstream, Some((json, body.len())));
    let head = forward::signed(RequestHead { method: Method::POST, target, headers }, upstream, &body)?;
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
