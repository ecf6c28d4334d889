//! The pricing file: replaced as a whole, with a row in the audit if and only if it was, whatever fails meanwhile; and its history.

use crate::stage::{Stage, items, setup, upstream_at};
use crate::support::answers;
use crate::support::console::Visitor;
use crate::support::gateway::{Gateway, PRICES, Setup};
use crate::support::provider::Provider;
use crate::support::{is_installed, until};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What a row of the history says was removed and added.
fn changed(row: &Value) -> Vec<String> {
    let line = |line: &Value| {
        let sign = if line["change"] == "added" { '+' } else { '-' };
        format!("{sign}{} {}", line["number"], line["text"].as_str().expect("a text"))
    };
    row["lines"].as_array().expect("they are known").iter().map(line).collect()
}

/// The history's versions, the latest first; and whether the file, what is in force and the audit say the same of the latest.
async fn versions(gateway: &Gateway, admin: &Visitor) -> Vec<String> {
    let listed = admin.get("/prices/history").await.ok();
    let versions: Vec<String> = items(&listed).iter().map(|row| row["version"].as_str().expect("one").into()).collect();
    let file = admin.get("/prices/file").await.ok();
    assert_eq!(file["text"], gateway.read("pricing.toml"));
    let explained = admin.post("/prices/explain", &json!({"model": "m"})).await.ok();
    assert_eq!((&file["version"], &explained["price_version"]), (&json!(versions[0]), &json!(versions[0])));
    versions
}

/// Waits until so many versions are noted that nobody asked for.
async fn found(gateway: &Gateway, count: usize) {
    let noted = || {
        let database = rusqlite::Connection::open(gateway.path("data/tollgate.db")).expect("the store");
        let count_of = "SELECT count(*) FROM audit WHERE action = 'prices.found'";
        let found: Result<usize, _> = database.query_row(count_of, [], |row| row.get(0));
        (found == Ok(count)).then_some(())
    };
    until("the version in force is noted", noted).await;
}

#[tokio::test]
async fn a_price_is_explained_for_where_a_model_has_to_run() {
    let stage = Stage::start().await;
    let version = stage.operator.get("/prices/file").await.ok()["version"].clone();
    let placed = PRICES.replace("input = 1", "inference_geo = { us = 1.1 }\ninput = 1");
    stage.admin.put("/prices/file", &json!({"text": placed, "version": version})).await.ok();
    for (place, cost_nanos) in
        [(Value::Null, 1_000_000_000_i64), (json!("us"), 1_100_000_000), (json!("eu"), 1_000_000_000)]
    {
        let asked = json!({"model": "m", "input_tokens": 1_000_000, "inference_geo": place});
        let explained = stage.user.post("/prices/explain", &asked).await.ok();
        assert_eq!(explained["cost_nanos"], cost_nanos, "{place}: {explained}");
    }
}

/// A price for each request and nothing else, and one with all that a row can have.
const RICH: &str = r#"
[[model]]
name = "picture"
input = 0
output = 0
per_request = 0.04
[[model]]
name = "drawn"
input = 0
output = 0
fees = { image_hd = 0.08 }
[[model]]
name = "m"
input = 2
output = 8
web_search_per_thousand = 10
batch = 0.5
inference_geo = { us = 1.1 }
tiers = [{ above_prompt_tokens = 1000, input = 4 }]
windows = [{ from = "01:00", to = "02:00", time_zone = "Asia/Shanghai", multiplier = 1 }]
[[model]]
name = "m"
valid_from = 2999-01-01
input = 3
output = 9
"#;

#[tokio::test]
async fn what_a_request_costs_is_told_with_the_prices_as_the_command_tells_it() {
    let provider = Provider::always(answers::chat("x", 10, 5)).await;
    let upstream = upstream_at("u", &provider).models("[\"m\", \"picture\", \"drawn\"]").with("price_multiplier = 1.5");
    let stage = Stage::with(provider, &Setup::new([upstream]).prices(RICH)).await;
    let prices = stage.user.get("/prices").await.ok();
    let [picture, drawn, m] = items(&prices) else { panic!("{prices}") };
    assert_eq!((&picture["usd_per_request"], &picture["and_prices_of"]), (&json!("0.04"), &json!(["requests"])));
    assert_eq!(
        (&drawn["versions"][0]["usd_per_time"], &drawn["and_prices_of"]),
        (&json!({"image_hd": "0.08"}), &json!(["pieces"]))
    );
    for (quality, cost, missing) in [("hd", 160_000_000, false), ("low", 0, true)] {
        let asked = json!({"model": "drawn", "images": 2, "quality": quality, "size": "1024x1792"});
        let explained = stage.user.post("/prices/explain", &asked).await.ok();
        assert_eq!(
            (&explained["cost_nanos"], &explained["price_missing"]),
            (&json!(cost), &json!(missing)),
            "{explained}"
        );
    }
    let words = ["long prompts", "web searches", "hours", "places", "other dates", "batch"];
    assert_eq!((&m["usd_per_thousand_web_searches"], &m["and_prices_of"]), (&json!("10"), &json!(words)));
    for (price, name) in [(picture, "picture"), (drawn, "drawn"), (m, "m")] {
        // In full, to the letter: tiers, hours, places, service tiers, and what is still to come.
        let shown = stage.gateway.run_json(&["price", "show", name, "--json"]);
        assert_eq!(price["versions"], shown[0]["versions"], "{name}");
    }
    assert_eq!(m["versions"].as_array().map(Vec::len), Some(2), "{m}");
    // At an upstream everything is multiplied.
    let models = stage.user.get("/models").await.ok();
    let model =
        |name: &str| models.as_array().expect("a list").iter().find(|model| model["name"] == name).expect("one");
    assert_eq!(model("picture")["prices"][0]["per_request"], "0.06");
    assert_eq!(model("picture")["and_prices_of"], json!(["requests"]));
    assert_eq!(
        (&model("m")["prices"][0]["web_search_per_thousand"], &model("m")["prices"][0]["input"]),
        (&json!("15"), &json!("3"))
    );
    assert_eq!(model("m")["prices"][0].get("per_request"), None, "it costs nothing");
    assert_eq!(model("m")["and_prices_of"].as_array().map(Vec::len), Some(words.len()));
}

#[tokio::test]
async fn the_pricing_file_is_replaced_as_a_whole_by_whoever_has_seen_it() {
    let stage = Stage::start().await;
    let file = stage.operator.get("/prices/file").await.ok();
    assert_eq!(file["text"], PRICES);
    let version = file["version"].clone();
    let next = PRICES.replace("input = 1", "input = 3");
    let put = async |text: &str, version: &serde_json::Value| {
        stage.admin.put("/prices/file", &json!({"text": text, "version": version})).await
    };
    let told = put("[[model]]\nname = \"m\"\ninput = -1\noutput = 2\n", &version).await;
    assert_eq!((told.status, told.code()), (400, "INVALID"));
    assert_eq!(
        (&told.body["error"]["errors"][0]["line"], &told.body["error"]["errors"][0]["key"]),
        (&json!(3), &json!("m.input")),
        "{}",
        told.body
    );
    assert_eq!(put(&next, &json!("0123")).await.code(), "CONFLICT");
    assert_eq!(stage.gateway.read("pricing.toml"), PRICES, "nothing came of it");
    let told = put(&next, &version).await.ok();
    assert_ne!(told["version"], version);
    assert_eq!((&told["in_force"], &told["errors"]), (&json!(true), &json!([])));
    assert_eq!(stage.gateway.read("pricing.toml"), next);
    let prices = stage.user.get("/prices?q=M").await.ok();
    assert_eq!((items(&prices).len(), &items(&prices)[0]["classes"]["input"]), (1, &json!("3")), "{prices}");
    assert_eq!(put(PRICES, &version).await.code(), "CONFLICT", "somebody was faster");
    let history = stage.operator.get("/prices/history").await.ok();
    let latest = &items(&history)[0];
    assert_eq!((&latest["version"], &latest["before"]), (&told["version"], &version));
    assert_eq!((&latest["actor"], &latest["source"]), (&json!("admin"), &json!("console")));
    assert_eq!(changed(latest), ["-5 input = 1", "+5 input = 3"], "{latest}");
    let asked = json!({"model": "m", "input_tokens": 1_000_000, "output_tokens": 10});
    let explained = stage.user.post("/prices/explain", &asked).await.ok();
    assert_eq!(explained["cost_nanos"], 3_000_000_000_i64 + 20_000, "{explained}");
    let none = stage.user.post("/prices/explain", &json!({"model": "n"})).await;
    assert_eq!((none.code(), &none.body["error"]["field"]), ("NOT_FOUND", &json!("model")));
    let parts = json!({"model": "m", "input_tokens": 1, "cached_input_tokens": 2});
    assert_eq!(stage.user.post("/prices/explain", &parts).await.code(), "INVALID");
    assert_eq!(stage.operator.post("/prices/validate", &json!({"text": "x"})).await.code(), "INVALID");
    let valid = stage.operator.post("/prices/validate", &json!({"text": PRICES})).await.ok();
    assert_eq!((&valid["version"], &valid["prices"]), (&version, &json!(1)));
}

/// A gateway whose process has no more rights on files than their permissions say, whoever runs the test, and gets an error for what
/// it may not write.
async fn confined() -> (Gateway, Visitor) {
    let (provider, setup) = setup().await;
    let mut gateway = Gateway::prepare(&setup);
    gateway.first = Some(
        "trap '' XFSZ; if [ \"$(id -u)\" = 0 ]; then \
         exec setpriv --bounding-set -dac_override,-dac_read_search \"$0\" \"$@\"; fi",
    );
    gateway.serve().await;
    drop(provider);
    let admin = Visitor::admin(&gateway).await;
    found(&gateway, 1).await;
    (gateway, admin)
}

/// Room for the pricing file, and for no page of the store's.
const SMALL_BYTES: u64 = 1024;

/// Lets the process write no file beyond this size; `None`: any.
fn limit_files(gateway: &Gateway, bytes: Option<u64>) {
    let limit = bytes.map_or_else(|| "--fsize=unlimited:".to_owned(), |bytes| format!("--fsize={bytes}:"));
    let status = Command::new("prlimit").args([&limit, "--pid", &gateway.pid().to_string()]).status();
    assert!(status.expect("prlimit runs").success());
}

#[tokio::test]
async fn a_change_that_fails_leaves_neither_a_row_nor_a_file() {
    if !is_installed("prlimit") || !is_installed("setpriv") {
        return;
    }
    let (gateway, admin) = confined().await;
    let first = versions(&gateway, &admin).await;
    let next = PRICES.replace("input = 1", "input = 3");
    let put = async || admin.put("/prices/file", &json!({"text": next, "version": first[0]})).await;
    let folder = gateway.path("");
    let lock = || {
        let database = rusqlite::Connection::open(gateway.path("data/tollgate.db")).expect("the store");
        database.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
        database
    };
    // The folder is read-only.
    std::fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("ours");
    let told = put().await;
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("ours");
    assert_eq!((told.status, told.code()), (503, "UNAVAILABLE"), "{}", told.body);
    let message = told.body["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.starts_with("the file cannot be written: Permission denied"), "{message}");
    assert_eq!(versions(&gateway, &admin).await, first);
    // Somebody has locked the store.
    let locked = lock();
    let told = put().await;
    drop(locked);
    assert_eq!((told.status, told.code()), (503, "UNAVAILABLE"), "{}", told.body);
    assert_eq!(versions(&gateway, &admin).await, first);
    // The store takes the row, but not its transaction: the file was replaced by then, and is what it was again.
    limit_files(&gateway, Some(SMALL_BYTES));
    let told = put().await;
    limit_files(&gateway, None);
    assert_eq!((told.status, told.code()), (503, "UNAVAILABLE"), "{}", told.body);
    assert_eq!(gateway.read("pricing.toml"), PRICES);
    // Nothing is left of any of them, and what was wrong is over.
    let left: Vec<_> = std::fs::read_dir(&folder).expect("ours").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
    put().await.ok();
    let last = versions(&gateway, &admin).await;
    assert_eq!(last.len(), 2, "{last:?}");
    assert_eq!(admin.put("/prices/file", &json!({"text": next, "version": last[0]})).await.status, 200);
    assert_eq!(versions(&gateway, &admin).await, last, "what changes nothing has no row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_lost_that_the_command_line_makes_at_the_same_time() {
    let stage = Stage::start().await;
    for round in 0..12 {
        let file = stage.admin.get("/prices/file").await.ok();
        let marked = format!("{}# round {round}\n", file["text"].as_str().expect("a text"));
        let next = json!({"text": marked, "version": file["version"]});
        let model = format!("set-{round}");
        let arguments = ["price", "set", &model, "--input", "7", "--output", "2"];
        let (set, told) = std::thread::scope(|scope| {
            let set = scope.spawn(|| stage.gateway.run(&arguments));
            // Sooner or later than the other one reads the file.
            std::thread::sleep(std::time::Duration::from_millis(4 * round));
            let put = stage.admin.put("/prices/file", &next);
            let told = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(put));
            (set.join().expect("it ends"), told)
        });
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
        let text = stage.gateway.read("pricing.toml");
        assert!(text.contains(&model), "round {round}: the command line's row is gone\n{text}");
        let is_marked = text.contains(&format!("# round {round}\n"));
        assert_eq!(is_marked, told.status == 200, "round {round}: {} {}", told.status, told.body);
        assert!(told.status == 200 || told.code() == "CONFLICT", "{}", told.body);
    }
}

#[tokio::test]
async fn a_version_that_came_by_no_request_is_found() {
    let (_provider, setup) = setup().await;
    let mut gateway = Gateway::start(&setup).await;
    let admin = Visitor::admin(&gateway).await;
    found(&gateway, 1).await;
    let listed = admin.get("/prices/history").await.ok();
    let first = items(&listed)[0].clone();
    assert_eq!((&first["before"], &first["lines"]), (&Value::Null, &Value::Null));
    assert_eq!((&first["actor"], &first["source"]), (&json!("tollgate serve"), &json!("found")));
    // By the command line, beside the running gateway.
    let set = gateway.run(&["price", "set", "m", "--input", "7", "--output", "2"]);
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    found(&gateway, 2).await;
    let listed = admin.get("/prices/history").await.ok();
    let latest = &items(&listed)[0];
    assert_eq!((&latest["before"], &latest["source"]), (&first["version"], &json!("found")));
    let lines = changed(latest);
    assert!(lines.contains(&"-5 input = 1".to_owned()) && lines.contains(&"+5 input = 7".to_owned()), "{lines:?}");
    // As a change of the console is left that ended between the file's new name and the row's commit.
    gateway.kill().await;
    gateway.write("pricing.toml", &PRICES.replace("input = 1", "input = 9"));
    gateway.serve().await;
    found(&gateway, 3).await;
    let listed = admin.get("/prices/history").await.ok();
    let (last, before) = (&items(&listed)[0], &items(&listed)[1]);
    assert_eq!((&last["before"], &last["source"]), (&before["version"], &json!("found")));
    assert_eq!(last["lines"], Value::Null, "what was there before is gone");
    // A start that finds what the audit has notes nothing, nor does a reload.
    gateway.stop().await;
    gateway.serve().await;
    admin.post("/reload", &json!({})).await.ok();
    let next = PRICES.replace("input = 1", "input = 4");
    let told = admin.put("/prices/file", &json!({"text": next, "version": last["version"]})).await.ok();
    assert_eq!(told["in_force"], true);
    let set = gateway.run(&["price", "set", "m", "--input", "5", "--output", "2"]);
    assert!(set.status.success());
    found(&gateway, 4).await;
    assert_eq!(versions(&gateway, &admin).await.len(), 5);
}

#[tokio::test]
async fn a_change_that_cannot_be_in_force_yet_says_so() {
    let (_provider, setup) = setup().await;
    let gateway = Gateway::start(&setup).await;
    let admin = Visitor::admin(&gateway).await;
    let version = admin.get("/prices/file").await.ok()["version"].clone();
    let wrong = setup.clone().set("routing.attempts_max", "0");
    gateway.write("tollgate.toml", &wrong.config(gateway.address, gateway.metrics_address));
    let next = PRICES.replace("input = 1", "input = 3");
    let told = admin.put("/prices/file", &json!({"text": next, "version": version})).await.ok();
    assert_eq!(told["in_force"], false, "{told}");
    assert!(told["errors"][0].as_str().is_some_and(|error| error.contains("routing.attempts_max")), "{told}");
    gateway.write("tollgate.toml", &setup.config(gateway.address, gateway.metrics_address));
    assert_eq!(admin.post("/reload", &json!({})).await.ok()["price_version"], told["version"]);
}

#[tokio::test]
async fn a_price_is_found_by_its_model_an_alias_or_its_provider() {
    let (_provider, setup) = setup().await;
    let more = "[[model]]\nname = \"big\"\nprovider = \"mistral\"\naliases = [\"large\"]\ninput = 1\noutput = 2\n";
    let gateway = Gateway::start(&setup.prices(&format!("{PRICES}{more}"))).await;
    let admin = Visitor::admin(&gateway).await;
    for (asked, found) in [("BIG", 1), ("arg", 1), ("Mistral", 1), ("m", 2), ("", 2), ("openai", 0)] {
        let prices = admin.get(&format!("/prices?q={asked}")).await.ok();
        assert_eq!(items(&prices).len(), found, "{asked}: {prices}");
    }
}
