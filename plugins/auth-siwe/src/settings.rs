//! `[plugins.auth-siwe]`, read and checked.

use crate::address::Address;
use crate::grammar;
use crate::session::Sessions;
use std::collections::HashMap;
use tollgate_plugin_api::{Mistakes, Settings as Read};
use toml::{Table, Value};

const SECRET_BYTES_MIN: usize = 32;
const SESSION_S_DEFAULT: u64 = 3600;
const SESSION_S_MAX: u64 = 30 * 86_400;
const CHAIN_ID_DEFAULT: u64 = 1;
const CHAINS_MAX: usize = 64;
const WALLETS_MAX: usize = 10_000;

/// What may stand there.
const KEYS: &[&str] = &[
    // Who asks for the signature: host, and port if it is not the usual one.
    "domain",
    // Where: the message's URI is this one, or below it.
    "uri",
    "chain_ids",
    // What sessions are signed with.
    "secret",
    "session_s",
    // Address = name of a key.
    "wallets",
];

/// What is made of it.
pub(crate) struct Settings {
    pub(crate) domain: String,
    pub(crate) uri: String,
    pub(crate) chain_ids: Vec<u64>,
    pub(crate) session_ms: i64,
    pub(crate) wallets: HashMap<Address, String>,
}

/// # Errors
/// Which keys are wrong, and what was expected.
pub(crate) fn read(table: &Table) -> Result<(Settings, Sessions), Mistakes> {
    let mistakes = Mistakes::default();
    let settings = Read::open(table, KEYS, &mistakes);
    let domain = domain(&settings);
    let uri = uri(&settings).unwrap_or_else(|| format!("https://{domain}"));
    let sessions = Sessions::new(&secret(&settings));
    let chain_ids = chain_ids(&settings);
    let session_s = settings.number("session_s", " of seconds", 1..=SESSION_S_MAX, SESSION_S_DEFAULT);
    let wallets = wallets(&settings);
    mistakes.into_result()?;
    let session_ms = i64::try_from(session_s).unwrap_or_default() * 1000;
    Ok((Settings { domain, uri, chain_ids, session_ms, wallets }, sessions))
}

fn domain(settings: &Read<'_>) -> String {
    const EXPECTED: &str = "the host that asks for signatures, as `app.example` or `app.example:8443`";
    let domain = settings.needed_text("domain", EXPECTED);
    if !domain.is_empty() && (!grammar::is_authority(domain) || domain.contains(['@', '%'])) {
        settings.wrong("domain", format!("is no host, expected {EXPECTED}"));
    }
    domain.to_owned()
}

fn uri(settings: &Read<'_>) -> Option<String> {
    const EXPECTED: &str = "where signatures are asked for, as `https://app.example`";
    let text = settings.text("uri", EXPECTED)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_address =
        grammar::is_uri(text) && rest.is_some_and(|rest| !rest.is_empty()) && !text.contains(['@', '?', '#']);
    if !is_address {
        settings.wrong("uri", format!("is no such address, expected {EXPECTED}"));
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn secret(settings: &Read<'_>) -> Vec<u8> {
    let expected = format!("text of at least {SECRET_BYTES_MIN} bytes");
    let secret = settings.needed_text("secret", &expected).as_bytes();
    if !secret.is_empty() && secret.len() < SECRET_BYTES_MIN {
        settings.wrong("secret", format!("is too short, expected {expected}"));
    }
    secret.to_vec()
}

fn chain_ids(settings: &Read<'_>) -> Vec<u64> {
    if settings.get("chain_ids").is_none() {
        return vec![CHAIN_ID_DEFAULT];
    }
    let list = settings.list("chain_ids", "numbers, as `[1]` for Ethereum");
    let is_list = settings.get("chain_ids").is_some_and(Value::is_array);
    if is_list && !(1..=CHAINS_MAX).contains(&list.len()) {
        settings.wrong("chain_ids", format!("expected 1 to {CHAINS_MAX} numbers, as `[1]` for Ethereum"));
    }
    let number = |(index, value): (usize, &Value)| {
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        if number.is_none() {
            settings.wrong_item("chain_ids", index, "expected a whole number, as 1 for Ethereum");
        }
        number
    };
    list.iter().enumerate().filter_map(number).collect()
}

fn wallets(settings: &Read<'_>) -> HashMap<Address, String> {
    const EXPECTED: &str = "addresses with the names of keys, as `{ \"0x…\" = \"ann\" }`";
    settings.must_have("wallets", EXPECTED);
    let Some(table) = settings.table("wallets", EXPECTED) else { return HashMap::new() };
    if table.is_empty() {
        settings.wrong("wallets", format!("is empty, expected {EXPECTED}"));
    }
    if table.len() > WALLETS_MAX {
        settings.wrong("wallets", format!("has too many entries, expected at most {WALLETS_MAX}"));
        return HashMap::new();
    }
    let mut wallets = HashMap::with_capacity(table.len());
    for (text, name) in table {
        match (Address::read(text), name.as_str().filter(|name| !name.is_empty())) {
            (_, None) => settings.wrong_entry("wallets", text, "expected the name of a key"),
            (None, _) => settings.wrong_entry("wallets", text, wrong_address(text)),
            (Some(address), Some(name)) => drop(wallets.insert(address, name.to_owned())),
        }
    }
    wallets
}

fn wrong_address(text: &str) -> String {
    // Without capitals there is no checksum that could be wrong.
    let plain = Address::without_checksum(text).filter(|_| !text.bytes().any(|letter| letter.is_ascii_uppercase()));
    let hint = plain.map(|address| format!(", here `{}`", address.text())).unwrap_or_default();
    format!("expected an address with its EIP-55 checksum{hint}")
}
