//! HTTP/1.1 as bytes: just enough of a reader for both ends of a test.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Header fields in the order in which they came.
pub(crate) type Fields = Vec<(String, String)>;

/// The first field of that name (names are compared without regard to case).
pub(crate) fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// How the body of a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body.
    Nothing,
    /// `content-length`.
    Length(usize),
    /// `transfer-encoding: chunked`.
    Chunked,
    /// Until the connection ends.
    Close,
}

impl Framing {
    /// What the fields say; `otherwise` if they say nothing.
    pub(crate) fn of(fields: &Fields, otherwise: Self) -> Self {
        if field(fields, "transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked")) {
            return Self::Chunked;
        }
        match field(fields, "content-length").and_then(|value| value.parse().ok()) {
            Some(0) => Self::Nothing,
            Some(length) => Self::Length(length),
            None => otherwise,
        }
    }
}

/// Reads messages from a connection.
pub(crate) struct Reader<R> {
    source: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, buffer: BytesMut::new() }
    }

    /// The connection itself.
    pub(crate) fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// Whether bytes were read that belong to no message yet.
    pub(crate) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.source.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.split_to(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.fill().await?;
        }
    }

    /// First line and fields; `None`: the connection ended before a message began.
    pub(crate) async fn head(&mut self) -> io::Result<Option<(String, Fields)>> {
        while self.buffer.is_empty() {
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
        let first = self.line().await?;
        let mut fields = Fields::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(Some((first, fields)));
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The next piece of a body: a chunk as it was cut, or what has arrived; `None`: the body is over. `framing` is
    /// changed to what is left.
    pub(crate) async fn piece(&mut self, framing: &mut Framing) -> io::Result<Option<Bytes>> {
        match *framing {
            Framing::Nothing => Ok(None),
            Framing::Length(left) => {
                if self.buffer.is_empty() {
                    self.fill().await?;
                }
                let piece = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                *framing = if piece.len() == left { Framing::Nothing } else { Framing::Length(left - piece.len()) };
                Ok(Some(piece))
            }
            Framing::Close => {
                if self.buffer.is_empty() && self.source.read_buf(&mut self.buffer).await? == 0 {
                    *framing = Framing::Nothing;
                    return Ok(None);
                }
                Ok(Some(self.buffer.split().freeze()))
            }
            Framing::Chunked => {
                let line = self.line().await?;
                let size = line.split(';').next().unwrap_or("").trim();
                let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
                if size == 0 {
                    while !self.line().await?.is_empty() {} // trailers
                    *framing = Framing::Nothing;
                    return Ok(None);
                }
                while self.buffer.len() < size + 2 {
                    self.fill().await?;
                }
                let chunk = self.buffer.split_to(size).freeze();
                if !self.buffer.starts_with(b"\r\n") {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.buffer.advance(2);
                Ok(Some(chunk))
            }
        }
    }
}

/// One chunk on the wire.
pub(crate) fn chunk(bytes: &[u8]) -> Bytes {
    let mut out = BytesMut::from(format!("{:x}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out.freeze()
}
