//! Reads a request's body, whole, whatever its framing: content-length, chunked, `Expect: 100-continue`, HTTP/2 with or
//! without a length.

use super::aside::{AT_ONCE_BYTES_MAX, aside};
use super::downstream::CLIENT_WRITE_TIMEOUT;
use super::memory::{Memory, Room, Share};
use super::patience;
use super::prompt::Prompt;
use super::timer::within;
use crate::dialect::endpoint::Target;
use crate::dialect::request::{self, RequestFacts};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Version};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::server::HttpSession;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tollgate_plugin_api::{Reject, RejectCode};

/// Characters of a client's `content-encoding` that a message shows.
const CODING_CHARS_MAX: usize = 100;
/// Reserved ahead for a body of unknown or large length; more is taken as it comes.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;

/// The whole body, and the memory that it has.
///
/// # Errors
/// `REQUEST_TOO_LARGE` beyond `bytes_max`, at once where the length is announced; `OVERLOADED` where there is no memory for it,
/// likewise; `INVALID_REQUEST` when the client stops in the middle, or is too slow.
pub(super) async fn read(
    session: &mut ServerSession,
    bytes_max: usize,
    memory: (&Arc<Memory>, Share),
) -> Result<(Bytes, Room), Reject> {
    let body = read_whole(session, bytes_max, memory).await;
    if body.is_err() {
        // Nobody knows where the next request would begin. (Pingora calls a body that is broken done.)
        session.set_keepalive(None);
    }
    body
}

/// What a body says, and what is wrong with it: see [`request::read_request`]. With it, the prompt: of a large one what an estimate
/// needs, for to look for that later would take as long again.
///
/// # Errors
/// As there; `UPSTREAM_UNAVAILABLE` when the process ends meanwhile.
pub(super) async fn facts(
    target: &Target,
    content_type: Option<&str>,
    body: &Bytes,
) -> Result<(RequestFacts, Prompt), Reject> {
    let prompt = Prompt::Body(body.clone());
    if body.len() <= AT_ONCE_BYTES_MAX {
        return Ok((request::read_request(target.endpoint, target, content_type, body)?, prompt));
    }
    let (target, content_type, body) = (target.clone(), content_type.map(str::to_owned), body.clone());
    aside(move || {
        let facts = request::read_request(target.endpoint, &target, content_type.as_deref(), &body)?;
        Ok((facts, prompt.shrunk(target.endpoint)))
    })
    .await
}

/// Why a body that cannot be read is no text: it is packed, and its head says how. Bodies are read here, and taken unpacked.
pub(super) fn packed(headers: &HeaderMap, body: &[u8]) -> Option<Reject> {
    if std::str::from_utf8(body).is_ok() {
        return None;
    }
    let fields = headers.get_all(CONTENT_ENCODING).iter().filter_map(|field| field.to_str().ok());
    let mut codings = fields.flat_map(|field| field.split(',')).map(str::trim).filter(|coding| !coding.is_empty());
    let coding = codings.find(|coding| !coding.eq_ignore_ascii_case("identity"))?;
    let shown: String = coding.chars().take(CODING_CHARS_MAX).collect();
    Some(
        Reject::new(RejectCode::InvalidRequest)
            .message(format!("The body has the content-encoding `{shown}`: send the body uncompressed, without one")),
    )
}

async fn read_whole(
    session: &mut ServerSession,
    bytes_max: usize,
    memory: (&Arc<Memory>, Share),
) -> Result<(Bytes, Room), Reject> {
    let headers = &session.req_header().headers;
    let announced: Option<usize> =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
    let too_large = || {
        Reject::new(RejectCode::RequestTooLarge).message(format!("The request body is larger than {bytes_max} bytes"))
    };
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large());
    }
    let mut room = memory.0.room(memory.1, announced.unwrap_or(0) as u64)?;
    let unfinished = || Reject::new(RejectCode::InvalidRequest).message("The request body ended early");
    // HTTP/1.0 knows no interim answers.
    if headers.contains_key(EXPECT) && session.req_header().version != Version::HTTP_10 {
        let keeps = session.as_http1().is_some_and(HttpSession::will_keepalive);
        let told = within(CLIENT_WRITE_TIMEOUT, pin!(session.write_continue_response())).await;
        told.map_err(|_| unfinished())?.map_err(|_| unfinished())?;
        if keeps {
            // Pingora ends the connection with any answer that comes before the body is read, also with this one.
            session.set_keepalive(Some(0));
        }
    }
    let mut body: Option<BytesMut> = None;
    let mut first: Option<Bytes> = None;
    let since = Instant::now();
    loop {
        let so_far = body.as_ref().map_or(0, BytesMut::len) + first.as_ref().map_or(0, Bytes::len);
        let piece = patience::piece(since, so_far, pin!(session.read_request_body())).await;
        let Some(piece) = piece.ok_or_else(unfinished)?.map_err(|_| unfinished())? else { break };
        if so_far + piece.len() > bytes_max {
            return Err(too_large());
        }
        room.widen((so_far + piece.len()) as u64)?;
        match (&mut body, first.take()) {
            (Some(body), _) => body.extend_from_slice(&piece),
            // Most bodies come in one piece and need no copy.
            (None, None) => first = Some(piece),
            (None, Some(first)) => {
                let reserve = announced.unwrap_or(0).min(RESERVE_BYTES_MAX).max(first.len() + piece.len());
                let joined = body.insert(BytesMut::with_capacity(reserve));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&piece);
            }
        }
    }
    let body = body.map(BytesMut::freeze).or(first).unwrap_or_default();
    match announced {
        Some(bytes) if body.len() < bytes => Err(unfinished()),
        _ => Ok((body, room)),
    }
}
