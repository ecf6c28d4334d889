//! Reads answers off a connection and compares their bodies with what they must be, as they come.

use crate::Failure;
use crate::standin::content_length;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// One read takes at most this much.
const BUFFER_BYTES: usize = 64 * 1024;

/// Stands for any byte in what is expected; no answer has it.
pub(crate) const ANY_BYTE: u8 = 0;

/// How much of an answer to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// All of it: the connection can be used again.
    End,
    /// What is expected, and no more: the answer stays open.
    Expected,
}

/// What has been read of a connection and not been used yet.
pub(crate) struct Reader {
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

/// A body as far as it has been compared.
struct Compared<'a> {
    expected: &'a [u8],
    at: usize,
}

/// What takes a body piece by piece.
trait Taker {
    fn piece(&mut self, piece: &[u8]) -> Result<(), Failure>;
}

impl Taker for Vec<u8> {
    fn piece(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.extend_from_slice(piece);
        Ok(())
    }
}

impl Taker for Compared<'_> {
    fn piece(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let expected = self.expected.get(self.at..self.at + piece.len());
        let fits = |expected: &[u8]| expected.iter().zip(piece).all(|(one, got)| one == got || *one == ANY_BYTE);
        if expected != Some(piece) && !expected.is_some_and(fits) {
            let text = String::from_utf8_lossy(&piece[..piece.len().min(400)]);
            return Err(format!("another body than expected, from byte {} on: {text}", self.at).into());
        }
        self.at += piece.len();
        Ok(())
    }
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES], from: 0, to: 0 }
    }

    /// Reads one answer, which must be a 200 with this body.
    pub(crate) async fn read(&mut self, stream: &mut TcpStream, expected: &[u8], until: Until) -> Result<(), Failure> {
        let length = self.ok(stream).await?;
        let mut body = Compared { expected, at: 0 };
        match length {
            Some(length) => self.piece(stream, length, &mut body).await?,
            None => loop {
                let size = self.chunk(stream, &mut body).await?;
                if size == 0 || until == Until::Expected && body.at == expected.len() {
                    break;
                }
            },
        }
        if body.at != expected.len() {
            return Err(format!("the body ends after {} of {} bytes", body.at, expected.len()).into());
        }
        Ok(())
    }

    /// Reads one answer, which must be a 200; its body.
    pub(crate) async fn collect(&mut self, stream: &mut TcpStream) -> Result<Vec<u8>, Failure> {
        let length = self.ok(stream).await?;
        self.body(stream, length).await
    }

    /// Reads one answer, whatever it says: its status and body.
    pub(crate) async fn any(&mut self, stream: &mut TcpStream) -> Result<(u16, Vec<u8>), Failure> {
        let (status, length, _) = self.head(stream).await?;
        Ok((status, self.body(stream, length).await?))
    }

    async fn body(&mut self, stream: &mut TcpStream, length: Option<usize>) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        match length {
            Some(length) => self.piece(stream, length, &mut body).await?,
            None => while self.chunk(stream, &mut body).await? > 0 {},
        }
        Ok(body)
    }

    /// Takes the head of a 200; the content-length, or `None` for a chunked body.
    async fn ok(&mut self, stream: &mut TcpStream) -> Result<Option<usize>, Failure> {
        match self.head(stream).await? {
            (200, length, _) => Ok(length),
            (status, _, head) => Err(format!("another answer than 200: {status}\n{head}").into()),
        }
    }

    /// Takes a chunk; its size.
    async fn chunk(&mut self, stream: &mut TcpStream, body: &mut impl Taker) -> Result<usize, Failure> {
        let line = self.line(stream).await?;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = usize::from_str_radix(std::str::from_utf8(digits)?.trim(), 16)?;
        self.piece(stream, size, body).await?;
        if !self.line(stream).await?.is_empty() {
            return Err("a chunk is longer than it says, or there are trailers".into());
        }
        Ok(size)
    }

    /// Takes the head: status, content-length if there is one, and, of another status than 200, the text.
    async fn head(&mut self, stream: &mut TcpStream) -> Result<(u16, Option<usize>, String), Failure> {
        let end = loop {
            match memchr::memmem::find(&self.buffer[self.from..self.to], b"\r\n\r\n") {
                Some(at) => break self.from + at,
                None => self.fill(stream).await?,
            }
        };
        let head = &self.buffer[self.from..end];
        let status = match head.strip_prefix(b"HTTP/1.1 ").and_then(|rest| str::from_utf8(rest.get(..3)?).ok()) {
            Some("200") => 200,
            Some(digits) => digits.parse()?,
            None => return Err("an answer without a status".into()),
        };
        let text = if status == 200 { String::new() } else { String::from_utf8_lossy(head).into_owned() };
        let length = content_length(head)?;
        self.from = end + 4;
        Ok((status, length, text))
    }

    /// Takes a line without its end.
    async fn line(&mut self, stream: &mut TcpStream) -> Result<&[u8], Failure> {
        let end = loop {
            match memchr::memchr(b'\n', &self.buffer[self.from..self.to]) {
                Some(at) => break self.from + at,
                None => self.fill(stream).await?,
            }
        };
        let line = &self.buffer[self.from..end];
        self.from = end + 1;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    async fn piece(&mut self, stream: &mut TcpStream, length: usize, body: &mut impl Taker) -> Result<(), Failure> {
        let mut missing = length;
        while missing > 0 {
            if self.from == self.to {
                self.fill(stream).await?;
            }
            let here = missing.min(self.to - self.from);
            body.piece(&self.buffer[self.from..self.from + here])?;
            self.from += here;
            missing -= here;
        }
        Ok(())
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> Result<(), Failure> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.to == self.buffer.len() {
            if self.from == 0 {
                return Err("a head or a line is too long".into());
            }
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        match stream.read(&mut self.buffer[self.to..]).await? {
            0 => Err("the connection was closed".into()),
            read => {
                self.to += read;
                Ok(())
            }
        }
    }
}
