//! The file that lines go to: appended to, renamed when it is full, and opened again when somebody else renamed it: logrotate,
//! or another process of ours, of which there are two during an upgrade.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Addresses and names are nobody else's business.
const FILE_MODE: u32 = 0o640;
/// How often it is looked whether the file is still where it was (logrotate renames it).
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a file is full, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) rotate_bytes_max: u64,
    pub(crate) files_max: u32,
}

/// Lines that could not be written, or not all of them.
#[derive(Debug)]
pub(crate) struct CutShort {
    /// So much of them is out.
    pub(crate) written_bytes: usize,
    pub(crate) error: io::Error,
}

impl From<io::Error> for CutShort {
    fn from(error: io::Error) -> Self {
        Self { written_bytes: 0, error }
    }
}

/// See the module.
pub(crate) struct LogFile {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: File,
    bytes: u64,
    looked_at: Instant,
    /// A line may be there in part only: the next one begins on a line of its own.
    torn: bool,
}

impl LogFile {
    /// Nothing is opened before there is something to write.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Appends whole lines; renames the file first if they would not fit.
    ///
    /// # Errors
    /// What the file system says, and how much of the lines is there all the same.
    pub(crate) fn append(&mut self, lines: &[u8], limits: Limits) -> Result<(), CutShort> {
        self.look()?;
        let fits = |bytes: u64| bytes == 0 || bytes + lines.len() as u64 <= limits.rotate_bytes_max;
        // The second time, where somebody else's new file is full, too.
        for _ in 0..2 {
            if self.open.as_ref().is_some_and(|open| !fits(open.bytes)) {
                self.make_room(fits, limits.files_max)?;
            }
        }
        let Some(open) = &mut self.open else { return Err(io::Error::from(io::ErrorKind::NotFound).into()) };
        if open.torn {
            open.file.write_all(b"\n")?;
            open.torn = false;
        }
        let done = write_all(&mut open.file, lines);
        let written_bytes = done.as_ref().map_or_else(|cut| cut.written_bytes, |()| lines.len());
        open.torn = done.is_err() && written_bytes > 0 && !lines[..written_bytes].ends_with(b"\n");
        open.bytes += written_bytes as u64;
        done
    }

    /// Renames the file, unless somebody else has done so by now. Who has the lock of a file may rename it; who finds it taken
    /// writes on and looks again with the next lines.
    fn make_room(&mut self, fits: impl Fn(u64) -> bool, files_max: u32) -> io::Result<()> {
        let Some(mut full) = self.open.take() else { return Ok(()) };
        let is_ours = match full.file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        if is_there(&full.file, &self.path)? {
            full.bytes = full.file.metadata()?.len();
            if !is_ours || fits(full.bytes) {
                full.file.unlock()?;
                self.open = Some(full);
                return Ok(());
            }
            rotate(&self.path, files_max)?;
        }
        // The lock goes with the file, which is closed behind this.
        self.look_now()
    }

    /// Opens the file if it is not open, or, looking now and then, no longer there under its name.
    fn look(&mut self) -> io::Result<()> {
        match &self.open {
            Some(open) if open.looked_at.elapsed() < LOOK_EVERY => Ok(()),
            _ => self.look_now(),
        }
    }

    fn look_now(&mut self) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            open.looked_at = Instant::now();
            if is_there(&open.file, &self.path)? {
                // Another process may have written to it.
                open.bytes = open.file.metadata()?.len();
                return Ok(());
            }
            self.open = None;
        }
        let file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(&self.path)?;
        let bytes = file.metadata()?.len();
        self.open = Some(Open { file, bytes, looked_at: Instant::now(), torn: false });
        Ok(())
    }
}

/// As [`Write::write_all`], which does not say how far it got.
pub(crate) fn write_all(out: &mut impl Write, bytes: &[u8]) -> Result<(), CutShort> {
    let mut written_bytes = 0;
    while written_bytes < bytes.len() {
        let error = match out.write(&bytes[written_bytes..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(more) => {
                written_bytes += more;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        return Err(CutShort { written_bytes, error });
    }
    Ok(())
}

/// Whether an open file is the one of this path.
fn is_there(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

/// The file becomes number 1, number 1 becomes 2 …; so many are left that `files_max` are there with the new one.
fn rotate(path: &Path, files_max: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if files_max < 2 {
        return gone(fs::remove_file(path));
    }
    for number in (1..files_max - 1).rev() {
        gone(fs::rename(numbered(number), numbered(number + 1)))?;
    }
    gone(fs::rename(path, numbered(1)))
}
