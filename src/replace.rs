//! Files that are replaced as a whole, by one process at a time.

use crate::owner::{self, folder_of};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So long somebody waits for another one who is changing a file of the same folder.
const TURN_MAX: Duration = Duration::from_secs(10);

/// Pause between two looks whether the other one has done.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The turn to change a file, among all processes: whoever has it reads what is there, and replaces that. It ends when it is dropped, and with
/// the process. Nobody who takes a turn for one file begins a transaction of the store before that: the order is the same for all.
///
/// It is a lock on the file's folder, for the file itself is another one each time. Not every file system has locks: where there are
/// none, two changes at the same moment can still meet.
pub(crate) struct Turn {
    file: PathBuf,
    _folder: Option<File>,
}

impl Turn {
    /// Waits for the turn. A folder that is missing is made.
    ///
    /// # Errors
    /// The folder cannot be used, or somebody else has been changing something there for [`TURN_MAX`].
    pub(crate) fn take(file: &Path) -> io::Result<Self> {
        let target = behind_links(file)?;
        let folder = folder_of(&target);
        fs::create_dir_all(folder)?;
        let folder = File::open(folder)?;
        let until = Instant::now() + TURN_MAX;
        loop {
            match folder.try_lock() {
                Ok(()) => return Ok(Self { file: file.to_owned(), _folder: Some(folder) }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
                Err(TryLockError::WouldBlock) => {
                    let message = format!("somebody else has been changing files there for {TURN_MAX:?}");
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
                }
                Err(TryLockError::Error(error)) => {
                    tracing::debug!(
                        "{}: cannot be locked, so others that change it do not wait: {error}",
                        file.display()
                    );
                    return Ok(Self { file: file.to_owned(), _folder: None });
                }
            }
        }
    }

    /// See [`write_atomically`].
    ///
    /// # Errors
    /// It cannot be written, and is as it was.
    pub(crate) fn replace(&self, text: &str) -> io::Result<()> {
        write_atomically(&self.file, text)
    }
}

/// Replaces a file's content so that a reader sees all of it or nothing, also after a crash. A link stays a link, and
/// permissions and owner stay; a new one is of its folder's owner, where root makes it. A folder that is missing is made.
pub(crate) fn write_atomically(file: &Path, text: &str) -> io::Result<()> {
    replace(file, text, 0o666)
}

/// The same; a file that was not there is its owner's alone.
pub(crate) fn write_private_atomically(file: &Path, text: &str) -> io::Result<()> {
    replace(file, text, 0o600)
}

fn replace(file: &Path, text: &str, mode_if_new: u32) -> io::Result<()> {
    let target = behind_links(file)?;
    let folder = folder_of(&target);
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside: PathBuf = folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = (|| {
        let old = fs::metadata(&target).ok();
        // What is written may be meant for few: nobody else sees it before it has the old one's permissions.
        let mode = if old.is_some() { 0o600 } else { mode_if_new };
        let _ = fs::remove_file(&beside);
        fs::create_dir_all(folder)?;
        let mut new = File::options().write(true).create_new(true).mode(mode).open(&beside)?;
        new.write_all(text.as_bytes())?;
        if let Some(old) = old {
            // Only who may give files away can keep another owner's.
            let _ = fchown(&new, Some(old.uid()), Some(old.gid()));
            new.set_permissions(old.permissions())?;
        } else {
            owner::give(&new, folder);
        }
        new.sync_all()?;
        fs::rename(&beside, &target)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
        return written;
    }
    // The new name lasts only once the folder is written, too. Not every file system can do that.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The file itself. One that is not there is where it is named.
fn behind_links(file: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(file.to_owned()),
        found => found,
    }
}
