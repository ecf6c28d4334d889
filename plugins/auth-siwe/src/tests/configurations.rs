//! Mistakes of the configuration are named, with what was expected, and secrets are not repeated.

use super::{Ports, SECRET, build, table};

/// What is said of a table.
fn said(table: &str) -> String {
    build(table.parse().unwrap(), &Ports::to_nothing()).err().map(|error| error.to_string()).unwrap_or_default()
}

/// The table with this line instead of the one of its key.
fn with(key: &str, line: &str) -> String {
    let lines = table()
        .lines()
        .map(|old| if old.starts_with(&format!("{key} =")) { line } else { old }.to_owned())
        .collect::<Vec<_>>();
    lines.join("\n")
}

#[test]
fn what_is_right_is_taken() {
    assert_eq!(said(&table()), "");
    for (key, line) in [
        ("domain", "domain = \"localhost:8080\""),
        ("uri", "uri = \"http://localhost:8080/\""),
        ("uri", ""),
        ("chain_ids", ""),
        ("session_s", ""),
    ] {
        assert_eq!(said(&with(key, line)), "", "{line}");
    }
}

#[test]
fn what_is_wrong_is_named_with_what_was_expected() {
    const ANN: &str = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1";
    let wallet = |text: &str| with("wallets", &format!("wallets = {{ \"{text}\" = \"ann\" }}"));
    let mut cases = vec![
        (with("domain", ""), "domain: is missing, expected the host that asks for signatures"),
        (with("domain", "domain = \"https://app.example\""), "domain: is no host, expected the host"),
        (with("domain", "domain = \"me@app.example\""), "domain: is no host, expected the host"),
        (with("domain", "domain = 7"), "domain: expected the host"),
        (with("uri", "uri = \"app.example\""), "uri: is no such address, expected where signatures are asked for"),
        (with("uri", "uri = \"https://\""), "uri: is no such address, expected where signatures are asked for"),
        (
            with("uri", "uri = \"https://me@app.example\""),
            "uri: is no such address, expected where signatures are asked for",
        ),
        (with("chain_ids", "chain_ids = []"), "chain_ids: expected 1 to 64 numbers"),
        (with("chain_ids", "chain_ids = [1, -1]"), "chain_ids[1]: expected a whole number"),
        (with("chain_ids", "chain_ids = [\"1\"]"), "chain_ids[0]: expected a whole number"),
        (
            with("chain_ids", "chain_ids = 1"),
            "chain_ids: expected an array of numbers, as `[1]` for Ethereum, found a whole number",
        ),
        (with("secret", ""), "secret: is missing, expected text of at least 32 bytes"),
        (with("secret", "secret = \"canary\""), "secret: is too short, expected text of at least 32 bytes"),
        (with("secret", "secret = [\"canary\"]"), "secret: expected text of at least 32 bytes"),
        (
            with("session_s", "session_s = 0"),
            "session_s: the number is too small, expected a whole number of seconds from 1 to 2592000",
        ),
        (
            with("session_s", "session_s = \"1h\""),
            "session_s: expected a whole number of seconds from 1 to 2592000, found a string",
        ),
        (with("wallets", ""), "wallets: is missing, expected addresses with the names of keys"),
        (with("wallets", "wallets = {}"), "wallets: is empty, expected addresses with the names of keys"),
        (with("wallets", "wallets = [\"0x\"]"), "wallets: expected addresses with the names of keys"),
        (
            with("wallets", &format!("wallets = {{ \"{ANN}\" = 7 }}")),
            "wallets.0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1: expected the name",
        ),
        (
            with("wallets", &format!("wallets = {{ \"{ANN}\" = \"\" }}")),
            "wallets.0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1: expected the name",
        ),
        (wallet("ann.eth"), "wallets.\"ann.eth\": expected an address with its EIP-55 checksum"),
        (
            wallet(&ANN.replace("3aF5", "3Af5")),
            "wallets.0x1a642f0E3c3Af545E7AcBD38b07251B3990914F1: expected an address with its EIP-55 checksum",
        ),
        (wallet(&ANN[..41]), "wallets.0x1a642f0E3c3aF545E7AcBD38b07251B3990914F: expected an address"),
    ];
    cases.push((format!("realm = 1\n{}", table()), "realm: unknown key, expected `domain`, `uri`"));
    for (table, expected) in cases {
        let said = said(&table);
        assert!(said.starts_with(expected), "{said}\n{table}");
        assert!(!said.contains("canary") && !said.contains(SECRET), "{said}");
    }
    let lower = said(&wallet(&ANN.to_ascii_lowercase()));
    assert!(lower.ends_with(&format!("checksum, here `{ANN}`")), "{lower}");
}
