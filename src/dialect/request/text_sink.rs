//! The prompt's text, as much of it as a tokenizer is to see.

/// Collects text, up to a limit.
pub(super) struct TextSink {
    text: String,
    bytes_max: usize,
    /// There is room for so much; what follows on a piece that was cut must not be taken for its continuation.
    room: usize,
    bytes: u64,
}

impl TextSink {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max, room: bytes_max, bytes: 0 }
    }

    /// An empty one with the same limit.
    pub(super) fn another(&self) -> Self {
        Self::new(self.bytes_max)
    }

    /// Its limit.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Adds a text, on a line of its own.
    pub(super) fn push(&mut self, text: &str) {
        for piece in [if self.bytes == 0 { "" } else { "\n" }, text] {
            self.bytes += piece.len() as u64;
            let kept = &piece[..piece.floor_char_boundary(self.room)];
            self.text.push_str(kept);
            self.room = if kept.len() < piece.len() { 0 } else { self.room - kept.len() };
        }
    }

    pub(super) fn into_text(self) -> (String, u64) {
        (self.text, self.bytes)
    }
}
