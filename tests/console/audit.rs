//! Every change has its row, in the order of the changes, without a secret.

use crate::stage::{PASSWORD, RELOAD_SECRET, Stage, items, number, person};
use crate::support::PATIENCE;
use crate::support::client::Request;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn every_change_has_its_row() {
    let stage = Stage::start().await;
    let admin = &stage.admin;
    let user = number(
        &admin.post("/users", &json!({"name": "ann", "role": "user", "quota_nanos": 5})).await.ok()["user"]["id"],
    );
    admin.patch(&format!("/users/{user}"), &json!({"role": "operator", "password": "a new password"})).await.ok();
    admin.post(&format!("/users/{user}/topup"), &json!({"amount_nanos": 2, "note": "paid"})).await.ok();
    let key = stage.operator.post("/keys", &json!({"name": "k"})).await.ok();
    let key = number(&key["key"]["id"]);
    stage.operator.patch(&format!("/keys/{key}"), &json!({"name": "l"})).await.ok();
    stage.operator.post(&format!("/keys/{key}/rotate"), &json!({})).await.ok();
    stage.operator.patch("/upstreams/u", &json!({"weight": 3})).await.ok();
    stage.operator.delete("/upstreams/u/override").await;
    stage.operator.delete(&format!("/keys/{key}")).await;
    stage.operator.post("/reload", &json!({})).await.ok();
    admin.post("/codes", &json!({"amount_nanos": 1, "count": 1})).await.ok();
    admin.delete("/codes/1").await;
    admin.delete(&format!("/users/{user}")).await;
    // What was refused has changed nothing.
    admin.delete("/keys/999999").await;
    admin.post("/users", &json!({"name": "user", "role": "user"})).await;
    let listed = admin.get("/audit?limit=1000").await.ok();
    let rows: Vec<&Value> = items(&listed).iter().rev().collect();
    let told: Vec<(&str, &str, &str)> = rows
        .iter()
        // At its first start the gateway notes which prices it has, beside everything else.
        .filter(|row| row["action"] != "prices.found")
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            (text("actor"), text("action"), text("object"))
        })
        .collect();
    let (person, key) = (format!("person {user}"), format!("key {key}"));
    let expected = [
        ("admin", "person.create", &*person),
        ("admin", "person.change", &person),
        ("admin", "person.topup", &person),
        ("operator", "key.create", &key),
        ("operator", "key.change", &key),
        ("operator", "key.rotate", &key),
        ("operator", "upstream.weight", "upstream u"),
        ("operator", "upstream.weight", "upstream u"),
        ("operator", "key.delete", &key),
        ("operator", "reload.asked", "configuration"),
        ("operator", "reload", "configuration"),
        ("admin", "code.create", "code 1"),
        ("admin", "code.delete", "code 1"),
        ("admin", "person.delete", &person),
    ];
    assert_eq!(told[told.len() - expected.len()..], expected);
    // The gateway itself made the first person, who signed in and made two more, who signed in.
    let before: Vec<&str> = told[..told.len() - expected.len()].iter().map(|(_, action, _)| *action).collect();
    let begun = ["person.create", "session.begin", "person.create", "person.create", "session.begin", "session.begin"];
    assert_eq!(before, begun);
    let row = |action: &str| rows.iter().find(|row| row["action"] == action && row["object"] == json!(person));
    let changed = row("person.change").expect("a row");
    assert_eq!((&changed["before"]["role"], &changed["after"]["role"]), (&json!("user"), &json!("operator")));
    assert_eq!(changed["after"]["password"], "changed");
    let topup = row("person.topup").expect("a row");
    assert_eq!((&topup["before"]["quota_nanos"], &topup["after"]["quota_nanos"]), (&json!(5), &json!(7)));
    assert_eq!(topup["after"]["note"], "paid");
    assert_eq!(row("person.delete").expect("a row")["after"], Value::Null);
    let text = listed.to_string();
    for secret in [PASSWORD, "a new password", "sk-tg-", "argon2"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn changes_by_the_command_line_have_their_rows_too_and_no_person_can_be_taken_for_it() {
    let stage = Stage::start().await;
    let id = stage.gateway.key("of-the-command", &["--quota-usd", "5"]).await.id;
    stage.gateway.run_json(&["key", "set", "of-the-command", "--quota-usd", "5000", "--json"]);
    stage.gateway.run_json(&["key", "rotate", "of-the-command", "--json"]);
    stage.gateway.run_json(&["key", "delete", "of-the-command", "--json"]);
    let listed = stage.admin.get("/audit?limit=1000").await.ok();
    let object = json!(format!("key {id}"));
    let rows: Vec<&Value> = items(&listed).iter().rev().filter(|row| row["object"] == object).collect();
    let actions: Vec<&str> = rows.iter().filter_map(|row| row["action"].as_str()).collect();
    assert_eq!(actions, ["key.create", "key.change", "key.rotate", "key.delete"]);
    let uid = rustix::process::getuid().as_raw();
    for row in &rows {
        let actor = row["actor"].as_str().expect("a name");
        assert!(actor.starts_with("tollgate key (") && actor.ends_with(&format!("uid {uid})")), "{actor}");
    }
    let quotas = (&rows[1]["before"]["quota_nanos"], &rows[1]["after"]["quota_nanos"]);
    assert_eq!(quotas, (&json!(5_000_000_000_i64), &json!(5_000_000_000_000_i64)));
    assert!(!listed.to_string().contains("sk-tg-"));
    for name in ["tollgate key (root, uid 0)", "tollgate serve"] {
        let refused = stage.admin.post("/users", &json!({"name": name, "role": "user"})).await;
        assert_eq!(refused.code(), "INVALID", "{name}");
        assert!(refused.body.to_string().contains("stand for the program in the audit"), "{}", refused.body);
    }
}

#[tokio::test]
async fn who_is_called_like_the_program_from_before_is_named_at_the_start() {
    const WARNING: &str = "look like the program in the audit";
    let mut stage = Stage::start().await;
    for name in ["old", "gone", "tollgate", "Tollgate serve", "x tollgate serve"] {
        person(&stage.admin, name, "user", None).await;
    }
    assert!(!stage.gateway.logged().contains(WARNING));
    assert!(stage.gateway.stop().await.success());
    let database = rusqlite::Connection::open(stage.gateway.path("data/tollgate.db")).expect("the store");
    let renamed = "UPDATE person SET name = 'tollgate ' || name WHERE name IN ('old', 'gone')";
    assert_eq!(database.execute(renamed, []).expect("people"), 2);
    let deleted = "UPDATE person SET deleted_at_ms = 1 WHERE name = 'tollgate gone'";
    assert_eq!(database.execute(deleted, []).expect("people"), 1);
    drop(database);
    stage.gateway.serve().await;
    let said = stage.gateway.logged();
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains(WARNING)).collect();
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(warnings[0].contains("[\"tollgate old\"]"), "{warnings:?}");
}

/// Waits until these reloads stand in the audit, by whom and what came of them, and no others.
async fn reloads_are(stage: &Stage, expected: &[(&str, &str)]) {
    let started = Instant::now();
    loop {
        let listed = stage.admin.get("/audit?limit=1000").await.ok();
        let rows = items(&listed).iter().rev().filter(|row| row["action"] == "reload");
        let told: Vec<_> = rows.map(|row| (row["actor"].as_str(), row["after"]["status"].as_str())).collect();
        if told == expected.iter().map(|(by, status)| (Some(*by), Some(*status))).collect::<Vec<_>>() {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{told:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn reloads_that_nobody_at_the_console_asked_for_have_their_rows_if_they_came_to_anything() {
    let stage = Stage::start().await;
    let config = stage.gateway.read("tollgate.toml");
    let [by_file, by_signal, by_secret] =
        ["tollgate serve (file)", "tollgate serve (signal)", "tollgate serve (secret)"];
    let mut expected = vec![(by_file, "refused")];
    stage.gateway.write("tollgate.toml", &format!("nonsense = 1\n{config}"));
    reloads_are(&stage, &expected).await;
    // The same mistake again is no news.
    let refused = async || stage.gateway.metric("tollgate_reloads_total", &["result=\"refused\""]).await;
    let before = refused().await;
    stage.gateway.write("tollgate.toml", &format!("nonsense = 1\n{config}\n"));
    let started = Instant::now();
    while refused().await <= before {
        assert!(started.elapsed() < PATIENCE, "it is refused again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.gateway.signal("HUP");
    expected.push((by_signal, "refused"));
    reloads_are(&stage, &expected).await;
    let ask = Request::post("/console/internal/reload", &json!({})).key(RELOAD_SECRET);
    assert_ne!(stage.gateway.send(&ask).await.status, 200);
    expected.push((by_secret, "refused"));
    reloads_are(&stage, &expected).await;
    stage.gateway.write("tollgate.toml", &format!("{config}\n# changed\n"));
    expected.push((by_file, "reloaded"));
    reloads_are(&stage, &expected).await;
    // Nothing is in force that was not before; what somebody at the console asks for has a row in any case.
    assert_eq!(stage.gateway.send(&ask).await.status, 200);
    stage.operator.post("/reload", &json!({})).await.ok();
    expected.push(("operator", "reloaded"));
    stage.gateway.write("tollgate.toml", &config);
    expected.push((by_file, "reloaded"));
    reloads_are(&stage, &expected).await;
}
