//! A write to the journal hangs for long: a request that is refused for that is not charged.

use crate::plan::PRICES;
use crate::store_faults::Injected;
use crate::support::answers;
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::Steps;
use crate::support::{PATIENCE, is_installed, until};
use crate::wire::Wire;
use std::path::Path;
use std::time::{Duration, Instant};

/// The whole answer of this file's provider: its one piece, and its end.
const ANSWER: usize = 2;

/// Longer than anybody waits here: it ends with what delays.
const STALL: &str = "delay_enter=600000000";

fn journal_files(gateway: &Gateway) -> Vec<String> {
    let files = |folder: &Path| std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let writers = files(&gateway.path("data/journal")).filter(|path| path.is_dir());
    let found: Vec<_> = writers.flat_map(|writer| files(&writer).collect::<Vec<_>>()).collect();
    found.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

/// No new request is admitted.
async fn is_stalled(gateway: &Gateway) {
    let started = Instant::now();
    while gateway.send(&Request::get("/v1/health")).await.status == 200 {
        assert!(started.elapsed() < PATIENCE, "the journal does not stall");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn refused_and_not_charged(durability: &str) {
    let steps = Steps::new();
    let answer = answers::chat("x", 10, 5).stepped(&steps);
    let provider = Provider::start(move |_, _| answer.clone()).await;
    let setup = Setup::new([Upstream::new("u", "openai", provider.url("/v1"))]).prices(PRICES);
    let mut gateway = Gateway::prepare(&setup.set("ledger.durability", &format!("{durability:?}")));
    let key = gateway.key("k", &["--quota-usd", "10"]).await;
    gateway.serve().await;
    let request = Request::post("/v1/chat/completions", &Wire::Chat.body("x", false, Some(20)));
    let request = request.key(&key.key).field("idempotency-key", "one");
    let first = Request::post("/v1/chat/completions", &Wire::Chat.body("x", false, Some(20))).key(&key.key);
    steps.go(ANSWER);
    assert_eq!(gateway.send(&first).await.status, 200);
    gateway.wait_records(1).await;

    let files = journal_files(&gateway);
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    assert!(!files.is_empty());
    let Some(stalled) = Injected::into(&gateway, "pwrite64,fdatasync", STALL, &files).await else { return };
    let (refused, ()) = tokio::join!(gateway.send(&request), async {
        until("the second request", || (provider.received().len() == 2).then_some(())).await;
        is_stalled(&gateway).await;
        steps.go(ANSWER);
    });
    assert_eq!((refused.status, &*refused.error_code()), (503, "BILLING_UNAVAILABLE"), "{}", refused.text());
    drop(stalled);

    let record = gateway.record_of(&refused).await;
    assert_eq!((&record["outcome"], &record["status"]), (&"upstream_error".into(), &503.into()), "{record}");
    assert_eq!((&record["cost_nanos"], &record["error_code"]), (&0.into(), &"BILLING_UNAVAILABLE".into()), "{record}");
    // Who comes again is served, and charged for that.
    steps.go(ANSWER);
    let served = gateway.send(&request).await;
    assert_eq!(served.status, 200, "{}", served.text());
    let spent: i64 = gateway.wait_records(3).await.iter().filter_map(|record| record["cost_nanos"].as_i64()).sum();
    assert_eq!(gateway.key_row("k")["spent_nanos"], spent);
    gateway.finish(&[&key]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_answer_is_refused_while_the_journal_stalls_is_not_charged() {
    let _alone = crate::alone().await;
    if !is_installed("strace") {
        return;
    }
    tokio::join!(refused_and_not_charged("process"), refused_and_not_charged("power"));
}
