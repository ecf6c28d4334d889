//! The wrapper around Pingora's downstream session, put in place when a request is admitted and taken off before Pingora
//! ends the connection. Everything the proxy loop reads from and writes to the client passes here, so this is where
//! the request body is replayed on every attempt, the first byte is held until failover is no longer wanted, bytes wait
//! for the journal, an answer is read on after the client left, and the upstream's silence is timed.
//!
//! It rests on one hidden trait of Pingora 0.9.1 (`custom::server::Session`), which is why the version is pinned.

use super::control::{Control, Gate};
use super::receive::ANSWER_CUT;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, Stream};
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as CustomSession;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The upstream was silent for longer than allowed.
pub(super) const UPSTREAM_SILENT: ErrorType = ErrorType::Custom("UpstreamSilent");
/// Reading on after the client left reached its limit.
pub(super) const DRAIN_OVER: ErrorType = ErrorType::Custom("DrainOver");
/// At most this much of an answer is held before its first byte goes out.
pub(super) const HOLD_BYTES_MAX: usize = 256 * 1024;

type CustomReader = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

/// Puts the wrapper in place; `body` is the whole request body, already read.
pub(super) fn install(session: &mut Session, control: &Control, body: Bytes) {
    let inner = std::mem::replace(&mut session.downstream_session, placeholder());
    let wrapper = Downstream {
        inner: Some(inner),
        control: control.clone(),
        body,
        held: Vec::new(),
        held_bytes: 0,
        attempt: 0,
        timer: None,
    };
    *session.downstream_session = ServerSession::new_custom(Box::new(wrapper));
}

/// Takes the wrapper off, so that Pingora can reuse the connection. When the client is gone it stays: the real session
/// would flush into a socket that may never drain; the wrapper's `finish` does nothing and the connection is dropped.
pub(super) fn uninstall(session: &mut Session, control: &Control) {
    if !session.downstream_session.is_custom() || control.client_gone() {
        return;
    }
    drop(std::mem::replace(&mut session.downstream_session, placeholder()));
    let returned = control.state().returned.take();
    if let Some(inner) = returned {
        session.downstream_session = inner;
    }
}

/// Stands in the session's place for the moment of an exchange; never used as a session.
fn placeholder() -> Box<ServerSession> {
    Box::new(ServerSession::new_custom(Box::new(())))
}

struct Downstream {
    /// The real session; `None` only while being dropped.
    inner: Option<Box<ServerSession>>,
    control: Control,
    /// The request body for the next attempt; freed with the first byte.
    body: Bytes,
    held: Vec<HttpTask>,
    held_bytes: usize,
    /// The attempt that `held` belongs to.
    attempt: u32,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Drop for Downstream {
    fn drop(&mut self) {
        let inner = self.inner.take();
        self.control.state().returned = inner;
    }
}

/// Bytes of a pipelined request are reported as this error; they are no sign that the client left.
fn is_disconnect(error: &Error) -> bool {
    !matches!(error.etype(), ErrorType::ConnectError)
}

fn ends(task: &HttpTask) -> bool {
    match task {
        HttpTask::Header(_, end) | HttpTask::Body(_, end) | HttpTask::UpgradedBody(_, end) => *end,
        HttpTask::Trailer(_) | HttpTask::Done | HttpTask::Failed(_) => true,
    }
}

fn body_bytes(task: &HttpTask) -> usize {
    match task {
        HttpTask::Body(Some(body), _) | HttpTask::UpgradedBody(Some(body), _) => body.len(),
        _ => 0,
    }
}

impl Downstream {
    fn inner(&self) -> &ServerSession {
        self.inner.as_ref().expect("the session is there until drop")
    }

    fn inner_mut(&mut self) -> &mut ServerSession {
        self.inner.as_mut().expect("the session is there until drop")
    }

    /// The client is gone: read on, or give the error back.
    fn left(&mut self, error: Box<Error>) -> Result<()> {
        self.inner_mut().set_keepalive(None);
        if self.control.state().client_left(Instant::now()) { Ok(()) } else { Err(error) }
    }

    fn forget_earlier_than(&mut self, attempt: u32) {
        if attempt != self.attempt {
            self.attempt = attempt;
            self.held.clear();
            self.held_bytes = 0;
        }
    }

    /// Takes in a batch before the first byte went out. `None`: nothing may go out yet.
    fn hold(&mut self, tasks: Vec<HttpTask>) -> Result<Option<Vec<HttpTask>>> {
        let (settled, passes_bodiless) = {
            let state = self.control.state();
            (state.settled, state.passes_bodiless)
        };
        for task in tasks {
            match task {
                // The terminal event came before: the answer is whole, only its end is missing.
                HttpTask::Failed(_) if settled => self.held.push(HttpTask::Done),
                HttpTask::Failed(error) => {
                    self.held.clear();
                    return Err(error);
                }
                // 103 and the like belong to the provider's connection, not to the answer.
                HttpTask::Header(head, _) if head.status.is_informational() && head.status != 101 => {}
                // No filter sees the end of an answer without a body, so it is judged here.
                HttpTask::Header(_, true) if !settled && !passes_bodiless => {
                    return Error::e_explain(ANSWER_CUT, "an answer without a body").map_err(Error::into_up);
                }
                HttpTask::Body(None, false) => {}
                task => {
                    self.held_bytes += body_bytes(&task);
                    self.held.push(task);
                }
            }
        }
        let ready = self.held_bytes > HOLD_BYTES_MAX
            || self.held.iter().any(ends)
            || (!self.held.is_empty() && self.control.state().may_commit(Instant::now()));
        Ok(ready.then(|| std::mem::take(&mut self.held)))
    }

    /// Waits for the gate, while watching whether the client leaves.
    async fn pass(&mut self, mut gate: Gate) -> Result<()> {
        if self.control.client_gone() {
            return gate.await;
        }
        let left = tokio::select! { biased;
            passed = &mut gate => return passed,
            idle = self.inner_mut().read_body_or_idle(true) => idle,
        };
        match left {
            Err(error) if !is_disconnect(&error) => return Err(error.into_down()),
            Err(error) => self.left(error.into_down())?,
            Ok(_) => {}
        }
        gate.await
    }

    /// Writes to the client. Pingora's own write time-out leaves out heads and flushes, hence this one; after it fired
    /// nothing may be written any more, because the write was cut in its middle.
    async fn write(&mut self, tasks: Vec<HttpTask>, limit: Duration) -> Result<()> {
        let pending = self.inner().has_pending_downstream_proxy_tasks();
        let inner = self.inner_mut();
        let written = tokio::time::timeout(limit, async {
            if pending {
                inner.write_downstream_proxy_tasks().await?;
            }
            inner.response_duplex_vec(tasks).await
        });
        let written = match written.await {
            Ok(written) => written.map(|_| ()),
            Err(_) => Error::e_explain(ErrorType::WriteTimedout, "the client does not read").map_err(Error::into_down),
        };
        match written {
            Err(error) if *error.esource() != ErrorSource::Upstream && is_disconnect(&error) => self.left(error),
            written => written,
        }
    }

    /// What was held and could not go out with the head goes first.
    fn after_held(&mut self, tasks: Vec<HttpTask>) -> Vec<HttpTask> {
        if self.held.is_empty() {
            return tasks;
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend(tasks);
        all
    }

    /// The hold time is over and nothing came: what is held goes out. Runs inside a `select!` arm, so it must survive
    /// being dropped at an await: HTTP/1 resumes queued tasks; on HTTP/2 the head is written at once and the rest goes
    /// with the next piece.
    async fn flush_held(&mut self) -> Result<()> {
        let (attempt, gate) = {
            let mut state = self.control.state();
            (state.attempt, state.gate.take())
        };
        self.forget_earlier_than(attempt);
        if let Some(mut gate) = gate {
            if let Some(passed) = (&mut gate).now_or_never() {
                passed?;
            } else {
                // Not yet in the journal: look again soon.
                let mut state = self.control.state();
                state.gate = Some(gate);
                state.hold_until = Instant::now() + Duration::from_millis(5);
                return Ok(());
            }
        }
        self.commit();
        let mut held = std::mem::take(&mut self.held);
        if matches!(self.inner(), ServerSession::H1(_)) {
            for task in held {
                self.inner_mut().send_downstream_proxy_task(task);
            }
            self.control.note_delivered();
            return self.resume_write().await;
        }
        self.held = held.split_off(1);
        match self.inner_mut().response_duplex_vec(held).now_or_never() {
            Some(Ok(_)) => {
                self.control.note_delivered();
                Ok(())
            }
            Some(Err(error)) => self.left(error),
            None => {
                let error = Error::explain(ErrorType::WriteTimedout, "the client takes no bytes");
                self.left(error.into_down())
            }
        }
    }

    /// Goes on with a write that was interrupted.
    async fn resume_write(&mut self) -> Result<()> {
        match self.inner_mut().write_downstream_proxy_tasks().await {
            Ok(_) => Ok(()),
            Err(error) => self.left(error),
        }
    }

    fn commit(&mut self) {
        if !std::mem::replace(&mut self.control.state().committed, true) {
            self.body = Bytes::new();
        }
    }

    /// Looks at the clock after the timer fired. Err: the upstream was silent for too long, or the drain is over.
    fn check_deadlines(&mut self) -> Result<bool> {
        let holding = !self.held.is_empty();
        let state = self.control.state();
        let now = Instant::now();
        if state.gone.as_ref().is_some_and(|gone| now >= gone.since + gone.limits.time_max) {
            return Error::e_explain(DRAIN_OVER, "time").map_err(Error::into_down);
        }
        if now >= state.deadline {
            let what = if state.committed { "between two pieces" } else { "before the first token" };
            return Error::e_explain(UPSTREAM_SILENT, what);
        }
        Ok(holding && !state.committed && state.gone.is_none() && state.may_commit(now))
    }

    /// One wait of [`CustomSession::read_body_or_idle`]: the client moves, or the timer fires.
    async fn wait(&mut self) -> Result<()> {
        let gone = self.control.client_gone();
        if !gone && self.inner().has_pending_downstream_proxy_tasks() {
            self.resume_write().await?;
        }
        let (wake, gone) = {
            let state = self.control.state();
            (state.next_wake(!self.held.is_empty()), state.gone.is_some())
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wake)));
        // Moved only when it would fire too late, or has fired: most deadlines are pushed on and never reached.
        if timer.deadline() > wake || timer.is_elapsed() {
            timer.as_mut().reset(wake);
        }
        if gone {
            timer.as_mut().await;
        } else {
            let inner = self.inner.as_mut().expect("the session is there until drop");
            let idle = tokio::select! { biased;
                idle = inner.read_body_or_idle(true) => Some(idle),
                () = timer.as_mut() => None,
            };
            match idle {
                Some(Err(error)) if is_disconnect(&error) => return self.left(error),
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) => return Ok(()),
                None => {}
            }
        }
        if self.check_deadlines()? {
            self.flush_held().await?;
        }
        Ok(())
    }
}

#[async_trait]
impl CustomSession for Downstream {
    // === the request body: ours, whole, on every attempt ===

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.inner_mut().drain_request_body().await
    }

    fn is_body_done(&mut self) -> bool {
        true
    }

    fn is_body_empty(&mut self) -> bool {
        self.body.is_empty()
    }

    fn enable_retry_buffering(&mut self) {}

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        (!self.body.is_empty()).then(|| self.body.clone())
    }

    /// Polled by the proxy loop all the time while it waits for the upstream; must be cancel safe.
    async fn read_body_or_idle(&mut self, _no_body_expected: bool) -> Result<Option<Bytes>> {
        loop {
            self.wait().await?;
        }
    }

    // === the answer: the one way in which the proxy loop writes ===

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut batch = self.control.state().begin_batch();
        self.forget_earlier_than(batch.attempt);
        if let Some(error) = batch.verdict {
            return Err(error);
        }
        let tasks = if batch.committed {
            self.after_held(tasks)
        } else {
            match self.hold(tasks)? {
                Some(tasks) => tasks,
                None => return Ok(false),
            }
        };
        if !batch.committed {
            batch.gate = self.control.state().gate.take();
        }
        if let Some(gate) = batch.gate {
            self.pass(gate).await?;
            batch.gone = self.control.client_gone();
        }
        if !batch.committed {
            self.commit();
        }
        let end = tasks.iter().any(ends);
        let bytes = tasks.iter().map(body_bytes).sum();
        if batch.gone {
            // Nobody to write to: the filters have seen the bytes, which is what reading on is for.
            for task in tasks {
                if let HttpTask::Failed(error) = task {
                    return Err(error);
                }
            }
        } else {
            self.write(tasks, batch.write_timeout).await?;
        }
        if self.control.state().end_batch(bytes) {
            Ok(end)
        } else {
            Error::e_explain(DRAIN_OVER, "bytes").map_err(Error::into_down)
        }
    }

    /// Only our own refusals come this way; Pingora closes the connection after them.
    async fn write_response_header(&mut self, head: Box<ResponseHeader>, _end: bool) -> Result<()> {
        self.inner_mut().set_keepalive(None);
        self.inner_mut().write_response_header(head).await
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, _end: bool) -> Result<()> {
        self.inner_mut().set_keepalive(None);
        self.inner_mut().write_response_header_ref(head).await
    }

    async fn write_body(&mut self, body: Bytes, end: bool) -> Result<()> {
        self.inner_mut().write_response_body(body, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner_mut().write_response_trailers(trailers).await
    }

    async fn finish(&mut self) -> Result<()> {
        if self.control.client_gone() {
            return Ok(());
        }
        self.inner_mut().finish_body().await
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.inner_mut().shutdown().await
    }

    async fn abandon(&mut self, _context: &str) {
        self.inner_mut().shutdown().await
    }

    // === plain delegation ===

    fn req_header(&self) -> &RequestHeader {
        self.inner().req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner_mut().req_header_mut()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_read_timeout(timeout)
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.inner().get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_write_timeout(timeout)
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner().get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_total_drain_timeout(timeout)
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner().get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner().request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner().response_written()
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner().body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner().body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner().digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner_mut().digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner().client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner().server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner().to_h1_raw()
    }

    fn is_upgrade_req(&self) -> bool {
        self.inner().is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.inner().was_upgraded()
    }

    // === custom messages: not used ===

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<CustomReader> {
        None
    }

    fn restore_custom_message_reader(&mut self, _reader: CustomReader) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
