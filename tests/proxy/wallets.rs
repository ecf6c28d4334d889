//! Wallets instead of keys (`auth-siwe`), through the whole gateway.

use crate::calls::{Wire, plain_chat, serving_keys};
use crate::support::client::{Answer as Got, Body, Request};
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::Provider;
use crate::support::{PATIENCE, until};
use futures::future::join_all;
use jiff::Timestamp;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use std::time::{Duration, Instant};

const NONCE: &str = "/v1/auth/siwe/nonce";
const VERIFY: &str = "/v1/auth/siwe/verify";
const SECRET: &str = "siwe-secret-canary-of-32-bytes-or-more";

/// A wallet: the private key is its number, 32 times over.
struct Wallet(SigningKey);

impl Wallet {
    fn new(number: u8) -> Self {
        Self(SigningKey::from_slice(&[number; 32]).expect("a number of the curve's"))
    }

    /// With its checksum (EIP-55).
    fn address(&self) -> String {
        let point = self.0.verifying_key().to_sec1_point(false);
        let digits = hex::encode(&Keccak256::digest(&point.as_bytes()[1..])[12..]);
        let hash = hex::encode(Keccak256::digest(digits.as_bytes()));
        let letters = digits.chars().zip(hash.chars());
        let written =
            letters.map(|(letter, of_hash)| if of_hash >= '8' { letter.to_ascii_uppercase() } else { letter });
        format!("0x{}", written.collect::<String>())
    }

    /// As `personal_sign` does.
    fn sign(&self, message: &str) -> String {
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
        let (signature, id) = self.0.sign_prehash_recoverable(&Keccak256::digest(prefixed.as_bytes()));
        format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + id.to_byte())
    }

    /// A message as it should be.
    fn message(&self, nonce: &str) -> String {
        format!(
            "gateway.test wants you to sign in with your Ethereum account:\n{}\n\n\nURI: https://gateway.test/login\n\
             Version: 1\nChain ID: 137\nNonce: {nonce}\nIssued At: {:.0}",
            self.address(),
            Timestamp::now()
        )
    }

    fn login(&self, message: &str) -> Request {
        Request::post(VERIFY, &json!({"message": message, "signature": self.sign(message)}))
    }
}

fn setup_of(provider: &Provider) -> Setup {
    let wallets =
        [(1, "ann"), (2, "bob")].map(|(number, key)| format!("\"{}\" = \"{key}\"", Wallet::new(number).address()));
    Setup::new([Wire::Chat.upstream("u", provider)])
        .set("plugins.auth-siwe.domain", "\"gateway.test\"")
        .set("plugins.auth-siwe.uri", "\"https://gateway.test/login\"")
        .set("plugins.auth-siwe.chain_ids", "[137]")
        .set("plugins.auth-siwe.secret", "\"${SIWE_SECRET}\"")
        .set("plugins.auth-siwe.wallets", &format!("{{ {} }}", wallets.join(", ")))
        .environment("SIWE_SECRET", SECRET)
}

async fn nonce(gateway: &Gateway) -> String {
    let answer = gateway.send(&Request::new("POST", NONCE).body(Body::Length("".into()))).await;
    assert_eq!((answer.status, answer.field("cache-control")), (200, Some("no-store")), "{}", answer.text());
    answer.json()["nonce"].as_str().expect("a nonce").to_owned()
}

/// A session of this wallet.
async fn session(gateway: &Gateway, wallet: &Wallet) -> (String, Value) {
    let answer = gateway.send(&wallet.login(&wallet.message(&nonce(gateway).await))).await;
    assert_eq!((answer.status, answer.field("cache-control")), (200, Some("no-store")), "{}", answer.text());
    (answer.json()["token"].as_str().expect("a token").to_owned(), answer.json())
}

fn assert_refused(answer: &Got, status: u16, code: &str) {
    assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{}", answer.text());
    assert!(!answer.text().contains("sk-tgw-"), "{}", answer.text());
}

#[tokio::test]
async fn a_wallet_logs_in_and_calls_as_its_key() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, [ann, bob]) = serving_keys(&setup_of(&provider), [("ann", &[]), ("bob", &[])]).await;
    let mut tokens = Vec::new();
    for (number, name) in [(1, "ann"), (2, "bob")] {
        let (token, answer) = session(&gateway, &Wallet::new(number)).await;
        let chat = gateway.send(&plain_chat(false).key(&token)).await;
        assert_eq!((chat.status, &gateway.record_of(&chat).await["key_name"]), (200, &json!(name)));
        assert_eq!(gateway.send(&Request::get("/v1/user").field("x-api-key", &token)).await.json()["name"], name);
        let ends: Timestamp = answer["expires_at"].as_str().and_then(|text| text.parse().ok()).expect("a time");
        let lasts_s = ends.as_second() - Timestamp::now().as_second();
        assert!((3000..=3600).contains(&lasts_s), "an hour: {answer}");
        tokens.push(token);
    }
    assert_eq!(gateway.send(&plain_chat(false).key(&ann.key)).await.status, 200, "keys go on working");
    let wallet = Wallet::new(1);
    for (from, to) in [
        ("gateway.test wants", "evil.test wants"),
        ("URI: https://gateway.test/login", "URI: https://gateway.test/"),
        ("Chain ID: 137", "Chain ID: 1"),
    ] {
        let message = wallet.message(&nonce(&gateway).await).replacen(from, to, 1);
        assert_refused(&gateway.send(&wallet.login(&message)).await, 401, "AUTH_INVALID_TOKEN");
    }
    for (from, to) in [("Version: 1", "Version: 2"), ("\n", "\r\n"), ("0x", "0X"), ("Issued At: 2", "Issued At: x2")] {
        let message = wallet.message(&nonce(&gateway).await).replacen(from, to, 1);
        let answer = gateway.send(&wallet.login(&message)).await;
        assert_refused(&answer, 400, "INVALID_REQUEST");
        assert_eq!(answer.json()["error"]["param"], "message");
    }
    let expired = format!("{}\nExpiration Time: 2020-01-01T00:00:00Z", wallet.message(&nonce(&gateway).await));
    assert_refused(&gateway.send(&wallet.login(&expired)).await, 401, "TOKEN_EXPIRED");
    let message = wallet.message(&nonce(&gateway).await);
    let stolen = json!({"message": message, "signature": Wallet::new(2).sign(&message)});
    assert_refused(&gateway.send(&Request::post(VERIFY, &stolen)).await, 401, "AUTH_INVALID_TOKEN");
    let unknown = Wallet::new(3);
    let answer = gateway.send(&unknown.login(&unknown.message(&nonce(&gateway).await))).await;
    assert_refused(&answer, 403, "FORBIDDEN");
    assert_refused(&gateway.send(&Request::post(VERIFY, &json!({}))).await, 400, "INVALID_REQUEST");
    assert_refused(&gateway.send(&Request::post_raw(VERIFY, "x".repeat(9000))).await, 413, "REQUEST_TOO_LARGE");
    assert_refused(&gateway.send(&Request::get(NONCE)).await, 404, "NOT_FOUND");
    assert_refused(&gateway.send(&Request::get(VERIFY).key(&ann.key)).await, 404, "NOT_FOUND");
    let cut = &tokens[0][..tokens[0].len() - 1];
    assert_refused(&gateway.send(&plain_chat(false).key(cut)).await, 401, "AUTH_INVALID_TOKEN");
    let said = gateway.said();
    for secret in tokens.iter().map(String::as_str).chain([SECRET]) {
        assert!(!said.contains(&secret[secret.len() - 16..]), "a secret was printed");
    }
    gateway.finish(&[&ann, &bob]).await;
}

#[tokio::test]
async fn of_many_logins_with_one_nonce_one_succeeds() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, [key]) = serving_keys(&setup_of(&provider), [("ann", &[])]).await;
    let wallet = Wallet::new(1);
    for _ in 0..3 {
        let login = wallet.login(&wallet.message(&nonce(&gateway).await));
        let answers = join_all((0..20).map(|_| gateway.send(&login))).await;
        let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!((accepted.len(), refused.len()), (1, 19));
        refused.into_iter().for_each(|answer| assert_refused(answer, 401, "AUTH_INVALID_TOKEN"));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_session_outlives_a_restart_but_not_its_secret_and_ends_in_time() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (mut gateway, [key]) = serving_keys(&setup_of(&provider), [("ann", &[])]).await;
    let wallet = Wallet::new(1);
    let used = wallet.login(&wallet.message(&nonce(&gateway).await));
    let answer = gateway.send(&used).await;
    let token = answer.json()["token"].as_str().expect("a token").to_owned();
    let chat = plain_chat(false).key(&token);
    assert!(gateway.stop().await.success());
    gateway.serve().await;
    assert_eq!(gateway.send(&chat).await.status, 200, "kept nowhere, known everywhere");
    assert_refused(&gateway.send(&used).await, 401, "AUTH_INVALID_TOKEN");
    // A wallet that is taken out is out, within a second.
    let config = gateway.read("tollgate.toml");
    gateway.write("tollgate.toml", &config.replace(&format!("\"{}\" = \"ann\", ", wallet.address()), ""));
    becomes(&gateway, &chat, 401, "AUTH_INVALID_TOKEN").await;
    gateway.write("tollgate.toml", &config);
    becomes(&gateway, &chat, 200, "").await;
    gateway.write("tollgate.toml", &config.replace("${SIWE_SECRET}", "another secret that has 32 bytes"));
    becomes(&gateway, &chat, 401, "AUTH_INVALID_TOKEN").await;
    gateway.write("tollgate.toml", &config.replace("[plugins.auth-siwe]", "[plugins.auth-siwe]\nsession_s = 2"));
    becomes(&gateway, &chat, 200, "").await;
    let (short, _) = session(&gateway, &wallet).await;
    becomes(&gateway, &plain_chat(false).key(&short), 401, "TOKEN_EXPIRED").await;
    assert_eq!(gateway.send(&chat).await.status, 200, "it was given for an hour");
    gateway.write("tollgate.toml", &config.replace("chain_ids = [137]", "chain_ids = []"));
    until("a word about it", || gateway.said().contains("chain_ids: expected 1 to 64").then_some(())).await;
    gateway.finish(&[&key]).await;
}

/// Sends a request until it is answered so.
async fn becomes(gateway: &Gateway, request: &Request, status: u16, code: &str) {
    let started = Instant::now();
    loop {
        let answer = gateway.send(request).await;
        if answer.status == status && (status == 200 || answer.error_code() == code) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "never {status} {code}: {} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
