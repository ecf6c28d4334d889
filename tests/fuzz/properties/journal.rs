//! What a start reads of what a dead process left behind.

use super::input::Input;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tollgate::keyring::Keys;
use tollgate::ledger::{Durability, Ledger, LedgerOptions, verify};
use tollgate::store;

/// Whose journal it is: 00000000-0000-4000-8000-000000000009.
const WRITER: [u8; 16] = [0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 9];
const FOLDER: &str = "00000000-0000-4000-8000-000000000009";
/// Formats of records (see `src/ledger/wire.rs`): the first one, and the one with more behind its events.
const FORMATS: [u8; 2] = [1, 5];

/// Whatever stands in a journal, a start ends well and soon, with a ledger that agrees with itself, and the next start finds
/// nothing left to do. Records have checksums, which no mutation meets: half of the inputs are the events of records, one a line in
/// hexadecimal, which get theirs; the others are a segment's bytes behind its header, or with it.
pub(crate) fn recover(input: &Input<'_>) {
    let place = tempfile::tempdir().expect("a folder");
    let journal = place.path().join("journal");
    let folder = journal.join(FOLDER);
    fs::create_dir_all(&folder).expect("a folder");
    let segment = match input.choose(&[0, 1, 2, 3]) {
        0 | 1 => [header(1, 1), records(input)].concat(),
        2 => [header(1, 1), input.body.to_vec()].concat(),
        _ => input.body.to_vec(),
    };
    fs::write(folder.join("0000000000000001.seg"), &segment).expect("a file");
    if input.says(0) {
        fs::write(folder.join("0000000000000002.seg"), [header(2, 3), records(input)].concat()).expect("a file");
    }
    let interrupted = started(place.path(), &journal);
    let again = started(place.path(), &journal);
    assert_eq!(again.filter(|_| interrupted.is_some()).unwrap_or_default(), 0, "what was recovered is recovered again");
}

/// A start and an end. How much of what was left it has brought into the store; `None`: it refused.
fn started(place: &Path, journal: &Path) -> Option<usize> {
    let store = store::open(&store::StoreUrl::Sqlite(place.join("t.db")), Durability::Process).expect("a store");
    let options = LedgerOptions { segment_bytes: 0, ..LedgerOptions::new(journal) };
    let ledger = Ledger::open(options, Arc::clone(&store), Arc::new(Keys::new())).ok()?;
    let recovered = ledger.recovered().clone();
    assert!(ledger.shutdown(Duration::from_secs(20)), "it does not end");
    drop(ledger);
    let report = verify(&*store, journal).expect("a store that can be read");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    Some(recovered.rows + recovered.interrupted)
}

fn header(number: u64, first_sequence: u64) -> Vec<u8> {
    let mut bytes = [&b"TGJRNL1\n"[..], &WRITER, &number.to_le_bytes(), &first_sequence.to_le_bytes()].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The events as the records of a journal; what is no hexadecimal is an event as it is.
fn records(input: &Input<'_>) -> Vec<u8> {
    let format = FORMATS[usize::from(input.says(1))];
    let mut out = Vec::new();
    for (sequence, line) in (1u64..).zip(input.body.split(|byte| *byte == b'\n')) {
        let event = from_hex(line).unwrap_or_else(|| line.to_vec());
        let body = [&sequence.to_le_bytes()[..], &[format], &event].concat();
        let length = (body.len() as u32).to_le_bytes();
        let mut checksum = crc32fast::Hasher::new_with_initial(crc32fast::hash(&WRITER));
        checksum.update(&length);
        checksum.update(&body);
        out.extend_from_slice(&[&length[..], &checksum.finalize().to_le_bytes(), &body].concat());
    }
    out
}

fn from_hex(line: &[u8]) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    line.chunks(2).map(pair).collect()
}
