//! What was taken over from another gateway, as its people find it: their keys, what they may still spend, their codes.

use crate::stage::{PASSWORD, chat, items, setup};
use crate::support::console::{Visitor, first_admin};
use crate::support::gateway::Gateway;
use serde_json::{Value, json};

/// A database of One API: `admin`, who is its root, `ann` with 60,000 units left, `off` who is disabled; a code each of them may have.
const ONE_API: &str = r#"
CREATE TABLE channels (id INTEGER PRIMARY KEY, type INTEGER, key TEXT, status INTEGER, name TEXT, models TEXT, "group" TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT NOT NULL, display_name TEXT, role INTEGER DEFAULT 1,
    status INTEGER DEFAULT 1, email TEXT, github_id TEXT, wechat_id TEXT, access_token CHAR(32), quota INTEGER, used_quota INTEGER,
    request_count INTEGER, "group" TEXT, aff_code TEXT, inviter_id INTEGER);
INSERT INTO users (id, username, password, role, status, quota, used_quota, "group") VALUES
    (1, 'admin', '$2a$10$abcdefghijklmnopqrstuv', 100, 1, 500000, 0, 'default'),
    (2, 'ann', '$2a$10$abcdefghijklmnopqrstuv', 1, 1, 60000, 7, 'default'),
    (3, 'off', '$2a$10$abcdefghijklmnopqrstuv', 1, 2, 60000, 0, 'default');
CREATE TABLE tokens (id INTEGER PRIMARY KEY, user_id INTEGER, key CHAR(48), status INTEGER, name TEXT, created_time BIGINT,
    accessed_time BIGINT, expired_time BIGINT, remain_quota INTEGER, unlimited_quota NUMERIC, used_quota INTEGER);
INSERT INTO tokens (id, user_id, key, status, name, expired_time, remain_quota, unlimited_quota) VALUES
    (1, 2, 'annsownkey000000000000000000000000000000000000aa', 1, 'app', -1, 0, 1),
    (2, 3, 'offsownkey000000000000000000000000000000000000aa', 1, 'app', -1, 0, 1);
CREATE TABLE redemptions (id INTEGER PRIMARY KEY, user_id INTEGER, key CHAR(32), status INTEGER, name TEXT, quota INTEGER,
    created_time BIGINT, redeemed_time BIGINT);
INSERT INTO redemptions VALUES (1, 1, '5d41402abc4b2a76b9719d911017c592', 1, 'gift', 50000, 0, 0);
"#;

#[tokio::test]
async fn people_of_another_gateway_go_on_with_what_they_had() {
    let (_provider, setup) = setup().await;
    let mut gateway = Gateway::prepare(&setup);
    let database = rusqlite::Connection::open(gateway.path("one-api.db")).expect("a database");
    database.execute_batch(ONE_API).expect("its tables");
    drop(database);
    let source = gateway.path("one-api.db").display().to_string();
    let rows = gateway.run_json(&["import", "one-api", &source, "--json"]);
    let taken = |row: &&Value| row["taken"] == true && row["what"] == "user";
    assert_eq!(rows.iter().filter(taken).count(), 3, "{rows:?}");
    // Nobody of them can sign in, so a first start makes somebody who can; the name is one of theirs.
    gateway.serve().await;
    assert_eq!(first_admin(&gateway).0, "admin-2");
    let admin = Visitor::admin(&gateway).await;
    let people = admin.get("/users").await.ok();
    let shown: Vec<_> = items(&people)
        .iter()
        .map(|one| (one["name"].clone(), one["role"].clone(), one["enabled"].clone(), one["has_password"].clone()))
        .collect();
    let expected = [
        ("admin", "admin", true, false),
        ("ann", "user", true, false),
        ("off", "user", false, false),
        ("admin-2", "admin", true, true),
    ];
    let expected = expected.map(|(name, role, enabled, has)| (json!(name), json!(role), json!(enabled), json!(has)));
    assert_eq!(shown, expected, "{people}");
    let id = |name: &str| items(&people).iter().find(|one| one["name"] == name).expect("there")["id"].clone();
    for password in ["", "$2a$10$abcdefghijklmnopqrstuv", PASSWORD] {
        let mut ann = Visitor::stranger(gateway.address);
        assert_eq!(ann.begin("ann", password).await.status, 401, "{password}");
    }
    // Whoever is the only admin with a password stays.
    let told = admin.delete(&format!("/users/{}", id("admin-2"))).await;
    assert_eq!((told.status, told.code()), (409, "CONFLICT"), "{}", told.body);
    // The very keys go on, as their users'; those of somebody who is disabled do not.
    let answer = gateway.send(&chat("sk-annsownkey000000000000000000000000000000000000aa")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = gateway.send(&chat("sk-offsownkey000000000000000000000000000000000000aa")).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let record = gateway.wait_record().await;
    assert_eq!(record["user"], "ann");
    // With a password they sign in, see what they may spend, and redeem the code that they were given there.
    admin.patch(&format!("/users/{}", id("ann")), &json!({"password": PASSWORD})).await.ok();
    let ann = Visitor::sign_in(gateway.address, "ann", PASSWORD).await;
    let own = ann.get("/session").await.ok();
    assert_eq!(own["person"]["quota_nanos"], 120_000_000, "60,000 of 500,000 units to the dollar");
    let code = json!({"code": "5d41402abc4b2a76b9719d911017c592"});
    assert_eq!(
        ann.post("/codes/redeem", &code).await.ok(),
        json!({"amount_nanos": 100_000_000, "quota_nanos": 220_000_000})
    );
    assert_eq!(ann.post("/codes/redeem", &code).await.code(), "CONFLICT");
    // Ann made her key herself: its limits are hers.
    let own = format!("/keys/{}", items(&ann.get("/keys").await.ok())[0]["id"]);
    for limit in [json!(5), Value::Null] {
        ann.patch(&own, &json!({"rpm": limit})).await.ok();
    }
    // No key spends more than its user has.
    admin.patch(&format!("/users/{}", id("ann")), &json!({"quota_nanos": 0})).await.ok();
    let refused = async {
        while gateway.send(&chat("sk-annsownkey000000000000000000000000000000000000aa")).await.status != 402 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, refused).await.expect("a quota is in force within a second");
    // Twice is once.
    let again = gateway.run_json(&["import", "one-api", &source, "--json"]);
    assert_eq!(again.last().expect("a summary")["taken"], 0, "{again:?}");
}

#[tokio::test]
async fn limits_of_litellms_keys_are_not_their_users_to_lift() {
    let (_provider, setup) = setup().await;
    let mut gateway = Gateway::prepare(&setup);
    gateway.write("litellm.yaml", "model_list: []\n");
    let row = json!([{
        "token": "ab".repeat(32), "key_alias": "app", "user_id": "ann", "models": ["m"], "spend": 0.0, "max_budget": 2.0,
        "rpm_limit": 5, "tpm_limit": 500, "max_parallel_requests": 2,
    }]);
    gateway.write("keys.json", &row.to_string());
    let path = |name: &str| gateway.path(name).display().to_string();
    let rows = gateway.run_json(&["import", "litellm", &path("litellm.yaml"), "--keys", &path("keys.json"), "--json"]);
    assert_eq!(rows.last().expect("a summary")["taken"], 1, "{rows:?}");
    gateway.serve().await;
    let admin = Visitor::admin(&gateway).await;
    admin.post("/users", &json!({"name": "ann", "role": "user", "password": PASSWORD})).await.ok();
    let ann = Visitor::sign_in(gateway.address, "ann", PASSWORD).await;
    let key = items(&ann.get("/keys").await.ok())[0].clone();
    let path = format!("/keys/{}", key["id"]);
    for field in ["models", "quota_nanos", "rpm", "tpm", "concurrency"] {
        let none = if field == "models" { json!([]) } else { Value::Null };
        let told = ann.patch(&path, &json!({field: none})).await;
        assert_eq!((told.status, told.code()), (400, "INVALID"), "{field}: {}", told.body);
    }
    assert_eq!(items(&ann.get("/keys").await.ok())[0], key);
    ann.patch(&path, &json!({"rpm": 4})).await.ok();
    admin.patch(&path, &json!({"rpm": 50})).await.ok();
    let audit = admin.get("/audit").await.ok();
    let made = items(&audit).iter().find(|row| row["action"] == "key.create").expect("it was made");
    assert!(made["actor"].as_str().is_some_and(|actor| actor.starts_with("tollgate import litellm (")), "{made}");
}
