//! What another gateway has: its upstreams, people, keys and prices, read from its database or its configuration, as far as they have a
//! counterpart here. Pure: files and databases are read by who calls.

mod exact;
mod litellm;
mod litellm_keys;
mod one_api;
mod people;
mod toml;

pub(crate) use litellm::read as read_litellm;
pub(crate) use litellm_keys::keys as litellm_keys;
pub(crate) use one_api::{Flavour, Tables, read as read_one_api};
pub(crate) use toml::{Secrets, Variables, add_upstreams};

use crate::store::{Role, SecretDigest};
use secrecy::SecretString;
use tollgate_plugin_api::CredentialDigest;

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) upstreams: Vec<FoundUpstream>,
    pub(crate) people: Vec<FoundPerson>,
    pub(crate) codes: Vec<FoundCode>,
    pub(crate) keys: Vec<FoundKey>,
    /// Prices as new-api publishes its options, for the import of prices.
    pub(crate) prices: Option<String>,
    pub(crate) left: Vec<Left>,
}

/// A provider account.
pub(crate) struct FoundUpstream {
    /// As it can be called here.
    pub(crate) name: String,
    /// What it is called there.
    pub(crate) name_there: String,
    pub(crate) provider: &'static str,
    /// None: the provider's own.
    pub(crate) base_url: Option<String>,
    pub(crate) secret: FoundSecret,
    /// As clients name them, and as the upstream does.
    pub(crate) models: Vec<(String, String)>,
    pub(crate) groups: Vec<String>,
    pub(crate) weight: u32,
    pub(crate) priority: u32,
}

/// An upstream's key.
pub(crate) enum FoundSecret {
    /// The key itself.
    Value(SecretString),
    /// It stands in this environment variable there, too.
    Environment(String),
    /// There is none.
    Nothing,
}

/// A key that clients have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundKey {
    pub(crate) name: String,
    /// Of the very key that clients have.
    pub(crate) digest: CredentialDigest,
    pub(crate) user: Option<String>,
    pub(crate) group: String,
    pub(crate) models: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) expires_at_ms: Option<i64>,
    /// What it may still spend.
    pub(crate) quota_nanos: Option<i64>,
    pub(crate) rpm: Option<u64>,
    pub(crate) tpm: Option<u64>,
    pub(crate) concurrency: Option<u64>,
}

/// Somebody who has keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundPerson {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// What that was there.
    pub(crate) role_there: &'static str,
    pub(crate) enabled: bool,
    /// What all their keys may still spend.
    pub(crate) quota_nanos: i64,
    /// What they have spent there.
    pub(crate) used_nanos: i64,
}

/// A code that nobody has redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundCode {
    /// Without its text.
    pub(crate) name: String,
    /// Of the very text that its owner has.
    pub(crate) digest: SecretDigest,
    pub(crate) amount_nanos: i64,
    pub(crate) expires_at_ms: Option<i64>,
}

/// What was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// `upstream`, `user`, `code`, `key`, `price`, `setting`.
    pub(crate) what: &'static str,
    pub(crate) name: String,
    pub(crate) why: String,
}

impl Found {
    fn leave(&mut self, what: &'static str, name: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left { what, name: name.into(), why: why.into() });
    }
}

/// Providers that have no base URL of their own, in order.
pub(crate) const WITHOUT_BASE_URL: [&str; 6] =
    ["azure-openai", "bedrock", "cloudflare", "databricks", "openai-compatible", "snowflake"];

/// The longest name of an upstream that is made here: a number may stand behind it, and variables are named after it.
const UPSTREAM_NAME_BYTES_MAX: usize = 48;

/// A name for an upstream that none of these has: what can be kept of the one that is wanted, else its provider's, or that with a
/// number behind it.
fn upstream_name(wanted: &str, provider: &str, others: &[FoundUpstream]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let words = wanted.split(|c: char| !is_plain(c)).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let plain = words[..words.len().min(UPSTREAM_NAME_BYTES_MAX)].trim_matches('-');
    let plain = if plain.is_empty() { provider } else { plain };
    let numbered = (2..).map(|nth: u64| format!("{plain}-{nth}"));
    let is_taken = |name: &String| others.iter().any(|upstream| upstream.name == *name);
    std::iter::once(plain.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// A name that none of these has: this one, or with a number behind it.
fn free_name(wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let wanted: String = wanted.chars().filter(|c| !c.is_control()).take(100).collect();
    let wanted = match wanted.trim() {
        "" => "unnamed".to_owned(),
        // A number would be taken for an id.
        number if number.parse::<i64>().is_ok() => format!("imported-{number}"),
        name => name.to_owned(),
    };
    let numbered = (2..).map(|nth: u64| format!("{wanted}-{nth}"));
    std::iter::once(wanted.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(wanted)
}
