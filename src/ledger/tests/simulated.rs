//! A disk that goes wrong in every way at once, drawn from a seed, under load: short writes, EIO, ENOSPC, syncs that fail
//! and lose what they were to keep, and at last a loss of power that takes any part of what was not synced.
//!
//! `TOLLGATE_CHAOS_SEED=N` draws the same faults and the same load again, `TOLLGATE_CHAOS_RUNS=1000` makes it long.

use super::images::File;
use super::*;
use crate::ledger::disk::{Disk, DiskFile};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::collections::BTreeMap;
use std::fs;

/// Runs without `TOLLGATE_CHAOS_RUNS`.
const RUNS: u64 = 12;

/// Disks that a loss of power may have left, for each run that ends with one.
const IMAGES_EACH: usize = 10;

/// Threads that send requests, and how many each.
const THREADS: u64 = 4;
const REQUESTS: u64 = 15;

/// Costs: of a settled request, of its progress.
const SETTLED: i64 = 1_000;
const PROGRESS: i64 = 10;

const ERRORS: [i32; 2] = [5 /* EIO */, 28 /* ENOSPC */];

/// What the disk does, and what of it would be there after a loss of power.
struct Simulated {
    random: SmallRng,
    /// Of a hundred calls so many fail; 0: it is well.
    failing_percent: u32,
    /// Calls until the power goes.
    calls_left: u64,
    files: BTreeMap<PathBuf, File>,
    faults: u64,
}

impl Simulated {
    fn call(&mut self) -> io::Result<()> {
        self.calls_left = self.calls_left.saturating_sub(1);
        if self.calls_left == 0 {
            return Err(io::Error::from_raw_os_error(ERRORS[0]));
        }
        if self.random.random_ratio(self.failing_percent, 100) {
            self.faults += 1;
            let errno = ERRORS[self.random.random_range(0..ERRORS.len())];
            return Err(io::Error::from_raw_os_error(errno));
        }
        Ok(())
    }

    fn is_dead(&self) -> bool {
        self.calls_left == 0
    }
}

#[derive(Clone)]
struct SimulatedDisk(Arc<Mutex<Simulated>>);

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut disk = self.0.lock();
        disk.call()?;
        let file = FileSystem.create(path, bytes)?;
        // One that was there is emptied, and keeps its name.
        let is_named = disk.files.get(path).is_some_and(|before| before.is_named);
        disk.files.insert(path.to_owned(), File { is_named, ..File::default() });
        Ok(Box::new(SimulatedFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call()?;
        disk.files
            .iter_mut()
            .filter(|(file, _)| file.parent() == Some(path))
            .for_each(|(_, file)| file.is_named = true);
        Ok(())
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl SimulatedFile {
    fn write(&mut self, disk: &mut Simulated, bytes: &[u8], offset: u64) -> io::Result<()> {
        let image = disk.files.get_mut(&self.path).expect("it was made here");
        image.unsynced.push((offset, bytes.to_vec()));
        self.file.write_at(bytes, offset)
    }
}

impl DiskFile for SimulatedFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let simulated = Arc::clone(&self.disk.0);
        let mut disk = simulated.lock();
        match disk.call() {
            Ok(()) => self.write(&mut disk, bytes, offset),
            Err(error) if disk.is_dead() => Err(error),
            Err(error) => {
                let written = disk.random.random_range(0..=bytes.len());
                self.write(&mut disk, &bytes[..written], offset)?;
                Err(error)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk.0.lock();
        let called = disk.call();
        let Simulated { files, random, .. } = &mut *disk;
        let image = files.get_mut(&self.path).expect("it was made here");
        match called {
            // Only the image counts; really syncing would make the test slow.
            Ok(()) => image.sync(),
            // As Linux has it: what could not be written is forgotten, and the next sync succeeds.
            Err(_) if random.random() => image.lose_some(random),
            Err(_) => {}
        }
        called
    }
}

/// What a thread was told of one of its requests.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    held: bool,
    settled: bool,
    /// It was given up before it was sent.
    voided: bool,
}

type AllTold = Mutex<BTreeMap<Uuid, Told>>;

struct Run {
    durability: Durability,
    place: Place,
    /// `None`: it has ended.
    running: Option<Running>,
    disk: SimulatedDisk,
    told: AllTold,
}

impl Run {
    fn begin(random: &mut SmallRng, durability: Durability) -> Self {
        let place = Place::with_key(Some(i64::MAX));
        let disk = SimulatedDisk(Arc::new(Mutex::new(Simulated {
            random: SmallRng::seed_from_u64(random.random()),
            failing_percent: 0,
            calls_left: u64::MAX,
            files: BTreeMap::new(),
            faults: 0,
        })));
        let running = place.open_with(LedgerOptions { durability, ..place.options() }, Arc::new(disk.clone()));
        Self { durability, place, running: Some(running), disk, told: AllTold::default() }
    }

    /// Requests until there were enough, or the power is gone.
    fn load(&self, seed: u64) {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let mut random = SmallRng::seed_from_u64(seed ^ (thread + 1));
                    for _ in 0..REQUESTS {
                        self.request(&mut random);
                    }
                });
            }
        });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    fn tell(&self, request_id: Uuid, change: impl FnOnce(&mut Told)) {
        change(self.told.lock().entry(request_id).or_default());
    }

    fn request(&self, random: &mut SmallRng) {
        let mut hold = loop {
            match self.running().try_hold(SETTLED) {
                Ok(hold) => break hold,
                Err(HoldError::BillingUnavailable) if self.disk.0.lock().is_dead() => return,
                Err(HoldError::BillingUnavailable) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => panic!("{error:?}"),
            }
        };
        let request_id = hold.opening().request_id;
        let kind = random.random_range(0..10);
        self.tell(request_id, |_| {});
        let held = wait(hold.journaled()).is_ok();
        self.tell(request_id, |told| told.held = held);
        if !held || kind == 0 {
            self.tell(request_id, |told| told.voided = true);
            hold.void();
            return;
        }
        hold.sent();
        if kind < 4 {
            hold.progress(Progress { cost_nanos: PROGRESS, attempts: 1, ..Progress::default() });
        }
        if kind == 1 {
            // It ends by itself.
            drop(hold);
            return;
        }
        // Some records are longer than a sector, some far shorter.
        let model = "x".repeat(random.random_range(0..1_200));
        let record = LedgerRecord { model: model.into(), ..record(&hold, SETTLED) };
        let settled = wait(hold.settle(record)).is_ok();
        self.tell(request_id, |told| told.settled = settled);
    }

    /// The disk is well again: nothing is missing, and nobody had to do anything.
    fn heal(self, context: &str) {
        self.disk.0.lock().failing_percent = 0;
        let running = self.running();
        until(|| running.ledger.healthy());
        running.settle_down();
        self.compare(running, context);
        assert!(running.ledger.shutdown(Duration::from_secs(30)), "{context}");
        self.place.assert_clean();
    }

    /// The end of the process, and of the machine with `power`. Returns how many disks were looked at.
    fn die(mut self, random: &mut SmallRng, context: &str) -> usize {
        self.disk.0.lock().calls_left = 1;
        let _ = self.disk.0.lock().call();
        self.running().ledger.shutdown(Duration::ZERO);
        self.running = None;
        let aside = self.place.folder.path().join("aside.db");
        if aside.exists() {
            fs::rename(&aside, self.place.database()).unwrap();
        }
        let images = if self.durability == Durability::Power { IMAGES_EACH } else { 1 };
        for image in 0..images {
            let place = self.image(random);
            let running = place.open();
            let context = format!("{context}, image {image}: {:?}", running.ledger.recovered());
            self.compare(&running, &context);
            assert!(running.ledger.shutdown(Duration::from_secs(30)), "{context}");
            assert_eq!(verify(&*place.store(), &place.journal_dir()).unwrap().problems, [""; 0], "{context}");
        }
        images
    }

    /// A copy of store and journal; with `power`, of what a loss of it may have left.
    fn image(&self, random: &mut SmallRng) -> Place {
        let place = Place::new();
        for entry in fs::read_dir(self.place.folder.path()).unwrap().flatten() {
            if entry.path().is_file() {
                fs::copy(entry.path(), place.folder.path().join(entry.file_name())).unwrap();
            }
        }
        let disk = self.disk.0.lock();
        for writer in folder::writers(&self.place.journal_dir()).unwrap() {
            let (from, to) = [&self.place, &place].map(|place| folder::of_writer(&place.journal_dir(), writer)).into();
            fs::create_dir_all(&to).unwrap();
            for number in segment::numbers(&from).unwrap() {
                let path = segment::path(&from.canonicalize().unwrap(), number);
                let whole = fs::read(&path).unwrap();
                let mut image = disk.files[&path].clone();
                let bytes = if self.durability == Durability::Power {
                    image.lose_some(random);
                    if !image.is_named && random.random() {
                        continue;
                    }
                    image.bytes.resize(whole.len(), 0);
                    image.bytes
                } else {
                    whole
                };
                fs::write(segment::path(&to, number), bytes).unwrap();
            }
        }
        place
    }

    /// What the threads were told, against the rows and the balance.
    fn compare(&self, running: &Running, context: &str) {
        let rows: BTreeMap<_, _> = running.rows().into_iter().map(|row| (row.request_id, row)).collect();
        let told = self.told.lock();
        for (request_id, told) in &*told {
            let row = rows.get(request_id).map(|row| (row.outcome, row.cost_nanos));
            let is_right = match row {
                Some((Outcome::Ok, cost_nanos)) => cost_nanos == SETTLED && !told.voided,
                Some((Outcome::Interrupted, cost_nanos)) => !told.settled && [0, PROGRESS].contains(&cost_nanos),
                Some(_) => false,
                None => !told.held || told.voided,
            };
            assert!(is_right, "{context}: {request_id} was told {told:?}, its row is {row:?}");
        }
        assert!(rows.keys().all(|request_id| told.contains_key(request_id)), "{context}: a row of nobody");
        let spent_nanos = rows.values().map(|row| row.cost_nanos).sum();
        let balance = Balance { quota_nanos: Some(i64::MAX), spent_nanos, held_nanos: 0 };
        assert_eq!(running.entry().account.balance(), balance, "{context}");
    }
}

/// One run. How many faults there were, and how many disks were looked at.
fn run(seed: u64) -> (u64, usize) {
    let mut random = SmallRng::seed_from_u64(seed);
    let durability = if random.random_ratio(3, 4) { Durability::Power } else { Durability::Process };
    let context = format!("TOLLGATE_CHAOS_SEED={seed} TOLLGATE_CHAOS_RUNS=1 ({durability:?})");
    let run = Run::begin(&mut random, durability);
    if random.random() {
        // The store is out of reach, so that everything is in the journal.
        fs::rename(run.place.database(), run.place.folder.path().join("aside.db")).unwrap();
    }
    let dies = random.random_ratio(3, 4);
    {
        let mut disk = run.disk.0.lock();
        disk.failing_percent = [0, 3, 10, 30][random.random_range(0..4)];
        if dies {
            disk.calls_left = random.random_range(2..200);
        }
    }
    run.load(seed);
    let faults = run.disk.0.lock().faults;
    if dies {
        return (faults, run.die(&mut random, &context));
    }
    let aside = run.place.folder.path().join("aside.db");
    if aside.exists() {
        fs::rename(aside, run.place.database()).unwrap();
    }
    run.heal(&context);
    (faults, 0)
}

fn number_from(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_a_disk_does_costs_no_acknowledged_record() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let first = number_from("TOLLGATE_CHAOS_SEED").unwrap_or(now.as_secs() % 1_000_000_000);
    let runs = number_from("TOLLGATE_CHAOS_RUNS").unwrap_or(RUNS);
    let (mut faults, mut images) = (0, 0);
    for seed in first..first + runs {
        println!("TOLLGATE_CHAOS_SEED={seed} TOLLGATE_CHAOS_RUNS=1");
        let (more_faults, more_images) = run(seed);
        faults += more_faults;
        images += more_images;
    }
    println!("{runs} runs, {faults} faults, {images} disks after an end");
}
