//! Store and journal fail under load: locked, read-only, full, failing, missing, damaged. Nothing is lost, everything
//! recovers by itself, and at the start the error says what is wrong.

use crate::clients::{self, Load, Seen};
use crate::join::{arrived, join, quiet};
use crate::plan::{PRICES, Plan};
use crate::provider::Provider;
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Key, Setup};
use crate::support::{PATIENCE, is_installed, skipped};
use crate::wire::Wire;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Requests that are begun while a fault lasts, times `TOLLGATE_CHAOS_RUNS`.
const REQUESTS: u64 = 250;

/// Numbers of requests beside the load: higher than any of its.
const PROBES: u64 = 1 << 40;

const DATABASE: [&str; 3] = ["data/tollgate.db", "data/tollgate.db-wal", "data/tollgate.db-shm"];

struct Stage {
    seed: u64,
    provider: Provider,
    gateway: Gateway,
    keys: Vec<Key>,
    seen: Vec<Seen>,
    next: u64,
}

impl Stage {
    /// A gateway that is not started yet.
    async fn set() -> Self {
        let seed = crate::seed();
        println!("TOLLGATE_CHAOS_SEED={seed}");
        let provider = Provider::start(true).await;
        let gateway = Gateway::prepare(&Setup::new(Wire::upstreams("u", provider.address, "")).prices(PRICES));
        let keys = vec![gateway.key("free", &[]).await, gateway.key("rich", &["--quota-usd", "1000"]).await];
        Self { seed, provider, gateway, keys, seen: Vec::new(), next: 0 }
    }

    fn load(&self) -> Load {
        let (seed, keys) = (self.seed, self.keys.len());
        let credentials: Vec<_> = self.keys.iter().map(|key| key.key.clone()).collect();
        Load::start(self.gateway.address, &credentials, self.next, move |number| Plan::draw(seed, number, keys, false))
    }

    /// So many requests, more or less.
    async fn send(&mut self, count: u64) {
        let load = self.load();
        let started = Instant::now();
        while load.begun() < count {
            assert!(started.elapsed() < 6 * PATIENCE, "{} requests in all that time", load.begun());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.end(load).await;
    }

    async fn end(&mut self, load: Load) {
        load.stop();
        let begun = load.begun();
        let seen = load.seen().await;
        self.next = seen.iter().map(|seen| seen.plan.number + 1).max().unwrap_or_default().max(self.next + begun);
        self.seen.extend(seen);
    }

    /// Nobody was refused since then.
    fn assert_all_admitted(&self, before: usize) {
        for seen in &self.seen[before..] {
            let is_refused = seen.refused.as_deref() == Some("BILLING_UNAVAILABLE");
            assert!(!is_refused, "the journal can be written: {seen:?}");
        }
    }

    /// The journal fails: new requests are refused, by a code that says so, and told to come again.
    async fn refused_by_billing(&mut self) {
        let started = Instant::now();
        loop {
            let plan = Plan::chat(PROBES + self.seen.len() as u64, 5);
            let seen = clients::send(self.gateway.address, plan, &self.keys[0].key, &mut None).await;
            let is_refused = seen.refused.as_deref() == Some("BILLING_UNAVAILABLE");
            self.seen.push(seen);
            if is_refused {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "the journal cannot be written, and requests are admitted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("refused {} ms after the fault began", started.elapsed().as_millis());
        let answer = self.gateway.send(&Plan::chat(u64::MAX, 5).request(&self.keys[0].key)).await;
        assert_eq!((answer.status, &*answer.error_code()), (503, "BILLING_UNAVAILABLE"), "{}", answer.text());
        assert!(answer.field("retry-after").is_some(), "{:?}", answer.fields);
    }

    /// Waits until it admits again, by itself.
    async fn admitted(&self) {
        let started = Instant::now();
        while self.gateway.send(&Request::get("/v1/health")).await.status != 200 {
            assert!(started.elapsed() < PATIENCE, "it does not recover\n{}", self.gateway.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("admits {} ms after the fault ended", started.elapsed().as_millis());
    }

    async fn finish(self) {
        quiet(&self.gateway).await;
        arrived(&self.gateway, &self.seen).await;
        let tally = join(&self.gateway, &self.seen, &[&self.provider]);
        println!("{}", tally.figures());
        tally.assert_clean(&format!("TOLLGATE_CHAOS_SEED={}", self.seed));
        assert!(!self.gateway.said().contains("panicked"), "{}", self.gateway.said());
        self.gateway.finish(&self.keys.iter().collect::<Vec<_>>()).await;
    }
}

/// Makes system calls of a process fail, or not come back, as long as it lives.
pub(crate) struct Injected(Child);

impl Injected {
    /// `None`: this system lets nobody look into another process. The runner of our workflow is told to.
    pub(crate) async fn into(gateway: &Gateway, calls: &str, fault: &str, files: &[&str]) -> Option<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
        command.arg("-e").arg(format!("inject={calls}:{fault}")).arg("-p").arg(gateway.pid().to_string());
        for file in files {
            command.arg("-P").arg(gateway.path(file));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut strace = Self(command.spawn().expect("strace starts"));
        let started = Instant::now();
        loop {
            let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap_or_default();
            if status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")) {
                return Some(strace);
            }
            if strace.0.try_wait().expect("a child").is_some() || started.elapsed() > PATIENCE {
                skipped("strace may not attach to a process here", "GITHUB_ACTIONS");
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        // By a signal that it hears: it lets its process go first.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn requests() -> u64 {
    REQUESTS * crate::number_from("TOLLGATE_CHAOS_RUNS").unwrap_or(1).max(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_locked_read_only_or_failing_stops_nobody() {
    let _alone = crate::alone().await;
    let mut stage = Stage::set().await;
    stage.gateway.serve().await;
    stage.send(20).await;
    let before = stage.seen.len();
    let database = rusqlite::Connection::open(stage.gateway.path(DATABASE[0])).expect("the store");
    database.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    stage.send(requests()).await;
    database.execute_batch("ROLLBACK").expect("unlocked");
    drop(database);
    if is_installed("strace") {
        for error in ["EROFS", "EIO", "ENOSPC"] {
            let fault = format!("error={error}");
            let injected = Injected::into(&stage.gateway, "pwrite64,fdatasync,fsync", &fault, &DATABASE).await;
            if injected.is_some() {
                stage.send(requests() / 2).await;
                let lag = stage.gateway.metric("tollgate_applier_lag_bytes", &[]).await;
                assert!(lag > 0.0, "{error} did not reach the store");
            }
        }
    }
    stage.assert_all_admitted(before);
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_fails_under_load_refuses_and_recovers_by_itself() {
    let _alone = crate::alone().await;
    if !is_installed("strace") {
        return;
    }
    let mut stage = Stage::set().await;
    stage.gateway.serve().await;
    for error in ["EIO", "ENOSPC"] {
        let load = stage.load();
        while load.begun() < requests() / 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Of the journal and of the store: a disk.
        let fault = format!("error={error}");
        let Some(injected) = Injected::into(&stage.gateway, "pwrite64,fdatasync", &fault, &[]).await else { return };
        stage.refused_by_billing().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(injected);
        stage.admitted().await;
        let before = load.begun();
        while load.begun() < before + requests() / 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stage.end(load).await;
    }
    let whole = stage.seen.iter().filter(|seen| seen.whole).count();
    assert!(whole > 200, "{whole}");
    stage.finish().await;
}

/// A small file system of its own, until it is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `None`: nobody may mount here.
    fn mount(folder: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a writable folder");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder);
        let output = command.output().expect("mount runs");
        if output.status.success() {
            return Some(Self(folder));
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_forbidden = ["permission denied", "superuser", "not permitted"].iter().any(|word| said.contains(word));
        assert!(is_forbidden || std::env::var_os("CI").is_none(), "{said}");
        eprintln!("skipped: nothing can be mounted here: {said}");
        None
    }

    /// Takes all the room there is.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("filler")).expect("a file");
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("the file is there");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: after a failure the gateway may still be there.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_store_and_journal_loses_nothing() {
    let _alone = crate::alone().await;
    let mut stage = Stage::set().await;
    let data = stage.gateway.path("data");
    // The keys are there already, and have to be on the small disk.
    let aside = stage.gateway.path("aside");
    std::fs::rename(&data, &aside).expect("the folder");
    let disk = SmallDisk::mount(&data, "40m");
    for entry in std::fs::read_dir(&aside).expect("the folder").flatten() {
        std::fs::copy(entry.path(), data.join(entry.file_name())).expect("room");
    }
    let Some(disk) = disk else { return };
    stage.gateway.serve().await;
    // No room for a first segment: nothing can be promised.
    disk.fill();
    stage.refused_by_billing().await;
    disk.clear();
    stage.admitted().await;
    stage.send(50).await;
    // Room in the segment that was reserved, and none for the store.
    let before = stage.seen.len();
    disk.fill();
    stage.send(2 * requests()).await;
    stage.assert_all_admitted(before);
    disk.clear();
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_missing_or_damaged_at_the_start_is_an_error_and_costs_nothing() {
    let _alone = crate::alone().await;
    let mut stage = Stage::set().await;
    stage.gateway.serve().await;
    let database = rusqlite::Connection::open(stage.gateway.path(DATABASE[0])).expect("the store");
    database.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    stage.send(100).await;
    stage.gateway.kill().await;
    database.execute_batch("ROLLBACK").expect("unlocked");
    drop(database);
    // What was answered is in the journal alone.
    for file in DATABASE {
        let _ = std::fs::rename(stage.gateway.path(file), stage.gateway.path(&format!("{file}.aside")));
    }
    // Should it start after all, it ends all the same.
    stage
        .gateway
        .write("limited", &format!("#!/bin/sh\nexec timeout -s KILL 20 {} \"$@\"\n", env!("CARGO_BIN_EXE_tollgate")));
    std::fs::set_permissions(stage.gateway.path("limited"), Permissions::from_mode(0o755)).expect("our file");
    let limited = stage.gateway.path("limited");
    let program = std::mem::replace(&mut stage.gateway.program, limited);
    let garbage = "this is no database, and longer than a header of one is".repeat(100);
    for (content, words) in [(None, "holds requests that are not in it"), (Some(garbage), "tollgate.db")] {
        if let Some(content) = content {
            std::fs::write(stage.gateway.path(DATABASE[0]), content).expect("a writable folder");
        }
        let output = stage.gateway.run(&["serve"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        for file in DATABASE {
            let _ = std::fs::remove_file(stage.gateway.path(file));
        }
    }
    for file in DATABASE {
        let _ = std::fs::rename(stage.gateway.path(&format!("{file}.aside")), stage.gateway.path(file));
    }
    stage.gateway.program = program;
    stage.gateway.serve().await;
    stage.send(50).await;
    stage.finish().await;
}
