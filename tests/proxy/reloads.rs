//! Files that change at an awkward moment: while they are being read, or after a reload that was refused.

use crate::calls::{COST, Wire, number, plain_chat, serving};
use crate::support::gateway::{Gateway, PRICES, Setup};
use crate::support::provider::Provider;
use crate::support::{PATIENCE, until};
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
    std::fs::remove_file(gateway.path("pricing.toml")).expect("it is there");
    warned("there is no price file: ").await;
    gateway.finish(&[&key]).await;
}
