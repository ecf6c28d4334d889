//! R1: overload. Admitted requests are answered; the rest are refused at once, with a time to retry. Nothing is lost, and
//! memory stays within a limit.

use crate::stage::{Stage, chat, said};
use crate::support::client::{Client, Ended, Request};
use crate::support::provider::Received;
use crate::support::script::{Answer, Steps};
use crate::support::{PATIENCE, answers};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::time::Instant;
use tokio::task::JoinSet;

/// What a key may have at once.
const ROOM: usize = 8;
/// Connections, each of which sends as soon as it has its answer.
const CONNECTIONS: usize = 400;
const REQUESTS_EACH: usize = 10;
const GROWN_MIB_MAX: u64 = 160;

#[tokio::test]
async fn who_is_admitted_is_answered_and_the_rest_is_refused_at_once() {
    let _alone = crate::alone().await;
    let steps = Steps::new();
    let held = Answer::json(200, &answers::chat_body("x", 10, 5)).stepped(&steps);
    let stage = Stage::new(move |_, _| held.clone(), |setup| setup).await;
    let limited = stage.gateway.key("limited", &["--concurrency", &ROOM.to_string()]).await;
    let request = Request::post_raw("/v1/chat/completions", chat("x")).key(&limited.key);
    let (address, before_kib) = (stage.gateway.address, stage.resident_kib());
    // First those who fill the room: they wait for the provider.
    let mut admitted = JoinSet::new();
    for _ in 0..ROOM {
        let request = request.clone();
        admitted.spawn(async move { crate::support::client::send(address, &request).await.status });
    }
    crate::support::until("the room to be full", || (stage.provider.received().len() == ROOM).then_some(())).await;
    let mut pushing = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let request = request.clone();
        pushing.spawn(async move {
            let mut client = Client::connect(address).await.expect("the gateway listens");
            let mut seen = Vec::new();
            for _ in 0..crate::times(REQUESTS_EACH) {
                let (answer, kept) = client.send_and_keep(&request).await;
                seen.push((answer.status, answer.ended, answer.field("retry-after").is_some()));
                client = kept;
            }
            seen
        });
    }
    let mut statuses = BTreeMap::new();
    while let Some(seen) = pushing.join_next().await {
        for (status, ended, says_when) in seen.expect("no client panics") {
            assert_eq!((ended, says_when), (Ended::Whole, true), "{status}");
            *statuses.entry(status).or_insert(0) += 1;
        }
    }
    // All of them had their answer while the admitted waited still: refusing waits for nothing.
    assert_eq!(statuses, BTreeMap::from([(429, CONNECTIONS * crate::times(REQUESTS_EACH))]));
    assert_eq!(stage.provider.received().len(), ROOM, "nobody else came through");
    stage.assert_grown("overload", before_kib, GROWN_MIB_MAX);
    steps.go_on();
    while let Some(status) = admitted.join_next().await {
        assert_eq!(status.expect("no client panics"), 200);
    }
    let again = stage.gateway.send(&request).await;
    assert_eq!(again.status, 200, "there is room again: {}", again.text());
    stage.gateway.wait_records(ROOM + 1).await;
    let rejected = stage.gateway.metric("tollgate_rejected_total", &["RATE_LIMIT_EXCEEDED"]).await as u64;
    assert_eq!(rejected as usize, CONNECTIONS * crate::times(REQUESTS_EACH));
    stage.finish().await;
}

/// What the gateway may take, and bodies a fourth of it.
const MEMORY_MIB: usize = 400;
const BODY_MIB: usize = 8;
const BODIES_MAX: usize = MEMORY_MIB / 4 / BODY_MIB;
const WITH_BODIES: usize = 60;

#[tokio::test]
async fn large_bodies_share_their_part_of_the_memory_and_who_finds_none_left_comes_again() {
    let _alone = crate::alone().await;
    let steps = Steps::new();
    let held = Answer::json(200, &answers::chat_body("x", 10, 5)).stepped(&steps);
    let bytes_max = (MEMORY_MIB << 20).to_string();
    let stage = Stage::new(move |_, _| held.clone(), |setup| setup.set("server.memory_bytes_max", &bytes_max)).await;
    let body = chat("");
    let body = chat(&"x".repeat((BODY_MIB << 20) - body.len()));
    let request = Request::post_raw("/v1/chat/completions", body).key(&stage.key.key);
    let (address, request) = (stage.gateway.address, &request);
    let mut crowd: FuturesUnordered<_> =
        (0..WITH_BODIES).map(|_| async move { crate::support::client::send(address, request).await }).collect();
    // All others are answered while those who have room wait for the provider.
    for _ in BODIES_MAX..WITH_BODIES {
        let refused = crowd.next().await.expect("as many as were sent");
        assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")), "{}", refused.text());
        assert_eq!(refused.json()["error"]["code"], "OVERLOADED");
    }
    let arrived = || (stage.provider.received().len() == BODIES_MAX).then_some(());
    tokio::select! { biased;
        () = crate::support::until("all who have room", arrived) => {}
        answer = crowd.next() => panic!("nobody is answered yet: {:?}", answer.map(|answer| answer.status)),
    }
    let resident_mib = stage.resident_kib() as usize / 1024;
    eprintln!("{BODIES_MAX} bodies of {BODY_MIB} MiB: resident memory {resident_mib} MiB of {MEMORY_MIB}");
    assert!(resident_mib <= MEMORY_MIB);
    let taken = stage.gateway.metric("tollgate_request_bodies_bytes", &[]).await as usize;
    assert_eq!(taken, (BODIES_MAX * BODY_MIB) << 20);
    steps.go_on();
    while let Some(answer) = crowd.next().await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(stage.gateway.send(request).await.status, 200, "there is room again");
    assert_eq!(stage.gateway.metric("tollgate_request_bodies_bytes", &[]).await, 0.0);
    assert_eq!(stage.gateway.wait_records(BODIES_MAX + 1).await.len(), BODIES_MAX + 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_crowd_without_limits_is_answered_whole_and_billed_once_each() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let (address, before_kib) = (stage.gateway.address, stage.resident_kib());
    let mut crowd = JoinSet::new();
    for number in 0..CONNECTIONS {
        let request = stage.request(&format!("one of the crowd {number}"));
        crowd.spawn(async move {
            let mut client = Client::connect(address).await.expect("the gateway listens");
            let mut answered = 0;
            for _ in 0..crate::times(5) {
                let (answer, kept) = client.send_and_keep(&request).await;
                assert!([200, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
                assert_eq!(answer.ended, Ended::Whole);
                answered += usize::from(answer.status == 200);
                client = kept;
            }
            answered
        });
    }
    let mut answered = 0;
    while let Some(of_one) = crowd.join_next().await {
        answered += of_one.expect("no client panics");
    }
    stage.assert_grown("a crowd", before_kib, GROWN_MIB_MAX);
    assert!(answered > 0);
    assert_eq!(stage.gateway.wait_records(answered).await.len(), answered);
    eprintln!("{answered} of {} answered", CONNECTIONS * crate::times(5));
    stage.finish().await;
}

/// The same of answers that are put together for their clients.
const ANSWER_MIB: usize = 16;
const ANSWERS_MAX: usize = MEMORY_MIB / 4 / ANSWER_MIB;

#[tokio::test]
async fn large_answers_that_nobody_reads_share_their_part_of_the_memory() {
    let _alone = crate::alone().await;
    let large = Answer::json(200, &answers::chat_body(&"x".repeat(ANSWER_MIB << 20), 10, 5));
    let small = Answer::json(200, &answers::chat_body("x", 10, 5));
    let script = move |_: usize, request: &Received| match said(&request.body).as_deref() {
        Some("large") => large.clone(),
        _ => small.clone(),
    };
    let memory = (MEMORY_MIB << 20).to_string();
    let stage = Stage::new(script, |setup| setup.set("server.memory_bytes_max", &memory)).await;
    // Anthropic's dialect, of an upstream that speaks OpenAI's: as one document.
    let asking = |said: &str| Request::post_raw("/v1/messages", chat(said)).key(&stage.key.key);
    let mut unread = Vec::new();
    let mut refused = 0;
    for number in 0..ANSWERS_MAX + 2 {
        let client = Client::connect(stage.gateway.address).await.expect("the gateway listens");
        let exchange = client.open(&asking("large")).await;
        match exchange.answer.status {
            200 => unread.push(exchange),
            status => {
                let (answer, _) = exchange.rest().await;
                assert_eq!((status, answer.field("retry-after")), (503, Some("1")), "{number}: {}", answer.text());
                assert!(answer.text().contains("OVERLOADED"), "{}", answer.text());
                refused += 1;
            }
        }
    }
    // A document is a little more than its text.
    assert!((1..=ANSWERS_MAX).contains(&unread.len()) && refused >= 2, "{} and {refused}", unread.len());
    assert_eq!(stage.gateway.send(&asking("small")).await.status, 200, "what needs no room has it");
    unread.into_iter().for_each(|exchange| drop(exchange.close()));
    let started = Instant::now();
    while stage.gateway.send(&asking("large")).await.status != 200 {
        assert!(started.elapsed() < PATIENCE, "their room is not given back");
    }
    stage.finish().await;
}
