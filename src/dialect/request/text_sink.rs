//! The prompt's text, as much of it as a tokenizer is to see.

/// Collects text, up to a limit.
pub(super) struct TextSink {
    text: String,
    bytes_max: usize,
    bytes: u64,
}

impl TextSink {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max, bytes: 0 }
    }

    /// Adds a text, on a line of its own.
    pub(super) fn push(&mut self, text: &str) {
        for piece in [if self.bytes == 0 { "" } else { "\n" }, text] {
            self.bytes += piece.len() as u64;
            let room = self.bytes_max - self.text.len();
            self.text.push_str(&piece[..piece.floor_char_boundary(room)]);
            if piece.len() > room {
                // What follows must not be taken for a continuation.
                self.bytes_max = self.text.len();
            }
        }
    }

    pub(super) fn into_text(self) -> (String, u64) {
        (self.text, self.bytes)
    }
}
