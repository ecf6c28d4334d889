//! Who a journal folder belongs to. A lock on a file ends with the process that holds it, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

const LOCK_NAME: &str = "lock";

/// `ledger verify` looks at a lock by taking it for a moment; so one look is not enough to say that it is taken.
const LOOKS: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A locked folder; unlocked when dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

/// What came of an attempt to lock a folder.
pub(super) enum Locking {
    /// It is ours now.
    Ours(FolderLock),
    /// A living process has it: its id, if it can be read.
    Taken(Option<u32>),
}

/// Locks a folder that exists.
pub(super) fn lock(folder: &Path) -> io::Result<Locking> {
    let path = folder.join(LOCK_NAME);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    for look in 1..=LOOKS {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if look < LOOKS => std::thread::sleep(LOOK_EVERY),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The process id only makes the message better.
                let _ = file.read_to_string(&mut text);
                return Ok(Locking::Taken(text.trim().parse().ok()));
            }
        }
    }
    // For whoever finds it taken; on a full disk the lock holds without it.
    let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(Locking::Ours(FolderLock { _file: file }))
}

/// True: a living process has the folder locked. Changes nothing.
pub(super) fn is_taken(folder: &Path) -> io::Result<bool> {
    let file = match File::open(folder.join(LOCK_NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The folder of one writer.
pub(super) fn of_writer(journal_dir: &Path, writer_id: Uuid) -> PathBuf {
    journal_dir.join(writer_id.to_string())
}

/// The writers that have a folder, oldest first: their ids begin with the time.
pub(super) fn writers(journal_dir: &Path) -> io::Result<Vec<Uuid>> {
    let mut writers = Vec::new();
    for entry in std::fs::read_dir(journal_dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            writers.extend(entry.file_name().to_str().and_then(|name| Uuid::parse_str(name).ok()));
        }
    }
    writers.sort_unstable();
    Ok(writers)
}

/// Removes a writer's folder when no segment is left in it.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    std::fs::remove_file(folder.join(LOCK_NAME)).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    std::fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_taken(folder.path()).unwrap());
        let Locking::Ours(ours) = lock(folder.path()).unwrap() else { panic!("nobody has it") };
        assert!(is_taken(folder.path()).unwrap());
        let Locking::Taken(process) = lock(folder.path()).unwrap() else { panic!("it is taken") };
        assert_eq!(process, Some(std::process::id()));
        drop(ours);
        assert!(!is_taken(folder.path()).unwrap());
        assert!(matches!(lock(folder.path()).unwrap(), Locking::Ours(_)));
    }

    #[test]
    fn only_folders_named_by_an_id_are_writers() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for id in [new, old] {
            std::fs::create_dir(of_writer(folder.path(), id)).unwrap();
        }
        std::fs::create_dir(folder.path().join("else")).unwrap();
        std::fs::write(folder.path().join("lock"), b"").unwrap();
        assert_eq!(writers(folder.path()).unwrap(), [old, new]);
        remove(&of_writer(folder.path(), old)).unwrap();
        assert_eq!(writers(folder.path()).unwrap(), [new]);
    }
}
