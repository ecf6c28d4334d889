//! The pages of the clients' port that need no key: health, and the reload by request.

use crate::calls::{COST, Wire, number, plain_chat, serving};
use crate::support::client::{self, Answer as Got, Request};
use crate::support::gateway::{Gateway, PRICES, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::support::{PATIENCE, until};
use serde_json::json;
use std::time::{Duration, Instant};

async fn working() -> (Provider, Setup) {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    (provider, setup)
}

/// Asks for a page until it answers so.
async fn page_becomes(gateway: &Gateway, path: &str, status: u16) -> Got {
    let started = Instant::now();
    loop {
        let answer = gateway.send(&Request::get(path)).await;
        if answer.status == status {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{path}: never {status}: {}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn health_pages_need_no_key_and_name_each_check() {
    let (_provider, setup) = working().await;
    let (gateway, key) = serving(&setup).await;
    let ready = json!({"journal": "ok", "memory": "ok", "store": "ok", "upstreams": "ok"});
    let admits = json!({"journal": "ok", "memory": "ok"});
    for (path, checks) in [
        ("/v1/health", admits.clone()),
        ("/health", admits),
        ("/health/liveliness", json!({})),
        ("/health/liveness", json!({})),
        ("/health/liveness/", json!({})),
        ("/health/readiness", ready),
    ] {
        let answer = gateway.send(&Request::get(path)).await;
        assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/json")), "{path}");
        assert_eq!(answer.json()["status"], "ok", "{path}");
        assert_eq!(answer.json()["version"], env!("CARGO_PKG_VERSION"), "{path}");
        assert_eq!(answer.json()["checks"], checks, "{path}");
        assert!(answer.field("x-request-id").is_some(), "{path}");
        assert_eq!(gateway.send(&Request::new("HEAD", path)).await.status, 200, "{path}");
        assert_eq!(gateway.send(&Request::post(path, &json!({}))).await.status, 401, "{path}: only read");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_gateway_is_not_ready_while_no_upstream_is_available_and_lives_on() {
    let provider =
        Provider::start(
            |before, _| {
                if before == 0 { Answer::json(500, &json!({"error": "x"})) } else { Wire::Chat.whole("x") }
            },
        )
        .await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("breaker.failures_to_open", "1")
        .set("breaker.open_ms", "1000");
    let (gateway, key) = serving(&setup).await;
    page_becomes(&gateway, "/health/readiness", 200).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 500);
    let answer = gateway.send(&Request::get("/health/readiness")).await;
    assert_eq!((answer.status, &answer.json()["checks"]["upstreams"]), (503, &json!("unavailable")));
    assert_eq!(answer.json()["checks"]["journal"], "ok");
    for path in ["/health/liveliness", "/v1/health"] {
        assert_eq!(gateway.send(&Request::get(path)).await.status, 200, "{path}");
    }
    page_becomes(&gateway, "/health/readiness", 200).await;
    gateway.finish(&[&key]).await;
    let (gateway, key) = serving(&Setup::new([])).await;
    assert_eq!(gateway.send(&Request::get("/health/readiness")).await.status, 503, "none at all");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_gateway_is_not_ready_while_its_store_is_gone() {
    let (_provider, setup) = working().await;
    let (mut gateway, key) = serving(&setup).await;
    page_becomes(&gateway, "/health/readiness", 200).await;
    let names = ["tollgate.db", "tollgate.db-wal", "tollgate.db-shm"];
    for name in names {
        let _ = std::fs::rename(gateway.path("data").join(name), gateway.path(name));
    }
    let answer = page_becomes(&gateway, "/health/readiness", 503).await;
    let expected = json!({"journal": "ok", "memory": "ok", "store": "unavailable", "upstreams": "ok"});
    assert_eq!(answer.json()["checks"], expected);
    assert_eq!(gateway.send(&Request::get("/v1/health")).await.status, 200, "requests are served on");
    gateway.kill().await;
    for name in names {
        let _ = std::fs::rename(gateway.path(name), gateway.path("data").join(name));
    }
    gateway.finish(&[&key]).await;
}

const SECRET: &str = "reload-canary-0123456789";

fn reload() -> Request {
    Request::post("/console/internal/reload", &json!({}))
}

#[tokio::test]
async fn a_reload_by_request_needs_its_secret_and_is_in_force_when_it_is_answered() {
    let (_provider, setup) = working().await;
    let setup = setup
        .set("server.reload_secret", "\"${TOLLGATE_RELOAD_SECRET}\"")
        .environment("TOLLGATE_RELOAD_SECRET", SECRET)
        .environment("TOLLGATE_LOG", "trace,h2::codec=trace");
    let (gateway, key) = serving(&setup).await;
    for (request, status, code) in [
        (reload(), 401, "AUTH_MISSING_TOKEN"),
        (reload().key(&SECRET[1..]), 401, "AUTH_INVALID_TOKEN"),
        (reload().key(&key.key), 401, "AUTH_INVALID_TOKEN"),
        (reload().key(""), 401, "AUTH_INVALID_TOKEN"),
        (reload().field("authorization", SECRET), 401, "AUTH_INVALID_TOKEN"),
        (reload().field("x-api-key", SECRET), 401, "AUTH_MISSING_TOKEN"),
        (Request::get("/console/internal/reload").key(SECRET), 404, "NOT_FOUND"),
    ] {
        let answer = gateway.send(&request).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{request:?}");
    }
    assert_eq!(gateway.metric("tollgate_reloads_total", &[]).await, 0.0, "nobody has reloaded");
    let mut versions = Vec::new();
    for (prices, cost) in [(PRICES.to_owned(), COST), (PRICES.replace("input = 1", "input = 3"), 2 * COST)] {
        gateway.write("pricing.toml", &prices);
        let answer = gateway.send(&reload().key(SECRET)).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("reloaded")), "{}", answer.text());
        let served = gateway.send(&plain_chat(false).key(&key.key)).await;
        let record = gateway.record_of(&served).await;
        assert_eq!((number(&record, "cost_nanos"), &record["price_version"]), (cost, &answer.json()["price_version"]));
        versions.push(record["price_version"].clone());
    }
    assert_ne!(versions[0], versions[1]);
    let said = gateway.said();
    gateway.finish(&[&key]).await;
    assert!(!said.contains(&SECRET[..14]), "the secret was printed");
}

#[tokio::test]
async fn a_refused_reload_says_what_check_says_and_changes_nothing() {
    let (_provider, setup) = working().await;
    let setup = setup.set("server.reload_secret", &format!("\"{SECRET}\""));
    let (gateway, key) = serving(&setup).await;
    let config = gateway.read("tollgate.toml");
    gateway.write("tollgate.toml", &config.replace("threads = 2", "threads = \"x\"\nunknown_key = 1"));
    let answer = gateway.send(&reload().key(SECRET)).await;
    assert_eq!((answer.status, &answer.json()["status"]), (422, &json!("refused")), "{}", answer.text());
    let checked = gateway.run(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(answer.json()["errors"], json!(lines));
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("tollgate.toml:")), "{lines:?}");
    assert!(gateway.metric("tollgate_reloads_total", &["refused"]).await >= 1.0);
    gateway.write("tollgate.toml", &config);
    gateway.write("pricing.toml", "[[model]]\nname = \"m\"\ninput = -1\noutput = 2\n");
    let answer = gateway.send(&reload().key(SECRET)).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("pricing.toml:3:"), "{}", answer.text());
    let served = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!(number(&gateway.record_of(&served).await, "cost_nanos"), COST, "the old prices are in force");
    gateway.write("pricing.toml", PRICES);
    // The secret itself is reloaded, too.
    gateway.write("tollgate.toml", &config.replace(SECRET, "another-secret-0123456789"));
    until("the new secret", || gateway.said().lines().last().filter(|line| line.contains("in force")).map(drop)).await;
    assert_eq!(gateway.send(&reload().key(SECRET)).await.status, 401);
    assert_eq!(gateway.send(&reload().key("another-secret-0123456789")).await.status, 200);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn nothing_is_open_that_nobody_opened() {
    let (provider, setup) = working().await;
    let (gateway, key) = serving(&setup).await;
    let origin = |request: Request| request.field("origin", "https://evil.example");
    let preflight =
        origin(Request::new("OPTIONS", "/v1/chat/completions")).field("access-control-request-method", "POST");
    for request in
        [preflight.clone(), origin(plain_chat(false)), origin(plain_chat(false).key(&key.key)), origin(reload())]
    {
        let answer = gateway.send(&request).await;
        let cors = answer.fields.iter().find(|(name, _)| name.starts_with("access-control-"));
        assert!(cors.is_none(), "{request:?}: {cors:?}");
    }
    assert_eq!(provider.received().len(), 1, "with a key alone");
    for path in ["/console/internal", "/console/internal/reload", "/metrics", "/admin", "/debug/pprof", "/.env"] {
        for request in [Request::get(path), Request::post(path, &json!({}))] {
            let answer = gateway.send(&request).await;
            assert!(matches!(answer.status, 401 | 404), "{path}: {}", answer.status);
        }
    }
    // The console's page is for everybody, but nothing behind it.
    for path in ["/console/api/keys", "/console/api/users", "/console/internal/health", "/console/api/openapi.json"] {
        assert_eq!(gateway.send(&Request::get(path)).await.status, 401, "{path}");
        assert_eq!(
            gateway.send(&Request::get(path).key(&key.key)).await.status,
            401,
            "{path}: a key opens nothing here"
        );
    }
    // And what is asked of nobody's configuration: this machine alone is listened to.
    let listened = setup.unset("server.threads").config(([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
    let bare: String =
        listened.lines().filter(|line| !line.contains("listen")).map(|line| format!("{line}\n")).collect();
    let config =
        tollgate::config::Config::parse(&bare, &gateway.path("tollgate.toml"), &|_| None).expect("a good file");
    let addresses = config.server.listen.iter().chain(&config.server.metrics_listen).chain(&config.console.listen);
    assert!(addresses.clone().count() == 2 && addresses.clone().all(|address| address.ip().is_loopback()));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn without_a_secret_there_is_no_reload_by_request() {
    let (_provider, setup) = working().await;
    let (gateway, key) = serving(&setup).await;
    for request in [reload(), reload().key(""), reload().key(&key.key), reload().key(SECRET)] {
        let answer = gateway.send(&request).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (404, "NOT_FOUND"));
    }
    gateway.finish(&[&key]).await;
    let gateway = Gateway::prepare(&setup.set("server.reload_secret", "\"\""));
    let checked = gateway.run(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("server.reload_secret: is empty"), "{said}");
}

#[tokio::test]
async fn the_pages_of_the_metrics_listener_can_only_be_read() {
    let (_provider, setup) = working().await;
    let (gateway, key) = serving(&setup).await;
    let ask = async |method: &str, path: &str| client::send(gateway.metrics_address, &Request::new(method, path)).await;
    for path in ["/metrics", "/health", "/nothing"] {
        let there = if path == "/nothing" { 404 } else { 200 };
        let answer = ask("GET", path).await;
        assert_eq!(answer.status, there, "{path}");
        assert!(answer.field("x-request-id").is_some_and(|id| id.len() == 36), "{path}");
        let head = ask("HEAD", path).await;
        assert_eq!((head.status, head.text().len()), (there, 0), "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = ask(method, path).await;
            assert_eq!((answer.status, answer.field("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    gateway.finish(&[&key]).await;
}
