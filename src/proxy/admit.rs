//! Stage 1: which endpoint, who calls, with which model, at what price at worst; takes the hold.

use super::aside::reading;
use super::console::{self, Pieces};
use super::exchange::{Admitted, Asked, Exchange, Leases};
use super::memory::Share;
use super::{Door, body, content, count, forwarded, idempotency, models, pages, pieces, reject, sound, user};
use crate::clock::unix_ms;
use crate::config::UnknownModel;
use crate::dialect::endpoint::{self, RequestShape, Target};
use crate::dialect::request::RequestFacts;
use crate::dialect::{Answer, DialectId};
use crate::estimate;
use crate::keyring::KeyEntry;
use crate::ledger::{Hold, HoldError, Opening};
use crate::snapshot::{Charges, ModelRoutes, Route};
use bytes::Bytes;
use http::{Response, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, Result};
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_plugin_api::{Flow, Intent, Key, KeyHandle, Plugin, Reject, RejectCode, Reply, RequestHead};

/// Where a request goes after `admit`.
pub(super) enum Admission {
    /// Upstream.
    Forward(Box<Admitted>),
    /// Nowhere: this is the answer.
    Reply(Reply),
    /// To the console, whose answer this is.
    Console(Response<Pieces>),
}

/// What came of the stage.
pub(super) enum Outcome {
    /// The exchange holds what is to be sent.
    Admitted,
    /// The request was answered here.
    Answered,
}

/// Runs the stage.
///
/// # Errors
/// The answer could not be sent.
pub(super) async fn admit(session: &mut ServerSession, exchange: &mut Exchange) -> Result<Outcome> {
    let sent = match admission(session, exchange).await {
        Ok(Admission::Forward(admitted)) => {
            exchange.admitted = Some(admitted);
            return Ok(Outcome::Admitted);
        }
        Ok(Admission::Reply(reply)) => reject::respond(session, exchange, reply).await,
        Ok(Admission::Console(answer)) => console::send(session, exchange, answer).await,
        Err(refusal) => reject::reject(session, exchange, refusal).await,
    };
    sent.map_err(Error::into_down).map(|()| Outcome::Answered)
}

async fn admission(session: &mut ServerSession, exchange: &mut Exchange) -> Result<Admission, Reject> {
    exchange.client = client_address(session, exchange);
    if let Err(refusal) = exchange.unsound.take().map_or_else(|| sound::check(session), Err) {
        exchange.dialect = dialect_of(session.req_header());
        // Nobody knows where the next request would begin.
        session.set_keepalive(None);
        return Err(refusal);
    }
    let request = session.req_header();
    if let Some(reply) = pages::page(exchange, request).await? {
        return Ok(Admission::Reply(reply));
    }
    if exchange.door == Door::Console || console::is_console(request.uri.path()) {
        return console::answer(session, exchange).await;
    }
    let target = endpoint::target(&request.method, request.uri.path(), request.uri.query(), &request.headers);
    exchange.dialect = match &target {
        Ok(target) => target.endpoint.dialect,
        Err(_) => dialect_of(request),
    };
    let key = match run_plugins(session, exchange).await? {
        Called::By(key) => key,
        Called::Answered(reply) => return Ok(Admission::Reply(reply)),
    };
    // And once more with the hold: a body may take long to arrive.
    key.accepts(unix_ms()).map_err(not_accepted)?;
    if user::is_asked_for(session.req_header()) {
        return Ok(Admission::Reply(user::page(&key)));
    }
    let target = target?;
    sound::check_nominations(&session.req_header().headers)?;
    if target.endpoint.answer == Answer::ModelList {
        note_asked(exchange, &target, target.model_in_path.as_deref().unwrap_or_default(), false, &Bytes::new())
            .await?;
        return models::list(exchange, &target, &key.key()).map(Admission::Reply);
    }
    let (body, room) = match target.endpoint.request {
        RequestShape::Empty => (Bytes::new(), None),
        _ => {
            let share = (&exchange.shared.memory, Share::Requests);
            let (body, room) = body::read(session, exchange.snapshot.request_body_bytes_max, share).await?;
            (body, Some(room))
        }
    };
    let headers = &session.req_header().headers;
    // Two are none: who reads the body next may go by the other one.
    let mut content_types = headers.get_all(header::CONTENT_TYPE).iter();
    let content_type = content_types.next().filter(|_| content_types.next().is_none());
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let facts = body::facts(&target, content_type, &body).await;
    let (facts, prompt) = facts.map_err(|refusal| body::packed(headers, &body).unwrap_or(refusal))?;
    note_asked(exchange, &target, asked_model(&target, &facts), facts.stream, &body).await?;
    let row = key.key();
    let models = find_model(exchange, &row, asked_model(&target, &facts))?;
    if target.endpoint.counts_tokens() && models.for_endpoint(target.endpoint).is_none() {
        // It is counted here, which costs nothing but work: limits hold for it as for one that is sent on.
        let leases = leases(exchange, &row, &facts, &|| 0)?;
        let reply = count::count(exchange, &target, &facts, asked_model(&target, &facts), body, leases).await?;
        return Ok(Admission::Reply(reply));
    }
    let route = find_route(models, &target, &facts)?;
    if let Some(reply) = idempotency::claim(exchange, session.req_header(), &target, &row, &body).await? {
        return Ok(Admission::Reply(reply));
    }
    let (hold, leases, limited) = granted(exchange, &route, &target, &facts, (&key, &row)).await?;
    let hold = Some(hold);
    Ok(Admission::Forward(Box::new(Admitted { target, facts, route, body, room, prompt, hold, leases, limited })))
}

fn dialect_of(request: &RequestHeader) -> DialectId {
    endpoint::dialect_of(request.uri.path(), &request.headers)
}

/// For plugins that want to know.
async fn note_asked(
    exchange: &mut Exchange,
    target: &Target,
    model: &str,
    stream: bool,
    body: &Bytes,
) -> Result<(), Reject> {
    if exchange.bill.is_none() {
        return Ok(());
    }
    let endpoint = target.endpoint;
    let input = match exchange.snapshot.plugins.content && !body.is_empty() {
        true => {
            let body = body.clone();
            Some(reading(body.len(), move || content::input(endpoint, &body)).await?)
        }
        false => None,
    };
    exchange.asked = Some(Asked { endpoint, model: shown(model), stream, input });
    Ok(())
}

/// Who calls, or the answer that a plugin gave.
enum Called {
    By(Arc<KeyEntry>),
    Answered(Reply),
}

async fn run_plugins(session: &mut ServerSession, exchange: &mut Exchange) -> Result<Called, Reject> {
    let mut head = request_head(session.req_header(), exchange.client);
    let filtered = filter(&exchange.snapshot.plugins.request, &mut head).await;
    let caller = head.key.and_then(|handle| handle.as_any().downcast::<KeyEntry>().ok());
    // Also of a request that is refused from here on.
    exchange.caller = caller.clone();
    match filtered? {
        Filtered::Passed => {}
        Filtered::Answered(reply) => return Ok(Called::Answered(reply)),
        Filtered::Taken(plugin, bytes_max) => {
            let (body, _room) = body::read(session, bytes_max, (&exchange.shared.memory, Share::Pages)).await?;
            return plugin
                .answer(&request_head(session.req_header(), exchange.client), &body)
                .await
                .map(Called::Answered);
        }
    }
    let entry = caller.ok_or(RejectCode::AuthMissingToken)?;
    entry.touch(exchange.started_at_ms);
    Ok(Called::By(entry))
}

/// What plugins get to see of a request, before they know whose it is.
pub(super) fn request_head(request: &RequestHeader, client: Option<IpAddr>) -> RequestHead<'_> {
    let (path, query) = (request.uri.path(), request.uri.query());
    RequestHead { method: &request.method, path, query, headers: &request.headers, client, key: None }
}

/// What plugins made of a request's head.
pub(super) enum Filtered {
    Passed,
    Answered(Reply),
    /// This one answers when it has the body, of so many bytes at most.
    Taken(Arc<dyn Plugin>, usize),
}

pub(super) async fn filter(plugins: &[Arc<dyn Plugin>], head: &mut RequestHead<'_>) -> Result<Filtered, Reject> {
    for plugin in plugins {
        match plugin.request_filter(head).await? {
            Flow::Continue => {}
            Flow::Respond(reply) => return Ok(Filtered::Answered(reply)),
            Flow::TakeBody { bytes_max } => return Ok(Filtered::Taken(plugin.clone(), bytes_max)),
        }
    }
    Ok(Filtered::Passed)
}

/// The client's address; none: nobody knows it.
fn client_address(session: &ServerSession, exchange: &Exchange) -> Option<IpAddr> {
    let peer = session.client_addr()?.as_inet()?.ip();
    forwarded::client_address(peer, &session.req_header().headers, &exchange.snapshot.trusted_proxies)
}

fn asked_model<'a>(target: &'a Target, facts: &'a RequestFacts) -> &'a str {
    facts.model.as_deref().or(target.model_in_path.as_deref()).unwrap_or_default()
}

/// Price and hold: what is held, what is taken of limits, and whether the key has a quota.
async fn granted(
    exchange: &Exchange,
    route: &Route,
    target: &Target,
    facts: &RequestFacts,
    (entry, key): (&Arc<KeyEntry>, &Key),
) -> Result<(Hold, Leases, bool), Reject> {
    let worst_case = || worst_case_nanos(exchange, target, facts, &route.distinct_charges);
    let leases = leases(exchange, key, facts, &worst_case)?;
    let opening = || Opening {
        request_id: exchange.request_id,
        started_at_ms: exchange.started_at_ms,
        key_id: key.id,
        key_name: key.name.clone(),
        user: key.user.clone(),
        group: key.group.clone(),
        endpoint: target.endpoint.name.into(),
        dialect: target.endpoint.dialect.as_str().into(),
        model: route.model.clone(),
        stream: facts.stream,
        price_version: exchange.snapshot.prices.version().clone(),
    };
    let mut limited = entry.is_limited();
    loop {
        check_priced(exchange, limited, (target, facts), route)?;
        let claim = exchange.keeping.as_ref().map(|keeping| keeping.claim());
        let admitted = exchange.shared.ledger.admit(entry, limited.then(worst_case), opening(), claim).await;
        match admitted {
            Ok(hold) => return Ok((hold, leases, limited)),
            // Between the look and the hold.
            Err(HoldError::QuotaSet) => limited = true,
            Err(error) => return Err(refusal(error)),
        }
    }
}

fn refusal(error: HoldError) -> Reject {
    match error {
        HoldError::QuotaSet | HoldError::QuotaInsufficient => Reject::new(RejectCode::QuotaInsufficient),
        HoldError::Refused(code) => not_accepted(code),
        HoldError::ClaimedElsewhere => idempotency::in_progress(),
        HoldError::BillingUnavailable => Reject::new(RejectCode::BillingUnavailable).retry_after_s(1),
    }
}

/// Why [`KeyEntry::accepts`] refuses.
fn not_accepted(code: RejectCode) -> Reject {
    match code {
        RejectCode::Forbidden => Reject::new(code).message("The user of this key is disabled"),
        _ => code.into(),
    }
}

/// What the request takes of limits.
fn leases(
    exchange: &Exchange,
    key: &Key,
    facts: &RequestFacts,
    cost_nanos_max: &dyn Fn() -> i64,
) -> Result<Leases, Reject> {
    let intent = intent(key, facts, cost_nanos_max);
    let mut leases = Leases::new();
    for plugin in &exchange.snapshot.plugins.admission {
        if let Some(lease) = plugin.admission_filter(&intent)? {
            leases.push(lease);
        }
    }
    Ok(leases)
}

/// Where requests for the model may go, if the key may use it.
pub(super) fn find_model<'e>(exchange: &'e Exchange, key: &Key, model: &str) -> Result<&'e ModelRoutes, Reject> {
    let unknown = || {
        Reject::new(RejectCode::ModelNotFound)
            .message(format!("The model `{}` does not exist or this key cannot use it", shown(model)))
            .param("model")
    };
    let found = exchange.snapshot.routes(&key.group, model).ok_or_else(unknown)?;
    if !key.models.is_empty() && !key.models.iter().any(|allowed| allowed == model) {
        return Err(Reject::new(RejectCode::Forbidden)
            .message(format!("This key may not use the model `{}`", shown(model)))
            .param("model"));
    }
    Ok(found)
}

fn find_route(models: &ModelRoutes, target: &Target, facts: &RequestFacts) -> Result<Arc<Route>, Reject> {
    models.for_endpoint(target.endpoint).cloned().ok_or_else(|| {
        let spoken = models.dialects().map(DialectId::as_str).collect::<Vec<_>>().join(", ");
        let (model, dialect) = (shown(asked_model(target, facts)), target.endpoint.dialect);
        Reject::new(RejectCode::InvalidRequest)
            .message(format!("The model `{model}` is served in the dialect {spoken}, not in {dialect}"))
            .param("model")
    })
}

/// A client's model name, short enough for a message.
fn shown(model: &str) -> String {
    const CHARS_MAX: usize = 100;
    if model.len() <= CHARS_MAX && model.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        return model.to_owned();
    }
    model.chars().take(CHARS_MAX).filter(|c| !c.is_control()).collect()
}

/// Refuses what may have no price where such requests are refused: the model, or the service tier that is asked for.
fn check_priced(
    exchange: &Exchange,
    limited: bool,
    (target, facts): (&Target, &RequestFacts),
    route: &Route,
) -> Result<(), Reject> {
    let refused = match exchange.snapshot.unknown_model {
        UnknownModel::Allow => false,
        UnknownModel::Reject => true,
        UnknownModel::RejectIfQuota => limited,
    };
    if !refused {
        return Ok(());
    }
    if route.unpriced {
        return Err(Reject::new(RejectCode::PriceMissing)
            .message(format!(
                "The model `{}` has no price; the operator can set one with `tollgate price set`",
                route.model
            ))
            .param("model"));
    }
    let asked = facts.service_tier;
    match route.unpriced_tier(asked, exchange.started_at_ms) {
        Some(tier) if target.endpoint.answer.uses_tokens() => {
            let (model, tier) = (&route.model, tier.as_str());
            let message = format!(
                "The model `{model}` has no price for the service tier `{tier}` that the request asks for; leave that out, or the \
                 operator can set one (`{tier}` in the model's row of the price file)"
            );
            Err(Reject::new(RejectCode::PriceMissing).message(message).param("service_tier"))
        }
        _ => Ok(()),
    }
}

/// What plugins are told that a request is about to take.
pub(super) fn intent<'a>(key: &'a Key, facts: &RequestFacts, cost_nanos_max: &'a dyn Fn() -> i64) -> Intent<'a> {
    Intent {
        key,
        input_tokens: estimate::by_length(facts.prompt_text_bytes),
        output_tokens: facts.output_tokens_max.unwrap_or(0).saturating_mul(facts.answers_max()),
        cost_nanos_max,
    }
}

/// What this request can cost at most: its prompt's upper bound, its output limit and what may be billed by the piece, by the dearest
/// of these charges. In nano-USD; 0 where none of them has a price.
pub(super) fn worst_case_nanos<'c>(
    exchange: &Exchange,
    target: &Target,
    facts: &RequestFacts,
    charges: impl IntoIterator<Item = &'c Charges>,
) -> i64 {
    if !target.endpoint.answer.uses_tokens() {
        return 0;
    }
    let pieces = pieces::most(target.endpoint.answer, facts);
    let prices = charges.into_iter().filter_map(|charges| {
        let price = charges.price.as_deref()?;
        let limits = price.limits(exchange.started_at_ms);
        let context = limits.context_tokens.unwrap_or(exchange.snapshot.routing.context_tokens_default);
        let front = if facts.is_conversation() { charges.front_tokens } else { 0 };
        let counted = facts.input_tokens_bound(context, charges.image_tokens).saturating_add(front);
        let input = if limits.reads_elsewhere { counted.max(context) } else { counted };
        let default = exchange.snapshot.routing.output_tokens_default;
        let output = facts.output_tokens_bound(&charges.output_limits, limits.output_tokens_max, default);
        let dearest = charges.tiers.dearest(facts.service_tier, facts.names_tier);
        Some(price.worst_case_nanos(dearest, facts.requests_billed_max.max(1), input, output, &pieces))
    });
    prices.max().unwrap_or(0)
}
