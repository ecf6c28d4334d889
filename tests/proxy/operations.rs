//! Starting, stopping, and what goes wrong around a running gateway: signals, a second process, a store that is locked or
//! gone, a kill.

use crate::calls::{
    COST, TOKENS, Wire, assert_record, number, plain_chat, serving, serving_keys, stepped, wants_stream,
};
use crate::support::answers::{chat_pieces, chat_token};
use crate::support::client::{Client, Ended, Request};
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::support::{is_installed, until};
use bytes::Bytes;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn sigterm_finishes_what_runs_and_takes_nothing_new() {
    let (slow, steps) = stepped(Wire::Chat.stream(&TOKENS));
    let provider = Provider::always(slow).await;
    let (mut gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    steps.go(2);
    let mut running = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    running.piece().await.expect("the first token");
    gateway.signal("TERM");
    let started = Instant::now();
    while Client::connect(gateway.address).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(9), "new connections are still taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    steps.go_on();
    let (answer, _) = running.rest().await;
    assert_eq!((answer.ended, answer.body()), (Ended::Whole, Wire::Chat.pieces(&TOKENS).concat()));
    let status = gateway.ended().await;
    assert_eq!(status.code(), Some(0), "{}", gateway.said());
    assert_record(&gateway.wait_record().await, json!({"outcome": "ok", "cost_nanos": COST}));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_idle_gateway_ends_at_once_and_what_outlasts_the_limit_is_settled() {
    let (slow, steps) = stepped(Wire::Chat.stream(&TOKENS));
    let provider =
        Provider::start(move |before, _| if before == 0 { Wire::Chat.whole("x") } else { slow.clone() }).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("server.shutdown_ms", "600000");
    let (gateway, key) = serving(&setup).await;
    // A connection that is kept open without a request is nothing to wait for.
    let client = Client::connect(gateway.address).await.expect("the gateway listens");
    let (answer, kept) = client.send_and_keep(&plain_chat(false).key(&key.key)).await;
    assert_eq!(answer.status, 200);
    gateway.finish(&[&key]).await;
    drop(kept);
    let setup = setup.set("server.shutdown_ms", "500");
    let (mut gateway, key) = serving(&setup).await;
    steps.go(3);
    let mut running = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    running.until(b" there").await;
    let status = gateway.stop().await;
    assert_eq!(status.code(), Some(0), "{}", gateway.said());
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"outcome": "interrupted", "usage_source": "estimated"}));
    assert!(number(&record, "cost_nanos") > 0, "{record}");
    gateway.verify();
    gateway.serve().await;
    assert_eq!(gateway.wait_record().await["request_id"], record["request_id"], "the next start adds nothing");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_keep_the_gateway_from_ending() {
    let mut pieces = chat_pieces(&["a"], None);
    pieces.splice(2..2, (0..3_000).map(|_| chat_token(&"word ".repeat(1_000))));
    let provider = Provider::always(Answer::stream(pieces)).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("server.shutdown_ms", "500");
    let (mut gateway, key) = serving(&setup).await;
    let mut stuck = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    stuck.piece().await.expect("the first token");
    assert_eq!(gateway.stop().await.code(), Some(0), "{}", gateway.said());
    let record = gateway.wait_record().await;
    assert_eq!(record["outcome"], "interrupted", "{record}");
    assert!(number(&record, "cost_nanos") > 0, "{record}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_a_kill_interrupts_is_settled_at_the_next_start() {
    // Two checkpoints' worth of text, then more that never comes.
    let words: Vec<&str> = std::iter::repeat_n(" word", 600).collect();
    let (slow, steps) = stepped(Wire::Chat.stream(&words));
    let provider =
        Provider::start(move |_, request| if wants_stream(request) { slow.clone() } else { Wire::Chat.whole("x") })
            .await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let (mut gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    for _ in 0..5 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    }
    let pieces = Wire::Chat.pieces(&words);
    steps.go(500);
    let mut body = Wire::Chat.body("m", true);
    body["max_tokens"] = json!(10_000);
    let mut running = gateway.open(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
    running.until_bytes(pieces[..500].iter().map(|piece| piece.len()).sum()).await;
    let id = running.answer.field("x-request-id").expect("an id").to_owned();
    gateway.kill().await;
    gateway.serve().await;
    let records = gateway.wait_records(6).await;
    let interrupted = records.iter().find(|record| record["request_id"] == *id).expect("the interrupted one");
    assert_record(
        interrupted,
        json!({"outcome": "interrupted", "key_name": "k", "model": "m", "stream": true, "attempts": 1, "upstream": "u",
            "usage_source": "estimated", "status": 200}),
    );
    // What was delivered is not free: 499 tokens of five bytes, less at most one checkpoint of 256 tokens.
    let output = number(interrupted, "output_tokens");
    assert!((499 - 256..=499 * 5 / 4 + 1).contains(&output), "{interrupted}");
    assert!(number(interrupted, "cost_nanos") >= output * 2_000, "{interrupted}");
    let ok = records.iter().filter(|record| record["outcome"] == "ok" && record["cost_nanos"] == COST).count();
    assert_eq!(ok, 5);
    let spent: i64 = records.iter().map(|record| number(record, "cost_nanos")).sum();
    assert_eq!(gateway.key_row("k")["spent_nanos"], spent);
    // The balance is known to the new process: this quota is used up to here.
    let quota = format!("0.{:09}", spent);
    gateway.run_json(&["key", "set", "k", "--quota-usd", &quota, "--json"]);
    let started = Instant::now();
    while gateway.send(&plain_chat(false).key(&key.key)).await.status != 402 {
        assert!(started.elapsed() < crate::support::PATIENCE, "the balance was forgotten");
    }
    gateway.kill().await;
    gateway.serve().await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 402, "and after another kill");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn where_a_model_had_to_run_is_known_of_what_a_kill_interrupts() {
    let mut pieces = Wire::Messages.pieces(&TOKENS);
    let start = String::from_utf8_lossy(&pieces[0]).replacen("\"usage\":{", "\"usage\":{\"inference_geo\":\"us\",", 1);
    assert!(start.contains("inference_geo"), "{start}");
    pieces[0] = start.into();
    let (slow, steps) = stepped(Wire::Messages.stream_of(pieces.clone()));
    let provider = Provider::start(move |_, _| slow.clone()).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 10\noutput = 20\ninference_geo = { us = 1.1 }\n";
    let setup = Setup::new([Wire::Messages.upstream("u", &provider)]).prices(prices);
    let (mut gateway, key) = serving(&setup).await;
    steps.go(4);
    let mut running = gateway.open(&Wire::Messages.request(true).key(&key.key)).await;
    running.until_bytes(pieces[..4].iter().map(Bytes::len).sum()).await;
    gateway.kill().await;
    gateway.serve().await;
    let record = gateway.wait_record().await;
    let (input, output) = (number(&record, "input_tokens"), number(&record, "output_tokens"));
    let cost_nanos = input * 11_000 + output * 22_000;
    assert_record(&record, json!({"outcome": "interrupted", "inference_geo": "us", "cost_nanos": cost_nanos}));
    let explained = gateway.run(&["explain", record["request_id"].as_str().expect("an id")]);
    let explained = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.contains("x 11 USD/M (10 x 1.1)") && !explained.contains("come to"), "{explained}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_or_store_refuses_to_start() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let (gateway, key) = serving(&setup).await;
    let config = gateway.read("tollgate.toml");
    let elsewhere = Gateway::prepare(&setup);
    let ports = config
        .replace(&gateway.address.to_string(), &elsewhere.address.to_string())
        .replace(&gateway.metrics_address.to_string(), &elsewhere.metrics_address.to_string());
    let same_folder = ports.clone();
    let same_store = ports.replace("data/journal", "data/another-journal");
    for (text, what) in [(&same_folder, "the same folder"), (&same_store, "the same store"), (&config, "the same port")]
    {
        gateway.write("second.toml", text);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("serve").arg("-c").arg(gateway.path("second.toml")).current_dir(gateway.path(""));
        let output = command.stdin(std::process::Stdio::null()).output().expect("it runs, and ends by itself");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && !said.is_empty(), "{what}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200, "the first one goes on");
    gateway.wait_records(1).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_locked_store_stops_no_request_and_loses_no_record() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    gateway.wait_records(1).await;
    let database = rusqlite::Connection::open(gateway.path("data/tollgate.db")).expect("the store");
    database.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    for _ in 0..100 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    }
    assert_eq!(gateway.send(&Request::get("/v1/health")).await.status, 200);
    assert!(gateway.metric("tollgate_applier_lag_bytes", &[]).await > 0.0, "they wait in the journal");
    database.execute_batch("ROLLBACK").expect("unlocked");
    let records = gateway.wait_records(101).await;
    assert!(records.iter().all(|record| record["cost_nanos"] == COST));
    drop(database);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_gateway_that_is_killed_while_the_store_is_locked_loses_nothing() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (mut gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let database = rusqlite::Connection::open(gateway.path("data/tollgate.db")).expect("the store");
    database.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    for _ in 0..50 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    }
    gateway.kill().await;
    database.execute_batch("ROLLBACK").expect("unlocked");
    drop(database);
    gateway.serve().await;
    let records = gateway.wait_records(50).await;
    assert!(records.iter().all(|record| record["outcome"] == "ok" && record["cost_nanos"] == COST));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_store_that_vanishes_stops_no_request_and_the_log_says_so() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (mut gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    gateway.wait_records(1).await;
    let names = ["tollgate.db", "tollgate.db-wal", "tollgate.db-shm"];
    for name in names {
        let _ = std::fs::rename(gateway.path("data").join(name), gateway.path(name));
    }
    for _ in 0..20 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    }
    until("a word about the store", || gateway.said().contains("the database is gone").then_some(())).await;
    gateway.kill().await;
    for name in names {
        let _ = std::fs::rename(gateway.path(name), gateway.path("data").join(name));
    }
    gateway.serve().await;
    assert_eq!(gateway.wait_records(21).await.len(), 21, "the journal has kept them");
    gateway.finish(&[&key]).await;
}

/// Lets the process write to no file any more, or again.
fn forbid_writes(gateway: &Gateway, forbid: bool) {
    let limit = if forbid { "--fsize=0:" } else { "--fsize=unlimited:" };
    let status = std::process::Command::new("prlimit").args([limit, "--pid", &gateway.pid().to_string()]).status();
    assert!(status.expect("prlimit runs").success());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_stops_new_requests_and_loses_none() {
    if !is_installed("prlimit") {
        return;
    }
    let (slow, steps) = stepped(Wire::Chat.stream(&TOKENS));
    let provider =
        Provider::start(move |_, request| if wants_stream(request) { slow.clone() } else { Wire::Chat.whole("x") })
            .await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("k", &["--quota-usd", "1"]).await;
    // A write beyond the limit is then an error, and not a signal that ends the process.
    gateway.first = Some("trap '' XFSZ");
    gateway.serve().await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    steps.go(2);
    let mut running = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    running.piece().await.expect("the first token");
    gateway.wait_records(1).await;
    forbid_writes(&gateway, true);
    let mut refused = 0;
    for _ in 0..5 {
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (503, "BILLING_UNAVAILABLE"), "{}", answer.text());
        assert_eq!(answer.field("x-tollgate-rejected-by"), Some("billing"));
        assert!(answer.field("retry-after").is_some());
        refused += 1;
    }
    assert_eq!(gateway.send(&Request::get("/v1/health")).await.status, 503, "a load balancer sees it");
    // What runs goes on to its end.
    steps.go_on();
    let (answer, _) = running.rest().await;
    assert_eq!(
        (answer.ended, answer.text()),
        (Ended::Whole, String::from_utf8_lossy(&Wire::Chat.pieces(&TOKENS).concat()).into_owned())
    );
    forbid_writes(&gateway, false);
    let started = Instant::now();
    while gateway.send(&plain_chat(false).key(&key.key)).await.status != 200 {
        assert!(started.elapsed() < crate::support::PATIENCE, "it does not recover by itself");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(gateway.send(&Request::get("/v1/health")).await.status, 200);
    let streamed = gateway.record_of(&answer).await;
    assert_record(&streamed, json!({"outcome": "ok", "cost_nanos": COST}));
    // Of those that were refused some may have been on their way to the provider: one record each, and no bill.
    let records = gateway.records();
    let ok = records.iter().filter(|record| record["outcome"] == "ok").count();
    assert!(records.len() <= ok + refused + 50, "{records:#?}");
    for record in records.iter().filter(|record| record["outcome"] != "ok") {
        assert_eq!(
            (&record["cost_nanos"], &record["error_code"]),
            (&json!(0), &json!("BILLING_UNAVAILABLE")),
            "{record}"
        );
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_missing_or_foreign_store_is_an_error_at_the_start() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let gateway = Gateway::prepare(&Setup::new([Wire::Chat.upstream("u", &provider)]));
    std::fs::create_dir_all(gateway.path("data")).expect("a folder");
    std::fs::write(
        gateway.path("data/tollgate.db"),
        "this is no database, and longer than a header of one is".repeat(100),
    )
    .expect("a file");
    let output = gateway.run(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("tollgate.db"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn health_and_metrics_are_served_beside() {
    let provider = Provider::always(Wire::Chat.stream(&TOKENS)).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let health = gateway.send(&Request::get("/v1/health")).await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("ok")));
    assert_eq!(gateway.send(&Request::new("HEAD", "/v1/health")).await.status, 200);
    assert_ne!(gateway.send(&Request::get("/metrics")).await.status, 200, "not on the port of the clients");
    assert_eq!(gateway.send(&Request::get("/metrics").key(&key.key)).await.status, 404);
    assert_eq!(gateway.send(&Wire::Chat.request(true).key(&key.key)).await.status, 200);
    gateway.send(&plain_chat(true).key("junk")).await;
    gateway.wait_records(1).await;
    let page = gateway.metrics().await;
    let names = r#"gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="m""#;
    for line in [
        format!(r#"gen_ai_client_token_usage_count{{{names},gen_ai_token_type="input"}} 1"#),
        format!(r#"gen_ai_server_time_to_first_token_seconds_count{{{names}}} 1"#),
        format!(r#"gen_ai_client_operation_duration_seconds_count{{{names}}} 1"#),
        r#"tollgate_requests_total{endpoint="chat",outcome="ok"} 1"#.to_owned(),
        r#"tollgate_attempts_total{result="ok",upstream="u"} 1"#.to_owned(),
        r#"tollgate_rejected_total{code="AUTH_INVALID_TOKEN"} 1"#.to_owned(),
        r#"tollgate_usage_source_total{source="reported"} 1"#.to_owned(),
        "tollgate_holds_open 0".to_owned(),
        "tollgate_journal_healthy 1".to_owned(),
        "tollgate_requests_in_flight 0".to_owned(),
        "tollgate_breaker_state{upstream=\"u\"} 0".to_owned(),
    ] {
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
    let on_disk = gateway.metric("tollgate_journal_bytes", &[]).await;
    assert!((16_777_216.0..17_000_000.0).contains(&on_disk), "one segment, reserved as a whole: {on_disk}");
    // No client can make a series of its own.
    for index in 0..50 {
        gateway.send(&Wire::Chat.request_for(&format!("made-up-{index}"), false).key(&key.key)).await;
        gateway.send(&Request::get(&format!("/made/up/{index}")).key(&key.key)).await;
    }
    assert!(!gateway.metrics().await.contains("made"), "a label that a client chose");
    gateway.finish(&[&key]).await;
}
