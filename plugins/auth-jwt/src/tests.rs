//! Sound tokens pass, and nothing else does.

mod configurations;
mod forged;
mod issuer;
mod sources;

use super::*;
use http::{HeaderMap, HeaderValue, Method};
use issuer::{AUDIENCE, ISSUER, Issuer, SECRET, claims, signed_in_1300819380};
use serde_json::{Value, json};
use tollgate_plugin_api::Key;
use tollgate_plugin_doubles::{Hands, Ring, at_once, key};

/// What the clock shows, in seconds.
const NOW_S: i64 = 1_300_000_000;

/// `ann` is a good key, `off` a disabled one, `old` an expired one.
fn ports() -> Ports {
    let off = Key { enabled: false, ..key("off") };
    let old = Key { expires_at_ms: Some(NOW_S * 1000), ..key("old") };
    let keys = Arc::new(Ring::named([key("ann"), off, old]));
    Ports { keys, clock: Arc::new(Hands::at(NOW_S * 1000)), ..Ports::to_nothing() }
}

/// A plugin that takes tokens of these algorithms, with `more` in its table; and the folder of its keys.
fn plugin_with(algorithms: &[&str], more: &str) -> (Arc<dyn Plugin>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, Issuer::new().key_set().to_string()).unwrap();
    let mut table = format!("issuer = {ISSUER:?}\naudience = {AUDIENCE:?}\nalgorithms = {algorithms:?}\n{more}\n");
    if algorithms.contains(&"HS256") {
        table += &format!("secret = {SECRET:?}\n");
    }
    if algorithms != ["HS256"] {
        table += &format!("jwks_file = {path:?}\n");
    }
    (build(table.parse().unwrap(), &ports()).unwrap(), folder)
}

fn plugin(algorithms: &[&str]) -> (Arc<dyn Plugin>, tempfile::TempDir) {
    plugin_with(algorithms, "")
}

/// What comes of a request with these fields: the name of the key as which it goes on, if it has one.
fn verdict_of(
    plugin: &dyn Plugin,
    fields: &[(&'static str, &str)],
    query: Option<&str>,
) -> Result<Option<String>, Reject> {
    let headers: HeaderMap = fields
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
        .collect();
    let mut head =
        RequestHead { method: &Method::POST, path: "/v1/messages", query, headers: &headers, client: None, key: None };
    let outcome = at_once(plugin.request_filter(&mut head));
    outcome.map(|_| head.key.map(|handle| handle.key().name.to_string()))
}

fn verdict(plugin: &dyn Plugin, token: &str) -> Result<Option<String>, RejectCode> {
    verdict_of(plugin, &[("authorization", &format!("Bearer {token}"))], None).map_err(|reject| reject.code)
}

/// Accepted as this key.
fn accepted(name: &str) -> Result<Option<String>, RejectCode> {
    Ok(Some(name.to_owned()))
}

#[test]
fn sound_tokens_of_each_algorithm_pass() {
    let issuer = Issuer::new();
    let (all, _folder) = plugin(&["HS256", "RS256", "ES256"]);
    for algorithm in ["HS256", "RS256", "ES256"] {
        let token = issuer.token(algorithm, &claims());
        assert_eq!(verdict(&*all, &token), accepted("ann"), "{algorithm}");
        let (alone, _folder) = plugin(&[algorithm]);
        assert_eq!(verdict(&*alone, &token), accepted("ann"), "{algorithm} alone");
        for other in ["HS256", "RS256", "ES256"].iter().filter(|other| **other != algorithm) {
            assert_eq!(verdict(&*alone, &issuer.token(other, &claims())), Err(RejectCode::AuthInvalidToken));
        }
    }
}

#[test]
fn all_that_a_sound_token_may_say_is_taken() {
    let issuer = Issuer::new();
    let (plugin, _folder) = plugin(&["HS256", "RS256", "ES256"]);
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        issuer.token("ES256", &claims)
    };
    for token in [
        with("aud", json!([AUDIENCE])),
        with("aud", json!(["another", AUDIENCE])),
        with("nbf", json!(NOW_S)),
        // Within what clocks may differ by.
        with("nbf", json!(NOW_S + 59)),
        with("exp", json!(NOW_S - 59)),
        with("exp", json!(NOW_S as f64 + 0.5)),
        with("iat", json!(NOW_S)),
        with("scope", json!({"a": [1, null, "x"]})),
        issuer.signed("RS256", r#"{"alg":"RS256","kid":"rsa","typ":"JWT"}"#, &claims().to_string()),
        issuer.signed("RS256", r#"{"alg":"RS256","kid":"rsa","typ":"application/AT+jwt"}"#, &claims().to_string()),
        // The only one of its kind needs no name.
        issuer.signed("ES256", r#"{"alg":"ES256"}"#, &claims().to_string()),
        // A header is whatever JSON it is.
        issuer.signed("ES256", " {\"kid\" : \"ec\" ,\r\n \"alg\":\"ES\\u0032\\u00356\"} ", &claims().to_string()),
        // What is not followed does no harm.
        issuer.signed("ES256", r#"{"alg":"ES256","kid":"ec","jku":"https://evil.example/k"}"#, &claims().to_string()),
    ] {
        assert_eq!(verdict(&*plugin, &token), accepted("ann"), "{token}");
    }
}

#[test]
fn the_examples_of_rfc_7515_have_the_signatures_that_they_have() {
    let issuer = Issuer::new();
    let set = set::KeySet::read(issuer.key_set().to_string().as_bytes()).unwrap();
    for (algorithm, token) in signed_in_1300819380() {
        let read = Token::read(token.as_bytes()).unwrap();
        assert_eq!(read.algorithm, algorithm.name());
        assert_eq!(read.claims().unwrap().get("iss"), Some(&json!("joe")));
        let is_right = |signature: &[u8]| match algorithm {
            Algorithm::Hs256 => hmac::verify(&issuer::rfc_secret(), read.signed, signature).is_ok(),
            other => set.find(other, None).unwrap().has_signed(read.signed, signature),
        };
        assert!(is_right(&read.signature), "{algorithm:?}");
        for bit in 0..read.signature.len() * 8 {
            let mut wrong = read.signature.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_right(&wrong), "{algorithm:?}, bit {bit}");
        }
    }
}

#[test]
fn what_is_no_token_goes_on() {
    let (plugin, _folder) = plugin(&["HS256"]);
    for other in ["sk-tg-0123456789abcdef", "x", "a.b", "a.b.c.d.e", "sk-tgw-abc"] {
        assert_eq!(verdict(&*plugin, other), Ok(None), "{other}");
    }
    assert_eq!(verdict_of(&*plugin, &[], None), Ok(None));
    assert_eq!(verdict_of(&*plugin, &[("authorization", "Basic YTpi")], None), Ok(None));
}

#[test]
fn a_token_may_stand_wherever_a_key_may_and_the_first_place_decides() {
    let token = Issuer::new().token("HS256", &claims());
    let (plugin, _folder) = plugin(&["HS256"]);
    let name = |fields: &[(&'static str, &str)], query: Option<&str>| verdict_of(&*plugin, fields, query).unwrap();
    for field in ["x-api-key", "x-goog-api-key", "api-key"] {
        assert_eq!(name(&[(field, &token)], None).as_deref(), Some("ann"), "{field}");
    }
    assert_eq!(name(&[], Some(&format!("key={token}"))).as_deref(), Some("ann"));
    // `auth-key` judges this one, by the same place.
    assert_eq!(name(&[("authorization", "Bearer sk-tg-x"), ("x-api-key", &token)], None), None);
}

#[test]
fn the_keys_own_state_counts() {
    let issuer = Issuer::new();
    let (plugin, _folder) = plugin_with(&["HS256"], "key_claim = \"https://example.com/key\"");
    for (name, expected) in [
        ("ann", accepted("ann")),
        ("off", Err(RejectCode::AuthInvalidToken)),
        ("old", Err(RejectCode::TokenExpired)),
        ("nobody", Err(RejectCode::AuthInvalidToken)),
    ] {
        let mut claims = claims();
        // Not this one.
        claims["sub"] = json!("somebody");
        claims["https://example.com/key"] = json!(name);
        assert_eq!(verdict(&*plugin, &issuer.token("HS256", &claims)), expected, "{name}");
    }
}

#[test]
fn a_refusal_says_why_to_the_issuers_own_alone_and_repeats_nothing() {
    let issuer = Issuer::new();
    let (plugin, _folder) = plugin(&["HS256", "RS256"]);
    let mut claims = claims();
    claims["aud"] = json!("canary-audience");
    let said = |token: &str| {
        let reject = verdict_of(&*plugin, &[("x-api-key", token)], None).unwrap_err();
        reject.message.unwrap_or_default()
    };
    let own = said(&issuer.token("HS256", &claims));
    assert_eq!(own, "Invalid token: it is for another audience");
    let forged = issuer.token("HS256", &claims).replacen("eyJ", "eyK", 1);
    assert_eq!(said(&forged), "Invalid token");
    assert_eq!(said(&issuer.signed("HS256", r#"{"alg":"canary"}"#, "{}")), "Invalid token");
}
