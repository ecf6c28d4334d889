//! What would keep `serve` from starting, as far as it can be seen without changing anything: places where nothing can be made,
//! a store that is none.

use super::{Config, ConfigError};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How every SQLite database begins that has something in it.
const SQLITE_HEAD: &[u8; 16] = b"SQLite format 3\0";

impl Config {
    /// Why the store or the journal cannot be where they are to be. Not to be asked where the store is open: SQLite's locks on a
    /// file end when its process closes that file, whoever opened it.
    pub fn place_errors(&self) -> Vec<ConfigError> {
        let store = self.store.url.file();
        let folder = match store.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let wrong = [
            ("store.url", cannot_be_made(folder).or_else(|| no_database(store))),
            ("ledger.journal_dir", cannot_be_made(&self.ledger.journal_dir)),
        ];
        wrong.into_iter().filter_map(|(key, message)| Some(self.error(key, message?))).collect()
    }
}

/// Why a folder is not there and cannot be made, or is there and cannot be written in.
fn cannot_be_made(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.symlink_metadata().is_ok());
    let there = there.filter(|there| !there.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !there.is_dir() {
        return Some(format!("{} is no folder, expected a folder, or nothing yet", there.display()));
    }
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) => {
            Some(format!("this user cannot write in {}, expected a folder where it can", there.display()))
        }
        _ => None,
    }
}

/// Why a file that is there is no store. An empty one becomes one.
fn no_database(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    // One that cannot be read is said when it is opened: it may be another user's.
    File::open(path).ok()?.take(SQLITE_HEAD.len() as u64).read_to_end(&mut head).ok()?;
    let is_one = head.is_empty() || head == SQLITE_HEAD;
    (!is_one).then(|| format!("{} is no SQLite database, expected one, or nothing yet", path.display()))
}
