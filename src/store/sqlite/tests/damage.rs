//! Rows that were changed behind the ledger's back.

use super::*;
use crate::ledger::tests::scale;
use crate::ledger::{Report, verify};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rusqlite::types::Value;

/// Flips that are tried, times [`scale`]; each is a database of its own.
const FLIPS: usize = 1_000;

/// Flips of each column, times [`scale`].
const COLUMN_ROUNDS: usize = 30;

fn report(store: &SqliteStore, place: &Place) -> Report {
    verify(store, &place.folder.path().join("journal")).unwrap()
}

/// A ledger of six rows that fill every column.
fn with_rows() -> Place {
    let place = Place::new();
    let store = place.open();
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    let full = |id: u128| {
        let mut row = record(0x0192_0000_0000_7000_8000_0000_0000_0000 + id, 1, 1_000 + id as i64);
        row.started_at_ms = 1_760_000_000_000;
        row.user = Some("ann".into());
        row.error_code = Some("X".into());
        row.ttft_ms = Some(id as u64);
        row.model = "gpt-4o".into();
        row.group = "default".into();
        row.dialect = "openai".into();
        row.upstream = "first".into();
        row.upstream_model = "large".into();
        row.price_version = "abc".into();
        row.endpoint = "chat".into();
        row.metered.detail.web_searches = 3;
        row.metered.extras = vec![ExtraUsage { kind: "compaction".into(), ..ExtraUsage::default() }];
        row
    };
    store.apply(&settled((0..6).map(full))).unwrap();
    let report = report(&store, &place);
    assert!(report.is_clean(), "{:?}", report.problems);
    place
}

fn sql(place: &Place, sql: &str) {
    Connection::open(place.path()).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn every_kind_of_change_is_found() {
    for (change, expected) in [
        ("UPDATE ledger SET cost_nanos = cost_nanos - 1 WHERE sequence = 3", "row 3 (request"),
        ("UPDATE ledger SET user = NULL WHERE sequence = 1", "row 1 (request"),
        ("UPDATE ledger SET stream = 2 WHERE sequence = 1", "2 is no flag"),
        ("UPDATE ledger SET outcome = 'fine' WHERE sequence = 1", "\"fine\" is unknown"),
        ("UPDATE ledger SET extras = extras || ' ' WHERE sequence = 1", "not in the form"),
        ("UPDATE ledger SET extras = '[]' WHERE sequence = 2", "row 2 (request"),
        ("UPDATE ledger SET hash = zeroblob(32) WHERE sequence = 4", "row 4 (request"),
        ("DELETE FROM ledger WHERE sequence = 2", "row 3 follows row 1"),
        ("DELETE FROM ledger WHERE sequence = 6", "it ends with row 5"),
        ("DELETE FROM ledger", "it ends with row 0"),
        ("UPDATE account SET spent_nanos = spent_nanos - 1", "balance: key 1 has 6014"),
        ("DELETE FROM account", "balance: key 1 has none"),
        ("INSERT INTO account (key_id, spent_nanos) VALUES (2, 5)", "balance: key 2 has 5"),
        ("UPDATE chain_head SET sequence = 5", "it ends with row 6"),
        ("INSERT INTO open_hold VALUES (zeroblob(16), zeroblob(16), 1, 1, '{', NULL)", "open hold: one cannot be read"),
    ] {
        let place = with_rows();
        sql(&place, change);
        let report = report(&place.open(), &place);
        assert!(report.problems.iter().any(|problem| problem.contains(expected)), "{change}: {:?}", report.problems);
    }
}

#[test]
fn one_changed_row_is_one_problem() {
    let place = with_rows();
    sql(&place, "UPDATE ledger SET model = 'other' WHERE sequence = 2");
    assert_eq!(report(&place.open(), &place).problems_found, 1);
}

/// Rows and balances.
type Content = (Vec<LedgerRecord>, Vec<(i64, i64)>);

/// What a reader would see.
fn content(store: &SqliteStore) -> Option<Content> {
    let mut rows = Vec::new();
    let audit = store.audit(&mut |row| rows.push(row)).ok()?;
    let rows = rows.into_iter().map(|row| row.ok().map(|row| row.record)).collect::<Option<_>>()?;
    Some((rows, audit.balances))
}

#[test]
fn any_flipped_byte_of_the_file_is_found_or_means_nothing() {
    let place = with_rows();
    let before = content(&place.open()).unwrap();
    // One file, without a log beside it.
    sql(&place, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE; VACUUM;");
    let whole = std::fs::read(place.path()).unwrap();
    // Half of the flips go where rows are: there, every one must be found.
    let hits: Vec<usize> = (0..whole.len() - 6).filter(|at| whole[*at..].starts_with(b"gpt-4ofirstlarge")).collect();
    let mut random = SmallRng::seed_from_u64(7);
    let (mut found, mut meaningless) = (0, 0);
    let flips = FLIPS * scale();
    for turn in 0..flips {
        let in_row = turn.is_multiple_of(2);
        let at = match in_row {
            true => hits[random.random_range(0..hits.len())] - 30 + random.random_range(0..90),
            false => random.random_range(0..whole.len()),
        };
        let flipped = Place::new();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << random.random_range(0..8);
        std::fs::write(flipped.path(), &bytes).unwrap();
        let Ok(store) = SqliteStore::open(&flipped.path(), Durability::Process) else {
            found += 1;
            continue;
        };
        match verify(&store, flipped.folder.path()) {
            Ok(report) if report.is_clean() => {
                assert!(!in_row, "byte {at} was flipped in a row");
                assert_eq!(content(&store).as_ref(), Some(&before), "byte {at}");
                meaningless += 1;
            }
            _ => found += 1,
        }
    }
    assert!(found > flips / 2 && found + meaningless == flips, "{found} found, {meaningless} mean nothing");
}

/// A value with one bit of it turned, where it has any.
fn flip(value: Value, random: &mut SmallRng) -> Option<Value> {
    let mut turn = |mut bytes: Vec<u8>| {
        let at = (!bytes.is_empty()).then(|| random.random_range(0..bytes.len()))?;
        bytes[at] ^= 1 << random.random_range(0..8);
        Some(bytes)
    };
    Some(match value {
        Value::Null => return None,
        Value::Integer(number) => {
            Value::Integer(i64::from_le_bytes(*turn(number.to_le_bytes().into())?.first_chunk()?))
        }
        Value::Real(number) => Value::Real(f64::from_le_bytes(*turn(number.to_le_bytes().into())?.first_chunk()?)),
        // Text stays text; a bit that makes it something else is what the flips of bytes in the file are for.
        Value::Text(text) => Value::Text(String::from_utf8(turn(text.into_bytes())?).ok()?),
        Value::Blob(bytes) => Value::Blob(turn(bytes)?),
    })
}

#[test]
fn a_flipped_bit_of_any_column_of_any_row_is_found() {
    let place = with_rows();
    let connection = Connection::open(place.path()).unwrap();
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info('ledger')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(columns.len(), row::COLUMNS_COUNT);
    let store = place.open();
    let mut random = SmallRng::seed_from_u64(11);
    let mut flips_of = vec![0; columns.len()];
    for turn in 0..columns.len() * COLUMN_ROUNDS * scale() {
        let column = turn % columns.len();
        let name = &columns[column];
        let sequence = random.random_range(1..=6);
        let read = format!("SELECT {name} FROM ledger WHERE sequence = ?1");
        let value: Value = connection.query_row(&read, [sequence], |row| row.get(0)).unwrap();
        let Some(flipped) = flip(value.clone(), &mut random) else { continue };
        let now_at =
            if let ("sequence", Value::Integer(moved)) = (name.as_str(), &flipped) { *moved } else { sequence };
        let write = format!("UPDATE ledger SET {name} = ?1 WHERE sequence = ?2");
        // Some values the database itself does not take, such as a number that another row has.
        let Ok(1) = connection.execute(&write, (&flipped, sequence)) else { continue };
        let found = !report(&store, &place).is_clean();
        assert!(found, "{name} of row {sequence} was {value:?} and is {flipped:?}");
        flips_of[column] += 1;
        assert_eq!(connection.execute(&write, (&value, now_at)).unwrap(), 1);
    }
    assert!(report(&store, &place).is_clean());
    println!("{} flips", flips_of.iter().sum::<usize>());
    assert!(flips_of.iter().all(|flips| *flips > 0), "{columns:?}: {flips_of:?}");
}
