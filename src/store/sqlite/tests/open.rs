use super::schema::APPLICATION_ID;
use super::*;
use crate::store::{StoreUrl, open, open_as_it_is};
use std::time::Duration;

#[test]
fn a_url_names_the_store() {
    let place = Place::new();
    let path = place.folder.path().join("new/folder/t.db");
    let url = StoreUrl::parse(&format!("sqlite:{}", path.display())).unwrap();
    assert_eq!(url, StoreUrl::Sqlite(path));
    assert!(open(&url, Durability::Power).is_ok());
    for path in ["", ":memory:"] {
        let error = open(&StoreUrl::Sqlite(path.into()), Durability::Process).err().unwrap();
        assert_eq!(error.kind, StoreErrorKind::Invalid);
        assert!(error.message.contains("needs the path of a file"), "{error}");
    }
}

#[test]
fn a_url_of_another_kind_is_refused_without_its_password() {
    for (url, expected) in [
        ("postgres://user:secret@host/db", "no PostgreSQL store"),
        ("postgresql://host/db", "no PostgreSQL store"),
        ("mysql://user:secret@host/db", "unknown database"),
        ("data/t.db", "no database URL"),
        ("sqlite:", "the path is missing"),
        ("sqlite::memory:", "in memory"),
    ] {
        let error = StoreUrl::parse(url).unwrap_err();
        assert!(error.contains(expected), "{url}: {error}");
        assert!(!error.contains("secret"));
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let place = Place::new();
    std::fs::write(place.path(), "no database, but long enough to be looked at as if it were one".repeat(100)).unwrap();
    let error = place.open_error();
    assert_eq!(error.kind, StoreErrorKind::Damaged);
    assert!(error.message.contains("t.db") && error.message.contains("not a database"), "{error}");
}

#[test]
fn a_folder_in_the_way_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path()).unwrap();
    assert_eq!(place.open_error().kind, StoreErrorKind::Unavailable);
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let place = Place::new();
    let other = Connection::open(place.path()).unwrap();
    other.execute_batch("CREATE TABLE theirs (a)").unwrap();
    let error = place.open_error();
    assert!(error.message.contains("another program's database"), "{error}");
    let tables: i64 = other.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_newer_database_is_refused() {
    let place = Place::new();
    drop(place.open());
    Connection::open(place.path()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = place.open_error();
    assert_eq!(error.kind, StoreErrorKind::TooNew);
    assert!(error.message.contains("a newer tollgate made this database (schema version 99)"), "{error}");
}

#[test]
fn the_migrations_are_sound() {
    MIGRATIONS.validate().unwrap();
    let place = Place::new();
    drop(place.open());
    let connection = Connection::open(place.path()).unwrap();
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
    assert_eq!(id, APPLICATION_ID);
}

#[test]
fn several_may_make_it_at_the_same_time() {
    for _ in 0..10 {
        let place = Place::new();
        std::thread::scope(|scope| {
            for turn in 0..4 {
                let place = &place;
                scope.spawn(move || {
                    let store = place.open();
                    store.key_create(&new_key(&format!("key-{turn}")), &[turn; 32], 0).unwrap();
                });
            }
        });
        let mut names = Vec::new();
        place.open().key_list(&mut |listing| names.push(listing.key.name)).unwrap();
        assert_eq!(names.len(), 4);
    }
}

#[test]
fn a_lock_is_waited_for_and_a_writer_does_not_disturb_readers() {
    let place = Place::new();
    let store = place.open();
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    let mut other = Connection::open(place.path()).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    lock.execute("UPDATE key SET user = 'x'", []).unwrap();
    assert_eq!(store.key_find(&KeyRef::Id(1)).unwrap().unwrap().key.user, None);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.key_create(&new_key("b"), &[2; 32], 0).unwrap());
        std::thread::sleep(Duration::from_millis(30));
        assert!(!waiting.is_finished());
        lock.commit().unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn a_file_that_is_gone_or_replaced_is_not_written() {
    let place = Place::new();
    let store = place.open();
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.path(), &aside).unwrap();
    let error = store.apply(&settled([record(1, 1, 1)])).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Missing);
    assert!(!place.path().exists(), "no new one is made");
    std::fs::write(place.path(), b"").unwrap();
    assert!(store.apply(&settled([record(1, 1, 1)])).unwrap_err().message.contains("was replaced"));
    std::fs::rename(aside, place.path()).unwrap();
    assert_eq!(store.apply(&settled([record(1, 1, 1)])).unwrap().rows, 1);
}

#[test]
fn what_root_makes_for_a_service_is_the_services() {
    let place = Place::new();
    let owner = 65_532;
    if let Err(error) = std::os::unix::fs::chown(place.folder.path(), Some(owner), Some(owner)) {
        eprintln!("skipped, for this is not root: {error}");
        return;
    }
    let store = place.open();
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), owner, "{:?}", entry.file_name());
    }
}

#[test]
fn whoever_is_not_sure_to_serve_leaves_it_as_it_is() {
    let place = Place::new();
    let url = StoreUrl::Sqlite(place.path());
    let missing = open_as_it_is(&url, Durability::Process, Missing::IsRefused).err().unwrap();
    assert!(missing.kind == StoreErrorKind::Unavailable && !place.path().exists(), "{missing}");
    let store = open_as_it_is(&url, Durability::Process, Missing::IsMade).unwrap();
    assert!(!store.is_up_to_date().unwrap());
    let other = Connection::open(place.path()).unwrap();
    let version = || other.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(version(), 0);
    store.bring_up_to_date().unwrap();
    assert!(store.is_up_to_date().unwrap() && version() > 0);
    open_as_it_is(&url, Durability::Process, Missing::IsRefused).unwrap();
}
