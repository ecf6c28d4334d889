//! A client's idempotency keys at the upstream: stable for whoever sent them, and never another one's.

use crate::calls::{Wire, plain_chat, serving_keys};
use crate::support::PATIENCE;
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn idempotency_keys_of_different_keys_never_meet_at_their_upstream() {
    // The first fails, so that each request is sent twice.
    let failing = Provider::always(Answer::json(500, &json!({"error": {"message": "x"}}))).await;
    // Nothing comes of any of them, so that each is sent: what came of one would be given again.
    let provider = Provider::always(Answer::json(500, &json!({"error": {"message": "y"}}))).await;
    let setup = Setup::new([
        Wire::Chat.upstream("first", &failing),
        Wire::Chat.upstream("second", &provider).with("priority = 1"),
    ])
    .set("breaker.failures_to_open", "255");
    let (gateway, [alice, bob]) = serving_keys(&setup, [("alice", &[]), ("bob", &[])]).await;
    let name = "Idempotency-Key";
    let sent = async |key: &str, value: &str| {
        let request = plain_chat(false).key(key).field(name, value).field("X-Idempotency-Key", value);
        assert_eq!(gateway.send(&request).await.status, 500);
        let seen = |from: &Provider| {
            let received = from.received().pop().expect("a request");
            let own = received.field("idempotency-key").expect("it goes along").to_owned();
            assert_eq!(received.field("x-idempotency-key"), Some(&*own));
            own
        };
        assert_eq!(seen(&failing), seen(&provider), "the same on every attempt");
        seen(&provider)
    };
    let value = "8e03978e-40d5-43e8-bc93-6894a57f9324";
    let of_alice = sent(&alice.key, value).await;
    assert_eq!(sent(&alice.key, value).await, of_alice, "and when she tries again");
    assert_ne!(of_alice, value);
    assert_ne!(sent(&bob.key, value).await, of_alice);
    // Nor does he get there by sending what hers became, or with any other value.
    for guess in [&*of_alice, "8e03978e-40d5-43e8-bc93-6894a57f9325", "", "x", &"y".repeat(255)] {
        let own = sent(&bob.key, guess).await;
        assert_ne!(own, of_alice);
        let uuid = uuid::Uuid::parse_str(&own).expect("a UUID, whatever it was");
        assert_eq!((uuid.get_version_num(), own.len()), (8, 36));
    }
    // A rotated key is the same key.
    let rotated = gateway.run_json(&["key", "rotate", "alice", "--json"]).remove(0);
    let new = rotated["key"].as_str().expect("a secret").to_owned();
    until_in_force(&gateway, &new).await;
    assert_eq!(sent(&new, value).await, of_alice);
    let without = plain_chat(false).key(&bob.key);
    assert_eq!(gateway.send(&without).await.status, 500);
    assert_eq!(provider.received().pop().expect("a request").field("idempotency-key"), None);
    gateway.finish(&[&alice, &bob]).await;
}

async fn until_in_force(gateway: &Gateway, key: &str) {
    let started = Instant::now();
    while gateway.send(&plain_chat(false).key(key)).await.status == 401 {
        assert!(started.elapsed() < PATIENCE, "never in force");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
