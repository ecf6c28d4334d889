//! A process after its hand-over: it answers requests that still reach it, finishes running ones, and ends sooner if somebody
//! needs that.

use crate::calls::{Wire, assert_record, plain_chat, serving};
use crate::support::client::{Client, Ended, Request};
use crate::support::until;
use crate::upgrade::{GOES_ON, Stopping, assert_whole, begun, ended, said};
use serde_json::json;
use tollgate::proxy::LINGER;

#[tokio::test]
async fn a_connection_that_has_sent_nothing_yet_is_answered_all_the_same() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving(&streams.setup()).await;
    // As long as this runs, the old process does.
    let running = begun(&gateway, &key, &streams).await;
    let fresh = Client::connect(gateway.address).await.expect("the gateway listens");
    // Connections are accepted in their order, and this one is.
    let idle = Client::connect(gateway.address).await.expect("the gateway listens");
    let (answer, idle) = idle.send_and_keep(&Request::get("/v1/health")).await;
    assert_eq!(answer.status, 200);
    let old = gateway.upgrade().await;
    assert_eq!(idle.receive().await.status, 0, "nobody waits for it any more");
    let answer = fresh.send(&Request::get("/v1/models").key(&key.key)).await;
    assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
    streams.go_on();
    assert_whole(running).await;
    ended(old).await;
    gateway.wait_records(1).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn who_asks_again_after_a_stream_that_outlasted_the_hand_over_is_answered_and_told() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving(&streams.setup()).await;
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(begun(&gateway, &key, &streams).await);
    }
    let (_, idle) =
        Client::connect(gateway.address).await.expect("it listens").send_and_keep(&Request::get("/v1/health")).await;
    let old = gateway.upgrade().await;
    assert_eq!(idle.receive().await.status, 0, "who was idle by then is not waited for any more");
    streams.go_on();
    let mut kept = Vec::new();
    for stream in running {
        let (answer, client) = stream.rest().await;
        assert_eq!((answer.ended, answer.field("connection")), (Ended::Whole, Some("keep-alive")), "it began before");
        kept.push(client);
    }
    // Nothing runs any more. The old process waits for the clients all the same: much longer than this.
    tokio::time::sleep(LINGER / 5).await;
    for client in kept {
        let next = client.send(&Request::get("/v1/models").key(&key.key)).await;
        assert_eq!((next.status, next.field("connection")), (200, Some("close")));
    }
    ended(old).await;
    gateway.wait_records(3).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn who_insists_ends_what_a_process_finishes_after_it_has_handed_over() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving(&streams.setup().set("server.shutdown_ms", "600000")).await;
    let running = begun(&gateway, &key, &streams).await;
    let old = gateway.upgrade().await;
    old.signal("TERM");
    said(&gateway, "running requests are already being finished").await;
    old.signal("TERM");
    ended(old).await;
    assert_eq!(running.rest().await.0.ended, Ended::Broken);
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"outcome": "interrupted", "error_code": "GATEWAY_STOPPED"}));
    gateway.finish(&[&key]).await;
}

/// The new process fails while the old one drains; whether a supervisor is there, and whether it has to say so.
async fn fails(supervised: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let _told = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    let streams = Stopping::start().await;
    let mut setup = streams.setup().set("server.shutdown_ms", "600000");
    if supervised {
        setup = setup.environment("NOTIFY_SOCKET", path.to_str().expect("UTF-8"));
    }
    let (mut gateway, key) = serving(&setup).await;
    let running = begun(&gateway, &key, &streams).await;
    let old = gateway.upgrade().await;
    gateway.kill().await;
    if !supervised {
        old.signal("TERM");
    }
    ended(old).await;
    assert_eq!(running.rest().await.0.ended, Ended::Broken);
    gateway.serve().await;
    assert_record(&gateway.wait_record().await, json!({"error_code": "GATEWAY_STOPPED"}));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_a_supervisor_cannot_see_the_failure_of_is_not_in_the_way_of_the_next_start() {
    fails(true).await;
}

#[tokio::test]
async fn one_signal_is_enough_where_the_new_process_has_failed() {
    fails(false).await;
}

#[tokio::test]
async fn balances_are_taken_back_as_soon_as_that_is_possible() {
    let streams = Stopping::start().await;
    let (gateway, key) = serving(&streams.setup()).await;
    let running = begun(&gateway, &key, &streams).await;
    let lock = gateway.path("data/journal/lock");
    // Neither of the two can lock that.
    std::fs::remove_file(&lock).expect("a writable folder");
    std::fs::create_dir(&lock).expect("a writable folder");
    gateway.signal("QUIT");
    said(&gateway, "the balances cannot be taken back, trying again").await;
    std::fs::remove_dir(&lock).expect("our folder");
    said(&gateway, GOES_ON).await;
    streams.go_on();
    assert_whole(running).await;
    assert_eq!(gateway.send(&plain_chat(true).key(&key.key)).await.status, 200);
    gateway.wait_records(2).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_process_without_balances_ends_as_one_that_failed() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving(&streams.setup()).await;
    let running = begun(&gateway, &key, &streams).await;
    let lock = gateway.path("data/journal/lock");
    std::fs::remove_file(&lock).expect("a writable folder");
    std::fs::create_dir(&lock).expect("a writable folder");
    gateway.signal("QUIT");
    said(&gateway, "this process finishes what runs, and fails").await;
    streams.go_on();
    assert_whole(running).await;
    assert_eq!(gateway.ended().await.code(), Some(1), "{}", gateway.said());
    assert!(!gateway.logged().contains("has taken over"));
    std::fs::remove_dir(&lock).expect("our folder");
    gateway.serve().await;
    let wanted = Wire::Chat.request(true).key(&key.key);
    assert_eq!(gateway.send(&wanted).await.status, 200);
    until("the records", || (gateway.records().len() == 2).then_some(())).await;
    gateway.finish(&[&key]).await;
}
