//! How many tokens a prompt would have, where no upstream of the model can be asked in the client's dialect: counted here
//! with a tokenizer, and marked as an estimate. It costs nothing and leaves no record: nothing goes upstream.

use super::exchange::{Exchange, Prompt};
use crate::dialect::answer;
use crate::dialect::endpoint::Target;
use crate::dialect::request::RequestFacts;
use crate::estimate;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use tollgate_plugin_api::{Reject, RejectCode, Reply};

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
) -> Result<Reply, Reject> {
    let (endpoint, model) = (target.endpoint, model.to_owned());
    let counting = tokio::task::spawn_blocking(move || {
        let (text, bytes) = Prompt::Body(body).text(endpoint);
        estimate::tokens(&model, &text, bytes)
    });
    let text_tokens = counting.await.map_err(|_| RejectCode::UpstreamUnavailable)?;
    let tokens = text_tokens.saturating_add(u64::from(facts.media_parts).saturating_mul(MEDIUM_TOKENS));
    let headers = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ESTIMATED, HeaderValue::from_static("tokenizer")),
    ];
    let body = answer::token_count(exchange.dialect, tokens);
    Ok(Reply { status: StatusCode::OK, headers, body: body.to_vec() })
}
