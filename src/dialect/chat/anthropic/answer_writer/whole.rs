//! When a call's arguments are complete.

/// Whether a call's arguments are one whole object.
#[derive(Debug, Default)]
pub(super) struct Whole {
    depth: u32,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Whole {
    pub(super) fn push(&mut self, json: &str) {
        for byte in json.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => {
                    self.begun = true;
                    self.depth += 1;
                }
                b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.begun && self.depth == 0
    }
}
