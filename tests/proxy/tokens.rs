//! Tokens of an identity provider instead of keys (`auth-jwt`), through the whole gateway.

use crate::calls::{COST, Wire, number, plain_chat, serving_keys};
use crate::support::client::Request;
use crate::support::console::Visitor;
use crate::support::gateway::{Gateway, Key, PROVIDER_KEY, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::support::{PATIENCE, until};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ISSUER: &str = "https://login.example";
const SECRET: &str = "jwt-secret-canary-of-32-bytes-or-more";

/// What a sound token claims; seconds are counted from now.
fn claims(key: &str, expires_in_s: i64) -> Value {
    let expires_at = Timestamp::now().as_second() + expires_in_s;
    json!({"iss": ISSUER, "aud": "tollgate", "sub": "somebody", "tollgate_key": key, "exp": expires_at})
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token by a shared secret.
fn shared(header: &Value, claims: &Value, secret: &str) -> String {
    let signed = format!("{}.{}", encoded(header), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
}

fn sound(claims: &Value) -> String {
    shared(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET)
}

/// An identity provider's key.
struct Issuer {
    id: &'static str,
    key: EcdsaKeyPair,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("randomness");
        Self { id, key: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("just made") }
    }

    fn key_set(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256", "x": x, "y": y}]})
    }

    fn token(&self, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(&json!({"alg": "ES256", "kid": self.id})), encoded(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("randomness");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn setup_of(provider: &Provider, algorithm: &str) -> Setup {
    Setup::new([Wire::Chat.upstream("u", provider)])
        .set("plugins.auth-jwt.issuer", &format!("\"{ISSUER}\""))
        .set("plugins.auth-jwt.audience", "\"tollgate\"")
        .set("plugins.auth-jwt.algorithms", &format!("[\"{algorithm}\"]"))
        .set("plugins.auth-jwt.key_claim", "\"tollgate_key\"")
}

/// Sends a chat until it is answered so.
async fn becomes(gateway: &Gateway, token: &str, status: u16) {
    let started = Instant::now();
    loop {
        let answer = gateway.send(&plain_chat(false).key(token)).await;
        if answer.status == status {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "never {status}: {} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn assert_refused(gateway: &Gateway, tokens: &[(&str, String)], code: &str) {
    for (what, token) in tokens {
        for request in [plain_chat(false), Request::get("/v1/models"), Request::get("/v1/user")] {
            let answer = gateway.send(&request.key(token)).await;
            assert_eq!((answer.status, answer.error_code().as_str()), (401, code), "{what}");
            assert_eq!(answer.field("x-tollgate-rejected-by"), Some("auth"), "{what}");
            assert!(!answer.text().contains(&token[..20]), "{what}: {}", answer.text());
        }
    }
}

/// Ends it, and sees to it that nothing of these was printed.
async fn finish(gateway: Gateway, keys: &[&Key], secrets: &[&str]) {
    let said = gateway.said();
    for secret in secrets {
        assert!(!said.contains(&secret[secret.len() - 16..]), "a secret was printed");
    }
    gateway.finish(keys).await;
}

#[tokio::test]
async fn a_token_never_calls_as_a_key_whose_name_a_user_chose() {
    const PASSWORD: &str = "correct horse battery";
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = setup_of(&provider, "HS256")
        .set("plugins.auth-jwt.secret", "\"${JWT_SECRET}\"")
        .environment("JWT_SECRET", SECRET);
    let (gateway, [own]) = serving_keys(&setup, [("mallorys", &["--user", "mallory"])]).await;
    let admin = Visitor::admin(&gateway).await;
    for (name, role) in [("mallory", "user"), ("olga", "operator")] {
        admin.post("/users", &json!({"name": name, "role": role, "password": PASSWORD})).await.ok();
    }
    let mallory = Visitor::sign_in(gateway.address, "mallory", PASSWORD).await;
    let olga = Visitor::sign_in(gateway.address, "olga", PASSWORD).await;
    let token = |name: &str| sound(&claims(name, 3600));
    becomes(&gateway, &token("mallorys"), 200).await;
    // Made, or renamed: what a user calls a key is what nobody's token means.
    let made = mallory.post("/keys", &json!({"name": "alice"})).await.ok();
    let alice = format!("/keys/{}", made["key"]["id"]);
    becomes(&gateway, made["secret"].as_str().expect("shown"), 200).await;
    assert_refused(&gateway, &[("made by a user", token("alice"))], "AUTH_INVALID_TOKEN").await;
    mallory.patch(&format!("/keys/{}", own.id), &json!({"name": "bob"})).await.ok();
    becomes(&gateway, &token("mallorys"), 401).await;
    assert_refused(&gateway, &[("renamed by a user", token("bob"))], "AUTH_INVALID_TOKEN").await;
    // An operator who changes something else has not named it, and a page that sends the name along has not either.
    let edited = json!({"name": "alice", "rpm": 1000});
    assert_eq!(olga.patch(&alice, &edited).await.ok()["rpm"], 1000);
    gateway.key("later", &[]).await;
    assert_refused(&gateway, &[("edited by an operator", token("alice"))], "AUTH_INVALID_TOKEN").await;
    // Whoever has named it means it; the user may still change the rest.
    olga.patch(&alice, &json!({"name": "carol"})).await.ok();
    becomes(&gateway, &token("carol"), 200).await;
    mallory.patch(&alice, &json!({"name": "carol", "rpm": 900})).await.ok();
    gateway.run_json(&["key", "set", "bob", "--name", "bob", "--json"]);
    becomes(&gateway, &token("bob"), 200).await;
    assert_eq!(gateway.send(&Request::get("/v1/user").key(&token("carol"))).await.json()["rpm"], 900);
    let by_operator = olga.post("/keys", &json!({"name": "dave", "user": "mallory"})).await.ok();
    becomes(&gateway, &token("dave"), 200).await;
    assert_eq!(by_operator["key"]["user"], "mallory");
}

#[tokio::test]
async fn a_token_calls_as_the_key_that_it_names_and_keys_go_on_working() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = setup_of(&provider, "HS256")
        .set("plugins.auth-jwt.secret", "\"${JWT_SECRET}\"")
        .set("plugins.auth-jwt.leeway_s", "120")
        .environment("JWT_SECRET", SECRET);
    let (gateway, [ann, bob]) = serving_keys(&setup, [("ann", &["--quota-usd", "0.05"]), ("bob", &[])]).await;
    let token = sound(&claims("ann", 3600));
    let places = [plain_chat(false).key(&token), plain_chat(false).field("x-api-key", &token)];
    for request in &places {
        let answer = gateway.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(gateway.record_of(&answer).await["key_name"], "ann");
    }
    // Longer ago than clocks differ without `leeway_s`.
    assert_eq!(gateway.send(&plain_chat(false).key(&sound(&claims("ann", -100)))).await.status, 200);
    let user = gateway.send(&Request::get("/v1/user").key(&token)).await.json();
    assert_eq!((&user["name"], number(&user, "spent_nanos")), (&json!("ann"), 3 * COST));
    assert!(!user.to_string().contains(&token[..20]));
    let own = gateway.send(&plain_chat(false).key(&bob.key)).await;
    assert_eq!((own.status, &gateway.record_of(&own).await["key_name"]), (200, &json!("bob")));
    let with = |name: &str, value: Value| {
        let mut claims = claims("ann", 3600);
        claims[name] = value;
        sound(&claims)
    };
    let good = claims("ann", 3600);
    let unsigned = format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(&good));
    let forged = [
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("another audience", with("aud", json!("another"))),
        ("a key that is not there", with("tollgate_key", json!("nobody"))),
        ("not yet", with("nbf", json!(Timestamp::now().as_second() + 300))),
        ("another claim's key", with("tollgate_key", Value::Null)),
        ("without a signature", unsigned),
        ("another algorithm", shared(&json!({"alg": "HS512"}), &good, SECRET)),
        ("another secret", shared(&json!({"alg": "HS256"}), &good, "another secret that has 32 bytes")),
        ("public keys, which are not configured", Issuer::new("k").token(&good)),
        ("what must be understood", shared(&json!({"alg": "HS256", "crit": ["exp"]}), &good, SECRET)),
        ("cut off", token[..token.len() - 1].to_owned()),
        ("longer than one may be", with("more", json!("x".repeat(9000)))),
    ];
    assert_refused(&gateway, &forged, "AUTH_INVALID_TOKEN").await;
    assert_refused(&gateway, &[("expired", sound(&claims("ann", -121)))], "TOKEN_EXPIRED").await;
    assert_eq!(gateway.send(&plain_chat(false)).await.error_code(), "AUTH_MISSING_TOKEN");
    assert!(provider.received().iter().all(|request| {
        request.field("x-api-key").is_none()
            && request.field("authorization") == Some(&format!("Bearer {PROVIDER_KEY}"))
    }));
    assert_eq!(provider.received().len(), 4);
    // Whatever may be said of a key, is said of those who come with tokens.
    assert!(gateway.run(&["key", "disable", "ann"]).status.success());
    becomes(&gateway, &token, 401).await;
    assert!(gateway.run(&["key", "enable", "ann"]).status.success());
    becomes(&gateway, &token, 200).await;
    finish(gateway, &[&ann, &bob], &[SECRET, &token]).await;
}

#[tokio::test]
async fn an_issuers_keys_are_fetched_beside_the_requests_again_and_again() {
    let (first, second) = (Issuer::new("first"), Issuer::new("second"));
    let published = Arc::new(Mutex::new(Answer::json(200, &first.key_set())));
    let publish = |answer: Answer| *published.lock().expect("a test's own") = answer;
    let login = Provider::start({
        let published = published.clone();
        move |_, _| published.lock().expect("a test's own").clone()
    })
    .await;
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = setup_of(&provider, "ES256")
        .set("plugins.auth-jwt.jwks_url", &format!("\"{}\"", login.url("/keys?x=1")))
        .set("plugins.auth-jwt.jwks_refresh_s", "1");
    let (gateway, [key]) = serving_keys(&setup, [("ann", &[])]).await;
    let [old, new] = [&first, &second].map(|issuer| issuer.token(&claims("ann", 3600)));
    becomes(&gateway, &old, 200).await;
    // Nobody has to come for that.
    let before = login.received().len();
    until("it is asked again", || (login.received().len() > before + 1).then_some(())).await;
    publish(Answer::json(200, &second.key_set()));
    becomes(&gateway, &new, 200).await;
    assert_refused(&gateway, &[("of the key before", old)], "AUTH_INVALID_TOKEN").await;
    publish(Answer::json(500, &json!({"error": "x"})));
    let before = login.received().len();
    until("it has failed", || (login.received().len() > before + 1).then_some(())).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&new)).await.status, 200, "the last good keys");
    until("a word about it", || gateway.said().contains("the keys at `jwks_url` cannot be read").then_some(())).await;
    // A reload keeps them, though they cannot be had now.
    let config = gateway.read("tollgate.toml");
    gateway.write("tollgate.toml", &config.replace("jwks_refresh_s = 1", "jwks_refresh_s = 3600"));
    until("the reload", || gateway.said().contains("configuration and prices are in force").then_some(())).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&new)).await.status, 200);
    for request in login.received() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/keys?x=1"));
        assert!(request.field("authorization").is_none());
    }
    finish(gateway, &[&key], &[&new]).await;
}

#[tokio::test]
async fn an_issuers_keys_may_stand_in_a_file() {
    let issuer = Issuer::new("k");
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let mut gateway =
        Gateway::prepare(&setup_of(&provider, "ES256").set("plugins.auth-jwt.jwks_file", "\"keys.json\""));
    let checked = gateway.run(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("plugins.auth-jwt.jwks_file: "), "{said}");
    gateway.write("keys.json", &issuer.key_set().to_string());
    assert!(gateway.run(&["check"]).status.success());
    let key = gateway.key("ann", &[]).await;
    gateway.serve().await;
    // At once: it was read before anything was served.
    assert_eq!(gateway.send(&plain_chat(false).key(&issuer.token(&claims("ann", 3600)))).await.status, 200);
    let stranger = Issuer::new("k").token(&claims("ann", 3600));
    assert_refused(&gateway, &[("a stranger's", stranger)], "AUTH_INVALID_TOKEN").await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn before_an_issuers_keys_are_there_its_tokens_may_come_again() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    // Nobody listens there.
    let nowhere = crate::support::gateway::free_address();
    let setup = setup_of(&provider, "ES256").set("plugins.auth-jwt.jwks_url", &format!("\"http://{nowhere}/\""));
    let (gateway, [key]) = serving_keys(&setup, [("ann", &[])]).await;
    let answer = gateway.send(&plain_chat(false).key(&Issuer::new("k").token(&claims("ann", 3600)))).await;
    assert_eq!((answer.status, answer.error_code().as_str()), (503, "UPSTREAM_UNAVAILABLE"));
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200, "keys need no issuer");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn mistakes_are_named_and_secrets_are_not() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = setup_of(&provider, "HS256").set("plugins.auth-jwt.secret", "\"${JWT_SECRET}\"");
    for (secret, expected) in [
        ("short-canary", Some("plugins.auth-jwt.secret: is too short, expected text of at least 32 bytes")),
        (SECRET, None),
    ] {
        let gateway = Gateway::prepare(&setup.clone().environment("JWT_SECRET", secret));
        let checked = gateway.run(&["check"]);
        let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
        assert_eq!(checked.status.success(), expected.is_none(), "{said}");
        assert!(said.contains(expected.unwrap_or_default()) && !said.contains(secret), "{said}");
    }
}
