//! The segment that is being written.

use super::super::disk::DiskFile;
use super::super::segment::HEADER_BYTES;
use std::io;

/// With `durability = "power"`: zeros are written so far ahead of the records.
const AHEAD_BYTES: u64 = 1 << 20;

/// See the module.
pub(super) struct Current {
    pub(super) number: u64,
    file: Box<dyn DiskFile>,
    /// Offset behind the last record that is written.
    pub(super) end: u64,
    /// What is before it has been written once, by records or by [`Current::write_ahead`].
    touched: u64,
}

impl Current {
    /// A segment that has its header and nothing else.
    pub(super) fn new(number: u64, file: Box<dyn DiskFile>) -> Self {
        let end = HEADER_BYTES as u64;
        Self { number, file, end, touched: end }
    }

    pub(super) fn has_records(&self) -> bool {
        self.end > HEADER_BYTES as u64
    }

    /// Writes a group of records behind the others; with `synced_to`, which is where the segment ends, it is on the disk when
    /// this returns.
    ///
    /// # Errors
    /// Any part of it may have been written: the next group is written over it.
    pub(super) fn write(&mut self, group: &[u8], synced_to: Option<u64>) -> io::Result<()> {
        self.file.write_at(group, self.end)?;
        let end = self.end + group.len() as u64;
        if let Some(segment_bytes) = synced_to {
            self.write_ahead(end, segment_bytes);
            self.file.sync()?;
        }
        self.end = end;
        Ok(())
    }

    /// Writes zeros behind `end` where that was never written: the first write to a block that is only reserved changes the
    /// file's map of its blocks, and to make that durable takes as long again as to make the bytes so. Once in a while for
    /// many groups, then, and not in each.
    fn write_ahead(&mut self, end: u64, segment_bytes: u64) {
        if end <= self.touched {
            return;
        }
        let room = segment_bytes.saturating_sub(end).min(AHEAD_BYTES);
        // It says what the reserved blocks say already: if it cannot be written, nothing is lost but time.
        if self.file.write_at(&vec![0; room as usize], end).is_ok() {
            self.touched = end + room;
        }
    }
}
