//! What the stand-in provider is told to answer, and how to go wrong with it.

use super::wire::Fields;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// It ends as if all were well.
    Fin,
    /// It is reset.
    Rst,
    /// Nothing more comes, and it stays open until the other side gives up.
    Stall,
}

/// Where an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before its head.
    BeforeHead(Break),
    /// After so many bytes of its head, those of the interim answers before it included.
    InHead(usize, Break),
    /// After so many bytes of its body.
    AfterBytes(usize, Break),
}

/// How the body of an answer is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimited {
    /// By its true length.
    Length,
    /// By a length that is not the true one.
    Lie(usize),
    /// In chunks: one for each piece.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Lets a test say when each piece of an answer goes out: none does before [`Self::go`]. Shared by all answers that have
/// it.
#[derive(Clone, Debug)]
pub(crate) struct Steps(Arc<Semaphore>);

impl Steps {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// So many further pieces may go out.
    pub(crate) fn go(&self, pieces: usize) {
        self.0.add_permits(pieces);
    }

    /// Everything may go out from now on.
    pub(crate) fn go_on(&self) {
        self.0.add_permits(1 << 32);
    }

    pub(super) async fn wait(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

/// An answer, and all that is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Interim answers that go first.
    pub(crate) informational: Vec<(u16, Fields)>,
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    /// The body, as it is cut into writes.
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) delimited: Delimited,
    pub(crate) cut: Option<Cut>,
    /// Pause before the head, before the first piece, and between pieces.
    pub(crate) delays_ms: (u64, u64, u64),
    /// Given before the request's body is read, which then is not read at all.
    pub(crate) early: bool,
    /// Each piece waits for the test's leave; so does the end, if there is one.
    pub(crate) steps: Option<Steps>,
}

impl Answer {
    /// A whole body.
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            informational: Vec::new(),
            status,
            fields: vec![("content-type".to_owned(), content_type.to_owned())],
            pieces: vec![body.into()],
            delimited: Delimited::Length,
            cut: None,
            delays_ms: (0, 0, 0),
            early: false,
            steps: None,
        }
    }

    /// A JSON body.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A stream: each piece goes out as a chunk of its own.
    pub(crate) fn stream(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let mut answer = Self::new(200, "text/event-stream", "");
        answer.pieces = pieces.into_iter().map(Into::into).collect();
        answer.delimited = Delimited::Chunked;
        answer
    }

    /// Never gives an answer.
    pub(crate) fn nothing(how: Break) -> Self {
        Self { cut: Some(Cut::BeforeHead(how)), ..Self::new(200, "text/plain", "") }
    }

    pub(crate) fn field(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn informational(mut self, status: u16, fields: Fields) -> Self {
        self.informational.push((status, fields));
        self
    }

    pub(crate) fn delimited(mut self, delimited: Delimited) -> Self {
        self.delimited = delimited;
        self
    }

    pub(crate) fn cut(mut self, after_bytes: usize, how: Break) -> Self {
        self.cut = Some(Cut::AfterBytes(after_bytes, how));
        self
    }

    pub(crate) fn cut_head(mut self, after_bytes: usize, how: Break) -> Self {
        self.cut = Some(Cut::InHead(after_bytes, how));
        self
    }

    pub(crate) fn head_after_ms(mut self, ms: u64) -> Self {
        self.delays_ms.0 = ms;
        self
    }

    pub(crate) fn pieces_every_ms(mut self, ms: u64) -> Self {
        self.delays_ms.2 = ms;
        self
    }

    pub(crate) fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// Each piece waits for [`Steps::go`], and so does how the answer ends.
    pub(crate) fn stepped(mut self, steps: &Steps) -> Self {
        self.steps = Some(steps.clone());
        self
    }

    /// The body, whole.
    pub(crate) fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// The head's bytes, interim answers before it.
    pub(crate) fn head(&self) -> Vec<u8> {
        let length = self.pieces.iter().map(Bytes::len).sum::<usize>();
        let last = match self.delimited {
            Delimited::Length => format!("content-length: {length}\r\n"),
            Delimited::Lie(length) => format!("content-length: {length}\r\n"),
            Delimited::Chunked => "transfer-encoding: chunked\r\n".to_owned(),
            Delimited::Close => "connection: close\r\n".to_owned(),
        };
        let mut out = String::new();
        for (status, fields) in &self.informational {
            out += &lines(*status, fields);
            out += "\r\n";
        }
        out += &lines(self.status, &self.fields);
        out += &last;
        out += "\r\n";
        out.into_bytes()
    }

    /// What of the body goes out: its pieces up to where it breaks.
    pub(crate) fn sent_pieces(&self) -> Vec<Bytes> {
        let mut left = match self.cut {
            Some(Cut::AfterBytes(bytes, _)) => bytes,
            _ => usize::MAX,
        };
        let mut out = Vec::new();
        for piece in self.pieces.iter().filter(|piece| !piece.is_empty()) {
            let part = piece.slice(..piece.len().min(left));
            left -= part.len();
            if !part.is_empty() {
                out.push(part);
            }
        }
        out
    }

    /// How the connection breaks, if it does.
    pub(crate) fn breaks(&self) -> Option<Break> {
        match self.cut {
            Some(Cut::BeforeHead(how) | Cut::InHead(_, how) | Cut::AfterBytes(_, how)) => Some(how),
            None => None,
        }
    }
}

/// Status line and fields.
fn lines(status: u16, fields: &Fields) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    std::iter::once(format!("HTTP/1.1 {status} Status\r\n")).chain(fields).collect()
}
