//! `tollgate import`, from small databases and files as the other gateways have them.

use super::*;
use crate::keyring::digest_of;
use crate::store::{ForeignDatabase, KeyRef, Page, Role, Store};

/// A database of One API with what matters here.
const ONE_API: &str = r#"
CREATE TABLE channels (id INTEGER PRIMARY KEY, type INTEGER, key TEXT, status INTEGER, name TEXT, weight INTEGER,
    base_url TEXT, models TEXT, "group" TEXT, model_mapping TEXT, priority INTEGER);
INSERT INTO channels VALUES
    (1, 1, 'sk-one' || char(10) || 'sk-two', 1, 'Main', 0, '', 'gpt-4o,gpt-4o-mini', 'default,vip', '{"gpt-4o":"gpt-4o-2024-08-06"}', 10),
    (2, 14, 'sk-ant', 1, 'Claude', 5, 'https://claude.example/', 'claude-x', 'default', NULL, 0),
    (3, 8, 'sk-own', 1, 'own', NULL, 'https://own.example', 'm', 'default', '', 0),
    (4, 18, 'k', 1, 'Xunfei', 0, '', 'spark', 'default', '', 0),
    (5, 1, 'k', 2, 'off', 0, '', 'gpt-4o', 'default', '', 0),
    (6, 1, 'k', 1, 'main', 0, '', 'gpt-4o', 'default', '', 0);
CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, password TEXT, role INTEGER, status INTEGER, email TEXT,
    "group" TEXT, quota INTEGER, used_quota INTEGER);
INSERT INTO users VALUES (1, 'root', '$2a$10$x', 100, 1, '', 'default', 500000000, 3), (2, 'ann', '$2a$10$x', 1, 2, 'a@b', 'vip', 5, 1500000),
    (3, 'cara', '$2a$10$x', 10, 1, '', 'default', -7, 0), (4, 'deleted_x', '', 1, 3, '', 'default', 9, 0), (5, '', '', 1, 1, '', '', 0, 0);
CREATE TABLE redemptions (id INTEGER PRIMARY KEY, user_id INTEGER, key TEXT, status INTEGER, name TEXT, quota INTEGER,
    created_time INTEGER, redeemed_time INTEGER);
INSERT INTO redemptions VALUES (1, 1, '00000000000000000000000000000001', 1, 'gift', 250000, 0, 0),
    (2, 1, '00000000000000000000000000000002', 3, 'gift', 250000, 0, 9), (3, 1, '00000000000000000000000000000003', 2, 'off', 250000, 0, 0),
    (4, 1, '00000000000000000000000000000004', 1, 'nothing', 0, 0, 0);
CREATE TABLE tokens (id INTEGER PRIMARY KEY, user_id INTEGER, key TEXT, status INTEGER, name TEXT, expired_time INTEGER,
    remain_quota INTEGER, unlimited_quota NUMERIC, models TEXT, subnet TEXT);
INSERT INTO tokens VALUES
    (1, 1, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 1, 'app', -1, 1250000, 0, 'gpt-4o', ''),
    (2, 2, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 2, 'app', 1893456000, 0, 1, NULL, '10.0.0.0/8'),
    (3, 1, 'cccccccccccccccccccccccccccccccccccccccccccccccc', 1, '42', -1, -7, 0, '', ''),
    (4, 4, 'dddddddddddddddddddddddddddddddddddddddddddddddd', 1, 'orphan', -1, 0, 1, '', '');
CREATE TABLE options (key TEXT PRIMARY KEY, value TEXT);
INSERT INTO options VALUES ('ModelRatio', '{"my-model": 1.25}'), ('CompletionRatio', '{"my-model": 4}'),
    ('GroupRatio', '{"default": 1, "vip": 0.5}');
"#;

pub(super) fn database(place: &Place, name: &str, sql: &str) {
    ForeignDatabase::make(&place.path(name), sql);
}

pub(super) fn names(rows: &[Value], what: &str, taken: bool) -> Vec<String> {
    let rows = rows.iter().filter(|row| row["what"] == what && row["taken"] == taken);
    rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

fn store(place: &Place) -> crate::store::SqliteStore {
    crate::store::SqliteStore::open(&place.path("state/t.db"), crate::config::Durability::Process).unwrap()
}

pub(super) fn import(place: &Place, from: &str, file: &str, more: &str) -> Vec<Value> {
    place.json(&format!("import {from} {} --json {more}", place.path(file).display()))
}

#[test]
fn one_api_is_taken_over_and_clients_keep_their_keys() {
    let place = Place::new();
    database(&place, "one-api.db", ONE_API);
    let before = place.read("tollgate.toml");
    let dry = import(&place, "one-api", "one-api.db", "--dry-run");
    assert_eq!((place.read("tollgate.toml"), place.path("state/t.db").exists()), (before.clone(), false));
    let rows = import(&place, "one-api", "one-api.db", &format!("--env-file {}", place.path("keys.env").display()));
    assert_eq!(rows[..rows.len() - 1], dry[..dry.len() - 1], "a dry run says what a run does");
    assert_eq!(names(&rows, "upstream", true), ["Main", "Main-2", "Claude", "own"]);
    assert_eq!(names(&rows, "upstream", false), ["Xunfei", "off", "main"], "no counterpart, off, taken");
    assert_eq!(names(&rows, "key", true), ["app", "app-2", "imported-42"]);
    assert_eq!(names(&rows, "key", false), ["orphan"], "its user is gone");
    assert_eq!(names(&rows, "user", true), ["root", "ann", "cara"]);
    assert_eq!(names(&rows, "user", false), ["deleted_x", ""]);
    assert_eq!(names(&rows, "code", true), ["gift (code 1)"]);
    assert_eq!(names(&rows, "code", false), ["gift (code 2)", "off (code 3)", "nothing (code 4)"]);
    assert_eq!(names(&rows, "setting", false), ["5 users", "app-2: subnet"]);
    let said = rows.iter().map(Value::to_string).collect::<String>();
    assert!(!said.contains("0000000001") && !said.contains("$2a$"), "neither a code nor a hash: {said}");
    assert_eq!(names(&rows, "price", true), ["my-model"]);
    assert_eq!(names(&rows, "price", false), ["group vip"]);

    let text = place.read("tollgate.toml");
    assert!(text.starts_with(before.trim_end()), "what is there stays: {text}");
    let env = place.read("keys.env");
    assert!(env.contains("MAIN_API_KEY='sk-one'\n") && env.contains("MAIN_2_API_KEY='sk-two'\n"), "{env}");
    assert!(!text.contains("sk-one"), "{text}");
    let known = |name: &str| {
        let line =
            env.lines().find_map(|line| line.strip_prefix(&format!("{name}='"))).map(|rest| rest.trim_matches('\''));
        line.map(str::to_owned).or_else(|| (name == "MAIN_KEY").then(|| "sk-main".to_owned()))
    };
    let checked = place.run_with("check", "", &known, NOW_MS, None);
    assert_eq!(checked.status, 0, "{checked:?}");
    let listed = place.run_with("upstream list --json", "", &known, NOW_MS, None);
    let upstreams: Vec<Value> = listed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| upstreams.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!((&of("Main")["provider"], &of("Main")["priority"]), (&"openai".into(), &0.into()));
    assert_eq!((&of("Claude")["priority"], &of("Claude")["weight"]), (&1.into(), &5.into()));
    assert!(
        text.contains("base_url = \"https://own.example/v1\"") && text.contains("\"https://claude.example\""),
        "{text}"
    );
    assert!(text.contains("upstream_model = \"gpt-4o-2024-08-06\""), "{text}");

    let keys = place.json("key list --json");
    let key = |name: &str| keys.iter().find(|key| key["name"] == name).unwrap();
    assert_eq!((&key("app")["quota_nanos"], &key("app")["user"]), (&2_500_000_000_i64.into(), &"root".into()));
    assert_eq!(key("app")["models"], serde_json::json!(["gpt-4o"]));
    let second = key("app-2");
    assert_eq!(
        (&second["enabled"], &second["group"], &second["quota_nanos"]),
        (&false.into(), &"vip".into(), &Value::Null)
    );
    assert_eq!(second["expires_at"], "2030-01-01T00:00:00.000Z");
    assert_eq!(key("imported-42")["quota_nanos"], 0);
    let mut digests = Vec::new();
    let each = &mut |row: crate::store::KeyRow| {
        assert!(!row.key.named_by_operator, "{:?}: who called it so, nobody knows", row.key);
        digests.push(row.digest);
    };
    store(&place).keys_changed_since(0, each).unwrap();
    let same = digest_of(&format!("sk-{}", "a".repeat(48)));
    assert!(digests.contains(&Some(same)), "the very key that clients have");
    assert!(place.ok("price show my-model").contains("2.5"));

    let people = store(&place).people().persons(Page { after: None, limit: 10 }).unwrap();
    let told: Vec<_> = people
        .iter()
        .map(|one| (&*one.person.name, one.person.role, one.person.enabled, one.person.quota_nanos, one.has_password))
        .collect();
    // What is left there, by 500,000 units to the dollar; nobody owes anything.
    let expected = [
        ("root", Role::Admin, true, Some(1_000_000_000_000), false),
        ("ann", Role::User, false, Some(10_000), false),
        ("cara", Role::Operator, true, Some(0), false),
    ];
    assert_eq!(told, expected);
    let how = |name: &str| rows.iter().find(|row| row["name"] == name && row["what"] == "user").unwrap()["how"].clone();
    let how = how("ann");
    let how = how.as_str().unwrap();
    for words in ["user (there: user)", "$0.000010000", "used there: $3.0", "set a password, disabled"] {
        assert!(how.contains(words), "{words}: {how}");
    }
    let codes = store(&place).people().codes(Page { after: None, limit: 10 }).unwrap();
    assert_eq!(
        codes.iter().map(|code| (code.amount_nanos, code.expires_at_ms)).collect::<Vec<_>>(),
        [(500_000_000, None)]
    );
    let audit = store(&place).people().audit_rows(Page { after: None, limit: 100 }, None).unwrap();
    assert!(audit.iter().all(|row| row.actor == "tollgate import one-api (ann, uid 1000)"), "{audit:?}");
    let count = |action: &str| audit.iter().filter(|row| row.action == action).count();
    let counts = ["person.create", "code.create", "key.create", "key.change"].map(count);
    assert_eq!(counts, [3, 1, keys.len(), 1], "the key that was disabled there is here, too: {audit:?}");

    let again = import(&place, "one-api", "one-api.db", "");
    assert_eq!(again.last().unwrap()["taken"], 0, "twice is once: {again:?}");
}

#[test]
fn new_api_has_other_numbers_and_further_columns() {
    let place = Place::new();
    let sql = r#"
        CREATE TABLE channels (id INTEGER PRIMARY KEY, type INTEGER, key TEXT, status INTEGER, name TEXT, models TEXT, "group" TEXT);
        INSERT INTO channels VALUES (1, 43, 'k', 1, 'ds', 'deepseek-chat', 'default'), (2, 36, 'k', 1, 'suno', 'x', '');
        CREATE TABLE tokens (id INTEGER PRIMARY KEY, user_id INTEGER, key TEXT, status INTEGER, name TEXT, expired_time INTEGER,
            remain_quota INTEGER, unlimited_quota NUMERIC, model_limits_enabled NUMERIC, model_limits TEXT, allow_ips TEXT,
            "group" TEXT, deleted_at TEXT);
        INSERT INTO tokens VALUES (1, 1, 'k1', 1, 'a', -1, 10, 0, 1, 'x,y', '', 'auto', NULL),
            (2, 1, 'k2', 1, 'b', -1, 10, 0, 0, 'x', '1.2.3.4', 'vip', NULL), (3, 1, 'k3', 1, 'c', -1, 0, 1, 0, '', '', '', '2024-01-01');
        CREATE TABLE options (key TEXT, value TEXT);
        INSERT INTO options VALUES ('QuotaPerUnit', '1000.000000');
        CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, role INTEGER, status INTEGER, "group" TEXT, quota INTEGER,
            used_quota INTEGER, deleted_at TEXT);
        INSERT INTO users VALUES (1, 'ann', 1, 1, 'vip', 2500, 0, NULL), (2, 'gone', 1, 1, '', 10, 0, '2024-01-01');
        CREATE TABLE redemptions (id INTEGER PRIMARY KEY, key TEXT, status INTEGER, name TEXT, quota INTEGER, used_user_id INTEGER,
            expired_time INTEGER, deleted_at TEXT);
        INSERT INTO redemptions VALUES (1, 'c1', 1, 'n', 3, 0, 0, NULL), (2, 'c2', 1, 'n', 3, 0, 4102444800, NULL),
            (3, 'c3', 1, 'n', 3, 0, 1000000000, NULL), (4, 'c4', 1, 'n', 3, 0, 0, '2024-01-01');
    "#;
    database(&place, "new-api.db", sql);
    let rows = import(&place, "new-api", "new-api.db", "");
    assert_eq!(
        (names(&rows, "upstream", true), names(&rows, "upstream", false)),
        (vec!["ds".into()], vec!["suno".into()])
    );
    assert_eq!(
        (names(&rows, "key", true), names(&rows, "key", false)),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
    let keys = place.json("key list --json");
    assert_eq!((&keys[0]["models"], &keys[0]["quota_nanos"]), (&serde_json::json!(["x", "y"]), &10_000_000.into()));
    assert_eq!((&keys[1]["models"], &keys[1]["group"]), (&serde_json::json!([]), &"vip".into()));
    assert!(place.read("tollgate.toml").contains("provider = \"deepseek\""));
    assert_eq!((names(&rows, "user", true), names(&rows, "user", false)), (vec!["ann".into()], vec!["gone".into()]));
    let person = &store(&place).people().persons(Page { after: None, limit: 10 }).unwrap()[0];
    assert_eq!(person.person.quota_nanos, Some(2_500_000_000), "by its own units");
    assert_eq!(names(&rows, "code", true), ["n (code 1)", "n (code 2)"]);
    assert_eq!(names(&rows, "code", false), ["n (code 3)", "n (code 4)"], "expired, deleted");
    let codes = store(&place).people().codes(Page { after: None, limit: 10 }).unwrap();
    assert_eq!(codes[1].expires_at_ms, Some(4_102_444_800_000));
}

#[test]
fn litellm_is_taken_over_with_its_keys() {
    let place = Place::new();
    place.write(
        "config.yaml",
        r#"
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_KEY, rpm: 5}
  - model_name: small
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_KEY}
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: https://x.example/
      api_key: "azure-secret"
  - model_name: sonnet
    litellm_params: {model: claude-sonnet, api_key: k}
  - model_name: all
    litellm_params: {model: "openai/*"}
  - model_name: v
    litellm_params: {model: vertex_ai/x}
general_settings:
  master_key: sk-1234
router_settings:
  routing_strategy: least-busy
"#,
    );
    let digest = hex::encode(digest_of("sk-client"));
    let signs = "+a".repeat(32);
    place.write(
        "keys.json",
        &format!(
            r#"[{{"token": "{digest}", "key_alias": "app", "max_budget": 10, "spend": 2.5e-1, "models": ["gpt-4o"], "rpm_limit": 7, "user_id": "ann"}},
                {{"token": "nothing", "key_alias": "broken"}}, {{"token": "{signs}", "key_alias": "signs"}}]"#
        ),
    );
    let rows = import(&place, "litellm", "config.yaml", &format!("--keys {}", place.path("keys.json").display()));
    assert_eq!(names(&rows, "upstream", true), ["openai", "azure-openai", "anthropic"]);
    assert_eq!(names(&rows, "upstream", false), ["all", "v"]);
    assert_eq!(
        (names(&rows, "key", true), names(&rows, "key", false)),
        (vec!["app".into()], vec!["master_key".into(), "broken".into(), "signs".into()])
    );
    assert!(names(&rows, "setting", false).contains(&"router_settings.routing_strategy".to_owned()));
    let summary = rows.last().unwrap();
    assert_eq!(summary["environment"], serde_json::json!(["OPENAI_KEY", "AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY"]));
    let text = place.read("tollgate.toml");
    assert!(text.contains("api_key = \"${OPENAI_KEY}\"") && !text.contains("azure-secret"), "{text}");
    let key = &place.json("key list --json")[0];
    assert_eq!((&key["quota_nanos"], &key["rpm"], &key["user"]), (&9_750_000_000_i64.into(), &7.into(), &"ann".into()));
    assert!(store(&place).key_find(&KeyRef::Name("app".into())).unwrap().is_some());
}

#[test]
fn what_is_none_of_them_is_refused() {
    let place = Place::new();
    database(&place, "other.db", "CREATE TABLE x (y)");
    place.write("no.yaml", "model_list: [");
    let path = |name: &str| place.path(name).display().to_string();
    place.fails(&format!("import one-api {}", path("other.db")), 2, &["no table `channels`"]);
    place.fails(&format!("import one-api {}", path("tollgate.toml")), 2, &["database"]);
    place.fails(&format!("import new-api {}", path("missing.db")), 2, &["missing.db"]);
    place.fails("import new-api mysql://root@localhost/x", 2, &["SQLite"]);
    place.fails(&format!("import litellm {}", path("no.yaml")), 2, &["no.yaml"]);
    assert!(!path("missing.db").is_empty() && !place.path("missing.db").exists());
}
