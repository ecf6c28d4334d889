//! Over an answer that passes as it is: its upstream may echo our key in an error, and nobody knows that an event is one before it
//! is complete. So nothing waits but what may be our key, from there to its event's end. Then it goes on: masked in an error
//! and behind one, else as it came. What never came to its end is masked, too.

use super::mask::{FRAGMENT_BYTES, Fragments, mask};
use bytes::Bytes;
use smallvec::SmallVec;

/// An event of which more would wait is masked without waiting for its end.
const HELD_BYTES_MAX: usize = 256 * 1024;
/// What may be the beginning of our key waits if it has so many bytes. Fewer end every other piece by chance, and tell nothing.
const BEGUN_BYTES_MIN: usize = 4;
/// A part of our key that has begun and is not complete is no longer.
const BEGUN_BYTES_MAX: usize = FRAGMENT_BYTES - 1;

/// See the module.
#[derive(Default)]
pub(super) struct Veil {
    /// Of the open event: from where on it may have our key.
    held: Vec<u8>,
    /// The last bytes of the open event that went on, as they came.
    before: SmallVec<[u8; BEGUN_BYTES_MAX]>,
}

impl Veil {
    /// What of a piece goes on. `open`: so many bytes, the last ones, are of an event that is not complete, and may have begun
    /// before; `has_error`: an error has come, with this piece or earlier.
    pub(super) fn push(&mut self, piece: Bytes, open: usize, has_error: bool, secrets: &Fragments) -> Bytes {
        if has_error {
            return self.masked(&piece, open > 0, secrets);
        }
        if open == 0 && self.held.is_empty() {
            // Nearly always.
            self.before.clear();
            return piece;
        }
        let whole = piece.len().saturating_sub(open);
        let goes_on = whole == 0 && open > 0;
        if goes_on && !self.held.is_empty() {
            self.held.extend_from_slice(&piece);
            return if self.held.len() > HELD_BYTES_MAX { self.masked(&[], true, secrets) } else { Bytes::new() };
        }
        if !goes_on {
            self.before.clear();
        }
        let open = &piece[whole..];
        let kept = self.suspicious(open, secrets).map_or(piece.len(), |at| whole + at);
        self.went_on(&piece[whole..kept]);
        if kept == piece.len() && self.held.is_empty() {
            return piece;
        }
        let mut passed = std::mem::replace(&mut self.held, piece[kept..].to_vec());
        passed.extend_from_slice(&piece[..kept]);
        passed.into()
    }

    /// Whether what waits, and this behind it, ends as a whole event does, but for its blank line: with an object.
    pub(super) fn is_closed_by(&self, next: &[u8]) -> bool {
        let last = |bytes: &[u8]| bytes.trim_ascii_end().last().copied();
        last(next).or_else(|| last(&self.held)) == Some(b'}')
    }

    /// What waits, when nothing more comes.
    pub(super) fn rest(&mut self, secrets: &Fragments) -> Bytes {
        if self.held.is_empty() { Bytes::new() } else { self.masked(&[], false, secrets) }
    }

    /// Where in the next bytes of the open event something begins, or goes on, that may be our key.
    fn suspicious(&self, open: &[u8], secrets: &Fragments) -> Option<usize> {
        if open.is_empty() {
            return None;
        }
        let near = &open[..open.len().min(BEGUN_BYTES_MAX)];
        let edge: SmallVec<[u8; 2 * BEGUN_BYTES_MAX]> = self.before.iter().chain(near).copied().collect();
        let across = secrets.first_in(&edge).map(|at| at.saturating_sub(self.before.len()));
        across.or_else(|| secrets.first_in(open)).or_else(|| {
            let end = if near.len() < open.len() { open } else { &edge };
            let begun = secrets.begun_in(end, BEGUN_BYTES_MIN).min(open.len());
            (begun > 0).then_some(open.len() - begun)
        })
    }

    /// These bytes of the open event went on.
    fn went_on(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(BEGUN_BYTES_MAX)..];
        let gone = (self.before.len() + last.len()).saturating_sub(BEGUN_BYTES_MAX);
        self.before.drain(..gone);
        self.before.extend_from_slice(last);
    }

    /// What waits and this behind it, masked, but for what may be the beginning of a part of our key, where more of it may come.
    fn masked(&mut self, more: &[u8], is_open: bool, secrets: &Fragments) -> Bytes {
        let before = self.before.len();
        let mut text = [&self.before[..], &self.held, more].concat();
        let begun = if is_open { secrets.begun_in(&text, 1).min(text.len() - before) } else { 0 };
        let end = text.len() - begun;
        self.held = text[end..].to_vec();
        self.before.clear();
        if is_open {
            self.went_on(&text[..end]);
        }
        mask(&mut text, secrets);
        text.truncate(end);
        Bytes::from(text).split_off(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "sk-live-0123456789";

    /// What goes on of a stream in pieces, one for each. An event is over with its blank line, and is an error if it says so.
    fn passed(pieces: &[&str]) -> Vec<String> {
        let (mut veil, secrets) = (Veil::default(), Fragments::of([SECRET]));
        let mut stream = String::new();
        let mut push = |piece: &&str| {
            stream.push_str(piece);
            let (whole, open) = stream.rsplit_once("\n\n").unwrap_or(("", &stream));
            let has_error = whole.contains("{\"error\"") || whole.contains("event: error");
            veil.push(Bytes::copy_from_slice(piece.as_bytes()), open.len(), has_error, &secrets)
        };
        let mut out: Vec<Bytes> = pieces.iter().map(&mut push).collect();
        out.push(veil.rest(&secrets));
        out.iter().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).collect()
    }

    fn stars(text: &str) -> String {
        text.replace(SECRET, &"*".repeat(SECRET.len()))
    }

    /// Bytes of our key that may have gone on before it was known.
    fn told(out: &str, expected: &str) -> usize {
        assert_eq!(out.len(), expected.len(), "nothing is lost: {out}");
        out.bytes().zip(expected.bytes()).filter(|(got, wanted)| got != wanted).count()
    }

    #[test]
    fn an_error_is_masked_however_it_is_cut_and_what_is_none_never() {
        let errors = [
            format!("data: {{\"error\":{{\"message\":\"bad key {SECRET}\"}}}}\n\n"),
            format!("event: error\ndata: {{\"code\":\"x\",\"message\":\"bad key {SECRET}, {SECRET}\"}}\n\n"),
            format!("data: {{\"message\":\"{SECRET}\"}}\ndata: {{\"error\":\"{SECRET}\"}}\n\ndata: {SECRET}\n\n"),
        ];
        let text = format!("data: {{\"content\":\"{SECRET}, \\\"error\\\"\",\"usage\":null}}\n\n");
        for event in &errors {
            let stream = format!("data: 1\n\n{event}");
            let expected = stars(&stream);
            for one in 0..=stream.len() {
                for other in one..=stream.len() {
                    let out = passed(&[&stream[..one], &stream[one..other], &stream[other..]]).concat();
                    let told = told(&out, &expected);
                    assert!(told < 2 * BEGUN_BYTES_MIN, "cut at {one} and {other}: {out}");
                }
            }
            let drops: Vec<String> = stream.chars().map(String::from).collect();
            let out = passed(&drops.iter().map(String::as_str).collect::<Vec<_>>()).concat();
            assert!(told(&out, &expected) < 3 * BEGUN_BYTES_MIN, "{out}");
        }
        for cut in 0..=text.len() {
            let (one, other) = text.split_at(cut);
            assert_eq!(passed(&[one, other]).concat(), text, "cut at {cut}");
        }
    }

    #[test]
    fn complete_events_go_on_at_once_and_of_an_open_one_all_but_our_key() {
        let text = format!("data: {{\"content\":\"{SECRET}\"}}\n\n");
        let pieces = [&*text, "data: {\"b\":0,\"error\":null,\"a\":\"", SECRET, " and more", "\"}\n\ndata: {\"b"];
        let out = passed(&pieces);
        assert_eq!(out[..4], [&*text, pieces[1], "", ""].map(str::to_owned));
        assert_eq!(out[4..], [format!("{SECRET} and more\"}}\n\ndata: {{\"b"), String::new()]);
        let open = format!("data: {{\"a\":\"{}", &SECRET[..6]);
        assert_eq!(passed(&[&text, &open, "x"]), [&*text, "data: {\"a\":\"", "", "sk-livx"]);
    }

    #[test]
    fn what_waits_may_end_without_a_blank_line() {
        let secrets = Fragments::of([SECRET]);
        for (waits, next, is_closed) in [
            (format!("data: {{\"a\":\"{SECRET}\"}}"), "", true),
            (format!("data: {{\"a\":\"{SECRET}"), "\"}\r\n", true),
            (format!("data: {{\"a\":\"{SECRET}"), "", false),
            (format!("data: {{\"a\":{{\"b\":1}},\"c\":\"{SECRET}"), "\n", false),
        ] {
            let mut veil = Veil::default();
            let first = veil.push(Bytes::copy_from_slice(waits.as_bytes()), waits.len(), false, &secrets);
            assert_eq!(veil.is_closed_by(next.as_bytes()), is_closed, "{waits}{next}");
            let rest = veil.push(Bytes::copy_from_slice(next.as_bytes()), 0, false, &secrets);
            assert_eq!([first, rest, veil.rest(&secrets)].concat(), [waits.as_bytes(), next.as_bytes()].concat());
        }
    }

    #[test]
    fn what_never_came_to_its_end_is_there_and_masked() {
        let open = format!("data: {{\"error\":{{\"message\":\"{SECRET}");
        assert_eq!(passed(&["data: 1\n\n", &open]).concat(), stars(&format!("data: 1\n\n{open}")));
        let long = format!("{open}{}", "x".repeat(HELD_BYTES_MAX));
        let out = passed(&[&long, "y"]);
        assert_eq!(out.concat(), stars(&format!("{long}y")));
        assert_eq!(out[2], "", "what waits is bounded");
    }

    #[test]
    fn a_stream_without_our_key_is_not_copied() {
        let (mut veil, secrets) = (Veil::default(), Fragments::of([SECRET]));
        for (piece, open) in
            [("data: {}\n\ndata: {\"a", 9), ("\":1}\n\n", 0), ("data: {\"error\":{", 16), ("\"sk-", 20)]
        {
            let piece = Bytes::copy_from_slice(piece.as_bytes());
            let passed = veil.push(piece.clone(), open, false, &secrets);
            assert_eq!((passed.as_ptr(), passed.len()), (piece.as_ptr(), piece.len()));
        }
    }

    proptest! {
        /// In texts in which our key, and what looks like it, are frequent.
        #[test]
        fn nothing_is_lost_and_no_part_of_our_key_goes_out_in_an_error(
            words in prop::collection::vec(prop::sample::select(vec![
                SECRET, "sk-live-", "0123456789", "sk-", "456", "x", "\n\n", "data: ", "{\"error\"", "event: error\n",
            ]), 0..30),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream = words.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([stream.len()]);
            let mut from = 0;
            let pieces: Vec<&str> = ends.map(|end| &stream[std::mem::replace(&mut from, end)..end]).collect();
            let out = passed(&pieces).concat();
            prop_assert_eq!(out.len(), stream.len());
            prop_assert!(out.bytes().zip(stream.bytes()).all(|(got, sent)| got == sent || got == b'*'));
            let secrets = Fragments::of([SECRET]);
            let mut at = 0;
            let mut has_error = false;
            for event in stream.split_inclusive("\n\n") {
                has_error |= event.contains("{\"error\"") || event.contains("event: error");
                let got = &out[at..at + event.len()];
                prop_assert!(!has_error || secrets.first_in(got.as_bytes()).is_none(), "{:?} of {:?}", got, pieces);
                at += event.len();
            }
            prop_assert!(has_error || !stream.ends_with("\n\n") || out == stream);
        }
    }
}
