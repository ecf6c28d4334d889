//! Answers of our own: refusals, in the caller's dialect, and the few things the gateway serves itself.

use super::downstream::CLIENT_WRITE_TIMEOUT;
use super::exchange::Exchange;
use super::timer::within;
use super::trail;
use crate::dialect::{DialectId, answer};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, Result};
use std::pin::pin;
use std::time::Duration;
use tollgate_plugin_api::{Reject, Reply, answer_fields};

/// What a client may still be sending when it is refused: read and dropped up to here, so that it gets to read the
/// refusal instead of a reset.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;
const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// Our own headers.
pub(super) const REQUEST_ID: HeaderName = answer_fields::REQUEST_ID;
/// The same as Anthropic calls it: its SDKs know no other place for `request_id`.
pub(super) const ANTHROPIC_REQUEST_ID: HeaderName = answer_fields::ANTHROPIC_REQUEST_ID;
const REJECTED_BY: HeaderName = answer_fields::REJECTED_BY;
/// What SDKs go by before they look at the status.
const SHOULD_RETRY: HeaderName = answer_fields::SHOULD_RETRY;

/// Nobody should wait for longer than this within one call; a limit by the minute takes about half of it. OpenAI's Python SDK waits no
/// longer by itself (`_constants.py`); its Node SDK and Anthropic's sleep for whatever `retry-after` says, twice, and outside of the call's
/// own time-out (openai 6.49, `client.js`, `retryRequest`).
const RETRY_WITHIN_S_MAX: u64 = 120;

/// Refuses the request.
pub(super) async fn reject(session: &mut ServerSession, exchange: &mut Exchange, reject: Reject) -> Result<()> {
    // Before the client hears of it: it may come again at once.
    exchange.keeping = None;
    let row = reject.code.row();
    exchange.rejected = Some(reject.code);
    exchange.shared.metrics.rejected(row.code);
    let body = answer::reject_body(exchange.dialect, &reject, &exchange.request_id_text());
    let mut headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    if let Some(by) = row.rejected_by {
        headers.push((REJECTED_BY, HeaderValue::from_static(by)));
    }
    if let Some(seconds) = reject.retry_after_s {
        headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
    }
    if reject.not_again || reject.retry_after_s.is_some_and(|seconds| seconds > RETRY_WITHIN_S_MAX) {
        headers.push((SHOULD_RETRY, HeaderValue::from_static("false")));
    }
    headers.extend(reject.headers);
    let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(session, exchange, Reply { status, headers, body }).await
}

/// Sends a whole answer of our own.
pub(super) async fn respond(session: &mut ServerSession, exchange: &mut Exchange, reply: Reply) -> Result<()> {
    let mut headers = HeaderMap::with_capacity(reply.headers.len() + 6);
    headers.extend(reply.headers.into_iter().map(|(name, value)| (Some(name), value)));
    if exchange.dialect == DialectId::Anthropic {
        headers.insert(ANTHROPIC_REQUEST_ID, exchange.request_id_header());
    }
    headers.insert(REQUEST_ID, exchange.request_id_header());
    let request_headers = &session.req_header().headers;
    if exchange.rejected.is_some() {
        trail::tell(exchange, request_headers, "no_answer", &mut headers);
    }
    for plugin in &exchange.snapshot.plugins.response {
        plugin.response_filter(request_headers, reply.status, &mut headers);
    }
    let mut head = ResponseHeader::build(reply.status, Some(headers.len() + 2))?;
    for (name, value) in &headers {
        head.append_header(name, value)?;
    }
    let bodiless = reply.status == StatusCode::NO_CONTENT || session.req_header().method == http::Method::HEAD;
    if reply.status != StatusCode::NO_CONTENT {
        head.insert_header(header::CONTENT_LENGTH, reply.body.len())?;
    }
    let unread = !session.is_body_done();
    if unread {
        session.set_keepalive(None);
    }
    let body = if bodiless { Bytes::new() } else { reply.body };
    write(session, head, body).await?;
    if unread {
        linger(session).await;
    }
    Ok(())
}

/// Writes an answer to a client that may not read.
async fn write(session: &mut ServerSession, head: ResponseHeader, body: Bytes) -> Result<()> {
    let writing = pin!(async {
        session.write_response_header(Box::new(head)).await?;
        session.write_response_body(body, true).await
    });
    match within(CLIENT_WRITE_TIMEOUT, writing).await {
        Ok(written) => written,
        Err(_) => Error::e_explain(ErrorType::WriteTimedout, "the client does not read"),
    }
}

/// Reads on and drops what the client still sends.
pub(super) async fn linger(session: &mut ServerSession) {
    let read = async {
        let mut bytes = 0;
        while let Ok(Some(piece)) = session.read_request_body().await {
            bytes += piece.len();
            if bytes > LINGER_BYTES_MAX {
                break;
            }
        }
    };
    // Running out of time means that the client keeps sending: its loss.
    let _ = tokio::time::timeout(LINGER_TIME_MAX, read).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_its_client_does_not_read_has_an_end() {
        let (mut client, ours) = tokio::io::duplex(256);
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut session = ServerSession::new_http1(Box::new(ours));
        assert!(session.read_request().await.unwrap());
        let head = ResponseHeader::build(200, None).unwrap();
        let writing = write(&mut session, head, Bytes::from(vec![0; 1024]));
        let written = tokio::time::timeout(10 * CLIENT_WRITE_TIMEOUT, writing).await.expect("an end");
        assert_eq!(*written.unwrap_err().etype(), ErrorType::WriteTimedout);
    }
}
