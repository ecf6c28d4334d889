//! A TCP proxy that stands in for a bad network between the gateway and a provider: it delays, cuts at any byte, resets,
//! half-closes and swallows. What it does to an exchange stands in the request, as [`Fault::mark`] writes it: so each
//! request of many at a time can have its own.

use super::script::Break;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const MARK: &str = "FAULT/";
/// A mark is shorter than that.
const MARK_BYTES_MAX: usize = 64;
/// Bytes moved at once.
const READ_BYTES: usize = 16 << 10;
/// How often it is looked, at most, whether what was sent is read, and how long from one look to the next.
const LOOKS_MAX: usize = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What becomes of an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// So many of its bytes arrive, head and framing included.
    pub(crate) after_bytes: usize,
    pub(crate) how: Break,
    /// Before its first byte.
    pub(crate) delay_ms: u64,
}

impl Fault {
    /// Nothing but the delay.
    pub(crate) const NONE: Self = Self { after_bytes: usize::MAX, how: Break::Fin, delay_ms: 0 };

    /// Text to be put anywhere into the request.
    pub(crate) fn mark(self) -> String {
        let how = match self.how {
            Break::Fin => "fin",
            Break::Rst => "rst",
            Break::Stall => "stall",
        };
        format!("{MARK}{}/{how}/{}/", self.after_bytes, self.delay_ms)
    }

    /// The last one that stands in these bytes, if it is whole.
    fn find(bytes: &[u8]) -> Option<Self> {
        let at = memchr::memmem::rfind(bytes, MARK.as_bytes())?;
        let text = String::from_utf8_lossy(&bytes[at + MARK.len()..]);
        let mut parts = text.split('/');
        let after_bytes = parts.next()?.parse().ok()?;
        let how = match parts.next()? {
            "fin" => Break::Fin,
            "rst" => Break::Rst,
            "stall" => Break::Stall,
            _ => return None,
        };
        let delay_ms = parts.next()?.parse().ok()?;
        // What comes behind the last slash; without it the number may go on.
        parts.next()?;
        Some(Self { after_bytes, how, delay_ms })
    }
}

/// The proxy. It lives as long as the test's runtime.
#[derive(Clone)]
pub(crate) struct FaultProxy {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl FaultProxy {
    /// In front of `target`.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let proxy = Self { address: listener.local_addr().expect("an address"), connections: Arc::default() };
        let connections = Arc::clone(&proxy.connections);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::AcqRel);
                tokio::spawn(async move { drop(carry(near, target).await) });
            }
        });
        proxy
    }

    /// Connections that were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

/// Carries one connection.
async fn carry(near: TcpStream, target: SocketAddr) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_source, near_sink) = near.into_split();
    let (far_source, far_sink) = far.into_split();
    // How many requests had a mark, and the last of these.
    let (tell, told) = watch::channel((0_u64, Fault::NONE));
    let up = tokio::spawn(up(near_source, far_sink, tell));
    let how = down(far_source, &near_sink, told).await;
    let mut near_sink = near_sink;
    match how {
        Ok(Break::Rst) => {
            all_is_read(near_sink.as_ref()).await;
            near_sink.as_ref().set_zero_linger()?;
        }
        // The other direction stays open until the gateway ends it.
        Ok(Break::Fin) => {
            near_sink.shutdown().await?;
            let _ = up.await;
            return Ok(());
        }
        Ok(Break::Stall) => {
            let _ = up.await;
            return Ok(());
        }
        Err(_) => {}
    }
    // Both halves have to go for the connection to.
    up.abort();
    let _ = up.await;
    Ok(())
}

/// Waits until the other end has read what was sent to it: a reset takes away what it has not, and then nobody knows how much
/// of an answer it got. (What has come and was not read stands in the kernel's table of connections.)
async fn all_is_read(near: &TcpStream) {
    let (Ok(near), Ok(far)) = (near.local_addr(), near.peer_addr()) else { return };
    let port = |address: SocketAddr| format!(":{:04X}", address.port());
    let has_unread = |table: &str| {
        table.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, remote) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let unread = words.nth(1).and_then(|queues| queues.split_once(':')).map_or("", |(_, unread)| unread);
            local.ends_with(&port(far)) && remote.ends_with(&port(near)) && unread.contains(|digit| digit != '0')
        })
    };
    for _ in 0..LOOKS_MAX {
        match std::fs::read_to_string("/proc/net/tcp") {
            Ok(table) if has_unread(&table) => tokio::time::sleep(LOOK_EVERY).await,
            _ => return,
        }
    }
}

/// Requests, on their way to the provider.
async fn up(mut source: OwnedReadHalf, mut sink: OwnedWriteHalf, tell: watch::Sender<(u64, Fault)>) -> io::Result<()> {
    let (mut buffer, mut window) = (vec![0; READ_BYTES], Vec::new());
    loop {
        let count = source.read(&mut buffer).await?;
        if count == 0 {
            return sink.shutdown().await;
        }
        // Looked at first: no answer begins before the whole request is through.
        window.extend_from_slice(&buffer[..count]);
        if let Some(fault) = Fault::find(&window) {
            tell.send_modify(|(number, last)| (*number, *last) = (*number + 1, fault));
            window.clear();
        }
        window.drain(..window.len().saturating_sub(MARK_BYTES_MAX));
        if sink.write_all(&buffer[..count]).await.is_err() {
            // It has answered and gone; what is still under way comes down all the same.
            return Ok(());
        }
    }
}

/// Answers, on their way to the gateway; how that ends.
async fn down(
    mut source: OwnedReadHalf,
    sink: &OwnedWriteHalf,
    mut told: watch::Receiver<(u64, Fault)>,
) -> io::Result<Break> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut number, mut sent) = (0, 0);
    loop {
        // A request whose answer breaks before its first byte.
        let broken = async {
            let found = told.wait_for(|(next, fault)| *next != number && fault.after_bytes == 0).await;
            found.map(|found| found.1.how).ok()
        };
        let read = tokio::select! {
            read = source.read(&mut buffer) => read?,
            how = broken => match how {
                Some(how) => return Ok(how),
                // No further request comes.
                None => source.read(&mut buffer).await?,
            },
        };
        if read == 0 {
            return Ok(Break::Fin);
        }
        let (next, fault) = *told.borrow();
        if next != number {
            (number, sent) = (next, 0);
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
        }
        let part = read.min(fault.after_bytes.saturating_sub(sent));
        write(sink, &buffer[..part]).await?;
        sent += part;
        if sent >= fault.after_bytes {
            return Ok(fault.how);
        }
    }
}

async fn write(sink: &OwnedWriteHalf, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        sink.writable().await?;
        match sink.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
