//! Sends a request while its answer may come already: an upstream need not read all of a body to refuse it.

use super::super::timer::within;
use super::{FIELDS_MAX, HEAD_BYTES_MAX, Http1, RequestHead, wire_of};
use http::StatusCode;
use pingora::{Error, ErrorType, OrErr, Result};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A request's body up to here is copied behind its head, so that both go out with one write (one TLS record, one packet).
pub(super) const COPIED_BODY_BYTES_MAX: usize = 64 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Http1<S> {
    /// Sends a request whose head says its body's length. The upstream may take nothing of it for as long as `limit`.
    ///
    /// # Errors
    /// It cannot be sent, or need not be any further: an answer may be there all the same.
    pub(in crate::proxy) async fn send(&mut self, head: &RequestHead, body: &[u8], limit: Duration) -> Result<()> {
        let copied = if body.len() <= COPIED_BODY_BYTES_MAX { body } else { &[] };
        let mut wire = wire_of(head, copied.len())?;
        wire.extend_from_slice(copied);
        for mut rest in [&wire, &body[copied.len()..]] {
            while !rest.is_empty() {
                let taken = self.step(limit, |stream, context| stream.poll_write(context, rest)).await?;
                if taken == 0 {
                    return Error::e_explain(ErrorType::WriteError, "the upstream takes no more of a request");
                }
                rest = &rest[taken..];
            }
        }
        self.step(limit, |stream, context| stream.poll_flush(context)).await
    }

    /// Does what `go_on` does, unless an answer comes first that makes it needless.
    async fn step<T>(
        &mut self,
        limit: Duration,
        mut go_on: impl FnMut(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Result<T> {
        let step = poll_fn(|context| match go_on(Pin::new(&mut self.stream), context) {
            Poll::Ready(done) => Poll::Ready(done.or_err(ErrorType::WriteError, "sending a request")),
            Poll::Pending => self.poll_refused(context).map(Err),
        });
        match within(limit, pin!(step)).await {
            Ok(done) => done,
            Err(_) => Error::e_explain(ErrorType::WriteTimedout, "the upstream takes no bytes"),
        }
    }

    /// Waits for an answer that is not one of success, or for the connection's end.
    fn poll_refused(&mut self, context: &mut Context<'_>) -> Poll<Box<Error>> {
        while self.buffer.len() <= HEAD_BYTES_MAX {
            let why = match std::task::ready!(self.poll_fill(context)) {
                Ok(0) => "the upstream closed before it had read the request",
                Ok(_) if is_refusal(&self.buffer) => "the upstream answered before it had read the request",
                Ok(_) => continue,
                Err(error) => return Poll::Ready(Error::because(ErrorType::ReadError, "reading an answer", error)),
            };
            return Poll::Ready(Error::explain(ErrorType::WriteError, why));
        }
        Poll::Pending
    }
}

/// Whether these bytes begin with the head of an answer that tells of no success; one that is no head is told of by who reads it.
fn is_refusal(mut bytes: &[u8]) -> bool {
    loop {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut []);
        let parsed =
            httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, bytes, &mut fields);
        let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok());
        match (parsed, status) {
            (Ok(httparse::Status::Complete(end)), Some(status)) if status.is_informational() => bytes = &bytes[end..],
            (Ok(httparse::Status::Complete(_)), Some(status)) => return !status.is_success(),
            (Ok(_), _) => return false,
            (Err(_), _) => return true,
        }
    }
}
