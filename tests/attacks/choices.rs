//! S3: a client chooses neither the upstream nor its key, whatever it writes where.

use crate::stage::{Stage, chat};
use crate::support::client::{Body, Request};
use crate::support::gateway::PROVIDER_KEY;
use crate::support::provider::Provider;
use crate::support::script::Answer;
use serde_json::{Value, json};

/// The gate of this promise.
const CASES_MIN: usize = 40;

/// Members of a body that some gateway takes an upstream or a key from.
const MEMBERS: [&str; 30] = [
    "api_base",
    "base_url",
    "api_url",
    "url",
    "endpoint",
    "host",
    "custom_host",
    "custom_llm_provider",
    "azure_endpoint",
    "api_key",
    "apiKey",
    "key",
    "organization",
    "api_version",
    "aws_bedrock_runtime_endpoint",
    "vertex_project",
    "vertex_location",
    "proxy",
    "proxies",
    "model_list",
    "litellm_params",
    "fallbacks",
    "router_settings",
    "config",
    "provider",
    "providers",
    "upstream",
    "extra_headers",
    "headers",
    "metadata",
];

/// Fields of a head that some gateway takes an upstream, a key or a path from.
const FIELDS: [&str; 28] = [
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-for",
    "x-forwarded-prefix",
    "x-original-url",
    "x-rewrite-url",
    "x-original-host",
    "x-host",
    "forwarded",
    "x-real-ip",
    "x-base-url",
    "x-api-base",
    "x-portkey-custom-host",
    "x-portkey-config",
    "x-portkey-provider",
    "x-portkey-virtual-key",
    "custom-host",
    "x-upstream",
    "x-provider",
    "x-tollgate-upstream",
    "x-tollgate-base-url",
    "helicone-target-url",
    "helicone-openai-api-base",
    "cf-aig-authorization",
    "openai-organization",
    "x_forwarded_host",
];

/// Parameters of a query.
const PARAMETERS: [&str; 6] = ["api_base", "base_url", "host", "api_key", "url", "upstream"];

fn cases(evil: &str) -> Vec<(String, Request)> {
    let mut cases = Vec::new();
    let chat: Value = serde_json::from_str(&chat("x")).expect("JSON");
    let url = format!("http://{evil}/v1");
    let headers = json!({"authorization": format!("Bearer {evil}"), "host": evil});
    for member in MEMBERS {
        let values = if member.contains("header") {
            vec![headers.clone()]
        } else {
            vec![json!(url), json!({"api_base": url, "base_url": url}), json!([{"base_url": url}])]
        };
        for value in values {
            let mut body = chat.clone();
            body[member] = value;
            cases.push((format!("member {member}"), Request::post("/v1/chat/completions", &body)));
        }
    }
    for field in FIELDS {
        for value in [evil, url.as_str()] {
            let request = Request::post("/v1/chat/completions", &chat).field(field, value);
            cases.push((format!("field {field}: {value}"), request));
        }
    }
    for parameter in PARAMETERS {
        cases.push((
            format!("parameter {parameter}"),
            Request::post(&format!("/v1/chat/completions?{parameter}={url}"), &chat),
        ));
    }
    for (host, target) in [
        (evil, "/v1/chat/completions".to_owned()),
        (evil, format!("http://{evil}/v1/chat/completions")),
        ("gateway.test", format!("http://{evil}/v1/chat/completions")),
        (evil, format!("//{evil}/v1/chat/completions")),
        (evil, format!("/v1/chat/completions@{evil}")),
        (evil, format!("/{url}/chat/completions")),
        ("gateway.test", format!("/v1/chat/completions/../../{evil}")),
    ] {
        let mut request = Request::post(&target, &chat);
        request.fields[0].1 = host.to_owned();
        cases.push((format!("host {host}, target {target}"), request));
    }
    for model in [url.as_str(), "u/m", "openai/m", "../m", "m@http://evil.example", "m?base_url=x", "m#u"] {
        let mut body = chat.clone();
        body["model"] = json!(model);
        cases.push((format!("model {model}"), Request::post("/v1/chat/completions", &body)));
    }
    cases
}

#[tokio::test]
async fn a_client_chooses_neither_the_upstream_nor_its_key() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let evil = Provider::always(Answer::new(200, "text/plain", "got you")).await;
    let cases = cases(&evil.address.to_string());
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    let (mut served, own) = (0, stage.provider.address.to_string());
    let credential = format!("Bearer {PROVIDER_KEY}");
    for (name, request) in &cases {
        let before = stage.provider.received().len();
        let answer = stage.gateway.send(&request.clone().key(&stage.key.key)).await;
        assert!([200, 400, 404].contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        let arrived = &stage.provider.received()[before..];
        assert_eq!(arrived.len(), usize::from(answer.status == 200), "{name}");
        for sent in arrived {
            served += 1;
            assert_eq!(
                (sent.field("host"), sent.field("authorization")),
                (Some(own.as_str()), Some(credential.as_str())),
                "{name}"
            );
            assert_eq!(sent.target.split('?').next(), Some("/v1/chat/completions"), "{name}");
            let secrets = sent.fields.iter().filter(|(_, value)| value.contains(PROVIDER_KEY)).count();
            assert_eq!(secrets, 1, "{name}: {:?}", sent.fields);
        }
        assert!(!answer.text().contains(PROVIDER_KEY), "{name}");
    }
    assert!(evil.received().is_empty(), "{:?}", evil.received());
    eprintln!("{} cases, {served} served by their own upstream", cases.len());
    assert!(served >= CASES_MIN, "{served}");
    stage.finish().await;
}

/// Fields that would have an upstream read another request than the one that was let in, where they came along.
const READ_OTHERWISE: [(&str, &str); 14] = [
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "application/json; charset=utf-7"),
    ("content-encoding", "deflate"),
    ("content-encoding", "identity"),
    ("content-language", "de"),
    ("content-location", "/v1/models"),
    ("content-range", "bytes 0-1/2"),
    ("x-http-method-override", "GET"),
    ("x-original-url", "/v1/models"),
    ("x-rewrite-url", "/v1/models"),
    ("if-none-match", "*"),
    ("prefer", "respond-async"),
    ("x-dashscope-async", "enable"),
    ("azureml-model-deployment", "dear"),
];

#[tokio::test]
async fn an_upstream_is_told_to_read_a_body_as_it_was_read_here() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let body = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"&model=dear&n=10&"}]}"#;
    for (name, value) in READ_OTHERWISE {
        let request = Request::new("POST", "/v1/chat/completions").body(Body::Length(body.into()));
        let answer = stage.gateway.send(&request.field(name, value).key(&stage.key.key)).await;
        assert_eq!(answer.status, 200, "{name}: {value}: {}", answer.text());
        let sent = stage.provider.received().pop().expect("a request");
        let contents = sent.fields.iter().filter(|(name, _)| name.starts_with("content-"));
        let told = [("content-type", "application/json".to_owned()), ("content-length", body.len().to_string())];
        let told = told.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(contents.cloned().collect::<Vec<_>>(), told, "{name}: {value}");
        assert!(name.starts_with("content-") || sent.field(name).is_none(), "{name}: {value}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn a_form_has_one_boundary_for_everybody() {
    let _alone = crate::alone().await;
    let stage = Stage::repeating().await;
    let part = |boundary: &str, name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let hidden = part("BBB", "model", "dear") + &part("BBB", "n", "10") + "--BBB--\r\n";
    let form = part("AAA", "model", "m") + &part("AAA", "prompt", &hidden) + "--AAA--\r\n";
    let send = async |types: &[&str]| {
        let request = Request::new("POST", "/v1/images/edits").body(Body::Length(form.clone().into()));
        let request = types.iter().fold(request, |request, content_type| request.field("content-type", content_type));
        stage.gateway.send(&request.key(&stage.key.key)).await
    };
    for refused in [
        &["multipart/form-data; boundary=AAA; boundary*=us-ascii''BBB"] as &[&str],
        &["multipart/form-data; boundary=AAA; boundary*0=BBB"],
        &["multipart/form-data; boundary=AAA; boundary=BBB"],
        &["multipart/form-data; boundary=AAA, multipart/form-data; boundary=BBB"],
        &["multipart/form-data; boundary=AAA", "multipart/form-data; boundary=BBB"],
        &["application/json", "multipart/form-data; boundary=BBB"],
        &["application/x-www-form-urlencoded"],
    ] {
        let answer = send(refused).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (400, "INVALID_REQUEST"), "{refused:?}");
    }
    assert!(stage.provider.received().is_empty());
    let answer = send(&["multipart/form-data; x=\"; y=z\"; boundary=\"AAA\"; charset=utf-16"]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = stage.provider.only();
    assert_eq!(sent.field("content-type"), Some("multipart/form-data; boundary=AAA"));
    stage.finish().await;
}
