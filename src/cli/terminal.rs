//! Where a command reads from and writes to, and how it ends.

use crate::config::ConfigError;
use crate::store::{Act, StoreError, StoreErrorKind};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::fmt;
use std::io::{self, Read, Write};

/// Everything outside that a command touches, so that it can be run without a process.
pub struct Terminal<'a> {
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Looks up environment variables.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Unix time in milliseconds.
    pub now_ms: i64,
    /// Whose process this is, as the audit says it.
    pub whose: String,
    /// Columns of the terminal; none: output is not for a terminal, and lines may be as long as they are.
    pub width: Option<u16>,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// Exit status 1: it did not work out.
    Runtime(String),
    /// Exit status 2: the command line or a file is wrong. One or more lines.
    Usage(Vec<String>),
    /// Nobody reads the output any more. No failure.
    Closed,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(message) => out.write_str(message),
            Self::Usage(lines) => out.write_str(&lines.join("\n")),
            Self::Closed => out.write_str("nobody reads the output"),
        }
    }
}

pub(super) type Outcome = Result<(), Failure>;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Runtime(format!("cannot write the output: {error}")),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::Invalid => Self::Usage(vec![error.message]),
            _ => Self::Runtime(error.message),
        }
    }
}

impl From<Vec<ConfigError>> for Failure {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self::Usage(errors.iter().map(ConfigError::to_string).collect())
    }
}

impl Terminal<'_> {
    /// What this command does, as the audit has it.
    pub(super) fn act(&self, command: &str) -> Act {
        Act::of_command(command, &self.whose, self.now_ms)
    }

    /// One JSON object, on one line.
    pub(super) fn json(&mut self, object: &impl serde::Serialize) -> Outcome {
        Ok(writeln!(self.out, "{}", json_line(object)?)?)
    }

    /// A line with a secret that is shown this once. What becomes of it is known when this returns: where it cannot be written, or nobody
    /// reads the output any more, that is a failure, which says what was done (`lost`).
    pub(super) fn reveal(&mut self, line: &str, lost: impl FnOnce() -> String) -> Outcome {
        let written = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        written.map_err(|error| Failure::Runtime(format!("cannot write the output: {error}; {}", lost())))
    }

    /// A table that fits the terminal. `right`: the columns with numbers.
    pub(super) fn table(&mut self, head: &[&str], right: &[usize], rows: impl Iterator<Item = Vec<String>>) -> Outcome {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).force_no_tty();
        if let Some(width) = self.width {
            table.set_width(width);
        }
        table.set_header(head.iter().map(|title| title.to_uppercase()));
        table.add_rows(rows);
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if right.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Names and values, one a line; empty values are left out.
    pub(super) fn pairs(&mut self, pairs: &[(&str, String)]) -> Outcome {
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(self.out, "{name:width$}  {value}")?;
        }
        Ok(())
    }

    /// A remark for people, kept apart from what a script reads.
    pub(super) fn remark(&mut self, text: &str) -> Outcome {
        Ok(writeln!(self.err, "{text}")?)
    }
}

/// An object as one line.
pub(super) fn json_line(object: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(object).map_err(|error| Failure::Runtime(error.to_string()))
}

/// What may stand in a cell: control characters (an escape sequence in a client's model name) are replaced.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
