//! Content codings of answers (RFC 9110, 8.4.1). We ask upstreams for none; some proxies in front of them pack all the same.
//! What cannot be read cannot be billed, judged or masked: it is unpacked as it comes, and the client gets it so.

use crate::dialect::chat::Unreadable;
use brotli_decompressor::DecompressorWriter;
use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use std::io::{Error, Write};

/// So much may come of a few bytes, whatever their ratio.
const UNPACKED_BYTES_FREE: u64 = 1024 * 1024;
/// Beyond that, so many bytes come of one: JSON seldom packs better than ten to one, a bomb a thousand to one and more.
const RATIO_MAX: u64 = 20;
/// No answer is longer.
const UNPACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Memory that a brotli stream is unpacked through, beside its window.
const BROTLI_BUFFER_BYTES: usize = 4096;
/// Zstandard's window is no larger: 8 MiB, as RFC 8878 (3.1.1.1.2) recommends.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How an answer is packed, by its head.
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// In a coding that is read here.
    Known(Box<Unpacker>),
    /// In another one, or in several.
    Unknown,
}

impl Packing {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut fields = headers.get_all(header::CONTENT_ENCODING).iter();
        let (Some(coding), None) = (fields.next(), fields.next()) else {
            return if headers.contains_key(header::CONTENT_ENCODING) { Self::Unknown } else { Self::Plain };
        };
        match coding.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Plain,
            "gzip" | "x-gzip" => Self::known(Some(Box::new(MultiGzDecoder::new(Unpacked::default())))),
            "br" => Self::known(Some(Box::new(DecompressorWriter::new(Unpacked::default(), BROTLI_BUFFER_BYTES)))),
            "zstd" => zstd_coding().map_or(Self::Unknown, |coding| Self::known(Some(coding))),
            // Zlib's by name, bare with some servers: its first byte tells.
            "deflate" => Self::known(None),
            _ => Self::Unknown,
        }
    }

    fn known(coding: Option<Box<dyn Coding>>) -> Self {
        Self::Known(Box::new(Unpacker { coding, packed_bytes: 0, unpacked_bytes: 0 }))
    }
}

fn zstd_coding() -> Option<Box<dyn Coding>> {
    let mut decoder = zstd::stream::write::Decoder::new(Unpacked::default()).ok()?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).ok()?;
    Some(Box::new(decoder))
}

/// Unpacks one answer.
pub(super) struct Unpacker {
    /// `None`: which of the two that are called `deflate` it is has yet to come.
    coding: Option<Box<dyn Coding>>,
    packed_bytes: u64,
    unpacked_bytes: u64,
}

impl Unpacker {
    /// What a piece comes to.
    ///
    /// # Errors
    /// It is not what the head says, or comes to more than anything that is meant to be read.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Bytes, Unreadable> {
        let Some(&first) = piece.first() else { return Ok(Bytes::new()) };
        self.packed_bytes += piece.len() as u64;
        let allowed = self.packed_bytes.saturating_mul(RATIO_MAX).clamp(UNPACKED_BYTES_FREE, UNPACKED_BYTES_MAX);
        let coding = self.coding.get_or_insert_with(|| deflate_coding(first));
        coding.unpacked().room = usize::try_from(allowed.saturating_sub(self.unpacked_bytes)).unwrap_or(0);
        let written = coding.write_all(piece).and_then(|()| coding.flush());
        written.map_err(|error| Unreadable::new(format!("the answer cannot be unpacked: {error}")))?;
        let unpacked = std::mem::take(&mut coding.unpacked().bytes);
        self.unpacked_bytes += unpacked.len() as u64;
        Ok(unpacked.into())
    }
}

/// Zlib's head has 8 in the lower half of its first byte (RFC 1950, 2.2).
fn deflate_coding(first: u8) -> Box<dyn Coding> {
    match first & 0x0f {
        8 => Box::new(ZlibDecoder::new(Unpacked::default())),
        _ => Box::new(DeflateDecoder::new(Unpacked::default())),
    }
}

/// What has been unpacked, and how much more may be.
#[derive(Default)]
struct Unpacked {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Unpacked {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.len() > self.room {
            return Err(Error::other("it unpacks to far more than its size"));
        }
        self.room -= bytes.len();
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A decoder that writes into [`Unpacked`].
trait Coding: Write + Send + Sync {
    fn unpacked(&mut self) -> &mut Unpacked;
}

macro_rules! codings {
    ($($decoder:ty),+) => {
        $(impl Coding for $decoder {
            fn unpacked(&mut self) -> &mut Unpacked {
                self.get_mut()
            }
        })+
    };
}

codings!(
    MultiGzDecoder<Unpacked>,
    ZlibDecoder<Unpacked>,
    DeflateDecoder<Unpacked>,
    DecompressorWriter<Unpacked>,
    zstd::stream::write::Decoder<'static, Unpacked>
);

#[cfg(test)]
mod tests;
