//! What would keep `serve` from starting, as far as it can be seen without changing anything: places where nothing can be made,
//! a store that is none.

use super::{Config, ConfigError};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// How every SQLite database begins that has something in it.
const SQLITE_HEAD: &[u8; 16] = b"SQLite format 3\0";

/// So much of a journal's folder is looked at: there are a few segments, whatever else somebody has put there.
const ENTRIES_MAX: usize = 1000;

impl Config {
    /// Why the store or the journal cannot be where they are to be. Not to be asked where the store is open: SQLite's locks on a
    /// file end when its process closes that file, whoever opened it.
    pub fn place_errors(&self) -> Vec<ConfigError> {
        let store = self.store.url.file();
        let folder = match store.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let journal = &self.ledger.journal_dir;
        let wrong = [
            (
                "store.url",
                cannot_be_made(folder).or_else(|| cannot_be_used(&files_of(store))).or_else(|| no_database(store)),
            ),
            ("ledger.journal_dir", cannot_be_made(journal).or_else(|| cannot_be_used(&left_in(journal)))),
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
    let errno = access(there, Access::WRITE_OK | Access::EXEC_OK).err()?;
    let why = refused(errno, &format!("write in {}", there.display()))?;
    Some(format!("{why}, expected a folder where it can"))
}

/// What it means that the system does not let this process do something. `None`: it says nothing of permissions.
fn refused(errno: Errno, what: &str) -> Option<String> {
    match errno {
        Errno::ACCESS | Errno::PERM => Some(format!("this user cannot {what}")),
        // What a service's own settings do to it, whoever owns the folder.
        Errno::ROFS => Some(format!(
            "this process cannot {what}: it is read-only here (under systemd, `ReadWritePaths=` in the unit)"
        )),
        _ => None,
    }
}

/// The files of a store: what SQLite puts beside one is used with it.
fn files_of(store: &Path) -> Vec<PathBuf> {
    let beside = |end: &str| {
        let mut name = store.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    ["", "-wal", "-shm"].map(beside).into()
}

/// What processes have left in the journal's folder, each in a folder that is named by an id; nothing else that lies there.
fn left_in(journal: &Path) -> Vec<PathBuf> {
    let within = |folder: &Path| {
        let read = std::fs::read_dir(folder).into_iter().flatten();
        read.flatten().map(|entry| entry.path()).take(ENTRIES_MAX).collect::<Vec<_>>()
    };
    let is_id =
        |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(|name| Uuid::parse_str(name).is_ok());
    let folders = within(journal).into_iter().filter(is_id);
    folders.flat_map(|folder| [within(&folder), vec![folder]].concat()).take(ENTRIES_MAX).collect()
}

/// Why files that are there cannot be read or written, of the first such one.
fn cannot_be_used(paths: &[PathBuf]) -> Option<String> {
    paths.iter().find_map(|path| {
        let errno = access(path, Access::READ_OK | Access::WRITE_OK).err()?;
        let why = refused(errno, &format!("read and write {}", path.display()))?;
        let owner = path.metadata().map_or_else(|_| "somebody else".to_owned(), |file| format!("uid {}", file.uid()));
        Some(format!("{why}, which belongs to {owner}, expected files that it can"))
    })
}

/// Why a file that is there is no store. An empty one becomes one.
fn no_database(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(SQLITE_HEAD.len() as u64).read_to_end(&mut head).ok()?;
    let is_one = head.is_empty() || head == SQLITE_HEAD;
    (!is_one).then(|| format!("{} is no SQLite database, expected one, or nothing yet", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_place_is_not_taken_for_somebody_elses() {
        let said = |errno| refused(errno, "write in /srv/tg").unwrap_or_default();
        assert_eq!(said(Errno::ACCESS), "this user cannot write in /srv/tg");
        assert!(said(Errno::ROFS).contains("read-only here") && said(Errno::ROFS).contains("ReadWritePaths="));
        assert_eq!(refused(Errno::IO, "write"), None, "it says nothing of permissions");
    }

    #[test]
    fn of_the_journals_folder_only_what_processes_left_there_counts() {
        let journal = tempfile::tempdir().unwrap();
        let of_writer = journal.path().join(Uuid::from_u128(1).to_string());
        for folder in [&of_writer, &journal.path().join("lost+found")] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("0000000000000001.seg"), "").unwrap();
        }
        assert_eq!(left_in(journal.path()), [of_writer.join("0000000000000001.seg"), of_writer]);
    }
}
