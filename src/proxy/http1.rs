//! The client's side of HTTP/1.1 (RFC 9112) towards upstreams: a request goes out with one write, an answer comes in as large
//! pieces as were read, chunks joined where they lie. Strict where an answer could be read in two ways.

mod chunks;
mod sending;

use bytes::{Buf, Bytes, BytesMut};
use chunks::{Chunks, join_chunks};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use pingora::{Error, ErrorType, OrErr, Result};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// One read takes up to this much: what came of an answer at once goes on at once.
const READ_BYTES_MAX: usize = 64 * 1024;
/// What is left of a read, as of a chunk's frame that was cut, is copied if it is no more than this.
const COPIED_REST_BYTES_MAX: usize = 256;
/// Heads that are longer are refused.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// Heads with more fields are refused.
const FIELDS_MAX: usize = 256;
/// Heads of 1xx that may come before the answer's.
const INFORMATIONAL_MAX: usize = 16;

/// The head of a request, as it goes upstream.
pub(super) struct RequestHead {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
}

/// The head of an answer, as it came.
pub(super) struct AnswerHead {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    /// Where it is not the status's own.
    pub(super) reason: Option<String>,
    pub(super) headers: HeaderMap,
}

thread_local! {
    /// What a read is made into. It is there only while bytes come: who waits for some has no memory for them.
    static READ: RefCell<Box<[MaybeUninit<u8>]>> = RefCell::new(Box::new_uninit_slice(READ_BYTES_MAX));
}

/// Fields that the client gets besides the upstream's, so that they find room: ours, and those of limits.
const OWN_FIELDS: usize = 12;

/// One connection, for one request and its answer.
pub(super) struct Http1<S> {
    stream: S,
    /// Read, and not yet used.
    buffer: BytesMut,
    rest: Rest,
    /// The connection can be used again when the answer has been read.
    keeps: bool,
    /// Something has come of this exchange, be it one byte.
    is_heard: bool,
}

/// What is still to come of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// So many bytes.
    Length(u64),
    /// Chunks; where in them.
    Chunks(Chunks),
    /// Everything until the connection is closed.
    UntilClose,
    Nothing,
}

fn broken(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1<S> {
    /// On a connection on which nothing is under way.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new(), rest: Rest::Nothing, keeps: false, is_heard: false }
    }

    /// Reads the head of the answer; what 1xx says concerns this connection alone.
    ///
    /// # Errors
    /// The connection broke, or what came is no HTTP/1.1 answer that can be read in one way only.
    pub(super) async fn read_head(&mut self) -> Result<AnswerHead> {
        for _ in 0..=INFORMATIONAL_MAX {
            let mut head = self.read_any_head().await?;
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(broken("another protocol, which nobody asked for"));
            }
            if !head.status.is_informational() {
                (self.rest, self.keeps) = framing(&mut head)?;
                return Ok(head);
            }
        }
        Err(broken("too many 1xx"))
    }

    async fn read_any_head(&mut self) -> Result<AnswerHead> {
        loop {
            if let Some(head) = parse_head(&mut self.buffer)? {
                return Ok(head);
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(broken("a head that is too long"));
            }
            if self.fill().await? == 0 {
                return Error::e_explain(ErrorType::ConnectionClosed, "before the head of an answer");
            }
        }
    }

    /// Reads what is there, behind what has been read. How much that was.
    async fn fill(&mut self) -> Result<usize> {
        poll_fn(|context| self.poll_fill(context)).await.or_err(ErrorType::ReadError, "reading an answer")
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        READ.with_borrow_mut(|memory| {
            let mut read = ReadBuf::uninit(memory);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            let read = read.filled();
            self.is_heard |= !read.is_empty();
            if self.buffer.is_empty() {
                // Memory of its own, as large as is needed.
                self.buffer = BytesMut::from(read);
            } else {
                self.buffer.extend_from_slice(read);
            }
            Poll::Ready(Ok(read.len()))
        })
    }

    /// The next piece of the body: what was read, without the chunks' own bytes. `None`: it is over.
    ///
    /// # Errors
    /// The connection broke in the middle, or a chunk is none.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>> {
        loop {
            let piece = self.take()?;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
            if self.rest == Rest::Nothing {
                return Ok(None);
            }
            if self.fill().await? == 0 {
                if self.rest != Rest::UntilClose {
                    return Error::e_explain(ErrorType::ConnectionClosed, "in the middle of an answer");
                }
                self.rest = Rest::Nothing;
            }
        }
    }

    /// Whether the body is over.
    pub(super) fn is_over(&self) -> bool {
        self.rest == Rest::Nothing
    }

    /// Whether anything has come since the request: of an answer's head, or of a 1xx before it.
    pub(super) fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// The connection, if another request may be sent on it.
    pub(super) fn into_reusable(self) -> Option<Self> {
        (self.keeps && self.is_over() && self.buffer.is_empty()).then_some(Self { is_heard: false, ..self })
    }

    /// On a connection on which nothing is under way: whether nothing came of it. If something did, an end above all, it
    /// is of no use.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.stream.read(&mut [0]).now_or_never().is_none()
    }

    /// Gives the memory back that the last answer was read into.
    pub(super) fn free_buffer(&mut self) {
        self.buffer = BytesMut::new();
    }

    /// Closes the connection. The upstream is told (by TLS, too) if that can be said at once: who takes nothing would be waited for.
    pub(super) fn close(mut self) {
        let _ = self.stream.shutdown().now_or_never();
    }

    /// What is in the buffer of the body.
    fn take(&mut self) -> Result<Bytes> {
        match self.rest {
            Rest::Nothing => Ok(Bytes::new()),
            Rest::UntilClose => Ok(self.used(self.buffer.len(), self.buffer.len())),
            Rest::Length(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                let left = left - here as u64;
                self.rest = if left == 0 { Rest::Nothing } else { Rest::Length(left) };
                Ok(self.used(here, here))
            }
            Rest::Chunks(state) => {
                let joined = join_chunks(state, &mut self.buffer)?;
                self.rest = joined.state.map_or(Rest::Nothing, Rest::Chunks);
                Ok(self.used(joined.used, joined.bytes))
            }
        }
    }

    /// Takes so much off the buffer, of which these first bytes are of the body. A small rest gets memory of its own: it would
    /// keep all that was read.
    fn used(&mut self, used: usize, bytes: usize) -> Bytes {
        if self.buffer.len() - used <= COPIED_REST_BYTES_MAX {
            let rest = BytesMut::from(&self.buffer[used..]);
            let mut all = std::mem::replace(&mut self.buffer, rest);
            all.truncate(bytes);
            return all.freeze();
        }
        let piece = self.buffer.split_to(bytes).freeze();
        self.buffer.advance(used - bytes);
        piece
    }
}

/// A request's head as it is sent, with room for so many bytes of body.
fn wire_of(head: &RequestHead, room: usize) -> Result<Vec<u8>> {
    if head.target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(broken("a request line that cannot be sent"));
    }
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let line = head.method.as_str().len() + head.target.len() + 12;
    let mut wire = Vec::with_capacity(line + fields + 2 + room);
    for part in [head.method.as_str(), " ", &head.target, " HTTP/1.1\r\n"] {
        wire.extend_from_slice(part.as_bytes());
    }
    for (name, value) in &head.headers {
        wire.extend_from_slice(name.as_str().as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"\r\n");
    Ok(wire)
}

/// Takes a whole head off the buffer, if it is there.
fn parse_head(buffer: &mut BytesMut) -> Result<Option<AnswerHead>> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(true);
    let parsed = config.parse_response_with_uninit_headers(&mut answer, buffer, &mut fields);
    let httparse::Status::Complete(end) = parsed.or_err(ErrorType::InvalidHTTPHeader, "the head of an answer")? else {
        return Ok(None);
    };
    // Values are slices of the buffer: what is kept of them keeps all of it, so the head gets a copy of its own.
    let copied = Bytes::copy_from_slice(&buffer[..end]);
    let start = buffer.as_ptr() as usize;
    let mut headers = HeaderMap::with_capacity(answer.headers.len() + OWN_FIELDS);
    for field in answer.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .or_err(ErrorType::InvalidHTTPHeader, "the name of a field")?;
        let at = field.value.as_ptr() as usize - start;
        let value = HeaderValue::from_maybe_shared(copied.slice(at..at + field.value.len()))
            .or_err(ErrorType::InvalidHTTPHeader, "the value of a field")?;
        headers.append(name, value);
    }
    let status =
        StatusCode::from_u16(answer.code.unwrap_or_default()).or_err(ErrorType::InvalidHTTPHeader, "a status")?;
    let version = if answer.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let reason = answer.reason.filter(|reason| !reason.is_empty() && Some(*reason) != status.canonical_reason());
    let reason = reason.map(str::to_owned);
    match buffer.len() == end {
        true => *buffer = BytesMut::new(),
        false => buffer.advance(end),
    }
    Ok(Some(AnswerHead { status, version, reason, headers }))
}

/// How the body is delimited (RFC 9112, 6.3), and whether the connection can be used again.
fn framing(head: &mut AnswerHead) -> Result<(Rest, bool)> {
    let keeps = keeps_alive(head);
    let length = content_length(&head.headers)?;
    if let Some(length) = length.filter(|_| !says_length_once(&head.headers)) {
        // Whoever reads on may not take it said otherwise (RFC 9110, 8.6).
        head.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let coded = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => true,
        // Nobody said that we understand any other.
        _ => return Err(broken("a transfer coding that nobody asked for")),
    };
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((Rest::Nothing, keeps));
    }
    match (coded, length) {
        (true, None) => Ok((Rest::Chunks(Chunks::Size), keeps && head.version == Version::HTTP_11)),
        (true, Some(_)) => {
            // Somebody between may have read it the other way: this connection is not to be trusted further.
            head.headers.remove(header::CONTENT_LENGTH);
            Ok((Rest::Chunks(Chunks::Size), false))
        }
        (false, Some(0)) => Ok((Rest::Nothing, keeps)),
        (false, Some(length)) => Ok((Rest::Length(length), keeps)),
        (false, None) => Ok((Rest::UntilClose, false)),
    }
}

/// One length, however often it is said.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for text in value.as_bytes().split(|byte| *byte == b',') {
            let digits = text.trim_ascii();
            let said = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
            let said: u64 =
                said.and_then(|digits| digits.parse().ok()).ok_or_else(|| broken("a length that is none"))?;
            if length.replace(said).is_some_and(|before| before != said) {
                return Err(broken("two lengths"));
            }
        }
    }
    Ok(length)
}

/// Whether the length is said once, and in digits alone.
fn says_length_once(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    values.next().is_some_and(|value| value.as_bytes().iter().all(u8::is_ascii_digit)) && values.next().is_none()
}

/// What `Connection` says.
pub(super) fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(header::CONNECTION).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// The fields that `Connection` names: they concern that connection alone (RFC 9110, 7.6.1).
pub(super) fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    connection_options(headers).filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

fn keeps_alive(head: &AnswerHead) -> bool {
    let says =
        |word: &str| connection_options(&head.headers).any(|option| option.eq_ignore_ascii_case(word.as_bytes()));
    if head.version == Version::HTTP_11 { !says("close") } else { says("keep-alive") && !says("close") }
}

#[cfg(test)]
mod tests;
