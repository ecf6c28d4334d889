//! Subtitles (SubRip, WebVTT): how far their cues go. Where nothing else says how long the audio was, the last one does, but for what
//! was silent behind it.

use super::count::COUNT_MAX;
use memchr::memchr2;

/// So much of a line is looked at: two times with an arrow between them are shorter.
const LINE_BYTES_MAX: usize = 64;
/// Digits of the hours.
const HOURS_DIGITS_MAX: usize = 4;

/// The cues that have passed.
#[derive(Debug)]
pub(super) struct Cues {
    line: [u8; LINE_BYTES_MAX],
    length: usize,
    last_ms: Option<u64>,
}

impl Default for Cues {
    fn default() -> Self {
        Self { line: [0; LINE_BYTES_MAX], length: 0, last_ms: None }
    }
}

impl Cues {
    /// The next piece of the text, cut anywhere.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            self.keep(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, part: &[u8]) {
        let room = &mut self.line[self.length..];
        let kept = part.len().min(room.len());
        room[..kept].copy_from_slice(&part[..kept]);
        self.length += kept;
    }

    /// The text has ended, or a line of it.
    pub(super) fn end_line(&mut self) {
        let line = std::str::from_utf8(&self.line[..self.length]).unwrap_or_default();
        if let Some(end_ms) = cue_end_ms(line) {
            self.last_ms = self.last_ms.max(Some(end_ms));
        }
        self.length = 0;
    }

    /// When the last cue ends, in milliseconds. `None`: there was none.
    pub(super) fn last_ms(&self) -> Option<u64> {
        self.last_ms
    }
}

/// The end of a cue: `00:00:01,000 --> 00:00:04,000`, or with a point, without hours, and with settings behind it.
fn cue_end_ms(line: &str) -> Option<u64> {
    let (start, end) = line.split_once("-->")?;
    let end = end.trim_ascii_start().split([' ', '\t']).next()?;
    time_ms(start.trim_ascii())?;
    time_ms(end).filter(|ms| *ms <= COUNT_MAX)
}

/// `[hours:]minutes:seconds` with three decimals.
fn time_ms(text: &str) -> Option<u64> {
    let (clock, ms) = text.split_once([',', '.'])?;
    let number = |digits: &str, length: std::ops::RangeInclusive<usize>| {
        let fits = length.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let mut parts = clock.rsplit(':');
    let seconds = number(parts.next()?, 2..=2)?;
    let minutes = number(parts.next()?, 2..=2)?;
    let hours = parts.next().map_or(Some(0), |hours| number(hours, 1..=HOURS_DIGITS_MAX))?;
    let ms = number(ms, 3..=3)?;
    parts.next().is_none().then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + ms)
}

#[cfg(test)]
mod tests {
    use super::{Cues, cue_end_ms};

    #[test]
    fn cues_are_told_from_what_is_said() {
        for (line, ms) in [
            ("00:00:01,000 --> 00:00:04,250", Some(4_250)),
            ("00:01.000 --> 01:04.250 align:start", Some(64_250)),
            ("100:00:00.000-->100:00:00.001", Some(360_000_001)),
            ("1 --> 2", None),
            ("he said 00:00:01,000 --> 00:00:04,250", None),
            ("00:00:01,000 --> 9999999:00:04,250", None),
            ("9999:00:00,000 --> 9999:00:00,000", None),
            ("WEBVTT", None),
        ] {
            assert_eq!(cue_end_ms(line), ms, "{line}");
        }
    }

    #[test]
    fn the_last_cue_is_found_wherever_the_text_is_cut() {
        let text = format!(
            "1\r\n00:00:00,000 --> 00:00:02,500\r\n{}\r\n\r\n2\n00:00:02,500 --> 00:01:01,007",
            "word ".repeat(40)
        );
        for at in 0..text.len() {
            let mut cues = Cues::default();
            cues.push(&text.as_bytes()[..at]);
            cues.push(&text.as_bytes()[at..]);
            cues.end_line();
            assert_eq!(cues.last_ms(), Some(61_007), "cut at {at}");
        }
    }
}
