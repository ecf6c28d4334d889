//! Journals and stores that were changed behind the ledger's back.

use super::*;
use std::fs;

/// A place whose last process died with everything in the journal, nothing of it in the store; with the ids of the
/// requests in the order of the journal.
fn left_behind(requests: usize) -> (Place, Vec<Uuid>) {
    let place = Place::with_key(None);
    let running = place.open();
    let aside = place.folder.path().join("aside.db");
    fs::rename(place.database(), &aside).unwrap();
    let ids = (0..requests)
        .map(|_| {
            let hold = running.hold(0);
            let request_id = hold.opening().request_id;
            let told = record(&hold, 1);
            wait(hold.settle(told)).unwrap();
            request_id
        })
        .collect();
    assert!(!running.ledger.shutdown(Duration::from_millis(20)));
    drop(running);
    fs::rename(&aside, place.database()).unwrap();
    (place, ids)
}

fn only_segment(place: &Place) -> PathBuf {
    let writers = folder::writers(&place.journal_dir()).unwrap();
    segment::path(&folder::of_writer(&place.journal_dir(), writers[0]), 1)
}

#[test]
fn a_flipped_byte_in_a_journal_is_reported_and_costs_no_other_record() {
    let (place, ids) = left_behind(4);
    let path = only_segment(&place);
    let whole = fs::read(&path).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    // In the first record behind the header: the hold of the first request.
    for at in [segment::HEADER_BYTES, segment::HEADER_BYTES + 20, end / 2] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        let report = verify(&*place.store(), &place.journal_dir()).unwrap();
        assert!(!report.is_clean(), "byte {at}");
        assert!(report.problems[0].contains("damaged"), "{:?}", report.problems);
    }
    let running = place.open();
    let recovered = running.ledger.recovered();
    assert_eq!(recovered.damage.len(), 2, "the damage, and the record that is missing: {:?}", recovered.damage);
    assert!(recovered.rows >= ids.len() - 1);
    let aside = fs::read_dir(place.journal_dir()).unwrap().filter_map(Result::ok);
    assert_eq!(aside.filter(|entry| entry.path().extension().is_some_and(|e| e == "damaged")).count(), 1);
    assert!(running.ledger.shutdown(Duration::from_secs(30)));
    place.assert_clean();
}

#[test]
fn a_journal_cut_anywhere_gives_what_was_whole() {
    let (origin, ids) = left_behind(3);
    let writer_id = folder::writers(&origin.journal_dir()).unwrap()[0];
    let whole = fs::read(only_segment(&origin)).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut seen = 0;
    for cut in (segment::HEADER_BYTES..=end + 1).step_by(31) {
        let place = Place::with_key(None);
        let folder = folder::of_writer(&place.journal_dir(), writer_id);
        fs::create_dir_all(&folder).unwrap();
        let mut torn = whole.clone();
        torn[cut..].fill(0);
        fs::write(segment::path(&folder, 1), torn).unwrap();
        let running = place.open();
        let recovered = running.ledger.recovered().clone();
        assert_eq!(recovered.damage, Vec::<String>::new(), "cut {cut}");
        let rows = running.rows();
        assert!(rows.len() >= seen && rows.len() <= ids.len());
        assert!(rows.iter().all(|row| ids.contains(&row.request_id)));
        assert_eq!(rows.iter().filter(|row| row.outcome == Outcome::Interrupted).count(), recovered.interrupted);
        seen = rows.len();
        assert!(running.ledger.shutdown(Duration::from_secs(30)));
        place.assert_clean();
    }
    assert_eq!(seen, ids.len());
}

#[test]
fn a_segment_that_is_missing_is_reported() {
    let (place, _) = left_behind(2);
    fs::remove_file(only_segment(&place)).unwrap();
    let running = place.open();
    assert_eq!(running.ledger.recovered().rows, 0, "nothing is left to be found");
    drop(running);
    // In the middle it is noticed.
    let (place, _) = left_behind(2);
    let path = only_segment(&place);
    let writer_id = folder::writers(&place.journal_dir()).unwrap()[0];
    let mut later = segment::Header { writer_id, number: 3, first_sequence: 9 }.encode().to_vec();
    let event = wire::Event::Void { request_id: Uuid::nil() };
    wire::encode(&event, 9, wire::seed_of(writer_id), &mut later).unwrap();
    fs::write(path.with_file_name("0000000000000003.seg"), later).unwrap();
    let running = place.open();
    let damage = &running.ledger.recovered().damage;
    assert!(damage.len() == 1 && damage[0].contains("records 5 to 8 are missing"), "{damage:?}");
}

#[test]
fn a_journal_in_a_newer_format_stops_the_start() {
    let (place, _) = left_behind(1);
    let path = only_segment(&place);
    let mut bytes = fs::read(&path).unwrap();
    let start = segment::HEADER_BYTES;
    let body_bytes = u32::from_le_bytes(*bytes[start..].first_chunk().unwrap()) as usize;
    bytes[start + 16] = 200;
    let writer_id = folder::writers(&place.journal_dir()).unwrap()[0];
    let mut hasher = crc32fast::Hasher::new_with_initial(wire::seed_of(writer_id));
    hasher.update(&bytes[start..start + 4]);
    hasher.update(&bytes[start + 8..start + 8 + body_bytes]);
    let crc = hasher.finalize().to_le_bytes();
    bytes[start + 4..start + 8].copy_from_slice(&crc);
    fs::write(&path, bytes).unwrap();
    let error = Ledger::open(place.options(), place.store(), Arc::new(Keys::new())).err().unwrap();
    assert!(error.to_string().contains("a newer tollgate wrote this journal (format 200"), "{error}");
    assert!(path.exists(), "nothing is removed");
}

#[test]
fn a_journal_that_the_store_claims_to_have_is_compared_with_it() {
    let (place, _) = left_behind(3);
    let path = only_segment(&place);
    let journal = fs::read(&path).unwrap();
    let writer_id = folder::writers(&place.journal_dir()).unwrap()[0];
    drop(place.open());
    place.assert_clean();
    // As if the rows had never been written, though the position says so.
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, journal).unwrap();
    let other = Place::with_key(None);
    let position = crate::store::Position { segment: 1, offset: 9_999, sequence: 99 };
    other.store().writer_open(&Writer { id: writer_id, journal_dir: "/nowhere".into(), position }).unwrap();
    let report = verify(&*other.store(), &place.journal_dir()).unwrap();
    assert_eq!(report.problems_found, 3);
    assert!(report.problems[0].contains("was settled, and is not in the ledger"), "{:?}", report.problems);
}
