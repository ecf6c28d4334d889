//! S2: nothing that a client or a provider says becomes a field, a line or a message of its own on the other side, and what
//! belongs to one connection stays on it.

use crate::stage::{Stage, chat};
use crate::support::answers;
use crate::support::client::{Client, Request};
use crate::support::gateway::PROVIDER_KEY;
use crate::support::provider::Received;
use crate::support::script::Answer;
use serde_json::json;

/// What would be a field, if it became one.
const INJECTED: &str = "x-injected";

/// Texts that end a line, a head or a string where somebody is careless.
const TEXTS: [&str; 14] = [
    "m\r\nx-injected: 1",
    "m\nx-injected: 1",
    "m\rx-injected: 1",
    "m\r\n\r\nHTTP/1.1 200 OK\r\nx-injected: 1\r\n\r\n",
    "m\0x-injected: 1",
    "m\r\n x-injected: 1",
    "m\u{85}x-injected: 1",
    "m\u{2028}x-injected: 1",
    "m\u{b}x-injected: 1",
    "m\"}\r\nx-injected: 1",
    "m%0d%0ax-injected: 1",
    "m\\r\\nx-injected: 1",
    "m\u{1b}[2Jx-injected: 1",
    "m\u{10d}\u{10a}x-injected: 1",
];

fn assert_not_injected(request: &Received) {
    assert!(request.fields.iter().all(|(name, _)| !name.to_ascii_lowercase().contains(INJECTED)), "{request:?}");
}

#[tokio::test]
async fn names_and_ids_with_line_ends_become_no_fields() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    for text in TEXTS {
        let body = json!({"model": text, "messages": [{"role": "user", "content": text}], "user": text});
        let mut asks = vec![Request::post("/v1/chat/completions", &body)];
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        asks.push(Request::post(&format!("/v1beta/models/{encoded}:generateContent"), &json!({"contents": []})));
        asks.push(Request::get(&format!("/v1/models/{encoded}")));
        let mut said = Request::post_raw("/v1/chat/completions", chat("x"));
        said.target += &format!("?x={encoded}");
        asks.push(said);
        for ask in asks {
            let answer = stage.gateway.send(&ask.key(&stage.key.key)).await;
            assert!(answer.field(INJECTED).is_none(), "{text:?}: {:?}", answer.fields);
            assert!([200, 400, 403, 404].contains(&answer.status), "{text:?}: {}", answer.text());
            assert!(!answer.fields.iter().any(|(_, value)| value.contains("injected")), "{:?}", answer.fields);
        }
    }
    stage.provider.received().iter().for_each(assert_not_injected);
    let log = stage.gateway.said();
    assert!(log.lines().all(|line| !line.starts_with(INJECTED)), "{log}");
    stage.assert_serves("afterwards").await;
    stage.finish().await;
}

#[tokio::test]
async fn names_in_the_store_become_no_fields() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    for text in TEXTS.iter().filter(|text| !text.contains('\0')) {
        for option in ["--group", "--user", "--models"] {
            let output = stage.gateway.run(&["key", "create", &format!("{option}{text}"), "--json", option, text]);
            let Ok(row) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
                assert!(!output.status.success(), "{option} {text:?}");
                continue;
            };
            let key = row["key"].as_str().expect("a key");
            let answer = stage.gateway.send(&Request::post_raw("/v1/chat/completions", chat("x")).key(key)).await;
            assert!(answer.field(INJECTED).is_none(), "{option} {text:?}: {:?}", answer.fields);
        }
    }
    stage.provider.received().iter().for_each(assert_not_injected);
    stage.finish().await;
}

#[tokio::test]
async fn what_belongs_to_one_connection_stays_on_it_both_ways() {
    let _alone = crate::alone().await;
    let answer = || {
        let mut answer = Answer::json(200, &answers::chat_body("x", 10, 5)).field("connection", "x-named, keep-alive");
        for name in ["x-named", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer", "upgrade"] {
            answer = answer.field(name, "1");
        }
        answer
    };
    let stage = Stage::new(move |_, _| answer(), |setup| setup).await;
    for nominated in ["x-api-key", "authorization", "X-API-KEY, x-named", "content-length", "x_api_key"] {
        let request = stage.request("x").field("x-api-key", "client-canary").field("x-named", "1");
        let request = request.field("connection", nominated).field("x_api_key", "client-canary").field("x-kept", "1");
        let mut request = request.field("Authorization_", "client-canary").field("content_length", "0");
        for name in ["keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "http2-settings"] {
            request = request.field(name, "1");
        }
        let got = stage.gateway.send(&request).await;
        assert_eq!(got.status, 200, "{nominated}: {}", got.text());
        for name in ["x-named", "proxy-connection", "proxy-authenticate", "te", "trailer", "upgrade"] {
            assert_eq!(got.field(name), None, "{nominated}: {name}");
        }
        let sent = stage.provider.received().pop().expect("a request");
        let credential = format!("Bearer {}", crate::support::gateway::PROVIDER_KEY);
        assert_eq!(sent.field("authorization"), Some(credential.as_str()), "{nominated}");
        assert_eq!(sent.field("x-kept"), Some("1"), "{nominated}");
        for name in
            ["keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "http2-settings", "connection"]
        {
            assert_eq!(sent.field(name), None, "{nominated}: {name}");
        }
        assert!(sent.fields.iter().all(|(name, value)| !name.contains('_') && !value.contains("canary")), "{sent:?}");
    }
    stage.finish().await;
}

/// What a provider writes where its answer's head goes on.
const PROVIDER_FIELDS: [&str; 10] = [
    "x-a: b\nx-injected: 1",
    "x-a: b\rx-injected: 1",
    "x-a: b\0x-injected: 1",
    "x-a: b\r\n x-injected: 1",
    "x-a: b\r\n\tx-injected: 1",
    "x-injected : 1",
    "x-a: \u{e4}\u{fc}",
    "x-request-id: a\nx-injected: 1",
    "retry-after: 1\rx-injected: 1",
    "connection: x-injected\r\nx-injected: 1",
];

#[tokio::test]
async fn a_providers_fields_and_errors_become_no_fields_of_ours() {
    let _alone = crate::alone().await;
    let at = |request: &Received| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let number = body.split("case ").nth(1).and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        number.unwrap_or(0)
    };
    let script = move |_: usize, request: &Received| {
        let case = at(request);
        match PROVIDER_FIELDS.get(case) {
            Some(line) => {
                let (name, value) = line.split_once(": ").unwrap_or((line.trim_end_matches(" : 1"), "1"));
                Answer::json(200, &answers::chat_body("x", 10, 5)).field(name, value)
            }
            None => {
                let text = TEXTS[case - PROVIDER_FIELDS.len()];
                let error = json!({"error": {"message": text, "type": text, "code": text, "param": text}});
                Answer::json(422, &error)
            }
        }
    };
    let stage = Stage::new(script, |setup| setup.set("breaker.failures_to_open", "255")).await;
    for case in 0..PROVIDER_FIELDS.len() + TEXTS.len() {
        for target in ["/v1/chat/completions", "/v1/messages", "/v1/responses"] {
            let body = match target {
                "/v1/responses" => json!({"model": "m", "input": format!("case {case}.")}).to_string(),
                _ => chat(&format!("case {case}.")),
            };
            let request = Request::post_raw(target, body).key(&stage.key.key);
            let client = Client::connect(stage.gateway.address).await.expect("the gateway listens");
            let (answer, client) = client.open(&request).await.rest().await;
            // A bare LF ends a line for some: then it is a field of the provider's own, as it would be for its clients.
            let own = PROVIDER_FIELDS
                .get(case)
                .is_some_and(|line| line.contains("\nx-injected") || line.contains("injected :"));
            assert!(own || answer.field(INJECTED).is_none(), "{case} {target}: {:?}", answer.fields);
            for (name, value) in &answer.fields {
                assert!(!name.chars().any(|c| c.is_control() || c == ' '), "{case}: {name:?}");
                assert!(!value.chars().any(|c| c.is_control() && c != '\t'), "{case}: {value:?}");
            }
            // Nothing is left on the connection that the next answer could begin with.
            let health = client.send(&Request::get("/v1/health")).await;
            assert!(health.status == 200 || health.status == 0, "{case} {target}: {}", health.status);
        }
    }
    stage.finish().await;
}

#[tokio::test]
async fn our_key_is_masked_however_an_upstream_writes_it() {
    let _alone = crate::alone().await;
    let escaped: String = PROVIDER_KEY.bytes().map(|byte| format!(r"\u{byte:04x}")).collect();
    let body = format!(r#"{{"error":{{"message":"wrong key: {escaped}","type":"invalid_request_error"}}}}"#);
    let answer = Answer::new(400, "application/json", body);
    let stage = Stage::new(move |_, _| answer.clone(), |setup| setup).await;
    // In another dialect the upstream's words are read, and written anew.
    let translated = stage.gateway.send(&Request::post_raw("/v1/messages", chat("x")).key(&stage.key.key)).await;
    assert_eq!(translated.status, 400);
    let masked = format!("wrong key: {}", "*".repeat(PROVIDER_KEY.len()));
    assert!(translated.text().contains(&masked), "{}", translated.text());
    stage.finish().await;
}
