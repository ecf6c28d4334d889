//! However a request ends, observers are told once, and told what really happened: one line in the access log, one span at
//! the collector.

use crate::calls::{TOKENS, Wire, plain_chat, serving, stepped};
use crate::support::client::Client;
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::support::{h2c, until};
use crate::traces::otlp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The beginning of a request whose body never comes whole.
async fn half_sent(address: SocketAddr, key: &str) -> Client {
    let mut client = Client::connect(address).await.expect("it listens");
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n");
    client.write(format!("{head}content-length: 1000\r\n\r\n{{\"model\"").as_bytes()).await.expect("it reads");
    client
}

/// A setup with both, and the collector.
async fn told(setup: Setup) -> (Setup, Provider) {
    let collector = Provider::always(Answer::json(200, &json!({}))).await;
    let setup = setup
        .set("plugins.access-log.output", "\"file\"")
        .set("plugins.access-log.path", "\"access.log\"")
        .set("plugins.otlp.endpoint", &format!("\"{}\"", collector.url("")));
    (setup, collector)
}

/// The lines of all requests but those for health pages, which have no span.
fn lines(gateway: &Gateway) -> Vec<Value> {
    let text = gateway.read("access.log");
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    all.filter(|line| line["path"] != "/v1/health").collect()
}

/// Outcome and error code of every span, by request.
fn spans(collector: &Provider) -> Vec<(String, [Value; 2])> {
    let sent = collector.received().into_iter().filter(|call| !call.body.is_empty());
    let all =
        sent.flat_map(|call| otlp(&call)["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    all.map(|span| {
        let attributes = span["attributes"].as_array().unwrap();
        let text = |name: &str| {
            let found = attributes.iter().find(|attribute| attribute["key"] == name);
            found.map_or(Value::Null, |found| found["value"]["stringValue"].clone())
        };
        let id = text("tollgate.request_id").as_str().unwrap().to_owned();
        (id, [text("tollgate.outcome"), text("error.type")])
    })
    .collect()
}

/// Asserts that each request has one line and one span, which say the same, and the same as its record if it has one.
fn assert_told_once(gateway: &Gateway, collector: &Provider, expected: &[[Value; 2]]) {
    let (lines, spans) = (lines(gateway), spans(collector));
    let records: BTreeMap<String, Value> =
        gateway.records().into_iter().map(|row| (row["request_id"].as_str().unwrap().to_owned(), row)).collect();
    let mut said = Vec::new();
    for line in &lines {
        let id = line["request_id"].as_str().unwrap();
        let words = [line["outcome"].clone(), line["error_code"].clone()];
        let of_it: Vec<_> = spans.iter().filter(|(other, _)| other == id).map(|(_, words)| words).collect();
        assert_eq!(of_it, [&words], "one span, which says the same: {line}\n{spans:?}");
        assert_eq!(lines.iter().filter(|other| other["request_id"] == *id).count(), 1, "one line: {line}");
        match records.get(id) {
            Some(record) => {
                assert_eq!(words, [record["outcome"].clone(), record["error_code"].clone()], "{line}\n{record}");
                for field in ["cost_nanos", "status"] {
                    assert_eq!(line[field], record[field], "{field}\n{line}\n{record}");
                }
            }
            None => {
                assert!(line["outcome"].is_null(), "no record, no outcome: {line}");
                assert!(line["status"].as_u64().is_some_and(|status| status >= 100), "as the ledger says it: {line}");
            }
        }
        said.push(words);
    }
    assert_eq!(spans.len(), lines.len());
    assert!(records.keys().all(|id| lines.iter().any(|line| line["request_id"] == **id)), "{records:?}");
    let mut expected = expected.to_vec();
    for all in [&mut said, &mut expected] {
        all.sort_by_key(|words| format!("{words:?}"));
    }
    assert_eq!(said, expected);
}

#[tokio::test]
async fn what_the_end_of_the_process_cuts_off_has_a_line_and_a_span() {
    // Pingora counts its own time in whole seconds: it must not be the first to drop what runs.
    for shutdown_ms in ["500", "1000"] {
        cut_off_after(shutdown_ms).await;
    }
}

async fn cut_off_after(shutdown_ms: &str) {
    let (slow, steps) = stepped(Wire::Chat.stream(&TOKENS));
    let provider =
        Provider::start(move |before, _| if before == 0 { Wire::Chat.whole("x") } else { slow.clone() }).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("server.shutdown_ms", shutdown_ms);
    let (setup, collector) = told(setup).await;
    let (mut gateway, key) = serving(&setup).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    assert_eq!(gateway.send(&plain_chat(false).key("junk")).await.status, 401);
    steps.go(3);
    let mut streaming = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    streaming.until(b" there").await;
    // And requests that have got nothing: no byte of an answer, over either HTTP; not even their own body's end.
    let waiting = ["1.1", "2"].map(|version| {
        let (address, request) = (gateway.address, plain_chat(false).key(&key.key));
        tokio::spawn(async move {
            match version {
                "2" => drop(h2c::send(address, &request).await),
                _ => drop(Client::connect(address).await.expect("it listens").send(&request).await),
            }
        })
    });
    until("the requests upstream", || (provider.received().len() == 4).then_some(())).await;
    let _sending = half_sent(gateway.address, &key.key).await;
    let running = async || gateway.metric("tollgate_requests_in_flight", &[]).await as usize;
    while running().await < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.stop().await.code(), Some(0), "{}", gateway.said());
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    let stopped = [json!("interrupted"), json!("GATEWAY_STOPPED")];
    let expected = [
        [json!("ok"), Value::Null],
        [Value::Null, json!("AUTH_INVALID_TOKEN")],
        stopped.clone(),
        stopped.clone(),
        stopped,
        [Value::Null, json!("GATEWAY_STOPPED")],
    ];
    assert_told_once(&gateway, &collector, &expected);
    gateway.verify();
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn clients_that_leave_before_they_got_anything_have_a_line_and_a_span() {
    for policy in ["drain", "abort"] {
        let (answer, steps) = stepped(Wire::Chat.answer(true));
        let provider = Provider::start(move |_, _| answer.clone()).await;
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
            .set("routing.on_client_disconnect", &format!("\"{policy}\""));
        let (setup, collector) = told(setup).await;
        let (mut gateway, key) = serving(&setup).await;
        let request = Wire::Chat.request(true).key(&key.key);
        let (address, over_h2) = (gateway.address, request.clone());
        let client = Client::connect(address).await.expect("it listens");
        let leaving = [
            tokio::spawn(async move { drop(client.open(&request).await) }),
            tokio::spawn(async move { drop(h2c::open(address, &over_h2).await) }),
        ];
        until("the requests upstream", || (provider.received().len() == 2).then_some(())).await;
        leaving.iter().for_each(tokio::task::JoinHandle::abort);
        // One that leaves in the middle of its own body.
        drop(half_sent(address, &key.key).await);
        until("its line", || (!lines(&gateway).is_empty()).then_some(())).await;
        if policy == "drain" {
            steps.go_on();
        }
        gateway.wait_records(2).await;
        assert!(gateway.stop().await.success());
        let left = [json!("client_aborted"), json!("CLIENT_CLOSED")];
        assert_told_once(&gateway, &collector, &[left.clone(), left, [Value::Null, json!("INVALID_REQUEST")]]);
        gateway.finish(&[&key]).await;
    }
}
