//! A store that an older version made: commands beside that version's gateway leave it as it is.

use crate::calls::Wire;
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use crate::support::until;
use std::fs::File;
use std::io::Write;

/// The tables as they were before the last change of them.
const OLDER: [&str; 6] = [
    include_str!("../../db/sqlite/0001_init.sql"),
    include_str!("../../db/sqlite/0002_claim.sql"),
    include_str!("../../db/sqlite/0003_people.sql"),
    include_str!("../../db/sqlite/0004_rollup.sql"),
    include_str!("../../db/sqlite/0005_user_account.sql"),
    include_str!("../../db/sqlite/0006_finer.sql"),
];

const STORE: &str = "data/tollgate.db";

fn make_older(gateway: &Gateway) {
    std::fs::create_dir_all(gateway.path("data/journal")).expect("a writable folder");
    let database = rusqlite::Connection::open(gateway.path(STORE)).expect("a new file");
    for tables in OLDER {
        database.execute_batch(tables).expect("tables");
    }
    database.pragma_update(None, "user_version", OLDER.len()).expect("a version");
}

fn version(gateway: &Gateway) -> usize {
    let database = rusqlite::Connection::open(gateway.path(STORE)).expect("the store");
    database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version")
}

/// Runs a command that must fail for the store's version: what it says.
fn refused(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = gateway.run(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(said.contains("an older tollgate made this database"), "{arguments:?}: {said}");
    assert_eq!(version(gateway), OLDER.len(), "{arguments:?}");
    said
}

#[tokio::test]
async fn a_store_of_an_older_version_stays_as_it_is_while_that_version_may_serve() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let mut gateway = Gateway::prepare(&Setup::new([Wire::Chat.upstream("u", &provider)]));
    make_older(&gateway);
    let id = "01900000-0000-7000-8000-000000000000";
    // Those that only read never change it, also where nobody serves.
    for arguments in [
        &["key", "list"][..],
        &["key", "show", "k"],
        &["log", "list"],
        &["usage"],
        &["ledger", "verify"],
        &["explain", id],
    ] {
        let said = refused(&gateway, arguments);
        assert!(said.contains("`tollgate serve` brings it up to date"), "{said}");
    }
    // Those that change something do not, either, while a gateway has the journals' folder.
    let lock = gateway.path("data/journal/lock");
    let mut older = File::options().create_new(true).write(true).open(&lock).expect("a writable folder");
    older.lock().expect("nobody has it");
    write!(older, "4711").expect("a writable file");
    for arguments in [&["key", "create", "k"][..], &["key", "set", "k", "--rpm", "1"], &["user", "password", "admin"]] {
        let said = refused(&gateway, arguments);
        assert!(said.contains("another tollgate serves") && said.contains("process 4711"), "{said}");
    }
    drop(older);
    // Nor while one serves with another folder than their configuration names.
    let writer = uuid::Uuid::now_v7();
    let folder = gateway.path("data/journal-of-before").join(writer.to_string());
    std::fs::create_dir_all(&folder).expect("a writable folder");
    let elsewhere = File::options().create_new(true).write(true).open(folder.join("lock")).expect("a writable folder");
    elsewhere.lock().expect("nobody has it");
    let database = rusqlite::Connection::open(gateway.path(STORE)).expect("the store");
    let dir = gateway.path("data/journal-of-before").to_string_lossy().into_owned();
    let register = "INSERT INTO writer (id, journal_dir, segment, byte_offset, sequence) VALUES (?, ?, 1, 0, 0)";
    database.execute(register, rusqlite::params![writer.as_bytes(), dir]).expect("a row");
    for arguments in [&["key", "create", "k"][..], &["key", "set", "k", "--rpm", "1"], &["user", "password", "admin"]] {
        let said = refused(&gateway, arguments);
        assert!(said.contains("another tollgate serves from this store") && said.contains(&dir), "{said}");
    }
    drop((database, elsewhere));
    // Nobody serves any more: then they may.
    let key = gateway.key("k", &[]).await;
    assert!(version(&gateway) > OLDER.len());
    assert_eq!(gateway.run_json(&["key", "list", "--json"]).len(), 1);
    gateway.serve().await;
    gateway.finish(&[&key]).await;
}

/// What rows came in without their names while a version before wrote is noted, although no request is settled.
#[tokio::test]
async fn what_a_version_before_added_is_caught_up_with_without_traffic() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let mut gateway = Gateway::prepare(&Setup::new([Wire::Chat.upstream("u", &provider)]));
    gateway.serve().await;
    let key = gateway.key("k", &[]).await;
    assert_eq!(gateway.send(&Wire::Chat.request(false).key(&key.key)).await.status, 200);
    gateway.wait_records(1).await;
    let database = rusqlite::Connection::open(gateway.path(STORE)).expect("the store");
    database.execute_batch("DELETE FROM key_called; UPDATE chain_head SET called = 0").expect("as before");
    let noted = || -> (bool, i64) {
        let row = "SELECT called = sequence, (SELECT count(*) FROM key_called WHERE name = 'k') FROM chain_head";
        database.query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a row")
    };
    until("the names of all rows", || (noted() == (true, 1)).then_some(())).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_start_brings_an_older_store_up_to_date_and_then_all_commands_work() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let mut gateway = Gateway::prepare(&Setup::new([Wire::Chat.upstream("u", &provider)]));
    make_older(&gateway);
    gateway.serve().await;
    assert!(version(&gateway) > OLDER.len());
    let key = gateway.key("k", &[]).await;
    for arguments in [&["key", "list"][..], &["log", "list"], &["usage"], &["ledger", "verify"]] {
        assert!(gateway.run(arguments).status.success(), "{arguments:?}");
    }
    gateway.finish(&[&key]).await;
}
