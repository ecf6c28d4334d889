//! A client's connection on which what belongs together goes out together. Pingora flushes the head of an answer without a length,
//! then each chunk, and writes the last chunk by itself: each of these is a system call, a packet, and a client that wakes up. And a
//! head on its way out takes further fields along as they are: what is new in each answer need not go through a map of fields.

use super::frames::{Frames, Written};
use super::patience::PREFACE;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::protocols::http::ServerSession;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// More than this is not gathered: to copy it costs as much as to send it by itself.
const GATHERED_BYTES_MAX: usize = 64 * 1024;
/// Slices of one write.
const SLICES_MAX: usize = 8;
/// How a line ends.
const LINE_END: &[u8] = b"\r\n";
/// How a head ends.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// See the module.
#[derive(Debug)]
pub(super) struct Gathered {
    inner: Stream,
    told: Arc<Told>,
    /// What was written while it gathered.
    held: Vec<u8>,
    /// So many bytes of that are out.
    sent: usize,
    /// Of HTTP/2, on which nothing is gathered: what its client has begun.
    frames: Option<Box<Frames>>,
    /// Read ahead, and not given out yet.
    ahead: Vec<u8>,
}

/// What a connection is told by who writes to it, and what it tells.
#[derive(Debug, Default)]
struct Told {
    /// Something has come.
    has_heard: AtomicBool,
    gathers: AtomicBool,
    has_fields: AtomicBool,
    /// Lines of the head that is written next.
    fields: Mutex<Vec<u8>>,
}

/// As long as it lives, what is written is gathered, and nothing is flushed. What comes behind it, a flush at least, takes that along.
#[must_use = "dropping it ends the gathering"]
pub(super) struct Gathering(Arc<Told>);

/// As long as it lives, the head that is written takes these lines along.
#[must_use = "dropping it takes them away"]
pub(super) struct Fields<'g>(&'g Told);

/// Tells whether anything comes on a connection, while somebody else reads it.
pub(super) struct Hearing(Arc<Told>);

impl Hearing {
    /// Listens from now on, if this session's connection tells.
    pub(super) fn of(session: &ServerSession) -> Option<Self> {
        let gathered = session.stream()?.as_any().downcast_ref::<Gathered>()?;
        gathered.told.has_heard.store(false, Ordering::Relaxed);
        Some(Self(gathered.told.clone()))
    }

    pub(super) fn has_heard(&self) -> bool {
        self.0.has_heard.load(Ordering::Relaxed)
    }
}

impl Gathering {
    /// Begins to gather, if this session's connection can.
    pub(super) fn of(session: &ServerSession) -> Option<Self> {
        let gathered = session.stream()?.as_any().downcast_ref::<Gathered>()?;
        Some(Self::on(gathered))
    }

    fn on(gathered: &Gathered) -> Self {
        gathered.told.gathers.store(true, Ordering::Relaxed);
        Self(gathered.told.clone())
    }

    /// Lines, each with its end, for the head that is to be written.
    pub(super) fn fields(&self, lines: Vec<u8>) -> Fields<'_> {
        self.0.has_fields.store(!lines.is_empty(), Ordering::Relaxed);
        *self.0.fields.lock() = lines;
        Fields(&self.0)
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.0.gathers.store(false, Ordering::Relaxed);
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        if self.0.has_fields.swap(false, Ordering::Relaxed) {
            // What is written next is no head any more.
            self.0.fields.lock().clear();
            tracing::error!("a head was not written as one piece: fields of it are missing");
        }
    }
}

impl Gathered {
    pub(super) fn new(inner: Stream) -> Self {
        Self { inner, told: Arc::default(), held: Vec::new(), sent: 0, frames: None, ahead: Vec::new() }
    }

    /// A connection with HTTP/2. It ends where its client leaves what it has begun, or asks for nothing again and again.
    pub(super) fn http2(inner: Stream) -> Self {
        Self { frames: Some(Box::new(Frames::new())), ..Self::new(inner) }
    }

    /// Of HTTP/2: when something of an answer was written last.
    pub(super) fn last_written(&self) -> Written {
        self.frames.as_ref().map_or_else(Written::now, |frames| frames.last_written())
    }

    /// Waits for the preface of HTTP/2, which is read all the same by whoever serves the connection. (Pingora would log an error for
    /// everybody who sends none.)
    ///
    /// # Errors
    /// It does not come, or not in time, or is none.
    pub(super) async fn begin_http2(&mut self) -> io::Result<()> {
        let mut first = *PREFACE;
        self.read_exact(&mut first).await?;
        self.ahead = first.to_vec();
        if first == *PREFACE { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Looks at what was read, from there on, or at how long nothing was.
    fn look(&mut self, context: &mut Context<'_>, read: &[u8]) -> io::Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        if !read.is_empty() {
            return if frames.heard(read) { Ok(()) } else { Err(io::ErrorKind::QuotaExceeded.into()) };
        }
        if frames.poll_overdue(context).is_ready() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Some(frames), Poll::Ready(Ok(bytes))) = (&mut self.frames, &written) {
            frames.told(*bytes);
        }
        written
    }

    /// Whether so many bytes more are held.
    fn holds(&self, bytes: usize) -> bool {
        self.told.gathers.load(Ordering::Relaxed) && self.held.len() + bytes <= GATHERED_BYTES_MAX
    }

    /// Holds these bytes, and the fields behind them, if they are the head that takes fields along.
    fn holds_head(&mut self, bytes: &[u8]) -> bool {
        if !self.told.has_fields.load(Ordering::Relaxed) || !bytes.ends_with(HEAD_END) {
            return false;
        }
        self.told.has_fields.store(false, Ordering::Relaxed);
        let lines = std::mem::take(&mut *self.told.fields.lock());
        let (head, end) = bytes.split_at(bytes.len() - LINE_END.len());
        self.held.reserve(bytes.len() + lines.len());
        [head, &lines, end].into_iter().for_each(|part| self.held.extend_from_slice(part));
        true
    }

    /// Writes what is held, and these behind it. How many of these are out: none only if there are none.
    fn poll_out(&mut self, context: &mut Context<'_>, more: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while !self.held.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            slices[0] = IoSlice::new(&self.held[self.sent..]);
            let count = more.len().min(SLICES_MAX - 1);
            slices[1..=count].copy_from_slice(&more[..count]);
            let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(context, &slices[..=count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let left = self.held.len() - self.sent;
            if written < left {
                self.sent += written;
                continue;
            }
            // Its memory goes: most connections have nothing to hold.
            (self.held, self.sent) = (Vec::new(), 0);
            if written > left {
                return Poll::Ready(Ok(written - left));
            }
        }
        match more {
            [] => Poll::Ready(Ok(0)),
            _ => Pin::new(&mut self.inner).poll_write_vectored(context, more),
        }
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.holds_head(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        if this.holds(bytes.len()) {
            this.held.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        if this.held.is_empty() {
            let written = Pin::new(&mut this.inner).poll_write(context, bytes);
            return this.wrote(written);
        }
        this.poll_out(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if this.holds(bytes) {
            this.held.reserve(bytes);
            slices.iter().for_each(|slice| this.held.extend_from_slice(slice));
            return Poll::Ready(Ok(bytes));
        }
        let written = this.poll_out(context, slices);
        this.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.told.gathers.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_out(context, &[]))?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_out(context, &[]))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}

impl AsyncRead for Gathered {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            let count = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead[..count]);
            this.ahead.drain(..count);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            this.told.has_heard.store(true, Ordering::Relaxed);
        }
        if read.is_pending() || buffer.filled().len() > before {
            this.look(context, &buffer.filled()[before..])?;
        }
        read
    }
}

#[async_trait]
impl Shutdown for Gathered {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

impl UniqueID for Gathered {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Gathered {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

#[async_trait]
impl Peek for Gathered {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.inner.try_peek(buffer).await
    }
}

impl GetTimingDigest for Gathered {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> std::time::Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> std::time::Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for Gathered {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for Gathered {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn what_is_gathered_goes_out_with_what_comes_behind_it() {
        let (mut client, ours) = tokio::io::duplex(1024);
        let mut gathered = Gathered::new(Box::new(ours));
        let gathering = Gathering::on(&gathered);
        gathered.write_all(b"head ").await.unwrap();
        gathered.flush().await.unwrap();
        gathered.write_all(b"chunk ").await.unwrap();
        gathered.flush().await.unwrap();
        assert_eq!(gathered.held, b"head chunk ");
        drop(gathering);
        gathered.write_all(b"end").await.unwrap();
        let mut read = [0; 64];
        let count = client.read(&mut read).await.unwrap();
        assert_eq!(&read[..count], b"head chunk end", "in one piece");
        drop(Gathering::on(&gathered));
        gathered.write_all(b"!").await.unwrap();
        assert_eq!((client.read_u8().await.unwrap(), gathered.held.capacity()), (b'!', 0));
    }

    #[tokio::test]
    async fn a_flush_and_an_end_take_it_along() {
        let (mut client, ours) = tokio::io::duplex(1024);
        let mut gathered = Gathered::new(Box::new(ours));
        for is_end in [false, true] {
            let gathering = Gathering::on(&gathered);
            gathered.write_all(b"all").await.unwrap();
            drop(gathering);
            if is_end {
                AsyncWriteExt::shutdown(&mut gathered).await.unwrap();
            } else {
                gathered.flush().await.unwrap();
            }
            let mut read = [0; 3];
            client.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"all");
        }
    }

    #[tokio::test]
    async fn a_head_takes_its_fields_along_and_nothing_else_does() {
        let (mut client, ours) = tokio::io::duplex(1024);
        let mut gathered = Gathered::new(Box::new(ours));
        let gathering = Gathering::on(&gathered);
        let fields = gathering.fields(b"c: d\r\n".to_vec());
        gathered.write_all(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n").await.unwrap();
        drop(fields);
        gathered.write_all(b"body\r\n\r\n").await.unwrap();
        let fields = gathering.fields(b"never: written\r\n".to_vec());
        gathered.write_all(b"no head").await.unwrap();
        drop(fields);
        gathered.write_all(b"\r\n\r\n").await.unwrap();
        drop(gathering);
        AsyncWriteExt::shutdown(&mut gathered).await.unwrap();
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        let expected = "HTTP/1.1 200 OK\r\na: b\r\nc: d\r\n\r\nbody\r\n\r\nno head\r\n\r\n";
        assert_eq!(String::from_utf8(read).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_preface_is_read_ahead_and_read_again() {
        for (sent, begins) in
            [(PREFACE.as_slice(), true), (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", false), (b"PRI", false)]
        {
            let (mut client, ours) = tokio::io::duplex(1024);
            client.write_all(&[sent, b"frames"].concat()[..]).await.unwrap();
            drop(client);
            let mut gathered = Gathered::http2(Box::new(ours));
            assert_eq!(gathered.begin_http2().await.is_ok(), begins, "{}", sent.escape_ascii());
            if begins {
                let mut read = Vec::new();
                gathered.read_to_end(&mut read).await.unwrap();
                assert_eq!(read, [sent, b"frames"].concat());
            }
        }
    }

    proptest! {
        /// However much the connection takes at once, and whatever is gathered of it.
        #[test]
        fn all_bytes_arrive_in_their_order(
            room in 1_usize..40,
            writes in prop::collection::vec((any::<bool>(), any::<bool>(), 0_usize..60), 1..30),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (expected, read) = runtime.block_on(async {
                let (mut client, ours) = tokio::io::duplex(room);
                let reading = tokio::spawn(async move {
                    let mut read = Vec::new();
                    client.read_to_end(&mut read).await.map(|_| read)
                });
                let (mut gathered, mut expected) = (Gathered::new(Box::new(ours)), Vec::new());
                for (gathers, is_whole, bytes) in writes {
                    let gathering = gathers.then(|| Gathering::on(&gathered));
                    let piece: Vec<u8> = (0..bytes).map(|at| (expected.len() + at) as u8).collect();
                    if is_whole {
                        gathered.write_all(&piece).await.unwrap();
                    } else {
                        let (one, other) = piece.split_at(bytes / 3);
                        let mut both = bytes::Buf::chain(one, other);
                        gathered.write_all_buf(&mut both).await.unwrap();
                    }
                    gathered.flush().await.unwrap();
                    drop(gathering);
                    expected.extend(piece);
                }
                AsyncWriteExt::shutdown(&mut gathered).await.unwrap();
                (expected, reading.await.unwrap().unwrap())
            });
            prop_assert_eq!(read, expected);
        }
    }
}
