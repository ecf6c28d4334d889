//! What the gateway refuses by itself: status, code, who refused, and the caller's own error shape. Nothing that is
//! refused reaches a provider or the ledger.

use crate::calls::{Wire, plain_chat, serving, serving_keys};
use crate::support::client::{Answer, Body, Ended, Request};
use crate::support::gateway::{Gateway, PRICES, Setup, Upstream};
use crate::support::h2c;
use crate::support::provider::{ClosedPort, Provider};
use crate::support::script::{self, Break};
use serde_json::{Value, json};

/// The dialects' requests that carry a body with a model; Gemini's has it in the path.
pub(super) const WIRES: [Wire; 4] = [Wire::Chat, Wire::Responses, Wire::Messages, Wire::GeminiEvents];

/// Checks an answer of our own in every respect that the contract has.
pub(super) fn assert_refused(answer: &Answer, wire: Wire, status: u16, code: &str, by: Option<&str>) {
    let told = format!("{wire:?}: {} {:?} {}", answer.status, answer.fields, answer.text());
    assert_eq!((answer.status, answer.ended), (status, Ended::Whole), "{code}: {told}");
    assert_eq!(answer.field("x-tollgate-rejected-by"), by, "{code}: {told}");
    assert_eq!(answer.field("content-type"), Some("application/json"), "{told}");
    let id = answer.field("x-request-id").unwrap_or_else(|| panic!("no x-request-id: {told}"));
    for name in ["x-tollgate-upstream", "x-tollgate-attempts"] {
        assert_eq!(answer.field(name), None, "nothing was forwarded: {told}");
    }
    // Where Anthropic's SDKs look for it.
    assert_eq!(answer.field("request-id"), (wire == Wire::Messages).then_some(id), "{told}");
    let body = answer.json();
    let error = &body["error"];
    let message = error["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{told}");
    match wire {
        Wire::Chat | Wire::Responses => {
            assert_eq!(error["code"], code, "{told}");
            assert!(error["type"].is_string() && error.get("param").is_some(), "{told}");
        }
        Wire::Messages => {
            assert_eq!((&body["type"], &body["request_id"]), (&json!("error"), &json!(id)), "{told}");
            assert!(error["type"].is_string() && message.ends_with(&format!("({code})")), "{told}");
        }
        Wire::GeminiEvents | Wire::GeminiArray => {
            assert_eq!(error["code"], status, "{told}");
            let details = error["details"].as_array().expect("details");
            assert!(details.iter().any(|detail| detail["reason"] == code), "{told}");
            let word = error["status"].as_str().unwrap_or_default();
            assert!(!word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{told}");
        }
    }
}

/// One provider behind every dialect, which must not hear of anything here.
async fn silent() -> (Provider, Setup) {
    let provider = Provider::always(script::Answer::new(500, "text/plain", "never")).await;
    let models = r#"["m", "unpriced"]"#;
    let setup = Setup::new([
        Wire::Chat.upstream("o", &provider).models(models),
        Wire::Messages.upstream("a", &provider).models(models),
        Wire::GeminiEvents.upstream("g", &provider).models(models),
        Wire::GeminiEvents.upstream("vip", &provider).models(r#"["secret"]"#).with(r#"groups = ["vip"]"#),
    ]);
    (provider, setup)
}

async fn nothing_came_of_it(provider: &Provider, gateway: &Gateway) {
    assert!(provider.received().is_empty(), "{:?}", provider.received());
    assert!(gateway.records().is_empty(), "{:?}", gateway.records());
}

#[tokio::test]
async fn without_a_good_key_nobody_gets_in() {
    let (provider, setup) = silent().await;
    let keys = [
        ("good", [].as_slice()),
        ("disabled", &[]),
        ("expired", &["--expires", "2020-01-01"]),
        ("gone", &[]),
        ("old", &[]),
    ];
    let mut gateway = Gateway::prepare(&setup);
    let mut made = Vec::new();
    for (name, arguments) in keys {
        made.push(gateway.key(name, arguments).await);
    }
    gateway.run_json(&["key", "disable", "disabled", "--json"]);
    gateway.run_json(&["key", "delete", "gone", "--json"]);
    gateway.run_json(&["key", "rotate", "old", "--json"]);
    gateway.serve().await;
    let [good, disabled, expired, gone, old] = &made[..] else { unreachable!("five keys") };
    let mut almost = good.key.clone();
    almost.pop();
    let junk = [
        "x".to_owned(),
        almost,
        format!("{}0", good.key),
        good.key.to_uppercase(),
        "sk-tg-".to_owned(),
        "sk-".to_owned() + &"0".repeat(6_000),
        "Bearer Bearer".to_owned(),
        "'; DROP TABLE key; --".to_owned(),
        disabled.key.clone(),
        gone.key.clone(),
        old.key.clone(),
    ];
    for wire in WIRES {
        let request = wire.request(false);
        let none = gateway.send(&request).await;
        assert_refused(&none, wire, 401, "AUTH_MISSING_TOKEN", Some("auth"));
        for key in &junk {
            let refused = gateway.send(&request.clone().key(key)).await;
            assert_refused(&refused, wire, 401, "AUTH_INVALID_TOKEN", Some("auth"));
            let name = key.split(' ').next().unwrap_or_default();
            assert!(name.len() < 8 || !refused.text().contains(name), "the credential is not repeated");
        }
        let late = gateway.send(&request.clone().key(&expired.key)).await;
        assert_refused(&late, wire, 401, "TOKEN_EXPIRED", Some("auth"));
        assert!(late.text().contains("Token has expired"), "{}", late.text());
    }
    // An empty credential is none; another scheme is none.
    for value in ["Bearer ", "Bearer", "Basic dXNlcjpwYXNz"] {
        let refused = gateway.send(&plain_chat(false).field("authorization", value)).await;
        assert_eq!(refused.status, 401, "{value:?}");
    }
    let over_http2 = h2c::send(gateway.address, &Wire::Messages.request(false)).await;
    assert_refused(&over_http2, Wire::Messages, 401, "AUTH_MISSING_TOKEN", Some("auth"));
    assert!(gateway.metric("tollgate_rejected_total", &["AUTH_INVALID_TOKEN"]).await >= 44.0);
    nothing_came_of_it(&provider, &gateway).await;
    gateway.finish(&made.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn models_that_a_key_may_not_use_and_models_without_a_price() {
    let (provider, setup) = silent().await;
    let keys = [
        ("free", [].as_slice()),
        ("limited", &["--quota-usd", "5"]),
        ("narrow", &["--models", "unpriced"]),
        ("lost", &["--group", "nowhere"]),
    ];
    let (gateway, [free, limited, narrow, lost]) = serving_keys(&setup, keys).await;
    for wire in WIRES {
        let ask = |model: &str, key: &str| wire.request_for(model, true).key(key);
        let unknown = gateway.send(&ask("no-such-model", &free.key)).await;
        assert_refused(&unknown, wire, 404, "MODEL_NOT_FOUND", Some("routing"));
        assert!(unknown.text().contains("no-such-model"), "{}", unknown.text());
        let elsewhere = gateway.send(&ask("secret", &free.key)).await;
        assert_refused(&elsewhere, wire, 404, "MODEL_NOT_FOUND", Some("routing"));
        let no_group = gateway.send(&ask("m", &lost.key)).await;
        assert_refused(&no_group, wire, 404, "MODEL_NOT_FOUND", Some("routing"));
        let not_listed = gateway.send(&ask("m", &narrow.key)).await;
        assert_refused(&not_listed, wire, 403, "FORBIDDEN", Some("auth"));
        let unpriced = gateway.send(&ask("unpriced", &limited.key)).await;
        assert_refused(&unpriced, wire, 400, "PRICE_MISSING", Some("billing"));
    }
    // A model that is there, but only in a dialect that has no such operation.
    let body = json!({"model": "secret", "prompt": "x"});
    let mut vip = gateway.key("vip", &["--group", "vip"]).await;
    vip.name.clear();
    let other_dialect = gateway.send(&Request::post("/v1/images/generations", &body).key(&vip.key)).await;
    assert_refused(&other_dialect, Wire::Chat, 400, "INVALID_REQUEST", Some("routing"));
    nothing_came_of_it(&provider, &gateway).await;
    gateway.finish(&[&free, &limited, &narrow, &lost, &vip]).await;
}

#[tokio::test]
async fn a_quota_that_does_not_cover_the_worst_case() {
    let (provider, setup) = silent().await;
    // 100 tokens out at 2 USD per million are 200,000 nano-USD: below that nothing fits.
    let keys = [("poor", ["--quota-usd", "0.000199"].as_slice()), ("nothing", &["--quota-usd", "0"])];
    let (gateway, [poor, nothing]) = serving_keys(&setup, keys).await;
    for wire in WIRES {
        for key in [&poor, &nothing] {
            let refused = gateway.send(&wire.request(true).key(&key.key)).await;
            assert_refused(&refused, wire, 402, "QUOTA_INSUFFICIENT", Some("quota"));
            assert!(refused.text().contains("Insufficient quota"), "{}", refused.text());
        }
    }
    nothing_came_of_it(&provider, &gateway).await;
    gateway.finish(&[&poor, &nothing]).await;
}

#[tokio::test]
async fn bodies_that_cannot_be_understood() {
    let (provider, setup) = silent().await;
    let (gateway, key) = serving(&setup).await;
    let deep = |depth: usize| format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let latin =
        [br#"{"model":"m","messages":[{"role":"user","content":""#.as_slice(), &[0xe9, 0xff], br#""}]}"#].concat();
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "empty"),
        (b"   \n".to_vec(), "blank"),
        (b"{".to_vec(), "cut"),
        (br#"{"model":"m","messages":[}"#.to_vec(), "syntax"),
        (br#"{"model":"m"} {"model":"m"}"#.to_vec(), "two values"),
        (br#"["model","m"]"#.to_vec(), "an array"),
        (b"null".to_vec(), "null"),
        (br#"{"messages":[]}"#.to_vec(), "no model"),
        (br#"{"model":null,"messages":[]}"#.to_vec(), "null model"),
        (br#"{"model":7,"messages":[]}"#.to_vec(), "a number as model"),
        (br#"{"model":"","messages":[]}"#.to_vec(), "empty model"),
        (br#"{"model":"m","model":"unpriced","messages":[]}"#.to_vec(), "two models"),
        (br#"{"model":"m","\u006dodel":"unpriced","messages":[]}"#.to_vec(), "two models, one escaped"),
        (br#"{"model":"m","stream":"yes","messages":[]}"#.to_vec(), "stream is no boolean"),
        (br#"{"model":"m","messages":[],"max_tokens":-1,"max_output_tokens":-1}"#.to_vec(), "a negative limit"),
        (deep(10_000).into_bytes(), "deep"),
        (deep(70).into_bytes(), "just too deep"),
        (latin, "not UTF-8"),
        ("{\"model\":\"m\",\"messages\":[]\u{0}}".as_bytes().to_vec(), "a control character"),
        (b"model=m&messages=hi".to_vec(), "a form"),
    ];
    for wire in [Wire::Chat, Wire::Responses, Wire::Messages] {
        for (body, what) in &bad {
            let request = Request::post_raw(&wire.target("m", false), body.clone()).key(&key.key);
            let refused = gateway.send(&request).await;
            assert!(refused.status == 400, "{what}: {} {}", refused.status, refused.text());
            assert_refused(&refused, wire, 400, "INVALID_REQUEST", Some("routing"));
        }
    }
    for (body, what) in bad.iter().filter(|(_, what)| !what.contains("model")) {
        // Gemini's fields are not OpenAI's; its JSON is.
        if what.contains("stream") || what.contains("limit") {
            continue;
        }
        let request = Request::post_raw(&Wire::GeminiEvents.target("m", true), body.clone()).key(&key.key);
        assert_refused(&gateway.send(&request).await, Wire::GeminiEvents, 400, "INVALID_REQUEST", Some("routing"));
    }
    // OpenAI's shape names the field that is wrong.
    let refused = gateway.send(&Request::post("/v1/chat/completions", &json!({"messages": []})).key(&key.key)).await;
    assert_eq!(refused.json()["error"]["param"], "model");
    nothing_came_of_it(&provider, &gateway).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn forms_that_cannot_be_understood() {
    let (provider, setup) = silent().await;
    let (gateway, key) = serving(&setup).await;
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let bad = [
        ("multipart/form-data; boundary=b", part("file", "x") + "--b--\r\n", "no model"),
        (
            "multipart/form-data; boundary=b",
            part("model", "m") + &part("model", "unpriced") + "--b--\r\n",
            "two models",
        ),
        ("multipart/form-data; boundary=b", part("model", "m"), "no end"),
        ("multipart/form-data", part("model", "m") + "--b--\r\n", "no boundary"),
        ("multipart/form-data; boundary=other", part("model", "m") + "--b--\r\n", "another boundary"),
        ("text/plain", "model=m".to_owned(), "no form"),
    ];
    for (content_type, body, what) in bad {
        let request = Request::new("POST", "/v1/audio/transcriptions")
            .field("content-type", content_type)
            .body(Body::Length(body.into()))
            .key(&key.key);
        let refused = gateway.send(&request).await;
        assert!(refused.status == 400, "{what}: {} {}", refused.status, refused.text());
        assert_refused(&refused, Wire::Chat, 400, "INVALID_REQUEST", Some("routing"));
    }
    nothing_came_of_it(&provider, &gateway).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn paths_and_methods_that_are_nothing() {
    let (provider, setup) = silent().await;
    let (gateway, key) = serving(&setup).await;
    let body = Wire::Chat.body("m", false);
    let ways = [
        (Wire::Chat, Request::post("/v1/nothing", &body)),
        (Wire::Chat, Request::post("/", &body)),
        (Wire::Chat, Request::post("/v1/chat/completions/extra", &body)),
        (Wire::Chat, Request::get("/v1/chat/completions")),
        (Wire::Chat, Request::new("PUT", "/v1/chat/completions")),
        (Wire::Chat, Request::new("DELETE", "/v1/models/m")),
        (Wire::Messages, Request::post("/v1/messages/batches", &body).field("anthropic-version", "2023-06-01")),
        (Wire::Messages, Request::get("/v1/messages")),
        (Wire::GeminiEvents, Request::post("/v1beta/models/m:noSuchAction", &body)),
        (Wire::GeminiEvents, Request::new("PATCH", "/v1beta/models/m:generateContent")),
    ];
    for (wire, request) in ways {
        let refused = gateway.send(&request.clone().key(&key.key)).await;
        assert!(refused.status == 404, "{} {}: {}", request.method, request.target, refused.text());
        assert_refused(&refused, wire, 404, "NOT_FOUND", Some("routing"));
    }
    // Without a key nobody learns what is there.
    assert_eq!(gateway.send(&Request::post("/v1/nothing", &body)).await.status, 401);
    // Ways out of the path.
    for target in [
        "/v1/../admin",
        "/v1/%2e%2e/chat/completions",
        "/v1/chat%2fcompletions/..",
        "/v1\\chat\\completions",
        "/v1/chat/completions%00",
        "/%zz",
    ] {
        let refused = gateway.send(&Request::post(target, &body).key(&key.key)).await;
        assert!([400, 404].contains(&refused.status), "{target}: {}", refused.status);
    }
    nothing_came_of_it(&provider, &gateway).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn no_upstream_that_answers_is_a_503_or_a_504_and_leaves_one_record() {
    let port = ClosedPort::new();
    for wire in WIRES {
        let stalling = Provider::always(script::Answer::nothing(Break::Stall)).await;
        let dying = Provider::always(script::Answer::nothing(Break::Rst)).await;
        let setup = Setup::new([
            wire.upstream_at("closed", port.address).models(r#"["closed"]"#),
            wire.upstream("dying", &dying).models(r#"["dying"]"#),
            wire.upstream("stalling", &stalling).models(r#"["stalling"]"#),
            Upstream::new("nameless", "openai-compatible", "http://no-such-host.invalid/v1").models(r#"["nameless"]"#),
        ])
        .set("pricing.unknown_model", "\"allow\"")
        .set("routing.first_token_timeout_ms", "300")
        .set("routing.response_timeout_ms", "300");
        let (gateway, key) = serving(&setup).await;
        let mut expected = vec![
            ("closed", 503, "UPSTREAM_UNAVAILABLE", Some("routing")),
            ("dying", 503, "UPSTREAM_UNAVAILABLE", Some("routing")),
            ("stalling", 504, "UPSTREAM_TIMEOUT", None),
        ];
        if wire == Wire::Chat {
            expected.push(("nameless", 503, "UPSTREAM_UNAVAILABLE", Some("routing")));
        }
        for (model, status, code, by) in &expected {
            for stream in [false, true] {
                let refused = gateway.send(&wire.request_for(model, stream).key(&key.key)).await;
                assert_refused(&refused, wire, *status, code, *by);
                let retry_after = refused.field("retry-after").map(|value| value.parse::<u64>().expect("seconds"));
                assert_eq!(retry_after.is_some(), *status == 503, "{model}");
                let record = gateway.record_of(&refused).await;
                let told = (&record["status"], &record["outcome"], &record["error_code"], &record["attempts"]);
                assert_eq!(told, (&json!(status), &json!("upstream_error"), &json!(code), &json!(1)), "{record}");
                assert_eq!((&record["cost_nanos"], &record["usage_source"]), (&json!(0), &json!("none")));
                assert_eq!(record["upstream"], *model);
            }
        }
        assert_eq!(gateway.wait_records(expected.len() * 2).await.len(), expected.len() * 2);
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_request_for_which_every_breaker_is_open_was_sent_nowhere() {
    let provider = Provider::always(script::Answer::new(500, "text/plain", "down")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("breaker.failures_to_open", "1")
        .set("breaker.open_ms", "600000");
    let (gateway, key) = serving(&setup).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 500);
    for stream in [false, true] {
        let refused = gateway.send(&plain_chat(stream).key(&key.key)).await;
        assert_refused(&refused, Wire::Chat, 503, "UPSTREAM_UNAVAILABLE", Some("routing"));
        let seconds: u64 = refused.field("retry-after").and_then(|value| value.parse().ok()).expect("seconds");
        assert!((1..=600).contains(&seconds), "{seconds}");
    }
    assert_eq!(provider.received().len(), 1);
    // What we reject ourselves is in the metrics, not in the ledger; nothing stays held for it.
    assert_eq!(gateway.wait_records(1).await.len(), 1);
    assert!(gateway.metric("tollgate_rejected_total", &["UPSTREAM_UNAVAILABLE"]).await >= 2.0);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_happens_to_models_without_a_price_is_configured() {
    for (word, free, limited) in [("reject_if_quota", 200, 400), ("reject", 400, 400), ("allow", 200, 200)] {
        let provider = Provider::always(Wire::Chat.whole("x")).await;
        let setup = Setup::new([Wire::Chat.upstream("u", &provider).models(r#"["m", "unpriced"]"#)])
            .prices(PRICES)
            .set("pricing.unknown_model", &format!("\"{word}\""));
        let keys = [("free", [].as_slice()), ("limited", &["--quota-usd", "5"])];
        let (gateway, keys) = serving_keys(&setup, keys).await;
        for (key, status) in keys.iter().zip([free, limited]) {
            let answer = gateway.send(&Wire::Chat.request_for("unpriced", false).key(&key.key)).await;
            assert_eq!(answer.status, status, "{word} {}: {}", key.name, answer.text());
            if status == 200 {
                let record = gateway.record_of(&answer).await;
                assert_eq!((&record["price_missing"], &record["cost_nanos"]), (&Value::Bool(true), &json!(0)));
                assert_eq!(record["usage_source"], "reported");
            }
        }
        let passed = [free, limited].iter().filter(|status| **status == 200).count();
        assert_eq!(provider.received().len(), passed, "refused before the provider is called");
        let flagged = gateway.metric("tollgate_price_missing_total", &["unpriced"]).await;
        assert_eq!(flagged as usize, passed);
        gateway.finish(&keys.iter().collect::<Vec<_>>()).await;
    }
}
