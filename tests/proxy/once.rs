//! One charge for each idempotency key: of the requests with the same key, one is sent upstream. While it is in flight the
//! others are told to retry; then they get its answer, or its id. A key whose request came to nothing may be tried again.

use crate::calls::{COST, TOKENS, Wire, assert_record, plain_chat, serving, serving_keys, stepped};
use crate::endpoints::form_between;
use crate::refusals::{WIRES, assert_refused};
use crate::support::answers::chat_body;
use crate::support::client::{Answer as Got, Body, Client, Ended, Request};
use crate::support::gateway::{Gateway, Key, Setup};
use crate::support::provider::{self, Provider};
use crate::support::script::{Answer, Break};
use crate::support::{PATIENCE, until};
use crate::upgrade::{Stopping, assert_whole, begun_with, ended};
use serde_json::json;
use std::time::{Duration, Instant};

const RUNS: (u16, &str) = (409, "IDEMPOTENCY_IN_PROGRESS");
const DONE: (u16, &str) = (409, "IDEMPOTENCY_ALREADY_DONE");

/// As a client sends it that wants to be charged once.
fn once(request: Request, key: &Key) -> Request {
    request.key(&key.key).field("idempotency-key", "one")
}

fn refusal(answer: &Got) -> (u16, String) {
    (answer.status, if answer.status == 200 { String::new() } else { answer.error_code() })
}

fn assert_replayed(again: &Got, first: &Got, case: &str) {
    let told = format!("{case}: {} {:?} {}", again.status, again.fields, again.text());
    assert_eq!((again.status, again.ended), (first.status, Ended::Whole), "{told}");
    assert_eq!(again.body(), first.body(), "{told}");
    assert_eq!(again.field("content-type"), first.field("content-type"), "{told}");
    assert_eq!(again.field("x-tollgate-replayed"), first.field("x-request-id"), "{told}");
    assert_ne!(again.field("x-request-id"), first.field("x-request-id"), "{told}");
}

/// Says that the request is over whose answer this is.
fn assert_done(answer: &Got, request_id: &str) {
    assert_eq!(refusal(answer), (DONE.0, DONE.1.to_owned()), "{}", answer.text());
    assert!(answer.text().contains(request_id), "{request_id}: {}", answer.text());
    assert_eq!(answer.field("x-should-retry"), Some("false"));
}

/// Tries again as long as another one is served.
async fn retried(gateway: &Gateway, request: &Request) -> Got {
    let started = Instant::now();
    loop {
        let answer = gateway.send(request).await;
        if refusal(&answer).1 != RUNS.1 {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "it is never over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_hundred_at_once_are_one_charge() {
    for stream in [true, false] {
        let (answer, steps) = stepped(Wire::Chat.answer(stream));
        let provider = Provider::always(answer).await;
        let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
        let (address, request) = (gateway.address, once(Wire::Chat.request(stream), &key));
        let all: Vec<_> = (0..100)
            .map(|_| {
                let request = request.clone();
                tokio::spawn(async move { Client::connect(address).await.expect("it listens").send(&request).await })
            })
            .collect();
        let refused = async || gateway.metric("tollgate_rejected_total", &[RUNS.1]).await;
        let started = Instant::now();
        while refused().await < 99.0 {
            assert!(started.elapsed() < PATIENCE, "not all others are refused");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        steps.go_on();
        let mut answers = Vec::new();
        for one in all {
            answers.push(one.await.expect("no client panics"));
        }
        let (served, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!((served.len(), others.len()), (1, 99));
        for other in &others {
            assert_refused(other, Wire::Chat, RUNS.0, RUNS.1, Some("billing"));
            assert_eq!(other.field("retry-after"), Some("1"));
        }
        assert_replayed(&gateway.send(&request).await, &served[0], "afterwards");
        provider.only();
        assert_record(&gateway.wait_record().await, json!({"cost_nanos": COST, "outcome": "ok"}));
        assert_eq!(gateway.key_row("tester")["spent_nanos"], COST);
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_answer_is_given_again_byte_for_byte() {
    for wire in Wire::ALL {
        for stream in [true, false] {
            let provider = Provider::always(wire.answer(stream)).await;
            let (gateway, key) = serving(&Setup::new([wire.upstream("u", &provider)])).await;
            let request = once(wire.request(stream), &key);
            let first = gateway.send(&request).await;
            assert_eq!((first.status, first.body()), (200, wire.answer(stream).body()));
            for field in ["Idempotency-Key", "X-Idempotency-Key"] {
                let again = wire.request(stream).key(&key.key).field(field, "one");
                assert_replayed(&gateway.send(&again).await, &first, &format!("{wire:?} {stream}"));
            }
            assert_eq!(gateway.metric("tollgate_replayed_total", &[]).await, 2.0);
            provider.only();
            assert_record(&gateway.wait_record().await, json!({"cost_nanos": COST}));
            gateway.finish(&[&key]).await;
        }
    }
}

/// SDKs draw a form's boundary for each try.
#[tokio::test]
async fn a_form_that_comes_again_with_another_boundary_is_the_same_request() {
    let answer =
        json!({"text": "hi", "usage": {"type": "tokens", "input_tokens": 10, "output_tokens": 5, "total_tokens": 15}});
    let provider = Provider::always(Answer::json(200, &answer)).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let upload = |boundary: &str, fields: &[(&str, &[u8])]| {
        let (content_type, body) = form_between(boundary, fields);
        let request = Request::new("POST", "/v1/audio/transcriptions").field("content-type", &content_type);
        once(request.body(Body::Length(body)), &key)
    };
    let fields: [(&str, &[u8]); 3] = [("model", b"m"), ("prompt", b"names"), ("file", b"RIFF....")];
    let first = gateway.send(&upload("first", &fields)).await;
    assert_eq!(first.status, 200, "{}", first.text());
    for boundary in ["second", "first"] {
        assert_replayed(&gateway.send(&upload(boundary, &fields)).await, &first, boundary);
    }
    for other in [
        [("model", b"m".as_slice()), ("prompt", b"names"), ("file", b"RIFF...!")],
        [("model", b"m"), ("language", b"names"), ("file", b"RIFF....")],
    ] {
        let refused = gateway.send(&upload("first", &other)).await;
        assert_refused(&refused, Wire::Chat, 422, "IDEMPOTENCY_MISMATCH", Some("billing"));
    }
    provider.only();
    gateway.wait_record().await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_answer_that_was_read_on_for_a_client_that_left_is_given_to_it_when_it_comes_again() {
    let (answer, steps) = stepped(Wire::Chat.stream(&TOKENS));
    let provider = Provider::always(answer).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let request = once(Wire::Chat.request(true), &key);
    steps.go(Wire::Chat.pieces_to_first_token());
    let mut left = gateway.open(&request).await;
    left.piece().await.expect("the first token");
    let left = left.reset();
    assert_eq!(refusal(&gateway.send(&request).await), (RUNS.0, RUNS.1.to_owned()));
    let started = Instant::now();
    while gateway.metric("tollgate_drains_running", &[]).await < 1.0 {
        assert!(started.elapsed() < PATIENCE, "it is not read on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    steps.go_on();
    let again = retried(&gateway, &request).await;
    assert_eq!((again.status, again.body()), (200, Wire::Chat.pieces(&TOKENS).concat()));
    assert_eq!(again.field("x-tollgate-replayed"), left.field("x-request-id"));
    assert_eq!(provider.only().ended, provider::Ended::Answered);
    assert_record(&gateway.wait_record().await, json!({"cost_nanos": COST, "outcome": "client_aborted"}));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_stream_that_was_cut_off_by_kill_9_is_not_charged_again() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving(&streams.setup()).await;
    let request = once(Wire::Chat.request(true), &key);
    let running = begun_with(&gateway, &request, &streams).await;
    let id = running.answer.field("x-request-id").expect("an id").to_owned();
    gateway.kill().await;
    gateway.serve().await;
    assert_record(&gateway.wait_record().await, json!({"outcome": "interrupted", "request_id": id}));
    for _ in 0..3 {
        assert_done(&gateway.send(&request).await, &id);
    }
    let other = gateway.send(&once(Wire::Chat.request(false), &key)).await;
    assert_refused(&other, Wire::Chat, 422, "IDEMPOTENCY_MISMATCH", Some("billing"));
    // Nor after a second end, in a journal or out of it.
    gateway.kill().await;
    gateway.serve().await;
    assert_done(&gateway.send(&request).await, &id);
    assert_eq!(gateway.stop().await.code(), Some(0));
    gateway.serve().await;
    assert_done(&gateway.send(&request).await, &id);
    gateway.wait_record().await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_was_answered_before_kill_9_is_not_charged_again_and_what_was_not_is_served() {
    let (waits, steps) = stepped(Wire::Chat.whole("never"));
    let whole = Wire::Chat.whole("x");
    let provider = Provider::start(move |before, _| if before == 1 { waits.clone() } else { whole.clone() }).await;
    let (mut gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let answered = once(plain_chat(false), &key);
    let first = gateway.send(&answered).await;
    let waiting = plain_chat(false).key(&key.key).field("idempotency-key", "two");
    let client = Client::connect(gateway.address).await.expect("the gateway listens");
    let asked = waiting.clone();
    let lost = tokio::spawn(async move { client.send(&asked).await });
    until("the request upstream", || (provider.received().len() == 2).then_some(())).await;
    gateway.kill().await;
    drop(lost.await);
    gateway.serve().await;
    assert_done(&gateway.send(&answered).await, first.field("x-request-id").expect("an id"));
    let again = gateway.send(&waiting).await;
    assert_eq!((again.status, again.field("x-tollgate-replayed")), (200, None));
    assert_replayed(&gateway.send(&waiting).await, &again, "from then on");
    // That the lost one has a record, too, depends on whether the journal had its hold by then: nobody had got a byte.
    let charged = || gateway.records().into_iter().filter(|record| record["cost_nanos"] != 0).collect::<Vec<_>>();
    let charged = until("the records", || Some(charged()).filter(|records| records.len() >= 2)).await;
    assert_eq!(charged.iter().map(|record| &record["cost_nanos"]).collect::<Vec<_>>(), [COST, COST]);
    steps.go_on();
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_came_to_nothing_may_be_tried_again() {
    let failures = [
        Answer::json(500, &json!({"error": {"message": "x"}})),
        Answer::json(400, &json!({"error": {"message": "x"}})),
        Answer::nothing(Break::Rst),
        Answer::new(200, "text/html", "<html>a page</html>"),
    ];
    for (failure, stream) in failures.into_iter().flat_map(|failure| [(failure.clone(), true), (failure, false)]) {
        let provider = Provider::sequence(vec![failure.clone(), failure, Wire::Chat.answer(stream)]).await;
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("routing.attempts_max", "1");
        let (gateway, key) = serving(&setup).await;
        let request = once(Wire::Chat.request(stream), &key);
        for _ in 0..2 {
            let failed = gateway.send(&request).await;
            assert_eq!(failed.field("x-tollgate-replayed"), None, "{}", failed.text());
            assert!(!failed.text().contains("IDEMPOTENCY"), "{}", failed.text());
            assert_ne!(failed.body(), Wire::Chat.answer(stream).body());
        }
        let first = gateway.send(&request).await;
        assert_eq!((first.status, first.body()), (200, Wire::Chat.answer(stream).body()));
        assert_replayed(&gateway.send(&request).await, &first, "then");
        let records = gateway.wait_records(3).await;
        assert_eq!(records.iter().filter(|record| record["cost_nanos"] == COST).count(), 1, "{records:?}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_refusal_of_our_own_takes_no_key() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let (gateway, [key]) = serving_keys(&setup, [("poor", &["--quota-usd", "0"])]).await;
    let request = once(plain_chat(false), &key);
    assert_eq!(gateway.send(&request).await.error_code(), "QUOTA_INSUFFICIENT");
    gateway.run_json(&["key", "set", "poor", "--quota-usd", "1", "--json"]);
    let started = Instant::now();
    let served = loop {
        let answer = gateway.send(&request).await;
        if refusal(&answer).1 != "QUOTA_INSUFFICIENT" {
            break answer;
        }
        assert!(started.elapsed() < PATIENCE, "the quota is never in force");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((served.status, served.field("x-tollgate-replayed")), (200, None), "{}", served.text());
    gateway.wait_record().await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_stream_that_broke_off_is_charged_once_and_not_given_again() {
    let pieces = Wire::Chat.pieces(&TOKENS);
    let cut = pieces[..3].iter().map(|piece| piece.len()).sum();
    let provider = Provider::always(Wire::Chat.stream(&TOKENS).cut(cut, Break::Rst)).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let request = once(Wire::Chat.request(true), &key);
    let broken = gateway.send(&request).await;
    Wire::Chat.error_at_end(&broken.text());
    assert_done(&gateway.send(&request).await, broken.field("x-request-id").expect("an id"));
    provider.only();
    gateway.wait_record().await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_answer_too_long_to_keep_is_charged_once_all_the_same() {
    let long = Wire::Chat.whole(&"x".repeat(1 << 20));
    let provider = Provider::always(long.clone()).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let request = once(plain_chat(false), &key);
    let first = gateway.send(&request).await;
    assert_eq!((first.status, first.body()), (200, long.body()));
    assert_done(&gateway.send(&request).await, first.field("x-request-id").expect("an id"));
    provider.only();
    gateway.wait_record().await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_key_is_one_callers_and_one_requests() {
    let provider = Provider::start(|_, request| {
        let answers = [("/messages", Wire::Messages), ("models/", Wire::GeminiEvents), ("/responses", Wire::Responses)];
        let wire = answers.iter().find(|(part, _)| request.target.contains(part)).map_or(Wire::Chat, |(_, wire)| *wire);
        wire.whole("x")
    })
    .await;
    let setup = Setup::new([
        Wire::Chat.upstream("o", &provider),
        Wire::Messages.upstream("a", &provider),
        Wire::GeminiEvents.upstream("g", &provider),
    ]);
    let (gateway, [alice, bob]) = serving_keys(&setup, [("alice", &[]), ("bob", &[])]).await;
    for key in [&alice, &bob] {
        let served = gateway.send(&once(plain_chat(false), key)).await;
        assert_eq!((served.status, served.field("x-tollgate-replayed")), (200, None));
    }
    for wire in WIRES {
        // Another path, another body, or both.
        let refused = gateway.send(&once(wire.request_for("m", true), &alice)).await;
        assert_refused(&refused, wire, 422, "IDEMPOTENCY_MISMATCH", Some("billing"));
        let own =
            |stream| wire.request(stream).key(&alice.key).field("idempotency-key", wire.target("m", false).as_str());
        assert_eq!(gateway.send(&own(false)).await.status, 200, "{wire:?}");
        assert_refused(&gateway.send(&own(true)).await, wire, 422, "IDEMPOTENCY_MISMATCH", Some("billing"));
    }
    assert_eq!(provider.received().len(), 2 + WIRES.len());
    gateway.wait_records(2 + WIRES.len()).await;
    gateway.finish(&[&alice, &bob]).await;
}

#[tokio::test]
async fn without_a_key_every_request_is_one_of_its_own() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 10, 5))).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    for request in [plain_chat(false), plain_chat(false).field("idempotency-key", "")] {
        for _ in 0..2 {
            let answer = gateway.send(&request.clone().key(&key.key)).await;
            assert_eq!((answer.status, answer.field("x-tollgate-replayed")), (200, None));
        }
    }
    // What costs nothing takes none.
    for _ in 0..2 {
        let listed = gateway.send(&once(Request::get("/v1/models"), &key)).await;
        assert_eq!((listed.status, listed.field("x-tollgate-replayed")), (200, None));
    }
    assert_eq!(provider.received().len(), 4);
    gateway.wait_records(4).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_upgrade_lets_no_key_be_used_twice() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving(&streams.setup()).await;
    let request = once(Wire::Chat.request(true), &key);
    let running = begun_with(&gateway, &request, &streams).await;
    let id = running.answer.field("x-request-id").expect("an id").to_owned();
    let late = Client::connect(gateway.address).await.expect("the gateway listens");
    // Connections are accepted in their order, and this one is.
    assert_eq!(gateway.send(&Request::get("/v1/health")).await.status, 200);
    let old = gateway.upgrade().await;
    assert_eq!(refusal(&gateway.send(&request).await), (RUNS.0, RUNS.1.to_owned()), "it runs over there");
    // The old process does not know what the new one has: it takes no key any more.
    let other = Wire::Chat.request(true).key(&key.key).field("idempotency-key", "two");
    let told = late.send(&other).await;
    assert_refused(&told, Wire::Chat, RUNS.0, RUNS.1, Some("billing"));
    streams.go_on();
    assert_eq!(gateway.send(&other).await.status, 200, "on the next connection it is served");
    assert_whole(running).await;
    ended(old).await;
    assert_done(&retried(&gateway, &request).await, &id);
    gateway.wait_records(2).await;
    gateway.finish(&[&key]).await;
}
