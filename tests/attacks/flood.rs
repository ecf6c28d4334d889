//! HTTP/2 frame by frame, for a client that no library would be.

use crate::support::PATIENCE;
use bytes::{Buf, BytesMut};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A peer that takes nothing for this long has ended the conversation in its way.
const TAKES_WITHIN: Duration = Duration::from_secs(5);
const HEADER_BYTES: usize = 9;

pub(crate) mod flags {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
}

/// Types of frames.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// A header block: every field as a literal that is not remembered.
pub(crate) fn block(fields: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        literal(&mut out, name.as_bytes());
        literal(&mut out, value.as_bytes());
    }
    out
}

/// A string of HPACK's, without Huffman's code.
pub(crate) fn literal(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        out.push(u8::try_from(text.len()).unwrap_or_default());
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap_or_default() | 128);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap_or_default());
    }
    out.extend(text);
}

/// A connection.
pub(crate) struct Frames {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    buffer: BytesMut,
}

impl Frames {
    /// Preface and settings are sent.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("a socket");
        let (reader, writer) = stream.into_split();
        let mut frames = Self { reader, writer, buffer: BytesMut::new() };
        frames.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        frames.send(&frame(kind::SETTINGS, flags::NONE, 0, b"")).await;
        frames
    }

    /// False: the other side has ended the connection, or takes no more.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(tokio::time::timeout(TAKES_WITHIN, self.writer.write_all(bytes)).await, Ok(Ok(())))
    }

    /// The next frame: type, flags, stream and payload; `None`: the connection is over.
    pub(crate) async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            if self.buffer.len() >= HEADER_BYTES {
                let length = u32::from_be_bytes([0, self.buffer[0], self.buffer[1], self.buffer[2]]) as usize;
                if self.buffer.len() >= HEADER_BYTES + length {
                    let head = self.buffer.split_to(HEADER_BYTES);
                    let stream = (&head[5..]).get_u32();
                    return Some((head[3], head[4], stream, self.buffer.split_to(length).to_vec()));
                }
            }
            let read = tokio::time::timeout(PATIENCE, self.reader.read_buf(&mut self.buffer)).await;
            if !matches!(read, Ok(Ok(bytes)) if bytes > 0) {
                return None;
            }
        }
    }

    /// The status of the answer on that stream; `None`: it is reset, or the connection is over.
    pub(crate) async fn status_of(&mut self, wanted: u32) -> Option<u16> {
        while let Some((kind, _, stream, payload)) = self.next().await {
            match kind {
                kind::HEADERS if stream == wanted => return status(&payload),
                kind::RST_STREAM if stream == wanted => return None,
                kind::GOAWAY => return None,
                _ => {}
            }
        }
        None
    }

    /// Whether the other side has said that this is the end, or has just ended it, with what has come until then.
    pub(crate) async fn until_over(&mut self) -> bool {
        let over = async {
            while let Some((kind, ..)) = self.next().await {
                if kind == kind::GOAWAY {
                    return true;
                }
            }
            true
        };
        tokio::time::timeout(TAKES_WITHIN, over).await.unwrap_or(false)
    }
}

/// `:status`, which comes first: a row of HPACK's static table, or a literal behind its name.
fn status(block: &[u8]) -> Option<u16> {
    const ROWS: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // A table's size may be said before.
    let block = &block[block.iter().position(|byte| byte & 0xe0 != 0x20)?..];
    match *block.first()? {
        row @ 0x88..=0x8e => Some(ROWS[usize::from(row - 0x88)]),
        0x08 | 0x48 | 0x18 => {
            let length = usize::from(block.get(1)? & 0x7f);
            let text = block.get(2..2 + length)?;
            // Three digits in Huffman's code are two bytes or three; which they are does not matter here.
            let plain = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            Some(plain.unwrap_or(499))
        }
        _ => None,
    }
}
