//! From admission to the answer's end: attempt after attempt, until one answers or none is left; each attempt walks
//! route → forward → receive. Pingora's own loop is not used: it knows no body that can be sent again, no first byte that
//! can be held, no reading on, and passes every chunk through two queues.

use super::downstream::Downstream;
use super::exchange::Exchange;
use super::upstream::Conversation;
use super::{count, error_answer, failure, forward, head, receive, route};
use crate::snapshot::Upstream;
use bytes::Bytes;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

/// Answers an admitted request.
///
/// # Errors
/// Why the answer did not come to its end; what is to be said of it to the client is not said yet.
pub(super) async fn relay(session: &mut ServerSession, exchange: &mut Exchange) -> Result<()> {
    let mut downstream = Downstream::new(session);
    loop {
        match attempt(&mut downstream, exchange).await {
            // Nothing may be written any more, an end neither: the connection goes.
            Ok(()) if exchange.client_gone() => {
                return Error::e_explain(ErrorType::ConnectionClosed, "the client left").map_err(Error::into_down);
            }
            Ok(()) => return Ok(()),
            Err(error) if error.retry() => downstream.begin_attempt(),
            Err(error) => return Err(error),
        }
    }
}

async fn attempt(downstream: &mut Downstream<'_>, exchange: &mut Exchange) -> Result<()> {
    let (upstream, address) = route::route(exchange).await?;
    let shared = exchange.shared.clone();
    let (mut conversation, reused) = match connection(downstream, exchange, &upstream, address).await {
        Ok(connected) => connected,
        Err(error) => return Err(failure::while_connecting(address, exchange, error)),
    };
    downstream.use_timer(&mut conversation.timer);
    match converse(downstream, exchange, &mut conversation).await {
        Ok(End::Clean) => {
            conversation.timer = downstream.take_timer();
            shared.connections.keep(conversation).await;
            Ok(())
        }
        Ok(End::Cut) => {
            shared.connections.give_up(conversation).await;
            Ok(())
        }
        Err(error) => {
            let was_dead = reused && conversation.is_unheard();
            shared.connections.give_up(conversation).await;
            Err(failure::while_proxying(exchange, error, was_dead))
        }
    }
}

/// A connection for the attempt, and whether it was used before. Where a pooled one turned out dead, others may be, too: then no
/// other that has idled.
async fn connection(
    downstream: &mut Downstream<'_>,
    exchange: &mut Exchange,
    upstream: &Arc<Upstream>,
    address: SocketAddr,
) -> Result<(Conversation, bool)> {
    let connections = exchange.shared.connections.clone();
    let timeout = exchange.snapshot.routing.connect_timeout;
    let found_stale = exchange.attempt.as_ref().is_some_and(|attempt| attempt.tries.found_stale);
    let idle = if found_stale { None } else { connections.idle(upstream, address, timeout) };
    match idle {
        Some(conversation) => Ok((conversation, true)),
        None => downstream.until(pin!(connections.connect(upstream, address, timeout)), exchange).await,
    }
}

/// How an answer that went out whole ended on the wire.
enum End {
    /// As HTTP has it.
    Clean,
    /// Behind its terminal event.
    Cut,
}

async fn converse(
    downstream: &mut Downstream<'_>,
    exchange: &mut Exchange,
    conversation: &mut Conversation,
) -> Result<End> {
    let (head, body) = forward::request(downstream.request(), exchange)?;
    exchange.control.is_asked = true;
    let head = downstream.until(pin!(conversation.ask(head, body)), exchange).await?;
    let head = head::answer_head(head, downstream.request(), exchange)?;
    downstream.head(head, head::allowances(exchange));
    if conversation.is_over() {
        let body = match count::instead(&[], downstream, exchange).await? {
            Some(counted) => counted,
            None => receive::bodiless(exchange)?,
        };
        downstream.piece(body, true, exchange).await?;
        return Ok(End::Clean);
    }
    loop {
        let read = downstream.until(pin!(conversation.piece()), exchange).await;
        let (piece, over) = match read {
            Ok(Some(piece)) => (piece, conversation.is_over()),
            Ok(None) => (Bytes::new(), true),
            // The answer is whole: only the body's end is missing.
            Err(error) if exchange.control.settled && *error.esource() == ErrorSource::Upstream => {
                let rest = exchange.attempt.as_mut().map(receive::rest).unwrap_or_default();
                downstream.piece(rest, true, exchange).await?;
                return Ok(End::Cut);
            }
            Err(error) if error_answer::is_cut(&error, exchange) => {
                let told = error_answer::cut(downstream.held_head(), exchange)?;
                downstream.piece(told, true, exchange).await?;
                return Ok(End::Cut);
            }
            Err(error) => return Err(error),
        };
        let counted = if over { count::instead(&piece, downstream, exchange).await? } else { None };
        let passed = match counted {
            Some(counted) => counted,
            None => receive::body(piece, over, exchange)?,
        };
        downstream.piece(passed, over, exchange).await?;
        if over {
            return Ok(End::Clean);
        }
    }
}
