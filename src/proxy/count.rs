//! How many tokens a prompt would have, where no upstream of the model can be asked in the client's dialect: counted here
//! with a tokenizer, and marked as an estimate. It costs nothing and leaves no record: nothing goes upstream. Of limits it takes one request.

use super::exchange::{Exchange, Leases, Prompt};
use crate::dialect::answer;
use crate::dialect::endpoint::Target;
use crate::dialect::request::RequestFacts;
use crate::estimate;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tollgate_plugin_api::{Amounts, Reject, RejectCode, Reply};

/// Says that the count is ours, and how it came about.
const ESTIMATED: HeaderName = HeaderName::from_static("x-tollgate-estimated");
/// What an image or another medium counts for: about what a page or a picture of usual size has with most models.
const MEDIUM_TOKENS: u64 = 1_000;

/// The answer of a request that asks for a count.
///
/// # Errors
/// The tokenizer failed.
pub(super) async fn count(
    exchange: &Exchange,
    target: &Target,
    facts: &RequestFacts,
    model: &str,
    body: Bytes,
    mut leases: Leases,
) -> Result<Reply, Reject> {
    // Also of a client that does not wait for the answer: the work is done.
    leases.iter_mut().for_each(|lease| lease.used(Amounts { requests: 1, ..Amounts::default() }));
    let (endpoint, model) = (target.endpoint, model.to_owned());
    let counting = tokio::task::spawn_blocking(move || {
        let (text, bytes) = Prompt::Body(body).text(endpoint);
        estimate::tokens(&model, &text, bytes)
    });
    let text_tokens = counting.await.map_err(|_| RejectCode::UpstreamUnavailable)?;
    let tokens = text_tokens.saturating_add(u64::from(facts.media_parts).saturating_mul(MEDIUM_TOKENS));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ESTIMATED, HeaderValue::from_static("tokenizer"));
    leases.iter().for_each(|lease| lease.allowances.write(&mut headers));
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name?, value))).collect();
    let body = answer::token_count(exchange.dialect, tokens);
    Ok(Reply { status: StatusCode::OK, headers, body: body.to_vec() })
}
