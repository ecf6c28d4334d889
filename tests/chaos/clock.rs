//! A machine whose clock is set while the gateway runs, a year on or a year back: only what depends on the date changes.

use crate::join::quiet;
use crate::plan::PRICES;
use crate::support::answers;
use crate::support::client::{Ended, Request};
use crate::support::console::Visitor;
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::{Answer, Steps};
use crate::support::{PATIENCE, is_installed};
use crate::wire::Wire;
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the clock's place is read from, before each look at it.
const CLOCK: &str = "clock";
/// A rule's window, and longer than any exchange here takes.
const WINDOW_MS: u64 = 3_000;
const DURATION_MS_MAX: u64 = 60_000;
const DAY_S: i64 = 86_400;

struct Stage {
    provider: Provider,
    gateway: Gateway,
    folder: tempfile::TempDir,
    key: Key,
    other: Key,
    expiring: Key,
    steps: Steps,
}

impl Stage {
    async fn set() -> Self {
        let steps = Steps::new();
        let stream = answers::chat_stream(&["a", "b", "c"], Some((10, 3))).stepped(&steps);
        let provider = Provider::start(move |_, request| {
            let text = String::from_utf8_lossy(&request.body);
            match () {
                () if text.contains("\"stream\":true") => stream.clone(),
                () if text.contains("FAIL") => Answer::json(500, &json!({"error": {"message": "oops"}})),
                () => answers::chat("x", 10, 5),
            }
        })
        .await;
        let preload = Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output();
        let preload = String::from_utf8(preload.expect("faketime runs").stdout).expect("a path").trim().to_owned();
        assert!(!preload.is_empty());
        let mut setup = Setup::new([Upstream::new("u", "openai", provider.url("/v1"))])
            .prices(PRICES)
            .set("breaker.failures_to_open", "1")
            .set("breaker.open_ms", "500")
            .set(
                "plugins.rate-limit.rules",
                &format!(r#"[{{ per = "key", limit = "requests", max = 3, window_ms = {WINDOW_MS} }}]"#),
            )
            .environment("LD_PRELOAD", &preload)
            .environment("FAKETIME_NO_CACHE", "1")
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .environment("DONT_FAKE_MONOTONIC", "1");
        let folder = tempfile::tempdir().expect("a folder");
        setup = setup.environment("FAKETIME_TIMESTAMP_FILE", &folder.path().join(CLOCK).to_string_lossy());
        std::fs::write(folder.path().join(CLOCK), "+0").expect("a writable folder");
        let mut gateway = Gateway::prepare(&setup);
        let key = gateway.key("k", &["--quota-usd", "10"]).await;
        let other = gateway.key("o", &[]).await;
        let expiring = gateway.key("e", &["--expires", "30d"]).await;
        gateway.serve().await;
        Self { provider, gateway, folder, key, other, expiring, steps }
    }

    /// Sets the machine's clock so far from where it is.
    fn set_clock(&self, offset: &str) {
        // All at once: a look at half of it would be a third time.
        let next = self.folder.path().join("next");
        std::fs::write(&next, offset).expect("a writable folder");
        std::fs::rename(next, self.folder.path().join(CLOCK)).expect("a writable folder");
    }

    async fn status(&self, key: &Key, said: &str) -> u16 {
        let request = Request::post("/v1/chat/completions", &Wire::Chat.body(said, false, Some(20)));
        self.gateway.send(&request.key(&key.key)).await.status
    }

    /// Sends until the status is this one.
    async fn until_status(&self, key: &Key, wanted: u16, what: &str) {
        let started = Instant::now();
        while self.status(key, "x").await != wanted {
            assert!(started.elapsed() < PATIENCE, "{what}: never {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The clock is set while a stream runs, a rule's window is full, and an upstream's breaker is open.
    async fn jump(&self, to: &str) {
        self.until_status(&self.key, 200, "before").await;
        self.steps.go(2);
        let request = Request::post("/v1/chat/completions", &Wire::Chat.body("x", true, Some(20)));
        let mut running = loop {
            let exchange = self.gateway.open(&request.clone().key(&self.key.key)).await;
            if exchange.answer.status == 200 {
                break exchange;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        running.piece().await.expect("the first token");
        self.until_status(&self.key, 429, "its window is full").await;
        assert_eq!(self.status(&self.other, "FAIL").await, 500);
        self.set_clock(to);
        self.until_status(&self.key, 200, &format!("after the clock was set to {to}")).await;
        self.steps.go(100);
        let (answer, _) = running.rest().await;
        assert_eq!(answer.ended, Ended::Whole, "{}", answer.text());
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_a_year_on_or_back_keeps_nobody_out() {
    let _alone = crate::alone().await;
    if !is_installed("faketime") {
        return;
    }
    let stage = Stage::set().await;
    assert_eq!(stage.status(&stage.expiring, "x").await, 200);
    stage.jump("+365d").await;
    stage.until_status(&stage.expiring, 401, "its thirty days are over").await;
    stage.jump("+0").await;
    stage.until_status(&stage.expiring, 200, "it is its time again").await;
    stage.jump("-365d").await;
    assert_eq!(stage.status(&stage.expiring, "x").await, 200);
    stage.jump("+0").await;
    quiet(&stage.gateway).await;
    let records = stage.gateway.records();
    assert!(records.len() >= 12, "{}", records.len());
    for record in &records {
        let number = |field: &str| record[field].as_u64().unwrap_or_else(|| panic!("{field}: {record}"));
        assert!(number("duration_ms") < DURATION_MS_MAX, "{record}");
        assert!(record["ttft_ms"].is_null() || number("ttft_ms") <= number("duration_ms"), "{record}");
        let outcome = if record["status"] == 200 { "ok" } else { "upstream_error" };
        assert_eq!(record["outcome"], outcome, "{record}");
    }
    let years: std::collections::BTreeSet<_> =
        records.iter().filter_map(|record| record["started_at"].as_str()?.get(..4)).collect();
    assert_eq!(years.len(), 3, "the clock was set: {years:?}");
    assert!(!stage.gateway.said().contains("panicked"), "{}", stage.gateway.said());
    assert_eq!(stage.provider.received().len(), records.len());
    stage.gateway.finish(&[&stage.key, &stage.other, &stage.expiring]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_one_charge_whatever_the_clock_has_shown_meanwhile() {
    let _alone = crate::alone().await;
    if !is_installed("faketime") {
        return;
    }
    let mut stage = Stage::set().await;
    let once = |name: &str| {
        let request = Request::post("/v1/chat/completions", &Wire::Chat.body("x", false, Some(20)));
        request.key(&stage.other.key).field("idempotency-key", name)
    };
    let (first, second) = (once("first"), once("second"));
    let served = stage.gateway.send(&first).await;
    assert_eq!(served.status, 200, "{}", served.text());
    stage.set_clock("+25h");
    assert_eq!(stage.gateway.send(&second).await.status, 200);
    stage.set_clock("+0");
    let again = stage.gateway.send(&first).await;
    assert!(again.field("x-tollgate-replayed").is_some(), "{}", again.text());
    assert_eq!((again.status, again.text()), (200, served.text()));
    quiet(&stage.gateway).await;
    stage.gateway.kill().await;
    stage.gateway.serve().await;
    assert_eq!(stage.gateway.send(&first).await.error_code(), "IDEMPOTENCY_ALREADY_DONE");
    assert_eq!(stage.provider.received().len(), 2);
    stage.gateway.finish(&[&stage.key, &stage.other, &stage.expiring]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_begins_and_budgets_with_it_while_nothing_can_be_written_to_the_store() {
    let _alone = crate::alone().await;
    if !is_installed("faketime") {
        return;
    }
    let stage = Stage::set().await;
    let admin = Visitor::admin(&stage.gateway).await;
    // Some calls' worth.
    let budget = json!({"amount_nanos": 40_000, "period": "daily", "time_zone": "UTC"});
    admin.post("/users", &json!({"name": "ann", "role": "user", "budget": budget})).await.ok();
    let made = admin.post("/keys", &json!({"name": "a", "user": "ann"})).await.ok();
    let id = made["key"]["id"].as_i64().expect("an id");
    let key = Key { id, name: "a".to_owned(), key: made["secret"].as_str().expect("a secret").to_owned() };
    stage.until_status(&key, 200, "a new key").await;
    stage.until_status(&key, 402, "the budget is used up").await;
    let database = rusqlite::Connection::open(stage.gateway.path("data/tollgate.db")).expect("the store");
    database.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let today_s = jiff::Timestamp::now().as_second().rem_euclid(DAY_S);
    stage.set_clock(&format!("{:+}", DAY_S - today_s - 3));
    stage.until_status(&key, 200, "it is another day").await;
    stage.until_status(&key, 402, "that one's is used up").await;
    database.execute_batch("ROLLBACK").expect("unlocked");
    stage.set_clock(&format!("{:+}", 2 * DAY_S));
    stage.until_status(&key, 200, "and another one").await;
    quiet(&stage.gateway).await;
    stage.gateway.finish(&[&stage.key, &key]).await;
}
