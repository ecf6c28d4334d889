//! Processes that are killed at any moment.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};

/// Tells the test binary, started again, that it is the process to be killed, and where.
const PLACE: &str = "TOLLGATE_TEST_CRASH_PLACE";

/// How many times a process is killed, times [`scale`].
const RUNS: u64 = 24;

/// Costs: of a settled request, of its progress.
const SETTLED: i64 = 1_000;
const PROGRESS: i64 = 10;

/// The process to be killed: as many requests as it can, each step written down when it is acknowledged.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let url = crate::store::StoreUrl::Sqlite(folder.join("t.db"));
    let store = crate::store::open(&url, Durability::Process).unwrap();
    let keys = Arc::new(Keys::new());
    let options = LedgerOptions { segment_bytes: 0, ..LedgerOptions::new(folder.join("journal")) };
    let ledger = Ledger::open(options, store, Arc::clone(&keys)).unwrap();
    let log = OpenOptions::new().append(true).create(true).open(folder.join("acknowledged")).unwrap();
    let entry = keys.get(1).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3_usize {
            let (ledger, entry, log) = (&ledger, &entry, &log);
            scope.spawn(move || {
                for turn in thread.. {
                    one_request(ledger, entry, log, turn);
                }
            });
        }
    });
}

fn one_request(ledger: &Arc<Ledger>, entry: &Arc<KeyEntry>, mut log: &std::fs::File, turn: usize) {
    let request_id = Uuid::now_v7();
    let mut say = |what: &str| log.write_all(format!("{what} {request_id}\n").as_bytes()).unwrap();
    let mut hold = ledger.hold(entry, 5, Opening { request_id, ..Opening::default() }).unwrap();
    wait(hold.journaled()).unwrap();
    say("held");
    if turn.is_multiple_of(7) {
        say("voiding");
        hold.void();
        return;
    }
    hold.sent();
    if turn.is_multiple_of(3) {
        hold.progress(Progress { cost_nanos: PROGRESS, attempts: 1, ..Progress::default() });
    }
    if turn.is_multiple_of(5) {
        std::thread::sleep(Duration::from_millis(3));
    }
    let told = record(&hold, SETTLED);
    wait(hold.settle(told)).unwrap();
    say("settled");
}

/// How long a run lasts, in milliseconds: from before the process has begun to well into its work.
fn lifetime_ms(run: u64) -> u64 {
    (run * 37 + rand::random_range(0..20)) % 170
}

fn acknowledged(place: &Place) -> BTreeMap<Uuid, BTreeSet<String>> {
    let text = std::fs::read_to_string(place.folder.path().join("acknowledged")).unwrap_or_default();
    let mut requests = BTreeMap::<Uuid, BTreeSet<String>>::new();
    for line in text.lines() {
        if let Some((what, request_id)) = line.split_once(' ') {
            requests.entry(Uuid::parse_str(request_id).unwrap()).or_default().insert(what.to_owned());
        }
    }
    requests
}

#[test]
fn killed_processes_lose_and_double_nothing() {
    let place = Place::with_key(Some(i64::MAX));
    // Paths of tests do not begin with the crate's name.
    let child = format!("{}::child", module_path!().split_once("::").unwrap().1);
    for run in 0..RUNS * scale() as u64 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &child, "--nocapture"])
            .env(PLACE, place.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(lifetime_ms(run)));
        assert_eq!(process.try_wait().unwrap(), None, "run {run} ended by itself");
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let running = place.open();
    assert!(running.ledger.recovered().damage.is_empty());
    let mut rows = BTreeMap::new();
    for row in running.rows() {
        assert!(rows.insert(row.request_id, row).is_none(), "a request is there twice");
    }
    let requests = acknowledged(&place);
    assert!(requests.values().filter(|said| said.contains("settled")).count() > 100, "too few to tell anything");
    for (request_id, said) in &requests {
        let row = rows.get(request_id).map(|row| (row.outcome, row.cost_nanos));
        let is_right = match row {
            Some((Outcome::Ok, cost_nanos)) => cost_nanos == SETTLED && !said.contains("voiding"),
            Some((Outcome::Interrupted, cost_nanos)) => {
                !said.contains("settled") && (cost_nanos == 0 || cost_nanos == PROGRESS)
            }
            Some(_) => false,
            None => said.contains("voiding"),
        };
        assert!(is_right, "{request_id}: {said:?} was acknowledged, {row:?} is in the ledger");
    }
    let sum: i64 = rows.values().map(|row| row.cost_nanos).sum();
    assert_eq!(
        running.entry().account.balance(),
        Balance { quota_nanos: Some(i64::MAX), spent_nanos: sum, held_nanos: 0 }
    );
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    assert_eq!(place.assert_clean().notes, Vec::<String>::new());
}
