use super::{NOW_MS, Place, keys_of};
use crate::keyring::digest_of;
use crate::ledger::Durability;
use crate::store::{Act, AuditRow, Budget, NewKey, NewPerson, Page, Period, Role, SqliteStore, Store};

const FIELDS: &[&str] = &[
    "accessed_at",
    "concurrency",
    "created_at",
    "enabled",
    "expires_at",
    "found_by_name",
    "group",
    "held_nanos",
    "id",
    "models",
    "name",
    "quota_nanos",
    "rpm",
    "spent_nanos",
    "tpm",
    "user",
];

#[test]
fn a_key_is_made_with_the_contracts_fields() {
    let place = Place::new();
    let made = place.json("key create alice --quota-usd 0.015 --json --user ann --group vip --models a,b --rpm 5 --tpm 6 --concurrency 7 --expires 30d");
    assert_eq!(made.len(), 1);
    assert_eq!(keys_of(&made[0]), ["id", "name", "key"]);
    assert_eq!(made[0]["name"], "alice");
    let secret = made[0]["key"].as_str().unwrap();
    assert!(secret.starts_with("sk-tg-"));

    let listed = place.json("key list --json");
    assert_eq!(listed.len(), 1);
    let mut fields = keys_of(&listed[0]);
    fields.sort_unstable();
    assert_eq!(fields, FIELDS);
    let key = &listed[0];
    assert_eq!(key["id"], made[0]["id"]);
    assert_eq!((&key["quota_nanos"], &key["spent_nanos"]), (&15_000_000.into(), &0.into()));
    assert_eq!((&key["user"], &key["group"]), (&"ann".into(), &"vip".into()));
    assert_eq!(key["models"], serde_json::json!(["a", "b"]));
    assert_eq!((&key["rpm"], &key["tpm"], &key["concurrency"]), (&5.into(), &6.into(), &7.into()));
    assert_eq!(key["expires_at"], "2026-03-02T12:00:00.000Z");
    assert_eq!((&key["enabled"], &key["accessed_at"], &key["held_nanos"]), (&true.into(), &().into(), &0.into()));
    assert!(!key.to_string().contains(secret));
    assert!(!place.ok("key show alice").contains(secret));
}

#[test]
fn the_secret_is_the_one_whose_digest_is_stored() {
    let place = Place::new();
    let ran = place.run("key create alice");
    let secret = ran.out.trim().to_string();
    assert!(
        secret.starts_with("sk-tg-") && !ran.err.contains(&secret) && ran.err.contains("shown this once"),
        "{ran:?}"
    );
    let digest = || {
        let store = SqliteStore::open(&place.path("state/t.db"), Durability::Process).unwrap();
        let mut digest = None;
        store.keys_changed_since(0, &mut |row| digest = row.digest).unwrap();
        digest.unwrap()
    };
    assert_eq!(digest(), digest_of(&secret));
    let rotated = place.json("key rotate alice --json");
    assert_eq!(keys_of(&rotated[0]), ["id", "name", "key"]);
    assert_ne!(rotated[0]["key"], secret.as_str());
    assert_eq!(digest(), digest_of(rotated[0]["key"].as_str().unwrap()));
}

#[test]
fn without_a_quota_a_key_is_unlimited_and_an_expiry_may_be_past() {
    let place = Place::new();
    place.ok("key create a");
    place.ok("key create b --unlimited --expires 2020-01-01T00:00:00Z");
    place.ok("key create c --expires never");
    place.ok("key create d --expires -1 --rpm none");
    let keys = place.json("key list --json");
    assert!(keys.iter().all(|key| key["quota_nanos"].is_null() && key["rpm"].is_null()));
    assert_eq!(keys[1]["expires_at"], "2020-01-01T00:00:00.000Z");
    assert!(keys[2]["expires_at"].is_null() && keys[3]["expires_at"].is_null());
    assert!(place.ok("key show b").contains("expired"));
}

#[test]
fn a_key_lives_and_ends() {
    let place = Place::new();
    place.ok("key create a --quota-usd 1");
    let id = place.json("key show a --json")[0]["id"].to_string();
    assert!(place.ok("key disable a").contains("refused from now on"));
    assert_eq!(place.json("key show a --json")[0]["enabled"], false);
    assert_eq!(place.json(&format!("key enable {id} --json"))[0]["enabled"], true);
    let set = place
        .json("key set a --quota-usd 2.5 --name b --group vip --models x --user u --rpm 3 --expires 2027-01-01 --json");
    assert_eq!(
        (&set[0]["quota_nanos"], &set[0]["name"], &set[0]["rpm"]),
        (&2_500_000_000_i64.into(), &"b".into(), &3.into())
    );
    assert_eq!(set[0]["expires_at"], "2027-01-01T00:00:00.000Z");
    let cleared = place.json("key set b --unlimited --all-models --no-user --rpm none --expires never --json");
    for field in ["quota_nanos", "user", "rpm", "expires_at"] {
        assert!(cleared[0][field].is_null(), "{field}");
    }
    assert_eq!((&cleared[0]["group"], &cleared[0]["models"]), (&"vip".into(), &serde_json::json!([])));
    assert!(place.ok("key delete b").contains("records stay"));
    place.fails("key show b", 1, &["there is no key `b`"]);
    assert!(place.ok("key list").is_empty());
}

#[test]
fn whether_a_token_finds_a_key_by_its_name_is_shown_and_stands_in_the_audit() {
    let place = Place::new();
    place.ok("key create ours");
    let store = SqliteStore::open(&place.path("state/t.db"), Durability::Process).unwrap();
    let new = NewKey {
        name: "theirs".into(),
        named_by_user: true,
        user: Some("ann".into()),
        group: "default".into(),
        ..NewKey::default()
    };
    store.people().key_create_by(&Act { at_ms: NOW_MS, actor: "ann".into() }, &new, &[1; 32]).unwrap();
    drop(store);
    let found = || place.json("key list --json").iter().map(|key| key["found_by_name"].clone()).collect::<Vec<_>>();
    assert_eq!(found(), [true, false]);
    let line = |name: &str| {
        let text = place.ok(&format!("key show {name}"));
        text.lines().find(|line| line.starts_with("found by name")).expect("a line").to_owned()
    };
    assert!(line("ours").ends_with("yes"), "{}", line("ours"));
    assert!(line("theirs").contains("no: `tollgate key set NAME --name NAME`"), "{}", line("theirs"));
    place.ok("key set theirs --name theirs");
    assert_eq!(found(), [true, true]);
    let row = &audit(&place)[0];
    let side = |side: &Option<String>| serde_json::from_str::<serde_json::Value>(side.as_deref().unwrap()).unwrap();
    let sides = [side(&row.before), side(&row.after)];
    assert_eq!(sides.map(|side| side["found_by_name"].clone()), [false, true]);
}

#[test]
fn what_cannot_be_done_is_said() {
    let place = Place::new();
    for line in ["key show a", "key disable a", "key rotate a", "key delete a", "key set a --quota-usd 1"] {
        place.fails(line, 1, &["There is no database at", "no keys yet"]);
    }
    assert!(!place.path("state").exists(), "a command that only reads makes nothing");
    place.ok("key create alice");
    place.fails("key create alice", 1, &["alice"]);
    place.fails("key create 12", 2, &[]);
    place.fails("key show alcie", 1, &["there is no key `alcie`, did you mean `alice`?"]);
    place.fails("key show zzz", 1, &["key list"]);
}

#[test]
fn a_group_without_upstreams_is_remarked_on() {
    let place = Place::new();
    let ran = place.run("key create a --group vpi");
    assert_eq!(ran.status, 0);
    assert!(
        ran.err.contains("no upstream is in group `vpi`") && ran.err.contains("did you mean `vip`?"),
        "{}",
        ran.err
    );
    assert!(!place.run("key create b --group vip").err.contains("Note"));
}

#[test]
fn models_and_people_that_are_not_there_are_remarked_on() {
    let place = Place::new();
    let noted = |line: &str, notes: &[&str]| {
        let ran = place.run(line);
        assert_eq!(ran.status, 0, "{line}: {ran:?}");
        let said: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("Note: ")).collect();
        assert_eq!(said, notes, "{line}");
    };
    let model = "Note: no upstream has the model `gtp-4o`; there is `fast` or `gpt-4o`, did you mean `gpt-4o`?";
    noted("key create a --json --models fast,gtp-4o", &[model]);
    noted("key set a --json --models gtp-4o", &[model]);
    noted("key set a --rpm 5", &[]);
    noted("key create b --user nobody", &[]);
    let store = SqliteStore::open(&place.path("state/t.db"), Durability::Process).unwrap();
    let ann = NewPerson {
        name: "ann".into(),
        role: Role::User,
        enabled: true,
        password_hash: None,
        quota_nanos: None,
        budget: None,
    };
    store.people().person_create(&Act { at_ms: NOW_MS, actor: "a test".into() }, &ann).unwrap();
    drop(store);
    let nobody = "Note: nobody is called `nobody`; there is `ann`";
    noted("key create c --json --user nobody", &[nobody]);
    noted("key set c --user nobody", &[nobody]);
    noted("key create d --user ann --models gpt-4o", &[]);
}

#[test]
fn the_list_fits_a_terminal() {
    let place = Place::new();
    let empty = place.run("key list");
    assert!(empty.out.is_empty() && empty.err.contains("There is no database"), "{empty:?}");
    place.ok("key create a-key-with-quite-a-long-name --quota-usd 0.015 --expires 30d");
    place.ok("key create b --quota-usd 0");
    place.ok("key delete b");
    place.ok("key create c --quota-usd 0");
    let text = place.ok("key list");
    assert!(text.contains("$0.015000000") && text.contains("active") && text.contains("used up"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    for width in [60, 80, 120] {
        let ran = place.run_at("key list", NOW_MS, Some(width));
        assert!(ran.out.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}:\n{}", ran.out);
    }
    place.ok("key delete a-key-with-quite-a-long-name");
    place.ok("key delete c");
    assert!(place.run("key list").err.contains("tollgate key create NAME"));
}

fn audit(place: &Place) -> Vec<AuditRow> {
    let store = SqliteStore::open(&place.path("state/t.db"), Durability::Process).unwrap();
    store.people().audit_rows(Page { after: None, limit: 100 }, None).unwrap()
}

#[test]
fn every_change_stands_in_the_audit_with_whose_command_it_was() {
    let place = Place::new();
    place.ok("key create a --quota-usd 5");
    place.ok("key set a --quota-usd 5000");
    place.ok("key disable a");
    place.ok("key enable a");
    place.ok("key rotate a");
    place.ok("key delete a");
    // What was refused has changed nothing.
    assert_ne!(place.run("key set a --quota-usd 1").status, 0);
    let rows = audit(&place);
    let told: Vec<(&str, &str)> = rows.iter().rev().map(|row| (&*row.action, &*row.object)).collect();
    let actions = ["key.create", "key.change", "key.change", "key.change", "key.rotate", "key.delete"];
    assert_eq!(told, actions.map(|action| (action, "key 1")));
    assert!(rows.iter().all(|row| (&*row.actor, row.at_ms) == ("tollgate key (ann, uid 1000)", NOW_MS)), "{rows:?}");
    let raised = &rows[4];
    let quota = |side: &Option<String>| {
        let side: serde_json::Value = serde_json::from_str(side.as_deref().unwrap()).unwrap();
        side["quota_nanos"].as_i64()
    };
    assert_eq!((quota(&raised.before), quota(&raised.after)), (Some(5_000_000_000), Some(5_000_000_000_000)));
}

#[test]
fn a_key_is_shown_with_what_limits_its_user() {
    let place = Place::new();
    place.ok("key create a --user ann");
    let shown = |key: &str| place.ok(&format!("key show {key}"));
    assert!(!shown("a").contains("its user"), "nobody has that name");
    let store = SqliteStore::open(&place.path("state/t.db"), Durability::Process).unwrap();
    let act = Act { at_ms: NOW_MS, actor: "a test".into() };
    let budget = Budget { amount_nanos: 5_000_000_000, period: Period::Monthly, time_zone: "Europe/Berlin".into() };
    let ann = NewPerson {
        name: "ann".into(),
        role: Role::User,
        enabled: true,
        password_hash: None,
        quota_nanos: Some(9_000_000_000),
        budget: Some(budget),
    };
    store.people().person_create(&act, &ann).unwrap();
    let said = shown("a");
    let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    assert_eq!(line("quota "), "unlimited");
    assert!(line("its user's quota").starts_with("$9.00") && line("its user's quota").ends_with("left"), "{said}");
    assert!(line("its user's budget").contains("monthly (Europe/Berlin), $5.00"), "{said}");
}
