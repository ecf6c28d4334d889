//! A provider on a bare socket, so that it can do everything wrong that a provider can.

use super::script::{Answer, Break, Cut, Delimited};
use super::wire::{Fields, Framing, Reader, chunk, field};
use super::{sha256, until};
use bytes::{Bytes, BytesMut};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// Bytes of a request body that are kept; longer ones are known by length and hash.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// How an exchange ended, as the provider saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It has not yet.
    Running,
    /// The answer went out as it was scripted.
    Answered,
    /// The other side left before that, after so many bytes of the body.
    PeerLeft(usize),
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// As it stood in the request line.
    pub(crate) target: String,
    pub(crate) fields: Fields,
    /// The body; empty if it was longer than 1 MiB or not read.
    pub(crate) body: Bytes,
    pub(crate) body_bytes: usize,
    pub(crate) body_sha256: String,
    /// How the body was delimited.
    pub(crate) framing: Framing,
    /// The connection it came on: two requests on one have the same number.
    pub(crate) connection: usize,
    pub(crate) ended: Ended,
    /// See [`Received::sent`].
    sent: Arc<AtomicUsize>,
}

impl Received {
    /// Bytes of the answer's body that have gone out by now.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Acquire)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body that arrived upstream is JSON")
    }
}

type Script = dyn Fn(usize, &Received) -> Answer + Send + Sync;

/// The stand-in provider. It lives as long as the test's runtime.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Provider {
    /// Answers each request as `script` says; it is told how many came before, and the request (for an early answer: its
    /// head alone).
    pub(crate) async fn start(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let provider = Self { address: listener.local_addr().expect("an address"), received: Arc::default() };
        let (received, script) = (Arc::clone(&provider.received), Arc::new(script) as Arc<Script>);
        tokio::spawn(async move {
            let mut connections = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let connection =
                    Connection { number: connections, received: Arc::clone(&received), script: Arc::clone(&script) };
                connections += 1;
                tokio::spawn(async move { drop(connection.run(stream).await) });
            }
        });
        provider
    }

    /// The same answer to every request.
    pub(crate) async fn always(answer: Answer) -> Self {
        Self::start(move |_, _| answer.clone()).await
    }

    /// One answer after the other; the last one again and again.
    pub(crate) async fn sequence(answers: Vec<Answer>) -> Self {
        Self::start(move |before, _| answers[before.min(answers.len() - 1)].clone()).await
    }

    /// `http://ADDRESS` and a path, for a `base_url`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no test panics with the lock").clone()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Received {
        let mut all = self.received();
        assert_eq!(all.len(), 1, "requests that reached the provider");
        all.remove(0)
    }

    /// Waits until the request of that number has ended, and tells how.
    pub(crate) async fn ended(&self, number: usize) -> Ended {
        until("the provider's exchange to end", || {
            self.received().get(number).map(|request| request.ended).filter(|ended| *ended != Ended::Running)
        })
        .await
    }
}

/// A port that refuses connections as long as this lives.
pub(crate) struct ClosedPort {
    pub(crate) address: SocketAddr,
    _socket: TcpSocket,
}

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        // Bound, so that nobody else gets it, but not listening.
        Self { address: socket.local_addr().expect("an address"), _socket: socket }
    }
}

/// A listener that accepts nobody, with its queue full: further connections wait for ever.
pub(crate) struct FullQueue {
    pub(crate) address: SocketAddr,
    _queued: (TcpListener, Vec<TcpStream>),
}

impl FullQueue {
    pub(crate) async fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let listener = socket.listen(1).expect("it listens");
        let address = listener.local_addr().expect("an address");
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            queued.push(stream);
            assert!(queued.len() < 100, "this system queues without an end");
        }
        Self { address, _queued: (listener, queued) }
    }
}

struct Connection {
    number: usize,
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Script>,
}

impl Connection {
    async fn run(self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (source, mut sink) = stream.into_split();
        let mut reader = Reader::new(source);
        while let Some((line, fields)) = reader.head().await? {
            let framing = Framing::of(&fields, Framing::Nothing);
            let mut words = line.split(' ').map(str::to_owned);
            let mut request = Received {
                method: words.next().unwrap_or_default(),
                target: words.next().unwrap_or_default(),
                fields,
                body: Bytes::new(),
                body_bytes: 0,
                body_sha256: String::new(),
                framing,
                connection: self.number,
                ended: Ended::Running,
                sent: Arc::default(),
            };
            let number = {
                let mut all = self.received.lock().expect("no test panics with the lock");
                all.push(request.clone());
                all.len() - 1
            };
            let early = Some((self.script)(number, &request)).filter(|answer| answer.early);
            let answer = match early {
                Some(answer) => answer,
                None => {
                    self.read_body(&mut reader, &mut sink, &mut request).await?;
                    self.received.lock().expect("no test panics with the lock")[number] = request.clone();
                    (self.script)(number, &request)
                }
            };
            let (ended, goes_on) = give(&answer, &mut reader, &mut sink, &request.sent).await;
            self.received.lock().expect("no test panics with the lock")[number].ended = ended;
            if !goes_on {
                if answer.breaks() == Some(Break::Rst) {
                    sink.as_ref().set_zero_linger()?;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    async fn read_body(
        &self,
        reader: &mut Reader<OwnedReadHalf>,
        sink: &mut OwnedWriteHalf,
        request: &mut Received,
    ) -> io::Result<()> {
        if request.field("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            sink.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let (mut framing, mut body) = (request.framing, BytesMut::new());
        while let Some(piece) = reader.piece(&mut framing).await? {
            body.extend_from_slice(&piece);
        }
        request.body_bytes = body.len();
        request.body_sha256 = sha256(&body);
        if body.len() <= KEPT_BYTES_MAX {
            request.body = body.freeze();
        }
        Ok(())
    }
}

/// Gives an answer while watching whether the other side leaves. True: the connection can take another request.
async fn give(
    answer: &Answer,
    reader: &mut Reader<OwnedReadHalf>,
    sink: &mut OwnedWriteHalf,
    sent: &AtomicUsize,
) -> (Ended, bool) {
    let sending = async {
        let written = send(answer, sink, sent).await;
        match (written, answer.breaks()) {
            (Err(_), _) => false,
            (Ok(()), Some(Break::Stall)) => std::future::pending().await,
            (Ok(()), _) => true,
        }
    };
    let leaving = async {
        // Bytes that wait are the next request (or the rest of an unread body): only an end or an error is leaving.
        match reader.source().peek(&mut [0]).await {
            Ok(count) if count > 0 => std::future::pending().await,
            _ => {}
        }
    };
    let whole = tokio::select! {
        biased;
        whole = sending => whole,
        () = leaving => false,
    };
    let ended = if whole { Ended::Answered } else { Ended::PeerLeft(sent.load(Ordering::Acquire)) };
    (ended, whole && !answer.early && answer.breaks().is_none() && answer.delimited != Delimited::Close)
}

async fn send(answer: &Answer, sink: &mut OwnedWriteHalf, sent: &AtomicUsize) -> io::Result<()> {
    let pause = |ms| async move {
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    };
    let (head_ms, first_ms, next_ms) = answer.delays_ms;
    pause(head_ms).await;
    match answer.cut {
        Some(Cut::BeforeHead(_)) => return Ok(()),
        Some(Cut::InHead(bytes, _)) => return sink.write_all(&answer.head()[..bytes]).await,
        _ => sink.write_all(&answer.head()).await?,
    }
    let chunked = answer.delimited == Delimited::Chunked;
    for (index, piece) in answer.sent_pieces().into_iter().enumerate() {
        pause(if index == 0 { first_ms } else { next_ms }).await;
        step(answer).await;
        sink.write_all(&if chunked { chunk(&piece) } else { piece.clone() }).await?;
        sent.fetch_add(piece.len(), Ordering::AcqRel);
    }
    step(answer).await;
    if chunked && answer.cut.is_none() {
        sink.write_all(b"0\r\n\r\n").await?;
    }
    Ok(())
}

async fn step(answer: &Answer) {
    if let Some(steps) = &answer.steps {
        steps.wait().await;
    }
}
