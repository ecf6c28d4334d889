//! Files that change at an awkward moment: while they are being read, or after a reload that was refused.

use crate::calls::{COST, Wire, number, plain_chat, serving};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Key, PRICES, Setup};
use crate::support::provider::Provider;
use crate::support::{PATIENCE, until};
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

/// Prices at twice the usual.
fn dearer() -> String {
    PRICES.replace("input = 1", "input = 2").replace("output = 2", "output = 4")
}

async fn one() -> (Provider, Setup) {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    (provider, setup)
}

/// Waits until a request costs this.
async fn costs(gateway: &Gateway, key: &str, nanos: i64) {
    let started = Instant::now();
    loop {
        let answer = gateway.send(&plain_chat(false).key(key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        if number(&gateway.record_of(&answer).await, "cost_nanos") == nanos {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "never {nanos}");
    }
}

/// Gives whoever reads a pipe this, and does something before.
async fn give(pipe: &Path, text: &str, before: impl FnOnce()) {
    const NONBLOCK: i32 = 0o4000;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).custom_flags(NONBLOCK);
    let mut pipe = until("somebody to read the pipe", || options.open(pipe).ok()).await;
    before();
    pipe.write_all(text.as_bytes()).expect("it is read");
}

#[tokio::test]
async fn what_changes_while_a_process_starts_is_noticed_when_it_has() {
    let (_provider, setup) = one().await;
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("tester", &[]).await;
    gateway.write("dearer.toml", &dearer());
    let [config, prices, aside, other] =
        ["tollgate.toml", "pricing.toml", "aside.toml", "other.toml"].map(|name| gateway.path(name));
    let changed = gateway.read("tollgate.toml").replace("\"pricing.toml\"", "\"dearer.toml\"");
    // A pipe in place of the prices: who has read the configuration waits for who writes.
    std::fs::rename(&prices, &aside).expect("a writable folder");
    let made = std::process::Command::new("mkfifo").arg(&prices).status().expect("mkfifo runs");
    assert!(made.success());
    let changing = give(&prices, PRICES, || {
        std::fs::rename(&aside, &prices).expect("a writable folder");
        std::fs::write(&other, changed).expect("a writable folder");
        std::fs::rename(&other, &config).expect("a writable folder");
    });
    tokio::join!(gateway.serve(), changing);
    costs(&gateway, &key.key, 2 * COST).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_mistake_in_a_file_that_only_a_refused_configuration_names_can_be_put_right() {
    let (_provider, setup) = one().await;
    let (gateway, key) = serving(&setup).await;
    let config = gateway.read("tollgate.toml");
    gateway.write("dearer.toml", "[[model]]\nname = 7\n");
    gateway.write("tollgate.toml", &config.replace("\"pricing.toml\"", "\"dearer.toml\""));
    until("a refusal", || gateway.logged().contains("reload refused").then_some(())).await;
    costs(&gateway, &key.key, COST).await;
    gateway.write("dearer.toml", &dearer());
    costs(&gateway, &key.key, 2 * COST).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_reload_that_leaves_models_without_a_price_warns_of_them_as_the_start_does() {
    let (_provider, setup) = one().await;
    let (gateway, key) = serving(&setup).await;
    gateway.write("pricing.toml", &dearer());
    costs(&gateway, &key.key, 2 * COST).await;
    assert!(!gateway.logged().contains("price ("), "all have one: {}", gateway.logged());
    let warned = async |words: &str| {
        let is_it = |line: &str| line.contains(" WARN ") && line.contains(words) && line.ends_with(": m");
        until(words, || gateway.logged().lines().any(is_it).then_some(())).await;
    };
    gateway.write("pricing.toml", &PRICES.replace("\"m\"", "\"other\""));
    warned("models without a price (keys with a quota are refused, others pass unbilled): m").await;
    gateway.write("pricing.toml", "");
    warned("pricing.toml has none. So every request of a key with a quota is refused (400 PRICE_MISSING)").await;
    gateway.finish(&[&key]).await;
}

const SECRET: &str = "reload-secret-0123456789";

/// A gateway that reloads by request, too.
async fn reloading() -> (Provider, Gateway, Key) {
    let (provider, setup) = one().await;
    let (gateway, key) = serving(&setup.set("server.reload_secret", &format!("\"{SECRET}\""))).await;
    (provider, gateway, key)
}

fn reload() -> Request {
    Request::post("/console/internal/reload", &json!({})).key(SECRET)
}

/// So many reloads were refused.
async fn refused(gateway: &Gateway, times: u32) {
    let started = Instant::now();
    while gateway.metric("tollgate_reloads_total", &["refused"]).await < f64::from(times) {
        assert!(started.elapsed() < PATIENCE, "never refused {times} times: {}", gateway.logged());
    }
}

#[tokio::test]
async fn a_file_that_is_still_being_written_waits_for_whoever_writes_it() {
    let (_provider, gateway, key) = reloading().await;
    let whole = dearer().replace("output = 4", "output = 40");
    let (half, rest) = whole.split_at(whole.len() - 2);
    assert!(half.ends_with("output = 4") && rest == "0\n", "the half is a price book, too");
    let mut writer = std::fs::File::create(gateway.path("pricing.toml")).expect("a writable folder");
    writer.write_all(half.as_bytes()).expect("our file");
    // Asked for, it waits a while, and says why it does not go on.
    let answer = gateway.send(&reload()).await;
    assert!(answer.status == 422 && answer.text().contains("pricing.toml: is being written"), "{}", answer.text());
    gateway.signal("HUP");
    refused(&gateway, 2).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!(number(&gateway.record_of(&answer).await, "cost_nanos"), COST, "not half of it");
    assert_eq!(gateway.metric("tollgate_reloads_total", &["ok"]).await, 0.0);
    writer.write_all(rest.as_bytes()).expect("our file");
    drop(writer);
    let answer = gateway.send(&reload()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    costs(&gateway, &key.key, 10 * 2_000 + 5 * 40_000).await;

    // A file of a new name, and a configuration in place: nobody asks.
    let config = gateway.read("tollgate.toml");
    let (head, tail) = config.split_once("[[upstream]]").expect("an upstream");
    let mut writer = std::fs::File::create(gateway.path("tollgate.toml")).expect("a writable folder");
    writer.write_all(head.as_bytes()).expect("our file");
    until("a word on it", || gateway.logged().contains("tollgate.toml: is being written").then_some(())).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    writer.write_all(format!("[[upstream]]{tail}").as_bytes()).expect("our file");
    let reloads = gateway.metric("tollgate_reloads_total", &["ok"]).await;
    drop(writer);
    gateway.reloaded(reloads as u32 + 1).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_file_that_is_gone_leaves_what_is_in_force() {
    let (_provider, gateway, key) = reloading().await;
    for (nth, file) in (1..).zip(["pricing.toml", "tollgate.toml"]) {
        std::fs::rename(gateway.path(file), gateway.path("aside")).expect("it is there");
        refused(&gateway, 2 * nth - 1).await;
        let answer = gateway.send(&reload()).await;
        assert!(answer.status == 422 && answer.text().contains(file), "{}", answer.text());
        assert!(gateway.logged().contains(file), "{}", gateway.logged());
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        std::fs::rename(gateway.path("aside"), gateway.path(file)).expect("it is there");
        assert_eq!(number(&gateway.record_of(&answer).await, "cost_nanos"), COST);
        gateway.reloaded(nth).await;
    }
    // To have no prices, one says so.
    gateway.write("pricing.toml", "");
    until("no prices", || gateway.logged().contains("pricing.toml has none").then_some(())).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_changes_without_a_trace_in_time_or_length_is_seen() {
    let (_provider, gateway, key) = reloading().await;
    let path = gateway.path("pricing.toml");
    let modified = std::fs::metadata(&path).and_then(|file| file.modified()).expect("a file");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("our file");
    file.write_all(dearer().as_bytes()).expect("our file");
    file.set_modified(modified).expect("our file");
    drop(file);
    costs(&gateway, &key.key, 2 * COST).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_refused_reload_is_tried_again_for_what_these_files_do_not_show() {
    let (_provider, gateway, key) = reloading().await;
    let master = gateway.run(&["secret", "key"]).stdout;
    let config = gateway.read("tollgate.toml").replace("[server]\n", "[server]\nmaster_key_file = \"master\"\n");
    gateway.write("tollgate.toml", &config);
    refused(&gateway, 1).await;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(gateway.path("master")).expect("a new file");
    file.write_all(&master).expect("our file");
    gateway.reloaded(1).await;
    assert_eq!(gateway.metric("tollgate_reloads_total", &["refused"]).await, 1.0, "the same is said once");
    gateway.finish(&[&key]).await;
}
