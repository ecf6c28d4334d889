//! The stand-in provider: it answers each request by the plan in its prompt, fast, and remembers how much text went out.

use crate::plan::{Fault, Plan};
use crate::support::wire::{Framing, Reader, chunk};
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the provider knows of one plan.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Times it was asked.
    pub(crate) attempts: u64,
    /// Most tokens whose text went out (or was about to) at one attempt.
    pub(crate) tokens: u64,
    /// The longest time for which it did not get to send anything, by plan or because the machine was busy.
    pub(crate) silence: Duration,
}

impl Sent {
    /// Together with what another provider knows of it.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            attempts: self.attempts + other.attempts,
            tokens: self.tokens.max(other.tokens),
            silence: self.silence.max(other.silence),
        }
    }
}

/// What all connections share.
struct Shared {
    sent: Mutex<HashMap<u64, Sent>>,
    arrived: AtomicUsize,
    /// No answer begins before it is true.
    open: watch::Receiver<bool>,
}

/// See the module. Ends with its connections when dropped.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    gate: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Provider {
    /// `open`: it answers at once, not only when it is told.
    pub(crate) async fn start(open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (gate, is_open) = watch::channel(open);
        let shared = Arc::new(Shared { sent: Mutex::default(), arrived: AtomicUsize::new(0), open: is_open });
        let of_connections = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&of_connections);
                connections.spawn(async move { drop(serve(stream, &shared).await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, shared, gate, accepting }
    }

    /// Lets answers go out, or keeps them from it.
    pub(crate) fn set_open(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// Requests that have arrived.
    pub(crate) fn arrived(&self) -> usize {
        self.shared.arrived.load(Ordering::Acquire)
    }

    /// What went out for a plan.
    pub(crate) fn sent(&self, number: u64) -> Sent {
        self.shared.sent.lock().expect("nothing panics with the lock").get(&number).copied().unwrap_or_default()
    }
}

/// How an exchange left its connection.
#[derive(PartialEq, Eq)]
enum Left {
    Usable,
    Closed,
    Reset,
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (source, mut sink) = stream.into_split();
    let mut reader = Reader::new(source);
    while let Some((_, fields)) = reader.head().await? {
        let (mut framing, mut body) = (Framing::of(&fields, Framing::Nothing), BytesMut::new());
        while let Some(piece) = reader.piece(&mut framing).await? {
            body.extend_from_slice(&piece);
        }
        let plan = Plan::read(&body).ok_or(io::ErrorKind::InvalidData)?;
        let wants_usage = memchr::memmem::find(&body, br#""include_usage":true"#).is_some();
        shared.arrived.fetch_add(1, Ordering::AcqRel);
        let attempt = shared.note(&plan, 0, 1);
        let mut open = shared.open.clone();
        if open.wait_for(|open| *open).await.is_err() {
            return Ok(());
        }
        match answer(&plan, wants_usage, attempt, &mut sink, shared).await? {
            Left::Usable => {}
            Left::Closed => return Ok(()),
            Left::Reset => return sink.as_ref().set_zero_linger(),
        }
    }
    Ok(())
}

impl Shared {
    /// Notes what goes out; how many attempts there were.
    fn note(&self, plan: &Plan, tokens: u64, attempts: u64) -> u64 {
        let mut all = self.sent.lock().expect("nothing panics with the lock");
        let sent = all.entry(plan.number).or_default();
        sent.tokens = sent.tokens.max(tokens);
        sent.attempts += attempts;
        sent.attempts
    }

    /// Notes that something goes out after so long.
    fn note_silence(&self, plan: &Plan, last: &mut Instant) {
        let silence = std::mem::replace(last, Instant::now()).elapsed();
        let mut all = self.sent.lock().expect("nothing panics with the lock");
        let sent = all.entry(plan.number).or_default();
        sent.silence = sent.silence.max(silence);
    }
}

fn head(status: u16, content_type: &str, rest: &str) -> String {
    format!("HTTP/1.1 {status} Status\r\ncontent-type: {content_type}\r\n{rest}\r\n")
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

async fn answer(
    plan: &Plan,
    wants_usage: bool,
    attempt: u64,
    sink: &mut OwnedWriteHalf,
    shared: &Shared,
) -> io::Result<Left> {
    let mut last = Instant::now();
    pause(Duration::from_millis(plan.head_ms)).await;
    shared.note_silence(plan, &mut last);
    let small = match plan.fault {
        Fault::Refuses => {
            Some((400, "application/json", r#"{"error":{"message":"bad","type":"invalid_request_error","code":null}}"#))
        }
        Fault::Fails => Some((500, "application/json", r#"{"error":{"message":"oops","type":"server_error"}}"#)),
        Fault::FailsOnce if attempt == 1 => Some((503, "text/plain", "busy")),
        Fault::Page => Some((200, "text/html", "<html><body>Welcome to the hotel's network</body></html>")),
        Fault::ResetsOnce if attempt == 1 => return Ok(Left::Reset),
        _ => None,
    };
    if let Some((status, content_type, body)) = small {
        let head = head(status, content_type, &format!("content-length: {}\r\n", body.len()));
        sink.write_all((head + body).as_bytes()).await?;
        return Ok(Left::Usable);
    }
    if plan.stream { stream(plan, wants_usage, sink, shared).await } else { document(plan, sink, shared).await }
}

async fn document(plan: &Plan, sink: &mut OwnedWriteHalf, shared: &Shared) -> io::Result<Left> {
    let body = plan.wire.document(plan).to_string();
    shared.note(plan, plan.tokens, 0);
    let head = head(200, "application/json", &format!("content-length: {}\r\n", body.len()));
    let (first, second) = body.as_bytes().split_at(body.len() / 2);
    sink.write_all(&[head.as_bytes(), first].concat()).await?;
    let mut last = Instant::now();
    if let Some(left) = inside(plan.fault).await {
        return Ok(left);
    }
    pause(Duration::from_micros(plan.pause_us)).await;
    shared.note_silence(plan, &mut last);
    sink.write_all(second).await?;
    Ok(Left::Usable)
}

/// What happens in the middle of an answer.
async fn inside(fault: Fault) -> Option<Left> {
    match fault {
        Fault::EndsInside => Some(Left::Closed),
        Fault::ResetsInside => Some(Left::Reset),
        Fault::StallsInside => {
            // Longer than the gateway waits, and not for ever: it may have died meanwhile.
            tokio::time::sleep(Duration::from_secs(3)).await;
            Some(Left::Closed)
        }
        _ => None,
    }
}

async fn stream(plan: &Plan, wants_usage: bool, sink: &mut OwnedWriteHalf, shared: &Shared) -> io::Result<Left> {
    let frame = plan.wire.frame(plan, wants_usage);
    let head = head(200, plan.wire.content_type(true), "transfer-encoding: chunked\r\n");
    let mut first = BytesMut::from(head.as_bytes());
    frame.before.iter().for_each(|piece| first.extend_from_slice(&chunk(piece)));
    sink.write_all(&first).await?;
    let (mut so_far, mut last) = (0, Instant::now());
    // The same bytes again and again, but for Gemini, which counts.
    let mut same: Option<Bytes> = None;
    while so_far < plan.tokens {
        if so_far >= plan.tokens / 2
            && let Some(left) = inside(plan.fault).await
        {
            return Ok(left);
        }
        let begins = so_far == 0;
        let tokens = plan.piece_tokens.min(plan.tokens - so_far);
        so_far += tokens;
        let piece = match &same {
            Some(piece) if tokens == plan.piece_tokens && !plan.wire.is_gemini() => piece.clone(),
            _ => chunk(&plan.wire.text_piece(plan, &plan.text(tokens), so_far, begins)),
        };
        shared.note(plan, so_far, 0);
        shared.note_silence(plan, &mut last);
        sink.write_all(&piece).await?;
        same = Some(piece);
        pause(Duration::from_micros(plan.pause_us)).await;
    }
    shared.note_silence(plan, &mut last);
    let mut end = BytesMut::new();
    frame.after.iter().for_each(|piece| end.extend_from_slice(&chunk(piece)));
    end.extend_from_slice(b"0\r\n\r\n");
    sink.write_all(&end).await?;
    Ok(Left::Usable)
}
