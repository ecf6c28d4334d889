//! Whose a new file is. Root makes files for others, in a service's folder above all: there, what is root's alone could not be written by
//! whom it is for.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// The folder that a file is in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a file that was just made in a folder to the owner of that folder.
pub(crate) fn give(new: &File, folder: &Path) {
    let (Ok(new_one), Ok(folder)) = (new.metadata(), fs::metadata(folder)) else { return };
    if new_one.uid() != folder.uid() {
        // Only who may give files away can.
        let _ = fchown(new, Some(folder.uid()), Some(folder.gid()));
    }
}

/// Makes an empty file for the owner of its folder, unless there is one. What does not work is told by whoever opens it then.
pub(crate) fn make(file: &Path, mode: u32) {
    if let Ok(new) = File::options().write(true).create_new(true).mode(mode).open(file) {
        give(&new, folder_of(file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replace::write_atomically;
    use std::os::unix::fs::chown;

    const OWNER: u32 = 65_532;

    #[test]
    fn what_root_makes_in_the_folder_of_another_is_of_that_owner() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Err(error) = chown(folder.path(), Some(OWNER), Some(OWNER)) {
            eprintln!("skipped, for this is not root: {error}");
            return;
        }
        let [made, replaced] = ["made", "replaced"].map(|name| folder.path().join(name));
        make(&made, 0o644);
        write_atomically(&replaced, "a").expect("a writable folder");
        for file in [&made, &replaced] {
            let metadata = file.metadata().expect("it is there");
            assert_eq!((metadata.uid(), metadata.gid()), (OWNER, OWNER), "{}", file.display());
        }
        // What was there keeps the owner that it had.
        for file in [&made, &replaced] {
            chown(file, Some(0), Some(0)).expect("root's to do");
            make(file, 0o644);
            write_atomically(file, "b").expect("a writable folder");
            assert_eq!(file.metadata().expect("it is there").uid(), 0, "{}", file.display());
        }
    }
}
