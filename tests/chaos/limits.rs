//! A thousand requests at the same moment against each kind of limit: exactly as many pass as it allows.

use crate::join::quiet;
use crate::parallel::{Stage, TOKENS};
use crate::plan::PRICES;
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::gateway::{Key, Setup};
use crate::wire::Wire;
use std::time::Instant;

const REQUESTS: usize = 1_000;
/// How many each limit lets through.
const ROOM: usize = 37;

/// The plugin's rules, each for somebody of its own.
fn rules(held_nanos: u64, input_tokens: u64) -> String {
    let room = ROOM as u64;
    // One nano-USD, or one token, too little for one more.
    let spend = (room + 1) * held_nanos - 1;
    let rows = [
        ("key", "requests", room.to_string(), "by-requests"),
        ("key", "tokens", ((room + 1) * (input_tokens + TOKENS) - 1).to_string(), "by-tokens"),
        ("key", "input_tokens", ((room + 1) * input_tokens - 1).to_string(), "by-input"),
        ("key", "output_tokens", ((room + 1) * TOKENS - 1).to_string(), "by-output"),
        ("key", "concurrency", room.to_string(), "by-concurrency"),
        ("key", "spend_usd", format!("\"{}.{:09}\"", spend / 1_000_000_000, spend % 1_000_000_000), "by-spend"),
        ("user", "requests", room.to_string(), "ann"),
        ("user", "tokens", ((room + 1) * (input_tokens + TOKENS) - 1).to_string(), "bob"),
    ];
    let rows = rows.map(|(per, limit, max, name)| {
        let window = if limit == "concurrency" { "" } else { ", window_ms = 3600000" };
        format!("{{ per = \"{per}\", limit = \"{limit}\", max = {max}, names = [\"{name}\"]{window} }}")
    });
    format!("[{}]", rows.join(", "))
}

impl Stage {
    /// Puts rules in force, with so many of the upstreams.
    async fn reload(&self, rules: &str, upstreams_max: usize) {
        let reloads = async || self.gateway.metric("tollgate_reloads_total", &["ok"]).await;
        let before = reloads().await;
        let upstreams = Wire::upstreams("u", self.provider.address, "").into_iter().take(upstreams_max);
        let setup = Setup::new(upstreams).prices(PRICES).set("plugins.rate-limit.rules", rules);
        self.gateway.write("tollgate.toml", &setup.config(self.gateway.address, self.gateway.metrics_address));
        let started = Instant::now();
        while reloads().await <= before {
            assert!(started.elapsed() < PATIENCE, "{}", self.gateway.said());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// What the gateway takes a prompt for, as it tells the key of a limit in tokens.
    async fn input_tokens(&mut self) -> u64 {
        let key = self.gateway.key("measure-tokens", &["--tpm", "1000000"]).await;
        let request = self.plan().request(&key.key);
        let answer = Client::connect(self.gateway.address).await.expect("it listens").send(&request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let remaining: u64 =
            answer.field("x-ratelimit-remaining-tokens").and_then(|text| text.parse().ok()).expect("a number");
        1_000_000 - remaining - TOKENS
    }

    /// Sends a thousand requests with these keys: exactly as many arrive upstream as there is room for.
    async fn assert_room(&mut self, what: &str, keys: &[&Key]) {
        self.provider.set_open(false);
        let before = self.provider.arrived();
        let credentials = keys.iter().map(|key| key.key.clone()).cycle().take(REQUESTS);
        let mut storm = self.storm(credentials).await;
        self.refusals(&mut storm, REQUESTS - ROOM, (429, "RATE_LIMIT_EXCEEDED")).await;
        self.in_flight(before, ROOM).await;
        self.provider.set_open(true);
        while let Some(done) = storm.join_next().await {
            let (_, answer) = done.expect("no client panics");
            assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        }
        quiet(&self.gateway).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_requests_at_once_exactly_the_allowed_number_pass_each_kind_of_limit() {
    let _alone = crate::alone().await;
    let mut stage = Stage::set().await;
    let input_tokens = stage.input_tokens().await;
    stage.reload(&rules(stage.held_nanos, input_tokens), usize::MAX).await;
    let of_key = ["by-requests", "by-tokens", "by-input", "by-output", "by-concurrency", "by-spend"];
    for name in of_key {
        let key = stage.gateway.key(name, &[]).await;
        stage.assert_room(name, &[&key]).await;
    }
    for (name, arguments) in [
        ("own-rpm", vec!["--rpm".to_owned(), ROOM.to_string()]),
        ("own-concurrency", vec!["--concurrency".to_owned(), ROOM.to_string()]),
        ("own-tpm", vec!["--tpm".to_owned(), ((ROOM as u64 + 1) * (input_tokens + TOKENS) - 1).to_string()]),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let key = stage.gateway.key(name, &arguments).await;
        stage.assert_room(name, &[&key]).await;
    }
    for user in ["ann", "bob"] {
        // Three keys of one user have the room of one.
        let mut keys = Vec::new();
        for nth in 0..3 {
            keys.push(stage.gateway.key(&format!("{user}-{nth}"), &["--user", user]).await);
        }
        stage.assert_room(user, &keys.iter().collect::<Vec<_>>()).await;
    }
    let rule = format!("[{{ per = \"upstream\", limit = \"requests\", max = {ROOM}, window_ms = 3600000 }}]");
    // The only one: others of another dialect would take over.
    stage.reload(&rule, 1).await;
    let key = stage.gateway.key("anybody", &[]).await;
    stage.assert_room("upstream", &[&key]).await;
    let rows = of_key.len() + 3 + 2 + 1;
    assert_eq!(stage.gateway.records().len(), 2 + rows * ROOM, "what was refused has no record");
    stage.gateway.finish(&[&key]).await;
}
