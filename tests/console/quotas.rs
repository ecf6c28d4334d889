//! What a person may spend bounds all their keys: in all, and in each period.

use crate::stage::{Stage, chat, number};
use crate::support::PATIENCE;
use crate::support::client::{Body, Client, Request};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One call costs this: 10 tokens in at 1 USD a million, 5 out at 2.
const COST_NANOS: i64 = 20_000;
/// Room for some calls beside the worst case of one.
const QUOTA_NANOS: i64 = 500_000;

/// Somebody with two keys that have no quota of their own.
struct Two {
    stage: Stage,
    person: i64,
    keys: [String; 2],
}

impl Two {
    async fn start(person: Value) -> Self {
        let stage = Stage::start().await;
        let made = stage.admin.post("/users", &person).await.ok();
        let mut keys = [String::new(), String::new()];
        for (at, key) in keys.iter_mut().enumerate() {
            let new = json!({"name": format!("key-{at}"), "user": person["name"]});
            *key = stage.admin.post("/keys", &new).await.ok()["secret"].as_str().expect("a secret").to_owned();
        }
        let two = Self { person: number(&made["user"]["id"]), stage, keys };
        for key in &two.keys {
            two.until(key, "/v1/models", 200).await;
        }
        two
    }

    /// Asks until the answer has this status; a change is in force within a second.
    async fn until(&self, key: &str, target: &str, status: u16) {
        let started = Instant::now();
        while self.stage.gateway.send(&Request::get(target).key(key)).await.status != status {
            assert!(started.elapsed() < PATIENCE, "no {status} at {target}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many calls are served until one is refused for want of quota, with the keys in turn.
    async fn served(&self) -> i64 {
        let mut served = 0;
        loop {
            let answer = self.stage.gateway.send(&chat(&self.keys[served as usize % 2])).await;
            if answer.status != 200 {
                assert_eq!((answer.status, &*answer.error_code()), (402, "QUOTA_INSUFFICIENT"), "{}", answer.text());
                return served;
            }
            served += 1;
            assert!(served * COST_NANOS <= QUOTA_NANOS, "more was spent than there is");
        }
    }

    async fn left_nanos(&self, key: &str) -> i64 {
        let told = self.stage.gateway.send(&Request::get("/v1/user").key(key)).await;
        number(&told.json()["remaining_nanos"])
    }
}

#[tokio::test]
async fn the_keys_of_a_person_never_spend_more_than_the_person_has() {
    let two = Two::start(json!({"name": "ann", "role": "user", "quota_nanos": QUOTA_NANOS})).await;
    let served = two.served().await;
    assert!(served > 2, "{served}");
    for key in &two.keys {
        assert_eq!(two.stage.gateway.send(&chat(key)).await.status, 402);
        assert_eq!(two.left_nanos(key).await, QUOTA_NANOS - served * COST_NANOS);
    }
    // More quota, in force by itself, and for both keys at once: as many as fit, however many ask.
    let path = format!("/users/{}/topup", two.person);
    two.stage.admin.post(&path, &json!({"amount_nanos": 1_000_000, "note": "more"})).await.ok();
    let started = Instant::now();
    while two.left_nanos(&two.keys[0]).await < 1_000_000 {
        assert!(started.elapsed() < PATIENCE, "the top-up is not in force");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..100 {
        let (address, call) = (two.stage.gateway.address, chat(&two.keys[at % 2]));
        calls.spawn(async move { crate::support::client::send(address, &call).await.status });
    }
    let more = calls.join_all().await.into_iter().filter(|status| *status == 200).count();
    assert!((1..=(1_000_000 + QUOTA_NANOS) as usize / COST_NANOS as usize).contains(&more), "{more}");
    let left_nanos = two.left_nanos(&two.keys[1]).await;
    assert_eq!(left_nanos, QUOTA_NANOS + 1_000_000 - (served + more as i64) * COST_NANOS);
    assert!(left_nanos >= 0);
}

#[tokio::test]
async fn a_budget_bounds_them_too_and_goes_on_through_a_restart() {
    let budget = json!({"amount_nanos": QUOTA_NANOS, "period": "monthly", "time_zone": "Asia/Shanghai"});
    let mut two = Two::start(json!({"name": "ann", "role": "user", "budget": budget})).await;
    let served = two.served().await;
    assert!(served > 2, "{served}");
    two.stage.gateway.stop().await;
    two.stage.gateway.serve().await;
    assert_eq!(two.stage.gateway.send(&chat(&two.keys[1])).await.status, 402);
    assert_eq!(two.left_nanos(&two.keys[1]).await, QUOTA_NANOS - served * COST_NANOS);
}

#[tokio::test]
async fn the_keys_of_somebody_who_is_disabled_are_not_served() {
    let mut two = Two::start(json!({"name": "ann", "role": "user"})).await;
    let path = format!("/users/{}", two.person);
    let Body::Length(body) = chat(&two.keys[1]).body else { panic!("a body with a length") };
    let announced = chat(&two.keys[1]).body(Body::Expect(body.clone()));
    let client = Client::connect(two.stage.gateway.address).await.expect("the gateway listens");
    let mut arriving = client.announce(&announced).await;
    two.stage.admin.patch(&path, &json!({"enabled": false})).await.ok();
    two.until(&two.keys[0], "/v1/models", 403).await;
    let answer = two.stage.gateway.send(&chat(&two.keys[1])).await;
    assert_eq!((answer.status, &*answer.error_code()), (403, "FORBIDDEN"));
    // Nor a request that came before, and whose body comes only now.
    arriving.write(&body).await.expect("a connection");
    let answer = arriving.receive().await;
    assert_eq!((answer.status, &*answer.error_code()), (403, "FORBIDDEN"), "{}", answer.text());
    two.stage.gateway.stop().await;
    two.stage.gateway.serve().await;
    assert_eq!(two.stage.gateway.send(&chat(&two.keys[0])).await.status, 403);
    two.stage.admin.patch(&path, &json!({"enabled": true})).await.ok();
    two.until(&two.keys[0], "/v1/models", 200).await;
}
