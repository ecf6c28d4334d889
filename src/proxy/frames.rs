//! What an HTTP/2 client has begun and what it asks for, told by the heads of its frames (RFC 9113, section 4.1) as they pass: Pingora
//! waits for the rest of anything that has begun, and answers whatever asks for nothing, for any time.

use super::timer::{self, Timer};
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// A connection has begun after this. (How long it may ask for nothing is `farewell`'s to say.)
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// What has begun is whole within this: the preface, the head of a request in all its frames, any frame but a body's. (How slowly a
/// body may come is `patience`'s to say.)
const BEGUN_TIME_MAX: Duration = Duration::from_secs(10);
/// So many frames that ask for nothing (pings, settings, windows, resets, priorities, unknown ones) are taken at once, beside those
/// that go with an answer or a request; and as many again …
const SPARE_FRAMES_MAX: u64 = 10_000;
/// … after each of these.
const SPARE_AGAIN: Duration = Duration::from_secs(60);
/// A head of a request gives room for so many more of them …
const FRAMES_PER_HEAD: u64 = 4;
/// … and an answer for one with each so many bytes: clients give windows back for what they have read.
const BYTES_PER_FRAME: u64 = 64;

/// What is written at once and is no more than this is about the connection (pings, settings, windows), and no answer.
const SPOKEN_BYTES_MAX: usize = 64;

const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
/// Types of frames, and the flag that ends a head.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Of the preface, so many bytes.
    Preface(usize),
    /// A frame's head, of which so many bytes are here.
    Head(usize),
    /// Of this type's payload, so many bytes; it may be a head's last one.
    Payload { kind: u8, bytes: usize, ends_head: bool },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Frames {
    next: Next,
    /// The head of the frame that comes.
    head: [u8; HEAD_BYTES],
    /// The head of a request has begun.
    is_in_head: bool,
    opened: Instant,
    /// When that began which has begun.
    begun: Option<Instant>,
    /// How many more frames that ask for nothing are taken, …
    spare_frames: u64,
    /// … counted from then.
    spare_since: Instant,
    /// Written since the last read, in bytes.
    written: u64,
    last_written: Written,
    timer: Option<Timer>,
}

/// When something of an answer was written last on a connection.
#[derive(Clone, Debug)]
pub(super) struct Written(Arc<Mutex<Instant>>);

impl Written {
    /// Now.
    pub(super) fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn at(&self) -> Instant {
        *self.0.lock()
    }
}

impl Frames {
    /// Of a connection that begins now.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            next: Next::Preface(PREFACE_BYTES),
            head: [0; HEAD_BYTES],
            is_in_head: false,
            opened: now,
            begun: None,
            spare_frames: SPARE_FRAMES_MAX,
            spare_since: now,
            written: 0,
            last_written: Written::now(),
            timer: None,
        }
    }

    /// So much was written.
    pub(super) fn told(&mut self, bytes: usize) {
        self.written += bytes as u64;
        if bytes > SPOKEN_BYTES_MAX {
            *self.last_written.0.lock() = Instant::now();
        }
    }

    /// When something of an answer was written last: answers to frames that ask for nothing are none.
    pub(super) fn last_written(&self) -> Written {
        self.last_written.clone()
    }

    /// Reads what came. False: there are too many frames that ask for nothing.
    pub(super) fn heard(&mut self, mut bytes: &[u8]) -> bool {
        let now = Instant::now();
        self.spare(now);
        while !bytes.is_empty() {
            let begun = *self.begun.get_or_insert(now);
            let taken;
            match self.next {
                Next::Preface(left) => {
                    taken = bytes.len().min(left);
                    self.next = if taken == left { Next::Head(0) } else { Next::Preface(left - taken) };
                }
                Next::Head(have) => {
                    taken = bytes.len().min(HEAD_BYTES - have);
                    self.head[have..have + taken].copy_from_slice(&bytes[..taken]);
                    self.next = Next::Head(have + taken);
                    if have + taken == HEAD_BYTES && !self.frame() {
                        return false;
                    }
                }
                Next::Payload { kind, bytes: left, ends_head } => {
                    taken = bytes.len().min(left);
                    self.next = Next::Payload { kind, bytes: left - taken, ends_head };
                }
            }
            bytes = &bytes[taken..];
            if let Next::Payload { bytes: 0, ends_head, .. } = self.next {
                self.is_in_head &= !ends_head;
                self.next = Next::Head(0);
            }
            let is_open = match self.next {
                Next::Head(0) => self.is_in_head,
                Next::Payload { kind: DATA, .. } => self.is_in_head,
                _ => true,
            };
            self.begun = is_open.then_some(begun);
        }
        true
    }

    /// What was written gives room, and time does.
    fn spare(&mut self, now: Instant) {
        if now - self.spare_since >= SPARE_AGAIN {
            (self.spare_since, self.spare_frames) = (now, self.spare_frames.max(SPARE_FRAMES_MAX));
        }
        self.spare_frames = self.spare_frames.saturating_add(self.written / BYTES_PER_FRAME);
        self.written %= BYTES_PER_FRAME;
    }

    /// A frame's head is here. False: it is one too many.
    fn frame(&mut self) -> bool {
        let [high, middle, low, kind, flags, ..] = self.head;
        let bytes = u32::from_be_bytes([0, high, middle, low]) as usize;
        let is_of_head = matches!(kind, HEADERS | CONTINUATION);
        self.is_in_head |= kind == HEADERS;
        self.next = Next::Payload { kind, bytes, ends_head: is_of_head && flags & END_HEADERS != 0 };
        match kind {
            HEADERS => self.spare_frames = self.spare_frames.saturating_add(FRAMES_PER_HEAD),
            // The HTTP server has limits of its own for these.
            DATA | CONTINUATION => {}
            _ => match self.spare_frames.checked_sub(1) {
                Some(left) => self.spare_frames = left,
                None => return false,
            },
        }
        true
    }

    /// When the connection ends unless something is whole by then.
    fn due(&self) -> Option<Instant> {
        let begins = matches!(self.next, Next::Preface(_)).then(|| self.opened + SILENCE_MAX);
        let ends = self.begun.map(|begun| begun + BEGUN_TIME_MAX);
        begins.into_iter().chain(ends).min()
    }

    /// Nothing comes just now: ready when that has been for too long.
    pub(super) fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due() else {
            self.timer = None;
            return Poll::Pending;
        };
        loop {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            if timer::set(&mut self.timer, due).as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::future::poll_fn;

    const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    /// After how many seconds a connection ends on which this came, and nothing more; `None`: it does not.
    async fn ends_after(heard: &[&[u8]]) -> Option<u64> {
        let started = Instant::now();
        let mut frames = Frames::new();
        for bytes in heard {
            assert!(frames.heard(bytes));
        }
        let overdue = poll_fn(|context| frames.poll_overdue(context));
        let is_over = tokio::time::timeout(10 * SILENCE_MAX, overdue).await.is_ok();
        is_over.then(|| started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_has_begun_ends_in_time_and_who_asked_is_left_alone() {
        let settings = frame(SETTINGS, 0, b"");
        let begun = [PREFACE, &settings[..]].concat();
        let ask = frame(HEADERS, END_HEADERS, b"fields");
        assert_eq!(ends_after(&[]).await, Some(60), "silence");
        assert_eq!(ends_after(&[&PREFACE[..10]]).await, Some(10), "half a preface");
        assert_eq!(ends_after(&[PREFACE]).await, None, "that nothing is asked is told first");
        assert_eq!(ends_after(&[&begun, &frame(PING, 0, b"12345678")]).await, None);
        assert_eq!(ends_after(&[&begun, &ask]).await, None);
        let head = frame(HEADERS, 0, b"fields");
        let more = frame(CONTINUATION, 0, b"");
        assert_eq!(ends_after(&[&begun, &head]).await, Some(10), "a head without end");
        assert_eq!(ends_after(&[&begun, &ask, &head, &more, &more]).await, Some(10), "another one");
        assert_eq!(ends_after(&[&begun, &head, &frame(CONTINUATION, END_HEADERS, b"more")]).await, None);
        assert_eq!(ends_after(&[&begun, &ask, &ask[..4]]).await, Some(10), "half a frame's head");
        assert_eq!(ends_after(&[&begun, &ask, &frame(PING, 0, b"12345678")[..12]]).await, Some(10), "half a frame");
        assert_eq!(ends_after(&[&begun, &ask, &frame(DATA, 0, b"12345678")[..12]]).await, None, "a body may be slow");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_begins_with_each_that_begins() {
        let mut frames = Frames::new();
        let ask = frame(HEADERS, END_HEADERS, b"fields");
        assert!(frames.heard(PREFACE) && frames.heard(&ask) && frames.heard(&ask[..3]));
        for _ in 0..5 {
            tokio::time::advance(BEGUN_TIME_MAX - Duration::from_secs(1)).await;
            assert!(poll_fn(|context| frames.poll_overdue(context)).now_or_never().is_none());
            // The end of one, and the beginning of the next.
            assert!(frames.heard(&ask[3..]) && frames.heard(&ask[..3]));
        }
        tokio::time::advance(BEGUN_TIME_MAX).await;
        assert!(poll_fn(|context| frames.poll_overdue(context)).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_the_same_however_they_are_cut() {
        let flow = [
            PREFACE,
            &frame(SETTINGS, 0, b"x")[..],
            &frame(HEADERS, 0, b"abc"),
            &frame(CONTINUATION, END_HEADERS, b""),
        ];
        let flow = flow.concat();
        for cut in 0..=flow.len() {
            let mut frames = Frames::new();
            assert!(frames.heard(&flow[..cut]));
            assert!(frames.heard(&flow[cut..]) && frames.begun.is_none() && !frames.is_in_head, "at {cut}");
            assert!(matches!(frames.next, Next::Head(0)), "at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_ask_for_nothing_are_limited_unless_something_goes_on() {
        let ping = frame(PING, 0, b"12345678");
        let taken = |frames: &mut Frames, told: usize| {
            let pings = (0..3 * SPARE_FRAMES_MAX).take_while(|_| {
                frames.told(told);
                frames.heard(&ping)
            });
            pings.count() as u64
        };
        let mut frames = Frames::new();
        assert!(frames.heard(PREFACE));
        assert_eq!(taken(&mut frames, 0), SPARE_FRAMES_MAX);
        let mut frames = Frames::new();
        assert!(frames.heard(PREFACE));
        assert_eq!(taken(&mut frames, 64), 3 * SPARE_FRAMES_MAX, "each with its piece of an answer");
        let mut frames = Frames::new();
        assert!(frames.heard(PREFACE));
        for _ in 0..3 {
            assert!((0..SPARE_FRAMES_MAX).all(|_| frames.heard(&ping)));
            tokio::time::advance(SPARE_AGAIN).await;
        }
        let ask = frame(HEADERS, END_HEADERS, b"fields");
        assert!((0..3 * SPARE_FRAMES_MAX).all(|_| frames.heard(&ask) && frames.heard(&ping)));
    }
}
