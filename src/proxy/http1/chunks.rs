//! The frame of a chunked body (RFC 9112, 7.1), taken away where the bytes lie.

use super::broken;
use pingora::Result;

/// A chunk's size with its extensions, or a trailer field: longer lines are refused.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Where in a chunked body the reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Before a chunk's size.
    Size,
    /// So many bytes of a chunk are left.
    Data(u64),
    /// Before the line end behind a chunk.
    DataEnd,
    /// Before a trailer field, or the last line end. No API says anything in trailers.
    Trailer,
}

/// What [`join_chunks`] made of a buffer: `bytes` of body at its beginning, out of the first `used`.
pub(super) struct Joined {
    /// `None`: the body is over.
    pub(super) state: Option<Chunks>,
    pub(super) bytes: usize,
    pub(super) used: usize,
}

/// Moves the chunks that are there together, to the beginning of the buffer.
pub(super) fn join_chunks(mut state: Chunks, buffer: &mut [u8]) -> Result<Joined> {
    let (mut bytes, mut used) = (0, 0);
    loop {
        let rest = &buffer[used..];
        let (next, taken) = match state {
            Chunks::Data(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                buffer.copy_within(used..used + here, bytes);
                bytes += here;
                let left = left - here as u64;
                used += here;
                if left > 0 {
                    return Ok(Joined { state: Some(Chunks::Data(left)), bytes, used });
                }
                (Some(Chunks::DataEnd), 0)
            }
            Chunks::Size if rest.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) => {
                return Err(broken("a chunk without a size"));
            }
            Chunks::Size => match plain_size(rest).map_or_else(|| httparse::parse_chunk_size(rest), Ok) {
                Ok(httparse::Status::Complete((end, 0))) => (Some(Chunks::Trailer), end),
                Ok(httparse::Status::Complete((end, size))) => (Some(Chunks::Data(size)), end),
                Ok(httparse::Status::Partial) if rest.len() <= LINE_BYTES_MAX => break,
                _ => return Err(broken("a chunk's size that is none")),
            },
            Chunks::DataEnd => match rest {
                [b'\r', b'\n', ..] => (Some(Chunks::Size), 2),
                [] | [b'\r'] => break,
                _ => return Err(broken("a chunk that is longer than it says")),
            },
            Chunks::Trailer => match memchr::memchr(b'\n', rest) {
                Some(1) if rest[0] == b'\r' => (None, 2),
                Some(0) => (None, 1),
                Some(end) => (Some(Chunks::Trailer), end + 1),
                None if rest.len() <= LINE_BYTES_MAX => break,
                None => return Err(broken("a trailer that is too long")),
            },
        };
        used += taken;
        match next {
            Some(next) => state = next,
            None => return Ok(Joined { state: None, bytes, used }),
        }
    }
    Ok(Joined { state: Some(state), bytes, used })
}

/// The size of a chunk as nearly all write it, a few digits and the line end, and how long that is: what httparse says of it, sooner.
pub(super) fn plain_size(rest: &[u8]) -> Option<httparse::Status<(usize, u64)>> {
    const DIGITS_MAX: usize = 7;
    let mut size = 0;
    for (at, byte) in rest.iter().take(DIGITS_MAX + 1).enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'\r' if at > 0 && rest.get(at + 1) == Some(&b'\n') => {
                return Some(httparse::Status::Complete((at + 2, size)));
            }
            _ => return None,
        };
        size = size << 4 | u64::from(digit);
    }
    None
}
