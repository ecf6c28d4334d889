//! One row of the vendor table.

use crate::dialect::DialectId;
use crate::dialect::chat::ChatRules;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::usage::UsageRules;
use crate::provider::tiers::UnaskedTier;
use http::{HeaderName, HeaderValue};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// A vendor: which wire formats it speaks, where, how a key is shown to it, and how it reports usage.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The row's name, which `provider = "…"` in an upstream refers to.
    #[serde(skip)]
    pub name: String,
    /// The wire formats it answers in at [`Self::base_url`]; never empty, the preferred one first.
    pub dialects: Vec<DialectId>,
    /// What one gives this vendor's own SDK as its base URL, without a slash at the end. None: every account has its own,
    /// so an upstream must name it.
    #[serde(default)]
    pub base_url: Option<String>,
    /// What this vendor's own SDK puts behind a base URL that has no path, before an operation's. None: nothing that ours does not.
    #[serde(default)]
    pub sdk_path: Option<String>,
    /// What OpenTelemetry's GenAI conventions call the vendor, where that is not the row's name.
    #[serde(default)]
    conventional_name: Option<String>,
    /// How the key is shown.
    pub auth: AuthScheme,
    /// True: an upstream may do without a key (servers at home); then no credential is sent.
    #[serde(default)]
    pub key_optional: bool,
    /// The environment variable in which this vendor's users keep their key.
    #[serde(default)]
    pub env: Option<String>,
    /// Other names of that variable, looked up after it, in this order.
    #[serde(default)]
    pub env_aliases: Vec<String>,
    /// Header fields that this vendor wants; sent only where the client did not send one of that name.
    #[serde(default, deserialize_with = "read_headers")]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether a chat stream must be asked for its usage.
    #[serde(default)]
    pub stream_usage: StreamUsage,
    /// How its usage objects differ from OpenAI's.
    #[serde(default)]
    pub usage: UsageRules,
    /// Codes of its errors that are others' words for something else, in lower case, each with the code that says what it means
    /// there.
    #[serde(default)]
    pub borrowed_codes: BTreeMap<String, String>,
    /// What of OpenAI's newer request fields it knows, for requests that are translated into OpenAI's dialect.
    #[serde(default)]
    pub chat: ChatRules,
    /// The row that has the same models, which think as much beyond a limit here (`chat.thinks_beyond_limit`).
    #[serde(default)]
    pub(super) thinks_like: Option<String>,
    /// The row whose prices hold here for models of which the price book has none of this row's own: the same vendor's other API.
    #[serde(default)]
    pub priced_like: Option<String>,
    /// What becomes of requests that ask for no service tier.
    #[serde(default)]
    pub unasked_tier: UnaskedTier,
    /// The models that a start without a config file offers; empty: such a start does not use this vendor.
    #[serde(default)]
    pub default_models: Vec<String>,
}

impl Provider {
    /// Its name in metrics and spans: `gen_ai.provider.name`.
    pub fn conventional_name(&self) -> &str {
        self.conventional_name.as_deref().unwrap_or(&self.name)
    }

    /// Whether it speaks this wire format itself.
    pub fn speaks(&self, dialect: DialectId) -> bool {
        self.dialects.contains(&dialect)
    }

    /// The dialects in which it can get requests for an operation of a dialect that it does not speak, the preferred one first.
    pub fn translations(&self, endpoint: &Endpoint) -> impl Iterator<Item = DialectId> {
        self.dialects.iter().copied().filter(|dialect| endpoint.translates_into(*dialect))
    }

    /// The names of the environment variable that may hold its key, the usual one first.
    pub fn env_names(&self) -> impl Iterator<Item = &str> {
        self.env.iter().chain(&self.env_aliases).map(String::as_str)
    }
}

/// How a key is shown to a vendor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthScheme {
    /// `authorization: Bearer KEY`
    Bearer,
    /// The bare key in a header field of this name: `x-api-key`, `x-goog-api-key`, `api-key`.
    #[serde(deserialize_with = "read_header_name")]
    Header(HeaderName),
    /// Amazon's: a key `ACCESS_KEY_ID:SECRET_ACCESS_KEY` (with `:SESSION_TOKEN` behind, where there is one) is not shown but
    /// signs each request; one without a colon is shown as with [`Self::Bearer`].
    #[serde(rename = "aws-sigv4")]
    AwsSigv4,
    /// The vendor takes no key.
    None,
}

impl AuthScheme {
    /// The header field that shows `secret`, marked sensitive so that its `Debug` form hides it. White space around the
    /// secret (a line break at the end of an environment variable) is dropped. `None`: nothing is to be sent, because the
    /// scheme takes no key or the secret is empty.
    ///
    /// # Errors
    /// [`UnusableSecret`] when it has characters that no header can carry; the error does not hold it.
    pub fn header(&self, secret: &str) -> Result<Option<(HeaderName, HeaderValue)>, UnusableSecret> {
        let secret = secret.trim();
        if secret.is_empty() {
            return Ok(None);
        }
        let (name, value) = match self {
            Self::None => return Ok(None),
            Self::AwsSigv4 if secret.contains(':') => return Ok(None),
            Self::Bearer | Self::AwsSigv4 => {
                (http::header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {secret}")))
            }
            Self::Header(name) => (name.clone(), HeaderValue::from_str(secret)),
        };
        let mut value = value.map_err(|_| UnusableSecret)?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }

    /// The name of the header field that carries the key, if any: a client's own field of that name must not go upstream.
    pub fn header_name(&self) -> Option<HeaderName> {
        match self {
            Self::Bearer | Self::AwsSigv4 => Some(http::header::AUTHORIZATION),
            Self::Header(name) => Some(name.clone()),
            Self::None => None,
        }
    }
}

/// A provider's key that cannot stand in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnusableSecret;

impl fmt::Display for UnusableSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key has characters that no HTTP header can carry")
    }
}

impl std::error::Error for UnusableSecret {}

/// Whether an OpenAI-style chat or completion stream says what it used. (The other dialects always do.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// Only when asked by `stream_options.include_usage`, which the gateway splices in where the client did not.
    #[default]
    OptIn,
    /// Without being asked: nothing is spliced in.
    Always,
    /// It refuses the field and reports nothing reliable: nothing is spliced in, and usage may have to be estimated.
    Unsupported,
}

fn read_header_name<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderName, D::Error> {
    header_name(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn read_headers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(HeaderName, HeaderValue)>, D::Error> {
    BTreeMap::<String, String>::deserialize(from)?
        .into_iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_str(&value).map_err(|_| format!("`{name}`: not a header value"))?;
            Ok((header_name(&name)?, value))
        })
        .collect::<Result<_, String>>()
        .map_err(D::Error::custom)
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_lowercase(name.as_bytes()).map_err(|_| format!("`{name}`: not a header name in lower case"))
}
