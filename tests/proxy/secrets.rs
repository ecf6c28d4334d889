//! Secrets: a canary in every place that can hold one, and every kind of request and failure. Then all that a gateway leaves
//! behind (what it prints, logs, sends, stores and answers) is searched for each canary in every form.

use crate::calls::{TOKENS, Wire, plain_chat, wants_stream};
use crate::support::client::{Answer as Got, Client, Request};
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break};
use crate::support::{h2c, tls, until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem::Finder;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// So much of a secret gives it away.
const PREFIX_BYTES: usize = 8;

/// A secret that must show nowhere; all begin differently, with what nothing else has in it.
const PROVIDER: &str = "pQ7vXk2Zw9LmT4sB-provider-key";
const SEALED: &str = "sE5hRj8Nc3YbV6dG-sealed-provider-key";
const FIELD: &str = "wH4gTf9Mx2KqZ7pL-secret-of-headers";
const ACCOUNT: &str = "mD5yTk8Hv2LqC9rX-credential-of-headers";
const COLLECTOR: &str = "cO6nBd3Rv8JsW5yF-key-of-the-collector";
const RELOAD: &str = "rL9kPz4Qt7HxC2mD-secret-of-the-reload";
const PROMPT: &str = "bY3wGn8Xk5VfJ6rT-prompt";
const SPOKEN: &str = "aN7zQc4Lh9PmS2tW-answer";
const COOKIE: &str = "kC5xDj2Fb8RvM9gZ-cookie";
const CUSTOM: &str = "uT8qHs6Yw3NkB4pX-field";
const QUERY: &str = "qV2mZf7Gd9TcL5jR-query";
const JUNK: &str = "jK6bWx3Pn8SyH4vQ-junk-credential";
const SCHEME: &str = "zS4tRg9Dm6XqF7cN-scheme";
const BROKEN: &str = "eB9yLk5Jw2CzT8hM-in-a-broken-file";

/// What a secret could look like.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let start = secret.get(..PREFIX_BYTES).expect("long enough").as_bytes();
    let hex = |upper: bool| {
        let digit = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        start.iter().map(digit).collect::<Vec<_>>()
    };
    let mut forms = vec![secret[..PREFIX_BYTES].to_owned(), secret[..PREFIX_BYTES].to_lowercase()];
    for digits in [hex(false), hex(true)] {
        forms.extend([
            digits.concat(),
            digits.join(" "),
            format!("%{}", digits.join("%")),
            format!("\\x{}", digits.join("\\x")),
        ]);
    }
    // As the debug form of a list of bytes has it.
    forms.push(start.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
    // In base64 it looks different by where it begins; the characters at both ends depend on the neighbours.
    for before in 0..3 {
        let text = STANDARD_NO_PAD.encode([&vec![0; before], secret.as_bytes()].concat());
        let first = [0, 2, 3][before];
        let part = text[first..first + 12].to_owned();
        forms.extend([part.replace('+', "-").replace('/', "_"), part]);
    }
    forms.into_iter().map(String::into_bytes).collect()
}

/// Everything that was left behind, by where.
#[derive(Default)]
struct Left(BTreeMap<String, Vec<u8>>);

impl Left {
    fn add(&mut self, place: impl Into<String>, bytes: &[u8]) {
        // A journal's segments are reserved as a whole.
        self.0.entry(place.into()).or_default().extend(bytes.iter().filter(|byte| **byte != 0));
    }

    fn folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => self.folder(&path),
                false => self.add(format!("{}", path.display()), &std::fs::read(&path).unwrap_or_default()),
            }
        }
    }

    /// Where any of these stands, and in what form.
    fn found(&self, secrets: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for secret in secrets {
            for form in forms(secret) {
                let finder = Finder::new(&form);
                for (place, bytes) in &self.0 {
                    if let Some(at) = finder.find(bytes) {
                        let around = &bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())];
                        let form = String::from_utf8_lossy(&form).into_owned();
                        found.push(format!("{secret} as {form} in {place}: {:?}", String::from_utf8_lossy(around)));
                    }
                }
            }
        }
        found
    }
}

#[test]
fn every_form_of_a_secret_is_found() {
    for before in ["", "x", "xy"] {
        let bytes = format!("{before}{PROVIDER}");
        for text in [
            bytes.clone(),
            STANDARD_NO_PAD.encode(&bytes),
            bytes.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            bytes.bytes().map(|byte| format!("{byte:02x}")).collect(),
            format!("{:?}", bytes.as_bytes()),
            PROVIDER[..PREFIX_BYTES].to_owned(),
        ] {
            let mut left = Left::default();
            left.add("x", format!("… {text} …").as_bytes());
            assert!(!left.found(&[PROVIDER]).is_empty(), "{text}");
            assert!(left.found(&[SEALED, FIELD, PROMPT]).is_empty(), "{text}");
        }
    }
}

/// A provider that fails in every way, and says what it was told when it does.
async fn provider() -> Provider {
    Provider::start(|before, request| {
        let field = |name: &str| request.field(name).unwrap_or_default().to_owned();
        let told =
            [field("authorization"), field("x-api-key"), field("x-hook-secret"), field("x-credential")].join(" ");
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let error = json!({"error": {"message": format!("bad: {told}"), "prompt": body, "code": told}});
        let sse = |last: String| Answer::stream([format!("data: {error}\n\n"), last]);
        match before % 9 {
            0 => Wire::Chat.answer(wants_stream(request)),
            1 => Answer::json(401, &error),
            2 => Answer::json(429, &error).field("x-told", told),
            3 => Answer::nothing(Break::Rst),
            4 => Answer::new(200, "text/html", format!("<html>{told} {body}</html>")),
            5 => Wire::Chat.stream(&TOKENS).cut(300, Break::Rst),
            6 => sse("data: [DONE]\n\n".to_owned()),
            7 => Answer::json(302, &error).field("location", format!("http://127.0.0.1:1/?key={told}")),
            _ => Wire::Chat.stream(&[SPOKEN, " there"]),
        }
    })
    .await
}

fn setup(provider: &Provider, collector: &Provider) -> Setup {
    // Whoever asks for everything, and by name for what shows most, gets no wire log.
    let asked = "trace,h2::codec=trace,ureq_proto::util=trace,ureq=trace,pingora_core=trace,hyper=trace,rustls=trace";
    let headers = format!("headers = {{ x-hook-secret = \"{FIELD}\", x-credential = \"{ACCOUNT}\" }}");
    let upstream = |name: &str| Wire::Chat.upstream(name, provider).with(&headers);
    Setup::new([
        upstream("plain").with(&format!("api_key = \"{PROVIDER}\"")),
        upstream("sealed").with("api_key = \"SEALED\""),
        Wire::Messages.upstream("other", provider).with("api_key = \"${OTHER}\"").models("[\"claude\"]"),
    ])
    .set("breaker.open_ms", "1")
    .set("server.reload_secret", &format!("\"{RELOAD}\""))
    .set("server.master_key_file", "\"master\"")
    .set("plugins.access-log.output", "\"file\"")
    .set("plugins.access-log.path", "\"access.log\"")
    .set("plugins.otlp.endpoint", &format!("\"{}\"", collector.url("")))
    .set("plugins.otlp.headers", &format!("{{ authorization = \"Bearer {COLLECTOR}\" }}"))
    .environment("OTHER", PROVIDER)
    .environment("RUST_BACKTRACE", "full")
    .environment("TOLLGATE_LOG", asked)
}

/// A folder with the master key and the value that it sealed; the master key.
fn sealed(gateway: &Gateway) -> String {
    let master = String::from_utf8(gateway.run(&["secret", "key"]).stdout).expect("text").trim().to_owned();
    gateway.write("master", &master);
    std::fs::set_permissions(gateway.path("master"), Permissions::from_mode(0o600)).expect("our file");
    let output = gateway.run_with_input(&["secret", "seal", "sealed"], SEALED);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let value = String::from_utf8(output.stdout).expect("text");
    gateway
        .write("tollgate.toml", &gateway.read("tollgate.toml").replace("\"SEALED\"", &format!("\"{}\"", value.trim())));
    master
}

/// Requests of every kind: each place where a credential goes, and each way to be refused.
fn requests(key: &str) -> Vec<Request> {
    let chat = |stream: bool, model: &str| {
        let mut body = Wire::Chat.body(model, stream);
        body["messages"][0]["content"] = json!(PROMPT);
        Request::post(&format!("/v1/chat/completions?x={QUERY}"), &body)
            .field("cookie", &format!("session={COOKIE}"))
            .field("x-custom", CUSTOM)
    };
    let mut requests = Vec::new();
    for stream in [false, true] {
        for name in ["x-api-key", "x-goog-api-key", "api-key"] {
            requests.push(chat(stream, "m").field(name, key));
        }
        requests.extend((0..9).map(|_| chat(stream, "m").key(key)));
        let mut in_query = chat(stream, "m");
        in_query.target += &format!("&key={key}");
        requests.push(in_query);
        requests.push(Wire::Messages.request_for("claude", stream).field("x-api-key", key));
        requests.push(Wire::GeminiEvents.request_for("m", stream).field("x-goog-api-key", key));
    }
    // Refusals: no model, a wrong one, what is no JSON, too large, no such page, a wrong method.
    requests.push(chat(false, "no-such-model").key(key));
    requests.push(Request::post_raw("/v1/chat/completions", format!("{{\"messages\": [\"{PROMPT}")).key(key));
    requests.push(Request::post(&format!("/v1/chat/completions/x?x={QUERY}"), &json!({"a": PROMPT})).key(key));
    requests.push(Request::get(&format!("/v1/no-such-page?x={QUERY}&key={key}")));
    requests.push(chat(false, "m").key(key).field("content-encoding", CUSTOM));
    requests.push(chat(false, "m").key(key).field("connection", &format!("host, {CUSTOM}")));
    // Credentials that are none.
    for scheme in ["Bearer", "Basic", SCHEME] {
        requests.push(plain_chat(false).field("authorization", &format!("{scheme} {JUNK}")));
    }
    for name in ["x-api-key", "x-goog-api-key", "api-key"] {
        requests.push(plain_chat(false).field(name, JUNK));
    }
    let mut junk = plain_chat(false);
    junk.target += &format!("?key=sk-tg-{JUNK}");
    requests.push(junk);
    requests.push(Request::post("/console/internal/reload", &json!({})).key(JUNK));
    requests
}

/// What of an answer may not show these: its head and its body.
fn keep(left: &mut Left, number: usize, answer: &Got) {
    left.add(format!("answer {number}"), format!("{:?} {}", answer.fields, answer.text()).as_bytes());
}

async fn drive(gateway: &Gateway, key: &str, answers: &mut Left) {
    for (number, request) in requests(key).into_iter().enumerate() {
        let answer =
            if number % 4 == 0 { h2c::send(gateway.address, &request).await } else { gateway.send(&request).await };
        keep(answers, number, &answer);
    }
    // What is no HTTP at all, and requests that break off: in their heads, in their bodies.
    let head = format!("POST /v1/chat/completions?x={QUERY} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n");
    for bytes in
        [format!("{JUNK}\r\n\r\n"), head.clone(), format!("{head}content-length: 400\r\n\r\n{{\"a\": \"{PROMPT}")]
    {
        let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
        let _ = client.write(bytes.as_bytes()).await;
    }
}

/// Everything that an operator can ask, and the files that are wrong.
fn ask(gateway: &Gateway, left: &mut Left) {
    let commands: [&[&str]; 14] = [
        &["check"],
        &["key", "list"],
        &["key", "list", "--json"],
        &["key", "show", "tester", "--json"],
        &["upstream", "list"],
        &["upstream", "list", "--json"],
        &["upstream", "test"],
        &["upstream", "test", "--json"],
        &["log", "list", "--json"],
        &["usage", "--json"],
        &["price", "show"],
        &["ledger", "verify", "--json"],
        &["health", "--ready"],
        &["secret", "rotate"],
    ];
    for command in commands {
        let output = gateway.run(command);
        left.add(command.join(" "), &[output.stdout, output.stderr].concat());
    }
}

/// Files with a mistake next to a secret: what `check` says of them, and `serve` when it does not start.
fn break_files(gateway: &Gateway, left: &mut Left) {
    let (config, prices) = (gateway.read("tollgate.toml"), gateway.read("pricing.toml"));
    let key = format!("\"{PROVIDER}\"");
    let value = config.split('"').find(|text| text.starts_with("sealed:")).expect("a sealed value").to_owned();
    for (from, to) in [
        (key.clone(), format!("\"{PROVIDER} {BROKEN}\"")),
        (key.clone(), format!("\"{PROVIDER}")),
        (key.clone(), PROVIDER.to_owned()),
        (key.clone(), format!("[\"{PROVIDER}\"]")),
        (key.clone(), format!("\"${{{BROKEN}}}\"")),
        (key, format!("\"${{OTHER}}\\u0000{BROKEN}\"")),
        (value.clone(), format!("{value}{BROKEN}")),
        ("name = \"sealed\"".into(), "name = \"renamed\"".into()),
        (format!("x-hook-secret = \"{FIELD}\""), format!("x-hook-secret = \"{FIELD}\\n\"")),
        (format!("x-hook-secret = \"{FIELD}\""), format!("x-hook-secret = {FIELD}")),
        (format!("\"{RELOAD}\""), format!("[\"{RELOAD}\"]")),
        (format!("\"{RELOAD}\""), format!("\"{RELOAD}")),
        (format!("\"Bearer {COLLECTOR}\""), format!("\"Bearer {COLLECTOR}\\n{BROKEN}\"")),
        (format!("\"Bearer {COLLECTOR}\""), format!("Bearer {COLLECTOR}")),
        ("base_url = \"http://".into(), format!("base_url = \"http://user:{BROKEN}@")),
        ("base_url = \"http://".into(), format!("base_url = \"http://h/?key={BROKEN}#")),
    ] {
        assert!(config.contains(&from), "{from}");
        gateway.write("tollgate.toml", &config.replace(&from, &to));
        for command in ["check", "serve"] {
            let output = gateway.run(&[command]);
            assert_eq!(output.status.code(), Some(2), "{command}: {to}");
            left.add(format!("{command} {to:.12}"), &[output.stdout, output.stderr].concat());
        }
    }
    gateway.write("tollgate.toml", &config);
    gateway.write("pricing.toml", &format!("[[model]]\nname = \"{BROKEN}"));
    left.add("check of prices", &gateway.run(&["check"]).stderr);
    gateway.write("pricing.toml", &prices);
}

// Commands that call the provider are waited for while it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_ever_printed_whatever_goes_wrong() {
    let collector = Provider::always(Answer::json(200, &json!({}))).await;
    let provider = provider().await;
    let mut gateway = Gateway::prepare(&setup(&provider, &collector));
    let master = sealed(&gateway);
    let key = gateway.key("tester", &[]).await;
    let (mut left, mut answers) = (Left::default(), Left::default());
    gateway.serve().await;
    drive(&gateway, &key.key, &mut answers).await;
    // A reload, and one that is refused; then the end in the middle of something, and a new start.
    let reload = Request::post("/console/internal/reload", &json!({})).key(RELOAD);
    assert_eq!(gateway.send(&reload).await.status, 200);
    let config = gateway.read("tollgate.toml");
    gateway.write("tollgate.toml", &config.replace(&format!("\"{PROVIDER}\""), PROVIDER));
    keep(&mut left, 1000, &gateway.send(&reload).await);
    gateway.write("tollgate.toml", &config);
    until("the spans", || collector.received().iter().any(|call| !call.body.is_empty()).then_some(())).await;
    left.add("metrics", gateway.metrics().await.as_bytes());
    gateway.kill().await;
    gateway.serve().await;
    drive(&gateway, &key.key, &mut answers).await;
    ask(&gateway, &mut left);
    left.add("metrics", gateway.metrics().await.as_bytes());
    gateway.stop().await;
    break_files(&gateway, &mut left);
    assert!(provider.received().iter().any(|call| call.field("authorization") == Some(&format!("Bearer {SEALED}"))));
    for (number, call) in collector.received().iter().enumerate() {
        left.add(format!("span {number}"), &call.body);
    }
    left.add("stdout and stderr", gateway.said().as_bytes());
    left.add("access.log", gateway.read("access.log").as_bytes());
    left.folder(&gateway.path("data"));
    for place in ["access.log", "stdout and stderr", "metrics", "span 0", "log list --json"] {
        assert!(left.0[place].len() > 100, "{place}: {}", String::from_utf8_lossy(&left.0[place]));
    }
    // Behind `sk-tg-`, which all keys have.
    let (ours, old) = (&key.key[6..], &master[..]);
    let operators = [PROVIDER, SEALED, FIELD, ACCOUNT, COLLECTOR, RELOAD, BROKEN, old];
    let clients = [ours, PROMPT, SPOKEN, COOKIE, CUSTOM, QUERY, JUNK, SCHEME];
    let found = left.found(&[&operators[..], &clients].concat());
    assert!(found.is_empty(), "{} places\n{}", found.len(), found.join("\n"));
    // To a client the operator's secrets are none of its own; what it said itself may come back to it.
    let found = answers.found(&[&operators[..], &[ours, COOKIE, CUSTOM, JUNK, SCHEME]].concat());
    assert!(found.is_empty(), "{} answers\n{}", found.len(), found.join("\n"));
    let said = gateway.said();
    // Some libraries dump bytes, a few in a line: hexadecimal, two blanks, and what can be read of it.
    let mut dumped = Left::default();
    let texts: String = said.lines().filter_map(|line| line.rsplit_once("  ")).map(|(_, text)| text).collect();
    dumped.add("what was dumped", texts.as_bytes());
    assert_eq!(dumped.found(&clients), Vec::<String>::new());
    let wordy = said.lines().find(|line| line.contains(" TRACE ") || line.contains(" DEBUG "));
    assert!(wordy.is_none_or(|line| line.contains(" tollgate")), "{wordy:?}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_tls_key_is_never_printed_whatever_is_wrong_with_it() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("server.tls.certificate", &format!("{:?}", tls::file("certificate.pem").to_string_lossy()))
        .set("server.tls.key", "\"key.pem\"")
        .environment("TOLLGATE_LOG", "trace");
    let whole = std::fs::read_to_string(tls::file("key.pem")).expect("a key");
    let secret = whole.lines().nth(1).expect("a line of it");
    let mut gateway = Gateway::prepare(&setup);
    let mut left = Left::default();
    for (content, starts) in [
        (whole.clone(), true),
        (whole.replace("-----END", "-----ENT"), false),
        (whole.replacen(&secret[20..], "!!!!", 1), false),
        (secret.to_owned(), false),
        (std::fs::read_to_string(tls::file("second-key.pem")).expect("another"), false),
    ] {
        gateway.write("key.pem", &content);
        if starts {
            gateway.serve_tls().await;
            let (stream, _) = tls::connect(gateway.address, &["http/1.1"]).await;
            assert_eq!(Client::over(stream).send(&Request::get("/v1/health")).await.status, 200);
            gateway.stop().await;
            continue;
        }
        for command in ["check", "serve"] {
            let output = gateway.run(&[command]);
            assert!(command == "check" || !output.status.success(), "{command}");
            left.add(command, &[output.stdout, output.stderr].concat());
        }
    }
    left.add("stdout and stderr", gateway.said().as_bytes());
    let second = std::fs::read_to_string(tls::file("second-key.pem")).expect("another");
    // Not the first characters, which all keys of a kind have.
    let found = left.found(&[&secret[24..], &second.lines().nth(1).expect("a line")[24..]]);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn a_sealed_api_key_goes_upstream_opened_and_a_new_master_key_takes_over_without_a_restart() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("sealed", &provider).with("api_key = \"SEALED\"")])
        .set("server.master_key_file", "\"master\"")
        .set("server.reload_secret", &format!("\"{RELOAD}\""));
    let mut gateway = Gateway::prepare(&setup);
    let old = sealed(&gateway);
    let key = gateway.key("tester", &[]).await;
    gateway.serve().await;
    let reload = Request::post("/console/internal/reload", &json!({})).key(RELOAD);
    let new = String::from_utf8(gateway.run(&["secret", "key"]).stdout).expect("text");
    let put = |text: &str| std::fs::write(gateway.path("master"), text).expect("our file");
    // Both, then what is sealed anew, then the new one alone.
    put(&format!("{new}{old}"));
    assert!(gateway.run(&["secret", "rotate"]).status.success());
    put(&new);
    let answer = gateway.send(&reload).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The old one opens nothing any more: refused, and the configuration that runs goes on.
    put(&old);
    let answer = gateway.send(&reload).await;
    assert!(answer.status == 422 && answer.text().contains("another master key"), "{}", answer.text());
    std::fs::set_permissions(gateway.path("master"), Permissions::from_mode(0o644)).expect("our file");
    let answer = gateway.send(&reload).await;
    assert!(answer.status == 422 && answer.text().contains("server.master_key_file"), "{}", answer.text());
    for _ in 0..2 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    }
    assert!(provider.received().iter().all(|call| call.field("authorization") == Some(&format!("Bearer {SEALED}"))));
    std::fs::set_permissions(gateway.path("master"), Permissions::from_mode(0o600)).expect("our file");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn the_database_holds_no_key_and_what_it_holds_opens_nothing() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let mut gateway = Gateway::prepare(&Setup::new([Wire::Chat.upstream("u", &provider)]));
    let key = gateway.key("tester", &[]).await;
    let old = key.key.clone();
    let rotated = gateway.run_json(&["key", "rotate", "tester", "--json"]);
    let new = rotated[0]["key"].as_str().expect("shown this once").to_owned();
    gateway.serve().await;
    assert_eq!(gateway.send(&plain_chat(false).key(&new)).await.status, 200);
    assert_eq!(gateway.send(&plain_chat(false).key(&old)).await.status, 401);
    // Not even who has the database's own digest of a key can use it.
    for digest in [crate::support::sha256(new.as_bytes()), format!("sk-tg-{}", crate::support::sha256(new.as_bytes()))]
    {
        assert_eq!(gateway.send(&plain_chat(false).key(&digest)).await.status, 401);
    }
    gateway.stop().await;
    let mut left = Left::default();
    left.folder(&gateway.path("data"));
    for command in [&["key", "list", "--json"][..], &["key", "show", "tester", "--json"], &["log", "list", "--json"]] {
        left.add(command.join(" "), &gateway.run(command).stdout);
    }
    let found = left.found(&[&new[6..], &old[6..]]);
    assert!(found.is_empty(), "{}", found.join("\n"));
    gateway.finish(&[]).await;
}
