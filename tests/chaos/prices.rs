//! Prices that are changed again and again while streams run: each record has the prices of its admission, whole.

use crate::join::quiet;
use crate::number_from;
use crate::support::client::{self, Answer, Ended};
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use crate::support::{PATIENCE, answers};
use crate::wire::Wire;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Streams without `TOLLGATE_CHAOS_RUNS`, and how many run at a time.
const STREAMS: u64 = 1_000;
const LANES: u64 = 100;
const TOKENS: u64 = 6;
const INPUT: u64 = 11;

/// The price file of this edition: nobody can take a part of one for a part of another, since both prices tell which it is.
fn edition(number: u64) -> (String, u64, u64) {
    let (input, output) = (number * 7 + 1, number * 1_000 + 3);
    let text = format!(
        "[[model]]\nname = \"m\"\ncontext_tokens = 1000\nmax_output_tokens = 100\ninput = {input}\noutput = {output}\n"
    );
    (text, input * 1_000, output * 1_000)
}

/// What a request costs at this edition.
fn cost(number: u64) -> u64 {
    let (_, input_nanos, output_nanos) = edition(number);
    INPUT * input_nanos + TOKENS * output_nanos
}

/// Streams in lanes, until each lane has had its share and so many editions were in force.
async fn streams(gateway: &Gateway, key: &str, count: u64, enough: Arc<AtomicBool>) -> JoinSet<Vec<Answer>> {
    let body = Wire::Chat.body("x", true, Some(TOKENS));
    let request = client::Request::post("/v1/chat/completions", &body).key(key);
    let address = gateway.address;
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (request, enough) = (request.clone(), Arc::clone(&enough));
        lanes.spawn(async move {
            let mut answers = Vec::new();
            while (answers.len() as u64) < count / LANES || !enough.load(Ordering::Acquire) {
                answers.push(client::send(address, &request).await);
            }
            answers
        });
    }
    lanes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_mixes_the_prices_of_two_editions() {
    let _alone = crate::alone().await;
    let count = number_from("TOLLGATE_CHAOS_RUNS").unwrap_or(STREAMS);
    let words = vec!["word"; TOKENS as usize];
    let mut stream = answers::chat_stream(&words, Some((INPUT, TOKENS)));
    // A stream lasts longer than an edition is in force.
    stream.delays_ms = (20, 20, 40);
    let provider = Provider::always(stream).await;
    let setup = Setup::new(Wire::upstreams("u", provider.address, "")).prices(&edition(0).0);
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("k", &["--quota-usd", "1000000"]).await;
    gateway.serve().await;
    let enough = Arc::new(AtomicBool::new(false));
    let lanes = streams(&gateway, &key.key, count, Arc::clone(&enough)).await;
    let started = Instant::now();
    let mut editions = 0;
    while !lanes.is_empty() && editions < 12 * count / STREAMS.min(count) {
        editions += 1;
        gateway.write("pricing.toml", &edition(editions).0);
        // Until it is in force: some have been admitted by it.
        let loaded = editions as f64;
        while gateway.metric("tollgate_reloads_total", &["ok"]).await < loaded {
            assert!(started.elapsed() < 6 * PATIENCE, "edition {editions} does not come into force");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    enough.store(true, Ordering::Release);
    let answers: Vec<_> = lanes.join_all().await.into_iter().flatten().collect();
    assert!(answers.iter().all(|answer| (answer.status, answer.ended) == (200, Ended::Whole)));
    quiet(&gateway).await;
    let records = gateway.records();
    assert_eq!(records.len(), answers.len());
    let mut versions = BTreeMap::<&str, u64>::new();
    let mut editions_of = BTreeMap::new();
    for record in &records {
        let number = |field: &str| record[field].as_u64().unwrap_or_else(|| panic!("{field}: {record}"));
        assert_eq!((number("input_tokens"), number("output_tokens")), (INPUT, TOKENS), "{record}");
        let at = (0..=editions).find(|at| cost(*at) == number("cost_nanos"));
        let at = at.unwrap_or_else(|| panic!("no edition costs that: {record}"));
        let version = record["price_version"].as_str().expect("a version");
        assert_eq!(*versions.entry(version).or_insert(at), at, "two costs of one version: {record}");
        // The hold was taken at the same prices.
        let (_, input_nanos, output_nanos) = edition(at);
        let rest = number("held_nanos").checked_sub(TOKENS * output_nanos).expect("no less than the output");
        assert!(rest.is_multiple_of(input_nanos) && rest / input_nanos >= INPUT, "held by other prices: {record}");
        *editions_of.entry(at).or_insert(0_u64) += 1;
    }
    assert_eq!(versions.values().collect::<std::collections::BTreeSet<_>>().len(), versions.len());
    println!("{} streams, {editions} editions, streams of each: {editions_of:?}", records.len());
    assert!(editions_of.len() as u64 > editions / 2, "too few editions were used: {editions_of:?}");
    gateway.finish(&[&key]).await;
}
