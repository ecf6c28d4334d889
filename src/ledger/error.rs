//! Why a ledger cannot be opened.

use crate::store::StoreError;
use std::io;
use std::path::{Path, PathBuf};

/// The ledger cannot be opened.
#[derive(Debug)]
pub enum LedgerError {
    /// Another process serves from this journal folder.
    FolderInUse {
        /// The folder.
        journal_dir: PathBuf,
        /// The process, if it is known.
        process: Option<u32>,
    },
    /// Another process serves from this store, with another journal folder.
    StoreInUse {
        /// That folder.
        journal_dir: PathBuf,
    },
    /// A journal was left behind that belongs to another store than this one, which is new.
    OtherStore {
        /// Its folder.
        journal_dir: PathBuf,
    },
    /// A journal was left behind by a newer Tollgate.
    TooNew {
        /// The segment.
        path: PathBuf,
        /// The format of the record.
        format: u8,
        /// Where it is.
        offset: usize,
    },
    /// A file or folder.
    Io {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The store.
    Store(StoreError),
}

impl LedgerError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for LedgerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FolderInUse { journal_dir, process } => {
                write!(f, "another tollgate serves from the journal folder {}", journal_dir.display())?;
                process.map_or(Ok(()), |process| write!(f, " (process {process})"))
            }
            Self::StoreInUse { journal_dir } => {
                let dir = journal_dir.display();
                write!(f, "another tollgate serves from this store, with the journal folder {dir}")
            }
            Self::OtherStore { journal_dir } => write!(
                f,
                "the store is new, but the journal folder {} holds requests that are not in it yet: put back the store that \
                 was there, or move the folder away to begin anew",
                journal_dir.display()
            ),
            Self::TooNew { path, format, offset } => {
                let path = path.display();
                write!(f, "{path}: a newer tollgate wrote this journal (format {format} at byte {offset})")
            }
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LedgerError {}
