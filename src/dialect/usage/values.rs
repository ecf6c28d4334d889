//! Answers that are not server-sent events: one JSON document, or a run of JSON values (the elements of an array that
//! arrive one after the other, or one a line).

use super::reader::Reader;

/// How far a body of values has come.
#[derive(Debug)]
pub(super) struct Values {
    /// A document, rather than a run of values.
    single: bool,
    /// The values may stand in an array.
    in_array: bool,
    state: State,
    /// So much has come of the running value.
    open: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but blanks has come.
    Start,
    /// Between two values.
    Between,
    /// In a value.
    Inside,
    /// Behind the last one.
    End,
}

impl Values {
    /// One document. `may_be_array`: it may also be an array of them (Google answers so when it is asked to stream).
    pub(super) fn document(may_be_array: bool) -> Self {
        Self { single: true, in_array: may_be_array, state: State::Start, open: 0 }
    }

    /// A run of values.
    pub(super) fn run() -> Self {
        Self { single: false, in_array: true, state: State::Start, open: 0 }
    }

    /// The body is a run of values.
    pub(super) fn is_run(&self) -> bool {
        !self.single
    }

    /// The document, or the array, is complete.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::End
    }

    /// Between two values.
    pub(super) fn at_boundary(&self) -> bool {
        self.state != State::Inside
    }

    /// So much has come of a value that is not complete.
    pub(super) fn open_bytes(&self) -> usize {
        if self.at_boundary() { 0 } else { self.open }
    }

    /// The next piece of the body.
    pub(super) fn push(&mut self, piece: &[u8], reader: &mut Reader) {
        let mut at = 0;
        // What is of the value that runs already.
        self.open += piece.len();
        while at < piece.len() && self.state != State::End {
            if self.state == State::Inside {
                at += reader.feed_value(&piece[at..]);
                if !reader.is_ended() {
                    return;
                }
                self.end_value(reader);
                continue;
            }
            let byte = piece[at];
            match (self.state, byte) {
                (_, b' ' | b'\n' | b'\r' | b'\t') => at += 1,
                // A byte-order mark.
                (State::Start, 0xEF | 0xBB | 0xBF) => at += 1,
                (State::Start, b'[') if self.in_array => {
                    self.single = false;
                    self.state = State::Between;
                    at += 1;
                }
                (State::Between, b',') => at += 1,
                (State::Between, b']') if self.in_array => self.state = State::End,
                _ => {
                    reader.begin();
                    self.state = State::Inside;
                    self.open = piece.len() - at;
                }
            }
        }
    }

    fn end_value(&mut self, reader: &mut Reader) {
        reader.end();
        self.state = if self.single { State::End } else { State::Between };
        if self.single && reader.error_event().is_none() {
            reader.note_token();
        }
    }

    /// The end of the body.
    pub(super) fn finish(&mut self, reader: &mut Reader) {
        if self.state == State::Inside {
            if reader.is_closed() {
                self.end_value(reader);
            } else if self.single {
                reader.end_cut_off();
            }
        }
    }
}
