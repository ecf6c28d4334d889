use super::{NOW_MS, Place, WHOSE};
use crate::ledger::Durability;
use crate::store::{Act, NewPerson, Page, Role, SqliteStore, Store};

fn store(place: &Place) -> SqliteStore {
    SqliteStore::open(&place.path("state/t.db"), Durability::Process).unwrap()
}

/// Makes an admin who has a password, beside one that is enabled in any case.
pub(super) fn somebody(place: &Place, name: &str, enabled: bool) {
    let act = Act { at_ms: NOW_MS, actor: "test".into() };
    for (name, enabled) in [("root", true), (name, enabled)] {
        let new = NewPerson {
            name: name.into(),
            role: Role::Admin,
            enabled,
            password_hash: Some("of before".into()),
            quota_nanos: None,
            budget: None,
        };
        store(place).people().person_create(&act, &new).unwrap();
    }
}

#[test]
fn a_password_is_made_anew_and_the_audit_says_by_whom() {
    let place = Place::new();
    somebody(&place, "ann", true);
    let digest = [7; 32];
    let act = Act { at_ms: NOW_MS, actor: "ann".into() };
    store(&place).people().session_begin(&act, 2, "of before", &digest, &[]).unwrap();
    let ran = place.run("user password ann");
    let password = ran.out.trim().to_owned();
    assert_eq!((ran.status, password.len()), (0, 32), "{ran:?}");
    assert!(ran.err.contains("shown this once") && !ran.err.contains(&password), "{ran:?}");
    let people = store(&place);
    let people = people.people();
    let (_, hash) = people.password_of("ann").unwrap().unwrap();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    assert_eq!(people.session_find(&[digest], NOW_MS, i64::MAX / 2).unwrap(), None, "sessions end");
    let (_, other) = people.password_of("root").unwrap().unwrap();
    assert_eq!(other, "of before", "nobody else's");
    let row = people.audit_rows(Page { after: None, limit: 1 }, None).unwrap().remove(0);
    assert_eq!((&*row.actor, &*row.action, row.at_ms), (&*format!("tollgate user ({WHOSE})"), "person.change", NOW_MS));
    assert!(!format!("{row:?}").contains(&password));
    let made = &place.json("user password ann --json")[0];
    assert_eq!(super::keys_of(made), ["id", "name", "password"]);
    assert_ne!(made["password"], password.as_str());
}

#[test]
fn somebody_who_is_not_there_or_disabled_is_told_of() {
    let place = Place::new();
    place.fails("user password admin", 1, &["there is nobody yet", "tollgate serve"]);
    place.ok("key create k");
    place.fails("user password admin", 1, &["nobody is called `admin`", "there is nobody yet"]);
    somebody(&place, "ann", false);
    place.fails("user password anm", 1, &["did you mean `ann`?", "`root` or `ann`"]);
    let ran = place.run("user password ann");
    assert!(ran.status == 0 && ran.err.contains("ann is disabled"), "{ran:?}");
    place.fails("user password", 2, &["<NAME>"]);
}
