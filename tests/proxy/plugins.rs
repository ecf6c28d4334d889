//! Plugins in the whole gateway: from where one may call, and the access log.

use crate::calls::{COST, TOKENS, Wire, plain_chat, serving, serving_keys, stepped, wants_stream};
use crate::support::client::{Answer as Got, Body, Client, Request};
use crate::support::gateway::{Gateway, PROVIDER_KEY, Setup};
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break};
use crate::support::{PATIENCE, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn working() -> (Provider, Setup) {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    (provider, setup)
}

#[tokio::test]
async fn plugins_ip_allow_lets_in_only_the_named_networks_before_anybody_is_authenticated() {
    let (provider, setup) = working().await;
    let setup = setup
        .set("server.trusted_proxies", "[\"127.0.0.0/8\"]")
        .set("server.reload_secret", "\"reload-canary-0123456789\"")
        .set("plugins.ip-allow.networks", "[\"10.0.0.0/8\", \"2001:db8::/32\"]");
    let (gateway, key) = serving(&setup).await;
    let from = |client: &str| plain_chat(false).key(&key.key).field("x-forwarded-for", client);
    for (client, status) in [("10.1.2.3", 200), ("2001:db8::7", 200), ("11.1.2.3", 403), ("10.1.2.3, 11.1.2.3", 403)] {
        assert_eq!(gateway.send(&from(client)).await.status, status, "{client}");
    }
    assert_eq!(provider.received().len(), 2);
    // Whatever the credential: who is outside learns nothing of it. And in the caller's dialect.
    for credential in [&*key.key, "junk"] {
        let answer = gateway.send(&plain_chat(false).key(credential)).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (403, "FORBIDDEN"));
        assert_eq!(answer.field("x-tollgate-rejected-by"), Some("auth"));
    }
    let anthropic = gateway.send(&Wire::Messages.request(false).key(&key.key)).await;
    assert_eq!((anthropic.status, &anthropic.json()["error"]["type"]), (403, &json!("permission_error")));
    let gemini = gateway.send(&Wire::GeminiEvents.request(false).key(&key.key)).await;
    assert_eq!((gemini.status, &gemini.json()["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
    for page in ["/v1/health", "/health/liveliness", "/health/readiness"] {
        assert_eq!(gateway.send(&Request::get(page)).await.status, 200, "{page}: a load balancer may be anywhere");
    }
    for (client, secret, status) in [
        ("11.1.2.3", "junk", 403),
        ("11.1.2.3", "reload-canary-0123456789", 403),
        ("10.1.2.3", "junk", 401),
        ("10.1.2.3", "reload-canary-0123456789", 200),
    ] {
        let reload = Request::post("/console/internal/reload", &json!({})).field("x-forwarded-for", client);
        assert_eq!(gateway.send(&reload.key(secret)).await.status, status, "{client}: {secret}");
    }
    gateway.finish(&[&key]).await;
    let gateway = Gateway::prepare(&setup.set("plugins.ip-allow.networks", "[\"10.0.0.0/33\"]"));
    let checked = gateway.run(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("plugins.ip-allow.networks[0]: the prefix length"), "{said}");
}

/// The access log's lines of one file.
fn lines(gateway: &Gateway, name: &str) -> Vec<Value> {
    gateway
        .read(name)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// The line of an answer.
async fn line_of(gateway: &Gateway, answer: &Got) -> Value {
    let id = answer.field("x-request-id").expect("an id").to_owned();
    let found = || lines(gateway, "logs/access.log").into_iter().find(|line| line["request_id"] == *id);
    until("the answer's line", found).await
}

fn assert_line(line: &Value, expected: Value) {
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&line[field], value, "{field}: {line}");
    }
}

#[tokio::test]
async fn an_interim_answer_is_none_for_the_access_log() {
    let (answer, _steps) = stepped(Wire::Chat.whole("x"));
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("routing.on_client_disconnect", "\"abort\"")
        .set("plugins.access-log.output", "\"file\"")
        .set("plugins.access-log.path", "\"access.log\"");
    let (gateway, key) = serving(&setup).await;
    let body = Wire::Chat.body("m", false).to_string();
    let request = plain_chat(false).key(&key.key).body(Body::Expect(body.into()));
    let client = Client::connect(gateway.address).await.expect("the gateway listens");
    let waiting = tokio::spawn(async move { client.open(&request).await });
    until("the request upstream", || (provider.received().len() == 1).then_some(())).await;
    waiting.abort();
    let found = || lines(&gateway, "access.log").into_iter().find(|line| line["method"] == "POST");
    let line = until("its line", found).await;
    assert_line(&line, json!({"status": 499, "outcome": "client_aborted", "error_code": "CLIENT_CLOSED"}));
    assert_eq!(gateway.wait_record().await["status"], 499);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn plugins_access_log_has_a_line_for_each_request_and_no_secret() {
    let provider = Provider::start(|_, request| match wants_stream(request) {
        true if String::from_utf8_lossy(&request.body).contains("broken") => {
            Wire::Chat.stream(&TOKENS).cut(300, Break::Rst)
        }
        stream => Wire::Chat.answer(stream),
    })
    .await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider).models(r#"["m", "broken"]"#)])
        .set("plugins.access-log.output", "\"file\"")
        .set("plugins.access-log.path", "\"logs/access.log\"")
        .set("pricing.unknown_model", "\"allow\"")
        .set("plugins.cors.allowed_origins", "[\"https://app.example\"]");
    let mut gateway = Gateway::prepare(&setup);
    std::fs::create_dir(gateway.path("logs")).expect("a folder");
    let key = gateway.key("alice", &["--user", "team"]).await;
    let poor = gateway.key("poor", &["--quota-usd", "0.000000001"]).await;
    gateway.serve().await;
    let common = json!({"client": "127.0.0.1", "method": "POST", "path": "/v1/chat/completions", "dialect": "openai"});
    let mut request = plain_chat(false).key(&key.key);
    request.target += &format!("?key={}&x=canary-query", key.key);
    let plain = gateway.send(&request.field("cookie", "canary-cookie")).await;
    let line = line_of(&gateway, &plain).await;
    assert_line(&line, common.clone());
    assert_line(
        &line,
        json!({"status": 200, "key_name": "alice", "user": "team", "group": "default", "endpoint": "chat", "model": "m",
            "stream": false, "upstream": "u", "upstream_model": "m", "attempts": 1, "outcome": "ok", "cost_nanos": COST,
            "input_tokens": 10, "output_tokens": 5, "usage_source": "reported", "error_code": null}),
    );
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')) && line["duration_ms"].is_u64(), "{line}");
    let streamed = gateway.send(&Wire::Chat.request(true).key(&key.key)).await;
    let line = line_of(&gateway, &streamed).await;
    assert_line(&line, json!({"stream": true, "cost_nanos": COST, "outcome": "ok"}));
    assert!(line["ttft_ms"].is_u64(), "{line}");
    let broken = gateway.send(&Wire::Chat.request_for("broken", true).key(&key.key)).await;
    let record = gateway.record_of(&broken).await;
    let line = line_of(&gateway, &broken).await;
    for field in ["outcome", "error_code", "cost_nanos", "output_tokens", "usage_source", "key_id", "attempts"] {
        assert_eq!(line[field], record[field], "{field}: as the ledger has it\n{line}\n{record}");
    }
    assert_eq!(line["outcome"], "upstream_error");
    // What we refuse has a line, too, with as much as was known by then.
    for (request, expected) in [
        (plain_chat(false), json!({"status": 401, "error_code": "AUTH_MISSING_TOKEN", "rejected_by": "auth"})),
        (plain_chat(false).key("junk"), json!({"status": 401, "error_code": "AUTH_INVALID_TOKEN", "key_name": null})),
        (
            plain_chat(false).key(&poor.key),
            json!({"status": 402, "error_code": "QUOTA_INSUFFICIENT", "rejected_by": "quota", "key_name": "poor",
                "model": "m", "attempts": 0, "cost_nanos": 0, "outcome": null}),
        ),
        (
            Wire::Chat.request_for("sk-proj-canary-0123456789", false).key(&key.key),
            json!({"status": 404, "error_code": "MODEL_NOT_FOUND", "key_name": "alice", "model": "sk-***"}),
        ),
    ] {
        let answer = gateway.send(&request).await;
        let line = line_of(&gateway, &answer).await;
        assert_line(&line, common.clone());
        assert_line(&line, expected);
    }
    let preflight = Request::new("OPTIONS", "/v1/chat/completions")
        .field("origin", "https://app.example")
        .field("access-control-request-method", "POST");
    for (request, status) in [(preflight, 204), (Request::get("/v1/health"), 200), (Request::get("/nowhere"), 401)] {
        let answer = gateway.send(&request).await;
        assert_line(&line_of(&gateway, &answer).await, json!({"status": status, "method": request.method}));
    }
    let text = gateway.read("logs/access.log");
    for secret in [&key.key[..16], "canary", PROVIDER_KEY] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    gateway.finish(&[&key, &poor]).await;
}

#[tokio::test]
async fn plugins_access_log_rotates_and_is_whole_when_the_process_ends() {
    let (_provider, setup) = working().await;
    // `None`: as many as there are by default.
    for (bytes_max, files_max) in [("4096", Some(100)), ("4096", Some(2)), ("4096", None), ("1000000", Some(2))] {
        let setup = setup
            .clone()
            .set("plugins.access-log.output", "\"file\"")
            .set("plugins.access-log.path", "\"access.log\"")
            .set("plugins.access-log.rotate_bytes_max", bytes_max);
        let setup = match files_max {
            Some(count) => setup.set("plugins.access-log.files_max", &count.to_string()),
            None => setup,
        };
        let (mut gateway, [key]) = serving_keys(&setup, [("k", &[])]).await;
        for _ in 0..60 {
            assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
        }
        // Nothing waits for the log but its end.
        assert!(gateway.stop().await.success());
        let entries = std::fs::read_dir(gateway.path("")).expect("its folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names: Vec<String> = names.filter(|name| name.starts_with("access.log")).collect();
        let logged = names.iter().flat_map(|name| lines(&gateway, name));
        let logged = logged.filter(|line| line["key_name"] == "k" && line["status"] == 200).count();
        match (bytes_max, files_max) {
            ("4096", Some(100)) => assert!(names.len() > 5 && logged == 60, "{logged} in {names:?}"),
            ("4096", files_max) => assert_eq!(names.len(), files_max.unwrap_or(5), "{names:?}"),
            _ => assert!(names.len() == 1 && logged == 60, "{logged} in {names:?}"),
        }
        gateway.finish(&[&key]).await;
    }
}

/// Waits until the metrics say that so many lines or spans were not delivered, or more.
pub(crate) async fn wait_lost(gateway: &Gateway, plugin: &str, count: usize) {
    let labels = [format!("plugin=\"{plugin}\""), "reason=\"undelivered\"".to_owned()];
    let started = Instant::now();
    while (gateway.metric("tollgate_telemetry_lost_total", &[&labels[0], &labels[1]]).await as usize) < count {
        assert!(started.elapsed() < PATIENCE, "{}", gateway.metrics().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_access_log_that_cannot_be_written_stops_no_request() {
    let (_provider, setup) = working().await;
    let (gateway, key) =
        serving(&setup.set("plugins.access-log.output", "\"file\"").set("plugins.access-log.path", "\"/dev/full\""))
            .await;
    for _ in 0..20 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    }
    until("a word about it", || gateway.said().contains("the access log cannot be written").then_some(())).await;
    // Health pages have lines, too.
    wait_lost(&gateway, "access-log", 20).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_client_that_leaves_has_a_line_with_what_it_cost() {
    let provider = Provider::always(Answer::stream(Wire::Chat.pieces(&TOKENS)).pieces_every_ms(30)).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("routing.on_client_disconnect", "\"abort\"")
        .set("plugins.access-log.output", "\"file\"")
        .set("plugins.access-log.path", "\"access.log\"");
    let (gateway, key) = serving(&setup).await;
    let mut running = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    running.piece().await.expect("the first token");
    drop(running);
    let record = gateway.wait_record().await;
    let of_chat = |line: &Value| line["endpoint"] == "chat";
    let line = until("its line", || lines(&gateway, "access.log").into_iter().find(of_chat)).await;
    for field in ["request_id", "outcome", "error_code", "cost_nanos", "output_tokens", "usage_source"] {
        assert_eq!(line[field], record[field], "{field}\n{line}\n{record}");
    }
    assert_eq!(line["outcome"], "client_aborted");
    gateway.finish(&[&key]).await;
}
