use super::super::demo::config_text;
use super::super::serve::{FirstKey, tell};
use super::{NOW_MS, Place};
use crate::config::Config;
use secrecy::ExposeSecret;
use std::path::Path;

fn config(place: &Place) -> Config {
    let env = |_: &str| Some("sk-main-canary".to_string());
    Config::load(&place.path("tollgate.toml"), &env).unwrap()
}

#[test]
fn the_first_key_is_made_once() {
    let place = Place::new();
    let config = config(&place);
    let FirstKey::Made(id, secret) = FirstKey::make(&config, NOW_MS).unwrap() else { panic!("no key") };
    assert!(secret.expose_secret().starts_with("sk-tg-"));
    let keys = place.json("key list --json");
    assert_eq!((keys.len(), &keys[0]["id"], &keys[0]["name"]), (1, &id.into(), &"first".into()));
    assert!(matches!(FirstKey::make(&config, NOW_MS).unwrap(), FirstKey::NotNeeded));
}

#[test]
fn a_first_key_that_nobody_saw_is_taken_back() {
    let place = Place::new();
    let config = config(&place);
    FirstKey::make(&config, NOW_MS).unwrap().take_back(&config, NOW_MS);
    assert!(place.json("key list --json").is_empty());
    assert!(matches!(FirstKey::make(&config, NOW_MS).unwrap(), FirstKey::Made(..)));
    FirstKey::NotNeeded.take_back(&config, NOW_MS);
    assert_eq!(place.json("key list --json").len(), 1);
}

#[test]
fn the_curl_speaks_the_upstreams_dialect() {
    let place = Place::new();
    for (provider, path, header) in [
        ("openai", "http://127.0.0.1:3000/v1/chat/completions", "Authorization: Bearer sk-tg-1"),
        ("anthropic", "http://127.0.0.1:3000/v1/messages", "x-api-key: sk-tg-1"),
        ("gemini", "http://127.0.0.1:3000/v1beta/models/gpt-4o:generateContent", "x-goog-api-key: sk-tg-1"),
    ] {
        let text = super::CONFIG.replace("\"openai\"", &format!("\"{provider}\""));
        place.write("tollgate.toml", &format!("[server]\nlisten = [\"0.0.0.0:3000\"]\n{text}"));
        let mut out = Vec::new();
        tell(&config(&place), &FirstKey::Made(1, "sk-tg-1".to_string().into()), None, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("Upstreams: 1: main\nModels: 2: fast, gpt-4o\n"), "{out}");
        assert!(out.contains(path) && out.contains(header) && out.contains("shown this once"), "{out}");
        assert!(!out.contains("canary"), "{out}");
        let body = out.split("-d '").nth(1).unwrap().split('\'').next().unwrap();
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}

#[test]
fn the_demos_config_is_valid() {
    let text = config_text("127.0.0.1:3000".parse().unwrap(), "127.0.0.1:4567".parse().unwrap());
    let config = Config::parse(&text, Path::new("demo/tollgate.toml"), &|_| None).unwrap();
    assert_eq!(config.upstreams[0].provider, "openai");
    assert_eq!(config.upstreams[0].base_url, "http://127.0.0.1:4567/v1");
    let models: usize = config.upstreams.iter().map(|upstream| upstream.models.len()).sum();
    assert_eq!(models, crate::demo::models().len());
}
