//! Mistakes in plugins' tables: each at its place, all at once, beside all others.

use super::{env, lines};
use crate::config::{Config, ConfigError, build};
use crate::price::PriceBook;
use std::path::Path;
use std::sync::Arc;
use tollgate_plugin_api::Ports;

/// Everything that is wrong with a file, as `check` finds it.
fn wrong(text: &str) -> Vec<ConfigError> {
    let config = match Config::parse(text, Path::new("t.toml"), &env) {
        Ok(config) => config,
        Err(errors) => return errors,
    };
    build(&config, Arc::new(PriceBook::default()), &Ports::to_nothing(), None).err().unwrap_or_default()
}

/// Takes the `«` out of a text; the places where they stood.
fn marked(text: &str) -> (String, Vec<(usize, usize)>) {
    let lines = text.lines().enumerate();
    let places = lines.flat_map(|(line, text)| {
        let columns = text.match_indices('«').enumerate();
        columns.map(move |(nth, (at, _))| (line + 1, text[..at].chars().count() + 1 - nth)).collect::<Vec<_>>()
    });
    let places = places.collect();
    (text.replace('«', ""), places)
}

const MISTAKES: &str = r#"[plugins.cors]
allowed_origins = ["*", «"app.example", «7]
«max_age_second = 5
[[plugins.rate-limit.rules]]
per = «"team"
limit = "requests"
max = «-1
«windows_ms = 1
[[plugins.rate-limit.rules]]
per = "key"
limit = "requests"
max = 1
window_ms = «5
[plugins.otlp]
endpoint = «"collector:4318"
headers = { good = "x", "not good" = «"x" }
timeout_ms = «"10"
[plugins.auth-siwe]
domain = "app.example"
secret = «"short"
wallets = { "0x1" = «"ann" }
[plugins.auth-key]
«realm = 1
"#;

const SAID: [(&str, &str); 13] = [
    ("plugins.cors.allowed_origins[1]", "expected `https://host`"),
    ("plugins.cors.allowed_origins[2]", "expected a string, found a whole number"),
    ("plugins.cors.max_age_second", "did you mean `max_age_seconds`?"),
    ("plugins.rate-limit.rules[0].per", "expected `key`, `user` or `upstream`"),
    ("plugins.rate-limit.rules[0].max", "expected a whole number, 0 or more"),
    ("plugins.rate-limit.rules[0].windows_ms", "did you mean `window_ms`?"),
    ("plugins.rate-limit.rules[1].window_ms", "expected a whole number of milliseconds from 1000"),
    ("plugins.otlp.endpoint", "expected the collector's URL"),
    ("plugins.otlp.headers.\"not good\"", "expected a field's name"),
    ("plugins.otlp.timeout_ms", "write it without quotes"),
    ("plugins.auth-siwe.secret", "expected text of at least 32 bytes"),
    ("plugins.auth-siwe.wallets.0x1", "expected an address"),
    ("plugins.auth-key.realm", "unknown key: there are none here"),
];

/// Asserts that exactly these things are wrong, in whatever order.
fn assert_said(errors: &[ConfigError], places: &[(usize, usize)], said: &[(&str, &str)]) {
    for ((key, message), place) in said.iter().zip(places) {
        let error = errors.iter().find(|error| error.key == *key);
        let error = error.unwrap_or_else(|| panic!("nothing said of {key}:\n{}", lines(errors)));
        assert_eq!((error.line, error.column), *place, "{error}");
        assert!(error.message.contains(message), "{error}");
    }
    assert_eq!(errors.len(), said.len(), "{}", lines(errors));
}

#[test]
fn mistakes_of_plugins_are_named_all_at_once_where_they_stand() {
    let (text, places) = marked(MISTAKES);
    assert_said(&wrong(&text), &places, &SAID);
}

#[test]
fn other_mistakes_hide_none_of_plugins() {
    let (text, mut places) = marked(&MISTAKES.replace("\"requests\"\nmax = 1", "«\"request\"\nmax = 1"));
    let mut said = SAID.to_vec();
    said.insert(6, ("plugins.rate-limit.rules[1].limit", "did you mean `requests`?"));
    let text = format!("{text}[breaker]\nopen = 1\n");
    said.push(("breaker.open", "did you mean `open_ms`?"));
    places.push((text.lines().count(), 1));
    assert_said(&wrong(&text), &places, &said);
    let errors = wrong(&text);
    assert!(errors.is_sorted_by_key(|error| error.line), "{}", lines(&errors));
}

#[test]
fn what_cannot_be_read_is_said_once() {
    let text = "[plugins.cors]\nallowed_origins = [\"${NOPE}\", \"x\"]\n[plugins.otlp]\nendpoint = \"${NOPE}\"\n";
    let errors = wrong(text);
    let said: Vec<(usize, &str)> = errors.iter().map(|error| (error.line, error.key.as_str())).collect();
    let expected =
        [(2, "plugins.cors.allowed_origins[0]"), (2, "plugins.cors.allowed_origins[1]"), (4, "plugins.otlp.endpoint")];
    assert_eq!(said, expected, "{}", lines(&errors));
}

const LIMITED: &str = r#"[[upstream]]
name = "main"
provider = "openai"
api_key = "k"
models = ["m"]
[[plugins.rate-limit.rules]]
per = "upstream"
limit = "requests"
max = 1
names = ["main", «"mian", «7]
[[plugins.rate-limit.rules]]
per = "key"
limit = "requests"
max = 1
names = «[]
[[plugins.rate-limit.rules]]
per = "user"
limit = "requests"
max = 1
names = ["who may come later"]
"#;

#[test]
fn a_limit_on_an_upstream_that_is_not_there_or_on_nobody_is_a_mistake() {
    let (text, places) = marked(LIMITED);
    let said = [
        ("plugins.rate-limit.rules[0].names[1]", "expected a name of one, as `main`, did you mean `main`?"),
        ("plugins.rate-limit.rules[0].names[2]", "expected a string, found a whole number"),
        ("plugins.rate-limit.rules[1].names", "is empty, expected names"),
    ];
    assert_said(&wrong(&text), &places, &said);
    // Other mistakes hide it only where the name may be one that could not be read.
    for (more, hides) in [("[breaker]\nopen = 1\n", false), ("[[upstreams]]\n", true)] {
        let errors = wrong(&format!("{text}{more}"));
        assert_eq!(errors.iter().any(|error| error.key == said[0].0), !hides, "{more}: {}", lines(&errors));
    }
    let broken = wrong(&text.replace("provider = \"openai\"", "provider = \"opnai\""));
    assert!(!broken.iter().any(|error| error.key.contains("names[0]")), "{}", lines(&broken));
    let none = "[[plugins.rate-limit.rules]]\nper = \"upstream\"\nlimit = \"requests\"\nmax = 1\nnames = [\"x\"]\n";
    assert!(lines(&wrong(none)).contains("no upstream has this name, there is none"), "{}", lines(&wrong(none)));
}
