//! What `tollgate import` cannot read exactly, or what would not load, stays where it is, with the reason.

use super::import::{database, import, names};
use super::*;

/// Why this was left.
fn why(rows: &[Value], what: &str, name: &str) -> String {
    let row = rows.iter().find(|row| row["what"] == what && row["name"] == name && row["taken"] == false);
    row.unwrap_or_else(|| panic!("{what} {name} was not left: {rows:?}"))["why"].as_str().unwrap().to_owned()
}

/// Imports these rows of LiteLLM's table of keys.
fn litellm_keys(place: &Place, rows: &[(&str, &str)]) -> Vec<Value> {
    place.write("c.yaml", "model_list: []\n");
    let row = |(at, (name, columns)): (usize, &(&str, &str))| {
        format!(r#"{{"token": "{at:064x}", "key_alias": "{name}", {columns}}}"#)
    };
    let text: Vec<String> = rows.iter().enumerate().map(row).collect();
    place.write("keys.json", &text.join("\n"));
    import(place, "litellm", "c.yaml", &format!("--keys {}", place.path("keys.json").display()))
}

#[test]
fn a_column_of_litellms_keys_that_cannot_be_read_leaves_the_key() {
    let place = Place::new();
    let taken = [
        ("plain", r#""expires": "2025-01-01T00:00:00", "max_budget": "2.50", "spend": 0.5, "rpm_limit": "60""#),
        ("spaced", r#""expires": "2025-01-01 00:00:00.123", "tpm_limit": 7"#),
        ("offset", r#""expires": "2025-01-01T00:00:00+01:00", "blocked": "t""#),
        ("short", r#""expires": "2025-01-01 00:00:00+00""#),
        ("never", r#""expires": null, "max_budget": null, "models": null, "rpm_limit": null, "blocked": null"#),
    ];
    let left = [
        ("soon", r#""expires": "tomorrow""#, "expires"),
        ("number", r#""expires": 1735689600"#, "expires"),
        ("empty", r#""expires": """#, "expires"),
        ("dear", r#""max_budget": "10 USD""#, "max_budget"),
        ("huge", r#""max_budget": 1e99"#, "max_budget"),
        ("listed", r#""max_budget": [1]"#, "max_budget"),
        ("spent", r#""max_budget": 1, "spend": "much""#, "spend"),
        ("half", r#""rpm_limit": 1.5"#, "rpm_limit"),
        ("nothing", r#""tpm_limit": 0"#, "tpm_limit"),
        ("minus", r#""max_parallel_requests": -1"#, "max_parallel_requests"),
        ("array", r#""models": "{gpt-4o}""#, "models"),
        ("mixed", r#""models": ["gpt-4o", 7]"#, "models"),
        ("maybe", r#""blocked": "perhaps""#, "blocked"),
        ("owner", r#""user_id": 7"#, "user_id"),
    ];
    let all: Vec<(&str, &str)> = taken.into_iter().chain(left.map(|(name, columns, _)| (name, columns))).collect();
    let rows = litellm_keys(&place, &all);
    for (name, _, column) in left {
        let why = why(&rows, "key", name);
        assert!(why.contains(&format!("`{column}`")) && why.contains("expected"), "{name}: {why}");
    }
    assert_eq!(names(&rows, "key", true), taken.map(|(name, _)| name));
    let keys = place.json("key list --json");
    let key = |name: &str| keys.iter().find(|key| key["name"] == name).unwrap();
    for (name, expires_at) in [
        ("plain", "2025-01-01T00:00:00.000Z"),
        ("spaced", "2025-01-01T00:00:00.123Z"),
        ("offset", "2024-12-31T23:00:00.000Z"),
        ("short", "2025-01-01T00:00:00.000Z"),
    ] {
        assert_eq!(key(name)["expires_at"], expires_at, "{name}");
    }
    assert_eq!((&key("plain")["quota_nanos"], &key("plain")["rpm"]), (&2_000_000_000_i64.into(), &60.into()));
    assert_eq!((&key("spaced")["tpm"], &key("offset")["enabled"]), (&7.into(), &false.into()));
    assert_eq!((&key("never")["expires_at"], &key("never")["quota_nanos"]), (&Value::Null, &Value::Null));
}

#[test]
fn only_what_means_every_model_at_litellm_means_it_here() {
    let place = Place::new();
    let rows = litellm_keys(
        &place,
        &[
            ("minilm", r#""models": ["all-minilm", "all-mpnet"]"#),
            ("proxy", r#""models": ["all-proxy-models"]"#),
            ("star", r#""models": ["*"]"#),
            ("none", r#""models": []"#),
            ("team", r#""models": ["all-team-models"], "max_budget": 1"#),
            ("default", r#""models": ["no-default-models"]"#),
            ("pattern", r#""models": ["gpt-4o", "openai/*"]"#),
            ("inherited", r#""models": [], "team_id": "t1", "max_budget": 1"#),
        ],
    );
    assert_eq!(names(&rows, "key", true), ["minilm", "proxy", "star", "none"]);
    for (name, word) in [
        ("team", "`all-team-models`"),
        ("default", "`no-default-models`"),
        ("pattern", "`openai/*`"),
        ("inherited", "team"),
    ] {
        let why = why(&rows, "key", name);
        assert!(why.contains("`models`") && why.contains(word), "{name}: {why}");
    }
    let keys = place.json("key list --json");
    let models: Vec<&Value> = keys.iter().map(|key| &key["models"]).collect();
    assert_eq!(models[0], &serde_json::json!(["all-minilm", "all-mpnet"]));
    assert!(models[1..].iter().all(|models| models.as_array().unwrap().is_empty()), "{models:?}");
}

#[test]
fn a_limit_of_litellms_that_keys_here_cannot_have_is_named_and_the_key_waits_for_a_person() {
    let place = Place::new();
    let rows = litellm_keys(
        &place,
        &[
            (
                "bare",
                r#""models": ["m"], "model_max_budget": {}, "allowed_routes": ["llm_api_routes"], "permissions": "{}""#,
            ),
            ("budgets", r#""models": ["m"], "model_max_budget": {"m": {"budget_limit": 1}}"#),
            ("routes", r#""models": ["m"], "allowed_routes": ["/v1/embeddings"]"#),
            ("rates", r#""models": ["m"], "metadata": {"model_rpm_limit": {"m": 1}, "owner": "x"}"#),
            ("team", r#""models": ["m"], "team_id": "t1", "max_budget": 1"#),
            ("monthly", r#""models": ["m"], "max_budget": 1, "budget_duration": "30d""#),
        ],
    );
    let keys = place.json("key list --json");
    let enabled: Vec<(&str, bool)> =
        keys.iter().map(|key| (key["name"].as_str().unwrap(), key["enabled"].as_bool().unwrap())).collect();
    let expected =
        [("bare", true), ("budgets", false), ("routes", false), ("rates", false), ("team", false), ("monthly", true)];
    assert_eq!(enabled, expected);
    for (name, word) in [
        ("budgets: model_max_budget", "tollgate key enable"),
        ("routes: allowed_routes", "tollgate key enable"),
        ("rates: metadata.model_rpm_limit", "tollgate key enable"),
        ("team: team_id", "tollgate key enable"),
        ("monthly: budget_duration", "not begin anew"),
    ] {
        let why = why(&rows, "setting", name);
        assert!(why.contains(word), "{name}: {why}");
    }
}

#[test]
fn a_column_of_one_apis_that_cannot_be_read_leaves_its_row() {
    let place = Place::new();
    let sql = r#"
        CREATE TABLE channels (id INTEGER PRIMARY KEY, type, key, status, name, weight, base_url, models, "group", model_mapping, priority);
        INSERT INTO channels VALUES (1, 1, 'k', '1', 'good', 0, x'68747470733a2f2f612e6578616d706c65', 'm', 'default', '', 0),
            (2, 1, 'k', 'on', 'state', 0, '', 'm', 'default', '', 0), (3, 1, 'k', 1, 'place', 0, 7, 'm', 'default', '', 0),
            (4, 1, 'k', 1, 'names', 0, '', 'm', 'default', '{"m": "n"', 0), (5, 1, 'k', 1, 'name', 0, '', 'm', 'default', '{"m": 7}', 0),
            (6, 1, 'k', 1, 'heavy', 'much', '', 'm', 'default', '', 0);
        CREATE TABLE users (id INTEGER PRIMARY KEY, username, role, status, "group", quota, used_quota);
        INSERT INTO users VALUES (1, 'ann', 1, 1, 'default', 500000, 0), (2, 'bob', 1, 'active', 'default', 500000, 0),
            (3, 'cy', 1, 1, 'default', 'much', 0);
        CREATE TABLE redemptions (id INTEGER PRIMARY KEY, key, status, name, quota, expired_time);
        INSERT INTO redemptions VALUES (1, 'c1', 1, 'good', 500000, '4102444800'), (2, 'c2', 1, 'ends', 500000, 'later'),
            (3, 'c3', 'new', 'state', 500000, 0);
        CREATE TABLE tokens (id INTEGER PRIMARY KEY, user_id, key, status, name, expired_time, remain_quota, unlimited_quota,
            model_limits_enabled, model_limits, allow_ips, "group");
        INSERT INTO tokens VALUES (1, 1, 'k1', 1, 'good', -1, 500000.0, 0, 0, '', '', ''),
            (2, 1, 'k2', 1, 'ended', 0, 500000, 0, 0, '', '', ''),
            (3, 1, 'k3', 1, 'ends', '2025-01-01', 500000, 0, 0, '', '', ''),
            (4, 1, 'k4', 'on', 'state', -1, 500000, 0, 0, '', '', ''),
            (5, 1, 'k5', 1, 'quota', -1, '5 USD', 0, 0, '', '', ''),
            (6, 1, 'k6', 1, 'unlimited', -1, 0, 'maybe', 0, '', '', ''),
            (7, 1, 'k7', 1, 'limited', -1, 0, 1, 'maybe', 'm', '', ''),
            (8, 1, 'k8', 1, 'to none', -1, 0, 1, 1, '', '', ''),
            (9, 2, 'k9', 1, 'of bob', -1, 0, 1, 0, '', '', ''),
            (10, 3, 'k10', 1, 'of cy', -1, 0, 1, 0, '', '', ''),
            (11, 77, 'k11', 1, 'of nobody', -1, 0, 1, 0, '', '', ''),
            (12, 1, 'k12', 1, 'at home', -1, 500000, 0, 'true', 'm', '10.0.0.0/8', '');
        CREATE TABLE options (key TEXT, value TEXT);
    "#;
    database(&place, "new-api.db", sql);
    let rows = import(&place, "new-api", "new-api.db", "");
    assert_eq!(names(&rows, "upstream", true), ["good", "heavy"]);
    assert!(place.read("tollgate.toml").contains("https://a.example/v1"), "text is text, however it is stored");
    assert_eq!(
        (names(&rows, "user", true), names(&rows, "code", true)),
        (vec!["ann".into()], vec!["good (code 1)".into()])
    );
    assert_eq!(names(&rows, "key", true), ["good", "ended", "at home"]);
    for (what, name, column) in [
        ("upstream", "state", "`status`"),
        ("upstream", "place", "`base_url`"),
        ("upstream", "names", "`model_mapping`"),
        ("upstream", "name", "`model_mapping`"),
        ("setting", "heavy: weight", "`weight`"),
        ("user", "bob", "`status`"),
        ("user", "cy", "`quota`"),
        ("code", "ends (code 2)", "`expired_time`"),
        ("code", "state (code 3)", "`status`"),
        ("key", "ends", "`expired_time`"),
        ("key", "state", "`status`"),
        ("key", "quota", "`remain_quota`"),
        ("key", "unlimited", "`unlimited_quota`"),
        ("key", "limited", "`model_limits_enabled`"),
        ("key", "to none", "no model"),
        ("key", "of bob", "its user"),
        ("key", "of cy", "its user"),
        ("key", "of nobody", "its user"),
        ("setting", "at home: allow_ips", "tollgate key enable"),
    ] {
        let why = why(&rows, what, name);
        assert!(why.contains(column), "{what} {name}: {why}");
    }
    let keys = place.json("key list --json");
    let key = |name: &str| keys.iter().find(|key| key["name"] == name).unwrap();
    assert_eq!(key("ended")["expires_at"], "1970-01-01T00:00:00.000Z");
    assert_eq!((&key("at home")["enabled"], &key("at home")["models"]), (&false.into(), &serde_json::json!(["m"])));
    assert_eq!((&key("good")["enabled"], &key("good")["expires_at"]), (&true.into(), &Value::Null));

    for units in ["1e6", "many", "500000.5", "0"] {
        let sql = format!("{sql} INSERT INTO options VALUES ('QuotaPerUnit', '{units}');");
        database(&place, "units.db", &sql);
        let path = place.path("units.db").display().to_string();
        place.fails(&format!("import new-api {path}"), 2, &["QuotaPerUnit", "expected"]);
        std::fs::remove_file(place.path("units.db")).unwrap();
    }
}
