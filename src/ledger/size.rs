//! How much of the disk the journals take.

use super::Ledger;
use super::folder;
use std::fs::{DirEntry, Metadata};
use std::os::unix::fs::MetadataExt;

/// The unit in which a file system says what a file takes.
const BLOCK_BYTES: u64 = 512;

impl Ledger {
    /// What the segments of all processes that write to this folder take of the disk, what is reserved ahead included. (A look at each
    /// of them: some dozens at most.)
    pub fn journal_bytes(&self) -> u64 {
        let writers = folder::writers(&self.journal_dir).unwrap_or_default();
        let folders = writers.into_iter().map(|writer| folder::of_writer(&self.journal_dir, writer));
        let files = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        let taken = |file: Metadata| file.blocks().saturating_mul(BLOCK_BYTES);
        // One that goes meanwhile takes nothing.
        files.filter_map(|file| file.as_ref().map(DirEntry::metadata).ok()?.ok()).map(taken).sum()
    }
}
