//! An upstream whose connection is reset, half-closed or goes silent after any byte of its answer.
//!
//! `TOLLGATE_CHAOS_RUNS=N` tries N offsets of each answer, each of them twice; with more than an answer has bytes, all.

use crate::join::quiet;
use crate::number_from;
use crate::streams::{self, Stream};
use crate::support::PATIENCE;
use crate::support::client::{self, Answer, Ended, Request};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::Break;
use crate::wire::Wire;
use rand::rngs::StdRng;
use rand::seq::index;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// Offsets of each answer, without `TOLLGATE_CHAOS_RUNS`.
const OFFSETS: usize = 14;
/// Recorded streams without `TOLLGATE_CHAOS_RUNS`.
const RECORDINGS: usize = 24;
/// Requests that run at a time.
const LANES: usize = 16;
/// How a request says which answer it wants.
const WANTS: &str = "ANSWER/";
const PRICES: &str = "[[model]]\nname = \"m\"\ncontext_tokens = 100000\nmax_output_tokens = 1000\ninput = 1\noutput = 2\n\
    [[model]]\nname = \"n\"\ncontext_tokens = 100000\nmax_output_tokens = 1000\ninput = 1\noutput = 2\n";

/// One cut of one answer.
#[derive(Clone, Copy, Debug)]
struct Cut {
    stream: usize,
    fault: Fault,
}

struct Stage {
    streams: Arc<Vec<Stream>>,
    gateway: Gateway,
    key: Key,
}

impl Stage {
    async fn set(streams: Vec<Stream>, change: impl Fn(Setup) -> Setup) -> Self {
        let streams = Arc::new(streams);
        let answers: Vec<_> = streams.iter().map(|stream| stream.answer.clone()).collect();
        let provider = Provider::start(move |_, request| {
            let text = String::from_utf8_lossy(&request.body);
            // Asked before the body has come, too.
            let wanted = text.split_once(WANTS).and_then(|(_, rest)| rest.split('/').next()?.parse::<usize>().ok());
            answers[wanted.unwrap_or_default()].clone()
        })
        .await;
        let proxy = FaultProxy::start(provider.address).await;
        let native = Upstream::new("native", "dashscope", format!("http://{}", proxy.address)).models(r#"["n"]"#);
        let setup = Setup::new(Wire::upstreams("u", proxy.address, ""))
            .upstream(native)
            .prices(PRICES)
            .set("routing.attempts_max", "1")
            .set("breaker.failures_to_open", "255");
        let mut gateway = Gateway::prepare(&change(setup));
        let key = gateway.key("k", &["--quota-usd", "1000000"]).await;
        gateway.serve().await;
        Self { streams, gateway, key }
    }

    fn request(&self, cut: Cut) -> Request {
        let stream = &self.streams[cut.stream];
        let said = format!("{WANTS}{}/ {}", cut.stream, cut.fault.mark());
        let mut body = stream.wire.body(&said, stream.stream, Some(500));
        if stream.native {
            body["model"] = json!("n");
        }
        if stream.stream && stream.wire == Wire::Chat {
            body["stream_options"] = json!({"include_usage": true});
        }
        Request::post(stream.wire.target(stream.stream), &body).key(&self.key.key)
    }

    /// Sends a request for each cut, so many at a time.
    async fn send(&self, cuts: &[Cut], lanes: usize) -> Vec<(Cut, Answer)> {
        let requests: Arc<Vec<_>> = Arc::new(cuts.iter().map(|cut| (*cut, self.request(*cut))).collect());
        let (next, address) = (Arc::new(AtomicUsize::new(0)), self.gateway.address);
        let mut running = JoinSet::new();
        for _ in 0..lanes {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            running.spawn(async move {
                let mut answers = Vec::new();
                while let Some((cut, request)) = requests.get(next.fetch_add(1, Ordering::AcqRel)) {
                    let answer = tokio::time::timeout(PATIENCE, client::send(address, request)).await;
                    answers.push((*cut, answer.unwrap_or_else(|_| panic!("{cut:?} hangs"))));
                }
                answers
            });
        }
        running.join_all().await.into_iter().flatten().collect()
    }

    /// Everything that must hold of answers and records.
    async fn finish(self, answers: &[(Cut, Answer)]) {
        quiet(&self.gateway).await;
        let records = self.gateway.records();
        assert_eq!(records.len(), answers.len(), "a record each");
        let by_id: BTreeMap<&str, &Value> =
            records.iter().filter_map(|record| Some((record["request_id"].as_str()?, record))).collect();
        assert_eq!(by_id.len(), records.len());
        let mut outcomes = BTreeMap::<(&str, u16), usize>::new();
        for (cut, answer) in answers {
            let record = by_id[answer.field("x-request-id").expect("an id on every answer")];
            self.check(*cut, answer, record);
            *outcomes.entry((record["outcome"].as_str().unwrap_or_default(), answer.status)).or_default() += 1;
        }
        println!("{} answers of {} kinds: {outcomes:?}", answers.len(), self.streams.len());
        assert!(!self.gateway.said().contains("panicked"), "{}", self.gateway.said());
        self.gateway.finish(&[&self.key]).await;
    }

    fn check(&self, cut: Cut, answer: &Answer, record: &Value) {
        let stream = &self.streams[cut.stream];
        let (from, to) = stream.whole();
        let context =
            || format!("{} {:?}, whole from {from} to {to}: {}\n{record}", stream.name, cut.fault, answer.text());
        let number = |field: &str| record[field].as_u64().unwrap_or_else(|| panic!("{field}: {}", context()));
        let at = cut.fault.after_bytes;
        let unanswered = if cut.fault.how == Break::Stall { 504 } else { 503 };
        assert!(answer.status == 200 || answer.status == unanswered, "{} {}", answer.status, context());
        assert_eq!(record["status"], answer.status, "{}", context());
        assert_eq!(answer.ended, Ended::Whole, "{}", context());
        let outcome = record["outcome"].as_str().unwrap_or_default();
        if at < from {
            assert_eq!(outcome, "upstream_error", "{}", context());
        } else if at >= to {
            assert_eq!((outcome, answer.status), ("ok", 200), "{}", context());
        }
        let (cost, held) = (number("cost_nanos"), number("held_nanos"));
        assert!(cost <= held || record["overshoot"] == true, "{}", context());
        if answer.status != 200 {
            assert_eq!(cost, 0, "nothing was delivered: {}", context());
            return;
        }
        let (input, output) = stream.reported(at);
        assert!(number("input_tokens") >= input && number("output_tokens") >= output, "{input} {output} {}", context());
        assert_eq!(cost, 1_000 * number("input_tokens") + 2_000 * number("output_tokens"), "{}", context());
        assert!(cost > 0, "what was delivered is not free: {}", context());
    }
}

/// Offsets of each answer, each of them with a reset and an end.
fn draw(streams: &[Stream], offsets: usize, seed: u64) -> Vec<Cut> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut cuts = Vec::new();
    for (number, stream) in streams.iter().enumerate() {
        let length = stream.length();
        let mut drawn = index::sample(&mut random, length + 1, offsets.min(length + 1)).into_vec();
        // Always: nothing, all but the end, everything.
        drawn.extend([0, stream.whole().0.saturating_sub(1), length]);
        for after_bytes in drawn {
            cuts.extend(
                [Break::Rst, Break::Fin]
                    .map(|how| Cut { stream: number, fault: Fault { after_bytes, how, delay_ms: 0 } }),
            );
        }
    }
    cuts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_may_end_or_be_reset_at_any_byte() {
    let _alone = crate::alone().await;
    let seed = crate::seed();
    println!("TOLLGATE_CHAOS_SEED={seed}");
    let long = number_from("TOLLGATE_CHAOS_RUNS").and_then(|runs| usize::try_from(runs).ok());
    let mut all = streams::written();
    let recorded = streams::recorded();
    let step = if long.is_some() { 1 } else { recorded.len().div_ceil(RECORDINGS).max(1) };
    all.extend(recorded.into_iter().step_by(step));
    let cuts = draw(&all, long.unwrap_or(OFFSETS), seed);
    let stage = Stage::set(all, |setup| setup).await;
    let answers = stage.send(&cuts, LANES).await;
    stage.finish(&answers).await;
}

/// Nothing more comes, and the connection stays: the time-outs have to end it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_may_fall_silent_at_any_byte() {
    let _alone = crate::alone().await;
    let seed = crate::seed();
    println!("TOLLGATE_CHAOS_SEED={seed}");
    let all = streams::written();
    let mut random = StdRng::seed_from_u64(seed);
    let mut cuts = Vec::new();
    for (stream, written) in all.iter().enumerate() {
        let (from, _) = written.whole();
        for after_bytes in [0, random.random_range(0..from), random.random_range(0..from), from - 1] {
            let delay_ms = random.random_range(0..50);
            cuts.push(Cut { stream, fault: Fault { after_bytes, how: Break::Stall, delay_ms } });
        }
    }
    let stage = Stage::set(all, |setup| {
        let names = ["first_token_timeout_ms", "idle_timeout_ms", "response_timeout_ms", "first_token_hold_ms"];
        names.into_iter().fold(setup, |setup, name| setup.set(&format!("routing.{name}"), "700"))
    })
    .await;
    let answers = stage.send(&cuts, cuts.len()).await;
    stage.finish(&answers).await;
}

/// A network that only takes its time changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network_changes_nothing() {
    let _alone = crate::alone().await;
    let all = streams::written();
    let cuts: Vec<_> =
        (0..all.len()).map(|stream| Cut { stream, fault: Fault { delay_ms: 300, ..Fault::NONE } }).collect();
    let stage = Stage::set(all, |setup| setup).await;
    let answers = stage.send(&cuts, cuts.len()).await;
    stage.finish(&answers).await;
}
