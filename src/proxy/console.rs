//! The port to the console: what is asked below `/console` is handed over whole, and its answer goes out as it comes. Nothing of it
//! is billed, and none of the plugins has to do with it but those that say who may connect at all.

use super::admit::{self, Admission, Filtered};
use super::exchange::Exchange;
use super::memory::Share;
use super::{Door, body, downstream, reject, timer};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, Result};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use tollgate_plugin_api::{Network, Reject, RejectCode, Reply};

/// Everything that the console is.
const PREFIX: &str = "/console";
/// The largest request that the console takes, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// An answer's body, piece by piece; an error breaks it off.
pub type Pieces = Pin<Box<dyn Stream<Item = std::result::Result<Bytes, String>> + Send>>;

/// What is asked of the console.
pub struct ConsoleRequest {
    /// Method, target and fields.
    pub head: Parts,
    /// The whole body, or why it was not read: the connection ends with the answer then.
    pub body: std::result::Result<Bytes, Reject>,
    /// Who asks, as far as trusted proxies tell.
    pub client: Option<IpAddr>,
    /// The browser came here by HTTPS, as far as trusted proxies tell.
    pub is_secure: bool,
}

/// What answers at `/console`.
#[async_trait]
pub trait Console: Send + Sync {
    /// The answer. With a `content-length` where the length is known.
    async fn answer(&self, request: ConsoleRequest) -> Response<Pieces>;
}

/// Whether this path is the console's.
pub(super) fn is_console(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the console answers.
///
/// # Errors
/// It is not there, for this listener or for this caller.
pub(super) async fn answer(session: &mut ServerSession, exchange: &Exchange) -> std::result::Result<Admission, Reject> {
    let request = session.req_header();
    let is_here = exchange.door != Door::Clients && is_console(request.uri.path());
    let console = exchange.shared.console(&exchange.snapshot).filter(|_| is_here).ok_or(RejectCode::NotFound)?;
    if let Some(reply) = kept_out(exchange, request).await? {
        return Ok(Admission::Reply(reply));
    }
    let is_secure = is_secure(session, &exchange.snapshot.trusted_proxies);
    let mut parts = Request::new(()).into_parts().0;
    let request = session.req_header();
    (parts.method, parts.uri, parts.version) = (request.method.clone(), request.uri.clone(), request.version);
    parts.headers = request.headers.clone();
    let read = body::read(session, BODY_BYTES_MAX, (&exchange.shared.memory, Share::Pages)).await;
    let (body, _room) = read.map_or_else(|refusal| (Err(refusal), None), |(body, room)| (Ok(body), Some(room)));
    let request = ConsoleRequest { head: parts, body, client: exchange.client, is_secure };
    Ok(Admission::Console(console.answer(request).await))
}

/// The answer to somebody who may not connect, where a plugin gives one.
///
/// # Errors
/// It refuses.
pub(super) async fn kept_out(
    exchange: &Exchange,
    request: &RequestHeader,
) -> std::result::Result<Option<Reply>, Reject> {
    let mut head = admit::request_head(request, exchange.client);
    // Those that say who may connect at all ask for no body.
    match admit::filter(&exchange.snapshot.plugins.console, &mut head).await? {
        Filtered::Answered(reply) => Ok(Some(reply)),
        Filtered::Passed | Filtered::Taken(..) => Ok(None),
    }
}

/// Whether the browser speaks HTTPS, to us or to a proxy that is believed.
fn is_secure(session: &ServerSession, trusted: &[Network]) -> bool {
    if session.digest().is_some_and(|digest| digest.ssl_digest.is_some()) {
        return true;
    }
    let peer = session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip());
    let is_trusted = peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(peer)));
    is_trusted && says_https(&session.req_header().headers)
}

fn says_https(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"https"))
}

/// Sends an answer, piece by piece.
///
/// # Errors
/// It could not be sent as a whole.
pub(super) async fn send(session: &mut ServerSession, exchange: &Exchange, answer: Response<Pieces>) -> Result<()> {
    let (head, mut pieces) = answer.into_parts();
    let unread = !session.is_body_done();
    let mut sent = ResponseHeader::build(head.status, Some(head.headers.len() + 2))?;
    for (name, value) in &head.headers {
        sent.append_header(name.clone(), value.clone())?;
    }
    sent.insert_header(reject::REQUEST_ID, exchange.request_id_header())?;
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || session.req_header().method == http::Method::HEAD;
    let counted = head.headers.contains_key(header::CONTENT_LENGTH) || bodiless;
    match session.req_header().version {
        Version::HTTP_11 if !counted => sent.insert_header(header::TRANSFER_ENCODING, "chunked")?,
        // It ends with the connection.
        Version::HTTP_10 | Version::HTTP_09 if !counted => session.set_keepalive(None),
        _ => {}
    }
    if unread {
        session.set_keepalive(None);
    }
    patiently(session.write_response_header(Box::new(sent))).await?;
    while let Some(piece) = pieces.next().await.filter(|_| !bodiless) {
        let broken_off = |why: String| Error::explain(ErrorType::InternalError, why);
        patiently(session.write_response_body(piece.map_err(broken_off)?, false)).await?;
    }
    patiently(session.write_response_body(Bytes::new(), true)).await?;
    if unread {
        reject::linger(session).await;
    }
    Ok(())
}

/// A client that does not read must not keep what it is told for ever.
async fn patiently(writing: impl Future<Output = Result<()>>) -> Result<()> {
    let written = timer::within(downstream::CLIENT_WRITE_TIMEOUT, pin!(writing)).await;
    written.unwrap_or_else(|_| Error::e_explain(ErrorType::WriteTimedout, "the client does not read"))
}

#[cfg(test)]
mod tests {
    use super::is_console;

    #[test]
    fn the_console_has_what_is_below_its_path_and_nothing_beside() {
        for (path, is_ours) in [
            ("/console", true),
            ("/console/", true),
            ("/console/api/keys", true),
            ("/consoles", false),
            ("/Console", false),
            ("/v1/console", false),
            ("//console", false),
        ] {
            assert_eq!(is_console(path), is_ours, "{path}");
        }
    }
}
