//! Files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Replaces a file's content so that a reader sees all of it or nothing, also after a crash. A link stays a link, and
/// permissions and owner stay. A folder that is missing is made.
pub(crate) fn write_atomically(file: &Path, text: &str) -> io::Result<()> {
    let target = match fs::canonicalize(file) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside: PathBuf = folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = (|| {
        let old = fs::metadata(&target).ok();
        // What is written may be meant for few: nobody else sees it before it has the old one's permissions.
        let mode = if old.is_some() { 0o600 } else { 0o666 };
        let _ = fs::remove_file(&beside);
        fs::create_dir_all(folder)?;
        let mut new = File::options().write(true).create_new(true).mode(mode).open(&beside)?;
        new.write_all(text.as_bytes())?;
        if let Some(old) = old {
            // Only who may give files away can keep another owner's.
            let _ = fchown(&new, Some(old.uid()), Some(old.gid()));
            new.set_permissions(old.permissions())?;
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
