//! Amazon's event stream: binary frames with a checksum, whole ones out of bytes that are cut anywhere.
//!
//! A frame has headers that say what it is (`:message-type` is `event`, `exception` or `error`; `:event-type` or
//! `:exception-type` which), and a payload, JSON in the streams that are read here. The format is
//! smithy.io/2.0/aws/amazon-eventstream; its decoding is Amazon's own.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;

/// A frame that says it is larger is not believed. Amazon's limit is 24 MiB; Bedrock's frames have a few hundred bytes.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The length of the whole frame, its first bytes.
const LENGTH_BYTES: usize = 4;
/// A buffer that has grown beyond this is given back when it is empty.
const KEEP_BYTES_MAX: usize = 16 * 1024;

/// The bytes are no frame, or one that is too large, or its checksum is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BrokenFrame;

/// Kinds of exception, and the status that each would have had (Bedrock's service model). A model's own failure has 424 there,
/// which is nobody's mistake but the provider's.
const STATUSES: [(&str, u16); 6] = [
    ("internalServerException", 500),
    ("modelStreamErrorException", 500),
    ("modelTimeoutException", 408),
    ("serviceUnavailableException", 503),
    ("throttlingException", 429),
    ("validationException", 400),
];

/// One frame.
#[derive(Debug)]
pub(super) struct EventFrame(Message);

impl EventFrame {
    fn header(&self, name: &str) -> Option<&str> {
        let header = self.0.headers().iter().find(|header| header.name().as_str() == name)?;
        header.value().as_string().ok().map(|text| text.as_str())
    }

    /// What kind of event, exception or error it is; empty if it does not say.
    pub(super) fn name(&self) -> &str {
        [":event-type", ":exception-type", ":error-code"]
            .into_iter()
            .find_map(|name| self.header(name))
            .unwrap_or_default()
    }

    /// Whether it says that something is wrong.
    pub(super) fn is_error(&self) -> bool {
        matches!(self.header(":message-type"), Some("exception" | "error"))
    }

    /// The HTTP status that the exception would have had.
    pub(super) fn status(&self) -> Option<u16> {
        let name = self.name();
        STATUSES.iter().find(|(known, _)| self.is_error() && *known == name).map(|(_, status)| *status)
    }

    /// What it carries. An error has its words in a header.
    pub(super) fn payload(&self) -> &[u8] {
        match self.header(":error-message") {
            Some(message) if self.0.payload().is_empty() => message.as_bytes(),
            _ => self.0.payload(),
        }
    }
}

/// Puts frames together.
#[derive(Debug, Default)]
pub(super) struct EventFrames {
    /// The frame that is not complete.
    open: Vec<u8>,
    broken: bool,
}

impl EventFrames {
    /// Nothing of a frame is there that is not complete.
    pub(super) fn at_boundary(&self) -> bool {
        self.open.is_empty() && !self.broken
    }

    /// So much has come of a frame that is not complete; behind a broken one nothing is.
    pub(super) fn open_bytes(&self) -> usize {
        if self.broken { usize::MAX } else { self.open.len() }
    }

    /// More bytes; `take` gets the frames that became whole.
    ///
    /// # Errors
    /// What `take` says, or [`BrokenFrame`]: nothing can be read from there on.
    pub(super) fn push<E: From<BrokenFrame>>(
        &mut self,
        mut piece: &[u8],
        take: &mut dyn FnMut(&EventFrame) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.broken {
            return Err(BrokenFrame.into());
        }
        if !self.open.is_empty() {
            while let Some(missing) = missing(&self.open).map_err(|broken| self.give_up(broken))? {
                if piece.is_empty() {
                    return Ok(());
                }
                let (more, rest) = piece.split_at(missing.min(piece.len()));
                self.open.extend_from_slice(more);
                piece = rest;
            }
            let open = std::mem::take(&mut self.open);
            take(&self.read(&open)?)?;
            self.open = open;
            self.open.clear();
            self.open.shrink_to(KEEP_BYTES_MAX);
        }
        while !piece.is_empty() {
            let length = match length(piece).map_err(|broken| self.give_up(broken))? {
                Some(length) if length <= piece.len() => length,
                _ => {
                    self.open.extend_from_slice(piece);
                    return Ok(());
                }
            };
            let (whole, rest) = piece.split_at(length);
            take(&self.read(whole)?)?;
            piece = rest;
        }
        Ok(())
    }

    fn read(&mut self, whole: &[u8]) -> Result<EventFrame, BrokenFrame> {
        read_message_from(whole).map(EventFrame).map_err(|_| self.give_up(BrokenFrame))
    }

    fn give_up(&mut self, broken: BrokenFrame) -> BrokenFrame {
        self.open = Vec::new();
        self.broken = true;
        broken
    }
}

/// The length of the frame that begins here, once it is known.
fn length(bytes: &[u8]) -> Result<Option<usize>, BrokenFrame> {
    let Some(first) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    match usize::try_from(u32::from_be_bytes(*first)) {
        Ok(length) if (LENGTH_BYTES..=FRAME_BYTES_MAX).contains(&length) => Ok(Some(length)),
        _ => Err(BrokenFrame),
    }
}

/// How many bytes of the frame (or, at first, of its length) are missing; `None`: it is whole.
fn missing(open: &[u8]) -> Result<Option<usize>, BrokenFrame> {
    let length = length(open)?.unwrap_or(LENGTH_BYTES);
    Ok(Some(length - open.len()).filter(|missing| *missing > 0 || open.len() < LENGTH_BYTES))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue};

    /// A frame, as Bedrock sends it.
    pub(crate) fn frame(message_type: &str, name: &str, payload: &str) -> Vec<u8> {
        let text = |text: &str| HeaderValue::String(text.to_owned().into());
        let message = Message::new(payload.as_bytes().to_vec())
            .add_header(Header::new(format!(":{message_type}-type"), text(name)))
            .add_header(Header::new(":content-type", text("application/json")))
            .add_header(Header::new(":message-type", text(message_type)));
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).unwrap();
        bytes
    }

    fn read(pieces: &[&[u8]]) -> Result<Vec<(String, String)>, BrokenFrame> {
        let (mut frames, mut got) = (EventFrames::default(), Vec::new());
        for piece in pieces {
            frames.push(piece, &mut |frame| {
                got.push((frame.name().to_owned(), String::from_utf8_lossy(frame.payload()).into_owned()));
                Ok::<_, BrokenFrame>(())
            })?;
        }
        assert_eq!(frames.at_boundary(), frames.open.is_empty());
        Ok(got)
    }

    #[test]
    fn frames_are_whole_at_any_cut() {
        let bytes = [frame("event", "a", "{}"), frame("event", "b", "{\"c\":1}"), frame("event", "d", "")].concat();
        let pair = |name: &str, payload: &str| (name.to_owned(), payload.to_owned());
        let expected = [pair("a", "{}"), pair("b", "{\"c\":1}"), pair("d", "")];
        for first in 0..=bytes.len() {
            for second in first..=bytes.len().min(first + 9) {
                assert_eq!(read(&[&bytes[..first], &bytes[first..second], &bytes[second..]]).unwrap(), expected);
            }
        }
        assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()).unwrap(), expected);
    }

    #[test]
    fn a_frame_with_a_flipped_bit_or_an_absurd_length_is_broken() {
        let whole = frame("event", "a", "{\"text\":\"hello\"}");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            // A longer length only waits for more, which never comes.
            let waits = at < LENGTH_BYTES && matches!(read(&[&flipped]), Ok(got) if got.is_empty());
            assert!(waits || read(&[&flipped]).is_err(), "byte {at}");
            let followed = [flipped, vec![0; 70_000]].concat();
            assert!(at == 1 || read(&[&followed]).is_err(), "byte {at}");
        }
        assert_eq!(read(&[&[0xFF; 16]]), Err(BrokenFrame));
        assert_eq!(read(&[&[0, 0, 0, 3]]), Err(BrokenFrame));
        let mut frames = EventFrames::default();
        let mut take = |_: &EventFrame| Ok::<_, BrokenFrame>(());
        assert!(frames.push(&[0xFF; 16], &mut take).is_err() && frames.push(&whole, &mut take).is_err());
    }

    #[test]
    fn an_exception_has_the_status_of_its_kind() {
        let bytes = frame("exception", "throttlingException", "{\"message\":\"slow\"}");
        let mut seen = 0;
        EventFrames::default()
            .push(&bytes, &mut |frame| {
                assert!(frame.is_error());
                assert_eq!((frame.status(), frame.name()), (Some(429), "throttlingException"));
                seen += 1;
                Ok::<_, BrokenFrame>(())
            })
            .unwrap();
        assert_eq!(seen, 1);
    }
}
