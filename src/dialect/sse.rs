//! Server-sent events: lines out of bytes that are cut anywhere, and the fields of a line.
//!
//! Line ends are LF, CRLF or CR alone, as the standard has them. A line that lies in one piece is handed out as it lies
//! there; only a line that is cut is put together, and only while it is short: a longer one is handed out in parts, so
//! that the memory for a stream is bounded whatever the size of its events.

use memchr::memchr2;

/// A line of up to this many bytes is handed out whole, a longer one in parts (a matter of its length alone, never of
/// how the bytes were cut).
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;
/// The first part of a long line has at least this many bytes: a byte-order mark and the longest field name fit.
const FIELD_BYTES: usize = 32;
/// A buffer that has grown beyond this is given back when it is empty.
const KEEP_BYTES_MAX: usize = 4 * 1024;

/// A line, or a part of a long one, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    /// Whole, or which part of a long line.
    pub(super) part: Part,
    /// The line has ended with these bytes.
    pub(super) ended: bool,
    /// Where in the piece the line's end was behind (the piece's length, if it has not ended).
    pub(super) end: usize,
}

/// Which part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of a short line.
    Whole,
    /// The beginning of a long line: at least enough of it to tell its field.
    First,
    /// What follows.
    More,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub(super) struct Lines {
    carry: Vec<u8>,
    /// The carry has been handed out.
    spent: bool,
    /// Within a line that is handed out in parts.
    in_long: bool,
    /// The last line ended with a CR at the very end of a piece: an LF that comes next belongs to it.
    skip_lf: bool,
    /// The byte-order mark that may start a stream has been looked for.
    started: bool,
}

impl Lines {
    /// The beginning of a line whose end has not come yet (empty for a long one, which has been handed out).
    pub(super) fn partial(&self) -> &[u8] {
        if self.spent { &[] } else { &self.carry }
    }

    /// Between two lines.
    pub(super) fn at_line_start(&self) -> bool {
        !self.in_long && self.partial().is_empty()
    }

    /// The next byte, if it is an LF, belongs to the line before.
    pub(super) fn swallows_lf(&self) -> bool {
        self.skip_lf
    }

    /// Whole lines were passed by somebody else, who found where they end.
    pub(super) fn passed(&mut self) {
        self.skip_lf = false;
    }

    /// The next line of `piece` from `at` on, which it moves; `None` when the rest of the piece is kept for later.
    pub(super) fn next<'a>(&'a mut self, piece: &'a [u8], at: &mut usize) -> Option<Line<'a>> {
        if self.spent {
            self.spent = false;
            self.carry.clear();
            self.carry.shrink_to(KEEP_BYTES_MAX);
        }
        if *at < piece.len() && std::mem::take(&mut self.skip_lf) && piece[*at] == b'\n' {
            *at += 1;
        }
        let rest = piece.get(*at..).filter(|rest| !rest.is_empty())?;
        let stop = memchr2(b'\n', b'\r', rest);
        let content = &rest[..stop.unwrap_or(rest.len())];
        if !self.in_long && self.carry.len() + content.len() > LINE_BYTES_MAX {
            self.in_long = true;
            if !self.carry.is_empty() {
                let missing = FIELD_BYTES.saturating_sub(self.carry.len());
                self.carry.extend_from_slice(&content[..missing.min(content.len())]);
                *at += missing.min(content.len());
                self.spent = true;
                let bytes = without_mark(&self.carry, &mut self.started);
                return Some(Line { bytes, part: Part::First, ended: false, end: *at });
            }
            let (bytes, ended) = (without_mark(content, &mut self.started), stop.is_some());
            self.pass(rest, stop, at);
            return Some(Line { bytes, part: Part::First, ended, end: *at });
        }
        if stop.is_none() && !self.in_long {
            self.carry.extend_from_slice(content);
            *at = piece.len();
            return None;
        }
        let part = if self.in_long { Part::More } else { Part::Whole };
        self.pass(rest, stop, at);
        let bytes = if self.carry.is_empty() {
            content
        } else {
            self.carry.extend_from_slice(content);
            self.spent = true;
            &self.carry
        };
        let bytes = if part == Part::Whole { without_mark(bytes, &mut self.started) } else { bytes };
        Some(Line { bytes, part, ended: stop.is_some(), end: *at })
    }

    /// Moves behind a line and its end.
    fn pass(&mut self, rest: &[u8], stop: Option<usize>, at: &mut usize) {
        let Some(stop) = stop else {
            *at += rest.len();
            return;
        };
        self.in_long = false;
        *at += stop + 1;
        if rest[stop] == b'\r' {
            match rest.get(stop + 1) {
                Some(b'\n') => *at += 1,
                Some(_) => {}
                None => self.skip_lf = true,
            }
        }
    }

    /// The end of the stream: the line that had no end.
    pub(super) fn finish(&mut self) -> Option<Line<'_>> {
        if std::mem::take(&mut self.in_long) {
            return Some(Line { bytes: &[], part: Part::More, ended: true, end: 0 });
        }
        if self.partial().is_empty() {
            return None;
        }
        self.spent = true;
        Some(Line { bytes: without_mark(&self.carry, &mut self.started), part: Part::Whole, ended: true, end: 0 })
    }
}

/// The line without the byte-order mark, if it is the stream's first.
fn without_mark<'a>(line: &'a [u8], started: &mut bool) -> &'a [u8] {
    if std::mem::replace(started, true) { line } else { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) }
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// The end of an event.
    Blank,
    /// A line of an event's data.
    Data(&'a [u8]),
    /// An event's name.
    Event(&'a [u8]),
    /// A comment, without its colon.
    Comment(&'a [u8]),
    /// Another field (`id`, `retry`, or none that the standard knows).
    Other,
}

/// The field of a line.
pub(super) fn field(line: &[u8]) -> Field<'_> {
    let value = |rest: &'_ [u8]| -> usize { usize::from(rest.first() == Some(&b' ')) };
    match line {
        [] => Field::Blank,
        [b':', comment @ ..] => Field::Comment(comment),
        [b'd', b'a', b't', b'a', b':', rest @ ..] => Field::Data(&rest[value(rest)..]),
        b"data" => Field::Data(b""),
        [b'e', b'v', b'e', b'n', b't', b':', rest @ ..] => Field::Event(&rest[value(rest)..]),
        _ => Field::Other,
    }
}

/// Where the data begins in a block that is one line of data, or one behind an event's name. `None` for all others, and for an
/// event that is named `error`.
pub(super) fn data_at_front(block: &[u8]) -> Option<usize> {
    let name = match block.strip_prefix(b"event:") {
        None => 0,
        Some(rest) => {
            let end = memchr2(b'\n', b'\r', rest).filter(|&end| rest[end] == b'\n')?;
            if rest[..end].trim_ascii() == b"error" {
                return None;
            }
            b"event:".len() + end + 1
        }
    };
    let data = block[name..].strip_prefix(b"data:")?;
    Some(block.len() - data.len() + usize::from(data.first() == Some(&b' ')))
}

#[cfg(test)]
mod tests {
    use super::{Field, LINE_BYTES_MAX, Lines, Part, data_at_front, field};

    /// All lines of the pieces, the parts of a long one put together.
    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out, mut long) = (Lines::default(), Vec::new(), Vec::new());
        let mut take = |bytes: &[u8], part: Part, ended: bool| {
            assert!(part != Part::First || bytes.len() > 16, "a first part tells its field");
            long.extend_from_slice(bytes);
            if ended {
                out.push(String::from_utf8_lossy(&std::mem::take(&mut long)).into_owned());
            }
        };
        for piece in pieces {
            let mut at = 0;
            while let Some(line) = lines.next(piece, &mut at) {
                take(line.bytes, line.part, line.ended);
            }
        }
        if let Some(line) = lines.finish() {
            take(line.bytes, line.part, line.ended);
        }
        out
    }

    #[test]
    fn every_kind_of_line_end_at_every_cut() {
        let text = "\u{FEFF}data: a\r\nid: 1\n\ndata: b\r\rdata: c\r\n\r\n: \u{e9}\n\r\ndata: d";
        let whole = lines(&[text.as_bytes()]);
        assert_eq!(whole, ["data: a", "id: 1", "", "data: b", "", "data: c", "", ": \u{e9}", "", "data: d"]);
        for cut in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(cut);
            assert_eq!(lines(&[left, right]), whole, "cut at {cut}");
        }
        assert_eq!(lines(&text.as_bytes().chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn a_long_line_comes_in_parts_wherever_it_is_cut() {
        for length in [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 3 * LINE_BYTES_MAX] {
            let text = format!("data: x\n{}\r\n\r\n", "y".repeat(length));
            let whole = lines(&[text.as_bytes()]);
            assert_eq!(whole[1].len(), length);
            for size in [1, 7, 1000, LINE_BYTES_MAX, LINE_BYTES_MAX + 9] {
                assert_eq!(lines(&text.as_bytes().chunks(size).collect::<Vec<_>>()), whole);
            }
            for cut in text.len() - 6..text.len() {
                let (left, right) = text.as_bytes().split_at(cut);
                assert_eq!(lines(&[left, right]), whole, "cut at {cut}");
            }
        }
    }

    #[test]
    fn the_data_at_the_front_of_a_block() {
        for (block, data) in [
            ("data: {}", Some(6)),
            ("data:{}", Some(5)),
            ("data:  {}", Some(6)),
            ("event: a\ndata: {}", Some(15)),
            ("event:a\ndata:{}", Some(13)),
            ("event: error\ndata: {}", None),
            ("event:error \ndata: {}", None),
            ("event: a\r\ndata: {}", None),
            ("event: a\rdata: {}\n", None),
            ("event: a\nid: 1\ndata: {}", None),
            (": a\ndata: {}", None),
            ("event: a", None),
            ("datum", None),
            ("", None),
        ] {
            assert_eq!(data_at_front(block.as_bytes()), data, "{block:?}");
        }
    }

    #[test]
    fn the_fields_of_a_line() {
        assert_eq!(field(b"data: {}"), Field::Data(b"{}"));
        assert_eq!(field(b"data:{}"), Field::Data(b"{}"));
        assert_eq!(field(b"data:  x"), Field::Data(b" x"));
        assert_eq!(field(b"data"), Field::Data(b""));
        assert_eq!(field(b"event:error"), Field::Event(b"error"));
        assert_eq!(field(b":HTTP_STATUS/400"), Field::Comment(b"HTTP_STATUS/400"));
        assert_eq!(field(b"datum: 1"), Field::Other);
        assert_eq!(field(b"id:1"), Field::Other);
        assert_eq!(field(b""), Field::Blank);
    }
}
