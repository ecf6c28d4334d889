//! Clients that leave before the end: the gateway reads on for the real usage, within its limits, or lets the upstream go
//! and estimates. Either way what was delivered is billed, once.

use crate::calls::{COST, INPUT, OUTPUT, TOKENS, Wire, assert_record, number, plain_chat, serving, stepped};
use crate::support::answers::{chat_pieces, chat_token};
use crate::support::client::{Answer as Got, Client, Ended::Whole, Request};
use crate::support::gateway::{Gateway, Key, Setup};
use crate::support::provider::{Ended, FullQueue, Provider};
use crate::support::script::{Answer, Break, Steps};
use crate::support::{PATIENCE, h2c, until};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Waits until so many answers are read on for clients that left.
pub(crate) async fn wait_drains(gateway: &Gateway, count: usize) {
    let started = Instant::now();
    while gateway.metric("tollgate_drains_running", &[]).await as usize != count {
        assert!(started.elapsed() < PATIENCE, "never {count} drains:\n{}", gateway.metrics().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A gateway in front of one answer whose pieces wait for the test.
async fn waiting(wire: Wire, answer: Answer, more: &[(&str, &str)]) -> (Provider, Gateway, Key, Steps) {
    let (answer, steps) = stepped(answer);
    let provider = Provider::start(move |_, _| answer.clone()).await;
    let setup =
        more.iter().fold(Setup::new([wire.upstream("u", &provider)]), |setup, (path, value)| setup.set(path, value));
    let (gateway, key) = serving(&setup).await;
    (provider, gateway, key, steps)
}

fn assert_left(record: &Value, source: &str) {
    assert_record(
        record,
        json!({"outcome": "client_aborted", "attempts": 1, "upstream": "u", "usage_source": source, "error_code": "CLIENT_CLOSED"}),
    );
    assert!(number(record, "cost_nanos") > 0, "{record}");
}

#[tokio::test]
async fn the_gateway_reads_on_for_the_real_usage() {
    for wire in Wire::ALL {
        let (provider, gateway, key, steps) = waiting(wire, wire.stream(&TOKENS), &[]).await;
        let mut ids = Vec::new();
        for way in 0..3 {
            steps.go(wire.pieces_to_first_token());
            let request = wire.request(true).key(&key.key);
            // A connection that ends, one that is reset, and a stream that is reset.
            let answer = if way < 2 {
                let mut exchange = gateway.open(&request).await;
                exchange.piece().await.expect("the first token");
                if way == 0 { exchange.close() } else { exchange.reset() }
            } else {
                let mut exchange = h2c::open(gateway.address, &request).await;
                exchange.piece().await.expect("the first token");
                exchange.answer.clone()
            };
            ids.push(answer);
            wait_drains(&gateway, 1).await;
            steps.go(wire.pieces(&TOKENS).len() + 1 - wire.pieces_to_first_token());
            assert_eq!(provider.ended(way).await, Ended::Answered, "{wire:?}");
            wait_drains(&gateway, 0).await;
        }
        gateway.wait_records(3).await;
        for answer in &ids {
            let record = gateway.record_of(answer).await;
            assert_left(&record, "reported");
            assert_record(
                &record,
                json!({"input_tokens": INPUT, "output_tokens": OUTPUT, "cost_nanos": COST, "status": 200}),
            );
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_it_got_anything_is_billed_what_was_used() {
    // What was held for it is read on, a stream and a document alike; no other upstream is asked.
    for stream in [true, false] {
        let (answer, steps) = stepped(Wire::Chat.answer(stream));
        let provider = Provider::start(move |_, _| answer.clone()).await;
        let next = Provider::always(Wire::Chat.whole("x")).await;
        let setup =
            Setup::new([Wire::Chat.upstream("u", &provider), Wire::Chat.upstream("next", &next).with("priority = 1")]);
        let (gateway, key) = serving(&setup).await;
        let client = Client::connect(gateway.address).await.expect("the gateway listens");
        let request = Wire::Chat.request(stream).key(&key.key);
        let waiting = tokio::spawn(async move { client.open(&request).await });
        until("the request upstream", || (provider.received().len() == 1).then_some(())).await;
        if stream {
            steps.go(1);
        }
        waiting.abort();
        wait_drains(&gateway, 1).await;
        steps.go_on();
        let record = gateway.wait_record().await;
        assert_left(&record, "reported");
        assert_record(&record, json!({"cost_nanos": COST, "status": 499}));
        assert_eq!(provider.ended(0).await, Ended::Answered);
        assert!(next.received().is_empty());
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn for_a_client_that_leaves_before_there_is_a_connection_nothing_is_sent() {
    let (full, next) = (FullQueue::new().await, Provider::always(Wire::Chat.whole("x")).await);
    let setup = Setup::new([
        Wire::Chat.upstream_at("full", full.address),
        Wire::Chat.upstream("next", &next).with("priority = 1"),
    ])
    // Longer than anything is waited for here.
    .set("routing.connect_timeout_ms", "600000")
    .set("routing.response_timeout_ms", "600000")
    .set("routing.drain_ms_max", "600000");
    let (gateway, key) = serving(&setup).await;
    let client = Client::connect(gateway.address).await.expect("the gateway listens");
    let request = plain_chat(false).key(&key.key);
    let waiting = tokio::spawn(async move { client.open(&request).await });
    while gateway.metric("tollgate_requests_in_flight", &[]).await < 1.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    waiting.abort();
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"outcome": "client_aborted", "status": 499, "cost_nanos": 0, "attempts": 1}));
    assert!(next.received().is_empty());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn nobody_takes_over_for_a_client_that_left() {
    let (answer, steps) = stepped(Answer::stream([": x\n\n", "never"]).cut(5, Break::Rst));
    let provider = Provider::start(move |_, _| answer.clone()).await;
    let next = Provider::always(Wire::Chat.stream(&["a"])).await;
    let setup =
        Setup::new([Wire::Chat.upstream("u", &provider), Wire::Chat.upstream("next", &next).with("priority = 1")]);
    let (gateway, key) = serving(&setup).await;
    let client = Client::connect(gateway.address).await.expect("the gateway listens");
    let request = Wire::Chat.request(true).key(&key.key);
    let waiting = tokio::spawn(async move { client.open(&request).await });
    until("the request upstream", || (provider.received().len() == 1).then_some(())).await;
    steps.go(1);
    waiting.abort();
    wait_drains(&gateway, 1).await;
    steps.go_on();
    assert_record(&gateway.wait_record().await, json!({"outcome": "client_aborted", "attempts": 1, "status": 499}));
    assert!(next.received().is_empty());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn with_the_abort_policy_the_upstream_is_let_go_and_the_delivered_is_estimated() {
    for wire in Wire::ALL {
        let (provider, gateway, key, steps) =
            waiting(wire, wire.stream(&TOKENS), &[("routing.on_client_disconnect", "\"abort\"")]).await;
        steps.go(wire.pieces_to_first_token() + 2);
        let sent: usize = wire.pieces(&TOKENS)[..wire.pieces_to_first_token() + 2].iter().map(Bytes::len).sum();
        let mut exchange = gateway.open(&wire.request(true).key(&key.key)).await;
        exchange.until_bytes(sent).await;
        exchange.close();
        assert_eq!(provider.ended(0).await, Ended::PeerLeft(sent), "{wire:?}: let go without another byte");
        let record = gateway.wait_record().await;
        // Gemini says in every event what was used so far; that is better than any estimate.
        assert_left(&record, if wire.dialect() == "gemini" { "reported" } else { "estimated" });
        // "Hello there," and a prompt of three words.
        let (input, output) = (number(&record, "input_tokens"), number(&record, "output_tokens"));
        assert!((1..=12).contains(&input) && (2..=5).contains(&output), "{record}");
        assert_eq!(number(&record, "cost_nanos"), input * 1_000 + output * 2_000, "{record}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn reading_on_stops_after_so_many_bytes() {
    let mut pieces = chat_pieces(&["a"], Some((INPUT, OUTPUT)));
    // Less than the default limit, so that only the configured one can be what stops it.
    pieces.splice(2..2, (0..60).map(|_| chat_token(&"word ".repeat(2_000))));
    let limit = [("routing.drain_bytes_max", "100000")];
    let (_provider, gateway, key, steps) = waiting(Wire::Chat, Answer::stream(pieces), &limit).await;
    steps.go(2);
    let mut body = Wire::Chat.body("m", true);
    body["max_tokens"] = json!(1_000_000);
    let mut exchange = gateway.open(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
    exchange.piece().await.expect("the first token");
    exchange.close();
    wait_drains(&gateway, 1).await;
    steps.go_on();
    let record = gateway.wait_record().await;
    assert_left(&record, "estimated");
    // What came is about ten of sixty events; all of it would be 120,000 words.
    let output = number(&record, "output_tokens");
    assert!((10_000..80_000).contains(&output), "{record}");
    wait_drains(&gateway, 0).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn reading_on_stops_after_so_much_time() {
    let limit = [("routing.drain_ms_max", "200"), ("routing.idle_timeout_ms", "600000")];
    let (provider, gateway, key, steps) = waiting(Wire::Chat, Wire::Chat.stream(&TOKENS), &limit).await;
    steps.go(2);
    let mut exchange = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    exchange.piece().await.expect("the first token");
    exchange.close();
    // The provider says nothing more. By default it would be waited for ten seconds.
    let ended = tokio::time::timeout(Duration::from_secs(7), provider.ended(0)).await.expect("long before the default");
    assert!(matches!(ended, Ended::PeerLeft(_)), "{ended:?}");
    assert_left(&gateway.wait_record().await, "estimated");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn so_many_are_read_on_at_once_and_more_are_aborted() {
    let steps = [Steps::new(), Steps::new()];
    let answers = steps.each_ref().map(|steps| Wire::Chat.stream(&TOKENS).stepped(steps));
    let provider = Provider::start(move |before, _| answers[before].clone()).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("routing.drains_max", "1")
        .set("routing.drain_ms_max", "600000");
    let (gateway, key) = serving(&setup).await;
    let mut answers: Vec<Got> = Vec::new();
    for (number, steps) in steps.iter().enumerate() {
        steps.go(2);
        let mut exchange = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
        exchange.piece().await.expect("the first token");
        answers.push(exchange.close());
        if number == 0 {
            wait_drains(&gateway, 1).await;
        }
    }
    assert!(matches!(provider.ended(1).await, Ended::PeerLeft(_)), "no place for the second");
    assert_left(&gateway.record_of(&answers[1]).await, "estimated");
    assert_eq!(gateway.metric("tollgate_drains_running", &[]).await, 1.0, "the first goes on");
    steps[0].go_on();
    assert_eq!(provider.ended(0).await, Ended::Answered);
    assert_left(&gateway.record_of(&answers[0]).await, "reported");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_client_that_leaves_after_the_terminal_event_has_it_all() {
    // As official SDKs do: they stop at `[DONE]` or its like and close, without waiting for the body's end.
    for wire in [Wire::Chat, Wire::Responses, Wire::Messages] {
        for policy in ["\"drain\"", "\"abort\""] {
            let pieces = wire.pieces(&TOKENS);
            let length: usize = pieces.iter().map(Bytes::len).sum();
            let setting = [("routing.on_client_disconnect", policy)];
            let (provider, gateway, key, steps) = waiting(wire, wire.stream(&TOKENS), &setting).await;
            steps.go(pieces.len());
            let mut exchange = gateway.open(&wire.request(true).key(&key.key)).await;
            exchange.until_bytes(length).await;
            exchange.close();
            // The upstream's end is still missing; nobody waits for it any more.
            let record = gateway.wait_record().await;
            assert_record(
                &record,
                json!({"outcome": "ok", "cost_nanos": COST, "usage_source": "reported", "status": 200}),
            );
            steps.go_on();
            provider.ended(0).await;
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up_and_is_billed_when_it_leaves() {
    // More than all buffers on the way can take, so that the gateway's write to this client stands still.
    let mut pieces = chat_pieces(&["a"], Some((INPUT, OUTPUT)));
    pieces.splice(2..2, (0..3_000).map(|_| chat_token(&"word ".repeat(1_000))));
    let big = Answer::stream(pieces);
    let provider =
        Provider::start(move |before, _| if before == 0 { big.clone() } else { Wire::Chat.whole("x") }).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("routing.drain_bytes_max", "1000000000");
    let (gateway, key) = serving(&setup).await;
    let mut exchange = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    exchange.piece().await.expect("the first token");
    for _ in 0..20 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200, "others are served");
    }
    let left = exchange.reset();
    assert_eq!(provider.ended(0).await, Ended::Answered, "read on to the end");
    let record = gateway.record_of(&left).await;
    assert_left(&record, "reported");
    assert_eq!(number(&record, "cost_nanos"), COST);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn many_clients_that_leave_at_random_moments_leave_one_record_each() {
    let provider = Provider::always(Wire::Chat.stream(&TOKENS).pieces_every_ms(3)).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let address = gateway.address;
    let mut clients = Vec::new();
    for index in 0..120_u64 {
        let request: Request = Wire::Chat.request(true).key(&key.key);
        clients.push(tokio::spawn(async move {
            let client = Client::connect(address).await.expect("the gateway listens");
            // From before the request is out to after its end.
            let stay = Duration::from_micros(index * 400);
            tokio::time::timeout(stay, client.send(&request)).await.ok()
        }));
    }
    let mut whole = 0;
    for client in clients {
        whole += usize::from(client.await.expect("no panic").is_some_and(|answer| answer.status == 200));
    }
    wait_drains(&gateway, 0).await;
    let started = Instant::now();
    while gateway.metric("tollgate_requests_in_flight", &[]).await > 0.0 {
        assert!(started.elapsed() < PATIENCE, "exchanges that never end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let attempts = gateway.metric("tollgate_attempts_total", &[]).await;
    let records = gateway.wait_records(attempts as usize).await;
    let ok = records.iter().filter(|record| record["outcome"] == "ok").count();
    assert!(ok >= whole, "{ok} ok of {whole} that came whole");
    // Who left before there was a connection has sent nothing.
    let (billed, free): (Vec<_>, Vec<_>) = records.iter().partition(|record| number(record, "cost_nanos") > 0);
    assert_eq!(billed.len(), provider.received().len(), "{records:?}");
    for record in billed {
        assert!(["ok", "client_aborted"].contains(&record["outcome"].as_str().unwrap_or_default()), "{record}");
        assert_eq!(record["cost_nanos"], COST, "all of them were read to the end: {record}");
    }
    for record in free {
        assert_record(record, json!({"outcome": "client_aborted", "usage_source": "none", "status": 499}));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn who_asks_again_too_early_has_the_answer_and_then_the_end_of_the_connection() {
    let (provider, gateway, key, steps) = waiting(Wire::Chat, Wire::Chat.whole("hello"), &[]).await;
    let request = Wire::Chat.request(false).key(&key.key).wire();
    let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
    client.write(&request).await.expect("it is sent");
    until("the provider is asked", || (provider.received().len() == 1).then_some(())).await;
    client.write(&request).await.expect("it is sent");
    // Nothing shows when the gateway has seen it; what follows is right either way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    steps.go(16);
    let (answer, client) = client.answered().await.rest().await;
    assert_eq!((answer.status, answer.ended, answer.field("connection")), (200, Whole, Some("close")));
    assert!(answer.text().contains("hello"), "{}", answer.text());
    assert_eq!(client.receive().await.status, 0, "the connection ends");
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"outcome": "ok", "status": 200, "cost_nanos": COST}));
    assert_eq!(provider.received().len(), 1);
    gateway.finish(&[&key]).await;
}
