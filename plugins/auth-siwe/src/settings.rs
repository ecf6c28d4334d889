//! `[plugins.auth-siwe]`, read and checked.

use crate::address::Address;
use crate::grammar;
use crate::session::Sessions;
use std::collections::HashMap;
use toml::Value;

const SECRET_BYTES_MIN: usize = 32;
const SESSION_S_DEFAULT: i64 = 3600;
const SESSION_S_MAX: i64 = 30 * 86_400;
const CHAIN_ID_DEFAULT: u64 = 1;
const CHAINS_MAX: usize = 64;
const WALLETS_MAX: usize = 10_000;

/// What may stand there. The values are looked at one by one, so that an error says which, and never repeats a secret.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Who asks for the signature: host, and port if it is not the usual one.
    domain: Option<Value>,
    /// Where: the message's URI is this one, or below it.
    uri: Option<Value>,
    chain_ids: Option<Value>,
    /// What sessions are signed with.
    secret: Option<Value>,
    session_s: Option<Value>,
    /// Address = name of a key.
    wallets: Option<Value>,
}

/// What is made of it.
pub(crate) struct Settings {
    pub(crate) domain: String,
    pub(crate) uri: String,
    pub(crate) chain_ids: Vec<u64>,
    pub(crate) session_ms: i64,
    pub(crate) wallets: HashMap<Address, String>,
}

/// # Errors
/// Which key is wrong, and what was expected.
pub(crate) fn read(table: toml::Table) -> Result<(Settings, Sessions), String> {
    let table: Table = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let domain = domain(table.domain)?;
    let uri = match table.uri {
        None => format!("https://{domain}"),
        Some(value) => uri(&value)?,
    };
    let sessions = Sessions::new(&secret(table.secret)?);
    let chain_ids = table.chain_ids.map_or_else(|| Ok(vec![CHAIN_ID_DEFAULT]), |value| chain_ids(&value))?;
    let session_s = table.session_s.map_or(Some(SESSION_S_DEFAULT), |value| value.as_integer());
    let session_s = session_s.filter(|seconds| (1..=SESSION_S_MAX).contains(seconds));
    let session_s = session_s.ok_or_else(|| format!("session_s: expected 1 to {SESSION_S_MAX} seconds"))?;
    let wallets = wallets(table.wallets)?;
    Ok((Settings { domain, uri, chain_ids, session_ms: session_s * 1000, wallets }, sessions))
}

fn domain(value: Option<Value>) -> Result<String, String> {
    const EXPECTED: &str = "the host that asks for signatures, as `app.example` or `app.example:8443`";
    let value = value.ok_or_else(|| format!("domain: missing, expected {EXPECTED}"))?;
    let is_domain = |text: &&str| grammar::is_authority(text) && !text.contains(['@', '%']);
    value.as_str().filter(is_domain).map(str::to_owned).ok_or_else(|| format!("domain: expected {EXPECTED}"))
}

fn uri(value: &Value) -> Result<String, String> {
    let is_address = |text: &&str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        grammar::is_uri(text) && rest.is_some_and(|rest| !rest.is_empty()) && !text.contains(['@', '?', '#'])
    };
    let text = value
        .as_str()
        .filter(is_address)
        .ok_or("uri: expected where signatures are asked for, as `https://app.example`")?;
    Ok(text.trim_end_matches('/').to_owned())
}

fn secret(value: Option<Value>) -> Result<Vec<u8>, String> {
    let value = value.ok_or_else(|| format!("secret: missing, expected text of at least {SECRET_BYTES_MIN} bytes"))?;
    let bytes = value.as_str().unwrap_or_default().as_bytes();
    if bytes.len() < SECRET_BYTES_MIN {
        return Err(format!("secret: expected text of at least {SECRET_BYTES_MIN} bytes"));
    }
    Ok(bytes.to_vec())
}

fn chain_ids(value: &Value) -> Result<Vec<u64>, String> {
    let wrong = || format!("chain_ids: expected a list of 1 to {CHAINS_MAX} numbers, as `[1]` for Ethereum");
    let list = value.as_array().filter(|list| (1..=CHAINS_MAX).contains(&list.len())).ok_or_else(wrong)?;
    let number = |value: &Value| value.as_integer().and_then(|number| u64::try_from(number).ok());
    list.iter().map(|value| number(value).ok_or_else(wrong)).collect()
}

fn wallets(value: Option<Value>) -> Result<HashMap<Address, String>, String> {
    const EXPECTED: &str = "addresses with the names of keys, as `{ \"0x…\" = \"ann\" }`";
    let value = value.ok_or_else(|| format!("wallets: missing, expected {EXPECTED}"))?;
    let table =
        value.as_table().filter(|table| !table.is_empty()).ok_or_else(|| format!("wallets: expected {EXPECTED}"))?;
    if table.len() > WALLETS_MAX {
        return Err(format!("wallets: expected at most {WALLETS_MAX}"));
    }
    let mut wallets = HashMap::with_capacity(table.len());
    for (text, name) in table {
        let name = name.as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| format!("wallets.{text}: expected the name of a key"))?;
        wallets.insert(Address::read(text).ok_or_else(|| wrong_address(text))?, name.to_owned());
    }
    Ok(wallets)
}

fn wrong_address(text: &str) -> String {
    // Without capitals there is no checksum that could be wrong.
    let plain = Address::without_checksum(text).filter(|_| !text.bytes().any(|letter| letter.is_ascii_uppercase()));
    let hint = plain.map(|address| format!(", here `{}`", address.text())).unwrap_or_default();
    format!("wallets.{text}: expected an address with its EIP-55 checksum{hint}")
}
