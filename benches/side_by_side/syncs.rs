//! A disk that is written and synced as Tollgate's journal is with `durability = "power"`, by a thread that does nothing
//! else: what that alone costs the machine.

use crate::Failure;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From the beginning of one sync to that of the next: what it comes to in the journal with 32 and 128 connections.
const PERIOD: Duration = Duration::from_millis(1);
/// What is written before each: the records of twenty requests.
const GROUP_BYTES: usize = 10_800;
/// The file's blocks are there before, as those of the journal.
const FILE_BYTES: usize = 16 << 20;

/// Goes on until it is ended.
pub(crate) struct Syncs {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Syncs {
    /// Begins, with a file of this folder.
    pub(crate) fn begin(folder: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(folder.join("synced"))?;
        file.write_all_at(&vec![0; FILE_BYTES], 0)?;
        file.sync_all()?;
        let stop = Arc::<AtomicBool>::default();
        let told = stop.clone();
        Ok(Self { stop, thread: std::thread::spawn(move || write_and_sync(&file, &told)) })
    }

    /// Ends it.
    pub(crate) fn end(self) -> Result<(), Failure> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the thread that syncs panicked")??;
        Ok(())
    }
}

fn write_and_sync(file: &File, stop: &AtomicBool) -> io::Result<()> {
    let group = vec![1; GROUP_BYTES];
    for at in (0..FILE_BYTES - GROUP_BYTES).step_by(GROUP_BYTES).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        file.write_all_at(&group, at as u64)?;
        file.sync_data()?;
        std::thread::sleep(PERIOD.saturating_sub(began.elapsed()));
    }
    Ok(())
}
