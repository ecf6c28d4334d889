use super::*;
use crate::store::{Act, NewPerson, Page, People, Role};

fn changes(store: &SqliteStore, version: i64) -> (Vec<KeyRow>, i64) {
    let mut rows = Vec::new();
    let reached = store.keys_changed_since(version, &mut |row| rows.push(row)).unwrap();
    (rows, reached)
}

#[test]
fn a_key_is_what_it_was_made_as() {
    let store = Place::new();
    let store = store.open();
    let new = NewKey {
        name: "team a".into(),
        named_by_user: false,
        user: Some("ann".into()),
        group: "eu".into(),
        models: vec!["gpt-4o".into(), "fast".into()],
        expires_at_ms: Some(-1),
        quota_nanos: Some(5),
        rpm: Some(1),
        tpm: Some(2),
        concurrency: Some(3),
    };
    let made = store.key_create(&new, &[1; 32], 77).unwrap();
    let (rows, version) = changes(&store, 0);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&row.key, version), (&made.key, 1));
    assert_eq!((row.digest, row.version, row.created_at_ms, row.spent_nanos), (Some([1; 32]), 1, 77, 0));
    let key = row.key.clone();
    assert_eq!((key.id, &*key.name, key.user.as_deref(), &*key.group), (1, "team a", Some("ann"), "eu"));
    assert_eq!((key.models, key.enabled), (new.models, true));
    assert_eq!((key.expires_at_ms, key.quota_nanos), (Some(-1), Some(5)));
    assert_eq!((key.rpm, key.tpm, key.concurrency), (Some(1), Some(2), Some(3)));
    let by_name = store.key_find(&KeyRef::parse("team a")).unwrap().unwrap();
    assert_eq!(by_name, made);
    assert_eq!(store.key_find(&KeyRef::parse("1")).unwrap().unwrap(), by_name);
    assert_eq!((by_name.spent_nanos, by_name.held_nanos, by_name.accessed_at_ms), (0, 0, None));
    assert_eq!(store.key_find(&KeyRef::parse("2")).unwrap(), None);
}

#[test]
fn names_are_unique_among_the_living() {
    let place = Place::new();
    let store = place.open();
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    store.key_create(&new_key("b"), &[2; 32], 0).unwrap();
    let error = store.key_create(&new_key("a"), &[3; 32], 0).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (StoreErrorKind::NameTaken, "a key named \"a\" exists already"));
    let rename = KeyChange { name: Some("a".into()), ..KeyChange::default() };
    assert_eq!(store.key_change(2, &rename).unwrap_err().kind, StoreErrorKind::NameTaken);
    store.key_delete(1, 9).unwrap();
    assert_eq!(store.key_change(2, &rename).unwrap().key.name, "a".into());
    assert_eq!(store.key_delete(1, 9).unwrap_err().kind, StoreErrorKind::NotFound);
    assert_eq!(store.key_create(&new_key("c"), &[4; 32], 0).unwrap().key.id, 3, "ids are not used again");
}

#[test]
fn what_cannot_be_accepted_is_said() {
    let place = Place::new();
    let store = place.open();
    let long = "x".repeat(129);
    let bad = [
        (NewKey { name: String::new(), ..new_key("") }, "key name"),
        (new_key("42"), "a number would be taken for an id"),
        (new_key("-7"), "a number would be taken for an id"),
        (new_key("a\nb"), "control characters"),
        (new_key(" "), "expected no spaces around it"),
        (new_key("a "), "expected no spaces around it"),
        (new_key("\u{a0}a"), "expected no spaces around it"),
        (new_key(&long), "1 to 128 bytes"),
        (NewKey { group: String::new(), ..new_key("a") }, "group"),
        (NewKey { user: Some(String::new()), ..new_key("a") }, "user"),
        (NewKey { models: vec![String::new()], ..new_key("a") }, "model"),
        (NewKey { models: vec!["m".into(); 1_001], ..new_key("a") }, "models"),
        (NewKey { quota_nanos: Some(-1), ..new_key("a") }, "quota"),
        (NewKey { rpm: Some(u64::MAX), ..new_key("a") }, "rpm"),
        (NewKey { tpm: Some(u64::MAX), ..new_key("a") }, "tpm"),
        (NewKey { concurrency: Some(u64::MAX), ..new_key("a") }, "concurrency"),
    ];
    for (new, expected) in bad {
        let error = store.key_create(&new, &[1; 32], 0).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Invalid);
        assert!(error.message.contains(expected), "{error}");
    }
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    let bad = [
        KeyChange { name: Some("1".into()), ..KeyChange::default() },
        KeyChange { name: Some(" a".into()), ..KeyChange::default() },
        KeyChange { user: Some(Some(String::new())), ..KeyChange::default() },
        KeyChange { group: Some(String::new()), ..KeyChange::default() },
        KeyChange { models: Some(vec![String::new()]), ..KeyChange::default() },
        KeyChange { quota_nanos: Some(Some(-1)), ..KeyChange::default() },
        KeyChange { rpm: Some(Some(u64::MAX)), ..KeyChange::default() },
    ];
    for change in bad {
        assert_eq!(store.key_change(1, &change).unwrap_err().kind, StoreErrorKind::Invalid);
    }
    assert_eq!(changes(&store, 0).1, 1, "nothing was changed");
}

#[test]
fn nobody_gets_a_key_of_somebody_who_was_deleted() {
    let place = Place::new();
    let store = place.open();
    let act = Act { at_ms: 0, actor: "test".into() };
    let person = |name: &str, role| NewPerson {
        name: name.to_owned(),
        role,
        enabled: true,
        password_hash: Some("hash".to_owned()),
        quota_nanos: None,
        budget: None,
    };
    // Somebody has to be left.
    store.person_create(&act, &person("root", Role::Admin)).unwrap();
    let ann = store.person_create(&act, &person("ann", Role::User)).unwrap().person;
    let of_ann = || NewKey { user: Some("ann".into()), ..new_key("a") };
    let key = store.key_create(&of_ann(), &[1; 32], 0).unwrap().key;
    store.key_change(key.id, &KeyChange { user: Some(None), ..KeyChange::default() }).unwrap();
    store.person_delete(&act, ann.id).unwrap();
    let to_ann = KeyChange { user: Some(Some("ann".into())), ..KeyChange::default() };
    let refused =
        [store.key_create(&NewKey { name: "b".into(), ..of_ann() }, &[2; 32], 0), store.key_change(key.id, &to_ann)];
    for refused in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Invalid);
        assert!(error.message.contains("\"ann\": was deleted"), "{error}");
    }
}

/// Whether others than whoever has its credential may mean the key by this name.
fn is_meant(store: &SqliteStore, name: &str) -> bool {
    store.key_find(&KeyRef::Name(name.into())).unwrap().unwrap().key.named_by_operator
}

#[test]
fn a_name_is_as_good_as_whoever_gave_it() {
    let place = Place::new();
    let store = place.open();
    let act = Act { at_ms: 0, actor: "somebody".into() };
    let of_ann = |name: &str, named_by_user| NewKey { user: Some("ann".into()), named_by_user, ..new_key(name) };
    store.key_create_by(&act, &of_ann("hers", true), &[1; 32]).unwrap();
    store.key_create_by(&act, &of_ann("given", false), &[2; 32]).unwrap();
    store.key_create(&new_key("typed"), &[3; 32], 0).unwrap();
    assert_eq!(["hers", "given", "typed"].map(|name| is_meant(&store, name)), [false, true, true]);
    let change = |id, owner, name: &str| {
        let change = KeyChange { name: Some(name.into()), rpm: Some(Some(5)), ..KeyChange::default() };
        store.key_change_by(&act, id, owner, &change).unwrap();
        is_meant(&store, name)
    };
    assert!(!change(1, None, "hers"), "it was not named, only changed");
    assert!(change(1, None, "ours"));
    assert!(change(1, Some("ann"), "ours"), "the same");
    assert!(!change(1, Some("ann"), "hers"));
    assert!(!change(2, Some("ann"), "another"));
    let typed = KeyChange { name: Some("another".into()), ..KeyChange::default() };
    assert!(store.key_change(2, &typed).unwrap().key.named_by_operator, "whoever types it means it");
    let disabled = KeyChange { enabled: Some(false), ..KeyChange::default() };
    assert!(store.key_change(2, &disabled).unwrap().key.named_by_operator);
    assert!(!store.key_change(1, &disabled).unwrap().key.named_by_operator);
    // What a version before makes or renames, while it drains beside this one.
    let before = Connection::open(place.path()).unwrap();
    let made = "INSERT INTO key (name, digest, group_name, models, enabled, created_at_ms, version) \
                VALUES ('old', zeroblob(32), 'default', '[]', 1, 0, 100)";
    before.execute(made, []).unwrap();
    before.execute("UPDATE key SET name = 'renamed', version = 101 WHERE name = 'typed'", []).unwrap();
    assert_eq!(["old", "renamed"].map(|name| is_meant(&store, name)), [false, false]);
}

#[test]
fn of_the_names_that_there_were_those_are_good_that_no_user_chose() {
    let place = Place::new();
    let mut before = Connection::open(place.path()).unwrap();
    MIGRATIONS.to_version(&mut before, 7).unwrap();
    let person = "INSERT INTO person (name, role, enabled, created_at_ms) VALUES (?, ?, 1, 0)";
    for (name, role) in [("mallory", "user"), ("olga", "operator")] {
        before.execute(person, [name, role]).unwrap();
    }
    let key = "INSERT INTO key (id, name, group_name, models, enabled, created_at_ms, version, digest) \
               VALUES (?1, ?2, 'default', '[]', 1, 0, ?1, randomblob(32))";
    let names = ["typed", "users", "operators", "renamed by user", "renamed by operator", "edited", "typed again"];
    for (id, name) in (1_i64..).zip(names) {
        before.execute(key, (id, name)).unwrap();
    }
    let noted = "INSERT INTO audit (at_ms, actor, action, object, before, after) VALUES (0, ?, ?, 'key ' || ?, ?, ?)";
    let named = |name: &str| format!("{{\"name\":\"{name}\"}}");
    for (actor, id, was, is) in [
        ("mallory", 2, None, "users"),
        ("olga", 3, None, "operators"),
        ("olga", 4, None, "x"),
        ("mallory", 4, Some("x"), "renamed by user"),
        ("olga", 4, Some("renamed by user"), "renamed by user"),
        ("mallory", 5, None, "y"),
        ("olga", 5, Some("y"), "renamed by operator"),
        ("olga", 6, None, "edited"),
        ("mallory", 6, Some("edited"), "edited"),
        ("mallory", 7, None, "z"),
        // Another key of that name, once.
        ("mallory", 8, None, "typed"),
    ] {
        let action = if was.is_some() { "key.change" } else { "key.create" };
        before.execute(noted, (actor, action, id, was.map(named), named(is))).unwrap();
    }
    drop(before);
    let store = place.open();
    let meant = names.map(|name| is_meant(&store, name));
    assert_eq!(meant, [true, false, true, false, true, true, true], "{names:?}");
}

#[test]
fn every_change_is_seen_once_by_version() {
    let place = Place::new();
    let (store, other) = (place.open(), place.open());
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    store.key_create(&new_key("b"), &[2; 32], 0).unwrap();
    let (rows, version) = changes(&other, 0);
    assert_eq!((rows.len(), version), (2, 2));
    assert_eq!(changes(&other, version), (Vec::new(), 2));
    let change = KeyChange {
        enabled: Some(false),
        quota_nanos: Some(Some(9)),
        expires_at_ms: Some(Some(8)),
        models: Some(vec!["m".into()]),
        group: Some("g".into()),
        user: Some(Some("u".into())),
        rpm: Some(Some(1)),
        tpm: Some(Some(2)),
        concurrency: Some(Some(3)),
        name: Some("new".into()),
    };
    let changed = store.key_change(1, &change).unwrap();
    let (rows, version) = changes(&other, version);
    assert_eq!((rows.iter().map(|row| &row.key).collect::<Vec<_>>(), version), (vec![&changed.key], 3));
    let key = changed.key;
    assert_eq!((key.enabled, key.quota_nanos, key.expires_at_ms), (false, Some(9), Some(8)));
    assert_eq!((key.rpm, key.tpm, key.concurrency), (Some(1), Some(2), Some(3)));
    assert_eq!((&*key.name, &*key.group, key.user.as_deref()), ("new", "g", Some("u")));
    let clear = KeyChange { quota_nanos: Some(None), user: Some(None), rpm: Some(None), ..KeyChange::default() };
    let key = store.key_change(1, &clear).unwrap().key;
    assert_eq!((key.quota_nanos, key.user, key.rpm, key.tpm), (None, None, None, Some(2)));
    store.key_rotate(1, &[3; 32]).unwrap();
    store.key_delete(2, 5).unwrap();
    let (rows, version) = changes(&other, version);
    let digests: Vec<_> = rows.iter().map(|row| (row.key.id, row.digest)).collect();
    assert_eq!((digests, version), (vec![(1, Some([3; 32])), (2, None)], 6));
    assert_eq!(store.key_rotate(2, &[4; 32]).unwrap_err().kind, StoreErrorKind::NotFound);
    assert_eq!(store.key_change(2, &KeyChange::default()).unwrap_err().kind, StoreErrorKind::NotFound);
    let mut listed = Vec::new();
    store.key_list(&mut |listing| listed.push(listing.key.id)).unwrap();
    assert_eq!(listed, [1]);
}

#[test]
fn a_change_that_the_audit_cannot_take_is_not_made() {
    let place = Place::new();
    let store = place.open();
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END";
    Connection::open(place.path()).unwrap().execute_batch(refuse).unwrap();
    let before = changes(&store, 0);
    let rename = KeyChange { name: Some("c".into()), ..KeyChange::default() };
    for refused in [
        store.key_create(&new_key("b"), &[2; 32], 0).map(drop),
        store.key_change(1, &rename).map(drop),
        store.key_rotate(1, &[3; 32]).map(drop),
        store.key_delete(1, 0),
    ] {
        assert!(refused.unwrap_err().message.contains("no room"));
    }
    assert_eq!(changes(&store, 0), before);
    let told = store.audit_rows(Page { after: None, limit: 9 }, None).unwrap();
    assert_eq!(told.iter().map(|row| &*row.action).collect::<Vec<_>>(), ["key.create"]);
}

#[test]
fn a_credential_belongs_to_one_key() {
    let place = Place::new();
    let store = place.open();
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    assert!(store.key_create(&new_key("b"), &[1; 32], 0).is_err());
}

#[test]
fn times_of_last_use_never_go_back_and_leave_balances_alone() {
    let place = Place::new();
    let store = place.open();
    store.key_create(&new_key("a"), &[1; 32], 0).unwrap();
    store.apply(&settled([record(1, 1, 50)])).unwrap();
    for accessed_at_ms in [20, 10] {
        store.write_accessed(&[Touched { key_id: 1, accessed_at_ms }]).unwrap();
    }
    let listing = store.key_find(&KeyRef::Id(1)).unwrap().unwrap();
    assert_eq!((listing.accessed_at_ms, listing.spent_nanos), (Some(20), 50));
}
