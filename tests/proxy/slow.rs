//! Clients that take their time: it is their own, and nobody else's.

use crate::calls::{Wire, serving, stepped};
use crate::support::client::Ended;
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use crate::support::script::Answer;
use bytes::Bytes;
use std::time::Duration;

/// More than all buffers between the gateway and its client take: the gateway's are 4 MiB, the client's small as long as it reads
/// nothing. (One that is kept small makes the kernel wait for its own clocks, when much is read at once.)
const LONG_BYTES: usize = 6 * 1024 * 1024;

#[tokio::test]
async fn a_client_that_reads_slowly_takes_none_of_its_upstreams_time() {
    let document = Bytes::from(Wire::Chat.document(&"x".repeat(LONG_BYTES)).to_string());
    let mut answer = Answer::new(200, "application/json", "");
    answer.pieces = vec![document.slice(..LONG_BYTES), document.slice(LONG_BYTES..)];
    let (answer, steps) = stepped(answer);
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("routing.response_timeout_ms", "12000");
    let (gateway, key) = serving(&setup).await;
    steps.go(1);
    let mut exchange = gateway.open(&Wire::Chat.request(false).key(&key.key)).await;
    let mut got = 0;
    // It reads a little every now and then: where nothing is read for long, the kernel, too, asks ever more seldom whether it may send.
    for _ in 0..26 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        got += exchange.piece().await.expect("what had come").len();
    }
    assert!(got < LONG_BYTES, "that was to take longer");
    while got < LONG_BYTES {
        got += exchange.piece().await.expect("all that had come").len();
    }
    // The end is awaited now, and nothing of it is there: the clock is looked at.
    tokio::time::sleep(Duration::from_millis(300)).await;
    steps.go_on();
    let (answer, _) = exchange.rest().await;
    assert_eq!((answer.status, answer.ended), (200, Ended::Whole));
    assert!(answer.body() == document);
    assert_eq!(gateway.metric("tollgate_attempts_total", &["timeout"]).await, 0.0);
    gateway.finish(&[&key]).await;
}
