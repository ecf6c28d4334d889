//! What the journal does to the disk, as a seam, so that a test can make each of it fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Makes and removes segment files.
pub(super) trait Disk: Send + Sync {
    /// Makes a file of `bytes` bytes with the blocks reserved, empty if it was there already.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// One segment file that is being written.
pub(super) trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`. After an error, any part of it may have been written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system.
pub(super) struct FileSystem;

impl Disk for FileSystem {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        match fs4::FileExt::allocate(&file, bytes) {
            Ok(()) => {}
            // Some file systems cannot reserve; there, a full disk shows with a later write.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => file.set_len(bytes)?,
            Err(error) => {
                // Not left behind as a half-made segment; the error that counts is the first.
                let _ = std::fs::remove_file(path);
                return Err(error);
            }
        }
        Ok(Box::new(file))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl DiskFile for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
pub(super) mod faulty {
    use super::{Disk, DiskFile, FileSystem};
    use parking_lot::{Mutex, MutexGuard};
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    /// Which calls fail, counted over all files.
    #[derive(Debug, Default)]
    pub(in crate::ledger) struct Faults {
        /// Calls so far.
        pub(in crate::ledger) calls: u64,
        /// Calls from the first of these to before the second fail.
        pub(in crate::ledger) fail: std::ops::Range<u64>,
        /// A write that fails writes this share of its bytes first, in percent.
        pub(in crate::ledger) torn_percent: usize,
        /// What the error is; 0: EIO.
        pub(in crate::ledger) errno: i32,
        /// No call comes back as long as this is so.
        pub(in crate::ledger) hangs: bool,
    }

    /// The file system, some of whose calls fail.
    #[derive(Clone, Default)]
    pub(in crate::ledger) struct FaultyDisk(pub(in crate::ledger) Arc<Mutex<Faults>>);

    impl FaultyDisk {
        fn call(&self) -> Result<(), (io::Error, usize)> {
            let mut faults = self.0.lock();
            faults.calls += 1;
            while faults.hangs {
                MutexGuard::unlocked(&mut faults, || std::thread::sleep(Duration::from_millis(1)));
            }
            if !faults.fail.contains(&faults.calls) {
                return Ok(());
            }
            let errno = if faults.errno == 0 { 5 } else { faults.errno };
            Err((io::Error::from_raw_os_error(errno), faults.torn_percent))
        }
    }

    impl Disk for FaultyDisk {
        fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
            self.call().map_err(|(error, _)| error)?;
            Ok(Box::new(FaultyFile { disk: self.clone(), file: FileSystem.create(path, bytes)? }))
        }

        fn sync_folder(&self, path: &Path) -> io::Result<()> {
            self.call().map_err(|(error, _)| error)?;
            FileSystem.sync_folder(path)
        }
    }

    struct FaultyFile {
        disk: FaultyDisk,
        file: Box<dyn DiskFile>,
    }

    impl DiskFile for FaultyFile {
        fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
            match self.disk.call() {
                Ok(()) => self.file.write_at(bytes, offset),
                Err((error, torn_percent)) => {
                    self.file.write_at(&bytes[..bytes.len() * torn_percent / 100], offset)?;
                    Err(error)
                }
            }
        }

        fn sync(&mut self) -> io::Result<()> {
            self.disk.call().map_err(|(error, _)| error)?;
            self.file.sync()
        }
    }
}
