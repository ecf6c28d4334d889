//! What a loss of power can leave on the disk: everything that was synced, and any part of what was not.

use super::*;
use crate::ledger::disk::{Disk, DiskFile};
use crate::ledger::segment::{HEADER_BYTES, Scan, Step};
use rand::seq::IteratorRandom;
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};
use std::collections::{BTreeMap, BTreeSet};

/// A disk writes this much or nothing.
const SECTOR_BYTES: usize = 512;

/// Crash images that are looked at, times [`scale`].
const IMAGES: usize = 3_000;

/// Requests of a run.
const THREADS: usize = 4;
const REQUESTS: usize = 25;

/// One step of a run.
enum Op {
    Create(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Sync(PathBuf),
    SyncFolder,
    /// A request was told that its settlement is on the disk.
    Acknowledged(Uuid),
}

/// The file system, with a record of everything that is done to it.
#[derive(Clone, Default)]
struct TracingDisk(Arc<Mutex<Vec<Op>>>);

struct TracingFile(TracingDisk, PathBuf, Box<dyn DiskFile>);

impl Disk for TracingDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = FileSystem.create(path, bytes)?;
        self.0.lock().push(Op::Create(path.to_owned()));
        Ok(Box::new(TracingFile(self.clone(), path.to_owned(), file)))
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        self.0.lock().push(Op::SyncFolder);
        Ok(())
    }
}

impl DiskFile for TracingFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.0.lock().push(Op::Write(self.1.clone(), offset, bytes.to_vec()));
        self.2.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        // Only the trace counts; really syncing would make the test slow.
        self.0.0.lock().push(Op::Sync(self.1.clone()));
        Ok(())
    }
}

/// A run with `durability = "power"` and its trace.
fn trace() -> (Uuid, Vec<Op>) {
    let place = Place::with_key(None);
    let disk = TracingDisk::default();
    let options = LedgerOptions { durability: Durability::Power, ..place.options() };
    let running = place.open_with(options, Arc::new(disk.clone()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for turn in 0..REQUESTS {
                    let hold = running.hold(0);
                    let request_id = hold.opening().request_id;
                    // Some records are longer than a sector, some far shorter.
                    let told = LedgerRecord { model: "x".repeat(turn * 20).into(), ..record(&hold, 3) };
                    wait(hold.settle(told)).unwrap();
                    disk.0.lock().push(Op::Acknowledged(request_id));
                }
            });
        }
    });
    let writer_id = running.ledger.writer_id;
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    (writer_id, std::mem::take(&mut *disk.0.lock()))
}

/// One segment of an image.
#[derive(Clone, Default)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// Written, and not synced yet.
    pub(super) unsynced: Vec<(u64, Vec<u8>)>,
    /// The folder was synced with it.
    pub(super) is_named: bool,
}

impl File {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset..end].copy_from_slice(bytes);
    }

    pub(super) fn sync(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            self.write(offset as usize, &bytes);
        }
    }

    /// Any subset of the sectors that were not synced, in the order in which they were written.
    pub(super) fn lose_some(&mut self, random: &mut impl Rng) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            let mut start = 0;
            while start < bytes.len() {
                let next = (offset as usize + start) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES - offset as usize;
                let end = next.min(bytes.len());
                if random.random() {
                    self.write(offset as usize + start, &bytes[start..end]);
                }
                start = end;
            }
        }
    }
}

/// The settlements that can be read from an image.
fn settlements(writer_id: Uuid, files: &BTreeMap<PathBuf, File>) -> BTreeSet<Uuid> {
    let mut settled = BTreeSet::new();
    for file in files.values().filter(|file| file.is_named) {
        let mut scan = Scan::new(&file.bytes, HEADER_BYTES, wire::seed_of(writer_id));
        loop {
            match scan.step() {
                Step::Record(decoded, _) => {
                    if let wire::Event::Settle(record) = decoded.event {
                        assert_eq!(record.cost_nanos, 3);
                        settled.insert(record.request_id);
                    }
                }
                Step::Damage(_) => {}
                Step::UnknownFormat(format, _) => panic!("format {format}"),
                Step::End { .. } => break,
            }
        }
    }
    settled
}

#[test]
fn no_loss_of_power_takes_an_acknowledged_record() {
    let (writer_id, ops) = trace();
    let mut random = SmallRng::seed_from_u64(20_260_101);
    let images = IMAGES * scale();
    let cuts: BTreeSet<usize> = (0..ops.len()).sample(&mut random, images).into_iter().collect();
    let images_each = images.div_ceil(cuts.len());
    let mut files = BTreeMap::<PathBuf, File>::new();
    let mut acknowledged = BTreeSet::new();
    for (index, op) in ops.into_iter().enumerate() {
        match op {
            Op::Create(path) => drop(files.insert(path, File::default())),
            Op::Write(path, offset, bytes) => files.get_mut(&path).unwrap().unsynced.push((offset, bytes)),
            Op::Sync(path) => files.get_mut(&path).unwrap().sync(),
            Op::SyncFolder => files.values_mut().for_each(|file| file.is_named = true),
            Op::Acknowledged(request_id) => drop(acknowledged.insert(request_id)),
        }
        for _ in 0..if cuts.contains(&index) { images_each } else { 0 } {
            // Segments that were applied are gone by now in truth; here they are all kept.
            let mut image = files.clone();
            image.values_mut().for_each(|file| file.lose_some(&mut random));
            let settled = settlements(writer_id, &image);
            assert!(acknowledged.is_subset(&settled), "after step {index}");
        }
    }
    assert_eq!(acknowledged.len(), THREADS * REQUESTS);
}

#[test]
fn most_syncs_find_no_block_written_for_the_first_time() {
    let (_, ops) = trace();
    let (mut ends, mut grown) = (BTreeMap::<&Path, u64>::new(), BTreeSet::<&Path>::new());
    let (mut syncs, mut growing) = (0, 0);
    for op in &ops {
        match op {
            Op::Write(path, offset, bytes) => {
                let (end, written) = (ends.entry(path).or_default(), offset + bytes.len() as u64);
                if written > *end {
                    *end = written;
                    grown.insert(path);
                }
            }
            Op::Sync(path) => {
                syncs += 1;
                growing += usize::from(grown.remove(path.as_path()));
            }
            Op::Create(_) | Op::SyncFolder | Op::Acknowledged(_) => {}
        }
    }
    let segments = ends.len();
    // The header's and the first group's.
    assert!(growing <= 2 * segments, "{growing} of {syncs} syncs, in {segments} segments");
    assert!(syncs > 4 * segments, "{syncs} syncs in {segments} segments tell nothing");
}
