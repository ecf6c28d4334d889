//! How many tokens a prompt would have, where no upstream of the model can be asked in the client's dialect: counted here
//! with a tokenizer, and marked as an estimate. It costs nothing and leaves no record: nothing goes upstream. Of limits it takes one request.
//!
//! Some vendors speak a dialect and have no such operation in it. That shows when they are asked, and then it is counted here, too;
//! the record says what they answered.

use super::aside::aside;
use super::downstream::Downstream;
use super::end::End;
use super::exchange::{Exchange, Leases};
use super::head;
use super::prompt::Prompt;
use super::route::{self, judge_failure};
use super::settle;
use crate::balance::Failure;
use crate::clock::steady_ms;
use crate::dialect::answer;
use crate::dialect::endpoint::{Endpoint, Target};
use crate::dialect::request::RequestFacts;
use crate::estimate;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use memchr::memmem;
use pingora::http::ResponseHeader;
use tollgate_plugin_api::answer_fields::ESTIMATED;
use tollgate_plugin_api::{Allowances, Amounts, Reject, Reply};

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
    leases.iter_mut().for_each(|lease| lease.used(Amounts { requests: 1, ..Amounts::default() }, steady_ms()));
    let tokens = tokens(target.endpoint, model, facts, body).await?;
    let mut headers = Allowances::of(&leases).fields();
    headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    headers.push((ESTIMATED, HeaderValue::from_static("tokenizer")));
    let body = answer::token_count(exchange.dialect, tokens);
    Ok(Reply { status: StatusCode::OK, headers, body })
}

async fn tokens(endpoint: &'static Endpoint, model: &str, facts: &RequestFacts, body: Bytes) -> Result<u64, Reject> {
    let model = model.to_owned();
    let counting = aside(move || Ok(Prompt::Body(body).text(endpoint).tokens(|text| estimate::tokens(&model, text))));
    let text_tokens = counting.await?;
    Ok(text_tokens.saturating_add(u64::from(facts.media_parts).saturating_mul(MEDIUM_TOKENS)))
}

/// At the end of an upstream's answer, whose last piece this is: the body that the client gets instead, where that upstream has
/// no such operation and nobody else is to be asked. `None`: the answer is what it is.
///
/// # Errors
/// The journal does not take the record.
pub(super) async fn instead(
    piece: &[u8],
    downstream: &mut Downstream<'_>,
    exchange: &mut Exchange,
) -> pingora::Result<Option<Bytes>> {
    match missing_operation(piece, exchange).filter(|_| !route::has_next(exchange)) {
        // Of its own: hardly any answer comes here, and all would have room for it.
        Some(theirs) => Box::pin(count_instead(theirs, downstream, exchange)).await,
        None => Ok(None),
    }
}

async fn count_instead(
    theirs: u16,
    downstream: &mut Downstream<'_>,
    exchange: &mut Exchange,
) -> pingora::Result<Option<Bytes>> {
    let Some(admitted) = &exchange.admitted else { return Ok(None) };
    let counting = tokens(admitted.target.endpoint, &admitted.route.model, &admitted.facts, admitted.body.clone());
    let Ok(tokens) = counting.await else { return Ok(None) };
    judge_failure(exchange, Failure::ModelMissing);
    let (_, answer) = exchange.answer_mut()?;
    answer.status = StatusCode::OK.as_u16();
    answer.ended = true;
    settle::settle_with_gate(exchange, End::Refused(theirs))?;
    let body = answer::token_count(exchange.dialect, tokens);
    if let Some(head) = downstream.held_head() {
        tell(head, body.len())?;
    }
    Ok(Some(body))
}

/// The status by which an upstream says that it has no operation that counts tokens. A model that it does not have it names.
fn missing_operation(piece: &[u8], exchange: &Exchange) -> Option<u16> {
    let admitted = exchange.admitted.as_ref().filter(|admitted| admitted.target.endpoint.counts_tokens())?;
    let attempt = exchange.attempt.as_ref()?;
    let answer = attempt.answer.as_ref().filter(|answer| !answer.ended && matches!(answer.status, 404 | 405 | 501))?;
    let said = [answer.error.as_ref()?.body.as_ref(), piece].concat();
    let names = [&*attempt.upstream_model, &*admitted.route.model, "model_not_found"];
    let is_of_model = names.iter().any(|name| memmem::find(&said, name.as_bytes()).is_some());
    (!is_of_model && !exchange.control.committed).then_some(answer.status)
}

/// Says so in the head that is held.
fn tell(head: &mut ResponseHeader, length: usize) -> pingora::Result<()> {
    head.set_status(StatusCode::OK)?;
    head.set_reason_phrase(None)?;
    for name in head::OF_THE_BYTES.iter().chain([&header::TRANSFER_ENCODING, &header::RETRY_AFTER]) {
        head.remove_header(name);
    }
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CONTENT_LENGTH, length)?;
    head.insert_header(ESTIMATED, "tokenizer")
}
