//! Mistakes of the configuration are named, with what was expected, and secrets are not repeated.

use super::issuer::Issuer;
use super::{build, ports};
use crate::algorithm::Algorithm;
use crate::set::KeySet;

/// What is said of a table.
fn said(table: &str) -> String {
    build(table.parse().unwrap(), &ports()).err().map(|error| error.to_string()).unwrap_or_default()
}

const SHARED: &str = "issuer = \"i\"\naudience = \"a\"\nalgorithms = [\"HS256\"]\n";
const PUBLIC: &str = "issuer = \"i\"\naudience = \"a\"\nalgorithms = [\"ES256\"]\n";
const SECRET: &str = "secret = \"0123456789abcdef0123456789abcdef\"\n";

#[test]
fn what_is_right_is_taken() {
    assert_eq!(said(&format!("{SHARED}{SECRET}")), "");
    for url in ["https://login.example/jwks", "http://127.0.0.1:9/jwks", "http://localhost/jwks", "http://[::1]:9/jwks"]
    {
        assert_eq!(said(&format!("{PUBLIC}jwks_url = {url:?}")), "", "{url}");
    }
}

#[test]
fn what_is_wrong_is_named_with_what_was_expected() {
    let shared = format!("{SHARED}{SECRET}");
    let with = |more: &str| format!("{shared}{more}");
    for (table, expected) in [
        (String::new(), "algorithms: is missing, expected an array of names, each `HS256`, `RS256` or `ES256`"),
        ("algorithms = \"HS256\"".to_owned(), "algorithms: expected an array of names, each `HS256`"),
        ("algorithms = []".to_owned(), "algorithms: is empty, expected names, each `HS256`"),
        (
            "algorithms = [\"none\"]".to_owned(),
            "algorithms[0]: unknown algorithm, expected `HS256`, `RS256` or `ES256`",
        ),
        (
            "algorithms = [\"HS265\"]".to_owned(),
            "algorithms[0]: unknown algorithm, expected `HS256`, `RS256` or `ES256`, did you mean `HS256`?",
        ),
        (SHARED.to_owned(), "secret: is missing, expected text of at least 32 bytes for HS256"),
        (format!("{SHARED}secret = \"short-canary\""), "secret: is too short, expected text of at least 32 bytes"),
        (
            format!("{SHARED}secret = 123456"),
            "secret: expected text of at least 32 bytes for HS256, found a whole number",
        ),
        (format!("{PUBLIC}{SECRET}jwks_url = \"https://h/\""), "secret: is not used, expected HS256"),
        (PUBLIC.to_owned(), "jwks_url: is missing, expected it or `jwks_file`"),
        (with("jwks_url = \"https://h/\""), "jwks_url: is not used, expected RS256 or ES256"),
        (format!("{PUBLIC}jwks_url = \"https://h/\"\njwks_file = \"f\""), "jwks_url: expected one of"),
        (format!("{PUBLIC}jwks_url = \"http://login.example/canary\""), "jwks_url: expected https://host/path"),
        (format!("{PUBLIC}jwks_url = \"https://me:canary@login.example/\""), "jwks_url: expected https://host/path"),
        (format!("{PUBLIC}jwks_url = \"http://127.0.0.1.evil.example/\""), "jwks_url: expected https://host/path"),
        (format!("{PUBLIC}jwks_url = \"file:///etc/passwd\""), "jwks_url: expected https://host/path"),
        (format!("{PUBLIC}jwks_url = \"\""), "jwks_url: is empty, expected the address of a JWK set"),
        (format!("{PUBLIC}jwks_file = \"/nowhere/keys.json\""), "jwks_file: /nowhere/keys.json: No such file"),
        (format!("{PUBLIC}jwks_file = \"/dev/null\""), "jwks_file: /dev/null: it is no JSON, expected a JWK set"),
        (format!("{PUBLIC}jwks_file = \"/dev/zero\""), "jwks_file: /dev/zero: it has more than 262144 bytes"),
        (with("leeway_s = 601"), "leeway_s: the number is too large, expected a whole number of seconds from 0 to 600"),
        (with("leeway_s = -1"), "leeway_s: the number is too small"),
        (
            with("jwks_refresh_s = 0"),
            "jwks_refresh_s: the number is too small, expected a whole number of seconds from 1 to 86400",
        ),
        (with("key_claim = \"\""), "key_claim: is empty, expected the name of a claim"),
        (with("realm = 1"), "realm: unknown key, expected `issuer`, `audience`"),
        (
            with("jwks_fil = 1"),
            "jwks_fil: unknown key, expected `issuer`, `audience`, `algorithms`, `secret`, `jwks_url`, `jwks_file`, `jwks_refresh_s`, `key_claim` or `leeway_s`, did you mean `jwks_file`?",
        ),
        (shared.replace("issuer = \"i\"", ""), "issuer: is missing, expected the `iss` of its tokens"),
        (shared.replace("audience = \"a\"", "audience = 1"), "audience: expected this gateway's name in `aud`"),
    ] {
        let said = said(&table);
        assert!(said.lines().any(|line| line.starts_with(expected)), "{said}\n{table}");
        assert!(!said.contains("canary") && !said.contains("0123456789"), "{said}");
    }
}

#[test]
fn a_set_must_be_one_and_unambiguous() {
    let read = |text: &str| KeySet::read(text.as_bytes()).err().map(|error| error.to_string()).unwrap_or_default();
    let key = r#"{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    assert_eq!(read(&format!(r#"{{"keys":[{key}]}}"#)), "");
    for (text, expected) in [
        ("[]".to_owned(), "it has no list `keys`"),
        (r#"{"keys":[]}"#.to_owned(), "it has no key for RS256 or ES256"),
        (format!(r#"{{"keys":[{key},{key}]}}"#), "it has two keys with one `kid`"),
        (format!(r#"{{"keys":[{}]}}"#, [key; 65].join(",")), "it has more than 64 keys"),
        (" ".repeat(300_000), "it has more than 262144 bytes"),
    ] {
        assert!(read(&text).starts_with(expected), "{}", read(&text));
    }
}

#[test]
fn a_token_that_names_no_key_is_checked_only_where_there_is_no_choice() {
    let [one, other] = [Issuer::new(), Issuer::stranger()].map(|issuer| issuer.ec_jwk());
    let found = |keys: serde_json::Value, id: Option<&str>| {
        let set = KeySet::read(serde_json::json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        set.find(Algorithm::Es256, id).is_some()
    };
    assert!(found(serde_json::json!([one]), None));
    assert!(!found(serde_json::json!([one, other]), None));
    // A key without a name is nobody's by name.
    assert!(!found(serde_json::json!([one]), Some("")));
}
