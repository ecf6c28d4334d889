//! Keys: whose they are, and that they work.

use crate::stage::{Stage, chat, items, number, setup};
use crate::support::console::Visitor;
use crate::support::gateway::Gateway;
use crate::support::{PATIENCE, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Asks until a call with this credential is answered so.
async fn until_status(gateway: &Gateway, secret: &str, status: u16) {
    let started = Instant::now();
    while gateway.send(&chat(secret)).await.status != status {
        assert!(started.elapsed() < PATIENCE, "gave up waiting for {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_key_of_the_console_works_and_every_change_of_it_is_in_force_without_a_restart() {
    let stage = Stage::start().await;
    let made = stage.user.post("/keys", &json!({"name": "mine", "models": ["m"], "rpm": 100})).await.ok();
    let (id, secret) = (number(&made["key"]["id"]), made["secret"].as_str().expect("a secret").to_owned());
    assert_eq!((&made["key"]["user"], &made["key"]["group"]), (&json!("user"), &json!("default")));
    until_status(&stage.gateway, &secret, 200).await;
    let path = format!("/keys/{id}");
    let started = Instant::now();
    let spent = loop {
        let spent = number(&stage.user.get(&path).await.ok()["spent_nanos"]);
        if spent > 0 || started.elapsed() > PATIENCE {
            break spent;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(spent > 0);
    assert_eq!(stage.user.get("/session").await.ok()["person"]["spent_nanos"], spent);
    stage.user.patch(&path, &json!({"models": ["another"]})).await.ok();
    until_status(&stage.gateway, &secret, 403).await;
    stage.user.patch(&path, &json!({"models": [], "expires_at": "2001-01-01T00:00:00Z"})).await.ok();
    until_status(&stage.gateway, &secret, 401).await;
    let rotated = stage.user.post(&format!("{path}/rotate"), &json!({})).await.ok();
    let next = rotated["secret"].as_str().expect("a secret").to_owned();
    stage.user.patch(&path, &json!({"expires_at": null})).await.ok();
    until_status(&stage.gateway, &next, 200).await;
    assert_eq!(stage.gateway.send(&chat(&secret)).await.status, 401);
    stage.operator.patch(&path, &json!({"enabled": false})).await.ok();
    until_status(&stage.gateway, &next, 401).await;
    stage.operator.patch(&path, &json!({"enabled": true, "quota_nanos": 1})).await.ok();
    until_status(&stage.gateway, &next, 402).await;
    assert_eq!(stage.user.delete(&path).await.status, 204);
    until_status(&stage.gateway, &next, 401).await;
    // The command line sees what the console does.
    until("no key", || stage.gateway.run_json(&["key", "list", "--json"]).is_empty().then_some(())).await;
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_there() {
    let stage = Stage::start().await;
    let other = stage.visitor("other", "user").await;
    let theirs = number(&stage.user.post("/keys", &json!({"name": "theirs"})).await.ok()["key"]["id"]);
    let nobodys = number(&stage.operator.post("/keys", &json!({"name": "nobody's"})).await.ok()["key"]["id"]);
    for id in [theirs, nobodys, 999_999] {
        for root in ["/keys", "/tokens"] {
            let path = format!("{root}/{id}");
            let tried = [
                other.get(&path).await,
                other.patch(&path, &json!({"name": "stolen"})).await,
                other.post(&format!("{path}/rotate"), &json!({})).await,
                other.delete(&path).await,
            ];
            for told in tried {
                assert_eq!((told.status, told.code()), (404, "NOT_FOUND"), "{path}");
            }
        }
    }
    assert_eq!(items(&other.get("/keys").await.ok()).len(), 0);
    assert_eq!(items(&stage.user.get("/keys").await.ok()).len(), 1);
    let all = stage.operator.get("/tokens").await.ok();
    let names: Vec<&Value> = items(&all).iter().map(|key| &key["name"]).collect();
    assert_eq!(names, [&json!("theirs"), &json!("nobody's")], "untouched, and operators have them all");
    let of_one = stage.operator.get("/keys?user=user").await.ok();
    assert_eq!((items(&of_one).len(), number(&items(&of_one)[0]["id"])), (1, theirs));
}

#[tokio::test]
async fn a_user_sets_no_more_of_a_key_than_is_theirs() {
    let stage = Stage::start().await;
    let made = stage.user.post("/keys", &json!({"name": "mine"})).await.ok();
    let path = format!("/keys/{}", made["key"]["id"]);
    for (field, value) in [
        ("user", json!("admin")),
        ("user", Value::Null),
        ("enabled", json!(true)),
        ("group", json!("other")),
        ("id", json!(1)),
        ("spent_nanos", json!(0)),
        ("digest", json!("00")),
        ("created_at", json!("2001-01-01T00:00:00Z")),
    ] {
        let told = stage.user.patch(&path, &json!({field: value})).await;
        assert_eq!((told.status, told.code()), (400, "INVALID"), "{field}");
        assert_eq!(told.body["error"]["field"], field);
    }
    for (field, value) in [("user", json!("admin")), ("group", json!("other")), ("enabled", json!(true))] {
        let told = stage.user.post("/keys", &json!({"name": "second", field: value})).await;
        assert_eq!(told.body["error"]["field"], field, "{}", told.body);
    }
    assert_eq!(stage.user.get("/keys?user=admin").await.code(), "INVALID");
    assert_eq!(stage.user.get("/keys").await.ok(), json!({"items": [made["key"]], "next": null}));
    // A group that an operator has given is theirs.
    let given = json!({"name": "given", "user": "user", "group": "other"});
    stage.operator.post("/keys", &given).await.ok();
    stage.user.patch(&path, &json!({"group": "other"})).await.ok();
    let taken = stage.user.patch(&path, &json!({"name": "given"})).await;
    assert_eq!((taken.status, &taken.body["error"]["field"]), (409, &json!("name")));
}

#[tokio::test]
async fn what_others_limit_or_take_away_a_user_does_not_undo() {
    let stage = Stage::start().await;
    let given = json!({
        "name": "given", "user": "user", "group": "other", "models": ["m", "n"], "quota_nanos": 1000, "rpm": 5, "tpm": 50,
        "concurrency": 2, "expires_at": "2099-01-01T00:00:00Z",
    });
    let path = format!("/keys/{}", stage.operator.post("/keys", &given).await.ok()["key"]["id"]);
    let wider = [
        ("models", json!([])),
        ("models", json!(["m", "o"])),
        ("quota_nanos", Value::Null),
        ("quota_nanos", json!(1001)),
        ("rpm", Value::Null),
        ("rpm", json!(6)),
        ("tpm", json!(51)),
        ("concurrency", Value::Null),
        ("expires_at", Value::Null),
        ("expires_at", json!("2100-01-01T00:00:00Z")),
        ("group", json!("default")),
    ];
    for (field, value) in &wider {
        let told = stage.user.patch(&path, &json!({*field: value})).await;
        assert_eq!((told.status, told.code()), (400, "INVALID"), "{field}: {value}");
        assert!(told.body["error"]["message"].as_str().is_some_and(|why| why.starts_with(field)), "{}", told.body);
    }
    // As it is, and narrower, it may be.
    let narrower = json!({
        "name": "mine", "group": "other", "models": ["n"], "quota_nanos": 999, "rpm": 5, "tpm": 1, "concurrency": 1,
        "expires_at": "2098-01-01T00:00:00Z",
    });
    stage.user.patch(&path, &narrower).await.ok();
    // Their own limits are theirs, until somebody else sets one.
    let own = format!("/keys/{}", stage.user.post("/keys", &json!({"name": "own", "rpm": 1})).await.ok()["key"]["id"]);
    stage.operator.patch(&own, &json!({"enabled": false})).await.ok();
    stage.operator.patch(&own, &json!({"enabled": true})).await.ok();
    stage.user.patch(&own, &json!({"rpm": 9, "group": "other"})).await.ok();
    stage.operator.patch(&own, &json!({"rpm": 3})).await.ok();
    assert_eq!(stage.user.patch(&own, &json!({"rpm": 4})).await.code(), "INVALID");
    // The group went with the key that gave it: their own key that has it keeps it, and gives no other.
    let another = json!({"name": "another", "group": "other"});
    for gone in [json!({"enabled": false}), json!({"enabled": true, "expires_at": "2001-01-01T00:00:00Z"})] {
        stage.operator.patch(&path, &gone).await.ok();
        let told = stage.user.post("/keys", &another).await;
        assert_eq!((told.status, &told.body["error"]["field"]), (400, &json!("group")), "{gone}");
        stage.user.patch(&own, &json!({"name": "own", "group": "other", "rpm": 3})).await.ok();
    }
    stage.operator.patch(&path, &json!({"expires_at": null})).await.ok();
    assert_eq!(stage.user.post("/keys", &another).await.status, 201);
}

#[tokio::test]
async fn a_user_sees_the_models_of_their_groups_and_an_operator_all() {
    let stage = Stage::start().await;
    let models = stage.user.get("/models").await.ok();
    assert_eq!(models[0]["groups"], json!(["default"]));
    assert_eq!(models[0]["prices"][0]["input"], "1");
    assert_eq!(stage.operator.get("/models").await.ok()[0]["groups"], json!(["default", "other"]));
    stage.operator.post("/keys", &json!({"name": "k", "group": "alone"})).await.ok();
    let groups = stage.operator.get("/groups").await.ok();
    let expected = json!([
        {"name": "alone", "upstreams": [], "models": [], "keys": 1},
        {"name": "default", "upstreams": ["u"], "models": ["m"], "keys": 0},
        {"name": "other", "upstreams": ["u"], "models": ["m"], "keys": 0},
    ]);
    assert_eq!(groups, expected);
}

#[tokio::test]
async fn a_listing_is_read_part_by_part() {
    let stage = Stage::start().await;
    for nth in 0..7 {
        stage.user.post("/keys", &json!({"name": format!("k{nth}")})).await.ok();
    }
    // Where the last part is full, too, nothing comes behind it.
    for (limit, parts) in [(3, 3), (7, 1), (1, 7), (1000, 1)] {
        let (mut names, mut cursor, mut read) = (Vec::new(), String::new(), 0);
        loop {
            let page = stage.user.get(&format!("/keys?limit={limit}{cursor}")).await.ok();
            names.extend(items(&page).iter().map(|key| key["name"].as_str().unwrap_or_default().to_owned()));
            read += 1;
            match page["next"].as_i64() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(names, (0..7).map(|nth| format!("k{nth}")).collect::<Vec<_>>());
        assert_eq!(read, parts, "limit {limit}");
    }
    let stranger = Visitor::stranger(stage.gateway.address);
    assert_eq!(stranger.get("/keys").await.status, 401);
}

#[tokio::test]
async fn a_start_says_how_many_keys_no_token_finds_where_tokens_name_keys() {
    const REMARK: &str = "keys that no token or wallet finds by name";
    let (provider, setup) = setup().await;
    let mut stage = Stage::with(provider, &setup).await;
    let found_by_name = async |visitor: &Visitor, name: &str| {
        let made = visitor.post("/keys", &json!({"name": name})).await.ok();
        made["key"]["found_by_name"].clone()
    };
    assert_eq!(found_by_name(&stage.user, "chosen").await, false);
    assert_eq!(found_by_name(&stage.operator, "given").await, true);
    let form = stage.user.get("/openapi.json").await.ok()["components"]["schemas"]["KeyJson"].clone();
    assert_eq!(form["properties"]["found_by_name"]["type"], "boolean", "{form}");
    let restart = async |stage: &mut Stage| {
        assert!(stage.gateway.stop().await.success());
        let said_before = stage.gateway.logged().len();
        stage.gateway.serve().await;
        stage.gateway.logged()[said_before..].to_owned()
    };
    let said = restart(&mut stage).await;
    assert!(!said.contains(REMARK), "no token names a key: {said}");
    let tokens = "[plugins.auth-jwt]\nissuer = \"https://login.example\"\naudience = \"tollgate\"\nalgorithms = [\"HS256\"]\n\
                  secret = \"a secret of thirty-two bytes or more\"\nkey_claim = \"tollgate_key\"\n";
    let config = stage.gateway.read("tollgate.toml");
    stage.gateway.write("tollgate.toml", &format!("{config}{tokens}"));
    let said = restart(&mut stage).await;
    assert_eq!(said.matches(REMARK).count(), 1, "{said}");
    assert!(said.contains("no operator named them: 1 (`found_by_name` in `tollgate key list --json`)"), "{said}");
    stage.gateway.run_json(&["key", "set", "chosen", "--name", "chosen", "--json"]);
    let said = restart(&mut stage).await;
    assert!(!said.contains(REMARK), "{said}");
}
