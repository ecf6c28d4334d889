//! `tollgate check` finds what would keep `serve` from starting.

use super::super::run;
use super::{CONFIG, NOW_MS, Place, Terminal, WHOSE};
use std::io;
use std::path::Path;

/// What `check` says of a config file.
fn said(place: &Place, config: &str) -> String {
    place.write("tollgate.toml", config);
    let ran = place.run("check");
    assert_eq!(ran.status, if ran.err.contains("tollgate.toml:") { 2 } else { 0 }, "{ran:?}");
    ran.err
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls").join(name)).unwrap()
}

#[test]
fn files_of_tls_that_cannot_be_used_are_named_where_they_stand() {
    let place = Place::new();
    let config = format!("[server.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n{CONFIG}");
    for (certificate, key, expected) in [
        (pem("certificate.pem"), pem("key.pem"), None),
        (
            "no PEM".to_owned(),
            pem("key.pem"),
            Some((2, 15, "certificate: ", "no certificate in it, expected a PEM file")),
        ),
        (
            pem("certificate.pem"),
            "no PEM".to_owned(),
            Some((3, 7, "key: ", "no private key in it, expected a PEM file")),
        ),
        (pem("certificate.pem"), pem("certificate.pem"), Some((3, 7, "key: ", "no private key in it"))),
        (pem("certificate.pem"), pem("second-key.pem"), Some((3, 7, "key: ", "c.pem"))),
        (pem("key.pem"), pem("key.pem"), Some((2, 15, "certificate: ", "no certificate in it"))),
    ] {
        place.write("c.pem", &certificate);
        place.write("k.pem", &key);
        // Whatever else is wrong.
        for more in ["", "[breaker]\nopen = 1\n"] {
            let said = said(&place, &format!("{config}{more}"));
            let Some((line, column, key, message)) = expected else {
                assert!(!said.contains("server.tls"), "{said}");
                continue;
            };
            let place = format!("tollgate.toml:{line}:{column}: server.tls.{key}");
            assert!(
                said.lines().any(|line| line.contains(&place) && line.contains(message)),
                "{place}{message}: {said}"
            );
            assert_eq!(said.contains("breaker.open"), !more.is_empty(), "{said}");
        }
    }
}

#[test]
fn places_where_nothing_can_be_made_are_named() {
    let place = Place::new();
    place.write("file", "no database, but longer than its head");
    place.write("empty", "");
    let with = |store: &str, journal: &str| CONFIG.replace("state/t.db", store).replace("state/journal", journal);
    assert!(!said(&place, &with("empty", "new/journal")).contains("tollgate.toml:"));
    for (store, journal, expected) in [
        ("file/x.db", "journal", "tollgate.toml:3:7: store.url: "),
        ("file", "journal", "tollgate.toml:3:7: store.url: "),
        ("data/x.db", "file/deep/journal", "tollgate.toml:5:15: ledger.journal_dir: "),
    ] {
        for more in ["", "[breaker]\nopen = 1\n"] {
            let said = said(&place, &format!("{}{more}", with(store, journal)));
            assert!(said.contains(expected) && said.contains("expected"), "{said}");
        }
    }
    assert!(!place.path("data").exists() && !place.path("new").exists(), "nothing was made");
    assert_eq!(place.read("file"), "no database, but longer than its head");
}

#[test]
fn addresses_that_exclude_each_other_are_named() {
    let place = Place::new();
    let with = |server: &str| format!("[server]\n{server}\n{CONFIG}");
    let two = "listen = [\"0.0.0.0:3000\", \"127.0.0.1:3000\"]";
    assert!(said(&place, &with(two)).contains("tollgate.toml:2:27: server.listen[1]: 0.0.0.0:3000 already covers it"));
    let console = "listen = [\"0.0.0.0:3000\"]\n[console]\nlisten = \"127.0.0.1:3000\"";
    assert!(said(&place, &with(console)).contains("tollgate.toml:4:10: console.listen: "));
    let fine = "listen = [\"127.0.0.1:3000\", \"127.0.0.2:3000\", \"[::1]:3000\"]";
    assert!(!said(&place, &with(fine)).contains("tollgate.toml:"));
}

#[test]
fn what_is_without_prices_is_said_with_what_will_be_refused() {
    let place = Place::new();
    for (unknown, expected) in [
        ("reject_if_quota", "every request of a key with a quota is refused (400 PRICE_MISSING)"),
        ("reject", "every request is refused (400 PRICE_MISSING)"),
        ("allow", "every request passes unbilled"),
    ] {
        let config = format!("[pricing]\nunknown_model = \"{unknown}\"\n{CONFIG}");
        let said_without = said(&place, &config);
        assert!(said_without.contains("there is no price file: ") && said_without.contains(expected), "{said_without}");
        place.write("pricing.toml", "");
        let said_of_empty = said(&place, &config);
        assert!(said_of_empty.contains("pricing.toml has none") && said_of_empty.contains(expected), "{said_of_empty}");
        std::fs::remove_file(place.path("pricing.toml")).unwrap();
    }
}

#[test]
fn a_providers_key_in_the_environment_that_cannot_be_used_is_named_and_never_shown() {
    let env = |name: &str| match name {
        "OPENAI_API_KEY" => Some("canary two".to_owned()),
        "GROQ_API_KEY" => Some(" ".to_owned()),
        _ => None,
    };
    for command in ["check", "serve"] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (input, out_to, err_to) = (&mut io::empty(), &mut out, &mut err);
        let (now_ms, whose) = (NOW_MS, WHOSE.into());
        let mut terminal = Terminal { input, out: out_to, err: err_to, env: &env, now_ms, whose, width: None };
        assert_eq!(run(["tollgate", command], &mut terminal), 2, "{command}");
        let said = String::from_utf8([out, err].concat()).unwrap();
        assert!(said.contains("there is nothing to serve: no config file"), "{command}: {said}");
        let named = "Note: the key in OPENAI_API_KEY is left out: it has characters that no header can carry";
        assert!(said.contains(named) && !said.contains("GROQ_API_KEY is"), "{command}: {said}");
        assert!(!said.contains("canary"), "{command}: {said}");
    }
    // A config file says for itself which variables it takes.
    let place = Place::new();
    let with_key = |name: &str| env(name).or_else(|| (name == "MAIN_KEY").then(|| "k".to_owned()));
    let ran = place.run_with("check", "", &with_key, NOW_MS, None);
    assert!(ran.status == 0 && !ran.err.contains("OPENAI_API_KEY"), "{ran:?}");
}

#[test]
fn an_address_in_the_environment_that_is_not_read_is_named_and_never_shown() {
    let said = |variables: &'static [(&'static str, &'static str)]| {
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (input, out_to, err_to) = (&mut io::empty(), &mut out, &mut err);
        let (now_ms, whose) = (NOW_MS, WHOSE.into());
        let mut terminal = Terminal { input, out: out_to, err: err_to, env: &env, now_ms, whose, width: None };
        assert_eq!(run(["tollgate", "check"], &mut terminal), 0);
        String::from_utf8([out, err].concat()).unwrap()
    };
    let both = said(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://user:canary@10.0.0.1/v1")]);
    let named = "Note: OPENAI_BASE_URL is not read: what OPENAI_API_KEY is for goes to https://api.openai.com/v1.";
    assert!(both.contains(named) && both.contains("`base_url`") && !both.contains("canary"), "{both}");
    for variables in [&[("OPENAI_API_KEY", "k")][..], &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "")]] {
        assert!(!said(variables).contains("BASE_URL"));
    }
}
