//! Forged, stolen, stale and broken tokens: none is accepted, whatever is configured.

use super::issuer::{AUDIENCE, ISSUER, Issuer, MODULUS, SECRET, X, bytes, claims, hmac_by, text};
use super::{NOW_S, plugin, verdict};
use crate::token::TOKEN_BYTES_MAX;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use tollgate_plugin_api::{Plugin, RejectCode};

/// Whatever can be configured.
fn configurations() -> Vec<(Arc<dyn Plugin>, tempfile::TempDir)> {
    [&["HS256"][..], &["RS256"], &["ES256"], &["RS256", "ES256"], &["HS256", "RS256", "ES256"]].map(plugin).into()
}

/// Of a case: what it is, the token, and what is answered where its algorithm is configured.
type Case = (String, String, RejectCode);

const INVALID: RejectCode = RejectCode::AuthInvalidToken;

/// Tokens that nobody should have made.
fn forged() -> Vec<Case> {
    let (issuer, stranger) = (Issuer::new(), Issuer::stranger());
    let sound = claims().to_string();
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |what: &str, token: String| cases.push((what.to_owned(), token, INVALID));
    let unsigned = |header: &str| format!("{}.{}.", text(header), text(&sound));
    for name in ["none", "None", "NONE", "nOnE", "none ", "", "null", "\\u006eone"] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        add(&format!("alg {name:?} without a signature"), unsigned(&header));
        add(&format!("alg {name:?} with one"), issuer.signed("HS256", &header, &sound));
    }
    // The public key as the secret, in whatever form somebody may have it.
    let set = issuer.key_set();
    let jwk = set["keys"][0].to_string();
    let forms: [(&str, Vec<u8>); 8] = [
        ("the modulus", bytes(MODULUS)),
        ("the modulus in Base64", MODULUS.into()),
        ("the JWK", jwk.into()),
        ("the set", set.to_string().into()),
        ("the point", [&[4][..], &bytes(X)].concat()),
        ("nothing", Vec::new()),
        ("zeros", vec![0; 32]),
        ("the name", b"rsa".to_vec()),
    ];
    for (form, secret) in forms {
        for header in [r#"{"alg":"HS256","kid":"rsa"}"#, r#"{"alg":"HS256"}"#] {
            let signed = format!("{}.{}", text(header), text(&sound));
            add(&format!("HS256 by {form}"), format!("{signed}.{}", text(hmac_by(&secret, signed.as_bytes()))));
        }
    }
    // One algorithm's signature under another's name.
    for (said, done, id) in [
        ("RS256", "HS256", "rsa"),
        ("ES256", "HS256", "ec"),
        ("HS256", "RS256", "rsa"),
        ("HS256", "ES256", "ec"),
        ("RS256", "ES256", "ec"),
        ("ES256", "RS256", "rsa"),
        ("RS256", "ES256", "rsa"),
        ("ES256", "RS256", "ec"),
        ("PS256", "RS256", "rsa"),
        ("RS384", "RS256", "rsa"),
        ("HS384", "HS256", ""),
        ("HS512", "HS256", ""),
        ("ES256K", "ES256", "ec"),
        ("EdDSA", "ES256", "ec"),
        ("rs256", "RS256", "rsa"),
        ("hs256", "HS256", ""),
        ("dir", "HS256", ""),
    ] {
        let header = json!({"alg": said, "kid": id}).to_string();
        add(&format!("{said} by {done}, kid {id:?}"), issuer.signed(done, &header, &sound));
    }
    // Keys from elsewhere.
    for id in [
        "../../../../dev/null",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://evil.example/k.json",
        "' OR '1'='1",
        "ec\u{0}",
        "EC",
        "ec ",
        "",
        "enc",
        "ps",
        "short",
        "shared",
        "$(id)",
        "0",
        "keys[1]",
    ] {
        let header = |algorithm: &str| json!({"alg": algorithm, "kid": id}).to_string();
        add(&format!("kid {id:?}, a stranger's"), stranger.signed("ES256", &header("ES256"), &sound));
        add(&format!("kid {id:?}, their own"), issuer.signed("ES256", &header("ES256"), &sound));
        add(&format!("kid {id:?}, RS256"), issuer.signed("RS256", &header("RS256"), &sound));
    }
    let brought = [
        json!({"alg": "ES256", "kid": "ec", "jwk": stranger.ec_jwk()}),
        json!({"alg": "ES256", "jwk": stranger.ec_jwk()}),
        json!({"alg": "ES256", "kid": "ec", "jku": "https://evil.example/jwks.json"}),
        json!({"alg": "ES256", "kid": "ec", "x5u": "https://evil.example/chain.pem"}),
        json!({"alg": "ES256", "kid": "ec", "x5c": ["MIIB"]}),
        json!({"alg": "ES256", "kid": "ec"}),
        json!({"alg": "ES256"}),
    ];
    for header in brought {
        add(&format!("a stranger's, with {header}"), stranger.signed("ES256", &header.to_string(), &sound));
    }
    cases
}

/// Tokens with the issuer's own signature whose header is not what it must be.
fn malformed() -> Vec<Case> {
    let issuer = Issuer::new();
    let sound = claims().to_string();
    let headers = [
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":{"HS256":1}}"#,
        r#"{"alg":null}"#,
        r#"{"ALG":"HS256"}"#,
        r#"{}"#,
        r#"{"alg":"HS256","kid":7}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","kid":["rsa"]}"#,
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","typ":"logout+jwt"}"#,
        r#"{"alg":"HS256","typ":"secevent+jwt"}"#,
        r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
        r#"{"alg":"HS256","typ":7}"#,
        r#"["alg","HS256"]"#,
        r#""HS256""#,
        r#"{"alg":"HS256"} {"alg":"HS256"}"#,
        r#"{"alg":"HS256"}x"#,
        r#"{"alg":"HS256""#,
        r#"{'alg':'HS256'}"#,
        "\u{feff}{\"alg\":\"HS256\"}",
        "",
    ];
    headers
        .into_iter()
        .map(|header| (format!("header {header}"), issuer.signed("HS256", header, &sound), INVALID))
        .collect()
}

/// Tokens with the issuer's own signature whose claims are not what they must be.
fn unfit() -> Vec<Case> {
    let issuer = Issuer::new();
    let gone = Value::Null;
    let mut cases: Vec<Case> = Vec::new();
    let changes = [
        (
            "iss",
            vec![
                gone.clone(),
                json!("https://evil.example"),
                json!(""),
                json!([ISSUER]),
                json!(7),
                json!(format!("{ISSUER}/")),
                json!(ISSUER.to_uppercase()),
                json!(ISSUER[..ISSUER.len() - 1]),
            ],
        ),
        (
            "aud",
            vec![
                gone.clone(),
                json!("another"),
                json!(""),
                json!([]),
                json!(["another"]),
                json!([AUDIENCE, 7]),
                json!({"tollgate": 1}),
                json!(true),
                json!("Tollgate"),
                json!("tollgate "),
                json!([[AUDIENCE]]),
            ],
        ),
        ("exp", vec![gone.clone(), json!("9999999999"), json!(true), json!([]), json!({})]),
        ("nbf", vec![json!(NOW_S + 61), json!("0"), json!(1e300), json!([])]),
        ("iat", vec![json!(NOW_S + 3600), json!("x")]),
        (
            "sub",
            vec![gone, json!(""), json!(7), json!(["ann"]), json!("nobody"), json!("Ann"), json!("ann "), json!("off")],
        ),
    ];
    for (name, values) in changes {
        for value in values {
            let mut claims = claims();
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
            cases.push((format!("{name}: {value}"), issuer.token("HS256", &claims), INVALID));
        }
    }
    for ended in [json!(NOW_S - 60), json!(0), json!(-1), json!(-1e300), json!(NOW_S as f64 - 60.5)] {
        let mut claims = claims();
        claims["exp"] = ended.clone();
        for algorithm in ["HS256", "RS256", "ES256"] {
            cases.push((
                format!("{algorithm}, exp: {ended}"),
                issuer.token(algorithm, &claims),
                RejectCode::TokenExpired,
            ));
        }
    }
    let sound = claims().to_string();
    for payload in [
        sound.replacen('{', r#"{"sub":"off","#, 1),
        sound.replacen('{', r#"{"exp":1,"#, 1),
        format!("[{sound}]"),
        format!("{sound}{sound}"),
        sound.replace("ann", "\\ud800"),
        "null".to_owned(),
        "{}".to_owned(),
        format!("{}1{}", "[".repeat(400), "]".repeat(400)),
    ] {
        cases.push((format!("payload {payload}"), issuer.signed("HS256", r#"{"alg":"HS256"}"#, &payload), INVALID));
    }
    cases
}

/// Sound tokens, written otherwise.
fn rewritten() -> Vec<Case> {
    let issuer = Issuer::new();
    let mut cases: Vec<Case> = Vec::new();
    for algorithm in ["HS256", "RS256", "ES256"] {
        let token = issuer.token(algorithm, &claims());
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else { panic!("{token}") };
        let raw = bytes(signature);
        let ended = |bytes: &[u8]| format!("{header}.{payload}.{}", text(bytes));
        let half = raw.len() / 2;
        for (what, other) in [
            ("no signature", format!("{header}.{payload}.")),
            ("no payload", format!("{header}..{signature}")),
            ("no header", format!(".{payload}.{signature}")),
            ("a byte less", ended(&raw[..raw.len() - 1])),
            ("a byte more", ended(&[&raw[..], &[0]].concat())),
            ("a byte before", ended(&[&[0], &raw[..]].concat())),
            ("half of it", ended(&raw[..half])),
            ("halves swapped", ended(&[&raw[half..], &raw[..half]].concat())),
            ("zeros", ended(&vec![0; raw.len()])),
            ("ones", ended(&vec![0xff; raw.len()])),
            (
                "a one in each half",
                ended(&{
                    let mut ones = vec![0; raw.len()];
                    (ones[half - 1], ones[raw.len() - 1]) = (1, 1);
                    ones
                }),
            ),
            ("twice", format!("{header}.{payload}.{signature}{signature}")),
            ("padded", format!("{header}.{payload}.{signature}=")),
            ("padded header", format!("{header}=.{payload}.{signature}")),
            ("a space in it", format!("{header}. {payload}.{signature}")),
            ("a tab in it", format!("{header}.\t{payload}.{signature}")),
            ("parts swapped", format!("{payload}.{header}.{signature}")),
            ("too long", format!("{header}.{payload}.{signature}{}", "A".repeat(TOKEN_BYTES_MAX))),
            ("another's payload", {
                let mut other = claims();
                other["sub"] = json!("old");
                format!("{header}.{}.{signature}", text(other.to_string()))
            }),
        ] {
            cases.push((format!("{algorithm}: {what}"), other, INVALID));
        }
    }
    // Too long, but signed.
    let mut long = claims();
    long["more"] = json!("x".repeat(TOKEN_BYTES_MAX));
    cases.push(("too long, signed".to_owned(), issuer.token("HS256", &long), INVALID));
    cases
}

#[test]
fn no_forged_token_is_accepted() {
    let (configurations, (all, _folder)) = (configurations(), plugin(&["HS256", "RS256", "ES256"]));
    let cases = [forged(), malformed(), unfit(), rewritten()].concat();
    assert!(cases.len() >= 60, "{}", cases.len());
    for (what, token, code) in &cases {
        assert_eq!(verdict(&*all, token), Err(*code), "{what}: {token}");
        for (plugin, _folder) in &configurations {
            assert!(verdict(&**plugin, token).is_err(), "{what}: {token}");
        }
    }
    println!("{} forged tokens, none accepted", cases.len());
}

#[test]
fn no_letter_of_a_token_can_be_changed() {
    let (all, _folder) = plugin(&["HS256", "RS256", "ES256"]);
    for algorithm in ["HS256", "RS256", "ES256"] {
        let token = Issuer::new().token(algorithm, &claims());
        for at in 0..token.len() {
            for letter in *b"A_8." {
                let mut changed = token.clone().into_bytes();
                if changed[at] == letter {
                    continue;
                }
                changed[at] = letter;
                let changed = String::from_utf8(changed).unwrap();
                // With a dot more or less it is none of ours.
                assert!(!matches!(verdict(&*all, &changed), Ok(Some(_))), "{changed}");
            }
            let cut = &token[..at];
            assert!(!matches!(verdict(&*all, cut), Ok(Some(_))), "{cut}");
        }
    }
}

#[test]
fn a_secret_of_one_byte_less_is_another_secret() {
    let (shared, _folder) = plugin(&["HS256"]);
    let signed = format!("{}.{}", text(r#"{"alg":"HS256"}"#), text(claims().to_string()));
    let by = |secret: &[u8]| format!("{signed}.{}", text(hmac_by(secret, signed.as_bytes())));
    assert_eq!(verdict(&*shared, &by(SECRET.as_bytes())), super::accepted("ann"));
    assert_eq!(verdict(&*shared, &by(&SECRET.as_bytes()[1..])), Err(INVALID));
}

proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic_or_is_accepted(
        header in ".{0,80}", payload in ".{0,80}", signature in proptest::collection::vec(any::<u8>(), 0..80),
        raw in "[A-Za-z0-9_.=+/ -]{0,200}",
    ) {
        let (all, _folder) = plugin(&["HS256", "RS256", "ES256"]);
        let encoded = format!("{}.{}.{}", text(&header), text(&payload), text(&signature));
        for token in [encoded, raw] {
            prop_assert!(!matches!(verdict(&*all, &token), Ok(Some(_))));
        }
        for algorithm in ["HS256", "RS256", "ES256"] {
            // Right so far, and any payload behind it.
            let token = Issuer::new().signed(algorithm, &format!("{{\"alg\":\"{algorithm}\"}}"), &payload);
            prop_assert!(verdict(&*all, &token).is_err());
        }
    }

    #[test]
    fn no_key_set_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kty in "RSA|EC|oct", n in ".{0,20}") {
        let _ = crate::set::KeySet::read(&bytes);
        let key = json!({"kty": kty, "crv": "P-256", "n": n, "e": n, "x": n, "y": n, "kid": n, "key_ops": n});
        let _ = crate::set::KeySet::read(json!({"keys": [key, n]}).to_string().as_bytes());
    }
}
