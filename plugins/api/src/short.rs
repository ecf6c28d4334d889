//! A short text in place.

/// A text of at most so many bytes; what does not fit is not there.
pub(crate) struct ShortText<const BYTES_MAX: usize> {
    bytes: [u8; BYTES_MAX],
    length: usize,
}

impl<const BYTES_MAX: usize> Default for ShortText<BYTES_MAX> {
    fn default() -> Self {
        Self { bytes: [0; BYTES_MAX], length: 0 }
    }
}

impl<const BYTES_MAX: usize> ShortText<BYTES_MAX> {
    pub(crate) fn put(&mut self, part: &str) {
        let end = self.length + part.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(part.as_bytes());
            self.length = end;
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<const BYTES_MAX: usize> std::fmt::Write for ShortText<BYTES_MAX> {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        self.put(part);
        Ok(())
    }
}
