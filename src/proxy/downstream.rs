//! The client's side of an exchange: holds the first bytes until failover is no longer wanted, lets bytes wait for the
//! journal, reads on after the client left, and times the upstream's silence.

use super::control::Control;
use super::exchange::Exchange;
use super::gate::Gate;
use super::gathered::Gathering;
use super::timer::{self, Timer, within};
use super::{checkpoint, receive, settle};
use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::CONTENT_LENGTH;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, OrErr, Result};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_plugin_api::Allowances;

/// The upstream was silent for longer than allowed.
pub(super) const UPSTREAM_SILENT: ErrorType = ErrorType::Custom("UpstreamSilent");
/// Reading on after the client left reached its limit.
pub(super) const DRAIN_OVER: ErrorType = ErrorType::Custom("DrainOver");
/// At most this much of an answer is held before its first byte goes out.
pub(super) const HOLD_BYTES_MAX: usize = 256 * 1024;
/// A client that takes nothing for this long counts as gone.
pub(super) const CLIENT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// So much of an answer goes out in one write, which has that time by itself: who takes a KiB or so a second (1.1 times 1024 bytes) gets
/// it all, however much came at once.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// The client, as the stages after admission see it.
pub(super) struct Downstream<'s> {
    session: &'s mut ServerSession,
    held: Held,
    /// Set when something is first waited for.
    timer: Option<Timer>,
    /// More than one request has come: whether the client is still there is not looked for any more.
    is_ahead: bool,
}

/// An answer's head.
struct Head {
    fields: Box<ResponseHeader>,
    /// Told behind them.
    allowances: Allowances,
}

/// What has come of the answer and has not gone out.
#[derive(Default)]
struct Held {
    head: Option<Head>,
    pieces: Vec<Bytes>,
    bytes: usize,
    end: bool,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.head.is_none() && self.pieces.is_empty() && !self.end
    }

    fn body(pieces: Vec<Bytes>, bytes: usize) -> Bytes {
        if pieces.len() <= 1 {
            return pieces.into_iter().next().unwrap_or_default();
        }
        let mut joined = BytesMut::with_capacity(bytes);
        pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
        joined.freeze()
    }
}

/// Bytes of a pipelined request are reported as this error; they are no sign that the client left.
fn is_disconnect(error: &Error) -> bool {
    !matches!(error.etype(), ErrorType::ConnectError)
}

/// Writes these as one piece, where that can be.
async fn write_together(session: &mut ServerSession, head: Option<Head>, body: Bytes, end: bool) -> Result<()> {
    // A head alone would have nothing behind it that takes it along.
    let gathering = if end || !body.is_empty() { Gathering::of(session) } else { None };
    if let Some(Head { mut fields, allowances }) = head {
        let lines = gathering.as_ref().filter(|_| !allowances.is_empty());
        let lines = lines.map(|gathering| gathering.fields(allowances.lines()));
        if lines.is_none() {
            for (name, value) in allowances.fields() {
                fields.insert_header(name, value)?;
            }
        }
        session.write_response_header(fields).await?;
    }
    if !end || gathering.is_none() {
        drop(gathering);
        return session.write_response_body(body, end).await;
    }
    session.write_response_body(body, false).await?;
    drop(gathering);
    session.write_response_body(Bytes::new(), true).await
}

/// Writes all of it, while the client takes some; `waited` is told how long it was waited for that, and `may_go_on` is asked whether it is
/// taken fast enough, so many bytes in so long.
async fn write_in_pieces(
    session: &mut ServerSession,
    mut head: Option<Head>,
    mut body: Bytes,
    end: bool,
    mut waited: impl FnMut(Duration),
    may_go_on: impl Fn(usize, Duration) -> bool,
) -> Result<()> {
    let mut bytes = 0;
    let mut is_slow_since = None;
    loop {
        let piece = body.split_to(body.len().min(WRITE_BYTES_MAX));
        bytes += piece.len();
        let is_last = body.is_empty();
        let mut writing = pin!(write_together(session, head.take(), piece, end && is_last));
        match futures::poll!(&mut writing) {
            Poll::Ready(written) => written?,
            Poll::Pending => {
                let since = Instant::now();
                let written = within(CLIENT_WRITE_TIMEOUT, writing).await;
                waited(since.elapsed());
                written.or_err(ErrorType::WriteTimedout, "the client does not read")??;
                is_slow_since.get_or_insert(since);
            }
        }
        if is_last {
            return Ok(());
        }
        if is_slow_since.is_some_and(|since| !may_go_on(bytes, since.elapsed())) {
            return Error::e_explain(
                ErrorType::WriteTimedout,
                "the client reads slowly what others need the memory of",
            );
        }
    }
}

impl<'s> Downstream<'s> {
    pub(super) fn new(session: &'s mut ServerSession) -> Self {
        Self { session, held: Held::default(), timer: None, is_ahead: false }
    }

    /// The client's request, as it came.
    pub(super) fn request(&self) -> &RequestHeader {
        self.session.req_header()
    }

    /// What an earlier attempt left is void.
    pub(super) fn begin_attempt(&mut self) {
        self.held = Held::default();
    }

    /// A clock that an earlier exchange made, instead of one of its own.
    pub(super) fn use_timer(&mut self, timer: &mut Option<Timer>) {
        self.timer = self.timer.take().or(timer.take());
    }

    /// The clock, for a later exchange.
    pub(super) fn take_timer(&mut self) -> Option<Timer> {
        self.timer.take()
    }

    /// The head of the answer, and what is told behind its fields: goes out with the first bytes.
    pub(super) fn head(&mut self, fields: Box<ResponseHeader>, allowances: Allowances) {
        if self.request().version == Version::HTTP_10 && !fields.headers.contains_key(CONTENT_LENGTH) {
            // Such a client knows the body's end by the connection's.
            self.session.set_keepalive(None);
        }
        self.held.head = Some(Head { fields, allowances });
    }

    /// The head that is held, to be changed.
    pub(super) fn held_head(&mut self) -> Option<&mut ResponseHeader> {
        self.held.head.as_mut().map(|head| &mut *head.fields)
    }

    /// Passes a piece of the answer's body on, or holds it; `end`: the last one.
    ///
    /// # Errors
    /// The client left and is not to be read on for; the journal does not take the record; reading on is over.
    pub(super) async fn piece(&mut self, piece: Bytes, end: bool, exchange: &mut Exchange) -> Result<()> {
        if !piece.is_empty() {
            self.held.bytes += piece.len();
            self.held.pieces.push(piece);
        }
        self.held.end = end;
        if end || self.held.bytes > HOLD_BYTES_MAX || exchange.control.may_commit() {
            return self.let_go(exchange).await;
        }
        Ok(())
    }

    /// What is held goes out, when the journal has what it rests on.
    async fn let_go(&mut self, exchange: &mut Exchange) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        if !exchange.control.committed && !self.held.end {
            checkpoint::document_progress(exchange);
        }
        if !exchange.control.committed
            && let Some(gate) = settle::hold_gate(exchange)
        {
            exchange.control.gate(gate);
        }
        loop {
            if let Some(gate) = exchange.control.take_gate() {
                self.pass(gate, &mut exchange.control).await?;
            }
            let Some(end) = exchange.control.unsettled.take() else { break };
            settle::settle_now(exchange, end);
        }
        if !std::mem::replace(&mut exchange.control.committed, true) {
            receive::free_bodies(exchange);
        }
        let Held { mut head, mut pieces, mut bytes, end } = std::mem::take(&mut self.held);
        if let (Some(head), Some(refused)) = (&mut head, exchange.control.refused.take()) {
            refused.tell(&mut head.fields)?;
            // The last of them is what the refusal says; those before began an answer that will not be.
            pieces = pieces.pop().into_iter().collect();
            bytes = pieces.iter().map(Bytes::len).sum();
        }
        if let Some(keeping) = &mut exchange.keeping {
            keeping.keep(head.as_ref().map(|head| &*head.fields), &pieces);
        }
        if end {
            // Before the client has it all: whoever asks again finds it.
            exchange.keeping = None;
        }
        // A client that is gone: nobody to write to. The stages have seen the bytes, which is what reading on is for.
        if exchange.control.client_gone() {
            exchange.leave_limits();
        } else {
            self.write(head, Held::body(pieces, bytes), end, exchange).await?;
        }
        if exchange.control.passed(bytes) {
            Ok(())
        } else {
            Error::e_explain(DRAIN_OVER, "bytes").map_err(Error::into_down)
        }
    }

    /// Waits for the gate, while watching whether the client leaves.
    async fn pass(&mut self, gate: Gate, control: &mut Control) -> Result<()> {
        let Some(left) = gate.take_turn().await else { return Ok(()) };
        let mut timer = self.timer.take();
        let passed = self.wait(pin!(left.wait(&mut timer)), control).await;
        self.timer = timer;
        passed
    }

    async fn wait(
        &mut self,
        mut passing: Pin<&mut impl Future<Output = Result<()>>>,
        control: &mut Control,
    ) -> Result<()> {
        if control.client_gone() {
            return passing.await;
        }
        let left = tokio::select! { biased;
            passed = &mut passing => return passed,
            idle = self.session.read_body_or_idle(true), if !self.is_ahead => idle,
        };
        self.heard(left.map(drop), control)?;
        passing.await
    }

    /// What came from the client's side while it should wait.
    fn heard(&mut self, heard: Result<()>, control: &mut Control) -> Result<()> {
        match heard {
            Err(error) if is_disconnect(&error) => self.left(error.into_down(), control),
            // A request before the last one's answer. It is not taken, and the connection ends with this answer: its client
            // knows from that to ask again.
            Err(_) => {
                self.is_ahead = true;
                self.session.set_keepalive(None);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The client is gone: read on, or give the error back.
    fn left(&mut self, error: Box<Error>, control: &mut Control) -> Result<()> {
        self.session.set_keepalive(None);
        if control.client_left() { Ok(()) } else { Err(error) }
    }

    /// Writes to the client. After the time-out fired nothing may be written any more: the write was cut in its middle.
    async fn write(&mut self, head: Option<Head>, body: Bytes, end: bool, exchange: &mut Exchange) -> Result<()> {
        let Exchange { control, attempt, .. } = exchange;
        let answer = attempt.as_ref().and_then(|attempt| attempt.answer.as_deref());
        let may_go_on = |bytes, taking| answer.is_none_or(|answer| answer.collected.may_go_on(bytes, taking));
        let waited = |waited| control.waited_for_client(waited);
        match write_in_pieces(&mut *self.session, head, body, end, waited, may_go_on).await {
            Ok(()) => Ok(()),
            Err(error) => self.left(error.into_down(), control),
        }
    }

    /// Awaits what is to come from the upstream. Meanwhile the client may leave, time may run out, and what was held for
    /// long enough goes out.
    ///
    /// # Errors
    /// What `coming` says; [`UPSTREAM_SILENT`]; [`DRAIN_OVER`]; what [`Downstream::piece`] says.
    pub(super) async fn until<T>(
        &mut self,
        mut coming: Pin<&mut impl Future<Output = Result<T>>>,
        exchange: &mut Exchange,
    ) -> Result<T> {
        if let Poll::Ready(come) = futures::poll!(&mut coming) {
            return come;
        }
        loop {
            let wake = exchange.control.next_wake(!self.held.is_empty());
            let gone = exchange.control.client_gone();
            if gone {
                exchange.leave_limits();
            }
            let timer = timer::set(&mut self.timer, wake);
            tokio::select! { biased;
                come = &mut coming => return come,
                idle = self.session.read_body_or_idle(true), if !gone && !self.is_ahead => {
                    self.heard(idle.map(drop), &mut exchange.control)?;
                }
                () = timer.as_mut() => self.look_at_the_clock(exchange).await?,
            }
        }
    }

    async fn look_at_the_clock(&mut self, exchange: &mut Exchange) -> Result<()> {
        let control = &exchange.control;
        let now = Instant::now();
        if control.is_drained(now) {
            return Error::e_explain(DRAIN_OVER, "time").map_err(Error::into_down);
        }
        if control.is_overdue(now) {
            let what = if control.committed { "in the middle of its answer" } else { "before the first token" };
            return Error::e_explain(UPSTREAM_SILENT, what).map_err(Error::into_up);
        }
        if !control.committed && !control.client_gone() && control.may_commit() {
            // The hold time is over and nothing came.
            self.let_go(exchange).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// How much a client gets that reads at this rate, and what became of the write.
    async fn read_at(bytes_per_s: u64, body: Bytes, may_go_on: impl Fn(usize, Duration) -> bool) -> (u64, Result<()>) {
        let (mut client, ours) = tokio::io::duplex(1024);
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut session = ServerSession::new_http1(Box::new(ours));
        assert!(session.read_request().await.unwrap());
        let reading = tokio::spawn(async move {
            let (mut buffer, mut read) = ([0; 1024], 0);
            while let Ok(count @ 1..) = client.read(&mut buffer).await {
                read += count as u64;
                tokio::time::sleep(Duration::from_millis(count as u64 * 1000 / bytes_per_s)).await;
            }
            read
        });
        let mut fields = Box::new(ResponseHeader::build(200, None).unwrap());
        fields.insert_header(http::header::CONTENT_LENGTH, body.len()).unwrap();
        let head = Some(Head { fields, allowances: Allowances::default() });
        let written = write_in_pieces(&mut session, head, body, true, |_| {}, may_go_on).await;
        drop(session);
        (reading.await.unwrap(), written)
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_steadily_gets_all_of_what_came_at_once_and_who_hardly_does_is_given_up() {
        const BYTES: u64 = 1 << 20;
        let body = Bytes::from(vec![b'x'; BYTES as usize]);
        let started = Instant::now();
        let (read, written) = read_at(2048, body.clone(), |_, _| true).await;
        assert!(read > BYTES && written.is_ok(), "{read}: {written:?}");
        assert!(started.elapsed() > 8 * CLIENT_WRITE_TIMEOUT, "it takes long");
        // Whose answer takes room that others need.
        let is_fast = |bytes: usize, taking: Duration| bytes as u64 >= 4096 * taking.as_secs();
        let (read, written) = read_at(2048, body.clone(), is_fast).await;
        assert!(read < BYTES / 4, "{read}");
        assert_eq!(written.unwrap_err().etype(), &ErrorType::WriteTimedout);
        let (read, written) = read_at(8192, body.clone(), is_fast).await;
        assert!(read > BYTES && written.is_ok(), "{read}: {written:?}");
        let (read, written) = read_at(512, body, |_, _| true).await;
        assert!(read < BYTES, "{read}");
        assert_eq!(written.unwrap_err().etype(), &ErrorType::WriteTimedout);
    }
}
