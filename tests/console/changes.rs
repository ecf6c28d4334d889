//! What operators change in a running gateway: weights, the configuration.

use crate::stage::{Stage, chat, setup, upstream_at};
use crate::support::answers;
use crate::support::console::Visitor;
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::support::{PATIENCE, until};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Asks until each of so many calls in a row was answered by this upstream.
async fn until_all_go_to(gateway: &Gateway, key: &str, upstream: &str) {
    let started = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 30 {
        let answer = gateway.send(&chat(key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        in_a_row = if answer.field("x-tollgate-upstream") == Some(upstream) { in_a_row + 1 } else { 0 };
        assert!(started.elapsed() < PATIENCE, "gave up waiting for {upstream}");
    }
}

#[tokio::test]
async fn a_weight_is_in_force_at_once_and_outlives_reload_and_restart() {
    let provider = Provider::always(answers::chat("x", 10, 5)).await;
    let upstream = |name| upstream_at(name, &provider).with("weight = 5");
    let setup = Setup::new([upstream("a"), upstream("b")]);
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("k", &[]).await;
    gateway.serve().await;
    let admin = Visitor::admin(&gateway).await;
    let told = admin.patch("/upstreams/a", &json!({"weight": 0})).await.ok();
    assert_eq!((&told["weight"], &told["weight_override"]), (&json!(0), &json!(0)));
    until_all_go_to(&gateway, &key.key, "b").await;
    let shown = admin.get("/channels").await.ok();
    assert_eq!(
        (&shown[0]["weight"], &shown[0]["weight_override"], &shown[0]["owner"]),
        (&json!(0), &json!(0), &json!("file"))
    );
    assert_eq!((&shown[1]["weight"], &shown[1]["weight_override"]), (&json!(5), &json!(null)));
    assert_eq!(admin.post("/reload", &json!({})).await.ok()["status"], "reloaded");
    until_all_go_to(&gateway, &key.key, "b").await;
    gateway.stop().await;
    gateway.serve().await;
    until_all_go_to(&gateway, &key.key, "b").await;
    assert_eq!(admin.delete("/upstreams/a/override").await.status, 204);
    admin.patch("/upstreams/b", &json!({"weight": 0})).await.ok();
    until_all_go_to(&gateway, &key.key, "a").await;
    // All else is the file's.
    for (body, code, field) in [
        (json!({"priority": 1}), "CONFLICT", "priority"),
        (json!({"weight": 1, "base_url": "https://evil.example"}), "CONFLICT", "base_url"),
        (json!({"http_version": "2"}), "CONFLICT", "http_version"),
        (json!({"weights": 1}), "INVALID", "weights"),
        (json!({"weight": -1}), "INVALID", "weight"),
        (json!({"weight": 1_000_001}), "INVALID", "weight"),
        (json!({}), "INVALID", "weight"),
    ] {
        let told = admin.patch("/upstreams/a", &body).await;
        assert_eq!((told.code(), &told.body["error"]["field"]), (code, &json!(field)), "{body}");
    }
    assert_eq!(admin.patch("/upstreams/c", &json!({"weight": 1})).await.code(), "NOT_FOUND");
}

#[tokio::test]
async fn what_is_looked_at_with_the_answer_has_the_new_weight() {
    let stage = Stage::start().await;
    let shown = async || {
        let upstreams = stage.operator.get("/upstreams").await.ok();
        (upstreams[0]["weight"].clone(), upstreams[0]["weight_override"].clone())
    };
    let of_the_file = shown().await;
    for weight in [7, 0, 90, 3] {
        stage.operator.patch("/upstreams/u", &json!({"weight": weight})).await.ok();
        assert_eq!(shown().await, (json!(weight), json!(weight)));
        assert_eq!(stage.admin.get("/settings").await.ok()["weights"]["u"], weight);
    }
    assert_eq!(stage.operator.delete("/upstreams/u/override").await.status, 204);
    assert_eq!(shown().await, of_the_file);
    // A configuration that is refused, or half written, keeps no weight from being in force.
    stage.gateway.write("tollgate.toml", "[server]\nlisten = 1\n");
    assert_eq!(stage.operator.post("/reload", &json!({})).await.ok()["status"], "refused");
    stage.operator.patch("/upstreams/u", &json!({"weight": 5})).await.ok();
    assert_eq!(shown().await, (json!(5), json!(5)));
}

#[tokio::test]
async fn an_upstream_is_tested_and_shown_as_it_is() {
    let stage = Stage::start().await;
    let told = stage.operator.post("/upstreams/u/test", &json!({})).await.ok();
    assert_eq!((&told["status"], &told["is_answer"]), (&json!(200), &json!(true)), "{told}");
    assert_eq!(stage.operator.post("/channels/u/test", &json!({"model": "n"})).await.code(), "INVALID");
    assert_eq!(stage.operator.post("/upstreams/v/test", &json!({})).await.code(), "NOT_FOUND");
    let shown = stage.operator.get("/upstreams").await.ok();
    assert_eq!((&shown[0]["name"], &shown[0]["key_set"]), (&json!("u"), &json!(true)));
    assert_eq!(shown[0]["breaker"]["state"], "closed");
}

#[tokio::test]
async fn a_breaker_says_what_has_opened_it() {
    let provider =
        Provider::always(Answer::json(401, &json!({"error": {"message": "no such key", "code": "invalid_api_key"}})))
            .await;
    let setup = Setup::new([upstream_at("u", &provider)]);
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("k", &[]).await;
    gateway.serve().await;
    let admin = Visitor::admin(&gateway).await;
    let before = admin.get("/upstreams").await.ok();
    assert_eq!(
        (&before[0]["success_rate"], &before[0]["latency_ms"]),
        (&json!(null), &json!(null)),
        "nothing was asked"
    );
    gateway.send(&chat(&key.key)).await;
    let shown = admin.get("/upstreams").await.ok();
    assert!(shown[0]["success_rate"].as_f64().is_some_and(|rate| rate < 1.0), "{shown}");
    let breaker = &shown[0]["breaker"];
    assert_eq!((&breaker["state"], &breaker["last_error"]["class"]), (&json!("open"), &json!("key_dead")), "{shown}");
    assert_eq!(breaker["last_error"]["status"], 401, "{shown}");
    assert!(breaker["cooldown_ms"].as_u64().is_some_and(|ms| ms > 0), "{shown}");
}

#[tokio::test]
async fn an_upstream_that_was_tested_and_answers_gets_a_request_again() {
    let paid = Arc::new(AtomicBool::new(false));
    let has_paid = Arc::clone(&paid);
    let provider = Provider::start(move |_, _| match has_paid.load(Ordering::SeqCst) {
        true => Answer::json(200, &answers::chat_body("x", 1, 1)),
        false => Answer::json(402, &json!({"error": {"message": "no money"}})),
    })
    .await;
    let setup = Setup::new([upstream_at("u", &provider)]);
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("k", &[]).await;
    gateway.serve().await;
    let admin = Visitor::admin(&gateway).await;
    let status = async || gateway.send(&chat(&key.key)).await.status;
    assert_eq!([status().await, status().await], [402, 503]);
    admin.post("/upstreams/u/test", &json!({})).await.ok();
    assert_eq!(status().await, 503, "it said the same");
    paid.store(true, Ordering::SeqCst);
    admin.post("/upstreams/u/test", &json!({})).await.ok();
    assert_eq!([status().await, status().await], [200, 200]);
}

#[tokio::test]
async fn a_model_that_is_limited_says_for_how_long_and_its_upstream_is_closed_to_no_other() {
    let limited = Answer::json(429, &json!({"error": {"message": "slow down"}})).field("retry-after", "600");
    let provider = Provider::always(limited).await;
    let models = r#"[{ name = "m", upstream_model = "big" }, { name = "n", upstream_model = "small" }]"#;
    let prices = ["big", "small"].map(|name| format!("[[model]]\nname = \"{name}\"\ninput = 1\noutput = 1\n"));
    let setup = Setup::new([upstream_at("u", &provider).models(models)]).prices(&prices.concat());
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("k", &[]).await;
    gateway.serve().await;
    let admin = Visitor::admin(&gateway).await;
    assert_eq!(gateway.send(&chat(&key.key)).await.status, 429);
    let shown = admin.get("/upstreams").await.ok();
    let (breaker, models) = (&shown[0]["breaker"], &shown[0]["models"]);
    assert_eq!((&breaker["state"], &breaker["cooldown_ms"]), (&json!("closed"), &json!(0)), "{shown}");
    assert_eq!(breaker["last_error"]["class"], "rate_limited", "{shown}");
    assert!(models[0]["cooldown_ms"].as_u64().is_some_and(|ms| ms > 500_000), "{shown}");
    assert_eq!((&models[1]["name"], &models[1]["cooldown_ms"]), (&json!("n"), &json!(0)), "{shown}");
}

#[tokio::test]
async fn a_reload_says_what_is_wrong() {
    let (_provider, setup) = setup().await;
    let gateway = Gateway::start(&setup).await;
    let admin = Visitor::admin(&gateway).await;
    let wrong = setup.clone().set("routing.attempts_max", "0");
    gateway.write("tollgate.toml", &wrong.config(gateway.address, gateway.metrics_address));
    let told = admin.post("/reload", &json!({})).await.ok();
    assert_eq!(told["status"], "refused");
    assert!(told["errors"][0].as_str().is_some_and(|error| error.contains("routing.attempts_max")), "{told}");
    let right = setup.set("routing.attempts_max", "7");
    gateway.write("tollgate.toml", &right.config(gateway.address, gateway.metrics_address));
    assert_eq!(admin.post("/reload", &json!({})).await.ok()["status"], "reloaded");
    let settings = admin.get("/settings").await.ok();
    assert_eq!(settings["routing"]["attempts_max"], 7);
    assert_eq!(
        (&settings["server"]["reload_secret"], &settings["upstream"][0]["api_key"]),
        (&json!("(set)"), &json!("(set)"))
    );
}

#[tokio::test]
async fn the_ledger_is_verified() {
    let stage = Stage::start().await;
    let made = stage.user.post("/keys", &json!({"name": "mine"})).await.ok();
    let secret = made["secret"].as_str().expect("a secret");
    let started = Instant::now();
    while stage.gateway.send(&chat(secret)).await.status != 200 {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("the record", || (!stage.gateway.run_json(&["log", "list", "--json"]).is_empty()).then_some(())).await;
    let told = stage.admin.get("/ledger/verify").await.ok();
    assert_eq!((&told["sound"], &told["rows"]), (&json!(true), &json!(1)), "{told}");
    let summary = stage.operator.get("/metrics/summary").await.ok();
    assert_eq!((&summary["keys"], &summary["upstreams_available"]), (&json!(1), &json!(1)), "{summary}");
}
