//! Where in a JSON value its bytes stand, as they come.

/// The brackets that are open, and whether a text is.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    /// Anything but white space has come.
    has_begun: bool,
    /// A bracket has come.
    has_opened: bool,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// The next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.step(*byte));
    }

    /// The next byte.
    pub(super) fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        self.has_begun |= !byte.is_ascii_whitespace();
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.has_opened = true;
                self.depth += 1;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// How many brackets are open.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// An object or a list is whole.
    pub(super) fn is_closed(&self) -> bool {
        self.has_opened && self.is_level()
    }

    /// Something has come, and nothing of it is open: what is a JSON value is whole. (A number may go on.)
    pub(super) fn is_level(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_string
    }
}
